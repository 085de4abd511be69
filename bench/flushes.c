// SPDX-License-Identifier: GPL-2.0
/*
 * How often other processors are interrupted to flush their TLBs.
 *
 * Processes that have memory mapped each keep a processor of their own busy, as far as there are
 * enough.  The first processor takes the memory away: by munmap() and by exit in each of the
 * processes, by one hole that is punched for all.  Both sides are counted where the kernel hands a
 * processor something to do (csd_queue_cpu), so that a flush of the kernel's and one of the module's
 * are the same event.  A round is a flush of one or of several address spaces that is waited for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define TRACING "/sys/kernel/tracing/"
#define LENGTH (64 * MIB)
#define PUNCHED (32 * MIB)
#define PROCESSES_MAX 64

/* What a process is told to do. */
enum order { BE_BUSY, REST, UNMAP, EXIT };

struct process {
	pid_t pid;
	int orders;
	int answers;
};

struct flushes {
	unsigned int interrupts;
	unsigned int rounds;
};

/* A thread that uses its address space, or sleeps. */
static struct {
	pthread_t thread;
	unsigned int cpu;
	sem_t go;
	atomic_bool stop;
	atomic_bool runs;
} busy;

static void *keep_busy(void *unused)
{
	(void)unused;
	stay_on(busy.cpu);
	for (;;) {
		sem_wait(&busy.go);
		busy.runs = true;
		while (!busy.stop)
			;
		busy.runs = false;
	}
	return NULL;
}

static void be_busy(bool yes)
{
	busy.stop = !yes;
	if (yes)
		sem_post(&busy.go);
	while (busy.runs != yes)
		usleep(100);
}

_Noreturn static void serve_orders(const struct object *object, unsigned int cpu, int orders,
				   int answers)
{
	enum order order;
	char *memory, byte = 0;

	stay_on(0);
	memory = object_map(object, LENGTH);
	/* What was written to is the usual case. */
	touch_memory(memory, LENGTH, HUGE_PAGE);
	busy.cpu = cpu;
	sem_init(&busy.go, 0, 0);
	if (pthread_create(&busy.thread, NULL, keep_busy, NULL))
		_exit(1);
	do {
		if (write(answers, &byte, 1) != 1 ||
		    read(orders, &order, sizeof(order)) != sizeof(order))
			_exit(1);
		if (order == UNMAP)
			munmap(memory, object->mapped);
		else if (order != EXIT)
			be_busy(order == BE_BUSY);
	} while (order != EXIT);
	_exit(0);
}

static void await_answer(const struct process *process)
{
	char byte;

	errno = 0;
	if (read(process->answers, &byte, 1) != 1)
		die("a process died that was to flush");
}

static void send_order(const struct process *process, enum order order)
{
	if (write(process->orders, &order, sizeof(order)) != sizeof(order))
		die("cannot order a process about");
}

static void command(const struct process *process, enum order order)
{
	send_order(process, order);
	await_answer(process);
}

static void start(struct process *process, const struct object *object, unsigned int cpu)
{
	int orders[2], answers[2];

	if (pipe2(orders, O_CLOEXEC) || pipe2(answers, O_CLOEXEC))
		die("pipe");
	fflush(stdout);
	process->pid = fork();
	if (process->pid < 0)
		die("fork");
	if (!process->pid) {
		close(answers[0]);
		serve_orders(object, cpu, orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	process->orders = orders[1];
	process->answers = answers[0];
	await_answer(process);
}

static void start_all(struct process *processes, unsigned int count, const struct object *object)
{
	unsigned int others = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN) - 1, i;

	for (i = 0; i < count; i++)
		start(&processes[i], object, 1 + i % others);
}

static void finish(struct process *process)
{
	int status;

	send_order(process, EXIT);
	if (waitpid(process->pid, &status, 0) < 0 || status)
		die("a process that was to flush ended with status %d", status);
	close(process->orders);
	close(process->answers);
}

static void trace(bool on)
{
	write_file(TRACING "tracing_on", on ? "1" : "0");
}

/* What was traced since the last call. */
static struct flushes traced(void)
{
	struct flushes flushes = { 0 };
	unsigned long kept, written;
	char line[512], *counts;
	FILE *file;

	file = fopen(TRACING "trace", "re");
	if (!file)
		die(TRACING "trace");
	while (fgets(line, sizeof(line), file)) {
		counts = strstr(line, "entries-written: ");
		if (counts && sscanf(counts, "entries-written: %lu/%lu", &kept, &written) == 2 &&
		    kept != written)
			die("the trace has lost some of its %lu lines", written);
		if (strstr(line, "func=flush_tlb_func") || strstr(line, "func=flush_here"))
			flushes.interrupts++;
		if (strstr(line, "remote ipi send") || strstr(line, "morsel_flush:"))
			flushes.rounds++;
	}
	fclose(file);
	fclose(fopen(TRACING "trace", "we"));
	return flushes;
}

/* One hole, for all at once. */
static struct flushes punch(const struct object *object, struct process *processes,
			    unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		command(&processes[i], BE_BUSY);
	trace(true);
	if (fallocate(object->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PUNCHED))
		die("cannot punch a hole into %s", object->what);
	trace(false);
	for (i = 0; i < count; i++)
		command(&processes[i], REST);
	return traced();
}

static struct flushes unmap_each(struct process *processes, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		command(&processes[i], BE_BUSY);
		trace(true);
		command(&processes[i], UNMAP);
		trace(false);
		command(&processes[i], REST);
	}
	return traced();
}

