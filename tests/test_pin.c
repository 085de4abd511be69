// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that somebody else holds while their morsel lets go of them.
 */
#include "common.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LENGTH (8 * MIB)
/* What a pipe takes by default: 16 buffers. */
#define PINNED (8 * PAGE)

/* Have a pipe hold the frames behind some memory. */
static void pin_by_pipe(int pipes[2], char *memory, size_t length)
{
	struct iovec vector = {memory, length};

	assert_done(pipe(pipes));
	assert_int_equal(vmsplice(pipes[1], &vector, 1, 0), length);
}

static void assert_pipe_has_pattern(int pipes[2], size_t length, unsigned int seed)
{
	static char buffer[1 << 16];
	size_t total = 0;
	ssize_t got;

	while (total < length && (got = read(pipes[0], buffer + total, length - total)) > 0)
		total += got;
	assert_int_equal(total, length);
	assert_true(has_pattern(buffer, length, seed));
}

/* POOL_STAT notices frames whose pin has gone. */
static void assert_pins_go(void)
{
	assert_soon(!pool_info().pinned_bytes);
}

/* Take every free frame there is, and write something else to it. */
static int overwrite_free_frames(uint32_t granule)
{
	uint64_t length = pool_info().free_bytes + 8 * MIB;
	int fd = create(length & ~(HUGE - 1), granule);
	char *memory = map(fd, length & ~(HUGE - 1), RW);

	memset(memory, 0xee, length & ~(HUGE - 1));
	munmap(memory, length & ~(HUGE - 1));
	return fd;
}

/*
 * Fails if a frame that the pipe holds comes back to the pool: it is overwritten before the pipe is
 * read.
 */
static void punched_frames_wait_for_their_pin(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K), pipes[2];
	char *memory = map(fd, LENGTH, RW);

	fill_pattern(memory + PAGE, PINNED, 1);
	pin_by_pipe(pipes, memory + PAGE, PINNED);
	assert_done(punch(fd, 0, 0));
	assert_int_equal(info_of(fd).frame_bytes, 0);
	assert_int_equal(pool_info().pinned_bytes, PINNED);
	/* The morsel gets fresh frames; the pipe's stay as they were. */
	assert_true(is_zero(memory, 2 * PINNED));
	fill_pattern(memory + PAGE, PINNED, 2);
	overwrite_free_frames(MORSEL_GRANULE_4K);
	assert_int_equal(pool_info().pinned_bytes, PINNED);
	assert_pipe_has_pattern(pipes, PINNED, 1);
	assert_true(has_pattern(memory + PAGE, PINNED, 2));
	assert_pins_go();
}

static void frames_of_a_destroyed_morsel_wait_for_their_pin(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K), pipes[2];
	char *memory = map(fd, LENGTH, RW);
	uint64_t used;

	fill_pattern(memory, PINNED, 3);
	pin_by_pipe(pipes, memory, PINNED);
	munmap(memory, LENGTH);
	close(fd);
	assert_int_equal(count_morsels(), 0);
	assert_int_equal(pool_info().pinned_bytes, PINNED);
	used = pool_info().used_bytes;
	assert_int_equal(used, 0);
	close(overwrite_free_frames(MORSEL_GRANULE_4K));
	assert_pipe_has_pattern(pipes, PINNED, 3);
	assert_pins_go();
}

static void a_huge_frame_waits_for_its_pin(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_2M), pipes[2];
	char *memory = map(fd, LENGTH, RW);

	fill_pattern(memory + HUGE + PAGE, PINNED, 4);
	pin_by_pipe(pipes, memory + HUGE + PAGE, PINNED);
	memory[0] = 1;
	assert_done(punch(fd, 0, 0));
	/* All of it, though a few pages of it are pinned. */
	assert_int_equal(pool_info().pinned_bytes, HUGE);
	overwrite_free_frames(MORSEL_GRANULE_2M);
	assert_pipe_has_pattern(pipes, PINNED, 4);
	assert_pins_go();
}

