// SPDX-License-Identifier: GPL-2.0
/*
 * What a slot claims: a child whose count is the slot's from then on, in a tree
 * that is reserved for it, so that CPUs rarely meet.
 */
#include "levels.h"

/*
 * Claim one of a tree's children; broken ones first, and whole ones, which may yet
 * serve as huge frames, only if @any may be had.  True: the slot has begun.
 */
static bool claim_child(struct frames *f, struct frames_slot *slot, uint32_t tree, bool any,
			uint64_t *claim)
{
	uint32_t word = frames_load(&f->trees[tree]);
	uint32_t whole = tree_some(word) & tree_whole(word);
	uint32_t broken = tree_some(word) & ~whole;

	if (!any)
		whole = 0;

	while (broken | whole) {
		uint32_t *from = broken ? &broken : &whole;
		uint32_t child = tree * CHILDREN_PER_TREE + (uint32_t)__builtin_ctz(*from);
		uint16_t old;

		*from &= *from - 1;
		slot_begun(slot);
		if (frames_update(&f->children[child], &old, child_claim, f->host)) {
			*claim = slot_make(child, child_free(old), false);
			tree_untell(f, child, TREE_SOME(child) | TREE_WHOLE(child));
			return true;
		}
		/* Until it is told again, what is free there may not be found. */
		tree_untell(f, child, TREE_SOME(child) | TREE_WHOLE(child));
		slot_ended(slot);
	}
	return false;
}

/* How good is a tree to claim small frames in?  0: not at all. */
enum { NO_TREE, EMPTY_TREE, USED_TREE, BROKEN_TREE };

static uint32_t rank_of(uint32_t word)
{
	if (!tree_some(word))
		return NO_TREE;
	if (tree_some(word) & ~tree_whole(word))
		return BROKEN_TREE;
	return tree_whole(word) == 0xff ? EMPTY_TREE : USED_TREE;
}

/* The best tree that nobody has reserved, among the near ones if there is any. */
static uint32_t best_tree(const struct frames *f, uint32_t from, uint32_t *best)
{
	uint32_t best_rank = NO_TREE, nr = trees_there(f), i;

	*best = from;
	for (i = 0; i < nr && best_rank < BROKEN_TREE; i++) {
		uint32_t tree = tree_at(from, i, nr);
		uint32_t word = frames_peek(&f->trees[tree]);

		if (i >= NEAR_TREES && best_rank)
			break;
		if (!tree_host(word) && rank_of(word) > best_rank) {
			best_rank = rank_of(word);
			*best = tree;
		}
	}
	return best_rank;
}

/* Claim in the tree that the slot has reserved, if it has. */
static bool claim_here(struct frames *f, struct frames_slot *slot, uint64_t old, bool any,
		       uint64_t *claim)
{
	if (!(old & SLOT_TREE) ||
	    !claim_child(f, slot, slot_child(old) / CHILDREN_PER_TREE, any, claim))
		return false;
	*claim |= SLOT_TREE;
	return true;
}

/* Claim in the best tree that nobody has reserved, if it is at least so good. */
static bool claim_best(struct frames *f, struct frames_slot *slot, uint32_t rank, uint64_t *claim)
{
	uint32_t tree, word;

	while (best_tree(f, frames_peek(&slot->low), &tree) >= rank) {
		if (!frames_update(&f->trees[tree], &word, tree_reserve, f->host))
			continue;
		if (claim_child(f, slot, tree, true, claim)) {
			slot_set_hint(&slot->low, tree);
			*claim |= SLOT_TREE;
			return true;
		}
		frames_update(&f->trees[tree], &word, tree_release, f->host);
	}
	return false;
}

/* Before giving up, claim in trees that others have reserved. */
static bool claim_anywhere(struct frames *f, struct frames_slot *slot, uint64_t *claim)
{
	uint32_t nr = trees_there(f), tree, i;

	for (i = 0; i < nr; i++) {
		tree = tree_at(frames_peek(&slot->low), i, nr);
		if (rank_of(frames_peek(&f->trees[tree])) &&
		    claim_child(f, slot, tree, true, claim))
			return true;
	}
	return false;
}

