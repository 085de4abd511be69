// SPDX-License-Identifier: GPL-2.0
/*
 * A morsel is as a memfd: the same random calls on both have the same results, byte for byte.
 *
 * A sequence begins with an empty memfd and an empty morsel, and places of the same size where they
 * are mapped.  Each call is made on both; what it returns, errno, and what it hands over are
 * compared, and what is left at the end.  What is known to differ is in a table (explained[]), or
 * is not asked, which the call says.  MORSEL_SAME_SEED=N makes one sequence, and tells all calls.
 */
#include "common.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/param.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define CALLS 40
#define FDS 3
/* Mappings begin in the first 12 MiB, what is moved in the next; the last 4 stay free. */
#define ARENA (32 * MIB)
#define MOVED (12 * MIB)
#define FILE_MOST (7 * MIB)
#define BYTES_MOST (3 * MIB)
#define ARGS 6

/* One of the two, and what goes with it. */
struct side {
	bool ours;
	int fds[FDS];
	int other;
	int pipe[2];
	char *arena;
};

struct result {
	long value;
	int error;
	uint64_t bytes;
};

static struct side sides[2] = {{.ours = false}, {.ours = true}};
static char bytes[BYTES_MOST + PAGE];
/* As it was before the call. */
static uint64_t size;
/* Where holes are may differ from here on; it does not grow. */
static bool holes_differ, sealed;

/* What a call is made with: random, and the same for both. */
struct args {
	uint64_t n[ARGS];
};

static uint64_t hash(const void *memory, size_t length)
{
	const unsigned char *at = memory;
	uint64_t sum = length, word;

	for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15;
		sum ^= sum >> 29;
	}
	while (length--)
		sum = (sum ^ *at++) * 0x100000001b3;
	return sum;
}

static struct result said(long value)
{
	return (struct result){.value = value, .error = value == -1 ? errno : 0};
}

/* With the bytes that came. */
static struct result gave(long value)
{
	struct result result = said(value);

	if (value > 0)
		result.bytes = hash(bytes, value);
	return result;
}

static int fd_of(const struct side *side, uint64_t n)
{
	return side->fds[n % 8 < 6 ? 0 : n % FDS];
}

/* An offset in the file, where something changes more often than elsewhere. */
static uint64_t place(uint64_t n)
{
	uint64_t near = (n >> 8) % 5 - 2, odd = n & 1 ? 0 : near;

	switch (n >> 16 & 7) {
	case 0:
		return size + (near > size ? 0 : near);
	case 1:
		return (1 + (n >> 20) % 3) * HUGE + odd;
	case 2:
	case 3:
		return (n >> 20) % (FILE_MOST / PAGE) * PAGE + (n & 2 ? 0 : (n >> 40) % PAGE);
	case 4:
		return (n >> 20) % 17 * PAGE + (odd > PAGE ? 0 : odd);
	case 5:
		return size / 2;
	default:
		return (n >> 20) % (4 * PAGE);
	}
}

static uint64_t length_of(uint64_t n)
{
	switch (n & 511) {
	case 0:
		return BYTES_MOST - (n >> 9) % (64 * PAGE);
	case 1 ... 4:
		return HUGE + ((n >> 9) % 3 - 1) * PAGE;
	case 5 ... 100:
		return (1 + (n >> 9) % 20) * PAGE;
	case 101 ... 120:
		return 0;
	default:
		return (n >> 9) % (3 * PAGE);
	}
}

/* Pages of the place for mappings. */
static char *at(const struct side *side, uint64_t n)
{
	uint64_t page = n & 7 ? (n >> 8) % 24 : (n >> 8) % (8 * MIB / PAGE);

	if (n & 16)
		page += HUGE / PAGE * ((n >> 4) % 3);
	return side->arena + page * PAGE;
}

static uint64_t span(uint64_t n)
{
	uint64_t pages = (n & 3) == 3	? HUGE / PAGE + (n >> 8) % 3 - 1
			 : (n & 3) == 2 ? (n >> 8) % (4 * MIB / PAGE)
					: (n >> 8) % 12;

	return (pages + 1) * PAGE;
}

/*
 * Would a write make the file larger than there is room for here; or does it cross the end of one
 * that does not grow, where kernels differ in how much of it is written?
 */
