/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The calls of user space.  Each is a row of the table in calls.c and a function.
 */
#ifndef MORSEL_CALLS_H
#define MORSEL_CALLS_H

#include <linux/fs.h>

#include "morsel_ioctl.h"
#include "uapi/uapi.h"

struct frame_pool;

/**
 * struct morsel_request - a call that is being served
 * @file:	the descriptor that it came by
 * @args:	what the caller gave, as this module knows it, and what the caller
 *		gets; all begins as @args.head does
 * @opened:	CREATE, OPEN: what the caller gets a descriptor for
 * @fd:		its number
 * @added:	POOL_ADD: the pool
 */
struct morsel_request {
	struct file *file;
	union {
		struct {
			u32 size;
			u32 flags;
		} head;
		struct morsel_query query;
		struct morsel_create create;
		struct morsel_open open;
		struct morsel_clone clone;
		struct morsel_rollback rollback;
		struct morsel_diff diff;
		struct morsel_give give;
		struct morsel_view view;
		struct morsel_acquire acquire;
		struct morsel_restrict restricting;
		struct morsel_unlink unlink;
		struct morsel_info info;
		struct morsel_cursor cursor;
		struct morsel_range range;
		struct morsel_tune tune;
		struct morsel_seal seal;
		struct morsel_limit limit;
		struct morsel_pool_info pool_info;
		struct morsel_pool pool;
	} args;
	struct file *opened;
	int fd;
	struct frame_pool *added;
};

/* calls.c */
long morsel_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long morsel_object_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long morsel_view_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* view_calls.c */
int call_view(struct morsel_request *req);
int call_acquire(struct morsel_request *req);
int call_release(struct morsel_request *req);
int call_restrict(struct morsel_request *req);

/* diff.c */
int call_diff(struct morsel_request *req);

/* control.c */
int reserve_fd(struct morsel_request *req, bool close_on_exec);
int keep_opened(struct morsel_request *req, struct file *file);
int call_query(struct morsel_request *req);
int call_create(struct morsel_request *req);
int call_clone(struct morsel_request *req);
int call_rollback(struct morsel_request *req);
int call_create_done(struct morsel_request *req, int err);
int call_open(struct morsel_request *req);
int call_open_done(struct morsel_request *req, int err);
int call_give(struct morsel_request *req);
int call_give_done(struct morsel_request *req, int err);
int call_unlink(struct morsel_request *req);
int call_list(struct morsel_request *req);
int call_nodes(struct morsel_request *req);
int call_limit_get(struct morsel_request *req);
int call_limit_set(struct morsel_request *req);
int call_pool_list(struct morsel_request *req);
int call_pool_stat(struct morsel_request *req);
int call_pool_add(struct morsel_request *req);
int done_pool_add(struct morsel_request *req, int err);
int call_pool_resize(struct morsel_request *req);
int call_pool_remove(struct morsel_request *req);

/* object_calls.c */
int call_stat(struct morsel_request *req);
int call_populate(struct morsel_request *req);
int call_punch(struct morsel_request *req);
int call_reserve(struct morsel_request *req);
int call_tune(struct morsel_request *req);
int call_seal(struct morsel_request *req);

/* extents.c */
int call_extents(struct morsel_request *req);

#endif /* MORSEL_CALLS_H */
