// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that several maps have: clones share them, and the tables that show them, and a map makes
 * its own of what it is to change.
 *
 * A leaf for reading, in the truth, is one of a frame that somebody else may have; a table may be one
 * that somebody else has (tables/share.c).  What is changed is hidden behind nothing: a copy shows the
 * same as what it takes the place of, until nobody uses that any more, and may be written only then.
 */
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "map/map.h"
#include "morsel_ioctl.h"
#include "trace.h"

/* What an access needs to know of who asks: has it a reference to the frame itself? */
static unsigned int held_by(enum map_access access)
{
	return access == MAP_WRITE_HELD ? 1 : 0;
}

/**
 * map_shared() - what of a leaf, or a hole, have others, too?
 * @map:	the map, with its sem held
 * @index:	the page
 * @leaf:	what is there
 * Return: MORSEL_SHARED_*.
 */
unsigned int map_shared(const struct map *map, unsigned long index, const struct leaf *leaf)
{
	unsigned long span = index / SPAN_PAGES;
	unsigned int shared = 0;

	if (!READ_ONCE(map->shares))
		return 0;
	if (tableset_shared(map->truth, span, false))
		shared |= MORSEL_SHARED_PMDS;
	if (tableset_has_ptes(map->truth, span) &&
	    (shared || tableset_shared(map->truth, span, true)))
		shared |= MORSEL_SHARED_PTES;
	if (leaf->present && (shared || frame_shared(leaf->frame)))
		shared |= MORSEL_SHARED_FRAMES;
	return shared;
}

/**
 * map_own_tables() - see that the tables of a page are the map's own
 * @map:	the map
 * @index:	the page
 * @ptes:	all of them; else that of its GiB alone
 *
 * Does not wait at the gate.
 * Return: 0, -ENOMEM, -EDQUOT, -EBUSY (a part of its GiB is closed).
 */
int map_own_tables(struct map *map, unsigned long index, bool ptes)
{
	unsigned long gib = round_down(index, GIB_PAGES), span = index / SPAN_PAGES;
	struct displaced *displaced;
	struct closed range;
	bool own = false, changed;
	int err = 0;

	if (tableset_is_own(map->truth, span, ptes))
		return 0;
	if (!gate_try_close(map, &range, gib, gib + GIB_PAGES))
		return -EBUSY;
	while (!own) {
		displaced = displaced_make(map->truth, span, ptes);
		if (IS_ERR(displaced)) {
			err = PTR_ERR(displaced);
			break;
		}
		down_write(&map->sem);
		own = tableset_own(map->truth, span, ptes, displaced);
		changed = displaced->changed;
		up_write(&map->sem);
		/* What others have of the tables is as it was, but they may not keep it. */
		if (!changed) {
			displaced_drop(displaced);
			continue;
		}
		map->reach->unsplice(map, gib, gib + GIB_PAGES);
		family_left_tables(map, index, displaced);
		map->reach->displaced(map, displaced);
	}
	gate_open(map, &range);
	return err;
}

/* Have the tablesets that are caches show nothing of a leaf; with the sem held for writing. */
static void clear_caches(struct map *map, unsigned long first, unsigned int order)
{
	struct tableset *set;

	for (set = READ_ONCE(map->sets); set != map->truth; set = set->next) {
		tableset_clear(set, first, first + (1UL << order));
		tableset_stale(set, first / GIB_PAGES);
	}
}

/* May a leaf be changed?  With the sem held, it may until that is let go, or while @map->copying counts who does. */
static int check_leaf(struct map *map, unsigned long index)
{
	unsigned long span = round_down(index, SPAN_PAGES);

	if (gate_is_closed(map, span, span + SPAN_PAGES))
		return -EBUSY;
	return tableset_is_own(map->truth, index / SPAN_PAGES, true) ? 0 : -EAGAIN;
}

/*
 * Have a leaf as it was looked at be for writing, too, with the sem held for reading; -EAGAIN: it is another by now.
 * Caches may show it for reading still, until who writes there faults.
 */
