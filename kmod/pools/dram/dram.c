// SPDX-License-Identifier: GPL-2.0
/*
 * Dram pools as a kind of pool, and what their small and huge frames share.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "debug/debug.h"
#include "pools/dram/dram.h"

/**
 * dram_say_lost() - tell people of memory that has failed
 * @page:	the first page
 * @order:	log2 of how many are lost
 */
void dram_say_lost(struct page *page, unsigned int order)
{
	pr_warn("morsel: %lu KiB at frame 0x%lx are lost: memory has failed there\n",
		(PAGE_SIZE << order) / 1024, page_to_pfn(page));
}

/**
 * dram_borrow() - borrow pages of the kernel, cleared
 * @dram:	the pool
 * @gfp:	how
 * @order:	log2 of how many
 * Return: the first, or NULL.
 *
 * The kernel clears them, which it does only once even where init_on_alloc is set.
 */
struct page *dram_borrow(struct dram_pool *dram, gfp_t gfp, unsigned int order)
{
	return alloc_pages_node(dram->pool.node, gfp | __GFP_ZERO | __GFP_THISNODE, order);
}

/**
 * dram_get_numbers() - get frames that are borrowed and free
 * @dram:	the pool
 * @order:	log2 of a frame's pages
 * @count:	how many
 * @numbers:	where to put their numbers
 * Return: how many there are; 0 with a fatal signal, too.
 */
