// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping a morsel: places, sizes, granules, rights.
 */
#include "common.h"

#include <sys/resource.h>

static void a_hint_is_taken_or_left(void **state)
{
	int fd = create(8 * MIB, MORSEL_GRANULE_AUTO);
	char *place = free_place(8 * MIB), *memory;

	assert_ptr_equal(mmap(place, 8 * MIB, RW, MAP_SHARED, fd, 0), place);
	/* Where there is something, it goes to where it can be spliced. */
	memory = mmap(place + PAGE, 8 * MIB, RW, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal((uintptr_t)memory % HUGE, 0);
	memory[0] = 1;
	assert_int_equal(place[0], 1);
}

static void the_driver_picks_aligned_places(void **state)
{
	int fd = create(8 * GIB, MORSEL_GRANULE_4K);
	size_t offset;

	for (offset = 0; offset < 4 * GIB; offset += 514 * MIB) {
		char *memory = map_at(NULL, fd, 2 * GIB, RW, offset);

		/* So that whole GiBs can be spliced. */
		assert_int_equal(((uintptr_t)memory - offset) % GIB, 0);
		memory[1] = 1;
		munmap(memory, 2 * GIB);
		memory = map_at(NULL, fd, HUGE, RW, offset);
		assert_int_equal((uintptr_t)memory % HUGE, 0);
		munmap(memory, HUGE);
	}
}

static void beyond_the_end_is_sigbus(void **state)
{
	int fd = create(HUGE + 3 * PAGE, MORSEL_GRANULE_AUTO);
	char *memory = map(fd, 4 * HUGE, RW), *beyond;

	assert_int_equal(probe_write(memory + HUGE + 3 * PAGE - 1, 1), 0);
	assert_int_equal(probe_read(memory + HUGE + 3 * PAGE, NULL), SIGBUS);
	assert_int_equal(probe_write(memory + HUGE + 3 * PAGE, 1), SIGBUS);
	assert_int_equal(probe_write(memory + 2 * HUGE, 1), SIGBUS);
	assert_int_equal(probe_write(memory + 4 * HUGE - 1, 1), SIGBUS);
	/* Wholly beyond, and a GiB of it. */
	beyond = map_at(NULL, fd, GIB, RW, 4 * GIB);
	assert_int_equal(probe_read(beyond, NULL), SIGBUS);
	/* The first touch filled what there is around it. */
	assert_int_equal(info_of(fd).frame_bytes, 3 * PAGE);
}

static void frames_come_one_by_one_with_4k(void **state)
{
	int fd = create(8 * MIB, MORSEL_GRANULE_4K), i;
	char *memory = map(fd, 8 * MIB, RW);

	for (i = 0; i < 10; i++) {
		memory[i * 300 * KIB] = 1;
		assert_int_equal(info_of(fd).frame_bytes, (i + 1) * PAGE);
	}
	assert_int_equal(info_of(fd).huge_bytes, 0);
}

static void frames_come_by_2m_with_2m(void **state)
{
	int fd = create(8 * MIB, MORSEL_GRANULE_2M), i;
	char *memory = map(fd, 8 * MIB, RW);

	for (i = 0; i < 4; i++) {
		memory[i * HUGE + 777] = 1;
		assert_int_equal(info_of(fd).frame_bytes, (i + 1) * HUGE);
		assert_int_equal(info_of(fd).huge_bytes, (i + 1) * HUGE);
		assert_true(is_zero(memory + i * HUGE, 777));
		assert_true(is_zero(memory + i * HUGE + 778, HUGE - 778));
	}
}

static void auto_uses_2m_where_it_fits(void **state)
{
	int fd = create(2 * HUGE + 2 * PAGE, MORSEL_GRANULE_AUTO);
	char *memory = map(fd, 3 * HUGE, RW);

	memory[0] = 1;
	assert_int_equal(info_of(fd).huge_bytes, HUGE);
	memory[2 * HUGE] = 1;
	assert_int_equal(info_of(fd).huge_bytes, HUGE);
	assert_int_equal(info_of(fd).frame_bytes, HUGE + 2 * PAGE);
}

/* What the extents say of a shape. */
static unsigned int extents_of(int fd, struct morsel_extent *extents, unsigned int room)
{
	unsigned int count = 0;
	uint64_t cursor = 0;
	int got;

	/* In small steps, to test those. */
	while ((got = list_step(fd, MORSEL_IOC_EXTENTS, &cursor, extents + count,
				sizeof(extents[0]), count + 2 <= room ? 2 : room - count)) > 0)
		count += got;
	assert_int_equal(got, 0);
	return count;
}

static void extents_show_the_shape(void **state)
{
	struct morsel_extent extents[64];
	unsigned int count, i;
	uint64_t next = 0, frames = 0;
	int fd = create(3 * GIB, MORSEL_GRANULE_4K);

	assert_done(populate(fd, 0, 8 * PAGE));
	assert_done(populate(fd, GIB + HUGE, PAGE));
	count = extents_of(fd, extents, ARRAY_SIZE(extents));
	for (i = 0; i < count; i++) {
		assert_int_equal(extents[i].offset, next);
		assert_true(extents[i].length > 0);
		next += extents[i].length;
		if (extents[i].level == MORSEL_LEVEL_4K) {
			frames += extents[i].length;
			assert_int_not_equal(extents[i].frame, 0);
			assert_int_equal(extents[i].node, info_of(fd).node);
		} else {
			assert_int_equal(extents[i].node, MORSEL_ANY);
		}
	}
	assert_int_equal(next, 3 * GIB);
	assert_int_equal(frames, 9 * PAGE);
	assert_int_equal(extents[0].level, MORSEL_LEVEL_4K);
	assert_int_equal(extents[count - 1].level, MORSEL_LEVEL_HOLE_1G);
	assert_int_equal(extents[count - 1].length, GIB);
	assert_int_equal(extents[count - 2].level, MORSEL_LEVEL_HOLE_2M);
	assert_int_equal(extents[count - 3].level, MORSEL_LEVEL_HOLE_4K);
	assert_int_equal(extents[count - 3].length, HUGE - PAGE);

	fd = create(2 * HUGE, MORSEL_GRANULE_2M);
	assert_done(populate(fd, HUGE, HUGE));
	count = extents_of(fd, extents, ARRAY_SIZE(extents));
	assert_int_equal(count, 2);
	assert_int_equal(extents[0].level, MORSEL_LEVEL_HOLE_2M);
	assert_int_equal(extents[1].level, MORSEL_LEVEL_2M);
	assert_int_equal(extents[1].frame % 512, 0);
}

static void frame_numbers_are_for_the_admin(void **state)
{
	int fd = create(HUGE, MORSEL_GRANULE_4K);
	pid_t pid;

	assert_done(populate(fd, 0, PAGE));
	pid = spawn();
	if (!pid) {
		struct morsel_extent extent;
		uint64_t cursor = 0;

		become(OTHER);
		need(list_step(fd, MORSEL_IOC_EXTENTS, &cursor, &extent, sizeof(extent), 1) == 1);
		need(extent.level == MORSEL_LEVEL_4K && extent.length == PAGE && !extent.frame);
		_exit(0);
	}
	assert_child_done(pid);
}

/*
 * Pages that were touched in another order than they lie in have frames that do not follow each
 * other.  Fails if where extents end tells of that who may not know of frames.
 */
static void extents_do_not_tell_which_frames_follow_each_other(void **state)
{
	int fd = create(HUGE, MORSEL_GRANULE_4K), i;
	struct morsel_extent extents[64];
	pid_t pid;

	for (i = 31; i >= 0; i--)
		assert_int_equal(pwrite(fd, "x", 1, i * PAGE), 1);
	assert_true(extents_of(fd, extents, ARRAY_SIZE(extents)) > 2);
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(extents_of(fd, extents, ARRAY_SIZE(extents)) == 2);
		need(!extents[0].offset && extents[0].length == 32 * PAGE && !extents[0].frame);
		need(extents[1].level == MORSEL_LEVEL_HOLE_4K);
		_exit(0);
	}
	assert_child_done(pid);
}

