// SPDX-License-Identifier: GPL-2.0
/*
 * Who looks at a process that maps a morsel: core dumps, probes in its code, and
 * perf, which samples addresses and what they are mapped to.
 */
#include "kernel.h"

#include <linux/perf_event.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define ROUNDS rounds_of(10000)

/* Core dumps. */

#define CORE "/scratch/core-of-test"

/* Have a child, which touches its memory before, dump its core, with all kinds of mappings; its size. */
static off_t dump_core(const volatile char *memory)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct stat stat;
	int status;
	pid_t pid;

	if (access("/proc/sys/kernel/core_pattern", F_OK))
		skip_because("no core dumps here");
	set_kernel("/proc/sys/kernel/core_pattern", CORE);
	unlink_at_end(CORE);
	pid = spawn();
	if (!pid) {
		need(!setrlimit(RLIMIT_CORE, &unlimited));
		need(!prctl(PR_SET_DUMPABLE, 1));
		need(write_text("/proc/self/coredump_filter", "0xff"));
		signal(SIGABRT, SIG_DFL);
		(void)*memory;
		abort();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_true(WCOREDUMP(status));
	assert_int_equal(lstat(CORE, &stat), 0);
	print_message("# the core has %lld KiB\n", (long long)stat.st_size / 1024);
	return stat.st_size;
}

/* If the mapping were dumped, the core would be as large as that is. */
static void core_dumps_have_no_morsel(void **state)
{
	int fd = create(GIB, MORSEL_GRANULE_AUTO);
	char *memory = map(fd, GIB, RW);

	fill_pattern(memory, 64 * MIB, 1);
	assert_errno(madvise(memory, GIB, MADV_DODUMP), EINVAL);
	assert_errno(madvise(memory, HUGE, MADV_DODUMP), EINVAL);
	assert_in_range(dump_core(memory), 1, 10 * MIB);
	assert_true(has_pattern(memory, 64 * MIB, 1));
	assert_int_equal(info_of(fd).attachments, 1);
}

static void core_dumps_have_what_was_asked_for(void **state)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.flags = MORSEL_CREATE_DUMP,
		.length = 8 * MIB + PAGE,
		.pool = pool_info().id,
		.node = MORSEL_ANY,
		.mode = 0600,
	};
	char *memory, *core;
	off_t size;
	int file;

	assert_done(create_with(&args));
	memory = mmap(NULL, args.length, RW, MAP_SHARED, args.fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	fill_pattern(memory, 6 * MIB, 1);
	/* At the end, a page of its own; before that, a hole. */
	memory[8 * MIB] = 'x';
	size = dump_core(memory);
	assert_true(size > 8 * (off_t)MIB);
	file = open(CORE, O_RDONLY | O_CLOEXEC);
	core = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
	assert_ptr_not_equal(core, MAP_FAILED);
	assert_non_null(memmem(core, size, memory, args.length));
	munmap(core, size);
	/* What is taken out again is not there. */
	assert_done(madvise(memory, 8 * MIB + PAGE, MADV_DONTDUMP));
	assert_done(unlink(CORE));
	assert_true(dump_core(memory) < size - 6 * (off_t)MIB);
	close(file);
}

/* Code in a morsel: who sets breakpoints into it, and who samples it. */

/* mov $20000, %ecx; 1: dec %ecx; jnz 1b; mov $42, %eax; ret */
static const unsigned char code[] = {0xb9, 0x20, 0x4e, 0, 0, 0xff, 0xc9, 0x75,
				     0xfc, 0xb8, 42,   0, 0, 0,	   0xc3};

/* A probe in a morsel's code would put a breakpoint into what all share. */
static void uprobes_do_not_reach_code_in_a_morsel(void **state)
{
	int fd = create_named("code", HUGE, 0700);
	char *memory = map(fd, HUGE, RW), *executable = map(fd, HUGE, PROT_READ | PROT_EXEC);
	char paths[3][64], text[256];
	unsigned int i;

	if (access(TRACING "uprobe_events", F_OK))
		skip_because("no uprobes by tracefs here");
	memcpy(memory, code, sizeof(code));
	assert_int_equal(((int (*)(void))executable)(), 42);
	snprintf(paths[0], sizeof(paths[0]), "/proc/%d/fd/%d", getpid(), fd);
	snprintf(paths[1], sizeof(paths[1]), "/proc/%d/map_files/%lx-%lx", getpid(),
		 (unsigned long)executable, (unsigned long)executable + HUGE);
	snprintf(paths[2], sizeof(paths[2]), "/dev/morsel");
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		bool made, on = false;

		assert_int_equal(access(paths[i], F_OK), 0);
		snprintf(text, sizeof(text), "p:uprobes/morsel_test %s:0x0", paths[i]);
		errno = 0;
		made = write_text(TRACING "uprobe_events", text);
		if (made) {
			errno = 0;
			on = write_text(TRACING "events/uprobes/morsel_test/enable", "1");
		}
		print_message("# probe at %s: %s, %s (%s)\n", paths[i], made ? "made" : "not made",
			      on ? "on" : "not on", errno ? strerrorname_np(errno) : "0");
		assert_memory_equal(memory, code, sizeof(code));
		assert_int_equal(((int (*)(void))executable)(), 42);
		if (!made)
			continue;
		assert_null(strstr(read_text(TRACING "trace"), "morsel_test"));
		write_text(TRACING "events/uprobes/morsel_test/enable", "0");
		assert_true(write_text(TRACING "uprobe_events", "-:uprobes/morsel_test"));
	}
	/* What was mapped before a probe is on, and after. */
	munmap(executable, HUGE);
	executable = map(fd, HUGE, PROT_READ | PROT_EXEC);
	assert_int_equal(((int (*)(void))executable)(), 42);
	assert_memory_equal(memory, code, sizeof(code));
	assert_int_equal(info_of(fd).attachments, 2);
}

