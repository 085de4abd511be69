// SPDX-License-Identifier: GPL-2.0
/*
 * The gate: while a range is closed, nobody adds frames there.
 *
 * Nothing is to be put where something was taken away until all who map that have
 * been told: none is to see one frame become another.
 */
#include <linux/sched/signal.h>

#include "map/map.h"

/**
 * gate_init() - a gate that is open
 * @gate: the gate
 */
void gate_init(struct gate *gate)
{
	spin_lock_init(&gate->lock);
	INIT_LIST_HEAD(&gate->closed);
	init_waitqueue_head(&gate->opened);
}

/**
 * gate_overlaps() - is any page of a range closed, as some are?
 * @map:	the map
 * @first:	first page
 * @end:	page after the last
 *
 * Called with the map's sem held, or the gate's lock.
 * Return: whether one is.
 */
bool gate_overlaps(const struct map *map, unsigned long first, unsigned long end)
{
	const struct closed *range;

	list_for_each_entry(range, &map->gate.closed, list)
		if (first < range->end && end > range->first)
			return true;
	return false;
}

/**
 * gate_has_open() - is no page of a range closed, though some are?
 * @map:	the map
 * @first:	first page
 * @end:	page after the last
 *
 * Without the map's sem, a hint.
 * Return: whether none is.
 */
bool gate_has_open(struct map *map, unsigned long first, unsigned long end)
{
	struct gate *gate = &map->gate;
	bool open;

	spin_lock(&gate->lock);
	open = !gate_overlaps(map, first, end);
	spin_unlock(&gate->lock);
	return open;
}

static bool close_if_open(struct map *map, struct closed *range)
{
	struct gate *gate = &map->gate;
	bool open;

	down_write(&map->sem);
	open = !gate_overlaps(map, range->first, range->end);
	if (open) {
		spin_lock(&gate->lock);
		list_add(&range->list, &gate->closed);
		spin_unlock(&gate->lock);
	}
	up_write(&map->sem);
	return open;
}

/**
 * gate_try_close() - close a range, unless somebody has a part of it closed
 * @map:	the map
 * @range:	for gate_open()
 * @first:	first page
 * @end:	page after the last
 *
 * Who adds frames there has done so when it returns.
 * Return: whether it is closed.
 */
bool gate_try_close(struct map *map, struct closed *range, unsigned long first, unsigned long end)
{
	range->first = first;
	range->end = end;
	return close_if_open(map, range);
}

/**
 * gate_close() - close a range, once nobody else has a part of it closed
 * @map:	the map
 * @range:	for gate_open()
 * @first:	first page
 * @end:	page after the last
 *
 * Who adds frames there has done so when it returns.
 * Return: 0; -EINTR: a fatal signal, and nothing is closed.
 */
int gate_close(struct map *map, struct closed *range, unsigned long first, unsigned long end)
{
	range->first = first;
	range->end = end;
	do {
		if (wait_event_killable(map->gate.opened, gate_is_open(map, first, end)))
			return -EINTR;
	} while (!close_if_open(map, range));
	return 0;
}

/**
 * gate_open() - open a range again
 * @map:	the map
 * @range:	from gate_close()
 */
void gate_open(struct map *map, struct closed *range)
{
	down_write(&map->sem);
	spin_lock(&map->gate.lock);
	list_del(&range->list);
	spin_unlock(&map->gate.lock);
	up_write(&map->sem);
	wake_up_all(&map->gate.opened);
}

/**
 * gate_wait_open() - wait until a range is open
 * @map:	the map
 * @first:	first page
 * @end:	page after the last
 *
 * Somebody may close it again before the caller takes the map's sem.
 * Return: 0, or -EINTR (a fatal signal).
 */
int gate_wait_open(struct map *map, unsigned long first, unsigned long end)
{
	return wait_event_killable(map->gate.opened, gate_is_open(map, first, end)) ? -EINTR : 0;
}
