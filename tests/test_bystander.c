// SPDX-License-Identifier: GPL-2.0
/*
 * Bystanders: how long others wait while one user has the module do what takes it longest.  Another
 * user's faults, what ps and top read of the process, and shrinkers, as in direct reclaim, go on
 * meanwhile; and SIGKILL ends whatever it is.
 *
 * Times are printed, and say nothing where the machine has other things to do; what fails is a
 * bystander that gets nowhere before the call ends.
 */
#include "kernel.h"

#include <sys/wait.h>

#define LARGE GIB
/* One page in each 512 GiB of it is there. */
#define SPARSE (32 * TIB)
#define FAR (512 * GIB)

enum bystander { FAULTS, READS, RECLAIM, BYSTANDERS };

static const char *const bystander_names[] = {"a fault", "ps", "reclaim"};

/* What all processes of a test look at. */
static struct board {
	atomic_int ready, go, done, stop;
	atomic_ulong count[BYSTANDERS];
	atomic_ulong longest[BYSTANDERS];
} * board;

/* What the heavy process has. */
static int fd;
static char *memory;

static void populate_large(void)
{
	need(!populate(fd, 0, 0));
}

static void make_large(void)
{
	fd = create(LARGE, MORSEL_GRANULE_4K);
}

static void fill_large(void)
{
	make_large();
	populate_large();
}

static void map_populating(void)
{
	memory = mmap(NULL, LARGE, RW, MAP_SHARED | MAP_POPULATE, fd, 0);
	need(memory != MAP_FAILED);
}

static void map_large(void)
{
	fill_large();
	memory = map(fd, LARGE, RW);
	need(!probe_write(memory, 1));
}

static void punch_large(void)
{
	need(!punch(fd, 0, 0));
}

static void close_large(void)
{
	need(!close(fd));
}

