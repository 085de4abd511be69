// SPDX-License-Identifier: GPL-2.0
/*
 * What is reserved: parts of a map that keep their frames, so that to touch them never fails for
 * want of memory.
 *
 * They are filled, in the tables of all rights that there are, before they are said to be reserved;
 * who punches them clears them instead (morsel_punch()).
 */
#include <linux/err.h>
#include <linux/maple_tree.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "map/map.h"

/**
 * map_reserve_init() - begin with nothing reserved
 * @map: the map
 */
void map_reserve_init(struct map *map)
{
	/* Who maps it looks without the inode's lock. */
	mt_init_flags(&map->reserved, MT_FLAGS_USE_RCU);
}

/**
 * map_reserve_exit() - forget what was reserved
 * @map: the map, which nobody uses any more
 */
void map_reserve_exit(struct map *map)
{
	mtree_destroy(&map->reserved);
}

/**
 * map_is_reserved() - is a page reserved?
 * @map:	the map
 * @index:	the page
 * @end:	gets the page after the last of which the same is true
 * Return: whether.
 */
bool map_is_reserved(struct map *map, unsigned long index, unsigned long *end)
{
	MA_STATE(mas, &map->reserved, index, index);
	bool reserved = false;

	*end = ULONG_MAX;
	rcu_read_lock();
	if (mas_find(&mas, ULONG_MAX)) {
		reserved = mas.index <= index;
		*end = reserved ? mas.last + 1 : mas.index;
	}
	rcu_read_unlock();
	return reserved;
}

/* How many pages of a range are reserved? */
static unsigned long reserved_in(struct map *map, unsigned long first, unsigned long end)
{
	unsigned long index, next, count = 0;

	for (index = first; index < end; index = next)
		if (map_is_reserved(map, index, &next))
			count += min(next, end) - index;
	return count;
}

static int mark(struct map *map, unsigned long first, unsigned long end, bool reserved)
{
	unsigned long before = reserved_in(map, first, end);
	int err = mtree_store_range(&map->reserved, first, end - 1, reserved ? map : NULL,
				    GFP_KERNEL_ACCOUNT);

	if (!err)
		WRITE_ONCE(map->nr_reserved,
			   map->nr_reserved - before + (reserved ? end - first : 0));
	return err;
}

/* See that a tableset shows all of a range, however much that is. */
static int show_all(struct map *map, struct tableset *set, unsigned long first, unsigned long end)
{
	unsigned long span, next;
	int err = 0;

	for (span = first / SPAN_PAGES; span < DIV_ROUND_UP(end, SPAN_PAGES) && !err; span = next) {
		next = min(DIV_ROUND_UP(end, SPAN_PAGES), (span / GIB_SPANS + 1) * GIB_SPANS);
		err = tables_map_show(map, set, span, next);
		cond_resched();
	}
	return err;
}

/**
 * map_reserve() - have pages be reserved that are filled
 * @map:	the map; nobody removes frames, or changes what is reserved, meanwhile
 * @first:	first page
 * @end:	page after the last
 * Return: 0; -ENOMEM, -EDQUOT: not all of it is.
 */
int map_reserve(struct map *map, unsigned long first, unsigned long end)
{
	struct tableset *set;
	unsigned long next;
	int err = 0;

	for (; first < end && !err; first = next) {
		if (map_is_reserved(map, first, &next))
			continue;
		next = min(next, end);
		err = mark(map, first, next, true);
		if (err)
			break;
		/* Who makes a set from here on sees that; pairs with tables_map_make_set(). */
		smp_mb();
		for (set = READ_ONCE(map->sets); set && !err; set = set->next)
			err = show_all(map, set, first, next);
		if (err)
			mark(map, first, next, false);
	}
	return err;
}

/**
 * map_unreserve() - have pages be reserved no more
 * @map:	the map; nobody else changes what is reserved meanwhile
 * @first:	first page
 * @end:	page after the last
 * Return: 0; -ENOMEM, and nothing has changed.
 */
int map_unreserve(struct map *map, unsigned long first, unsigned long end)
{
	return mtree_empty(&map->reserved) || first >= end ? 0 : mark(map, first, end, false);
}

/**
 * map_show_reserved() - see that what is reserved of a range is shown with some rights
 * @map:	the map
 * @rights:	the rights
 * @first:	first page
 * @end:	page after the last
 * Return: 0, -ENOMEM or -EDQUOT.
 */
int map_show_reserved(struct map *map, enum morsel_rights rights, unsigned long first,
		      unsigned long end)
{
	struct tableset *set;
	unsigned long next;
	int err = 0;

	if (mtree_empty(&map->reserved))
		return 0;
	set = tables_map_make_set(map, rights);
	if (IS_ERR(set))
		return PTR_ERR(set);
	for (; first < end && !err; first = next)
		if (map_is_reserved(map, first, &next))
			err = show_all(map, set, first, min(next, end));
	return err;
}