/* What a thread that maps other things has got done while the morsel was being filled. */
static struct {
	int fd;
	uint64_t length;
	atomic_bool stop;
	atomic_uint amid;
} filling;

static bool is_half_filled(void)
{
	uint64_t bytes = info_of(filling.fd).frame_bytes;

	return bytes && bytes < filling.length;
}

static void *map_other_things(void *unused)
{
	while (!filling.stop) {
		bool amid = is_half_filled();
		void *page = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		need(page != MAP_FAILED);
		need(!munmap(page, PAGE));
		filling.amid += amid && is_half_filled();
	}
	return NULL;
}

static void fill_beside_who_maps(void)
{
	pthread_t thread;
	void *memory;

	filling.length = 256 * MIB;
	while (!filling.amid && !time_is_up()) {
		filling.fd = create(filling.length, MORSEL_GRANULE_4K);
		filling.stop = false;
		need(!pthread_create(&thread, NULL, map_other_things, NULL));
		memory = mmap(NULL, filling.length, RW, MAP_SHARED | MAP_POPULATE, filling.fd, 0);
		need(memory != MAP_FAILED);
		filling.stop = true;
		need(!pthread_join(thread, NULL));
		need(!munmap(memory, filling.length));
		close(filling.fd);
	}
	need(filling.amid);
}

