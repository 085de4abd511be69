// SPDX-License-Identifier: GPL-2.0
/*
 * The file system to mount: files that are morsels, in folders that are as tmpfs has them.
 */
#include "kernel.h"

#include <dirent.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#define AT "/tmp/morsel-test"
#define AT2 "/tmp/morsel-second"
#define TMPFS "/tmp/morsel-control"
#define LENGTH (4 * MIB)

static char scratch[LENGTH];

/* Mounts go with the test; each is made in the way that mount(8) makes it. */
static int unmount_all(void **state)
{
	while (!umount2(AT, MNT_DETACH))
		;
	while (!umount2(AT2, MNT_DETACH))
		;
	while (!umount2(TMPFS, MNT_DETACH))
		;
	rmdir(AT);
	rmdir(AT2);
	rmdir(TMPFS);
	return kernel_end(state);
}

#define MOUNT_TEST(function)                                                        \
	cmocka_unit_test_prestate_setup_teardown(function, test_begin, unmount_all, \
						 (void *)#function)

static int try_mount_at(const char *at, const char *options)
{
	mkdir(at, 0755);
	return mount("none", at, "morsel", 0, options);
}

static int try_mount(const char *options)
{
	return try_mount_at(AT, options);
}

static void mount_it(const char *options)
{
	assert_done(try_mount(options));
}

static void mount_control(void)
{
	mkdir(TMPFS, 0755);
	assert_done(mount("none", TMPFS, "tmpfs", 0, "mode=1777"));
}

/* What /proc/mounts says of it. */
static const char *options_at(const char *at)
{
	static char text[256];
	char start[64];
	const char *line;

	snprintf(start, sizeof(start), " %s morsel ", at);
	line = strstr(read_text("/proc/mounts"), start);
	assert_non_null(line);
	line += strlen(start);
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, " "), line);
	return text;
}

static int make_file(const char *path, size_t length, unsigned int seed)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_done(fd);
	fill_pattern(scratch, length, seed);
	assert_int_equal(write(fd, scratch, length), length);
	return fd;
}

static void files_are_morsels(void **state)
{
	struct morsel_info *all;
	unsigned int count;
	struct stat st;
	char *memory;
	int fd, again;

	mount_it(NULL);
	fd = make_file(AT "/file with blanks", LENGTH, 1);
	all = list_all(&count);
	assert_int_equal(count, 1);
	assert_string_equal(all[0].name, "file with blanks");
	assert_true(all[0].flags & MORSEL_INFO_NAMED);
	assert_int_equal(all[0].id, id_of(fd));
	assert_int_equal(info_of(fd).huge_bytes, LENGTH);
	memory = map(fd, LENGTH, RW);
	assert_true(has_pattern(memory, LENGTH, 1));
	assert_int_equal(info_of(fd).attachments, 1);
	/* By its id, too. */
	again = open_with(all[0].id, "", 0);
	assert_done(again);
	memory[5] = 'x';
	assert_int_equal(pread(again, scratch, 6, 0), 6);
	assert_int_equal(scratch[5], 'x');
	free(all);
	assert_done(fstat(fd, &st));
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(st.st_blocks, LENGTH / 512);
	assert_done(unlink(AT "/file with blanks"));
	assert_true(memory[5] == 'x');
	assert_done(fstat(fd, &st));
	assert_int_equal(st.st_nlink, 0);
	assert_done(munmap(memory, LENGTH));
	close(again);
	close(fd);
	assert_int_equal(count_morsels(), 0);
}

static int answer(long result)
{
	return result < 0 ? -errno : 0;
}

/* The same, in two folders; fails if an answer differs. */
static void compare(const char *what, int ours, int theirs)
{
	if (ours != theirs)
		fail_msg("%s: %d, but on tmpfs %d", what, ours, theirs);
}

#define BOTH(call)                                                       \
	do {                                                             \
		const char *at = TMPFS;                                  \
		int theirs = (chdir(at), errno = 0, answer(call)), ours; \
                                                                         \
		at = AT;                                                 \
		ours = (chdir(at), errno = 0, answer(call));             \
		compare(#call, ours, theirs);                            \
	} while (0)

static int touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if (write(fd, path, strlen(path)) < 0)
		return -1;
	return close(fd);
}

