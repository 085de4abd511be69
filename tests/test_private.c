// SPDX-License-Identifier: GPL-2.0
/*
 * MAP_PRIVATE: what is written is copied, and seen by nobody else; programs and libraries start from
 * a morsel.  The same is done to a memfd.
 */
#include "kernel.h"

#include <dlfcn.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/uio.h>

#ifndef FALLOC_FL_KEEP_SIZE
#include <linux/falloc.h>
#endif

#define LENGTH (4 * MIB)

static const uint32_t granules[] = {MORSEL_GRANULE_AUTO, MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

static char text[LENGTH], scratch[LENGTH];

static int fill(int fd)
{
	fill_pattern(text, LENGTH, 1);
	assert_int_equal(pwrite(fd, text, LENGTH, 0), LENGTH);
	return fd;
}

/*
 * A memfd, and a morsel of each granule, mapped where no span of it is, so that the kernel copies pages, or where
 * all spans are, so that it is a clone.
 */
#define GRANULES 3
#define KINDS (1 + 2 * GRANULES)
#define is_clone(kind) ((kind) > GRANULES)

static int make(unsigned int kind)
{
	int fd;

	if (kind)
		return fill(create(LENGTH, granules[(kind - 1) % GRANULES]));
	fd = memfd_create("control", MFD_CLOEXEC);
	assert_done(ftruncate(fd, LENGTH));
	return fill(fd);
}

static char *map_private(int fd, size_t length, int prot)
{
	char *memory = mmap(NULL, length, prot, MAP_PRIVATE, fd, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

/* As a kind has it. */
static char *map_kind(unsigned int kind, int fd, int prot)
{
	char *place = free_place(LENGTH + PAGE) + (is_clone(kind) ? 0 : PAGE);
	char *memory = mmap(place, LENGTH, prot, MAP_PRIVATE | MAP_FIXED, fd, 0);

	assert_ptr_equal(memory, place);
	return memory;
}

static void assert_unchanged(int fd)
{
	assert_int_equal(pread(fd, scratch, LENGTH, 0), LENGTH);
	assert_true(!memcmp(scratch, text, LENGTH));
}

/* Fails if what is written is seen elsewhere, or more is copied than a page. */
static void what_is_written_is_ones_own(void **state)
{
	unsigned int kind;

	for (kind = 0; kind < KINDS; kind++) {
		int fd = make(kind);
		char *one = map_kind(kind, fd, RW), *two = map_kind(kind, fd, RW);
		char *all = mmap(NULL, LENGTH, RW, MAP_SHARED, fd, 0);

		assert_true(!memcmp(one, text, LENGTH));
		one[HUGE + 5] ^= 1;
		two[HUGE + PAGE] ^= 1;
		assert_unchanged(fd);
		assert_int_equal(one[HUGE + 5], text[HUGE + 5] ^ 1);
		assert_int_equal(two[HUGE + 5], text[HUGE + 5]);
		assert_int_equal(one[HUGE + PAGE], text[HUGE + PAGE]);
		/* What was not copied is the file's, or as it was when it was mapped. */
		all[HUGE + 2 * PAGE] ^= 4;
		assert_int_equal(one[HUGE + 2 * PAGE],
				 text[HUGE + 2 * PAGE] ^ (is_clone(kind) ? 0 : 4));
		all[HUGE] ^= 4;
		assert_int_equal(one[HUGE], text[HUGE]);
		assert_int_equal(two[HUGE], text[HUGE] ^ (is_clone(kind) ? 0 : 4));
		/* The copy goes when it is not wanted any more; a clone stays as it is. */
		assert_done(madvise(one, LENGTH, MADV_DONTNEED));
		assert_int_equal(one[HUGE + 5], text[HUGE + 5] ^ is_clone(kind));
		assert_int_equal(one[HUGE], is_clone(kind) ? text[HUGE] : all[HUGE]);
		munmap(all, LENGTH);
		munmap(one, LENGTH);
		munmap(two, LENGTH);
		close(fd);
	}
}

static void who_only_reads_may_copy_later(void **state)
{
	unsigned int kind;

	for (kind = 0; kind < KINDS; kind++) {
		int fd = make(kind);
		char *memory = map_kind(kind, fd, PROT_READ);

		assert_true(!memcmp(memory, text, LENGTH));
		assert_int_equal(probe_write(memory, 1), SIGSEGV);
		assert_done(mprotect(memory + PAGE, PAGE, RW));
		memory[PAGE] ^= 1;
		assert_int_equal(probe_write(memory, 1), SIGSEGV);
		assert_int_equal(probe_write(memory + 2 * PAGE, 1), SIGSEGV);
		assert_unchanged(fd);
		munmap(memory, LENGTH);
		close(fd);
	}
}

/* It sets a breakpoint: fails if others meet it, too. */
static void a_debugger_writes_what_the_program_may_not(void **state)
{
	unsigned int kind;

	for (kind = 0; kind < KINDS; kind++) {
		int fd = make(kind);
		char *memory = map_private(fd, LENGTH, PROT_READ | PROT_EXEC);
		pid_t pid = spawn();

		if (!pid) {
			need(!ptrace(PTRACE_TRACEME, 0, 0, 0));
			raise(SIGSTOP);
			need(!memcmp(memory + 3 * PAGE, "breakpt", 8));
			need(memory[4 * PAGE] == text[4 * PAGE]);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_done(
			ptrace(PTRACE_POKEDATA, pid, memory + 3 * PAGE, *(const long *)"breakpt"));
		assert_unchanged(fd);
		assert_true(!memcmp(memory, text, LENGTH));
		assert_done(ptrace(PTRACE_CONT, pid, 0, 0));
		assert_child_done(pid);
		munmap(memory, LENGTH);
		close(fd);
	}
}

static void copies_are_isolated_over_fork(void **state)
{
	unsigned int kind;

	for (kind = 0; kind < KINDS; kind++) {
		int fd = make(kind), talk[2];
		char *memory = map_kind(kind, fd, RW), byte;
		pid_t pid;

		memory[0] = 'p';
		assert_done(pipe(talk));
		pid = spawn();
		if (!pid) {
			need(memory[0] == 'p' && memory[HUGE] == text[HUGE]);
			memory[0] = 'c';
			memory[HUGE] = 'c';
			need(read(talk[0], &byte, 1) == 1);
			need(memory[0] == 'c' && memory[HUGE] == 'c');
			need(memory[PAGE] == text[PAGE]);
			_exit(0);
		}
		memory[0] = 'q';
		memory[PAGE] = 'q';
		assert_int_equal(write(talk[1], "", 1), 1);
		assert_child_done(pid);
		assert_int_equal(memory[0], 'q');
		assert_int_equal(memory[HUGE], text[HUGE]);
		assert_unchanged(fd);
		munmap(memory, LENGTH);
		close(fd);
	}
}

/* Whatever is done to its source. */
static void assert_clone_stays(int fd, char *memory)
{
	assert_done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LENGTH));
	assert_done(ftruncate(fd, HUGE / 2));
	memory[0] ^= 1;
	memory[HUGE] ^= 1;
	assert_true(!memcmp(memory, text, LENGTH));
	munmap(memory, LENGTH);
	close(fd);
}

/* A punch leaves copies alone, and what was not copied is zero; a truncation takes all. */
static void copies_outlive_a_punch_and_no_truncation(void **state)
{
	unsigned int kind;

	for (kind = 0; kind < KINDS; kind++) {
		int fd = make(kind);
		char *memory = map_kind(kind, fd, RW);

		assert_true(!memcmp(memory, text, LENGTH));
		memory[0] ^= 1;
		memory[HUGE] ^= 1;
		if (is_clone(kind)) {
			assert_clone_stays(fd, memory);
			continue;
		}
		assert_done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LENGTH));
		assert_int_equal(memory[0], text[0] ^ 1);
		assert_int_equal(memory[HUGE + 1], text[HUGE + 1]);
		assert_true(is_zero(memory + PAGE, HUGE - PAGE));
		assert_done(ftruncate(fd, HUGE / 2));
		assert_int_equal(memory[0], text[0] ^ 1);
		assert_int_equal(probe_read(memory + HUGE, NULL), SIGBUS);
		assert_done(ftruncate(fd, LENGTH));
		assert_true(is_zero(memory + HUGE, HUGE));
		munmap(memory, LENGTH);
		close(fd);
	}
}

