// SPDX-License-Identifier: GPL-2.0
/*
 * The workloads, which are those of LLFree's paper: half of 8 GiB is got and put, by threads that
 * share it evenly.
 *
 *	bulk get	all of it, from an allocator that is empty
 *	bulk put	all of it, in the order in which it was got
 *	random put	all of it, shuffled among all threads
 *	get-put pair	one batch again and again, while all of it is in use
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "platform.h"

#define HALF (POOL_FRAMES / 2)
/* Where there are few operations, as with huge frames, they are done again. */
#define OPERATIONS_MIN (1U << 17)

const char *const workload_names[WORKLOADS] = {
	[BULK_GET] = "bulk get",
	[BULK_PUT] = "bulk put",
	[RANDOM_PUT] = "random put",
	[PAIR] = "get-put pair",
};

/**
 * struct team - threads that do the same at the same time
 * @waiting:	how many have come to a meeting
 * @meetings:	how many there were
 * @each:	how many operations of each workload are a thread's
 * @got:	what all threads got; thread t's is from t * @each on
 */
struct team {
	const struct frames_peer *peer;
	const struct setting *setting;
	uint32_t waiting;
	uint32_t meetings;
	uint32_t each;
	uint32_t repeats;
	uint64_t *got;
};

struct worker {
	pthread_t thread;
	struct team *team;
	uint32_t number;
	uint64_t *mine;
	struct stopwatch watches[WORKLOADS];
} __attribute__((aligned(64)));

/* Spins: a thread that had slept would begin late. */
static void meet(struct team *team)
{
	uint32_t meeting = __atomic_load_n(&team->meetings, __ATOMIC_SEQ_CST);

	if (__atomic_add_fetch(&team->waiting, 1, __ATOMIC_SEQ_CST) == team->setting->threads) {
		team->waiting = 0;
		__atomic_store_n(&team->meetings, meeting + 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&team->meetings, __ATOMIC_SEQ_CST) == meeting)
		frames_relax();
}

static inline void get(const struct frames_peer *peer, uint32_t thread,
		       const struct setting *setting, uint64_t *got)
{
	uint32_t i, order = setting->order, batch = setting->batch;

	if (batch > 1 && peer->get_batch) {
		if (peer->get_batch(thread, order, batch, got) != batch)
			die("%s has no %u frames of order %u", peer->name, batch, order);
		return;
	}
	for (i = 0; i < batch; i++) {
		got[i] = peer->get(thread, order);
		if (got[i] == PEER_NONE)
			die("%s has no frame of order %u", peer->name, order);
	}
}

static inline void put(const struct frames_peer *peer, uint32_t thread,
		       const struct setting *setting, const uint64_t *frames)
{
	uint32_t i, order = setting->order, batch = setting->batch;

	if (batch > 1 && peer->put_batch) {
		if (peer->put_batch(thread, order, batch, frames))
			die("%s does not take %u frames of order %u back", peer->name, batch,
			    order);
		return;
	}
	for (i = 0; i < batch; i++)
		if (peer->put(thread, order, frames[i]))
			die("%s does not take a frame of order %u back", peer->name, order);
}

static void get_all(const struct worker *worker)
{
	const struct team *team = worker->team;
	uint32_t i;

	for (i = 0; i < team->each; i += team->setting->batch)
		get(team->peer, worker->number, team->setting, worker->mine + i);
}

static void put_all(const struct worker *worker)
{
	const struct team *team = worker->team;
	uint32_t i;

	for (i = 0; i < team->each; i += team->setting->batch)
		put(team->peer, worker->number, team->setting, worker->mine + i);
}

static void get_and_put(const struct worker *worker)
{
	const struct team *team = worker->team;
	uint64_t got[BATCH_MAX];
	uint32_t i;

	for (i = 0; i < team->each; i += team->setting->batch) {
		get(team->peer, worker->number, team->setting, got);
		put(team->peer, worker->number, team->setting, got);
	}
}

static void shuffle(const struct worker *worker)
{
	const struct team *team = worker->team;
	uint64_t state = team->each, other, i, frame;

	if (worker->number)
		return;
	for (i = (uint64_t)team->each * team->setting->threads - 1; i; i--) {
		other = random_next(&state) % (i + 1);
		frame = team->got[i];
		team->got[i] = team->got[other];
		team->got[other] = frame;
	}
}

/* All threads do it at once; its time is taken, if @watch is not NULL. */
static void together(struct worker *worker, void (*what)(const struct worker *worker),
		     struct stopwatch *watch)
{
	meet(worker->team);
	if (watch)
		stopwatch_start(watch);
	what(worker);
	if (watch)
		stopwatch_stop(watch);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct stopwatch *watches = worker->watches;
	uint32_t i;

	stay_on(worker->number);
	for (i = 0; i < WORKLOADS; i++)
		stopwatch_open(&watches[i]);
	for (i = 0; i < worker->team->repeats; i++) {
		together(worker, get_all, &watches[BULK_GET]);
		together(worker, get_and_put, &watches[PAIR]);
		together(worker, put_all, &watches[BULK_PUT]);
		together(worker, get_all, NULL);
		together(worker, shuffle, NULL);
		together(worker, put_all, &watches[RANDOM_PUT]);
	}
	for (i = 0; i < WORKLOADS; i++)
		stopwatch_close(&watches[i]);
	return NULL;
}

/* The mean of all threads. */
static struct sample mean(const struct worker *workers, uint32_t threads, enum workload workload,
			  double operations)
{
	double ns = 0, lost = 0;
	uint32_t i;

	for (i = 0; i < threads; i++) {
		ns += (double)workers[i].watches[workload].ns;
		lost += (double)workers[i].watches[workload].lost;
	}
	return (struct sample){.ns = ns / threads / operations, .lost = lost / (ns + lost)};
}

/**
 * workload_run() - run all workloads once
 * @peer:	the allocator
 * @setting:	how
 * @samples:	are filled: ns for each run of frames that is got, put, or both
 */
void workload_run(const struct frames_peer *peer, const struct setting *setting,
		  struct sample samples[WORKLOADS])
{
	static uint64_t *got;
	struct worker workers[THREADS_MAX] = {0};
	struct team team = {
		.peer = peer,
		.setting = setting,
		.each = (uint32_t)(HALF >> setting->order) / setting->threads,
		.got = got,
	};
	uint32_t i;

	/* It is written here, lest the first allocator pays for its pages. */
	if (!got) {
		got = malloc(HALF * sizeof(*got));
		if (!got)
			die("no memory");
		memset(got, 0xff, HALF * sizeof(*got));
		team.got = got;
	}
	team.repeats = team.each < OPERATIONS_MIN ? OPERATIONS_MIN / team.each : 1;
	if (peer->init(POOL_FRAMES, setting->threads))
		die("%s cannot begin", peer->name);
	for (i = 0; i < setting->threads; i++) {
		workers[i] =
			(struct worker){.team = &team, .number = i, .mine = got + i * team.each};
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			die("cannot make a thread");
	}
	for (i = 0; i < setting->threads; i++)
		pthread_join(workers[i].thread, NULL);
	if (peer->free && peer->free() != POOL_FRAMES)
		die("%s has not got all frames back", peer->name);
	peer->exit();
	for (i = 0; i < WORKLOADS; i++)
		samples[i] = mean(workers, setting->threads, i, (double)team.each * team.repeats);
}
