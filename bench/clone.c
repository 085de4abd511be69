// SPDX-License-Identifier: GPL-2.0
/*
 * What clones cost, beside fork, which is how the kernel has memory copied when it is written.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* As large as a model of 7 billion parameters in 8 bits. */
#define MODEL_BYTES ((uint64_t)3492 * HUGE_PAGE)
#define COW_BYTES (64 * MIB)

static int clone_of(const struct object *object)
{
	struct morsel_clone args = { .size = sizeof(args), .mode = 0600 };

	if (ioctl(object->fd, MORSEL_IOC_CLONE, &args))
		die("cannot clone a morsel");
	return args.fd;
}

/* A child that ends when the pipe is closed; in it 0. */
static pid_t fork_waiting(int ends[2])
{
	char byte;
	pid_t pid;

	if (pipe(ends))
		die("no pipe");
	pid = fork();
	if (pid < 0)
		die("cannot fork");
	if (!pid) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) < 0);
	}
	close(ends[0]);
	return pid;
}

static void end(pid_t pid, int ends[2])
{
	close(ends[1]);
	waitpid(pid, NULL, 0);
}

/* What fork() takes with so much anonymous memory; the same for a clone. */
static uint64_t time_fork(void)
{
	uint64_t start = now_ns(), taken;
	int ends[2];
	pid_t pid;

	start = now_ns();
	pid = fork_waiting(ends);
	taken = now_ns() - start;
	end(pid, ends);
	return taken;
}

static uint64_t time_clone(const struct object *object, char *memory, uint64_t stride)
{
	uint64_t start, taken;
	int fd;

	/* All of it was written since the last clone. */
	touch_memory(memory, object->length, stride);
	start = now_ns();
	fd = clone_of(object);
	taken = now_ns() - start;
	close(fd);
	return taken;
}

static void clone_row(const char *name, uint32_t granule, int advice)
{
	uint64_t found[SIDES][RUNS_MAX], stride = granule == MORSEL_GRANULE_4K ? PAGE : HUGE_PAGE;
	unsigned int runs = runs_of(5), run;
	struct object object;
	char *memory, *peer;

	morsel_make(&object, MODEL_BYTES, granule);
	object.prot |= PROT_WRITE;
	memory = object_map(&object, MODEL_BYTES);
	for (run = 0; run < runs; run++)
		found[OURS][run] = time_clone(&object, memory, stride);
	munmap(memory, object.mapped);
	object_close(&object);
	morsel_pools_drain();
	peer = anonymous(MODEL_BYTES, advice);
	touch_memory(peer, MODEL_BYTES, PAGE);
	for (run = 0; run < runs; run++)
		found[PEER][run] = time_fork();
	munmap(peer, MODEL_BYTES);
	report_time(name, found[OURS], found[PEER], "fork", runs);
}

/* What writing to each page takes that somebody else has. */
static uint64_t cow_morsel(void)
{
	struct object object;
	uint64_t taken;
	char *memory;
	int fd;

	morsel_make(&object, COW_BYTES, MORSEL_GRANULE_4K);
	object.prot |= PROT_WRITE;
	memory = object_map(&object, COW_BYTES);
	touch_memory(memory, COW_BYTES, PAGE);
	fd = clone_of(&object);
	read_memory(memory, COW_BYTES, READ_PAGES);
	taken = touch_memory(memory, COW_BYTES, PAGE);
	close(fd);
	munmap(memory, object.mapped);
	object_close(&object);
	return taken;
}

static uint64_t cow_fork(void)
{
	char *memory = anonymous(COW_BYTES, MADV_NOHUGEPAGE);
	uint64_t taken;
	int ends[2];
	pid_t pid;

	touch_memory(memory, COW_BYTES, PAGE);
	pid = fork_waiting(ends);
	read_memory(memory, COW_BYTES, READ_PAGES);
	taken = touch_memory(memory, COW_BYTES, PAGE);
	end(pid, ends);
	munmap(memory, COW_BYTES);
	return taken;
}

