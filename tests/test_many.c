// SPDX-License-Identifier: GPL-2.0
/*
 * One morsel in thousands of processes: what is done to it reaches all of them,
 * and interrupts each processor once.
 *
 * Times are printed; none of them fails a test.
 */
#include "common.h"

#include <linux/futex.h>
#include <sys/syscall.h>

/* In full, thousands. */
#define PROCESSES (400 + rounds_of(1600))
#define LENGTH GIB
#define FRAMES 64 /* of 2 MiB, from the start */

/* What the processes and we tell each other by. */
struct board {
	atomic_uint round;
	atomic_uint done;
	atomic_uint wrong;
};

static struct board *board;

/* Asleep: thousands that look every now and then would keep the processors busy. */
static void wait_for_round(unsigned int round)
{
	unsigned int now;

	while ((now = atomic_load(&board->round)) < round)
		syscall(SYS_futex, &board->round, FUTEX_WAIT, now, NULL, NULL, 0);
}

static void begin_round(unsigned int round)
{
	atomic_store(&board->done, 0);
	atomic_store(&board->round, round);
	syscall(SYS_futex, &board->round, FUTEX_WAKE, PROCESSES, NULL, NULL, 0);
}

/* The processes' steps. */
enum { ATTACH = 1, SEE_HOLE, MAKE_READ_ONLY, LEAVE };

static void step_done(bool right)
{
	if (!right)
		atomic_fetch_add(&board->wrong, 1);
	atomic_fetch_add(&board->done, 1);
}

static _Noreturn void take_part(int fd)
{
	volatile char *memory;

	wait_for_round(ATTACH);
	memory = map(fd, LENGTH, RW);
	step_done(memory[3 * HUGE] == 'x' && memory[HUGE] == 'x');
	wait_for_round(SEE_HOLE);
	step_done(memory[3 * HUGE] == 0 && memory[HUGE] == 'x');
	wait_for_round(MAKE_READ_ONLY);
	step_done(!mprotect((void *)memory, LENGTH, PROT_READ) && memory[HUGE] == 'x' &&
		  probe_write(memory + HUGE, 1) == SIGSEGV);
	wait_for_round(LEAVE);
	_exit(0);
}

/* Have all processes take a step; seconds until the last has. */
static double all_take(unsigned int step)
{
	double start = seconds_now();

	begin_round(step);
	while (atomic_load(&board->done) < PROCESSES)
		sleep_ms(2);
	assert_int_equal(board->wrong, 0);
	return seconds_now() - start;
}

static void say_each(const char *what, double seconds)
{
	print_message("# %s: %.1f us per attachment\n", what, seconds * 1e6 / PROCESSES);
}

/*
 * Fails if a process still sees a frame after it was punched or can write after
 * it made its mapping read-only; or if there is more than one flush for each
 * address space and call (punching: for all of them together; exit: the kernel's).
 */
static void thousands_of_processes_see_what_is_done(void **state)
{
	int fd = create_named("many", LENGTH, 0600);
	unsigned long spaces;
	unsigned int i;
	char *memory = map(fd, LENGTH, RW);
	pid_t *pids = calloc(PROCESSES, sizeof(*pids));
	double start, taken;

	for (i = 0; i < FRAMES; i++)
		memory[i * HUGE] = 'x';
	munmap(memory, LENGTH);
	board = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	start = seconds_now();
	for (i = 0; i < PROCESSES; i++) {
		pids[i] = spawn();
		if (!pids[i])
			take_part(fd);
		assert_done(pids[i]);
	}
	say_each("making the processes", seconds_now() - start);
	say_each("attaching and reading", all_take(ATTACH));
	assert_int_equal(info_of(fd).attachments, PROCESSES);

	trace_begin("morsel_flush");
	start = seconds_now();
	assert_done(unlink_morsel(0, "many"));
	say_each("unlinking", seconds_now() - start);
	assert_int_equal(traced("morsel_flush", "spaces", &spaces), 0);

	/* 32 frames, so that a flush for each would show, too. */
	start = seconds_now();
	assert_done(punch(fd, 2 * HUGE, 32 * HUGE));
	say_each("punching 64 MiB", seconds_now() - start);
	assert_int_equal(traced("morsel_flush", "spaces", &spaces), 1);
	assert_int_equal(spaces, PROCESSES);
	say_each("taking the fault after that", all_take(SEE_HOLE));
	assert_int_equal(traced("morsel_flush", "spaces", &spaces), 0);

	taken = all_take(MAKE_READ_ONLY);
	say_each("being made read-only, looked at", taken);
	assert_int_equal(traced("morsel_flush", "spaces", &spaces), PROCESSES);
	assert_int_equal(spaces, PROCESSES);

	start = seconds_now();
	begin_round(LEAVE);
	for (i = 0; i < PROCESSES; i++)
		assert_child_done(pids[i]);
	say_each("leaving", seconds_now() - start);
	/* The kernel does, as it frees tables. */
	assert_int_equal(traced("morsel_flush", "spaces", &spaces), 0);
	assert_int_equal(info_of(fd).attachments, 0);
	trace_end("morsel_flush");
	free(pids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(thousands_of_processes_see_what_is_done),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
