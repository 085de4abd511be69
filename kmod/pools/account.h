/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accounts: what a payer has of a pool.
 */
#ifndef MORSEL_ACCOUNT_H
#define MORSEL_ACCOUNT_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>

#include "pools/quarantine.h"

struct account;
struct frame_pool;
struct page;
struct payer;
struct payers;

/**
 * struct share - a payer in an account
 * @payer:	who
 * @account:	of what
 * @list:	in the payer's shares; under the accounts' lock (account.c)
 */
struct share {
	struct payer *payer;
	struct account *account;
	struct list_head list;
};

/**
 * struct account - what payers have of a pool; one for each pool and set of payers
 * @pool:	the pool
 * @node:	among all, by who made the morsels; under the accounts' lock (account.c)
 * @refs:	those of account_get() and account_ref(), one while it is in quarantine, and one while
 *		anything is charged that has it by itself (frame_account())
 * @charged:	pages that are charged so
 * @aside:	among the quarantine's accounts while one of its queues has frames; under
 *		the quarantine's lock, as the next two
 * @small:	frames of 4 KiB that are set aside
 * @huge:	frames of 2 MiB that are
 * @nr:		how many pay, each for all of it
 * @shares:	these; who made the morsels comes first
 */
struct account {
	struct frame_pool *pool;
	struct hlist_node node;
	refcount_t refs;
	atomic_long_t charged;
	struct list_head aside;
	struct frame_queue small;
	struct frame_queue huge;
	unsigned int nr;
	struct share shares[];
};

struct account *account_get(struct frame_pool *pool, const struct payers *payers);
struct account *account_beside(const struct account *account, struct frame_pool *pool);
void account_put(struct account *account);
void account_ref(struct account *account);
void account_unref(struct account *account);
unsigned int account_take(struct account *account, unsigned int how, unsigned int order,
			  unsigned int count, u64 *frames);
void account_give(struct account *account, unsigned int order, unsigned int count,
		  const u64 *frames);
struct page *account_take_table(struct account *account);
void account_give_table(struct page *table);
bool accounts_agree(const struct account *account, const struct account *other);
void account_take_over(struct account *account, struct page *page, unsigned int order);
void account_clamp(const struct account *account, unsigned long *limit, unsigned long *room);
int account_charge(struct account *account, unsigned long pages);
void account_uncharge(struct account *account, unsigned long pages);
int account_over(const struct account *account, unsigned long pages);
int account_short(const struct account *account, unsigned int order);
bool account_poor(const struct account *account, unsigned int order);
u64 account_outgoing(struct account *account);
void account_gone(struct account *account, u64 rounds);
unsigned long account_ended(struct account *account);
bool account_awaits(struct account *account, int err);
int account_wait(struct account *account, int err);
void accounts_reap(struct payer *payer);
void accounts_wait(struct frame_pool *pool);

/* For the quarantine alone. */
void account_put_frames(struct account *account, unsigned int order, unsigned int count,
			const u64 *frames);

#endif /* MORSEL_ACCOUNT_H */
