// SPDX-License-Identifier: GPL-2.0
/*
 * libmorsel, as a program that links to it sees it.
 */
#include "common.h"

#include <numa.h>
#include <sys/socket.h>

#include "morsel.h"

static int device;

static int open_device(void)
{
	device = morsel_device();
	assert_true(device >= 0);
	return device;
}

static int make(uint64_t length, const char *name)
{
	struct morsel_params params = {.length = length, .name = name};
	int fd = morsel_create(open_device(), &params);

	assert_true(fd >= 0);
	return fd;
}

static void versions_agree(void **state)
{
	struct morsel_query query;

	assert_int_equal(fcntl(open_device(), F_GETFD), FD_CLOEXEC);
	assert_int_equal(morsel_query(device, &query), 0);
	assert_int_equal(query.abi, MORSEL_ABI_VERSION);
	/* The release; the commit is that of what was built last. */
	assert_true(query.version[0]);
	assert_memory_equal(query.version, morsel_version(), strcspn(query.version, "+"));
}

static void the_device_may_be_out_of_reach(void **state)
{
	pid_t pid = spawn();

	if (!pid) {
		become(OTHER);
		need(morsel_device() == -EACCES);
		_exit(0);
	}
	assert_child_done(pid);
	close(dev);
	assert_int_equal(unload_module(), 0);
	assert_true(morsel_device() == -ENOENT || morsel_device() == -ENODEV);
	load_module();
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
}

static void defaults_make_a_morsel(void **state)
{
	int fd = make(5 * MIB, NULL);
	struct morsel_info info;

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(morsel_stat(fd, &info), 0);
	assert_int_equal(info.length, 5 * MIB);
	assert_int_equal(info.mode, 0600);
	assert_int_equal(info.granule, MORSEL_GRANULE_AUTO);
	assert_string_equal(info.name, "");
}

static void parameters_are_passed_on(void **state)
{
	struct morsel_params params = {
		.length = 8 * MIB,
		.name = "asked",
		.granule = MORSEL_GRANULE_4K,
		.mode = 0640,
		.pool = pool_info().id,
		.node = pool_info().node + 1,
		.flags = MORSEL_CREATE_POPULATE,
	};
	int fd = morsel_create(open_device(), &params);
	struct morsel_info info;

	assert_true(fd >= 0);
	assert_int_equal(morsel_stat(fd, &info), 0);
	assert_int_equal(info.frame_bytes, 8 * MIB);
	assert_int_equal(info.huge_bytes, 0);
	assert_int_equal(info.mode, 0640);
	assert_int_equal(info.granule, MORSEL_GRANULE_4K);
	assert_string_equal(info.name, "asked");
	assert_int_equal(morsel_create(device, &params), -EEXIST);
}

static void errors_are_negative_errno(void **state)
{
	struct morsel_params params = {.length = HUGE, .granule = 3};
	struct morsel_info info;
	char name[MORSEL_NAME_MAX + 1];

	open_device();
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = 0;
	assert_int_equal(morsel_create(device, &params), -EINVAL);
	params.length = UINT64_MAX;
	assert_int_equal(morsel_create(device, &params), -EFBIG);
	params.granule = MORSEL_GRANULE_AUTO;
	params.length = HUGE;
	params.name = name;
	assert_true(morsel_create(device, &params) == -EINVAL ||
		    morsel_create(device, &params) == -ENAMETOOLONG);
	assert_int_equal(morsel_open(device, "nobody", 0), -ENOENT);
	assert_true(morsel_open(device, name, 0) < 0);
	assert_int_equal(morsel_open_id(device, 99999999, 0), -ENOENT);
	assert_int_equal(morsel_unlink(device, "nobody"), -ENOENT);
	assert_int_equal(morsel_stat(device, &info), -ENOTTY);
	assert_int_equal(morsel_stat(-1, &info), -EBADF);
	assert_int_equal(count_morsels(), 0);
}

