// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching morsels to address spaces: mappings, their notifiers, faults.
 *
 * What is spliced where, and why it is taken out before the kernel's own code looks,
 * is splice.c's.
 *
 * A fault, from entry to return: morsel_fault() has subtree.c put a frame into
 * the morsel, and splice_around() puts the tables into the address space, where they
 * are not yet; again, if a notifier came in between.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/mm_inline.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>

#include "attach.h"
#include "debug.h"
#include "trace.h"

/*
 * After @entries were taken out, with the lock held: is there anything to flush?
 * Somebody else may have taken what was asked for, and not have flushed yet.
 */
static bool must_flush(struct attachment *att, unsigned long start, unsigned long end,
		       unsigned long entries)
{
	if (entries)
		trace_morsel_detach(att->m, start, end, entries);
	else if (!atomic_read(&att->flushing))
		return false;
	atomic_inc(&att->flushing);
	return true;
}

/*
 * Take all splices from @start to before @end out again.  Called with the lock
 * held; detached() is to follow without it, if this returns true.  @gone: see
 * unsplice().
 */
static bool detach(struct attachment *att, unsigned long start, unsigned long end, bool gone)
{
	start = max(start, att->start);
	end = min(end, att->end);
	return start < end && must_flush(att, start, end, unsplice(att, start, end, gone));
}

static void flushed(struct attachment *att)
{
	/* Said after it was done. */
	smp_mb__before_atomic();
	atomic_dec(&att->flushing);
}

/* Nobody uses what was spliced any more when it returns. */
static void detached(struct attachment *att)
{
	morsel_flush_mm(att->notifier.mm);
	flushed(att);
}

/*
 * unmap_mapping_range() and the like come from the file to its mappings, without
 * their mmap_lock, and may be looking at a parked entry.  The kernel frees tables
 * only after it has taken a mapping off the file's list; we clear entries before
 * that, so with the list's lock held.
 *
 * lockdep knows that notifiers are called with that lock held, and would take it
 * for a deadlock that one takes it.  But no notifier that is called so waits for
 * this one.
 */
static void walkers_keep_out(struct morsel *m)
{
	lockdep_off();
	i_mmap_lock_write(m->inode.i_mapping);
	lockdep_on();
}

static void walkers_may_come(struct morsel *m)
{
	lockdep_off();
	i_mmap_unlock_write(m->inode.i_mapping);
	lockdep_on();
}

static void detach_range(struct attachment *att, unsigned long start, unsigned long end, bool gone)
{
	bool flush;

	spin_lock(&att->splices.lock);
	flush = detach(att, start, end, gone);
	spin_unlock(&att->splices.lock);
	if (flush)
		detached(att);
	if (morsel_planted(PLANT_LOCK_ORDER)) {
		spin_lock(&att->notifier.mm->page_table_lock);
		spin_lock(&att->splices.lock);
		spin_unlock(&att->splices.lock);
		spin_unlock(&att->notifier.mm->page_table_lock);
	}
}

/*
 * A mapping is being split at @addr: what is spliced across that by one entry cannot
 * be any more.
 */
static void detach_at(struct attachment *att, unsigned long addr)
{
	bool flush;

	walkers_keep_out(att->m);
	spin_lock(&att->splices.lock);
	flush = must_flush(att, addr, addr, unsplice_at(att, addr));
	spin_unlock(&att->splices.lock);
	walkers_may_come(att->m);
	if (flush)
		detached(att);
}

/* As detach_range(), where nobody can be looking but who comes by way of the file. */
static void detach_gone(struct attachment *att, unsigned long start, unsigned long end)
{
	bool flush;

	walkers_keep_out(att->m);
	spin_lock(&att->splices.lock);
	flush = detach(att, start, end, true);
	spin_unlock(&att->splices.lock);
	walkers_may_come(att->m);
	if (flush)
		detached(att);
}

/* Is a mapping that is just being made in the file's list by now? */
static bool vma_linked(const struct vm_area_struct *vma)
{
	/* The list is a tree; a new VMA's node is zero. */
	return READ_ONCE(vma->shared.rb.__rb_parent_color);
}

/*
 * Have all mappings that were just being made come into the file's list, which is
 * the next that mmap() does with them.
 */
