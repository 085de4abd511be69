// SPDX-License-Identifier: GPL-2.0
/*
 * Pools: what there is, what may be taken, and giving back.
 */
#include "kernel.h"

static int pool_call(unsigned long call, struct morsel_pool *pool)
{
	pool->size = sizeof(*pool);
	return ioctl(dev, call, pool);
}

#define IDLE "/sys/module/morsel/parameters/dram_idle_seconds"

/* However long it takes to look, nothing goes back but what is asked for. */
static void keep_idle(void)
{
	set_kernel(IDLE, "1000000");
}

/* Have the kernel ask all shrinkers for what they can spare. */
static void drop_caches(void)
{
	if (!write_text("/proc/sys/vm/drop_caches", "2\n"))
		skip_because("cannot write /proc/sys/vm/drop_caches");
}

static void pools_are_listed(void **state)
{
	struct morsel_pool_info info[16], again;
	uint64_t cursor = 0;
	int count, i;

	count = list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(info[0]), 16);
	assert_true(count >= 1);
	assert_int_equal(count, query().nr_pools);
	for (i = 0; i < count; i++) {
		assert_int_equal(info[i].kind, MORSEL_POOL_DRAM);
		assert_int_equal(info[i].flags, 0);
		assert_true(info[i].limit_bytes > 0);
		assert_int_equal(info[i].limit_bytes % HUGE, 0);
		assert_true(!strncmp(info[i].name, "dram", 4));
		again = (struct morsel_pool_info){.size = sizeof(again), .id = info[i].id};
		assert_done(ioctl(dev, MORSEL_IOC_POOL_STAT, &again));
		assert_string_equal(again.name, info[i].name);
		assert_int_equal(again.limit_bytes, info[i].limit_bytes);
	}
	again = (struct morsel_pool_info){.size = sizeof(again), .id = 9999};
	assert_errno(ioctl(dev, MORSEL_IOC_POOL_STAT, &again), ENOENT);
}

static void the_sums_are_right(void **state)
{
	int small = create(16 * MIB, MORSEL_GRANULE_4K), huge = create(16 * MIB, MORSEL_GRANULE_2M);
	struct morsel_pool_info info;
	uint64_t tables;

	keep_idle();
	assert_done(populate(small, 0, 5 * MIB));
	assert_done(populate(huge, 0, 6 * MIB));
	info = pool_info();
	tables = info_of(small).table_bytes + info_of(huge).table_bytes;
	assert_int_equal(info_of(small).frame_bytes, 5 * MIB);
	assert_int_equal(info_of(huge).frame_bytes, 6 * MIB);
	assert_int_equal(info.used_bytes, 11 * MIB + tables);
	assert_int_equal(info.held_bytes, info.used_bytes + info.free_bytes + info.pinned_bytes);
	assert_int_equal(info.morsels, 2);
	assert_true(info.free_huge_bytes <= info.free_bytes);
	assert_true(info.borrows >= 6);
	assert_done(punch(huge, 0, 0));
	assert_int_equal(pool_info().used_bytes, 5 * MIB + tables);
	assert_true(pool_info().free_huge_bytes >= 6 * MIB);
	close(huge);
	close(small);
	assert_int_equal(pool_info().used_bytes, 0);
	assert_int_equal(pool_info().morsels, 0);
}

static void adding_checks_what_is_asked(void **state)
{
	struct morsel_pool pool = {.kind = MORSEL_POOL_DRAM, .limit_bytes = 64 * MIB};

	assert_errno(pool_call(MORSEL_IOC_POOL_ADD, &pool), EEXIST);
	pool.node = 9999;
	assert_errno(pool_call(MORSEL_IOC_POOL_ADD, &pool), ENODEV);
	pool.node = 0;
	pool.kind = 77;
	assert_errno(pool_call(MORSEL_IOC_POOL_ADD, &pool), EOPNOTSUPP);
	pool.kind = MORSEL_POOL_DRAM;
	pool.limit_bytes = HUGE + PAGE;
	assert_errno(pool_call(MORSEL_IOC_POOL_ADD, &pool), EINVAL);
	assert_errno(resize_pool(HUGE - PAGE), EINVAL);
	pool = (struct morsel_pool){.id = 9999, .limit_bytes = HUGE};
	assert_errno(pool_call(MORSEL_IOC_POOL_RESIZE, &pool), ENOENT);
	pool = (struct morsel_pool){.id = 9999};
	assert_errno(pool_call(MORSEL_IOC_POOL_REMOVE, &pool), ENOENT);
}

