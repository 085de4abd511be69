// SPDX-License-Identifier: GPL-2.0
/*
 * Two calls, of which one comes in the middle of the other: before each access in turn that
 * the first makes to a word, the second is made as a whole.  So each conflict that takes
 * something from under a call comes surely, and what was done must be undone.  Of
 * three, where the third comes in the middle of the second, chance chooses some.
 *
 * It is built with FRAMES_STEP, which asks before each access, or with FRAMES_WATCH,
 * which tells of stores alone: then others come after these.
 */
#include "frames_test.h"
#include "word.h"

#define SLOTS 2
#define MAX_HELD 200
#define MAX_FRAMES (16 * 512)

enum who { NOBODY, FIRST, SECOND, THIRD, OTHERS };

struct held {
	uint64_t frame;
	uint32_t order;
};

/* One allocator, who owns which frame, and what each has to put. */
struct game {
	struct frames *f;
	uint8_t owner[MAX_FRAMES];
	bool absent[MAX_FRAMES / 512];
	struct held held[OTHERS + 1][MAX_HELD];
	uint32_t nr[OTHERS + 1];
};

enum call { GET, GET_AT, PUT, DRAIN, REMOVE, ADD };

struct move {
	enum call call;
	uint32_t order;
	uint64_t what; /* how many, which frame or child */
};

static const struct move moves[] = {
	{GET, 0, 1},	  {GET, 0, 70},	    {GET, 0, 600},    {GET, 1, 1},	{GET, 6, 2},
	{GET, 7, 1},	  {GET, 7, 4},	    {GET, 8, 1},      {GET, 8, 2},	{GET, 9, 1},
	{GET, 9, 2},	  {GET, 10, 1},	    {GET, 11, 1},     {GET, 12, 1},	{GET, 13, 1},
	{GET_AT, 0, 0},	  {GET_AT, 0, 255}, {GET_AT, 0, 511}, {GET_AT, 6, 448}, {GET_AT, 7, 0},
	{GET_AT, 7, 128}, {GET_AT, 8, 0},   {GET_AT, 8, 256}, {GET_AT, 9, 0},	{GET_AT, 9, 512},
	{GET_AT, 10, 0},  {GET_AT, 11, 0},  {GET_AT, 12, 0},  {GET_AT, 13, 0},	{GET_AT, 9, 7168},
	{PUT, 0, 0},	  {DRAIN, 0, 0},    {REMOVE, 0, 0},   {REMOVE, 0, 1},	{ADD, 0, 0},
	{ADD, 0, 1},
};

/* Who comes next, after how many more accesses, and how. */
struct comer {
	const struct move *move;
	uint32_t slot;
	uint32_t steps;
};

#define MAX_COMERS 2

static struct {
	struct game *game;
	uint32_t nr;
	uint32_t came;
	struct comer comers[MAX_COMERS];
} coming;

static void play(struct game *g, enum who who, uint32_t slot, const struct move *move);

/* The last one that came is in the middle of its call, and so are all before. */
static void another_may_come(void)
{
	const struct comer *comer = &coming.comers[coming.came];

	if (coming.came == coming.nr || coming.comers[coming.came].steps--)
		return;
	coming.came++;
	play(coming.game, SECOND + coming.came - 1, comer->slot, comer->move);
}

#ifdef FRAMES_STEP
void frames_step(void)
{
	another_may_come();
}
#else
void frames_watch_store(const void *at, unsigned int size)
{
	another_may_come();
}

void frames_watch_flush(const void *at, size_t size)
{
}

void frames_watch_fence(void)
{
}
#endif

static void own(struct game *g, enum who who, uint64_t frame, uint32_t order)
{
	uint64_t at, end = frame + (1ULL << order);

	assert_true(frame % (1ULL << order) == 0 && end <= g->f->nr_frames);
	for (at = frame; at < end; at++) {
		if (g->owner[at] || g->absent[at / 512])
			fail_msg("frame %" PRIu64 " had an owner, or is absent", at);
		g->owner[at] = who;
	}
	assert_true(g->nr[who] < MAX_HELD);
	g->held[who][g->nr[who]++] = (struct held){frame, order};
}

