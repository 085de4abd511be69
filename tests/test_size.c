// SPDX-License-Identifier: GPL-2.0
/*
 * A morsel grows and shrinks as a memfd does: what it has, who maps it, and what stays behind.
 */
#include "kernel.h"
#include "notify.h"

#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#ifndef FALLOC_FL_KEEP_SIZE
#include <linux/falloc.h>
#endif

#define LENGTH (4 * MIB)

static const uint32_t granules[] = {MORSEL_GRANULE_AUTO, MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

static char scratch[2 * LENGTH], other[2 * LENGTH];

static off_t size_of(int fd)
{
	struct stat st;

	assert_done(fstat(fd, &st));
	return st.st_size;
}

static void assert_same_contents(int fd, int memfd)
{
	ssize_t length = pread(memfd, other, sizeof(other), 0);

	assert_int_equal(size_of(fd), size_of(memfd));
	assert_int_equal(pread(fd, scratch, sizeof(scratch), 0), length);
	assert_true(!memcmp(scratch, other, length));
}

static void fill_with(int fd, off_t offset, size_t length, unsigned int seed)
{
	fill_pattern(other, length, seed);
	assert_int_equal(pwrite(fd, other, length, offset), length);
}

/* Text at the beginning, and up to the end. */
static void fill_ends(int fd, off_t size, unsigned int seed)
{
	off_t part = size < (off_t)(16 * PAGE) ? size : (off_t)(16 * PAGE);

	fill_with(fd, 0, part, seed);
	fill_with(fd, size - part, part, seed);
}

/* Fails if sizes, contents or return values differ at any step. */
static void truncating_does_what_it_does_to_a_memfd(void **state)
{
	static const off_t sizes[] = {
		LENGTH,
		3 * MIB + 100,
		3 * MIB + 50,
		LENGTH,
		HUGE,
		HUGE - 1,
		HUGE / 2 + 3 * PAGE,
		HUGE / 2 + 1,
		LENGTH,
		PAGE,
		PAGE + 1,
		1,
		0,
		3 * MIB,
		100,
		0,
		LENGTH,
	};
	unsigned int g, i;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create(0, granules[g]), memfd = memfd_create("control", MFD_CLOEXEC);

		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			off_t before = size_of(memfd);

			assert_done(ftruncate(memfd, sizes[i]));
			assert_done(ftruncate(fd, sizes[i]));
			assert_same_contents(fd, memfd);
			if (sizes[i] <= before || i % 2)
				continue;
			fill_ends(memfd, sizes[i], i);
			fill_ends(fd, sizes[i], i);
			assert_same_contents(fd, memfd);
		}
		assert_errno(ftruncate(fd, -1), EINVAL);
		assert_errno(ftruncate(fd, query().max_length + 1), EFBIG);
		assert_done(ftruncate(fd, 0));
		assert_int_equal(info_of(fd).frame_bytes, 0);
	}
}

/* Fails if a page behind the end can be touched, or one before it cannot. */
static void mappings_follow_the_size(void **state)
{
	unsigned int g, rights;

	for (g = 0; g < 2; g++) {
		for (rights = 0; rights < 2; rights++) {
			int fd = create(LENGTH, granules[g]);
			char *memory = map(fd, 2 * LENGTH, rights ? PROT_READ : RW);
			unsigned char byte;

			fill_with(fd, 0, LENGTH, 1);
			assert_true(has_pattern(memory, LENGTH, 1));
			assert_int_equal(probe_read(memory + LENGTH, &byte), SIGBUS);
			assert_done(ftruncate(fd, HUGE + HUGE / 2 + 100));
			assert_int_equal(probe_read(memory + HUGE + HUGE / 2 + PAGE, &byte),
					 SIGBUS);
			assert_int_equal(probe_read(memory + LENGTH - 1, &byte), SIGBUS);
			fill_pattern(scratch, LENGTH, 1);
			assert_memory_equal(memory, scratch, HUGE + HUGE / 2 + 100);
			assert_true(is_zero(memory + HUGE + HUGE / 2 + 100, PAGE - 100));
			/* It grows beyond what it was when it was mapped. */
			assert_done(ftruncate(fd, 2 * LENGTH));
			assert_true(is_zero(memory + HUGE + HUGE / 2 + 100,
					    2 * LENGTH - HUGE - HUGE / 2 - 100));
			assert_memory_equal(memory, scratch, HUGE + HUGE / 2 + 100);
			if (!rights)
				assert_int_equal(probe_write(memory + 2 * LENGTH - 1, 1), 0);
			assert_done(ftruncate(fd, 0));
			assert_int_equal(probe_read(memory, &byte), SIGBUS);
			assert_int_equal(info_of(fd).frame_bytes, 0);
		}
	}
}

