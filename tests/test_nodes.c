// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes: frames of several pools, and policies that say which.
 *
 * What is written here for two nodes with memory is skipped where there is one; and what is for a
 * node without memory, where all have some.
 */
#include "kernel.h"

#include <linux/mempolicy.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LENGTH (16 * MIB)
#define AT "/tmp/morsel-nodes"

static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M, MORSEL_GRANULE_AUTO};

static void need_two_nodes(void)
{
	struct morsel_pool_info info;

	if (!pool_on(0, &info) || !pool_on(1, &info))
		skip_because("one NUMA node with memory only");
}

static long set_policy(int mode, unsigned long nodes)
{
	return syscall(SYS_set_mempolicy, mode, nodes ? &nodes : NULL, nodes ? 8 : 0);
}

static long bind_mapping(void *at, size_t length, int mode, unsigned long nodes)
{
	return syscall(SYS_mbind, at, length, mode, nodes ? &nodes : NULL, nodes ? 8 : 0, 0);
}

static int policy_end(void **state)
{
	set_policy(MPOL_DEFAULT, 0);
	while (!umount2(AT, MNT_DETACH))
		;
	rmdir(AT);
	return kernel_end(state);
}

#define NODES_TEST(function)                                                       \
	cmocka_unit_test_prestate_setup_teardown(function, test_begin, policy_end, \
						 (void *)#function)

/* To create one on the nodes of a mask. */
static struct morsel_create on_nodes(uint32_t policy, const uint64_t *nodes, uint32_t granule)
{
	return (struct morsel_create){
		.size = sizeof(struct morsel_create),
		.length = LENGTH,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = granule,
		.mode = 0600,
		.policy = policy,
		.nr_nodes = policy ? 64 : 0,
		.nodes = policy ? (uintptr_t)nodes : 0,
	};
}

static int create_on(uint32_t policy, uint64_t nodes, uint32_t granule)
{
	struct morsel_create args = on_nodes(policy, &nodes, granule);

	assert_done(create_with(&args));
	return args.fd;
}

/* How many bytes of frames a morsel has on a node, as NODES says. */
static uint64_t bytes_on(int fd, uint32_t node)
{
	struct morsel_node entries[MORSEL_NODES_LEAST];
	uint64_t cursor = 0, bytes = 0, id = id_of(fd);
	int count, i;

	while ((count = list_step(dev, MORSEL_IOC_NODES, &cursor, entries, sizeof(entries[0]),
				  ARRAY_SIZE(entries))) > 0)
		for (i = 0; i < count; i++)
			if (entries[i].id == id && entries[i].node == node)
				bytes += entries[i].frame_bytes;
	must(!count, "NODES: %s", strerror(errno));
	return bytes;
}

/* The same as the frames themselves have it. */
static void assert_on(int fd, uint64_t bytes0, uint64_t bytes1)
{
	uint64_t found[2] = {};
	struct morsel_extent *extents;
	unsigned int count, i;

	extents = extents_of(fd, &count);
	for (i = 0; i < count; i++) {
		if (extents[i].node == MORSEL_ANY)
			continue;
		assert_true(extents[i].node < 2);
		found[extents[i].node] += extents[i].length;
	}
	free(extents);
	assert_int_equal(found[0], bytes0);
	assert_int_equal(found[1], bytes1);
	assert_int_equal(bytes_on(fd, 0), bytes0);
	assert_int_equal(bytes_on(fd, 1), bytes1);
	assert_int_equal(info_of(fd).frame_bytes, bytes0 + bytes1);
}

/* The node that the caller runs on, and has memory. */
static uint32_t here(void)
{
	unsigned int node;

	pin_to_cpu(0);
	assert_done(syscall(SYS_getcpu, NULL, &node, NULL));
	return node;
}

/* Fails if a morsel of any pool stops where the node is full. */
static void a_full_node_is_not_the_end(void **state)
{
	uint32_t home = here();
	unsigned int g;

	need_two_nodes();
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create_on(MORSEL_POLICY_NEAR, 0, granules[g]);
		char *memory = map(fd, LENGTH, RW);
		struct morsel_pool_info info;
		size_t at;

		assert_int_equal(info_of(fd).node, home);
		assert_true(pool_on(home, &info));
		assert_done(resize_pool_on(home, 6 * MIB));
		for (at = 0; at < LENGTH; at += PAGE)
			assert_int_equal(probe_write(memory + at, 1), 0);
		fill_pattern(memory, LENGTH / 2, g);
		fill_pattern(memory + LENGTH / 2, LENGTH / 2, g + 1);
		assert_true(bytes_on(fd, home) >= 4 * MIB && bytes_on(fd, home) <= 6 * MIB);
		assert_on(fd, home ? LENGTH - bytes_on(fd, 1) : bytes_on(fd, 0),
			  home ? bytes_on(fd, 1) : LENGTH - bytes_on(fd, 0));
		assert_true(has_pattern(memory, LENGTH / 2, g));
		/* What is freed is used again, wherever it was. */
		assert_done(punch(fd, 0, LENGTH / 2));
		assert_done(populate(fd, 0, 0));
		assert_true(is_zero(memory, LENGTH / 2));
		assert_true(has_pattern(memory + LENGTH / 2, LENGTH / 2, g + 1));
		assert_done(munmap(memory, LENGTH));
		close(fd);
		assert_soon(pool_on(0, &info) && !info.used_bytes && !info.morsels);
		assert_soon(pool_on(1, &info) && !info.used_bytes && !info.morsels);
		assert_done(resize_pool_on(home, 512 * MIB));
	}
}

