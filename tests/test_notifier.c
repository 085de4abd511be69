// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that share an address space, virtual machines among them, have tables or
 * TLBs of their own.  What is done to a mapping must be told to them before the
 * call returns, of a morsel as of any file.
 *
 * A module of the tests' own, morsel_notify.ko, listens as their drivers do.
 */
#include "notify.h"

#define LARGE (GIB + 4 * MIB)
#define SMALL (4 * MIB)

/* How a morsel may be spliced: whole GiBs or spans, tables or huge leaves. */
static const struct kind {
	const char *name;
	size_t length;
	uint32_t granule;
	/* Before it is mapped: then mmap() splices, where the process has no tables yet. */
	bool filled;
} kinds[] = {
	{"ordinary memory", SMALL, MORSEL_GRANULE_AUTO},
	{"a GiB of small frames", LARGE, MORSEL_GRANULE_4K},
	{"a GiB of huge frames", LARGE, MORSEL_GRANULE_2M},
	{"a part of small frames", SMALL, MORSEL_GRANULE_4K},
	{"a part of huge frames", SMALL, MORSEL_GRANULE_2M},
	{"a GiB of small frames that were there", LARGE, MORSEL_GRANULE_4K, true},
	{"a GiB of huge frames that were there", LARGE, MORSEL_GRANULE_2M, true},
	{"a part of small frames that were there", SMALL, MORSEL_GRANULE_4K, true},
};

struct target {
	const struct kind *kind;
	int fd;
	char *memory;
	size_t length;
	int listener;
};

static void target_make(struct target *t, const struct kind *kind)
{
	char *neighbour;
	size_t at;

	*t = (struct target){.kind = kind, .length = kind->length};
	/* The first is there to see that the listener hears what it must. */
	if (kind == kinds) {
		t->fd = memfd_create("ordinary", MFD_CLOEXEC);
		assert_done(ftruncate(t->fd, t->length));
	} else {
		t->fd = create(t->length, kind->granule);
	}
	for (at = 0; kind->filled && at < t->length; at += t->length / 2)
		assert_int_equal(pwrite(t->fd, "x", 1, at), 1);
	t->memory = map_at(free_place(t->length + HUGE), t->fd, t->length, RW, 0);
	/* A neighbour, so that unmapping frees no tables: that would be told for itself. */
	neighbour = mmap(t->memory + t->length, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0);
	assert_ptr_equal(neighbour, t->memory + t->length);
	neighbour[0] = 1;
	for (at = 0; at < t->length; at += t->length / 2)
		t->memory[at] = 1;
}

static struct notify_counts counts(int listener)
{
	struct notify_counts counts;

	assert_done(ioctl(listener, NOTIFY_COUNTS, &counts));
	return counts;
}

/* What may be done to it. */

static void do_munmap(struct target *t)
{
	assert_done(munmap(t->memory, t->length));
}

static void do_munmap_a_part(struct target *t)
{
	assert_done(munmap(t->memory, HUGE));
}

static void do_map_over(struct target *t)
{
	assert_ptr_equal(
		mmap(t->memory, t->length, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		t->memory);
}

static void do_dontneed(struct target *t)
{
	assert_done(madvise(t->memory, t->length, MADV_DONTNEED));
}

static void do_punch(struct target *t)
{
	assert_done(fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HUGE));
}

static void do_punch_by_another(struct target *t)
{
	int go[2];
	pid_t pid;
	char byte;

	assert_done(pipe(go));
	pid = spawn();
	if (!pid) {
		need(read(go[0], &byte, 1) == 1);
		need(!munmap(t->memory, t->length));
		need(!fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HUGE));
		_exit(0);
	}
	/* What fork() had to tell is not meant. */
	counts(t->listener);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_child_done(pid);
	close(go[0]);
	close(go[1]);
}

static void do_protect(struct target *t)
{
	assert_done(mprotect(t->memory, t->length, PROT_READ));
}

static void do_protect_from_reading(struct target *t)
{
	assert_done(mprotect(t->memory, t->length, PROT_NONE));
}

