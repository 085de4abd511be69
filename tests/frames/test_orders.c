// SPDX-License-Identifier: GPL-2.0
/*
 * The allocator's calls, by one caller: all orders, counts and sizes, to the last frame;
 * what is refused and then changes nothing; and how well it keeps huge frames whole.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "frames_test.h"

/* 2 GiB, and two children and a part of one more: neither a whole tree nor a whole child. */
#define MANY ((1U << 19) + 1300)
#define SLOTS 3

/* Which frames the caller has, a byte for each: what an allocator hands out goes here. */
struct owned {
	uint8_t *is;
	uint64_t nr;
};

static struct owned none_owned(const struct frames *f)
{
	struct owned owned = {calloc(f->nr_frames, 1), 0};

	assert_non_null(owned.is);
	return owned;
}

/* Frames were got: they are there, aligned, in use, and nobody's until now. */
static void own(const struct frames *f, struct owned *owned, uint32_t order, uint64_t frame)
{
	uint64_t size = 1ULL << order;

	assert_int_equal(frame % size, 0);
	assert_true(frame + size <= f->nr_frames);
	assert_null(memchr(owned->is + frame, 1, size));
	memset(owned->is + frame, 1, size);
	assert_true(frames_in_use(f, frame) && frames_in_use(f, frame + size - 1));
	owned->nr += size;
}

/* Just those frames are in use. */
static void assert_owned(const struct frames *f, const struct owned *owned)
{
	uint64_t frame;

	for (frame = 0; frame < f->nr_frames; frame++)
		if (frames_in_use(f, frame) != owned->is[frame])
			fail_msg("frame %" PRIu64 " is in use: %d", frame, !owned->is[frame]);
}

static struct frames_stat stat_of(const struct frames *f)
{
	struct frames_stat stat;

	frames_stat(f, &stat);
	return stat;
}

/* All is free, nothing is claimed, and all agrees. */
static void assert_all_free(struct frames *f)
{
	struct frames_stat stat;

	frames_drain(f);
	assert_valid(f);
	stat = stat_of(f);
	assert_int_equal(stat.free, f->nr_frames);
	assert_int_equal(stat.huge_free, f->nr_frames / 512);
	assert_int_equal(stat.claimed, 0);
	assert_int_equal(stat.huge_used, 0);
}

/* The bits and the children's words, which a refused call must leave as they were. */
static size_t truth_size(const struct frames *f)
{
	return (size_t)((char *)f->trees - (char *)f->bits);
}

static void *truth_of(const struct frames *f)
{
	void *copy = malloc(truth_size(f));

	assert_non_null(copy);
	return memcpy(copy, f->bits, truth_size(f));
}

static void assert_unchanged(const struct frames *f, void *truth)
{
	assert_memory_equal(f->bits, truth, truth_size(f));
	free(truth);
	assert_valid(f);
}

static uint64_t get(struct frames *f, uint32_t order)
{
	uint64_t frame;

	assert_int_equal(frames_get(f, 0, order, 1, &frame), 1);
	return frame;
}

static void put(struct frames *f, uint32_t order, uint64_t frame)
{
	assert_int_equal(frames_put(f, 0, order, 1, &frame), 0);
}

/* Fails if a run of any order is misaligned, shared, cut off, or not all put. */
static void each_order_is_got_and_put(void **state)
{
	uint32_t order, i;

	for (order = 0; order <= FRAMES_GIB_ORDER; order++) {
		struct frames *f = make_frames(MANY, SLOTS, true);
		struct owned owned = none_owned(f);
		uint64_t got[2];

		assert_int_equal(frames_get(f, 1, order, 2, got), 2);
		for (i = 0; i < 2; i++)
			own(f, &owned, order, got[i]);
		assert_owned(f, &owned);
		assert_valid(f);
		assert_int_equal(frames_put(f, 2, order, 2, got), 0);
		memset(owned.is, 0, f->nr_frames);
		assert_owned(f, &owned);
		assert_all_free(f);
		free(owned.is);
		free_frames(f);
	}
}

/* Fails if a run is misaligned where what was got before ends anywhere. */
static void each_order_is_aligned_behind_any_other(void **state)
{
	uint32_t order, before;

	for (before = 0; before < FRAMES_GIB_ORDER; before++)
		for (order = 0; order <= FRAMES_GIB_ORDER; order++) {
			struct frames *f = make_frames(MANY, 1, true);
			uint64_t first = get(f, before), frame = get(f, order);

			assert_int_equal(frame % (1ULL << order), 0);
			assert_true(frame + (1ULL << order) <= MANY);
			put(f, before, first);
			put(f, order, frame);
			assert_all_free(f);
			free_frames(f);
		}
}

/* How many aligned runs of an order an allocator of so many frames has. */
static uint64_t capacity(uint64_t nr_frames, uint32_t order)
{
	/* Runs of order 9 and above are of whole children: the last may not be one. */
	return nr_frames >> order;
}

/* Fails if there are more, or fewer, of an order than fit; or some do not come back. */
static void each_order_is_got_until_there_are_no_more(void **state)
{
	static const uint64_t sizes[] = {5000, 4096 * 3, 16384 + 700};
	uint32_t order, i, nr, slot;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (order = 0; order <= 14; order++) {
			struct frames *f = make_frames(sizes[i], SLOTS, true);
			struct owned owned = none_owned(f);
			uint64_t *got = calloc(sizes[i] + 1, sizeof(*got));

			assert_non_null(got);
			for (nr = 0, slot = 0; frames_get(f, slot, order, 1, got + nr); nr++) {
				own(f, &owned, order, got[nr]);
				slot = (slot + 1) % SLOTS;
			}
			assert_int_equal(nr, capacity(sizes[i], order));
			assert_owned(f, &owned);
			assert_valid(f);
			assert_int_equal(frames_put(f, 1, order, nr, got), 0);
			assert_all_free(f);
			free(got);
			free(owned.is);
			free_frames(f);
		}
}

