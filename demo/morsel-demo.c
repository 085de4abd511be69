// SPDX-License-Identifier: GPL-2.0
/*
 * morsel-demo FILE: import a model, have processes map it and use it, and do the same with what
 * else there is: the file itself, a memfd, hugetlbfs.  Each kind of memory has its own phase, so
 * that no more than the file and one copy of it need room.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

#define NAME "model"
#define CROWD 64
#define RUNS 3
#define BUFFER (4 * MIB)

/* What one kind of memory costs. */
struct cost {
	const char *what;
	uint64_t map[RUNS];
	uint64_t read[RUNS];
	uint64_t unmap[RUNS];
	uint64_t faults;
	uint64_t tables_one;
	uint64_t tables_crowd;
	uint64_t sum;
	bool there;
};

enum kind { MORSEL, MEMFD, HUGETLB, FILE_MAPPING, KINDS };

static struct cost costs[KINDS];

__attribute__((format(printf, 1, 2))) static void step(const char *format, ...)
{
	static unsigned int number;
	va_list args;

	printf("\n%u. ", ++number);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

static double seconds_since(uint64_t start)
{
	return (double)(now_ns() - start) / 1e9;
}

/* Returns the exit status, 127 where there is no such program. */
static int run(const char *const *argv)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	errno = 0;
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		die("%s did not exit by itself", argv[0]);
	return WEXITSTATUS(status);
}

/* Copy the file into a memory object. */
static void fill(const struct object *object, int file)
{
	char *memory = mmap(NULL, object->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, object->fd, 0);
	uint64_t offset = 0, start = now_ns();

	if (memory == MAP_FAILED)
		die("cannot map %s", object->what);
	while (offset < object->length) {
		ssize_t done = pread(file, memory + offset, BUFFER, (off_t)offset);

		if (done <= 0)
			die("cannot read the file");
		offset += (uint64_t)done;
	}
	munmap(memory, object->mapped);
	printf("   The copy took %.1f s.\n", seconds_since(start));
}

