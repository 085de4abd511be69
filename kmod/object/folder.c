// SPDX-License-Identifier: GPL-2.0
/*
 * Folders of file systems of morsels, and what is in them: files, which are morsels, links, and what
 * else is made by name.
 *
 * They are the kernel's dentries, as in tmpfs, and libfs does what there is to do with them.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "object/mount.h"
#include "object/object.h"

/**
 * morsel_count_inodes() - there are to be more inodes or links
 * @sb:		in which file system
 * @count:	how many
 * Return: whether there may be.
 */
bool morsel_count_inodes(struct super_block *sb, unsigned int count)
{
	struct morsel_mount *mount = mount_of(sb);

	if (atomic_long_add_return(count, &mount->inodes) <= mount->most)
		return true;
	atomic_long_sub(count, &mount->inodes);
	return false;
}

/**
 * morsel_uncount_inodes() - there are less
 * @sb:		in which file system
 * @count:	how many
 */
void morsel_uncount_inodes(struct super_block *sb, unsigned int count)
{
	atomic_long_sub(count, &mount_of(sb)->inodes);
}

static struct morsel *make(struct mnt_idmap *idmap, struct inode *dir, umode_t mode)
{
	struct morsel_mount *mount = mount_of(dir->i_sb);
	nodemask_t nodes;
	const struct morsel_maker maker = {
		.sb = dir->i_sb,
		.idmap = idmap,
		.dir = dir,
		.dir_locked = true,
		.payer = READ_ONCE(mount->payer),
		.nodes = &nodes,
	};
	const struct morsel_create args = {
		.flags = (READ_ONCE(mount->said.dump) ? MORSEL_CREATE_DUMP : 0) |
			 (READ_ONCE(mount->said.reserve) ? MORSEL_CREATE_RESERVE : 0),
		.pool = READ_ONCE(mount->said.pool),
		.node = MORSEL_ANY,
		.granule = READ_ONCE(mount->said.granule),
		.mode = mode,
		.policy = mount_nodes(mount, &nodes),
	};

	return morsel_make(&maker, &args);
}

/* What creat(2) says: there is no ENOENT but of its path. */
static int make_error(int err)
{
	return err == -ENOENT ? -ENODEV : morsel_file_error(err);
}

static int fs_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		     umode_t mode)
{
	struct morsel *m = make(idmap, dir, mode);

	if (IS_ERR(m))
		return make_error(PTR_ERR(m));
	d_make_persistent(dentry, &m->inode);
	compat_touch_dir(dir);
	return 0;
}

COMPAT_CREATE(op_create, fs_create)

static int fs_tmpfile(struct mnt_idmap *idmap, struct inode *dir, struct file *file, umode_t mode)
{
	struct morsel *m = make(idmap, dir, mode);

	if (IS_ERR(m))
		return finish_open_simple(file, make_error(PTR_ERR(m)));
	d_tmpfile(file, &m->inode);
	return finish_open_simple(file, 0);
}

/* What is no morsel. */
static struct inode *other_inode(struct mnt_idmap *idmap, struct super_block *sb, struct inode *dir,
				 umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = morsel_new_id();
	inode_init_owner(idmap, inode, dir, mode);
	simple_inode_init_ts(inode);
	return inode;
}

static const struct inode_operations dir_iops;

static struct inode *folder_inode(struct mnt_idmap *idmap, struct super_block *sb,
				  struct inode *dir, umode_t mode)
{
	struct inode *inode = other_inode(idmap, sb, dir, S_IFDIR | mode);

	if (inode) {
		inode->i_op = &dir_iops;
		inode->i_fop = &simple_dir_operations;
		/* It and its own ".". */
		set_nlink(inode, 2);
	}
	return inode;
}

/**
 * morsel_root_inode() - the inode of a folder that is in none
 * @sb:		of which file system
 * @mode:	permission bits
 * Return: the inode, or NULL.
 */
struct inode *morsel_root_inode(struct super_block *sb, umode_t mode)
{
	return folder_inode(&nop_mnt_idmap, sb, NULL, mode);
}

static compat_mkdir_t fs_mkdir(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			       umode_t mode)
{
	struct inode *inode = folder_inode(idmap, dir->i_sb, dir, mode);

	if (!inode)
		return compat_mkdir_error(-ENOSPC);
	d_make_persistent(dentry, inode);
	inc_nlink(dir);
	compat_touch_dir(dir);
	return compat_mkdir_error(0);
}

static int fs_mknod(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
		    dev_t dev)
{
	struct inode *inode;

	if (S_ISREG(mode))
		return fs_create(idmap, dir, dentry, mode);
	inode = other_inode(idmap, dir->i_sb, dir, mode);
	if (!inode)
		return -ENOSPC;
	init_special_inode(inode, mode, dev);
	d_make_persistent(dentry, inode);
	compat_touch_dir(dir);
	return 0;
}

static int fs_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		      const char *target)
{
	struct inode *inode = other_inode(idmap, dir->i_sb, dir, S_IFLNK | 0777);
	size_t length = strlen(target);

	if (!inode)
		return -ENOSPC;
	if (morsel_count_inodes(dir->i_sb, morsel_link_worth(length))) {
		inode->i_link = kmemdup(target, length + 1, GFP_KERNEL_ACCOUNT);
		i_size_write(inode, length);
	}
	if (!inode->i_link) {
		iput(inode);
		return -ENOSPC;
	}
	inode->i_op = &simple_symlink_inode_operations;
	d_make_persistent(dentry, inode);
	compat_touch_dir(dir);
	return 0;
}

static int fs_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	/* By a descriptor of what was given away. */
	if (S_ISREG(d_inode(old)->i_mode) && is_given(to_morsel(d_inode(old))))
		return -ESTALE;
	/* The first link of what had none (O_TMPFILE) was counted with it. */
	if (d_inode(old)->i_nlink && !morsel_count_inodes(dir->i_sb, 1))
		return -ENOSPC;
	return simple_link(old, dir, dentry);
}

/* A link has gone, maybe the last; the inode's lock is held. */
static void link_gone(const struct inode *dir, struct inode *inode)
{
	if (S_ISDIR(inode->i_mode))
		return;
	if (inode->i_nlink)
		morsel_uncount_inodes(inode->i_sb, 1);
	else if (S_ISREG(inode->i_mode))
		morsel_nameless_now(to_morsel(inode), dir);
}

static int fs_unlink(struct inode *dir, struct dentry *dentry)
{
	int err = simple_unlink(dir, dentry);

	if (!err)
		link_gone(dir, d_inode(dentry));
	return err;
}

static int fs_rename(struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old,
		     struct inode *new_dir, struct dentry *new, unsigned int flags)
{
	struct inode *target = flags & RENAME_EXCHANGE ? NULL : d_inode(new);
	int err = simple_rename(idmap, old_dir, old, new_dir, new, flags);

	if (!err && target)
		link_gone(new_dir, target);
	return err;
}

static const struct inode_operations dir_iops = {
	.create = op_create,
	.tmpfile = fs_tmpfile,
	.lookup = simple_lookup,
	.link = fs_link,
	.unlink = fs_unlink,
	.symlink = fs_symlink,
	.mkdir = fs_mkdir,
	.rmdir = simple_rmdir,
	.mknod = fs_mknod,
	.rename = fs_rename,
	.getattr = simple_getattr,
};
