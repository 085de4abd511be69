// SPDX-License-Identifier: GPL-2.0
/*
 * Payers: whose ceilings the frames and tables of morsels count against.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>

#include "pools/account.h"
#include "pools/outgoing.h"
#include "pools/payer.h"

/* Until it is set, or payers_init() does so. */
#define HALF_OF_MEMORY ULONG_MAX

static unsigned long user_limit = HALF_OF_MEMORY;
module_param(user_limit, ulong, 0644);
MODULE_PARM_DESC(
	user_limit,
	"Bytes that one user's morsels may take, 0: no ceiling (default: half of the memory)");

/**
 * struct payer - a user who made morsels, or has a ceiling of their own; or a mount
 * @node:	in payers; under payers_lock
 * @refs:	shares in accounts, and one for a ceiling of their own; under payers_lock
 * @uid:	who; INVALID_UID: a mount, which is in no table
 * @own:	@limit was set for this user; under payers_lock
 * @limit:	ceiling in pages where @own
 * @used:	pages of frames and tables taken, and what else accounts charge
 * @shares:	in accounts; under the accounts' lock
 * @outgoing:	tables that are charged until they are freed
 */
struct payer {
	struct hlist_node node;
	unsigned int refs;
	kuid_t uid;
	bool own;
	unsigned long limit;
	atomic_long_t used;
	struct list_head shares;
	struct outgoing outgoing;
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

static struct payer *payer_alloc(kuid_t uid)
{
	struct payer *payer = kzalloc(sizeof(*payer), GFP_KERNEL);

	if (payer) {
		payer->uid = uid;
		outgoing_init(&payer->outgoing);
		INIT_LIST_HEAD(&payer->shares);
	}
	return payer;
}

/* Take a reference to a payer; NULL without memory. */
static struct payer *payer_get(kuid_t uid)
{
	struct payer *payer, *made = NULL;

	spin_lock(&payers_lock);
	payer = payer_find(uid);
	if (!payer) {
		spin_unlock(&payers_lock);
		made = payer_alloc(uid);
		if (!made)
			return NULL;
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
 * payer_ref() - take another reference
 * @payer: the payer, of whom there is one
 * Return: the payer.
 */
struct payer *payer_ref(struct payer *payer)
{
	spin_lock(&payers_lock);
	payer->refs++;
	spin_unlock(&payers_lock);
	return payer;
}

static void payer_put(struct payer *payer)
{
	spin_lock(&payers_lock);
	if (--payer->refs) {
		spin_unlock(&payers_lock);
		return;
	}
	/* Of a mount, it is in none. */
	hash_del(&payer->node);
	spin_unlock(&payers_lock);
	kfree(payer);
}

static bool pays(const struct payers *payers, const struct payer *payer)
{
	unsigned int i;

	for (i = 0; i < payers->nr; i++)
		if (payers->who[i] == payer)
			return true;
	return false;
}

/**
 * payers_get() - who pays for what the caller makes
 * @payers: gets them, with references
 *
 * That is the caller, and, as whoever makes a user namespace has users as they like in it,
 * the owners of all that the caller is in; as the kernel's own counts go (ucounts).
 * Return: 0 or -ENOMEM.
 */
int payers_get(struct payers *payers)
{
	const struct user_namespace *ns = current_user_ns();
	kuid_t uid = current_fsuid();
	struct payer *payer;

	payers->nr = 0;
	for (;; uid = ns->owner, ns = ns->parent) {
		payer = payers->nr < USERS_MAX ? payer_get(uid) : NULL;
		if (!payer) {
			payers_put(payers);
			return -ENOMEM;
		}
		if (pays(payers, payer))
			payer_put(payer);
		else
			payers->who[payers->nr++] = payer;
		if (ns == &init_user_ns)
			return 0;
	}
}

/**
 * payer_make() - somebody who is no user, with a ceiling: a mount
 * @limit: the ceiling in pages
 * Return: the payer, to be given back by payer_unmake(); NULL without memory.
 */
struct payer *payer_make(unsigned long limit)
{
	struct payer *payer = payer_alloc(INVALID_UID);

	if (payer) {
		payer->refs = 1;
		payer->own = true;
		payer->limit = limit;
	}
	return payer;
}

/**
 * payer_unmake() - no morsels are made for this payer any more
 * @payer: of payer_make()
 */
void payer_unmake(struct payer *payer)
{
	payer_put(payer);
}

/**
 * payer_set_limit() - give such a payer another ceiling
 * @payer:	of payer_make()
 * @limit:	in pages
 */
void payer_set_limit(struct payer *payer, unsigned long limit)
{
	WRITE_ONCE(payer->limit, limit);
}

/**
 * payer_is_user() - is the payer a user?
 * @payer: the payer
 * Return: whether, or of payer_make().
 */
bool payer_is_user(const struct payer *payer)
{
	return uid_valid(payer->uid);
}

/**
 * payers_add() - have somebody else pay, too
 * @payers:	of payers_get()
 * @payer:	of payer_make()
 */
void payers_add(struct payers *payers, struct payer *payer)
{
	spin_lock(&payers_lock);
	payer->refs++;
	spin_unlock(&payers_lock);
	payers->who[payers->nr++] = payer;
}

/**
 * payers_put() - give back what payers_get() took
 * @payers: these
 */
void payers_put(const struct payers *payers)
{
	unsigned int i;

	for (i = 0; i < payers->nr; i++)
		payer_put(payers->who[i]);
}

/**
 * payer_shares() - in which accounts a payer has a share
 * @payer: the payer
 * Return: the list of struct share, under the accounts' lock.
 */
struct list_head *payer_shares(struct payer *payer)
{
	return &payer->shares;
}

/**
 * payer_outgoing() - the tables that are on their way out, and charged to a payer
 * @payer: the payer
 * Return: these.
 */
struct outgoing *payer_outgoing(struct payer *payer)
{
	return &payer->outgoing;
}

/**
 * payer_limit() - a user's ceiling
 * @payer: the payer
 * Return: pages; ULONG_MAX: there is none.
 */
unsigned long payer_limit(const struct payer *payer)
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
 * payer_charge_anyway() - the same, also above the ceiling
 * @payer:	the payer
 * @pages:	how many there are
 */
void payer_charge_anyway(struct payer *payer, unsigned long pages)
{
	atomic_long_add(pages, &payer->used);
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
	int err = 0;

	if (args->reserved || !uid_valid(uid))
		return -EINVAL;
	if (!uid_eq(uid, current_fsuid()) && !capable(CAP_SYS_ADMIN))
		return -EPERM;

	spin_lock(&payers_lock);
	payer = payer_find(uid);
	if (payer)
		payer->refs++;
	spin_unlock(&payers_lock);
	if (payer) {
		/* Tables of morsels that are gone count until they are freed. */
		err = outgoing_wait(&payer->outgoing);
		accounts_reap(payer);
	}
	payer_describe(payer ?: &nobody, args);
	if (payer)
		payer_put(payer);
	return err;
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
 * payers_init() - the ceiling of who was given none
 */
void payers_init(void)
{
	if (user_limit == HALF_OF_MEMORY)
		user_limit = totalram_pages() / 2 << PAGE_SHIFT;
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
