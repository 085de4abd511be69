// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors of exclusive views: each is a party's, as long as anybody has it.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/seq_file.h>

#include "attach/attach.h"
#include "object/object.h"
#include "view/exclusive.h"

/**
 * morsel_view_open() - a descriptor for an exclusive view more
 * @file:	a descriptor of the morsel
 * @fops:	what it does
 * @number:	gets the party's number
 * Return: the file, or ERR_PTR as morsel_ioctl.h lists the errors.
 */
struct file *morsel_view_open(struct file *file, const struct file_operations *fops, u32 *number)
{
	int flags = O_LARGEFILE | (file->f_mode & FMODE_WRITE ? O_RDWR : O_RDONLY);
	struct parties *all = file_morsel(file)->parties;
	struct party *party;
	struct file *made;

	if (!all)
		return ERR_PTR(-EOPNOTSUPP);
	/* It reads, too. */
	if (!(file->f_mode & FMODE_READ))
		return ERR_PTR(-EBADF);
	party = party_make(all);
	if (IS_ERR(party))
		return ERR_CAST(party);
	made = dentry_open(&file->f_path, flags, current_cred());
	if (IS_ERR(made)) {
		party_gone(party);
		return made;
	}
	/* Of the same module, which the file holds. */
	made->f_op = fops;
	made->private_data = &party->view;
	/* As it has no functions for these. */
	made->f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE | FMODE_CAN_READ |
			  FMODE_CAN_WRITE);
	*number = party->number;
	return made;
}

/**
 * morsel_view_release() - nobody has the file any more, nor the view mapped
 * @inode:	the morsel's
 * @file:	the file
 * Return: 0.
 */
int morsel_view_release(struct inode *inode, struct file *file)
{
	party_gone(to_party(file_view(file)));
	return morsel_file_release(inode, file);
}

/**
 * morsel_view_mmap() - mmap(2)
 * @file:	the view's
 * @vma:	the mapping
 * Return: -ENODEV: it is private; as morsel_mmap().
 */
int morsel_view_mmap(struct file *file, struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_MAYSHARE ? morsel_mmap(file, vma) : -ENODEV;
}

/**
 * morsel_view_show() - what fdinfo says of it
 * @seq:	where
 * @file:	the view's
 */
void morsel_view_show(struct seq_file *seq, struct file *file)
{
	morsel_show_fdinfo(seq, file);
	seq_printf(seq, "morsel-view:\t%u\n", to_party(file_view(file))->number);
}
