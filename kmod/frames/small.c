// SPDX-License-Identifier: GPL-2.0
/*
 * Frames of orders 0 to 8: bits of a child.
 */
#include "levels.h"

/*
 * A count that promises frames which are not there can only be left by a host's
 * death (see child_sum()): so often is a child looked through before that is believed.
 */
#define ROUNDS_TO_BELIEVE 1000U

/*
 * The last frames may be those of a child that somebody else has claimed and is about
 * to have his slot say so, or those that he is putting.  Waiting is for that alone, and not
 * for ever: he may be dead.
 */
#define TRIES_TO_WAIT 100U

/* A child that was claimed may be empty again at once, as often as others are quicker. */
#define TRIES_TO_CLAIM 8U

/* Frames of a word were taken: on a medium, write that back. */
static void bits_taken(struct frames *f, uint64_t *bits)
{
	if (f->durable)
		frames_flush(bits, sizeof(*bits));
}

static uint32_t list_bits(uint64_t mask, uint64_t base, uint64_t *got)
{
	uint32_t count = 0;

	for (; mask; mask &= mask - 1)
		got[count++] = base + (uint32_t)__builtin_ctzll(mask);
	return count;
}

/* Take up to @count frames of one word. */
static uint32_t take_of_word(struct frames *f, uint64_t *bits, uint64_t base, uint32_t count,
			     uint64_t *got)
{
	uint64_t old = frames_peek(bits), take;

	do {
		take = lowest_bits(~old, count);
		if (!take)
			return 0;
	} while (!frames_cas(bits, &old, old | take));
	bits_taken(f, bits);
	return list_bits(take, base, got);
}

/* Take @count frames of a child, which counted them down before. */
static uint32_t take_frames(struct frames *f, struct frames_slot *slot, uint32_t child,
			    uint32_t count, uint64_t *got)
{
	uint32_t word = frames_peek(&slot->hint) % WORDS_PER_CHILD, done = 0, i;

	for (i = 0; i < ROUNDS_TO_BELIEVE * WORDS_PER_CHILD; i++) {
		uint64_t base = (uint64_t)child * FRAMES_PER_CHILD + word * FRAMES_PER_WORD;

		done += take_of_word(f, child_bits(f, child) + word, base, count - done,
				     got + done);
		if (done == count)
			break;
		word = (word + 1) % WORDS_PER_CHILD;
		if (i >= WORDS_PER_CHILD)
			frames_relax();
	}
	slot_set_hint(&slot->hint, word);
	return done;
}

/* Count down up to @max frames of a child, whoever has claimed it; returns how many. */
static uint32_t take_count(struct frames *f, uint32_t child, uint32_t max)
{
	uint16_t old;

	if (!frames_update(&f->children[child], &old, child_take, 1, max))
		return 0;
	return share_of(child_free(old), 1, max);
}

/* What a slot has claimed, or what others put into its child since. */
static uint32_t take_of_slot(struct frames *f, struct frames_slot *slot, uint32_t max,
			     uint32_t *child)
{
	uint64_t claim;
	bool taken = frames_update(&slot->claim, &claim, slot_take, 1, max);

	*child = slot_child(claim);
	if (taken)
		return share_of(slot_count(claim), 1, max);
	return slot_any(claim) ? take_count(f, *child, max) : 0;
}

/*
 * When no child can be claimed: what other slots have, and what was put into children
 * that another host has claimed, as far as it has reserved their trees.
 */
static uint32_t steal(struct frames *f, uint32_t max, uint32_t *child)
{
	uint32_t nr = trees_there(f), count, tree, host, i;

	for (i = 0; i < f->nr_slots; i++) {
		count = take_of_slot(f, &f->slots[i], max, child);
		if (count)
			return count;
	}
	for (tree = 0; tree < nr; tree++) {
		host = tree_host(frames_peek(&f->trees[tree]));
		if (!host || host == f->host)
			continue;
		for (i = 0; i < CHILDREN_PER_TREE; i++) {
			*child = tree * CHILDREN_PER_TREE + i;
			count = take_count(f, *child, max);
			if (count)
				return count;
		}
	}
	return 0;
}

static uint32_t count_begun(const struct frames *f)
{
	uint32_t sum = 0, i;

	for (i = 0; i < f->nr_slots; i++)
		sum += frames_load(&f->slots[i].begun);
	return sum;
}

static uint32_t count_ended(const struct frames *f)
{
	uint32_t sum = 0, i;

	for (i = 0; i < f->nr_slots; i++)
		sum += frames_load(&f->slots[i].ended);
	return sum;
}