/* A morsel of huge frames has them to their end, as hugetlbfs has; what is there reads as zero later. */
static void huge_frames_end_where_they_end(void **state)
{
	int fd = create(HUGE + 100, MORSEL_GRANULE_2M);
	char *memory = map(fd, 2 * HUGE, RW);

	memset(memory, 0x22, 2 * HUGE);
	assert_int_equal(info_of(fd).huge_bytes, 2 * HUGE);
	assert_int_equal(pread(fd, scratch, sizeof(scratch), 0), HUGE + 100);
	assert_done(ftruncate(fd, HUGE + 200));
	assert_true(is_zero(memory + HUGE + 100, 100));
	assert_done(ftruncate(fd, 2 * HUGE));
	assert_true(is_zero(memory + HUGE + 200, HUGE - 200));
	assert_false(is_zero(memory + HUGE, 100));
	assert_done(ftruncate(fd, 100));
	assert_int_equal(info_of(fd).huge_bytes, HUGE);
	assert_true(is_zero(memory + 100, HUGE - 100));
	assert_done(punch(fd, 0, 0));
	assert_int_equal(info_of(fd).huge_bytes, 0);
	assert_int_equal(probe_write(memory + HUGE, 1), SIGBUS);
}

/* Fails if what is cut off within the last page, or the last frame, can be seen in mappings. */
static void what_is_cut_off_is_zero_at_once(void **state)
{
	unsigned int g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create(2 * PAGE, granules[g]);
		char *memory = map(fd, HUGE, RW), *copy;

		memset(memory, 0x44, 2 * PAGE);
		assert_done(ftruncate(fd, PAGE + 100));
		assert_true(is_zero(memory + PAGE + 100, PAGE - 100));
		assert_false(is_zero(memory + PAGE, 100));
		copy = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
		copy[PAGE] = 1;
		assert_done(ftruncate(fd, 100));
		assert_true(is_zero(memory + 100, PAGE - 100));
		assert_done(ftruncate(fd, 2 * PAGE));
		assert_true(is_zero(memory + PAGE, PAGE));
		assert_int_equal(copy[PAGE], 0);
		munmap(copy, 2 * PAGE);
	}
}

/* What mappings wrote behind the end, in the last page, is not seen when it grows. */
static void what_is_behind_the_end_is_zero(void **state)
{
	int fd = create(100, MORSEL_GRANULE_AUTO);
	char *memory = map(fd, HUGE, RW);

	memset(memory, 0x33, PAGE);
	assert_done(ftruncate(fd, PAGE / 2));
	assert_true(is_zero(memory + 100, PAGE / 2 - 100));
	memset(memory, 0x33, PAGE);
	assert_int_equal(pwrite(fd, "x", 1, HUGE - 1), 1);
	assert_true(is_zero(memory + PAGE / 2, PAGE / 2));
	assert_false(is_zero(memory, PAGE / 2));
	assert_int_equal(memory[HUGE - 1], 'x');
}

/* Fails if anything is lost, or memory stays behind. */
static void a_huge_frame_is_cut(void **state)
{
	int fd = create(2 * HUGE, MORSEL_GRANULE_AUTO);
	char *memory = map(fd, 2 * HUGE, RW), *reader = map(fd, 2 * HUGE, PROT_READ);

	fill_pattern(memory, 2 * HUGE, 2);
	fill_pattern(scratch, 2 * HUGE, 2);
	assert_true(has_pattern(reader, 2 * HUGE, 2));
	assert_done(ftruncate(fd, HUGE + 64 * KIB));
	assert_int_equal(info_of(fd).huge_bytes, HUGE);
	assert_int_equal(info_of(fd).frame_bytes, HUGE + 64 * KIB);
	assert_true(!memcmp(memory, scratch, HUGE + 64 * KIB));
	assert_true(!memcmp(reader, scratch, HUGE + 64 * KIB));
	/* And again. */
	assert_done(ftruncate(fd, HUGE + 3 * PAGE + 7));
	assert_int_equal(info_of(fd).frame_bytes, HUGE + 4 * PAGE);
	assert_true(!memcmp(memory, scratch, HUGE + 3 * PAGE + 7));
	assert_done(ftruncate(fd, 2 * HUGE));
	fill_pattern(memory + HUGE + 4 * PAGE, HUGE - 4 * PAGE, 3);
	assert_int_equal(info_of(fd).frame_bytes, 2 * HUGE);
	assert_true(!memcmp(reader, scratch, HUGE + 3 * PAGE + 7));
	assert_true(is_zero(reader + HUGE + 3 * PAGE + 7, PAGE - 7));
	assert_done(ftruncate(fd, HUGE));
	assert_int_equal(info_of(fd).frame_bytes, HUGE);
}

