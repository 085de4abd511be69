/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parties that share a page, and what each of them may do next: a model of what the module does
 * around the transitions of the page's word, step by step, where others may come in between.
 *
 * A party has a leaf in its tables, and a TLB, which may load the leaf whenever it likes and keeps what it
 * has until it is flushed.  Nobody asks what is in a TLB, and the more there is, the more it breaks: the worst
 * that it can do is to load each leaf at once, and so it does here.  A party has tasks, of which each does one
 * thing at a time; no two of a party hold the page, or want to.
 *
 * What is one step here takes, in the module, one CAS of the word, a lock of the party's (its leaf changes
 * as the word is looked at), or the line's lock (somebody stands in it, or leaves it).  Parties come and
 * go between steps: that a bit is a party's alone (word_ask) has to stay true until the CAS.
 */
#ifndef WORDS_PARTIES_H
#define WORDS_PARTIES_H

#include "mutants.h"

/* Tasks at most, and as many parties. */
#define MOST 4

/* What a task asks for, as bits of a number. */
enum { WRITE = 1, HOLD = 2, KINDS = 4 };

/**
 * enum at - what a task is doing; where several follow, the kind of what it asks for is added
 * @GONE:	nothing: it is not there
 * @IDLE:	nothing yet
 * @ASKS:	found that it was taken away again, and is to ask anew; without HOLD
 * @STANDS:	was told to wait, and is to stand in line
 * @MAPS:	was told that the party has the page, and is to map it; without HOLD.  From here on it may be in line
 * @WAITS:	stands in line
 * @TAKES:	was told that others are to lose it, and sees to that
 * @YIELDS:	gives it up, or, if that is added, stays a reader.  From here on it is not in line
 * @GOES:	is to take it out of the party's tables, then to flush the TLB, then to leave
 */
enum at {
	GONE,
	IDLE,
	ASKS,
	STANDS = ASKS + 2,
	MAPS = STANDS + KINDS,
	WAITS = MAPS + 2,
	TAKES = WAITS + KINDS,
	YIELDS = TAKES + KINDS,
	GOES = YIELDS + 2,
	NR_AT = GOES + 3,
};

/* What others see to when a party is to lose a page. */
enum loss { KEEPS, TAKE_OUT, FLUSH, NR_LOSSES };

/**
 * struct task - one who does things
 * @at:		one of enum at
 * @holds:	enum word_grant: what nobody takes from its party
 * @place:	in the line, from 1 on; 0: it is not in it
 */
struct task {
	uint8_t at;
	uint8_t holds;
	uint8_t place;
};

/**
 * struct party - who shares a page
 * @leaf:	enum word_grant: what its tables allow
 * @tlb:	the same of what may be in the TLB
 * @loss:	what is still to be done for it to lose the page
 */
struct party {
	uint8_t leaf;
	uint8_t tlb;
	uint8_t loss;
};

/**
 * struct world - all there is
 * @word:	of the page
 * @tasks:	those of a party follow each other
 * @parties:	as many as there are tasks, or half
 * @woken:	who is first in line is to ask
 */
struct world {
	uint64_t word;
	struct task tasks[MOST];
	struct party parties[MOST];
	bool woken;
};

/* How many tasks there are, how many of them each party has, and what was wrong in the last step. */
static unsigned int nr_tasks, tasks_each;
static const char *wrong;

/* So that 1 and 3, and 2 and 4, which share bits if there are two of these, are neighbours. */
static const unsigned int numbers[MOST] = {1, 3, 2, 4};

static inline unsigned int party_of(unsigned int t)
{
	return tasks_each == 2 ? t / 2 : t;
}

static inline unsigned int nr_parties(void)
{
	return tasks_each == 2 ? nr_tasks / 2 : nr_tasks;
}

static inline void expect(bool so, const char *what)
{
	if (!so && !wrong)
		wrong = what;
}

/* What somebody who asks for that holds then: enum word_grant. */
static inline uint8_t hold_of(const struct word_ask *ask)
{
	return !ask->hold ? WORD_NOTHING : ask->write ? WORD_WRITE : WORD_READ;
}

static inline bool lives(const struct world *w, unsigned int p)
{
	unsigned int t;

	for (t = p * tasks_each; t < (p + 1) * tasks_each; t++)
		if (w->tasks[t].at != GONE)
			return true;
	return false;
}

static inline unsigned int length_of_line(const struct world *w)
{
	unsigned int t, nr = 0;

	for (t = 0; t < nr_tasks; t++)
		nr += !!w->tasks[t].place;
	return nr;
}

static inline bool waits(const struct task *task)
{
	return task->at >= WAITS && task->at < TAKES;
}

static inline bool takes(const struct task *task)
{
	return task->at >= TAKES && task->at < GOES;
}