/* Fails if frames are lost, or found twice, in allocators that end anywhere. */
static void the_last_frame_is_found_from_any_slot(void **state)
{
	static const uint32_t sizes[] = {1,    2,    63,   64,	 65,   127,  511,  512,	 513,  1023,
					 1024, 4095, 4096, 4097, 4608, 5000, 8191, 8192, 20001};
	static const uint32_t bulks[] = {1, 7, 64, 700};
	uint32_t i, bulk, done, slot, at;

	for (i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(bulks); i++) {
		uint64_t *got = calloc(sizes[i / ARRAY_SIZE(bulks)] + 700, sizeof(*got));
		struct frames *f = make_frames(sizes[i / ARRAY_SIZE(bulks)], SLOTS, true);
		struct owned owned = none_owned(f);

		assert_non_null(got);
		bulk = bulks[i % ARRAY_SIZE(bulks)];
		for (at = 0, slot = 0;; slot = (slot + 1) % SLOTS) {
			done = frames_get(f, slot, 0, bulk, got + at);
			assert_int_equal(done, at + bulk < f->nr_frames ? bulk : f->nr_frames - at);
			while (done--)
				own(f, &owned, 0, got[at++]);
			if (at == f->nr_frames)
				break;
		}
		for (slot = 0; slot < 2 * SLOTS; slot++)
			assert_int_equal(frames_get(f, slot, 0, bulk, got + at), 0);
		assert_valid(f);
		assert_int_equal(stat_of(f).free, 0);
		/* Put what is one's own and what is another slot's. */
		for (slot = 0; slot < SLOTS; slot++)
			assert_int_equal(frames_put(f, slot, 0,
						    at * (slot + 1) / SLOTS - at * slot / SLOTS,
						    got + at * slot / SLOTS),
					 0);
		assert_all_free(f);
		free(got);
		free(owned.is);
		free_frames(f);
	}
}

/* Fails if a frame that was put by another slot cannot be had again by any. */
static void what_is_put_anywhere_is_found_anywhere(void **state)
{
	struct frames *f = make_frames(5000, SLOTS, true);
	uint64_t *got = calloc(5000, sizeof(*got)), random = rnd_stream(__func__, 0), frame;
	uint32_t i, some;

	assert_non_null(got);
	assert_int_equal(frames_get(f, 0, 0, 5000, got), 5000);
	for (i = 0; i < 3000; i++) {
		some = (uint32_t)rnd_below(&random, 5000);
		assert_int_equal(frames_put(f, i % SLOTS, 0, 1, &got[some]), 0);
		assert_int_equal(frames_get(f, i / SLOTS, 0, 1, &frame), 1);
		assert_int_equal(frame, got[some]);
		assert_int_equal(frames_get(f, i / SLOTS, 0, 1, &frame), 0);
	}
	assert_valid(f);
	assert_int_equal(frames_put(f, 0, 0, 5000, got), 0);
	assert_all_free(f);
	free(got);
	free_frames(f);
}

static void assert_bulk(uint32_t order, uint32_t count)
{
	struct frames *f = make_frames((5000ULL << order) + 300, SLOTS, true);
	uint64_t *got = calloc(count + 1, sizeof(*got));
	struct owned owned = none_owned(f);
	uint32_t i;

	assert_non_null(got);
	got[count] = 0x1234567;
	assert_int_equal(frames_get(f, 2, order, count, got), count);
	assert_int_equal(got[count], 0x1234567);
	for (i = 0; i < count; i++)
		own(f, &owned, order, got[i]);
	assert_valid(f);
	assert_int_equal(stat_of(f).free, f->nr_frames - owned.nr);
	assert_int_equal(frames_put(f, 1, order, count, got), 0);
	assert_all_free(f);
	free(owned.is);
	free(got);
	free_frames(f);
}

/* Fails if a count is not served in full, or one is written beyond it. */
static void any_count_is_got_at_once(void **state)
{
	static const uint32_t counts[] = {0, 1, 2, 63, 64, 65, 512, 513, 5000};
	static const uint32_t orders[] = {0, 1, 3, 5, 6, 7, 8, 9, 10};
	uint32_t i, j;

	for (i = 0; i < ARRAY_SIZE(orders); i++)
		for (j = 0; j < ARRAY_SIZE(counts); j++)
			assert_bulk(orders[i], counts[j]);
}

/* Fails if a bulk breaks more children than it must. */
static void a_bulk_uses_whole_children_up(void **state)
{
	struct frames *f = make_frames(1 << 15, 1, true);
	uint64_t *got = calloc(5000, sizeof(*got));

	assert_non_null(got);
	assert_int_equal(frames_get(f, 0, 0, 5000, got), 5000);
	frames_drain(f);
	assert_int_equal(stat_of(f).huge_free, 64 - 10);
	free(got);
	free_frames(f);
}

/* Fails if what is bad in a list keeps the good from being put, or is not told. */
static void a_bad_one_among_many_is_told_and_the_others_are_put(void **state)
{
	struct frames *f = make_frames(5000, 1, true);
	uint64_t list[70], got[64];
	uint32_t i;

	assert_int_equal(frames_get(f, 0, 0, 64, got), 64);
	for (i = 0; i < 64; i++)
		list[i + (i > 20) + (i > 40)] = got[i];
	list[21] = 4999; /* not in use */
	list[42] = 50000; /* not there */
	assert_int_equal(frames_put(f, 0, 0, 66, list), -ENOENT);
	assert_all_free(f);

	assert_int_equal(frames_get(f, 0, 9, 4, got), 4);
	memcpy(list, got, sizeof(got));
	list[4] = 50000; /* not there */
	list[5] = got[0]; /* put already */
	assert_int_equal(frames_put(f, 0, 9, 6, list), -EINVAL);
	assert_all_free(f);
	free_frames(f);
}

/* Fails if any order can be got where it is in use, or not where it is free. */
static void each_order_is_got_at_its_place(void **state)
{
	struct frames *f = make_frames(MANY, SLOTS, true);
	uint32_t order, other, i;

	for (order = 0; order <= FRAMES_GIB_ORDER; order++) {
		uint64_t size = 1ULL << order, frame = order < 18 ? 3 * size : size, at;
		void *before = truth_of(f), *within;

		assert_int_equal(frames_get_at(f, frame, order), 0);
		for (i = 0; i < size; i += size / 8 + 1)
			assert_true(frames_in_use(f, frame + i));
		assert_false(frames_in_use(f, frame - 1) || frames_in_use(f, frame + size));
		assert_int_equal(stat_of(f).free, MANY - size);
		assert_valid(f);
		within = truth_of(f);
		for (other = 0; other <= FRAMES_GIB_ORDER; other++) {
			at = (frame + size - 1) & -(1ULL << other);
			if (at + (1ULL << other) <= MANY)
				assert_int_equal(frames_get_at(f, at, other), -EBUSY);
			at = frame & -(1ULL << other);
			assert_int_equal(frames_get_at(f, at, other), -EBUSY);
		}
		assert_unchanged(f, within);
		put(f, order, frame);
		assert_int_equal(frames_get_at(f, frame, order), 0);
		put(f, order, frame);
		frames_drain(f);
		assert_unchanged(f, before);
	}
	free_frames(f);
}

