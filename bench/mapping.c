// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to map memory that is there already: all of a large object, and a sparse one GiB by
 * GiB.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "bench.h"

#define LARGE (3492 * HUGE_PAGE) /* 6.82 GiB */
#define CROWD 64

struct large_side {
	struct object object;
	uint64_t map[RUNS_MAX];
	uint64_t unmap[RUNS_MAX];
	uint64_t map_read[RUNS_MAX];
	uint64_t fork[RUNS_MAX];
	struct sight first_gib;
	struct crowd crowd;
};

static bool large_make(struct large_side *side, int kind)
{
	uint64_t start = now_ns();

	if (!kinds[kind].make(&side->object, LARGE, LARGE))
		return false;
	kinds[kind].populate(&side->object);
	say("6.82 GiB of %s populated in %.1f s", kinds[kind].what,
	    (double)(now_ns() - start) / 1e9);
	return true;
}

static struct object mapped_lazily(const struct object *object)
{
	struct object lazy = *object;

	lazy.flags &= ~MAP_POPULATE;
	lazy.first = READ_NOTHING;
	return lazy;
}

/* Run -1 is there to warm everything up. */
static void large_run(struct large_side *side, int run)
{
	struct object lazy = mapped_lazily(&side->object);
	struct sight mapping, forking;

	measure_mapping(&side->object, LARGE, &mapping);
	measure_once(&lazy, GIB, READ_PAGES, &side->first_gib);
	measure_fork(&side->object, &forking);
	if (run < 0)
		return;
	side->map[run] = mapping.map;
	side->unmap[run] = mapping.unmap;
	side->map_read[run] = side->first_gib.map + side->first_gib.read;
	side->fork[run] = forking.fork;
}

/* What page tables take, those that belong to the object among them. */
static uint64_t crowd_bytes(const struct crowd *crowd)
{
	return (uint64_t)crowd->system_bytes + crowd->shared_bytes;
}

static void large_crowd(struct large_side *side)
{
	struct object lazy = mapped_lazily(&side->object);

	measure_many(&lazy, GIB, READ_PAGES, CROWD, NULL, &side->crowd);
	say("%u processes with 1 GiB of %s each: page tables of their own %.0f KiB, shared %.0f KiB",
	    CROWD, side->object.what, (double)side->crowd.table_bytes / KIB,
	    (double)side->crowd.shared_bytes / KIB);
	say("  PageTables of /proc/meminfo grew by %.0f KiB; %" PRIu64
	    " faults; all done after %.1f ms",
	    (double)side->crowd.system_bytes / KIB, side->crowd.faults,
	    (double)side->crowd.elapsed / 1e6);
}

static void large_measure(struct large_side *sides, enum side from, enum side to, int runs)
{
	enum side side;
	int run;

	for (run = -1; run < runs; run++)
		for (side = from; side <= to; side++)
			large_run(&sides[side], run);
	for (side = from; side <= to && !instructions; side++)
		large_crowd(&sides[side]);
}

static void large_report(struct large_side *sides, int kind, unsigned int runs)
{
	struct large_side *ours = &sides[OURS], *peer = &sides[PEER];
	const char *what = kinds[kind].what;
	char name[64];

	snprintf(name, sizeof(name), "%s%s", what,
		 peer->object.flags & MAP_POPULATE ? " + MAP_POPULATE" : ", a touch for each GiB");
	report_time(row_name("map_6.82g", kind), ours->map, peer->map, name, runs);
	report_time(row_name("unmap_6.82g", kind), ours->unmap, peer->unmap, what, runs);
	report_time(row_name("fork_6.82g", kind), ours->fork, peer->fork, what, runs);
	say("faults to map and read 1 GiB: morsel %" PRIu64 " + %" PRIu64 ", peer %" PRIu64
	    " + %" PRIu64,
	    ours->first_gib.map_faults, ours->first_gib.read_faults, peer->first_gib.map_faults,
	    peer->first_gib.read_faults);
	say("reading it again, all mapped: morsel %.1f us, peer %.1f us",
	    (double)ours->first_gib.again / 1000, (double)peer->first_gib.again / 1000);
	snprintf(name, sizeof(name), "%s, mapped lazily", what);
	report_time(row_name("map_read_1g", kind), ours->map_read, peer->map_read, name, runs);
	if (!instructions)
		report(row_name("pagetable_64x1g", kind), "KiB",
		       (double)crowd_bytes(&ours->crowd) / KIB,
		       (double)crowd_bytes(&peer->crowd) / KIB, what, 1);
}

/*
 * The peer in turns with the morsel, if that is there, too; else beside what was measured of it
 * before.
 */
