// SPDX-License-Identifier: GPL-2.0
/*
 * import, export: between files and morsels.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "ctl.h"

#define STEP ((size_t)16 << 20)

/* Read until @length bytes are there or the file ends. */
static ssize_t read_fully(int fd, char *to, size_t length)
{
	size_t done = 0;
	ssize_t got;

	while (done < length) {
		got = read(fd, to + done, length - done);
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

static int file_size(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, size) ? -errno : 0;
	*size = st.st_size;
	return S_ISREG(st.st_mode) && st.st_size ? 0 : -EINVAL;
}

/*
 * Straight from the file into the morsel's memory.  With O_DIRECT, where the
 * file allows that, the bytes pass through no cache: what is imported is not
 * needed twice.
 */
static int fill(int file, int fd, uint64_t size)
{
	struct progress progress;
	uint64_t done = 0;
	void *memory;
	ssize_t got;
	int err;

	err = morsel_map(fd, 0, size, PROT_READ | PROT_WRITE, 0, &memory);
	if (err)
		return err;
	fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_DIRECT);
	progress_begin(&progress, "importing", size);
	while (done < size && !interrupted) {
		size_t step = size - done < STEP ? size - done : STEP;

		/* In bulk before the bytes arrive, not page by page as they do. */
		err = morsel_populate(fd, done, done + step < size ? step : 0);
		if (err == -EINTR && !interrupted)
			continue;
		if (err)
			break;
		/* The last piece is no multiple of a block: the cache takes it. */
		if (step < STEP)
			fcntl(file, F_SETFL, fcntl(file, F_GETFL) & ~O_DIRECT);
		got = read_fully(file, (char *)memory + done, step);
		if (got == -EINVAL && fcntl(file, F_GETFL) & O_DIRECT) {
			fcntl(file, F_SETFL, fcntl(file, F_GETFL) & ~O_DIRECT);
			got = read_fully(file, (char *)memory + done, step);
		}
		if (got < 0)
			err = got;
		else if ((size_t)got < step)
			err = -ENODATA;
		if (err)
			break;
		done += step;
		progress_show(&progress, done);
	}
	progress_end(&progress, done);
	morsel_unmap(memory, size);
	return err ? err : interrupted ? -EINTR : 0;
}

int run_import(struct ctl *ctl, int argc, char **argv)
{
	struct morsel_params params = {0};
	const char *path;
	int code, file, fd, err;

	code = parse_params(argc, argv, "g:m:p:n:N:", &params);
	if (code)
		return code;
	if (argc - optind != 1)
		return usage(find_verb(argv[0]));
	path = argv[optind];
	if (!params.name) {
		params.name = strrchr(path, '/');
		params.name = params.name ? params.name + 1 : path;
	}

	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return failed(-errno, "%s", path);
	err = file_size(file, &params.length);
	if (err)
		return complain(EXIT_FAILED, "%s: not a file with contents, nor a block device",
				path);

	catch_interrupts();
	fd = morsel_create(ctl->device, &params);
	if (fd < 0)
		return failed(fd, "create %s", params.name);
	err = fill(file, fd, params.length);
	close(fd);
	close(file);
	if (!err)
		return EXIT_OK;
	/* Half a file is of no use. */
	morsel_unlink(ctl->device, params.name);
	if (err == -EINTR)
		return complain(EXIT_FAILED, "interrupted; %s was removed again", params.name);
	if (err == -ENODATA)
		return complain(EXIT_FAILED, "%s became shorter while it was read", path);
	return failed(err, "import %s", path);
}

int run_export(struct ctl *ctl, int argc, char **argv)
{
	struct progress progress;
	struct morsel_info info;
	uint64_t done = 0;
	char *buffer;
	ssize_t got;
	int fd, file, err;

	if (argc != 3)
		return usage(find_verb(argv[0]));
	fd = open_named(ctl, argv[1], MORSEL_OPEN_READ_ONLY);
	if (fd < 0)
		return failed(fd, "%s", argv[1]);
	err = morsel_stat(fd, &info);
	if (err)
		return failed(err, "%s", argv[1]);
	file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (file < 0)
		return failed(-errno, "%s", argv[2]);
	buffer = malloc(STEP);
	if (!buffer)
		return failed(-ENOMEM, "export %s", argv[1]);

	catch_interrupts();
	progress_begin(&progress, "exporting", info.length);
	while (done < info.length && !err && !interrupted) {
		got = read_fully(fd, buffer, STEP);
		err = got < 0 ? got : write_fully(file, buffer, got);
		done += got > 0 ? got : 0;
		progress_show(&progress, done);
	}
	progress_end(&progress, done);
	free(buffer);
	close(fd);
	/* Not all errors of writing are told before this. */
	if (close(file) && !err)
		err = -errno;
	if (!err && !interrupted)
		return EXIT_OK;
	unlink(argv[2]);
	if (interrupted)
		return complain(EXIT_FAILED, "interrupted; %s was removed again", argv[2]);
	return failed(err, "export to %s", argv[2]);
}
