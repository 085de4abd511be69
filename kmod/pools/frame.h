/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames, known by number: the physical frame number.
 */
#ifndef MORSEL_FRAME_H
#define MORSEL_FRAME_H

#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/types.h>

struct frame_pool;

static inline struct page *frame_page(u64 frame)
{
	return pfn_to_page(frame);
}

/**
 * frame_hold() - take a reference to a frame, to use it outside of locks
 * @frame: the frame, or a page of a huge one, which a morsel has and keeps meanwhile
 * Return: its page, to be released with frame_release().
 */
static inline struct page *frame_hold(u64 frame)
{
	struct page *page = frame_page(frame);

	get_page(page);
	return page;
}

/**
 * frame_release() - give back what frame_hold() took
 * @page: the page
 */
static inline void frame_release(struct page *page)
{
	put_page(page);
}

/**
 * frame_failed() - has the memory of a frame failed?
 * @frame: the frame, or a page of a huge one
 * Return: whether memory_failure() was told so.
 */
static inline bool frame_failed(u64 frame)
{
	return PageHWPoison(frame_page(frame));
}

/* Has some of a frame's memory failed? */
static inline bool frame_bad(u64 frame, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1U << order; i++)
		if (frame_failed(frame + i))
			return true;
	return false;
}

/*
 * Does anybody but the pool have a reference to a frame?  Where memory has failed, one may
 * be kept for ever, which is none that counts.
 */
static inline bool frame_pinned(u64 frame, unsigned int order)
{
	return page_ref_count(frame_page(frame)) != 1 && !frame_bad(frame, order);
}

struct frame_pool *frame_pool(u64 frame);

/*
 * The rest is for pools alone.
 *
 * The private field of a frame says, above these bits, which pool it is of, and below,
 * which number it has there.
 */
#define FRAME_NUMBER_BITS 48
#define FRAME_POOL_MAX U16_MAX

static inline void frame_mark(struct page *page, u32 pool, u64 number)
{
	set_page_private(page, (u64)pool << FRAME_NUMBER_BITS | number);
}

static inline void frame_unmark(struct page *page)
{
	set_page_private(page, 0);
}

static inline u32 frame_pool_id(const struct page *page)
{
	return page_private(page) >> FRAME_NUMBER_BITS;
}

static inline u64 frame_number(const struct page *page)
{
	return page_private(page) & (BIT_ULL(FRAME_NUMBER_BITS) - 1);
}

#endif /* MORSEL_FRAME_H */
