// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that has failed, as madvise(MADV_HWPOISON) says it has.  What was in it
 * is lost; nobody may be given that as data, or that frame for other data.
 */
#include "kernel.h"

#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif
#define KPF_HWPOISON 19

/* Poison a page of a morsel, which may kill who asks for it; its frame. */
static uint64_t poison(const struct kept *kept, size_t offset)
{
	uint64_t frame = frame_at(kept->fd, offset), flags = 0;
	int *error = shared_page(), fd, status;
	pid_t pid;

	assert_true(frame);
	pid = spawn();
	if (!pid) {
		if (madvise(kept->memory + offset, PAGE, MADV_HWPOISON))
			*error = errno;
		_exit(0);
	}
	status = wait_child(pid);
	print_message("# MADV_HWPOISON of frame %#llx: %s, exit status %d\n",
		      (unsigned long long)frame, *error ? strerrorname_np(*error) : "done", status);
	if (*error == EINVAL)
		skip_because("no MADV_HWPOISON: CONFIG_MEMORY_FAILURE is not set");
	munmap(error, PAGE);
	fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &flags, sizeof(flags), frame * sizeof(flags)), sizeof(flags));
	close(fd);
	/* Else there is nothing to test. */
	assert_true(flags >> KPF_HWPOISON & 1);
	return frame;
}

/*
 * If it did not, the kernel itself would copy from memory that is broken.  Only that page is lost:
 * all others can be read, also those of the same huge frame.
 */
static void reading_a_poisoned_page_gives_EIO(void **state)
{
	const size_t length = 8 * MIB, bad = 3 * PAGE;
	static char text[4 * PAGE];
	char *expected = malloc(length);
	struct kept kept;
	unsigned int i;
	size_t at;

	fill_pattern(expected, length, 5);
	keep_both();
	for (i = 0; i < ARRAY_SIZE(both_granules); i++) {
		keep_morsel(&kept, both_granules[i], length, 5);
		assert_int_equal(info_of(kept.fd).huge_bytes,
				 both_granules[i] == MORSEL_GRANULE_2M ? length : 0);
		poison(&kept, bad);
		for (at = 0; at < length; at += PAGE) {
			if (at == bad) {
				assert_errno(pread(kept.fd, text, PAGE, at), EIO);
				continue;
			}
			assert_int_equal(pread(kept.fd, text, PAGE, at), PAGE);
			assert_memory_equal(text, expected + at, PAGE);
		}
		/* A part of it; up to it, where a read ends; and on from it. */
		assert_errno(pread(kept.fd, text, 1, bad + PAGE - 1), EIO);
		assert_int_equal(pread(kept.fd, text, 4 * PAGE, bad - 2 * PAGE + 8), 2 * PAGE - 8);
		assert_memory_equal(text, expected + bad - 2 * PAGE + 8, 2 * PAGE - 8);
		assert_errno(pread(kept.fd, text, 4 * PAGE, bad), EIO);
	}
	assert_both_kept();
	free(expected);
}

/* Where pages are mapped one by one: all but that one are, by its own faults and by its neighbours'. */
static void failed_memory_is_not_mapped_at_an_edge(void **state)
{
	const size_t length = 8 * PAGE, bad = 3 * PAGE;
	unsigned int i;
	size_t at;

	for (i = 0; i < ARRAY_SIZE(both_granules); i++) {
		struct kept kept;
		char *shared, *private;

		keep_morsel(&kept, both_granules[i], HUGE, 5);
		poison(&kept, bad);
		shared = map_at(NULL, kept.fd, length, RW, 0);
		private = mmap(NULL, length, RW, MAP_PRIVATE, kept.fd, 0);
		assert_ptr_not_equal(private, MAP_FAILED);
		for (at = 0; at < length; at += PAGE) {
			assert_int_equal(probe_read(shared + at, NULL), at == bad ? SIGBUS : 0);
			assert_int_equal(probe_read(private + at, NULL), at == bad ? SIGBUS : 0);
		}
		assert_int_equal(probe_write(shared + bad, 1), SIGBUS);
		assert_int_equal(probe_write(private + bad, 1), SIGBUS);
		assert_done(munmap(shared, length));
		assert_done(munmap(private, length));
		munmap(kept.memory, kept.length);
		close(kept.fd);
	}
}

/* If it were, another morsel's data would be in memory that is broken. */
static void a_poisoned_frame_is_not_handed_out_again(void **state)
{
	unsigned int i, j, k, count;

	keep_both();
	for (i = 0; i < ARRAY_SIZE(both_granules); i++) {
		uint64_t first, frames = i ? HUGE / PAGE : 1;
		struct kept kept;

		keep_morsel(&kept, both_granules[i], 8 * MIB, 5);
		/* Of a huge frame, all of it. */
		first = poison(&kept, 3 * PAGE) & -frames;
		munmap(kept.memory, kept.length);
		close(kept.fd);
		/* First by frames of the same size; then by the others, cut from what is left. */
		for (j = 0; j < ARRAY_SIZE(both_granules); j++) {
			int fd = create(128 * MIB, both_granules[(i + j) % 2]);
			struct morsel_extent *extents;

			assert_done(resize_pool(96 * MIB));
			assert_errno(populate(fd, 0, 0), ENOMEM);
			extents = extents_of(fd, &count);
			for (k = 0; k < count; k++)
				if (extents[k].frame < first + frames &&
				    extents[k].frame + extents[k].length / PAGE > first)
					fail_msg("a frame from %#llx on is at %#llx of another "
						 "morsel",
						 (unsigned long long)first, extents[k].offset);
			free(extents);
			close(fd);
		}
	}
	assert_both_kept();
}

/*
 * Of a huge frame of which some memory has failed, a part is punched.  Fails if the kernel writes to
 * what has failed, or leaves what has not.
 */
static void punching_leaves_failed_memory_alone(void **state)
{
	const size_t bad = 3 * PAGE;
	struct kept kept;
	char text[PAGE];

	keep_morsel(&kept, MORSEL_GRANULE_2M, HUGE, 5);
	memset(kept.memory, 'x', HUGE);
	poison(&kept, bad);
	assert_done(punch(kept.fd, PAGE, 5 * PAGE));
	/* As nothing of the machine is really broken, one can look. */
	assert_int_equal(kept.memory[bad], 'x');
	assert_errno(pread(kept.fd, text, PAGE, bad), EIO);
	assert_int_equal(pread(kept.fd, text, PAGE, bad - PAGE), PAGE);
	assert_true(is_zero(text, PAGE));
	assert_int_equal(pread(kept.fd, text, PAGE, bad + PAGE), PAGE);
	assert_true(is_zero(text, PAGE));
	assert_int_equal(kept.memory[0], 'x');
	assert_int_equal(kept.memory[6 * PAGE], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(reading_a_poisoned_page_gives_EIO),
		KERNEL_TEST(failed_memory_is_not_mapped_at_an_edge),
		KERNEL_TEST(a_poisoned_frame_is_not_handed_out_again),
		KERNEL_TEST(punching_leaves_failed_memory_alone),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
