/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark's parts, and how they tell what they found.
 */
#ifndef BENCH_H
#define BENCH_H

#include "peers.h"

#define RUNS_MAX 64

/* The two sides of a comparison. */
enum side { OURS, PEER, SIDES };

/* The clock counts instructions. */
extern bool instructions;

unsigned int runs_of(unsigned int runs);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *row_name(const char *start, int kind);
void report(const char *name, const char *unit, double morsel, double peer, const char *peer_name,
	    unsigned int runs);
void report_time(const char *name, uint64_t *morsel, uint64_t *peer, const char *peer_name,
		 unsigned int runs);
void report_strongest(const char *name, const char *unit, const double *found, unsigned int runs);

void bench_mapping(void);
void bench_sparse(void);
void bench_tables(void);
void bench_server(void);
void bench_flushes(void);
void bench_touch(void);
void bench_file(void);
void bench_clone(void);
void bench_cow(void);
void bench_fork_private(void);
void bench_clone_tables(void);
void bench_pauses(void);
void bench_transfer(void);
void bench_view(void);
void bench_storm(void);
void bench_populate(void);

#endif /* BENCH_H */
