// SPDX-License-Identifier: GPL-2.0
/*
 * Transfer: who gives a morsel away loses it in the same step, as do all others who have it.
 *
 * Descriptors and mappings, wherever they are, and what /proc makes of them, lead to an inode.  So another one, the heir's, is given
 * what there is, and its id and name; and the first has nothing from then on, and says so (ESTALE).
 *
 * Who is in a fault may have a pointer into tables that are the heir's then.  Until nobody can have one any more, the
 * first is the heir's elder (attach/space.c): the heir's tables stay, and none of them becomes one for reading.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>

#include "attach/attach.h"
#include "move/transfer.h"
#include "object/mount.h"
#include "object/object.h"

static void elder_gone(void *held)
{
	struct morsel *heir = held;

	space_elder_gone(heir);
	morsel_release(heir);
}

static int give(struct morsel *m, struct morsel *heir, struct dentry *name, struct dentry *dentry)
{
	int err;

	if (m->given)
		return -ESTALE;
	if (m->parties)
		return -EOPNOTSUPP;
	/* Others rely on what is in it. */
	if (is_sealed(m, MORSEL_SEALS_WRITE | MORSEL_SEAL_SHRINK))
		return -EPERM;
	err = morsel_drop_tail(m) ?: morsel_equip_heir(m, heir) ?: morsel_hand_over(m, heir);
	if (err)
		return err;
	morsel_succeed(m, heir, name, dentry);
	/* For morsel_release(). */
	ihold(&heir->inode);
	morsel_hold_fs(heir->inode.i_sb);
	space_succeeded(m, heir, elder_gone);
	return 0;
}

/* By a file that is there before, so that all that may fail has been done, and no locks are held while it is opened. */
static struct file *give_by(struct file *from, struct morsel *heir, struct dentry *dentry)
{
	struct file *file = morsel_file_beside(heir, dentry, from);
	struct morsel *m = file_morsel(from);
	struct dentry *name;
	int err;

	if (IS_ERR(file))
		return file;
	err = morsel_lock_name(m, &name);
	if (!err) {
		err = give(m, heir, name, dentry);
		morsel_unlock_name(m, name);
	}
	if (!err)
		return file;
	fput(file);
	return ERR_PTR(err);
}

/**
 * morsel_give() - MORSEL_IOC_GIVE
 * @from: a file of the morsel
 * Return: the only file that has it now; ERR_PTR as morsel_ioctl.h lists the errors, and nothing has changed.
 */
struct file *morsel_give(struct file *from)
{
	struct morsel *heir = morsel_begin_heir(file_morsel(from));
	struct dentry *dentry;
	struct file *file;

	if (!heir)
		return ERR_PTR(-ENOMEM);
	dentry = morsel_heir_dentry(heir);
	file = IS_ERR(dentry) ? ERR_CAST(dentry) : give_by(from, heir, dentry);
	if (!IS_ERR(dentry))
		dput(dentry);
	iput(&heir->inode);
	return file;
}
