// SPDX-License-Identifier: GPL-2.0
/*
 * The power goes, at any store: whatever that leaves on the medium, recovery finds what
 * is owned, and gives all else back.
 *
 * The owners are a table behind the medium, which stands for the morsels' page tables,
 * and is written as these are: an entry is made durable after frames_get(), and
 * cleared durably before frames_put().  See cuts.h for what is taken for granted, and
 * what is tried.  The last tests leave flushes out and swap stores, and want to be told.
 */
#include "lab.h"

static void record_run(struct lab *lab, struct record *record, uint64_t stream, unsigned int nr)
{
	struct run run;

	run_new(&run, lab, stream);
	record_begin(record, &lab->layout, lab->live);
	do_things(&run, nr);
	record_end();
	assert_done(&run);
}

/* Fails if a flush is missing in frames_get(), or recovery trusts what it may not. */
static void a_run_can_be_cut_anywhere(void **state)
{
	static const uint64_t sizes[] = {
		2 * MIB + 3 * 2 * MIB + FRAMES(100),
		2 * MIB + 2 * 2 * MIB,
		2 * MIB + 11 * 2 * MIB + FRAMES(1),
	};
	struct record record;
	struct lab lab;
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		lab_open(&lab, sizes[i % ARRAY_SIZE(sizes)]);
		record_run(&lab, &record, i, 80);
		assert_survives(&lab, &record);
		record_drop(&record);
		lab_close(&lab);
	}
}

/*
 * Children are huge frames, then small ones, then huge again, and no put is written back:
 * flags and bits of several lives are on the medium together.  Fails if recovery
 * believes an old flag, or old bits.
 */
static void a_child_can_be_cut_in_any_of_its_lives(void **state)
{
	static const struct {
		uint64_t frame;
		uint32_t order;
	} lives[] = {
		{0, 9}, {0, 0},	  {511, 0}, {256, 8}, {0, 9},  {0, 10},	  {512, 6},
		{0, 9}, {128, 7}, {0, 9},   {512, 9}, {0, 10}, {1023, 0}, {0, 9},
		{5, 0}, {512, 9}, {0, 10},  {0, 8},   {0, 9},
	};
	struct record record;
	struct run run;
	struct lab lab;
	size_t i;

	lab_open(&lab, 2 * MIB + 2 * 2 * MIB);
	run_new(&run, &lab, 0);
	record_begin(&record, &lab.layout, lab.live);
	for (i = 0; i < ARRAY_SIZE(lives); i++) {
		if (!get_at(&run, lives[i].frame, lives[i].order))
			fail_msg("life %zu cannot begin", i);
		put_all(&run, &run.owners, 1);
	}
	record_end();
	assert_done(&run);
	assert_survives(&lab, &record);
	record_drop(&record);
	lab_close(&lab);
}

/*
 * Huge runs lie in several lines, of which some are written back and others not yet.
 * Fails if a part of a run is taken for the run, or is not given back.
 */
static void a_run_of_many_lines_can_be_cut_anywhere(void **state)
{
	static const uint32_t orders[] = {15, 9, 12, 15, 11, 14, 10, 15, 13};
	struct record record;
	struct run run;
	struct lab lab;
	uint64_t got[NR_OWNERS];
	size_t i;

	lab_open(&lab, 2 * MIB + 70 * 2 * MIB);
	run_new(&run, &lab, 0);
	record_begin(&record, &lab.layout, lab.live);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		uint32_t nr = frames_get(&run.f, 0, orders[i], 3, got);

		assert_true(nr);
		own(&run, 0, nr, got, orders[i], orders[i]);
		assert_true(get_at(&run, FRAMES_PER_CHILD * 70 - 1 - i, 0));
		put_all(&run, &run.owners, 1);
		frames_drain(&run.f);
	}
	record_end();
	assert_done(&run);
	assert_survives(&lab, &record);
	record_drop(&record);
	lab_close(&lab);
}

/* Who has no owners to ask, has what is owned, at least; and counts that are right. */
static const char *check_without_owners(void *arg, uint8_t *medium)
{
	const struct lab *lab = arg;
	struct run run;
	const char *found = run_open(&run, lab, medium);
	uint64_t total, frame, used = 0, *map;

	if (found)
		return found;
	frames_recover(&run.f, NULL);
	map = map_owned(&run.f, &run.owners, &total);
	for (frame = 0; frame < run.f.nr_frames; frame++) {
		if (marked(map, frame) && !frames_in_use(&run.f, frame))
			found = fault("frame %" PRIu64 " is owned, and free", frame);
		if (!frames_in_use(&run.f, frame))
			continue;
		mark(map, frame);
		used++;
	}
	if (!found)
		found = check_counts(&run.f, used);
	if (!found)
		found = check_free(&run.f, map, used);
	free(map);
	return found;
}