/*
 * Fails if a mapping that is filled as it is made keeps the threads beside it, and who looks at the
 * process, from its address space until it is full.
 */
static void who_fills_much_lets_others_map(void **state)
{
	assert_race(fill_beside_who_maps);
}

static void four_tib_cost_nothing_until_touched(void **state)
{
	int fd = create(4 * TIB, MORSEL_GRANULE_4K), i;
	uint64_t used = pool_info().used_bytes;
	char *memory;

	assert_true(used <= 64 * KIB);
	memory = map(fd, 4 * TIB, RW);
	for (i = 0; i < 8; i++)
		memory[i * (TIB / 2) + 12345] = i + 1;
	memory[4 * TIB - 1] = 99;
	assert_int_equal(info_of(fd).frame_bytes, 9 * PAGE);
	/* One PMD and one PTE table for each place, and a PUD table for each 512 GiB. */
	assert_int_equal(info_of(fd).table_bytes, (18 + 8) * PAGE);
	munmap(memory, 4 * TIB);
	memory = map(fd, 4 * TIB, PROT_READ);
	for (i = 0; i < 8; i++)
		assert_int_equal(memory[i * (TIB / 2) + 12345], i + 1);
	assert_int_equal(memory[4 * TIB - 1], 99);
	assert_int_equal(memory[TIB / 4], 0);
}

static void the_largest_maps(void **state)
{
	uint64_t length = query().max_length;
	int fd = create(length, MORSEL_GRANULE_4K);
	char *memory = map(fd, length, RW);

	memory[0] = 1;
	memory[length - 1] = 2;
	munmap(memory, length);
	memory = map_at(NULL, fd, GIB, PROT_READ, length - GIB);
	assert_int_equal(memory[GIB - 1], 2);
}