/*
 * A huge frame that was cut, of a morsel that has grown again: fails if what was cut off is seen, as
 * where the kernel maps a frame as a whole.
 */
static void what_was_cut_off_is_not_seen(void **state)
{
	char *place = free_place(LENGTH), *memory;
	int fd = make(1);
	unsigned int i;

	assert_true(info_of(fd).huge_bytes == LENGTH);
	assert_done(ftruncate(fd, 3 * PAGE));
	assert_done(ftruncate(fd, LENGTH));
	for (i = 0; i < 2; i++) {
		/* Where spans could be mapped as a whole, and where not. */
		memory = mmap(place + i * PAGE, LENGTH, RW, MAP_PRIVATE | MAP_FIXED, fd, 0);
		assert_ptr_equal(memory, place + i * PAGE);
		assert_true(!memcmp(memory, text, PAGE));
		assert_int_equal(memory[PAGE], text[PAGE]);
		assert_true(is_zero(memory + 3 * PAGE, LENGTH - 3 * PAGE));
		memory[2 * PAGE] ^= 1;
		assert_int_equal(memory[2 * PAGE + 1], text[2 * PAGE + 1]);
		assert_done(pread(fd, scratch, 3 * PAGE, 0));
		assert_true(!memcmp(scratch, text, 3 * PAGE));
	}
}