static int widen(struct map *map, unsigned long index, const struct leaf *leaf)
{
	return tableset_replace(map->truth, index, leaf->order, leaf->frame, leaf->frame, true)
		       ? 0
		       : -EAGAIN;
}

static void copy_frame(u64 to, u64 from, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1U << order; i++) {
		copy_highpage(frame_page(to) + i, frame_page(from) + i);
		cond_resched();
	}
}

/**
 * map_copy_small() - small frames with what there is in the first pages of a huge one
 * @map:	the map that they are for
 * @policy:	as for map_fill()
 * @frame:	the huge one, or one that is small
 * @count:	how many pages
 * @frames:	gets them
 * Return: 0, -ENOMEM, -EDQUOT.
 */
int map_copy_small(struct map *map, const struct mempolicy *policy, u64 frame, unsigned int count,
		   u64 *frames)
{
	unsigned int got, i;

	for (got = 0; got < count; got += i) {
		i = source_take(map->source, policy, 0, count - got, frames + got);
		if (!i)
			break;
	}
	if (got < count) {
		map_give_unused(map, 0, got, frames);
		return source_short(map->source, 0);
	}
	for (i = 0; i < count; i++)
		copy_frame(frames[i], frame + i, 0);
	return 0;
}

/* Nothing is spliced, and nobody writes, while the gate is closed for all. */
static void be_still(struct map *map, bool still)
{
	down_write(&map->sem);
	WRITE_ONCE(map->still, still);
	up_write(&map->sem);
}

/* What there was of a leaf is the map's no more. */
static void let_go(struct map *map, const struct leaf *leaf)
{
	map_uncount(map, leaf->order, 1, &leaf->frame);
	family_left_frame(map, leaf->order, leaf->frame);
	source_give(leaf->order, 1, &leaf->frame);
}

/* Replace a leaf by one for reading; -EAGAIN: it is another by now. */
static int replace(struct map *map, unsigned long first, const struct leaf *leaf, u64 frame)
{
	bool done;

	down_write(&map->sem);
	done = tableset_replace(map->truth, first, leaf->order, leaf->frame, frame, false);
	if (done)
		clear_caches(map, first, leaf->order);
	up_write(&map->sem);
	return done ? 0 : -EAGAIN;
}

/*
 * Have a copy take a frame's place.  It is for reading until nobody uses that one any more, so
 * that nobody reads that when somebody has written already.
 */
static int copy_leaf(struct map *map, const struct mempolicy *policy, unsigned long index,
		     const struct leaf *leaf)
{
	unsigned long first = round_down(index, 1UL << leaf->order);
	struct leaf own = *leaf;
	int err;

	if (!source_take_as_is(map->source, policy, leaf->order, &own.frame))
		return source_short(map->source, leaf->order);
	copy_frame(own.frame, leaf->frame, leaf->order);
	map_claim(map, own.frame, first);
	err = replace(map, first, leaf, own.frame);
	if (err) {
		map_give_unused(map, leaf->order, 1, &own.frame);
		return err;
	}
	map_count(map, leaf->order, 1, &own.frame);
	map_wait_mapper(map, leaf->frame);
	map->reach->changed(map, first, leaf->order);
	down_read(&map->sem);
	/* Else it was taken out meanwhile, which the caller will see. */
	widen(map, index, &own);
	up_read(&map->sem);
	let_go(map, leaf);
	return 0;
}

/*
 * Have small frames take the place of a huge one, as mappings may ask only before they write to huge ones: while
 * nothing is spliced, and nobody writes, so that nobody gets at the one when another has written to the others.
 */
static int split_leaf(struct map *map, unsigned long first, const struct leaf *leaf,
		      const u64 *frames, struct page *table)
{
	struct closed range;
	unsigned int i;
	bool done;

	if (!gate_try_close(map, &range, 0, ULONG_MAX))
		return -EBUSY;
	be_still(map, true);
	map->reach->changed(map, first, HUGE_ORDER);
	for (i = 0; i < SPAN_PAGES; i++)
		map_claim(map, frames[i], first + i);
	down_write(&map->sem);
	done = tableset_split(map->truth, first, leaf->frame, table, frames);
	if (done)
		clear_caches(map, first, HUGE_ORDER);
	up_write(&map->sem);
	if (done) {
		map_count(map, 0, SPAN_PAGES, frames);
		/* Who was about to map it privately has, and loses it. */
		map_wait_mapper(map, leaf->frame);
		map->reach->changed(map, first, HUGE_ORDER);
		let_go(map, leaf);
	}
	be_still(map, false);
	gate_open(map, &range);
	return done ? 0 : -EAGAIN;
}

