// SPDX-License-Identifier: GPL-2.0
/*
 * A morsel's subtree of the page tables, and the frames it maps.
 *
 * The truth is one PMD table per GiB, whose entries are huge leaves or point to
 * PTE tables.  Entries are added by cmpxchg, by many at once, with the morsel's
 * sem held for reading; they are removed with it held for writing.  Tables stay
 * until the morsel goes, so looking for holes takes no lock.  PUD entries point to
 * the PMD tables, those of 512 GiB in a table that can be spliced, too.
 *
 * A twin shows the same frames with other rights.  It is a cache: what it shows
 * is true, but it may lack what was added to the truth since it was last filled
 * (morsel_mirror()); a fault then fills it.  So adding an entry costs the same
 * however many twins there are.
 *
 * Leaves are written without the kernel's set_pte_at() and friends: these
 * account for mappings of a page in one address space, and a shared table
 * belongs to none.
 */
#include <linux/hash.h>
#include <linux/highmem.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "attach/attach.h"
#include "debug/debug.h"
#include "map/map.h"
#include "pools/account.h"
#include "pools/batch.h"
#include "pools/frame.h"
#include "pools/pool.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Frames that are populated by one call of the pool. */
#define BULK SPAN_PAGES
/* And those that a fault gets by one call: their array is on the stack. */
#define FAULT_BULK 32

static pgprot_t rights_prot(enum morsel_rights rights)
{
	bool write = rights == RIGHTS_RW || rights == RIGHTS_RWX;
	bool exec = rights == RIGHTS_RWX || rights == RIGHTS_ROX;
	pgprot_t prot = vm_get_page_prot(VM_SHARED | VM_READ | (write ? VM_WRITE : 0) |
					 (exec ? VM_EXEC : 0));

	/*
	 * Dirty from the start, so that no processor has to write to a shared
	 * table; never dirty and read-only, which means shadow stack.
	 */
	return write ? __pgprot(pgprot_val(prot) | _PAGE_DIRTY) : prot;
}

static pte_t pte_leaf(struct page *page, enum morsel_rights rights)
{
	return pfn_pte(page_to_pfn(page), rights_prot(rights));
}

static pmd_t pmd_leaf_entry(struct page *page, enum morsel_rights rights)
{
	return pmd_mkhuge(pfn_pmd(page_to_pfn(page), rights_prot(rights)));
}

static pmd_t pmd_table_entry(struct page *table)
{
	return __pmd(page_to_phys(table) | _PAGE_TABLE);
}

static bool pmd_is_leaf(pmd_t pmd)
{
	return pmd_val(pmd) & _PAGE_PSE;
}

static pte_t *pmd_ptes(pmd_t pmd)
{
	return (pte_t *)pmd_page_vaddr(pmd);
}

/* Add an entry where there is none; false if somebody else was first. */
static bool pmd_add(pmd_t *pmdp, pmd_t pmd)
{
	return !cmpxchg((pmdval_t *)pmdp, 0, pmd_val(pmd));
}

static bool pte_add(pte_t *ptep, pte_t pte)
{
	return !cmpxchg((pteval_t *)ptep, 0, pte_val(pte));
}

static struct page *table_get(struct morsel *m)
{
	struct page *table = account_take_table(m->account);

	if (table)
		atomic_long_inc(&m->nr_tables);
	return table;
}

static void table_put(struct morsel *m, struct page *table)
{
	account_give_table(m->account, table);
	atomic_long_dec(&m->nr_tables);
}

static unsigned long nr_tops(unsigned long gibs)
{
	return DIV_ROUND_UP(gibs, TOP_GIBS);
}

/* PUD entries that a morsel of so many GiBs has in a top: all but the last are full. */
static unsigned int top_entries(unsigned long gibs, unsigned long top)
{
	return min(gibs - top * TOP_GIBS, TOP_GIBS);
}

/**
 * morsel_puds() - the PUD table of 512 GiB, to be spliced
 * @m:		the morsel
 * @rights:	the rights
 * @top:	which 512 GiB
 * Return: the table; NULL: there is none yet, or the morsel ends before.
 */
pud_t *morsel_puds(struct morsel *m, enum morsel_rights rights, unsigned long top)
{
	unsigned long gibs = morsel_gibs(m);

	return top < gibs / TOP_GIBS ? morsel_top(m, rights, top) : NULL;
}

/* Where a span's PMD entry is; NULL where there is no table yet. */
static pmd_t *span_entry(struct morsel *m, enum morsel_rights rights, unsigned long span)
{
	pmd_t *pmds = morsel_pmds(m, rights, span / GIB_SPANS);

	return pmds ? &pmds[span % GIB_SPANS] : NULL;
}

static pmd_t read_span(struct morsel *m, enum morsel_rights rights, unsigned long span)
{
	pmd_t *pmdp = span_entry(m, rights, span);

	return pmdp ? READ_ONCE(*pmdp) : __pmd(0);
}

/**
 * morsel_span() - the PMD entry of a span, to be spliced
 * @m:		the morsel
 * @rights:	the rights
 * @span:	which span
 * Return: the entry, or none.
 */