static void wait_until_linked(struct morsel *m)
{
	struct attachment *att;
	bool wait;

	for (;;) {
		wait = false;
		mutex_lock(&m->attached_lock);
		list_for_each_entry(att, &m->attached, list) {
			if (att->unlinked)
				att->unlinked = att->made && !vma_linked(att->made);
			wait |= att->unlinked;
		}
		mutex_unlock(&m->attached_lock);
		if (!wait)
			return;
		usleep_range(10, 100);
	}
}

/**
 * morsel_revoke() - take all splices of a range of a morsel out again
 * @m:		the morsel
 * @start:	first byte
 * @end:	byte after the last
 *
 * Finds all attachments, also those of mappings that are just being made, which
 * unmap_mapping_range() does not know yet; when this returns, it does.  Nobody
 * uses what was spliced any more then.  However many address spaces there are,
 * each processor is interrupted once.
 */
void morsel_revoke(struct morsel *m, loff_t start, loff_t end)
{
	unsigned int spaces = 0;
	struct attachment *att;
	bool unlinked = false;

	mutex_lock(&m->attached_lock);
	cpumask_clear(m->flush_cpus);
	list_for_each_entry(att, &m->attached, list) {
		loff_t base = (loff_t)att->pgoff << PAGE_SHIFT;
		loff_t first = max(start, base);
		loff_t last = min_t(loff_t, end, base + (att->end - att->start));

		if (first >= last)
			continue;
		spin_lock(&att->splices.lock);
		att->to_flush = detach(att, att->start + (first - base),
				       att->start + (last - base), false);
		spin_unlock(&att->splices.lock);
		if (att->to_flush) {
			morsel_flush_add(att->notifier.mm, m->flush_cpus);
			spaces++;
		}
		att->unlinked = att->made && !vma_linked(att->made);
		unlinked |= att->unlinked;
		cond_resched();
	}
	if (!spaces)
		goto out;
	morsel_flush_cpus(m->flush_cpus, spaces);
	list_for_each_entry(att, &m->attached, list) {
		if (att->to_flush)
			flushed(att);
		att->to_flush = false;
	}
out:
	mutex_unlock(&m->attached_lock);
	if (unlinked)
		wait_until_linked(m);
}

/*
 * Devices that walk the tables themselves (SVA) are told only by the kernel's
 * own flush, which it leaves out where it finds nothing to unmap.  It does not
 * where it takes somebody else to be unmapping at the same time: then it
 * flushes the whole address space.  Called when it has begun to gather what to
 * flush, with the lock held.
 */
static void tell_devices(struct attachment *att)
{
	if (att->devices || !compat_devices_walk(att->notifier.mm))
		return;
	att->devices = true;
	inc_tlb_flush_pending(att->notifier.mm);
}

/*
 * At the end of an address space nobody uses it any more; processors that keep it may
 * only guess ahead by it, in tables that stay until its mappings are closed.  The kernel
 * flushes before that, if it has tables to free.  Devices it may not tell.
 */
static bool kernel_flushes_at_end(const struct attachment *att)
{
	return mm_pgtables_bytes(att->notifier.mm) && !att->devices;
}

static bool attachment_invalidate(struct mmu_interval_notifier *notifier,
				  const struct mmu_notifier_range *range, unsigned long seq)
{
	struct attachment *att = container_of(notifier, struct attachment, notifier);
	struct mm_struct *mm = notifier->mm;
	bool release = range->event == MMU_NOTIFY_RELEASE;
	bool flush, gone;

	/*
	 * Who unmaps has had the mmap_lock for writing.  The OOM reaper says
	 * that it unmaps, too, but has not, and may not block; at the end of an
	 * address space it may still be at it.
	 */
	gone = release || (range->event == MMU_NOTIFY_UNMAP && mmu_notifier_range_blockable(range));
	if (release)
		mmap_write_lock(mm);
	if (gone)
		walkers_keep_out(att->m);
	spin_lock(&att->splices.lock);
	mmu_interval_set_seq(notifier, seq);
	flush = detach(att, range->start, range->end, gone);
	/* Who begins to walk from here on finds nothing. */
	tell_devices(att);
	spin_unlock(&att->splices.lock);
	if (gone)
		walkers_may_come(att->m);
	if (release)
		mmap_write_unlock(mm);
	/* Until then, who frees frames sees a flush that is not done yet. */
	if (release && kernel_flushes_at_end(att))
		att->ending = true;
	if (flush && !att->ending)
		detached(att);
	return true;
}