/* Heads and tails that are spliced by 2 MiB, around GiBs that are spliced whole. */
static void parts_of_gibs_map(void **state)
{
	static const struct {
		size_t offset;
		size_t length;
	} parts[] = {
		{0, HUGE},
		{HUGE, HUGE},
		{0, GIB},
		{GIB - HUGE, 2 * HUGE},
		{GIB - HUGE, GIB + 2 * HUGE},
		{GIB + HUGE, GIB},
		{0, 3 * GIB},
		{512 * MIB, 2 * GIB},
		{3 * GIB - HUGE, HUGE},
		{2 * HUGE, 3 * GIB - 4 * HUGE},
	};
	int fd = create(3 * GIB, MORSEL_GRANULE_4K);
	char *whole = map(fd, 3 * GIB, RW);
	unsigned int i, shift;
	size_t at;

	/* A mark in each 64 MiB, and around the GiBs. */
	for (at = 0; at < 3 * GIB; at += 64 * MIB) {
		whole[at] = at / (64 * MIB) + 1;
		whole[at + 64 * MIB - 1] = at / (64 * MIB) + 101;
	}
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		for (shift = 0; shift < 3; shift++) {
			/* At places that fit the morsel's GiBs, and others. */
			char *place = free_place(5 * GIB) + shift * 6 * MIB;
			char *part = map_at(place, fd, parts[i].length, RW, parts[i].offset);
			size_t end = parts[i].offset + parts[i].length;

			assert_ptr_equal(part, place);
			for (at = 0; at < 3 * GIB; at += 64 * MIB) {
				size_t last = at + 64 * MIB - 1;

				if (at >= parts[i].offset && at < end)
					assert_int_equal((unsigned char)part[at - parts[i].offset],
							 at / (64 * MIB) + 1);
				if (last >= parts[i].offset && last < end)
					assert_int_equal(
						(unsigned char)part[last - parts[i].offset],
						at / (64 * MIB) + 101);
			}
			/* What is written here shows there. */
			part[parts[i].length - 1000] = i + 1;
			assert_int_equal(whole[end - 1000], i + 1);
			/* Nothing beyond the ends. */
			assert_int_equal(probe_read(part + parts[i].length, NULL), SIGSEGV);
			munmap(part, parts[i].length);
		}
}

/*
 * Fails if neighbours in one GiB have a table in common: one would see what the other writes, or
 * lose what it has when that goes.
 */
static void neighbours_share_a_gib(void **state)
{
	char *place = free_place(GIB), *ordinary;
	int first = create(GIB, MORSEL_GRANULE_4K), second = create(GIB, MORSEL_GRANULE_2M);
	char *a = map_at(place, first, 256 * MIB, RW, 0);
	char *b = map_at(place + 256 * MIB, second, 256 * MIB, RW, 256 * MIB);

	ordinary = mmap(place + 512 * MIB, 16 * MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			-1, 0);
	assert_ptr_equal(ordinary, place + 512 * MIB);
	fill_pattern(a, 64 * KIB, 1);
	fill_pattern(b, 64 * KIB, 2);
	fill_pattern(ordinary, 64 * KIB, 3);
	assert_true(has_pattern(a, 64 * KIB, 1));
	assert_true(has_pattern(b, 64 * KIB, 2));
	munmap(a, 256 * MIB);
	assert_true(has_pattern(b, 64 * KIB, 2));
	assert_true(has_pattern(ordinary, 64 * KIB, 3));
	munmap(b, 256 * MIB);
	assert_true(has_pattern(ordinary, 64 * KIB, 3));
	/* A whole GiB over what was ordinary memory before. */
	a = map_at(place, first, GIB, RW, 0);
	assert_true(has_pattern(a, 64 * KIB, 1));
	assert_true(is_zero(a + 512 * MIB, 64 * KIB));
	munmap(ordinary, GIB - 512 * MIB);
	assert_true(has_pattern(a, 64 * KIB, 1));
}

