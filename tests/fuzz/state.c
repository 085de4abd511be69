// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: what its parts share.  Options, a worker's places, dice, and memory that may not
 * be there.
 */
#include "fuzz.h"

#include <inttypes.h>

/* Options. */
uint64_t seed, seconds = 10, max_ops, workers = 4, only = UINT64_MAX, from;
bool tracing, covering;

int null = -1, kmsg = -1, scratch = -1;
int sockets[MAX_WORKERS][2]; /* to receive from, to send to */

/* What all processes share. */
struct shared *shared;

/* A worker's own. */
unsigned int self;
uint64_t op_number;
const char *op_name;
bool in_child;
int fds[FDS];
struct range maps[MAPS];
int focus = -1; /* the only mapping to choose, or -1 */
bool holding; /* what others wait for: nothing is to be touched that they may hold */
int pipes[2], exe, pkey;
bool essential[MAX_FD]; /* not to be closed */
struct range own[2]; /* the program itself; what is above all mappings */

/* Random numbers: splitmix64. */
_Thread_local uint64_t rng;

uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t rnd(void)
{
	return mix(rng += 0x9e3779b97f4a7c15);
}

uint64_t below(uint64_t limit)
{
	return limit ? rnd() % limit : 0;
}

bool chance(unsigned int one_in)
{
	return !below(one_in);
}

/* A number that somebody may have got wrong. */
uint64_t interesting(void)
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
size_t near(size_t len)
{
	return below(len < PORTION || chance(4) ? len : PORTION);
}

/* Tell of an operation that is about to be done. */
void note(const char *format, ...)
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

_Thread_local sigjmp_buf *guard;

void on_fault(int signal_number)
{
	if (guard)
		siglongjmp(*guard, 1);
	/* Nobody expects it: come again, and die. */
	signal(signal_number, SIG_DFL);
}

/* Byte by byte, so that all before the first bad one are copied. */
bool copy(volatile char *to, const volatile char *from, size_t len)
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
bool ours(const char *addr, size_t len)
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

struct buffers buffers;

/*
 * Everything that the program will ever map is mapped here, in its own parts
 * and in its heap: where a mapping was taken away, the kernel puts other
 * mappings of ours, and nothing else.
 */
void make_buffers(void)
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
char *buffer(size_t len)
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
		if (map->len && ours(at, len) && !holding)
			return at;
		__attribute__((fallthrough));
	default:
		return buffers.normal.addr + 8 * below(PAGE) + (chance(16) ? below(8) : 0);
	}
}

void fill_buffer(char *at, const void *data, size_t len)
{
	bool locked = at >= buffers.read_only && at < buffers.read_only + PAGE;

	if (locked)
		mprotect(buffers.read_only, PAGE, PROT_READ | PROT_WRITE);
	copy(at, data, len);
	if (locked)
		mprotect(buffers.read_only, PAGE, PROT_READ);
}

/* The bytes that a call moves, where the caller must live through it. */
size_t amount(const char *at)
{
	size_t count = chance(8) ? interesting() : chance(4) ? below(MIB) : below(3 * PAGE);

	/* Buffers of our own end somewhere; mappings need not. */
	return (ssize_t)count >= 0 && ours(at, 1) ? count % PORTION : count;
}

loff_t position(void)
{
	return chance(8) ? interesting() : chance(2) ? near(PORTION) & ~(PAGE - 1) : near(GIB);
}

/* Descriptors. */

int morsel_fd(void)
{
	return fds[below(FDS)];
}

int any_fd(void)
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

void close_ours(int fd)
{
	if (fd >= 0 && fd < MAX_FD && !essential[fd])
		close(fd);
}

/*
 * Put a descriptor into a place.  Its number may come from memory that others
 * write to.
 */
long keep_fd(int fd)
{
	int *place = &fds[below(FDS)];

	if (fd < 0 || fd >= MAX_FD || essential[fd])
		return -1;
	if (*place != fd)
		close_ours(*place);
	*place = fd;
	return 0;
}