pmd_t morsel_span(struct morsel *m, enum morsel_rights rights, unsigned long span)
{
	pmd_t pmd = read_span(m, rights, span);

	/* A leaf may be invalid for a moment, see span_lock(): that is not to be copied. */
	return pmd_is_leaf(pmd) ? pmd_leaf_entry(pmd_page(pmd), rights) : pmd;
}

/*
 * As morsel_top(), but makes them where there are none; NULL without memory.  What can
 * be spliced is a table; what ends before is no longer than it must be.
 */
static pud_t *make_puds(struct morsel *m, enum morsel_rights rights, unsigned long top)
{
	unsigned int entries = top_entries(morsel_gibs(m), top);
	pud_t *puds = morsel_top(m, rights, top), *old;
	struct page *table = NULL;

	if (puds)
		return puds;
	if (entries == TOP_GIBS) {
		table = table_get(m);
		puds = table ? page_address(table) : NULL;
	} else {
		puds = kmalloc_array(entries, sizeof(*puds), GFP_KERNEL_ACCOUNT);
	}
	if (!puds)
		return NULL;
	morsel_puds_clear(puds, entries);
	old = cmpxchg(&m->tops[rights][top], NULL, puds);
	if (!old)
		return puds;
	if (table)
		table_put(m, table);
	else
		kfree(puds);
	return old;
}

/* As morsel_pmds(), but makes the table where there is none; NULL without memory. */
static pmd_t *make_pmds(struct morsel *m, enum morsel_rights rights, unsigned long gib)
{
	pmd_t *pmds = morsel_pmds(m, rights, gib);
	struct page *table;
	pudval_t old;
	pud_t *puds;

	if (pmds)
		return pmds;
	puds = make_puds(m, rights, gib / TOP_GIBS);
	table = puds ? table_get(m) : NULL;
	if (!table)
		return NULL;
	pmds = page_address(table);
	old = cmpxchg((pudval_t *)&puds[gib % TOP_GIBS], pud_val(morsel_no_pud), table_entry(pmds));
	if (old == pud_val(morsel_no_pud))
		return pmds;
	table_put(m, table);
	return pud_pgtable(__pud(old));
}

/*
 * The entry of a span, a PTE table where there was nothing; a none entry
 * without memory.
 */
static pmd_t make_ptes(struct morsel *m, pmd_t *pmdp)
{
	pmd_t pmd = READ_ONCE(*pmdp);
	struct page *table;

	if (!pmd_none(pmd))
		return pmd;
	table = table_get(m);
	if (!table)
		return pmd;
	if (!pmd_add(pmdp, pmd_table_entry(table)))
		table_put(m, table);
	return READ_ONCE(*pmdp);
}

/*
 * Said after a leaf was added to the truth: no twin shows all of this GiB any
 * more.  Pairs with morsel_mirror().
 */
static void mark_stale(struct morsel *m, unsigned long gib)
{
	int rights;

	/* The leaf before the bit; pairs with the barrier in morsel_mirror(). */
	smp_mb();
	for (rights = RIGHTS_RO; rights < NR_RIGHTS; rights++) {
		unsigned long *fresh = READ_ONCE(m->fresh[rights]);

		if (fresh && test_bit(gib, fresh))
			clear_bit(gib, fresh);
	}
}

/* May this span hold a huge frame? */
static bool span_huge(const struct morsel *m, unsigned long span)
{
	switch (m->granule) {
	case MORSEL_GRANULE_2M:
		return true;
	case MORSEL_GRANULE_AUTO:
		return (span + 1) * SPAN_PAGES <= m->pages;
	default:
		return false;
	}
}

static const struct address_space_operations frame_aops = {
	.dirty_folio = noop_dirty_folio,
};

/*
 * Have a frame, which nobody sees yet, say whose it is.  A futex that processes
 * share is known by its frame's mapping and index.
 */
static void frame_claim(struct morsel *m, u64 frame, unsigned long index)
{
	struct folio *folio = page_folio(frame_page(frame));

	folio->index = index;
	WRITE_ONCE(folio->mapping, &m->frame_mapping);
}

/*
 * A frame leaves the morsel.  Under its lock, since who has that may rely on the
 * mapping, and on the morsel then; who looks without it does so under RCU.
 */
static void frame_disclaim(u64 frame)
{
	struct folio *folio = page_folio(frame_page(frame));

	folio_lock(folio);
	WRITE_ONCE(folio->mapping, NULL);
	folio_unlock(folio);
}

/*
 * Is any page of a span being punched?  Then nothing is to be put there until all
 * who map the old frames have been told: none is to see one frame become another.
 * With the sem held, or the answer is a hint.
 */
static bool being_punched(const struct morsel *m, unsigned long span)
{
	return span * SPAN_PAGES < READ_ONCE(m->punch_end) &&
	       (span + 1) * SPAN_PAGES > READ_ONCE(m->punch_first);
}

static void frames_put(struct morsel *m, unsigned int order, const u64 *frames, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		frame_disclaim(frames[i]);
	account_give(m->account, order, count, frames);
}