static void play_get(struct game *g, enum who who, uint32_t slot, uint32_t order, uint32_t count)
{
	uint64_t got[600];
	uint32_t nr, i, run = 0;

	nr = frames_get(g->f, slot, order, count, got);
	assert_true(nr <= count);
	/* Neighbours are held as one, where that can be put as one. */
	for (i = 0; i < nr; i += 1U << run) {
		for (run = 0; !order && run < 6 && i + (2U << run) <= nr &&
			      !(got[i] & ((2ULL << run) - 1)) &&
			      got[i + (2U << run) - 1] == got[i] + (2U << run) - 1;
		     run++)
			;
		own(g, who, got[i], order + run);
	}
}

static void play_put(struct game *g, enum who who, uint32_t slot)
{
	/* They are nobody's before the call: whoever comes in the middle may get them. */
	while (g->nr[who]) {
		struct held held = g->held[who][--g->nr[who]];

		memset(&g->owner[held.frame], NOBODY, 1ULL << held.order);
		assert_int_equal(frames_put(g->f, slot, held.order, 1, &held.frame), 0);
	}
}

static void play(struct game *g, enum who who, uint32_t slot, const struct move *move)
{
	uint32_t child = (uint32_t)move->what, i;
	int err;

	switch (move->call) {
	case GET:
		play_get(g, who, slot, move->order, (uint32_t)move->what);
		break;
	case GET_AT:
		err = frames_get_at(g->f, move->what, move->order);
		if (!err)
			own(g, who, move->what, move->order);
		else
			assert_true(err == -EBUSY || err == -EINVAL);
		break;
	case PUT:
		play_put(g, who, slot);
		break;
	case DRAIN:
		frames_drain(g->f);
		break;
	case REMOVE:
		if (frames_remove(g->f, child, 512))
			break;
		assert_false(g->absent[child]);
		g->absent[child] = true;
		for (i = 0; i < 512; i++)
			assert_int_equal(g->owner[child * 512 + i], NOBODY);
		break;
	case ADD:
		/* Nobody else adds or removes it now: not in the middle of either. */
		if (!g->absent[child])
			break;
		g->absent[child] = false;
		assert_int_equal(frames_add(g->f, child, 512), 0);
		break;
	}
}

/* Positions to begin from: what is held by whom. */

static void take(struct game *g, enum who who, uint64_t frame, uint32_t order)
{
	assert_int_equal(frames_get_at(g->f, frame, order), 0);
	own(g, who, frame, order);
}

static void nothing_is_held(struct game *g)
{
}

static void both_slots_have_claims(struct game *g)
{
	play_get(g, FIRST, 0, 0, 1);
	play_get(g, SECOND, 1, 0, 1);
}

/* The first and second halves of a child are the players'. */
static void a_child_is_shared(struct game *g)
{
	take(g, FIRST, 0, 8);
	take(g, SECOND, 256, 7);
	take(g, SECOND, 384, 0);
	take(g, FIRST, 385, 0);
}

static void huge_frames_are_held(struct game *g)
{
	take(g, FIRST, 0, 9);
	take(g, SECOND, 512, 9);
}

/* There are six free frames, two of them in a child that a slot has claimed. */
static void few_frames_are_left(struct game *g)
{
	static const uint64_t free[] = {3, 64, 65, 255, 511, 1000};
	uint64_t at = 0;
	uint32_t i, order;

	for (i = 0; i <= ARRAY_SIZE(free); i++) {
		uint64_t end = i < ARRAY_SIZE(free) ? free[i] : g->f->nr_frames;

		for (; at < end; at += 1ULL << order) {
			for (order = 0; order < 8 && !(at & ((2ULL << order) - 1)) &&
					at + (2ULL << order) <= end;
			     order++)
				;
			take(g, at < 128 ? FIRST : at < 256 ? SECOND : OTHERS, at, order);
		}
		at = end + 1;
	}
	play_get(g, SECOND, 1, 0, 1);
}

