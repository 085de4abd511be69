// SPDX-License-Identifier: GPL-2.0
/*
 * Accounts: what payers have of a pool.  All that a morsel takes of a pool goes through
 * here, and so is charged to all who pay for the morsel until the pool has it back: also
 * while it waits in quarantine.
 */
#include <linux/err.h>
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "pools/account.h"
#include "pools/frame.h"
#include "pools/outgoing.h"
#include "pools/payer.h"
#include "pools/pool.h"

/* All accounts, by pool and payers.  References are given back with the lock held. */
static DEFINE_HASHTABLE(accounts, 10);
static DEFINE_SPINLOCK(accounts_lock);

static bool is_of(const struct account *account, const struct frame_pool *pool,
		  const struct payers *payers)
{
	unsigned int i;

	if (account->pool != pool || account->nr != payers->nr)
		return false;
	for (i = 0; i < account->nr; i++)
		if (account->shares[i].payer != payers->who[i])
			return false;
	return true;
}

/* All of them: one who pays may be in the accounts of many, as it is for their sum that it pays. */
static unsigned long key_of(const struct frame_pool *pool, const struct payers *payers)
{
	unsigned long key = (unsigned long)pool;
	unsigned int i;

	for (i = 0; i < payers->nr; i++)
		key = hash_long(key ^ (unsigned long)payers->who[i], BITS_PER_LONG);
	return key;
}

static struct account *account_find(const struct frame_pool *pool, const struct payers *payers)
{
	struct account *account;

	hash_for_each_possible(accounts, account, node, key_of(pool, payers)) {
		if (is_of(account, pool, payers)) {
			refcount_inc(&account->refs);
			return account;
		}
	}
	return NULL;
}

static struct account *account_make(struct frame_pool *pool, const struct payers *payers)
{
	struct account *account;
	unsigned int i;

	account = kzalloc(struct_size(account, shares, payers->nr), GFP_KERNEL_ACCOUNT);
	if (!account)
		return NULL;
	account->pool = pool;
	account->nr = payers->nr;
	for (i = 0; i < payers->nr; i++) {
		account->shares[i].payer = payers->who[i];
		account->shares[i].account = account;
	}
	refcount_set(&account->refs, 1);
	INIT_LIST_HEAD(&account->aside);
	return account;
}

/* Have all find an account; with the accounts' lock held. */
static void account_enlist(struct account *account, const struct payers *payers)
{
	unsigned int i;

	hash_add(accounts, &account->node, key_of(account->pool, payers));
	for (i = 0; i < account->nr; i++)
		list_add_tail(&account->shares[i].list, payer_shares(account->shares[i].payer));
	atomic_inc(&account->pool->accounts);
}

/* Have nobody find it any more. */
static void account_unlist(struct account *account)
{
	unsigned int i;

	hash_del(&account->node);
	for (i = 0; i < account->nr; i++)
		list_del(&account->shares[i].list);
}

/**
 * account_get() - what payers have of a pool
 * @pool:	the pool, with a reference for a morsel, which is taken over, also on failure
 * @payers:	who pays, with references that are taken over likewise
 * Return: the account, to be given back with account_put(); NULL without memory.
 */
struct account *account_get(struct frame_pool *pool, const struct payers *payers)
{
	struct account *account, *made = NULL;

	spin_lock(&accounts_lock);
	account = account_find(pool, payers);
	spin_unlock(&accounts_lock);
	if (!account) {
		made = account_make(pool, payers);
		if (!made) {
			payers_put(payers);
			morsel_pool_release(pool);
			return NULL;
		}
		spin_lock(&accounts_lock);
		account = account_find(pool, payers);
		if (!account)
			account_enlist(made, payers);
		spin_unlock(&accounts_lock);
	}
	if (!account)
		return made;
	/* It has references to the payers already. */
	kfree(made);
	payers_put(payers);
	return account;
}

/**
 * account_beside() - what those who pay have of another pool
 * @account:	of one pool
 * @pool:	the other, with a reference for a morsel, which is taken over, also on failure
 * Return: as account_get().
 */
struct account *account_beside(const struct account *account, struct frame_pool *pool)
{
	struct payers payers = {};

