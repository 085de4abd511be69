/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames, known by number: the physical frame number.
 */
#ifndef MORSEL_FRAME_H
#define MORSEL_FRAME_H

#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/types.h>

struct account;
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
 * How many references are there to the frame at a physical address?  @first is frame_page(0), at hand for who asks for many: this
 * is pfn_to_page(), where the number is still a multiple of PAGE_SIZE.
 */
static inline int frame_refs_at(const struct page *first, u64 address)
{
	static_assert(!(PAGE_SIZE % sizeof(struct page)));

	return page_ref_count((const void *)first + address / (PAGE_SIZE / sizeof(struct page)));
}

/*
 * Does anybody but the pool have a reference to a frame?  Where memory has failed, one may
 * be kept for ever, which is none that counts.
 */
static inline bool frame_pinned(u64 frame, unsigned int order)
{
	return page_ref_count(frame_page(frame)) != 1 && !frame_bad(frame, order);
}

/*
 * The same, but for who has mapped pages of it one by one, and for @held references that the caller knows
 * of.  What somebody has for a moment counts, too.
 */
static inline bool frame_held_beside(u64 frame, unsigned int order, unsigned int held)
{
	struct page *page = frame_page(frame);
	unsigned int mappings = compat_mappings(page, order);

	/* A mapping that comes or goes is one; pairs with its atomic counts. */
	smp_rmb();
	if (page_ref_count(page) != 1 + held + mappings)
		return true;
	/* As above. */
	smp_rmb();
	return compat_mappings(page, order) != mappings;
}

struct frame_pool *frame_pool(u64 frame);

/*
 * How many have a frame beside one, where clones share it: in a word in which queues keep something of
 * those that no map has (quarantine.c).
 */
static inline atomic_long_t *frame_sharers(u64 frame)
{
	static_assert(sizeof(atomic_long_t) == sizeof(void *));

	return (atomic_long_t *)&compound_head(frame_page(frame))->zone_device_data;
}

/**
 * frame_share() - somebody else has a frame, too
 * @frame: the frame, or a page of a huge one, which the caller has
 */
static inline void frame_share(u64 frame)
{
	atomic_long_inc(frame_sharers(frame));
}

/* Has anybody else a frame that the caller has?  Where nobody has, nobody gets it but from the caller. */
static inline bool frame_shared(u64 frame)
{
	return atomic_long_read(frame_sharers(frame));
}

/**
 * frame_unshare() - somebody has a frame no more
 * @frame: the frame
 * Return: was that the last one?  Then it is to be given back.
 */
static inline bool frame_unshare(u64 frame)
{
	return !atomic_long_add_unless(frame_sharers(frame), -1, 0);
}

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
	page->zone_device_data = NULL;
}

/* What a frame, or a page for a table, was taken for, and stays charged to until it is given back. */
static inline void frame_set_account(struct page *page, struct account *account)
{
	page->lru.next = (struct list_head *)account;
}

static inline struct account *frame_account(struct page *page)
{
	return (struct account *)page->lru.next;
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
