// SPDX-License-Identifier: GPL-2.0
/*
 * What is the same for views of any kind.
 */
#include <linux/err.h>
#include <linux/highmem.h>

#include "view/view.h"

/**
 * view_ended() - for view_waits(), before a page is asked for
 * @view: the view
 * Return: a number.
 */
unsigned long view_ended(const struct view *view)
{
	return map_ended(view->map);
}

/**
 * view_waits() - may waiting help after asking for a page failed?
 * @view:	the view
 * @err:	how
 * @ended:	view_ended() before that
 * Return: whether.
 */
bool view_waits(const struct view *view, int err, unsigned long ended)
{
	return err == -EBUSY || map_waits(view->map, err, ended);
}

/**
 * view_wait() - wait as view_waits() says
 * @view:	the view
 * @index:	the page
 * @err:	as there
 * @write:	it is to be written
 * @state:	as view_ops.wait has it
 *
 * For memory, with no locks held that others wait for.
 * Return: is it worth asking again?  No: a signal is there, or it is refused.
 */
bool view_wait(struct view *view, unsigned long index, int err, bool write, unsigned int state)
{
	return err == -EBUSY ? !view->ops->wait(view, index, write, state)
			     : map_wait(view->map, err);
}

/**
 * view_populate() - have a view populate, once more after waiting for what may make room
 * @view:	the view
 * @first:	as for view_ops.populate, as are the next two
 * @end:	page after the last
 * @state:	which signals end it
 *
 * Not with locks held that others wait for.
 * Return: as view_ops.populate.
 */
int view_populate(struct view *view, unsigned long first, unsigned long end, unsigned int state)
{
	int err = view->ops->populate(view, NULL, first, end, state);

	/* What is there by then is passed over. */
	if (err && map_wait(view->map, err))
		err = view->ops->populate(view, NULL, first, end, state);
	return err;
}

/**
 * view_show_reserved() - see that a view shows what is reserved, with some rights
 * @view:	the view
 * @rights:	the rights
 * @first:	first page
 * @end:	page after the last
 * Return: 0, -ENOMEM or -EDQUOT.
 */
int view_show_reserved(struct view *view, enum morsel_rights rights, unsigned long first,
		       unsigned long end)
{
	/* Of what exclusive views show, nothing is. */
	return view->ops->exclusive ? 0 : map_show_reserved(view->map, rights, first, end);
}

/**
 * view_copy() - read or write bytes of a page, for the kernel
 * @view:	the view
 * @index:	the page
 * @offset:	where in it
 * @buf:	gets these, or has them
 * @len:	how many; not more than there are in the page
 * @write:	which of both
 *
 * Reading a hole does not fill it, and does not wait.
 * Return: how many were copied; what view_ops.page() returns.
 */
int view_copy(struct view *view, unsigned long index, size_t offset, void *buf, size_t len,
	      bool write)
{
	struct page *page = view->ops->page(view, index, write);

	if (IS_ERR(page))
		return PTR_ERR(page);
	len = min(len, PAGE_SIZE - offset);
	if (write)
		memcpy_to_page(page, offset, buf, len);
	else if (page)
		memcpy_from_page(buf, page, offset, len);
	else
		memset(buf, 0, len);
	if (page)
		map_put_page(page);
	return len;
}

/**
 * view_close() - begin to take a range away
 * @view:	the view
 * @hidden:	gets what is to be hidden: all of it
 * @start:	first byte
 * @end:	byte after the last
 *
 * Nobody fills the range until view_open().
 * Return: 0; -EINTR: a fatal signal, and nothing is closed.
 */
int view_close(struct view *view, struct hidden *hidden, loff_t start, loff_t end)
{
	hidden->pos = start;
	hidden->end = end;
	batch_init(&hidden->frames);
	INIT_LIST_HEAD(&hidden->dropped);
	return gate_close(view->map, &hidden->range, start >> PAGE_SHIFT,
			  DIV_ROUND_UP(end, PAGE_SIZE));
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
	map_give_dropped(view->map, &hidden->dropped);
}

/**
 * view_peek() - take a reference to what is behind a page, if it is there now
 * @view:	the view
 * @index:	the page
 * Return: the page, to be given back by view_put_page(); NULL: there is none, or it is being taken
 * away, for which this does not wait.
 */
struct page *view_peek(struct view *view, unsigned long index)
{
	return map_peek(view->map, index);
}

/**
 * view_put_page() - give back what view_peek() returned
 * @page: the page
 */
void view_put_page(struct page *page)
{
	map_put_page(page);
}

/**
 * view_keep_pages() - what is behind a range now, and stays until view_let_go()
 * @view:	the view
 * @first:	first page
 * @count:	how many
 * @pages:	gets them; NULL: there is none, or it is being taken away
 *
 * Who takes pages away waits meanwhile, before it hides them.
 */
void view_keep_pages(struct view *view, unsigned long first, unsigned int count,
		     struct page **pages)
{
	map_keep_pages(view->map, first, count, pages);
}

/**
 * view_let_go() - end what view_keep_pages() began
 * @view: the view
 */
void view_let_go(struct view *view)
{
	map_let_go(view->map);
}