/* Fails if frames that a slot has claimed cannot be got one by one, or are then had twice. */
static void what_a_slot_claimed_can_be_got_at(void **state)
{
	struct frames *f = make_frames(1024, 2, true);
	struct owned owned = none_owned(f);
	uint64_t first = get(f, 0), child = first / 512 * 512, frame, got[1024];
	uint32_t nr, order;

	own(f, &owned, 0, first);
	for (order = 0; order <= 7; order++) {
		frame = child + (1 << order);
		frame += frame == first;
		assert_int_equal(frames_get_at(f, frame, order), 0);
		own(f, &owned, order, frame);
		assert_valid(f);
	}
	assert_int_equal(frames_get_at(f, child, 9), -EBUSY);
	nr = frames_get(f, 1, 0, 1024, got);
	assert_int_equal(nr, 1024 - owned.nr);
	while (nr--)
		own(f, &owned, 0, got[nr]);
	assert_int_equal(owned.nr, 1024);
	assert_valid(f);
	free(owned.is);
	free_frames(f);
}

/* Fails if a child that is all free, but claimed, is not had as a huge frame. */
static void a_claim_is_given_up_for_a_huge_frame(void **state)
{
	struct frames *f = make_frames(512, 1, true);
	uint64_t frame = get(f, 0);

	put(f, 0, frame);
	assert_int_equal(stat_of(f).claimed, 1);
	assert_int_equal(get(f, 9), 0);
	put(f, 9, 0);
	frame = get(f, 0);
	put(f, 0, frame);
	assert_int_equal(frames_get_at(f, 0, 9), 0);
	put(f, 9, 0);
	assert_all_free(f);
	free_frames(f);
}

/* Fails if a claim hides the runs that are in it. */
static void runs_are_got_of_claimed_children(void **state)
{
	uint32_t order;

	for (order = 1; order <= 8; order++) {
		struct frames *f = make_frames(512, 2, true);
		uint64_t frame = get(f, 0), run;

		assert_int_equal(stat_of(f).claimed, 1);
		assert_int_equal(frames_get(f, 1, order, 1, &run), 1);
		assert_valid(f);
		assert_int_equal(frames_put(f, 1, order, 1, &run), 0);
		put(f, 0, frame);
		assert_all_free(f);
		free_frames(f);
	}
}

/*
 * A run of @order at 0, with the frame or child at any place in it in use: it must be refused, and
 * nothing left behind.
 */
static void assert_refused_with(struct frames *f, uint32_t order, uint64_t frame, uint32_t busy)
{
	void *before;
	uint64_t got;

	assert_int_equal(frames_get_at(f, frame, busy), 0);
	before = truth_of(f);
	assert_int_equal(frames_get_at(f, 0, order), -EBUSY);
	/* If there is no other place for it. */
	if (f->nr_frames < 2ULL << order)
		assert_int_equal(frames_get(f, 0, order, 1, &got), 0);
	assert_unchanged(f, before);
	put(f, busy, frame);
	frames_drain(f);
	assert_int_equal(frames_get_at(f, 0, order), 0);
	put(f, order, 0);
}

static void assert_small_refused(uint64_t nr_frames, uint32_t order)
{
	struct frames *f = make_frames(nr_frames, 1, true);
	uint32_t i;

	for (i = 0; i < 1U << order; i++)
		assert_refused_with(f, order, i, 0);
	assert_all_free(f);
	free_frames(f);
}

/*
 * Fails if what was taken before the conflict, be that at any frame, stays taken; where the
 * child's count is enough, and where it is not.
 */
static void a_small_run_is_undone_at_any_conflict(void **state)
{
	uint32_t order;

	for (order = 1; order <= 8; order++) {
		assert_small_refused(512, order);
		assert_small_refused(1 << order, order);
	}
}

/* Fails if what was taken before the conflict, be that in any child, stays taken. */
static void a_huge_run_is_undone_at_any_conflict(void **state)
{
	uint32_t order, child, kind;

	for (order = 9; order <= 15; order++) {
		struct frames *f = make_frames(1ULL << order, 1, true);

		for (child = 0; child < 1U << (order - 9); child++)
			for (kind = 0; kind < 3; kind++)
				assert_refused_with(f, order, child * 512ULL + 511 * !kind,
						    kind == 2 ? 9 : 0);
		assert_all_free(f);
		free_frames(f);
	}
}

/* The same in the largest, at the ends and middles of what is taken at a swap. */
static void a_gib_is_undone_at_any_conflict(void **state)
{
	static const uint32_t children[] = {0, 1, 3, 4, 7, 8, 9, 255, 256, 510, 511};
	struct frames *f = make_frames(1 << 18, 1, true);
	uint32_t i, order;

	for (order = 16; order <= 18; order++)
		for (i = 0; i < ARRAY_SIZE(children); i++) {
			uint64_t frame = children[i] * 512ULL;
			void *before;

			assert_int_equal(frames_get_at(f, frame, 9), 0);
			before = truth_of(f);
			assert_int_equal(frames_get_at(f, frame & -(1ULL << order), order), -EBUSY);
			assert_unchanged(f, before);
			put(f, 9, frame);
		}
	assert_all_free(f);
	free_frames(f);
}

/* Frame 512 is in use: order 10 at frame 0 must leave the child at 0 as it was. */
static void a_pair_whose_second_is_in_use_leaves_the_first(void **state)
{
	struct frames *f = make_frames(4096, 1, true);
	uint32_t order;

	for (order = 0; order <= 9; order++) {
		assert_int_equal(frames_get_at(f, 512, order), 0);
		assert_int_equal(frames_get_at(f, 0, 10), -EBUSY);
		assert_false(frames_in_use(f, 0));
		assert_int_equal(frames_get_at(f, 0, 9), 0);
		put(f, 9, 0);
		put(f, order, 512);
		assert_all_free(f);
	}
	free_frames(f);
}

/* Who takes a frame of a run and puts it again, while others want the run. */
struct toggle {
	struct frames *f;
	uint64_t frame;
	uint32_t order;
	uint32_t rounds;
	uint32_t failed;
	atomic_bool stop;
};

static void *toggle_frame(void *arg)
{
	struct toggle *toggle = arg;
	uint32_t i;

	for (i = 0; i < toggle->rounds; i++) {
		if (frames_get_at(toggle->f, toggle->frame, toggle->order))
			continue;
		if (frames_put(toggle->f, 1, toggle->order, 1, &toggle->frame))
			toggle->failed++;
	}
	toggle->stop = true;
	return NULL;
}