/* Fails if tables are of the first node alone. */
static void tables_go_on_as_well(void **state)
{
	uint32_t home = here();
	int filler, fd;
	struct morsel_pool_info info;
	char *memory, *full;
	unsigned int i;
	uint64_t nodes = 1ULL << home;
	struct morsel_create args = on_nodes(MORSEL_POLICY_NEAR, &nodes, MORSEL_GRANULE_4K);

	need_two_nodes();
	args.length = 64 * GIB;
	assert_done(create_with(&args));
	fd = args.fd;
	memory = map(fd, 64 * GIB, RW);
	assert_done(resize_pool_on(home, 4 * MIB));
	filler = create_on(MORSEL_POLICY_BIND, nodes, MORSEL_GRANULE_4K);
	full = map(filler, LENGTH, RW);
	for (i = 0; !probe_write(full + i * PAGE, 1); i++)
		;
	/* Each page needs two tables beside its frame, and there is no room for these at home. */
	for (i = 0; i < 64; i++)
		assert_int_equal(probe_write(memory + i * GIB, (unsigned char)(i + 1)), 0);
	for (i = 0; i < 64; i++)
		assert_int_equal(memory[i * GIB], i + 1);
	assert_int_equal(bytes_on(fd, !home), 64 * PAGE);
	assert_true(pool_on(!home, &info));
	assert_true(info.used_bytes >= 64 * 3 * PAGE);
	assert_done(munmap(memory, 64 * GIB));
	close(fd);
	/* And they go back to where they are from. */
	assert_soon(pool_on(!home, &info) && !info.used_bytes);
}

static void bound_is_bound(void **state)
{
	unsigned int g;
	uint32_t node;

	need_two_nodes();
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		for (node = 0; node < 2; node++) {
			int fd = create_on(MORSEL_POLICY_BIND, 1ULL << node, granules[g]);

			assert_int_equal(info_of(fd).node, node);
			assert_done(populate(fd, 0, 0));
			assert_on(fd, node ? 0 : LENGTH, node ? LENGTH : 0);
			assert_done(punch(fd, 0, 0));
			assert_done(resize_pool_on(node, 8 * MIB));
			assert_errno(populate(fd, 0, 0), ENOMEM);
			assert_int_equal(bytes_on(fd, !node), 0);
			assert_int_equal(probe_write(map(fd, LENGTH, RW) + LENGTH - 1, 1), SIGBUS);
			close(fd);
			assert_done(resize_pool_on(node, 512 * MIB));
		}
	}
}

