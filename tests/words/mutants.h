/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The transitions of a word as they are, or with one mistake planted: what looks for mistakes
 * has to find each of these.
 */
#ifndef WORDS_MUTANTS_H
#define WORDS_MUTANTS_H

#include "words_test.h"

/* Mistakes of the transitions. */
#define WORD_MUTANTS(X)                  \
	X(takes_from_one_who_holds)      \
	X(recalls_what_is_held_to_write) \
	X(recall_loses_holds)            \
	X(writes_what_readers_hold)      \
	X(writes_what_owner_holds)       \
	X(does_not_see_other_readers)    \
	X(passes_the_line)               \
	X(holds_without_a_count)         \
	X(holds_to_write_as_to_read)     \
	X(holds_to_read_as_to_write)     \
	X(recall_grants_writing)         \
	X(inval_grants_at_once)          \
	X(inval_loses_who_asks)          \
	X(inval_has_no_losers)           \
	X(recall_has_readers_lose)       \
	X(inval_ends_with_readers)       \
	X(inval_ends_shared)             \
	X(recall_ends_without_owner)     \
	X(recall_ends_without_who_asked) \
	X(end_does_not_hold)             \
	X(end_holds_to_write_as_to_read) \
	X(giving_up_leaves_owned)        \
	X(giving_up_forgets_who_reads)   \
	X(giving_up_a_recall_frees)      \
	X(change_loses_waited)           \
	X(change_loses_holds)            \
	X(yields_what_is_held)           \
	X(splits_not_what_is_held)       \
	X(splits_what_moves)             \
	X(releases_twice)                \
	X(release_leaves_it_alone)

/* The same, which harm nobody where each party has a bit of its own. */
#define SHARED_MUTANTS(X)           \
	X(leaving_forgets_a_reader) \
	X(alone_with_a_shared_bit)

/* Of the end of a word, which nobody goes on with. */
#define FOLD_MUTANTS(X)               \
	X(folds_what_is_held_to_read) \
	X(folds_what_nobody_holds)    \
	X(folding_leaves_a_hold)      \
	X(folding_leaves_it_alone)    \
	X(folding_leaves_a_reader)

/* Mistakes of who makes the transitions. */
#define RULE_MUTANTS(X)                \
	X(maps_without_asking)         \
	X(does_not_take_out)           \
	X(recall_leaves_it_writable)   \
	X(does_not_flush)              \
	X(flushes_what_it_changes)     \
	X(flushes_before_taking_out)   \
	X(takes_out_after_the_end)     \
	X(yields_without_flush)        \
	X(goes_without_flush)          \
	X(goes_with_what_it_maps)      \
	X(any_in_line_is_next)         \
	X(sleeps_without_asking_again) \
	X(does_not_wake)               \
	X(leaves_the_line_without_waking)

enum mutant {
	NO_MUTANT,
#define X(mistake) mistake,
	WORD_MUTANTS(X) SHARED_MUTANTS(X) FOLD_MUTANTS(X) RULE_MUTANTS(X)
#undef X
};

/* A test that plants it. */
#define PLANTED(mistake)                                     \
	{                                                    \
		.name = "mistake_is_found_" #mistake,        \
		.test_func = mistake_is_found,               \
		.initial_state = (void *)(uintptr_t)mistake, \
	},

static enum mutant mutant;

static inline bool is(enum mutant which)
{
	return __builtin_expect(mutant == which, 0);
}

/* What a word says of who holds it. */
static inline uint64_t holds_of(uint64_t word)
{
	return word & ~(WORD_HELD_ALONE - 1);
}

/* What may be lost of a word that changes. */
static inline void carry_over(uint64_t *word)
{
	if (is(change_loses_waited))
		*word &= ~WORD_WAITED;
	if (is(change_loses_holds))
		*word -= holds_of(*word);
}

/* What a mistake has who asks for a word not see of who holds it. */
static inline uint64_t overlooked(uint64_t word, const struct word_ask *ask)
{
	bool others = word_state(word) == WORD_OWNED && word_owner(word) != ask->party;
	bool alone = word & WORD_HELD_ALONE;

	if ((is(takes_from_one_who_holds) && others) ||
	    (is(writes_what_readers_hold) && word_state(word) != WORD_OWNED && ask->write) ||
	    (is(writes_what_owner_holds) && others && !alone && ask->write))
		return holds_of(word);
	return is(recalls_what_is_held_to_write) && others && !ask->write ? word & WORD_HELD_ALONE
									  : 0;
}

