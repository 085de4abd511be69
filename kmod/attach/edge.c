// SPDX-License-Identifier: GPL-2.0
/*
 * Edges: what of a mapping is no whole span of the morsel, and cannot be spliced.  Its pages stand in
 * tables of the address space's own, one by one, as those of any file; so do all pages of private
 * mappings, which the kernel copies when they are written.
 *
 * The kernel counts these pages as mapped, and knows the mappings by the file's list.  Who takes
 * pages away hides them first, and then has unmap_mapping_range() take them out of the mappings.  A
 * fault that has found a page before must not map it after that: it looks again with the frame's
 * lock held until the page is mapped, and who takes it away waits for that lock in between
 * (view_wait_mappers()).
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include <asm/pgalloc.h>

#include "attach/attach.h"

/* Pages that a fault maps at once where they are there, as for other files. */
#define AROUND_PAGES 16UL

/*
 * The page that a fault is for, locked, and with a reference; NULL: it has gone meanwhile.
 * ERR_PTR(-EAGAIN): its lock is held, and the fault is not to wait; ERR_PTR(-EINTR): a fatal signal.
 */
static struct page *lock_shown(const struct vm_fault *vmf, struct view *view, unsigned long index)
{
	struct page *page = view_peek(view, index);
	int err;

	if (!page)
		return NULL;
	if (!trylock_page(page)) {
		err = vmf->flags & FAULT_FLAG_RETRY_NOWAIT ? -EAGAIN
							   : folio_lock_killable(page_folio(page));
		if (err) {
			view_put_page(page);
			return ERR_PTR(err);
		}
	}
	if (view_shows(view, index, page))
		return page;
	unlock_page(page);
	view_put_page(page);
	return NULL;
}

/* Map a neighbour of a page that is locked, if that can be done at once. */
static void map_neighbour(struct vm_area_struct *vma, struct view *view, unsigned long addr,
			  const struct page *locked)
{
	unsigned long index = page_at(vma, addr);
	struct page *page = view_peek(view, index);
	bool same;

	if (!page)
		return;
	/* Pages of one frame have one lock. */
	same = compound_head(page) == compound_head(locked);
	if (same || trylock_page(page)) {
		/* Where something is mapped already, it stays. */
		if (view_shows(view, index, page) && !PageHWPoison(page))
			vm_insert_page(vma, addr, page);
		if (!same)
			unlock_page(page);
	}
	view_put_page(page);
}

/* Map what is there around a page that is locked, in the same table. */
static void map_around(const struct vm_fault *vmf, struct view *view, const struct page *locked)
{
	unsigned long block = round_down(vmf->address, AROUND_PAGES * PAGE_SIZE), addr;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = max(block, vma->vm_start);
	unsigned long end = min(block + AROUND_PAGES * PAGE_SIZE, vma->vm_end);

	for (addr = start; addr < end; addr += PAGE_SIZE)
		if (addr != vmf->address && page_at(vma, addr) < map_pages(view->map))
			map_neighbour(vma, view, addr, locked);
}

/* Put in the table that the kernel has made ready, so that none is made with a lock held. */
static void install_table(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	spinlock_t *lock;

	if (!vmf->prealloc_pte)
		return;
	lock = pmd_lock(mm, vmf->pmd);
	if (pmd_none(*vmf->pmd)) {
		mm_inc_nr_ptes(mm);
		/* Who finds the table finds it empty. */
		smp_wmb();
		pmd_populate(mm, vmf->pmd, vmf->prealloc_pte);
		vmf->prealloc_pte = NULL;
	}
	spin_unlock(lock);
}

/* Into a shared mapping the page goes alone, whatever the kernel would map with it. */
static vm_fault_t map_shared(struct vm_fault *vmf, struct view *view, struct page *page)
{
	int err = vm_insert_page(vmf->vma, vmf->address, page);

	map_around(vmf, view, page);
	unlock_page(page);
	view_put_page(page);
	/* Another thread may have been first. */
	return err && err != -EBUSY ? VM_FAULT_OOM : VM_FAULT_NOPAGE;
}

/**
 * edge_fault() - map a page, or have the kernel map it
 * @vmf:	the fault, of a page that the view shows
 * @view:	how the mapping's holder sees the morsel
 * Return: VM_FAULT_NOPAGE: it is mapped, or has gone meanwhile, and the access will work, or fault
 * again; VM_FAULT_LOCKED: it is in @vmf; VM_FAULT_RETRY, where waiting is not allowed;
 * VM_FAULT_HWPOISON: its memory has failed; VM_FAULT_OOM.
 */
vm_fault_t edge_fault(struct vm_fault *vmf, struct view *view)
{
	bool shared = vmf->vma->vm_flags & VM_MAYSHARE;
	struct page *page;

	if (shared)
		install_table(vmf);
	view_be_paged(view);
	page = lock_shown(vmf, view, vmf->pgoff);
	if (!page)
		return VM_FAULT_NOPAGE;
	if (page == ERR_PTR(-EAGAIN))
		return VM_FAULT_RETRY;
	if (IS_ERR(page))
		return VM_FAULT_SIGBUS;
	if (PageHWPoison(page)) {
		unlock_page(page);
		view_put_page(page);
		return VM_FAULT_HWPOISON;
	}
	if (shared)
		return map_shared(vmf, view, page);
	vmf->page = page;
	return VM_FAULT_LOCKED;
}
