// SPDX-License-Identifier: GPL-2.0
/*
 * The word of a page beside a model of it, which is no word, but lists of who does what: whatever
 * is asked of both, they answer the same, and are the same afterwards.
 *
 * What the word is to be is said with numbers, not with the macros of word.h.  A failure says which
 * act it was.
 */
#include "mutants.h"

#define GROUPS 40
#define NUMBERS 2048
#define MANY 400

enum how { SHARED, OWNED, INVAL, RECALL };

/**
 * struct page - the model
 * @how:	it is had
 * @owner:	the number of a party; 0: nobody
 * @reads:	whether some party may that leaves this rest when divided by 40
 * @held:	how often
 * @alone:	it is, to write
 * @waited:	for
 */
struct page {
	enum how how;
	unsigned int owner;
	bool reads[GROUPS];
	unsigned int held;
	bool alone, waited;
};

/* What a party asks for; @alone: no other has its rest. */
struct wish {
	unsigned int party;
	bool alone, write, hold, next;
};

static uint64_t word_of(const struct page *page)
{
	uint64_t word = page->held * 72057594037927936ULL + page->alone * 36028797018963968ULL +
			page->waited * 18014398509481984ULL + page->how * 2251799813685248ULL +
			page->owner * 1099511627776ULL;
	uint64_t bit = 1;
	int i;

	for (i = 0; i < GROUPS; i++, bit *= 2)
		word += page->reads[i] * bit;
	return word;
}

static uint64_t bit_of(unsigned int party)
{
	uint64_t bit = 1;

	for (party %= GROUPS; party; party--)
		bit *= 2;
	return bit;
}

static struct word_ask ask_of(const struct wish *wish)
{
	return (struct word_ask){
		.party = wish->party,
		.alone = wish->alone ? bit_of(wish->party) : 0,
		.write = wish->write,
		.hold = wish->hold,
		.next = wish->next,
	};
}

static bool may_read(const struct page *page, unsigned int party)
{
	if (page->how == SHARED)
		return page->reads[party % GROUPS];
	return page->how != INVAL && page->owner == party;
}

static bool may_write(const struct page *page, unsigned int party)
{
	return page->how == OWNED && page->owner == party;
}

static void nobody_reads(struct page *page)
{
	memset(page->reads, 0, sizeof(page->reads));
}

static bool others_read(const struct page *page, const struct wish *wish)
{
	int i;

	for (i = 0; i < GROUPS; i++)
		if (page->reads[i] && !(wish->alone && i == (int)(wish->party % GROUPS)))
			return true;
	return false;
}

static void hold(struct page *page, const struct wish *wish)
{
	if (!wish->hold)
		return;
	page->held++;
	page->alone = wish->write;
}

static enum word_answer read_shared(struct page *page, const struct wish *wish)
{
	page->reads[wish->party % GROUPS] = true;
	hold(page, wish);
	return WORD_TAKEN;
}

static enum word_answer write_shared(struct page *page, const struct wish *wish)
{
	page->owner = wish->party;
	if (others_read(page, wish)) {
		page->how = INVAL;
		return WORD_BEGUN;
	}
	page->how = OWNED;
	nobody_reads(page);
	hold(page, wish);
	return WORD_TAKEN;
}

/* From another, who may write. */
static enum word_answer take_over(struct page *page, const struct wish *wish)
{
	nobody_reads(page);
	if (wish->write) {
		page->how = INVAL;
		page->reads[page->owner % GROUPS] = true;
		page->owner = wish->party;
	} else {
		page->how = RECALL;
		page->reads[wish->party % GROUPS] = true;
	}
	return WORD_BEGUN;
}

static enum word_answer want(struct page *page, const struct wish *wish)
{
	bool has = wish->write ? may_write(page, wish->party) : may_read(page, wish->party);

