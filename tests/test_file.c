// SPDX-License-Identifier: GPL-2.0
/*
 * A morsel's descriptor behaves as a memfd's does.
 */
#include "common.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifndef FALLOC_FL_KEEP_SIZE
#include <linux/falloc.h>
#endif

#define LENGTH (4 * MIB)

static char scratch[LENGTH];

/* A read-only descriptor beside the writable one. */
static int create_pair(int *read_only)
{
	int fd = create_named("pair", LENGTH, 0600);

	*read_only = open_with(0, "pair", MORSEL_OPEN_READ_ONLY);
	assert_true(*read_only >= 0);
	return fd;
}

static void fstat_tells_size_and_owner(void **state)
{
	struct stat st;
	int fd;

	fd = create_named("stat", LENGTH + 5, 0640);
	assert_done(fstat(fd, &st));
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_size, LENGTH + 5);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, 0);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(st.st_ino, id_of(fd));
	assert_int_equal(pwrite(fd, "x", 1, LENGTH), 1);
	assert_done(fstat(fd, &st));
	assert_int_equal(st.st_blocks, PAGE / 512);
}

static void holes_read_as_zero(void **state)
{
	int fd;

	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	memset(scratch, 0xaa, sizeof(scratch));
	assert_int_equal(read(fd, scratch, LENGTH), LENGTH);
	assert_true(is_zero(scratch, LENGTH));
	/* Reading allocates nothing. */
	assert_int_equal(info_of(fd).frame_bytes, 0);
	assert_int_equal(read(fd, scratch, 1), 0);
	assert_int_equal(pread(fd, scratch, 1, LENGTH + 1), 0);
}

static void what_is_written_is_read(void **state)
{
	static char back[LENGTH];
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M,
					    MORSEL_GRANULE_AUTO};
	unsigned int i;

	fill_pattern(scratch, LENGTH, 1);
	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = create(LENGTH, granules[i]);

		assert_int_equal(write(fd, scratch, LENGTH), LENGTH);
		assert_int_equal(lseek(fd, 0, SEEK_CUR), LENGTH);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(read(fd, back, LENGTH), LENGTH);
		assert_memory_equal(scratch, back, LENGTH);
		/* At odd places too. */
		assert_int_equal(pwrite(fd, scratch, 10001, HUGE - 4999), 10001);
		assert_int_equal(pread(fd, back, 10001, HUGE - 4999), 10001);
		assert_memory_equal(scratch, back, 10001);
		assert_int_equal(info_of(fd).frame_bytes, LENGTH);
		close(fd);
	}
}

static void reading_and_mapping_agree(void **state)
{
	char *memory;
	int fd;

	fd = create(LENGTH, MORSEL_GRANULE_4K);
	memory = map(fd, LENGTH, RW);
	fill_pattern(memory + HUGE - PAGE, 2 * PAGE, 3);
	assert_int_equal(pread(fd, scratch, 2 * PAGE, HUGE - PAGE), 2 * PAGE);
	assert_true(has_pattern(scratch, 2 * PAGE, 3));
	fill_pattern(scratch, 2 * PAGE, 4);
	assert_int_equal(pwrite(fd, scratch, 2 * PAGE, HUGE - PAGE), 2 * PAGE);
	assert_true(has_pattern(memory + HUGE - PAGE, 2 * PAGE, 4));
}

/* The caller's buffer may be the morsel itself. */
static void reading_into_itself_works(void **state)
{
	char *memory;
	int fd;

	fd = create(LENGTH, MORSEL_GRANULE_4K);
	memory = map(fd, LENGTH, RW);
	fill_pattern(memory, 64 * KIB, 5);
	assert_int_equal(pread(fd, memory + HUGE, 64 * KIB, 0), 64 * KIB);
	assert_true(has_pattern(memory + HUGE, 64 * KIB, 5));
	assert_int_equal(pwrite(fd, memory + HUGE, 64 * KIB, MIB), 64 * KIB);
	assert_true(has_pattern(memory + MIB, 64 * KIB, 5));
	/* From a hole of its own. */
	assert_int_equal(pwrite(fd, memory + 3 * MIB, 64 * KIB, 0), 64 * KIB);
	assert_true(is_zero(memory, 64 * KIB));
}

