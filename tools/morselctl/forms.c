// SPDX-License-Identifier: GPL-2.0
/*
 * advise: the forms in which parties may have memory together, which trust each of them does for, and
 * what each takes.  Nothing is measured here, nor asked of the module.
 *
 * What all forms take alike is left out: to fill the memory, to read and write it, and to tell another party
 * that it is its turn.
 */
#include <string.h>

#include "advise.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* As the module has it: views of a morsel, and parties that hold the same page, to read it. */
#define VIEWS_MOST 2047
#define HOLDERS_MOST 255

const char *const trust_names[TRUSTS] = {
	[TRUST_ALL] = "all",	 [TRUST_WRITERS] = "writers", [TRUST_PAGES] = "pages",
	[TRUST_TURNS] = "turns", [TRUST_NONE] = "none",
};

bool find_trust(const char *name, enum trust *trust)
{
	for (int i = 0; i < TRUSTS; i++) {
		if (strcmp(trust_names[i], name))
			continue;
		*trust = i;
		return true;
	}
	return false;
}

/* What may happen in a form. */
enum {
	MANY_VIEWS = 1 << 0,
	MANY_HOLDERS = 1 << 1,
	READERS_WRITE = 1 << 2,
	RECEIVERS_WRITE = 1 << 3,
	PAGES_SHARED = 1 << 4,
	HALF_DONE = 1 << 5,
	SEEN = 1 << 6,
	UNSEEN = 1 << 7,
};

/* And how that is said; the first that matters is. */
static const struct {
	unsigned int flaw;
	const char *why;
} flaws[] = {
	{MANY_VIEWS, "a morsel has at most 2047 views"},
	{MANY_HOLDERS, "at most 255 hold a page"},
	{READERS_WRITE, "readers could write"},
	{RECEIVERS_WRITE, "a reader who receives it could write"},
	{PAGES_SHARED, "a page is written while others have it"},
	{HALF_DONE, "others have what is half done"},
	{SEEN, "others see what one writes"},
	{UNSEEN, "others do not get what one writes"},
};

#define IMPOSSIBLE (MANY_VIEWS | MANY_HOLDERS)

/* What may not happen; who receives a morsel changes nothing that somebody else has. */
static const unsigned int refused[TRUSTS] = {
	[TRUST_ALL] = IMPOSSIBLE | UNSEEN,
	[TRUST_WRITERS] = IMPOSSIBLE | UNSEEN | READERS_WRITE | RECEIVERS_WRITE,
	[TRUST_PAGES] = IMPOSSIBLE | UNSEEN | READERS_WRITE | PAGES_SHARED,
	[TRUST_TURNS] = IMPOSSIBLE | UNSEEN | READERS_WRITE | PAGES_SHARED | HALF_DONE,
	[TRUST_NONE] = IMPOSSIBLE | READERS_WRITE | RECEIVERS_WRITE | SEEN,
};

/**
 * struct bill - what prices are made of
 * @pattern:	what is to be done
 * @costs:	what each part of it takes
 * @parties:	readers and writers
 * @written:	bytes in each round; 0: nothing is ever written
 */
struct bill {
	const struct pattern *pattern;
	const struct cost_found *costs;
	double parties;
	uint64_t written;
};

uint64_t units(uint64_t bytes, enum unit unit)
{
	static const unsigned int shifts[] = {
		[UNIT_PAGE] = 12,
		[UNIT_GIB] = 30,
	};

	return bytes ? ((bytes - 1) >> shifts[unit]) + 1 : 0;
}

/* Between what was measured, and from there on in proportion. */
static double times(const struct bill *bill, enum cost cost, uint64_t count)
{
	const struct cost_found *found = &bill->costs[cost];

	if (!count)
		return 0;
	if (count >= found->count)
		return found->all / found->count * count;
	return found->one + (found->all - found->one) * (count - 1) / (found->count - 1);
}

/* Of all that is written in a round. */
static double written(const struct bill *bill, enum cost cost)
{
	return times(bill, cost, units(bill->written, UNIT_PAGE));
}

/* All of the memory is mapped, or given away. */
static double whole(const struct bill *bill, enum cost cost)
{
	return times(bill, cost, units(bill->pattern->size, UNIT_GIB));
}

static void price_shared(const struct bill *bill, struct price *price)
{
	price->setup = bill->parties * whole(bill, COST_MAP);
}

/* The first of the readers has the tables made that all of them have. */
static void price_read_only(const struct bill *bill, struct price *price)
{
	uint32_t readers = bill->pattern->readers;

	price->setup = bill->pattern->writers * whole(bill, COST_MAP);
	if (readers)
		price->setup += whole(bill, COST_MAP_READ_FIRST) +
				(readers - 1.0) * whole(bill, COST_MAP_READ);
}

static double views(const struct bill *bill)
{
	return bill->parties * whole(bill, COST_VIEW);
}

/* All but one take all of it to read, at first; and in each round what was written. */
static void price_views_fault(const struct bill *bill, struct price *price)
{
	uint64_t pages = units(bill->pattern->size, UNIT_PAGE);
	double others = bill->parties - 1;

	price->setup = views(bill) + others * times(bill, COST_TAKE_READ, pages);
	price->round = written(bill, COST_TAKE_WRITE) + others * written(bill, COST_TAKE_READ);
}

