// SPDX-License-Identifier: GPL-2.0
/*
 * Splicing: what of a morsel stands in an address space's tables.
 *
 * A morsel's tables are spliced at the highest level that fits: by one P4D entry for
 * 512 GiB, by one PUD entry for a GiB, or by PMD entries that are copies of the
 * morsel's.  Frames that are added to the morsel later show up at once below what
 * is spliced; what is not spliced yet is spliced by the first fault.
 *
 * The kernel's own code must never walk shared tables to change them.  Whatever
 * is about to do so announces it to an MMU notifier (munmap, exit, madvise,
 * mremap, unmap_mapping_range()), or asks a function of ours first (mprotect,
 * splitting a mapping); we take out what we spliced, and it finds private tables
 * without entries.
 *
 * Code that only looks relies on one thing: an entry that points to a table does
 * so until nobody can be looking any more, which takes the mmap_lock for writing
 * or the end of the mapping.  So an entry that is taken out is left pointing to a
 * table that shows nothing, the same for all; it is said to be parked.  What unmaps
 * puts back what was there before, a private table or nothing, and keeps those out
 * that come by way of the file (walkers_keep_out()).  (For PMD entries that is so on
 * old kernels only, COMPAT_PMD_ENTRIES_GO.)  Nor may such an entry become a huge leaf
 * meanwhile: no private PTE table stands where one may be spliced, as the
 * kernel makes none there and neither do we, but that mremap() may bring one along: where one is
 * found, nothing is spliced any more (struct attached_gib).
 *
 * A fault makes tables where it finds an empty entry.  So no PUD table that is
 * shared has one (table.h); and PMD tables may, as a fault asks us for what it puts
 * into those.
 *
 * An entry that pointed to a table that shows nothing, or to a private one without
 * entries, points to another at once.  A processor may remember what it pointed to, and
 * fault for it: at the end of the fault it is made to forget (morsel_forget_here()).  That
 * does not reach devices that walk the tables.  For them, what is put where nothing was, which
 * nobody remembers, are PMD entries alone; and what is parked is taken out first, and
 * flushed.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include <asm/cpufeature.h>

#include "attach/attach.h"
#include "trace.h"

/* A fault splices what there is of so many GiBs around it. */
#define AROUND_SIZE (64 * PUD_SIZE)

/*
 * May P4D entries be spliced?  With four levels these are the PGD's, of which page-table
 * isolation keeps a second copy that modules cannot write.
 */
bool splices_tops(void)
{
	return pgtable_l5_enabled() || !boot_cpu_has(X86_FEATURE_PTI);
}

/**
 * attachment_alloc() - memory for an attachment with nothing spliced
 * @m:		the morsel
 * @vma:	its mapping
 * Return: the attachment, zeroed but for what these tell and @splices; or NULL.
 */
struct attachment *attachment_alloc(struct morsel *m, struct vm_area_struct *vma)
{
	/* Behind the longest that a morsel may become nothing is ever spliced. */
	unsigned long pages = MORSEL_MAX_PAGES - min(MORSEL_MAX_PAGES, vma->vm_pgoff);
	unsigned long end = vma->vm_start + (min(pages, vma_pages(vma)) << PAGE_SHIFT);
	unsigned long first_gib = vma->vm_start >> PUD_SHIFT;
	unsigned long nr_gibs = DIV_ROUND_UP(end, PUD_SIZE) - first_gib;
	unsigned long first_top = DIV_ROUND_UP(vma->vm_start, TOP_SIZE);
	unsigned long end_top = min(vma->vm_end, (first_gib + nr_gibs) << PUD_SHIFT) >> TOP_SHIFT;
	unsigned long nr_tops = splices_tops() && end_top > first_top ? end_top - first_top : 0;
	unsigned long longs = BITS_TO_LONGS(nr_gibs);
	struct attachment *att;

