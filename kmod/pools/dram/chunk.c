// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks of dram pools: pages for small frames, borrowed up to 512 at once.
 */
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "debug/debug.h"
#include "pools/dram/dram.h"

static struct page *chunk_page(const struct dram_chunk *chunk, unsigned int index)
{
	return chunk->base ? chunk->base + index : chunk->pages[index];
}

static void page_return(struct page *page)
{
	frame_unmark(page);
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
			page = dram_borrow(dram, order || chunk->nr ? BRIEFLY : QUIETLY, order);
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
		chunk->base = dram_borrow(dram, BRIEFLY, HUGE_ORDER);
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

/**
 * dram_give_chunk() - give a chunk back to the kernel if it is idle
 * @dram:	the pool, with its giving lock held
 * @child:	the chunk's
 * @walk:	what is looked for
 */
void dram_give_chunk(struct dram_pool *dram, unsigned int child, struct dram_walk *walk)
{
	unsigned int free = frames_child_free(&dram->small.frames, child);
	struct dram_chunk *chunk;

	/* It may be about to be added. */
	chunk = smp_load_acquire(&dram->chunks[child]);
	if (!chunk || free != chunk->nr - atomic_read(&chunk->nr_lost) ||
	    (free && !dram_is_old(walk, READ_ONCE(chunk->since))) ||
	    frames_remove(&dram->small.frames, child, free))
		return;
	dram->chunks[child] = NULL;
	ida_free(&dram->small.ida, child);
	atomic_long_sub(free, &dram->held);
	atomic64_inc(&dram->returns);
	walk->given += free;
	chunk_return(chunk);
}

static void chunk_add(struct dram_pool *dram, unsigned int child, struct dram_chunk *chunk)
{
	unsigned int i;
	int err;

	for (i = 0; i < chunk->nr; i++)
		frame_mark(chunk_page(chunk, i), dram->pool.id, (u64)child * CHUNK_PAGES + i);
	/* Idle it is until somebody takes of it, who may not be allowed to any more. */
	chunk->since = jiffies;
	/* Pairs with dram_give_chunk(). */
	smp_store_release(&dram->chunks[child], chunk);
	atomic64_inc(&dram->borrows);
	dram_tidy_later();
	err = frames_add(&dram->small.frames, child, chunk->nr);
	WARN(err, "morsel: chunk %u is there\n", child);
}

/* Borrow a chunk for small frames.  -ENOSPC: there is no room for one. */
static int grow_small(struct dram_pool *dram)
{
	unsigned long room = dram_reserve(dram, CHUNK_PAGES, 1);
	struct dram_chunk *chunk;
	int child;

	if (!room)
		return -ENOSPC;
	child = dram_number_get(&dram->small);
	chunk = child < 0 ? NULL : chunk_borrow(dram, room);
	atomic_long_sub(room - (chunk ? chunk->nr : 0), &dram->held);
	if (chunk)
		chunk_add(dram, child, chunk);
	else if (child >= 0)
		ida_free(&dram->small.ida, child);
	return chunk ? 0 : -ENOMEM;
}

/*
 * Of pages that were got, by number, leave out those that failed, and clear those that are
 * not clear; what is left are frames.
 */
static unsigned int take_small(struct dram_pool *dram, unsigned int count, u64 *frames)
{
	unsigned int got = 0, i;

	for (i = 0; i < count; i++) {
		struct dram_chunk *chunk = dram->chunks[frames[i] / CHUNK_PAGES];
		unsigned int index = frames[i] % CHUNK_PAGES;
		struct page *page = chunk_page(chunk, index);

		if (frame_bad(page_to_pfn(page), 0)) {
			dram_lose(dram, 0, page);
			atomic_inc(&chunk->nr_lost);
			continue;
		}
		if (test_and_set_bit(index, chunk->dirty)) {
			morsel_check_poison(page, 0);
			clear_highpage(page);
		}
		frames[got++] = page_to_pfn(page);
	}
	return got;
}

/* Get frames that are free, or borrow some; a negative errno if there are none. */
static int find_small(struct dram_pool *dram, unsigned int count, u64 *numbers)
{
	unsigned int found;
	int err = 0;

	do {
		found = dram_get_numbers(dram, 0, count, numbers);
		if (!found)
			err = fatal_signal_pending(current) ? -EINTR : grow_small(dram);
	} while (!found && !err);
	return found ?: err;
}

static int find_small_locked(struct dram_pool *dram, unsigned int count, u64 *numbers)
{
	int found;

	if (dram_is_full(dram, 1) || down_read_killable(&dram->growing))
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

/**
 * dram_get_small() - get pages
 * @dram:	the pool
 * @count:	how many
 * @frames:	where to put them
 * Return: how many there are.
 */
unsigned int dram_get_small(struct dram_pool *dram, unsigned int count, u64 *frames)
{
	unsigned int got = 0, wanted, found, charged;
	u64 *numbers;

	while (got < count) {
		wanted = min_t(unsigned int, count - got, BATCH);
		/* Numbers, until they are frames. */
		numbers = frames + got;
		found = dram_get_numbers(dram, 0, wanted, numbers);
		if (!found)
			found = find_small_locked(dram, wanted, numbers);
		if (!found)
			break;
		charged = dram_charge(dram, found, 1);
		if (charged < found) {
			dram_put_numbers(dram, 0, found - charged, numbers + charged, 0);
			dram_tidy_later();
		}
		if (!charged)
			break;
		got += take_small(dram, charged, numbers);
		cond_resched();
	}
	return got;
}

/**
 * dram_exchange_page() - hold something else in place of a page of some chunk
 * @dram: the pool, whose limit is reached
 * Return: was one free?  It went back to the kernel alone.
 */
bool dram_exchange_page(struct dram_pool *dram)
{
	struct dram_walk walk = {.before = jiffies};
	unsigned int index, nr;
	struct dram_chunk *chunk;
	u64 number;

	if (!dram_get_numbers(dram, 0, 1, &number))
		return false;
	chunk = dram->chunks[number / CHUNK_PAGES];
	index = number % CHUNK_PAGES;
	nr = chunk->nr;
	set_bit(index, chunk->gone);
	page_return(chunk_page(chunk, index));
	/* The chunk may be given back once all of it is counted: it is not looked at after that. */
	if (atomic_inc_return(&chunk->nr_lost) == nr) {
		/* That was all of it; if a processor has claimed it yet, it goes later. */
		mutex_lock(&dram->giving);
		dram_give_chunk(dram, number / CHUNK_PAGES, &walk);
		mutex_unlock(&dram->giving);
		dram_tidy_later();
	}
	return true;
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
		else if (!frame_bad(page_to_pfn(chunk_page(chunk, i)), 0))
			set_bit(i, chunk->gone);
	}
	chunk_return(chunk);
}

/**
 * dram_end_chunks() - give all chunks back to the kernel
 * @dram: the pool, whose end it is
 */
void dram_end_chunks(struct dram_pool *dram)
{
	unsigned int i;

	for (i = 0; i < dram->small.top; i++)
		if (dram->chunks[i])
			end_chunk(dram, i);
}