static void open_and_unlink_work(void **state)
{
	struct morsel_info info, again;
	int fd = make(HUGE, "here"), other;

	assert_int_equal(morsel_stat(fd, &info), 0);
	other = morsel_open(device, "here", 0);
	assert_true(other >= 0);
	assert_int_equal(fcntl(other, F_GETFD), FD_CLOEXEC);
	assert_int_equal(morsel_stat(other, &again), 0);
	assert_int_equal(again.id, info.id);
	other = morsel_open_id(device, info.id, MORSEL_OPEN_READ_ONLY);
	assert_true(other >= 0);
	assert_errno(pwrite(other, "x", 1, 0), EBADF);
	assert_int_equal(morsel_populate(other, 0, 0), -EBADF);
	assert_int_equal(morsel_unlink(device, "here"), 0);
	assert_int_equal(morsel_open(device, "here", 0), -ENOENT);
}

static int count_them(const struct morsel_info *info, void *context)
{
	unsigned int *count = context;

	assert_int_equal(info->length, HUGE);
	++*count;
	return 0;
}

static int stop_at_three(const struct morsel_info *info, void *context)
{
	unsigned int *count = context;

	return ++*count == 3 ? 77 : 0;
}

static void list_visits_each(void **state)
{
	unsigned int count = 0, i;

	open_device();
	assert_int_equal(morsel_list(device, count_them, &count), 0);
	assert_int_equal(count, 0);
	for (i = 0; i < 300; i++)
		create(HUGE, MORSEL_GRANULE_AUTO);
	assert_int_equal(morsel_list(device, count_them, &count), 0);
	assert_int_equal(count, 300);
	count = 0;
	assert_int_equal(morsel_list(device, stop_at_three, &count), 77);
	assert_int_equal(count, 3);
}

static int sum_extents(const struct morsel_extent *extent, void *context)
{
	uint64_t *sums = context;

	assert_int_equal(extent->offset, sums[0]);
	sums[0] += extent->length;
	if (extent->level <= MORSEL_LEVEL_2M)
		sums[1] += extent->length;
	return 0;
}

static void extents_are_visited(void **state)
{
	struct morsel_params params = {.length = 2 * GIB, .granule = MORSEL_GRANULE_4K};
	uint64_t sums[2] = {};
	unsigned int i;
	int fd = morsel_create(open_device(), &params);

	/* More extents than any array that the library might take. */
	for (i = 0; i < 3000; i++)
		assert_int_equal(pwrite(fd, "x", 1, i * 2 * PAGE), 1);
	assert_int_equal(morsel_extents(fd, sum_extents, sums), 0);
	assert_int_equal(sums[0], 2 * GIB);
	assert_int_equal(sums[1], 3000 * PAGE);
}

static void populate_and_punch_work(void **state)
{
	int fd = make(8 * MIB, NULL);

	assert_int_equal(morsel_populate(fd, HUGE, HUGE), 0);
	assert_int_equal(info_of(fd).frame_bytes, HUGE);
	assert_int_equal(morsel_populate(fd, 0, 0), 0);
	assert_int_equal(info_of(fd).frame_bytes, 8 * MIB);
	assert_int_equal(morsel_punch(fd, 2 * HUGE, 0), 0);
	assert_int_equal(info_of(fd).frame_bytes, 2 * HUGE);
	assert_int_equal(morsel_punch(fd, 1, 0), -EINVAL);
	assert_int_equal(morsel_punch(fd, 16 * MIB, 0), -ERANGE);
}

static void map_takes_care_of_places(void **state)
{
	static const size_t lengths[] = {1, PAGE, HUGE, HUGE + 1, 5 * MIB, GIB, GIB + PAGE, 3 * GIB};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int fd = make(lengths[i], NULL);
		void *memory;

		assert_int_equal(morsel_map(fd, 0, 0, RW, 0, &memory), 0);
		assert_int_equal((uintptr_t)memory % (lengths[i] >= GIB ? GIB : HUGE), 0);
		((char *)memory)[0] = 1;
		((char *)memory)[lengths[i] - 1] = 1;
		if (lengths[i] % PAGE == 0 && lengths[i] % HUGE)
			assert_int_equal(probe_read((char *)memory + lengths[i], NULL), SIGBUS);
		assert_int_equal(morsel_unmap(memory, lengths[i]), 0);
		assert_int_equal(info_of(fd).attachments, 0);
		assert_int_equal(probe_read(memory, NULL), SIGSEGV);
		/* It is what mmap() would want. */
		assert_true(morsel_map_length(lengths[i]) >= lengths[i]);
		assert_int_equal(morsel_map_length(lengths[i]) % HUGE, 0);
		close(fd);
	}
}

