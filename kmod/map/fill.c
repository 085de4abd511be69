// SPDX-License-Identifier: GPL-2.0
/*
 * Filling: frames come into a map.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "debug/debug.h"
#include "map/map.h"
#include "trace.h"

/* Frames that are populated by one call of the pool. */
#define BULK SPAN_PAGES
/* And those that a fault gets by one call: their array is on the stack. */
#define FAULT_BULK 32

/* May this span hold a huge frame? */
static bool span_huge(const struct map *map, unsigned long span)
{
	switch (map->granule) {
	case MORSEL_GRANULE_2M:
		return true;
	case MORSEL_GRANULE_AUTO:
		return (span + 1) * SPAN_PAGES <= map_pages(map);
	default:
		return false;
	}
}

/*
 * Put frames into the holes of a span from @first to before @end.  Returns how many were
 * used; -EEXIST: something else is there, or the span is closed; -ERANGE: the map has become
 * shorter; -EXDEV: others have its tables.
 */
static int add(struct map *map, unsigned long first, unsigned long end, unsigned int order,
	       const u64 *frames, unsigned int count)
{
	unsigned long span = round_down(first, SPAN_PAGES);
	int used = -EEXIST;

	down_read(&map->sem);
	if (end > map->pages)
		used = -ERANGE;
	else if (!gate_is_closed(map, span, span + SPAN_PAGES))
		used = map->ops->add(map, first, end, order, frames, count);
	up_read(&map->sem);
	return used;
}

/*
 * Try to fill a whole span with one huge frame.  -EAGAIN: somebody else put
 * something there, or it is closed.
 */
static int fill_huge(struct map *map, const struct mempolicy *policy, unsigned long span)
{
	u64 frame;
	int used;

	if (!source_take(map->source, policy, HUGE_ORDER, 1, &frame))
		return source_short(map->source, HUGE_ORDER);
	used = add(map, span * SPAN_PAGES, (span + 1) * SPAN_PAGES, HUGE_ORDER, &frame, 1);
	if (used < 0)
		map_give_unused(map, HUGE_ORDER, 1, &frame);
	return used == -EEXIST ? -EAGAIN : min(used, 0);
}

/**
 * struct fill - what is to be filled, all of it in one span
 * @policy:	of the mapping that is filled, or NULL
 * @first:	first page that must have a frame
 * @end:	page after the last
 * @around_first: first of those that may get one with it, if there is enough
 * @around_end:	page after the last
 * @frames:	array for frames that are on their way from the pool
 * @size:	how many there may be
 */
struct fill {
	const struct mempolicy *policy;
	unsigned long first;
	unsigned long end;
	unsigned long around_first;
	unsigned long around_end;
	u64 *frames;
	unsigned int size;
};

/*
 * Fill the holes from @first to before @end, all of one span, with small
 * frames; -EAGAIN: there may be some left.
 */
static int fill_small(struct map *map, unsigned long first, unsigned long end, unsigned int holes,
		      const struct fill *fill)
{
	unsigned int got = source_take(map->source, fill->policy, 0, min(holes, fill->size),
				       fill->frames);
	unsigned int unused;
	int used;

	if (!got)
		return source_short(map->source, 0);
	used = add(map, first, end, 0, fill->frames, got);
	unused = got - max(used, 0);
	if (unused)
		map_give_unused(map, 0, unused, fill->frames + got - unused);
	if (used > 0 && morsel_planted(PLANT_EARLY_FREE))
		map_give_unused(map, 0, 1, fill->frames);
	if (used < 0)
		return used == -EEXIST ? -EAGAIN : used;
	return got < holes ? -EAGAIN : 0;
}

/*
 * Fill all holes from @first to before @end, all of one span.  Frames are got
 * and cleared with none but the fill lock held, so that many can do so at once; who
 * loses the race for an entry gives its frame back.  -EBUSY: the span is closed.
 */