static void pools_are_the_admin_s(void **state)
{
	pid_t pid = spawn();

	if (!pid) {
		struct morsel_pool pool = {.kind = MORSEL_POOL_DRAM, .limit_bytes = 64 * MIB};
		uint32_t id = pool_info().id;

		become(TESTER);
		need(pool_call(MORSEL_IOC_POOL_ADD, &pool) == -1 && errno == EPERM);
		pool = (struct morsel_pool){.id = id, .limit_bytes = 64 * MIB};
		need(pool_call(MORSEL_IOC_POOL_RESIZE, &pool) == -1 && errno == EPERM);
		pool = (struct morsel_pool){.id = id};
		need(pool_call(MORSEL_IOC_POOL_REMOVE, &pool) == -1 && errno == EPERM);
		/* Looking is free. */
		need(pool_info().id == id);
		_exit(0);
	}
	assert_child_done(pid);
}

static void a_pool_in_use_is_not_removed(void **state)
{
	struct morsel_pool_info info = pool_info();
	struct morsel_pool pool = {.id = info.id};
	int fd = create(HUGE, MORSEL_GRANULE_AUTO);

	assert_errno(pool_call(MORSEL_IOC_POOL_REMOVE, &pool), EBUSY);
	assert_done(populate(fd, 0, 0));
	assert_errno(pool_call(MORSEL_IOC_POOL_REMOVE, &pool), EBUSY);
	assert_int_equal(pool_info().id, info.id);
}

static void a_pool_is_removed_and_added(void **state)
{
	struct morsel_pool_info info = pool_info();
	struct morsel_pool pool = {.id = info.id};
	unsigned int pools = query().nr_pools;
	struct morsel_create args = populated(HUGE, MORSEL_GRANULE_AUTO);

	assert_done(pool_call(MORSEL_IOC_POOL_REMOVE, &pool));
	assert_int_equal(query().nr_pools, pools - 1);
	args.pool = info.id;
	assert_errno(create_with(&args), ENOENT);
	if (pools == 1) {
		args.pool = MORSEL_ANY;
		assert_errno(create_with(&args), ENOENT);
	}
	pool = (struct morsel_pool){
		.kind = info.kind, .node = info.node, .limit_bytes = info.limit_bytes};
	assert_done(pool_call(MORSEL_IOC_POOL_ADD, &pool));
	assert_int_not_equal(pool.id, 0);
	args.pool = pool.id;
	assert_done(create_with(&args));
	assert_int_equal(info_of(args.fd).pool, pool.id);
}

static void a_pool_that_nobody_is_told_of_goes_again(void **state)
{
	struct morsel_pool *page = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct morsel_pool_info info = pool_info();
	struct morsel_pool pool = {.id = info.id};
	unsigned int pools = query().nr_pools;

	assert_done(pool_call(MORSEL_IOC_POOL_REMOVE, &pool));
	*page = (struct morsel_pool){.size = sizeof(*page),
				     .kind = info.kind,
				     .node = info.node,
				     .limit_bytes = info.limit_bytes};
	/* What is asked can be read, but there is no place for the answer. */
	assert_done(mprotect(page, PAGE, PROT_READ));
	assert_errno(ioctl(dev, MORSEL_IOC_POOL_ADD, page), EFAULT);
	assert_int_equal(query().nr_pools, pools - 1);

	assert_done(mprotect(page, PAGE, RW));
	assert_done(ioctl(dev, MORSEL_IOC_POOL_ADD, page));
	assert_int_equal(query().nr_pools, pools);
	/* Nothing of what was begun holds it. */
	pool.id = page->id;
	assert_done(pool_call(MORSEL_IOC_POOL_REMOVE, &pool));
	assert_done(ioctl(dev, MORSEL_IOC_POOL_ADD, page));
}

static void what_does_not_fit_leaves_nothing(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M,
					    MORSEL_GRANULE_AUTO};
	unsigned int i;

	assert_done(resize_pool(32 * MIB));
	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct morsel_create args = populated(64 * MIB, granules[i]);

		strcpy(args.name, "too-big");
		assert_errno(create_with(&args), ENOMEM);
		assert_int_equal(count_morsels(), 0);
		assert_int_equal(pool_info().used_bytes, 0);
		assert_true(pool_info().held_bytes <= 32 * MIB);
		/* A part fits. */
		args.length = 16 * MIB;
		assert_done(create_with(&args));
		assert_done(unlink_morsel(0, "too-big"));
		close(args.fd);
	}
}

