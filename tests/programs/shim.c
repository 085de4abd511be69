// SPDX-License-Identifier: GPL-2.0
/*
 * A program's memfds become morsels: preloaded, for programs that ask for memfds and know of
 * nothing else.  What a morsel does by an ioctl, sealing, is done by that.
 *
 * MORSEL_SHIM_COUNT names a file that gets a byte for each, so that it is known that there were some.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "morsel_ioctl.h"

#define KNOWN (MFD_CLOEXEC | MFD_ALLOW_SEALING)

/* Found at the first call: that may come before any constructor. */
#define REAL(name)                                                  \
	({                                                          \
		static __typeof__(&name) found;                     \
		if (!found)                                         \
			*(void **)&found = dlsym(RTLD_NEXT, #name); \
		found;                                              \
	})

static void count(void)
{
	const char *path = getenv("MORSEL_SHIM_COUNT");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

	if (fd >= 0 && write(fd, "m", 1) != 1)
		abort();
	close(fd);
}

/*
 * The kernel's own first: what it refuses is refused.  What only a memfd can be stays one: of huge pages,
 * or told whether it may be executed, by flags or by the administrator.
 */
static int make(const char *name, unsigned int flags)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.flags = (flags & MFD_CLOEXEC ? MORSEL_CREATE_CLOEXEC : 0) |
			 (flags & MFD_ALLOW_SEALING ? MORSEL_CREATE_SEALABLE : 0),
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.mode = 0777,
	};
	int fd = REAL(syscall)(SYS_memfd_create, name, flags), dev, err;
	struct stat st;

	if (fd < 0 || flags & ~KNOWN || fstat(fd, &st) || !(st.st_mode & 0111))
		return fd;
	close(fd);
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return -1;
	err = ioctl(dev, MORSEL_IOC_CREATE, &args) ? errno : 0;
	close(dev);
	if (err) {
		errno = err;
		return -1;
	}
	count();
	return args.fd;
}

int memfd_create(const char *name, unsigned int flags)
{
	return make(name, flags);
}

long syscall(long number, ...)
{
	long args[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_memfd_create)
		return make((const char *)args[0], args[1]);
	return REAL(syscall)(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* -1: it is no morsel; else what fcntl() returns. */
static int seal(int fd, unsigned int seals, int cmd, int *result)
{
	struct morsel_seal args = {.size = sizeof(args), .seals = cmd == F_ADD_SEALS ? seals : 0};

	*result = ioctl(fd, MORSEL_IOC_SEAL, &args);
	if (*result)
		return errno == ENOTTY ? -1 : 0;
	if (cmd == F_GET_SEALS) {
		*result = args.seals;
	} else if (!seals && (args.seals & F_SEAL_SEAL ||
			      (REAL(fcntl64)(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)) {
		/* The ioctl takes this for a question. */
		errno = EPERM;
		*result = -1;
	}
	return 0;
}

int fcntl(int fd, int cmd, ...)
{
	va_list list;
	int result;
	long arg;

	va_start(list, cmd);
	arg = va_arg(list, long);
	va_end(list);
	if ((cmd == F_ADD_SEALS || cmd == F_GET_SEALS) && !seal(fd, arg, cmd, &result))
		return result;
	return REAL(fcntl64)(fd, cmd, arg);
}

int fcntl64(int fd, int cmd, ...) __attribute__((alias("fcntl")));