static void preferred_goes_on(void **state)
{
	uint32_t node;

	need_two_nodes();
	for (node = 0; node < 2; node++) {
		int fd = create_on(MORSEL_POLICY_PREFERRED, 1ULL << node, MORSEL_GRANULE_4K);
		uint64_t there;

		assert_done(populate(fd, 0, 4 * MIB));
		assert_on(fd, node ? 0 : 4 * MIB, node ? 4 * MIB : 0);
		assert_done(resize_pool_on(node, 8 * MIB));
		assert_done(populate(fd, 0, 0));
		there = bytes_on(fd, node);
		assert_true(there >= 6 * MIB && there <= 8 * MIB);
		assert_on(fd, node ? LENGTH - there : there, node ? there : LENGTH - there);
		close(fd);
		assert_done(resize_pool_on(node, 512 * MIB));
	}
}

/* Also by a node alone, as CREATE has always had it. */
static void a_preferred_node_goes_on(void **state)
{
	uint32_t node;

	need_two_nodes();
	for (node = 0; node < 2; node++) {
		struct morsel_create args = on_nodes(MORSEL_POLICY_NEAR, NULL, MORSEL_GRANULE_2M);

		args.node = node;
		assert_done(create_with(&args));
		assert_done(resize_pool_on(node, 8 * MIB));
		assert_done(populate(args.fd, 0, 0));
		assert_true(bytes_on(args.fd, node) >= 4 * MIB);
		assert_true(bytes_on(args.fd, !node) >= 8 * MIB);
		close(args.fd);
		assert_done(resize_pool_on(node, 512 * MIB));
	}
}

static void a_pool_is_one_pool(void **state)
{
	struct morsel_create args = on_nodes(MORSEL_POLICY_NEAR, NULL, MORSEL_GRANULE_4K);
	struct morsel_pool_info info;

	need_two_nodes();
	assert_true(pool_on(1, &info));
	args.pool = info.id;
	assert_done(create_with(&args));
	assert_done(resize_pool_on(1, 8 * MIB));
	/* Whatever the task, and the mapping, would have. */
	assert_done(set_policy(MPOL_BIND, 1));
	assert_errno(populate(args.fd, 0, 0), ENOMEM);
	assert_int_equal(bytes_on(args.fd, 0), 0);
}

static int tune(int fd, uint32_t around)
{
	struct morsel_tune args = {.size = sizeof(args), .fault_around = around};

	return ioctl(fd, MORSEL_IOC_TUNE, &args);
}

static void interleaved_is_in_equal_parts(void **state)
{
	unsigned int g;

	need_two_nodes();
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		int fd = create_on(MORSEL_POLICY_INTERLEAVE, 3, granules[g]);
		size_t step = granules[g] == MORSEL_GRANULE_4K ? PAGE : HUGE, at;
		char *memory = map(fd, LENGTH, RW);

		assert_done(populate(fd, 0, 0));
		assert_on(fd, LENGTH / 2, LENGTH / 2);
		assert_done(punch(fd, 0, 0));
		/* And page by page. */
		for (at = 0; at < LENGTH; at += step)
			memory[at] = 1;
		assert_on(fd, LENGTH / 2, LENGTH / 2);
		/* And by blocks around what is touched, of which a page comes first. */
		assert_done(punch(fd, 0, 0));
		assert_done(tune(fd, 64 * KIB));
		for (at = 0; at < LENGTH; at += 64 * KIB)
			memory[at + at / 16 % (64 * KIB) / PAGE * PAGE] = 1;
		assert_on(fd, LENGTH / 2, LENGTH / 2);
		/* Where one is full, the other has the rest. */
		assert_done(punch(fd, 0, 0));
		assert_done(resize_pool_on(1, 4 * MIB));
		assert_done(populate(fd, 0, 0));
		assert_true(bytes_on(fd, 1) >= 2 * MIB && bytes_on(fd, 1) <= 4 * MIB);
		assert_done(munmap(memory, LENGTH));
		close(fd);
		assert_done(resize_pool_on(1, 512 * MIB));
	}
}

/* Touch each page of a part. */
static void touch(char *memory, size_t length)
{
	size_t at;

	for (at = 0; at < length; at += PAGE)
		memory[at] = 1;
}

