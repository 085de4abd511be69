// SPDX-License-Identifier: GPL-2.0
/*
 * Huge frames and runs of them, orders 9 to 18: whole children.
 */
#include "levels.h"

/* One swap takes so many children of a run of @order. */
static uint32_t step_of(uint32_t order)
{
	return order < 11 ? 1U << (order - FRAMES_HUGE_ORDER) : 4;
}

static bool take_step(struct frames *f, uint32_t child, uint32_t step)
{
	uint16_t *at = &f->children[child];
	uint16_t old;
	frames_pair pair;
	frames_quad quad;
	bool taken;

	if (step == 1)
		taken = frames_update(at, &old, child_take_huge);
	else if (step == 2)
		taken = frames_update((frames_pair *)at, &pair, pair_take_huge);
	else
		taken = frames_update((frames_quad *)at, &quad, quad_take_huge);
	return taken;
}

static bool put_step(struct frames *f, uint32_t child, uint32_t step)
{
	uint16_t *at = &f->children[child];
	uint16_t old;
	frames_pair pair;
	frames_quad quad;
	uint32_t i;
	bool put;

	if (step == 1)
		put = frames_update(at, &old, child_put_huge);
	else if (step == 2)
		put = frames_update((frames_pair *)at, &pair, pair_put_huge);
	else
		put = frames_update((frames_quad *)at, &quad, quad_put_huge);
	for (i = 0; put && i < step; i++)
		tree_tell(f, child + i, CHILD_WHOLE);
	return put;
}

/* Take some of a run.  Whether their counts are in doubt is seen afterwards. */
static bool take_allowed(struct frames *f, uint32_t child, uint32_t step)
{
	uint32_t doubt = 0, i;

	if (!take_step(f, child, step))
		return false;
	for (i = 0; i < step; i++)
		doubt |= TREE_DOUBT(child + i);
	if (!(frames_load(&f->trees[child / CHILDREN_PER_TREE]) & doubt))
		return true;
	put_step(f, child, step);
	return false;
}

/* Take a run, or nothing. */
static bool take_run(struct frames *f, uint32_t child, uint32_t order)
{
	uint32_t count = 1U << (order - FRAMES_HUGE_ORDER), step = step_of(order), i;

	if (child + count > f->nr_children)
		return false;
	for (i = 0; i < count; i += step)
		if (!take_allowed(f, child + i, step))
			break;
	if (i >= count)
		return true;
	while (i) {
		i -= step;
		put_step(f, child + i, step);
	}
	return false;
}

/*
 * Where in a tree may a run begin?  A bit per child; for runs of a tree and more,
 * the tree's first.
 */
static uint32_t starts_of(uint32_t tree, uint32_t word, uint32_t order)
{
	uint32_t whole = tree_whole(word);

	switch (order) {
	case 9:
		return whole;
	case 10:
		return whole & (whole >> 1) & 0x55;
	case 11:
		return whole & (whole >> 1) & (whole >> 2) & (whole >> 3) & 0x11;
	default:
		return whole == 0xff && !(tree & ((1U << (order - 12)) - 1));
	}
}

/* Are all trees of a run of them said to be whole? */
static bool trees_whole(const struct frames *f, uint32_t tree, uint32_t order)
{
	uint32_t end = tree + (1U << (order - 12));

	while (tree < end && tree < f->nr_trees && tree_whole(frames_load(&f->trees[tree])) == 0xff)
		tree++;
	return tree == end;
}

/* Take a run in, or from the start of, a tree. */
static bool take_in_tree(struct frames *f, uint32_t tree, uint32_t order, uint32_t *child)
{
	uint32_t starts = starts_of(tree, frames_load(&f->trees[tree]), order);
	uint32_t count = 1U << (order - FRAMES_HUGE_ORDER), i;

	if (order > 12 && !trees_whole(f, tree, order))
		return false;
	for (; starts; starts &= starts - 1) {
		*child = tree * CHILDREN_PER_TREE + (uint32_t)__builtin_ctz(starts);
		if (take_run(f, *child, order))
			return true;
		/* What was said in vain is said no more. */
		for (i = 0; i < count; i++)
			if (frames_load(&f->children[*child + i]) != CHILD_WHOLE)
				tree_untell(f, *child + i, TREE_WHOLE(*child + i));
	}
	return false;
}

/*
 * Is a tree good for a huge frame?  Rather one that is broken already: whole ones
 * may yet serve for larger runs.
 */
enum { NO_TREE, EMPTY_TREE, USED_TREE };

static uint32_t rank_of(const struct frames *f, uint32_t tree, uint32_t order, bool reserved)
{
	uint32_t word = frames_peek(&f->trees[tree]);

	if (!starts_of(tree, word, order) || (tree_host(word) && !reserved))
		return NO_TREE;
	return tree_whole(word) == 0xff ? EMPTY_TREE : USED_TREE;
}

