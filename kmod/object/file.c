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
#include "object/mount.h"
#include "object/object.h"

/**
 * morsel_file_open() - a morsel's file is opened by name, or again, by way of /proc
 * @inode:	the morsel's
 * @file:	the new file, which sees what all see
 * Return: 0; -ESTALE: it was given away; by name, there is another then.
 */
int morsel_file_open(struct inode *inode, struct file *file)
{
	if (is_given(to_morsel(inode))) {
		/* Only then is the other one found, by the next try. */
		inode_lock_shared(inode);
		inode_unlock_shared(inode);
		return -ESTALE;
	}
	file->private_data = &to_morsel(inode)->plain;
	morsel_unseen_opened(file);
	return 0;
}

/**
 * morsel_file_release() - nobody has the file any more
 * @inode:	the morsel's
 * @file:	the file
 * Return: 0.
 */
int morsel_file_release(struct inode *inode, struct file *file)
{
	morsel_unseen_closed(file);
	return 0;
}

/**
 * morsel_file_error() - what is said of files, where it is their system that is full
 * @err: a negative errno, or 0
 * Return: what file systems say.
 */
int morsel_file_error(int err)
{
	return err == -ENOMEM ? -ENOSPC : err;
}

/* Copy a part of a frame, or, of a hole, which is only read, zeros. */
static size_t copy_part(struct page *page, size_t offset, size_t part, struct iov_iter *iter,
			bool write)
{
	if (write)
		return copy_from_iter(page_address(page) + offset, part, iter);
	return page ? copy_to_iter(page_address(page) + offset, part, iter)
		    : iov_iter_zero(part, iter);
}

/* So much is copied with one reference: who waits for that (map_cut()) is not to wait long. */
#define COPY_MOST SZ_64K

/*
 * Reading and writing go by frames, or parts of huge ones, with a reference to it, and no lock of the map
 * held: copying may fault, and the caller's memory may be this very morsel.
 */
static ssize_t copy_frames(struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct view *view = file_view(iocb->ki_filp);
	loff_t pos = iocb->ki_pos;
	size_t copied, part;
	struct page *page;
	ssize_t done = 0;

	while (iov_iter_count(iter)) {
		part = min(iov_iter_count(iter), PAGE_SIZE - offset_in_page(pos));
		if (!write && pos >= i_size_read(inode))
			break;
		/* What cannot be read is to take no page. */
		if (write && fault_in_iov_iter_readable(iter, part) == part) {
			if (!done)
				done = -EFAULT;
			break;
		}
		page = view->ops->page(view, pos >> PAGE_SHIFT, write);
		if (IS_ERR(page)) {
			if (!done)
				done = morsel_file_error(PTR_ERR(page));
			break;
		}
		if (page) {
			part = min_t(size_t, iov_iter_count(iter), COPY_MOST);
			part = min(part, map_page_room(page, offset_in_page(pos) + part) -
						 offset_in_page(pos));
		}
		/* As it is now: if it is less, the page may have gone. */
		if (!write)
			part = min_t(loff_t, part, max(i_size_read(inode) - pos, 0LL));
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

/* Is it there to be read and written?  -ESTALE, -EINVAL: what one party writes, nobody reads beside it. */
static int may_copy(const struct morsel *m)
{
	if (is_given(m))
		return -ESTALE;
	return m->parties ? -EINVAL : 0;
}

/**
 * morsel_read_iter() - read(2) and its like
 * @iocb:	the descriptor, and where to begin
 * @to:		where to copy
 * Return: bytes read, or a negative errno.
 */
ssize_t morsel_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	ssize_t done = may_copy(file_morsel(iocb->ki_filp));

	if (done)
		return done;
	done = copy_frames(iocb, to, false);
	/* Nothing, as it was given away meanwhile. */
	if (!done && is_given(file_morsel(iocb->ki_filp)))
		return -ESTALE;
	file_accessed(iocb->ki_filp);
	return done;
}

/* Does writing change more than contents?  Then nobody else may be at it. */
static bool writes_alone(const struct kiocb *iocb, size_t count)
{
	struct inode *inode = file_inode(iocb->ki_filp);

	return iocb->ki_flags & IOCB_APPEND || !IS_NOSEC(inode) ||
	       iocb->ki_pos + count > i_size_read(inode);
}

/* Write, with the inode's lock held: for writing, if writes_alone(). */
static ssize_t write_locked(struct kiocb *iocb, struct iov_iter *from)
{
	struct morsel *m = file_morsel(iocb->ki_filp);
	loff_t size = i_size_read(&m->inode), end;
	ssize_t done;
	int err;

	end = iocb->ki_pos + iov_iter_count(from);
	if (is_sealed(m, MORSEL_SEALS_WRITE))
		return -EPERM;
	if (end > size && is_sealed(m, MORSEL_SEAL_GROW)) {
		/* Pages that are all within it are written, as of a memfd. */
		end = round_down(size, PAGE_SIZE);
		if (iocb->ki_pos >= end)
			return -EPERM;
		iov_iter_truncate(from, end - iocb->ki_pos);
	}
	err = file_modified(iocb->ki_filp);
	if (err)
		return err;
	if (end <= size)
		return copy_frames(iocb, from, true);

	err = morsel_reach(m, end);
	if (err)
		return morsel_file_error(err);
	done = copy_frames(iocb, from, true);
	morsel_settle_size(m, max(size, done > 0 ? iocb->ki_pos : 0));
	return done;
}

/**
 * morsel_write_iter() - write(2) and its like
 * @iocb:	the descriptor, and where to begin
 * @from:	what to copy
 *
 * Who writes within the size does so beside others, part by part.
 * Return: bytes written, or a negative errno.
 */
ssize_t morsel_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool alone = writes_alone(iocb, iov_iter_count(from));
	ssize_t done;

	for (;;) {
		if (alone ? down_write_killable(&inode->i_rwsem)
			  : down_read_killable(&inode->i_rwsem))
			return -EINTR;
		if (alone || !writes_alone(iocb, iov_iter_count(from)))
			break;
		/* It has become shorter. */
		inode_unlock_shared(inode);
		alone = true;
	}
	done = may_copy(to_morsel(inode)) ?: generic_write_checks(iocb, from);
	if (done > 0)
		done = write_locked(iocb, from);
	if (alone)
		inode_unlock(inode);
	else
		inode_unlock_shared(inode);
	return done;
}