static void do_protect_a_part(struct target *t)
{
	assert_done(mprotect(t->memory, HUGE, PROT_READ));
}

static void do_mremap(struct target *t)
{
	char *to = free_place(t->length);

	assert_ptr_equal(mremap(t->memory, t->length, t->length, MREMAP_MAYMOVE | MREMAP_FIXED, to),
			 to);
}

/* The address space that is listened to looks as if a device walked its tables. */
static void share_with_a_device(int listener)
{
	if (ioctl(listener, NOTIFY_PASID, 1)) {
		assert_int_equal(errno, EOPNOTSUPP);
		skip_because("no devices walk tables: CONFIG_IOMMU_SVA is not set");
	}
}

/* Do it to memory of each kind; say of which one nothing was heard. */
static void assert_told(void (*change)(struct target *t), bool to_tlbs)
{
	unsigned int i, untold = 0;
	struct target t;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct notify_counts told;

		target_make(&t, &kinds[i]);
		t.listener = open_listener();
		listen_to(t.listener, t.memory, t.length);
		if (to_tlbs)
			share_with_a_device(t.listener);
		counts(t.listener);
		/* Using what is there is nothing to tell. */
		t.memory[0] = 2;
		told = counts(t.listener);
		assert_int_equal(told.starts + told.intervals + told.tlbs, 0);
		change(&t);
		told = counts(t.listener);
		if (to_tlbs ? !told.tlbs : !told.starts || !told.intervals) {
			print_message("# of %s: %u starts, %u intervals, %u of TLBs\n",
				      kinds[i].name, told.starts, told.intervals, told.tlbs);
			untold++;
		}
		if (to_tlbs)
			assert_done(ioctl(t.listener, NOTIFY_PASID, 0));
		close(t.listener);
		munmap(t.memory, t.length + PAGE);
		close(t.fd);
	}
	assert_int_equal(untold, 0);
}