static int says(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), got;

	if (fd < 0)
		return -1;
	got = read(fd, scratch, PAGE);
	close(fd);
	errno = ENOMSG;
	return got == (int)strlen(text) && !memcmp(scratch, text, got) ? 0 : -1;
}

static int tmpfile_linked(const char *as)
{
	int fd = open(".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600), err;
	char path[64];

	if (fd < 0 || write(fd, "tmp", 3) != 3)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = linkat(AT_FDCWD, path, AT_FDCWD, as, AT_SYMLINK_FOLLOW);
	close(fd);
	return err;
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	errno = count;
	return -1;
}

static int links(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return -1;
	errno = st.st_nlink;
	return -1;
}

static void folders_are_as_in_tmpfs(void **state)
{
	char name[300];
	int here = open(".", O_PATH | O_CLOEXEC);

	mount_it(NULL);
	mount_control();
	memset(name, 'n', 255);
	name[255] = 0;
	BOTH(touch("a"));
	BOTH(touch("a"));
	BOTH(touch(name));
	name[255] = 'n';
	name[256] = 0;
	BOTH(touch(name));
	BOTH(mkdir("dir", 0750));
	BOTH(mkdir("dir", 0750));
	BOTH(touch("dir/b"));
	BOTH(rmdir("dir"));
	BOTH(rmdir("a"));
	BOTH(unlink("dir"));
	BOTH(links("."));
	BOTH(links("dir"));
	BOTH(entries("."));
	BOTH(link("a", "dir/c"));
	BOTH(links("a"));
	BOTH(says("dir/c", "a"));
	BOTH(symlink("dir/c", "soft"));
	BOTH(says("soft", "a"));
	BOTH(links("soft"));
	BOTH(rename("a", "dir/b"));
	BOTH(links("dir/c"));
	BOTH(renameat2(AT_FDCWD, "dir/c", AT_FDCWD, "dir/b", RENAME_NOREPLACE));
	BOTH(rename("dir/c", "d"));
	BOTH(touch("e"));
	BOTH(renameat2(AT_FDCWD, "d", AT_FDCWD, "e", RENAME_EXCHANGE));
	BOTH(says("d", "e"));
	BOTH(says("e", "a"));
	BOTH(renameat2(AT_FDCWD, "dir", AT_FDCWD, "e", RENAME_EXCHANGE));
	BOTH(links("."));
	BOTH(rename("e", "e/within"));
	BOTH(mkdir("f", 0700));
	BOTH(rename("e", "f"));
	BOTH(entries("f"));
	BOTH(unlink("dir"));
	BOTH(tmpfile_linked("t"));
	BOTH(says("t", "tmp"));
	BOTH(links("t"));
	BOTH(mkfifo("fifo", 0600));
	BOTH(mknod("null", S_IFCHR | 0600, 0x103));
	BOTH(touch("null"));
	BOTH(unlink("nothing"));
	BOTH(truncate("t", 10000));
	BOTH(chmod("t", 04755));
	BOTH(chown("t", 5, 6));
	BOTH(access("t/x", F_OK));
	BOTH(entries("."));
	assert_done(fchdir(here));
	close(here);
}

/* Fails if a folder's rights can be got round by an id. */
static void folders_keep_others_out(void **state)
{
	uint64_t id;
	pid_t pid;
	int fd;

	mount_it(NULL);
	assert_done(mkdir(AT "/private", 0700));
	assert_done(mkdir(AT "/public", 0700));
	assert_done(chmod(AT "/public", 0777));
	fd = make_file(AT "/private/open-to-all", PAGE, 1);
	assert_done(fchmod(fd, 0666));
	id = id_of(fd);
	close(fd);
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(open(AT "/private/open-to-all", O_RDONLY) == -1 && errno == EACCES);
		need(open_with(id, "", MORSEL_OPEN_READ_ONLY) == -1 && errno == ENOENT);
		need(count_morsels() == 0);
		/* Nor is what is one's own found by that, but where names of CREATE are. */
		fd = open(AT "/public/mine", O_RDWR | O_CREAT, 0600);
		need(fd >= 0 && count_morsels() == 0);
		need(open_with(id_of(fd), "", 0) == -1 && errno == ENOENT);
		need(unlink_morsel(id_of(fd), "") == -1 && errno == ENOENT);
		/* Nor what never had a name, or has none any more. */
		fd = open(AT, O_RDWR | O_TMPFILE, 0666);
		need(fd >= 0 && open_with(id_of(fd), "", 0) == -1 && errno == ENOENT);
		fd = open(AT "/gone", O_RDWR | O_CREAT, 0666);
		need(fd >= 0 && !unlink(AT "/gone"));
		need(open_with(id_of(fd), "", 0) == -1 && errno == ENOENT);
		fd = open(AT "/mine", O_RDWR | O_CREAT, 0600);
		need(fd >= 0 && count_morsels() == 1);
		need(open_with(id_of(fd), "", 0) >= 0);
		_exit(0);
	}
	assert_child_done(pid);
	/* And the sticky bit is the root's. */
	pid = spawn();
	if (!pid) {
		become(TESTER);
		need(unlink(AT "/mine") == -1 && errno == EPERM);
		_exit(0);
	}
	assert_child_done(pid);
}

