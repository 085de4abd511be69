// SPDX-License-Identifier: GPL-2.0
/*
 * How long a map is: it grows and shrinks, one change at a time.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "map/map.h"

/**
 * map_make_room() - give all tablesets of a map room
 * @map:	the map; nobody else changes its length meanwhile
 * @gibs:	for how much; they get twice as much as they had, so that the roots that they leave behind are few
 * Return: 0, -ENOMEM, -EDQUOT.
 */
int map_make_room(struct map *map, unsigned long gibs)
{
	struct table_root *root;
	struct tableset *set;

	for (set = READ_ONCE(map->sets); set; set = set->next) {
		if (tableset_gibs(set) >= gibs)
			continue;
		root = tableset_root_make(set, roundup_pow_of_two(gibs));
		if (IS_ERR(root))
			return PTR_ERR(root);
		down_write(&map->sem);
		tableset_grow(set, root);
		up_write(&map->sem);
	}
	return 0;
}

static bool sets_have_room(const struct map *map, unsigned long gibs)
{
	const struct tableset *set;

	for (set = READ_ONCE(map->sets); set; set = set->next)
		if (tableset_gibs(set) < gibs)
			return false;
	return true;
}

/**
 * map_end_tail() - what was behind a map's end has been removed
 * @map: the map
 *
 * But for a huge frame that could not be cut, and lies across the end: then its tail is that.
 */
void map_end_tail(struct map *map)
{
	unsigned long end = round_up(map->pages, SPAN_PAGES);
	bool across = end > map->pages && map->ops->look(map, map->pages).present;

	map->tail = across ? end : map->pages;
}

/**
 * map_grow() - have a map be longer
 * @map:	the map; nobody else changes its length meanwhile, and nothing is left behind its
 *		end (map_shrink())
 * @pages:	how many pages it is to have
 * Return: 0; -ENOMEM, -EDQUOT, and nothing has changed.
 */
int map_grow(struct map *map, unsigned long pages)
{
	unsigned long gibs = DIV_ROUND_UP(pages, GIB_PAGES);
	bool done;
	int err;

	do {
		err = map_make_room(map, gibs);
		if (err)
			return err;
		/* None is added meanwhile (tables_map_make_set()). */
		down_write(&map->sem);
		done = sets_have_room(map, gibs);
		if (done) {
			/* The room before the pages; pairs with map_pages(). */
			smp_store_release(&map->pages, pages);
		}
		up_write(&map->sem);
	} while (!done);
	map_end_tail(map);
	return 0;
}

/**
 * map_shrink() - have a map be shorter
 * @map:	as above
 * @pages:	how many pages it is to have
 *
 * Nobody adds frames behind its end any more when it returns; those that are there, up to
 * @map->tail, are still to be removed, before it may grow.
 */
void map_shrink(struct map *map, unsigned long pages)
{
	down_write(&map->sem);
	map->tail = max(map->tail, map->pages);
	WRITE_ONCE(map->pages, pages);
	up_write(&map->sem);
}

/**
 * map_cut_begin() - frames are about to be hidden that come back
 * @map: the map, whose length nobody else changes meanwhile
 */
void map_cut_begin(struct map *map)
{
	WRITE_ONCE(map->cuts, map->cuts + 1);
	/* Before the leaves go; pairs with map_look(). */
	smp_mb();
}

/**
 * map_cut_end() - they are back
 * @map: the map
 */
void map_cut_end(struct map *map)
{
	/* The leaves before this; pairs with map_look(). */
	smp_store_release(&map->cuts, map->cuts + 1);
	wake_up_all(&map->gate.opened);
}

static int replace(struct map *map, unsigned long first, unsigned long end, u64 frame)
{
	u64 *frames = kmalloc_array(end - first, sizeof(*frames), GFP_KERNEL);
	int err;

	if (!frames)
		return -ENOMEM;
	err = map_copy_small(map, NULL, frame, end - first, frames);
	if (!err) {
		down_read(&map->sem);
		/* The span is closed, so all of them come in, or none. */
		err = map->ops->add(map, first, end, 0, frames, end - first);
		up_read(&map->sem);
		if (err < 0)
			map_give_unused(map, 0, end - first, frames);
	}
	kfree(frames);
	return min(err, 0);
}

/* Who reads or writes by a call has a frame for a part of a ms, and comes no more while it is hidden. */
#define PASSING_LOOKS 20

/* Has somebody a frame, and keeps it? */
static bool stays_pinned(u64 frame, unsigned int order)
{
	unsigned int look;

	for (look = 0; look < PASSING_LOOKS && frame_pinned(frame, order); look++)
		usleep_range(50, 100);
	return frame_pinned(frame, order);
}

/**
 * map_cut() - have small frames in place of the first pages of a huge one, and nothing of the rest
 * @map:	the map, whose gate is closed there
 * @batch:	that frame alone, which was removed, and nobody can reach but by a pin; or nothing;
 *		empty when it returns
 * @end:	page after the last that is to stay, within the frame's span
 *
 * A frame that is pinned stays, as who has it pinned writes to it; so does one whose memory has
 * failed.
 * Return: 0; -EBUSY, -ENOMEM, -EDQUOT: the huge frame is back.
 */
int map_cut(struct map *map, struct frame_batch *batch, unsigned long end)
{
	unsigned long first = round_down(end, SPAN_PAGES);
	struct batch_walk walk = batch_walk(batch);
	unsigned int order;
	u64 frame;
	int err = -EBUSY;

	if (!batch_next(&walk, &order, &frame))
		return 0;
	if (!stays_pinned(frame, order) && !frame_bad(frame, order))
		err = replace(map, first, end, frame);
	if (!err) {
		map_give(map, batch);
		return 0;
	}
	down_read(&map->sem);
	map->ops->put_back(map, first, frame);
	up_read(&map->sem);
	batch_forget(batch);
	return err;
}
