// SPDX-License-Identifier: GPL-2.0
/*
 * Clones are of one instant: what is in one was there at once, and stays as it was, whatever others do to its
 * source meanwhile.  Rounds, not seconds, bound it.
 *
 * Each race runs in a child.  One thread takes clones all the time, and looks at each; others do what is
 * raced against.  Now and then that one waits until these have come round, and looks again.
 */
#include "kernel.h"

#include <signal.h>
#include <sys/wait.h>

#define LENGTH (4 * MIB)
/* Words all over it, which are written in order. */
#define WORDS 24
#define PLACE(word) ((size_t)(word)*7 % WORDS * (LENGTH / WORDS & -PAGE))

static const uint32_t granules[] = {MORSEL_GRANULE_AUTO, MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

/* Of one granule, of all the races that there are of a kind. */
#define ROUNDS (rounds_of(10000) / ARRAY_SIZE(granules) + 1)

static int source;
static char *memory;
static atomic_uint stop;

static _Atomic uint64_t *word_in(char *mapping, unsigned int word)
{
	return (_Atomic uint64_t *)(mapping + PLACE(word));
}

static void write_words(char *mapping, unsigned int first, unsigned int end, uint64_t value)
{
	unsigned int i;

	for (i = first; i < end; i++)
		*word_in(mapping, i) = value;
}

/* All of them, by a mapping or by calls. */
static void read_words(int fd, unsigned int how, uint64_t *words)
{
	char *mapping = how % 3 ? map(fd, LENGTH, how % 3 == 1 ? PROT_READ : RW) : NULL;
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		if (mapping)
			words[i] = *word_in(mapping, i);
		else
			need(pread(fd, &words[i], sizeof(*words), PLACE(i)) == sizeof(*words));
	}
	if (mapping)
		need(!munmap(mapping, LENGTH));
}

/* So many were written in order, over and over: those that come later are as new, or of the time before. */
static void need_order(const uint64_t *words, unsigned int first, unsigned int end)
{
	unsigned int i;

	for (i = first + 1; i < end; i++) {
		need(words[i] <= words[i - 1]);
		need(words[i] + 1 >= words[first]);
	}
}

/* A clone, and what was seen in it. */
struct taken {
	int fd;
	uint64_t words[WORDS];
};

static void need_same(const struct taken *taken, unsigned int how)
{
	uint64_t words[WORDS];

	read_words(taken->fd, how, words);
	need(!memcmp(words, taken->words, sizeof(words)));
}

/* What takes part in a race; the first is who clones. */
#define PARTS 3

struct contest {
	/* What there is to be before, and after. */
	void (*begin)(void);
	void (*end)(void);
	/* What the others do over and over. */
	void (*turn)(unsigned int self);
	unsigned int nr_others;
	/* What is so at any instant. */
	void (*check)(const uint64_t *words);
};

static const struct contest *contest;

/* Of which each may be looked at once more when the next ones have been taken. */
#define KEPT 4

static void take_clones(void)
{
	struct taken kept[KEPT], *taken;
	unsigned int round, i;

	for (round = 0; round < ROUNDS; round++) {
		taken = &kept[round % KEPT];
		if (round >= KEPT) {
			if (round % 4 == 0)
				need_same(taken, round);
			/* Whose words are its own by now is nobody's matter. */
			if (round % 5 == 0)
				need(pwrite(taken->fd, &round, sizeof(round),
					    PLACE(round % WORDS)) == sizeof(round));
			need(!close(taken->fd));
		}
		taken->fd = clone_with(source, 0, "");
		need(taken->fd >= 0);
		read_words(taken->fd, round / 2, taken->words);
		contest->check(taken->words);
		for (i = 1; now_and_then(round) && i <= contest->nr_others; i++)
			wait_for_turn(i);
		if (now_and_then(round))
			need_same(taken, round);
	}
	for (i = 0; i < KEPT; i++)
		close(kept[i].fd);
	atomic_store(&stop, 1);
}

static void *take_part(void *arg)
{
	unsigned int self = *(unsigned int *)arg;

	if (!self)
		take_clones();
	for (; self && !atomic_load(&stop); took_turn(self))
		contest->turn(self);
	return NULL;
}

static void race_clones(void)
{
	unsigned int numbers[PARTS] = {0, 1, 2}, i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		source = create(LENGTH, granules[i]);
		memory = map(source, LENGTH, RW);
		if (contest->begin)
			contest->begin();
		atomic_store(&stop, 0);
		run_threads(1 + contest->nr_others, take_part, numbers, sizeof(numbers[0]));
		if (contest->end)
			contest->end();
		need(!munmap(memory, LENGTH));
		close(source);
	}
}