/* All that the kernel does to private mappings of files. */
static void the_kernel_does_as_with_a_memfd(void **state)
{
	static const int advices[] = {
		MADV_NORMAL,	MADV_RANDOM,	  MADV_SEQUENTIAL,    MADV_WILLNEED,
		MADV_COLD,	MADV_PAGEOUT,	  MADV_HUGEPAGE,      MADV_NOHUGEPAGE,
		MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTDUMP,      MADV_DODUMP,
		MADV_DONTFORK,	MADV_DOFORK,	  MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		MADV_FREE,	MADV_REMOVE,	  MADV_WIPEONFORK,    MADV_KEEPONFORK,
	};
	int answers[ARRAY_SIZE(advices)] = {};
	unsigned int kind, i;

	for (kind = 0; kind < KINDS; kind++) {
		int fd = make(kind);
		char *memory = map_kind(kind, fd, RW), *larger;
		size_t more = is_clone(kind) ? 0 : HUGE + PAGE;
		unsigned char residence;

		memory[5 * PAGE] ^= 1;
		for (i = 0; i < ARRAY_SIZE(advices); i++) {
			int answer = madvise(memory, LENGTH, advices[i]) ? errno : 0;

			/* What is special is not told to be dumped, nor, by newer kernels, to be inherited. */
			if (is_clone(kind) && (advices[i] == MADV_DODUMP || advices[i] == MADV_DOFORK))
				continue;
			if (kind && answer != answers[i])
				fail_msg("kind %u, advice %d: %d, but a memfd's %d", kind,
					 advices[i], answer, answers[i]);
			answers[i] = answer;
		}
		/* khugepaged's call for programs: it may do something, or not. */
		madvise(memory, LENGTH, 25);
		assert_int_equal(memory[5 * PAGE], text[5 * PAGE] ^ 1);
		assert_done(mincore(memory, PAGE, &residence));
		assert_done(mlock(memory, LENGTH));
		assert_done(munlock(memory, LENGTH));
		assert_done(msync(memory, LENGTH, MS_SYNC));
		/* It grows, but a clone, and moves. */
		if (is_clone(kind))
			assert_ptr_equal(mremap(memory, LENGTH, LENGTH + HUGE, MREMAP_MAYMOVE),
					 MAP_FAILED);
		larger = mremap(memory, LENGTH, LENGTH + more, MREMAP_MAYMOVE | MREMAP_FIXED,
				free_place(LENGTH + more));
		assert_ptr_not_equal(larger, MAP_FAILED);
		assert_int_equal(larger[5 * PAGE], text[5 * PAGE] ^ 1);
		assert_int_equal(larger[6 * PAGE], text[6 * PAGE]);
		if (more)
			assert_int_equal(probe_read(larger + LENGTH, NULL), SIGBUS);
		assert_done(munmap(larger + PAGE, 3 * PAGE));
		assert_int_equal(larger[4 * PAGE], text[4 * PAGE]);
		munmap(larger, LENGTH + more);
		close(fd);
	}
	/* mlock() puts pages off in batches. */
	assert_soon(!pool_info().pinned_bytes);
}