/* All but so many bytes of what a user may have are taken by another morsel. */
static int leave_room(size_t ceiling, size_t room)
{
	struct morsel_limit limit;
	int fd = create(ceiling, MORSEL_GRANULE_4K);
	size_t at;

	for (at = 0;; at += PAGE) {
		limit = (struct morsel_limit){.size = sizeof(limit), .uid = TESTER};
		need(!ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit));
		if (limit.used + room >= ceiling)
			return fd;
		need(!populate(fd, at, PAGE));
	}
}

/*
 * Where there is no memory for the small frames, a huge one lies across the end: fails if it stays
 * behind when all is closed, or if what is behind the end is seen later.
 */
static void what_cannot_be_cut_is_not_lost(void **state)
{
	/* For the frame, and a table above it. */
	const size_t ceiling = 6 * MIB, room = HUGE + PAGE;
	pid_t pid;

	assert_done(limit_set(TESTER, ceiling, 0));
	pid = spawn();
	if (!pid) {
		char *buffer = mmap(NULL, HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *memory;
		int fd, other;

		become(TESTER);
		memset(buffer, 7, HUGE);
		need(!munmap(buffer + PAGE, HUGE - PAGE));
		fd = create(0, MORSEL_GRANULE_AUTO);
		memory = map(fd, 2 * HUGE, RW);
		other = leave_room(ceiling, room);
		/* It is begun as if all could be written. */
		need(pwrite(fd, buffer, HUGE, 0) == PAGE);
		need(size_of(fd) == PAGE && info_of(fd).huge_bytes == HUGE);
		memory[0] = 7;
		/* Behind the end it can be touched. */
		need(!probe_write(memory + 2 * PAGE, 8));
		need(!ftruncate(fd, 4 * PAGE));
		need(info_of(fd).huge_bytes == HUGE && is_zero(memory + PAGE, 3 * PAGE));
		probe_write(memory + 5 * PAGE, 8);
		close(other);
		need(!ftruncate(fd, HUGE));
		need(is_zero(memory + PAGE, HUGE - PAGE) && memory[0] == 7);
		/* And once more, to be closed so. */
		need(!ftruncate(fd, 0));
		leave_room(ceiling, room);
		need(pwrite(fd, buffer, HUGE, 0) == PAGE);
		need(info_of(fd).huge_bytes == HUGE);
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(limit_of(TESTER).used, 0);
	assert_int_equal(pool_info().used_bytes, 0);
}

/* A page of a huge frame that is in a pipe is the morsel's still after it would have been cut. */
static void what_is_pinned_stays_the_morsels(void **state)
{
	int fd = create(HUGE, MORSEL_GRANULE_AUTO), pipes[2];
	char *memory = map(fd, HUGE, RW), byte;
	struct iovec vector = {memory + PAGE, 1};

	memset(memory, 1, HUGE);
	assert_done(pipe(pipes));
	assert_int_equal(vmsplice(pipes[1], &vector, 1, 0), 1);
	assert_done(ftruncate(fd, 2 * PAGE));
	memory[PAGE] = 2;
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(byte, 2);
	probe_write(memory + 3 * PAGE, 3);
	assert_done(ftruncate(fd, HUGE));
	assert_true(is_zero(memory + 2 * PAGE, HUGE - 2 * PAGE));
	/* Now it can be cut. */
	assert_done(ftruncate(fd, 2 * PAGE));
	assert_int_equal(probe_write(memory + 2 * PAGE, 1), SIGBUS);
	assert_int_equal(memory[PAGE], 2);
	assert_int_equal(info_of(fd).frame_bytes, 2 * PAGE);
}

/* Fails if one of no length cannot be made, mapped or filled. */
static void it_may_begin_with_nothing(void **state)
{
	unsigned int g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create(0, granules[g]);
		char *memory = map(fd, LENGTH, RW);

		assert_int_equal(size_of(fd), 0);
		assert_int_equal(read(fd, scratch, 1), 0);
		assert_int_equal(probe_write(memory, 1), SIGBUS);
		assert_done(punch(fd, 0, 0) == -1 && errno == ERANGE ? 0 : -1);
		fill_with(fd, 0, LENGTH, 4);
		assert_true(has_pattern(memory, LENGTH, 4));
		/* Written in units of st_blksize, it has huge frames where it may. */
		assert_int_equal(info_of(fd).huge_bytes,
				 granules[g] == MORSEL_GRANULE_4K ? 0 : LENGTH);
	}
}

static void writing_behind_the_end_extends(void **state)
{
	static const struct {
		off_t at;
		size_t length;
	} writes[] = {
		{0, 1},		 {100, 50},   {PAGE - 1, 2}, {3 * PAGE + 5, PAGE},
		{HUGE - 10, 20}, {LENGTH, 1}, {1, 1},	     {LENGTH + HUGE + 1, 3 * PAGE},
	};
	int append, fd, memfd;
	unsigned int g, i;
	char path[64];

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		fd = create(0, granules[g]);
		memfd = memfd_create("control", MFD_CLOEXEC);
		for (i = 0; i < ARRAY_SIZE(writes); i++) {
			fill_with(memfd, writes[i].at, writes[i].length, i);
			fill_with(fd, writes[i].at, writes[i].length, i);
			assert_same_contents(fd, memfd);
		}
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		append = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		assert_int_equal(write(append, "appended", 8), 8);
		assert_int_equal(pwrite(memfd, "appended", 8, size_of(memfd)), 8);
		assert_same_contents(fd, memfd);
		/* What is open for nothing but that does not truncate by accident. */
		close(append);
		close(open(path, O_RDWR | O_TRUNC | O_CLOEXEC));
		assert_int_equal(size_of(fd), 0);
		assert_int_equal(info_of(fd).frame_bytes, 0);
	}
}