static void map_parts_and_rights(void **state)
{
	int fd = make(2 * GIB, "parts"), read_only;
	void *whole, *part;

	assert_int_equal(morsel_map(fd, 0, 0, RW, 0, &whole), 0);
	((char *)whole)[GIB + HUGE] = 5;
	assert_int_equal(morsel_map(fd, GIB + HUGE, HUGE, PROT_READ, 0, &part), 0);
	assert_int_equal(((char *)part)[0], 5);
	assert_int_equal(probe_write(part, 1), SIGSEGV);
	assert_int_equal(morsel_unmap(part, HUGE), 0);
	assert_int_equal(morsel_map(fd, GIB + PAGE, HUGE, RW, 0, &part), 0);
	assert_int_equal(((char *)part)[HUGE - PAGE], 5);
	assert_int_equal(morsel_unmap(part, HUGE), 0);
	assert_int_equal(morsel_map(fd, 1, HUGE, RW, 0, &part), -EINVAL);
	read_only = morsel_open(device, "parts", MORSEL_OPEN_READ_ONLY);
	assert_int_equal(morsel_map(read_only, 0, 0, RW, 0, &part), -EACCES);
	assert_int_equal(morsel_map(read_only, 0, 0, PROT_READ, 0, &part), 0);
	assert_int_equal(((char *)part)[GIB + HUGE], 5);
	assert_true(morsel_map(-1, 0, HUGE, RW, 0, &part) < 0);
}

static void map_populates_if_asked(void **state)
{
	int fd = make(8 * MIB, NULL);
	void *memory;

	assert_int_equal(morsel_map(fd, 0, 0, RW, MAP_POPULATE, &memory), 0);
	assert_int_equal(info_of(fd).frame_bytes, 8 * MIB);
	assert_int_equal(morsel_unmap(memory, 8 * MIB), 0);
}

/* mmap(2) says nothing of that. */
static void map_tells_that_populating_failed(void **state)
{
	int fd = make(64 * MIB, "large"), read_only;
	void *memory = NULL;
	unsigned int i;

	for (i = 0; i < query().nr_pools; i++)
		assert_done(resize_pool_on(i, 16 * MIB / query().nr_pools));
	assert_int_equal(morsel_map(fd, 0, 0, RW, MAP_POPULATE, &memory), -ENOMEM);
	assert_null(memory);
	assert_int_equal(info_of(fd).attachments, 0);
	assert_int_equal(morsel_punch(fd, 0, 0), 0);
	/* A part of it fits, at the end of which nothing is asked of what follows. */
	assert_int_equal(morsel_map(fd, 32 * MIB + PAGE, 3 * MIB + 1, RW, MAP_POPULATE, &memory),
			 0);
	assert_in_range(info_of(fd).frame_bytes, 3 * MIB + PAGE, 8 * MIB);
	assert_int_equal(morsel_unmap(memory, 3 * MIB + 1), 0);
	/* Who may not allocate has what is there. */
	read_only = morsel_open(device, "large", MORSEL_OPEN_READ_ONLY);
	assert_int_equal(morsel_map(read_only, 0, 0, PROT_READ, MAP_POPULATE, &memory), 0);
	assert_int_equal(probe_read((char *)memory + 33 * MIB, NULL), 0);
	assert_int_equal(morsel_unmap(memory, 64 * MIB), 0);
}