	if (page->how == INVAL || page->how == RECALL)
		return WORD_WAIT;
	if (has && !wish->hold)
		return WORD_HAS;
	if (page->waited && !wish->next)
		return WORD_WAIT;
	if (wish->hold && page->held == 255)
		return WORD_FULL;
	if (has) {
		hold(page, wish);
		return WORD_TAKEN;
	}
	if (page->alone || (page->held && wish->write))
		return WORD_WAIT;
	if (page->how == OWNED)
		return take_over(page, wish);
	return wish->write ? write_shared(page, wish) : read_shared(page, wish);
}

/* Has this been begun by somebody who wanted that? */
static bool begun(const struct page *page, const struct wish *wish)
{
	struct page recalled = {.how = RECALL, .owner = page->owner};

	if (wish->write)
		return page->how == INVAL && page->owner == wish->party;
	recalled.reads[wish->party % GROUPS] = true;
	return page->how == RECALL && !memcmp(page->reads, recalled.reads, sizeof(page->reads));
}

static bool finish(struct page *page, const struct wish *wish)
{
	if (!begun(page, wish))
		return false;
	hold(page, wish);
	if (wish->write) {
		page->how = OWNED;
		nobody_reads(page);
		return true;
	}
	page->how = SHARED;
	page->reads[page->owner % GROUPS] = true;
	page->owner = 0;
	return true;
}

/* Who has read it goes on reading, and so does who has written it. */
static bool abandon(struct page *page, const struct wish *wish)
{
	unsigned int rest = (wish->write ? wish->party : page->owner) % GROUPS;
	bool stays = !wish->write || page->reads[rest];

	if (!begun(page, wish))
		return false;
	page->how = SHARED;
	page->owner = 0;
	nobody_reads(page);
	page->reads[rest] = stays;
	return true;
}

static bool release(struct page *page)
{
	if (!page->held)
		return false;
	page->held--;
	page->alone = false;
	return true;
}

static bool yield(struct page *page, unsigned int party, bool read)
{
	if (!may_write(page, party) || page->held)
		return false;
	page->how = read ? RECALL : INVAL;
	page->reads[party % GROUPS] = read;
	return true;
}

static bool leave(struct page *page, unsigned int party, bool alone)
{
	if (may_write(page, party)) {
		page->how = SHARED;
		page->owner = 0;
		return true;
	}
	if (page->how != SHARED || !alone || !page->reads[party % GROUPS])
		return false;
	page->reads[party % GROUPS] = false;
	return true;
}

/* It is nobody's then, and stays so. */
static bool fold(struct page *page, unsigned int party)
{
	if (!may_write(page, party) || !page->alone)
		return false;
	page->how = INVAL;
	page->held = 0;
	page->alone = false;
	return true;
}

static bool may_split(const struct page *page)
{
	return page->how == SHARED || page->how == OWNED;
}

/* Does the word grant a party what the model does? */
static bool same_grants(const struct page *page, uint64_t word, unsigned int party)
{
	enum word_grant grant = may_write(page, party)	? WORD_WRITE
				: may_read(page, party) ? WORD_READ
							: WORD_NOTHING;

	return do_grants(word, party) == grant;
}

static uint64_t losers_of(const struct page *page)
{
	struct page only = {.how = SHARED};

	if (page->how == RECALL)
		return bit_of(page->owner);
	memcpy(only.reads, page->reads, sizeof(only.reads));
	return word_of(&only);
}

/* NULL, or what of the word is not as the model has it. */
static const char *compare(const struct page *page, uint64_t word, unsigned int party)
{
	if (word != word_of(page))
		return "the word is another";
	if (!same_grants(page, word, party) || !same_grants(page, word, page->owner ?: 1))
		return "a party may do something else";
	if (page->how != OWNED && do_losers(word) != losers_of(page))
		return "others are to lose it";
	if (do_may_split(word) != may_split(page))
		return "it may be split, or may not";
	return NULL;
}

/**
 * enum act - what is done to both
 * @WANT:	a party asks
 * @END:	it ends what was begun; or somebody does who has not begun it
 * @GIVE_UP:	the same
 * @RELEASE:	somebody does not hold it any more
 * @YIELD:	a party gives it up; it reads on, unless it wanted to write
 * @LEAVE:	a party goes
 * @FOLD:	a party has one word take the place of that and others
 */
