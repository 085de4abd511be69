// SPDX-License-Identifier: GPL-2.0
/*
 * Maps that are kept in tables: one tableset, the truth, which gives all rights but to
 * execute, is the map.
 *
 * The others show the same frames with other rights.  They are caches: what one shows
 * is true, but it may lack what was added to the truth since it was last filled
 * (tables_map_show()); a fault then fills it.  So adding a frame costs the same
 * however many tablesets there are.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "map/map.h"
#include "pools/batch.h"

static struct leaf tables_look(const struct map *map, unsigned long index)
{
	return tableset_look(map->truth, index);
}

static unsigned int tables_holes(const struct map *map, unsigned long first, unsigned long end,
				 bool *empty)
{
	return tableset_holes(map->truth, first, end, empty);
}

static void tables_pages(const struct map *map, unsigned long first, unsigned long end,
			 struct page **pages)
{
	tableset_pages(map->truth, first, end, pages);
}

static int add_huge(struct map *map, unsigned long first, u64 frame)
{
	int err = tableset_prepare(map->truth, first / SPAN_PAGES);

	if (err)
		return err;
	map_claim(map, frame, first);
	return tableset_add_huge(map->truth, first / SPAN_PAGES, frame, true) ? 1 : -EEXIST;
}

static int add_small(struct map *map, unsigned long first, unsigned long end, const u64 *frames,
		     unsigned int count)
{
	unsigned int used = 0;
	struct leaves leaves;
	unsigned long index;
	int err;

	err = tableset_leaves(map->truth, first / SPAN_PAGES, &leaves);
	if (err)
		return err;
	for (index = first; index < end && used < count; index++) {
		if (!leaves_hole(&leaves, index))
			continue;
		map_claim(map, frames[used], index);
		used += leaves_add(&leaves, index, frames[used]);
	}
	return used;
}

/* No tableset but the truth shows all of this GiB any more.  Pairs with tables_map_show(). */
static void mark_stale(struct map *map, unsigned long gib)
{
	struct tableset *set;

	/* The leaves before the bit; pairs with the barrier in tables_map_show(). */
	smp_mb();
	for (set = READ_ONCE(map->sets); set != map->truth; set = set->next)
		tableset_stale(set, gib);
}

static int tables_add(struct map *map, unsigned long first, unsigned long end, unsigned int order,
		      const u64 *frames, unsigned int count)
{
	int used;

	if (map->shares && !tableset_is_own(map->truth, first / SPAN_PAGES, true))
		return -EXDEV;
	used = order ? add_huge(map, first, *frames) : add_small(map, first, end, frames, count);
	if (used > 0) {
		map_count(map, order, used, frames);
		mark_stale(map, first / GIB_PAGES);
	}
	return used;
}

static bool clear_all(struct map *map, unsigned long first, unsigned long end)
{
	struct tableset *set;
	bool found = false;

	/* One that is just being added is empty. */
	for (set = READ_ONCE(map->sets); set; set = set->next)
		found |= tableset_clear(set, first, end);
	return found;
}

static void tables_remove(struct map *map, unsigned long first, unsigned long end)
{
	clear_all(map, first, end);
}

static void tables_put_back(struct map *map, unsigned long first, u64 frame)
{
	/* Where it may have been one for reading, who writes finds out (map_own()). */
	tableset_add_huge(map->truth, first / SPAN_PAGES, frame, !map->shares);
	mark_stale(map, first / GIB_PAGES);
}

/**
 * tables_map_comes_back() - may who saw a small leaf write it again after it was changed?
 * @map: the map
 * Return: whether somebody may, on this kernel.
 */
bool tables_map_comes_back(const struct map *map)
{
	struct tableset *set;

	for (set = READ_ONCE(map->sets); set; set = set->next)
		if (tableset_comes_back(set))
			return true;
	return false;
}

/*
 * Who saw a small leaf before it was taken out may write it again on some kernels: take
 * them out until nobody can be left who saw one.
 */
static void tables_settle(struct map *map, unsigned long first, unsigned long end)
{
	unsigned long page, next;
	struct leaf leaf;
	bool found;

	if (!tables_map_comes_back(map))
		return;
	do {
		found = false;
		synchronize_rcu_expedited();
		for (page = first; page < end; page = next) {
			cond_resched();
			/* The gate is closed: where there is no table, none comes. */
			leaf = tableset_look(map->truth, page);
			next = min(end, leaf_end(&leaf, page));
			if (leaf.order)
				continue;
			next = min(end, round_down(page, SPAN_PAGES) + SPAN_PAGES);
			down_write(&map->sem);
			found |= clear_all(map, page, next);
			up_write(&map->sem);
		}
	} while (found);
}

static const struct map_ops tables_map_ops = {
	.look = tables_look,
	.holes = tables_holes,
	.add = tables_add,
	.remove = tables_remove,
	.put_back = tables_put_back,
	.pages = tables_pages,
	.settle = tables_settle,
};

/**
 * map_viewer_set() - the tableset of a viewer with some rights, if there is one
 * @map:	the map
 * @viewer:	whose; NULL: it shows all
 * @rights:	the rights
 * Return: the set, which stays as long as the map, and the viewer's as long as that; or NULL.
 */
