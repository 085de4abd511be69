// SPDX-License-Identifier: GPL-2.0
/*
 * How long a map is: it grows and shrinks, one change at a time.
 */
#include <linux/err.h>
#include <linux/log2.h>

#include "map/map.h"

/* Give all sets room, twice as much as they had, so that the roots that they leave behind are few. */
static int grow_sets(struct map *map, unsigned long gibs)
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
		err = grow_sets(map, gibs);
		if (err)
			return err;
		/* None is added meanwhile (tables_map_make_set()). */
		down_write(&map->sem);
		done = sets_have_room(map, gibs);
		if (done) {
			/* The room before the pages; pairs with map_pages(). */
			smp_store_release(&map->pages, pages);
			map->tail = pages;
		}
		up_write(&map->sem);
	} while (!done);
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