static bool goes_too_far(int fd, uint64_t offset, uint64_t length)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags != -1 && flags & O_APPEND)
		offset = size;
	return offset + length > (sealed ? size : FILE_MOST + BYTES_MOST);
}

/* Signals of accesses. */
static sigjmp_buf jump;

static void caught(int signal)
{
	siglongjmp(jump, signal);
}

static long load(const volatile char *from)
{
	int signal = sigsetjmp(jump, 1);

	return signal ? -signal : (unsigned char)*from;
}

static long store(volatile char *to, char value)
{
	int signal = sigsetjmp(jump, 1);

	if (!signal)
		*to = value;
	return -signal;
}

/* The calls. */

static struct result do_pread(struct side *s, const struct args *a)
{
	return gave(pread(fd_of(s, a->n[0]), bytes, length_of(a->n[1]), place(a->n[2])));
}

static void fill(const struct args *a, size_t length)
{
	memset(bytes, 'a' + a->n[3] % 26, length);
	if (length)
		bytes[a->n[4] % length] = a->n[5];
}

static struct result do_pwrite(struct side *s, const struct args *a)
{
	uint64_t length = length_of(a->n[1]);
	int fd = fd_of(s, a->n[0]);

	if (goes_too_far(fd, place(a->n[2]), length))
		return said(0);
	fill(a, length);
	return said(pwrite(fd, bytes, length, place(a->n[2])));
}

static struct result do_read(struct side *s, const struct args *a)
{
	return gave(read(fd_of(s, a->n[0]), bytes, length_of(a->n[1])));
}

static struct result do_write(struct side *s, const struct args *a)
{
	uint64_t length = length_of(a->n[1]);
	int fd = fd_of(s, a->n[0]);

	if (goes_too_far(fd, lseek(fd, 0, SEEK_CUR), length))
		return said(0);
	fill(a, length);
	return said(write(fd, bytes, length));
}

static struct result do_readv(struct side *s, const struct args *a)
{
	uint64_t first = a->n[3] % (2 * PAGE), second = length_of(a->n[1]);
	struct iovec parts[] = {{bytes, first}, {bytes + first, second - second / 2}};

	return gave(preadv2(fd_of(s, a->n[0]), parts, 2, place(a->n[2]), 0));
}

static struct result do_writev(struct side *s, const struct args *a)
{
	uint64_t length = length_of(a->n[1]);
	struct iovec parts[] = {{bytes, length / 3}, {bytes + PAGE, length / 4}};
	int fd = fd_of(s, a->n[0]), flags = a->n[4] % 4 ? 0 : RWF_APPEND;

	if (goes_too_far(fd, flags ? size : place(a->n[2]), length))
		return said(0);
	fill(a, length / 3 + PAGE);
	return said(pwritev2(fd, parts, 2, place(a->n[2]), flags));
}

static struct result do_lseek(struct side *s, const struct args *a)
{
	static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 9};
	int how = whence[a->n[1] % 6];
	off_t to = place(a->n[2]);

	/* What is allocated and holes_differ is a hole of a memfd, and data of a morsel. */
	if ((how == SEEK_DATA || how == SEEK_HOLE) && holes_differ)
		how = SEEK_SET;
	if (how == SEEK_CUR || how == SEEK_END)
		to = a->n[3] % 3 ? -(a->n[3] % 9000) : a->n[3] % 9000;
	return said(lseek(fd_of(s, a->n[0]), to, how));
}

static struct result do_ftruncate(struct side *s, const struct args *a)
{
	return said(ftruncate(fd_of(s, a->n[0]), a->n[1] % 16 ? place(a->n[2]) : 0));
}

/* Where such a hole ends, a memfd keeps the page, and clears it; a morsel does not. */
static bool ends_within_last_page(uint64_t end)
{
	return end >= size && size % PAGE;
}

/* Behind the end with FALLOC_FL_KEEP_SIZE is not asked: a memfd takes memory there, and we refuse. */
static struct result do_fallocate(struct side *s, const struct args *a)
{
	static const int modes[] = {
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_INSERT_RANGE,
	};
	int mode = modes[a->n[1] % ARRAY_SIZE(modes)];
	uint64_t offset = place(a->n[2]), length = length_of(a->n[3]);