static const char *time_text(uint64_t ns, char *text, size_t size)
{
	if (ns < 1000000)
		snprintf(text, size, "%.0f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		snprintf(text, size, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(text, size, "%.2f s", (double)ns / 1e9);
	return text;
}

static void assess(struct cost *cost, struct object object)
{
	struct sight sight;
	struct crowd crowd;
	char text[32];
	int i;

	object.prot = PROT_READ;
	for (i = 0; i < RUNS; i++) {
		measure_once(&object, object.length, READ_WORDS, &sight);
		cost->map[i] = sight.map;
		cost->read[i] = sight.read;
		cost->unmap[i] = sight.unmap;
	}
	cost->faults = sight.map_faults + sight.read_faults;
	cost->sum = sight.sum;

	/* One word in every 2 MiB makes all the tables there are. */
	object.flags &= ~MAP_POPULATE;
	measure_many(&object, object.length, READ_TABLES, 1, NULL, &crowd);
	cost->tables_one = crowd.table_bytes + crowd.shared_bytes;
	measure_many(&object, object.length, READ_TABLES, CROWD, NULL, &crowd);
	cost->tables_crowd = crowd.table_bytes + crowd.shared_bytes;
	cost->there = true;
	printf("   Mapped in %s; %" PRIu64 " page faults in all.\n",
	       time_text(median(cost->map, RUNS), text, sizeof(text)), cost->faults);
}

static void import(const char *path)
{
	const char *const argv[] = { "morselctl", "import", "-N", NAME, path, NULL };
	uint64_t start = now_ns();
	int status;

	printf("   morselctl import -N %s %s\n", NAME, path);
	status = run(argv);
	errno = 0;
	if (status)
		die("morselctl import failed with status %d", status);
	printf("   That took %.1f s.\n", seconds_since(start));
}

static void use(const char *const *tensors)
{
	const char *argv[16] = { "morsel-sum", "-m", NAME };
	int argc = 3;

	while (*tensors && argc < 15)
		argv[argc++] = *tensors++;
	errno = 0;
	if (run(argv))
		die("morsel-sum found a wrong sum");
}

static void use_by_turns(void)
{
	static const char *const readers[][4] = {
		{ "model.norm.weight", "model.layers.0.self_attn.k_proj.weight" },
		{ "model.layers.1.mlp.down_proj.weight", "model.layers.1.input_layernorm.weight" },
		{ "model.embed_tokens.weight" },
	};
	size_t i;

	for (i = 0; i < sizeof(readers) / sizeof(*readers); i++)
		use(readers[i]);
}

static void show_file(const char *path, uint64_t length)
{
	const char *const argv[] = { "morsel-sum", path, "model.norm.weight", NULL };

	printf("   %s: %.2f GiB.\n", path, (double)length / GIB);
	errno = 0;
	if (run(argv))
		die("the file is damaged");
}

static void do_morsel(const char *path)
{
	struct object object;

	step("Making a morsel of it, with the name '" NAME
	     "'.  The pages get into memory, and into page tables that all processes will share.");
	import(path);

	step("Processes map the morsel, one after the other, and sum up tensors that they find by the header.");
	use_by_turns();

	step("Measuring the morsel: a process maps it, reads every word, unmaps it; then %u processes at once.",
	     CROWD);
	morsel_by_name(&object, NAME);
	assess(&costs[MORSEL], object);
	object_close(&object);
}

static void do_file(int file, uint64_t length)
{
	struct object object = { .what = "file", .fd = file, .length = length, .mapped = length };
	static char buffer[BUFFER];
	uint64_t offset = 0;
	ssize_t done;

	step("Measuring a mapping of the file itself, after reading it into the page cache.");
	while ((done = pread(file, buffer, BUFFER, (off_t)offset)) > 0)
		offset += (uint64_t)done;
	assess(&costs[FILE_MAPPING], object);
}

static void do_memfd(int file, uint64_t length)
{
	struct object object;

	step("Giving the morsel's memory back; copying the file to a memfd, and measuring that, with MAP_POPULATE.");
	morsel_forget(NAME);
	morsel_pools_drain();
	if (!memfd_make(&object, length))
		return;
	fill(&object, file);
	assess(&costs[MEMFD], object);
	object_close(&object);
}

static void do_hugetlb(int file, uint64_t length)
{
	struct object object;

	step("Setting 2 MiB pages aside, copying the file to hugetlbfs, and measuring that, with MAP_POPULATE.");
	if (hugetlb_reserve(length) && hugetlb_make(&object, round_up_to(length, HUGE_PAGE))) {
		object.length = length;
		fill(&object, file);
		assess(&costs[HUGETLB], object);
		object_close(&object);
	} else {
		printf("   Memory is too fragmented for that many.\n");
	}
	hugetlb_reserve(0);
}

static const char *size_text(uint64_t bytes, char *text, size_t size)
{
	if (bytes < MIB)
		snprintf(text, size, "%.0f KiB", (double)bytes / KIB);
	else
		snprintf(text, size, "%.1f MiB", (double)bytes / MIB);
	return text;
}

static const char *ratio_text(uint64_t peer, uint64_t morsel, char *text, size_t size)
{
	double ratio = morsel ? (double)peer / (double)morsel : 0;

	if (!morsel)
		snprintf(text, size, "-");
	else
		snprintf(text, size, "x %.*f", ratio < 10 ? 1 : 0, ratio);
	return text;
}

/* The table's columns. */
enum column { MAP, READ, MAP_READ, UNMAP, FAULTS, TABLES_ONE, TABLES_CROWD, COLUMNS };

static const char *const column_names[] = {
	[MAP] = "map",
	[READ] = "first read",
	[MAP_READ] = "map + read",
	[UNMAP] = "unmap",
	[FAULTS] = "page faults",
	[TABLES_ONE] = "tables, 1",
	[TABLES_CROWD] = "tables, 64",
};

static void fill_row(struct cost *cost, uint64_t *row)
{
	row[MAP] = median(cost->map, RUNS);
	row[READ] = median(cost->read, RUNS);
	row[MAP_READ] = row[MAP] + row[READ];
	row[UNMAP] = median(cost->unmap, RUNS);
	row[FAULTS] = cost->faults;
	row[TABLES_ONE] = cost->tables_one;
	row[TABLES_CROWD] = cost->tables_crowd;
}

static void print_row(const char *what, const uint64_t *row)
{
	char text[32];
	int i;

	printf("%-24s", what);
	for (i = 0; i < COLUMNS; i++) {
		if (i == FAULTS)
			snprintf(text, sizeof(text), "%" PRIu64, row[i]);
		else if (i == TABLES_ONE || i == TABLES_CROWD)
			size_text(row[i], text, sizeof(text));
		else
			time_text(row[i], text, sizeof(text));
		printf(" %11s", text);
	}
	printf("\n");
}

static void print_ratios(const uint64_t *row, const uint64_t *morsel)
{
	char text[32];
	int i;

	printf("%-24s", "  times the morsel's");
	for (i = 0; i < COLUMNS; i++)
		printf(" %11s", ratio_text(row[i], morsel[i], text, sizeof(text)));
	printf("\n");
}

static void print_table(uint64_t length)
{
	uint64_t rows[KINDS][COLUMNS];
	int kind, i;

	printf("\n%.2f GiB of model: what one process sees (medians of %u),\n"
	       "and the page tables of 1 process and of %u that map it\n\n",
	       (double)length / GIB, RUNS, CROWD);
	printf("%-24s", "");
	for (i = 0; i < COLUMNS; i++)
		printf(" %11s", column_names[i]);
	printf("\n");
	for (kind = 0; kind < KINDS; kind++) {
		if (!costs[kind].there)
			continue;
		fill_row(&costs[kind], rows[kind]);
		print_row(costs[kind].what, rows[kind]);
		if (kind != MORSEL)
			print_ratios(rows[kind], rows[MORSEL]);
	}
	printf("\nReading takes the same time everywhere once the page tables are there.  The others\n"
	       "make them again in each process; the morsel's are made once, and shared.\n");
}

int main(int argc, char **argv)
{
	bool wrong = false;
	struct stat status;
	uint64_t length;
	int file, kind;

	if (argc != 2) {
		fprintf(stderr, "usage: morsel-demo FILE\n");
		return 2;
	}
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &status))
		die("%s", argv[1]);
	length = (uint64_t)status.st_size;
	costs[MORSEL].what = "morsel";
	costs[FILE_MAPPING].what = "file, in the page cache";
	costs[MEMFD].what = "memfd + MAP_POPULATE";
	costs[HUGETLB].what = "hugetlbfs 2 MiB";

	step("A file in the safetensors format, with the weights of a language model.");
	show_file(argv[1], length);
	morsel_pools_make_room(length + GIB);
	morsel_forget(NAME);
	do_morsel(argv[1]);
	do_file(file, length);
	do_memfd(file, length);
	do_hugetlb(file, length);
	print_table(length);

	for (kind = 0; kind < KINDS; kind++)
		if (costs[kind].there && costs[kind].sum != costs[MORSEL].sum)
			wrong = true;
	printf(wrong ? "The words of the copies do NOT sum up to the same.\n"
		     : "All of them hold the same: the sums over every word agree.\n");
	return wrong ? 1 : 0;
}
