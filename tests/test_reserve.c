// SPDX-License-Identifier: GPL-2.0
/*
 * Promises: what is reserved has its memory, and is never without.
 */
#include "kernel.h"

#include <sys/mount.h>

#define LENGTH (32 * MIB)
#define AT "/tmp/morsel-reserve"

static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M, MORSEL_GRANULE_AUTO};

static int reserve_end(void **state)
{
	while (!umount2(AT, MNT_DETACH))
		;
	rmdir(AT);
	return kernel_end(state);
}

#define RESERVE_TEST(function)                                                      \
	cmocka_unit_test_prestate_setup_teardown(function, test_begin, reserve_end, \
						 (void *)#function)

static int reserve_with(int fd, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct morsel_range range = {
		.size = sizeof(range), .flags = flags, .offset = offset, .length = length};

	return ioctl(fd, MORSEL_IOC_RESERVE, &range);
}

static int reserve(int fd, uint64_t offset, uint64_t length)
{
	return reserve_with(fd, offset, length, 0);
}

static int release(int fd, uint64_t offset, uint64_t length)
{
	return reserve_with(fd, offset, length, MORSEL_RESERVE_RELEASE);
}

/* On the pool that tests fill up. */
static struct morsel_create reserving(uint64_t length, uint32_t granule)
{
	return (struct morsel_create){
		.size = sizeof(struct morsel_create),
		.flags = MORSEL_CREATE_RESERVE,
		.length = length,
		.pool = pool_info().id,
		.node = MORSEL_ANY,
		.granule = granule,
		.mode = 0600,
	};
}

/* Take all that the pool has, to the last page. */
static void fill_pool(void)
{
	int fd = create(GIB, MORSEL_GRANULE_4K);
	char *memory = map(fd, GIB, RW);
	size_t at;

	for (at = 0; !probe_write(memory + at, 1); at += PAGE)
		assert_true(at < GIB);
	/* Within a span whose table is there, it is the frame that is missing. */
	assert_int_not_equal(at % HUGE, 0);
}

/* All pages of a part can be read; and written, with what is there already. */
static bool is_touched(char *memory, size_t length, bool write)
{
	unsigned char byte;
	size_t at;

	for (at = 0; at < length; at += PAGE)
		if (probe_read(memory + at, &byte) || (write && probe_write(memory + at, byte)))
			return false;
	return true;
}

static void what_is_reserved_counts_at_once(void **state)
{
	unsigned int g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		uint64_t before = pool_info().used_bytes, limit = limit_of(0).used;
		int fd = create(LENGTH, granules[g]);

		assert_int_equal(info_of(fd).reserved_bytes, 0);
		assert_done(reserve(fd, 8 * MIB, 4 * MIB));
		assert_int_equal(info_of(fd).reserved_bytes, 4 * MIB);
		assert_int_equal(info_of(fd).frame_bytes, 4 * MIB);
		assert_true(pool_info().used_bytes >= before + 4 * MIB);
		assert_true(limit_of(0).used >= limit + 4 * MIB);
		/* What is asked for twice is promised once. */
		assert_done(reserve(fd, 10 * MIB, 4 * MIB));
		assert_done(reserve(fd, 8 * MIB + PAGE, PAGE));
		assert_int_equal(info_of(fd).reserved_bytes, 6 * MIB);
		assert_done(release(fd, 9 * MIB, MIB));
		assert_int_equal(info_of(fd).reserved_bytes, 5 * MIB);
		assert_int_equal(info_of(fd).frame_bytes, 6 * MIB);
		assert_done(reserve(fd, 0, 0));
		assert_int_equal(info_of(fd).reserved_bytes, LENGTH);
		assert_done(release(fd, 0, 0));
		assert_int_equal(info_of(fd).reserved_bytes, 0);
		assert_int_equal(info_of(fd).frame_bytes, LENGTH);
		close(fd);
	}
}

