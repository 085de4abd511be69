/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the crash suites share: a table of owners, which stands for the morsels' page
 * tables, and what must be so when the words were recovered with its help.
 *
 * Faults are returned as text, not asserted: other processes find some, and the suites
 * that break the core on purpose want to see some.
 */
#ifndef FRAMES_CRASH_H
#define FRAMES_CRASH_H

#include "frames_test.h"
#include "word.h"

/* An entry of a table of owners: one word, 0 if nothing is owned. */
static inline uint64_t owned(uint64_t frame, uint32_t order)
{
	return frame << 8 | order << 1 | 1;
}

static inline uint64_t owned_frame(uint64_t entry)
{
	return entry >> 8;
}

static inline uint32_t owned_order(uint64_t entry)
{
	return (entry & 0xff) >> 1;
}

struct owners {
	uint64_t *entries;
	size_t nr;
};

/* The text of a fault; until the next one, which may contain it. */
static inline const char *__attribute__((format(printf, 1, 2))) fault(const char *format, ...)
{
	static char text[2][256];
	static unsigned int turn;
	va_list args;

	turn = !turn;
	va_start(args, format);
	vsnprintf(text[turn], sizeof(text[turn]), format, args);
	va_end(args);
	return text[turn];
}

static inline void *zeroed(size_t nr, size_t size)
{
	void *memory = calloc(nr ? nr : 1, size);

	assert_non_null(memory);
	return memory;
}

/* Keep what is owned, as a pool does that walks its morsels.  NULL: it was there. */
static inline const char *keep_owned(const struct frames *f, void *kept,
				     const struct owners *owners)
{
	uint64_t entry;
	size_t i;
	int error;

	for (i = 0; i < owners->nr; i++) {
		entry = owners->entries[i];
		error = entry ? frames_keep(f, kept, owned_frame(entry), owned_order(entry)) : 0;
		if (error)
			return fault("frame %" PRIu64 ", order %" PRIu32 ", cannot be kept: %s",
				     owned_frame(entry), owned_order(entry), strerror(-error));
	}
	return NULL;
}

/* Recover; @given is set to how many frames were given back. */
static inline const char *recover_owned(struct frames *f, const struct owners *owners,
					uint64_t *given)
{
	void *kept = zeroed(1, frames_kept_size(f));
	const char *found = keep_owned(f, kept, owners);

	*given = found ? 0 : frames_recover(f, kept);
	free(kept);
	return found;
}

static inline bool marked(const uint64_t *map, uint64_t frame)
{
	return map[frame / 64] >> frame % 64 & 1;
}

static inline void mark(uint64_t *map, uint64_t frame)
{
	map[frame / 64] |= 1ULL << frame % 64;
}

/* A map of what is owned, and how many frames these are. */
static inline uint64_t *map_owned(const struct frames *f, const struct owners *owners,
				  uint64_t *total)
{
	uint64_t *map = zeroed(f->nr_frames / 64 + 1, sizeof(*map));
	uint64_t frame, end;
	size_t i;

	*total = 0;
	for (i = 0; i < owners->nr; i++) {
		if (!owners->entries[i])
			continue;
		frame = owned_frame(owners->entries[i]);
		end = frame + (1ULL << owned_order(owners->entries[i]));
		*total += end - frame;
		for (; frame < end; frame++)
			mark(map, frame);
	}
	return map;
}

/* What is in use is what @map has, which are @total frames. */
static inline const char *check_used(const struct frames *f, const uint64_t *map, uint64_t total)
{
	uint64_t at, end, used = 0;
	uint32_t order;

	for (at = 0; frames_next(f, &at, &order); at = end) {
		end = at + (1ULL << order);
		used += end - at;
		for (; at < end; at++)
			if (!marked(map, at))
				return fault("frame %" PRIu64 " is in use, but has no owner", at);
	}
	if (used != total)
		return fault("%" PRIu64 " frames are owned, %" PRIu64 " are in use", total, used);
	return NULL;
}

static inline const char *check_counts(const struct frames *f, uint64_t total)
{
	struct frames_stat stat;
	uint32_t where = 0;
	const char *found = frames_validate(f, &where);

	if (found)
		return fault("%s, at %" PRIu32, found, where);
	frames_stat(f, &stat);
	if (stat.frames != f->nr_frames || stat.free != f->nr_frames - total)
		return fault("%" PRIu64 " frames, %" PRIu64 " are free, %" PRIu64 " are owned",
			     stat.frames, stat.free, total);
	if (stat.claimed)
		return fault("%" PRIu64 " children are claimed", stat.claimed);
	return NULL;
}