/* mbind(2): before what the morsel says, also of pages that are mapped one by one. */
static void the_policy_of_a_mapping_is_obeyed(void **state)
{
	static const struct {
		int mode;
		unsigned long nodes;
		uint64_t on1;
	} cases[] = {
		{MPOL_BIND, 1, 0},
		{MPOL_BIND, 2, LENGTH},
		{MPOL_PREFERRED, 2, LENGTH},
		{MPOL_INTERLEAVE, 3, LENGTH / 2},
	};
	unsigned int i, edge;

	need_two_nodes();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (edge = 0; edge < 2; edge++) {
			int fd = create_on(MORSEL_POLICY_BIND, 1, MORSEL_GRANULE_4K);
			char *place = free_place(LENGTH + HUGE), *memory;

			memory = map_at(place + (edge ? PAGE : 0), fd, LENGTH, RW, 0);
			assert_done(bind_mapping(memory, LENGTH, cases[i].mode, cases[i].nodes));
			touch(memory, LENGTH);
			assert_on(fd, LENGTH - cases[i].on1, cases[i].on1);
			/* That of another mapping is its own. */
			assert_done(punch(fd, 0, 0));
			assert_done(munmap(memory, LENGTH));
			touch(map(fd, LENGTH, RW), LENGTH);
			assert_on(fd, LENGTH, 0);
			close(fd);
		}
	}
}

static void a_part_of_a_mapping_has_its_own_policy(void **state)
{
	int fd = create_on(MORSEL_POLICY_NEAR, 0, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);

	need_two_nodes();
	assert_done(bind_mapping(memory, LENGTH, MPOL_BIND, 1));
	assert_done(bind_mapping(memory + 4 * MIB + PAGE, 4 * MIB, MPOL_BIND, 2));
	touch(memory, LENGTH);
	assert_on(fd, LENGTH - 4 * MIB, 4 * MIB);
	/* MAP_POPULATE, mlock and MADV_POPULATE_WRITE are as touching. */
	assert_done(punch(fd, 0, 0));
	assert_done(madvise(memory, LENGTH, MADV_POPULATE_WRITE));
	assert_on(fd, LENGTH - 4 * MIB, 4 * MIB);
}

/* numactl(8): for what the task touches, writes and fills. */
static void the_policy_of_a_task_is_obeyed(void **state)
{
	static char text[LENGTH];
	int fd = create_on(MORSEL_POLICY_NEAR, 0, MORSEL_GRANULE_4K), own;
	char *memory = map(fd, LENGTH, RW);
	uint32_t home;

	need_two_nodes();
	assert_done(set_policy(MPOL_INTERLEAVE, 3));
	touch(memory, LENGTH);
	assert_on(fd, LENGTH / 2, LENGTH / 2);
	assert_done(punch(fd, 0, 0));
	assert_done(set_policy(MPOL_BIND, 2));
	assert_int_equal(pwrite(fd, text, LENGTH / 2, 0), LENGTH / 2);
	assert_done(populate(fd, LENGTH / 2, LENGTH / 4));
	assert_done(fallocate(fd, 0, LENGTH / 4 * 3, LENGTH / 4));
	assert_on(fd, 0, LENGTH);
	/* What the morsel says goes before. */
	own = create_on(MORSEL_POLICY_PREFERRED, 1, MORSEL_GRANULE_2M);
	assert_done(populate(own, 0, 0));
	assert_on(own, LENGTH, 0);
	/* MPOL_LOCAL: where the task runs. */
	assert_done(punch(fd, 0, 0));
	assert_done(set_policy(MPOL_LOCAL, 0));
	home = here();
	touch(memory, LENGTH);
	assert_int_equal(bytes_on(fd, home), LENGTH);
}

