// SPDX-License-Identifier: GPL-2.0
/*
 * Comparing maps: where one has what another has not.
 */
#include <linux/minmax.h>
#include <linux/rwsem.h>

#include "map/map.h"
#include "morsel_ioctl.h"

/* One map at a time: who waits for one is not to hold another. */
static struct page *frozen(struct map *map, unsigned long index, bool ptes)
{
	struct page *table;

	down_read(&map->sem);
	table = tableset_frozen(map->truth, index / SPAN_PAGES, ptes);
	up_read(&map->sem);
	return table;
}

static bool same_table(struct map *map, struct map *other, unsigned long index, bool ptes)
{
	struct page *table = frozen(map, index, ptes);

	return table && table == frozen(other, index, ptes);
}

/* What is there, as of some moment; behind the end there is a hole without end. */
static struct leaf look(struct map *map, unsigned long index, unsigned long *end)
{
	struct leaf leaf = {};

	*end = ULONG_MAX;
	if (index >= map_pages(map))
		return leaf;
	leaf = map_look(map, index);
	*end = min(leaf_end(&leaf, index), map_pages(map));
	return leaf;
}

/**
 * map_compare() - have two maps the same from a page on?
 * @map:	one
 * @other:	the other
 * @index:	the page
 * @end:	gets the page after the last of which the same is true, or ULONG_MAX
 *
 * As frames tell, not bytes; what both share is passed over by tables.  What changes meanwhile is told as it is at
 * some moment.
 * Return: MORSEL_DIFF_HERE: the first has a frame, MORSEL_DIFF_THERE: the other has, and not the same; 0: there is no
 * difference.
 */
unsigned int map_compare(struct map *map, struct map *other, unsigned long index,
			 unsigned long *end)
{
	unsigned long here_end, there_end, both = min(map_pages(map), map_pages(other));
	struct leaf here, there;

	if (index < both && !(index % GIB_PAGES) && same_table(map, other, index, false)) {
		*end = min(index + GIB_PAGES, both);
		return 0;
	}
	if (index < both && !(index % SPAN_PAGES) && same_table(map, other, index, true)) {
		*end = min(index + SPAN_PAGES, both);
		return 0;
	}
	here = look(map, index, &here_end);
	there = look(other, index, &there_end);
	*end = min(here_end, there_end);
	if (here.present && there.present && leaf_frame(&here, index) == leaf_frame(&there, index))
		return 0;
	return (here.present ? MORSEL_DIFF_HERE : 0) | (there.present ? MORSEL_DIFF_THERE : 0);
}
