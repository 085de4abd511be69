// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays, and who waits for whom: ceilings of users and of the owners of user namespaces, and what
 * one user's morsels may hold up for others.
 */
#include "kernel.h"
#include "notify.h"

/* -errno or a descriptor. */
static int make(uint64_t length, uint32_t flags)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.flags = flags,
		.length = length,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = MORSEL_GRANULE_4K,
		.mode = 0600,
	};

	return create_with(&args) < 0 ? -errno : args.fd;
}

static int make_populated(uint64_t length)
{
	return make(length, MORSEL_CREATE_POPULATE);
}

/* Fails if who was given no ceiling has none. */
static void who_has_no_ceiling_has_half_of_the_memory(void **state)
{
	uint64_t half = (uint64_t)sysconf(_SC_PHYS_PAGES) / 2 * PAGE;
	struct morsel_limit limit = limit_of(TESTER);

	assert_int_equal(limit.flags, MORSEL_LIMIT_DEFAULT);
	assert_int_equal(limit.bytes, half);
	/* The administrator has none; root of a user namespace is not that. */
	assert_true(limit_of(0).bytes == MORSEL_UNLIMITED);
}

static void do_in_user_namespace(uid_t uid, void (*step)(void))
{
	pid_t pid = spawn_in_user_namespace(uid);

	if (!pid) {
		step();
		_exit(0);
	}
	assert_child_done(pid);
}

/* Each of ten users takes a MiB, one after the other, and keeps it until all have tried: three can. */
static void ten_users_take(void)
{
	int said[2], end[2];
	unsigned int i, made = 0;
	char made_one;

	need(!pipe(said));
	need(!pipe(end));
	for (i = 0; i < 10; i++) {
		if (!fork()) {
			close(end[1]);
			need(!setresuid(i, i, i));
			made_one = make_populated(MIB) >= 0;
			need(made_one || errno == EDQUOT);
			need(write(said[1], &made_one, 1) == 1);
			need(read(end[0], &made_one, 1) == 0);
			_exit(0);
		}
		need(read(said[0], &made_one, 1) == 1);
		made += made_one;
	}
	close(end[1]);
	while (wait(NULL) > 0)
		;
	need(made == 3);
}

/* Fails if with a user namespace come ceilings, as many as it has users. */
static void the_owner_of_a_user_namespace_pays_for_all_in_it(void **state)
{
	assert_done(limit_set(TESTER, 3 * MIB + 512 * KIB, 0));
	do_in_user_namespace(0, ten_users_take);
	assert_soon(limit_of(TESTER).used == 0);
	assert_soon(limit_of(SUBORDINATE).used == 0);
}

static void take_from_a_namespace_within(void)
{
	unsigned int i, made = 0;

	need(!unshare(CLONE_NEWUSER));
	for (i = 0; i < 10; i++)
		made += make_populated(MIB) >= 0;
	need(made == 3);
}

/* Fails if who owns the outer one of two namespaces does not pay for what is made in the inner. */
static void the_owner_pays_for_namespaces_within(void **state)
{
	assert_done(limit_set(TESTER, 3 * MIB + 512 * KIB, 0));
	do_in_user_namespace(0, take_from_a_namespace_within);
	assert_soon(limit_of(TESTER).used == 0);
}

static void take_one(void)
{
	need(make_populated(MIB) >= 0);
	/* The own ceiling, as it looks from inside. */
	need(limit_of(7).bytes == 2 * MIB && limit_of(7).used > MIB);
	need(make_populated(MIB) == -EDQUOT);
}

/* Fails if who made it pays no more, or what is gone stays charged. */
static void who_makes_it_in_a_user_namespace_pays_too(void **state)
{
	assert_done(limit_set(SUBORDINATE + 7, 2 * MIB, 0));
	do_in_user_namespace(7, take_one);
}

#define STALLS "/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress"

/* No grace period ends from here on. */
static int hold_rcu(void)
{
	int listener = open_listener();

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip_because("one processor only");
	pin_to_cpu(0);
	set_kernel(STALLS, "1");
	assert_done(ioctl(listener, NOTIFY_RCU, 1));
	return listener;
}

static void let_rcu_go(int listener)
{
	assert_done(ioctl(listener, NOTIFY_RCU, 0));
	close(listener);
}

/* In a child, as a user: a morsel with tables goes. */
static void let_one_go(uid_t uid)
{
	pid_t pid = spawn();

	if (!pid) {
		int fd;

		become(uid);
		fd = make_populated(MIB);
		need(fd >= 0);
		close(fd);
		_exit(0);
	}
	assert_child_done(pid);
}

/* A user at the ceiling: all that fails, and asks.  What lets tables of the own go is left out. */
static void fail_at_the_ceiling(void)
{
	int fd = make(4 * MIB, 0);
	char *memory;

	need(fd >= 0);
	need(populate(fd, 0, 0) && errno == EDQUOT);
	memory = map(fd, 4 * MIB, RW);
	need(probe_write(memory + 3 * MIB, 1) == SIGBUS);
	need(pwrite(fd, "", 1, 3 * MIB) == -1 && errno == EDQUOT);
	limit_of(TESTER);
}

/*
 * Tables of somebody else's morsel are on their way out, which does not come to its end.  Fails if
 * whoever is at the own ceiling waits for that.
 */
