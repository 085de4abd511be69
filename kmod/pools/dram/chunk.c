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
	struct page **pages = READ_ONCE(chunk->pages);

	return pages ? pages[index] : chunk->base + index;
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

	for (i = 0; i < CHUNK_PAGES; i++)
		if (!test_bit(i, chunk->gone))
			page_return(chunk_page(chunk, i));
	kfree(chunk->pages);
	kfree(chunk);
	cond_resched();
}

/* Trying hard is for the first page alone: somebody needs one. */
static gfp_t further(gfp_t first)
{
	return first == AT_HAND ? AT_HAND : BRIEFLY;
}

/* Pages in smaller pieces, as large as there are, the first one as @first says; returns how many. */
static unsigned int borrow_pieces(struct dram_pool *dram, gfp_t first, struct page **pages,
				  unsigned int wanted)
{
	int order = ilog2(min(wanted, CHUNK_PAGES / 2)), i;
	unsigned int nr = 0;

	while (nr < wanted && order >= 0) {
		struct page *page = NULL;

		if (1U << order <= wanted - nr)
			page = dram_borrow(dram, order || nr ? further(first) : first, order);
		if (!page) {
			order--;
			continue;
		}
		if (order)
			split_page(page, order);
		for (i = 0; i < 1 << order; i++)
			pages[nr++] = page + i;
	}
	return nr;
}

/* A chunk of as many pages as there are, up to those that are wanted. */
static struct dram_chunk *chunk_borrow(struct dram_pool *dram, gfp_t first, unsigned int wanted)
{
	struct dram_chunk *chunk = kzalloc(sizeof(*chunk), QUIETLY);
	unsigned int nr = 0;

	if (!chunk)
		return NULL;
	if (wanted == CHUNK_PAGES)
		chunk->base = dram_borrow(dram, further(first), HUGE_ORDER);
	if (chunk->base) {
		split_page(chunk->base, HUGE_ORDER);
		return chunk;
	}
	chunk->pages = kcalloc(CHUNK_PAGES, sizeof(*chunk->pages), QUIETLY);
	if (chunk->pages)
		nr = borrow_pieces(dram, first, chunk->pages, wanted);
	if (!nr) {
		kfree(chunk->pages);
		kfree(chunk);
		return NULL;
	}
	bitmap_set(chunk->gone, nr, CHUNK_PAGES - nr);
	atomic_set(&chunk->barren, CHUNK_PAGES - nr);
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
	/* Pairs with chunk_add(), as the last. */
	if (!chunk || smp_load_acquire(&chunk->filling) ||
	    free != CHUNK_PAGES - atomic_read(&chunk->barren) ||
	    (free && !dram_is_old(walk, READ_ONCE(chunk->since))) ||
	    frames_remove(&dram->small.frames, child, free))
		return;
	dram->chunks[child] = NULL;
	atomic_dec(&dram->idle);
	ida_free(&dram->small.ida, child);
	atomic_long_sub(free, &dram->held);
	atomic64_inc(&dram->returns);
	walk->given += free;
	chunk_return(chunk);
}

static void chunk_add(struct dram_pool *dram, unsigned int child, struct dram_chunk *chunk)
{
	unsigned int nr = CHUNK_PAGES - atomic_read(&chunk->barren), i;
	int err;

	for (i = 0; i < nr; i++)
		frame_mark(chunk_page(chunk, i), dram->pool.id, (u64)child * CHUNK_PAGES + i);
	/* Idle it is until somebody takes of it, who may not be allowed to any more. */
	chunk->since = jiffies;
	/* Not yet to be filled up, nor given back. */
	chunk->filling = true;
	/* Pairs with dram_give_chunk() and hold_chunk(). */
	smp_store_release(&dram->chunks[child], chunk);
	atomic64_inc(&dram->borrows);
	atomic_inc(&dram->idle);
	dram_tidy_later();
	err = frames_add(&dram->small.frames, child, nr);
	WARN(err, "morsel: chunk %u is there\n", child);
	/* All that was done to it is seen by who may have it now. */
	smp_store_release(&chunk->filling, false);
}

/* Borrow a chunk; returns how many pages that are. */
static unsigned int borrow_chunk(struct dram_pool *dram, gfp_t first, unsigned int child,
				 unsigned int wanted)
{
	struct dram_chunk *chunk = chunk_borrow(dram, first, wanted);
	unsigned int nr = 0;

	if (chunk) {
		nr = CHUNK_PAGES - atomic_read(&chunk->barren);
		chunk_add(dram, child, chunk);
	} else {
		ida_free(&dram->small.ida, child);
	}
	return nr;
}

