// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to fill fresh memory: by first touches, and at once.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define TOUCH_BYTES (64 * MIB)
#define STORM_BYTES (256 * MIB)

/**
 * struct way - one way to fill fresh memory
 * @kind:	of the memory
 * @granule:	a morsel's: MORSEL_GRANULE_*
 * @around:	bytes that a morsel's first touch fills; 0: as suits the granule
 * @recycled:	from what an earlier morsel left in the pool, which must be cleared; else the
 *		pool is drained before, and all memory comes from the kernel
 */
struct way {
	int kind;
	uint32_t granule;
	uint32_t around;
	bool recycled;
};

static bool make_fresh(struct object *object, const struct way *way, uint64_t length)
{
	if (!way->recycled)
		morsel_pools_drain();
	if (way->kind != MORSEL)
		return kinds[way->kind].make(object, length, length);
	morsel_make(object, length, way->granule);
	if (way->around)
		morsel_tune(object, way->around);
	return true;
}

/* Populates and maps it: ns, or 0. */
static uint64_t populate_fresh(const struct way *way, uint64_t length)
{
	struct object object;
	uint64_t start, taken;
	void *memory;

	if (!make_fresh(&object, way, length))
		return 0;
	start = now_ns();
	if (way->kind == MORSEL)
		morsel_populate(&object);
	memory = object_map(&object, length);
	taken = now_ns() - start;
	munmap(memory, length);
	object_close(&object);
	return taken;
}

/* First write to each page: ns for all, or 0. */
static uint64_t touch_fresh(const struct way *way, uint64_t length)
{
	struct object object;
	uint64_t taken;
	char *memory;

	if (!make_fresh(&object, way, length))
		return 0;
	object.flags &= ~MAP_POPULATE;
	memory = object_map(&object, length);
	taken = touch_memory(memory, length, PAGE);
	munmap(memory, length);
	object_close(&object);
	return taken;
}

/* First touches of one object with so many CPUs: ns. */
static uint64_t storm(const struct way *way, unsigned int cpus)
{
	struct object object;
	uint64_t taken;
	void *memory;

	if (!make_fresh(&object, way, STORM_BYTES))
		die("no memory for a storm");
	object.flags &= ~MAP_POPULATE;
	memory = object_map(&object, STORM_BYTES);
	taken = touch_with(cpus, memory, STORM_BYTES);
	munmap(memory, STORM_BYTES);
	object_close(&object);
	return taken;
}

/*
 * storm_4k: first touches of one morsel from two CPUs, beside the same from one: the ratio is what
 * the second CPU brings; _memfd is the same for a memfd.
 */
void bench_storm(void)
{
	static const struct way ways[SIDES] = {
		[OURS] = { MORSEL, MORSEL_GRANULE_4K, 0, true },
		[PEER] = { MEMFD, 0, 0, true },
	};
	uint64_t two[SIDES][RUNS_MAX], one[SIDES][RUNS_MAX], taken;
	unsigned int runs = runs_of(9);
	double pages = STORM_BYTES / PAGE;
	enum side side;
	int run;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	for (run = -1; run < (int)runs; run++) {
		for (side = OURS; side < SIDES; side++) {
			taken = storm(&ways[side], 2);
			if (run >= 0)
				two[side][run] = taken;
			taken = storm(&ways[side], 1);
			if (run >= 0)
				one[side][run] = taken;
		}
	}
	report("storm_4k", "ns", (double)median(two[OURS], runs) / pages,
	       (double)median(one[OURS], runs) / pages, "one CPU instead of two", runs);
	report("storm_4k_memfd", "ns", (double)median(two[PEER], runs) / pages,
	       (double)median(one[PEER], runs) / pages, "memfd: one CPU instead of two", runs);
}

/**
 * struct comparison - a row
 * @name:	without the peer's suffix
 * @ours:	index of the morsel's way
 * @peer:	index of the peer's way
 */
struct comparison {
	const char *name;
	int ours;
	int peer;
};

/* All ways in turns; the run that is there to warm everything up has less to do. */
static void in_turns(uint64_t (*fill)(const struct way *way, uint64_t length),
		     const struct way *ways, unsigned int count, uint64_t length,
		     uint64_t found[][RUNS_MAX], unsigned int runs)
{
	unsigned int run, i;

	for (i = 0; i < count; i++)
		fill(&ways[i], length / 16);
	for (run = 0; run < runs; run++)
		for (i = 0; i < count; i++)
			found[i][run] = fill(&ways[i], length);
}