static void options_are_obeyed(void **state)
{
	struct statfs fs;
	struct stat st;
	char *memory;
	int fd;

	mount_it("size=8m,granule=4k,mode=750,uid=1000,gid=1001");
	assert_done(stat(AT, &st));
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 1001);
	assert_done(statfs(AT, &fs));
	assert_int_equal(fs.f_bsize, HUGE);
	assert_int_equal(fs.f_blocks, 4);
	fd = make_file(AT "/file", LENGTH, 1);
	assert_int_equal(info_of(fd).granule, MORSEL_GRANULE_4K);
	assert_int_equal(info_of(fd).huge_bytes, 0);
	assert_int_equal(fallocate(fd, 0, 0, 2 * LENGTH), -1);
	assert_int_equal(errno, ENOSPC);
	memory = map(fd, LENGTH, RW);
	assert_int_equal(probe_write(memory, 1), 0);
	munmap(memory, LENGTH);
	assert_string_equal(options_at(AT), "rw,relatime,granule=4k,size=8192k,names,mode=750,"
					    "uid=1000,gid=1001");
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "size=16m"));
	assert_done(fallocate(fd, 0, 0, 2 * LENGTH));
	assert_done(umount2(AT, MNT_DETACH));
	close(fd);

	assert_errno(try_mount("pool=999"), EINVAL);
	assert_errno(try_mount("granule=8k"), EINVAL);
	assert_errno(try_mount("size=much"), EINVAL);
	assert_errno(try_mount("something"), EINVAL);
	assert_done(try_mount("pool=1,size=50%"));
}

static unsigned long free_files(void)
{
	struct statfs fs;

	assert_done(statfs(AT, &fs));
	return fs.f_ffree;
}

/* Fails if inodes or links are not counted, or not counted down. */
static void inodes_and_links_are_counted(void **state)
{
	unsigned long before;

	mount_it(NULL);
	before = free_files();
	close(make_file(AT "/file", PAGE, 1));
	assert_done(mkdir(AT "/dir", 0700));
	assert_done(symlink("file", AT "/soft"));
	assert_int_equal(free_files(), before - 3);
	/* What is long is worth more. */
	memset(scratch, 'x', 4000);
	scratch[4000] = 0;
	assert_done(symlink(scratch, AT "/long"));
	assert_int_equal(free_files(), before - 7);
	assert_done(unlink(AT "/long"));
	assert_int_equal(free_files(), before - 3);
	assert_done(link(AT "/file", AT "/hard"));
	assert_done(link(AT "/file", AT "/hard2"));
	assert_int_equal(free_files(), before - 5);
	assert_done(rename(AT "/soft", AT "/hard2"));
	assert_int_equal(free_files(), before - 4);
	assert_done(unlink(AT "/hard"));
	assert_int_equal(free_files(), before - 3);
	assert_done(rename(AT "/hard2", AT "/file"));
	assert_int_equal(free_files(), before - 2);
	assert_done(unlink(AT "/file"));
	assert_done(rmdir(AT "/dir"));
	assert_int_equal(free_files(), before);
}

/* Fails if it goes from under who uses it, or stays when nobody does. */
static void what_is_used_stays_mounted(void **state)
{
	char *memory;
	uint64_t id;
	int fd;

	mount_it(NULL);
	fd = make_file(AT "/file", LENGTH, 1);
	id = id_of(fd);
	memory = map(fd, LENGTH, RW);
	close(fd);
	assert_errno(umount(AT), EBUSY);
	assert_done(munmap(memory, LENGTH));
	/* Who came by its id is in nobody's way, and keeps it. */
	fd = open_with(id, "", 0);
	assert_done(fd);
	assert_done(umount(AT));
	assert_int_equal(pread(fd, scratch, LENGTH, 0), LENGTH);
	assert_true(has_pattern(scratch, LENGTH, 1));
	close(fd);
	assert_int_equal(count_morsels(), 0);
	/* The module stays while it is mounted, used or not. */
	mount_it(NULL);
	close(dev);
	assert_int_not_equal(unload_module(), 0);
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	assert_done(umount(AT));
}

