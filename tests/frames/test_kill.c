// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that get and put are killed, at any instruction; so are some that recover.
 * Words and owners are in memory that outlives them, as on a medium when the machine's
 * caches survive.  What is done derives from the seed; when they are killed does not.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

#define WORKERS 2
#define SLOTS 4
#define NR_OWNERS 256
#define NR_FRAMES (9 * FRAMES_PER_CHILD + 77)
#define WORDS_SIZE (64 << 10)

enum phase { BEGINS, WORKS, RECOVERS };

/**
 * struct shared - what outlives a process
 * @phases:	what each is doing
 * @failed:	what went wrong in one of them; else empty
 * @entries:	of the owners; the workers have equal parts of the table
 * @slots:	of workers that are CPUs of one host
 * @words:	of the allocator
 */
struct shared {
	uint32_t phases[WORKERS];
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
 * @kills:	how many were killed
 * @given:	frames that were given back, which had been in flight
 */
struct killing {
	struct shared *shared;
	pid_t pids[WORKERS];
	uint32_t nr;
	uint64_t rng;
	uint64_t kills, given;
};

static void set_phase(uint32_t *phase, enum phase now)
{
	__atomic_store_n(phase, now, __ATOMIC_SEQ_CST);
}

static enum phase phase_of(const uint32_t *phase)
{
	return __atomic_load_n(phase, __ATOMIC_SEQ_CST);
}

/* Open the words anew, as a host that knows nothing. */
static void run_open(struct run *run, struct shared *shared, struct frames_slot *slots,
		     uint32_t host, bool durable)
{
	assert_true(frames_words_size(NR_FRAMES) <= WORDS_SIZE);
	*run = (struct run){.owners = {shared->entries, WORKERS * NR_OWNERS}};
	assert_int_equal(frames_init(&run->f, NR_FRAMES, shared->words, slots, SLOTS, host), 0);
	run->f.durable = durable;
}

static void killing_begin(struct killing *killing, const char *name)
{
	struct frames_slot slots[SLOTS];
	struct run run;

	*killing = (struct killing){.rng = rnd_stream(name, 0)};
	killing->shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(killing->shared, MAP_FAILED);
	run_open(&run, killing->shared, slots, 1, false);
	frames_clear(&run.f, true);
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

static void __attribute__((noreturn)) work(struct shared *shared, struct run *run, uint32_t *phase)
{
	run->filling = 50;
	set_phase(phase, WORKS);
	while (!run->failed)
		do_something(run);
	give_up(shared, run->failed);
}

/*
 * Crash again and again, in a small way: lose all that slots have claimed, and some
 * frames, and recover.
 */
static void __attribute__((noreturn))
recover(struct shared *shared, struct run *run, uint32_t *phase)
{
	static struct frames_slot slots[SLOTS];
	uint64_t lost[64], given;
	const char *found;

	for (;;) {
		set_phase(phase, WORKS);
		do_things(run, 4);
		frames_get(&run->f, 0, (uint32_t)rnd_below(&run->rng, 10), 4, lost);
		if (run->failed)
			give_up(shared, run->failed);
		frames_init(&run->f, NR_FRAMES, shared->words, slots, SLOTS, 1);
		set_phase(phase, RECOVERS);
		found = recover_owned(&run->f, &run->owners, &given);
		if (found)
			give_up(shared, found);
	}
}

/* The parent is @of; a process that it leaves behind goes, too. */
static void die_with(pid_t of)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != of)
		_exit(1);
}

static void start(struct killing *killing, const struct run *run,
		  void (*what)(struct shared *shared, struct run *run, uint32_t *phase))
{
	uint32_t *phase = &killing->shared->phases[killing->nr];
	struct run mine = *run;
	pid_t self = getpid(), pid;

	mine.rng = rnd(&killing->rng);
	set_phase(phase, BEGINS);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		die_with(self);
		what(killing->shared, &mine, phase);
	}
	killing->pids[killing->nr++] = pid;
}

