// SPDX-License-Identifier: GPL-2.0
/*
 * Exclusive views: many readers or one writer per page, by fault and by call.
 */
#include "kernel.h"

#include <sys/resource.h>
#include <sys/uio.h>

#define LENGTH (8 * MIB)

static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

/* Without frames, or with all of them. */
static int viewed(uint32_t granule, bool full)
{
	struct morsel_create args = populated(LENGTH, granule);
	int fd;

	args.flags = MORSEL_CREATE_VIEWS | (full ? MORSEL_CREATE_POPULATE : 0);
	fd = create_with(&args);
	assert_done(fd);
	return fd;
}

static int try_view(int fd, uint32_t *number)
{
	struct morsel_view args = {.size = sizeof(args)};

	if (ioctl(fd, MORSEL_IOC_VIEW, &args))
		return -1;
	if (number)
		*number = args.number;
	return args.fd;
}

static int view_of(int fd)
{
	int view = try_view(fd, NULL);

	assert_done(view);
	return view;
}

#define FOREVER MORSEL_NO_TIMEOUT
#define MS 1000000ULL

static int acquire(int view, uint32_t flags, uint64_t offset, uint64_t length, uint64_t timeout)
{
	struct morsel_acquire args = {
		.size = sizeof(args),
		.flags = flags,
		.offset = offset,
		.length = length,
		.timeout = timeout,
	};

	return ioctl(view, MORSEL_IOC_ACQUIRE, &args);
}

#define WRITE MORSEL_ACQUIRE_WRITE

static int release(int view, uint32_t flags, uint64_t offset, uint64_t length)
{
	struct morsel_range args = {
		.size = sizeof(args),
		.flags = flags,
		.offset = offset,
		.length = length,
	};

	return ioctl(view, MORSEL_IOC_RELEASE, &args);
}

static int restrict_it(int fd, uint32_t flags, uint32_t number)
{
	struct morsel_restrict args = {.size = sizeof(args), .flags = flags, .number = number};

	return ioctl(fd, MORSEL_IOC_RESTRICT, &args);
}

/* Also such as were waited with. */
static long all_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* How many faults it takes to read, or write, a byte. */
static long reading(const volatile char *at, char want)
{
	long before = all_faults();
	char was = *at;

	before = all_faults() - before;
	must(was == want, "%d was read, and not %d", was, want);
	return before;
}

static long writing(volatile char *at, char value)
{
	long before = all_faults();

	*at = value;
	return all_faults() - before;
}

/* What one writes, the other reads, and none has what the other writes. */
static void pages_go_to_and_fro(void **state)
{
	unsigned int i, round;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = viewed(granules[i], true), one = view_of(fd), other = view_of(fd);
		char *here = map(one, LENGTH, RW), *there = map(other, LENGTH, RW);

		for (round = 1; round < 20; round++) {
			assert_true(writing(here + 5 * PAGE, round) > 0);
			assert_int_equal(writing(here + 5 * PAGE, round), 0);
			assert_true(reading(there + 5 * PAGE, round) > 0);
			assert_int_equal(reading(there + 5 * PAGE, round), 0);
			/* It may be read still, but is not had alone any more. */
			reading(here + 5 * PAGE, round);
			assert_int_equal(reading(here + 5 * PAGE, round), 0);
			assert_true(writing(there + 5 * PAGE, -round) > 0);
			assert_true(reading(here + 5 * PAGE, -round) > 0);
		}
		munmap(here, LENGTH);
		munmap(there, LENGTH);
		close(one);
		close(other);
		close(fd);
		assert_soon(!pool_info().used_bytes);
	}
}

/* Any number reads; who writes takes it from all. */
static void all_may_read(void **state)
{
	char *memory[5];
	int fd = viewed(MORSEL_GRANULE_4K, true), views[5];
	unsigned int i, j;

	for (i = 0; i < 5; i++) {
		views[i] = view_of(fd);
		memory[i] = map(views[i], LENGTH, RW);
	}
	for (j = 0; j < 5; j++) {
		writing(memory[j] + PAGE, j + 1);
		/* As the first reads, who writes may lose what leads to it. */
		for (i = 0; i < 10; i++)
			reading(memory[i % 5] + PAGE, j + 1);
		for (i = 0; i < 5; i++)
			assert_int_equal(reading(memory[i] + PAGE, j + 1), 0);
		assert_true(writing(memory[j] + PAGE, 100) > 0);
		for (i = 0; i < 5; i++)
			assert_true(reading(memory[i] + PAGE, 100) > 0 || i == j);
	}
	for (i = 0; i < 5; i++)
		close(views[i]);
	close(fd);
}

