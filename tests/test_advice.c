// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel is told about memory, and a morsel's mapping does with it:
 * advice, locks, the policies of nodes, limits.
 */
#include "common.h"

#include <linux/mempolicy.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif

#define LENGTH SCENE_LENGTH
#define ROUNDS rounds_of(10000)

static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

/* A call whose answer is one of the errnos, 0 for success. */
static void assert_answer(const char *what, long result, int expected)
{
	int error = result < 0 ? errno : 0;

	if (error != expected)
		fail_msg("%s: %s instead of %s", what, error ? strerrorname_np(error) : "success",
			 expected ? strerrorname_np(expected) : "success");
}

/* madvise() */

/* Ways to map the same. */
enum { WRITABLE, READ_ONLY, READ_ONLY_DESCRIPTOR, WAYS };

static const char *const ways[WAYS] = {"", ", read-only", ", by a read-only descriptor"};

/*
 * What each advice answers for the whole, and for 4 KiB.
 */
static const struct advice {
	int advice;
	int whole;
	int part;
	/* For kernels before this one only; the first line that fits counts. */
	unsigned int before;
} advices[] = {
	{MADV_NORMAL, 0, 0},
	{MADV_RANDOM, 0, 0},
	{MADV_SEQUENTIAL, 0, 0},
	{MADV_WILLNEED, 0, 0},
	{MADV_DONTNEED, 0, 0},
	{MADV_REMOVE, 0, 0},
	{MADV_DONTFORK, 0, 0},
	{MADV_DOFORK, 0, 0, KERNEL(6, 13)},
	{MADV_DOFORK, EINVAL, EINVAL},
	{MADV_MERGEABLE, 0, 0},
	{MADV_UNMERGEABLE, 0, 0},
	{MADV_HUGEPAGE, 0, 0},
	{MADV_NOHUGEPAGE, 0, 0},
	/* It is so. */
	{MADV_DONTDUMP, 0, 0},
	/* Takes a flag away that is ours; the next fork puts it back. */
	{MADV_KEEPONFORK, 0, 0},
	{MADV_COLD, 0, 0},
	{MADV_PAGEOUT, 0, 0},
	{MADV_POPULATE_READ, 0, 0},
	{MADV_POPULATE_WRITE, 0, 0},
	{MADV_DONTNEED_LOCKED, 0, 0},
	/* 6.1 is built without. */
	{MADV_SOFT_OFFLINE, EINVAL, EINVAL, KERNEL(6, 2)},
	{MADV_SOFT_OFFLINE, EIO, EIO},
};

static int answer_to(int advice, unsigned int way, bool part)
{
	unsigned int i;

	if (advice == MADV_REMOVE && way == READ_ONLY_DESCRIPTOR)
		return EACCES;
	if (advice == MADV_POPULATE_WRITE && way != WRITABLE)
		return EINVAL;
	for (i = 0; i < ARRAY_SIZE(advices); i++)
		if (advices[i].advice == advice &&
		    (!advices[i].before || kernel_version() < advices[i].before))
			return part ? advices[i].part : advices[i].whole;
	/* FREE, DODUMP, WIPEONFORK, COLLAPSE, the guards, and whatever is not known. */
	return EINVAL;
}

/* What an advice is given for, so that no frame comes or goes. */
static void range_of(int advice, bool part, size_t *at, size_t *length)
{
	/* A part of a huge frame, or a frame. */
	*at = part ? HUGE + PAGE : 0;
	*length = part ? PAGE : LENGTH;
	if (advice == MADV_REMOVE) {
		/* A hole. */
		*at = 8 * MIB + (part ? PAGE : 0);
		*length = part ? PAGE : HUGE;
	} else if (advice == MADV_SOFT_OFFLINE || advice == MADV_POPULATE_READ ||
		   advice == MADV_POPULATE_WRITE) {
		*length = PAGE;
	}
}

