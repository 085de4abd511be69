/* SPDX-License-Identifier: GPL-2.0 */
/*
 * advise: what its parts share.
 */
#ifndef MORSELCTL_ADVISE_H
#define MORSELCTL_ADVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What parties trust each other with; trust_names[] are its words. */
enum trust { TRUST_ALL, TRUST_WRITERS, TRUST_PAGES, TRUST_TURNS, TRUST_NONE, TRUSTS };

/**
 * struct pattern - how parties use memory: in each round one of the writers writes a part of it, which
 *		follows that of the round before, and then all others read that
 * @size:	bytes of memory
 * @write:	bytes that are written in a round; 0: as many as by default
 * @readers:	parties that only read
 * @writers:	parties that read, and write in turn; 0: nothing is ever written
 * @rounds:	how many
 * @trust:	what may not happen
 */
struct pattern {
	uint64_t size;
	uint64_t write;
	uint32_t readers;
	uint32_t writers;
	uint32_t rounds;
	enum trust trust;
};

/* What forms are made of. */
enum cost {
	COST_FILL,
	COST_MAP,
	COST_MAP_READ_FIRST,
	COST_MAP_READ,
	COST_CLONE,
	COST_COPY_PAGE,
	COST_VIEW,
	COST_TAKE_WRITE,
	COST_TAKE_READ,
	COST_HOLD_WRITE,
	COST_HOLD_READ,
	COST_HOLD_ALL,
	COST_GIVE,
	COST_PIPE,
	COSTS,
};

enum unit { UNIT_PAGE, UNIT_GIB };

/**
 * struct cost_found - what something was measured to take, in ns
 * @count:	units
 * @all:	these
 * @one:	only one
 */
struct cost_found {
	uint64_t count;
	double all;
	double one;
};

/**
 * struct price - what a form takes for a pattern, in ns
 * @setup:	until all parties have it mapped, and all of it to read, or copied
 * @round:	each round, on average
 * @total:	all of it
 */
struct price {
	double setup;
	double round;
	double total;
};

enum form {
	FORM_SHARED,
	FORM_READ_ONLY,
	FORM_VIEWS_FAULT,
	FORM_VIEWS_CALL,
	FORM_TRANSFER,
	FORM_PRIVATE,
	FORM_COPY,
	FORMS,
};

/* forms.c */
extern const char *const trust_names[TRUSTS];
bool find_trust(const char *name, enum trust *trust);
uint64_t units(uint64_t bytes, enum unit unit);
uint64_t copied_by_each(const struct pattern *pattern);
const char *form_name(enum form form);
const char *form_isolation(enum form form);
const char *form_why_not(enum form form, const struct pattern *pattern);
struct price form_price(enum form form, const struct pattern *pattern,
			const struct cost_found costs[COSTS]);
enum form cheapest(const struct pattern *pattern, const struct cost_found costs[COSTS]);

/* measure.c */
const char *cost_name(enum cost cost);
enum unit cost_unit(enum cost cost);
int measure(int device, const struct pattern *pattern, struct cost_found costs[COSTS]);

#endif /* MORSELCTL_ADVISE_H */