struct tableset *map_viewer_set(const struct map *map, const struct map_viewer *viewer,
				enum morsel_rights rights)
{
	struct tableset *set;

	for (set = READ_ONCE(map->sets); set; set = set->next)
		if (set->rights == rights && READ_ONCE(set->viewer) == viewer)
			break;
	return set;
}

/**
 * tables_map_set() - the tableset that shows all with some rights, if there is one
 * @map:	the map
 * @rights:	the rights
 * Return: the set, which stays as long as the map; or NULL.
 */
struct tableset *tables_map_set(const struct map *map, enum morsel_rights rights)
{
	return map_viewer_set(map, NULL, rights);
}

/*
 * Add a set, unless there is one with its rights, which is returned then; NULL: the map has grown,
 * and it has no room.
 */
static struct tableset *add_set(struct map *map, struct tableset *made)
{
	struct tableset *set = NULL, *old;

	down_read(&map->sem);
	if (tableset_gibs(made) >= map_gibs(map)) {
		old = READ_ONCE(map->sets);
		do {
			made->next = old;
			set = map_viewer_set(map, made->viewer, made->rights) ?: made;
		} while (set == made && !try_cmpxchg(&map->sets, &old, made));
	}
	up_read(&map->sem);
	return set;
}

/**
 * map_viewer_make_set() - map_viewer_set(), made if there is none
 * @map:	the map
 * @viewer:	as there
 * @rights:	as there
 * Return: the set; ERR_PTR(-ENOMEM), ERR_PTR(-EDQUOT).
 */
struct tableset *map_viewer_make_set(struct map *map, const struct map_viewer *viewer,
				     enum morsel_rights rights)
{
	struct tableset *set = map_viewer_set(map, viewer, rights), *made;

	if (set)
		return set;
	do {
		made = tableset_make(map->source, rights, map_gibs(map), true);
		if (IS_ERR(made))
			return made;
		made->viewer = viewer;
		set = add_set(map, made);
		if (set != made)
			tableset_free(made);
	} while (!set);
	return set;
}

/**
 * tables_map_make_set() - the tableset that shows all with some rights, made if there is none
 * @map:	the map
 * @rights:	the rights
 * Return: as map_viewer_make_set().
 */
struct tableset *tables_map_make_set(struct map *map, enum morsel_rights rights)
{
	return map_viewer_make_set(map, NULL, rights);
}

/*
 * So many entries are written at once, as many as a GiB has in small leaves, which takes as
 * long as clearing a huge frame or two.
 */
#define SHOW_MOST GIB_PAGES

/* What showing a span comes to, in entries. */
static unsigned long show_cost(const struct map *map, unsigned long span)
{
	return tableset_has_ptes(map->truth, span) ? SPAN_PAGES : 1;
}

/*
 * Show spans of one GiB; with the map's sem held for reading, so that none of what is shown
 * is being removed.
 */
static int show_spans(struct map *map, struct tableset *set, unsigned long first, unsigned long end,
		      unsigned long *cost)
{
	unsigned long gib = first / GIB_SPANS, span;
	unsigned long whole = min((gib + 1) * GIB_SPANS, map_spans(map));
	int err = 0;

	down_read(&map->sem);
	/*
	 * A whole GiB is announced fresh first and filled then: what is
	 * added meanwhile makes it stale again (mark_stale()).
	 */
	if (first == gib * GIB_SPANS && end == whole) {
		set_bit(gib, set->root->fresh);
		/* The bit before the leaves; pairs with the barrier in mark_stale(). */
		smp_mb__after_atomic();
	}
	for (span = first; span < end && !err; span++) {
		*cost += show_cost(map, span);
		err = tableset_copy(set, map->truth, span);
	}
	if (err)
		clear_bit(gib, set->root->fresh);
	up_read(&map->sem);
	return err;
}

/**
 * tables_map_show() - see that a tableset shows what the map has, if that is not too much
 * @map:	the map
 * @set:	one of its sets; of the truth, nothing is to be done
 * @first:	first span
 * @end:	span after the last
 *
 * Of a single span, or of a GiB, it is not; what is left, faults will show.
 * Return: 0, -ENOMEM or -EDQUOT.
 */
int tables_map_show(struct map *map, struct tableset *set, unsigned long first, unsigned long end)
{
	unsigned long span, gib, next, cost = 0;
	int err = 0;

	if (set == map->truth)
		return 0;
	for (span = first; span < end && !err && cost < SHOW_MOST; span = next) {
		gib = span / GIB_SPANS;
		next = min(end, (gib + 1) * GIB_SPANS);
		cost++;
		/*
		 * For a single span there is a fault: whoever says fresh may be
		 * filling it yet.
		 */
		if ((next - span > 1 && tableset_is_fresh(set, gib)) ||
		    !tableset_has_gib(map->truth, gib))
			continue;
		err = show_spans(map, set, span, next, &cost);
		cond_resched();
	}
	return err;
}

