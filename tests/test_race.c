// SPDX-License-Identifier: GPL-2.0
/*
 * Threads on both processors that do to a morsel at once what one may do, and
 * look at the data while they do.  Rounds, not seconds, bound them.
 *
 * Each race runs in a child: its threads end it when something is wrong.  One of
 * them leads and counts rounds; now and then it waits until the others have come
 * round, too, so that there is a race however the processors are shared out.
 */
#include "common.h"

#include <sys/uio.h>

#define THREADS 8
/* Of each race between processors. */
#define ROUNDS rounds_of(10000)

/* The morsel and its memory, for the threads of a race. */
static int morsel;
static char *shared;
static atomic_uint stop;

/* What extents and statistics say of a morsel's frames is the same. */
static void need_frames_add_up(int fd)
{
	static struct morsel_extent extents[4096];
	uint64_t cursor = 0, frames = 0, next = 0;
	int count, i;

	while ((count = list_step(fd, MORSEL_IOC_EXTENTS, &cursor, extents, sizeof(extents[0]),
				  ARRAY_SIZE(extents))) > 0)
		for (i = 0; i < count; i++) {
			need(extents[i].offset == next);
			next += extents[i].length;
			if (extents[i].level <= MORSEL_LEVEL_2M)
				frames += extents[i].length;
		}
	need(!count);
	need(frames == info_of(fd).frame_bytes);
}

/* All threads touch the same fresh pages, each adding one. */

#define PAGES 1024

static void *add_to_each_page(void *arg)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		atomic_fetch_add((_Atomic uint64_t *)(shared + i * PAGE), 1);
	return NULL;
}

static void race_same_pages(void)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};
	unsigned int i, round;
	char unused[THREADS];

	for (round = 0; round < 4; round++) {
		morsel = create(PAGES * PAGE, granules[round % 2]);
		shared = map(morsel, PAGES * PAGE, RW);
		run_threads(THREADS, add_to_each_page, unused, 1);
		for (i = 0; i < PAGES; i++)
			need(*(uint64_t *)(shared + i * PAGE) == THREADS);
		/* Each page has one frame, and no frame was lost on the way. */
		need(info_of(morsel).frame_bytes == PAGES * PAGE);
		need(pool_info().used_bytes == PAGES * PAGE + info_of(morsel).table_bytes);
		need_frames_add_up(morsel);
		munmap(shared, PAGES * PAGE);
		close(morsel);
	}
}

static void many_threads_touch_the_same_fresh_pages(void **state)
{
	assert_race(race_same_pages);
}

static void *touch_own_pages(void *arg)
{
	unsigned int self = *(unsigned int *)arg, i;

	for (i = self; i < PAGES; i += THREADS) {
		need(is_zero(shared + i * PAGE, PAGE));
		fill_pattern(shared + i * PAGE, PAGE, i);
	}
	return NULL;
}

static void race_different_pages(void)
{
	unsigned int numbers[THREADS], i;

	for (i = 0; i < THREADS; i++)
		numbers[i] = i;
	morsel = create(PAGES * PAGE, MORSEL_GRANULE_4K);
	shared = map(morsel, PAGES * PAGE, RW);
	run_threads(THREADS, touch_own_pages, numbers, sizeof(numbers[0]));
	for (i = 0; i < PAGES; i++)
		need(has_pattern(shared + i * PAGE, PAGE, i));
	need(info_of(morsel).frame_bytes == PAGES * PAGE);
	need_frames_add_up(morsel);
}

static void many_threads_touch_different_fresh_pages(void **state)
{
	assert_race(race_different_pages);
}

/* Faults, populating, writing and read-only faults, all into the same holes. */

static void *fill_somehow(void *arg)
{
	unsigned int how = *(unsigned int *)arg, i;
	char *readable;

	switch (how) {
	case 0:
		for (i = 0; i < PAGES; i++)
			shared[i * PAGE + how] = 1;
		break;
	case 1:
		need(!populate(morsel, 0, 0));
		break;
	case 2:
		for (i = PAGES; i-- > 0;)
			need(pwrite(morsel, "\1", 1, i * PAGE + how) == 1);
		break;
	default:
		readable = map(morsel, PAGES * PAGE, PROT_READ);
		for (i = 0; i < PAGES; i++)
			need(readable[i * PAGE] <= 1);
		break;
	}
	return NULL;
}

static void race_fill(void)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M,
					    MORSEL_GRANULE_AUTO};
	unsigned int numbers[4] = {0, 1, 2, 3}, round, i;

	for (round = 0; round < 6; round++) {
		morsel = create(PAGES * PAGE, granules[round % 3]);
		shared = map(morsel, PAGES * PAGE, RW);
		run_threads(4, fill_somehow, numbers, sizeof(numbers[0]));
		for (i = 0; i < PAGES; i++)
			need(shared[i * PAGE] == 1 && shared[i * PAGE + 2] == 1 &&
			     !shared[i * PAGE + 1]);
		need(info_of(morsel).frame_bytes == PAGES * PAGE);
		need_frames_add_up(morsel);
		munmap(shared, PAGES * PAGE);
		close(morsel);
	}
	need(!pool_info().pinned_bytes);
}

