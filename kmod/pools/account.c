// SPDX-License-Identifier: GPL-2.0
/*
 * Accounts: what a payer has of a pool.  All that a morsel takes of a pool goes through
 * here, and so is charged to who pays for the morsel until the pool has it back: also
 * while it waits in quarantine.
 */
#include <linux/err.h>
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "pools/account.h"
#include "pools/frame.h"
#include "pools/payer.h"
#include "pools/pool.h"

/* All accounts, by payer.  References are given back with the lock held. */
static DEFINE_HASHTABLE(accounts, 10);
static DEFINE_SPINLOCK(accounts_lock);

static struct account *account_find(const struct frame_pool *pool, const struct payer *payer)
{
	struct account *account;

	hash_for_each_possible(accounts, account, node, (unsigned long)payer) {
		if (account->pool == pool && account->payer == payer) {
			refcount_inc(&account->refs);
			return account;
		}
	}
	return NULL;
}

static struct account *account_make(struct frame_pool *pool, struct payer *payer)
{
	struct account *account = kzalloc(sizeof(*account), GFP_KERNEL);

	if (!account)
		return NULL;
	account->pool = pool;
	account->payer = payer;
	refcount_set(&account->refs, 1);
	INIT_LIST_HEAD(&account->aside);
	return account;
}

/**
 * account_get() - what a payer has of a pool
 * @pool:	the pool, with a reference for a morsel, which is taken over, also on failure
 * @payer:	who pays, with a reference that is taken over likewise
 * Return: the account, to be given back with account_put(); NULL without memory.
 */
struct account *account_get(struct frame_pool *pool, struct payer *payer)
{
	struct account *account, *made = NULL;

	spin_lock(&accounts_lock);
	account = account_find(pool, payer);
	spin_unlock(&accounts_lock);
	if (!account) {
		made = account_make(pool, payer);
		if (!made) {
			payer_put(payer);
			morsel_pool_release(pool);
			return NULL;
		}
		spin_lock(&accounts_lock);
		account = account_find(pool, payer);
		if (!account) {
			hash_add(accounts, &made->node, (unsigned long)payer);
			atomic_inc(&pool->accounts);
		}
		spin_unlock(&accounts_lock);
	}
	if (!account)
		return made;
	/* It has a reference to the payer already. */
	kfree(made);
	payer_put(payer);
	return account;
}

/**
 * account_ref() - take a reference that does not count as a morsel on the pool
 * @account: the account
 */
void account_ref(struct account *account)
{
	refcount_inc(&account->refs);
}

/**
 * account_unref() - give back what account_ref() took; may be called in reclaim
 * @account: the account
 */
void account_unref(struct account *account)
{
	struct frame_pool *pool = account->pool;
	bool last;

	spin_lock(&accounts_lock);
	last = refcount_dec_and_test(&account->refs);
	if (last)
		hash_del(&account->node);
	spin_unlock(&accounts_lock);
	if (!last)
		return;
	payer_put(account->payer);
	kfree(account);
	/* Of the pool, which may go now, nothing is looked at but the address. */
	if (atomic_dec_and_test(&pool->accounts))
		wake_up_var(&pool->accounts);
}

/**
 * accounts_wait() - wait until nobody has an account of a pool any more
 * @pool: the pool, which no morsel is on, and of which nothing is in quarantine
 */
void accounts_wait(struct frame_pool *pool)
{
	/* Who looks through a payer's accounts has them for a moment. */
	wait_var_event(&pool->accounts, !atomic_read(&pool->accounts));
}

/**
 * account_put() - give back what account_get() returned
 * @account: the account
 */
void account_put(struct account *account)
{
	struct frame_pool *pool = account->pool;

	account_unref(account);
	morsel_pool_release(pool);
}

/* The payer's account after one, which is let go, or the first; with a reference. */
static struct account *account_next(const struct payer *payer, struct account *after)
{
	struct account *account, *next = NULL;
	bool seen = !after;

	spin_lock(&accounts_lock);
	hash_for_each_possible(accounts, account, node, (unsigned long)payer) {
		if (seen && account->payer == payer) {
			account_ref(account);
			next = account;
			break;
		}
		seen |= account == after;
	}
	spin_unlock(&accounts_lock);
	if (after)
		account_unref(after);
	return next;
}

