// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a morsel: making, opening, describing, ending it.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/xarray.h>

#include "attach/attach.h"
#include "map/map.h"
#include "object/mount.h"
#include "object/object.h"
#include "pools/payer.h"
#include "pools/pool.h"
#include "pools/source.h"
#include "trace.h"
#include "view/exclusive.h"

/*
 * Who asked for 4 KiB is not given more; who did not would have taken 2 MiB.
 */
static u32 default_around(u32 granule)
{
	return granule == MORSEL_GRANULE_4K ? PAGE_SIZE : SZ_64K;
}

/* A policy has nodes, and these say all that there is to say. */
static bool policy_valid(const struct morsel_create *args)
{
	if (args->policy == MORSEL_POLICY_NEAR)
		return !args->nr_nodes && !args->nodes;
	return args->policy <= MORSEL_POLICY_INTERLEAVE && args->nr_nodes &&
	       args->pool == MORSEL_ANY && args->node == MORSEL_ANY;
}

static int check_create(const struct morsel_create *args)
{
	if (!policy_valid(args))
		return -EINVAL;
	if (args->fault_around && !map_fault_around_valid(args->fault_around))
		return -EINVAL;
	if (!morsel_name_valid(args->name) || args->mode & ~0777)
		return -EINVAL;
	if (args->length > MORSEL_MAX_LENGTH)
		return -EFBIG;
	switch (args->granule) {
	case MORSEL_GRANULE_AUTO:
	case MORSEL_GRANULE_4K:
	case MORSEL_GRANULE_2M:
		return 0;
	default:
		return -EINVAL;
	}
}

/*
 * What is charged for what a morsel takes of the kernel's memory beside its tables: the
 * morsel itself, which is its inode; its place among the ids, where those of others may be
 * gone, so that it has two nodes of the tree for itself; its name; what is kept for freeing it.
 * Descriptors and mappings are bounded by what bounds those of other files.
 */
#define OWN_BYTES                                                                              \
	(sizeof(struct morsel) + 2 * sizeof(struct xa_node) +                                  \
	 (IS_ENABLED(CONFIG_CPUMASK_OFFSTACK) ? sizeof(struct cpumask) : 0) +                  \
	 sizeof(struct dentry) + NAME_MAX + 256 + sizeof(struct source) + sizeof(nodemask_t) + \
	 min_t(size_t, nr_node_ids, SOURCE_POOLS_MAX) * sizeof(struct source_part))
/* One, but where kernels keep more in each lock to look after it. */
#define OWN_PAGES DIV_ROUND_UP(OWN_BYTES, PAGE_SIZE)

/* Where the frames of a morsel come from, who pays, for the morsel itself, too, and its map. */
static int found(struct morsel *m, const struct morsel_maker *maker,
		 const struct morsel_create *args)
{
	const struct placement placement = {
		.pool = args->pool,
		.node = args->node,
		.policy = args->policy,
		.nodes = args->policy == MORSEL_POLICY_NEAR ? NULL : maker->nodes,
	};
	/* Nobody else is to wait meanwhile: for a folder, or for what is cloned. */
	bool patient = !maker->dir_locked && !maker->original;
	struct source *source;
	struct payers payers;
	int err = maker->heir ? 0 : payers_get(&payers);

	if (err)
		return err;
	if (maker->payer)
		payers_add(&payers, maker->payer);
	source = maker->original
			 ? source_clone(maker->original->map.source, maker->heir ? NULL : &payers)
			 : source_make(&placement, &payers);
	if (IS_ERR(source))
		return PTR_ERR(source);
	err = source_charge(source, OWN_PAGES);
	if (err && patient && source_wait(source, err))
		err = source_charge(source, OWN_PAGES);
	if (err) {
		source_close(source);
		return err;
	}
	/* Once the source is the map's, all goes with that. */
	err = tables_map_init(&m->map, source);
	if (err && patient && source_wait(source, err))
		err = tables_map_init(&m->map, source);
	if (err) {
		source_uncharge(source, OWN_PAGES);
		source_close(source);
	}
	return err;
}

/* The same, and what is kept for flushing. */
static int equip(struct morsel *m, const struct morsel_maker *maker,
		 const struct morsel_create *args)
{
	int err = found(m, maker, args);

	if (!err && !zalloc_cpumask_var(&m->flush_cpus, GFP_KERNEL_ACCOUNT))
		err = -ENOMEM;
	if (err || !(args->flags & MORSEL_CREATE_VIEWS))
		return err;
	m->parties = parties_make(&m->map, morsel_lost);
	return m->parties ? 0 : -ENOMEM;
}