/* Fails if the size, or frames, are as if all had been written. */
static void a_write_that_breaks_off_extends_to_there(void **state)
{
	char *buffer = mmap(NULL, LENGTH, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int g;

	assert_ptr_not_equal(buffer, MAP_FAILED);
	memset(buffer, 5, LENGTH);
	assert_done(munmap(buffer + HUGE + PAGE, LENGTH - HUGE - PAGE));
	for (g = 0; g < 2; g++) {
		int fd = create(0, granules[g]);
		char *memory = map(fd, LENGTH, RW);

		assert_int_equal(pwrite(fd, buffer, LENGTH, 0), HUGE + PAGE);
		assert_int_equal(size_of(fd), HUGE + PAGE);
		assert_int_equal(probe_write(memory + HUGE + PAGE, 1), SIGBUS);
		assert_int_equal(probe_write(memory + HUGE, 5), 0);
		assert_errno(pwrite(fd, buffer + HUGE + PAGE, PAGE, LENGTH), EFAULT);
		assert_int_equal(size_of(fd), HUGE + PAGE);
	}
}

static void fallocate_extends(void **state)
{
	int fd = create(0, MORSEL_GRANULE_4K);

	assert_done(fallocate(fd, 0, PAGE, 3 * PAGE));
	assert_int_equal(size_of(fd), 4 * PAGE);
	assert_int_equal(info_of(fd).frame_bytes, 3 * PAGE);
	assert_done(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE));
	assert_int_equal(size_of(fd), 4 * PAGE);
	assert_errno(fallocate(fd, 0, 0, query().max_length + 1), EFBIG);
	assert_int_equal(posix_fallocate(fd, LENGTH, 1), 0);
	assert_int_equal(size_of(fd), LENGTH + 1);
}

/* Fails with another errno than file systems give, or if the size is as if it had been done. */
static void a_full_pool_is_a_full_device(void **state)
{
	int fd = create(0, MORSEL_GRANULE_4K);
	struct statfs stat;

	assert_done(resize_pool(4 * HUGE));
	assert_done(fstatfs(fd, &stat));
	assert_int_equal(stat.f_bsize, HUGE);
	assert_int_equal(stat.f_blocks, 4);
	assert_in_range(stat.f_bavail, 3, 4);
	assert_errno(fallocate(fd, 0, 0, 8 * HUGE), ENOSPC);
	assert_int_equal(size_of(fd), 0);
	assert_int_equal(posix_fallocate(fd, 0, 8 * HUGE), ENOSPC);
	assert_done(fstatfs(fd, &stat));
	assert_in_range(stat.f_bavail, 3, 4);
	/* Of a write, what there was room for. */
	memset(scratch, 6, sizeof(scratch));
	assert_done(ftruncate(fd, 16 * HUGE));
	assert_int_equal(pwrite(fd, scratch, 3 * HUGE, 0), 3 * HUGE);
	assert_in_range(pwrite(fd, scratch, 2 * HUGE, 3 * HUGE), 1, HUGE);
	assert_errno(pwrite(fd, scratch, PAGE, 8 * HUGE), ENOSPC);
}

static void a_ceiling_is_a_quota(void **state)
{
	pid_t pid;

	assert_done(limit_set(TESTER, 2 * HUGE, 0));
	pid = spawn();
	if (!pid) {
		struct statfs stat;
		int fd;

		become(TESTER);
		fd = create(0, MORSEL_GRANULE_4K);
		need(!fstatfs(fd, &stat) && stat.f_blocks == 2 && stat.f_bavail == 1);
		need(fallocate(fd, 0, 0, 2 * HUGE) == -1 && errno == EDQUOT);
		need(!ftruncate(fd, LENGTH));
		need(pwrite(fd, scratch, LENGTH, 0) < (ssize_t)LENGTH);
		need(pwrite(fd, scratch, PAGE, LENGTH) == -1 && errno == EDQUOT);
		_exit(0);
	}
	assert_child_done(pid);
}