/* If the kernel finds nothing to do, as all was detached before it looked, it tells nobody. */
#define TOLD(change)                               \
	static void change##_is_told(void **state) \
	{                                          \
		assert_told(do_##change, false);   \
	}

TOLD(munmap)
TOLD(munmap_a_part)
TOLD(map_over)
TOLD(dontneed)
TOLD(punch)
TOLD(punch_by_another)
TOLD(protect)
TOLD(protect_from_reading)
TOLD(protect_a_part)
TOLD(mremap)

/*
 * Devices that walk the process's own tables are told of nothing but flushes; if
 * detaching is none to the kernel, they keep what they read before.
 */
#define REACHES_TLBS(change)                                       \
	static void change##_reaches_tlbs_of_devices(void **state) \
	{                                                          \
		assert_told(do_##change, true);                    \
	}

REACHES_TLBS(munmap)
REACHES_TLBS(munmap_a_part)
REACHES_TLBS(map_over)
REACHES_TLBS(dontneed)
REACHES_TLBS(punch)
REACHES_TLBS(punch_by_another)
REACHES_TLBS(protect)
REACHES_TLBS(protect_from_reading)
REACHES_TLBS(protect_a_part)
REACHES_TLBS(mremap)

/*
 * Drivers let go of a process that ends; of what it had mapped, they must hear once more: fails if
 * one that watches a range does not.
 */
static void exit_is_told(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct notify_counts told;
		struct target t;
		pid_t pid;

		target_make(&t, &kinds[i]);
		t.listener = open_listener();
		pid = spawn();
		if (!pid) {
			listen_to(t.listener, t.memory, t.length);
			t.memory[0] = 3;
			kill(getpid(), SIGKILL);
		}
		assert_child_killed(pid, SIGKILL);
		told = counts(t.listener);
		assert_int_equal(told.releases, 1);
		assert_true(told.intervals >= 1);
		assert_int_equal(t.memory[0], 3);
		close(t.listener);
		munmap(t.memory, t.length + PAGE);
	}
}

/*
 * While one range is being punched, as somebody there takes long to let go, others are punched and
 * filled.  Fails if a morsel has one punch at a time.
 */
static void a_punch_holds_its_own_range_back_alone(void **state)
{
	int fd, listener;
	char *memory;
	pid_t pid;

	fd = create(8 * HUGE, MORSEL_GRANULE_4K);
	memory = map(fd, 8 * HUGE, RW);
	memory[0] = 1;
	memory[2 * HUGE] = 2;
	listener = open_listener();
	listen_to(listener, memory, HUGE);

	assert_done(ioctl(listener, NOTIFY_HOLD, 1));
	pid = spawn();
	if (!pid) {
		need(!punch(fd, 0, HUGE));
		_exit(0);
	}
	assert_done(ioctl(listener, NOTIFY_HELD));
	assert_done(punch(fd, 2 * HUGE, HUGE));
	assert_int_equal(pwrite(fd, "x", 1, 2 * HUGE), 1);
	assert_int_equal(pwrite(fd, "x", 1, 4 * HUGE), 1);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_done(ioctl(listener, NOTIFY_HOLD, 0));
	assert_child_done(pid);
	assert_int_equal(memory[0], 0);
	assert_int_equal(memory[2 * HUGE], 'x');
	close(listener);
}

/*
 * What was taken out is parked, and a device that walks the tables may remember that.  Fails if
 * it is replaced, and the device is not told.
 */
static void what_devices_remember_is_flushed_before_it_is_replaced(void **state)
{
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(kinds); i++) {
		struct notify_counts told;
		struct target t;

		target_make(&t, &kinds[i]);
		/* Before there is a device, it is spliced at the highest level that fits. */
		assert_done(punch(t.fd, 0, 0));
		t.listener = open_listener();
		listen_to(t.listener, t.memory, t.length);
		share_with_a_device(t.listener);
		counts(t.listener);
		t.memory[0] = 2;
		told = counts(t.listener);
		/* By PMD entries, which replace nothing where these may go: 6.5 and later. */
		if (!told.tlbs && (t.length == LARGE || kernel_version() < KERNEL(6, 5)) &&
		    kinds[i].granule == MORSEL_GRANULE_4K)
			fail_msg("no device was told of %s", kinds[i].name);
		/* From here on nothing is in the way. */
		t.memory[HUGE] = 3;
		t.memory[t.length - 1] = 4;
		assert_int_equal(t.memory[0], 2);
		assert_int_equal(t.memory[HUGE], 3);
		close(t.listener);
		munmap(t.memory, t.length + PAGE);
		close(t.fd);
	}
}

#define QUEUED "events/csd/csd_queue_cpu/enable"

/* How many other processors a process on the first one has flush, which unmaps a morsel. */
static unsigned int flushed_elsewhere(int fd)
{
	char *memory = map(fd, HUGE, RW);

	memory[0] = 1;
	traced_lines("");
	need(!munmap(memory, HUGE));
	return traced_lines("func=flush_here");
}

/*
 * Some processors may translate an address space by an identifier that is the same on all of them
 * (AMD's that have INVLPGB), whatever processors it runs on; none is here, so the address space is
 * made to look like that.  Fails if not all are flushed then; and if all are for any other.
 */
static void one_identifier_on_all_processors_is_flushed_on_all(void **state)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int fd = create(HUGE, MORSEL_GRANULE_4K), listener = open_listener(), status;
	pid_t pid;

	if (processors < 2 || !write_text(TRACING QUEUED, "1"))
		skip_because("one processor, or a kernel that does not tell what these are asked for");
	assert_true(write_text(TRACING "tracing_on", "1"));
	/* The address space is never elsewhere. */
	pin_to_cpu(0);
	pid = spawn();
	if (!pid) {
		listen_to(listener, free_place(HUGE), PAGE);
		need(flushed_elsewhere(fd) == 0);
		if (ioctl(listener, NOTIFY_ASID, 1)) {
			need(errno == EOPNOTSUPP);
			_exit(2);
		}
		need(flushed_elsewhere(fd) == processors - 1);
		need(!ioctl(listener, NOTIFY_ASID, 0));
		need(flushed_elsewhere(fd) == 0);
		_exit(0);
	}
	status = wait_child(pid);
	write_text(TRACING QUEUED, "0");
	if (status == 2)
		skip_because("this kernel has no such identifiers");
	assert_int_equal(status, 0);
}