static void vectors_work(void **state)
{
	char a[] = "one", b[] = "three", c[16] = "", d[16] = "";
	struct iovec out[] = {{a, 3}, {b, 5}}, in[] = {{c, 5}, {d, 3}};
	int fd;

	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	assert_int_equal(writev(fd, out, 2), 8);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(readv(fd, in, 2), 8);
	assert_string_equal(c, "oneth");
	assert_string_equal(d, "ree");
	assert_int_equal(pwritev(fd, out, 2, PAGE - 2), 8);
	assert_int_equal(preadv(fd, in, 2, PAGE - 2), 8);
	assert_string_equal(c, "oneth");
}

static void bad_buffers_are_noticed(void **state)
{
	/* Hidden from the compiler, which knows that this cannot be right. */
	void *volatile nowhere = NULL;
	int fd;

	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_errno(pread(fd, nowhere, PAGE, 0), EFAULT);
	assert_errno(pread(fd, free_place(HUGE), PAGE, 0), EFAULT);
	assert_errno(pwrite(fd, nowhere, PAGE, 0), EFAULT);
	assert_errno(pread(fd, scratch, 1, -1), EINVAL);
	assert_errno(lseek(fd, -1, SEEK_SET), EINVAL);
}

static void lseek_finds_the_end(void **state)
{
	int fd;

	fd = create(LENGTH + 7, MORSEL_GRANULE_AUTO);
	assert_int_equal(lseek(fd, 0, SEEK_END), LENGTH + 7);
	assert_int_equal(lseek(fd, -7, SEEK_END), LENGTH);
	assert_int_equal(lseek(fd, 3, SEEK_CUR), LENGTH + 3);
	assert_int_equal(lseek(fd, LENGTH, SEEK_SET), LENGTH);
}

static void sendfile_goes_both_ways(void **state)
{
	int fd, other, file;
	off_t offset = PAGE;
	ssize_t total = 0, got;

	fd = create(LENGTH, MORSEL_GRANULE_4K);
	file = memfd_create("file", 0);
	fill_pattern(scratch, MIB, 6);
	assert_int_equal(write(file, scratch, MIB), MIB);
	lseek(file, 0, SEEK_SET);
	lseek(fd, PAGE, SEEK_SET);
	while (total < (ssize_t)MIB && (got = sendfile(fd, file, NULL, MIB - total)) > 0)
		total += got;
	assert_int_equal(total, MIB);
	assert_int_equal(pread(fd, scratch, MIB, PAGE), MIB);
	assert_true(has_pattern(scratch, MIB, 6));

	other = memfd_create("other", 0);
	for (total = 0; total < (ssize_t)MIB; total += got) {
		got = sendfile(other, fd, &offset, MIB - total);
		assert_true(got > 0);
	}
	assert_int_equal(offset, PAGE + MIB);
	assert_int_equal(pread(other, scratch, MIB, 0), MIB);
	assert_true(has_pattern(scratch, MIB, 6));
}

static void sendfile_feeds_a_socket(void **state)
{
	size_t total = 0;
	int fd, pair[2];
	pid_t pid;

	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	fill_pattern(scratch, MIB, 7);
	assert_int_equal(pwrite(fd, scratch, MIB, 0), MIB);
	assert_done(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = spawn();
	if (!pid) {
		close(pair[1]);
		while (total < MIB) {
			ssize_t got = sendfile(pair[0], fd, NULL, MIB - total);

			need(got > 0);
			total += got;
		}
		_exit(0);
	}
	close(pair[0]);
	memset(scratch, 0, MIB);
	while (total < MIB) {
		ssize_t got = read(pair[1], scratch + total, MIB - total);

		assert_true(got > 0);
		total += got;
	}
	assert_true(has_pattern(scratch, MIB, 7));
	assert_child_done(pid);
}

/* Fails if what is in the pipe changes with the punch, or does not come back whole. */
static void splice_goes_both_ways(void **state)
{
	loff_t in = HUGE - PAGE, out = 0;
	ssize_t got, left;
	int fd, pipes[2];

	fd = create(LENGTH, MORSEL_GRANULE_4K);
	fill_pattern(scratch, 8 * PAGE, 8);
	assert_int_equal(pwrite(fd, scratch, 8 * PAGE, in), 8 * PAGE);
	assert_done(pipe(pipes));
	/* It may splice less than all at once. */
	for (left = 8 * PAGE; left; left -= got) {
		got = splice(fd, &in, pipes[1], NULL, left, 0);
		assert_in_range(got, 1, left);
	}
	/* What is in the pipe is a copy, or the frames: punching must not harm. */
	assert_done(punch(fd, 0, 0));
	assert_int_equal(splice(pipes[0], NULL, fd, &out, 8 * PAGE, 0), 8 * PAGE);
	assert_int_equal(pread(fd, scratch, 8 * PAGE, 0), 8 * PAGE);
	assert_true(has_pattern(scratch, 8 * PAGE, 8));
}

static void fallocate_punches(void **state)
{
	char *memory;
	int fd;

	fd = create(LENGTH, MORSEL_GRANULE_4K);
	memory = map(fd, LENGTH, RW);
	fill_pattern(memory, 16 * PAGE, 9);
	assert_int_equal(info_of(fd).frame_bytes, 16 * PAGE);
	assert_done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE, 4 * PAGE));
	assert_int_equal(info_of(fd).frame_bytes, 12 * PAGE);
	assert_true(has_pattern(memory, 4 * PAGE, 9));
	assert_true(is_zero(memory + 4 * PAGE, 4 * PAGE));
	/* What is punched in part keeps its frame. */
	assert_done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 9 * PAGE + 100,
			      2 * PAGE));
	assert_true(is_zero(memory + 9 * PAGE + 100, 2 * PAGE));
	assert_false(is_zero(memory + 9 * PAGE, 100));
	assert_false(is_zero(memory + 11 * PAGE + 100, PAGE - 100));
}

