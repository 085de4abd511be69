// SPDX-License-Identifier: GPL-2.0
/*
 * Clones: what one of those that share memory writes the others do not see, in whatever way; and memory
 * is there once as long as nobody writes.
 */
#include "kernel.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef FALLOC_FL_KEEP_SIZE
#include <linux/falloc.h>
#endif

#define LENGTH (8 * MIB)

static const uint32_t granules[] = {MORSEL_GRANULE_AUTO, MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

static int make(uint32_t granule, unsigned int seed)
{
	int fd = create(LENGTH, granule);
	char *memory = map(fd, LENGTH, RW);

	fill_pattern(memory, LENGTH, seed);
	munmap(memory, LENGTH);
	return fd;
}

static bool reads(int fd, unsigned int seed)
{
	static char text[LENGTH];

	assert_int_equal(pread(fd, text, LENGTH, 0), LENGTH);
	return has_pattern(text, LENGTH, seed);
}

static bool reads_zero(int fd, size_t offset, size_t length)
{
	static char text[LENGTH];

	assert_int_equal(pread(fd, text, length, offset), length);
	return is_zero(text, length);
}

/* Some pages, and what is at them. */
static void write_some(char *memory, unsigned int seed)
{
	size_t at;

	for (at = 0; at < LENGTH; at += 7 * PAGE)
		fill_pattern(memory + at, PAGE, seed + at);
}

static bool has_some(const char *memory, unsigned int seed, unsigned int rest)
{
	static char whole[LENGTH];
	size_t at;

	fill_pattern(whole, LENGTH, rest);
	for (at = 0; at < LENGTH; at += 7 * PAGE)
		fill_pattern(whole + at, PAGE, seed + at);
	return !memcmp(memory, whole, LENGTH);
}

/* Either side writes by a mapping that it had before, and the other one, too. */
static void what_either_writes_is_its_own(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone, second;
		char *memory = map(fd, LENGTH, RW), *other;

		assert_true(has_pattern(memory, LENGTH, 1));
		clone = clone_of(fd);
		other = map(clone, LENGTH, RW);
		assert_true(has_pattern(other, LENGTH, 1));
		write_some(memory, 100);
		assert_true(has_some(memory, 100, 1));
		assert_true(has_pattern(other, LENGTH, 1));
		write_some(other, 200);
		assert_true(has_some(other, 200, 1));
		assert_true(has_some(memory, 100, 1));
		/* And once more, of a clone. */
		second = clone_of(clone);
		write_some(other, 300);
		assert_true(has_some(other, 300, 1));
		close(clone);
		munmap(other, LENGTH);
		other = map(second, LENGTH, RW);
		assert_true(has_some(other, 200, 1));
		write_some(other, 400);
		assert_true(has_some(other, 400, 1));
		assert_true(has_some(memory, 100, 1));
		munmap(memory, LENGTH);
		munmap(other, LENGTH);
		close(second);
		close(fd);
	}
}

static char text_at(size_t at)
{
	static char text[LENGTH];

	fill_pattern(text, LENGTH, 1);
	return text[at];
}

/* Nothing is copied before it is written, and then no more than that. */
static void memory_is_there_once(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone;
		uint64_t used = pool_info().used_bytes, unit;
		char *memory;

		clone = clone_of(fd);
		assert_int_equal(pool_info().used_bytes, used);
		assert_int_equal(info_of(clone).frame_bytes, info_of(fd).frame_bytes);
		memory = map(clone, LENGTH, RW);
		assert_true(has_pattern(memory, LENGTH, 1));
		assert_int_equal(pool_info().used_bytes, used);
		memory[3 * MIB] = 0;
		unit = info_of(fd).huge_bytes ? HUGE : PAGE;
		assert_in_range(pool_info().used_bytes, used + unit, used + unit + 3 * PAGE);
		assert_true(reads(fd, 1));
		close(fd);
		memory[3 * MIB] = text_at(3 * MIB);
		assert_true(has_pattern(memory, LENGTH, 1));
		munmap(memory, LENGTH);
		close(clone);
	}
}

static void calls_copy_too(void **state)
{
	static char page[PAGE];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone = clone_of(fd);

		memset(page, 5, PAGE);
		assert_int_equal(pwrite(clone, page, PAGE, MIB + 100), PAGE);
		assert_true(reads(fd, 1));
		assert_int_equal(pwrite(fd, page, 10, 5 * MIB), 10);
		assert_int_equal(pread(clone, page, PAGE, 5 * MIB), PAGE);
		assert_int_equal(pread(clone, page, PAGE, MIB + 100), PAGE);
		assert_int_equal(page[0], 5);
		close(fd);
		close(clone);
	}
}