	if (mode == FALLOC_FL_KEEP_SIZE && offset + length > size)
		return said(0);
	holes_differ |= !(mode & ~FALLOC_FL_KEEP_SIZE) || ends_within_last_page(offset + length);
	return said(fallocate(fd_of(s, a->n[0]), mode, offset, length));
}

static struct result do_fstat(struct side *s, const struct args *a)
{
	struct stat st;
	struct result result = said(fstat(fd_of(s, a->n[0]), &st));
	uint64_t seen[] = {st.st_size, st.st_mode, st.st_nlink, st.st_uid, st.st_gid};

	result.bytes = hash(seen, sizeof(seen));
	return result;
}

static struct result where(const struct side *s, char *address)
{
	return address == MAP_FAILED ? said(-1) : (struct result){.value = address - s->arena};
}

/* A place where something can be mapped. */
static char *free_again(char *address, uint64_t length)
{
	return mmap(address, length, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

/* A private mapping that may be executed is no clone, which would not see what is written later. */
static int rights(int flags, int prot)
{
	return flags & MAP_PRIVATE && prot & PROT_WRITE ? prot | PROT_EXEC : prot;
}

/* When it fails, what was there before has gone, or has not. */
static struct result do_mmap(struct side *s, const struct args *a)
{
	static const int prots[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
				    PROT_NONE, PROT_READ | PROT_EXEC};
	int flags = a->n[1] % 3 ? MAP_SHARED : MAP_PRIVATE;
	uint64_t offset = a->n[2] % 3 ? a->n[2] / 3 % 20 * PAGE : a->n[2] / 3 % 4 * HUGE;
	struct result result;

	if (!(a->n[1] & 0xf00))
		flags |= MAP_POPULATE;
	result = where(s, mmap(at(s, a->n[3]), span(a->n[4]),
			       rights(flags, prots[a->n[5] % ARRAY_SIZE(prots)]), flags | MAP_FIXED,
			       fd_of(s, a->n[0]), offset));
	if (result.value == -1)
		free_again(at(s, a->n[3]), span(a->n[4]));
	return result;
}

static struct result do_munmap(struct side *s, const struct args *a)
{
	struct result result = said(munmap(at(s, a->n[0]), span(a->n[1])));

	free_again(at(s, a->n[0]), span(a->n[1]));
	return result;
}

static struct result do_mprotect(struct side *s, const struct args *a)
{
	static const int prots[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
				    PROT_NONE};

	return said(mprotect(at(s, a->n[0]), span(a->n[1]), prots[a->n[2] % 4]));
}

/*
 * A page, or a mapping that has just been made: parts of a mapping that were split, and were merged
 * where it is a memfd's, are one for mremap(), or several.  Nothing grows, nor is left behind
 * (MREMAP_DONTUNMAP): shared mappings of morsels do not.
 */
static struct result do_mremap(struct side *s, const struct args *a)
{
	char *from = at(s, a->n[0]), *to = at(s, a->n[1]) + MOVED;
	uint64_t length = a->n[2] & 1 ? PAGE : span(a->n[3]);
	int flags = a->n[2] & 2 ? MAP_SHARED : MAP_PRIVATE;
	struct result result;

	if (length > PAGE &&
	    mmap(from, length, rights(flags, PROT_READ | PROT_WRITE), flags | MAP_FIXED, s->fds[0],
		 a->n[4] % 600 * PAGE) == MAP_FAILED) {
		result = said(-1);
		free_again(from, length);
		return result;
	}
	if (a->n[2] & 4 && length > PAGE)
		store(from + a->n[5] % length, a->n[4]);
	result = where(s, mremap(from, length, a->n[2] & 8 ? length : PAGE,
				 MREMAP_MAYMOVE | MREMAP_FIXED, to));
	/* What has gone is to be a place for mappings again. */
	if (result.value != -1)
		free_again(from, length);
	return result;
}

/* Not MADV_DOFORK, which newer kernels refuse to what is special, so that DONTFORK stays. */
static const int advices[] = {
	MADV_NORMAL,	    MADV_RANDOM,	 MADV_SEQUENTIAL, MADV_WILLNEED,   MADV_DONTNEED,
	MADV_DONTNEED,	    MADV_REMOVE,	 MADV_REMOVE,	  MADV_FREE,	   MADV_WIPEONFORK,
	MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTDUMP,	  MADV_NOHUGEPAGE, 99};

static struct result do_madvise(struct side *s, const struct args *a)
{
	return said(madvise(at(s, a->n[0]), span(a->n[1]), advices[a->n[2] % ARRAY_SIZE(advices)]));
}

static struct result do_msync(struct side *s, const struct args *a)
{
	static const int flags[] = {MS_SYNC, MS_ASYNC, MS_INVALIDATE, MS_SYNC | MS_ASYNC};

	return said(msync(at(s, a->n[0]), span(a->n[1]), flags[a->n[2] % 4]));
}

static struct result do_load(struct side *s, const struct args *a)
{
	return (struct result){.value = load(at(s, a->n[0]) + a->n[1] % PAGE)};
}

static struct result do_store(struct side *s, const struct args *a)
{
	return (struct result){.value = store(at(s, a->n[0]) + a->n[1] % PAGE, a->n[2])};
}

/* The first byte of each page. */
static struct result do_look(struct side *s, const struct args *a)
{
	uint64_t length = span(a->n[1]) % (64 * PAGE), sum = 0, offset;

	for (offset = 0; offset < length; offset += PAGE)
		sum = sum * 31 + load(at(s, a->n[0]) + offset);
	return (struct result){.bytes = sum};
}

static struct result do_read_into(struct side *s, const struct args *a)
{
	return said(pread(s->other, at(s, a->n[0]) + a->n[1] % PAGE, length_of(a->n[2]) % MIB,
			  a->n[3] % PAGE));
}

static struct result do_write_from(struct side *s, const struct args *a)
{
	return said(pwrite(s->other, at(s, a->n[0]) + a->n[1] % PAGE, length_of(a->n[2]) % MIB,
			   a->n[3] % PAGE));
}

/* Reading a morsel into its own mapping, which is the same memory, or is not. */
static struct result do_read_itself(struct side *s, const struct args *a)
{
	return said(pread(fd_of(s, a->n[0]), at(s, a->n[1]), length_of(a->n[2]) % PAGE,
			  a->n[3] % 20 * PAGE));
}

static struct result do_vm_read(struct side *s, const struct args *a)
{
	struct iovec here = {bytes, length_of(a->n[2]) % MIB};
	struct iovec there = {at(s, a->n[0]) + a->n[1] % PAGE, here.iov_len};

	return gave(process_vm_readv(getpid(), &here, 1, &there, 1, 0));
}

static struct result do_vm_write(struct side *s, const struct args *a)
{
	struct iovec here = {bytes, length_of(a->n[2]) % MIB};
	struct iovec there = {at(s, a->n[0]) + a->n[1] % PAGE, here.iov_len};

	fill(a, here.iov_len);
	return said(process_vm_writev(getpid(), &here, 1, &there, 1, 0));
}

static struct result do_sendfile(struct side *s, const struct args *a)
{
	off_t from = place(a->n[1]);

	int fd = fd_of(s, a->n[0]);

	if (a->n[2] & 1)
		return said(sendfile(s->other, fd, &from, length_of(a->n[3])));
	if (goes_too_far(fd, lseek(fd, 0, SEEK_CUR), length_of(a->n[3])))
		return said(0);
	from = a->n[1] % (4 * PAGE);
	return said(sendfile(fd, s->other, &from, length_of(a->n[3])));
}

static struct result do_copy_range(struct side *s, const struct args *a)
{
	loff_t from = place(a->n[1]), to = a->n[2] % MIB;
	int fd = fd_of(s, a->n[0]);

	if (a->n[3] & 1)
		return said(copy_file_range(fd, &from, s->other, &to, length_of(a->n[4]), 0));
	if (goes_too_far(fd, from, length_of(a->n[4])))
		return said(0);
	return said(copy_file_range(s->other, &to, fd, &from, length_of(a->n[4]), 0));
}

/*
 * By way of a pipe, which is empty before and after, and has room for parts of pages.  Where the
 * kernel looks after who owns pages, it copies one at a time.
 */
static struct result do_splice(struct side *s, const struct args *a)
{
	size_t length = length_of(a->n[2]) % (15 * PAGE), done = 0;
	loff_t from = place(a->n[1]);
	ssize_t got;

	do {
		got = splice(fd_of(s, a->n[0]), &from, s->pipe[1], NULL, length - done,
			     SPLICE_F_NONBLOCK);
		if (got > 0)
			done += got;
	} while (got > 0 && done < length);
	return done ? gave(read(s->pipe[0], bytes, done)) : said(got);
}

static struct result do_splice_to(struct side *s, const struct args *a)
{
	uint64_t length = length_of(a->n[2]) % (8 * PAGE);
	loff_t to = place(a->n[1]);
	int fd = fd_of(s, a->n[0]);
	struct result result;
	char rest[8 * PAGE];

	if (goes_too_far(fd, to, length))
		return said(0);
	fill(a, length);
	if (write(s->pipe[1], bytes, length) < 0)
		return said(-1);
	result = said(splice(s->pipe[0], NULL, fd, &to, length, SPLICE_F_NONBLOCK));
	while (read(s->pipe[0], rest, sizeof(rest)) > 0)
		;
	return result;
}

/* Another descriptor takes the place of one that is not the first. */
static struct result keep_fd(struct side *s, int fd, uint64_t n)
{
	int *place = &s->fds[1 + n % (FDS - 1)];

	if (fd < 0)
		return said(-1);
	close(*place);
	*place = fd;
	return said(0);
}

static struct result do_reopen(struct side *s, const struct args *a)
{
	static const int flags[] = {O_RDONLY,
				    O_RDWR,
				    O_RDWR | O_APPEND,
				    O_WRONLY,
				    O_RDWR | O_TRUNC,
				    O_RDWR | O_NONBLOCK,
				    O_RDWR | O_DIRECTORY,
				    O_RDONLY | O_PATH};
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fds[0]);
	fd = open(path, flags[a->n[1] % ARRAY_SIZE(flags)] | O_CLOEXEC);
	return keep_fd(s, fd, a->n[2]);
}

static struct result do_dup(struct side *s, const struct args *a)
{
	return keep_fd(s, fcntl(s->fds[a->n[0] % FDS], F_DUPFD_CLOEXEC, 0), a->n[1]);
}

static struct result do_flags(struct side *s, const struct args *a)
{
	static const int flags[] = {0, O_APPEND, O_NONBLOCK, O_NOATIME};
	int fd = fd_of(s, a->n[0]);

	if (a->n[1] & 1)
		return said(fcntl(fd, F_GETFL) & ~O_LARGEFILE);
	return said(fcntl(fd, F_SETFL, flags[a->n[2] % 4]));
}

static struct result do_lock(struct side *s, const struct args *a)
{
	static const int calls[] = {F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK};
	static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	struct flock lock = {
		.l_type = types[a->n[1] % 3],
		.l_whence = a->n[2] % 3,
		.l_start = a->n[3] % 9000,
		.l_len = a->n[4] % 9000,
	};
	struct result result = said(fcntl(fd_of(s, a->n[0]), calls[a->n[5] % 4], &lock));

	result.bytes = lock.l_type * 3 + lock.l_start * 7 + lock.l_len * 11;
	return result;
}

static struct result do_flock(struct side *s, const struct args *a)
{
	static const int locks[] = {LOCK_SH, LOCK_EX, LOCK_UN};

	return said(flock(fd_of(s, a->n[0]), locks[a->n[1] % 3] | LOCK_NB));
}

static struct result do_lease(struct side *s, const struct args *a)
{
	static const int leases[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	int fd = fd_of(s, a->n[0]);
	struct result result;

	if (a->n[1] & 1)
		return said(fcntl(fd, F_GETLEASE));
	result = said(fcntl(fd, F_SETLEASE, leases[a->n[2] % 3]));
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return result;
}

static struct result do_sync(struct side *s, const struct args *a)
{
	int fd = fd_of(s, a->n[0]);

	switch (a->n[1] % 3) {
	case 0:
		return said(fsync(fd));
	case 1:
		return said(fdatasync(fd));
	default:
		return said(sync_file_range(fd, place(a->n[2]), length_of(a->n[3]), a->n[4] % 16));
	}
}

static struct result do_fadvise(struct side *s, const struct args *a)
{
	int fd = fd_of(s, a->n[0]);

	if (a->n[1] & 1)
		return said(readahead(fd, place(a->n[2]), length_of(a->n[3])));
	return (struct result){
		.value = posix_fadvise(fd, place(a->n[2]), length_of(a->n[3]), a->n[4] % 8)};
}

static struct result do_fchmod(struct side *s, const struct args *a)
{
	return said(fchmod(fd_of(s, a->n[0]), a->n[1] & 1 ? 0600 | (a->n[2] & 0177) : 06700));
}

static struct result do_fchown(struct side *s, const struct args *a)
{
	return said(fchown(fd_of(s, a->n[0]), a->n[1] % 4 ? -1U : a->n[2] % 9, a->n[2] % 7));
}

static struct result do_times(struct side *s, const struct args *a)
{
	struct timespec times[] = {
		{.tv_sec = a->n[1] % 1000000000, .tv_nsec = a->n[2] % 1000000000},
		{.tv_sec = a->n[3] % 1000000000, .tv_nsec = UTIME_OMIT}};
	struct result result = said(futimens(fd_of(s, a->n[0]), times));
	struct stat st;

	if (!result.value && !fstat(fd_of(s, a->n[0]), &st))
		result.bytes = st.st_atim.tv_sec * 31 + st.st_atim.tv_nsec;
	return result;
}

/* What writing does to the times: whether each is another. */
static struct result do_times_of_write(struct side *s, const struct args *a)
{
	struct timespec long_ago[] = {{.tv_sec = 1}, {.tv_sec = 1}};
	struct result result = {0};
	int fd = s->fds[0];
	struct stat st;

	if (futimens(fd, long_ago))
		return said(-1);
	switch (a->n[0] % 5) {
	case 0:
		if (!goes_too_far(fd, place(a->n[2]), 1))
			result = said(pwrite(fd, "x", a->n[1] % 2, place(a->n[2])));
		break;
	case 1:
		result = said(ftruncate(fd, a->n[1] & 1 ? size : place(a->n[2])));
		break;
	case 2:
		result = said(pread(fd, bytes, 1, 0));
		break;
	case 3:
		holes_differ |= ends_within_last_page(place(a->n[2]) + PAGE);
		result = said(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					place(a->n[2]), PAGE));
		break;
	case 4:
		holes_differ = true;
		result = said(fallocate(fd, 0, place(a->n[2]), PAGE));
		break;
	}
	/* What fails may have gone so far. */
	if (result.value != -1 && !fstat(fd, &st))
		result.bytes = (st.st_mtim.tv_sec == 1) | (st.st_atim.tv_sec == 1) << 1;
	return result;
}

/* Each has its own call for that. */
static int add_seals(const struct side *s, int fd, unsigned int seals)
{
	struct morsel_seal args = {.size = sizeof(args), .seals = seals};

	if (s->ours)
		return ioctl(fd, MORSEL_IOC_SEAL, &args);
	return fcntl(fd, F_ADD_SEALS, seals);
}

static struct result do_seal(struct side *s, const struct args *a)
{
	static const unsigned int seals[] = {F_SEAL_GROW,	  F_SEAL_SHRINK,
					     F_SEAL_FUTURE_WRITE, F_SEAL_WRITE,
					     F_SEAL_SEAL,	  F_SEAL_GROW | F_SEAL_SHRINK};

	int fd = s->fds[a->n[1] % 8 ? 0 : a->n[0] % FDS];

	sealed |= seals[a->n[2] % 6] & F_SEAL_GROW;
	return said(add_seals(s, fd, seals[a->n[2] % 6]));
}

/* A child sees what it inherits, and what it writes is seen if it is shared. */
static struct result do_fork(struct side *s, const struct args *a)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		long found = load(at(s, a->n[0]) + a->n[1] % PAGE);

		if (store(at(s, a->n[2]) + a->n[3] % PAGE, a->n[4]))
			found ^= 1;
		_exit(found & 127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return said(-1);
	return (struct result){.value = status};
}

static struct result do_odd(struct side *s, const struct args *a)
{
	int fd = fd_of(s, a->n[0]);

	switch (a->n[1] % 6) {
	case 0:
		return said(syscall(SYS_getdents64, fd, bytes, PAGE));
	case 1:
		return said(pread(fd, bytes, 1, -1));
	case 2:
		return said(ftruncate(fd, -1));
	case 3:
		return said(fallocate(fd, 0, 0, -1));
	case 4:
		/* Newer memfds take a page, and grow, before they see that there is nothing to write. */
		holes_differ = true;
		return said(
			pwrite(fd, s->arena + ARENA - PAGE, 1, size ? place(a->n[2]) % size : 0));
	default:
		return said(pread(fd, s->arena + ARENA - PAGE, PAGE, 0));
	}
}

/**
 * struct call - a call
 * @name:	its name
 * @make:	makes it on one side
 * @often:	how often, beside the others
 */
static const struct call {
	const char *name;
	struct result (*make)(struct side *s, const struct args *a);
	unsigned int often;
} calls[] = {
	{"pread", do_pread, 8},
	{"pwrite", do_pwrite, 12},
	{"read", do_read, 4},
	{"write", do_write, 6},
	{"preadv2", do_readv, 2},
	{"pwritev2", do_writev, 4},
	{"lseek", do_lseek, 8},
	{"ftruncate", do_ftruncate, 10},
	{"fallocate", do_fallocate, 12},
	{"fstat", do_fstat, 2},
	{"mmap", do_mmap, 16},
	{"munmap", do_munmap, 4},
	{"mprotect", do_mprotect, 6},
	{"mremap", do_mremap, 4},
	{"madvise", do_madvise, 8},
	{"msync", do_msync, 2},
	{"load", do_load, 12},
	{"store", do_store, 16},
	{"look", do_look, 6},
	{"read into a mapping", do_read_into, 4},
	{"write from a mapping", do_write_from, 4},
	{"read into its own mapping", do_read_itself, 2},
	{"process_vm_readv", do_vm_read, 2},
	{"process_vm_writev", do_vm_write, 2},
	{"sendfile", do_sendfile, 4},
	{"copy_file_range", do_copy_range, 4},
	{"splice", do_splice, 2},
	{"splice from a pipe", do_splice_to, 2},
	{"open by /proc", do_reopen, 4},
	{"dup", do_dup, 2},
	{"fcntl of flags", do_flags, 2},
	{"fcntl of locks", do_lock, 2},
	{"flock", do_flock, 2},
	{"fcntl of leases", do_lease, 2},
	{"fsync", do_sync, 2},
	{"posix_fadvise", do_fadvise, 2},
	{"fchmod", do_fchmod, 2},
	{"fchown", do_fchown, 2},
	{"futimens", do_times, 2},
	{"times of a write", do_times_of_write, 2},
	{"seal", do_seal, 2},
	{"fork", do_fork, 1},
	{"odd arguments", do_odd, 2},
};

/* What is known to differ, and changes nothing for what follows. */
static const struct {
	const char *call;
	int theirs;
	int ours;
	const char *why;
} explained[] = {
	{"odd arguments", EFAULT, EPERM,
	 "written from nowhere, and sealed: what is looked at first"},
};

static bool is_explained(const struct call *call, const struct result *theirs,
			 const struct result *ours)
{
	for (size_t i = 0; i < ARRAY_SIZE(explained); i++)
		if (!strcmp(explained[i].call, call->name) &&
		    explained[i].theirs == theirs->error && explained[i].ours == ours->error)
			return true;
	return false;
}

static int make(const struct side *s)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.flags = MORSEL_CREATE_CLOEXEC | MORSEL_CREATE_SEALABLE,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = MORSEL_GRANULE_4K,
		.mode = 0777,
	};
	int fd = s->ours ? create_with(&args)
			 : memfd_create("same", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0, "it cannot be made: %s", strerror(errno));
	return fd;
}

