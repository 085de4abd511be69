// SPDX-License-Identifier: GPL-2.0
/*
 * Media: what formatting makes, what a header may say, and what is left after a crash.
 *
 * A crash is played by leaving a host's view of the words, with all that its slots had
 * claimed, and making another.  Where a test writes into words, it does as a crash, or
 * somebody hostile, might have left them.
 */
#include "media.h"
#include "sign.h"
#include "word.h"

/* What frames_check() says of a header, in so many bytes of which only the first 64 exist. */
static int check(struct frames_header header, uint64_t size)
{
	struct frames_header *line = aligned_alloc(FRAMES_LINE, sizeof(header)), copy;
	int status;

	assert_non_null(line);
	*line = header;
	status = frames_check(line, size, &copy);
	if (!status)
		assert_memory_equal(&copy, &header, sizeof(header));
	free(line);
	return status;
}

/* Fails if a field is not filled, or the parts of the medium overlap or do not fit. */
static void a_header_describes_its_medium(void **state)
{
	struct medium *m = new_medium();
	const struct frames_header *h = &m->header;
	size_t words = frames_words_size(h->nr_frames);

	assert_memory_equal(h, m->at, sizeof(*h));
	assert_memory_equal(m->at, "morselfr", 8);
	assert_int_equal(h->magic, FRAMES_MAGIC);
	assert_int_equal(h->version, FRAMES_VERSION);
	assert_memory_equal(h->uuid, uuid, 16);
	assert_true(h->size <= SIZE);
	assert_true(h->words >= sizeof(*h) && h->words % FRAMES_LINE == 0);
	assert_true(h->first >= h->words + words && h->first % (2 * MIB) == 0);
	assert_true(h->first + h->nr_frames * FRAMES_FRAME_SIZE <= h->size);
	/* No more than what the header, the words and alignment need is lost. */
	assert_true(SIZE - h->nr_frames * FRAMES_FRAME_SIZE < 4 * MIB);
	assert_settled(&m->f, 0);
	drop_medium(m);
}

/* Fails if the checksum covers other bytes, or is another sum, than other programs expect. */
static void the_checksum_is_crc32c_of_the_line(void **state)
{
	struct medium *m = new_medium();
	struct frames_header signed_again = m->header;

	assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
	sign(&signed_again);
	assert_int_equal(m->header.checksum, signed_again.checksum);
	drop_medium(m);
}

/* Fails if formatting writes to a medium that it then refuses, or beyond its end. */
static void too_small_a_medium_is_left_alone(void **state)
{
	static const uint64_t sizes[] = {0,    1,	63,	     64,	 4095,
					 4096, 2 * MIB, 2 * MIB + 1, 4 * MIB - 1};
	size_t i, byte;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *at = aligned_alloc(4096, sizes[i] ? (sizes[i] + 4095) & -4096ULL : 4096);

		assert_non_null(at);
		memset(at, 0x77, sizes[i]);
		assert_int_equal(frames_format(at, sizes[i], uuid), -ENOSPC);
		for (byte = 0; byte < sizes[i]; byte++)
			assert_int_equal(at[byte], 0x77);
		free(at);
	}
}

/* Fails if the least medium is refused, or its one huge frame cannot be had. */
static void the_least_medium_has_one_huge_frame(void **state)
{
	uint8_t *at = aligned_alloc(4096, 4 * MIB);
	struct frames_slot slot;
	struct frames_header h;
	struct frames f;
	uint64_t frame;

	assert_non_null(at);
	assert_int_equal(frames_format(at, 4 * MIB, uuid), 0);
	assert_int_equal(frames_check(at, 4 * MIB, &h), 0);
	assert_int_equal(h.first, 2 * MIB);
	assert_int_equal(h.nr_frames, 512);
	assert_int_equal(frames_init(&f, h.nr_frames, at + h.words, &slot, 1, 1), 0);
	assert_int_equal(frames_get(&f, 0, FRAMES_HUGE_ORDER, 1, &frame), 1);
	assert_int_equal(frame, 0);
	assert_valid(&f);
	free(at);
}