static void with_a_full_pool(uint32_t granule)
{
	static const int rights[] = {RW, PROT_READ, RW | PROT_EXEC, PROT_READ | PROT_EXEC};
	int fd = create(LENGTH, granule);
	char *before[4], *edge, *none, *changed, *late, byte = 1;
	unsigned int i;
	pid_t pid;

	/* One that is there before, and one whose tables come when it is made. */
	for (i = 0; i < 4; i += 2)
		before[i] = map(fd, LENGTH, rights[i]);
	/* Rights that nobody has used yet, and that come later. */
	changed = map(fd, LENGTH, RW);
	assert_done(mprotect(changed, LENGTH, RW | PROT_EXEC));
	late = map(fd, LENGTH, PROT_NONE);
	assert_done(mprotect(late, LENGTH, PROT_READ));
	assert_done(resize_pool(64 * MIB));
	assert_done(reserve(fd, 8 * MIB, 16 * MIB));
	for (i = 1; i < 4; i += 2)
		before[i] = map(fd, LENGTH, rights[i]);
	edge = map_at((char *)free_place(LENGTH + HUGE) + PAGE, fd, LENGTH, RW, 0);
	none = map(fd, LENGTH, PROT_NONE);
	fill_pool();
	/* The control: what is not reserved has none. */
	assert_int_equal(probe_write(before[0], 1), SIGBUS);
	assert_int_equal(probe_read(before[1] + 26 * MIB, NULL), SIGBUS);
	for (i = 0; i < 4; i++)
		assert_true(is_touched(before[i] + 8 * MIB, 16 * MIB, rights[i] & PROT_WRITE));
	assert_true(is_touched(edge + 8 * MIB, 16 * MIB, true));
	assert_done(mprotect(none, LENGTH, PROT_READ));
	assert_true(is_touched(none + 8 * MIB, 16 * MIB, false));
	assert_true(is_touched(changed + 8 * MIB, 16 * MIB, true));
	assert_true(is_touched(late + 8 * MIB, 16 * MIB, false));
	/* Punched, it is clear, and there. */
	fill_pattern(before[0] + 8 * MIB, 16 * MIB, 1);
	assert_done(punch(fd, 0, 0));
	assert_int_equal(info_of(fd).frame_bytes, 16 * MIB);
	assert_true(is_zero(before[0] + 8 * MIB, 16 * MIB));
	fill_pattern(before[0] + 8 * MIB, 16 * MIB, 2);
	assert_done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * MIB + 100,
			      16 * MIB - 200));
	assert_true(is_zero(before[1] + 8 * MIB + PAGE, 16 * MIB - 2 * PAGE));
	assert_int_equal(before[0][8 * MIB + 99], before[1][8 * MIB + 99]);
	assert_true(has_pattern(before[0] + 8 * MIB, 0, 2));
	assert_done(madvise(before[0], LENGTH, MADV_REMOVE));
	assert_done(madvise(before[0], LENGTH, MADV_DONTNEED));
	assert_int_equal(info_of(fd).frame_bytes, 16 * MIB);
	assert_int_equal(pwrite(fd, &byte, 1, 9 * MIB), 1);
	assert_errno(pwrite(fd, &byte, 1, 0), ENOSPC);
	for (i = 0; i < 4; i++)
		assert_true(is_touched(before[i] + 8 * MIB, 16 * MIB, rights[i] & PROT_WRITE));
	pid = spawn();
	if (!pid) {
		for (i = 0; i < 4; i++)
			need(is_touched(before[i] + 8 * MIB, 16 * MIB, rights[i] & PROT_WRITE));
		need(is_touched(edge + 8 * MIB, 16 * MIB, true));
		_exit(0);
	}
	assert_child_done(pid);
}

/* Fails if a touch of what is reserved depends on what others take. */
static void a_touch_of_it_finds_memory(void **state)
{
	with_a_full_pool(MORSEL_GRANULE_4K);
}

static void a_touch_of_it_finds_huge_memory(void **state)
{
	with_a_full_pool(MORSEL_GRANULE_2M);
}

