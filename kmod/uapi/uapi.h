/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What user space calls: structs to and from its memory.
 */
#ifndef MORSEL_UAPI_H
#define MORSEL_UAPI_H

#include <linux/types.h>

#include "morsel_ioctl.h"

/*
 * A call is known by its number; the size that the number carries is that of
 * the caller's struct, which may be older or newer.
 */
#define MORSEL_IOC_CALL(cmd) ((cmd) & ~IOCSIZE_MASK)

/* copy.c */
int morsel_copy_in(void *to, size_t size, const void __user *from);
int morsel_copy_out(void __user *to, const void *from, size_t size);

/**
 * struct morsel_cursor - an array in user memory that is being filled
 * @list:	the caller's request
 * @filled:	entries so far
 */
struct morsel_cursor {
	struct morsel_list list;
	u32 filled;
};

int morsel_cursor_begin(struct morsel_cursor *cursor, const void __user *arg);
int morsel_cursor_end(struct morsel_cursor *cursor, void __user *arg);
int morsel_cursor_put(struct morsel_cursor *cursor, const void *entry, size_t size);

/* control.c */
int morsel_control_init(void);
void morsel_control_exit(void);

#endif /* MORSEL_UAPI_H */
