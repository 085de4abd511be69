// SPDX-License-Identifier: GPL-2.0
/*
 * A 32-bit program that uses a morsel.  Without a library, so that any machine
 * can build it.  Its exit status is 0, or the number of the step that failed.
 */
#include <linux/fcntl.h>

#include "morsel_ioctl.h"

#define SYS_exit 1
#define SYS_open 5
#define SYS_close 6
#define SYS_ioctl 54
#define SYS_munmap 91
#define SYS_mmap2 192

static long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	long args[2] = {f, nr}, result;

	/* The sixth argument goes by the frame pointer. */
	asm volatile("pushl %%ebp\n\t"
		     "movl 4(%%eax), %%ebp\n\t"
		     "pushl %%ebp\n\t"
		     "movl (%%eax), %%ebp\n\t"
		     "popl %%eax\n\t"
		     "int $0x80\n\t"
		     "popl %%ebp"
		     : "=a"(result)
		     : "a"(args), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		     : "memory");
	return result;
}

static long syscall3(long nr, long a, long b, long c)
{
	return syscall6(nr, a, b, c, 0, 0, 0);
}

#define LENGTH (4UL << 20)

static int run(void)
{
	struct morsel_query query = {.size = sizeof(query)};
	struct morsel_create create = {
		.size = sizeof(create),
		.length = LENGTH,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = MORSEL_GRANULE_4K,
		.mode = 0600,
		.name = "program32",
	};
	struct morsel_info info = {.size = sizeof(info)}, entry = {};
	struct morsel_list list = {
		.size = sizeof(list),
		.entries = (unsigned long)&entry,
		.entry_size = sizeof(entry),
		.count = 1,
	};
	struct morsel_range range = {.size = sizeof(range)};
	struct morsel_unlink unlink = {.size = sizeof(unlink)};
	long dev = syscall3(SYS_open, (long)MORSEL_DEVICE, O_RDWR, 0), memory;
	volatile int *words;

	if (dev < 0)
		return 1;
	if (syscall3(SYS_ioctl, dev, MORSEL_IOC_QUERY, (long)&query) ||
	    query.abi != MORSEL_ABI_VERSION)
		return 2;
	if (syscall3(SYS_ioctl, dev, MORSEL_IOC_CREATE, (long)&create) || !create.id)
		return 3;
	memory = syscall6(SYS_mmap2, 0, LENGTH, 3, 1, create.fd, 0);
	if (memory < 0 && memory > -4096)
		return 4;
	words = (volatile int *)memory;
	words[0] = 32;
	words[LENGTH / 4 - 1] = 23;
	if (words[0] != 32 || words[LENGTH / 4 - 1] != 23)
		return 5;
	if (syscall3(SYS_ioctl, create.fd, MORSEL_IOC_STAT, (long)&info) || info.id != create.id ||
	    info.length != LENGTH || info.frame_bytes != 8192)
		return 6;
	if (syscall3(SYS_ioctl, dev, MORSEL_IOC_LIST, (long)&list) || list.count != 1 ||
	    entry.id != create.id)
		return 7;
	if (syscall3(SYS_ioctl, create.fd, MORSEL_IOC_PUNCH, (long)&range) || words[0])
		return 8;
	if (syscall3(SYS_munmap, memory, LENGTH, 0))
		return 9;
	unlink.id = create.id;
	if (syscall3(SYS_ioctl, dev, MORSEL_IOC_UNLINK, (long)&unlink))
		return 10;
	return 0;
}

/* The stack comes as the kernel left it; align it as functions expect. */
__attribute__((force_align_arg_pointer, used)) void _start(void)
{
	syscall3(SYS_exit, run(), 0, 0);
	for (;;)
		;
}

/* What the compiler makes of initialisers. */
void *memset(void *to, int value, __SIZE_TYPE__ size)
{
	char *bytes = to;

	while (size--)
		*(volatile char *)bytes++ = value;
	return to;
}

void *memcpy(void *to, const void *from, __SIZE_TYPE__ size)
{
	const char *source = from;
	char *bytes = to;

	while (size--)
		*(volatile char *)bytes++ = *source++;
	return to;
}
