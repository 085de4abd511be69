/* SPDX-License-Identifier: GPL-2.0 */
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
 * friends add theirs; a frame that has any of them does not come back to us before it
 * has ours alone.
 *
 * A frame whose memory has failed (memory_failure() says so in its flags) is not
 * handed out again.
 */
#ifndef MORSEL_DRAM_H
#define MORSEL_DRAM_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>

#include "frames/frames.h"
#include "pools/frame.h"
#include "pools/pool.h"

#define CHUNK_PAGES FRAMES_PER_CHILD

/* Frames are got and put in batches of so many. */
#define BATCH 64

/* Never by way of the OOM killer: running out is the caller's to report. */
#define QUIETLY (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define BRIEFLY (GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)
/* What is at hand: others may have some, too. */
#define AT_HAND ((GFP_KERNEL & ~__GFP_DIRECT_RECLAIM) | __GFP_NOMEMALLOC | __GFP_NOWARN)

/**
 * struct dram_chunk - pages that are a child of the small allocator
 * @base:	the first, where they lay beside each other when they were borrowed
 * @pages:	each, where they do not; NULL: they do
 * @used:	how many have been handed out
 * @barren:	how many places serve nobody, and so count as in use: the memory there has
 *		failed, or there is none
 * @gone:	a bit for each of the latter, and at the end for those that were lost
 * @filling:	it is being added, or somebody borrows pages for places that have none: it is
 *		not to be given back, nor filled by others; set before it is seen, or under the
 *		pool's giving lock
 * @since:	jiffies when one was last put
 * @dirty:	a bit for each page that was handed out since it was borrowed; the others
 *		are clear
 */
struct dram_chunk {
	struct page *base;
	struct page **pages;
	atomic_t used;
	atomic_t barren;
	bool filling;
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
 * @list:	in dram_pools (reclaim.c)
 * @small:	pages
 * @huge:	huge frames
 * @chunks:	by child of @small; set before the child is added, and read by who
 *		has a frame of it, or under @giving, with which they go
 * @huges:	by frame of @huge
 * @limit:	pages it may hold
 * @growing:	held for reading by who borrows; for writing by who has found nothing,
 *		as others may have borrowed more than they need
 * @held:	pages it holds, used or free; not those that failed
 * @used:	pages of morsels, tables too, and those in quarantine; counted down before
 *		they are free, so that they are never more than @held
 * @idle:	chunks and huge frames of which nothing has been handed out: what there is
 *		to look for before it is given back
 * @borrows:	chunks and huge frames ever borrowed
 * @returns:	chunks and huge frames ever given back
 * @giving:	one at a time takes what is idle back
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
	atomic_t idle;
	atomic64_t borrows;
	atomic64_t returns;
};

static inline struct dram_pool *to_dram(struct frame_pool *pool)
{
	return container_of(pool, struct dram_pool, pool);
}

/**
 * struct dram_walk - what is looked through for idle memory
 * @before:	jiffies: what was put later is young
 * @wanted:	pages
 * @given:	how many have been given back
 */
struct dram_walk {
	unsigned long before;
	unsigned long wanted;
	unsigned long given;
};

static inline struct frames *allocator_of(struct dram_pool *dram, unsigned int order)
{
	return order ? &dram->huge.frames : &dram->small.frames;
}

/* dram.c */
struct page *dram_borrow(struct dram_pool *dram, gfp_t gfp, unsigned int order);
int dram_number_get(struct dram_allocator *of);
unsigned int dram_get_numbers(struct dram_pool *dram, unsigned int order, unsigned int count,
			      u64 *numbers);
void dram_put_numbers(struct dram_pool *dram, unsigned int order, unsigned int count,
		      const u64 *numbers, unsigned long used);
void dram_say_lost(struct page *page, unsigned int order);
void dram_lose(struct dram_pool *dram, unsigned int order, struct page *page);

/* chunk.c */
unsigned int dram_get_small(struct dram_pool *dram, gfp_t first, bool clear, unsigned int count,
			    u64 *frames);
void dram_small_came_back(struct dram_pool *dram, unsigned int count, const u64 *numbers);
void dram_give_chunk(struct dram_pool *dram, unsigned int child, struct dram_walk *walk);
bool dram_exchange_page(struct dram_pool *dram);
void dram_end_chunks(struct dram_pool *dram);

/* huge.c */
unsigned int dram_get_huge(struct dram_pool *dram, bool clear, unsigned int count, u64 *frames);
void dram_huge_came_back(struct dram_pool *dram, unsigned int count, const u64 *numbers);
void dram_give_huge(struct dram_pool *dram, unsigned int index, struct dram_walk *walk);
void dram_end_huges(struct dram_pool *dram);

/* reclaim.c */
bool dram_is_full(struct dram_pool *dram, unsigned long pages);
unsigned long dram_reserve(struct dram_pool *dram, unsigned long pages, unsigned long least);
unsigned long dram_charge(struct dram_pool *dram, unsigned long pages, unsigned long least);
bool dram_may_be_alone(struct dram_pool *dram);
bool dram_is_old(const struct dram_walk *walk, unsigned long since);
void dram_give_back(struct dram_pool *dram, struct dram_walk *walk);
unsigned long dram_count_idle(struct dram_pool *dram);
void dram_tidy_later(void);
void dram_enlist(struct dram_pool *dram);
void dram_unlist(struct dram_pool *dram);

#endif /* MORSEL_DRAM_H */
