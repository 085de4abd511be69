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

#include "attach/attach.h"
#include "object/mount.h"
#include "object/object.h"
#include "pools/source.h"

static struct kmem_cache *inodes;
static struct vfsmount *mount;
static struct super_block *super;
/* What descriptors do; also for what stands above this folder. */
static const struct file_operations *descriptor_fops;

/**
 * morsel_alloc_inode() - memory for an inode, which may become a morsel
 * @sb: the file system
 * Return: the inode, or NULL.
 */
struct inode *morsel_alloc_inode(struct super_block *sb)
{
	struct morsel *m = alloc_inode_sb(sb, inodes, GFP_KERNEL);

	if (!m)
		return NULL;
	memset((void *)m + sizeof(m->inode), 0, sizeof(*m) - sizeof(m->inode));
	return &m->inode;
}

/**
 * morsel_free_inode() - free it again
 * @inode: the inode
 */
void morsel_free_inode(struct inode *inode)
{
	struct morsel *m = to_morsel(inode);

	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	free_cpumask_var(m->flush_cpus);
	kmem_cache_free(inodes, m);
}

/* The clone behind private mappings is going. */
static void unmake_private(struct morsel *m)
{
	/* Where its mapping is another's, that stayed for it. */
	if (m->inode.i_mapping != &m->inode.i_data)
		iput(m->inode.i_mapping->host);
	path_put(&m->personal->path);
	kfree(m->personal);
}

/**
 * morsel_evict_inode() - the last who held it has let it go
 * @inode: the inode
 */
void morsel_evict_inode(struct inode *inode)
{
	struct morsel *m = to_morsel(inode);

	clear_inode(inode);
	/* Folders and the like are no morsels. */
	if (!S_ISREG(inode->i_mode))
		return;
	morsel_unmake(m);
	if (m->personal)
		unmake_private(m);
	/* What still runs of us: see morsel_objects_exit(). */
	module_put(THIS_MODULE);
}

/**
 * morsel_statfs_fill() - say how much room there is, in the unit in which memory is best taken
 * @stat:	gets it
 * @limit:	pages that there may be
 * @room:	pages of these that are still to be had
 */
void morsel_statfs_fill(struct kstatfs *stat, unsigned long limit, unsigned long room)
{
	stat->f_bsize = PMD_SIZE;
	stat->f_frsize = PMD_SIZE;
	stat->f_blocks = limit / SPAN_PAGES;
	stat->f_bfree = room / SPAN_PAGES;
	stat->f_bavail = stat->f_bfree;
}

/**
 * morsel_statfs() - statfs(2) of a morsel: what its pool may hold, and who pays may have
 * @dentry:	the morsel's
 * @stat:	is filled
 * Return: 0.
 */
int morsel_statfs(struct dentry *dentry, struct kstatfs *stat)
{
	struct inode *inode = d_inode(dentry);
	unsigned long limit, room;
	int err = simple_statfs(dentry, stat);

	/* Nobody has a descriptor of a clone behind private mappings, which may have nothing any more. */
	if (err || !S_ISREG(inode->i_mode) || to_morsel(inode)->personal)
		return err;
	source_room(to_morsel(inode)->map.source, &limit, &room);
	morsel_statfs_fill(stat, limit, room);
	return 0;
}

static const struct super_operations morsel_sops = {
	.alloc_inode = morsel_alloc_inode,
	.free_inode = morsel_free_inode,
	.evict_inode = morsel_evict_inode,
	.statfs = morsel_statfs,
};

