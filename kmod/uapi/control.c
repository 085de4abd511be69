// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/morsel, and its calls: those that make, find and list morsels, and those for
 * pools and ceilings.
 */
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "map/map.h"
#include "move/transfer.h"
#include "object/object.h"
#include "pools/payer.h"
#include "pools/pool.h"
#include "uapi/calls.h"

/**
 * call_query() - MORSEL_IOC_QUERY
 * @req: the request
 * Return: 0.
 */
int call_query(struct morsel_request *req)
{
	req->args.query = (struct morsel_query){
		.abi = MORSEL_ABI_VERSION,
		.abi_oldest = MORSEL_ABI_OLDEST,
		.features = MORSEL_FEATURE_HUGE | MORSEL_FEATURE_SPLICE_1G |
			    MORSEL_FEATURE_SPLICE_2M | MORSEL_FEATURE_TABLESETS |
			    MORSEL_FEATURE_LIMITS | MORSEL_FEATURE_TUNE | MORSEL_FEATURE_RESIZE |
			    MORSEL_FEATURE_ANY_MAP | MORSEL_FEATURE_SEAL | MORSEL_FEATURE_MOUNT |
			    MORSEL_FEATURE_DUMP | MORSEL_FEATURE_NODES | MORSEL_FEATURE_RESERVE,
		.max_length = MORSEL_MAX_LENGTH,
		.nr_pools = morsel_pool_count(),
		.nr_morsels = morsel_count(),
		.attach_unit = PMD_SIZE,
		.splice_unit = PUD_SIZE,
		.version = MORSEL_VERSION,
	};
	return 0;
}

/**
 * reserve_fd() - have a number for what is to be opened
 * @req:		the request
 * @close_on_exec:	it is closed at exec
 * Return: 0 or a negative errno.
 */
int reserve_fd(struct morsel_request *req, bool close_on_exec)
{
	req->fd = get_unused_fd_flags(close_on_exec ? O_CLOEXEC : 0);
	return min(req->fd, 0);
}

/**
 * keep_opened() - what the reserved descriptor is to be for
 * @req:	the request
 * @file:	that, or ERR_PTR(): why there is nothing
 * Return: 0, or that.
 */
int keep_opened(struct morsel_request *req, struct file *file)
{
	if (IS_ERR(file)) {
		put_unused_fd(req->fd);
		return PTR_ERR(file);
	}
	req->opened = file;
	return 0;
}

/* More than any kernel can have. */
#define NODES_MOST 65536

/* The nodes that the caller gave: 0, -EINVAL, -EFAULT; -ENODEV: there is no such node. */
static int copy_nodes(const struct morsel_create *args, nodemask_t *nodes)
{
	const u64 __user *words = u64_to_user_ptr(args->nodes);
	unsigned int node, bit;
	u64 word;

	nodes_clear(*nodes);
	if (args->nr_nodes > NODES_MOST)
		return -EINVAL;
	for (node = 0; node < args->nr_nodes; node += 64) {
		if (get_user(word, words + node / 64))
			return -EFAULT;
		if (args->nr_nodes - node < 64)
			word &= GENMASK_ULL(args->nr_nodes - node - 1, 0);
		for (bit = 0; word; bit++, word >>= 1) {
			if (!(word & 1))
				continue;
			if (node + bit >= MAX_NUMNODES)
				return -ENODEV;
			node_set(node + bit, *nodes);
		}
	}
	return 0;
}

/**
 * call_create() - MORSEL_IOC_CREATE
 * @req: the request
 * Return: 0, and call_create_done() is to follow, or a negative errno.
 */
int call_create(struct morsel_request *req)
{
	struct morsel_create *args = &req->args.create;
	nodemask_t nodes;
	int err = copy_nodes(args, &nodes);

	/* As call_reserve(). */
	if (!err && args->flags & MORSEL_CREATE_VIEWS && args->flags & MORSEL_CREATE_RESERVE)
		err = -EINVAL;

	if (err)
		return err;
	err = reserve_fd(req, args->flags & MORSEL_CREATE_CLOEXEC);
	if (err)
		return err;
	args->fd = req->fd;
	return keep_opened(req, morsel_create(args, &nodes));
}

/*
 * A clone can be read; and cloning makes those who write copy what they do, and wait: that is for who may write, too,
 * where anybody may.
 */
static int may_clone(const struct file *file)
{
	bool writes = file->f_mode & FMODE_WRITE || is_sealed(file_morsel(file), MORSEL_SEAL_WRITE);

	return file->f_mode & FMODE_READ && writes ? 0 : -EBADF;
}