static void assert_undone_while_toggled(uint32_t order, uint64_t frame, uint32_t busy)
{
	/* A child's count is enough, so that what is in use is only found at its bits. */
	uint64_t nr_frames = order < 9 ? 512 : 1ULL << order, run;
	struct toggle toggle = {make_frames(nr_frames, 2, true), frame, busy, 30000, 0, false};
	uint32_t got = 0, failed = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, toggle_frame, &toggle), 0);
	while (!toggle.stop) {
		/* In turn where it must be, and anywhere, which is there, too. */
		run = 0;
		if (got & 1 ? frames_get_at(toggle.f, 0, order)
			    : !frames_get(toggle.f, 0, order, 1, &run))
			continue;
		got++;
		failed += run + (1ULL << order) > nr_frames;
		failed += frames_put(toggle.f, 0, order, 1, &run) != 0;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(toggle.failed + failed, 0);
	assert_all_free(toggle.f);
	assert_int_equal(frames_get_at(toggle.f, 0, order), 0);
	free_frames(toggle.f);
}

/* Fails if a conflict that comes in the middle leaves something taken, or takes the other's. */
static void runs_are_undone_while_a_frame_comes_and_goes(void **state)
{
	uint32_t order;

	for (order = 6; order <= 8; order++) {
		assert_undone_while_toggled(order, (1ULL << order) - 1, 0);
		assert_undone_while_toggled(order, (1ULL << order) - 2, 1);
	}
	for (order = 10; order <= 14; order++) {
		assert_undone_while_toggled(order, (1ULL << order) - 512, 9);
		assert_undone_while_toggled(order, (1ULL << order) - 1, 0);
	}
}

/* Fails if an allocator can be made that has no frames, no slot, or no host. */
static void what_makes_no_allocator_is_refused(void **state)
{
	struct frames_slot slots[2];
	uint64_t words[64];
	struct frames f;

	assert_int_equal(frames_init(&f, 0, words, slots, 1, 1), -EINVAL);
	assert_int_equal(frames_init(&f, (1ULL << 40) + 1, words, slots, 1, 1), -EINVAL);
	assert_int_equal(frames_init(&f, UINT64_MAX, words, slots, 1, 1), -EINVAL);
	assert_int_equal(frames_init(&f, 1, words, slots, 0, 1), -EINVAL);
	assert_int_equal(frames_init(&f, 1, words, slots, 1, 0), -EINVAL);
	assert_int_equal(frames_init(&f, 1, words, slots, 1, FRAMES_HOSTS + 1), -EINVAL);
	assert_int_equal(frames_init(&f, 1, words, slots, 1, UINT32_MAX), -EINVAL);
	assert_int_equal(frames_init(&f, 1, words, slots, 2, FRAMES_HOSTS), 0);
	assert_int_equal(f.host, FRAMES_HOSTS);
	assert_int_equal(f.nr_slots, 2);
	assert_int_equal(frames_words_size((1ULL << 40) + 1), 0);
	assert_int_equal(frames_words_size(UINT64_MAX), 0);
}

/* Fails if the words need more than 0.0035 % of the memory. */
static void words_take_little_memory(void **state)
{
	uint64_t nr;

	for (nr = 1ULL << 18; nr <= 1ULL << 40; nr *= 2)
		assert_true(frames_words_size(nr) / 35 <= nr * FRAMES_FRAME_SIZE / 1000000);
	assert_true(frames_words_size(1) > 0);
}

/* Fails if a frame, order or child that cannot be is not told, or anything changes by it. */
static void bad_input_is_refused(void **state)
{
	static const uint32_t orders[] = {19, 20, 31, 32, 63, 64, 65, 1U << 31, UINT32_MAX};
	static const uint64_t outside[] = {5000, 5001, 5119, 5120, 1ULL << 40, 1ULL << 63, -1ULL};
	struct frames *f = make_frames(5000, SLOTS, true);
	uint64_t frame = get(f, 0), zero = 0, huge = get(f, 9);
	void *before = truth_of(f);
	uint64_t got[1] = {77};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		assert_int_equal(frames_get(f, 0, orders[i], 1, got), 0);
		assert_int_equal(frames_get_at(f, 0, orders[i]), -EINVAL);
		assert_int_equal(frames_put(f, 0, orders[i], 1, &zero), -EINVAL);
	}
	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		assert_int_equal(frames_get_at(f, outside[i], 0), -EINVAL);
		assert_int_equal(frames_put(f, 0, 0, 1, &outside[i]), -EINVAL);
		assert_false(frames_in_use(f, outside[i]));
	}
	for (i = 1; i <= FRAMES_GIB_ORDER; i++) {
		uint64_t crooked = (1ULL << i) - 1, end = 5000 & -(1ULL << i);

		assert_int_equal(frames_get_at(f, crooked, i), -EINVAL);
		assert_int_equal(frames_put(f, 0, i, 1, &crooked), -EINVAL);
		if (end + (1ULL << i) <= 5000)
			continue;
		/* Begins within, but ends beyond. */
		assert_int_equal(frames_get_at(f, end, i), -EINVAL);
		assert_int_equal(frames_put(f, 0, i, 1, &end), -EINVAL);
	}
	assert_int_equal(frames_get(f, 0, 0, 0, got), 0);
	assert_int_equal(frames_put(f, 0, 0, 0, got), 0);
	assert_int_equal(frames_get_near(&f, 0, 0, 0, 1, got, &i), 0);
	assert_int_equal(frames_get_near(&f, 1, 0, 19, 1, got, &i), 0);
	assert_int_equal(got[0], 77);
	assert_int_equal(frames_add(f, 10, 512), -EINVAL);
	assert_int_equal(frames_add(f, UINT32_MAX, 512), -EINVAL);
	assert_int_equal(frames_add(f, 0, 0), -EINVAL);
	assert_int_equal(frames_add(f, 0, 513), -EINVAL);
	assert_int_equal(frames_add(f, 9, 512), -EINVAL); /* has 392 */
	assert_int_equal(frames_add(f, 0, 512), -EEXIST);
	assert_int_equal(frames_add(f, 9, 392), -EEXIST);
	assert_int_equal(frames_remove(f, 10, 512), -EINVAL);
	assert_int_equal(frames_remove(f, UINT32_MAX, 512), -EINVAL);
	assert_int_equal(frames_child_free(f, 10), 0);
	assert_int_equal(frames_child_free(f, UINT32_MAX), 0);
	assert_int_equal(frames_take_back(f, 0), -EINVAL);
	assert_int_equal(frames_take_back(f, 1), -EINVAL);
	assert_int_equal(frames_take_back(f, FRAMES_HOSTS + 1), -EINVAL);
	assert_unchanged(f, before);
	put(f, 0, frame);
	put(f, 9, huge);
	assert_all_free(f);
	free_frames(f);
}

