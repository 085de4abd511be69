// SPDX-License-Identifier: GPL-2.0
/*
 * Which private mappings are shared ones of a clone, and the clones behind them (attach/private.c).
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/path.h>
#include <linux/slab.h>

#include "attach/attach.h"
#include "object/object.h"

static struct morsel *clone_for_child(struct morsel *m, struct mm_struct *mm);

/*
 * A clone of some GiBs that is to stand behind private mappings in @mm, which are shown as @path; with the caller's
 * mmap_lock held for writing.  Its file has the one reference that there is, and there is no VMA yet.
 */
static struct morsel *clone_private(struct morsel *m, const struct path *path,
				    const struct gibs *gibs, struct mm_struct *mm)
{
	struct morsel_create create = morsel_as_source(m, 0600);
	struct personal *personal = kzalloc(sizeof(*personal), GFP_KERNEL_ACCOUNT);
	struct morsel_maker maker = {
		.sb = morsel_nameless(),
		.idmap = &nop_mnt_idmap,
		.original = m,
		.personal = personal,
		.gibs = gibs,
	};
	struct morsel *clone;
	struct file *file;

	if (!personal)
		return ERR_PTR(-ENOMEM);
	clone = morsel_make(&maker, &create);
	if (IS_ERR(clone)) {
		kfree(personal);
		return clone;
	}
	/* From here on, it goes with the morsel. */
	personal->mm = mm;
	personal->clone = clone_for_child;
	personal->path = *path;
	path_get(path);
	clear_nlink(&clone->inode);
	clone->inode.i_ino = m->inode.i_ino;
	/* At fork, the kernel puts a mapping where that is which it is a copy of. */
	if (m->personal) {
		ihold(m->inode.i_mapping->host);
		clone->inode.i_mapping = m->inode.i_mapping;
	}
	file = morsel_private_file(clone);
	iput(&clone->inode);
	if (IS_ERR(file))
		return ERR_CAST(file);
	personal->file = file;
	return clone;
}

static struct morsel *clone_for_child(struct morsel *m, struct mm_struct *mm)
{
	static const struct gibs all = {.end = MORSEL_MAX_LENGTH >> PUD_SHIFT};

	return clone_private(m, &m->personal->path, &all, mm);
}

/*
 * May a private mapping be a clone's?  Debuggers write to code, which no shared mapping lets them; who may not write to the
 * morsel is not to have others copy what they write; and what lies behind the end may come to be there.
 */
static bool may_clone(const struct file *file, struct vm_area_struct *vma)
{
	const struct morsel *m = file_morsel(file);

	return COMPAT_OPEN_GIVES_FILE && vma->vm_flags & VM_WRITE && !(vma->vm_flags & VM_EXEC) &&
	       (file->f_mode & FMODE_WRITE || is_sealed(m, MORSEL_SEAL_WRITE)) &&
	       is_of_spans(vma) && vma->vm_pgoff + vma_pages(vma) <= map_pages(&m->map);
}

/* Of what the mapping covers. */
static struct morsel *clone_mapped(struct file *file, struct vm_area_struct *vma)
{
	unsigned long end = vma->vm_pgoff + vma_pages(vma);
	const struct gibs gibs = {
		.first = vma->vm_pgoff / GIB_PAGES,
		.end = DIV_ROUND_UP(end, GIB_PAGES),
	};
	struct morsel *clone = clone_private(file_morsel(file), &file->f_path, &gibs, vma->vm_mm);

	/* It has become shorter since that was looked at. */
	if (!IS_ERR(clone) && map_pages(&clone->map) < end) {
		fput(clone->personal->file);
		return ERR_PTR(-EBUSY);
	}
	return clone;
}

/**
 * morsel_file_mmap() - mmap(2)
 * @file:	the descriptor
 * @vma:	the mapping
 * Return: as morsel_mmap().
 */
int morsel_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct morsel *clone;

	if (is_given(file_morsel(file)))
		return -ESTALE;
	if (file_morsel(file)->parties)
		return -ENODEV;
	/* A descriptor open for reading only has lost VM_SHARED here, but not this. */
	if (!(vma->vm_flags & VM_MAYSHARE) && may_clone(file, vma)) {
		clone = clone_mapped(file, vma);
		/* Else the kernel copies what is written. */
		if (!IS_ERR(clone))
			private_begin(vma, clone);
	}
	return morsel_mmap(file, vma);
}