/* clone_6.82g_fork_2m, clone_6.82g_fork_4k: all frames are of 2 MiB. */
void bench_clone(void)
{
	clone_row("clone_6.82g_fork_2m", MORSEL_GRANULE_2M, MADV_HUGEPAGE);
	clone_row("clone_6.82g_fork_4k", MORSEL_GRANULE_2M, MADV_NOHUGEPAGE);
	clone_row("clone_6.82g_small_fork_4k", MORSEL_GRANULE_4K, MADV_NOHUGEPAGE);
}

/* cow_fault_4k: per page. */
void bench_cow(void)
{
	uint64_t found[SIDES][RUNS_MAX];
	unsigned int runs = runs_of(7), run;
	double pages = (double)(COW_BYTES / PAGE);
	struct object object;
	char *memory;

	/* Of a process that has had morsels for a while: it takes one to know who else looks at its memory. */
	morsel_make(&object, GIB, MORSEL_GRANULE_4K);
	memory = object_map(&object, GIB);
	cow_morsel();
	cow_fork();
	for (run = 0; run < runs; run++) {
		found[OURS][run] = cow_morsel();
		found[PEER][run] = cow_fork();
	}
	munmap(memory, object.mapped);
	object_close(&object);
	report("cow_fault_4k", "ns", (double)median(found[OURS], runs) / pages,
	       (double)median(found[PEER], runs) / pages, "fork", runs);
}

#define HEAP_BYTES (4 * GIB)

/* A private mapping of a morsel, all of which was written. */
static char *heap_make(void)
{
	struct object object;
	char *memory;

	morsel_make(&object, HEAP_BYTES, MORSEL_GRANULE_AUTO);
	memory = mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, object.fd, 0);
	if (memory == MAP_FAILED)
		die("cannot map a morsel privately");
	object_close(&object);
	touch_memory(memory, HEAP_BYTES, PAGE);
	return memory;
}

/* As fork_private_4g, where a word of each span was written since the last fork. */
static uint64_t time_fork_of(char *memory)
{
	touch_memory(memory, HEAP_BYTES, HUGE_PAGE);
	return time_fork();
}

/*
 * fork_private_4g: beside anonymous memory in pages of 4 KiB; fork_private_over_none: beside none;
 * fork_private_written_4g: as the first, when all spans were written since the last fork.
 */
void bench_fork_private(void)
{
	uint64_t found[SIDES][RUNS_MAX], none[RUNS_MAX], written[RUNS_MAX];
	unsigned int runs = runs_of(7), run;
	char *memory;

	for (run = 0; run < runs; run++)
		none[run] = time_fork();
	memory = heap_make();
	for (run = 0; run < runs; run++)
		written[run] = time_fork_of(memory);
	for (run = 0; run < runs; run++)
		found[OURS][run] = time_fork();
	munmap(memory, HEAP_BYTES);
	morsel_pools_drain();
	memory = anonymous(HEAP_BYTES, MADV_NOHUGEPAGE);
	touch_memory(memory, HEAP_BYTES, PAGE);
	for (run = 0; run < runs; run++)
		found[PEER][run] = time_fork();
	munmap(memory, HEAP_BYTES);
	report_time("fork_private_4g", found[OURS], found[PEER], "fork", runs);
	report_time("fork_private_written_4g", written, found[PEER], "fork", runs);
	report_time("fork_private_over_none", found[OURS], none, "fork without", runs);
}

/* What counts for a morsel itself, beside its tables (morsel(4)). */
#define OWN_BYTES PAGE

#define CLONES 1000
#define CLONED_BYTES (4 * GIB)