/* The same; but it takes less for what is had as a whole. */
static void price_views_call(const struct bill *bill, struct price *price)
{
	uint64_t pages = units(bill->pattern->size, UNIT_PAGE);
	double others = bill->parties - 1;

	price->setup = views(bill) + others * times(bill, COST_HOLD_ALL, pages);
	price->round = written(bill, COST_HOLD_WRITE) + others * written(bill, COST_HOLD_READ);
}

/* It goes round; with several writers the last of the others is the one who writes next. */
static void price_transfer(const struct bill *bill, struct price *price)
{
	double hops = bill->parties - (bill->pattern->writers > 1);

	price->setup = whole(bill, COST_MAP);
	price->round = hops * whole(bill, COST_GIVE);
}

/* How many have written something in the end. */
static double active(const struct pattern *pattern)
{
	return pattern->writers < pattern->rounds ? pattern->writers : pattern->rounds;
}

/* What a writer has copied in the end: each page once, however often it writes to it. */
uint64_t copied_by_each(const struct pattern *pattern)
{
	double copied;

	if (!pattern->writers)
		return 0;
	copied = pattern->rounds / active(pattern) * pattern->write;
	return copied < pattern->size ? copied : pattern->size;
}

static void price_private(const struct bill *bill, struct price *price)
{
	const struct pattern *pattern = bill->pattern;
	uint64_t pages = units(copied_by_each(pattern), UNIT_PAGE);

	price->setup = bill->parties * whole(bill, COST_CLONE);
	price->round = active(pattern) * times(bill, COST_COPY_PAGE, pages) / pattern->rounds;
}

/* Each party has a morsel of its own, and all but one are filled by a pipe. */
static void price_copy(const struct bill *bill, struct price *price)
{
	const struct pattern *pattern = bill->pattern;
	uint64_t pages = units(pattern->size, UNIT_PAGE);
	double others = bill->parties - 1;

	price->setup = bill->parties * whole(bill, COST_MAP) +
		       others * (times(bill, COST_FILL, pages) + times(bill, COST_PIPE, pages));
	if (pattern->trust != TRUST_NONE)
		price->round = others * written(bill, COST_PIPE);
}

/* Of those that cost the same, the first is proposed. */
static const struct {
	const char *name;
	const char *isolation;
	unsigned int flaws;
	void (*price)(const struct bill *bill, struct price *price);
} forms[FORMS] = {
	[FORM_SHARED] = {"shared", "none", READERS_WRITE | PAGES_SHARED | HALF_DONE | SEEN,
			 price_shared},
	[FORM_READ_ONLY] = {"read-only", "readers do not write", PAGES_SHARED | HALF_DONE | SEEN,
			    price_read_only},
	[FORM_VIEWS_FAULT] = {"views by fault", "a page has one writer, or readers",
			      MANY_VIEWS | HALF_DONE | SEEN, price_views_fault},
	[FORM_VIEWS_CALL] = {"views by call", "nobody has what another holds",
			     MANY_VIEWS | MANY_HOLDERS | SEEN, price_views_call},
	[FORM_TRANSFER] = {"transfer", "only one has it", RECEIVERS_WRITE | SEEN, price_transfer},
	[FORM_PRIVATE] = {"private", "nobody sees another's writes", UNSEEN, price_private},
	[FORM_COPY] = {"copy", "each has its own", 0, price_copy},
};

const char *form_name(enum form form)
{
	return forms[form].name;
}

const char *form_isolation(enum form form)
{
	return forms[form].isolation;
}

static struct bill bill_of(const struct pattern *pattern, const struct cost_found *costs)
{
	return (struct bill){
		.pattern = pattern,
		.costs = costs,
		.parties = (double)pattern->readers + pattern->writers,
		.written = pattern->writers ? pattern->write : 0,
	};
}

/* What cannot happen in this pattern, whatever the form. */
static unsigned int ruled_out(const struct pattern *pattern)
{
	uint64_t parties = (uint64_t)pattern->readers + pattern->writers;
	unsigned int out = 0;

	if (parties <= VIEWS_MOST)
		out |= MANY_VIEWS;
	/* One of them writes, or comes later. */
	if (parties <= HOLDERS_MOST + 1)
		out |= MANY_HOLDERS;
	if (!pattern->readers)
		out |= READERS_WRITE | RECEIVERS_WRITE;
	if (!pattern->writers)
		out |= PAGES_SHARED | HALF_DONE | SEEN | UNSEEN;
	return out;
}

/* Why a form does not do for the trust that there is, or NULL: it does. */
const char *form_why_not(enum form form, const struct pattern *pattern)
{
	unsigned int met = forms[form].flaws & refused[pattern->trust] & ~ruled_out(pattern);

	for (size_t i = 0; i < COUNT(flaws); i++)
		if (met & flaws[i].flaw)
			return flaws[i].why;
	return NULL;
}

struct price form_price(enum form form, const struct pattern *pattern,
			const struct cost_found costs[COSTS])
{
	const struct bill bill = bill_of(pattern, costs);
	struct price price = {0};

	forms[form].price(&bill, &price);
	price.total = price.setup + pattern->rounds * price.round;
	return price;
}

/* A copy does for all, so there is one. */
enum form cheapest(const struct pattern *pattern, const struct cost_found costs[COSTS])
{
	enum form best = FORM_COPY;

	for (int form = FORMS - 1; form >= 0; form--)
		if (!form_why_not(form, pattern) && form_price(form, pattern, costs).total <=
							    form_price(best, pattern, costs).total)
			best = form;
	return best;
}
