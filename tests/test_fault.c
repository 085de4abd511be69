// SPDX-License-Identifier: GPL-2.0
/*
 * Faults: what one fills, what many at once do, and how many a call costs that
 * takes part of a mapping out.
 */
#include "common.h"

#define LENGTH (4 * MIB)

static int tune(int fd, uint32_t fault_around)
{
	struct morsel_tune args = {.size = sizeof(args), .fault_around = fault_around};

	return ioctl(fd, MORSEL_IOC_TUNE, &args);
}

/* How many faults a read of each @step takes. */
static uint64_t faults_of_reading(int fd, const volatile char *memory, size_t length, size_t step)
{
	uint64_t before = info_of(fd).faults;
	size_t offset;

	for (offset = 0; offset < length; offset += step)
		(void)memory[offset];
	return info_of(fd).faults - before;
}

/* Fails if the block's other pages are missing, take faults, or belong to the next block. */
static void fault_around_fills_its_block(void **state)
{
	static const size_t sizes[] = {4 * KIB, 16 * KIB, 64 * KIB, 512 * KIB, 2 * MIB};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		int fd = create(LENGTH, MORSEL_GRANULE_4K);
		char *memory = map(fd, LENGTH, RW);
		size_t block = sizes[i];

		assert_done(tune(fd, block));
		assert_int_equal(info_of(fd).fault_around, block);
		memory[2 * MIB + block / 2] = 1;
		assert_int_equal(info_of(fd).frame_bytes, block);
		assert_int_equal(faults_of_reading(fd, memory + 2 * MIB, block, PAGE), 0);
		assert_int_equal(memory[2 * MIB + block / 2], 1);
		memory[2 * MIB + block / 2] = 0;
		assert_true(is_zero(memory + 2 * MIB, block));
		assert_int_equal(info_of(fd).frame_bytes, block);
		munmap(memory, LENGTH);
		close(fd);
	}
}

static void fault_around_leaves_what_is_there(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);

	fill_pattern(memory + 3 * PAGE, PAGE, 1);
	fill_pattern(memory + 9 * PAGE, PAGE, 2);
	assert_int_equal(info_of(fd).frame_bytes, 2 * PAGE);
	assert_done(tune(fd, 64 * KIB));
	memory[5 * PAGE] = 1;
	assert_int_equal(info_of(fd).frame_bytes, 64 * KIB);
	assert_true(has_pattern(memory + 3 * PAGE, PAGE, 1));
	assert_true(has_pattern(memory + 9 * PAGE, PAGE, 2));
	/* Writing by a call fills in the same way. */
	assert_int_equal(pwrite(fd, "x", 1, 128 * KIB + PAGE), 1);
	assert_int_equal(info_of(fd).frame_bytes, 128 * KIB);
}

static void fault_around_ends_with_the_morsel(void **state)
{
	int fd = create(2 * MIB + 5 * PAGE - 100, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);

	assert_done(tune(fd, 2 * MIB));
	memory[2 * MIB] = 1;
	assert_int_equal(info_of(fd).frame_bytes, 5 * PAGE);
	assert_int_equal(probe_read(memory + 2 * MIB + 5 * PAGE, NULL), SIGBUS);
}

static void fault_around_is_as_created(void **state)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = LENGTH,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = MORSEL_GRANULE_4K,
		.mode = 0600,
		.fault_around = 32 * KIB,
	};
	char *memory;
	int fd;

	assert_int_equal(info_of(create(LENGTH, MORSEL_GRANULE_4K)).fault_around, PAGE);
	assert_int_equal(info_of(create(LENGTH, MORSEL_GRANULE_AUTO)).fault_around, 64 * KIB);
	assert_done(create_with(&args));
	fd = args.fd;
	assert_int_equal(info_of(fd).fault_around, 32 * KIB);
	memory = map(fd, LENGTH, RW);
	memory[0] = 1;
	assert_int_equal(info_of(fd).frame_bytes, 32 * KIB);
}

static void a_bad_fault_around_is_refused(void **state)
{
	static const uint32_t bad[] = {0, 1, 2048, 4097, 12 * KIB, 4 * MIB, UINT32_MAX};
	struct morsel_create args = {
		.size = sizeof(args),
		.length = LENGTH,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
	};
	int fd = create_named("tuned", LENGTH, 0600), reader;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_errno(tune(fd, bad[i]), EINVAL);
		args.fault_around = bad[i];
		if (bad[i])
			assert_errno(create_with(&args), EINVAL);
	}
	assert_int_equal(info_of(fd).fault_around, 64 * KIB);
	reader = open_with(0, "tuned", MORSEL_OPEN_READ_ONLY);
	assert_done(reader);
	assert_errno(tune(reader, PAGE), EBADF);
}