static void populating_beyond_the_pool_fails(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);

	assert_done(resize_pool(32 * MIB));
	assert_errno(populate(fd, 0, 0), ENOMEM);
	/* What was populated by then stays, up to the limit. */
	assert_true(info_of(fd).frame_bytes >= 30 * MIB);
	assert_true(pool_info().used_bytes <= 32 * MIB);
	assert_errno(fallocate(fd, 0, 0, 64 * MIB), ENOSPC);
	assert_done(punch(fd, 0, 0));
	assert_done(populate(fd, 32 * MIB, 16 * MIB));
}

static void a_full_pool_gives_sigbus(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K), other;
	char *memory = map(fd, 64 * MIB, RW), byte = 1;
	size_t at;

	assert_done(resize_pool(16 * MIB));
	for (at = 0; at < 64 * MIB; at += PAGE)
		if (probe_write(memory + at, 1))
			break;
	assert_true(at > 14 * MIB && at <= 16 * MIB);
	assert_int_equal(probe_write(memory + at, 1), SIGBUS);
	assert_int_equal(probe_read(memory + 60 * MIB, NULL), SIGBUS);
	assert_errno(pwrite(fd, &byte, 1, at), ENOSPC);
	/* What is there stays usable. */
	assert_int_equal(memory[at - PAGE], 1);
	assert_done(punch(fd, 0, MIB));
	assert_int_equal(probe_write(memory + at, 1), 0);
	/* 2 MiB frames do not come from less. */
	other = create(HUGE, MORSEL_GRANULE_2M);
	assert_int_equal(probe_write(map(other, HUGE, RW), 1), SIGBUS);
}

static void what_one_size_left_serves_the_other(void **state)
{
	int i;

	assert_done(resize_pool(32 * MIB));
	for (i = 0; i < 6; i++) {
		struct morsel_create args = populated(28 * MIB, i % 2 ? MORSEL_GRANULE_4K
								      : MORSEL_GRANULE_2M);

		assert_done(create_with(&args));
		assert_int_equal(info_of(args.fd).frame_bytes, 28 * MIB);
		close(args.fd);
	}
}

static void shrinking_below_use_stops_growth(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map(fd, 64 * MIB, RW);

	assert_done(populate(fd, 0, 24 * MIB));
	fill_pattern(memory, MIB, 1);
	assert_done(resize_pool(16 * MIB));
	assert_int_equal(pool_info().limit_bytes, 16 * MIB);
	assert_true(has_pattern(memory, MIB, 1));
	assert_int_equal(probe_write(memory + 30 * MIB, 1), SIGBUS);
	assert_done(punch(fd, 4 * MIB, 16 * MIB));
	assert_int_equal(probe_write(memory + 30 * MIB, 1), 0);
	assert_true(pool_info().held_bytes <= 16 * MIB);
	assert_done(resize_pool(64 * MIB));
	assert_done(populate(fd, 0, 48 * MIB));
}

/* Nor is what is free in the pool already handed out. */
static void shrinking_below_use_keeps_free_frames(void **state)
{
	int small = create(16 * MIB, MORSEL_GRANULE_4K), huge = create(16 * MIB, MORSEL_GRANULE_2M);

	assert_done(populate(huge, 0, 8 * MIB));
	assert_done(populate(small, 0, 3 * MIB));
	assert_done(punch(huge, 0, 2 * MIB));
	assert_done(resize_pool(6 * MIB));
	assert_errno(populate(huge, 0, 2 * MIB), ENOMEM);
	assert_errno(populate(small, 3 * MIB, PAGE), ENOMEM);
	assert_done(punch(huge, 0, 0));
	assert_done(populate(huge, 0, 2 * MIB));
	assert_done(populate(small, 3 * MIB, PAGE));
	assert_true(pool_info().used_bytes <= 6 * MIB);
}

#define PLANT "/sys/module/morsel/parameters/plant"

/* Fill the pool to the last page; returns a page of @memory, one span, that got none. */
static char *fill_pool(char *memory, int fd)
{
	size_t at = 0;

	need(!probe_write(memory, 1));
	need(populate(fd, 0, 0) == -1 && errno == ENOMEM);
	/* No table is missing there. */
	while (at < HUGE && !probe_write(memory + at, 1))
		at += PAGE;
	need(at < HUGE);
	return memory + at;
}