static void promises_are_made_and_taken_back(void **state)
{
	int fd = make(8 * MIB, NULL);

	assert_int_equal(morsel_reserve(fd, 0, 4 * MIB), 0);
	assert_int_equal(info_of(fd).reserved_bytes, 4 * MIB);
	assert_int_equal(morsel_punch(fd, 0, 0), 0);
	assert_int_equal(info_of(fd).frame_bytes, 4 * MIB);
	assert_int_equal(morsel_release(fd, 0, 0), 0);
	assert_int_equal(morsel_punch(fd, 0, 0), 0);
	assert_int_equal(info_of(fd).frame_bytes, 0);
	assert_int_equal(morsel_reserve(fd, 0, 16 * MIB), -ERANGE);
	assert_int_equal(morsel_release(fd, 1, 0), -EINVAL);
	assert_int_equal(morsel_reserve(device, 0, 0), -ENOTTY);
}

static int add_up(const struct morsel_node *node, void *context)
{
	uint64_t *bytes = context;

	assert_int_equal(node->node, 0);
	*bytes += node->frame_bytes;
	return 0;
}

/* As numa_parse_nodestring(3) makes them. */
static int add_difference(const struct morsel_difference *part, void *sum)
{
	*(uint64_t *)sum += part->length;
	return 0;
}

static void clones_are_made_and_rolled_back(void **state)
{
	uint64_t differ = 0;
	char byte = 1;
	int fd = make(8 * MIB, NULL), clone, snapshot;

	assert_int_equal(morsel_populate(fd, 0, 0), 0);
	clone = morsel_clone(fd, "clone", 0, 0);
	snapshot = morsel_clone(fd, NULL, 0, MORSEL_CLONE_SNAPSHOT);
	assert_true(clone >= 0 && snapshot >= 0);
	assert_int_equal(morsel_diff(fd, clone, add_difference, &differ), 0);
	assert_int_equal(differ, 0);
	assert_int_equal(pwrite(fd, &byte, 1, MIB), 1);
	assert_int_equal(pwrite(fd, &byte, 1, 5 * MIB), 1);
	assert_int_equal(morsel_diff(fd, clone, add_difference, &differ), 0);
	assert_int_equal(differ, 2 * HUGE);
	assert_int_equal(morsel_rollback(fd, snapshot), 0);
	assert_int_equal(pread(fd, &byte, 1, MIB), 1);
	assert_int_equal(byte, 0);
	assert_int_equal(morsel_rollback(snapshot, fd), -EBADF);
	assert_int_equal(morsel_clone(fd, "clone", 0, 0), -EEXIST);
	assert_int_equal(morsel_diff(fd, device, add_difference, &differ), -EBADF);
}

#define SENT (4 * MIB)

/* To and fro, at the same address as long as nothing else is there. */
static void what_is_sent_is_received(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
	int fd = make(SENT, "sent"), ends[2], stale;
	void *memory, *before, *taken;
	unsigned int i, j;
	size_t length;

	assert_int_equal(morsel_map(fd, 0, 0, RW, 0, &memory), 0);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		assert_done(socketpair(AF_UNIX, types[i], 0, ends));
		for (j = 0; j < 4; j++) {
			fill_pattern(memory, SENT, j);
			before = memory;
			stale = dup(fd);
			assert_int_equal(morsel_send(ends[j % 2], fd, memory, SENT), 0);
			assert_int_equal(probe_read(before, NULL), SIGSEGV);
			assert_errno(fcntl(fd, F_GETFD), EBADF);
			assert_errno(lseek(stale, 0, SEEK_SET), ESTALE);
			close(stale);
			taken = NULL;
			if (j == 2)
				taken = mmap(before, PAGE, PROT_READ,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			fd = morsel_receive(ends[1 - j % 2], RW,
					    j == 3 ? MORSEL_RECEIVE_ANYWHERE : 0, &memory, &length);
			assert_true(fd >= 0);
			assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
			assert_int_equal(length, SENT);
			assert_true((memory == before) == (j < 2) || j == 3);
			assert_true(has_pattern(memory, SENT, j));
			if (taken)
				munmap(taken, PAGE);
		}
		close(ends[0]);
		/* Nothing is lost where nobody is there to take it. */
		assert_int_equal(morsel_send(ends[1], fd, memory, SENT),
				 types[i] == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE);
		assert_int_equal(morsel_map(fd, 0, 0, RW, 0, &memory), 0);
		assert_true(has_pattern(memory, SENT, 3));
		if (types[i] != SOCK_DGRAM)
			assert_int_equal(morsel_receive(ends[1], RW, 0, NULL, NULL), -EPIPE);
		close(ends[1]);
	}
	assert_int_equal(morsel_unmap(memory, length), 0);
	close(fd);
	/* Its name went along. */
	fd = morsel_open(open_device(), "sent", 0);
	assert_true(fd >= 0);
	assert_int_equal(morsel_unlink(device, "sent"), 0);
}