/* Other rights have tables of their own, which are made by what is touched. */
static void map_with_other_rights(void)
{
	memory = mmap(NULL, LARGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	need(memory != MAP_FAILED);
}

static void change_rights(void)
{
	need(!mprotect(memory, LARGE, PROT_READ));
}

static void fork_and_exit(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(probe_read(memory, NULL));
	need(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

/* Every second page: no two are one extent. */
static void make_holes(void)
{
	size_t at;

	fill_large();
	for (at = 0; at < LARGE / 8; at += 2 * PAGE)
		need(!punch(fd, at, PAGE));
}

static void list_extents(void)
{
	static struct morsel_extent entries[65536];
	uint64_t cursor = 0;
	int filled;

	do {
		filled = list_step(fd, MORSEL_IOC_EXTENTS, &cursor, entries, sizeof(*entries),
				   65536);
		need(filled >= 0);
	} while (filled);
}

static void make_sparse(void)
{
	size_t at;

	fd = create(SPARSE, MORSEL_GRANULE_4K);
	memory = map(fd, SPARSE, RW);
	for (at = 0; at < SPARSE; at += FAR)
		need(!probe_write(memory + at, 1));
}

static void unmap_sparse(void)
{
	need(!munmap(memory, SPARSE));
}

static void forget_sparse(void)
{
	need(!madvise(memory, SPARSE, MADV_DONTNEED));
}

static void punch_sparse(void)
{
	need(!punch(fd, 0, 0));
}

/* A page is pinned, and all others are taken. */
static void fill_the_pool(void)
{
	struct iovec page;
	int pipes[2];

	make_large();
	memory = map(fd, LARGE, RW);
	need(!probe_write(memory, 1));
	page = (struct iovec){memory, PAGE};
	need(!pipe(pipes));
	need(vmsplice(pipes[1], &page, 1, 0) == (ssize_t)PAGE);
	need(!punch(fd, 0, PAGE));
	need(populate(fd, 0, 0) == -1 && errno == ENOMEM);
}

static void ask_in_vain(void)
{
	unsigned int i;

	for (i = 0; i < 1000; i++)
		need(populate(fd, 0, 0) == -1 && errno == ENOMEM);
}

/* To compare with: what a process costs others that does not call the module at all. */
static void spin(void)
{
	double end = seconds_now() + 0.5;

	while (seconds_now() < end)
		;
}

static const struct heavy {
	const char *name;
	void (*prepare)(void);
	void (*call)(void);
	uint64_t pool; /* what it is shrunk to, or 0 */
} heavies[] = {
	{"a busy loop", make_large, spin},
	{"populating 1 GiB", make_large, populate_large},
	{"mmap that populates 1 GiB", make_large, map_populating},
	{"mapping 1 GiB with other rights", map_large, map_with_other_rights},
	{"mprotect of 1 GiB", map_large, change_rights},
	{"fork with 1 GiB", map_large, fork_and_exit},
	{"punching 1 GiB", map_large, punch_large},
	{"closing 1 GiB", fill_large, close_large},
	{"extents of 1 GiB", make_holes, list_extents},
	{"unmapping 32 TiB", make_sparse, unmap_sparse},
	{"madvise of 32 TiB", make_sparse, forget_sparse},
	{"punching 32 TiB", make_sparse, punch_sparse},
	{"asking a full pool", fill_the_pool, ask_in_vain, 64 * MIB},
};

static void note_time(enum bystander which, double began)
{
	unsigned long taken = (seconds_now() - began) * 1e6;

	if (taken > board->longest[which])
		board->longest[which] = taken;
	board->count[which]++;
}

/* Another user's first touches. */
static void take_faults(pid_t heavy)
{
	int own = create(HUGE, MORSEL_GRANULE_4K);
	char *page = map(own, HUGE, RW);
	double began;

	for (;;) {
		began = seconds_now();
		/* In a full pool there is nothing to be had, but to be told so takes no longer. */
		probe_write(page, 1);
		note_time(FAULTS, began);
		need(!punch(own, 0, PAGE));
	}
}

static void read_about(pid_t heavy)
{
	static const char *const files[] = {"stat", "status", "cmdline", "maps"};
	unsigned int i;
	double began;

	for (i = 0;; i++) {
		began = seconds_now();
		read_text("/proc/%d/%s", heavy, files[i % ARRAY_SIZE(files)]);
		note_time(READS, began);
	}
}

static void have_reclaimed(pid_t heavy)
{
	double began;

	for (;;) {
		began = seconds_now();
		need(write_text("/proc/sys/vm/drop_caches", "2"));
		note_time(RECLAIM, began);
	}
}

static pid_t begin_bystander(enum bystander which, pid_t heavy)
{
	static void (*const loops[])(pid_t) = {take_faults, read_about, have_reclaimed};
	pid_t pid = spawn();

	if (!pid) {
		/* By turns with the call, where there are two processors. */
		if (which == FAULTS)
			become(OTHER);
		loops[which](heavy);
	}
	return pid;
}

static pid_t begin_heavy(const struct heavy *heavy)
{
	pid_t pid;

	memset(board, 0, sizeof(*board));
	pid = spawn();
	if (!pid) {
		become(TESTER);
		heavy->prepare();
		board->ready = 1;
		while (!board->go)
			sleep_ms(1);
		heavy->call();
		board->done = 1;
		for (;;)
			pause();
	}
	assert_soon(board->ready);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_child_killed(pid, SIGKILL);
}

static void watch(const struct heavy *heavy)
{
	pid_t pid = begin_heavy(heavy), bystanders[BYSTANDERS];
	unsigned int i;

	for (i = 0; i < BYSTANDERS; i++)
		bystanders[i] = begin_bystander(i, pid);
	for (i = 0; i < BYSTANDERS; i++)
		assert_soon(board->count[i]);
	for (i = 0; i < BYSTANDERS; i++)
		board->longest[i] = 0;
	board->go = 1;
	assert_soon(board->done);
	/* What waited for it is counted once that is over. */
	for (i = 0; i < BYSTANDERS; i++) {
		unsigned long count = board->count[i];

		assert_soon(board->count[i] > count);
	}
	print_message("# %s: longest wait, us:", heavy->name);
	for (i = 0; i < BYSTANDERS; i++)
		print_message(" %s %lu", bystander_names[i], (unsigned long)board->longest[i]);
	print_message("\n");
	for (i = 0; i < BYSTANDERS; i++)
		end(bystanders[i]);
	end(pid);
}

static void end_amid(const struct heavy *heavy)
{
	pid_t pid = begin_heavy(heavy);
	double began;

	board->go = 1;
	sleep_ms(3);
	began = seconds_now();
	end(pid);
	print_message("# %s: ended %.0f us after SIGKILL%s\n", heavy->name,
		      (seconds_now() - began) * 1e6, board->done ? ", was over" : "");
}

static void set_up_pool(const struct heavy *heavy)
{
	/* Tables and frames of the one before are on their way. */
	assert_soon(!pool_info().used_bytes);
	assert_done(resize_pool(heavy->pool ?: 2 * GIB));
}

static void bystanders_go_on(void **state)
{
	unsigned int i;

	board = shared_page();
	for (i = 0; i < ARRAY_SIZE(heavies); i++) {
		set_up_pool(&heavies[i]);
		watch(&heavies[i]);
	}
}

static void all_can_be_killed(void **state)
{
	unsigned int i;

	board = shared_page();
	for (i = 0; i < ARRAY_SIZE(heavies); i++) {
		set_up_pool(&heavies[i]);
		end_amid(&heavies[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(bystanders_go_on),
		KERNEL_TEST(all_can_be_killed),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