static void begin(struct side *s)
{
	s->fds[0] = make(s);
	for (int i = 1; i < FDS; i++)
		s->fds[i] = fcntl(s->fds[0], F_DUPFD_CLOEXEC, 0);
	s->other = make(s);
	memset(bytes, 'o', 5 * PAGE);
	must(write(s->other, bytes, 5 * PAGE) == 5 * PAGE, "no other: %s", strerror(errno));
	free_again(s->arena, ARENA);
}

static void end(struct side *s)
{
	free_again(s->arena, ARENA);
	for (int i = 0; i < FDS; i++)
		close(s->fds[i]);
	close(s->other);
}

static const struct call *some_call(uint64_t n)
{
	unsigned int all = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		all += calls[i].often;
	n %= all;
	for (i = 0; n >= calls[i].often; i++)
		n -= calls[i].often;
	return &calls[i];
}

static uint64_t random_64(uint64_t *state)
{
	uint64_t high = random_next(state);

	return high << 32 | random_next(state);
}

static uint64_t size_of(const struct side *s)
{
	struct stat st;

	return fstat(s->fds[0], &st) ? 0 : st.st_size;
}

static unsigned long pages_of(const struct side *s)
{
	struct stat st;

	return fstat(s->fds[0], &st) ? 0 : st.st_blocks * 512 / PAGE;
}

