/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Morsels as objects: making, finding and describing them, and as files.
 */
#ifndef MORSEL_OBJECT_H
#define MORSEL_OBJECT_H

#include <linux/fs.h>

#include "morsel.h"

struct seq_file;

/* object.c */
struct file *morsel_create(struct morsel_create *args);
struct file *morsel_open(struct morsel_open *args);
int morsel_unlink(const struct morsel_unlink *args);
void morsel_stat(struct morsel *m, struct morsel_info *info);
bool morsel_visible(struct morsel *m);
void morsel_unmake(struct morsel *m);

/* names.c */
int morsel_names_init(void);
void morsel_names_exit(void);
bool morsel_name_valid(const char *name);
bool morsel_name_taken(const char *name);
int morsel_publish(struct morsel *m, const char *name);
void morsel_withdraw(struct morsel *m);
int morsel_unname(struct morsel *m);
struct morsel *morsel_find(u64 id, const char *name);
struct morsel *morsel_next(u64 *id);
unsigned int morsel_count(void);

/* size.c */
int morsel_size_init(void);
void morsel_size_exit(void);
void morsel_size_begin(struct morsel *m, loff_t size);
int morsel_resize(struct morsel *m, loff_t size);
int morsel_reach(struct morsel *m, loff_t size);
void morsel_settle_size(struct morsel *m, loff_t size);

/* seals.c */
int morsel_seal(struct morsel *m, u32 seals);

/* fs.c */
int morsel_objects_init(const struct file_operations *fops);
void morsel_objects_exit(void);
struct morsel *morsel_inode(umode_t mode);
struct file *morsel_file(struct morsel *m, int flags);

/* file.c */
extern const struct inode_operations morsel_iops;

int morsel_file_open(struct inode *inode, struct file *file);
ssize_t morsel_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t morsel_write_iter(struct kiocb *iocb, struct iov_iter *from);
loff_t morsel_llseek(struct file *file, loff_t offset, int whence);
long morsel_fallocate(struct file *file, int mode, loff_t offset, loff_t len);
void morsel_show_fdinfo(struct seq_file *seq, struct file *file);

#endif /* MORSEL_OBJECT_H */
