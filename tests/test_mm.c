// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping through the life of an address space.
 */
#include "common.h"

#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* What a child returns, or 256 and the signal that killed it. */
static int in_child(int (*function)(void *), void *arg)
{
	int status;
	pid_t pid = spawn();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		_exit(function(arg));
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* More than one GiB, so that both kinds of splices are there. */
#define LENGTH (GIB + 8 * MIB)

static char *attach(int *fd)
{
	*fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	return map_at(NULL, *fd, LENGTH, PROT_READ | PROT_WRITE, 0);
}

static void detach(char *memory, int fd)
{
	assert_int_equal(munmap(memory, LENGTH), 0);
	close(fd);
}

static int child_reads_and_writes(void *memory)
{
	char *at = memory;

	if (at[0] != 1 || at[GIB] != 2)
		return 1;
	at[1] = 3;
	at[GIB + 1] = 4;
	return 0;
}

/* Fails if a child has nothing there, or a copy: what one writes, the other must see. */
static void fork_inherits(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	memory[GIB] = 2;
	assert_int_equal(in_child(child_reads_and_writes, memory), 0);
	assert_int_equal(memory[1], 3);
	assert_int_equal(memory[GIB + 1], 4);
	detach(memory, fd);
}

static int grandchild(void *memory)
{
	return in_child(child_reads_and_writes, memory);
}

/* The same of what was inherited already. */
static void fork_twice(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	memory[GIB] = 2;
	assert_int_equal(in_child(grandchild, memory), 0);
	assert_int_equal(memory[1], 3);
	detach(memory, fd);
}

static void ignore(int number)
{
}

struct pester {
	pthread_t whom;
	atomic_bool stop;
};

static void *pester(void *argument)
{
	struct pester *p = argument;
	uint32_t seed = 1;

	pin_to_cpu(1);
	while (!p->stop) {
		pthread_kill(p->whom, SIGUSR1);
		for (unsigned int i = rand_r(&seed) % 50000; i; i--)
			asm volatile("");
	}
	return NULL;
}

/*
 * A signal that comes in during fork must not leave the child without its memory: fails if its
 * first touch kills it.
 */
static void fork_under_signals(void **state)
{
	struct pester p = {.whom = pthread_self()};
	int fd, failed = 0;
	char *memory = attach(&fd);
	pthread_t thread;

	memory[0] = 1;
	memory[GIB] = 2;
	signal(SIGUSR1, ignore);
	pin_to_cpu(0);
	pthread_create(&thread, NULL, pester, &p);
	for (unsigned int i = 0; i < rounds_of(1000); i++)
		failed += in_child(child_reads_and_writes, memory) != 0;
	p.stop = true;
	pthread_join(thread, NULL);
	signal(SIGUSR1, SIG_DFL);
	assert_int_equal(failed, 0);
	detach(memory, fd);
}

/* Was this in the tables already when the process began? */
static int child_has_entries(void *memory)
{
	unsigned char there[2];

	return mincore(memory, PAGE, &there[0]) || mincore((char *)memory + GIB, PAGE, &there[1]) ||
	       there[0] || there[1];
}

/*
 * The advice takes a flag away that keeps fork from copying entries one by one.  Fails if it has
 * that effect: then the child's tables have entries that we know nothing of.
 */
static void fork_after_keeponfork(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);

	memory[0] = 1;
	memory[GIB] = 2;
	assert_int_equal(in_child(child_has_entries, memory), 0);
	assert_done(madvise(memory, LENGTH, MADV_KEEPONFORK));
	assert_int_equal(in_child(child_has_entries, memory), 0);
	assert_int_equal(in_child(child_reads_and_writes, memory), 0);
	assert_int_equal(memory[GIB + 1], 4);
	detach(memory, fd);
}

static int exec_true(void *memory)
{
	((char *)memory)[0] = 5;
	execl("/bin/busybox", "true", (char *)NULL);
	return 1;
}

/* Fails if the old address space's attachment stays, or takes along what was written. */
static void exec_drops_the_mapping(void **state)
{
	int fd;
	char *memory = attach(&fd);

	assert_int_equal(in_child(exec_true, memory), 0);
	assert_int_equal(memory[0], 5);
	assert_int_equal(info_of(fd).attachments, 1);
	detach(memory, fd);
}

static int touch_and_return(void *memory)
{
	((char *)memory)[GIB] = 6;
	return 7;
}

/* Fails if an attachment outlives its process, or takes along what that wrote. */
static void exit_detaches(void **state)
{
	int fd;
	char *memory = attach(&fd);

	assert_int_equal(in_child(touch_and_return, memory), 7);
	assert_int_equal(memory[GIB], 6);
	assert_int_equal(info_of(fd).attachments, 1);
	detach(memory, fd);
}

static int kill_myself(void *memory)
{
	((char *)memory)[0] = 8;
	kill(getpid(), SIGKILL);
	return 0;
}

/* The same where the process has no say. */
static void kill_9_detaches(void **state)
{
	int fd;
	char *memory = attach(&fd);

	assert_int_equal(in_child(kill_myself, memory), 256 + SIGKILL);
	assert_int_equal(memory[0], 8);
	assert_int_equal(info_of(fd).attachments, 1);
	detach(memory, fd);
}

static int own_and_die(void *unused)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map_at(NULL, fd, 64 * MIB, PROT_READ | PROT_WRITE, 0);

	for (size_t i = 0; i < 64 * MIB; i += 64 * KIB)
		memory[i] = 1;
	kill(getpid(), SIGKILL);
	return 0;
}

static void kill_9_of_the_owner_frees(void **state)
{
	uint64_t before = pool_info().used_bytes;

	assert_int_equal(in_child(own_and_die, NULL), 256 + SIGKILL);
	assert_int_equal(pool_info().used_bytes, before);
}