/* Fails if a medium's last frames, in a child that is not full, are lost or beyond its end. */
static void media_of_all_sizes_fit(void **state)
{
	uint64_t size;
	uint8_t *at = aligned_alloc(4096, 8 * MIB);
	struct frames_header h;

	assert_non_null(at);
	for (size = 4 * MIB; size <= 8 * MIB; size += 4096 * 37 + 1) {
		assert_int_equal(frames_format(at, size, uuid), 0);
		assert_int_equal(frames_check(at, size, &h), 0);
		assert_true(h.size <= size);
		assert_true(h.first + h.nr_frames * FRAMES_FRAME_SIZE <= h.size);
		assert_int_equal(frames_check(at, h.size, &h), 0);
		assert_int_equal(frames_check(at, h.size - 1, &h), -EINVAL);
	}
	free(at);
}

/* Fails if what held frames in use keeps any of them when it is formatted again. */
static void formatting_again_frees_all(void **state)
{
	struct medium *m = new_medium();
	uint32_t i;

	for (i = 0; i < 90; i++)
		get(m, i % 10);
	assert_int_equal(frames_format(m->at, SIZE, uuid), 0);
	open_as(m, 2);
	assert_settled(&m->f, 0);
	drop_medium(m);
}

/* Fails if memory without the magic number is taken for a medium. */
static void no_magic_is_no_medium(void **state)
{
	struct medium *m = new_medium();
	struct frames_header h = m->header;
	int bit;

	for (bit = 0; bit < 64; bit++) {
		h.magic = FRAMES_MAGIC ^ 1ULL << bit;
		assert_int_equal(check(h, SIZE), -ENODATA);
	}
	memset(&h, 0, sizeof(h));
	assert_int_equal(check(h, SIZE), -ENODATA);
	memset(&h, 0xff, sizeof(h));
	assert_int_equal(check(h, SIZE), -ENODATA);
	drop_medium(m);
}

/* Fails if the rest of a later version's header is believed. */
static void a_later_version_is_said_to_be_one(void **state)
{
	struct medium *m = new_medium();
	struct frames_header h = m->header;

	h.version = FRAMES_VERSION + 1;
	sign(&h);
	assert_int_equal(check(h, SIZE), -EPROTONOSUPPORT);
	h.version = UINT32_MAX;
	sign(&h);
	assert_int_equal(check(h, SIZE), -EPROTONOSUPPORT);
	h.version = 0;
	sign(&h);
	assert_int_not_equal(check(h, SIZE), 0);
	drop_medium(m);
}

