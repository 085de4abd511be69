// SPDX-License-Identifier: GPL-2.0
/*
 * Giving morsels away: all who had one have nothing from that moment on, whatever they had it by, and
 * one descriptor has all of it.
 */
#include "kernel.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#ifndef FALLOC_FL_KEEP_SIZE
#include <linux/falloc.h>
#endif

#define LENGTH (8 * MIB)
#define AT "/tmp/morsel-give"

static const uint32_t granules[] = {MORSEL_GRANULE_AUTO, MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

static int unmount(void **state)
{
	while (!umount2(AT, MNT_DETACH))
		;
	rmdir(AT);
	return kernel_end(state);
}

#define MOUNT_TEST(function) \
	cmocka_unit_test_prestate_setup_teardown(function, test_begin, unmount, (void *)#function)

static void mount_it(const char *options)
{
	mkdir(AT, 0755);
	assert_done(mount("none", AT, "morsel", 0, options));
}

static void write_pattern(int fd, size_t length, unsigned int seed)
{
	static char text[LENGTH];

	fill_pattern(text, length, seed);
	assert_int_equal(pwrite(fd, text, length, 0), length);
}

static bool reads(int fd, size_t length, unsigned int seed)
{
	static char text[LENGTH];

	return pread(fd, text, length, 0) == (ssize_t)length && has_pattern(text, length, seed);
}

static int make(uint32_t granule, unsigned int seed)
{
	int fd = create(LENGTH, granule);

	write_pattern(fd, LENGTH, seed);
	return fd;
}

static int given_away(int fd)
{
	int given = give(fd);

	assert_done(given);
	return given;
}

/* All that a descriptor can be asked for. */
static void assert_stale(int fd)
{
	struct morsel_info info = {.size = sizeof(info)};
	struct morsel_range range = {.size = sizeof(range)};
	struct stat st;
	char byte = 0;

	assert_errno(pread(fd, &byte, 1, 0), ESTALE);
	assert_errno(pwrite(fd, &byte, 1, 0), ESTALE);
	assert_errno(pwrite(fd, &byte, 1, GIB), ESTALE);
	assert_errno(lseek(fd, 0, SEEK_SET), ESTALE);
	assert_errno(lseek(fd, 0, SEEK_DATA), ESTALE);
	assert_errno(ftruncate(fd, LENGTH), ESTALE);
	assert_errno(fallocate(fd, 0, 0, LENGTH), ESTALE);
	assert_errno(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), ESTALE);
	assert_errno(fchmod(fd, 0600), ESTALE);
	assert_errno(fstat(fd, &st), ESTALE);
	assert_ptr_equal(mmap(NULL, LENGTH, RW, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, ESTALE);
	assert_ptr_equal(mmap(NULL, LENGTH, RW, MAP_PRIVATE, fd, 0), MAP_FAILED);
	assert_int_equal(errno, ESTALE);
	assert_errno(ioctl(fd, MORSEL_IOC_STAT, &info), ESTALE);
	assert_errno(ioctl(fd, MORSEL_IOC_POPULATE, &range), ESTALE);
	assert_errno(clone_with(fd, 0, ""), ESTALE);
	assert_errno(give(fd), ESTALE);
}

/* A child that has it mapped, and says so; it ends by a signal when it is told to look again. */
static pid_t spawn_looker(char *memory, int *talk)
{
	int ends[2];
	pid_t pid;
	char byte;

	assert_done(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	pid = spawn();
	if (!pid) {
		need(has_pattern(memory, LENGTH, 1));
		need(write(ends[1], "x", 1) == 1);
		need(read(ends[1], &byte, 1) == 1);
		*(volatile char *)memory;
		_exit(0);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[1]);
	*talk = ends[0];
	return pid;
}

static void who_had_it_has_nothing(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), other = dup(fd), reader = reopen_read_only(fd);
		char *memory = map(fd, LENGTH, RW), *read_only = map(reader, LENGTH, PROT_READ);
		/* Page by page, too. */
		char *edge = mmap(NULL, LENGTH - PAGE, RW, MAP_SHARED, fd, PAGE);
		struct morsel_info before = info_of(fd), after;
		int given, talk;
		pid_t child;

		assert_ptr_not_equal(edge, MAP_FAILED);
		assert_true(has_pattern(memory, LENGTH, 1));
		assert_true(has_pattern(read_only, LENGTH, 1));
		assert_int_equal(edge[0], memory[PAGE]);
		child = spawn_looker(memory, &talk);
		given = given_away(fd);
		assert_int_equal(probe_read(memory, NULL), SIGBUS);
		assert_int_equal(probe_write(memory + LENGTH - 1, 1), SIGBUS);
		assert_int_equal(probe_read(read_only, NULL), SIGBUS);
		assert_int_equal(probe_read(edge, NULL), SIGBUS);
		assert_int_equal(write(talk, "x", 1), 1);
		assert_int_equal(wait_child(child), 128 + SIGBUS);
		assert_stale(fd);
		assert_stale(other);
		assert_errno(lseek(reader, 0, SEEK_END), ESTALE);

		after = info_of(given);
		assert_int_equal(after.id, before.id);
		assert_int_equal(after.length, before.length);
		assert_int_equal(after.frame_bytes, before.frame_bytes);
		assert_int_equal(after.huge_bytes, before.huge_bytes);
		assert_int_equal(after.granule, before.granule);
		assert_int_equal(after.attachments, 0);
		assert_int_equal(count_morsels(), 1);
		assert_true(reads(given, LENGTH, 1));
		/* By the same addresses. */
		munmap(memory, LENGTH);
		memory = map_at(memory, given, LENGTH, RW, 0);
		assert_true(has_pattern(memory, LENGTH, 1));
		fill_pattern(memory, LENGTH, 2);
		assert_true(reads(given, LENGTH, 2));
		assert_int_equal(probe_read(read_only, NULL), SIGBUS);
		close(fd);
		close(other);
		close(reader);
		munmap(read_only, LENGTH);
		munmap(edge, LENGTH - PAGE);
		assert_true(has_pattern(memory, LENGTH, 2));
		munmap(memory, LENGTH);
		close(given);
		close(talk);
		assert_soon(!pool_info().used_bytes);
	}
}

/* With rights that take tables of their own, over several GiBs, to and fro. */
static void all_tables_go_along(void **state)
{
	int fd = create(3 * GIB, MORSEL_GRANULE_4K), given;
	char *memory, *code;
	unsigned int i;
	uint64_t at;

	for (i = 0; i < 4; i++) {
		memory = map(fd, 3 * GIB, RW);
		code = map(fd, 3 * GIB, PROT_READ | PROT_EXEC);
		for (at = 0; at < 3 * GIB; at += GIB / 2 + HUGE + PAGE) {
			assert_int_equal(memory[at], i);
			memory[at] = i + 1;
			assert_int_equal(code[at], i + 1);
		}
		given = given_away(fd);
		assert_int_equal(probe_read(code, NULL), SIGBUS);
		assert_int_equal(probe_read(memory, NULL), SIGBUS);
		munmap(memory, 3 * GIB);
		munmap(code, 3 * GIB);
		code = map(given, 3 * GIB, PROT_READ | PROT_EXEC);
		for (at = 0; at < 3 * GIB; at += GIB / 2 + HUGE + PAGE)
			assert_int_equal(code[at], i + 1);
		munmap(code, 3 * GIB);
		close(fd);
		fd = given;
	}
	close(fd);
	assert_soon(!pool_info().used_bytes);
}

/* Nor what /proc makes of a descriptor or a mapping, nor one without rights. */
static void nobody_gets_it_back(void **state)
{
	int fd = make(MORSEL_GRANULE_AUTO, 1), path, given;
	char name[64], *memory = map(fd, LENGTH, RW);
	struct stat st;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	path = open(name, O_PATH | O_CLOEXEC);
	assert_done(path);
	given = given_away(fd);
	assert_errno(open(name, O_RDWR), ESTALE);
	assert_errno(open(name, O_RDONLY), ESTALE);
	assert_errno(truncate(name, 0), ESTALE);
	assert_errno(stat(name, &st), ESTALE);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", path);
	assert_errno(open(name, O_RDONLY), ESTALE);
	snprintf(name, sizeof(name), "/proc/self/map_files/%lx-%lx", (unsigned long)memory,
		 (unsigned long)memory + LENGTH);
	assert_errno(open(name, O_RDONLY), ESTALE);
	assert_non_null(strstr(read_text("/proc/self/fdinfo/%d", fd), "morsel-stale:\t1\n"));
	assert_non_null(strstr(read_text("/proc/self/fdinfo/%d", given), "morsel-stale:\t0\n"));
	/* By its id, who may. */
	path = open_with(id_of(given), "", 0);
	assert_done(path);
	assert_true(reads(path, LENGTH, 1));
}

static void it_is_called_as_before(void **state)
{
	int fd = create_named("given", LENGTH, 0640), given, again;
	struct stat before, after;
	struct morsel_info info;

	write_pattern(fd, LENGTH, 1);
	assert_done(fchown(fd, TESTER, OTHER));
	assert_done(fstat(fd, &before));
	given = given_away(fd);
	assert_done(fstat(given, &after));
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_dev, before.st_dev);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_uid, TESTER);
	assert_int_equal(after.st_gid, OTHER);
	assert_int_equal(after.st_nlink, 1);
	info = info_of(given);
	assert_string_equal(info.name, "given");
	again = open_with(0, "given", 0);
	assert_done(again);
	assert_true(reads(again, LENGTH, 1));
	close(again);
	again = open_with(info.id, "", 0);
	assert_done(again);
	write_pattern(again, LENGTH, 2);
	assert_true(reads(given, LENGTH, 2));
	close(again);
	/* It stays when nobody has it open. */
	close(given);
	close(fd);
	assert_int_equal(count_morsels(), 1);
	again = open_with(0, "given", 0);
	assert_true(reads(again, LENGTH, 2));
	close(again);
	assert_done(unlink_morsel(0, "given"));
	assert_int_equal(count_morsels(), 0);
	assert_soon(!pool_info().used_bytes);
}

