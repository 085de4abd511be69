// SPDX-License-Identifier: GPL-2.0
/*
 * Tablesets: the tables of a map with one set of rights.
 *
 * One PMD table per GiB, whose entries are huge leaves or point to PTE tables.
 * Entries are added by cmpxchg, by many at once, with the map's sem held for reading;
 * they are removed with it held for writing.  Tables stay until the set goes, so
 * looking for holes takes no lock.  PUD entries point to the PMD tables, those of
 * 512 GiB in a table that can be spliced, too.
 */
#include <linux/slab.h>

#include "pools/source.h"
#include "tables/leaf.h"
#include "tables/tableset.h"

static struct page *take(struct tableset *set)
{
	struct page *table = table_take(set->source);

	if (table)
		atomic_long_inc(&set->nr_tables);
	return table;
}

/* Somebody else's table was first. */
static void give(struct tableset *set, struct page *table)
{
	table_give(table);
	atomic_long_dec(&set->nr_tables);
}

/* The PUD entries of the rest, in place. */
static pud_t *rest_puds(struct table_root *root)
{
	return (pud_t *)&root->tops[DIV_ROUND_UP(root->gibs, TOP_GIBS)];
}

/*
 * What does not fill its 512 GiB cannot be spliced as a whole, and needs no page.  With the set
 * itself, of which the first root is charged for.
 */
static size_t root_size(const struct tableset *set, unsigned long gibs)
{
	return struct_size_t(struct table_root, tops, DIV_ROUND_UP(gibs, TOP_GIBS)) +
	       gibs % TOP_GIBS * sizeof(pud_t) +
	       (set->cache ? BITS_TO_LONGS(gibs) * sizeof(long) : 0);
}

static unsigned long root_pages(const struct tableset *set, unsigned long gibs)
{
	return DIV_ROUND_UP(root_size(set, gibs) + sizeof(*set), PAGE_SIZE);
}

static struct table_root *root_alloc(struct tableset *set, unsigned long gibs)
{
	unsigned long pages = root_pages(set, gibs), rest = gibs % TOP_GIBS;
	struct table_root *root;
	int err = source_charge(set->source, pages);

	if (err)
		return ERR_PTR(err);
	root = kvzalloc(root_size(set, gibs), GFP_KERNEL_ACCOUNT);
	if (!root) {
		source_uncharge(set->source, pages);
		return ERR_PTR(-ENOMEM);
	}
	root->gibs = gibs;
	morsel_puds_clear(rest_puds(root), rest);
	if (rest)
		root->tops[gibs / TOP_GIBS] = rest_puds(root);
	if (set->cache)
		root->fresh = (unsigned long *)(rest_puds(root) + rest);
	return root;
}

/**
 * tableset_root_free() - free a root, but not the tables below it
 * @set:	its set
 * @root:	the root, which nobody looks at
 */
void tableset_root_free(struct tableset *set, struct table_root *root)
{
	source_uncharge(set->source, root_pages(set, root->gibs));
	kvfree(root);
}

/**
 * tableset_root_make() - make a larger root for a tableset
 * @set:	the set; nobody else makes one for it meanwhile
 * @gibs:	for how many GiBs, more than it has
 * Return: the root, for tableset_grow(); ERR_PTR(-ENOMEM), ERR_PTR(-EDQUOT).
 */
struct table_root *tableset_root_make(struct tableset *set, unsigned long gibs)
{
	unsigned long top = set->root->gibs / TOP_GIBS;
	struct table_root *root = root_alloc(set, gibs);
	struct page *table;

	if (IS_ERR(root) || !(set->root->gibs % TOP_GIBS) || top >= gibs / TOP_GIBS)
		return root;
	/* What was in place there is to have a page of its own. */
	table = take(set);
	if (!table) {
		tableset_root_free(set, root);
		return ERR_PTR(source_short(set->source, 0));
	}
	root->tops[top] = page_address(table);
	morsel_puds_clear(root->tops[top], PTRS_PER_PUD);
	return root;
}