/* Fails if the memory can still be read, or if the attachment stays. */
static void munmap_whole(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	assert_int_equal(munmap(memory, LENGTH), 0);
	assert_int_equal(probe_read(memory, NULL), SIGSEGV);
	assert_int_equal(info_of(fd).attachments, 0);
	close(fd);
}

/* Fails if the part can still be read, or if more than that goes. */
static void munmap_part_at_2m(void **state)
{
	int fd;
	char *memory = attach(&fd);
	/* Spans all over, and those beside the part; each takes a while to be cleared. */
	const size_t few = 16 * MIB, many = 64 * MIB;

	for (size_t i = 0; i < LENGTH; i += i < few ? HUGE : many)
		memory[i] = i / HUGE;
	assert_int_equal(munmap(memory + 4 * MIB, 6 * MIB), 0);
	for (size_t i = 0; i < LENGTH; i += i < few ? HUGE : many) {
		if (i >= 4 * MIB && i < 10 * MIB)
			assert_int_equal(probe_read(memory + i, NULL), SIGSEGV);
		else
			assert_int_equal((unsigned char)memory[i], i / HUGE % 256);
	}
	detach(memory, fd);
}

/*
 * Fails if a GiB stays spliced as a whole that is not one mapping's any more: the neighbour's page
 * would be everybody's.
 */