static int add_huge(struct morsel *m, unsigned long span, u64 frame)
{
	unsigned long gib = span / GIB_SPANS;
	pmd_t *pmds = make_pmds(m, RIGHTS_RW, gib);

	if (!pmds)
		return account_short(m->account, 0);
	if (being_punched(m, span))
		return -EEXIST;
	frame_claim(m, frame, span * SPAN_PAGES);
	if (!pmd_add(&pmds[span % GIB_SPANS], pmd_leaf_entry(frame_page(frame), RIGHTS_RW)))
		return -EEXIST;
	atomic_long_inc(&m->huge);
	mark_stale(m, gib);
	return 0;
}

/*
 * Put frames, small ones, into the holes of a span from @first to before @end.
 * Returns how many were used; -EEXIST: the span is huge, or being punched.
 */
static int add_small(struct morsel *m, unsigned long first, unsigned long end, const u64 *frames,
		     unsigned int count)
{
	unsigned long span = first / SPAN_PAGES, gib = span / GIB_SPANS, index;
	unsigned int used = 0;
	pmd_t *pmds, pmd;
	pte_t *ptes;

	pmds = make_pmds(m, RIGHTS_RW, gib);
	if (!pmds)
		return account_short(m->account, 0);
	pmd = make_ptes(m, &pmds[span % GIB_SPANS]);
	if (pmd_none(pmd))
		return account_short(m->account, 0);
	if (pmd_is_leaf(pmd) || being_punched(m, span))
		return -EEXIST;

	ptes = pmd_ptes(pmd);
	for (index = first; index < end && used < count; index++) {
		if (!pte_none(READ_ONCE(ptes[index % SPAN_PAGES])))
			continue;
		frame_claim(m, frames[used], index);
		if (pte_add(&ptes[index % SPAN_PAGES],
			    pte_leaf(frame_page(frames[used]), RIGHTS_RW)))
			used++;
	}
	atomic_long_add(used, &m->frames);
	mark_stale(m, gib);
	return used;
}

/*
 * How many pages from @first to before @end, all of one span, have no frame?
 * *@pmd: what the span holds.
 */
static unsigned int count_holes(struct morsel *m, unsigned long first, unsigned long end,
				pmd_t *pmd)
{
	unsigned long span = first / SPAN_PAGES, index;
	unsigned int holes = 0;

	*pmd = read_span(m, RIGHTS_RW, span);
	if (pmd_none(*pmd))
		return end - first;
	if (pmd_is_leaf(*pmd))
		return 0;
	for (index = first; index < end; index++)
		holes += pte_none(READ_ONCE(pmd_ptes(*pmd)[index % SPAN_PAGES]));
	return holes;
}

/*
 * Try to fill a whole span with one huge frame.  -EAGAIN: somebody else put
 * something there, or it is being punched.
 */
static int fill_huge(struct morsel *m, unsigned long span)
{
	u64 frame;
	int err;

	if (!account_take(m->account, HUGE_ORDER, 1, &frame))
		return account_short(m->account, HUGE_ORDER);
	down_read(&m->sem);
	err = add_huge(m, span, frame);
	up_read(&m->sem);
	if (err)
		frames_put(m, HUGE_ORDER, &frame, 1);
	return err == -EEXIST ? -EAGAIN : err;
}

/**
 * struct fill - what is to be filled, all of it in one span
 * @first:	first page that must have a frame
 * @end:	page after the last
 * @around_first: first of those that may get one with it, if there is enough
 * @around_end:	page after the last
 * @frames:	array for frames that are on their way from the pool
 * @size:	how many there may be
 */
struct fill {
	unsigned long first;
	unsigned long end;
	unsigned long around_first;
	unsigned long around_end;
	u64 *frames;
	unsigned int size;
};

/*
 * Fill the holes from @first to before @end, all of one span, with small
 * frames; -EAGAIN: there may be some left.
 */
static int fill_small(struct morsel *m, unsigned long first, unsigned long end, unsigned int holes,
		      const struct fill *fill)
{
	unsigned int got = account_take(m->account, 0, min(holes, fill->size), fill->frames);
	u64 *frames = fill->frames;
	int used;

	if (!got)
		return account_short(m->account, 0);
	down_read(&m->sem);
	used = add_small(m, first, end, frames, got);
	up_read(&m->sem);

	frames_put(m, 0, frames + max(used, 0), got - max(used, 0));
	if (used > 0 && morsel_planted(PLANT_EARLY_FREE))
		frames_put(m, 0, frames, 1);
	if (used < 0)
		return used == -EEXIST ? -EAGAIN : used;
	return got < holes ? -EAGAIN : 0;
}

/*
 * Fill all holes from @first to before @end, all of one span.  Frames are got
 * and cleared with none but the fill lock held, so that many can do so at once; who
 * loses the race for an entry gives its frame back.  -EBUSY: the span is being punched.
 */