/**
 * tableset_grow() - have a tableset show all that it shows by a larger root
 * @set:	the set
 * @root:	of tableset_root_make()
 *
 * Called with the map's sem held for writing, so that nobody adds anything.  Who looks without it
 * may go on looking at the old one, which stays.
 */
void tableset_grow(struct tableset *set, struct table_root *root)
{
	struct table_root *old = set->root;
	unsigned long whole = old->gibs / TOP_GIBS, rest = old->gibs % TOP_GIBS;

	memcpy(root->tops, old->tops, whole * sizeof(*old->tops));
	if (rest)
		memcpy(root->tops[whole], old->tops[whole], rest * sizeof(pud_t));
	if (set->cache)
		bitmap_copy(root->fresh, old->fresh, old->gibs);
	root->old = old;
	/* Pairs with the dependent reads of who looks without the sem. */
	smp_store_release(&set->root, root);
}

/**
 * tableset_make() - make a tableset without entries
 * @source:	where pages of tables will come from, and who pays, also for the set
 * @rights:	what its leaves are to allow
 * @gibs:	how many GiBs it is for
 * @cache:	it will show what another one has
 * Return: the set; ERR_PTR(-ENOMEM), ERR_PTR(-EDQUOT).
 */
struct tableset *tableset_make(struct source *source, enum morsel_rights rights, unsigned long gibs,
			       bool cache)
{
	struct tableset *set = kzalloc(sizeof(*set), GFP_KERNEL_ACCOUNT);
	struct table_root *root;

	if (!set)
		return ERR_PTR(-ENOMEM);
	set->source = source;
	set->rights = rights;
	set->cache = cache;
	root = root_alloc(set, gibs);
	if (IS_ERR(root)) {
		kfree(set);
		return ERR_CAST(root);
	}
	set->root = root;
	source_ref(source);
	return set;
}

/**
 * tableset_puds() - the PUD table of 512 GiB, to be spliced
 * @set:	the tableset
 * @top:	which 512 GiB
 * Return: the table; NULL: there is none yet, or the map ends before.
 */
pud_t *tableset_puds(const struct tableset *set, unsigned long top)
{
	const struct table_root *root = READ_ONCE(set->root);

	return top < root->gibs / TOP_GIBS ? READ_ONCE(root->tops[top]) : NULL;
}

/* Where a span's PMD entry is; NULL where there is no table yet. */
static pmd_t *span_entry(const struct tableset *set, unsigned long span)
{
	pmd_t *pmds = tableset_pmds(set, span / GIB_SPANS);

	return pmds ? &pmds[span % GIB_SPANS] : NULL;
}

static pmd_t read_span(const struct tableset *set, unsigned long span)
{
	pmd_t *pmdp = span_entry(set, span);

	return pmdp ? READ_ONCE(*pmdp) : __pmd(0);
}

/**
 * tableset_span() - the PMD entry of a span, to be spliced
 * @set:	the tableset
 * @span:	which span
 * Return: the entry, or none.
 */
pmd_t tableset_span(const struct tableset *set, unsigned long span)
{
	pmd_t pmd = read_span(set, span);

	/* A leaf may be invalid for a moment, see tableset_clear(): that is not to be copied. */
	return pmd_is_leaf(pmd) ? pmd_leaf_entry(pmd_pfn(pmd), set->rights, pmd_is_own(pmd)) : pmd;
}

static struct leaf look(const struct tableset *set, unsigned long index)
{
	pmd_t *pmds = tableset_pmds(set, index / GIB_PAGES), pmd;
	pte_t pte;

