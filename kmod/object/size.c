// SPDX-License-Identifier: GPL-2.0
/*
 * A morsel's size: it grows and shrinks as files do.
 *
 * The size is that of the inode, in bytes; the map has whole pages, or huge frames where there are
 * no others.  Both are changed with the inode's lock held for writing.  While somebody writes
 * behind the end, the map reaches farther than the size.
 */
#include <linux/fs.h>
#include <linux/workqueue.h>

#include "attach/attach.h"
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
		map->tail = map->pages;
	return err;
}

/* What was left to do when who shrank a morsel was killed. */
static void finish(struct work_struct *work)
{
	struct morsel *m = container_of(work, struct morsel, finish);

	inode_lock(&m->inode);
	drop_tail(m, map_end(m));
	inode_unlock(&m->inode);
	iput(&m->inode);
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
	if (!queue_work(finisher, &m->finish))
		iput(&m->inode);
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
	unsigned long pages = pages_of(m, size);
	loff_t end = map_end(m);
	int err = drop_tail(m, end);

	if (!err && pages > map_pages(&m->map))
		err = map_grow(&m->map, pages);
	if (!err)
		map_zero(&m->map, i_size_read(&m->inode), min(end, size));
	return err;
}

/**
 * morsel_settle_size() - have the size be what it came to, and the map end there
 * @m:		the morsel, with the inode's lock held for writing
 * @size:	in bytes; the map reaches as far
 */
void morsel_settle_size(struct morsel *m, loff_t size)
{
	unsigned long pages = pages_of(m, size);

	i_size_write(&m->inode, size);
	if (pages == map_pages(&m->map))
		return;
	/* Without memory for that, pages behind the end can be touched, and are zero. */
	if (pages % SPAN_PAGES)
		morsel_cut(m, pages);
	map_shrink(&m->map, pages);
	if (drop_tail(m, size))
		finish_later(m);
}

static int shrink(struct morsel *m, loff_t size)
{
	unsigned long pages = pages_of(m, size);
	int err = pages % SPAN_PAGES ? morsel_cut(m, pages) : 0;

	if (err)
		return err;
	/* So that who reads does not find zeros within the size. */
	i_size_write(&m->inode, size);
	map_shrink(&m->map, pages);
	if (drop_tail(m, size))
		finish_later(m);
	return 0;
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

	if (size < i_size_read(&m->inode))
		return shrink(m, size);
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