static void read_only_mappings_only_read(void **state)
{
	int fd = create(GIB + HUGE, MORSEL_GRANULE_AUTO);
	char *writable = map(fd, GIB + HUGE, RW), *readable = map(fd, GIB + HUGE, PROT_READ);

	writable[0] = 1;
	writable[GIB] = 2;
	assert_int_equal(readable[0], 1);
	assert_int_equal(readable[GIB], 2);
	assert_int_equal(probe_write(readable, 9), SIGSEGV);
	assert_int_equal(probe_write(readable + GIB, 9), SIGSEGV);
	/* What comes later shows too, by way of either. */
	writable[512 * MIB] = 3;
	assert_int_equal(readable[512 * MIB], 3);
	assert_int_equal(readable[768 * MIB], 0);
	writable[768 * MIB] = 4;
	assert_int_equal(readable[768 * MIB], 4);
	assert_int_equal(probe_write(readable + 768 * MIB, 9), SIGSEGV);
	assert_int_equal(info_of(fd).flags & MORSEL_INFO_TABLESETS, MORSEL_INFO_TABLESETS);
}

static void a_punch_shows_in_read_only_mappings(void **state)
{
	int fd = create(GIB, MORSEL_GRANULE_4K);
	char *writable = map(fd, GIB, RW), *readable = map(fd, GIB, PROT_READ);

	fill_pattern(writable, 4 * PAGE, 1);
	assert_true(has_pattern(readable, 4 * PAGE, 1));
	assert_done(punch(fd, PAGE, 2 * PAGE));
	assert_true(is_zero(readable + PAGE, 2 * PAGE));
	assert_true(has_pattern(readable, PAGE, 1));
	fill_pattern(writable + PAGE, PAGE, 2);
	assert_true(has_pattern(readable + PAGE, PAGE, 2));
}

static char *executed;

static void execute(void)
{
	((void (*)(void))executed)();
}

static void execution_is_only_where_asked_for(void **state)
{
	int fd = create(GIB, MORSEL_GRANULE_AUTO);
	char *writable = map(fd, GIB, RW), *code;
	size_t at;

	for (at = 0; at < GIB; at += 512 * MIB) {
		writable[at] = (char)0xc3; /* ret */
		executed = writable + at;
		assert_int_equal(probe_call(execute), SIGSEGV);
		code = map_at(NULL, fd, GIB, PROT_READ | PROT_EXEC, 0);
		executed = code + at;
		assert_int_equal(probe_call(execute), 0);
		assert_int_equal(probe_write(code + at, 1), SIGSEGV);
		munmap(code, GIB);
		code = map_at(NULL, fd, GIB, RW | PROT_EXEC, 0);
		executed = code + at;
		assert_int_equal(probe_call(execute), 0);
		assert_int_equal(probe_write(code + at, 0xc3), 0);
		/* Taken away again. */
		assert_done(mprotect(code, GIB, PROT_READ));
		assert_int_equal(probe_call(execute), SIGSEGV);
		munmap(code, GIB);
		executed = writable + at;
		assert_int_equal(probe_call(execute), SIGSEGV);
	}
}

static void map_populate_allocates_all(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = create(16 * MIB, granules[i]);
		uint64_t faults;
		char *memory;
		size_t at;

		memory = mmap(NULL, 8 * MIB, RW, MAP_SHARED | MAP_POPULATE, fd, 4 * MIB);
		assert_ptr_not_equal(memory, MAP_FAILED);
		assert_int_equal(info_of(fd).frame_bytes, 8 * MIB);
		faults = info_of(fd).faults;
		assert_true(is_zero(memory, 8 * MIB));
		for (at = 0; at < 8 * MIB; at += PAGE)
			memory[at] = 1;
		assert_int_equal(info_of(fd).faults, faults);
	}
}

/*
 * None in whole GiBs of addresses; in others one each, where nothing has made the process's own
 * upper tables yet.
 */
