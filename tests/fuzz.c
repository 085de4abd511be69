// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz [OPTION...]: do to /dev/morsel, to morsels and to address spaces that
 * have them what no sane program does, in several processes at once.
 *
 *	--seed N	what the random operations derive from (default: any; printed)
 *	--seconds N	how long (default: 10)
 *	--ops N		stop each worker after N operations instead
 *	--workers N	processes (default: 4); the odd ones are an ordinary user
 *	--only W	run worker W of these alone
 *	--from N	begin with operation N
 *	--trace		tell each operation before doing it, also to the kernel's log
 *	--kcov		tell which of the module's functions were reached; 77: no KCOV
 *
 * Wants root, and the module loaded without a morsel.  0: nothing was left
 * behind; whether the kernel complained, its log says: once a second there is a
 * mark in it with the operation that each worker is at.
 *
 * An operation and its arguments derive from the seed, the worker and the
 * operation's number alone, and stand for themselves: what they refer to are
 * places in tables of descriptors and mappings, which may be empty.  So a worker
 * that died goes on with the next number and empty tables, and
 * --seed S --only W --from N replays what it did then, but for the timing.
 */
#include "common.h"

#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/kcov.h>
#include <linux/mempolicy.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define MAX_WORKERS 16
#define FDS 12 /* places for descriptors */
#define MAPS 12 /* places for mappings */
#define IDS 32 /* ids that somebody created lately */
#define MAX_FD 256
/* What a pool may hold while this runs, so that small machines survive it. */
#define CEILING (128 * MIB)
/* What one operation populates at most, mostly. */
#define PORTION (8 * MIB)
#define SCRATCH_LENGTH (8 * MIB)

/* Operations that no worker does in a round, and how long one lasts. */
#define ROUND (1UL << 24)
#define ROUND_SECONDS 15

/* The odd workers are TESTER, in the group that may use the device. */
#define GROUP 900

/* A part of an address space: nobody else's, so fixed mappings go there. */
#define ARENA (16 * TIB)
/* The first address that programs cannot have. */
#define USER_END 0x7ffffffff000UL

/* Of an operation whose place was empty. */
#define SKIP (-2)

struct range {
	char *addr;
	size_t len;
};

/* Options. */
static uint64_t seed, seconds = 10, max_ops, workers = 4, only = UINT64_MAX, from;
static bool tracing, covering;

static int null = -1, kmsg = -1, scratch = -1;
static int sockets[MAX_WORKERS][2]; /* to receive from, to send to */

/* What all processes share. */
static struct shared {
	atomic_bool stop;
	_Atomic uint64_t ids[IDS];
	struct seat {
		pid_t pid;
		bool finished;
		_Atomic uint64_t op; /* the one it is at */
		_Atomic unsigned int what; /* its place in the table */
	} seats[MAX_WORKERS];
	struct count {
		atomic_ulong done, succeeded, us, max_us;
	} counts[128];
} * shared;

/* A worker's own. */
static unsigned int self;
static uint64_t op_number;
static const char *op_name;
static bool in_child;
static int fds[FDS];
static struct range maps[MAPS];
static int focus = -1; /* the only mapping to choose, or -1 */
static int pipes[2], exe, pkey;
static bool essential[MAX_FD]; /* not to be closed */
static struct range own[2]; /* the program itself; what is above all mappings */

/* Random numbers: splitmix64. */
static _Thread_local uint64_t rng;

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t rnd(void)
{
	return mix(rng += 0x9e3779b97f4a7c15);
}

static uint64_t below(uint64_t limit)
{
	return limit ? rnd() % limit : 0;
}

static bool chance(unsigned int one_in)
{
	return !below(one_in);
}

#define FIRST(first, ...) (first)
#define PICK(...)                                                                       \
	({                                                                              \
		static __typeof__(FIRST(__VA_ARGS__) + 0) const list[] = {__VA_ARGS__}; \
		list[below(ARRAY_SIZE(list))];                                          \
	})

/* A number that somebody may have got wrong. */
static uint64_t interesting(void)
{
	static const uint64_t numbers[] = {
		0,	     1,
		7,	     8,
		PAGE - 1,    PAGE,
		PAGE + 1,    HUGE - 1,
		HUGE,	     HUGE + 1,
		HUGE + PAGE, GIB - 1,
		GIB,	     GIB + 1,
		GIB + HUGE,  INT32_MAX,
		1UL << 31,   UINT32_MAX,
		1UL << 32,   64 * TIB - 1,
		64 * TIB,    64 * TIB + PAGE,
		1UL << 47,   INT64_MAX,
		1UL << 63,   -HUGE,
		-PAGE,	     UINT64_MAX - 1,
		UINT64_MAX,
	};

	return chance(4) ? rnd() >> below(64) : numbers[below(ARRAY_SIZE(numbers))];
}

/* An offset into so many bytes: mostly near the start, where others are, too. */
static size_t near(size_t len)
{
	return below(len < PORTION || chance(4) ? len : PORTION);
}

/* Tell of an operation that is about to be done. */
__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	char line[512];
	va_list args;
	int used;

	if (!tracing)
		return;
	used = snprintf(line, sizeof(line) - 1,
			"morsel-test: fuzz seed=%" PRIu64 " worker=%u op=%" PRIu64 "%s %s ", seed,
			self, op_number, in_child ? " child" : "", op_name);
	va_start(args, format);
	used += vsnprintf(line + used, sizeof(line) - 1 - used, format, args);
	va_end(args);
	line[used++] = '\n';
	if (write(STDOUT_FILENO, line, used) < 0 || write(kmsg, line, used) < 0)
		return;
}

/* Touching memory that may not be there. */

static _Thread_local sigjmp_buf *guard;

static void on_fault(int signal_number)
{
	if (guard)
		siglongjmp(*guard, 1);
	/* Nobody expects it: come again, and die. */
	signal(signal_number, SIG_DFL);
}

/* Byte by byte, so that all before the first bad one are copied. */
static bool copy(volatile char *to, const volatile char *from, size_t len)
{
	sigjmp_buf here;
	size_t i;

	guard = &here;
	if (sigsetjmp(here, 0)) {
		guard = NULL;
		return false;
	}
	for (i = 0; i < len; i++)
		to[i] = from[i];
	guard = NULL;
	return true;
}

/* May this be unmapped or written to?  The program and its stacks may not. */
static bool ours(const char *addr, size_t len)
{
	uintptr_t start = (uintptr_t)addr, end = start + len;
	unsigned int i;

	if (end < start || end > USER_END || start < MIB)
		return false;
	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (start < (uintptr_t)own[i].addr + own[i].len && end > (uintptr_t)own[i].addr)
			return false;
	return true;
}

static struct {
	struct range normal; /* what comes after it faults */
	char *page; /* so does what comes after this one */
	char *read_only; /* and this one */
} buffers;

/*
 * Everything that the program will ever map is mapped here, in its own parts
 * and in its heap: where a mapping was taken away, the kernel puts other
 * mappings of ours, and nothing else.
 */
