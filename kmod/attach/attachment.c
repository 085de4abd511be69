// SPDX-License-Identifier: GPL-2.0
/*
 * Attachments: a morsel in an address space, and the notifier that tells of what is
 * about to happen there.
 */
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>

#include "attach/attach.h"
#include "debug/debug.h"

/*
 * Devices that walk the tables themselves (SVA) are told only by the kernel's
 * own flush, which it leaves out where it finds nothing to unmap.  It does not
 * where it takes somebody else to be unmapping at the same time: then it
 * flushes the whole address space.  Called when it has begun to gather what to
 * flush, with the lock held.
 */
static void tell_devices(struct attachment *att)
{
	if (!COMPAT_DEVICES_HEAR_OF_FLUSHES_ALONE || att->devices ||
	    !compat_devices_walk(att->notifier.mm))
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
	flush = unsplice_range(att, range->start, range->end, gone);
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
		flush_unspliced(att);
	return true;
}

static const struct mmu_interval_notifier_ops attachment_notifier_ops = {
	.invalidate = attachment_invalidate,
};

static int insert(struct attachment *att, struct mm_struct *mm)
{
	return mmu_interval_notifier_insert_locked(&att->notifier, mm, att->start,
						   att->end - att->start, &attachment_notifier_ops);
}

/*
 * The first notifier of an address space is not made while its task is wanted elsewhere: by
 * a signal, a stop, or work of io_uring.  No other file's mmap() fails for these, nor does an
 * access, and starting over might never come to an end.  So all but what kills has to wait.
 */
static int insert_undisturbed(struct attachment *att, struct mm_struct *mm)
{
	bool wanted = test_thread_flag(TIF_SIGPENDING), work = false;
	sigset_t most, before;
	int err;

	siginitsetinv(&most, sigmask(SIGKILL));
	sigprocmask(SIG_BLOCK, &most, &before);
	do {
		wanted |= test_and_clear_thread_flag(TIF_SIGPENDING);
		work |= test_and_clear_thread_flag(TIF_NOTIFY_SIGNAL);
		err = insert(att, mm);
		/* Not by the flag, which may have been cleared. */
	} while (err == -EINTR && !__fatal_signal_pending(current));
	if (work)
		set_thread_flag(TIF_NOTIFY_SIGNAL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	/* Not before: a call that is on its way out may count on it, whoever took the signal. */
	if (wanted)
		set_thread_flag(TIF_SIGPENDING);
	return err;
}

/**
 * attachment_add() - attach a morsel to a mapping's address space
 * @att:	of attachment_alloc(), for this mapping
 * @vma:	the mapping
 * @made:	mmap() is making it; else it is, or will be, in the file's list
 *
 * Called with the mmap_lock held for writing.  Nothing is spliced yet.
 * Return: 0; -ENOMEM; -EINTR (a fatal signal).
 */
int attachment_add(struct attachment *att, struct vm_area_struct *vma, bool made)
{
	struct morsel *m = att->m;
	int err;

	att->made = made ? vma : NULL;
	refcount_set(&att->vmas, 1);
	att->space = space_get(vma->vm_mm);
	if (!att->space)
		return -ENOMEM;
	err = insert(att, vma->vm_mm);
	if (err == -EINTR)
		err = insert_undisturbed(att, vma->vm_mm);
	if (err) {
		space_put(att->space);
		return err;
	}
	atomic_inc(&m->attachments);
	space_add(att);
	return 0;
}

/**
 * attachment_create() - the same for one that is made here
 * @m:		the morsel
 * @vma:	the mapping
 * @made:	as above
 * Return: the attachment; ERR_PTR of what attachment_add() returns.
 */
struct attachment *attachment_create(struct morsel *m, struct vm_area_struct *vma, bool made)
{
	struct attachment *att = attachment_alloc(m, vma);
	int err;

	if (!att)
		return ERR_PTR(-ENOMEM);
	err = attachment_add(att, vma, made);
	if (err) {
		attachment_free(att);
		return ERR_PTR(err);
	}
	return att;
}

/*
 * Unmapping has taken everything out already, and the mapping off the file's list; one that
 * failed half-way has not.
 */
static void unsplice_rest(struct attachment *att)
{
	bool flush;

	spin_lock(&att->splices.lock);
	flush = unsplice_range(att, att->start, att->end, true);
	spin_unlock(&att->splices.lock);
	if (flush)
		flush_unspliced(att);
}

/**
 * attachment_destroy() - the last mapping of an attachment has gone
 * @att: the attachment
 */
void attachment_destroy(struct attachment *att)
{
	struct morsel *m = att->m;

	if (!att->ending)
		unsplice_rest(att);
	if (morsel_planted(PLANT_LOCK_ORDER)) {
		spin_lock(&att->notifier.mm->page_table_lock);
		spin_lock(&att->splices.lock);
		spin_unlock(&att->splices.lock);
		spin_unlock(&att->notifier.mm->page_table_lock);
	}
	space_remove(att);
	mmu_interval_notifier_remove(&att->notifier);
	space_put(att->space);
	if (att->devices)
		dec_tlb_flush_pending(att->notifier.mm);
	atomic_dec(&m->attachments);
	attachment_free(att);
	if (morsel_planted(PLANT_USE_AFTER_FREE))
		READ_ONCE(att->end);
}