/* Fails if anything is lost when a tableset gets a larger root, or what follows is not spliced. */
static void it_grows_from_a_page_to_the_most(void **state)
{
	static const uint64_t sizes[] = {
		PAGE,	   GIB - PAGE, GIB + PAGE, 5 * GIB, 511 * GIB,
		512 * GIB, 513 * GIB,  TIB + 1,	   5 * TIB, 64 * TIB,
	};
	char *memory, *reader;
	unsigned int g, i, k;

	for (g = 0; g < 2; g++) {
		int fd = create(0, granules[g]);

		memory = map(fd, 6 * TIB, RW);
		reader = map(fd, 6 * TIB, PROT_READ);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			uint64_t last = sizes[i] - 1;
			char mark = 'a' + i, seen;

			assert_done(ftruncate(fd, sizes[i]));
			assert_int_equal(pwrite(fd, &mark, 1, last), 1);
			for (k = 0; k <= i; k++) {
				assert_int_equal(pread(fd, &seen, 1, sizes[k] - 1), 1);
				assert_int_equal(seen, 'a' + k);
				if (sizes[k] > 6 * TIB)
					continue;
				assert_int_equal(memory[sizes[k] - 1], 'a' + k);
				assert_int_equal(reader[sizes[k] - 1], 'a' + k);
			}
		}
		for (i = ARRAY_SIZE(sizes); i--;) {
			assert_done(ftruncate(fd, sizes[i]));
			assert_int_equal(memory[sizes[0] - 1], 'a');
		}
		munmap(memory, 6 * TIB);
		munmap(reader, 6 * TIB);
		close(fd);
	}
}

static void a_limit_of_file_sizes_holds(void **state)
{
	pid_t pid = spawn();

	if (!pid) {
		struct rlimit limit = {2 * PAGE, 2 * PAGE};
		int fd = create(0, MORSEL_GRANULE_4K);

		signal(SIGXFSZ, SIG_IGN);
		need(!setrlimit(RLIMIT_FSIZE, &limit));
		need(pwrite(fd, scratch, 4 * PAGE, PAGE) == PAGE);
		need(pwrite(fd, scratch, 1, 2 * PAGE) == -1 && errno == EFBIG);
		need(ftruncate(fd, 3 * PAGE) == -1 && errno == EFBIG);
		need(fallocate(fd, 0, 0, 3 * PAGE) == -1 && errno == EFBIG);
		need(size_of(fd) == 2 * PAGE);
		_exit(0);
	}
	assert_child_done(pid);
}

static struct timespec mtime_of(int fd)
{
	struct stat st;

	assert_done(fstat(fd, &st));
	return st.st_mtim;
}

static void assert_mtime_moves(int fd, int (*act)(int fd))
{
	static const struct timespec old[2] = {{1, 0}, {1, 0}};

	assert_done(futimens(fd, old));
	assert_done(act(fd));
	assert_true(mtime_of(fd).tv_sec > 1);
}

static int act_write(int fd)
{
	return pwrite(fd, "x", 1, 0);
}

static int act_grow(int fd)
{
	return ftruncate(fd, size_of(fd) + 1);
}

static int act_shrink(int fd)
{
	return ftruncate(fd, size_of(fd) - 1);
}

static int act_truncate_path(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return truncate(path, size_of(fd) - 1);
}

static int act_punch(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE);
}

/* By way of a mapping that has no page yet, spliced or an edge; -1: it cannot be mapped. */
static int write_mapped(int fd, size_t length)
{
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -1;
	memory[0] = 'x';
	return munmap(memory, length);
}

static int act_map(int fd)
{
	return write_mapped(fd, LENGTH);
}

/* Pages that were mapped by themselves, and are moved to where their span can be spliced. */
static int act_map_moved(int fd)
{
	char *place = free_place(3 * LENGTH), *memory;

	memory = mmap(place + PAGE, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (memory == MAP_FAILED || *(volatile char *)(memory + PAGE))
		return -1;
	memory = mremap(memory, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, place + 2 * LENGTH);
	if (memory == MAP_FAILED)
		return -1;
	/* In the span that has a table by that, but far from what is mapped. */
	memory[300 * PAGE] = 'x';
	return munmap(memory, LENGTH);
}

static int act_map_page(int fd)
{
	return write_mapped(fd, PAGE);
}

static int peer(void)
{
	int fd = memfd_create("peer", MFD_CLOEXEC);

	assert_done(fd);
	assert_done(ftruncate(fd, LENGTH));
	return fd;
}

static void times_tell_of_what_mappings_write(void **state)
{
	static const struct timespec old[2] = {{1, 0}, {1, 0}};
	int fds[] = {peer(), create(LENGTH, MORSEL_GRANULE_4K)};
	unsigned int i;
	char *memory;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_mtime_moves(fds[i], act_map_page);
		assert_done(
			fallocate(fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LENGTH));
		assert_mtime_moves(fds[i], act_map);
		assert_done(
			fallocate(fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LENGTH));
		assert_mtime_moves(fds[i], act_map_moved);
		/* Reading does not, nor does a copy of one's own. */
		assert_done(futimens(fds[i], old));
		memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE, fds[i], 0);
		assert_ptr_not_equal(memory, MAP_FAILED);
		memory[0] = 'y';
		assert_done(munmap(memory, LENGTH));
		memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
		assert_ptr_not_equal(memory, MAP_FAILED);
		assert_int_equal(*(volatile char *)(memory + HUGE), 0);
		assert_int_equal(mtime_of(fds[i]).tv_sec, 1);
		assert_done(munmap(memory, LENGTH));
	}
}