static void a_neighbour_may_move_in(void **state)
{
	int fd;
	char *memory = attach(&fd), *neighbour;

	memory[0] = 1;
	memory[512 * MIB] = 2;
	assert_int_equal(munmap(memory + 256 * MIB, 128 * MIB), 0);
	/* Ordinary memory in the same GiB: the morsel's tables must not get its pages. */
	neighbour = mmap(memory + 256 * MIB, 128 * MIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	assert_ptr_equal(neighbour, memory + 256 * MIB);
	neighbour[0] = 9;
	assert_int_equal(memory[0], 1);
	assert_int_equal(memory[512 * MIB], 2);
	char *other = map_at(NULL, fd, LENGTH, PROT_READ, 0);

	assert_int_equal(other[256 * MIB], 0);
	munmap(other, LENGTH);
	detach(memory, fd);
}

/* Fails if the data does not come along, or if the old place still shows it. */
static void mremap_moves(void **state)
{
	int fd;
	char *memory = attach(&fd), *target, *moved;

	memory[0] = 1;
	memory[GIB] = 2;
	target = mmap(NULL, LENGTH + 2 * GIB, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(target, MAP_FAILED);
	target = (char *)(((uintptr_t)target + GIB - 1) & ~(GIB - 1));
	moved = mremap(memory, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	assert_ptr_equal(moved, target);
	assert_int_equal(moved[0], 1);
	assert_int_equal(moved[GIB], 2);
	assert_int_equal(probe_read(memory, NULL), SIGSEGV);
	detach(moved, fd);
	munmap(target, LENGTH + GIB);
}

/* Fails if the mapping grows: what is added would not be its attachment's. */
static void mremap_does_not_grow(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	assert_ptr_equal(mremap(memory, LENGTH, LENGTH + HUGE, MREMAP_MAYMOVE), MAP_FAILED);
	assert_int_equal(memory[0], 1);
	detach(memory, fd);
}

/* Fails if the tail can still be read, or if the head goes with it. */
static void mremap_shrinks_at_2m(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	memory[GIB] = 2;
	assert_ptr_equal(mremap(memory, LENGTH, GIB / 2, 0), memory);
	assert_int_equal(memory[0], 1);
	assert_int_equal(probe_read(memory + GIB, NULL), SIGSEGV);
	detach(memory, fd);
}

/*
 * Fails if a right still holds that was taken away, comes back by another mapping's writes, or goes
 * from that, too.
 */
static void mprotect_holds_and_is_one_process_own(void **state)
{
	int fd;
	char *memory = attach(&fd), *other = map_at(NULL, fd, LENGTH, PROT_READ | PROT_WRITE, 0);

	memory[0] = 1;
	memory[GIB] = 2;
	other[0] = 1;
	assert_int_equal(mprotect(memory, LENGTH, PROT_READ), 0);
	assert_int_equal(probe_write(memory, 1), SIGSEGV);
	assert_int_equal(probe_write(memory + GIB, 1), SIGSEGV);
	/* Another mapping writes on, and its writing does not give the right back to the first. */
	assert_int_equal(probe_write(other, 1), 0);
	assert_int_equal(probe_write(other + GIB, 1), 0);
	assert_int_equal(probe_write(memory, 1), SIGSEGV);
	assert_int_equal(memory[0], 1);
	assert_int_equal(mprotect(memory, LENGTH, PROT_READ | PROT_WRITE), 0);
	memory[0] = 3;
	assert_int_equal(other[0], 3);
	munmap(other, LENGTH);
	detach(memory, fd);
}

/*
 * Another process writes on while this one may only read, and reads what that wrote: fails if the
 * leaves that change are those of both.
 */
static void mprotect_leaves_other_processes_alone(void **state)
{
	int fd, to[2], from[2];
	char *memory = attach(&fd), byte;
	pid_t pid;

	memory[0] = 1;
	memory[GIB] = 2;
	assert_done(pipe(to));
	assert_done(pipe(from));
	pid = spawn();
	if (!pid) {
		/* What was inherited, and what it mapped itself. */
		char *own = map(fd, LENGTH, RW);

		need(!probe_write(memory, 1) && !probe_write(own + GIB, 2));
		need(write(from[1], "", 1) == 1 && read(to[0], &byte, 1) == 1);
		need(!probe_write(memory, 3) && !probe_write(memory + GIB, 4));
		need(!probe_write(own + 1, 5));
		need(write(from[1], "", 1) == 1 && read(to[0], &byte, 1) == 1);
		need(memory[0] == 3 && own[GIB] == 4);
		_exit(0);
	}
	assert_int_equal(read(from[0], &byte, 1), 1);
	assert_done(mprotect(memory, LENGTH, PROT_READ));
	assert_int_equal(write(to[1], "", 1), 1);
	assert_int_equal(read(from[0], &byte, 1), 1);
	assert_int_equal(memory[0], 3);
	assert_int_equal(memory[GIB], 4);
	assert_int_equal(probe_write(memory, 9), SIGSEGV);
	assert_int_equal(probe_write(memory + GIB, 9), SIGSEGV);
	assert_int_equal(write(to[1], "", 1), 1);
	assert_child_done(pid);
}

/* Fails if the part can be written, or if what is beside it cannot. */
static void mprotect_part_at_2m(void **state)
{
	int fd;
	char *memory = attach(&fd);

	for (size_t i = 0; i < 8 * MIB; i += HUGE)
		memory[i] = 1;
	assert_int_equal(mprotect(memory + HUGE, HUGE, PROT_READ), 0);
	assert_int_equal(probe_write(memory, 1), 0);
	assert_int_equal(probe_write(memory + HUGE, 1), SIGSEGV);
	assert_int_equal(probe_write(memory + 2 * HUGE, 1), 0);
	detach(memory, fd);
}

/*
 * Fails if memory can be read that must not be; or if it is lost, as when the kernel, where it
 * walks before the change, finds a huge leaf to split.
 */
static void mprotect_none_hides(void **state)
{
	int fd;
	char *memory = attach(&fd), *hidden;

	memory[0] = 1;
	assert_int_equal(mprotect(memory, LENGTH, PROT_NONE), 0);
	assert_int_equal(probe_read(memory, NULL), SIGSEGV);
	assert_int_equal(mprotect(memory, LENGTH, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(memory[0], 1);
	hidden = map_at(NULL, fd, LENGTH, PROT_NONE, 0);
	assert_int_equal(probe_read(hidden, NULL), SIGSEGV);
	munmap(hidden, LENGTH);
	detach(memory, fd);
}

static int execute(void *code)
{
	return ((int (*)(void))code)();
}

static void execution_only_where_asked_for(void **state)
{
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
	int fd = create(GIB, MORSEL_GRANULE_AUTO);
	char *memory = map_at(NULL, fd, GIB, PROT_READ | PROT_WRITE, 0);
	char *executable = map_at(NULL, fd, GIB, PROT_READ | PROT_EXEC, 0);

	memcpy(memory, code, sizeof(code));
	assert_int_equal(in_child(execute, executable), 42);
	assert_int_equal(in_child(execute, memory), 256 + SIGSEGV);
	munmap(memory, GIB);
	munmap(executable, GIB);
	close(fd);
}

/* Fails if what goes out of the tables of one process goes out of the morsel. */
static void madvise_dontneed_keeps_shared_data(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	memory[GIB] = 2;
	assert_int_equal(madvise(memory, LENGTH, MADV_DONTNEED), 0);
	assert_int_equal(memory[0], 1);
	assert_int_equal(memory[GIB], 2);
	detach(memory, fd);
}

/* Fails if there is no hole in the morsel, or a larger one than was asked for. */
static void madvise_remove_punches(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	memory[HUGE] = 2;
	assert_int_equal(madvise(memory, HUGE, MADV_REMOVE), 0);
	assert_int_equal(info_of(fd).frame_bytes, HUGE);
	assert_int_equal(memory[0], 0);
	assert_int_equal(memory[HUGE], 2);
	detach(memory, fd);
}

static void madvise_of_every_value_loses_nothing(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	memory[GIB] = 2;
	for (int advice = 0; advice < 30; advice++) {
		/* REMOVE frees by intention; DONTFORK would be seen by later tests' forks only. */
		if (advice == MADV_REMOVE || advice == MADV_POPULATE_WRITE ||
		    advice == MADV_POPULATE_WRITE - 1)
			continue;
		madvise(memory, LENGTH, advice);
		assert_int_equal(memory[0], 1);
		assert_int_equal(memory[GIB], 2);
	}
	assert_int_equal(madvise(memory, 4 * HUGE, MADV_POPULATE_WRITE), 0);
	detach(memory, fd);
}

/*
 * Fails if the morsel still shows where other memory came, or if what is written to that goes into
 * the morsel.
 */
static void map_fixed_over_whole_and_part(void **state)
{
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	memory[HUGE] = 2;
	assert_ptr_equal(mmap(memory, HUGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 memory);
	assert_int_equal(memory[0], 0);
	memory[0] = 9;
	assert_int_equal(memory[HUGE], 2);
	assert_ptr_equal(
		mmap(memory, LENGTH, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		memory);
	assert_int_equal(memory[HUGE], 0);
	assert_int_equal(info_of(fd).attachments, 0);
	memory = mmap(memory, LENGTH, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(memory[0], 1);
	assert_int_equal(memory[HUGE], 2);
	detach(memory, fd);
}

static void two_mappings_in_one_process(void **state)
{
	int fd;
	char *memory = attach(&fd),
	     *shifted = map_at(NULL, fd, 64 * MIB, PROT_READ | PROT_WRITE, 512 * MIB);

	memory[512 * MIB] = 1;
	assert_int_equal(shifted[0], 1);
	shifted[63 * MIB] = 2;
	assert_int_equal(memory[575 * MIB], 2);
	munmap(shifted, 64 * MIB);
	assert_int_equal(memory[512 * MIB], 1);
	detach(memory, fd);
}

/* Threads that touch pages, one on each processor, while the test does something to the mapping. */
struct touchers {
	pthread_t threads[2];
	char *memory;
	size_t length;
	atomic_bool stop;
	atomic_ulong touched;
};

static void *touch(void *argument)
{
	struct touchers *all = argument;
	uint64_t seed = (uintptr_t)pthread_self();
	atomic_ulong *count = &all->touched;

	pin_to_cpu(atomic_fetch_add(count, 1) % 2);
	while (!all->stop) {
		size_t at = random_next(&seed) * PAGE % all->length;
		int number = seed & 256 ? probe_write(all->memory + at, 1)
					: probe_read(all->memory + at, NULL);

		/* Where the test has unmapped or protected, SIGSEGV is right. */
		if (number && number != SIGSEGV) {
			all->stop = true;
			return (void *)(uintptr_t)number;
		}
		atomic_fetch_add(count, 1);
	}
	return NULL;
}

static void touchers_start(struct touchers *all, char *memory, size_t length)
{
	memset(all, 0, sizeof(*all));
	all->memory = memory;
	all->length = length;
	for (size_t i = 0; i < ARRAY_SIZE(all->threads); i++)
		assert_int_equal(pthread_create(&all->threads[i], NULL, touch, all), 0);
	while (all->touched < 100)
		sched_yield();
}

/* Now and then a round waits for them, so that they have part in it. */
static void touchers_take_part(struct touchers *all, unsigned int round)
{
	unsigned long before = all->touched;
	unsigned int tries = 0;

	while (round % 16 == 15 && all->touched - before < 4 && !all->stop)
		relax(&tries);
}

static void touchers_stop(struct touchers *all)
{
	void *result;

	all->stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(all->threads); i++) {
		pthread_join(all->threads[i], &result);
		assert_null(result);
	}
}

/* After a race: every frame that the morsel counts is found in its extents, and nothing else. */
static void check_frames(int fd)
{
	static struct morsel_extent extents[4096];
	struct morsel_list list = {
		.size = sizeof(list),
		.entries = (uintptr_t)extents,
		.entry_size = sizeof(extents[0]),
	};
	uint64_t frames = 0, next = 0;

	do {
		list.count = ARRAY_SIZE(extents);
		assert_int_equal(ioctl(fd, MORSEL_IOC_EXTENTS, &list), 0);
		for (unsigned int i = 0; i < list.count; i++) {
			assert_int_equal(extents[i].offset, next);
			next += extents[i].length;
			if (extents[i].level == MORSEL_LEVEL_4K ||
			    extents[i].level == MORSEL_LEVEL_2M)
				frames += extents[i].length;
		}
	} while (list.count);
	assert_int_equal(next, info_of(fd).length);
	assert_int_equal(frames, info_of(fd).frame_bytes);
}

#define ROUNDS rounds_of(10000)

/* Fails if two faults at one page leave a frame too many, or if one of them ends in SIGBUS. */
static void threads_fault_at_once(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map_at(NULL, fd, 64 * MIB, PROT_READ | PROT_WRITE, 0);
	struct touchers touchers;

	touchers_start(&touchers, memory, 64 * MIB);
	for (size_t i = 0; i < 64 * MIB; i += PAGE)
		memory[i] = 1;
	touchers_stop(&touchers);
	assert_int_equal(info_of(fd).frame_bytes, 64 * MIB);
	check_frames(fd);
	assert_int_equal(munmap(memory, 64 * MIB), 0);
	close(fd);
}

/*
 * Fails if a fault splices where the kernel is unmapping: that would clear the morsel's entries,
 * and frames that are counted would be in no extent.
 */
static void fault_against_munmap(void **state)
{
	struct touchers touchers;
	int fd;
	char *memory = attach(&fd);

	touchers_start(&touchers, memory, LENGTH);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t at = i * 5 % 500 * HUGE;

		assert_int_equal(munmap(memory + at, 4 * HUGE), 0);
		assert_ptr_equal(mmap(memory + at, 4 * HUGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED, fd, at),
				 memory + at);
		touchers_take_part(&touchers, i);
	}
	touchers_stop(&touchers);
	check_frames(fd);
	detach(memory, fd);
}

/* The same where all of it goes. */
static void fault_against_munmap_of_all(void **state)
{
	struct touchers touchers;
	int fd;
	char *memory = attach(&fd);

	touchers_start(&touchers, memory, LENGTH);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		assert_int_equal(munmap(memory, LENGTH), 0);
		assert_ptr_equal(
			mmap(memory, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
			memory);
		touchers_take_part(&touchers, i);
	}
	touchers_stop(&touchers);
	check_frames(fd);
	detach(memory, fd);
}

/*
 * Fails if a fault splices what is being protected with the rights from before: a write gets
 * through.
 */
static void fault_against_mprotect(void **state)
{
	struct touchers touchers;
	int fd;
	char *memory = attach(&fd);

	touchers_start(&touchers, memory, LENGTH);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t at = i * 3 % 500 * HUGE;

		assert_int_equal(mprotect(memory + at, 2 * HUGE, PROT_READ), 0);
		touchers_take_part(&touchers, i);
		assert_int_equal(probe_write(memory + at, 1), SIGSEGV);
		assert_int_equal(mprotect(memory + at, 2 * HUGE, PROT_READ | PROT_WRITE), 0);
		assert_int_equal(probe_write(memory + at, 1), 0);
	}
	touchers_stop(&touchers);
	detach(memory, fd);
}

static void fault_against_punch(void **state)
{
	struct touchers touchers;
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map_at(NULL, fd, 64 * MIB, PROT_READ | PROT_WRITE, 0);
	char *reader = map_at(NULL, fd, 64 * MIB, PROT_READ, 0);

	touchers_start(&touchers, memory, 32 * MIB);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t at = i * 7 % 8000 * PAGE;

		assert_int_equal(punch(fd, at, 64 * PAGE), 0);
		/* Out of the threads' reach: what was written before the punch is gone for all. */
		memory[32 * MIB + at] = 1;
		assert_int_equal(reader[32 * MIB + at], 1);
		assert_int_equal(punch(fd, 32 * MIB + at, PAGE), 0);
		assert_int_equal(reader[32 * MIB + at], 0);
		assert_int_equal(memory[32 * MIB + at], 0);
		touchers_take_part(&touchers, i);
	}
	touchers_stop(&touchers);
	check_frames(fd);
	munmap(memory, 64 * MIB);
	munmap(reader, 64 * MIB);
	close(fd);
}

/*
 * Fails if fork() among the parent's faults costs the child its memory, or if a fault ends in
 * SIGBUS.
 */
static void fault_against_fork(void **state)
{
	unsigned int rounds = rounds_of(1000);
	struct touchers touchers;
	int fd;
	char *memory = attach(&fd);

	memory[0] = 1;
	memory[GIB] = 2;
	touchers_start(&touchers, memory + HUGE, GIB - HUGE);
	for (unsigned int i = 0; i < rounds; i++) {
		assert_int_equal(in_child(child_reads_and_writes, memory), 0);
		touchers_take_part(&touchers, i);
	}
	touchers_stop(&touchers);
	detach(memory, fd);
}

/* As against munmap(): fails if the kernel clears entries that are the morsel's. */
static void fault_against_madvise(void **state)
{
	struct touchers touchers;
	int fd;
	char *memory = attach(&fd);

	touchers_start(&touchers, memory, LENGTH);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		assert_int_equal(madvise(memory + i * 3 % 500 * HUGE, 8 * HUGE, MADV_DONTNEED), 0);
		touchers_take_part(&touchers, i);
	}
	touchers_stop(&touchers);
	check_frames(fd);
	detach(memory, fd);
}

static int open_scratch(char **buffer, size_t size)
{
	int fd = open("/scratch/direct", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);

	if (fd < 0) {
		print_message("no file system for O_DIRECT at /scratch: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(posix_memalign((void **)buffer, PAGE, size), 0);
	for (size_t i = 0; i < size; i++)
		(*buffer)[i] = i / 7;
	assert_int_equal(pwrite(fd, *buffer, size, 0), size);
	return fd;
}

/*
 * Fails if the kernel gets no frames for O_DIRECT, of holes or of what is spliced, or others than
 * the CPU sees.
 */
static void direct_io_into_and_out_of(void **state)
{
	char *buffer, *memory;
	int fd, file = open_scratch(&buffer, 8 * MIB);

	for (int granule = 0; granule <= MORSEL_GRANULE_4K; granule += MORSEL_GRANULE_4K) {
		fd = create(LENGTH, granule);
		memory = map_at(NULL, fd, LENGTH, PROT_READ | PROT_WRITE, 0);
		/* Into holes; then out of memory that was spliced meanwhile. */
		assert_int_equal(pread(file, memory + GIB - MIB, 4 * MIB, 0), 4 * MIB);
		assert_memory_equal(memory + GIB - MIB, buffer, 4 * MIB);
		memory[GIB] ^= 1;
		assert_int_equal(pwrite(file, memory + GIB, PAGE, 0), PAGE);
		assert_int_equal(pread(file, memory, PAGE, 0), PAGE);
		assert_memory_equal(memory, memory + GIB, PAGE);
		assert_int_equal(pwrite(file, buffer, PAGE, 0), PAGE);
		detach(memory, fd);
	}
	free(buffer);
	close(file);
}

/*
 * Fails if a leaf may be written where the mapping may not: get_user_pages_fast() asks nothing
 * else.
 */
static void direct_read_into_read_only_is_refused(void **state)
{
	char *buffer, *memory, *reader;
	int fd, file = open_scratch(&buffer, HUGE);

	for (int granule = 0; granule <= MORSEL_GRANULE_4K; granule += MORSEL_GRANULE_4K) {
		fd = create(LENGTH, granule);
		memory = map_at(NULL, fd, LENGTH, PROT_READ | PROT_WRITE, 0);
		memset(memory, 0x55, HUGE);
		memset(memory + GIB, 0x55, HUGE);
		reader = map_at(NULL, fd, LENGTH, PROT_READ, 0);
		/* The CPU reads it first, so that the tables are there for get_user_pages_fast().
		 */
		assert_int_equal(reader[0], 0x55);
		assert_int_equal(reader[GIB], 0x55);
		for (size_t at = 0; at <= GIB; at += GIB) {
			assert_int_equal(pread(file, reader + at, HUGE, 0), -1);
			assert_int_equal(errno, EFAULT);
			for (size_t i = 0; i < HUGE; i++)
				assert_int_equal(memory[at + i], 0x55);
		}
		munmap(reader, LENGTH);
		detach(memory, fd);
	}
	free(buffer);
	close(file);
}

/*
 * By way of the kernel, memory that is only readable is only readable too: fails if one of the ways
 * writes.
 */
static void the_kernel_does_not_write_read_only_memory(void **state)
{
	char text[4 * KIB] = "text";
	struct iovec local = {text, sizeof(text)}, remote;
	int fd, mem, pipes[2];
	char *memory = attach(&fd), *reader;

	fill_pattern(memory, PAGE, 1);
	fill_pattern(memory + GIB, PAGE, 2);
	reader = map(fd, LENGTH, PROT_READ);
	assert_true(has_pattern(reader, PAGE, 1));
	assert_true(has_pattern(reader + GIB, PAGE, 2));
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	assert_true(mem >= 0);
	assert_done(pipe(pipes));
	for (size_t at = 0; at <= GIB; at += GIB) {
		remote = (struct iovec){reader + at, sizeof(text)};
		assert_errno(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), EFAULT);
		assert_int_equal(pwrite(mem, text, sizeof(text), (off_t)(uintptr_t)reader + at),
				 -1);
		assert_int_equal(write(pipes[1], text, sizeof(text)), sizeof(text));
		assert_errno(read(pipes[0], reader + at, sizeof(text)), EFAULT);
		assert_int_equal(pread(mem, text, sizeof(text), (off_t)(uintptr_t)reader + at),
				 sizeof(text));
	}
	assert_true(has_pattern(memory, PAGE, 1));
	assert_true(has_pattern(memory + GIB, PAGE, 2));
	assert_true(has_pattern(text, PAGE, 2));
}

/*
 * Fails if O_DIRECT still finds a leaf that may be written after mprotect(), or by a read-only
 * descriptor.
 */
static void direct_read_after_mprotect_is_refused(void **state)
{
	char *buffer, *memory, *reader;
	int fd, read_only, file = open_scratch(&buffer, HUGE);

	fd = create_named("direct", LENGTH, 0600);
	memory = map(fd, LENGTH, RW);
	fill_pattern(memory, HUGE, 1);
	fill_pattern(memory + GIB, HUGE, 2);
	reader = map(fd, LENGTH, RW);
	/* It could be written, and was. */
	assert_int_equal(probe_write(reader + GIB - 1, 1), 0);
	assert_int_equal(pread(file, reader + 2 * HUGE, PAGE, 0), PAGE);
	assert_done(mprotect(reader, LENGTH, PROT_READ));
	assert_errno(pread(file, reader, HUGE, 0), EFAULT);
	assert_errno(pread(file, reader + GIB, HUGE, 0), EFAULT);
	assert_errno(pread(file, reader + 2 * HUGE, PAGE, 0), EFAULT);
	munmap(reader, LENGTH);

	read_only = open_with(0, "direct", MORSEL_OPEN_READ_ONLY);
	reader = map(read_only, LENGTH, PROT_READ);
	assert_int_equal(probe_read(reader, NULL), 0);
	assert_errno(pread(file, reader, HUGE, 0), EFAULT);
	assert_errno(pread(file, reader + GIB, HUGE, 0), EFAULT);
	/* Out of it is another matter. */
	assert_int_equal(pwrite(file, reader + GIB, HUGE, 0), HUGE);
	assert_true(has_pattern(memory, HUGE, 1));
	assert_true(has_pattern(memory + GIB, HUGE, 2));
	free(buffer);
}

/* Fails if a debugger reaches nothing there, or other memory than the program. */
static void ptrace_reads_and_writes(void **state)
{
	struct iovec local, remote;
	char text[8] = "";
	int fd, status;
	char *memory = attach(&fd);
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(memory[GIB]);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	memory[0] = 'm';
	assert_int_equal(ptrace(PTRACE_PEEKDATA, pid, memory, 0) & 0xff, 'm');
	assert_int_equal(ptrace(PTRACE_POKEDATA, pid, memory + GIB, 77), 0);
	assert_int_equal(memory[GIB], 77);
	local = (struct iovec){text, sizeof(text)};
	remote = (struct iovec){memory, sizeof(text)};
	assert_int_equal(process_vm_readv(pid, &local, 1, &remote, 1, 0), sizeof(text));
	assert_int_equal(text[0], 'm');
	text[1] = 'o';
	assert_int_equal(process_vm_writev(pid, &local, 1, &remote, 1, 0), sizeof(text));
	assert_int_equal(memory[1], 'o');
	assert_int_equal(ptrace(PTRACE_CONT, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 77);
	detach(memory, fd);
}

/*
 * Most children call exec(), and the first attachment of an address space is dear.  Fails if a child
 * that has not looked has one.
 */
static void a_child_attaches_when_it_looks(void **state)
{
	int fd, go[2];
	char *memory = attach(&fd), byte;
	pid_t pid;

	memory[0] = 'm';
	assert_done(pipe(go));
	pid = spawn();
	if (!pid) {
		need(read(go[0], &byte, 1) == 1);
		need(memory[0] == 'm');
		need(read(go[0], &byte, 1) == 1);
		_exit(0);
	}
	assert_int_equal(info_of(fd).attachments, 1);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_soon(info_of(fd).attachments == 2);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_child_done(pid);
	assert_int_equal(info_of(fd).attachments, 1);
	detach(memory, fd);
}

/*
 * A debugger looks into a child that has touched nothing yet, and at memory that the program has
 * taken its own rights away from.  Fails if it sees less than of any other file.
 */
static void a_debugger_sees_what_the_program_does_not(void **state)
{
	int fd, status;
	char *memory = attach(&fd);
	char path[64];
	int mem;
	pid_t pid;

	memory[0] = 'm';
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		mprotect(memory, LENGTH, PROT_NONE);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(info_of(fd).attachments, 1);
	assert_int_equal(ptrace(PTRACE_PEEKDATA, pid, memory, 0) & 0xff, 'm');
	assert_int_equal(ptrace(PTRACE_POKEDATA, pid, memory + GIB, 77), 0);
	assert_int_equal(memory[GIB], 77);
	/* A hole reads as zeros, and stays one. */
	errno = 0;
	assert_int_equal(ptrace(PTRACE_PEEKDATA, pid, memory + GIB - HUGE, 0), 0);
	assert_int_equal(errno, 0);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(mem, "no", 2, (off_t)(uintptr_t)memory), 2);
	assert_int_equal(memory[1], 'o');

	assert_int_equal(ptrace(PTRACE_CONT, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(ptrace(PTRACE_PEEKDATA, pid, memory, 0) & 0xff, 'n');
	assert_errno(ptrace(PTRACE_POKEDATA, pid, memory, 1), EIO);
	close(mem);
	assert_int_equal(ptrace(PTRACE_CONT, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	detach(memory, fd);
}

static size_t read_all(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t done = 0;
	ssize_t got;

	assert_true(fd >= 0);
	while (done < size - 1 && (got = read(fd, buffer + done, size - 1 - done)) > 0)
		done += got;
	buffer[done] = 0;
	close(fd);
	return done;
}

/*
 * Fails if maps or smaps does not name the morsel, or if reading such files or clearing bits costs
 * data.
 */
static void proc_pid_files(void **state)
{
	static const char *const files[] = {"maps",	 "smaps",  "smaps_rollup",
					    "numa_maps", "status", "statm"};
	static char text[1 << 20];
	int fd = create_named("a-name", LENGTH, 0600), pagemap, refs;
	char *memory, path[64];
	uint64_t entry;

	assert_true(fd >= 0);
	memory = map_at(NULL, fd, LENGTH, PROT_READ | PROT_WRITE, 0);
	memory[0] = 1;
	memory[GIB] = 2;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		assert_true(read_all(path, text, sizeof(text)) > 0);
		if (i < 2)
			assert_non_null(strstr(text, "/morsel:/a-name"));
	}
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	read_all(path, text, sizeof(text));
	assert_non_null(strstr(text, "morsel-name:	a-name"));
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	assert_int_equal(
		pread(pagemap, &entry, sizeof(entry), (uintptr_t)memory / PAGE * sizeof(entry)),
		sizeof(entry));
	assert_true(entry >> 63);
	close(pagemap);
	for (char what = '1'; what <= '4'; what++) {
		refs = open("/proc/self/clear_refs", O_WRONLY);
		assert_int_equal(write(refs, &what, 1), 1);
		close(refs);
		assert_int_equal(memory[0], 1);
		memory[GIB]++;
	}
	assert_int_equal(memory[GIB], 6);
	assert_done(unlink_morsel(0, "a-name"));
	detach(memory, fd);
}

/*
 * The debugger's write splices on behalf of a process that never touched the memory: fails if that
 * finds something else there.
 */
static void proc_pid_mem_reaches_another_process(void **state)
{
	char path[64], text[8] = "";
	int fd, mem, go[2];
	char *memory = attach(&fd);
	pid_t pid;

	assert_done(pipe(go));
	pid = spawn();
	if (!pid) {
		close(go[1]);
		need(read(go[0], text, 1) == 0);
		need(!strcmp(memory + GIB - 2, "across"));
		_exit(0);
	}
	close(go[0]);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	assert_true(mem >= 0);
	assert_int_equal(pwrite(mem, "across", 7, (off_t)(uintptr_t)memory + GIB - 2), 7);
	assert_string_equal(memory + GIB - 2, "across");
	assert_int_equal(pread(mem, text, 7, (off_t)(uintptr_t)memory + GIB - 2), 7);
	assert_string_equal(text, "across");
	close(go[1]);
	assert_child_done(pid);
}

/* What the kernel says of a page and what the module says of it: fails if these are two frames. */
static void pagemap_agrees_with_extents(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = create(LENGTH, granules[i]);
		char *memory = map(fd, LENGTH, RW);
		struct morsel_extent extent;
		uint64_t cursor, entry;

		for (size_t at = PAGE; at < LENGTH; at += GIB) {
			memory[at] = 1;
			cursor = at;
			assert_int_equal(list_step(fd, MORSEL_IOC_EXTENTS, &cursor, &extent,
						   sizeof(extent), 1),
					 1);
			assert_int_equal(extent.offset, at);
			assert_int_equal(pread(pagemap, &entry, sizeof(entry),
					       ((uintptr_t)memory + at) / PAGE * sizeof(entry)),
					 sizeof(entry));
			assert_int_equal(entry & ((1ULL << 55) - 1), extent.frame);
			assert_true(entry >> 63);
		}
	}
}

/* Fails if the child has the mapping all the same, or an attachment. */
static void dontfork_leaves_the_child_without(void **state)
{
	int fd;
	char *memory = attach(&fd);
	pid_t pid;

	memory[0] = 1;
	assert_done(madvise(memory, LENGTH, MADV_DONTFORK));
	pid = spawn();
	if (!pid) {
		need(probe_read(memory, NULL) == SIGSEGV);
		need(info_of(fd).attachments == 1);
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(memory[0], 1);
}

static void mlock_and_mincore_do_no_harm(void **state)
{
	unsigned char resident[16];
	int fd;
	char *memory = attach(&fd);

	fill_pattern(memory, PAGE, 1);
	mlock(memory, 16 * PAGE);
	assert_int_equal(mincore(memory, 16 * PAGE, resident), 0);
	munlock(memory, 16 * PAGE);
	assert_done(mlockall(MCL_FUTURE));
	memory[GIB] = 1;
	munlockall();
	assert_true(has_pattern(memory, PAGE, 1));
	assert_int_equal(memory[GIB], 1);
}

/* A part moves away, and what it leaves is a hole: fails if more goes, or less. */
static void mremap_moves_a_part(void **state)
{
	int fd;
	char *memory = attach(&fd), *target = free_place(16 * MIB);

	for (size_t i = 0; i < 8; i++)
		fill_pattern(memory + i * HUGE, PAGE, i);
	assert_ptr_equal(mremap(memory + 2 * HUGE, 2 * HUGE, 2 * HUGE,
				MREMAP_MAYMOVE | MREMAP_FIXED, target),
			 target);
	assert_true(has_pattern(target, PAGE, 2));
	assert_true(has_pattern(target + HUGE, PAGE, 3));
	assert_true(has_pattern(memory + HUGE, PAGE, 1));
	assert_true(has_pattern(memory + 4 * HUGE, PAGE, 4));
	assert_int_equal(probe_read(memory + 2 * HUGE, NULL), SIGSEGV);
	assert_int_equal(probe_read(memory + 4 * HUGE - 1, NULL), SIGSEGV);
}

static void assert_slots_show(const char *memory, size_t from, size_t to, size_t step)
{
	for (size_t at = from; at < to; at += step)
		assert_int_equal(*(volatile char *)(memory + at), (char)(1 + at / HUGE % 100));
}

/*
 * What lay in two GiBs comes to lie in one, and is taken apart there.  Fails if tables that were
 * in the way at the old place are moved along: some of the memory would give SIGBUS for ever.
 */
static void mremap_moves_over_the_edge_of_a_gib(void **state)
{
	static const struct {
		size_t length;
		uint32_t granule;
		/* Huge frames take a while to be cleared. */
		size_t step;
		bool touch;
	} cases[] = {
		/* So it is if nothing was touched, and if all was. */
		{600 * MIB, MORSEL_GRANULE_4K, HUGE, false},
		{600 * MIB, MORSEL_GRANULE_AUTO, 8 * HUGE, false},
		{GIB, MORSEL_GRANULE_4K, HUGE, true},
		{GIB, MORSEL_GRANULE_AUTO, 8 * HUGE, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t length = cases[i].length, step = cases[i].step;
		int fd = create(length, cases[i].granule);
		char *all = map_at(NULL, fd, length, RW, 0), *memory;
		char *place = free_place(5 * GIB), *to = place + 3 * GIB;

		for (size_t at = 0; at < length; at += step)
			all[at] = 1 + at / HUGE % 100;
		memory = map_at(place + 700 * MIB, fd, length, RW, 0);
		if (cases[i].touch)
			assert_slots_show(memory, 0, length, step);
		assert_ptr_equal(mremap(memory, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to),
				 to);
		assert_slots_show(to, 0, length, step);
		assert_done(mprotect(to + step, HUGE, PROT_NONE));
		assert_slots_show(to, 0, step, step);
		assert_slots_show(to, 2 * step, length, step);
		assert_done(mprotect(to + step, HUGE, PROT_READ));
		assert_slots_show(to, step, 2 * step, step);
		assert_done(munmap(to, length));
		assert_done(munmap(all, length));
		close(fd);
	}
}

static size_t own_tables(void)
{
	return kib_of(read_text("/proc/self/status"), "VmPTE") * KIB;
}

/*
 * Where a huge leaf may come to be, no table of the process's own is in the way before: fails if
 * mapping or touching makes one.  Who walks tables on 6.1 would take the frame for that table.
 */
static void no_table_stands_where_huge_frames_go(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_2M);
	char *all = map_at(NULL, fd, 64 * MIB, RW, 0), *memory, *place = free_place(4 * GIB);
	size_t before;

	all[0] = 1;
	/* The upper tables there, and so that none of this is the first in its GiB. */
	assert_ptr_equal(
		mmap(place + GIB, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		place + GIB);
	place[GIB] = 1;
	before = own_tables();
	memory = map_at(place + GIB + 8 * MIB, fd, 64 * MIB, RW, 0);
	memory[4 * MIB] = 1;
	assert_int_equal(own_tables(), before);
	/* And where there were none: just the PMD table. */
	memory = map_at(place + 2 * GIB + 8 * MIB, fd, 64 * MIB, RW, 0);
	assert_int_equal(memory[0], 1);
	memory[6 * MIB] = 1;
	assert_int_equal(own_tables(), before + PAGE);
	assert_done(madvise(memory, 64 * MIB, MADV_DONTNEED));
	assert_int_equal(memory[0], 1);
	assert_int_equal(own_tables(), before + PAGE);
}

/*
 * Fails by the kernel's log: at the end of an address space, it says "Bad rss" or "non-zero
 * pgtables_bytes" if what it counted is not what it finds.
 */
static void a_rss_of_nothing_is_left(void **state)
{
	int fd;
	char *memory = attach(&fd);

	assert_int_equal(populate(fd, 0, 16 * MIB), 0);
	assert_int_equal(populate(fd, GIB - 8 * MIB, 16 * MIB), 0);
	assert_int_equal(in_child(touch_and_return, memory), 7);
	detach(memory, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fork_inherits),
		TEST(fork_twice),
		TEST(fork_under_signals),
		TEST(fork_after_keeponfork),
		TEST(dontfork_leaves_the_child_without),
		TEST(exec_drops_the_mapping),
		TEST(exit_detaches),
		TEST(kill_9_detaches),
		TEST(kill_9_of_the_owner_frees),
		TEST(munmap_whole),
		TEST(munmap_part_at_2m),
		TEST(a_neighbour_may_move_in),
		TEST(mremap_moves),
		TEST(mremap_moves_a_part),
		TEST(mremap_moves_over_the_edge_of_a_gib),
		TEST(no_table_stands_where_huge_frames_go),
		TEST(mremap_does_not_grow),
		TEST(mremap_shrinks_at_2m),
		TEST(mprotect_holds_and_is_one_process_own),
		TEST(mprotect_leaves_other_processes_alone),
		TEST(mprotect_part_at_2m),
		TEST(mprotect_none_hides),
		TEST(execution_only_where_asked_for),
		TEST(madvise_dontneed_keeps_shared_data),
		TEST(madvise_remove_punches),
		TEST(madvise_of_every_value_loses_nothing),
		TEST(map_fixed_over_whole_and_part),
		TEST(two_mappings_in_one_process),
		TEST(threads_fault_at_once),
		TEST(fault_against_munmap),
		TEST(fault_against_munmap_of_all),
		TEST(fault_against_mprotect),
		TEST(fault_against_punch),
		TEST(fault_against_fork),
		TEST(fault_against_madvise),
		TEST(direct_io_into_and_out_of),
		TEST(direct_read_into_read_only_is_refused),
		TEST(direct_read_after_mprotect_is_refused),
		TEST(the_kernel_does_not_write_read_only_memory),
		TEST(ptrace_reads_and_writes),
		TEST(a_child_attaches_when_it_looks),
		TEST(a_debugger_sees_what_the_program_does_not),
		TEST(proc_pid_mem_reaches_another_process),
		TEST(proc_pid_files),
		TEST(pagemap_agrees_with_extents),
		TEST(mlock_and_mincore_do_no_harm),
		TEST(a_rss_of_nothing_is_left),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
