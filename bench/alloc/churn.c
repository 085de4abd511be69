// SPDX-License-Identifier: GPL-2.0
/*
 * Fragmentation: four fifths of 1 GiB are in use.  Random runs are put and others got, for long:
 * single and huge frames at first, then all orders in between, too, each of which has the
 * same share of the memory.  When an allocator does not have a run, one more is put.  The
 * books are kept here, so that all allocators are measured alike, and none can hand a
 * frame out twice.
 *
 * One thread plays two in turns: what happens depends on the seed only.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define FRAMES GIB_FRAMES
#define CHILDREN (FRAMES / CHILD_FRAMES)
#define LOAD (FRAMES / 5 * 4)
#define SAMPLES 64U
/* Two samples are a quarter of the memory apart, by what was asked for. */
#define STEP (FRAMES / 4)
/* All orders are got from then on. */
#define MIXED (SAMPLES / 2 * STEP)
#define THREADS 2U

/* Runs are of order 0 to 9. */
struct run {
	uint32_t frame;
	uint32_t order;
};

/**
 * struct churn - what is in use
 * @runs:	got and not put yet
 * @used:	frames in use, by child
 * @taken:	by frame
 * @asked:	frames that were asked for so far
 * @refused:	runs that the allocator did not have, since the last sample
 */
struct churn {
	const struct frames_peer *peer;
	uint64_t random;
	uint64_t steps;
	struct run runs[FRAMES];
	uint32_t nr_runs;
	uint64_t nr_used;
	uint32_t used[CHILDREN];
	bool taken[FRAMES];
	uint64_t asked;
	uint64_t refused;
};

static uint64_t random_below(struct churn *churn, uint64_t limit)
{
	return random_next(&churn->random) % limit;
}

/* Each order has the same share of the memory: order 0 is got 512 times as often as order 9. */
static uint32_t random_order(struct churn *churn)
{
	uint64_t pick;

	if (churn->asked < MIXED)
		return random_below(churn, CHILD_FRAMES + 1) ? 0 : CHILD_ORDER;
	pick = random_below(churn, 2 * CHILD_FRAMES - 1) + 1;
	return CHILD_ORDER - (63 - (uint32_t)__builtin_clzll(pick));
}

static void mark(struct churn *churn, const struct run *run, bool taken)
{
	uint32_t i, nr = 1U << run->order;

	for (i = run->frame; i < run->frame + nr; i++) {
		if (churn->taken[i] == taken)
			die("%s handed frame %u out twice", churn->peer->name, i);
		churn->taken[i] = taken;
	}
	if (taken) {
		churn->used[run->frame / CHILD_FRAMES] += nr;
		churn->nr_used += nr;
	} else {
		churn->used[run->frame / CHILD_FRAMES] -= nr;
		churn->nr_used -= nr;
	}
}

static void put_one(struct churn *churn)
{
	uint64_t which;
	struct run run;

	if (!churn->nr_runs)
		return;
	which = random_below(churn, churn->nr_runs);
	run = churn->runs[which];
	churn->runs[which] = churn->runs[--churn->nr_runs];
	mark(churn, &run, false);
	if (churn->peer->put(churn->steps++ % THREADS, run.order, run.frame))
		die("%s does not take order %u back", churn->peer->name, run.order);
}

static void get_one(struct churn *churn)
{
	struct run run = {.order = random_order(churn)};
	uint64_t frame = churn->peer->get(churn->steps++ % THREADS, run.order);

	churn->asked += 1U << run.order;
	if (frame == PEER_NONE) {
		churn->refused++;
		put_one(churn);
		return;
	}
	if (frame % (1U << run.order) || frame + (1U << run.order) > FRAMES)
		die("%s handed out frame %" PRIu64 ", order %u", churn->peer->name, frame,
		    run.order);
	run.frame = (uint32_t)frame;
	mark(churn, &run, true);
	churn->runs[churn->nr_runs++] = run;
}

/* A digit for each child: 0 if no frame is free, 9 if all are. */
static void print_map(const struct churn *churn, FILE *json)
{
	uint32_t child, nr;

	fputs("\"map\": \"", json);
	for (child = 0; child < CHILDREN; child++) {
		nr = CHILD_FRAMES - churn->used[child];
		fprintf(json, "%u", nr ? nr / (CHILD_FRAMES / 8) + 1 : 0);
	}
	fputs("\"", json);
}

static void print_sample(struct churn *churn, FILE *json)
{
	uint64_t nr_free = FRAMES - churn->nr_used;
	uint32_t child, whole = 0;

	for (child = 0; child < CHILDREN; child++)
		whole += !churn->used[child];
	fprintf(json,
		"        {\"turns\": %.2f, \"free\": %" PRIu64
		", \"huge\": %u, \"ideal\": %" PRIu64,
		(double)churn->asked / FRAMES, nr_free, whole, nr_free / CHILD_FRAMES);
	fprintf(json, ", \"refused\": %" PRIu64 ",\n         ", churn->refused);
	print_map(churn, json);
	fputs("}", json);
	churn->refused = 0;
}

static void step(struct churn *churn)
{
	if (churn->nr_used < LOAD)
		get_one(churn);
	else
		put_one(churn);
}

/**
 * churn_run() - see how an allocator's memory gets fragmented
 * @peer:	the allocator
 * @seed:	says what is got and put
 * @json:	an array of samples is written there
 */
void churn_run(const struct frames_peer *peer, uint64_t seed, FILE *json)
{
	struct churn *churn = calloc(1, sizeof(*churn));
	uint32_t i;

	if (!churn)
		die("no memory");
	churn->peer = peer;
	churn->random = seed;
	if (peer->init(FRAMES, THREADS))
		die("%s cannot begin", peer->name);
	fputs("[\n", json);
	for (i = 1; i <= SAMPLES; i++) {
		while (churn->asked < i * STEP)
			step(churn);
		print_sample(churn, json);
		fputs(i < SAMPLES ? ",\n" : "\n", json);
	}
	fputs("      ]", json);
	peer->exit();
	free(churn);
}
