// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults.
 *
 * A fault, from entry to return: morsel_fault() has the view show the page, and
 * splice_around() puts the tables into the address space, where they are not yet;
 * again, if a notifier came in between.  At an edge of the mapping, edge_fault() maps the page.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/mempolicy.h>
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

/* What a fault is told that may not, and would have to. */
static vm_fault_t stay(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_RETRY_NOWAIT ? VM_FAULT_RETRY : VM_FAULT_SIGBUS;
}

/*
 * Take the mmap_lock for writing in place of for reading.  Returns the mapping of a file that an
 * address has by then, NULL if it has none; ERR_PTR(-EINTR): a fatal signal, and it is not held.
 */
static struct vm_area_struct *lock_for_writing(struct mm_struct *mm, const struct file *file,
					       unsigned long addr)
{
	struct vm_area_struct *vma;

	mmap_read_unlock(mm);
	if (mmap_write_lock_killable(mm))
		return ERR_PTR(-EINTR);
	vma = vma_lookup(mm, addr);
	return vma && vma->vm_file == file ? vma : NULL;
}

/*
 * Where waiting, or trying, for memory was in vain, the kernel is asked for another try all the
 * same, as the mmap_lock was let go; this is how that try knows.  It does not by itself: the kernel
 * tries again for other reasons, too, and where it fills a mapping, does not say that it does.
 */
static void be_in_vain(struct morsel *m, unsigned long addr)
{
	/* There is no other try; and another task may come to be where this one was. */
	if (fatal_signal_pending(current))
		return;
	WRITE_ONCE(m->in_vain_at, addr);
	WRITE_ONCE(m->in_vain, current);
}

/* Being attached is another matter than memory for the page, also at its address. */
#define ATTACHING 1UL

static bool was_in_vain(struct morsel *m, unsigned long addr)
{
	return cmpxchg(&m->in_vain, current, NULL) == current && READ_ONCE(m->in_vain_at) == addr;
}

static void be_served(struct morsel *m)
{
	if (READ_ONCE(m->in_vain) == current)
		cmpxchg(&m->in_vain, current, NULL);
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
	struct morsel *m = file_morsel(file);
	unsigned long addr = vmf->address;
	struct vm_area_struct *vma;
	struct attachment *att;
	int err = 0;

	if (!may_leave(vmf))
		return stay(vmf);
	if (morsel_planted(PLANT_STUCK)) {
		mmap_read_unlock(mm);
		return VM_FAULT_RETRY;
	}
	if (was_in_vain(m, addr | ATTACHING))
		return VM_FAULT_SIGBUS;
	att = attachment_alloc(m, vmf->vma);
	if (!att)
		return VM_FAULT_SIGBUS;
	/* Which keeps what runs here. */
	get_file(file);
	vma = lock_for_writing(mm, file, addr);
	if (IS_ERR(vma))
		goto out;
	if (vma && !vma->vm_private_data) {
		/* It may have been split or merged since. */
		if (!attachment_fits(att, vma)) {
			attachment_free(att);
			att = attachment_alloc(m, vma);
		}
		err = att ? attachment_add(att, vma, false) : -ENOMEM;
		if (!err) {
			vma->vm_private_data = att;
			space_asks(att, vma);
			att = NULL;
		}
	}
	mmap_write_unlock(mm);
	if (err == -ENOMEM)
		be_in_vain(m, addr | ATTACHING);
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
	unsigned long addr = vmf->address, start, end;
	struct vm_area_struct *vma;

	if (!may_leave(vmf))
		return stay(vmf);
	/* Which keeps what runs here. */
	get_file(file);
	vma = lock_for_writing(mm, file, addr);
	if (IS_ERR(vma))
		goto out;
	if (vma && vma->vm_private_data) {
		start = max(vma->vm_start, addr & TOP_MASK);
		end = min(vma->vm_end - 1, addr | ~TOP_MASK) + 1;
		vma_start_write(vma);
		unsplice_gone(vma->vm_private_data, start, end);
		zap_special_vma_range(vma, start, end - start);
	}
	mmap_write_unlock(mm);
out:
	fput(file);
	return VM_FAULT_RETRY;
}