/* Who has a snapshot reads it. */
#define SNAPSHOT_SEALS \
	(MORSEL_SEALS_WRITE | MORSEL_SEAL_SHRINK | MORSEL_SEAL_GROW | MORSEL_SEAL_SEAL)

/* What there is of a morsel before it has a map; NULL without memory. */
static struct morsel *begin(const struct morsel_maker *maker, const struct morsel_create *args)
{
	struct morsel *m = morsel_inode(maker, args->mode);

	if (!m)
		return NULL;
	m->map.granule = args->granule;
	m->dump = args->flags & MORSEL_CREATE_DUMP;
	m->reserves = args->flags & MORSEL_CREATE_RESERVE;
	m->seals = args->flags & MORSEL_CREATE_SEALABLE ? 0 : MORSEL_SEAL_SEAL;
	if (maker->snapshot)
		m->seals = SNAPSHOT_SEALS;
	if (maker->personal)
		m->seals = MORSEL_SEAL_SHRINK | MORSEL_SEAL_GROW | MORSEL_SEAL_SEAL;
	mutex_init(&m->attached_lock);
	INIT_LIST_HEAD(&m->attached);
	INIT_LIST_HEAD(&m->displaced);
	map_set_fault_around(&m->map, args->fault_around ?: default_around(args->granule));
	m->plain = (struct view){&plain_view_ops, &m->map};
	m->map.reach = &morsel_map_reach;
	return m;
}

/* Make it a clone, while the other's size stays. */
static int share(struct morsel *m, const struct morsel_maker *maker,
		 const struct morsel_create *args)
{
	struct morsel *original = maker->original;
	enum map_shares before = SHARES_NONE;
	int err = maker->personal ? morsel_share_try(original, &before)
				  : morsel_share_begin(original, SHARES_NONE);
	bool nothing;

	if (err)
		return err;
	morsel_size_begin(m, i_size_read(&original->inode));
	err = equip(m, maker, args);
	nothing = err;
	if (!err) {
		err = morsel_share(original, &m->map, maker->gibs);
		nothing = err == -EBUSY;
	}
	if (nothing && maker->personal)
		map_share_undo(&original->map, before);
	inode_unlock(&original->inode);
	return err;
}

/**
 * morsel_make() - make a morsel
 * @maker:	for whom, and where
 * @args:	how
 * Return: the morsel, which has an id, but no name; ERR_PTR().
 */
struct morsel *morsel_make(const struct morsel_maker *maker, const struct morsel_create *args)
{
	struct morsel *m = begin(maker, args);
	int err;

	if (!m)
		return ERR_PTR(-ENOMEM);
	if (maker->original) {
		err = share(m, maker, args);
	} else {
		morsel_size_begin(m, args->length);
		err = equip(m, maker, args);
	}
	if (!err && args->flags & MORSEL_CREATE_RESERVE)
		err = morsel_reserve(m, 0, map_pages(&m->map), TASK_KILLABLE);
	else if (!err && args->flags & MORSEL_CREATE_POPULATE)
		err = view_populate(&m->plain, 0, map_pages(&m->map), TASK_KILLABLE);
	if (!err && !maker->personal)
		err = morsel_publish(m);
	if (err) {
		iput(&m->inode);
		return ERR_PTR(err);
	}
	m->personal = maker->personal;
	return m;
}

static struct morsel_maker heir_of(struct morsel *m)
{
	return (struct morsel_maker){
		.sb = m->inode.i_sb,
		.idmap = &nop_mnt_idmap,
		.original = m,
		.heir = true,
	};
}

/**
 * morsel_begin_heir() - begin to make a morsel that is to take the place of another
 * @m: the other one
 * Return: the morsel, which has no more than an inode; NULL without memory.
 */
struct morsel *morsel_begin_heir(struct morsel *m)
{
	const struct morsel_create args = morsel_as_source(m, m->inode.i_mode);
	const struct morsel_maker maker = heir_of(m);
	struct morsel *heir = begin(&maker, &args);

	if (!heir)
		return NULL;
	clear_nlink(&heir->inode);
	heir->elder = true;
	heir->created = m->created;
	return heir;
}

/**
 * morsel_equip_heir() - have it be as the other one, but for what that has: contents, its id, and its name
 * @m:		the other one, with the inode's lock held for writing
 * @heir:	of morsel_begin_heir()
 * Return: 0; -ENOMEM, -EDQUOT.
 */
