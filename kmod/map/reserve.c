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

	for (index = first; index < end; index = next) {
		if (map_is_reserved(map, index, &next))
			count += min(next, end) - index;
		cond_resched();
	}
	return count;
}

/**
 * map_has_reserved() - is anything of a range reserved?
 * @map:	the map
 * @first:	first page
 * @end:	page after the last
 * Return: whether.
 */
bool map_has_reserved(struct map *map, unsigned long first, unsigned long end)
{
	unsigned long next;

	return !mtree_empty(&map->reserved) && (map_is_reserved(map, first, &next) || next < end);
}

/* Have a range reach over what is reserved on both sides of it, so that few entries say all. */
static void widen(struct map *map, unsigned long *first, unsigned long *end)
{
	MA_STATE(mas, &map->reserved, *first ? *first - 1 : 0, *first ? *first - 1 : 0);
	unsigned long next;

	rcu_read_lock();
	if (mas_find(&mas, ULONG_MAX) && mas.index < *first)
		*first = mas.index;
	rcu_read_unlock();
	if (map_is_reserved(map, *end, &next))
		*end = next;
}

static int mark(struct map *map, unsigned long first, unsigned long end, bool reserved)
{
	unsigned long before = reserved_in(map, first, end), pages = end - first;
	int err;

	if (reserved)
		widen(map, &first, &end);
	err = mtree_store_range(&map->reserved, first, end - 1, reserved ? map : NULL,
				GFP_KERNEL_ACCOUNT);
	if (!err)
		WRITE_ONCE(map->nr_reserved, map->nr_reserved - before + (reserved ? pages : 0));
	return err;
}

/* See that all mappings that there are, with whatever rights, show a range that is filled. */
static int show_to_all(struct map *map, unsigned long first, unsigned long end)
{
	struct tableset *set;
	unsigned int rights;
	int err = 0;

	for (rights = 0; rights < BITS_PER_BYTE * sizeof(map->rights) && !err; rights++) {
		if (!test_bit(rights, &map->rights))
			continue;
		set = tables_map_make_set(map, rights);
		err = IS_ERR(set) ? PTR_ERR(set) : tables_map_prepare(map, set, first, end);
	}
	return err;
}

/**
 * map_reserve() - have pages be reserved that are filled
 * @map:	the map; nobody removes frames, or changes what is reserved, meanwhile
 * @first:	first page
 * @end:	page after the last
 * Return: 0; -ENOMEM, -EDQUOT, -EINTR (a fatal signal), -EIO (what others have, too, has failed): not
 * all of it is.
 */
int map_reserve(struct map *map, unsigned long first, unsigned long end)
{
	unsigned long next;
	bool already;
	int err;

	/* To write it takes no memory, either. */
	err = map_own_frames(map, (loff_t)first << PAGE_SHIFT, (loff_t)end << PAGE_SHIFT);
	for (; first < end && !err; first = next) {
		already = map_is_reserved(map, first, &next);
		next = min(next, end);
		if (!already)
			err = mark(map, first, next, true);
		if (err)
			break;
		/* Who maps it with other rights from here on sees that; pairs with map_show_reserved(). */
		smp_mb();
		err = show_to_all(map, first, next);
		if (err && !already)
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
 * map_show_reserved() - see that what is reserved of a range is shown with some rights, now and as
 * more is reserved
 * @map:	the map
 * @rights:	the rights
 * @first:	first page
 * @end:	page after the last
 * Return: 0, -ENOMEM, -EDQUOT, or -EINTR (a fatal signal).
 */
int map_show_reserved(struct map *map, enum morsel_rights rights, unsigned long first,
		      unsigned long end)
{
	struct tableset *set;
	unsigned long next;
	int err = 0;

	if (!test_bit(rights, &map->rights))
		set_bit(rights, &map->rights);
	/* Before it is looked what is reserved; pairs with map_reserve(). */
	smp_mb();
	if (mtree_empty(&map->reserved))
		return 0;
	set = tables_map_make_set(map, rights);
	if (IS_ERR(set))
		return PTR_ERR(set);
	for (; first < end && !err; first = next)
		if (map_is_reserved(map, first, &next))
			err = tables_map_prepare(map, set, first, min(next, end));
	return err;
}

/**
 * map_may_cut() - may a huge frame across the end be replaced by small ones?
 * @map:	the map
 * @end:	page after the last that stays
 *
 * They take tables in all sets, which there may be no memory for where they are wanted.
 * Return: whether: nothing of it that stays is reserved, and shown by others than the truth.
 */
bool map_may_cut(struct map *map, unsigned long end)
{
	return READ_ONCE(map->sets) == map->truth ||
	       !reserved_in(map, round_down(end, SPAN_PAGES), end);
}

/**
 * map_copy_reserved() - have as much of another map be reserved
 * @map:	the map; nobody changes what is reserved
 * @heir:	the other one, which is to have what there is of it
 * Return: 0; -ENOMEM.
 */
int map_copy_reserved(struct map *map, struct map *heir)
{
	unsigned long index, next, end = map_pages(map);
	int err = 0;

	for (index = 0; index < end && !err; index = next) {
		bool reserved = map_is_reserved(map, index, &next);

		next = min(next, end);
		if (reserved)
			err = mark(heir, index, next, true);
	}
	return err;
}
