// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that run out of memory, with a morsel mapped: the reaper goes over
 * what they have while they still run, the OOM killer ends them in the midst of a
 * fault, and a memory cgroup is charged for what an attachment takes.
 */
#include "kernel.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

/* The reaper. */

#define ROUNDS rounds_of(10000)
#define REAPERS 4
/* At once, as an end takes its time; most of that, waiting for RCU. */
#define VICTIMS 20

static int only_read;
static pid_t victims[VICTIMS];
static int released[VICTIMS];
/* How often the reaper went over each. */
static atomic_uint releases[VICTIMS];
static bool enough;
static pthread_barrier_t reaping, reaped;

static _Noreturn void be_reaped(int ready)
{
	char *reader = map(only_read, GIB, PROT_READ);
	char *part = map_at(NULL, only_read, 4 * MIB, PROT_READ, 2 * MIB);
	char *writer = map(both[1].fd, both[1].length, RW);
	unsigned int i;

	for (i = 0; i < 16; i++)
		need(reader[i * PAGE] == both[0].memory[i * PAGE]);
	need(part[0] == both[0].memory[2 * MIB]);
	atomic_fetch_add((_Atomic uint64_t *)writer, 0);
	need(write(ready, "", 1) == 1);
	for (;;)
		pause();
}

static void begin_victims(const int ready[2])
{
	unsigned int i;
	char byte;

	for (i = 0; i < VICTIMS; i++) {
		victims[i] = spawn();
		if (!victims[i]) {
			pin_to_cpu(i);
			be_reaped(ready[1]);
		}
		/* Killed, it stops before it ends. */
		need(!ptrace(PTRACE_SEIZE, victims[i], NULL, PTRACE_O_TRACEEXIT));
		released[i] = syscall(SYS_pidfd_open, victims[i], 0);
		need(released[i] >= 0);
		releases[i] = 0;
	}
	for (i = 0; i < VICTIMS; i++)
		need(read(ready[0], &byte, 1) == 1);
}

