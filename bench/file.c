// SPDX-License-Identifier: GPL-2.0
/*
 * What a morsel costs as a file like any other: page by page, by calls, and copied in and out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define PAGES_BYTES (64 * MIB)
#define COPY_BYTES (256 * MIB)
#define CREATES 256
/* As `morselctl import` does. */
#define STEP (16 * MIB)
/* As cp(1) does: its own, or what the file asks for. */
#define CP_BUFFER (256 * KIB)

#define MOUNT "/tmp/morsel-bench"

static void file_make(struct object *object, enum side side, uint64_t length)
{
	if (side == PEER) {
		if (!memfd_make(object, length))
			die("no memfd");
	} else {
		morsel_make(object, length, MORSEL_GRANULE_4K);
		morsel_tune(object, PAGE);
	}
	object->flags &= ~MAP_POPULATE;
	/* Where no address agrees with an offset. */
	object->mapped = length;
	object->align = HUGE_PAGE;
	object->apart = PAGE;
}

static uint64_t touch_edge(enum side side, uint64_t length)
{
	struct object object;
	uint64_t taken;
	char *memory;

	file_make(&object, side, length);
	memory = object_map(&object, length);
	taken = touch_memory(memory, length, PAGE);
	munmap(memory, length);
	object_close(&object);
	return taken;
}

static void write_pages(const struct object *object, uint64_t length)
{
	static char page[PAGE] = "x";
	uint64_t offset;

	for (offset = 0; offset < length; offset += PAGE)
		if (pwrite(object->fd, page, PAGE, (off_t)offset) != (ssize_t)PAGE)
			die("cannot write to %s", object->what);
}

static uint64_t read_edge(enum side side, uint64_t length)
{
	struct object object;
	uint64_t start, taken;
	char *memory;

	file_make(&object, side, length);
	write_pages(&object, length);
	memory = object_map(&object, length);
	start = now_ns();
	read_memory(memory, length, READ_PAGES);
	taken = now_ns() - start;
	munmap(memory, length);
	object_close(&object);
	return taken;
}

static uint64_t write_calls(enum side side, uint64_t length)
{
	struct object object;
	uint64_t start, taken;

	file_make(&object, side, length);
	start = now_ns();
	write_pages(&object, length);
	taken = now_ns() - start;
	object_close(&object);
	return taken;
}

static uint64_t read_calls(enum side side, uint64_t length)
{
	static char page[PAGE];
	struct object object;
	uint64_t start, taken, offset;

	file_make(&object, side, length);
	write_pages(&object, length);
	start = now_ns();
	for (offset = 0; offset < length; offset += PAGE)
		if (pread(object.fd, page, PAGE, (off_t)offset) != (ssize_t)PAGE)
			die("cannot read %s", object.what);
	taken = now_ns() - start;
	object_close(&object);
	return taken;
}

/* Here @length is how many pages' worth: one each. */
static uint64_t create_and_close(enum side side, uint64_t length)
{
	struct object object;
	uint64_t start = now_ns(), i;

	for (i = 0; i < length / PAGE; i++) {
		if (side == OURS) {
			morsel_create(&object, PAGE, MORSEL_GRANULE_4K);
		} else {
			object.fd = memfd_create("bench", MFD_CLOEXEC);
			if (object.fd < 0 || ftruncate(object.fd, (off_t)PAGE))
				die("no memfd");
		}
		close(object.fd);
	}
	return now_ns() - start;
}

static void bench_row(const char *name, uint64_t (*measured)(enum side side, uint64_t length),
		      uint64_t length)
{
	uint64_t found[SIDES][RUNS_MAX];
	double pages = (double)(length / PAGE);
	unsigned int runs = runs_of(7), run;
	enum side side;

	for (side = OURS; side < SIDES; side++)
		measured(side, length / 16);
	for (run = 0; run < runs; run++)
		for (side = OURS; side < SIDES; side++)
			found[side][run] = measured(side, length);
	report(name, "ns", (double)median(found[OURS], runs) / pages,
	       (double)median(found[PEER], runs) / pages, kinds[MEMFD].what, runs);
}

static size_t buffer_for(int from, int to)
{
	struct stat source, target;

	if (fstat(from, &source) || fstat(to, &target))
		die("fstat");
	source.st_blksize = source.st_blksize > target.st_blksize ? source.st_blksize
								  : target.st_blksize;
	return (size_t)source.st_blksize > CP_BUFFER ? (size_t)source.st_blksize : CP_BUFFER;
}

