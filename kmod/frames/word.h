/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the allocator's words hold, and how they may change.
 *
 * A transition is a function of one word: it changes its copy and returns true, or
 * refuses.  frames_update() makes an atomic one of it.
 */
#ifndef FRAMES_WORD_H
#define FRAMES_WORD_H

#include "frames.h"

/*
 * Change *@at by @change(&copy, ...); *@old is what it was before, or is where
 * the change was refused.  True if it was changed.
 */
#define frames_update(at, old, change, ...)                   \
	({                                                    \
		__typeof__(*(old)) new_;                      \
		bool may_;                                    \
		*(old) = frames_load(at);                     \
		do {                                          \
			new_ = *(old);                        \
			may_ = change(&new_, ##__VA_ARGS__);  \
		} while (may_ && !frames_cas(at, old, new_)); \
		may_;                                         \
	})

/*
 * Children: 10 bits of free frames, the huge flag, 5 bits of the host that has
 * claimed it, 0: nobody.  While a child is claimed, its count is of frames that
 * were put since.
 */
#define CHILD_FREE 0x03ffU
#define CHILD_HUGE 0x0400U
#define CHILD_HOST_SHIFT 11
#define CHILD_ABSENT (CHILD_HUGE | 1U)
#define CHILD_WHOLE FRAMES_PER_CHILD

static inline uint32_t child_free(uint16_t child)
{
	return child & CHILD_HUGE ? 0 : child & CHILD_FREE;
}

static inline uint32_t child_host(uint16_t child)
{
	return child >> CHILD_HOST_SHIFT;
}

/* May somebody claim it, or have it as a huge frame? */
static inline bool child_worth(uint16_t child)
{
	return !child_host(child) && child_free(child);
}

static inline bool child_claim(uint16_t *child, uint32_t host)
{
	if (!child_worth(*child))
		return false;
	*child = (uint16_t)(host << CHILD_HOST_SHIFT);
	return true;
}

/* All free frames that it has now are @free. */
static inline bool child_set(uint16_t *child, uint32_t host, uint32_t free)
{
	if (child_host(*child) != host)
		return false;
	*child = (uint16_t)free;
	return true;
}

static inline uint32_t child_sum(uint16_t child, uint32_t count)
{
	uint32_t sum = child_free(child) + count;

	/* After a host's death, what was being put may be counted twice. */
	return sum < FRAMES_PER_CHILD ? sum : FRAMES_PER_CHILD;
}

static inline bool child_unclaim(uint16_t *child, uint32_t host, uint32_t count)
{
	/* Somebody else's: the host was taken for dead, and all was counted again. */
	if (child_host(*child) != host)
		return false;
	*child = (uint16_t)child_sum(*child, count);
	return true;
}

/* How many of @free may be taken, if at least @min and at most @max are wanted? */
static inline uint32_t share_of(uint32_t free, uint32_t min, uint32_t max)
{
	return free < min ? 0 : free < max ? free : max;
}

static inline bool child_take(uint16_t *child, uint32_t min, uint32_t max)
{
	uint32_t count = share_of(child_free(*child), min, max);

	*child = (uint16_t)(*child - count);
	return count;
}

static inline bool child_give(uint16_t *child, uint32_t count)
{
	if (*child & CHILD_HUGE)
		return false;
	*child = (uint16_t)((*child & ~CHILD_FREE) | child_sum(*child, count));
	return true;
}

static inline bool child_add(uint16_t *child, uint32_t count)
{
	if (*child != CHILD_ABSENT)
		return false;
	*child = (uint16_t)count;
	return true;
}

static inline bool child_remove(uint16_t *child, uint32_t count)
{
	if (*child != count)
		return false;
	*child = CHILD_ABSENT;
	return true;
}

/*
 * One, two or four children, in words of 16, 32 and 64 bits: all of them become
 * huge frames, or are no more.
 */
#define PAIR_OF(child) ((child)*0x00010001U)
#define QUAD_OF(child) ((child)*0x0001000100010001ULL)

typedef uint32_t __attribute__((may_alias)) frames_pair;
typedef uint64_t __attribute__((may_alias)) frames_quad;

static inline bool child_take_huge(uint16_t *child)
{
	if (*child != CHILD_WHOLE)
		return false;
	*child = CHILD_HUGE;
	return true;
}

static inline bool child_put_huge(uint16_t *child)
{
	if (*child != CHILD_HUGE)
		return false;
	*child = CHILD_WHOLE;
	return true;
}

static inline bool pair_take_huge(frames_pair *pair)
{
	if (*pair != PAIR_OF(CHILD_WHOLE))
		return false;
	*pair = PAIR_OF(CHILD_HUGE);
	return true;
}

static inline bool pair_put_huge(frames_pair *pair)
{
	if (*pair != PAIR_OF(CHILD_HUGE))
		return false;
	*pair = PAIR_OF(CHILD_WHOLE);
	return true;
}

static inline bool quad_take_huge(frames_quad *quad)
{
	if (*quad != QUAD_OF(CHILD_WHOLE))
		return false;
	*quad = QUAD_OF(CHILD_HUGE);
	return true;
}

static inline bool quad_put_huge(frames_quad *quad)
{
	if (*quad != QUAD_OF(CHILD_HUGE))
		return false;
	*quad = QUAD_OF(CHILD_WHOLE);
	return true;
}

/*
 * Trees: 8 bits that say which children are worth a look, 8 bits that say which
 * may be whole, 5 bits of the host that has reserved it, 8 bits that say which
 * children are in doubt: they were a dead host's, and may promise too much.  Who finds
 * less drops the promise; but such a child is never whole.
 */
#define TREE_SOME(child) (1U << ((child) % CHILDREN_PER_TREE))
#define TREE_WHOLE(child) (TREE_SOME(child) << 8)
#define TREE_HOST_SHIFT 16
#define TREE_HOST (31U << TREE_HOST_SHIFT)
#define TREE_DOUBT(child) (TREE_SOME(child) << 24)

static inline uint32_t tree_some(uint32_t tree)
{
	return tree & 0xff;
}

static inline uint32_t tree_whole(uint32_t tree)
{
	return (tree >> 8) & 0xff;
}

static inline uint32_t tree_host(uint32_t tree)
{
	return (tree & TREE_HOST) >> TREE_HOST_SHIFT;
}

static inline bool tree_set(uint32_t *tree, uint32_t bits)
{
	uint32_t old = *tree;

	*tree |= bits;
	return *tree != old;
}

static inline bool tree_unset(uint32_t *tree, uint32_t bits)
{
	uint32_t old = *tree;

	*tree &= ~bits;
	return *tree != old;
}

static inline bool tree_reserve(uint32_t *tree, uint32_t host)
{
	if (tree_host(*tree))
		return false;
	*tree |= host << TREE_HOST_SHIFT;
	return true;
}

static inline bool tree_release(uint32_t *tree, uint32_t host)
{
	if (tree_host(*tree) != host)
		return false;
	*tree &= ~TREE_HOST;
	return true;
}

/*
 * Slots: 32 bits of the child, counted from 1, 0: none; 10 bits of how many of
 * its free frames are the slot's; and whether its tree is reserved by the slot.
 */
#define SLOT_COUNT_SHIFT 32
#define SLOT_ONE (1ULL << SLOT_COUNT_SHIFT)
#define SLOT_COUNT (0x3ffULL << SLOT_COUNT_SHIFT)
#define SLOT_TREE (1ULL << 42)

static inline bool slot_any(uint64_t slot)
{
	return (uint32_t)slot;
}

static inline uint32_t slot_child(uint64_t slot)
{
	return (uint32_t)slot - 1;
}

static inline uint32_t slot_count(uint64_t slot)
{
	return (uint32_t)((slot & SLOT_COUNT) >> SLOT_COUNT_SHIFT);
}

static inline uint64_t slot_make(uint32_t child, uint32_t count, bool tree)
{
	return (child + 1) | count * SLOT_ONE | (tree ? SLOT_TREE : 0);
}

static inline bool slot_take(uint64_t *slot, uint32_t min, uint32_t max)
{
	uint32_t count = share_of(slot_count(*slot), min, max);

	*slot -= count * SLOT_ONE;
	return count;
}

/* The same, if it is of a certain child. */
static inline bool slot_take_of(uint64_t *slot, uint32_t child, uint32_t count)
{
	return slot_any(*slot) && slot_child(*slot) == child && slot_take(slot, count, count);
}

static inline bool slot_give(uint64_t *slot, uint32_t child, uint32_t count)
{
	if (!slot_any(*slot) || slot_child(*slot) != child ||
	    slot_count(*slot) + count > FRAMES_PER_CHILD)
		return false;
	*slot += count * SLOT_ONE;
	return true;
}

/* Bits: a word of 64 frames, 1: in use. */

static inline bool bits_take(uint64_t *bits, uint64_t mask)
{
	if (*bits & mask)
		return false;
	*bits |= mask;
	return true;
}

/* The @count lowest bits of a mask, or all. */
static inline uint64_t lowest_bits(uint64_t mask, uint32_t count)
{
	uint64_t rest = mask;

	if (count >= frames_weight(mask))
		return mask;
	while (count--)
		rest &= rest - 1;
	return mask & ~rest;
}

/* Frames 0 to @count - 1 of a word. */
static inline uint64_t first_bits(uint32_t count)
{
	return count < FRAMES_PER_WORD ? (1ULL << count) - 1 : ~0ULL;
}

/* Where do aligned runs of 1 << @order ones begin?  Up to order 6. */
static inline uint64_t run_starts(uint64_t mask, uint32_t order)
{
	static const uint64_t aligned[] = {
		~0ULL,
		0x5555555555555555,
		0x1111111111111111,
		0x0101010101010101,
		0x0001000100010001,
		0x0000000100000001,
		1,
	};
	uint32_t i;

	for (i = 0; i < order; i++)
		mask &= mask >> (1U << i);
	return mask & aligned[order];
}

static_assert(FRAMES_HOSTS << CHILD_HOST_SHIFT <= 0xffff, "a host fits a child");
static_assert(FRAMES_PER_CHILD <= CHILD_FREE, "the count fits a child");
static_assert((FRAMES_HOSTS << TREE_HOST_SHIFT) == TREE_HOST, "a host fits a tree");

#endif /* FRAMES_WORD_H */