/* As copy_leaf(), of a huge one, by small frames. */
static int copy_by_small(struct map *map, const struct mempolicy *policy, unsigned long index,
			 const struct leaf *leaf)
{
	u64 *frames = kmalloc_array(SPAN_PAGES, sizeof(*frames), GFP_KERNEL);
	struct page *table = frames ? table_take(map->source) : NULL;
	int err = -ENOMEM;

	if (frames && !table)
		err = source_short(map->source, 0);
	if (table)
		err = map_copy_small(map, policy, leaf->frame, SPAN_PAGES, frames);
	if (table && !err) {
		err = split_leaf(map, round_down(index, SPAN_PAGES), leaf, frames, table);
		if (err)
			map_give_unused(map, 0, SPAN_PAGES, frames);
	}
	if (table && err)
		table_give(table);
	kfree(frames);
	return err;
}

/* With a reference to the frame. */
static int copy_held(struct map *map, const struct mempolicy *policy, unsigned long index,
		     const struct leaf *leaf)
{
	int err;

	if (frame_bad(leaf->frame, leaf->order))
		return -EIO;
	err = copy_leaf(map, policy, index, leaf);
	if (err == -EAGAIN || !err || !leaf->order || map->granule == MORSEL_GRANULE_2M)
		return err;
	return copy_by_small(map, policy, index, leaf);
}

/*
 * Is a frame for reading one that has to be copied?  Also where nobody shares it any more, but somebody who
 * did has it pinned, and is not to read what is written from here on (as CVE-2020-29374 has it).
 */
static bool must_copy(const struct leaf *leaf, unsigned int held)
{
	return frame_shared(leaf->frame) || frame_held_beside(leaf->frame, leaf->order, held);
}

/*
 * See that a leaf is the map's own, of which the tables are; -EAGAIN: look again.  With the fill lock: so
 * a frame for reading stays as it is while it is copied, as nobody else makes it one for writing.
 */
static int own_leaf(struct map *map, const struct mempolicy *policy, unsigned long index,
		    enum map_access access)
{
	struct page *page = NULL;
	struct leaf leaf;
	int err;

	down_read(&map->sem);
	err = check_leaf(map, index);
	leaf = map->ops->look(map, index);
	if (!err && (!leaf.present || leaf.own))
		err = -EAGAIN;
	if (!err && must_copy(&leaf, held_by(access))) {
		/* Who else has it may let go of it; and who clones waits. */
		page = frame_hold(leaf.frame);
		atomic_inc(&map->copying);
	} else if (!err) {
		map_claim(map, leaf.frame, round_down(index, 1UL << leaf.order));
		err = widen(map, index, &leaf);
	}
	up_read(&map->sem);
	if (!page)
		return err;
	err = copy_held(map, policy, index, &leaf);
	frame_release(page);
	if (atomic_dec_and_test(&map->copying))
		wake_up_all(&map->gate.opened);
	return err;
}

/**
 * map_own() - see that a page has a frame that is the map's own, so that it may be written
 * @map:	the map
 * @policy:	as for map_fill()
 * @index:	the page
 * @access:	MAP_WRITE, or MAP_WRITE_HELD: the caller has a reference to what frame there is
 * Return: as map_fill(); -EIO: its memory has failed, and cannot be copied.
 */
int map_own(struct map *map, const struct mempolicy *policy, unsigned long index,
	    enum map_access access)
{
	unsigned long span = round_down(index, SPAN_PAGES);
	struct leaf leaf;
	int err;

