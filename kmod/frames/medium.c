// SPDX-License-Identifier: GPL-2.0
/*
 * Allocators on a medium: the header, formatting, and recovery after a crash.
 *
 * What a medium holds may be anything: of the header a copy is checked and used,
 * and of the words every one is made anew.
 */
#include "levels.h"

#define HEADER_SIZE 4096U
#define HUGE_SIZE ((uint64_t)FRAMES_PER_CHILD * FRAMES_FRAME_SIZE)

/* CRC-32C (Castagnoli), bit by bit: 64 bytes now and then. */
static uint32_t crc32c(const void *data, size_t size)
{
	const uint8_t *byte = data;
	uint32_t crc = ~0U, bit;

	while (size--) {
		crc ^= *byte++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
	}
	return ~crc;
}

static uint32_t checksum(const struct frames_header *header)
{
	struct frames_header copy = *header;

	copy.magic = 0;
	copy.checksum = 0;
	return crc32c(&copy, sizeof(copy));
}

typedef uint64_t __attribute__((may_alias)) header_word;

#define HEADER_WORDS (sizeof(struct frames_header) / sizeof(header_word))

/* All of the header but its first word, the magic number. */
static void write_header(void *medium, const struct frames_header *header)
{
	const header_word *from = (const header_word *)header;
	header_word *to = medium;
	uint32_t i;

	for (i = 1; i < HEADER_WORDS; i++)
		frames_store(&to[i], from[i]);
}

static void write_magic(void *medium, uint64_t magic)
{
	frames_store((header_word *)medium, magic);
	frames_flush(medium, sizeof(struct frames_header));
	frames_fence();
}

/* Lay a medium of @size bytes out. */
static bool lay_out(struct frames_header *header, uint64_t size)
{
	uint64_t most = size / FRAMES_FRAME_SIZE, room;

	/* Words for as many frames as there would be without them. */
	room = most ? frames_words_size(most) : 0;
	if (!room)
		return false;
	header->size = size;
	header->words = HEADER_SIZE;
	header->first = (HEADER_SIZE + room + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1);
	if (header->first + HUGE_SIZE > size)
		return false;
	header->nr_frames = (size - header->first) / FRAMES_FRAME_SIZE;
	return true;
}

int frames_format(void *medium, uint64_t size, const uint8_t uuid[16])
{
	struct frames_header header = {.magic = FRAMES_MAGIC, .version = FRAMES_VERSION};
	struct frames_slot slot;
	struct frames f;
	uint32_t i;

	if (!lay_out(&header, size))
		return -ENOSPC;
	for (i = 0; i < sizeof(header.uuid); i++)
		header.uuid[i] = uuid[i];
	header.checksum = checksum(&header);

	write_magic(medium, 0);
	frames_init(&f, header.nr_frames, (char *)medium + header.words, &slot, 1, 1);
	frames_clear(&f, true);
	write_header(medium, &header);
	frames_flush(medium, header.words + frames_words_size(header.nr_frames));
	frames_fence();
	write_magic(medium, FRAMES_MAGIC);
	return 0;
}

/* Can a medium of @size bytes be what its header says? */
static bool header_fits(const struct frames_header *header, uint64_t size)
{
	uint64_t words;

	if (header->size > size || header->first > header->size || header->first % HUGE_SIZE ||
	    header->words > header->first || header->words < HEADER_SIZE ||
	    header->words % FRAMES_LINE || !header->nr_frames)
		return false;
	words = frames_words_size(header->nr_frames);
	return words && words <= header->first - header->words &&
	       header->nr_frames <= (header->size - header->first) / FRAMES_FRAME_SIZE;
}

int frames_check(const void *medium, uint64_t size, struct frames_header *header)
{
	const header_word *from = medium;
	header_word *to = (header_word *)header;
	uint32_t i;

	if (size < sizeof(*header))
		return -ENODATA;
	for (i = 0; i < HEADER_WORDS; i++)
		to[i] = frames_load(&from[i]);
	if (header->magic != FRAMES_MAGIC)
		return -ENODATA;
	if (header->checksum != checksum(header))
		return -EBADMSG;
	if (header->version != FRAMES_VERSION)
		return -EPROTONOSUPPORT;
	return header_fits(header, size) ? 0 : -EINVAL;
}

/* Kept: the bits of all children, then one for each child that is kept as a huge frame. */

static size_t kept_words(const struct frames *f)
{
	return (size_t)f->nr_children * WORDS_PER_CHILD;
}

size_t frames_kept_size(const struct frames *f)
{
	return (kept_words(f) + (f->nr_children + FRAMES_PER_WORD - 1) / FRAMES_PER_WORD) *
	       sizeof(uint64_t);
}

static bool kept_huge(const struct frames *f, const uint64_t *kept, uint32_t child)
{
	return kept[kept_words(f) + child / FRAMES_PER_WORD] >> (child % FRAMES_PER_WORD) & 1;
}

static bool kept_small(const uint64_t *kept, uint32_t child)
{
	uint32_t word;

	for (word = 0; word < WORDS_PER_CHILD; word++)
		if (kept[(size_t)child * WORDS_PER_CHILD + word])
			return true;
	return false;
}

