// SPDX-License-Identifier: GPL-2.0
/*
 * Morsels: making them, finding them by id and name, freeing them.
 *
 * A morsel is an inode of a file system that is mounted nowhere.  Its
 * descriptors and mappings hold the inode, as does its name; when the last of
 * them goes, so does the morsel.  The inode holds the module, so that unloading
 * loses nothing, whoever holds the inode: a name, or a descriptor that is not
 * even ours (O_PATH).
 */
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>
#include <linux/stringhash.h>
#include <linux/xarray.h>

#include "map/map.h"
#include "object/object.h"
#include "pools/payer.h"
#include "pools/pool.h"
#include "trace.h"

#define MORSEL_MAGIC 0x4d4f5253 /* "MORS" */

static struct kmem_cache *inodes;
static struct vfsmount *mount;
static struct super_block *super;
/* What descriptors do; also for what stands above this folder. */
static const struct file_operations *descriptor_fops;

/*
 * The registry lock: protects the two below, last_id, and the named field of
 * all morsels.
 */
static DEFINE_MUTEX(registry_lock);
static DEFINE_XARRAY(by_id);
static DEFINE_HASHTABLE(by_name, 10);
static u64 last_id;
static atomic_t nr_morsels = ATOMIC_INIT(0);

static struct inode *morsel_alloc_inode(struct super_block *sb)
{
	struct morsel *m = alloc_inode_sb(sb, inodes, GFP_KERNEL);

	if (!m)
		return NULL;
	memset((void *)m + sizeof(m->inode), 0, sizeof(*m) - sizeof(m->inode));
	address_space_init_once(&m->frame_mapping);
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
	if (m->id) {
		mutex_lock(&registry_lock);
		xa_erase(&by_id, m->id);
		mutex_unlock(&registry_lock);
		atomic_dec(&nr_morsels);
	}
	morsel_subtree_free(m);
	/* The root is no morsel.  What still runs of us: see morsel_objects_exit(). */
	if (m->pages)
		module_put(THIS_MODULE);
}

static const struct super_operations morsel_sops = {
	.alloc_inode = morsel_alloc_inode,
	.free_inode = morsel_free_inode,
	.evict_inode = morsel_evict_inode,
	.statfs = simple_statfs,
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

static bool name_valid(const char *name)
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

/* May the caller see the morsel at all? */
static bool visible(struct morsel *m)
{
	return !generic_permission(&nop_mnt_idmap, &m->inode, MAY_READ);
}

/* Or is it the caller's? */
static bool visible_or_own(struct morsel *m)
{
	return visible(m) || inode_owner_or_capable(&nop_mnt_idmap, &m->inode);
}

/*
 * Find by id, or by name if that is 0, and take a reference; ERR_PTR(-ENOENT)
 * also for what the caller may not see, as @may has it.
 */
static struct morsel *find(u64 id, const char *name, bool (*may)(struct morsel *m))
{
	struct morsel *m;

	if (!name_valid(name) || !id == !name[0])
		return ERR_PTR(-EINVAL);
	mutex_lock(&registry_lock);
	m = id ? xa_load(&by_id, id) : find_name(name);
	if (m && !igrab(&m->inode))
		m = NULL;
	mutex_unlock(&registry_lock);
	if (m && !may(m)) {
		iput(&m->inode);
		m = NULL;
	}
	return m ?: ERR_PTR(-ENOENT);
}

/* A descriptor for a morsel; takes the caller's reference to it, also on failure. */
static struct file *open_file(struct morsel *m, int flags)
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
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	return file;
}

static int publish(struct morsel *m, const char *name)
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

/*
 * Who asked for 4 KiB is not given more; who did not would have taken 2 MiB.
 */
static u32 default_around(u32 granule)
{
	return granule == MORSEL_GRANULE_4K ? PAGE_SIZE : SZ_64K;
}

