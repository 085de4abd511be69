// SPDX-License-Identifier: GPL-2.0
/*
 * import, export: between files and morsels.  Holes stay holes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

/* Bytes between two looks at the clock. */
#define STEP ((uint64_t)16 << 20)

/* What O_DIRECT wants of every file system. */
#define BLOCK 4096

#define HUGE_FRAME ((uint64_t)2 << 20)

/* Where reading goes on, of what has no offsets. */
#define NEXT UINT64_MAX

/* Read until @length bytes are there or the file ends. */
static ssize_t read_fully(int fd, char *to, size_t length, uint64_t offset)
{
	size_t done = 0;
	ssize_t got;

	while (done < length) {
		if (offset == NEXT)
			got = read(fd, to + done, length - done);
		else
			got = pread(fd, to + done, length - done, offset + done);
		if (got < 0 && errno == EINTR && !interrupted)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		done += got;
	}
	return done;
}

static int write_fully(int fd, const char *from, size_t length)
{
	ssize_t put;

	while (length) {
		put = write(fd, from, length);
		if (put < 0 && errno == EINTR && !interrupted)
			continue;
		if (put < 0)
			return -errno;
		from += put;
		length -= put;
	}
	return 0;
}

static void set_direct(int fd, bool direct)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

/* With O_DIRECT where the file allows it: what is imported is not needed twice. */
static int read_step(int file, char *to, uint64_t length, uint64_t offset)
{
	ssize_t got;

	set_direct(file, length % BLOCK == 0);
	got = read_fully(file, to, length, offset);
	if (got == -EINVAL) {
		set_direct(file, false);
		got = read_fully(file, to, length, offset);
	}
	if (got < 0)
		return got;
	return (uint64_t)got < length ? -ENODATA : 0;
}

/*
 * Where the file has data at or after @start, widened to whole huge frames.
 * Files that do not know are full.
 */
static uint64_t find_data(int file, uint64_t start, uint64_t size, uint64_t *end)
{
	off_t data = lseek(file, start, SEEK_DATA), hole;

	if ((data < 0 && errno == ENXIO) || data >= (off_t)size)
		return size;
	hole = data < 0 ? -1 : lseek(file, data, SEEK_HOLE);
	if (data < 0 || hole < 0) {
		*end = size;
		return start;
	}
	*end = ((uint64_t)hole + HUGE_FRAME - 1) & ~(HUGE_FRAME - 1);
	if (*end > size)
		*end = size;
	return data & ~(HUGE_FRAME - 1);
}

/* Straight from the file into the morsel's memory. */
static int fill(int file, int fd, uint64_t size)
{
	uint64_t done = 0, end = 0, step;
	struct progress progress;
	void *memory;
	int err;

	err = morsel_map(fd, 0, size, PROT_READ | PROT_WRITE, 0, &memory);
	if (err)
		return err;
	progress_begin(&progress, "importing", size);
	while (!err) {
		if (done == end)
			done = find_data(file, done, size, &end);
		if (done == size)
			break;
		step = end - done < STEP ? end - done : STEP;
		/* In bulk before the bytes arrive, not page by page as they do. */
		err = interrupted ? -EINTR
				  : morsel_populate(fd, done, done + step < size ? step : 0);
		if (err == -EINTR && !interrupted) {
			err = 0;
			continue;
		}
		if (!err)
			err = read_step(file, (char *)memory + done, step, done);
		if (!err)
			done += step;
		progress_show(&progress, done);
	}
	progress_end(&progress, done);
	morsel_unmap(memory, size);
	return err;
}

/* From what has no size, such as a pipe: the morsel grows with what comes, by whole huge frames. */
static int fill_from_stream(int file, int fd)
{
	struct progress progress;
	char *buffer = malloc(STEP);
	uint64_t done = 0;
	ssize_t got = 0;
	int err = 0;

	if (!buffer)
		return -ENOMEM;
	progress_begin(&progress, "importing", 0);
	do {
		got = interrupted ? -EINTR : read_fully(file, buffer, STEP, NEXT);
		err = got < 0 ? got : write_fully(fd, buffer, got);
		if (!err)
			done += got;
		progress_show(&progress, done);
	} while (!err && got == (ssize_t)STEP);
	progress_end(&progress, done);
	free(buffer);
	return err;
}

/* 0: it has none, or says so, as files of /proc do. */
static int file_size(int fd, uint64_t *size)
{
	struct stat st;

	*size = 0;
	if (fstat(fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, size) ? -errno : 0;
	/* What stands in the midst of a file goes on from there. */
	if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0)
		*size = st.st_size;
	return 0;
}

