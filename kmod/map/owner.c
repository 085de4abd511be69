// SPDX-License-Identifier: GPL-2.0
/*
 * Whose a frame is: it says so itself, as long as it is in a map.
 *
 * A futex that processes share is known by its frame's mapping and index.  The mapping is one for all
 * frames, as a frame that clones share may outlive the map that it was made for; and the index has the
 * map's number above that of the page.  The mapping knows of no VMA: the kernel must not get from a
 * frame to the tables that map it.
 */
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "map/map.h"
#include "morsel.h"
#include "pools/batch.h"
#include "trace.h"

#define NUMBER_SHIFT 34
#define NUMBER_MAX ((int)((1UL << (BITS_PER_LONG - NUMBER_SHIFT)) - 1))

/* Dirtying a frame, as who has written to it by way of a pin does, means nothing here. */
static const struct address_space_operations frame_aops = {
	.dirty_folio = noop_dirty_folio,
};

static struct address_space frames;
static DEFINE_IDA(numbers);

/**
 * map_owner_init() - what the frames of all maps belong to
 * @host: an inode that stays while there are any
 */
void map_owner_init(struct inode *host)
{
	address_space_init_once(&frames);
	frames.host = host;
	frames.a_ops = &frame_aops;
}

/**
 * map_number_get() - give a map a number
 * @map: the map
 * Return: 0; -ENOMEM.
 *
 * Frames that others have still may say a number that another map has by then: none of those is
 * waited for by a futex that somebody wakes, as who does writes to it before (map_own()).
 */
int map_number_get(struct map *map)
{
	int number = ida_alloc_max(&numbers, NUMBER_MAX, GFP_KERNEL);

	static_assert(MORSEL_MAX_LENGTH >> PAGE_SHIFT <= 1UL << NUMBER_SHIFT);
	if (number < 0)
		return -ENOMEM;
	map->number = number;
	return 0;
}

/**
 * map_number_put() - give a map's number back
 * @map: the map, which has no frames any more
 */
void map_number_put(struct map *map)
{
	ida_free(&numbers, map->number);
}

/**
 * map_claim() - have a frame, which nobody else sees, say whose it is, and which page
 * @map:	the map
 * @frame:	the frame
 * @index:	the page, of a huge frame the first
 */
void map_claim(const struct map *map, u64 frame, unsigned long index)
{
	struct folio *folio = page_folio(frame_page(frame));

	folio->index = (unsigned long)map->number << NUMBER_SHIFT | index;
	WRITE_ONCE(folio->mapping, &frames);
}

/**
 * map_index_of() - which page of a map is a frame, or of a huge one the first?
 * @frame: the frame, which a map has
 * Return: the page; clones have it where their source has.
 */
unsigned long map_index_of(u64 frame)
{
	return page_folio(frame_page(frame))->index & (BIT(NUMBER_SHIFT) - 1);
}

static void wait_mapper(u64 frame)
{
	lock_page(frame_page(frame));
	unlock_page(frame_page(frame));
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
	while (batch_next(&walk, &order, &frame))
		wait_mapper(frame);
}

/**
 * map_wait_mapper() - the same for a frame that another has taken the place of
 * @map:	the map
 * @frame:	the frame
 */
void map_wait_mapper(struct map *map, u64 frame)
{
	/* As above. */
	smp_mb();
	if (READ_ONCE(map->paged))
		wait_mapper(frame);
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
	source_give(order, count, frames);
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
		if (frame_shared(frame))
			family_left_frame(map, order, frame);
	}
	/* Also if there is nothing: room may have been made for some. */
	batch_give(batch);
}