static int check_create(const struct morsel_create *args)
{
	if (args->fault_around && !morsel_fault_around_valid(args->fault_around))
		return -EINVAL;
	if (!name_valid(args->name) || args->mode & ~0777 || !args->length)
		return -EINVAL;
	if (args->length > MORSEL_MAX_LENGTH)
		return -EFBIG;
	switch (args->granule) {
	case MORSEL_GRANULE_AUTO:
	case MORSEL_GRANULE_4K:
		return 0;
	case MORSEL_GRANULE_2M:
		return IS_ALIGNED(args->length, PMD_SIZE) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static struct morsel *make(const struct morsel_create *args)
{
	struct frame_pool *pool;
	struct payer *payer;
	struct inode *inode;
	struct morsel *m;
	int err;

	pool = morsel_pool_choose(args->pool, args->node);
	if (IS_ERR(pool))
		return ERR_CAST(pool);
	payer = payer_get(current_fsuid());
	if (!payer) {
		morsel_pool_release(pool);
		return ERR_PTR(-ENOMEM);
	}
	inode = new_inode(mount->mnt_sb);
	if (!inode) {
		payer_put(payer);
		morsel_pool_release(pool);
		return ERR_PTR(-ENOMEM);
	}

	inode->i_mode = S_IFREG | args->mode;
	inode->i_uid = current_fsuid();
	inode->i_gid = current_fsgid();
	inode->i_op = &morsel_iops;
	inode->i_fop = descriptor_fops;
	simple_inode_init_ts(inode);
	i_size_write(inode, args->length);

	m = to_morsel(inode);
	/* The caller came by way of /dev/morsel, which holds the module. */
	__module_get(THIS_MODULE);
	m->pages = DIV_ROUND_UP(args->length, PAGE_SIZE);
	m->granule = args->granule;
	mutex_init(&m->attached_lock);
	INIT_LIST_HEAD(&m->attached);
	morsel_set_fault_around(m, args->fault_around ?: default_around(args->granule));
	err = morsel_subtree_init(m, pool, payer);
	if (!err && !zalloc_cpumask_var(&m->flush_cpus, GFP_KERNEL_ACCOUNT))
		err = -ENOMEM;
	if (!err && args->flags & MORSEL_CREATE_POPULATE)
		err = morsel_populate(m, 0, m->pages, TASK_KILLABLE);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	return m;
}

/**
 * morsel_create() - MORSEL_IOC_CREATE
 * @args: the request; the id is filled in
 * Return: the new morsel's file, or ERR_PTR as morsel_ioctl.h lists the errors.
 */
struct file *morsel_create(struct morsel_create *args)
{
	struct file *file;
	struct morsel *m;
	int err;

	err = check_create(args);
	if (err)
		return ERR_PTR(err);

	/* Populating may take long: see early that it is not in vain. */
	mutex_lock(&registry_lock);
	if (args->name[0] && find_name(args->name))
		err = -EEXIST;
	mutex_unlock(&registry_lock);
	if (err)
		return ERR_PTR(err);

	m = make(args);
	if (IS_ERR(m))
		return ERR_CAST(m);
	err = publish(m, args->name);
	if (err) {
		iput(&m->inode);
		return ERR_PTR(err);
	}
	args->id = m->id;
	trace_morsel_create(m);

	ihold(&m->inode);
	file = open_file(m, O_RDWR);
	if (IS_ERR(file))
		morsel_unname(m);
	iput(&m->inode);
	return file;
}

/**
 * morsel_open() - MORSEL_IOC_OPEN
 * @args: the request; the id is filled in
 * Return: a file, or ERR_PTR as morsel_ioctl.h lists the errors.
 */
struct file *morsel_open(struct morsel_open *args)
{
	bool read_only = args->flags & MORSEL_OPEN_READ_ONLY;
	struct morsel *m = find(args->id, args->name, visible);

	if (IS_ERR(m))
		return ERR_CAST(m);
	if (!read_only && generic_permission(&nop_mnt_idmap, &m->inode, MAY_WRITE)) {
		iput(&m->inode);
		return ERR_PTR(-EACCES);
	}
	args->id = m->id;
	return open_file(m, read_only ? O_RDONLY : O_RDWR);
}

/**
 * morsel_unlink() - MORSEL_IOC_UNLINK
 * @args: the request
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
int morsel_unlink(const struct morsel_unlink *args)
{
	/* One's own can be told to go even if one has taken one's own rights away. */
	struct morsel *m = find(args->id, args->name, visible_or_own);
	int err;

	if (IS_ERR(m))
		return PTR_ERR(m);
	err = inode_owner_or_capable(&nop_mnt_idmap, &m->inode) ? morsel_unname(m) : -EPERM;
	iput(&m->inode);
	return err;
}

/**
 * morsel_stat() - describe a morsel
 * @m:		the morsel
 * @info:	is filled
 */
void morsel_stat(struct morsel *m, struct morsel_info *info)
{
	struct inode *inode = &m->inode;
	u64 huge = (u64)atomic_long_read(&m->huge) << PMD_SHIFT;

	*info = (struct morsel_info){
		.size = sizeof(*info),
		.flags = (READ_ONCE(m->named) ? MORSEL_INFO_NAMED : 0) |
			 (morsel_has_twin(m) ? MORSEL_INFO_TWIN : 0),
		.id = m->id,
		.length = i_size_read(inode),
		.frame_bytes = huge + ((u64)atomic_long_read(&m->frames) << PAGE_SHIFT),
		.table_bytes = (u64)atomic_long_read(&m->nr_tables) << PAGE_SHIFT,
		.huge_bytes = huge,
		.faults = atomic64_read(&m->faults),
		.pool = m->pool->id,
		.node = m->pool->node,
		.granule = m->granule,
		.mode = inode->i_mode & 0777,
		.uid = from_kuid_munged(current_user_ns(), inode->i_uid),
		.gid = from_kgid_munged(current_user_ns(), inode->i_gid),
		.attachments = atomic_read(&m->attachments),
		.fault_around = READ_ONCE(m->fault_around) << PAGE_SHIFT,
	};
	strscpy(info->name, m->name, sizeof(info->name));
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
		if (held && visible(m))
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
	descriptor_fops = fops;
	inodes = kmem_cache_create("morsel", sizeof(struct morsel), __alignof__(struct morsel),
				   SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT, morsel_inode_init_once);
	if (!inodes)
		return -ENOMEM;
	mount = kern_mount(&morsel_fs);
	if (IS_ERR(mount)) {
		/* A root inode that there was already is freed after a grace period. */
		rcu_barrier();
		kmem_cache_destroy(inodes);
		return PTR_ERR(mount);
	}
	super = mount->mnt_sb;
	/* Ours, beside that of the mount: see morsel_objects_exit(). */
	atomic_inc(&super->s_active);
	return 0;
}

/**
 * morsel_objects_exit() - no morsel is left
 *
 * Whoever closed the last descriptor may not be out of morsel_evict_inode()
 * yet, but holds the mount until then, and with it the super block: the last
 * reference to that is ours.  (Where a watch of inotify was the last to hold the
 * inode, shutting the super block down waits for it.)
 */
void morsel_objects_exit(void)
{
	kern_unmount(mount);
	while (atomic_read(&super->s_active) > 1)
		usleep_range(100, 1000);
	deactivate_super(super);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(inodes);
	xa_destroy(&by_id);
}