/* Let them be for some microseconds, up to a hundred or so. */
static void wait_a_moment(struct killing *killing)
{
	uint64_t rounds = rnd_below(&killing->rng, 4000), i;

	for (i = 0; i < killing->nr; i++)
		while (phase_of(&killing->shared->phases[i]) == BEGINS && !*killing->shared->failed)
			sched_yield();
	for (i = 0; i < rounds; i++)
		frames_relax();
}

static void kill_all(struct killing *killing)
{
	bool failed = false;
	uint32_t i;
	int status;

	for (i = 0; i < killing->nr; i++)
		kill(killing->pids[i], SIGKILL);
	for (i = 0; i < killing->nr; i++) {
		assert_int_equal(waitpid(killing->pids[i], &status, 0), killing->pids[i]);
		failed |= !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
	}
	killing->kills += killing->nr;
	killing->nr = 0;
	if (failed || *killing->shared->failed)
		fail_msg("a process ended by itself; %s", killing->shared->failed);
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

/* After the kill: what is owned is there, all else is free. */
static void recover_all(struct killing *killing)
{
	struct frames_slot slots[SLOTS];
	struct run run;
	uint64_t lost, given, again;
	const char *found;

	run_open(&run, killing->shared, slots, 1, false);
	lost = count_lost(&run.f, &run.owners);
	found = recover_owned(&run.f, &run.owners, &given);
	if (!found && given != lost)
		found = fault("%" PRIu64 " frames were lost, %" PRIu64 " are given back", lost,
			      given);
	if (!found)
		found = recover_owned(&run.f, &run.owners, &again);
	if (!found && again)
		found = fault("%" PRIu64 " frames are given back again", again);
	if (!found)
		found = check_owned(&run.f, &run.owners);
	if (found)
		fail_msg("after kill %" PRIu64 ": %s", killing->kills, found);
	killing->given += given;
}

/* Fails if frames that were got, and not entered yet, stay lost. */
static void a_process_can_be_killed_anywhere(void **state)
{
	struct frames_slot slots[SLOTS];
	struct killing killing;
	struct run run;
	unsigned int i;

	killing_begin(&killing, "one");
	for (i = 0; i < 600; i++) {
		run_open(&run, killing.shared, slots, 1, i % 2);
		start(&killing, &run, work);
		wait_a_moment(&killing);
		kill_all(&killing);
		recover_all(&killing);
	}
	killing_end(&killing);
	assert_true(killing.given);
}

/* They meet, as hosts, or as CPUs that share slots. */
static void two_processes_can_be_killed_anywhere(void **state)
{
	struct frames_slot slots[SLOTS];
	struct killing killing;
	struct run run;
	unsigned int i;
	uint32_t worker;
	bool hosts;

	killing_begin(&killing, "two");
	for (i = 0; i < 250; i++) {
		hosts = i % 4 < 2;
		for (worker = 0; worker < WORKERS; worker++) {
			if (hosts || !worker)
				run_open(&run, killing.shared,
					 hosts ? slots : killing.shared->slots, worker + 1, i % 2);
			run.owners = (struct owners){killing.shared->entries + worker * NR_OWNERS,
						     NR_OWNERS};
			start(&killing, &run, work);
		}
		wait_a_moment(&killing);
		kill_all(&killing);
		recover_all(&killing);
	}
	killing_end(&killing);
	assert_true(killing.given);
}

/* Fails if a recovery needs what another has changed, half. */
static void recovery_can_be_killed_anywhere(void **state)
{
	struct frames_slot slots[SLOTS];
	struct killing killing;
	struct run run;
	unsigned int i, within = 0;

	killing_begin(&killing, "recovery");
	for (i = 0; i < 250; i++) {
		run_open(&run, killing.shared, slots, 1, i % 2);
		start(&killing, &run, recover);
		wait_a_moment(&killing);
		kill_all(&killing);
		within += phase_of(&killing.shared->phases[0]) == RECOVERS;
		recover_all(&killing);
	}
	killing_end(&killing);
	print_message("# %u of these in the middle of a recovery\n", within);
	assert_true(killing.given && within);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_can_be_killed_anywhere),
		cmocka_unit_test(two_processes_can_be_killed_anywhere),
		cmocka_unit_test(recovery_can_be_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