/* What goes on one side stays on the other. */
static void holes_are_ones_own(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone = clone_of(fd), more;
		char *memory = map(clone, LENGTH, RW);

		assert_true(has_pattern(memory, LENGTH, 1));
		assert_done(punch(clone, MIB, 4 * MIB));
		assert_true(is_zero(memory + MIB, 4 * MIB));
		assert_true(reads(fd, 1));
		more = clone_of(clone);
		assert_done(ftruncate(clone, 3 * PAGE));
		/* A huge frame across the end may stay. */
		assert_int_equal(probe_read(memory + HUGE, NULL), SIGBUS);
		assert_true(reads(fd, 1));
		assert_done(ftruncate(clone, LENGTH));
		assert_true(is_zero(memory + 3 * PAGE, LENGTH - 3 * PAGE));
		memory[5 * MIB] = 1;
		munmap(memory, LENGTH);
		memory = map(more, LENGTH, RW);
		assert_true(is_zero(memory + MIB, 4 * MIB));
		memory[2 * MIB] = 1;
		munmap(memory, LENGTH);
		/* A part of a page is cleared in a copy. */
		assert_done(fallocate(more, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				      6 * MIB + 10, 20));
		assert_true(reads(fd, 1));
		close(fd);
		close(clone);
		close(more);
	}
}

static void nobody_writes_to_a_snapshot(void **state)
{
	int fd = make(MORSEL_GRANULE_AUTO, 1),
	    snapshot = clone_with(fd, MORSEL_CLONE_SNAPSHOT, "past");
	char *memory = map(fd, LENGTH, RW), byte = 1;
	int writable;

	assert_done(snapshot);
	write_some(memory, 100);
	assert_true(reads(snapshot, 1));
	assert_errno(pwrite(snapshot, &byte, 1, 0), EBADF);
	writable = open_with(0, "past", 0);
	assert_done(writable);
	assert_errno(pwrite(writable, &byte, 1, 0), EPERM);
	assert_errno(ftruncate(writable, 0), EPERM);
	assert_errno(punch(writable, 0, 0), EPERM);
	assert_ptr_equal(mmap(NULL, LENGTH, RW, MAP_SHARED, writable, 0), MAP_FAILED);
	memory = map(snapshot, LENGTH, PROT_READ);
	assert_true(has_pattern(memory, LENGTH, 1));
	/* But to a clone of it. */
	fd = clone_of(snapshot);
	memory = map(fd, LENGTH, RW);
	write_some(memory, 300);
	assert_true(has_some(memory, 300, 1));
	assert_true(reads(snapshot, 1));
}

/* Other rights have tables of their own. */
static void all_rights_show_it(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone = clone_of(fd);
		char *all = map(clone, LENGTH, RW | PROT_EXEC),
		     *reader = map(clone, LENGTH, PROT_READ);
		char *memory = map(clone, LENGTH, RW);

		assert_true(has_pattern(all, LENGTH, 1));
		assert_true(has_pattern(reader, LENGTH, 1));
		write_some(all, 100);
		assert_true(has_some(all, 100, 1));
		assert_true(has_some(memory, 100, 1));
		assert_true(has_some(reader, 100, 1));
		write_some(memory, 200);
		assert_true(has_some(all, 200, 1));
		assert_true(has_some(reader, 200, 1));
		assert_true(reads(fd, 1));
		munmap(all, LENGTH);
		munmap(reader, LENGTH);
		munmap(memory, LENGTH);
		close(fd);
		close(clone);
	}
}

/* Also to mappings that were there before, and have written by tables of their own. */
static void who_may_execute_copies_too(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone, second;
		char *all = map(fd, LENGTH, RW | PROT_EXEC), *other;

		write_some(all, 100);
		clone = clone_of(fd);
		write_some(all, 200);
		assert_true(has_some(all, 200, 1));
		other = map(clone, LENGTH, RW | PROT_EXEC);
		assert_true(has_some(other, 100, 1));
		second = clone_of(clone);
		write_some(other, 300);
		munmap(other, LENGTH);
		other = map(second, LENGTH, PROT_READ | PROT_EXEC);
		assert_true(has_some(other, 100, 1));
		munmap(other, LENGTH);
		munmap(all, LENGTH);
		close(second);
		close(clone);
		close(fd);
	}
}

