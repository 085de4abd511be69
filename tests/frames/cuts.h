/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Power cuts: what a run stored, flushed and fenced is recorded; and then all that a
 * medium may hold is made of it, and looked at.
 *
 * What is taken for granted of the machine: a store of up to 8 bytes is not torn.
 * Stores to one line reach the medium in their order, each at any time from when it
 * is made; at the latest when a fence follows a flush that followed the store.  Of
 * stores to several lines nothing is known but that.
 *
 * So after each event, each line that has stores which may be missing holds any number
 * of the first of them.  Where that makes no more than ALL_CUTS media, all are looked
 * at.  Where it makes more, these are: none of the stores; all; for each line, all of
 * its own alone, and all but its own; RANDOM_CUTS in which each line has none, all or,
 * every third time, any number.  A medium that is the same as one before is not looked
 * at again.
 */
#ifndef FRAMES_CUTS_H
#define FRAMES_CUTS_H

#include "crash.h"

#define ALL_CUTS 128
#define RANDOM_CUTS 18

/**
 * struct layout - what of a medium is recorded
 * @size:	bytes of the medium, and of what lies behind
 * @head:	the first bytes
 * @tail:	some others
 * @tail_at:	where these begin
 *
 * An image is a copy of both, one after the other.  Nothing else may be stored to.
 */
struct layout {
	size_t size, head, tail, tail_at;
};

enum event_kind { STORE, FLUSH, FENCE };

/**
 * struct event - what happened
 * @kind:	what
 * @size:	bytes stored, or flushed
 * @at:		where in the image
 * @value:	what was stored
 */
struct event {
	enum event_kind kind;
	uint32_t size;
	size_t at;
	uint64_t value;
};

/**
 * struct record - what happened in a run
 * @layout:	of the medium
 * @base:	its memory
 * @before:	its image when the run began
 * @events:	in their order
 * @nr:		how many
 * @room:	for how many there is memory
 */
struct record {
	const struct layout *layout;
	const uint8_t *base;
	uint8_t *before;
	struct event *events;
	size_t nr, room;
};

static struct record *recording;

static inline size_t image_size(const struct layout *layout)
{
	return layout->head + layout->tail;
}

static inline void image_of(const struct layout *layout, const uint8_t *base, uint8_t *image)
{
	memcpy(image, base, layout->head);
	memcpy(image + layout->head, base + layout->tail_at, layout->tail);
}

static inline void image_to(const struct layout *layout, const uint8_t *image, uint8_t *base)
{
	memcpy(base, image, layout->head);
	memcpy(base + layout->tail_at, image + layout->head, layout->tail);
}

/* Where in the image is a place in memory?  True if it is on the medium. */
static inline bool image_find(const void *place, size_t size, size_t *at)
{
	const struct layout *layout = recording->layout;
	size_t offset = (uintptr_t)place - (uintptr_t)recording->base;

	if (offset >= layout->size)
		return false;
	if (offset + size <= layout->head)
		*at = offset;
	else if (offset >= layout->tail_at && offset + size <= layout->tail_at + layout->tail)
		*at = layout->head + offset - layout->tail_at;
	else
		fail_msg("%zu bytes at %#zx of the medium are nobody's to write", size, offset);
	return true;
}

static inline void record_event(struct event event)
{
	if (recording->nr == recording->room) {
		recording->room = recording->room ? 2 * recording->room : 1024;
		recording->events = realloc(recording->events,
					    recording->room * sizeof(*recording->events));
		assert_non_null(recording->events);
	}
	recording->events[recording->nr++] = event;
}

void frames_watch_store(const void *at, unsigned int size)
{
	struct event event = {.kind = STORE, .size = size};

	if (!recording || !image_find(at, size, &event.at))
		return;
	assert_int_equal(event.at / FRAMES_LINE, (event.at + size - 1) / FRAMES_LINE);
	memcpy(&event.value, at, size);
	record_event(event);
}

void frames_watch_flush(const void *at, size_t size)
{
	struct event event = {.kind = FLUSH, .size = (uint32_t)size};

	if (recording && image_find(at, size, &event.at))
		record_event(event);
}

void frames_watch_fence(void)
{
	if (recording)
		record_event((struct event){.kind = FENCE});
}

static inline void record_begin(struct record *record, const struct layout *layout,
				const uint8_t *base)
{
	*record = (struct record){.layout = layout, .base = base};
	record->before = zeroed(1, image_size(layout));
	image_of(layout, base, record->before);
	recording = record;
}

static inline void store_event(uint8_t *image, const struct event *event)
{
	memcpy(image + event->at, &event->value, event->size);
}

