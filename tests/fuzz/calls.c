// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: the ioctls.
 */
#include "fuzz.h"

#include <linux/fs.h>
#include <sys/resource.h>

const uint32_t users[NR_USERS] = {0, TESTER, OTHER, SUBORDINATE, 65534, UINT32_MAX};

/* ns that anybody waits at most for what others hold. */
#define PATIENCE 5000000

/* Whatever the dice say: memory is not to run out, and ceilings are to be found again. */
static void moderate(unsigned long cmd, void *args)
{
	struct morsel_limit *limit = args;
	struct morsel_pool *pool = args;
	struct morsel_acquire *acquire = args;

	switch (_IOC_NR(cmd)) {
	case _IOC_NR(MORSEL_IOC_POOL_ADD):
	case _IOC_NR(MORSEL_IOC_POOL_RESIZE):
		if (pool->limit_bytes > CEILING && pool->limit_bytes % HUGE == 0)
			pool->limit_bytes = CEILING;
		break;
	case _IOC_NR(MORSEL_IOC_LIMIT_SET):
		limit->uid = users[limit->uid % ARRAY_SIZE(users)];
		break;
	/* Whom it waits for may be waiting, too. */
	case _IOC_NR(MORSEL_IOC_ACQUIRE):
		acquire->timeout %= PATIENCE;
		break;
	}
}

/* Do an ioctl with a struct as it should be, or nearly so. */
static long call(int fd, unsigned long cmd, void *args, size_t size)
{
	static _Alignas(8) char image[PAGE + 128];
	uint32_t claimed = size, *words = (uint32_t *)image;
	size_t len;
	long result;
	char *at;
	int i;

	if (fd < 0)
		return SKIP;
	memset(image, 0, sizeof(image));
	memcpy(image, args, size);
	if (chance(10))
		claimed = chance(2) ? size + PICK(-8, -4, -1, 1, 8, 64)
				    : PICK(0U, 1U, 4U, 7U, 8U, 16U, 4095U, 4096U, 4097U, -1U);
	words[0] = claimed;
	if (chance(8))
		for (i = below(3); i >= 0; i--)
			words[1 + below(size / 4 - (chance(4) ? 0 : 1))] = interesting();
	if (chance(64))
		memset(image + size, 1, sizeof(image) - size);
	if (chance(16))
		cmd = (cmd & ~(unsigned long)IOCSIZE_MASK) | (below(1 << _IOC_SIZEBITS) << 16);
	moderate(cmd, image);

	len = claimed > size ? claimed : size;
	len = len < sizeof(image) ? len : sizeof(image);
	at = buffer(len);
	fill_buffer(at, image, len);
	note("ioctl(%d, %#lx, %p {%x, %x, %x %x, %x %x, %x, %x, %x, %x})", fd, cmd, at, words[0],
	     words[1], words[2], words[3], words[4], words[5], words[6], words[7], words[8],
	     words[9]);
	result = ioctl(fd, cmd, at);
	/* What came back, if it can be had. */
	if (!copy(args, at, size))
		memset(args, 0xff, size);
	return result;
}

static int control(void)
{
	return chance(32) ? morsel_fd() : dev;
}

int object(void)
{
	return chance(32) ? dev : morsel_fd();
}

static uint32_t some_flags(uint32_t valid)
{
	return chance(16) ? interesting() : rnd() & valid;
}

static uint64_t some_id(void)
{
	return chance(16) ? interesting() : shared->ids[below(IDS)];
}

uint64_t some_length(void)
{
	switch (below(8)) {
	case 0:
		return 1 + below(PORTION);
	case 1:
		return GIB * (1 + below(4)) + HUGE * below(3);
	case 2:
		return 64 * TIB >> below(16);
	case 3:
		return interesting();
	default:
		return HUGE * (1 + below(4));
	}
}