/* What nobody else has is taken 2 MiB at a time; what others have, page by page. */
static void others_keep_the_rest(void **state)
{
	unsigned int i, page;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = viewed(granules[i], true), one = view_of(fd), other = view_of(fd);
		char *here = map(one, LENGTH, RW), *there = map(other, LENGTH, RW);

		assert_true(writing(here, 1) > 0);
		for (page = 0; page < 512; page++)
			assert_int_equal(writing(here + page * PAGE, page), 0);
		assert_true(writing(there + 7 * PAGE, 99) > 0);
		assert_int_equal(writing(there + 7 * PAGE, 99), 0);
		/* The rest is here yet, once it is mapped again. */
		for (page = 0; page < 512; page++)
			if (page != 7)
				reading(here + page * PAGE, page);
		writing(there + 7 * PAGE, 97);
		assert_int_equal(writing(there + 7 * PAGE, 98), 0);
		for (page = 0; page < 512; page++)
			if (page != 7)
				assert_int_equal(writing(here + page * PAGE, page), 0);
		assert_true(reading(here + 7 * PAGE, 98) > 0);
		munmap(here, LENGTH);
		munmap(there, LENGTH);
		close(one);
		close(other);
		close(fd);
	}
}

/*
 * Who has 2 MiB as a whole, and has nothing of it mapped any more once another takes a page, is not waited for: faults that
 * wait are major ones.
 */
static void nobody_waits_for_what_is_had_as_a_whole(void **state)
{
	unsigned int i, page;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = viewed(granules[i], true), one = view_of(fd), other = view_of(fd);
		char *here = map(one, LENGTH, RW), *there = map(other, LENGTH, RW);
		struct rusage before, after;

		writing(here, 1);
		getrusage(RUSAGE_SELF, &before);
		for (page = 0; page < 512; page++)
			assert_true(writing(there + page * PAGE, page) > 0);
		getrusage(RUSAGE_SELF, &after);
		assert_int_equal(after.ru_majflt, before.ru_majflt);
		munmap(here, LENGTH);
		munmap(there, LENGTH);
		close(one);
		close(other);
		close(fd);
	}
}

/* Where there was nothing, there is, for all. */
static void holes_are_filled_for_all(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = viewed(granules[i], false), one = view_of(fd), other = view_of(fd);
		char *here = map(one, LENGTH, RW), *there = map(other, LENGTH, RW);

		reading(here, 0);
		writing(there, 1);
		reading(here, 1);
		writing(here + 3 * MIB, 2);
		reading(there + 3 * MIB, 2);
		assert_done(punch(fd, 2 * MIB, 2 * MIB));
		reading(here + 3 * MIB, 0);
		reading(there + 3 * MIB, 0);
		assert_done(ftruncate(fd, 2 * MIB));
		assert_int_equal(probe_read(here + 3 * MIB, NULL), SIGBUS);
		assert_int_equal(probe_write(there + 3 * MIB, 1), SIGBUS);
		reading(there, 1);
		assert_done(ftruncate(fd, LENGTH));
		reading(there + 3 * MIB, 0);
		munmap(here, LENGTH);
		munmap(there, LENGTH);
		close(one);
		close(other);
		close(fd);
		assert_soon(!pool_info().used_bytes);
	}
}

