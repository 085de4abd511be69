/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Media whose power is cut: one that is written to, and what each cut leaves of it.
 */
#ifndef LAB_H
#define LAB_H

#include <sys/mman.h>

#include "cuts.h"
#include "run.h"

#define MIB (1ULL << 20)
#define FRAMES(n) ((n) * (uint64_t)FRAMES_FRAME_SIZE)
#define SLOTS 3
#define NR_OWNERS 256
#define OWNERS_SIZE (NR_OWNERS * sizeof(uint64_t))
#define HEADER_SIZE 4096 /* the words follow it */
#define MAX_HEAD 12288 /* with the words of 70 children */

static const uint8_t uuid[17] = "the medium's one";
static const uint8_t old_uuid[17] = "what was before!";

/**
 * struct lab - media to work with
 * @size:	bytes of one that may be used
 * @layout:	what of it is recorded
 * @live:	the one at which the run is
 * @cut:	the one that a cut has left
 * @again:	the one that a cut of the recovery has left
 */
struct lab {
	uint64_t size;
	struct layout layout;
	uint8_t *live, *cut, *again;
};

static uint8_t *new_memory(size_t size)
{
	uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static void lab_open(struct lab *lab, uint64_t size)
{
	/* A test that failed may have been in the middle of it. */
	recording = NULL;
	assert_true(HEADER_SIZE + frames_words_size(size / FRAMES_FRAME_SIZE) <= MAX_HEAD);
	*lab = (struct lab){
		.size = size,
		.layout =
			{
				.size = size + OWNERS_SIZE,
				.head = HEADER_SIZE + frames_words_size(size / FRAMES_FRAME_SIZE),
				.tail = OWNERS_SIZE,
				.tail_at = size,
			},
		.live = new_memory(size + OWNERS_SIZE),
		.cut = new_memory(size + OWNERS_SIZE),
		.again = new_memory(size + OWNERS_SIZE),
	};
}

static void lab_close(struct lab *lab)
{
	munmap(lab->live, lab->layout.size);
	munmap(lab->cut, lab->layout.size);
	munmap(lab->again, lab->layout.size);
}

static struct owners owners_of(const struct lab *lab, uint8_t *medium)
{
	return (struct owners){(uint64_t *)(medium + lab->size), NR_OWNERS};
}

/* Open a medium; NULL, or why not. */
static const char *run_open(struct run *run, const struct lab *lab, uint8_t *medium)
{
	static struct frames_slot slots[SLOTS];
	struct frames_header header;
	int error = frames_check(medium, lab->size, &header);

	*run = (struct run){.owners = owners_of(lab, medium)};
	if (!error)
		error = frames_init(&run->f, header.nr_frames, medium + header.words, slots, SLOTS,
				    1);
	if (error)
		return fault("there is no medium: %s", strerror(-error));
	run->f.durable = true;
	return NULL;
}

/* A new medium, and somebody at it. */
static void run_new(struct run *run, struct lab *lab, uint64_t stream)
{
	assert_int_equal(frames_format(lab->live, lab->size, uuid), 0);
	assert_null(run_open(run, lab, lab->live));
	run->rng = rnd_stream("power", stream);
}

static void assert_done(const struct run *run)
{
	if (run->failed)
		fail_msg("%s", run->failed);
}

/* What a cut has left is recovered: all that is owned is there, and all else is free. */
static const char *check_cut(void *arg, uint8_t *medium)
{
	const struct lab *lab = arg;
	struct run run;
	uint64_t given;
	const char *found = run_open(&run, lab, medium);

	if (!found)
		found = recover_owned(&run.f, &run.owners, &given);
	if (!found)
		found = check_owned(&run.f, &run.owners);
	if (!found)
		found = check_put(&run.f, &run.owners);
	return found;
}

static const char *explore(struct lab *lab, const struct record *record, uint8_t *target,
			   const char *(*check)(void *arg, uint8_t *medium), void *arg,
			   uint64_t *nr_media)
{
	struct cuts cuts = {
		.record = record,
		.target = target,
		.check = check,
		.arg = arg,
		.rng = rnd_stream("cuts", record->nr),
	};
	const char *found = cuts_explore(&cuts);

	*nr_media += cuts.nr_media;
	return found;
}

static void report(const struct record *record, uint64_t nr_media)
{
	print_message("# %zu events, %" PRIu64 " media\n", record->nr, nr_media);
}

/* Cut a run everywhere: nothing is found, and it was no run of nothing. */
static void assert_survives(struct lab *lab, struct record *record)
{
	uint64_t nr_media = 0;
	const char *found = explore(lab, record, lab->cut, check_cut, lab, &nr_media);

	report(record, nr_media);
	if (found)
		fail_msg("%s", found);
	assert_true(nr_media > record->nr / 8);
}

#endif /* LAB_H */
