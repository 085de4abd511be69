// SPDX-License-Identifier: GPL-2.0
/* Recovery: a pool of 128 GiB has lost its counters, and of its frames a random half is in use. */
#include <stdlib.h>

#include "bench.h"

#define FRAMES (RECOVERY_GIB * GIB_FRAMES)
#define WORDS (FRAMES / 64)

static uint64_t *random_bits(uint64_t seed, uint64_t *nr_free)
{
	uint64_t *bits = malloc(WORDS * sizeof(*bits)), i;

	if (!bits)
		die("no memory");
	*nr_free = FRAMES;
	for (i = 0; i < WORDS; i++) {
		bits[i] = random_next(&seed);
		*nr_free -= (uint64_t)__builtin_popcountll(bits[i]);
	}
	return bits;
}

/**
 * recovery_run() - have an allocator recover
 * @peer:	one that can
 * @seed:	says which frames are in use
 * Return: ns in all.
 */
struct sample recovery_run(const struct frames_peer *peer, uint64_t seed)
{
	struct stopwatch watch;
	uint64_t nr_free, *bits = random_bits(seed, &nr_free);

	stay_on(0);
	if (peer->crash(FRAMES, bits))
		die("%s cannot begin", peer->name);
	stopwatch_open(&watch);
	stopwatch_start(&watch);
	peer->recover();
	stopwatch_stop(&watch);
	stopwatch_close(&watch);
	if (peer->free() != nr_free)
		die("%s has not recovered", peer->name);
	peer->exit();
	free(bits);
	return (struct sample){.ns = (double)watch.ns,
			       .lost = (double)watch.lost / (double)(watch.ns + watch.lost)};
}