static struct flushes exit_each(struct process *processes, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		command(&processes[i], BE_BUSY);
		trace(true);
		finish(&processes[i]);
		trace(false);
	}
	return traced();
}

enum way { BY_MUNMAP, BY_PUNCH, BY_EXIT, WAYS };

static bool measure_kind(int kind, unsigned int count, struct flushes *flushes)
{
	struct process processes[PROCESSES_MAX];
	struct flushes without;
	struct object object;

	if (kind == MEMFD_FOLIOS || !kinds[kind].make(&object, LENGTH, LENGTH))
		return false;
	/* As a large one attaches: by whole GiBs. */
	if (kind == MORSEL)
		object.mapped = GIB;
	kinds[kind].populate(&object);
	start_all(processes, count, &object);
	flushes[BY_PUNCH] = punch(&object, processes, count);
	flushes[BY_EXIT] = exit_each(processes, count);
	start_all(processes, count, &object);
	flushes[BY_MUNMAP] = unmap_each(processes, count);
	without = exit_each(processes, count);
	object_close(&object);
	morsel_pools_drain();
	say("%u x %s: munmap %u interrupts in %u rounds, punch %u in %u, exit %u in %u (%u in %u when unmapped before)",
	    count, kinds[kind].what, flushes[BY_MUNMAP].interrupts, flushes[BY_MUNMAP].rounds,
	    flushes[BY_PUNCH].interrupts, flushes[BY_PUNCH].rounds, flushes[BY_EXIT].interrupts,
	    flushes[BY_EXIT].rounds, without.interrupts, without.rounds);
	return true;
}

static void report_flushes(struct flushes flushes[KINDS][WAYS], const bool *there,
			   unsigned int count)
{
	static const char *const ways[] = { "munmap", "punch", "exit" };
	double interrupts[KINDS], rounds[KINDS];
	char name[64];
	int way, kind;

	for (way = 0; way < WAYS; way++) {
		for (kind = MORSEL; kind < KINDS; kind++) {
			interrupts[kind] = there[kind] ? (double)flushes[kind][way].interrupts : -1;
			rounds[kind] = there[kind] ? (double)flushes[kind][way].rounds : -1;
		}
		snprintf(name, sizeof(name), "flushes_%s_%u", ways[way], count);
		report_strongest(name, "interrupts", interrupts, 1);
		snprintf(name, sizeof(name), "rounds_%s_%u", ways[way], count);
		report_strongest(name, "rounds", rounds, 1);
	}
}

static bool ready(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || access(TRACING "events/csd/csd_queue_cpu", F_OK)) {
		say("no flushes to be counted: one processor only, or a kernel before 6.4");
		return false;
	}
	trace(false);
	fclose(fopen(TRACING "trace", "we"));
	write_file(TRACING "events/csd/csd_queue_cpu/enable", "1");
	write_file(TRACING "events/tlb/tlb_flush/enable", "1");
	write_file(TRACING "events/morsel/morsel_flush/enable", "1");
	return true;
}

/* flushes_munmap_1 to flushes_exit_64, and rounds_ of the same: all processes together. */
void bench_flushes(void)
{
	static const unsigned int counts[] = { 1, 16, PROCESSES_MAX };
	unsigned int i;

	if (!ready())
		return;
	say("flushes with %ld processors", sysconf(_SC_NPROCESSORS_ONLN));
	/* Whoever begins elsewhere leaves its address space there. */
	stay_on(0);
	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct flushes flushes[KINDS][WAYS];
		bool there[KINDS];
		int kind;

		for (kind = MORSEL; kind < KINDS; kind++)
			there[kind] = measure_kind(kind, counts[i], flushes[kind]);
		report_flushes(flushes, there, counts[i]);
	}
}
