// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation that the module makes fails once, and so does every copy from
 * and to user memory: call by call, the first, then the second, until a call
 * comes through.  After each: the right errno, nothing leaked, the same call
 * works.
 *
 * The kernel must have been built with fault injection.  It fails the n-th
 * allocation of a thread (/proc/thread-self/fail-nth) of those that have the
 * module among their callers, the kernel's on the module's behalf included.
 */
#include "inject.h"

#include <sys/syscall.h>

#ifndef FALLOC_FL_KEEP_SIZE
#include <linux/falloc.h>
#endif

#define LENGTH (2 * HUGE + 3 * PAGE)
#define MAPPED (3 * HUGE)
#define SEED 7

/* What the calls work on, made anew for each. */
static int fd, other;
static char *memory;
/* Another view of it, and where that is mapped. */
static int third;
static char *there;
static char page[PAGE];

/**
 * struct call - what is walked through
 * @prepare:	makes what it needs; NULL: nothing
 * @run:	the call, with faults; 0, or -errno, or a signal's number
 * @check:	what must be so after @run did not fail; NULL: nothing
 * @expect:	the errors that may come, ended by 0
 * @perhaps:	that anything can fail depends on the kernel; else something must
 */
struct call {
	void (*prepare)(void);
	int (*run)(void);
	void (*check)(void);
	int expect[4];
	bool perhaps;
	bool by_child;
};

static void make_new(uint32_t granule)
{
	fd = create(LENGTH & ~(granule == MORSEL_GRANULE_2M ? HUGE - 1 : 0), granule);
}

static void clear_after_call(void)
{
	struct morsel_limit limit = {.size = sizeof(limit)};

	if (memory)
		munmap(memory, MAPPED);
	if (there)
		munmap(there, MAPPED);
	if (third >= 0)
		close(third);
	if (fd >= 0)
		close(fd);
	if (other >= 0)
		close(other);
	unlink_morsel(0, "walk");
	memory = there = NULL;
	fd = other = third = -1;

	/*
	 * Closing is done when the program goes back to its own code; tables that others took the place of
	 * go when nobody can be looking at them any more.
	 */
	assert_soon(!query().nr_morsels);
	assert_soon(!pool_info().used_bytes);
	assert_int_equal(pool_info().pinned_bytes, 0);
	assert_done(ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit));
	assert_int_equal(limit.used, 0);
}

static void run(const struct call *call, unsigned int nth, bool *injected, int *result)
{
	if (nth)
		arm(nth);
	*result = call->run();
	*injected = nth && disarm();
}

/* The same in a child, which has inherited what was prepared. */
static void run_by_child(const struct call *call, unsigned int nth, bool *injected, int *result)
{
	struct said {
		bool injected;
		int result;
	} *said = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	assert_ptr_not_equal(said, MAP_FAILED);
	pid = spawn();
	if (!pid) {
		injection_is_here();
		run(call, nth, &said->injected, &said->result);
		_exit(0);
	}
	assert_child_done(pid);
	*injected = said->injected;
	*result = said->result;
	munmap(said, PAGE);
}

static void once(const struct call *call, unsigned int nth, bool *injected, int *result)
{
	fd = other = third = -1;
	memory = there = NULL;
	if (call->prepare)
		call->prepare();
	if (call->by_child)
		run_by_child(call, nth, injected, result);
	else
		run(call, nth, injected, result);
	if (!*result && call->check)
		call->check();
	clear_after_call();
}

static void walk(const struct call *call)
{
	unsigned int nth, failed = 0, i;
	bool injected;
	int result;

	injection_begin();
	for (nth = 1;; nth++) {
		once(call, nth, &injected, &result);
		if (!injected)
			break;
		failed += result != 0;
		for (i = 0; call->expect[i] && result != -call->expect[i]; i++)
			;
		if (result && !call->expect[i])
			fail_msg("failure %u: result %d (%s)", nth, result,
				 strerrorname_np(-result) ?: "a signal");
		once(call, 0, &injected, &result);
		if (result)
			fail_msg("after failure %u: result %d", nth, result);
	}
	if (result)
		fail_msg("without a failure: result %d", result);
	print_message("# %u places failed, %u of the calls with them\n", nth - 1, failed);
	assert_true(nth > 1 || call->perhaps);
	injection_end();
}

#define WALK(name, ...)                            \
	static void name(void **state)             \
	{                                          \
		walk(&(struct call){__VA_ARGS__}); \
	}

/* Making, opening, unlinking. */

static int create_call(uint32_t granule, uint32_t flags, const char *name)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.flags = flags,
		.length = LENGTH & ~(granule == MORSEL_GRANULE_2M ? HUGE - 1 : 0),
		.granule = granule,
		.mode = 0600,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
	};

	strcpy(args.name, name);
	fd = create_with(&args);
	return fd < 0 ? -errno : 0;
}

static int run_create(void)
{
	return create_call(MORSEL_GRANULE_AUTO, 0, "");
}