/* What /proc/PID/maps and /proc/PID/fd show: as of a memfd, so that nobody takes it for a path. */
static char *morsel_dname(struct dentry *dentry, char *buffer, int len)
{
	const struct morsel *m = to_morsel(d_inode(dentry));
	char text[64];
	int size = scnprintf(text, sizeof(text), "/morsel:#%llu (deleted)", m->id) + 1;

	if (m->personal)
		return d_path(&m->personal->path, buffer, len);
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
 * morsel_nameless() - the file system that is mounted nowhere
 * Return: its super block.
 */
struct super_block *morsel_nameless(void)
{
	return mount->mnt_sb;
}

/**
 * morsel_inode() - the inode of a new morsel, which is the caller's
 * @maker:	for whom, and where
 * @mode:	permission bits
 * Return: the morsel that it is part of, zeroed; NULL without memory.  The last iput() frees it, and
 * calls morsel_unmake() before.
 */
struct morsel *morsel_inode(const struct morsel_maker *maker, umode_t mode)
{
	struct inode *inode = new_inode(maker->sb);

	if (!inode)
		return NULL;
	inode_init_owner(maker->idmap, inode, maker->dir, S_IFREG | (mode & ~S_IFMT));
	inode->i_op = &morsel_iops;
	inode->i_fop = descriptor_fops;
	simple_inode_init_ts(inode);
	/* Where set-user-ID bits come by chmod(), that takes this away; and there are no attributes. */
	if (!is_sxid(inode->i_mode))
		inode->i_flags |= S_NOSEC;
	/* The caller came by way of /dev/morsel, or of a mount, which hold the module. */
	__module_get(THIS_MODULE);
	return to_morsel(inode);
}

/* The first file of a morsel without a name, and its dentry; the caller's reference is kept. */
static struct file *first_file(struct morsel *m, int flags, const struct file_operations *fops)
{
	struct file *file;

	ihold(&m->inode);
	/* As closing will let go of it. */
	__module_get(THIS_MODULE);
	file = alloc_file_pseudo(&m->inode, mount, "morsel", flags | O_LARGEFILE, fops);
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

/**
 * morsel_file() - a descriptor for a morsel
 * @m:		the morsel, which the caller holds, and the file system that it is in
 * @dentry:	the name's that it is opened by, or one of its; NULL: it has none
 * @flags:	O_RDONLY or O_RDWR, which the caller may
 *
 * All descriptors of one without a name are of one dentry: who watches the first (inotify) is not
 * told that it has gone when another is closed.
 * Return: the file, or ERR_PTR.
 */
struct file *morsel_file(struct morsel *m, struct dentry *dentry, int flags)
{
	bool nameless = m->inode.i_sb == super;

	if (is_given(m))
		return ERR_PTR(-ESTALE);
	if (!dentry)
		return nameless ? first_file(m, flags, descriptor_fops) : ERR_PTR(-ENOENT);
	if (nameless)
		return dentry_open(&(struct path){.mnt = mount, .dentry = dentry},
				   flags | O_LARGEFILE, current_cred());
	return morsel_open_unseen(dentry, flags);
}

/**
 * morsel_file_beside() - a descriptor, for reading and writing, of a morsel that takes the place of another
 * @m:		the morsel
 * @dentry:	of morsel_heir_dentry()
 * @beside:	a file of the other one, by way of the same mount
 * Return: the file, or ERR_PTR.
 */
struct file *morsel_file_beside(struct morsel *m, struct dentry *dentry, const struct file *beside)
{
	if (!dentry)
		return first_file(m, O_RDWR, descriptor_fops);
	return dentry_open(&(struct path){.mnt = beside->f_path.mnt, .dentry = dentry},
			   O_RDWR | O_LARGEFILE, current_cred());
}

/* Whoever is shown that it is there (/proc/PID/map_files). */
static int refuse_open(struct inode *inode, struct file *file)
{
	return -EACCES;
}

/* As madvise(MADV_REMOVE) has it of private mappings. */
static long refuse_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	return -EACCES;
}

/* Nobody has it mapped any more; its inode may stay for the mapping that children's have (i_mapping). */
static int release_private(struct inode *inode, struct file *file)
{
	morsel_unmake(to_morsel(inode));
	return 0;
}

static const struct file_operations private_fops = {
	.owner = THIS_MODULE,
	.open = refuse_open,
	.release = release_private,
	.fallocate = refuse_fallocate,
	.fsync = noop_fsync,
};

/**
 * morsel_private_file() - the one file of a clone that private mappings are of
 * @m: the clone, which nobody has yet; the caller's reference is kept
 * Return: the file, or ERR_PTR.
 */
struct file *morsel_private_file(struct morsel *m)
{
	m->inode.i_fop = &private_fops;
	return first_file(m, O_RDWR, &private_fops);
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
	err = morsel_size_init();
	if (err)
		return err;
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
	map_owner_init(d_inode(super->s_root));
	/* Ours, beside that of the mount: see morsel_objects_exit(). */
	atomic_inc(&super->s_active);
	return 0;

out_inodes:
	/* A root inode that there was already is freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(inodes);
out_size:
	morsel_size_exit();
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