/* A child that reads its private mapping, as fast as it can, sees nothing of what was punched before. */
static void a_punched_page_is_not_mapped_again(void **state)
{
	unsigned int i, kind, rounds = rounds_of(500);

	for (kind = 1; kind < 3; kind++) {
		int fd = create(HUGE, granules[kind - 1]);
		char *memory = map_private(fd, HUGE, PROT_READ), value, seen;
		pid_t pid = spawn();

		if (!pid) {
			for (;;)
				*(volatile char *)(memory + 3 * PAGE);
		}
		for (i = 0; i < rounds; i++) {
			struct iovec here = {&seen, 1}, there = {memory + 3 * PAGE, 1};

			value = 1 + i % 100;
			assert_int_equal(pwrite(fd, &value, 1, 3 * PAGE), 1);
			if (i % 2)
				sched_yield();
			assert_done(punch(fd, 0, 0));
			assert_int_equal(process_vm_readv(pid, &here, 1, &there, 1, 0), 1);
			assert_int_equal(seen, 0);
		}
		kill(pid, SIGKILL);
		assert_child_killed(pid, SIGKILL);
		munmap(memory, HUGE);
		close(fd);
	}
}

/* A copy of a file. */
static int copy_of(const char *path, uint32_t mode)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.flags = MORSEL_CREATE_CLOEXEC,
		.mode = mode,
		.pool = pool_info().id,
		.node = MORSEL_ANY,
	};
	int from = open(path, O_RDONLY | O_CLOEXEC), fd;
	ssize_t got;

	assert_done(from);
	assert_done(create_with(&args));
	fd = args.fd;
	while ((got = read(from, scratch, sizeof(scratch))) > 0)
		assert_int_equal(write(fd, scratch, got), got);
	assert_int_equal(got, 0);
	close(from);
	return fd;
}

static void programs_run(void **state)
{
	char *argv[] = {"true", NULL}, *envp[] = {NULL};
	int fd = copy_of("/bin/true", 0700);
	pid_t pid = spawn();

	if (!pid) {
		fexecve(fd, argv, envp);
		_exit(errno);
	}
	assert_int_equal(wait_child(pid), 0);
	/* Without the right to, nothing is lost. */
	assert_done(fchmod(fd, 0600));
	pid = spawn();
	if (!pid) {
		need(fexecve(fd, argv, envp) == -1 && errno == EACCES);
		_exit(0);
	}
	assert_child_done(pid);
}

