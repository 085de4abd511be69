// SPDX-License-Identifier: GPL-2.0
/*
 * Morsels of more than 512 GiB, which are spliced by one entry for that much: also where
 * they have nothing yet.  With four levels of tables and page-table isolation that
 * cannot be, and the same must hold with an entry for each GiB.
 */
#include "common.h"

/* What one entry of the second level from above maps. */
#define TOP (512 * GIB)
#define LENGTH (2 * TOP)
/* And some behind the last whole one. */
#define ODD_LENGTH (2 * TOP + GIB + 4 * MIB)

static bool by_tops(void)
{
	return cpu_has("la57") || !cpu_has("pti");
}

/* Offsets in different GiBs of both halves, none of them the first or the last in its own. */
static const uint64_t places[] = {
	3 * MIB,
	5 * GIB + 17 * PAGE,
	TOP - 9 * PAGE,
	TOP + 200 * GIB + 2 * PAGE,
	LENGTH - GIB + HUGE,
};

static void write_places(char *memory)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		fill_pattern(memory + places[i], PAGE, i);
}

static bool places_read(const char *memory)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!has_pattern(memory + places[i], PAGE, i))
			return false;
	return true;
}

/* A morsel with something at the places, and nowhere else; mapped. */
static char *make_large(int *fd)
{
	char *memory;

	*fd = create(LENGTH, MORSEL_GRANULE_4K);
	memory = map(*fd, LENGTH, RW);
	write_places(memory);
	return memory;
}

/* What a mapping splices, as the trace says. */
static unsigned long entries_spliced(int fd, int prot, char **memory)
{
	unsigned long entries;

	trace_begin("morsel_attach");
	*memory = map(fd, LENGTH, prot);
	assert_int_equal(traced("morsel_attach", "entries", &entries), 1);
	trace_end("morsel_attach");
	return entries;
}

/* Fails if it costs an entry for each GiB where one for 512 can be had, or if not all is there then. */
static void one_entry_maps_512_gib(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);
	uint64_t faults;

	if (!by_tops())
		skip_because("page-table isolation with four levels of tables");
	assert_int_equal((uintptr_t)memory % TOP, 0);
	write_places(memory);
	munmap(memory, LENGTH);
	faults = info_of(fd).faults;
	assert_int_equal(entries_spliced(fd, RW, &memory), LENGTH / TOP);
	assert_true(places_read(memory));
	assert_int_equal(info_of(fd).faults, faults);
	/* A reader's first mapping makes tables for it. */
	assert_int_equal(entries_spliced(fd, PROT_READ, &memory), LENGTH / TOP);
	assert_true(places_read(memory));
	assert_int_equal(info_of(fd).faults, faults);
}

/* Fails if what one process puts into a GiB that had nothing is not there for another. */
static void a_hole_is_filled_for_all(void **state)
{
	int fd, to[2], from[2];
	char *memory = make_large(&fd), byte;
	const uint64_t hole = TOP + 77 * GIB + 5 * PAGE;
	pid_t pid;

	assert_done(pipe(to));
	assert_done(pipe(from));
	pid = spawn();
	if (!pid) {
		char *own = map(fd, LENGTH, RW);

		need(places_read(own));
		/* In the table already, and in what the processor remembers of it. */
		need(own[TOP + GIB] == 0 && own[hole + GIB] == 0);
		need(write(from[1], "", 1) == 1);
		need(read(to[0], &byte, 1) == 1);
		need(has_pattern(own + hole, PAGE, 42));
		fill_pattern(own + hole + PAGE, PAGE, 43);
		_exit(0);
	}
	assert_int_equal(read(from[0], &byte, 1), 1);
	fill_pattern(memory + hole, PAGE, 42);
	assert_int_equal(write(to[1], "", 1), 1);
	assert_child_done(pid);
	assert_true(has_pattern(memory + hole + PAGE, PAGE, 43));
	assert_true(places_read(memory));
}

