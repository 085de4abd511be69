// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: what comes from outside of the calls.  Signals, memory that fails, and pins that last.
 */
#include "fuzz.h"

#include <linux/io_uring.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

/* Pages, or huge frames, are lost for good. */
#define MOST_FAILURES 64
#define RINGS 4

static int rings[RINGS] = {-1, -1, -1, -1};

/* A signal that does no more than come, at any moment of what follows; or an end of that. */
long op_timer(long unused)
{
	static const int periods[] = {0, 0, 50, 200, 1000};
	int us = periods[below(ARRAY_SIZE(periods))];
	const struct itimerval timer = {{0, us}, {0, us}};

	note("(%d us)", us);
	return setitimer(ITIMER_REAL, &timer, NULL);
}

/* The same for another worker, whatever that is at. */
long op_signal(long unused)
{
	pid_t pid = shared->seats[below(workers)].pid;

	if (!pid)
		return SKIP;
	note("(%d)", pid);
	return kill(pid, SIGUSR1);
}

/* As if the machine had found that a page is bad; root alone may say so. */
long op_poison(long unused)
{
	const struct range *map = &maps[below(MAPS)];
	char *at = map->addr + (near(map->len) & ~(PAGE - 1)), byte;

	if (!map->len || !ours(at, PAGE) || shared->failures >= MOST_FAILURES)
		return SKIP;
	/* Nothing fails where nothing is. */
	if (!copy(&byte, at, 1))
		return SKIP;
	shared->failures++;
	note("madvise(%p, HWPOISON)", at);
	/* That nobody could help the page is what it says where it worked, too. */
	if (madvise(at, PAGE, MADV_HWPOISON) && (errno == EPERM || errno == EINVAL))
		return -1;
	return 0;
}

static long ring_close(int *ring)
{
	long result = close(*ring);

	essential[*ring] = false;
	*ring = -1;
	return result;
}

/* A ring of io_uring pins what is registered with it, as long as it is there. */
long op_ring(long unused)
{
	int *ring = &rings[below(RINGS)];
	struct io_uring_params params = {};
	const struct range *map = &maps[below(MAPS)];
	struct iovec vector = {map->addr + near(map->len), PAGE * (1 + below(64))};
	int fd;

	if (*ring >= 0 && chance(2)) {
		note("close(%d)", *ring);
		return ring_close(ring);
	}
	if (!map->len)
		return SKIP;
	if (*ring < 0) {
		fd = syscall(SYS_io_uring_setup, 1, &params);
		if (fd < 0 || fd >= MAX_FD)
			return -1;
		*ring = fd;
		/* Not to be closed by number. */
		essential[fd] = true;
	}
	note("register(%d, %p, %zu)", *ring, vector.iov_base, vector.iov_len);
	return syscall(SYS_io_uring_register, *ring, IORING_REGISTER_BUFFERS, &vector, 1);
}

static void write_map(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* As with newuidmap(1). */
	if (fd < 0 || dprintf(fd, "0 %d 1000", SUBORDINATE) < 0)
		dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
	close(fd);
}

/*
 * Go on as root of a user namespace that a user owns who is somebody else outside; where that may
 * not be, as that user.
 */
void enter_namespace(void (*drop_rights)(uid_t user), uid_t owner)
{
	pid_t pid = getpid(), helper;
	int made[2];
	char byte;

	if (pipe2(made, O_CLOEXEC))
		_exit(3);
	helper = fork();
	if (!helper) {
		close(made[1]);
		if (read(made[0], &byte, 1) == 1) {
			write_map(pid, "uid_map");
			write_map(pid, "gid_map");
		}
		_exit(0);
	}
	close(made[0]);
	drop_rights(owner);
	if (!unshare(CLONE_NEWUSER)) {
		if (write(made[1], "", 1) != 1)
			_exit(3);
		/* Others' signals come already. */
		while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
			;
		if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
			_exit(3);
		prctl(PR_SET_DUMPABLE, 1);
	}
	close(made[1]);
}
