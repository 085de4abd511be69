/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All worlds that there can be: found from the first one on, nearest first, each once.
 *
 * Worlds that differ only in who is who are one, as the transitions ask of the numbers of parties just whether
 * two are the same, or have the same bit.
 */
#ifndef WORDS_SPACE_H
#define WORDS_SPACE_H

#include <sys/mman.h>

#include "rules.h"

#define MOST_WORLDS (1U << 27)

/**
 * struct space - the worlds
 * @keys:	each of them, in the order in which they were found
 * @from:	the world from which each was found first
 * @table:	the keys, each plus 1, by hash; 0: none
 * @nr:		how many there are
 * @nr_slots:	of @table
 * @acts:	how many steps were made, of each kind
 * @depth:	how many lead to the farthest
 * @wrong:	NULL, or what is wrong with a step from the world @bad
 * @bad:	where in @keys
 */
struct space {
	uint64_t *keys;
	uint32_t *from;
	uint64_t *table;
	uint32_t nr, nr_slots;
	uint64_t acts[NR_ACTS];
	uint32_t depth;
	const char *wrong;
	uint32_t bad;
};

/* A part of a key: a task, and, with the first of a party's, that party.  Only who may be in line has a place there. */
#define PLACES (YIELDS - MAPS)
#define TASKS ((NR_AT + PLACES * MOST) * 3)
#define PARTIES (3 * 3 * NR_LOSSES * 2 * 2)
_Static_assert(TASKS *PARTIES <= 1 << 15, "four and four more bits are a key");

/* Who waits has a place: 0 is that of the first who is woken. */
static inline uint16_t part_of_task(const struct world *w, const struct task *task)
{
	unsigned int at = task->at, place = task->place;

	if (w->woken && place == 1 && waits(task))
		place = 0;
	if (at >= YIELDS)
		at += PLACES * MOST;
	else if (at >= MAPS)
		at += (at - MAPS) * MOST + place;
	return at * 3 + task->holds;
}

static inline void part_to_task(struct world *w, struct task *task, unsigned int part)
{
	unsigned int at = part / 3;

	*task = (struct task){.at = at, .holds = part % 3};
	if (at >= YIELDS + PLACES * MOST) {
		task->at = at - PLACES * MOST;
	} else if (at >= MAPS) {
		task->at = MAPS + (at - MAPS) / (MOST + 1);
		task->place = (at - MAPS) % (MOST + 1);
	}
	if (waits(task) && !task->place) {
		task->place = 1;
		w->woken = true;
	}
	if (task->holds)
		w->word += WORD_HELD_ONE;
}

static inline uint16_t part_of_party(const struct world *w, unsigned int p)
{
	const struct party *party = &w->parties[p];
	bool owner = word_owner(w->word) == numbers[p];
	bool reader = word_readers(w->word) & word_bit(numbers[p]);

	return (((party->leaf * 3 + party->tlb) * NR_LOSSES + party->loss) * 2 + owner) * 2 +
	       reader;
}

/* The greater first: who is not there comes last. */
static inline void sort_two(uint32_t *a, uint32_t *b)
{
	uint32_t more = *a > *b ? *a : *b;

	*b ^= *a ^ more;
	*a = more;
}

/* Where two parties are neighbours that have the same bit, or two tasks that are of one party, they stay neighbours. */
static inline bool in_pairs(void)
{
	return tasks_each == 2 || word_bit(numbers[0]) == word_bit(numbers[1]);
}

/* The key of a world, which is the same for all that differ only in who is who. */
static inline uint64_t key_of(const struct world *w)
{
	uint32_t parts[MOST] = {0}, pairs[2], t;
	uint64_t key;

	for (t = 0; t < nr_tasks; t++)
		parts[t] = part_of_task(w, &w->tasks[t]);
	if (tasks_each == 2) {
		sort_two(&parts[0], &parts[1]);
		sort_two(&parts[2], &parts[3]);
	}
	for (t = 0; t < nr_tasks; t += tasks_each)
		parts[t] += part_of_party(w, party_of(t)) * TASKS;
	if (in_pairs()) {
		if (tasks_each == 1) {
			sort_two(&parts[0], &parts[1]);
			sort_two(&parts[2], &parts[3]);
		}
		pairs[0] = parts[0] << 15 | parts[1];
		pairs[1] = parts[2] << 15 | parts[3];
		if (nr_tasks == MOST)
			sort_two(&pairs[0], &pairs[1]);
		key = (uint64_t)pairs[0] << 30 | pairs[1];
	} else {
		sort_two(&parts[0], &parts[1]);
		sort_two(&parts[2], &parts[3]);
		sort_two(&parts[0], &parts[2]);
		sort_two(&parts[1], &parts[3]);
		sort_two(&parts[1], &parts[2]);
		key = (uint64_t)parts[0] << 45 | (uint64_t)parts[1] << 30 | parts[2] << 15 |
		      parts[3];
	}
	return key << 4 | word_state(w->word) << 2 | word_waited(w->word) << 1 |
	       !!(w->word & WORD_HELD_ALONE);
}

