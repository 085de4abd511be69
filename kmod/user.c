// SPDX-License-Identifier: GPL-2.0
/*
 * Ceilings per user: how much the morsels that a user made may take from the pools.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "morsel.h"

/**
 * struct morsel_user - somebody who made morsels, or has a ceiling of their own
 * @node:	in users; under users_lock
 * @refs:	morsels, and one for a ceiling of their own; under users_lock
 * @uid:	who
 * @own:	@limit was set for this user; under users_lock
 * @limit:	ceiling in pages where @own
 * @used:	pages of frames and tables taken
 */
struct morsel_user {
	struct hlist_node node;
	unsigned int refs;
	kuid_t uid;
	bool own;
	unsigned long limit;
	atomic_long_t used;
};

static DEFINE_HASHTABLE(users, 6);
static DEFINE_MUTEX(users_lock);

static struct morsel_user *user_find(kuid_t uid)
{
	struct morsel_user *user;

	hash_for_each_possible(users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

static struct morsel_user *user_find_or_make(kuid_t uid)
{
	struct morsel_user *user = user_find(uid);

	if (user)
		return user;
	user = kzalloc(sizeof(*user), GFP_KERNEL);
	if (!user)
		return NULL;
	user->uid = uid;
	hash_add(users, &user->node, __kuid_val(uid));
	return user;
}

static void user_drop(struct morsel_user *user)
{
	if (user->refs)
		return;
	hash_del(&user->node);
	kfree(user);
}

/**
 * morsel_user_get() - take a reference to a user's account
 * @uid: the user
 * Return: the account, or NULL without memory.
 */
struct morsel_user *morsel_user_get(kuid_t uid)
{
	struct morsel_user *user;

	mutex_lock(&users_lock);
	user = user_find_or_make(uid);
	if (user)
		user->refs++;
	mutex_unlock(&users_lock);
	return user;
}

/**
 * morsel_user_put() - give back a reference
 * @user: the account
 */
void morsel_user_put(struct morsel_user *user)
{
	mutex_lock(&users_lock);
	user->refs--;
	user_drop(user);
	mutex_unlock(&users_lock);
}

static unsigned long user_limit(const struct morsel_user *user)
{
	if (READ_ONCE(user->own))
		return READ_ONCE(user->limit);
	if (uid_eq(user->uid, GLOBAL_ROOT_UID))
		return ULONG_MAX;
	return READ_ONCE(morsel_user_limit) ? READ_ONCE(morsel_user_limit) >> PAGE_SHIFT
					    : ULONG_MAX;
}

/**
 * morsel_user_room() - how much a user may take yet
 * @user: the account
 * Return: pages.
 */
unsigned long morsel_user_room(const struct morsel_user *user)
{
	unsigned long limit = user_limit(user), used = atomic_long_read(&user->used);

	return limit - min(limit, used);
}

/**
 * morsel_user_charge() - count pages against a user's ceiling
 * @user:	the account
 * @pages:	how many were taken, or are about to be
 * Return: 0, or -EDQUOT and nothing is counted.
 */
int morsel_user_charge(struct morsel_user *user, unsigned long pages)
{
	unsigned long limit = user_limit(user);
	long used = atomic_long_read(&user->used);

	/* Never above it, not even for a moment: others would be refused meanwhile. */
	do {
		if (used + pages > limit)
			return -EDQUOT;
	} while (!atomic_long_try_cmpxchg(&user->used, &used, used + pages));
	return 0;
}

/**
 * morsel_user_uncharge() - take pages off a user's account
 * @user:	the account
 * @pages:	how many were given back
 */
void morsel_user_uncharge(struct morsel_user *user, unsigned long pages)
{
	if (!pages)
		return;
	atomic_long_sub(pages, &user->used);
}

/**
 * morsel_limit_get() - MORSEL_IOC_LIMIT_GET
 * @args: the request and the answer
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
int morsel_limit_get(struct morsel_limit *args)
{
	kuid_t uid = make_kuid(current_user_ns(), args->uid);
	struct morsel_user nobody = {.uid = uid}, *user;
	unsigned long limit;

	if (args->flags || args->reserved || !uid_valid(uid))
		return -EINVAL;
	if (!uid_eq(uid, current_fsuid()) && !capable(CAP_SYS_ADMIN))
		return -EPERM;

	/* Tables of morsels that are gone count until they are freed. */
	morsel_subtree_sync();
	mutex_lock(&users_lock);
	user = user_find(uid) ?: &nobody;
	limit = user_limit(user);
	args->bytes = limit > ULONG_MAX >> PAGE_SHIFT ? MORSEL_UNLIMITED : (u64)limit << PAGE_SHIFT;
	args->used = (u64)atomic_long_read(&user->used) << PAGE_SHIFT;
	args->flags = user->own ? 0 : MORSEL_LIMIT_DEFAULT;
	mutex_unlock(&users_lock);
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
	struct morsel_user *user;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (args->flags & ~MORSEL_LIMIT_DEFAULT || args->reserved || !uid_valid(uid))
		return -EINVAL;

	mutex_lock(&users_lock);
	user = user_find_or_make(uid);
	if (!user) {
		mutex_unlock(&users_lock);
		return -ENOMEM;
	}
	user->refs += own - user->own;
	WRITE_ONCE(user->limit,
		   args->bytes == MORSEL_UNLIMITED ? ULONG_MAX : args->bytes >> PAGE_SHIFT);
	WRITE_ONCE(user->own, own);
	user_drop(user);
	mutex_unlock(&users_lock);
	return 0;
}

/**
 * morsel_users_exit() - forget the ceilings; no morsel is left
 */
void morsel_users_exit(void)
{
	struct morsel_user *user;
	struct hlist_node *next;
	int bucket;

	hash_for_each_safe(users, bucket, next, user, node) {
		hash_del(&user->node);
		kfree(user);
	}
}
