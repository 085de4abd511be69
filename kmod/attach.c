// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching morsels to address spaces.
 *
 * An attachment splices a morsel's tables into those of a process: where the
 * mapping covers a whole GiB, by one PUD entry that points to the morsel's PMD
 * table; where it covers part of one, by PMD entries that are copies of the
 * morsel's.  Frames that are added to the morsel later show up at once below
 * what is spliced; what is not spliced yet is spliced by the first fault.
 *
 * The kernel's own code must never walk shared tables to change them.  Whatever
 * is about to do so announces it to an MMU notifier (munmap, exit, madvise,
 * mremap, unmap_mapping_range()), or asks a function of ours first (mprotect,
 * splitting a mapping); we detach, and it finds private tables without entries.
 *
 * Code that only looks relies on one thing: an entry that points to a table does
 * so until nobody can be looking any more, which takes the mmap_lock for writing
 * or the end of the mapping.  So where there was nothing before, detaching leaves
 * an entry that points to a table of the module's without any, the same for all;
 * the entry is said to be parked.  What unmaps clears it, and keeps those out that
 * come by way of the file (walkers_keep_out()).  (For PMD entries that is so on
 * old kernels only, COMPAT_PMD_ENTRIES_GO.)  Nor may such an entry become a huge
 * leaf meanwhile: no private PTE table ever stands where one may be spliced, as
 * the kernel makes none in these mappings and neither do we.
 *
 * A fault, from entry to return: morsel_fault() has subtree.c put a frame into
 * the morsel, and splice_gib() puts the tables into the address space, where they
 * are not yet; again, if a notifier came in between.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/mm_inline.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include <asm/pgalloc.h>

#include "debug.h"
#include "morsel.h"
#include "trace.h"

/**
 * struct attached_gib - what is spliced into one GiB of addresses
 * @whole:	the PUD entry is ours; under the attachment's lock, as all here,
 *		but is_spliced() looks without
 * @parked:	the PUD entry is parked
 * @pmds:	if @whole, the private PMD table whose place that took, or
 *		NULL.  Kept, since another thread's fault may still stand in
 *		it
 * @slots:	if not @whole, the PMD entries that are ours
 * @parked_slots: the PMD entries that are parked
 */
struct attached_gib {
	bool whole;
	bool parked;
	struct page *pmds;
	DECLARE_BITMAP(slots, PTRS_PER_PMD);
	DECLARE_BITMAP(parked_slots, PTRS_PER_PMD);
};

/**
 * struct attachment - a morsel in an address space
 * @notifier:	tells of what is about to happen to the range
 * @list:	in the morsel's @attached, under its @attached_lock
 * @m:		the morsel; the file of the VMAs holds it
 * @start:	first address
 * @end:	address after the last
 * @pgoff:	page of the morsel at @start
 * @vmas:	VMAs that share this attachment: more than one after a split
 * @devices:	devices walk the address space's tables, too; under @lock
 * @flushing:	flushes after detaching that are not done yet; raised under
 *		@lock
 * @to_flush:	one of them is morsel_detach()'s; under the morsel's
 *		@attached_lock, as the next two
 * @made:	the VMA that mmap() made it for, as long as that lives; else NULL
 * @unlinked:	that was not in the file's list when it was detached last
 * @lock:	protects all below, and orders splicing against the notifier
 * @gibs:	struct attached_gib by address / 1 GiB, where anything was
 *		ever spliced
 */
struct attachment {
	struct mmu_interval_notifier notifier;
	struct list_head list;
	struct morsel *m;
	unsigned long start;
	unsigned long end;
	unsigned long pgoff;
	refcount_t vmas;
	bool devices;
	atomic_t flushing;
	bool to_flush;
	struct vm_area_struct *made;
	bool unlinked;
	spinlock_t lock;
	struct xarray gibs;
};

/* What parked entries point to: no entry of it is ever set. */
static struct page *parked_pmds;
static struct page *parked_ptes;

