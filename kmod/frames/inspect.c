// SPDX-License-Identifier: GPL-2.0
/*
 * Looking at an allocator: figures, what is in use, and whether the words agree.
 */
#include "levels.h"

static bool all_free(const struct frames *f, uint32_t child)
{
	return child < f->nr_children && !(frames_peek(&f->children[child]) & CHILD_HUGE) &&
	       child_free_bits(f, child) == FRAMES_PER_CHILD;
}

static void count_word_runs(uint64_t free, struct frames_stat *stat)
{
	uint32_t order;

	for (order = 6; free && order <= 6; order--) {
		uint64_t starts = run_starts(free, order);

		for (; starts; starts &= starts - 1) {
			stat->runs[order]++;
			free &= ~(first_bits(1U << order) << __builtin_ctzll(starts));
		}
	}
}

/* Runs within a child that is not free as a whole, from the largest aligned ones on. */
static void count_runs(const struct frames *f, uint32_t child, struct frames_stat *stat)
{
	const uint64_t *bits = child_bits(f, child);
	uint32_t word = 0, order, i;

	while (word < WORDS_PER_CHILD) {
		for (order = 8; order > 6; order--) {
			uint32_t step = 1U << (order - 6);

			if (word % step)
				continue;
			for (i = 0; i < step && !frames_peek(&bits[word + i]); i++)
				;
			if (i == step)
				break;
		}
		if (order > 6) {
			stat->runs[order]++;
			word += 1U << (order - 6);
		} else {
			count_word_runs(~frames_peek(&bits[word++]), stat);
		}
	}
}

static bool in_doubt(const struct frames *f, uint32_t child)
{
	return frames_peek(&f->trees[child / CHILDREN_PER_TREE]) & TREE_DOUBT(child);
}

static void count_child(const struct frames *f, uint32_t child, struct frames_stat *stat)
{
	uint16_t word = frames_peek(&f->children[child]);
	uint32_t free;

	if (word == CHILD_ABSENT) {
		stat->absent++;
		return;
	}
	stat->frames += child_frames(f, child);
	if (word & CHILD_HUGE) {
		stat->huge_used++;
		return;
	}
	free = child_free_bits(f, child);
	stat->free += free;
	stat->claimed += child_host(word) != 0;
	stat->huge_free += word == CHILD_WHOLE && !in_doubt(f, child);
	if (free < FRAMES_PER_CHILD)
		count_runs(f, child, stat);
	else if (!all_free(f, child ^ 1))
		stat->runs[9]++;
	else
		stat->runs[10] += !(child & 1);
}

void frames_stat(const struct frames *f, struct frames_stat *stat)
{
	uint32_t child;

	*stat = (struct frames_stat){};
	for (child = 0; child < f->nr_children; child++)
		count_child(f, child, stat);
}

bool frames_next(const struct frames *f, uint64_t *frame, uint32_t *order)
{
	uint64_t at = *frame, used;

	while (at < f->nr_frames) {
		uint32_t child = (uint32_t)(at / FRAMES_PER_CHILD);
		uint16_t word = frames_load(&f->children[child]);

		if (word & CHILD_HUGE) {
			if (word == CHILD_HUGE && !(at % FRAMES_PER_CHILD)) {
				*frame = at;
				*order = FRAMES_HUGE_ORDER;
				return true;
			}
			at = (uint64_t)(child + 1) * FRAMES_PER_CHILD;
			continue;
		}
		used = frames_load(&f->bits[at / FRAMES_PER_WORD]) &
		       ~first_bits(at % FRAMES_PER_WORD);
		if (!used) {
			at = (at / FRAMES_PER_WORD + 1) * FRAMES_PER_WORD;
			continue;
		}
		at = at / FRAMES_PER_WORD * FRAMES_PER_WORD + (uint32_t)__builtin_ctzll(used);
		if (at >= f->nr_frames)
			break;
		*frame = at;
		*order = 0;
		return true;
	}
	return false;
}

bool frames_in_use(const struct frames *f, uint64_t frame)
{
	uint16_t child;

	if (frame >= f->nr_frames)
		return false;
	child = frames_load(&f->children[frame / FRAMES_PER_CHILD]);
	if (child & CHILD_HUGE)
		return child == CHILD_HUGE;
	return frames_load(&f->bits[frame / FRAMES_PER_WORD]) >> (frame % FRAMES_PER_WORD) & 1;
}

static const char *validate_child(const struct frames *f, uint32_t child)
{
	uint16_t word = frames_load(&f->children[child]);
	uint32_t tree = frames_load(&f->trees[child / CHILDREN_PER_TREE]);
	uint32_t host = child_host(word), free;
	const struct frames_slot *slot = slot_with(f, child);
	uint64_t claim = slot ? frames_load(&slot->claim) : 0;

	if (word == CHILD_ABSENT)
		return claim ? "a slot has claimed a child that is absent" : NULL;
	if (child >= f->nr_children)
		return "a child that does not exist is there";
	free = child_free_bits(f, child);
	if (word & CHILD_HUGE) {
		if (word != CHILD_HUGE)
			return "a huge frame has a count or a host";
		if (claim)
			return "a slot has claimed a huge frame";
		return free == FRAMES_PER_CHILD ? NULL : "a huge frame has bits";
	}
	if (host && host != f->host)
		return "a child is claimed by another host";
	if (!host != !slot_any(claim))
		return "a claimed child and the slots differ";
	if (child_free(word) + slot_count(claim) != free && !in_doubt(f, child))
		return "the count of a child is not that of its bits";
	if (child_worth(word) && !(tree & TREE_SOME(child)))
		return "a tree does not tell of a child that is worth a look";
	if (word == CHILD_WHOLE && !(tree & TREE_WHOLE(child)) && !in_doubt(f, child))
		return "a tree does not tell of a child that is whole";
	return NULL;
}

static const char *validate_tree(const struct frames *f, uint32_t tree)
{
	uint32_t host = tree_host(frames_load(&f->trees[tree])), i;
	bool reserved = false;

	for (i = 0; i < f->nr_slots; i++) {
		uint64_t claim = frames_load(&f->slots[i].claim);

		if (slot_any(claim) && (claim & SLOT_TREE) &&
		    slot_child(claim) / CHILDREN_PER_TREE == tree)
			reserved = true;
	}
	if (host && host != f->host)
		return "a tree is reserved by another host";
	return !host == !reserved ? NULL : "a reserved tree and the slots differ";
}

static const char *found(const char *fault, uint32_t at, uint32_t *where)
{
	if (fault && where)
		*where = at;
	return fault;
}

const char *frames_validate(const struct frames *f, uint32_t *where)
{
	const char *fault = NULL;
	uint32_t i;

	for (i = 0; i < f->nr_trees * CHILDREN_PER_TREE && !fault; i++)
		fault = found(validate_child(f, i), i, where);
	for (i = 0; i < f->nr_trees && !fault; i++)
		fault = found(validate_tree(f, i), i, where);
	return fault;
}