/* One holds a processor in the middle of a put; the other is to wait for what is put. */
static void get_while_another_puts(void)
{
	char *memory = map(create(HUGE, MORSEL_GRANULE_4K), HUGE, RW);
	int fd = create(16 * MIB, MORSEL_GRANULE_4K), signal;
	char *page = fill_pool(memory, fd);
	pid_t putter;

	pin_to_cpu(1);
	need(write_text(PLANT, "slow-put"));
	putter = spawn();
	if (!putter) {
		pin_to_cpu(0);
		need(!punch(fd, 0, PAGE));
		_exit(0);
	}
	while (strncmp(read_text(PLANT), "putting", 7))
		sched_yield();
	signal = probe_write(page, 1);
	/* It may go on in any case. */
	need(write_text(PLANT, "\n"));
	need(!wait_child(putter));
	need(!signal);
}

/* Fails if a get in a full pool fails because somebody else is in the middle of a put. */
static void a_get_in_a_full_pool_waits_for_a_put(void **state)
{
	if (access(PLANT, F_OK))
		skip_because("no faults can be planted: no debug build");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip_because("one processor only");
	set_kernel(PLANT, "\n");
	assert_done(resize_pool(4 * MIB));
	assert_race(get_while_another_puts);
}

/* Have the pool borrow once without a number for a chunk of its own. */
static void plant_no_number(void)
{
	if (access(PLANT, F_OK))
		skip_because("no faults can be planted: no debug build");
	set_kernel(PLANT, "no-number");
}

/* Somebody has met it. */
static void assert_no_number_was_left(void)
{
	assert_string_equal(read_text(PLANT), "\n");
}

/*
 * Fails if many chunks of few pages, which have all the numbers, keep a pool from borrowing what
 * there is room for.
 */
static void a_chunk_of_few_pages_is_filled_up(void **state)
{
	int fd = create(HUGE, MORSEL_GRANULE_4K);
	uint64_t borrows;

	keep_idle();
	/* Tables are all there is. */
	assert_done(populate(fd, 0, PAGE));
	assert_done(punch(fd, 0, PAGE));
	while (pool_info().free_bytes && !time_is_up())
		drop_caches();
	assert_true(pool_info().held_bytes > 0);
	/* So there is no room for a whole one. */
	assert_done(resize_pool(HUGE));
	assert_errno(populate(fd, 0, 0), ENOMEM);
	borrows = pool_info().borrows;
	assert_done(resize_pool(4 * MIB));
	plant_no_number();
	assert_done(populate(fd, 0, 0));
	assert_no_number_was_left();
	assert_int_equal(pool_info().borrows, borrows);
	assert_int_equal(info_of(fd).frame_bytes, HUGE);
	assert_true(pool_info().held_bytes <= HUGE + 8 * PAGE);
}

/* The same where pages of a chunk went to be tables. */
static void a_chunk_gets_pages_back(void **state)
{
	int fd = create(HUGE, MORSEL_GRANULE_4K), other = create(HUGE, MORSEL_GRANULE_4K);
	int rest = create(HUGE, MORSEL_GRANULE_4K);
	char *memory = map(fd, HUGE, RW);
	uint64_t held = 2 * HUGE;

	keep_idle();
	assert_done(resize_pool(held));
	fill_pattern(memory, HUGE, 1);
	fill_pool(map(rest, HUGE, RW), rest);
	assert_int_equal(pool_info().held_bytes, held);
	assert_int_equal(pool_info().free_bytes, 0);
	assert_done(punch(fd, PAGE, HUGE - PAGE));
	/* There is no room for its tables but what pages of the chunk leave. */
	assert_done(populate(other, 0, PAGE));
	assert_int_equal(pool_info().held_bytes, held);
	close(other);
	assert_soon(pool_info().held_bytes < held);
	plant_no_number();
	fill_pattern(memory, HUGE, 2);
	assert_no_number_was_left();
	assert_int_equal(pool_info().held_bytes, held);
	assert_true(has_pattern(memory, HUGE, 2));
}

static void ask_for_all(void *fd)
{
	need(populate(*(int *)fd, 0, 0) == -1 && errno == ENOMEM);
}

