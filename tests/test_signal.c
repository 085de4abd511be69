// SPDX-License-Identifier: GPL-2.0
/*
 * A signal at any time: while a timer has one come in each 50 us, no call and no access fails
 * that does not fail for a file in tmpfs.
 *
 * Each is done in a process that has not mapped a morsel before, to a morsel and, as a control,
 * to a memfd.
 */
#include "kernel.h"

#include <linux/falloc.h>
#include <linux/futex.h>
#include <sys/sendfile.h>
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

static bool is_morsel(int fd)
{
	struct morsel_info info = {.size = sizeof(info)};

	if (!ioctl(fd, MORSEL_IOC_STAT, &info))
		return true;
	need(errno == ENOTTY);
	return false;
}

static void await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		need(errno == EINTR);
	need(!status);
}

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
	char *to = free_place(LENGTH), *moved;

	moved = mremap(map_it(fd), LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	need(moved == to);
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
	await(pid);
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
		/* Beside other threads, none of which may lose what it adds. */
		__atomic_fetch_add((char *)memory + i, 1, __ATOMIC_RELAXED);
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

/* The same by the process itself, and by threads of it. */
static void have_a_child_touch(int fd)
{
	char *memory = map_it(fd);
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid) {
		pthread_t threads[2];
		unsigned int i;

		pester_me();
		memory[HUGE] = 'x';
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			need(!pthread_create(&threads[i], NULL, touch_everything, memory));
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			need(!pthread_join(threads[i], NULL));
		_exit(0);
	}
	await(pid);
	need(memory[HUGE] == 'x' + 2);
}

static void *punch_everything(void *fd)
{
	unsigned int i;

	pester_me();
	for (i = 0; i < 20; i++)
		need(!fallocate(*(int *)fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LENGTH));
	return NULL;
}

/* Faults that wait until a punch is over. */
static void touch_what_is_punched(int fd)
{
	char *memory = map_it(fd);
	pthread_t puncher, toucher;

	need(!pthread_create(&puncher, NULL, punch_everything, &fd));
	need(!pthread_create(&toucher, NULL, touch_everything, memory));
	need(!pthread_join(toucher, NULL));
	need(!pthread_join(puncher, NULL));
}

/* Parts of a mapping, and rights. */
static void change_parts(int fd)
{
	char *memory = map_it(fd);

	memory[HUGE] = 'x';
	need(!mprotect(memory, HUGE, PROT_NONE));
	need(probe_read(memory, NULL) == SIGSEGV);
	need(!mprotect(memory, HUGE, PROT_READ | PROT_EXEC));
	need(memory[0] == 0);
	need(probe_write(memory, 1) == SIGSEGV);
	need(!munmap(memory, HUGE));
	need(!madvise(memory + HUGE, HUGE, MADV_REMOVE));
	need(!madvise(memory + HUGE, HUGE, MADV_POPULATE_READ));
	need(memory[HUGE] == 0);
	need(!mlock(memory + HUGE, 8 * PAGE));
	need(!msync(memory + HUGE, HUGE, MS_SYNC));
}

/* Somebody has filled it; others see it by descriptors and mappings with fewer rights. */
static void look_at_it(int fd)
{
	char path[32], *memory, *also;
	int reader;

	need(pwrite(fd, "x", 1, HUGE) == 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	need(reader >= 0);
	memory = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, reader, 0);
	need(memory != MAP_FAILED);
	need(memory[HUGE] == 'x');
	also = mmap(memory, LENGTH, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0);
	need(also == memory);
	need(memory[HUGE] == 'x' && memory[PAGE] == 0);
	also = map_it(fd);
	also[HUGE] = 'y';
	need(memory[HUGE] == 'y');
}

/* Of a size at which it is spliced by a GiB, and by 512. */
static void map_a_large_one(int fd)
{
	const size_t length = TIB;
	int large = memfd_create("large", 0);
	char *memory;

	need(large >= 0 && !ftruncate(large, length));
	if (is_morsel(fd)) {
		close(large);
		large = create(length, MORSEL_GRANULE_4K);
	}
	memory = mmap(NULL, length, RW, MAP_SHARED, large, 0);
	need(memory != MAP_FAILED);
	memory[0] = 'x';
	memory[length / 2 + GIB] = 'y';
	need(!madvise(memory, length, MADV_DONTNEED));
	need(memory[0] == 'x' && memory[length / 2 + GIB] == 'y');
	need(!munmap(memory + GIB, GIB));
	need(!munmap(memory, length));
	close(large);
}

/* All that a file is asked for; tmpfs lets signals cut fallocate() short, too. */
static void use_as_a_file(int fd)
{
	char bytes[PAGE];
	struct iovec part = {bytes, PAGE};
	struct stat stat;
	loff_t at = 0;
	int ends[2];

	while (fallocate(fd, 0, 0, LENGTH))
		need(errno == EINTR);
	need(!pipe(ends));
	need(lseek(fd, 0, SEEK_END) == LENGTH);
	need(preadv2(fd, &part, 1, PAGE, 0) == PAGE);
	need(pwritev2(fd, &part, 1, 2 * PAGE, 0) == PAGE);
	need(splice(fd, &at, ends[1], NULL, PAGE, 0) == PAGE);
	need(read(ends[0], bytes, PAGE) == PAGE);
	at = 0;
	need(sendfile(ends[1], fd, &at, PAGE) == PAGE);
	need(!fstat(fd, &stat) && !fchmod(fd, 0640) && !fsync(fd));
}

