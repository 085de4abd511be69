/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Batches: frames on their way out, gathered while the range that had them is revoked.
 */
#ifndef MORSEL_BATCH_H
#define MORSEL_BATCH_H

#include <linux/types.h>

/* Frames that fit without further memory. */
#define BATCH_INLINE 30

/**
 * struct batch_part - an array of frames
 * @next:	the next part
 * @frames:	the frames: numbers, marked where they are huge
 * @nr:		how many there are
 * @size:	how many there may be
 */
struct batch_part {
	struct batch_part *next;
	u64 *frames;
	unsigned int nr;
	unsigned int size;
};

/**
 * struct frame_batch - frames of both orders, in the order in which they were added
 * @nr_small:	how many of 4 KiB
 * @nr_huge:	how many of 2 MiB
 * @nr_parts:	how many pages of kernel memory hold some
 * @room:	for how many more there is room
 * @last:	where the next one goes
 * @tail:	the last part, which may have none yet
 * @first:	what needs no memory
 * @inlined:	its frames
 */
struct frame_batch {
	unsigned long nr_small;
	unsigned long nr_huge;
	unsigned int nr_parts;
	unsigned long room;
	struct batch_part *last;
	struct batch_part *tail;
	struct batch_part first;
	u64 inlined[BATCH_INLINE];
};

/* Where a walk through a batch is; begins with batch_walk(). */
struct batch_walk {
	const struct batch_part *part;
	unsigned int index;
};

/**
 * batch_init() - begin with no frames
 * @batch: the batch, not to be copied
 */
static inline void batch_init(struct frame_batch *batch)
{
	batch->nr_small = 0;
	batch->nr_huge = 0;
	batch->nr_parts = 0;
	batch->room = BATCH_INLINE;
	batch->first.next = NULL;
	batch->first.frames = batch->inlined;
	batch->first.nr = 0;
	batch->first.size = BATCH_INLINE;
	batch->last = &batch->first;
	batch->tail = &batch->first;
}

static inline bool batch_empty(const struct frame_batch *batch)
{
	return !batch->nr_small && !batch->nr_huge;
}

static inline struct batch_walk batch_walk(const struct frame_batch *batch)
{
	return (struct batch_walk){.part = &batch->first};
}

void batch_reserve(struct frame_batch *batch, unsigned long count);
bool batch_add(struct frame_batch *batch, unsigned int order, u64 frame);
bool batch_next(struct batch_walk *walk, unsigned int *order, u64 *frame);
void batch_forget(struct frame_batch *batch);
void batch_give(struct frame_batch *batch);

#endif /* MORSEL_BATCH_H */