static uint64_t room_at(const char *path)
{
	struct statfs stats;

	assert_done(statfs(path, &stats));
	return stats.f_bfree * stats.f_bsize;
}

static void files_stay_in_their_folders(void **state)
{
	struct stat before, after;
	int fd, given, again;

	mount_it("size=64M");
	assert_done(mkdir(AT "/folder", 0755));
	fd = open(AT "/folder/file", O_RDWR | O_CREAT | O_EXCL, 0644);
	assert_done(fd);
	write_pattern(fd, LENGTH, 1);
	assert_done(fstat(fd, &before));
	given = given_away(fd);
	assert_done(stat(AT "/folder/file", &after));
	assert_int_equal(after.st_ino, before.st_ino);
	again = open(AT "/folder/file", O_RDONLY);
	assert_done(again);
	assert_true(reads(again, LENGTH, 1));
	close(again);
	close(given);
	assert_stale(fd);
	close(fd);
	/* What somebody has open is another one now, wherever it is moved. */
	assert_done(rename(AT "/folder/file", AT "/moved"));
	fd = open(AT "/moved", O_RDWR);
	assert_true(reads(fd, LENGTH, 1));
	given = given_away(fd);
	close(fd);
	assert_done(unlink(AT "/moved"));
	assert_true(reads(given, LENGTH, 1));
	/* It has no name any more. */
	again = given_away(given);
	close(given);
	assert_true(reads(again, LENGTH, 1));
	assert_done(fstat(again, &after));
	assert_int_equal(after.st_nlink, 0);
	close(again);
	/* Nor had this ever; but it may get one. */
	fd = open(AT, O_RDWR | O_TMPFILE, 0600);
	assert_done(fd);
	write_pattern(fd, LENGTH, 2);
	given = given_away(fd);
	assert_errno(linkat(fd, "", AT_FDCWD, AT "/named", AT_EMPTY_PATH), ESTALE);
	assert_done(linkat(given, "", AT_FDCWD, AT "/named", AT_EMPTY_PATH));
	close(fd);
	close(given);
	fd = open(AT "/named", O_RDWR);
	assert_true(reads(fd, LENGTH, 2));
	given = given_away(fd);
	close(fd);
	assert_done(unlink(AT "/named"));
	assert_true(reads(given, LENGTH, 2));
	close(given);
	/* Unless it was made not to. */
	fd = open(AT, O_RDWR | O_TMPFILE | O_EXCL, 0600);
	assert_done(fd);
	given = given_away(fd);
	close(fd);
	assert_errno(linkat(given, "", AT_FDCWD, AT "/named", AT_EMPTY_PATH), ENOENT);
	close(given);
	assert_done(rmdir(AT "/folder"));
	assert_soon(!count_morsels());
	assert_soon(room_at(AT) == 64 * MIB);
}

