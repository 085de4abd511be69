// SPDX-License-Identifier: GPL-2.0
/*
 * Morsel's allocator, by the interface that all allocators are measured by; once as it is in
 * ordinary memory, and once as on a medium, where what was got is flushed.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "frames.h"

static struct frames frames;
static void *words;
static struct frames_slot *slots;

static int make(uint64_t nr_frames, uint32_t threads, bool durable)
{
	words = aligned_alloc(FRAMES_LINE, frames_words_size(nr_frames));
	slots = aligned_alloc(FRAMES_LINE, threads * sizeof(*slots));
	if (!words || !slots || frames_init(&frames, nr_frames, words, slots, threads, 1))
		return -1;
	frames.durable = durable;
	frames_clear(&frames, true);
	return 0;
}

static int init(uint64_t nr_frames, uint32_t threads)
{
	return make(nr_frames, threads, false);
}

static int init_durable(uint64_t nr_frames, uint32_t threads)
{
	return make(nr_frames, threads, true);
}

static void end(void)
{
	free(words);
	free(slots);
}

static uint64_t metadata(void)
{
	return frames_words_size(frames.nr_frames);
}

static uint64_t get(uint32_t thread, uint32_t order)
{
	uint64_t frame;

	return frames_get(&frames, thread, order, 1, &frame) ? frame : PEER_NONE;
}

static int put(uint32_t thread, uint32_t order, uint64_t frame)
{
	return frames_put(&frames, thread, order, 1, &frame);
}

static uint32_t get_batch(uint32_t thread, uint32_t order, uint32_t count, uint64_t *got)
{
	return frames_get(&frames, thread, order, count, got);
}

static int put_batch(uint32_t thread, uint32_t order, uint32_t count, const uint64_t *put)
{
	return frames_put(&frames, thread, order, count, put);
}

static int crash(uint64_t nr_frames, const uint64_t *bits)
{
	if (init(nr_frames, 1))
		return -1;
	memcpy(frames.bits, bits, nr_frames / 8);
	return 0;
}

static void recover(void)
{
	frames_recover(&frames, NULL);
}

static uint64_t count_free(void)
{
	struct frames_stat stat;

	frames_stat(&frames, &stat);
	return stat.free;
}

/* What both have. */
#define OURS                                                                               \
	.exit = end, .metadata = metadata, .get = get, .put = put, .get_batch = get_batch, \
	.put_batch = put_batch, .free = count_free

const struct frames_peer ours = {
	.name = "morsel",
	.init = init,
	.crash = crash,
	.recover = recover,
	OURS,
};

const struct frames_peer ours_durable = {
	.name = "morsel, flushed",
	.init = init_durable,
	OURS,
};