enum act { WANT, END, GIVE_UP, RELEASE, YIELD, LEAVE, FOLD, NR_ACTS };

/* Do something to both.  NULL, or what is not the same. */
static const char *act(struct page *page, uint64_t *word, enum act what, const struct wish *wish)
{
	struct word_ask ask = ask_of(wish);
	bool same = false;

	switch (what) {
	case WANT:
		same = want(page, wish) == do_want(word, ask);
		break;
	case END:
		same = finish(page, wish) == do_end(word, &ask);
		break;
	case GIVE_UP:
		same = abandon(page, wish) == do_give_up(word, &ask);
		break;
	case RELEASE:
		same = release(page) == do_release(word);
		break;
	case YIELD:
		same = yield(page, wish->party, !wish->write) ==
		       do_yield(word, wish->party, !wish->write);
		break;
	case FOLD:
		same = fold(page, wish->party) == do_fold(word, wish->party);
		break;
	default:
		same = leave(page, wish->party, wish->alone) ==
		       do_leave(word, wish->party, ask.alone);
	}
	return same ? compare(page, *word, wish->party) : "the answer is another";
}

/* Any word that has a form, whether one comes there or not, and parties that it has to do with. */
static void any_page(struct page *page, unsigned int parties[3], uint64_t *random)
{
	uint64_t density = rnd_below(random, 3);
	int i;

	*page = (struct page){
		.how = rnd_below(random, 4),
		.held = rnd_below(random, 2)   ? 0
			: rnd_below(random, 4) ? 1
					       : 255,
		.waited = !rnd_below(random, 3),
	};
	if (page->how == INVAL)
		page->held = 0;
	if (page->how == OWNED && page->held == 1)
		page->alone = rnd_below(random, 2);
	for (i = 0; i < 3; i++)
		parties[i] = 1 + rnd_below(random, NUMBERS - 1);
	/* One of these has the same bit as another. */
	if (parties[0] > GROUPS)
		parties[1] = parties[0] - GROUPS;
	if (page->how != SHARED)
		page->owner = parties[rnd_below(random, 3)];
	for (i = 0; i < GROUPS && page->how != OWNED && page->how != RECALL; i++)
		page->reads[i] = density && !rnd_below(random, density * density * 4);
	for (i = 0; i < 3 && page->how != OWNED; i++)
		if (!rnd_below(random, page->how == RECALL ? 2 : 3)) {
			page->reads[parties[i] % GROUPS] = true;
			if (page->how == RECALL)
				break;
		}
}

static struct wish any_wish(unsigned int party, uint64_t *random)
{
	uint64_t dice = rnd(random);

	return (struct wish){
		.party = party,
		.alone = dice & 1,
		.write = dice & 2,
		.hold = dice & 4,
		.next = dice & 8,
	};
}

/* Nobody asks to hold what it holds, nor has begun to hold what too many do. */
static bool may_hold(const struct page *page, enum act what, const struct wish *wish)
{
	if (what == WANT && page->how == OWNED && page->owner == wish->party)
		return !page->held;
	return what != END || page->held < 255;
}

/* One act, each of another word.  NULL, or what is not the same. */
static const char *try_any_word(uint64_t acts, uint64_t *done)
{
	uint64_t random = rnd_stream(__func__, 0), word;
	unsigned int parties[3];
	const char *found = NULL;
	struct wish wish;
	struct page page;
	enum act what;

	for (*done = 0; *done < acts && !found; ++*done) {
		any_page(&page, parties, &random);
		word = word_of(&page);
		what = rnd_below(&random, NR_ACTS);
		wish = any_wish(parties[rnd_below(&random, 3)], &random);
		wish.hold &= may_hold(&page, what, &wish);
		found = compare(&page, word, wish.party);
		if (!found)
			found = act(&page, &word, what, &wish);
	}
	return found;
}

/**
 * struct crowd - parties that share a page
 * @page:	the model
 * @word:	and the word
 * @nr:		how many parties there are
 * @numbers:	of each
 * @lives:	whether it is there
 * @maps:	what each has mapped
 * @nr_maps:	how many have something mapped
 * @holds:	what each holds
 * @line:	of those who wait, the first first
 * @wishes:	what each of them waits for
 * @nr_line:	how many these are
 * @begun:	what was begun, if @busy
 * @busy:	something was, and is not ended; of those who give something up:
 * @yields:	by the loser itself
 */
