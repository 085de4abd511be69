// SPDX-License-Identifier: GPL-2.0
/*
 * A morsel's size: it grows and shrinks as files do.
 *
 * The size is that of the inode, in bytes; the map has whole pages, or huge frames where there are
 * no others.  Both are changed with the inode's lock held for writing.  While somebody writes
 * behind the end, the map reaches farther than the size.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "attach/attach.h"
#include "object/mount.h"
#include "object/object.h"

static struct workqueue_struct *finisher;

static unsigned long pages_of(const struct morsel *m, loff_t size)
{
	unsigned long pages = DIV_ROUND_UP_ULL(size, PAGE_SIZE);

	return m->map.granule == MORSEL_GRANULE_2M ? round_up(pages, SPAN_PAGES) : pages;
}

static loff_t map_end(const struct morsel *m)
{
	return (loff_t)map_pages(&m->map) << PAGE_SHIFT;
}

/*
 * Give back what frames there are behind the end, clearing what is of the last one from byte
 * @from on.  -EINTR: a fatal signal came in; then not all.
 */
static int drop_tail(struct morsel *m, loff_t from)
{
	struct map *map = &m->map;
	loff_t end = (loff_t)map->tail << PAGE_SHIFT;
	int err = from < end ? morsel_truncate(m, from, end) : 0;

	if (!err)
		map_end_tail(map);
	return err;
}

/* What was left to do when who shrank a morsel was killed. */
static void finish(struct work_struct *work)
{
	struct morsel *m = container_of(work, struct morsel, finish);

	inode_lock(&m->inode);
	drop_tail(m, map_end(m));
	inode_unlock(&m->inode);
	morsel_release(m);
}

/**
 * morsel_size_begin() - the size that a new morsel has
 * @m:		the morsel, with its granule, but no map yet
 * @size:	in bytes
 */
void morsel_size_begin(struct morsel *m, loff_t size)
{
	INIT_WORK(&m->finish, finish);
	i_size_write(&m->inode, size);
	m->map.pages = pages_of(m, size);
}

/* Have what is behind the end given back by somebody who is not being killed. */
static void finish_later(struct morsel *m)
{
	ihold(&m->inode);
	/* The caller holds it, so it is not going. */
	morsel_hold_fs(m->inode.i_sb);
	if (!queue_work(finisher, &m->finish))
		morsel_release(m);
}

/* Have the map be longer; what was promised behind its end before it became shorter is no more. */
static int grow(struct morsel *m, unsigned long before, unsigned long pages)
{
	int err = map_unreserve(&m->map, before, ULONG_MAX) ?: map_grow(&m->map, pages);

	if (err || !m->reserves)
		return err;
	err = morsel_reserve(m, before, pages, TASK_KILLABLE);
	if (err)
		morsel_settle_size(m, i_size_read(&m->inode));
	return err;
}

/**
 * morsel_drop_tail() - see that nothing is left behind the end
 * @m: the morsel, with the inode's lock held for writing
 * Return: 0; -ENOMEM, -EDQUOT, -EIO, -EINTR (a fatal signal).
 */
int morsel_drop_tail(struct morsel *m)
{
	return drop_tail(m, map_end(m));
}

/**
 * morsel_reach() - have the map reach farther than the size, so that it can be written there
 * @m:		the morsel, with the inode's lock held for writing
 * @size:	how far, in bytes
 *
 * What is behind the end of the last page's contents, where mappings may have left something,
 * reads as zero from here on.
 * Return: 0; -ENOMEM, -EDQUOT, -EINTR (a fatal signal).
 */
int morsel_reach(struct morsel *m, loff_t size)
{
	unsigned long pages = pages_of(m, size), before = map_pages(&m->map);
	loff_t end = map_end(m);
	int err = drop_tail(m, end) ?: map_zero(&m->map, i_size_read(&m->inode), min(end, size));

	return err || pages <= before ? err : grow(m, before, pages);
}

/* So often it is tried to cut a frame that is pinned, with some ms in between. */
#define CUTS 5

/*
 * Have a huge frame not lie across the end.  Where that cannot be, pages behind the end can be touched
 * in mappings, up to the next 2 MiB, as where the kernel cannot split a page of tmpfs; they are
 * cleared before the morsel grows.
 */
static void cut_at_end(struct morsel *m, unsigned long pages)
{
	unsigned int tries;

	if (!(pages % SPAN_PAGES) || !map_may_cut(&m->map, pages))
		return;
	for (tries = 1; morsel_cut(m, pages) == -EBUSY && tries < CUTS; tries++)
		if (schedule_timeout_killable(msecs_to_jiffies(1 << tries)))
			break;
}

/**
 * morsel_settle_size() - have the size be what it came to, and the map end there
 * @m:		the morsel, with the inode's lock held for writing
 * @size:	in bytes; the map reaches as far
 */
void morsel_settle_size(struct morsel *m, loff_t size)
{
	unsigned long pages = pages_of(m, size);
	bool shorter = size < i_size_read(&m->inode);

	/* First, so that who reads finds no zeros within it. */
	i_size_write(&m->inode, size);
	if (pages < map_pages(&m->map)) {
		map_shrink(&m->map, pages);
		/* Else when it grows again. */
		map_unreserve(&m->map, pages, ULONG_MAX);
		cut_at_end(m, pages);
	} else if (!shorter) {
		return;
	}
	if (drop_tail(m, size))
		finish_later(m);
}

/**
 * morsel_resize() - truncate(2)
 * @m:		the morsel, with the inode's lock held for writing
 * @size:	the new size in bytes, which is not too large
 * Return: 0; -ENOMEM, -EDQUOT, -EINTR (a fatal signal), and nothing has changed.
 */
int morsel_resize(struct morsel *m, loff_t size)
{
	int err;

	if (size < i_size_read(&m->inode)) {
		morsel_settle_size(m, size);
		return 0;
	}
	err = morsel_reach(m, size);
	if (!err)
		i_size_write(&m->inode, size);
	return err;
}

/**
 * morsel_size_init() - what all morsels share
 * Return: 0 or -ENOMEM.
 */
int morsel_size_init(void)
{
	finisher = alloc_workqueue("morsel-size", WQ_UNBOUND, 0);
	return finisher ? 0 : -ENOMEM;
}

/**
 * morsel_size_exit() - no morsel is left, but who let go of the last one may not be back
 */
void morsel_size_exit(void)
{
	destroy_workqueue(finisher);
}