/* Going on is for nodes that who touches it may have memory of; where it began, all may. */
static void a_cpuset_bounds_where_it_goes_on(void **state)
{
	struct morsel_create args = on_nodes(MORSEL_POLICY_NEAR, NULL, MORSEL_GRANULE_4K);
	char *memory;
	int spread;
	pid_t pid;

	need_two_nodes();
	args.node = 1;
	assert_done(create_with(&args));
	memory = map(args.fd, LENGTH, RW);
	make_cpuset("1");
	assert_done(resize_pool_on(1, 4 * MIB));
	pid = spawn();
	if (!pid) {
		join_cgroup();
		need(!probe_write(memory, 1));
		need(populate(args.fd, 0, 0) == -1 && errno == ENOMEM);
		need(bytes_on(args.fd, 0) == 0);
		/* Room for what is next. */
		need(!punch(args.fd, 0, 0));
		_exit(0);
	}
	assert_child_done(pid);
	spread = create_on(MORSEL_POLICY_INTERLEAVE, 3, MORSEL_GRANULE_4K);
	pid = spawn();
	if (!pid) {
		join_cgroup();
		need(!populate(spread, 0, MIB));
		need(bytes_on(spread, 0) == 0 && bytes_on(spread, 1) == MIB);
		_exit(0);
	}
	assert_child_done(pid);
	close(spread);
	assert_done(populate(args.fd, 0, 0));
	assert_true(bytes_on(args.fd, 0) >= 12 * MIB);
	assert_done(punch(args.fd, 0, 0));
	assert_true(write_text(CGROUP "/cpuset.mems", "0"));
	pid = spawn();
	if (!pid) {
		uint64_t nodes = 2;
		struct morsel_create bound = on_nodes(MORSEL_POLICY_BIND, &nodes, 0);

		join_cgroup();
		need(!probe_write(memory, 1));
		need(bytes_on(args.fd, 1) == PAGE);
		need(create_with(&bound) == -1 && errno == EACCES);
		nodes = 3;
		need(create_with(&bound) >= 0 && !populate(bound.fd, 0, 0));
		need(bytes_on(bound.fd, 0) == LENGTH);
		_exit(0);
	}
	assert_child_done(pid);
}

static void what_is_said_of_nodes_is_checked(void **state)
{
	static uint64_t many[1024];
	uint64_t nodes = 1;
	struct morsel_create good = on_nodes(MORSEL_POLICY_BIND, &nodes, MORSEL_GRANULE_4K), args;
	struct morsel_node entries[MORSEL_NODES_LEAST];
	uint64_t cursor = 0;

	args = good;
	assert_done(create_with(&args));
	args = good;
	args.policy = MORSEL_POLICY_INTERLEAVE + 1;
	assert_errno(create_with(&args), EINVAL);
	args = good;
	args.policy = MORSEL_POLICY_NEAR;
	assert_errno(create_with(&args), EINVAL);
	args.nr_nodes = 0;
	assert_errno(create_with(&args), EINVAL);
	args = good;
	args.nr_nodes = 0;
	assert_errno(create_with(&args), EINVAL);
	args = good;
	args.nr_nodes = 65537;
	args.nodes = (uintptr_t)many;
	assert_errno(create_with(&args), EINVAL);
	args = good;
	args.node = 0;
	assert_errno(create_with(&args), EINVAL);
	args = good;
	args.pool = pool_info().id;
	assert_errno(create_with(&args), EINVAL);
	args = good;
	args.nodes = 8;
	assert_errno(create_with(&args), EFAULT);
	/* No nodes at all, and one that no machine has. */
	args = good;
	nodes = 0;
	assert_errno(create_with(&args), ENODEV);
	args.nr_nodes = 65536;
	args.nodes = (uintptr_t)many;
	many[1023] = 1ULL << 63;
	assert_errno(create_with(&args), ENODEV);
	/* What is behind the last bit is not looked at. */
	args = good;
	nodes = ~0ULL << 1 | 1;
	args.nr_nodes = 1;
	assert_done(create_with(&args));
	assert_errno(list_step(dev, MORSEL_IOC_NODES, &cursor, entries, sizeof(entries[0]),
			       MORSEL_NODES_LEAST - 1),
		     EINVAL);
}