/* Memory behind the end is not kept for later, and that is said. */
static void keep_size_allocates_nothing_behind_the_end(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);

	assert_errno(fallocate(fd, FALLOC_FL_KEEP_SIZE, LENGTH - PAGE, 2 * PAGE), EOPNOTSUPP);
	assert_errno(fallocate(fd, FALLOC_FL_KEEP_SIZE, LENGTH, PAGE), EOPNOTSUPP);
	assert_int_equal(info_of(fd).frame_bytes, 0);
	assert_int_equal(size_of(fd), LENGTH);
	/* In the last page there is nothing behind it, also where there are no bytes of the file. */
	assert_done(ftruncate(fd, LENGTH - 100));
	assert_done(fallocate(fd, FALLOC_FL_KEEP_SIZE, LENGTH - 50, 50));
	assert_int_equal(info_of(fd).frame_bytes, PAGE);
	assert_int_equal(size_of(fd), LENGTH - 100);
	/* Who asks, and is told so, has changed nothing. */
	assert_done(futimens(fd, (const struct timespec[2]){{1, 0}, {1, 0}}));
	assert_errno(fallocate(fd, FALLOC_FL_KEEP_SIZE, LENGTH, PAGE), EOPNOTSUPP);
	assert_int_equal(mtime_of(fd).tv_sec, 1);
}

static void times_tell_of_changes(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	static const struct timespec old[2] = {{1, 0}, {1, 0}};
	struct stat st;

	assert_mtime_moves(fd, act_write);
	assert_mtime_moves(fd, act_grow);
	assert_mtime_moves(fd, act_shrink);
	assert_mtime_moves(fd, act_punch);
	assert_mtime_moves(fd, act_truncate_path);
	/* Reading is another matter. */
	assert_done(futimens(fd, old));
	assert_int_equal(pread(fd, scratch, 1, 0), 1);
	assert_int_equal(mtime_of(fd).tv_sec, 1);
	assert_done(fstat(fd, &st));
	assert_true(st.st_atim.tv_sec > 1);
}

static void links_and_blocks_are_told(void **state)
{
	int fd = create_named("linked", LENGTH, 0600);
	struct stat st;

	assert_done(fstat(fd, &st));
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_blksize, HUGE);
	assert_done(unlink_morsel(0, "linked"));
	assert_done(fstat(fd, &st));
	assert_int_equal(st.st_nlink, 0);
	assert_done(fstat(create(LENGTH, MORSEL_GRANULE_4K), &st));
	assert_int_equal(st.st_nlink, 0);
}

/* Of places that nobody ever came by, and of such that were punched. */
static void seeking_finds_data_and_holes(void **state)
{
	int fd = create(5 * GIB + 100, MORSEL_GRANULE_4K), file = create(100, MORSEL_GRANULE_4K);

	assert_errno(lseek(fd, 0, SEEK_DATA), ENXIO);
	assert_int_equal(lseek(fd, 5, SEEK_HOLE), 5);
	assert_int_equal(pwrite(fd, "x", 1, HUGE + 5), 1);
	assert_int_equal(pwrite(fd, "x", 1, 3 * GIB), 1);
	assert_int_equal(pwrite(fd, "x", 1, 5 * GIB), 1);
	assert_int_equal(lseek(fd, 0, SEEK_DATA), HUGE);
	assert_int_equal(lseek(fd, HUGE + 7, SEEK_DATA), HUGE + 7);
	assert_int_equal(lseek(fd, HUGE, SEEK_HOLE), HUGE + PAGE);
	assert_int_equal(lseek(fd, HUGE + PAGE, SEEK_DATA), 3 * GIB);
	assert_int_equal(lseek(fd, 3 * GIB + 1, SEEK_HOLE), 3 * GIB + PAGE);
	assert_int_equal(lseek(fd, 3 * GIB + PAGE, SEEK_DATA), 5 * GIB);
	/* The end is a hole, wherever it is in a page. */
	assert_int_equal(lseek(fd, 5 * GIB, SEEK_HOLE), 5 * GIB + 100);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 5 * GIB + 100);
	assert_errno(lseek(fd, 5 * GIB + 100, SEEK_DATA), ENXIO);
	assert_errno(lseek(fd, 5 * GIB + 100, SEEK_HOLE), ENXIO);
	assert_errno(lseek(fd, -1, SEEK_DATA), ENXIO);
	assert_done(punch(fd, 3 * GIB, PAGE));
	assert_int_equal(lseek(fd, HUGE + PAGE, SEEK_DATA), 5 * GIB);
	assert_int_equal(pwrite(file, "x", 1, 0), 1);
	assert_int_equal(lseek(file, 0, SEEK_HOLE), 100);
}

