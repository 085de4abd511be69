// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings of any length, offset and address: what is no whole span of the morsel is mapped page by
 * page, and what is done at the borders of pages is done to these pages alone.  Where it can be,
 * the same is done to a memfd.
 */
#include "common.h"

#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LENGTH (8 * MIB)

static const uint32_t granules[] = {MORSEL_GRANULE_AUTO, MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

static char scratch[LENGTH];

/* A morsel with text in all its pages. */
static int create_full(uint32_t granule)
{
	int fd = create(LENGTH, granule);

	fill_pattern(scratch, LENGTH, 1);
	assert_int_equal(pwrite(fd, scratch, LENGTH, 0), LENGTH);
	return fd;
}

static bool is_text(const char *memory, size_t length, uint64_t offset)
{
	return !memcmp(memory, scratch + offset, length);
}

/* Fails if anything of it cannot be read or written, or is not what the morsel has. */
static void any_length_and_offset_maps(void **state)
{
	static const size_t lengths[] = {1, PAGE, HUGE - PAGE, HUGE, HUGE + PAGE, 3 * MIB + 5};
	static const size_t offsets[] = {0, PAGE, HUGE - PAGE, HUGE, HUGE + 3 * PAGE};
	unsigned int g, i, k;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create_full(granules[g]);

		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			for (k = 0; k < ARRAY_SIZE(offsets); k++) {
				size_t at = offsets[k], last = at + lengths[i] - 1;
				char *memory = map_at(NULL, fd, lengths[i], RW, at), seen[2];

				assert_true(is_text(memory, lengths[i], at));
				memory[0] ^= 1;
				memory[lengths[i] - 1] ^= 2;
				assert_int_equal(pread(fd, &seen[0], 1, at), 1);
				assert_int_equal(pread(fd, &seen[1], 1, last), 1);
				assert_int_equal(seen[0], memory[0]);
				assert_int_equal(seen[1], memory[lengths[i] - 1]);
				memory[0] ^= 1;
				memory[lengths[i] - 1] ^= 2;
				assert_done(munmap(memory, lengths[i]));
			}
		}
		assert_int_equal(info_of(fd).attachments, 0);
		close(fd);
	}
}

/* Fails if whole spans are not spliced, or what is spliced is more. */
static void whole_spans_are_spliced(void **state)
{
	int fd = create_full(MORSEL_GRANULE_4K);
	char *memory = map_at(NULL, fd, 4 * MIB + 2 * PAGE, RW, HUGE - PAGE);
	uint64_t faults;

	assert_int_equal(((uintptr_t)memory - (HUGE - PAGE)) % HUGE, 0);
	assert_int_equal(info_of(fd).attachments, 1);
	assert_true(is_text(memory + PAGE, PAGE, HUGE));
	faults = info_of(fd).faults;
	assert_true(is_text(memory + PAGE, HUGE, HUGE));
	assert_true(info_of(fd).faults <= faults + 1);
	assert_true(is_text(memory, 4 * MIB + 2 * PAGE, HUGE - PAGE));
	/* A mapping that has none is no attachment. */
	memory = map_at(NULL, fd, HUGE, RW, PAGE);
	assert_true(is_text(memory, HUGE, PAGE));
	assert_int_equal(info_of(fd).attachments, 1);
}

/* Fails if an address that does not agree with the offset is refused, or shows something else. */
static void any_address_will_do(void **state)
{
	unsigned int g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create_full(granules[g]);
		char *place = free_place(2 * LENGTH), *all = map(fd, LENGTH, RW), *memory;

		memory = map_at(place + PAGE, fd, LENGTH, RW, 0);
		assert_true(is_text(memory, LENGTH, 0));
		memory[HUGE + 5] ^= 1;
		assert_int_equal(memory[HUGE + 5], all[HUGE + 5]);
		all[3 * PAGE] ^= 1;
		assert_int_equal(memory[3 * PAGE], all[3 * PAGE]);
		assert_int_equal(info_of(fd).attachments, 1);
		/* A hint is taken where it is free, as of other files. */
		assert_done(munmap(memory, LENGTH));
		assert_ptr_equal(mmap(place + PAGE, LENGTH, RW, MAP_SHARED, fd, 0), place + PAGE);
		close(fd);
	}
}

