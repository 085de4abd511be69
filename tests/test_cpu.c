// SPDX-License-Identifier: GPL-2.0
/*
 * What only some processors do, or only when asked: five levels of tables, and
 * tables of their own for user space.
 */
#include "kernel.h"

#define LENGTH (GIB + 8 * MIB)
#define ROUNDS rounds_of(10000)

/* Addresses up to here are what programs get that do not ask for more. */
#define LOW_END (1UL << 47)

/*
 * Where one entry of the upper table ends and the next begins: with four levels
 * there is nothing beyond.
 */
#define UPPER_END (1UL << 48)

static char *map_high(int fd, char *at)
{
	char *memory = mmap(at, LENGTH, RW, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_true((uintptr_t)memory >= LOW_END);
	return memory;
}

static void use_high_memory(char *memory, int fd)
{
	char *low = map(fd, LENGTH, RW);
	unsigned char byte;
	pid_t pid;

	assert_true((uintptr_t)low < LOW_END);
	for (size_t at = 0; at < LENGTH; at += GIB / 4)
		fill_pattern(memory + at, PAGE, at / MIB);
	for (size_t at = 0; at < LENGTH; at += GIB / 4)
		assert_true(has_pattern(low + at, PAGE, at / MIB));

	pid = spawn();
	if (!pid) {
		for (size_t at = 0; at < LENGTH; at += GIB / 4)
			need(has_pattern(memory + at, PAGE, at / MIB));
		fill_pattern(memory + 2 * HUGE, PAGE, 1);
		need(!punch(fd, 0, HUGE));
		_exit(0);
	}
	assert_child_done(pid);
	assert_true(has_pattern(memory + 2 * HUGE, PAGE, 1));
	assert_true(is_zero(memory, PAGE));
	assert_true(has_pattern(memory + GIB / 4, PAGE, GIB / 4 / MIB));

	assert_done(madvise(memory, LENGTH, MADV_DONTNEED));
	assert_true(has_pattern(memory + GIB / 4, PAGE, GIB / 4 / MIB));
	assert_done(mprotect(memory, LENGTH, PROT_READ));
	assert_int_equal(probe_write(memory, 1), SIGSEGV);
	assert_done(munmap(memory + GIB / 4, HUGE));
	assert_int_equal(probe_read(memory + GIB / 4, NULL), SIGSEGV);
	assert_int_equal(probe_read(memory + GIB, &byte), 0);
	assert_int_equal(byte, (unsigned char)low[GIB]);
	assert_done(munmap(memory, LENGTH));
	assert_int_equal(probe_read(memory, NULL), SIGSEGV);
	assert_true(has_pattern(low + GIB / 4, PAGE, GIB / 4 / MIB));
	assert_done(munmap(low, LENGTH));
	assert_int_equal(info_of(fd).attachments, 0);
}

/* If a level were left out on the way to an entry, data were lost, or tables of others changed. */
static void mappings_may_lie_above_47_bits(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

	if (!cpu_has("la57"))
		skip_because("no five-level paging");
	for (size_t i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = create(LENGTH, granules[i]);

		use_high_memory(map_high(fd, (char *)(1UL << 52)), fd);
		use_high_memory(map_high(fd, (char *)(1UL << 55) + 3 * HUGE), fd);
		/* Over the end of an entry of the top level. */
		use_high_memory(map_high(fd, (char *)UPPER_END - GIB), fd);
		use_high_memory(map_high(fd, (char *)UPPER_END - 4 * MIB), fd);
	}
}

/*
 * The same of the way from one entry of the top level to another: fails if the data is not there,
 * or stays.
 */
static void mremap_moves_up_and_down(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *low = map_at(free_place(LENGTH), fd, LENGTH, RW, 0), *high = (char *)UPPER_END;

	if (!cpu_has("la57"))
		skip_because("no five-level paging");
	fill_pattern(low + GIB - PAGE, 2 * PAGE, 1);
	assert_ptr_equal(mremap(low, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, high), high);
	assert_true(has_pattern(high + GIB - PAGE, 2 * PAGE, 1));
	assert_int_equal(probe_read(low, NULL), SIGSEGV);
	assert_ptr_equal(mremap(high, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, low), low);
	assert_true(has_pattern(low + GIB - PAGE, 2 * PAGE, 1));
	assert_int_equal(probe_read(high, NULL), SIGSEGV);
}

/* Who reads, over and over, without ever calling the kernel. */
static struct {
	_Atomic(_Atomic uint32_t *) place;
	_Atomic uint32_t seen, rounds;
} reader;

static void *keep_reading(void *arg)
{
	pin_to_cpu(1);
	for (;;) {
		reader.seen = *reader.place;
		reader.rounds++;
	}
	return NULL;
}

/* What was read by a round that began after the call. */
static uint32_t seen(void)
{
	uint32_t rounds = reader.rounds;
	unsigned int tries = 0;

	while (reader.rounds - rounds < 2)
		relax(&tries);
	return reader.seen;
}

static uint32_t granule;

static void race_user_tables(void)
{
	static const size_t places[] = {0, 7 * PAGE, GIB - PAGE, GIB, GIB + 2 * HUGE + PAGE};
	size_t frame = granule == MORSEL_GRANULE_2M ? HUGE : PAGE;
	unsigned int rounds = granule == MORSEL_GRANULE_2M ? rounds_of(1000) : ROUNDS;
	unsigned int round;
	int fd = create(LENGTH, granule);
	char *memory = map(fd, LENGTH, RW);
	pthread_t thread;

	pin_to_cpu(0);
	reader.place = (_Atomic uint32_t *)memory;
	need(!pthread_create(&thread, NULL, keep_reading, NULL));
	for (round = 1; round <= rounds; round++) {
		size_t place = places[round % ARRAY_SIZE(places)];
		_Atomic uint32_t *word = (_Atomic uint32_t *)(memory + place);

		*word = round;
		reader.place = word;
		need(seen() == round);
		need(!punch(fd, place & -frame, frame));
		need(!seen());
	}
}

/*
 * User space has translations of its own, under an identifier of its own: if they
 * were not flushed, the reader would go on seeing the old frame.
 */
static void isolated_tables_lose_punched_frames(void **state)
{
	if (!cpu_has("pti"))
		skip_because("no page-table isolation");
	granule = MORSEL_GRANULE_4K;
	assert_race(race_user_tables);
	granule = MORSEL_GRANULE_2M;
	assert_race(race_user_tables);
}

static void touch_each_span(void *fd)
{
	char *memory = map(*(int *)fd, LENGTH, RW);
	size_t at;

	for (at = 0; at < LENGTH; at += HUGE)
		need(!probe_write(memory + at, 1));
}

/*
 * A processor may remember that an upper entry led to nothing; Intel's forget what they report, of
 * others that is not said, and none of those is here.  So fails if it is not made to forget at the
 * end of each fault, and not if it had to.
 */
static void each_fault_ends_with_the_address_forgotten(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	unsigned int forgotten = calls_of("morsel_forget_here", touch_each_span, &fd);

	assert_true(forgotten >= LENGTH / HUGE);
	assert_int_equal(forgotten, info_of(fd).faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mappings_may_lie_above_47_bits),
		TEST(mremap_moves_up_and_down),
		TEST(isolated_tables_lose_punched_frames),
		KERNEL_TEST(each_fault_ends_with_the_address_forgotten),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