static void fallocate_punches_huge_frames(void **state)
{
	char *memory;
	int fd;

	fd = create(2 * HUGE, MORSEL_GRANULE_2M);
	memory = map(fd, 2 * HUGE, RW);
	fill_pattern(memory, 2 * HUGE, 10);
	/* A part is cleared. */
	assert_done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE + 8, 64 * KIB));
	assert_int_equal(info_of(fd).huge_bytes, 2 * HUGE);
	assert_true(has_pattern(memory, PAGE + 8, 10));
	assert_true(is_zero(memory + PAGE + 8, 64 * KIB));
	assert_false(is_zero(memory + PAGE + 8 + 64 * KIB, 64));
	/* The whole is freed. */
	assert_done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HUGE, HUGE));
	assert_int_equal(info_of(fd).huge_bytes, HUGE);
	assert_true(is_zero(memory + HUGE, HUGE));
}

static void fallocate_populates(void **state)
{
	int fd;

	fd = create(LENGTH, MORSEL_GRANULE_4K);
	assert_int_equal(pwrite(fd, "keep", 5, PAGE), 5);
	assert_done(fallocate(fd, 0, 0, 4 * PAGE));
	assert_int_equal(info_of(fd).frame_bytes, 4 * PAGE);
	assert_done(fallocate(fd, FALLOC_FL_KEEP_SIZE, HUGE, PAGE));
	assert_int_equal(info_of(fd).frame_bytes, 5 * PAGE);
	assert_int_equal(pread(fd, scratch, 5, PAGE), 5);
	assert_string_equal(scratch, "keep");
	assert_done(posix_fallocate(fd, 0, LENGTH));
	assert_int_equal(info_of(fd).frame_bytes, LENGTH);
}

static void fallocate_refuses_the_rest(void **state)
{
	static const int modes[] = {
		FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_INSERT_RANGE,
		FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_PUNCH_HOLE,
	};
	unsigned int i;
	int fd, read_only;

	fd = create_pair(&read_only);
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		assert_errno(fallocate(fd, modes[i], 0, HUGE), EOPNOTSUPP);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, HUGE), -1);
	assert_errno(fallocate(fd, 0, 0, 0), EINVAL);
	assert_errno(fallocate(fd, 0, -1, PAGE), EINVAL);
	assert_errno(fallocate(read_only, 0, 0, PAGE), EBADF);
	assert_errno(fallocate(read_only, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE),
		     EBADF);
}