static void make_buffers(void)
{
	extern char __executable_start;
	char *low = &__executable_start, *high, *memory;

	memory = mmap(NULL, MIB + GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		      0);
	if (memory == MAP_FAILED)
		exit(2);
	/* From the top: the buffer, a gap, the page, a hole, the page that is read-only, a hole. */
	buffers.normal = (struct range){memory, MIB};
	buffers.page = memory + MIB + HUGE;
	buffers.read_only = buffers.page + 2 * PAGE;
	mprotect(memory, MIB, PROT_READ | PROT_WRITE);
	mprotect(buffers.page, PAGE, PROT_READ | PROT_WRITE);
	mprotect(buffers.read_only, PAGE, PROT_READ);
	munmap(buffers.page + PAGE, PAGE);
	munmap(buffers.read_only + PAGE, PAGE);

	high = sbrk(0);
	own[0] = (struct range){low - (low > (char *)GIB ? GIB : (uintptr_t)low), 0};
	own[0].len = high + 64 * GIB - own[0].addr;
	/*
	 * A gap below all that is mapped, so that what runs over the end of a
	 * mapping does not run into the buffers.
	 */
	memory = mmap(NULL, GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	own[1] = (struct range){memory, USER_END - (uintptr_t)memory};
}

/* A place for so many bytes that the kernel is to read, or to write, or to refuse. */
static char *buffer(size_t len)
{
	const struct range *map = &maps[below(MAPS)];
	char *at;

	len = len < PAGE ? len : PAGE;
	switch (below(32)) {
	case 0:
		return buffers.page + PAGE - len;
	case 1:
		return buffers.page + PAGE - below(len + 1);
	case 2:
		return buffers.read_only + below(PAGE - len + 1);
	case 3:
		return (char *)below(2);
	case 4:
		return (char *)PICK(0xffff888000001000UL, 0xffffffff81000000UL, -8UL, USER_END);
	case 5:
		return (char *)PICK(1UL << 47, 1UL << 63, 0xdead000000000100UL);
	case 6:
	case 7:
		at = map->addr + near(map->len);
		if (map->len && ours(at, len))
			return at;
		__attribute__((fallthrough));
	default:
		return buffers.normal.addr + 8 * below(PAGE) + (chance(16) ? below(8) : 0);
	}
}

static void fill_buffer(char *at, const void *data, size_t len)
{
	bool locked = at >= buffers.read_only && at < buffers.read_only + PAGE;

	if (locked)
		mprotect(buffers.read_only, PAGE, PROT_READ | PROT_WRITE);
	copy(at, data, len);
	if (locked)
		mprotect(buffers.read_only, PAGE, PROT_READ);
}

/* The bytes that a call moves, where the caller must live through it. */
static size_t amount(const char *at)
{
	size_t count = chance(8) ? interesting() : chance(4) ? below(MIB) : below(3 * PAGE);

	/* Buffers of our own end somewhere; mappings need not. */
	return (ssize_t)count >= 0 && ours(at, 1) ? count % PORTION : count;
}

static loff_t position(void)
{
	return chance(8) ? interesting() : chance(2) ? near(PORTION) & ~(PAGE - 1) : near(GIB);
}

/* Descriptors. */

static int morsel_fd(void)
{
	return fds[below(FDS)];
}

static int any_fd(void)
{
	switch (below(32)) {
	case 0:
		return dev;
	case 1:
		return pipes[below(2)];
	case 2:
		return null;
	default:
		return morsel_fd();
	}
}

static void close_ours(int fd)
{
	if (fd >= 0 && fd < MAX_FD && !essential[fd])
		close(fd);
}

/*
 * Put a descriptor into a place.  Its number may come from memory that others
 * write to.
 */
static long keep_fd(int fd)
{
	int *place = &fds[below(FDS)];

	if (fd < 0 || fd >= MAX_FD || essential[fd])
		return -1;
	if (*place != fd)
		close_ours(*place);
	*place = fd;
	return 0;
}

/* The ioctls. */

static const uint32_t users[] = {0, TESTER, OTHER, 65534, UINT32_MAX};

/* Whatever the dice say: memory is not to run out, and ceilings are to be found again. */
static void moderate(unsigned long cmd, void *args)
{
	struct morsel_limit *limit = args;
	struct morsel_pool *pool = args;

	switch (_IOC_NR(cmd)) {
	case _IOC_NR(MORSEL_IOC_POOL_ADD):
	case _IOC_NR(MORSEL_IOC_POOL_RESIZE):
		if (pool->limit_bytes > CEILING && pool->limit_bytes % HUGE == 0)
			pool->limit_bytes = CEILING;
		break;
	case _IOC_NR(MORSEL_IOC_LIMIT_SET):
		limit->uid = users[limit->uid % ARRAY_SIZE(users)];
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

static int object(void)
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

static uint64_t some_length(void)
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

static long op_query(long cmd)
{
	struct morsel_query args = {.flags = some_flags(0)};

	return call(control(), cmd, &args, sizeof(args));
}

static long op_create(long starve)
{
	struct rlimit limit = {0, MAX_FD}, before;
	struct morsel_create args = {
		.flags = some_flags(MORSEL_CREATE_CLOEXEC),
		.length = some_length(),
		.pool = chance(8) ? below(4) : MORSEL_ANY,
		.node = chance(8) ? PICK(0U, 1U, 2U, 1024U) : MORSEL_ANY,
		.granule = chance(32) ? 13 : PICK(0U, 12U, 21U),
		.mode = chance(8) ? rnd() % 01777 : PICK(0600U, 0644U, 0666U, 0777U),
	};
	long result;

	if (chance(8) && (args.length <= PORTION || chance(16)))
		args.flags |= MORSEL_CREATE_POPULATE;
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

static long op_open(long cmd)
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

static long op_unlink(long cmd)
{
	struct morsel_unlink args = {.flags = some_flags(0)};

	if (chance(2))
		args.id = some_id();
	if (!args.id || chance(16))
		some_name(args.name);
	return call(control(), cmd, &args, sizeof(args));
}

static long op_list(long cmd)
{
	static const uint32_t sizes[] = {sizeof(struct morsel_info),
					 sizeof(struct morsel_pool_info),
					 sizeof(struct morsel_extent),
					 8,
					 256,
					 PAGE,
					 7,
					 PAGE + 1};
	struct morsel_list args = {.flags = some_flags(0)};
	unsigned int entry = _IOC_NR(cmd) == _IOC_NR(MORSEL_IOC_LIST)	     ? 0
			     : _IOC_NR(cmd) == _IOC_NR(MORSEL_IOC_POOL_LIST) ? 1
									     : 2;

	args.entry_size = sizes[chance(4) ? below(ARRAY_SIZE(sizes)) : entry];
	args.count = chance(8) ? interesting() : below(64);
	args.cursor = chance(2) ? 0 : chance(8) ? interesting() : below(4 * GIB) & ~(PAGE - 1);
	args.entries = (uintptr_t)buffer((size_t)args.count * args.entry_size);
	return call(entry == 2 ? object() : control(), cmd, &args, sizeof(args));
}

static long op_limit(long cmd)
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

static long op_pool(long cmd)
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
				   : chance(4) ? HUGE * below(16)
					       : CEILING - HUGE * below(16);
	return call(control(), cmd, &args, sizeof(args));
}

static long op_pool_stat(long cmd)
{
	struct morsel_pool_info args = {.flags = some_flags(0), .id = chance(4) ? below(4) : 1};

	return call(control(), cmd, &args, sizeof(args));
}

static long op_stat(long cmd)
{
	struct morsel_info args = {.flags = some_flags(0)};

	return call(object(), cmd, &args, sizeof(args));
}

static long op_range(long cmd)
{
	struct morsel_range args = {
		.flags = some_flags(0),
		.offset = chance(8) ? interesting() : near(chance(4) ? GIB : HUGE) & ~(PAGE - 1),
		.length = chance(8) ? interesting() : PAGE * below(1024),
	};

	/* All of a large one fills the pool. */
	if (!args.length && !chance(8))
		args.length = HUGE;
	return call(object(), cmd, &args, sizeof(args));
}

static long op_tune(long cmd)
{
	struct morsel_tune args = {
		.flags = some_flags(0),
		.fault_around = chance(8) ? interesting() : PAGE << below(10),
	};

	return call(object(), cmd, &args, sizeof(args));
}

/* Numbers that nobody knows, and some that the kernel serves for any file. */
static long op_ioctl(long unused)
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
static int unlink_all(void)
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

static long op_sweep(long unused)
{
	if (!chance(8))
		return SKIP;
	note("()");
	return unlink_all();
}

/* What files are for. */

enum rw { READ, WRITE, PREAD, PWRITE, PREADV, PWRITEV };

static long op_rw(long how)
{
	int fd = any_fd(), flags = chance(2) ? 0 : below(128);
	struct iovec vectors[3] = {};
	loff_t pos = position();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		vectors[i].iov_base = buffer(PAGE);
		vectors[i].iov_len = amount(vectors[i].iov_base);
	}
	if (fd < 0)
		return SKIP;
	note("%s(%d, %p, %zu, %ld)", how % 2 ? "write" : "read", fd, vectors[0].iov_base,
	     vectors[0].iov_len, (long)pos);
	switch (how) {
	case READ:
		return read(fd, vectors[0].iov_base, vectors[0].iov_len);
	case WRITE:
		return write(fd, vectors[0].iov_base, vectors[0].iov_len);
	case PREAD:
		return pread(fd, vectors[0].iov_base, vectors[0].iov_len, pos);
	case PWRITE:
		return pwrite(fd, vectors[0].iov_base, vectors[0].iov_len, pos);
	case PREADV:
		return preadv2(fd, vectors, ARRAY_SIZE(vectors), pos, flags);
	default:
		return pwritev2(fd, vectors, ARRAY_SIZE(vectors), pos, flags);
	}
}

static long op_lseek(long unused)
{
	int fd = any_fd(), whence = below(6);
	loff_t pos = position();

	if (fd < 0)
		return SKIP;
	note("lseek(%d, %ld, %d)", fd, (long)pos, whence);
	return lseek(fd, pos, whence);
}

static long op_fallocate(long unused)
{
	int fd = any_fd();
	int mode = chance(8) ? (int)interesting()
			     : PICK(0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE);
	loff_t pos = position(), len = chance(16) ? interesting() : 1 + below(PORTION / 2);

	if (fd < 0)
		return SKIP;
	note("fallocate(%d, %#x, %ld, %ld)", fd, mode, (long)pos, (long)len);
	return fallocate(fd, mode, pos, len);
}

enum meta { TRUNCATE, STAT, CHMOD, CHOWN, SYNC, FLAGS, TIMES };

static long op_meta(long what)
{
	static const int flags[] = {O_APPEND, O_NONBLOCK, O_DIRECT, O_NOATIME, O_ASYNC};
	int fd = what == CHMOD || what == CHOWN ? morsel_fd() : any_fd();
	uint64_t number = interesting(), other = below(2048);
	struct stat stat;

	/* Pipes stay as they are: they must not block. */
	if (fd < 0 || (what == FLAGS && essential[fd]))
		return SKIP;
	note("(%d, %#lx, %#lx)", fd, number, other);
	switch (what) {
	case TRUNCATE:
		return ftruncate(fd, number);
	case STAT:
		return chance(2) ? fstat(fd, &stat)
				 : syscall(SYS_statx, fd, "", AT_EMPTY_PATH, (unsigned int)number,
					   buffer(256));
	case CHMOD:
		return fchmod(fd, chance(2) ? 0666 : other);
	case CHOWN:
		return fchown(fd, users[below(ARRAY_SIZE(users))], chance(2) ? GROUP : -1);
	case SYNC:
		return other % 4 == 0	? fsync(fd)
		       : other % 4 == 1 ? fdatasync(fd)
		       : other % 4 == 2 ? sync_file_range(fd, number, number, other % 8)
					: posix_fadvise(fd, number, number, other % 8);
	case FLAGS:
		return fcntl(fd, chance(2) ? F_SETFL : F_ADD_SEALS,
			     flags[other % ARRAY_SIZE(flags)]);
	default:
		return futimens(fd, NULL);
	}
}

static long op_splice(long unused)
{
	int fd = morsel_fd(), flags = below(16);
	loff_t pos = position(), *where = chance(4) ? NULL : &pos;
	size_t len = chance(8) ? interesting() : below(16 * PAGE);
	struct iovec vector = {buffer(PAGE), below(16 * PAGE)};
	const struct range *map = &maps[below(MAPS)];

	if (fd < 0)
		return SKIP;
	switch (below(5)) {
	case 0:
	case 1:
		note("splice(%d, %ld, pipe, %zu)", fd, (long)pos, len);
		return splice(fd, where, pipes[1], NULL, len, flags | SPLICE_F_NONBLOCK);
	case 2:
		note("splice(pipe, %d, %ld, %zu)", fd, (long)pos, len);
		return splice(pipes[0], NULL, fd, where, len, flags | SPLICE_F_NONBLOCK);
	case 3:
		/* The pipe pins what it takes. */
		if (map->len)
			vector.iov_base = map->addr + near(map->len);
		note("vmsplice(pipe, %p, %zu)", vector.iov_base, vector.iov_len);
		return vmsplice(pipes[1], &vector, 1, flags | SPLICE_F_NONBLOCK);
	default:
		note("splice(pipe, null)");
		return splice(pipes[0], NULL, null, NULL, MIB, SPLICE_F_NONBLOCK);
	}
}

static long op_sendfile(long unused)
{
	int in = chance(4) ? (chance(2) && scratch >= 0 ? scratch : exe) : morsel_fd();
	int out = chance(2) ? morsel_fd() : chance(2) ? pipes[1] : null;
	loff_t pos = position(), to = position();
	size_t len = below(MIB);

	if (in < 0 || out < 0)
		return SKIP;
	note("(%d, %d, %ld, %zu)", out, in, (long)pos, len);
	return chance(4) ? copy_file_range(in, &pos, out, &to, len, 0)
			 : sendfile(out, in, chance(4) ? NULL : &pos, len);
}

static long op_dup(long unused)
{
	int fd = morsel_fd();

	if (fd < 0)
		return SKIP;
	note("(%d)", fd);
	return keep_fd(chance(2) ? dup(fd) : fcntl(fd, F_DUPFD_CLOEXEC, (int)below(MAX_FD)));
}

static long op_close(long all)
{
	int *place = &fds[below(FDS)], fd;

	if (all && !chance(8))
		return SKIP;
	if (all) {
		/* Those too that nobody told us of. */
		note("(all)");
		for (fd = 0; fd < MAX_FD; fd++)
			close_ours(fd);
		memset(fds, -1, sizeof(fds));
		return 0;
	}
	if (*place < 0)
		return SKIP;
	note("(%d)", *place);
	fd = close(*place);
	*place = -1;
	return fd;
}

union rights {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr header;
};

/* Hand a descriptor to a worker, or take what another has handed to us. */
static long op_pass(long send)
{
	int fd = object(), to = sockets[below(workers)][1];
	struct iovec vector = {&(char){0}, 1};
	union rights rights = {};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights),
	};

	if (send && fd < 0)
		return SKIP;
	note("(%d)", fd);
	if (send) {
		rights.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&rights.header), &fd, sizeof(fd));
		return sendmsg(to, &message, MSG_DONTWAIT);
	}
	if (recvmsg(sockets[self][0], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0 ||
	    message.msg_controllen < sizeof(rights.header) || rights.header.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(&rights.header), sizeof(fd));
	return keep_fd(fd);
}

