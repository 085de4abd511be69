// SPDX-License-Identifier: GPL-2.0
/*
 * The frame allocator: making one, its calls, and children that come and go.
 */
#include "levels.h"

#define MAX_FRAMES (1ULL << 40)

static uint32_t children_of(uint64_t nr_frames)
{
	return (uint32_t)((nr_frames + FRAMES_PER_CHILD - 1) / FRAMES_PER_CHILD);
}

static uint32_t trees_of(uint64_t nr_frames)
{
	return (children_of(nr_frames) + CHILDREN_PER_TREE - 1) / CHILDREN_PER_TREE;
}

static size_t lines(size_t bytes)
{
	return (bytes + FRAMES_LINE - 1) & ~(size_t)(FRAMES_LINE - 1);
}

static size_t bits_size(uint64_t nr_frames)
{
	return (size_t)children_of(nr_frames) * WORDS_PER_CHILD * sizeof(uint64_t);
}

static size_t children_size(uint64_t nr_frames)
{
	return lines((size_t)trees_of(nr_frames) * CHILDREN_PER_TREE * sizeof(uint16_t));
}

size_t frames_words_size(uint64_t nr_frames)
{
	if (nr_frames > MAX_FRAMES)
		return 0;
	return bits_size(nr_frames) + children_size(nr_frames) +
	       lines((size_t)trees_of(nr_frames) * sizeof(uint32_t));
}

int frames_init(struct frames *f, uint64_t nr_frames, void *words, struct frames_slot *slots,
		uint32_t nr_slots, uint32_t host)
{
	uint32_t i;

	if (!nr_frames || nr_frames > MAX_FRAMES || !nr_slots || !host || host > FRAMES_HOSTS)
		return -EINVAL;
	*f = (struct frames){
		.nr_frames = nr_frames,
		.nr_children = children_of(nr_frames),
		.nr_trees = trees_of(nr_frames),
		.nr_slots = nr_slots,
		.top = children_of(nr_frames),
		.host = host,
		.bits = words,
		.children = (void *)((char *)words + bits_size(nr_frames)),
		.trees = (void *)((char *)words + bits_size(nr_frames) + children_size(nr_frames)),
		.slots = slots,
	};
	for (i = 0; i < nr_slots; i++)
		slot_reset(f, &slots[i]);
	return 0;
}

void frames_clear(struct frames *f, bool there)
{
	uint32_t child, nr, word;
	uint16_t free;

	f->top = there ? f->nr_children : 0;
	for (child = 0; child < f->nr_trees; child++)
		frames_store(&f->trees[child], 0);
	for (child = 0; child < f->nr_trees * CHILDREN_PER_TREE; child++) {
		if (child >= f->nr_children) {
			frames_store(&f->children[child], CHILD_ABSENT);
			continue;
		}
		nr = there ? child_frames(f, child) : FRAMES_PER_CHILD;
		for (word = 0; word < WORDS_PER_CHILD; word++)
			frames_store(child_bits(f, child) + word, missing_bits(nr, word));
		free = (uint16_t)(there ? nr : CHILD_ABSENT);
		frames_store(&f->children[child], free);
		tree_tell(f, child, free);
	}
}

uint32_t frames_get(struct frames *f, uint32_t slot, uint32_t order, uint32_t count, uint64_t *got)
{
	struct frames_slot *own = slot_of(f, slot);
	uint32_t done = 0;

	if (!order)
		done = small_get(f, own, count, got);
	else if (order < FRAMES_HUGE_ORDER)
		done = small_get_runs(f, own, order, count, got);
	else if (order <= FRAMES_GIB_ORDER)
		done = huge_get(f, own, order, count, got);
	if (f->durable && done)
		frames_fence();
	return done;
}

uint32_t frames_try(struct frames *f, uint32_t slot, uint32_t count, uint64_t *got, bool *none)
{
	uint32_t done = small_try(f, slot_of(f, slot), count, got, none);

	if (f->durable && done)
		frames_fence();
	return done;
}

uint32_t frames_get_near(struct frames *const *nodes, uint32_t nr_nodes, uint32_t slot,
			 uint32_t order, uint32_t count, uint64_t *got, uint32_t *from)
{
	uint32_t done = 0, node, some;

	for (node = 0; node < nr_nodes && done < count; node++) {
		some = frames_get(nodes[node], slot, order, count - done, got + done);
		while (some--)
			from[done++] = node;
	}
	return done;
}

int frames_get_at(struct frames *f, uint64_t frame, uint32_t order)
{
	int err;

	if (!frames_in_range(f, frame, order))
		return -EINVAL;
	if (order < FRAMES_HUGE_ORDER)
		err = small_get_at(f, frame, order);
	else
		err = huge_get_at(f, frame, order);
	if (f->durable && !err)
		frames_fence();
	return err;
}

void frames_put_begin(struct frames *f, uint32_t slot)
{
	slot_begun(slot_of(f, slot));
}

int frames_put_end(struct frames *f, uint32_t slot, uint32_t order, uint32_t count,
		   const uint64_t *frames)
{
	struct frames_slot *own = slot_of(f, slot);
	int err;

	if (order < FRAMES_HUGE_ORDER)
		err = small_put(f, own, order, count, frames);
	else
		err = huge_put(f, order, count, frames);
	slot_ended(own);
	return err;
}

int frames_put(struct frames *f, uint32_t slot, uint32_t order, uint32_t count,
	       const uint64_t *frames)
{
	frames_put_begin(f, slot);
	return frames_put_end(f, slot, order, count, frames);
}

void frames_drain(struct frames *f)
{
	uint32_t i;

	for (i = 0; i < f->nr_slots; i++)
		slot_drain(f, &f->slots[i]);
}

int frames_add(struct frames *f, uint32_t child, uint32_t nr)
{
	uint32_t top = frames_peek(&f->top), word;
	uint16_t old;

	if (child >= f->nr_children || !nr || nr > child_frames(f, child))
		return -EINVAL;
	if (frames_load(&f->children[child]) != CHILD_ABSENT)
		return -EEXIST;
	for (word = 0; word < WORDS_PER_CHILD; word++)
		frames_store(child_bits(f, child) + word, missing_bits(nr, word));
	while (top <= child && !__atomic_compare_exchange_n(&f->top, &top, child + 1, false,
							    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	if (!frames_update(&f->children[child], &old, child_add, nr))
		return -EEXIST;
	tree_tell(f, child, (uint16_t)nr);
	return 0;
}

int frames_remove(struct frames *f, uint32_t child, uint32_t nr)
{
	uint32_t word;
	uint16_t old;

	if (child >= f->nr_children || nr > FRAMES_PER_CHILD)
		return -EINVAL;
	if (frames_load(&f->trees[child / CHILDREN_PER_TREE]) & TREE_DOUBT(child) ||
	    !frames_update(&f->children[child], &old, child_remove, nr))
		return -EBUSY;
	/* What was missing is no more in use than the rest. */
	for (word = 0; word < WORDS_PER_CHILD; word++)
		frames_store(child_bits(f, child) + word, 0);
	tree_untell(f, child, TREE_SOME(child) | TREE_WHOLE(child));
	return 0;
}

uint32_t frames_child_free(const struct frames *f, uint32_t child)
{
	uint16_t word = child < f->nr_children ? frames_load(&f->children[child]) : CHILD_ABSENT;

	return child_worth(word) ? child_free(word) : 0;
}
