// SPDX-License-Identifier: GPL-2.0
/*
 * The baseline: a free list for each order, under a mutex, as anybody would write it first.  A list
 * that is empty halves a run of the next one.  Nothing is put together again.
 */
#include <pthread.h>
#include <stdlib.h>

#include "peer.h"

#define ORDERS 11U
#define END UINT32_MAX

/**
 * struct list - runs of one order that are free
 * @lock:	taken before those of larger orders
 * @first:	the first frame of the first run
 */
struct list {
	pthread_mutex_t lock;
	uint32_t first;
} __attribute__((aligned(64)));

static struct list lists[ORDERS];
/* By first frame of a run that is free: that of the next run. */
static uint32_t *next;
static uint64_t nr_frames;

static void push(uint32_t order, uint32_t frame)
{
	next[frame] = lists[order].first;
	lists[order].first = frame;
}

static int init(uint64_t frames, uint32_t threads)
{
	uint32_t order, largest = ORDERS - 1;
	uint64_t frame;

	(void)threads;
	nr_frames = frames;
	next = calloc(frames, sizeof(*next));
	if (!next)
		return -1;
	for (order = 0; order < ORDERS; order++) {
		pthread_mutex_init(&lists[order].lock, NULL);
		lists[order].first = END;
	}
	for (frame = frames >> largest << largest; frame;) {
		frame -= 1UL << largest;
		push(largest, (uint32_t)frame);
	}
	return 0;
}

static void end(void)
{
	uint32_t order;

	for (order = 0; order < ORDERS; order++)
		pthread_mutex_destroy(&lists[order].lock);
	free(next);
}

static uint64_t metadata(void)
{
	return nr_frames * sizeof(*next) + sizeof(lists);
}

static uint64_t get(uint32_t thread, uint32_t order)
{
	struct list *list = &lists[order];
	uint64_t frame;

	pthread_mutex_lock(&list->lock);
	frame = list->first;
	if (frame != END) {
		list->first = next[frame];
	} else {
		frame = order + 1 < ORDERS ? get(thread, order + 1) : PEER_NONE;
		if (frame != PEER_NONE)
			push(order, (uint32_t)frame + (1U << order));
	}
	pthread_mutex_unlock(&list->lock);
	return frame;
}

static int put(uint32_t thread, uint32_t order, uint64_t frame)
{
	struct list *list = &lists[order];

	(void)thread;
	pthread_mutex_lock(&list->lock);
	push(order, (uint32_t)frame);
	pthread_mutex_unlock(&list->lock);
	return 0;
}

static const struct frames_peer peer = {
	.name = "free list",
	.init = init,
	.exit = end,
	.metadata = metadata,
	.get = get,
	.put = put,
};

const struct frames_peer *frames_peer(void)
{
	return &peer;
}