static bool same(const struct result *a, const struct result *b)
{
	return a->value == b->value && a->error == b->error && a->bytes == b->bytes;
}

static void tell(uint64_t seed, unsigned int step, const char *name, const struct args *a,
		 const struct result *results)
{
	print_message("# %llu, %u: %s(", (unsigned long long)seed, step, name);
	for (int i = 0; i < ARGS; i++)
		print_message("%s%llx", i ? ", " : "", (unsigned long long)a->n[i]);
	for (int i = 0; i < 2; i++)
		print_message("%s%lx %s %llx", i ? "; " : ") = ", results[i].value,
			      results[i].error ? strerrorname_np(results[i].error) : "-",
			      (unsigned long long)results[i].bytes);
	print_message(" size %llx, pages %lu and %lu\n", (unsigned long long)size,
		      pages_of(&sides[0]), pages_of(&sides[1]));
}

/* Is what one has where it has data the same in the other? */
static bool has_the_same(const struct side *one, const struct side *other)
{
	static char others[64 * PAGE];
	off_t at = 0, to;
	ssize_t got;

	while ((at = lseek(one->fds[0], at, SEEK_DATA)) >= 0) {
		to = lseek(one->fds[0], at, SEEK_HOLE);
		for (; at < to; at += got) {
			got = pread(one->fds[0], bytes, MIN(to - at, (off_t)sizeof(others)), at);
			if (got <= 0 || pread(other->fds[0], others, got, at) != got ||
			    memcmp(bytes, others, got))
				return false;
		}
	}
	return true;
}

