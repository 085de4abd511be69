// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults.
 *
 * A fault, from entry to return: morsel_fault() has the view show the page, and
 * splice_around() puts the tables into the address space, where they are not yet;
 * again, if a notifier came in between.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>

#include "attach/attach.h"
#include "debug/debug.h"
#include "trace.h"

/* May a fault let go of the mmap_lock, and be taken again? */
static bool may_leave(const struct vm_fault *vmf)
{
	return (vmf->flags & (FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT)) ==
	       FAULT_FLAG_ALLOW_RETRY;
}

/*
 * Attach a mapping that was not when it was inherited or moved.  That takes the mmap_lock
 * for writing, so the fault is taken again; called with it held for reading.  Once that was
 * let go, the caller's VMA may be gone, and nothing but another try may be asked for.
 */
static vm_fault_t attach_late(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	struct file *file = vmf->vma->vm_file;
	unsigned long addr = vmf->address;
	struct vm_area_struct *vma;
	struct attachment *att;

	if (!may_leave(vmf))
		return vmf->flags & FAULT_FLAG_RETRY_NOWAIT ? VM_FAULT_RETRY : VM_FAULT_SIGBUS;
	att = attachment_alloc(file_morsel(file), vmf->vma);
	if (!att)
		return VM_FAULT_SIGBUS;
	/* Which keeps what runs here. */
	get_file(file);
	mmap_read_unlock(mm);
	if (mmap_write_lock_killable(mm))
		goto out;
	vma = vma_lookup(mm, addr);
	if (vma && vma->vm_file == file && !vma->vm_private_data && attachment_fits(att, vma) &&
	    !attachment_add(att, vma, false)) {
		vma->vm_private_data = att;
		att = NULL;
	}
	mmap_write_unlock(mm);
out:
	if (att)
		attachment_free(att);
	fput(file);
	return VM_FAULT_RETRY;
}

/*
 * Take out what is parked around an address, and have devices forget it: with the mmap_lock held
 * for writing nobody is looking, and zapping flushes (tell_devices()).
 */
static vm_fault_t unpark(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	struct file *file = vmf->vma->vm_file;
	unsigned long addr = vmf->address;
	struct vm_area_struct *vma;

	if (!may_leave(vmf))
		return vmf->flags & FAULT_FLAG_RETRY_NOWAIT ? VM_FAULT_RETRY : VM_FAULT_SIGBUS;
	/* Which keeps what runs here. */
	get_file(file);
	mmap_read_unlock(mm);
	if (mmap_write_lock_killable(mm))
		goto out;
	vma = vma_lookup(mm, addr);
	if (vma && vma->vm_file == file && vma->vm_private_data) {
		vma_start_write(vma);
		unsplice_gone(vma->vm_private_data, vma->vm_start, vma->vm_end);
		zap_special_vma_range(vma, vma->vm_start, vma->vm_end - vma->vm_start);
	}
	mmap_write_unlock(mm);
out:
	fput(file);
	return VM_FAULT_RETRY;
}

/* Wait as view_wait() does, without keeping others from the address space. */
static vm_fault_t wait_outside(struct vm_fault *vmf, int err)
{
	struct file *file = get_file(vmf->vma->vm_file);
	unsigned long index = vmf->pgoff;

	mmap_read_unlock(vmf->vma->vm_mm);
	view_wait(file_view(file), index, err);
	fput(file);
	return VM_FAULT_RETRY;
}

static void count_fault(struct morsel *m)
{
	int i;

	atomic64_inc(&m->faults);
	if (!morsel_planted(PLANT_RACE))
		return;
	/* Often, since of many accesses one is looked at. */
	for (i = 0; i < 100; i++) {
		m->faults.counter++;
		barrier();
	}
}

/* Is all there that an access needs? */
static bool is_there(struct attachment *att, const struct vm_fault *vmf)
{
	struct tableset *set = att->view->ops->tables(att->view, rights_of(vmf->vma->vm_flags));

	return set && is_spliced(att, vmf->address) && tableset_look(set, vmf->pgoff).present;
}

