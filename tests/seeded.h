/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers for suites that need no guest, and how many rounds there are.
 *
 * SEED_VARIABLE, which who includes this has defined, names what in the environment repeats, or varies, what is
 * random; MORSEL_ROUNDS=N says how much of it there is, in hundredths.
 */
#ifndef SEEDED_H
#define SEEDED_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

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
	uint64_t seed = number_from(SEED_VARIABLE, 1);

	if (!printed)
		print_message("# " SEED_VARIABLE "=%" PRIu64 "\n", seed);
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

#endif /* SEEDED_H */