/*
 * Find a child for a slot, one that is broken if there is any near.  True:
 * the slot has begun, *@claim is for it to have; *@stays: in the tree that it has reserved already.
 */
static bool find_child(struct frames *f, struct frames_slot *slot, uint64_t old, uint64_t *claim,
		       bool *stays)
{
	*stays = claim_here(f, slot, old, false, claim);
	if (*stays || claim_best(f, slot, BROKEN_TREE, claim))
		return true;
	*stays = claim_here(f, slot, old, true, claim);
	return *stays || claim_best(f, slot, EMPTY_TREE, claim) || claim_anywhere(f, slot, claim);
}

/**
 * slot_release() - end a claim that is no slot's any more
 * @f:		the allocator
 * @claim:	what the slot held; without SLOT_TREE, if the tree stays reserved
 */
void slot_release(struct frames *f, uint64_t claim)
{
	uint32_t child = slot_child(claim), word;
	uint16_t old;

	if (!slot_any(claim))
		return;
	if (frames_update(&f->children[child], &old, child_unclaim, f->host, slot_count(claim)))
		tree_tell(f, child, frames_load(&f->children[child]));
	if (claim & SLOT_TREE)
		frames_update(&f->trees[child / CHILDREN_PER_TREE], &word, tree_release, f->host);
}

/**
 * slot_drain() - have a slot give back what it claimed
 * @f:		the allocator
 * @slot:	which
 * Return: true if it had anything.
 */
bool slot_drain(struct frames *f, struct frames_slot *slot)
{
	uint64_t old = frames_load(&slot->claim);
	bool drained = false;

	if (!slot_any(old))
		return false;
	slot_begun(slot);
	while (slot_any(old) && !drained)
		drained = frames_cas(&slot->claim, &old, 0);
	if (drained)
		slot_release(f, old);
	slot_ended(slot);
	return drained;
}

/**
 * slot_with() - which slot has claimed a child?
 * @f:		the allocator
 * @child:	which
 * Return: the slot, or NULL.
 */
struct frames_slot *slot_with(const struct frames *f, uint32_t child)
{
	uint32_t i;

	for (i = 0; i < f->nr_slots; i++) {
		uint64_t claim = frames_load(&f->slots[i].claim);

		if (slot_any(claim) && slot_child(claim) == child)
			return &f->slots[i];
	}
	return NULL;
}

/**
 * claim_free() - how many frames are free of the child that a slot has claimed?
 * @f:		the allocator
 * @claim:	what the slot holds
 * Return: what it counts and what was put there since; 0 if it has none.
 */
uint32_t claim_free(const struct frames *f, uint64_t claim)
{
	if (!slot_any(claim))
		return 0;
	return slot_count(claim) + child_free(frames_load(&f->children[slot_child(claim)]));
}

/**
 * slots_drain() - have those slots give back that have claimed a child with a run
 * @f:		the allocator
 * @order:	of the run, 1 to 9
 * Return: true if there was one.
 *
 * A slot and its child each count some of what is free, and both may be too few.
 */
bool slots_drain(struct frames *f, uint32_t order)
{
	bool drained = false;
	uint32_t i;

	for (i = 0; i < f->nr_slots; i++) {
		uint64_t claim = frames_load(&f->slots[i].claim);

		if (claim_free(f, claim) >= 1U << order &&
		    child_has_run(f, slot_child(claim), order))
			drained |= slot_drain(f, &f->slots[i]);
	}
	return drained;
}

/**
 * slot_refill() - get a slot that has none left free frames to hand out
 * @f:		the allocator
 * @slot:	which
 * Return: true if it may have some now; false: there are none that could be
 * claimed.
 */
bool slot_refill(struct frames *f, struct frames_slot *slot)
{
	uint64_t old = frames_load(&slot->claim), claim, now;
	bool stays;

	if (slot_count(old))
		return true;
	if (!find_child(f, slot, old, &claim, &stays))
		return false;
	now = old;
	if (!frames_cas(&slot->claim, &now, claim))
		old = claim; /* who shares the slot was quicker */
	slot_release(f, stays ? old & ~SLOT_TREE : old);
	slot_ended(slot);
	return true;
}