static void a_pin_that_goes_with_its_process_frees(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K), ready[2];
	char *memory = map(fd, LENGTH, RW), byte;
	pid_t pid;

	fill_pattern(memory, PINNED, 5);
	assert_done(pipe(ready));
	pid = spawn();
	if (!pid) {
		struct iovec vector = {memory, PINNED};
		int pipes[2];

		need(!pipe(pipes));
		need(vmsplice(pipes[1], &vector, 1, 0) == (ssize_t)PINNED);
		need(write(ready[1], "", 1) == 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_done(punch(fd, 0, 0));
	assert_int_equal(pool_info().pinned_bytes, PINNED);
	kill(pid, SIGKILL);
	assert_child_killed(pid, SIGKILL);
	assert_pins_go();
}

static void a_pool_with_pinned_frames_is_not_removed(void **state)
{
	struct morsel_pool_info info = pool_info();
	struct morsel_pool pool = {.size = sizeof(pool), .id = info.id};
	int fd = create(LENGTH, MORSEL_GRANULE_4K), pipes[2];
	char *memory = map(fd, LENGTH, RW);

	fill_pattern(memory, PINNED, 6);
	pin_by_pipe(pipes, memory, PINNED);
	munmap(memory, LENGTH);
	close(fd);
	assert_errno(ioctl(dev, MORSEL_IOC_POOL_REMOVE, &pool), EBUSY);
	assert_pipe_has_pattern(pipes, PINNED, 6);
	assert_pins_go();
	assert_done(ioctl(dev, MORSEL_IOC_POOL_REMOVE, &pool));
	pool = (struct morsel_pool){
		.size = sizeof(pool),
		.kind = info.kind,
		.node = info.node,
		.limit_bytes = info.limit_bytes,
	};
	assert_done(ioctl(dev, MORSEL_IOC_POOL_ADD, &pool));
}

/* The kernel gets such frames back when the pin goes; nothing of ours is in the way. */
static void the_module_goes_while_frames_are_pinned(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = create(LENGTH, granules[i]), pipes[2];
		char *memory = map(fd, LENGTH, RW);

		fill_pattern(memory, PINNED, 7);
		pin_by_pipe(pipes, memory, PINNED);
		munmap(memory, LENGTH);
		close(fd);
		assert_true(pool_info().pinned_bytes > 0);
		close(dev);
		assert_int_equal(unload_module(), 0);
		assert_pipe_has_pattern(pipes, PINNED, 7);
		close(pipes[0]);
		close(pipes[1]);
		load_module();
		dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
		assert_true(dev >= 0);
	}
}

static void pinned_frames_count_against_the_pool(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_2M), pipes[2];
	char *memory = map(fd, LENGTH, RW);

	assert_done(resize_pool(8 * MIB));
	memory[0] = 1;
	pin_by_pipe(pipes, memory, PAGE);
	assert_done(punch(fd, 0, 0));
	/* 8 MiB less 2 MiB pinned and the tables: two more huge frames fit. */
	assert_int_equal(probe_write(memory, 1), 0);
	assert_int_equal(probe_write(memory + HUGE, 1), 0);
	assert_int_equal(probe_write(memory + 2 * HUGE, 1), SIGBUS);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(pool_info().pinned_bytes, 0);
	assert_int_equal(probe_write(memory + 2 * HUGE, 1), 0);
}

static struct morsel_limit limit_of(uid_t uid)
{
	struct morsel_limit limit = {.size = sizeof(limit), .uid = uid};

	need(!ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit));
	return limit;
}

