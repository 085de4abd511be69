// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that get and put are killed; so are some that recover.  Words and owners are
 * in memory that outlives them, as on a medium when the machine's caches survive.
 *
 * Some die by themselves, after each store in turn that they make.  Others are killed from
 * outside, at any instruction: nothing is asked about where that was.  What is done
 * derives from the seed.
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "stop.h"

#define WORKERS 2
#define SLOTS 4
#define NR_OWNERS 256
#define NR_FRAMES (9 * FRAMES_PER_CHILD + 77)
#define WORDS_SIZE (64 << 10)

/**
 * struct shared - what outlives a process
 * @works:	whether each has begun
 * @flight:	how many frames each is getting or putting
 * @failed:	what went wrong in one of them; else empty
 * @entries:	of the owners; the workers have equal parts of the table
 * @slots:	of workers that are CPUs of one host
 * @words:	of the allocator
 */
struct shared {
	uint32_t works[WORKERS];
	uint64_t flight[WORKERS];
	char failed[256];
	uint64_t entries[WORKERS * NR_OWNERS];
	struct frames_slot slots[SLOTS];
	uint8_t words[WORDS_SIZE] __attribute__((aligned(FRAMES_LINE)));
};

/**
 * struct killing - processes, and what became of them
 * @shared:	what they share
 * @pids:	of those that live
 * @nr:		how many that are
 * @rng:	what is random here
 * @kills:	how many were killed, or died
 * @given:	frames that were given back, which had been in flight
 */
struct killing {
	struct shared *shared;
	pid_t pids[WORKERS];
	uint32_t nr;
	uint64_t rng;
	uint64_t kills, given;
};

/* Open the words anew, as a host that knows nothing. */
static void run_open(struct run *run, struct shared *shared, struct frames_slot *slots,
		     uint32_t host, bool durable)
{
	assert_true(frames_words_size(NR_FRAMES) <= WORDS_SIZE);
	*run = (struct run){.owners = {shared->entries, WORKERS * NR_OWNERS}};
	assert_int_equal(frames_init(&run->f, NR_FRAMES, shared->words, slots, SLOTS, host), 0);
	run->f.durable = durable;
}

/* All is free, as in the beginning. */
static void start_over(struct killing *killing)
{
	struct frames_slot slots[SLOTS];
	struct run run;

	memset(killing->shared->entries, 0, sizeof(killing->shared->entries));
	run_open(&run, killing->shared, slots, 1, false);
	frames_clear(&run.f, true);
}

static void killing_begin(struct killing *killing, const char *name)
{
	*killing = (struct killing){.rng = rnd_stream(name, 0)};
	killing->shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(killing->shared, MAP_FAILED);
	start_over(killing);
}

static void killing_end(struct killing *killing)
{
	print_message("# %" PRIu64 " kills; %" PRIu64 " frames were given back\n", killing->kills,
		      killing->given);
	munmap(killing->shared, sizeof(struct shared));
}

/* The process, which must not go on with the suite. */
static void __attribute__((noreturn)) give_up(struct shared *shared, const char *why)
{
	snprintf(shared->failed, sizeof(shared->failed), "%s", why);
	_exit(1);
}

/**
 * struct job - what a process does
 * @what:	the things
 * @on:		again and again; else once
 * @end:	where it dies; or lives, until it is killed or done
 */
struct job {
	void (*what)(struct run *run, const struct stop *end);
	bool on;
	struct stop end;
};

/* A dozen things: in the same position, the same ones. */
static void work(struct run *run, const struct stop *end)
{
	if (!at_store.happens)
		at_store = *end;
	do_things(run, 12);
}

/* Crash in a small way: lose all that slots have claimed, and some frames; and recover. */
static void crash(struct run *run, const struct stop *end)
{
	uint32_t order = (uint32_t)rnd_below(&run->rng, 10);
	uint64_t lost[4], given;
	const char *found;

	do_things(run, 4);
	in_flight(run, ARRAY_SIZE(lost) << order);
	frames_get(&run->f, 0, order, ARRAY_SIZE(lost), lost);
	frames_init(&run->f, run->f.nr_frames, run->f.bits, run->f.slots, SLOTS, 1);
	at_store = *end;
	found = recover_owned(&run->f, &run->owners, &given);
	in_flight(run, 0);
	if (found)
		run->failed = found;
}