static int create_or_errno(const char *name, uint64_t length)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = length,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.mode = 0600,
	};

	strcpy(args.name, name);
	return create_with(&args);
}

static uint64_t id_at(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t id;

	assert_done(fd);
	id = id_of(fd);
	close(fd);
	return id;
}

static uint64_t id_named(const char *name)
{
	int fd = open_with(0, name, MORSEL_OPEN_READ_ONLY);
	uint64_t id;

	assert_done(fd);
	id = id_of(fd);
	close(fd);
	return id;
}

static void names_of_create_are_files_of_the_first_mount(void **state)
{
	uint64_t early, made;
	struct stat st;
	int hidden;
	pid_t pid;

	close(create_named("early", LENGTH, 0600));
	early = id_named("early");
	mount_it(NULL);
	assert_int_equal(id_at(AT "/early"), early);
	close(make_file(AT "/made", PAGE, 1));
	made = id_at(AT "/made");
	assert_int_equal(id_named("made"), made);
	assert_errno(create_or_errno("made", PAGE), EEXIST);
	assert_done(mkdir(AT "/folder", 0700));
	assert_errno(create_or_errno("folder", PAGE), EEXIST);
	assert_errno(open_with(0, "folder", 0), ENOENT);
	/* A second is another. */
	assert_done(try_mount_at(AT2, NULL));
	assert_errno(stat(AT2 "/made", &st), ENOENT);
	close(make_file(AT2 "/other", PAGE, 2));
	assert_errno(open_with(0, "other", 0), ENOENT);
	close(create_named("late", PAGE, 0640));
	assert_done(stat(AT "/late", &st));
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_errno(stat(AT2 "/late", &st), ENOENT);
	/* What is in a folder does not come out when it is unlinked, nor what a link there is called. */
	assert_done(mkdir(AT "/private", 0700));
	hidden = create_named("hidden", PAGE, 0666);
	assert_done(link(AT "/hidden", AT "/private/secret"));
	assert_string_equal(info_of(hidden).name, "hidden");
	assert_done(unlink(AT "/hidden"));
	assert_string_equal(info_of(hidden).name, "secret");
	assert_done(unlink(AT "/private/secret"));
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(open_with(id_of(hidden), "", MORSEL_OPEN_READ_ONLY) == -1 && errno == ENOENT);
		_exit(0);
	}
	assert_child_done(pid);
	close(hidden);
	/* A name is a link like any other. */
	assert_done(rename(AT "/late", AT "/later"));
	assert_errno(open_with(0, "late", 0), ENOENT);
	assert_done(link(AT "/later", AT "/link"));
	assert_int_equal(id_named("link"), id_named("later"));
	assert_done(unlink_morsel(0, "later"));
	assert_done(stat(AT "/link", &st));
	assert_int_equal(st.st_nlink, 1);
	assert_done(unlink(AT "/link"));
	assert_done(unlink_morsel(early, ""));
	assert_errno(stat(AT "/early", &st), ENOENT);
	assert_done(unlink_morsel(0, "made"));
	assert_errno(unlink_morsel(0, "made"), ENOENT);
	assert_done(unlink(AT2 "/other"));
	assert_int_equal(count_morsels(), 0);
}

/* Of kernel 6.6: FSCONFIG_CMD_CREATE_EXCL. */
#define CREATE_EXCL 8

/* A file system that must not be one that is there; -1 and errno. */
static int create_new(const char *flag)
{
	int fs = fsopen("morsel", FSOPEN_CLOEXEC), err;

	assert_done(fs);
	if (flag)
		assert_done(fsconfig(fs, FSCONFIG_SET_FLAG, flag, NULL, 0));
	err = fsconfig(fs, CREATE_EXCL, NULL, NULL, 0) ? errno : 0;
	close(fs);
	errno = err;
	return err ? -1 : 0;
}