/* Each advice in a mapping of its own, so that what the last did to the flags does not count. */
static void advise(struct scene *scene, int read_only, int advice)
{
	unsigned int way, part;

	for (way = 0; way < WAYS; way++) {
		for (part = 0; part <= 1; part++) {
			char *memory = map(way == READ_ONLY_DESCRIPTOR ? read_only : scene->fd,
					   LENGTH, way == WRITABLE ? RW : PROT_READ);
			char what[96];
			size_t at, length;
			long result;

			assert_true(scene_reads(memory));
			range_of(advice, part, &at, &length);
			snprintf(what, sizeof(what), "madvise(%d) of %s%s", advice,
				 part ? "a part" : "all", ways[way]);
			result = madvise(memory + at, length, advice);
			assert_answer(what, result, answer_to(advice, way, part));
			if (!scene_reads(memory))
				fail_msg("%s has changed the data", what);
			assert_scene_intact(scene, 2);
			assert_done(munmap(memory, LENGTH));
		}
	}
}

/*
 * Fails if an advice changes its mind, or what is in the morsel.  MADV_HWPOISON is not among them:
 * it costs frames.
 */
static void every_advice_answers_as_it_should(void **state)
{
	static const int others[] = {
		-1, MADV_SOFT_OFFLINE, MADV_GUARD_INSTALL, MADV_GUARD_REMOVE, 104, 1000, INT32_MAX};
	struct scene scene;
	unsigned int i, j;
	int advice, read_only;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		scene_begin(&scene, granules[i]);
		read_only = reopen_read_only(scene.fd);
		for (advice = 0; advice <= 30; advice++)
			advise(&scene, read_only, advice);
		for (j = 0; j < ARRAY_SIZE(others); j++)
			advise(&scene, read_only, others[j]);
		assert_int_equal(pool_info().pinned_bytes, 0);
		assert_true(scene_reads(scene.memory));
		assert_done(munmap(scene.memory, LENGTH));
		assert_scene_intact(&scene, 0);
	}
}

/* Fails if populating ends before the range does, or never where there is nothing to be had. */
static void populating_by_madvise_fills_or_fails(void **state)
{
	int fd = create(12 * MIB, MORSEL_GRANULE_4K);
	/* A GiB, of which 12 MiB are there. */
	char *memory = map(fd, GIB, RW), *reader = map(fd, GIB, PROT_READ), *hidden;

	assert_done(madvise(reader, HUGE, MADV_POPULATE_READ));
	assert_int_equal(info_of(fd).frame_bytes, HUGE);
	assert_true(is_zero(memory, HUGE));
	assert_errno(madvise(reader + HUGE, HUGE, MADV_POPULATE_WRITE), EINVAL);
	assert_int_equal(info_of(fd).frame_bytes, HUGE);
	assert_done(madvise(memory + 2 * HUGE, HUGE, MADV_POPULATE_WRITE));
	assert_int_equal(info_of(fd).frame_bytes, 2 * HUGE);
	assert_done(madvise(memory + 4 * HUGE + PAGE, PAGE, MADV_POPULATE_READ));
	assert_int_equal(info_of(fd).frame_bytes, 2 * HUGE + PAGE);
	/* Up to the end, and no further. */
	assert_errno(madvise(memory, GIB, MADV_POPULATE_READ), EFAULT);
	assert_int_equal(info_of(fd).frame_bytes, 12 * MIB);
	assert_errno(madvise(memory, GIB, MADV_POPULATE_WRITE), EFAULT);
	assert_errno(madvise(reader + 12 * MIB, HUGE, MADV_POPULATE_READ), EFAULT);
	assert_errno(madvise(memory + GIB - PAGE, PAGE, MADV_POPULATE_WRITE), EFAULT);
	hidden = map(fd, GIB, PROT_NONE);
	assert_errno(madvise(hidden, HUGE, MADV_POPULATE_READ), EINVAL);
	assert_errno(madvise(hidden, HUGE, MADV_POPULATE_WRITE), EINVAL);
	assert_int_equal(info_of(fd).frame_bytes, 12 * MIB);
}

/* What is advised of by another process, while its own punches. */
struct advised {
	atomic_ulong rounds;
	atomic_bool ready;
	atomic_bool enough;
};