struct crowd {
	struct page page;
	uint64_t word;
	unsigned int nr;
	unsigned int numbers[MANY];
	bool lives[MANY];
	enum word_grant maps[MANY];
	unsigned int nr_maps;
	enum word_grant holds[MANY];
	unsigned int line[MANY];
	struct wish wishes[MANY];
	unsigned int nr_line;
	struct wish begun;
	bool busy, yields;
	uint64_t random;
};

static void set_map(struct crowd *crowd, unsigned int i, enum word_grant may)
{
	crowd->nr_maps -= crowd->maps[i] != WORD_NOTHING;
	crowd->maps[i] = may;
	crowd->nr_maps += may != WORD_NOTHING;
}

static unsigned int index_of(const struct crowd *crowd, unsigned int party)
{
	unsigned int i = 0;

	while (crowd->numbers[i] != party)
		i++;
	return i;
}

static bool is_alone(const struct crowd *crowd, unsigned int i)
{
	unsigned int other;

	for (other = 0; other < crowd->nr; other++)
		if (other != i && crowd->lives[other] &&
		    crowd->numbers[other] % GROUPS == crowd->numbers[i] % GROUPS)
			return false;
	return true;
}

static bool waits(const struct crowd *crowd, unsigned int i)
{
	unsigned int place;

	for (place = 0; place < crowd->nr_line; place++)
		if (crowd->line[place] == i)
			return true;
	return false;
}

static const char *maps_what_it_may(struct crowd *crowd, unsigned int i)
{
	enum word_grant may = do_grants(crowd->word, crowd->numbers[i]);

	set_map(crowd, i, may);
	if (may == WORD_NOTHING)
		return "a party has it, and may do nothing";
	return may == WORD_WRITE && crowd->nr_maps != 1 ? "one writes, and another reads" : NULL;
}

/*
 * All whom the word names as losers are made to lose it, or, if others are to read it, too, to read it; but who takes it
 * keeps what it has.
 */
static void make_them_lose(struct crowd *crowd, unsigned int i)
{
	uint64_t losers = do_losers(crowd->word);
	unsigned int other, owner = crowd->page.how == RECALL ? crowd->page.owner : 0;

	for (other = 0; other < crowd->nr; other++)
		if (other != i && (losers & bit_of(crowd->numbers[other])))
			set_map(crowd, other,
				owner && crowd->numbers[other] == owner && crowd->maps[other]
					? WORD_READ
					: WORD_NOTHING);
}

/* A party holds what it was given. */
static void holds(struct crowd *crowd, unsigned int i, const struct wish *wish)
{
	if (wish->hold)
		crowd->holds[i] = wish->write ? WORD_WRITE : WORD_READ;
}

static const char *asks(struct crowd *crowd, unsigned int i, struct wish wish)
{
	bool in_line = crowd->nr_line && crowd->line[0] == i;
	enum word_answer answer;
	const char *found;
	struct page page = crowd->page;

	wish.alone = is_alone(crowd, i);
	wish.next = in_line;
	answer = want(&page, &wish);
	found = act(&crowd->page, &crowd->word, WANT, &wish);
	if (found)
		return found;
	if (answer == WORD_WAIT && !in_line) {
		crowd->wishes[crowd->nr_line] = wish;
		crowd->line[crowd->nr_line++] = i;
		crowd->page.waited = true;
		crowd->word |= 18014398509481984ULL;
	}
	if (answer == WORD_WAIT)
		return NULL;
	if (in_line) {
		crowd->nr_line--;
		memmove(crowd->line, crowd->line + 1, crowd->nr_line * sizeof(*crowd->line));
		memmove(crowd->wishes, crowd->wishes + 1, crowd->nr_line * sizeof(*crowd->wishes));
		if (!crowd->nr_line) {
			crowd->page.waited = false;
			crowd->word &= ~18014398509481984ULL;
		}
	}
	if (answer == WORD_FULL)
		return NULL;
	if (answer == WORD_BEGUN) {
		crowd->busy = true;
		crowd->begun = wish;
		return NULL;
	}
	if (answer == WORD_TAKEN)
		holds(crowd, i, &wish);
	return maps_what_it_may(crowd, i);
}