static const struct mmu_interval_notifier_ops attachment_notifier_ops = {
	.invalidate = attachment_invalidate,
};

/* @made: mmap() is making the VMA; else it is, or will be, in the file's list. */
static struct attachment *attachment_create(struct morsel *m, struct vm_area_struct *vma, bool made)
{
	struct attachment *att = attachment_alloc(m, vma);
	int err;

	if (!att)
		return ERR_PTR(-ENOMEM);
	att->made = made ? vma : NULL;
	refcount_set(&att->vmas, 1);
	err = mmu_interval_notifier_insert_locked(&att->notifier, vma->vm_mm, att->start,
						  att->end - att->start, &attachment_notifier_ops);
	if (err) {
		attachment_free(att);
		return ERR_PTR(err);
	}
	atomic_inc(&m->attachments);
	mutex_lock(&m->attached_lock);
	list_add(&att->list, &m->attached);
	mutex_unlock(&m->attached_lock);
	return att;
}

static void attachment_destroy(struct attachment *att)
{
	struct morsel *m = att->m;

	/*
	 * Unmapping has detached everything already; a mapping that failed
	 * half-way has not.
	 */
	if (!att->ending)
		detach_range(att, att->start, att->end, true);
	mutex_lock(&m->attached_lock);
	list_del(&att->list);
	mutex_unlock(&m->attached_lock);
	mmu_interval_notifier_remove(&att->notifier);
	if (att->devices)
		dec_tlb_flush_pending(att->notifier.mm);
	atomic_dec(&m->attachments);
	attachment_free(att);
	if (morsel_planted(PLANT_USE_AFTER_FREE))
		READ_ONCE(att->end);
}

static const struct vm_operations_struct morsel_vm_ops;

/*
 * Attach a mapping that could not be when it was inherited or moved: memory was
 * short, or a signal came in.  That takes the mmap_lock for writing, so the
 * fault is taken again; called with it held for reading.
 */
static vm_fault_t attach_late(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	unsigned long addr = vmf->address;
	struct vm_area_struct *vma;
	struct attachment *att;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) ||
	    vmf->flags & (FAULT_FLAG_RETRY_NOWAIT | FAULT_FLAG_TRIED))
		return VM_FAULT_SIGBUS;

	mmap_read_unlock(mm);
	if (!mmap_write_lock_killable(mm)) {
		vma = vma_lookup(mm, addr);
		if (vma && vma->vm_ops == &morsel_vm_ops && !vma->vm_private_data) {
			att = attachment_create(file_morsel(vma->vm_file), vma, false);
			if (!IS_ERR(att))
				vma->vm_private_data = att;
		}
		mmap_write_unlock(mm);
	}
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

static vm_fault_t morsel_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct attachment *att = vma->vm_private_data;
	unsigned long span = vmf->pgoff / SPAN_PAGES;
	int err;

	/* Without rights only a debugger comes here, and tables would serve the program, too. */
	if (vmf->pgoff >= file_morsel(vma->vm_file)->pages || !vma_is_accessible(vma))
		return VM_FAULT_SIGBUS;
	if (!att)
		return attach_late(vmf);

	count_fault(att->m);
	err = morsel_fill(att->m, vmf->pgoff);
	if (!err)
		err = morsel_mirror(att->m, rights_of(vma->vm_flags), span, span + 1);
	/* Most often only the frame was missing. */
	if (!err && !is_spliced(att, vmf->address))
		err = splice_fault(att, vma, vmf->address);

	trace_morsel_fault(att->m, vmf->address, vmf->pgoff, err);
	/* Of a signal that kills, too: else who copies to user memory would fault for ever. */
	return err ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
}

/*
 * A new VMA shares the attachment of the one it was copied from if it is a part
 * of the same range: a split.  Otherwise (fork, mremap) it gets its own.
 */
static void morsel_vma_open(struct vm_area_struct *vma)
{
	struct attachment *att = vma->vm_private_data;

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

	/* This function cannot fail: where attaching does, the first fault tries again. */
	att = attachment_create(file_morsel(vma->vm_file), vma, false);
	vma->vm_private_data = IS_ERR(att) ? NULL : att;
}

