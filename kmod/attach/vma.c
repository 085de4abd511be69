// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings: making them, finding a place for them, and what becomes of them.
 */
#include <linux/file.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "attach/attach.h"

static vm_fault_t lost_fault(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

/* A child's, for which there was no memory when it was forked: hugetlbfs has such, too. */
static const struct vm_operations_struct morsel_lost_vm_ops = {
	.fault = lost_fault,
};

/*
 * A new VMA shares the attachment of the one it was copied from if it is a part
 * of the same range: a split.  Otherwise (fork, mremap) it gets its own.
 */
static void morsel_vma_open(struct vm_area_struct *vma)
{
	struct attachment *att = vma->vm_private_data;

	if (private_open(vma)) {
		/* As below: nothing of it is to be copied. */
		vm_flags_set(vma, VM_WIPEONFORK);
		vma->vm_private_data = NULL;
		vma->vm_ops = &morsel_lost_vm_ops;
		return;
	}
	if (att && att->notifier.mm == vma->vm_mm && vma->vm_start >= att->start &&
	    vma->vm_end <= att->end &&
	    vma->vm_pgoff == att->pgoff + ((vma->vm_start - att->start) >> PAGE_SHIFT)) {
		refcount_inc(&att->vmas);
		return;
	}

	/*
	 * A program may take this flag away (MADV_KEEPONFORK); fork looks at it
	 * only after this.
	 */
	if (!(vma->vm_flags & VM_WIPEONFORK))
		vm_flags_set(vma, VM_WIPEONFORK);

	/*
	 * What is inherited is attached by the first fault: most children call exec(), and
	 * the first notifier of an address space takes the locks of all files that it maps.
	 * This function cannot fail: where attaching does, a fault tries again, too.
	 */
	if (att && att->notifier.mm == vma->vm_mm && has_spans(vma))
		att = attachment_create(file_morsel(vma->vm_file), vma, false);
	else
		att = NULL;
	vma->vm_private_data = IS_ERR(att) ? NULL : att;
	if (vma->vm_private_data)
		space_asks(att, vma);
}

static void morsel_vma_close(struct vm_area_struct *vma)
{
	struct attachment *att = vma->vm_private_data;

	if (att && att->made == vma) {
		mutex_lock(&att->m->attached_lock);
		att->made = NULL;
		mutex_unlock(&att->m->attached_lock);
	}
	if (att && refcount_dec_and_test(&att->vmas))
		attachment_destroy(att);
	/* Where mmap() is to put another in its place, it may be found a while longer. */
	vma->vm_private_data = NULL;
	private_close(vma);
}

static int morsel_vma_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	struct attachment *att = vma->vm_private_data;

	/* Nothing of an exclusive view is mapped by itself. */
	if (file_view(vma->vm_file)->ops->exclusive && !IS_ALIGNED(addr, PMD_SIZE))
		return -EINVAL;
	/* Faults may be looking without the mmap_lock. */
	if (att && may_cross(att, addr)) {
		vma_start_write(vma);
		unsplice_gone(att, addr, addr);
	}
	return 0;
}

/* Where it was moved to, the kernel may have put tables of its own. */
static int morsel_vma_mremap(struct vm_area_struct *vma)
{
	return file_view(vma->vm_file)->ops->exclusive ? -EINVAL : 0;
}

/*
 * A protection key is a right in the leaf, one address space's own: there is
 * none but the first for a morsel.
 */
#ifdef CONFIG_ARCH_HAS_PKEYS
#define PKEY_FLAGS (VM_PKEY_BIT0 | VM_PKEY_BIT1 | VM_PKEY_BIT2 | VM_PKEY_BIT3)
#else
#define PKEY_FLAGS 0
#endif

/* What is reserved is to be shown at once with the rights that a mapping has, or is to have. */
static int show_reserved(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			 unsigned long vm_flags)
{
	int err = view_show_reserved(file_view(vma->vm_file), rights_of(vm_flags),
				     page_at(vma, start), page_at(vma, end));

	return err == -EDQUOT ? -ENOMEM : err;
}