/* As TESTER: touch, pin, punch, until the ceiling of @bytes is met; then let go of the pins. */
static void pin_up_to_the_ceiling(uint32_t granule, uint64_t size, uint64_t bytes)
{
	int fd = create(HUGE, granule), pipes[2];
	char *memory = map(fd, HUGE, RW);
	struct iovec vector = {memory, PAGE};
	uint64_t pinned = 0;

	need(!pipe(pipes));
	need(fcntl(pipes[1], F_SETPIPE_SZ, 64 * PAGE) > 0);
	while (!probe_write(memory, 1)) {
		need(vmsplice(pipes[1], &vector, 1, SPLICE_F_NONBLOCK) == (ssize_t)PAGE);
		need(!punch(fd, 0, 0));
		pinned += size;
		need(pinned <= bytes);
	}
	need(pinned > bytes / 2);
	need(probe_write(memory, 1) == SIGBUS);
	need(populate(fd, 0, size) == -1 && errno == EDQUOT);
	need(pool_info().pinned_bytes == pinned);
	need(limit_of(TESTER).used <= bytes && limit_of(TESTER).used + size > bytes);
	/* At once: who wants frames looks which are free again. */
	close(pipes[0]);
	close(pipes[1]);
	need(!probe_write(memory, 1));
	need(!punch(fd, 0, 0));

	/* A morsel that goes leaves its pinned frames with who made it. */
	need(!probe_write(memory, 1));
	need(!pipe(pipes));
	need(vmsplice(pipes[1], &vector, 1, 0) == (ssize_t)PAGE);
	munmap(memory, HUGE);
	close(fd);
	need(limit_of(TESTER).used == size);
}

/*
 * Fails if what a pin keeps counts for nobody: a user with a ceiling could have a whole pool that
 * way.
 */
static void pinned_frames_count_against_the_ceiling(void **state)
{
	static const struct {
		uint32_t granule;
		uint64_t size;
		uint64_t ceiling;
	} sizes[] = {
		{MORSEL_GRANULE_4K, PAGE, 32 * PAGE},
		{MORSEL_GRANULE_2M, HUGE, 8 * HUGE},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct morsel_limit limit = {.size = sizeof(limit), .uid = TESTER};
		pid_t pid;

		limit.bytes = sizes[i].ceiling;
		assert_done(ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit));
		pid = spawn();
		if (!pid) {
			become(TESTER);
			pin_up_to_the_ceiling(sizes[i].granule, sizes[i].size, sizes[i].ceiling);
			_exit(0);
		}
		assert_child_done(pid);
		assert_int_equal(limit_of(TESTER).used, 0);
		assert_int_equal(pool_info().pinned_bytes, 0);
		assert_int_equal(pool_info().used_bytes, 0);
		limit.flags = MORSEL_LIMIT_DEFAULT;
		assert_done(ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit));
	}
}

static int uring_setup(void)
{
	struct io_uring_params params = {};

	return syscall(SYS_io_uring_setup, 4, &params);
}

static int try_register(int ring, void *memory, size_t length)
{
	struct iovec vector = {memory, length};

	return syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1);
}

/* Have the kernel hold the frames behind some memory for long. */
static void register_buffer(int ring, void *memory, size_t length)
{
	if (!try_register(ring, memory, length))
		return;
	/* Before 6.5 it lets no mapped file be registered but its own kinds. */
	if (errno == EOPNOTSUPP && kernel_version() < KERNEL(6, 5))
		skip_because("this kernel registers no buffers in mapped files");
	fail_msg("IORING_REGISTER_BUFFERS: %s", strerror(errno));
}

/*
 * As RDMA does: long-term pins.  Fails if such frames are refused, not set aside, or set aside for
 * ever.
 */
static void registered_buffers_keep_their_frames(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K), ring = uring_setup();
	char *memory = map(fd, LENGTH, RW);

	if (ring < 0)
		skip_because("io_uring_setup: %s", strerror(errno));
	fill_pattern(memory, PINNED, 8);
	register_buffer(ring, memory, PINNED);
	assert_done(punch(fd, 0, 0));
	assert_int_equal(pool_info().pinned_bytes, PINNED);
	assert_true(is_zero(memory, PINNED));
	overwrite_free_frames(MORSEL_GRANULE_4K);
	assert_int_equal(pool_info().pinned_bytes, PINNED);
	close(ring);
	assert_pins_go();
}

