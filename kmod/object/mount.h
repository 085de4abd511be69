/* SPDX-License-Identifier: GPL-2.0 */
/*
 * File systems of morsels that can be mounted, as the files of this room see them.
 */
#ifndef MORSEL_MOUNT_H
#define MORSEL_MOUNT_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/nodemask.h>
#include <linux/spinlock.h>

struct fs_context;
struct payer;
struct vfsmount;

/**
 * struct morsel_options - what mount(8) says of a file system
 * @given:	which of them, as bits
 * @names:	is it to be the one that has the names of CREATE?
 * @dump:	are shared mappings of files in core dumps?
 * @reserve:	is all that files have reserved?
 * @pool:	where the memory of files comes from, or MORSEL_ANY; not of morsels of CREATE
 * @policy:	MORSEL_POLICY_* of files, likewise
 * @nodes:	of the policy
 * @granule:	of files, likewise
 * @size:	what all in it may take, in pages; ULONG_MAX: as much as there is
 * @mode:	of the folder that is mounted
 * @uid:	likewise
 * @gid:	likewise
 */
struct morsel_options {
	unsigned int given;
	enum { NAMES_AUTO, NAMES_YES, NAMES_NO } names;
	bool dump;
	bool reserve;
	u32 pool;
	u32 policy;
	nodemask_t nodes;
	u32 granule;
	unsigned long size;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
};

/**
 * struct morsel_mount - a file system that is mounted, or that CREATE keeps names in
 * @said:	its options; changed under s_umount; each is read by itself, but for @policy and
 *		@nodes in it
 * @nodes_lock:	protects these two
 * @payer:	who pays for all of them beside who makes them; NULL as long as there was no size;
 *		set under s_umount, once
 * @inodes:	how many inodes there are, links beside the first ones, and what long targets of
 *		symbolic links are worth: the kernel's memory, of which no ceiling knows
 * @most:	how many there may be
 * @top:	the folder that is mounted, and has the names of CREATE; what is above it nobody sees
 * @holds:	of its super block's active references, those of morsel_hold_fs(); under the
 *		lock of holds
 * @unseen:	a mount that nobody sees, for who opens by id or name; under the lock of holds
 * @unseen_users: files opened by way of that, and who is about to; likewise
 */
struct morsel_mount {
	struct morsel_options said;
	spinlock_t nodes_lock;
	struct payer *payer;
	atomic_long_t inodes;
	long most;
	struct dentry *top;
	unsigned long holds;
	struct vfsmount *unseen;
	unsigned int unseen_users;
};

/* NULL: it is the one that is mounted nowhere. */
static inline struct morsel_mount *mount_of(const struct super_block *sb)
{
	return sb->s_fs_info;
}

/* Where files are to have their frames; returns the policy. */
static inline u32 mount_nodes(struct morsel_mount *mount, nodemask_t *nodes)
{
	u32 policy;

	spin_lock(&mount->nodes_lock);
	policy = mount->said.policy;
	*nodes = mount->said.nodes;
	spin_unlock(&mount->nodes_lock);
	return policy;
}

/* The target of a symbolic link takes about the memory of so many inodes. */
static inline unsigned int morsel_link_worth(size_t length)
{
	return length / 1024;
}

/* mount.c */
extern struct file_system_type morsel_mount_type;

/* folder.c */
struct inode *morsel_root_inode(struct super_block *sb, umode_t mode);
bool morsel_count_inodes(struct super_block *sb, unsigned int count);
void morsel_uncount_inodes(struct super_block *sb, unsigned int count);

/* holds.c */
bool morsel_hold_fs(struct super_block *sb);
void morsel_drop_fs(struct super_block *sb);
struct super_block *morsel_hold_first(void);
struct super_block *morsel_make_first(void);
struct super_block *morsel_first_to_mount(bool anyway);
bool morsel_offer_first(struct super_block *sb, bool hold);
bool morsel_is_used(struct super_block *sb);
void morsel_first_goes(struct super_block *sb);
bool morsel_is_first(const struct super_block *sb);
struct file *morsel_open_unseen(struct dentry *dentry, int flags);
void morsel_unseen_opened(struct file *file);
void morsel_unseen_closed(struct file *file);

#endif /* MORSEL_MOUNT_H */
