// SPDX-License-Identifier: GPL-2.0
/*
 * Finding morsels: by id, by name, one after the other.
 */
#include <linux/dcache.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/stringhash.h>
#include <linux/xarray.h>

#include "object/object.h"

/*
 * The registry lock: protects all below, and the named field of all morsels.  What
 * is in the registry may be about to go: igrab() tells.
 */
static DEFINE_MUTEX(registry_lock);
static DEFINE_XARRAY(by_id);
static DEFINE_HASHTABLE(by_name, 10);
static u64 last_id;
static atomic_t nr_morsels = ATOMIC_INIT(0);

/**
 * morsel_name_valid() - may a morsel be called so?
 * @name: the name, of MORSEL_NAME_MAX bytes; "": it has none
 * Return: whether.
 */
bool morsel_name_valid(const char *name)
{
	size_t i, len = strnlen(name, MORSEL_NAME_MAX);

	if (len == MORSEL_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (i = 0; i < len; i++)
		if ((u8)name[i] <= ' ' || name[i] == 0x7f || name[i] == '/')
			return false;
	return true;
}

static unsigned int name_hash(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

static struct morsel *find_name(const char *name)
{
	struct morsel *m;

	hash_for_each_possible(by_name, m, name_node, name_hash(name))
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

/**
 * morsel_name_taken() - is there one of this name?
 * @name: the name
 * Return: whether there was just now.
 */
bool morsel_name_taken(const char *name)
{
	bool taken;

	mutex_lock(&registry_lock);
	taken = name[0] && find_name(name);
	mutex_unlock(&registry_lock);
	return taken;
}

/**
 * morsel_publish() - give a new morsel its id and its name, so that it is found
 * @m:		the morsel
 * @name:	its name, or ""
 * Return: 0, -EEXIST (the name is taken) or -ENOMEM.
 */
int morsel_publish(struct morsel *m, const char *name)
{
	int err;

	mutex_lock(&registry_lock);
	if (name[0] && find_name(name)) {
		err = -EEXIST;
		goto out;
	}
	m->id = last_id + 1;
	strscpy(m->name, name, sizeof(m->name));
	err = xa_insert(&by_id, m->id, m, GFP_KERNEL);
	if (err) {
		m->id = 0;
		goto out;
	}
	last_id++;
	m->inode.i_ino = m->id;
	atomic_inc(&nr_morsels);
	if (name[0]) {
		hash_add(by_name, &m->name_node, name_hash(name));
		m->named = true;
		ihold(&m->inode);
	}
out:
	mutex_unlock(&registry_lock);
	return err;
}

/**
 * morsel_withdraw() - forget a morsel that is going, if it was published
 * @m: the morsel, which has no name any more
 */
void morsel_withdraw(struct morsel *m)
{
	if (!m->id)
		return;
	mutex_lock(&registry_lock);
	xa_erase(&by_id, m->id);
	mutex_unlock(&registry_lock);
	atomic_dec(&nr_morsels);
}

/**
 * morsel_unname() - take a morsel's name away, if it has one
 * @m: the morsel, to which the caller has a reference
 * Return: 0 or -ENOENT.
 */
int morsel_unname(struct morsel *m)
{
	bool named;

	mutex_lock(&registry_lock);
	named = m->named;
	if (named) {
		hash_del(&m->name_node);
		m->named = false;
	}
	mutex_unlock(&registry_lock);
	if (!named)
		return -ENOENT;
	iput(&m->inode);
	return 0;
}

/**
 * morsel_find() - find a morsel by id, or by name if that is 0
 * @id:		its id, or 0
 * @name:	its name; "" where @id is given
 * Return: the morsel, with a reference; ERR_PTR(-EINVAL): both are given, or none, or
 * it is no name; ERR_PTR(-ENOENT).
 */
struct morsel *morsel_find(u64 id, const char *name)
{
	struct morsel *m;

	if (!morsel_name_valid(name) || !id == !name[0])
		return ERR_PTR(-EINVAL);
	mutex_lock(&registry_lock);
	m = id ? xa_load(&by_id, id) : find_name(name);
	if (m && !igrab(&m->inode))
		m = NULL;
	mutex_unlock(&registry_lock);
	return m ?: ERR_PTR(-ENOENT);
}

/**
 * morsel_next() - the morsel that follows by id, of those that the caller may see
 * @id: of the one before, or 0; becomes that of this one
 * Return: the morsel, with a reference; NULL: there is none.
 */
struct morsel *morsel_next(u64 *id)
{
	unsigned long next = *id;
	struct morsel *m;
	bool held;

	for (;;) {
		mutex_lock(&registry_lock);
		m = xa_find_after(&by_id, &next, ULONG_MAX, XA_PRESENT);
		held = m && igrab(&m->inode);
		mutex_unlock(&registry_lock);
		if (!m)
			return NULL;
		*id = next;
		if (held && morsel_visible(m))
			return m;
		if (held)
			iput(&m->inode);
		cond_resched();
	}
}

/**
 * morsel_count() - how many morsels there are
 * Return: the number.
 */
unsigned int morsel_count(void)
{
	return atomic_read(&nr_morsels);
}

/**
 * morsel_names_exit() - no morsel is left
 */
void morsel_names_exit(void)
{
	xa_destroy(&by_id);
}
