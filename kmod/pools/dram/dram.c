// SPDX-License-Identifier: GPL-2.0
/*
 * The dram pools: frames borrowed from the kernel.
 *
 * Who gets which frame is decided by two frame allocators (frames/frames.h), without
 * a lock.  To the small one, a child is a chunk of up to 512 pages that is there
 * while it is borrowed; they need not lie beside each other, so that fragmented
 * memory does as well.  To the huge one, a frame is a compound page of 2 MiB, and of
 * order 0; those that are not borrowed are in use.  A page's private field says which
 * frame it is.
 *
 * What is idle is kept for a while, and then, or when memory runs short, or when
 * the limit is needed for the other size, goes back to the kernel.
 *
 * A frame is an ordinary page with one reference, ours.  get_user_pages() and
 * friends add theirs; a frame that has any of them when it is freed is set
 * aside until it has ours alone.
 *
 * A frame whose memory has failed (memory_failure() says so in its flags) is not
 * handed out again.
 */
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/idr.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "debug/debug.h"
#include "frames/frames.h"
#include "pools/pool.h"

#define CHUNK_PAGES FRAMES_PER_CHILD

/* Frames are got and put in batches of so many. */
#define BATCH 64

static unsigned int dram_idle_seconds = 5;
module_param(dram_idle_seconds, uint, 0644);
MODULE_PARM_DESC(dram_idle_seconds,
		 "Give memory back to the kernel that was idle for so long (default: 5)");

/**
 * struct dram_chunk - pages that are a child of the small allocator
 * @base:	the first, where they lie beside each other; else NULL
 * @pages:	else, each
 * @nr:		how many
 * @nr_lost:	of these, those that stay in use: their memory has failed, or they
 *		went back to the kernel alone
 * @gone:	a bit for each of the latter, and at the end for those that were lost
 * @since:	jiffies when one was last put
 * @dirty:	a bit for each page that was handed out since the chunk was
 *		borrowed; the others are clear
 *
 * The first three do not change while the chunk is there.
 */
struct dram_chunk {
	struct page *base;
	struct page **pages;
	unsigned int nr;
	atomic_t nr_lost;
	unsigned long since;
	DECLARE_BITMAP(dirty, CHUNK_PAGES);
	DECLARE_BITMAP(gone, CHUNK_PAGES);
};

/**
 * struct dram_huge - a huge frame that is borrowed
 * @page:	its first page; NULL: not borrowed
 * @since:	jiffies when it was put
 *
 * Who has got the frame may write both; others have a look.
 */
struct dram_huge {
	struct page *page;
	unsigned long since;
};

/**
 * struct dram_allocator - an allocator, and the numbers of what it has
 * @frames:	the allocator
 * @ida:	of children, or of huge frames, that are borrowed
 * @count:	how many of these there can be
 * @top:	none that was ever borrowed has this number, or a higher one
 * @cursor:	where to look for idle ones next; under the pool's giving lock
 */
struct dram_allocator {
	struct frames frames;
	struct ida ida;
	unsigned int count;
	unsigned int top;
	unsigned int cursor;
};

/**
 * struct dram_pool - a node's pool
 * @pool:	what all pools have
 * @list:	in dram_pools
 * @small:	pages
 * @huge:	huge frames
 * @chunks:	by child of @small; set before the child is added, and read by who
 *		has a frame of it or, under @giving, the child's count
 * @huges:	by frame of @huge
 * @limit:	pages it may hold
 * @growing:	held for reading by who borrows; for writing by who has found nothing,
 *		as others may have borrowed more than they need
 * @held:	pages it holds: used, free and set aside; not those that failed
 * @used:	pages of morsels, tables too; counted down before they are free, so
 *		that used and pinned ones together are never more than @held
 * @nr_pinned:	pages set aside
 * @borrows:	chunks and huge frames ever borrowed
 * @returns:	chunks and huge frames ever given back
 * @giving:	one at a time takes what is idle or was set aside back
 * @lock:	protects what follows
 * @pinned:	small frames set aside, by page->lru
 * @pinned_huge: huge frames set aside
 * @nr_small:	of @pinned
 * @nr_huge:	of @pinned_huge
 */
struct dram_pool {
	struct frame_pool pool;
	struct list_head list;
	struct dram_allocator small;
	struct dram_allocator huge;
	struct dram_chunk **chunks;
	struct dram_huge *huges;
	unsigned long limit;
	struct mutex giving;
	struct rw_semaphore growing;
	atomic_long_t held ____cacheline_aligned_in_smp;
	atomic_long_t used;
	atomic_long_t nr_pinned;
	atomic64_t borrows;
	atomic64_t returns;
	spinlock_t lock;
	struct list_head pinned;
	struct list_head pinned_huge;
	unsigned long nr_small;
	unsigned long nr_huge;
};

/* All dram pools, for the shrinker and the worker that gives idle memory back. */
static LIST_HEAD(dram_pools);
static DEFINE_MUTEX(dram_pools_lock);

