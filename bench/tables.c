// SPDX-License-Identifier: GPL-2.0
/*
 * What page tables of many processes take that share memory.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "bench.h"

#define FEW_GIBS 1
#define MORE_GIBS 4
#define MANY 100
#define SERVER (8 * GIB)
#define CHILDREN 200

/*
 * Tables take so much for an object, for each of its GiBs, for each process, and for each GiB of
 * each process: four sizes measured tell these four.
 */
struct tables {
	double few_one, few_many, more_one, more_many;
};

static double of_crowd(const struct object *object, uint64_t length, unsigned int count)
{
	struct crowd crowd;

	measure_many(object, length, READ_TABLES, count, NULL, &crowd);
	return (double)crowd.system_bytes + (double)crowd.shared_bytes;
}

/* An object that is as long as what is mapped of it: its own tables count, too. */
static bool of_object(int kind, uint64_t length, double *one, double *many)
{
	struct object object;

	if (meminfo_bytes("MemAvailable") < length + 2 * GIB ||
	    !kinds[kind].make(&object, length, length))
		return false;
	/* What holds tables for others is one process of the crowd. */
	if (kind != HUGETLB_SHARED)
		kinds[kind].populate(&object);
	object.flags &= ~MAP_POPULATE;
	*one = of_crowd(&object, length, 1);
	*many = of_crowd(&object, length, MANY);
	object_close(&object);
	morsel_pools_drain();
	return true;
}

static bool measure_tables(int kind, struct tables *tables)
{
	return of_object(kind, FEW_GIBS * GIB, &tables->few_one, &tables->few_many) &&
	       of_object(kind, MORE_GIBS * GIB, &tables->more_one, &tables->more_many);
}

static double compute(const struct tables *t, double processes, double gibs)
{
	/* What a further process takes, of the one size and of the other; and the first one. */
	double few_each = (t->few_many - t->few_one) / (MANY - 1);
	double more_each = (t->more_many - t->more_one) / (MANY - 1);
	double scale = (gibs - FEW_GIBS) / (MORE_GIBS - FEW_GIBS);
	double each = few_each + (more_each - few_each) * scale;
	double first = t->few_one + (t->more_one - t->few_one) * scale;

	return first + each * (processes - 1);
}

static void report_tables(const struct tables *tables, const bool *there, unsigned int processes,
			  unsigned int gibs)
{
	bool measured = gibs == FEW_GIBS && processes <= MANY;
	double found[KINDS];
	char name[64];
	int kind;

	for (kind = MORSEL; kind < KINDS; kind++)
		found[kind] = there[kind] ? compute(&tables[kind], processes, gibs) / KIB : -1;
	snprintf(name, sizeof(name), "tables_%ux%ug", processes, gibs);
	report_strongest(name, measured ? "KiB" : "KiB, computed", found, 1);
}

/* tables_1x1g to tables_10000x64g: page tables of so many processes that map so many GiB. */
void bench_tables(void)
{
	static const unsigned int processes[] = { 1, MANY, 10000 }, gibs[] = { FEW_GIBS, 64 };
	struct tables tables[KINDS];
	bool there[KINDS] = { 0 };
	unsigned int p, g;
	int kind;

	for (kind = MORSEL; kind < KINDS; kind++) {
		if (kind == MEMFD_FOLIOS || kind == HUGETLB)
			continue;
		there[kind] = measure_tables(kind, &tables[kind]);
		if (there[kind])
			say("page tables of %s, KiB: 1 x 1 GiB %.0f, %u x 1 GiB %.0f, 1 x 4 GiB %.0f, %u x 4 GiB %.0f",
			    kinds[kind].what, tables[kind].few_one / KIB, MANY,
			    tables[kind].few_many / KIB, tables[kind].more_one / KIB, MANY,
			    tables[kind].more_many / KIB);
	}
	for (g = 0; g < sizeof(gibs) / sizeof(*gibs); g++)
		for (p = 0; p < sizeof(processes) / sizeof(*processes); p++)
			report_tables(tables, there, processes[p], gibs[g]);
}

/*
 * A parent maps 8 GiB and touches it, and its children do, as those of a database server do with its
 * shared buffers; a word in every 2 MiB makes all tables that touching everything makes.
 */
static bool serve(int kind, uint64_t *taken, uint64_t *bytes)
{
	struct object object;
	struct crowd crowd;
	void *memory;

	if (!kinds[kind].make(&object, SERVER, SERVER))
		return false;
	if (kind == MORSEL)
		morsel_populate(&object);
	else
		object.flags |= MAP_POPULATE;
	memory = object_map(&object, SERVER);
	measure_many(&object, SERVER, READ_TABLES, CHILDREN, memory, &crowd);
	say("8 GiB of %s in %u children: forked in %.0f ms, touched after %.0f ms more; %" PRIu64
	    " faults; page tables of their own %.1f MiB, shared %.1f MiB, in all %.1f MiB",
	    object.what, CHILDREN, (double)crowd.forked / 1e6, (double)crowd.elapsed / 1e6,
	    crowd.faults, (double)crowd.table_bytes / MIB, (double)crowd.shared_bytes / MIB,
	    (double)crowd.system_bytes / MIB);
	munmap(memory, SERVER);
	object_close(&object);
	morsel_pools_drain();
	*taken = crowd.forked + crowd.elapsed;
	*bytes = (uint64_t)crowd.system_bytes + crowd.shared_bytes;
	return true;
}

/*
 * fork_200x8g: fork and first touch; pagetable_200x8g: what their page tables take, beside what the
 * parent has.
 */
void bench_server(void)
{
	static const int order[] = { MORSEL, HUGETLB_SHARED, MEMFD_THP, MEMFD };
	uint64_t times[KINDS][RUNS_MAX], bytes[KINDS][RUNS_MAX];
	unsigned int runs = runs_of(3), run, i;
	bool there[KINDS] = { 0 };
	int kind;

	if (meminfo_bytes("MemAvailable") < SERVER + CHILDREN * 17 * MIB + GIB) {
		say("too little memory for 8 GiB of memfd and the tables of 200 children");
		return;
	}
	morsel_pools_make_room(SERVER + GIB);
	for (run = 0; run < runs; run++)
		for (i = 0; i < sizeof(order) / sizeof(*order); i++)
			there[order[i]] = serve(order[i], &times[order[i]][run], &bytes[order[i]][run]);
	for (kind = MEMFD; kind < KINDS; kind++) {
		if (!there[kind])
			continue;
		report_time(row_name("fork_200x8g", kind), times[MORSEL], times[kind],
			    kinds[kind].what, runs);
		report(row_name("pagetable_200x8g", kind), "KiB",
		       (double)median(bytes[MORSEL], runs) / KIB,
		       (double)median(bytes[kind], runs) / KIB, kinds[kind].what, runs);
	}
}