static int run_create_bound(void)
{
	uint64_t nodes = 1;
	struct morsel_create args = {
		.size = sizeof(args),
		.length = LENGTH,
		.mode = 0600,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.policy = MORSEL_POLICY_BIND,
		.nr_nodes = 64,
		.nodes = (uintptr_t)&nodes,
	};

	fd = create_with(&args);
	return fd < 0 ? -errno : 0;
}

static int run_create_named(void)
{
	int result = create_call(MORSEL_GRANULE_4K, 0, "walk");

	/* A creation that failed leaves no name behind. */
	if (result)
		assert_errno(unlink_morsel(0, "walk"), ENOENT);
	return result;
}

static int run_create_populated(void)
{
	return create_call(MORSEL_GRANULE_AUTO, MORSEL_CREATE_POPULATE, "");
}

static int run_create_populated_4k(void)
{
	return create_call(MORSEL_GRANULE_4K, MORSEL_CREATE_POPULATE, "");
}

static int run_create_populated_2m(void)
{
	return create_call(MORSEL_GRANULE_2M, MORSEL_CREATE_POPULATE, "");
}

static void check_populated(void)
{
	struct stat stat;

	assert_done(fstat(fd, &stat));
	assert_int_equal(info_of(fd).frame_bytes, stat.st_size);
}

static void prepare_named(void)
{
	fd = create_named("walk", LENGTH, 0600);
}

static int run_open(void)
{
	other = open_with(0, "walk", 0);
	return other < 0 ? -errno : 0;
}

static int run_open_read_only(void)
{
	other = open_with(0, "walk", MORSEL_OPEN_READ_ONLY);
	return other < 0 ? -errno : 0;
}

static int run_unlink(void)
{
	return unlink_morsel(0, "walk") ? -errno : 0;
}

WALK(create_fails, NULL, run_create, NULL, {ENOMEM, EFAULT})
WALK(create_bound_fails, NULL, run_create_bound, NULL, {ENOMEM, EFAULT})
WALK(create_named_fails, NULL, run_create_named, NULL, {ENOMEM, EFAULT})
WALK(create_populated_fails, NULL, run_create_populated, check_populated, {ENOMEM, EFAULT})
WALK(create_populated_4k_fails, NULL, run_create_populated_4k, check_populated, {ENOMEM, EFAULT})
WALK(create_populated_2m_fails, NULL, run_create_populated_2m, check_populated, {ENOMEM, EFAULT})
WALK(open_fails, prepare_named, run_open, NULL, {ENOMEM, EFAULT})
WALK(open_read_only_fails, prepare_named, run_open_read_only, NULL, {ENOMEM, EFAULT})
WALK(unlink_fails, prepare_named, run_unlink, NULL, {EFAULT})

/* Asking. */

static int run_query(void)
{
	struct morsel_query args = {.size = sizeof(args)};

	return ioctl(dev, MORSEL_IOC_QUERY, &args) ? -errno : 0;
}

static int run_list(void)
{
	struct morsel_info info[4];
	uint64_t cursor = 0;

	return list_step(dev, MORSEL_IOC_LIST, &cursor, info, sizeof(info[0]), 4) < 0 ? -errno : 0;
}

static int run_nodes(void)
{
	struct morsel_node nodes[MORSEL_NODES_LEAST];
	uint64_t cursor = 0;

	return list_step(dev, MORSEL_IOC_NODES, &cursor, nodes, sizeof(nodes[0]),
			 MORSEL_NODES_LEAST) < 0
		       ? -errno
		       : 0;
}

static void prepare_two(void)
{
	prepare_named();
	other = create(GIB, MORSEL_GRANULE_4K);
}

static int run_stat(void)
{
	struct morsel_info info = {.size = sizeof(info)};

	return ioctl(fd, MORSEL_IOC_STAT, &info) ? -errno : 0;
}

static void prepare_full(void)
{
	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	assert_done(populate(fd, 0, 0));
}

static int run_extents(void)
{
	struct morsel_extent extents[8];
	uint64_t cursor = 0;

	return list_step(fd, MORSEL_IOC_EXTENTS, &cursor, extents, sizeof(extents[0]), 8) < 0
		       ? -errno
		       : 0;
}

static int run_pool_list(void)
{
	struct morsel_pool_info info[4];
	uint64_t cursor = 0;

	return list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(info[0]), 4) < 0 ? -errno
											   : 0;
}

static uint32_t pool_id;
static uint64_t pool_bytes;

static int run_pool_stat(void)
{
	struct morsel_pool_info info = {.size = sizeof(info), .id = pool_id};

	return ioctl(dev, MORSEL_IOC_POOL_STAT, &info) ? -errno : 0;
}

static void prepare_pool(void)
{
	pool_id = pool_info().id;
	pool_bytes = pool_info().limit_bytes;
}

static int run_limit_get(void)
{
	struct morsel_limit limit = {.size = sizeof(limit), .uid = OTHER};

	return ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit) ? -errno : 0;
}

