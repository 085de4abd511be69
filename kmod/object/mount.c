// SPDX-License-Identifier: GPL-2.0
/*
 * File systems of morsels to mount: their super blocks, and what mount(8) may say of them.
 */
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/string.h>

#include "object/mount.h"
#include "object/object.h"
#include "pools/payer.h"
#include "pools/pool.h"

static struct inode *fs_alloc_inode(struct super_block *sb)
{
	struct inode *inode;

	if (!morsel_count_inodes(sb, 1))
		return NULL;
	inode = morsel_alloc_inode(sb);
	if (!inode)
		morsel_uncount_inodes(sb, 1);
	return inode;
}

static void fs_destroy_inode(struct inode *inode)
{
	morsel_uncount_inodes(
		inode->i_sb,
		1 + (S_ISLNK(inode->i_mode) ? morsel_link_worth(i_size_read(inode)) : 0));
}

/* A morsel tells of its pool; what is none, of all that a new one might have. */
static int fs_statfs(struct dentry *dentry, struct kstatfs *stat)
{
	struct morsel_mount *mount = mount_of(dentry->d_sb);
	const struct payer *payer = READ_ONCE(mount->payer);
	unsigned long limit, room;
	nodemask_t nodes;
	u32 policy;
	int err;

	if (S_ISREG(d_inode(dentry)->i_mode))
		return morsel_statfs(dentry, stat);
	err = simple_statfs(dentry, stat);
	if (err)
		return err;
	policy = mount_nodes(mount, &nodes);
	morsel_pools_room(READ_ONCE(mount->said.pool), policy == MORSEL_POLICY_BIND ? &nodes : NULL,
			  &limit, &room);
	if (payer) {
		limit = min(limit, payer_limit(payer));
		room = min(room, payer_room(payer));
	}
	morsel_statfs_fill(stat, limit, room);
	stat->f_files = mount->most;
	stat->f_ffree = mount->most - min(atomic_long_read(&mount->inodes), mount->most);
	return 0;
}

static const struct constant_table granules[] = {
	{"auto", MORSEL_GRANULE_AUTO}, {"4k", MORSEL_GRANULE_4K}, {"2m", MORSEL_GRANULE_2M}, {}};

static const char *name_in(const struct constant_table *table, u32 value)
{
	while (table->value != value)
		table++;
	return table->name;
}

static const struct constant_table policies[] = {{"near", MORSEL_POLICY_NEAR},
						 {"bind", MORSEL_POLICY_BIND},
						 {"prefer", MORSEL_POLICY_PREFERRED},
						 {"interleave", MORSEL_POLICY_INTERLEAVE},
						 {}};

static int fs_show_options(struct seq_file *seq, struct dentry *root)
{
	struct morsel_mount *mount = mount_of(root->d_sb);
	unsigned long size = READ_ONCE(mount->said.size);
	u32 granule = READ_ONCE(mount->said.granule);
	u32 pool = READ_ONCE(mount->said.pool), policy;
	nodemask_t nodes;
	char list[128];

	policy = mount_nodes(mount, &nodes);
	if (pool != MORSEL_ANY)
		seq_printf(seq, ",pool=%u", pool);
	if (policy != MORSEL_POLICY_NEAR) {
		scnprintf(list, sizeof(list), "%*pbl", nodemask_pr_args(&nodes));
		strreplace(list, ',', '+');
		seq_printf(seq, ",nodes=%s:%s", name_in(policies, policy), list);
	}
	if (granule != MORSEL_GRANULE_AUTO)
		seq_printf(seq, ",granule=%s", name_in(granules, granule));
	if (size != ULONG_MAX)
		seq_printf(seq, ",size=%luk", size << (PAGE_SHIFT - 10));
	if (READ_ONCE(mount->said.dump))
		seq_puts(seq, ",dump");
	if (READ_ONCE(mount->said.reserve))
		seq_puts(seq, ",reserve");
	if (morsel_is_first(root->d_sb))
		seq_puts(seq, ",names");
	if (mount->said.mode != 01777)
		seq_printf(seq, ",mode=%03ho", mount->said.mode);
	if (!uid_eq(mount->said.uid, GLOBAL_ROOT_UID))
		seq_printf(seq, ",uid=%u", from_kuid_munged(&init_user_ns, mount->said.uid));
	if (!gid_eq(mount->said.gid, GLOBAL_ROOT_GID))
		seq_printf(seq, ",gid=%u", from_kgid_munged(&init_user_ns, mount->said.gid));
	return 0;
}