static int fill_range(struct morsel *m, unsigned long first, unsigned long end,
		      const struct fill *fill)
{
	unsigned int holes;
	pmd_t pmd;
	int err;

	do {
		holes = count_holes(m, first, end, &pmd);
		if (!holes)
			return 0;
		if (being_punched(m, first / SPAN_PAGES))
			return -EBUSY;
		if (pmd_none(pmd) && span_huge(m, first / SPAN_PAGES)) {
			err = fill_huge(m, first / SPAN_PAGES);
			if (!err || err == -EAGAIN || m->granule == MORSEL_GRANULE_2M)
				continue;
		}
		err = fill_small(m, first, end, holes, fill);
	} while (err == -EAGAIN);
	return err;
}

static int fill_all(struct morsel *m, const struct fill *fill)
{
	pmd_t pmd;
	/* Who waited for the lock may find it done, neighbours and all. */
	bool around = fill->around_first < fill->around_end &&
		      count_holes(m, fill->first, fill->end, &pmd);
	int err = fill_range(m, fill->first, fill->end, fill);

	/* Neighbours are not to take what is scarce. */
	if (!err && around)
		fill_range(m, fill->around_first, fill->around_end, fill);
	return err;
}

/*
 * Who fills a span or a block of pages holds its lock.  Others who find it empty wait,
 * instead of clearing frames for it too, which thousands of processes would have no
 * memory for.  Few locks serve all morsels by a hash, as in hugetlbfs: so nobody waits for a
 * punch with one held.
 */
#define FILL_LOCK_BITS 10

static struct mutex fill_locks[1 << FILL_LOCK_BITS];

/* Fill with the lock of what begins at page @start held; with nobody else filling, if @alone. */
static int fill_locked(struct morsel *m, const struct fill *fill, unsigned long start, bool alone)
{
	struct mutex *lock = &fill_locks[hash_long((unsigned long)m + start, FILL_LOCK_BITS)];
	int err = -EINTR;

	if (mutex_lock_killable(lock))
		return -EINTR;
	if (alone) {
		if (!down_write_killable(&m->filling)) {
			err = fill_all(m, fill);
			up_write(&m->filling);
		}
	} else if (!down_read_killable(&m->filling)) {
		err = fill_all(m, fill);
		up_read(&m->filling);
	}
	mutex_unlock(lock);
	return err;
}

/*
 * Fill a part of what begins at page @start.  That there are no frames is true only
 * if nobody is about to add some here, or to give some back: then it is tried again alone.
 */
static int fill_part(struct morsel *m, const struct fill *fill, unsigned long start)
{
	bool alone = false;
	int err;

	for (;;) {
		if (wait_event_killable(m->punched, !being_punched(m, start / SPAN_PAGES)))
			return -EINTR;
		err = fill_locked(m, fill, start, alone);
		if (err == -EBUSY)
			continue;
		if (alone || (err != -ENOMEM && err != -EDQUOT))
			return err;
		morsel_subtree_sync();
		alone = true;
	}
}

/**
 * morsel_set_fault_around() - have faults fill more than the page they are for
 * @m:		the morsel
 * @bytes:	as struct morsel_tune has it
 * Return: 0 or -EINVAL.
 */
int morsel_set_fault_around(struct morsel *m, u32 bytes)
{
	if (!morsel_fault_around_valid(bytes))
		return -EINVAL;
	WRITE_ONCE(m->fault_around, bytes >> PAGE_SHIFT);
	return 0;
}

/**
 * morsel_fill() - see that a page has a frame, and its neighbours with it
 * @m:		the morsel
 * @index:	the page, below @m->pages
 * Return: 0, -ENOMEM, -EDQUOT, or -EINTR (a fatal signal).
 */
int morsel_fill(struct morsel *m, unsigned long index)
{
	unsigned long around = READ_ONCE(m->fault_around), block = round_down(index, around);
	u64 frames[FAULT_BULK];
	struct fill fill = {
		.first = index,
		.end = index + 1,
		.around_first = block,
		.around_end = around > 1 ? min(block + around, m->pages) : block,
		.frames = frames,
		.size = FAULT_BULK,
	};
	pmd_t pmd;

	if (!count_holes(m, index, index + 1, &pmd))
		return 0;
	if (pmd_none(pmd) && span_huge(m, index / SPAN_PAGES))
		block = round_down(index, SPAN_PAGES);
	return fill_part(m, &fill, block);
}

/**
 * morsel_populate() - see that all pages of a range have frames, in bulk
 * @m:		the morsel
 * @first:	first page
 * @end:	page after the last, at most @m->pages
 * @state:	TASK_INTERRUPTIBLE or TASK_KILLABLE: which signals end it
 * Return: 0, -ENOMEM, -EDQUOT or -EINTR; what was populated by then stays.
 */
int morsel_populate(struct morsel *m, unsigned long first, unsigned long end, unsigned int state)
{
	struct fill fill = {
		.frames = kmalloc_array(BULK, sizeof(*fill.frames), GFP_KERNEL),
		.size = BULK,
	};
	unsigned long start = first;
	int err = 0;

	if (!fill.frames)
		return -ENOMEM;
	for (; first < end && !err; first = fill.end) {
		fill.first = first;
		fill.end = min(end, (first / SPAN_PAGES + 1) * SPAN_PAGES);
		if (signal_pending_state(state, current))
			err = -EINTR;
		else
			err = fill_part(m, &fill, round_down(first, SPAN_PAGES));
		cond_resched();
	}
	kfree(fill.frames);
	trace_morsel_populate(m, start, end, err);
	return err;
}