static void parts_go_at_pages(void **state)
{
	unsigned int g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create_full(granules[g]);
		char *memory = map(fd, LENGTH, RW);

		assert_true(is_text(memory, LENGTH, 0));
		assert_done(munmap(memory + HUGE + PAGE, PAGE));
		assert_done(munmap(memory, PAGE));
		assert_done(munmap(memory + LENGTH - PAGE, PAGE));
		assert_int_equal(probe_read(memory, NULL), SIGSEGV);
		assert_int_equal(probe_read(memory + HUGE + PAGE, NULL), SIGSEGV);
		assert_int_equal(probe_read(memory + LENGTH - 1, NULL), SIGSEGV);
		assert_true(is_text(memory + PAGE, HUGE, PAGE));
		assert_true(is_text(memory + HUGE + 2 * PAGE, LENGTH - HUGE - 3 * PAGE,
				    HUGE + 2 * PAGE));
		/* Somebody else moves in. */
		assert_ptr_equal(mmap(memory + HUGE + PAGE, PAGE, RW,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
				 memory + HUGE + PAGE);
		assert_ptr_equal(mmap(memory + 4 * MIB + 7 * PAGE, 2 * PAGE, RW,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
				 memory + 4 * MIB + 7 * PAGE);
		memset(memory + HUGE + PAGE, 7, PAGE);
		memset(memory + 4 * MIB + 7 * PAGE, 7, 2 * PAGE);
		assert_int_equal(pread(fd, scratch, LENGTH, 0), LENGTH);
		assert_true(has_pattern(scratch, LENGTH, 1));
		assert_true(is_text(memory + 4 * MIB + 9 * PAGE, MIB, 4 * MIB + 9 * PAGE));
		assert_done(munmap(memory, LENGTH));
		assert_int_equal(info_of(fd).attachments, 0);
		close(fd);
	}
}

static void rights_change_at_pages(void **state)
{
	unsigned int g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create_full(granules[g]);
		char *memory = map(fd, LENGTH, RW), *at = memory + HUGE + 3 * PAGE;

		assert_true(is_text(memory, LENGTH, 0));
		assert_done(mprotect(at, PAGE, PROT_READ));
		assert_int_equal(probe_write(at, 1), SIGSEGV);
		assert_int_equal(probe_write(at - 1, 1), 0);
		assert_int_equal(probe_write(at + PAGE, 1), 0);
		assert_true(is_text(at, PAGE, HUGE + 3 * PAGE));
		assert_done(mprotect(at + PAGE, PAGE, PROT_NONE));
		assert_int_equal(probe_read(at + PAGE, NULL), SIGSEGV);
		assert_done(mprotect(at, 2 * PAGE, RW));
		assert_int_equal(probe_write(at, 2), 0);
		assert_int_equal(probe_write(at + PAGE, 2), 0);
		/* What was spliced and is an edge now, and was touched in between. */
		assert_done(mprotect(memory, LENGTH, PROT_READ));
		assert_int_equal(probe_write(at, 3), SIGSEGV);
		assert_int_equal(probe_write(memory, 3), SIGSEGV);
		assert_int_equal(*at, 2);
		close(fd);
		munmap(memory, LENGTH);
	}
}