/*
 * Fails if what is behind the end stays there.  The killed one is held amid it, by who listens to
 * another address space that maps the morsel.
 */
static void who_is_killed_while_shrinking_leaves_nothing(void **state)
{
	int fd = create(96 * MIB, MORSEL_GRANULE_4K), listener = open_listener();
	char *memory = map(fd, 96 * MIB, RW);
	pid_t pid;

	assert_done(populate(fd, 0, 0));
	assert_int_equal(memory[96 * MIB - 1], 0);
	listen_to(listener, memory, 96 * MIB);
	assert_done(ioctl(listener, NOTIFY_HOLD, 1));
	pid = spawn();
	if (!pid) {
		need(!ftruncate(fd, PAGE));
		_exit(0);
	}
	assert_done(ioctl(listener, NOTIFY_HELD));
	assert_done(kill(pid, SIGKILL));
	assert_done(ioctl(listener, NOTIFY_HOLD, 0));
	assert_child_killed(pid, SIGKILL);
	assert_int_equal(size_of(fd), PAGE);
	assert_int_equal(probe_write(memory + PAGE, 1), SIGBUS);
	assert_soon(info_of(fd).frame_bytes == PAGE);
	/* And what comes back is zero. */
	assert_done(ftruncate(fd, 96 * MIB));
	assert_true(is_zero(memory, 96 * MIB));
}

/*
 * Some touch, while it becomes shorter and longer.  What is written is the round's number, which is
 * told before the morsel becomes longer again: fails if a byte of a round before is seen where it was
 * cut off since, or anything stays behind.
 */
struct rounds {
	atomic_bool stop;
	atomic_uint touched[2];
	_Atomic unsigned char round;
};

static void touch(char *memory, struct rounds *rounds, unsigned int self)
{
	uint64_t seed = 10 + self;

	while (!atomic_load(&rounds->stop)) {
		size_t at = random_next(&seed) % LENGTH;

		if (random_next(&seed) % 2)
			probe_write(memory + at, atomic_load(&rounds->round));
		else
			probe_read(memory + at, NULL);
		atomic_fetch_add(&rounds->touched[self], 1);
	}
}

static void faults_against_truncation(void **state)
{
	struct rounds *shared = shared_page();
	unsigned int g, i, k, rounds = rounds_of(500);
	uint64_t seed = 1;

	for (g = 0; g < 2; g++) {
		int fd = create(LENGTH, granules[g]);
		char *memory = map(fd, LENGTH, RW);
		pid_t pids[2];

		atomic_store(&shared->stop, false);
		for (i = 0; i < 2; i++) {
			pids[i] = spawn();
			if (!pids[i]) {
				touch(memory, shared, i);
				_exit(0);
			}
		}
		for (i = 0; i < rounds; i++) {
			size_t size = random_next(&seed) % LENGTH;
			unsigned int before[2], tries = 0;
			unsigned char round = 1 + i % 200;

			assert_done(ftruncate(fd, size));
			atomic_store(&shared->round, round);
			/* Who has read the number before is done with it. */
			for (k = 0; k < 2; k++)
				before[k] = atomic_load(&shared->touched[k]);
			for (k = 0; k < 2; k++)
				while (atomic_load(&shared->touched[k]) < before[k] + 2)
					relax(&tries);
			assert_done(ftruncate(fd, LENGTH));
			assert_int_equal(pread(fd, scratch, LENGTH - size, size), LENGTH - size);
			for (k = 0; k < LENGTH - size; k++) {
				/* Most are zero. */
				if (k % 4096 == 0 && is_zero(scratch + k, 4096))
					k += 4095;
				else if (scratch[k] && (unsigned char)scratch[k] != round)
					fail_msg("round %u: %u at %#zx", round,
						 (unsigned char)scratch[k], size + k);
			}
		}
		atomic_store(&shared->stop, true);
		assert_child_done(pids[0]);
		assert_child_done(pids[1]);
		/* Of an odd size, too, nothing is left when it is closed. */
		assert_done(ftruncate(fd, LENGTH - 3 * PAGE - 5));
		assert_int_equal(info_of(fd).frame_bytes % PAGE, 0);
		munmap(memory, LENGTH);
		close(fd);
		assert_soon(!pool_info().used_bytes);
	}
}

#define SPANS 8

