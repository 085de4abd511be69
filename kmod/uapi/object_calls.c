// SPDX-License-Identifier: GPL-2.0
/*
 * A morsel's descriptor as the kernel sees it, and the calls that it takes.
 */
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/splice.h>

#include "attach/attach.h"
#include "map/map.h"
#include "object/object.h"
#include "uapi/calls.h"

/**
 * call_stat() - MORSEL_IOC_STAT
 * @req: the request
 * Return: 0.
 */
int call_stat(struct morsel_request *req)
{
	morsel_stat(file_morsel(req->file), &req->args.info);
	return 0;
}

static int range_pages(struct morsel *m, const struct morsel_range *range, unsigned long *first,
		       unsigned long *end)
{
	u64 end_of_map = (u64)map_pages(&m->map) << PAGE_SHIFT;
	u64 size = min_t(u64, i_size_read(&m->inode), end_of_map), stop;

	if (!IS_ALIGNED(range->offset, PAGE_SIZE))
		return -EINVAL;
	if (range->offset >= size || range->length > end_of_map - range->offset)
		return -ERANGE;
	stop = range->length ? range->offset + range->length : size;
	if (!IS_ALIGNED(stop, PAGE_SIZE) && stop != size)
		return -EINVAL;
	/* To the end of the last frame, so that it goes, too. */
	if (stop >= size)
		stop = end_of_map;
	*first = range->offset >> PAGE_SHIFT;
	*end = stop >> PAGE_SHIFT;
	return 0;
}

/**
 * call_populate() - MORSEL_IOC_POPULATE
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_populate(struct morsel_request *req)
{
	struct morsel *m = file_morsel(req->file);
	struct view *view = file_view(req->file);
	unsigned long first, end;
	int err = range_pages(m, &req->args.range, &first, &end);

	return err ?: view_populate(view, first, end, TASK_INTERRUPTIBLE);
}

/**
 * call_reserve() - MORSEL_IOC_RESERVE
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_reserve(struct morsel_request *req)
{
	const struct morsel_range *range = &req->args.range;
	struct morsel *m = file_morsel(req->file);
	bool release = range->flags & MORSEL_RESERVE_RELEASE;
	unsigned long first, end;
	int err = 0;

	/* What views show takes tables of theirs. */
	if (m->parties)
		return -EOPNOTSUPP;
	/* Most of it while others may be at the file. */
	if (!release)
		err = range_pages(m, range, &first, &end)
			      ?: morsel_fill(m, first, end, TASK_INTERRUPTIBLE);
	if (!err)
		err = down_write_killable(&m->inode.i_rwsem);
	if (err)
		return err;
	/* All, also of one that has no length: it will not be reserved as it grows. */
	if (release && !range->offset && !range->length) {
		err = morsel_unreserve(m, 0, ULONG_MAX);
	} else {
		err = range_pages(m, range, &first, &end);
		if (!err)
			err = release ? morsel_unreserve(m, first, end)
				      : morsel_reserve(m, first, end, TASK_INTERRUPTIBLE);
	}
	up_write(&m->inode.i_rwsem);
	return err;
}

/**
 * call_punch() - MORSEL_IOC_PUNCH
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_punch(struct morsel_request *req)
{
	struct morsel *m = file_morsel(req->file);
	unsigned long first, end;
	int err;

	/* While its size changes, frames that are cut stay where they are. */
	err = down_read_killable(&m->inode.i_rwsem);
	if (err)
		return err;
	err = is_sealed(m, MORSEL_SEALS_WRITE) ? -EPERM
					       : range_pages(m, &req->args.range, &first, &end);
	if (!err)
		err = morsel_punch(m, (loff_t)first << PAGE_SHIFT, (loff_t)end << PAGE_SHIFT);
	up_read(&m->inode.i_rwsem);
	return err;
}

/**
 * call_tune() - MORSEL_IOC_TUNE
 * @req: the request
 * Return: 0 or -EINVAL.
 */
int call_tune(struct morsel_request *req)
{
	const struct morsel_tune *args = &req->args.tune;

	if (args->reserved)
		return -EINVAL;
	return map_set_fault_around(&file_morsel(req->file)->map, args->fault_around);
}

/**
 * call_seal() - MORSEL_IOC_SEAL
 * @req: the request
 * Return: 0 or a negative errno.
 */
int call_seal(struct morsel_request *req)
{
	struct morsel *m = file_morsel(req->file);
	struct morsel_seal *args = &req->args.seal;
	int err = 0;

	if (args->reserved || args->seals & ~MORSEL_SEALS)
		return -EINVAL;
	if (args->seals)
		err = req->file->f_mode & FMODE_WRITE ? morsel_seal(m, args->seals) : -EPERM;
	args->seals = READ_ONCE(m->seals);
	return err;
}

const struct file_operations morsel_fops = {
	.owner = THIS_MODULE,
	.open = morsel_file_open,
	.release = morsel_file_release,
	.llseek = morsel_llseek,
	.read_iter = morsel_read_iter,
	.write_iter = morsel_write_iter,
	/* Into a pipe, too: 6.1 would put the page itself there, which is none of the page cache's. */
	.splice_read = copy_splice_read,
	.splice_write = iter_file_splice_write,
	.mmap = morsel_file_mmap,
	.get_unmapped_area = morsel_get_unmapped_area,
	.fallocate = morsel_fallocate,
	.setlease = generic_setlease,
	.fsync = noop_fsync,
	.unlocked_ioctl = morsel_object_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = morsel_show_fdinfo,
};