/* Address spaces. */

/* Where a mapping may be asked to go: 16 GiB that all of them fight for. */
static char *some_place(void)
{
	char *place = (char *)ARENA + GIB * below(16);

	switch (below(8)) {
	case 0:
		return place + PAGE * below(1024);
	case 1:
	case 2:
	case 3:
		return place + HUGE * below(512);
	default:
		return place;
	}
}

/* A mapping, or part of it, or of what is around it; false: there is none. */
static bool some_range(struct range *range)
{
	const struct range *map = &maps[focus >= 0 ? (uint64_t)focus : below(MAPS)];

	*range = *map;
	if (chance(16)) {
		*range = (struct range){buffer(PAGE), interesting()};
		if ((uintptr_t)range->addr < PAGE)
			range->len %= MIB;
		/* The kernel refuses these; buffers it would not. */
		return (uintptr_t)range->addr < PAGE || (uintptr_t)range->addr >= USER_END ||
		       ours(range->addr, range->len);
	}
	if (!map->len)
		return false;
	switch (below(8)) {
	case 0:
	case 1:
		range->addr += near(map->len) & ~(HUGE - 1);
		range->len = HUGE * (1 + below(4));
		break;
	case 2:
		range->addr += near(map->len) & ~(PAGE - 1);
		range->len = PAGE * (1 + below(1024));
		break;
	case 3:
		range->addr += near(map->len);
		range->len = 1 + below(HUGE);
		break;
	case 4:
		range->addr -= HUGE * below(3);
		range->len += HUGE * below(6);
		break;
	}
	return ours(range->addr, range->len);
}

