/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the word of a page holds, which parties use a morsel by exclusive views: who has the page, and how.
 *
 * A page is one party's alone, which may write it (OWNED), or of any number of readers (SHARED), perhaps of none.
 * In between, it is on its way: to be one party's alone once all others have lost it (INVAL), or to be read by the
 * one that it was and by another (RECALL).  It is the protocol of a directory that keeps copies coherent (Li and
 * Hudak, "Memory coherence in shared virtual memory systems", 1989), where each page has its own, and there are no messages.
 *
 * Who keeps to these rules never lets one write while another reads or writes:
 *
 * 1. A party maps a page only as word_grants() has it, asked with a lock of the party's held, until it is mapped.
 * 2. Who has begun something (WORD_BEGUN) takes the page, with that lock of theirs held, out of the tables of all
 *    others who are to lose it (word_losers()), flushes these, and ends it then (word_end(), word_give_up()).
 *    What it has mapped itself for reading it may keep.
 * 3. A party that goes does so once it has nothing mapped any more, nor is about to (word_leave()); one that
 *    stays gives a page up as another would take it (word_yield()).
 *
 * Parties are numbered from 1 on.  A reader's bit stands for all whose numbers leave the same rest when divided by WORD_GROUPS,
 * so that there may be more of them than bits: it says more than is true, which costs somebody a fault.
 *
 * A transition is a function of one word, which it changes, or refuses to; who calls it makes an atomic one of it.
 */
#ifndef MORSEL_WORD_H
#define MORSEL_WORD_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
#endif

/*
 *	63  56    55       54     53   51 50   40 39      0
 *	| held | alone | waited | state | owner | readers |
 *
 * A word that is 0 is of a page that nobody has.
 */
#ifndef WORD_GROUPS
#define WORD_GROUPS 40
#endif
#define WORD_READERS ((1ULL << WORD_GROUPS) - 1)
#define WORD_OWNER_SHIFT 40
#define WORD_PARTIES 2047
#define WORD_STATE_SHIFT 51
#define WORD_WAITED (1ULL << 54)
#define WORD_HELD_ALONE (1ULL << 55)
#define WORD_HELD_SHIFT 56
#define WORD_HELD_ONE (1ULL << WORD_HELD_SHIFT)
#define WORD_HELD_MOST 255

/**
 * enum word_state - how a page is had
 * @WORD_SHARED:	by the readers, if any, for reading
 * @WORD_OWNED:		by the owner alone, for reading and writing
 * @WORD_INVAL:		it will be the owner's alone, once the readers have lost it
 * @WORD_RECALL:	it was the owner's alone, and will be read by it and the readers
 * @WORD_SPLIT:		of the word of several pages: each has one of its own
 */
enum word_state { WORD_SHARED, WORD_OWNED, WORD_INVAL, WORD_RECALL, WORD_SPLIT };

/**
 * struct word_ask - what a party wants
 * @party:	its number
 * @alone:	its bit, if no other party has the same, nor one comes that has before the word is changed; else 0
 * @write:	to have it alone; else to read
 * @hold:	and that nobody takes it away before word_release(); what it holds already, a party does not ask for
 * @next:	nobody who waits for it came earlier
 */
struct word_ask {
	unsigned int party;
	uint64_t alone;
	bool write;
	bool hold;
	bool next;
};

/**
 * enum word_answer - what becomes of that
 * @WORD_HAS:	the party has it; the word is as it was
 * @WORD_TAKEN:	it has it now
 * @WORD_BEGUN:	others are to lose it first: rule 2
 * @WORD_WAIT:	it is held, or on its way, or others wait that came earlier; the word is as it was
 * @WORD_FULL:	too many hold it; the word is as it was
 */
enum word_answer { WORD_HAS, WORD_TAKEN, WORD_BEGUN, WORD_WAIT, WORD_FULL };

/* What a party may do with a page. */
enum word_grant { WORD_NOTHING, WORD_READ, WORD_WRITE };