/* What pins pages: pipes, direct I/O; and what goes by where they are: futexes. */
static void pin_it(int fd)
{
	char *memory = map_it(fd);
	struct iovec page = {memory + PAGE, PAGE};
	int ends[2], file;

	need(!pipe(ends));
	need(vmsplice(ends[1], &page, 1, 0) == PAGE);
	need(syscall(SYS_futex, memory + HUGE, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	file = open("/scratch", O_TMPFILE | O_RDWR | O_DIRECT, 0600);
	if (file < 0)
		return;
	need(pwrite(file, memory + 2 * PAGE, PAGE, 0) == PAGE);
	need(pread(file, memory + HUGE + PAGE, PAGE, 0) == PAGE);
}

/* A debugger's reads and writes; the child has only inherited it. */
static void debug_a_child(int fd)
{
	char *memory = map_it(fd), path[32], byte = 'd';
	pid_t pid = fork();
	int mem;

	need(pid >= 0);
	if (!pid)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR);
	need(mem >= 0);
	need(pwrite(mem, &byte, 1, (uintptr_t)memory + PAGE) == 1);
	byte = 0;
	need(pread(mem, &byte, 1, (uintptr_t)memory + PAGE) == 1);
	need(byte == 'd' && memory[PAGE] == 'd');
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) != pid)
		need(errno == EINTR);
}

/* The calls of the module's own; POPULATE may be interrupted, as fallocate() of a file. */
static void have_the_module_answer(int fd)
{
	struct morsel_create args = {.size = sizeof(args),
				     .length = LENGTH,
				     .pool = MORSEL_ANY,
				     .node = MORSEL_ANY,
				     .flags = MORSEL_CREATE_POPULATE,
				     .mode = 0600};
	struct morsel_pool_info pools[4];
	struct morsel_extent extents[8];
	uint64_t cursor = 0;
	int again;

	if (!is_morsel(fd))
		return;
	snprintf(args.name, sizeof(args.name), "signals-%d", getpid());
	need(create_with(&args) >= 0);
	again = open_with(0, args.name, 0);
	need(again >= 0);
	need(id_of(again) == args.id);
	need(!unlink_morsel(args.id, ""));
	need(list_step(again, MORSEL_IOC_EXTENTS, &cursor, extents, sizeof(extents[0]), 8) > 0);
	need(!punch(again, 0, 0));
	while (populate(again, 0, 0))
		need(errno == EINTR);
	close(args.fd);
	close(again);
	need(count_morsels() > 0);
	need(query().nr_pools > 0);
	cursor = 0;
	need(list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, pools, sizeof(pools[0]), 4) > 0);
	need(!ioctl(dev, MORSEL_IOC_POOL_STAT, &pools[0]));
	need(!resize_pool(pools[0].limit_bytes));
	need(!limit_set(OTHER, GIB, 0));
	need(limit_of(OTHER).bytes == GIB);
	need(!limit_set(OTHER, 0, MORSEL_LIMIT_DEFAULT));
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
	{"a child's faults", have_a_child_touch},
	{"faults amid punches", touch_what_is_punched},
	{"parts and rights", change_parts},
	{"others' looks", look_at_it},
	{"a large one", map_a_large_one},
	{"what files are for", use_as_a_file},
	{"pins and futexes", pin_it},
	{"debugging", debug_a_child},
	{"calls", have_the_module_answer},
};

static unsigned int failures(deed deed, bool control)
{
	unsigned int failed = 0, i;
	pid_t pid;
	int fd;

	for (i = 0; i < rounds_of(200); i++) {
		fd = control ? memfd_create("control", 0)
			     : create(LENGTH, i % 2 ? MORSEL_GRANULE_2M : MORSEL_GRANULE_4K);
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

#define EXTENTS (GIB / PAGE / 8)

/* What a process that lists extents leaves. */
struct listing {
	struct morsel_extent *extents;
	atomic_bool returned;
};

static void kill_me_in(long ns)
{
	const struct itimerspec once = {.it_value = {0, ns}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	timer_t timer;

	need(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	need(!timer_settime(timer, 0, &once, NULL));
}

/* The list was begun, and not finished, when the process was gone. */
static bool is_cut_short(int fd, long ns, struct listing *listing)
{
	uint64_t cursor = 0;
	pid_t pid;

	memset(listing->extents, 0, EXTENTS * sizeof(*listing->extents));
	listing->returned = false;
	pid = spawn();
	if (!pid) {
		kill_me_in(ns);
		list_step(fd, MORSEL_IOC_EXTENTS, &cursor, listing->extents,
			  sizeof(*listing->extents), EXTENTS);
		listing->returned = true;
		for (;;)
			pause();
	}
	assert_child_killed(pid, SIGKILL);
	return listing->extents[0].length && !listing->extents[EXTENTS - 1].length;
}

/*
 * Fails if a list that is long is gone through to its end though nobody is left who asked: where
 * the call is neither over nor begun when the process is to be killed, it ends there.
 */
static void who_is_killed_lists_no_more(void **state)
{
	int fd = create(GIB, MORSEL_GRANULE_4K);
	struct listing *listing;
	long ns = 1000000;
	size_t at;

	assert_done(populate(fd, 0, GIB / 4));
	for (at = PAGE; at < GIB / 4; at += 2 * PAGE)
		assert_done(punch(fd, at, PAGE));
	listing = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(listing, MAP_FAILED);
	listing->extents = mmap(NULL, EXTENTS * sizeof(*listing->extents), RW,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(listing->extents, MAP_FAILED);
	while (!is_cut_short(fd, ns, listing)) {
		if (time_is_up())
			fail_msg("the list is always finished");
		/* Too late, or before it began. */
		ns = listing->returned ? ns / 2 + 1 : ns + ns / 4 + 1;
	}
	print_message("# killed after %ld us\n", ns / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_call_fails_for_a_signal),
		TEST(no_call_fails_for_a_stop),
		TEST(who_is_killed_lists_no_more),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
