// SPDX-License-Identifier: GPL-2.0
/*
 * Who holds a file system of morsels, beside those who have it mounted: names that CREATE gave, and
 * descriptors that came by id or name.  And which is the first, that has these names.
 *
 * The first is the one that was mounted, or had to be made for a name, when there was none.  It
 * stays as long as it is mounted or has such names; who mounts next where nobody has it mounted, or
 * asks for it, gets it, with all that is in it.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs_context.h>
#include <linux/mount.h>
#include <linux/spinlock.h>

#include "object/mount.h"
#include "object/object.h"

/*
 * The lock of holds: protects @first, and holds, unseen and unseen_users of all mounts.  Of a super
 * block, it has holds and s_active agree: what s_active has more are mounts that somebody sees; or
 * one that nobody sees, while it is made or goes, or is kept by a descriptor that is not ours
 * (O_PATH).  So who finds it mounted may be wrong, and is to ask for it by an option.
 */
static DEFINE_SPINLOCK(holds_lock);
static struct super_block *first;

static void count(struct super_block *sb, long by)
{
	if (mount_of(sb))
		mount_of(sb)->holds += by;
}

static bool hold_locked(struct super_block *sb)
{
	bool held = atomic_inc_not_zero(&sb->s_active);

	if (held)
		count(sb, 1);
	return held;
}

/**
 * morsel_hold_fs() - have a file system stay, mounted or not
 * @sb: its super block
 * Return: whether; false: it is going.
 */
bool morsel_hold_fs(struct super_block *sb)
{
	bool held;

	spin_lock(&holds_lock);
	held = hold_locked(sb);
	spin_unlock(&holds_lock);
	return held;
}

/**
 * morsel_drop_fs() - the opposite
 * @sb: its super block; who is the last to drop it sleeps
 */
void morsel_drop_fs(struct super_block *sb)
{
	bool last;

	spin_lock(&holds_lock);
	count(sb, -1);
	last = !atomic_add_unless(&sb->s_active, -1, 1);
	/* Who comes now makes another. */
	if (last && first == sb)
		first = NULL;
	spin_unlock(&holds_lock);
	if (last)
		deactivate_super(sb);
}

/**
 * morsel_hold_first() - hold the file system that has the names of CREATE
 * Return: its super block, for morsel_drop_fs(); NULL: there is none.
 */
struct super_block *morsel_hold_first(void)
{
	struct super_block *sb;

	spin_lock(&holds_lock);
	sb = first;
	if (sb && !hold_locked(sb))
		sb = NULL;
	spin_unlock(&holds_lock);
	return sb;
}

/**
 * morsel_offer_first() - a new file system is the first, if there is none
 * @sb:		its super block
 * @hold:	the caller's reference is to be a hold then, for morsel_drop_fs(); else it is a mount's
 * Return: whether.
 */
bool morsel_offer_first(struct super_block *sb, bool hold)
{
	bool taken;

	spin_lock(&holds_lock);
	taken = !first || !atomic_read(&first->s_active);
	if (taken) {
		first = sb;
		if (hold)
			count(sb, 1);
	}
	spin_unlock(&holds_lock);
	return taken;
}

/* Make one that is the first, and held; NULL: another has come to be that meanwhile. */
static struct super_block *make_first(void)
{
	struct fs_context *fc = fs_context_for_mount(&morsel_mount_type, SB_KERNMOUNT);
	struct super_block *sb = NULL;
	int err;

	if (IS_ERR(fc))
		return ERR_CAST(fc);
	err = vfs_get_tree(fc);
	if (!err) {
		sb = fc->root->d_sb;
		up_write(&sb->s_umount);
		if (morsel_offer_first(sb, true)) {
			dput(fc->root);
			fc->root = NULL;
		} else {
			sb = NULL;
		}
	}
	put_fs_context(fc);
	return err ? ERR_PTR(err) : sb;
}

/**
 * morsel_make_first() - the same; it is made if there is none
 * Return: its super block, for morsel_drop_fs(); ERR_PTR(-ENOMEM).
 */
struct super_block *morsel_make_first(void)
{
	struct super_block *sb;

	do {
		sb = morsel_hold_first() ?: make_first();
	} while (!sb);
	return sb;
}

/**
 * morsel_first_to_mount() - the first, if nobody has it mounted
 * @anyway:	also if somebody has
 * Return: its super block, with an active reference that is the caller's mount's; or NULL.
 */
struct super_block *morsel_first_to_mount(bool anyway)
{
	struct super_block *sb;

	spin_lock(&holds_lock);
	sb = first;
	if (sb && !anyway && atomic_read(&sb->s_active) != mount_of(sb)->holds)
		sb = NULL;
	if (sb && !atomic_inc_not_zero(&sb->s_active))
		sb = NULL;
	spin_unlock(&holds_lock);
	return sb;
}

/**
 * morsel_is_used() - does somebody have a file system mounted, or files of it open by id or name?
 * @sb: its super block, of which the caller has an active reference that is no hold
 * Return: whether.
 */