WALK(query_fails, NULL, run_query, NULL, {EFAULT})
WALK(list_fails, prepare_two, run_list, NULL, {EFAULT})
WALK(nodes_fail, prepare_two, run_nodes, NULL, {EFAULT, ENOMEM})
WALK(stat_fails, prepare_named, run_stat, NULL, {EFAULT})
WALK(extents_fails, prepare_full, run_extents, NULL, {EFAULT, ENOMEM})
WALK(pool_list_fails, NULL, run_pool_list, NULL, {EFAULT})
WALK(pool_stat_fails, prepare_pool, run_pool_stat, NULL, {EFAULT})
WALK(limit_get_fails, NULL, run_limit_get, NULL, {EFAULT})

/* Setting. */

static int run_limit_set(void)
{
	struct morsel_limit limit = {.size = sizeof(limit), .uid = OTHER, .bytes = GIB};

	return ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit) ? -errno : 0;
}

static void check_limit(void)
{
	struct morsel_limit limit = {.size = sizeof(limit), .uid = OTHER};

	assert_done(ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit));
	assert_int_equal(limit.bytes, GIB);
	limit = (struct morsel_limit){
		.size = sizeof(limit), .uid = OTHER, .flags = MORSEL_LIMIT_DEFAULT};
	assert_done(ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit));
}

static void prepare_no_pool(void)
{
	struct morsel_pool pool = {.size = sizeof(pool)};

	/* What an earlier call has added already stays. */
	pool_bytes = pool_info().limit_bytes;
	pool.id = pool_info().id;
	assert_done(ioctl(dev, MORSEL_IOC_POOL_REMOVE, &pool));
}

static int run_pool_add(void)
{
	struct morsel_pool pool = {
		.size = sizeof(pool), .kind = MORSEL_POOL_DRAM, .limit_bytes = pool_bytes};
	int result = ioctl(dev, MORSEL_IOC_POOL_ADD, &pool) ? -errno : 0;

	/* The pool must be there in the end, but not for what failed. */
	if (result) {
		bool injected = disarm();

		if (ioctl(dev, MORSEL_IOC_POOL_ADD, &pool))
			fail_msg("POOL_ADD: %s", strerror(errno));
		if (!injected)
			arm(10000);
	}
	return result;
}

static int run_pool_resize(void)
{
	struct morsel_pool pool = {.size = sizeof(pool), .id = pool_id, .limit_bytes = pool_bytes};

	return ioctl(dev, MORSEL_IOC_POOL_RESIZE, &pool) ? -errno : 0;
}

WALK(limit_set_fails, NULL, run_limit_set, check_limit, {EFAULT, ENOMEM})
WALK(pool_add_fails, prepare_no_pool, run_pool_add, NULL, {EFAULT, ENOMEM})
WALK(pool_resize_fails, prepare_pool, run_pool_resize, NULL, {EFAULT})

/* Contents. */

static void prepare_4k(void)
{
	make_new(MORSEL_GRANULE_4K);
}

static void prepare_auto(void)
{
	make_new(MORSEL_GRANULE_AUTO);
}

static void prepare_2m(void)
{
	make_new(MORSEL_GRANULE_2M);
}

static int run_populate(void)
{
	return populate(fd, 0, 0) ? -errno : 0;
}

static int run_reserve(void)
{
	struct morsel_range range = {.size = sizeof(range)};

	return ioctl(fd, MORSEL_IOC_RESERVE, &range) ? -errno : 0;
}

/* A set of tables for others' rights is there, and is filled. */
static void prepare_shown(void)
{
	prepare_4k();
	memory = map(fd, MAPPED, PROT_READ);
}

static void check_reserved(void)
{
	struct morsel_info info = info_of(fd);

	assert_int_equal(info.reserved_bytes, info.length);
	check_populated();
}

static int run_punch(void)
{
	return punch(fd, PAGE, 2 * HUGE) ? -errno : 0;
}

static int run_fallocate(void)
{
	return fallocate(fd, 0, PAGE, HUGE) ? -errno : 0;
}

static int run_write(void)
{
	fill_pattern(page, PAGE, SEED);
	return pwrite(fd, page, PAGE, HUGE) == PAGE ? 0 : -errno;
}

static void check_written(void)
{
	memset(page, 0, PAGE);
	assert_int_equal(pread(fd, page, PAGE, HUGE), PAGE);
	assert_true(has_pattern(page, PAGE, SEED));
}

static int run_read(void)
{
	return pread(fd, page, PAGE, HUGE) == PAGE ? 0 : -errno;
}

static void prepare_written(void)
{
	prepare_4k();
	assert_int_equal(run_write(), 0);
}

WALK(populate_fails, prepare_auto, run_populate, check_populated, {ENOMEM, EFAULT})
WALK(populate_4k_fails, prepare_4k, run_populate, check_populated, {ENOMEM, EFAULT})
WALK(populate_2m_fails, prepare_2m, run_populate, check_populated, {ENOMEM, EFAULT})
WALK(reserve_fails, prepare_auto, run_reserve, check_reserved, {ENOMEM, EFAULT})
WALK(reserve_shown_fails, prepare_shown, run_reserve, check_reserved, {ENOMEM, EFAULT})
WALK(punch_fails, prepare_full, run_punch, NULL, {EFAULT})
WALK(fallocate_fails, prepare_4k, run_fallocate, NULL, {ENOSPC})
WALK(write_fails, prepare_4k, run_write, check_written, {ENOSPC, EFAULT})
WALK(read_fails, prepare_written, run_read, check_written, {EFAULT})