/* Slot 0 has claimed a child of which it has used up all; some came back by slot 1. */
static void a_claimed_child_was_put_to(struct game *g)
{
	play_get(g, FIRST, 0, 0, 512);
	play_get(g, SECOND, 1, 0, 1);
	assert_int_equal(frames_put(g->f, 1, 6, 1, &g->held[FIRST][3].frame), 0);
	memset(&g->owner[g->held[FIRST][3].frame], NOBODY, 64);
	g->held[FIRST][3] = g->held[FIRST][--g->nr[FIRST]];
}

static void a_child_is_absent(struct game *g)
{
	assert_int_equal(frames_remove(g->f, 0, 512), 0);
	g->absent[0] = true;
	play_get(g, SECOND, 0, 0, 1);
}

static const struct position {
	uint64_t nr_frames;
	void (*set_up)(struct game *g);
} positions[] = {
	{512, nothing_is_held},		  {1024, nothing_is_held},
	{512, both_slots_have_claims},	  {1024, both_slots_have_claims},
	{1024, a_child_is_shared},	  {2048, huge_frames_are_held},
	{1024, few_frames_are_left},	  {1024, a_claimed_child_was_put_to},
	{1024, a_child_is_absent},	  {16 * 512, nothing_is_held},
	{16 * 512, huge_frames_are_held},
};

/* All is put, and all children are there again: then all is free and whole. */
static void assert_all_undone(struct game *g)
{
	struct frames_stat stat;
	uint32_t child;
	enum who who;

	assert_valid(g->f);
	for (child = 0; child < g->f->nr_children; child++)
		play(g, OTHERS, 0, &(struct move){ADD, 0, child});
	for (who = FIRST; who <= OTHERS; who++)
		play_put(g, who, 0);
	frames_drain(g->f);
	assert_valid(g->f);
	frames_stat(g->f, &stat);
	assert_int_equal(stat.free, g->f->nr_frames);
	assert_int_equal(stat.huge_free, g->f->nr_children);
}

/* The game that is, or was last, played: said when a test fails. */
struct played {
	const struct position *position;
	const struct move *first;
	uint32_t nr;
	struct comer comers[MAX_COMERS];
};

static struct played last;
static bool is_over;

static int say_last_game(void **state)
{
	uint32_t i;

	if (is_over)
		return 0;
	print_message("# position %td, move %td of slot 0\n", last.position - positions,
		      last.first - moves);
	for (i = 0; i < last.nr; i++)
		print_message("# after %u accesses, move %td of slot %u\n", last.comers[i].steps,
			      last.comers[i].move - moves, last.comers[i].slot);
	return 0;
}

static uint64_t nr_held(const struct game *g, enum who who)
{
	uint64_t frames = 0;
	uint32_t i;

	for (i = 0; i < g->nr[who]; i++)
		frames += 1ULL << g->held[who][i].order;
	return frames;
}

static bool wants_single_frames(const struct move *move)
{
	return move->call == GET && !move->order;
}

/* Does the first seek frames, while no others come to be free? */
static bool seeks_frames(const struct played *played)
{
	bool seeks = wants_single_frames(played->first);
	uint32_t i;

	for (i = 0; i < played->nr; i++)
		seeks &= wants_single_frames(played->comers[i].move) ||
			 played->comers[i].move->call == DRAIN;
	return seeks;
}

/* The first is done last: what is free then, it could have found. */
static void assert_not_told_too_early(const struct game *g, uint64_t got, uint64_t wanted)
{
	struct frames_stat stat;

	frames_stat(g->f, &stat);
	assert_true(got == wanted || !stat.free);
}

/* A position as it was set up once, with the words. */
static struct start {
	struct game game;
	struct frames_slot slots[SLOTS];
	void *words;
} starts[ARRAY_SIZE(positions)];

