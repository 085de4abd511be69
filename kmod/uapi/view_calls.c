// SPDX-License-Identifier: GPL-2.0
/*
 * The calls of exclusive views.
 */
#include <linux/err.h>
#include <linux/fs.h>

#include "attach/attach.h"
#include "object/object.h"
#include "uapi/calls.h"
#include "view/exclusive.h"

static const struct file_operations view_fops = {
	.owner = THIS_MODULE,
	.release = morsel_view_release,
	.mmap = morsel_view_mmap,
	.get_unmapped_area = morsel_get_unmapped_area,
	.fsync = noop_fsync,
	.unlocked_ioctl = morsel_view_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = morsel_view_show,
};

/**
 * call_view() - MORSEL_IOC_VIEW
 * @req: the request
 * Return: 0, and call_open_done() is to follow, or a negative errno.
 */
int call_view(struct morsel_request *req)
{
	struct morsel_view *args = &req->args.view;
	int err = reserve_fd(req, args->flags & MORSEL_VIEW_CLOEXEC);

	if (err)
		return err;
	args->fd = req->fd;
	return keep_opened(req, morsel_view_open(req->file, &view_fops, &args->number));
}

/* The pages of a range; -EINVAL: it is none. */
static int pages_of(u64 offset, u64 length, unsigned long *first, unsigned long *end)
{
	if (!length || (offset | length) & ~PAGE_MASK || offset + length < offset ||
	    offset + length > MORSEL_MAX_LENGTH)
		return -EINVAL;
	*first = offset >> PAGE_SHIFT;
	*end = (offset + length) >> PAGE_SHIFT;
	return 0;
}

/**
 * call_acquire() - MORSEL_IOC_ACQUIRE
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_acquire(struct morsel_request *req)
{
	const struct morsel_acquire *args = &req->args.acquire;
	struct party *party = to_party(file_view(req->file));
	struct take take = {
		.party = party,
		.write = args->flags & MORSEL_ACQUIRE_WRITE,
		.hold = true,
		.state = args->timeout ? TASK_INTERRUPTIBLE : TASK_RUNNING,
		.deadline = KTIME_MAX,
	};
	unsigned long first, end;
	int err = pages_of(args->offset, args->length, &first, &end);

	if (err)
		return err;
	if (take.write && !(req->file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (end > map_pages(&file_morsel(req->file)->map))
		return -ERANGE;
	if (args->timeout < S64_MAX)
		take.deadline = ktime_add_safe(ktime_get(), ns_to_ktime(args->timeout));
	return party_acquire(&take, first, end);
}

/**
 * call_release() - MORSEL_IOC_RELEASE
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_release(struct morsel_request *req)
{
	const struct morsel_range *args = &req->args.range;
	unsigned long first, end;
	int err = pages_of(args->offset, args->length, &first, &end);

	return err
		       ?: party_release(to_party(file_view(req->file)), first, end,
					args->flags & MORSEL_RELEASE_GIVE_UP);
}

/**
 * call_restrict() - MORSEL_IOC_RESTRICT
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_restrict(struct morsel_request *req)
{
	const struct morsel_restrict *args = &req->args.restricting;
	struct parties *all = file_morsel(req->file)->parties;
	bool view = file_view(req->file)->ops->exclusive;

	if (args->reserved || hweight32(args->flags) != 1)
		return -EINVAL;
	if (!all)
		return -EOPNOTSUPP;
	if (view && args->number)
		return -EINVAL;
	return party_revoke(all, view ? to_party(file_view(req->file))->number : args->number,
			    args->flags & MORSEL_RESTRICT_FREEZE);
}