/* Address spaces. */

static int map_call(int prot, int flags)
{
	memory = mmap(NULL, MAPPED, prot, MAP_SHARED | flags, fd, 0);
	if (memory != MAP_FAILED)
		return 0;
	memory = NULL;
	return -errno;
}

static void prepare_filled(void)
{
	prepare_4k();
	assert_done(populate(fd, 0, 0));
	assert_int_equal(run_write(), 0);
}

static int run_map(void)
{
	return map_call(RW, 0);
}

static int run_map_read_only(void)
{
	return map_call(PROT_READ, 0);
}

static int run_map_executable(void)
{
	return map_call(PROT_READ | PROT_EXEC, 0);
}

static int run_map_populate(void)
{
	return map_call(RW, MAP_POPULATE);
}

static void check_mapped(void)
{
	assert_true(has_pattern(memory + HUGE, PAGE, SEED));
}

static int run_touch(void)
{
	return probe_write(memory + HUGE + 1, 5);
}

static int run_look(void)
{
	return probe_read(memory + HUGE, NULL);
}

static void check_touched(void)
{
	assert_int_equal(memory[HUGE + 1], 5);
}

static void prepare_mapped_4k(void)
{
	prepare_4k();
	assert_int_equal(run_map(), 0);
}

static void prepare_mapped_auto(void)
{
	prepare_auto();
	assert_int_equal(run_map(), 0);
}

/* The frame is there, its place in the other tableset is not. */
static void prepare_mapped_read_only(void)
{
	prepare_4k();
	assert_int_equal(run_map_read_only(), 0);
	assert_int_equal(run_write(), 0);
}

/* A GiB that is covered as a whole. */
static void prepare_gib(void)
{
	char *place = free_place(GIB);

	fd = create(GIB, MORSEL_GRANULE_4K);
	map_at(place, fd, GIB, RW, 0);
	memory = NULL;
	assert_done(populate(fd, 0, HUGE));
	munmap(place, GIB);
	memory = place;
}

static int run_map_gib(void)
{
	void *at = mmap(memory, GIB, RW, MAP_SHARED | MAP_FIXED, fd, 0);
	int result = at == MAP_FAILED ? -errno : probe_write(memory + HUGE, 1);

	/* Not to be counted among what failed. */
	if (at != MAP_FAILED) {
		bool injected = disarm();

		munmap(memory, GIB);
		if (!injected)
			arm(10000);
	}
	return result;
}

/* Part of a mapping goes, and what is left serves. */
static int run_munmap_part(void)
{
	int result = munmap(memory, HUGE) ? -errno : 0;

	return result ?: probe_write(memory + HUGE + 1, 5);
}

static int run_mprotect(void)
{
	int result = mprotect(memory + HUGE, HUGE, PROT_READ) ? -errno : 0;

	return result ?: probe_read(memory + HUGE, NULL);
}

static int run_mremap(void)
{
	char *target = free_place(GIB), *moved;

	moved = mremap(memory, MAPPED, MAPPED, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	if (moved == MAP_FAILED)
		return -errno;
	memory = moved;
	/* The new place may not have been attached: the first touch does that. */
	return 0;
}

static void prepare_mapped_written(void)
{
	prepare_filled();
	assert_int_equal(run_map(), 0);
}

WALK(map_fails, prepare_filled, run_map, check_mapped, {ENOMEM})
WALK(map_read_only_fails, prepare_filled, run_map_read_only, check_mapped, {ENOMEM})
WALK(map_executable_fails, prepare_filled, run_map_executable, check_mapped, {ENOMEM})
WALK(map_populate_fails, prepare_written, run_map_populate, check_mapped, {ENOMEM})
WALK(map_gib_fails, prepare_gib, run_map_gib, NULL, {ENOMEM, -SIGBUS})
WALK(touch_fails, prepare_mapped_4k, run_touch, check_touched, {-SIGBUS})
WALK(touch_2m_fails, prepare_mapped_auto, run_touch, check_touched, {-SIGBUS})
WALK(look_in_another_tableset_fails, prepare_mapped_read_only, run_look, check_mapped, {-SIGBUS})
WALK(munmap_of_a_part_fails, prepare_mapped_written, run_munmap_part, check_touched,
     {ENOMEM, -SIGBUS}, true)
WALK(mprotect_fails, prepare_mapped_written, run_mprotect, check_mapped, {ENOMEM, -SIGBUS})
WALK(mremap_fails, prepare_mapped_written, run_mremap, check_mapped, {ENOMEM})
/* What is inherited is attached by the first touch. */
WALK(a_child_s_first_look_fails, prepare_mapped_written, run_look, check_mapped, {-SIGBUS}, false,
     true)

/* Clones. */

static int clone_call(uint32_t flags, const char *name)
{
	other = clone_with(fd, flags, name);
	return other < 0 ? -errno : 0;
}

static int run_clone(void)
{
	return clone_call(0, "");
}

static int run_snapshot_named(void)
{
	return clone_call(MORSEL_CLONE_SNAPSHOT, "walk");
}

static void check_cloned(void)
{
	memset(page, 0, PAGE);
	assert_int_equal(pread(other, page, PAGE, HUGE), PAGE);
	assert_true(has_pattern(page, PAGE, SEED));
	assert_true(has_pattern(memory + HUGE, PAGE, SEED));
	memory[HUGE] ^= 1;
	assert_int_equal(pread(other, page, 1, HUGE), 1);
	assert_int_not_equal(page[0], memory[HUGE]);
}

static void prepare_cloned(void)
{
	prepare_mapped_written();
	assert_int_equal(run_clone(), 0);
}

/* What is reserved the clone has copies of, of huge frames, too. */
static void prepare_reserved(void)
{
	prepare_auto();
	assert_int_equal(run_write(), 0);
	assert_int_equal(run_map(), 0);
	assert_int_equal(run_reserve(), 0);
}

static int run_copy_by_touch(void)
{
	return probe_write(memory + HUGE + 1, 5);
}

static void check_copied(void)
{
	char byte;

	assert_int_equal(memory[HUGE + 1], 5);
	assert_int_equal(pread(other, &byte, 1, HUGE + 1), 1);
	fill_pattern(page, PAGE, SEED);
	assert_int_equal(byte, page[1]);
}

static int run_copy_by_write(void)
{
	return pwrite(fd, "\5", 1, HUGE + 1) == 1 ? 0 : -errno;
}

static void prepare_cloned_huge(void)
{
	prepare_auto();
	assert_int_equal(run_write(), 0);
	assert_int_equal(run_map(), 0);
	assert_int_equal(run_clone(), 0);
}

static int run_unshare(void)
{
	return fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, LENGTH) ? -errno : 0;
}