static void some_name(char *name)
{
	if (chance(16))
		snprintf(name, MORSEL_NAME_MAX, "%s",
			 PICK("a/b", ".", "..", "a b", "\x7f", "\xff\xfe", "x\n"));
	else if (chance(16))
		memset(name, 'n', MORSEL_NAME_MAX - below(2));
	else
		snprintf(name, MORSEL_NAME_MAX, "fuzz%u", (unsigned int)below(8));
}

long op_query(long cmd)
{
	struct morsel_query args = {.flags = some_flags(0)};

	return call(control(), cmd, &args, sizeof(args));
}

long op_create(long starve)
{
	struct rlimit limit = {0, MAX_FD}, before;
	struct morsel_create args = {
		.flags = some_flags(MORSEL_CREATE_CLOEXEC | MORSEL_CREATE_SEALABLE | MORSEL_CREATE_DUMP),
		.length = some_length(),
		.pool = chance(8) ? below(4) : MORSEL_ANY,
		.node = chance(8) ? PICK(0U, 1U, 2U, 1024U) : MORSEL_ANY,
		.granule = chance(32) ? 13 : PICK(0U, 12U, 21U),
		.mode = chance(8) ? rnd() % 01777 : PICK(0600U, 0644U, 0666U, 0777U),
	};
	uint64_t nodes = chance(8) ? interesting() : 1 + below(3);
	long result;

	if (chance(6)) {
		args.policy = chance(16) ? interesting() : 1 + below(3);
		args.nr_nodes = chance(8) ? interesting() : 64;
		args.nodes = chance(8) ? (uintptr_t)buffer(8) : (uintptr_t)&nodes;
		if (!chance(8))
			args.pool = args.node = MORSEL_ANY;
	}

	if (chance(8) && (args.length <= PORTION || chance(16)))
		args.flags |= chance(2) ? MORSEL_CREATE_RESERVE : MORSEL_CREATE_POPULATE;
	if (chance(4))
		args.flags |= MORSEL_CREATE_VIEWS;
	if (chance(3))
		some_name(args.name);
	if (args.granule == MORSEL_GRANULE_2M && !chance(8))
		args.length = (args.length + HUGE - 1) & ~(HUGE - 1);
	/* No descriptor is to be had. */
	if (starve) {
		getrlimit(RLIMIT_NOFILE, &before);
		limit.rlim_max = before.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	result = call(control(), MORSEL_IOC_CREATE, &args, sizeof(args));
	if (starve)
		setrlimit(RLIMIT_NOFILE, &before);
	if (!result) {
		shared->ids[below(IDS)] = args.id;
		keep_fd(args.fd);
	}
	return result;
}

long op_open(long cmd)
{
	struct morsel_open args = {
		.flags = some_flags(MORSEL_OPEN_READ_ONLY | MORSEL_OPEN_CLOEXEC)};
	long result;

	if (chance(2))
		args.id = some_id();
	if (!args.id || chance(16))
		some_name(args.name);
	result = call(control(), cmd, &args, sizeof(args));
	if (!result)
		keep_fd(args.fd);
	return result;
}

long op_unlink(long cmd)
{
	struct morsel_unlink args = {.flags = some_flags(0)};

	if (chance(2))
		args.id = some_id();
	if (!args.id || chance(16))
		some_name(args.name);
	return call(control(), cmd, &args, sizeof(args));
}

long op_list(long cmd)
{
	static const uint32_t sizes[] = {sizeof(struct morsel_info),
					 sizeof(struct morsel_pool_info),
					 sizeof(struct morsel_extent),
					 sizeof(struct morsel_node),
					 8,
					 256,
					 PAGE,
					 7,
					 PAGE + 1};
	struct morsel_list args = {.flags = some_flags(0)};
	unsigned int entry = _IOC_NR(cmd) == _IOC_NR(MORSEL_IOC_LIST)	     ? 0
			     : _IOC_NR(cmd) == _IOC_NR(MORSEL_IOC_POOL_LIST) ? 1
			     : _IOC_NR(cmd) == _IOC_NR(MORSEL_IOC_NODES)     ? 3
									     : 2;

	args.entry_size = sizes[chance(4) ? below(ARRAY_SIZE(sizes)) : entry];
	args.count = chance(8) ? interesting() : below(entry == 3 ? 128 : 64);
	args.cursor = chance(2) ? 0 : chance(8) ? interesting() : below(4 * GIB) & ~(PAGE - 1);
	args.entries = (uintptr_t)buffer((size_t)args.count * args.entry_size);
	return call(entry == 2 ? object() : control(), cmd, &args, sizeof(args));
}

long op_limit(long cmd)
{
	struct morsel_limit args = {.uid = below(ARRAY_SIZE(users))};

	if (cmd == (long)MORSEL_IOC_LIMIT_SET) {
		/* Mostly enough, or nothing else would succeed any more. */
		args.flags = some_flags(0);
		if (!chance(3))
			args.flags |= MORSEL_LIMIT_DEFAULT;
		args.bytes = chance(4) ? interesting() : CEILING >> below(8);
	} else {
		args.uid = chance(2) ? getuid() : users[args.uid];
	}
	return call(control(), cmd, &args, sizeof(args));
}

/* A limit that a pool has reached, or is about to. */
static uint64_t near_use(uint32_t id)
{
	struct morsel_pool_info info = {.size = sizeof(info), .id = id};

	if (ioctl(dev, MORSEL_IOC_POOL_STAT, &info))
		return HUGE;
	return (info.used_bytes + info.pinned_bytes + HUGE - 1) & ~(HUGE - 1);
}

long op_pool(long cmd)
{
	struct morsel_pool args = {.flags = some_flags(0), .id = chance(4) ? below(4) : 1};

	if (chance(16))
		args.id = interesting();
	if (cmd == (long)MORSEL_IOC_POOL_ADD) {
		args.kind = chance(16) ? interesting() : MORSEL_POOL_DRAM;
		args.node = chance(16) ? interesting() : below(2);
	}
	if (cmd != (long)MORSEL_IOC_POOL_REMOVE)
		args.limit_bytes = chance(8)   ? interesting()
				   : chance(4) ? near_use(args.id) + HUGE * below(2)
				   : chance(4) ? HUGE * below(16)
					       : CEILING - HUGE * below(16);
	return call(control(), cmd, &args, sizeof(args));
}

long op_pool_stat(long cmd)
{
	struct morsel_pool_info args = {.flags = some_flags(0), .id = chance(4) ? below(4) : 1};

	return call(control(), cmd, &args, sizeof(args));
}

long op_stat(long cmd)
{
	struct morsel_info args = {.flags = some_flags(0)};

	return call(object(), cmd, &args, sizeof(args));
}

long op_range(long cmd)
{
	struct morsel_range args = {
		.flags = some_flags(cmd == (long)MORSEL_IOC_RESERVE ? MORSEL_RESERVE_RELEASE : 0),
		.offset = chance(8) ? interesting() : near(chance(4) ? GIB : HUGE) & ~(PAGE - 1),
		.length = chance(8) ? interesting() : PAGE * below(1024),
	};

	/* All of a large one fills the pool. */
	if (!args.length && !chance(8))
		args.length = HUGE;
	return call(object(), cmd, &args, sizeof(args));
}

long op_tune(long cmd)
{
	struct morsel_tune args = {
		.flags = some_flags(0),
		.fault_around = chance(8) ? interesting() : PAGE << below(10),
	};

	return call(object(), cmd, &args, sizeof(args));
}

long op_seal(long cmd)
{
	struct morsel_seal args = {
		.flags = some_flags(0),
		.seals = chance(8) ? interesting() : chance(2) ? 0 : 1U << below(5),
	};

	return call(object(), cmd, &args, sizeof(args));
}

long op_clone(long cmd)
{
	struct morsel_clone args = {
		.flags = some_flags(MORSEL_CLONE_SNAPSHOT | MORSEL_CLONE_CLOEXEC |
				    MORSEL_CLONE_SEALABLE),
		.mode = chance(8) ? rnd() % 01777 : 0666,
	};
	long result;

	if (chance(3))
		some_name(args.name);
	result = call(object(), cmd, &args, sizeof(args));
	if (!result) {
		shared->ids[below(IDS)] = args.id;
		keep_fd(args.fd);
	}
	return result;
}

long op_give(long cmd)
{
	struct morsel_give args = {.flags = some_flags(MORSEL_GIVE_CLOEXEC)};
	long result = call(object(), cmd, &args, sizeof(args));

	if (!result)
		keep_fd(args.fd);
	return result;
}

long op_rollback(long cmd)
{
	struct morsel_rollback args = {.flags = some_flags(0), .from = any_fd()};

	return call(object(), cmd, &args, sizeof(args));
}

long op_diff(long cmd)
{
	uint32_t entry = chance(8) ? PICK(8U, 7U, 256U, (uint32_t)PAGE)
				   : sizeof(struct morsel_difference);
	struct morsel_diff args = {
		.list =
			{
				.flags = some_flags(0),
				.cursor = chance(4) ? interesting() : 0,
				.entry_size = entry,
				.count = below(64),
			},
		.other = any_fd(),
	};

	args.list.entries = (uintptr_t)buffer((size_t)args.list.count * entry);
	return call(object(), cmd, &args, sizeof(args));
}

long op_view(long cmd)
{
	struct morsel_view args = {.flags = some_flags(MORSEL_VIEW_CLOEXEC)};
	long result = call(object(), cmd, &args, sizeof(args));

	if (!result)
		keep_fd(args.fd);
	return result;
}

/* Of what is given, nothing is held any more. */
static long let_go(int fd, uint32_t flags, uint64_t offset, uint64_t length)
{
	struct morsel_range args = {
		.size = sizeof(args), .flags = flags, .offset = offset, .length = length};

	return ioctl(fd, MORSEL_IOC_RELEASE, &args);
}

/* Mostly one of a view, if there is any: it alone knows the call, which finds nothing to do. */
static int view_fd(void)
{
	unsigned int first = below(FDS), i;

	for (i = 0; i < FDS && !chance(32); i++) {
		int fd = fds[(first + i) % FDS];

		if (fd >= 0 && let_go(fd, 0, 0, 0) && errno == EINVAL)
			return fd;
	}
	return object();
}

/* Some of the first pages, which others want, too. */
static void some_pages(__u64 *offset, __u64 *length)
{
	*offset = HUGE * below(3) + (chance(2) ? 0 : PAGE * below(512));
	*length = chance(3) ? HUGE * (1 + below(3)) : chance(2) ? PAGE : PAGE * (1 + below(1024));
}

void let_all_go(void)
{
	unsigned int i;

	for (i = 0; i < FDS; i++)
		if (fds[i] >= 0)
			let_go(fds[i], 0, 0, 64 * TIB);
}

/* Use some of what is held, as far as it was not taken away; a child that is killed then holds it still. */
static void use_held(int fd, uint64_t offset, uint64_t length)
{
	uint64_t first = offset & ~(HUGE - 1), count = 1 + below(16);
	size_t len = (offset + length - first + HUGE - 1) & ~(HUGE - 1);
	bool writing = chance(2);
	char *addr, byte = 'v';

	addr = mmap(NULL, len, writing ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, first);
	if (addr == MAP_FAILED)
		return;
	while (count--) {
		char *at = addr + (offset - first) + below(length);

		if (writing)
			copy(at, &byte, 1);
		else
			copy(&byte, at, 1);
	}
	keep_map(addr, len);
	if (in_child && chance(4))
		kill(getpid(), SIGKILL);
}

/*
 * Others wait by faults, without an end, for what is held: so it is held for this operation alone, and what is done
 * meanwhile touches nothing that somebody else may hold.
 */
long op_acquire(long cmd)
{
	static const struct {
		long (*function)(long arg);
		long arg;
	} disturb[] = {
		{op_munmap, 0},
		{op_mprotect, 0},
		{op_close, 0},
		{op_release, MORSEL_IOC_RELEASE},
		{op_restrict, MORSEL_IOC_RESTRICT},
		{op_range, MORSEL_IOC_PUNCH},
		{op_meta, TRUNCATE},
		{op_view, MORSEL_IOC_VIEW},
	};
	struct morsel_acquire args = {
		.flags = some_flags(MORSEL_ACQUIRE_WRITE),
		.timeout = chance(3) ? 0 : below(PATIENCE),
	};
	int fd = view_fd(), own_fd;
	long result;
	int i;

	some_pages(&args.offset, &args.length);
	result = call(fd, cmd, &args, sizeof(args));
	if (result)
		return result;
	/* It is not to be closed by the way. */
	own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own_fd < 0) {
		let_go(fd, 0, 0, 64 * TIB);
		return result;
	}
	essential[own_fd] = true;
	holding = true;
	/* What was acquired may be something else, as the dice had it. */
	if (args.length && args.length <= PORTION && args.offset <= PORTION)
		use_held(own_fd, args.offset, args.length);
	for (i = below(3); i > 0; i--) {
		unsigned int what = below(ARRAY_SIZE(disturb));

		disturb[what].function(disturb[what].arg);
	}
	holding = false;
	let_go(own_fd, chance(2) ? MORSEL_RELEASE_GIVE_UP : 0, 0, 64 * TIB);
	essential[own_fd] = false;
	close(own_fd);
	return result;
}