/* clone_tables_1000: what tables each clone takes until it is written, beside those of a forked child. */
void bench_clone_tables(void)
{
	struct object object;
	uint64_t before, ours, peer;
	int fds[CLONES], ends[2], i;
	char *memory;
	pid_t pid;

	morsel_make(&object, CLONED_BYTES, MORSEL_GRANULE_4K);
	morsel_populate(&object);
	before = morsel_charged();
	for (i = 0; i < CLONES; i++)
		fds[i] = clone_of(&object);
	ours = (morsel_charged() - before) / CLONES - OWN_BYTES;
	for (i = 0; i < CLONES; i++)
		close(fds[i]);
	object_close(&object);
	morsel_pools_drain();
	memory = anonymous(CLONED_BYTES, MADV_NOHUGEPAGE);
	touch_memory(memory, CLONED_BYTES, PAGE);
	pid = fork_waiting(ends);
	peer = table_bytes_of(pid);
	end(pid, ends);
	munmap(memory, CLONED_BYTES);
	report("clone_tables_1000", "KiB", (double)ours / KIB, (double)peer / KIB, "fork", 1);
}

#define PAUSES_BYTES (8 * GIB)
/* In all, ten in a second. */
#define PAUSES 30
#define PAUSE_NS 100000000

/* Somebody writes all over some memory. */
struct writer {
	char *memory;
	atomic_bool stop;
	atomic_uint_fast64_t longest;
};

static void *write_all_over(void *arg)
{
	struct writer *writer = arg;
	uint64_t seed = 1, last = now_ns(), now;

	while (!atomic_load(&writer->stop)) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		writer->memory[(seed >> 20) % (PAUSES_BYTES / PAGE) * PAGE] = 1;
		now = now_ns();
		if (now - last > atomic_load(&writer->longest))
			atomic_store(&writer->longest, now - last);
		last = now;
	}
	return NULL;
}

/* The writer's longest pause between each copy and the next. */
static void find_pauses(char *memory, const struct object *object, uint64_t *found)
{
	struct writer writer = { .memory = memory };
	int ends[2], fd = -1, i;
	pthread_t thread;
	uint64_t start;
	pid_t pid = 0;

	if (pthread_create(&thread, NULL, write_all_over, &writer))
		die("no thread");
	for (i = 0; i < PAUSES; i++) {
		start = now_ns();
		atomic_store(&writer.longest, 0);
		if (object)
			fd = clone_of(object);
		else
			pid = fork_waiting(ends);
		while (now_ns() - start < PAUSE_NS)
			usleep(1000);
		found[i] = atomic_load(&writer.longest);
		if (object)
			close(fd);
		else
			end(pid, ends);
	}
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
}

/* Each of them, in microseconds. */
static void print_pauses(const char *of, const uint64_t *found)
{
	int i;

	printf("\"%s\": [", of);
	for (i = 0; i < PAUSES; i++)
		printf("%s%.0f", i ? ", " : "", (double)found[i] / 1000);
	printf("]");
}

/* pause_8g: the longest that somebody waits who writes while 8 GiB are copied ten times a second. */
void bench_pauses(void)
{
	uint64_t found[SIDES][PAUSES];
	struct object object;
	char *memory;

	if (meminfo_bytes("MemAvailable") < PAUSES_BYTES + 2 * GIB) {
		say("too little memory to copy 8 GiB while somebody writes");
		return;
	}
	morsel_pools_make_room(PAUSES_BYTES + GIB);
	morsel_make(&object, PAUSES_BYTES, MORSEL_GRANULE_4K);
	morsel_populate(&object);
	object.prot |= PROT_WRITE;
	memory = object_map(&object, PAUSES_BYTES);
	touch_memory(memory, PAUSES_BYTES, PAGE);
	find_pauses(memory, &object, found[OURS]);
	munmap(memory, object.mapped);
	object_close(&object);
	morsel_pools_drain();
	memory = anonymous(PAUSES_BYTES, MADV_NOHUGEPAGE);
	touch_memory(memory, PAUSES_BYTES, PAGE);
	find_pauses(memory, NULL, found[PEER]);
	munmap(memory, PAUSES_BYTES);
	printf("{\"series\": \"pauses_8g\", ");
	print_pauses("morsel", found[OURS]);
	printf(", ");
	print_pauses("fork", found[PEER]);
	printf("}\n");
	report_time("pause_8g", found[OURS], found[PEER], "fork", PAUSES);
}