/* populate_1g: all of fresh memory, mapped; _4k is the same in 4 KiB frames. */
void bench_populate(void)
{
	enum { AUTO, AUTO_RECYCLED, SMALL, SMALL_RECYCLED, PEER_4K, PEER_THP, PEER_HUGETLB, WAYS };
	static const struct way ways[WAYS] = {
		[AUTO] = { MORSEL, MORSEL_GRANULE_AUTO, 0, false },
		[AUTO_RECYCLED] = { MORSEL, MORSEL_GRANULE_AUTO, 0, true },
		[SMALL] = { MORSEL, MORSEL_GRANULE_4K, 0, false },
		[SMALL_RECYCLED] = { MORSEL, MORSEL_GRANULE_4K, 0, true },
		[PEER_4K] = { MEMFD, 0, 0, false },
		[PEER_THP] = { MEMFD_THP, 0, 0, false },
		[PEER_HUGETLB] = { HUGETLB, 0, 0, false },
	};
	static const struct comparison rows[] = {
		{ "populate_1g", AUTO, PEER_4K },
		{ "populate_1g_recycled", AUTO_RECYCLED, PEER_4K },
		{ "populate_1g_4k", SMALL, PEER_4K },
		{ "populate_1g_4k_recycled", SMALL_RECYCLED, PEER_4K },
		{ "populate_1g", AUTO, PEER_THP },
		{ "populate_1g", AUTO, PEER_HUGETLB },
	};
	uint64_t found[WAYS][RUNS_MAX];
	unsigned int runs = runs_of(3), i;
	char peer_name[64];

	in_turns(populate_fresh, ways, WAYS, GIB, found, runs);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int kind = ways[rows[i].peer].kind;

		if (!found[rows[i].peer][0])
			continue;
		snprintf(peer_name, sizeof(peer_name), "%s + MAP_POPULATE", kinds[kind].what);
		report_time(row_name(rows[i].name, kind), found[rows[i].ours],
			    found[rows[i].peer], peer_name, runs);
	}
}

/*
 * touch_4k: per page; _around64k and _folios with so many pages at once, _thp with 2 MiB.
 */
void bench_touch(void)
{
	enum { FRESH, RECYCLED, AROUND, FOLIO, AUTO, PEER_4K, PEER_FOLIOS, PEER_THP, WAYS };
	static const struct way ways[WAYS] = {
		[FRESH] = { MORSEL, MORSEL_GRANULE_4K, PAGE, false },
		[RECYCLED] = { MORSEL, MORSEL_GRANULE_4K, PAGE, true },
		[AROUND] = { MORSEL, MORSEL_GRANULE_4K, 16 * PAGE, true },
		[FOLIO] = { MORSEL, MORSEL_GRANULE_4K, MIB, false },
		[AUTO] = { MORSEL, MORSEL_GRANULE_AUTO, 0, false },
		[PEER_4K] = { MEMFD, 0, 0, false },
		[PEER_FOLIOS] = { MEMFD_FOLIOS, 0, 0, false },
		[PEER_THP] = { MEMFD_THP, 0, 0, false },
	};
	static const struct comparison rows[] = {
		{ "touch_4k", FRESH, PEER_4K },
		{ "touch_4k_recycled", RECYCLED, PEER_4K },
		{ "touch_4k_around64k", AROUND, PEER_4K },
		{ "touch_4k", FOLIO, PEER_FOLIOS },
		{ "touch_4k", AUTO, PEER_THP },
	};
	uint64_t found[WAYS][RUNS_MAX];
	double pages = TOUCH_BYTES / PAGE;
	unsigned int runs = runs_of(7), i;

	in_turns(touch_fresh, ways, WAYS, TOUCH_BYTES, found, runs);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t *ours = found[rows[i].ours], *peer = found[rows[i].peer];
		int kind = ways[rows[i].peer].kind;

		if (peer[0])
			report(row_name(rows[i].name, kind), "ns",
			       (double)median(ours, runs) / pages,
			       (double)median(peer, runs) / pages, kinds[kind].what, runs);
	}
}