/* Once it has been reaped, it ends while others are at it still. */
static void end_victim(unsigned int i)
{
	unsigned int tries = 0;
	int status;

	need(waitpid(victims[i], &status, __WALL) == victims[i]);
	need(WIFSTOPPED(status) && status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8));
	while (!releases[i])
		relax(&tries);
	need(!ptrace(PTRACE_CONT, victims[i], NULL, 0));
	need(waitpid(victims[i], &status, __WALL) == victims[i]);
	need(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void lead_reaping(void)
{
	unsigned int round, i;
	int ready[2];

	need(!pipe(ready));
	for (round = 0; round < ROUNDS; round += VICTIMS) {
		begin_victims(ready);
		pthread_barrier_wait(&reaping);
		for (i = 0; i < VICTIMS; i++)
			end_victim(i);
		pthread_barrier_wait(&reaped);
		for (i = 0; i < VICTIMS; i++)
			close(released[i]);
	}
	enough = true;
	pthread_barrier_wait(&reaping);
}

static void reap(unsigned int i, bool kills)
{
	long err;

	/* When the others are at it already. */
	if (kills)
		need(!kill(victims[i], SIGKILL));
	do {
		err = syscall(SYS_process_mrelease, released[i], 0);
		/* Not killed yet; locked; ended. */
		need(!err || errno == EINVAL || errno == EAGAIN || errno == ESRCH);
	} while (err && errno != ESRCH);
	releases[i] += !err;
}

static void reap_all(bool kills)
{
	unsigned int i;

	for (;;) {
		pthread_barrier_wait(&reaping);
		if (enough)
			return;
		for (i = 0; i < VICTIMS; i++)
			reap(i, kills);
		pthread_barrier_wait(&reaped);
	}
}

static void *lead_or_reap(void *arg)
{
	unsigned int number = *(unsigned int *)arg;

	if (number == REAPERS)
		lead_reaping();
	else
		reap_all(number == REAPERS - 1);
	return NULL;
}

static void race_reaping(void)
{
	unsigned int numbers[REAPERS + 1], i;

	for (i = 0; i <= REAPERS; i++)
		numbers[i] = i;
	need(!pthread_barrier_init(&reaping, NULL, REAPERS + 1));
	need(!pthread_barrier_init(&reaped, NULL, REAPERS + 1));
	run_threads(REAPERS + 1, lead_or_reap, numbers, sizeof(numbers[0]));
}

/*
 * The mapping of a read-only descriptor is not VM_SHARED, so the reaper unmaps
 * it while the process still is.  If it took frames or tables for the process's
 * own, they would be freed under everybody.
 */
static void a_reaped_process_takes_nothing_along(void **state)
{
	keep_both();
	close(both[0].fd);
	munmap(both[0].memory, both[0].length);
	both[0].fd = create_named("reaped", GIB, 0600);
	both[0].length = 8 * MIB;
	both[0].memory = map(both[0].fd, GIB, RW);
	fill_pattern(both[0].memory, both[0].length, both[0].seed);
	free(both[0].extents);
	both[0].extents = extents_of(both[0].fd, &both[0].count);
	only_read = open_with(0, "reaped", MORSEL_OPEN_READ_ONLY);
	assert_true(only_read >= 0);
	assert_race(race_reaping);
	assert_int_equal(info_of(both[0].fd).attachments, 1);
	assert_both_kept();
}

/* Memory cgroups. */

/*
 * The OOM killer's own messages look like a report: they are kept off the console,
 * and the test looks for the others.
 */
static int hide_log(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_true(log >= 0);
	assert_int_equal(lseek(log, 0, SEEK_END), 0);
	set_kernel("/proc/sys/kernel/printk", "4");
	return log;
}

static void assert_log_is_clean(int log)
{
	static const char *const reports[] = {
		"WARNING:",	     "BUG:",	"BUG ",	       "Bad page",	     "Bad rss",
		"non-zero pgtables", "Oops",	"refcount_t:", "general protection", "bad pmd",
		"bad pud",	     "bad pte", "stall",       "blocked for more"};
	char line[8192];
	ssize_t length;
	unsigned int i;

	while ((length = read(log, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[length > 0 ? length : 0] = 0;
		for (i = 0; i < ARRAY_SIZE(reports); i++)
			if (strstr(line, reports[i]))
				fail_msg("the kernel says: %s", line);
		errno = 0;
	}
	close(log);
}

/* Where the OOM killer's victim faults. */
static char *sparse;

static void *fault_somewhere(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (;;)
		sparse[random_next(&seed) % 1024 * GIB] = 1;
	return NULL;
}

static void *eat_memory(void *arg)
{
	for (;;) {
		char *more = mmap(NULL, MIB, RW, ANONYMOUS | MAP_POPULATE, -1, 0);

		need(more != MAP_FAILED);
		more[0] = 1;
	}
	return NULL;
}

static void *fault_or_eat(void *arg)
{
	return *(char *)arg ? eat_memory(arg) : fault_somewhere(arg);
}

/*
 * The OOM killer ends a process in the midst of its faults, and the reaper goes
 * over it.  What it had of the morsels must be given back, and nothing else.
 */
static void the_oom_killer_leaves_nothing_behind(void **state)
{
	unsigned int killed = 0;
	int log;

	make_cgroup();
	log = hide_log();
	assert_true(write_text(CGROUP "/memory.max", "16M"));
	write_text(CGROUP "/memory.swap.max", "0");
	keep_both();
	while (killed < rounds_of(40)) {
		uint64_t used = pool_info().used_bytes;
		unsigned long kills = cgroup_event("oom_kill ");
		int fd, status, only_read;
		pid_t pid;

		fd = create_named("oom", TIB, 0600);
		only_read = open_with(0, "oom", MORSEL_OPEN_READ_ONLY);
		assert_true(only_read >= 0);
		pid = spawn();
		if (!pid) {
			char eats[8] = {1};
			char *reader;

			join_cgroup();
			reader = map_at(free_place(TIB), only_read, TIB, PROT_READ, 0);
			need(!reader[0] && !reader[GIB]);
			sparse = map_at(free_place(TIB), fd, TIB, RW, 0);
			run_threads(ARRAY_SIZE(eats), fault_or_eat, eats, 1);
			_exit(0);
		}
		status = wait_child(pid);
		if (status != 128 + SIGKILL && status != 128 + SIGBUS)
			fail_msg("the process ended with %d", status);
		/* Or the fault got no memory, while there was nothing to be had by killing. */
		if (status == 128 + SIGKILL) {
			assert_soon(cgroup_event("oom_kill ") > kills);
			killed++;
		}
		assert_int_equal(info_of(fd).attachments, 0);
		assert_done(unlink_morsel(0, "oom"));
		close(only_read);
		close(fd);
		assert_soon(pool_info().used_bytes == used);
	}
	assert_both_kept();
	assert_log_is_clean(log);
}

/*
 * What an attachment takes is charged to who faults: with a GiB here and a GiB
 * there, it meets the limit long before the end.  If it were not, all would be
 * touched.
 */
static void a_cgroup_bounds_what_attachments_take(void **state)
{
	unsigned int *touched = shared_page();
	uint64_t used = pool_info().used_bytes;
	int status, fd, log, go[2], ready[2];
	char text[32], byte;
	pid_t pid;

	make_cgroup();
	log = hide_log();
	keep_both();
	used = pool_info().used_bytes;
	fd = create(4 * TIB, MORSEL_GRANULE_4K);
	assert_done(pipe(go));
	assert_done(pipe(ready));
	write_text(CGROUP "/memory.swap.max", "0");
	pid = spawn();
	if (!pid) {
		char *memory;

		join_cgroup();
		memory = map_at(free_place(4 * TIB), fd, 4 * TIB, RW, 0);
		memory[0] = 1;
		need(write(ready[1], "", 1) == 1 && read(go[0], &byte, 1) == 1);
		while (*touched < 4096 && !probe_write(memory + *touched * GIB, 1))
			++*touched;
		_exit(*touched < 4096 ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	snprintf(text, sizeof(text), "%lu", number_in(CGROUP "/memory.current") + 256 * KIB);
	assert_true(write_text(CGROUP "/memory.max", text));
	assert_int_equal(write(go[1], "", 1), 1);
	status = wait_child(pid);
	print_message("# %u GiBs touched, then %d\n", *touched, status);
	if (status && status != 128 + SIGKILL)
		fail_msg("the process ended with %d", status);
	assert_in_range(*touched, 1, 4095);
	assert_true(cgroup_event("max ") || cgroup_event("oom "));
	assert_int_equal(info_of(fd).attachments, 0);
	close(fd);
	assert_soon(pool_info().used_bytes == used);
	assert_both_kept();
	assert_log_is_clean(log);
	munmap(touched, PAGE);
}

/*
 * Frames are the pool's.  Fails if they were charged to who touches them: the
 * process has more of them than its cgroup may have memory.
 */
static void frames_are_charged_to_nobody(void **state)
{
	int fd = create(128 * MIB, MORSEL_GRANULE_AUTO);
	pid_t pid;

	make_cgroup();
	assert_true(write_text(CGROUP "/memory.max", "33554432"));
	pid = spawn();
	if (!pid) {
		char *memory;
		size_t at;

		join_cgroup();
		memory = map(fd, 128 * MIB, RW);
		for (at = 0; at < 128 * MIB; at += PAGE)
			need(!probe_write(memory + at, 1));
		need(number_in(CGROUP "/memory.current") < 32 * MIB);
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(info_of(fd).frame_bytes, 128 * MIB);
	assert_int_equal(cgroup_event("oom_kill "), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(a_reaped_process_takes_nothing_along),
		KERNEL_TEST(the_oom_killer_leaves_nothing_behind),
		KERNEL_TEST(a_cgroup_bounds_what_attachments_take),
		KERNEL_TEST(frames_are_charged_to_nobody),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