static void punch_and_populate_ioctls_check_their_range(void **state)
{
	int fd, read_only;

	fd = create_pair(&read_only);
	assert_errno(punch(read_only, 0, 0), EBADF);
	assert_errno(populate(read_only, 0, 0), EBADF);
	assert_errno(punch(fd, 1, PAGE), EINVAL);
	assert_errno(punch(fd, 0, 1), EINVAL);
	assert_errno(populate(fd, 0, PAGE + 1), EINVAL);
	assert_errno(punch(fd, LENGTH, 0), ERANGE);
	assert_errno(punch(fd, LENGTH, PAGE), ERANGE);
	assert_errno(punch(fd, 0, LENGTH + PAGE), ERANGE);
	assert_errno(punch(fd, PAGE, LENGTH), ERANGE);
	assert_errno(populate(fd, PAGE, UINT64_MAX - PAGE + 1), ERANGE);
	assert_errno(populate(fd, UINT64_MAX - PAGE + 1, PAGE), ERANGE);
	assert_done(populate(fd, LENGTH - PAGE, 0));
	/* AUTO: the huge frame around it. */
	assert_int_equal(info_of(fd).frame_bytes, HUGE);
	assert_done(punch(fd, LENGTH - HUGE, HUGE));
	assert_int_equal(info_of(fd).frame_bytes, 0);
}

static void an_odd_length_ends_where_it_ends(void **state)
{
	char *memory;
	int fd;

	fd = create(HUGE + PAGE + 100, MORSEL_GRANULE_AUTO);
	assert_done(populate(fd, 0, 0));
	assert_int_equal(info_of(fd).frame_bytes, HUGE + 2 * PAGE);
	memory = map(fd, 2 * HUGE, RW);
	memset(memory, 0x11, HUGE + 2 * PAGE);
	assert_int_equal(probe_write(memory + HUGE + 2 * PAGE, 1), SIGBUS);
	memset(scratch, 0, 2 * HUGE);
	assert_int_equal(pread(fd, scratch, 2 * HUGE, 0), HUGE + PAGE + 100);
	/* Up to the end, given in full or as the morsel has it. */
	assert_done(punch(fd, HUGE, PAGE + 100));
	assert_int_equal(info_of(fd).frame_bytes, HUGE);
	assert_done(populate(fd, HUGE, 2 * PAGE));
	assert_int_equal(info_of(fd).frame_bytes, HUGE + 2 * PAGE);
	assert_true(is_zero(memory + HUGE, 2 * PAGE));
	assert_done(punch(fd, 0, 0));
	assert_int_equal(info_of(fd).frame_bytes, 0);
}