/* What is acquired takes no faults, and nobody takes it. */
static void what_is_held_stays(void **state)
{
	unsigned int i;
	uint64_t at;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = viewed(granules[i], true), one = view_of(fd), other = view_of(fd);
		char *here = map(one, LENGTH, RW), *there = map(other, LENGTH, RW);

		for (at = 0; at < LENGTH; at += PAGE)
			writing(there + at, 1);
		assert_done(acquire(one, WRITE, 0, LENGTH, 0));
		/* Entries above may have to come back, one for each. */
		for (at = 0; at < LENGTH; at += HUGE)
			reading(here + at, 1);
		for (at = 0; at < LENGTH; at += PAGE)
			assert_int_equal(writing(here + at, 2), 0);
		assert_errno(acquire(other, 0, 5 * PAGE, PAGE, 0), EBUSY);
		assert_errno(acquire(other, WRITE, 0, LENGTH, 0), EBUSY);
		assert_errno(acquire(other, WRITE, 5 * PAGE, PAGE, 10 * MS), ETIMEDOUT);
		assert_done(release(one, 0, 0, LENGTH));
		/* For reading, both may; but then nobody writes. */
		assert_done(acquire(one, 0, 0, LENGTH, 0));
		assert_done(acquire(other, 0, PAGE, 4 * MIB, 0));
		assert_int_equal(here[PAGE], 2);
		assert_int_equal(there[PAGE], 2);
		assert_done(release(one, 0, 0, LENGTH));
		assert_errno(acquire(one, WRITE, PAGE, PAGE, 0), EBUSY);
		assert_done(acquire(one, WRITE, 6 * MIB, PAGE, 0));
		assert_done(release(other, 0, 0, LENGTH));
		assert_done(acquire(one, WRITE, PAGE, PAGE, 0));
		writing(here + PAGE, 3);
		assert_done(release(one, MORSEL_RELEASE_GIVE_UP, 0, LENGTH));
		reading(there + PAGE, 3);
		munmap(here, LENGTH);
		munmap(there, LENGTH);
		close(one);
		close(other);
		close(fd);
	}
}

static void odd_ranges_are_held(void **state)
{
	static const struct {
		uint64_t offset, length;
	} ranges[] = {
		{0, PAGE},	   {0, HUGE},		{PAGE, HUGE},	 {HUGE - PAGE, 2 * PAGE},
		{PAGE, 5 * MIB},   {3 * PAGE, 4 * PAGE}, {HUGE, 4 * MIB}, {0, LENGTH},
		{5 * MIB, 3 * MIB}};
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other = view_of(fd);
	char *here = map(one, LENGTH, RW), *there = map(other, LENGTH, RW);
	unsigned int i, j, round;
	uint64_t at;

	for (round = 0; round < 3; round++)
		for (i = 0; i < ARRAY_SIZE(ranges); i++) {
			uint64_t first = ranges[i].offset, end = first + ranges[i].length;

			/* Parts of it had by others, in some way. */
			for (j = 0; j < round * 3; j++)
				writing(there + (first + j * 37 * PAGE) % LENGTH, j);
			assert_done(acquire(one, WRITE, first, end - first, FOREVER));
			for (at = first; at < end; at += PAGE)
				here[at] = 1;
			if (first)
				writing(there + first - PAGE, 2);
			if (end < LENGTH)
				writing(there + end, 2);
			assert_errno(acquire(other, 0, first, PAGE, 0), EBUSY);
			assert_errno(acquire(other, 0, end - PAGE, PAGE, 0), EBUSY);
			assert_errno(acquire(one, 0, end - PAGE, PAGE, 0), EDEADLK);
			assert_errno(release(one, 0, first + PAGE, LENGTH), EINVAL);
			assert_done(release(one, round % 2 ? MORSEL_RELEASE_GIVE_UP : 0, first,
					    end - first));
			for (at = first; at < end; at += PAGE)
				reading(there + at, 1);
		}
	close(one);
	close(other);
	close(fd);
}

/* Of what another holds as a whole. */
static void parts_are_held_by_themselves(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other = view_of(fd);
	unsigned int i;

	assert_done(acquire(one, 0, 0, LENGTH, 0));
	assert_done(acquire(other, 0, PAGE, PAGE, 0));
	assert_errno(acquire(other, WRITE, 5 * PAGE, PAGE, 0), EBUSY);
	assert_done(release(one, 0, 0, LENGTH));
	assert_done(acquire(other, WRITE, 5 * PAGE, PAGE, 0));
	assert_done(acquire(one, WRITE, 9 * PAGE, PAGE, 0));
	assert_errno(acquire(one, WRITE, PAGE, PAGE, 0), EBUSY);
	assert_errno(acquire(one, 0, 5 * PAGE, PAGE, 0), EBUSY);
	assert_done(release(other, 0, 0, LENGTH));
	for (i = 1; i < 9; i++)
		assert_done(acquire(one, WRITE, i * PAGE, PAGE, 0));
	assert_done(release(one, 0, 0, LENGTH));
	assert_done(acquire(other, WRITE, 0, LENGTH, 0));
	close(one);
	close(other);
	close(fd);
}

