// SPDX-License-Identifier: GPL-2.0
/*
 * Huge frames of dram pools.
 */
#include <linux/highmem.h>
#include <linux/mm.h>

#include "debug/debug.h"
#include "pools/dram/dram.h"

/*
 * Give a huge frame back to the kernel.  If some of its memory has failed, that cannot be
 * sorted out: all of it is kept for good.
 */
static void huge_return(struct page *page)
{
	frame_unmark(page);
	if (frame_bad(page_to_pfn(page), HUGE_ORDER))
		dram_say_lost(page, HUGE_ORDER);
	else
		put_page(page);
	cond_resched();
}

/**
 * dram_give_huge() - give a huge frame back to the kernel if it is idle
 * @dram:	the pool, with its giving lock held
 * @index:	the frame's
 * @walk:	what is looked for
 */
void dram_give_huge(struct dram_pool *dram, unsigned int index, struct dram_walk *walk)
{
	struct dram_huge *huge = &dram->huges[index];
	struct page *page;
	u64 frame = index;
	int err;

	if (frames_in_use(&dram->huge.frames, frame) || !dram_is_old(walk, READ_ONCE(huge->since)))
		return;
	/* Not to be preempted in the middle of it, as in dram_get_numbers(). */
	get_cpu();
	err = frames_get_at(&dram->huge.frames, frame, 0);
	put_cpu();
	if (err)
		return;
	page = huge->page;
	WRITE_ONCE(huge->page, NULL);
	atomic_dec(&dram->idle);
	ida_free(&dram->huge.ida, index);
	atomic_long_sub(CHUNK_PAGES, &dram->held);
	atomic64_inc(&dram->returns);
	walk->given += CHUNK_PAGES;
	huge_return(page);
}

/* ERR_PTR(-ENOSPC): there is no room for one. */
static struct page *borrow_huge(struct dram_pool *dram)
{
	unsigned long room = dram_reserve(dram, CHUNK_PAGES, CHUNK_PAGES);
	int number = room ? dram_number_get(&dram->huge) : -1;
	struct page *page = number < 0 ? NULL : dram_borrow(dram, BRIEFLY | __GFP_COMP, HUGE_ORDER);

	if (page) {
		frame_mark(page, dram->pool.id, number);
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
static struct page *take_huge(struct dram_pool *dram, bool clear, u64 number)
{
	struct page *page = dram->huges[number].page;
	unsigned int i;

	atomic_dec(&dram->idle);
	if (frame_bad(page_to_pfn(page), HUGE_ORDER)) {
		dram_lose(dram, HUGE_ORDER, page);
		WRITE_ONCE(dram->huges[number].page, NULL);
		ida_free(&dram->huge.ida, number);
		return NULL;
	}
	morsel_check_poison(page, HUGE_ORDER);
	for (i = 0; i < CHUNK_PAGES && clear; i++) {
		clear_highpage(page + i);
		cond_resched();
	}
	return page;
}

/* A huge frame that was put before. */
static struct page *reuse_huge(struct dram_pool *dram, bool clear)
{
	struct page *page = NULL;
	u64 number;

	while (!page && dram_get_numbers(dram, HUGE_ORDER, 1, &number)) {
		if (!dram_charge(dram, CHUNK_PAGES, CHUNK_PAGES)) {
			dram_put_numbers(dram, HUGE_ORDER, 1, &number, 0);
			dram_tidy_later();
			break;
		}
		page = take_huge(dram, clear, number);
	}
	return page;
}

/* As find_small_locked(). */
static struct page *borrow_huge_locked(struct dram_pool *dram, bool clear)
{
	struct page *page;

	if (dram_is_full(dram, CHUNK_PAGES) || down_read_killable(&dram->growing))
		return NULL;
	page = borrow_huge(dram);
	up_read(&dram->growing);
	if (page == ERR_PTR(-ENOSPC) && dram_may_be_alone(dram)) {
		page = reuse_huge(dram, clear) ?: borrow_huge(dram);
		up_write(&dram->growing);
	}
	return IS_ERR(page) ? NULL : page;
}

/**
 * dram_get_huge() - get huge frames
 * @dram:	the pool
 * @clear:	have them be cleared
 * @count:	how many
 * @frames:	where to put them
 * Return: how many there are.
 */
unsigned int dram_get_huge(struct dram_pool *dram, bool clear, unsigned int count, u64 *frames)
{
	unsigned int got = 0;
	struct page *page;

	while (got < count) {
		page = reuse_huge(dram, clear) ?: borrow_huge_locked(dram, clear);
		if (!page)
			break;
		frames[got++] = page_to_pfn(page);
	}
	return got;
}

/**
 * dram_huge_came_back() - huge frames are about to be put
 * @dram:	the pool
 * @count:	how many
 * @numbers:	their numbers
 */
void dram_huge_came_back(struct dram_pool *dram, unsigned int count, const u64 *numbers)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		WRITE_ONCE(dram->huges[numbers[i]].since, jiffies);
	atomic_add(count, &dram->idle);
}

/**
 * dram_end_huges() - give all huge frames back to the kernel, but for those that are lost
 * @dram: the pool, whose end it is
 */
void dram_end_huges(struct dram_pool *dram)
{
	unsigned int i;

	for (i = 0; i < dram->huge.top; i++) {
		if (!dram->huges[i].page || frames_in_use(&dram->huge.frames, i))
			continue;
		atomic_long_sub(CHUNK_PAGES, &dram->held);
		huge_return(dram->huges[i].page);
	}
}
