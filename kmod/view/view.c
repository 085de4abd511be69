// SPDX-License-Identifier: GPL-2.0
/*
 * What is the same for views of any kind.
 */
#include "view/view.h"

/**
 * view_close() - begin to take a range away
 * @view:	the view
 * @hidden:	gets what is to be hidden: all of it
 * @start:	first byte
 * @end:	byte after the last
 *
 * Nobody fills the range until view_open().
 */
void view_close(struct view *view, struct hidden *hidden, loff_t start, loff_t end)
{
	hidden->pos = start;
	hidden->end = end;
	batch_init(&hidden->frames);
	gate_close(view->map, &hidden->range, start >> PAGE_SHIFT, DIV_ROUND_UP(end, PAGE_SIZE));
}

/**
 * view_open() - end what view_close() began
 * @view:	the view
 * @hidden:	that
 */
void view_open(struct view *view, struct hidden *hidden)
{
	gate_open(view->map, &hidden->range);
}

/**
 * view_discard() - the act of a punch: what was hidden goes back to its pool
 * @view:	the view
 * @hidden:	what was hidden, and is seen by nobody any more
 */
void view_discard(struct view *view, struct hidden *hidden)
{
	map_give(view->map, &hidden->frames);
}