static void what_is_populated_takes_no_faults(void **state)
{
	const size_t length = 2 * GIB + 64 * MIB;
	/* Huge leaves are not in shared tables where these have no locks. */
	int fd = create(length, MORSEL_GRANULE_4K);
	uint64_t faults;
	char *memory;
	size_t at;

	assert_done(populate(fd, 0, 64 * MIB));
	assert_done(populate(fd, GIB, 64 * MIB));
	assert_done(populate(fd, 2 * GIB, 64 * MIB));
	memory = map_at(free_place(length), fd, length, RW, 0);
	faults = info_of(fd).faults;
	for (at = 0; at < 64 * MIB; at += PAGE) {
		memory[at] = 1;
		memory[GIB + at] = 1;
	}
	assert_int_equal(info_of(fd).faults, faults);
	memory[2 * GIB] = 1;
	faults = info_of(fd).faults;
	for (at = 0; at < 64 * MIB; at += PAGE)
		memory[2 * GIB + at] = 1;
	assert_int_equal(info_of(fd).faults, faults);
}

/* Fails if what mmap() is to populate it does page by page. */
static void populating_by_mmap_takes_a_fault_per_span(void **state)
{
	const size_t length = 64 * MIB;
	int fd = create(length, MORSEL_GRANULE_4K);
	char *memory = mmap(NULL, length, RW, MAP_SHARED | MAP_POPULATE, fd, 0);
	uint64_t faults;

	assert_ptr_not_equal(memory, MAP_FAILED);
	faults = info_of(fd).faults;
	assert_int_equal(info_of(fd).frame_bytes, length);
	assert_in_range(faults, 1, length / HUGE + 1);
	fill_pattern(memory, length, 1);
	assert_int_equal(info_of(fd).faults, faults);

	/* Who did not ask for it is not given more than was touched, whoever touches. */
	fd = create(length, MORSEL_GRANULE_4K);
	memory = map(fd, length, RW);
	assert_done(madvise(memory, PAGE, MADV_POPULATE_WRITE));
	assert_int_equal(info_of(fd).frame_bytes, PAGE);
}

/* Fails if an mmap() that is refused has populated. */
static void a_mapping_that_is_refused_populates_nothing(void **state)
{
	const size_t length = 64 * MIB;
	const struct rlimit none = {0, RLIM_INFINITY};
	int fd = create_named("refused", length, 0600), read_only = reopen_read_only(fd);
	struct rlimit before;

	assert_errno((intptr_t)mmap(NULL, length, RW, MAP_SHARED | MAP_POPULATE, read_only, 0),
		     EACCES);
	assert_done(getrlimit(RLIMIT_AS, &before));
	assert_done(setrlimit(RLIMIT_AS, &none));
	assert_errno((intptr_t)mmap(NULL, length, RW, MAP_SHARED | MAP_POPULATE, fd, 0), ENOMEM);
	assert_done(setrlimit(RLIMIT_AS, &before));
	assert_int_equal(info_of(fd).frame_bytes, 0);
}

/*
 * Other rights want tables of their own, and a morsel of many GiB of small frames has many.  Fails if
 * mmap() makes all of them, or what is left takes a fault for each span.
 */
static void mapping_with_other_rights_shows_what_a_fault_would(void **state)
{
	const size_t gibs = 6, length = gibs * GIB;
	int fd = create(length, MORSEL_GRANULE_4K);
	uint64_t tables, faults, shown;
	char *memory;
	size_t at;

	/* A page in each span, and so a table for each. */
	for (at = 0; at < length; at += HUGE)
		assert_int_equal(pwrite(fd, "x", 1, at), 1);
	tables = info_of(fd).table_bytes;
	memory = map_at(free_place(length), fd, length, PROT_READ, 0);
	shown = info_of(fd).table_bytes - tables;
	assert_in_range(shown, HUGE, 2 * (HUGE + 2 * PAGE));
	faults = info_of(fd).faults;
	for (at = 0; at < length; at += HUGE)
		assert_int_equal(memory[at], 'x');
	assert_true(info_of(fd).faults - faults <= gibs);
}

