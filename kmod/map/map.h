/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps: which frames a morsel has.
 */
#ifndef MORSEL_MAP_H
#define MORSEL_MAP_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/rwsem.h>
#include <linux/wait.h>

#include "pools/batch.h"
#include "pools/frame.h"
#include "pools/source.h"
#include "tables/tableset.h"

struct family;
struct map;

/**
 * struct map_ops - how a map is kept
 * @look:	what is there for a page?  Without the sem, a hint
 * @holes:	how many pages of one span, from @first to before @end, have no frame?
 *		*@empty: nothing is in the span, so that a huge frame fits
 * @add:	put frames of an order into the holes from @first to before @end, of one span,
 *		with the sem held for reading, and have them say whose they are; how many
 *		came in; -EEXIST: the span is huge, or something is where it is to be;
 *		-ENOMEM, -EDQUOT
 * @remove:	take the leaves of one span from @first to before @end out, with the sem
 *		held for writing.  What frames there were is known from @look
 * @put_back:	put a huge frame back that was removed from the span that begins at @first, with
 *		the sem held for reading; the span is closed since
 * @pages:	the pages from @first to before @end, of one span, with the sem held; NULL where
 *		there is none
 * @settle:	called when small ones were removed from @first to before @end, before
 *		anybody is told: nobody may be left who would write them again
 */
struct map_ops {
	struct leaf (*look)(const struct map *map, unsigned long index);
	unsigned int (*holes)(const struct map *map, unsigned long first, unsigned long end,
			      bool *empty);
	int (*add)(struct map *map, unsigned long first, unsigned long end, unsigned int order,
		   const u64 *frames, unsigned int count);
	void (*remove)(struct map *map, unsigned long first, unsigned long end);
	void (*put_back)(struct map *map, unsigned long first, u64 frame);
	void (*pages)(const struct map *map, unsigned long first, unsigned long end,
		      struct page **pages);
	void (*settle)(struct map *map, unsigned long first, unsigned long end);
};

/**
 * struct map_reach - how those are reached who have something of a map
 * @unsplice:	take what is spliced of the pages from @first to before @end out of all address spaces;
 *		nobody uses the tables that were any more when it returns
 * @displaced:	tables were displaced, and unspliced: drop them (displaced_drop()) once nobody looks at them
 * @changed:	as @unsplice, where the frame is another, of 1 << @order pages: who has mapped the pages one by one,
 *		and what devices have of them, goes, too.  Tables that have the new leaf may stay
 */
struct map_reach {
	void (*unsplice)(struct map *map, unsigned long first, unsigned long end);
	void (*displaced)(struct map *map, struct displaced *displaced);
	void (*changed)(struct map *map, unsigned long first, unsigned int order);
};

/**
 * struct map_viewer - one who sees no more of a map than he may (viewer.c)
 * @sets:	by rights, the tablesets that show it, or NULL; they come, and stay
 */
struct map_viewer {
	struct tableset *sets[RIGHTS_ROX + 1];
};

/* What maps may have that others have, too: nothing; tables, and huge frames; or all. */
enum map_shares { SHARES_NONE, SHARES_HUGE, SHARES_SMALL };

/**
 * enum share_wait - how long who shares a map waits for others
 * @SHARE_TRIES:	not at all
 * @SHARE_WAITS:	until what they have begun is done
 * @SHARE_RESTS:	and as long as they had to wait the last time
 */
enum share_wait { SHARE_TRIES, SHARE_WAITS, SHARE_RESTS };

/* GiBs of a map from one to before another. */
struct gibs {
	unsigned long first;
	unsigned long end;
};

/* What a page is wanted for; MAP_WRITE_HELD: by who has a reference to the frame, if there is one. */
enum map_access { MAP_READ, MAP_WRITE, MAP_WRITE_HELD };

/**
 * struct closed - a range that is being changed
 * @list:	in its gate
 * @first:	first page
 * @end:	page after the last
 */
struct closed {
	struct list_head list;
	unsigned long first;
	unsigned long end;
};

/**
 * struct gate - what holds accesses back
 * @lock:	protects @closed; who changes it has the map's sem for writing, too
 * @closed:	ranges, none of which overlap
 * @opened:	who waits until one is opened
 */
struct gate {
	spinlock_t lock;
	struct list_head closed;
	wait_queue_head_t opened;
};

