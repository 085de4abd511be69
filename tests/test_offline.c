// SPDX-License-Identifier: GPL-2.0
/*
 * Memory and processors that go and come: blocks of memory and CPUs taken
 * offline, CPUs that idle with an address space they are no longer told of, and
 * the whole machine, suspended.  No frame may go while a morsel has it, and no
 * processor may be missed by a flush.
 */
#include "kernel.h"

#define ROUNDS rounds_of(10000)

/* Memory. */

static void interrupt(int signal)
{
}

/* Seconds: what the kernel says no to it says at once; trying on it may do for ever. */
#define UNTIL_REFUSED 300
#define OF_TRYING 10

/*
 * Change the state of a block of memory; 0 or the errno.  In a child: what has not ended after
 * some seconds is ended.
 */
static int change_block(unsigned long block, const char *to, unsigned int seconds)
{
	struct sigaction action = {.sa_handler = interrupt};
	pid_t pid = spawn();
	char path[128];

	if (pid)
		return wait_child(pid);
	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%lu/state", block);
	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
	errno = 0;
	_exit(write_text(path, to) ? 0 : errno);
}

/* The block that has most frames of a morsel, and how many bytes of it. */
static unsigned long fullest_block(int fd, unsigned long block_size, uint64_t *bytes)
{
	static uint64_t held[4096];
	unsigned int count, i, best = 0;
	struct morsel_extent *extents = extents_of(fd, &count);

	memset(held, 0, sizeof(held));
	for (i = 0; i < count; i++) {
		uint64_t at = extents[i].frame * PAGE, end = at + extents[i].length;

		for (; extents[i].frame && at < end; at += PAGE)
			if (at / block_size < ARRAY_SIZE(held))
				held[at / block_size] += PAGE;
	}
	free(extents);
	/* What holds the kernel itself says "none". */
	for (i = 0; i < ARRAY_SIZE(held); i++)
		if (held[i] > held[best] &&
		    !strstr(read_text("/sys/devices/system/memory/memory%u/valid_zones", i),
			    "none"))
			best = i;
	*bytes = held[best];
	return best;
}

/*
 * If the kernel could take a block away under a morsel, the write would succeed.
 * The morsel is so large that whole blocks are its own, and nothing else in them
 * says no.
 */
static void memory_does_not_go_offline_under_a_morsel(void **state)
{
	unsigned long block_size, block, i;
	uint64_t length = pool_info().limit_bytes / 4 / HUGE * HUGE, bytes;

	block_size = strtoul(read_text("/sys/devices/system/memory/block_size_bytes"), NULL, 16);
	if (!block_size)
		skip_because("no memory hotplug here");
	if (length > 3 * block_size)
		length = 3 * block_size;
	set_kernel("/sys/module/morsel/parameters/dram_idle_seconds", "0");
	for (i = 0; i < ARRAY_SIZE(both_granules); i++) {
		int fd = create(length, both_granules[i]), err;
		char *memory = map(fd, length, RW);
		struct kept kept;

		keep_morsel(&kept, both_granules[i], 4 * MIB, 5);
		assert_done(populate(fd, 0, 0));
		block = fullest_block(fd, block_size, &bytes);
		assert_true(bytes);
		fill_pattern(memory, 4 * MIB, 6);
		print_message("# block %lu has %llu of its %lu MiB from the morsel\n", block,
			      (unsigned long long)(bytes / MIB), block_size / MIB);
		assert_string_equal(
			strerrorname_np(change_block(block, "offline", UNTIL_REFUSED)), "EBUSY");
		assert_true(has_pattern(memory, 4 * MIB, 6));
		assert_kept(&kept);
		assert_int_equal(
			strncmp(read_text("/sys/devices/system/memory/memory%lu/state", block),
				"online", 6),
			0);

		/* When the morsel is gone, nothing of the module is in the way. */
		munmap(memory, length);
		close(fd);
		assert_soon(pool_info().free_bytes < 4 * MIB);
		err = change_block(block, "offline", OF_TRYING);
		print_message("# offline after that: %s\n", err ? strerrorname_np(err) : "done");
		if (!err)
			assert_int_equal(change_block(block, "online", UNTIL_REFUSED), 0);
		assert_kept(&kept);
		munmap(kept.memory, kept.length);
		close(kept.fd);
	}
}

/* Processors. */

/* What the page of the next test holds, as the one who changes it says. */
static struct {
	char *page;
	int fd;
	/* Of a round: unmapped, written, punched; odd in between. */
	atomic_uint phase;
	atomic_bool stop;
	atomic_uint seen[3];
	/* CPU 1 goes, is off, or comes: nobody need be there. */
	atomic_bool away;
} changing;

#define PHASES 6
/* How often CPU 1 goes and comes; and how many rounds there are in between. */
#define SWITCHES rounds_of(200)
#define ROUNDS_APART 10