/* Fails if slots of any number are not served, or not all by one's own. */
static void any_number_will_do_for_a_slot(void **state)
{
	static const uint32_t slots[] = {0, 1, 2, 3, 4, 1000, 1U << 31, UINT32_MAX};
	struct frames *f = make_frames(5000, SLOTS, true);
	uint64_t frame;
	uint32_t i, order;

	for (i = 0; i < ARRAY_SIZE(slots); i++)
		for (order = 0; order <= 12; order += 3) {
			assert_int_equal(frames_get(f, slots[i], order, 1, &frame), 1);
			assert_int_equal(frames_put(f, slots[i], order, 1, &frame), 0);
		}
	assert_all_free(f);
	free_frames(f);
}

/* Fails if what was put can be put again. */
static void putting_twice_is_refused(void **state)
{
	struct frames *f = make_frames(MANY, 1, true);
	uint64_t frame, twice[2];
	uint32_t order, part;

	for (order = 0; order <= FRAMES_GIB_ORDER; order++) {
		void *before;

		frame = get(f, order);
		put(f, order, frame);
		before = truth_of(f);
		assert_int_equal(frames_put(f, 0, order, 1, &frame), -ENOENT);
		for (part = 0; part < order; part++)
			assert_int_equal(frames_put(f, 0, part, 1, &frame), -ENOENT);
		assert_unchanged(f, before);

		twice[0] = twice[1] = get(f, order);
		assert_int_equal(frames_put(f, 0, order, 2, twice), -ENOENT);
		assert_all_free(f);
	}
	free_frames(f);
}

/* Fails if a run of which a part is free is put, or a part of it. */
static void putting_what_is_partly_free_is_refused(void **state)
{
	struct frames *f = make_frames(8192, 1, true);
	uint32_t order, hole;

	for (order = 1; order <= 12; order++)
		for (hole = 0; hole < 2; hole++) {
			uint32_t part = order <= 9 ? 0 : 9;
			uint64_t run = order == 9 ? 0 : get(f, order);
			uint64_t end = run + (1ULL << order) - (1ULL << part);
			void *before;

			if (order == 9)
				continue;
			put(f, part, hole ? end : run);
			before = truth_of(f);
			assert_int_equal(frames_put(f, 0, order, 1, &run), -ENOENT);
			assert_unchanged(f, before);
			assert_int_equal(frames_get_at(f, hole ? end : run, part), 0);
			put(f, order, run);
			assert_all_free(f);
		}
	free_frames(f);
}

/* Fails if small frames can be put as a huge one, or the other way round. */
static void small_and_huge_are_not_put_as_each_other(void **state)
{
	struct frames *f = make_frames(8192, 1, true);
	uint64_t huge = get(f, 10), all[512];
	uint32_t order, i;
	void *before = truth_of(f);

	for (order = 0; order <= 8; order++)
		assert_int_equal(frames_put(f, 0, order, 1, &huge), -ENOENT);
	for (order = 11; order <= 12; order++) {
		uint64_t larger = huge & -(1ULL << order);

		assert_int_equal(frames_put(f, 0, order, 1, &larger), -ENOENT);
	}
	assert_unchanged(f, before);
	put(f, 10, huge);

	for (i = 0; i < 512; i++) {
		all[i] = 1024 + i;
		assert_int_equal(frames_get_at(f, all[i], 0), 0);
	}
	before = truth_of(f);
	for (order = 9; order <= 10; order++)
		assert_int_equal(frames_put(f, 0, order, 1, all), -ENOENT);
	assert_unchanged(f, before);
	assert_int_equal(frames_put(f, 0, 0, 512, all), 0);
	assert_all_free(f);
	free_frames(f);
}

/* Fails if any smaller pieces of any order cannot be put, in any sequence. */
static void what_was_got_is_put_in_smaller_pieces(void **state)
{
	struct frames *f = make_frames(MANY, 1, true);
	uint64_t run, piece;
	uint32_t order, part, i, count;

	for (order = 1; order <= FRAMES_GIB_ORDER; order++)
		for (part = order <= 8 ? 0 : 9; part < order; part++) {
			run = get(f, order);
			count = 1U << (order - part);
			for (i = 0; i < count; i++) {
				/* Each once, as the multiplier is odd. */
				piece = run + ((uint64_t)(i * 5 + 3) % count << part);
				assert_true(frames_in_use(f, piece));
				put(f, part, piece);
				assert_false(frames_in_use(f, piece));
			}
			assert_all_free(f);
		}
	free_frames(f);
}

/* Fails if frames are had that are not there, or not had once they are. */
static void children_are_there_once_added(void **state)
{
	struct frames *f = make_frames(5000, SLOTS, false);
	uint64_t frame, at = 0, got[600];
	uint32_t order, child;

	for (order = 0; order <= 12; order++) {
		assert_int_equal(frames_get(f, 0, order, 1, &frame), 0);
		assert_int_equal(frames_get_at(f, 0, order), -EBUSY);
		frame = 0;
		assert_int_not_equal(frames_put(f, 0, order, 1, &frame), 0);
	}
	assert_false(frames_next(f, &at, &order));
	assert_valid(f);
	assert_int_equal(stat_of(f).absent, 10);
	assert_int_equal(stat_of(f).frames, 0);

	assert_int_equal(frames_add(f, 3, 512), 0);
	assert_int_equal(frames_add(f, 3, 512), -EEXIST);
	assert_int_equal(stat_of(f).frames, 512);
	assert_int_equal(stat_of(f).free, 512);
	assert_int_equal(get(f, 9), 3 * 512);
	assert_int_equal(frames_add(f, 3, 512), -EEXIST);
	put(f, 9, 3 * 512);
	assert_int_equal(frames_get(f, 0, 0, 600, got), 512);
	assert_int_equal(frames_add(f, 3, 512), -EEXIST);
	assert_int_equal(frames_put(f, 0, 0, 512, got), 0);
	frames_drain(f);
	for (child = 0; child < 9; child++)
		assert_int_equal(frames_add(f, child, 512), child == 3 ? -EEXIST : 0);
	assert_int_equal(frames_add(f, 9, 392), 0);
	assert_all_free(f);
	free_frames(f);
}

