// SPDX-License-Identifier: GPL-2.0
/*
 * Structs that come from callers and go back to them, older or newer than this module.
 */
#include <linux/uaccess.h>

#include "uapi/uapi.h"

/**
 * morsel_copy_in() - fetch the struct of an ioctl
 * @to:		the struct as this module knows it
 * @size:	its size
 * @from:	the struct as the caller knows it; its first field is its size
 * Return: 0, -EFAULT, -EINVAL (no size) or -E2BIG (it has more, which is not zero).
 */
int morsel_copy_in(void *to, size_t size, const void __user *from)
{
	u32 user_size;

	if (get_user(user_size, (const u32 __user *)from))
		return -EFAULT;
	/* The size and the flags have been there from the start. */
	if (user_size < 2 * sizeof(u32))
		return -EINVAL;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, size, from, user_size);
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
 * morsel_cursor_begin() - fetch the request of an ioctl that fills an array
 * @cursor:	where to
 * @arg:	the caller's struct morsel_list
 * Return: 0 or as morsel_copy_in().
 */
int morsel_cursor_begin(struct morsel_cursor *cursor, const void __user *arg)
{
	int err = morsel_copy_in(&cursor->list, sizeof(cursor->list), arg);

	if (err)
		return err;
	if (cursor->list.flags || cursor->list.entry_size < sizeof(u64) ||
	    cursor->list.entry_size > PAGE_SIZE)
		return -EINVAL;
	cursor->list.count = min_t(u32, cursor->list.count, MAX_ENTRIES);
	cursor->filled = 0;
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
	u32 user_size = cursor->list.entry_size;
	void __user *to = u64_to_user_ptr(cursor->list.entries + (u64)cursor->filled * user_size);

	if (copy_to_user(to, entry, min_t(size_t, size, user_size)))
		return -EFAULT;
	if (user_size > size && clear_user(to + size, user_size - size))
		return -EFAULT;
	cursor->filled++;
	return 0;
}

/**
 * morsel_cursor_end() - tell the caller how many entries were filled, and where
 * to go on
 * @cursor:	the array
 * @arg:	the caller's struct morsel_list
 * Return: 0 or -EFAULT.
 */
int morsel_cursor_end(struct morsel_cursor *cursor, void __user *arg)
{
	cursor->list.count = cursor->filled;
	return morsel_copy_out(arg, &cursor->list, sizeof(cursor->list));
}