static int morsel_vma_mprotect(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			       unsigned long newflags)
{
	int err = 0;

	/* Also the kernel's own key, for memory that is only executable. */
	if (newflags & PKEY_FLAGS)
		return -EINVAL;
	if (newflags & (VM_READ | VM_WRITE | VM_EXEC))
		err = show_reserved(vma, start, end, newflags);
	if (err)
		return err;
	/* So that the kernel's walks are short.  Faults may be looking without the mmap_lock. */
	if (vma->vm_private_data) {
		vma_start_write(vma);
		unsplice_gone(vma->vm_private_data, start, end);
	}
	/*
	 * Tells all who map this memory, us among them, before the kernel looks
	 * at what is there, let alone stands in it.  By itself it would tell of
	 * what it finds only, and after us it may find nothing.
	 */
	zap_special_vma_range(vma, start, end - start);
	return 0;
}

/*
 * What a debugger is given where get_user_pages() is not: of a mapping without rights, or one
 * that is not attached yet.  Who only looks, as ps does, does not wait; and who writes has the
 * mmap_lock, and waits for no memory.
 */
static int morsel_vma_access(struct vm_area_struct *vma, unsigned long addr, void *buf, int len,
			     int write)
{
	struct view *view = file_view(vma->vm_file);
	unsigned long index = page_at(vma, addr);
	/* Of an exclusive view, the page is taken below, if that needs no waiting. */
	int err = write && !view->ops->exclusive ? -EBUSY : 0;

	if (!(vma->vm_flags & (write ? VM_WRITE : VM_MAYREAD)) || index >= map_pages(view->map))
		return -EFAULT;
	while (err == -EBUSY && view_wait(view, index, err, write, TASK_KILLABLE))
		err = view->ops->fault(view, RIGHTS_RW, vma_policy(vma), index,
				       write ? MAP_WRITE : MAP_READ);
	if (err)
		return err;
	return view_copy(view, index, offset_in_page(addr), buf, len, write);
}

const struct vm_operations_struct morsel_vm_ops = {
	.open = morsel_vma_open,
	.close = morsel_vma_close,
	.may_split = morsel_vma_may_split,
	.mremap = morsel_vma_mremap,
	.mprotect = morsel_vma_mprotect,
	.fault = morsel_fault,
	.access = morsel_vma_access,
};

COMPAT_HUGE_FAULT(huge_fault, morsel_huge_write)

/* Of a morsel that was cloned, or is a clone: where what is shared is in huge frames, */
const struct vm_operations_struct morsel_huge_cow_vm_ops = {
	.open = morsel_vma_open,
	.close = morsel_vma_close,
	.may_split = morsel_vma_may_split,
	.mremap = morsel_vma_mremap,
	.mprotect = morsel_vma_mprotect,
	.fault = morsel_fault,
	.huge_fault = huge_fault,
	.access = morsel_vma_access,
};

/* and wherever it is. */
const struct vm_operations_struct morsel_cow_vm_ops = {
	.open = morsel_vma_open,
	.close = morsel_vma_close,
	.may_split = morsel_vma_may_split,
	.mremap = morsel_vma_mremap,
	.mprotect = morsel_vma_mprotect,
	.fault = morsel_fault,
	.huge_fault = huge_fault,
	.page_mkwrite = morsel_page_mkwrite,
	.access = morsel_vma_access,
};

/* Private mappings are the kernel's business, but for where pages come from. */
const struct vm_operations_struct morsel_private_vm_ops = {
	.fault = morsel_private_fault,
};

/* What a new shared mapping covers whole spans of. */
static struct attachment *attach(struct morsel *m, struct vm_area_struct *vma, bool *splice)
{
	struct view *view = file_view(vma->vm_file);
	unsigned long end = min(map_pages(view->map), vma->vm_pgoff + vma_pages(vma));

	/* It may take long: before a punch can have to wait for this mapping. */
	*splice = vma_is_accessible(vma) &&
		  !view->ops->show(view, rights_of(vma->vm_flags), vma->vm_pgoff / SPAN_PAGES,
				   DIV_ROUND_UP(end, SPAN_PAGES));
	return attachment_create(m, vma, true);
}