	if (!pmds)
		return (struct leaf){.order = GIB_ORDER};
	pmd = READ_ONCE(pmds[index / SPAN_PAGES % GIB_SPANS]);
	if (pmd_none(pmd))
		return (struct leaf){.order = HUGE_ORDER};
	if (pmd_is_leaf(pmd))
		return (struct leaf){pmd_pfn(pmd), HUGE_ORDER, true, pmd_is_own(pmd)};
	pte = READ_ONCE(pmd_ptes(pmd)[index % SPAN_PAGES]);
	if (pte_none(pte))
		return (struct leaf){};
	return (struct leaf){pte_pfn(pte), 0, true, pte_is_own(pte)};
}

/**
 * tableset_look() - what is there for a page?
 * @set:	the tableset
 * @index:	the page
 * Return: the leaf, or the hole; without the map's sem, a hint.
 */
struct leaf tableset_look(const struct tableset *set, unsigned long index)
{
	struct leaf leaf;

	rcu_read_lock();
	leaf = look(set, index);
	rcu_read_unlock();
	return leaf;
}

/**
 * tableset_pages() - what is there for the pages of a range?
 * @set:	the tableset
 * @first:	first page
 * @end:	page after the last, of the same span
 * @pages:	gets them; NULL for a hole
 *
 * As tableset_look(), for all at once, as each fault at an edge asks; called with the map's sem held,
 * so that they stay.
 */
void tableset_pages(const struct tableset *set, unsigned long first, unsigned long end,
		    struct page **pages)
{
	pmd_t pmd = read_span(set, first / SPAN_PAGES);
	unsigned long index;
	pte_t pte;

	for (index = first; index < end; index++) {
		if (pmd_none(pmd)) {
			*pages++ = NULL;
		} else if (pmd_is_leaf(pmd)) {
			*pages++ = pfn_to_page(pmd_pfn(pmd) + index % SPAN_PAGES);
		} else {
			pte = READ_ONCE(pmd_ptes(pmd)[index % SPAN_PAGES]);
			*pages++ = pte_none(pte) ? NULL : pfn_to_page(pte_pfn(pte));
		}
	}
}

/**
 * tableset_holes() - how many pages have no leaf?
 * @set:	the tableset
 * @first:	first page
 * @end:	page after the last, of the same span
 * @empty:	gets whether nothing is in the span, not even a table
 * Return: how many there are from @first to before @end.
 */
unsigned int tableset_holes(const struct tableset *set, unsigned long first, unsigned long end,
			    bool *empty)
{
	unsigned int holes = 0;
	unsigned long index;
	pmd_t pmd;

	rcu_read_lock();
	pmd = read_span(set, first / SPAN_PAGES);
	*empty = pmd_none(pmd);
	if (*empty)
		holes = end - first;
	for (index = first; index < end && !*empty && !pmd_is_leaf(pmd); index++)
		holes += pte_none(READ_ONCE(pmd_ptes(pmd)[index % SPAN_PAGES]));
	rcu_read_unlock();
	return holes;
}

/**
 * tableset_has_ptes() - does a span have small leaves, or a table for them?
 * @set:	the tableset
 * @span:	which span
 * Return: whether.
 */
bool tableset_has_ptes(const struct tableset *set, unsigned long span)
{
	pmd_t pmd;

	rcu_read_lock();
	pmd = read_span(set, span);
	rcu_read_unlock();
	return !pmd_none(pmd) && !pmd_is_leaf(pmd);
}

/**
 * tableset_make_puds() - the PUD entries of 512 GiB, made where there are none
 * @set:	the tableset, with the map's sem held, so that its root stays
 * @top:	which 512 GiB
 * Return: the entries; NULL without memory.
 */
pud_t *tableset_make_puds(struct tableset *set, unsigned long top)
{
	struct table_root *root = set->root;
	pud_t *puds = READ_ONCE(root->tops[top]), *old;
	struct page *table;

	if (puds)
		return puds;
	table = take(set);
	if (!table)
		return NULL;
	puds = page_address(table);
	morsel_puds_clear(puds, PTRS_PER_PUD);
	old = cmpxchg(&root->tops[top], NULL, puds);
	if (!old)
		return puds;
	give(set, table);
	return old;
}

