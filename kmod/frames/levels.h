/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the allocator's files share: finding words, and telling trees of them.
 */
#ifndef FRAMES_LEVELS_H
#define FRAMES_LEVELS_H

#include "word.h"

/*
 * How many trees are looked at before the best of them is taken: 1 GiB.  Far ones
 * are no better, and to look at all takes time in large pools.
 */
#define NEAR_TREES 64U

static inline uint64_t *child_bits(const struct frames *f, uint32_t child)
{
	return f->bits + (size_t)child * WORDS_PER_CHILD;
}

/* How many of a child's frames are free, as its bits tell? */
static inline uint32_t child_free_bits(const struct frames *f, uint32_t child)
{
	const uint64_t *bits = child_bits(f, child);
	uint32_t used = 0, word;

	/* What recovery spends its time on. */
#pragma GCC unroll 8
	for (word = 0; word < WORDS_PER_CHILD; word++)
		used += frames_weight(frames_load(&bits[word]));
	return FRAMES_PER_CHILD - used;
}

/* Do a child's bits have a free run of an order, up to 9? */
static inline bool child_has_run(const struct frames *f, uint32_t child, uint32_t order)
{
	const uint64_t *bits = child_bits(f, child);
	uint32_t step = order > 6 ? 1U << (order - 6) : 1, word, i;

	for (word = 0; word < WORDS_PER_CHILD; word += step) {
		if (step == 1) {
			if (run_starts(~frames_peek(&bits[word]), order))
				return true;
			continue;
		}
		for (i = 0; i < step && !frames_peek(&bits[word + i]); i++)
			;
		if (i == step)
			return true;
	}
	return false;
}

/* How many frames does a child have?  All but the last one, 512. */
static inline uint32_t child_frames(const struct frames *f, uint32_t child)
{
	uint64_t left = f->nr_frames - (uint64_t)child * FRAMES_PER_CHILD;

	return left < FRAMES_PER_CHILD ? (uint32_t)left : FRAMES_PER_CHILD;
}

/* Of a child's word, the frames that do not exist. */
static inline uint64_t missing_bits(uint32_t nr, uint32_t word)
{
	return nr > word * FRAMES_PER_WORD ? ~first_bits(nr - word * FRAMES_PER_WORD) : ~0ULL;
}

static inline struct frames_slot *slot_of(const struct frames *f, uint32_t slot)
{
	return &f->slots[slot < f->nr_slots ? slot : slot % f->nr_slots];
}

/* A slot that has nothing begins far from the others. */
static inline void slot_reset(const struct frames *f, struct frames_slot *slot)
{
	uint32_t tree = (uint32_t)((uint64_t)(slot - f->slots) * f->nr_trees / f->nr_slots);

	*slot = (struct frames_slot){.low = tree, .next_huge = tree * CHILDREN_PER_TREE};
}

/* A hint of its own memory. */
static inline void slot_set_hint(uint32_t *hint, uint32_t value)
{
	if (frames_peek(hint) != value)
		__atomic_store_n(hint, value, __ATOMIC_RELAXED);
}

/* Frames were put there: low places fill first, so that high ones get whole. */
static inline void slot_put_at(struct frames_slot *slot, uint32_t child)
{
	if (child / CHILDREN_PER_TREE < frames_peek(&slot->low))
		slot_set_hint(&slot->low, child / CHILDREN_PER_TREE);
}

/* Trees that have children, or had. */
static inline uint32_t trees_there(const struct frames *f)
{
	return (frames_peek(&f->top) + CHILDREN_PER_TREE - 1) / CHILDREN_PER_TREE;
}

/* Go round: the @nr trees from @from on; its number of the @i-th. */
static inline uint32_t tree_at(uint32_t from, uint32_t i, uint32_t nr)
{
	uint32_t tree = from + i;

	if (tree >= nr)
		tree -= nr;
	return tree < nr ? tree : tree % nr;
}

static inline bool frames_in_range(const struct frames *f, uint64_t frame, uint32_t order)
{
	return order <= FRAMES_GIB_ORDER && !(frame & ((1ULL << order) - 1)) &&
	       frame < f->nr_frames && f->nr_frames - frame >= 1ULL << order;
}

/*
 * From here to slot_ended(), a child may be claimed that no slot has, or frames may be free
 * that are not counted.
 */
static inline void slot_begun(struct frames_slot *slot)
{
	__atomic_fetch_add(&slot->begun, 1, __ATOMIC_SEQ_CST);
}

static inline void slot_ended(struct frames_slot *slot)
{
	__atomic_fetch_add(&slot->ended, 1, __ATOMIC_SEQ_CST);
}

/* Have the tree say that a child is worth a look, if it is, and does not. */
static inline void tree_tell(struct frames *f, uint32_t child, uint16_t now)
{
	uint32_t *tree = &f->trees[child / CHILDREN_PER_TREE];
	uint32_t bits = TREE_SOME(child), old;

	if (!child_worth(now))
		return;
	old = frames_load(tree);
	if (now == CHILD_WHOLE && !(old & TREE_DOUBT(child)))
		bits |= TREE_WHOLE(child);
	if ((old & bits) != bits)
		frames_update(tree, &old, tree_set, bits);
}

/*
 * The tree said so in vain.  Who made it true again meanwhile may have found the
 * bits set still: look once more.
 */
static inline void tree_untell(struct frames *f, uint32_t child, uint32_t bits)
{
	uint32_t old;

	frames_update(&f->trees[child / CHILDREN_PER_TREE], &old, tree_unset, bits);
	tree_tell(f, child, frames_load(&f->children[child]));
}

/* Frames of a child are free again, or somebody's who takes no more: count them. */
static inline void child_count(struct frames *f, uint32_t child, uint32_t count)
{
	uint16_t old;

	if (count && frames_update(&f->children[child], &old, child_give, count))
		tree_tell(f, child, (uint16_t)((old & ~CHILD_FREE) | child_sum(old, count)));
}

/* slot.c */
bool slot_refill(struct frames *f, struct frames_slot *slot);
void slot_release(struct frames *f, uint64_t claim);
bool slot_drain(struct frames *f, struct frames_slot *slot);
struct frames_slot *slot_with(const struct frames *f, uint32_t child);
uint32_t claim_free(const struct frames *f, uint64_t claim);
bool slots_drain(struct frames *f, uint32_t order);

/* small.c */
uint32_t small_get(struct frames *f, struct frames_slot *slot, uint32_t count, uint64_t *got);
uint32_t small_try(struct frames *f, struct frames_slot *slot, uint32_t count, uint64_t *got,
		   bool *none);
uint32_t small_get_runs(struct frames *f, struct frames_slot *slot, uint32_t order, uint32_t count,
			uint64_t *got);
int small_get_at(struct frames *f, uint64_t frame, uint32_t order);
int small_put(struct frames *f, struct frames_slot *slot, uint32_t order, uint32_t count,
	      const uint64_t *frames);

/* huge.c */
uint32_t huge_get(struct frames *f, struct frames_slot *slot, uint32_t order, uint32_t count,
		  uint64_t *got);
int huge_get_at(struct frames *f, uint64_t frame, uint32_t order);
int huge_put(struct frames *f, uint32_t order, uint32_t count, const uint64_t *frames);

#endif /* FRAMES_LEVELS_H */