static const char *ends(struct crowd *crowd)
{
	unsigned int i = index_of(crowd, crowd->begun.party);
	bool give_up = crowd->yields ? crowd->begun.write : !rnd_below(&crowd->random, 8);
	const char *found;

	if (crowd->yields)
		set_map(crowd, i, crowd->begun.write ? WORD_NOTHING : WORD_READ);
	else
		make_them_lose(crowd, i);
	found = act(&crowd->page, &crowd->word, give_up ? GIVE_UP : END, &crowd->begun);
	if (!give_up)
		holds(crowd, i, &crowd->begun);
	crowd->busy = false;
	if (found || give_up)
		return found;
	return maps_what_it_may(crowd, i);
}

static const char *comes_or_goes(struct crowd *crowd, unsigned int i)
{
	struct wish wish = {.party = crowd->numbers[i]};
	bool in_use = crowd->busy && crowd->begun.party == wish.party;

	if (!crowd->lives[i]) {
		crowd->lives[i] = true;
		return NULL;
	}
	if (in_use || crowd->holds[i] || waits(crowd, i))
		return NULL;
	set_map(crowd, i, WORD_NOTHING);
	wish.alone = is_alone(crowd, i);
	crowd->lives[i] = false;
	return act(&crowd->page, &crowd->word, LEAVE, &wish);
}

static const char *gives_up(struct crowd *crowd, unsigned int i)
{
	struct wish wish = {.party = crowd->numbers[i], .write = rnd_below(&crowd->random, 2)};
	struct page page = crowd->page;

	if (yield(&page, wish.party, !wish.write)) {
		crowd->begun = wish;
		crowd->busy = crowd->yields = true;
	}
	return act(&crowd->page, &crowd->word, YIELD, &wish);
}

/* The one word that takes the place of several says of each page what its own did. */
static const char *folds(struct crowd *crowd, const struct wish *wish)
{
	struct page page = crowd->page;
	uint64_t word = crowd->word;
	const char *found = act(&crowd->page, &crowd->word, FOLD, wish);

	crowd->page = page;
	crowd->word = word;
	return found;
}

static const char *releases(struct crowd *crowd, unsigned int i)
{
	struct wish wish = {.party = crowd->numbers[i]};

	if (!crowd->holds[i])
		return NULL;
	if (!rnd_below(&crowd->random, 8))
		return folds(crowd, &wish);
	crowd->holds[i] = WORD_NOTHING;
	return act(&crowd->page, &crowd->word, RELEASE, &wish);
}

/* Of what a party has begun to have, it holds nothing yet. */
static bool is_to_hold(const struct crowd *crowd, unsigned int i)
{
	return crowd->busy && crowd->begun.party == crowd->numbers[i] && crowd->begun.hold;
}

/* Seldom would it be picked among hundreds. */
static const char *owner_does_something(struct crowd *crowd)
{
	unsigned int i = index_of(crowd, crowd->page.owner);
	struct wish wish = {.party = crowd->page.owner, .hold = true};

	switch (rnd_below(&crowd->random, 3)) {
	case 0:
		return gives_up(crowd, i);
	case 1:
		return folds(crowd, &wish);
	default:
		wish.write = rnd_below(&crowd->random, 2);
		return crowd->holds[i] || waits(crowd, i) ? NULL : asks(crowd, i, wish);
	}
}