	for (; payers.nr < account->nr; payers.nr++)
		payers.who[payers.nr] = payer_ref(account->shares[payers.nr].payer);
	return account_get(pool, &payers);
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
	struct payers payers = {};
	bool last;

	spin_lock(&accounts_lock);
	last = refcount_dec_and_test(&account->refs);
	if (last)
		account_unlist(account);
	spin_unlock(&accounts_lock);
	if (!last)
		return;
	for (; payers.nr < account->nr; payers.nr++)
		payers.who[payers.nr] = account->shares[payers.nr].payer;
	payers_put(&payers);
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
	/* Who looks through a payer's accounts, or asks for figures, has one for a moment. */
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

/* So many accounts of a payer are looked at for what nobody has a pin on any more. */
#define REAP_ACCOUNTS 64

/*
 * The account that a payer has had looked at the longest time ago, with a reference; it is
 * the last one then.
 */
static struct account *account_next(struct payer *payer)
{
	struct share *share;

	spin_lock(&accounts_lock);
	share = list_first_entry_or_null(payer_shares(payer), struct share, list);
	if (share) {
		list_move_tail(&share->list, payer_shares(payer));
		account_ref(share->account);
	}
	spin_unlock(&accounts_lock);
	return share ? share->account : NULL;
}

/**
 * accounts_reap() - take back what a payer has in quarantine, of any pool, and nobody has a
 * pin on any more: not all, if that is much
 * @payer: the payer
 */
void accounts_reap(struct payer *payer)
{
	struct account *first = NULL, *account;
	unsigned int i;

	for (i = 0; i < REAP_ACCOUNTS; i++) {
		account = account_next(payer);
		if (!account)
			break;
		if (account != first)
			quarantine_reap_account(account);
		/* Of those that are let go here, nothing is looked at but the address. */
		account_unref(account);
		if (account == first)
			break;
		first = first ?: account;
	}
}

/* Count pages for all who pay; or for none, and who it is that cannot. */
static struct payer *charge(struct account *account, unsigned long pages)
{
	struct payer *payer;
	unsigned int i;