static void one_sequence(uint64_t seed, bool aloud)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
	struct result results[2];
	unsigned int step;
	struct args args;

	for (int i = 0; i < 2; i++)
		begin(&sides[i]);
	holes_differ = sealed = false;
	for (step = 0; step < CALLS; step++) {
		const struct call *call = some_call(random_64(&state));

		for (int i = 0; i < ARGS; i++)
			args.n[i] = random_64(&state);
		size = size_of(&sides[0]);
		/*
		 * What mappings have left behind the end, within the last page, a memfd shows when it
		 * is written behind that, and a morsel does not.  So it is cleared.
		 */
		for (int i = 0; i < 2 && size % PAGE; i++)
			assert_done(ftruncate(sides[i].fds[0], size));
		for (int i = 0; i < 2; i++)
			results[i] = call->make(&sides[i], &args);
		if (aloud)
			tell(seed, step, call->name, &args, results);
		if (!same(&results[0], &results[1]) &&
		    !is_explained(call, &results[0], &results[1])) {
			tell(seed, step, call->name, &args, results);
			fail_msg("%s differs; MORSEL_SAME_SEED=%llu tells what was before",
				 call->name, (unsigned long long)seed);
		}
	}
	if (size_of(&sides[0]) != size_of(&sides[1]) || !has_the_same(&sides[0], &sides[1]) ||
	    !has_the_same(&sides[1], &sides[0]))
		fail_msg("contents differ; MORSEL_SAME_SEED=%llu", (unsigned long long)seed);
	for (int i = 0; i < 2; i++)
		end(&sides[i]);
}

static void calls_are_answered_as_of_a_memfd(void **state)
{
	const char *only = getenv("MORSEL_SAME_SEED");
	struct sigaction action = {.sa_handler = caught};
	/* MORSEL_ROUNDS=3400 are 100,000. */
	unsigned int rounds = rounds_of(3000);

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	for (int i = 0; i < 2; i++) {
		sides[i].arena = free_place(ARENA);
		assert_done(pipe2(sides[i].pipe, O_CLOEXEC | O_NONBLOCK));
	}
	if (only) {
		one_sequence(strtoull(only, NULL, 10), true);
		rounds = 0;
	}
	for (unsigned int i = 0; i < rounds; i++)
		one_sequence(i, false);
	for (int i = 0; i < 2; i++) {
		munmap(sides[i].arena, ARENA);
		close(sides[i].pipe[0]);
		close(sides[i].pipe[1]);
	}
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_are_answered_as_of_a_memfd),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
