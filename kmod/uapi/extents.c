// SPDX-License-Identifier: GPL-2.0
/*
 * The shape of a morsel: which frames it has, and where there are none.
 */
#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "morsel.h"
#include "uapi/calls.h"

static bool pmd_is_leaf(pmd_t pmd)
{
	return pmd_val(pmd) & _PAGE_PSE;
}

static pte_t *pmd_ptes(pmd_t pmd)
{
	return (pte_t *)pmd_page_vaddr(pmd);
}

/*
 * The walk of call_extents().  Extents are gathered for a span at a time with
 * the sem held and copied to the caller without it: the copy may fault, and the
 * caller's memory may be this very morsel.  The last extent is held back until
 * the next is known not to continue it.
 */
struct extent_walk {
	struct morsel_extent *batch;
	unsigned int nr;
	bool show_frames;
};

/* The most extents that one span adds, and the one held back. */
#define EXTENT_BATCH (SPAN_PAGES + 1)

static void extent_add(struct extent_walk *walk, unsigned long first, unsigned long end, u32 level,
		       struct page *page)
{
	struct morsel_extent *last = walk->nr ? &walk->batch[walk->nr - 1] : NULL;
	u64 length = (u64)(end - first) << PAGE_SHIFT;
	u64 frame = page ? page_to_pfn(page) : 0;
	u32 node = page ? page_to_nid(page) : MORSEL_ANY;

	if (last && last->level == level && last->node == node &&
	    (!page || frame == last->frame + last->length / PAGE_SIZE)) {
		last->length += length;
		return;
	}
	walk->batch[walk->nr++] = (struct morsel_extent){
		.offset = (u64)first << PAGE_SHIFT,
		.length = length,
		.frame = frame,
		.level = level,
		.node = node,
	};
}

static void extent_span(struct extent_walk *walk, unsigned long first, unsigned long end, pmd_t pmd)
{
	unsigned long index;

	if (pmd_none(pmd)) {
		extent_add(walk, first, end, MORSEL_LEVEL_HOLE_2M, NULL);
		return;
	}
	if (pmd_is_leaf(pmd)) {
		extent_add(walk, first, end, MORSEL_LEVEL_2M, pmd_page(pmd) + first % SPAN_PAGES);
		return;
	}
	for (index = first; index < end; index++) {
		pte_t pte = READ_ONCE(pmd_ptes(pmd)[index % SPAN_PAGES]);

		if (pte_none(pte))
			extent_add(walk, index, index + 1, MORSEL_LEVEL_HOLE_4K, NULL);
		else
			extent_add(walk, index, index + 1, MORSEL_LEVEL_4K, pte_page(pte));
	}
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

/* Fill the array with what there is from the cursor, a byte offset, on. */
static int list_extents(struct morsel *m, struct morsel_cursor *cursor)
{
	struct extent_walk walk = {.show_frames = capable(CAP_SYS_ADMIN)};
	unsigned long index, next;
	int err = 0;

	walk.batch = kvmalloc_array(EXTENT_BATCH, sizeof(*walk.batch), GFP_KERNEL);
	if (!walk.batch)
		return -ENOMEM;

	for (index = cursor->list.cursor >> PAGE_SHIFT; index < m->pages && !err; index = next) {
		unsigned long span = index / SPAN_PAGES;
		pmd_t *pmds = morsel_pmds(m, RIGHTS_RW, span / GIB_SPANS);

		if (!pmds) {
			next = min(m->pages, round_down(index, GIB_PAGES) + GIB_PAGES);
			extent_add(&walk, index, next, MORSEL_LEVEL_HOLE_1G, NULL);
		} else {
			next = min(m->pages, (span + 1) * SPAN_PAGES);
			down_read(&m->sem);
			extent_span(&walk, index, next, READ_ONCE(pmds[span % GIB_SPANS]));
			up_read(&m->sem);
		}
		err = extent_copy(&walk, cursor, 1);
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