static void morsel_vma_close(struct vm_area_struct *vma)
{
	struct attachment *att = vma->vm_private_data;

	if (!att)
		return;
	if (att->made == vma) {
		mutex_lock(&att->m->attached_lock);
		att->made = NULL;
		mutex_unlock(&att->m->attached_lock);
	}
	if (refcount_dec_and_test(&att->vmas))
		attachment_destroy(att);
}

static int morsel_vma_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	struct attachment *att = vma->vm_private_data;

	if (!IS_ALIGNED(addr, PMD_SIZE))
		return -EINVAL;
	/* Faults may be looking without the mmap_lock. */
	if (att && may_cross(att, addr)) {
		vma_start_write(vma);
		detach_at(att, addr);
	}
	return 0;
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

static int morsel_vma_mprotect(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			       unsigned long newflags)
{
	/* Also the kernel's own key, for memory that is only executable. */
	if (newflags & PKEY_FLAGS)
		return -EINVAL;
	/* So that the kernel's walks are short.  Faults may be looking without the mmap_lock. */
	if (vma->vm_private_data) {
		vma_start_write(vma);
		detach_gone(vma->vm_private_data, start, end);
	}
	/*
	 * Tells all who map this memory, us among them, before the kernel looks
	 * at what is there, let alone stands in it.  By itself it would tell of
	 * what it finds only, and after us it may find nothing.
	 */
	zap_special_vma_range(vma, start, end - start);
	return 0;
}

static const struct vm_operations_struct morsel_vm_ops = {
	.open = morsel_vma_open,
	.close = morsel_vma_close,
	.may_split = morsel_vma_may_split,
	.mprotect = morsel_vma_mprotect,
	.fault = morsel_fault,
};

/**
 * morsel_mmap() - attach a morsel
 * @file:	its descriptor
 * @vma:	the mapping
 * Return: 0; -EINVAL: not MAP_SHARED, or not aligned to 2 MiB; -ENOMEM; -EINTR.
 */
int morsel_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct morsel *m = file_morsel(file);
	struct attachment *att;
	bool splice;

	/*
	 * A descriptor open for reading only has lost VM_SHARED here, but not
	 * this.
	 */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (!IS_ALIGNED(vma->vm_start | vma->vm_end | (vma->vm_pgoff << PAGE_SHIFT), PMD_SIZE))
		return -EINVAL;

	/* It may take long: before a punch can have to wait for this mapping. */
	splice = vma_is_accessible(vma) &&
		 !morsel_mirror(m, rights_of(vma->vm_flags), vma->vm_pgoff / SPAN_PAGES,
				DIV_ROUND_UP(min(m->pages, vma->vm_pgoff + vma_pages(vma)), SPAN_PAGES));

	att = attachment_create(m, vma, true);
	if (IS_ERR(att))
		return PTR_ERR(att);

	/*
	 * MIXEDMAP keeps khugepaged, KSM and NUMA balancing away but lets
	 * get_user_pages() in; WIPEONFORK keeps fork from copying entries one
	 * by one; DONTEXPAND keeps mremap from growing over what follows.
	 */
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_WIPEONFORK);
	/* Memory that is only executable can be read, as on processors without keys. */
	vm_flags_clear(vma, PKEY_FLAGS);
	vma->vm_ops = &morsel_vm_ops;
	vma->vm_private_data = att;
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
 * The place is aligned so that as much as possible is spliced by few entries.  Here is
 * also where MAP_POPULATE is served, in bulk: this is the only function of a
 * driver that sees the flag, and populating a morsel needs no address.
 *
 * Return: the address, or a negative errno.
 */
unsigned long morsel_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				       unsigned long pgoff, unsigned long flags)
{
	unsigned long offset = pgoff << PAGE_SHIFT, align, found;
	struct morsel *m = file_morsel(file);

	if (!IS_ALIGNED(len | offset, PMD_SIZE))
		return -EINVAL;

	/*
	 * As for files, MAP_POPULATE does what it can, and mmap() does not fail
	 * for it.
	 */
	if (flags & MAP_POPULATE && pgoff < m->pages)
		morsel_populate(m, pgoff, min(m->pages, pgoff + (len >> PAGE_SHIFT)),
				TASK_INTERRUPTIBLE);

	if (flags & MAP_FIXED) {
		if (!IS_ALIGNED(addr, PMD_SIZE))
			return -EINVAL;
		return compat_get_unmapped_area(file, addr, len, pgoff, flags);
	}
	if (addr && IS_ALIGNED(addr, PMD_SIZE)) {
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