/* All frames but the owned ones can be had, and put again. */
static inline const char *check_free(struct frames *f, uint64_t *map, uint64_t total)
{
	uint64_t *got = zeroed(f->nr_frames, sizeof(*got));
	uint32_t nr = frames_get(f, 0, 0, (uint32_t)f->nr_frames, got), i;
	const char *found = NULL;

	if (nr != f->nr_frames - total)
		found = fault("%" PRIu32 " of %" PRIu64 " free frames can be had", nr,
			      f->nr_frames - total);
	for (i = 0; i < nr && !found; i++) {
		if (got[i] >= f->nr_frames || marked(map, got[i]))
			found = fault("frame %" PRIu64 " was got twice", got[i]);
		else
			mark(map, got[i]);
	}
	if (!found && frames_put(f, 0, 0, nr, got))
		found = "a frame that was got cannot be put";
	frames_drain(f);
	free(got);
	return found;
}

/* After recovery: exactly what is owned is in use, and all the rest can be had. */
static inline const char *check_owned(struct frames *f, const struct owners *owners)
{
	uint64_t total;
	uint64_t *map = map_owned(f, owners, &total);
	const char *found = check_used(f, map, total);

	if (!found)
		found = check_counts(f, total);
	if (!found)
		found = check_free(f, map, total);
	/* The same again, now that others have counted. */
	if (!found)
		found = check_counts(f, total);
	free(map);
	return found;
}

/* The owners can put what is theirs, and then all is free, as in the beginning. */
static inline const char *check_put(struct frames *f, const struct owners *owners)
{
	struct frames_stat stat;
	const char *found;
	uint64_t entry, frame;
	size_t i;

	for (i = 0; i < owners->nr; i++) {
		entry = owners->entries[i];
		frame = owned_frame(entry);
		if (entry && frames_put(f, 0, owned_order(entry), 1, &frame))
			return fault("the owner of frame %" PRIu64 " cannot put it", frame);
	}
	frames_drain(f);
	found = check_counts(f, 0);
	if (found)
		return found;
	frames_stat(f, &stat);
	if (stat.huge_free != f->nr_frames / FRAMES_PER_CHILD)
		return fault("%" PRIu64 " children are whole", stat.huge_free);
	return NULL;
}

/* When all hosts have drained, or were taken back, nobody has claimed anything. */
static inline const char *check_claims(const struct frames *f)
{
	uint32_t i;

	for (i = 0; i < f->nr_children; i++)
		if (child_host(f->children[i]))
			return fault("child %" PRIu32 " is claimed by host %" PRIu32, i,
				     child_host(f->children[i]));
	for (i = 0; i < f->nr_trees; i++)
		if (tree_host(f->trees[i]))
			return fault("tree %" PRIu32 " is reserved by host %" PRIu32, i,
				     tree_host(f->trees[i]));
	return NULL;
}

/* What a host has claimed and reserved. */
static inline uint64_t claims_of(const struct frames *f, uint32_t host)
{
	uint64_t nr = 0;
	uint32_t i;

	for (i = 0; i < f->nr_children; i++)
		nr += child_host(frames_load(&f->children[i])) == host;
	for (i = 0; i < f->nr_trees; i++)
		nr += tree_host(frames_load(&f->trees[i])) == host;
	return nr;
}

/*
 * After a host's death, and before recovery: nothing that is owned can be had.  @lost is
 * set to how many frames nobody has and cannot be had either.
 */
static inline const char *check_lost(struct frames *f, const struct owners *owners, uint64_t *lost)
{
	uint64_t *got = zeroed(f->nr_frames, sizeof(*got)), total;
	uint64_t *map = map_owned(f, owners, &total);
	uint32_t nr = frames_get(f, 0, 0, (uint32_t)f->nr_frames, got), i;
	const char *found = NULL;

	for (i = 0; i < nr && !found; i++)
		if (marked(map, got[i]))
			found = fault("frame %" PRIu64 " is owned, and was got", got[i]);
	if (!found && frames_put(f, 0, 0, nr, got))
		found = "a frame that was got cannot be put";
	frames_drain(f);
	*lost = f->nr_frames - total - nr;
	free(map);
	free(got);
	return found;
}

#endif /* FRAMES_CRASH_H */
