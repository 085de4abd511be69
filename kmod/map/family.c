// SPDX-License-Identifier: GPL-2.0
/*
 * Families: maps that share frames and tables, as one was cloned from another.
 *
 * What several maps have is charged once, to who took it.  When that map has it no more, but another one
 * does, for which others pay, these pay for it from then on: else who clones could have somebody else pay
 * for ever.  Which map that is, nothing says; but what a map has of its family is where the others have it,
 * so they are asked.  Nearly always all have the same payers, and nobody is.
 *
 * So a ceiling may come to be exceeded; nothing more is to be had until it is not.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "map/map.h"

/**
 * struct family - maps that may share something
 * @lock:	protects all of it; taken before the maps' sems
 * @maps:	these
 * @nr:		how many
 * @mixed:	not all have the same payers, or had; once true, always
 */
struct family {
	struct mutex lock;
	struct list_head maps;
	refcount_t nr;
	bool mixed;
};

/**
 * family_join() - a clone is about to share what a map has
 * @map:	the map, which nobody else is cloning
 * @clone:	the clone's
 * Return: 0; -ENOMEM.
 */
int family_join(struct map *map, struct map *clone)
{
	struct family *family = map->family;

	if (!family) {
		family = kzalloc(sizeof(*family), GFP_KERNEL_ACCOUNT);
		if (!family)
			return -ENOMEM;
		mutex_init(&family->lock);
		INIT_LIST_HEAD(&family->maps);
		refcount_set(&family->nr, 1);
		list_add(&map->kin, &family->maps);
		/* Who finds the family finds what is in it; nobody asked before. */
		smp_store_release(&map->family, family);
	}
	refcount_inc(&family->nr);
	clone->family = family;
	mutex_lock(&family->lock);
	list_add(&clone->kin, &family->maps);
	if (!source_same_payers(map->source, clone->source))
		WRITE_ONCE(family->mixed, true);
	mutex_unlock(&family->lock);
	return 0;
}

/* Is it to be asked who has what a map has no more? */
static bool is_mixed(const struct map *map)
{
	const struct family *family = READ_ONCE(map->family);

	return family && READ_ONCE(family->mixed);
}

/**
 * struct left - what a map has no more, and holds still
 * @page:	a frame, or a page of a table
 * @order:	log2 of its pages
 * @index:	a page that it shows
 * @has:	does a map have it, of which the sem is held?
 */
struct left {
	struct page *page;
	unsigned int order;
	unsigned long index;
	bool (*has)(const struct map *map, const struct left *left);
};

static bool has_frame(const struct map *map, const struct left *left)
{
	struct leaf leaf = map->ops->look(map, left->index);

	return leaf.present && frame_page(leaf_frame(&leaf, left->index)) == left->page;
}

static bool has_pmds(const struct map *map, const struct left *left)
{
	return tableset_frozen(map->truth, left->index / SPAN_PAGES, false) == left->page;
}

static bool has_ptes(const struct map *map, const struct left *left)
{
	return tableset_frozen(map->truth, left->index / SPAN_PAGES, true) == left->page;
}

/* No more are asked than these, the youngest first: who has a fault waits. */
#define ASK_MOST 256

/* What of the family has it, but for the map itself; one for which they pay who do already, if there is one. */
static struct map *find_heir(struct map *map, const struct left *left)
{
	struct map *kin, *heir = NULL;
	unsigned int asked = 0;
	bool has;

	list_for_each_entry(kin, &map->family->maps, kin) {
		if (asked++ == ASK_MOST)
			break;
		if (kin == map || left->index >= map_gibs(kin) * GIB_PAGES)
			continue;
		down_read(&kin->sem);
		has = left->has(kin, left);
		up_read(&kin->sem);
		if (has)
			heir = kin;
		if (has && source_pays(kin->source, left->page))
			break;
	}
	return heir;
}

/* Have somebody pay for what is left who has it. */
static void hand_over(struct map *map, const struct left *left)
{
	struct family *family;
	struct map *heir;
	bool done = false;

	/* What others pay for already stays theirs. */
	if (!source_pays(map->source, left->page))
		return;

	/* It may come to be of another, but not while either's lock is held. */
	for (;;) {
		family = READ_ONCE(map->family);
		mutex_lock(&family->lock);
		if (family == map->family)
			break;
		mutex_unlock(&family->lock);
	}
	while (!done && source_pays(map->source, left->page)) {
		heir = find_heir(map, left);
		if (!heir || source_pays(heir->source, left->page))
			break;
		/* While it is held, who has it keeps it. */
		down_read(&heir->sem);
		done = left->has(heir, left);
		if (done)
			source_pay(heir->source, left->page, left->order);
		up_read(&heir->sem);
	}
	mutex_unlock(&family->lock);
}

