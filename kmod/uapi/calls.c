// SPDX-License-Identifier: GPL-2.0
/*
 * All calls, of /dev/morsel and of morsels' descriptors, and how they are served.
 */
#include <linux/capability.h>
#include <linux/nospec.h>

#include "attach/attach.h"
#include "uapi/calls.h"

/* Which descriptors take a call, one or several, and who may make it. */
enum taker { DEVICE = 1, MORSEL = 2, VIEW = 4 };
enum caller { ANYBODY, WRITER, ADMIN };

/**
 * struct morsel_call - a call
 * @cmd:	its number, which tells the size of its struct, and by _IOC_READ
 *		that the caller gets that back
 * @first:	the size that its struct had in the ABI that brought the call, and keeps
 *		for ever; less is no older caller, but a mistake
 * @taker:	the kind of descriptor
 * @caller:	who may: anybody who has the descriptor, who has it for writing
 *		(else EBADF), or who has CAP_SYS_ADMIN (else EPERM)
 * @flags:	those it knows
 * @serve:	does it, with the struct in the kernel's memory; 0 or a negative errno
 * @done:	what is left to do once @serve has succeeded and the caller has the
 *		answer, or with -EFAULT, cannot have it; returns that, or why it could not be done; or NULL
 */
struct morsel_call {
	unsigned int cmd;
	u32 first;
	unsigned int taker;
	enum caller caller;
	u32 flags;
	int (*serve)(struct morsel_request *req);
	int (*done)(struct morsel_request *req, int err);
};