	/* To count them for some in vain would have others of these refused. */
	for (i = 0; i < account->nr; i++)
		if (payer_room(account->shares[i].payer) < pages)
			return account->shares[i].payer;
	for (i = 0; i < account->nr; i++) {
		payer = account->shares[i].payer;
		if (!payer_charge(payer, pages))
			continue;
		while (i--)
			payer_uncharge(account->shares[i].payer, pages);
		return payer;
	}
	return NULL;
}

/* Frames, or tables, are charged, which may be given back when nothing else has the account. */
static void hold_charged(struct account *account, unsigned long pages)
{
	if (atomic_long_add_return(pages, &account->charged) == pages)
		account_ref(account);
}

/* They are given back; the account may be gone then. */
static void uncharge_held(struct account *account, unsigned long pages)
{
	account_uncharge(account, pages);
	if (atomic_long_sub_and_test(pages, &account->charged))
		account_unref(account);
}

/* How much all may take yet; *@least gets who may take the least. */
static unsigned long room(const struct account *account, struct payer **least)
{
	unsigned long room = ULONG_MAX, some;
	unsigned int i;

	for (i = 0; i < account->nr; i++) {
		some = payer_room(account->shares[i].payer);
		if (!i || some < room) {
			room = some;
			*least = account->shares[i].payer;
		}
	}
	return room;
}

/* What is said of a ceiling that is reached: of a mount's, it is that there is no room. */
static int over(const struct payer *payer)
{
	return payer_is_user(payer) ? -EDQUOT : -ENOMEM;
}

/**
 * account_clamp() - what there is, as far as who pays may have it
 * @account:	the account
 * @limit:	how many pages pools may hold
 * @room:	how many of these are still to be had
 */
void account_clamp(const struct account *account, unsigned long *limit, unsigned long *room)
{
	unsigned int i;

	for (i = 0; i < account->nr; i++) {
		*limit = min(*limit, payer_limit(account->shares[i].payer));
		*room = min(*room, payer_room(account->shares[i].payer));
	}
}

/**
 * accounts_agree() - are two accounts of the same payers?
 * @account:	one
 * @other:	the other
 * Return: whether, of whatever pools.
 */
bool accounts_agree(const struct account *account, const struct account *other)
{
	unsigned int i;

	if (account->nr != other->nr)
		return false;
	for (i = 0; i < account->nr; i++)
		if (account->shares[i].payer != other->shares[i].payer)
			return false;
	return true;
}

/**
 * account_take_over() - have a frame, or a page of a table, be charged to an account, and not where it is
 * @account:	the account, of the same pool
 * @page:	the frame, or page, which nobody gives back meanwhile
 * @order:	log2 of its pages
 *
 * Ceilings do not matter: it is there already.
 */
void account_take_over(struct account *account, struct page *page, unsigned int order)
{
	struct account *before = frame_account(page);
	unsigned int i;

	for (i = 0; i < account->nr; i++)
		payer_charge_anyway(account->shares[i].payer, 1UL << order);
	hold_charged(account, 1UL << order);
	frame_set_account(page, account);
	uncharge_held(before, 1UL << order);
}

/**
 * account_charge() - count pages of kernel memory that are not of the pool
 * @account:	the account
 * @pages:	how many
 * Return: 0; -EDQUOT, or -ENOMEM where it is a mount that is full, and nothing is counted.
 */
int account_charge(struct account *account, unsigned long pages)
{
	struct payer *payer = charge(account, pages);

	if (!payer)
		return 0;
	accounts_reap(payer);
	payer = charge(account, pages);
	return payer ? over(payer) : 0;
}

/**
 * account_uncharge() - take what account_charge() counted off again
 * @account:	the account
 * @pages:	how many
 */
void account_uncharge(struct account *account, unsigned long pages)
{
	unsigned int i;

	for (i = 0; i < account->nr; i++)
		payer_uncharge(account->shares[i].payer, pages);
}

/**
 * account_over() - why are there not some pages?
 * @account:	the account
 * @pages:	how many were wanted
 * Return: -EDQUOT: a ceiling is near; -ENOMEM: that of a mount is, or the pool has none.
 */
int account_over(const struct account *account, unsigned long pages)
{
	struct payer *payer;

	return room(account, &payer) < pages ? over(payer) : -ENOMEM;
}

/**
 * account_short() - why was there no frame or table?
 * @account:	the account
 * @order:	log2 of the pages that were wanted
 * Return: as account_over().
 */
int account_short(const struct account *account, unsigned int order)
{
	return account_over(account, 1UL << order);
}

/**
 * account_poor() - may not even a frame be taken, whatever the pool?
 * @account:	the account
 * @order:	log2 of its pages
 * Return: whether a ceiling is near.
 */
bool account_poor(const struct account *account, unsigned int order)
{
	struct payer *payer;

	return room(account, &payer) < 1UL << order;
}

/**
 * account_outgoing() - a tableset is on its way out
 * @account: the account, of which the set has a reference
 * Return: for account_gone().
 */
u64 account_outgoing(struct account *account)
{
	u64 rounds = outgoing_begin(&account->pool->outgoing);
	unsigned int i;

	static_assert(PAYERS_MAX < 64);
	for (i = 0; i < account->nr; i++)
		rounds = rounds << 1 | outgoing_begin(payer_outgoing(account->shares[i].payer));
	return rounds;
}

/**
 * account_gone() - it has been freed
 * @account:	the account, of which there is a reference still
 * @rounds:	what account_outgoing() returned
 */
void account_gone(struct account *account, u64 rounds)
{
	unsigned int i;

	for (i = account->nr; i--; rounds >>= 1)
		outgoing_end(payer_outgoing(account->shares[i].payer), rounds & 1);
	outgoing_end(&account->pool->outgoing, rounds);
}

/**
 * account_ended() - how many tablesets have been freed whose end may have made room
 * @account: the account
 * Return: a number that grows.
 */
unsigned long account_ended(struct account *account)
{
	unsigned long ended = atomic_long_read(&account->pool->outgoing.ended);
	unsigned int i;

	for (i = 0; i < account->nr; i++)
		ended += atomic_long_read(&payer_outgoing(account->shares[i].payer)->ended);
	/* Before what is asked for then; pairs with outgoing_end(). */
	smp_rmb();
	return ended;
}

/* May the end of a payer's tables make room, where there was none as @err says? */
static bool is_about(const struct payer *payer, int err)
{
	return over(payer) == err;
}

/**
 * account_awaits() - is something on its way out that may make room?
 * @account:	the account
 * @err:	why there was no frame or table: -EDQUOT or -ENOMEM
 * Return: whether.
 */
bool account_awaits(struct account *account, int err)
{
	bool none = err != -ENOMEM || outgoing_none(&account->pool->outgoing);
	unsigned int i;

	for (i = 0; i < account->nr && none; i++)
		if (is_about(account->shares[i].payer, err))
			none = outgoing_none(payer_outgoing(account->shares[i].payer));
	return !none;
}

/**
 * account_wait() - wait for what may make room
 * @account:	the account
 * @err:	as above
 * Return: 0 or -EINTR: a fatal signal.
 */
int account_wait(struct account *account, int err)
{
	int failed = err == -ENOMEM ? outgoing_wait(&account->pool->outgoing) : 0;
	unsigned int i;

	for (i = 0; i < account->nr && !failed; i++)
		if (is_about(account->shares[i].payer, err))
			failed = outgoing_wait(payer_outgoing(account->shares[i].payer));
	return failed;
}

/**
 * account_take() - get frames, fewer where a ceiling is near
 * @account:	the account
 * @how:	TAKE_HARD, TAKE_AS_IS
 * @order:	log2 of a frame's pages
 * @count:	how many frames
 * @frames:	where to put them
 * Return: how many there are; account_short() says why there is none.
 *
 * Only what was got is charged: what the pool does not have must not be missing to the
 * payers' other morsels.
 */
unsigned int account_take(struct account *account, unsigned int how, unsigned int order,
			  unsigned int count, u64 *frames)
{
	struct frame_pool *pool = account->pool;
	struct payer *payer;
	unsigned long most = room(account, &payer) >> order;
	unsigned int got = 0, kept, i;

	if (most < count) {
		accounts_reap(payer);
		most = room(account, &payer) >> order;
	}
	/* By halves, so that tables have some of the rest. */
	while (count > most)
		count /= 2;
	if (count)
		got = pool->ops->get(pool, how, order, count, frames);
	/* Of all that nobody has a pin on any more, the pool has looked at some. */
	if (count && !got && quarantine_reap_account(account))
		got = pool->ops->get(pool, how, order, count, frames);
	kept = got;
	while (kept && charge(account, (unsigned long)kept << order))
		kept /= 2;
	if (kept < got)
		pool->ops->put(pool, order, got - kept, frames + kept);
	if (!kept)
		return 0;
	hold_charged(account, (unsigned long)kept << order);
	for (i = 0; i < kept; i++)
		frame_set_account(frame_page(frames[i]), account);
	return kept;
}

/**
 * account_put_frames() - give back frames that nobody else holds
 * @account:	what they were taken for
 * @order:	log2 of a frame's pages
 * @count:	how many
 * @frames:	the frames
 *
 * The account may be gone then, unless the caller has a reference.
 */
void account_put_frames(struct account *account, unsigned int order, unsigned int count,
			const u64 *frames)
{
	if (!count)
		return;
	account->pool->ops->put(account->pool, order, count, frames);
	uncharge_held(account, (unsigned long)count << order);
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

	account_ref(account);
	for (i = 0; i < count; i++) {
		if (!frame_pinned(frames[i], order))
			continue;
		account_put_frames(account, order, i - first, frames + first);
		quarantine_add(account, order, frames[i]);
		first = i + 1;
	}
	account_put_frames(account, order, count - first, frames + first);
	account_unref(account);
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
	if (table) {
		hold_charged(account, 1);
		frame_set_account(table, account);
	} else {
		account_uncharge(account, 1);
	}
	return table;
}

/**
 * account_give_table() - give a page of account_take_table() back
 * @table: the page
 */
void account_give_table(struct page *table)
{
	struct account *account = frame_account(table);

	account->pool->ops->put_table(account->pool, table);
	uncharge_held(account, 1);
}
