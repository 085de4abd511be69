// SPDX-License-Identifier: GPL-2.0
/*
 * The death of a host: what it has reserved and claimed is taken back.
 *
 * Nothing that the dead host kept in its own memory is needed: how many frames a
 * child has free is told by its bits.  These tell too many where somebody else has
 * cleared bits that he has yet to count, or has counted down frames whose bits he
 * has yet to set.  So from then on the child is in doubt.
 */
#include "levels.h"

/* One swap: whoever is cut short here has done it, or not. */
static bool take_child_back(struct frames *f, uint32_t child, uint32_t host)
{
	uint16_t old = frames_load(&f->children[child]);
	uint32_t free, tree;

	/* Before anybody can see the new count. */
	if (child_host(old) == host)
		frames_update(&f->trees[child / CHILDREN_PER_TREE], &tree, tree_set,
			      TREE_DOUBT(child));
	while (child_host(old) == host) {
		uint16_t now = old;

		/* Counted after the word was read, so that no put that changes it is missed. */
		free = child_free_bits(f, child);
		child_set(&now, host, free);
		if (frames_cas(&f->children[child], &old, now)) {
			tree_tell(f, child, now);
			return true;
		}
	}
	/* Or else done by somebody who was cut short before telling. */
	tree_tell(f, child, old);
	return false;
}

int64_t frames_take_back(struct frames *f, uint32_t host)
{
	uint32_t child, tree, word;
	int64_t count = 0;

	if (!host || host > FRAMES_HOSTS || host == f->host)
		return -EINVAL;
	for (child = 0; child < f->nr_children; child++)
		count += take_child_back(f, child, host);
	for (tree = 0; tree < f->nr_trees; tree++)
		count += frames_update(&f->trees[tree], &word, tree_release, host);
	return count;
}