static int fill_range(struct map *map, unsigned long first, unsigned long end,
		      const struct fill *fill)
{
	unsigned long span = first / SPAN_PAGES;
	unsigned int holes;
	bool empty;
	int err;

	do {
		holes = map->ops->holes(map, first, end, &empty);
		if (!holes)
			return 0;
		if (!gate_is_open(map, span * SPAN_PAGES, (span + 1) * SPAN_PAGES))
			return -EBUSY;
		if (READ_ONCE(map->shares) && !tableset_is_own(map->truth, span, true))
			return -EXDEV;
		if (empty && span_huge(map, span)) {
			err = fill_huge(map, fill->policy, span);
			if (!err || err == -EAGAIN || map->granule == MORSEL_GRANULE_2M)
				continue;
		}
		err = fill_small(map, first, end, holes, fill);
	} while (err == -EAGAIN);
	return err;
}

static int fill_all(struct map *map, const struct fill *fill)
{
	bool empty;
	/* Who waited for the lock may find it done, neighbours and all. */
	bool around = fill->around_first < fill->around_end &&
		      map->ops->holes(map, fill->first, fill->end, &empty);
	int err = fill_range(map, fill->first, fill->end, fill);

	/* Neighbours are not to take what is scarce. */
	if (!err && around)
		fill_range(map, fill->around_first, fill->around_end, fill);
	return err;
}

/*
 * Who fills a span or a block of pages holds its lock.  Others who find it empty wait,
 * instead of clearing frames for it too, which thousands of processes would have no
 * memory for.  Few locks serve all maps by a hash, as in hugetlbfs: so nobody waits at a
 * gate with one held.
 */
#define FILL_LOCK_BITS 10

static struct mutex fill_locks[1 << FILL_LOCK_BITS];

static struct mutex *lock_of(const struct map *map, unsigned long start)
{
	return &fill_locks[hash_long((unsigned long)map + start, FILL_LOCK_BITS)];
}

/* Fill with the lock of what begins at page @start held; with nobody else filling, if @alone. */
static int fill_locked(struct map *map, const struct fill *fill, unsigned long start, bool alone)
{
	struct mutex *lock = lock_of(map, start);
	int err = -EINTR;

	if (mutex_lock_killable(lock))
		return -EINTR;
	if (alone) {
		if (!down_write_killable(&map->filling)) {
			err = fill_all(map, fill);
			up_write(&map->filling);
		}
	} else if (!down_read_killable(&map->filling)) {
		err = fill_all(map, fill);
		up_read(&map->filling);
	}
	mutex_unlock(lock);
	return err;
}

/*
 * Fill a part of what begins at page @start.  That there are no frames is true only
 * if nobody is about to add some here, or to give some back: then it is tried again alone.
 */
static int fill_part(struct map *map, const struct fill *fill, unsigned long start)
{
	int err = fill_locked(map, fill, start, false);

	return err == -ENOMEM || err == -EDQUOT ? fill_locked(map, fill, start, true) : err;
}

/* As fill_part(), with the tables made the map's own where others have them. */
static int fill_own(struct map *map, const struct fill *fill, unsigned long start)
{
	int err;

	do {
		err = fill_part(map, fill, start);
		if (err != -EXDEV)
			return err;
		err = map_own_tables(map, start, true);
	} while (!err);
	return err;
}

/* The same, waiting at the gate where the span is closed. */
static int fill_part_waiting(struct map *map, const struct fill *fill, unsigned long start)
{
	int err;

	do {
		err = gate_wait_page(map, start) ?: fill_own(map, fill, start);
	} while (err == -EBUSY);
	return err;
}

/**
 * map_set_fault_around() - have faults fill more than the page they are for
 * @map:	the map
 * @bytes:	as struct morsel_tune has it
 * Return: 0 or -EINVAL.
 */
int map_set_fault_around(struct map *map, u32 bytes)
{
	if (!map_fault_around_valid(bytes))
		return -EINVAL;
	WRITE_ONCE(map->fault_around, bytes >> PAGE_SHIFT);
	return 0;
}

