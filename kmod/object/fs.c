// SPDX-License-Identifier: GPL-2.0
/*
 * The file system that morsels are inodes of, which is mounted nowhere.
 *
 * A morsel's descriptors and mappings hold the inode, as does its name; when the
 * last of them goes, so does the morsel.  The inode holds the module, so that
 * unloading loses nothing, whoever holds the inode: a name, or a descriptor that is
 * not even ours (O_PATH).
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "object/object.h"
#include "pools/account.h"

#define MORSEL_MAGIC 0x4d4f5253 /* "MORS" */

static struct kmem_cache *inodes;
static struct vfsmount *mount;
static struct super_block *super;
/* What descriptors do; also for what stands above this folder. */
static const struct file_operations *descriptor_fops;

static struct inode *morsel_alloc_inode(struct super_block *sb)
{
	struct morsel *m = alloc_inode_sb(sb, inodes, GFP_KERNEL);

	if (!m)
		return NULL;
	memset((void *)m + sizeof(m->inode), 0, sizeof(*m) - sizeof(m->inode));
	address_space_init_once(&m->map.mapping);
	return &m->inode;
}

static void morsel_free_inode(struct inode *inode)
{
	struct morsel *m = to_morsel(inode);

	free_cpumask_var(m->flush_cpus);
	kmem_cache_free(inodes, m);
}

static void morsel_evict_inode(struct inode *inode)
{
	struct morsel *m = to_morsel(inode);

	clear_inode(inode);
	/* The root is no morsel. */
	if (S_ISDIR(inode->i_mode))
		return;
	morsel_unmake(m);
	/* What still runs of us: see morsel_objects_exit(). */
	module_put(THIS_MODULE);
}

/* What its pool may hold, and has room for, in the unit in which memory is best taken. */
static int morsel_statfs(struct dentry *dentry, struct kstatfs *stat)
{
	struct inode *inode = d_inode(dentry);
	unsigned long limit, room;
	int err = simple_statfs(dentry, stat);

	if (err || S_ISDIR(inode->i_mode))
		return err;
	account_room(to_morsel(inode)->map.account, &limit, &room);
	stat->f_bsize = PMD_SIZE;
	stat->f_frsize = PMD_SIZE;
	stat->f_blocks = limit / SPAN_PAGES;
	stat->f_bfree = room / SPAN_PAGES;
	stat->f_bavail = stat->f_bfree;
	stat->f_namelen = MORSEL_NAME_MAX - 1;
	return 0;
}

static const struct super_operations morsel_sops = {
	.alloc_inode = morsel_alloc_inode,
	.free_inode = morsel_free_inode,
	.evict_inode = morsel_evict_inode,
	.statfs = morsel_statfs,
};

/* What /proc/PID/maps and /proc/PID/fd show. */
static char *morsel_dname(struct dentry *dentry, char *buffer, int len)
{
	struct morsel *m = to_morsel(d_inode(dentry));
	char text[MORSEL_NAME_MAX + 32];
	int size;

	if (m->name[0])
		size = scnprintf(text, sizeof(text), "[morsel:%s]", m->name) + 1;
	else
		size = scnprintf(text, sizeof(text), "[morsel:#%llu]", m->id) + 1;
	if (size > len)
		return ERR_PTR(-ENAMETOOLONG);
	return memcpy(buffer + len - size, text, size);
}

static const struct dentry_operations morsel_dops = {
	.d_dname = morsel_dname,
};

static int morsel_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, MORSEL_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->ops = &morsel_sops;
	ctx->dops = &morsel_dops;
	/* A mapping may ask for execution, as with a memfd. */
	fc->s_iflags &= ~SB_I_NOEXEC;
	return 0;
}

/* No owner: our one mount of it would hold the module for ever. */
static struct file_system_type morsel_fs = {
	.name = "morsel",
	.init_fs_context = morsel_init_fs_context,
	.kill_sb = kill_anon_super,
};

/**
 * morsel_inode() - the inode of a new morsel, which is the caller's
 * @mode:	permission bits
 * Return: the morsel that it is part of, zeroed; NULL without memory.  The last iput() frees it, and
 * calls morsel_unmake() before.
 */
struct morsel *morsel_inode(umode_t mode)
{
	struct inode *inode = new_inode(mount->mnt_sb);
	struct morsel *m;

	if (!inode)
		return NULL;
	inode->i_mode = S_IFREG | mode;
	inode->i_uid = current_fsuid();
	inode->i_gid = current_fsgid();
	inode->i_op = &morsel_iops;
	inode->i_fop = descriptor_fops;
	simple_inode_init_ts(inode);
	/* Set-user-ID bits come by chmod(), which takes this away, and there are no attributes. */
	inode->i_flags |= S_NOSEC;

	m = to_morsel(inode);
	/* The caller came by way of /dev/morsel, which holds the module. */
	__module_get(THIS_MODULE);
	return m;
}

/**
 * morsel_file() - a descriptor for a morsel
 * @m:		the morsel; takes the caller's reference, also on failure
 * @flags:	O_*
 * Return: the file, or ERR_PTR.
 */
struct file *morsel_file(struct morsel *m, int flags)
{
	struct file *file;

	/* As closing will let go of it. */
	__module_get(THIS_MODULE);
	file = alloc_file_pseudo(&m->inode, mount, "morsel", flags | O_LARGEFILE, descriptor_fops);
	if (IS_ERR(file)) {
		module_put(THIS_MODULE);
		iput(&m->inode);
		return file;
	}
	/* As morsel_file_open() has it. */
	file->private_data = &m->plain;
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	return file;
}

static void morsel_inode_init_once(void *memory)
{
	struct morsel *m = memory;

	inode_init_once(&m->inode);
}

/**
 * morsel_objects_init() - make what all morsels share
 * @fops: what their descriptors do
 * Return: 0 or a negative errno.
 */
int morsel_objects_init(const struct file_operations *fops)
{
	int err;

	descriptor_fops = fops;
	err = morsel_names_init();
	if (err)
		return err;
	err = morsel_size_init();
	if (err)
		goto out_names;
	err = -ENOMEM;
	inodes = kmem_cache_create("morsel", sizeof(struct morsel), __alignof__(struct morsel),
				   SLAB_ACCOUNT, morsel_inode_init_once);
	if (!inodes)
		goto out_size;
	mount = kern_mount(&morsel_fs);
	if (IS_ERR(mount)) {
		err = PTR_ERR(mount);
		goto out_inodes;
	}
	super = mount->mnt_sb;
	super->s_maxbytes = MORSEL_MAX_LENGTH;
	/* Ours, beside that of the mount: see morsel_objects_exit(). */
	atomic_inc(&super->s_active);
	return 0;

out_inodes:
	/* A root inode that there was already is freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(inodes);
out_size:
	morsel_size_exit();
out_names:
	morsel_names_exit();
	return err;
}

/**
 * morsel_objects_exit() - no morsel is left
 *
 * Whoever closed the last descriptor may not be out of morsel_evict_inode()
 * yet, but holds the mount until then, and with it the super block: the last
 * reference to that is ours.
 */
void morsel_objects_exit(void)
{
	morsel_size_exit();
	kern_unmount(mount);
	while (atomic_read(&super->s_active) > 1)
		usleep_range(100, 1000);
	deactivate_super(super);
	/* Who goes through all file systems, as sync(2) does, may hold what is left of ours yet. */
	while (!hlist_empty(&morsel_fs.fs_supers))
		usleep_range(100, 1000);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(inodes);
	morsel_names_exit();
}
