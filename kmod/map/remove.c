// SPDX-License-Identifier: GPL-2.0
/*
 * Removing: frames leave a map.
 */
#include <linux/highmem.h>
#include <linux/mm.h>

#include "map/map.h"
#include "pools/batch.h"

/*
 * So many frames are taken out at once, and so many spans are looked at that have tables: so long
 * do faults in the range wait, and is nobody looking for signals.
 */
#define REMOVE_MOST (32 * SPAN_PAGES)
#define SPANS_MOST 4096

/*
 * Clear the bytes from @from to before @to of a frame, but for memory that has failed:
 * whoever reads that is told, and to write to it may be the end of the machine.
 */
static void zero_part(u64 frame, size_t from, size_t to)
{
	for (; from < to; from = round_down(from, PAGE_SIZE) + PAGE_SIZE)
		if (!frame_failed(frame + from / PAGE_SIZE))
			memzero_page(frame_page(frame) + from / PAGE_SIZE, offset_in_page(from),
				     min_t(size_t, to - from, PAGE_SIZE - offset_in_page(from)));
}

/* Where the leaf, or the hole, ends that byte @pos is of. */
static loff_t byte_end(const struct leaf *leaf, loff_t pos)
{
	return (loff_t)leaf_end(leaf, pos >> PAGE_SHIFT) << PAGE_SHIFT;
}

/**
 * map_parts_end() - where the pages end that a map shows of a huge frame in small leaves
 * @map:	the map
 * @index:	the first page of a span
 * Return: the page after the last; @index: it shows none so.
 */
unsigned long map_parts_end(const struct map *map, unsigned long index)
{
	unsigned long end = index + SPAN_PAGES;
	struct leaf leaf;

	for (; index < end; index++) {
		leaf = map->ops->look(map, index);
		if (!leaf.present || leaf.order || !frame_is_huge(leaf.frame))
			break;
	}
	return index;
}

/*
 * Gather a huge frame of which the first pages are shown in small leaves, if all of them lie between
 * two bytes of its span; else clear what does.
 */
static bool gather_parts(loff_t start, loff_t end, loff_t parts_end, u64 frame,
			 struct frame_batch *batch)
{
	loff_t offset = start & (PMD_SIZE - 1);

	if (!offset && end == parts_end)
		return batch_add(batch, HUGE_ORDER, frame);
	zero_part(frame - offset / PAGE_SIZE, offset, ((end - 1) & (PMD_SIZE - 1)) + 1);
	return true;
}

/*
 * Gather the frames that lie wholly between two bytes of one span, and clear what lies
 * there partly.  Returns where it stopped: before @end if there is no room for more.  Up to
 * @parts_end, it is the first pages of one huge frame.
 */
static loff_t gather(struct map *map, loff_t start, loff_t end, loff_t parts_end,
		     struct frame_batch *batch)
{
	loff_t pos, next;

	for (pos = start; pos < end; pos = next) {
		struct leaf leaf = map->ops->look(map, pos >> PAGE_SHIFT);

		next = min(end, byte_end(&leaf, pos));
		if (!leaf.present)
			continue;
		if (pos < parts_end) {
			next = end;
			if (!gather_parts(pos, end, parts_end, leaf.frame, batch))
				return pos;
			continue;
		}
		if (next - pos < (loff_t)PAGE_SIZE << leaf.order)
			zero_part(leaf.frame, pos & ((PAGE_SIZE << leaf.order) - 1),
				  ((next - 1) & ((PAGE_SIZE << leaf.order) - 1)) + 1);
		else if (!batch_add(batch, leaf.order, leaf.frame))
			return pos;
	}
	return end;
}

/**
 * map_remove() - take frames out that lie wholly in a range, clear what lies there partly
 * @map:	the map, whose gate is closed there
 * @start:	first byte; gets where to go on, once what was taken out is given back: @end if
 *		all is done
 * @end:	byte after the last
 * @batch:	gets the frames
 * @first:	gets the first byte of the spans that some were taken out of
 * @last:	gets the byte after the last of these; not behind @first, if there were none
 */
void map_remove(struct map *map, loff_t *start, loff_t end, struct frame_batch *batch,
		loff_t *first, loff_t *last)
{
	loff_t begin = *start, pos, next, parts_end;
	unsigned int spans = 0;

	*first = end;
	*last = begin;
	for (pos = begin; pos < end; pos = *start) {
		unsigned long before = batch->nr_small + batch->nr_huge;
		struct leaf leaf;

		if (before >= REMOVE_MOST || spans >= SPANS_MOST)
			break;
		leaf = map->ops->look(map, pos >> PAGE_SHIFT);
		cond_resched();
		*start = min(end, byte_end(&leaf, pos));
		/* What was never touched holds nothing. */
		if (!leaf.present && leaf.order)
			continue;
		spans++;
		/* Not with the sem held: faults elsewhere would wait for memory, too. */
		batch_reserve(batch, leaf.order ? 1 : SPAN_PAGES);
		next = min(end, round_down(pos, (loff_t)PMD_SIZE) + (loff_t)PMD_SIZE);
		down_write(&map->sem);
		parts_end = (loff_t)map_parts_end(map, round_down(pos >> PAGE_SHIFT, SPAN_PAGES))
			    << PAGE_SHIFT;
		if (pos < parts_end)
			next = min(next, parts_end);
		*start = gather(map, pos, next, parts_end, batch);
		if (batch->nr_small + batch->nr_huge > before) {
			map->ops->remove(map, DIV_ROUND_UP(pos, PAGE_SIZE), *start >> PAGE_SHIFT);
			*first = min(*first, pos);
			*last = *start;
		}
		up_write(&map->sem);
		if (*start < next)
			break;
	}
}

/**
 * map_put_back() - put the first pages of a huge frame back that was removed, in small leaves
 * @map:	the map, whose gate is closed there
 * @batch:	that frame alone, or nothing; empty when it returns
 * @end:	page after the last, within the frame's span
 * Return: 0; -ENOMEM, -EDQUOT: there is no memory for a table, and all of it was put back.
 */
int map_put_back(struct map *map, struct frame_batch *batch, unsigned long end)
{
	unsigned long first = round_down(end, SPAN_PAGES);
	struct batch_walk walk = batch_walk(batch);
	unsigned int order;
	u64 frame;
	int err;

	if (!batch_next(&walk, &order, &frame))
		return 0;
	down_read(&map->sem);
	err = map->ops->put_back(map, first, end, frame);
	if (err)
		map->ops->put_back(map, first, first + SPAN_PAGES, frame);
	up_read(&map->sem);
	batch_forget(batch);
	return err;
}

/**
 * map_zero() - clear what frames there are
 * @map:	the map
 * @start:	first byte
 * @end:	byte after the last
 */
void map_zero(struct map *map, loff_t start, loff_t end)
{
	loff_t pos, next;

	down_read(&map->sem);
	for (pos = start; pos < end; pos = next) {
		struct leaf leaf = map->ops->look(map, pos >> PAGE_SHIFT);
		loff_t mask = (PAGE_SIZE << leaf.order) - 1;

		next = min(end, byte_end(&leaf, pos));
		if (leaf.present)
			zero_part(leaf.frame, pos & mask, ((next - 1) & mask) + 1);
	}
	up_read(&map->sem);
}