static void a_mount_may_have_to_be_new(void **state)
{
	if (kernel_version() < KERNEL(6, 6))
		skip_because("nobody can ask this kernel for that");
	close(create_named("early", PAGE, 0600));
	/* The one with the names is there already. */
	assert_errno(create_new("names"), EBUSY);
	assert_done(create_new(NULL));
	assert_done(create_new("nonames"));
	/* It is what it was. */
	mount_it(NULL);
	assert_int_equal(id_at(AT "/early"), id_named("early"));
	assert_done(umount2(AT, 0));
	assert_done(unlink_morsel(0, "early"));
	/* No other is there now. */
	assert_soon(!create_new("names"));
}

/* Fails if a name goes with a mount, or what was made there stays when no name is left. */
static void names_outlive_their_mount(void **state)
{
	struct stat st;
	int fd;

	mount_it("mode=1777");
	close(make_file(AT "/file", PAGE, 1));
	assert_done(umount(AT));
	assert_int_equal(count_morsels(), 0);

	mount_it("mode=1770");
	close(make_file(AT "/file", PAGE, 1));
	close(create_named("kept", PAGE, 0600));
	fd = open_with(0, "kept", 0);
	assert_done(fd);
	assert_done(umount(AT));
	assert_int_equal(id_named("kept"), id_of(fd));
	close(fd);
	mount_it("mode=711");
	assert_done(stat(AT "/file", &st));
	assert_done(stat(AT, &st));
	assert_int_equal(st.st_mode & 07777, 0711);
	/* One that is mounted is not mounted again. */
	assert_done(try_mount_at(AT2, NULL));
	assert_errno(stat(AT2 "/file", &st), ENOENT);
	assert_done(umount(AT2));
	/* Another goes over it, and with it the last name. */
	assert_done(rename(AT "/file", AT "/kept"));
	assert_done(umount(AT));
	assert_int_equal(count_morsels(), 0);
	close(dev);
	assert_int_equal(unload_module(), 0);
	load_module();
}

/* Fails if which file system has the names cannot be said. */
static void a_mount_says_whether_it_has_the_names(void **state)
{
	struct stat st;
	char path[32];
	int fd, kept;

	assert_done(try_mount_at(AT2, "nonames"));
	fd = create_named("name", PAGE, 0600);
	assert_errno(stat(AT2 "/name", &st), ENOENT);
	/* Who holds it without having it mounted is taken for who has. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	kept = open(path, O_PATH | O_CLOEXEC);
	assert_done(kept);
	close(fd);
	mount_it("names");
	assert_done(stat(AT "/name", &st));
	assert_string_equal(options_at(AT), "rw,relatime,names");
	assert_string_equal(options_at(AT2), "rw,relatime");
	/* And again, but not read-only under who writes. */
	assert_done(umount(AT2));
	assert_int_equal(mount("none", AT2, "morsel", MS_RDONLY, "names"), -1);
	assert_int_equal(errno, EBUSY);
	assert_done(try_mount_at(AT2, "names,granule=4k"));
	assert_done(stat(AT2 "/name", &st));
	assert_done(unlink(AT2 "/name"));
	assert_errno(stat(AT "/name", &st), ENOENT);
	close(kept);
	/* When it goes, the next that is mounted is the first. */
	assert_done(umount(AT));
	assert_done(umount(AT2));
	assert_done(try_mount(NULL));
	close(create_named("again", PAGE, 0600));
	assert_done(stat(AT "/again", &st));
	assert_done(unlink(AT "/again"));
}

static void the_mount_says_who_may_make_names(void **state)
{
	pid_t pid;

	mount_it("mode=755");
	close(create_named("public", PAGE, 0644));
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(create_or_errno("mine", PAGE) == -1 && errno == EACCES);
		need(open_with(0, "public", MORSEL_OPEN_READ_ONLY) >= 0);
		need(unlink_morsel(0, "public") == -1 && errno == EACCES);
		_exit(0);
	}
	assert_child_done(pid);
	assert_done(chmod(AT, 0700));
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(open_with(0, "public", MORSEL_OPEN_READ_ONLY) == -1 && errno == ENOENT);
		need(count_morsels() == 0);
		_exit(0);
	}
	assert_child_done(pid);
	assert_done(mount("none", AT, NULL, MS_REMOUNT | MS_RDONLY, NULL));
	assert_errno(create_or_errno("mine", PAGE), EROFS);
	assert_errno(unlink_morsel(0, "public"), EROFS);
	assert_errno(open_with(0, "public", 0), EROFS);
	assert_done(mount("none", AT, NULL, MS_REMOUNT, NULL));
	assert_done(unlink_morsel(0, "public"));
}