static void pages_move(void **state)
{
	unsigned int g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create_full(granules[g]);
		char *memory = map(fd, LENGTH, RW), *place = free_place(4 * LENGTH), *moved;

		assert_true(is_text(memory, LENGTH, 0));
		moved = mremap(memory + PAGE, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       place);
		assert_ptr_equal(moved, place);
		assert_true(is_text(moved, 3 * PAGE, PAGE));
		assert_int_equal(probe_read(memory + PAGE, NULL), SIGSEGV);
		assert_true(is_text(memory + 4 * PAGE, LENGTH - 4 * PAGE, 4 * PAGE));
		/* To where nothing can be spliced, touched or not, and back. */
		moved = mremap(memory + HUGE, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       place + LENGTH + PAGE);
		assert_ptr_equal(moved, place + LENGTH + PAGE);
		assert_true(is_text(moved, HUGE, HUGE));
		moved = mremap(moved, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       memory + HUGE);
		assert_ptr_equal(moved, memory + HUGE);
		assert_true(is_text(memory + 4 * PAGE, LENGTH - 4 * PAGE, 4 * PAGE));
		memory[HUGE + 9] ^= 1;
		assert_int_equal(pread(fd, scratch, 10, HUGE), 10);
		assert_int_equal(scratch[9], memory[HUGE + 9]);
		fill_pattern(scratch, LENGTH, 1);
		assert_done(mremap(memory + HUGE, 2 * HUGE, PAGE, 0) == MAP_FAILED ? -1 : 0);
		assert_int_equal(probe_read(memory + HUGE + PAGE, NULL), SIGSEGV);
		munmap(memory, LENGTH);
		munmap(place, 4 * LENGTH);
		assert_int_equal(info_of(fd).attachments, 0);
		close(fd);
	}
}

/* Fails if a page stays that is the morsel's no more, here or in another process. */
static void punching_and_truncating_reach_edges(void **state)
{
	unsigned int g;

	for (g = 0; g < 2; g++) {
		int fd = create_full(granules[g]), talk[2], answer[2];
		char *memory = map_at(NULL, fd, 3 * MIB, RW, MIB), byte;
		char *odd = map_at(free_place(LENGTH) + PAGE, fd, 4 * MIB, PROT_READ, 0);
		pid_t pid;

		assert_done(pipe(talk));
		assert_done(pipe(answer));
		pid = spawn();
		if (!pid) {
			need(is_text(memory, 3 * MIB, MIB));
			need(write(answer[1], "", 1) == 1 && read(talk[0], &byte, 1) == 1);
			need(is_zero(memory, MIB) && is_zero(odd + MIB, MIB));
			need(is_text(memory + MIB, HUGE, HUGE));
			need(write(answer[1], "", 1) == 1 && read(talk[0], &byte, 1) == 1);
			need(probe_read(memory + PAGE, NULL) == SIGBUS);
			need(probe_read(odd + MIB + PAGE, NULL) == SIGBUS);
			need(is_zero(memory, PAGE));
			_exit(0);
		}
		assert_true(is_text(memory, 3 * MIB, MIB));
		assert_true(is_text(odd, 4 * MIB, 0));
		assert_int_equal(read(answer[0], &byte, 1), 1);
		assert_done(punch(fd, MIB, MIB));
		assert_true(is_zero(memory, MIB));
		assert_true(is_zero(odd + MIB, MIB));
		assert_true(is_text(odd, MIB, 0));
		assert_true(is_text(memory + MIB, HUGE, HUGE));
		assert_int_equal(write(talk[1], "", 1), 1);
		assert_int_equal(read(answer[0], &byte, 1), 1);
		assert_done(ftruncate(fd, MIB + PAGE));
		assert_int_equal(probe_read(memory + PAGE, NULL), SIGBUS);
		assert_int_equal(probe_read(odd + MIB + PAGE, NULL), SIGBUS);
		assert_true(is_text(odd, MIB, 0));
		assert_int_equal(write(talk[1], "", 1), 1);
		assert_child_done(pid);
		assert_done(ftruncate(fd, 0));
		assert_int_equal(info_of(fd).frame_bytes, 0);
		assert_soon(!pool_info().pinned_bytes);
		close(fd);
		munmap(memory, 3 * MIB);
		munmap(odd, 4 * MIB);
	}
}