/* Fails if neighbours that cannot be had make a fault fail that could be served. */
static void fault_around_takes_what_the_ceiling_leaves(void **state)
{
	struct morsel_limit limit = {.size = sizeof(limit), .uid = 0};
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);

	memory[0] = 1;
	assert_done(tune(fd, 64 * KIB));
	/* Room for 5 pages beside what is used, and the first block lacks 15. */
	assert_done(ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit));
	limit.flags = 0;
	limit.bytes = limit.used + 5 * PAGE;
	assert_done(ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit));
	assert_int_equal(probe_write(memory + 15 * PAGE, 1), 0);
	assert_true(info_of(fd).frame_bytes <= 6 * PAGE);
	assert_int_equal(probe_read(memory + 15 * PAGE, NULL), 0);
	limit.flags = MORSEL_LIMIT_DEFAULT;
	limit.bytes = 0;
	assert_done(ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit));
	assert_int_equal(probe_write(memory + 14 * PAGE, 1), 0);
	assert_int_equal(info_of(fd).frame_bytes, 64 * KIB);
}

/* A storm: threads on both processors touch each page first. */

#define STORM (64 * MIB)
#define STORM_PAGES (STORM / PAGE)

static char *storm;

static void *add_to_all(void *arg)
{
	size_t i, backwards = *(int *)arg;

	for (i = 0; i < STORM_PAGES; i++)
		atomic_fetch_add(
			(_Atomic uint64_t *)(storm + PAGE * (backwards ? STORM_PAGES - 1 - i : i)),
			1);
	return NULL;
}

/* No frame twice, none too many. */
static void assert_frames_are_distinct(int fd)
{
	static struct morsel_extent extents[STORM_PAGES];
	static _Bool seen[1 << 22];
	uint64_t cursor = 0, frames = 0, j;
	int count, i;

	memset(seen, 0, sizeof(seen));
	while ((count = list_step(fd, MORSEL_IOC_EXTENTS, &cursor, extents, sizeof(extents[0]),
				  ARRAY_SIZE(extents))) > 0)
		for (i = 0; i < count; i++) {
			if (extents[i].level > MORSEL_LEVEL_2M)
				continue;
			for (j = 0; j < extents[i].length / PAGE; j++) {
				assert_true(extents[i].frame + j < ARRAY_SIZE(seen));
				assert_false(seen[extents[i].frame + j]);
				seen[extents[i].frame + j] = true;
				frames++;
			}
		}
	assert_int_equal(count, 0);
	assert_int_equal(frames * PAGE, info_of(fd).frame_bytes);
}

/*
 * Fails if two faults put two frames into one page (then an addition is lost), or
 * if the frame that came second is lost (then the pool has more in use).
 */
static void a_storm_populates_each_page_once(void **state)
{
	static const struct {
		uint32_t granule;
		uint32_t around;
		int order[2];
	} storms[] = {
		{MORSEL_GRANULE_4K, 4 * KIB, {0, 0}},	 {MORSEL_GRANULE_4K, 4 * KIB, {0, 1}},
		{MORSEL_GRANULE_4K, 64 * KIB, {0, 0}},	 {MORSEL_GRANULE_4K, 64 * KIB, {0, 1}},
		{MORSEL_GRANULE_AUTO, 64 * KIB, {0, 0}}, {MORSEL_GRANULE_2M, 4 * KIB, {0, 0}},
	};
	unsigned int i;
	size_t page;

	for (i = 0; i < ARRAY_SIZE(storms); i++) {
		int fd = create(STORM, storms[i].granule), order[2];
		struct morsel_info info;
		pid_t pid;

		memcpy(order, storms[i].order, sizeof(order));
		assert_done(tune(fd, storms[i].around));
		storm = map(fd, STORM, RW);
		pid = spawn();
		if (!pid) {
			run_threads(2, add_to_all, order, sizeof(order[0]));
			_exit(0);
		}
		assert_child_done(pid);
		for (page = 0; page < STORM_PAGES; page++)
			assert_int_equal(*(uint64_t *)(storm + page * PAGE), 2);
		info = info_of(fd);
		assert_int_equal(info.frame_bytes, STORM);
		assert_int_equal(pool_info().used_bytes, info.frame_bytes + info.table_bytes);
		assert_frames_are_distinct(fd);
		munmap(storm, STORM);
		close(fd);
		assert_int_equal(pool_info().used_bytes, 0);
	}
}

/*
 * A mapping of many GiB, with a page in each: what a call on a small part of it
 * costs the rest.
 */

#define LARGE (64 * GIB)
#define GIBS (LARGE / GIB)