static void a_touch_of_it_finds_any_memory(void **state)
{
	with_a_full_pool(MORSEL_GRANULE_AUTO);
}

/* Fails if rights that were said, but never used, are forgotten by who reserves. */
static void rights_that_nobody_used_yet_are_shown(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);

	assert_done(mprotect(memory, LENGTH, PROT_READ));
	assert_done(resize_pool(64 * MIB));
	assert_done(reserve(fd, 0, 0));
	fill_pool();
	assert_true(is_touched(memory, LENGTH, false));
}

/* A huge frame across the new end becomes small ones, which others' tables have to show. */
static void what_is_cut_is_still_shown(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	char *memory = map(fd, LENGTH, PROT_READ);

	assert_done(resize_pool(64 * MIB));
	assert_done(reserve(fd, 0, 8 * MIB));
	assert_true(is_touched(memory, 8 * MIB, false));
	assert_done(ftruncate(fd, 7 * MIB));
	fill_pool();
	assert_true(is_touched(memory, 7 * MIB, false));
	assert_int_equal(probe_read(memory + 8 * MIB, NULL), SIGBUS);
	assert_int_equal(info_of(fd).reserved_bytes, 7 * MIB);
}

/* Few entries say that all of it is reserved, however it grew. */
static void small_steps_are_one_promise(void **state)
{
	struct morsel_create args = reserving(0, MORSEL_GRANULE_4K);
	unsigned int i;

	assert_done(create_with(&args));
	for (i = 1; i <= 1000; i++)
		assert_int_equal(pwrite(args.fd, "x", 1, i * 3 * PAGE / 2), 1);
	assert_int_equal(info_of(args.fd).reserved_bytes, info_of(args.fd).frame_bytes);
	assert_int_equal(info_of(args.fd).frame_bytes, (1500 + 1) * PAGE);
	assert_done(ftruncate(args.fd, 0));
	assert_int_equal(info_of(args.fd).frame_bytes, 0);
	assert_done(release(args.fd, 0, 0));
	assert_done(ftruncate(args.fd, MIB));
	assert_int_equal(info_of(args.fd).frame_bytes, 0);
}

/* Frames are there, but not the tables for them: then it has not grown. */
static void growing_in_vain_takes_nothing(void **state)
{
	struct morsel_create args = reserving(HUGE, MORSEL_GRANULE_4K);
	uint64_t used;

	assert_done(create_with(&args));
	used = pool_info().used_bytes;
	assert_done(resize_pool((used + 8 * MIB + HUGE - 1) & ~(HUGE - 1)));
	/* All that there is room for, and so none for tables. */
	assert_errno(ftruncate(args.fd, HUGE + ((pool_info().limit_bytes - used) & ~(PAGE - 1))),
		     ENOSPC);
	assert_int_equal(info_of(args.fd).length, HUGE);
	assert_int_equal(info_of(args.fd).frame_bytes, HUGE);
	assert_int_equal(info_of(args.fd).reserved_bytes, HUGE);
	assert_done(ftruncate(args.fd, 2 * HUGE));
}

/* Tables for other rights are asked for when they are, and not by a signal. */
static void rights_that_cannot_be_shown_are_refused(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);

	assert_done(resize_pool(64 * MIB));
	assert_done(reserve(fd, 0, 0));
	fill_pool();
	assert_ptr_equal(mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, ENOMEM);
	assert_errno(mprotect(memory, LENGTH, PROT_READ), ENOMEM);
	assert_true(is_touched(memory, LENGTH, true));
}

static void what_is_released_can_be_freed(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);

	assert_done(reserve(fd, 0, 0));
	assert_done(punch(fd, 0, 0));
	assert_int_equal(info_of(fd).frame_bytes, LENGTH);
	assert_done(release(fd, 4 * MIB, 8 * MIB + PAGE));
	assert_done(punch(fd, 0, 0));
	assert_int_equal(info_of(fd).frame_bytes, LENGTH - 8 * MIB - PAGE);
	assert_int_equal(info_of(fd).reserved_bytes, LENGTH - 8 * MIB - PAGE);
	assert_done(release(fd, 0, 0));
	assert_done(punch(fd, 0, 0));
	assert_int_equal(info_of(fd).frame_bytes, 0);
}