/* For mountinfo: what is mounted is the root of all that there is to see. */
static int fs_show_path(struct seq_file *seq, struct dentry *root)
{
	char *buffer = kvmalloc(seq->size, GFP_KERNEL);
	char *path, *rest;

	if (!buffer)
		return -ENOMEM;
	path = dentry_path_raw(root, buffer, seq->size);
	if (IS_ERR(path)) {
		/* Asks for more room. */
		seq_commit(seq, -1);
	} else {
		rest = strchr(path + 1, '/');
		seq_escape(seq, rest ?: "/", " \t\n\\");
	}
	kvfree(buffer);
	return 0;
}

static const struct super_operations mount_sops = {
	.alloc_inode = fs_alloc_inode,
	.destroy_inode = fs_destroy_inode,
	.free_inode = morsel_free_inode,
	.evict_inode = morsel_evict_inode,
	.statfs = fs_statfs,
	.show_options = fs_show_options,
	.show_path = fs_show_path,
};

/* See make_unseen(): what paths of files that are opened by name or id begin with. */
#define TOP "morsel:"

enum option {
	OPT_NAMES,
	OPT_DUMP,
	OPT_RESERVE,
	OPT_POOL,
	OPT_NODES,
	OPT_GRANULE,
	OPT_SIZE,
	OPT_MODE,
	OPT_UID,
	OPT_GID
};

static const struct fs_parameter_spec options[] = {fsparam_flag_no("names", OPT_NAMES),
						   fsparam_flag_no("dump", OPT_DUMP),
						   fsparam_flag_no("reserve", OPT_RESERVE),
						   fsparam_u32("pool", OPT_POOL),
						   fsparam_string("nodes", OPT_NODES),
						   fsparam_enum("granule", OPT_GRANULE, granules),
						   fsparam_string("size", OPT_SIZE),
						   fsparam_u32oct("mode", OPT_MODE),
						   fsparam_u32("uid", OPT_UID),
						   fsparam_u32("gid", OPT_GID),
						   {}};

/* A number of bytes, or a percentage of the memory, as of tmpfs. */
static int parse_size(struct fs_context *fc, const char *text, unsigned long *pages)
{
	char *rest;
	u64 size = memparse(text, &rest);
	bool number = rest != text;

	if (*rest == '%' && size <= 100) {
		size = (u64)totalram_pages() * size / 100 << PAGE_SHIFT;
		rest++;
	}
	if (*rest || !number)
		return invalf(fc, "morsel: size is in bytes, or a percentage of the memory");
	*pages = size ? (size >> PAGE_SHIFT) + !!offset_in_page(size) : ULONG_MAX;
	return 0;
}

/* POLICY:NODES; only nodes: bind; only "near": whatever was said before is no more. */
static int parse_nodes(struct fs_context *fc, char *text, struct morsel_options *said)
{
	const struct constant_table *entry = policies;
	char *list = strchr(text, ':'), *numbers = list ? list + 1 : text;
	size_t length = list ? list - text : strlen(text);

	/* Commas are what separates options. */
	strreplace(numbers, '+', ',');
	while (entry->name && (strlen(entry->name) != length || strncmp(text, entry->name, length)))
		entry++;
	nodes_clear(said->nodes);
	said->policy = MORSEL_POLICY_BIND;
	if (entry->name)
		said->policy = entry->value;
	else if (list)
		return invalf(fc,
			      "morsel: nodes is near, bind:LIST, prefer:LIST or interleave:LIST");
	if (said->policy == MORSEL_POLICY_NEAR && !list)
		return 0;
	if (said->policy == MORSEL_POLICY_NEAR || (entry->name && !list) ||
	    nodelist_parse(numbers, said->nodes) || nodes_empty(said->nodes))
		return invalf(fc, "morsel: nodes wants a list as 0-1 or 0+2, but for near");
	if (!nodes_subset(said->nodes, node_online_map) ||
	    !nodes_intersects(said->nodes, node_states[N_MEMORY]))
		return invalf(fc, "morsel: nodes is to be of some that there are, and with memory");
	return 0;
}

static int fs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *said = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, options, param, &result);

	if (opt < 0)
		return opt;
	said->given |= BIT(opt);
	switch ((enum option)opt) {
	case OPT_NAMES:
		said->names = result.negated ? NAMES_NO : NAMES_YES;
		return 0;
	case OPT_DUMP:
		said->dump = !result.negated;
		return 0;
	case OPT_RESERVE:
		said->reserve = !result.negated;
		return 0;
	case OPT_POOL:
		said->pool = result.uint_32;
		return 0;
	case OPT_NODES:
		return parse_nodes(fc, param->string, said);
	case OPT_GRANULE:
		said->granule = result.uint_32;
		return 0;
	case OPT_SIZE:
		return parse_size(fc, param->string, &said->size);
	case OPT_MODE:
		said->mode = result.uint_32 & 07777;
		return 0;
	case OPT_UID:
		said->uid = make_kuid(current_user_ns(), result.uint_32);
		return uid_valid(said->uid) ? 0 : invalf(fc, "morsel: no such uid");
	case OPT_GID:
		said->gid = make_kgid(current_user_ns(), result.uint_32);
		return gid_valid(said->gid) ? 0 : invalf(fc, "morsel: no such gid");
	}
	return -EINVAL;
}