	for (;;) {
		leaf = map->ops->look(map, index);
		if (leaf.present && leaf.own)
			return READ_ONCE(map->still) ? -EBUSY : 0;
		if (!gate_is_open(map, span, span + SPAN_PAGES))
			return -EBUSY;
		if (!leaf.present)
			err = map_fill(map, policy, index);
		else if (!tableset_is_own(map->truth, index / SPAN_PAGES, true))
			err = map_own_tables(map, index, true);
		else
			err = map_fill_alone(map, policy, index, access, own_leaf);
		if (err && err != -EAGAIN)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

/**
 * map_own_wait() - the same, waiting at the gate
 * @map:	the map
 * @index:	the page
 * Return: as map_own(), but for -EBUSY.
 */
int map_own_wait(struct map *map, unsigned long index)
{
	int err;

	do {
		err = gate_wait_page(map, index) ?: map_own(map, NULL, index, MAP_WRITE);
	} while (err == -EBUSY);
	return err;
}

/* The same, for a page's tables. */
static int own_tables_wait(struct map *map, unsigned long index, bool ptes)
{
	int err;

	do {
		err = gate_wait_page(map, index) ?: map_own_tables(map, index, ptes);
	} while (err == -EBUSY);
	return err;
}

/* See that what begins or ends at a byte can be told from what is beside it. */
static int own_border(struct map *map, loff_t pos)
{
	unsigned long index = pos >> PAGE_SHIFT;
	struct leaf leaf;

	if (!(pos & ~PUD_MASK))
		return 0;
	if (!(pos & ~PMD_MASK))
		return own_tables_wait(map, index, false);
	leaf = map->ops->look(map, index);
	/* Of a frame of which some is to be cleared, and another part is not, the map needs its own. */
	if (leaf.present && pos & ((PAGE_SIZE << leaf.order) - 1))
		return map_own_wait(map, index);
	return own_tables_wait(map, index, true);
}

/**
 * map_own_range() - see that a range can be taken out, and what of frames is in it be cleared
 * @map:	the map, which nobody clones meanwhile
 * @start:	first byte
 * @end:	byte after the last
 *
 * That takes memory at its ends alone; where entries for tables stay what they are, of all GiBs that it has a part of.
 * Return: 0, -ENOMEM, -EDQUOT, -EIO (memory has failed of which some is to stay), -EINTR (a fatal signal).
 */
int map_own_range(struct map *map, loff_t start, loff_t end)
{
	unsigned long index, next, last = DIV_ROUND_UP(end, PAGE_SIZE);
	struct leaf leaf;
	int err;

	if (!READ_ONCE(map->shares))
		return 0;
	err = own_border(map, start) ?: own_border(map, end);
	/* What is not dropped as a whole (map_drop_table()), where entries for tables stay what they are. */
	for (index = start >> PAGE_SHIFT; !COMPAT_PMD_ENTRIES_GO && index < last && !err;
	     index = next) {
		next = index + GIB_PAGES;
		/* Of one that is the map's own, each is taken out by itself. */
		if (!(index % GIB_PAGES) && next <= end >> PAGE_SHIFT &&
		    !tableset_is_own(map->truth, index / SPAN_PAGES, false))
			continue;
		leaf = map->ops->look(map, index);
		next = round_down(index, SPAN_PAGES) + SPAN_PAGES;
		if (!leaf.present && leaf.order)
			next = leaf_end(&leaf, index);
		else
			err = own_tables_wait(map, index, true);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/**
 * map_is_own_range() - can a range be taken out still, for which map_own_range() was called?
 * @map:	the map, whose gate is closed there
 * @start:	first byte
 * @end:	byte after the last
 * Return: whether; else it is to be called anew: who wrote there has a GiB's table be the map's own meanwhile, and the
 * others below it are not.
 */
bool map_is_own_range(struct map *map, loff_t start, loff_t end)
{
	unsigned long span = start >> PMD_SHIFT, last = DIV_ROUND_UP(end, PMD_SIZE);

	if (COMPAT_PMD_ENTRIES_GO || !READ_ONCE(map->shares))
		return true;
	while (span < last) {
		if (!tableset_has_gib(map->truth, span / GIB_SPANS) ||
		    !tableset_is_own(map->truth, span, false))
			span = round_down(span, GIB_SPANS) + GIB_SPANS;
		else if (tableset_is_own(map->truth, span, true))
			span++;
		else
			return false;
		cond_resched();
	}
	return true;
}

/**
 * map_own_frames() - see that what frames there are in a range are the map's own
 * @map:	the map, which nobody clones meanwhile
 * @start:	first byte
 * @end:	byte after the last
 * Return: as map_own_range().
 */
int map_own_frames(struct map *map, loff_t start, loff_t end)
{
	unsigned long index, last = DIV_ROUND_UP(end, PAGE_SIZE);
	struct leaf leaf;
	int err = 0;

	if (!READ_ONCE(map->shares))
		return 0;
	for (index = start >> PAGE_SHIFT; index < last && !err; index = leaf_end(&leaf, index)) {
		leaf = map->ops->look(map, index);
		if (leaf.present && !leaf.own)
			err = map_own_wait(map, index);
		cond_resched();
	}
	return err;
}

/**
 * map_share_undo() - a map that was prepared to be cloned was not, or shares nothing any more
 * @map:	the map, of which nothing has come to be shared, with the inode's lock held for writing
 * @shares:	what it shared before
 */
void map_share_undo(struct map *map, enum map_shares shares)
{
	down_write(&map->sem);
	WRITE_ONCE(map->shares, shares);
	up_write(&map->sem);
}

/**
 * map_unshared() - find out whether a map shares nothing any more
 * @map: the map, which nobody clones meanwhile, nor changes the length of
 *
 * Then mappings that are made from here on need not ask before they are written.
 * Return: whether that is so now, and was not.
 */
bool map_unshared(struct map *map)
{
	unsigned long index;
	struct leaf leaf;

	if (!READ_ONCE(map->shares))
		return false;
	/* What is the map's own stays so. */
	for (index = 0; index < map->tail; index = leaf_end(&leaf, index)) {
		leaf = map->ops->look(map, index);
		if ((leaf.present && !leaf.own) || fatal_signal_pending(current) ||
		    !tableset_is_own(map->truth, index / SPAN_PAGES, true))
			return false;
		cond_resched();
	}
	map_share_undo(map, SHARES_NONE);
	return true;
}

/* Have a cache show nothing of some spans of a GiB; did it? */
static bool clear_spans(struct map *map, struct tableset *set, unsigned long span,
			unsigned long end)
{
	bool found = false;

	if (!tableset_has_gib(set, span / GIB_SPANS))
		return false;
	for (; span < end; span++) {
		down_write(&map->sem);
		tableset_stale(set, span / GIB_SPANS);
		found |= tableset_clear(set, span * SPAN_PAGES, (span + 1) * SPAN_PAGES);
		up_write(&map->sem);
		cond_resched();
	}
	return found;
}

/**
 * map_clear_caches() - have the tablesets that are caches show nothing of some spans
 * @map:	the map, whose gate is closed there, and of which the truth shows nothing of them, or what it is to
 * @span:	the first span
 * @end:	span after the last, of the same GiB
 */
void map_clear_caches(struct map *map, unsigned long span, unsigned long end)
{
	struct tableset *set;
	bool found;

	do {
		found = false;
		for (set = READ_ONCE(map->sets); set != map->truth; set = set->next)
			found |= clear_spans(map, set, span, end);
		/* Who saw a small leaf before may write it again on some kernels. */
		if (!found || !tables_map_comes_back(map))
			break;
		synchronize_rcu_expedited();
	} while (found);
}

/**
 * map_drop_table() - take out a table that others have, too, if all that it shows is to go
 * @map:	the map, whose gate is closed there
 * @start:	first byte that is to go
 * @end:	byte after the last
 * @dropped:	gets the table, for map_give_dropped()
 * Return: where what it showed ends; @start: it is none.
 */
loff_t map_drop_table(struct map *map, loff_t start, loff_t end, struct list_head *dropped)
{
	unsigned long span = start >> PMD_SHIFT;
	bool whole = !(start & ~PUD_MASK) && end - start >= PUD_SIZE, done;
	loff_t next = start + (whole ? PUD_SIZE : PMD_SIZE);
	struct displaced *displaced;

	if (!READ_ONCE(map->shares) || start & ~PMD_MASK || next > end)
		return start;
	/* In a table that is the map's own, one after the other. */
	if (whole && tableset_is_own(map->truth, span, false)) {
		whole = false;
		next = start + PMD_SIZE;
	}
	if (!whole && (!COMPAT_PMD_ENTRIES_GO || tableset_is_own(map->truth, span, true)))
		return start;
	displaced = displaced_new(map->truth);
	down_write(&map->sem);
	done = tableset_drop(map->truth, span, whole, displaced);
	up_write(&map->sem);
	if (!done) {
		displaced_drop(displaced);
		return start;
	}
	displaced->first = start >> PAGE_SHIFT;
	list_add_tail(&displaced->list, dropped);
	map_clear_caches(map, span, next >> PMD_SHIFT);
	return next;
}

static void wait_frame(void *map, unsigned int order, u64 frame)
{
	map_wait_mapper(map, frame);
}

static void uncount_frame(void *map, unsigned int order, u64 frame)
{
	source_count(((struct map *)map)->source, order, 1, &frame, false);
}

/**
 * map_wait_dropped() - map_wait_mappers() for what dropped tables show
 * @map:	the map
 * @dropped:	the tables
 */
void map_wait_dropped(struct map *map, const struct list_head *dropped)
{
	struct displaced *displaced;

	/* As there. */
	smp_mb();
	if (!READ_ONCE(map->paged))
		return;
	list_for_each_entry(displaced, dropped, list)
		displaced_each(displaced, map, wait_frame);
}

/**
 * map_give_dropped() - dropped tables are spliced nowhere any more
 * @map:	the map
 * @dropped:	the tables; empty when it returns
 */
void map_give_dropped(struct map *map, struct list_head *dropped)
{
	struct displaced *displaced, *next;

	list_for_each_entry_safe(displaced, next, dropped, list) {
		list_del(&displaced->list);
		trace_morsel_free(map, displaced->small, displaced->huge);
		atomic_long_sub(displaced->small, &map->small);
		atomic_long_sub(displaced->huge, &map->huge);
		if (source_spread(map->source))
			displaced_each(displaced, map, uncount_frame);
		family_left_tables(map, displaced->first, displaced);
		map->reach->displaced(map, displaced);
	}
}

/* Of what is pinned, a clone has copies. */
static int copy_pinned(struct map *clone, unsigned long index, const struct leaf *leaf,
		       unsigned long *tables)
{
	unsigned int count = 1U << leaf->order;
	u64 *frames = kmalloc_array(count, sizeof(*frames), GFP_KERNEL);
	int err = 0, added;

	if (!frames)
		return -ENOMEM;
	map_uncount(clone, leaf->order, 1, &leaf->frame);
	if (leaf->order && source_take_as_is(clone->source, NULL, HUGE_ORDER, frames)) {
		copy_frame(*frames, leaf->frame, HUGE_ORDER);
		added = clone->ops->add(clone, index, index + count, HUGE_ORDER, frames, 1);
		if (added < 0)
			map_give_unused(clone, HUGE_ORDER, 1, frames);
		kfree(frames);
		return min(added, 0);
	}
	err = leaf->order && clone->granule == MORSEL_GRANULE_2M
		      ? source_short(clone->source, HUGE_ORDER)
		      : map_copy_small(clone, NULL, leaf->frame, count, frames);
	if (!err) {
		added = clone->ops->add(clone, index, index + count, 0, frames, count);
		if (added < 0)
			map_give_unused(clone, 0, count, frames);
		else if (leaf->order)
			++*tables;
		err = min(added, 0);
	}
	kfree(frames);
	return err;
}

/* The same of a GiB. */
static int copy_own(struct map *map, struct map *clone, unsigned long first, unsigned long end,
		    unsigned long *tables)
{
	unsigned long index, next;
	struct leaf leaf;
	int err = 0;

	for (index = first; index < end && !err; index = next) {
		leaf = map->ops->look(map, index);
		next = leaf_end(&leaf, index);
		if (leaf.present && leaf.own)
			err = frame_bad(leaf.frame, leaf.order)
				      ? -EIO
				      : copy_pinned(clone, index, &leaf, tables);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/* Where caches have leaves for writing, they are to show nothing; with the sem held for writing. */
static void clear_writable(struct map *map, unsigned long span, unsigned long end,
			   struct freezing *freezing)
{
	unsigned long gib = span / GIB_SPANS, i;
	struct tableset *set;

	for (set = READ_ONCE(map->sets); set != map->truth; set = set->next) {
		if (!rights_write(set->rights) || !tableset_has_gib(set, gib))
			continue;
		tableset_stale(set, gib);
		for (i = span; i < end; i++)
			freezing->changed |= tableset_clear(set, i * SPAN_PAGES,
							    (i + 1) * SPAN_PAGES);
	}
}

/* Have all of a GiB be for reading, a part after the other. */
static void freeze_gib(struct map *map, unsigned long gib, struct freezing *freezing)
{
	unsigned long span = gib * GIB_SPANS, end = span + GIB_SPANS, next;
	bool reserved = !mtree_empty(&map->reserved);

	for (; span < end; span = next) {
		down_write(&map->sem);
		/* What is reserved the map is to have for itself when it is written. */
		if (reserved && map_has_reserved(map, span * SPAN_PAGES, (span + 1) * SPAN_PAGES)) {
			next = span + 1;
			freezing->busy = true;
		} else {
			next = tableset_freeze(map->truth, span, reserved ? span + 1 : end,
					       freezing);
			clear_writable(map, span, next, freezing);
		}
		up_write(&map->sem);
		cond_resched();
	}
}

/* Who saw a small leaf before may write it again on some kernels: until nobody can be left who saw one. */
static void freeze_all(struct map *map, unsigned long first, unsigned long end)
{
	struct freezing freezing;
	unsigned long gib;

	if (!tables_map_comes_back(map))
		return;
	do {
		freezing = (struct freezing){};
		for (gib = first; gib < end; gib++)
			if (tableset_has_gib(map->truth, gib))
				freeze_gib(map, gib, &freezing);
		synchronize_rcu_expedited();
	} while (freezing.changed);
}

static void count_frame(void *clone, unsigned int order, u64 frame)
{
	map_count(clone, order, 1, &frame);
}

/* @count: the clone has counted nothing yet. */
static int share_gib(struct map *map, struct map *clone, unsigned long gib, bool count,
		     unsigned long *tables)
{
	struct freezing freezing = {.last = true};
	int err;

	freeze_gib(map, gib, &freezing);
	if (count)
		tableset_each(map->truth, gib, clone, count_frame);
	down_write(&map->sem);
	err = tableset_share(map->truth, clone->truth, gib, freezing.busy);
	up_write(&map->sem);
	if (!err && freezing.busy)
		err = copy_own(map, clone, gib * GIB_PAGES, (gib + 1) * GIB_PAGES, tables);
	return err;
}

/* What a clone would share. */
static enum map_shares would_share(const struct map *map)
{
	return atomic_long_read(&map->small) ? SHARES_SMALL : SHARES_HUGE;
}

/**
 * map_share_prepare() - a map is about to be cloned, or to be as another
 * @map:	the map
 * @least:	what there is that it may come to share
 *
 * Mappings that are made from here on are ready for that (cow_is_due()).
 */
void map_share_prepare(struct map *map, enum map_shares least)
{
	down_write(&map->sem);
	WRITE_ONCE(map->shares, max3(map->shares, would_share(map), least));
	up_write(&map->sem);
}

/* No longer does who clones rest. */
#define REST_MOST (100 * NSEC_PER_MSEC)

/* Who had to wait while it was cloned the last time is to have as much time now; -EINTR. */
static int rest(struct map *map)
{
	ktime_t until = READ_ONCE(map->rest);

	if (ktime_before(ktime_get(), until)) {
		__set_current_state(TASK_KILLABLE);
		schedule_hrtimeout(&until, HRTIMER_MODE_ABS);
	}
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Who is in the midst of copying something is not to do so in vain. */
static int close_for_all(struct map *map, struct closed *range, enum share_wait wait)
{
	int err;

	if (wait == SHARE_TRIES)
		return gate_try_close(map, range, 0, ULONG_MAX) ? 0 : -EBUSY;
	err = wait == SHARE_RESTS ? rest(map) : 0;
	return err ?: gate_close(map, range, 0, ULONG_MAX);
}

/**
 * map_still_begin() - have nobody write to a map, nor change it, nor splice anything of it
 * @map:	the map
 * @range:	for map_share_end()
 * @wait:	how long to wait for others
 * Return: 0; -EINTR: a fatal signal; -EBUSY: somebody would have to be waited for; and nothing was begun.
 */
int map_still_begin(struct map *map, struct closed *range, enum share_wait wait)
{
	int err = close_for_all(map, range, wait);

	if (err)
		return err;
	if (wait == SHARE_TRIES && atomic_read(&map->copying))
		err = -EBUSY;
	else if (wait_event_killable(map->gate.opened, !atomic_read(&map->copying)))
		err = -EINTR;
	if (err) {
		gate_open(map, range);
		return err;
	}
	map->share_begun = ktime_get();
	be_still(map, true);
	return 0;
}

/**
 * map_share_begin() - the same, where it is to come to share something
 * @map:	the map, for which map_share_prepare() was called
 * @range:	as there
 * @least:	as for that
 * @wait:	as there
 * Return: as that; -EAGAIN: small frames have come since, or it was found to share nothing, and it
 * is to be prepared again.
 */
int map_share_begin(struct map *map, struct closed *range, enum map_shares least,
		    enum share_wait wait)
{
	int err = map_still_begin(map, range, wait);

	if (!err && map->shares < max(would_share(map), least)) {
		map_share_end(map, range);
		err = -EAGAIN;
	}
	return err;
}

/**
 * map_share_end() - end what map_share_begin() began
 * @map:	the map
 * @range:	of that
 */
void map_share_end(struct map *map, struct closed *range)
{
	ktime_t now = ktime_get(), took = min_t(ktime_t, now - map->share_begun, REST_MOST);

	if (wq_has_sleeper(&map->gate.opened))
		WRITE_ONCE(map->rest, now + took);
	be_still(map, false);
	gate_open(map, range);
}

/**
 * map_share() - have a clone show what a map has
 * @map:	the map, between map_share_begin() and map_share_end(); no address space has anything of what is shared
 * @clone:	the clone's, of the same length, which nobody uses yet
 * @gibs:	of these GiBs alone
 * Return: 0; -ENOMEM, -EDQUOT, -EIO (pinned memory has failed), -EINTR (a fatal signal): the clone's is to
 * be freed.
 */
int map_share(struct map *map, struct map *clone, const struct gibs *gibs)
{
	unsigned long nr = DIV_ROUND_UP(min(map_pages(map), map_pages(clone)), GIB_PAGES);
	unsigned long end = min(nr, gibs->end), gib, tables = 0;
	bool whole = !gibs->first && end == nr;
	int err = source_copy_counts(clone->source, map->source, whole) ?: family_join(map, clone);

	clone->shares = map->shares;
	clone->tail = map->tail;
	if (err)
		return err;
	if (whole) {
		atomic_long_set(&clone->small, atomic_long_read(&map->small));
		atomic_long_set(&clone->huge, atomic_long_read(&map->huge));
	}
	freeze_all(map, gibs->first, end);
	for (gib = gibs->first; gib < end && !err; gib++) {
		if (!tableset_has_gib(map->truth, gib))
			continue;
		err = share_gib(map, clone, gib, !whole, &tables);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
	}
	/* As many as its source has, and those for small copies of huge frames. */
	atomic_long_set(&clone->truth->nr_tables,
			atomic_long_read(&map->truth->nr_tables) + tables);
	return err;
}