/* Read the first pages of each span, which may have gone; what is read is what it had. */
static void read_spans(int fd, struct rounds *shared)
{
	unsigned int span;

	while (!atomic_load(&shared->stop)) {
		for (span = 0; span < SPANS; span++) {
			ssize_t got = pread(fd, other, 2 * PAGE, span * HUGE);

			need(got >= 0 && !memcmp(other, scratch, got));
		}
		atomic_fetch_add(&shared->touched[0], 1);
	}
}

/* Fails if reading finds zeros where data stays, while what follows is cut off. */
static void reading_against_cuts(void **state)
{
	struct rounds *shared = shared_page();
	unsigned int i, span, rounds = rounds_of(200);

	fill_pattern(scratch, 2 * PAGE, 5);
	for (i = 0; i < rounds; i++) {
		/* What was cut has small frames from then on: a new one each time. */
		int fd = create(SPANS * HUGE, MORSEL_GRANULE_AUTO);
		unsigned int tries = 0;
		pid_t pid;

		for (span = 0; span < SPANS; span++)
			assert_int_equal(pwrite(fd, scratch, 2 * PAGE, span * HUGE), 2 * PAGE);
		assert_int_equal(info_of(fd).huge_bytes, SPANS * HUGE);
		atomic_store(&shared->stop, false);
		atomic_store(&shared->touched[0], 0);
		pid = spawn();
		if (!pid) {
			read_spans(fd, shared);
			_exit(0);
		}
		while (!atomic_load(&shared->touched[0]))
			relax(&tries);
		for (span = SPANS; span--;)
			assert_done(ftruncate(fd, span * HUGE + 3 * PAGE));
		atomic_store(&shared->stop, true);
		assert_child_done(pid);
		close(fd);
	}
}

/*
 * Fails if a tableset that is made while the morsel is short has no room for what there is behind its
 * end.  Who shrinks it is held amid that.
 */
static void rights_are_asked_for_while_it_shrinks(void **state)
{
	int fd = create(4 * GIB, MORSEL_GRANULE_4K), listener = open_listener();
	char *memory = map(fd, 4 * GIB, RW), byte;
	int map_now[2], shrink_now[2];
	pid_t shrinks, maps;

	memory[0] = 1;
	memory[4 * GIB - 1] = 1;
	assert_done(pipe(map_now));
	assert_done(pipe(shrink_now));
	/* Neither fork() nor the end of mmap() gets past who is held. */
	maps = spawn();
	if (!maps) {
		need(read(map_now[0], &byte, 1) == 1);
		need(probe_read(map(fd, HUGE, PROT_READ | PROT_EXEC), NULL) == SIGBUS);
		_exit(0);
	}
	shrinks = spawn();
	if (!shrinks) {
		need(read(shrink_now[0], &byte, 1) == 1);
		need(!ftruncate(fd, 0));
		_exit(0);
	}
	listen_to(listener, memory, HUGE);
	assert_done(ioctl(listener, NOTIFY_HOLD, 1));
	assert_int_equal(write(shrink_now[1], "", 1), 1);
	assert_done(ioctl(listener, NOTIFY_HELD));
	assert_int_equal(write(map_now[1], "", 1), 1);
	/* Its tables are there when the other one goes on. */
	assert_soon(info_of(fd).flags & MORSEL_INFO_TABLESETS);
	assert_errno(populate(fd, 0, 0), ERANGE);
	assert_done(ioctl(listener, NOTIFY_HOLD, 0));
	assert_child_done(shrinks);
	assert_child_done(maps);
	assert_int_equal(info_of(fd).frame_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(truncating_does_what_it_does_to_a_memfd),
		TEST(mappings_follow_the_size),
		TEST(huge_frames_end_where_they_end),
		TEST(what_is_cut_off_is_zero_at_once),
		TEST(what_is_behind_the_end_is_zero),
		TEST(a_huge_frame_is_cut),
		KERNEL_TEST(what_cannot_be_cut_is_not_lost),
		TEST(what_is_pinned_stays_the_morsels),
		TEST(it_may_begin_with_nothing),
		TEST(writing_behind_the_end_extends),
		TEST(a_write_that_breaks_off_extends_to_there),
		TEST(fallocate_extends),
		KERNEL_TEST(a_full_pool_is_a_full_device),
		KERNEL_TEST(a_ceiling_is_a_quota),
		TEST(it_grows_from_a_page_to_the_most),
		TEST(a_limit_of_file_sizes_holds),
		TEST(times_tell_of_changes),
		TEST(times_tell_of_what_mappings_write),
		TEST(keep_size_allocates_nothing_behind_the_end),
		TEST(links_and_blocks_are_told),
		TEST(seeking_finds_data_and_holes),
		TEST(who_is_killed_while_shrinking_leaves_nothing),
		TEST(faults_against_truncation),
		TEST(reading_against_cuts),
		TEST(rights_are_asked_for_while_it_shrinks),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, notify_begin, notify_end);
}
