/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Measuring mappings: the same steps and the same clock for every kind of memory.  The benchmark
 * and the demo share this.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "morsel_ioctl.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define TIB (1ULL << 40)
#define PAGE 4096ULL
#define HUGE_PAGE (2 * MIB)

/* What a process reads of its mapping. */
enum reading {
	READ_NOTHING,
	READ_GIBS, /* one word in every GiB */
	READ_TABLES, /* one word in every 2 MiB: makes all tables that reading everything makes */
	READ_PAGES, /* one word in every 4 KiB */
	READ_WORDS, /* every word */
};

/**
 * struct object - memory that processes map
 * @what:	for people
 * @fd:		its descriptor, or -1
 * @length:	bytes in it
 * @mapped:	bytes that mapping all of it takes: a morsel attaches fastest by whole splice units
 * @flags:	for mmap, beside MAP_SHARED
 * @prot:	for mmap
 * @align:	its address is to be a multiple of this; 0: the kernel chooses
 * @apart:	and this much more: a page, so that each is mapped by itself
 * @first:	what to read as part of mapping it, so that no fault is left
 * @holder:	a process that keeps it mapped, since others share its tables; or 0
 * @held_bytes:	what the tables take that the holder has of it
 * @morsel:	whether it is a morsel
 * @hugetlb:	whether it is of pages set aside
 */
struct object {
	const char *what;
	int fd;
	uint64_t length;
	uint64_t mapped;
	int flags;
	int prot;
	uint64_t align;
	uint64_t apart;
	enum reading first;
	pid_t holder;
	uint64_t held_bytes;
	bool morsel;
	bool hugetlb;
};

/**
 * struct sight - what one process saw of one mapping
 * @map:	ns in mmap, and to read what belongs to it
 * @read:	ns to read as asked for
 * @again:	ns to read a second time; with READ_PAGES only
 * @unmap:	ns in munmap
 * @fork:	ns from before a fork() until the child had a word of each 2 MiB; of
 *		measure_fork() only
 * @map_faults:	page faults while mapping
 * @read_faults: page faults while reading
 * @table_bytes: growth of the process's own page tables (VmPTE)
 * @sum:	of the words read
 */
struct sight {
	uint64_t map;
	uint64_t read;
	uint64_t again;
	uint64_t unmap;
	uint64_t fork;
	uint64_t map_faults;
	uint64_t read_faults;
	uint64_t table_bytes;
	uint64_t sum;
};

/**
 * struct crowd - what many processes at once take
 * @table_bytes: sum of their page tables' growth (VmPTE)
 * @shared_bytes: tables that belong to the object, or to who holds it
 * @system_bytes: growth of PageTables in /proc/meminfo
 * @faults:	page faults of all
 * @forked:	ns to make them
 * @elapsed:	ns from then until the last had mapped and read
 */
struct crowd {
	uint64_t table_bytes;
	uint64_t shared_bytes;
	int64_t system_bytes;
	uint64_t faults;
	uint64_t forked;
	uint64_t elapsed;
};

/* How long measure_once() lets caches settle; 0 where time is not what is measured. */
extern uint64_t measure_settle_ms;

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/*
 * Wait until nothing else runs, as the kernel has things to do for a while once it is up, but no longer than 30
 * seconds: then false.
 */
bool wait_until_idle(void);
uint64_t now_ns(void);
uint64_t median(uint64_t *values, size_t count);
uint64_t meminfo_bytes(const char *key);
uint64_t table_bytes_of(pid_t pid);
uint64_t own_table_bytes(void);
uint64_t faults_taken(void);
uint64_t round_up_to(uint64_t value, uint64_t unit);
void write_file(const char *path, const char *text);
void stay_on(unsigned int cpu);

void measure_once(const struct object *object, uint64_t length, enum reading reading,
		  struct sight *sight);
void measure_mapping(const struct object *object, uint64_t length, struct sight *sight);
void measure_fork(const struct object *object, struct sight *sight);
void measure_many(const struct object *object, uint64_t length, enum reading reading,
		  unsigned int count, const void *inherited, struct crowd *crowd);
uint64_t touch_with(unsigned int cpus, void *memory, uint64_t length);
void *object_map(const struct object *object, uint64_t length);
uint64_t read_memory(const void *memory, uint64_t length, enum reading reading);
uint64_t touch_memory(char *memory, uint64_t length, uint64_t stride);
char *anonymous(uint64_t length, int advice);

void morsel_create(struct object *object, uint64_t length, uint32_t granule);
void morsel_make(struct object *object, uint64_t length, uint32_t granule);
int morsel_for_views(uint64_t length, uint32_t granule);
int morsel_view(int fd);
void morsel_by_name(struct object *object, const char *name);
void morsel_populate_range(const struct object *object, uint64_t offset, uint64_t length);
void morsel_populate(const struct object *object);
void morsel_tune(const struct object *object, uint32_t fault_around);
void morsel_stat(const struct object *object, struct morsel_info *info);
void morsel_forget(const char *name);
void morsel_pools_make_room(uint64_t bytes);
uint64_t morsel_charged(void);
void morsel_pools_drain(void);

bool memfd_make(struct object *object, uint64_t length);
bool hugetlb_reserve(uint64_t bytes);
bool hugetlb_make(struct object *object, uint64_t length);
void populate(struct object *object);
void drop_caches(void);
void object_close(struct object *object);

#endif /* MEASURE_H */