/* A thread reads and writes an edge and what lies around it, until told otherwise. */
static atomic_bool stop;
static atomic_ulong toggles;

static void *use(void *arg)
{
	char *memory = *(char **)arg;
	unsigned int i;

	while (!atomic_load(&stop)) {
		for (i = 0; i < 16; i++)
			*(volatile char *)(memory + i * PAGE);
		atomic_fetch_add(&toggles, 1);
	}
	return NULL;
}

static void race_punch(uint32_t granule)
{
	int fd = create(HUGE, granule);
	char *memory = map_at(NULL, fd, 16 * PAGE, RW, 0);
	unsigned int i, k, rounds = rounds_of(2000);
	pthread_t thread;

	need(!pthread_create(&thread, NULL, use, &memory));
	for (i = 0; i < rounds; i++) {
		unsigned long before = atomic_load(&toggles);
		unsigned int tries = 0;
		char value = 1 + i % 100;

		for (k = 0; k < 16; k++)
			need(pwrite(fd, &value, 1, k * PAGE) == 1);
		if (i % 4 == 0)
			while (atomic_load(&toggles) == before)
				relax(&tries);
		need(!punch(fd, 0, 0));
		for (k = 0; k < 16; k++)
			need(memory[k * PAGE] == 0);
	}
	atomic_store(&stop, true);
	need(!pthread_join(thread, NULL));
}

static void race_punch_4k(void)
{
	race_punch(MORSEL_GRANULE_4K);
}

static void race_punch_auto(void)
{
	race_punch(MORSEL_GRANULE_AUTO);
}

/*
 * Fails if a fault maps a page that a punch has taken away meanwhile: what was there before would be
 * seen after it.
 */
static void a_punched_page_is_not_mapped_again(void **state)
{
	assert_race(race_punch_4k);
	assert_race(race_punch_auto);
}

/* Huge frames are cut under who maps their pages one by one: fails if one waits for the other for ever. */
static void race_cut(void)
{
	unsigned int i, tries, rounds = rounds_of(500);

	for (i = 0; i < rounds; i++) {
		int fd = create(HUGE, MORSEL_GRANULE_AUTO);
		char *memory = map_at(NULL, fd, 16 * PAGE, RW, 0);
		unsigned long before = atomic_load(&toggles);
		pthread_t thread;

		need(pwrite(fd, "x", 1, 0) == 1);
		atomic_store(&stop, false);
		need(!pthread_create(&thread, NULL, use, &memory));
		for (tries = 0; atomic_load(&toggles) == before;)
			relax(&tries);
		need(!madvise(memory, 16 * PAGE, MADV_DONTNEED));
		need(!ftruncate(fd, HUGE - PAGE));
		atomic_store(&stop, true);
		need(!pthread_join(thread, NULL));
		need(memory[0] == 'x');
		munmap(memory, 16 * PAGE);
		close(fd);
	}
}

static void a_frame_is_cut_while_its_pages_are_mapped(void **state)
{
	assert_race(race_cut);
}

