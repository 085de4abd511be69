/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites share: loading the module, clearing up after each test,
 * short names for the ioctls, and looking at faults and child processes.
 *
 * A test need not clear up: when it ends, its children are killed, its
 * descriptors and mappings closed, all names unlinked.  What is in use after
 * that has leaked, and fails the test.
 */
#ifndef TESTS_COMMON_H
#define TESTS_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "morsel_ioctl.h"

#define KIB (1UL << 10)
#define MIB (1UL << 20)
#define GIB (1UL << 30)
#define TIB (1UL << 40)
#define PAGE (4 * KIB)
#define HUGE (2 * MIB)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Users that exist for nothing else. */
#define TESTER 1000
#define OTHER 1001
/* And from here on those of a user namespace that one of them owns. */
#define SUBORDINATE 100000

#define RW (PROT_READ | PROT_WRITE)

/* A descriptor of /dev/morsel, open during each test. */
extern int dev;

/* An entry of a suite's table: the test by its own name.  Its end says "# took N ms NAME". */
#define TEST(function)                                                                             \
	{                                                                                          \
		#function, function, test_begin, test_end, (void *)#function                       \
	}

int suite_begin(void **state);
int suite_end(void **state);
int test_begin(void **state);
int test_end(void **state);
/* The last test of every suite. */
void module_unloads(void **state);

void load_module(void);
/* 0 or -errno */
int unload_module(void);

/*
 * How many rounds, where it takes @full of them for all that a race can do: MORSEL_ROUNDS percent,
 * or few; at least one.
 */
unsigned int rounds_of(unsigned int full);
/* How long a test may last. */
unsigned int test_seconds(void);
/*
 * The running test has had its time, but for saying so: what it waits for does not come about.  No
 * other clock fails a test.
 */
bool time_is_up(void);

/* Wait for what happens when the kernel comes to it. */
#define assert_soon(condition)                                                  \
	do {                                                                    \
		while (!(condition)) {                                          \
			if (time_is_up())                                       \
				fail_msg("did not come about: %s", #condition); \
			sleep_ms(10);                                           \
		}                                                               \
	} while (0)

/* In children and threads of children, where cmocka cannot go: say where, and exit. */
#define need(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			need_failed(__FILE__, __LINE__, #condition);                               \
	} while (0)
_Noreturn void need_failed(const char *file, int line, const char *condition);

