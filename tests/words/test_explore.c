// SPDX-License-Identifier: GPL-2.0
/*
 * All that parties can do to a page that they share, each step in any order: nobody ever writes while
 * another reads or writes, what is held stays, who came first is served first, and nobody waits
 * for ever.
 *
 * Built twice: each party with a bit of its own, and with two bits for all (-DWORD_GROUPS=2).
 * Then mistakes are planted, each alone, and want to be found; WORDS_TELL=1 in the environment tells the
 * steps by which each is.
 */
#include "space.h"

/* A space of all that so many tasks can do, each party having so many of them. */
static void explore_tasks(struct space *space, unsigned int tasks, unsigned int each)
{
	nr_tasks = tasks;
	tasks_each = each;
	space_open(space);
	explore(space);
}

static void assert_nothing_wrong(unsigned int tasks, unsigned int each)
{
	struct space space;
	uint64_t steps = 0;
	unsigned int act;

	mutant = NO_MUTANT;
	explore_tasks(&space, tasks, each);
	for (act = 0; act < NR_ACTS; act++)
		steps += space.acts[act];
	print_message("# %u parties, %u tasks of each, %d bits: %" PRIu32 " worlds, %" PRIu64
		      " steps, %" PRIu32 " to the farthest\n",
		      nr_parties(), each, WORD_GROUPS, space.nr, steps, space.depth - 1);
	if (space.wrong) {
		tell(&space);
		fail_msg("%s", space.wrong);
	}
	/* What never happens was not looked at. */
	for (act = 0; act < NR_ACTS; act++)
		if (!space.acts[act])
			fail_msg("nobody ever %s", act_names[act]);
	space_close(&space);
}

/* Fails if there is an order of steps in which a rule is broken. */
static void four_parties_keep_to_the_rules(void **state)
{
	assert_nothing_wrong(4, 1);
}

/* The same, where one task of a party does one thing while another does another. */
static void two_parties_of_two_tasks_keep_to_the_rules(void **state)
{
	assert_nothing_wrong(4, 2);
}

/* A mistake is planted where there are two parties, then three, ...: NULL, or what was found. */
static const char *find(enum mutant which)
{
	static const struct {
		unsigned int tasks, each;
	} sizes[] = {{2, 1}, {3, 1}, {4, 2}, {4, 1}};
	const char *found = NULL;
	struct space space;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes) && !found; i++) {
		mutant = which;
		explore_tasks(&space, sizes[i].tasks, sizes[i].each);
		found = space.wrong;
		if (found)
			print_message("# %u parties, %u tasks of each, %" PRIu32 " steps: %s\n",
				      nr_parties(), tasks_each, space.depth, found);
		if (found && number_from("WORDS_TELL", 0))
			tell(&space);
		mutant = NO_MUTANT;
		space_close(&space);
	}
	return found;
}

/* Fails if a planted mistake is not found; or by a word that loses sight of somebody, and not by what comes of that. */
static void mistake_is_found(void **state)
{
	enum mutant which = (uintptr_t)*state;
	const char *found = find(which);

	assert_non_null(found);
	outcomes_only = true;
	found = find(which);
	outcomes_only = false;
	assert_non_null(found);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_parties_keep_to_the_rules),
		cmocka_unit_test(two_parties_of_two_tasks_keep_to_the_rules),
		WORD_MUTANTS(PLANTED) RULE_MUTANTS(PLANTED)
#if WORD_GROUPS < 4
			SHARED_MUTANTS(PLANTED)
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