/* Fails if recovery without owners frees what one has. */
static void recovery_without_owners_frees_nothing_owned(void **state)
{
	uint64_t nr_media = 0;
	struct record record;
	struct lab lab;
	const char *found;

	lab_open(&lab, 2 * MIB + 3 * 2 * MIB + FRAMES(100));
	record_run(&lab, &record, 0, 120);
	found = explore(&lab, &record, lab.cut, check_without_owners, &lab, &nr_media);
	report(&record, nr_media);
	if (found)
		fail_msg("%s", found);
	record_drop(&record);
	lab_close(&lab);
}

/**
 * struct recovery - recoveries that are cut themselves
 * @lab:	where
 * @rng:	what is random
 * @one_in:	of how many media one is recovered so
 * @then:	how many things are done after it, before the cut
 * @nr:		how many recoveries were cut
 * @nr_media:	how many media they left
 */
struct recovery {
	struct lab *lab;
	uint64_t rng;
	uint32_t one_in, then;
	uint64_t nr, nr_media;
};

static const char *check_recovery(void *arg, uint8_t *medium)
{
	struct recovery *recovery = arg;
	struct lab *lab = recovery->lab;
	struct record record;
	struct run run;
	uint64_t given;
	const char *found;

	if (rnd_below(&recovery->rng, recovery->one_in))
		return NULL;
	record_begin(&record, &lab->layout, medium);
	found = run_open(&run, lab, medium);
	if (!found)
		found = recover_owned(&run.f, &run.owners, &given);
	run.rng = rnd(&recovery->rng);
	if (!found)
		do_things(&run, recovery->then);
	record_end();
	if (!found)
		found = run.failed;
	recovery->nr++;
	if (!found)
		found = explore(lab, &record, lab->again, check_cut, lab, &recovery->nr_media);
	record_drop(&record);
	return found;
}

static void cut_recoveries(uint32_t one_in, uint32_t then)
{
	struct lab lab;
	struct recovery recovery = {
		.lab = &lab,
		.rng = rnd_stream("recovery", then),
		.one_in = one_in,
		.then = then,
	};
	struct record record;
	uint64_t nr_media = 0;
	const char *found;

	lab_open(&lab, 2 * MIB + 3 * 2 * MIB + FRAMES(100));
	record_run(&lab, &record, 17, 120);
	found = explore(&lab, &record, lab.cut, check_recovery, &recovery, &nr_media);
	print_message("# %" PRIu64 " recoveries, %" PRIu64 " media\n", recovery.nr,
		      recovery.nr_media);
	if (found)
		fail_msg("%s", found);
	assert_true(recovery.nr > 20);
	record_drop(&record);
	lab_close(&lab);
}

/* Fails if recovery needs anything to be as the first cut left it. */
static void recovery_can_be_cut_anywhere(void **state)
{
	cut_recoveries(40, 0);
}

/* What recovery stored need not be on the medium, either, when others go on and are cut. */
static void a_run_after_recovery_can_be_cut_anywhere(void **state)
{
	cut_recoveries(700, 8);
}

/**
 * struct formatting - a medium that is made where there was something else
 * @lab:	where
 * @old:	image of what there was
 * @fresh:	image of what is made
 * @nr_old:	how often a cut left what there was
 * @nr_none:	how often none
 * @nr_new:	how often what is made
 */
struct formatting {
	struct lab *lab;
	uint8_t old[MAX_HEAD], fresh[MAX_HEAD];
	uint64_t nr_old, nr_none, nr_new;
};

/* All is free, and there is nothing to recover. */
static const char *check_fresh(const struct lab *lab, uint8_t *medium)
{
	static const struct owners nobody;
	struct run run;
	const char *found = run_open(&run, lab, medium);

	return found ? found : check_owned(&run.f, &nobody);
}