/* Does a party hold it, or is it about to? */
static inline bool is_holder(const struct world *w, unsigned int p)
{
	unsigned int t;

	for (t = p * tasks_each; t < (p + 1) * tasks_each; t++) {
		const struct task *task = &w->tasks[t];
		unsigned int kind = 0;

		if (task->at >= STANDS && task->at < MAPS)
			kind = task->at - STANDS;
		else if (waits(task))
			kind = task->at - WAITS;
		else if (task->at >= TAKES && task->at < YIELDS)
			kind = task->at - TAKES;
		if (task->holds || kind & HOLD)
			return true;
	}
	return false;
}

/* The party's bit, if no other that lives has the same. */
static inline uint64_t alone(const struct world *w, unsigned int p)
{
	unsigned int other;

	for (other = 0; other < nr_parties(); other++)
		if (other != p && lives(w, other) &&
		    word_bit(numbers[other]) == word_bit(numbers[p]))
			return 0;
	return word_bit(numbers[p]);
}

/* Who is not in line does not look at who is. */
static inline bool may_ask(const struct task *task)
{
	return is(any_in_line_is_next) ? task->place : task->place == 1;
}

static inline struct word_ask ask_for(const struct world *w, unsigned int t, unsigned int kind)
{
	return (struct word_ask){
		.party = numbers[party_of(t)],
		.alone = alone(w, party_of(t)),
		.write = kind & WRITE,
		.hold = kind & HOLD,
		.next = may_ask(&w->tasks[t]),
	};
}

/* Who has changed a word in which it says that somebody waits wakes the first of these. */
static inline void changed(struct world *w, uint64_t before)
{
	if (w->word != before && word_waited(w->word) && !is(does_not_wake))
		w->woken = true;
}

static inline enum loss first_loss(void)
{
	return is(does_not_take_out) || is(flushes_before_taking_out) ? FLUSH : TAKE_OUT;
}

/* Others are to lose the page. */
static inline void begin_losses(struct world *w, unsigned int p)
{
	uint64_t losers = do_losers(w->word);
	unsigned int other;

	for (other = 0; other < nr_parties(); other++)
		if (other != p && lives(w, other) && (losers & word_bit(numbers[other])))
			w->parties[other].loss = first_loss();
}

/* Nobody gets what another, who came earlier and still waits, would have to lose, or to wait for. */
static inline void expect_in_turn(const struct world *w, unsigned int t, unsigned int kind)
{
	const struct task *task = &w->tasks[t], *other;
	unsigned int i;

	for (i = 0; i < nr_tasks; i++) {
		other = &w->tasks[i];
		if (party_of(i) == party_of(t) || !waits(other))
			continue;
		if (task->place && task->place < other->place)
			continue;
		expect(!(kind & WRITE) && !((other->at - WAITS) & WRITE),
		       "somebody came later, and had it first");
	}
}

static inline void ask(struct world *w, unsigned int t, unsigned int kind)
{
	struct word_ask ask = ask_for(w, t, kind);
	struct task *task = &w->tasks[t];
	uint64_t before = w->word;

	if (task->place)
		w->woken = false;
	switch (do_want(&w->word, ask)) {
	case WORD_TAKEN:
		expect_in_turn(w, t, kind);
		if (ask.hold)
			task->holds = hold_of(&ask);
		/* fall through */
	case WORD_HAS:
		task->at = MAPS + (kind & WRITE);
		break;
	case WORD_BEGUN:
		expect_in_turn(w, t, kind);
		task->at = TAKES + kind;
		begin_losses(w, party_of(t));
		break;
	case WORD_WAIT:
		expect(w->word == before, "who is to wait has changed the word");
		task->at = (task->place ? WAITS : STANDS) + kind;
		break;
	default:
		expect(false, "there are not so many who hold it");
	}
	changed(w, before);
}

/* It may have been taken away since; or, if somebody holds it, it may not. */
static inline void map(struct world *w, unsigned int t, bool write)
{
	struct party *party = &w->parties[party_of(t)];
	struct task *task = &w->tasks[t];
	enum word_grant grant = do_grants(w->word, numbers[party_of(t)]);

	if (is(maps_without_asking))
		grant = write ? WORD_WRITE : WORD_READ;
	if (grant < (write ? WORD_WRITE : WORD_READ)) {
		expect(grant >= task->holds, "what is held was taken away");
		task->at = ASKS + write;
		return;
	}
	party->leaf = grant;
	task->at = IDLE;
}

static inline void stand(struct world *w, unsigned int t)
{
	struct task *task = &w->tasks[t];

	task->at += WAITS - STANDS;
	task->place = length_of_line(w) + 1;
	w->word |= WORD_WAITED;
	/* It may have become free since it was told to wait. */
	if (task->place == 1 && !is(sleeps_without_asking_again))
		w->woken = true;
}

