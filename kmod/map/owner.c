// SPDX-License-Identifier: GPL-2.0
/*
 * Whose a frame is: it says so itself, as long as it is in a map.
 *
 * A futex that processes share is known by its frame's mapping and index.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "map/map.h"
#include "pools/batch.h"
#include "trace.h"

/*
 * A frame leaves the map.  Under its lock, since who has that may rely on the
 * mapping, and on the map then; who looks without it does so under RCU.
 */
static void disclaim(u64 frame)
{
	struct folio *folio = page_folio(frame_page(frame));

	folio_lock(folio);
	WRITE_ONCE(folio->mapping, NULL);
	folio_unlock(folio);
	cond_resched();
}

/**
 * map_wait_mappers() - wait for who has found frames before they were hidden, and maps them
 * @map:	the map
 * @batch:	the frames
 *
 * Whoever comes later finds that they are hidden (view_shows(), with the frame's lock held).
 */
void map_wait_mappers(struct map *map, const struct frame_batch *batch)
{
	struct batch_walk walk = batch_walk(batch);
	unsigned int order;
	u64 frame;

	/* The leaves before this; pairs with view_be_paged(). */
	smp_mb();
	if (!READ_ONCE(map->paged))
		return;
	while (batch_next(&walk, &order, &frame)) {
		lock_page(frame_page(frame));
		unlock_page(frame_page(frame));
		cond_resched();
	}
}

/**
 * map_give_unused() - give frames back that were got for a map, but did not come in
 * @map:	the map
 * @order:	of each
 * @count:	how many
 * @frames:	these
 */
void map_give_unused(struct map *map, unsigned int order, unsigned int count, const u64 *frames)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		disclaim(frames[i]);
	source_give(map->source, order, count, frames);
}

/**
 * map_give() - give frames back that were taken out of a map
 * @map:	the map
 * @batch:	these; empty when it returns
 *
 * Nobody can reach them by way of the map any more.
 */
void map_give(struct map *map, struct frame_batch *batch)
{
	struct batch_walk walk = batch_walk(batch);
	unsigned int order;
	u64 frame;

	if (!batch_empty(batch)) {
		trace_morsel_free(map, batch->nr_small, batch->nr_huge);
		atomic_long_sub(batch->nr_small, &map->small);
		atomic_long_sub(batch->nr_huge, &map->huge);
	}
	while (batch_next(&walk, &order, &frame)) {
		source_count(map->source, order, 1, &frame, false);
		disclaim(frame);
	}
	/* Also if there is nothing: room may have been made for some. */
	batch_give(batch, map->source);
}