static void *look_at_changing(void *arg)
{
	cpu_set_t cpu_1;

	CPU_ZERO(&cpu_1);
	CPU_SET(1, &cpu_1);
	while (!changing.stop) {
		unsigned int before, signal;
		unsigned char value = 0;

		/* It may be off, or have come again; CPU 0 is not for this. */
		if (sched_getcpu() != 1 && sched_setaffinity(0, sizeof(cpu_1), &cpu_1)) {
			usleep(100);
			continue;
		}
		before = changing.phase;
		signal = probe_read(changing.page, &value);
		if (before % 2 || changing.phase != before)
			continue;
		switch (before / 2 % 3) {
		case 0:
			need(signal == SIGSEGV);
			break;
		case 1:
			need(!signal && value == (before / PHASES % 255) + 1);
			break;
		case 2:
			need(!signal && !value);
			break;
		}
		changing.seen[before / 2 % 3]++;
	}
	return NULL;
}

/* Leave it as it is until that has been seen from CPU 1, if it is there. */
static void let_look(unsigned int what)
{
	unsigned int seen = changing.seen[what], tries = 0;

	while (changing.seen[what] == seen && !changing.away)
		relax(&tries);
}

static void wait_for_rounds(void)
{
	unsigned int phase = changing.phase, tries = 0;

	while (changing.phase - phase < ROUNDS_APART * PHASES && !changing.stop)
		relax(&tries);
}

static void *switch_cpu(void *arg)
{
	static const char *const path = "/sys/devices/system/cpu/cpu1/online";
	unsigned int *times = arg;

	while (!changing.stop) {
		changing.away = true;
		need(write_text(path, "0"));
		wait_for_rounds();
		need(write_text(path, "1"));
		changing.away = false;
		wait_for_rounds();
		++*times;
	}
	return NULL;
}

/*
 * A CPU that comes or goes must not be missed by a flush: it would go on to see
 * the old frame after a punch, or memory after munmap().
 */
static void cpu_hotplug_misses_no_flush(void **state)
{
	unsigned int *times = shared_page();
	pid_t pid;

	if (access("/sys/devices/system/cpu/cpu1/online", F_OK))
		skip_because("CPU 1 cannot be taken offline");
	keep_both();
	pid = spawn();
	if (!pid) {
		pthread_t looker, switcher;
		unsigned int round;

		changing.page = free_place(HUGE);
		changing.fd = create(HUGE, MORSEL_GRANULE_4K);
		need(!pthread_create(&looker, NULL, look_at_changing, NULL));
		need(!pthread_create(&switcher, NULL, switch_cpu, times));
		pin_to_cpu(0);
		for (round = 0; round < ROUNDS || *times < SWITCHES; round++) {
			changing.phase = round * PHASES + 1;
			map_at(changing.page, changing.fd, HUGE, RW, 0);
			*changing.page = (round % 255) + 1;
			changing.phase = round * PHASES + 2;
			let_look(1);
			changing.phase = round * PHASES + 3;
			need(!punch(changing.fd, 0, round % 2 ? PAGE : HUGE));
			changing.phase = round * PHASES + 4;
			let_look(2);
			changing.phase = round * PHASES + 5;
			need(!munmap(changing.page, HUGE));
			changing.phase = round * PHASES + 6;
			let_look(0);
		}
		changing.stop = true;
		need(!pthread_join(looker, NULL));
		need(!pthread_join(switcher, NULL));
		times[1] = round;
		times[2] = changing.seen[0];
		times[3] = changing.seen[1];
		times[4] = changing.seen[2];
		_exit(0);
	}
	assert_child_done(pid);
	write_text("/sys/devices/system/cpu/cpu1/online", "1");
	print_message("# CPU 1 went and came %u times in %u rounds; seen: %u unmapped, %u written, "
		      "%u punched\n",
		      times[0], times[1], times[2], times[3], times[4]);
	/* In the rounds between coming and going, each was waited for. */
	assert_true(times[2] >= SWITCHES && times[3] >= SWITCHES && times[4] >= SWITCHES);
	assert_both_kept();
	munmap(times, PAGE);
}

/* The one that sleeps on CPU 1, and the one on CPU 0 that punches meanwhile. */
static struct {
	char *memory;
	int fd, wake[2];
	/* Counts what was done, in turns. */
	atomic_uint *turn;
} lazy;

static void wait_until_turn(unsigned int turn)
{
	unsigned int tries = 0;

	while (*lazy.turn != turn)
		relax(&tries);
}

/* Let the other fall asleep. */
static void wait_a_moment(uint64_t *seed)
{
	unsigned int i;

	for (i = random_next(seed) % 4096; i; i--)
		asm volatile("");
}