/**
 * morsel_mmap() - attach a morsel
 * @file:	its descriptor
 * @vma:	the mapping
 * Return: 0; -EINVAL: it is of an exclusive view, and not of whole spans; -EPERM (it is sealed against writing); -ENOMEM, also for tables of what is reserved;
 * -EINTR.
 */
int morsel_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct morsel *m = file_morsel(file);
	/* The note of morsel_get_unmapped_area(), unless another task's took its place. */
	bool populate = cmpxchg(&m->populating, current, NULL) == current, splice = false;
	struct attachment *att = NULL;
	int err = 0;

	/*
	 * A descriptor open for reading only has lost VM_SHARED here, but not
	 * this.
	 */
	if (!(vma->vm_flags & VM_MAYSHARE)) {
		vma->vm_ops = &morsel_private_vm_ops;
		return 0;
	}
	if (file_view(file)->ops->exclusive && !is_of_spans(vma))
		return -EINVAL;
	/* It may be that of a clone. */
	m = file_morsel(vma->vm_file);
	if (is_sealed(m, MORSEL_SEALS_WRITE)) {
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	/* Also where it covers no span: it may be moved to where it does. */
	if (vma_is_accessible(vma))
		err = show_reserved(vma, vma->vm_start, vma->vm_end, vma->vm_flags);
	if (!err && has_spans(vma))
		att = attach(m, vma, &splice);
	if (err || IS_ERR(att)) {
		private_close(vma);
		return err ?: PTR_ERR(att);
	}

	/*
	 * MIXEDMAP keeps khugepaged, KSM and NUMA balancing away but lets
	 * get_user_pages() in; WIPEONFORK keeps fork from copying entries one
	 * by one; DONTEXPAND keeps mremap from growing over what follows.
	 */
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_WIPEONFORK);
	/* What is special cannot be told to be dumped later.  What is private is the process's own memory. */
	if (!m->dump && !m->personal)
		vm_flags_set(vma, VM_DONTDUMP);
	/* Memory that is only executable can be read, as on processors without keys. */
	vm_flags_clear(vma, PKEY_FLAGS);
	vma->vm_ops = &morsel_vm_ops;
	vma->vm_private_data = att;
	if (cow_is_due(vma))
		cow_begin(vma, false);
	if (att) {
		att->populate = populate;
		space_asks(att, vma);
	}
	if (splice)
		splice_all(att, vma);
	return 0;
}

/**
 * morsel_get_unmapped_area() - find a place for a mapping
 * @file:	the morsel's descriptor
 * @addr:	wish, or with MAP_FIXED command
 * @len:	length
 * @pgoff:	offset in the morsel, in pages
 * @flags:	of mmap()
 *
 * The place agrees with the offset, so that as much as possible is spliced by few entries.  This is also
 * the only function of a driver that sees MAP_POPULATE.  What mmap() does about that comes
 * at its end, by faults: these are to fill more than a page each (populates()).
 *
 * Return: the address, or a negative errno.
 */
unsigned long morsel_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				       unsigned long pgoff, unsigned long flags)
{
	unsigned long offset = pgoff << PAGE_SHIFT, align, found;
	struct morsel *m = file_morsel(file);

	if (flags & MAP_POPULATE)
		WRITE_ONCE(m->populating, current);
	else
		cmpxchg(&m->populating, current, NULL);

	if (flags & MAP_FIXED || len < PMD_SIZE)
		return compat_get_unmapped_area(file, addr, len, pgoff, flags);
	if (addr) {
		found = compat_get_unmapped_area(file, addr, len, pgoff, flags);
		if (found == addr)
			return found;
	}

	if (len >= TOP_SIZE && splices_tops())
		align = TOP_SIZE;
	else
		align = len >= PUD_SIZE ? PUD_SIZE : PMD_SIZE;
	for (;; align = align == TOP_SIZE ? PUD_SIZE : PMD_SIZE) {
		if (len + align < len)
			return -ENOMEM;
		found = compat_get_unmapped_area(file, 0, len + align - PAGE_SIZE, 0, flags);
		if (!IS_ERR_VALUE(found))
			return found + ((offset - found) & (align - 1));
		if (align == PMD_SIZE)
			return found;
	}
}