struct ring {
	int fd;
	char *queue;
	struct io_uring_sqe *entries;
	struct io_uring_params params;
};

static bool ring_begin(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0 || !(ring->params.features & IORING_FEAT_SINGLE_MMAP))
		return false;
	ring->queue = mmap(NULL, 16 * PAGE, RW, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->entries = mmap(NULL, PAGE, RW, MAP_SHARED, ring->fd, IORING_OFF_SQES);
	return ring->queue != MAP_FAILED && ring->entries != MAP_FAILED;
}

/* Between the first registered buffer and the start of a file; the call's result. */
static int ring_fixed(struct ring *ring, unsigned int opcode, int file, const void *buffer,
		      size_t length)
{
	struct io_sqring_offsets *sq = &ring->params.sq_off;
	struct io_cqring_offsets *cq = &ring->params.cq_off;
	unsigned int *tail = (unsigned int *)(ring->queue + sq->tail);
	unsigned int *head = (unsigned int *)(ring->queue + cq->head);
	unsigned int slot = *tail & *(unsigned int *)(ring->queue + sq->ring_mask);
	struct io_uring_cqe *done = (struct io_uring_cqe *)(ring->queue + cq->cqes);

	ring->entries[slot] = (struct io_uring_sqe){
		.opcode = opcode,
		.fd = file,
		.addr = (uintptr_t)buffer,
		.len = length,
	};
	((unsigned int *)(ring->queue + sq->array))[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -1;
	done += *head & *(unsigned int *)(ring->queue + cq->ring_mask);
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return done->res;
}

/*
 * The kernel counts a huge frame's pages as one where they follow each other.  Fails if a frame
 * comes back too early, or never, where the buffer begins and ends within one.
 */
static void registered_buffers_may_begin_within_a_huge_frame(void **state)
{
	const size_t at = HUGE - 3 * PAGE + 8, length = 2 * HUGE + 5 * PAGE;
	int fd = create(LENGTH, MORSEL_GRANULE_2M), file = memfd_create("copy", MFD_CLOEXEC);
	char *memory = map(fd, LENGTH, RW), *copy;
	struct ring ring;

	if (!ring_begin(&ring))
		skip_because("io_uring_setup: %s", strerror(errno));
	fill_pattern(memory + at, length, 9);
	register_buffer(ring.fd, memory + at, length);
	munmap(memory, LENGTH);
	close(fd);
	assert_int_equal(count_morsels(), 0);
	/* All four frames: two of them, and a few pages of their neighbours. */
	assert_int_equal(pool_info().pinned_bytes, 4 * HUGE);
	close(overwrite_free_frames(MORSEL_GRANULE_2M));
	assert_int_equal(pool_info().pinned_bytes, 4 * HUGE);
	assert_int_equal(ring_fixed(&ring, IORING_OP_WRITE_FIXED, file, memory + at, length),
			 length);
	copy = mmap(NULL, length, PROT_READ, MAP_SHARED, file, 0);
	assert_true(has_pattern(copy, length, 9));
	assert_done(syscall(SYS_io_uring_register, ring.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
	assert_pins_go();
}

/* A span, and pages before and behind it that are mapped one by one, are one buffer, both ways. */
static void registered_buffers_cross_the_border(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};
	const size_t at = HUGE - 3 * PAGE, length = HUGE + 5 * PAGE;
	static char text[HUGE + 5 * PAGE];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = create(LENGTH, granules[i]), file = memfd_create("copy", MFD_CLOEXEC);
		char *memory = map_at(NULL, fd, length, RW, at);
		struct ring ring;

		if (!ring_begin(&ring))
			skip_because("io_uring_setup: %s", strerror(errno));
		fill_pattern(memory, length, 1);
		register_buffer(ring.fd, memory, length);
		assert_int_equal(ring_fixed(&ring, IORING_OP_WRITE_FIXED, file, memory, length),
				 length);
		assert_int_equal(pread(file, text, length, 0), length);
		assert_true(has_pattern(text, length, 1));
		fill_pattern(text, length, 2);
		assert_int_equal(pwrite(file, text, length, 0), length);
		assert_int_equal(ring_fixed(&ring, IORING_OP_READ_FIXED, file, memory, length),
				 length);
		assert_true(has_pattern(memory, length, 2));
		assert_int_equal(pread(fd, text, length, at), length);
		assert_true(has_pattern(text, length, 2));
		assert_done(syscall(SYS_io_uring_register, ring.fd, IORING_UNREGISTER_BUFFERS,
				    NULL, 0));
		close(ring.fd);
		assert_done(munmap(memory, length));
		close(fd);
		close(file);
		assert_pins_go();
	}
}

/* Whose frame it is, is settled when it is pinned: what comes into it is in that clone, and in no other. */
static void assert_registers_its_own(int fd, int clone, struct ring *ring, char *memory)
{
	static char text[LENGTH];
	int file = memfd_create("text", MFD_CLOEXEC);

	register_buffer(ring->fd, memory, LENGTH);
	fill_pattern(text, LENGTH, 2);
	assert_int_equal(pwrite(file, text, LENGTH, 0), LENGTH);
	assert_int_equal(ring_fixed(ring, IORING_OP_READ_FIXED, file, memory, LENGTH), LENGTH);
	assert_true(has_pattern(memory, LENGTH, 2));
	assert_int_equal(pread(clone, text, LENGTH, 0), LENGTH);
	assert_true(has_pattern(text, LENGTH, 2));
	assert_int_equal(pread(fd, text, LENGTH, 0), LENGTH);
	assert_true(has_pattern(text, LENGTH, 1));
	assert_done(syscall(SYS_io_uring_register, ring->fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
	close(file);
}

/*
 * Where clones share huge frames, these are pinned for long as ever.  Where they share small ones, the kernel
 * lets nobody who has asked to be asked before they are written, until they are unshared, and mapped anew.
 */
static void registered_buffers_are_in_one_clone(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_2M, MORSEL_GRANULE_4K};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		int fd = create(LENGTH, granules[i]), clone;
		char *memory = map(fd, LENGTH, RW);
		struct ring ring;

		if (!ring_begin(&ring))
			skip_because("io_uring_setup: %s", strerror(errno));
		fill_pattern(memory, LENGTH, 1);
		munmap(memory, LENGTH);
		clone = clone_of(fd);
		memory = map(clone, LENGTH, RW);
		if (granules[i] == MORSEL_GRANULE_4K && kernel_version() >= KERNEL(6, 5)) {
			assert_errno(try_register(ring.fd, memory, LENGTH), EFAULT);
			assert_done(fallocate(clone, FALLOC_FL_UNSHARE_RANGE, 0, LENGTH));
			munmap(memory, LENGTH);
			memory = map(clone, LENGTH, RW);
		}
		assert_registers_its_own(fd, clone, &ring, memory);
		close(ring.fd);
		munmap(memory, LENGTH);
		close(fd);
		close(clone);
		assert_pins_go();
	}
}

/*
 * A page that is given away is not the kernel's to keep: fails if the pipe's readers see what comes
 * after the punch, or if the page itself went into a file.
 */
static void a_gift_is_not_kept(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};
	static const unsigned int flags[] = {0, SPLICE_F_GIFT};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		for (j = 0; j < ARRAY_SIZE(flags); j++) {
			size_t at = HUGE + PAGE, held = i ? HUGE : PINNED;
			int fd = create(LENGTH, granules[i]), given[2], teed[2];
			int file = memfd_create("given", MFD_CLOEXEC);
			char *memory = map(fd, LENGTH, RW), *copy;
			struct iovec vector = {memory + at, PINNED};

			fill_pattern(memory + at, PINNED, 10);
			assert_done(pipe(given));
			assert_done(pipe(teed));
			assert_int_equal(vmsplice(given[1], &vector, 1, flags[j]), PINNED);
			assert_int_equal(tee(given[0], teed[1], PINNED, 0), PINNED);
			assert_done(punch(fd, 0, 0));
			assert_int_equal(pool_info().pinned_bytes, held);
			fill_pattern(memory + at, PINNED, 11);
			assert_int_equal(splice(given[0], NULL, file, NULL, PINNED, SPLICE_F_MOVE),
					 PINNED);
			/* The other pipe holds them still. */
			assert_int_equal(pool_info().pinned_bytes, held);
			close(overwrite_free_frames(granules[i]));
			copy = mmap(NULL, PINNED, PROT_READ, MAP_SHARED, file, 0);
			assert_true(has_pattern(copy, PINNED, 10));
			assert_pipe_has_pattern(teed, PINNED, 10);
			assert_true(has_pattern(memory + at, PINNED, 11));
			/* And the file, which lives on, does not. */
			assert_pins_go();
			munmap(copy, PINNED);
			munmap(memory, LENGTH);
			close(file);
			close(fd);
		}
	}
}