static int send_fd(int socket, int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec vector = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0);
}

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec vector = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void a_descriptor_passes_through_a_socket(void **state)
{
	int fd, pair[2];
	uint64_t id;
	char *memory;
	pid_t pid;

	assert_done(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = spawn();
	if (!pid) {
		/* A user who could not open it. */
		become(OTHER);
		fd = receive_fd(pair[1]);
		need(fd >= 0);
		memory = map(fd, LENGTH, RW);
		need(has_pattern(memory, PAGE, 11));
		fill_pattern(memory + HUGE, PAGE, 12);
		_exit(0);
	}
	fd = create(LENGTH, MORSEL_GRANULE_4K);
	id = id_of(fd);
	memory = map(fd, LENGTH, RW);
	fill_pattern(memory, PAGE, 11);
	assert_int_equal(send_fd(pair[0], fd), 1);
	assert_child_done(pid);
	assert_true(has_pattern(memory + HUGE, PAGE, 12));

	/* In flight, it is alive. */
	munmap(memory, LENGTH);
	assert_int_equal(send_fd(pair[0], fd), 1);
	close(fd);
	assert_int_equal(count_morsels(), 1);
	fd = receive_fd(pair[1]);
	assert_int_equal(id_of(fd), id);
	assert_int_equal(send_fd(pair[0], fd), 1);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(count_morsels(), 0);
}

static void reopening_by_proc_respects_the_mode(void **state)
{
	char path[64];
	int fd, again;
	pid_t pid;

	fd = create_named("reopen", LENGTH, 0604);
	assert_int_equal(pwrite(fd, "reopened", 8, 0), 8);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_true(again >= 0);
	assert_int_equal(id_of(again), id_of(fd));
	close(again);
	again = open(path, O_RDONLY);
	assert_errno(pwrite(again, "x", 1, 0), EBADF);
	assert_int_equal(pread(again, scratch, 8, 0), 8);
	assert_memory_equal(scratch, "reopened", 8);
	close(fd);
	pid = spawn();
	if (!pid) {
		/* Handed a read-only descriptor, one cannot make it a writable one. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", again);
		become(OTHER);
		need(open(path, O_RDWR) == -1 && errno == EACCES);
		need(open(path, O_RDONLY) >= 0);
		_exit(0);
	}
	assert_child_done(pid);
}

static void a_reopened_descriptor_holds_the_module(void **state)
{
	char path[64];
	int fd, again;

	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR);
	assert_true(again >= 0);
	close(fd);
	close(dev);
	assert_int_not_equal(unload_module(), 0);
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(again, "x", 1, 0), 1);
}

static void a_read_only_descriptor_only_reads(void **state)
{
	int fd, read_only;
	char *memory;

	fd = create_pair(&read_only);
	assert_int_equal(fcntl(read_only, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(pwrite(fd, "seen", 5, 0), 5);
	assert_errno(pwrite(read_only, "x", 1, 0), EBADF);
	assert_int_equal(pread(read_only, scratch, 5, 0), 5);
	assert_string_equal(scratch, "seen");
	assert_ptr_equal(mmap(NULL, LENGTH, RW, MAP_SHARED, read_only, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	assert_ptr_equal(mmap(NULL, LENGTH, PROT_WRITE, MAP_SHARED, read_only, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	memory = map(read_only, LENGTH, PROT_READ);
	assert_string_equal(memory, "seen");
	assert_int_equal(probe_write(memory, 1), SIGSEGV);
	assert_errno(mprotect(memory, LENGTH, RW), EACCES);
	assert_int_equal(probe_write(memory, 1), SIGSEGV);
	assert_string_equal(memory, "seen");
	assert_int_equal(info_of(read_only).flags & MORSEL_INFO_TABLESETS, MORSEL_INFO_TABLESETS);
}

static void fdinfo_describes(void **state)
{
	const char *text;
	char line[64];
	int fd;

	fd = create_named("described", LENGTH, 0600);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	text = read_text("/proc/self/fdinfo/%d", fd);
	assert_non_null(strstr(text, "morsel-name:\tdescribed\n"));
	snprintf(line, sizeof(line), "morsel-id:\t%llu\n", (unsigned long long)id_of(fd));
	assert_non_null(strstr(text, line));
	snprintf(line, sizeof(line), "morsel-length:\t%lu\n", LENGTH);
	assert_non_null(strstr(text, line));
	snprintf(line, sizeof(line), "morsel-frames:\t%lu\n", HUGE);
	assert_non_null(strstr(text, line));
}

static void proc_shows_the_name(void **state)
{
	char path[64], link[128] = "";
	char *memory;
	int fd;

	fd = create_named("shown", LENGTH, 0600);
	memory = map(fd, LENGTH, RW);
	assert_non_null(strstr(maps_line(0, memory), "/morsel:/shown"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(readlink(path, link, sizeof(link) - 1) > 0);
	assert_string_equal(link, "/morsel:/shown");
	assert_non_null(strstr(maps_line(0, memory), "rw-s"));

	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	memory = map(fd, LENGTH, PROT_READ);
	snprintf(link, sizeof(link), "/morsel:#%llu (deleted)", (unsigned long long)id_of(fd));
	assert_non_null(strstr(maps_line(0, memory), link));
	assert_non_null(strstr(maps_line(0, memory), "r--s"));
}

static void fsync_is_nothing(void **state)
{
	char *memory;
	int fd;

	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	memory = map(fd, LENGTH, RW);
	memory[0] = 1;
	assert_done(fsync(fd));
	assert_done(fdatasync(fd));
	assert_done(msync(memory, LENGTH, MS_SYNC));
	assert_done(msync(memory, LENGTH, MS_ASYNC));
	assert_int_equal(memory[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fstat_tells_size_and_owner),
		TEST(holes_read_as_zero),
		TEST(what_is_written_is_read),
		TEST(reading_and_mapping_agree),
		TEST(reading_into_itself_works),
		TEST(vectors_work),
		TEST(bad_buffers_are_noticed),
		TEST(lseek_finds_the_end),
		TEST(sendfile_goes_both_ways),
		TEST(sendfile_feeds_a_socket),
		TEST(splice_goes_both_ways),
		TEST(fallocate_punches),
		TEST(fallocate_punches_huge_frames),
		TEST(fallocate_populates),
		TEST(fallocate_refuses_the_rest),
		TEST(punch_and_populate_ioctls_check_their_range),
		TEST(an_odd_length_ends_where_it_ends),
		TEST(a_descriptor_passes_through_a_socket),
		TEST(reopening_by_proc_respects_the_mode),
		TEST(a_reopened_descriptor_holds_the_module),
		TEST(a_read_only_descriptor_only_reads),
		TEST(fdinfo_describes),
		TEST(proc_shows_the_name),
		TEST(fsync_is_nothing),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