static void two_mappings_in_one_process_agree(void **state)
{
	int fd = create(GIB + 4 * HUGE, MORSEL_GRANULE_4K);
	char *first = map(fd, GIB + 4 * HUGE, RW), *second = map(fd, GIB + 4 * HUGE, RW);
	char *third = map_at(NULL, fd, 2 * HUGE, RW, GIB - HUGE);

	assert_int_equal(info_of(fd).attachments, 3);
	fill_pattern(first + GIB - PAGE, 2 * PAGE, 1);
	assert_true(has_pattern(second + GIB - PAGE, 2 * PAGE, 1));
	assert_true(has_pattern(third + HUGE - PAGE, 2 * PAGE, 1));
	fill_pattern(third, PAGE, 2);
	assert_true(has_pattern(first + GIB - HUGE, PAGE, 2));
	munmap(first, GIB + 4 * HUGE);
	assert_true(has_pattern(second + GIB - HUGE, PAGE, 2));
	assert_int_equal(info_of(fd).attachments, 2);
}

static void processes_agree(void **state)
{
	int fd = create(GIB + HUGE, MORSEL_GRANULE_4K), to[2], from[2];
	char *memory = map(fd, GIB + HUGE, RW), byte;
	pid_t pid;

	assert_done(pipe(to));
	assert_done(pipe(from));
	pid = spawn();
	if (!pid) {
		char *own = map(fd, GIB + HUGE, RW);

		need(read(to[0], &byte, 1) == 1);
		need(has_pattern(own, 2 * PAGE, 1));
		need(has_pattern(own + GIB, 2 * PAGE, 2));
		fill_pattern(own + MIB, PAGE, 3);
		need(write(from[1], "", 1) == 1);
		need(read(to[0], &byte, 1) == 1);
		need(is_zero(own, PAGE));
		_exit(0);
	}
	fill_pattern(memory, 2 * PAGE, 1);
	fill_pattern(memory + GIB, 2 * PAGE, 2);
	assert_int_equal(write(to[1], "", 1), 1);
	assert_int_equal(read(from[0], &byte, 1), 1);
	assert_true(has_pattern(memory + MIB, PAGE, 3));
	assert_done(punch(fd, 0, PAGE));
	assert_int_equal(write(to[1], "", 1), 1);
	assert_child_done(pid);
}

#define MANY 64

static void sixty_four_processes_map_one(void **state)
{
	int fd = create(GIB, MORSEL_GRANULE_4K), ready[2], go[2], i;
	_Atomic uint64_t *memory = map(fd, GIB, RW);
	uint64_t tables;
	pid_t pids[MANY];
	char byte;

	assert_done(pipe(ready));
	assert_done(pipe(go));
	for (i = 0; i < 16; i++)
		memory[i * 64 * MIB / 8] = 0;
	tables = info_of(fd).table_bytes;
	for (i = 0; i < MANY; i++) {
		pids[i] = spawn();
		if (pids[i])
			continue;
		_Atomic uint64_t *own = map(fd, GIB, RW);

		close(go[1]);
		for (i = 0; i < 16; i++)
			atomic_fetch_add(&own[i * 64 * MIB / 8], 1);
		need(write(ready[1], "", 1) == 1);
		need(read(go[0], &byte, 1) == 0);
		_exit(0);
	}
	for (i = 0; i < MANY; i++)
		assert_int_equal(read(ready[0], &byte, 1), 1);
	/* Each has its own and what it inherited, if it touched that. */
	assert_true(info_of(fd).attachments >= MANY + 1);
	/* The tables are shared, whoever maps them. */
	assert_int_equal(info_of(fd).table_bytes, tables);
	for (i = 0; i < 16; i++)
		assert_int_equal(memory[i * 64 * MIB / 8], MANY);
	close(go[1]);
	for (i = 0; i < MANY; i++)
		assert_child_done(pids[i]);
	assert_int_equal(info_of(fd).attachments, 1);
}