/* All that changed the medium must have been recorded. */
static inline void record_end(void)
{
	struct record *record = recording;
	size_t size = image_size(record->layout), i;
	uint8_t *replayed = zeroed(2, size);

	recording = NULL;
	memcpy(replayed, record->before, size);
	for (i = 0; i < record->nr; i++)
		if (record->events[i].kind == STORE)
			store_event(replayed, &record->events[i]);
	image_of(record->layout, record->base, replayed + size);
	assert_memory_equal(replayed, replayed + size, size);
	free(replayed);
}

static inline void record_drop(struct record *record)
{
	free(record->before);
	free(record->events);
}

/**
 * struct line - stores to a line that may be missing
 * @stores:	numbers of their events
 * @nr:		how many
 * @room:	for how many there is memory
 * @flushed:	how many of them the next fence makes durable
 * @made:	how many of them the medium at hand has
 */
struct line {
	size_t *stores;
	size_t nr, room, flushed, made;
};

/**
 * struct cuts - all the media that the cuts of a run can leave
 * @record:	of the run
 * @target:	memory where they are made
 * @check:	looks at one, and may change it; NULL if it is as it should be
 * @arg:	for @check
 * @rng:	what is random
 * @from:	how many events always come before the cut
 * @nr_media:	how many were looked at
 * @nr_events:	how many events came before the cut at hand
 * @durable:	image of what must be on the medium
 * @image:	of the medium at hand
 * @lines:	all of the image
 * @dirty:	those of them that have stores which may be missing
 * @nr_dirty:	how many
 * @seen:	sums of the images that were looked at, at their places; 0: none
 * @seen_room:	how many sums there is memory for, a power of 2
 */
struct cuts {
	const struct record *record;
	uint8_t *target;
	const char *(*check)(void *arg, uint8_t *target);
	void *arg;
	uint64_t rng;
	size_t from;
	uint64_t nr_media;
	size_t nr_events;
	uint8_t *durable, *image;
	struct line *lines, **dirty;
	size_t nr_dirty;
	uint64_t *seen;
	size_t seen_room;
};