static void mistakes_are_told(void **state)
{
	int fd = viewed(MORSEL_GRANULE_AUTO, true), plain = create(LENGTH, MORSEL_GRANULE_4K), view,
	    other, reader;
	struct morsel_range range = {.size = sizeof(range), .length = PAGE};
	struct morsel_create args = populated(LENGTH, MORSEL_GRANULE_4K);
	char *memory, byte = 0;
	struct iovec vector = {&byte, 1};
	uint32_t number = 0;

	assert_errno(try_view(plain, NULL), EOPNOTSUPP);
	assert_errno(try_view(dev, NULL), ENOTTY);
	view = try_view(fd, &number);
	assert_done(view);
	assert_int_equal(number, 1);
	other = view_of(fd);
	assert_errno(try_view(view, NULL), ENOTTY);
	/* The morsel itself is not for that. */
	assert_ptr_equal(mmap(NULL, LENGTH, RW, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, ENODEV);
	assert_errno(pread(fd, &byte, 1, 0), EINVAL);
	assert_errno(pwrite(fd, &byte, 1, 0), EINVAL);
	assert_errno(read(view, &byte, 1), EINVAL);
	assert_errno(readv(view, &vector, 1), EINVAL);
	assert_errno(writev(view, &vector, 1), EINVAL);
	assert_errno(preadv(view, &vector, 1, 0), ESPIPE);
	assert_errno(pwrite(view, &byte, 1, 0), ESPIPE);
	assert_errno(lseek(view, 0, SEEK_SET), ESPIPE);
	assert_errno(ftruncate(view, PAGE), EINVAL);
	assert_errno(ioctl(fd, MORSEL_IOC_RESERVE, &range), EOPNOTSUPP);
	args.flags |= MORSEL_CREATE_VIEWS | MORSEL_CREATE_RESERVE;
	assert_errno(create_with(&args), EINVAL);
	assert_errno(clone_with(fd, 0, ""), EOPNOTSUPP);
	assert_errno(give(fd), EOPNOTSUPP);
	/* Whole spans, shared, and in their place. */
	assert_ptr_equal(mmap(NULL, HUGE, RW, MAP_PRIVATE, view, 0), MAP_FAILED);
	assert_int_equal(errno, ENODEV);
	assert_ptr_equal(mmap(NULL, PAGE, RW, MAP_SHARED, view, 0), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(mmap(NULL, HUGE, RW, MAP_SHARED, view, PAGE), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	memory = map(view, LENGTH, RW);
	writing(memory, 7);
	assert_errno(munmap(memory, PAGE), EINVAL);
	assert_errno(mprotect(memory + PAGE, PAGE, PROT_READ), EINVAL);
	assert_ptr_equal(mremap(memory, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED,
				free_place(LENGTH)),
			 MAP_FAILED);
	reading(memory, 7);
	assert_done(munmap(memory + 2 * MIB, 2 * MIB));
	reading(memory, 7);
	writing(memory + 4 * MIB, 8);
	/* Ranges */
	assert_errno(acquire(view, 2, 0, PAGE, 0), EINVAL);
	assert_errno(acquire(view, 0, 1, PAGE, 0), EINVAL);
	assert_errno(acquire(view, 0, 0, 0, 0), EINVAL);
	assert_errno(acquire(view, 0, 0, PAGE + 1, 0), EINVAL);
	assert_errno(acquire(view, 0, -PAGE, 2 * PAGE, 0), EINVAL);
	assert_errno(acquire(view, 0, 0, LENGTH + PAGE, 0), ERANGE);
	assert_errno(acquire(fd, 0, 0, PAGE, 0), ENOTTY);
	assert_errno(release(view, 0, 0, PAGE), EINVAL);
	assert_errno(release(view, 2, 0, PAGE), EINVAL);
	assert_errno(restrict_it(fd, 0, 1), EINVAL);
	assert_errno(restrict_it(fd, MORSEL_RESTRICT_FREEZE | MORSEL_RESTRICT_REVOKE, 1), EINVAL);
	assert_errno(restrict_it(fd, MORSEL_RESTRICT_FREEZE, 0), ENOENT);
	assert_errno(restrict_it(fd, MORSEL_RESTRICT_FREEZE, 3), ENOENT);
	assert_errno(restrict_it(plain, MORSEL_RESTRICT_FREEZE, 1), EOPNOTSUPP);
	/* Who only reads the morsel makes views that only read. */
	reader = reopen_read_only(fd);
	close(other);
	other = view_of(reader);
	assert_errno(acquire(other, WRITE, 0, PAGE, 0), EBADF);
	assert_errno(restrict_it(other, MORSEL_RESTRICT_FREEZE, 0), EBADF);
	assert_ptr_equal(mmap(NULL, HUGE, RW, MAP_SHARED, other, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	reading(map(other, LENGTH, PROT_READ), 7);
	close(reader);
	close(other);
	close(view);
	close(plain);
	close(fd);
}

/* Shared with children: what they say. */
static atomic_uint *said;

static void wait_until_said(unsigned int number)
{
	while (atomic_load(said) < number)
		sched_yield();
}

/* It waits in the kernel, whatever for. */
static void wait_until_asleep(pid_t pid)
{
	while (!strstr(read_text("/proc/%d/stat", pid), ") D") &&
	       !strstr(read_text("/proc/%d/stat", pid), ") S"))
		sched_yield();
}

/* A child that has the view mapped, says so, and then writes to its first page. */
static pid_t spawn_writer(int view, char value)
{
	pid_t pid;
	char *memory;

	atomic_store(said, 0);
	pid = spawn();
	if (pid)
		return pid;
	memory = map(view, LENGTH, RW);
	atomic_store(said, 1);
	memory[0] = value;
	_exit(0);
}

static void who_faults_waits_for_who_holds(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other = view_of(fd);
	char *memory = map(one, LENGTH, RW);
	pid_t pid;

	said = shared_page();
	writing(memory, 1);
	assert_done(acquire(one, WRITE, 0, PAGE, 0));
	pid = spawn_writer(other, 2);
	wait_until_said(1);
	wait_until_asleep(pid);
	reading(memory, 1);
	writing(memory, 3);
	assert_done(release(one, 0, 0, PAGE));
	assert_child_done(pid);
	reading(memory, 2);
	/* And can be killed. */
	assert_done(acquire(one, 0, 0, LENGTH, 0));
	pid = spawn_writer(other, 4);
	wait_until_said(1);
	wait_until_asleep(pid);
	kill(pid, SIGKILL);
	assert_child_killed(pid, SIGKILL);
	reading(memory, 2);
	/* Who has nobody to wait for does not. */
	assert_done(release(one, 0, 0, LENGTH));
	pid = spawn_writer(other, 5);
	assert_child_done(pid);
	reading(memory, 5);
	munmap(said, PAGE);
	close(one);
	close(other);
	close(fd);
}

/* That one has waited for a page is nothing to who wants others. */
static void nobody_waits_for_nobody(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other = view_of(fd);
	unsigned int i;
	pid_t pid;

	said = shared_page();
	assert_done(acquire(one, WRITE, 0, HUGE, 0));
	pid = spawn_writer(other, 1);
	wait_until_said(1);
	wait_until_asleep(pid);
	assert_done(release(one, 0, 0, HUGE));
	assert_child_done(pid);
	for (i = 1; i < 512; i++)
		assert_done(acquire(one, WRITE, i * PAGE, PAGE, 0));
	munmap(said, PAGE);
	close(one);
	close(other);
	close(fd);
}

/* Who looks at another's memory, and has its locks, is told that it cannot; and the other not kept from it. */
static void who_looks_does_not_wait(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other = view_of(fd), mem;
	char *memory = map(other, LENGTH, RW), path[64], byte = 0;
	pid_t pid;

	memory[0] = 5;
	pid = spawn();
	if (!pid)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR);
	assert_done(mem);
	assert_int_equal(pread(mem, &byte, 1, (uintptr_t)memory), 1);
	assert_int_equal(byte, 5);
	assert_done(acquire(one, WRITE, 0, PAGE, 0));
	assert_errno(pread(mem, &byte, 1, (uintptr_t)memory), EIO);
	assert_errno(pwrite(mem, &byte, 1, (uintptr_t)memory), EIO);
	assert_done(release(one, 0, 0, PAGE));
	byte = 6;
	assert_int_equal(pwrite(mem, &byte, 1, (uintptr_t)memory), 1);
	assert_int_equal(memory[0], 6);
	close(mem);
	kill(pid, SIGKILL);
	assert_child_killed(pid, SIGKILL);
	close(one);
	close(other);
	close(fd);
}

/* One who writes what it holds to read itself would wait for that. */
static void nobody_waits_for_itself(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other = view_of(fd);
	char *here = map(one, LENGTH, RW), *there = map(other, LENGTH, RW);

	writing(here, 1);
	reading(there, 1);
	assert_done(acquire(one, 0, 0, PAGE, 0));
	assert_int_equal(probe_write(here, 2), SIGBUS);
	assert_done(release(one, 0, 0, PAGE));
	writing(here, 3);
	reading(there, 3);
	close(one);
	close(other);
	close(fd);
}

static void interrupted(int signal)
{
}

static void who_acquires_can_be_interrupted(void **state)
{
	const struct sigaction action = {.sa_handler = interrupted};
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other = view_of(fd);
	pid_t pid;

	said = shared_page();
	atomic_store(said, 0);
	assert_done(acquire(one, WRITE, PAGE, PAGE, 0));
	pid = spawn();
	if (!pid) {
		need(!sigaction(SIGUSR1, &action, NULL));
		atomic_store(said, 1);
		need(acquire(other, 0, 0, 2 * PAGE, FOREVER) && errno == EINTR);
		/* It holds nothing of it. */
		need(!acquire(other, 0, 0, PAGE, 0));
		_exit(0);
	}
	wait_until_said(1);
	wait_until_asleep(pid);
	kill(pid, SIGUSR1);
	assert_child_done(pid);
	/* What it had by then was given back, and what it held is, with its last descriptor. */
	assert_errno(acquire(one, WRITE, 0, PAGE, 0), EBUSY);
	close(other);
	assert_done(acquire(one, WRITE, 0, PAGE, 0));
	munmap(said, PAGE);
	close(one);
	close(fd);
}

/* What it had is anybody's at once, whatever it was doing. */
static void who_dies_has_nothing(void **state)
{
	unsigned int round;
	char *memory;
	uint64_t at;
	int fd, one;
	pid_t pid;

	fd = viewed(MORSEL_GRANULE_4K, true);
	one = view_of(fd);
	memory = map(one, LENGTH, RW);
	said = shared_page();
	for (round = 0; round < 8; round++) {
		atomic_store(said, 0);
		pid = spawn();
		if (!pid) {
			int view = view_of(fd);
			char *there = map(view, LENGTH, RW);

			/* A few pages of each 2 MiB; by itself, or with all that was had as one before. */
			for (at = 0; at < LENGTH; at += 64 * PAGE)
				there[at] = round;
			there[LENGTH - PAGE] = round;
			need(!acquire(view, WRITE, 0, LENGTH, FOREVER));
			if (round % 2)
				close(view);
			atomic_store(said, 1);
			pause();
		}
		wait_until_said(1);
		assert_errno(acquire(one, 0, 0, LENGTH, 0), EBUSY);
		kill(pid, SIGKILL);
		assert_child_killed(pid, SIGKILL);
		assert_done(acquire(one, WRITE, 0, LENGTH, 0));
		reading(memory, round);
		reading(memory + LENGTH - PAGE, round);
		assert_done(release(one, 0, 0, LENGTH));
	}
	munmap(said, PAGE);
	close(one);
	close(fd);
}

static void parties_may_be_told_to_do_less(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other;
	char *here = map(one, LENGTH, RW), *there;
	uint32_t number = 0;

	other = try_view(fd, &number);
	there = map(other, LENGTH, RW);
	writing(there, 1);
	writing(there + HUGE, 1);
	/* Frozen, it reads. */
	assert_done(acquire(other, WRITE, 0, PAGE, 0));
	assert_errno(restrict_it(fd, MORSEL_RESTRICT_FREEZE, number), EBUSY);
	assert_done(release(other, 0, 0, PAGE));
	assert_done(restrict_it(fd, MORSEL_RESTRICT_FREEZE, number));
	reading(there, 1);
	assert_int_equal(probe_write(there, 2), SIGBUS);
	reading(here, 1);
	writing(here, 3);
	reading(there, 3);
	assert_errno(acquire(other, WRITE, 0, PAGE, 0), EACCES);
	assert_done(acquire(other, 0, 0, PAGE, 0));
	assert_errno(acquire(one, WRITE, 0, PAGE, 0), EBUSY);
	/* Revoked, it does not, and holds nothing. */
	assert_done(restrict_it(fd, MORSEL_RESTRICT_REVOKE, number));
	assert_int_equal(probe_read(there, NULL), SIGBUS);
	assert_int_equal(probe_read(there + HUGE, NULL), SIGBUS);
	assert_done(acquire(one, WRITE, 0, PAGE, 0));
	assert_errno(acquire(other, 0, 0, PAGE, 0), EACCES);
	/* By itself. */
	assert_errno(restrict_it(one, MORSEL_RESTRICT_REVOKE, number), EINVAL);
	assert_done(release(one, 0, 0, PAGE));
	assert_done(restrict_it(one, MORSEL_RESTRICT_FREEZE, 0));
	reading(here, 3);
	assert_int_equal(probe_write(here, 4), SIGBUS);
	assert_done(restrict_it(one, MORSEL_RESTRICT_REVOKE, 0));
	assert_int_equal(probe_read(here, NULL), SIGBUS);
	close(one);
	close(other);
	/* Others are as before. */
	munmap(here, LENGTH);
	one = view_of(fd);
	here = map(one, LENGTH, RW);
	reading(here, 3);
	writing(here, 5);
	close(one);
	close(fd);
}

/* Children, and who was sent the descriptor, are of the same party. */
static void processes_share_a_view(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), other = view_of(fd);
	char *here = map(one, LENGTH, RW), *there = map(other, LENGTH, RW);
	pid_t pid;

	assert_done(acquire(one, WRITE, 0, LENGTH, 0));
	pid = spawn();
	if (!pid) {
		here[0] = 1;
		need(acquire(one, 0, 0, PAGE, 0) && errno == EDEADLK);
		_exit(0);
	}
	assert_child_done(pid);
	reading(here, 1);
	/* The child's end is not the party's. */
	assert_errno(acquire(other, 0, 0, PAGE, 0), EBUSY);
	pid = spawn();
	if (!pid) {
		need(!release(one, 0, 0, LENGTH));
		_exit(0);
	}
	assert_child_done(pid);
	reading(there, 1);
	writing(there, 2);
	reading(here, 2);
	close(one);
	close(other);
	close(fd);
}

/* More than there are bits, so that some of the word stand for several. */
static void there_may_be_many(void **state)
{
	enum { MANY = 100 };
	int fd = viewed(MORSEL_GRANULE_4K, true), views[MANY];
	char *memory[MANY];
	unsigned int i, round;

	for (i = 0; i < MANY; i++) {
		views[i] = view_of(fd);
		memory[i] = map(views[i], HUGE, RW);
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MANY; i++)
			writing(memory[i] + i % 3 * PAGE, i + round);
		for (i = 0; i < MANY; i++)
			reading(memory[i], 99 + round);
		writing(memory[40], 50);
		for (i = 0; i < MANY; i++)
			assert_true(reading(memory[i], 50) > 0 || i == 40);
		for (i = 0; i < MANY; i++)
			assert_done(acquire(views[i], 0, 0, HUGE, 0));
		for (i = 0; i < MANY; i++)
			assert_done(release(views[i], 0, 0, HUGE));
	}
	for (i = 0; i < MANY; i++)
		close(views[i]);
	close(fd);
}

/* Numbers are used again, and nobody has what another had. */
static void numbers_come_again(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd), view;
	char *here = map(one, HUGE, RW), *there;
	unsigned int round;

	for (round = 0; round < 2500; round++) {
		view = view_of(fd);
		there = map(view, HUGE, RW);
		if (round % 2)
			there[PAGE] = round;
		else
			need(there[PAGE] == here[PAGE]);
		here[0] = there[0] + 1;
		need(there[0] == here[0]);
		need(!munmap(there, HUGE));
		close(view);
	}
	close(one);
	close(fd);
}

/* Whoever wants a page gets it, though others pass it to and fro all the time. */
static void nobody_starves(void **state)
{
	int fd = viewed(MORSEL_GRANULE_4K, true), one = view_of(fd);
	char *memory = map(one, LENGTH, RW);
	unsigned int i, how;
	pid_t pids[2];

	said = shared_page();
	for (how = 0; how < 2; how++) {
		atomic_store(said, 0);
		for (i = 0; i < 2; i++) {
			pids[i] = spawn();
			if (!pids[i]) {
				int view = view_of(fd);
				volatile char *there = map(view, LENGTH, RW);

				for (;;) {
					if (how)
						need(!acquire(view, WRITE, 0, PAGE, FOREVER));
					there[i + 1]++;
					if (how)
						need(!release(view, 0, 0, PAGE));
					atomic_fetch_add(said, 1);
				}
			}
		}
		for (i = 0; i < 100; i++) {
			wait_until_said(i + 1);
			assert_done(acquire(one, i % 2 ? WRITE : 0, 0, PAGE, FOREVER));
			assert_done(release(one, 0, 0, PAGE));
			memory[0] = i;
		}
		for (i = 0; i < 2; i++) {
			kill(pids[i], SIGKILL);
			assert_child_killed(pids[i], SIGKILL);
		}
	}
	munmap(said, PAGE);
	close(one);
	close(fd);
}

/* While one holds it, what others would write does not change; and nothing is lost. */
#define ROUNDS rounds_of(10000)

struct page {
	_Atomic uint64_t counts[3];
};

static int raced;

static void race_holding(void)
{
	struct page *here, *there;
	unsigned int i, round;
	uint64_t before[3];
	pid_t pids[2];
	int view;

	for (i = 0; i < 2; i++) {
		pids[i] = spawn();
		if (pids[i])
			continue;
		view = view_of(raced);
		there = map(view, LENGTH, RW);
		for (;;) {
			atomic_fetch_add(&there->counts[i], 1);
			atomic_fetch_add(&there[PAGE / sizeof(*there)].counts[i], 1);
			took_turn(i);
		}
	}
	view = view_of(raced);
	here = map(view, LENGTH, RW);
	for (round = 0; round < ROUNDS; round++) {
		/* A page, or all of what has one word then, or a page of what had. */
		uint64_t length = round % 8 == 5 ? HUGE : round % 8 == 7 ? LENGTH : PAGE;

		if (now_and_then(round))
			wait_for_turn_of(pids[round / 16 % 2], round / 16 % 2);
		need(!acquire(view, round % 3 ? WRITE : 0, 0, length, FOREVER));
		memcpy(before, here->counts, sizeof(before));
		if (round % 3)
			here->counts[2]++;
		sched_yield();
		need(here->counts[0] == before[0] && here->counts[1] == before[1]);
		need(!release(view, round % 5 ? 0 : MORSEL_RELEASE_GIVE_UP, 0, length));
	}
	for (i = 0; i < 2; i++) {
		kill(pids[i], SIGKILL);
		need(wait_child(pids[i]) == 128 + SIGKILL);
	}
	need(here->counts[2] == ROUNDS - (ROUNDS + 2) / 3);
}

static void holders_against_faults(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		raced = viewed(granules[i], true);
		assert_race(race_holding);
		close(raced);
		assert_soon(!pool_info().used_bytes);
	}
}

