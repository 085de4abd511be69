// SPDX-License-Identifier: GPL-2.0
/*
 * bench-alloc: what getting and putting frames costs, with our allocator and with others, which are
 * shared objects; see peer.h.  All are measured in turns, in one process, so that what
 * disturbs one disturbs all.
 *
 * usage: bench-alloc [-r ROUNDS] [-t THREADS] [-s SEED] [-o JSON] [PEER.so...]
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS_MAX 101U
#define FLUSHED_ROUNDS 3U
#define PEERS_MAX 8U
/* Half of 8 GiB, in huge frames: no thread gets less than a batch. */
#define HUGE_RUNS 2048U

static const uint32_t orders[] = {0, CHILD_ORDER};
static const uint32_t batches[] = {1, 8, 64, BATCH_MAX};
#define SETTINGS_MAX (2 * 4 * 4)

/**
 * struct row - a setting, and all that was measured in it
 * @samples:	by allocator, workload and round
 */
struct row {
	struct setting setting;
	struct sample samples[PEERS_MAX][WORKLOADS][ROUNDS_MAX];
	struct figure figures[PEERS_MAX][WORKLOADS];
};

static unsigned int rounds = 11;
static uint32_t threads_max = 2;
static uint64_t seed = 1;

/* Ours is the first; once more, flushed, it is the last. */
static const struct frames_peer *peers[PEERS_MAX] = {&ours};
static unsigned int nr_peers = 1;

static struct row rows[SETTINGS_MAX];
static unsigned int nr_rows;

static uint64_t metadata[PEERS_MAX];
static struct sample recoveries[PEERS_MAX][ROUNDS_MAX];
static struct figure recovery[PEERS_MAX];

static void peer_load(const char *path)
{
	const struct frames_peer *(*entry)(void);
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!object)
		die("%s", dlerror());
	entry = (const struct frames_peer *(*)(void))dlsym(object, "frames_peer");
	if (!entry)
		die("%s", dlerror());
	if (nr_peers + 1 >= PEERS_MAX)
		die("too many peers");
	peers[nr_peers++] = entry();
}

static void rows_make(void)
{
	uint32_t threads, order, batch;

	for (order = 0; order < 2; order++)
		for (threads = 1; threads <= threads_max; threads *= 2)
			for (batch = 0; batch < 4; batch++)
				if (HUGE_RUNS / threads >= batches[batch])
					rows[nr_rows++].setting = (struct setting){
						orders[order], threads, batches[batch]};
}

/* What flushing costs is the same for any number of threads. */
static bool is_measured(unsigned int peer, const struct row *row)
{
	return peers[peer] != &ours_durable || row->setting.threads == 1;
}

/* Flushing takes long, and always the same. */
static unsigned int rounds_of(unsigned int peer)
{
	return peers[peer] == &ours_durable && rounds > FLUSHED_ROUNDS ? FLUSHED_ROUNDS : rounds;
}

static bool can_recover(unsigned int peer)
{
	return peers[peer]->crash && peers[peer]->recover && peers[peer]->free;
}

/* Who comes first changes from round to round. */
static unsigned int turn(unsigned int round, unsigned int i)
{
	return (round + i) % nr_peers;
}

static void measure_row(struct row *row, unsigned int round)
{
	struct sample samples[WORKLOADS];
	unsigned int i, peer, workload;

	for (i = 0; i < nr_peers; i++) {
		peer = turn(round, i);
		if (!is_measured(peer, row) || round >= rounds_of(peer))
			continue;
		workload_run(peers[peer], &row->setting, samples);
		for (workload = 0; workload < WORKLOADS; workload++)
			row->samples[peer][workload][round] = samples[workload];
	}
}

static void measure_recovery(unsigned int round)
{
	unsigned int i, peer;

	for (i = 0; i < nr_peers; i++) {
		peer = turn(round, i);
		if (can_recover(peer))
			recoveries[peer][round] = recovery_run(peers[peer], seed + round);
	}
}

static void measure_metadata(void)
{
	unsigned int peer;

	for (peer = 0; peer < nr_peers; peer++) {
		if (peers[peer]->init(POOL_FRAMES, 1))
			die("%s cannot begin", peers[peer]->name);
		metadata[peer] = peers[peer]->metadata();
		peers[peer]->exit();
	}
}

static void measure(void)
{
	unsigned int round, i;

	measure_metadata();
	for (round = 0; round < rounds; round++) {
		fprintf(stderr, "round %u of %u\n", round + 1, rounds);
		for (i = 0; i < nr_rows; i++)
			measure_row(&rows[i], round);
		measure_recovery(round);
	}
}

