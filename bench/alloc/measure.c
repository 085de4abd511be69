// SPDX-License-Identifier: GPL-2.0
/*
 * Measuring on a machine that others use, too.  The kernel says how long a thread that could have
 * run had to wait for its CPU: that is not counted, and where it was much, a sample is left out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* A sample that lost no more is as good as any. */
#define LOST_LITTLE 0.01

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* Splitmix64. */
uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/**
 * stay_on() - keep this thread on one CPU
 * @cpu: counted among those that the process may use
 */
void stay_on(uint32_t cpu)
{
	static cpu_set_t allowed;
	static int nr_allowed;
	cpu_set_t one;
	int at;

	if (!nr_allowed) {
		if (sched_getaffinity(0, sizeof(allowed), &allowed))
			die("cannot tell which CPUs there are: %s", strerror(errno));
		nr_allowed = CPU_COUNT(&allowed);
	}
	if (cpu >= (uint32_t)nr_allowed)
		die("%u CPUs are wanted, and %d are there", cpu + 1, nr_allowed);
	for (at = 0; !CPU_ISSET(at, &allowed) || cpu--; at++)
		;
	CPU_ZERO(&one);
	CPU_SET(at, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("cannot stay on CPU %d: %s", at, strerror(errno));
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* How long this thread has waited for its CPU; 0 where the kernel does not say. */
static uint64_t waited(const struct stopwatch *watch)
{
	unsigned long long ran, delay;
	char text[96];
	ssize_t length = pread(watch->fd, text, sizeof(text) - 1, 0);

	if (length <= 0)
		return 0;
	text[length] = '\0';
	return sscanf(text, "%llu %llu", &ran, &delay) == 2 ? delay : 0;
}

/* For the thread that calls this. */
void stopwatch_open(struct stopwatch *watch)
{
	*watch =
		(struct stopwatch){.fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)};
}

void stopwatch_close(struct stopwatch *watch)
{
	if (watch->fd >= 0)
		close(watch->fd);
}

void stopwatch_start(struct stopwatch *watch)
{
	watch->waited = waited(watch);
	watch->began = now();
}

/* Adds to what it took so far. */
void stopwatch_stop(struct stopwatch *watch)
{
	uint64_t took = now() - watch->began, lost = waited(watch) - watch->waited;

	lost = lost < took ? lost : took;
	watch->ns += took - lost;
	watch->lost += lost;
}

static int by_loss(const void *left, const void *right)
{
	const struct sample *a = left, *b = right;

	return (a->lost > b->lost) - (a->lost < b->lost);
}

static int by_time(const void *left, const void *right)
{
	const struct sample *a = left, *b = right;

	return (a->ns > b->ns) - (a->ns < b->ns);
}

/**
 * summary() - what many samples say
 * @samples:	are sorted
 * @count:	at least 1
 * Return: it is of those that lost little, or of the better half if these are fewer.
 */
struct figure summary(struct sample *samples, unsigned int count)
{
	struct figure figure = {.used = (count + 1) / 2};

	qsort(samples, count, sizeof(*samples), by_loss);
	while (figure.used < count && samples[figure.used].lost <= LOST_LITTLE)
		figure.used++;
	figure.lost = samples[figure.used - 1].lost;
	qsort(samples, figure.used, sizeof(*samples), by_time);
	figure.least = samples[0].ns;
	figure.median = (samples[(figure.used - 1) / 2].ns + samples[figure.used / 2].ns) / 2;
	return figure;
}
