// SPDX-License-Identifier: GPL-2.0
/*
 * Kinds of memory, each as its best: what the kernel has is set up as somebody would who wants
 * mappings to be cheap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peers.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"
/* The largest folios that are still mapped by 4-KiB entries. */
#define FOLIO_KNOB THP "hugepages-1024kB/shmem_enabled"

static bool memory_file(struct object *object, const char *what, unsigned int flags,
			uint64_t length)
{
	*object = (struct object){
		.what = what,
		.fd = memfd_create("bench", flags),
		.length = length,
		.mapped = length,
		.flags = MAP_POPULATE,
		.prot = PROT_READ | PROT_WRITE,
		.hugetlb = flags & MFD_HUGETLB,
	};
	if (object->fd >= 0 && !ftruncate(object->fd, (off_t)length))
		return true;
	perror(what);
	object_close(object);
	return false;
}

/* What a memfd's pages are from here on. */
static void shmem_pages(bool huge, bool folios)
{
	write_file(THP "shmem_enabled", huge ? "always" : "never");
	if (!access(FOLIO_KNOB, F_OK))
		write_file(FOLIO_KNOB, folios ? "always" : "never");
}

bool memfd_make(struct object *object, uint64_t length)
{
	shmem_pages(false, false);
	return memory_file(object, "memfd", MFD_CLOEXEC, length);
}

static bool memfd_4k_make(struct object *object, uint64_t length, uint64_t bytes)
{
	(void)bytes;
	return memfd_make(object, length);
}

static bool memfd_thp_make(struct object *object, uint64_t length, uint64_t bytes)
{
	(void)bytes;
	if (!memory_file(object, "memfd, huge pages", MFD_CLOEXEC, length))
		return false;
	shmem_pages(true, false);
	object->align = GIB;
	return true;
}

/* From 6.11 on. */
static bool memfd_folios_make(struct object *object, uint64_t length, uint64_t bytes)
{
	(void)bytes;
	if (access(FOLIO_KNOB, F_OK) ||
	    !memory_file(object, "memfd, folios of 1 MiB", MFD_CLOEXEC, length))
		return false;
	shmem_pages(false, true);
	object->align = GIB;
	return true;
}

/**
 * hugetlb_reserve() - set 2 MiB pages aside
 * @bytes:	how much; 0 gives all back
 * Return: whether the kernel found that much.
 */
bool hugetlb_reserve(uint64_t bytes)
{
	uint64_t want = round_up_to(bytes, HUGE_PAGE) / HUGE_PAGE, got = 0;
	char text[32];
	int attempt;
	FILE *file;

	snprintf(text, sizeof(text), "%" PRIu64, want);
	for (attempt = 0; attempt < 2; attempt++) {
		if (attempt) {
			drop_caches();
			write_file("/proc/sys/vm/compact_memory", "1");
		}
		write_file("/proc/sys/vm/nr_hugepages", text);
		file = fopen("/proc/sys/vm/nr_hugepages", "re");
		if (!file || fscanf(file, "%" SCNu64, &got) != 1)
			die("/proc/sys/vm/nr_hugepages");
		fclose(file);
		if (got >= want)
			return true;
	}
	return false;
}

bool hugetlb_make(struct object *object, uint64_t length)
{
	return memory_file(object, "hugetlbfs 2 MiB", MFD_CLOEXEC | MFD_HUGETLB, length);
}

static bool hugetlb_reserve_and_make(struct object *object, uint64_t length, uint64_t bytes)
{
	if (hugetlb_reserve(bytes) && hugetlb_make(object, length))
		return true;
	hugetlb_reserve(0);
	return false;
}

/*
 * The kernel shares a PMD table between mappings that have all of its GiB, at addresses that are
 * congruent, while one of them stands.  Then a word of each GiB is all that must be touched: no
 * MAP_POPULATE, which goes through it page by page.
 */
static bool hugetlb_shared_make(struct object *object, uint64_t length, uint64_t bytes)
{
	if (!hugetlb_reserve_and_make(object, length, bytes))
		return false;
	object->what = "hugetlbfs 2 MiB, shared tables";
	object->mapped = round_up_to(length, GIB);
	object->flags = MAP_NORESERVE;
	object->align = GIB;
	object->first = READ_GIBS;
	return true;
}