/* May the words of a child say that it is in use as a huge frame? */
static bool says_huge(const struct frames *f, uint32_t child)
{
	return frames_load(&f->children[child]) == CHILD_HUGE &&
	       child_frames(f, child) == FRAMES_PER_CHILD;
}

static int keep_huge(const struct frames *f, uint64_t *kept, uint32_t child, uint32_t count)
{
	uint32_t i;

	for (i = child; i < child + count; i++) {
		if (!says_huge(f, i))
			return -ENOENT;
		if (kept_huge(f, kept, i) || kept_small(kept, i))
			return -EEXIST;
	}
	for (i = child; i < child + count; i++)
		kept[kept_words(f) + i / FRAMES_PER_WORD] |= 1ULL << (i % FRAMES_PER_WORD);
	return 0;
}

int frames_keep(const struct frames *f, void *kept, uint64_t frame, uint32_t order)
{
	uint64_t *words = kept, mask;
	uint64_t at, end;

	if (!frames_in_range(f, frame, order))
		return -EINVAL;
	if (order >= FRAMES_HUGE_ORDER)
		return keep_huge(f, words, (uint32_t)(frame / FRAMES_PER_CHILD),
				 1U << (order - FRAMES_HUGE_ORDER));
	end = frame + (1ULL << order);
	mask = first_bits(order > 6 ? FRAMES_PER_WORD : 1U << order) << (frame % FRAMES_PER_WORD);
	for (at = frame; at < end; at += FRAMES_PER_WORD)
		if (~frames_load(&f->bits[at / FRAMES_PER_WORD]) & mask)
			return -ENOENT;
	if (kept_huge(f, words, (uint32_t)(frame / FRAMES_PER_CHILD)))
		return -EEXIST;
	for (at = frame; at < end; at += FRAMES_PER_WORD)
		if (words[at / FRAMES_PER_WORD] & mask)
			return -EEXIST;
	for (at = frame; at < end; at += FRAMES_PER_WORD)
		words[at / FRAMES_PER_WORD] |= mask;
	return 0;
}

/* Bits as they are to be; only what changes is written, and written back. */
static void set_bits(struct frames *f, uint64_t *bits, uint64_t value)
{
	if (frames_peek(bits) == value)
		return;
	frames_store(bits, value);
	if (f->durable)
		frames_flush(bits, sizeof(*bits));
}

/*
 * The child's word as it is to be.  A huge flag may be left from before small frames
 * were got there, and bits may be left from before it was got as a huge frame: puts
 * are not written back.  Whoever owns it knows; nobody else does, and then the flag
 * counts.
 */
static uint16_t recover_child(struct frames *f, uint32_t child, const uint64_t *kept,
			      uint64_t *given)
{
	uint64_t *bits = child_bits(f, child);
	uint32_t nr = child_frames(f, child), used = 0, now = 0, word;
	bool said = says_huge(f, child), huge;

	huge = kept ? kept_huge(f, kept, child) : said;
	for (word = 0; word < WORDS_PER_CHILD; word++) {
		uint64_t missing = missing_bits(nr, word), value = frames_peek(&bits[word]);

		used += frames_weight(value & ~missing);
		if (huge)
			value = 0;
		else if (kept)
			value = kept[(size_t)child * WORDS_PER_CHILD + word];
		now += frames_weight(value & ~missing);
		set_bits(f, &bits[word], value | missing);
	}
	if (kept)
		*given += said && !huge && !now ? FRAMES_PER_CHILD : used - now;
	return (uint16_t)(huge ? CHILD_HUGE : nr - now);
}

uint64_t frames_recover(struct frames *f, const void *kept)
{
	/* Children whose bits need no change if none are kept and they are not huge: nearly all. */
	uint32_t quick = kept ? 0 : (uint32_t)(f->nr_frames / FRAMES_PER_CHILD);
	uint64_t given = 0;
	uint32_t tree, i;

	for (tree = 0; tree < f->nr_trees; tree++) {
		uint32_t word = 0;

		for (i = tree * CHILDREN_PER_TREE; i < (tree + 1) * CHILDREN_PER_TREE; i++) {
			uint16_t child = CHILD_ABSENT;

			if (i < quick && frames_peek(&f->children[i]) != CHILD_HUGE)
				child = (uint16_t)child_free_bits(f, i);
			else if (i < f->nr_children)
				child = recover_child(f, i, kept, &given);
			frames_store(&f->children[i], child);
			if (child_worth(child))
				word |= TREE_SOME(i);
			if (child == CHILD_WHOLE)
				word |= TREE_WHOLE(i);
		}
		frames_store(&f->trees[tree], word);
	}
	for (i = 0; i < f->nr_slots; i++)
		slot_reset(f, &f->slots[i]);
	if (f->durable) {
		frames_flush(f->children, f->nr_trees * CHILDREN_PER_TREE * sizeof(*f->children));
		frames_flush(f->trees, f->nr_trees * sizeof(*f->trees));
		frames_fence();
	}
	return given;
}
