// SPDX-License-Identifier: GPL-2.0
/*
 * Writing to what others have, too: a leaf for reading below a mapping that may be written is one of a
 * frame that a clone shares.  The kernel asks before it makes such a leaf writable, if the mapping's
 * operations say so: by page_mkwrite for pages, by huge_fault for huge frames.  The morsel makes the page
 * its own then, and the access finds it by another fault.
 *
 * Who has page_mkwrite is not let pin pages for long (FOLL_LONGTERM), so ordinary morsels' mappings do not
 * have it, nor do those where nothing but huge frames is shared, of whole spans.  They get what they need before the
 * morsel is cloned (spaces_ask()), or where nothing of it is spliced, by their first fault after that.
 */
#include <linux/err.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "attach/attach.h"
#include "trace.h"

/**
 * cow_is_due() - is a mapping to get operations that ask before writing?
 * @vma: the mapping
 * Return: whether; nothing is to be spliced into it before it has.
 */
bool cow_is_due(const struct vm_area_struct *vma)
{
	enum map_shares shares = view_shares(file_view(vma->vm_file));

	if (!shares || !(vma->vm_flags & VM_WRITE))
		return false;
	if (vma->vm_ops == &morsel_huge_cow_vm_ops)
		return shares == SHARES_SMALL || !is_of_spans(vma);
	return vma->vm_ops == &morsel_vm_ops;
}

/**
 * cow_asks() - of what does a mapping ask before it is written?
 * @vma: the mapping
 * Return: what may be shared as far as it is concerned.
 */
enum map_shares cow_asks(const struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_MAYWRITE) || vma->vm_ops == &morsel_cow_vm_ops)
		return SHARES_SMALL;
	return vma->vm_ops == &morsel_huge_cow_vm_ops ? SHARES_HUGE : SHARES_NONE;
}

/**
 * cow_is_due_for_pages() - the same, where pages are about to be mapped one by one
 * @vma: the mapping
 * Return: whether.
 */
bool cow_is_due_for_pages(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_WRITE && vma->vm_ops != &morsel_cow_vm_ops &&
	       view_shares(file_view(vma->vm_file));
}

/**
 * cow_begin() - have a mapping ask before it is written
 * @vma:	the mapping, with the mmap_lock and its own held for writing; what is mapped one by one goes before
 *		the morsel is cloned
 * @pages:	also before pages are
 */
void cow_begin(struct vm_area_struct *vma, bool pages)
{
	if (!pages && is_of_spans(vma) && view_shares(file_view(vma->vm_file)) == SHARES_HUGE) {
		vma->vm_ops = &morsel_huge_cow_vm_ops;
		return;
	}
	vma->vm_ops = &morsel_cow_vm_ops;
	/* As the kernel has it of mappings that ask: pages come for reading. */
	if (vma->vm_flags & VM_SHARED)
		vma->vm_page_prot = vm_get_page_prot(vma->vm_flags & ~VM_SHARED);
}

/* Of a span: the page is the morsel's own from here on, and found by another fault. */
static vm_fault_t write_span(struct vm_fault *vmf, struct attachment *att, bool huge)
{
	struct view *view = att->view;
	int err = view->ops->fault(view, rights_of(vmf->vma->vm_flags), vma_policy(vmf->vma),
				   vmf->pgoff, huge ? MAP_WRITE : MAP_WRITE_HELD);

	atomic64_inc(&att->m->faults);
	trace_morsel_fault(att->m, vmf->address, vmf->pgoff, err);
	if (!err)
		tell_of_writing(vmf);
	/*
	 * What is spliced here may be a copy of a leaf that has changed.  Where it is worth waiting, or there is
	 * no memory, the next fault will tell, which may let go of the mmap_lock.
	 */
	if (huge || err)
		unsplice_span(att, vmf->address);
	else
		morsel_forget_here(vmf->address);
	return VM_FAULT_NOPAGE;
}

/* Of a page that is mapped by itself, it goes on here if it is the morsel's own by now. */
static vm_fault_t write_edge(struct vm_fault *vmf)
{
	struct morsel *m = file_morsel(vmf->vma->vm_file);
	struct view *view = file_view(vmf->vma->vm_file);
	int err = view->ops->fault(view, RIGHTS_RW, vma_policy(vmf->vma), vmf->pgoff,
				   MAP_WRITE_HELD);

	atomic64_inc(&m->faults);
	trace_morsel_fault(m, vmf->address, vmf->pgoff, err);
	if (err) {
		/* As above. */
		unmap_mapping_range(m->inode.i_mapping, (loff_t)vmf->pgoff << PAGE_SHIFT, PAGE_SIZE,
				    0);
		return VM_FAULT_NOPAGE;
	}
	tell_of_writing(vmf);
	lock_page(vmf->page);
	if (view_shows_own(view, vmf->pgoff, vmf->page))
		return VM_FAULT_LOCKED;
	unlock_page(vmf->page);
	return VM_FAULT_NOPAGE;
}

/**
 * morsel_page_mkwrite() - a page that is mapped for reading is to be written
 * @vmf: what the kernel knows of it
 * Return: VM_FAULT_NOPAGE: there will be another fault; VM_FAULT_LOCKED: it may be written as it is, and is
 * locked.
 */
vm_fault_t morsel_page_mkwrite(struct vm_fault *vmf)
{
	struct attachment *att = vmf->vma->vm_private_data;

	/* Nothing of an exclusive view is mapped by itself. */
	return att && (att->view->ops->exclusive || is_spliced(att, vmf->address))
		       ? write_span(vmf, att, false)
		       : write_edge(vmf);
}

/**
 * morsel_huge_write() - a huge frame that is mapped for reading is to be written
 * @vmf:	what the kernel knows of it
 * @pmd:	it is about a PMD entry
 * Return: VM_FAULT_NOPAGE; VM_FAULT_FALLBACK: it is about something else, where nothing is mapped.
 */
vm_fault_t morsel_huge_write(struct vm_fault *vmf, bool pmd)
{
	struct attachment *att = vmf->vma->vm_private_data;

	if (!att || !pmd || !is_huge_leaf(vmf))
		return VM_FAULT_FALLBACK;
	return write_span(vmf, att, true);
}