/* Fails if there is a bit in the line that the checksum does not cover. */
static void any_bit_changed_is_noticed(void **state)
{
	struct medium *m = new_medium();
	struct frames_header h;
	unsigned int bit;

	for (bit = 8 * sizeof(h.magic); bit < 8 * sizeof(h); bit++) {
		h = m->header;
		((uint8_t *)&h)[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(check(h, SIZE), -EBADMSG);
	}
	drop_medium(m);
}

/* Fails if a signed header can name bytes that are not the medium's. */
static void what_cannot_be_is_refused(void **state)
{
#define FIELD(name, value)                                         \
	{                                                          \
		offsetof(struct frames_header, name), #name, value \
	}
	struct medium *m = new_medium();
	const struct frames_header *good = &m->header;
	const struct {
		size_t offset;
		const char *name;
		uint64_t value;
	} cases[] = {
		FIELD(size, 0),
		FIELD(size, 64),
		FIELD(size, good->first),
		FIELD(size, good->first + good->nr_frames * FRAMES_FRAME_SIZE - 1),
		FIELD(size, SIZE + 1),
		FIELD(size, UINT64_MAX),
		FIELD(words, 0),
		FIELD(words, 32),
		FIELD(words, good->words + 1),
		FIELD(words, good->words + 8),
		FIELD(words, good->first),
		FIELD(words, good->first - 64),
		FIELD(words, SIZE),
		FIELD(words, -64ULL),
		FIELD(words, 1ULL << 63),
		FIELD(first, 0),
		FIELD(first, good->words),
		FIELD(first, good->first + 4096),
		FIELD(first, good->first - 4096),
		FIELD(first, good->first + 2 * MIB),
		FIELD(first, 1ULL << 63),
		FIELD(first, -(2 * MIB)),
		FIELD(nr_frames, 0),
		FIELD(nr_frames, SIZE / FRAMES_FRAME_SIZE),
		FIELD(nr_frames, 1ULL << 32),
		FIELD(nr_frames, 1ULL << 40),
		FIELD(nr_frames, 1ULL << 52),
		FIELD(nr_frames, (1ULL << 52) + good->nr_frames),
		FIELD(nr_frames, UINT64_MAX),
	};
#undef FIELD
	size_t i;

	assert_int_equal(check(*good, SIZE), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct frames_header h = *good;

		memcpy((uint8_t *)&h + cases[i].offset, &cases[i].value, 8);
		sign(&h);
		if (check(h, SIZE) != -EINVAL)
			fail_msg("%s may be %#" PRIx64, cases[i].name, cases[i].value);
	}
	drop_medium(m);
}

/* Fails if a medium of which the end is missing is taken, or one with more behind it is not. */
static void a_medium_cut_short_is_refused(void **state)
{
	struct medium *m = new_medium();
	uint64_t size = m->header.size;

	assert_int_equal(check(m->header, size), 0);
	assert_int_equal(check(m->header, size + 1), 0);
	assert_int_equal(check(m->header, UINT64_MAX), 0);
	assert_int_equal(check(m->header, size - 1), -EINVAL);
	assert_int_equal(check(m->header, m->header.first), -EINVAL);
	assert_int_equal(check(m->header, m->header.words), -EINVAL);
	assert_int_equal(check(m->header, sizeof(m->header)), -EINVAL);
	drop_medium(m);
}

/* Fails if recovery without owners frees something, or leaves a claim. */
static void without_owners_all_stays(void **state)
{
	struct medium *m = new_medium();
	uint64_t frame, used = 0;
	uint32_t order;
	uint8_t *before;

	for (order = 0; order <= 11; order++) {
		get(m, order);
		used += 1ULL << order;
	}
	before = malloc(m->f.nr_frames);
	assert_non_null(before);
	for (frame = 0; frame < m->f.nr_frames; frame++)
		before[frame] = frames_in_use(&m->f, frame);

	open_as(m, 1);
	assert_int_equal(frames_recover(&m->f, NULL), 0);
	assert_settled(&m->f, used);
	for (frame = 0; frame < m->f.nr_frames; frame++)
		assert_int_equal(frames_in_use(&m->f, frame), before[frame]);
	free(before);
	drop_medium(m);
}

/* Fails if a frame in flight leaks, an owner's frame is freed, or the count is wrong. */
static void frames_without_owner_are_given_back(void **state)
{
	struct medium *m = new_medium();
	uint64_t mine[12], lost[12], frame;
	uint32_t order, i;

	for (order = 0; order <= 11; order++) {
		mine[order] = get(m, order);
		lost[order] = get(m, order);
	}
	open_as(m, 1);
	for (order = 0; order <= 11; order++)
		keep(m, mine[order], order);
	assert_int_equal(frames_recover(&m->f, m->kept), (1 << 12) - 1);
	assert_settled(&m->f, (1 << 12) - 1);
	for (order = 0; order <= 11; order++)
		for (i = 0; i < 1U << order; i++) {
			assert_true(frames_in_use(&m->f, mine[order] + i));
			assert_false(frames_in_use(&m->f, lost[order] + i));
		}
	/* What is owned can be put, as what it is, and then all is free. */
	for (order = 0; order <= 11; order++)
		assert_int_equal(frames_put(&m->f, 0, order, 1, &mine[order]), 0);
	frames_drain(&m->f);
	assert_settled(&m->f, 0);
	assert_int_equal(frames_get(&m->f, 0, 0, 1, &frame), 1);
	drop_medium(m);
}

/* Fails if a medium of which nobody owns anything is not empty afterwards. */
static void with_no_owner_at_all_everything_is_free(void **state)
{
	struct medium *m = new_medium();
	uint32_t i;

	for (i = 0; i < 90; i++)
		get(m, i % 9);
	get(m, 9);
	get(m, 10);
	open_as(m, 1);
	assert_int_equal(frames_recover(&m->f, m->kept), 10 * 511 + 512 + 1024);
	assert_settled(&m->f, 0);
	drop_medium(m);
}

/* Fails if frames that are not there, or that nobody got, can have an owner. */
static void keeping_what_was_not_got_is_refused(void **state)
{
	struct medium *m = new_medium();
	uint64_t nr = m->f.nr_frames, frame = 5000;
	uint32_t order;

	assert_int_equal(frames_get_at(&m->f, frame, 0), 0);
	open_as(m, 1);
	assert_int_equal(frames_keep(&m->f, m->kept, nr, 0), -EINVAL);
	assert_int_equal(frames_keep(&m->f, m->kept, UINT64_MAX, 0), -EINVAL);
	assert_int_equal(frames_keep(&m->f, m->kept, 1ULL << 63, 9), -EINVAL);
	assert_int_equal(frames_keep(&m->f, m->kept, 0, FRAMES_GIB_ORDER), -EINVAL);
	assert_int_equal(frames_keep(&m->f, m->kept, 0, FRAMES_GIB_ORDER + 1), -EINVAL);
	assert_int_equal(frames_keep(&m->f, m->kept, 0, 64), -EINVAL);
	assert_int_equal(frames_keep(&m->f, m->kept, 0, UINT32_MAX), -EINVAL);
	for (order = 1; order <= 10; order++)
		assert_int_equal(frames_keep(&m->f, m->kept, 1, order), -EINVAL);
	for (order = 0; order <= 13; order++)
		assert_int_equal(frames_keep(&m->f, m->kept, 0, order), -ENOENT);
	/* In use as a frame of its own: it is no huge one, nor are its neighbours in use. */
	assert_int_equal(frames_keep(&m->f, m->kept, frame & -512ULL, 9), -ENOENT);
	assert_int_equal(frames_keep(&m->f, m->kept, frame & -2ULL, 1), -ENOENT);
	assert_int_equal(frames_keep(&m->f, m->kept, frame & -256ULL, 8), -ENOENT);
	keep(m, frame, 0);
	assert_int_equal(frames_recover(&m->f, m->kept), 0);
	assert_settled(&m->f, 1);
	drop_medium(m);
}

/* Fails if two may own a frame, at any overlap of any two orders. */
static void a_frame_has_one_owner(void **state)
{
	struct medium *m = new_medium();
	uint64_t small = get(m, 8), huge, end;
	uint32_t order, other;

	assert_int_equal(frames_get(&m->f, 1, 11, 1, &huge), 1);
	for (order = 0; order <= 8; order++)
		for (other = 0; other <= 8; other++) {
			open_as(m, 1);
			end = small + (1 << (order > other ? order : other));
			keep(m, end - (1 << order), order);
			assert_int_equal(frames_keep(&m->f, m->kept, end - (1 << other), other),
					 -EEXIST);
		}
	for (order = 9; order <= 11; order++)
		for (other = 9; other <= 11; other++) {
			open_as(m, 1);
			end = huge + (1 << (order > other ? order : other));
			keep(m, end - (1 << order), order);
			assert_int_equal(frames_keep(&m->f, m->kept, end - (1 << other), other),
					 -EEXIST);
		}
	drop_medium(m);
}

/* Fails if pieces of what was got cannot each have their owner. */
static void pieces_have_owners_of_their_own(void **state)
{
	struct medium *m = new_medium();
	uint64_t small = get(m, 8), huge;
	uint32_t i;

	assert_int_equal(frames_get(&m->f, 1, 11, 1, &huge), 1);
	open_as(m, 1);
	for (i = 0; i < 256; i += 2)
		keep(m, small + i, 0);
	keep(m, huge, 9);
	keep(m, huge + 1024, 10);
	assert_int_equal(frames_recover(&m->f, m->kept), 128 + 512);
	assert_settled(&m->f, 128 + 3 * 512);
	for (i = 0; i < 256; i++)
		assert_int_equal(frames_in_use(&m->f, small + i), i % 2 == 0);
	assert_true(frames_in_use(&m->f, huge));
	assert_false(frames_in_use(&m->f, huge + 512));
	assert_true(frames_in_use(&m->f, huge + 1024) && frames_in_use(&m->f, huge + 1536));
	drop_medium(m);
}

/* Fails if what frames_keep() remembers is more than frames_kept_size(). */
static void the_last_frames_can_be_kept(void **state)
{
	struct medium *m = new_medium();
	uint64_t last = m->f.nr_frames - 1, huge = m->f.nr_frames / 512 * 512 - 512;

	if (last / 512 == huge / 512)
		huge -= 512;
	assert_int_equal(frames_get_at(&m->f, last, 0), 0);
	assert_int_equal(frames_get_at(&m->f, huge, 9), 0);
	open_as(m, 1);
	keep(m, last, 0);
	keep(m, huge, 9);
	assert_int_equal(frames_recover(&m->f, m->kept), 0);
	assert_settled(&m->f, 513);
	drop_medium(m);
}

/* Fails if a second recovery finds something to do. */
static void recovering_again_changes_nothing(void **state)
{
	struct medium *m = new_medium();
	size_t size = frames_words_size(m->f.nr_frames);
	uint8_t *words = malloc(size);
	uint64_t mine = get(m, 4);

	assert_non_null(words);
	get(m, 5);
	get(m, 9);
	open_as(m, 1);
	keep(m, mine, 4);
	assert_int_equal(frames_recover(&m->f, m->kept), 32 + 512);
	memcpy(words, m->at + m->header.words, size);

	open_as(m, 1);
	keep(m, mine, 4);
	assert_int_equal(frames_recover(&m->f, m->kept), 0);
	assert_memory_equal(words, m->at + m->header.words, size);
	open_as(m, 1);
	assert_int_equal(frames_recover(&m->f, NULL), 0);
	assert_memory_equal(words, m->at + m->header.words, size);
	assert_settled(&m->f, 16);
	free(words);
	drop_medium(m);
}

/*
 * A recovery that a crash cut short has left some lines as they were, and some as they will
 * be.  Fails if what another makes of that is not what the first would have.
 */
static void a_recovery_cut_short_is_done_again(void **state)
{
	struct medium *m = new_medium();
	size_t size = frames_words_size(m->f.nr_frames), line;
	uint8_t *before = malloc(size), *after = malloc(size), *words = m->at + m->header.words;
	uint64_t random = rnd_stream(__func__, 0), mine[40];
	uint32_t i, round;

	assert_true(before && after);
	for (i = 0; i < ARRAY_SIZE(mine); i++) {
		mine[i] = get(m, i % 11);
		get(m, (i + 5) % 10);
	}
	memcpy(before, words, size);
	for (round = 0; round < 60; round++) {
		open_as(m, 1);
		for (i = 0; i < ARRAY_SIZE(mine); i++)
			keep(m, mine[i], i % 11);
		frames_recover(&m->f, m->kept);
		assert_valid(&m->f);
		if (!round)
			memcpy(after, words, size);
		assert_memory_equal(words, after, size);
		for (line = 0; line < size; line += FRAMES_LINE)
			memcpy(words + line, (rnd(&random) & 1 ? before : after) + line,
			       FRAMES_LINE);
	}
	free(before);
	free(after);
	drop_medium(m);
}

#define CLAIMING_HOSTS 8U /* or the children are all claimed */

/* Fails if a claim or reservation of any host, dead or not, survives. */
static void no_hosts_claim_survives(void **state)
{
	struct medium *m = new_medium();
	uint64_t frames[64], all, got;
	uint32_t host, i;

	for (host = 1; host <= CLAIMING_HOSTS; host++) {
		open_as(m, host);
		for (i = 0; i < SLOTS; i++)
			assert_int_equal(frames_get(&m->f, i, 0, 2, frames), 2);
	}
	open_as(m, 7);
	assert_int_equal(frames_recover(&m->f, NULL), 0);
	assert_settled(&m->f, CLAIMING_HOSTS * SLOTS * 2);
	for (i = 0; i < m->f.nr_children; i++)
		assert_int_equal(child_host(m->f.children[i]), 0);
	for (i = 0; i < m->f.nr_trees; i++)
		assert_int_equal(tree_host(m->f.trees[i]), 0);
	/* Any host gets all the rest. */
	open_as(m, 9);
	all = m->f.nr_frames - CLAIMING_HOSTS * SLOTS * 2;
	while ((got = frames_get(&m->f, 1, 0, 64, frames)))
		all -= got;
	assert_int_equal(all, 0);
	drop_medium(m);
}

/*
 * A huge frame was got where small ones were put shortly before, which a power cut undid.
 * Fails if their bits survive beside the flag, or count as given back twice.
 */
static void a_huge_frame_kept_over_stale_bits_is_huge(void **state)
{
	struct medium *m = new_medium();
	uint64_t huge = get(m, 9);
	uint32_t child = (uint32_t)(huge / FRAMES_PER_CHILD);

	m->f.bits[child * WORDS_PER_CHILD] = 0xff;
	m->f.bits[child * WORDS_PER_CHILD + 7] = 1ULL << 63;
	open_as(m, 1);
	keep(m, huge, 9);
	assert_int_equal(frames_keep(&m->f, m->kept, huge, 0), -EEXIST);
	frames_recover(&m->f, m->kept);
	assert_settled(&m->f, 512);
	assert_int_equal(frames_put(&m->f, 0, 9, 1, &huge), 0);
	assert_settled(&m->f, 0);
	drop_medium(m);
}

/*
 * Small frames were got where a huge one was put shortly before, which a power cut undid.
 * Fails if the flag survives beside them.
 */
static void small_frames_kept_under_a_stale_flag_are_small(void **state)
{
	struct medium *m = new_medium();
	uint64_t huge = get(m, 9), small = huge + 64;
	uint32_t child = (uint32_t)(huge / FRAMES_PER_CHILD);

	m->f.bits[child * WORDS_PER_CHILD + 1] = 0xff;
	open_as(m, 1);
	keep(m, small, 2);
	assert_int_equal(frames_keep(&m->f, m->kept, huge, 9), -EEXIST);
	assert_int_equal(frames_recover(&m->f, m->kept), 4);
	assert_settled(&m->f, 4);
	assert_int_equal(frames_put(&m->f, 0, 9, 1, &huge), -ENOENT);
	assert_int_equal(frames_put(&m->f, 0, 2, 1, &small), 0);
	frames_drain(&m->f);
	assert_settled(&m->f, 0);
	drop_medium(m);
}

/* Fails if the flag and the bits, both there and owned by nobody, are not both cleared. */
static void a_flag_and_bits_without_owner_both_go(void **state)
{
	struct medium *m = new_medium();
	uint64_t huge = get(m, 9);

	m->f.bits[huge / FRAMES_PER_WORD + 3] = 0xf0f0;
	open_as(m, 1);
	frames_recover(&m->f, m->kept);
	assert_settled(&m->f, 0);
	drop_medium(m);
}

/* Without owners, the flag and the bits: one must win, and it is the flag. */
static void without_owners_the_flag_wins_over_bits(void **state)
{
	struct medium *m = new_medium();
	uint64_t huge = get(m, 9);

	m->f.bits[huge / FRAMES_PER_WORD + 3] = 0xf0f0;
	open_as(m, 1);
	assert_int_equal(frames_recover(&m->f, NULL), 0);
	assert_settled(&m->f, 512);
	drop_medium(m);
}

/* Fails if a count, a host or a tree's bits are believed: only bits and flags may be. */
static void counts_are_made_of_bits(void **state)
{
	struct medium *m = new_medium();
	uint64_t random = rnd_stream(__func__, 0);
	uint32_t i, round;

	for (i = 0; i < 40; i++)
		get(m, i % 8);
	get(m, 9);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < m->f.nr_children; i++)
			if (m->f.children[i] != CHILD_HUGE)
				m->f.children[i] = (uint16_t)rnd(&random) & (uint16_t)~CHILD_HUGE;
		for (i = 0; i < m->f.nr_trees; i++)
			m->f.trees[i] = (uint32_t)rnd(&random);
		open_as(m, 1 + round % FRAMES_HOSTS);
		assert_int_equal(frames_recover(&m->f, NULL), 0);
		assert_settled(&m->f, 5 * 255 + 512);
	}
	drop_medium(m);
}