static unsigned long page_at(const struct vm_area_struct *vma, unsigned long addr)
{
	return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

/*
 * May address spaces share the morsel's PMD tables?  Generic code changes huge
 * leaves under the table's lock, or, where tables have none, under the address
 * space's: then a table with huge leaves must not be in several.  PTE tables may
 * always be shared, as who takes entries out knows how to wait (remove_again()).
 */
static bool may_share_table(const struct morsel *m)
{
	return COMPAT_PMD_TABLE_LOCKS || m->granule == MORSEL_GRANULE_4K;
}

/*
 * May the GiB at @base be spliced by one PUD entry?  Not if a neighbour may
 * share its PMD table, nor if the morsel's GiBs begin elsewhere.
 */
static bool covers_gib(const struct vm_area_struct *vma, unsigned long base)
{
	return may_share_table(file_morsel(vma->vm_file)) && vma->vm_start <= base &&
	       vma->vm_end - base >= PUD_SIZE && vma->vm_end > base &&
	       IS_ALIGNED(page_at(vma, base), GIB_PAGES);
}

static pud_t *find_pud(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	return pud_offset(p4d, addr);
}

static bool pmds_empty(pud_t pud)
{
	pmd_t *pmds = pud_pgtable(pud);
	int i;

	for (i = 0; i < PTRS_PER_PMD; i++)
		if (!pmd_none(READ_ONCE(pmds[i])))
			return false;
	return true;
}

/*
 * May somebody rely on a PMD entry after it was taken out, as it pointed to a table?
 * Then it is parked.
 */
static bool relied_on(pmd_t pmd)
{
	return !COMPAT_PMD_ENTRIES_GO && !(pmd_val(pmd) & _PAGE_PSE);
}

/* Splice a whole GiB.  Returns false where the place is not free. */
static bool splice_whole(struct attachment *att, struct attached_gib *gib, pud_t *pudp, pmd_t *pmds)
{
	struct mm_struct *mm = att->notifier.mm;
	bool free;

	if (gib->whole)
		return true;
	spin_lock(&mm->page_table_lock);
	free = pud_none(*pudp) ||
	       (bitmap_empty(gib->slots, PTRS_PER_PMD) &&
		bitmap_empty(gib->parked_slots, PTRS_PER_PMD) && pmds_empty(*pudp));
	if (free) {
		gib->pmds = pud_none(*pudp) || gib->parked ? NULL : pud_page(*pudp);
		gib->parked = false;
		WRITE_ONCE(gib->whole, true);
		set_pud(pudp, __pud(__pa(pmds) | _PAGE_TABLE));
	}
	spin_unlock(&mm->page_table_lock);
	return free;
}

/*
 * Splice what the morsel has of the slots from @start to before @end, all of
 * one GiB; -EBUSY: something that is not ours is at @addr.
 */
static int splice_slots(struct attachment *att, struct vm_area_struct *vma,
			struct attached_gib *gib, pud_t *pudp, unsigned long start,
			unsigned long end, unsigned long addr)
{
	enum morsel_view view = view_of(vma->vm_flags);
	struct mm_struct *mm = att->notifier.mm;
	spinlock_t *ptl;
	int err = 0;

	if (gib->whole || gib->parked || pud_none(*pudp))
		return 0;
	ptl = pmd_lock(mm, pmd_offset(pudp, start));
	for (; start < end; start += PMD_SIZE) {
		unsigned long page = page_at(vma, start), slot = pmd_index(start);
		pmd_t *pmdp = pmd_offset(pudp, start), pmd;

		if (page >= att->m->pages)
			break;
		pmd = morsel_slot(att->m, view, page / SLOT_PAGES);
		if (pmd_none(pmd) || test_bit(slot, gib->slots))
			continue;
		if (!pmd_none(*pmdp) && !test_bit(slot, gib->parked_slots)) {
			if (start == (addr & PMD_MASK))
				err = -EBUSY;
			continue;
		}
		if (relied_on(pmd))
			WRITE_ONCE(att->m->by_slots, true);
		set_pmd(pmdp, pmd);
		set_bit(slot, gib->slots);
		__clear_bit(slot, gib->parked_slots);
	}
	spin_unlock(ptl);
	return err;
}

/*
 * Is an address spliced?  Asked without the lock: who takes it out at this
 * moment makes the access fault again.
 */
static bool is_spliced(struct attachment *att, unsigned long addr)
{
	struct attached_gib *gib = xa_load(&att->gibs, addr >> PUD_SHIFT);

	return gib && (READ_ONCE(gib->whole) || test_bit(pmd_index(addr), gib->slots));
}

static struct attached_gib *make_gib(struct attachment *att, unsigned long addr)
{
	struct attached_gib *gib = xa_load(&att->gibs, addr >> PUD_SHIFT);

	if (gib)
		return gib;
	gib = kzalloc(sizeof(*gib), GFP_KERNEL_ACCOUNT);
	if (!gib)
		return NULL;
	switch (xa_insert(&att->gibs, addr >> PUD_SHIFT, gib, GFP_KERNEL_ACCOUNT)) {
	case 0:
		return gib;
	case -EBUSY: /* another thread's fault */
		kfree(gib);
		return xa_load(&att->gibs, addr >> PUD_SHIFT);
	default:
		kfree(gib);
		return NULL;
	}
}

/*
 * Splice all that the mapping and the morsel have of the GiB around @addr.  The
 * upper levels of tables exist.
 *
 * @seq:	from mmu_interval_read_begin().  Returns 0, -EAGAIN (the
 *		notifier came in between), -ENOMEM, -EBUSY.
 */
static int splice_gib(struct attachment *att, struct vm_area_struct *vma, unsigned long addr,
		      unsigned long seq)
{
	unsigned long base = addr & PUD_MASK, index;
	pud_t *pudp = find_pud(att->notifier.mm, addr);
	struct attached_gib *gib = make_gib(att, addr);
	pmd_t *pmds;
	int err = 0;

	if (!gib || !pudp)
		return -ENOMEM;

	spin_lock(&att->lock);
	if (mmu_interval_read_retry(&att->notifier, seq)) {
		err = -EAGAIN;
	} else {
		index = page_at(vma, base) / GIB_PAGES;
		pmds = covers_gib(vma, base) ? morsel_pmds(att->m, view_of(vma->vm_flags), index)
					     : NULL;
		if (!pmds || !splice_whole(att, gib, pudp, pmds))
			err = splice_slots(att, vma, gib, pudp, max(base, vma->vm_start),
					   min(base + PUD_SIZE - 1, vma->vm_end - 1) + 1, addr);
	}
	spin_unlock(&att->lock);
	return err;
}

/* Pages of the morsel that a mapping shows: it may go on beyond the end. */
static unsigned long pages_shown(const struct morsel *m, struct vm_area_struct *vma)
{
	return min(vma_pages(vma), m->pages - min(m->pages, vma->vm_pgoff));
}

/*
 * Splice all that the morsel has already into a new mapping, so that reading it
 * takes no fault.  What cannot be spliced now, for want of memory or of the upper
 * tables, is left to the first fault in its GiB.  (The only exported way to make
 * these, apply_to_page_range(), makes a PTE table, too, which has no place here.)
 */
static void splice_all(struct attachment *att, struct vm_area_struct *vma)
{
	unsigned long seq = mmu_interval_read_begin(&att->notifier), addr, next, spliced = 0;
	unsigned long end = vma->vm_start + (pages_shown(att->m, vma) << PAGE_SHIFT);
	enum morsel_view view = view_of(vma->vm_flags);

	for (addr = vma->vm_start; addr < end; addr = next) {
		unsigned long first = page_at(vma, addr), last;
		pud_t *pudp;

		next = min(end - 1, addr | ~PUD_MASK) + 1;
		last = page_at(vma, next - 1);
		if (!morsel_pmds(att->m, view, first / GIB_PAGES) &&
		    !morsel_pmds(att->m, view, last / GIB_PAGES))
			continue;

		pudp = find_pud(vma->vm_mm, addr);
		if (!pudp || (pud_none(*pudp) && !covers_gib(vma, addr)))
			continue;
		if (splice_gib(att, vma, addr, seq))
			break;
		spliced++;
	}
	trace_morsel_attach(att->m, vma->vm_start, vma->vm_end, spliced);
}

/* As detach_gib(), for the PUD entry. */
static bool detach_whole(struct attachment *att, struct attached_gib *gib, unsigned long base,
			 bool gone)
{
	struct mm_struct *mm = att->notifier.mm;
	struct page *table;
	pud_t *pudp;

	if (!gib->whole && !(gib->parked && gone))
		return false;
	pudp = find_pud(mm, base);
	table = gib->whole ? gib->pmds : NULL;
	gib->parked = !table && !gone;
	if (gib->parked)
		table = parked_pmds;
	spin_lock(&mm->page_table_lock);
	set_pud(pudp, table ? __pud(page_to_phys(table) | _PAGE_TABLE) : __pud(0));
	spin_unlock(&mm->page_table_lock);
	WRITE_ONCE(gib->whole, false);
	gib->pmds = NULL;
	return true;
}

/* As detach_gib(), for a PMD entry.  A huge leaf may vanish at any time. */
static void detach_slot(struct attached_gib *gib, unsigned long slot, pmd_t *pmdp, bool gone)
{
	bool park = relied_on(*pmdp) && !gone;

	__assign_bit(slot, gib->parked_slots, park);
	clear_bit(slot, gib->slots);
	set_pmd(pmdp, park ? __pmd(page_to_phys(parked_ptes) | _PAGE_TABLE) : __pmd(0));
}

/*
 * Take one GiB's splices, from @start to before @end, out again; returns how
 * many entries.
 *
 * @gone:	nobody can be looking; take parked entries out, too
 */
static unsigned long detach_gib(struct attachment *att, struct attached_gib *gib,
				unsigned long base, unsigned long start, unsigned long end,
				bool gone)
{
	struct mm_struct *mm = att->notifier.mm;
	unsigned long slot, last, entries = 0;
	spinlock_t *ptl;
	pud_t *pudp;

	/* The upper tables are sure to be there only while an entry below them is ours. */
	if (detach_whole(att, gib, base, gone))
		return 1;
	slot = start > base ? pmd_index(start) : 0;
	last = end - base < PUD_SIZE ? pmd_index(end - 1) : PTRS_PER_PMD - 1;
	if (find_next_bit(gib->slots, last + 1, slot) > last &&
	    (!gone || find_next_bit(gib->parked_slots, last + 1, slot) > last))
		return 0;

	pudp = find_pud(mm, base);
	ptl = pmd_lock(mm, pmd_offset(pudp, base));
	for (; slot <= last; slot++) {
		if (!test_bit(slot, gib->slots) && !(gone && test_bit(slot, gib->parked_slots)))
			continue;
		detach_slot(gib, slot, pmd_offset(pudp, base + slot * PMD_SIZE), gone);
		entries++;
	}
	spin_unlock(ptl);
	return entries;
}

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
 * detach_gib().
 */
static bool detach(struct attachment *att, unsigned long start, unsigned long end, bool gone)
{
	unsigned long index, entries = 0;
	struct attached_gib *gib;

	start = max(start, att->start);
	end = min(end, att->end);
	if (start >= end)
		return false;
	xa_for_each_range(&att->gibs, index, gib, start >> PUD_SHIFT, (end - 1) >> PUD_SHIFT)
		entries += detach_gib(att, gib, index << PUD_SHIFT, start, end, gone);
	return must_flush(att, start, end, entries);
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

	spin_lock(&att->lock);
	flush = detach(att, start, end, gone);
	spin_unlock(&att->lock);
	if (flush)
		detached(att);
	if (morsel_planted(PLANT_LOCK_ORDER)) {
		spin_lock(&att->notifier.mm->page_table_lock);
		spin_lock(&att->lock);
		spin_unlock(&att->lock);
		spin_unlock(&att->notifier.mm->page_table_lock);
	}
}

/*
 * A GiB will not be one VMA's any more, so it cannot be spliced as a whole.
 * What is spliced by slots stays.
 */
static void unsplice_whole(struct attachment *att, unsigned long base)
{
	struct attached_gib *gib;
	bool flush;

	walkers_keep_out(att->m);
	spin_lock(&att->lock);
	gib = xa_load(&att->gibs, base >> PUD_SHIFT);
	flush = must_flush(att, base, base + PUD_SIZE,
			   gib && detach_whole(att, gib, base, true));
	spin_unlock(&att->lock);
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
 * morsel_detach() - take all splices of a range of a morsel out again
 * @m:		the morsel
 * @start:	first byte
 * @end:	byte after the last
 *
 * Finds all attachments, also those of mappings that are just being made, which
 * unmap_mapping_range() does not know yet; when this returns, it does.  Nobody
 * uses what was spliced any more then.  However many address spaces there are,
 * each processor is interrupted once.
 */
void morsel_detach(struct morsel *m, loff_t start, loff_t end)
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
		spin_lock(&att->lock);
		att->to_flush = detach(att, att->start + (first - base),
				       att->start + (last - base), false);
		spin_unlock(&att->lock);
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
	spin_lock(&att->lock);
	mmu_interval_set_seq(notifier, seq);
	flush = detach(att, range->start, range->end, gone);
	/* Who begins to walk from here on finds nothing. */
	tell_devices(att);
	spin_unlock(&att->lock);
	if (gone)
		walkers_may_come(att->m);
	if (release)
		mmap_write_unlock(mm);
	if (flush)
		detached(att);
	return true;
}

static const struct mmu_interval_notifier_ops attachment_notifier_ops = {
	.invalidate = attachment_invalidate,
};

/* @made: mmap() is making the VMA; else it is, or will be, in the file's list. */
static struct attachment *attachment_create(struct morsel *m, struct vm_area_struct *vma, bool made)
{
	struct attachment *att = kzalloc(sizeof(*att), GFP_KERNEL_ACCOUNT);
	int err;

	if (!att)
		return ERR_PTR(-ENOMEM);
	att->m = m;
	att->start = vma->vm_start;
	att->end = vma->vm_end;
	att->pgoff = vma->vm_pgoff;
	att->made = made ? vma : NULL;
	refcount_set(&att->vmas, 1);
	spin_lock_init(&att->lock);
	xa_init(&att->gibs);
	err = mmu_interval_notifier_insert_locked(&att->notifier, vma->vm_mm, att->start,
						  att->end - att->start, &attachment_notifier_ops);
	if (err) {
		kfree(att);
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
	struct attached_gib *gib;
	unsigned long index;

	/*
	 * Unmapping has detached everything already; a mapping that failed
	 * half-way has not.
	 */
	detach_range(att, att->start, att->end, true);
	mutex_lock(&m->attached_lock);
	list_del(&att->list);
	mutex_unlock(&m->attached_lock);
	mmu_interval_notifier_remove(&att->notifier);
	if (att->devices)
		dec_tlb_flush_pending(att->notifier.mm);
	xa_for_each(&att->gibs, index, gib)
		kfree(gib);
	xa_destroy(&att->gibs);
	atomic_dec(&m->attachments);
	kfree(att);
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

static vm_fault_t morsel_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct attachment *att = vma->vm_private_data;
	unsigned long slot = vmf->pgoff / SLOT_PAGES, seq;
	int err;

	/* Without rights only a debugger comes here, and tables would serve the program, too. */
	if (vmf->pgoff >= file_morsel(vma->vm_file)->pages || !vma_is_accessible(vma))
		return VM_FAULT_SIGBUS;
	if (!att)
		return attach_late(vmf);

	count_fault(att->m);
	err = morsel_fill(att->m, vmf->pgoff);
	if (!err)
		err = morsel_mirror(att->m, view_of(vma->vm_flags), slot, slot + 1);
	/* Most often only the frame was missing. */
	if (!err && !is_spliced(att, vmf->address)) {
		do {
			seq = mmu_interval_read_begin(&att->notifier);
			err = splice_gib(att, vma, vmf->address, seq);
		} while (err == -EAGAIN && !fatal_signal_pending(current));
	}

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
	if (att && !IS_ALIGNED(addr, PUD_SIZE)) {
		vma_start_write(vma);
		unsplice_whole(att, addr & PUD_MASK);
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
		 !morsel_mirror(m, view_of(vma->vm_flags), vma->vm_pgoff / SLOT_PAGES,
				DIV_ROUND_UP(vma->vm_pgoff + pages_shown(m, vma), SLOT_PAGES));

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
 * The place is aligned so that as much as possible is spliced by GiBs.  Here is
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

	for (align = len >= PUD_SIZE ? PUD_SIZE : PMD_SIZE;; align = PMD_SIZE) {
		if (len + align < len)
			return -ENOMEM;
		found = compat_get_unmapped_area(file, 0, len + align - PAGE_SIZE, 0, flags);
		if (!IS_ERR_VALUE(found))
			return found + ((offset - found) & (align - 1));
		if (align == PMD_SIZE)
			return found;
	}
}

/**
 * morsel_attach_init() - make what all attachments share
 * Return: 0 or -ENOMEM.
 */
int morsel_attach_init(void)
{
	parked_pmds = morsel_table_make(alloc_page(GFP_KERNEL | __GFP_ZERO));
	parked_ptes = morsel_table_make(alloc_page(GFP_KERNEL | __GFP_ZERO));
	if (parked_pmds && parked_ptes)
		return 0;
	morsel_attach_exit();
	return -ENOMEM;
}

/* A table that was parked: somebody may have taken it for one of their own. */
static void parked_free(struct page *table)
{
	if (!table)
		return;
	WARN(memchr_inv(page_address(table), 0, PAGE_SIZE),
	     "morsel: something was written to a table that is shared by all\n");
	morsel_table_free(table);
}

/**
 * morsel_attach_exit() - no attachment is left
 */
void morsel_attach_exit(void)
{
	parked_free(parked_pmds);
	parked_free(parked_ptes);
}