static void what_is_cut_off_is_no_more(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);

	assert_done(reserve(fd, 0, 0));
	assert_done(ftruncate(fd, 5 * MIB + 1));
	assert_int_equal(info_of(fd).frame_bytes, 5 * MIB + PAGE);
	assert_int_equal(info_of(fd).reserved_bytes, 5 * MIB + PAGE);
	assert_done(ftruncate(fd, LENGTH));
	assert_int_equal(info_of(fd).reserved_bytes, 5 * MIB + PAGE);
	assert_int_equal(info_of(fd).frame_bytes, 5 * MIB + PAGE);
	assert_done(ftruncate(fd, 0));
	assert_int_equal(info_of(fd).frame_bytes, 0);
	assert_int_equal(info_of(fd).reserved_bytes, 0);
}

/* As CREATE has it: all that there ever is. */
static void all_of_a_morsel_is_reserved_as_it_grows(void **state)
{
	struct morsel_create args;
	unsigned int g;
	char byte = 1;

	assert_done(resize_pool(64 * MIB));
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		args = reserving(4 * MIB, granules[g]);
		assert_done(create_with(&args));
		assert_int_equal(info_of(args.fd).reserved_bytes, 4 * MIB);
		assert_int_equal(info_of(args.fd).frame_bytes, 4 * MIB);
		assert_done(ftruncate(args.fd, 8 * MIB));
		assert_int_equal(info_of(args.fd).frame_bytes, 8 * MIB);
		/* Also the hole that somebody leaves who writes behind the end. */
		assert_int_equal(pwrite(args.fd, &byte, 1, 12 * MIB - 1), 1);
		assert_int_equal(info_of(args.fd).frame_bytes, 12 * MIB);
		assert_int_equal(info_of(args.fd).reserved_bytes, 12 * MIB);
		assert_done(fallocate(args.fd, 0, 14 * MIB, 2 * MIB));
		assert_int_equal(info_of(args.fd).frame_bytes, 16 * MIB);
		/* Where it cannot be, it does not grow, and nothing is taken. */
		assert_errno(ftruncate(args.fd, 128 * MIB), ENOSPC);
		assert_errno(pwrite(args.fd, &byte, 1, 128 * MIB), ENOSPC);
		assert_errno(fallocate(args.fd, 0, 0, 128 * MIB), ENOSPC);
		assert_errno(ftruncate(args.fd, 64 * MIB), ENOSPC);
		assert_int_equal(info_of(args.fd).length, 16 * MIB);
		assert_int_equal(info_of(args.fd).frame_bytes, 16 * MIB);
		assert_int_equal(info_of(args.fd).reserved_bytes, 16 * MIB);
		/* Released, it is as any other. */
		assert_done(release(args.fd, 0, 0));
		assert_done(ftruncate(args.fd, 256 * MIB));
		assert_int_equal(info_of(args.fd).frame_bytes, 16 * MIB);
		close(args.fd);
		args = reserving(128 * MIB, granules[g]);
		assert_errno(create_with(&args), ENOMEM);
		assert_soon(!pool_info().used_bytes);
	}
}

/* Fails if it is found out by taking all that there is. */
static void what_cannot_be_is_not_tried(void **state)
{
	int fd = create(TIB, MORSEL_GRANULE_4K);
	struct morsel_create args = reserving(TIB, MORSEL_GRANULE_AUTO);

	assert_errno(reserve(fd, 0, 0), ENOMEM);
	assert_int_equal(info_of(fd).frame_bytes, 0);
	assert_errno(create_with(&args), ENOMEM);
	args = reserving(0, MORSEL_GRANULE_AUTO);
	assert_done(create_with(&args));
	assert_errno(ftruncate(args.fd, TIB), ENOSPC);
	assert_int_equal(info_of(args.fd).length, 0);
	assert_int_equal(info_of(args.fd).frame_bytes, 0);
}