static inline enum word_state word_state(uint64_t word)
{
	return (enum word_state)(word >> WORD_STATE_SHIFT & 7);
}

static inline unsigned int word_owner(uint64_t word)
{
	return word >> WORD_OWNER_SHIFT & WORD_PARTIES;
}

static inline uint64_t word_readers(uint64_t word)
{
	return word & WORD_READERS;
}

static inline unsigned int word_held(uint64_t word)
{
	return word >> WORD_HELD_SHIFT;
}

static inline bool word_waited(uint64_t word)
{
	return word & WORD_WAITED;
}

static inline uint64_t word_bit(unsigned int party)
{
	return 1ULL << party % WORD_GROUPS;
}

/* Is it on its way? */
static inline bool word_moves(uint64_t word)
{
	return word_state(word) == WORD_INVAL || word_state(word) == WORD_RECALL;
}

/* The same for others, who wait for it and hold it. */
static inline uint64_t word_become(uint64_t word, enum word_state state, unsigned int owner,
				   uint64_t readers)
{
	return (word & ~(WORD_WAITED - 1)) | (uint64_t)state << WORD_STATE_SHIFT |
	       (uint64_t)owner << WORD_OWNER_SHIFT | readers;
}

/* Somebody holds it, whom it was just given, or had it. */
static inline void word_hold(uint64_t *word, const struct word_ask *ask)
{
	if (ask->hold)
		*word += WORD_HELD_ONE | (ask->write ? WORD_HELD_ALONE : 0);
}

/* What a party may do now. */
static inline enum word_grant word_grants(uint64_t word, unsigned int party)
{
	switch (word_state(word)) {
	case WORD_SHARED:
		return word_readers(word) & word_bit(party) ? WORD_READ : WORD_NOTHING;
	case WORD_OWNED:
		return word_owner(word) == party ? WORD_WRITE : WORD_NOTHING;
	case WORD_RECALL:
		return word_owner(word) == party ? WORD_READ : WORD_NOTHING;
	default:
		return WORD_NOTHING;
	}
}

/*
 * Who is to lose it, or with WORD_RECALL to write it: the bits of these; nobody else has it.  The owner's may be among
 * those of WORD_INVAL, as it has read it; who takes it does not lose it.
 */
static inline uint64_t word_losers(uint64_t word)
{
	return word_state(word) == WORD_RECALL ? word_bit(word_owner(word)) : word_readers(word);
}

static inline enum word_answer word_take(uint64_t *word, const struct word_ask *ask)
{
	uint64_t others = word_readers(*word) & ~ask->alone;

	if (!ask->write)
		*word |= word_bit(ask->party);
	else if (!others)
		*word = word_become(*word, WORD_OWNED, ask->party, 0);
	else
		*word = word_become(*word, WORD_INVAL, ask->party, word_readers(*word));
	if (word_state(*word) == WORD_INVAL)
		return WORD_BEGUN;
	word_hold(word, ask);
	return WORD_TAKEN;
}

static inline enum word_answer word_take_from(uint64_t *word, const struct word_ask *ask)
{
	unsigned int owner = word_owner(*word);

	if (ask->write)
		*word = word_become(*word, WORD_INVAL, ask->party, word_bit(owner));
	else
		*word = word_become(*word, WORD_RECALL, owner, word_bit(ask->party));
	return WORD_BEGUN;
}

/* A party wants a page; not of a word that is WORD_SPLIT. */
static inline enum word_answer word_want(uint64_t *word, const struct word_ask *ask)
{
	enum word_grant grant = word_grants(*word, ask->party);
	bool has = grant == WORD_WRITE || (grant == WORD_READ && !ask->write);

	/* Who has it already need not stand in line, but to hold it. */
	if (word_moves(*word))
		return WORD_WAIT;
	if (has && !ask->hold)
		return WORD_HAS;
	if (word_waited(*word) && !ask->next)
		return WORD_WAIT;
	if (ask->hold && word_held(*word) == WORD_HELD_MOST)
		return WORD_FULL;
	if (has) {
		word_hold(word, ask);
		return WORD_TAKEN;
	}
	/* Who holds it to read lets others read; but nobody writes what is held. */
	if (*word & WORD_HELD_ALONE || (ask->write && word_held(*word)))
		return WORD_WAIT;
	return word_state(*word) == WORD_OWNED ? word_take_from(word, ask) : word_take(word, ask);
}