	att = kvzalloc(sizeof(*att) + 2 * longs * sizeof(long) +
			       nr_tops * sizeof(*att->splices.tops),
		       GFP_KERNEL_ACCOUNT);
	if (!att)
		return NULL;
	att->m = m;
	att->view = file_view(vma->vm_file);
	att->start = vma->vm_start;
	att->end = vma->vm_end;
	att->pgoff = vma->vm_pgoff;
	att->splices.first_gib = first_gib;
	att->splices.nr_gibs = nr_gibs;
	att->splices.whole = (unsigned long *)(att + 1);
	att->splices.parked = att->splices.whole + longs;
	att->splices.first_top = first_top;
	att->splices.nr_tops = nr_tops;
	att->splices.tops = (struct attached_top *)(att->splices.parked + longs);
	spin_lock_init(&att->splices.lock);
	xa_init(&att->splices.gibs);
	return att;
}

/**
 * attachment_free() - free an attachment that has nothing spliced
 * @att: from attachment_alloc()
 */
void attachment_free(struct attachment *att)
{
	struct attached_gib *gib;
	unsigned long index;

	xa_for_each(&att->splices.gibs, index, gib)
		kfree(gib);
	xa_destroy(&att->splices.gibs);
	kvfree(att);
}

/* The tables whose rights a mapping has; it has asked the view to show something there. */
static struct tableset *shown(const struct attachment *att, const struct vm_area_struct *vma)
{
	return att->view->ops->tables(att->view, rights_of(vma->vm_flags));
}

/* That of an address beyond the last is none of the bits. */
static unsigned long gib_bit(const struct splices *s, unsigned long addr)
{
	return (addr >> PUD_SHIFT) - s->first_gib;
}

/* The 512 GiB around an address; NULL: the attachment has not all of them. */
static struct attached_top *top_at(const struct splices *s, unsigned long addr)
{
	unsigned long top = (addr >> TOP_SHIFT) - s->first_top;

	return top < s->nr_tops ? &s->tops[top] : NULL;
}

/*
 * May address spaces share the morsel's PMD tables?  Generic code changes huge
 * leaves under the table's lock, or, where tables have none, under the address
 * space's: then a table with huge leaves must not be in several.  PTE tables may
 * always be shared, as who takes entries out knows how to wait (tables_settle()).
 */
static bool may_share_table(const struct morsel *m)
{
	return COMPAT_PMD_TABLE_LOCKS || m->map.granule == MORSEL_GRANULE_4K;
}

/*
 * May what is at @base be spliced by one entry that maps @size?  Not if a neighbour
 * may share the table, nor if the morsel's tables begin elsewhere, nor if a device may remember
 * what stands there.
 */
static bool covers(const struct vm_area_struct *vma, unsigned long base, unsigned long size)
{
	return may_share_table(file_morsel(vma->vm_file)) && !compat_devices_walk(vma->vm_mm) &&
	       vma->vm_start <= base && vma->vm_end > base && vma->vm_end - base >= size &&
	       IS_ALIGNED(page_at(vma, base), size >> PAGE_SHIFT);
}

static p4d_t *find_p4d(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);

	return pgd_none(*pgd) ? NULL : p4d_offset(pgd, addr);
}

static pud_t *find_pud(struct mm_struct *mm, unsigned long addr)
{
	p4d_t *p4d = find_p4d(mm, addr);

	return !p4d || p4d_none(*p4d) ? NULL : pud_offset(p4d, addr);
}