/* It was longer, and what was behind its end is not in the clone. */
static void what_was_longer_is_cloned(void **state)
{
	static const uint64_t longer[] = {LENGTH + 2 * MIB, 3 * GIB, 600 * GIB};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		for (k = 0; k < ARRAY_SIZE(longer); k++) {
			int fd = make(granules[i], 1), clone;
			char byte = 1;

			assert_done(ftruncate(fd, longer[k]));
			assert_int_equal(pwrite(fd, &byte, 1, longer[k] - 5), 1);
			assert_done(ftruncate(fd, LENGTH));
			clone = clone_of(fd);
			assert_int_equal(lseek(clone, 0, SEEK_END), LENGTH);
			assert_true(reads(clone, 1));
			assert_done(ftruncate(clone, longer[k]));
			assert_int_equal(pread(clone, &byte, 1, longer[k] - 5), 1);
			assert_int_equal(byte, 0);
			assert_int_equal(pwrite(clone, &byte, 1, longer[k] - 5), 1);
			assert_true(reads(fd, 1));
			close(clone);
			close(fd);
		}
	}
}

/*
 * Who has pages of a clone pinned keeps what was in them, when the clone has gone, and nobody shares them any
 * more (as CVE-2020-29374 was about).
 */
static void who_has_it_pinned_sees_nothing_later(void **state)
{
	static char text[PAGE], before[PAGE];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone = clone_of(fd), pipes[2];
		char *memory = map(fd, LENGTH, RW), *other = map(clone, LENGTH, PROT_READ);
		struct iovec vector = {other + MIB, PAGE};

		memcpy(before, memory + MIB, PAGE);
		assert_done(pipe(pipes));
		assert_int_equal(vmsplice(pipes[1], &vector, 1, 0), PAGE);
		munmap(other, LENGTH);
		close(clone);
		memset(memory + MIB, 'x', PAGE);
		assert_int_equal(read(pipes[0], text, PAGE), PAGE);
		assert_memory_equal(text, before, PAGE);
		assert_int_equal(memory[MIB + 7], 'x');
		munmap(memory, LENGTH);
		close(pipes[0]);
		close(pipes[1]);
		close(fd);
	}
}

/* Nobody shares it any more: what is written is not copied. */
static void who_is_left_writes_in_place(void **state)
{
	unsigned int i, how;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		/* By an access that finds nothing mapped, and by one that finds it for reading. */
		for (how = 0; how < 4; how++) {
			size_t offset = how & 2 ? PAGE : 0, at = 3 * MIB - offset;
			int fd = make(granules[i], 1), clone = clone_of(fd);
			char *memory = mmap(NULL, LENGTH - 2 * MIB - offset, RW, MAP_SHARED, clone,
					    offset);
			uint64_t frame = frame_at(clone, 3 * MIB), used;

			assert_ptr_not_equal(memory, MAP_FAILED);
			assert_int_equal(frame, frame_at(fd, 3 * MIB));
			if (how & 1)
				(void)*(volatile char *)(memory + at);
			close(fd);
			memory[at] ^= 1;
			memory[at] ^= 1;
			assert_int_equal(frame_at(clone, 3 * MIB), frame);
			used = pool_info().used_bytes;
			memory[at + PAGE] ^= 1;
			memory[at + PAGE] ^= 1;
			assert_int_equal(pool_info().used_bytes, used);
			assert_true(reads(clone, 1));
			munmap(memory, LENGTH - 2 * MIB - offset);
			close(clone);
		}
	}
}

/* Only who may write has those who write wait, and copy what they write. */
static void readers_clone_snapshots_alone(void **state)
{
	int fd = make(MORSEL_GRANULE_AUTO, 1), snapshot, reader, clone, writer;

	fd = clone_with(fd, 0, "clone");
	assert_done(fd);
	reader = open_with(0, "clone", MORSEL_OPEN_READ_ONLY);
	assert_done(reader);
	assert_errno(clone_with(reader, 0, ""), EBADF);
	/* Nor does who may write alone come to read it so. */
	writer = reopen(fd, O_WRONLY);
	assert_errno(clone_with(writer, 0, ""), EBADF);
	snapshot = clone_with(fd, MORSEL_CLONE_SNAPSHOT, "");
	assert_done(snapshot);
	clone = clone_of(snapshot);
	assert_true(reads(clone, 1));
}