/*
 * As tableset_pmds(), but makes the table where there is none; NULL without memory.  With the
 * map's sem held for reading, so that the root stays.
 */
static pmd_t *make_pmds(struct tableset *set, unsigned long gib)
{
	pmd_t *pmds = tableset_pmds(set, gib);
	struct page *table;
	pudval_t old;
	pud_t *puds;

	if (pmds)
		return pmds;
	puds = tableset_make_puds(set, gib / TOP_GIBS);
	table = puds ? take(set) : NULL;
	if (!table)
		return NULL;
	pmds = page_address(table);
	old = cmpxchg((pudval_t *)&puds[gib % TOP_GIBS], pud_val(morsel_no_pud), table_entry(pmds));
	if (old == pud_val(morsel_no_pud))
		return pmds;
	give(set, table);
	return pud_pgtable(__pud(old));
}

/*
 * The entry of a span, a PTE table where there was nothing; a none entry
 * without memory.
 */
static pmd_t make_ptes(struct tableset *set, pmd_t *pmdp)
{
	pmd_t pmd = READ_ONCE(*pmdp);
	struct page *table;

	if (!pmd_none(pmd))
		return pmd;
	table = take(set);
	if (!table)
		return pmd;
	if (!pmd_add(pmdp, __pmd(table_entry(page_address(table)))))
		give(set, table);
	return READ_ONCE(*pmdp);
}

/**
 * tableset_prepare() - see that there is a table for a huge leaf
 * @set:	the tableset
 * @span:	which span
 * Return: 0, -ENOMEM or -EDQUOT.
 */
int tableset_prepare(struct tableset *set, unsigned long span)
{
	return make_pmds(set, span / GIB_SPANS) ? 0 : source_short(set->source, 0);
}

/**
 * tableset_add_huge() - add a huge leaf where there is nothing
 * @set:	the tableset; tableset_prepare() has been called for the span
 * @span:	which span
 * @frame:	what it is to map
 * @own:	nobody else has that
 *
 * Called with the map's sem held for reading.
 * Return: false if there was something.
 */
bool tableset_add_huge(struct tableset *set, unsigned long span, u64 frame, bool own)
{
	return pmd_add(span_entry(set, span), pmd_leaf_entry(frame, set->rights, own));
}

/**
 * tableset_leaves() - the small leaves of a span, with a table for them made where there is none
 * @set:	the tableset
 * @span:	which span
 * @leaves:	gets them
 * Return: 0; -EEXIST: there is a huge one; -ENOMEM, -EDQUOT.
 */
int tableset_leaves(struct tableset *set, unsigned long span, struct leaves *leaves)
{
	pmd_t *pmds = make_pmds(set, span / GIB_SPANS), pmd;

	if (!pmds)
		return source_short(set->source, 0);
	pmd = make_ptes(set, &pmds[span % GIB_SPANS]);
	if (pmd_none(pmd))
		return source_short(set->source, 0);
	if (pmd_is_leaf(pmd))
		return -EEXIST;
	leaves->ptes = pmd_ptes(pmd);
	leaves->prot = rights_prot(set->rights, true);
	return 0;
}

/**
 * tableset_stale() - a leaf was added to what a set is to show
 * @set:	the set
 * @gib:	where: it does not show all of this any more
 *
 * Pairs with who says fresh and looks for leaves then: a barrier is to come between the
 * leaf and this.
 */
void tableset_stale(struct tableset *set, unsigned long gib)
{
	if (tableset_is_fresh(set, gib))
		clear_bit(gib, set->root->fresh);
}

/**
 * tableset_copy() - show what another set has of a span, with this one's rights
 * @set:	the tableset
 * @from:	the other one
 * @span:	which span
 *
 * Called with the map's sem held for reading.
 * Return: 0, -ENOMEM or -EDQUOT.
 */