static inline void part_to_world(struct world *w, unsigned int t, uint32_t part)
{
	uint32_t party = part / TASKS;

	part_to_task(w, &w->tasks[t], part % TASKS);
	if (tasks_each == 2 && t % 2)
		return;
	w->parties[party_of(t)] = (struct party){
		.leaf = party / 4 / NR_LOSSES / 3,
		.tlb = party / 4 / NR_LOSSES % 3,
		.loss = party / 4 % NR_LOSSES,
	};
	if (party / 2 % 2)
		w->word |= (uint64_t)numbers[party_of(t)] << WORD_OWNER_SHIFT;
	if (party % 2)
		w->word |= word_bit(numbers[party_of(t)]);
}

static inline struct world world_of(uint64_t key)
{
	struct world w = {.word = (key & 2 ? WORD_WAITED : 0) | (key & 1 ? WORD_HELD_ALONE : 0)};
	unsigned int t;

	w.word |= (key >> 2 & 3) << WORD_STATE_SHIFT;
	for (t = 0; t < nr_tasks; t++)
		part_to_world(&w, t, key >> (4 + 15 * (MOST - 1 - t)) & 0x7fff);
	return w;
}

static inline void *reserve(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static inline void space_open(struct space *space)
{
	*space = (struct space){
		.keys = reserve(MOST_WORLDS * sizeof(uint64_t)),
		.from = reserve(MOST_WORLDS * sizeof(uint32_t)),
		.nr_slots = 1 << 16,
	};
	space->table = reserve(space->nr_slots * sizeof(uint64_t));
}

static inline void space_close(struct space *space)
{
	munmap(space->keys, MOST_WORLDS * sizeof(uint64_t));
	munmap(space->from, MOST_WORLDS * sizeof(uint32_t));
	munmap(space->table, space->nr_slots * sizeof(uint64_t));
}

static inline uint64_t *first_slot_of(const struct space *space, uint64_t key)
{
	uint64_t hash = (key ^ key >> 32) * 0x9e3779b97f4a7c15ULL;

	return &space->table[(hash ^ hash >> 29) >> 16 & (space->nr_slots - 1)];
}

/* Where a key is in the table, or would be. */
static inline uint64_t *slot_of(const struct space *space, uint64_t key)
{
	uint64_t *slot = first_slot_of(space, key);

	while (*slot && *slot != key + 1)
		slot = slot + 1 < space->table + space->nr_slots ? slot + 1 : space->table;
	return slot;
}

static inline void grow_table(struct space *space)
{
	uint32_t i;

	munmap(space->table, space->nr_slots * sizeof(uint64_t));
	space->nr_slots *= 2;
	space->table = reserve(space->nr_slots * sizeof(uint64_t));
	for (i = 0; i < space->nr; i++)
		*slot_of(space, space->keys[i]) = space->keys[i] + 1;
}

/* True: it was not known. */
static inline bool space_add(struct space *space, uint64_t key, uint32_t from)
{
	uint64_t *slot = slot_of(space, key);

	if (*slot)
		return false;
	assert_true(space->nr < MOST_WORLDS);
	*slot = key + 1;
	space->keys[space->nr] = key;
	space->from[space->nr++] = from;
	if (space->nr > space->nr_slots / 2)
		grow_table(space);
	return true;
}

/* The worst that they can do. */
static inline void load_tlbs(struct world *w)
{
	unsigned int p;

	for (p = 0; p < nr_parties(); p++)
		if (w->parties[p].tlb < w->parties[p].leaf)
			w->parties[p].tlb = w->parties[p].leaf;
}

/* Woken is who waits, and is first. */
static inline void nobody_is_woken_in_vain(struct world *w)
{
	unsigned int t;

	for (t = 0; t < nr_tasks; t++)
		if (w->tasks[t].place == 1 && waits(&w->tasks[t]))
			return;
	w->woken = false;
}

/* A step from a world; NULL, or what is wrong with it.  *happened: there is such a step. */
static inline const char *step(const struct world *was, struct world *w, enum act act,
			       unsigned int t, bool *happened)
{
	*w = *was;
	wrong = NULL;
	*happened = happens(w, act, t);
	if (!*happened)
		return NULL;
	load_tlbs(w);
	nobody_is_woken_in_vain(w);
	return check(w);
}

/*
 * All steps from a world, unless one is wrong.  Where the worlds are to which they lead is asked of memory
 * for all of them before it is looked at: most of the time goes into waiting for that.
 */
static inline void explore_from(struct space *space, uint32_t from)
{
	struct world was = world_of(space->keys[from]), next[NR_ACTS * MOST];
	unsigned int t, acts, act, nr = 0, i;
	uint64_t keys[NR_ACTS * MOST];
	bool happened;

	space->bad = from;
	for (t = 0; t < nr_tasks; t++)
		for (acts = acts_to_try(&was, t); acts; acts &= acts - 1) {
			act = __builtin_ctz(acts);
			space->wrong = step(&was, &next[nr], act, t, &happened);
			if (space->wrong)
				return;
			if (!happened)
				continue;
			space->acts[act]++;
			keys[nr] = key_of(&next[nr]);
			__builtin_prefetch(first_slot_of(space, keys[nr]), 1);
			nr++;
		}
	for (i = 0; i < nr && !space->wrong; i++)
		if (space_add(space, keys[i], from))
			space->wrong = check_progress(&next[i]);
}

/* Nearest first: what is found to be wrong is found by the fewest steps. */
static inline void explore(struct space *space)
{
	struct world first = {0};
	uint32_t from, end = 0;

	space_add(space, key_of(&first), 0);
	for (from = 0; from < space->nr && !space->wrong; from++) {
		if (from == end) {
			end = space->nr;
			space->depth++;
		}
		explore_from(space, from);
	}
}

static const char *const act_names[NR_ACTS] = {
	[COME] = "is born",
	[ASK] = "asks to read",
	[ASK + WRITE] = "asks to write",
	[ASK + HOLD] = "asks to read and hold",
	[ASK + WRITE + HOLD] = "asks to write and hold",
	[YIELD] = "gives it up",
	[YIELD + 1] = "stays a reader",
	[GO] = "is to go",
	[GIVE_UP] = "is killed and does not end what it began",
	[NOT_WAIT] = "is killed and does not wait",
	[GO_ON] = "goes on",
	[LOSE] = "is made to lose it",
	[RELEASE] = "releases it",
};

static inline void tell_step(const struct world *w, enum act act, unsigned int t)
{
	static const char *const states[] = {"shared", "owned", "inval", "recall"};
	static const char rights[] = "-rw";
	unsigned int i;

	print_message("# %u %-41s: %-6s owner %u readers %#" PRIx64 " held %u%s%s;", t + 1,
		      act_names[act], states[word_state(w->word) & 3], word_owner(w->word),
		      word_readers(w->word), word_held(w->word),
		      w->word & WORD_HELD_ALONE ? " alone" : "",
		      word_waited(w->word) ? " waited" : "");
	for (i = 0; i < nr_parties(); i++)
		print_message(" %u:%c%c", numbers[i], rights[w->parties[i].leaf],
			      rights[w->parties[i].tlb]);
	print_message(" tasks");
	for (i = 0; i < nr_tasks; i++)
		print_message(" %u@%u", w->tasks[i].at, w->tasks[i].place);
	print_message("\n");
}

/* Go from a world to one that has a key, or to one with which something is wrong. */
static inline bool tell_way(struct world *w, const uint64_t *key)
{
	unsigned int t, act;
	struct world next;
	bool happened;

	for (act = 0; act < NR_ACTS; act++)
		for (t = 0; t < nr_tasks; t++) {
			const char *found = step(w, &next, act, t, &happened);

			if (!happened || (key && key_of(&next) != *key))
				continue;
			if (!key && !found && !check_progress(&next))
				continue;
			tell_step(&next, act, t);
			*w = next;
			return true;
		}
	return false;
}

/* What led to what is wrong. */
static inline void tell(const struct space *space)
{
	uint32_t way[200], nr = 0, at;
	struct world w = {0};

	for (at = space->bad; at && nr < ARRAY_SIZE(way); at = space->from[at])
		way[nr++] = at;
	while (nr)
		tell_way(&w, &space->keys[way[--nr]]);
	tell_way(&w, NULL);
}

#endif /* WORDS_SPACE_H */