static void __attribute__((noreturn))
do_job(const struct job *job, struct run *run, struct shared *shared)
{
	do
		job->what(run, &job->end);
	while (job->on && !run->failed);
	if (run->failed)
		give_up(shared, run->failed);
	_exit(0);
}

/* The parent is @of; a process that it leaves behind goes, too. */
static void die_with(pid_t of)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != of)
		_exit(1);
}

static void start(struct killing *killing, const struct run *run, const struct job *job)
{
	struct shared *shared = killing->shared;
	uint32_t nr = killing->nr;
	struct run mine = *run;
	pid_t self = getpid(), pid;

	mine.flight = &shared->flight[nr];
	shared->flight[nr] = 0;
	shared->works[nr] = false;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		die_with(self);
		oneself = &mine;
		__atomic_store_n(&shared->works[nr], true, __ATOMIC_SEQ_CST);
		do_job(job, &mine, shared);
	}
	killing->pids[killing->nr++] = pid;
}

/* Let them be for some microseconds, up to a hundred or so. */
static void wait_a_moment(struct killing *killing)
{
	uint64_t rounds = rnd_below(&killing->rng, 4000), i;

	for (i = 0; i < killing->nr; i++)
		while (!__atomic_load_n(&killing->shared->works[i], __ATOMIC_SEQ_CST) &&
		       !*killing->shared->failed)
			sched_yield();
	for (i = 0; i < rounds; i++)
		frames_relax();
}

/* Wait for the end of one; true if it was killed, or died. */
static bool bury(struct killing *killing, uint32_t nr)
{
	bool done, died;
	int status;

	assert_int_equal(waitpid(killing->pids[nr], &status, 0), killing->pids[nr]);
	died = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	done = WIFEXITED(status) && !WEXITSTATUS(status);
	killing->pids[nr] = 0;
	killing->kills += died;
	if ((!died && !done) || *killing->shared->failed)
		fail_msg("a process ended by itself; %s", killing->shared->failed);
	return died;
}

/* Those that have not died yet. */
static void kill_all(struct killing *killing)
{
	uint32_t i;

	for (i = 0; i < killing->nr; i++)
		if (killing->pids[i])
			kill(killing->pids[i], SIGKILL);
	for (i = 0; i < killing->nr; i++)
		if (killing->pids[i])
			bury(killing, i);
	killing->nr = 0;
}

/* Frames in use that are nobody's. */
static uint64_t count_lost(const struct frames *f, const struct owners *owners)
{
	uint64_t at, used = 0, total;
	uint32_t order;

	free(map_owned(f, owners, &total));
	for (at = 0; frames_next(f, &at, &order); at += 1ULL << order)
		used += 1ULL << order;
	return used - total;
}

/*
 * After the kill: what is owned is there, all else is free.  No more than was in flight
 * was lost; returns how much.
 */
static uint64_t recover_all(struct killing *killing)
{
	struct frames_slot slots[SLOTS];
	struct run run;
	uint64_t flight = 0, lost, given, again;
	const char *found;
	uint32_t i;

	for (i = 0; i < WORKERS; i++)
		flight += killing->shared->flight[i];
	run_open(&run, killing->shared, slots, 1, false);
	lost = count_lost(&run.f, &run.owners);
	found = recover_owned(&run.f, &run.owners, &given);
	if (!found && given != lost)
		found = fault("%" PRIu64 " frames were lost, %" PRIu64 " are given back", lost,
			      given);
	if (!found && lost > flight)
		found = fault("%" PRIu64 " frames were lost, %" PRIu64 " in flight", lost, flight);
	if (!found)
		found = recover_owned(&run.f, &run.owners, &again);
	if (!found && again)
		found = fault("%" PRIu64 " frames are given back again", again);
	if (!found)
		found = check_owned(&run.f, &run.owners);
	if (found)
		fail_msg("after kill %" PRIu64 ": %s", killing->kills, found);
	killing->given += given;
	return given;
}

