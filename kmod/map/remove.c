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

/*
 * Gather the frames that lie wholly between two bytes of one span, and clear what lies
 * there partly.  Returns where it stopped: before @end if there is no room for more.
 */
static loff_t gather(struct map *map, loff_t start, loff_t end, struct frame_batch *batch)
{
	loff_t pos, next;

	for (pos = start; pos < end; pos = next) {
		struct leaf leaf = map->ops->look(map, pos >> PAGE_SHIFT);

		next = min(end, byte_end(&leaf, pos));
		if (!leaf.present)
			continue;
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
 * @dropped:	gets tables that others have, too, and that show nothing that stays
 * @first:	gets the first byte of the spans that some were taken out of
 * @last:	gets the byte after the last of these; not behind @first, if there were none
 */
void map_remove(struct map *map, loff_t *start, loff_t end, struct frame_batch *batch,
		struct list_head *dropped, loff_t *first, loff_t *last)
{
	loff_t begin = *start, pos, next;
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
		*start = map_drop_table(map, pos, end, dropped);
		if (*start > pos) {
			spans++;
			*first = min(*first, pos);
			*last = *start;
			continue;
		}
		*start = min(end, byte_end(&leaf, pos));
		/* What was never touched holds nothing. */
		if (!leaf.present && leaf.order)
			continue;
		spans++;
		/* Not with the sem held: faults elsewhere would wait for memory, too. */
		batch_reserve(batch, leaf.order ? 1 : SPAN_PAGES);
		next = min(end, round_down(pos, (loff_t)PMD_SIZE) + (loff_t)PMD_SIZE);
		down_write(&map->sem);
		*start = gather(map, pos, next, batch);
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
 * map_zero() - clear what frames there are
 * @map:	the map, which nobody clones meanwhile
 * @start:	first byte
 * @end:	byte after the last
 * Return: 0; of frames that others have, too: -ENOMEM, -EDQUOT, -EIO, -EINTR (a fatal signal).
 */
int map_zero(struct map *map, loff_t start, loff_t end)
{
	int err = map_own_frames(map, start, end);
	loff_t pos, next;

	if (err)
		return err;
	down_read(&map->sem);
	for (pos = start; pos < end; pos = next) {
		struct leaf leaf = map->ops->look(map, pos >> PAGE_SHIFT);
		loff_t mask = (PAGE_SIZE << leaf.order) - 1;

		next = min(end, byte_end(&leaf, pos));
		if (leaf.present)
			zero_part(leaf.frame, pos & mask, ((next - 1) & mask) + 1);
	}
	up_read(&map->sem);
	return 0;
}