static inline uint64_t image_sum(const uint8_t *image, size_t size)
{
	uint64_t sum = size, word;
	size_t i;

	for (i = 0; i < size; i += sizeof(word)) {
		memcpy(&word, image + i, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
		sum ^= sum >> 29;
	}
	return sum ? sum : 1;
}

/* True if it was not there. */
static inline bool seen_add(uint64_t *seen, size_t room, uint64_t sum)
{
	size_t i;

	for (i = sum & (room - 1); seen[i]; i = (i + 1) & (room - 1))
		if (seen[i] == sum)
			return false;
	seen[i] = sum;
	return true;
}

static inline void seen_grow(struct cuts *cuts)
{
	size_t room = cuts->seen_room ? 2 * cuts->seen_room : 4096, i;
	uint64_t *seen = zeroed(room, sizeof(*seen));

	for (i = 0; i < cuts->seen_room; i++)
		if (cuts->seen[i])
			seen_add(seen, room, cuts->seen[i]);
	free(cuts->seen);
	cuts->seen = seen;
	cuts->seen_room = room;
}

static inline bool seen_first(struct cuts *cuts)
{
	if (2 * cuts->nr_media >= cuts->seen_room)
		seen_grow(cuts);
	return seen_add(cuts->seen, cuts->seen_room,
			image_sum(cuts->image, image_size(cuts->record->layout)));
}

/* Look at the medium on which each dirty line has the stores that @made says. */
static inline const char *cut_look(struct cuts *cuts)
{
	const struct layout *layout = cuts->record->layout;
	const char *found;
	size_t i, j;

	memcpy(cuts->image, cuts->durable, image_size(layout));
	for (i = 0; i < cuts->nr_dirty; i++)
		for (j = 0; j < cuts->dirty[i]->made; j++)
			store_event(cuts->image, &cuts->record->events[cuts->dirty[i]->stores[j]]);
	if (!seen_first(cuts))
		return NULL;
	cuts->nr_media++;
	image_to(layout, cuts->image, cuts->target);
	found = cuts->check(cuts->arg, cuts->target);
	return found ? fault("cut after event %zu: %s", cuts->nr_events, found) : NULL;
}

/* As many as there are, but no more than the limit. */
static inline size_t cut_count(const struct cuts *cuts)
{
	size_t i, count = 1;

	for (i = 0; i < cuts->nr_dirty && count <= ALL_CUTS; i++)
		count *= cuts->dirty[i]->nr + 1;
	return count;
}

static inline const char *cut_all(struct cuts *cuts, size_t count)
{
	const char *found = NULL;
	size_t n, rest, i;

	for (n = 0; n < count && !found; n++) {
		for (i = 0, rest = n; i < cuts->nr_dirty; i++) {
			cuts->dirty[i]->made = rest % (cuts->dirty[i]->nr + 1);
			rest /= cuts->dirty[i]->nr + 1;
		}
		found = cut_look(cuts);
	}
	return found;
}

/* All lines have all their stores, or none; and line @other is another. */
static inline const char *cut_but(struct cuts *cuts, bool all, size_t other)
{
	size_t i;

	for (i = 0; i < cuts->nr_dirty; i++)
		cuts->dirty[i]->made = all != (i == other) ? cuts->dirty[i]->nr : 0;
	return cut_look(cuts);
}

static inline const char *cut_random(struct cuts *cuts, bool any)
{
	size_t i, nr;

	for (i = 0; i < cuts->nr_dirty; i++) {
		nr = cuts->dirty[i]->nr;
		cuts->dirty[i]->made = any ? rnd_below(&cuts->rng, nr + 1)
					   : nr * rnd_below(&cuts->rng, 2);
	}
	return cut_look(cuts);
}

static inline const char *cut_some(struct cuts *cuts)
{
	const char *found = NULL;
	size_t i;

	for (i = 0; i <= cuts->nr_dirty && !found; i++) {
		found = cut_but(cuts, false, i);
		if (!found)
			found = cut_but(cuts, true, i);
	}
	for (i = 0; i < RANDOM_CUTS && !found; i++)
		found = cut_random(cuts, i % 3 == 0);
	return found;
}

static inline void line_store(struct cuts *cuts, size_t event)
{
	struct line *line = &cuts->lines[cuts->record->events[event].at / FRAMES_LINE];

	if (line->nr == line->room) {
		line->room = line->room ? 2 * line->room : 16;
		line->stores = realloc(line->stores, line->room * sizeof(*line->stores));
		assert_non_null(line->stores);
	}
	if (!line->nr)
		cuts->dirty[cuts->nr_dirty++] = line;
	line->stores[line->nr++] = event;
}

static inline void line_flush(struct cuts *cuts, const struct event *event)
{
	size_t i, last = (event->at + event->size - 1) / FRAMES_LINE;

	for (i = event->at / FRAMES_LINE; i <= last; i++)
		cuts->lines[i].flushed = cuts->lines[i].nr;
}

static inline void lines_fence(struct cuts *cuts)
{
	struct line *line;
	size_t i, j, left = 0;

	for (i = 0; i < cuts->nr_dirty; i++) {
		line = cuts->dirty[i];
		for (j = 0; j < line->flushed; j++)
			store_event(cuts->durable, &cuts->record->events[line->stores[j]]);
		line->nr -= line->flushed;
		memmove(line->stores, line->stores + line->flushed,
			line->nr * sizeof(*line->stores));
		line->flushed = 0;
		if (line->nr)
			cuts->dirty[left++] = line;
	}
	cuts->nr_dirty = left;
}

static inline void cuts_event(struct cuts *cuts, size_t event)
{
	switch (cuts->record->events[event].kind) {
	case STORE:
		line_store(cuts, event);
		break;
	case FLUSH:
		line_flush(cuts, &cuts->record->events[event]);
		break;
	case FENCE:
		lines_fence(cuts);
		break;
	}
}

static inline const char *cut_here(struct cuts *cuts)
{
	size_t count = cut_count(cuts);

	return count <= ALL_CUTS ? cut_all(cuts, count) : cut_some(cuts);
}

/* Cut the run after @from events and after each that follows; NULL, or the first fault. */
static inline const char *cuts_explore(struct cuts *cuts)
{
	size_t size = image_size(cuts->record->layout), nr_lines = size / FRAMES_LINE, i;
	const char *found;

	cuts->durable = zeroed(1, size);
	cuts->image = zeroed(1, size);
	cuts->lines = zeroed(nr_lines, sizeof(*cuts->lines));
	cuts->dirty = zeroed(nr_lines, sizeof(struct line *));
	memcpy(cuts->durable, cuts->record->before, size);
	while (cuts->nr_events < cuts->from)
		cuts_event(cuts, cuts->nr_events++);
	found = cut_here(cuts);
	while (!found && cuts->nr_events < cuts->record->nr) {
		cuts_event(cuts, cuts->nr_events++);
		found = cut_here(cuts);
	}
	for (i = 0; i < nr_lines; i++)
		free(cuts->lines[i].stores);
	free(cuts->lines);
	free(cuts->dirty);
	free(cuts->image);
	free(cuts->durable);
	free(cuts->seen);
	return found;
}

#endif /* FRAMES_CUTS_H */