static void not_what_has_several_names(void **state)
{
	int fd, given;

	mount_it(NULL);
	fd = open(AT "/one", O_RDWR | O_CREAT, 0644);
	write_pattern(fd, PAGE, 1);
	assert_done(link(AT "/one", AT "/two"));
	assert_errno(give(fd), EMLINK);
	assert_true(reads(fd, PAGE, 1));
	assert_done(unlink(AT "/one"));
	given = given_away(fd);
	close(fd);
	fd = open(AT "/two", O_RDONLY);
	assert_done(fd);
	assert_true(reads(fd, PAGE, 1));
	assert_errno(give(fd), EBADF);
	close(given);
}

/* Each is found, and no other, however names lie beside each other. */
static void many_names_stay(void **state)
{
	char path[64];
	unsigned int i;
	int fd;

	mount_it(NULL);
	for (i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), AT "/%u", i);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		assert_done(fd);
		write_pattern(fd, PAGE, i);
		if (i % 3)
			close(given_away(fd));
		close(fd);
	}
	for (i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), AT "/%u", i);
		fd = open(path, O_RDWR);
		assert_done(fd);
		assert_true(reads(fd, PAGE, i));
		if (i % 2)
			close(given_away(fd));
		close(fd);
	}
	assert_int_equal(count_morsels(), 300);
	for (i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), AT "/%u", i);
		assert_done(unlink(path));
		assert_errno(open(path, O_RDONLY), ENOENT);
	}
	assert_soon(!count_morsels());
}

