// SPDX-License-Identifier: GPL-2.0
/*
 * Payers: whose ceilings the frames and tables of morsels count against.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "pools/account.h"
#include "pools/payer.h"

static unsigned long user_limit;
module_param(user_limit, ulong, 0644);
MODULE_PARM_DESC(user_limit, "Bytes that one user's morsels may take (default: 0, no ceiling)");

/**
 * struct payer - a user who made morsels, or has a ceiling of their own
 * @node:	in payers; under payers_lock
 * @refs:	accounts, and one for a ceiling of their own; under payers_lock
 * @uid:	who
 * @own:	@limit was set for this user; under payers_lock
 * @limit:	ceiling in pages where @own
 * @used:	pages of frames and tables taken, and what else accounts charge
 */
struct payer {
	struct hlist_node node;
	unsigned int refs;
	kuid_t uid;
	bool own;
	unsigned long limit;
	atomic_long_t used;
};

static DEFINE_HASHTABLE(payers, 10);
/* Taken in reclaim, too: so nothing is allocated with it held. */
static DEFINE_SPINLOCK(payers_lock);

static struct payer *payer_find(kuid_t uid)
{
	struct payer *payer;

	hash_for_each_possible(payers, payer, node, __kuid_val(uid))
		if (uid_eq(payer->uid, uid))
			return payer;
	return NULL;
}

/**
 * payer_get() - take a reference to a payer
 * @uid: the user
 * Return: the payer, or NULL without memory.
 */
struct payer *payer_get(kuid_t uid)
{
	struct payer *payer, *made = NULL;

	spin_lock(&payers_lock);
	payer = payer_find(uid);
	if (!payer) {
		spin_unlock(&payers_lock);
		made = kzalloc(sizeof(*made), GFP_KERNEL);
		if (!made)
			return NULL;
		made->uid = uid;
		spin_lock(&payers_lock);
		payer = payer_find(uid);
	}
	if (!payer) {
		payer = made;
		made = NULL;
		hash_add(payers, &payer->node, __kuid_val(uid));
	}
	payer->refs++;
	spin_unlock(&payers_lock);
	kfree(made);
	return payer;
}

/**
 * payer_put() - give back a reference
 * @payer: the payer
 */
void payer_put(struct payer *payer)
{
	spin_lock(&payers_lock);
	if (--payer->refs) {
		spin_unlock(&payers_lock);
		return;
	}
	hash_del(&payer->node);
	spin_unlock(&payers_lock);
	kfree(payer);
}

static unsigned long payer_limit(const struct payer *payer)
{
	unsigned long bytes;

	/* Pairs with the store in morsel_limit_set(): the limit is there. */
	if (smp_load_acquire(&payer->own))
		return READ_ONCE(payer->limit);
	if (uid_eq(payer->uid, GLOBAL_ROOT_UID))
		return ULONG_MAX;
	bytes = READ_ONCE(user_limit);
	return bytes ? bytes >> PAGE_SHIFT : ULONG_MAX;
}

/**
 * payer_room() - how much a user may take yet
 * @payer: the payer
 * Return: pages.
 */
unsigned long payer_room(const struct payer *payer)
{
	unsigned long limit = payer_limit(payer), used = atomic_long_read(&payer->used);

	return limit - min(limit, used);
}

/**
 * payer_charge() - count pages against a user's ceiling
 * @payer:	the payer
 * @pages:	how many were taken, or are about to be
 * Return: 0, or -EDQUOT and nothing is counted.
 */
int payer_charge(struct payer *payer, unsigned long pages)
{
	unsigned long limit = payer_limit(payer);
	long used = atomic_long_read(&payer->used);

	/* Never above it, not even for a moment: others would be refused meanwhile. */
	do {
		if (used + pages > limit)
			return -EDQUOT;
	} while (!atomic_long_try_cmpxchg(&payer->used, &used, used + pages));
	return 0;
}

/**
 * payer_uncharge() - take pages off what a payer has
 * @payer:	the payer
 * @pages:	how many were given back
 */
void payer_uncharge(struct payer *payer, unsigned long pages)
{
	if (!pages)
		return;
	atomic_long_sub(pages, &payer->used);
}

static void payer_describe(const struct payer *payer, struct morsel_limit *args)
{
	unsigned long limit;

	spin_lock(&payers_lock);
	limit = payer_limit(payer);
	args->bytes = limit > ULONG_MAX >> PAGE_SHIFT ? MORSEL_UNLIMITED : (u64)limit << PAGE_SHIFT;
	args->used = (u64)atomic_long_read(&payer->used) << PAGE_SHIFT;
	args->flags = payer->own ? 0 : MORSEL_LIMIT_DEFAULT;
	spin_unlock(&payers_lock);
}

/**
 * morsel_limit_get() - MORSEL_IOC_LIMIT_GET
 * @args: the request and the answer
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
int morsel_limit_get(struct morsel_limit *args)
{
	kuid_t uid = make_kuid(current_user_ns(), args->uid);
	struct payer nobody = {.uid = uid}, *payer;

	if (args->reserved || !uid_valid(uid))
		return -EINVAL;
	if (!uid_eq(uid, current_fsuid()) && !capable(CAP_SYS_ADMIN))
		return -EPERM;

	spin_lock(&payers_lock);
	payer = payer_find(uid);
	if (payer)
		payer->refs++;
	spin_unlock(&payers_lock);
	if (payer)
		accounts_reap(payer);
	payer_describe(payer ?: &nobody, args);
	if (payer)
		payer_put(payer);
	return 0;
}

/**
 * morsel_limit_set() - MORSEL_IOC_LIMIT_SET
 * @args: the request
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
int morsel_limit_set(const struct morsel_limit *args)
{
	bool own = !(args->flags & MORSEL_LIMIT_DEFAULT);
	kuid_t uid = make_kuid(current_user_ns(), args->uid);
	struct payer *payer;

	if (args->reserved || !uid_valid(uid))
		return -EINVAL;

	payer = payer_get(uid);
	if (!payer)
		return -ENOMEM;
	spin_lock(&payers_lock);
	payer->refs += own - payer->own;
	/* Who charges looks without the lock: a limit that is not the payer's own is not read. */
	if (own)
		WRITE_ONCE(payer->limit,
			   args->bytes == MORSEL_UNLIMITED ? ULONG_MAX : args->bytes >> PAGE_SHIFT);
	/* After the limit; pairs with payer_limit(). */
	smp_store_release(&payer->own, own);
	spin_unlock(&payers_lock);
	payer_put(payer);
	return 0;
}

/**
 * payers_exit() - forget the ceilings; no morsel is left
 */
void payers_exit(void)
{
	struct payer *payer;
	struct hlist_node *next;
	int bucket;

	hash_for_each_safe(payers, bucket, next, payer, node) {
		hash_del(&payer->node);
		kfree(payer);
	}
}