static inline enum word_answer do_want(uint64_t *word, struct word_ask ask)
{
	uint64_t before = *word, held = overlooked(*word, &ask);
	bool owned = word_state(*word) == WORD_OWNED;
	enum word_answer answer;

	if (is(does_not_see_other_readers))
		ask.alone = ~0ULL;
	if (is(alone_with_a_shared_bit))
		ask.alone = word_bit(ask.party);
	if (is(passes_the_line))
		ask.next = true;
	*word -= held;
	answer = word_want(word, &ask);
	*word += held;
	if (is(holds_without_a_count) && ask.hold && answer == WORD_TAKEN)
		*word -= WORD_HELD_ONE;
	if (is(holds_to_write_as_to_read) && answer == WORD_TAKEN)
		*word &= ~WORD_HELD_ALONE;
	if (is(holds_to_read_as_to_write) && ask.hold && answer == WORD_TAKEN)
		*word |= WORD_HELD_ALONE;
	if (is(recall_loses_holds) && word_state(*word) == WORD_RECALL && owned)
		*word -= holds_of(*word);
	if (is(inval_loses_who_asks) && answer == WORD_BEGUN && !owned)
		*word &= ~ask.alone;
	if (word_state(*word) != word_state(before))
		carry_over(word);
	return answer;
}

static inline enum word_grant do_grants(uint64_t word, unsigned int party)
{
	bool owner = word_owner(word) == party;

	if (is(recall_grants_writing) && word_state(word) == WORD_RECALL && owner)
		return WORD_WRITE;
	if (is(inval_grants_at_once) && word_state(word) == WORD_INVAL && owner)
		return WORD_WRITE;
	return word_grants(word, party);
}

static inline uint64_t do_losers(uint64_t word)
{
	if (is(inval_has_no_losers) && word_state(word) == WORD_INVAL)
		return 0;
	return is(recall_has_readers_lose) ? word_readers(word) : word_losers(word);
}

static inline bool do_end(uint64_t *word, const struct word_ask *ask)
{
	uint64_t before = *word;

	if (!word_end(word, ask))
		return false;
	if (is(inval_ends_with_readers) && ask->write)
		*word |= word_readers(before);
	if (is(inval_ends_shared) && ask->write)
		*word = word_become(*word, WORD_SHARED, 0, word_bit(ask->party));
	if (is(recall_ends_without_owner) && !ask->write)
		*word = word_become(*word, WORD_SHARED, 0, word_bit(ask->party));
	if (is(recall_ends_without_who_asked) && !ask->write)
		*word = word_become(*word, WORD_SHARED, 0, word_bit(word_owner(before)));
	if (is(end_does_not_hold) && ask->hold)
		*word -= WORD_HELD_ONE;
	if (is(end_holds_to_write_as_to_read))
		*word &= ~WORD_HELD_ALONE;
	carry_over(word);
	return true;
}

static inline bool do_give_up(uint64_t *word, const struct word_ask *ask)
{
	uint64_t before = *word;

	if (!word_give_up(word, ask))
		return false;
	if (is(giving_up_leaves_owned))
		*word = word_become(*word, WORD_OWNED, word_owner(before), 0);
	if ((is(giving_up_forgets_who_reads) && ask->write) ||
	    (is(giving_up_a_recall_frees) && !ask->write))
		*word = word_become(*word, WORD_SHARED, 0, 0);
	carry_over(word);
	return true;
}

static inline bool do_release(uint64_t *word)
{
	uint64_t before = *word;
	bool done = word_release(word);

	if (is(release_leaves_it_alone))
		*word |= before & WORD_HELD_ALONE;
	if (is(releases_twice))
		word_release(word);
	return done;
}

static inline bool do_yield(uint64_t *word, unsigned int party, bool read)
{
	uint64_t held = 0;
	bool done;

	if (is(yields_what_is_held))
		held = holds_of(*word);
	*word -= held;
	done = word_yield(word, party, read);
	*word += held;
	if (done)
		carry_over(word);
	return done;
}

static inline bool do_leave(uint64_t *word, unsigned int party, uint64_t alone)
{
	bool done;

	if (is(leaving_forgets_a_reader))
		alone = word_bit(party);
	done = word_leave(word, party, alone);
	if (done)
		carry_over(word);
	return done;
}

static inline bool do_fold(uint64_t *word, unsigned int party)
{
	uint64_t before = *word;
	unsigned int held = word_held(*word);

	if ((is(folds_what_is_held_to_read) && held) || (is(folds_what_nobody_holds) && !held))
		*word |= WORD_HELD_ALONE;
	if (!word_fold(word, party)) {
		*word = before;
		return false;
	}
	if (is(folding_leaves_a_hold))
		*word += WORD_HELD_ONE;
	if (is(folding_leaves_it_alone))
		*word |= WORD_HELD_ALONE;
	if (is(folding_leaves_a_reader))
		*word |= word_bit(party);
	return true;
}

static inline bool do_may_split(uint64_t word)
{
	if (is(splits_not_what_is_held) && word_held(word))
		return false;
	if (is(splits_what_moves) && word_moves(word))
		return true;
	return word_may_split(word);
}

#endif /* WORDS_MUTANTS_H */
