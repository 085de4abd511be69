// SPDX-License-Identifier: GPL-2.0
/*
 * The dram pools: frames borrowed from the kernel.
 *
 * Memory comes in chunks.  A huge frame is a chunk of its own, a compound page
 * of 2 MiB.  Small frames are cut from split chunks, 2 MiB too where the kernel
 * has that in one piece, and are taken from chunks in use before an idle one is
 * begun, so that whole chunks come free again. What is idle is kept for a
 * while, and then, or when memory runs short, or when the limit is needed for
 * the other size, goes back to the kernel.
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
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "debug.h"
#include "pool.h"

#define CHUNK_ORDER HUGE_ORDER
#define CHUNK_PAGES (1U << CHUNK_ORDER)

static unsigned int dram_idle_seconds = 5;
module_param(dram_idle_seconds, uint, 0644);
MODULE_PARM_DESC(dram_idle_seconds,
		 "Give memory back to the kernel that was idle for so long (default: 5)");

/**
 * struct dram_chunk - a piece of memory cut into small frames
 * @list:	in partial, idle or failed of its pool; on no list when none
 *		of its frames is free but some in use; under the pool's
 *		lock, as all below
 * @base:	first page; each page's private field points back here
 * @order:	log2 of its pages
 * @nr_free:	free frames
 * @nr_bad:	frames neither in use nor free, whose memory has failed
 * @since:	jiffies when it became idle
 * @free:	a bit for each free frame
 * @dirty:	a bit for each frame that was handed out since the chunk was
 *		borrowed; the others are clear
 */
struct dram_chunk {
	struct list_head list;
	struct page *base;
	unsigned int order;
	unsigned int nr_free;
	unsigned int nr_bad;
	unsigned long since;
	DECLARE_BITMAP(free, CHUNK_PAGES);
	DECLARE_BITMAP(dirty, CHUNK_PAGES);
};

/**
 * struct dram_pool - a node's pool
 * @pool:	what all pools have
 * @list:	in dram_pools
 * @lock:	protects all below
 * @partial:	chunks with frames in use and free ones
 * @idle:	chunks with no frame in use, the longest idle last
 * @failed:	chunks of failed memory only
 * @huge:	free huge frames by page->lru, the longest idle last;
 *		page->private says since when
 * @pinned:	small frames set aside, by page->lru
 * @pinned_huge: huge frames set aside
 * @limit:	pages it may hold
 * @held:	pages it holds: used, free and set aside
 * @used:	pages of morsels, tables too
 * @nr_huge:	huge frames in @huge
 * @nr_idle:	pages in @idle
 * @nr_pinned:	pages set aside
 * @borrows:	chunks ever borrowed
 * @returns:	chunks ever given back
 */
struct dram_pool {
	struct frame_pool pool;
	struct list_head list;
	spinlock_t lock;
	struct list_head partial;
	struct list_head idle;
	struct list_head failed;
	struct list_head huge;
	struct list_head pinned;
	struct list_head pinned_huge;
	unsigned long limit;
	unsigned long held;
	unsigned long used;
	unsigned long nr_huge;
	unsigned long nr_idle;
	unsigned long nr_pinned;
	u64 borrows;
	u64 returns;
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
	queue_delayed_work(system_unbound_wq, &dram_tidy_work, HZ);
}

/*
 * What leaves the pool's lists under its lock goes to the kernel after the lock
 * is dropped.
 */
struct dram_return {
	struct list_head chunks;
	struct list_head huge;
};

