// SPDX-License-Identifier: GPL-2.0
/*
 * The word of a page at its limits: each field alone, full and empty, and what is refused.
 *
 * What is expected is said with numbers, not with the macros of word.h: a field that moved would not be
 * found in the same place by another host.
 */
#include "words_test.h"

static struct word_ask reads(unsigned int party)
{
	return (struct word_ask){.party = party, .alone = 1ULL << party % 40};
}

static struct word_ask writes(unsigned int party)
{
	struct word_ask ask = reads(party);

	ask.write = true;
	return ask;
}

static struct word_ask held(struct word_ask ask)
{
	ask.hold = true;
	return ask;
}

#define assert_word(word, value)                                                                 \
	do {                                                                                     \
		uint64_t word_ = word, value_ = value;                                           \
                                                                                                 \
		if (word_ != value_)                                                             \
			fail_msg("%#" PRIx64 " instead of %#" PRIx64 ", line %d", word_, value_, \
				 __LINE__);                                                      \
	} while (0)

/* Fails if a word that is 0 grants something, or cannot be had at once. */
static void a_word_of_0_is_of_a_page_that_nobody_has(void **state)
{
	unsigned int party;

	assert_int_equal(word_state(0), WORD_SHARED);
	assert_int_equal(word_owner(0), 0);
	assert_true(!word_readers(0) && !word_held(0) && !word_waited(0) && !word_moves(0));
	assert_true(!word_losers(0) && word_may_split(0));
	for (party = 1; party <= 2047; party++) {
		struct word_ask read = reads(party), write = writes(party);
		uint64_t word = 0;

		assert_int_equal(word_grants(0, party), WORD_NOTHING);
		assert_false(word_end(&word, &read) || word_end(&word, &write) ||
			     word_give_up(&word, &read) || word_give_up(&word, &write) ||
			     word_release(&word) || word_yield(&word, party, true) ||
			     word_yield(&word, party, false) ||
			     word_leave(&word, party, read.alone) || word_fold(&word, party));
		assert_word(word, 0);
		assert_int_equal(word_want(&word, &read), WORD_TAKEN);
		assert_word(word, 1ULL << party % 40);
		word = 0;
		assert_int_equal(word_want(&word, &write), WORD_TAKEN);
		assert_word(word, (1ULL << 51) + ((uint64_t)party << 40));
	}
}

/* Fails if a field lies elsewhere, or reaches into another. */
static void fields_do_not_overlap(void **state)
{
	uint64_t fields[] = {0xffffffffff, 0x7ffULL << 40, 7ULL << 51,
			     1ULL << 54,   1ULL << 55,	   0xffULL << 56};
	uint64_t all = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t word = fields[i];

		assert_false(all & word);
		all |= word;
		assert_word(word_readers(word), i == 0 ? word : 0);
		assert_int_equal(word_owner(word), i == 1 ? 2047 : 0);
		assert_int_equal(word_state(word), i == 2 ? 7 : 0);
		assert_int_equal(word_waited(word), i == 3);
		assert_int_equal(!!(word & WORD_HELD_ALONE), i == 4);
		assert_int_equal(word_held(word), i == 5 ? 255 : 0);
	}
	assert_word(all, ~0ULL);
	assert_int_equal(WORD_PARTIES, 2047);
	assert_int_equal(WORD_HELD_MOST, 255);
	assert_int_equal(WORD_GROUPS, 40);
}

/* Fails if what does not belong to a change of hands changes with it. */
static void waiting_and_holds_outlast_a_change_of_hands(void **state)
{
	uint64_t kept = 1ULL << 54 | 1ULL << 55 | 0xffULL << 56;

	assert_word(word_become(~0ULL, WORD_SHARED, 0, 0), kept);
	assert_word(word_become(kept, WORD_SPLIT, 2047, 0xffffffffff),
		    kept | 4ULL << 51 | 0x7ffULL << 40 | 0xffffffffff);
	assert_word(word_become(0, WORD_RECALL, 1, 1), 3ULL << 51 | 1ULL << 40 | 1);
}

