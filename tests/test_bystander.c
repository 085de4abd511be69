// SPDX-License-Identifier: GPL-2.0
/*
 * Bystanders: how long others wait while one user has the module do what takes it longest.  Another
 * user's faults, what ps and top read of the process, shrinkers, as in direct reclaim, and a thread
 * that maps something else go on meanwhile; and SIGKILL ends whatever it is.
 *
 * Times are printed, and say nothing where the machine has other things to do.  What fails, of calls
 * that take long, is a bystander that never gets done what it began while the call was at it, and a
 * call that goes on to its end though its process is killed.
 */
#include "kernel.h"

#include <sys/resource.h>
#include <sys/wait.h>

/* What is large, where there is time for it: 1 GiB. */
#define LARGE (rounds_of(8) * GIB / 8 + HUGE)
/* One page in each 512 GiB of it is there; at most the largest that there may be, 64 TiB. */
#define SPARSE (rounds_of(8) * 8 * TIB)
#define FAR (512 * GIB)
/* Processes that map it, too, and morsels. */
#define MANY 200
#define MORSELS rounds_of(10000)

enum bystander { FAULTS, READS, RECLAIM, MAPS, BYSTANDERS };

static const char *const bystander_names[] = {"a fault", "ps", "reclaim", "mmap"};

/* What all processes of a test look at. */
static struct board {
	atomic_bool ready, go, at_it, done;
	atomic_uint others;
	atomic_ulong count[BYSTANDERS];
	atomic_ulong longest[BYSTANDERS];
	/* What was begun and done while the call was at it. */
	atomic_ulong amid[BYSTANDERS];
} * board;

/* What the heavy process has; the test itself looks at it by its name. */
static int fd;
static char *memory;

static void make(uint64_t length, uint32_t granule)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = length,
		.granule = granule,
		.mode = 0600,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.name = "heavy",
	};

	unlink_morsel(0, args.name);
	fd = create_with(&args);
	need(fd >= 0);
}

static void make_large(void)
{
	make(LARGE, MORSEL_GRANULE_4K);
}

static void make_large_huge(void)
{
	make(LARGE, MORSEL_GRANULE_2M);
}

static void populate_large(void)
{
	need(!populate(fd, 0, 0));
}

static void fill_large(void)
{
	make_large();
	populate_large();
}

static void fill_large_huge(void)
{
	make_large_huge();
	populate_large();
}

static void map_populating(void)
{
	memory = mmap(NULL, LARGE, RW, MAP_SHARED | MAP_POPULATE, fd, 0);
	need(memory != MAP_FAILED);
}

static void map_it(void)
{
	make_large();
	memory = map(fd, LARGE, RW);
}

static void lock_it(void)
{
	need(!mlock(memory, LARGE));
}

static void write_it(void)
{
	size_t at;

	for (at = 0; at < LARGE; at += GIB / 8)
		need(pwrite(fd, memory, LARGE - at < GIB / 8 ? LARGE - at : GIB / 8, at) > 0);
}

