// SPDX-License-Identifier: GPL-2.0
/*
 * Finding morsels: by id, by name, one after the other.
 */
#include <linux/mutex.h>
#include <linux/nls.h>
#include <linux/rhashtable.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "object/object.h"

/*
 * The registry lock: protects all below, and the named field of all morsels.  What
 * is in the registry may be about to go: igrab() tells.
 */
static DEFINE_MUTEX(registry_lock);
static DEFINE_XARRAY(by_id);
static struct rhashtable by_name;
static atomic64_t last_id = ATOMIC64_INIT(0);
static atomic_t nr_morsels = ATOMIC_INIT(0);

/* Names are compared with all that follows their end, which is zero. */
static const struct rhashtable_params by_name_params = {
	.key_len = MORSEL_NAME_MAX,
	.key_offset = offsetof(struct morsel, name),
	.head_offset = offsetof(struct morsel, name_node),
	.automatic_shrinking = true,
};

/*
 * How many bytes a character takes that may be in a name; 0: it may not, or is none.
 * Terminals, where names are shown, obey control characters: those of ASCII, and the
 * 32 that follow it in Unicode (C1).
 */
static int name_character(const char *at, size_t left)
{
	unicode_t c;
	int bytes = utf8_to_utf32((const u8 *)at, left, &c);

	if (bytes < 0 || c <= ' ' || c == '/' || (c >= 0x7f && c <= 0x9f))
		return 0;
	return bytes;
}

/**
 * morsel_name_valid() - may a morsel be called so?
 * @name: the name, of MORSEL_NAME_MAX bytes; "": it has none
 * Return: whether.
 */
bool morsel_name_valid(const char *name)
{
	size_t len = strnlen(name, MORSEL_NAME_MAX);
	int bytes;

	if (len == MORSEL_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; len; name += bytes, len -= bytes) {
		bytes = name_character(name, len);
		if (!bytes)
			return false;
	}
	return true;
}

static struct morsel *find_name(const char *name)
{
	char key[MORSEL_NAME_MAX] __aligned(sizeof(u32));

	strscpy_pad(key, name, sizeof(key));
	return rhashtable_lookup_fast(&by_name, key, by_name_params);
}

/**
 * morsel_name_taken() - is there one of this name?
 * @name: the name
 * Return: whether there was just now.
 */
bool morsel_name_taken(const char *name)
{
	return name[0] && find_name(name);
}

/* With a place for the id, and the registry lock held; -EBUSY: the table of names is about to grow. */
static int add_locked(struct morsel *m, u64 id, const char *name)
{
	int err = 0;

	strscpy_pad(m->name, name, sizeof(m->name));
	if (name[0])
		err = rhashtable_lookup_insert_fast(&by_name, &m->name_node, by_name_params);
	if (err)
		return err == -E2BIG ? -ENFILE : err;
	m->id = id;
	m->inode.i_ino = id;
	xa_store(&by_id, id, m, GFP_ATOMIC);
	atomic_inc(&nr_morsels);
	if (name[0]) {
		m->named = true;
		ihold(&m->inode);
	} else {
		clear_nlink(&m->inode);
	}
	return 0;
}

/**
 * morsel_publish() - give a new morsel its id and its name, so that it is found
 * @m:		the morsel
 * @name:	its name, or ""
 * Return: 0, -EEXIST (the name is taken), -ENFILE (there can be no more names) or -ENOMEM.
 */
int morsel_publish(struct morsel *m, const char *name)
{
	u64 id = atomic64_inc_return(&last_id);
	/* Nobody waits for the lock while there is no memory. */
	int err = xa_reserve(&by_id, id, GFP_KERNEL);

	if (err)
		return err;
	for (;;) {
		mutex_lock(&registry_lock);
		err = add_locked(m, id, name);
		mutex_unlock(&registry_lock);
		if (err != -EBUSY)
			break;
		flush_work(&by_name.run_work);
	}
	if (err)
		xa_release(&by_id, id);
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
		rhashtable_remove_fast(&by_name, &m->name_node, by_name_params);
		m->named = false;
		clear_nlink(&m->inode);
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
 * Return: the morsel, with a reference; NULL: there is none, or the caller is being killed.
 */
struct morsel *morsel_next(u64 *id)
{
	unsigned long next = *id;
	struct morsel *m;
	bool held;

	for (;;) {
		mutex_lock(&registry_lock);
		m = xa_find_after(&by_id, &next, ULONG_MAX, XA_PRESENT);
		/* Who may not see it does not come to be the last who holds it. */
		held = m && morsel_visible(m) && igrab(&m->inode);
		mutex_unlock(&registry_lock);
		if (!m)
			return NULL;
		*id = next;
		if (held)
			return m;
		/* There may be millions that are not the caller's to see. */
		if (fatal_signal_pending(current))
			return NULL;
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
 * morsel_names_init() - an empty registry
 * Return: 0 or -ENOMEM.
 */
int morsel_names_init(void)
{
	return rhashtable_init(&by_name, &by_name_params);
}

/**
 * morsel_names_exit() - no morsel is left
 */
void morsel_names_exit(void)
{
	rhashtable_destroy(&by_name);
	xa_destroy(&by_id);
}
