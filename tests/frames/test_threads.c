// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that get and put at once, beside a map of who owns what: no frame ever has two
 * owners, and when all is put, all is free.
 *
 * FRAMES_THREADS=N is how many there are.  Assertions are made by the main thread: others
 * count what they find wrong.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "frames_test.h"

#define MAX_THREADS 16
#define HELD 64
#define BULK 70

struct held {
	uint64_t frame;
	uint32_t order;
};

struct shared {
	struct frames *f;
	_Atomic uint8_t *owner; /* of each frame: 0, or the thread, from 1 on */
	atomic_uint wrong; /* line of the first thing that was */
	atomic_uint working;
	uint32_t rounds;
	uint32_t max_order;
};

struct worker {
	struct shared *shared;
	pthread_t thread;
	uint32_t number; /* from 1 on */
	uint32_t nr;
	uint64_t random;
	uint64_t done;
	struct held held[HELD + BULK];
};

/* In any thread: remember where something went wrong first. */
#define check(shared, what)                                                                 \
	do {                                                                                \
		unsigned int none_ = 0;                                                     \
                                                                                            \
		if (!(what))                                                                \
			atomic_compare_exchange_strong(&(shared)->wrong, &none_, __LINE__); \
	} while (0)

static uint32_t nr_threads(void)
{
	uint64_t nr = number_from("FRAMES_THREADS", 3);

	return nr < 1 ? 1 : nr > MAX_THREADS ? MAX_THREADS : (uint32_t)nr;
}

/* The thread sanitizer makes all take ten times as long. */
#ifdef __SANITIZE_THREAD__
#define SHORTER 5
#else
#define SHORTER 1
#endif

static uint32_t nr_rounds(uint32_t full)
{
	return rounds_of(full / SHORTER);
}

static void own(struct worker *w, uint64_t frame, uint32_t order)
{
	struct shared *s = w->shared;
	uint64_t end = frame + (1ULL << order);

	check(s, frame % (1ULL << order) == 0 && end <= s->f->nr_frames);
	w->held[w->nr++] = (struct held){frame, order};
	for (; frame < end; frame++)
		check(s, !atomic_exchange_explicit(&s->owner[frame], (uint8_t)w->number,
						   memory_order_relaxed));
}

static void disown(struct worker *w, uint64_t frame, uint32_t order)
{
	struct shared *s = w->shared;
	uint64_t end = frame + (1ULL << order);

	for (; frame < end; frame++)
		check(s, atomic_exchange_explicit(&s->owner[frame], 0, memory_order_relaxed) ==
				 w->number);
}

static uint32_t below(struct worker *w, uint64_t n)
{
	return (uint32_t)rnd_below(&w->random, n);
}

static uint32_t some_order(struct worker *w)
{
	return below(w, 3) ? 0 : below(w, w->shared->max_order + 1);
}

static void do_get(struct worker *w)
{
	uint32_t order = some_order(w), count = 1 + below(w, below(w, 4) ? 3 : BULK), nr, i;
	uint64_t got[BULK];

	if (w->nr >= HELD)
		return;
	/* One's own slot, or now and then another's. */
	nr = frames_get(w->shared->f, below(w, 8) ? w->number : below(w, 8), order, count, got);
	check(w->shared, nr <= count);
	for (i = 0; i < nr; i++)
		own(w, got[i], order);
}

static void do_get_at(struct worker *w)
{
	uint32_t order = some_order(w);
	uint64_t frame = rnd_below(&w->random, w->shared->f->nr_frames) & -(1ULL << order);
	int err;

	if (w->nr >= HELD)
		return;
	err = frames_get_at(w->shared->f, frame, order);
	check(w->shared, !err || err == -EBUSY || err == -EINVAL);
	if (!err)
		own(w, frame, order);
}

/* Put a few, or all, of one order; now and then in smaller pieces. */
static void do_put(struct worker *w, uint32_t most)
{
	uint64_t frames[HELD + BULK];
	uint32_t order, nr = 0, i = 0;

	if (!w->nr)
		return;
	order = w->held[below(w, w->nr)].order;
	while (i < w->nr && nr < most)
		if (w->held[i].order == order) {
			disown(w, w->held[i].frame, order);
			frames[nr++] = w->held[i].frame;
			w->held[i] = w->held[--w->nr];
		} else {
			i++;
		}
	if (order && order != FRAMES_HUGE_ORDER && !below(w, 4)) {
		uint64_t half = frames[0] + (1ULL << (order - 1));

		check(w->shared, !frames_put(w->shared->f, w->number, order - 1, 1, &half));
		check(w->shared, !frames_put(w->shared->f, w->number, order - 1, 1, frames));
		frames[0] = frames[--nr];
	}
	check(w->shared, !frames_put(w->shared->f, w->number, order, nr, frames));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	uint32_t i;

	for (i = 0; i < s->rounds && !s->wrong; i++) {
		uint32_t dice = below(w, 100);

		if (dice < 45)
			do_get(w);
		else if (dice < 55)
			do_get_at(w);
		else if (dice < 57)
			frames_drain(s->f);
		else
			do_put(w, 1 + below(w, 20));
	}
	while (w->nr && !s->wrong)
		do_put(w, HELD + BULK);
	s->working--;
	return NULL;
}

static struct shared new_shared(uint64_t nr_frames, uint32_t nr_slots, bool there)
{
	struct shared s = {.f = make_frames(nr_frames, nr_slots, there), .max_order = 10};

	s.owner = calloc(nr_frames, 1);
	assert_non_null(s.owner);
	return s;
}

static void drop_shared(struct shared *s)
{
	free((void *)s->owner);
	free_frames(s->f);
}

