// SPDX-License-Identifier: GPL-2.0
/*
 * morsel-bench: what morsels cost beside what else there is, in one guest and in turns, so that
 * both sides meet the same conditions.
 *
 * Each result is a line of JSON on stdout; lines with '#' are for people.  With -i the guest's
 * clock counts instructions (qemu -icount shift=0), so that "ns" are instructions.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measure.h"

#define LARGE (3492 * HUGE_PAGE) /* 6.82 GiB */
#define TOUCH_BYTES (64 * MIB)
#define CROWD 64
#define SERVER (8 * GIB)
#define CHILDREN 200
#define STORM_BYTES (256 * MIB)
#define RUNS_MAX 64

static bool instructions;
static unsigned int scale_runs = 1;

static unsigned int runs_of(unsigned int runs)
{
	runs = instructions ? 3 : runs * scale_runs;
	return runs < RUNS_MAX ? runs : RUNS_MAX;
}

static void report(const char *name, const char *unit, double morsel, double peer,
		   const char *peer_name, unsigned int runs)
{
	printf("{\"name\": \"%s%s\", \"unit\": \"%s\", ", name, instructions ? "_instructions" : "",
	       instructions ? "instructions" : unit);
	printf("\"morsel\": %.2f, \"peer\": %.2f, \"peer_name\": \"%s\", \"ratio\": %.2f, \"runs\": %u}\n",
	       morsel, peer, peer_name, morsel > 0 ? peer / morsel : 0, runs);
	fflush(stdout);
}

/* ns are told in µs; instructions as they are. */
static void report_time(const char *name, uint64_t *morsel, uint64_t *peer, const char *peer_name,
			unsigned int runs)
{
	double unit = instructions ? 1 : 1000;

	report(name, "us", (double)median(morsel, runs) / unit, (double)median(peer, runs) / unit,
	       peer_name, runs);
}

static void say(const char *what)
{
	printf("# %s\n", what);
	fflush(stdout);
}

/* The two sides of a comparison. */
enum side { MORSEL, PEER, SIDES };

/* Fresh memory of one side, not populated yet. */
static void make_fresh(struct object *object, enum side side, uint64_t length, uint32_t granule)
{
	if (side == MORSEL)
		morsel_make(object, length, granule);
	else if (!memfd_make(object, length))
		exit(1);
}

static void *map_fresh(const struct object *object, int flags)
{
	void *memory = mmap(NULL, object->length, object->prot, MAP_SHARED | flags, object->fd, 0);

	if (memory == MAP_FAILED)
		die("cannot map %s", object->what);
	return memory;
}

struct large_side {
	struct object object;
	uint64_t map[RUNS_MAX];
	uint64_t unmap[RUNS_MAX];
	uint64_t map_read[RUNS_MAX];
	struct sight first_gib;
	struct crowd crowd;
};

static void large_make(struct large_side *sides, enum side side)
{
	struct object *object = &sides[side].object;
	uint64_t start = now_ns();

	make_fresh(object, side, LARGE, MORSEL_GRANULE_AUTO);
	if (side == MORSEL)
		morsel_populate(object);
	else
		populate(object);
	printf("# 6.82 GiB of %s populated in %.1f s\n", object->what,
	       (double)(now_ns() - start) / 1e9);
}

/* Run -1 is there to warm everything up. */
static void large_run(struct large_side *side, int run)
{
	struct object lazy = side->object;
	struct sight sight;

	measure_mapping(&side->object, LARGE, &sight);
	if (run >= 0) {
		side->map[run] = sight.map;
		side->unmap[run] = sight.unmap;
	}

	lazy.flags &= ~MAP_POPULATE;
	measure_once(&lazy, GIB, READ_PAGES, &side->first_gib);
	if (run >= 0)
		side->map_read[run] = side->first_gib.map + side->first_gib.read;
}

