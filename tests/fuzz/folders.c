// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: a mount of morsels, and names in it.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define FOLDER "/tmp/morsel-fuzz"
#define SECOND "/tmp/morsel-fuzz-2"
#define USUAL "size=256M,mode=1777"
/* What a remount may have changed. */
#define AS_BEFORE "size=256M,granule=auto,noreserve,nodump,pool=4294967295,nodes=near"

/* Without what may lead out of the mount: for targets of links. */
static size_t plain_path(char *path, size_t size)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	unsigned int depth = chance(2) ? 1 : 1 + below(3), i;
	size_t used;

	used = snprintf(path, size, "%s", chance(8) ? SECOND : FOLDER);
	for (i = 0; i < depth && used < size; i++)
		used += snprintf(path + used, size - used, "/%s", names[below(ARRAY_SIZE(names))]);
	return used;
}

static void some_path(char *path, size_t size)
{
	static const char *const odd[] = {".", "", "x\n", "\xff\xfe", "a b", "a/"};
	char longest[NAME_MAX + 2];
	size_t used = plain_path(path, size);

	if (chance(16))
		used += snprintf(path + used, size - used, "/%s", odd[below(ARRAY_SIZE(odd))]);
	if (chance(64)) {
		memset(longest, 'n', sizeof(longest) - 1);
		longest[sizeof(longest) - 1 - below(2)] = 0;
		snprintf(path + used, size - used, "/%s", longest);
	}
}

static long open_path(const char *path)
{
	int flags = PICK(O_RDONLY, O_RDWR, O_RDWR, O_RDWR, O_WRONLY, O_PATH), fd;
	struct stat stat;

	if (chance(2))
		flags |= O_CREAT;
	flags |= PICK(0, 0, 0, 0, O_TRUNC, O_EXCL, O_APPEND, O_DIRECTORY, O_TMPFILE, O_NOFOLLOW);
	note("open(%s, %#x)", path, flags);
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, chance(4) ? rnd() % 010000 : 0666);
	if (fd < 0)
		return -1;
	/* What might make others wait is not kept. */
	if (fstat(fd, &stat) || (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode)))
		return close(fd);
	return keep_fd(fd);
}

static long make_node(const char *path)
{
	mode_t type = PICK(S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK);

	note("mknod(%s, %o)", path, type);
	return mknod(path, type | (rnd() % 01000), type == S_IFCHR ? 0 : makedev(1, 3));
}

static long list_folder(const char *path)
{
	long result, i;
	int fd;

	note("(%s)", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	for (i = 0; i < 8; i++) {
		result = syscall(SYS_getdents64, fd, buffers.normal.addr, below(2 * PAGE));
		if (result <= 0)
			break;
		if (chance(8))
			lseek(fd, chance(2) ? 0 : below(64), SEEK_SET);
	}
	close(fd);
	return result;
}

static long tell_of(const char *path)
{
	unsigned int what = below(4);
	struct statvfs all;
	struct stat stat;

	note("(%s, %u)", path, what);
	switch (what) {
	case 0:
		return statvfs(path, &all);
	case 1:
		return lstat(path, &stat);
	case 2:
		return readlink(path, buffers.normal.addr, PAGE);
	default:
		return access(path, below(8));
	}
}

static long change(const char *path)
{
	uint64_t number = interesting(), length = chance(2) ? number : near(PORTION);
	unsigned int what = below(4), user = below(NR_USERS);

	note("(%s, %u, %#lx)", path, what, number);
	switch (what) {
	case 0:
		return truncate(path, (off_t)length);
	case 1:
		return chmod(path, chance(2) ? 0777 : number % 010000);
	case 2:
		return lchown(path, users[user], number % 2 ? GROUP : -1);
	default:
		return utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
	}
}

static long make_link(const char *path, const char *other)
{
	int fd = chance(4) ? morsel_fd() : -1;

	note("(%s, %d, %s)", path, fd, other);
	return fd < 0 ? link(path, other) : linkat(fd, "", AT_FDCWD, other, AT_EMPTY_PATH);
}

long op_path(long what)
{
	char path[PATH_MAX], other[PATH_MAX];
	unsigned int flags = chance(2) ? 0 : below(8);
	bool folder = chance(3);

	if (what == PATH_SYMLINK)
		plain_path(path, sizeof(path));
	else
		some_path(path, sizeof(path));
	some_path(other, sizeof(other));
	switch (what) {
	case PATH_OPEN:
		return open_path(path);
	case PATH_MKDIR:
		note("(%s)", path);
		return mkdir(path, chance(4) ? rnd() % 010000 : 0777);
	case PATH_MKNOD:
		return make_node(path);
	case PATH_LINK:
		return make_link(path, other);
	case PATH_SYMLINK:
		note("(%s, %s)", path, other);
		return symlink(path, other);
	case PATH_RENAME:
		note("(%s, %s, %u)", path, other, flags);
		return syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, flags);
	case PATH_UNLINK:
		note("(%s%s)", path, folder ? ", a folder" : "");
		return folder ? rmdir(path) : unlink(path);
	case PATH_LIST:
		return list_folder(path);
	case PATH_CHANGE:
		return change(path);
	default:
		return tell_of(path);
	}
}

/* Only root may: others are to be refused. */
long op_mount(long again)
{
	static const char *const options[] = {"size=1M",      "size=0",	    "size=64T",
					      "mode=0",	      "uid=1000",   "gid=900",
					      "granule=2m",   "granule=4k", "reserve,size=2M",
					      "nodump",	      "pool=1",	    "pool=77",
					      "nodes=bind:0", "noreserve",  "size=-1",
					      "nonsense",     "mode=9",	    "nodes=interleave:0-1"};
	const char *option = chance(2) ? USUAL : options[below(ARRAY_SIZE(options))];

	unsigned long flags = chance(4) ? MS_RDONLY : 0;
	long result;

	if (again) {
		note("(remount, %s, %#lx)", option, flags);
		result = mount(NULL, FOLDER, NULL, MS_REMOUNT | flags, option);
		/* Else nothing would succeed any more. */
		mount(NULL, FOLDER, NULL, MS_REMOUNT, AS_BEFORE);
		return result;
	}
	if (chance(2)) {
		note("(umount, %#lx)", flags);
		return umount2(SECOND, flags ? MNT_DETACH : 0);
	}
	note("(%s, %#lx)", option, flags);
	return mount("none", SECOND, "morsel", flags, option);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at)
{
	if (at->level)
		remove(path);
	return 0;
}

/* Empty a folder, and take all mounts off it; false: one is in use. */
static bool clear_folder(const char *path)
{
	for (;;) {
		mount(NULL, path, NULL, MS_REMOUNT, AS_BEFORE);
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		if (umount2(path, 0))
			return errno == EINVAL;
	}
}

bool folders_begin(void)
{
	mkdir(FOLDER, 0777);
	mkdir(SECOND, 0777);
	return !mount("none", FOLDER, "morsel", 0, USUAL);
}

/* Nobody is left; false: something is in use all the same, so far. */
bool folders_end(void)
{
	return clear_folder(SECOND) && clear_folder(FOLDER);
}