static void dram_return_init(struct dram_return *ret)
{
	INIT_LIST_HEAD(&ret->chunks);
	INIT_LIST_HEAD(&ret->huge);
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

/*
 * Give what was taken off the lists back to the kernel.  Frames that are pinned
 * stay alive until their holders let go.  Of failed memory the kernel's allocator
 * sorts out single pages, but not parts of huge ones: these are kept for good.
 */
static void dram_return(struct dram_return *ret)
{
	struct dram_chunk *chunk, *next_chunk;
	struct page *page, *next;
	unsigned int i;

	list_for_each_entry_safe(chunk, next_chunk, &ret->chunks, list) {
		for (i = 0; i < 1U << chunk->order; i++) {
			set_page_private(chunk->base + i, 0);
			put_page(chunk->base + i);
		}
		kfree(chunk);
		cond_resched();
	}
	list_for_each_entry_safe(page, next, &ret->huge, lru) {
		list_del(&page->lru);
		set_page_private(page, 0);
		if (frame_bad(page, HUGE_ORDER))
			say_lost(page, HUGE_ORDER);
		else
			put_page(page);
		cond_resched();
	}
}

/*
 * Take the longest idle chunk or huge frame off its list, if it has been idle
 * since @before.  Returns pages, 0 for none.
 */
static unsigned long take_idle_chunk(struct dram_pool *dram, unsigned long before,
				     struct dram_return *ret)
{
	struct dram_chunk *chunk;

	if (list_empty(&dram->idle))
		return 0;
	chunk = list_last_entry(&dram->idle, struct dram_chunk, list);
	if (time_after(chunk->since, before))
		return 0;
	list_move(&chunk->list, &ret->chunks);
	dram->nr_idle -= chunk->nr_free;
	dram->held -= chunk->nr_free;
	dram->returns++;
	return chunk->nr_free;
}

static unsigned long take_idle_huge(struct dram_pool *dram, unsigned long before,
				    struct dram_return *ret)
{
	struct page *page;

	if (list_empty(&dram->huge))
		return 0;
	page = list_last_entry(&dram->huge, struct page, lru);
	if (time_after(page_private(page), before))
		return 0;
	list_move(&page->lru, &ret->huge);
	dram->nr_huge--;
	dram->held -= CHUNK_PAGES;
	dram->returns++;
	return CHUNK_PAGES;
}

static unsigned long take_idle(struct dram_pool *dram, unsigned long before,
			       struct dram_return *ret)
{
	return take_idle_chunk(dram, before, ret) ?: take_idle_huge(dram, before, ret);
}

/* Put a small frame nobody else holds back into its chunk. */
static void free_small(struct dram_pool *dram, struct page *page)
{
	struct dram_chunk *chunk = (struct dram_chunk *)page_private(page);

	__set_bit(page - chunk->base, chunk->free);
	if (chunk->nr_free++ == 0)
		list_add(&chunk->list, &dram->partial);
	if (chunk->nr_free + chunk->nr_bad == 1U << chunk->order) {
		chunk->since = jiffies;
		list_move(&chunk->list, &dram->idle);
		dram->nr_idle += chunk->nr_free;
	}
}

static void free_huge(struct dram_pool *dram, struct page *page)
{
	set_page_private(page, jiffies);
	list_add(&page->lru, &dram->huge);
	dram->nr_huge++;
}

static void free_frame(struct dram_pool *dram, unsigned int order, struct page *page)
{
	morsel_poison(page, order);
	if (!order && morsel_planted(PLANT_LEAK))
		return;
	if (order)
		free_huge(dram, page);
	else
		free_small(dram, page);
}

/* May a frame go back?  Of failed memory, a reference may be kept for ever. */
static bool may_free(struct page *page, unsigned int order)
{
	return page_ref_count(page) == 1 || frame_bad(page, order);
}

/* Take back frames that were set aside and are pinned no more. */
static void reap_pinned(struct dram_pool *dram)
{
	struct page *page, *next;
	unsigned int order;

	for (order = 0; order <= HUGE_ORDER; order += HUGE_ORDER) {
		list_for_each_entry_safe(page, next, order ? &dram->pinned_huge : &dram->pinned,
					 lru) {
			if (!may_free(page, order))
				continue;
			list_del(&page->lru);
			dram->nr_pinned -= 1UL << order;
			free_frame(dram, order, page);
		}
	}
}

/*
 * Make room for @pages under the limit, by giving back what is idle.  Called
 * with the lock held, drops it and takes it again.
 * Returns how many of @pages there is room for, and counts these as held; 0 if
 * there is not even room for @least.
 */
static unsigned long reserve(struct dram_pool *dram, unsigned long pages, unsigned long least)
	__must_hold(&dram->lock)
{
	struct dram_return ret;
	unsigned long room;

	dram_return_init(&ret);
	if (dram->held + pages > dram->limit)
		reap_pinned(dram);
	while (dram->held + pages > dram->limit && take_idle(dram, jiffies, &ret))
		;
	room = dram->held < dram->limit ? min(pages, dram->limit - dram->held) : 0;
	if (room < least)
		room = 0;
	dram->held += room;
	spin_unlock(&dram->lock);
	dram_return(&ret);
	spin_lock(&dram->lock);
	return room;
}

/*
 * How many frames may be handed out yet?  What is free in the pool does not
 * count where the limit was lowered below it.  Called with the lock held.
 */
static unsigned long left_to_use(struct dram_pool *dram)
{
	if (dram->used + dram->nr_pinned >= dram->limit)
		reap_pinned(dram);
	return dram->limit - min(dram->limit, dram->used + dram->nr_pinned);
}

static struct page *borrow(struct dram_pool *dram, gfp_t gfp, unsigned int order)
{
	/*
	 * Cleared by the kernel, which does so only once even where
	 * init_on_alloc is set.  Without retries for many pages and never by
	 * way of the OOM killer: running out is the caller's to report.
	 */
	gfp |= GFP_KERNEL | __GFP_ZERO | __GFP_THISNODE | __GFP_NOWARN;
	gfp |= order ? __GFP_NORETRY : __GFP_RETRY_MAYFAIL;
	return alloc_pages_node(dram->pool.node, gfp, order);
}

/*
 * Borrow a chunk for small frames.  Called with the lock held, drops it and
 * takes it again.
 */
static bool grow_small(struct dram_pool *dram) __must_hold(&dram->lock)
{
	struct dram_chunk *chunk;
	struct page *base = NULL;
	unsigned long room;
	int order, i;

	room = reserve(dram, CHUNK_PAGES, 1);
	if (!room)
		return false;
	spin_unlock(&dram->lock);

	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL);
	/* Where memory is fragmented, smaller pieces do as well. */
	for (order = ilog2(room); chunk && order >= 0; order--) {
		base = borrow(dram, 0, order);
		if (base)
			break;
	}
	if (!base) {
		kfree(chunk);
		spin_lock(&dram->lock);
		dram->held -= room;
		return false;
	}

	if (order)
		split_page(base, order);
	chunk->base = base;
	chunk->order = order;
	chunk->nr_free = 1U << order;
	bitmap_set(chunk->free, 0, chunk->nr_free);
	for (i = 0; i < 1 << order; i++)
		set_page_private(base + i, (unsigned long)chunk);

	spin_lock(&dram->lock);
	dram->held -= room - chunk->nr_free;
	dram->borrows++;
	/* Idle it is until somebody takes of it, who may not be allowed to any more. */
	chunk->since = jiffies;
	list_add(&chunk->list, &dram->idle);
	dram->nr_idle += chunk->nr_free;
	return true;
}