/* The private PUD entry of an address; NULL: there is none. */
static pud_t *private_pud(struct attachment *att, unsigned long addr)
{
	struct attached_top *top = top_at(&att->splices, addr);

	return top && (top->whole || top->parked) ? NULL : find_pud(att->notifier.mm, addr);
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

/* Is any span of a GiB mapped page by page? */
static bool has_paged(const struct splices *s, unsigned long addr)
{
	const struct attached_gib *gib = xa_load((struct xarray *)&s->gibs, addr >> PUD_SHIFT);

	return gib && !bitmap_empty(gib->paged, PTRS_PER_PMD);
}

/* Does a private PUD table hold nothing but parked entries and empty tables? */
static bool puds_empty(const struct splices *s, unsigned long base, p4d_t p4d)
{
	pud_t *puds = p4d_pgtable(p4d);
	unsigned long bit = gib_bit(s, base);
	int i;

	for (i = 0; i < PTRS_PER_PUD; i++, bit++) {
		pud_t pud = READ_ONCE(puds[i]);

		if (pud_none(pud) || test_bit(bit, s->parked))
			continue;
		if (test_bit(bit, s->whole) || !pmds_empty(pud) ||
		    has_paged(s, base + i * PUD_SIZE))
			return false;
	}
	return true;
}

/*
 * An upper entry, whatever its level.  Not by set_p4d(), which with page-table isolation
 * compiled in wants what is not exported: splices_tops() has seen that it is off.
 */
static void set_upper(void *entry, const void *table)
{
	WRITE_ONCE(*(unsigned long *)entry, table ? table_entry(table) : 0);
}

/*
 * Splice the 512 GiB around an address by one entry.  False: they are not the
 * mapping's as a whole, or the morsel has nothing of them.
 */
static bool splice_top(struct attachment *att, struct vm_area_struct *vma, struct tableset *set,
		       unsigned long addr)
{
	struct attached_top *top = top_at(&att->splices, addr);
	struct mm_struct *mm = att->notifier.mm;
	unsigned long base = addr & TOP_MASK;
	p4d_t *p4dp;
	pud_t *puds;
	bool free;

	if (!top)
		return false;
	if (top->whole)
		return true;
	if (!covers(vma, base, TOP_SIZE))
		return false;
	puds = tableset_puds(set, page_at(vma, base) / TOP_PAGES);
	p4dp = find_p4d(mm, base);
	if (!puds || !p4dp)
		return false;

	spin_lock(&mm->page_table_lock);
	free = p4d_none(*p4dp) || top->parked || puds_empty(&att->splices, base, *p4dp);
	if (free) {
		if (!top->parked && !p4d_none(*p4dp))
			top->kept = virt_to_page(p4d_pgtable(*p4dp));
		top->parked = false;
		WRITE_ONCE(top->whole, true);
		set_upper(p4dp, puds);
	}
	spin_unlock(&mm->page_table_lock);
	return free;
}

/* Keep a private PMD table whose place is to be taken; false: it is in use. */
static bool keep_pmds(struct splices *s, unsigned long addr, pud_t pud)
{
	struct attached_gib *gib = xa_load(&s->gibs, addr >> PUD_SHIFT);

	if (!gib || !bitmap_empty(gib->entries, PTRS_PER_PMD) ||
	    !bitmap_empty(gib->parked, PTRS_PER_PMD) || !bitmap_empty(gib->paged, PTRS_PER_PMD) ||
	    !pmds_empty(pud))
		return false;
	gib->kept = pud_page(pud);
	return true;
}

/*
 * Splice what the morsel has of whole GiBs from @start to before @end, all of one
 * PUD table.  Returns how many there were.
 */
static unsigned long splice_gibs(struct attachment *att, struct vm_area_struct *vma,
				 struct tableset *set, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = att->notifier.mm;
	struct splices *s = &att->splices;
	unsigned long gibs = tableset_gibs(set), gib, bit, spliced = 0;
	pmd_t *pmds;
	pud_t *pudp;

	start = ALIGN(start, PUD_SIZE);
	end &= PUD_MASK;
	if (start >= end || !covers(vma, start, PUD_SIZE))
		return 0;
	pudp = private_pud(att, start);
	if (!pudp)
		return 0;

	gib = page_at(vma, start) / GIB_PAGES;
	bit = gib_bit(s, start);
	spin_lock(&mm->page_table_lock);
	for (; start < end && gib < gibs; start += PUD_SIZE, gib++, bit++, pudp++) {
		if (test_bit(bit, s->whole))
			continue;
		pmds = tableset_pmds(set, gib);
		if (!pmds)
			continue;
		if (test_bit(bit, s->parked))
			clear_bit(bit, s->parked);
		else if (!pud_none(*pudp) && !keep_pmds(s, start, *pudp))
			continue;
		set_bit(bit, s->whole);
		set_upper(pudp, pmds);
		spliced++;
	}
	spin_unlock(&mm->page_table_lock);
	return spliced;
}

/*
 * Splice by PMD entries what the mapping and the morsel have of the GiB around @addr.
 * -EBUSY: the place for @addr itself is not free.
 */
static int splice_entries(struct attachment *att, struct vm_area_struct *vma, struct tableset *set,
			  struct attached_gib *gib, unsigned long addr)
{
	unsigned long start = ALIGN(max(addr & PUD_MASK, vma->vm_start), PMD_SIZE);
	unsigned long end = (min((addr & PUD_MASK) + PUD_SIZE - 1, vma->vm_end - 1) + 1) & PMD_MASK;
	unsigned long bit = gib_bit(&att->splices, addr);
	pud_t *pudp = private_pud(att, addr);
	spinlock_t *ptl;
	int err = 0;

	/* What is parked was covered, and the walk that led here has made private tables. */
	if (WARN_ON_ONCE(test_bit(bit, att->splices.whole) || test_bit(bit, att->splices.parked) ||
			 !pudp || pud_none(*pudp)))
		return -EBUSY;
	if (start >= end)
		return 0;
	ptl = pmd_lock(att->notifier.mm, pmd_offset(pudp, start));
	for (; start < end; start += PMD_SIZE) {
		unsigned long page = page_at(vma, start), entry = pmd_index(start);
		pmd_t *pmdp = pmd_offset(pudp, start), pmd;

		if (page >= map_pages(&att->m->map))
			break;
		pmd = tableset_span(set, page / SPAN_PAGES);
		if (pmd_none(pmd) || test_bit(entry, gib->entries))
			continue;
		if (!pmd_none(*pmdp) && !test_bit(entry, gib->parked))
			__set_bit(entry, gib->paged);
		if (test_bit(entry, gib->paged)) {
			if (start == (addr & PMD_MASK))
				err = -EBUSY;
			continue;
		}
		if (compat_relied_on(pmd))
			WRITE_ONCE(set->relied_on, true);
		set_pmd(pmdp, pmd);
		set_bit(entry, gib->entries);
		__clear_bit(entry, gib->parked);
	}
	spin_unlock(ptl);
	return err;
}

/**
 * is_spliced() - is there an entry of ours for an address?
 * @att:	the attachment
 * @addr:	the address
 *
 * Asked without the lock: who takes it out at this moment makes the access fault
 * again.
 * Return: whether there is.
 */
bool is_spliced(struct attachment *att, unsigned long addr)
{
	struct attached_top *top = top_at(&att->splices, addr);
	struct attached_gib *gib;

	if ((top && READ_ONCE(top->whole)) ||
	    test_bit(gib_bit(&att->splices, addr), att->splices.whole))
		return true;
	gib = xa_load(&att->splices.gibs, addr >> PUD_SHIFT);
	return gib && test_bit(pmd_index(addr), gib->entries);
}

/**
 * is_huge_leaf() - is what a fault was taken for mapped by a huge leaf?
 * @vmf: what the kernel knows of it
 * Return: whether it was when it looked.
 */
bool is_huge_leaf(const struct vm_fault *vmf)
{
	return pmd_trans_huge(vmf->orig_pmd);
}

/* Make what a GiB needs that is not spliced as a whole, or was not free. */
static int make_gib(struct splices *s, unsigned long addr)
{
	struct attached_gib *gib = kzalloc(sizeof(*gib), GFP_KERNEL_ACCOUNT);
	int err;

	if (!gib)
		return -ENOMEM;
	err = xa_insert(&s->gibs, addr >> PUD_SHIFT, gib, GFP_KERNEL_ACCOUNT);
	if (err)
		kfree(gib);
	/* Another thread's fault may have been first. */
	return err == -EBUSY ? 0 : err;
}

/* Is an upper entry for an address parked, that a device may remember? */
static bool is_stuck(struct attachment *att, const struct attached_gib *gib, unsigned long addr)
{
	struct attached_top *top = top_at(&att->splices, addr);

	return compat_devices_walk(att->notifier.mm) &&
	       ((top && top->parked) ||
		test_bit(gib_bit(&att->splices, addr), att->splices.parked) ||
		(gib && test_bit(pmd_index(addr), gib->parked)));
}

/* Not while the morsel is being cloned, nor what others have where the kernel would not ask before writing. */
static bool may_splice(const struct attachment *att, const struct vm_area_struct *vma)
{
	return !READ_ONCE(att->m->map.still) && !cow_is_due(vma);
}

/* As splice_around(), with the lock held; -ENOENT: a struct attached_gib is needed. */
static int splice_locked(struct attachment *att, struct vm_area_struct *vma, struct tableset *set,
			 unsigned long addr)
{
	unsigned long start = max(round_down(addr, AROUND_SIZE), vma->vm_start);
	unsigned long end = min(round_down(addr, AROUND_SIZE) + AROUND_SIZE - 1, vma->vm_end - 1) +
			    1;
	struct attached_gib *gib;

	if (splice_top(att, vma, set, addr))
		return 0;
	splice_gibs(att, vma, set, start, end);
	if (test_bit(gib_bit(&att->splices, addr), att->splices.whole))
		return 0;
	gib = xa_load(&att->splices.gibs, addr >> PUD_SHIFT);
	if (is_stuck(att, gib, addr))
		return -ESTALE;
	return gib ? splice_entries(att, vma, set, gib, addr) : -ENOENT;
}

/**
 * splice_around() - splice what the mapping and the morsel have around an address
 * @att:	the attachment
 * @vma:	the mapping, or a part of it that a split made
 * @addr:	the address, of which the morsel has a page; upper tables exist
 * @seq:	from mmu_interval_read_begin()
 * Return: 0; -EAGAIN (the notifier came in between), -ENOMEM, -EBUSY; -EXDEV: the morsel is being cloned,
 * or was, and the mapping is not ready for that; -ESTALE: what is parked
 * there is to be taken out first, and flushed, as devices walk the tables.
 */
int splice_around(struct attachment *att, struct vm_area_struct *vma, unsigned long addr,
		  unsigned long seq)
{
	struct tableset *set = shown(att, vma);
	struct splices *s = &att->splices;
	int err;

	do {
		spin_lock(&s->lock);
		if (mmu_interval_read_retry(&att->notifier, seq))
			err = -EAGAIN;
		else if (!may_splice(att, vma))
			err = -EXDEV;
		else
			err = splice_locked(att, vma, set, addr);
		spin_unlock(&s->lock);
		if (err != -ENOENT)
			return err;
		err = make_gib(s, addr);
	} while (!err);
	return err;
}

/* Does the morsel have anything of what a mapping shows of the GiB around an address? */
static bool shows_any(struct vm_area_struct *vma, const struct tableset *set, unsigned long addr,
		      unsigned long end)
{
	unsigned long last = min(end - 1, addr | ~PUD_MASK);

	return tableset_has_gib(set, page_at(vma, addr) / GIB_PAGES) ||
	       tableset_has_gib(set, page_at(vma, last) / GIB_PAGES);
}

/*
 * Splice by PMD entries what a new mapping has of GiBs that it does not cover, from @start to
 * before @end.  Where the upper tables are missing, that is left to the first fault.  (The
 * only exported way to make these, apply_to_page_range(), makes a PTE table, too, which
 * has no place here.)  Returns how many GiBs there were.
 */
static unsigned long splice_rest(struct attachment *att, struct vm_area_struct *vma,
				 const struct tableset *set, unsigned long start, unsigned long end,
				 unsigned long seq)
{
	unsigned long next, spliced = 0;
	pud_t *pudp;

	for (; start < end; start = next) {
		next = min(end - 1, start | ~PUD_MASK) + 1;
		if (covers(vma, start & PUD_MASK, PUD_SIZE)) {
			/* And so it does all up to its last one. */
			next = max(next, end & PUD_MASK);
			continue;
		}
		if (!shows_any(vma, set, start, end))
			continue;
		pudp = private_pud(att, start);
		if (pudp && !pud_none(*pudp) && !splice_around(att, vma, start, seq))
			spliced++;
	}
	return spliced;
}

/* Splice a new mapping's part from @start on that one PUD table maps; -EAGAIN. */
static long splice_new(struct attachment *att, struct vm_area_struct *vma, struct tableset *set,
		       unsigned long start, unsigned long seq)
{
	unsigned long end = min(vma->vm_end - 1, start | ~TOP_MASK) + 1;
	struct splices *s = &att->splices;
	long spliced = -EAGAIN;

	spin_lock(&s->lock);
	if (!mmu_interval_read_retry(&att->notifier, seq) && may_splice(att, vma))
		spliced = splice_top(att, vma, set, start) ? 1
							   : splice_gibs(att, vma, set, start, end);
	spin_unlock(&s->lock);
	return spliced;
}

/**
 * splice_all() - splice all that the morsel has already into a new mapping
 * @att:	its attachment
 * @vma:	the mapping
 *
 * So reading it takes no fault.  What cannot be spliced now, for want of memory or of
 * upper tables, is left to the first fault.
 */
void splice_all(struct attachment *att, struct vm_area_struct *vma)
{
	unsigned long seq = mmu_interval_read_begin(&att->notifier), addr, next, entries = 0;
	unsigned long most = map_pages(&att->m->map);
	unsigned long pages = most - min(most, vma->vm_pgoff);
	struct tableset *set = shown(att, vma);
	unsigned long end = vma->vm_start + (min(vma_pages(vma), pages) << PAGE_SHIFT);

	for (addr = vma->vm_start; addr < end; addr = next) {
		long spliced = splice_new(att, vma, set, addr, seq);

		if (spliced < 0)
			break;
		next = min(end - 1, addr | ~TOP_MASK) + 1;
		entries += spliced + splice_rest(att, vma, set, addr, next, seq);
		cond_resched();
	}
	trace_morsel_attach(att->m, vma->vm_start, vma->vm_end, entries);
}

/* As unsplice(), for 512 GiB. */
static bool unsplice_top(struct attachment *att, unsigned long addr, bool gone)
{
	struct attached_top *top = top_at(&att->splices, addr);
	struct mm_struct *mm = att->notifier.mm;
	struct page *table = morsel_no_puds;

	if (!top || (!top->whole && !(top->parked && gone)))
		return false;
	if (gone) {
		table = top->kept;
		top->kept = NULL;
	}
	top->parked = !gone;
	spin_lock(&mm->page_table_lock);
	set_upper(find_p4d(mm, addr), table ? page_address(table) : NULL);
	spin_unlock(&mm->page_table_lock);
	WRITE_ONCE(top->whole, false);
	return true;
}

/* As unsplice(), for a GiB as a whole. */
static bool unsplice_gib(struct attachment *att, unsigned long addr, bool gone)
{
	struct splices *s = &att->splices;
	struct mm_struct *mm = att->notifier.mm;
	struct page *table = morsel_no_pmds;
	unsigned long bit = gib_bit(s, addr);
	struct attached_gib *gib;

	if (!test_bit(bit, s->whole) && !(test_bit(bit, s->parked) && gone))
		return false;
	if (gone) {
		gib = xa_load(&s->gibs, addr >> PUD_SHIFT);
		table = gib ? gib->kept : NULL;
		if (gib)
			gib->kept = NULL;
	}
	__assign_bit(bit, s->parked, !gone);
	spin_lock(&mm->page_table_lock);
	set_upper(find_pud(mm, addr), table ? page_address(table) : NULL);
	spin_unlock(&mm->page_table_lock);
	clear_bit(bit, s->whole);
	return true;
}

/* As unsplice(), for a PMD entry.  A huge leaf may vanish at any time. */
static void unsplice_entry(struct attached_gib *gib, unsigned long entry, pmd_t *pmdp, bool gone)
{
	bool park = compat_relied_on(*pmdp) && !gone;

	__assign_bit(entry, gib->parked, park);
	clear_bit(entry, gib->entries);
	set_upper(pmdp, park ? page_address(morsel_no_ptes) : NULL);
}

/* As unsplice(), for the PMD entries of the GiB at @base. */
static unsigned long unsplice_entries(struct attachment *att, struct attached_gib *gib,
				      unsigned long base, unsigned long start, unsigned long end,
				      bool gone)
{
	struct mm_struct *mm = att->notifier.mm;
	unsigned long entry, last, entries = 0;
	spinlock_t *ptl;
	pud_t *pudp;

	/* The upper tables are sure to be there only while an entry below them is ours. */
	entry = start > base ? pmd_index(start) : 0;
	last = end - base < PUD_SIZE ? pmd_index(end - 1) : PTRS_PER_PMD - 1;
	if (find_next_bit(gib->entries, last + 1, entry) > last &&
	    (!gone || find_next_bit(gib->parked, last + 1, entry) > last))
		return 0;

	pudp = find_pud(mm, base);
	ptl = pmd_lock(mm, pmd_offset(pudp, base));
	for (; entry <= last; entry++) {
		if (!test_bit(entry, gib->entries) && !(gone && test_bit(entry, gib->parked)))
			continue;
		unsplice_entry(gib, entry, pmd_offset(pudp, base + entry * PMD_SIZE), gone);
		entries++;
	}
	spin_unlock(ptl);
	return entries;
}

/**
 * unsplice() - take out again what is spliced in a range
 * @att:	the attachment
 * @start:	first address
 * @end:	address after the last
 * @gone:	nobody can be looking; take parked entries out, too
 *
 * Called with the splices' lock held.  What is spliced by one entry is taken out as a
 * whole, also where the range has only a part of it.
 * Return: how many entries there were.
 */
unsigned long unsplice(struct attachment *att, unsigned long start, unsigned long end, bool gone)
{
	struct splices *s = &att->splices;
	unsigned long bits = min(gib_bit(s, end - 1) + 1, s->nr_gibs);
	unsigned long addr, bit, index, entries = 0;
	struct attached_gib *gib;

	/* These first: private tables may stand behind them. */
	for (addr = start & TOP_MASK; s->nr_tops && addr < end; addr += TOP_SIZE)
		entries += unsplice_top(att, addr, gone);

	bit = gib_bit(s, start);
	for_each_set_bit_from(bit, s->whole, bits)
		entries += unsplice_gib(att, (s->first_gib + bit) << PUD_SHIFT, gone);
	bit = gone ? gib_bit(s, start) : bits;
	for_each_set_bit_from(bit, s->parked, bits)
		entries += unsplice_gib(att, (s->first_gib + bit) << PUD_SHIFT, true);

	xa_for_each_range(&s->gibs, index, gib, start >> PUD_SHIFT, (end - 1) >> PUD_SHIFT)
		entries += unsplice_entries(att, gib, index << PUD_SHIFT, start, end, gone);
	return entries;
}

/**
 * may_cross() - may an entry of ours map what lies on both sides of an address?
 * @att:	the attachment
 * @addr:	the address
 * Return: whether.
 */
bool may_cross(const struct attachment *att, unsigned long addr)
{
	return !IS_ALIGNED(addr, PUD_SIZE) ||
	       (!IS_ALIGNED(addr, TOP_SIZE) && top_at(&att->splices, addr));
}

/**
 * unsplice_at() - take out what is spliced, or parked, across an address
 * @att:	the attachment
 * @addr:	where it is being split; nobody can be looking there
 *
 * Called with the splices' lock held.
 * Return: how many entries there were.
 */
unsigned long unsplice_at(struct attachment *att, unsigned long addr)
{
	unsigned long span = addr & PMD_MASK, entries = 0;
	struct attached_gib *gib;

	if (!IS_ALIGNED(addr, TOP_SIZE))
		entries += unsplice_top(att, addr, true);
	if (!IS_ALIGNED(addr, PUD_SIZE) && gib_bit(&att->splices, addr) < att->splices.nr_gibs)
		entries += unsplice_gib(att, addr, true);
	gib = xa_load(&att->splices.gibs, addr >> PUD_SHIFT);
	if (gib && !IS_ALIGNED(addr, PMD_SIZE))
		entries += unsplice_entries(att, gib, addr & PUD_MASK, span, span + PMD_SIZE, true);
	return entries;
}