static int run_rollback(void)
{
	struct morsel_rollback args = {.size = sizeof(args), .from = other};

	return ioctl(fd, MORSEL_IOC_ROLLBACK, &args) ? -errno : 0;
}

static void prepare_changed(void)
{
	prepare_cloned();
	assert_int_equal(run_copy_by_touch(), 0);
}

static void check_rolled_back(void)
{
	assert_true(has_pattern(memory + HUGE, PAGE, SEED));
}

static int run_diff(void)
{
	struct morsel_difference parts[4];
	struct morsel_diff args = {
		.list = {.size = sizeof(args),
			 .entries = (uintptr_t)parts,
			 .entry_size = sizeof(parts[0]),
			 .count = ARRAY_SIZE(parts)},
		.other = other,
	};

	return ioctl(fd, MORSEL_IOC_DIFF, &args) ? -errno : 0;
}

static int run_punch_shared(void)
{
	return punch(fd, PAGE, 2 * HUGE) ? -errno : 0;
}

/* Where a clone cannot be made, the kernel copies what is written. */
static int run_map_private(void)
{
	/* With room behind it, as all is unmapped that MAPPED covers. */
	char *place = free_place(MAPPED);

	memory = mmap(place, 2 * HUGE, RW, MAP_PRIVATE | MAP_FIXED, fd, 0);
	if (memory != MAP_FAILED)
		return 0;
	memory = NULL;
	return -errno;
}

static void prepare_private(void)
{
	prepare_filled();
	assert_int_equal(run_map_private(), 0);
	memory[HUGE + 1] = 5;
}

/* A child whose clone could not be made gets SIGBUS where it looks. */
static int run_fork_private(void)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		/* Else the signal would be a failure of the test. */
		signal(SIGBUS, SIG_DFL);
		_exit(memory[HUGE + 1] != 5);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

WALK(clone_fails, prepare_mapped_written, run_clone, check_cloned, {ENOMEM, EFAULT, ENFILE})
WALK(clone_reserved_fails, prepare_reserved, run_clone, check_cloned, {ENOMEM, EFAULT, ENFILE})
WALK(snapshot_named_fails, prepare_mapped_written, run_snapshot_named, check_cloned,
     {ENOMEM, EFAULT, ENFILE})
WALK(copying_by_touch_fails, prepare_cloned, run_copy_by_touch, check_copied, {-SIGBUS})
WALK(copying_huge_by_touch_fails, prepare_cloned_huge, run_copy_by_touch, check_copied, {-SIGBUS})
WALK(copying_by_write_fails, prepare_cloned, run_copy_by_write, check_copied, {ENOSPC, EFAULT})
WALK(unshare_fails, prepare_cloned_huge, run_unshare, NULL, {ENOSPC})
WALK(rollback_fails, prepare_changed, run_rollback, check_rolled_back, {ENOMEM, EFAULT, ENFILE})
WALK(diff_fails, prepare_changed, run_diff, NULL, {EFAULT})
WALK(punch_shared_fails, prepare_cloned_huge, run_punch_shared, NULL, {ENOMEM, EFAULT})
WALK(map_private_fails, prepare_filled, run_map_private, check_mapped, {ENOMEM})
WALK(fork_private_fails, prepare_private, run_fork_private, NULL, {ENOMEM, -SIGBUS})

/* Giving away: all, or nothing. */

static int run_give(void)
{
	other = give(fd);
	if (other >= 0)
		return 0;
	return -errno;
}