int morsel_equip_heir(struct morsel *m, struct morsel *heir)
{
	const struct morsel_create args = morsel_as_source(m, m->inode.i_mode);
	const struct morsel_maker maker = heir_of(m);

	heir->reserves = m->reserves;
	heir->seals = m->seals;
	heir->inode.i_mode = m->inode.i_mode;
	heir->inode.i_uid = m->inode.i_uid;
	heir->inode.i_gid = m->inode.i_gid;
	map_set_fault_around(&heir->map, args.fault_around);
	morsel_size_begin(heir, i_size_read(&m->inode));
	return equip(heir, &maker, &args);
}

/**
 * morsel_unmake() - give back what a morsel has
 * @m: the morsel, which nobody holds any more; it may be half made
 */
void morsel_unmake(struct morsel *m)
{
	morsel_withdraw(m);
	parties_free(m->parties);
	m->parties = NULL;
	if (!m->map.source)
		return;
	source_uncharge(m->map.source, OWN_PAGES);
	tables_map_free(&m->map);
	m->map.source = NULL;
}

static struct file *create(const struct morsel_maker *maker, struct morsel_create *args)
{
	struct morsel *m = morsel_make(maker, args);
	struct dentry *dentry = NULL;
	struct file *file;

	if (IS_ERR(m))
		return ERR_CAST(m);
	args->id = m->id;
	if (args->name[0])
		dentry = morsel_name(m, args->name);
	else
		clear_nlink(&m->inode);
	if (IS_ERR(dentry)) {
		file = ERR_CAST(dentry);
		dentry = NULL;
	} else {
		file = morsel_file(m, dentry, maker->snapshot ? O_RDONLY : O_RDWR);
		if (IS_ERR(file) && dentry)
			morsel_unname(dentry, true);
	}
	dput(dentry);
	iput(&m->inode);
	return file;
}

/**
 * morsel_uncreate() - nobody can be told of what CREATE made
 * @file: its file, which is the caller's, and which only the caller has
 */
void morsel_uncreate(struct file *file)
{
	/* Held beside the file, as who unlinks holds it: else the file would lose its inode. */
	struct dentry *dentry = dget(file->f_path.dentry);

	if (file_morsel(file)->created)
		morsel_unname(dentry, true);
	dput(dentry);
}

/* With a name, in the folder that names are in, if the caller may write there. */
static struct file *create_named(struct morsel_maker *maker, struct morsel_create *args)
{
	struct super_block *sb = morsel_make_first();
	struct file *file;
	int err;

	if (IS_ERR(sb))
		return ERR_CAST(sb);
	maker->sb = sb;
	maker->dir = d_inode(mount_of(sb)->top);
	maker->payer = READ_ONCE(mount_of(sb)->payer);
	err = morsel_may_name(sb);
	/* Populating may take long: see early that it is not in vain. */
	if (!err && morsel_name_taken(sb, args->name))
		err = -EEXIST;
	file = err ? ERR_PTR(err) : create(maker, args);
	morsel_drop_fs(sb);
	return file;
}

/**
 * morsel_make_file() - make a morsel, and a file of it
 * @args:	how; the id is filled in
 * @nodes:	of the policy
 * @original:	what it is to be a clone of, or NULL
 * @snapshot:	and nobody is to write to it
 * Return: the file, or ERR_PTR.
 */
struct file *morsel_make_file(struct morsel_create *args, const nodemask_t *nodes,
			      struct morsel *original, bool snapshot)
{
	struct morsel_maker maker = {
		.sb = morsel_nameless(),
		.idmap = &nop_mnt_idmap,
		.nodes = nodes,
		.original = original,
		.snapshot = snapshot,
	};

	return args->name[0] ? create_named(&maker, args) : create(&maker, args);
}

/**
 * morsel_create() - MORSEL_IOC_CREATE
 * @args:	the request; the id is filled in
 * @nodes:	those that it points to
 * Return: the new morsel's file, or ERR_PTR as morsel_ioctl.h lists the errors.
 */
struct file *morsel_create(struct morsel_create *args, const nodemask_t *nodes)
{
	int err = check_create(args);

	return err ? ERR_PTR(err) : morsel_make_file(args, nodes, NULL, false);
}

static struct file *open_once(struct morsel_open *args)
{
	bool read_only = args->flags & MORSEL_OPEN_READ_ONLY;
	struct dentry *dentry = NULL;
	struct morsel *m = morsel_find(args->id, args->name, &dentry);
	struct file *file;
	int err = 0;

	if (IS_ERR(m))
		return ERR_CAST(m);
	if (!morsel_visible(m))
		err = -ENOENT;
	else if (!read_only)
		err = inode_permission(&nop_mnt_idmap, &m->inode, MAY_OPEN | MAY_READ | MAY_WRITE);
	file = err ? ERR_PTR(err) : morsel_file(m, dentry, read_only ? O_RDONLY : O_RDWR);
	args->id = m->id;
	dput(dentry);
	morsel_release(m);
	return file;
}