static void keep_map(char *addr, size_t len)
{
	struct range *place = &maps[focus >= 0 ? (uint64_t)focus : below(MAPS)];

	/* Unless it is the new mapping that is there now. */
	if (place->len && (place->addr >= addr + len || place->addr + place->len <= addr) &&
	    ours(place->addr, place->len))
		munmap(place->addr, place->len);
	*place = (struct range){addr, len};
}

/* What is wholly in there is gone. */
static void forget_maps(const struct range *range)
{
	unsigned int i;

	for (i = 0; i < MAPS; i++)
		if (maps[i].addr >= range->addr &&
		    maps[i].addr + maps[i].len <= range->addr + range->len)
			maps[i].len = 0;
}

static long op_mmap(long unused)
{
	int prot = chance(2) ? PROT_READ | PROT_WRITE : below(8), fd = any_fd();
	int flags = PICK(MAP_SHARED, MAP_SHARED, MAP_SHARED, MAP_SHARED, MAP_SHARED_VALIDATE,
			 MAP_PRIVATE);
	size_t len = chance(4) ? some_length() : chance(4) ? 2 * GIB : HUGE * (1 + below(8));
	uint64_t offset = !chance(4)  ? 0
			  : chance(8) ? interesting() & ~(PAGE - 1)
			  : chance(4) ? GIB * below(4)
				      : HUGE * below(8);
	char *addr = chance(3) ? NULL : some_place();

	if (fd < 0)
		return SKIP;
	if (chance(8))
		flags |= PICK(MAP_NORESERVE, MAP_LOCKED, MAP_SYNC, MAP_HUGETLB, MAP_32BIT,
			      MAP_STACK | MAP_GROWSDOWN, MAP_FIXED_NOREPLACE);
	if (addr && chance(2) && ours(addr, len))
		flags |= MAP_FIXED;
	if (chance(8))
		flags |= MAP_POPULATE;
	if (flags & (MAP_POPULATE | MAP_LOCKED) && len > PORTION)
		len = PORTION;
	note("(%p, %#zx, %d, %#x, %d, %#lx)", addr, len, prot, flags, fd, offset);
	addr = mmap(addr, len, prot, flags, fd, offset);
	if (addr == MAP_FAILED)
		return -1;
	keep_map(addr, len);
	return 0;
}

static long op_touch(long unused)
{
	long i, count = 1 + below(16), touched = 0;
	bool writing = chance(2);
	struct range range;
	char byte = 'f';

	if (!some_range(&range))
		return SKIP;
	note("(%p, %#zx, %ld times, %s)", range.addr, range.len, count, writing ? "write" : "read");
	for (i = 0; i < count; i++) {
		char *at = range.addr + near(range.len);

		if (ours(at, 1))
			touched += writing ? copy(at, &byte, 1) : copy(&byte, at, 1);
	}
	return touched ?: -1;
}

/* Whole pages at once, from one mapping to another. */
static long op_copy(long unused)
{
	size_t len = below(4 * PAGE);
	struct range to, source;

	if (!some_range(&to) || !some_range(&source) || !ours(to.addr, len) ||
	    !ours(source.addr, len))
		return SKIP;
	note("(%p, %p, %zu)", to.addr, source.addr, len);
	return copy(to.addr, source.addr, len) ? 0 : -1;
}

static long op_munmap(long unused)
{
	struct range range;

	if (!some_range(&range))
		return SKIP;
	note("(%p, %#zx)", range.addr, range.len);
	if (munmap(range.addr, range.len))
		return -1;
	forget_maps(&range);
	return 0;
}

static long op_mremap(long unused)
{
	int flags = chance(8) ? below(16) : MREMAP_MAYMOVE | (chance(2) ? MREMAP_FIXED : 0);
	char *to = some_place(), *result;
	struct range range;
	size_t len;

	if (!some_range(&range))
		return SKIP;
	if (chance(8))
		flags |= MREMAP_DONTUNMAP;
	if (chance(16))
		range.len = 0;
	len = chance(2)	  ? range.len
	      : chance(8) ? interesting()
	      : chance(2) ? range.len / 2 & ~(HUGE - 1)
			  : range.len + HUGE * below(8);
	if (flags & MREMAP_FIXED && !ours(to, len))
		return SKIP;
	note("(%p, %#zx, %#zx, %#x, %p)", range.addr, range.len, len, flags, to);
	result = mremap(range.addr, range.len, len, flags, to);
	if (result == MAP_FAILED)
		return -1;
	if (result != range.addr)
		forget_maps(&range);
	keep_map(result, len);
	return 0;
}

static long op_mprotect(long unused)
{
	int prot = chance(2) ? PROT_READ | PROT_WRITE : below(chance(8) ? 16 : 8);
	int key = chance(4) ? pkey : chance(16) ? (int)below(20) : -1;
	struct range range;

	if (!some_range(&range))
		return SKIP;
	note("(%p, %#zx, %#x, key %d)", range.addr, range.len, prot, key);
	return key == -1 ? mprotect(range.addr, range.len, prot)
			 : syscall(SYS_pkey_mprotect, range.addr, range.len, prot, key);
}

static long op_madvise(long unused)
{
	/* 100 and 101 break memory, and are left out; 102 and 103 are guard pages. */
	int advice = chance(16) ? PICK(102, 103, 104, -1) : (int)below(27);
	struct range range;

	if (!some_range(&range))
		return SKIP;
	if ((advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) && range.len > PORTION)
		range.len = PORTION;
	note("(%p, %#zx, %d)", range.addr, range.len, advice);
	return madvise(range.addr, range.len, advice);
}