static int run_give_or_keep(void)
{
	int result = run_give();
	bool injected = disarm();

	if (result)
		check_written();
	if (!injected)
		arm(10000);
	return result;
}

static void check_given(void)
{
	memset(page, 0, PAGE);
	assert_int_equal(pread(other, page, PAGE, HUGE), PAGE);
	assert_true(has_pattern(page, PAGE, SEED));
	assert_errno(pread(fd, page, PAGE, HUGE), ESTALE);
	assert_int_equal(probe_read(memory + HUGE, NULL), SIGBUS);
}

static void prepare_named_written(void)
{
	fd = create_named("walk", LENGTH, 0600);
	assert_int_equal(run_write(), 0);
	assert_int_equal(run_map(), 0);
}

/* With tables for other rights. */
static void prepare_shown_written(void)
{
	prepare_written();
	assert_int_equal(run_map_read_only(), 0);
	assert_int_equal(run_look(), 0);
}

WALK(give_fails, prepare_mapped_written, run_give_or_keep, check_given, {ENOMEM, EFAULT, ENFILE})
WALK(give_named_fails, prepare_named_written, run_give_or_keep, check_given,
     {ENOMEM, EFAULT, ENFILE})
WALK(give_reserved_fails, prepare_reserved, run_give_or_keep, check_given, {ENOMEM, EFAULT, ENFILE})
WALK(give_shown_fails, prepare_shown_written, run_give_or_keep, check_given,
     {ENOMEM, EFAULT, ENFILE})

/* Exclusive views: who fails to take something has nothing of it, and who had it has it yet. */

static int run_create_viewed(void)
{
	return create_call(MORSEL_GRANULE_AUTO, MORSEL_CREATE_VIEWS, "");
}

static void prepare_viewed_of(uint32_t granule, uint32_t flags)
{
	assert_int_equal(create_call(granule, MORSEL_CREATE_VIEWS | flags, ""), 0);
}

static void prepare_viewed(void)
{
	prepare_viewed_of(MORSEL_GRANULE_4K, 0);
}

static int run_view(void)
{
	struct morsel_view args = {.size = sizeof(args)};

	if (ioctl(fd, MORSEL_IOC_VIEW, &args))
		return -errno;
	other = args.fd;
	return 0;
}

static void prepare_view(void)
{
	prepare_viewed();
	assert_int_equal(run_view(), 0);
}

static int run_map_view(void)
{
	memory = mmap(NULL, MAPPED, RW, MAP_SHARED, other, 0);
	if (memory != MAP_FAILED)
		return 0;
	memory = NULL;
	return -errno;
}

static void check_view(void)
{
	assert_int_equal(run_map_view(), 0);
	memory[HUGE + 1] = 5;
}

static void prepare_mapped_view(void)
{
	prepare_view();
	assert_int_equal(run_map_view(), 0);
}

/* Another one that has written a byte of each page. */
static void prepare_written_views_of(uint32_t granule)
{
	uint64_t at;

	prepare_viewed_of(granule, MORSEL_CREATE_POPULATE);
	assert_int_equal(run_view(), 0);
	third = other;
	there = map(third, MAPPED, RW);
	assert_int_equal(run_view(), 0);
	memory = map(other, MAPPED, RW);
	for (at = 0; at < LENGTH; at += PAGE)
		there[at + 1] = 5;
}

static void prepare_written_views(void)
{
	prepare_written_views_of(MORSEL_GRANULE_4K);
}

static void prepare_huge_views(void)
{
	prepare_written_views_of(MORSEL_GRANULE_AUTO);
}

/* Each page of the second span has its own word. */
static void prepare_split_views(void)
{
	prepare_written_views();
	memory[HUGE + 7 * PAGE] = 6;
	assert_int_equal(there[HUGE + 1], 5);
}

static void prepare_split_huge_views(void)
{
	prepare_huge_views();
	memory[HUGE + 7 * PAGE] = 6;
	assert_int_equal(there[HUGE + 1], 5);
}

static int acquire(int view, uint32_t flags, uint64_t offset, uint64_t length)
{
	struct morsel_acquire args = {
		.size = sizeof(args), .flags = flags, .offset = offset, .length = length};

	return ioctl(view, MORSEL_IOC_ACQUIRE, &args) ? -errno : 0;
}

static int release(int view, uint32_t flags)
{
	struct morsel_range args = {.size = sizeof(args), .flags = flags, .length = MAPPED};

	return ioctl(view, MORSEL_IOC_RELEASE, &args) ? -errno : 0;
}

/* With nothing failing: the other one can have it all, with what was written. */
static void check_other_has(int result)
{
	bool injected = disarm();
	uint64_t at;

	if (result) {
		assert_int_equal(acquire(third, MORSEL_ACQUIRE_WRITE, 0, LENGTH & ~(PAGE - 1)), 0);
		for (at = 0; at < LENGTH; at += PAGE)
			assert_int_equal(there[at + 1], 5);
		assert_int_equal(release(third, 0), 0);
	}
	if (!injected)
		arm(10000);
}