#define ROUNDS rounds_of(10000)
#define TRANSFER (4 * PAGE)

struct racer {
	int file;
	char *memory;
	unsigned int role;
	int fd;
	/* A morsel that the frames go to when they are free. */
	int next;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	unsigned int i;
	size_t at;

	for (i = 0; i < ROUNDS; i++) {
		if (racer->role) {
			need(!punch(racer->fd, 0, TRANSFER));
			memset(racer->memory, 0xee, TRANSFER);
			sched_yield();
			for (at = 0; at < TRANSFER; at++)
				need((unsigned char)racer->memory[at] == 0xee);
			need(!punch(racer->next, 0, TRANSFER));
		} else {
			/* In full, or not at all where the page went away under it. */
			ssize_t got = pread(racer->file, racer->memory, TRANSFER, 0);

			need(got >= 0 || errno == EFAULT);
		}
	}
	return NULL;
}

/*
 * What is read from the disk goes to frames that are punched meanwhile.  Fails if one comes back
 * too early: the morsel that has it then gets what was read; or if one stays set aside when nobody
 * holds it any more.
 */
static void punch_against_direct_io(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K), file = scratch_file(LENGTH);
	char *memory = map(fd, LENGTH, RW);
	pid_t pid;

	if (file < 0)
		skip_because("no file system that takes O_DIRECT: set MORSEL_SCRATCH");
	memset(memory, 0x77, TRANSFER);
	assert_int_equal(pwrite(file, memory, TRANSFER, 0), TRANSFER);
	pid = spawn();
	if (!pid) {
		int next = create(LENGTH, MORSEL_GRANULE_4K);
		struct racer racers[2] = {{file, memory, 0, fd},
					  {file, map(next, LENGTH, RW), 1, fd, next}};
		size_t at;

		run_threads(2, race, racers, sizeof(racers[0]));
		for (at = 0; at < TRANSFER; at++)
			need(!memory[at] || memory[at] == 0x77);
		_exit(0);
	}
	assert_child_done(pid);
	assert_done(punch(fd, 0, 0));
	assert_pins_go();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(punched_frames_wait_for_their_pin),
		TEST(frames_of_a_destroyed_morsel_wait_for_their_pin),
		TEST(a_huge_frame_waits_for_its_pin),
		TEST(a_pin_that_goes_with_its_process_frees),
		TEST(a_pool_with_pinned_frames_is_not_removed),
		TEST(the_module_goes_while_frames_are_pinned),
		TEST(pinned_frames_count_against_the_pool),
		TEST(pinned_frames_count_against_the_ceiling),
		TEST(registered_buffers_keep_their_frames),
		TEST(registered_buffers_may_begin_within_a_huge_frame),
		TEST(registered_buffers_cross_the_border),
		TEST(registered_buffers_are_in_one_clone),
		TEST(a_gift_is_not_kept),
		TEST(punch_against_direct_io),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