static _Noreturn void punch_and_look(int fd, char *memory, size_t length, struct advised *shared,
				     bool huge)
{
	const size_t step = huge ? HUGE : PAGE;
	uint64_t seed = 1;
	unsigned int i;

	pin_to_cpu(1);
	fill_pattern(memory, PAGE / 2, 1);
	shared->ready = true;
	for (i = 1; i <= ROUNDS || !shared->enough; i++) {
		/* Not the first, where text is that must stay. */
		size_t at = step + random_next(&seed) % (length / step - 1) * step;
		volatile unsigned int *word = (unsigned int *)(memory + at);
		/* Huge frames take long to clear. */
		size_t part = i % 100 ? PAGE : step;

		*word = i;
		need(*word == i);
		need(!punch(fd, at, part));
		need(*word == 0);
		shared->rounds = i;
	}
	need(has_pattern(memory, PAGE / 2, 1));
	_exit(0);
}

/*
 * Fails if an advice puts an entry back that it looked at before the punch, or keeps the frame:
 * then the child reads what was.
 */
static void advice_by_another_process_against_punch(void **state)
{
	static const struct {
		const char *name;
		int advice;
		int answer;
	} asked[] = {
		{"COLD", MADV_COLD, 0},
		{"PAGEOUT", MADV_PAGEOUT, 0},
		{"WILLNEED", MADV_WILLNEED, 0},
		{"COLLAPSE", MADV_COLLAPSE, EINVAL},
	};
	struct advised *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i, j, calls;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		const size_t length = 16 * MIB;
		int fd = create(length, granules[i]), pidfd;
		char *memory = map(fd, length, RW);
		struct iovec vector = {memory, length};
		pid_t pid;

		memset(shared, 0, sizeof(*shared));
		pid = spawn();
		if (!pid)
			punch_and_look(fd, memory, length, shared, i);
		pin_to_cpu(0);
		pidfd = pidfd_open(pid, 0);
		assert_true(pidfd >= 0);
		while (!shared->ready)
			sched_yield();
		for (calls = 0; shared->rounds < ROUNDS || calls < ROUNDS / 10; calls++) {
			ssize_t done;

			j = calls % ARRAY_SIZE(asked);
			done = process_madvise(pidfd, &vector, 1, asked[j].advice, 0);
			/* The child found what it should not, and says so. */
			if (done < 0 && errno == ESRCH)
				break;
			assert_answer(asked[j].name, done, asked[j].answer);
			assert_true(done < 0 || done == (ssize_t)length);
		}
		shared->enough = true;
		assert_child_done(pid);
		assert_true(has_pattern(memory, PAGE / 2, 1));
		assert_int_equal(pool_info().pinned_bytes, 0);
		assert_done(munmap(memory, length));
		close(fd);
	}
}

/* mlock() */

static unsigned long locked_kib(void)
{
	return kib_of(read_text("/proc/self/status"), "VmLck");
}

/*
 * Frames never go, so nothing is locked nor counted; but what is locked is populated, as the kernel
 * does that for all.  Even where that is to wait for a fault: the mapping does not remember.  Fails
 * if a page that is locked has no frame, or if VmLck has it.
 */
static void mlock_populates_and_counts_nothing(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map(fd, 64 * MIB, RW), *reader = map(fd, 64 * MIB, PROT_READ);

	fill_pattern(memory, PAGE, 1);
	assert_done(mlock(memory + PAGE, 2 * PAGE));
	assert_int_equal(info_of(fd).frame_bytes, 3 * PAGE);
	assert_done(mlock(reader + HUGE, HUGE));
	assert_int_equal(info_of(fd).frame_bytes, 3 * PAGE + HUGE);
	assert_done(mlock2(memory + 2 * HUGE, HUGE, MLOCK_ONFAULT));
	assert_int_equal(info_of(fd).frame_bytes, 3 * PAGE + 2 * HUGE);
	assert_int_equal(locked_kib(), 0);
	/* No part of a mapping is split off, wherever it begins. */
	assert_done(munlock(memory + PAGE, PAGE));
	assert_done(munlock(memory, 64 * MIB));
	assert_int_equal(locked_kib(), 0);
	assert_done(msync(memory, HUGE, MS_INVALIDATE));
	assert_true(has_pattern(memory, PAGE, 1));
	assert_true(has_pattern(reader, PAGE, 1));
	assert_true(is_zero(memory + HUGE, 2 * HUGE));
	assert_done(munmap(memory, 64 * MIB));
	assert_true(has_pattern(reader, PAGE, 1));
}