static struct shrinker *dram_shrinker;
static void dram_tidy(struct work_struct *work);
static DECLARE_DELAYED_WORK(dram_tidy_work, dram_tidy);

static struct dram_pool *to_dram(struct frame_pool *pool)
{
	return container_of(pool, struct dram_pool, pool);
}

static void tidy_later(void)
{
	/* Each put comes here. */
	if (!delayed_work_pending(&dram_tidy_work))
		queue_delayed_work(system_unbound_wq, &dram_tidy_work, HZ);
}

/* Has some of a frame's memory failed? */
static bool frame_bad(struct page *page, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1U << order; i++)
		if (PageHWPoison(page + i))
			return true;
	return false;
}

static void say_lost(struct page *page, unsigned int order)
{
	pr_warn("morsel: %lu KiB at frame 0x%lx are lost: memory has failed there\n",
		(PAGE_SIZE << order) / 1024, page_to_pfn(page));
}

/* Count up to @pages more, so that there are no more than @limit; returns how many. */
static unsigned long count_up(atomic_long_t *counter, unsigned long limit, unsigned long pages,
			      unsigned long least)
{
	long old = atomic_long_read(counter);
	unsigned long room;

	do {
		room = min(pages, limit - min_t(unsigned long, limit, old));
		if (!room || room < least)
			return 0;
	} while (!atomic_long_try_cmpxchg(counter, &old, old + room));
	return room;
}

/* Chunks. */

static struct page *chunk_page(const struct dram_chunk *chunk, unsigned int index)
{
	return chunk->base ? chunk->base + index : chunk->pages[index];
}

static void page_return(struct page *page)
{
	set_page_private(page, 0);
	put_page(page);
}

/*
 * Give a chunk, but for what is gone, back to the kernel, whose allocator sorts out pages
 * whose memory has failed.
 */
static void chunk_return(struct dram_chunk *chunk)
{
	unsigned int i;

	for (i = 0; i < chunk->nr; i++)
		if (!test_bit(i, chunk->gone))
			page_return(chunk_page(chunk, i));
	kfree(chunk->pages);
	kfree(chunk);
	cond_resched();
}

/* The same for a huge frame; parts of one cannot be sorted out: it is kept for good. */
static void huge_return(struct page *page)
{
	set_page_private(page, 0);
	if (frame_bad(page, HUGE_ORDER))
		say_lost(page, HUGE_ORDER);
	else
		put_page(page);
	cond_resched();
}

/* Never by way of the OOM killer: running out is the caller's to report. */
#define QUIETLY (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define BRIEFLY (GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

/* Cleared by the kernel, which does so only once even where init_on_alloc is set. */
static struct page *borrow(struct dram_pool *dram, gfp_t gfp, unsigned int order)
{
	return alloc_pages_node(dram->pool.node, gfp | __GFP_ZERO | __GFP_THISNODE, order);
}

/* Pages in smaller pieces, as large as there are. */
static bool chunk_fill(struct dram_pool *dram, struct dram_chunk *chunk, unsigned int nr)
{
	int order = ilog2(min(nr, CHUNK_PAGES / 2)), i;

	chunk->pages = kmalloc_array(nr, sizeof(*chunk->pages), QUIETLY);
	if (!chunk->pages)
		return false;
	while (chunk->nr < nr && order >= 0) {
		struct page *page = NULL;

		/* Trying hard is for the first page alone: somebody needs one. */
		if (1U << order <= nr - chunk->nr)
			page = borrow(dram, order || chunk->nr ? BRIEFLY : QUIETLY, order);
		if (!page) {
			order--;
			continue;
		}
		if (order)
			split_page(page, order);
		for (i = 0; i < 1 << order; i++)
			chunk->pages[chunk->nr++] = page + i;
	}
	return chunk->nr;
}

static struct dram_chunk *chunk_borrow(struct dram_pool *dram, unsigned int nr)
{
	struct dram_chunk *chunk = kzalloc(sizeof(*chunk), QUIETLY);

	if (!chunk)
		return NULL;
	if (nr == CHUNK_PAGES)
		chunk->base = borrow(dram, BRIEFLY, HUGE_ORDER);
	if (chunk->base) {
		split_page(chunk->base, HUGE_ORDER);
		chunk->nr = nr;
	} else if (!chunk_fill(dram, chunk, nr)) {
		kfree(chunk->pages);
		kfree(chunk);
		return NULL;
	}
	return chunk;
}

/* What is looked through for idle memory. */
struct idle_walk {
	unsigned long before; /* jiffies: what was put later is young */
	unsigned long wanted; /* pages */
	unsigned long given;
	bool young;
};

static bool is_old(struct idle_walk *walk, unsigned long since)
{
	if (time_after(since, walk->before)) {
		walk->young = true;
		return false;
	}
	return true;
}