#define ARGS_SIZE sizeof_field(struct morsel_request, args)
#define CALL(name, first, ...)                                                                   \
	[_IOC_NR(MORSEL_IOC_##name)] = {                                                         \
		MORSEL_IOC_##name + BUILD_BUG_ON_ZERO(_IOC_SIZE(MORSEL_IOC_##name) > ARGS_SIZE), \
		first + BUILD_BUG_ON_ZERO((first) > _IOC_SIZE(MORSEL_IOC_##name)), __VA_ARGS__}

static const struct morsel_call calls[] = {
	CALL(QUERY, 88, DEVICE, ANYBODY, 0, call_query),
	CALL(CREATE, 304, DEVICE, ANYBODY,
	     MORSEL_CREATE_POPULATE | MORSEL_CREATE_CLOEXEC | MORSEL_CREATE_SEALABLE |
		     MORSEL_CREATE_DUMP | MORSEL_CREATE_RESERVE | MORSEL_CREATE_VIEWS,
	     call_create, call_create_done),
	CALL(OPEN, 280, DEVICE, ANYBODY, MORSEL_OPEN_READ_ONLY | MORSEL_OPEN_CLOEXEC, call_open,
	     call_open_done),
	CALL(UNLINK, 272, DEVICE, ANYBODY, 0, call_unlink),
	CALL(LIST, 32, DEVICE, ANYBODY, 0, call_list),
	CALL(NODES, 32, DEVICE, ANYBODY, 0, call_nodes),
	CALL(LIMIT_GET, 32, DEVICE, ANYBODY, 0, call_limit_get),
	CALL(LIMIT_SET, 32, DEVICE, ADMIN, MORSEL_LIMIT_DEFAULT, call_limit_set),
	CALL(POOL_LIST, 32, DEVICE, ANYBODY, 0, call_pool_list),
	CALL(POOL_STAT, 120, DEVICE, ANYBODY, 0, call_pool_stat),
	CALL(POOL_ADD, 32, DEVICE, ADMIN, 0, call_pool_add, done_pool_add),
	CALL(POOL_RESIZE, 32, DEVICE, ADMIN, 0, call_pool_resize),
	CALL(POOL_REMOVE, 32, DEVICE, ADMIN, 0, call_pool_remove),
	CALL(STAT, 344, MORSEL | VIEW, ANYBODY, 0, call_stat),
	CALL(POPULATE, 24, MORSEL | VIEW, WRITER, 0, call_populate),
	CALL(PUNCH, 24, MORSEL, WRITER, 0, call_punch),
	CALL(EXTENTS, 32, MORSEL, ANYBODY, 0, call_extents),
	CALL(TUNE, 16, MORSEL, WRITER, 0, call_tune),
	CALL(RESERVE, 24, MORSEL, WRITER, MORSEL_RESERVE_RELEASE, call_reserve),
	CALL(SEAL, 16, MORSEL, ANYBODY, 0, call_seal),
	CALL(CLONE, 280, MORSEL, ANYBODY,
	     MORSEL_CLONE_SNAPSHOT | MORSEL_CLONE_CLOEXEC | MORSEL_CLONE_SEALABLE, call_clone,
	     call_create_done),
	CALL(ROLLBACK, 16, MORSEL, WRITER, 0, call_rollback),
	CALL(DIFF, 40, MORSEL, ANYBODY, 0, call_diff),
	CALL(GIVE, 16, MORSEL, WRITER, MORSEL_GIVE_CLOEXEC, call_give, call_give_done),
	CALL(VIEW, 16, MORSEL, ANYBODY, MORSEL_VIEW_CLOEXEC, call_view, call_open_done),
	CALL(RESTRICT, 16, MORSEL | VIEW, WRITER, MORSEL_RESTRICT_FREEZE | MORSEL_RESTRICT_REVOKE,
	     call_restrict),
	CALL(ACQUIRE, 32, VIEW, ANYBODY, MORSEL_ACQUIRE_WRITE, call_acquire),
	CALL(RELEASE, 24, VIEW, ANYBODY, MORSEL_RELEASE_GIVE_UP, call_release),
};

/*
 * A call is known by its number without the size that this carries: that is of the
 * caller's struct, which may be older or newer.
 */
static const struct morsel_call *find_call(unsigned int cmd, enum taker taker)
{
	const struct morsel_call *call;
	unsigned int nr = _IOC_NR(cmd);

	if (nr >= ARRAY_SIZE(calls))
		return NULL;
	call = &calls[array_index_nospec(nr, ARRAY_SIZE(calls))];
	if (!call->serve || !(call->taker & taker) || (cmd ^ call->cmd) & ~IOCSIZE_MASK)
		return NULL;
	return call;
}

static int permission(const struct morsel_call *call, const struct file *file)
{
	switch (call->caller) {
	case WRITER:
		return file->f_mode & FMODE_WRITE ? 0 : -EBADF;
	case ADMIN:
		return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
	default:
		return 0;
	}
}

static long serve(const struct morsel_call *call, struct file *file, void __user *arg)
{
	struct morsel_request req = {.file = file};
	size_t size = _IOC_SIZE(call->cmd);
	u32 user_size;
	int err;

	err = morsel_copy_in(&req.args, call->first, size, arg);
	if (err)
		return err;
	err = permission(call, file);
	if (err)
		return err;
	if (req.args.head.flags & ~call->flags)
		return -EINVAL;

	user_size = req.args.head.size;
	err = call->serve(&req);
	if (err)
		return err;
	if (_IOC_DIR(call->cmd) & _IOC_READ) {
		req.args.head.size = user_size;
		err = morsel_copy_out(arg, &req.args, size);
	}
	return call->done ? call->done(&req, err) : err;
}

static long take(struct file *file, unsigned int cmd, unsigned long arg, enum taker taker)
{
	const struct morsel_call *call = find_call(cmd, taker);
	long err;

	if (!call)
		return -ENOTTY;
	if (taker == MORSEL && is_given(file_morsel(file)))
		return -ESTALE;
	err = serve(call, file, (void __user *)arg);
	/* As it was given away meanwhile. */
	return err && taker == MORSEL && is_given(file_morsel(file)) ? -ESTALE : err;
}

/**
 * morsel_control_ioctl() - ioctl() on /dev/morsel
 * @file:	the descriptor
 * @cmd:	the call's number
 * @arg:	the caller's struct
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
long morsel_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return take(file, cmd, arg, DEVICE);
}

/**
 * morsel_object_ioctl() - ioctl() on a morsel's descriptor
 * @file:	the descriptor
 * @cmd:	the call's number
 * @arg:	the caller's struct
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
long morsel_object_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return take(file, cmd, arg, MORSEL);
}

/**
 * morsel_view_ioctl() - ioctl() on a view's descriptor
 * @file:	the descriptor
 * @cmd:	the call's number
 * @arg:	the caller's struct
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
long morsel_view_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return take(file, cmd, arg, VIEW);
}