/**
 * call_clone() - MORSEL_IOC_CLONE
 * @req: the request
 * Return: as call_create(), and call_create_done() is to follow.
 */
int call_clone(struct morsel_request *req)
{
	struct morsel_clone *args = &req->args.clone;
	struct morsel *m = file_morsel(req->file);
	int err;

	err = may_clone(req->file) ?: reserve_fd(req, args->flags & MORSEL_CLONE_CLOEXEC);
	if (err)
		return err;
	args->fd = req->fd;
	return keep_opened(req, morsel_clone(m, args));
}

/**
 * call_rollback() - MORSEL_IOC_ROLLBACK
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_rollback(struct morsel_request *req)
{
	const struct morsel_rollback *args = &req->args.rollback;
	struct file *from;
	int err;

	if (args->reserved)
		return -EINVAL;
	from = fget(args->from);
	if (!from)
		return -EBADF;
	err = from->f_op == &morsel_fops ? may_clone(from) : -EBADF;
	if (!err)
		err = morsel_rollback(file_morsel(req->file), file_morsel(from));
	if (!err)
		file_update_time(req->file);
	fput(from);
	return err;
}

/**
 * call_create_done() - after call_create(), or call_clone()
 * @req:	the request
 * @err:	not 0: the caller cannot be told
 * Return: @err.
 */
int call_create_done(struct morsel_request *req, int err)
{
	/* The name must not stay behind. */
	if (err)
		morsel_uncreate(req->opened);
	return call_open_done(req, err);
}

/**
 * call_open() - MORSEL_IOC_OPEN
 * @req: the request
 * Return: 0, and call_open_done() is to follow, or a negative errno.
 */
int call_open(struct morsel_request *req)
{
	struct morsel_open *args = &req->args.open;
	int err;

	if (args->reserved)
		return -EINVAL;
	err = reserve_fd(req, args->flags & MORSEL_OPEN_CLOEXEC);
	if (err)
		return err;
	args->fd = req->fd;
	return keep_opened(req, morsel_open(args));
}

/**
 * call_open_done() - hand a new descriptor to the caller only once the caller has
 * been told of it
 * @req:	the request
 * @err:	not 0: the caller cannot be told
 * Return: @err.
 */
int call_open_done(struct morsel_request *req, int err)
{
	if (!err) {
		fd_install(req->fd, req->opened);
		return 0;
	}
	put_unused_fd(req->fd);
	fput(req->opened);
	return err;
}

/**
 * call_give() - MORSEL_IOC_GIVE
 * @req: the request
 * Return: 0, and call_give_done() is to follow, or a negative errno.
 */
int call_give(struct morsel_request *req)
{
	struct morsel_give *args = &req->args.give;
	int err = args->reserved ? -EINVAL : 0;

	/* The new one is for reading, too. */
	if (!err && !(req->file->f_mode & FMODE_READ))
		err = -EBADF;
	if (!err)
		err = reserve_fd(req, args->flags & MORSEL_GIVE_CLOEXEC);
	args->fd = req->fd;
	return err;
}

/**
 * call_give_done() - give a morsel away only once the caller has been told by which descriptor
 * @req:	the request
 * @err:	not 0: the caller cannot be told
 * Return: 0 or a negative errno.
 */
int call_give_done(struct morsel_request *req, int err)
{
	struct file *file = err ? ERR_PTR(err) : morsel_give(req->file);

	if (IS_ERR(file)) {
		put_unused_fd(req->fd);
		return PTR_ERR(file);
	}
	fd_install(req->fd, file);
	return 0;
}

/**
 * call_unlink() - MORSEL_IOC_UNLINK
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_unlink(struct morsel_request *req)
{
	return morsel_unlink(&req->args.unlink);
}

/**
 * call_list() - MORSEL_IOC_LIST
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_list(struct morsel_request *req)
{
	struct morsel_cursor *cursor = &req->args.cursor;
	int err = morsel_cursor_begin(cursor);
	struct morsel_info info;
	struct morsel *m;

	while (!err && morsel_cursor_room(cursor)) {
		m = morsel_next(&cursor->list.cursor);
		if (!m)
			break;
		morsel_stat(m, &info);
		morsel_release(m);
		info.size = min_t(u32, info.size, cursor->list.entry_size);
		err = morsel_cursor_put(cursor, &info, sizeof(info));
	}
	return err;
}

/**
 * call_nodes() - MORSEL_IOC_NODES
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_nodes(struct morsel_request *req)
{
	struct morsel_cursor *cursor = &req->args.cursor;
	int err = morsel_cursor_begin(cursor);
	struct morsel_node *nodes;
	unsigned int nr, i;
	struct morsel *m;
	u64 id;

	if (err)
		return err;
	if (cursor->room < MORSEL_NODES_LEAST)
		return -EINVAL;
	nodes = kmalloc_array(MORSEL_NODES_LEAST, sizeof(*nodes), GFP_KERNEL);
	if (!nodes)
		return -ENOMEM;
	id = cursor->list.cursor;
	while (!err && (m = morsel_next(&id))) {
		nr = morsel_nodes(m, nodes);
		morsel_release(m);
		/* All of one, or none. */
		if (nr > cursor->room - cursor->list.count)
			break;
		for (i = 0; i < nr && !err; i++)
			err = morsel_cursor_put(cursor, &nodes[i], sizeof(*nodes));
		cursor->list.cursor = id;
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	kfree(nodes);
	return err;
}

