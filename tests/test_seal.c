// SPDX-License-Identifier: GPL-2.0
/*
 * Seals: each call is refused, or not, as the kernel does with a memfd that has the same ones.
 */
#include "common.h"

#include <sys/uio.h>

#ifndef FALLOC_FL_KEEP_SIZE
#include <linux/falloc.h>
#endif

#define LENGTH (HUGE + PAGE / 2)

static int create_sealable(uint32_t granule)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.flags = MORSEL_CREATE_SEALABLE,
		.length = LENGTH,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = granule,
		.mode = 0600,
	};

	assert_done(create_with(&args));
	return args.fd;
}

/* -1 and errno, or all that there are. */
static int seal(int fd, uint32_t seals)
{
	struct morsel_seal args = {.size = sizeof(args), .seals = seals};

	return ioctl(fd, MORSEL_IOC_SEAL, &args) ? -1 : (int)args.seals;
}

static int try_map(int fd, int prot, int flags, int later)
{
	char *memory = mmap(NULL, PAGE, prot, flags, fd, 0);
	int err;

	if (memory == MAP_FAILED)
		return errno;
	err = later && mprotect(memory, PAGE, later) ? errno : 0;
	if (!err && later)
		memory[0] = 'm';
	munmap(memory, PAGE);
	return err;
}

static int answer(long result)
{
	return result < 0 ? -errno : (int)result;
}

/* What may be forbidden; each leaves the size as it was. */
#define CALLS 13

static int try_call(int fd, unsigned int call)
{
	char text[2 * PAGE] = "text";
	int result;

	switch (call) {
	case 0:
		return answer(pwrite(fd, text, 4, 0));
	case 1:
		result = answer(pwrite(fd, text, 4, LENGTH));
		break;
	case 2:
		result = answer(pwrite(fd, text, 2 * PAGE, HUGE - PAGE));
		break;
	case 3:
		result = answer(ftruncate(fd, LENGTH - 1));
		break;
	case 4:
		result = answer(ftruncate(fd, LENGTH + 1));
		break;
	case 5:
		return answer(ftruncate(fd, LENGTH));
	case 6:
		return answer(
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
	case 7:
		result = answer(fallocate(fd, 0, 0, LENGTH + PAGE));
		break;
	case 8:
		return answer(fallocate(fd, 0, 0, LENGTH));
	case 9:
		return try_map(fd, RW, MAP_SHARED, 0);
	case 10:
		return try_map(fd, PROT_READ, MAP_SHARED, 0);
	case 11:
		return try_map(fd, PROT_READ, MAP_SHARED, RW);
	default:
		return try_map(fd, PROT_READ, MAP_PRIVATE, RW);
	}
	/* Back, if the seals let us. */
	if (ftruncate(fd, LENGTH))
		return result;
	return result;
}

/* Fails if any call answers another thing, with any seals. */
static void seals_are_those_of_a_memfd(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_AUTO, MORSEL_GRANULE_4K};
	unsigned int seals, call, g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		for (seals = 0; seals <= MORSEL_SEALS; seals++) {
			int fd = create_sealable(granules[g]);
			int memfd = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);

			assert_done(ftruncate(memfd, LENGTH));
			assert_done(fcntl(memfd, F_ADD_SEALS, seals));
			assert_int_equal(seal(fd, seals), seals);
			assert_int_equal(seal(fd, 0), fcntl(memfd, F_GET_SEALS));
			for (call = 0; call < CALLS; call++) {
				int theirs = try_call(memfd, call), ours = try_call(fd, call);
				struct stat a, b;

				if (theirs != ours)
					fail_msg("seals %#x, call %u: %d, but a memfd's %d", seals,
						 call, ours, theirs);
				assert_done(fstat(memfd, &a));
				assert_done(fstat(fd, &b));
				assert_int_equal(a.st_size, b.st_size);
			}
			close(memfd);
			close(fd);
		}
	}
}

static void who_may_seal(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_AUTO), read_only;

	/* As of a memfd, only what was made for it. */
	assert_int_equal(seal(fd, 0), MORSEL_SEAL_SEAL);
	assert_errno(seal(fd, MORSEL_SEAL_SHRINK), EPERM);
	fd = create_sealable(MORSEL_GRANULE_AUTO);
	read_only = reopen_read_only(fd);
	assert_int_equal(seal(read_only, 0), 0);
	assert_errno(seal(read_only, MORSEL_SEAL_SHRINK), EPERM);
	assert_int_equal(seal(fd, MORSEL_SEAL_SHRINK), MORSEL_SEAL_SHRINK);
	assert_int_equal(seal(read_only, 0), MORSEL_SEAL_SHRINK);
	assert_errno(seal(fd, 0x20), EINVAL);
	assert_int_equal(seal(fd, MORSEL_SEAL_SEAL | MORSEL_SEAL_GROW),
			 MORSEL_SEAL_SHRINK | MORSEL_SEAL_SEAL | MORSEL_SEAL_GROW);
	assert_errno(seal(fd, MORSEL_SEAL_WRITE), EPERM);
}

/* Fails if somebody can write after it is sealed. */
static void who_has_it_mapped_keeps_it_from_being_sealed(void **state)
{
	int fd = create_sealable(MORSEL_GRANULE_4K), pipes[2];
	char *memory = map(fd, HUGE, RW), *edge, byte;
	struct iovec vector;

	memory[0] = 'a';
	assert_errno(seal(fd, MORSEL_SEAL_WRITE), EBUSY);
	memory[0] = 'b';
	/* For the future alone, that is none of its business. */
	assert_int_equal(seal(fd, MORSEL_SEAL_FUTURE_WRITE), MORSEL_SEAL_FUTURE_WRITE);
	memory[0] = 'c';
	assert_errno(pwrite(fd, "x", 1, 0), EPERM);
	assert_ptr_equal(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), MAP_FAILED);
	/* Pinned by a pipe, which could be anything that writes. */
	vector = (struct iovec){memory, 1};
	assert_done(pipe(pipes));
	assert_int_equal(vmsplice(pipes[1], &vector, 1, 0), 1);
	munmap(memory, HUGE);
	assert_errno(seal(fd, MORSEL_SEAL_WRITE), EBUSY);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(byte, 'c');
	/* Who reads at an edge holds its page, too, but is not in the way. */
	edge = map(reopen_read_only(fd), PAGE, PROT_READ);
	assert_int_equal(edge[0], 'c');
	assert_int_equal(seal(fd, MORSEL_SEAL_WRITE), MORSEL_SEAL_WRITE | MORSEL_SEAL_FUTURE_WRITE);
	assert_int_equal(edge[0], 'c');
	assert_errno(punch(fd, 0, 0), EPERM);
	assert_errno(madvise(edge, PAGE, MADV_REMOVE), EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(seals_are_those_of_a_memfd),
		TEST(who_may_seal),
		TEST(who_has_it_mapped_keeps_it_from_being_sealed),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
