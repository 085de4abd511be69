// SPDX-License-Identifier: GPL-2.0
/*
 * What system calls do with a morsel's mapping.  Most look whether the call left
 * alone what it should: the data, the frames, and another process that maps the
 * same.
 */
#include "common.h"

#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define LENGTH SCENE_LENGTH

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

static void *map_anonymous(void *address, size_t length)
{
	char *memory = mmap(address, length, RW, ANONYMOUS | MAP_FIXED, -1, 0);

	assert_ptr_equal(memory, address);
	fill_pattern(memory, PAGE, 99);
	return memory;
}

/* Processes that share an address space. */

/* Fails if the child had tables of its own, or if exec took the parent's splices out. */
static void vfork_shares_the_mapping(void **state)
{
	volatile unsigned int attachments = 0;
	struct scene scene;
	pid_t pid;

	scene_begin(&scene, MORSEL_GRANULE_AUTO);
	pid = vfork();
	if (!pid) {
		struct morsel_info info = {.size = sizeof(info)};

		if (!ioctl(scene.fd, MORSEL_IOC_STAT, &info))
			attachments = info.attachments;
		scene.memory[HUGE] = 1;
		scene.memory[GIB + HUGE] = 2;
		execl("/bin/busybox", "true", (char *)NULL);
		_exit(1);
	}
	assert_child_done(pid);
	assert_int_equal(attachments, 2);
	assert_int_equal(scene.memory[HUGE], 1);
	assert_int_equal(scene.memory[GIB + HUGE], 2);
	scene.frame_bytes = info_of(scene.fd).frame_bytes;
	assert_true(scene_reads(scene.memory));
	assert_scene_intact(&scene, 1);
}

struct unmapping {
	char *memory;
	size_t length;
};

static int unmap_and_exit(void *arg)
{
	struct unmapping *what = arg;

	/* No function that keeps notes of the process it is in. */
	syscall(SYS_exit_group, syscall(SYS_munmap, what->memory, what->length) ? 1 : 0);
	return 1;
}

/* Fails if the splices of an address space went with its last user, and not with the unmapping. */
static void a_child_with_clone_vm_unmaps_for_both(void **state)
{
	static char stack[64 * KIB] __attribute__((aligned(16)));
	struct unmapping what[2];
	struct scene scene;
	char *part;
	unsigned int i;

	scene_begin(&scene, MORSEL_GRANULE_AUTO);
	part = map_at(NULL, scene.fd, 8 * MIB, RW, GIB);
	assert_true(has_pattern(part, PAGE / 2, 3));
	what[0] = (struct unmapping){scene.memory, LENGTH};
	what[1] = (struct unmapping){part, 2 * HUGE};
	for (i = 0; i < ARRAY_SIZE(what); i++) {
		pid_t pid = clone(unmap_and_exit, stack + sizeof(stack), CLONE_VM | SIGCHLD,
				  &what[i]);

		assert_true(pid > 0);
		assert_child_done(pid);
		assert_int_equal(probe_read(what[i].memory, NULL), SIGSEGV);
		assert_int_equal(probe_write(what[i].memory, 1), SIGSEGV);
	}
	assert_int_equal(probe_read(scene.memory + GIB, NULL), SIGSEGV);
	assert_true(has_pattern(part + 2 * HUGE + 5 * PAGE, PAGE / 2, 4));
	assert_scene_intact(&scene, 1);
}

/* The end of an address space. */

/*
 * An address space with all that can be in its tables: GiBs that are spliced, and that are parked;
 * spans that are spliced, and parked; and spans beside somebody else's memory.
 */
