// SPDX-License-Identifier: GPL-2.0
/*
 * Batches: frames on their way out, gathered while the range that had them is revoked.
 *
 * They grow as the kernel's mmu_gather does: what is inside a batch needs no memory, and
 * where there is none for more, or enough is gathered, it is given back first.
 */
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/sched.h>

#include "morsel.h"
#include "pools/batch.h"
#include "pools/source.h"

/* What marks a huge frame's number. */
#define HUGE_MARK BIT_ULL(63)

/*
 * A batch holds back no more than half a million frames, which takes 4 MiB: also for who is
 * killed meanwhile, and is to be gone soon.
 */
#define PARTS_MAX 1024

static unsigned int order_of(u64 noted)
{
	return noted & HUGE_MARK ? HUGE_ORDER : 0;
}

static struct batch_part *part_alloc(void)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY;
	unsigned long page = __get_free_page(gfp | __GFP_ACCOUNT);

	/* A group at its limit is to free memory all the same: it is a page, and for a moment. */
	return (struct batch_part *)(page ?: __get_free_page(gfp));
}

static bool batch_grow(struct frame_batch *batch)
{
	struct batch_part *part;

	if (batch->nr_parts == PARTS_MAX)
		return false;
	part = part_alloc();
	if (!part)
		return false;
	part->next = NULL;
	part->frames = (u64 *)(part + 1);
	part->nr = 0;
	part->size = (PAGE_SIZE - sizeof(*part)) / sizeof(u64);
	batch->nr_parts++;
	batch->room += part->size;
	batch->tail->next = part;
	batch->tail = part;
	return true;
}

/**
 * batch_reserve() - make room, as far as there is memory
 * @batch:	the batch
 * @count:	for how many frames
 *
 * May sleep, and reclaim memory.
 */
void batch_reserve(struct frame_batch *batch, unsigned long count)
{
	while (batch->room < count && batch_grow(batch))
		;
}

/**
 * batch_add() - note a frame
 * @batch:	the batch
 * @order:	log2 of its pages
 * @frame:	the frame
 * Return: true; false: there is no room, and nothing was noted: what is there is to be
 * given back first.
 */
bool batch_add(struct frame_batch *batch, unsigned int order, u64 frame)
{
	if (!batch->room)
		return false;
	if (batch->last->nr == batch->last->size)
		batch->last = batch->last->next;
	batch->last->frames[batch->last->nr++] = frame | (order ? HUGE_MARK : 0);
	batch->room--;
	if (order)
		batch->nr_huge++;
	else
		batch->nr_small++;
	return true;
}

/**
 * batch_next() - the next frame of a walk
 * @walk:	the walk, from batch_walk()
 * @order:	log2 of its pages
 * @frame:	the frame
 * Return: is there one?
 */
bool batch_next(struct batch_walk *walk, unsigned int *order, u64 *frame)
{
	u64 noted;

	while (walk->part && walk->index == walk->part->nr) {
		walk->part = walk->part->next;
		walk->index = 0;
	}
	if (!walk->part)
		return false;
	noted = walk->part->frames[walk->index++];
	*order = order_of(noted);
	*frame = noted & ~HUGE_MARK;
	return true;
}

/* Give a part's frames back, as many at once as follow each other in one order. */
static void part_give(struct batch_part *part)
{
	unsigned int first, end, order;

	for (first = 0; first < part->nr; first = end) {
		order = order_of(part->frames[first]);
		for (end = first; end < part->nr && order_of(part->frames[end]) == order; end++)
			part->frames[end] &= ~HUGE_MARK;
		source_give(order, end - first, part->frames + first);
	}
	cond_resched();
}

/**
 * batch_forget() - the frames are somebody else's by now; the batch is empty again
 * @batch: the batch
 */
void batch_forget(struct frame_batch *batch)
{
	struct batch_part *part, *next;

	for (part = batch->first.next; part; part = next) {
		next = part->next;
		free_page((unsigned long)part);
	}
	batch_init(batch);
}

/**
 * batch_give() - give all frames back; the batch is empty again
 * @batch: the batch
 */
void batch_give(struct frame_batch *batch)
{
	struct batch_part *part;

	for (part = &batch->first; part; part = part->next)
		part_give(part);
	batch_forget(batch);
}