/**
 * map_fill() - see that a page has a frame, and its neighbours with it
 * @map:	the map
 * @policy:	of the mapping that it is for, which stays meanwhile; or NULL
 * @index:	the page, below @map->pages
 *
 * Does not wait at the gate: faults have the mmap_lock.
 * Return: 0, -ENOMEM, -EDQUOT, -EBUSY (the span is closed), -ERANGE (the map ends before, by now),
 * or -EINTR (a fatal signal).
 */
int map_fill(struct map *map, const struct mempolicy *policy, unsigned long index)
{
	unsigned long around = READ_ONCE(map->fault_around), block = round_down(index, around);
	u64 frames[FAULT_BULK];
	struct fill fill = {
		.policy = policy,
		.first = index,
		.end = index + 1,
		.around_first = block,
		.around_end = around > 1 ? min(block + around, map_pages(map)) : block,
		.frames = frames,
		.size = FAULT_BULK,
	};
	bool empty;

	if (!map->ops->holes(map, index, index + 1, &empty))
		return 0;
	if (empty && span_huge(map, index / SPAN_PAGES))
		block = round_down(index, SPAN_PAGES);
	return fill_own(map, &fill, block);
}

/**
 * map_fill_alone() - do something for a page as map_fill() would: with nobody else at it in its span,
 * and once more with nobody else filling, if there was no memory
 * @map:	the map
 * @policy:	for that
 * @index:	the page
 * @access:	likewise
 * @fill:	what
 * Return: what that returns; -EINTR (a fatal signal).
 */
int map_fill_alone(struct map *map, const struct mempolicy *policy, unsigned long index,
		   enum map_access access,
		   int (*fill)(struct map *map, const struct mempolicy *policy, unsigned long index,
			       enum map_access access))
{
	struct mutex *lock = lock_of(map, round_down(index, SPAN_PAGES));
	int err;

	if (mutex_lock_killable(lock))
		return -EINTR;
	err = fill(map, policy, index, access);
	if ((err == -ENOMEM || err == -EDQUOT) && !down_write_killable(&map->filling)) {
		err = fill(map, policy, index, access);
		up_write(&map->filling);
	}
	mutex_unlock(lock);
	return err;
}

/**
 * map_populate() - see that all pages of a range have frames, in bulk
 * @map:	the map
 * @policy:	as above
 * @first:	first page
 * @end:	page after the last, at most @map->pages
 * @state:	TASK_INTERRUPTIBLE or TASK_KILLABLE: which signals end it; TASK_RUNNING: it does
 *		not wait at the gate
 * Return: 0, -ENOMEM, -EDQUOT, -ERANGE, -EINTR, or -EBUSY (a span is closed, and it does not wait);
 * what was populated by then stays.
 */
int map_populate(struct map *map, const struct mempolicy *policy, unsigned long first,
		 unsigned long end, unsigned int state)
{
	struct fill fill = {
		.policy = policy,
		.frames = kmalloc_array(BULK, sizeof(*fill.frames), GFP_KERNEL),
		.size = BULK,
	};
	unsigned long start = first;
	int err = 0;

	if (!fill.frames)
		return -ENOMEM;
	for (; first < end && !err; first = fill.end) {
		fill.first = first;
		fill.end = min(end, (first / SPAN_PAGES + 1) * SPAN_PAGES);
		if (first >= map_pages(map))
			err = -ERANGE;
		else if (signal_pending_state(state, current))
			err = -EINTR;
		else if (state == TASK_RUNNING)
			err = fill_own(map, &fill, round_down(first, SPAN_PAGES));
		else
			err = fill_part_waiting(map, &fill, round_down(first, SPAN_PAGES));
		cond_resched();
	}
	kfree(fill.frames);
	trace_morsel_populate(map, start, end, err);
	return err;
}

/**
 * map_fill_init() - what all filling shares
 */
void map_fill_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fill_locks); i++)
		mutex_init(&fill_locks[i]);
}
