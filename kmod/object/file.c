// SPDX-License-Identifier: GPL-2.0
/*
 * A morsel as a file: what memfd's users expect of one.
 */
#include <linux/blk_types.h>
#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "attach/attach.h"
#include "object/object.h"

/**
 * morsel_file_open() - a morsel's file is opened, again, by way of /proc
 * @inode:	the morsel's
 * @file:	the new file, which sees what all see
 * Return: 0.
 */
int morsel_file_open(struct inode *inode, struct file *file)
{
	file->private_data = &to_morsel(inode)->plain;
	return 0;
}

/* Copy a part of a page, or, of a hole, which is only read, zeros. */
static size_t copy_part(struct page *page, size_t offset, size_t part, struct iov_iter *iter,
			bool write)
{
	if (write)
		return copy_page_from_iter(page, offset, part, iter);
	return page ? copy_to_iter(page_address(page) + offset, part, iter)
		    : iov_iter_zero(part, iter);
}

/*
 * Reading and writing go page by page with a reference to the frame, and no
 * lock held: copying may fault, and the caller's memory may be this very
 * morsel.
 */
static ssize_t copy_pages(struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	struct view *view = file_view(iocb->ki_filp);
	loff_t size = i_size_read(file_inode(iocb->ki_filp)), pos = iocb->ki_pos;
	size_t copied, part;
	struct page *page;
	ssize_t done = 0;

	while (pos < size && iov_iter_count(iter)) {
		part = min_t(loff_t, size - pos,
			     min_t(size_t, iov_iter_count(iter), PAGE_SIZE - offset_in_page(pos)));
		page = view->ops->page(view, pos >> PAGE_SHIFT, write);
		if (IS_ERR(page)) {
			if (!done)
				done = PTR_ERR(page);
			break;
		}
		copied = copy_part(page, offset_in_page(pos), part, iter, write);
		if (page)
			map_put_page(page);
		pos += copied;
		done += copied;
		if (copied < part || fatal_signal_pending(current)) {
			if (!done)
				done = -EFAULT;
			break;
		}
		cond_resched();
	}
	iocb->ki_pos = pos;
	return done;
}

/**
 * morsel_read_iter() - read(2) and its like
 * @iocb:	the descriptor, and where to begin
 * @to:		where to copy
 * Return: bytes read, or a negative errno.
 */
ssize_t morsel_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return copy_pages(iocb, to, false);
}

/**
 * morsel_write_iter() - write(2) and its like
 * @iocb:	the descriptor, and where to begin
 * @from:	what to copy
 * Return: bytes written, or a negative errno.
 */
ssize_t morsel_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	ssize_t count = generic_write_checks(iocb, from);

	if (count <= 0)
		return count;
	/* A morsel does not grow. */
	if (iocb->ki_pos >= i_size_read(file_inode(iocb->ki_filp)))
		return -ENOSPC;
	return copy_pages(iocb, from, true);
}

/**
 * morsel_llseek() - lseek(2)
 * @file:	the descriptor
 * @offset:	how far
 * @whence:	from where
 * Return: the new position, or a negative errno.
 */
loff_t morsel_llseek(struct file *file, loff_t offset, int whence)
{
	return generic_file_llseek_size(file, offset, whence, MAX_LFS_FILESIZE,
					i_size_read(file_inode(file)));
}

/**
 * morsel_fallocate() - fallocate(2)
 * @file:	the descriptor
 * @mode:	FALLOC_FL_*
 * @offset:	first byte
 * @len:	how many
 * Return: 0 or a negative errno.
 */
long morsel_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct morsel *m = file_morsel(file);
	loff_t size = i_size_read(&m->inode), end = offset + len;
	struct view *view = file_view(file);

	switch (mode) {
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		/* To the end of the last page, so that its frame goes too. */
		if (end >= size)
			end = (loff_t)m->map.pages << PAGE_SHIFT;
		return offset < end ? morsel_revoke(m, offset, end, view_discard) : 0;
	case 0:
		/* A morsel does not grow. */
		if (end > size)
			return -ENOSPC;
		fallthrough;
	case FALLOC_FL_KEEP_SIZE:
		end = min(end, size);
		if (offset >= end)
			return 0;
		return view_populate(view, offset >> PAGE_SHIFT, DIV_ROUND_UP(end, PAGE_SIZE),
				     TASK_INTERRUPTIBLE);
	default:
		return -EOPNOTSUPP;
	}
}

/**
 * morsel_show_fdinfo() - what /proc/PID/fdinfo/N says
 * @seq:	where to
 * @file:	the descriptor
 */
void morsel_show_fdinfo(struct seq_file *seq, struct file *file)
{
	struct morsel *m = file_morsel(file);
	struct morsel_info info;

	morsel_stat(m, &info);
	seq_printf(seq, "morsel-id:\t%llu\n", info.id);
	seq_printf(seq, "morsel-name:\t%s\n", info.name);
	seq_printf(seq, "morsel-length:\t%llu\n", info.length);
	seq_printf(seq, "morsel-granule:\t%u\n", info.granule);
	seq_printf(seq, "morsel-pool:\t%u\n", info.pool);
	seq_printf(seq, "morsel-node:\t%u\n", info.node);
	seq_printf(seq, "morsel-frames:\t%llu\n", info.frame_bytes);
	seq_printf(seq, "morsel-huge:\t%llu\n", info.huge_bytes);
	seq_printf(seq, "morsel-tables:\t%llu\n", info.table_bytes);
	seq_printf(seq, "morsel-attachments:\t%u\n", info.attachments);
}

static int morsel_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	/* A morsel keeps its size. */
	if (attr->ia_valid & ATTR_SIZE)
		return -EPERM;
	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	setattr_copy(idmap, inode, attr);
	mark_inode_dirty(inode);
	return 0;
}

static int morsel_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
			  u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct morsel *m = to_morsel(inode);

	compat_fillattr(idmap, mask, inode, stat);
	stat->blksize = m->map.granule == MORSEL_GRANULE_4K ? PAGE_SIZE : PMD_SIZE;
	stat->blocks =
		(atomic_long_read(&m->map.small) + (atomic_long_read(&m->map.huge) << HUGE_ORDER))
		<< (PAGE_SHIFT - SECTOR_SHIFT);
	return 0;
}

const struct inode_operations morsel_iops = {
	.setattr = morsel_setattr,
	.getattr = morsel_getattr,
};