/* As cp(1) does it, where the kernel does not for it: between two file systems. */
static void copy_file(int from, int to)
{
	size_t size = buffer_for(from, to);
	char *buffer = aligned_alloc(PAGE, size);
	ssize_t got;

	if (!buffer)
		die("no memory");
	lseek(from, 0, SEEK_SET);
	while ((got = read(from, buffer, size)) > 0)
		if (write(to, buffer, (size_t)got) != got)
			die("cannot write");
	if (got)
		die("cannot read");
	free(buffer);
}

static int open_file(void)
{
	int fd = open(MOUNT "/file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || unlink(MOUNT "/file"))
		die(MOUNT);
	return fd;
}

/* Straight from the file into the morsel's memory. */
static void import(int from, const struct object *to)
{
	char *memory = object_map(to, COPY_BYTES);
	uint64_t done;

	for (done = 0; done < COPY_BYTES; done += STEP) {
		morsel_populate_range(to, done, STEP);
		if (pread(from, memory + done, STEP, (off_t)done) != (ssize_t)STEP)
			die("cannot read");
	}
	munmap(memory, to->mapped);
}

/* By a buffer of its own. */
static void export(const struct object *from, int to)
{
	char *buffer = aligned_alloc(PAGE, STEP);
	uint64_t done;

	if (!buffer)
		die("no memory");
	for (done = 0; done < COPY_BYTES; done += STEP)
		if (pread(from->fd, buffer, STEP, (off_t)done) != (ssize_t)STEP ||
		    pwrite(to, buffer, STEP, (off_t)done) != (ssize_t)STEP)
			die("cannot copy");
	free(buffer);
}

/* Ours: a file of the mount, copied; the peer: a morsel, imported and exported. */
static void copy_both(enum side side, const struct object *source, uint64_t *in, uint64_t *out)
{
	struct object object, result;
	uint64_t start;

	if (side == OURS)
		object = (struct object){ .fd = open_file() };
	else
		morsel_make(&object, COPY_BYTES, MORSEL_GRANULE_AUTO);
	start = now_ns();
	if (side == OURS)
		copy_file(source->fd, object.fd);
	else
		import(source->fd, &object);
	*in = now_ns() - start;
	if (!memfd_make(&result, 0))
		die("no memfd");
	start = now_ns();
	if (side == OURS)
		copy_file(object.fd, result.fd);
	else
		export(&object, result.fd);
	*out = now_ns() - start;
	object_close(&result);
	object_close(&object);
}

/*
 * copy_in_256m, copy_out_256m: a file copied into a mount of morsels, and out of it, beside
 * `morselctl import` and `export` of the same.
 */
static void bench_copies(void)
{
	uint64_t in[SIDES][RUNS_MAX], out[SIDES][RUNS_MAX], unused;
	unsigned int runs = runs_of(5), run;
	struct object source;
	enum side side;

	if ((mkdir(MOUNT, 0700) && errno != EEXIST) || mount("none", MOUNT, "morsel", 0, NULL))
		die(MOUNT);
	if (!memfd_make(&source, COPY_BYTES))
		die("no memfd");
	write_pages(&source, COPY_BYTES);
	/* Both from what is in the pool. */
	copy_both(OURS, &source, &unused, &unused);
	for (run = 0; run < runs; run++)
		for (side = OURS; side < SIDES; side++)
			copy_both(side, &source, &in[side][run], &out[side][run]);
	report_time("copy_in_256m", in[OURS], in[PEER], "morselctl import", runs);
	report_time("copy_out_256m", out[OURS], out[PEER], "morselctl export", runs);
	object_close(&source);
	umount(MOUNT);
	rmdir(MOUNT);
}

/* edge_touch_4k_recycled, edge_read_4k, write_4k_recycled, read_4k: per page; create_close: one. */
void bench_file(void)
{
	bench_row("edge_touch_4k_recycled", touch_edge, PAGES_BYTES);
	bench_row("edge_read_4k", read_edge, PAGES_BYTES);
	bench_row("write_4k_recycled", write_calls, PAGES_BYTES);
	bench_row("read_4k", read_calls, PAGES_BYTES);
	bench_row("create_close", create_and_close, CREATES * PAGE);
	bench_copies();
}