/* What a mount does not let anybody do, nobody may by what was given. */
static void mounts_are_respected(void **state)
{
	char path[64];
	int fd, given;

	mkdir(AT, 0755);
	assert_done(mount("none", AT, "morsel", MS_NOEXEC, NULL));
	fd = open(AT "/file", O_RDWR | O_CREAT, 0622);
	assert_done(fd);
	write_pattern(fd, PAGE, 1);
	/* To write is not to read. */
	given = open(AT "/file", O_WRONLY);
	assert_errno(give(given), EBADF);
	close(given);
	/* Where something is mounted. */
	assert_done(mount("/dev/null", AT "/file", NULL, MS_BIND, NULL));
	assert_errno(give(fd), EBUSY);
	assert_done(umount(AT "/file"));
	given = given_away(fd);
	assert_ptr_equal(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, given, 0), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", given);
	assert_string_equal(realpath(path, NULL), AT "/file");
	/* What has no name any more gets none by a descriptor that is stale. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(linkat(AT_FDCWD, path, AT_FDCWD, AT "/again", AT_SYMLINK_FOLLOW), -1);
	assert_errno(open(AT "/again", O_RDONLY), ENOENT);
	assert_done(mount("/dev/null", AT "/file", NULL, MS_BIND, NULL));
	assert_done(umount(AT "/file"));
	assert_true(reads(given, PAGE, 1));
}

/* Who has it mapped still, and is at it, sees nothing of what becomes of it. */
static void clones_of_what_was_given(void **state)
{
	unsigned int round;

	for (round = 0; round < 20; round++) {
		int fd = make(granules[round % ARRAY_SIZE(granules)], 1), given, clone, talk;
		char *memory = map(fd, LENGTH, RW), *now;
		pid_t child = spawn_looker(memory, &talk);

		given = given_away(fd);
		now = map(given, LENGTH, RW);
		if (round % 2)
			fill_pattern(now, LENGTH, 1);
		clone = clone_of(given);
		fill_pattern(now, LENGTH, 2);
		assert_true(reads(clone, LENGTH, 1));
		assert_true(reads(given, LENGTH, 2));
		assert_int_equal(probe_write(memory, 1), SIGBUS);
		assert_true(reads(clone, LENGTH, 1));
		assert_int_equal(write(talk, "x", 1), 1);
		assert_int_equal(wait_child(child), 128 + SIGBUS);
		close(talk);
		munmap(memory, LENGTH);
		munmap(now, LENGTH);
		close(fd);
		close(clone);
		close(given);
	}
	assert_soon(!pool_info().used_bytes);
}

static int try_give(int fd, uint32_t size, uint32_t flags, uint32_t reserved)
{
	struct morsel_give args = {.size = size, .flags = flags, .reserved = reserved};

	return ioctl(fd, MORSEL_IOC_GIVE, &args) ? -1 : args.fd;
}

/* Where it fails, nothing has changed. */
static void it_is_all_or_nothing(void **state)
{
	struct morsel_create args = populated(LENGTH, MORSEL_GRANULE_AUTO);
	struct rlimit limit, none = {};
	int fd, given;
	char *memory, *read_only;

	args.flags |= MORSEL_CREATE_SEALABLE;
	fd = create_with(&args);
	assert_done(fd);
	write_pattern(fd, LENGTH, 1);
	memory = map(fd, LENGTH, RW);
	assert_errno(try_give(fd, 16, 2, 0), EINVAL);
	assert_errno(try_give(fd, 16, 0, 1), EINVAL);
	assert_errno(try_give(fd, 15, 0, 0), EINVAL);
	assert_errno(ioctl(fd, MORSEL_IOC_GIVE, NULL), EFAULT);
	/* The caller can be asked, but not be told. */
	read_only = mmap(NULL, PAGE, RW, ANONYMOUS, -1, 0);
	*(struct morsel_give *)read_only = (struct morsel_give){.size = sizeof(struct morsel_give)};
	assert_done(mprotect(read_only, PAGE, PROT_READ));
	assert_errno(ioctl(fd, MORSEL_IOC_GIVE, read_only), EFAULT);
	assert_done(getrlimit(RLIMIT_NOFILE, &limit));
	none.rlim_max = limit.rlim_max;
	assert_done(setrlimit(RLIMIT_NOFILE, &none));
	assert_errno(give(fd), EMFILE);
	assert_done(setrlimit(RLIMIT_NOFILE, &limit));
	given = reopen_read_only(fd);
	assert_errno(give(given), EBADF);
	assert_errno(give(dev), ENOTTY);
	assert_true(has_pattern(memory, LENGTH, 1));
	/* By a descriptor that is closed at exec, where that is asked for. */
	given = try_give(fd, 16, MORSEL_GIVE_CLOEXEC, 0);
	assert_done(given);
	assert_int_equal(fcntl(given, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(given, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_stale(fd);
	fd = given_away(given);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_true(reads(fd, LENGTH, 1));
}

/* Who relies on a seal is not left with nothing. */
static void seals_stay(void **state)
{
	const uint32_t seals[] = {MORSEL_SEAL_SHRINK, MORSEL_SEAL_WRITE, MORSEL_SEAL_FUTURE_WRITE};
	struct morsel_create args = populated(LENGTH, MORSEL_GRANULE_AUTO);
	struct morsel_seal seal = {.size = sizeof(seal)};
	int fd, given;
	unsigned int i;

	args.flags |= MORSEL_CREATE_SEALABLE;
	for (i = 0; i < ARRAY_SIZE(seals); i++) {
		fd = create_with(&args);
		assert_done(fd);
		seal.seals = seals[i];
		assert_done(ioctl(fd, MORSEL_IOC_SEAL, &seal));
		assert_errno(give(fd), EPERM);
		assert_true(info_of(fd).frame_bytes == LENGTH);
		close(fd);
	}
	fd = create_with(&args);
	seal.seals = MORSEL_SEAL_GROW;
	assert_done(ioctl(fd, MORSEL_IOC_SEAL, &seal));
	given = given_away(fd);
	assert_errno(ftruncate(given, 2 * LENGTH), EPERM);
	assert_done(ftruncate(given, PAGE));
}

static void what_is_reserved_stays_so(void **state)
{
	struct morsel_create args = populated(LENGTH, MORSEL_GRANULE_4K);
	struct morsel_range range = {.size = sizeof(range), .offset = PAGE, .length = 5 * PAGE};
	int fd = create_with(&args), given;

	assert_done(fd);
	assert_done(ioctl(fd, MORSEL_IOC_RESERVE, &range));
	range.offset = 100 * PAGE;
	assert_done(ioctl(fd, MORSEL_IOC_RESERVE, &range));
	given = given_away(fd);
	close(fd);
	assert_int_equal(info_of(given).reserved_bytes, 10 * PAGE);
	assert_done(punch(given, 0, 0));
	assert_int_equal(info_of(given).frame_bytes, 10 * PAGE);
	close(given);

	/* And as it grows. */
	args.flags = MORSEL_CREATE_RESERVE;
	fd = create_with(&args);
	assert_done(fd);
	given = given_away(fd);
	close(fd);
	assert_done(ftruncate(given, 2 * LENGTH));
	assert_int_equal(info_of(given).reserved_bytes, 2 * LENGTH);
	assert_int_equal(info_of(given).frame_bytes, 2 * LENGTH);
}

/* It is its owner's still, who pays for it, and for nothing else. */
static void who_pays_stays_who_did(void **state)
{
	unsigned long used;
	int fd, given;
	pid_t pid;

	fd = make(MORSEL_GRANULE_4K, 1);
	used = limit_of(0).used;
	pid = spawn();
	if (!pid) {
		become(TESTER);
		given = give(fd);
		need(given >= 0);
		need(limit_of(TESTER).used == 0);
		need(reads(given, LENGTH, 1));
		_exit(0);
	}
	assert_child_done(pid);
	/* The child had the only one. */
	assert_soon(!pool_info().used_bytes);
	assert_true(limit_of(0).used < used);
	close(fd);
	assert_soon(!limit_of(0).used);
	assert_int_equal(count_morsels(), 0);
}

static void clones_are_given_by_themselves(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone = clone_of(fd), given, other;
		char *memory = map(clone, LENGTH, RW);

		memory[3 * PAGE] = 'x';
		given = given_away(fd);
		assert_true(reads(given, LENGTH, 1));
		assert_int_equal(memory[3 * PAGE], 'x');
		write_pattern(given, LENGTH, 2);
		memory[3 * PAGE] = 0;
		other = given_away(clone);
		assert_int_equal(probe_read(memory, NULL), SIGBUS);
		assert_true(reads(given, LENGTH, 2));
		close(fd);
		close(clone);
		clone = clone_of(other);
		write_pattern(other, LENGTH, 3);
		assert_true(reads(given, LENGTH, 2));
		close(given);
		assert_true(reads(other, LENGTH, 3));
		close(other);
		munmap(memory, LENGTH);
		memory = map(clone, LENGTH, RW);
		memory[3 * PAGE] = 'y';
		assert_int_equal(memory[3 * PAGE], 'y');
		munmap(memory, LENGTH);
		close(clone);
		assert_soon(!pool_info().used_bytes);
	}
}

/* What is the process's own it keeps; what it would have read from the morsel is gone. */
static void private_copies_stay(void **state)
{
	int fd = make(MORSEL_GRANULE_4K, 1), given;
	/* A clone, and the kernel's, as it may be executed. */
	char *clone = mmap(NULL, LENGTH, RW, MAP_PRIVATE, fd, 0);
	char *copied = mmap(NULL, LENGTH, RW | PROT_EXEC, MAP_PRIVATE, fd, 0);

	assert_ptr_not_equal(clone, MAP_FAILED);
	assert_ptr_not_equal(copied, MAP_FAILED);
	clone[0] = copied[0] = 'x';
	assert_true(has_pattern(copied + PAGE, PAGE, 1) || copied[PAGE]);
	given = given_away(fd);
	assert_true(reads(given, LENGTH, 1));
	if (kernel_version() >= KERNEL(6, 9))
		assert_int_equal(clone[0], 'x');
	assert_int_equal(probe_read(copied + PAGE, NULL), SIGBUS);
	munmap(clone, LENGTH);
	munmap(copied, LENGTH);
	close(fd);
	close(given);
	assert_soon(!pool_info().used_bytes);
}

/* A pipe has pages of it, and goes on having them. */
static void what_is_pinned_stays(void **state)
{
	int fd = make(MORSEL_GRANULE_4K, 1), given, pipes[2];
	char *memory = map(fd, LENGTH, RW), text[PAGE];
	struct iovec vector = {memory, PAGE};

	assert_done(pipe(pipes));
	assert_int_equal(vmsplice(pipes[1], &vector, 1, 0), PAGE);
	given = given_away(fd);
	close(fd);
	munmap(memory, LENGTH);
	assert_int_equal(read(pipes[0], text, PAGE), PAGE);
	assert_true(has_pattern(text, PAGE, 1));
	assert_true(reads(given, LENGTH, 1));
	close(given);
	assert_soon(!pool_info().used_bytes);
}

static void send_descriptor(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec vector = {"x", 1};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control.room)};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	assert_int_equal(sendmsg(socket, &message, 0), 1);
}

/* Whoever dies: the sender, who has nothing any more; or the receiver, who has not got it yet. */
static void what_is_lost_on_the_way_is_gone(void **state)
{
	int fd = make(MORSEL_GRANULE_AUTO, 1), given, ends[2];

	assert_done(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	given = given_away(fd);
	send_descriptor(ends[0], given);
	close(given);
	close(ends[0]);
	/* On its way, it is there. */
	assert_int_equal(count_morsels(), 1);
	assert_true(pool_info().used_bytes >= LENGTH);
	close(ends[1]);
	assert_soon(!count_morsels());
	close(fd);
	assert_soon(!pool_info().used_bytes);
}

/*
 * Races: whatever one does as another gives, what has been done is in what is given, and what has not
 * is refused.
 */
#define ROUNDS rounds_of(10000)
#define PLACES 4
#define RACE_LENGTH (2 * HUGE)

static uint64_t *done;

static volatile uint64_t *word_at(char *memory, unsigned int place)
{
	return (volatile uint64_t *)(memory + place * (RACE_LENGTH / PLACES + 8));
}

static uint64_t word_of(int fd, unsigned int place)
{
	uint64_t word;

	need(pread(fd, &word, sizeof(word), (char *)word_at(NULL, place) - (char *)NULL) ==
	     sizeof(word));
	return word;
}

/* Until it gets a signal: what it has written it says. */
static _Noreturn void write_all_the_time(int fd, char *memory)
{
	unsigned int place;
	uint64_t n;

	for (n = 1;; n++) {
		for (place = 0; place < PLACES; place++) {
			*word_at(memory, place) = n;
			atomic_store((_Atomic uint64_t *)&done[place], n);
		}
		took_turn(0);
	}
}

/* The same, by mappings that it makes. */
static _Noreturn void map_all_the_time(int fd, char *memory)
{
	unsigned int place = 0;
	uint64_t n;

	munmap(memory, RACE_LENGTH);
	for (n = 1;; n++, place = (place + 1) % PLACES) {
		memory = mmap(NULL, RACE_LENGTH, RW, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED) {
			need(errno == ESTALE);
			raise(SIGBUS);
		}
		*word_at(memory, place) = n;
		atomic_store((_Atomic uint64_t *)&done[place], n);
		need(!munmap(memory, RACE_LENGTH));
		took_turn(0);
	}
}

/* By calls. */
static _Noreturn void call_all_the_time(int fd, char *memory)
{
	unsigned int place = 0;
	uint64_t n;

	for (n = 1;; n++, place = (place + 1) % PLACES) {
		if (pwrite(fd, &n, sizeof(n), (char *)word_at(NULL, place) - (char *)NULL) < 0) {
			need(errno == ESTALE);
			raise(SIGBUS);
		}
		atomic_store((_Atomic uint64_t *)&done[place], n);
		took_turn(0);
	}
}

/* Clones have what there was, or there are none. */
static _Noreturn void clone_all_the_time(int fd, char *memory)
{
	uint64_t n;
	int clone;

	for (n = 1;; n++) {
		*word_at(memory, 0) = n;
		atomic_store((_Atomic uint64_t *)&done[0], n);
		clone = clone_with(fd, 0, "");
		if (clone < 0) {
			need(errno == ESTALE);
			raise(SIGBUS);
		}
		need(word_of(clone, 0) == n);
		close(clone);
		took_turn(0);
	}
}

static void (*against)(int fd, char *memory);

static void race(void)
{
	unsigned int round, place;
	int fd, given;
	char *memory;
	pid_t pid;

	for (round = 0; round < ROUNDS; round++) {
		memset(done, 0, PLACES * sizeof(*done));
		fd = create(RACE_LENGTH, granules[round % ARRAY_SIZE(granules)]);
		memory = map(fd, RACE_LENGTH, RW);
		pid = spawn();
		if (!pid) {
			/* It is to die of that, without a word. */
			signal(SIGBUS, SIG_DFL);
			against(fd, memory);
		}
		if (now_and_then(round))
			wait_for_turn_of(pid, 0);
		given = give(fd);
		need(given >= 0);
		need(wait_child(pid) == 128 + SIGBUS);
		for (place = 0; place < PLACES; place++)
			need(word_of(given, place) == done[place]);
		need(!munmap(memory, RACE_LENGTH));
		close(fd);
		close(given);
	}
}

static void race_against(void (*what)(int fd, char *memory))
{
	done = shared_page();
	against = what;
	assert_race(race);
	munmap(done, PAGE);
	assert_soon(!pool_info().used_bytes);
}

static void gives_against_faults(void **state)
{
	race_against(write_all_the_time);
}

static void gives_against_mmap(void **state)
{
	race_against(map_all_the_time);
}

static void gives_against_writes(void **state)
{
	race_against(call_all_the_time);
}

static void gives_against_clones(void **state)
{
	race_against(clone_all_the_time);
}

/* Of those who give at once, one does; and it is the same for all. */
static void race_givers(void)
{
	unsigned int round, winners;
	uint64_t word;
	int fd, given;
	pid_t pid;

	for (round = 0; round < ROUNDS; round++) {
		done[0] = 0;
		fd = create(RACE_LENGTH, granules[round % ARRAY_SIZE(granules)]);
		need(pwrite(fd, &(uint64_t){round + 1}, sizeof(word), 0) == sizeof(word));
		pid = spawn();
		if (!pid) {
			atomic_store((_Atomic uint64_t *)&done[0], 1);
			given = give(fd);
			need(given >= 0 || errno == ESTALE);
			_exit(given < 0 ? 0 : word_of(given, 0) == round + 1 ? 1 : 2);
		}
		if (round % 2)
			while (!atomic_load((_Atomic uint64_t *)&done[0]))
				sched_yield();
		given = give(fd);
		need(given >= 0 || errno == ESTALE);
		winners = wait_child(pid);
		need(winners <= 1);
		if (given >= 0)
			need(word_of(given, 0) == round + 1);
		need(winners + (given >= 0) == 1);
		if (given >= 0)
			close(given);
		close(fd);
	}
}

static void one_of_two_gives(void **state)
{
	done = shared_page();
	assert_race(race_givers);
	munmap(done, PAGE);
	assert_soon(!pool_info().used_bytes);
}

/* Names: it has the one that it had, or the next, or none, and is never lost while it has one. */
static void race_names(void)
{
	const char *names[] = {AT "/a", AT "/b"};
	unsigned int round;
	uint64_t word;
	int fd, given;
	pid_t pid;

	for (round = 0; round < ROUNDS; round++) {
		fd = open(names[0], O_RDWR | O_CREAT | O_EXCL, 0600);
		need(fd >= 0);
		need(pwrite(fd, &(uint64_t){round + 1}, sizeof(word), 0) == sizeof(word));
		done[0] = 0;
		pid = spawn();
		if (!pid) {
			unsigned int i;

			for (i = 0; i < 4; i++) {
				need(!rename(names[i % 2], names[(i + 1) % 2]));
				given = open(names[(i + 1) % 2], O_RDWR);
				need(given >= 0);
				need(pread(given, &word, sizeof(word), 0) == sizeof(word) ||
				     errno == ESTALE);
				close(given);
				atomic_store((_Atomic uint64_t *)&done[0], i + 1);
			}
			need(!unlink(names[0]));
			_exit(0);
		}
		while (now_and_then(round) && atomic_load((_Atomic uint64_t *)&done[0]) < 2)
			sched_yield();
		given = give(fd);
		need(given >= 0);
		need(!wait_child(pid));
		need(word_of(given, 0) == round + 1);
		need(open(names[0], O_RDWR) < 0 && errno == ENOENT);
		need(open(names[1], O_RDWR) < 0 && errno == ENOENT);
		close(fd);
		close(given);
	}
}

static void gives_against_renaming(void **state)
{
	mount_it(NULL);
	done = shared_page();
	assert_race(race_names);
	munmap(done, PAGE);
	assert_soon(!pool_info().used_bytes);
	assert_int_equal(count_morsels(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_had_it_has_nothing),
		TEST(all_tables_go_along),
		TEST(nobody_gets_it_back),
		TEST(it_is_called_as_before),
		MOUNT_TEST(files_stay_in_their_folders),
		MOUNT_TEST(not_what_has_several_names),
		MOUNT_TEST(many_names_stay),
		MOUNT_TEST(mounts_are_respected),
		TEST(clones_of_what_was_given),
		TEST(it_is_all_or_nothing),
		TEST(seals_stay),
		TEST(what_is_reserved_stays_so),
		TEST(who_pays_stays_who_did),
		TEST(clones_are_given_by_themselves),
		TEST(private_copies_stay),
		TEST(what_is_pinned_stays),
		TEST(what_is_lost_on_the_way_is_gone),
		TEST(gives_against_faults),
		TEST(gives_against_mmap),
		TEST(gives_against_writes),
		TEST(gives_against_clones),
		TEST(one_of_two_gives),
		MOUNT_TEST(gives_against_renaming),
		TEST(module_unloads),
	};

	turns_begin();
	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