/*
 * Fails if who gets nothing looks through all that the pool has, though nothing of it is idle: any
 * user can ask all the time.
 */
static void who_gets_nothing_does_not_look_through_the_pool(void **state)
{
	int small = create(64 * MIB, MORSEL_GRANULE_4K), huge = create(HUGE, MORSEL_GRANULE_2M);
	int pipes[2];
	struct iovec page;
	size_t at;

	keep_idle();
	assert_done(resize_pool(32 * MIB));
	assert_errno(populate(small, 0, 0), ENOMEM);
	/* Half of it is free, nowhere 2 MiB; and a page is pinned. */
	page = (struct iovec){map(small, 64 * MIB, RW), PAGE};
	assert_done(pipe(pipes));
	assert_int_equal(vmsplice(pipes[1], &page, 1, 0), PAGE);
	for (at = 0; at < 30 * MIB; at += 2 * PAGE)
		assert_done(punch(small, at, PAGE));
	assert_int_equal(pool_info().pinned_bytes, PAGE);
	assert_true(pool_info().free_bytes > 14 * MIB);
	/* It finds what is claimed by processors, at most. */
	assert_errno(populate(huge, 0, 0), ENOMEM);
	assert_int_equal(calls_of("dram_give_chunk", ask_for_all, &huge), 0);
	close(pipes[0]);
	close(pipes[1]);
}

#define TOLD 8
#define TIMES 50

static void ask_for_own_page(char *page)
{
	unsigned int i;

	for (i = 0; i < TIMES; i++) {
		need(probe_write(page, 1) == SIGBUS);
		need(madvise(page, PAGE, MADV_POPULATE_WRITE) && errno == EFAULT);
	}
}

/*
 * Several at once ask for pages of a morsel for which there is no memory.  Fails if they have each
 * other try again.
 */
static void all_are_told_that_the_pool_is_full(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map(fd, 64 * MIB, RW);
	uint64_t faults;
	unsigned int i;
	pid_t pids[TOLD];

	assert_done(resize_pool(16 * MIB));
	/* To the last page. */
	while (!probe_write(memory, 1))
		memory += PAGE;
	faults = info_of(fd).faults;
	for (i = 0; i < TOLD; i++) {
		pids[i] = spawn();
		if (!pids[i]) {
			ask_for_own_page(memory + i * PAGE);
			_exit(0);
		}
	}
	for (i = 0; i < TOLD; i++)
		assert_child_done(pids[i]);
	/* Each access takes one, or two if something came back meanwhile. */
	assert_in_range(info_of(fd).faults - faults, 2 * TOLD * TIMES, 4 * TOLD * TIMES);
}

/* What is on its way back counts as free: its tables wait for a grace period. */
static void what_was_freed_can_be_had_at_once(void **state)
{
	pid_t pid;

	assert_done(limit_set(TESTER, MIB, 0));
	assert_done(resize_pool(4 * MIB));
	pid = spawn();
	if (!pid) {
		struct morsel_create args = populated(PAGE, MORSEL_GRANULE_4K);
		unsigned int i;

		become(TESTER);
		for (i = 0; i < 1000; i++) {
			need(create_with(&args) >= 0);
			close(args.fd);
		}
		_exit(0);
	}
	assert_child_done(pid);
}

static void the_shrinker_takes_idle_frames_back(void **state)
{
	int small = create(16 * MIB, MORSEL_GRANULE_4K), huge = create(16 * MIB, MORSEL_GRANULE_2M);
	int kept = create(4 * MIB, MORSEL_GRANULE_4K);
	struct morsel_pool_info before, after;
	char *memory = map(kept, 4 * MIB, RW);

	keep_idle();
	assert_done(populate(small, 0, 0));
	assert_done(populate(huge, 0, 0));
	fill_pattern(memory, 4 * MIB, 1);
	close(small);
	close(huge);
	before = pool_info();
	assert_true(before.free_bytes >= 28 * MIB);
	do {
		drop_caches();
		after = pool_info();
	} while (after.free_bytes > 4 * MIB && !time_is_up());
	assert_true(after.free_bytes <= 4 * MIB);
	assert_true(after.held_bytes < before.held_bytes);
	assert_true(after.returns > before.returns);
	/* What is in use stays. */
	assert_true(has_pattern(memory, 4 * MIB, 1));
	assert_int_equal(info_of(kept).frame_bytes, 4 * MIB);
}

