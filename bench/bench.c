// SPDX-License-Identifier: GPL-2.0
/*
 * morsel-bench: what morsels cost beside what else there is, in one guest and in turns, so that
 * both sides meet the same conditions.
 *
 * Each result is a line of JSON on stdout; lines with '#' are for people.  With -i the guest's
 * clock counts instructions (qemu -icount shift=0), so that "ns" are instructions.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

#include "bench.h"

bool instructions;
static unsigned int scale_runs = 1;

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "mapping", bench_mapping },
	{ "sparse", bench_sparse },
	{ "touch", bench_touch },
	{ "file", bench_file },
	{ "clone", bench_clone },
	{ "cow", bench_cow },
	{ "fork_private", bench_fork_private },
	{ "clone_tables", bench_clone_tables },
	{ "pauses", bench_pauses },
	{ "transfer", bench_transfer },
	{ "view", bench_view },
	{ "storm", bench_storm },
	{ "populate", bench_populate },
	{ "tables", bench_tables },
	{ "server", bench_server },
	{ "flushes", bench_flushes },
};

#define PARTS (sizeof(parts) / sizeof(*parts))

unsigned int runs_of(unsigned int runs)
{
	runs = instructions ? 3 : runs * scale_runs;
	return runs < RUNS_MAX ? runs : RUNS_MAX;
}

/* A line for people. */
void say(const char *format, ...)
{
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

/* The name of a row that has memory of a kind as the peer; until the next call. */
const char *row_name(const char *start, int kind)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s%s", start, kinds[kind].suffix);
	return name;
}

void report(const char *name, const char *unit, double morsel, double peer, const char *peer_name,
	    unsigned int runs)
{
	printf("{\"name\": \"%s%s\", \"unit\": \"%s\", ", name, instructions ? "_instructions" : "",
	       instructions ? "instructions" : unit);
	printf("\"morsel\": %.2f, \"peer\": %.2f, \"peer_name\": \"%s\", \"ratio\": %.2f, \"runs\": %u}\n",
	       morsel, peer, peer_name, morsel > 0 ? peer / morsel : 0, runs);
	fflush(stdout);
}

/* ns are told in µs; instructions as they are. */
void report_time(const char *name, uint64_t *morsel, uint64_t *peer, const char *peer_name,
		 unsigned int runs)
{
	double unit = instructions ? 1 : 1000;

	report(name, "us", (double)median(morsel, runs) / unit, (double)median(peer, runs) / unit,
	       peer_name, runs);
}

/**
 * report_strongest() - report a row beside the peer that needs least
 * @name:	the row's
 * @unit:	of what was found
 * @found:	by kind; below 0: not measured
 * @runs:	how many
 */
void report_strongest(const char *name, const char *unit, const double *found, unsigned int runs)
{
	int kind, best = 0;

	printf("# %s, %s:", name, instructions ? "instructions" : unit);
	for (kind = MORSEL; kind < KINDS; kind++) {
		if (found[kind] < 0)
			continue;
		printf("%s %s %.0f", kind ? "," : "", kinds[kind].what, found[kind]);
		if (kind != MORSEL && (!best || found[kind] < found[best]))
			best = kind;
	}
	printf("\n");
	if (best)
		report(name, unit, found[MORSEL], found[best], kinds[best].what, runs);
}

static bool wanted(const char *part, char **names, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], part))
			return true;
	return !count;
}

_Noreturn static void usage(void)
{
	size_t i;

	fprintf(stderr, "usage: morsel-bench [-i] [-n FACTOR] [PART...]\n"
			"  -i  the clock counts instructions\n"
			"  -n  so many times the usual number of runs\n"
			"parts:");
	for (i = 0; i < PARTS; i++)
		fprintf(stderr, " %s", parts[i].name);
	fprintf(stderr, "\n");
	exit(2);
}

static void check_names(char **names, int count)
{
	size_t i;
	int n;

	for (n = 0; n < count; n++) {
		for (i = 0; i < PARTS && strcmp(parts[i].name, names[n]); i++)
			;
		if (i == PARTS)
			usage();
	}
}

/*
 * Whether a mapping finds the upper tables that it needs depends on what else is near.  Have the
 * kernel put everything where it would by default, so that this is no matter of chance.
 */
static void stay_in_place(char **argv)
{
	int before = personality(0xffffffff);

	if (before & ADDR_NO_RANDOMIZE)
		return;
	personality((unsigned int)before | ADDR_NO_RANDOMIZE);
	execv("/proc/self/exe", argv);
	die("cannot begin again");
}

int main(int argc, char **argv)
{
	int option;
	size_t i;

	stay_in_place(argv);

	while ((option = getopt(argc, argv, "in:")) != -1) {
		if (option == 'i')
			instructions = true;
		else if (option == 'n' && atoi(optarg) > 0)
			scale_runs = (unsigned int)atoi(optarg);
		else
			usage();
	}
	argv += optind;
	argc -= optind;
	check_names(argv, argc);

	if (instructions) {
		measure_settle_ms = 0;
		if (!wait_until_idle())
			say("something else is running");
	}
	for (i = 0; i < PARTS; i++)
		if (wanted(parts[i].name, argv, argc))
			parts[i].run();
	return 0;
}