/* Fails if frames that wait for their pins are forgotten, or counted where they are not. */
static void pinned_frames_go_back_to_their_nodes(void **state)
{
	struct morsel_pool_info info[2];
	struct iovec iov = {.iov_len = 16 * PAGE};
	char *memory;
	int fd, pipes[2];

	need_two_nodes();
	fd = create_on(MORSEL_POLICY_INTERLEAVE, 3, MORSEL_GRANULE_4K);
	memory = map(fd, LENGTH, RW);
	iov.iov_base = memory;
	touch(memory, LENGTH);
	assert_done(pipe(pipes));
	assert_done(fcntl(pipes[1], F_SETPIPE_SZ, MIB));
	assert_int_equal(vmsplice(pipes[1], &iov, 1, 0), 16 * PAGE);
	assert_done(punch(fd, 0, 0));
	assert_true(pool_on(0, &info[0]) && pool_on(1, &info[1]));
	assert_int_equal(info[0].pinned_bytes, 8 * PAGE);
	assert_int_equal(info[1].pinned_bytes, 8 * PAGE);
	assert_on(fd, 0, 0);
	close(pipes[0]);
	close(pipes[1]);
	assert_true(pool_on(0, &info[0]) && pool_on(1, &info[1]));
	assert_int_equal(info[0].pinned_bytes, 0);
	assert_int_equal(info[1].pinned_bytes, 0);
}

static void a_pool_that_it_went_on_to_stays(void **state)
{
	int fd = create_on(MORSEL_POLICY_PREFERRED, 1, MORSEL_GRANULE_4K);
	struct morsel_pool pool = {.size = sizeof(pool)}, again;
	struct morsel_pool_info info;

	need_two_nodes();
	assert_true(pool_on(1, &info));
	pool.id = info.id;
	assert_done(populate(fd, 0, 0));
	/* None of it is there yet. */
	assert_done(ioctl(dev, MORSEL_IOC_POOL_REMOVE, &pool));
	assert_done(resize_pool_on(0, 4 * MIB));
	assert_done(punch(fd, 0, 0));
	assert_errno(populate(fd, 0, 0), ENOMEM);
	again = (struct morsel_pool){.size = sizeof(again),
				     .kind = MORSEL_POOL_DRAM,
				     .node = 1,
				     .limit_bytes = info.limit_bytes};
	assert_done(ioctl(dev, MORSEL_IOC_POOL_ADD, &again));
	assert_done(populate(fd, 0, 0));
	assert_true(bytes_on(fd, 1) >= 12 * MIB);
	pool.id = again.id;
	assert_errno(ioctl(dev, MORSEL_IOC_POOL_REMOVE, &pool), EBUSY);
	assert_true(pool_on(1, &info));
	assert_int_equal(info.morsels, 1);
	close(fd);
	assert_soon(!ioctl(dev, MORSEL_IOC_POOL_REMOVE, &pool));
	assert_done(ioctl(dev, MORSEL_IOC_POOL_ADD, &again));
}

/* What statfs(2) tells is of all pools that it may have. */
static void room_is_that_of_all_nodes(void **state)
{
	int near = create_on(MORSEL_POLICY_NEAR, 0, MORSEL_GRANULE_4K);
	int bound = create_on(MORSEL_POLICY_BIND, 1, MORSEL_GRANULE_4K);
	struct morsel_pool_info info[2];
	struct statvfs stat;

	need_two_nodes();
	assert_done(resize_pool_on(0, 64 * MIB));
	assert_done(resize_pool_on(1, 32 * MIB));
	assert_true(pool_on(0, &info[0]) && pool_on(1, &info[1]));
	assert_done(fstatvfs(near, &stat));
	assert_int_equal(stat.f_blocks * stat.f_frsize, 96 * MIB);
	assert_done(fstatvfs(bound, &stat));
	assert_int_equal(stat.f_blocks * stat.f_frsize, 64 * MIB);
}

static int try_mount(const char *options)
{
	mkdir(AT, 0755);
	return mount("none", AT, "morsel", 0, options);
}