/**
 * view_shows() - is a page what the view shows?
 * @view:	the view
 * @index:	where in the morsel
 * @page:	the page
 * Return: whether; while the page's lock is held, who takes it away waits before it acts
 * (view_wait_mappers()).
 */
bool view_shows(const struct view *view, unsigned long index, const struct page *page)
{
	struct leaf leaf = view->map->ops->look(view->map, index);

	return leaf.present && frame_page(leaf_frame(&leaf, index)) == page;
}

/**
 * view_wait_mappers() - wait for who is about to map pages that were hidden, one by one
 * @view:	the view
 * @hidden:	these; nobody else will
 */
void view_wait_mappers(struct view *view, const struct hidden *hidden)
{
	map_wait_mappers(view->map, &hidden->frames);
	map_wait_dropped(view->map, &hidden->dropped);
}

/**
 * view_cut() - the act of cutting a huge frame off
 * @view:	the view
 * @hidden:	that frame alone, which is seen by nobody any more; or nothing
 */
void view_cut(struct view *view, struct hidden *hidden)
{
	hidden->err = map_cut(view->map, &hidden->frames, hidden->keep);
}

/**
 * view_cut_begin() - view_cut() is about to be called for a huge frame
 * @view:	the view
 * @index:	the page from which on it is to be cut off; not the first of its span
 *
 * Who reads waits until view_cut_end().
 * Return: is there a huge frame?  Else nothing was begun.
 */
bool view_cut_begin(struct view *view, unsigned long index)
{
	struct leaf leaf = view->map->ops->look(view->map, index);

	if (!leaf.present || !leaf.order)
		return false;
	map_cut_begin(view->map);
	return true;
}

/**
 * view_cut_end() - end what view_cut_begin() began
 * @view: the view
 */
void view_cut_end(struct view *view)
{
	map_cut_end(view->map);
}

/**
 * view_shows_own() - is a page what the view shows, and nobody else has?
 * @view:	the view
 * @index:	where in the morsel
 * @page:	the page
 * Return: whether; while the page's lock is held, who clones the morsel waits before it ends.
 */
bool view_shows_own(const struct view *view, unsigned long index, const struct page *page)
{
	struct leaf leaf = view->map->ops->look(view->map, index);

	return leaf.present && leaf.own && frame_page(leaf_frame(&leaf, index)) == page;
}

/**
 * view_own_range() - see that a range can be taken away: map_own_range()
 * @view:	the view
 * @start:	first byte
 * @end:	byte after the last
 * Return: as that.
 */
int view_own_range(struct view *view, loff_t start, loff_t end)
{
	return map_own_range(view->map, start, end);
}

/**
 * view_is_own_range() - map_is_own_range()
 * @view:	the view
 * @start:	as there
 * @end:	as there
 * Return: as that.
 */
bool view_is_own_range(struct view *view, loff_t start, loff_t end)
{
	return map_is_own_range(view->map, start, end);
}

/**
 * view_share_prepare() - map_share_prepare()
 * @view:	the view
 * @least:	as there
 */
void view_share_prepare(struct view *view, enum map_shares least)
{
	map_share_prepare(view->map, least);
}

/**
 * view_share_begin() - map_share_begin()
 * @view:	the view
 * @range:	as there
 * @least:	as there
 * @wait:	as there
 * Return: as that.
 */
int view_share_begin(struct view *view, struct closed *range, enum map_shares least,
		     enum share_wait wait)
{
	return map_share_begin(view->map, range, least, wait);
}

/**
 * view_still_begin() - map_still_begin()
 * @view:	the view
 * @range:	as there
 * @wait:	as there
 * Return: as that.
 */
int view_still_begin(struct view *view, struct closed *range, enum share_wait wait)
{
	return map_still_begin(view->map, range, wait);
}

/**
 * view_meet_heir() - map_meet_heir()
 * @view:	the view
 * @heir:	as there
 * Return: as that.
 */
int view_meet_heir(struct view *view, struct map *heir)
{
	return map_meet_heir(view->map, heir);
}

/**
 * view_hand_over() - map_hand_over()
 * @view:	the view
 * @heir:	as there
 */
void view_hand_over(struct view *view, struct map *heir)
{
	map_hand_over(view->map, heir);
}

/**
 * view_share() - map_share()
 * @view:	the view
 * @clone:	as there
 * @gibs:	as there
 * Return: as that.
 */
int view_share(struct view *view, struct map *clone, const struct gibs *gibs)
{
	return map_share(view->map, clone, gibs);
}

/**
 * view_exchange() - map_exchange()
 * @view:	the view
 * @other:	as there
 * @gibs:	all
 * Return: as that.
 */
int view_exchange(struct view *view, struct map *other, const struct gibs *gibs)
{
	return map_exchange(view->map, other);
}

/**
 * view_share_end() - map_share_end()
 * @view:	the view
 * @range:	as there
 */
void view_share_end(struct view *view, struct closed *range)
{
	map_share_end(view->map, range);
}

/**
 * view_has_gib() - is there anything of a GiB?
 * @view:	the view
 * @gib:	the GiB
 * Return: whether there are tables.
 */
bool view_has_gib(const struct view *view, unsigned long gib)
{
	return gib < map_gibs(view->map) && tableset_has_gib(view->map->truth, gib);
}
