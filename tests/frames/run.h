/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is cut, killed or dies in the crash suites: somebody who gets and puts, at random,
 * and enters what he owns in a table.
 *
 * The order is that of a pool with its morsels' page tables: what frames_get() returned
 * is entered, and written back; and an entry is cleared, and that written back, before
 * frames_put() is called.
 */
#ifndef FRAMES_RUN_H
#define FRAMES_RUN_H

#include "crash.h"

#define MOST_AT_ONCE 100 /* entries of the table that one call may fill or clear */

/**
 * struct run - somebody
 * @f:		the allocator
 * @owners:	the table
 * @rng:	what is random
 * @filling:	in hundredths, how often he gets rather than puts
 * @map:	if not NULL, who has each frame: @f's host, or 0; shared with others
 * @flight:	if not NULL, is set to how many frames he is getting or putting now
 * @failed:	NULL, or the first thing that went wrong
 */
struct run {
	struct frames f;
	struct owners owners;
	uint64_t rng;
	uint32_t filling;
	uint8_t *map;
	uint64_t *flight;
	const char *failed;
};

static inline void in_flight(struct run *run, uint64_t frames)
{
	if (run->flight)
		__atomic_store_n(run->flight, frames, __ATOMIC_SEQ_CST);
}

/* In the map, frames pass from one to another; 0: nobody. */
static inline void pass(struct run *run, uint64_t entry, uint32_t from, uint32_t to)
{
	uint64_t frame = owned_frame(entry), end = frame + (1ULL << owned_order(entry));
	uint32_t was;

	for (; run->map && frame < end; frame++) {
		was = __atomic_exchange_n(&run->map[frame], (uint8_t)to, __ATOMIC_SEQ_CST);
		if (was != from && !run->failed)
			run->failed = fault("frame %" PRIu64 " passes from %" PRIu32 " to %" PRIu32
					    ", but %" PRIu32 " had it",
					    frame, from, to, was);
	}
}

static inline void flush_owners(const struct owners *owners, size_t first, size_t nr)
{
	frames_flush(&owners->entries[first], nr * sizeof(uint64_t));
	frames_fence();
}

/* Enter what was got: as pieces of a smaller order, if that is what will be put. */
static inline void own(struct run *run, size_t first, uint32_t nr, const uint64_t *got,
		       uint32_t order, uint32_t piece)
{
	uint64_t *entry = &run->owners.entries[first];
	uint64_t frame;
	uint32_t i;

	for (i = 0; i < nr; i++)
		pass(run, owned(got[i], order), 0, run->f.host);
	for (i = 0; i < nr; i++) {
		for (frame = got[i]; frame < got[i] + (1ULL << order); frame += 1ULL << piece) {
			frames_store(entry, owned(frame, piece));
			entry++;
		}
	}
	if (nr)
		flush_owners(&run->owners, first, (size_t)nr << (order - piece));
}

/* A place for @nr entries; or none. */
static inline bool find_place(struct run *run, size_t nr, size_t *place)
{
	size_t start = rnd_below(&run->rng, run->owners.nr), length = 0, i, at;

	for (i = 0; i < 2 * run->owners.nr && length < nr; i++) {
		at = (start + i) % run->owners.nr;
		if (!at)
			length = 0;
		length = run->owners.entries[at] ? 0 : length + 1;
		*place = at + 1 - length;
	}
	return length >= nr;
}

/* Some orders can be put in smaller pieces: now and then, halves. */
static inline uint32_t piece_of(struct run *run, uint32_t order)
{
	bool may = order && order != FRAMES_HUGE_ORDER;

	return may && !rnd_below(&run->rng, 3) ? order - 1 : order;
}

static inline void get_some(struct run *run)
{
	uint32_t order = rnd_below(&run->rng, 3) ? (uint32_t)rnd_below(&run->rng, 11) : 0;
	uint32_t piece = piece_of(run, order), nr;
	uint32_t most = order ? 1 + (7 >> order) : MOST_AT_ONCE;
	uint32_t count = 1 + (uint32_t)rnd_below(&run->rng, most);
	uint64_t got[MOST_AT_ONCE];
	size_t place;

	if (!find_place(run, (size_t)count << (order - piece), &place))
		return;
	in_flight(run, (uint64_t)count << order);
	nr = frames_get(&run->f, (uint32_t)rnd_below(&run->rng, run->f.nr_slots), order, count,
			got);
	own(run, place, nr, got, order, piece);
	in_flight(run, 0);
}

static inline bool get_at(struct run *run, uint64_t frame, uint32_t order)
{
	size_t place;
	int error;

	if (!find_place(run, 1, &place))
		return false;
	in_flight(run, 1ULL << order);
	error = frames_get_at(&run->f, frame, order);
	if (!error)
		own(run, place, 1, &frame, order, order);
	in_flight(run, 0);
	return !error;
}

static inline void get_somewhere(struct run *run)
{
	uint32_t order = (uint32_t)rnd_below(&run->rng, 11);
	uint64_t frame = rnd_below(&run->rng, run->f.nr_frames);

	get_at(run, frame & -(1ULL << order), order);
}

/*
 * Put what up to @most entries from @first on own, as long as they are of one order.
 * The table may be that of @host, who is dead.
 */
static inline size_t put_from(struct run *run, const struct owners *owners, uint32_t host,
			      size_t first, size_t most)
{
	uint64_t *entries = owners->entries + first, frames[MOST_AT_ONCE];
	uint32_t order = owned_order(entries[0]), nr = 0, i;

	while (nr < most && nr < MOST_AT_ONCE && first + nr < owners->nr && entries[nr] &&
	       owned_order(entries[nr]) == order) {
		frames[nr] = owned_frame(entries[nr]);
		nr++;
	}
	in_flight(run, (uint64_t)nr << order);
	for (i = 0; i < nr; i++)
		frames_store(&entries[i], 0);
	flush_owners(owners, first, nr);
	for (i = 0; i < nr; i++)
		pass(run, owned(frames[i], order), host, 0);
	if (frames_put(&run->f, (uint32_t)rnd_below(&run->rng, run->f.nr_slots), order, nr,
		       frames) &&
	    !run->failed)
		run->failed = fault("%" PRIu32 " frames from %" PRIu64 " on, order %" PRIu32
				    ", cannot be put",
				    nr, frames[0], order);
	in_flight(run, 0);
	return nr;
}

static inline void put_some(struct run *run)
{
	size_t first = rnd_below(&run->rng, run->owners.nr);

	while (first < run->owners.nr && !run->owners.entries[first])
		first++;
	if (first < run->owners.nr)
		put_from(run, &run->owners, run->f.host, first, 1 + rnd_below(&run->rng, 64));
}

/* Put all that a table has. */
static inline void put_all(struct run *run, const struct owners *owners, uint32_t host)
{
	size_t i = 0;

	while (i < owners->nr && !run->failed)
		i += owners->entries[i] ? put_from(run, owners, host, i, owners->nr) : 1;
}

static inline void do_something(struct run *run)
{
	uint32_t what = (uint32_t)rnd_below(&run->rng, 100);

	if (!rnd_below(&run->rng, 16))
		run->filling = 20 + 60 * (uint32_t)rnd_below(&run->rng, 2);
	if (what < 5)
		frames_drain(&run->f);
	else if (what < 15)
		get_somewhere(run);
	else if (rnd_below(&run->rng, 100) < run->filling)
		get_some(run);
	else
		put_some(run);
}

static inline void do_things(struct run *run, unsigned int nr)
{
	run->filling = 80;
	while (nr-- && !run->failed)
		do_something(run);
}

#endif /* FRAMES_RUN_H */