static void large_beside(struct large_side *sides, int kind)
{
	enum side from = sides[OURS].object.fd >= 0 ? OURS : PEER;
	unsigned int runs = runs_of(5);

	if (!large_make(&sides[PEER], kind)) {
		say("no 6.82 GiB of %s to be had", kinds[kind].what);
		return;
	}
	large_measure(sides, from, PEER, (int)runs);
	large_report(sides, kind, runs);
	object_close(&sides[PEER].object);
}

/*
 * map_6.82g, unmap_6.82g, fork_6.82g, map_read_1g, pagetable_64x1g, each beside each peer.  Hugetlbfs
 * comes first, before memory is fragmented.
 */
void bench_mapping(void)
{
	static const int order[] = { HUGETLB, HUGETLB_SHARED, MEMFD_THP, MEMFD_FOLIOS, MEMFD };
	static struct large_side sides[SIDES];
	bool together = meminfo_bytes("MemAvailable") > 2 * LARGE + 512 * MIB;
	unsigned int i;

	morsel_pools_make_room(LARGE + GIB);
	large_make(&sides[OURS], MORSEL);
	if (!together) {
		say("too little memory for two objects side by side: one after the other");
		large_measure(sides, OURS, OURS, (int)runs_of(5));
		object_close(&sides[OURS].object);
		morsel_pools_drain();
	}
	for (i = 0; i < sizeof(order) / sizeof(*order); i++)
		large_beside(sides, order[i]);
	object_close(&sides[OURS].object);
	morsel_pools_drain();
}

struct sparse_side {
	struct object object;
	bool there;
	uint64_t faults;
	uint64_t map_few[RUNS_MAX];
	uint64_t map_all[RUNS_MAX];
};

/* With a page in each GiB, so that each GiB has tables to attach. */
static bool sparse_make(int kind, struct object *object, uint64_t length)
{
	uint64_t bytes = length / GIB * kinds[kind].page;

	if (meminfo_bytes("MemAvailable") < bytes + 512 * MIB)
		return false;
	if (kind == MORSEL)
		morsel_make(object, length, MORSEL_GRANULE_4K);
	else if (!kinds[kind].make(object, length, bytes))
		return false;
	sprinkle(object);
	object->flags &= ~MAP_POPULATE;
	object->first = READ_GIBS;
	return true;
}

/* Nothing is left to faults on any side.  The shorter mapping is one of 2 GiB. */
static void sparse_run(struct sparse_side *side, int run)
{
	struct sight few, all;

	if (!side->there)
		return;
	measure_mapping(&side->object, 2 * GIB, &few);
	measure_mapping(&side->object, side->object.length, &all);
	side->faults = all.map_faults;
	if (run >= 0) {
		side->map_few[run] = few.map;
		side->map_all[run] = all.map;
	}
}

/* Huge pages of a memfd come last, if there is memory for them: they map no faster. */
static void sparse_measure(struct sparse_side *sides, uint64_t length, int runs)
{
	static const int order[] = { HUGETLB_SHARED, MORSEL, MEMFD, MEMFD_THP };
	int run, kind;
	size_t i;

	for (i = 0; i < sizeof(order) / sizeof(*order); i++)
		sides[order[i]].there =
			sparse_make(order[i], &sides[order[i]].object, length);
	for (run = -1; run < runs; run++)
		for (kind = MORSEL; kind < KINDS; kind++)
			sparse_run(&sides[kind], run);
	for (kind = MORSEL; kind < KINDS; kind++) {
		if (!sides[kind].there)
			continue;
		say("%llu GiB of %s mapped, a page of each read: %" PRIu64 " faults", length / GIB,
		    kinds[kind].what, sides[kind].faults);
		object_close(&sides[kind].object);
	}
	morsel_pools_drain();
}

static double all_of(struct sparse_side *side, unsigned int runs)
{
	return (double)median(side->map_all, runs);
}

static double more_each(struct sparse_side *side, unsigned int runs)
{
	uint64_t gibs = (side->object.length - 2 * GIB) / GIB;

	return (all_of(side, runs) - (double)median(side->map_few, runs)) / (double)gibs;
}

/* attach_gib: what each GiB more of a mapping takes; map_4t: a mapping of 4 TiB. */
void bench_sparse(void)
{
	struct sparse_side sides[KINDS] = { 0 };
	double unit = instructions ? 1 : 1000, found[KINDS];
	unsigned int runs = runs_of(5);
	int kind;

	sparse_measure(sides, 66 * GIB, (int)runs);
	for (kind = MORSEL; kind < KINDS; kind++)
		found[kind] = sides[kind].there ? more_each(&sides[kind], runs) : -1;
	report_strongest("attach_gib", "ns", found, runs);

	sparse_measure(sides, 4 * TIB, (int)runs);
	for (kind = MORSEL; kind < KINDS; kind++)
		found[kind] = sides[kind].there ? all_of(&sides[kind], runs) / unit : -1;
	report_strongest("map_4t", "us", found, runs);
}