static void fault_against_populate_and_write(void **state)
{
	assert_race(race_fill);
}

/*
 * A reader must never see another morsel's data in its own, however frames
 * wander between the two: they return to the pool only after the flush.  If a
 * processor kept a translation, it would see what the other's owner writes, or
 * that one would get a frame that is not zero.
 */

#define WANDER_PAGES 16

/* The numbers of the threads. */
enum { WHO_PUNCHES, LOOKER };

static int foreign;
/* Of the frames that wander; and how often, as huge ones take long to clear. */
static size_t wander_length;
static unsigned int wander_rounds;

static void *look_for_foreign_data(void *arg)
{
	volatile char *memory = map(morsel, HUGE, RW);
	size_t at;

	for (; !atomic_load(&stop); took_turn(LOOKER))
		for (at = 0; at < WANDER_PAGES * PAGE; at += PAGE) {
			char seen;

			memory[at + 8] = 0x11;
			seen = memory[at + 8];
			need(seen == 0x11 || seen == 0);
			/* Nobody but the other morsel's owner writes this. */
			need(memory[at] == 0);
		}
	return NULL;
}

/* The frames go from the one, and to the other. */
static void reuse(char *other, unsigned int round)
{
	size_t at;

	need(!punch(morsel, 0, 0));
	for (at = 0; at < WANDER_PAGES * PAGE; at += PAGE) {
		need(is_zero(other + at, 64));
		memset(other + at, 0xee, 64);
	}
}

/* How the frames wander, and how one looks. */
static void (*wander)(char *other, unsigned int round);
static void *(*look)(void *arg);

static void *let_wander(void *arg)
{
	char *other = map(foreign, HUGE, RW);
	unsigned int round;

	for (round = 0; round < wander_rounds; round++) {
		wander(other, round);
		if (now_and_then(round))
			wait_for_turn(LOOKER);
		need(!punch(foreign, 0, 0));
	}
	atomic_store(&stop, 1);
	return NULL;
}

static void *look_or_let_wander(void *arg)
{
	return *(unsigned int *)arg == LOOKER ? look(arg) : let_wander(arg);
}

static void wander_begin(uint32_t granule)
{
	bool huge = granule == MORSEL_GRANULE_2M;

	wander_length = huge ? HUGE : WANDER_PAGES * PAGE;
	wander_rounds = huge ? rounds_of(1000) : ROUNDS;
	morsel = create(wander_length, granule);
	foreign = create(wander_length, granule);
}

static void race_wander(uint32_t granule)
{
	unsigned int numbers[2] = {WHO_PUNCHES, LOOKER};

	wander_begin(granule);
	run_threads(2, look_or_let_wander, numbers, sizeof(numbers[0]));
	need_frames_add_up(morsel);
	need_frames_add_up(foreign);
}

static void race_wander_4k(void)
{
	race_wander(MORSEL_GRANULE_4K);
}

static void race_wander_2m(void)
{
	race_wander(MORSEL_GRANULE_2M);
}

static void assert_wander(void (*race)(void), void (*how)(char *other, unsigned int round),
			  void *(*look_how)(void *arg))
{
	wander = how;
	look = look_how;
	assert_race(race);
}

static void punched_frames_are_not_seen_again(void **state)
{
	assert_wander(race_wander_4k, reuse, look_for_foreign_data);
}

static void punched_huge_frames_are_not_seen_again(void **state)
{
	assert_wander(race_wander_2m, reuse, look_for_foreign_data);
}

/*
 * One process takes part until the other is done.  If it ends before that, the other may wait for
 * it in vain.
 */
static void assert_goes_until(pid_t goes, pid_t other)
{
	int status;

	while (waitpid(other, &status, WNOHANG) != other) {
		if (waitpid(goes, &status, WNOHANG) == goes)
			fail_msg("a process ended with %#x in the midst of the race", status);
		usleep(500);
	}
	assert_int_equal(status, 0);
	kill(goes, SIGKILL);
	assert_child_killed(goes, SIGKILL);
}

/* The same across processes: the one that looks is not the one that punches. */
static void punched_frames_are_not_seen_by_other_processes(void **state)
{
	pid_t pids[2];
	int i;

	wander_begin(MORSEL_GRANULE_4K);
	wander = reuse;
	for (i = 0; i < 2; i++) {
		pids[i] = spawn();
		if (pids[i])
			continue;
		pin_to_cpu(i);
		if (i == LOOKER)
			look_for_foreign_data(NULL);
		/* What it has mapped is unspliced, too. */
		map(morsel, HUGE, RW);
		let_wander(NULL);
		_exit(0);
	}
	/* The looker looks until it is killed, and then has not ended by itself. */
	assert_goes_until(pids[LOOKER], pids[WHO_PUNCHES]);
}

/*
 * Frames that punching must take out of more places than it finds at first.  Who
 * looks sees nothing but zeroes, unless such a frame, which has another owner by
 * then, is still mapped.
 */