/* What others have, too, is given up without memory, of which there may be none. */
static void holes_take_no_memory(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone = clone_of(fd);
		char *memory = map(clone, LENGTH, RW);

		assert_true(has_pattern(memory, LENGTH, 1));
		/* The tables above are to be the clone's own. */
		memory[6 * MIB] ^= 1;
		/* Before Linux 6.5, entries for tables stay, so each 2 MiB of a hole has one. */
		assert_done(limit_set(
			0, limit_of(0).used + (kernel_version() < KERNEL(6, 5) ? 2 * PAGE : 0), 0));
		assert_done(punch(clone, 2 * MIB, 4 * MIB));
		assert_true(reads_zero(clone, 2 * MIB, 4 * MIB));
		assert_true(reads(fd, 1));
		/* And all of it, where nothing is its own. */
		assert_done(limit_set(0, 0, MORSEL_LIMIT_DEFAULT));
		close(fd);
		fd = clone_of(clone);
		assert_done(limit_set(0, limit_of(0).used, 0));
		assert_done(ftruncate(fd, 0));
		assert_int_equal(info_of(fd).frame_bytes, 0);
		assert_done(limit_set(0, 0, MORSEL_LIMIT_DEFAULT));
		munmap(memory, LENGTH);
		close(fd);
		close(clone);
	}
}

static int roll_back(int fd, int from)
{
	struct morsel_rollback args = {.size = sizeof(args), .from = from};

	return ioctl(fd, MORSEL_IOC_ROLLBACK, &args);
}

/* For all who have it, whatever was done to it since, and again. */
static void a_morsel_is_rolled_back(void **state)
{
	unsigned int i, round;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), snapshot = clone_with(fd, MORSEL_CLONE_SNAPSHOT, "");
		char *memory = map(fd, LENGTH, RW), *all = map(fd, LENGTH, RW | PROT_EXEC);
		char *edge = mmap(NULL, MIB, RW, MAP_SHARED, fd, PAGE);
		uint64_t id = info_of(fd).id;

		assert_done(snapshot);
		assert_ptr_not_equal(edge, MAP_FAILED);
		for (round = 0; round < 4; round++) {
			write_some(round % 2 ? memory : all, 100);
			edge[round * PAGE] ^= 1;
			if (round == 1)
				assert_done(punch(fd, MIB, 4 * MIB));
			if (round == 2)
				assert_done(ftruncate(fd, 3 * MIB + 5));
			if (round == 3) {
				assert_done(ftruncate(fd, 2 * GIB));
				assert_int_equal(pwrite(fd, "x", 1, 2 * GIB - 1), 1);
			}
			assert_done(roll_back(fd, snapshot));
			assert_int_equal(lseek(fd, 0, SEEK_END), LENGTH);
			assert_true(has_pattern(memory, LENGTH, 1));
			assert_true(has_pattern(all, LENGTH, 1));
			assert_memory_equal(edge, memory + PAGE, MIB);
			assert_true(reads(snapshot, 1));
			assert_int_equal(info_of(fd).id, id);
		}
		write_some(all, 100);
		assert_true(has_some(memory, 100, 1));
		assert_true(reads(snapshot, 1));
		munmap(memory, LENGTH);
		munmap(all, LENGTH);
		munmap(edge, MIB);
		close(snapshot);
		close(fd);
	}
}

static int differences(int fd, int other, struct morsel_difference *parts, unsigned int room)
{
	struct morsel_diff args = {
		.list =
			{
				.size = sizeof(args),
				.entries = (uintptr_t)parts,
				.entry_size = sizeof(parts[0]),
				.count = room,
			},
		.other = other,
	};

	assert_done(ioctl(fd, MORSEL_IOC_DIFF, &args));
	return args.list.count;
}

static void assert_part(const struct morsel_difference *part, uint64_t offset, uint64_t length,
			uint32_t flags)
{
	assert_int_equal(part->offset, offset);
	assert_int_equal(part->length, length);
	assert_int_equal(part->flags, flags);
}

