// SPDX-License-Identifier: GPL-2.0
/*
 * The allocator beside a model of it: an array that says of each frame what it is.
 * Random calls are made of both; what the model says must come true.
 *
 * A failure says which call it was.
 */
#include "frames_test.h"

#define SLOTS 3
#define CHECK_EVERY 400

enum is { ABSENT, FREE, SMALL, HUGE };

struct held {
	uint64_t frame;
	uint32_t order;
};

struct model {
	struct frames *f;
	uint8_t *is; /* of each frame */
	uint16_t *size; /* of each child, while it is there */
	struct held *held;
	uint32_t nr_held;
	uint64_t free;
	uint64_t random;
	uint64_t op;
};

/* Fails and says where: the same seed leads there again. */
#define expect(m, what)                                                                      \
	do {                                                                                 \
		if (!(what))                                                                 \
			fail_msg("call %" PRIu64 ", line %d: %s", (m)->op, __LINE__, #what); \
	} while (0)

static uint32_t below(struct model *m, uint64_t n)
{
	return (uint32_t)rnd_below(&m->random, n);
}

static uint32_t frames_of(const struct model *m, uint32_t child)
{
	uint64_t left = m->f->nr_frames - child * 512ULL;

	return left < 512 ? (uint32_t)left : 512;
}

static void set(struct model *m, uint64_t frame, uint64_t count, enum is is)
{
	for (; count; count--, frame++) {
		m->free -= m->is[frame] == FREE;
		m->is[frame] = is;
		m->free += is == FREE;
	}
}

static bool all_are(const struct model *m, uint64_t frame, uint32_t order, enum is is)
{
	uint64_t end = frame + (1ULL << order);

	for (; frame < end; frame++)
		if (m->is[frame] != is)
			return false;
	return true;
}

static bool in_range(const struct model *m, uint64_t frame, uint32_t order)
{
	uint64_t size = 1ULL << order;

	return frame % size == 0 && frame < m->f->nr_frames && size <= m->f->nr_frames - frame;
}

/* Is there a run that one might get? */
static bool one_is_left(const struct model *m, uint32_t order)
{
	uint64_t frame, size = 1ULL << order;

	for (frame = 0; frame + size <= m->f->nr_frames; frame += size)
		if (all_are(m, frame, order, FREE))
			return true;
	return false;
}

static void hold(struct model *m, uint64_t frame, uint32_t order)
{
	m->held[m->nr_held++] = (struct held){frame, order};
}

/* The allocator handed out a run. */
static void got_one(struct model *m, uint64_t frame, uint32_t order)
{
	expect(m, in_range(m, frame, order));
	expect(m, all_are(m, frame, order, FREE));
	set(m, frame, 1ULL << order, order < 9 ? SMALL : HUGE);
	hold(m, frame, order);
}

static uint32_t some_order(struct model *m)
{
	switch (below(m, 8)) {
	case 0 ... 2:
		return 0;
	case 3 ... 5:
		return 1 + below(m, 8);
	case 6:
		return 9 + below(m, 2);
	default:
		return 9 + below(m, 5);
	}
}

static void do_get(struct model *m)
{
	uint32_t order = some_order(m), count = 1 + below(m, order ? 4 : 150), i, nr;
	uint64_t got[150];

	nr = frames_get(m->f, below(m, SLOTS), order, count, got);
	expect(m, nr <= count);
	for (i = 0; i < nr; i++)
		got_one(m, got[i], order);
	if (nr == count)
		return;
	expect(m, !one_is_left(m, order));
}

static void do_get_at(struct model *m)
{
	uint32_t order = some_order(m);
	uint64_t frame = rnd_below(&m->random, m->f->nr_frames + 10);
	int err;

	if (below(m, 8))
		frame &= -(1ULL << order);
	err = frames_get_at(m->f, frame, order);
	if (!in_range(m, frame, order)) {
		expect(m, err == -EINVAL);
		return;
	}
	expect(m, err == (all_are(m, frame, order, FREE) ? 0 : -EBUSY));
	if (!err)
		got_one(m, frame, order);
}

/* Take one out of what is held, in whole or a smaller piece of it. */
static struct held let_go(struct model *m)
{
	uint32_t some = below(m, m->nr_held);
	struct held held = m->held[some];

	m->held[some] = m->held[--m->nr_held];
	while (held.order && held.order != 9 && !below(m, 3)) {
		held.order--;
		/* The other half stays. */
		hold(m, held.frame + (1ULL << held.order), held.order);
	}
	return held;
}

static void do_put(struct model *m)
{
	uint64_t frames[40];
	uint32_t nr, i, want = 1 + below(m, ARRAY_SIZE(frames));
	struct held held;

	if (!m->nr_held)
		return;
	held = let_go(m);
	frames[0] = held.frame;
	/* With it, others of the same order. */
	for (nr = 1, i = 0; i < m->nr_held && nr < want;)
		if (m->held[i].order == held.order) {
			frames[nr++] = m->held[i].frame;
			m->held[i] = m->held[--m->nr_held];
		} else {
			i++;
		}
	expect(m, !frames_put(m->f, below(m, SLOTS), held.order, nr, frames));
	while (nr--)
		set(m, frames[nr], 1ULL << held.order, FREE);
}

/* Put anything at all, if the model does not find that it could be put. */
static void do_put_wrongly(struct model *m)
{
	uint32_t order = some_order(m);
	uint64_t frame = rnd_below(&m->random, m->f->nr_frames + 10);
	int err;

	if (below(m, 8))
		frame &= -(1ULL << order);
	if (in_range(m, frame, order)) {
		if (all_are(m, frame, order, order < 9 ? SMALL : HUGE))
			return;
		/* Of a child that is there in part, the rest cannot be told from what is used. */
		if (m->size[frame / 512] && m->size[frame / 512] < 512)
			return;
		err = frames_put(m->f, below(m, SLOTS), order, 1, &frame);
		expect(m, err == -ENOENT || err == -EINVAL);
		return;
	}
	expect(m, frames_put(m->f, below(m, SLOTS), order, 1, &frame) == -EINVAL);
}

static void do_add_or_remove(struct model *m)
{
	uint32_t child = below(m, m->f->nr_children), nr = frames_of(m, child), i;
	uint64_t first = child * 512ULL;
	bool all_free = true;

	if (!m->size[child]) {
		expect(m, frames_remove(m->f, child, nr) == -EBUSY);
		if (below(m, 2))
			nr = 1 + below(m, nr);
		expect(m, !frames_add(m->f, child, nr));
		set(m, first, nr, FREE);
		m->size[child] = (uint16_t)nr;
		return;
	}
	expect(m, frames_add(m->f, child, nr) == -EEXIST);
	nr = m->size[child];
	for (i = 0; i < nr; i++)
		all_free &= m->is[first + i] == FREE;
	if (all_free)
		frames_drain(m->f);
	expect(m, frames_remove(m->f, child, nr) == (all_free ? 0 : -EBUSY));
	if (!all_free)
		return;
	set(m, first, nr, ABSENT);
	m->size[child] = 0;
}

/* What frames_in_use() should say: of a child that is there in part, the rest is in use. */
static bool is_used(const struct model *m, uint64_t frame)
{
	return m->is[frame] >= SMALL || (m->is[frame] == ABSENT && m->size[frame / 512]);
}

static void compare(struct model *m)
{
	struct frames_stat stat;
	uint64_t frame, next = 0;
	uint32_t order = 0;

	assert_valid(m->f);
	frames_stat(m->f, &stat);
	expect(m, stat.free == m->free);
	for (frame = 0; frame < m->f->nr_frames; frame++)
		expect(m, frames_in_use(m->f, frame) == is_used(m, frame));
	for (frame = 0; frames_next(m->f, &next, &order); frame = next) {
		for (; frame < next; frame++)
			expect(m, !is_used(m, frame));
		expect(m, order == (m->is[next] == HUGE ? 9 : 0));
		next += 1ULL << order;
	}
	for (; frame < m->f->nr_frames; frame++)
		expect(m, !is_used(m, frame));
}

static void step(struct model *m, uint32_t load)
{
	uint32_t dice = below(m, 100);

	if (dice < 2)
		frames_drain(m->f);
	else if (dice < 6)
		do_add_or_remove(m);
	else if (dice < 12)
		do_put_wrongly(m);
	else if (dice < 24)
		do_get_at(m);
	else if (dice < 24 + load)
		do_get(m);
	else
		do_put(m);
}

static struct model new_model(uint64_t nr_frames, bool there, uint64_t seed)
{
	struct model m = {.f = make_frames(nr_frames, SLOTS, there)};
	uint32_t child;

	m.is = calloc(nr_frames, 1);
	m.size = calloc(m.f->nr_children, sizeof(*m.size));
	m.held = calloc(nr_frames, sizeof(*m.held));
	assert_true(m.is && m.size && m.held);
	m.random = rnd_stream(__func__, seed);
	for (child = 0; there && child < m.f->nr_children; child++) {
		m.size[child] = (uint16_t)frames_of(&m, child);
		set(&m, child * 512ULL, m.size[child], FREE);
	}
	return m;
}

static void drop_model(struct model *m)
{
	free(m->is);
	free(m->size);
	free(m->held);
	free_frames(m->f);
}

/* Calls of all kinds, while the load goes up and down; then all is put. */
static void run(uint64_t nr_frames, bool there, uint64_t seed)
{
	struct model m = new_model(nr_frames, there, seed);
	uint64_t ops = rounds_of(50000);
	uint32_t child;

	for (m.op = 0; m.op < ops; m.op++) {
		step(&m, m.op / 1000 % 2 ? 20 : 50);
		if (m.op % CHECK_EVERY == 0)
			compare(&m);
	}
	while (m.nr_held)
		do_put(&m);
	frames_drain(m.f);
	compare(&m);
	for (child = 0; child < m.f->nr_children; child++)
		if (m.size[child])
			expect(&m, !frames_remove(m.f, child, m.size[child]));
	drop_model(&m);
}

/* Fails if any call does other than the model says, where all frames are there. */
static void full_allocators_do_as_the_model(void **state)
{
	static const uint64_t sizes[] = {1, 65, 512, 700, 4096, 5000, 16384 + 4000};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		run(sizes[i], true, i);
}

/* Fails if children that come and go do not do as the model's. */
static void children_that_come_and_go_do_as_the_model(void **state)
{
	static const uint64_t sizes[] = {512, 3000, 4096, 12288 + 700};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		run(sizes[i], false, 100 + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_allocators_do_as_the_model),
		cmocka_unit_test(children_that_come_and_go_do_as_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