static void look_at_taken(volatile char *memory)
{
	int i;

	for (i = 0; i < 4; i++)
		need(memory[0] == 0);
}

/* A mapping that is just being made: it is not among the file's yet, but shows the morsel. */
static void *map_and_look(void *arg)
{
	char *place = free_place(HUGE);

	while (!atomic_load(&stop)) {
		look_at_taken(map_at(place, morsel, HUGE, RW, 0));
		need(!munmap(place, HUGE));
		took_turn(LOOKER);
	}
	return NULL;
}

/*
 * MADV_COLD takes a huge frame out of the table for a moment, and puts it back;
 * clear_refs writes to the entry.
 */
static void *age_and_look(void *arg)
{
	/* A GiB, so that it is spliced as a whole. */
	char *memory = map(morsel, GIB, RW);
	unsigned int round;

	for (round = 0; !atomic_load(&stop); round++) {
		if (round % 2)
			need(write_text("/proc/self/clear_refs", "1"));
		else
			need(!madvise(memory, HUGE, MADV_COLD));
		look_at_taken(memory);
		took_turn(LOOKER);
	}
	return NULL;
}

static void take_over(char *other, unsigned int round)
{
	need(!populate(morsel, 0, wander_length));
	if (round % 2)
		sched_yield();
	need(!punch(morsel, 0, wander_length));
	other[0] = 0x5a;
}

static void punched_frames_are_not_in_new_mappings(void **state)
{
	assert_wander(race_wander_4k, take_over, map_and_look);
}

static void punched_frames_are_not_put_back_by_aging(void **state)
{
	assert_wander(race_wander_2m, take_over, age_and_look);
}

/*
 * Writers, while the mapping goes and comes.  Each of these tests fails if the kernel finds what is
 * spliced and takes it for the process's own: a thread does not find again what it wrote where that
 * was cleared.
 */

#define LENGTH (GIB + 2 * HUGE)

struct writer {
	unsigned int self;
	uint64_t seed;
};

/* Where there is one, beside one that does something to the mapping. */
#define WRITER 1

/* The pool is so small that there may be none for a first touch. */
static bool pool_is_scarce;

/* How often something was there to be written to. */
static atomic_uint written;

/* The place may be unmapped or protected, but is there otherwise. */
static bool need_access(int signal)
{
	need(!signal || signal == SIGSEGV || (signal == SIGBUS && pool_is_scarce));
	return !signal;
}

/* Places all over: whole GiBs, their ends, single 2 MiB. */
static size_t written_at(unsigned int place, unsigned int writer)
{
	return place * (LENGTH / 64 & ~(PAGE - 1)) + writer;
}

/* Each thread owns the bytes at its number in each page: what it wrote there must stay. */
static void *write_and_check(void *arg)
{
	struct writer *writer = arg;
	volatile unsigned char *memory = (volatile unsigned char *)shared;
	static _Thread_local unsigned char last[64];
	unsigned char value = 0, seen;

	memset(last, 0, sizeof(last));
	while (!atomic_load(&stop)) {
		unsigned int place = random_next(&writer->seed) % 64;
		size_t at = written_at(place, writer->self);

		if (need_access(probe_read(memory + at, &seen)))
			need(seen == last[place]);
		value++;
		if (need_access(probe_write(memory + at, value))) {
			last[place] = value;
			atomic_fetch_add(&written, 1);
		}
		took_turn(writer->self);
	}
	return NULL;
}

static void unmap_and_map(struct writer *self, unsigned int round)
{
	size_t at = round % 4 ? random_next(&self->seed) % (LENGTH / HUGE) * HUGE : 0;
	size_t length = round % 4 ? HUGE : LENGTH;

	need(!munmap(shared + at, length));
	if (round % 3 == 0)
		sched_yield();
	map_at(shared + at, morsel, length, RW, at);
}

static void *keep_unmapping(void *arg)
{
	struct writer *self = arg;
	unsigned int round;

	for (round = 0; !atomic_load(&stop); round++) {
		unmap_and_map(self, round);
		took_turn(self->self);
	}
	return NULL;
}

/* The threads have numbers and seeds of their own. */
static void race_writers(unsigned int count, void *(*function)(void *arg))
{
	struct writer writers[16];
	unsigned int i;

	need(count <= ARRAY_SIZE(writers));
	for (i = 0; i < count; i++)
		writers[i] = (struct writer){.self = i, .seed = i + 1};
	morsel = create(LENGTH, MORSEL_GRANULE_4K);
	/* A place that nothing else is mapped to while the morsel is not there. */
	shared = map_at(free_place(LENGTH), morsel, LENGTH, RW, 0);
	run_threads(count, function, writers, sizeof(writers[0]));
	need(written);
	need_frames_add_up(morsel);
}

/* What one thread does to the mapping in each round, while another writes. */
static void (*disturb)(struct writer *self, unsigned int round);

static void *write_or_disturb(void *arg)
{
	struct writer *self = arg;
	unsigned int round;

	if (self->self == WRITER)
		return write_and_check(arg);
	for (round = 0; round < ROUNDS; round++) {
		disturb(self, round);
		if (now_and_then(round))
			wait_for_turn(WRITER);
	}
	atomic_store(&stop, 1);
	return NULL;
}

