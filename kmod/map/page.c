// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a map, for who reads and writes them in the kernel.
 */
#include <linux/err.h>
#include <linux/sched/signal.h>

#include "map/map.h"

/*
 * A page had no frame.  Was that as one was hidden that comes back, at any time since map->cuts was
 * @cuts?  Then wait until it has, and true: look again.
 */
static bool was_cut(struct map *map, unsigned int cuts)
{
	/* The leaf before this; pairs with map_cut_begin(). */
	smp_rmb();
	if (!(cuts & 1) && READ_ONCE(map->cuts) == cuts)
		return false;
	/* Who is killed looks no more often. */
	return !wait_event_killable(map->gate.opened, !(READ_ONCE(map->cuts) & 1));
}

/**
 * map_look() - what is there for a page, and not what is hidden for a moment
 * @map:	the map
 * @index:	the page
 * Return: the leaf, or the hole; without the sem, a hint.
 */
struct leaf map_look(struct map *map, unsigned long index)
{
	unsigned int cuts;
	struct leaf leaf;

	do {
		/* Pairs with map_cut_end(): who sees the end sees the leaves. */
		cuts = smp_load_acquire(&map->cuts);
		leaf = map->ops->look(map, index);
	} while (!leaf.present && was_cut(map, cuts));
	return leaf;
}

/* As map_peek(); to be written: ERR_PTR(-EACCES): it is not the map's own, or being cloned. */
static struct page *peek(struct map *map, unsigned long index, bool write)
{
	struct page *page = NULL;
	struct leaf leaf;

	down_read(&map->sem);
	leaf = map->ops->look(map, index);
	if (leaf.present && write && (!leaf.own || map->still))
		page = ERR_PTR(-EACCES);
	else if (leaf.present)
		page = frame_hold(leaf_frame(&leaf, index));
	up_read(&map->sem);
	return page;
}

/**
 * map_peek() - take a reference to the frame behind a page, if it is there now
 * @map:	the map
 * @index:	the page
 *
 * Waits for nobody who takes frames away, as the caller has a frame's lock, or will.
 * Return: the page, to be released with map_put_page(); NULL.
 */
struct page *map_peek(struct map *map, unsigned long index)
{
	return peek(map, index, false);
}

/**
 * map_page() - take a reference to the frame behind a page
 * @map:	the map
 * @index:	the page, below @map->pages
 * @write:	it is to be written: allocate one if there is none, or it is not the map's own
 * Return: the page, to be released with map_put_page(); NULL for a hole;
 * ERR_PTR(-ENOMEM), ERR_PTR(-EDQUOT), ERR_PTR(-EINTR): as map_fill(); ERR_PTR(-EIO): its memory
 * has failed.
 */
struct page *map_page(struct map *map, unsigned long index, bool write)
{
	struct page *page;
	bool waited = false;
	unsigned int cuts;
	int err;

	for (;;) {
		/* As in map_look(). */
		cuts = smp_load_acquire(&map->cuts);
		page = peek(map, index, write);
		if (!page && was_cut(map, cuts))
			continue;
		if (!IS_ERR_OR_NULL(page) && frame_failed(page_to_pfn(page))) {
			frame_release(page);
			return ERR_PTR(-EIO);
		}
		if (!write || !IS_ERR_OR_NULL(page))
			return page;

		err = page ? map_own(map, NULL, index, MAP_WRITE) : map_fill(map, NULL, index);
		if (err == -EBUSY) {
			err = gate_wait_page(map, index);
			if (!err)
				continue;
		}
		if (err && !waited) {
			waited = map_wait(map, err);
			if (waited)
				continue;
		}
		if (err)
			return ERR_PTR(err);
	}
}

/**
 * map_keep_pages() - the pages behind a range, which stay until map_let_go()
 * @map:	the map
 * @first:	the first of them
 * @count:	how many
 * @pages:	gets them; NULL where there is none now
 *
 * Nobody can take frames away meanwhile, so nobody who may be about to is to be waited for.
 */
void map_keep_pages(struct map *map, unsigned long first, unsigned int count, struct page **pages)
{
	unsigned long index = first, end = first + count, next;

	down_read(&map->sem);
	end = map->still ? first : min(end, max(map->pages, first));
	memset(pages + (end - first), 0, (count - (end - first)) * sizeof(*pages));
	for (; index < end; index = next) {
		next = min(end, round_down(index, SPAN_PAGES) + SPAN_PAGES);
		map->ops->pages(map, index, next, pages + index - first);
	}
}

/**
 * map_let_go() - end what map_keep_pages() began
 * @map: the map
 */
void map_let_go(struct map *map)
{
	up_read(&map->sem);
}

/**
 * map_page_room() - how far can be read and written from a page on, within its frame?
 * @page:	of map_page()
 * @wanted:	bytes from the page's first on; for more it is not looked
 * Return: bytes, whole pages, of none of which the memory has failed.
 */
size_t map_page_room(struct page *page, size_t wanted)
{
	struct folio *folio = page_folio(page);
	unsigned long left = folio_nr_pages(folio) - folio_page_idx(folio, page), i = 1;

	while (i < left && i * PAGE_SIZE < wanted && !frame_failed(page_to_pfn(page) + i))
		i++;
	return i * PAGE_SIZE;
}

/**
 * map_put_page() - give back what map_page() or map_peek() returned
 * @page: the page
 */
void map_put_page(struct page *page)
{
	frame_release(page);
}

/**
 * map_pinned() - has anybody a reference to a frame?
 * @map:	the map, of which no page is mapped by itself
 * Return: whether; true, too, where a fatal signal came in.
 */
bool map_pinned(const struct map *map)
{
	unsigned long index, end = map_pages(map);
	struct leaf leaf;

	for (index = 0; index < end; index = leaf_end(&leaf, index)) {
		leaf = map->ops->look(map, index);
		if (fatal_signal_pending(current) ||
		    (leaf.present && frame_pinned(leaf.frame, leaf.order)))
			return true;
		cond_resched();
	}
	return false;
}

/**
 * map_find() - the next page that has a frame, or that has none
 * @map:	the map
 * @index:	where to begin
 * @end:	where to stop, at the map's end or before
 * @present:	which of both
 *
 * Without locks, true of some moment of each page.
 * Return: the page; @end: there is none before.  Before that, too, where a fatal signal came in.
 */
unsigned long map_find(struct map *map, unsigned long index, unsigned long end, bool present)
{
	struct leaf leaf;

	for (; index < end && !fatal_signal_pending(current); index = leaf_end(&leaf, index)) {
		leaf = map_look(map, index);
		if (leaf.present == present)
			return index;
		cond_resched();
	}
	return min(index, end);
}