/* The next data or hole from a byte on, as lseek(2) has it: behind the end is a hole. */
static loff_t find(struct morsel *m, loff_t offset, bool data)
{
	loff_t size = i_size_read(&m->inode), pos;
	unsigned long end = DIV_ROUND_UP_ULL(size, PAGE_SIZE);

	if (offset < 0 || offset >= size)
		return -ENXIO;
	pos = (loff_t)map_find(&m->map, offset >> PAGE_SHIFT, end, data) << PAGE_SHIFT;
	if (fatal_signal_pending(current))
		return -EINTR;
	if (pos < size)
		return max(pos, offset);
	return data ? -ENXIO : size;
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
	if (is_given(file_morsel(file)))
		return -ESTALE;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek_size(file, offset, whence, MORSEL_MAX_LENGTH,
						i_size_read(file_inode(file)));
	offset = find(file_morsel(file), offset, whence == SEEK_DATA);
	return offset < 0 ? offset : vfs_setpos(file, offset, MORSEL_MAX_LENGTH);
}

/* Punch, to the end of the last page, so that its frame goes, too. */
static int punch(struct morsel *m, loff_t offset, loff_t end)
{
	if (is_sealed(m, MORSEL_SEALS_WRITE))
		return -EPERM;
	if (end >= i_size_read(&m->inode))
		end = (loff_t)map_pages(&m->map) << PAGE_SHIFT;
	return offset < end ? morsel_punch(m, offset, end) : 0;
}

/*
 * Allocate, and if @grow, have the size be as far as that.  Pages behind the end are not kept for later:
 * they could be touched in mappings.
 */
static int allocate(struct morsel *m, struct view *view, loff_t offset, loff_t end, bool grow)
{
	loff_t size = i_size_read(&m->inode);
	int err = inode_newsize_ok(&m->inode, end);

	if (err)
		return err;
	if (end > size && is_sealed(m, MORSEL_SEAL_GROW))
		return -EPERM;
	if (!grow && end > (loff_t)map_pages(&m->map) << PAGE_SHIFT)
		return -EOPNOTSUPP;
	grow &= end > size;
	if (grow)
		err = morsel_reach(m, end);
	if (err)
		return err;
	err = view_populate(view, offset >> PAGE_SHIFT, DIV_ROUND_UP_ULL(end, PAGE_SIZE),
			    TASK_INTERRUPTIBLE);
	if (grow)
		morsel_settle_size(m, err ? size : end);
	return err;
}