_Noreturn static void stay_mapped(const struct object *object, enum reading reading, int done)
{
	uint64_t bytes = own_table_bytes();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	read_memory(object_map(object, object->length), object->length, reading);
	bytes = own_table_bytes() - bytes;
	if (write(done, &bytes, sizeof(bytes)) != sizeof(bytes))
		_exit(1);
	for (;;)
		pause();
}

/* Leave a process that has read so much of the object, for others to share its tables. */
static void hold(struct object *object, enum reading reading)
{
	int done[2];

	if (pipe(done))
		die("pipe");
	fflush(stdout);
	object->holder = fork();
	if (object->holder < 0)
		die("fork");
	if (!object->holder)
		stay_mapped(object, reading, done[1]);
	close(done[1]);
	if (read(done[0], &object->held_bytes, sizeof(object->held_bytes)) !=
	    sizeof(object->held_bytes))
		die("whoever was to hold %s died", object->what);
	close(done[0]);
}

/**
 * populate() - have a process map all of an object with MAP_POPULATE and go away
 * @object: the object
 */
void populate(struct object *object)
{
	struct object copy = *object;
	struct sight sight;

	copy.flags |= MAP_POPULATE;
	measure_once(&copy, copy.length, READ_NOTHING, &sight);
}

static void populate_huge(struct object *object)
{
	uint64_t before = meminfo_bytes("ShmemHugePages"), got;

	populate(object);
	got = meminfo_bytes("ShmemHugePages") - before;
	if (got < object->length / HUGE_PAGE * HUGE_PAGE)
		printf("# note: only %llu of %llu MiB of %s are such\n", got / MIB,
		       object->length / MIB, object->what);
}

static void populate_morsel(struct object *object)
{
	morsel_populate(object);
}

static void populate_held(struct object *object)
{
	hold(object, READ_TABLES);
}

static bool make_morsel(struct object *object, uint64_t length, uint64_t bytes)
{
	(void)bytes;
	morsel_make(object, length, MORSEL_GRANULE_AUTO);
	/* Where there was no table to attach to, it takes a fault in each GiB. */
	object->first = READ_GIBS;
	return true;
}

const struct kind kinds[KINDS] = {
	[MORSEL] = { "", "morsel", PAGE, make_morsel, populate_morsel },
	[MEMFD] = { "", "memfd", PAGE, memfd_4k_make, populate },
	[MEMFD_THP] = { "_thp", "memfd, huge pages", HUGE_PAGE, memfd_thp_make, populate_huge },
	[MEMFD_FOLIOS] = { "_folios", "memfd, folios of 1 MiB", MIB, memfd_folios_make, populate },
	[HUGETLB] = { "_hugetlb", "hugetlbfs 2 MiB", HUGE_PAGE, hugetlb_reserve_and_make,
		      populate },
	[HUGETLB_SHARED] = { "_hugetlb_shared", "hugetlbfs 2 MiB, shared tables", HUGE_PAGE,
			     hugetlb_shared_make, populate_held },
};

/**
 * sprinkle() - allocate the first page of each GiB
 * @object: a sparse object
 */
void sprinkle(struct object *object)
{
	uint64_t offset;

	if (object->hugetlb) {
		hold(object, READ_GIBS);
		return;
	}
	for (offset = 0; offset < object->length; offset += GIB)
		if (pwrite(object->fd, "x", 1, (off_t)offset) != 1)
			die("cannot write to sparse %s", object->what);
}

void drop_caches(void)
{
	sync();
	write_file("/proc/sys/vm/drop_caches", "3");
}

void object_close(struct object *object)
{
	if (object->holder) {
		kill(object->holder, SIGKILL);
		waitpid(object->holder, NULL, 0);
		object->holder = 0;
	}
	if (object->fd >= 0) {
		close(object->fd);
		if (object->hugetlb)
			hugetlb_reserve(0);
	}
	object->fd = -1;
}
