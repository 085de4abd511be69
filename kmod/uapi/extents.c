// SPDX-License-Identifier: GPL-2.0
/*
 * The shape of a morsel: which frames it has, and where there are none.
 *
 * Extents are gathered for a span at a time and copied to the caller with no lock
 * held: the copy may fault, and the caller's memory may be this very morsel.  The last
 * extent is held back until the next is known not to continue it.
 */
#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "morsel.h"
#include "pools/frame.h"
#include "pools/pool.h"
#include "uapi/calls.h"

struct extent_walk {
	struct morsel_extent *batch;
	unsigned int nr;
	bool show_frames;
};

/* The most extents that one span adds, and the one held back. */
#define EXTENT_BATCH (SPAN_PAGES + 1)

static u32 level_of(const struct leaf *leaf)
{
	switch (leaf->order) {
	case GIB_ORDER:
		return MORSEL_LEVEL_HOLE_1G;
	case HUGE_ORDER:
		return leaf->present ? MORSEL_LEVEL_2M : MORSEL_LEVEL_HOLE_2M;
	default:
		return leaf->present ? MORSEL_LEVEL_4K : MORSEL_LEVEL_HOLE_4K;
	}
}

/*
 * Who may not know which frames there are is not to be told by where an extent ends which
 * ones follow each other.
 */
static void extent_add(struct extent_walk *walk, unsigned long first, unsigned long end,
		       const struct leaf *leaf, u32 shared)
{
	struct morsel_extent *last = walk->nr ? &walk->batch[walk->nr - 1] : NULL;
	u64 frame = leaf->present ? leaf_frame(leaf, first) : 0;
	u32 node = leaf->present ? frame_pool(frame)->node : MORSEL_ANY;
	u64 length = (u64)(end - first) << PAGE_SHIFT;

	if (last && last->level == level_of(leaf) && last->node == node && last->shared == shared &&
	    (!leaf->present || !walk->show_frames ||
	     frame == last->frame + last->length / PAGE_SIZE)) {
		last->length += length;
		return;
	}
	walk->batch[walk->nr++] = (struct morsel_extent){
		.offset = (u64)first << PAGE_SHIFT,
		.length = length,
		.frame = frame,
		.level = level_of(leaf),
		.node = node,
		.shared = shared,
	};
}

/* Copy all gathered extents but the last @keep.  1: the caller's array is full. */
static int extent_copy(struct extent_walk *walk, struct morsel_cursor *cursor, unsigned int keep)
{
	unsigned int i;
	int err;

	for (i = 0; i + keep < walk->nr; i++) {
		struct morsel_extent extent = walk->batch[i];

		if (!morsel_cursor_room(cursor))
			return 1;
		if (!walk->show_frames)
			extent.frame = 0;
		err = morsel_cursor_put(cursor, &extent, sizeof(extent));
		if (err)
			return err;
		cursor->list.cursor = extent.offset + extent.length;
	}
	if (i && keep)
		walk->batch[0] = walk->batch[i];
	walk->nr -= i;
	return 0;
}

/* Gather what there is of one span, or one hole, from a page on; returns the page behind it. */
static unsigned long extent_gather(struct extent_walk *walk, struct map *map, unsigned long index)
{
	unsigned long pages = map_pages(map);
	unsigned long end = min(pages, round_down(index, SPAN_PAGES) + SPAN_PAGES), next;
	struct leaf leaf;

	down_read(&map->sem);
	for (; index < end; index = next) {
		leaf = map->ops->look(map, index);
		next = min(pages, leaf_end(&leaf, index));
		extent_add(walk, index, next, &leaf, map_shared(map, index, &leaf));
	}
	up_read(&map->sem);
	return index;
}

/* Fill the array with what there is from the cursor, a byte offset, on. */
static int list_extents(struct morsel *m, struct morsel_cursor *cursor)
{
	struct map *map = &m->map;
	struct extent_walk walk = {
		/* Who lacks it has done nothing that is to be logged: the rest is for all. */
		.show_frames = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN),
	};
	unsigned long index = cursor->list.cursor >> PAGE_SHIFT;
	int err = 0;

	walk.batch = kvmalloc_array(EXTENT_BATCH, sizeof(*walk.batch), GFP_KERNEL);
	if (!walk.batch)
		return -ENOMEM;
	while (index < map_pages(map) && !err) {
		/* While its size changes, frames are hidden that come back. */
		err = down_read_killable(&m->inode.i_rwsem);
		if (err)
			break;
		index = extent_gather(&walk, map, index);
		up_read(&m->inode.i_rwsem);
		err = extent_copy(&walk, cursor, 1);
		/* Where extents are long, the caller's array does not fill up. */
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	if (!err)
		err = extent_copy(&walk, cursor, 0);
	kvfree(walk.batch);
	return min(err, 0);
}

/**
 * call_extents() - MORSEL_IOC_EXTENTS
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_extents(struct morsel_request *req)
{
	struct morsel_cursor *cursor = &req->args.cursor;
	int err = morsel_cursor_begin(cursor);

	if (err)
		return err;
	if (!IS_ALIGNED(cursor->list.cursor, PAGE_SIZE))
		return -EINVAL;
	return list_extents(file_morsel(req->file), cursor);
}