static void give_chunk(struct dram_pool *dram, unsigned int child, struct idle_walk *walk)
{
	unsigned int free = frames_child_free(&dram->small.frames, child);
	struct dram_chunk *chunk;

	/* Who has seen its count has seen the chunk. */
	if (!free)
		return;
	chunk = dram->chunks[child];
	if (free != chunk->nr - atomic_read(&chunk->nr_lost) ||
	    !is_old(walk, READ_ONCE(chunk->since)) ||
	    frames_remove(&dram->small.frames, child, free))
		return;
	dram->chunks[child] = NULL;
	ida_free(&dram->small.ida, child);
	atomic_long_sub(free, &dram->held);
	atomic64_inc(&dram->returns);
	walk->given += free;
	chunk_return(chunk);
}

static void give_huge(struct dram_pool *dram, unsigned int index, struct idle_walk *walk)
{
	struct dram_huge *huge = &dram->huges[index];
	struct page *page;
	u64 frame = index;
	int err;

	if (frames_in_use(&dram->huge.frames, frame) || !is_old(walk, READ_ONCE(huge->since)))
		return;
	/* As in get_frames(). */
	get_cpu();
	err = frames_get_at(&dram->huge.frames, frame, 0);
	put_cpu();
	if (err)
		return;
	page = huge->page;
	WRITE_ONCE(huge->page, NULL);
	ida_free(&dram->huge.ida, index);
	atomic_long_sub(CHUNK_PAGES, &dram->held);
	atomic64_inc(&dram->returns);
	walk->given += CHUNK_PAGES;
	huge_return(page);
}

static void give_some(struct dram_pool *dram, struct dram_allocator *of, struct idle_walk *walk,
		      void (*give)(struct dram_pool *, unsigned int, struct idle_walk *))
{
	unsigned int top = READ_ONCE(of->top), i;

	for (i = 0; i < top && walk->given < walk->wanted; i++) {
		if (of->cursor >= top)
			of->cursor = 0;
		give(dram, of->cursor++, walk);
		if (!(i % CHUNK_PAGES))
			cond_resched();
	}
}

/* Give idle memory back to the kernel. */
static void give_idle(struct dram_pool *dram, struct idle_walk *walk) __must_hold(&dram->giving)
{
	if (walk->given >= walk->wanted)
		return;
	/* What a processor has claimed is idle, too, if no frame of it is in use. */
	get_cpu();
	frames_drain(&dram->small.frames);
	put_cpu();
	give_some(dram, &dram->small, walk, give_chunk);
	give_some(dram, &dram->huge, walk, give_huge);
}

/* Whole 2 MiB that give_idle() would find, but for what processors have claimed; pages. */
static unsigned long count_idle(struct dram_pool *dram)
{
	unsigned int top = READ_ONCE(dram->small.top), i;
	unsigned long pages = 0;

	for (i = 0; i < top; i++)
		if (frames_child_free(&dram->small.frames, i) == CHUNK_PAGES)
			pages += CHUNK_PAGES;
	top = READ_ONCE(dram->huge.top);
	for (i = 0; i < top; i++)
		if (!frames_in_use(&dram->huge.frames, i))
			pages += CHUNK_PAGES;
	return pages;
}

/* Frames. */

static struct frames *allocator_of(struct dram_pool *dram, unsigned int order)
{
	return order ? &dram->huge.frames : &dram->small.frames;
}

/* Get frames that are borrowed and free; returns how many. */
static unsigned int get_frames(struct dram_pool *dram, unsigned int order, unsigned int count,
			       u64 *numbers)
{
	unsigned int got;

	/* Not to be preempted with a child claimed that no processor has: others wait for that. */
	got = frames_get(allocator_of(dram, order), get_cpu(), 0, count, numbers);
	put_cpu();
	return got;
}

/* Put frames that nobody else holds; all of one order. */
static void put_frames(struct dram_pool *dram, unsigned int order, unsigned int count,
		       const u64 *numbers)
{
	int err = frames_put(allocator_of(dram, order), raw_smp_processor_id(), 0, count, numbers);

	WARN(err, "morsel: a frame is put that is free\n");
}

/* Make a frame ready to be put; its number. */
static u64 put_prepare(struct dram_pool *dram, unsigned int order, struct page *page)
{
	u64 number = page_private(page);
	unsigned long *since = order ? &dram->huges[number].since
				     : &dram->chunks[number / CHUNK_PAGES]->since;

	if (time_before(READ_ONCE(*since), jiffies))
		WRITE_ONCE(*since, jiffies);
	return number;
}

/* May a frame go back?  Of failed memory, a reference may be kept for ever. */
static bool may_free(struct page *page, unsigned int order)
{
	return page_ref_count(page) == 1 || frame_bad(page, order);
}

static void set_aside(struct dram_pool *dram, unsigned int order, struct page *page)
{
	atomic_long_add(1UL << order, &dram->nr_pinned);
	spin_lock(&dram->lock);
	list_add_tail(&page->lru, order ? &dram->pinned_huge : &dram->pinned);
	++*(order ? &dram->nr_huge : &dram->nr_small);
	spin_unlock(&dram->lock);
}

/*
 * Look at some of those that are set aside, and sort out who is pinned no more, or all.
 * Returns how many were looked at, at most @left.
 */
