// SPDX-License-Identifier: GPL-2.0
/*
 * A program's memfds become morsels: preloaded, for programs that ask for memfds and know of
 * nothing else.  What a morsel does by an ioctl, sealing, is done by that.
 *
 * MORSEL_SHIM_COUNT names a file that gets a byte for each morsel, so that it is known that there
 * were some.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "morsel_ioctl.h"

#define KNOWN (MFD_CLOEXEC | MFD_ALLOW_SEALING)

static long (*real_syscall)(long number, ...);
static int (*real_fcntl)(int fd, int cmd, ...);

__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
	*(void **)&real_fcntl = dlsym(RTLD_NEXT, "fcntl64");
}

static void count(void)
{
	const char *path = getenv("MORSEL_SHIM_COUNT");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

	if (fd >= 0) {
		if (write(fd, "m", 1) < 0)
			abort();
		close(fd);
	}
}

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
	int dev, err;

	/* What the kernel refuses, and memfds of huge pages, are the kernel's. */
	if (flags & ~KNOWN || !name || strnlen(name, 250) > 249)
		return real_syscall(SYS_memfd_create, name, flags);
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return -1;
	err = ioctl(dev, MORSEL_IOC_CREATE, &args) ? errno : 0;
	close(dev);
	errno = err;
	if (err)
		return -1;
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
	return real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* -1: it is no morsel; else what fcntl() returns. */
static int seal(int fd, unsigned int seals, int cmd, int *result)
{
	struct morsel_seal args = {.size = sizeof(args), .seals = cmd == F_ADD_SEALS ? seals : 0};

	*result = ioctl(fd, MORSEL_IOC_SEAL, &args);
	if (*result && errno == ENOTTY)
		return -1;
	if (!*result && cmd == F_GET_SEALS)
		*result = args.seals;
	return 0;
}

static int do_fcntl(int fd, int cmd, long arg)
{
	int result;

	if ((cmd == F_ADD_SEALS || cmd == F_GET_SEALS) && !seal(fd, arg, cmd, &result))
		return result;
	return real_fcntl(fd, cmd, arg);
}

int fcntl(int fd, int cmd, ...)
{
	va_list list;
	long arg;

	va_start(list, cmd);
	arg = va_arg(list, long);
	va_end(list);
	return do_fcntl(fd, cmd, arg);
}

int fcntl64(int fd, int cmd, ...)
{
	va_list list;
	long arg;

	va_start(list, cmd);
	arg = va_arg(list, long);
	va_end(list);
	return do_fcntl(fd, cmd, arg);
}