/* Views come and go, are frozen and revoked, as others use theirs. */
static void race_revoking(void)
{
	unsigned int round;
	volatile char *there;
	uint32_t number;
	int view, one;
	char *here;
	pid_t pid;

	one = view_of(raced);
	here = map(one, LENGTH, RW);
	for (round = 0; round < ROUNDS; round++) {
		view = try_view(raced, &number);
		need(view >= 0);
		pid = spawn();
		if (!pid) {
			signal(SIGBUS, SIG_DFL);
			there = map(view, LENGTH, RW);
			for (;;) {
				there[round % 3 * PAGE]++;
				took_turn(0);
			}
		}
		if (now_and_then(round))
			wait_for_turn_of(pid, 0);
		here[round % 3 * PAGE] = 0;
		need(!restrict_it(raced, round % 2 ? MORSEL_RESTRICT_REVOKE : MORSEL_RESTRICT_FREEZE,
				  number));
		number = here[round % 3 * PAGE];
		sched_yield();
		need(number == (uint32_t)here[round % 3 * PAGE]);
		need(wait_child(pid) == 128 + SIGBUS);
		close(view);
	}
}

static void restrictions_against_faults(void **state)
{
	raced = viewed(MORSEL_GRANULE_4K, true);
	assert_race(race_revoking);
	close(raced);
	assert_soon(!pool_info().used_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_go_to_and_fro),
		TEST(all_may_read),
		TEST(others_keep_the_rest),
		TEST(nobody_waits_for_what_is_had_as_a_whole),
		TEST(holes_are_filled_for_all),
		TEST(what_is_held_stays),
		TEST(odd_ranges_are_held),
		TEST(parts_are_held_by_themselves),
		TEST(mistakes_are_told),
		TEST(who_faults_waits_for_who_holds),
		TEST(nobody_waits_for_nobody),
		TEST(who_looks_does_not_wait),
		TEST(nobody_waits_for_itself),
		TEST(who_acquires_can_be_interrupted),
		TEST(who_dies_has_nothing),
		TEST(parties_may_be_told_to_do_less),
		TEST(processes_share_a_view),
		TEST(there_may_be_many),
		TEST(numbers_come_again),
		TEST(nobody_starves),
		TEST(holders_against_faults),
		TEST(restrictions_against_faults),
		TEST(module_unloads),
	};

	turns_begin();
	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