static void names_count_for_the_size_of_the_mount(void **state)
{
	int fd;

	mount_it("size=8m");
	fd = create_named("large", 16 * MIB, 0600);
	assert_int_equal(fallocate(fd, 0, 0, 16 * MIB), -1);
	assert_int_equal(errno, ENOSPC);
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "size=32m"));
	assert_done(fallocate(fd, 0, 0, 16 * MIB));
	assert_done(unlink_morsel(0, "large"));
}

static void options_can_be_changed(void **state)
{
	int fd;

	mount_it("granule=4k");
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "granule=2m"));
	fd = make_file(AT "/file", PAGE, 1);
	assert_int_equal(info_of(fd).granule, MORSEL_GRANULE_2M);
	assert_string_equal(options_at(AT), "rw,relatime,granule=2m,names");
	assert_errno(mount("none", AT, NULL, MS_REMOUNT, "size=1g"), EINVAL);
	assert_errno(mount("none", AT, NULL, MS_REMOUNT, "pool=999"), EINVAL);
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "pool=1"));
	assert_string_equal(options_at(AT), "rw,relatime,pool=1,granule=2m,names");
	assert_errno(mount("none", AT, NULL, MS_REMOUNT, "nonames"), EINVAL);
	assert_errno(mount("none", AT, NULL, MS_REMOUNT, "size=%"), EINVAL);
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "dump"));
	assert_string_equal(options_at(AT), "rw,relatime,pool=1,granule=2m,dump,names");
	close(fd);
}

static const char *link_of(int fd)
{
	static char link[PATH_MAX];
	char path[32];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link) - 1);
	assert_true(len > 0);
	link[len] = 0;
	return link;
}

/* Fails if what /proc shows can be taken for a file that it is not. */
static void proc_shows_where_a_file_is(void **state)
{
	int file, named;

	mount_it(NULL);
	assert_done(mkdir(AT "/folder", 0700));
	file = make_file(AT "/folder/file", PAGE, 1);
	assert_string_equal(link_of(file), AT "/folder/file");
	named = create_named("name", PAGE, 0600);
	assert_string_equal(link_of(named), "/morsel:/name");
	close(named);
	named = open_with(id_of(file), "", 0);
	assert_string_equal(link_of(named), "/morsel:/folder/file");
	assert_done(unlink(AT "/folder/file"));
	assert_string_equal(link_of(file), AT "/folder/file (deleted)");
	assert_non_null(strstr(read_text("/proc/self/mountinfo"), " / " AT " "));
	mkdir(AT2, 0755);
	assert_done(mount(AT "/folder", AT2, NULL, MS_BIND, NULL));
	assert_non_null(strstr(read_text("/proc/self/mountinfo"), " /folder " AT2 " "));
	assert_done(unlink_morsel(0, "name"));
	close(named);
	close(file);
}

/* Fails if one descriptor of a morsel is told that it has gone when another is closed. */
static void a_watch_lasts_while_one_is_open(void **state)
{
	char buffer[4096] __attribute__((aligned(8)));
	struct inotify_event *event = (void *)buffer;
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), fd, again;
	char path[32];

	fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_done(inotify_add_watch(watch, path, IN_MODIFY | IN_DELETE_SELF));
	again = open_with(id_of(fd), "", 0);
	assert_done(again);
	close(again);
	assert_errno(read(watch, buffer, sizeof(buffer)), EAGAIN);
	/* Newer kernels tell nothing of what is done by the first descriptor, as of a memfd's. */
	again = open_with(id_of(fd), "", 0);
	assert_int_equal(write(again, "x", 1), 1);
	close(again);
	assert_true(read(watch, buffer, sizeof(buffer)) > 0);
	assert_int_equal(event->mask, IN_MODIFY);
	close(fd);
	assert_true(read(watch, buffer, sizeof(buffer)) > 0);
	assert_int_equal(event->mask, IN_DELETE_SELF);
	close(watch);
}