static void others_tables_are_not_waited_for(void **state)
{
	int listener, status = 0;
	pid_t pid, done;

	assert_done(limit_set(TESTER, 2 * MIB, 0));
	listener = hold_rcu();
	let_one_go(OTHER);
	pid = spawn();
	if (!pid) {
		become(TESTER);
		fail_at_the_ceiling();
		_exit(0);
	}
	/* RCU is let go in any case. */
	while (!(done = waitpid(pid, &status, WNOHANG)) && !time_is_up())
		sleep_ms(10);
	let_rcu_go(listener);
	assert_int_equal(done, pid);
	assert_int_equal(status, 0);
}

/* Asks for the own ceiling while own tables are on their way out. */
static _Noreturn void wait_for_own_tables(void)
{
	int fd;

	become(TESTER);
	fd = make_populated(MIB);
	need(fd >= 0);
	close(fd);
	limit_of(TESTER);
	_exit(1);
}

static bool sleeps(pid_t pid)
{
	return strstr(read_text("/proc/%d/stat", pid), ") D");
}

/* Fails if who waits for a grace period cannot be killed. */
static void who_waits_for_tables_can_be_killed(void **state)
{
	int listener = hold_rcu(), status = 0;
	pid_t pid, done;

	pid = spawn();
	if (!pid)
		wait_for_own_tables();
	while (!sleeps(pid) && !time_is_up())
		sleep_ms(1);
	kill(pid, SIGKILL);
	while (!(done = waitpid(pid, &status, WNOHANG)) && !time_is_up())
		sleep_ms(10);
	let_rcu_go(listener);
	assert_int_equal(done, pid);
	assert_true(WIFSIGNALED(status));
}

static atomic_int writing;

static void *write_to_it(void *memory)
{
	writing = gettid();
	/* What was to come has not come. */
	need(probe_write(memory, 1) == SIGBUS);
	return NULL;
}

/* Of a process that has not looked at it yet, a thread writes to it, and another maps something. */
static _Noreturn void write_and_map(char *memory, int said)
{
	unsigned int asleep = 0;
	pthread_t thread;
	char *other;

	need(!pthread_create(&thread, NULL, write_to_it, memory));
	/* What it waits for while it is attached is over soon. */
	while (asleep < 20) {
		sleep_ms(5);
		asleep = writing && strstr(read_text("/proc/self/task/%d/stat", writing), ") D")
				 ? asleep + 1
				 : 0;
	}
	other = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(other != MAP_FAILED);
	need(write(said, "", 1) == 1);
	need(!pthread_join(thread, NULL));
	_exit(0);
}

/*
 * The pool is full, and tables of somebody else's morsel are on their way back to it, which does not
 * come to its end.  Fails if whose access needs memory waits for that in the way of the threads
 * beside it.
 */
static void who_waits_for_memory_keeps_nobody_out(void **state)
{
	int others = make_populated(MIB), fd = make(4 * MIB, 0), listener, said[2];
	/* Asking for figures would wait, too. */
	struct morsel_pool small = {
		.size = sizeof(small), .id = pool_info().id, .limit_bytes = HUGE};
	char *memory = map(fd, 4 * MIB, RW), byte;
	bool mapped;
	pid_t pid;

	assert_done(populate(fd, 0, 3 * MIB));
	assert_done(pipe2(said, O_NONBLOCK));
	listener = hold_rcu();
	close(others);
	assert_done(ioctl(dev, MORSEL_IOC_POOL_RESIZE, &small));
	pid = spawn();
	if (!pid)
		write_and_map(memory + 3 * MIB, said[1]);
	/* RCU is let go in any case. */
	while (!(mapped = read(said[0], &byte, 1) == 1) && !time_is_up())
		sleep_ms(10);
	let_rcu_go(listener);
	assert_true(mapped);
	assert_child_done(pid);
}

/*
 * Fails if what a call tells is not true of what was closed before it: it waits for tables of
 * that, and finds room.
 */
static void own_tables_are_waited_for(void **state)
{
	pid_t pid;

	assert_done(limit_set(TESTER, MIB + 64 * KIB, 0));
	pid = spawn();
	if (!pid) {
		unsigned int i;

		become(TESTER);
		for (i = 0; i < 50; i++) {
			char *memory;
			int fd = make(MIB, 0);

			need(fd >= 0);
			if (i % 2) {
				need(!populate(fd, 0, 0));
			} else {
				memory = map(fd, HUGE, RW);
				need(!probe_write(memory + MIB - PAGE, 1));
				need(pwrite(fd, "", 1, 0) == 1);
				munmap(memory, HUGE);
				need(!populate(fd, 0, 0));
			}
			close(fd);
		}
		need(limit_of(TESTER).used == 0);
		_exit(0);
	}
	assert_child_done(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(who_has_no_ceiling_has_half_of_the_memory),
		KERNEL_TEST(the_owner_of_a_user_namespace_pays_for_all_in_it),
		KERNEL_TEST(the_owner_pays_for_namespaces_within),
		KERNEL_TEST(who_makes_it_in_a_user_namespace_pays_too),
		KERNEL_TEST(others_tables_are_not_waited_for),
		KERNEL_TEST(who_waits_for_tables_can_be_killed),
		KERNEL_TEST(own_tables_are_waited_for),
		KERNEL_TEST(who_waits_for_memory_keeps_nobody_out),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, notify_begin, notify_end);
}