static void summarize(void)
{
	unsigned int i, peer, workload;

	for (peer = 0; peer < nr_peers; peer++) {
		if (can_recover(peer))
			recovery[peer] = summary(recoveries[peer], rounds);
		for (i = 0; i < nr_rows; i++)
			for (workload = 0; workload < WORKLOADS && is_measured(peer, &rows[i]);
			     workload++)
				rows[i].figures[peer][workload] =
					summary(rows[i].samples[peer][workload], rounds_of(peer));
	}
}

/* A figure, and how many times ours it is. */
static void print_figure(const char *digits, double figure, double ourselves)
{
	printf(digits, figure);
	printf(" %5.2f", figure / ourselves);
}

static void print_nothing(void)
{
	printf("%11s %5s", "-", "");
}

static void print_row(const struct row *row, enum workload workload)
{
	unsigned int peer;

	printf("%-13s %5u %8u %6u", workload_names[workload], row->setting.order,
	       row->setting.threads, row->setting.batch);
	for (peer = 0; peer < nr_peers; peer++)
		if (is_measured(peer, row))
			print_figure("%11.1f", row->figures[peer][workload].median,
				     row->figures[0][workload].median);
		else
			print_nothing();
	printf("\n");
}

static void print_rows(void)
{
	unsigned int i, peer, workload;

	printf("%-13s %5s %8s %6s", "ns per frame", "order", "threads", "batch");
	for (peer = 0; peer < nr_peers; peer++)
		printf("%17s", peers[peer]->name);
	printf("\n");
	for (i = 0; i < nr_rows; i++)
		for (workload = 0; workload < WORKLOADS; workload++)
			print_row(&rows[i], workload);
}

/* Of all that was got and put one by one. */
static double sum_of(unsigned int peer)
{
	unsigned int i, workload;
	double sum = 0;

	for (i = 0; i < nr_rows; i++)
		for (workload = 0; workload < WORKLOADS && rows[i].setting.batch == 1; workload++)
			sum += rows[i].figures[peer][workload].median;
	return sum;
}

static void print_recovery(const char *what, double unit)
{
	unsigned int peer;

	printf("%-35s", what);
	for (peer = 0; peer < nr_peers; peer++)
		if (can_recover(peer))
			print_figure("%11.1f", recovery[peer].median / unit,
				     recovery[0].median / unit);
		else
			print_nothing();
	printf("\n");
}

static void print_rest(void)
{
	unsigned int peer;

	printf("%-35s", "sum of those one by one");
	for (peer = 0; peer < nr_peers; peer++)
		if (peers[peer] != &ours_durable)
			print_figure("%11.1f", sum_of(peer), sum_of(0));
		else
			print_nothing();
	printf("\n");
	print_recovery("us to recover 128 GiB", 1000);
	print_recovery("ns to recover 1 GiB of these", RECOVERY_GIB);
	printf("%-35s", "metadata, % of the memory");
	for (peer = 0; peer < nr_peers; peer++)
		print_figure("%11.5f", 100.0 * (double)metadata[peer] / POOL_FRAMES / 4096,
			     100.0 * (double)metadata[0] / POOL_FRAMES / 4096);
	printf("\n");
}

/* Says how far the figures can be believed. */
static void print_noise(void)
{
	unsigned int i, peer, workload, used = 0, all = 0;
	double lost = 0;

	for (i = 0; i < nr_rows; i++)
		for (peer = 0; peer < nr_peers; peer++)
			for (workload = 0; workload < WORKLOADS && is_measured(peer, &rows[i]);
			     workload++) {
				const struct figure *figure = &rows[i].figures[peer][workload];

				all += rounds_of(peer);
				used += figure->used;
				lost = figure->lost > lost ? figure->lost : lost;
			}
	printf("\nMedians, and how many times ours that is; seed %" PRIu64
	       ".  %.0f %% of the samples were left out,\n"
	       "since others had the CPUs; of those that were not, the worst lost %.0f %% of its "
	       "time to them.\n",
	       seed, 100.0 * (all - used) / all, 100 * lost);
}

static const char *cpu_name(void)
{
	static char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");
	char *name = NULL;

	while (file && !name && fgets(line, sizeof(line), file))
		if (!strncmp(line, "model name", 10))
			name = strchr(line, ':');
	if (file)
		fclose(file);
	if (!name)
		return "unknown";
	name[strcspn(name, "\n\"\\")] = '\0';
	return name + 2;
}