/*
 * Look once, and count down up to @max frames; returns how many, all of *@child.  *@none: there
 * were none at some moment of the call.
 *
 * Each slot has begun as often as it has ended, or once more for each who is at it. Both
 * only grow: where all that had begun after the search is what had ended before it, nobody
 * was at any slot in between.
 */
static uint32_t look(struct frames *f, struct frames_slot *slot, uint32_t max, uint32_t *child,
		     bool *none)
{
	uint32_t tries, count, ended;

	*none = false;
	for (tries = 0; tries < TRIES_TO_CLAIM; tries++) {
		count = take_of_slot(f, slot, max, child);
		if (count)
			return count;
		ended = count_ended(f);
		if (slot_refill(f, slot))
			continue;
		count = steal(f, max, child);
		/* There are none, if nothing was claimed, released or put meanwhile. */
		*none = !count && count_begun(f) == ended;
		return count;
	}
	return 0;
}

/* The same, until that is sure, or for as long as it is worth waiting. */
static uint32_t promise(struct frames *f, struct frames_slot *slot, uint32_t max, uint32_t *child)
{
	uint32_t tries, count;
	bool none;

	for (tries = 0; tries < TRIES_TO_WAIT; tries++) {
		count = look(f, slot, max, child, &none);
		if (count || none)
			return count;
		frames_relax();
	}
	return 0;
}

/**
 * small_try() - get single frames, of one child, and look for one only once
 * @f:		the allocator
 * @slot:	the caller's
 * @count:	how many
 * @got:	is filled
 * @none:	is set to whether it is sure that there were none
 * Return: how many there are.
 */
uint32_t small_try(struct frames *f, struct frames_slot *slot, uint32_t count, uint64_t *got,
		   bool *none)
{
	uint32_t child, promised = look(f, slot, count, &child, none);

	return promised ? take_frames(f, slot, child, promised, got) : 0;
}

/**
 * small_get() - get single frames
 * @f:		the allocator
 * @slot:	the caller's
 * @count:	how many
 * @got:	is filled
 * Return: how many there are.
 */
uint32_t small_get(struct frames *f, struct frames_slot *slot, uint32_t count, uint64_t *got)
{
	uint32_t done = 0, child, promised;

	while (done < count) {
		promised = promise(f, slot, count - done, &child);
		if (!promised)
			break;
		done += take_frames(f, slot, child, promised, got + done);
	}
	return done;
}

/* Take a run of one word or of a part of it; its mask. */
static uint64_t take_run_of_word(struct frames *f, uint64_t *bits, uint32_t order)
{
	uint64_t old = frames_peek(bits), starts, run;

	do {
		starts = run_starts(~old, order);
		if (!starts)
			return 0;
		run = first_bits(1U << order) << __builtin_ctzll(starts);
	} while (!frames_cas(bits, &old, old | run));
	bits_taken(f, bits);
	return run;
}

/* Take @count whole words, or none. */
static bool take_words(struct frames *f, uint64_t *bits, uint32_t count)
{
	uint64_t old;
	uint32_t i;

	for (i = 0; i < count; i++)
		if (frames_peek(&bits[i]))
			return false;
	for (i = 0; i < count; i++) {
		if (!frames_update(&bits[i], &old, bits_take, ~0ULL))
			break;
		bits_taken(f, &bits[i]);
	}
	if (i == count)
		return true;
	while (i--)
		frames_store(&bits[i], 0);
	return false;
}

/* Take a run of a child, which counted it down before. */
static bool take_run(struct frames *f, uint32_t child, uint32_t order, uint64_t *frame)
{
	uint64_t *bits = child_bits(f, child), run;
	uint32_t step = order > 6 ? 1U << (order - 6) : 1, word;

	for (word = 0; word < WORDS_PER_CHILD; word += step) {
		if (step > 1)
			run = take_words(f, bits + word, step);
		else
			run = take_run_of_word(f, bits + word, order);
		if (run) {
			*frame = (uint64_t)child * FRAMES_PER_CHILD + word * FRAMES_PER_WORD +
				 (uint32_t)__builtin_ctzll(run);
			return true;
		}
	}
	return false;
}