static long op_process_vm(long unused)
{
	pid_t pid = chance(4) ? getpid() : shared->seats[below(workers)].pid;
	struct iovec local = {buffer(PAGE), below(MIB)}, remote;
	struct range range;
	bool out = chance(2);

	/* All have the same layout, so what is ours here is the other's there. */
	if (!some_range(&range) || !pid || !ours(range.addr, MIB))
		return SKIP;
	remote = (struct iovec){range.addr, below(MIB)};
	note("process_vm_%s(%d, %p, %p, %zu)", out ? "writev" : "readv", pid, local.iov_base,
	     remote.iov_base, remote.iov_len);
	return out ? process_vm_writev(pid, &local, 1, &remote, 1, 0)
		   : process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

enum memory { LOCK, UNLOCK, INCORE, FLUSH, BIND };

static long op_memory(long what)
{
	unsigned long nodes = 1 + below(3);
	struct range range;

	if (!some_range(&range))
		return SKIP;
	if (what == LOCK && range.len > PORTION)
		range.len = PORTION;
	if (what == INCORE && range.len > GIB)
		range.len = GIB;
	note("(%p, %#zx)", range.addr, range.len);
	switch (what) {
	case LOCK:
		return chance(2) ? mlock(range.addr, range.len)
				 : mlock2(range.addr, range.len, MLOCK_ONFAULT);
	case UNLOCK:
		return munlock(range.addr, range.len);
	case INCORE:
		return mincore(range.addr, range.len, (unsigned char *)buffer(range.len / PAGE));
	case FLUSH:
		return msync(range.addr, range.len, below(8));
	default:
		return syscall(SYS_mbind, range.addr, range.len, below(6), &nodes, 64, below(8));
	}
}

/* Storage that reads and writes memory itself. */
static long op_direct(long unused)
{
	loff_t pos = below(SCRATCH_LENGTH) & ~511UL;
	size_t len = (chance(4) ? below(64 * PAGE) : below(4 * PAGE)) & ~511UL;
	bool out = chance(2);
	struct range range;
	char *at;

	if (!some_range(&range) || scratch < 0)
		return SKIP;
	at = range.addr + (near(range.len) & ~(chance(4) ? 0UL : 511UL));
	if (!ours(at, len))
		return SKIP;
	if (pos + len > SCRATCH_LENGTH)
		pos = 0;
	note("%s(%p, %zu, %ld)", out ? "pwrite" : "pread", at, len, (long)pos);
	return out ? pwrite(scratch, at, len, pos) : pread(scratch, at, len, pos);
}

/* What the kernel shows of a process, and lets itself be told through files. */
static long op_proc(long unused)
{
	static const char *const files[] = {"maps",	  "smaps",   "smaps_rollup",
					    "numa_maps",  "pagemap", "mem",
					    "clear_refs", "fdinfo",  "fd"};
	const char *name = files[below(ARRAY_SIZE(files))];
	bool writing = chance(2);
	size_t len = below(8 * PAGE);
	struct range range;
	long result;
	char path[64];
	int fd, all;

	if (!some_range(&range))
		range = (struct range){};
	all = morsel_fd();
	snprintf(path, sizeof(path), name[0] == 'f' ? "/proc/self/%s/%d" : "/proc/self/%s", name,
		 all);
	note("%s %p", path, range.addr);
	if (!strcmp(name, "fd"))
		return readlink(path, buffers.normal.addr, PAGE);
	/* Memory is only to be written where it is ours. */
	writing = !strcmp(name, "clear_refs") ||
		  (!strcmp(name, "mem") && writing && ours(range.addr, len));
	fd = open(path, (writing ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!strcmp(name, "clear_refs"))
		result = write(fd, PICK("1", "2", "3", "4"), 1);
	else if (!strcmp(name, "mem"))
		result = writing ? pwrite(fd, buffers.normal.addr, len, (uintptr_t)range.addr)
				 : pread(fd, buffers.normal.addr, len, (uintptr_t)range.addr);
	else if (!strcmp(name, "pagemap"))
		result = pread(fd, buffers.normal.addr, len & ~7UL,
			       (uintptr_t)range.addr / PAGE * 8);
	else
		while ((result = read(fd, buffers.normal.addr, 16 * PAGE)) > 0)
			;
	close(fd);
	return result;
}

/* Memory runs short: the pools give back what they keep for later. */
static long op_shrink(long unused)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	long result;

	note("()");
	if (fd < 0)
		return -1;
	result = write(fd, "2", 1);
	close(fd);
	return result;
}

/* Coverage. */

#define COVER_LENGTH (1 << 16)

/* Of a worker, of its child, of its thread. */
static struct cover {
	int fd;
	uint64_t *buffer;
} covers[3];

/* All functions of the module, by address. */
static struct symbol {
	uint64_t addr;
	char name[64];
	bool reached;
} symbols[4096];
static unsigned int nr_symbols;
/* KCOV takes off what the kernel's text was moved by at boot, from a module's addresses, too. */
static uint64_t slide;

/* A byte for each byte of the module's text, shared: is there an instruction that was reached? */
static _Atomic char *reached;
static size_t text_length;

static int cover_open(struct cover *cover)
{
	cover->fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (cover->fd < 0 || ioctl(cover->fd, KCOV_INIT_TRACE, COVER_LENGTH))
		return -1;
	cover->buffer = mmap(NULL, COVER_LENGTH * sizeof(uint64_t), PROT_READ | PROT_WRITE,
			     MAP_SHARED, cover->fd, 0);
	return cover->buffer == MAP_FAILED ? -1 : 0;
}

/* The calling thread's; ends with it. */
static void cover_begin(const struct cover *cover)
{
	if (covering)
		ioctl(cover->fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

static void cover_drain(const struct cover *cover)
{
	uint64_t i, count;

	if (!covering)
		return;
	count = __atomic_load_n(&cover->buffer[0], __ATOMIC_RELAXED);
	for (i = 1; i <= count && i < COVER_LENGTH; i++) {
		/* What is below the text wraps to what is far above. */
		uint64_t offset = cover->buffer[i] + slide - symbols[0].addr;

		if (offset < text_length)
			atomic_store_explicit(&reached[offset], 1, memory_order_relaxed);
	}
	__atomic_store_n(&cover->buffer[0], 0, __ATOMIC_RELAXED);
}

/* Processes and threads. */

static void do_op(uint64_t number);

static long op_fork(long unused)
{
	static char *const command[] = {"true", NULL};
	unsigned int end = below(4), patience = below(3000);
	uint64_t lane = rnd(), i, count = below(5);
	struct timespec pause = {.tv_nsec = patience * 1000};
	pid_t pid;

	note("%" PRIu64 " operations", count);
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		in_child = true;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		cover_begin(&covers[1]);
		for (i = 0; i < count; i++)
			do_op(lane + i);
		if (end == 0)
			execv("/bin/true", command);
		if (end == 1)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	if (end == 2) {
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	cover_drain(&covers[1]);
	return 0;
}

static struct helper {
	uint64_t seed;
	struct range range;
	atomic_bool stop;
} helper;

static void *help(void *unused)
{
	char byte = 't', *at;
	int i;

	cover_begin(&covers[2]);
	rng = helper.seed;
	for (i = 0; i < 2000 && !helper.stop; i++) {
		at = helper.range.addr + near(helper.range.len);
		if (chance(2))
			copy(at, &byte, 1);
		else
			copy(&byte, at, 1);
	}
	return NULL;
}

static long op_mmap(long unused);

/* A thread touches a mapping while it is taken away, moved and protected. */
static long op_thread(long unused)
{
	static long (*const disturb[])(long) = {op_munmap, op_mremap, op_mprotect,   op_madvise,
						op_mmap,   op_touch,  op_process_vm, op_direct};
	/* Nothing is to be mapped that is not in the table. */
	static _Alignas(64) char stack[256 << 10];
	int i, count = 1 + below(6), place = below(MAPS);
	pthread_attr_t attr;
	pthread_t thread;
	long result;

	if (!maps[place].len || !ours(maps[place].addr, maps[place].len))
		return SKIP;
	note("%p, %d operations", maps[place].addr, count);
	helper.seed = rnd();
	helper.range = maps[place];
	helper.stop = false;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, sizeof(stack));
	result = pthread_create(&thread, &attr, help, NULL);
	if (!result) {
		focus = place;
		for (i = 0; i < count; i++)
			disturb[below(ARRAY_SIZE(disturb))](0);
		focus = -1;
		helper.stop = true;
		pthread_join(thread, NULL);
		cover_drain(&covers[2]);
	}
	pthread_attr_destroy(&attr);
	return result ? -1 : 0;
}

/* With all that there is, which the kernel is to clear up. */
static long op_die(long unused)
{
	static char *const command[] = {"true", NULL};

	if (!chance(2))
		return SKIP;
	note("()");
	switch (below(3)) {
	case 0:
		execv("/bin/true", command);
		__attribute__((fallthrough));
	case 1:
		_exit(0);
	default:
		return kill(getpid(), SIGKILL);
	}
}

/* The table. */

static const struct operation {
	const char *name;
	unsigned int weight;
	long (*function)(long arg); /* -1: failed; SKIP: there was nothing to do */
	long arg;
	bool alone; /* not for children */
} operations[] = {
	{"QUERY", 5, op_query, MORSEL_IOC_QUERY},
	{"CREATE", 50, op_create, 0},
	{"CREATE, no descriptor", 2, op_create, 1},
	{"OPEN", 30, op_open, MORSEL_IOC_OPEN},
	{"UNLINK", 15, op_unlink, MORSEL_IOC_UNLINK},
	{"LIST", 10, op_list, MORSEL_IOC_LIST},
	{"LIMIT_GET", 5, op_limit, MORSEL_IOC_LIMIT_GET},
	{"LIMIT_SET", 5, op_limit, MORSEL_IOC_LIMIT_SET},
	{"POOL_LIST", 5, op_list, MORSEL_IOC_POOL_LIST},
	{"POOL_STAT", 5, op_pool_stat, MORSEL_IOC_POOL_STAT},
	{"POOL_ADD", 5, op_pool, MORSEL_IOC_POOL_ADD},
	{"POOL_RESIZE", 5, op_pool, MORSEL_IOC_POOL_RESIZE},
	{"POOL_REMOVE", 3, op_pool, MORSEL_IOC_POOL_REMOVE},
	{"STAT", 10, op_stat, MORSEL_IOC_STAT},
	{"POPULATE", 20, op_range, MORSEL_IOC_POPULATE},
	{"PUNCH", 30, op_range, MORSEL_IOC_PUNCH},
	{"EXTENTS", 15, op_list, MORSEL_IOC_EXTENTS},
	{"TUNE", 10, op_tune, MORSEL_IOC_TUNE},
	{"ioctl", 15, op_ioctl, 0},
	{"read", 15, op_rw, READ},
	{"write", 15, op_rw, WRITE},
	{"pread", 15, op_rw, PREAD},
	{"pwrite", 15, op_rw, PWRITE},
	{"preadv2", 10, op_rw, PREADV},
	{"pwritev2", 10, op_rw, PWRITEV},
	{"lseek", 10, op_lseek, 0},
	{"fallocate", 20, op_fallocate, 0},
	{"ftruncate", 3, op_meta, TRUNCATE},
	{"fstat", 5, op_meta, STAT},
	{"fchmod", 3, op_meta, CHMOD},
	{"fchown", 3, op_meta, CHOWN},
	{"fsync", 3, op_meta, SYNC},
	{"fcntl", 3, op_meta, FLAGS},
	{"futimens", 2, op_meta, TIMES},
	{"splice", 25, op_splice, 0},
	{"sendfile", 10, op_sendfile, 0},
	{"dup", 10, op_dup, 0},
	{"close", 25, op_close, 0},
	{"close all", 2, op_close, 1},
	{"send descriptor", 15, op_pass, 1},
	{"receive descriptor", 15, op_pass, 0},
	{"mmap", 90, op_mmap, 0},
	{"touch", 60, op_touch, 0},
	{"copy", 20, op_copy, 0},
	{"munmap", 25, op_munmap, 0},
	{"mremap", 40, op_mremap, 0},
	{"mprotect", 40, op_mprotect, 0},
	{"madvise", 50, op_madvise, 0},
	{"process_vm", 20, op_process_vm, 0},
	{"mlock", 8, op_memory, LOCK},
	{"munlock", 5, op_memory, UNLOCK},
	{"mincore", 5, op_memory, INCORE},
	{"msync", 5, op_memory, FLUSH},
	{"mbind", 5, op_memory, BIND},
	{"O_DIRECT", 20, op_direct, 0},
	{"proc", 8, op_proc, 0},
	{"fork", 10, op_fork, 0, true},
	{"thread", 15, op_thread, 0, true},
	{"sweep", 1, op_sweep, 0},
	{"shrink", 1, op_shrink, 0},
	{"die", 1, op_die, 0, true},
};
_Static_assert(ARRAY_SIZE(operations) <= ARRAY_SIZE(shared->counts), "room for the counts");

static void do_op(uint64_t number)
{
	struct seat *seat = &shared->seats[self];
	const struct operation *op;
	unsigned int total = 0;
	unsigned long took;
	struct count *count;
	uint64_t dice;
	double begin;
	long result;

	for (op = operations; op < operations + ARRAY_SIZE(operations); op++)
		total += op->weight;
	rng = mix(seed + mix(mix(self + 1) + number));
	dice = below(total);
	for (op = operations; dice >= op->weight; op++)
		dice -= op->weight;
	if (in_child && op->alone)
		return;

	op_name = op->name;
	if (!in_child) {
		op_number = number;
		seat->what = op - operations;
		seat->op = number;
	}
	count = &shared->counts[op - operations];
	count->done++;
	begin = seconds_now();
	result = op->function(op->arg);
	took = (seconds_now() - begin) * 1e6;
	if (result == SKIP)
		count->done--;
	if (result >= 0)
		count->succeeded++;
	count->us += took;
	if (took > count->max_us)
		count->max_us = took;
	cover_drain(&covers[in_child]);
}

/* A worker. */

static void drop_rights(void)
{
	if (setgroups(0, NULL) || setresgid(GROUP, GROUP, GROUP) ||
	    setresuid(TESTER, TESTER, TESTER))
		_exit(3);
	/* Its own files in /proc, and those of its like. */
	prctl(PR_SET_DUMPABLE, 1);
}

_Noreturn static void work(uint64_t number, uint64_t end)
{
	const struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
	const struct rlimit no_core = {}, files = {MAX_FD, MAX_FD};
	unsigned int i;
	int fd;

	setpgid(0, 0);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_NOFILE, &files);
	exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
		_exit(3);
	for (i = 0; covering && i < ARRAY_SIZE(covers); i++)
		if (cover_open(&covers[i]))
			_exit(3);
	for (fd = 0; fd < MAX_FD; fd++)
		essential[fd] = fcntl(fd, F_GETFD) >= 0;
	memset(fds, -1, sizeof(fds));
	pkey = pkey_alloc(0, 0);
	make_buffers();
	if (self % 2)
		drop_rights();
	prctl(PR_SET_PDEATHSIG, SIGKILL);

	cover_begin(&covers[0]);
	for (; number < end && !shared->stop; number++)
		do_op(number);
	shared->seats[self].finished = true;
	_exit(0);
}

/* The parent of all. */

static uint64_t first, end; /* operations of this round, and of all workers */
static unsigned int running, deaths;
static double worked; /* seconds */
static bool failed;
static volatile sig_atomic_t interrupted;

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	failed = true;
}

static void start(unsigned int worker, uint64_t number)
{
	pid_t pid;

	shared->seats[worker].op = number;
	shared->seats[worker].finished = false;
	pid = fork();
	if (!pid) {
		self = worker;
		work(number, end);
	}
	if (pid < 0) {
		complain("fork: %s\n", strerror(errno));
		return;
	}
	shared->seats[worker].pid = pid;
	running++;
}

/* A worker has ended; most do not do so by themselves. */
static void ended(unsigned int worker, int status)
{
	struct seat *seat = &shared->seats[worker];
	const struct operation *op = &operations[seat->what];

	running--;
	seat->pid = 0;
	if (seat->finished || shared->stop)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
		complain("worker %u cannot begin\n", worker);
		return;
	}
	if (op->function != op_die) {
		deaths++;
		printf("worker %u: %s %d in operation %" PRIu64 " (%s)\n", worker,
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), seat->op,
		       op->name);
	}
	start(worker, seat->op + 1);
}