/* NULL, or what is not the same, or may not be. */
static const char *one_does_something(struct crowd *crowd)
{
	unsigned int i = rnd_below(&crowd->random, crowd->nr);
	uint64_t dice = rnd_below(&crowd->random, 100);
	struct wish wish;

	if (crowd->busy && dice < 30) {
		const char *found = ends(crowd);

		crowd->yields = false;
		return found;
	}
	if (crowd->nr_line && dice < 60)
		return asks(crowd, crowd->line[0], crowd->wishes[0]);
	if (dice < 70) {
		for (; i < crowd->nr - 1 && !crowd->holds[i]; i++)
			;
		return releases(crowd, i);
	}
	if (dice < 75 || !crowd->lives[i])
		return comes_or_goes(crowd, i);
	if (dice < 80 && crowd->page.how == OWNED)
		return owner_does_something(crowd);
	if (waits(crowd, i))
		return NULL;
	wish = any_wish(crowd->numbers[i], &crowd->random);
	/* Mostly, it is read, and not held. */
	wish.write &= !rnd_below(&crowd->random, 4);
	wish.hold &= !rnd_below(&crowd->random, 4) && !crowd->holds[i] && !is_to_hold(crowd, i);
	return asks(crowd, i, wish);
}

static void crowd_new(struct crowd *crowd, unsigned int nr)
{
	bool used[NUMBERS] = {true};
	unsigned int i, number;

	*crowd = (struct crowd){.nr = nr, .random = rnd_stream("crowd", nr)};
	for (i = 0; i < nr; i++) {
		do
			number = rnd_below(&crowd->random, NUMBERS);
		while (used[number]);
		used[number] = true;
		crowd->numbers[i] = number;
	}
}

static const char *keeps_what_it_holds(const struct crowd *crowd, unsigned int i)
{
	enum word_grant may = do_grants(crowd->word, crowd->numbers[i]);

	return may < crowd->holds[i] ? "a party may not do what it holds" : NULL;
}

static const char *try_crowd(unsigned int nr, uint64_t acts, uint64_t *done)
{
	static struct crowd crowd;
	const char *found = NULL;

	crowd_new(&crowd, nr);
	for (*done = 0; *done < acts && !found; ++*done) {
		found = one_does_something(&crowd);
		if (!found)
			found = keeps_what_it_holds(&crowd, *done % nr);
	}
	return found;
}

static void assert_same(const char *found, uint64_t done)
{
	if (found)
		fail_msg("act %" PRIu64 ": %s", done, found);
}

/* Fails if a transition does other than the model to any word, also to those that parties never make. */
static void any_word_does_as_the_model(void **state)
{
	uint64_t done;
	const char *found = try_any_word(rounds_of(20000000), &done);

	assert_same(found, done);
}

/*
 * Fails if hundreds of parties that keep to the rules come where word and model differ, or one writes while
 * others read.
 */
static void parties_do_as_the_model(void **state)
{
	static const unsigned int sizes[] = {2, 5, 41, 100, MANY};
	const char *found;
	uint64_t done;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		found = try_crowd(sizes[i], rounds_of(4000000), &done);
		assert_same(found, done);
	}
}

/* None was ever found to take a tenth of that. */
#define ACTS_TO_FIND 10000000

/* Fails if a planted mistake goes unnoticed, be it by words of all kinds, or by a crowd that keeps to the rules. */
static void mistake_is_found(void **state)
{
	const char *by_word, *by_crowd;
	uint64_t at_word, at_crowd;

	mutant = (uintptr_t)*state;
	by_word = try_any_word(ACTS_TO_FIND, &at_word);
	/* Of few, the owner holds it before others wait; of many, some have the same bit. */
	by_crowd = try_crowd(5, ACTS_TO_FIND / 10, &at_crowd);
	if (!by_crowd)
		by_crowd = try_crowd(100, ACTS_TO_FIND, &at_crowd);
	mutant = NO_MUTANT;
	print_message("# act %" PRIu64 ": %s; in a crowd, act %" PRIu64 ": %s\n", at_word,
		      by_word ?: "nothing is found", at_crowd, by_crowd ?: "nothing is found");
	assert_non_null(by_word);
	assert_non_null(by_crowd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(any_word_does_as_the_model),
						  cmocka_unit_test(parties_do_as_the_model),
						  WORD_MUTANTS(PLANTED) SHARED_MUTANTS(PLANTED)
							  FOLD_MUTANTS(PLANTED)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