/* Fails if a child with frames in use or claimed goes, or a free one does not. */
static void children_go_when_all_is_free(void **state)
{
	struct frames *f = make_frames(5000, 1, true);
	uint64_t frame, got[512];
	uint32_t child;

	for (child = 0; child < 9; child++) {
		frame = child * 512ULL + 17;
		assert_int_equal(frames_get_at(f, frame, 0), 0);
		assert_int_equal(frames_remove(f, child, 512), -EBUSY);
		put(f, 0, frame);
		frames_drain(f);
		frame = child * 512ULL;
		assert_int_equal(frames_get_at(f, frame, 9), 0);
		assert_int_equal(frames_remove(f, child, 512), -EBUSY);
		put(f, 9, frame);
		assert_int_equal(frames_remove(f, child, 511), -EBUSY);
		assert_int_equal(frames_remove(f, child, 512), 0);
		assert_int_equal(frames_remove(f, child, 512), -EBUSY);
		assert_valid(f);
		assert_int_equal(frames_get_at(f, frame, 0), -EBUSY);
		assert_int_equal(frames_get_at(f, frame, 9), -EBUSY);
		assert_int_not_equal(frames_put(f, 0, 0, 1, &frame), 0);
		assert_int_equal(stat_of(f).absent, child + 1);
	}
	/* What is left is the last one, which has 392. */
	assert_int_equal(frames_get(f, 0, 0, 512, got), 392);
	assert_int_equal(frames_put(f, 0, 0, 392, got), 0);
	/* It is free, but claimed. */
	assert_int_equal(frames_remove(f, 9, 392), -EBUSY);
	frames_drain(f);
	assert_int_equal(frames_remove(f, 9, 392), 0);
	assert_int_equal(frames_get(f, 0, 0, 1, got), 0);
	assert_int_equal(frames_add(f, 0, 512), 0);
	assert_int_equal(get(f, 9), 0);
	free_frames(f);
}

/* Fails if a child of which all is in use for good stays, or one goes that a processor has claimed. */
static void a_child_goes_of_which_nothing_is_free(void **state)
{
	struct frames *f = make_frames(1024, 1, true);
	uint64_t got[512];

	assert_int_equal(frames_remove(f, 0, 0), -EBUSY);
	assert_int_equal(frames_get(f, 0, 0, 512, got), 512);
	assert_int_equal(frames_remove(f, got[0] / 512, 1), -EBUSY);
	frames_drain(f);
	assert_int_equal(frames_remove(f, got[0] / 512, 0), 0);
	assert_valid(f);
	assert_int_equal(stat_of(f).absent, 1);
	assert_int_equal(frames_remove(f, got[0] / 512, 0), -EBUSY);
	assert_int_equal(frames_add(f, got[0] / 512, 512), 0);
	assert_all_free(f);
	free_frames(f);
}

/* Fails if a child that was added in part has other frames than these. */
static void a_child_may_be_added_in_part(void **state)
{
	static const uint32_t parts[] = {1, 2, 63, 64, 65, 100, 448, 511, 512};
	struct frames *f = make_frames(4096, 1, false);
	uint64_t got[513], frame;
	uint32_t i, j, order;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		assert_int_equal(frames_add(f, 5, parts[i]), 0);
		assert_valid(f);
		assert_int_equal(stat_of(f).free, parts[i]);
		assert_int_equal(frames_get(f, 0, 0, 513, got), parts[i]);
		for (j = 0; j < parts[i]; j++)
			assert_true(got[j] >= 5 * 512 && got[j] < 5 * 512 + parts[i]);
		assert_int_equal(frames_remove(f, 5, parts[i]), -EBUSY);
		assert_int_equal(frames_put(f, 0, 0, parts[i], got), 0);
		frames_drain(f);
		for (order = 1; order <= 9; order++) {
			bool fits = 1U << order <= parts[i];

			assert_int_equal(frames_get(f, 0, order, 1, &frame), fits);
			if (fits)
				put(f, order, frame);
		}
		frames_drain(f);
		assert_valid(f);
		if (parts[i] < 512)
			assert_int_equal(frames_remove(f, 5, 512), -EBUSY);
		assert_int_equal(frames_remove(f, 5, parts[i]), 0);
		assert_valid(f);
	}
	free_frames(f);
}

/* Fails if a farther node is asked while a nearer has some, or one is named that has not. */
static void near_nodes_are_asked_before_far_ones(void **state)
{
	struct frames *nodes[3];
	uint64_t got[3200];
	uint32_t from[3200], node, i, used[3] = {0};

	for (node = 0; node < 3; node++)
		nodes[node] = make_frames(1000, 2, true);
	assert_int_equal(frames_get_near(nodes, 3, 1, 0, 700, got, from), 700);
	for (i = 0; i < 700; i++)
		assert_int_equal(from[i], 0);
	assert_int_equal(frames_get_near(nodes, 3, 0, 0, 700, got + 700, from + 700), 700);
	assert_int_equal(frames_get_near(nodes, 2, 0, 0, 700, got + 1400, from + 1400), 600);
	assert_int_equal(frames_get_near(nodes, 3, 0, 9, 3, got + 2000, from + 2000), 1);
	assert_int_equal(from[2000], 2);
	assert_int_equal(frames_put(nodes[2], 0, 9, 1, &got[2000]), 0);
	assert_int_equal(frames_get_near(nodes, 3, 0, 0, 1200, got + 2000, from + 2000), 1000);
	for (i = 0; i < 3000; i++) {
		assert_int_equal(from[i], i / 1000);
		used[from[i]]++;
		assert_true(frames_in_use(nodes[from[i]], got[i]));
	}
	for (node = 0; node < 3; node++) {
		assert_int_equal(used[node], 1000);
		assert_int_equal(frames_put(nodes[node], 0, 0, 1000, got + node * 1000), 0);
		assert_all_free(nodes[node]);
		free_frames(nodes[node]);
	}
}

/* Fails if a claim outlives the drain, or what it held is lost. */
static void draining_makes_claimed_children_whole(void **state)
{
	struct frames *f = make_frames(8 * 4096, SLOTS, true);
	uint64_t frames[SLOTS];
	uint32_t slot;

	for (slot = 0; slot < SLOTS; slot++)
		assert_int_equal(frames_get(f, slot, 0, 1, &frames[slot]), 1);
	assert_int_equal(stat_of(f).claimed, SLOTS);
	for (slot = 0; slot < SLOTS; slot++)
		assert_int_equal(frames_put(f, slot, 0, 1, &frames[slot]), 0);
	assert_int_equal(stat_of(f).claimed, SLOTS);
	assert_int_equal(stat_of(f).huge_free, 64 - SLOTS);
	frames_drain(f);
	assert_int_equal(stat_of(f).claimed, 0);
	assert_int_equal(stat_of(f).huge_free, 64);
	frames_drain(f);
	assert_all_free(f);
	free_frames(f);
}

