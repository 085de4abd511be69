// SPDX-License-Identifier: GPL-2.0
/*
 * A signal at any time: while a timer has one come in each 50 us, no call and no access fails
 * that does not fail for a file in tmpfs.
 *
 * Each is done in a process that has not mapped a morsel before, to a morsel and, as a control,
 * to a memfd.
 */
#include "common.h"

#include <linux/falloc.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define LENGTH (4 * MIB)

static void come_in(int signal)
{
}

/* From here on this thread has signals come in.  Without SA_RESTART: what can fail does. */
static void pester_me(void)
{
	const struct sigaction action = {.sa_handler = come_in};
	const struct itimerspec often = {{0, 50000}, {0, 50000}};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
	timer_t timer;

	event._sigev_un._tid = syscall(SYS_gettid);
	need(!sigaction(SIGRTMIN, &action, NULL));
	need(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	need(!timer_settime(timer, 0, &often, NULL));
}

/* What is done to a file of LENGTH; each is a child's, under signals. */
typedef void (*deed)(int fd);

static char *map_it(int fd)
{
	char *memory = mmap(NULL, LENGTH, RW, MAP_SHARED, fd, 0);

	need(memory != MAP_FAILED);
	return memory;
}

static void map_and_touch(int fd)
{
	char *memory = map_it(fd);

	memory[PAGE] = 'x';
	need(memory[HUGE] == 0);
	need(!munmap(memory, LENGTH));
}

/* What was mapped there before is gone by the time that the morsel is attached. */
static void map_over_something(int fd)
{
	char *place = mmap(NULL, 2 * LENGTH, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *memory = (char *)(((uintptr_t)place + HUGE - 1) & ~(HUGE - 1));

	need(place != MAP_FAILED);
	need(mmap(memory, LENGTH, RW, MAP_SHARED | MAP_FIXED, fd, 0) == memory);
	memory[0] = 'x';
}

static void map_and_populate(int fd)
{
	char *memory = mmap(NULL, LENGTH, RW, MAP_SHARED | MAP_POPULATE, fd, 0);

	need(memory != MAP_FAILED);
	memory[LENGTH - 1] = 'x';
}

static void move_and_protect(int fd)
{
	char *memory = map_it(fd), *moved = mremap(memory, LENGTH, LENGTH, MREMAP_MAYMOVE);

	need(moved != MAP_FAILED);
	need(!mprotect(moved, LENGTH, PROT_READ));
	need(moved[PAGE] == 0);
	need(!mprotect(moved, LENGTH, RW));
	moved[PAGE] = 'x';
	need(!madvise(moved, LENGTH, MADV_DONTNEED));
	need(!madvise(moved, LENGTH, MADV_POPULATE_WRITE));
	need(moved[PAGE] == 'x');
}

/* The kernel's accesses: by read() and write() of a pipe, to what nobody has touched. */
static void have_the_kernel_copy(int fd)
{
	char *memory = map_it(fd), buffer[PAGE];
	int ends[2];

	need(!pipe(ends));
	memset(buffer, 'y', sizeof(buffer));
	need(write(ends[1], buffer, PAGE) == PAGE);
	need(read(ends[0], memory + HUGE, PAGE) == PAGE);
	need(memory[HUGE + PAGE - 1] == 'y');
	need(write(ends[1], memory + PAGE, PAGE) == PAGE);
}

/* Whole, too: only what kills may cut it short. */
static void read_and_write(int fd)
{
	char *buffer = malloc(LENGTH);

	memset(buffer, 'z', LENGTH);
	need(pwrite(fd, buffer, LENGTH, 0) == LENGTH);
	memset(buffer, 0, LENGTH);
	need(pread(fd, buffer, LENGTH, 0) == LENGTH);
	need(buffer[0] == 'z' && buffer[LENGTH - 1] == 'z');
	need(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, HUGE));
	need(pread(fd, buffer, PAGE, PAGE) == PAGE);
	need(buffer[0] == 0);
}

/* In a child of the child, which inherits the mapping, and signals of its own. */
static void have_a_child_copy(int fd)
{
	char *memory = map_it(fd);
	int status;
	pid_t pid;

	memory[0] = 'x';
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		int ends[2];

		pester_me();
		need(!pipe(ends));
		need(write(ends[1], memory, PAGE) == PAGE);
		need(read(ends[0], memory + HUGE, PAGE) == PAGE);
		need(memory[HUGE] == 'x');
		_exit(0);
	}
	while (waitpid(pid, &status, 0) != pid)
		need(errno == EINTR);
	need(!status);
	need(memory[HUGE] == 'x');
}