static char *large(int *fd)
{
	char *memory;
	size_t i;

	*fd = create(LARGE, MORSEL_GRANULE_4K);
	memory = map(*fd, LARGE, RW);
	for (i = 0; i < GIBS; i++)
		memory[i * GIB] = 'a' + i % 16;
	assert_int_equal(faults_of_reading(*fd, memory, LARGE, GIB), 0);
	return memory;
}

/* After the call, no GiB but that of @touched takes a fault; and that at most @most. */
static void assert_only_it_faults(int fd, char *memory, size_t touched, unsigned int most)
{
	size_t gib = touched & ~(GIB - 1);

	assert_int_equal(faults_of_reading(fd, memory, gib, GIB), 0);
	assert_int_equal(faults_of_reading(fd, memory + gib + GIB, LARGE - gib - GIB, GIB), 0);
	assert_in_range(faults_of_reading(fd, memory + gib, GIB, GIB / 4), 0, most);
	assert_int_equal(memory[gib], 'a' + gib / GIB % 16);
}

#define AT (7 * GIB + 512 * MIB)

/* Each fails if the call takes out more than the GiB it is about. */

static void a_small_mprotect_leaves_the_rest(void **state)
{
	char *memory;
	int fd;

	memory = large(&fd);
	assert_done(mprotect(memory + AT, HUGE, PROT_READ));
	/* The three parts of the GiB, and holes at its quarters. */
	assert_only_it_faults(fd, memory, AT, 5);
	/* Spliced by spans now: nothing but the spans takes faults. */
	memory[AT - HUGE] = memory[AT + HUGE] = 1;
	assert_done(mprotect(memory + AT, HUGE, RW));
	assert_int_equal(faults_of_reading(fd, memory, LARGE, GIB), 0);
	assert_int_equal(faults_of_reading(fd, memory + AT - HUGE, PAGE, PAGE), 0);
	assert_int_equal(faults_of_reading(fd, memory + AT + HUGE, PAGE, PAGE), 0);
	memory[AT] = 1;
	assert_int_equal(memory[AT], 1);
}

static void a_small_madvise_leaves_the_rest(void **state)
{
	char *memory;
	int fd;

	memory = large(&fd);
	assert_done(madvise(memory + AT, HUGE, MADV_DONTNEED));
	assert_only_it_faults(fd, memory, AT, 4);
	assert_done(madvise(memory + AT, 16 * PAGE, MADV_DONTNEED));
	assert_only_it_faults(fd, memory, AT, 1);
	assert_done(madvise(memory + AT, HUGE, MADV_REMOVE));
	assert_only_it_faults(fd, memory, AT, 2);
	assert_done(madvise(memory + AT, HUGE, MADV_RANDOM));
	assert_only_it_faults(fd, memory, AT, 3);
	/* That has split the mapping. */
	assert_done(madvise(memory + AT, HUGE, MADV_DONTNEED));
	assert_int_equal(faults_of_reading(fd, memory, LARGE, GIB), 0);
}

static void a_small_munmap_leaves_the_rest(void **state)
{
	char *memory;
	int fd;

	memory = large(&fd);
	assert_done(munmap(memory + AT, HUGE));
	assert_int_equal(faults_of_reading(fd, memory, 7 * GIB, GIB), 0);
	assert_int_equal(faults_of_reading(fd, memory + 8 * GIB, LARGE - 8 * GIB, GIB), 0);
	assert_int_equal(faults_of_reading(fd, memory + 7 * GIB, PAGE, PAGE), 1);
	assert_int_equal(probe_read(memory + AT, NULL), SIGSEGV);
	/* By spans now, and the next goes alone. */
	memory[AT + HUGE] = 1;
	assert_done(munmap(memory + AT - HUGE, HUGE));
	assert_int_equal(faults_of_reading(fd, memory + AT + HUGE, PAGE, PAGE), 0);
	assert_int_equal(faults_of_reading(fd, memory + 7 * GIB, PAGE, PAGE), 0);
}

static void a_punch_leaves_the_rest(void **state)
{
	char *memory;
	int fd;

	memory = large(&fd);
	memory[AT] = 1;
	assert_done(punch(fd, AT, HUGE));
	assert_only_it_faults(fd, memory, AT, 4);
	assert_int_equal(memory[AT], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fault_around_fills_its_block),
		TEST(fault_around_leaves_what_is_there),
		TEST(fault_around_ends_with_the_morsel),
		TEST(fault_around_is_as_created),
		TEST(a_bad_fault_around_is_refused),
		TEST(fault_around_takes_what_the_ceiling_leaves),
		TEST(a_storm_populates_each_page_once),
		TEST(a_small_mprotect_leaves_the_rest),
		TEST(a_small_madvise_leaves_the_rest),
		TEST(a_small_munmap_leaves_the_rest),
		TEST(a_punch_leaves_the_rest),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
