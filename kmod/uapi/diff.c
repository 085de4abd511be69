// SPDX-License-Identifier: GPL-2.0
/*
 * In which parts a morsel differs from another, as from a snapshot of it.
 */
#include <linux/file.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "map/map.h"
#include "morsel.h"
#include "uapi/calls.h"

/* Note a part, if it is one; 1: the caller's array is full. */
static int put(struct morsel_cursor *cursor, const struct morsel_difference *part)
{
	int err;

	if (!part->flags)
		return 0;
	if (!morsel_cursor_room(cursor))
		return 1;
	err = morsel_cursor_put(cursor, part, sizeof(*part));
	if (!err)
		cursor->list.cursor = part->offset + part->length;
	return err;
}

/* Fill the array from the cursor, a byte offset, on. */
static int list_differences(struct map *map, struct map *other, struct morsel_cursor *cursor)
{
	unsigned long index = cursor->list.cursor >> PAGE_SHIFT, end, most;
	struct morsel_difference part = {};
	unsigned int flags;
	int err = 0;

	while (!err && index < (most = max(map_pages(map), map_pages(other)))) {
		flags = map_compare(map, other, index, &end);
		end = min(end, most);
		if (flags != part.flags) {
			err = put(cursor, &part);
			part = (struct morsel_difference){.offset = (u64)index << PAGE_SHIFT,
							  .flags = flags};
		}
		part.length += (u64)(end - index) << PAGE_SHIFT;
		index = end;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return min(err ?: put(cursor, &part), 0);
}

/**
 * call_diff() - MORSEL_IOC_DIFF
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_diff(struct morsel_request *req)
{
	struct morsel_diff *args = &req->args.diff;
	struct morsel_cursor cursor = {.list = args->list};
	int err = args->reserved ? -EINVAL : morsel_cursor_begin(&cursor);
	struct file *other;

	if (err)
		return err;
	if (!IS_ALIGNED(cursor.list.cursor, PAGE_SIZE))
		return -EINVAL;
	other = fget(args->other);
	if (!other)
		return -EBADF;
	err = -EBADF;
	if (other->f_op == &morsel_fops && is_given(file_morsel(other)))
		err = -ESTALE;
	else if (other->f_op == &morsel_fops)
		err = list_differences(&file_morsel(req->file)->map, &file_morsel(other)->map,
				       &cursor);
	fput(other);
	args->list = cursor.list;
	return err;
}