static void edges_are_inherited_by_a_fault(void **state)
{
	int fd = create_full(MORSEL_GRANULE_4K);
	char *memory = map_at(NULL, fd, 3 * MIB, RW, PAGE);
	pid_t pid;

	assert_true(is_text(memory, 3 * MIB, PAGE));
	pid = spawn();
	if (!pid) {
		need(is_text(memory, 3 * MIB, PAGE));
		memory[0] = 'c';
		memory[HUGE] = 'd';
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(memory[0], 'c');
	assert_int_equal(memory[HUGE], 'd');
}

static void who_may_only_read_does_at_edges(void **state)
{
	int fd = create_full(MORSEL_GRANULE_4K), read_only = reopen_read_only(fd);
	char *memory = map_at(NULL, read_only, 3 * PAGE, PROT_READ, PAGE);

	assert_true(is_text(memory, 3 * PAGE, PAGE));
	assert_int_equal(probe_write(memory, 1), SIGSEGV);
	assert_errno(mprotect(memory, PAGE, RW), EACCES);
	assert_ptr_equal(mmap(NULL, PAGE, RW, MAP_SHARED, read_only, 0), MAP_FAILED);
	assert_int_equal(pwrite(fd, "x", 1, PAGE), 1);
	assert_int_equal(memory[0], 'x');
}

/* Faults for reading each page of a mapping that has none yet. */
static long faults_to_read(int fd, size_t length)
{
	char *memory = map_at(NULL, fd, length, PROT_READ, PAGE);
	long before = minor_faults();
	size_t at;

	for (at = 0; at < length; at += PAGE)
		*(volatile char *)(memory + at);
	before = minor_faults() - before;
	munmap(memory, length);
	return before;
}

/* Fails if reading what is there takes more faults than of a memfd. */
static void an_edge_takes_no_more_faults_than_a_memfd(void **state)
{
	int fd = create_full(MORSEL_GRANULE_4K), memfd = memfd_create("control", MFD_CLOEXEC);

	assert_int_equal(write(memfd, scratch, MIB), MIB);
	assert_true(faults_to_read(fd, 256 * KIB) <= faults_to_read(memfd, 256 * KIB));
}

/* One page is a word in a span here, and at an edge there. */
static void a_futex_is_the_same_one(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	uint32_t *spliced = (void *)map(fd, LENGTH, RW);
	uint32_t *edge = map_at(NULL, fd, PAGE, RW, PAGE);
	pid_t pid;

	spliced[1024] = 0;
	assert_int_equal(edge[0], 0);
	pid = spawn();
	if (!pid) {
		while (syscall(SYS_futex, &edge[0], FUTEX_WAIT, 0, NULL, NULL, 0) &&
		       errno != EAGAIN)
			need(errno == EINTR);
		_exit(0);
	}
	/* Until it waits, nobody is woken. */
	while (syscall(SYS_futex, &spliced[1024], FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		sleep_ms(1);
	assert_child_done(pid);
}

/* From one kind of entry to the other in one call, both ways. */
static void direct_io_crosses_the_border(void **state)
{
	int fd = create_full(MORSEL_GRANULE_4K), file = scratch_file(LENGTH);
	char *memory = map_at(NULL, fd, 4 * MIB, RW, MIB);
	size_t at = MIB - 4 * PAGE;

	if (file < 0)
		skip_because("there is no file system here that takes O_DIRECT");
	assert_int_equal(pwrite(file, memory + at, 8 * PAGE, 0), 8 * PAGE);
	memset(memory + at, 0, 8 * PAGE);
	assert_int_equal(pread(file, memory + at, 8 * PAGE, 0), 8 * PAGE);
	assert_true(is_text(memory, 4 * MIB, MIB));
	assert_int_equal(pread(fd, scratch, LENGTH, 0), LENGTH);
	assert_true(has_pattern(scratch, LENGTH, 1));
}

/* Old kernels count in each thread, and tell what it has counted after some faults. */
static unsigned long rss_kib(void)
{
	char *memory = mmap(NULL, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t at;

	madvise(memory, MIB, MADV_NOHUGEPAGE);
	for (at = 0; at < MIB; at += PAGE)
		memory[at] = 1;
	munmap(memory, MIB);
	return kib_of(read_text("/proc/self/status"), "RssFile");
}

/* Fails if the kernel does not count them, or does not count them down again. */
static void edges_are_in_the_rss(void **state)
{
	int fd = create_full(MORSEL_GRANULE_4K);
	char *memory = map_at(NULL, fd, MIB, RW, PAGE);
	unsigned long before = rss_kib();

	/* By processor, it counts in parts. */
	assert_true(is_text(memory, MIB, PAGE));
	assert_true(rss_kib() + 512 >= before + 1024);
	assert_done(munmap(memory, MIB));
	assert_true(rss_kib() <= before + 512);
}

/* Advice that is for pages leaves the data, and the frames. */
static void advice_at_edges_loses_nothing(void **state)
{
	static const int advices[] = {
		MADV_NORMAL, MADV_RANDOM,  MADV_SEQUENTIAL,    MADV_WILLNEED,	    MADV_DONTNEED,
		MADV_COLD,   MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	unsigned int g, i;

	for (g = 0; g < 2; g++) {
		int fd = create_full(granules[g]);
		char *memory = map_at(NULL, fd, 4 * MIB, RW, PAGE);
		uint64_t frame = frame_at(fd, 5 * PAGE);

		for (i = 0; i < ARRAY_SIZE(advices); i++) {
			assert_true(is_text(memory, 4 * MIB, PAGE));
			assert_done(madvise(memory + PAGE, 5 * PAGE, advices[i]));
			assert_done(madvise(memory + HUGE + PAGE, PAGE, advices[i]));
		}
		assert_true(is_text(memory, 4 * MIB, PAGE));
		assert_int_equal(frame_at(fd, 5 * PAGE), frame);
		assert_done(mlock(memory, 3 * MIB));
		assert_done(munlock(memory, 3 * MIB));
		assert_done(madvise(memory + 2 * PAGE, PAGE, MADV_REMOVE));
		assert_true(is_zero(memory + 2 * PAGE, PAGE));
		assert_true(is_text(memory, 2 * PAGE, PAGE));
		close(fd);
		munmap(memory, 4 * MIB);
	}
}

/* After soft-dirty bits are cleared, the kernel has entries write-protected that are its own. */
static void edges_are_written_after_clear_refs(void **state)
{
	int fd = create_full(MORSEL_GRANULE_4K);
	char *memory = map_at(NULL, fd, 16 * PAGE, RW, PAGE);
	const char *modes[] = {"1", "2", "3", "4"};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_true(is_text(memory, 16 * PAGE, PAGE));
		assert_true(write_text("/proc/self/clear_refs", modes[i]));
		memory[0] ^= 1;
		assert_int_equal(probe_write(memory + PAGE, memory[PAGE]), 0);
		memory[0] ^= 1;
	}
	assert_true(is_text(memory, 16 * PAGE, PAGE));
}

static void edges_are_not_migrated(void **state)
{
	int fd = create_full(MORSEL_GRANULE_4K), node = 0, status = 0;
	char *memory = map_at(NULL, fd, 16 * PAGE, RW, PAGE);
	uint64_t frame = frame_at(fd, PAGE);
	void *page = memory;

	assert_true(is_text(memory, PAGE, PAGE));
	assert_done(syscall(SYS_move_pages, 0, 1, &page, &node, &status, 0));
	assert_int_equal(frame_at(fd, PAGE), frame);
	assert_true(is_text(memory, PAGE, PAGE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_length_and_offset_maps),
		TEST(whole_spans_are_spliced),
		TEST(any_address_will_do),
		TEST(parts_go_at_pages),
		TEST(rights_change_at_pages),
		TEST(pages_move),
		TEST(punching_and_truncating_reach_edges),
		TEST(a_punched_page_is_not_mapped_again),
		TEST(a_frame_is_cut_while_its_pages_are_mapped),
		TEST(edges_are_inherited_by_a_fault),
		TEST(who_may_only_read_does_at_edges),
		TEST(an_edge_takes_no_more_faults_than_a_memfd),
		TEST(a_futex_is_the_same_one),
		TEST(direct_io_crosses_the_border),
		TEST(edges_are_in_the_rss),
		TEST(advice_at_edges_loses_nothing),
		TEST(edges_are_written_after_clear_refs),
		TEST(edges_are_not_migrated),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
