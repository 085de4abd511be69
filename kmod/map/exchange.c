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

/* See that both have room for what the other has. */
static int meet(struct map *map, struct map *other)
{
	return tableset_meet(map->truth, other->truth)
		       ?: tableset_meet(other->truth, map->truth)
		       ?: source_meet(map->source, other->source)
		       ?: source_meet(other->source, map->source);
}

/* Caches show what they did, or nothing. */
static void clear_caches(struct map *map)
{
	unsigned long gibs = map_gibs(map), gib;

	for (gib = 0; gib < gibs; gib++)
		map_clear_caches(map, gib * GIB_SPANS, (gib + 1) * GIB_SPANS);
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
	unsigned long pages = map_pages(other), gibs = max(map_gibs(map), map_gibs(other));
	int err = map_make_room(map, gibs) ?: map_make_room(other, gibs) ?: meet(map, other);

	if (!err && pages > map_pages(map))
		err = map_grow(map, pages);
	if (err)
		return err;
	adopt(map, other);
	family_exchange(map, other, exchange);
	clear_caches(map);
	wait_mappers(map, other);
	return 0;
}

/* Have an heir have tablesets for what a map's show. */
static int meet_caches(struct map *map, struct map *heir)
{
	struct tableset *set, *made;
	int err = 0;

	for (set = READ_ONCE(map->sets); set != map->truth && !err; set = set->next) {
		made = tables_map_make_set(heir, set->rights);
		err = IS_ERR(made) ? PTR_ERR(made) : tableset_meet(made, set);
	}
	return err;
}

/**
 * map_meet_heir() - see that another map can be given all that a map has
 * @map:	the map, between map_still_begin() and map_share_end(); no address space has anything of it
 * @heir:	the other one, which is as long, has nothing, and is used by nobody; the same payers pay for it
 * Return: 0; -ENOMEM, -EDQUOT.
 */
int map_meet_heir(struct map *map, struct map *heir)
{
	return map_make_room(heir, map_gibs(map)) ?: meet(map, heir) ?: meet_caches(map, heir)
							     ?: map_copy_reserved(map, heir);
}

static void hand_over(struct map *map, struct map *heir)
{
	struct tableset *set, *to;

	down_write(&map->sem);
	for (set = map->sets; set; set = set->next) {
		/* One that was added since is cleared. */
		to = tables_map_set(heir, set->rights);
		if (to)
			tableset_exchange(set, to);
	}
	source_exchange_counts(map->source, heir->source, 0, &map->small, &heir->small);
	source_exchange_counts(map->source, heir->source, HUGE_ORDER, &map->huge, &heir->huge);
	swap(map->number, heir->number);
	heir->tail = map->tail;
	heir->shares = map->shares;
	/* Who waits to add something finds no place for it. */
	map->tail = 0;
	WRITE_ONCE(map->pages, 0);
	up_write(&map->sem);
}

/**
 * map_hand_over() - give another map all that a map has, however much that is
 * @map:	the map, which has no length then
 * @heir:	the other one, of map_meet_heir()
 */
void map_hand_over(struct map *map, struct map *heir)
{
	family_replace(map, heir, hand_over);
	clear_caches(map);
	wait_mappers(map, heir);
}