/* In a position that is the stream's, a process dies after so many stores; or lives. */
static bool dies(struct killing *killing, const struct job *job, uint64_t stream)
{
	struct frames_slot slots[SLOTS];
	struct run run;
	bool died;

	start_over(killing);
	run_open(&run, killing->shared, slots, 1, job->end.left % 2);
	run.rng = rnd_stream("dies", stream);
	do_things(&run, 12);
	start(killing, &run, job);
	died = bury(killing, 0);
	killing->nr = 0;
	recover_all(killing);
	return died;
}

/* Die everywhere, and fail if there is nowhere to die, or nothing that is lost by it. */
static void die_at_each_store(void (*what)(struct run *run, const struct stop *end),
			      const char *name, uint32_t streams)
{
	struct killing killing;
	uint32_t stream;

	killing_begin(&killing, name);
	for (stream = 0; stream < streams; stream++) {
		struct job job = {.what = what, .end.happens = die_here};

		while (dies(&killing, &job, stream))
			job.end.left++;
	}
	killing_end(&killing);
	assert_true(killing.kills && killing.given);
}

static void kill_anywhere(void (*what)(struct run *run, const struct stop *end), const char *name,
			  uint32_t kills)
{
	const struct job job = {.what = what, .on = true};
	struct frames_slot slots[SLOTS];
	struct killing killing;
	struct run run;
	uint32_t i;

	killing_begin(&killing, name);
	for (i = 0; i < kills; i++) {
		run_open(&run, killing.shared, slots, 1, i % 2);
		run.rng = rnd(&killing.rng);
		start(&killing, &run, &job);
		wait_a_moment(&killing);
		kill_all(&killing);
		recover_all(&killing);
	}
	killing_end(&killing);
}

/* Fails if frames that were got, and not entered yet, stay lost. */
static void a_process_can_die_at_any_store(void **state)
{
	die_at_each_store(work, "one", rounds_of(40));
}

static void a_process_can_be_killed_anywhere(void **state)
{
	kill_anywhere(work, "one", rounds_of(2000));
}

/* Fails if a recovery needs what another has changed, half. */
static void recovery_can_die_at_any_store(void **state)
{
	die_at_each_store(crash, "recovery", rounds_of(40));
}

static void recovery_can_be_killed_anywhere(void **state)
{
	kill_anywhere(crash, "recovery", rounds_of(1000));
}

/* Two that are hosts, or CPUs that share slots. */
static void start_two(struct killing *killing, bool hosts, bool durable, const struct stop *end)
{
	struct frames_slot slots[SLOTS];
	struct job job = {.what = work, .on = true, .end = *end};
	struct run run;
	uint32_t worker;

	for (worker = 0; worker < WORKERS; worker++) {
		if (hosts || !worker)
			run_open(&run, killing->shared, hosts ? slots : killing->shared->slots,
				 worker + 1, durable);
		run.owners = (struct owners){killing->shared->entries + worker * NR_OWNERS,
					     NR_OWNERS};
		run.rng = rnd(&killing->rng);
		start(killing, &run, &job);
		job.end.happens = NULL;
	}
}

/* They meet.  One dies where something was put that is nobody's, or both are killed anywhere. */
static void two_processes_can_be_killed_anywhere(void **state)
{
	struct killing killing;
	uint32_t i;

	killing_begin(&killing, "two");
	for (i = 0; i < rounds_of(1200); i++) {
		bool dies = i % 3 == 0;

		start_two(&killing, i % 4 < 2, i % 2,
			  &(struct stop){dies ? die_here : NULL, clears, i % 8});
		if (dies)
			bury(&killing, 0);
		else
			wait_a_moment(&killing);
		kill_all(&killing);
		if (!recover_all(&killing) && dies)
			fail_msg("what nobody had was not in use");
	}
	killing_end(&killing);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_can_die_at_any_store),
		cmocka_unit_test(a_process_can_be_killed_anywhere),
		cmocka_unit_test(two_processes_can_be_killed_anywhere),
		cmocka_unit_test(recovery_can_die_at_any_store),
		cmocka_unit_test(recovery_can_be_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