static void *sleep_between_reads(void *arg)
{
	unsigned int round;
	char byte;

	pin_to_cpu(1);
	for (round = 0; round < ROUNDS; round++) {
		wait_until_turn(3 * round + 1);
		need(lazy.memory[0] == 1 + (char)(round % 100));
		*lazy.turn = 3 * round + 2;
		/* Asleep, the CPU idles or runs a kernel thread, with this address space loaded. */
		need(read(lazy.wake[0], &byte, 1) == 1);
		need(!lazy.memory[0]);
		*lazy.turn = 3 * round + 3;
	}
	return NULL;
}

static void *punch_between_reads(void *arg)
{
	uint64_t seed = 1;
	unsigned int round;

	pin_to_cpu(0);
	for (round = 0; round < ROUNDS; round++) {
		char value = 1 + (char)(round % 100);

		need(pwrite(lazy.fd, &value, 1, 0) == 1);
		*lazy.turn = 3 * round + 1;
		wait_until_turn(3 * round + 2);
		wait_a_moment(&seed);
		need(!punch(lazy.fd, 0, round % 2 ? PAGE : HUGE));
		need(write(lazy.wake[1], "", 1) == 1);
		wait_until_turn(3 * round + 3);
	}
	return NULL;
}

static void prepare_lazy(void)
{
	lazy.fd = create(GIB, MORSEL_GRANULE_4K);
	lazy.memory = map_at(free_place(GIB), lazy.fd, GIB, RW, 0);
	lazy.turn = shared_page();
	assert_done(pipe(lazy.wake));
}

/*
 * If the flush passed by a CPU that has the address space only lazily, who wakes
 * there would read the old frame.
 */
static void a_lazy_cpu_is_flushed_for_a_thread(void **state)
{
	pid_t pid;

	prepare_lazy();
	pid = spawn();
	if (!pid) {
		pthread_t thread;

		need(!pthread_create(&thread, NULL, sleep_between_reads, NULL));
		punch_between_reads(NULL);
		need(!pthread_join(thread, NULL));
		_exit(0);
	}
	assert_child_done(pid);
}

/* The same with the puncher in another process, which has the memory mapped or not. */
static void a_lazy_cpu_is_flushed_for_another_process(void **state)
{
	pid_t sleeper, puncher;

	prepare_lazy();
	sleeper = spawn();
	if (!sleeper) {
		sleep_between_reads(NULL);
		_exit(0);
	}
	puncher = spawn();
	if (!puncher) {
		munmap(lazy.memory, GIB);
		punch_between_reads(NULL);
		_exit(0);
	}
	assert_child_done(puncher);
	assert_child_done(sleeper);
}

/* Suspending. */

#define RTC "/sys/class/rtc/rtc0/wakealarm"
/* What rings before all is asleep wakes nobody; a busy machine was seen to take 1.5 s for that. */
#define SECONDS_ASLEEP "+10"

static void suspend(const char *to)
{
	pid_t users[2];

	if (!strstr(read_text("/sys/power/state"), to))
		skip_because("/sys/power/state knows no \"%s\"", to);
	if (access(RTC, F_OK))
		skip_because("no clock that wakes: %s", RTC);
	keep_both();
	users[0] = spawn_user(0);
	users[1] = spawn_user(1);
	write_text(RTC, "0");
	assert_true(write_text(RTC, SECONDS_ASLEEP));
	if (!write_text("/sys/power/state", to))
		skip_because("\"%s\" fails here: %s", to, strerror(errno));
	assert_both_kept();
	assert_user_goes_on(0);
	assert_user_goes_on(1);
	assert_killed_while_well(users[0]);
	assert_killed_while_well(users[1]);
	assert_both_kept();
}

/*
 * Other CPUs go off and come again, and all state of the CPU is made anew.  Fails if data or frames
 * are others after that, or if who uses them does not go on.
 */
static void data_survives_suspend_to_memory(void **state)
{
	if (!strstr(read_text("/sys/power/mem_sleep"), "deep"))
		skip_because("no suspend to memory: %s", read_text("/sys/power/mem_sleep"));
	set_kernel("/sys/power/mem_sleep", "deep");
	suspend("mem");
}

/* The same where the CPUs only idle. */
static void data_survives_suspend_to_idle(void **state)
{
	/* It says RTC_STS only on the way out of S3, so that this would never end. */
	if (strstr(read_text("/sys/class/dmi/id/sys_vendor"), "QEMU"))
		skip_because("QEMU's clock does not wake from suspend to idle");
	suspend("freeze");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(memory_does_not_go_offline_under_a_morsel),
		KERNEL_TEST(cpu_hotplug_misses_no_flush),
		KERNEL_TEST(a_lazy_cpu_is_flushed_for_a_thread),
		KERNEL_TEST(a_lazy_cpu_is_flushed_for_another_process),
		KERNEL_TEST(data_survives_suspend_to_memory),
		KERNEL_TEST(data_survives_suspend_to_idle),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