/* Fails if a process keeps what was punched, or loses what was not. */
static void a_punch_reaches_all(void **state)
{
	int fd, to[2], from[2];
	char *memory = make_large(&fd), byte;
	pid_t pid;

	assert_done(pipe(to));
	assert_done(pipe(from));
	pid = spawn();
	if (!pid) {
		char *own = map(fd, LENGTH, PROT_READ);

		need(places_read(own) && places_read(memory));
		need(write(from[1], "", 1) == 1);
		need(read(to[0], &byte, 1) == 1);
		need(is_zero(own + places[1], PAGE) && is_zero(memory + places[1], PAGE));
		need(has_pattern(own + places[0], PAGE, 0) &&
		     has_pattern(own + places[3], PAGE, 3));
		need(has_pattern(memory + places[2], PAGE, 2));
		_exit(0);
	}
	assert_int_equal(read(from[0], &byte, 1), 1);
	assert_done(punch(fd, places[1], PAGE));
	assert_int_equal(write(to[1], "", 1), 1);
	assert_child_done(pid);
	assert_int_equal(info_of(fd).frame_bytes, (ARRAY_SIZE(places) - 1 + 1) * PAGE);
}

/* Fails if what moves in where a part was unmapped is in the morsel, or the other way round. */
static void a_part_makes_room_for_others(void **state)
{
	static const uint64_t parts[][2] = {
		{7 * GIB, GIB}, {TOP + 30 * GIB + HUGE, 3 * HUGE}, {TOP - GIB, 2 * GIB}, {0, TOP}};
	int fd;

	make_large(&fd);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		char *memory = map(fd, LENGTH, RW), *part = memory + parts[i][0], *other;

		assert_true(places_read(memory));
		assert_done(munmap(part, parts[i][1]));
		assert_int_equal(probe_read(part, NULL), SIGSEGV);
		other = mmap(part, HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		assert_ptr_equal(other, part);
		fill_pattern(other, 64 * KIB, 9);
		assert_true(has_pattern(memory + places[3], PAGE, 3));
		memory[LENGTH - HUGE] = 1;
		assert_int_equal(info_of(fd).attachments, 2);
		/* With nothing of ours left, it is as it was. */
		munmap(memory, parts[i][0]);
		munmap(part + HUGE, LENGTH - parts[i][0] - HUGE);
		assert_true(has_pattern(other, 64 * KIB, 9));
		munmap(other, HUGE);
		memory = map(fd, LENGTH, PROT_READ);
		assert_true(places_read(memory));
		munmap(memory, LENGTH);
	}
}

/* Fails if rights of a part are not its own. */
static void a_part_may_have_other_rights(void **state)
{
	int fd;
	char *memory = make_large(&fd);

	assert_done(mprotect(memory + TOP, 300 * GIB, PROT_READ));
	assert_int_equal(probe_write(memory + places[3], 1), SIGSEGV);
	assert_int_equal(probe_write(memory + TOP + GIB, 1), SIGSEGV);
	assert_int_equal(probe_write(memory + places[4] + PAGE, 1), 0);
	assert_int_equal(probe_write(memory + places[1] + PAGE, 1), 0);
	assert_true(places_read(memory));
	assert_done(mprotect(memory, LENGTH, PROT_NONE));
	assert_int_equal(probe_read(memory + places[0], NULL), SIGSEGV);
	assert_int_equal(probe_read(memory + 9 * GIB, NULL), SIGSEGV);
	assert_done(mprotect(memory, LENGTH, RW));
	assert_true(places_read(memory));
	write_places(memory);
}

/* Fails if a reader can write, or does not see what comes later. */
static void readers_only_read(void **state)
{
	int fd;
	char *memory = make_large(&fd), *readable = map(fd, LENGTH, PROT_READ);

	assert_true(places_read(readable));
	assert_int_equal(probe_write(readable + places[2], 1), SIGSEGV);
	assert_int_equal(probe_write(readable + 400 * GIB, 1), SIGSEGV);
	memory[400 * GIB] = 7;
	assert_int_equal(readable[400 * GIB], 7);
}

static void it_moves(void **state)
{
	int fd;
	char *memory = make_large(&fd), *place = free_place(LENGTH + GIB), *moved;

	/* To where a table maps another part, and back. */
	moved = mremap(memory, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, place + GIB);
	assert_ptr_equal(moved, place + GIB);
	assert_true(places_read(moved));
	moved[33 * GIB] = 1;
	assert_int_equal(probe_read(memory + places[0], NULL), SIGSEGV);
	assert_ptr_equal(mremap(moved, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, memory),
			 memory);
	assert_true(places_read(memory));
	assert_int_equal(memory[33 * GIB], 1);
	assert_int_equal(info_of(fd).attachments, 1);
}