/* A process writes into another that has only inherited the mapping. */
static void write_into_a_child(int fd)
{
	char *memory = map_it(fd), buffer[PAGE];
	struct iovec local = {buffer, PAGE}, remote = {memory + PAGE, PAGE};
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid)
		for (;;)
			pause();
	memset(buffer, 'w', PAGE);
	need(process_vm_writev(pid, &local, 1, &remote, 1, 0) == PAGE);
	need(memory[2 * PAGE - 1] == 'w');
	memset(buffer, 0, PAGE);
	need(process_vm_readv(pid, &local, 1, &remote, 1, 0) == PAGE);
	need(buffer[0] == 'w');
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) != pid)
		need(errno == EINTR);
}

static void *touch_everything(void *memory)
{
	size_t i;

	pester_me();
	for (i = 0; i < LENGTH; i += PAGE)
		((volatile char *)memory)[i]++;
	return NULL;
}

static void have_threads_touch(int fd)
{
	char *memory = map_it(fd);
	pthread_t threads[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		need(!pthread_create(&threads[i], NULL, touch_everything, memory));
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		need(!pthread_join(threads[i], NULL));
}

/* The calls of the module's own; POPULATE may be interrupted, as fallocate() of a file. */
static void have_the_module_answer(int fd)
{
	struct morsel_info info = {.size = sizeof(info)};
	struct morsel_limit limit = {.size = sizeof(limit)};
	struct morsel_create args = {.size = sizeof(args),
				     .length = LENGTH,
				     .pool = MORSEL_ANY,
				     .node = MORSEL_ANY,
				     .flags = MORSEL_CREATE_POPULATE,
				     .mode = 0600};
	struct morsel_extent extents[8];
	uint64_t cursor = 0;
	int again;

	if (ioctl(fd, MORSEL_IOC_STAT, &info))
		return; /* the memfd */
	need(create_with(&args) >= 0);
	again = open_with(args.id, "", 0);
	need(again >= 0);
	need(list_step(again, MORSEL_IOC_EXTENTS, &cursor, extents, sizeof(extents[0]), 8) > 0);
	need(!punch(again, 0, 0));
	while (populate(again, 0, 0))
		need(errno == EINTR);
	close(args.fd);
	close(again);
	need(!ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit));
}

static const struct {
	const char *name;
	deed deed;
} deeds[] = {
	{"mapping it, and touching", map_and_touch},
	{"mapping it over something", map_over_something},
	{"populating it", map_and_populate},
	{"moving and protecting", move_and_protect},
	{"the kernel's copies", have_the_kernel_copy},
	{"reading and writing", read_and_write},
	{"a child's copies", have_a_child_copy},
	{"copies into a child", write_into_a_child},
	{"threads' faults", have_threads_touch},
	{"calls", have_the_module_answer},
};

static unsigned int failures(deed deed, bool control)
{
	unsigned int failed = 0, i;
	pid_t pid;
	int fd;

	for (i = 0; i < rounds_of(200); i++) {
		fd = control ? memfd_create("control", 0) : create(LENGTH, MORSEL_GRANULE_4K);
		assert_done(fd);
		if (control)
			assert_done(ftruncate(fd, LENGTH));
		pid = spawn();
		if (!pid) {
			pester_me();
			deed(fd);
			_exit(0);
		}
		failed += wait_child(pid) != 0;
		close(fd);
	}
	return failed;
}

static void no_call_fails_for_a_signal(void **state)
{
	unsigned int i, failed, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(deeds); i++) {
		/* That it can be done so at all. */
		assert_int_equal(failures(deeds[i].deed, true), 0);
		failed = failures(deeds[i].deed, false);
		if (failed)
			print_error("# %s failed %u times\n", deeds[i].name, failed);
		wrong += failed;
	}
	assert_int_equal(wrong, 0);
}

/*
 * Fails if a stop, which no mask keeps back, is taken for a reason to fail: the process is being
 * stopped and let go all the time.
 */
static void no_call_fails_for_a_stop(void **state)
{
	unsigned int round;
	pid_t pid;
	int fd, status;

	for (round = 0; round < rounds_of(100); round++) {
		fd = create(LENGTH, MORSEL_GRANULE_4K);
		pid = spawn();
		if (!pid) {
			have_a_child_copy(fd);
			map_over_something(fd);
			have_the_kernel_copy(fd);
			_exit(0);
		}
		while (!waitpid(pid, &status, WNOHANG)) {
			kill(pid, SIGSTOP);
			kill(pid, SIGCONT);
		}
		assert_int_equal(status, 0);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_call_fails_for_a_signal),
		TEST(no_call_fails_for_a_stop),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