int tableset_copy(struct tableset *set, const struct tableset *from, unsigned long span)
{
	pmd_t *pmds = make_pmds(set, span / GIB_SPANS), pmd = read_span(from, span);
	pgprot_t shared = rights_prot(set->rights, false);
	struct leaves leaves;
	pte_t *source;
	int i, err;

	if (!pmds)
		return source_short(set->source, 0);
	if (pmd_none(pmd))
		return 0;
	/* Where there was a table once, it stays, and shows a huge frame, too. */
	if (pmd_is_leaf(pmd) && !tableset_has_ptes(set, span)) {
		WRITE_ONCE(pmds[span % GIB_SPANS],
			   pmd_leaf_entry(pmd_pfn(pmd), set->rights, pmd_is_own(pmd)));
		return 0;
	}
	err = tableset_leaves(set, span, &leaves);
	if (err)
		return err;
	if (pmd_is_leaf(pmd)) {
		for (i = 0; i < SPAN_PAGES; i++)
			WRITE_ONCE(leaves.ptes[i], pfn_pte(pmd_pfn(pmd) + i,
							   pmd_is_own(pmd) ? leaves.prot : shared));
		return 0;
	}
	source = pmd_ptes(pmd);
	for (i = 0; i < SPAN_PAGES; i++) {
		pte_t pte = READ_ONCE(source[i]);

		if (!pte_none(pte))
			WRITE_ONCE(leaves.ptes[i],
				   pfn_pte(pte_pfn(pte), pte_is_own(pte) ? leaves.prot : shared));
	}
	return 0;
}

/**
 * tableset_show() - show what another set has of a part of a span, with no more rights than are given
 * @set:	the tableset
 * @from:	the other one
 * @first:	first page
 * @end:	page after the last
 * @write:	what the other one may write, this one may, if its rights are so
 * @unused:	as nobody has used it yet, for tableset_used(); of whole spans, nobody asks
 *
 * Called with the map's sem held for reading; nobody else changes these leaves of this set.
 * Return: 0, -ENOMEM or -EDQUOT; -EEXIST: there is a huge leaf, which is to go first.
 */
int tableset_show(struct tableset *set, const struct tableset *from, unsigned long first,
		  unsigned long end, bool write, bool unused)
{
	unsigned long span = first / SPAN_PAGES, index;
	pmd_t *pmds = make_pmds(set, span / GIB_SPANS), pmd = read_span(from, span);
	struct leaves leaves;
	pte_t pte;
	int err;

	if (!pmds)
		return source_short(set->source, 0);
	if (pmd_none(pmd))
		return 0;
	if (pmd_is_leaf(pmd) && end - first == SPAN_PAGES && !tableset_has_ptes(set, span)) {
		WRITE_ONCE(pmds[span % GIB_SPANS],
			   pmd_leaf_entry(pmd_pfn(pmd), set->rights, write && pmd_is_own(pmd)));
		return 0;
	}
	err = tableset_leaves(set, span, &leaves);
	if (err)
		return err;
	for (index = first; index < end; index++) {
		struct leaf leaf = look(from, index);

		if (!leaf.present)
			continue;
		pte = pfn_pte(leaf_frame(&leaf, index),
			      rights_prot(set->rights, write && leaf.own));
		WRITE_ONCE(leaves.ptes[index % SPAN_PAGES], unused ? pte_mkold(pte) : pte);
	}
	return 0;
}

/**
 * tableset_has_huge() - does a span have a huge leaf?
 * @set:	the tableset
 * @span:	which span
 * Return: whether.
 */
bool tableset_has_huge(const struct tableset *set, unsigned long span)
{
	pmd_t pmd;

	rcu_read_lock();
	pmd = read_span(set, span);
	rcu_read_unlock();
	return !pmd_none(pmd) && pmd_is_leaf(pmd);
}

/**
 * tableset_used() - has anybody used what tableset_show() showed as unused?
 * @set:	the tableset
 * @index:	the page
 * Return: whether; of a huge leaf, true.
 */
