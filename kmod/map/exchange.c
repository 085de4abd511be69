// SPDX-License-Identifier: GPL-2.0
/*
 * Exchanging: a map is given all that another has, at one instant, as when it is rolled back.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "map/map.h"

/* What is another's own is to be a map's: it says so, and is paid for by who pays for that. */
static void pay(const struct map *map, struct page *page, unsigned int order)
{
	if (!source_pays(map->source, page))
		source_pay(map->source, page, order);
}

static void adopt(const struct map *map, struct map *other)
{
	unsigned long index, next, end = map_pages(other), span;
	struct page *table;
	struct leaf leaf;

	for (index = 0; index < end; index = next) {
		span = index / SPAN_PAGES;
		next = round_down(index, GIB_PAGES) + GIB_PAGES;
		table = tableset_own_table(other->truth, span, false);
		if (!table)
			continue;
		if (!(index % GIB_PAGES))
			pay(map, table, 0);
		next = round_down(index, SPAN_PAGES) + SPAN_PAGES;
		table = tableset_own_table(other->truth, span, true);
		leaf = other->ops->look(other, index);
		if (!table && !leaf.order)
			continue;
		if (table && !(index % SPAN_PAGES))
			pay(map, table, 0);
		next = leaf_end(&leaf, index);
		if (leaf.present && leaf.own) {
			map_claim(map, leaf.frame, round_down(index, 1UL << leaf.order));
			pay(map, frame_page(leaf.frame), leaf.order);
		}
		cond_resched();
	}
}

static void exchange(struct map *map, struct map *other)
{
	down_write(&map->sem);
	tableset_exchange(map->truth, other->truth);
	source_exchange_counts(map->source, other->source, 0, &map->small, &other->small);
	source_exchange_counts(map->source, other->source, HUGE_ORDER, &map->huge, &other->huge);
	swap(map->tail, other->tail);
	map->tail = max(map->tail, map->pages);
	up_write(&map->sem);
}

/* Who has found what there was before, and is about to map it privately, has done so. */
static void wait_mappers(struct map *map, struct map *other)
{
	unsigned long index, end = other->tail;
	struct leaf leaf;

	/* As in map_wait_mapper(). */
	smp_mb();
	if (!READ_ONCE(map->paged))
		return;
	for (index = 0; index < end; index = leaf_end(&leaf, index)) {
		leaf = other->ops->look(other, index);
		if (leaf.present && PageLocked(frame_page(leaf.frame)))
			map_wait_mapper(map, leaf.frame);
		cond_resched();
	}
}

/**
 * map_exchange() - have a map be what another is, which gets what it was
 * @map:	the map, between map_share_begin() and map_share_end(); no address space has anything of it, and
 *		nothing of it is reserved
 * @other:	the other one, a clone that nobody uses
 *
 * If the other one was longer, so is the map then; if it was shorter, there is nothing behind that.
 * Return: 0; -ENOMEM, -EDQUOT, and nothing has changed.
 */
int map_exchange(struct map *map, struct map *other)
{
	unsigned long pages = map_pages(other), gibs = max(map_gibs(map), map_gibs(other)), gib;
	int err = map_make_room(map, gibs) ?: map_make_room(other, gibs);

	if (!err)
		err = tableset_meet(map->truth, other->truth)
			      ?: tableset_meet(other->truth, map->truth);
	if (!err)
		err = source_meet(map->source, other->source)
			      ?: source_meet(other->source, map->source);
	if (!err && pages > map_pages(map))
		err = map_grow(map, pages);
	if (err)
		return err;
	adopt(map, other);
	family_exchange(map, other, exchange);
	for (gib = 0; gib < gibs; gib++)
		map_clear_caches(map, gib * GIB_SPANS, (gib + 1) * GIB_SPANS);
	wait_mappers(map, other);
	return 0;
}