/* Fails if the greatest number is cut off, or the smallest is taken for nobody. */
static void each_number_is_told_from_all_others(void **state)
{
	unsigned int party, other;

	for (party = 1; party <= 2047; party++) {
		struct word_ask write = writes(party), read = reads(party % 2047 + 1);
		uint64_t word = 0;

		assert_int_equal(word_want(&word, &write), WORD_TAKEN);
		for (other = 1; other <= 2047; other++)
			assert_int_equal(word_grants(word, other),
					 other == party ? WORD_WRITE : WORD_NOTHING);
		assert_int_equal(word_want(&word, &read), WORD_BEGUN);
		assert_word(word,
			    (3ULL << 51) + ((uint64_t)party << 40) + (1ULL << read.party % 40));
		assert_word(word_losers(word), 1ULL << party % 40);
		for (other = 1; other <= 2047; other++)
			assert_int_equal(word_grants(word, other),
					 other == party ? WORD_READ : WORD_NOTHING);
		assert_true(word_end(&word, &read));
		assert_word(word, 1ULL << party % 40 | 1ULL << read.party % 40);
	}
}

/* Fails if the count of holds spills over, or is said to be full to who does not hold. */
static void as_many_as_are_counted_may_hold(void **state)
{
	struct word_ask read = reads(7), write = writes(8), other = reads(9);
	struct word_ask hold = held(read), write_hold = held(write);
	uint64_t word = 0, full;
	int i;

	for (i = 1; i <= 255; i++) {
		assert_int_equal(word_want(&word, &hold), WORD_TAKEN);
		assert_word(word, (uint64_t)i << 56 | 1ULL << 7);
	}
	full = word;
	assert_int_equal(word_want(&word, &hold), WORD_FULL);
	assert_int_equal(word_want(&word, &write_hold), WORD_FULL);
	assert_int_equal(word_want(&word, &write), WORD_WAIT);
	assert_int_equal(word_want(&word, &read), WORD_HAS);
	assert_word(word, full);
	/* To read and not hold is for everybody. */
	assert_int_equal(word_want(&word, &other), WORD_TAKEN);
	assert_word(word, full | 1ULL << 9);
	for (i = 254; i >= 0; i--) {
		assert_true(word_may_split(word));
		assert_true(word_release(&word));
		assert_word(word, (uint64_t)i << 56 | 1ULL << 7 | 1ULL << 9);
	}
	assert_false(word_release(&word));
	assert_true(word_may_split(word));
}

/* The same of one who may write, and holds it to read: others may read it, and it is held as often then. */
static void as_many_may_hold_what_is_owned(void **state)
{
	struct word_ask hold = held(reads(2047)), other = reads(1), other_hold = held(other);
	struct word_ask write = writes(1);
	uint64_t owned = (1ULL << 51) + (2047ULL << 40), word = owned;
	int i;

	for (i = 1; i <= 255; i++) {
		assert_int_equal(word_want(&word, &hold), WORD_TAKEN);
		assert_word(word, (uint64_t)i << 56 | owned);
	}
	assert_int_equal(word_want(&word, &hold), WORD_FULL);
	assert_int_equal(word_want(&word, &other_hold), WORD_FULL);
	assert_int_equal(word_want(&word, &write), WORD_WAIT);
	assert_false(word_yield(&word, 2047, true) || word_yield(&word, 2047, false) ||
		     word_fold(&word, 2047));
	assert_word(word, 255ULL << 56 | owned);
	assert_int_equal(word_want(&word, &other), WORD_BEGUN);
	assert_word(word, (255ULL << 56) + (3ULL << 51) + (2047ULL << 40) + (1 << 1));
	assert_false(word_may_split(word));
	/* Who releases it does so at any time. */
	assert_true(word_release(&word));
	assert_word(word, (254ULL << 56) + (3ULL << 51) + (2047ULL << 40) + (1 << 1));
	assert_true(word_end(&word, &other_hold));
	assert_word(word, 255ULL << 56 | 1 << 7 | 1 << 1);
}