static unsigned int get_small(struct dram_pool *dram, unsigned int count, struct page **frames)
{
	DECLARE_BITMAP(dirty, CHUNK_PAGES);
	struct dram_chunk *chunk;
	unsigned int i, bit, got = 0;

	count = min(count, CHUNK_PAGES);
	bitmap_zero(dirty, CHUNK_PAGES);

	spin_lock(&dram->lock);
	while (got < count) {
		count = min_t(unsigned long, count, left_to_use(dram));
		if (got >= count)
			break;
		if (!list_empty(&dram->partial)) {
			chunk = list_first_entry(&dram->partial, struct dram_chunk, list);
		} else if (!list_empty(&dram->idle)) {
			chunk = list_first_entry(&dram->idle, struct dram_chunk, list);
			dram->nr_idle -= chunk->nr_free;
			list_move(&chunk->list, &dram->partial);
		} else if (grow_small(dram)) {
			continue;
		} else {
			break;
		}

		for_each_set_bit(bit, chunk->free, CHUNK_PAGES) {
			if (got == count)
				break;
			__clear_bit(bit, chunk->free);
			chunk->nr_free--;
			if (frame_bad(chunk->base + bit, 0)) {
				say_lost(chunk->base + bit, 0);
				chunk->nr_bad++;
				dram->held--;
				continue;
			}
			if (__test_and_set_bit(bit, chunk->dirty))
				__set_bit(got, dirty);
			frames[got++] = chunk->base + bit;
		}
		if (chunk->nr_bad == 1U << chunk->order)
			list_move(&chunk->list, &dram->failed);
		else if (!chunk->nr_free)
			list_del_init(&chunk->list);
	}
	dram->used += got;
	spin_unlock(&dram->lock);

	for_each_set_bit(i, dirty, got) {
		morsel_check_poison(frames[i], 0);
		clear_highpage(frames[i]);
	}
	return got;
}