/**
 * family_left_frame() - a map has a frame no more that others may have, and holds it still
 * @map:	the map
 * @order:	log2 of the frame's pages
 * @frame:	the frame
 */
void family_left_frame(struct map *map, unsigned int order, u64 frame)
{
	struct left left = {.page = frame_page(frame),
			    .order = order,
			    .index = map_index_of(frame),
			    .has = has_frame};

	if (is_mixed(map))
		hand_over(map, &left);
}

static void left_table(struct map *map, struct page *table, unsigned long index, bool ptes)
{
	struct left left = {.page = table, .index = index, .has = ptes ? has_ptes : has_pmds};

	if (table)
		hand_over(map, &left);
}

static void left_frame(void *map, unsigned int order, u64 frame)
{
	family_left_frame(map, order, frame);
	cond_resched();
}

/**
 * family_left_tables() - the same of tables that were displaced, or dropped
 * @map:	the map
 * @index:	a page that they show
 * @displaced:	the tables
 */
void family_left_tables(struct map *map, unsigned long index, const struct displaced *displaced)
{
	if (!is_mixed(map))
		return;
	left_table(map, displaced->pmds, index, false);
	left_table(map, displaced->ptes, index, true);
	/* Where nothing took their place, what they show is left, too. */
	if (displaced->tables)
		displaced_each(displaced, map, left_frame);
}

/* All that a map has: what is not its own others may have. */
static void leave_all(struct map *map)
{
	unsigned long index, end = map->tail, next;
	struct leaf leaf;

	for (index = 0; index < end; index = next) {
		leaf = map->ops->look(map, index);
		next = leaf_end(&leaf, index);
		if (!(index % GIB_PAGES))
			left_table(map, tableset_frozen(map->truth, index / SPAN_PAGES, false),
				   index, false);
		if (!(index % SPAN_PAGES))
			left_table(map, tableset_frozen(map->truth, index / SPAN_PAGES, true),
				   index, true);
		if (leaf.present && !leaf.own)
			family_left_frame(map, leaf.order, leaf.frame);
		cond_resched();
	}
}

static void lock_two(struct family *one, struct family *other)
{
	if (one > other)
		swap(one, other);
	if (one)
		mutex_lock(&one->lock);
	if (other != one)
		mutex_lock_nested(&other->lock, one ? SINGLE_DEPTH_NESTING : 0);
}

static void unlock_two(struct family *one, struct family *other)
{
	mutex_unlock(&other->lock);
	if (one && one != other)
		mutex_unlock(&one->lock);
}

/* In a family, one map takes the place of another; with the family's lock. */
static void replace(struct family *family, struct map *map, struct map *by, struct list_head *place)
{
	by->family = family;
	if (!family)
		return;
	list_add(&by->kin, place);
	if (!source_same_payers(map->source, by->source))
		WRITE_ONCE(family->mixed, true);
}

/**
 * family_exchange() - have two maps be given what the other one has, and be of its family
 * @map:	one
 * @other:	the other, a clone; nobody clones either, and both are closed
 * @exchange:	gives them that
 */
void family_exchange(struct map *map, struct map *other,
		     void (*exchange)(struct map *map, struct map *other))
{
	struct family *family = map->family, *others = other->family;

	lock_two(family, others);
	/* What is asked who has something finds both as they were, or as they are then. */
	exchange(map, other);
	if (family != others) {
		list_del(&other->kin);
		if (family)
			list_del(&map->kin);
		replace(others, other, map, &others->maps);
		replace(family, map, other, family ? &family->maps : NULL);
	}
	unlock_two(family, others);
}

/**
 * family_replace() - another map is given all that a map has, and takes its place in its family
 * @map:	the map; nobody clones it, and it is closed
 * @heir:	the other one, in none; the same payers pay for it
 * @hand_over:	gives it that
 */
void family_replace(struct map *map, struct map *heir,
		    void (*hand_over)(struct map *map, struct map *heir))
{
	struct family *family = map->family;

	if (!family) {
		hand_over(map, heir);
		return;
	}
	mutex_lock(&family->lock);
	hand_over(map, heir);
	list_replace_init(&map->kin, &heir->kin);
	heir->family = family;
	map->family = NULL;
	mutex_unlock(&family->lock);
}

/**
 * family_leave() - a map is about to go
 * @map: the map, which nobody uses any more
 */
void family_leave(struct map *map)
{
	struct family *family = map->family;

	if (!family)
		return;
	if (is_mixed(map))
		leave_all(map);
	mutex_lock(&family->lock);
	list_del(&map->kin);
	mutex_unlock(&family->lock);
	/* Not before: who unlocks last looks at the lock still. */
	if (refcount_dec_and_test(&family->nr))
		kfree(family);
}