static int make_twin(struct morsel *m, enum morsel_rights rights)
{
	unsigned long *fresh;
	pud_t **tops;

	if (READ_ONCE(m->tops[rights]))
		return 0;
	fresh = kvcalloc(BITS_TO_LONGS(morsel_gibs(m)), sizeof(long), GFP_KERNEL_ACCOUNT);
	tops = kcalloc(nr_tops(morsel_gibs(m)), sizeof(*tops), GFP_KERNEL_ACCOUNT);
	if (!fresh || !tops || cmpxchg(&m->fresh[rights], NULL, fresh))
		kvfree(fresh);
	if (!READ_ONCE(m->fresh[rights]) || !tops || cmpxchg(&m->tops[rights], NULL, tops))
		kfree(tops);
	return READ_ONCE(m->tops[rights]) ? 0 : -ENOMEM;
}

static int mirror_span(struct morsel *m, enum morsel_rights rights, pmd_t *twin, pmd_t truth)
{
	struct page *page = pmd_page(truth);
	pte_t *from, *to;
	pmd_t pmd;
	int i;

	if (pmd_none(truth))
		return 0;
	if (pmd_is_leaf(truth)) {
		WRITE_ONCE(*twin, pmd_leaf_entry(page, rights));
		return 0;
	}
	pmd = make_ptes(m, twin);
	if (pmd_none(pmd))
		return account_short(m->account, 0);
	from = pmd_ptes(truth);
	to = pmd_ptes(pmd);
	for (i = 0; i < SPAN_PAGES; i++) {
		pte_t pte = READ_ONCE(from[i]);

		if (!pte_none(pte))
			WRITE_ONCE(to[i], pte_leaf(pte_page(pte), rights));
	}
	return 0;
}

/**
 * morsel_mirror() - see that a twin shows what the truth has
 * @m:		the morsel
 * @rights:	the twin's rights; nothing is to be done for RIGHTS_RW
 * @first:	first span
 * @end:	span after the last
 * Return: 0, -ENOMEM or -EDQUOT.
 */
int morsel_mirror(struct morsel *m, enum morsel_rights rights, unsigned long first,
		  unsigned long end)
{
	unsigned long span, gib, next, whole;
	pmd_t *truth, *twin;
	int err;

	if (rights == RIGHTS_RW)
		return 0;
	err = make_twin(m, rights);

	for (span = first; span < end && !err; span = next) {
		gib = span / GIB_SPANS;
		whole = min((gib + 1) * GIB_SPANS, DIV_ROUND_UP(m->pages, SPAN_PAGES));
		next = min(end, whole);
		/*
		 * For a single span there is a fault: whoever says fresh may be
		 * filling it yet.
		 */
		if ((next - span > 1 && test_bit(gib, m->fresh[rights])) ||
		    !morsel_pmds(m, RIGHTS_RW, gib))
			continue;

		down_read(&m->sem);
		/*
		 * A whole GiB is announced fresh first and filled then: what is
		 * added meanwhile makes it stale again (mark_stale()).
		 */
		if (span == gib * GIB_SPANS && next == whole) {
			set_bit(gib, m->fresh[rights]);
			/* The bit before the leaves; pairs with the barrier in mark_stale(). */
			smp_mb__after_atomic();
		}
		truth = morsel_pmds(m, RIGHTS_RW, gib);
		twin = make_pmds(m, rights, gib);
		if (!twin)
			err = account_short(m->account, 0);
		for (; span < next && !err; span++)
			err = mirror_span(m, rights, &twin[span % GIB_SPANS],
					  READ_ONCE(truth[span % GIB_SPANS]));
		if (err)
			clear_bit(gib, m->fresh[rights]);
		up_read(&m->sem);
		cond_resched();
	}
	return err;
}

/*
 * The lock under which generic code relies on the leaf, or the leaves, of a
 * span: get_user_pages() takes its reference to a frame under it, a fault that
 * finds the entry there already writes it again, and madvise(MADV_COLD) takes a
 * huge leaf out and puts it back.
 *
 * Where tables have no lock of their own, that code takes the address space's,
 * and this is none: huge leaves are not shared then (may_share_table()), and
 * remove_again() waits for who is at it.
 */
static spinlock_t *span_lock(pmd_t *pmdp)
{
	static DEFINE_SPINLOCK(none);

	if (!COMPAT_PMD_TABLE_LOCKS)
		return &none;
	return pmd_is_leaf(*pmdp) ? pmd_lockptr(NULL, pmdp) : pte_lockptr(NULL, pmdp);
}

/* Take a span's huge leaf out. */
static void remove_huge(pmd_t *pmdp)
{
	spinlock_t *lock = span_lock(pmdp);

	spin_lock(lock);
	WRITE_ONCE(*pmdp, __pmd(0));
	spin_unlock(lock);
}