static const char *check_format(void *arg, uint8_t *medium)
{
	struct formatting *formatting = arg;
	struct frames_header header;
	int error = frames_check(medium, formatting->lab->size, &header);

	if (error == -ENODATA) {
		formatting->nr_none++;
		return NULL;
	}
	if (error)
		return fault("a medium that was never complete: %s", strerror(-error));
	if (!memcmp(header.uuid, uuid, sizeof(header.uuid))) {
		formatting->nr_new++;
		if (memcmp(medium, formatting->fresh,
			   header.words + frames_words_size(header.nr_frames)))
			return "the new medium is half made";
		return check_fresh(formatting->lab, medium);
	}
	formatting->nr_old++;
	if (memcmp(medium, formatting->old, formatting->lab->layout.head))
		return "of the old medium some is lost";
	return check_cut(formatting->lab, medium);
}

/* Format what is there, as if it were of @size bytes. */
static void record_format(struct formatting *formatting, struct record *record, uint64_t size)
{
	struct lab *lab = formatting->lab;

	memcpy(formatting->old, lab->live, lab->layout.head);
	record_begin(record, &lab->layout, lab->live);
	assert_int_equal(frames_format(lab->live, size, uuid), 0);
	record_end();
	memcpy(formatting->fresh, lab->live, lab->layout.head);
}

static void assert_format_survives(struct formatting *formatting, struct record *record)
{
	uint64_t nr_media = 0;
	const char *found = explore(formatting->lab, record, formatting->lab->cut, check_format,
				    formatting, &nr_media);

	report(record, nr_media);
	if (found)
		fail_msg("%s", found);
	assert_true(formatting->nr_none && formatting->nr_new);
}

/* Fails if the magic number can be there before all else is. */
static void formatting_a_fresh_medium_can_be_cut_anywhere(void **state)
{
	static const uint8_t before[] = {0, 0xff, 0xa5};
	struct formatting formatting;
	struct record record;
	struct lab lab;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(before); i++) {
		lab_open(&lab, 2 * MIB + 11 * 2 * MIB + FRAMES(30));
		memset(lab.live, before[i], lab.layout.head);
		formatting = (struct formatting){.lab = &lab};
		record_format(&formatting, &record, lab.size);
		assert_format_survives(&formatting, &record);
		record_drop(&record);
		lab_close(&lab);
	}
}

/* A medium with an old name, and frames that are owned. */
static void make_old(struct lab *lab)
{
	struct run run;

	assert_int_equal(frames_format(lab->live, lab->size, old_uuid), 0);
	assert_null(run_open(&run, lab, lab->live));
	run.rng = rnd_stream("old", 0);
	do_things(&run, 60);
	assert_done(&run);
}

/* Fails if the old header outlives a word of the old medium. */
static void formatting_an_old_medium_can_be_cut_anywhere(void **state)
{
	static const uint64_t children[] = {11, 5, 1};
	struct formatting formatting;
	struct record record;
	struct lab lab;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(children); i++) {
		lab_open(&lab, 2 * MIB + 11 * 2 * MIB + FRAMES(30));
		make_old(&lab);
		formatting = (struct formatting){.lab = &lab};
		record_format(&formatting, &record, 2 * MIB + children[i] * 2 * MIB);
		assert_format_survives(&formatting, &record);
		assert_true(formatting.nr_old);
		record_drop(&record);
		lab_close(&lab);
	}
}

/* From here on, things are broken that must be noticed. */

static struct record copy_of(const struct record *record)
{
	struct record copy = *record;

	copy.before = zeroed(1, image_size(record->layout));
	memcpy(copy.before, record->before, image_size(record->layout));
	copy.events = zeroed(record->nr, sizeof(*copy.events));
	memcpy(copy.events, record->events, record->nr * sizeof(*copy.events));
	return copy;
}

/* Leave out the flushes of a range, or the fences that follow right after these. */
static size_t leave_out(struct record *record, size_t from, size_t to, enum event_kind kind)
{
	size_t i, left = 0, nr_out = 0;
	bool within = false;

	for (i = 0; i < record->nr; i++) {
		struct event event = record->events[i];
		bool was_within = within;

		within = event.kind == FLUSH && event.at < to && event.at + event.size > from;
		if (kind == FLUSH ? within : was_within && event.kind == FENCE)
			nr_out++;
		else
			record->events[left++] = event;
	}
	record->nr = left;
	return nr_out;
}