static void large_crowd(struct large_side *side)
{
	struct object lazy = side->object;

	lazy.flags &= ~MAP_POPULATE;
	measure_many(&lazy, GIB, READ_PAGES, CROWD, NULL, &side->crowd);
	printf("# %u processes with 1 GiB of %s each: page tables of their own %.0f KiB, shared %.0f KiB\n",
	       CROWD, side->object.what, (double)side->crowd.table_bytes / KIB,
	       (double)side->crowd.shared_bytes / KIB);
	printf("#   PageTables of /proc/meminfo grew by %.0f KiB; %" PRIu64 " faults; all done after %.1f ms\n",
	       (double)side->crowd.system_bytes / KIB, side->crowd.faults,
	       (double)side->crowd.elapsed / 1e6);
	fflush(stdout);
}

static double crowd_cost(const struct crowd *crowd)
{
	return instructions ? (double)crowd->elapsed
			    : (double)(crowd->table_bytes + crowd->shared_bytes) / KIB;
}

/*
 * map_6.82g, unmap_6.82g, map_read_1g, pagetable_64x1g.  Leaves the morsel, where that and the next
 * peer fit.
 */
static void bench_large(struct object *keep)
{
	static struct large_side sides[SIDES];
	unsigned int runs = runs_of(5);
	bool together = meminfo_bytes("MemAvailable") > 2 * LARGE + 512 * MIB;
	enum side side;
	int run;

	if (together) {
		say("morsel and memfd side by side, in turns");
		large_make(sides, MORSEL);
		large_make(sides, PEER);
		for (run = -1; run < (int)runs; run++)
			for (side = MORSEL; side < SIDES; side++)
				large_run(&sides[side], run);
		for (side = MORSEL; side < SIDES; side++)
			large_crowd(&sides[side]);
	} else {
		say("too little memory for morsel and memfd side by side: one after the other");
		for (side = MORSEL; side < SIDES; side++) {
			large_make(sides, side);
			for (run = -1; run < (int)runs; run++)
				large_run(&sides[side], run);
			large_crowd(&sides[side]);
			object_close(&sides[side].object);
			morsel_pools_drain();
		}
	}

	report_time("map_6.82g", sides[MORSEL].map, sides[PEER].map, "memfd + MAP_POPULATE", runs);
	report_time("unmap_6.82g", sides[MORSEL].unmap, sides[PEER].unmap, "memfd", runs);
	printf("# faults to map and read 1 GiB: morsel %" PRIu64 " + %" PRIu64 ", memfd %" PRIu64
	       " + %" PRIu64 "\n",
	       sides[MORSEL].first_gib.map_faults, sides[MORSEL].first_gib.read_faults,
	       sides[PEER].first_gib.map_faults, sides[PEER].first_gib.read_faults);
	printf("# reading it again, all mapped: morsel %.1f us, memfd %.1f us\n",
	       (double)sides[MORSEL].first_gib.again / 1000,
	       (double)sides[PEER].first_gib.again / 1000);
	report_time("map_read_1g", sides[MORSEL].map_read, sides[PEER].map_read,
		    "memfd, mapped lazily", runs);
	report("pagetable_64x1g", "KiB", crowd_cost(&sides[MORSEL].crowd),
	       crowd_cost(&sides[PEER].crowd), "memfd", 1);

	object_close(&sides[PEER].object);
	*keep = sides[MORSEL].object;
}

/* map_6.82g_hugetlb.  The morsel may be there already. */
static void bench_hugetlb(struct object *morsel)
{
	uint64_t map[SIDES][RUNS_MAX], unmap[SIDES][RUNS_MAX];
	unsigned int runs = runs_of(9);
	struct object objects[SIDES];
	struct sight sight;
	enum side side;
	int run;

	if (morsel->fd < 0) {
		morsel_make(morsel, LARGE, MORSEL_GRANULE_AUTO);
		morsel_populate(morsel);
	}
	if (!hugetlb_reserve(LARGE) || !hugetlb_make(&objects[PEER], LARGE)) {
		hugetlb_reserve(0);
		say("no 6.82 GiB of 2 MiB pages to be had beside the morsel");
		return;
	}
	populate(&objects[PEER]);
	objects[MORSEL] = *morsel;
	for (run = -1; run < (int)runs; run++) {
		for (side = MORSEL; side < SIDES; side++) {
			measure_mapping(&objects[side], LARGE, &sight);
			if (run >= 0) {
				map[side][run] = sight.map;
				unmap[side][run] = sight.unmap;
			}
		}
	}
	report_time("map_6.82g_hugetlb", map[MORSEL], map[PEER], "hugetlbfs 2 MiB + MAP_POPULATE",
		    runs);
	report_time("unmap_6.82g_hugetlb", unmap[MORSEL], unmap[PEER], "hugetlbfs 2 MiB", runs);
	object_close(&objects[PEER]);
	hugetlb_reserve(0);
}