static int import_from(struct ctl *ctl, int file, const char *path)
{
	int fd, err, code;

	fd = morsel_create(ctl->device, &ctl->params);
	if (fd < 0)
		return failed(fd, "create %s", ctl->params.name);
	err = ctl->params.length ? fill(file, fd, ctl->params.length) : fill_from_stream(file, fd);
	/* Half a file is of no use. */
	if (err)
		take_back(ctl, fd);
	if (err == -EINTR)
		code = complain(EXIT_FAILED, "interrupted; %s was removed again", ctl->params.name);
	else if (err == -ENODATA)
		code = complain(EXIT_FAILED, "%s became shorter while it was read", path);
	else
		code = err ? failed(err, "import %s", path) : print_made(ctl, fd);
	close(fd);
	return code;
}

int run_import(struct ctl *ctl, char **args)
{
	const char *path = args[0], *slash = strrchr(path, '/');
	bool standard = !strcmp(path, "-");
	int code, file, err;

	if (standard && !ctl->params.name)
		return complain(EXIT_USAGE, "what comes from standard input needs a name: -N NAME");
	if (!ctl->params.name)
		ctl->params.name = slash ? slash + 1 : path;
	file = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return failed_file(-errno, path);
	catch_interrupts();
	err = file_size(file, &ctl->params.length);
	code = err ? failed_file(err, path) : import_from(ctl, file, path);
	if (!standard)
		close(file);
	return code;
}

/**
 * struct export - an export under way
 * @fd:		the morsel
 * @file:	the file
 * @seekable:	holes are left out
 * @buffer:	STEP bytes
 * @start:	what is to be copied next: neighbouring extents are one
 * @end:	the same
 * @progress:	how far it is
 */
struct export
{
	int fd;
	int file;
	bool seekable;
	char *buffer;
	uint64_t start;
	uint64_t end;
	struct progress progress;
};

static int copy_pending(struct export *export)
{
	uint64_t step;
	ssize_t got;
	int err = 0;

	if (export->seekable && lseek(export->file, export->start, SEEK_SET) < 0)
		return -errno;
	while (export->start < export->end && !err) {
		step = export->end - export->start;
		if (step > STEP)
			step = STEP;
		got = interrupted ? -EINTR
				  : read_fully(export->fd, export->buffer, step, export->start);
		/* The last frame may go beyond the morsel's end. */
		err = got <= 0 ? got : write_fully(export->file, export->buffer, got);
		export->start += step;
		progress_show(&export->progress, export->start);
	}
	return err;
}

static int copy_extent(const struct morsel_extent *extent, void *context)
{
	bool data = extent->level == MORSEL_LEVEL_4K || extent->level == MORSEL_LEVEL_2M;
	struct export *export = context;
	int err = 0;

	if (data && extent->offset == export->end && export->end - export->start < STEP) {
		export->end += extent->length;
		return 0;
	}
	err = copy_pending(export);
	export->start = extent->offset;
	export->end = extent->offset + (data ? extent->length : 0);
	return err;
}

static int copy_all(struct export *export, uint64_t length)
{
	int err = 0;

	export->buffer = malloc(STEP);
	if (!export->buffer)
		return -ENOMEM;
	progress_begin(&export->progress, "exporting", length);
	if (export->seekable) {
		if (ftruncate(export->file, 0) || ftruncate(export->file, length))
			err = -errno;
		else
			err = morsel_extents(export->fd, copy_extent, export);
	} else {
		export->end = length;
	}
	if (!err)
		err = copy_pending(export);
	progress_end(&export->progress, err ? export->start : length);
	free(export->buffer);
	return err;
}

int run_export(struct ctl *ctl, char **args)
{
	struct export export = {.file = -1};
	struct morsel_info info;
	struct stat st;
	int err;

	export.fd = open_named(ctl, args[0], MORSEL_OPEN_READ_ONLY);
	err = export.fd < 0 ? export.fd : morsel_stat(export.fd, &info);
	if (err)
		return failed(err, "%s", args[0]);
	/* Whom the morsel is kept from must not read it in the file. */
	export.file = open(args[1], O_WRONLY | O_CREAT | O_CLOEXEC, info.mode & 0666);
	if (export.file < 0 || fstat(export.file, &st))
		return failed_file(-errno, args[1]);
	export.seekable = S_ISREG(st.st_mode);

	catch_interrupts();
	err = copy_all(&export, info.length);
	close(export.fd);
	/* Not all errors of writing are told before this. */
	if (close(export.file) && !err)
		err = -errno;
	if (err && export.seekable)
		unlink(args[1]);
	if (err == -EINTR)
		return complain(EXIT_FAILED, "interrupted%s%s", export.seekable ? "; removed " : "",
				export.seekable ? args[1] : "");
	return err ? failed_file(err, args[1]) : EXIT_OK;
}
