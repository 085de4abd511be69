// SPDX-License-Identifier: GPL-2.0
/*
 * Media that may hold anything, made by libFuzzer: they are refused, or an allocator is made of
 * them, and nothing outside of them is touched.
 *
 *	make -C tests/frames
 *	mkdir -p build/corpus
 *	build/tests-native/fuzz_medium -max_total_time=60 build/corpus tests/frames/corpus
 *
 * The first folder takes what is found; build/tests-native/fuzz_medium tests/frames/corpus/[0-9]*
 * only goes through the seeds, which fuzz_medium --seeds=tests/frames/corpus has written.
 *
 * An input is a struct input, cut short anywhere, or with more at its end: calls to be
 * made.  What is missing is zero.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "sign.h"

#define MIB (1ULL << 20)
/* Two huge frames, and a part of a child. */
#define MEDIUM_SIZE (6 * MIB + 77 * FRAMES_FRAME_SIZE)
#define MAX_FRAMES (MEDIUM_SIZE / FRAMES_FRAME_SIZE)
#define SLOTS 2
#define HELD 32

enum mode {
	RAW = 1, /* all that follows the mode is the medium */
	SIGN = 2, /* make the checksum right */
	NO_OWNERS = 4, /* recover without what was kept */
	DURABLE = 8,
};

struct input {
	uint8_t mode;
	uint8_t host;
	uint8_t shorter[2]; /* by so many pages is the medium shorter than it was */
	uint8_t header[64]; /* is added, bit by bit, to the header of a good medium ... */
	uint8_t words[320]; /* ... and this, to its words */
	uint8_t keeps[16][4]; /* order, frame (2), how often */
};

static_assert(sizeof(struct input) == 452, "the input has no holes");

struct call {
	uint8_t what;
	uint8_t order;
	uint8_t frame[2];
};

#define must(what)                                                         \
	do {                                                               \
		if (!(what)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #what); \
			abort();                                           \
		}                                                          \
	} while (0)

static uint8_t *medium;

static void make_medium(void)
{
	medium = aligned_alloc(4096, MEDIUM_SIZE);
	must(medium);
	memset(medium, 0, MEDIUM_SIZE);
}

static uint32_t number(const uint8_t bytes[2])
{
	return bytes[0] | (uint32_t)bytes[1] << 8;
}

/* A header was found good: by what it says, nothing is outside of so many bytes. */
static void check_fits(const struct frames_header *h, uint64_t size)
{
	uint64_t words = frames_words_size(h->nr_frames);

	must(h->magic == FRAMES_MAGIC && h->version == FRAMES_VERSION);
	must(h->nr_frames && h->nr_frames <= size / FRAMES_FRAME_SIZE);
	must(h->size <= size && h->first % (2 * MIB) == 0 && h->first <= h->size);
	must(h->words >= sizeof(*h) && h->words % FRAMES_LINE == 0);
	must(words && h->words <= h->first && words <= h->first - h->words);
	must(h->nr_frames * FRAMES_FRAME_SIZE <= h->size - h->first);
}

/* All that follows is the medium: it ends where the input does. */
static void try_raw(const uint8_t *data, size_t size)
{
	struct frames_header h;
	void *copy;

	must(!posix_memalign(&copy, 4096, size));
	memcpy(copy, data, size);
	if (!frames_check(copy, size, &h))
		check_fits(&h, size);
	free(copy);
}

/* What is handed out: nobody has it, and it is in use from then on. */
struct held {
	uint64_t frame;
	uint32_t order;
};

struct play {
	struct frames *f;
	struct held held[HELD];
	uint32_t nr;
	bool used[MAX_FRAMES];
};

static void hold(struct play *p, uint64_t frame, uint32_t order)
{
	uint64_t at;

	must(frame % (1ULL << order) == 0 && frame + (1ULL << order) <= p->f->nr_frames);
	for (at = frame; at < frame + (1ULL << order); at++) {
		must(!p->used[at] && frames_in_use(p->f, at));
		p->used[at] = true;
	}
	p->held[p->nr++] = (struct held){frame, order};
}