/* One page in each GiB, so that each GiB has tables to attach. */
static void sprinkle(const struct object *object)
{
	uint64_t offset;

	for (offset = 0; offset < object->length; offset += GIB)
		if (pwrite(object->fd, "x", 1, (off_t)offset) != 1)
			die("cannot write to a sparse morsel");
}

/*
 * map_4t_over_1g: morsel is the mapping of a 4-TiB morsel, peer 4096 times that of a 1-GiB morsel.
 * A ratio of 1 or more says that a GiB costs no more in a large morsel than in a small one.
 */
static void bench_sparse(void)
{
	uint64_t map[SIDES][RUNS_MAX];
	unsigned int runs = runs_of(9), i;
	struct object objects[SIDES];
	struct sight sight;
	enum side side;
	double extra;
	int run;

	morsel_make(&objects[MORSEL], 4 * TIB, MORSEL_GRANULE_4K);
	morsel_make(&objects[PEER], GIB, MORSEL_GRANULE_4K);
	for (side = MORSEL; side < SIDES; side++)
		sprinkle(&objects[side]);
	for (run = -1; run < (int)runs; run++) {
		for (side = MORSEL; side < SIDES; side++) {
			measure_mapping(&objects[side], objects[side].length, &sight);
			if (run >= 0)
				map[side][run] = sight.map;
		}
	}
	extra = ((double)median(map[MORSEL], runs) - (double)median(map[PEER], runs)) /
		(4 * TIB / GIB - 1);
	printf("# sparse 1 GiB maps in %.1f us, sparse 4 TiB in %.1f us: %.1f ns for each GiB more\n",
	       (double)median(map[PEER], runs) / 1000, (double)median(map[MORSEL], runs) / 1000,
	       extra);
	for (i = 0; i < runs; i++)
		map[PEER][i] *= 4 * TIB / GIB;
	report_time("map_4t_over_1g", map[MORSEL], map[PEER], "4096 x a 1-GiB morsel", runs);
	for (side = MORSEL; side < SIDES; side++)
		object_close(&objects[side]);
}

/*
 * A parent maps 8 GiB and touches it, and its children do, as those of a database server do with its
 * shared buffers; a word in every 2 MiB makes all tables that touching everything makes.
 */
static void serve(enum side side, struct crowd *crowd)
{
	struct object object;
	void *memory;

	make_fresh(&object, side, SERVER, MORSEL_GRANULE_AUTO);
	if (side == MORSEL)
		morsel_populate(&object);
	memory = map_fresh(&object, object.flags);
	measure_many(&object, SERVER, READ_TABLES, CHILDREN, memory, crowd);
	printf("# 8 GiB of %s in %u children: forked in %.0f ms, touched after %.0f ms more; %" PRIu64
	       " faults; page tables of their own %.1f MiB, shared %.1f MiB, in all %.1f MiB\n",
	       object.what, CHILDREN, (double)crowd->forked / 1e6, (double)crowd->elapsed / 1e6,
	       crowd->faults, (double)crowd->table_bytes / MIB, (double)crowd->shared_bytes / MIB,
	       (double)crowd->system_bytes / MIB);
	fflush(stdout);
	munmap(memory, SERVER);
	object_close(&object);
	morsel_pools_drain();
}