static atomic_int reading;

/* Reads what is being punched. */
static void *read_it(void *memory)
{
	atomic_store(&reading, gettid());
	need(*(volatile char *)memory == 0);
	return NULL;
}

/* A process that reads what is being punched, and maps something meanwhile. */
static _Noreturn void read_and_map(char *memory, int go, int said)
{
	pthread_t thread;
	char *other, byte;

	/* What attaching waits for is another matter. */
	need(memory[4 * HUGE] == 0);
	need(write(said, "a", 1) == 1);
	need(read(go, &byte, 1) == 1);
	need(!pthread_create(&thread, NULL, read_it, memory));
	while (!reading || !strstr(read_text("/proc/self/task/%d/stat", reading), ") D"))
		sleep_ms(1);
	other = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(other != MAP_FAILED);
	other[0] = 1;
	need(write(said, "m", 1) == 1);
	need(!pthread_join(thread, NULL));
	_exit(0);
}

/*
 * A fault waits until a punch is done, as somebody takes long to let go.  Fails if meanwhile the
 * process can map nothing, or nobody can look what it has mapped.
 */
static void a_fault_that_waits_keeps_nobody_out(void **state)
{
	int fd, listener, said[2], go[2];
	pid_t puncher, reader;
	char *memory, byte;

	fd = create(8 * HUGE, MORSEL_GRANULE_4K);
	memory = map(fd, 8 * HUGE, RW);
	memory[0] = 1;
	listener = open_listener();
	listen_to(listener, memory, HUGE);
	assert_done(pipe(said));
	assert_done(pipe(go));
	reader = spawn();
	if (!reader)
		read_and_map(memory, go[0], said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);

	assert_done(ioctl(listener, NOTIFY_HOLD, 1));
	puncher = spawn();
	if (!puncher) {
		need(!punch(fd, 0, HUGE));
		_exit(0);
	}
	assert_done(ioctl(listener, NOTIFY_HELD));
	assert_int_equal(write(go[1], "", 1), 1);
	assert_done(fcntl(said[0], F_SETFL, O_NONBLOCK));
	assert_soon(read(said[0], &byte, 1) == 1);
	assert_true(*maps_line(reader, memory));
	assert_int_equal(waitpid(reader, NULL, WNOHANG), 0);
	assert_done(ioctl(listener, NOTIFY_HOLD, 0));
	assert_child_done(reader);
	assert_child_done(puncher);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(munmap_is_told),
		TEST(munmap_a_part_is_told),
		TEST(map_over_is_told),
		TEST(dontneed_is_told),
		TEST(punch_is_told),
		TEST(punch_by_another_is_told),
		TEST(protect_is_told),
		TEST(protect_from_reading_is_told),
		TEST(protect_a_part_is_told),
		TEST(mremap_is_told),
		TEST(exit_is_told),
		TEST(munmap_reaches_tlbs_of_devices),
		TEST(munmap_a_part_reaches_tlbs_of_devices),
		TEST(map_over_reaches_tlbs_of_devices),
		TEST(dontneed_reaches_tlbs_of_devices),
		TEST(punch_reaches_tlbs_of_devices),
		TEST(punch_by_another_reaches_tlbs_of_devices),
		TEST(protect_reaches_tlbs_of_devices),
		TEST(protect_from_reading_reaches_tlbs_of_devices),
		TEST(protect_a_part_reaches_tlbs_of_devices),
		TEST(mremap_reaches_tlbs_of_devices),
		TEST(a_punch_holds_its_own_range_back_alone),
		TEST(a_fault_that_waits_keeps_nobody_out),
		TEST(what_devices_remember_is_flushed_before_it_is_replaced),
		TEST(one_identifier_on_all_processors_is_flushed_on_all),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, notify_begin, notify_end);
}