/* Fails if any words at all can be such that what is recovered does not agree. */
static void of_any_words_an_allocator_is_made(void **state)
{
	struct medium *m = new_medium();
	size_t size = frames_words_size(m->f.nr_frames), i;
	uint64_t random = rnd_stream(__func__, 0), frames[600], got, used, frame;
	uint8_t *words = m->at + m->header.words;
	uint32_t round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < size; i++)
			words[i] = (uint8_t)(rnd(&random) | (round & 1 ? rnd(&random) : 0));
		open_as(m, 3);
		for (i = 0, used = 0; round & 2 && i < 3000; i++)
			used += !frames_keep(&m->f, m->kept, rnd_below(&random, m->f.nr_frames), 0);
		frames_recover(&m->f, round & 2 ? m->kept : NULL);
		if (!(round & 2))
			used = nr_used(&m->f);
		assert_settled(&m->f, used);
		/* To the last frame, all that is free can be had. */
		while ((got = frames_get(&m->f, round % SLOTS, 0, ARRAY_SIZE(frames), frames)))
			used += got;
		assert_int_equal(used, m->f.nr_frames);
		for (frame = 0; frame < m->f.nr_frames; frame++)
			assert_true(frames_in_use(&m->f, frame));
	}
	drop_medium(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_describes_its_medium),
		cmocka_unit_test(the_checksum_is_crc32c_of_the_line),
		cmocka_unit_test(too_small_a_medium_is_left_alone),
		cmocka_unit_test(the_least_medium_has_one_huge_frame),
		cmocka_unit_test(media_of_all_sizes_fit),
		cmocka_unit_test(formatting_again_frees_all),
		cmocka_unit_test(no_magic_is_no_medium),
		cmocka_unit_test(a_later_version_is_said_to_be_one),
		cmocka_unit_test(any_bit_changed_is_noticed),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(a_medium_cut_short_is_refused),
		cmocka_unit_test(without_owners_all_stays),
		cmocka_unit_test(frames_without_owner_are_given_back),
		cmocka_unit_test(with_no_owner_at_all_everything_is_free),
		cmocka_unit_test(keeping_what_was_not_got_is_refused),
		cmocka_unit_test(a_frame_has_one_owner),
		cmocka_unit_test(pieces_have_owners_of_their_own),
		cmocka_unit_test(the_last_frames_can_be_kept),
		cmocka_unit_test(recovering_again_changes_nothing),
		cmocka_unit_test(a_recovery_cut_short_is_done_again),
		cmocka_unit_test(no_hosts_claim_survives),
		cmocka_unit_test(a_huge_frame_kept_over_stale_bits_is_huge),
		cmocka_unit_test(small_frames_kept_under_a_stale_flag_are_small),
		cmocka_unit_test(a_flag_and_bits_without_owner_both_go),
		cmocka_unit_test(without_owners_the_flag_wins_over_bits),
		cmocka_unit_test(counts_are_made_of_bits),
		cmocka_unit_test(of_any_words_an_allocator_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