/* fork_200x8g: fork and first touch; pagetable_200x8g: what their page tables take. */
static void bench_server(void)
{
	uint64_t times[SIDES][RUNS_MAX], tables[SIDES][RUNS_MAX];
	unsigned int runs = runs_of(3);
	struct crowd crowd;
	enum side side;
	int run;

	if (meminfo_bytes("MemAvailable") < SERVER + CHILDREN * 17 * MIB + GIB) {
		say("too little memory for 8 GiB of memfd and the tables of 200 children");
		return;
	}
	morsel_pools_make_room(SERVER + GIB);
	for (run = 0; run < (int)runs; run++) {
		for (side = MORSEL; side < SIDES; side++) {
			serve(side, &crowd);
			times[side][run] = crowd.forked + crowd.elapsed;
			tables[side][run] = crowd.table_bytes + crowd.shared_bytes;
		}
	}
	report_time("fork_200x8g", times[MORSEL], times[PEER], "memfd", runs);
	report("pagetable_200x8g", "KiB", (double)median(tables[MORSEL], runs) / KIB,
	       (double)median(tables[PEER], runs) / KIB, "memfd", runs);
}

/* First touches of one object with so many CPUs: ns. */
static uint64_t storm(enum side side, unsigned int cpus)
{
	struct object object;
	uint64_t taken;
	void *memory;

	make_fresh(&object, side, STORM_BYTES, MORSEL_GRANULE_4K);
	memory = map_fresh(&object, 0);
	taken = touch_with(cpus, memory, STORM_BYTES);
	munmap(memory, STORM_BYTES);
	object_close(&object);
	return taken;
}

/*
 * storm_4k: first touches of one morsel from two CPUs, beside the same from one: the ratio is what
 * the second CPU brings; _memfd is the same for a memfd.
 */
static void bench_storm(void)
{
	uint64_t two[SIDES][RUNS_MAX], one[SIDES][RUNS_MAX], taken;
	unsigned int runs = runs_of(9);
	double pages = STORM_BYTES / PAGE;
	enum side side;
	int run;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	for (run = -1; run < (int)runs; run++) {
		for (side = MORSEL; side < SIDES; side++) {
			taken = storm(side, 2);
			if (run >= 0)
				two[side][run] = taken;
			taken = storm(side, 1);
			if (run >= 0)
				one[side][run] = taken;
		}
	}
	report("storm_4k", "ns", (double)median(two[MORSEL], runs) / pages,
	       (double)median(one[MORSEL], runs) / pages, "one CPU instead of two", runs);
	report("storm_4k_memfd", "ns", (double)median(two[PEER], runs) / pages,
	       (double)median(one[PEER], runs) / pages, "memfd: one CPU instead of two", runs);
}

/* Populates fresh memory and maps it: ns. */
static uint64_t populate_fresh(enum side side, uint32_t granule, uint64_t length)
{
	struct object object;
	uint64_t start, taken;
	void *memory;

	make_fresh(&object, side, length, granule);
	start = now_ns();
	if (side == MORSEL)
		morsel_populate(&object);
	memory = map_fresh(&object, object.flags);
	taken = now_ns() - start;
	munmap(memory, length);
	object_close(&object);
	return taken;
}

/* First write to each page of fresh memory: ns for all. */
static uint64_t touch_fresh(enum side side, uint32_t around)
{
	struct object object;
	uint64_t start, taken, offset, faults;
	char *memory;

	make_fresh(&object, side, TOUCH_BYTES, MORSEL_GRANULE_4K);
	if (side == MORSEL)
		morsel_tune(&object, around);
	memory = map_fresh(&object, 0);
	faults = faults_taken();
	start = now_ns();
	for (offset = 0; offset < TOUCH_BYTES; offset += PAGE)
		*(volatile char *)(memory + offset) = 1;
	taken = now_ns() - start;
	if (faults_taken() - faults < TOUCH_BYTES / around)
		printf("# note: %" PRIu64 " faults for %llu pages of %s\n", faults_taken() - faults,
		       TOUCH_BYTES / PAGE, object.what);
	munmap(memory, TOUCH_BYTES);
	object_close(&object);
	return taken;
}

/*
 * populate_1g: both sides take their memory from the kernel.  _4k is the same in 4 KiB frames;
 * _recycled has the morsel take what an earlier morsel left in the pool, which must be cleared.
 */