/* Fails if a slot meets another though there is room for both. */
static void slots_do_not_meet_while_there_is_room(void **state)
{
	struct frames *f = make_frames(SLOTS * 4096, SLOTS, true);
	uint64_t got[4096];
	uint32_t slot, other, i;
	uint64_t trees[SLOTS];

	for (slot = 0; slot < SLOTS; slot++) {
		assert_int_equal(frames_get(f, slot, 0, 1, got), 1);
		trees[slot] = got[0] / 4096;
		for (other = 0; other < slot; other++)
			assert_int_not_equal(trees[slot], trees[other]);
	}
	for (slot = 0; slot < SLOTS; slot++) {
		assert_int_equal(frames_get(f, slot, 0, 4095, got), 4095);
		for (i = 0; i < 4095; i++)
			assert_int_equal(got[i] / 4096, trees[slot]);
	}
	free_frames(f);
}

/* Fails if what is free of a child is not told; or is, though it is a slot's. */
static void free_frames_of_a_child_are_told(void **state)
{
	struct frames *f = make_frames(5000, 1, true);
	uint32_t child, none = 0;

	assert_int_equal(frames_child_free(f, 0), 512);
	assert_int_equal(frames_child_free(f, 9), 392);
	assert_int_equal(frames_get_at(f, 1024, 5), 0);
	assert_int_equal(frames_child_free(f, 2), 480);
	assert_int_equal(frames_get_at(f, 2048, 9), 0);
	assert_int_equal(frames_child_free(f, 4), 0);
	assert_int_equal(frames_remove(f, 5, 512), 0);
	assert_int_equal(frames_child_free(f, 5), 0);
	put(f, 0, get(f, 0));
	assert_int_equal(stat_of(f).claimed, 1);
	for (child = 0; child < 10; child++)
		none += !frames_child_free(f, child);
	assert_int_equal(none, 3);
	free_frames(f);
}

static void assert_runs(const struct frames *f, const uint64_t want[11])
{
	struct frames_stat stat = stat_of(f);
	uint32_t order;

	for (order = 0; order <= 10; order++)
		if (stat.runs[order] != want[order])
			fail_msg("%" PRIu64 " runs of order %u, not %" PRIu64, stat.runs[order],
				 order, want[order]);
}

/* Fails if a figure is not what one counts by hand. */
static void figures_are_as_counted_by_hand(void **state)
{
	/* Children 0, 1 and 2 are whole, the last has 276 = 256 + 16 + 4 frames. */
	struct frames *f = make_frames(3 * 512 + 276, 1, true);
	struct frames_stat stat = stat_of(f);

	assert_int_equal(stat.frames, 3 * 512 + 276);
	assert_int_equal(stat.free, 3 * 512 + 276);
	assert_int_equal(stat.huge_free, 3);
	assert_int_equal(stat.huge_used, 0);
	assert_int_equal(stat.absent, 0);
	assert_int_equal(stat.claimed, 0);
	assert_runs(f, (uint64_t[]){0, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1});

	/* Of child 0, frame 65 goes: 64, 66, 68, 72, 80, 96 begin runs of 0 to 5, 128 of 7 ... */
	assert_int_equal(frames_get_at(f, 65, 0), 0);
	assert_runs(f, (uint64_t[]){1, 1, 2, 1, 2, 1, 1, 1, 2, 2, 0});
	/* Child 1 becomes a huge frame. */
	assert_int_equal(frames_get_at(f, 512, 9), 0);
	assert_runs(f, (uint64_t[]){1, 1, 2, 1, 2, 1, 1, 1, 2, 1, 0});
	/* Of child 2, the second half is taken. */
	assert_int_equal(frames_get_at(f, 1024 + 256, 8), 0);
	assert_runs(f, (uint64_t[]){1, 1, 2, 1, 2, 1, 1, 1, 3, 0, 0});
	stat = stat_of(f);
	assert_int_equal(stat.frames, 3 * 512 + 276);
	assert_int_equal(stat.free, 511 + 256 + 276);
	assert_int_equal(stat.huge_free, 0);
	assert_int_equal(stat.huge_used, 1);
	put(f, 8, 1024 + 256);
	frames_drain(f);
	assert_int_equal(frames_remove(f, 2, 512), 0);
	stat = stat_of(f);
	assert_int_equal(stat.frames, 2 * 512 + 276);
	assert_int_equal(stat.free, 511 + 276);
	assert_int_equal(stat.absent, 1);
	free_frames(f);
}

/* Fails if a frame that is in use is passed over, or one is found that is not. */
static void all_that_is_in_use_is_found_in_turn(void **state)
{
	static const struct {
		uint64_t frame;
		uint32_t order;
	} used[] = {{0, 0},    {63, 0},	  {64, 0},    {130, 1},	 {512, 9},
		    {1024, 0}, {1535, 0}, {2048, 11}, {4096, 6}, {4999, 0}};
	struct frames *f = make_frames(5000, 1, true);
	uint64_t at, end;
	uint32_t i, order;

	at = 0;
	assert_false(frames_next(f, &at, &order));
	for (i = 0; i < ARRAY_SIZE(used); i++)
		assert_int_equal(frames_get_at(f, used[i].frame, used[i].order), 0);
	assert_int_equal(frames_remove(f, 3, 512), 0);
	for (i = 0, at = 0; i < ARRAY_SIZE(used); i++)
		for (end = used[i].frame + (1ULL << used[i].order); at < end; at += 1ULL << order) {
			if (at < used[i].frame)
				assert_true(frames_next(f, &at, &order));
			else
				assert_true(frames_next(f, &(uint64_t){at}, &order));
			assert_true(at >= used[i].frame && at < end);
			assert_int_equal(order, used[i].order < 9 ? 0 : 9);
		}
	assert_false(frames_next(f, &at, &order));
	/* From the middle of a huge frame on, that is not found. */
	at = 513;
	assert_true(frames_next(f, &at, &order));
	assert_int_equal(at, 1024);
	at = 5000;
	assert_false(frames_next(f, &at, &order));
	at = UINT64_MAX;
	assert_false(frames_next(f, &at, &order));
	free_frames(f);
}

/* Fails if faults of these kinds pass, each made by hand: or all other tests could. */
static void faults_are_found(void **state)
{
	struct frames *f = make_frames(5000, 1, true);
	uint32_t where;

	assert_null(frames_validate(f, NULL));
	f->bits[8 * 3] = 1;
	assert_non_null(frames_validate(f, NULL));
	assert_non_null(frames_validate(f, &where));
	assert_int_equal(where, 3);
	f->bits[8 * 3] = 0;
	f->children[4]--;
	assert_non_null(frames_validate(f, &where));
	assert_int_equal(where, 4);
	f->children[4]++;
	f->trees[1] = 0;
	assert_non_null(frames_validate(f, &where));
	f->trees[1] = 0xffff;
	assert_null(frames_validate(f, &where));
	get(f, 0);
	f->slots[0].claim = 0;
	assert_non_null(frames_validate(f, &where));
	free_frames(f);
}

