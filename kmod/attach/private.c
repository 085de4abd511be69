// SPDX-License-Identifier: GPL-2.0
/*
 * Private mappings: of whole spans, they are shared ones of a clone that lives as long as they do, so
 * that who reads them takes no faults, and fork copies none of what they have.
 *
 * The clone is of one address space.  A child gets one of its own as its mappings are copied, one after the other;
 * its VMAs come into the list of the file that their parents are of (dup_mmap()), so both files have one mapping
 * (i_mapping), that of the first of them all.
 *
 * What has no whole span, may be executed, or belongs to who may not write to the morsel, and so may not have others copy
 * what they write, is the kernel's own to copy, page by page, as of any file (morsel_private_fault()).
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/spinlock.h>

#include "attach/attach.h"

/* The heirs' lock: protects personal->vmas, parent and heir of all. */
static DEFINE_SPINLOCK(heirs_lock);

/**
 * private_begin() - have a private mapping be a shared one of a clone
 * @vma:	the mapping, which mmap() is making
 * @clone:	the clone, which has no other yet
 */
void private_begin(struct vm_area_struct *vma, struct morsel *clone)
{
	clone->personal->vmas = 1;
	vma_set_file(vma, clone->personal->file);
	vm_flags_set(vma, VM_SHARED | VM_MAYSHARE);
}

/* The clone that a child has got of a morsel already, with one VMA more; NULL: none. */
static struct morsel *find_heir(struct morsel *m, const struct mm_struct *mm)
{
	struct morsel *heir;

	spin_lock(&heirs_lock);
	heir = m->personal->heir;
	/* As long as it has VMAs, its address space is no other's. */
	if (heir && heir->personal->mm == mm)
		heir->personal->vmas++;
	else
		heir = NULL;
	spin_unlock(&heirs_lock);
	return heir;
}

static struct morsel *make_heir(struct morsel *m, struct mm_struct *mm)
{
	struct morsel *heir = m->personal->clone(m, mm);

	if (IS_ERR(heir))
		return NULL;
	spin_lock(&heirs_lock);
	heir->personal->vmas = 1;
	heir->personal->parent = m;
	if (m->personal->heir)
		m->personal->heir->personal->parent = NULL;
	m->personal->heir = heir;
	spin_unlock(&heirs_lock);
	return heir;
}

/**
 * private_open() - a mapping was copied
 * @vma:	the copy
 *
 * With the mmap_lock of the address space that it was copied from held for writing, so nobody takes faults there.
 * Return: 0; -ENOMEM: a child's cannot have a clone of its own, and is not to see the parent's.
 */
int private_open(struct vm_area_struct *vma)
{
	struct morsel *m = file_morsel(vma->vm_file), *heir;

	if (!m->personal)
		return 0;
	if (m->personal->mm == vma->vm_mm) {
		spin_lock(&heirs_lock);
		m->personal->vmas++;
		spin_unlock(&heirs_lock);
		return 0;
	}
	heir = find_heir(m, vma->vm_mm) ?: make_heir(m, vma->vm_mm);
	if (!heir)
		return -ENOMEM;
	/* Which the kernel takes a reference to after this. */
	vma->vm_file = heir->personal->file;
	return 0;
}

/**
 * private_close() - a mapping is gone
 * @vma: the mapping, which holds its file yet
 */
void private_close(struct vm_area_struct *vma)
{
	struct personal *personal = file_morsel(vma->vm_file)->personal;
	bool last;

	if (!personal)
		return;
	spin_lock(&heirs_lock);
	last = !--personal->vmas;
	if (last && personal->parent)
		personal->parent->personal->heir = NULL;
	if (last && personal->heir)
		personal->heir->personal->parent = NULL;
	if (last)
		personal->parent = personal->heir = NULL;
	spin_unlock(&heirs_lock);
	if (last)
		fput(personal->file);
}