/* Returns false if no process is left; among them are children of workers that died. */
static bool reap(void)
{
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < workers; i++)
			if (shared->seats[i].pid == pid)
				ended(i, status);
	return !pid;
}

/* So that a report of the kernel's can be told whose it is. */
static void mark(void)
{
	char line[1024];
	unsigned int i;
	int used;

	used = snprintf(line, sizeof(line), "morsel-test: fuzz seed=%" PRIu64, seed);
	for (i = 0; i < workers; i++)
		if (shared->seats[i].pid)
			used += snprintf(line + used, sizeof(line) - used,
					 " worker=%u op=%" PRIu64 " (%s)", i, shared->seats[i].op,
					 operations[shared->seats[i].what].name);
	if (write(kmsg, line, used) < 0)
		return;
}

static void supervise(double deadline)
{
	double begin = seconds_now(), marked = 0;

	while (running && !interrupted && (max_ops || seconds_now() < deadline)) {
		if (seconds_now() > marked + 1) {
			mark();
			marked = seconds_now();
		}
		reap();
		sleep_ms(10);
	}
	/* In the middle of whatever they do. */
	shared->stop = true;
	worked += seconds_now() - begin;
}

/* Who has not ended by then, or what is not free, never will. */
static bool never_comes(double begin)
{
	return seconds_now() > begin + test_seconds();
}

