// SPDX-License-Identifier: GPL-2.0
/*
 * The plain view: everybody sees the same, at once.
 */
#include <linux/err.h>

#include "view/view.h"

static struct tableset *plain_tables(const struct view *view, enum morsel_rights rights)
{
	return tables_map_set(view->map, rights);
}

static int plain_show(struct view *view, enum morsel_rights rights, unsigned long first,
		      unsigned long end)
{
	struct tableset *set = tables_map_make_set(view->map, rights);

	return IS_ERR(set) ? PTR_ERR(set) : tables_map_show(view->map, set, first, end);
}

static int show_page(struct view *view, enum morsel_rights rights, unsigned long index)
{
	struct tableset *set = tables_map_make_set(view->map, rights);

	return IS_ERR(set) ? PTR_ERR(set) : tables_map_show_page(view->map, set, index);
}

/*
 * The gate and the frame are map_fill()'s; the leaf in the map's own tables comes with
 * the frame.
 */
static int plain_fault(struct view *view, enum morsel_rights rights, const struct mempolicy *policy,
		       unsigned long index, enum map_access access)
{
	struct map *map = view->map;
	int err;

	/* Also of what is there. */
	if (READ_ONCE(map->still))
		return -EBUSY;
	if (access != MAP_READ && READ_ONCE(map->shares))
		err = map_own(map, policy, index, access);
	else
		err = map_fill(map, policy, index);
	if (err || plain_tables(view, rights) == view->map->truth)
		return err;
	return show_page(view, rights, index);
}

static int plain_wait(struct view *view, unsigned long index, bool write, unsigned int state)
{
	return gate_wait_page(view->map, index);
}

static int plain_populate(struct view *view, const struct mempolicy *policy, unsigned long first,
			  unsigned long end, unsigned int state)
{
	return map_populate(view->map, policy, first, end, state);
}

static struct page *plain_page(struct view *view, unsigned long index, bool write)
{
	return map_page(view->map, index, write);
}

static void plain_hide(struct view *view, struct hidden *hidden)
{
	struct map *map = view->map;
	loff_t start = hidden->pos;

	map_remove(map, &hidden->pos, hidden->end, &hidden->frames, &hidden->dropped,
		   &hidden->first, &hidden->last);
	if (hidden->frames.nr_small)
		map->ops->settle(map, DIV_ROUND_UP(start, PAGE_SIZE), hidden->pos >> PAGE_SHIFT);
}

const struct view_ops plain_view_ops = {
	.tables = plain_tables,
	.show = plain_show,
	.fault = plain_fault,
	.wait = plain_wait,
	.populate = plain_populate,
	.page = plain_page,
	.hide = plain_hide,
};