static void put_last(struct play *p)
{
	struct held held;

	if (!p->nr)
		return;
	held = p->held[--p->nr];
	must(!frames_put(p->f, p->nr, held.order, 1, &held.frame));
	memset(&p->used[held.frame], 0, 1UL << held.order);
}

static void play_call(struct play *p, const struct call *call)
{
	uint64_t got[8], frame = number(call->frame);
	uint32_t order = call->order % 12, nr;

	switch (call->what % 4) {
	case 0:
		if (p->nr + 8 > HELD)
			break;
		for (nr = frames_get(p->f, call->what, order, 1 + frame % 8, got); nr; nr--)
			hold(p, got[nr - 1], order);
		break;
	case 1:
		if (p->nr < HELD && !frames_get_at(p->f, frame, call->order))
			hold(p, frame, call->order);
		break;
	case 2:
		put_last(p);
		break;
	default:
		frames_drain(p->f);
	}
}

static void play(struct frames *f, const uint8_t *data, size_t size)
{
	static struct play p;
	uint64_t frame;

	p.f = f;
	p.nr = 0;
	for (frame = 0; frame < f->nr_frames; frame++)
		p.used[frame] = frames_in_use(f, frame);
	for (; size >= sizeof(struct call); size -= sizeof(struct call)) {
		play_call(&p, (const struct call *)data);
		data += sizeof(struct call);
	}
	while (p.nr)
		put_last(&p);
	must(!frames_validate(f, NULL));
	for (frame = 0; frame < f->nr_frames; frame++)
		must(p.used[frame] == frames_in_use(f, frame));
}

/* Tell of owners, of whom some are wrong; @owned is set of each frame that has one then. */
static void *keep(const struct frames *f, const struct input *input, bool *owned)
{
	uint64_t *kept = calloc(1, frames_kept_size(f)), frame, at;
	uint32_t i, often, order;

	must(kept);
	for (i = 0; i < 16; i++) {
		order = input->keeps[i][0];
		frame = number(&input->keeps[i][1]);
		for (often = 0; often <= input->keeps[i][3] % 16; often++, frame++) {
			if (frames_keep(f, kept, frame, order))
				continue;
			must(frame + (1ULL << order) <= f->nr_frames);
			for (at = frame; at < frame + (1ULL << order); at++) {
				must(!owned[at]);
				owned[at] = true;
			}
		}
	}
	return kept;
}

/* A header was taken for good: whatever the words hold, an allocator comes of it. */
static void try_words(const struct frames_header *h, const struct input *input, const uint8_t *data,
		      size_t size)
{
	bool owned[MAX_FRAMES] = {false};
	struct frames_slot slots[SLOTS];
	struct frames_stat stat;
	uint64_t frame, used = 0;
	struct frames f;
	void *kept;

	must(!frames_init(&f, h->nr_frames, medium + h->words, slots, SLOTS,
			  1 + input->host % FRAMES_HOSTS));
	f.durable = input->mode & DURABLE;
	kept = keep(&f, input, owned);
	frames_recover(&f, input->mode & NO_OWNERS ? NULL : kept);
	free(kept);
	must(!frames_validate(&f, NULL));
	for (frame = 0; frame < f.nr_frames; frame++) {
		used += frames_in_use(&f, frame);
		must(frames_in_use(&f, frame) == owned[frame] ||
		     (input->mode & NO_OWNERS && !owned[frame]));
	}
	frames_stat(&f, &stat);
	must(stat.free + used == h->nr_frames && !stat.claimed && !stat.absent);
	play(&f, data, size);
	memset(medium + h->words, 0, frames_words_size(h->nr_frames));
}

