/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What must be so, whatever parties do: in each world, of each step, and of what a world leads to.
 */
#ifndef WORDS_RULES_H
#define WORDS_RULES_H

#include "parties.h"

/* What a party can do with the page: TLBs have what leaves are, and keep what they were. */
static inline enum word_grant can(const struct world *w, unsigned int p)
{
	return w->parties[p].tlb;
}

/* Who may still do what, as the word has it: until they are made to lose it, more than it grants. */
static inline enum word_grant most(uint64_t word, unsigned int party)
{
	bool owner = word_owner(word) == party, reader = word_readers(word) & word_bit(party);

	switch (word_state(word)) {
	case WORD_SHARED:
		return reader ? WORD_READ : WORD_NOTHING;
	case WORD_INVAL:
		return owner || reader ? WORD_WRITE : WORD_NOTHING;
	default:
		return owner ? WORD_WRITE : WORD_NOTHING;
	}
}

/*
 * Looking at what comes of it alone: one writes while another reads or writes, or what was held is not, and not that the
 * word has lost sight of somebody.
 */
static bool outcomes_only;

static inline void check_rights(const struct world *w)
{
	unsigned int p, able = 0, writers = 0;

	for (p = 0; p < nr_parties(); p++) {
		able += can(w, p) != WORD_NOTHING;
		writers += can(w, p) == WORD_WRITE;
		expect(outcomes_only || can(w, p) <= most(w->word, numbers[p]),
		       "the word has lost sight of somebody");
		expect(outcomes_only || lives(w, p) || !can(w, p),
		       "a party that has gone has something mapped");
	}
	expect(!writers || able == 1, "one writes while another reads or writes");
}

/* What the word says of itself. */
static inline void check_word(const struct world *w)
{
	unsigned int t, holders = 0, to_write = 0, busy = 0, owner = word_owner(w->word), p;
	enum word_state state = word_state(w->word);
	bool is_party = false, alone = w->word & WORD_HELD_ALONE;

	for (t = 0; t < nr_tasks; t++) {
		holders += w->tasks[t].holds != WORD_NOTHING;
		to_write += w->tasks[t].holds == WORD_WRITE;
		busy += takes(&w->tasks[t]);
	}
	for (p = 0; p < nr_parties(); p++)
		is_party |= numbers[p] == owner;
	expect(word_held(w->word) == holders, "the word does not count who holds it");
	expect(outcomes_only || alone == !!to_write,
	       "it is held to write, and the word does not say so, or it is not");
	expect(!alone || (state == WORD_OWNED && holders == 1),
	       "it is held alone, and not owned, or by two");
	expect(!holders || state != WORD_INVAL, "what is held is on its way to another");
	expect(busy == (state == WORD_INVAL || state == WORD_RECALL),
	       "it is on its way, and nobody sees to that, or two do, or it is not");
	expect(state == WORD_SHARED ? !owner : is_party, "the owner is nobody, or somebody is");
	expect(state != WORD_OWNED || !word_readers(w->word), "what is owned has readers");
	expect(do_may_split(w->word) == !busy,
	       "it may be split while it is on its way, or not though it is not");
}

/* Nobody takes what they hold from those who hold the page, and nobody else writes it. */
static inline void check_holders(const struct world *w)
{
	unsigned int t, p, own;

	for (t = 0; t < nr_tasks; t++) {
		own = party_of(t);
		if (!w->tasks[t].holds)
			continue;
		expect(do_grants(w->word, numbers[own]) >= w->tasks[t].holds,
		       "who holds it may not do what it does");
		for (p = 0; p < nr_parties(); p++)
			expect(p == own || can(w, p) < WORD_WRITE,
			       "one holds it, and another writes");
	}
}

/* NULL, or what is wrong with the world, or with the step that led there. */
static inline const char *check(const struct world *w)
{
	check_word(w);
	check_rights(w);
	check_holders(w);
	return wrong;
}

/* Those who are doing something, or wait for that. */
static inline unsigned int nr_busy(const struct world *w)
{
	unsigned int t, nr = 0;

	for (t = 0; t < nr_tasks; t++)
		nr += w->tasks[t].at != GONE && w->tasks[t].at != IDLE;
	return nr;
}

/* Some step that finishes something: first what others wait for. */
static inline bool finish_one(struct world *w)
{
	static const struct {
		enum act act;
		uint8_t from, to; /* of enum at */
	} order[] = {
		{GO_ON, MAPS, WAITS}, {LOSE, GONE, NR_AT},   {GO_ON, TAKES, NR_AT},
		{GO_ON, ASKS, MAPS},  {GO_ON, WAITS, TAKES}, {RELEASE, GONE, NR_AT},
	};
	unsigned int i, t;

	for (i = 0; i < ARRAY_SIZE(order); i++)
		for (t = 0; t < nr_tasks; t++)
			if (w->tasks[t].at >= order[i].from && w->tasks[t].at < order[i].to &&
			    happens(w, order[i].act, t))
				return true;
	return false;
}

/*
 * Fails if somebody would wait for ever, though all others finish what they have begun, and begin
 * nothing more.
 *
 * If in each world there are steps by which one more is done, then all get done, those who wait, too:
 * what is left to do is a world with one less to get done, of which the same is true.
 */
static inline const char *check_progress(const struct world *w)
{
	unsigned int busy = nr_busy(w), steps = 100;
	struct world later = *w;

	while (busy && nr_busy(&later) >= busy && !wrong) {
		expect(steps--, "they go on and on, and nothing gets done");
		if (!wrong)
			expect(finish_one(&later), "somebody waits for ever");
	}
	return wrong;
}

#endif /* WORDS_RULES_H */