static void kill_all(void)
{
	double begin = seconds_now();
	unsigned int i;

	for (i = 0; i < workers; i++)
		if (shared->seats[i].pid)
			kill(-shared->seats[i].pid, SIGKILL);
	while (reap() && !never_comes(begin))
		sleep_ms(10);
	for (i = 0; i < workers; i++)
		if (shared->seats[i].pid)
			complain("worker %u does not end: operation %" PRIu64 " (%s)\n", i,
				 shared->seats[i].op, operations[shared->seats[i].what].name);
}

/* Things as they were. */
static struct morsel_pool_info pools[64];
static unsigned int nr_pools;
static struct morsel_limit limits[ARRAY_SIZE(users)];

static unsigned int list_pools(struct morsel_pool_info *info)
{
	uint64_t cursor = 0;
	int count = list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(*info),
			      ARRAY_SIZE(pools));

	return count < 0 ? 0 : count;
}

static void get_limit(unsigned int user, struct morsel_limit *limit)
{
	*limit = (struct morsel_limit){.size = sizeof(*limit), .uid = users[user]};
	ioctl(dev, MORSEL_IOC_LIMIT_GET, limit);
}

static void pool_call(unsigned long cmd, struct morsel_pool pool)
{
	pool.size = sizeof(pool);
	if (ioctl(dev, cmd, &pool))
		complain("pool %u, node %u: ioctl %#lx: %s\n", pool.id, pool.node, cmd,
			 strerror(errno));
}

static void prepare(void)
{
	unsigned int i;

	for (i = 0; i < workers; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets[i]))
			complain("socketpair: %s\n", strerror(errno));
	nr_pools = list_pools(pools);
	for (i = 0; i < nr_pools; i++)
		if (pools[i].limit_bytes > CEILING)
			pool_call(MORSEL_IOC_POOL_RESIZE,
				  (struct morsel_pool){.id = pools[i].id, .limit_bytes = CEILING});
	for (i = 0; i < ARRAY_SIZE(users); i++)
		get_limit(i, &limits[i]);
}

/* Is anything in use, though nobody is left to use it?  Tells, if that is wanted. */
static bool in_use(bool tell)
{
	uint32_t morsels = query().nr_morsels;
	struct morsel_pool_info info[ARRAY_SIZE(pools)];
	unsigned int i, count = list_pools(info);
	struct morsel_limit limit;
	bool used = morsels;

	if (tell && morsels)
		complain("leaked: %u morsels\n", morsels);
	for (i = 0; i < count; i++) {
		if (!info[i].used_bytes && !info[i].pinned_bytes && !info[i].morsels)
			continue;
		used = true;
		if (tell)
			complain("leaked: pool %s: %llu bytes used, %llu pinned, %u morsels\n",
				 info[i].name, info[i].used_bytes, info[i].pinned_bytes,
				 info[i].morsels);
	}
	for (i = 0; i < ARRAY_SIZE(users); i++) {
		get_limit(i, &limit);
		if (!limit.used)
			continue;
		used = true;
		if (tell)
			complain("leaked: user %u: %llu bytes\n", users[i], limit.used);
	}
	return used;
}

/* Take all away, see that nothing is left, and make things what they were. */
static void clear_up(void)
{
	struct morsel_pool_info info[ARRAY_SIZE(pools)];
	unsigned int i, count;
	double begin = seconds_now();

	for (i = 0; i < workers; i++) {
		close(sockets[i][0]);
		close(sockets[i][1]);
	}
	unlink_all();
	/* Freeing takes its time. */
	while (in_use(false) && !never_comes(begin))
		sleep_ms(10);
	in_use(true);

	count = list_pools(info);
	for (i = 0; i < count; i++)
		pool_call(MORSEL_IOC_POOL_REMOVE, (struct morsel_pool){.id = info[i].id});
	for (i = 0; i < nr_pools; i++)
		pool_call(MORSEL_IOC_POOL_ADD,
			  (struct morsel_pool){.kind = pools[i].kind,
					       .node = pools[i].node,
					       .limit_bytes = pools[i].limit_bytes});
	for (i = 0; i < ARRAY_SIZE(users); i++)
		if (users[i] != UINT32_MAX) {
			limits[i].flags &= MORSEL_LIMIT_DEFAULT;
			ioctl(dev, MORSEL_IOC_LIMIT_SET, &limits[i]);
		}
}

/*
 * A run is in rounds.  After each nothing must be left behind, and each begins
 * where it would if it were the only one, so that it can be had again alone.
 */
static void play(double deadline)
{
	unsigned int i;

	prepare();
	shared->stop = false;
	end = first + (max_ops ? max_ops : ROUND);
	for (i = 0; i < workers; i++)
		if (only == UINT64_MAX || i == only)
			start(i, first);
	supervise(deadline);
	kill_all();
	/* Room for what clearing up reaches. */
	cover_drain(&covers[0]);
	clear_up();
	cover_drain(&covers[0]);
	if (failed)
		for (i = 0; i < workers; i++)
			printf("worker %u: operations %" PRIu64 " to %" PRIu64 "\n", i, first,
			       shared->seats[i].op);
}