static void json_figure(FILE *json, unsigned int peer, const struct figure *figure)
{
	fprintf(json, "      {\"allocator\": \"%s\", \"median\": %.2f, \"min\": %.2f, ",
		peers[peer]->name, figure->median, figure->least);
	fprintf(json, "\"samples\": %u, \"lost\": %.4f}", figure->used, figure->lost);
}

static void json_row(FILE *json, const struct row *row, enum workload workload)
{
	unsigned int peer;

	fprintf(json, "    {\"workload\": \"%s\", \"order\": %u, \"threads\": %u, \"batch\": %u",
		workload_names[workload], row->setting.order, row->setting.threads,
		row->setting.batch);
	fprintf(json, ", \"unit\": \"ns per frame\", \"figures\": [\n");
	for (peer = 0; peer < nr_peers; peer++)
		if (is_measured(peer, row)) {
			fputs(peer ? ",\n" : "", json);
			json_figure(json, peer, &row->figures[peer][workload]);
		}
	fprintf(json, "\n    ]}");
}

static void json_rows(FILE *json)
{
	unsigned int i, workload;

	fprintf(json, "  \"workloads\": [\n");
	for (i = 0; i < nr_rows; i++)
		for (workload = 0; workload < WORKLOADS; workload++) {
			fputs(i || workload ? ",\n" : "", json);
			json_row(json, &rows[i], workload);
		}
	fprintf(json, "\n  ],\n");
}

static void json_recovery(FILE *json)
{
	unsigned int peer;

	fprintf(json, "  \"recovery\": {\"gib\": %llu, \"unit\": \"ns\", \"figures\": [\n",
		RECOVERY_GIB);
	for (peer = 0; peer < nr_peers; peer++)
		if (can_recover(peer)) {
			fputs(peer ? ",\n" : "", json);
			json_figure(json, peer, &recovery[peer]);
		}
	fprintf(json, "\n  ]},\n");
}

static void json_fragmentation(FILE *json)
{
	unsigned int peer;

	fprintf(json, "  \"fragmentation\": [\n");
	for (peer = 0; peer < nr_peers; peer++)
		if (peers[peer] != &ours_durable) {
			fputs(peer ? ",\n" : "", json);
			fprintf(json,
				"    {\"allocator\": \"%s\", \"samples\": ", peers[peer]->name);
			churn_run(peers[peer], seed, json);
			fprintf(json, "}");
		}
	fprintf(json, "\n  ]\n");
}

static void json_write(const char *path)
{
	FILE *json = fopen(path, "we");
	unsigned int peer;

	if (!json)
		die("cannot write %s: %s", path, strerror(errno));
	fprintf(json, "{\n  \"cpu\": \"%s\",\n  \"seed\": %" PRIu64 ",\n  \"rounds\": %u,\n",
		cpu_name(), seed, rounds);
	fprintf(json, "  \"frames\": %llu,\n  \"allocators\": [\n", POOL_FRAMES);
	for (peer = 0; peer < nr_peers; peer++)
		fprintf(json, "    {\"name\": \"%s\", \"metadata_bytes\": %" PRIu64 "}%s\n",
			peers[peer]->name, metadata[peer], peer + 1 < nr_peers ? "," : "");
	fprintf(json, "  ],\n");
	json_rows(json);
	json_recovery(json);
	json_fragmentation(json);
	fprintf(json, "}\n");
	if (fclose(json))
		die("cannot write %s: %s", path, strerror(errno));
}

int main(int argc, char **argv)
{
	const char *path = NULL;
	int option;

	while ((option = getopt(argc, argv, "r:t:s:o:")) != -1)
		switch (option) {
		case 'r':
			rounds = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 't':
			threads_max = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			path = optarg;
			break;
		default:
			die("usage: [-r ROUNDS] [-t THREADS] [-s SEED] [-o JSON] [PEER.so...]");
		}
	if (!rounds || rounds > ROUNDS_MAX || !threads_max || threads_max > THREADS_MAX)
		die("1 to %u rounds, and 1 to %u threads", ROUNDS_MAX, THREADS_MAX);
	/* The first call finds out which CPUs there are. */
	stay_on(0);
	while (optind < argc)
		peer_load(argv[optind++]);
	peers[nr_peers++] = &ours_durable;

	rows_make();
	measure();
	summarize();
	print_rows();
	print_rest();
	print_noise();
	if (path)
		json_write(path);
	return 0;
}
