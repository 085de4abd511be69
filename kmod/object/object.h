/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Morsels as objects: making, finding and describing them, and as files.
 */
#ifndef MORSEL_OBJECT_H
#define MORSEL_OBJECT_H

#include <linux/fs.h>

#include "morsel.h"

struct kstatfs;
struct payer;
struct seq_file;

#define MORSEL_MAGIC 0x4d4f5253 /* "MORS" */

/**
 * struct morsel_maker - for whom a morsel is made, and where
 * @sb:		the file system that it is an inode of
 * @idmap:	of the mount that it is made by way of
 * @dir:	the folder that it is made in, or NULL
 * @dir_locked:	the caller has its lock: nobody else is to wait because there is no memory
 * @payer:	who pays beside the caller, or NULL
 * @nodes:	of the policy that it is to have, if any
 * @original:	what it is to be a clone of, or NULL
 * @snapshot:	and nobody is to write to it
 * @heir:	or it is to take its place
 * @personal:	or it is to be the clone behind private mappings, with this,
 * @gibs:	of these GiBs
 */
struct morsel_maker {
	struct super_block *sb;
	struct mnt_idmap *idmap;
	const struct inode *dir;
	bool dir_locked;
	struct payer *payer;
	const nodemask_t *nodes;
	struct morsel *original;
	bool snapshot;
	bool heir;
	struct personal *personal;
	const struct gibs *gibs;
};

/* object.c */
struct morsel *morsel_make(const struct morsel_maker *maker, const struct morsel_create *args);
struct morsel *morsel_begin_heir(struct morsel *m);
int morsel_equip_heir(struct morsel *m, struct morsel *heir);
struct file *morsel_create(struct morsel_create *args, const nodemask_t *nodes);
struct file *morsel_make_file(struct morsel_create *args, const nodemask_t *nodes,
			      struct morsel *original, bool snapshot);
struct file *morsel_open(struct morsel_open *args);
void morsel_uncreate(struct file *file);
int morsel_unlink(const struct morsel_unlink *args);
void morsel_stat(struct morsel *m, struct morsel_info *info);
unsigned int morsel_nodes(struct morsel *m, struct morsel_node *nodes);
void morsel_unmake(struct morsel *m);

/* clone.c */
int morsel_share_begin(struct morsel *m, enum map_shares least);
int morsel_share_try(struct morsel *m, enum map_shares *before);
struct morsel_create morsel_as_source(const struct morsel *m, u32 mode);
struct file *morsel_clone(struct morsel *m, struct morsel_clone *args);
int morsel_rollback(struct morsel *m, struct morsel *to);

/* private.c */
int morsel_file_mmap(struct file *file, struct vm_area_struct *vma);

/* names.c */
void morsel_names_exit(void);
bool morsel_name_valid(const char *name);
u64 morsel_new_id(void);
int morsel_publish(struct morsel *m);
void morsel_withdraw(struct morsel *m);
bool morsel_name_taken(struct super_block *sb, const char *name);
int morsel_may_name(struct super_block *sb);
struct dentry *morsel_name(struct morsel *m, const char *name);
void morsel_nameless_now(struct morsel *m, const struct inode *dir);
int morsel_unname(struct dentry *dentry, bool made);
int morsel_lock_name(struct morsel *m, struct dentry **name);
void morsel_unlock_name(struct morsel *m, struct dentry *name);
struct dentry *morsel_heir_dentry(struct morsel *heir);
void morsel_succeed(struct morsel *m, struct morsel *heir, struct dentry *name,
		    struct dentry *dentry);
void morsel_get_name(struct morsel *m, char *name, size_t size);
bool morsel_visible(struct morsel *m);
bool morsel_own(struct morsel *m);
struct morsel *morsel_find(u64 id, const char *name, struct dentry **dentry);
struct morsel *morsel_next(u64 *id);
void morsel_release(struct morsel *m);
unsigned int morsel_count(void);

/* size.c */
int morsel_size_init(void);
void morsel_size_exit(void);
void morsel_size_begin(struct morsel *m, loff_t size);
int morsel_resize(struct morsel *m, loff_t size);
int morsel_drop_tail(struct morsel *m);
int morsel_reach(struct morsel *m, loff_t size);
void morsel_settle_size(struct morsel *m, loff_t size);

/* reserve.c */
int morsel_fill(struct morsel *m, unsigned long first, unsigned long end, unsigned int state);
int morsel_reserve(struct morsel *m, unsigned long first, unsigned long end, unsigned int state);
int morsel_unreserve(struct morsel *m, unsigned long first, unsigned long end);
int morsel_punch(struct morsel *m, loff_t start, loff_t end);

/* seals.c */
int morsel_seal(struct morsel *m, u32 seals);

/* fs.c */
int morsel_objects_init(const struct file_operations *fops);
void morsel_objects_exit(void);
struct super_block *morsel_nameless(void);
struct inode *morsel_alloc_inode(struct super_block *sb);
void morsel_free_inode(struct inode *inode);
void morsel_evict_inode(struct inode *inode);
int morsel_statfs(struct dentry *dentry, struct kstatfs *stat);
void morsel_statfs_fill(struct kstatfs *stat, unsigned long limit, unsigned long room);
struct morsel *morsel_inode(const struct morsel_maker *maker, umode_t mode);
struct file *morsel_file(struct morsel *m, struct dentry *dentry, int flags);
struct file *morsel_file_beside(struct morsel *m, struct dentry *dentry, const struct file *beside);
struct file *morsel_private_file(struct morsel *m);

/* viewer.c */
struct file *morsel_view_open(struct file *file, const struct file_operations *fops, u32 *number);
int morsel_view_release(struct inode *inode, struct file *file);
int morsel_view_mmap(struct file *file, struct vm_area_struct *vma);
void morsel_view_show(struct seq_file *seq, struct file *file);

/* mount.c */
int morsel_mount_init(void);
void morsel_mount_exit(void);

/* file.c */
extern const struct inode_operations morsel_iops;

int morsel_file_error(int err);
int morsel_file_open(struct inode *inode, struct file *file);
int morsel_file_release(struct inode *inode, struct file *file);
ssize_t morsel_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t morsel_write_iter(struct kiocb *iocb, struct iov_iter *from);
loff_t morsel_llseek(struct file *file, loff_t offset, int whence);
long morsel_fallocate(struct file *file, int mode, loff_t offset, loff_t len);
void morsel_show_fdinfo(struct seq_file *seq, struct file *file);

#endif /* MORSEL_OBJECT_H */