bool morsel_is_used(struct super_block *sb)
{
	const struct morsel_mount *mount = mount_of(sb);
	bool used;

	spin_lock(&holds_lock);
	used = mount->unseen || atomic_read(&sb->s_active) - 1 != mount->holds;
	spin_unlock(&holds_lock);
	return used;
}

/**
 * morsel_first_goes() - a file system goes, which may be the first yet
 * @sb: its super block
 */
void morsel_first_goes(struct super_block *sb)
{
	spin_lock(&holds_lock);
	if (first == sb)
		first = NULL;
	spin_unlock(&holds_lock);
}

/**
 * morsel_is_first() - is it the one that has the names of CREATE?
 * @sb: its super block
 * Return: whether it was just now.
 */
bool morsel_is_first(const struct super_block *sb)
{
	return READ_ONCE(first) == sb;
}

/* From above the folder that users see, so that its paths, "/morsel:/NAME", are none of theirs. */
static struct vfsmount *make_unseen(struct super_block *sb)
{
	struct fs_context *fc = fs_context_for_mount(&morsel_mount_type, SB_KERNMOUNT);
	struct vfsmount *mnt;

	if (IS_ERR(fc))
		return ERR_CAST(fc);
	/* The caller holds it, so it is not going. */
	morsel_hold_fs(sb);
	fc->root = dget(sb->s_root);
	/* Who makes it read-only marks all mounts meanwhile. */
	down_read(&sb->s_umount);
	mnt = vfs_create_mount(fc);
	if (IS_ERR(mnt)) {
		/* With it goes the reference that was to be the mount's. */
		spin_lock(&holds_lock);
		count(sb, -1);
		spin_unlock(&holds_lock);
	} else {
		/* Programs can be run from there, as from a memfd; as who runs them. */
		mnt->mnt_flags |= MNT_NOSUID | MNT_NODEV;
	}
	up_read(&sb->s_umount);
	put_fs_context(fc);
	return mnt;
}

/* The next three count who uses that mount; the lock is not held. */
static struct vfsmount *get_unseen(struct morsel_mount *mount)
{
	struct vfsmount *mnt;

	spin_lock(&holds_lock);
	mnt = mount->unseen;
	if (mnt)
		mount->unseen_users++;
	spin_unlock(&holds_lock);
	return mnt;
}

/* If @mnt is new, and another was quicker, it goes. */
static struct vfsmount *set_unseen(struct morsel_mount *mount, struct vfsmount *mnt)
{
	struct vfsmount *other;

	spin_lock(&holds_lock);
	other = mount->unseen;
	if (other)
		mount->holds--;
	else
		mount->unseen = mnt;
	mount->unseen_users++;
	spin_unlock(&holds_lock);
	if (!other)
		return mnt;
	mntput(mnt);
	return other;
}

static void put_unseen(struct morsel_mount *mount)
{
	struct vfsmount *mnt = NULL;

	spin_lock(&holds_lock);
	if (!--mount->unseen_users) {
		swap(mnt, mount->unseen);
		/* The mount's own, which it lets go of by itself. */
		mount->holds--;
	}
	spin_unlock(&holds_lock);
	mntput(mnt);
}

/**
 * morsel_open_unseen() - open a file of a file system that the caller need not have mounted
 * @dentry:	the file's; its file system is held by the caller
 * @flags:	O_*
 *
 * As long as it is open, its file system stays, also where it is unmounted.
 * Return: the file, or ERR_PTR.
 */
struct file *morsel_open_unseen(struct dentry *dentry, int flags)
{
	struct morsel_mount *mount = mount_of(dentry->d_sb);
	struct vfsmount *mnt = get_unseen(mount);
	struct file *file;

	if (!mnt) {
		mnt = make_unseen(dentry->d_sb);
		if (IS_ERR(mnt))
			return ERR_CAST(mnt);
		mnt = set_unseen(mount, mnt);
	}
	file = dentry_open(&(struct path){.mnt = mnt, .dentry = dentry}, flags | O_LARGEFILE,
			   current_cred());
	put_unseen(mount);
	return file;
}

/**
 * morsel_unseen_opened() - a file is opened, maybe by way of a mount that nobody sees
 * @file: the file
 */
void morsel_unseen_opened(struct file *file)
{
	struct morsel_mount *mount = mount_of(file_inode(file)->i_sb);

	if (!mount || READ_ONCE(mount->unseen) != file->f_path.mnt)
		return;
	spin_lock(&holds_lock);
	if (mount->unseen == file->f_path.mnt)
		mount->unseen_users++;
	spin_unlock(&holds_lock);
}

/**
 * morsel_unseen_closed() - the same file is closed
 * @file: the file
 *
 * Where it was counted, the mount has stayed the same; where it was not, it has not come back, as
 * the file holds the one that it was opened by way of.
 */
void morsel_unseen_closed(struct file *file)
{
	struct morsel_mount *mount = mount_of(file_inode(file)->i_sb);

	if (mount && READ_ONCE(mount->unseen) == file->f_path.mnt)
		put_unseen(mount);
}