/* Take a span's small leaves from @first to before @end out; were there any? */
static bool remove_small(pmd_t *pmdp, unsigned int first, unsigned int end)
{
	spinlock_t *lock = span_lock(pmdp);
	pte_t *ptes = pmd_ptes(*pmdp);
	unsigned int index;
	bool found = false;

	spin_lock(lock);
	for (index = first; index < end; index++) {
		if (pte_none(READ_ONCE(ptes[index])))
			continue;
		WRITE_ONCE(ptes[index], __pte(0));
		found = true;
	}
	spin_unlock(lock);
	return found;
}

/*
 * Does generic code take another lock than span_lock() for a small leaf?  Where
 * tables have none of their own; and, on old kernels, where the PMD entry changes
 * between its look at the table and its look for the lock.
 */
static bool leaves_locked_otherwise(const struct morsel *m)
{
	return !COMPAT_PMD_TABLE_LOCKS || (!COMPAT_PMD_ENTRIES_GO && READ_ONCE(m->by_spans));
}

/*
 * Who saw a small leaf before it was taken out may write it again, if under
 * another lock than ours: take them out until nobody can be left who saw one.
 */
static void remove_again(struct morsel *m, unsigned long first, unsigned long end)
{
	unsigned long page, next;
	pmd_t *pmdp;
	bool found;
	int rights;

	do {
		found = false;
		synchronize_rcu_expedited();
		for (page = first; page < end; page = next) {
			next = min(end, round_down(page, SPAN_PAGES) + SPAN_PAGES);
			down_write(&m->sem);
			for (rights = RIGHTS_RW; rights < NR_RIGHTS; rights++) {
				pmdp = span_entry(m, rights, page / SPAN_PAGES);
				if (pmdp && !pmd_none(*pmdp) && !pmd_is_leaf(*pmdp))
					found |= remove_small(pmdp, page % SPAN_PAGES,
							      (next - 1) % SPAN_PAGES + 1);
			}
			up_write(&m->sem);
			cond_resched();
		}
	} while (found);
}

/*
 * Take the leaves of a span's pages from @first to before @end out of the twins;
 * the truth has none there any more.
 */
static void clear_twins(struct morsel *m, unsigned long span, unsigned int first, unsigned int end)
{
	int rights;

	for (rights = RIGHTS_RO; rights < NR_RIGHTS; rights++) {
		pmd_t *pmdp = span_entry(m, rights, span);

		if (!pmdp || pmd_none(*pmdp))
			continue;
		if (pmd_is_leaf(*pmdp))
			remove_huge(pmdp);
		else
			remove_small(pmdp, first, end);
	}
}

static void zero_part(struct page *page, size_t from, size_t to)
{
	for (; from < to; from = round_down(from, PAGE_SIZE) + PAGE_SIZE)
		memzero_page(page + from / PAGE_SIZE, offset_in_page(from),
			     min_t(size_t, to - from, PAGE_SIZE - offset_in_page(from)));
}

/*
 * Take the frames out of one span that lie wholly between the bytes @start and
 * @end of it; clear what lies there partly.  Returns where it ended for want of room.
 */
static size_t punch_span(struct morsel *m, unsigned long span, size_t start, size_t end,
			 struct frame_batch *freed)
{
	pmd_t *pmdp = span_entry(m, RIGHTS_RW, span), pmd;
	unsigned long before = freed->nr_small;
	size_t offset, next;
	struct page *page;

	if (!pmdp)
		return end;
	pmd = *pmdp;
	if (pmd_none(pmd))
		return end;

	if (pmd_is_leaf(pmd)) {
		page = pmd_page(pmd);
		if (end - start < PMD_SIZE) {
			zero_part(page, start, end);
			return end;
		}
		if (!batch_add(freed, HUGE_ORDER, page_to_pfn(page)))
			return start;
		remove_huge(pmdp);
		clear_twins(m, span, 0, SPAN_PAGES);
		return end;
	}

	for (offset = start; offset < end; offset = next) {
		pte_t pte = READ_ONCE(pmd_ptes(pmd)[offset / PAGE_SIZE]);

		next = min(end, (offset / PAGE_SIZE + 1) * PAGE_SIZE);
		if (pte_none(pte))
			continue;
		page = pte_page(pte);
		if (next - offset < PAGE_SIZE)
			zero_part(page, offset % PAGE_SIZE, (next - 1) % PAGE_SIZE + 1);
		else if (!batch_add(freed, 0, page_to_pfn(page)))
			break;
	}
	if (freed->nr_small == before)
		return offset;
	remove_small(pmdp, DIV_ROUND_UP(start, PAGE_SIZE), offset / PAGE_SIZE);
	clear_twins(m, span, DIV_ROUND_UP(start, PAGE_SIZE), offset / PAGE_SIZE);
	return offset;
}