static int run_take_to_read(void)
{
	int result = probe_read(memory + HUGE + 1, NULL);

	check_other_has(result);
	return result;
}

static void check_taken_to_read(void)
{
	assert_int_equal(memory[HUGE + 1], 5);
	there[HUGE + 1] = 7;
	assert_int_equal(memory[HUGE + 1], 7);
}

static int run_take_to_write(void)
{
	int result = probe_write(memory + HUGE, 7);

	check_other_has(result);
	return result;
}

static void check_taken_to_write(void)
{
	assert_int_equal(memory[HUGE + 1], 5);
	assert_int_equal(there[HUGE], 7);
}

static int run_acquire(void)
{
	int result = acquire(other, MORSEL_ACQUIRE_WRITE, PAGE, 2 * HUGE);

	check_other_has(result);
	return result;
}

static int run_acquire_to_read(void)
{
	int result = acquire(other, 0, PAGE, 2 * HUGE);

	check_other_has(result);
	return result;
}

static void check_acquired(void)
{
	uint64_t at;

	for (at = PAGE; at < 2 * HUGE + PAGE; at += PAGE)
		assert_int_equal(memory[at + 1], 5);
	assert_int_equal(acquire(third, MORSEL_ACQUIRE_WRITE, HUGE, PAGE), -EBUSY);
	assert_int_equal(release(other, 0), 0);
	assert_int_equal(acquire(third, MORSEL_ACQUIRE_WRITE, 0, LENGTH & ~(PAGE - 1)), 0);
}

static void prepare_held(void)
{
	prepare_split_views();
	assert_int_equal(acquire(other, MORSEL_ACQUIRE_WRITE, PAGE, 2 * HUGE), 0);
}

/* What cannot be given up for want of memory is not held all the same. */
static int run_release(void)
{
	int result = release(other, MORSEL_RELEASE_GIVE_UP);
	bool injected = disarm();

	if (!result) {
		assert_int_equal(acquire(third, MORSEL_ACQUIRE_WRITE, 0, LENGTH & ~(PAGE - 1)), 0);
		assert_int_equal(there[HUGE + 1], 5);
	}
	if (!injected)
		arm(10000);
	return result;
}

/* Behind its end, and then there. */
static int run_grow(void)
{
	int result = ftruncate(fd, MAPPED) ? -errno : 0;

	return result ?: probe_write(memory + MAPPED - PAGE, 5);
}

static int run_revoke(void)
{
	struct morsel_restrict args = {.size = sizeof(args), .flags = MORSEL_RESTRICT_REVOKE};

	return ioctl(other, MORSEL_IOC_RESTRICT, &args) ? -errno : 0;
}

static void check_revoked(void)
{
	assert_int_equal(probe_read(memory + HUGE, NULL), SIGBUS);
	assert_int_equal(acquire(third, MORSEL_ACQUIRE_WRITE, 0, LENGTH & ~(PAGE - 1)), 0);
	assert_int_equal(there[HUGE + 1], 5);
}

WALK(create_viewed_fails, NULL, run_create_viewed, NULL, {ENOMEM, EFAULT})
WALK(view_fails, prepare_viewed, run_view, check_view, {ENOMEM, EFAULT, ENFILE})
WALK(map_view_fails, prepare_view, run_map_view, NULL, {ENOMEM})
WALK(look_by_view_fails, prepare_mapped_view, run_look, NULL, {-SIGBUS})
WALK(touch_by_view_fails, prepare_mapped_view, run_touch, check_touched, {-SIGBUS})
WALK(take_to_read_fails, prepare_written_views, run_take_to_read, check_taken_to_read, {-SIGBUS})
WALK(take_to_write_fails, prepare_written_views, run_take_to_write, check_taken_to_write, {-SIGBUS})
WALK(take_of_huge_fails, prepare_huge_views, run_take_to_write, check_taken_to_write, {-SIGBUS})
WALK(take_of_split_fails, prepare_split_views, run_take_to_write, check_taken_to_write, {-SIGBUS},
     true)
WALK(acquire_fails, prepare_split_views, run_acquire, check_acquired, {ENOMEM, EFAULT})
WALK(acquire_to_read_fails, prepare_split_views, run_acquire_to_read, check_acquired,
     {ENOMEM, EFAULT})
WALK(acquire_of_huge_fails, prepare_split_huge_views, run_acquire, check_acquired, {ENOMEM, EFAULT})
WALK(release_fails, prepare_held, run_release, NULL, {EFAULT})
WALK(grow_viewed_fails, prepare_mapped_view, run_grow, NULL, {ENOMEM, -SIGBUS}, true)
WALK(revoke_fails, prepare_held, run_revoke, check_revoked, {EFAULT})

/* Loading, too. */

static int run_load(void)
{
	int file = open(getenv("MORSEL_KO"), O_RDONLY | O_CLOEXEC);
	int result = syscall(SYS_finit_module, file, "", 0) ? -errno : 0;

	close(file);
	return result;
}