static unsigned long sort_pinned(struct dram_pool *dram, unsigned int order, unsigned long left,
				 bool all, struct list_head *free)
{
	struct list_head *pinned = order ? &dram->pinned_huge : &dram->pinned;
	unsigned long *nr = order ? &dram->nr_huge : &dram->nr_small, seen;
	struct page *page;

	spin_lock(&dram->lock);
	left = min3(left, *nr, (unsigned long)BATCH);
	for (seen = 0; seen < left; seen++) {
		page = list_first_entry(pinned, struct page, lru);
		if (all || may_free(page, order)) {
			list_move(&page->lru, free);
			--*nr;
		} else {
			list_move_tail(&page->lru, pinned);
		}
	}
	spin_unlock(&dram->lock);
	return left;
}

/* Take back frames that were set aside and are pinned no more; or, at the end, all. */
static void reap_pinned_of(struct dram_pool *dram, unsigned int order, bool all)
{
	unsigned long left = READ_ONCE(*(order ? &dram->nr_huge : &dram->nr_small)), seen;
	struct page *page, *next;
	LIST_HEAD(free);
	u64 number;

	while (left && (seen = sort_pinned(dram, order, left, all, &free))) {
		left -= seen;
		list_for_each_entry_safe(page, next, &free, lru) {
			list_del(&page->lru);
			number = put_prepare(dram, order, page);
			if (!all)
				morsel_poison(page, order);
			atomic_long_sub(1UL << order, &dram->nr_pinned);
			put_frames(dram, order, 1, &number);
		}
		cond_resched();
	}
}

static void reap_pinned(struct dram_pool *dram) __must_hold(&dram->giving)
{
	if (!atomic_long_read(&dram->nr_pinned))
		return;
	reap_pinned_of(dram, 0, false);
	reap_pinned_of(dram, HUGE_ORDER, false);
}

/*
 * Make room for @pages under the limit, by giving back what is idle.  Returns
 * how many of @pages there is room for, and counts these as held; 0 if there is
 * not even room for @least.
 */
static unsigned long reserve(struct dram_pool *dram, unsigned long pages, unsigned long least)
{
	unsigned long limit = READ_ONCE(dram->limit);
	unsigned long room = count_up(&dram->held, limit, pages, pages);
	struct idle_walk walk;

	if (room)
		return room;
	mutex_lock(&dram->giving);
	reap_pinned(dram);
	/* Others may be quicker to take the room that we make. */
	do {
		walk = (struct idle_walk){.before = jiffies};
		walk.wanted = atomic_long_read(&dram->held) + pages;
		walk.wanted -= min(walk.wanted, limit);
		give_idle(dram, &walk);
		room = count_up(&dram->held, limit, pages, pages);
	} while (!room && walk.given);
	if (!room)
		room = count_up(&dram->held, limit, pages, least);
	mutex_unlock(&dram->giving);
	return room;
}

/*
 * Count up to @pages, which were got, as used; the others are to be put.  What is free
 * in the pool is not handed out where the limit was lowered below it.
 */
static unsigned long charge(struct dram_pool *dram, unsigned long pages, unsigned long least)
{
	unsigned long limit = READ_ONCE(dram->limit), room, pinned;

	pinned = atomic_long_read(&dram->nr_pinned);
	room = count_up(&dram->used, limit - min(limit, pinned), pages, least);
	if (room || !pinned)
		return room;
	mutex_lock(&dram->giving);
	reap_pinned(dram);
	mutex_unlock(&dram->giving);
	pinned = atomic_long_read(&dram->nr_pinned);
	return count_up(&dram->used, limit - min(limit, pinned), pages, least);
}

/*
 * Of a frame that was got, some memory has failed: it stays in use, and is held no
 * more.
 */
static void lose(struct dram_pool *dram, unsigned int order, struct page *page)
{
	say_lost(page, order);
	atomic_long_sub(1UL << order, &dram->used);
	atomic_long_sub(1UL << order, &dram->held);
}

/* A number for what is to be borrowed; negative: there is none. */
static int number_get(struct dram_allocator *of)
{
	int number = ida_alloc_max(&of->ida, of->count - 1, QUIETLY);
	unsigned int top = READ_ONCE(of->top);

	while (number >= 0 && number >= top && !try_cmpxchg(&of->top, &top, number + 1))
		;
	return number;
}

static void chunk_add(struct dram_pool *dram, unsigned int child, struct dram_chunk *chunk)
{
	unsigned int i;
	int err;

	for (i = 0; i < chunk->nr; i++)
		set_page_private(chunk_page(chunk, i), (unsigned long)child * CHUNK_PAGES + i);
	/* Idle it is until somebody takes of it, who may not be allowed to any more. */
	chunk->since = jiffies;
	dram->chunks[child] = chunk;
	atomic64_inc(&dram->borrows);
	tidy_later();
	err = frames_add(&dram->small.frames, child, chunk->nr);
	WARN(err, "morsel: chunk %u is there\n", child);
}