static unsigned int get_huge(struct dram_pool *dram, unsigned int count, struct page **frames)
{
	struct page *page;
	unsigned int got = 0, i;
	unsigned long room;

	while (got < count) {
		spin_lock(&dram->lock);
		if (left_to_use(dram) < CHUNK_PAGES) {
			spin_unlock(&dram->lock);
			break;
		}
		page = list_first_entry_or_null(&dram->huge, struct page, lru);
		if (page) {
			list_del(&page->lru);
			dram->nr_huge--;
			dram->used += CHUNK_PAGES;
			spin_unlock(&dram->lock);
			set_page_private(page, 0);
			if (frame_bad(page, HUGE_ORDER)) {
				say_lost(page, HUGE_ORDER);
				spin_lock(&dram->lock);
				dram->used -= CHUNK_PAGES;
				dram->held -= CHUNK_PAGES;
				spin_unlock(&dram->lock);
				continue;
			}
			morsel_check_poison(page, HUGE_ORDER);
			for (i = 0; i < CHUNK_PAGES; i++) {
				clear_highpage(page + i);
				cond_resched();
			}
		} else {
			room = reserve(dram, CHUNK_PAGES, CHUNK_PAGES);
			spin_unlock(&dram->lock);
			page = room ? borrow(dram, __GFP_COMP, CHUNK_ORDER) : NULL;
			spin_lock(&dram->lock);
			if (!page) {
				dram->held -= room;
				spin_unlock(&dram->lock);
				break;
			}
			dram->used += CHUNK_PAGES;
			dram->borrows++;
			spin_unlock(&dram->lock);
		}
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

static void dram_put(struct frame_pool *pool, unsigned int order, struct list_head *frames)
{
	struct dram_pool *dram = to_dram(pool);
	struct page *page;
	unsigned int batch;

	while (!list_empty(frames)) {
		spin_lock(&dram->lock);
		for (batch = 0; batch < 64 && !list_empty(frames); batch++) {
			page = list_first_entry(frames, struct page, lru);
			list_del(&page->lru);
			dram->used -= 1UL << order;
			if (may_free(page, order)) {
				free_frame(dram, order, page);
			} else {
				dram->nr_pinned += 1UL << order;
				list_add_tail(&page->lru,
					      order ? &dram->pinned_huge : &dram->pinned);
			}
		}
		spin_unlock(&dram->lock);
		cond_resched();
	}
	tidy_later();
}

/*
 * Tables are never pinned, and are freed after a grace period: the kernel's
 * allocator serves them as it does its own.
 */
static struct page *dram_get_table(struct frame_pool *pool)
{
	struct dram_pool *dram = to_dram(pool);
	struct page *page = NULL;
	unsigned long room;

	spin_lock(&dram->lock);
	room = reserve(dram, 1, 1);
	spin_unlock(&dram->lock);

	if (room)
		page = morsel_table_make(borrow(dram, 0, 0));

	spin_lock(&dram->lock);
	if (page)
		dram->used++;
	else
		dram->held -= room;
	spin_unlock(&dram->lock);
	return page;
}

static void dram_put_table(struct frame_pool *pool, struct page *table)
{
	struct dram_pool *dram = to_dram(pool);

	morsel_table_free(table);
	spin_lock(&dram->lock);
	dram->used--;
	dram->held--;
	spin_unlock(&dram->lock);
}

static void dram_resize(struct frame_pool *pool, unsigned long limit)
{
	struct dram_pool *dram = to_dram(pool);
	struct dram_return ret;

	dram_return_init(&ret);
	spin_lock(&dram->lock);
	dram->limit = limit;
	while (dram->held > dram->limit && take_idle(dram, jiffies, &ret))
		;
	spin_unlock(&dram->lock);
	dram_return(&ret);
}

static void dram_stat(struct frame_pool *pool, struct morsel_pool_info *info)
{
	struct dram_pool *dram = to_dram(pool);

	spin_lock(&dram->lock);
	reap_pinned(dram);
	info->limit_bytes = (u64)dram->limit << PAGE_SHIFT;
	info->held_bytes = (u64)dram->held << PAGE_SHIFT;
	info->used_bytes = (u64)dram->used << PAGE_SHIFT;
	info->pinned_bytes = (u64)dram->nr_pinned << PAGE_SHIFT;
	info->free_bytes = info->held_bytes - info->used_bytes - info->pinned_bytes;
	info->free_huge_bytes = (u64)(dram->nr_huge * CHUNK_PAGES + dram->nr_idle) << PAGE_SHIFT;
	info->borrows = dram->borrows;
	info->returns = dram->returns;
	spin_unlock(&dram->lock);
}

static struct frame_pool *dram_create(u32 node, unsigned long limit)
{
	struct dram_pool *dram = kzalloc(sizeof(*dram), GFP_KERNEL);

	if (!dram)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&dram->lock);
	INIT_LIST_HEAD(&dram->partial);
	INIT_LIST_HEAD(&dram->idle);
	INIT_LIST_HEAD(&dram->failed);
	INIT_LIST_HEAD(&dram->huge);
	INIT_LIST_HEAD(&dram->pinned);
	INIT_LIST_HEAD(&dram->pinned_huge);
	dram->limit = limit;
	mutex_lock(&dram_pools_lock);
	list_add(&dram->list, &dram_pools);
	mutex_unlock(&dram_pools_lock);
	return &dram->pool;
}

static void dram_destroy(struct frame_pool *pool)
{
	struct dram_pool *dram = to_dram(pool);
	struct dram_chunk *chunk;
	struct dram_return ret;
	struct page *page;

	dram_return_init(&ret);
	mutex_lock(&dram_pools_lock);
	list_del(&dram->list);
	mutex_unlock(&dram_pools_lock);

	/*
	 * Chunks with pinned frames are in partial, or on no list at all when
	 * every frame is pinned: put those frames back first.
	 */
	spin_lock(&dram->lock);
	while (!list_empty(&dram->pinned)) {
		page = list_first_entry(&dram->pinned, struct page, lru);
		list_del(&page->lru);
		free_small(dram, page);
	}
	list_splice_init(&dram->pinned_huge, &ret.huge);
	list_splice_init(&dram->huge, &ret.huge);
	list_splice_init(&dram->idle, &ret.chunks);
	list_splice_init(&dram->failed, &ret.chunks);
	spin_unlock(&dram->lock);

	list_for_each_entry(chunk, &ret.chunks, list)
		dram->held -= chunk->nr_free;
	list_for_each_entry(page, &ret.huge, lru)
		dram->held -= CHUNK_PAGES;
	WARN(dram->held, "morsel: %lu pages are lost\n", dram->held);
	dram_return(&ret);
	kfree(dram);
}

static unsigned long dram_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct dram_pool *dram;
	unsigned long count = 0;

	if (!mutex_trylock(&dram_pools_lock))
		return 0;
	list_for_each_entry(dram, &dram_pools, list)
		count += READ_ONCE(dram->nr_idle) + READ_ONCE(dram->nr_huge) * CHUNK_PAGES;
	mutex_unlock(&dram_pools_lock);
	return count ?: SHRINK_EMPTY;
}