/* What is read is a page of zeros, again and again. */
static void make_to_write(void)
{
	make_large();
	memory = mmap(NULL, GIB / 8, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
	need(!unlink_morsel(0, "heavy"));
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

/* Many have it mapped, at several places, which are spliced. */
static void have_many_map(void)
{
	unsigned int i;

	map_large();
	for (i = 0; i < MANY; i++) {
		pid_t pid = spawn();

		if (!pid) {
			need(!probe_read(memory, NULL));
			need(!probe_read(memory + LARGE - HUGE, NULL));
			board->others++;
			for (;;)
				pause();
		}
		need(pid > 0);
	}
	while (board->others < MANY)
		sleep_ms(1);
}

/* Every second page: no two are one extent. */
static void make_holes(void)
{
	size_t at;

	fill_large();
	for (at = 0; at < LARGE / 4; at += 2 * PAGE)
		need(!punch(fd, at, PAGE));
}

static void list_extents(void)
{
	static struct morsel_extent entries[65536];
	uint64_t cursor = 0;
	int filled, i;

	for (i = 0; i < 4; i++, cursor = 0)
		do {
			filled = list_step(fd, MORSEL_IOC_EXTENTS, &cursor, entries,
					   sizeof(*entries), 65536);
			need(filled >= 0);
		} while (filled);
}

/* Tables without frames: they are looked at all the same. */
static void make_empty_tables(void)
{
	size_t at;

	make(SPARSE, MORSEL_GRANULE_4K);
	memory = map(fd, SPARSE, RW);
	for (at = 0; at < rounds_of(64) * GIB; at += HUGE) {
		need(!probe_write(memory + at, 1));
		if (at % GIB == GIB - HUGE)
			need(!punch(fd, at - at % GIB, GIB));
	}
}

static void make_sparse(void)
{
	size_t at;

	make(SPARSE, MORSEL_GRANULE_4K);
	memory = map(fd, SPARSE, RW);
	for (at = 0; at < SPARSE; at += FAR)
		need(!probe_write(memory + at, 1));
}

static void unmap_sparse(void)
{
	need(!munmap(memory, SPARSE));
}

static void unmap_half_of_sparse(void)
{
	need(!munmap(memory + HUGE, SPARSE / 2));
}

/* There is no other place for all of it. */
static void move_half_of_sparse(void)
{
	char *to = free_place(SPARSE / 2);

	need(mremap(memory, SPARSE / 2, SPARSE / 2, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
}

static void forget_sparse(void)
{
	need(!madvise(memory, SPARSE, MADV_DONTNEED));
}

static void punch_sparse(void)
{
	need(!punch(fd, 0, 0));
}

static void exit_with_sparse(void)
{
	pid_t pid = fork();

	if (!pid) {
		probe_read(memory, NULL);
		_exit(0);
	}
	need(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

static void name_many(void)
{
	char name[32];
	unsigned int i;

	make_large();
	for (i = 0; i < MORSELS; i++) {
		snprintf(name, sizeof(name), "bystander-%u", i);
		close(create_named(name, PAGE, 0600));
	}
}

static void list_many(void)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		need(count_morsels() > MORSELS);
}

static void unlink_many(void)
{
	char name[32];
	unsigned int i;

	for (i = 0; i < MORSELS; i++) {
		snprintf(name, sizeof(name), "bystander-%u", i);
		unlink_morsel(0, name);
	}
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

/* What of it there is while the call is at it, and not before or after. */
static bool is_half_full(const struct morsel_info *info)
{
	return info->frame_bytes && info->frame_bytes < LARGE;
}

#define ALL (1 << FAULTS | 1 << READS | 1 << RECLAIM | 1 << MAPS)

static const struct heavy {
	const char *name;
	void (*prepare)(void);
	void (*call)(void);
	/* Who must get done something amid it, as it takes long; as a mask. */
	unsigned int others;
	/* If it tells how far the call got: that it was killed amid it. */
	bool (*is_amid)(const struct morsel_info *info);
	uint64_t pool; /* what it is shrunk to, or 0 */
} heavies[] = {
	{"a busy loop", make_large, spin, ALL},
	{"populating a large one", make_large, populate_large, ALL, is_half_full},
	{"populating a large one of huge frames", make_large_huge, populate_large, ALL,
	 is_half_full},
	{"mmap that populates a large one", make_large, map_populating, ALL, is_half_full},
	{"mlock of a large one", map_it, lock_it, ALL, is_half_full},
	{"writing a large one", make_to_write, write_it, ALL, is_half_full},
	/* A GiB of it is shown at once, with the mmap_lock held for writing. */
	{"mapping a large one with other rights", map_large, map_with_other_rights},
	{"mprotect of a large one", map_large, change_rights},
	{"fork with a large one", map_large, fork_and_exit},
	{"punching a large one", map_large, punch_large, ALL, is_half_full},
	{"punching a large one of huge frames", fill_large_huge, punch_large},
	{"punching a large one that 200 map", have_many_map, punch_large, ALL, is_half_full},
	{"closing a large one", fill_large, close_large, ALL},
	{"extents of a large one", make_holes, list_extents, ALL},
	{"unmapping a sparse one", make_sparse, unmap_sparse},
	{"unmapping half of a sparse one", make_sparse, unmap_half_of_sparse},
	{"moving half of a sparse one", make_sparse, move_half_of_sparse},
	/* The kernel walks what is parked with the mmap_lock held for reading. */
	{"madvise of a sparse one", make_sparse, forget_sparse, 1 << FAULTS | 1 << RECLAIM},
	{"punching a sparse one", make_sparse, punch_sparse},
	{"punching tables without frames", make_empty_tables, punch_sparse},
	{"exit with a sparse one", make_sparse, exit_with_sparse},
	{"listing many morsels", name_many, list_many, ALL},
	{"unlinking many morsels", name_many, unlink_many, ALL},
	{"asking a full pool", fill_the_pool, ask_in_vain, ALL, NULL, 64 * MIB},
};

static void note(enum bystander which, double began, bool amid)
{
	unsigned long taken = (seconds_now() - began) * 1e6;

	if (taken > board->longest[which])
		board->longest[which] = taken;
	board->count[which]++;
	/* It was at it when this began, and is still. */
	board->amid[which] += amid && board->at_it;
}

/* Another user's first touches. */
static void take_a_fault(void)
{
	static char *page;
	static int own;

	if (!page) {
		own = create(HUGE, MORSEL_GRANULE_4K);
		page = map(own, HUGE, RW);
	}
	/* In a full pool there is nothing to be had, but to be told so takes no longer. */
	probe_write(page, 1);
	need(!punch(own, 0, PAGE));
}

static pid_t heavy_process;

static void read_about_it(void)
{
	static const char *const files[] = {"stat", "status", "cmdline", "maps"};
	static unsigned int i;

	read_text("/proc/%d/%s", heavy_process, files[i++ % ARRAY_SIZE(files)]);
}

static void have_reclaimed(void)
{
	need(write_text("/proc/sys/vm/drop_caches", "2"));
}

static void map_something(void)
{
	char *page = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(page != MAP_FAILED);
	need(!munmap(page, PAGE));
}

static void stand_by(enum bystander which)
{
	static void (*const acts[])(void) = {take_a_fault, read_about_it, have_reclaimed,
					     map_something};

	for (;;) {
		double began = seconds_now();
		bool amid = board->at_it;

		acts[which]();
		note(which, began, amid);
	}
}

static void *stand_by_inside(void *unused)
{
	stand_by(MAPS);
	return NULL;
}

static pid_t begin_bystander(enum bystander which)
{
	pid_t pid = spawn();

	if (!pid) {
		/* By turns with the call, where there are two processors. */
		if (which == FAULTS)
			become(OTHER);
		stand_by(which);
	}
	return pid;
}

static void begin_heavy(const struct heavy *heavy)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	pthread_t thread;

	memset(board, 0, sizeof(*board));
	heavy_process = spawn();
	if (!heavy_process) {
		need(!setrlimit(RLIMIT_MEMLOCK, &unlimited));
		become(TESTER);
		heavy->prepare();
		need(!pthread_create(&thread, NULL, stand_by_inside, NULL));
		board->ready = true;
		while (!board->go)
			sleep_ms(1);
		board->at_it = true;
		heavy->call();
		board->at_it = false;
		board->done = true;
		for (;;)
			pause();
	}
	assert_soon(board->ready);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_child_killed(pid, SIGKILL);
}

static void set_up_pool(const struct heavy *heavy)
{
	unsigned int i;
	char name[32];

	unlink_morsel(0, "heavy");
	for (i = 0; i < MORSELS && query().nr_morsels; i++) {
		snprintf(name, sizeof(name), "bystander-%u", i);
		unlink_morsel(0, name);
	}
	/* Tables and frames of the one before are on their way. */
	assert_soon(!pool_info().used_bytes);
	assert_done(resize_pool(heavy->pool ?: 2 * GIB));
}

/* Those who got nothing done amid the call, as a mask. */
static unsigned int watch(const struct heavy *heavy)
{
	pid_t pids[MAPS];
	unsigned int i, kept = 0;

	set_up_pool(heavy);
	begin_heavy(heavy);
	for (i = 0; i < MAPS; i++)
		pids[i] = begin_bystander(i);
	for (i = 0; i < BYSTANDERS; i++)
		assert_soon(board->count[i]);
	for (i = 0; i < BYSTANDERS; i++)
		board->longest[i] = 0;
	board->go = true;
	assert_soon(board->done);
	/* What waited for it is noted once that is over. */
	for (i = 0; i < BYSTANDERS; i++) {
		unsigned long count = board->count[i];

		assert_soon(board->count[i] > count);
	}
	print_message("# %s: longest wait, us:", heavy->name);
	for (i = 0; i < BYSTANDERS; i++) {
		print_message(" %s %lu", bystander_names[i], (unsigned long)board->longest[i]);
		if (!board->amid[i])
			kept |= 1 << i;
	}
	print_message("\n");
	for (i = 0; i < MAPS; i++)
		end(pids[i]);
	end(heavy_process);
	return kept;
}

/* Who did not get to run meanwhile tries again. */
static void bystanders_go_on(void **state)
{
	unsigned int i, j, kept;

	board = shared_page();
	for (i = 0; i < ARRAY_SIZE(heavies); i++) {
		kept = watch(&heavies[i]);
		while (heavies[i].others & kept) {
			for (j = 0; j < BYSTANDERS && time_is_up(); j++)
				if (heavies[i].others & kept & 1 << j)
					fail_msg("%s: %s is never done meanwhile", heavies[i].name,
						 bystander_names[j]);
			kept &= watch(&heavies[i]);
		}
	}
}

/* Kill it a while after it began; was it neither over, nor not begun, nor did it go on? */
static bool is_cut_short(const struct heavy *heavy, useconds_t *while_us)
{
	struct morsel_info info;
	double began;
	bool amid;
	int own;

	set_up_pool(heavy);
	begin_heavy(heavy);
	own = open_with(0, "heavy", MORSEL_OPEN_READ_ONLY);
	assert_done(own);
	board->go = true;
	while (!board->at_it && !board->done)
		sched_yield();
	usleep(*while_us);
	began = seconds_now();
	end(heavy_process);
	info = info_of(own);
	close(own);
	amid = !heavy->is_amid || heavy->is_amid(&info);
	print_message("# %s: ended %.0f us after SIGKILL%s\n", heavy->name,
		      (seconds_now() - began) * 1e6, board->done ? ", was over" : "");
	/* It was over, or had done nothing yet. */
	*while_us = board->done ? *while_us / 2 + 1 : *while_us + *while_us / 4 + 1;
	return amid;
}

static void all_can_be_killed(void **state)
{
	unsigned int i;

	board = shared_page();
	for (i = 0; i < ARRAY_SIZE(heavies); i++) {
		useconds_t while_us = 3000;

		while (!is_cut_short(&heavies[i], &while_us))
			if (time_is_up())
				fail_msg("%s goes on to its end", heavies[i].name);
	}
}

static void map_and_unmap(void *fd)
{
	uint64_t length = info_of(*(int *)fd).length;

	need(!munmap(map(*(int *)fd, length, RW), length));
}

/*
 * What is spliced is protected by a spinlock, which faults of the same mapping want.  Fails if it
 * is held for all that a morsel may have, instead of for 512 GiB at a time.
 */
static void unmapping_lets_others_in_each_512_gib(void **state)
{
	uint64_t length = query().max_length;
	int fd = create(length, MORSEL_GRANULE_4K);

	assert_true(length >= 64 * TIB);
	assert_true(calls_of("unsplice", map_and_unmap, &fd) >= length / FAR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(bystanders_go_on),
		KERNEL_TEST(all_can_be_killed),
		KERNEL_TEST(unmapping_lets_others_in_each_512_gib),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