static void begin(struct game *game, const struct position *position)
{
	struct start *start = &starts[position - positions];
	size_t size = frames_words_size(position->nr_frames);

	if (!start->words) {
		start->game.f = make_frames(position->nr_frames, SLOTS, true);
		position->set_up(&start->game);
		memcpy(start->slots, start->game.f->slots, sizeof(start->slots));
		start->words = malloc(size);
		assert_non_null(start->words);
		memcpy(start->words, start->game.f->bits, size);
	}
	*game = start->game;
	memcpy(game->f->slots, start->slots, sizeof(start->slots));
	memcpy(game->f->bits, start->words, size);
}

static int drop_positions(void **state)
{
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(positions); i++)
		if (starts[i].words) {
			free(starts[i].words);
			free_frames(starts[i].game.f);
		}
	return 0;
}

/* Play a game and undo all.  Returns how many came. */
static uint32_t play_game(const struct played *played)
{
	static struct game game;
	uint64_t held;
	uint32_t came;

	last = *played;
	is_over = false;
	begin(&game, played->position);
	coming.game = &game;
	coming.came = 0;
	memcpy(coming.comers, played->comers, sizeof(coming.comers));
	coming.nr = played->nr;
	held = nr_held(&game, FIRST);
	play(&game, FIRST, 0, played->first);
	came = coming.came;
	coming.nr = coming.came;
	if (seeks_frames(played))
		assert_not_told_too_early(&game, nr_held(&game, FIRST) - held, played->first->what);
	assert_all_undone(&game);
	is_over = true;
	return came;
}

/* One at a time adds or removes a child. */
static bool is_fair(const struct played *played)
{
	uint32_t changes = played->first->call >= REMOVE, i;

	for (i = 0; i < played->nr; i++)
		changes += played->comers[i].move->call >= REMOVE;
	return changes <= 1;
}

/* From how many slots does a call make a difference? */
static uint32_t slots_of(const struct move *move)
{
	return move->call == GET || move->call == PUT ? SLOTS : 1;
}

static uint32_t play_all(const struct position *position, const struct move *first)
{
	struct played game = {.position = position, .first = first, .nr = 1};
	struct comer *comer = &game.comers[0];
	uint32_t games = 0, i;

	for (i = 0; i < ARRAY_SIZE(moves); i++)
		for (comer->slot = 0; comer->slot < slots_of(&moves[i]); comer->slot++) {
			comer->move = &moves[i];
			for (comer->steps = 0; is_fair(&game) && play_game(&game); comer->steps++)
				games++;
		}
	return games;
}

/* Fails if any call leaves something behind, or has what is another's, when one comes between. */
static void any_call_may_come_in_the_middle_of_any(void **state)
{
	uint32_t games = 0, i, j;

	for (i = 0; i < ARRAY_SIZE(positions); i++)
		for (j = 0; j < ARRAY_SIZE(moves); j++)
			games += play_all(&positions[i], &moves[j]);
	print_message("# %u interleavings\n", games);
	/* Or else nobody asks. */
	assert_true(games > 10000);
}

/* The same, with two that come: the third within the second, or after it. */
static void two_calls_may_come_in_the_middle_of_any(void **state)
{
	uint64_t random = rnd_stream(__func__, 0), games;
	struct played game = {.nr = 2};
	uint32_t i;

	for (games = rounds_of(200000); games;) {
		game.position = &positions[rnd_below(&random, ARRAY_SIZE(positions))];
		game.first = &moves[rnd_below(&random, ARRAY_SIZE(moves))];
		for (i = 0; i < 2; i++)
			game.comers[i] = (struct comer){
				&moves[rnd_below(&random, ARRAY_SIZE(moves))],
				(uint32_t)rnd_below(&random, SLOTS),
				(uint32_t)rnd_below(&random, 16),
			};
		if (is_fair(&game))
			games -= play_game(&game) == 2;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(any_call_may_come_in_the_middle_of_any, say_last_game),
		cmocka_unit_test_teardown(two_calls_may_come_in_the_middle_of_any, say_last_game),
	};

	return cmocka_run_group_tests(tests, NULL, drop_positions);
}