static inline void leave_line(struct world *w, unsigned int t)
{
	unsigned int i, place = w->tasks[t].place;

	w->tasks[t].place = 0;
	for (i = 0; i < nr_tasks; i++)
		w->tasks[i].place -= w->tasks[i].place > place;
	if (!length_of_line(w))
		w->word &= ~WORD_WAITED;
	if (place == 1 && !is(leaves_the_line_without_waking))
		w->woken = true;
}

static inline bool yields(const struct world *w, unsigned int p)
{
	unsigned int t;

	for (t = p * tasks_each; t < (p + 1) * tasks_each; t++)
		if (w->tasks[t].at >= YIELDS && w->tasks[t].at < GOES)
			return true;
	return false;
}

/* Whose page others are to read, too, goes on to read it. */
static inline uint8_t what_stays(const struct world *w, unsigned int p)
{
	uint8_t leaf = w->parties[p].leaf;

	if (word_state(w->word) != WORD_RECALL || word_owner(w->word) != numbers[p])
		return WORD_NOTHING;
	return leaf > WORD_READ && !is(recall_leaves_it_writable) ? WORD_READ : leaf;
}

/* One step of a party that loses the page, or the right to write it. */
static inline void lose(struct world *w, unsigned int p)
{
	struct party *party = &w->parties[p];
	uint8_t leaf = party->leaf;

	if (party->loss == TAKE_OUT)
		party->leaf = what_stays(w, p);
	else if (!is(does_not_flush) && !(is(yields_without_flush) && yields(w, p)))
		party->tlb = WORD_NOTHING;
	if (is(flushes_before_taking_out))
		party->loss = party->loss == FLUSH ? TAKE_OUT : KEEPS;
	else
		party->loss = party->loss == TAKE_OUT ? FLUSH : KEEPS;
	/* Not if the party itself has changed the leaf since, and not flushed, as it was told to read. */
	if (is(flushes_what_it_changes) && party->loss == FLUSH && party->leaf == leaf)
		party->loss = KEEPS;
}

static inline bool all_have_lost(const struct world *w)
{
	unsigned int p;

	for (p = 0; p < nr_parties(); p++)
		if (w->parties[p].loss)
			return false;
	return true;
}

static inline void end(struct world *w, unsigned int t, bool give_up)
{
	struct task *task = &w->tasks[t];
	bool yielding = task->at >= YIELDS;
	unsigned int kind = yielding ? (task->at == YIELDS ? WRITE : 0) : task->at - TAKES;
	struct word_ask ask = ask_for(w, t, kind);
	uint64_t before = w->word;
	enum word_grant grant;

	expect(give_up ? do_give_up(&w->word, &ask) : do_end(&w->word, &ask),
	       "what was begun cannot be ended");
	grant = do_grants(w->word, ask.party);
	task->at = IDLE;
	if (give_up) {
		expect(grant < WORD_WRITE, "who gives up may write");
	} else if (!yielding) {
		expect(grant == (ask.write ? WORD_WRITE : WORD_READ),
		       "who has ended what it began has not what it wanted");
		if (ask.hold)
			task->holds = hold_of(&ask);
		task->at = MAPS + ask.write;
	}
	changed(w, before);
}

/* A party begins to give up what it has alone. */
static inline bool yield(struct world *w, unsigned int t, bool read)
{
	unsigned int p = party_of(t);
	uint64_t before = w->word;

	if (!do_yield(&w->word, numbers[p], read))
		return false;
	w->tasks[t].at = YIELDS + read;
	w->parties[p].loss = first_loss();
	changed(w, before);
	return true;
}

/* No task of it is in the middle of something; one of them does the rest. */
static inline bool go(struct world *w, unsigned int t)
{
	unsigned int p = party_of(t), i;

	for (i = p * tasks_each; i < (p + 1) * tasks_each; i++)
		if (w->tasks[i].at != IDLE || w->tasks[i].holds)
			return false;
	for (i = p * tasks_each; i < (p + 1) * tasks_each; i++)
		w->tasks[i].at = i == t ? GOES : GONE;
	if (is(goes_with_what_it_maps))
		w->tasks[t].at = GOES + 2;
	return true;
}

static inline void go_on_going(struct world *w, unsigned int t)
{
	unsigned int p = party_of(t);
	uint64_t before = w->word;

	switch (w->tasks[t].at++) {
	case GOES:
		w->parties[p].leaf = WORD_NOTHING;
		break;
	case GOES + 1:
		if (!is(goes_without_flush))
			w->parties[p].tlb = WORD_NOTHING;
		break;
	default:
		do_leave(&w->word, numbers[p], alone(w, p));
		w->tasks[t].at = GONE;
		changed(w, before);
	}
}