static void load_fails(void **state)
{
	unsigned int nth;
	bool injected;
	int result;

	injection_begin();
	spare_cache_creation();
	close(dev);
	dev = -1;
	for (nth = 1;; nth++) {
		assert_int_equal(unload_module(), 0);
		arm(nth);
		result = run_load();
		injected = disarm();
		if (!injected)
			break;
		if (result && result != -ENOMEM)
			fail_msg("failure %u: %s", nth, strerrorname_np(-result));
		if (result)
			assert_int_equal(access(MORSEL_DEVICE, F_OK), -1);
		/* And it loads. */
		if (result)
			assert_int_equal(run_load(), 0);
	}
	assert_int_equal(result, 0);
	print_message("# %u places failed\n", nth - 1);
	assert_true(nth > 1);
	injection_end();
}

/* Small frames, more than are gathered without memory, and behind them, a GiB later, a huge one. */
static int create_mixed(void)
{
	uint64_t bytes = pool_info().limit_bytes;
	int mixed = create(GIB + 2 * HUGE, MORSEL_GRANULE_AUTO);
	unsigned int i;

	/* No room for huge ones. */
	assert_done(resize_pool(HUGE));
	for (i = 0; i < 100; i++)
		assert_int_equal(pwrite(mixed, page, PAGE, i * PAGE), PAGE);
	assert_int_equal(info_of(mixed).huge_bytes, 0);
	assert_done(resize_pool(bytes));
	assert_int_equal(pwrite(mixed, page, PAGE, GIB), PAGE);
	assert_int_equal(info_of(mixed).huge_bytes, HUGE);
	return mixed;
}

/*
 * Frames are gathered before they are given back, and where there is no memory for that, some
 * at a time.  Fails if then one is forgotten.
 */
static void freeing_needs_no_memory(void **state)
{
	int punched = create_mixed(), closed;

	injection_begin();
	fail_all_pages(true);
	assert_done(punch(punched, 0, 0));
	fail_all_pages(false);
	assert_int_equal(info_of(punched).frame_bytes, 0);
	close(punched);

	closed = create_mixed();
	fail_all_pages(true);
	close(closed);
	/* It is done when the program goes back to its own code. */
	fail_all_pages(false);
	injection_end();
	fd = other = third = -1;
	memory = there = NULL;
	clear_after_call();
}

static void allocations_fail(void **state)
{
	skip_because("this kernel cannot inject faults (see qemu/config/memory)");
}

int main(void)
{
	const struct CMUnitTest cannot[] = {
		TEST(allocations_fail),
	};
	const struct CMUnitTest tests[] = {
		TEST(create_fails),
		TEST(create_bound_fails),
		TEST(create_named_fails),
		TEST(create_populated_fails),
		TEST(create_populated_4k_fails),
		TEST(create_populated_2m_fails),
		TEST(open_fails),
		TEST(open_read_only_fails),
		TEST(unlink_fails),
		TEST(query_fails),
		TEST(list_fails),
		TEST(nodes_fail),
		TEST(stat_fails),
		TEST(extents_fails),
		TEST(pool_list_fails),
		TEST(pool_stat_fails),
		TEST(limit_get_fails),
		TEST(limit_set_fails),
		TEST(pool_add_fails),
		TEST(pool_resize_fails),
		TEST(populate_fails),
		TEST(populate_4k_fails),
		TEST(populate_2m_fails),
		TEST(reserve_fails),
		TEST(reserve_shown_fails),
		TEST(punch_fails),
		TEST(fallocate_fails),
		TEST(write_fails),
		TEST(read_fails),
		TEST(map_fails),
		TEST(map_read_only_fails),
		TEST(map_executable_fails),
		TEST(map_populate_fails),
		TEST(map_gib_fails),
		TEST(touch_fails),
		TEST(touch_2m_fails),
		TEST(look_in_another_tableset_fails),
		TEST(munmap_of_a_part_fails),
		TEST(mprotect_fails),
		TEST(mremap_fails),
		TEST(a_child_s_first_look_fails),
		TEST(freeing_needs_no_memory),
		TEST(clone_fails),
		TEST(clone_reserved_fails),
		TEST(snapshot_named_fails),
		TEST(copying_by_touch_fails),
		TEST(copying_huge_by_touch_fails),
		TEST(copying_by_write_fails),
		TEST(unshare_fails),
		TEST(rollback_fails),
		TEST(diff_fails),
		TEST(punch_shared_fails),
		TEST(map_private_fails),
		TEST(fork_private_fails),
		TEST(give_fails),
		TEST(give_named_fails),
		TEST(give_reserved_fails),
		TEST(give_shown_fails),
		TEST(create_viewed_fails),
		TEST(view_fails),
		TEST(map_view_fails),
		TEST(look_by_view_fails),
		TEST(touch_by_view_fails),
		TEST(take_to_read_fails),
		TEST(take_to_write_fails),
		TEST(take_of_huge_fails),
		TEST(take_of_split_fails),
		TEST(acquire_fails),
		TEST(acquire_to_read_fails),
		TEST(acquire_of_huge_fails),
		TEST(release_fails),
		TEST(grow_viewed_fails),
		TEST(revoke_fails),
		TEST(load_fails),
		TEST(module_unloads),
	};

	if (!can_inject())
		return cmocka_run_group_tests(cannot, suite_begin, suite_end);
	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