/* What one wrote, and the other has not, or not any more. */
static void differences_are_told(void **state)
{
	struct morsel_difference parts[10] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone = clone_of(fd);
		uint64_t unit = info_of(fd).huge_bytes ? HUGE : PAGE;
		char *memory = map(clone, LENGTH, RW);

		assert_int_equal(differences(fd, clone, parts, 10), 0);
		memory[MIB] ^= 1;
		memory[7 * MIB] ^= 1;
		assert_done(punch(fd, 4 * MIB, HUGE));
		assert_int_equal(differences(fd, clone, parts, 10), 3);
		assert_part(&parts[0], MIB / unit * unit, unit,
			    MORSEL_DIFF_HERE | MORSEL_DIFF_THERE);
		assert_part(&parts[1], 4 * MIB, HUGE, MORSEL_DIFF_THERE);
		assert_part(&parts[2], 7 * MIB / unit * unit, unit,
			    MORSEL_DIFF_HERE | MORSEL_DIFF_THERE);
		/* As many as there is room for. */
		assert_int_equal(differences(fd, clone, parts, 2), 2);
		assert_done(ftruncate(fd, 3 * MIB));
		assert_int_equal(differences(clone, fd, parts, 10), 2);
		assert_part(&parts[1], granules[i] == MORSEL_GRANULE_2M ? 4 * MIB : 3 * MIB,
			    granules[i] == MORSEL_GRANULE_2M ? 4 * MIB : 5 * MIB, MORSEL_DIFF_HERE);
		munmap(memory, LENGTH);
		close(clone);
		close(fd);
	}
}

/* Of what extents there are, those that overlap a range: what is shared of all of them. */
static uint32_t shared_in(int fd, uint64_t from, uint64_t to)
{
	unsigned int count, i;
	struct morsel_extent *extents = extents_of(fd, &count);
	uint32_t shared = ~0U;

	for (i = 0; i < count; i++)
		if (extents[i].offset < to && extents[i].offset + extents[i].length > from)
			shared &= extents[i].shared;
	free(extents);
	return shared;
}

static void extents_tell_what_is_shared(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone;
		bool huge = info_of(fd).huge_bytes;
		uint32_t leaf = MORSEL_SHARED_FRAMES | (huge ? 0 : MORSEL_SHARED_PTES);
		char *memory = map(fd, LENGTH, RW);

		assert_int_equal(shared_in(fd, 0, LENGTH), 0);
		clone = clone_of(fd);
		assert_int_equal(shared_in(fd, 0, LENGTH), MORSEL_SHARED_PMDS | leaf);
		assert_int_equal(shared_in(clone, 0, LENGTH), MORSEL_SHARED_PMDS | leaf);
		memory[4 * MIB] ^= 1;
		assert_int_equal(shared_in(fd, 0, 4 * MIB), leaf);
		assert_int_equal(shared_in(fd, 4 * MIB, 4 * MIB + PAGE), 0);
		/* The table that the mapping left is held until nobody looks at it. */
		assert_soon(!shared_in(clone, 4 * MIB, 4 * MIB + PAGE));
		assert_int_equal(shared_in(clone, 0, 4 * MIB), leaf);
		if (!huge)
			assert_int_equal(shared_in(fd, 4 * MIB + PAGE, 6 * MIB),
					 MORSEL_SHARED_FRAMES);
		close(clone);
		assert_soon(!shared_in(fd, 0, LENGTH));
		munmap(memory, LENGTH);
		close(fd);
	}
}

/* A private mapping has a clone of the GiBs that it covers, and of no others. */
static void a_window_shares_what_it_covers(void **state)
{
	int fd = create(3 * GIB, MORSEL_GRANULE_4K);
	unsigned int i;
	char *window;

	for (i = 0; i < 3; i++)
		assert_int_equal(pwrite(fd, "x", 1, i * GIB), 1);
	window = mmap(NULL, HUGE, RW, MAP_PRIVATE, fd, GIB);
	assert_ptr_not_equal(window, MAP_FAILED);
	assert_int_equal(window[0], 'x');
	for (i = 0; i < 3; i++)
		assert_int_equal(!!shared_in(fd, i * GIB, i * GIB + PAGE), i == 1);
	munmap(window, HUGE);
	close(fd);
}