static void an_empty_pool_holds_nothing(void **state)
{
	int fd = create(32 * MIB, MORSEL_GRANULE_AUTO);

	keep_idle();
	assert_done(populate(fd, 0, 0));
	close(fd);
	assert_int_equal(pool_info().used_bytes, 0);
	while (pool_info().held_bytes && !time_is_up())
		drop_caches();
	assert_int_equal(pool_info().held_bytes, 0);
	assert_int_equal(pool_info().borrows, pool_info().returns);
}

static void idle_frames_go_back_by_themselves(void **state)
{
	int fd = create(32 * MIB, MORSEL_GRANULE_AUTO);

	keep_idle();
	assert_done(populate(fd, 0, 0));
	close(fd);
	assert_true(pool_info().free_bytes >= 32 * MIB);
	set_kernel(IDLE, "1");
	assert_soon(!pool_info().held_bytes);
}

static size_t free_memory(void)
{
	return sysconf(_SC_AVPHYS_PAGES) * PAGE;
}

#define RESERVED "/proc/sys/vm/nr_hugepages"

/*
 * Of what is free, reserve all but @rest, rather than fill it: where the kernel was booted with
 * init_on_alloc=0, nothing is cleared for that.
 */
static void reserve_but(size_t rest)
{
	char text[32];

	if (free_memory() < rest)
		return;
	snprintf(text, sizeof(text), "%zu", (free_memory() - rest) / HUGE);
	write_text(RESERVED, text);
}

/*
 * Real pressure: more than the machine has, taken and given back.  Fails if the process is killed
 * while the pool has idle frames.
 */
static void memory_pressure_gets_idle_frames(void **state)
{
	struct morsel_pool_info before;
	char reserved[32];
	size_t length;
	pid_t pid;
	int fd, status;

	if (free_memory() > 8 * GIB)
		skip_because("too much memory to fill it");
	fd = create(256 * MIB, MORSEL_GRANULE_2M);
	assert_done(populate(fd, 0, 0));
	close(fd);
	before = pool_info();
	assert_true(before.free_huge_bytes >= 256 * MIB);
	/* Nothing but the pressure is to get them. */
	write_text(IDLE, "3600\n");
	snprintf(reserved, sizeof(reserved), "%s", read_text(RESERVED));
	reserve_but(512 * MIB);
	/* A little more than is free without the pool's. */
	length = free_memory() + 96 * MIB;
	pid = spawn();
	if (!pid) {
		char *memory = mmap(NULL, length, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		size_t at;

		need(write_text("/proc/self/oom_score_adj", "1000"));
		need(memory != MAP_FAILED);
		madvise(memory, length, MADV_HUGEPAGE);
		for (at = 0; at < length; at += PAGE)
			memory[at] = 1;
		_exit(0);
	}
	status = wait_child(pid);
	write_text(RESERVED, reserved);
	write_text(IDLE, "5\n");
	assert_int_equal(status, 0);
	assert_true(pool_info().free_bytes < before.free_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pools_are_listed),
		KERNEL_TEST(the_sums_are_right),
		TEST(adding_checks_what_is_asked),
		TEST(pools_are_the_admin_s),
		TEST(a_pool_in_use_is_not_removed),
		TEST(a_pool_is_removed_and_added),
		TEST(a_pool_that_nobody_is_told_of_goes_again),
		TEST(what_does_not_fit_leaves_nothing),
		TEST(populating_beyond_the_pool_fails),
		TEST(a_full_pool_gives_sigbus),
		TEST(what_one_size_left_serves_the_other),
		TEST(shrinking_below_use_stops_growth),
		TEST(shrinking_below_use_keeps_free_frames),
		KERNEL_TEST(a_get_in_a_full_pool_waits_for_a_put),
		KERNEL_TEST(a_chunk_of_few_pages_is_filled_up),
		KERNEL_TEST(a_chunk_gets_pages_back),
		KERNEL_TEST(who_gets_nothing_does_not_look_through_the_pool),
		TEST(all_are_told_that_the_pool_is_full),
		TEST(what_was_freed_can_be_had_at_once),
		KERNEL_TEST(the_shrinker_takes_idle_frames_back),
		KERNEL_TEST(an_empty_pool_holds_nothing),
		KERNEL_TEST(idle_frames_go_back_by_themselves),
		TEST(memory_pressure_gets_idle_frames),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