static void assert_noticed(struct lab *lab, struct record *record,
			   const char *(*check)(void *arg, uint8_t *medium), void *arg)
{
	uint64_t nr_media = 0;
	const char *found = explore(lab, record, lab->cut, check, arg, &nr_media);

	assert_non_null(found);
	print_message("# noticed at medium %" PRIu64 ": %s\n", nr_media, found);
	record_drop(record);
}

/* Is what a flush writes back flushed again before the next fence? */
static bool is_repeated(const struct record *record, size_t flush)
{
	size_t line = record->events[flush].at / FRAMES_LINE, i;

	for (i = flush + 1; i < record->nr && record->events[i].kind != FENCE; i++)
		if (record->events[i].kind == FLUSH && record->events[i].at / FRAMES_LINE == line)
			return true;
	return false;
}

/* Cut a run without one of its flushes; from there on, as all is well before. */
static void assert_needed(struct lab *lab, const struct record *record, size_t flush)
{
	struct record broken = copy_of(record);
	struct cuts cuts = {
		.record = &broken,
		.target = lab->cut,
		.check = check_cut,
		.arg = lab,
		.rng = rnd_stream("needed", flush),
		.from = flush,
	};

	broken.nr--;
	memmove(&broken.events[flush], &broken.events[flush + 1],
		(broken.nr - flush) * sizeof(*broken.events));
	if (!cuts_explore(&cuts))
		fail_msg("the flush that is event %zu is not missed", flush);
	record_drop(&broken);
}

/* Each by itself; but where a call flushes a line several times, the last one will do. */
static void each_missing_flush_of_words_is_noticed(void **state)
{
	struct record record;
	struct lab lab;
	size_t i, needed = 0, repeated = 0;

	lab_open(&lab, 2 * MIB + 3 * 2 * MIB + FRAMES(100));
	record_run(&lab, &record, 0, 120);
	for (i = 0; i < record.nr; i++) {
		if (record.events[i].kind != FLUSH || record.events[i].at >= lab.layout.head)
			continue;
		if (is_repeated(&record, i)) {
			repeated++;
			continue;
		}
		assert_needed(&lab, &record, i);
		needed++;
	}
	print_message("# %zu flushes are needed, %zu repeat these\n", needed, repeated);
	assert_true(needed > 20);
	record_drop(&record);
	lab_close(&lab);
}

enum part { BITS, CHILDREN };

/* A run is cut whose flushes or fences of a part of the words are left out. */
static void assert_run_needs(enum part part, enum event_kind kind)
{
	struct record record, broken;
	struct lab lab;
	struct run run;
	size_t start, middle, end;

	lab_open(&lab, 2 * MIB + 3 * 2 * MIB + FRAMES(100));
	record_run(&lab, &record, 0, 120);
	assert_null(run_open(&run, &lab, lab.live));
	start = (size_t)((uint8_t *)run.f.bits - lab.live);
	middle = (size_t)((uint8_t *)run.f.children - lab.live);
	end = (size_t)((uint8_t *)run.f.trees - lab.live);
	broken = copy_of(&record);
	if (part == BITS)
		assert_true(leave_out(&broken, start, middle, kind));
	else
		assert_true(leave_out(&broken, middle, end, kind));
	assert_noticed(&lab, &broken, check_cut, &lab);
	record_drop(&record);
	lab_close(&lab);
}

static void a_missing_flush_of_bits_is_noticed(void **state)
{
	assert_run_needs(BITS, FLUSH);
}

static void a_missing_flush_of_huge_flags_is_noticed(void **state)
{
	assert_run_needs(CHILDREN, FLUSH);
}

static void a_missing_fence_after_bits_is_noticed(void **state)
{
	assert_run_needs(BITS, FENCE);
}

static void a_missing_fence_after_huge_flags_is_noticed(void **state)
{
	assert_run_needs(CHILDREN, FENCE);
}

/* The first event from @from on that stores @value at @at; or, with no value, anything. */
static size_t find_store(const struct record *record, size_t from, size_t at, const uint64_t *value)
{
	for (; from < record->nr; from++)
		if (record->events[from].kind == STORE && record->events[from].at == at &&
		    (!value || record->events[from].value == *value))
			return from;
	fail_msg("nothing is stored at %zu", at);
	return 0;
}

/* What was at @from comes at @to. */
static void move_event(struct record *record, size_t from, size_t to)
{
	struct event event = record->events[from];

	memmove(&record->events[to + 1], &record->events[to],
		(from - to) * sizeof(*record->events));
	record->events[to] = event;
}