/**
 * enum act - what may happen next, to one task or party
 * @COME:	a party is born
 * @ASK:	an idle task asks, for one of KINDS
 * @YIELD:	a party gives up what it has alone; or, if that is added, stays a reader
 * @GO:		a party begins to go
 * @GIVE_UP:	a task that was killed does not end what it has begun
 * @NOT_WAIT:	nor does one that waits
 * @FINISH:	all from here on finishes what was begun
 * @GO_ON:	a task does the only thing that it can do now
 * @LOSE:	a party is made to lose the page
 * @RELEASE:	a task does not hold it any more
 */
enum act {
	COME,
	ASK,
	YIELD = ASK + KINDS,
	GO = YIELD + 2,
	GIVE_UP,
	NOT_WAIT,
	FINISH,
	GO_ON = FINISH,
	LOSE,
	RELEASE,
	NR_ACTS,
};

/* Those who take the page leave the line first. */
static inline bool takers_left_line(const struct world *w)
{
	unsigned int t;

	for (t = 0; t < nr_tasks; t++)
		if (takes(&w->tasks[t]) && w->tasks[t].place)
			return false;
	return true;
}

static inline bool go_on(struct world *w, unsigned int t)
{
	struct task *task = &w->tasks[t];

	/* It was told that it need not wait. */
	if (task->place && !waits(task)) {
		leave_line(w, t);
		return true;
	}
	switch (task->at) {
	case MAPS ... WAITS - 1:
		map(w, t, task->at - MAPS);
		return true;
	case ASKS ... STANDS - 1:
		ask(w, t, task->at - ASKS);
		return true;
	case STANDS ... MAPS - 1:
		stand(w, t);
		return true;
	case WAITS ... TAKES - 1:
		if (!may_ask(task) || !w->woken)
			return false;
		ask(w, t, task->at - WAITS);
		return true;
	case TAKES ... GOES - 1:
		if (!is(takes_out_after_the_end) && !all_have_lost(w))
			return false;
		end(w, t, task->at == YIELDS);
		return true;
	case GOES ... NR_AT - 1:
		go_on_going(w, t);
		return true;
	default:
		return false;
	}
}

static inline bool begin(struct world *w, enum act act, unsigned int t)
{
	struct task *task = &w->tasks[t];

	if (task->at != IDLE)
		return false;
	if (act >= GO)
		return go(w, t);
	if (act >= YIELD)
		return yield(w, t, act - YIELD);
	if ((act - ASK) & HOLD && is_holder(w, party_of(t)))
		return false;
	ask(w, t, act - ASK);
	return true;
}

/* What there is to try: bits of acts.  All others cannot happen. */
static inline unsigned int acts_to_try(const struct world *w, unsigned int t)
{
	const struct task *task = &w->tasks[t];
	const struct party *party = &w->parties[t];
	unsigned int acts = 0;

	if (task->at == GONE)
		acts |= 1U << COME;
	else if (task->at == IDLE)
		acts |= (1U << GIVE_UP) - (1U << ASK);
	else
		acts |= 1U << GO_ON | 1U << (waits(task) ? NOT_WAIT : GIVE_UP);
	if (task->holds)
		acts |= 1U << RELEASE;
	if (party->loss)
		acts |= 1U << LOSE;
	return acts;
}

/* False: that cannot happen now. */
static inline bool happens(struct world *w, enum act act, unsigned int t)
{
	struct task *task = &w->tasks[t];
	struct party *party = &w->parties[t];
	uint64_t before = w->word;
	unsigned int i;

	switch (act) {
	case COME:
		if ((tasks_each == 2 && t % 2) || lives(w, party_of(t)))
			return false;
		for (i = t; i < t + tasks_each; i++)
			w->tasks[i].at = IDLE;
		return true;
	case ASK ... GIVE_UP - 1:
		return begin(w, act, t);
	case GIVE_UP:
		if (task->at < TAKES || task->at >= YIELDS || task->place || !all_have_lost(w))
			return false;
		end(w, t, true);
		return true;
	case NOT_WAIT:
		if (!waits(task))
			return false;
		leave_line(w, t);
		task->at = IDLE;
		return true;
	case GO_ON:
		return go_on(w, t);
	case LOSE:
		if (t >= nr_parties() || !party->loss || !takers_left_line(w))
			return false;
		lose(w, t);
		return true;
	case RELEASE:
		if (!task->holds)
			return false;
		task->holds = WORD_NOTHING;
		expect(do_release(&w->word), "what is held cannot be released");
		changed(w, before);
		return true;
	default:
		return false;
	}
}

#endif /* WORDS_PARTIES_H */