/* Who pays from now on: for what there is already, nobody else comes to. */
static int set_size(struct morsel_mount *mount, unsigned long size)
{
	struct payer *payer;

	if (mount->payer) {
		payer_set_limit(mount->payer, size);
	} else if (size != ULONG_MAX) {
		payer = payer_make(size);
		if (!payer)
			return -ENOMEM;
		/* Who makes a morsel may see it at once; pairs with reading it, and what is in it. */
		smp_store_release(&mount->payer, payer);
	}
	WRITE_ONCE(mount->said.size, size);
	return 0;
}

/* What a mount says of files that are made from now on. */
static int set_options(struct morsel_mount *mount, const struct morsel_options *said,
		       unsigned int which)
{
	int err = which & BIT(OPT_SIZE) ? set_size(mount, said->size) : 0;

	if (err)
		return err;
	if (which & BIT(OPT_POOL))
		WRITE_ONCE(mount->said.pool, said->pool);
	if (which & BIT(OPT_NODES)) {
		spin_lock(&mount->nodes_lock);
		mount->said.policy = said->policy;
		mount->said.nodes = said->nodes;
		spin_unlock(&mount->nodes_lock);
	}
	if (which & BIT(OPT_GRANULE))
		WRITE_ONCE(mount->said.granule, said->granule);
	if (which & BIT(OPT_DUMP))
		WRITE_ONCE(mount->said.dump, said->dump);
	if (which & BIT(OPT_RESERVE))
		WRITE_ONCE(mount->said.reserve, said->reserve);
	return 0;
}

static void set_owner(struct morsel_mount *mount, const struct morsel_options *said)
{
	struct inode *top = d_inode(mount->top);

	mount->said.mode = said->mode;
	mount->said.uid = said->uid;
	mount->said.gid = said->gid;
	inode_lock(top);
	top->i_mode = S_IFDIR | said->mode;
	top->i_uid = said->uid;
	top->i_gid = said->gid;
	inode_unlock(top);
}

/* The folder that is mounted, below the root, and held by that alone. */
static struct dentry *make_top(struct dentry *root)
{
	struct inode *inode = morsel_root_inode(root->d_sb, 0);
	struct dentry *top;

	if (!inode)
		return NULL;
	top = d_alloc_name(root, TOP);
	if (!top) {
		iput(inode);
		return NULL;
	}
	d_add(top, NULL);
	d_make_persistent(top, inode);
	inc_nlink(d_inode(root));
	dput(top);
	return top;
}

static int fs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct morsel_mount *mount = kzalloc(sizeof(*mount), GFP_KERNEL);
	const struct morsel_options *said = fc->fs_private;
	struct inode *root;
	int err;

	if (!mount)
		return -ENOMEM;
	/* As of tmpfs. */
	mount->most = totalram_pages() / 2;
	spin_lock_init(&mount->nodes_lock);
	sb->s_fs_info = mount;
	err = set_options(mount, said, ~0);
	if (err)
		return err;
	sb->s_flags |= SB_NOSEC;
	sb->s_maxbytes = MORSEL_MAX_LENGTH;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = MORSEL_MAGIC;
	sb->s_op = &mount_sops;
	sb->s_time_gran = 1;
	compat_forget_negatives(sb);

	/* Nobody comes here by name, but by way of open files. */
	root = morsel_root_inode(sb, 0);
	if (!root)
		return -ENOMEM;
	sb->s_root = d_make_root(root);
	if (!sb->s_root)
		return -ENOMEM;
	mount->top = make_top(sb->s_root);
	if (!mount->top)
		return -ENOMEM;
	set_owner(mount, said);
	return 0;
}

/* As is said; but not read-only, nor the opposite, under those who use it. */
static int set_read_only(struct super_block *sb, const struct fs_context *fc)
{
	unsigned long now = sb->s_flags, then = (now & ~SB_RDONLY) | (fc->sb_flags & SB_RDONLY);

	if (then == now)
		return 0;
	WRITE_ONCE(sb->s_flags, then);
	/* Who comes to write from here on sees that, or is seen; pairs with mnt_want_write(). */
	smp_mb();
	if (!morsel_is_used(sb))
		return 0;
	WRITE_ONCE(sb->s_flags, now);
	return -EBUSY;
}

/* The first file system becomes what is mounted, as is said now. */
static int take_first(struct super_block *sb, struct fs_context *fc)
{
	struct morsel_mount *mount = mount_of(sb);
	const struct morsel_options *said = fc->fs_private;
	int err;

	down_write(&sb->s_umount);
	err = compat_wants_new(fc) ? -EBUSY : set_read_only(sb, fc);
	if (!err)
		err = set_options(mount, said, ~0);
	if (err) {
		deactivate_locked_super(sb);
		return err;
	}
	set_owner(mount, said);
	fc->root = dget(mount->top);
	return 0;
}