static unsigned long dram_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct dram_pool *dram;
	unsigned long freed = 0, pages;
	struct dram_return ret;

	dram_return_init(&ret);
	if (!mutex_trylock(&dram_pools_lock))
		return SHRINK_STOP;
	list_for_each_entry(dram, &dram_pools, list) {
		spin_lock(&dram->lock);
		reap_pinned(dram);
		while (freed < sc->nr_to_scan && (pages = take_idle(dram, jiffies, &ret)))
			freed += pages;
		spin_unlock(&dram->lock);
	}
	mutex_unlock(&dram_pools_lock);
	dram_return(&ret);
	return freed;
}

/*
 * Give back what has been idle for long; run each second as long as there is
 * anything idle or set aside.
 */
static void dram_tidy(struct work_struct *work)
{
	unsigned long before = jiffies - READ_ONCE(dram_idle_seconds) * HZ;
	struct dram_pool *dram;
	bool again = false;
	struct dram_return ret;

	dram_return_init(&ret);
	mutex_lock(&dram_pools_lock);
	list_for_each_entry(dram, &dram_pools, list) {
		spin_lock(&dram->lock);
		reap_pinned(dram);
		while (take_idle_chunk(dram, before, &ret) || take_idle_huge(dram, before, &ret))
			;
		again |= dram->nr_idle || dram->nr_huge || dram->nr_pinned;
		spin_unlock(&dram->lock);
	}
	mutex_unlock(&dram_pools_lock);
	dram_return(&ret);
	if (again)
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
	.stat = dram_stat,
};
