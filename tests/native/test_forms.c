// SPDX-License-Identifier: GPL-2.0
/*
 * What morselctl advise makes of costs: which forms do for which trust, and which is the cheapest of these.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../tools/morselctl/advise.h"

#define GIB (1ULL << 30)

static const struct pattern usual = {
	.size = GIB,
	.write = 64 << 10,
	.readers = 1,
	.writers = 1,
	.rounds = 1000,
};

/* Each takes 100 for one, and 1000 for 1000. */
static void make_costs(struct cost_found costs[COSTS])
{
	int cost;

	for (cost = 0; cost < COSTS; cost++)
		costs[cost] = (struct cost_found){.count = 1000, .all = 1000, .one = 100};
}

static void assert_allowed(const struct pattern *pattern, unsigned int want)
{
	unsigned int found = 0;
	int form;

	for (form = 0; form < FORMS; form++)
		if (!form_why_not(form, pattern))
			found |= 1 << form;
	if (found != want)
		fail_msg("%s with %u readers and %u writers: forms %x instead of %x",
			 trust_names[pattern->trust], pattern->readers, pattern->writers, found,
			 want);
}

#define ONLY(form) (1U << FORM_##form)
#define VIEWS (ONLY(VIEWS_FAULT) | ONLY(VIEWS_CALL))

static void trust_excludes_forms(void **state)
{
	static const unsigned int want[TRUSTS] = {
		[TRUST_ALL] = ONLY(SHARED) | ONLY(READ_ONLY) | VIEWS | ONLY(TRANSFER) | ONLY(COPY),
		[TRUST_WRITERS] = ONLY(READ_ONLY) | VIEWS | ONLY(COPY),
		[TRUST_PAGES] = VIEWS | ONLY(TRANSFER) | ONLY(COPY),
		[TRUST_TURNS] = ONLY(VIEWS_CALL) | ONLY(TRANSFER) | ONLY(COPY),
		[TRUST_NONE] = ONLY(PRIVATE) | ONLY(COPY),
	};
	struct pattern pattern = usual;
	int trust;

	for (trust = 0; trust < TRUSTS; trust++) {
		pattern.trust = trust;
		assert_allowed(&pattern, want[trust]);
	}
}

/* Who is not there is not to be kept from anything. */
static void what_cannot_happen_excludes_nothing(void **state)
{
	struct pattern pattern = usual;

	pattern.readers = 0;
	pattern.writers = 2;
	pattern.trust = TRUST_WRITERS;
	assert_allowed(&pattern,
		       ONLY(SHARED) | ONLY(READ_ONLY) | VIEWS | ONLY(TRANSFER) | ONLY(COPY));
	pattern.trust = TRUST_PAGES;
	assert_allowed(&pattern, VIEWS | ONLY(TRANSFER) | ONLY(COPY));
	/* Nothing is written, unless readers do it. */
	pattern.readers = 2;
	pattern.writers = 0;
	for (pattern.trust = TRUST_PAGES; pattern.trust < TRUST_NONE; pattern.trust++)
		assert_allowed(&pattern, ((1U << FORMS) - 1) & ~ONLY(SHARED));
	assert_allowed(&pattern, ((1U << FORMS) - 1) & ~(ONLY(SHARED) | ONLY(TRANSFER)));
	pattern.trust = TRUST_ALL;
	assert_allowed(&pattern, (1U << FORMS) - 1);
}

static void there_are_only_so_many_views(void **state)
{
	struct pattern pattern = usual;

	pattern.trust = TRUST_PAGES;
	pattern.readers = 255;
	assert_allowed(&pattern, VIEWS | ONLY(TRANSFER) | ONLY(COPY));
	pattern.readers = 256;
	assert_allowed(&pattern, ONLY(VIEWS_FAULT) | ONLY(TRANSFER) | ONLY(COPY));
	pattern.readers = 2047;
	assert_allowed(&pattern, ONLY(TRANSFER) | ONLY(COPY));
	pattern.readers = pattern.writers = UINT32_MAX;
	assert_allowed(&pattern, ONLY(TRANSFER) | ONLY(COPY));
}

static void every_trust_has_a_name(void **state)
{
	enum trust found;
	int trust;

	for (trust = 0; trust < TRUSTS; trust++) {
		assert_true(find_trust(trust_names[trust], &found));
		assert_int_equal(found, trust);
	}
	assert_false(find_trust("", &found));
	assert_false(find_trust("everybody", &found));
}

static void units_are_rounded_up(void **state)
{
	assert_int_equal(units(0, UNIT_PAGE), 0);
	assert_int_equal(units(1, UNIT_PAGE), 1);
	assert_int_equal(units(4096, UNIT_PAGE), 1);
	assert_int_equal(units(4097, UNIT_PAGE), 2);
	assert_int_equal(units(GIB + 1, UNIT_GIB), 2);
	assert_int_equal(units(UINT64_MAX, UNIT_GIB), 1ULL << 34);
}

