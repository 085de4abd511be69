// SPDX-License-Identifier: GPL-2.0
/*
 * The transitions of one word, each alone: all that it accepts and refuses.
 *
 * What is expected is said with numbers, not with the macros of word.h: a field that
 * moved would not be found in the same place on a medium.
 */
#include "frames_test.h"
#include "word.h"

/* What a child's word holds, by its definition. */
static uint32_t free_of(uint32_t child)
{
	return child % 1024;
}

static bool is_huge(uint32_t child)
{
	return child / 1024 % 2;
}

static uint32_t host_of(uint32_t child)
{
	return child / 2048;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static const uint32_t counts[] = {0, 1, 2, 63, 64, 255, 256, 510, 511, 512};

/*
 * Fails unless a transition of a child's word returns what it should, and makes
 * of the word what it should, which is nothing where it refuses.
 */
#define assert_turns(child, may, into, change, ...)                                               \
	do {                                                                                      \
		uint16_t word_ = (uint16_t)(child);                                               \
		bool want_ = may, got_ = change(&word_, ##__VA_ARGS__);                           \
                                                                                                  \
		if (got_ != want_ || word_ != (want_ ? (uint16_t)(into) : (uint16_t)(child)))     \
			fail_msg(#change " of %#x: %d, %#x", (unsigned int)(child), got_, word_); \
	} while (0)

/* Fails if a field of a child lies elsewhere, or an absent or huge child counts as free. */
static void a_child_is_read_as_it_is_written(void **state)
{
	uint32_t child;

	for (child = 0; child < 65536; child++) {
		uint32_t free = is_huge(child) ? 0 : free_of(child);

		assert_int_equal(child_free((uint16_t)child), free);
		assert_int_equal(child_host((uint16_t)child), host_of(child));
		assert_int_equal(child_worth((uint16_t)child), free && !host_of(child));
	}
	assert_int_equal(CHILD_WHOLE, 512);
	assert_int_equal(CHILD_HUGE, 1024);
	assert_int_equal(CHILD_ABSENT, 1025);
}

/* Fails if a child is claimed that is claimed, huge, absent or used up; or keeps a count. */
static void only_free_frames_nobody_claimed_are_claimed(void **state)
{
	uint32_t child, host;

	for (child = 0; child < 65536; child++)
		for (host = 1; host <= 31; host++)
			assert_turns(child, !is_huge(child) && !host_of(child) && free_of(child),
				     host * 2048, child_claim, host);
}

/* Fails if a count is made anew of a child that another host has, or leaves a host in it. */
static void only_its_host_sets_a_child(void **state)
{
	uint32_t child, host, i;

	for (child = 0; child < 65536; child++)
		for (host = 0; host <= 31; host++)
			for (i = 0; i < ARRAY_SIZE(counts); i++)
				assert_turns(child, host == host_of(child), counts[i], child_set,
					     host, counts[i]);
}

/* Fails if a claim of another is ended, or what was put meanwhile is lost. */
static void only_its_host_ends_a_claim(void **state)
{
	uint32_t child, host, i;

	for (child = 0; child < 65536; child++) {
		uint32_t put = is_huge(child) ? 0 : free_of(child);

		for (host = 1; host <= 31; host++)
			for (i = 0; i < ARRAY_SIZE(counts); i++)
				assert_turns(child, host == host_of(child),
					     least(512, put + counts[i]), child_unclaim, host,
					     counts[i]);
	}
}

/* Fails if fewer than the least, or more than the most, are taken of a child. */
static void between_least_and_most_is_taken(void **state)
{
	uint32_t child, i, j;

	for (child = 0; child < 65536; child++) {
		uint32_t free = is_huge(child) ? 0 : free_of(child);

		for (i = 1; i < ARRAY_SIZE(counts); i++)
			for (j = i; j < ARRAY_SIZE(counts); j++)
				assert_turns(child, free >= counts[i],
					     child - least(free, counts[j]), child_take, counts[i],
					     counts[j]);
	}
}

/* Fails if a huge or absent child is given frames, or a child counts more than 512. */
static void what_is_given_is_counted_up_to_all(void **state)
{
	uint32_t child, i;

	for (child = 0; child < 65536; child++)
		for (i = 0; i < ARRAY_SIZE(counts); i++)
			assert_turns(child, !is_huge(child),
				     host_of(child) * 2048 + least(512, free_of(child) + counts[i]),
				     child_give, counts[i]);
}

/* Fails if a child that is there is added again. */
static void only_an_absent_child_is_added(void **state)
{
	uint32_t child, i;

	for (child = 0; child < 65536; child++)
		for (i = 0; i < ARRAY_SIZE(counts); i++)
			assert_turns(child, child == 1025, counts[i], child_add, counts[i]);
}

/* Fails if a child goes that is claimed, huge, or has fewer or more free. */
static void only_a_child_with_all_free_is_removed(void **state)
{
	uint32_t child, i;

	for (child = 0; child < 65536; child++)
		for (i = 0; i < ARRAY_SIZE(counts); i++)
			assert_turns(child, child == counts[i], 1025, child_remove, counts[i]);
}

/* Fails if a child with a frame in use, or a claim, becomes huge; or any but a huge is put. */
static void only_a_whole_child_is_had_as_huge(void **state)
{
	uint32_t child;

	for (child = 0; child < 65536; child++) {
		assert_turns(child, child == 512, 1024, child_take_huge);
		assert_turns(child, child == 1024, 512, child_put_huge);
	}
}

/*
 * Each part in turn is anything, while the others are as they should.  Fails if one is had or
 * put without the other.
 */
static void two_are_had_or_put_together(void **state)
{
	uint32_t child, part;

	for (child = 0; child < 65536; child++)
		for (part = 0; part < 2; part++) {
			uint32_t whole = 0x02000200, huge = 0x04000400;
			frames_pair take = (whole & ~(0xffffU << 16 * part)) | child << 16 * part;
			frames_pair put = (huge & ~(0xffffU << 16 * part)) | child << 16 * part;
			frames_pair taken = take, was_put = put;

			assert_int_equal(pair_take_huge(&taken), child == 512);
			assert_int_equal(taken, child == 512 ? huge : take);
			assert_int_equal(pair_put_huge(&was_put), child == 1024);
			assert_int_equal(was_put, child == 1024 ? whole : put);
		}
}

/* The same of four. */
static void four_are_had_or_put_together(void **state)
{
	uint64_t child;
	uint32_t part;

	for (child = 0; child < 65536; child++)
		for (part = 0; part < 4; part++) {
			uint64_t whole = 0x0200020002000200, huge = 0x0400040004000400;
			frames_quad take = (whole & ~(0xffffULL << 16 * part)) | child << 16 * part;
			frames_quad put = (huge & ~(0xffffULL << 16 * part)) | child << 16 * part;
			frames_quad taken = take, was_put = put;

			assert_int_equal(quad_take_huge(&taken), child == 512);
			assert_true(taken == (child == 512 ? huge : take));
			assert_int_equal(quad_put_huge(&was_put), child == 1024);
			assert_true(was_put == (child == 1024 ? whole : put));
		}
}

/* Trees of all hosts, and many of the patterns of their bits. */
#define TREES (1ULL << 32)
#define TREE_STEP 122777

static uint32_t tree_of(uint32_t some, uint32_t whole, uint32_t host, uint32_t doubt)
{
	return some + whole * 256 + host * 65536 + doubt * 16777216;
}

/* Fails if a field of a tree lies elsewhere, or overlaps another. */
static void a_tree_is_read_as_it_is_written(void **state)
{
	uint64_t tree;
	uint32_t child;

	for (tree = 0; tree < TREES; tree += TREE_STEP) {
		assert_int_equal(tree_some((uint32_t)tree), tree % 256);
		assert_int_equal(tree_whole((uint32_t)tree), tree / 256 % 256);
		assert_int_equal(tree_host((uint32_t)tree), tree / 65536 % 32);
	}
	for (child = 0; child < 32; child++) {
		assert_int_equal(TREE_SOME(child), tree_of(1 << child % 8, 0, 0, 0));
		assert_int_equal(TREE_WHOLE(child), tree_of(0, 1 << child % 8, 0, 0));
		assert_int_equal(TREE_DOUBT(child), tree_of(0, 0, 0, 1U << child % 8));
	}
}

/* Fails if other bits change too, or a change is not told. */
static void bits_of_a_tree_are_set_and_unset(void **state)
{
	uint32_t bits, i;
	uint64_t tree;

	for (tree = 0; tree < TREES; tree += TREE_STEP)
		for (i = 0; i < 32; i++) {
			uint32_t word = (uint32_t)tree;

			bits = 1U << i | 1U << i * 7 % 32;
			assert_int_equal(tree_set(&word, bits), (tree & bits) != bits);
			assert_int_equal(word, (uint32_t)tree | bits);
			assert_false(tree_set(&word, bits));
			assert_true(tree_unset(&word, bits));
			assert_int_equal(word, (uint32_t)tree & ~bits);
			assert_false(tree_unset(&word, bits));
			assert_int_equal(word, (uint32_t)tree & ~bits);
		}
}

/* Fails if two hosts have a tree, or one ends what another has. */
static void a_tree_is_reserved_once_and_released_by_its_host(void **state)
{
	uint64_t tree;
	uint32_t host;

	for (tree = 0; tree < TREES; tree += TREE_STEP)
		for (host = 1; host <= 31; host++) {
			uint32_t owner = tree / 65536 % 32, old = (uint32_t)tree, word = old;

			assert_int_equal(tree_reserve(&word, host), !owner);
			assert_int_equal(word, owner ? old : old + host * 65536);
			word = old;
			assert_int_equal(tree_release(&word, host), host == owner);
			assert_int_equal(word, host == owner ? old - host * 65536 : old);
		}
}

static const uint32_t some_children[] = {0, 1, 7, 511, 65535, 0x7fffffff, 0xfffffffe};

/* A slot's word by its definition. */
static uint64_t slot_of_numbers(uint64_t child, uint64_t count, uint64_t tree)
{
	return child + 1 + (count << 32) + (tree << 42);
}

/* Fails if a field of a slot lies elsewhere, or overlaps another, for any child or count. */
static void a_slot_is_read_as_it_is_written(void **state)
{
	uint32_t i, count, tree;

	assert_false(slot_any(0));
	assert_int_equal(slot_count(0), 0);
	for (i = 0; i < ARRAY_SIZE(some_children); i++)
		for (count = 0; count <= 512; count++)
			for (tree = 0; tree < 2; tree++) {
				uint64_t slot = slot_make(some_children[i], count, tree);

				assert_true(slot == slot_of_numbers(some_children[i], count, tree));
				assert_true(slot_any(slot));
				assert_int_equal(slot_child(slot), some_children[i]);
				assert_int_equal(slot_count(slot), count);
				assert_int_equal(!!(slot & SLOT_TREE), tree);
			}
}

static void assert_slot_gives(uint32_t have, uint32_t min, uint32_t max, uint32_t tree)
{
	uint64_t slot = slot_of_numbers(9, have, tree);
	bool may = have >= min;

	assert_int_equal(slot_take(&slot, min, max), may);
	assert_true(slot == slot_of_numbers(9, may ? have - least(have, max) : have, tree));
}

/* Fails if a slot gives more than it has or than was asked, or less than it could. */
static void a_slot_gives_what_it_has(void **state)
{
	uint32_t have, i, j;

	for (have = 0; have <= 512; have++)
		for (i = 1; i < ARRAY_SIZE(counts); i++)
			for (j = i; j < ARRAY_SIZE(counts); j++)
				assert_slot_gives(have, counts[i], counts[j], have % 2);
}

/* Fails if frames of a child are counted down where another is claimed, or none is. */
static void a_slot_gives_of_its_child_only(void **state)
{
	uint32_t have, i;
	uint64_t slot;

	for (have = 0; have <= 512; have++)
		for (i = 1; i < ARRAY_SIZE(counts); i++) {
			slot = slot_of_numbers(9, have, 1);
			assert_false(slot_take_of(&slot, 8, counts[i]));
			assert_false(slot_take_of(&slot, 10, counts[i]));
			assert_true(slot == slot_of_numbers(9, have, 1));
			assert_int_equal(slot_take_of(&slot, 9, counts[i]), have >= counts[i]);
			assert_true(
				slot ==
				slot_of_numbers(9, have >= counts[i] ? have - counts[i] : have, 1));
		}
	slot = 0;
	assert_false(slot_take_of(&slot, UINT32_MAX, 1));
	assert_true(!slot);
}

/* Fails if frames of a child are counted up where another is claimed, or beyond 512. */
static void a_slot_takes_of_its_child_up_to_all(void **state)
{
	uint32_t have, i;
	uint64_t slot;

	for (have = 0; have <= 512; have++)
		for (i = 0; i < ARRAY_SIZE(counts); i++) {
			bool may = have + counts[i] <= 512;

			slot = slot_of_numbers(9, have, 1);
			assert_false(slot_give(&slot, 8, counts[i]));
			assert_false(slot_give(&slot, 10, counts[i]));
			assert_true(slot == slot_of_numbers(9, have, 1));
			assert_int_equal(slot_give(&slot, 9, counts[i]), may);
			assert_true(slot == slot_of_numbers(9, may ? have + counts[i] : have, 1));
		}
	slot = 0;
	assert_false(slot_give(&slot, UINT32_MAX, 1));
	assert_true(!slot);
}

/* Words of bits: none, all, and many that are neither. */
static uint64_t some_bits(uint64_t *random, uint32_t i)
{
	uint64_t bits = rnd(random);

	switch (i % 6) {
	case 0:
		return i ? bits : 0;
	case 1:
		return i > 1 ? bits & rnd(random) & rnd(random) : ~0ULL;
	case 2:
		return bits | rnd(random) | rnd(random);
	case 3:
		return 1ULL << bits % 64;
	case 4:
		return ~(1ULL << bits % 64);
	default:
		return ~0ULL << bits % 64;
	}
}

/* Fails if some of a mask is taken where another part of it is in use. */
static void bits_are_taken_all_or_none(void **state)
{
	uint64_t random = rnd_stream(__func__, 0), bits, mask, word;
	uint32_t i;

	for (i = 0; i < 20000; i++) {
		bits = some_bits(&random, i);
		mask = some_bits(&random, rnd(&random) & 0xff);
		word = bits;
		assert_int_equal(bits_take(&word, mask), !(bits & mask));
		assert_true(word == (bits & mask ? bits : bits | mask));
		word = bits;
		assert_true(bits_take(&word, ~bits));
		assert_true(word == ~0ULL);
	}
}

/* Fails if there are more, fewer or others than one finds bit by bit. */
static void the_lowest_bits_are_found(void **state)
{
	uint64_t random = rnd_stream(__func__, 0), mask, want;
	uint32_t i, count, bit, found;

	for (i = 0; i < 3000; i++) {
		mask = some_bits(&random, i);
		for (count = 0; count <= 66; count++) {
			for (bit = 0, found = 0, want = 0; bit < 64 && found < count; bit++)
				if (mask >> bit & 1) {
					want |= 1ULL << bit;
					found++;
				}
			assert_true(lowest_bits(mask, count) == want);
		}
	}
}

/* Fails for a count that fills the word, or is beyond it, if a shift is. */
static void the_first_bits_are_counted(void **state)
{
	uint32_t count, bit;

	for (count = 0; count <= 512; count++)
		for (bit = 0; bit < 64; bit++)
			assert_int_equal(first_bits(count) >> bit & 1, bit < count);
}

/* Fails if a run begins where it is not aligned or not all set, or one is not found. */
static void runs_begin_where_all_their_bits_are_set(void **state)
{
	uint64_t random = rnd_stream(__func__, 0), mask, run, want;
	uint32_t i, order, at;

	for (i = 0; i < 6000; i++) {
		mask = some_bits(&random, i) | some_bits(&random, i + 2);
		for (order = 0; order <= 6; order++) {
			for (want = 0, at = 0; at < 64; at += 1U << order) {
				run = (order < 6 ? (1ULL << (1U << order)) - 1 : ~0ULL) << at;
				if ((mask & run) == run)
					want |= 1ULL << at;
			}
			assert_true(run_starts(mask, order) == want);
		}
	}
}

/* Fails if a refused change is stored, or what is said to have been before was not. */
static void a_refused_change_stores_nothing(void **state)
{
	uint16_t child = 512, old = 0;
	uint64_t bits = 6, was = 0;

	assert_true(frames_update(&child, &old, child_take_huge));
	assert_int_equal(old, 512);
	assert_int_equal(child, 1024);
	assert_false(frames_update(&child, &old, child_take_huge));
	assert_int_equal(old, 1024);
	assert_int_equal(child, 1024);
	assert_true(frames_update(&bits, &was, bits_take, 9));
	assert_int_equal(was, 6);
	assert_int_equal(bits, 15);
	assert_false(frames_update(&bits, &was, bits_take, 24));
	assert_int_equal(was, 15);
	assert_int_equal(bits, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_is_read_as_it_is_written),
		cmocka_unit_test(only_free_frames_nobody_claimed_are_claimed),
		cmocka_unit_test(only_its_host_sets_a_child),
		cmocka_unit_test(only_its_host_ends_a_claim),
		cmocka_unit_test(between_least_and_most_is_taken),
		cmocka_unit_test(what_is_given_is_counted_up_to_all),
		cmocka_unit_test(only_an_absent_child_is_added),
		cmocka_unit_test(only_a_child_with_all_free_is_removed),
		cmocka_unit_test(only_a_whole_child_is_had_as_huge),
		cmocka_unit_test(two_are_had_or_put_together),
		cmocka_unit_test(four_are_had_or_put_together),
		cmocka_unit_test(a_tree_is_read_as_it_is_written),
		cmocka_unit_test(bits_of_a_tree_are_set_and_unset),
		cmocka_unit_test(a_tree_is_reserved_once_and_released_by_its_host),
		cmocka_unit_test(a_slot_is_read_as_it_is_written),
		cmocka_unit_test(a_slot_gives_what_it_has),
		cmocka_unit_test(a_slot_gives_of_its_child_only),
		cmocka_unit_test(a_slot_takes_of_its_child_up_to_all),
		cmocka_unit_test(bits_are_taken_all_or_none),
		cmocka_unit_test(the_lowest_bits_are_found),
		cmocka_unit_test(the_first_bits_are_counted),
		cmocka_unit_test(runs_begin_where_all_their_bits_are_set),
		cmocka_unit_test(a_refused_change_stores_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