#define SAMPLES (128 * PAGE)

static int open_perf(uint64_t event, uint64_t period)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = event,
		.sample_period = period,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_ADDR | PERF_SAMPLE_CALLCHAIN |
			       PERF_SAMPLE_PHYS_ADDR | PERF_SAMPLE_DATA_PAGE_SIZE |
			       PERF_SAMPLE_CODE_PAGE_SIZE,
		.sample_max_stack = 16,
		.inherit = 1,
		.mmap = 1,
		.mmap2 = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, 1, -1, PERF_FLAG_FD_CLOEXEC);
}

struct samples {
	unsigned int all, inside, huge, addresses, physical;
};

/* Count what has been sampled, and forget it. */
static void read_samples(void *ring, const char *place, struct samples *samples)
{
	struct perf_event_mmap_page *head = ring;
	uint64_t at = head->data_tail, end = head->data_head;
	const char *data = (const char *)ring + PAGE;

	atomic_thread_fence(memory_order_acquire);
	while (at < end) {
		uint64_t words[64];
		struct perf_event_header header;
		size_t i, tail;

		for (i = 0; i < sizeof(header); i++)
			((char *)&header)[i] = data[(at + i) % SAMPLES];
		need(header.size >= sizeof(header));
		if (header.type == PERF_RECORD_SAMPLE && header.size <= sizeof(words)) {
			for (i = 0; i < header.size; i++)
				((char *)words)[i] = data[(at + i) % SAMPLES];
			/* Behind the header: IP, address; at the end: physical address, sizes. */
			tail = header.size / sizeof(words[0]);
			samples->all++;
			if (words[1] - (uintptr_t)place < HUGE) {
				samples->inside++;
				samples->huge += words[tail - 1] == HUGE;
				need(!words[tail - 1] || words[tail - 1] == HUGE);
			}
			if (words[2] - (uintptr_t)place < HUGE) {
				samples->addresses++;
				samples->physical += !!words[tail - 3];
				need(!words[tail - 2] || words[tail - 2] == HUGE);
			}
		}
		at += header.size;
	}
	atomic_thread_fence(memory_order_release);
	head->data_tail = end;
}

/* All that is to be seen was. */
static bool is_enough(const struct samples *samples)
{
	return samples->inside && samples->huge && samples->addresses;
}

static char *code_place;
static atomic_uint code_runs;
/* Odd while it is unmapped. */
static atomic_uint code_phase;
static atomic_bool code_stop;

static void run_code(void)
{
	need(((int (*)(void))code_place)() == 42);
	code_runs++;
}

static void *run_code_on_and_on(void *arg)
{
	pin_to_cpu(1);
	while (!code_stop) {
		int signal = probe_call(run_code);

		need(!signal || signal == SIGSEGV);
		/* There is nothing to run for now. */
		while (signal && code_phase % 2 && !code_stop)
			;
	}
	return NULL;
}

/*
 * Who samples looks at tables in an interrupt, at any time: it must find what is
 * there or nothing, and never a table that is gone (the kernel's log would say).
 */
static void perf_samples_against_munmap(void **state)
{
	struct samples *samples = shared_page();
	int fd = create(HUGE, MORSEL_GRANULE_2M);
	char *memory = map(fd, HUGE, RW);
	pid_t pid;

	memcpy(memory, code, sizeof(code));
	pid = spawn();
	if (!pid) {
		static const uint64_t events[] = {PERF_COUNT_SW_CPU_CLOCK,
						  PERF_COUNT_SW_PAGE_FAULTS};
		void *rings[ARRAY_SIZE(events)];
		unsigned int round, i;
		pthread_t thread;

		for (i = 0; i < ARRAY_SIZE(events); i++) {
			int perf = open_perf(events[i], i ? 1 : 200000);

			need(perf >= 0);
			rings[i] = mmap(NULL, PAGE + SAMPLES, RW, MAP_SHARED, perf, 0);
			need(rings[i] != MAP_FAILED);
		}
		code_place = free_place(HUGE);
		need(!pthread_create(&thread, NULL, run_code_on_and_on, NULL));
		pin_to_cpu(0);
		for (round = 0; round < ROUNDS || (!is_enough(samples) && !time_is_up()); round++) {
			unsigned int runs = code_runs, tries = 0;

			map_at(code_place, fd, HUGE, PROT_READ | PROT_EXEC, 0);
			code_phase = 2 * round;
			/* Now and then until the code has run. */
			while (round % 32 == 0 && code_runs == runs)
				relax(&tries);
			need(!munmap(code_place, HUGE));
			code_phase = 2 * round + 1;
			if (round % 64 == 0)
				for (i = 0; i < ARRAY_SIZE(rings); i++)
					read_samples(rings[i], code_place, samples);
		}
		code_stop = true;
		need(!pthread_join(thread, NULL));
		_exit(0);
	}
	assert_child_done(pid);
	print_message("# %u samples, %u in the code (%u in a page of 2 MiB), %u of faults at it "
		      "(%u with a physical address)\n",
		      samples->all, samples->inside, samples->huge, samples->addresses,
		      samples->physical);
	assert_true(is_enough(samples));
	assert_memory_equal(memory, code, sizeof(code));
	assert_int_equal(info_of(fd).attachments, 1);
	munmap(samples, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(core_dumps_have_no_morsel),
		KERNEL_TEST(core_dumps_have_what_was_asked_for),
		KERNEL_TEST(uprobes_do_not_reach_code_in_a_morsel),
		KERNEL_TEST(perf_samples_against_munmap),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