/* Fails if what one holds to write is had, or held, by another, or its bit spills over or stays. */
static void one_holds_to_write(void **state)
{
	unsigned int party;

	for (party = 1; party <= 2047; party++) {
		struct word_ask hold = held(writes(party)), other = reads(party % 2047 + 1);
		struct word_ask other_hold = held(other), write = writes(other.party);
		uint64_t owned = (1ULL << 51) + ((uint64_t)party << 40);
		uint64_t alone = (1ULL << 56) + (1ULL << 55) + owned, word = 0;

		assert_int_equal(word_want(&word, &hold), WORD_TAKEN);
		assert_word(word, alone);
		assert_int_equal(word_want(&word, &other), WORD_WAIT);
		assert_int_equal(word_want(&word, &other_hold), WORD_WAIT);
		assert_int_equal(word_want(&word, &write), WORD_WAIT);
		assert_false(word_yield(&word, party, true) || word_yield(&word, party, false));
		assert_word(word, alone);
		assert_true(word_release(&word));
		assert_word(word, owned);
		assert_false(word_release(&word));
		/* It had it before. */
		assert_int_equal(word_want(&word, &hold), WORD_TAKEN);
		assert_word(word, alone);
		assert_true(word_release(&word));
		/* It takes it from another. */
		word = 1ULL << other.party % 40;
		assert_int_equal(word_want(&word, &hold), WORD_BEGUN);
		assert_true(word_end(&word, &hold));
		assert_word(word, alone);
	}
}

/* Fails if another folds a word, or it does who does not hold it to write, or if anything of it stays but who waits. */
static void who_holds_to_write_folds(void **state)
{
	unsigned int party;

	for (party = 1; party <= 2047; party++) {
		uint64_t number = (uint64_t)party << 40, owned = (1ULL << 51) + number;
		uint64_t alone = (1ULL << 56) + (1ULL << 55) + owned;
		uint64_t refused[] = {owned, (1ULL << 56) + owned, (2ULL << 51) + number,
				      (3ULL << 51) + number + 1, 1ULL << party % 40};
		uint64_t word = alone;
		struct word_ask write = writes(party), read = reads(party);
		size_t i;

		assert_false(word_fold(&word, party % 2047 + 1));
		assert_word(word, alone);
		assert_true(word_fold(&word, party));
		assert_word(word, (2ULL << 51) + number);
		assert_true(!word_held(word) && !word_losers(word) && !word_may_split(word));
		assert_int_equal(word_grants(word, party), WORD_NOTHING);
		assert_int_equal(word_want(&word, &write), WORD_WAIT);
		assert_int_equal(word_want(&word, &read), WORD_WAIT);
		assert_false(word_fold(&word, party));
		word = alone + (1ULL << 54);
		assert_true(word_fold(&word, party));
		assert_word(word, (1ULL << 54) + (2ULL << 51) + number);
		for (i = 0; i < ARRAY_SIZE(refused); i++) {
			word = refused[i];
			assert_false(word_fold(&word, party));
			assert_word(word, refused[i]);
		}
	}
}

/*
 * Fails if who wanted to write, and has given that up, is forgotten as a reader, which it still is: the next who writes
 * would not take it away from there.
 */
static void who_gives_up_writing_reads_on(void **state)
{
	struct word_ask read = reads(1), other = reads(2), write = writes(1);
	uint64_t word = 0;

	assert_int_equal(word_want(&word, &read), WORD_TAKEN);
	assert_int_equal(word_want(&word, &other), WORD_TAKEN);
	assert_int_equal(word_want(&word, &write), WORD_BEGUN);
	assert_true(word_losers(word) & 1 << 2);
	assert_true(word_give_up(&word, &write));
	assert_word(word, 1 << 1);
	/* Who had nothing has nothing. */
	word = 0;
	assert_int_equal(word_want(&word, &other), WORD_TAKEN);
	assert_int_equal(word_want(&word, &write), WORD_BEGUN);
	assert_true(word_give_up(&word, &write));
	assert_word(word, 0);
	/* And so it is with what a party yields. */
	assert_int_equal(word_want(&word, &write), WORD_TAKEN);
	assert_true(word_yield(&word, 1, false));
	assert_word(word_losers(word), 0);
	assert_true(word_give_up(&word, &write));
	assert_word(word, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_of_0_is_of_a_page_that_nobody_has),
		cmocka_unit_test(fields_do_not_overlap),
		cmocka_unit_test(waiting_and_holds_outlast_a_change_of_hands),
		cmocka_unit_test(each_number_is_told_from_all_others),
		cmocka_unit_test(as_many_as_are_counted_may_hold),
		cmocka_unit_test(as_many_may_hold_what_is_owned),
		cmocka_unit_test(one_holds_to_write),
		cmocka_unit_test(who_holds_to_write_folds),
		cmocka_unit_test(who_gives_up_writing_reads_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
