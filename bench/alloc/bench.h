/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the allocators' benchmark know of each other. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>

#include "peer.h"

#define GIB_FRAMES (1ULL << 18)
#define POOL_FRAMES (8 * GIB_FRAMES) /* for the workloads */
#define CHILD_ORDER 9U
#define CHILD_FRAMES (1U << CHILD_ORDER)
#define BATCH_MAX 512U
#define THREADS_MAX 8U

/* What is timed: see work(). */
enum workload { BULK_GET, BULK_PUT, RANDOM_PUT, PAIR, WORKLOADS };

/**
 * struct setting - in which circumstances
 * @order:	log2 of the frames that are got and put at once
 * @threads:	each on a CPU of its own
 * @batch:	how many of these in one call
 */
struct setting {
	uint32_t order;
	uint32_t threads;
	uint32_t batch;
};

/**
 * struct sample - what one run of something took
 * @ns:		for each operation, or in all
 * @lost:	share of the time in which other programs had the CPU; this is no part of @ns
 */
struct sample {
	double ns;
	double lost;
};

/**
 * struct figure - many samples
 * @median:	of those that lost least
 * @least:	of the same
 * @lost:	what these lost at most
 * @used:	how many they are
 */
struct figure {
	double median;
	double least;
	double lost;
	unsigned int used;
};

/**
 * struct stopwatch - how long a thread took
 * @fd:		what the kernel says of the thread
 */
struct stopwatch {
	int fd;
	uint64_t waited;
	uint64_t began;
	uint64_t ns;
	uint64_t lost;
};

/* ours.c */
extern const struct frames_peer ours, ours_durable;

/* measure.c */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t random_next(uint64_t *state);
void stay_on(uint32_t cpu);
void stopwatch_open(struct stopwatch *watch);
void stopwatch_close(struct stopwatch *watch);
void stopwatch_start(struct stopwatch *watch);
void stopwatch_stop(struct stopwatch *watch);
struct figure summary(struct sample *samples, unsigned int count);

/* workload.c */
extern const char *const workload_names[WORKLOADS];
void workload_run(const struct frames_peer *peer, const struct setting *setting,
		  struct sample samples[WORKLOADS]);

/* recovery.c */
#define RECOVERY_GIB 128ULL
struct sample recovery_run(const struct frames_peer *peer, uint64_t seed);

/* churn.c */
void churn_run(const struct frames_peer *peer, uint64_t seed, FILE *json);

#endif /* BENCH_H */