/**
 * morsel_open() - MORSEL_IOC_OPEN
 * @args: the request; the id is filled in
 * Return: a file, or ERR_PTR as morsel_ioctl.h lists the errors.
 */
struct file *morsel_open(struct morsel_open *args)
{
	struct morsel_open asked = *args;
	struct file *file;

	/* Where it is given away meanwhile, another is found then. */
	do {
		*args = asked;
		file = open_once(args);
	} while (IS_ERR(file) && PTR_ERR(file) == -ESTALE && !fatal_signal_pending(current));
	return file;
}

static int unlink_once(const struct morsel_unlink *args)
{
	struct dentry *dentry = NULL;
	struct morsel *m = morsel_find(args->id, args->name, &dentry);
	int err = -ENOENT;

	if (IS_ERR(m))
		return PTR_ERR(m);
	/* One's own can be told to go even if one has taken one's own rights away. */
	if (dentry && (morsel_own(m) || morsel_visible(m)))
		err = morsel_unname(dentry, false);
	/* Its name is another's now. */
	if (err && is_given(m))
		err = -ESTALE;
	dput(dentry);
	morsel_release(m);
	return err;
}

/**
 * morsel_unlink() - MORSEL_IOC_UNLINK
 * @args: the request
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
int morsel_unlink(const struct morsel_unlink *args)
{
	int err;

	do {
		err = unlink_once(args);
	} while (err == -ESTALE && !fatal_signal_pending(current));
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
	u64 huge = (u64)atomic_long_read(&m->map.huge) << PMD_SHIFT;

	*info = (struct morsel_info){
		.size = sizeof(*info),
		.flags = READ_ONCE(m->map.sets) != m->map.truth ? MORSEL_INFO_TABLESETS : 0,
		.id = m->id,
		.length = i_size_read(inode),
		.frame_bytes = huge + ((u64)atomic_long_read(&m->map.small) << PAGE_SHIFT),
		.table_bytes = (u64)map_nr_tables(&m->map) << PAGE_SHIFT,
		.huge_bytes = huge,
		.faults = atomic64_read(&m->faults),
		.pool = m->map.source->first.account->pool->id,
		.node = m->map.source->first.account->pool->node,
		.granule = m->map.granule,
		.mode = inode->i_mode & 0777,
		.uid = from_kuid_munged(current_user_ns(), inode->i_uid),
		.gid = from_kgid_munged(current_user_ns(), inode->i_gid),
		.attachments = atomic_read(&m->attachments),
		.fault_around = READ_ONCE(m->map.fault_around) << PAGE_SHIFT,
		.reserved_bytes = (u64)min(READ_ONCE(m->map.nr_reserved), map_pages(&m->map))
				  << PAGE_SHIFT,
	};
	morsel_get_name(m, info->name, sizeof(info->name));
	if (info->name[0])
		info->flags |= MORSEL_INFO_NAMED;
}

/* Describe what a morsel has of a pool; false: nothing.  Counts change while they are read. */
static bool node_fill(const struct morsel *m, const struct source_part *part, long small, long huge,
		      struct morsel_node *node)
{
	*node = (struct morsel_node){
		.id = m->id,
		.huge_bytes = (u64)max(huge, 0L) << PMD_SHIFT,
		.pool = part->account->pool->id,
		.node = part->account->pool->node,
	};
	node->frame_bytes = node->huge_bytes + ((u64)max(small, 0L) << PAGE_SHIFT);
	return node->frame_bytes;
}

/**
 * morsel_nodes() - what a morsel has on each node
 * @m:		the morsel
 * @nodes:	gets it: there is room for MORSEL_NODES_LEAST
 * Return: how many nodes these are.
 */
unsigned int morsel_nodes(struct morsel *m, struct morsel_node *nodes)
{
	long small = atomic_long_read(&m->map.small), huge = atomic_long_read(&m->map.huge);
	const struct source *source = m->map.source;
	const struct source_part *part;
	unsigned int nr = 0;

	static_assert(MORSEL_NODES_LEAST >= SOURCE_POOLS_MAX);
	/* The first part last: it has what the others have not. */
	for (part = READ_ONCE(source->more); part; part = part->next) {
		long some = atomic_long_read(&part->small),
		     some_huge = atomic_long_read(&part->huge);

		small -= some;
		huge -= some_huge;
		nr += node_fill(m, part, some, some_huge, &nodes[nr]);
	}
	return nr + node_fill(m, &source->first, small, huge, &nodes[nr]);
}
