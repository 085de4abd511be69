/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the frame allocator's suites share: random numbers, an allocator in
 * memory, and the assertion that its words agree.
 *
 * FRAMES_SEED=N in the environment repeats, or varies, what is random; MORSEL_ROUNDS=N says
 * how much of it there is, in hundredths.
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

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* A number from the environment, or what it is without. */
static inline uint64_t number_from(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* So many of what could go on for ever: all with MORSEL_ROUNDS=100, a twentieth if nothing is said. */
static inline uint32_t rounds_of(uint64_t full)
{
	uint64_t nr = full * number_from("MORSEL_ROUNDS", 5) / 100;

	return nr ? (uint32_t)nr : 1;
}

/* The seed of this run, which is printed the first time. */
static inline uint64_t test_seed(void)
{
	static bool printed;
	uint64_t seed = number_from("FRAMES_SEED", 1);

	if (!printed)
		print_message("# FRAMES_SEED=%" PRIu64 "\n", seed);
	printed = true;
	return seed;
}

/* Random numbers: splitmix64.  Who has a state of its own has a stream of its own. */
static inline uint64_t rnd(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* One of 0 to n - 1. */
static inline uint64_t rnd_below(uint64_t *state, uint64_t n)
{
	return rnd(state) % n;
}

/* The first state of a stream that belongs to this run, the caller and a number. */
static inline uint64_t rnd_stream(const char *who, uint64_t number)
{
	uint64_t state = test_seed() + number * 0x100000001b3ULL;

	while (*who)
		state = (state ^ (unsigned char)*who++) * 0x100000001b3ULL;
	return rnd(&state);
}

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
