/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the frame allocator's suites share: an allocator in memory, and the assertion
 * that its words agree.
 */
#ifndef FRAMES_TEST_H
#define FRAMES_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"

#define SEED_VARIABLE "FRAMES_SEED"
#include "../seeded.h"

struct made_frames {
	struct frames f; /* the first, so that free_frames() finds the rest */
	void *words;
	struct frames_slot *slots;
};

/*
 * An allocator of host 1 in this process's memory, of which all frames are there, or
 * none is.  The words hold garbage before, as a medium's may.
 */
static inline struct frames *make_frames(uint64_t nr_frames, uint32_t nr_slots, bool there)
{
	struct made_frames *made = calloc(1, sizeof(*made));
	size_t size = frames_words_size(nr_frames);

	assert_non_null(made);
	assert_true(size && size % FRAMES_LINE == 0);
	made->words = aligned_alloc(FRAMES_LINE, size);
	made->slots = aligned_alloc(FRAMES_LINE, nr_slots * sizeof(*made->slots));
	assert_true(made->words && made->slots);
	memset(made->words, 0xa5, size);
	memset(made->slots, 0xa5, nr_slots * sizeof(*made->slots));
	assert_int_equal(frames_init(&made->f, nr_frames, made->words, made->slots, nr_slots, 1),
			 0);
	frames_clear(&made->f, there);
	return &made->f;
}

static inline void free_frames(struct frames *f)
{
	struct made_frames *made = (struct made_frames *)f;

	free(made->slots);
	free(made->words);
	free(made);
}

/* The words agree with each other; for whom nobody gets or puts meanwhile. */
#define assert_valid(f)                                              \
	do {                                                         \
		uint32_t where_ = 0;                                 \
		const char *fault_ = frames_validate(f, &where_);    \
                                                                     \
		if (fault_)                                          \
			fail_msg("%s, at %" PRIu32, fault_, where_); \
	} while (0)

#endif /* FRAMES_TEST_H */
