// SPDX-License-Identifier: GPL-2.0
/*
 * Viewers: those who have tablesets of their own, in which no more of a map is shown than they may have.
 *
 * Who shows something to a viewer, and who takes it out again, keeps others from doing so with the same one.
 */
#include <linux/err.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "map/map.h"

/* Sets whose viewers have gone are for those that come. */
static const struct map_viewer nobody;

/**
 * map_viewer_make() - see that a viewer has a tableset with some rights
 * @map:	the map
 * @viewer:	whose
 * @rights:	the rights
 * Return: the set; ERR_PTR(-ENOMEM), ERR_PTR(-EDQUOT).
 */
struct tableset *map_viewer_make(struct map *map, struct map_viewer *viewer,
				 enum morsel_rights rights)
{
	struct tableset *set = READ_ONCE(viewer->sets[rights]);

	while (!set) {
		set = map_viewer_set(map, &nobody, rights);
		if (!set)
			set = map_viewer_make_set(map, viewer, rights);
		else if (cmpxchg(&set->viewer, &nobody, viewer) != &nobody)
			set = NULL;
	}
	if (IS_ERR(set) || READ_ONCE(viewer->sets[rights]) == set)
		return set;
	/* Another thread may have got one at the same time: then this is for the next. */
	if (cmpxchg(&viewer->sets[rights], NULL, set)) {
		if (viewer->sets[rights] != set)
			WRITE_ONCE(set->viewer, &nobody);
		set = viewer->sets[rights];
	}
	return set;
}

/**
 * map_viewer_show() - show a part of a span to a viewer
 * @map:	the map
 * @set:	one of the viewer's
 * @first:	first page
 * @end:	page after the last
 * @write:	it may write that
 * @unused:	as for tableset_show()
 * Return: as that.
 */
int map_viewer_show(struct map *map, struct tableset *set, unsigned long first, unsigned long end,
		    bool write, bool unused)
{
	int err;

	/* So that none of it is being removed. */
	down_read(&map->sem);
	err = tableset_show(set, map->truth, first, end, write, unused);
	up_read(&map->sem);
	return err;
}

/* Change leaves of a part of a span in a viewer's tables, as far as they are to be; were there any? */
static bool change_span(struct map *map, struct map_viewer *viewer, unsigned long first,
			unsigned long end, bool protect, bool *huge, bool *comes_back)
{
	struct tableset *set;
	bool found = false;
	unsigned int i;

	down_read(&map->sem);
	for (i = 0; i < ARRAY_SIZE(viewer->sets); i++) {
		set = READ_ONCE(viewer->sets[i]);
		if (!set || (protect && !rights_write(set->rights)))
			continue;
		*huge |= tableset_has_huge(set, first / SPAN_PAGES);
		found |= protect ? tableset_protect(set, first, end)
				 : tableset_clear(set, first, end);
		*comes_back |= tableset_comes_back(set);
	}
	up_read(&map->sem);
	return found;
}

static bool change(struct map *map, struct map_viewer *viewer, unsigned long first,
		   unsigned long end, bool protect, bool *huge)
{
	bool comes_back = false;
	bool found = change_span(map, viewer, first, end, protect, huge, &comes_back);
	bool again = found;

	/* As who saw a small leaf may write it again, where that is so: until nobody can be left. */
	while (again && comes_back) {
		synchronize_rcu_expedited();
		again = change_span(map, viewer, first, end, protect, huge, &comes_back);
	}
	return found;
}

/**
 * map_viewer_clear() - take a part of a span out of a viewer's tables
 * @map:	the map
 * @viewer:	whose
 * @first:	first page
 * @end:	page after the last
 * @huge:	becomes true if a huge leaf was taken out, with all that it showed
 * Return: was there anything?
 */
bool map_viewer_clear(struct map *map, struct map_viewer *viewer, unsigned long first,
		      unsigned long end, bool *huge)
{
	return change(map, viewer, first, end, false, huge);
}

/**
 * map_viewer_protect() - have a viewer only read a part of a span
 * @map:	the map
 * @viewer:	which
 * @first:	first page
 * @end:	page after the last
 * @huge:	becomes true if there was a huge leaf; if it showed more than that, it was taken out
 *
 * It is to be flushed in any case: what is a leaf for reading may have become one without that.
 */
void map_viewer_protect(struct map *map, struct map_viewer *viewer, unsigned long first,
			unsigned long end, bool *huge)
{
	change(map, viewer, first, end, true, huge);
}

static bool any_set(struct map_viewer *viewer,
		    bool (*is_so)(const struct tableset *set, unsigned long where),
		    unsigned long where)
{
	struct tableset *set;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(viewer->sets); i++) {
		set = READ_ONCE(viewer->sets[i]);
		if (set && is_so(set, where))
			return true;
	}
	return false;
}

/**
 * map_viewer_used() - has a viewer used a page that it was shown as unused?
 * @viewer:	which
 * @index:	the page
 * Return: whether.
 */
bool map_viewer_used(struct map_viewer *viewer, unsigned long index)
{
	return any_set(viewer, tableset_used, index);
}

/**
 * map_viewer_blind() - show a viewer nothing any more
 * @map:	the map
 * @viewer:	whose
 */
void map_viewer_blind(struct map *map, struct map_viewer *viewer)
{
	unsigned long spans = map_spans(map), span, next;
	bool huge = false;

	for (span = 0; span < spans; span = next) {
		next = round_down(span, GIB_SPANS) + GIB_SPANS;
		if (!any_set(viewer, tableset_has_gib, span / GIB_SPANS))
			continue;
		next = span + 1;
		map_viewer_clear(map, viewer, span * SPAN_PAGES, next * SPAN_PAGES, &huge);
		cond_resched();
	}
}

/**
 * map_viewer_gone() - a viewer is no more
 * @map:	the map
 * @viewer:	which; no address space has anything of its tables
 */
void map_viewer_gone(struct map *map, struct map_viewer *viewer)
{
	struct tableset *set;
	unsigned int i;

	map_viewer_blind(map, viewer);
	for (i = 0; i < ARRAY_SIZE(viewer->sets); i++) {
		set = READ_ONCE(viewer->sets[i]);
		if (set)
			WRITE_ONCE(set->viewer, &nobody);
	}
}
