// SPDX-License-Identifier: GPL-2.0
/*
 * Edges: what of a mapping is no whole span of the morsel, and cannot be spliced.  Its pages stand in
 * tables of the address space's own, one by one, as those of any file; so do all pages of private
 * mappings, which the kernel copies when they are written.
 *
 * The kernel counts these pages as mapped, and knows the mappings by the file's list.  Who takes
 * pages away hides them first, and then has unmap_mapping_range() take them out of the mappings.  A
 * fault that has found a page before must not map it after that.  Into a shared mapping, it does so
 * while nobody may hide anything (view_keep_pages()).  Into a private one, the kernel does, with the
 * frame's lock held: the fault looks again once it has that, and who takes the page away waits for
 * that lock in between (view_wait_mappers()).
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

/**
 * struct run - addresses in one table of the address space
 * @start:	the first
 * @end:	the address after the last
 */
struct run {
	unsigned long start;
	unsigned long end;
};

/* What is around a fault where nothing is mapped, in the same table. */
static struct run unmapped_around(const struct vm_fault *vmf)
{
	unsigned long addr = vmf->address, block = round_down(addr, AROUND_PAGES * PAGE_SIZE);
	struct run run = {addr, addr + PAGE_SIZE},
		   most = {max(block, vmf->vma->vm_start),
			   min(block + AROUND_PAGES * PAGE_SIZE, vmf->vma->vm_end)};
	pte_t *ptes;
	pmd_t pmd;

	/* The kernel frees tables that it finds empty, from 6.14 on, and always by RCU then. */
	rcu_read_lock();
	pmd = READ_ONCE(*vmf->pmd);
	if (!pmd_present(pmd)) {
		run = most;
	} else {
		ptes = (pte_t *)pmd_page_vaddr(pmd);
		while (run.start > most.start &&
		       pte_none(READ_ONCE(ptes[pte_index(run.start - PAGE_SIZE)])))
			run.start -= PAGE_SIZE;
		while (run.end < most.end && pte_none(READ_ONCE(ptes[pte_index(run.end)])))
			run.end += PAGE_SIZE;
	}
	rcu_read_unlock();
	return run;
}

static bool may_map(struct page *page)
{
	return page && !PageHWPoison(page);
}

/* Into a shared mapping goes what there is around the page, as far as all of it is there. */
static vm_fault_t show_shared(struct vm_fault *vmf, struct view *view)
{
	struct run run = unmapped_around(vmf);
	unsigned int first = (vmf->address - run.start) / PAGE_SIZE, end = first + 1;
	unsigned int count = (run.end - run.start) / PAGE_SIZE;
	struct page *pages[AROUND_PAGES], *page;
	unsigned long left;
	bool failed;
	int err = 0;

	view_keep_pages(view, page_at(vmf->vma, run.start), count, pages);
	/* Before it was cloned, it was found that the mapping need not ask. */
	page = cow_is_due_for_pages(vmf->vma) ? NULL : pages[first];
	if (may_map(page)) {
		while (first && may_map(pages[first - 1]))
			first--;
		while (end < count && may_map(pages[end]))
			end++;
		left = end - first;
		err = vm_insert_pages(vmf->vma, run.start + first * PAGE_SIZE, pages + first,
				      &left);
	}
	failed = page && PageHWPoison(page);
	view_let_go(view);
	if (failed)
		return VM_FAULT_HWPOISON;
	if (err == -ENOMEM)
		return VM_FAULT_OOM;
	/*
	 * Another thread may have been first, or the table have gone (-EFAULT): of what is not mapped now,
	 * there will be another fault.
	 */
	return err && err != -EBUSY && err != -EFAULT ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
}

/**
 * edge_fault() - map a page, or have the kernel map it
 * @vmf:	the fault, of a page that the view shows
 * @view:	how the mapping's holder sees the morsel
 * Return: VM_FAULT_NOPAGE: it is mapped, or has gone meanwhile, or somebody else was first near it,
 * and the access will work, or fault again; VM_FAULT_LOCKED: it is in @vmf; VM_FAULT_RETRY, where
 * waiting is not allowed; VM_FAULT_HWPOISON: its memory has failed; VM_FAULT_OOM; VM_FAULT_SIGBUS: a
 * fatal signal.
 */
vm_fault_t edge_fault(struct vm_fault *vmf, struct view *view)
{
	struct page *page;

	view_be_paged(view);
	if (vmf->vma->vm_flags & VM_MAYSHARE) {
		install_table(vmf);
		/* It has gone since the kernel looked, which makes another ready with the next fault. */
		if (pmd_none(READ_ONCE(*vmf->pmd)))
			return VM_FAULT_NOPAGE;
		return show_shared(vmf, view);
	}
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
	vmf->page = page;
	return VM_FAULT_LOCKED;
}