/* Descriptors, with what morsel_send() sends, or something like it. */
static void send_something(int socket, const int *fds, unsigned int count, const char *magic)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(count * sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	char note[24] = {};
	struct iovec part = {note, sizeof(note)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = count ? &control : NULL,
				 .msg_controllen = count ? CMSG_SPACE(count * sizeof(int)) : 0};

	memcpy(note, magic, strlen(magic));
	if (count)
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	assert_int_equal(sendmsg(socket, &message, 0), sizeof(note));
}

static unsigned int open_descriptors(void)
{
	unsigned int count = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Whatever somebody sends instead, no descriptor stays. */
static void what_is_no_morsel_is_not_received(void **state)
{
	int fds[3], ends[2], fd;
	unsigned int before;
	size_t length;
	void *memory;

	fds[0] = fds[1] = make(SENT, NULL);
	fds[2] = open("/dev/null", O_RDWR);
	assert_done(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
	before = open_descriptors();
	send_something(ends[0], fds, 0, "morsel1");
	assert_int_equal(morsel_receive(ends[1], RW, 0, &memory, &length), -EBADMSG);
	send_something(ends[0], fds, 2, "morsel1");
	assert_int_equal(morsel_receive(ends[1], RW, 0, &memory, &length), -EBADMSG);
	send_something(ends[0], fds + 2, 1, "morsel1");
	assert_int_equal(morsel_receive(ends[1], RW, 0, &memory, &length), -EBADMSG);
	send_something(ends[0], fds, 1, "morsel2");
	assert_int_equal(morsel_receive(ends[1], RW, 0, &memory, &length), -EBADMSG);
	assert_int_equal(send(ends[0], "x", 1, 0), 1);
	assert_int_equal(morsel_receive(ends[1], RW, 0, &memory, &length), -EBADMSG);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(morsel_receive(ends[1], RW, 2, &memory, &length), -EINVAL);
	/* This is one. */
	send_something(ends[0], fds, 1, "morsel1");
	fd = morsel_receive(ends[1], RW, 0, &memory, &length);
	assert_true(fd >= 0);
	assert_int_equal(length, SENT);
	assert_int_equal(open_descriptors(), before + 1);
	/* It is the caller's, also where it cannot be mapped. */
	fd = reopen_read_only(fds[0]);
	send_something(ends[0], &fd, 1, "morsel1");
	fd = morsel_receive(ends[1], RW, 0, &memory, &length);
	assert_true(fd >= 0);
	assert_null(memory);
	assert_int_equal(info_of(fd).length, SENT);
	/* Nor is it needed. */
	send_something(ends[0], fds, 1, "morsel1");
	assert_true(morsel_receive(ends[1], 0, 0, NULL, NULL) >= 0);
	/* What cannot be given is not sent, and stays as it is. */
	fd = reopen_read_only(fds[0]);
	assert_int_equal(morsel_send(ends[0], fd, NULL, 0), -EBADF);
	assert_int_equal(info_of(fd).length, SENT);
	assert_int_equal(morsel_give(fds[2]), -ENOTTY);
}

static void the_example_passes_messages(void **state)
{
	pid_t pid = spawn();

	if (!pid) {
		execl("/morsel/examples/queue", "queue", "3", "20", NULL);
		_exit(1);
	}
	assert_child_done(pid);
	assert_soon(!pool_info().used_bytes);
	assert_int_equal(count_morsels(), 0);
}

#define VIEWED (4 * MIB)

/* A morsel for views, with all of its memory. */
static int make_viewed(void)
{
	struct morsel_params params = {
		.length = VIEWED,
		.flags = MORSEL_CREATE_VIEWS | MORSEL_CREATE_POPULATE,
	};
	int fd = morsel_create(open_device(), &params);

	assert_true(fd >= 0);
	return fd;
}

static int see(int fd, int prot, uint32_t *number, char **memory)
{
	int view = morsel_view(fd, number);

	assert_true(view >= 0);
	assert_int_equal(fcntl(view, F_GETFD), FD_CLOEXEC);
	assert_int_equal(morsel_map(view, 0, 0, prot, 0, (void **)memory), 0);
	return view;
}

static void views_take_pages_from_others(void **state)
{
	int fd = make_viewed(), one, other, plain = make(VIEWED, NULL);
	uint32_t numbers[2];
	char *here, *there;

	one = see(fd, RW, &numbers[0], &here);
	other = see(fd, RW, &numbers[1], &there);
	assert_true(numbers[0] && numbers[1] && numbers[0] != numbers[1]);
	assert_int_equal(info_of(one).id, info_of(fd).id);
	fill_pattern(here, VIEWED, 1);
	assert_true(has_pattern(there, VIEWED, 1));
	there[PAGE] = 2;
	assert_int_equal(here[PAGE], 2);
	assert_int_equal(morsel_unmap(here, VIEWED), 0);
	assert_int_equal(morsel_unmap(there, VIEWED), 0);
	/* Its number need not be known. */
	assert_true(morsel_view(fd, NULL) >= 0);
	assert_int_equal(morsel_view(plain, NULL), -EOPNOTSUPP);
	assert_int_equal(morsel_view(one, NULL), -ENOTTY);
	assert_int_equal(morsel_view(device, NULL), -ENOTTY);
	assert_int_equal(morsel_view(-1, NULL), -EBADF);
	/* What is for views is not for these. */
	assert_int_equal(morsel_map(fd, 0, 0, RW, 0, (void **)&here), -ENODEV);
	assert_int_equal(morsel_clone(fd, NULL, 0, 0), -EOPNOTSUPP);
	assert_int_equal(morsel_give(fd), -EOPNOTSUPP);
	close(one);
	close(other);
}

static void views_hold_what_they_acquire(void **state)
{
	int fd = make_viewed(), one, other, reader;
	char *here, *there;

	one = see(fd, RW, NULL, &here);
	other = see(fd, RW, NULL, &there);
	assert_int_equal(morsel_view_acquire(one, 0, HUGE, MORSEL_ACQUIRE_WRITE, MORSEL_NO_TIMEOUT),
			 0);
	here[0] = 1;
	assert_int_equal(morsel_view_acquire(other, 0, PAGE, 0, 0), -EBUSY);
	assert_int_equal(morsel_view_acquire(other, 0, PAGE, 0, 1000000), -ETIMEDOUT);
	assert_int_equal(morsel_view_acquire(one, PAGE, PAGE, 0, 0), -EDEADLK);
	/* What is beside it is another matter. */
	assert_int_equal(morsel_view_acquire(other, HUGE, PAGE, MORSEL_ACQUIRE_WRITE, 0), 0);
	assert_int_equal(morsel_view_release(one, 0, PAGE, 0), -EINVAL);
	assert_int_equal(morsel_view_release(one, 0, HUGE, 0), 0);
	assert_int_equal(morsel_view_release(one, 0, HUGE, 0), -EINVAL);
	/* Any number reads. */
	assert_int_equal(morsel_view_acquire(one, 0, PAGE, 0, 0), 0);
	assert_int_equal(morsel_view_acquire(other, 0, PAGE, 0, 0), 0);
	assert_int_equal(there[0], 1);
	assert_int_equal(morsel_view_release(one, 0, PAGE, MORSEL_RELEASE_GIVE_UP), 0);
	/* All that lies within. */
	assert_int_equal(morsel_view_release(other, 0, VIEWED, 0), 0);
	assert_int_equal(morsel_view_acquire(one, 0, VIEWED, MORSEL_ACQUIRE_WRITE, 0), 0);
	assert_int_equal(morsel_view_acquire(one, 1, PAGE, 0, 0), -EINVAL);
	assert_int_equal(morsel_view_acquire(one, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(morsel_view_acquire(one, 0, PAGE, 2, 0), -EINVAL);
	assert_int_equal(morsel_view_acquire(one, VIEWED, PAGE, 0, 0), -ERANGE);
	assert_int_equal(morsel_view_acquire(fd, 0, PAGE, 0, 0), -ENOTTY);
	assert_int_equal(morsel_view_release(one, 0, VIEWED, 2), -EINVAL);
	assert_int_equal(morsel_view_release(fd, 0, VIEWED, 0), -ENOTTY);
	reader = morsel_view(reopen_read_only(fd), NULL);
	assert_true(reader >= 0);
	assert_int_equal(morsel_view_acquire(reader, 0, PAGE, MORSEL_ACQUIRE_WRITE, 0), -EBADF);
	/* Who is no more holds nothing. */
	assert_int_equal(morsel_view_acquire(reader, 0, PAGE, 0, 0), -EBUSY);
	assert_int_equal(morsel_unmap(here, VIEWED), 0);
	close(one);
	assert_int_equal(morsel_view_acquire(reader, 0, PAGE, 0, 0), 0);
}

static void views_are_frozen_and_revoked(void **state)
{
	int fd = make_viewed(), one, other, reader;
	char *here, *there;
	uint32_t number;

	one = see(fd, RW, &number, &here);
	other = see(fd, RW, NULL, &there);
	here[0] = 1;
	assert_int_equal(morsel_view_acquire(one, 0, PAGE, 0, 0), 0);
	assert_int_equal(morsel_view_freeze(fd, number), -EBUSY);
	assert_int_equal(morsel_view_release(one, 0, PAGE, 0), 0);
	assert_int_equal(morsel_view_freeze(fd, number), 0);
	assert_int_equal(here[0], 1);
	assert_int_equal(probe_write(here, 2), SIGBUS);
	assert_int_equal(morsel_view_acquire(one, 0, PAGE, MORSEL_ACQUIRE_WRITE, 0), -EACCES);
	assert_int_equal(morsel_view_acquire(one, 0, PAGE, 0, 0), 0);
	assert_int_equal(morsel_view_revoke(fd, number), 0);
	assert_int_equal(probe_read(here, NULL), SIGBUS);
	assert_int_equal(morsel_view_acquire(one, 0, PAGE, 0, 0), -EACCES);
	/* It holds nothing any more; and others are as before. */
	assert_int_equal(morsel_view_acquire(other, 0, PAGE, MORSEL_ACQUIRE_WRITE, 0), 0);
	there[0] = 3;
	/* By its own descriptor, itself. */
	assert_int_equal(morsel_view_revoke(other, number), -EINVAL);
	assert_int_equal(morsel_view_revoke(other, 0), 0);
	assert_int_equal(probe_read(there, NULL), SIGBUS);
	assert_int_equal(morsel_view_freeze(fd, 0), -ENOENT);
	assert_int_equal(morsel_view_revoke(fd, 99), -ENOENT);
	assert_int_equal(morsel_view_freeze(make(HUGE, NULL), 1), -EOPNOTSUPP);
	assert_int_equal(morsel_view_freeze(device, 1), -ENOTTY);
	reader = reopen_read_only(fd);
	assert_int_equal(morsel_view_revoke(reader, number), -EBADF);
}

static void masks_of_libnuma_are_taken(void **state)
{
	unsigned long words[16] = {1};
	const struct bitmask mask = {.size = 1024, .maskp = words};
	struct morsel_params params = {
		.length = 8 * MIB,
		.flags = MORSEL_CREATE_POPULATE,
		.nodes = &mask,
		.policy = MORSEL_POLICY_BIND,
	};
	uint64_t bytes = 0;

	open_device();
	assert_true(morsel_create(device, &params) >= 0);
	assert_int_equal(morsel_nodes(device, add_up, &bytes), 0);
	assert_int_equal(bytes, 8 * MIB);
	params.policy = MORSEL_POLICY_NEAR;
	assert_int_equal(morsel_create(device, &params), -EINVAL);
	params.policy = MORSEL_POLICY_INTERLEAVE;
	params.node = 1;
	assert_int_equal(morsel_create(device, &params), -EINVAL);
	params.node = 0;
	words[15] = 1UL << 63;
	assert_int_equal(morsel_create(device, &params), -ENODEV);
	words[15] = words[0] = 0;
	assert_int_equal(morsel_create(device, &params), -ENODEV);
}

static int first_pool(const struct morsel_pool_info *info, void *context)
{
	*(struct morsel_pool_info *)context = *info;
	return 1;
}

static void pools_are_looked_after(void **state)
{
	struct morsel_pool_info info, again;
	uint32_t id = 0;

	open_device();
	assert_int_equal(morsel_pools(device, first_pool, &info), 1);
	assert_int_equal(morsel_pool_stat(device, info.id, &again), 0);
	assert_string_equal(info.name, again.name);
	assert_int_equal(morsel_pool_stat(device, 9999, &again), -ENOENT);
	assert_int_equal(morsel_pool_resize(device, info.id, 64 * MIB), 0);
	assert_int_equal(morsel_pool_stat(device, info.id, &again), 0);
	assert_int_equal(again.limit_bytes, 64 * MIB);
	assert_int_equal(morsel_pool_add(device, info.kind, info.node, 64 * MIB, NULL), -EEXIST);
	assert_int_equal(morsel_pool_remove(device, info.id), 0);
	assert_int_equal(morsel_pool_add(device, info.kind, info.node, info.limit_bytes, &id), 0);
	assert_int_not_equal(id, 0);
	assert_int_equal(morsel_pool_stat(device, id, &again), 0);
}

static void limits_are_looked_after(void **state)
{
	struct morsel_limit limit;

	open_device();
	assert_int_equal(morsel_limit_set(device, TESTER, 16 * MIB, 0), 0);
	assert_int_equal(morsel_limit_get(device, TESTER, &limit), 0);
	assert_int_equal(limit.bytes, 16 * MIB);
	assert_int_equal(limit.flags, 0);
	assert_int_equal(morsel_limit_set(device, TESTER, 0, MORSEL_LIMIT_DEFAULT), 0);
	assert_int_equal(morsel_limit_get(device, TESTER, &limit), 0);
	assert_int_equal(limit.flags, MORSEL_LIMIT_DEFAULT);
}

static void log_line(const char *line, void *context)
{
	snprintf(context, 256, "%s", line);
}

static void the_log_says_why(void **state)
{
	char text[256] = "";

	morsel_set_log(log_line, text);
	assert_int_equal(morsel_open(open_device(), "no-such-name", 0), -ENOENT);
	morsel_set_log(NULL, NULL);
	assert_int_not_equal(text[0], 0);
	assert_null(strchr(text, '\n'));
	text[0] = 0;
	assert_int_equal(morsel_open(device, "no-such-name", 0), -ENOENT);
	assert_int_equal(text[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(versions_agree),
		TEST(the_device_may_be_out_of_reach),
		TEST(defaults_make_a_morsel),
		TEST(parameters_are_passed_on),
		TEST(errors_are_negative_errno),
		TEST(open_and_unlink_work),
		TEST(list_visits_each),
		TEST(extents_are_visited),
		TEST(populate_and_punch_work),
		TEST(map_takes_care_of_places),
		TEST(map_parts_and_rights),
		TEST(map_populates_if_asked),
		TEST(map_tells_that_populating_failed),
		TEST(promises_are_made_and_taken_back),
		TEST(clones_are_made_and_rolled_back),
		TEST(what_is_sent_is_received),
		TEST(what_is_no_morsel_is_not_received),
		TEST(the_example_passes_messages),
		TEST(views_take_pages_from_others),
		TEST(views_hold_what_they_acquire),
		TEST(views_are_frozen_and_revoked),
		TEST(masks_of_libnuma_are_taken),
		TEST(pools_are_looked_after),
		TEST(limits_are_looked_after),
		TEST(the_log_says_why),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