/* Borrow a chunk for small frames.  -ENOSPC: there is no room for one. */
static int grow_small(struct dram_pool *dram)
{
	unsigned long room = reserve(dram, CHUNK_PAGES, 1);
	struct dram_chunk *chunk;
	int child;

	if (!room)
		return -ENOSPC;
	child = number_get(&dram->small);
	chunk = child < 0 ? NULL : chunk_borrow(dram, room);
	atomic_long_sub(room - (chunk ? chunk->nr : 0), &dram->held);
	if (chunk)
		chunk_add(dram, child, chunk);
	else if (child >= 0)
		ida_free(&dram->small.ida, child);
	return chunk ? 0 : -ENOMEM;
}

/* Of pages that were got, leave out those that failed, and clear those that are not clear. */
static unsigned int take_small(struct dram_pool *dram, unsigned int count, const u64 *numbers,
			       struct page **frames)
{
	unsigned int got = 0, i;

	for (i = 0; i < count; i++) {
		struct dram_chunk *chunk = dram->chunks[numbers[i] / CHUNK_PAGES];
		unsigned int index = numbers[i] % CHUNK_PAGES;
		struct page *page = chunk_page(chunk, index);

		if (frame_bad(page, 0)) {
			lose(dram, 0, page);
			atomic_inc(&chunk->nr_lost);
			continue;
		}
		if (test_and_set_bit(index, chunk->dirty)) {
			morsel_check_poison(page, 0);
			clear_highpage(page);
		}
		frames[got++] = page;
	}
	return got;
}

/* Is there no room for so many, whatever others are about to do? */
static bool is_full(struct dram_pool *dram, unsigned long pages)
{
	return !atomic_long_read(&dram->nr_pinned) &&
	       atomic_long_read(&dram->used) + pages > READ_ONCE(dram->limit);
}

/* Get frames that are free, or borrow some; a negative errno if there are none. */
static int find_small(struct dram_pool *dram, unsigned int count, u64 *numbers)
{
	unsigned int found;
	int err = 0;

	do {
		found = get_frames(dram, 0, count, numbers);
		if (!found)
			err = fatal_signal_pending(current) ? -EINTR : grow_small(dram);
	} while (!found && !err);
	return found ?: err;
}

static int find_small_locked(struct dram_pool *dram, unsigned int count, u64 *numbers)
{
	int found;

	if (is_full(dram, 1) || down_read_killable(&dram->growing))
		return 0;
	found = find_small(dram, count, numbers);
	up_read(&dram->growing);
	/* Who has the room may have borrowed more than it needs. */
	if (found == -ENOSPC && !down_write_killable(&dram->growing)) {
		found = find_small(dram, count, numbers);
		up_write(&dram->growing);
	}
	return max(found, 0);
}

static unsigned int get_small(struct dram_pool *dram, unsigned int count, struct page **frames)
{
	unsigned int got = 0, wanted, found, charged;
	u64 numbers[BATCH] __uninitialized; /* most calls want one */

	while (got < count) {
		wanted = min_t(unsigned int, count - got, BATCH);
		found = get_frames(dram, 0, wanted, numbers);
		if (!found)
			found = find_small_locked(dram, wanted, numbers);
		if (!found)
			break;
		charged = charge(dram, found, 1);
		if (charged < found) {
			put_frames(dram, 0, found - charged, numbers + charged);
			tidy_later();
		}
		if (!charged)
			break;
		got += take_small(dram, charged, numbers, frames + got);
		cond_resched();
	}
	return got;
}

/* ERR_PTR(-ENOSPC): there is no room for one. */
static struct page *borrow_huge(struct dram_pool *dram)
{
	unsigned long room = reserve(dram, CHUNK_PAGES, CHUNK_PAGES);
	int number = room ? number_get(&dram->huge) : -1;
	struct page *page = number < 0 ? NULL : borrow(dram, BRIEFLY | __GFP_COMP, HUGE_ORDER);

	if (page) {
		set_page_private(page, number);
		WRITE_ONCE(dram->huges[number].page, page);
		atomic64_inc(&dram->borrows);
		atomic_long_add(CHUNK_PAGES, &dram->used);
		return page;
	}
	if (number >= 0)
		ida_free(&dram->huge.ida, number);
	atomic_long_sub(room, &dram->held);
	return ERR_PTR(room ? -ENOMEM : -ENOSPC);
}

/* Take a huge frame that was got; none if its memory has failed. */
static struct page *take_huge(struct dram_pool *dram, u64 number)
{
	struct page *page = dram->huges[number].page;
	unsigned int i;

	if (frame_bad(page, HUGE_ORDER)) {
		lose(dram, HUGE_ORDER, page);
		WRITE_ONCE(dram->huges[number].page, NULL);
		ida_free(&dram->huge.ida, number);
		return NULL;
	}
	morsel_check_poison(page, HUGE_ORDER);
	for (i = 0; i < CHUNK_PAGES; i++) {
		clear_highpage(page + i);
		cond_resched();
	}
	return page;
}