static void change(uint8_t *at, const uint8_t *by, size_t size)
{
	while (size--)
		*at++ ^= *by++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t uuid[16];
	struct input input = {0};
	struct frames_header h;
	uint64_t shorter;
	size_t has = size < sizeof(input) ? size : sizeof(input);

	if (size && data[0] & RAW) {
		try_raw(data + 1, size - 1);
		return 0;
	}
	if (!medium)
		make_medium();
	memcpy(&input, data, has);
	must(!frames_format(medium, MEDIUM_SIZE, uuid));
	must(!frames_check(medium, MEDIUM_SIZE, &h));
	change(medium, input.header, sizeof(input.header));
	change(medium + h.words, input.words, sizeof(input.words));
	if (input.mode & SIGN)
		sign((struct frames_header *)medium);
	shorter = (uint64_t)number(input.shorter) * FRAMES_FRAME_SIZE;
	shorter = shorter < MEDIUM_SIZE - sizeof(h) ? MEDIUM_SIZE - shorter : sizeof(h);
	if (frames_check(medium, shorter, &h))
		return 0;
	check_fits(&h, shorter);
	try_words(&h, &input, data + has, size - has);
	return 0;
}

/* The seeds: a medium as it was formatted, and what is likely to be of interest around it. */

#define LICENSE "SPDX-License-Identifier: GPL-2.0\n"

static void write_seed(const char *folder, const char *name, const void *data, size_t size,
		       const struct call *calls, size_t nr_calls)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	must(file);
	must(fwrite(data, 1, size, file) == size);
	must(fwrite(calls, sizeof(*calls), nr_calls, file) == nr_calls);
	/* Calls as good as any, and what each file of this project has to say. */
	must(fputs(LICENSE, file) >= 0);
	must(!fclose(file));
}

static void write_seeds(const char *folder)
{
	static const struct call calls[] = {
		{0, 0, {7, 0}}, {4, 9, {0, 0}}, {0, 7, {1, 0}},	 {1, 3, {64, 0}},
		{2, 0, {0, 0}}, {3, 0, {0, 0}}, {1, 10, {0, 0}}, {2, 0, {0, 0}},
	};
	static uint8_t line[1 + sizeof(struct frames_header)] = {RAW};
	static struct input input;
	uint32_t i;

	make_medium();
	must(!frames_format(medium, MEDIUM_SIZE, line));
	memcpy(line + 1, medium, sizeof(struct frames_header));
	write_seed(folder, "0-header", line, sizeof(line), calls, 0);
	write_seed(folder, "1-good", &input, sizeof(input), calls, 8);

	/* Small frames and a huge one in use, with owners and without; and the other way. */
	for (i = 0; i < 16; i++)
		input.words[i] = (uint8_t)(i * 37);
	input.words[192 + 3] = 6; /* the second child: from 512 free to a huge frame */
	input.mode = DURABLE;
	for (i = 0; i < 16; i++)
		memcpy(input.keeps[i], (uint8_t[]){i % 4, (uint8_t)(i * 8), 0, 3}, 4);
	memcpy(input.keeps[15], (uint8_t[]){9, 0, 2, 0}, 4);
	write_seed(folder, "2-owned", &input, sizeof(input), calls, 8);
	input.mode = NO_OWNERS;
	write_seed(folder, "3-unowned", &input, sizeof(input), calls, 8);

	memset(&input, 0, sizeof(input));
	memset(input.words, 0xff, sizeof(input.words));
	write_seed(folder, "4-all-turned", &input, sizeof(input), calls, 4);

	/* Signed headers that say something else. */
	memset(&input, 0, sizeof(input));
	input.mode = SIGN;
	input.header[offsetof(struct frames_header, nr_frames)] = 1;
	write_seed(folder, "5-other-frames", &input, sizeof(input), calls, 8);
	input.header[offsetof(struct frames_header, words) + 1] = 0x60;
	write_seed(folder, "6-other-words", &input, sizeof(input), calls, 8);
	input.header[offsetof(struct frames_header, first) + 7] = 0x80;
	input.shorter[0] = 1;
	write_seed(folder, "7-no-room", &input, sizeof(input), calls, 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int i;

	for (i = 1; i < *argc; i++)
		if (!strncmp((*argv)[i], "--seeds=", 8)) {
			write_seeds((*argv)[i] + 8);
			exit(0);
		}
	return 0;
}