static void assert_contest(const struct contest *which)
{
	contest = which;
	assert_race(race_clones);
	assert_int_equal(count_morsels(), 0);
	assert_soon(!pool_info().used_bytes);
}

/* Two threads write, on both processors: each half of the words. */

static void write_half(unsigned int self)
{
	unsigned int first = (self - 1) * WORDS / 2;

	write_words(memory, first, first + WORDS / 2, *word_in(memory, first) + 1);
}

static void check_halves(const uint64_t *words)
{
	need_order(words, 0, WORDS / 2);
	need_order(words, WORDS / 2, WORDS);
}

static void clones_against_writes(void **state)
{
	assert_contest(
		&(struct contest){.turn = write_half, .nr_others = 2, .check = check_halves});
}

/* A device reads from a file into pages, which it has pinned then, and whoever asked for that finds it there. */

#define DISK_PAGES 8

static int disk;

static void read_from_disk(unsigned int self)
{
	unsigned int round = turns[self], i;

	for (i = 0; i < DISK_PAGES; i++) {
		char *page = memory + PLACE(i);

		need(pread(disk, page, PAGE, round % 2 * PAGE) == PAGE);
		need(has_pattern(page, PAGE, round % 2 + 1));
	}
}

static void put_on_disk(void)
{
	char *page = memory + PLACE(WORDS - 1);
	unsigned int i;

	disk = scratch_file(2 * PAGE);
	need(disk >= 0);
	for (i = 0; i < 2; i++) {
		fill_pattern(page, PAGE, i + 1);
		need(pwrite(disk, page, PAGE, i * PAGE) == PAGE);
	}
}

static void check_pages(const uint64_t *words)
{
	static char pages[2][PAGE];
	unsigned int i;

	for (i = 0; i < 2; i++)
		fill_pattern(pages[i], PAGE, i + 1);
	for (i = 0; i < DISK_PAGES; i++)
		need(!words[i] || !memcmp(&words[i], pages[0], sizeof(*words)) ||
		     !memcmp(&words[i], pages[1], sizeof(*words)));
}

static void clones_against_pins(void **state)
{
	int fd = scratch_file(PAGE);

	if (fd < 0)
		skip_because("there is no file system that takes O_DIRECT");
	close(fd);
	assert_contest(&(struct contest){.begin = put_on_disk,
					 .turn = read_from_disk,
					 .nr_others = 1,
					 .check = check_pages});
}

/* What is punched goes at once, all of it or all but the first word; then all is written in order. */

static void write_and_punch(unsigned int self)
{
	size_t edge = turns[self] % 2 ? 64 * KIB : 0;

	write_words(memory, 0, WORDS, *word_in(memory, 0) + turns[self] + 1);
	need(!punch(source, edge, LENGTH - 2 * edge));
}

static void check_begin(const uint64_t *words)
{
	unsigned int i;

	for (i = 1; i < WORDS && words[i]; i++)
		need(words[i] == words[0]);
	for (; i < WORDS; i++)
		need(!words[i]);
}

static void clones_against_punches(void **state)
{
	assert_contest(
		&(struct contest){.turn = write_and_punch, .nr_others = 1, .check = check_begin});
}

static void check_order(const uint64_t *words)
{
	need_order(words, 0, WORDS);
}

static void need_value(char *mapping, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		need(*word_in(mapping, i) == value);
}

/* Children write by what they have inherited. */

static void have_child_write(unsigned int self)
{
	uint64_t value = *word_in(memory, 0);
	pid_t pid = spawn();

	if (!pid) {
		need_value(memory, value);
		write_words(memory, 0, WORDS, value + 1);
		_exit(0);
	}
	need(!wait_child(pid));
	need_value(memory, value + 1);
}

static void clones_against_forks(void **state)
{
	assert_contest(
		&(struct contest){.turn = have_child_write, .nr_others = 1, .check = check_order});
}

/* What was written by a mapping that is gone is there in the next. */

static void map_write_and_unmap(unsigned int self)
{
	char *mapping = map(source, LENGTH, RW);
	uint64_t value = *word_in(mapping, 0);

	need_value(mapping, value);
	write_words(mapping, 0, WORDS, value + 1);
	if (turns[self] % 2)
		need(!munmap(mapping + MIB, MIB));
	need(!munmap(mapping, LENGTH));
}

static void clones_against_unmapping(void **state)
{
	assert_contest(&(struct contest){
		.turn = map_write_and_unmap, .nr_others = 1, .check = check_order});
}

/* Who writes is killed in the midst of it. */

#define WHO_ENDS 2

