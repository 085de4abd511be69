// SPDX-License-Identifier: GPL-2.0
/*
 * Structs that come from callers and go back to them, older or newer than this module.
 */
#include <linux/uaccess.h>

#include "uapi/uapi.h"

/**
 * morsel_copy_in() - fetch the struct of an ioctl
 * @to:		the struct as this module knows it
 * @least:	the size that it had at first
 * @size:	its size
 * @from:	the struct as the caller knows it; its first field is its size
 * Return: 0, -EFAULT, -EINVAL (it is shorter than it ever was) or -E2BIG (it has more,
 * which is not zero).
 */
int morsel_copy_in(void *to, size_t least, size_t size, const void __user *from)
{
	u32 user_size;
	int err;

	if (get_user(user_size, (const u32 __user *)from))
		return -EFAULT;
	/* What is missing would be taken as zero: of a range, that is all of the morsel. */
	if (user_size < least)
		return -EINVAL;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(to, size, from, user_size);
	/* What was looked at, whatever another thread has written there since. */
	if (!err)
		*(u32 *)to = user_size;
	return err;
}

/**
 * morsel_copy_out() - write the struct of an ioctl back
 * @to:		the caller's
 * @from:	what to write; its first field is the caller's size
 * @size:	size as this module knows it
 * Return: 0 or -EFAULT.
 */
int morsel_copy_out(void __user *to, const void *from, size_t size)
{
	return copy_to_user(to, from, min_t(size_t, size, *(const u32 *)from)) ? -EFAULT : 0;
}

#define MAX_ENTRIES 65536

/**
 * morsel_cursor_begin() - look at the request of a call that fills an array
 * @cursor: the array; its @list is what the caller asks for, and becomes the answer
 * Return: 0 or -EINVAL.
 */
int morsel_cursor_begin(struct morsel_cursor *cursor)
{
	struct morsel_list *list = &cursor->list;

	if (list->entry_size < sizeof(u64) || list->entry_size > PAGE_SIZE)
		return -EINVAL;
	cursor->room = min_t(u32, list->count, MAX_ENTRIES);
	list->count = 0;
	return 0;
}

/**
 * morsel_cursor_put() - write one entry into the caller's array; may fault, so
 * without locks that a fault takes
 * @cursor:	the array, which has room
 * @entry:	the entry
 * @size:	its size as this module knows it; the caller may know it
 *		shorter or longer
 * Return: 0 or -EFAULT.
 */
int morsel_cursor_put(struct morsel_cursor *cursor, const void *entry, size_t size)
{
	struct morsel_list *list = &cursor->list;
	void __user *to = u64_to_user_ptr(list->entries + (u64)list->count * list->entry_size);

	if (copy_to_user(to, entry, min_t(size_t, size, list->entry_size)))
		return -EFAULT;
	if (list->entry_size > size && clear_user(to + size, list->entry_size - size))
		return -EFAULT;
	list->count++;
	return 0;
}