/* Fails if a mapping that begins and ends between two entries has other memory than it should. */
static void it_begins_and_ends_anywhere(void **state)
{
	static const uint64_t starts[] = {0, GIB, HUGE, 511 * GIB, TOP - HUGE};
	char *place = free_place(ODD_LENGTH + 2 * TOP);
	int fd = create(ODD_LENGTH, MORSEL_GRANULE_4K);

	place = (char *)(((uintptr_t)place + TOP - 1) & ~(TOP - 1));
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		char *start = place + starts[i], *before = NULL, *behind;
		char *memory = map_at(start, fd, ODD_LENGTH, RW, 0);

		if (starts[i]) {
			before = mmap(start - HUGE, HUGE, RW,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			assert_ptr_equal(before, start - HUGE);
			before[HUGE - 1] = 11;
		}
		behind = mmap(start + ODD_LENGTH, HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			      -1, 0);
		assert_ptr_equal(behind, start + ODD_LENGTH);
		behind[0] = 22;
		write_places(memory);
		memory[ODD_LENGTH - 1] = i + 1;
		assert_true(places_read(memory));
		munmap(memory, ODD_LENGTH);
		memory = map_at(start, fd, ODD_LENGTH, PROT_READ, 0);
		assert_true(places_read(memory));
		assert_int_equal(memory[ODD_LENGTH - 1], i + 1);
		munmap(memory, ODD_LENGTH);
		assert_int_equal(before ? before[HUGE - 1] : 11, 11);
		assert_int_equal(behind[0], 22);
		munmap(behind, HUGE);
		if (before)
			munmap(before, HUGE);
		assert_done(punch(fd, 0, ODD_LENGTH));
	}
}

/* Fails if a dying process takes tables along that are not its own. */
static void children_come_and_go(void **state)
{
	int fd, i, ready[2];
	char *memory = make_large(&fd), byte;
	pid_t pid;

	assert_done(pipe(ready));
	for (i = 0; i < 20; i++) {
		pid = spawn();
		if (!pid) {
			need(places_read(memory));
			memory[(i * 50 + 1) * GIB] = i + 1;
			need(write(ready[1], "", 1) == 1);
			if (i % 2)
				_exit(0);
			pause();
		}
		assert_int_equal(read(ready[0], &byte, 1), 1);
		if (i % 2) {
			assert_child_done(pid);
		} else {
			kill(pid, SIGKILL);
			assert_child_killed(pid, SIGKILL);
		}
		assert_int_equal(memory[(i * 50 + 1) * GIB], i + 1);
	}
	assert_true(places_read(memory));
	assert_int_equal(info_of(fd).attachments, 1);
}

/* Fails if a mapping that is longer than its morsel, or a morsel that ends within 512 GiB, is spliced beyond that. */
static void it_ends_anywhere(void **state)
{
	static const uint64_t lengths[] = {TOP - HUGE, TOP, TOP + HUGE, 600 * GIB, LENGTH - HUGE};
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M,
					    MORSEL_GRANULE_AUTO};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		int fd = create(lengths[i], granules[i % ARRAY_SIZE(granules)]);
		char *memory = map(fd, LENGTH, RW), *last = memory + lengths[i] - PAGE;

		fill_pattern(memory + 5 * GIB, PAGE, 1);
		fill_pattern(last, PAGE, 2);
		assert_int_equal(probe_read(last + PAGE, NULL), SIGBUS);
		assert_int_equal(probe_write(memory + LENGTH - 1, 1), SIGBUS);
		munmap(memory, LENGTH);
		memory = map(fd, LENGTH, PROT_READ);
		last = memory + lengths[i] - PAGE;
		assert_true(has_pattern(memory + 5 * GIB, PAGE, 1) && has_pattern(last, PAGE, 2));
		assert_int_equal(probe_read(last + PAGE, NULL), SIGBUS);
		/* Splitting it where nothing can be spliced, and elsewhere. */
		assert_done(munmap(memory + LENGTH - 3 * HUGE, HUGE));
		assert_done(munmap(memory + 7 * GIB, HUGE));
		assert_true(has_pattern(memory + 5 * GIB, PAGE, 1));
		munmap(memory, LENGTH);
		close(fd);
	}
}