#define CHURNED (1U << 15)

/* What is held while frames come and go, and how much of it. */
struct churn {
	struct frames *f;
	struct {
		uint64_t frame;
		uint32_t order;
	} * held;
	uint32_t nr;
	uint64_t frames;
	uint64_t random;
	bool runs; /* some are runs of two, four or eight frames */
};

static void churn_get(struct churn *churn)
{
	uint32_t dice = (uint32_t)rnd_below(&churn->random, 16);
	uint32_t order = churn->runs && dice < 3 ? dice + 1 : 0;

	if (!frames_get(churn->f, dice % SLOTS, order, 1, &churn->held[churn->nr].frame))
		return;
	churn->held[churn->nr++].order = order;
	churn->frames += 1ULL << order;
}

static void churn_put(struct churn *churn)
{
	uint32_t some = (uint32_t)rnd_below(&churn->random, churn->nr);

	assert_int_equal(frames_put(churn->f, some % SLOTS, churn->held[some].order, 1,
				    &churn->held[some].frame),
			 0);
	churn->frames -= 1ULL << churn->held[some].order;
	churn->held[some] = churn->held[--churn->nr];
}

static void churn_to(struct churn *churn, uint32_t percent)
{
	uint64_t target = churn->f->nr_frames * percent / 100;

	while (churn->frames < target)
		churn_get(churn);
	while (churn->frames > target)
		churn_put(churn);
}

static void churn_at(struct churn *churn, uint32_t percent, uint32_t rounds)
{
	for (churn_to(churn, percent); rounds; rounds--) {
		churn_put(churn);
		churn_to(churn, percent);
	}
}

/* How many of the huge frames that could be, if what is free were all together, there are. */
static uint32_t percent_whole(struct churn *churn)
{
	struct frames_stat stat;

	frames_drain(churn->f);
	assert_valid(churn->f);
	stat = stat_of(churn->f);
	assert_int_equal(stat.free, churn->f->nr_frames - churn->frames);
	print_message("# %s, %" PRIu64 " of %" PRIu64 " MiB free: %" PRIu64
		      " huge frames of %" PRIu64 " that could be\n",
		      churn->runs ? "runs and single frames" : "single frames", stat.free / 256,
		      stat.frames / 256, stat.huge_free, stat.free / 512);
	return (uint32_t)(stat.huge_free * 100 / (stat.free / 512));
}

/*
 * The load goes up to 90 % and frames are put at random, until no child is whole but by
 * chance; then the load stays at @percent while each frame is replaced ten times.
 */
static uint32_t churn(bool runs, uint32_t percent)
{
	struct churn churn = {.f = make_frames(CHURNED, SLOTS, true), .runs = runs};
	uint32_t whole;

	churn.random = rnd_stream(__func__, percent + runs);
	churn.held = calloc(CHURNED, sizeof(*churn.held));
	assert_non_null(churn.held);
	churn_at(&churn, 90, 20000);
	churn_at(&churn, 50, 20000);
	churn_at(&churn, percent, CHURNED * percent / 10);
	whole = percent_whole(&churn);
	churn_to(&churn, 0);
	assert_all_free(churn.f);
	free(churn.held);
	free_frames(churn.f);
	return whole;
}

/*
 * Fails if frames are got anywhere, instead of where there are holes: no huge frame would
 * be left of half the memory, and a third of the ideal is asked for.
 */
static void huge_frames_stay_whole_in_churn(void **state)
{
	uint32_t percent;

	for (percent = 50; percent <= 70; percent += 20) {
		assert_true(churn(false, percent) >= 33);
		assert_true(churn(true, percent) >= 33);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_order_is_got_and_put),
		cmocka_unit_test(each_order_is_aligned_behind_any_other),
		cmocka_unit_test(each_order_is_got_until_there_are_no_more),
		cmocka_unit_test(the_last_frame_is_found_from_any_slot),
		cmocka_unit_test(what_is_put_anywhere_is_found_anywhere),
		cmocka_unit_test(any_count_is_got_at_once),
		cmocka_unit_test(a_bulk_uses_whole_children_up),
		cmocka_unit_test(a_bad_one_among_many_is_told_and_the_others_are_put),
		cmocka_unit_test(each_order_is_got_at_its_place),
		cmocka_unit_test(what_a_slot_claimed_can_be_got_at),
		cmocka_unit_test(a_claim_is_given_up_for_a_huge_frame),
		cmocka_unit_test(runs_are_got_of_claimed_children),
		cmocka_unit_test(a_small_run_is_undone_at_any_conflict),
		cmocka_unit_test(a_huge_run_is_undone_at_any_conflict),
		cmocka_unit_test(a_gib_is_undone_at_any_conflict),
		cmocka_unit_test(a_pair_whose_second_is_in_use_leaves_the_first),
		cmocka_unit_test(runs_are_undone_while_a_frame_comes_and_goes),
		cmocka_unit_test(what_makes_no_allocator_is_refused),
		cmocka_unit_test(words_take_little_memory),
		cmocka_unit_test(bad_input_is_refused),
		cmocka_unit_test(any_number_will_do_for_a_slot),
		cmocka_unit_test(putting_twice_is_refused),
		cmocka_unit_test(putting_what_is_partly_free_is_refused),
		cmocka_unit_test(small_and_huge_are_not_put_as_each_other),
		cmocka_unit_test(what_was_got_is_put_in_smaller_pieces),
		cmocka_unit_test(children_are_there_once_added),
		cmocka_unit_test(children_go_when_all_is_free),
		cmocka_unit_test(a_child_goes_of_which_nothing_is_free),
		cmocka_unit_test(a_child_may_be_added_in_part),
		cmocka_unit_test(near_nodes_are_asked_before_far_ones),
		cmocka_unit_test(draining_makes_claimed_children_whole),
		cmocka_unit_test(slots_do_not_meet_while_there_is_room),
		cmocka_unit_test(free_frames_of_a_child_are_told),
		cmocka_unit_test(figures_are_as_counted_by_hand),
		cmocka_unit_test(all_that_is_in_use_is_found_in_turn),
		cmocka_unit_test(faults_are_found),
		cmocka_unit_test(huge_frames_stay_whole_in_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