/**
 * accounts_reap() - take back what a payer has in quarantine, of any pool, and nobody has a
 * pin on any more
 * @payer: the payer
 */
void accounts_reap(const struct payer *payer)
{
	struct account *account = NULL;

	while ((account = account_next(payer, account)))
		quarantine_reap_account(account);
}

/**
 * account_charge() - count pages of kernel memory that are not of the pool
 * @account:	the account
 * @pages:	how many
 * Return: 0, or -EDQUOT and nothing is counted.
 */
int account_charge(struct account *account, unsigned long pages)
{
	if (!payer_charge(account->payer, pages))
		return 0;
	accounts_reap(account->payer);
	return payer_charge(account->payer, pages);
}

/**
 * account_uncharge() - take what account_charge() counted off again
 * @account:	the account
 * @pages:	how many
 */
void account_uncharge(struct account *account, unsigned long pages)
{
	payer_uncharge(account->payer, pages);
}

/**
 * account_short() - why was there no frame or table?
 * @account:	the account
 * @order:	log2 of the pages that were wanted
 * Return: -EDQUOT: the ceiling is near; -ENOMEM: the pool has none.
 */
int account_short(const struct account *account, unsigned int order)
{
	return payer_room(account->payer) < 1UL << order ? -EDQUOT : -ENOMEM;
}

/**
 * account_take() - get frames, fewer where the ceiling is near
 * @account:	the account
 * @order:	log2 of a frame's pages
 * @count:	how many frames
 * @frames:	where to put them
 * Return: how many there are; account_short() says why there is none.
 *
 * Only what was got is charged: what the pool does not have must not be missing to the
 * payer's other morsels.
 */
unsigned int account_take(struct account *account, unsigned int order, unsigned int count,
			  u64 *frames)
{
	unsigned long room = payer_room(account->payer) >> order;
	struct frame_pool *pool = account->pool;
	unsigned int got = 0, kept;

	if (room < count) {
		accounts_reap(account->payer);
		room = payer_room(account->payer) >> order;
	}
	/* By halves, so that tables have some of the rest. */
	while (count > room)
		count /= 2;
	if (count)
		got = pool->ops->get(pool, order, count, frames);
	kept = got;
	while (kept && payer_charge(account->payer, (unsigned long)kept << order))
		kept /= 2;
	if (kept < got)
		pool->ops->put(pool, order, got - kept, frames + kept);
	return kept;
}

/**
 * account_put_frames() - give back frames that nobody else holds
 * @account:	what they were taken for
 * @order:	log2 of a frame's pages
 * @count:	how many
 * @frames:	the frames
 */
void account_put_frames(struct account *account, unsigned int order, unsigned int count,
			const u64 *frames)
{
	if (!count)
		return;
	account->pool->ops->put(account->pool, order, count, frames);
	payer_uncharge(account->payer, (unsigned long)count << order);
}

/**
 * account_give() - give frames back, which no address space can reach any more
 * @account:	what they were taken for
 * @order:	log2 of a frame's pages
 * @count:	how many
 * @frames:	the frames
 *
 * What somebody has a pin on is set aside, and stays charged, until that is gone.
 */
void account_give(struct account *account, unsigned int order, unsigned int count,
		  const u64 *frames)
{
	unsigned int first = 0, i;

	for (i = 0; i < count; i++) {
		if (!frame_pinned(frames[i], order))
			continue;
		account_put_frames(account, order, i - first, frames + first);
		quarantine_add(account, order, frames[i]);
		first = i + 1;
	}
	account_put_frames(account, order, count - first, frames + first);
}

/**
 * account_take_table() - get a page for a table
 * @account: the account
 * Return: the page, with no entries, or NULL; account_short() says why.
 */
struct page *account_take_table(struct account *account)
{
	struct page *table;

	if (account_charge(account, 1))
		return NULL;
	table = account->pool->ops->get_table(account->pool);
	if (!table)
		payer_uncharge(account->payer, 1);
	return table;
}

/**
 * account_give_table() - give a page of account_take_table() back
 * @account:	what it was taken for
 * @table:	the page
 */
void account_give_table(struct account *account, struct page *table)
{
	account->pool->ops->put_table(account->pool, table);
	payer_uncharge(account->payer, 1);
}
