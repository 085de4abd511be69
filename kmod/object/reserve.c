// SPDX-License-Identifier: GPL-2.0
/*
 * Promises: parts of a morsel that have their memory, and keep it until they are released or cut
 * off.
 *
 * Where a hole is punched in them, they are cleared.
 */
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>

#include "attach/attach.h"
#include "object/object.h"

/*
 * What cannot be is not to be tried, as it would take all that others could have: -ENOMEM, -EDQUOT.
 * Some of it may be there already.
 */
static int may_fit(struct morsel *m, unsigned long pages)
{
	unsigned long there = atomic_long_read(&m->map.small) +
			      (atomic_long_read(&m->map.huge) << HUGE_ORDER);

	return pages > there ? source_lacks(m->map.source, pages - there) : 0;
}

/**
 * morsel_fill() - fill a part that is about to be reserved
 * @m:		the morsel
 * @first:	first page
 * @end:	page after the last, at most the map's
 * @state:	which signals end it, as of view_populate()
 *
 * It may be punched again, unless the inode's lock is held.
 * Return: 0; -ENOMEM, -EDQUOT, -EINTR.
 */
int morsel_fill(struct morsel *m, unsigned long first, unsigned long end, unsigned int state)
{
	int err = may_fit(m, end - first);

	if (err && map_wait(&m->map, err))
		err = may_fit(m, end - first);
	return err ?: view_populate(&m->plain, first, end, state);
}

/**
 * morsel_reserve() - have a part be reserved
 * @m:		the morsel, with the inode's lock held for writing, or nobody else has it yet
 * @first:	as for morsel_fill(), as are the next two
 * @end:	page after the last
 * @state:	which signals end it
 * Return: 0; -ENOMEM, -EDQUOT, -EINTR: what was filled by then stays, and so do promises.
 */
int morsel_reserve(struct morsel *m, unsigned long first, unsigned long end, unsigned int state)
{
	int err = morsel_fill(m, first, end, state);

	if (err)
		return err;
	err = map_reserve(&m->map, first, end);
	/* What is done by then is passed over. */
	if (err && map_wait(&m->map, err))
		err = map_reserve(&m->map, first, end);
	return err;
}

/**
 * morsel_unreserve() - release a part; it keeps its memory until that is punched
 * @m:		the morsel, with the inode's lock held for writing
 * @first:	first page
 * @end:	page after the last; of the whole morsel, it will not be reserved as it grows, either
 * Return: 0 or -ENOMEM, and nothing has changed.
 */
int morsel_unreserve(struct morsel *m, unsigned long first, unsigned long end)
{
	int err = map_unreserve(&m->map, first, end);

	if (!err && !first && end >= map_pages(&m->map))
		m->reserves = false;
	return err;
}

/* Clear a part, a span at a time. */
static int clear(struct morsel *m, loff_t start, loff_t end)
{
	loff_t next;
	int err;

	for (; start < end; start = next) {
		if (fatal_signal_pending(current))
			return -EINTR;
		next = min(end, round_down(start, (loff_t)PMD_SIZE) + (loff_t)PMD_SIZE);
		err = map_zero(&m->map, start, next);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/**
 * morsel_punch() - have a part read as zeros, and give back what memory of it is not reserved
 * @m:		the morsel, with the inode's lock held
 * @start:	first byte
 * @end:	byte after the last
 * Return: 0; -EINTR (a fatal signal): what is punched by then stays so.
 */
int morsel_punch(struct morsel *m, loff_t start, loff_t end)
{
	unsigned long index;
	bool reserved;
	loff_t next;
	int err = 0;

	for (; start < end && !err; start = next) {
		reserved = map_is_reserved(&m->map, start >> PAGE_SHIFT, &index);
		next = index < end >> PAGE_SHIFT ? (loff_t)index << PAGE_SHIFT : end;
		err = reserved ? clear(m, start, next)
			       : morsel_revoke(m, start, next, view_discard);
	}
	return err;
}