unsigned int dram_get_numbers(struct dram_pool *dram, unsigned int order, unsigned int count,
			      u64 *numbers)
{
	unsigned int got = 0, some;
	bool none = false;

	while (got < count && !none) {
		/*
		 * Not to be preempted with a child claimed that no processor has: others wait
		 * for that, as we do here, but with preemption on.
		 */
		some = frames_try(allocator_of(dram, order), get_cpu(), count - got, numbers + got,
				  &none);
		put_cpu();
		got += some;
		if (some || none)
			continue;
		morsel_planted(PLANT_PUTTING);
		if (got || fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return got;
}

/**
 * dram_put_numbers() - put frames that nobody else holds
 * @dram:	the pool
 * @order:	log2 of a frame's pages
 * @count:	how many
 * @numbers:	their numbers
 * @used:	pages that are in use no more; 0 if they were not counted as used yet
 */
void dram_put_numbers(struct dram_pool *dram, unsigned int order, unsigned int count,
		      const u64 *numbers, unsigned long used)
{
	struct frames *frames = allocator_of(dram, order);
	unsigned int cpu = get_cpu();
	int err;

	/* Who sees that there is room waits for what is free, and we are not preempted. */
	frames_put_begin(frames, cpu);
	atomic_long_sub(used, &dram->used);
	if (used)
		morsel_slow_put();
	err = frames_put_end(frames, cpu, 0, count, numbers);
	put_cpu();
	WARN(err, "morsel: a frame is put that is free\n");
}

/**
 * dram_lose() - some memory of a frame that was got has failed
 * @dram:	the pool
 * @order:	log2 of its pages
 * @page:	the first
 *
 * It stays in use, and is held no more.
 */
void dram_lose(struct dram_pool *dram, unsigned int order, struct page *page)
{
	dram_say_lost(page, order);
	atomic_long_sub(1UL << order, &dram->used);
	atomic_long_sub(1UL << order, &dram->held);
}

/**
 * dram_number_get() - a number for what is to be borrowed
 * @of: the allocator that is to have it
 * Return: the number; negative: there is none.
 */
int dram_number_get(struct dram_allocator *of)
{
	int number = morsel_planted(PLANT_NO_NUMBER)
			     ? -ENOSPC
			     : ida_alloc_max(&of->ida, of->count - 1, QUIETLY);
	unsigned int top = READ_ONCE(of->top);

	while (number >= 0 && number >= top && !try_cmpxchg(&of->top, &top, number + 1))
		;
	return number;
}

static unsigned int dram_get(struct frame_pool *pool, unsigned int how, unsigned int order,
			     unsigned int count, u64 *frames)
{
	bool clear = !(how & TAKE_AS_IS);

	return order ? dram_get_huge(to_dram(pool), clear, count, frames)
		     : dram_get_small(to_dram(pool), how & TAKE_HARD ? QUIETLY : AT_HAND, clear,
				      count, frames);
}

/* Put up to BATCH frames. */
static void put_batch(struct dram_pool *dram, unsigned int order, unsigned int count,
		      const u64 *frames)
{
	u64 numbers[BATCH] __uninitialized; /* most calls put few */
	unsigned int nr = 0, i;

	for (i = 0; i < count; i++) {
		struct page *page = frame_page(frames[i]);

		if (!order && morsel_planted(PLANT_LEAK))
			continue;
		numbers[nr++] = frame_number(page);
		morsel_poison(page, order);
	}
	if (order)
		dram_huge_came_back(dram, nr, numbers);
	else
		dram_small_came_back(dram, nr, numbers);
	dram_put_numbers(dram, order, nr, numbers, (unsigned long)count << order);
	cond_resched();
}

static void dram_put(struct frame_pool *pool, unsigned int order, unsigned int count,
		     const u64 *frames)
{
	unsigned int done, some;

	for (done = 0; done < count; done += some) {
		some = min_t(unsigned int, count - done, BATCH);
		put_batch(to_dram(pool), order, some, frames + done);
	}
	dram_tidy_later();
}

/* A page of the kernel's, to be held.  ERR_PTR(-ENOSPC): there is no room for one. */
static struct page *borrow_table(struct dram_pool *dram)
{
	struct page *page;

	if (!dram_reserve(dram, 1, 1) && !dram_exchange_page(dram))
		return ERR_PTR(-ENOSPC);
	page = dram_borrow(dram, QUIETLY, 0);
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

	if (dram_is_full(dram, 1) || down_read_killable(&dram->growing))
		return NULL;
	page = borrow_table(dram);
	up_read(&dram->growing);
	if (page == ERR_PTR(-ENOSPC) && dram_may_be_alone(dram)) {
		page = borrow_table(dram);
		up_write(&dram->growing);
	}
	return IS_ERR(page) ? NULL : page;
}

static void dram_put_table(struct frame_pool *pool, struct page *table)
{
	struct dram_pool *dram = to_dram(pool);

	__free_page(table);
	atomic_long_dec(&dram->used);
	atomic_long_dec(&dram->held);
}

static void dram_resize(struct frame_pool *pool, unsigned long limit)
{
	struct dram_pool *dram = to_dram(pool);
	struct dram_walk walk = {.before = jiffies};
	unsigned long held;

	WRITE_ONCE(dram->limit, limit);
	held = atomic_long_read(&dram->held);
	walk.wanted = held - min(held, limit);
	dram_give_back(dram, &walk);
}

static void dram_stat(struct frame_pool *pool, struct morsel_pool_info *info)
{
	struct dram_pool *dram = to_dram(pool);
	u64 held, used, pinned;

	quarantine_reap(pool);
	used = atomic_long_read(&dram->used);
	pinned = min_t(u64, pool_pinned(pool), used);
	held = max_t(u64, atomic_long_read(&dram->held), used);
	info->limit_bytes = (u64)READ_ONCE(dram->limit) << PAGE_SHIFT;
	info->held_bytes = held << PAGE_SHIFT;
	info->used_bytes = (used - pinned) << PAGE_SHIFT;
	info->pinned_bytes = pinned << PAGE_SHIFT;
	info->free_bytes = (held - used) << PAGE_SHIFT;
	info->free_huge_bytes = (u64)dram_count_idle(dram) << PAGE_SHIFT;
	info->borrows = atomic64_read(&dram->borrows);
	info->returns = atomic64_read(&dram->returns);
}

static unsigned long dram_limit(const struct frame_pool *pool)
{
	return READ_ONCE(container_of(pool, struct dram_pool, pool)->limit);
}

/* What may be used yet; as reads of several counters go, roughly. */
static unsigned long dram_room(struct frame_pool *pool)
{
	struct dram_pool *dram = to_dram(pool);
	unsigned long limit = READ_ONCE(dram->limit);
	unsigned long used = atomic_long_read(&dram->used);

	return limit - min(limit, used);
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

	mutex_init(&dram->giving);
	init_rwsem(&dram->growing);
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
	frame_pool_init(&dram->pool, &morsel_dram_ops, node);
	dram_enlist(dram);
	return &dram->pool;
}

static void dram_destroy(struct frame_pool *pool)
{
	struct dram_pool *dram = to_dram(pool);

	dram_unlist(dram);
	dram_end_chunks(dram);
	dram_end_huges(dram);
	WARN(atomic_long_read(&dram->held), "morsel: %ld pages are lost\n",
	     atomic_long_read(&dram->held));
	dram_free(dram);
}

const struct pool_ops morsel_dram_ops = {
	.kind = MORSEL_POOL_DRAM,
	.name = "dram",
	.create = dram_create,
	.destroy = dram_destroy,
	.get = dram_get,
	.put = dram_put,
	.get_table = dram_get_table,
	.put_table = dram_put_table,
	.resize = dram_resize,
	.limit = dram_limit,
	.room = dram_room,
	.stat = dram_stat,
};