/* Take a run in one of @count trees that are at least so good. */
static bool take_near(struct frames *f, uint32_t from, uint32_t count, uint32_t order,
		      uint32_t rank, bool reserved, uint32_t *child)
{
	uint32_t nr = trees_there(f), tree, i;

	for (i = 0; i < count && i < nr; i++) {
		tree = tree_at(from, i, nr);
		if (rank_of(f, tree, order, reserved) >= rank &&
		    take_in_tree(f, tree, order, child))
			return true;
	}
	return false;
}

static bool get_run(struct frames *f, struct frames_slot *slot, uint32_t order, uint32_t *child)
{
	uint32_t next = frames_peek(&slot->next_huge), from;
	uint32_t count = 1U << (order - FRAMES_HUGE_ORDER);

	/* Right behind the last one. */
	if (next < f->nr_children && !(next & (count - 1))) {
		*child = next;
		if (!tree_host(frames_peek(&f->trees[next / CHILDREN_PER_TREE])) &&
		    take_run(f, next, order))
			return true;
	}
	from = next < f->nr_children ? next / CHILDREN_PER_TREE : 0;
	do {
		if (take_near(f, from, NEAR_TREES, order, USED_TREE, false, child) ||
		    take_near(f, from, f->nr_trees, order, EMPTY_TREE, false, child) ||
		    take_near(f, from, f->nr_trees, order, EMPTY_TREE, true, child))
			return true;
	} while (slots_drain(f, FRAMES_HUGE_ORDER));
	return false;
}

/* On a medium, write the runs' words back; a line once, where they follow each other. */
static void runs_taken(const struct frames *f, uint32_t order, uint32_t count,
		       const uint64_t *frames)
{
	size_t size = sizeof(*f->children) << (order - FRAMES_HUGE_ORDER);
	uintptr_t at, flushed = 0;
	uint32_t i;

	for (i = 0; f->durable && i < count; i++) {
		at = (uintptr_t)&f->children[frames[i] / FRAMES_PER_CHILD];
		if (at / FRAMES_LINE == flushed && size <= FRAMES_LINE)
			continue;
		frames_flush((const void *)at, size);
		flushed = at / FRAMES_LINE;
	}
}

/**
 * huge_get() - get huge frames, or runs of them
 * @f:		the allocator
 * @slot:	the caller's
 * @order:	9 to 18
 * @count:	how many
 * @got:	is filled with the first frame of each
 * Return: how many there are.
 */
uint32_t huge_get(struct frames *f, struct frames_slot *slot, uint32_t order, uint32_t count,
		  uint64_t *got)
{
	uint32_t done, child;

	for (done = 0; done < count; done++) {
		if (!get_run(f, slot, order, &child))
			break;
		got[done] = (uint64_t)child * FRAMES_PER_CHILD;
		slot_set_hint(&slot->next_huge, child + (1U << (order - FRAMES_HUGE_ORDER)));
	}
	runs_taken(f, order, done, got);
	return done;
}

/**
 * huge_get_at() - get certain huge frames
 * @f:		the allocator
 * @frame:	the first
 * @order:	9 to 18
 * Return: 0 or -EBUSY.
 */
int huge_get_at(struct frames *f, uint64_t frame, uint32_t order)
{
	uint32_t child = (uint32_t)(frame / FRAMES_PER_CHILD);

	do {
		if (take_run(f, child, order)) {
			runs_taken(f, order, 1, &frame);
			return 0;
		}
	} while (slots_drain(f, FRAMES_HUGE_ORDER));
	return -EBUSY;
}

static int put_run(struct frames *f, uint64_t frame, uint32_t order)
{
	uint32_t child = (uint32_t)(frame / FRAMES_PER_CHILD), step = step_of(order), i;
	uint32_t count = 1U << (order - FRAMES_HUGE_ORDER);
	int err = 0;

	for (i = 0; i < count; i++)
		if (frames_load(&f->children[child + i]) != CHILD_HUGE)
			return -ENOENT;
	for (i = 0; i < count; i += step)
		if (!put_step(f, child + i, step))
			err = -ENOENT;
	return err;
}

/**
 * huge_put() - give huge frames, or runs of them, back
 * @f:		the allocator
 * @order:	9 to 18
 * @count:	how many
 * @frames:	the first of each
 * Return: 0 or a negative errno, see frames_put().
 */
int huge_put(struct frames *f, uint32_t order, uint32_t count, const uint64_t *frames)
{
	int err = 0, failed;
	uint32_t i;

	for (i = 0; i < count; i++) {
		failed = frames_in_range(f, frames[i], order) ? put_run(f, frames[i], order)
							      : -EINVAL;
		if (!err)
			err = failed;
	}
	return err;
}