/* The child of some chunk that has places without a page, and stays until it is let go. */
static int hold_chunk(struct dram_pool *dram)
{
	struct dram_allocator *small = &dram->small;
	unsigned int top = READ_ONCE(small->top), i;
	int child = -ENOENT;

	if (mutex_lock_killable(&dram->giving))
		return -EINTR;
	for (i = 0; i < top && child < 0; i++, small->cursor++) {
		struct dram_chunk *chunk;

		if (small->cursor >= top)
			small->cursor = 0;
		/* Pairs with chunk_add(). */
		chunk = smp_load_acquire(&dram->chunks[small->cursor]);
		/* As does this. */
		if (chunk && !smp_load_acquire(&chunk->filling) &&
		    !bitmap_empty(chunk->gone, CHUNK_PAGES)) {
			chunk->filling = true;
			child = small->cursor;
		}
	}
	mutex_unlock(&dram->giving);
	return child;
}

static void let_chunk_go(struct dram_pool *dram, unsigned int child)
{
	mutex_lock(&dram->giving);
	dram->chunks[child]->filling = false;
	mutex_unlock(&dram->giving);
}

/* Have each place of a chunk be known by itself. */
static bool chunk_spread(struct dram_chunk *chunk)
{
	struct page **pages;
	unsigned int i;

	if (chunk->pages)
		return true;
	pages = kmalloc_array(CHUNK_PAGES, sizeof(*pages), QUIETLY);
	if (!pages)
		return false;
	for (i = 0; i < CHUNK_PAGES; i++)
		pages[i] = chunk->base + i;
	/* Who has a page finds the same one in both. */
	smp_store_release(&chunk->pages, pages);
	return true;
}

/* Borrow a page for a place that has none. */
static bool fill_place(struct dram_pool *dram, struct dram_chunk *chunk, unsigned int index,
		       u64 number, gfp_t gfp)
{
	struct page *page = dram_borrow(dram, gfp, 0);

	if (!page)
		return false;
	frame_mark(page, dram->pool.id, number);
	chunk->pages[index] = page;
	clear_bit(index, chunk->dirty);
	clear_bit(index, chunk->gone);
	atomic_dec(&chunk->barren);
	WRITE_ONCE(chunk->since, jiffies);
	/* Free it is from here on. */
	dram_put_numbers(dram, 0, 1, &number, 0);
	return true;
}

/*
 * No number is left for a chunk, as there are many that have few pages: borrow pages for one of
 * these.  Returns how many.
 */
static unsigned int fill_chunk(struct dram_pool *dram, gfp_t first, unsigned int wanted)
{
	int child = hold_chunk(dram);
	struct dram_chunk *chunk;
	unsigned int nr = 0, i;

	if (child < 0)
		return 0;
	chunk = dram->chunks[child];
	if (chunk_spread(chunk)) {
		for_each_set_bit(i, chunk->gone, CHUNK_PAGES) {
			if (nr == wanted || fatal_signal_pending(current) ||
			    !fill_place(dram, chunk, i, (u64)child * CHUNK_PAGES + i,
					nr ? further(first) : first))
				break;
			nr++;
		}
	}
	let_chunk_go(dram, child);
	return nr;
}

/* Borrow pages for small frames, the first as @first says.  -ENOSPC: there is no room for any. */
static int grow_small(struct dram_pool *dram, gfp_t first)
{
	unsigned long room = dram_reserve(dram, CHUNK_PAGES, 1);
	unsigned int nr;
	int child;

	if (!room)
		return -ENOSPC;
	child = dram_number_get(&dram->small);
	nr = child < 0 ? fill_chunk(dram, first, room) : borrow_chunk(dram, first, child, room);
	atomic_long_sub(room - nr, &dram->held);
	return nr ? 0 : -ENOMEM;
}

/* How many of some pages, from the first one on, are of its chunk? */
static unsigned int of_one_chunk(unsigned int count, const u64 *numbers)
{
	unsigned int nr;

	for (nr = 1; nr < count && numbers[nr] / CHUNK_PAGES == *numbers / CHUNK_PAGES; nr++)
		;
	return nr;
}