static void splice_all_kinds(int fd)
{
	char *place = free_place(4 * GIB), *memory, *spans, *anonymous;
	size_t at;

	memory = map_at(place, fd, 2 * GIB + 8 * MIB, RW, 0);
	spans = map_at(place + 3 * GIB + 16 * MIB, fd, 8 * MIB, PROT_READ, 0);
	anonymous = mmap(place + 3 * GIB + 24 * MIB, HUGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
	need(anonymous != MAP_FAILED);
	memset(anonymous, 1, HUGE);
	for (at = 0; at < 2 * GIB + 8 * MIB; at += at < 8 * MIB || at >= 2 * GIB ? HUGE : 63 * HUGE)
		memory[at] = 1;
	for (at = 0; at < 8 * MIB; at += HUGE)
		need(spans[at] == 1);
	need(!madvise(memory + GIB, GIB, MADV_DONTNEED));
	need(!madvise(memory + 2 * GIB, 2 * HUGE, MADV_DONTNEED));
	need(!madvise(spans + HUGE, HUGE, MADV_DONTNEED));
}

/*
 * Fails (by what the kernel logs) if a table of ours is left in an address space that ends, or one
 * of its own is not: the kernel counts them, and looks at the pages it gets.
 */
static void an_address_space_ends_with_all_kinds_of_splices(void **state)
{
	static const char *const ends[] = {"exit", "kill", "exec", "fork"};
	int fd;
	unsigned int i, end;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		fd = create(3 * GIB, granules[i]);
		for (end = 0; end < ARRAY_SIZE(ends); end++) {
			pid = spawn();
			if (!pid) {
				splice_all_kinds(fd);
				if (end == 1)
					kill(getpid(), SIGKILL);
				if (end == 2)
					execl("/bin/busybox", "true", (char *)NULL);
				if (end == 3 && !spawn()) {
					splice_all_kinds(fd);
					_exit(0);
				}
				if (end == 3)
					need(wait(NULL) > 0);
				_exit(end == 2);
			}
			assert_int_equal(wait_child(pid), end == 1 ? 128 + SIGKILL : 0);
			assert_int_equal(info_of(fd).attachments, 0);
		}
		close(fd);
	}
}

/* Parts and neighbours. */

/* Fails if the neighbours' range let us keep our entry, or take one of theirs. */
static void munmap_over_neighbours(void **state)
{
	static const size_t neighbours[] = {PAGE, HUGE, GIB};
	struct scene scene;
	unsigned int i, whole;

	scene_begin(&scene, MORSEL_GRANULE_4K);
	for (i = 0; i < ARRAY_SIZE(neighbours); i++) {
		for (whole = 0; whole <= 1; whole++) {
			size_t other = neighbours[i], length = whole ? GIB : 8 * MIB;
			char *place = free_place(3 * GIB) + GIB;

			map_anonymous(place - other, other);
			map_at(place, scene.fd, length, RW, GIB - length);
			map_anonymous(place + length, other);
			assert_true(has_pattern(place + length - HUGE, PAGE / 2, 2));
			assert_done(munmap(place - other, length + 2 * other));
			assert_int_equal(probe_read(place - other, NULL), SIGSEGV);
			assert_int_equal(probe_read(place, NULL), SIGSEGV);
			assert_int_equal(probe_read(place + length - HUGE, NULL), SIGSEGV);
			assert_int_equal(probe_read(place + length, NULL), SIGSEGV);
			assert_scene_intact(&scene, 1);
			/* What comes there next gets tables of its own. */
			map_anonymous(place - other, length + 2 * other);
			memset(place + length - HUGE, 0x11, HUGE);
			assert_done(munmap(place - other, length + 2 * other));
		}
	}
	assert_scene_intact(&scene, 1);
}

/*
 * Fails if the kernel puts its page into the table that all parked entries share: then others see
 * it, too, where they are parked.
 */
static void anonymous_memory_where_a_gib_was_parked(void **state)
{
	static const size_t at = 256 * MIB;
	char *other, *anonymous;
	struct scene scene;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		scene_begin(&scene, granules[i]);
		other = map(scene.fd, LENGTH, RW);
		assert_true(scene_reads(other));
		assert_done(madvise(other, LENGTH, MADV_DONTNEED));
		assert_done(madvise(scene.memory, GIB, MADV_DONTNEED));
		assert_done(munmap(scene.memory + at, HUGE));
		assert_int_equal(probe_read(scene.memory + at, NULL), SIGSEGV);
		anonymous = map_anonymous(scene.memory + at, HUGE);
		memset(anonymous, 0x55, HUGE);
		assert_true(scene_reads(scene.memory));
		assert_true(scene_reads(other));
		assert_scene_intact(&scene, 2);
		assert_true(is_zero(other + at, HUGE));
		assert_int_equal(anonymous[0], 0x55);
		assert_int_equal(anonymous[HUGE - 1], 0x55);
		/* Of what is in the morsel there now, no frame is the neighbour's. */
		assert_done(punch(scene.fd, at, HUGE));
		assert_int_equal(anonymous[PAGE], 0x55);
		assert_done(munmap(scene.memory, LENGTH));
		assert_done(munmap(other, LENGTH));
		assert_scene_intact(&scene, 0);
	}
}