static void bench_populate(void)
{
	static const struct {
		const char *name;
		uint32_t granule;
		bool drain;
	} ways[] = {
		{ "populate_1g", MORSEL_GRANULE_AUTO, true },
		{ "populate_1g_recycled", MORSEL_GRANULE_AUTO, false },
		{ "populate_1g_4k", MORSEL_GRANULE_4K, true },
		{ "populate_1g_4k_recycled", MORSEL_GRANULE_4K, false },
	};
	uint64_t morsel[4][RUNS_MAX], peer[RUNS_MAX];
	unsigned int runs = runs_of(3), i;
	int run;

	for (run = -1; run < (int)runs; run++) {
		for (i = 0; i < 4; i++) {
			uint64_t taken;

			if (ways[i].drain)
				morsel_pools_drain();
			taken = populate_fresh(MORSEL, ways[i].granule, GIB);
			if (run >= 0)
				morsel[i][run] = taken;
		}
		morsel_pools_drain();
		if (run >= 0)
			peer[run] = populate_fresh(PEER, 0, GIB);
		else
			populate_fresh(PEER, 0, 64 * MIB);
	}
	for (i = 0; i < 4; i++)
		report_time(ways[i].name, morsel[i], peer, "memfd + MAP_POPULATE", runs);
}

static void report_touch(const char *name, uint64_t *morsel, uint64_t *peer, unsigned int runs)
{
	double pages = TOUCH_BYTES / PAGE;

	report(name, "ns", (double)median(morsel, runs) / pages, (double)median(peer, runs) / pages,
	       "memfd", runs);
}

/*
 * touch_4k: per page; with the pool drained before, _recycled with what earlier morsels left in it,
 * and _around64k with 16 pages at once of that.
 */
static void bench_touch(void)
{
	uint64_t fresh[RUNS_MAX], recycled[RUNS_MAX], around[RUNS_MAX], peer[RUNS_MAX], taken;
	unsigned int runs = runs_of(7);
	int run;

	for (run = -1; run < (int)runs; run++) {
		morsel_pools_drain();
		taken = touch_fresh(MORSEL, PAGE);
		if (run >= 0)
			fresh[run] = taken;
		taken = touch_fresh(MORSEL, PAGE);
		if (run >= 0)
			recycled[run] = taken;
		taken = touch_fresh(MORSEL, 16 * PAGE);
		if (run >= 0)
			around[run] = taken;
		taken = touch_fresh(PEER, PAGE);
		if (run >= 0)
			peer[run] = taken;
	}
	report_touch("touch_4k", fresh, peer, runs);
	report_touch("touch_4k_recycled", recycled, peer, runs);
	report_touch("touch_4k_around64k", around, peer, runs);
}

static bool wanted(const char *part, char **parts, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(parts[i], part))
			return true;
	return !count;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: morsel-bench [-i] [-n FACTOR] [large|hugetlb|sparse|touch|storm|populate|server]...\n"
		"  -i  the clock counts instructions\n"
		"  -n  so many times the usual number of runs\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct object large = { .fd = -1 };
	char **parts;
	int option;

	while ((option = getopt(argc, argv, "in:")) != -1) {
		if (option == 'i')
			instructions = true;
		else if (option == 'n' && atoi(optarg) > 0)
			scale_runs = (unsigned int)atoi(optarg);
		else
			usage();
	}
	parts = argv + optind;
	argc -= optind;

	if (instructions)
		measure_settle_ms = 0;
	morsel_pools_make_room(LARGE + GIB);
	if (wanted("large", parts, argc))
		bench_large(&large);
	if (wanted("hugetlb", parts, argc))
		bench_hugetlb(&large);
	object_close(&large);
	morsel_pools_drain();
	if (wanted("sparse", parts, argc))
		bench_sparse();
	if (wanted("touch", parts, argc))
		bench_touch();
	if (wanted("storm", parts, argc))
		bench_storm();
	if (wanted("populate", parts, argc))
		bench_populate();
	if (wanted("server", parts, argc))
		bench_server();
	return 0;
}