/* As take_small(), of one chunk. */
static unsigned int take_of_chunk(struct dram_pool *dram, bool clear, unsigned int count,
				  const u64 *numbers, u64 *frames)
{
	struct dram_chunk *chunk = dram->chunks[*numbers / CHUNK_PAGES];
	unsigned int got = 0, i;

	for (i = 0; i < count; i++) {
		unsigned int index = numbers[i] % CHUNK_PAGES;
		struct page *page = chunk_page(chunk, index);

		if (frame_bad(page_to_pfn(page), 0)) {
			dram_lose(dram, 0, page);
			atomic_inc(&chunk->barren);
			continue;
		}
		if (test_and_set_bit(index, chunk->dirty)) {
			morsel_check_poison(page, 0);
			if (clear)
				clear_highpage(page);
		}
		frames[got++] = page_to_pfn(page);
	}
	if (got && !atomic_fetch_add(got, &chunk->used))
		atomic_dec(&dram->idle);
	return got;
}

/*
 * Of pages that were got, by number, leave out those that failed, and clear those that are
 * not clear, if they are to be; what is left are frames.
 */
static unsigned int take_small(struct dram_pool *dram, bool clear, unsigned int count, u64 *frames)
{
	unsigned int got = 0, done, some;

	for (done = 0; done < count; done += some) {
		some = of_one_chunk(count - done, frames + done);
		got += take_of_chunk(dram, clear, some, frames + done, frames + got);
	}
	return got;
}

/**
 * dram_small_came_back() - pages that were handed out are about to be put
 * @dram:	the pool
 * @count:	how many
 * @numbers:	their numbers
 */
void dram_small_came_back(struct dram_pool *dram, unsigned int count, const u64 *numbers)
{
	unsigned int done, some;

	for (done = 0; done < count; done += some) {
		struct dram_chunk *chunk = dram->chunks[numbers[done] / CHUNK_PAGES];

		some = of_one_chunk(count - done, numbers + done);
		if (time_before(READ_ONCE(chunk->since), jiffies))
			WRITE_ONCE(chunk->since, jiffies);
		/* They keep it here until they are put. */
		if (atomic_sub_and_test(some, &chunk->used))
			atomic_inc(&dram->idle);
	}
}

/* Get frames that are free, or borrow some; a negative errno if there are none. */
static int find_small(struct dram_pool *dram, gfp_t first, unsigned int count, u64 *numbers)
{
	unsigned int found;
	int err = 0;

	do {
		found = dram_get_numbers(dram, 0, count, numbers);
		if (!found)
			err = fatal_signal_pending(current) ? -EINTR : grow_small(dram, first);
	} while (!found && !err);
	return found ?: err;
}

static int find_small_locked(struct dram_pool *dram, gfp_t first, unsigned int count, u64 *numbers)
{
	int found;

	if (dram_is_full(dram, 1) || down_read_killable(&dram->growing))
		return 0;
	found = find_small(dram, first, count, numbers);
	up_read(&dram->growing);
	/* Who has the room may have borrowed more than it needs. */
	if (found == -ENOSPC && dram_may_be_alone(dram)) {
		found = find_small(dram, first, count, numbers);
		up_write(&dram->growing);
	}
	return max(found, 0);
}

/**
 * dram_get_small() - get pages
 * @dram:	the pool
 * @first:	how to borrow the first one, where some are borrowed
 * @clear:	have them be cleared
 * @count:	how many
 * @frames:	where to put them
 * Return: how many there are.
 */
unsigned int dram_get_small(struct dram_pool *dram, gfp_t first, bool clear, unsigned int count,
			    u64 *frames)
{
	unsigned int got = 0, wanted, found, charged;
	u64 *numbers;

	while (got < count) {
		wanted = min_t(unsigned int, count - got, BATCH);
		/* Numbers, until they are frames. */
		numbers = frames + got;
		found = dram_get_numbers(dram, 0, wanted, numbers);
		if (!found)
			found = find_small_locked(dram, first, wanted, numbers);
		if (!found)
			break;
		charged = dram_charge(dram, found, 1);
		if (charged < found) {
			dram_put_numbers(dram, 0, found - charged, numbers + charged, 0);
			dram_tidy_later();
		}
		if (!charged)
			break;
		got += take_small(dram, clear, charged, numbers);
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
	struct dram_chunk *chunk;
	unsigned int index;
	u64 number;

	if (!dram_get_numbers(dram, 0, 1, &number))
		return false;
	chunk = dram->chunks[number / CHUNK_PAGES];
	index = number % CHUNK_PAGES;
	page_return(chunk_page(chunk, index));
	/* From here on, somebody may borrow another page for the place. */
	smp_mb__before_atomic();
	set_bit(index, chunk->gone);
	/* The chunk may be given back once all of it is counted: it is not looked at after that. */
	if (atomic_inc_return(&chunk->barren) == CHUNK_PAGES) {
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

	for (i = 0; i < CHUNK_PAGES; i++) {
		if (test_bit(i, chunk->gone))
			continue;
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