static bool get_run_of_child(struct frames *f, uint32_t child, uint32_t order, uint64_t *frame)
{
	uint32_t count = 1U << order;
	uint16_t old;

	/* That there is a run spares a child that is full of holes the counting down and up. */
	if (child_free(frames_peek(&f->children[child])) < count ||
	    !child_has_run(f, child, order) ||
	    !frames_update(&f->children[child], &old, child_take, count, count))
		return false;
	if (take_run(f, child, order, frame))
		return true;
	child_count(f, child, count);
	return false;
}

/* Of the count that a slot has claimed. */
static bool get_run_of_slot(struct frames *f, struct frames_slot *slot, uint32_t order,
			    uint64_t *frame)
{
	uint32_t count = 1U << order, child;
	uint64_t claim = frames_peek(&slot->claim);

	if (!slot_any(claim) || slot_count(claim) < count)
		return false;
	child = slot_child(claim);
	if (!child_has_run(f, child, order) ||
	    !frames_update(&slot->claim, &claim, slot_take_of, child, count))
		return false;
	if (take_run(f, child, order, frame))
		return true;
	if (!frames_update(&slot->claim, &claim, slot_give, child, count))
		child_count(f, child, count);
	return false;
}

/* Which of a tree's children to look at: those that are worth it, or broken ones alone. */
static bool get_run_of_tree(struct frames *f, uint32_t tree, bool broken, uint32_t order,
			    uint64_t *frame)
{
	uint32_t word = frames_load(&f->trees[tree]), some = tree_some(word);

	if (broken)
		some &= ~tree_whole(word);
	for (; some; some &= some - 1) {
		uint32_t child = tree * CHILDREN_PER_TREE + (uint32_t)__builtin_ctz(some);

		if (get_run_of_child(f, child, order, frame))
			return true;
		if (!child_worth(frames_peek(&f->children[child])))
			tree_untell(f, child, TREE_SOME(child) | TREE_WHOLE(child));
	}
	return false;
}

static bool get_run(struct frames *f, struct frames_slot *slot, uint32_t order, uint64_t *frame)
{
	uint32_t next = frames_peek(&slot->next), from, nr = trees_there(f), i;

	if (next && get_run_of_child(f, next - 1, order, frame))
		return true;
	from = frames_peek(&slot->low);
	do {
		for (i = 0; i < nr && i < NEAR_TREES; i++)
			if (get_run_of_tree(f, tree_at(from, i, nr), true, order, frame))
				return true;
		for (i = 0; i < nr; i++)
			if (get_run_of_tree(f, tree_at(from, i, nr), false, order, frame))
				return true;
		/* Before giving up, what is claimed. */
		for (i = 0; i < f->nr_slots; i++)
			if (get_run_of_slot(f, &f->slots[i], order, frame))
				return true;
	} while (slots_drain(f, order));
	return false;
}

/**
 * small_get_runs() - get runs of frames
 * @f:		the allocator
 * @slot:	the caller's
 * @order:	1 to 8
 * @count:	how many
 * @got:	is filled
 * Return: how many there are.
 */
uint32_t small_get_runs(struct frames *f, struct frames_slot *slot, uint32_t order, uint32_t count,
			uint64_t *got)
{
	uint32_t done;

	for (done = 0; done < count; done++) {
		if (!get_run(f, slot, order, &got[done]))
			break;
		slot_set_hint(&slot->next, (uint32_t)(got[done] / FRAMES_PER_CHILD) + 1);
	}
	return done;
}

/* Take certain frames, which were counted down before. */
static bool take_at(struct frames *f, uint64_t frame, uint32_t order)
{
	uint64_t *bits = f->bits + frame / FRAMES_PER_WORD, old, mask;

	if (order > 6)
		return take_words(f, bits, 1U << (order - 6));
	mask = first_bits(1U << order) << (frame % FRAMES_PER_WORD);
	if (!frames_update(bits, &old, bits_take, mask))
		return false;
	bits_taken(f, bits);
	return true;
}

static int get_at(struct frames *f, uint64_t frame, uint32_t order)
{
	uint32_t child = (uint32_t)(frame / FRAMES_PER_CHILD), count = 1U << order;
	struct frames_slot *slot;
	uint64_t claim;
	uint16_t old;

	do {
		if (frames_update(&f->children[child], &old, child_take, count, count)) {
			if (take_at(f, frame, order))
				return 0;
			child_count(f, child, count);
			return -EBUSY;
		}
		slot = slot_with(f, child);
		if (slot && frames_update(&slot->claim, &claim, slot_take_of, child, count)) {
			if (take_at(f, frame, order))
				return 0;
			if (!frames_update(&slot->claim, &claim, slot_give, child, count))
				child_count(f, child, count);
			return -EBUSY;
		}
		/* Some of them may be counted there, and some in the child. */
	} while (slot && claim_free(f, frames_load(&slot->claim)) >= count && slot_drain(f, slot));
	return -EBUSY;
}

