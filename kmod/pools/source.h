/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sources: of which pools a morsel takes its frames and tables.
 */
#ifndef MORSEL_SOURCE_H
#define MORSEL_SOURCE_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/nodemask.h>
#include <linux/refcount.h>
#include <linux/types.h>

#include "pools/account.h"

struct mempolicy;
struct payers;

/**
 * struct placement - what is said of where a morsel's frames are to be
 * @pool:	in one pool alone; MORSEL_ANY: in those of nodes
 * @node:	near this one; MORSEL_ANY: near the caller
 * @policy:	MORSEL_POLICY_*
 * @nodes:	of the policy; NULL where it has none
 */
struct placement {
	u32 pool;
	u32 node;
	u32 policy;
	const nodemask_t *nodes;
};

/* So many pools may one morsel have frames of: a bit each, see struct rounds. */
#define SOURCE_POOLS_MAX 64

/**
 * struct source_part - what a morsel has of a pool
 * @next:	one that came before it, but for the first; or NULL
 * @account:	of the pool and those who pay
 * @number:	how many came before it
 * @small:	frames of 4 KiB that the map has of it; not counted of the first part, which has
 *		those of the map that others have not
 * @huge:	of 2 MiB, likewise
 */
struct source_part {
	struct source_part *next;
	struct account *account;
	unsigned int number;
	atomic_long_t small;
	atomic_long_t huge;
};

/**
 * struct source - of which pools a morsel takes
 * @refs:	the morsel's, and one for each of its tablesets
 * @one:	never of another pool than the first
 * @policy:	MORSEL_POLICY_*
 * @turns:	whose turn it is where nodes take turns, with small frames and with huge ones
 * @first:	the pool that was chosen when the morsel was made
 * @more:	the last of those that it went on to; more are added in front, by cmpxchg, and stay
 * @nodes:	of the policy, if it has some
 */
struct source {
	refcount_t refs;
	bool one;
	u32 policy;
	atomic_t turns[2];
	struct source_part first;
	struct source_part *more;
	nodemask_t nodes[];
};

/**
 * struct rounds - which rounds of tables on their way out a tableset belongs to
 * @payers:	those of who pays
 * @pools:	those of pools, a bit each
 * @parts:	how many of the source's parts these are of
 */
struct rounds {
	u64 payers;
	u64 pools;
	unsigned int parts;
};

struct source *source_make(const struct placement *placement, const struct payers *payers);
struct source *source_clone(struct source *source, const struct payers *payers);
int source_meet(struct source *source, struct source *other);
void source_exchange_counts(struct source *source, struct source *other, unsigned int order,
			    atomic_long_t *total, atomic_long_t *other_total);
bool source_pays(const struct source *source, struct page *page);
void source_pay(struct source *source, struct page *page, unsigned int order);
int source_copy_counts(struct source *clone, const struct source *source, bool whole);
void source_close(struct source *source);
void source_ref(struct source *source);
void source_unref(struct source *source);
unsigned int source_take(struct source *source, const struct mempolicy *policy, unsigned int order,
			 unsigned int count, u64 *frames);
bool source_take_as_is(struct source *source, const struct mempolicy *policy, unsigned int order,
		       u64 *frame);
void source_give(unsigned int order, unsigned int count, const u64 *frames);
struct page *source_take_table(struct source *source);
void source_count(struct source *source, unsigned int order, unsigned int count, const u64 *frames,
		  bool come);
int source_lacks(struct source *source, unsigned long pages);
void source_room(const struct source *source, unsigned long *limit, unsigned long *room);
void source_outgoing(struct source *source, struct rounds *rounds);
void source_gone(struct source *source, const struct rounds *rounds);
unsigned long source_ended(struct source *source);
bool source_waits(struct source *source, int err, unsigned long ended);
bool source_wait(struct source *source, int err);

static inline struct source_part *source_next(const struct source *source,
					      const struct source_part *part)
{
	return part == &source->first ? READ_ONCE(source->more) : part->next;
}

#define for_each_source_part(part, source) \
	for ((part) = &(source)->first; (part); (part) = source_next(source, part))

/* Has it gone on to more than one pool? */
static inline bool source_spread(const struct source *source)
{
	return READ_ONCE(source->more);
}

/* Who pays is the same for all parts. */
static inline int source_charge(struct source *source, unsigned long pages)
{
	return account_charge(source->first.account, pages);
}

static inline void source_uncharge(struct source *source, unsigned long pages)
{
	account_uncharge(source->first.account, pages);
}

static inline bool source_same_payers(const struct source *source, const struct source *other)
{
	return accounts_agree(source->first.account, other->first.account);
}

static inline int source_short(const struct source *source, unsigned int order)
{
	return account_short(source->first.account, order);
}

#endif /* MORSEL_SOURCE_H */