static void libraries_load(void **state)
{
	void (*function)(const char *pattern);
	char path[256] = "";
	Dl_info info;
	void *copy;

	assert_int_not_equal(dladdr((void *)cmocka_set_skip_filter, &info), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", copy_of(info.dli_fname, 0600));
	copy = dlopen(path, RTLD_NOW);
	if (!copy)
		fail_msg("%s", dlerror());
	function = (void (*)(const char *))dlsym(copy, "cmocka_set_skip_filter");
	assert_true(function != cmocka_set_skip_filter);
	function(NULL);
	dlclose(copy);
}

/* Executable pages, written by way of another mapping before. */
static void code_runs(void **state)
{
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
	unsigned int kind;

	for (kind = 0; kind < KINDS; kind++) {
		int fd = make(kind);
		int (*function)(void);

		assert_int_equal(pwrite(fd, code, sizeof(code), 7 * PAGE), sizeof(code));
		function =
			(int (*)(void))(map_private(fd, LENGTH, PROT_READ | PROT_EXEC) + 7 * PAGE);
		assert_int_equal(function(), 42);
		close(fd);
	}
}

/* A full pool is told as other files tell that there is no room. */
static void what_cannot_be_had_gets_sigbus(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map_private(fd, 64 * MIB, PROT_READ);
	size_t at;

	assert_done(mprotect(memory, 64 * MIB, RW));
	assert_done(resize_pool(8 * HUGE));
	for (at = 0; at < 64 * MIB && !probe_read(memory + at, NULL); at += PAGE)
		;
	assert_in_range(at, 7 * HUGE, 8 * HUGE);
	assert_int_equal(probe_read(memory + at, NULL), SIGBUS);
	assert_int_equal(probe_write(memory + at, 1), SIGBUS);
	/* A copy is another matter. */
	assert_int_equal(probe_write(memory, 1), 0);
}

/* Clones, where whole spans are mapped. */

/* The private mapping of a morsel that is filled, and then closed: it holds that, as of any file. */
static char *map_clone(uint32_t granule)
{
	int fd = fill(create(LENGTH, granule));
	char *memory = map_private(fd, LENGTH, RW);

	close(fd);
	assert_int_equal(count_morsels(), 1);
	return memory;
}

static bool reads(const char *memory)
{
	return !memcmp(memory, text, LENGTH);
}

/* Who reads takes no fault but those that splice. */
static void reading_takes_no_faults(void **state)
{
	unsigned int i;

	for (i = 0; i < GRANULES; i++) {
		char *memory = map_clone(granules[i]);
		long before = minor_faults();
		size_t at;

		for (at = 0; at < LENGTH; at += PAGE)
			*(volatile char *)(memory + at);
		assert_in_range(minor_faults() - before, 0, 1);
		assert_true(reads(memory));
		munmap(memory, LENGTH);
	}
}

/* What a child reads is there once, whatever parts its mapping is of. */
static void a_child_shares_what_it_reads(void **state)
{
	unsigned int i;

	for (i = 0; i < GRANULES; i++) {
		char *memory = map_clone(granules[i]);
		uint64_t used;
		pid_t pid;

		memory[5 * PAGE] ^= 1;
		text[5 * PAGE] ^= 1;
		assert_done(mprotect(memory + HUGE, PAGE, PROT_READ));
		assert_done(mprotect(memory + 2 * PAGE, PAGE, PROT_NONE));
		used = pool_info().used_bytes;
		pid = spawn();
		if (!pid) {
			need(!mprotect(memory + 2 * PAGE, PAGE, RW));
			need(reads(memory));
			/* Some tables, and not twice, though there are five VMAs. */
			need(pool_info().used_bytes - used <= 8 * PAGE);
			need(!mprotect(memory + HUGE, PAGE, RW));
			memory[HUGE] ^= 1;
			memory[2 * PAGE] ^= 1;
			need(!reads(memory));
			memory[HUGE] ^= 1;
			memory[2 * PAGE] ^= 1;
			need(reads(memory));
			_exit(0);
		}
		assert_child_done(pid);
		assert_done(mprotect(memory + 2 * PAGE, PAGE, RW));
		assert_true(reads(memory));
		assert_done(munmap(memory + HUGE, PAGE));
		assert_done(munmap(memory, LENGTH));
		assert_soon(!pool_info().used_bytes);
	}
}

#define GENERATIONS 5

/* Each has what those before it had when it was forked, and writes its own; they end one by one. */
static _Noreturn void live_on(char *memory)
{
	unsigned int generation = 0, i;
	pid_t pid = 0;

	while (!pid && generation < GENERATIONS) {
		generation++;
		memory[generation * PAGE] = generation;
		pid = generation < GENERATIONS ? spawn() : 0;
	}
	memory[(GENERATIONS + generation) * PAGE] = generation;
	for (i = 1; i <= GENERATIONS; i++) {
		need(memory[i * PAGE] == (i <= generation ? (char)i : text[i * PAGE]));
		need(memory[(GENERATIONS + i) * PAGE] ==
		     (i == generation ? (char)i : text[(GENERATIONS + i) * PAGE]));
	}
	/* The old one goes before the young one, or after it. */
	if (generation % 2 == 0 && pid)
		need(!wait_child(pid));
	_exit(0);
}

static void generations_have_their_own(void **state)
{
	unsigned int i;

	for (i = 0; i < GRANULES; i++) {
		char *memory = map_clone(granules[i]);
		pid_t pid = spawn();

		if (!pid)
			live_on(memory);
		assert_child_done(pid);
		assert_true(reads(memory));
		munmap(memory, LENGTH);
		assert_soon(!pool_info().used_bytes);
	}
}

/* Where there is no memory for its tables, a child gets SIGBUS, and not the parent's memory. */
static void a_child_without_memory_is_told(void **state)
{
	unsigned int i;

	for (i = 0; i < GRANULES; i++) {
		char *memory = map_clone(granules[i]);
		pid_t pid;

		memory[0] ^= 1;
		assert_done(madvise(memory, LENGTH, MADV_KEEPONFORK));
		assert_done(limit_set(0, limit_of(0).used, 0));
		pid = spawn();
		if (!pid) {
			need(probe_read(memory, NULL) == SIGBUS);
			need(probe_write(memory + HUGE, 1) == SIGBUS);
			need(!mprotect(memory, PAGE, PROT_READ));
			need(!munmap(memory, HUGE));
			_exit(0);
		}
		assert_child_done(pid);
		assert_done(limit_set(0, 0, MORSEL_LIMIT_DEFAULT));
		memory[0] ^= 1;
		assert_true(reads(memory));
		munmap(memory, LENGTH);
	}
}

static _Noreturn void outlive_parent(char *memory, int said, int wait)
{
	char byte;

	fill_pattern(memory, LENGTH, 2);
	need(write(said, "", 1) == 1);
	need(read(wait, &byte, 1) == 1);
	need(has_pattern(memory, LENGTH, 2));
	need(write(said, "", 1) == 1);
	_exit(0);
}

/* A child holds nothing of what its parent had, and it has not. */
static void what_a_parent_had_goes_with_it(void **state)
{
	unsigned int i;

	for (i = 0; i < GRANULES; i++) {
		int said[2], wait[2];
		char byte;
		pid_t pid;

		assert_done(pipe(said));
		assert_done(pipe(wait));
		pid = spawn();
		if (!pid) {
			int fd = create(LENGTH, granules[i]);
			char *memory = map_private(fd, LENGTH, RW);

			close(fd);
			fill_pattern(memory, LENGTH, 1);
			if (!fork())
				outlive_parent(memory, said[1], wait[0]);
			need(read(said[0], &byte, 1) == 1);
			need(pool_info().used_bytes >= 2 * LENGTH);
			need(has_pattern(memory, LENGTH, 1));
			_exit(0);
		}
		assert_child_done(pid);
		assert_soon(pool_info().used_bytes < LENGTH + HUGE);
		assert_int_equal(write(wait[1], "", 1), 1);
		assert_int_equal(read(said[0], &byte, 1), 1);
		assert_soon(!pool_info().used_bytes);
		close(said[0]);
		close(said[1]);
		close(wait[0]);
		close(wait[1]);
	}
}

/* Where somebody has it mapped for writing, the kernel copies pages, and what is written there is seen. */
static void who_writes_is_not_made_to_copy(void **state)
{
	unsigned int i;

	for (i = 0; i < GRANULES; i++) {
		int fd = fill(create(LENGTH, granules[i]));
		char *all = map(fd, LENGTH, RW), *place, *memory;
		uint64_t frame;

		all[PAGE] ^= 1;
		frame = frame_at(fd, PAGE);
		memory = map_private(fd, LENGTH, RW);
		memory[0] ^= 1;
		assert_int_equal(all[0], text[0]);
		all[PAGE] ^= 1;
		assert_int_equal(frame_at(fd, PAGE), frame);
		assert_int_equal(memory[PAGE], text[PAGE]);
		assert_unchanged(fd);
		munmap(memory, LENGTH);
		/* In place of a part of that itself. */
		place = all + HUGE;
		assert_ptr_equal(mmap(place, HUGE, RW, MAP_PRIVATE | MAP_FIXED, fd, HUGE), place);
		place[5] ^= 1;
		all[5] ^= 1;
		assert_int_equal(pread(fd, scratch, LENGTH, 0), LENGTH);
		assert_int_equal(scratch[5], text[5] ^ 1);
		assert_int_equal(scratch[HUGE + 5], text[HUGE + 5]);
		munmap(all, LENGTH);
		close(fd);
	}
}

/* Who may not write to a morsel has nobody copy what is written, and sees it. */
static void readers_map_the_morsel_itself(void **state)
{
	unsigned int i, sealed;

	for (i = 0; i < GRANULES; i++) {
		int fd = fill(create_named("text", LENGTH, 0600)), reader;
		char *memory;

		for (sealed = 0; sealed < 2; sealed++) {
			if (sealed)
				close(clone_with(fd, MORSEL_CLONE_SNAPSHOT, "snapshot"));
			reader = open_with(0, sealed ? "snapshot" : "text", MORSEL_OPEN_READ_ONLY);
			assert_done(reader);
			memory = map_private(reader, LENGTH, RW);
			assert_true(reads(memory));
			memory[PAGE] ^= 1;
			assert_int_equal(pwrite(fd, "x", 1, 2 * PAGE), 1);
			assert_int_equal(memory[2 * PAGE], sealed ? text[2 * PAGE] : 'x');
			assert_int_equal(pwrite(fd, &text[2 * PAGE], 1, 2 * PAGE), 1);
			assert_unchanged(fd);
			munmap(memory, LENGTH);
			close(reader);
		}
		close(fd);
		assert_done(unlink_morsel(0, "text"));
		assert_done(unlink_morsel(0, "snapshot"));
	}
}

/* It is shown under the name of what was mapped, and nobody opens it. */
static void a_clone_is_shown_as_what_was_mapped(void **state)
{
	int fd = fill(create_named("shown", LENGTH, 0600));
	char *memory = map_private(fd, LENGTH, RW), path[96];
	uint64_t cursor = 0;
	struct morsel_info infos[4];
	struct statfs fs;
	int opened;

	assert_non_null(strstr(read_text("/proc/self/maps"), "shown"));
	assert_int_equal(count_morsels(), 1);
	assert_int_equal(list_step(dev, MORSEL_IOC_LIST, &cursor, infos, sizeof(infos[0]), 4), 1);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)memory,
		 (unsigned long)memory + LENGTH);
	assert_errno(open(path, O_RDWR), EACCES);
	assert_errno(truncate(path, LENGTH), EPERM);
	opened = open(path, O_PATH);
	assert_done(opened);
	/* The mapping is the process's own memory: it outlives all of that. */
	assert_done(unlink_morsel(0, "shown"));
	close(fd);
	assert_true(reads(memory));
	munmap(memory, LENGTH);
	assert_done(fstatfs(opened, &fs));
	close(opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_ones_own),
		TEST(who_only_reads_may_copy_later),
		TEST(a_debugger_writes_what_the_program_may_not),
		TEST(copies_are_isolated_over_fork),
		TEST(copies_outlive_a_punch_and_no_truncation),
		TEST(what_was_cut_off_is_not_seen),
		TEST(the_kernel_does_as_with_a_memfd),
		TEST(a_punched_page_is_not_mapped_again),
		TEST(programs_run),
		TEST(libraries_load),
		TEST(code_runs),
		KERNEL_TEST(what_cannot_be_had_gets_sigbus),
		TEST(reading_takes_no_faults),
		TEST(a_child_shares_what_it_reads),
		TEST(generations_have_their_own),
		TEST(a_child_without_memory_is_told),
		TEST(what_a_parent_had_goes_with_it),
		TEST(who_writes_is_not_made_to_copy),
		TEST(readers_map_the_morsel_itself),
		TEST(a_clone_is_shown_as_what_was_mapped),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