/* A huge frame that was put before. */
static struct page *reuse_huge(struct dram_pool *dram)
{
	struct page *page = NULL;
	u64 number;

	while (!page && get_frames(dram, HUGE_ORDER, 1, &number)) {
		if (!charge(dram, CHUNK_PAGES, CHUNK_PAGES)) {
			put_frames(dram, HUGE_ORDER, 1, &number);
			tidy_later();
			break;
		}
		page = take_huge(dram, number);
	}
	return page;
}

/* As find_small_locked(). */
static struct page *borrow_huge_locked(struct dram_pool *dram)
{
	struct page *page;

	if (is_full(dram, CHUNK_PAGES) || down_read_killable(&dram->growing))
		return NULL;
	page = borrow_huge(dram);
	up_read(&dram->growing);
	if (page == ERR_PTR(-ENOSPC) && !down_write_killable(&dram->growing)) {
		page = reuse_huge(dram) ?: borrow_huge(dram);
		up_write(&dram->growing);
	}
	return IS_ERR(page) ? NULL : page;
}

static unsigned int get_huge(struct dram_pool *dram, unsigned int count, struct page **frames)
{
	unsigned int got = 0;
	struct page *page;

	while (got < count) {
		page = reuse_huge(dram) ?: borrow_huge_locked(dram);
		if (!page)
			break;
		frames[got++] = page;
	}
	return got;
}

static unsigned int dram_get(struct frame_pool *pool, unsigned int order, unsigned int count,
			     struct page **frames)
{
	return order ? get_huge(to_dram(pool), count, frames)
		     : get_small(to_dram(pool), count, frames);
}

/* Put a batch, of frames of one order that nobody else holds. */
static void put_batch(struct dram_pool *dram, unsigned int order, unsigned int count,
		      const u64 *numbers)
{
	atomic_long_sub((unsigned long)count << order, &dram->used);
	put_frames(dram, order, count, numbers);
	cond_resched();
}

static void dram_put(struct frame_pool *pool, unsigned int order, struct list_head *frames)
{
	struct dram_pool *dram = to_dram(pool);
	unsigned int count = 0, seen = 0;
	struct page *page, *next;
	u64 numbers[BATCH] __uninitialized; /* as in get_small() */

	list_for_each_entry_safe(page, next, frames, lru) {
		list_del(&page->lru);
		if (!may_free(page, order)) {
			atomic_long_sub(1UL << order, &dram->used);
			set_aside(dram, order, page);
		} else if (!order && morsel_planted(PLANT_LEAK)) {
			atomic_long_dec(&dram->used);
		} else {
			numbers[count++] = put_prepare(dram, order, page);
			morsel_poison(page, order);
		}
		if (++seen % BATCH == 0) {
			put_batch(dram, order, count, numbers);
			count = 0;
		}
	}
	put_batch(dram, order, count, numbers);
	tidy_later();
}

/*
 * Where the limit is reached but a page of some chunk is free, that goes back to the
 * kernel alone, and something else is held in its place.
 */
static bool exchange_page(struct dram_pool *dram)
{
	struct dram_chunk *chunk;
	unsigned int index;
	u64 number;

	if (!get_frames(dram, 0, 1, &number))
		return false;
	chunk = dram->chunks[number / CHUNK_PAGES];
	index = number % CHUNK_PAGES;
	set_bit(index, chunk->gone);
	page_return(chunk_page(chunk, index));
	atomic_inc(&chunk->nr_lost);
	return true;
}

/* A page of the kernel's, to be held.  ERR_PTR(-ENOSPC): there is no room for one. */
static struct page *borrow_table(struct dram_pool *dram)
{
	struct page *page;

	if (!reserve(dram, 1, 1) && !exchange_page(dram))
		return ERR_PTR(-ENOSPC);
	page = morsel_table_make(borrow(dram, QUIETLY, 0));
	if (page)
		atomic_long_inc(&dram->used);
	else
		atomic_long_dec(&dram->held);
	return page;
}

/*
 * Tables are never pinned, and are freed after a grace period: the kernel's
 * allocator serves them as it does its own.
 */
static struct page *dram_get_table(struct frame_pool *pool)
{
	struct dram_pool *dram = to_dram(pool);
	struct page *page;

	if (is_full(dram, 1) || down_read_killable(&dram->growing))
		return NULL;
	page = borrow_table(dram);
	up_read(&dram->growing);
	if (page == ERR_PTR(-ENOSPC) && !down_write_killable(&dram->growing)) {
		page = borrow_table(dram);
		up_write(&dram->growing);
	}
	return IS_ERR(page) ? NULL : page;
}

static void dram_put_table(struct frame_pool *pool, struct page *table)
{
	struct dram_pool *dram = to_dram(pool);

	morsel_table_free(table);
	atomic_long_dec(&dram->used);
	atomic_long_dec(&dram->held);
}