static void swap_events(struct record *record, size_t one, size_t other)
{
	struct event event = record->events[one];

	record->events[one] = record->events[other];
	record->events[other] = event;
}

static size_t find_magic(const struct record *record)
{
	static const uint64_t magic = FRAMES_MAGIC;

	return find_store(record, 0, offsetof(struct frames_header, magic), &magic);
}

static void drop_flush_of_words(struct record *record)
{
	assert_true(leave_out(record, sizeof(struct frames_header), record->layout->head, FLUSH));
}

/* The first flush, which is that of the number that says that there is none. */
static void drop_flush_of_old_header(struct record *record)
{
	size_t i;

	for (i = 0; record->events[i].kind != FLUSH; i++)
		;
	record->events[i].kind = FENCE;
}

static void swap_magic_and_checksum(struct record *record)
{
	/* The version is in the same 8 bytes. */
	swap_events(record, find_magic(record),
		    find_store(record, 0, offsetof(struct frames_header, version), NULL));
}

static void swap_magic_and_name(struct record *record)
{
	swap_events(record, find_magic(record),
		    find_store(record, 0, offsetof(struct frames_header, uuid), NULL));
}

static void store_magic_before_fence(struct record *record)
{
	size_t magic = find_magic(record), fence = magic;

	while (record->events[fence].kind != FENCE)
		fence--;
	move_event(record, magic, fence);
}

static void store_magic_before_flush(struct record *record)
{
	size_t magic = find_magic(record), flush = magic;

	while (record->events[flush].kind != FLUSH)
		flush--;
	move_event(record, magic, flush);
}

/* Formatting is cut in which something was changed. */
static void assert_format_needs(void (*change)(struct record *record))
{
	struct formatting formatting;
	struct record record, broken;
	struct lab lab;

	lab_open(&lab, 2 * MIB + 11 * 2 * MIB + FRAMES(30));
	make_old(&lab);
	formatting = (struct formatting){.lab = &lab};
	record_format(&formatting, &record, 2 * MIB + 7 * 2 * MIB);
	broken = copy_of(&record);
	change(&broken);
	assert_noticed(&lab, &broken, check_format, &formatting);
	record_drop(&record);
	lab_close(&lab);
}

static void a_missing_flush_of_new_words_is_noticed(void **state)
{
	assert_format_needs(drop_flush_of_words);
}

static void a_missing_flush_of_the_old_header_is_noticed(void **state)
{
	assert_format_needs(drop_flush_of_old_header);
}

static void magic_before_the_checksum_is_noticed(void **state)
{
	assert_format_needs(swap_magic_and_checksum);
}

static void magic_before_the_name_is_noticed(void **state)
{
	assert_format_needs(swap_magic_and_name);
}

static void magic_before_the_fence_is_noticed(void **state)
{
	assert_format_needs(store_magic_before_fence);
}

static void magic_before_the_flush_is_noticed(void **state)
{
	assert_format_needs(store_magic_before_flush);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_can_be_cut_anywhere),
		cmocka_unit_test(a_child_can_be_cut_in_any_of_its_lives),
		cmocka_unit_test(a_run_of_many_lines_can_be_cut_anywhere),
		cmocka_unit_test(recovery_without_owners_frees_nothing_owned),
		cmocka_unit_test(recovery_can_be_cut_anywhere),
		cmocka_unit_test(a_run_after_recovery_can_be_cut_anywhere),
		cmocka_unit_test(formatting_a_fresh_medium_can_be_cut_anywhere),
		cmocka_unit_test(formatting_an_old_medium_can_be_cut_anywhere),
		cmocka_unit_test(each_missing_flush_of_words_is_noticed),
		cmocka_unit_test(a_missing_flush_of_bits_is_noticed),
		cmocka_unit_test(a_missing_flush_of_huge_flags_is_noticed),
		cmocka_unit_test(a_missing_fence_after_bits_is_noticed),
		cmocka_unit_test(a_missing_fence_after_huge_flags_is_noticed),
		cmocka_unit_test(a_missing_flush_of_new_words_is_noticed),
		cmocka_unit_test(a_missing_flush_of_the_old_header_is_noticed),
		cmocka_unit_test(magic_before_the_checksum_is_noticed),
		cmocka_unit_test(magic_before_the_name_is_noticed),
		cmocka_unit_test(magic_before_the_fence_is_noticed),
		cmocka_unit_test(magic_before_the_flush_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