/**
 * struct map - which frames a morsel has
 * @ops:	how it is kept
 * @reach:	who has something of it
 * @pages:	how many pages there are; changed with the sem held for writing, by size.c
 * @tail:	page after the last that may have a frame: behind @pages while there are some that
 *		are to be removed as the map has become shorter
 * @cuts:	odd while frames are hidden that come back; see map_look()
 * @reserved:	ranges of pages that are reserved; changed with the inode's lock held for writing,
 *		while which is held for reading, what is in them stays (reserve.c)
 * @nr_reserved: how many pages these are; some may be behind @pages
 * @rights:	a bit for each enum morsel_rights that mappings were made with; once set, always
 * @granule:	MORSEL_GRANULE_*
 * @fault_around: pages that a fault fills at once, a power of two
 * @source:	where frames and tables come from, and who pays
 * @shares:	it is a clone, or was cloned, or is about to be: what there may be that others have, too; set
 *		with the sem held for writing, and less only where the inode's lock is held, too
 * @still:	it is being cloned: nothing is spliced, and nobody writes; set so, too
 * @family:	maps with which it may share something, or NULL (family.c)
 * @kin:	among these
 * @share_begun: since when
 * @rest:	until then it is not to be cloned again
 * @paged:	pages have been mapped one by one, and not in tablesets alone; once true, always
 * @number:	by which its frames say that they are its own, so that futexes in them are the
 *		same ones in all processes (owner.c)
 * @sets:	its tablesets; more are added in front, by cmpxchg
 * @truth:	the last of these: the tables are the map
 * @sem:	held for reading to add frames or to use them, for
 *		writing to remove them
 * @filling:	held for reading to get frames and add them, for writing to find
 *		out whether there are none
 * @small:	frames of 4 KiB
 * @gate:	what is being changed
 * @copying:	how many copy a frame that is to take the place of one; they begin with the sem held, where the
 *		gate is open, and who clones waits for them
 * @huge:	frames of 2 MiB
 */
struct map {
	const struct map_ops *ops;
	const struct map_reach *reach;
	unsigned long pages;
	unsigned long tail;
	unsigned int cuts;
	struct maple_tree reserved;
	unsigned long nr_reserved;
	unsigned long rights;
	u32 granule;
	unsigned int fault_around;
	struct source *source;
	enum map_shares shares;
	bool still;
	struct family *family;
	struct list_head kin;
	ktime_t share_begun;
	ktime_t rest;
	bool paged;
	unsigned int number;
	struct tableset *sets;
	struct tableset *truth;

	/* What each fault writes to: together, and apart from what it only reads. */
	struct rw_semaphore sem ____cacheline_aligned_in_smp;
	struct rw_semaphore filling;
	atomic_long_t small;
	struct gate gate;

	atomic_long_t huge ____cacheline_aligned_in_smp;
	atomic_t copying;
};

/* How many pages there are: there is room for them in all tablesets. */
static inline unsigned long map_pages(const struct map *map)
{
	/* Pairs with map_grow(). */
	return smp_load_acquire(&map->pages);
}

static inline unsigned long map_spans(const struct map *map)
{
	return DIV_ROUND_UP(map_pages(map), SPAN_PAGES);
}

/*
 * For how many GiBs a tableset is to have room: for as many as the map ever had, as who removes
 * frames, or has looked before it became shorter, may come to any of them.
 */
static inline unsigned long map_gibs(const struct map *map)
{
	return tableset_gibs(map->truth);
}

static inline bool map_fault_around_valid(u32 bytes)
{
	return is_power_of_2(bytes) && bytes >= PAGE_SIZE && bytes <= PMD_SIZE;
}

/* Frames have come. */
static inline void map_count(struct map *map, unsigned int order, unsigned int count,
			     const u64 *frames)
{
	atomic_long_add(count, order ? &map->huge : &map->small);
	source_count(map->source, order, count, frames, true);
}

/* Some that had come are not there. */
static inline void map_uncount(struct map *map, unsigned int order, unsigned int count,
			       const u64 *frames)
{
	atomic_long_sub(count, order ? &map->huge : &map->small);
	source_count(map->source, order, count, frames, false);
}

