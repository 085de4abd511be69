/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites share in which the kernel is at work beside the module, by
 * itself or because an administrator makes it: settings that are put back after
 * each test, morsels that must stay as they are meanwhile, and memory cgroups and
 * a swap file, which go at the test's end.
 *
 * Most of these tests have a control: something beside the morsel to which the
 * same is done, so that it is known that the kernel was at work.
 */
#ifndef TESTS_KERNEL_H
#define TESTS_KERNEL_H

#include "common.h"

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

/* As TEST(), with what is here put back at the end. */
#define KERNEL_TEST(function)                                                      \
	cmocka_unit_test_prestate_setup_teardown(function, test_begin, kernel_end, \
						 (void *)#function)

int kernel_end(void **state);
/* Also when the test fails; the path must outlive it. */
void unlink_at_end(const char *path);

/* Write to a file of /proc or /sys, until the test's end; false: that fails. */
bool try_set_kernel(const char *path, const char *value);
/* The same, where failure is not part of the test. */
void set_kernel(const char *path, const char *value);

/* The number that a file begins with. */
unsigned long number_in(const char *path);
/* The counter of /proc/vmstat whose line begins with @word. */
unsigned long vmstat(const char *word);
/* A field, in KiB, of what smaps says of the own mapping at an address. */
unsigned long smaps_kib(const void *address, const char *field);

/* To create one with frames, unnamed, of the default pool. */
struct morsel_create populated(uint64_t length, uint32_t granule);

/* Ceilings of users. */
int limit_set(uid_t uid, uint64_t bytes, uint32_t flags);
struct morsel_limit limit_of(uid_t uid);

/* As spawn(), for user @uid of a user namespace that TESTER owns. */
pid_t spawn_in_user_namespace(uid_t uid);

/* A morsel that must stay as it is: its data, and each frame. */
struct kept {
	int fd;
	char *memory;
	size_t length;
	unsigned int seed;
	struct morsel_extent *extents;
	unsigned int count;
	/* How many processes have it now. */
	unsigned int attachments;
};

/* All extents of a morsel; to be freed. */
struct morsel_extent *extents_of(int fd, unsigned int *count);
/* Create, map and fill one. */
void keep_morsel(struct kept *kept, uint32_t granule, size_t length, unsigned int seed);
void keep_morsel_at(struct kept *kept, char *address, uint32_t granule, size_t length,
		    unsigned int seed);
/* The data is here and in another process, and each frame is where it was. */
void assert_kept(const struct kept *kept);
/* In a child: reads right, and writes what is there already. */
void use_kept(const struct kept *kept);

/* One of small frames and one of huge ones. */
extern struct kept both[2];
extern const uint32_t both_granules[2];

void keep_both(void);
void assert_both_kept(void);
/* A process that uses both on one CPU until it is killed. */
pid_t spawn_user(unsigned int cpu);
/* It does so still. */
void assert_user_goes_on(unsigned int cpu);
/* It has found nothing wrong so far. */
void assert_killed_while_well(pid_t pid);

/* Zeros that all threads and processes of a test look at; to be unmapped. */
void *shared_page(void);

/*
 * How often a child calls a function of the kernel's, or of the module's, while it does something;
 * where the kernel has no probes, the test is skipped.
 */
unsigned int calls_of(const char *function, void (*act)(void *of), void *of);

/* A memory cgroup, for one test; without, the test is skipped. */
#define CGROUPS "/sys/fs/cgroup"
#define CGROUP CGROUPS "/morsel-test"

void make_cgroup(void);
/* One that has memory of one node alone; without, the test is skipped. */
void make_cpuset(const char *mems);
/* The caller, a child, goes into it. */
void join_cgroup(void);
/* A counter of its memory.events. */
unsigned long cgroup_event(const char *word);

/* Swap to a file, for one test; without, the test is skipped. */
#define SWAP_FILE "/scratch/swap"

void swap_on(size_t length);

#endif /* TESTS_KERNEL_H */