static _Noreturn void write_until_killed(void)
{
	char *mapping = map(source, LENGTH, RW);
	uint64_t value;

	/* What the last one had begun. */
	for (value = *word_in(mapping, 0);; value++, took_turn(WHO_ENDS))
		write_words(mapping, 0, WORDS, value);
}

static void kill_who_writes(unsigned int self)
{
	pid_t pid = spawn();

	if (!pid)
		write_until_killed();
	wait_for_turn_of(pid, WHO_ENDS);
	need(!kill(pid, SIGKILL));
	need(wait_child(pid) == 128 + SIGKILL);
}

static void clones_against_exits(void **state)
{
	assert_contest(
		&(struct contest){.turn = kill_who_writes, .nr_others = 1, .check = check_order});
}

/* Snapshots get the name that others take away, and open. */

static void name_snapshots(void)
{
	int fd;

	write_words(memory, 0, WORDS, *word_in(memory, 0) + 1);
	fd = clone_with(source, MORSEL_CLONE_SNAPSHOT, "then");
	need(fd >= 0 || errno == EEXIST);
	close(fd);
}

static void open_and_unlink(unsigned int round)
{
	struct taken taken = {.fd = open_with(0, "then", MORSEL_OPEN_READ_ONLY)};

	need(taken.fd >= 0 || errno == ENOENT);
	need(!unlink_morsel(0, "then") || errno == ENOENT);
	if (taken.fd < 0)
		return;
	read_words(taken.fd, 0, taken.words);
	check_order(taken.words);
	need_same(&taken, round % 2);
	close(taken.fd);
}

static void unlink_last(void)
{
	need(!unlink_morsel(0, "then") || errno == ENOENT);
}

static void name_or_unlink(unsigned int self)
{
	if (self == 1)
		name_snapshots();
	else
		open_and_unlink(turns[self]);
}

static void clones_against_unlinking(void **state)
{
	assert_contest(&(struct contest){
		.turn = name_or_unlink, .end = unlink_last, .nr_others = 2, .check = check_order});
}

/*
 * Forks, of a private mapping, are such clones, too: by threads that write, as above.  The child looks twice, with
 * a turn of these in between, and writes; so does its own child.
 */

static char *heap;

static void write_half_of_heap(unsigned int self)
{
	unsigned int first = (self - 1) * WORDS / 2;

	write_words(heap, first, first + WORDS / 2, *word_in(heap, first) + 1);
}

static void read_heap(uint64_t *words)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		words[i] = *word_in(heap, i);
}

static _Noreturn void look_twice(unsigned int round, unsigned int generation)
{
	uint64_t words[WORDS], again[WORDS];
	unsigned int i;
	pid_t pid = 1;

	for (;;) {
		read_heap(words);
		check_halves(words);
		for (i = 1; now_and_then(round) && i <= 2; i++)
			wait_for_turn(i);
		read_heap(again);
		need(!memcmp(words, again, sizeof(words)));
		*word_in(heap, round % WORDS) = 0;
		*word_in(heap, 0) = *word_in(heap, WORDS / 2) = words[0] + words[WORDS / 2] + 2;
		write_words(heap, 0, WORDS, *word_in(heap, 0));
		if (generation--) {
			pid = spawn();
			if (!pid)
				continue;
			need(!wait_child(pid));
		}
		_exit(0);
	}
}

static void *fork_all_the_time(void *arg)
{
	unsigned int self = *(unsigned int *)arg, round;
	pid_t pid;

	for (; self && !atomic_load(&stop); took_turn(self))
		write_half_of_heap(self);
	for (round = 0; !self && round < ROUNDS; round++) {
		pid = spawn();
		if (!pid)
			look_twice(round, round % 8 == 0);
		need(!wait_child(pid));
	}
	atomic_store(&stop, 1);
	return NULL;
}

static void race_forks(void)
{
	unsigned int numbers[PARTS] = {0, 1, 2}, i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		source = create(LENGTH, granules[i]);
		heap = mmap(NULL, LENGTH, RW, MAP_PRIVATE, source, 0);
		need(heap != MAP_FAILED);
		close(source);
		atomic_store(&stop, 0);
		run_threads(PARTS, fork_all_the_time, numbers, sizeof(numbers[0]));
		need(!munmap(heap, LENGTH));
	}
}

static void forks_against_writes(void **state)
{
	assert_race(race_forks);
	assert_soon(!pool_info().used_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clones_against_writes),	TEST(clones_against_pins),
		TEST(clones_against_punches),	TEST(clones_against_forks),
		TEST(clones_against_unmapping), TEST(clones_against_exits),
		TEST(clones_against_unlinking), TEST(forks_against_writes),
		TEST(module_unloads),
	};

	turns_begin();
	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