/*
 * Has a set all tables that it takes to show a span?  Then it can be shown without memory, now or
 * later.
 */
static bool has_tables(const struct map *map, const struct tableset *set, unsigned long span)
{
	return tableset_has_gib(set, span / GIB_SPANS) &&
	       (!tableset_has_ptes(map->truth, span) || tableset_has_ptes(set, span));
}

/**
 * tables_map_prepare() - see that a tableset has all tables that it takes to show what the map has,
 * however much that is
 * @map:	the map
 * @set:	one of its sets; of the truth, nothing is to be done
 * @first:	first page
 * @end:	page after the last
 * Return: 0, -ENOMEM, -EDQUOT, or -EINTR (a fatal signal).
 */
int tables_map_prepare(struct map *map, struct tableset *set, unsigned long first,
		       unsigned long end)
{
	unsigned long span, cost = 0;
	int err = 0;

	if (set == map->truth)
		return 0;
	for (span = first / SPAN_PAGES; span < DIV_ROUND_UP(end, SPAN_PAGES) && !err; span++) {
		/* Not by what is fresh: who says so may be filling it yet, in vain. */
		if (!has_tables(map, set, span))
			err = show_spans(map, set, span, span + 1, &cost);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/**
 * tables_map_show_page() - see that a tableset shows a page that the map has
 * @map:	the map
 * @set:	one of its sets
 * @index:	the page
 *
 * If nothing of its GiB was shown yet, all that there is of it is, where there is memory.
 * Return: 0, -ENOMEM or -EDQUOT.
 */
int tables_map_show_page(struct map *map, struct tableset *set, unsigned long index)
{
	unsigned long span = index / SPAN_PAGES, gib = index / GIB_PAGES;

	if (set != map->truth && !tableset_has_gib(set, gib))
		tables_map_show(map, set, gib * GIB_SPANS,
				min((gib + 1) * GIB_SPANS, map_spans(map)));
	/* Also then: there may have been too little memory, or somebody else is at it yet. */
	return tables_map_show(map, set, span, span + 1);
}

/**
 * map_nr_tables() - how many pages of tables a map has
 * @map: the map
 * Return: the number.
 */
unsigned long map_nr_tables(const struct map *map)
{
	const struct tableset *set;
	unsigned long tables = 0;

	for (set = READ_ONCE(map->sets); set; set = set->next)
		tables += atomic_long_read(&set->nr_tables);
	return tables;
}

/**
 * tables_map_init() - make an empty map
 * @map:	the map, zeroed but for @pages and @granule
 * @source:	where frames and tables are to come from; takes the reference
 * Return: 0; -ENOMEM, -EDQUOT, and the reference is the caller's still.
 */
int tables_map_init(struct map *map, struct source *source)
{
	unsigned long gibs = max(DIV_ROUND_UP(map->pages, GIB_PAGES), 1UL);
	struct tableset *truth = tableset_make(source, RIGHTS_RW, gibs, false);

	if (IS_ERR(truth))
		return PTR_ERR(truth);
	if (map_number_get(map)) {
		tableset_free(truth);
		return -ENOMEM;
	}
	map->ops = &tables_map_ops;
	map->tail = map->pages;
	map->source = source;
	init_rwsem(&map->sem);
	init_rwsem(&map->filling);
	gate_init(&map->gate);
	map_reserve_init(map);
	map->truth = truth;
	map->sets = truth;
	return 0;
}

/**
 * tables_map_free() - give all frames back now, and all tables after a grace period
 * @map: the map, which no address space has attached any more
 */
void tables_map_free(struct map *map)
{
	loff_t pos = 0, end = (loff_t)round_up(map->tail, SPAN_PAGES) << PAGE_SHIFT, first, last;
	struct tableset *set, *next;
	struct frame_batch batch;
	LIST_HEAD(dropped);

	batch_init(&batch);
	family_leave(map);
	if (map->shares)
		tableset_let_go(map->truth);
	while (!map->shares && pos < end &&
	       (atomic_long_read(&map->small) || atomic_long_read(&map->huge))) {
		map_remove(map, &pos, end, &batch, &dropped, &first, &last);
		map_give(map, &batch);
	}
	for (set = map->sets; set; set = next) {
		next = set->next;
		tableset_free(set);
	}
	map_reserve_exit(map);
	map_number_put(map);
	source_close(map->source);
}

/**
 * map_ended() - source_ended() of its source
 * @map: the map
 * Return: a number for map_waits().
 */
unsigned long map_ended(const struct map *map)
{
	return source_ended(map->source);
}

/**
 * map_waits() - may map_wait() help, or trying again?
 * @map:	the map
 * @err:	how getting memory for it failed
 * @ended:	map_ended() before that
 * Return: whether.
 */
bool map_waits(const struct map *map, int err, unsigned long ended)
{
	return source_waits(map->source, err, ended);
}

/**
 * map_wait() - wait for what may make room, as source_wait() does
 * @map:	the map
 * @err:	how getting memory for it failed
 * Return: is it worth trying again?
 */
bool map_wait(struct map *map, int err)
{
	return source_wait(map->source, err);
}