/* To one that is no relation of it; and what cannot be says why, and changes nothing. */
static void rolling_back_says_what_it_cannot(void **state)
{
	int fd = make(MORSEL_GRANULE_AUTO, 1), other = make(MORSEL_GRANULE_AUTO, 2), sealed, reader;
	struct morsel_range range = {.size = sizeof(range), .length = MIB};

	assert_done(roll_back(fd, other));
	assert_true(reads(fd, 2));
	close(other);
	assert_true(reads(fd, 2));

	other = make(MORSEL_GRANULE_4K, 1);
	assert_errno(roll_back(fd, other), EINVAL);
	assert_errno(roll_back(fd, dev), EBADF);
	assert_errno(roll_back(fd, 12345), EBADF);
	sealed = clone_with(fd, MORSEL_CLONE_SNAPSHOT, "sealed");
	assert_done(sealed);
	assert_errno(roll_back(sealed, fd), EBADF);
	sealed = open_with(0, "sealed", 0);
	assert_done(sealed);
	assert_errno(roll_back(sealed, fd), EPERM);
	fd = make(MORSEL_GRANULE_AUTO, 3);
	assert_done(clone_with(fd, 0, "other"));
	reader = open_with(0, "other", MORSEL_OPEN_READ_ONLY);
	assert_done(reader);
	assert_errno(roll_back(fd, reader), EBADF);
	assert_errno(roll_back(fd, reopen(fd, O_WRONLY)), EBADF);
	assert_done(ioctl(fd, MORSEL_IOC_RESERVE, &range));
	assert_errno(roll_back(fd, sealed), EBUSY);
	assert_true(reads(fd, 3));
}

static char word_is(int fd, size_t at, size_t length, char value)
{
	static char text[LENGTH];
	size_t i;

	if (pread(fd, text, length, at) != (ssize_t)length)
		return false;
	for (i = 0; i < length && text[i] == value; i++)
		;
	return i == length;
}

/* A child that is stopped, with what is mapped; it ends with the parent's word. */
static pid_t stopped_child(void)
{
	pid_t pid = spawn();
	int status;

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

/* The ways that memory is written by the kernel; each of a page that is mapped for reading, or not at all. */
static void by_store(char *at)
{
	memset(at, 'n', 8);
}

static void by_read(char *at)
{
	int pipes[2];

	need(!pipe(pipes));
	need(write(pipes[1], "nnnnnnnn", 8) == 8);
	need(read(pipes[0], at, 8) == 8);
	close(pipes[0]);
	close(pipes[1]);
}

static void by_process_vm(char *at)
{
	struct iovec from = {"nnnnnnnn", 8}, to = {at, 8};

	need(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 8);
}

static void by_proc_mem(char *at)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	need(fd >= 0);
	need(pwrite(fd, "nnnnnnnn", 8, (off_t)(uintptr_t)at) == 8);
	close(fd);
}

static void by_ptrace(char *at)
{
	pid_t pid = stopped_child();
	long word;
	int status;

	memset(&word, 'n', 8);
	/* What the child has not touched, a debugger does not see there. */
	need(!ptrace(PTRACE_POKEDATA, pid, at, word));
	need(!ptrace(PTRACE_DETACH, pid, 0, 0));
	need(waitpid(pid, &status, 0) == pid);
}

static void by_populating(char *at)
{
	need(!madvise(at, PAGE, MADV_POPULATE_WRITE));
	memset(at, 'n', 8);
}

static void by_direct_io(char *at)
{
	static char text[PAGE] __attribute__((aligned(4096)));
	int fd = scratch_file(PAGE);

	/* Without a file system that takes it, the others are tried all the same. */
	if (fd < 0) {
		by_store(at);
		return;
	}
	memset(text, 'n', PAGE);
	need(pwrite(fd, text, PAGE, 0) == PAGE);
	need(pread(fd, at, PAGE, 0) == PAGE);
	close(fd);
}

static void by_futex(char *at)
{
	uint32_t operation = FUTEX_OP(FUTEX_OP_SET, 0x6e6, FUTEX_OP_CMP_EQ, 0);

	memset(at, 'n', 8);
	need(syscall(SYS_futex, at, FUTEX_WAKE_OP, 1, 1, at + 8, operation) >= 0);
	memset(at + 8, 'n', 4);
}

static void all_ways_of_writing_copy(void **state)
{
	static void (*const ways[])(char *at) = {
		by_store,  by_read,	  by_process_vm, by_proc_mem,
		by_ptrace, by_populating, by_direct_io,	 by_futex,
	};
	unsigned int i, way, looked;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		for (way = 0; way < ARRAY_SIZE(ways); way++) {
			for (looked = 0; looked < 3; looked++) {
				int fd = make(granules[i], 1), clone = clone_of(fd);
				/* In a span, and at an edge. */
				size_t offset = looked == 2 ? PAGE : 0;
				char *memory = mmap(NULL, LENGTH - 2 * MIB, RW, MAP_SHARED, clone,
						    offset);

				assert_ptr_not_equal(memory, MAP_FAILED);
				if (looked)
					(void)*(volatile char *)(memory + 3 * MIB);
				ways[way](memory + 3 * MIB);
				assert_true(word_is(clone, 3 * MIB + offset, 8, 'n'));
				assert_true(reads(fd, 1));
				/* And of the other one, which was the source. */
				munmap(memory, LENGTH - 2 * MIB);
				close(clone);
				close(fd);
			}
		}
	}
}

