// SPDX-License-Identifier: GPL-2.0
/*
 * Asking once, by frames_try(), in the middle of what somebody else does: before each access that
 * he makes to a word.  Who asks is not told that there are none while there are some, and
 * does not wait for him, who cannot go on before the answer.
 */
#include "stop.h"

#define NR_FRAMES 2048
#define SLOTS 2

static struct frames *f;
static uint64_t all[NR_FRAMES];

/* What slot 1 is told in the middle of what slot 0 does. */
static struct {
	bool asked;
	bool none;
	uint32_t got;
	uint64_t frame;
	uint64_t accesses;
} answer;

static void never(void)
{
}

static void ask(void)
{
	at_access = (struct stop){.happens = never, .left = UINT64_MAX};
	answer.got = frames_try(f, 1, 1, &answer.frame, &answer.none);
	answer.accesses = UINT64_MAX - at_access.left;
	at_access.happens = NULL;
	answer.asked = true;
}

/* Ask before access number @access of an act.  False: it has not so many. */
static bool ask_within(void (*act)(void), uint64_t access)
{
	memset(&answer, 0, sizeof(answer));
	at_access = (struct stop){.happens = ask, .left = access};
	act();
	at_access.happens = NULL;
	return answer.asked;
}

/* All are in use, and nobody has a claim. */
static void begin_full(void)
{
	uint32_t i;

	f = make_frames(NR_FRAMES, SLOTS, true);
	assert_int_equal(frames_get(f, 0, 0, NR_FRAMES, all), NR_FRAMES);
	for (i = 0; i < NR_FRAMES; i++)
		all[i] = i;
}

/* What is put: so many, from there on. */
static struct {
	uint32_t first;
	uint32_t nr;
	uint32_t order;
} putting;

static void put(void)
{
	assert_int_equal(frames_put(f, 0, putting.order, putting.nr, all + putting.first), 0);
}

static void put_in_two_steps(void)
{
	frames_put_begin(f, 0);
	/* Somebody may count here that they are in use no more. */
	frames_step();
	assert_int_equal(frames_put_end(f, 0, putting.order, putting.nr, all + putting.first), 0);
}

static void assert_not_told_that_there_are_none(void (*act)(void))
{
	uint64_t access = 0;
	bool asked, none;
	uint32_t got;

	do {
		begin_full();
		asked = ask_within(act, access++);
		if (asked && (answer.got ? answer.got > 1 : answer.none))
			fail_msg("%u are being put, and after %" PRIu64 " accesses there are none",
				 putting.nr, access - 1);
		/* When all are there, each is found. */
		got = answer.got;
		while (frames_try(f, 1, 1, &answer.frame, &none))
			got++;
		assert_true(none);
		assert_int_equal(got, putting.nr << putting.order);
		free_frames(f);
	} while (asked);
	assert_true(access > 2);
}

/* Fails if a get in a full pool fails because somebody was interrupted while putting. */
static void none_is_not_said_while_some_are_being_put(void **state)
{
	static const uint32_t firsts[] = {0, 3, 511, 500, 1000, 64};
	static const uint32_t counts[] = {1, 1, 1, 64, 64, 600};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(firsts); i++) {
		putting.first = firsts[i];
		putting.nr = counts[i];
		putting.order = 0;
		assert_not_told_that_there_are_none(put);
		assert_not_told_that_there_are_none(put_in_two_steps);
	}
	/* Runs, the frames of which were got one by one. */
	for (putting.order = 1; putting.order < 9; putting.order++) {
		putting.first = 512;
		putting.nr = 1;
		assert_not_told_that_there_are_none(put);
	}
}

static void get_one(void)
{
	uint64_t frame;

	frames_get(f, 0, 0, 1, &frame);
}

static void drain(void)
{
	frames_drain(f);
}

/* How many accesses it takes to find that there are none, where nobody else is at it. */
static uint64_t accesses_of_none(void)
{
	begin_full();
	ask();
	assert_true(!answer.got && answer.none);
	free_frames(f);
	return answer.accesses;
}

/* Three frames are free, in a child that is claimed by slot 0, or by nobody. */
static void begin_with_three(bool claimed)
{
	uint64_t one;

	begin_full();
	assert_int_equal(frames_put(f, 0, 0, 4, all + 700), 0);
	if (!claimed)
		frames_drain(f);
	assert_int_equal(frames_get(f, 0, 0, 1, &one), 1);
	if (!claimed)
		frames_drain(f);
}

static void assert_brief(void (*act)(void), bool claimed, uint64_t most)
{
	uint64_t access = 0, frame;
	bool asked;

	do {
		begin_with_three(claimed);
		asked = ask_within(act, access++);
		if (asked && answer.accesses > most)
			fail_msg("%" PRIu64 " accesses, and %" PRIu64 " are enough",
				 answer.accesses, most);
		/* There is one more than anybody gets. */
		assert_false(asked && answer.none);
		/* A moment later, it is had. */
		assert_int_equal(frames_get(f, 1, 0, 1, &frame), 1);
		free_frames(f);
	} while (asked);
	assert_true(access > 2);
}

/* Fails if who asks with preemption off looks again and again while another is interrupted. */
static void who_asks_once_does_not_wait_for_another(void **state)
{
	uint64_t most = 2 * accesses_of_none();

	assert_brief(get_one, false, most);
	assert_brief(get_one, true, most);
	assert_brief(drain, true, most);
}

/* Fails if one call goes on from child to child: it is bound by what one promises. */
static void one_answer_is_of_one_child(void **state)
{
	uint64_t got[NR_FRAMES];
	uint32_t nr, done = 0, i;
	bool none;

	f = make_frames(NR_FRAMES, SLOTS, true);
	while ((nr = frames_try(f, 0, NR_FRAMES, got + done, &none))) {
		assert_false(none);
		for (i = 1; i < nr; i++)
			assert_int_equal(got[done + i] / 512, got[done] / 512);
		done += nr;
	}
	assert_true(none);
	assert_int_equal(done, NR_FRAMES);
	assert_valid(f);
	free_frames(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_is_not_said_while_some_are_being_put),
		cmocka_unit_test(who_asks_once_does_not_wait_for_another),
		cmocka_unit_test(one_answer_is_of_one_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