static struct worker *start(struct shared *s, uint32_t nr, void *(*body)(void *))
{
	struct worker *workers = calloc(nr, sizeof(*workers));
	uint32_t i;

	assert_non_null(workers);
	s->working = nr;
	for (i = 0; i < nr; i++) {
		workers[i].shared = s;
		workers[i].number = i + 1;
		workers[i].random = rnd_stream(__func__, i + 100 * s->max_order);
		assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
	}
	return workers;
}

/* How much they did, together. */
static uint64_t end(struct worker *workers, uint32_t nr)
{
	unsigned int wrong = 0;
	uint64_t done = 0;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		done += workers[i].done;
	}
	wrong = workers[0].shared->wrong;
	free(workers);
	if (wrong)
		fail_msg("a thread found line %u to be wrong", wrong);
	return done;
}

/* All is free; and once nothing is claimed, each child is whole. */
static void assert_all_free(struct frames *f, uint64_t frames)
{
	struct frames_stat stat;

	assert_valid(f);
	frames_drain(f);
	assert_valid(f);
	frames_stat(f, &stat);
	assert_int_equal(stat.free, frames);
	assert_int_equal(stat.huge_free, frames / 512);
	assert_int_equal(stat.claimed, 0);
}

static void stress(uint64_t nr_frames, uint32_t nr_slots, uint32_t max_order, uint32_t full)
{
	struct shared s = new_shared(nr_frames, nr_slots, true);

	s.rounds = nr_rounds(full);
	s.max_order = max_order;
	end(start(&s, nr_threads(), work), nr_threads());
	assert_all_free(s.f, nr_frames);
	drop_shared(&s);
}

/* Fails if a frame has two owners, or one is lost, where there is room. */
static void no_frame_has_two_owners(void **state)
{
	stress(64 * 512, 4, 10, 400000);
}

/* The same where slots run dry and steal from each other, and the last child has few frames. */
static void nor_where_memory_is_short(void **state)
{
	stress(512 + 100, 4, 4, 200000);
	stress(3 * 512 + 64, 4, 8, 200000);
	stress(8 * 512, 4, 10, 200000);
}

/* The same with all in one slot. */
static void nor_in_a_slot_that_all_share(void **state)
{
	stress(2 * 512 + 30, 1, 3, 200000);
	stress(24 * 512, 1, 9, 200000);
}

/* The same in orders that take several words, or children, one after the other. */
static void nor_in_runs_that_are_undone(void **state)
{
	stress(2 * 512, 2, 8, 200000);
	stress(32 * 512, 2, 13, 60000);
}

/* Take children away and bring them back, while others get and put. */
static void *come_and_go(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	uint32_t children = s->f->nr_children, child, i;
	bool *there = calloc(children, sizeof(*there));

	check(s, there);
	while (there && s->working > 1 && !s->wrong) {
		child = below(w, children);
		if (!there[child]) {
			for (i = 0; i < 512; i++)
				check(s, !s->owner[child * 512 + i]);
			check(s, !frames_add(s->f, child, 512));
			there[child] = true;
		} else if (!frames_remove(s->f, child, 512)) {
			there[child] = false;
			w->done++;
		}
	}
	for (child = 0; there && child < children; child++)
		if (!there[child])
			check(s, !frames_add(s->f, child, 512));
	free(there);
	s->working--;
	return NULL;
}

static void *work_or_come_and_go(void *arg)
{
	struct worker *w = arg;

	return w->number == 1 ? come_and_go(arg) : work(arg);
}

/* Fails if a child goes of which somebody has a frame, or one is had of what is not there. */
static void children_come_and_go_meanwhile(void **state)
{
	struct shared s = new_shared(24 * 512, 4, false);
	uint32_t nr = nr_threads() < 2 ? 2 : nr_threads();

	s.rounds = nr_rounds(200000);
	s.max_order = 10;
	print_message("# %" PRIu64 " children went\n", end(start(&s, nr, work_or_come_and_go), nr));
	assert_all_free(s.f, 24 * 512);
	drop_shared(&s);
}

/* Get single frames, or @max_order of them at once, until there are no more. */
static void *exhaust(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	uint64_t got[BULK];
	uint32_t nr, i;

	do {
		nr = frames_get(s->f, w->number, 0, s->max_order, got);
		for (i = 0; i < nr; i++)
			check(s, !atomic_exchange(&s->owner[got[i]], (uint8_t)w->number));
		w->done += nr;
	} while (nr == s->max_order);
	return NULL;
}

/*
 * Nobody puts, and each goes on until there are no more: fails if a frame is left
 * behind, or handed out twice.
 */
static void threads_share_out_all_there_is(void **state)
{
	static const uint32_t sizes[] = {1, 64, 512, 700, 4096, 9000};
	uint32_t nr = nr_rounds(200), i, j, bulk;

	for (i = 0; i < nr; i++)
		for (j = 0; j < ARRAY_SIZE(sizes); j++)
			for (bulk = 1; bulk < BULK; bulk += 22) {
				struct shared s = new_shared(sizes[j], 4, true);

				s.max_order = bulk;
				assert_int_equal(
					end(start(&s, nr_threads(), exhaust), nr_threads()),
					sizes[j]);
				assert_valid(s.f);
				drop_shared(&s);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_frame_has_two_owners),
		cmocka_unit_test(nor_where_memory_is_short),
		cmocka_unit_test(nor_in_a_slot_that_all_share),
		cmocka_unit_test(nor_in_runs_that_are_undone),
		cmocka_unit_test(children_come_and_go_meanwhile),
		cmocka_unit_test(threads_share_out_all_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
