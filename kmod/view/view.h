/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Views: how a party sees a morsel.
 */
#ifndef MORSEL_VIEW_H
#define MORSEL_VIEW_H

#include "map/map.h"

struct view;
struct hidden;

/**
 * struct view_ops - what a kind of view does
 * @exclusive:	others may have what it does not: nothing of it is mapped by itself, and what it may
 *		write it may show for reading first
 * @tables:	the tableset that shows it with some rights; NULL where there is none, as
 *		nobody has asked for anything in it
 * @show:	see that there is one, and that it shows what there is, from span @first
 *		to before @end, as far as that takes no longer than a fault; 0, -ENOMEM,
 *		-EDQUOT
 * @fault:	see that it shows page @index, which may have to be allocated, as @policy of the
 *		mapping has it, or with NULL as the morsel's and the task's have, and, if it is to be
 *		written (@access), is the view's own; 0, -ENOMEM, -EDQUOT, -EBUSY (its span is closed: it does
 *		not wait), -EINTR (a fatal signal), -EIO (what is to be copied has failed)
 * @wait:	wait until page @index can be had for reading, or to be written, as @fault said that it cannot
 *		now (-EBUSY); @state says which signals end it, but that the gate is only left for those that kill; 0, and it
 *		may be asked for again; -EINTR, or whatever else there is to say
 * @populate:	see that all pages from @first to before @end are allocated, in bulk; policy
 *		and errors as of @fault; @state says which signals end it.  Only with TASK_RUNNING, none, it does
 *		not wait where a span is closed
 * @page:	take a reference to what is behind a page, for reading or writing by the
 *		kernel, to be given back by map_put_page(); what follows in its frame is what the
 *		view has behind the next pages (map_page_room()); NULL: a hole, unless @write;
 *		ERR_PTR() of what @fault returns, but for -EBUSY, as it waits; ERR_PTR(-EIO): its
 *		memory has failed
 * @hide:	take what there is from @hidden->pos to before @hidden->end out of its
 *		tables, or as much of that as there is memory to remember, @hidden->frames
 *		being empty; set @hidden->first and ->last, and move @hidden->pos on
 */
struct view_ops {
	bool exclusive;
	struct tableset *(*tables)(const struct view *view, enum morsel_rights rights);
	int (*show)(struct view *view, enum morsel_rights rights, unsigned long first,
		    unsigned long end);
	int (*fault)(struct view *view, enum morsel_rights rights, const struct mempolicy *policy,
		     unsigned long index, enum map_access access);
	int (*wait)(struct view *view, unsigned long index, bool write, unsigned int state);
	int (*populate)(struct view *view, const struct mempolicy *policy, unsigned long first,
			unsigned long end, unsigned int state);
	struct page *(*page)(struct view *view, unsigned long index, bool write);
	void (*hide)(struct view *view, struct hidden *hidden);
};

/**
 * struct view - how a party sees a morsel
 * @ops:	its kind
 * @map:	what there is to see
 */
struct view {
	const struct view_ops *ops;
	struct map *map;
};

/**
 * struct hidden - what is being taken away
 * @range:	what is closed
 * @pos:	first byte that is still to be hidden
 * @end:	byte after the last
 * @first:	first byte of what was hidden last
 * @last:	byte after the last of that; not behind @first: there was nothing
 * @frames:	these frames
 * @dropped:	tables that others have, too, with what they show
 * @cows:	private copies of what is taken away go, too
 * @keep:	view_cut(): page after the last that is to be kept
 * @err:	0, or why that could not be done
 */
struct hidden {
	struct closed range;
	loff_t pos;
	loff_t end;
	loff_t first;
	loff_t last;
	struct frame_batch frames;
	struct list_head dropped;
	bool cows;
	unsigned long keep;
	int err;
};

static inline enum morsel_rights rights_of(unsigned long vm_flags)
{
	return (vm_flags & VM_WRITE ? 0 : RIGHTS_RO) | (vm_flags & VM_EXEC ? RIGHTS_RWX : 0);
}

/* Pages are about to be mapped one by one; pairs with view_wait_mappers(). */
static inline void view_be_paged(struct view *view)
{
	if (READ_ONCE(view->map->paged))
		return;
	/* Before it is looked what is there. */
	smp_store_mb(view->map->paged, true);
}

/*
 * Is a morsel, or was it, cloned, so that there may be something in it that others have, too?  Or does a view show what
 * is there for reading until it is to be written?
 */
static inline enum map_shares view_shares(const struct view *view)
{
	return view->ops->exclusive ? SHARES_SMALL : READ_ONCE(view->map->shares);
}

/* plain.c */
extern const struct view_ops plain_view_ops;

/* view.c */
unsigned long view_ended(const struct view *view);
bool view_waits(const struct view *view, int err, unsigned long ended);
bool view_wait(struct view *view, unsigned long index, int err, bool write, unsigned int state);
int view_show_reserved(struct view *view, enum morsel_rights rights, unsigned long first,
		       unsigned long end);
int view_populate(struct view *view, unsigned long first, unsigned long end, unsigned int state);
int view_copy(struct view *view, unsigned long index, size_t offset, void *buf, size_t len,
	      bool write);
int view_close(struct view *view, struct hidden *hidden, loff_t start, loff_t end);
void view_open(struct view *view, struct hidden *hidden);
void view_discard(struct view *view, struct hidden *hidden);
struct page *view_peek(struct view *view, unsigned long index);
void view_keep_pages(struct view *view, unsigned long first, unsigned int count,
		     struct page **pages);
void view_let_go(struct view *view);
void view_put_page(struct page *page);
bool view_shows(const struct view *view, unsigned long index, const struct page *page);
void view_wait_mappers(struct view *view, const struct hidden *hidden);
bool view_shows_own(const struct view *view, unsigned long index, const struct page *page);
int view_own_range(struct view *view, loff_t start, loff_t end);
bool view_is_own_range(struct view *view, loff_t start, loff_t end);
void view_share_prepare(struct view *view, enum map_shares least);
int view_still_begin(struct view *view, struct closed *range, enum share_wait wait);
int view_meet_heir(struct view *view, struct map *heir);
void view_hand_over(struct view *view, struct map *heir);
int view_share_begin(struct view *view, struct closed *range, enum map_shares least,
		     enum share_wait wait);
int view_share(struct view *view, struct map *clone, const struct gibs *gibs);
int view_exchange(struct view *view, struct map *other, const struct gibs *gibs);
void view_share_end(struct view *view, struct closed *range);
bool view_has_gib(const struct view *view, unsigned long gib);
bool view_cut_begin(struct view *view, unsigned long index);
void view_cut_end(struct view *view);
void view_cut(struct view *view, struct hidden *hidden);

#endif /* MORSEL_VIEW_H */