/* Have the mapping ask before it is written, or before pages of it are; that takes the mmap_lock for writing, too. */
static vm_fault_t become_cow(struct vm_fault *vmf, bool pages)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	struct file *file = vmf->vma->vm_file;
	struct vm_area_struct *vma;

	if (!may_leave(vmf))
		return stay(vmf);
	get_file(file);
	vma = lock_for_writing(mm, file, vmf->address);
	if (!IS_ERR(vma)) {
		if (vma && (pages ? cow_is_due_for_pages(vma) : cow_is_due(vma))) {
			vma_start_write(vma);
			cow_begin(vma, pages);
		}
		mmap_write_unlock(mm);
	}
	fput(file);
	return VM_FAULT_RETRY;
}

/* Is the morsel to be written? */
static bool writes(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_WRITE && vmf->vma->vm_flags & VM_SHARED;
}

/*
 * Wait as view_wait() does, without keeping others from the address space: for what others hold, signals end
 * it, where the kernel looks for them.
 */
static vm_fault_t wait_outside(struct vm_fault *vmf, int err)
{
	struct file *file = get_file(vmf->vma->vm_file);
	unsigned long index = vmf->pgoff, addr = vmf->address;
	unsigned int state = vmf->flags & FAULT_FLAG_USER ? TASK_INTERRUPTIBLE : TASK_KILLABLE;
	bool write = writes(vmf);

	mmap_read_unlock(vmf->vma->vm_mm);
	/* For memory once; for others whenever they are in the way. */
	if (view_wait(file_view(file), index, err, write, state) && err != -EBUSY)
		be_in_vain(file_morsel(file), addr);
	fput(file);
	return VM_FAULT_RETRY;
}

/*
 * Have the view show the page; if there is no memory, look once more, so that it is known whether
 * any came back while it was looked: then, or while some is on its way, it is worth waiting.
 */
static int show_page(struct vm_fault *vmf, struct view *view, enum morsel_rights rights, bool *wait)
{
	enum map_access access = writes(vmf) ? MAP_WRITE : MAP_READ;
	int err = view->ops->fault(view, rights, vma_policy(vmf->vma), vmf->pgoff, access);
	unsigned long ended = 0;

	if (err == -ENOMEM || err == -EDQUOT) {
		ended = view_ended(view);
		err = view->ops->fault(view, rights, vma_policy(vmf->vma), vmf->pgoff, access);
	}
	*wait = view_waits(view, err, ended);
	return err;
}

/**
 * tell_of_writing() - tell that a file was written by way of a mapping
 * @vmf: the fault
 *
 * The faults that this takes do, as of other files: what is mapped already is written unseen.
 */
void tell_of_writing(const struct vm_fault *vmf)
{
	if (writes(vmf) && !file_morsel(vmf->vma->vm_file)->personal)
		file_update_time(vmf->vma->vm_file);
}

/*
 * The same; where it is worth waiting, the fault is to be taken again after waiting outside, and
 * *@ret says so.  Who cannot do that waits at the gate here, and for memory, or for other views, not at all.
 */
