// SPDX-License-Identifier: GPL-2.0
/*
 * Progress of what takes over a second: done, rate, and where the whole is known, time left.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define BAR 20

/* Set by a signal; nothing else can be. */
volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* Let a verb clean up when it is interrupted. */
void catch_interrupts(void)
{
	struct sigaction action = {.sa_handler = on_interrupt};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

void progress_begin(struct progress *progress, const char *what, uint64_t total)
{
	*progress = (struct progress){
		.what = what,
		.total = total,
		.began = now(),
		.terminal = isatty(STDERR_FILENO),
	};
}

static void line(const struct progress *progress, uint64_t done, const char *end)
{
	double elapsed = now() - progress->began, rate = elapsed > 0 ? done / elapsed : 0;
	unsigned int left = rate > 0 ? (progress->total - done) / rate : 0;
	char text_done[32], text_total[32], text_rate[32], bar[BAR + 1];

	format_size(text_done, sizeof(text_done), done);
	format_size(text_rate, sizeof(text_rate), rate);
	if (!progress->total) {
		fprintf(stderr, "\r%s %s, %s/s   %s", progress->what, text_done, text_rate, end);
		return;
	}
	for (unsigned int i = 0; i < BAR; i++)
		bar[i] = i < BAR * (double)done / progress->total ? '#' : '.';
	bar[BAR] = 0;
	format_size(text_total, sizeof(text_total), progress->total);
	fprintf(stderr, "\r%s [%s] %s of %s, %s/s, %u:%02u left   %s", progress->what, bar,
		text_done, text_total, text_rate, left / 60, left % 60, end);
}

/* Nothing for a second, then five times a second; only for people. */
void progress_show(struct progress *progress, uint64_t done)
{
	double time = now();

	if (!progress->terminal || time - progress->began < 1 || time - progress->shown < 0.2)
		return;
	line(progress, done, "");
	progress->shown = time;
}

void progress_end(struct progress *progress, uint64_t done)
{
	if (progress->shown > 0)
		line(progress, done, "\n");
}