/* What somebody else has a clone of, they pay for when it is not here any more. */
static void who_has_it_pays(void **state)
{
	unsigned int i, how;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		for (how = 0; how < 3; how++) {
			uint64_t before = limit_of(0).used, spare = 64 * PAGE;
			int fd = make(granules[i], 1), gate[2], done[2];
			char *memory, byte;
			pid_t pid;

			assert_done(pipe(gate));
			assert_done(pipe(done));
			pid = spawn();
			if (!pid) {
				int clone;

				become(TESTER);
				clone = clone_of(fd);
				close(fd);
				assert_int_equal(write(done[1], &byte, 1), 1);
				assert_int_equal(read(gate[0], &byte, 1), 1);
				assert_true(reads(clone, 1));
				_exit(0);
			}
			assert_int_equal(read(done[0], &byte, 1), 1);
			assert_in_range(limit_of(0).used, before + LENGTH, before + LENGTH + spare);
			assert_in_range(limit_of(TESTER).used, 0, spare);
			memory = map(fd, LENGTH, RW);
			if (how == 0)
				fill_pattern(memory, LENGTH, 2);
			else if (how == 1)
				assert_done(punch(fd, 0, LENGTH));
			munmap(memory, LENGTH);
			if (how == 2)
				close(fd);
			assert_soon(limit_of(TESTER).used >= LENGTH);
			assert_in_range(limit_of(TESTER).used, LENGTH, LENGTH + spare);
			assert_soon(limit_of(0).used <=
				    before + (how == 0 ? LENGTH + spare : spare));
			assert_int_equal(write(gate[1], &byte, 1), 1);
			assert_child_done(pid);
			if (how != 2)
				close(fd);
			close(gate[0]);
			close(gate[1]);
			close(done[0]);
			close(done[1]);
			assert_soon(!limit_of(TESTER).used);
			assert_soon(limit_of(0).used == before);
		}
	}
}

/* What of a mapping is no whole span is mapped page by page. */
static void edges_are_copied(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone;
		char *memory = mmap(NULL, MIB, RW, MAP_SHARED, fd, PAGE), *other;

		assert_ptr_not_equal(memory, MAP_FAILED);
		/* Mapped for writing before. */
		memory[0] ^= 1;
		memory[0] ^= 1;
		clone = clone_of(fd);
		other = mmap(NULL, MIB, RW, MAP_SHARED, clone, PAGE);
		assert_ptr_not_equal(other, MAP_FAILED);
		memset(memory, 7, 2 * PAGE);
		assert_true(reads(clone, 1));
		assert_int_equal(memory[PAGE], 7);
		memset(other + 4 * PAGE, 9, 2 * PAGE);
		assert_int_equal(other[4 * PAGE], 9);
		assert_int_not_equal(memory[4 * PAGE] == 9 && memory[4 * PAGE + 1] == 9, 1);
		munmap(memory, MIB);
		munmap(other, MIB);
		close(fd);
		close(clone);
	}
}

/* Fails if the pipe, which holds pages, is seen in the clone to change. */
static void pinned_pages_are_copied(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = make(granules[i], 1), clone, pipes[2];
		char *memory = map(fd, LENGTH, RW), *other;
		struct iovec vector = {memory + MIB, 4 * PAGE};
		uint64_t frame = frame_at(fd, MIB);

		assert_done(pipe(pipes));
		assert_int_equal(vmsplice(pipes[1], &vector, 1, 0), 4 * PAGE);
		clone = clone_of(fd);
		/* Who has it pinned, and who writes, mean the same frame still. */
		assert_int_equal(frame_at(fd, MIB), frame);
		memory[MIB] ^= 1;
		assert_int_equal(frame_at(fd, MIB), frame);
		assert_int_not_equal(frame_at(clone, MIB), frame);
		memory[MIB] ^= 1;
		other = map(clone, LENGTH, RW);
		assert_true(has_pattern(other, LENGTH, 1));
		write_some(other, 50);
		assert_true(reads(fd, 1));
		munmap(memory, LENGTH);
		munmap(other, LENGTH);
		close(pipes[0]);
		close(pipes[1]);
		close(fd);
		close(clone);
	}
}