static void give_back(struct morsel *m, struct frame_batch *freed)
{
	struct batch_walk walk = batch_walk(freed);
	unsigned int order;
	u64 frame;

	trace_morsel_free(m, freed->nr_small, freed->nr_huge);
	atomic_long_sub(freed->nr_small, &m->frames);
	atomic_long_sub(freed->nr_huge, &m->huge);
	while (batch_next(&walk, &order, &frame)) {
		frame_disclaim(frame);
		cond_resched();
	}
	batch_give(freed, m->account);
}

static void set_punched(struct morsel *m, unsigned long first, unsigned long end)
{
	down_write(&m->sem);
	/* Some look without the sem. */
	WRITE_ONCE(m->punch_first, first);
	WRITE_ONCE(m->punch_end, end);
	up_write(&m->sem);
}

/* Have everybody drop what was taken out between two bytes. */
static void revoke(struct morsel *m, loff_t start, loff_t end, const struct frame_batch *freed)
{
	if (batch_empty(freed))
		return;
	if (freed->nr_small && leaves_locked_otherwise(m))
		remove_again(m, DIV_ROUND_UP(start, PAGE_SIZE), end >> PAGE_SHIFT);
	morsel_revoke(m, start, end);
	unmap_mapping_range(m->inode.i_mapping, start, end - start, 1);
}

/**
 * morsel_punch() - free the frames that lie wholly in a range, clear the rest of it
 * @m:		the morsel
 * @start:	first byte
 * @end:	byte after the last
 *
 * The entries go first, then morsel_revoke() makes every address space drop its
 * translations, and unmap_mapping_range() tells secondary MMUs; then the frames
 * go to the pool, which sets those aside that somebody has pinned.  Whoever is
 * about to fill the range again waits until all have been told.
 */
void morsel_punch(struct morsel *m, loff_t start, loff_t end)
{
	struct frame_batch freed;
	loff_t pos, next;

	batch_init(&freed);
	mutex_lock(&m->punch_lock);
	set_punched(m, start >> PAGE_SHIFT, DIV_ROUND_UP(end, PAGE_SIZE));
	for (pos = start; pos < end; pos = next) {
		unsigned long span = pos >> PMD_SHIFT;
		loff_t base = (loff_t)span << PMD_SHIFT, want;

		/* A GiB that was never touched holds nothing. */
		if (!morsel_pmds(m, RIGHTS_RW, span / GIB_SPANS)) {
			next = min_t(loff_t, end, round_down(pos, PUD_SIZE) + PUD_SIZE);
			continue;
		}
		want = min_t(loff_t, end, base + PMD_SIZE);
		down_write(&m->sem);
		next = base + punch_span(m, span, pos - base, want - base, &freed);
		up_write(&m->sem);
		if (next < want) {
			revoke(m, start, next, &freed);
			give_back(m, &freed);
		}
		cond_resched();
	}
	revoke(m, start, end, &freed);
	set_punched(m, 0, 0);
	wake_up_all(&m->punched);
	mutex_unlock(&m->punch_lock);
	if (!batch_empty(&freed))
		give_back(m, &freed);
}

/**
 * morsel_get_page() - take a reference to the frame behind a page
 * @m:		the morsel
 * @index:	the page, below @m->pages
 * @fill:	allocate one if there is none
 * Return: the page, to be released with frame_release(); NULL for a hole;
 * ERR_PTR of what morsel_fill() returns; ERR_PTR(-EIO): its memory has failed.
 */
struct page *morsel_get_page(struct morsel *m, unsigned long index, bool fill)
{
	unsigned long span = index / SPAN_PAGES;
	struct page *page = NULL;
	pmd_t pmd;
	pte_t pte;
	int err;

	for (;;) {
		down_read(&m->sem);
		pmd = read_span(m, RIGHTS_RW, span);
		if (!pmd_none(pmd) && pmd_is_leaf(pmd)) {
			page = pmd_page(pmd) + index % SPAN_PAGES;
		} else if (!pmd_none(pmd)) {
			pte = READ_ONCE(pmd_ptes(pmd)[index % SPAN_PAGES]);
			if (!pte_none(pte))
				page = pte_page(pte);
		}
		if (page)
			page = frame_hold(page_to_pfn(page));
		up_read(&m->sem);
		if (page && frame_failed(page_to_pfn(page))) {
			frame_release(page);
			return ERR_PTR(-EIO);
		}
		if (page || !fill)
			return page;

		err = morsel_fill(m, index);
		if (err)
			return ERR_PTR(err);
	}
}

/*
 * Tables on their way out: a lockless walker may be in them until a grace
 * period has passed.
 */
struct dead_tables {
	struct rcu_work work;
	struct account *account;
	unsigned long gibs;
	pud_t **tops[NR_RIGHTS];
};

static struct workqueue_struct *reaper;
static atomic_t nr_dead = ATOMIC_INIT(0);

static void reap_pmds(struct account *account, pmd_t *pmds)
{
	int i;

	for (i = 0; i < GIB_SPANS; i++)
		if (!pmd_none(pmds[i]) && !pmd_is_leaf(pmds[i]))
			account_give_table(account, pmd_page(pmds[i]));
	account_give_table(account, virt_to_page(pmds));
}