/* gate.c */
void gate_init(struct gate *gate);
int gate_close(struct map *map, struct closed *range, unsigned long first, unsigned long end);
bool gate_try_close(struct map *map, struct closed *range, unsigned long first, unsigned long end);
void gate_open(struct map *map, struct closed *range);
bool gate_overlaps(const struct map *map, unsigned long first, unsigned long end);
bool gate_has_open(struct map *map, unsigned long first, unsigned long end);
int gate_wait_open(struct map *map, unsigned long first, unsigned long end);

/*
 * Each fault asks thrice, and mostly nothing is closed: is any page of a range, with the map's
 * sem held; is none, without, as a hint; and wait, until none is.
 */
static inline bool gate_is_closed(const struct map *map, unsigned long first, unsigned long end)
{
	return !list_empty(&map->gate.closed) && gate_overlaps(map, first, end);
}

static inline bool gate_is_open(struct map *map, unsigned long first, unsigned long end)
{
	/* By one word, which the list's functions write as one that others read without the lock. */
	return list_empty(&map->gate.closed) || gate_has_open(map, first, end);
}

static inline int gate_wait(struct map *map, unsigned long first, unsigned long end)
{
	return gate_is_open(map, first, end) ? 0 : gate_wait_open(map, first, end);
}

/*
 * The same, for a page that was refused: its span may be closed; where tables are shared, so may a
 * part of its GiB, for which they could not be made the map's own.
 */
static inline int gate_wait_page(struct map *map, unsigned long index)
{
	unsigned long pages = READ_ONCE(map->shares) ? GIB_PAGES : SPAN_PAGES;
	unsigned long first = round_down(index, pages);

	return gate_wait(map, first, first + pages);
}

/* owner.c */
void map_owner_init(struct inode *host);
int map_number_get(struct map *map);
void map_number_put(struct map *map);
void map_claim(const struct map *map, u64 frame, unsigned long index);
unsigned long map_index_of(u64 frame);
void map_wait_mappers(struct map *map, const struct frame_batch *batch);
void map_wait_mapper(struct map *map, u64 frame);
void map_give(struct map *map, struct frame_batch *batch);
void map_give_unused(struct map *map, unsigned int order, unsigned int count, const u64 *frames);

/* fill.c */
void map_fill_init(void);
int map_set_fault_around(struct map *map, u32 bytes);
int map_fill(struct map *map, const struct mempolicy *policy, unsigned long index);
int map_fill_alone(struct map *map, const struct mempolicy *policy, unsigned long index,
		   enum map_access access,
		   int (*fill)(struct map *map, const struct mempolicy *policy, unsigned long index,
			       enum map_access access));
int map_populate(struct map *map, const struct mempolicy *policy, unsigned long first,
		 unsigned long end, unsigned int state);

/* page.c */
struct leaf map_look(struct map *map, unsigned long index);
struct page *map_page(struct map *map, unsigned long index, bool write);
struct page *map_peek(struct map *map, unsigned long index);
void map_keep_pages(struct map *map, unsigned long first, unsigned int count, struct page **pages);
void map_let_go(struct map *map);
size_t map_page_room(struct page *page, size_t wanted);
void map_put_page(struct page *page);
bool map_pinned(const struct map *map);
unsigned long map_find(struct map *map, unsigned long index, unsigned long end, bool present);

/* share.c */
unsigned int map_shared(const struct map *map, unsigned long index, const struct leaf *leaf);
int map_own_tables(struct map *map, unsigned long index, bool ptes);
int map_copy_small(struct map *map, const struct mempolicy *policy, u64 frame, unsigned int count,
		   u64 *frames);
int map_own_wait(struct map *map, unsigned long index);
int map_own_frames(struct map *map, loff_t start, loff_t end);
bool map_unshared(struct map *map);
void map_share_undo(struct map *map, enum map_shares shares);
int map_own_range(struct map *map, loff_t start, loff_t end);
bool map_is_own_range(struct map *map, loff_t start, loff_t end);
int map_own(struct map *map, const struct mempolicy *policy, unsigned long index,
	    enum map_access access);
loff_t map_drop_table(struct map *map, loff_t start, loff_t end, struct list_head *dropped);
void map_wait_dropped(struct map *map, const struct list_head *dropped);
void map_give_dropped(struct map *map, struct list_head *dropped);
void map_clear_caches(struct map *map, unsigned long span, unsigned long end);
void map_share_prepare(struct map *map, enum map_shares least);
int map_share_begin(struct map *map, struct closed *range, enum map_shares least,
		    enum share_wait wait);