/* Fails if each time that a part is detached, another table is left behind. */
static void tables_do_not_gather(void **state)
{
	unsigned long before, i;
	char *memory;
	pid_t pid;
	int fd;

	if (!by_tops())
		skip_because("page-table isolation with four levels of tables");
	memory = make_large(&fd);
	pid = spawn();
	if (!pid) {
		/* The child's first fault makes tables that are its own. */
		need(places_read(memory));
		before = kib_of(read_text("/proc/self/status"), "VmPTE");
		for (i = 1; i < LENGTH / GIB; i++) {
			need(!madvise(memory, PAGE, MADV_DONTNEED));
			memory[i * GIB + 7 * PAGE] = 1;
		}
		need(places_read(memory));
		need(kib_of(read_text("/proc/self/status"), "VmPTE") <= before + 64);
		_exit(0);
	}
	assert_child_done(pid);
	assert_true(places_read(memory));
}

#define ROUNDS 10000

/* What the races have in common. */
static int race_fd;
static char *race_memory;
static atomic_bool race_over;

static void *touch_all_over(void *unused)
{
	uint64_t random = 1;

	pin_to_cpu(0);
	while (!race_over) {
		volatile char *at = race_memory + random_next(&random) % (LENGTH / GIB) * GIB;
		char found = *at;

		need(found == 0 || found == 'x');
		*at = 'x';
		/* It may have been punched since. */
		found = *at;
		need(found == 0 || found == 'x');
		need(has_pattern(race_memory + places[3], PAGE, 3));
	}
	return NULL;
}

/* Fails if a fault finds, or leaves, an entry that is just being taken out. */
static void race_of_faults(void)
{
	unsigned int i, rounds = rounds_of(ROUNDS);
	pthread_t thread;
	uint64_t random = 2;

	race_memory = make_large(&race_fd);
	need(!pthread_create(&thread, NULL, touch_all_over, NULL));
	pin_to_cpu(1);
	for (i = 0; i < rounds; i++) {
		uint64_t offset = random_next(&random) % (LENGTH / GIB) * GIB;

		switch (i % 4) {
		case 0:
			need(!madvise(race_memory + offset, GIB, MADV_DONTNEED));
			break;
		case 1:
			need(!punch(race_fd, offset, PAGE));
			break;
		case 2:
			/* All of it takes the kernel long, as it looks at each 2 MiB. */
			need(!madvise(race_memory, i % 64 == 2 ? LENGTH : PAGE, MADV_DONTNEED));
			break;
		default:
			need(!mprotect(race_memory, LENGTH, RW | PROT_EXEC));
			need(!mprotect(race_memory, LENGTH, RW));
		}
	}
	race_over = true;
	need(!pthread_join(thread, NULL));
	need(places_read(race_memory));
}

static void faults_against_what_takes_out(void **state)
{
	assert_race(race_of_faults);
}

/* The same, with the mapping falling apart more and more. */
static void race_of_splits(void)
{
	unsigned int i, rounds = rounds_of(ROUNDS / 10);
	pthread_t thread;

	race_memory = make_large(&race_fd);
	need(!pthread_create(&thread, NULL, touch_all_over, NULL));
	pin_to_cpu(1);
	for (i = 1; i < rounds && i < LENGTH / GIB; i++) {
		char *at = race_memory + i * 37 % (LENGTH / GIB) * GIB;

		need(!mprotect(at, i % 3 ? GIB : HUGE, RW | PROT_EXEC));
		need(!punch(race_fd, i * GIB, PAGE));
	}
	race_over = true;
	need(!pthread_join(thread, NULL));
	need(has_pattern(race_memory + places[3], PAGE, 3));
}

static void faults_against_splits(void **state)
{
	assert_race(race_of_splits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_entry_maps_512_gib),
		TEST(a_hole_is_filled_for_all),
		TEST(a_punch_reaches_all),
		TEST(a_part_makes_room_for_others),
		TEST(a_part_may_have_other_rights),
		TEST(readers_only_read),
		TEST(it_moves),
		TEST(it_begins_and_ends_anywhere),
		TEST(children_come_and_go),
		TEST(it_ends_anywhere),
		TEST(tables_do_not_gather),
		TEST(faults_against_what_takes_out),
		TEST(faults_against_splits),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