/**
 * small_get_at() - get certain frames
 * @f:		the allocator
 * @frame:	the first
 * @order:	0 to 8
 * Return: 0 or -EBUSY.
 */
int small_get_at(struct frames *f, uint64_t frame, uint32_t order)
{
	int err;

	/* Others' frames may be counted as taken until it is known that these are not to be had. */
	slot_begun(f->slots);
	err = get_at(f, frame, order);
	slot_ended(f->slots);
	return err;
}

/* Of runs in a word, those of which all frames are in use. */
static uint64_t runs_in_use(uint64_t bits, uint64_t runs, uint32_t order)
{
	uint64_t used = run_starts(bits & runs, order);
	uint32_t i;

	for (i = 0; i < order; i++)
		used |= used << (1U << i);
	return used;
}

/* Give runs of one word back.  Returns those that were in use. */
static uint64_t clear_of_word(uint64_t *bits, uint64_t runs, uint32_t order)
{
	uint64_t old = frames_peek(bits), used;

	do {
		used = runs_in_use(old, runs, order);
	} while (used && !frames_cas(bits, &old, old & ~used));
	return used;
}

static int put_words(struct frames *f, uint64_t frame, uint32_t count)
{
	uint64_t *bits = f->bits + frame / FRAMES_PER_WORD;
	uint32_t i;
	int err = 0;

	for (i = 0; i < count; i++)
		if (~frames_peek(&bits[i]))
			return -ENOENT;
	for (i = 0; i < count; i++)
		if (!clear_of_word(&bits[i], ~0ULL, 6))
			err = -ENOENT;
	return err;
}

/* What is being put, while neighbours follow each other. */
struct putting {
	uint32_t child;
	uint32_t count;
	uint64_t word;
	uint64_t mask;
};

static void put_count(struct frames *f, struct frames_slot *slot, struct putting *putting)
{
	uint64_t claim = frames_peek(&slot->claim);

	if (!putting->count)
		return;
	if (!slot_any(claim) || slot_child(claim) != putting->child ||
	    !frames_update(&slot->claim, &claim, slot_give, putting->child, putting->count)) {
		child_count(f, putting->child, putting->count);
		slot_put_at(slot, putting->child);
	}
	putting->count = 0;
}

static int put_mask(struct frames *f, struct putting *putting, uint32_t order)
{
	uint64_t cleared;

	if (!putting->mask)
		return 0;
	cleared = clear_of_word(f->bits + putting->word, putting->mask, order);
	putting->count += frames_weight(cleared);
	cleared ^= putting->mask;
	putting->mask = 0;
	return cleared ? -ENOENT : 0;
}

static int first_error(int err, int next)
{
	return err ? err : next;
}

/**
 * small_put() - give frames back
 * @f:		the allocator
 * @slot:	the caller's
 * @order:	0 to 8
 * @count:	how many
 * @frames:	the first of each
 * Return: 0 or a negative errno, see frames_put().
 */
int small_put(struct frames *f, struct frames_slot *slot, uint32_t order, uint32_t count,
	      const uint64_t *frames)
{
	struct putting putting = {};
	uint32_t i, child;
	uint64_t mask;
	int err = 0, failed;

	for (i = 0; i < count; i++) {
		if (!frames_in_range(f, frames[i], order)) {
			err = first_error(err, -EINVAL);
			continue;
		}
		child = (uint32_t)(frames[i] / FRAMES_PER_CHILD);
		if (frames[i] / FRAMES_PER_WORD != putting.word)
			err = first_error(err, put_mask(f, &putting, order));
		if (child != putting.child)
			put_count(f, slot, &putting);
		putting.child = child;
		putting.word = frames[i] / FRAMES_PER_WORD;
		if (order > 6) {
			failed = put_words(f, frames[i], 1U << (order - 6));
			err = first_error(err, failed);
			putting.count += failed ? 0 : 1U << order;
			continue;
		}
		mask = first_bits(1U << order) << (frames[i] % FRAMES_PER_WORD);
		if (putting.mask & mask)
			err = first_error(err, -ENOENT);
		putting.mask |= mask;
	}
	err = first_error(err, put_mask(f, &putting, order));
	put_count(f, slot, &putting);
	return err;
}