static int check_pool(struct fs_context *fc, u32 pool, u32 policy)
{
	if (pool != MORSEL_ANY && policy != MORSEL_POLICY_NEAR)
		return invalf(fc, "morsel: either pool or nodes; nodes=near is none");
	if (pool == MORSEL_ANY || morsel_pool_there(pool))
		return 0;
	return invalf(fc, "morsel: there is no pool %u; morselctl pool list tells which there are",
		      pool);
}

/* A file system of its own; false: it was to have the names, and another has come to have them. */
static bool may_be_first(struct fs_context *fc)
{
	const struct morsel_options *said = fc->fs_private;
	struct super_block *sb = fc->root->d_sb;

	/* morsel_make_first() sees to that. */
	if (fc->sb_flags & SB_KERNMOUNT || said->names == NAMES_NO)
		return true;
	if (morsel_offer_first(sb, false) || said->names != NAMES_YES)
		return true;
	dput(fc->root);
	fc->root = NULL;
	deactivate_locked_super(sb);
	return false;
}

static int fs_get_tree(struct fs_context *fc)
{
	const struct morsel_options *said = fc->fs_private;
	int err = check_pool(fc, said->pool, said->policy);
	struct super_block *sb = NULL;
	struct dentry *root;

	if (err)
		return err;
	do {
		if (!(fc->sb_flags & SB_KERNMOUNT) && said->names != NAMES_NO &&
		    (!compat_wants_new(fc) || said->names == NAMES_YES))
			sb = morsel_first_to_mount(said->names == NAMES_YES);
		if (sb)
			return take_first(sb, fc);
		err = get_tree_nodev(fc, fs_fill_super);
		if (err)
			return err;
		root = fc->root;
		fc->root = dget(mount_of(root->d_sb)->top);
		dput(root);
	} while (!may_be_first(fc));
	return 0;
}

/* All can be changed but who owns the folder, its mode, and where the names are. */
static int fs_reconfigure(struct fs_context *fc)
{
	struct morsel_mount *mount = mount_of(fc->root->d_sb);
	const struct morsel_options *said = fc->fs_private;
	bool pool = said->given & BIT(OPT_POOL), nodes = said->given & BIT(OPT_NODES);
	int err = 0;

	if (pool || nodes)
		err = check_pool(fc, pool ? said->pool : mount->said.pool,
				 nodes ? said->policy : mount->said.policy);
	if (err)
		return err;
	if (said->given & BIT(OPT_NAMES) &&
	    morsel_is_first(fc->root->d_sb) != (said->names == NAMES_YES))
		return invalf(fc, "morsel: who has the names is said when it is mounted");
	if (said->given & BIT(OPT_SIZE) && said->size != mount->said.size && !mount->payer)
		return invalf(fc,
			      "morsel: what was mounted without size= is not counted: mount anew");
	return set_options(mount, said, said->given);
}

static void fs_free(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations context_ops = {
	.parse_param = fs_parse_param,
	.get_tree = fs_get_tree,
	.reconfigure = fs_reconfigure,
	.free = fs_free,
};

static int fs_init_context(struct fs_context *fc)
{
	struct morsel_options *options = kmalloc(sizeof(*options), GFP_KERNEL);

	if (!options)
		return -ENOMEM;
	*options = (struct morsel_options){
		.pool = MORSEL_ANY,
		.size = ULONG_MAX,
		.mode = 01777,
		.uid = GLOBAL_ROOT_UID,
		.gid = GLOBAL_ROOT_GID,
	};
	fc->fs_private = options;
	fc->ops = &context_ops;
	/* A name may be the first in a user namespace; but it is one file system for all. */
	fc->global = true;
	return 0;
}

static void fs_kill_sb(struct super_block *sb)
{
	struct morsel_mount *mount = mount_of(sb);

	morsel_first_goes(sb);
	kill_litter_super(sb);
	if (mount && mount->payer)
		payer_unmake(mount->payer);
	kfree(mount);
}

struct file_system_type morsel_mount_type = {
	.owner = THIS_MODULE,
	.name = "morsel",
	.init_fs_context = fs_init_context,
	.parameters = options,
	.kill_sb = fs_kill_sb,
};
MODULE_ALIAS_FS("morsel");

/**
 * morsel_mount_init() - let it be mounted
 * Return: 0 or a negative errno.
 */
int morsel_mount_init(void)
{
	return register_filesystem(&morsel_mount_type);
}

/**
 * morsel_mount_exit() - it is mounted nowhere any more
 */
void morsel_mount_exit(void)
{
	unregister_filesystem(&morsel_mount_type);
}