/* Between what was measured on a straight line, and then in proportion. */
static void costs_follow_what_was_measured(void **state)
{
	struct cost_found costs[COSTS];
	struct pattern pattern = usual;

	make_costs(costs);
	costs[COST_MAP] = (struct cost_found){.count = 3, .all = 30, .one = 20};
	pattern.readers = 0;
	pattern.writers = 10;
	assert_float_equal(form_price(FORM_SHARED, &pattern, costs).setup, 200, 1e-9);
	pattern.size = 2 * GIB;
	assert_float_equal(form_price(FORM_SHARED, &pattern, costs).setup, 250, 1e-9);
	pattern.size = 6 * GIB;
	assert_float_equal(form_price(FORM_SHARED, &pattern, costs).setup, 600, 1e-9);
	assert_float_equal(form_price(FORM_SHARED, &pattern, costs).total, 600, 1e-9);
}

/* Each page once, by each writer, whatever the rounds. */
static void a_writer_copies_no_more_than_there_is(void **state)
{
	struct pattern pattern = usual;
	struct cost_found costs[COSTS];
	double before;

	make_costs(costs);
	assert_int_equal(copied_by_each(&pattern), 1000 * pattern.write);
	pattern.writers = 4;
	assert_int_equal(copied_by_each(&pattern), 250 * pattern.write);
	pattern.rounds = 2;
	assert_int_equal(copied_by_each(&pattern), pattern.write);
	pattern.rounds = 1000000;
	assert_int_equal(copied_by_each(&pattern), pattern.size);
	before = form_price(FORM_PRIVATE, &pattern, costs).total;
	pattern.rounds = 2000000;
	assert_float_equal(form_price(FORM_PRIVATE, &pattern, costs).total, before, before / 1e9);
	pattern.writers = 0;
	assert_int_equal(copied_by_each(&pattern), 0);
}

static void copies_are_sent_to_who_may_see_them(void **state)
{
	struct pattern pattern = usual;
	struct cost_found costs[COSTS];

	make_costs(costs);
	pattern.readers = 3;
	costs[COST_PIPE] = (struct cost_found){.count = 1, .all = 5, .one = 5};
	assert_float_equal(form_price(FORM_COPY, &pattern, costs).round, 3 * 16 * 5, 1e-9);
	pattern.trust = TRUST_NONE;
	assert_float_equal(form_price(FORM_COPY, &pattern, costs).round, 0, 1e-9);
}

static void assert_cheapest(const struct pattern *pattern, const struct cost_found costs[COSTS])
{
	enum form best = cheapest(pattern, costs);
	int form;

	assert_null(form_why_not(best, pattern));
	for (form = 0; form < FORMS; form++)
		if (!form_why_not(form, pattern))
			assert_true(form_price(best, pattern, costs).total <=
				    form_price(form, pattern, costs).total);
}

static void the_cheapest_that_does_is_proposed(void **state)
{
	struct cost_found costs[COSTS];
	struct pattern pattern = usual;
	int cost, dear;

	for (pattern.trust = 0; pattern.trust < TRUSTS; pattern.trust++) {
		for (dear = 0; dear < 1 << COSTS; dear++) {
			make_costs(costs);
			for (cost = 0; cost < COSTS; cost++)
				if (dear & 1 << cost)
					costs[cost].all = costs[cost].one = 1e6 + cost;
			assert_cheapest(&pattern, costs);
		}
	}
}

/* Fails if what a form is made of does not count. */
static void costs_decide(void **state)
{
	struct cost_found costs[COSTS];
	struct pattern pattern = usual;

	make_costs(costs);
	pattern.trust = TRUST_TURNS;
	costs[COST_GIVE].one = 1;
	assert_int_equal(cheapest(&pattern, costs), FORM_TRANSFER);
	costs[COST_GIVE].one = 1e9;
	assert_int_equal(cheapest(&pattern, costs), FORM_VIEWS_CALL);
	costs[COST_HOLD_READ].one = 1e9;
	assert_int_equal(cheapest(&pattern, costs), FORM_COPY);
	pattern.trust = TRUST_PAGES;
	pattern.rounds = 1000000;
	costs[COST_PIPE].one = 1e9;
	assert_int_equal(cheapest(&pattern, costs), FORM_VIEWS_FAULT);
	pattern.trust = TRUST_ALL;
	assert_int_equal(cheapest(&pattern, costs), FORM_SHARED);
	/* What costs the same is proposed in the order in which it is listed. */
	memset(costs, 0, sizeof(costs));
	for (int cost = 0; cost < COSTS; cost++)
		costs[cost].count = 1;
	assert_int_equal(cheapest(&pattern, costs), FORM_SHARED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trust_excludes_forms),
		cmocka_unit_test(what_cannot_happen_excludes_nothing),
		cmocka_unit_test(there_are_only_so_many_views),
		cmocka_unit_test(every_trust_has_a_name),
		cmocka_unit_test(units_are_rounded_up),
		cmocka_unit_test(costs_follow_what_was_measured),
		cmocka_unit_test(a_writer_copies_no_more_than_there_is),
		cmocka_unit_test(copies_are_sent_to_who_may_see_them),
		cmocka_unit_test(the_cheapest_that_does_is_proposed),
		cmocka_unit_test(costs_decide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