static void limit_to(int resource, rlim_t limit)
{
	struct rlimit both = {limit, limit};

	need(!setrlimit(resource, &both));
}

/* Fails if the limit is not looked at, or if what it forbids happened all the same. */
static void mlock_goes_by_the_limit(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map(fd, 64 * MIB, RW);
	pid_t pid = spawn();

	if (!pid) {
		limit_to(RLIMIT_MEMLOCK, MIB);
		become(TESTER);
		need(mlock(memory, HUGE) && errno == ENOMEM);
		need(mlock2(memory, HUGE, MLOCK_ONFAULT) && errno == ENOMEM);
		need(info_of(fd).frame_bytes == 0);
		/* Nothing was counted, so the limit can be had any number of times. */
		for (unsigned int i = 0; i < 4; i++)
			need(!mlock(memory + i * MIB, MIB));
		need(info_of(fd).frame_bytes == 4 * MIB);
		need(mlockall(MCL_CURRENT) && errno == ENOMEM);
		need(!mlockall(MCL_FUTURE | MCL_ONFAULT));
		need(mmap(NULL, HUGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EAGAIN);
		need(!munlockall());
		need(locked_kib() == 0);
		memory[0] = 1;
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(memory[0], 1);
	assert_int_equal(info_of(fd).attachments, 1);
}

/*
 * All of what there is; and only what comes: fails if more frames are there, or fewer, or if
 * touching them counts.
 */
static void mlockall_populates(void **state)
{
	static const struct {
		int flags;
		uint64_t now;
		uint64_t later;
	} cases[] = {
		{MCL_CURRENT, HUGE, 0},
		{MCL_FUTURE, PAGE, HUGE},
		{MCL_CURRENT | MCL_FUTURE, HUGE, HUGE},
		/* The mapping does not remember that its faults were to be waited for. */
		{MCL_CURRENT | MCL_ONFAULT, HUGE, 0},
		{MCL_FUTURE | MCL_ONFAULT, PAGE, HUGE},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = create(HUGE, MORSEL_GRANULE_4K), other = create(HUGE, MORSEL_GRANULE_4K);
		char *memory = map(fd, HUGE, RW), *later;
		unsigned long locked;
		pid_t pid;

		fill_pattern(memory, PAGE, 1);
		pid = spawn();
		if (!pid) {
			need(!mlockall(cases[i].flags));
			need(info_of(fd).frame_bytes == cases[i].now);
			locked = locked_kib();
			later = map(other, HUGE, RW);
			need(info_of(other).frame_bytes == cases[i].later);
			need(has_pattern(memory, PAGE, 1));
			later[0] = 1;
			need(locked_kib() == locked);
			need(!munlockall());
			need(locked_kib() == 0);
			_exit(0);
		}
		assert_child_done(pid);
		assert_true(has_pattern(memory, PAGE, 1));
		assert_int_equal(info_of(fd).frame_bytes, cases[i].now);
		assert_int_equal(info_of(fd).attachments, 1);
		assert_done(munmap(memory, HUGE));
		close(fd);
		close(other);
	}
}

/* Fails if mmap() or the process does not survive that the pool is full. */
static void locking_more_than_the_pool_has(void **state)
{
	int small = create(HUGE, MORSEL_GRANULE_4K), fd;
	char *text = map(small, HUGE, RW);
	unsigned int way;
	pid_t pid;

	fill_pattern(text, PAGE, 1);
	assert_done(resize_pool(32 * MIB));
	for (way = 0; way < 3; way++) {
		fd = create(64 * GIB, MORSEL_GRANULE_4K);
		pid = spawn();
		if (!pid) {
			char *memory;

			if (!way)
				need(!mlockall(MCL_FUTURE));
			memory = map(fd, 64 * GIB, RW);
			if (way == 1)
				need(!mlockall(MCL_CURRENT));
			if (way == 2)
				need(mlock(memory, 64 * GIB) && errno == ENOMEM);
			need(info_of(fd).frame_bytes > 16 * MIB);
			need(locked_kib() == 0 || way < 2);
			need(has_pattern(text, PAGE, 1));
			memory[0] = 1;
			need(probe_write(memory + 63 * GIB, 1) == SIGBUS);
			need(!munlockall());
			_exit(0);
		}
		assert_child_done(pid);
		assert_int_equal(info_of(fd).attachments, 0);
		close(fd);
	}
	assert_true(has_pattern(text, PAGE, 1));
}

/* Nodes. */

static bool has_node(unsigned int node)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", node);
	return !access(path, F_OK);
}

static long mbind_to(void *memory, size_t length, int mode, unsigned long nodes, unsigned int flags)
{
	return syscall(SYS_mbind, memory, length, mode, nodes ? &nodes : NULL, nodes ? 64UL : 0UL,
		       flags);
}

/*
 * A pool has its node, and frames stay where they are: fails if one moved, and if the kernel said
 * that it did.
 */
static void policies_move_nothing(void **state)
{
	static const int modes[] = {MPOL_DEFAULT,    MPOL_PREFERRED, MPOL_BIND,
				    MPOL_INTERLEAVE, MPOL_LOCAL,     MPOL_PREFERRED_MANY};
	unsigned int i, j, flags;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		unsigned long here, there, nodes;
		struct scene scene;
		char what[96];

		scene_begin(&scene, granules[i]);
		here = 1UL << info_of(scene.fd).node;
		there = has_node(1) ? 3 & ~here : here;
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			for (flags = 0; flags <= (MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL);
			     flags++) {
				/* Frames that are not by the policy; by that of no node, none is. */
				bool misplaced = modes[j] == MPOL_LOCAL ||
						 (there != here && modes[j] != MPOL_DEFAULT);
				/* 6.1 lets alone what not one process alone has mapped. */
				bool tried = kernel_version() > KERNEL(6, 1) ||
					     flags & MPOL_MF_MOVE_ALL || !(flags & MPOL_MF_MOVE);
				int answer = misplaced && tried && flags & MPOL_MF_STRICT ? EIO : 0;
				long result;

				nodes = modes[j] == MPOL_DEFAULT || modes[j] == MPOL_LOCAL ? 0
											   : there;
				snprintf(what, sizeof(what), "mbind(mode %d, flags %u)", modes[j],
					 flags);
				result = mbind_to(scene.memory, LENGTH, modes[j], nodes, flags);
				assert_answer(what, result, answer);
				assert_true(scene_reads(scene.memory));
				assert_scene_intact(&scene, 1);
			}
		}
		/* Which node is the nearest matters to no frame, either. */
		assert_done(mbind_to(scene.memory, LENGTH, MPOL_BIND, here | there, 0));
		assert_done(syscall(SYS_set_mempolicy_home_node, scene.memory, LENGTH, 0UL, 0UL));
		assert_true(scene_reads(scene.memory));
		assert_scene_intact(&scene, 1);
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/* Fails if a fault asks the kernel for the frame by the policy, and not the morsel's pool. */
static void the_pool_decides_where_frames_are(void **state)
{
	unsigned long there;
	pid_t pid;

	if (!has_node(1))
		skip_because("needs two nodes (qemu/run --numa 2)");
	for (unsigned int i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = create(64 * MIB, granules[i]);
		char *memory = map(fd, 64 * MIB, RW);
		unsigned int node = info_of(fd).node;
		struct morsel_extent extent;
		uint64_t cursor = HUGE;

		there = 3 & ~(1UL << node);
		pid = spawn();
		if (!pid) {
			need(!syscall(SYS_set_mempolicy, MPOL_BIND, &there, 64UL));
			need(!mbind_to(memory, 64 * MIB, MPOL_BIND, there, 0));
			memory[HUGE] = 1;
			_exit(0);
		}
		assert_child_done(pid);
		assert_int_equal(memory[HUGE], 1);
		assert_int_equal(
			list_step(fd, MORSEL_IOC_EXTENTS, &cursor, &extent, sizeof(extent), 1), 1);
		assert_int_equal(extent.node, node);
	}
}

/* Fails if the kernel takes a frame of ours for one that it can move. */
static void move_pages_moves_nothing(void **state)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		void *pages[SCENE_PLACES + 1];
		int nodes[SCENE_PLACES + 1], status[SCENE_PLACES + 1], node, there;
		struct scene scene;
		unsigned long from, to;

		scene_begin(&scene, granules[i]);
		node = info_of(scene.fd).node;
		there = has_node(1) ? !node : node;
		for (j = 0; j <= SCENE_PLACES; j++) {
			pages[j] = scene.memory + (j < SCENE_PLACES ? scene_places[j] : GIB / 2);
			nodes[j] = there;
			status[j] = 12345;
		}
		assert_done(syscall(SYS_move_pages, 0, SCENE_PLACES + 1UL, pages, NULL, status, 0));
		for (j = 0; j < SCENE_PLACES; j++)
			assert_int_equal(status[j], node);
		/* A hole. */
		assert_int_equal(status[SCENE_PLACES], -ENOENT);
		for (unsigned int flags = MPOL_MF_MOVE; flags <= MPOL_MF_MOVE_ALL; flags *= 2) {
			assert_done(syscall(SYS_move_pages, 0, SCENE_PLACES + 1UL, pages, nodes,
					    status, flags));
			for (j = 0; j < SCENE_PLACES; j++)
				assert_int_equal(status[j], there == node ? node : -EBUSY);
			assert_true(scene_reads(scene.memory));
			assert_scene_intact(&scene, 1);
		}
		from = 1UL << node;
		to = 1UL << there;
		assert_done(syscall(SYS_migrate_pages, 0, 64UL, &from, &to));
		assert_done(syscall(SYS_migrate_pages, scene.witness, 64UL, &from, &to));
		assert_true(scene_reads(scene.memory));
		assert_scene_intact(&scene, 1);
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/* Limits. */

/* Fails if what RLIMIT_AS refuses was attached already. */
static void rlimit_as_counts_the_mapping(void **state)
{
	int fd = create(4 * GIB, MORSEL_GRANULE_4K);
	char *memory = map(fd, GIB, RW);
	pid_t pid;

	fill_pattern(memory, PAGE, 1);
	pid = spawn();
	if (!pid) {
		char *more;

		limit_to(RLIMIT_AS, 2 * GIB + 512 * MIB);
		need(mmap(NULL, 2 * GIB, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENOMEM);
		/* What was inherited is not touched yet. */
		need(info_of(fd).attachments == 1);
		more = map(fd, GIB, RW);
		need(info_of(fd).attachments == 2);
		need(has_pattern(more, PAGE, 1));
		more[GIB - 1] = 1;
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(memory[GIB - 1], 1);
	assert_int_equal(info_of(fd).attachments, 1);
}

/* The memory is the pool's: fails if the kernel counted it as promised by itself. */
static void strict_overcommit_lets_sparse_morsels_in(void **state)
{
	static const char path[] = "/proc/sys/vm/overcommit_memory";
	int fd = create(4 * TIB, MORSEL_GRANULE_4K);
	char before[8], *memory, *anonymous;

	snprintf(before, sizeof(before), "%s", read_text(path));
	assert_true(write_text(path, "2"));
	memory = mmap(NULL, 4 * TIB, RW, MAP_SHARED, fd, 0);
	anonymous = mmap(NULL, 4 * TIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(write_text(path, before));
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_ptr_equal(anonymous, MAP_FAILED);
	memory[3 * TIB] = 1;
	assert_int_equal(info_of(fd).frame_bytes, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_advice_answers_as_it_should),
		TEST(populating_by_madvise_fills_or_fails),
		TEST(advice_by_another_process_against_punch),
		TEST(mlock_populates_and_counts_nothing),
		TEST(mlock_goes_by_the_limit),
		TEST(mlockall_populates),
		TEST(locking_more_than_the_pool_has),
		TEST(policies_move_nothing),
		TEST(the_pool_decides_where_frames_are),
		TEST(move_pages_moves_nothing),
		TEST(rlimit_as_counts_the_mapping),
		TEST(strict_overcommit_lets_sparse_morsels_in),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