/**
 * call_limit_get() - MORSEL_IOC_LIMIT_GET
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_limit_get(struct morsel_request *req)
{
	return morsel_limit_get(&req->args.limit);
}

/**
 * call_limit_set() - MORSEL_IOC_LIMIT_SET
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_limit_set(struct morsel_request *req)
{
	return morsel_limit_set(&req->args.limit);
}

/**
 * call_pool_list() - MORSEL_IOC_POOL_LIST
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_pool_list(struct morsel_request *req)
{
	struct morsel_cursor *cursor = &req->args.cursor;
	int err = morsel_cursor_begin(cursor);
	struct morsel_pool_info info;
	u32 id;

	if (err)
		return err;
	id = min_t(u64, cursor->list.cursor, U32_MAX);
	while (!err && morsel_cursor_room(cursor)) {
		err = morsel_pool_next(&id, &info);
		if (err)
			break;
		info.size = min_t(u32, info.size, cursor->list.entry_size);
		err = morsel_cursor_put(cursor, &info, sizeof(info));
		cursor->list.cursor = id;
	}
	return err == -ENOENT ? 0 : err;
}

/**
 * call_pool_stat() - MORSEL_IOC_POOL_STAT
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_pool_stat(struct morsel_request *req)
{
	return morsel_pool_stat(&req->args.pool_info);
}

/**
 * call_pool_add() - MORSEL_IOC_POOL_ADD
 * @req: the request
 * Return: 0, and done_pool_add() is to follow, or a negative errno.
 */
int call_pool_add(struct morsel_request *req)
{
	struct morsel_pool *args = &req->args.pool;

	return args->reserved ? -EINVAL : morsel_pool_add(args, &req->added);
}

/**
 * done_pool_add() - after call_pool_add()
 * @req:	the request
 * @err:	not 0: the caller cannot be told
 * Return: @err.
 */
int done_pool_add(struct morsel_request *req, int err)
{
	morsel_pool_added(req->added, !err);
	return err;
}

/**
 * call_pool_resize() - MORSEL_IOC_POOL_RESIZE
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_pool_resize(struct morsel_request *req)
{
	const struct morsel_pool *args = &req->args.pool;

	if (args->reserved || args->kind || args->node)
		return -EINVAL;
	return morsel_pool_resize(args->id, args->limit_bytes);
}

/**
 * call_pool_remove() - MORSEL_IOC_POOL_REMOVE
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_pool_remove(struct morsel_request *req)
{
	const struct morsel_pool *args = &req->args.pool;

	if (args->reserved || args->kind || args->node || args->limit_bytes)
		return -EINVAL;
	return morsel_pool_remove(args->id);
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = morsel_control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

/*
 * Opening the device loads the module: with a minor that is known beforehand,
 * depmod tells of the node in modules.devname, and at boot it is made from there
 * (kmod static-nodes), which takes neither the module nor a unit.  The minor is one
 * of those for local use (Documentation/admin-guide/devices.txt: 243 to 254); ZFS
 * has 249.
 */
#define MORSEL_MINOR 251
MODULE_ALIAS_MISCDEV(MORSEL_MINOR);
MODULE_ALIAS("devname:morsel");

static struct miscdevice control_device = {
	.minor = MORSEL_MINOR,
	.name = "morsel",
	.fops = &control_fops,
	.mode = 0660,
};

/**
 * morsel_control_init() - make /dev/morsel
 * Return: 0 or a negative errno.
 */
int morsel_control_init(void)
{
	int err = misc_register(&control_device);

	if (err == -EBUSY)
		pr_err("morsel: another module has the character device 10:%d\n", MORSEL_MINOR);
	return err;
}

/**
 * morsel_control_exit() - take /dev/morsel away
 */
void morsel_control_exit(void)
{
	misc_deregister(&control_device);
}