static void dram_resize(struct frame_pool *pool, unsigned long limit)
{
	struct dram_pool *dram = to_dram(pool);
	struct idle_walk walk = {.before = jiffies};
	unsigned long held;

	WRITE_ONCE(dram->limit, limit);
	mutex_lock(&dram->giving);
	held = atomic_long_read(&dram->held);
	walk.wanted = held - min(held, limit);
	give_idle(dram, &walk);
	mutex_unlock(&dram->giving);
}

static void dram_stat(struct frame_pool *pool, struct morsel_pool_info *info)
{
	struct dram_pool *dram = to_dram(pool);
	u64 held, used, pinned;

	mutex_lock(&dram->giving);
	reap_pinned(dram);
	mutex_unlock(&dram->giving);
	used = atomic_long_read(&dram->used);
	pinned = atomic_long_read(&dram->nr_pinned);
	held = max_t(u64, atomic_long_read(&dram->held), used + pinned);
	info->limit_bytes = (u64)READ_ONCE(dram->limit) << PAGE_SHIFT;
	info->held_bytes = held << PAGE_SHIFT;
	info->used_bytes = used << PAGE_SHIFT;
	info->pinned_bytes = pinned << PAGE_SHIFT;
	info->free_bytes = (held - used - pinned) << PAGE_SHIFT;
	info->free_huge_bytes = (u64)count_idle(dram) << PAGE_SHIFT;
	info->borrows = atomic64_read(&dram->borrows);
	info->returns = atomic64_read(&dram->returns);
}

/* What may be used yet; as reads of several counters go, roughly. */
static unsigned long dram_room(struct frame_pool *pool)
{
	struct dram_pool *dram = to_dram(pool);
	unsigned long limit = READ_ONCE(dram->limit);
	unsigned long taken = atomic_long_read(&dram->used) + atomic_long_read(&dram->nr_pinned);

	return limit - min(limit, taken);
}

static void allocator_free(struct dram_allocator *of)
{
	kvfree(of->frames.bits);
	kvfree(of->frames.slots);
	ida_destroy(&of->ida);
}

/**
 * morsel_lines_alloc() - memory for an allocator's words or slots
 * @size:	bytes
 * @node:	NUMA node
 * Return: zeros, aligned to a cache line, to be freed by kvfree(); or NULL.
 */
void *morsel_lines_alloc(size_t size, int node)
{
	/* Where the slabs check, small sizes are not aligned. */
	return kvzalloc_node(max_t(size_t, size, 256), GFP_KERNEL, node);
}

static int allocator_make(struct dram_allocator *of, u32 node, unsigned int count,
			  unsigned int each)
{
	u64 nr = (u64)count * each;
	void *words = morsel_lines_alloc(frames_words_size(nr), node);
	struct frames_slot *slots = morsel_lines_alloc(nr_cpu_ids * sizeof(*slots), node);

	of->count = count;
	/* To be freed in any case. */
	of->frames.bits = words;
	of->frames.slots = slots;
	if (!words || !slots)
		return -ENOMEM;
	return frames_init(&of->frames, nr, words, slots, nr_cpu_ids, 1);
}

static void dram_free(struct dram_pool *dram)
{
	allocator_free(&dram->small);
	allocator_free(&dram->huge);
	kvfree(dram->chunks);
	kvfree(dram->huges);
	kfree(dram);
}

static int dram_init(struct dram_pool *dram, u32 node)
{
	unsigned int count = NODE_DATA(node)->node_present_pages / CHUNK_PAGES + 64;
	u64 numbers[BATCH];

	spin_lock_init(&dram->lock);
	mutex_init(&dram->giving);
	init_rwsem(&dram->growing);
	INIT_LIST_HEAD(&dram->pinned);
	INIT_LIST_HEAD(&dram->pinned_huge);
	ida_init(&dram->small.ida);
	ida_init(&dram->huge.ida);
	/* Some chunks are small: what is left under a limit. */
	if (allocator_make(&dram->small, node, 2 * count, CHUNK_PAGES) ||
	    allocator_make(&dram->huge, node, count, 1))
		return -ENOMEM;
	dram->chunks = kvcalloc(dram->small.count, sizeof(*dram->chunks), GFP_KERNEL);
	dram->huges = kvcalloc(dram->huge.count, sizeof(*dram->huges), GFP_KERNEL);
	if (!dram->chunks || !dram->huges)
		return -ENOMEM;
	frames_clear(&dram->small.frames, false);
	/* All are in use until they are borrowed and put. */
	frames_clear(&dram->huge.frames, true);
	while (frames_get(&dram->huge.frames, 0, 0, BATCH, numbers))
		;
	frames_drain(&dram->huge.frames);
	return 0;
}

static struct frame_pool *dram_create(u32 node, unsigned long limit)
{
	struct dram_pool *dram = kzalloc(sizeof(*dram), GFP_KERNEL);

	if (!dram)
		return ERR_PTR(-ENOMEM);
	dram->limit = limit;
	if (dram_init(dram, node)) {
		dram_free(dram);
		return ERR_PTR(-ENOMEM);
	}
	mutex_lock(&dram_pools_lock);
	list_add(&dram->list, &dram_pools);
	mutex_unlock(&dram_pools_lock);
	return &dram->pool;
}