/* The pool has small frames left, of which no huge one can be made. */
static int fragment_pool(void)
{
	int fd = create(4 * LENGTH, MORSEL_GRANULE_4K);
	size_t at;

	assert_done(populate(fd, 0, 0));
	assert_done(resize_pool((pool_info().used_bytes + HUGE - 1) & ~(HUGE - 1)));
	for (at = 0; at < 4 * LENGTH; at += 2 * PAGE)
		assert_done(punch(fd, at, PAGE));
	return fd;
}

/* Where there is no huge frame, who writes gets small ones, unless these are of no use. */
static void small_frames_take_the_place_of_huge_ones(void **state)
{
	int fd = make(MORSEL_GRANULE_AUTO, 1), clone = clone_of(fd), others, huge, huge_clone;
	char *memory = map(fd, LENGTH, RW), *other = map(clone, LENGTH, RW);

	if (!info_of(fd).huge_bytes)
		skip_because("there are no huge frames");
	huge = make(MORSEL_GRANULE_2M, 2);
	huge_clone = clone_of(huge);
	assert_true(has_pattern(memory, LENGTH, 1));
	assert_true(has_pattern(other, LENGTH, 1));
	others = fragment_pool();
	other[3 * MIB] ^= 1;
	assert_int_equal(info_of(clone).huge_bytes, LENGTH - HUGE);
	assert_int_equal(info_of(fd).huge_bytes, LENGTH);
	assert_true(reads(fd, 1));
	assert_true(has_pattern(memory, LENGTH, 1));
	other[3 * MIB] ^= 1;
	assert_true(has_pattern(other, LENGTH, 1));
	assert_true(reads(clone, 1));
	/* And by the source, of which the frame is its own by now. */
	assert_soon(!shared_in(fd, 2 * MIB, 4 * MIB));
	memory[3 * MIB] ^= 1;
	assert_int_equal(info_of(fd).huge_bytes, LENGTH);
	assert_true(reads(clone, 1));
	memory[3 * MIB] ^= 1;
	munmap(other, LENGTH);

	other = map(huge_clone, LENGTH, RW);
	assert_int_equal(probe_write(other, 1), SIGBUS);
	assert_true(reads(huge, 2));
	assert_true(reads(huge_clone, 2));
	munmap(other, LENGTH);
	munmap(memory, LENGTH);
	close(others);
	close(fd);
	close(clone);
	close(huge);
	close(huge_clone);
}

/* They go in whatever order, and nothing is left. */
static void clones_go_in_any_order(void **state)
{
	enum { MANY = 12 };
	uint64_t seed = 1;
	int fds[MANY];
	unsigned int i, round;

	for (round = 0; round < 10; round++) {
		fds[0] = make(granules[round % 3], 1);
		for (i = 1; i < MANY; i++) {
			char *memory;

			fds[i] = clone_of(fds[random_next(&seed) % i]);
			memory = map(fds[i], LENGTH, RW);
			memory[random_next(&seed) % LENGTH] ^= 1;
			munmap(memory, LENGTH);
		}
		for (i = MANY; i--;) {
			unsigned int pick = random_next(&seed) % (i + 1);

			close(fds[pick]);
			fds[pick] = fds[i];
		}
		assert_int_equal(count_morsels(), 0);
		assert_soon(!pool_info().used_bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_either_writes_is_its_own),
		TEST(memory_is_there_once),
		TEST(calls_copy_too),
		TEST(holes_are_ones_own),
		TEST(nobody_writes_to_a_snapshot),
		TEST(all_rights_show_it),
		TEST(who_may_execute_copies_too),
		TEST(what_was_longer_is_cloned),
		TEST(who_has_it_pinned_sees_nothing_later),
		TEST(who_is_left_writes_in_place),
		TEST(readers_clone_snapshots_alone),
		TEST(holes_take_no_memory),
		TEST(a_morsel_is_rolled_back),
		TEST(rolling_back_says_what_it_cannot),
		TEST(differences_are_told),
		TEST(extents_tell_what_is_shared),
		TEST(a_window_shares_what_it_covers),
		TEST(all_ways_of_writing_copy),
		TEST(who_has_it_pays),
		TEST(edges_are_copied),
		TEST(pinned_pages_are_copied),
		TEST(small_frames_take_the_place_of_huge_ones),
		TEST(clones_go_in_any_order),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