static int show_fault(struct vm_fault *vmf, struct view *view, enum morsel_rights rights,
		      vm_fault_t *ret)
{
	struct morsel *m = file_morsel(vmf->vma->vm_file);
	bool wait;
	int err;

	for (;;) {
		err = show_page(vmf, view, rights, &wait);
		if (!err) {
			be_served(m);
			tell_of_writing(vmf);
		}
		if (!wait || (err != -EBUSY && was_in_vain(m, vmf->address)))
			return err;
		if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
			*ret = VM_FAULT_RETRY;
		else if (may_leave(vmf))
			*ret = wait_outside(vmf, err);
		else if (err == -EBUSY && !view->ops->exclusive &&
			 view_wait(view, vmf->pgoff, err, false, TASK_KILLABLE))
			continue;
		return err;
	}
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
static void populate_span(struct view *view, const struct vm_fault *vmf)
{
	unsigned long first = round_down(vmf->pgoff, SPAN_PAGES);

	view->ops->populate(view, vma_policy(vmf->vma), first,
			    min(first + SPAN_PAGES, map_pages(view->map)), TASK_RUNNING);
}

/*
 * Does somebody wait for the address space while the kernel fills much of it at once?  Where nothing
 * was to be filled, letting go might lead to nothing.
 */
static bool is_waited_for(const struct vm_fault *vmf, bool filled)
{
	return filled && may_leave(vmf) && !(vmf->flags & FAULT_FLAG_TRIED) &&
	       mmap_lock_is_contended(vmf->vma->vm_mm);
}

/* As morsel_fault(), of a mapping that is attached. */
static vm_fault_t fault_attached(struct vm_fault *vmf, struct attachment *att)
{
	struct vm_area_struct *vma = vmf->vma;
	bool fills = is_gup(vmf) && !tableset_look(att->view->map->truth, vmf->pgoff).present;
	vm_fault_t ret = 0;
	int err;

	count_fault(att->m);
	if (populates(att, vmf))
		populate_span(att->view, vmf);
	err = show_fault(vmf, att->view, rights_of(vma->vm_flags), &ret);
	if (ret)
		return ret;
	/* Most often only the frame was missing. */
	if (!err && !is_spliced(att, vmf->address)) {
		err = splice_fault(att, vma, vmf->address);
		if (err == -ESTALE)
			return unpark(vmf);
		/* Where a mapping was moved to, the kernel may have put a table of its own. */
		if (err == -EBUSY && !att->view->ops->exclusive)
			return cow_is_due_for_pages(vma) ? become_cow(vmf, true)
							 : edge_fault(vmf, att->view);
		if (err == -EXDEV)
			return VM_FAULT_NOPAGE;
	}

	/*
	 * This CPU may remember an upper entry that led to nothing.  Some forget it when they
	 * report the fault; that all do is nowhere said.
	 */
	morsel_forget_here(vmf->address);
	trace_morsel_fault(att->m, vmf->address, vmf->pgoff, err);
	/* Of a signal that kills, too: else who copies to user memory would fault for ever. */
	if (err)
		return VM_FAULT_SIGBUS;
	if (!is_waited_for(vmf, fills))
		return VM_FAULT_NOPAGE;
	mmap_read_unlock(vma->vm_mm);
	return VM_FAULT_RETRY;
}

/* As morsel_fault(), of a page that is mapped by itself. */
static vm_fault_t fault_edge(struct vm_fault *vmf)
{
	struct morsel *m = file_morsel(vmf->vma->vm_file);
	struct view *view = file_view(vmf->vma->vm_file);
	vm_fault_t ret = 0;
	int err;

	count_fault(m);
	/* Whatever the mapping's rights: they are in the address space's own table. */
	err = show_fault(vmf, view, RIGHTS_RW, &ret);
	if (ret)
		return ret;
	trace_morsel_fault(m, vmf->address, vmf->pgoff, err);
	return err ? VM_FAULT_SIGBUS : edge_fault(vmf, view);
}

/**
 * morsel_private_fault() - a page fault in a private mapping of a morsel
 * @vmf: what the kernel knows of it
 * Return: as morsel_fault() and edge_fault().
 */
vm_fault_t morsel_private_fault(struct vm_fault *vmf)
{
	if (vmf->pgoff >= map_pages(&file_morsel(vmf->vma->vm_file)->map))
		return VM_FAULT_SIGBUS;
	return fault_edge(vmf);
}

/**
 * morsel_fault() - a page fault in a mapping of a morsel
 * @vmf: what the kernel knows of it
 * Return: VM_FAULT_NOPAGE: the access will work, or fault again; VM_FAULT_RETRY: so, and the
 * mmap_lock was let go; VM_FAULT_SIGBUS; at an edge, as edge_fault().
 */
vm_fault_t morsel_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct attachment *att = vma->vm_private_data;
	unsigned long addr = vmf->address, seq = att ? READ_ONCE(att->notifier.invalidate_seq) : 0;
	vm_fault_t ret;

	/* Without rights only a debugger comes here, and tables would serve the program, too. */
	if (vmf->pgoff >= map_pages(&file_morsel(vma->vm_file)->map) || !vma_is_accessible(vma))
		return VM_FAULT_SIGBUS;
	if (cow_is_due(vma))
		return become_cow(vmf, false);
	if (!in_span(vma, addr))
		return fault_edge(vmf);
	ret = att ? fault_attached(vmf, att) : attach_late(vmf);
	if (MORSEL_CHECKS)
		morsel_check_progress(addr, seq, ret & VM_FAULT_SIGBUS);
	return ret;
}
