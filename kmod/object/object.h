/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Morsels as objects: making, finding and describing them, and their descriptors.
 */
#ifndef MORSEL_OBJECT_H
#define MORSEL_OBJECT_H

#include <linux/fs.h>

#include "morsel.h"
#include "uapi/uapi.h"

/* object.c */
int morsel_objects_init(void);
void morsel_objects_exit(void);
struct file *morsel_create(struct morsel_create *args);
struct file *morsel_open(struct morsel_open *args);
int morsel_unname(struct morsel *m);
int morsel_unlink(const struct morsel_unlink *args);
int morsel_list(struct morsel_cursor *cursor);
void morsel_stat(struct morsel *m, struct morsel_info *info);
unsigned int morsel_count(void);

/* file.c */
extern const struct file_operations morsel_fops;
extern const struct inode_operations morsel_iops;

#endif /* MORSEL_OBJECT_H */