/* So that it can be written without more memory. */
static int unshare(struct morsel *m, loff_t offset, loff_t end)
{
	int err = map_own_frames(&m->map, offset, min(end, i_size_read(&m->inode)));

	if (!err && map_unshared(&m->map))
		spaces_unasked(m);
	return err;
}

/* fallocate(2), with the inode's lock held for writing. */
static int fallocate(struct file *file, int mode, loff_t offset, loff_t end)
{
	struct view *view = file_view(file);
	struct morsel *m = file_morsel(file);

	if (is_given(m))
		return -ESTALE;
	switch (mode) {
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		return punch(m, offset, end);
	case 0:
	case FALLOC_FL_KEEP_SIZE:
		return morsel_file_error(allocate(m, view, offset, end, !mode));
	case FALLOC_FL_UNSHARE_RANGE:
	case FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE:
		return morsel_file_error(
			allocate(m, view, offset, end, !(mode & FALLOC_FL_KEEP_SIZE))
				?: unshare(m, offset, end));
	default:
		return -EOPNOTSUPP;
	}
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
	int err;

	if (down_write_killable(&m->inode.i_rwsem))
		return -EINTR;
	err = fallocate(file, mode, offset, offset + len);
	if (!err)
		file_modified(file);
	inode_unlock(&m->inode);
	return err;
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
	seq_puts(seq, "morsel-name:\t");
	seq_escape(seq, info.name, "\n\\");
	seq_putc(seq, '\n');
	seq_printf(seq, "morsel-length:\t%llu\n", info.length);
	seq_printf(seq, "morsel-granule:\t%u\n", info.granule);
	seq_printf(seq, "morsel-pool:\t%u\n", info.pool);
	seq_printf(seq, "morsel-node:\t%u\n", info.node);
	seq_printf(seq, "morsel-frames:\t%llu\n", info.frame_bytes);
	seq_printf(seq, "morsel-huge:\t%llu\n", info.huge_bytes);
	seq_printf(seq, "morsel-tables:\t%llu\n", info.table_bytes);
	seq_printf(seq, "morsel-attachments:\t%u\n", info.attachments);
	seq_printf(seq, "morsel-stale:\t%u\n", is_given(m));
}

static int set_size(struct morsel *m, struct iattr *attr)
{
	loff_t old = i_size_read(&m->inode), size = attr->ia_size;

	if ((size < old && is_sealed(m, MORSEL_SEAL_SHRINK)) ||
	    (size > old && is_sealed(m, MORSEL_SEAL_GROW)))
		return -EPERM;
	/* As truncate(2) has it, which leaves that to us. */
	if (size != old && !(attr->ia_valid & ATTR_MTIME)) {
		attr->ia_mtime = current_time(&m->inode);
		attr->ia_ctime = attr->ia_mtime;
		attr->ia_valid |= ATTR_MTIME | ATTR_CTIME;
	}
	return morsel_file_error(morsel_resize(m, size));
}

static int morsel_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	err = is_given(to_morsel(inode)) ? -ESTALE : setattr_prepare(idmap, dentry, attr);
	/* Its length is not for a party to change. */
	if (!err && attr->ia_valid & ATTR_FILE && file_view(attr->ia_file)->ops->exclusive)
		err = -EINVAL;
	/* By way of /proc/PID/map_files. */
	if (!err && to_morsel(inode)->personal)
		err = -EPERM;
	if (!err && attr->ia_valid & ATTR_SIZE)
		err = set_size(to_morsel(inode), attr);
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

	if (is_given(m))
		return -ESTALE;
	compat_fillattr(idmap, mask, inode, stat);
	/* Copied in these units, a morsel gets huge frames. */
	stat->blksize = PMD_SIZE;
	stat->blocks =
		(atomic_long_read(&m->map.small) + (atomic_long_read(&m->map.huge) << HUGE_ORDER))
		<< (PAGE_SHIFT - SECTOR_SHIFT);
	return 0;
}

const struct inode_operations morsel_iops = {
	.setattr = morsel_setattr,
	.getattr = morsel_getattr,
};