static void frames_are_zero_at_first_sight(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M,
					    MORSEL_GRANULE_AUTO};
	static char buffer[HUGE];
	unsigned int i;

	for (i = 0; i < 9; i++) {
		int fd = create(16 * MIB, granules[i % 3]);
		char *memory = map(fd, 16 * MIB, RW);
		size_t at;

		/* Seen by a fault, by populating, by writing a part. */
		if (i / 3 == 1)
			assert_done(populate(fd, 0, 0));
		if (i / 3 == 2)
			assert_int_equal(pwrite(fd, "x", 1, 5000), 1);
		if (i / 3 == 2) {
			assert_int_equal(pread(fd, buffer, 5000, 0), 5000);
			assert_true(is_zero(buffer, 5000));
			assert_true(is_zero(memory + 5001, PAGE));
			memory[5000] = 0;
		}
		for (at = 0; at < 16 * MIB; at += PAGE)
			assert_int_equal(memory[at], 0);
		assert_true(is_zero(memory, 16 * MIB));
		/* What the next may find. */
		memset(memory, 0x5a, 16 * MIB);
		munmap(memory, 16 * MIB);
		close(fd);
	}
}

/* Mapping and reading a hole gives it a frame or none; either way it reads as zero, everywhere. */
static void a_read_hole_can_be_written_later(void **state)
{
	int fd = create(4 * HUGE, MORSEL_GRANULE_4K);
	char *readable = map(fd, 4 * HUGE, PROT_READ), *writable;

	assert_true(is_zero(readable, 16 * PAGE));
	writable = map(fd, 4 * HUGE, RW);
	fill_pattern(writable, 16 * PAGE, 1);
	assert_true(has_pattern(readable, 16 * PAGE, 1));
	assert_int_equal(info_of(fd).frame_bytes, 16 * PAGE);
}

static void mappings_come_and_go(void **state)
{
	int fd = create(3 * GIB, MORSEL_GRANULE_4K), i;
	uint64_t used;
	char *memory;

	memory = map(fd, 3 * GIB, RW);
	for (i = 0; i < 6; i++)
		memory[i * 512 * MIB] = i;
	used = pool_info().used_bytes;
	munmap(memory, 3 * GIB);
	for (i = 0; i < 300; i++) {
		memory = map_at(NULL, fd, (i % 3 + 1) * GIB - i % 2 * HUGE, RW, i % 2 * HUGE);
		assert_int_equal(memory[512 * MIB - i % 2 * HUGE], 1);
		munmap(memory, (i % 3 + 1) * GIB - i % 2 * HUGE);
	}
	assert_int_equal(pool_info().used_bytes, used);
	assert_int_equal(info_of(fd).attachments, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hint_is_taken_or_left),
		TEST(the_driver_picks_aligned_places),
		TEST(beyond_the_end_is_sigbus),
		TEST(frames_come_one_by_one_with_4k),
		TEST(frames_come_by_2m_with_2m),
		TEST(auto_uses_2m_where_it_fits),
		TEST(extents_show_the_shape),
		TEST(frame_numbers_are_for_the_admin),
		TEST(extents_do_not_tell_which_frames_follow_each_other),
		TEST(four_tib_cost_nothing_until_touched),
		TEST(the_largest_maps),
		TEST(parts_of_gibs_map),
		TEST(neighbours_share_a_gib),
		TEST(read_only_mappings_only_read),
		TEST(a_punch_shows_in_read_only_mappings),
		TEST(execution_is_only_where_asked_for),
		TEST(map_populate_allocates_all),
		TEST(what_is_populated_takes_no_faults),
		TEST(populating_by_mmap_takes_a_fault_per_span),
		TEST(a_mapping_that_is_refused_populates_nothing),
		TEST(who_fills_much_lets_others_map),
		TEST(mapping_with_other_rights_shows_what_a_fault_would),
		TEST(two_mappings_in_one_process_agree),
		TEST(processes_agree),
		TEST(sixty_four_processes_map_one),
		TEST(frames_are_zero_at_first_sight),
		TEST(a_read_hole_can_be_written_later),
		TEST(mappings_come_and_go),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
