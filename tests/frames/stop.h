/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stops: after so many stores, or before so many accesses, something happens.  So who is to die,
 * or to be slow, is where he is to be, whatever the scheduler does.
 *
 * Stops at stores take FRAMES_WATCH, those at accesses FRAMES_STEP, too.
 */
#ifndef FRAMES_STOP_H
#define FRAMES_STOP_H

#include <signal.h>
#include <unistd.h>

#include "run.h"

/**
 * struct stop - when something happens, once
 * @happens:	what; NULL: nothing
 * @counts:	which stores count; NULL: all
 * @left:	how many are passed before
 */
struct stop {
	void (*happens)(void);
	bool (*counts)(const void *at);
	uint64_t left;
};

static struct stop at_store;

static inline void stop_pass(struct stop *stop, const void *at)
{
	void (*happens)(void) = stop->happens;

	if (!happens || (stop->counts && !stop->counts(at)) || stop->left--)
		return;
	stop->happens = NULL;
	happens();
}

void frames_watch_store(const void *at, unsigned int size)
{
	stop_pass(&at_store, at);
}

void frames_watch_flush(const void *at, size_t size)
{
}

void frames_watch_fence(void)
{
}

#ifdef FRAMES_STEP
static struct stop at_access;

void frames_step(void)
{
	stop_pass(&at_access, NULL);
}
#endif

/* The end of a process: no handler, no flush, nothing more. */
static inline void __attribute__((noreturn)) die_here(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Whose stores some stops look for: this process. */
static const struct run *oneself;

/* A slot of one's own has claimed a child. */
static inline bool claims(const void *at)
{
	size_t offset = (uintptr_t)at - (uintptr_t)oneself->f.slots;

	return offset < oneself->f.nr_slots * sizeof(*oneself->f.slots) &&
	       slot_any(*(const uint64_t *)at);
}

/* An entry of one's own was cleared: its frames are in use, and nobody's. */
static inline bool clears(const void *at)
{
	size_t offset = (uintptr_t)at - (uintptr_t)oneself->owners.entries;

	return offset < oneself->owners.nr * sizeof(*oneself->owners.entries) &&
	       !*(const uint64_t *)at;
}

#endif /* FRAMES_STOP_H */