/* mremap() */

/* Fails if a mapping could leave its splices behind, where the kernel would clear what it finds. */
static void mremap_leaves_nothing_behind(void **state)
{
	struct scene scene;
	char *target;

	scene_begin(&scene, MORSEL_GRANULE_AUTO);
	target = free_place(2 * GIB);
	assert_ptr_equal(mremap(scene.memory, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_DONTUNMAP),
			 MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(mremap(scene.memory, LENGTH, LENGTH,
				MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, target),
			 MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_true(scene_reads(scene.memory));
	assert_scene_intact(&scene, 1);
}

/* Fails if a mapping could be doubled in a way that does not come by mmap(). */
static void mremap_does_not_double(void **state)
{
	struct scene scene;
	char *target;

	scene_begin(&scene, MORSEL_GRANULE_AUTO);
	target = free_place(2 * GIB);
	assert_ptr_equal(mremap(scene.memory, 0, HUGE, MREMAP_MAYMOVE), MAP_FAILED);
	assert_int_equal(errno, EFAULT);
	assert_ptr_equal(mremap(scene.memory, 0, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, target),
			 MAP_FAILED);
	assert_int_equal(errno, EFAULT);
	assert_true(scene_reads(scene.memory));
	assert_scene_intact(&scene, 1);
}

/* Since 6.17 several mappings may move at once.  Fails if ours were half-way. */
static void mremap_does_not_move_it_with_others(void **state)
{
	struct scene scene;
	char *target, *place;
	unsigned int first;

	scene_begin(&scene, MORSEL_GRANULE_AUTO);
	target = free_place(4 * GIB);
	place = target + 2 * GIB;
	for (first = 0; first <= 1; first++) {
		char *memory = place + (first ? 0 : HUGE), *other = place + (first ? LENGTH : 0);
		size_t length = LENGTH + HUGE;

		map_at(memory, scene.fd, LENGTH, RW, 0);
		map_anonymous(other, HUGE);
		assert_ptr_equal(
			mremap(place, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target),
			MAP_FAILED);
		assert_int_equal(errno, EFAULT);
		assert_true(scene_reads(memory));
		memory[HUGE + PAGE / 2]++;
		/* What came before it may have moved. */
		if (probe_read(other, NULL))
			other += target - place;
		assert_true(has_pattern(other, PAGE, 99));
		other[PAGE]++;
		scene.frame_bytes = info_of(scene.fd).frame_bytes;
		assert_scene_intact(&scene, 2);
		assert_done(munmap(other, HUGE));
		assert_done(munmap(memory, LENGTH));
	}
	assert_true(scene_reads(scene.memory));
}

/* mseal() */

/* Fails if a seal kept us from detaching, at a punch or at the end of the process. */
static void a_sealed_mapping_still_detaches(void **state)
{
	struct scene scene;
	pid_t pid;

	if (syscall(SYS_mseal, 0, 0, 0) && errno == ENOSYS)
		skip_because("this kernel has no mseal()");
	scene_begin(&scene, MORSEL_GRANULE_AUTO);
	pid = spawn();
	if (!pid) {
		char *memory = map(scene.fd, LENGTH, RW);

		need(scene_reads(memory));
		need(!syscall(SYS_mseal, memory, LENGTH, 0));
		need(munmap(memory, LENGTH) && errno == EPERM);
		need(munmap(memory + GIB, HUGE) && errno == EPERM);
		need(mprotect(memory, LENGTH, PROT_READ) && errno == EPERM);
		need(mmap(memory, LENGTH, RW, ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED &&
		     errno == EPERM);
		need(mremap(memory, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED,
			    memory + 2 * GIB) == MAP_FAILED &&
		     errno == EPERM);
		memory[4 * HUGE] = 1;
		memory[GIB + HUGE] = 2;
		need(!punch(scene.fd, 4 * HUGE, HUGE));
		need(memory[4 * HUGE] == 0);
		need(!madvise(memory + GIB + HUGE, HUGE, MADV_REMOVE));
		need(memory[GIB + HUGE] == 0);
		need(!madvise(memory, LENGTH, MADV_DONTNEED));
		need(scene_reads(memory));
		need(!punch(scene.fd, 4 * HUGE, HUGE) && !punch(scene.fd, GIB + HUGE, HUGE));
		/* One of its own; what it has inherited it has not touched. */
		need(info_of(scene.fd).attachments == 3);
		_exit(0);
	}
	assert_child_done(pid);
	assert_scene_intact(&scene, 1);
}

/* msync(), mincore(), remap_file_pages() */

/* There is nothing to write back: fails if that were an error, or if what is newer were dropped. */
static void msync_has_nothing_to_do(void **state)
{
	static const int flags[] = {0,
				    MS_ASYNC,
				    MS_SYNC,
				    MS_INVALIDATE,
				    MS_ASYNC | MS_INVALIDATE,
				    MS_SYNC | MS_INVALIDATE};
	struct scene scene;
	char *reader;
	unsigned int i;

	scene_begin(&scene, MORSEL_GRANULE_AUTO);
	reader = map(scene.fd, LENGTH, PROT_READ);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		assert_done(msync(scene.memory, LENGTH, flags[i]));
		assert_done(msync(scene.memory + PAGE, PAGE, flags[i]));
		assert_done(msync(reader, LENGTH, flags[i]));
	}
	assert_errno(msync(scene.memory, LENGTH, MS_ASYNC | MS_SYNC), EINVAL);
	assert_errno(msync(scene.memory, LENGTH, 8), EINVAL);
	assert_errno(msync(scene.memory + 1, PAGE, MS_SYNC), EINVAL);
	assert_true(scene_reads(scene.memory));
	assert_true(scene_reads(reader));
	assert_scene_intact(&scene, 2);
}

static unsigned int resident(char *memory, size_t length)
{
	static unsigned char vector[512];
	unsigned int count = 0, i;

	assert_true(length <= sizeof(vector) * PAGE);
	memset(vector, 0xff, sizeof(vector));
	assert_done(mincore(memory, length, vector));
	for (i = 0; i < length / PAGE; i++) {
		assert_true(vector[i] <= 1);
		count += vector[i];
	}
	return count;
}

/*
 * It tells what is in this mapping's tables, not what the morsel has: fails if it has more, or
 * less.
 */
static void mincore_tells_what_is_spliced(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		const unsigned int all = i ? 512 : 1;
		struct scene scene;
		char *later;

		scene_begin(&scene, granules[i]);
		assert_int_equal(resident(scene.memory, HUGE), all);
		assert_int_equal(resident(scene.memory + GIB, HUGE), all);
		assert_int_equal(resident(scene.memory + 8 * MIB, HUGE), 0);
		assert_int_equal(resident(scene.memory + HUGE + PAGE, PAGE), 1);
		assert_done(madvise(scene.memory, LENGTH, MADV_DONTNEED));
		assert_int_equal(resident(scene.memory, HUGE), 0);
		assert_int_equal(resident(scene.memory + GIB, HUGE), 0);
		assert_true(scene_reads(scene.memory));
		assert_int_equal(resident(scene.memory, HUGE), all);
		/* In a new mapping one touch may be needed in each GiB. */
		later = map(scene.fd, LENGTH, PROT_READ);
		assert_int_equal(later[0], scene.memory[0]);
		assert_int_equal(later[GIB], scene.memory[GIB]);
		assert_int_equal(resident(later, HUGE), all);
		assert_int_equal(resident(later + GIB, HUGE), all);
		assert_scene_intact(&scene, 2);
		assert_done(munmap(later, LENGTH));
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/* Fails if old splices stay when another part of the morsel comes to the same place. */
static void remap_file_pages_swaps_parts(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW), *other = map(fd, LENGTH, PROT_READ);
	static const size_t bases[] = {0, GIB};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		char *first = memory + bases[i], *second = first + HUGE;
		size_t page = bases[i] / PAGE;

		fill_pattern(first, HUGE, 1);
		fill_pattern(second, HUGE, 2);
		assert_done(remap_file_pages(first, HUGE, 0, page + HUGE / PAGE, 0));
		assert_true(has_pattern(first, HUGE, 2));
		assert_true(has_pattern(second, HUGE, 2));
		assert_done(remap_file_pages(second, HUGE, 0, page, 0));
		assert_true(has_pattern(first, HUGE, 2));
		assert_true(has_pattern(second, HUGE, 1));
		/* At odd pages. */
		assert_done(remap_file_pages(first + PAGE, PAGE, 0, page + 3, 0));
		assert_true(!memcmp(first + PAGE, second + 3 * PAGE, PAGE));
		assert_done(remap_file_pages(first + PAGE, PAGE, 0, page + HUGE / PAGE + 1, 0));
		assert_errno(remap_file_pages(first, HUGE, PROT_READ, page, 0), EINVAL);
		assert_true(has_pattern(first, HUGE, 2));
		assert_true(has_pattern(second, HUGE, 1));
		/* In the morsel all is where it was. */
		assert_true(has_pattern(other + bases[i], HUGE, 1));
		assert_true(has_pattern(other + bases[i] + HUGE, HUGE, 2));
	}
	assert_done(munmap(memory, LENGTH));
	assert_int_equal(info_of(fd).attachments, 1);
	assert_int_equal(info_of(fd).frame_bytes, 4 * HUGE);
}

/* Rights. */

/* Fails if a key stood in leaves that all processes share, or was lost without a word. */
static void protection_keys_are_refused(void **state)
{
	struct scene scene;
	int key = pkey_alloc(0, 0);

	if (key < 0)
		skip_because("no protection keys: %s", strerror(errno));
	scene_begin(&scene, MORSEL_GRANULE_AUTO);
	assert_errno(pkey_mprotect(scene.memory, LENGTH, RW, key), EINVAL);
	assert_errno(pkey_mprotect(scene.memory, LENGTH, PROT_READ, key), EINVAL);
	assert_errno(pkey_mprotect(scene.memory + HUGE, HUGE, PROT_WRITE, key), EINVAL);
	assert_done(pkey_set(key, PKEY_DISABLE_ACCESS));
	assert_true(scene_reads(scene.memory));
	scene.memory[PAGE - 1]++;
	/* That of all memory. */
	assert_done(pkey_mprotect(scene.memory, LENGTH, RW, 0));
	assert_true(scene_reads(scene.memory));
	assert_done(pkey_free(key));
	scene.memory[PAGE - 1]--;
	assert_scene_intact(&scene, 1);
}

/*
 * Where a processor has keys, the kernel gives a mapping that is only executable one that forbids
 * reading, and we cannot.  Fails if reading it depends on who touched the memory first, or if a
 * mapping becomes one that it would depend for.
 */
static void execute_only_memory_reads_the_same_touched_or_not(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *code = map(fd, LENGTH, PROT_EXEC), *memory, *later;
	int before, after;

	/* Nobody has, of this GiB and of these spans. */
	before = probe_read(code + HUGE, NULL);
	assert_int_equal(probe_read(code + GIB + HUGE, NULL), before);
	memory = map(fd, LENGTH, RW);
	memory[HUGE + PAGE] = 1;
	memory[GIB + HUGE + PAGE] = 1;
	assert_int_equal(probe_read(code + HUGE + PAGE, NULL), before);
	assert_int_equal(probe_read(code + GIB + HUGE + PAGE, NULL), before);
	/* What is there already is spliced without a fault. */
	later = map(fd, LENGTH, PROT_EXEC);
	after = probe_read(later + HUGE + PAGE, NULL);
	assert_int_equal(probe_read(later + GIB + HUGE + PAGE, NULL), after);
	assert_int_equal(after, before);
	if (mprotect(memory, HUGE, PROT_EXEC))
		assert_int_equal(errno, EINVAL);
	assert_int_equal(probe_read(memory + PAGE, NULL), 0);
	assert_int_equal(probe_read(memory + HUGE + PAGE, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(vfork_shares_the_mapping),
		TEST(a_child_with_clone_vm_unmaps_for_both),
		TEST(an_address_space_ends_with_all_kinds_of_splices),
		TEST(munmap_over_neighbours),
		TEST(anonymous_memory_where_a_gib_was_parked),
		TEST(mremap_leaves_nothing_behind),
		TEST(mremap_does_not_double),
		TEST(mremap_does_not_move_it_with_others),
		TEST(a_sealed_mapping_still_detaches),
		TEST(msync_has_nothing_to_do),
		TEST(mincore_tells_what_is_spliced),
		TEST(remap_file_pages_swaps_parts),
		TEST(protection_keys_are_refused),
		TEST(execute_only_memory_reads_the_same_touched_or_not),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