void map_share_end(struct map *map, struct closed *range);
int map_share(struct map *map, struct map *clone, const struct gibs *gibs);
int map_still_begin(struct map *map, struct closed *range, enum share_wait wait);

/* exchange.c */
int map_exchange(struct map *map, struct map *other);
int map_meet_heir(struct map *map, struct map *heir);
void map_hand_over(struct map *map, struct map *heir);

/* compare.c */
unsigned int map_compare(struct map *map, struct map *other, unsigned long index,
			 unsigned long *end);

/* family.c */
int family_join(struct map *map, struct map *clone);
void family_exchange(struct map *map, struct map *other,
		     void (*exchange)(struct map *map, struct map *other));
void family_replace(struct map *map, struct map *heir,
		    void (*hand_over)(struct map *map, struct map *heir));
void family_leave(struct map *map);
void family_left_frame(struct map *map, unsigned int order, u64 frame);
void family_left_tables(struct map *map, unsigned long index, const struct displaced *displaced);

/* size.c */
int map_make_room(struct map *map, unsigned long gibs);
int map_grow(struct map *map, unsigned long pages);
void map_shrink(struct map *map, unsigned long pages);
void map_end_tail(struct map *map);
void map_cut_begin(struct map *map);
void map_cut_end(struct map *map);
int map_cut(struct map *map, struct frame_batch *batch, unsigned long end);

/* remove.c */
int map_zero(struct map *map, loff_t start, loff_t end);
void map_remove(struct map *map, loff_t *start, loff_t end, struct frame_batch *batch,
		struct list_head *dropped, loff_t *first, loff_t *last);

/* reserve.c */
void map_reserve_init(struct map *map);
void map_reserve_exit(struct map *map);
bool map_is_reserved(struct map *map, unsigned long index, unsigned long *end);
bool map_has_reserved(struct map *map, unsigned long first, unsigned long end);
int map_reserve(struct map *map, unsigned long first, unsigned long end);
int map_unreserve(struct map *map, unsigned long first, unsigned long end);
int map_show_reserved(struct map *map, enum morsel_rights rights, unsigned long first,
		      unsigned long end);
bool map_may_cut(struct map *map, unsigned long end);
int map_copy_reserved(struct map *map, struct map *heir);

/* viewer.c */
struct tableset *map_viewer_make(struct map *map, struct map_viewer *viewer,
				 enum morsel_rights rights);
int map_viewer_show(struct map *map, struct tableset *set, unsigned long first, unsigned long end,
		    bool write, bool unused);
bool map_viewer_clear(struct map *map, struct map_viewer *viewer, unsigned long first,
		      unsigned long end, bool *huge);
void map_viewer_protect(struct map *map, struct map_viewer *viewer, unsigned long first,
			unsigned long end, bool *huge);
bool map_viewer_used(struct map_viewer *viewer, unsigned long index);
void map_viewer_blind(struct map *map, struct map_viewer *viewer);
void map_viewer_gone(struct map *map, struct map_viewer *viewer);

/* tables_map.c */
struct tableset *map_viewer_set(const struct map *map, const struct map_viewer *viewer,
				enum morsel_rights rights);
struct tableset *map_viewer_make_set(struct map *map, const struct map_viewer *viewer,
				     enum morsel_rights rights);
int tables_map_init(struct map *map, struct source *source);
void tables_map_free(struct map *map);
struct tableset *tables_map_set(const struct map *map, enum morsel_rights rights);
struct tableset *tables_map_make_set(struct map *map, enum morsel_rights rights);
int tables_map_show(struct map *map, struct tableset *set, unsigned long first, unsigned long end);
int tables_map_prepare(struct map *map, struct tableset *set, unsigned long first,
		       unsigned long end);
int tables_map_show_page(struct map *map, struct tableset *set, unsigned long index);
bool tables_map_comes_back(const struct map *map);
unsigned long map_nr_tables(const struct map *map);
unsigned long map_ended(const struct map *map);
bool map_waits(const struct map *map, int err, unsigned long ended);
bool map_wait(struct map *map, int err);

#endif /* MORSEL_MAP_H */