/*
 * Give all of a chunk back that is free, and what has failed, which the kernel sorts out.
 * What else is in use was lost, and may be mapped still.
 */
static void end_chunk(struct dram_pool *dram, unsigned int child)
{
	struct dram_chunk *chunk = dram->chunks[child];
	unsigned int i;

	for (i = 0; i < chunk->nr; i++) {
		if (!frames_in_use(&dram->small.frames, (u64)child * CHUNK_PAGES + i))
			atomic_long_dec(&dram->held);
		else if (!frame_bad(chunk_page(chunk, i), 0))
			set_bit(i, chunk->gone);
	}
	chunk_return(chunk);
}

static void dram_destroy(struct frame_pool *pool)
{
	struct dram_pool *dram = to_dram(pool);
	unsigned int i;

	mutex_lock(&dram_pools_lock);
	list_del(&dram->list);
	mutex_unlock(&dram_pools_lock);

	reap_pinned_of(dram, 0, true);
	reap_pinned_of(dram, HUGE_ORDER, true);
	for (i = 0; i < dram->small.top; i++)
		if (dram->chunks[i])
			end_chunk(dram, i);
	for (i = 0; i < dram->huge.top; i++)
		if (dram->huges[i].page && !frames_in_use(&dram->huge.frames, i)) {
			atomic_long_sub(CHUNK_PAGES, &dram->held);
			huge_return(dram->huges[i].page);
		}
	WARN(atomic_long_read(&dram->held), "morsel: %ld pages are lost\n",
	     atomic_long_read(&dram->held));
	dram_free(dram);
}

static unsigned long dram_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct dram_pool *dram;
	unsigned long count = 0;

	if (!mutex_trylock(&dram_pools_lock))
		return 0;
	list_for_each_entry(dram, &dram_pools, list) {
		count += count_idle(dram);
		/* What is free but not whole may be so by a processor's claim alone. */
		if (!count &&
		    atomic_long_read(&dram->held) >
			    atomic_long_read(&dram->used) + atomic_long_read(&dram->nr_pinned))
			count = 1;
	}
	mutex_unlock(&dram_pools_lock);
	return count ?: SHRINK_EMPTY;
}

static unsigned long dram_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct idle_walk walk = {.before = jiffies, .wanted = sc->nr_to_scan};
	struct dram_pool *dram;

	if (!mutex_trylock(&dram_pools_lock))
		return SHRINK_STOP;
	list_for_each_entry(dram, &dram_pools, list) {
		mutex_lock(&dram->giving);
		reap_pinned(dram);
		give_idle(dram, &walk);
		mutex_unlock(&dram->giving);
	}
	mutex_unlock(&dram_pools_lock);
	sc->nr_scanned = max(sc->nr_scanned, walk.given);
	return walk.given ?: SHRINK_STOP;
}

/*
 * Give back what has been idle for long; run each second as long as there is
 * anything idle or set aside.
 */
static void dram_tidy(struct work_struct *work)
{
	struct idle_walk walk = {
		.before = jiffies - READ_ONCE(dram_idle_seconds) * HZ,
		.wanted = ULONG_MAX,
	};
	struct dram_pool *dram;

	mutex_lock(&dram_pools_lock);
	list_for_each_entry(dram, &dram_pools, list) {
		walk.young |= atomic_long_read(&dram->nr_pinned) != 0;
		mutex_lock(&dram->giving);
		reap_pinned(dram);
		give_idle(dram, &walk);
		mutex_unlock(&dram->giving);
	}
	mutex_unlock(&dram_pools_lock);
	if (walk.young)
		tidy_later();
}

/**
 * morsel_dram_init() - what all dram pools share: the shrinker
 * Return: 0 or a negative errno.
 */
int morsel_dram_init(void)
{
	int err;

	dram_shrinker = compat_shrinker_alloc("morsel-dram");
	if (!dram_shrinker)
		return -ENOMEM;
	dram_shrinker->count_objects = dram_shrink_count;
	dram_shrinker->scan_objects = dram_shrink_scan;
	dram_shrinker->batch = CHUNK_PAGES;
	err = compat_shrinker_register(dram_shrinker, "morsel-dram");
	if (err)
		kfree(dram_shrinker);
	return err;
}

/**
 * morsel_dram_exit() - no shrinking and tidying from here on
 */
void morsel_dram_exit(void)
{
	shrinker_free(dram_shrinker);
	cancel_delayed_work_sync(&dram_tidy_work);
}

const struct morsel_pool_ops morsel_dram_ops = {
	.kind = MORSEL_POOL_DRAM,
	.name = "dram",
	.create = dram_create,
	.destroy = dram_destroy,
	.get = dram_get,
	.put = dram_put,
	.get_table = dram_get_table,
	.put_table = dram_put_table,
	.resize = dram_resize,
	.room = dram_room,
	.stat = dram_stat,
};