static void race_disturbed(void)
{
	/* One on each processor: they would wait for each other's time slices. */
	race_writers(2, write_or_disturb);
}

static void assert_data_stays(void (*how)(struct writer *self, unsigned int round))
{
	disturb = how;
	assert_race(race_disturbed);
}

static void data_stays_while_munmap_and_mmap_run(void **state)
{
	assert_data_stays(unmap_and_map);
}

/* There and back. */
static void move(struct writer *self, unsigned int round)
{
	static char *elsewhere;
	char *from, *to;

	if (!elsewhere)
		elsewhere = free_place(LENGTH);
	from = round % 2 ? elsewhere : shared;
	to = round % 2 ? shared : elsewhere;
	/* At the end of every other round it is where the writer looks for it. */
	need(mremap(from, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
}

static void data_stays_while_mremap_runs(void **state)
{
	assert_data_stays(move);
}

/*
 * After mprotect() returned, no write of any thread gets through: fails if the other's byte changes
 * then, or if one's own write gives no signal.
 */
static void protect(struct writer *self, unsigned int round)
{
	size_t at = round % 64 ? random_next(&self->seed) % (LENGTH / HUGE) * HUGE : 0;
	size_t length = round % 64 ? HUGE : LENGTH, i;
	int prot = round % 2 ? PROT_NONE : PROT_READ;
	unsigned char before[64], after[64];

	need(!mprotect(shared + at, length, prot));
	if (length == LENGTH) {
		for (i = 0; i < 64; i++)
			before[i] = shared[written_at(i, WRITER)];
		wait_for_turn(WRITER);
		for (i = 0; i < 64; i++)
			after[i] = shared[written_at(i, WRITER)];
		need(!memcmp(before, after, sizeof(before)));
	}
	need(probe_write(shared + at + 100, 1) == SIGSEGV);
	need(probe_read(shared + at + 100, NULL) == (prot ? 0 : SIGSEGV));
	need(!mprotect(shared + at, length, RW));
	need(!probe_write(shared + at + 100, 1));
}

static void nothing_is_written_after_mprotect(void **state)
{
	assert_data_stays(protect);
}

static void fork_a_child(struct writer *self, unsigned int round)
{
	pid_t pid = fork();
	int status;

	need(pid >= 0);
	if (!pid) {
		/* What no thread writes to. */
		need(shared[200] == (char)round);
		shared[200]++;
		shared[LENGTH - 1]++;
		_exit(0);
	}
	need(waitpid(pid, &status, 0) == pid && !status);
	need((unsigned char)shared[LENGTH - 1] == (round + 1) % 256);
}

/*
 * Fails, too, if a child does not find what its parent has, or the parent not what its child wrote.
 */
static void data_stays_while_fork_runs(void **state)
{
	assert_data_stays(fork_a_child);
}

static void advise(struct writer *self, unsigned int round)
{
	size_t at = random_next(&self->seed) % (LENGTH / HUGE) * HUGE;

	need(!madvise(shared + at, round % 8 ? HUGE : LENGTH - at, MADV_DONTNEED));
	madvise(shared, LENGTH, MADV_COLD);
	madvise(shared, LENGTH, round % 2 ? MADV_KEEPONFORK : MADV_WIPEONFORK);
}

static void data_stays_while_madvise_runs(void **state)
{
	assert_data_stays(advise);
}

static void look_through_proc(struct writer *self, unsigned int round)
{
	static const char *const files[] = {"smaps", "numa_maps", "maps", "smaps_rollup"};
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/%s", files[round % ARRAY_SIZE(files)]);
	need(read_text(path)[0]);
	need(write_text("/proc/self/clear_refs", round % 2 ? "1" : "4"));
}

/*
 * The kernel's own readers of page tables: fails, too, if one of them meets what is no table, which
 * the kernel's log tells.
 */
static void data_stays_while_proc_is_read(void **state)
{
	assert_data_stays(look_through_proc);
}

/*
 * Code that only looks at the tables, against punching, which takes the tables of
 * a mapping that is new out of it.  Who looks where a table was must find one: if
 * there is none, the kernel says so in its log, or dies.
 */
static size_t look_length;

/* The numbers of the threads. */
enum { WHO_LOOKS, WHO_MAPS, WHO_PUNCHES_ON };

static void *map_anew(void *arg)
{
	unsigned int round;

	/* The two kinds of tables share the rounds. */
	for (round = 0; round < ROUNDS / 2; round++) {
		map_at(shared, morsel, look_length, RW, 0);
		if (now_and_then(round)) {
			wait_for_turn(WHO_LOOKS);
			wait_for_turn(WHO_PUNCHES_ON);
		} else {
			sched_yield();
		}
		/* Away with it, but nobody else is to get the place. */
		need(mmap(shared, look_length, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			  0) == shared);
	}
	atomic_store(&stop, 1);
	return NULL;
}

static void *look_at_tables(void *arg)
{
	unsigned char there[4];
	unsigned int round;

	for (round = 0; !atomic_load(&stop); round++) {
		if (round % 256 == 0)
			need(read_text("/proc/self/smaps")[0]);
		/* The morsel may be there, or not. */
		mincore(shared, sizeof(there) * PAGE, there);
		madvise(shared, HUGE, MADV_COLD);
		madvise(shared + HUGE, HUGE, MADV_DONTNEED);
		took_turn(WHO_LOOKS);
	}
	return NULL;
}

static void *keep_punching(void *arg)
{
	while (!atomic_load(&stop)) {
		need(pwrite(morsel, "x", 1, 0) == 1);
		need(!punch(morsel, 0, PAGE));
		took_turn(WHO_PUNCHES_ON);
	}
	return NULL;
}

static void *look_and_punch(void *arg)
{
	static void *(*const parts[])(void *arg) = {
		[WHO_LOOKS] = look_at_tables,
		[WHO_MAPS] = map_anew,
		[WHO_PUNCHES_ON] = keep_punching,
	};

	return parts[*(unsigned int *)arg](arg);
}

static void race_look(size_t length)
{
	unsigned int numbers[3] = {WHO_LOOKS, WHO_MAPS, WHO_PUNCHES_ON};

	look_length = length;
	morsel = create(length, MORSEL_GRANULE_4K);
	need(pwrite(morsel, "x", 1, HUGE) == 1);
	shared = map_at(free_place(length), morsel, length, RW, 0);
	run_threads(ARRAY_SIZE(numbers), look_and_punch, numbers, sizeof(numbers[0]));
}

static void race_look_at_gib(void)
{
	race_look(GIB);
}

static void race_look_at_spans(void)
{
	race_look(2 * HUGE);
}

static void tables_are_there_for_who_looks(void **state)
{
	assert_race(race_look_at_gib);
	assert_race(race_look_at_spans);
}

/*
 * Another process punches, which goes through all mappings of the file, while this
 * one unmaps its own, and splits it.  Fails (by what the kernel logs) if an entry
 * that the other stands at goes away.
 */
static void race_unmap_and_punch(void)
{
	unsigned int round;
	pid_t pid;

	morsel = create(GIB, MORSEL_GRANULE_4K);
	shared = free_place(GIB);
	pid = spawn();
	if (!pid) {
		pin_to_cpu(1);
		keep_punching(NULL);
	}
	pin_to_cpu(0);
	need(pwrite(morsel, "x", 1, HUGE) == 1);
	for (round = 0; round < ROUNDS; round++) {
		map_at(shared, morsel, GIB, RW, 0);
		need(shared[HUGE] == 'x');
		if (round % 4 == 0)
			need(!madvise(shared, HUGE, MADV_RANDOM));
		if (now_and_then(round))
			wait_for_turn_of(pid, WHO_PUNCHES_ON);
		need(!munmap(shared, GIB));
	}
	need(!waitpid(pid, NULL, WNOHANG));
}

static void punches_of_others_against_munmap(void **state)
{
	assert_race(race_unmap_and_punch);
}

static void *write_or_keep_unmapping(void *arg)
{
	return ((struct writer *)arg)->self == WRITER ? write_and_check(arg) : keep_unmapping(arg);
}

/*
 * Processes that die in the middle of it: fails if an attachment, a morsel or a frame of theirs is
 * left, or if what others have goes with them.
 */
static void data_stays_while_processes_are_killed(void **state)
{
	uint64_t seed = 42;
	unsigned int i;
	char *memory;

	morsel = create(LENGTH, MORSEL_GRANULE_4K);
	memory = map(morsel, LENGTH, RW);
	fill_pattern(memory, 64 * KIB, 1);
	fill_pattern(memory + GIB, 64 * KIB, 2);
	for (i = 0; i < rounds_of(400); i++) {
		unsigned int disturbed, wrote, tries = 0;
		pid_t pid;

		atomic_store(&turns[0], 0);
		atomic_store(&turns[WRITER], 0);
		pid = spawn();
		if (!pid) {
			morsel = open_with(id_of(morsel), "", 0);
			need(morsel >= 0);
			race_writers(2, write_or_keep_unmapping);
		}
		/* Anywhere, but while they are at it. */
		disturbed = random_next(&seed) % 32 + 1;
		wrote = random_next(&seed) % 32 + 1;
		while (turns[0] < disturbed || turns[WRITER] < wrote) {
			assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
			relax(&tries);
		}
		kill(pid, SIGKILL);
		assert_child_killed(pid, SIGKILL);
	}
	assert_true(has_pattern(memory, 64 * KIB, 1));
	assert_true(has_pattern(memory + GIB, 64 * KIB, 2));
	assert_int_equal(info_of(morsel).attachments, 1);
	assert_int_equal(info_of(morsel).frame_bytes, 128 * KIB);
	assert_int_equal(count_morsels(), 1);
}

/*
 * A process that ends, and one that reads its memory from the other processor,
 * which takes faults in that address space.  Fails if a fault splices into tables
 * that are being freed: then the data is wrong, or the kernel complains.
 */
static atomic_int *ending;

/* The number of who reads; its turns are what it got. */
#define READER 1

static _Noreturn void read_of_others(void)
{
	static const size_t places[] = {0, 3 * HUGE, GIB, GIB + HUGE};
	char text[64];
	unsigned int i;

	for (i = 0;; i++) {
		struct iovec here = {text, sizeof(text)};
		struct iovec there = {shared + places[i % ARRAY_SIZE(places)], sizeof(text)};
		ssize_t got = process_vm_readv(atomic_load(ending), &here, 1, &there, 1, 0);

		if (got > 0) {
			need(!memcmp(text, "there", 6));
			took_turn(READER);
			continue;
		}
		need(got && (errno == ESRCH || errno == EFAULT || errno == EPERM));
	}
}

static void race_exit(void)
{
	unsigned int i;
	pid_t pid, reader;

	morsel = create(LENGTH, MORSEL_GRANULE_4K);
	for (i = 0; i < LENGTH / HUGE; i++)
		need(pwrite(morsel, "there", 6, i * HUGE) == 6);
	ending = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	atomic_store(ending, getpid());
	/* What a child inherits is spliced by its first fault. */
	shared = map(morsel, LENGTH, RW);
	reader = spawn();
	if (!reader) {
		pin_to_cpu(1);
		read_of_others();
	}
	pin_to_cpu(0);
	for (i = 0; i < ROUNDS; i++) {
		pid = fork();
		if (!pid) {
			if (i % 3 == 0)
				need(!strcmp(shared, "there"));
			if (i % 2)
				pause();
			_exit(0);
		}
		need(pid > 0);
		atomic_store(ending, pid);
		/* It waits to be killed. */
		if (now_and_then(i))
			wait_for_turn_of(reader, READER);
		if (i % 2)
			need(!kill(pid, SIGKILL));
		need(waitpid(pid, NULL, 0) == pid);
		need(!waitpid(reader, NULL, WNOHANG));
	}
	need(!strcmp(shared + GIB, "there"));
	need(info_of(morsel).frame_bytes == LENGTH / HUGE * PAGE);
}

static void faults_of_others_against_exit(void **state)
{
	assert_race(race_exit);
}

/* Names: of many who create one, one succeeds; nobody opens half a morsel. */

static void *fight_for_names(void *arg)
{
	unsigned int round;

	for (round = 0; round < ROUNDS / THREADS; round++) {
		struct morsel_create args = {
			.size = sizeof(args),
			.length = HUGE,
			.mode = 0600,
			.pool = MORSEL_ANY,
			.node = MORSEL_ANY,
			.name = "one",
		};
		int fd = create_with(&args);

		need(fd >= 0 || errno == EEXIST);
		if (fd >= 0) {
			need(info_of(fd).id == args.id);
			need(!unlink_morsel(args.id, ""));
			close(fd);
		}
		fd = open_with(0, "one", 0);
		need(fd >= 0 || errno == ENOENT);
		if (fd >= 0) {
			need(info_of(fd).length == HUGE);
			need(pwrite(fd, "x", 1, 0) == 1);
			close(fd);
		}
		need(count_morsels() <= 3 * THREADS);
	}
	return NULL;
}

static void race_names(void)
{
	char unused[THREADS];

	run_threads(THREADS, fight_for_names, unused, 1);
	need(!count_morsels());
}

static void create_against_unlink_and_open(void **state)
{
	assert_race(race_names);
}

/* The pool, asked by many and shrunk at once: who gets nothing is told so, and nothing is lost. */

/* Each takes up to 8 MiB. */
#define POOL_ROUNDS rounds_of(400)

static void *take_and_give(void *arg)
{
	uint64_t seed = *(unsigned int *)arg;
	unsigned int round;

	for (round = 0; round < POOL_ROUNDS; round++) {
		int fd = create(8 * MIB, round % 2 ? MORSEL_GRANULE_4K : MORSEL_GRANULE_AUTO);

		if (populate(fd, 0, (random_next(&seed) % 4 + 1) * HUGE))
			need(errno == ENOMEM);
		close(fd);
		if (seed % 7 == 0)
			write_text("/proc/sys/vm/drop_caches", "2");
	}
	return NULL;
}

static void race_pool(void)
{
	unsigned int seeds[4] = {1, 2, 3, 4};

	need(!resize_pool(16 * MIB));
	run_threads(4, take_and_give, seeds, sizeof(seeds[0]));
	need(!pool_info().used_bytes);
	need(pool_info().held_bytes <= 16 * MIB);
}

static void populate_against_a_full_pool(void **state)
{
	assert_race(race_pool);
}

/*
 * What all want together fits into the pool, whose memory comes and goes meanwhile, and
 * somebody else asks for what does not fit: each gets what it wants.
 */

#define FITTING_PAGES 240

/* The number of who wants too much. */
#define GREEDY 0

static unsigned int busy_rounds;

static void *want_what_fits(void *arg)
{
	uint64_t seed = *(unsigned int *)arg;
	int fd = create(FITTING_PAGES * PAGE, MORSEL_GRANULE_4K);
	unsigned int round;

	for (round = 0; round < busy_rounds; round++) {
		size_t pages = round % 2 ? FITTING_PAGES : random_next(&seed) % FITTING_PAGES + 1;

		need(!populate(fd, 0, pages * PAGE));
		if (now_and_then(round))
			wait_for_turn(GREEDY);
		need(!punch(fd, 0, 0));
	}
	close(fd);
	return NULL;
}

static void *want_too_much(void *arg)
{
	int fd = create(8 * HUGE, MORSEL_GRANULE_2M);

	while (!atomic_load(&stop)) {
		/* There may be room for one, while others want little. */
		need(populate(fd, 0, 8 * HUGE) == -1 && errno == ENOMEM);
		write_text("/proc/sys/vm/drop_caches", "2");
		took_turn(GREEDY);
	}
	close(fd);
	return NULL;
}

/* Half of small frames in use, so that no huge frame fits; the others are free. */
static void race_fitting(void)
{
	unsigned int seeds[4] = {1, 2, 3, 4}, i;
	int half = create(4 * MIB, MORSEL_GRANULE_4K);
	pthread_t greedy;

	need(!resize_pool(6 * MIB));
	busy_rounds = rounds_of(1000);
	need(!populate(half, 0, 0));
	for (i = 0; i < 1024; i += 2)
		need(!punch(half, i * PAGE, PAGE));
	atomic_store(&stop, 0);
	need(!pthread_create(&greedy, NULL, want_too_much, NULL));
	run_threads(4, want_what_fits, seeds, sizeof(seeds[0]));
	atomic_store(&stop, 1);
	pthread_join(greedy, NULL);
	close(half);
}

/* Fails if frames that one borrows, or asks for in vain, are missing to another. */
static void who_fits_is_served(void **state)
{
	assert_race(race_fitting);
}

/*
 * The pool has room for one frame more, which all want for the same place: one gets
 * it, and nobody is told that there was none.
 */

static pthread_barrier_t start_line;

static void *want_the_last(void *arg)
{
	unsigned int how = *(unsigned int *)arg, round;

	for (round = 0; round < busy_rounds; round++) {
		pthread_barrier_wait(&start_line);
		switch (how) {
		case 0:
			need(!populate(morsel, 0, PAGE));
			break;
		case 1:
			need(pwrite(morsel, "\1", 1, 1) == 1);
			break;
		default:
			shared[how] = 1;
			break;
		}
		pthread_barrier_wait(&start_line);
		if (!how)
			need(!punch(morsel, 0, 0));
	}
	return NULL;
}

static void race_last_of(uint32_t granule, unsigned int rounds)
{
	unsigned int numbers[4] = {0, 1, 2, 3};
	int taker = create(16 * MIB, granule);

	need(!resize_pool(16 * MIB));
	busy_rounds = rounds;
	morsel = create(HUGE, granule);
	shared = map(morsel, HUGE, RW);
	/* Its tables stay. */
	shared[0] = 1;
	need(populate(taker, 0, 0) == -1 && errno == ENOMEM);
	need(!punch(morsel, 0, 0));
	run_threads(4, want_the_last, numbers, sizeof(numbers[0]));
	munmap(shared, HUGE);
	close(morsel);
	close(taker);
}

static void race_last_frame(void)
{
	need(!pthread_barrier_init(&start_line, NULL, 4));
	race_last_of(MORSEL_GRANULE_4K, ROUNDS);
	race_last_of(MORSEL_GRANULE_2M, rounds_of(1000));
}

/* Fails, by SIGBUS or ENOMEM, if who comes second does not wait for the first. */
static void the_last_frame_serves_all(void **state)
{
	assert_race(race_last_frame);
}

/*
 * All of it at once: writers' faults against munmap(), fork(), unlink, a pool
 * that shrinks below its use and grows again, and attempts to unload.
 */

static void *keep_forking(void *arg)
{
	struct writer *self = arg;
	int status;

	while (!atomic_load(&stop)) {
		size_t at = random_next(&self->seed) % (LENGTH / PAGE) * PAGE;
		pid_t pid = fork();

		need(pid >= 0);
		if (!pid) {
			/* The place may be unmapped, or the pool full. */
			probe_write(shared + at, 0);
			probe_read(shared + at + PAGE / 2, NULL);
			_exit(0);
		}
		need(waitpid(pid, &status, 0) == pid && !status);
		took_turn(self->self);
	}
	return NULL;
}

static void *keep_unlinking(void *arg)
{
	struct writer *self = arg;
	struct morsel_create args = {
		.size = sizeof(args),
		.length = 2 * HUGE,
		.mode = 0600,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.name = "passing",
	};

	while (!atomic_load(&stop)) {
		int fd = create_with(&args);
		char *memory;

		if (fd < 0) {
			need(errno == ENOMEM);
			continue;
		}
		memory = map(fd, args.length, RW);
		probe_write(memory, 1);
		need(!unlink_morsel(0, args.name));
		probe_write(memory + HUGE, 1);
		close(fd);
		need(!munmap(memory, args.length));
		took_turn(self->self);
	}
	return NULL;
}

static void *keep_shrinking(void *arg)
{
	struct writer *self = arg;
	struct morsel_pool pool = {.size = sizeof(pool), .id = pool_info().id};

	while (!atomic_load(&stop)) {
		pool.limit_bytes = (random_next(&self->seed) % 16 + 1) * HUGE;
		need(!ioctl(dev, MORSEL_IOC_POOL_RESIZE, &pool));
		write_text("/proc/sys/vm/drop_caches", "2");
		took_turn(self->self);
	}
	return NULL;
}

static void *keep_unloading(void *arg)
{
	struct writer *self = arg;

	while (!atomic_load(&stop)) {
		int err = unload_module();

		need(err == -EWOULDBLOCK || err == -EBUSY);
		took_turn(self->self);
		sched_yield();
	}
	return NULL;
}

/* The first ones have their parts, the others, on both processors, write. */
#define PARTS 10

/* When each has had its share of it. */
static void *end_in_time(void *arg)
{
	unsigned int i, share = rounds_of(1000);

	for (i = 1; i < PARTS; i++)
		while (turns[i] < share || written < share)
			sleep_ms(1);
	atomic_store(&stop, 1);
	return NULL;
}

static void *take_part(void *arg)
{
	static void *(*const parts[])(void *arg) = {end_in_time,    keep_unmapping, keep_forking,
						    keep_unlinking, keep_shrinking, keep_unloading};
	struct writer *self = arg;

	return self->self < ARRAY_SIZE(parts) ? parts[self->self](arg) : write_and_check(arg);
}

static void race_all(void)
{
	pool_is_scarce = true;
	race_writers(PARTS, take_part);
	need(count_morsels() == 1);
}

static void everything_at_once(void **state)
{
	memset(turns, 0, PAGE);
	assert_race(race_all);
	assert_int_equal(pool_info().used_bytes, 0);
}

/* Unloading may succeed whenever nobody has anything; whoever opens then is told so. */

static void use_what_is_there(void)
{
	int control = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	struct morsel_create args = {
		.size = sizeof(args),
		.length = HUGE,
		.mode = 0600,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
	};
	char *memory;

	if (control < 0) {
		need(errno == ENOENT || errno == ENODEV || errno == ENXIO);
		return;
	}
	need(!ioctl(control, MORSEL_IOC_CREATE, &args));
	close(control);
	memory = map(args.fd, HUGE, RW);
	close(args.fd);
	memory[0]++;
	need(memory[0] == 1);
	need(!munmap(memory, HUGE));
}

/* The users' numbers, and after them that of who unloads. */
#define USERS 2

static _Noreturn void use_and_let_unload(unsigned int self)
{
	unsigned int round;

	pin_to_cpu(self);
	for (round = 0;; round++) {
		use_what_is_there();
		took_turn(self);
		/* When all hold still, it is unloaded; and meanwhile it may be, too. */
		if (round % 8 == 7)
			wait_for_turn(USERS);
	}
}

static void unloading_against_opening(void **state)
{
	unsigned int i, unloaded = 0;
	pid_t pids[USERS];

	close(dev);
	dev = -1;
	for (i = 0; i < USERS; i++) {
		pids[i] = spawn();
		if (!pids[i])
			use_and_let_unload(i);
	}
	while (unloaded < rounds_of(200)) {
		int err = unload_module();

		for (i = 0; i < USERS; i++)
			assert_int_equal(waitpid(pids[i], NULL, WNOHANG), 0);
		if (err) {
			assert_true(err == -EWOULDBLOCK || err == -EBUSY);
			continue;
		}
		unloaded++;
		took_turn(USERS);
		load_module();
	}
	for (i = 0; i < USERS; i++) {
		kill(pids[i], SIGKILL);
		assert_child_killed(pids[i], SIGKILL);
	}
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	assert_done(dev);
	assert_int_equal(count_morsels(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(many_threads_touch_the_same_fresh_pages),
		TEST(many_threads_touch_different_fresh_pages),
		TEST(fault_against_populate_and_write),
		TEST(punched_frames_are_not_seen_again),
		TEST(punched_huge_frames_are_not_seen_again),
		TEST(punched_frames_are_not_seen_by_other_processes),
		TEST(punched_frames_are_not_in_new_mappings),
		TEST(punched_frames_are_not_put_back_by_aging),
		TEST(data_stays_while_munmap_and_mmap_run),
		TEST(data_stays_while_mremap_runs),
		TEST(nothing_is_written_after_mprotect),
		TEST(data_stays_while_fork_runs),
		TEST(data_stays_while_madvise_runs),
		TEST(data_stays_while_proc_is_read),
		TEST(tables_are_there_for_who_looks),
		TEST(punches_of_others_against_munmap),
		TEST(data_stays_while_processes_are_killed),
		TEST(faults_of_others_against_exit),
		TEST(create_against_unlink_and_open),
		TEST(populate_against_a_full_pool),
		TEST(who_fits_is_served),
		TEST(the_last_frame_serves_all),
		TEST(everything_at_once),
		TEST(unloading_against_opening),
		TEST(module_unloads),
	};

	turns_begin();
	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