static int make_file(void)
{
	int fd = open(AT "/file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_done(fd);
	assert_done(fallocate(fd, 0, 0, LENGTH));
	assert_done(unlink(AT "/file"));
	return fd;
}

static bool mounts_say(const char *text)
{
	return strstr(read_text("/proc/mounts"), text);
}

/* -o nodes=: for all files that are made there. */
static void a_mount_has_nodes(void **state)
{
	static const char *const wrong[] = {
		"nodes=",   "nodes=bind",   "nodes=bind:", "nodes=near:0", "nodes=weigh:0",
		"nodes=0-", "nodes=bind:x", "nodes=99999", "nodes=63"};
	char text[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_errno(try_mount(wrong[i]), EINVAL);
	snprintf(text, sizeof(text), "nodes=0,pool=%u", pool_info().id);
	assert_errno(try_mount(text), EINVAL);
	assert_done(try_mount("nodes=0"));
	assert_true(mounts_say(",nodes=bind:0"));
	assert_on(make_file(), LENGTH, 0);
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "nodes=near"));
	assert_false(mounts_say(",nodes="));
	need_two_nodes();
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "nodes=interleave:0-1"));
	assert_true(mounts_say(",nodes=interleave:0-1"));
	assert_on(make_file(), LENGTH / 2, LENGTH / 2);
	/* Commas are mount(2)'s. */
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "nodes=bind:0+1"));
	assert_true(mounts_say(",nodes=bind:0-1"));
	assert_done(mount("none", AT, NULL, MS_REMOUNT, "nodes=prefer:1"));
	assert_true(mounts_say(",nodes=prefer:1"));
	assert_on(make_file(), 0, LENGTH);
	snprintf(text, sizeof(text), "pool=%u", pool_info().id);
	assert_errno(mount("none", AT, NULL, MS_REMOUNT, text), EINVAL);
}

/* A processor whose node has no memory, or -1; *@node gets that node. */
static int cpu_without_memory(unsigned int *node)
{
	struct morsel_pool_info info;
	unsigned int cpu;
	cpu_set_t one;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			continue;
		assert_done(syscall(SYS_getcpu, NULL, node, NULL));
		if (!pool_on(*node, &info))
			return (int)cpu;
	}
	return -1;
}

/* There, memory is that of the nearest node with some, and that node cannot be had. */
static void a_node_without_memory_is_no_trouble(void **state)
{
	struct morsel_create args = on_nodes(MORSEL_POLICY_NEAR, NULL, MORSEL_GRANULE_AUTO);
	unsigned int node;
	uint64_t nodes;
	char *memory;

	if (cpu_without_memory(&node) < 0)
		skip_because("all nodes have memory");
	assert_done(create_with(&args));
	memory = map(args.fd, LENGTH, RW);
	touch(memory, LENGTH);
	assert_on(args.fd, LENGTH, 0);
	assert_done(set_policy(MPOL_LOCAL, 0));
	assert_done(punch(args.fd, 0, 0));
	touch(memory, LENGTH);
	assert_on(args.fd, LENGTH, 0);
	/* As a wish it is one for what is near it. */
	args = on_nodes(MORSEL_POLICY_NEAR, NULL, MORSEL_GRANULE_4K);
	args.node = node;
	assert_done(create_with(&args));
	assert_done(populate(args.fd, 0, 0));
	assert_on(args.fd, LENGTH, 0);
	nodes = 1ULL << node;
	args = on_nodes(MORSEL_POLICY_BIND, &nodes, MORSEL_GRANULE_4K);
	assert_errno(create_with(&args), ENODEV);
	/* And beside others it is left out. */
	nodes |= 1;
	args = on_nodes(MORSEL_POLICY_INTERLEAVE, &nodes, MORSEL_GRANULE_4K);
	assert_done(create_with(&args));
	assert_done(populate(args.fd, 0, 0));
	assert_on(args.fd, LENGTH, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NODES_TEST(a_full_node_is_not_the_end),
		NODES_TEST(tables_go_on_as_well),
		NODES_TEST(bound_is_bound),
		NODES_TEST(preferred_goes_on),
		NODES_TEST(a_preferred_node_goes_on),
		NODES_TEST(a_pool_is_one_pool),
		NODES_TEST(interleaved_is_in_equal_parts),
		NODES_TEST(the_policy_of_a_mapping_is_obeyed),
		NODES_TEST(a_part_of_a_mapping_has_its_own_policy),
		NODES_TEST(the_policy_of_a_task_is_obeyed),
		NODES_TEST(a_cpuset_bounds_where_it_goes_on),
		NODES_TEST(what_is_said_of_nodes_is_checked),
		NODES_TEST(pinned_frames_go_back_to_their_nodes),
		NODES_TEST(a_pool_that_it_went_on_to_stays),
		NODES_TEST(room_is_that_of_all_nodes),
		NODES_TEST(a_mount_has_nodes),
		NODES_TEST(a_node_without_memory_is_no_trouble),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