/* Where that may be either: in the process of the test itself it fails, with a reason. */
#define must(condition, ...)                                                                       \
	do {                                                                                       \
		if (condition)                                                                     \
			break;                                                                     \
		if (!in_test())                                                                    \
			need_failed(__FILE__, __LINE__, #condition);                               \
		fail_msg(__VA_ARGS__);                                                             \
	} while (0)
bool in_test(void);

/* The test cannot run here. */
#define skip_because(...)                                                                          \
	do {                                                                                       \
		print_message("# " __VA_ARGS__);                                                   \
		print_message("\n");                                                               \
		skip();                                                                            \
	} while (0)

/* That a call fails, and how. */
#define assert_errno(call, error)                                                                  \
	do {                                                                                       \
		errno = 0;                                                                         \
		assert_int_equal(call, -1);                                                        \
		assert_string_equal(strerrorname_np(errno), strerrorname_np(error));               \
	} while (0)

/* That a call succeeds: not -1. */
#define assert_done(call)                                                                          \
	do {                                                                                       \
		if ((call) == -1)                                                                  \
			fail_msg("%s: %s", #call, strerror(errno));                                \
	} while (0)

/* The ioctls, with -1 and errno. */
int create_with(struct morsel_create *args);
int open_with(uint64_t id, const char *name, uint32_t flags);
int unlink_morsel(uint64_t id, const char *name);
int clone_with(int fd, uint32_t flags, const char *name);
int give(int fd);
int punch(int fd, uint64_t offset, uint64_t length);
int populate(int fd, uint64_t offset, uint64_t length);
/* One step of a list; how many entries were filled, or -1. */
int list_step(int fd, unsigned long call, uint64_t *cursor, void *entries, uint32_t entry_size,
	      uint32_t count);

/* The same, where failure is not part of the test; on the pool of pool_info(), the first. */
int create(uint64_t length, uint32_t granule);
int clone_of(int fd);
int create_named(const char *name, uint64_t length, uint32_t mode);
uint64_t id_of(int fd);
struct morsel_info info_of(int fd);
struct morsel_query query(void);
struct morsel_pool_info pool_info(void);
/* The same; false: there is none. */
bool pool_first(struct morsel_pool_info *info);
/* Change what that pool may hold, until the test's end; -1 and errno. */
int resize_pool(uint64_t bytes);
/* The same of a node's pool, of which tests know so many. */
#define NODES 16
unsigned int all_pools(struct morsel_pool_info *info);
bool pool_on(unsigned int node, struct morsel_pool_info *info);
int resize_pool_on(unsigned int node, uint64_t bytes);
/* All morsels that the caller sees; to be freed. */
struct morsel_info *list_all(unsigned int *count);
unsigned int count_morsels(void);
void *map(int fd, uint64_t length, int prot);
void *map_at(void *address, int fd, uint64_t length, int prot, uint64_t offset);
/* Another descriptor of the same, with fewer rights. */
int reopen(int fd, int flags);
int reopen_read_only(int fd);
/* An aligned place where nothing is mapped. */
void *free_place(size_t length);

/*
 * Touch a byte: 0, or the signal that came.  The value read is left in *@value
 * if that is given.
 */
int probe_read(const volatile void *address, unsigned char *value);
int probe_write(volatile void *address, unsigned char value);
int probe_call(void (*function)(void));

/*
 * fork(); the child dies with its parent.  A child ends by _exit(0), or by
 * need().
 */
pid_t spawn(void);
void assert_child_done(pid_t pid);
void assert_child_killed(pid_t pid, int signal);
/* Run a race in a child of its own. */
void assert_race(void (*race)(void));
/* Its exit status, or 128 and the signal. */
int wait_child(pid_t pid);
/* The caller, a child, goes on as a user without any rights. */
void become(uid_t uid);
void pin_to_cpu(unsigned int cpu);
/* How many faults the caller has taken that needed no disk. */
long minor_faults(void);
/* While waiting for the other processor: how often this was called counts the tries. */
void relax(unsigned int *tries);
/* Run a thread on each of @count places, round-robin over the processors; in children. */
void run_threads(unsigned int count, void *(*function)(void *), void *args, size_t arg_size);
/* How often each thread of a race has come round, by its number; processes share it, too. */
extern atomic_uint *turns;
void turns_begin(void);
void took_turn(unsigned int self);
/*
 * Until it has begun to do what it does after this was called, and done it.  It is a thread, or a
 * child, which must not end meanwhile.
 */
void wait_for_turn_of(pid_t child, unsigned int who);
void wait_for_turn(unsigned int who);
/* What one waits for not in each round, so that most of them go as they happen to. */
#define now_and_then(round) ((round) % 16 == 15)

/* Text that differs from page to page, and from seed to seed. */
void fill_pattern(void *memory, size_t length, unsigned int seed);
bool has_pattern(const void *memory, size_t length, unsigned int seed);
bool is_zero(const void *memory, size_t length);

/*
 * A morsel with text at some places, mapped here and by a witness, which is another process.  Not
 * at each page, so that there are holes of all kinds.
 */
#define SCENE_LENGTH (GIB + 8 * MIB)
#define SCENE_PLACES 5

struct scene {
	int fd;
	char *memory;
	pid_t witness;
	int talk;
	uint64_t frame_bytes;
	uint64_t frames[SCENE_PLACES];
};

extern const uint64_t scene_places[SCENE_PLACES];

void scene_begin(struct scene *scene, uint32_t granule);
/* The text is where it was, as seen through a mapping of the whole. */
bool scene_reads(const char *memory);
/*
 * The witness reads the text, and what it writes is seen; no frame has moved, come or gone; and
 * there are no attachments but its own and @others.
 */
void assert_scene_intact(struct scene *scene, unsigned int others);
/* The number of the frame at an offset; 0: a hole. */
uint64_t frame_at(int fd, uint64_t offset);

/* A small file of /proc or /sys; the buffer is static. */
const char *read_text(const char *path, ...);
/* A line of a file of /proc, as it says "Name:  N kB". */
unsigned long kib_of(const char *text, const char *name);
bool write_text(const char *path, const char *text);
/* Is a feature of the processor in use, not only there? */
bool cpu_has(const char *flag);
/* The line of /proc/PID/maps (0: own) for an address; "" for none. */
const char *maps_line(pid_t pid, const void *address);

#define TRACING "/sys/kernel/tracing/"
/* Have the module tell of an event until trace_end(); without tracing, the test is skipped. */
void trace_begin(const char *event);
/* How often it has come since this was asked last; and the sum of one of its numbers. */
unsigned int traced(const char *event, const char *number, unsigned long *sum);
void trace_end(const char *event);
/* How many lines with a text have come since this was asked last. */
unsigned int traced_lines(const char *text);

/* A file on a file system that takes O_DIRECT, of @length; -1: there is none. */
int scratch_file(size_t length);
unsigned int kernel_version(void);
#define KERNEL(major, minor) ((major) << 8 | (minor))

/* A repeatable random number. */
uint32_t random_next(uint64_t *state);
double seconds_now(void);
void sleep_ms(unsigned int ms);

#endif /* TESTS_COMMON_H */