/* The PUD entries of a top, @entries of them, and what is below. */
static void reap_puds(struct account *account, pud_t *puds, unsigned int entries)
{
	unsigned int i;

	for (i = 0; i < entries; i++) {
		if (pud_shows_nothing(puds[i]))
			continue;
		reap_pmds(account, pud_pgtable(puds[i]));
		cond_resched();
	}
	if (entries == TOP_GIBS)
		account_give_table(account, virt_to_page(puds));
	else
		kfree(puds);
}

static void reap_tables(struct work_struct *work)
{
	struct dead_tables *dead = container_of(to_rcu_work(work), struct dead_tables, work);
	unsigned long top;
	int rights;

	for (rights = 0; rights < NR_RIGHTS; rights++) {
		for (top = 0; dead->tops[rights] && top < nr_tops(dead->gibs); top++)
			if (dead->tops[rights][top])
				reap_puds(dead->account, dead->tops[rights][top],
					  top_entries(dead->gibs, top));
		kfree(dead->tops[rights]);
	}
	account_put(dead->account);
	kfree(dead);
	atomic_dec(&nr_dead);
}

/**
 * morsel_subtree_init() - make the root of a new morsel's tables
 * @m:		the morsel, zeroed; takes the references to @pool and @payer,
 *		also on failure
 * @pool:	where its frames come from
 * @payer:	who pays
 * Return: 0 or -ENOMEM.
 */
int morsel_subtree_init(struct morsel *m, struct frame_pool *pool, struct payer *payer)
{
	init_rwsem(&m->sem);
	init_rwsem(&m->filling);
	mutex_init(&m->punch_lock);
	init_waitqueue_head(&m->punched);
	m->frame_mapping.host = &m->inode;
	m->frame_mapping.a_ops = &frame_aops;
	m->account = account_get(pool, payer);
	if (!m->account)
		return -ENOMEM;
	/* Both now, so that freeing needs no memory. */
	m->dead = kzalloc(sizeof(*m->dead), GFP_KERNEL_ACCOUNT);
	m->tops[RIGHTS_RW] = kcalloc(nr_tops(morsel_gibs(m)), sizeof(pud_t *), GFP_KERNEL_ACCOUNT);
	if (m->dead && m->tops[RIGHTS_RW])
		return 0;

	kfree(m->dead);
	kfree(m->tops[RIGHTS_RW]);
	account_put(m->account);
	m->tops[RIGHTS_RW] = NULL;
	m->account = NULL;
	return -ENOMEM;
}

/* Nobody can reach a frame any more: what there is no room for goes back first. */
static void free_add(struct morsel *m, struct frame_batch *freed, unsigned int order,
		     struct page *page)
{
	if (batch_add(freed, order, page_to_pfn(page)))
		return;
	give_back(m, freed);
	batch_add(freed, order, page_to_pfn(page));
}

/**
 * morsel_subtree_free() - give back all frames now and all tables after a grace
 * period
 * @m: the morsel, which no address space has attached any more
 */
void morsel_subtree_free(struct morsel *m)
{
	struct frame_batch freed;
	struct dead_tables *dead = m->dead;
	unsigned long gib;
	int rights, i, j;

	if (!m->account)
		return;
	batch_init(&freed);
	for (gib = 0; gib < morsel_gibs(m); gib++) {
		pmd_t *pmds = morsel_pmds(m, RIGHTS_RW, gib);

		for (i = 0; pmds && i < GIB_SPANS; i++) {
			if (pmd_none(pmds[i]))
				continue;
			if (pmd_is_leaf(pmds[i])) {
				free_add(m, &freed, HUGE_ORDER, pmd_page(pmds[i]));
				continue;
			}
			for (j = 0; j < SPAN_PAGES; j++) {
				pte_t pte = pmd_ptes(pmds[i])[j];

				if (!pte_none(pte))
					free_add(m, &freed, 0, pte_page(pte));
			}
		}
		cond_resched();
	}
	give_back(m, &freed);

	dead->account = m->account;
	dead->gibs = morsel_gibs(m);
	for (rights = 0; rights < NR_RIGHTS; rights++) {
		dead->tops[rights] = m->tops[rights];
		kvfree(m->fresh[rights]);
	}
	atomic_inc(&nr_dead);
	INIT_RCU_WORK(&dead->work, reap_tables);
	queue_rcu_work(reaper, &dead->work);
}

/**
 * morsel_subtree_sync() - wait until the tables of all freed morsels are back
 * in their pools
 */
void morsel_subtree_sync(void)
{
	if (!atomic_read(&nr_dead))
		return;
	rcu_barrier();
	flush_workqueue(reaper);
}

/**
 * morsel_subtrees_init() - what all subtrees share
 * Return: 0 or -ENOMEM.
 */
int morsel_subtrees_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fill_locks); i++)
		mutex_init(&fill_locks[i]);
	reaper = alloc_workqueue("morsel", WQ_UNBOUND, 0);
	return reaper ? 0 : -ENOMEM;
}

/**
 * morsel_subtrees_exit() - no morsel is left
 */
void morsel_subtrees_exit(void)
{
	morsel_subtree_sync();
	destroy_workqueue(reaper);
}