bool tableset_used(const struct tableset *set, unsigned long index)
{
	bool used = false;
	pmd_t pmd;
	pte_t pte;

	rcu_read_lock();
	pmd = read_span(set, index / SPAN_PAGES);
	if (pmd_is_leaf(pmd)) {
		used = true;
	} else if (!pmd_none(pmd)) {
		pte = READ_ONCE(pmd_ptes(pmd)[index % SPAN_PAGES]);
		used = !pte_none(pte) && pte_young(pte);
	}
	rcu_read_unlock();
	return used;
}

/*
 * Leaves go with the lock held under which generic code relies on them:
 * get_user_pages() takes its reference to a frame under it, a fault that
 * finds the entry there already writes it again, and madvise(MADV_COLD) takes a
 * huge leaf out and puts it back.  Where there is none, huge leaves are not shared
 * (may_share_table()), and who removes small ones waits for who is at it
 * (tableset_comes_back()).
 */

/* Take a span's huge leaf out. */
static void clear_huge(pmd_t *pmdp)
{
	spinlock_t *lock = compat_leaf_lock(pmdp);

	spin_lock(lock);
	WRITE_ONCE(*pmdp, __pmd(0));
	spin_unlock(lock);
}

/* Take a span's small leaves from @first to before @end out; were there any? */
static bool clear_small(pmd_t *pmdp, unsigned int first, unsigned int end)
{
	spinlock_t *lock = compat_leaf_lock(pmdp);
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

/**
 * tableset_clear() - take leaves out
 * @set:	the tableset
 * @first:	first page
 * @end:	page after the last, of the same span; of a huge leaf, all go
 *
 * Called with the map's sem held for writing; or for reading, if nobody else changes these leaves of this set.
 * Return: whether there were any.
 */
bool tableset_clear(struct tableset *set, unsigned long first, unsigned long end)
{
	pmd_t *pmdp = span_entry(set, first / SPAN_PAGES);

	if (!pmdp || pmd_none(*pmdp))
		return false;
	if (!pmd_is_leaf(*pmdp))
		return clear_small(pmdp, first % SPAN_PAGES, (end - 1) % SPAN_PAGES + 1);
	clear_huge(pmdp);
	return true;
}

/**
 * tableset_protect() - have leaves be for reading
 * @set:	the tableset
 * @first:	first page
 * @end:	page after the last, of the same span; of a huge leaf of which this is a part, all goes
 *
 * Called with the map's sem held for reading; nobody else changes these leaves of this set.
 * Return: whether there were any that were not.
 */
bool tableset_protect(struct tableset *set, unsigned long first, unsigned long end)
{
	pmd_t *pmdp = span_entry(set, first / SPAN_PAGES);
	spinlock_t *lock;
	bool found = false;
	pte_t *ptep;

	if (!pmdp || pmd_none(*pmdp))
		return false;
	if (pmd_is_leaf(*pmdp) && end - first < SPAN_PAGES) {
		clear_huge(pmdp);
		return true;
	}
	lock = compat_leaf_lock(pmdp);
	spin_lock(lock);
	if (pmd_is_leaf(*pmdp)) {
		found = pmd_is_own(*pmdp);
		WRITE_ONCE(*pmdp, pmd_for_reading(*pmdp));
		first = end;
	}
	for (; first < end; first++) {
		ptep = &pmd_ptes(*pmdp)[first % SPAN_PAGES];
		if (!pte_is_own(READ_ONCE(*ptep)))
			continue;
		WRITE_ONCE(*ptep, pte_for_reading(*ptep));
		found = true;
	}
	spin_unlock(lock);
	return found;
}

/**
 * tableset_comes_back() - may who saw a small leaf write it again after it was taken out?
 * @set: the tableset
 * Return: whether somebody may, on this kernel.
 */
bool tableset_comes_back(const struct tableset *set)
{
	return compat_leaves_come_back(READ_ONCE(set->relied_on));
}
