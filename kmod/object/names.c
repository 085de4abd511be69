// SPDX-License-Identifier: GPL-2.0
/*
 * Finding morsels: by id, by name, one after the other.
 *
 * Names are those of files in the folder of the first file system (holds.c).
 */
#include <linux/dcache.h>
#include <linux/fsnotify.h>
#include <linux/mutex.h>
#include <linux/nls.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "object/mount.h"
#include "object/object.h"
#include "trace.h"

/*
 * The registry lock: protects @by_id.  What is in there may be about to go: igrab() tells.
 */
static DEFINE_MUTEX(registry_lock);
static DEFINE_XARRAY(by_id);
static atomic64_t last_id = ATOMIC64_INIT(0);
static atomic_t nr_morsels = ATOMIC_INIT(0);

/*
 * How many bytes a character takes that may be in a name; 0: it may not, or is none.
 * Terminals, where names are shown, obey control characters: those of ASCII, and the
 * 32 that follow it in Unicode (C1).
 */
static int name_character(const char *at, size_t left)
{
	unicode_t c;
	int bytes = utf8_to_utf32((const u8 *)at, left, &c);

	if (bytes < 0 || c < ' ' || c == '/' || (c >= 0x7f && c <= 0x9f))
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

/**
 * morsel_new_id() - a number that no inode of ours has had
 * Return: the number.
 */
u64 morsel_new_id(void)
{
	return atomic64_inc_return(&last_id);
}

/**
 * morsel_publish() - give a new morsel its id, so that it is found
 * @m: the morsel
 * Return: 0 or -ENOMEM.
 */
int morsel_publish(struct morsel *m)
{
	u64 id = morsel_new_id();
	/* Nobody waits for the lock while there is no memory. */
	int err = xa_reserve(&by_id, id, GFP_KERNEL);

	if (err)
		return err;
	m->id = id;
	m->inode.i_ino = id;
	mutex_lock(&registry_lock);
	xa_store(&by_id, id, m, GFP_ATOMIC);
	mutex_unlock(&registry_lock);
	atomic_inc(&nr_morsels);
	trace_morsel_create(m);
	return 0;
}

/**
 * morsel_withdraw() - forget a morsel that is going, if it was published
 * @m: the morsel, which has no name any more
 */
void morsel_withdraw(struct morsel *m)
{
	/* Of what was given away, another has it. */
	if (!m->id || m->given)
		return;
	mutex_lock(&registry_lock);
	xa_erase(&by_id, m->id);
	mutex_unlock(&registry_lock);
	atomic_dec(&nr_morsels);
}

/* What is called so in a folder; a dentry without an inode, or NULL: nothing. */
static struct dentry *look_up(struct dentry *folder, const char *name)
{
	struct qstr q = {.name = name, .len = strlen(name)};

	q.hash = full_name_hash(folder, name, q.len);
	return d_lookup(folder, &q);
}

/* The same, or a new dentry, where a name is to be made; with the folder's lock. */
static struct dentry *look_up_to_make(struct dentry *folder, const char *name)
{
	struct dentry *dentry = look_up(folder, name);

	if (dentry)
		return dentry;
	dentry = d_alloc_name(folder, name);
	if (dentry)
		d_add(dentry, NULL);
	return dentry;
}

/**
 * morsel_name_taken() - is there something of this name?
 * @sb:		the first file system
 * @name:	the name
 * Return: whether there was just now.
 */
bool morsel_name_taken(struct super_block *sb, const char *name)
{
	struct dentry *dentry = look_up(mount_of(sb)->top, name);
	bool taken = dentry && d_really_is_positive(dentry);

	dput(dentry);
	return taken;
}

static int make_name(struct morsel *m, struct dentry *dentry)
{
	struct super_block *sb = m->inode.i_sb;
	struct inode *dir = d_inode(mount_of(sb)->top);

	if (!dentry)
		return -ENOMEM;
	if (d_really_is_positive(dentry))
		return -EEXIST;
	m->created = true;
	m->named = morsel_hold_fs(sb);
	ihold(&m->inode);
	d_make_persistent(dentry, &m->inode);
	compat_touch_dir(dir);
	fsnotify_create(dir, dentry);
	return 0;
}

/**
 * morsel_may_name() - may the caller give names?
 * @sb: the first file system
 * Return: 0, -EACCES, -EROFS.
 */
int morsel_may_name(struct super_block *sb)
{
	return inode_permission(&nop_mnt_idmap, d_inode(mount_of(sb)->top), MAY_WRITE | MAY_EXEC);
}

/**
 * morsel_name() - give a new morsel its name, which keeps it
 * @m:		the morsel, of the first file system, which the caller holds
 * @name:	the name
 * Return: its dentry, for dput(); ERR_PTR: -EEXIST (the name is taken), -ENOMEM, or what
 * morsel_may_name() says.
 */
struct dentry *morsel_name(struct morsel *m, const char *name)
{
	struct super_block *sb = m->inode.i_sb;
	struct dentry *top = mount_of(sb)->top, *dentry = NULL;
	int err;

	inode_lock_nested(d_inode(top), I_MUTEX_PARENT);
	err = morsel_may_name(sb);
	if (!err) {
		dentry = look_up_to_make(top, name);
		err = make_name(m, dentry);
	}
	inode_unlock(d_inode(top));
	if (!err)
		return dentry;
	dput(dentry);
	return ERR_PTR(err);
}

/**
 * morsel_nameless_now() - a morsel of a file system has lost its last name
 * @m:		the morsel, with its inode's lock; the caller holds the file system
 * @dir:	where it had that
 */
void morsel_nameless_now(struct morsel *m, const struct inode *dir)
{
	struct super_block *sb = m->inode.i_sb;

	WRITE_ONCE(m->left, m->created && dir == d_inode(mount_of(sb)->top));
	if (m->named)
		morsel_drop_fs(sb);
	m->named = false;
}

/* Whoever may: it was made by the caller, and nobody has been told. */
static int unlink_unasked(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	int err;

	ihold(inode);
	inode_lock(inode);
	err = dir->i_op->unlink(dir, dentry);
	inode_unlock(inode);
	if (!err) {
		d_delete(dentry);
		fsnotify_delete(dir, inode, dentry);
	}
	iput(inode);
	return err;
}

/**
 * morsel_unname() - take a morsel's name away
 * @dentry:	the name's, which the caller holds beside files that are open by it
 * @made:	the caller has made it, and it is a failure that it is there; else it goes by the
 *		rules of unlink(2)
 * Return: 0; -ENOENT: it has become another meanwhile; -EPERM, -EACCES: the folder's or the
 * morsel's owner and mode do not let the caller; -EROFS.
 */
int morsel_unname(struct dentry *dentry, bool made)
{
	struct dentry *parent = dget_parent(dentry);
	struct inode *dir = d_inode(parent);
	int err = -ENOENT;

	/* Of a morsel without a name it would be the morsel itself. */
	if (d_unhashed(dentry)) {
		dput(parent);
		return err;
	}
	inode_lock_nested(dir, I_MUTEX_PARENT);
	if (dentry->d_parent == parent && !d_unhashed(dentry))
		err = made ? unlink_unasked(dir, dentry)
			   : vfs_unlink(&nop_mnt_idmap, dir, dentry, NULL);
	inode_unlock(dir);
	dput(parent);
	return err;
}

/* Is it the name that an inode has? */
static bool is_name(struct inode *inode, const struct dentry *dentry, const struct dentry *parent)
{
	if (!inode->i_nlink)
		return !dentry;
	return dentry && dentry->d_parent == parent && !d_unhashed(dentry);
}

/**
 * morsel_lock_name() - have a morsel stay what it is, and be called as it is
 * @m:		the morsel
 * @name:	gets its name's dentry, for morsel_unlock_name(); NULL: it has none
 *
 * The locks of the folder that the name is in, and of the inode, are held then.
 * Return: 0; -EMLINK: it has several names; -EBUSY: something is mounted there; -EINTR: a fatal signal; and no locks are
 * held.
 */
int morsel_lock_name(struct morsel *m, struct dentry **name)
{
	struct inode *inode = &m->inode;
	struct dentry *parent = NULL;
	int err;

	for (;;) {
		*name = inode->i_nlink ? d_find_alias(inode) : NULL;
		if (*name) {
			parent = dget_parent(*name);
			inode_lock_nested(d_inode(parent), I_MUTEX_PARENT);
		}
		err = down_write_killable(&inode->i_rwsem);
		if (!err && inode->i_nlink > 1)
			err = -EMLINK;
		else if (!err && *name && d_mountpoint(*name))
			err = -EBUSY;
		else if (!err && is_name(inode, *name, parent))
			break;
		if (err != -EINTR)
			inode_unlock(inode);
		if (*name) {
			inode_unlock(d_inode(parent));
			dput(parent);
			dput(*name);
		}
		if (err)
			return err;
		cond_resched();
	}
	/* Held by the name, which stays where it is. */
	if (*name)
		dput(parent);
	return 0;
}

/**
 * morsel_unlock_name() - end what morsel_lock_name() began
 * @m:		the morsel
 * @name:	its name, or what it was
 */
void morsel_unlock_name(struct morsel *m, struct dentry *name)
{
	inode_unlock(&m->inode);
	if (!name)
		return;
	inode_unlock(d_inode(name->d_parent));
	dput(name);
}

/**
 * morsel_heir_dentry() - by what a morsel is opened that is to take the place of another
 * @heir: the morsel, of morsel_make_heir()
 * Return: a dentry that nobody finds, for dput(); NULL: it is of the file system that is mounted nowhere; ERR_PTR(-ENOMEM).
 */
struct dentry *morsel_heir_dentry(struct morsel *heir)
{
	struct morsel_mount *mount = mount_of(heir->inode.i_sb);
	struct dentry *dentry;

	if (!mount)
		return NULL;
	/* As of what is made with O_TMPFILE. */
	dentry = d_alloc_name(mount->top, "#given");
	if (!dentry)
		return ERR_PTR(-ENOMEM);
	ihold(&heir->inode);
	d_instantiate(dentry, &heir->inode);
	return dentry;
}

/* Have a dentry, which nobody finds yet, take the place of a name. */
static void take_name(struct morsel *m, struct morsel *heir, struct dentry *name,
		      struct dentry *dentry)
{
	struct inode *dir = d_inode(name->d_parent);

	set_nlink(&heir->inode, 1);
	heir->named = m->named && morsel_hold_fs(heir->inode.i_sb);
	dont_mount(name);
	dir->i_op->unlink(dir, name);
	compat_keep_dentry(dentry);
	/* Who looks finds the one or the other. */
	d_move(dentry, name);
}

/* It may be given its first name still, by a descriptor (O_TMPFILE). */
static bool may_be_linked(struct inode *inode)
{
	bool may;

	spin_lock(&inode->i_lock);
	may = inode_state_read(inode) & I_LINKABLE;
	spin_unlock(&inode->i_lock);
	return may;
}

static void let_be_linked(struct inode *inode)
{
	spin_lock(&inode->i_lock);
	inode_state_set(inode, I_LINKABLE);
	spin_unlock(&inode->i_lock);
}

/**
 * morsel_succeed() - have a morsel be found where another was
 * @m:		the other one, of morsel_lock_name(), which was given away
 * @heir:	the morsel
 * @name:	the other one's name, or NULL
 * @dentry:	of morsel_heir_dentry()
 */
void morsel_succeed(struct morsel *m, struct morsel *heir, struct dentry *name,
		    struct dentry *dentry)
{
	heir->left = m->left;
	if (name)
		take_name(m, heir, name, dentry);
	else if (may_be_linked(&m->inode))
		let_be_linked(&heir->inode);
	mutex_lock(&registry_lock);
	heir->id = m->id;
	heir->inode.i_ino = m->id;
	/* Where something is already, this takes no memory. */
	xa_store(&by_id, m->id, heir, GFP_ATOMIC);
	mutex_unlock(&registry_lock);
}

static bool may(struct inode *inode, int mask)
{
	return !inode_permission(&nop_mnt_idmap, inode, mask);
}

/* The name that it has in the folder of names, with the inode's i_lock held; or NULL. */
static struct dentry *top_locked(struct inode *inode)
{
	const struct morsel_mount *mount = mount_of(inode->i_sb);
	struct dentry *dentry;

	for_each_alias(dentry, inode) {
		if (READ_ONCE(dentry->d_parent) == mount->top && !d_unhashed(dentry))
			return dentry;
	}
	return NULL;
}

/* The same, for dput(). */
static struct dentry *top_dentry(struct inode *inode)
{
	struct dentry *dentry;

	if (!mount_of(inode->i_sb))
		return NULL;
	spin_lock(&inode->i_lock);
	dentry = top_locked(inode);
	if (dentry)
		dget(dentry);
	spin_unlock(&inode->i_lock);
	return dentry;
}

/**
 * morsel_get_name() - what a morsel is called
 * @m:		the morsel
 * @name:	gets its name, or "": that of CREATE, else that by which one of its links ends
 * @size:	bytes that there is room for
 */
void morsel_get_name(struct morsel *m, char *name, size_t size)
{
	struct dentry *dentry = top_dentry(&m->inode) ?: d_find_alias(&m->inode);

	name[0] = 0;
	if (!dentry)
		return;
	spin_lock(&dentry->d_lock);
	strscpy(name, dentry->d_name.name, size);
	spin_unlock(&dentry->d_lock);
	dput(dentry);
}

/* Is it where names of CREATE are, or was it, made by that, when it lost its last one? */
static bool is_in_top(struct morsel *m)
{
	struct inode *inode = &m->inode;
	bool found;

	if (!morsel_is_first(inode->i_sb))
		return false;
	spin_lock(&inode->i_lock);
	found = READ_ONCE(m->left) || top_locked(inode);
	spin_unlock(&inode->i_lock);
	return found;
}

/*
 * May the caller come to a morsel at all, by the rights @mask to the folder of names?  Folders, and
 * namespaces of mounts, may keep others from it, which to go by its id must not get round: as for
 * open_by_handle_at(2), that takes a capability.
 */
static bool reachable(struct morsel *m, int mask)
{
	struct super_block *sb = m->inode.i_sb;

	if (!mount_of(sb))
		return true;
	if (is_in_top(m) && may(d_inode(mount_of(sb)->top), mask))
		return true;
	return ns_capable_noaudit(&init_user_ns, CAP_DAC_READ_SEARCH);
}

/**
 * morsel_visible() - may the caller know of a morsel?
 * @m: the morsel
 * Return: whether.
 */
bool morsel_visible(struct morsel *m)
{
	return reachable(m, MAY_EXEC) && may(&m->inode, MAY_READ);
}

/**
 * morsel_own() - is it one that the caller can come to, and does it belong to the caller?
 * @m: the morsel
 * Return: whether; also if its mode does not let the caller see it.
 */
bool morsel_own(struct morsel *m)
{
	return reachable(m, MAY_EXEC) && inode_owner_or_capable(&nop_mnt_idmap, &m->inode);
}

/**
 * morsel_release() - let go of a morsel that was found
 * @m: the morsel
 */
void morsel_release(struct morsel *m)
{
	struct super_block *sb = m->inode.i_sb;

	iput(&m->inode);
	morsel_drop_fs(sb);
}

/* A morsel may be going, and so may the file system that it is in. */
static struct morsel *find_id(u64 id)
{
	struct super_block *sb = NULL;
	struct morsel *m;
	bool held = false;

	mutex_lock(&registry_lock);
	m = xa_load(&by_id, id);
	if (m && morsel_hold_fs(m->inode.i_sb)) {
		sb = m->inode.i_sb;
		held = igrab(&m->inode);
	}
	mutex_unlock(&registry_lock);
	if (held)
		return m;
	if (sb)
		morsel_drop_fs(sb);
	return NULL;
}

static struct morsel *find_name(const char *name, struct dentry **found)
{
	struct super_block *sb = morsel_hold_first();
	struct dentry *dentry = NULL;

	if (!sb)
		return NULL;
	if (may(d_inode(mount_of(sb)->top), MAY_EXEC))
		dentry = look_up(mount_of(sb)->top, name);
	if (dentry && d_is_reg(dentry)) {
		ihold(d_inode(dentry));
		*found = dentry;
		return to_morsel(d_inode(dentry));
	}
	dput(dentry);
	morsel_drop_fs(sb);
	return NULL;
}

/* By what a morsel is opened, or unlinked, that was found by its id: a name that others may have. */
static struct dentry *some_dentry(struct inode *inode)
{
	return top_dentry(inode) ?: d_find_alias(inode) ?: d_find_any_alias(inode);
}

/**
 * morsel_find() - find a morsel by id, or by name if that is 0
 * @id:		its id, or 0
 * @name:	its name; "" where @id is given
 * @dentry:	gets the name's, or one of its, for dput(); or NULL
 * Return: the morsel, for morsel_release(); ERR_PTR(-EINVAL): both are given, or none, or
 * it is no name; ERR_PTR(-ENOENT).
 */
struct morsel *morsel_find(u64 id, const char *name, struct dentry **dentry)
{
	struct morsel *m;

	if (!morsel_name_valid(name) || !id == !name[0])
		return ERR_PTR(-EINVAL);
	if (!id)
		return find_name(name, dentry) ?: ERR_PTR(-ENOENT);
	m = find_id(id);
	if (!m)
		return ERR_PTR(-ENOENT);
	*dentry = some_dentry(&m->inode);
	return m;
}

/**
 * morsel_next() - the morsel that follows by id, of those that the caller may see
 * @id: of the one before, or 0; becomes that of this one
 * Return: the morsel, for morsel_release(); NULL: there is none, or the caller is being killed.
 */
struct morsel *morsel_next(u64 *id)
{
	unsigned long next = *id;
	struct super_block *sb;
	struct morsel *m;
	bool seen;

	for (;;) {
		sb = NULL;
		seen = false;
		mutex_lock(&registry_lock);
		m = xa_find_after(&by_id, &next, ULONG_MAX, XA_PRESENT);
		/* Before anything of it is looked at. */
		if (m && morsel_hold_fs(m->inode.i_sb)) {
			sb = m->inode.i_sb;
			/* Who may not see it does not come to be the last who holds it. */
			seen = reachable(m, MAY_READ | MAY_EXEC) && may(&m->inode, MAY_READ) &&
			       igrab(&m->inode);
		}
		mutex_unlock(&registry_lock);
		if (!m)
			return NULL;
		*id = next;
		if (seen)
			return m;
		if (sb)
			morsel_drop_fs(sb);
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
 * morsel_names_exit() - no morsel is left
 */
void morsel_names_exit(void)
{
	xa_destroy(&by_id);
}