/* Splice what the morsel has around an address, of which it has a page by now. */
static int splice_fault(struct attachment *att, struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long seq;
	int err;

	do {
		seq = mmu_interval_read_begin(&att->notifier);
		err = splice_around(att, vma, addr, seq);
	} while (err == -EAGAIN && !fatal_signal_pending(current));
	return err;
}

/* Does get_user_pages() ask?  Copies to and from user memory may be interrupted. */
static bool is_gup(const struct vm_fault *vmf)
{
	return !(vmf->flags & (FAULT_FLAG_USER | FAULT_FLAG_INTERRUPTIBLE));
}

/*
 * Is the kernel filling the mapping, or getting memory of one that was to be filled?  Then
 * page by page would be slow.
 */
static bool populates(const struct attachment *att, const struct vm_fault *vmf)
{
	return att->populate && is_gup(vmf);
}

/* Fill the span around a page.  What there is not for all of it, there may be for the page. */
static void populate_span(struct view *view, unsigned long index)
{
	unsigned long first = round_down(index, SPAN_PAGES);

	view->ops->populate(view, first, min(first + SPAN_PAGES, view->map->pages), TASK_KILLABLE);
}

/*
 * There was no memory for a page: is the fault to be taken again, after waiting outside for what
 * may make room?  Once.  The kernel tells us of the second time, but not where it fills a
 * mapping, as for mmap(), mlock() and madvise().
 */
static bool waits_again(struct attachment *att, const struct vm_fault *vmf)
{
	if (!may_leave(vmf) || vmf->flags & FAULT_FLAG_TRIED)
		return false;
	if (is_gup(vmf))
		att->waited = !att->waited;
	return !is_gup(vmf) || att->waited;
}

/**
 * morsel_fault() - a page fault in a mapping of a morsel
 * @vmf: what the kernel knows of it
 * Return: VM_FAULT_NOPAGE: the access will work, or fault again; VM_FAULT_RETRY: so, and the
 * mmap_lock was let go; VM_FAULT_SIGBUS.
 */
vm_fault_t morsel_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct attachment *att = vma->vm_private_data;
	int err;

	/* Without rights only a debugger comes here, and tables would serve the program, too. */
	if (vmf->pgoff >= file_morsel(vma->vm_file)->map.pages || !vma_is_accessible(vma))
		return VM_FAULT_SIGBUS;
	if (!att)
		return attach_late(vmf);

	count_fault(att->m);
	if (MORSEL_CHECKS)
		morsel_check_progress(vmf->address, is_there(att, vmf));
	if (may_leave(vmf) && view_waits(att->view, vmf->pgoff, 0))
		return wait_outside(vmf, 0);
	if (populates(att, vmf))
		populate_span(att->view, vmf->pgoff);
	err = att->view->ops->fault(att->view, rights_of(vma->vm_flags), vmf->pgoff);
	if (err && view_waits(att->view, vmf->pgoff, err)) {
		if (waits_again(att, vmf))
			return wait_outside(vmf, err);
		/* Here, with the lock held, only if the kernel will not ask again. */
		if ((vmf->flags & FAULT_FLAG_TRIED || !may_leave(vmf)) &&
		    view_wait(att->view, vmf->pgoff, err))
			err = att->view->ops->fault(att->view, rights_of(vma->vm_flags),
						    vmf->pgoff);
	}
	if (!err && att->waited)
		att->waited = false;
	/* Most often only the frame was missing. */
	if (!err && !is_spliced(att, vmf->address))
		err = splice_fault(att, vma, vmf->address);
	if (err == -ESTALE)
		return unpark(vmf);

	/*
	 * This CPU may remember an upper entry that led to nothing.  Some forget it when they
	 * report the fault; that all do is nowhere said.
	 */
	morsel_forget_here(vmf->address);
	trace_morsel_fault(att->m, vmf->address, vmf->pgoff, err);
	/* Of a signal that kills, too: else who copies to user memory would fault for ever. */
	return err ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
}