long op_release(long cmd)
{
	struct morsel_range args = {.flags = some_flags(MORSEL_RELEASE_GIVE_UP)};

	some_pages(&args.offset, &args.length);
	if (chance(2)) {
		args.offset = 0;
		args.length = 64 * TIB;
	}
	return call(view_fd(), cmd, &args, sizeof(args));
}

long op_restrict(long cmd)
{
	struct morsel_restrict args = {
		.flags = chance(8) ? interesting()
				   : PICK(MORSEL_RESTRICT_FREEZE, MORSEL_RESTRICT_REVOKE),
		.number = chance(3)   ? 0
			  : chance(8) ? interesting()
				      : 1 + below(8),
	};

	return call(chance(2) ? view_fd() : object(), cmd, &args, sizeof(args));
}

/* Numbers that nobody knows, and some that the kernel serves for any file. */
long op_ioctl(long unused)
{
	static const unsigned long common[] = {FIONBIO,	 FIOASYNC, FIONREAD, FIOQSIZE,
					       FIGETBSZ, FICLONE,  FIBMAP,   FS_IOC_GETFLAGS};
	uint64_t args[24];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(args); i++)
		args[i] = interesting();
	/* Not on pipes: they would begin to block. */
	return call(object(),
		    chance(4) ? common[below(ARRAY_SIZE(common))]
			      : _IOC(below(4), chance(8) ? below(256) : MORSEL_IOC_MAGIC,
				     below(chance(2) ? 256 : 48), below(256)),
		    args, sizeof(args));
}

/* Take all names away that can be, so that there is room. */
int unlink_all(void)
{
	static struct morsel_info info[64];
	int unlinked = 0, count, i;
	uint64_t cursor = 0;

	while ((count = list_step(dev, MORSEL_IOC_LIST, &cursor, info, sizeof(info[0]),
				  ARRAY_SIZE(info))) > 0)
		for (i = 0; i < count; i++)
			unlinked += info[i].flags & MORSEL_INFO_NAMED &&
				    !unlink_morsel(info[i].id, "");
	return count < 0 ? -1 : unlinked;
}

long op_sweep(long unused)
{
	if (!chance(8))
		return SKIP;
	note("()");
	return unlink_all();
}