static void changes_are_told(void **state)
{
	char buffer[4096] __attribute__((aligned(8)));
	struct inotify_event *event = (void *)buffer;
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	mount_it(NULL);
	assert_done(inotify_add_watch(watch, AT, IN_CREATE | IN_DELETE));
	close(make_file(AT "/seen", PAGE, 1));
	assert_true(read(watch, buffer, sizeof(buffer)) > 0);
	assert_int_equal(event->mask, IN_CREATE);
	assert_string_equal(event->name, "seen");
	assert_done(unlink(AT "/seen"));
	assert_true(read(watch, buffer, sizeof(buffer)) > 0);
	assert_int_equal(event->mask, IN_DELETE);
	/* Also by CREATE and UNLINK. */
	close(create_named("named", PAGE, 0600));
	assert_true(read(watch, buffer, sizeof(buffer)) > 0);
	assert_int_equal(event->mask, IN_CREATE);
	assert_string_equal(event->name, "named");
	assert_done(unlink_morsel(0, "named"));
	assert_true(read(watch, buffer, sizeof(buffer)) > 0);
	assert_int_equal(event->mask, IN_DELETE);
	close(watch);
}

static void programs_run_from_there(void **state)
{
	int from = open("/bin/true", O_RDONLY | O_CLOEXEC), to;
	ssize_t got;
	pid_t pid;

	mount_it(NULL);
	to = open(AT "/program", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	while ((got = read(from, scratch, sizeof(scratch))) > 0)
		assert_int_equal(write(to, scratch, got), got);
	pid = spawn();
	if (!pid) {
		need(execl(AT "/program", "true", NULL) == -1 && errno == ETXTBSY);
		_exit(0);
	}
	assert_child_done(pid);
	close(to);
	pid = spawn();
	if (!pid) {
		execl(AT "/program", "true", NULL);
		_exit(errno);
	}
	assert_child_done(pid);
	/* And by a descriptor that came by its name. */
	to = open_with(0, "program", MORSEL_OPEN_READ_ONLY);
	assert_done(to);
	pid = spawn();
	if (!pid) {
		fexecve(to, (char *[]){"true", NULL}, (char *[]){NULL});
		_exit(errno);
	}
	assert_child_done(pid);
	close(to);
	assert_done(mount("none", AT, NULL, MS_REMOUNT | MS_BIND | MS_NOEXEC, NULL));
	pid = spawn();
	if (!pid) {
		need(execl(AT "/program", "true", NULL) == -1 && errno == EACCES);
		_exit(0);
	}
	assert_child_done(pid);
}

/* POSIX shared memory is files in a folder. */
static void shared_memory_may_be_morsels(void **state)
{
	char *memory;
	int fd;

	mkdir("/dev/shm", 01777);
	assert_done(mount("none", "/dev/shm", "morsel", 0, NULL));
	fd = shm_open("/morsel-test", O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_done(fd);
	assert_done(ftruncate(fd, 3 * MIB + 5));
	memory = mmap(NULL, 3 * MIB + 5, RW, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memory[3 * MIB + 4] = 1;
	assert_int_equal(info_of(fd).length, 3 * MIB + 5);
	assert_int_equal(info_of(fd).attachments, 1);
	munmap(memory, 3 * MIB + 5);
	close(fd);
	assert_done(shm_unlink("/morsel-test"));
	assert_done(umount("/dev/shm"));
	assert_int_equal(count_morsels(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MOUNT_TEST(files_are_morsels),
		MOUNT_TEST(folders_are_as_in_tmpfs),
		MOUNT_TEST(folders_keep_others_out),
		MOUNT_TEST(options_are_obeyed),
		MOUNT_TEST(inodes_and_links_are_counted),
		MOUNT_TEST(what_is_used_stays_mounted),
		MOUNT_TEST(names_of_create_are_files_of_the_first_mount),
		MOUNT_TEST(a_mount_may_have_to_be_new),
		MOUNT_TEST(names_outlive_their_mount),
		MOUNT_TEST(a_mount_says_whether_it_has_the_names),
		MOUNT_TEST(the_mount_says_who_may_make_names),
		MOUNT_TEST(names_count_for_the_size_of_the_mount),
		MOUNT_TEST(options_can_be_changed),
		MOUNT_TEST(proc_shows_where_a_file_is),
		MOUNT_TEST(a_watch_lasts_while_one_is_open),
		MOUNT_TEST(changes_are_told),
		MOUNT_TEST(programs_run_from_there),
		MOUNT_TEST(shared_memory_may_be_morsels),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