static void summarize(void)
{
	unsigned long done = 0;
	unsigned int i;

	printf("%-24s %10s %10s %10s %10s\n", "operation", "done", "succeeded", "us", "longest");
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		const struct count *count = &shared->counts[i];

		printf("%-24s %10lu %10lu %10lu %10lu\n", operations[i].name, count->done,
		       count->succeeded, count->us / (count->done ?: 1), count->max_us);
		done += count->done;
	}
	printf("%lu operations in %.1f s (%.0f a second), %u workers died and were replaced\n",
	       done, worked, done / worked, deaths);
}

/* The module's functions. */

static int by_address(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;

	return left->addr < right->addr ? -1 : left->addr > right->addr;
}

/* Returns 0, or what is missing has been said. */
static int cover_prepare(void)
{
	struct symbol symbol = {};
	char line[1024], type;
	FILE *file;

	if (access("/sys/kernel/debug/kcov", F_OK)) {
		printf("this kernel has no KCOV, or debugfs is not mounted\n");
		return -1;
	}
	file = fopen("/proc/kallsyms", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %63s", &symbol.addr, &type, symbol.name) != 3 ||
		    !symbol.addr || !strchr("tTwW", type))
			continue;
		if (!strcmp(symbol.name, "_text"))
			slide = symbol.addr - 0xffffffff81000000;
		/* Not padding before functions, nor what sanitizers have called at loading. */
		if (strstr(line, "[morsel]") && strncmp(symbol.name, "__pfx_", 6) &&
		    strncmp(symbol.name, "_sub_", 5) && nr_symbols < ARRAY_SIZE(symbols))
			symbols[nr_symbols++] = symbol;
	}
	if (file)
		fclose(file);
	if (!nr_symbols) {
		printf("/proc/kallsyms shows no function of the module\n");
		return -1;
	}
	qsort(symbols, nr_symbols, sizeof(symbols[0]), by_address);
	/* The last one is not longer than that. */
	text_length = symbols[nr_symbols - 1].addr - symbols[0].addr + (64 << 10);
	reached = mmap(NULL, text_length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);
	return reached == MAP_FAILED ? -1 : 0;
}

/* What the tracepoints call is reached only while they are on. */
static void trace_events(const char *on)
{
	write_text(TRACING "events/morsel/enable", on);
}

/* Parts of tracepoints that no event, or only perf's, calls. */
static bool is_glue(const char *name)
{
	return !strncmp(name, "__", 2) || !strncmp(name, "perf_trace_", 11) ||
	       !strncmp(name, "trace_raw_output_", 17);
}

static bool is_handler(const char *name)
{
	return !strncmp(name, "ioctl_", 6) || !strcmp(name, "control_ioctl") ||
	       !strcmp(name, "morsel_ioctl");
}

static void cover_report(void)
{
	unsigned int i, j, functions = 0, hits = 0, handlers = 0, handlers_hit = 0;
	uint64_t at, end;

	for (i = 0; i < nr_symbols; i++) {
		struct symbol *symbol = &symbols[i];

		for (j = i + 1; j < nr_symbols && symbols[j].addr == symbol->addr; j++)
			;
		end = j < nr_symbols ? symbols[j].addr - symbols[0].addr : text_length;
		for (at = symbol->addr - symbols[0].addr; at < end; at++)
			symbol->reached |= reached[at];
		/* Parts that the compiler has cut off count as the function. */
		symbol->name[strcspn(symbol->name, ".")] = 0;
		for (j = 0; strcmp(symbols[j].name, symbol->name); j++)
			;
		symbols[j].reached |= symbol->reached;
		if (j < i)
			symbol->name[0] = 0;
	}

	printf("not reached:");
	for (i = 0; i < nr_symbols; i++) {
		const struct symbol *symbol = &symbols[i];

		if (!symbol->name[0] || is_glue(symbol->name))
			continue;
		functions++;
		hits += symbol->reached;
		handlers += is_handler(symbol->name);
		handlers_hit += is_handler(symbol->name) && symbol->reached;
		if (!symbol->reached)
			printf(" %s", symbol->name);
	}
	printf("\nreached: %u of %u functions\n", hits, functions);
	printf("ioctl handlers: %u of %u that are functions of their own\n", handlers_hit,
	       handlers);
	if (!handlers || handlers_hit < handlers)
		complain("ioctl handlers were not reached\n");
}

static void on_signal(int number)
{
	interrupted = number;
}

/* The same addresses each time, so that a replay has them, too. */
static void fix_addresses(char **argv)
{
	int persona = personality(0xffffffff);

	if (persona == -1 || persona & ADDR_NO_RANDOMIZE ||
	    personality(persona | ADDR_NO_RANDOMIZE) == -1)
		return;
	execv("/proc/self/exe", argv);
}

/* What all share, from the kernel and among each other. */
static int open_all(void)
{
	int fd;

	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (dev < 0 || geteuid()) {
		fprintf(stderr, "fuzz: %s: %s\n", MORSEL_DEVICE,
			dev < 0 ? strerror(errno) : "only root");
		return -1;
	}
	if (query().nr_morsels) {
		fprintf(stderr, "fuzz: there are morsels, and none would survive\n");
		return -1;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -1;
	scratch = open("/scratch", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	if (scratch >= 0 && fallocate(scratch, 0, 0, SCRATCH_LENGTH)) {
		close(scratch);
		scratch = -1;
	}
	/* Be silent of dropped caches from here on. */
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "4", 1) == 1)
		close(fd);
	/* Let each operation that is told be in the log. */
	fd = tracing ? open("/proc/sys/kernel/printk_devkmsg", O_WRONLY | O_CLOEXEC) : -1;
	if (fd >= 0 && write(fd, "on", 2) == 2)
		close(fd);
	return 0;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 0},
		{"seconds", required_argument, NULL, 1},
		{"ops", required_argument, NULL, 2},
		{"workers", required_argument, NULL, 3},
		{"only", required_argument, NULL, 4},
		{"from", required_argument, NULL, 5},
		{"trace", no_argument, NULL, 6},
		{"kcov", no_argument, NULL, 7},
		{},
	};
	uint64_t *const values[] = {&seed, &seconds, &max_ops, &workers, &only, &from};
	bool wrong = getrandom(&seed, sizeof(seed), 0) != sizeof(seed);
	int option;
	char *end;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?') {
			wrong = true;
		} else if (option < 6) {
			*values[option] = strtoull(optarg, &end, 0);
			wrong |= *end || end == optarg;
		} else {
			*(option == 6 ? &tracing : &covering) = true;
		}
	}
	if (wrong || optind < argc || !workers || workers > MAX_WORKERS ||
	    (only != UINT64_MAX && only >= workers)) {
		fprintf(stderr, "fuzz: wrong arguments; see the head of fuzz.c\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	double begin;

	fix_addresses(argv);
	prctl(PR_SET_NAME, "fuzz");
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	printf("seed %" PRIu64 "\n", seed);
	if (open_all())
		return 2;
	if (covering && cover_prepare())
		return 77;
	if (covering)
		trace_events("1");
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (covering && !cover_open(&covers[0]))
		cover_begin(&covers[0]);

	begin = seconds_now();
	for (first = from; !failed && !interrupted; first += ROUND) {
		double left = begin + seconds - seconds_now();

		if (first > from && (max_ops || left < 1))
			break;
		play(seconds_now() + (left < 2 * ROUND_SECONDS ? left : ROUND_SECONDS));
	}
	summarize();
	if (covering) {
		trace_events("0");
		cover_report();
	}
	printf("%s\n", failed ? "FAILED" : "nothing was left behind");
	return failed;
}
