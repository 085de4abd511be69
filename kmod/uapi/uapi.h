/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What user space calls: structs to and from its memory.
 */
#ifndef MORSEL_UAPI_H
#define MORSEL_UAPI_H

#include <linux/fs.h>
#include <linux/types.h>

#include "morsel_ioctl.h"

/* copy.c */
int morsel_copy_in(void *to, size_t least, size_t size, const void __user *from);
int morsel_copy_out(void __user *to, const void *from, size_t size);

/**
 * struct morsel_cursor - an array in user memory that is being filled
 * @list:	what the caller asked for; its @count is how many entries there are
 *		so far
 * @room:	how many there may be
 */
struct morsel_cursor {
	struct morsel_list list;
	u32 room;
};

int morsel_cursor_begin(struct morsel_cursor *cursor);
int morsel_cursor_put(struct morsel_cursor *cursor, const void *entry, size_t size);

static inline bool morsel_cursor_room(const struct morsel_cursor *cursor)
{
	return cursor->list.count < cursor->room;
}

/* control.c */
int morsel_control_init(void);
void morsel_control_exit(void);

/* object_calls.c */
extern const struct file_operations morsel_fops;

#endif /* MORSEL_UAPI_H */