/* End what a party has begun: it has the page.  False: that was not so. */
static inline bool word_end(uint64_t *word, const struct word_ask *ask)
{
	unsigned int owner = word_owner(*word);

	if (ask->write && word_state(*word) == WORD_INVAL && owner == ask->party)
		*word = word_become(*word, WORD_OWNED, owner, 0);
	else if (!ask->write && word_state(*word) == WORD_RECALL &&
		 word_readers(*word) == word_bit(ask->party))
		*word = word_become(*word, WORD_SHARED, 0, word_bit(owner) | word_bit(ask->party));
	else
		return false;
	word_hold(word, ask);
	return true;
}

/* The same, without having it: nobody writes it then, and who gives up reads it if it did before.  False as there. */
static inline bool word_give_up(uint64_t *word, const struct word_ask *ask)
{
	if (ask->write && word_state(*word) == WORD_INVAL && word_owner(*word) == ask->party)
		*word = word_become(*word, WORD_SHARED, 0,
				    word_readers(*word) & word_bit(ask->party));
	else if (!ask->write && word_state(*word) == WORD_RECALL &&
		 word_readers(*word) == word_bit(ask->party))
		*word = word_become(*word, WORD_SHARED, 0, word_bit(word_owner(*word)));
	else
		return false;
	return true;
}

/* Who holds it does not any more. */
static inline bool word_release(uint64_t *word)
{
	if (!word_held(*word))
		return false;
	/* Who held it alone was the only one. */
	*word = (*word - WORD_HELD_ONE) & ~WORD_HELD_ALONE;
	return true;
}

/*
 * A party gives up what it has alone, or, if it is to be @read still, the right to write it.  As WORD_BEGUN, but that
 * it is the loser itself, and no other, whatever word_losers() says; word_give_up() ends it, or word_end() for one who
 * reads.  False: it had not, or it is held.
 */
static inline bool word_yield(uint64_t *word, unsigned int party, bool read)
{
	if (word_state(*word) != WORD_OWNED || word_owner(*word) != party || word_held(*word))
		return false;
	if (read)
		*word = word_become(*word, WORD_RECALL, party, word_bit(party));
	else
		*word = word_become(*word, WORD_INVAL, party, 0);
	return true;
}

/*
 * A party has nothing mapped any more, nor will have.  False: it had not the page.  Where others have the same bit,
 * that stays.
 */
static inline bool word_leave(uint64_t *word, unsigned int party, uint64_t alone)
{
	if (word_state(*word) == WORD_OWNED && word_owner(*word) == party)
		*word = word_become(*word, WORD_SHARED, 0, 0);
	else if (word_state(*word) == WORD_SHARED && word_readers(*word) & alone)
		*word &= ~alone;
	else
		return false;
	return true;
}

/*
 * A party that holds a page to write it has it go, for one word of several pages to say so; what is mapped stays.  False: that is
 * not so.
 */
static inline bool word_fold(uint64_t *word, unsigned int party)
{
	if (word_state(*word) != WORD_OWNED || word_owner(*word) != party ||
	    !(*word & WORD_HELD_ALONE))
		return false;
	*word = word_become(*word, WORD_INVAL, party, 0) & ~WORD_HELD_ALONE;
	*word -= WORD_HELD_ONE;
	return true;
}

/* May each of several pages, which have had one word, have its own? */
static inline bool word_may_split(uint64_t word)
{
	return word_state(word) == WORD_SHARED || word_state(word) == WORD_OWNED;
}

#endif /* MORSEL_WORD_H */