static void a_ceiling_bounds_what_is_reserved(void **state)
{
	pid_t pid;

	assert_done(limit_set(TESTER, 16 * MIB, 0));
	pid = spawn();
	if (!pid) {
		struct morsel_create args = reserving(4 * MIB, MORSEL_GRANULE_4K);

		become(TESTER);
		need(create_with(&args) >= 0);
		need(ftruncate(args.fd, 32 * MIB) == -1 && errno == EDQUOT);
		need(info_of(args.fd).frame_bytes == 4 * MIB);
		need(!ftruncate(args.fd, 8 * MIB));
		args = reserving(32 * MIB, MORSEL_GRANULE_4K);
		need(create_with(&args) == -1 && errno == EDQUOT);
		_exit(0);
	}
	assert_child_done(pid);
}

static void what_is_asked_is_checked(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K), read_only;

	assert_errno(reserve(fd, 1, PAGE), EINVAL);
	assert_errno(reserve(fd, 0, PAGE + 1), EINVAL);
	assert_errno(reserve_with(fd, 0, PAGE, 2), EINVAL);
	assert_errno(reserve(fd, LENGTH, PAGE), ERANGE);
	assert_errno(reserve(fd, 0, LENGTH + PAGE), ERANGE);
	read_only = open_with(id_of(fd), "", MORSEL_OPEN_READ_ONLY);
	assert_done(read_only);
	assert_errno(reserve(read_only, 0, 0), EBADF);
	assert_errno(reserve(dev, 0, 0), ENOTTY);
	assert_int_equal(info_of(fd).reserved_bytes, 0);
}

static bool mounts_say(const char *text)
{
	return strstr(read_text("/proc/mounts"), text);
}

/* -o reserve: a program that sizes its file and maps it finds out by ENOSPC. */
static void a_mount_reserves(void **state)
{
	int fd;

	mkdir(AT, 0755);
	assert_done(mount("none", AT, "morsel", 0, "size=32M,reserve"));
	assert_true(mounts_say(",reserve"));
	fd = open(AT "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_done(fd);
	assert_done(ftruncate(fd, 8 * MIB));
	assert_int_equal(info_of(fd).reserved_bytes, 8 * MIB);
	assert_errno(ftruncate(fd, 64 * MIB), ENOSPC);
	assert_int_equal(info_of(fd).length, 8 * MIB);
	assert_done(unlink(AT "/file"));
	close(fd);
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "noreserve"));
	assert_false(mounts_say(",reserve"));
	fd = open(AT "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_done(fd);
	assert_done(ftruncate(fd, 64 * MIB));
	assert_int_equal(info_of(fd).frame_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RESERVE_TEST(what_is_reserved_counts_at_once),
		RESERVE_TEST(a_touch_of_it_finds_memory),
		RESERVE_TEST(a_touch_of_it_finds_huge_memory),
		RESERVE_TEST(a_touch_of_it_finds_any_memory),
		RESERVE_TEST(rights_that_cannot_be_shown_are_refused),
		RESERVE_TEST(rights_that_nobody_used_yet_are_shown),
		RESERVE_TEST(what_is_cut_is_still_shown),
		RESERVE_TEST(small_steps_are_one_promise),
		RESERVE_TEST(growing_in_vain_takes_nothing),
		RESERVE_TEST(what_is_released_can_be_freed),
		RESERVE_TEST(what_is_cut_off_is_no_more),
		RESERVE_TEST(all_of_a_morsel_is_reserved_as_it_grows),
		RESERVE_TEST(what_cannot_be_is_not_tried),
		RESERVE_TEST(a_ceiling_bounds_what_is_reserved),
		RESERVE_TEST(what_is_asked_is_checked),
		RESERVE_TEST(a_mount_reserves),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
