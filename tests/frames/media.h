/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A medium of a test's own, and one host that is at it.
 */
#ifndef MEDIA_H
#define MEDIA_H

#include <stdalign.h>

#include "frames_test.h"

#define MIB (1ULL << 20)
#define SIZE (50 * MIB + 12288)
#define SLOTS 3

static const uint8_t uuid[17] = "sixteen letters!";

struct medium {
	uint8_t *at;
	struct frames_header header;
	struct frames f;
	struct frames_slot slots[SLOTS];
	void *kept;
};

/* Look at a medium anew: after a crash, or as another host. */
static void open_as(struct medium *m, uint32_t host)
{
	assert_int_equal(frames_check(m->at, SIZE, &m->header), 0);
	assert_int_equal(frames_init(&m->f, m->header.nr_frames, m->at + m->header.words, m->slots,
				     SLOTS, host),
			 0);
	m->f.durable = true;
	free(m->kept);
	m->kept = aligned_alloc(8, (frames_kept_size(&m->f) + 7) / 8 * 8);
	assert_non_null(m->kept);
	memset(m->kept, 0, frames_kept_size(&m->f));
}

static struct medium *new_medium(void)
{
	struct medium *m = aligned_alloc(alignof(struct medium), sizeof(*m));

	assert_non_null(m);
	*m = (struct medium){.at = aligned_alloc(4096, SIZE)};
	assert_non_null(m->at);
	memset(m->at, 0xa5, 4 * MIB);
	assert_int_equal(frames_format(m->at, SIZE, uuid), 0);
	open_as(m, 1);
	return m;
}

static void drop_medium(struct medium *m)
{
	free(m->kept);
	free(m->at);
	free(m);
}

static uint64_t get(struct medium *m, uint32_t order)
{
	uint64_t frame;

	assert_int_equal(frames_get(&m->f, 0, order, 1, &frame), 1);
	return frame;
}

static void keep(struct medium *m, uint64_t frame, uint32_t order)
{
	assert_int_equal(frames_keep(&m->f, m->kept, frame, order), 0);
}

static uint64_t nr_used(const struct frames *f)
{
	uint64_t frame, used = 0;

	for (frame = 0; frame < f->nr_frames; frame++)
		used += frames_in_use(f, frame);
	return used;
}

/* All words agree, nothing is claimed, and so many frames are in use. */
static void assert_settled(const struct frames *f, uint64_t used)
{
	struct frames_stat stat;

	assert_valid(f);
	frames_stat(f, &stat);
	assert_int_equal(stat.claimed, 0);
	assert_int_equal(stat.frames, f->nr_frames);
	assert_int_equal(stat.free, f->nr_frames - used);
	assert_int_equal(nr_used(f), used);
}

#endif /* MEDIA_H */
