// SPDX-License-Identifier: GPL-2.0
/*
 * Tables that several maps have, as clones do.
 *
 * A PMD or PTE table is one map's, and changes; or it is frozen: then it counts the maps that have it,
 * all its leaves are for reading, all tables below it are frozen, and nobody changes it.  A leaf for
 * reading, of the truth, is one of a frame that somebody else may have.  What leads to a frozen table,
 * or to a frame, from a table counts once, however many maps have that one.
 *
 * Who is to change a frozen table has a copy take its place (tableset_own()): so the way to a page is
 * as long as ever, however many clones there are of clones.  (As file systems share trees that are
 * copied on writing: Rodeh, B-trees, Shadowing, and Clones, ACM TOS 3(4), 2008.)
 */
#include <linux/err.h>
#include <linux/slab.h>

#include "debug/debug.h"
#include "pools/frame.h"
#include "tables/leaf.h"
#include "tables/tableset.h"

static pud_t *find_pud(const struct tableset *set, unsigned long gib)
{
	return &READ_ONCE(set->root)->tops[gib / TOP_GIBS][gib % TOP_GIBS];
}

static bool pmd_is_table(pmd_t pmd)
{
	return !pmd_none(pmd) && !pmd_is_leaf(pmd);
}

static bool pmd_frozen(pmd_t pmd)
{
	return pmd_is_table(pmd) && table_frozen(pmd_page(pmd));
}

/**
 * tableset_is_own() - may what there is of a span change?
 * @set:	the truth of a map
 * @span:	which span
 * @ptes:	on the whole way to its leaves; else to its PMD entry
 * Return: whether no table is frozen; without the map's sem, a hint.
 */
bool tableset_is_own(const struct tableset *set, unsigned long span, bool ptes)
{
	bool own = true;
	pmd_t *pmds;

	rcu_read_lock();
	pmds = tableset_pmds(set, span / GIB_SPANS);
	if (pmds)
		own = !table_frozen(virt_to_page(pmds)) &&
		      !(ptes && pmd_frozen(READ_ONCE(pmds[span % GIB_SPANS])));
	rcu_read_unlock();
	return own;
}

static struct page *table_of(const struct tableset *set, unsigned long span, bool ptes)
{
	pmd_t *pmds = tableset_pmds(set, span / GIB_SPANS), pmd;

	if (!pmds || !ptes)
		return pmds ? virt_to_page(pmds) : NULL;
	pmd = READ_ONCE(pmds[span % GIB_SPANS]);
	return pmd_is_table(pmd) ? pmd_page(pmd) : NULL;
}

/**
 * tableset_frozen() - the table of a span that others may have, too
 * @set:	the truth of a map, with its sem held
 * @span:	which span
 * @ptes:	that of its leaves; else that of its GiB
 * Return: the table; NULL: there is none, or it is the map's own.
 */
struct page *tableset_frozen(const struct tableset *set, unsigned long span, bool ptes)
{
	struct page *table = table_of(set, span, ptes);

	return table && table_frozen(table) ? table : NULL;
}

/**
 * tableset_own_table() - the table of a span that is the map's own
 * @set:	as above, as are the next two
 * @span:	which span
 * @ptes:	which table
 * Return: the table; NULL: there is none, or others may have it.
 */
struct page *tableset_own_table(const struct tableset *set, unsigned long span, bool ptes)
{
	struct page *table = table_of(set, span, ptes);

	return table && !table_frozen(table) ? table : NULL;
}

/* Has somebody else a table, so that it takes a copy? */
static bool needs_copy(struct page *table)
{
	return atomic_long_read(table_owners(table)) > 1;
}

/**
 * tableset_shared() - has another map a table, too?
 * @set:	the truth of a map, with its sem held
 * @span:	which span
 * @ptes:	as for tableset_frozen()
 * Return: whether, by itself: what another table leads to that is shared is, too.
 */
bool tableset_shared(const struct tableset *set, unsigned long span, bool ptes)
{
	struct page *table = tableset_frozen(set, span, ptes);

	return table && needs_copy(table);
}

static struct displaced *displaced_alloc(struct tableset *set, gfp_t gfp)
{
	struct displaced *made = kzalloc(sizeof(*made), gfp);

	if (!made)
		return NULL;
	made->source = set->source;
	source_ref(made->source);
	return made;
}

/**
 * displaced_new() - what tableset_drop() needs
 * @set: the truth of the map
 * Return: what is empty, to be dropped by displaced_drop().
 */
struct displaced *displaced_new(struct tableset *set)
{
	/* It is little, and for a while, and to have memory freed. */
	return displaced_alloc(set, GFP_KERNEL | __GFP_NOFAIL);
}

/**
 * displaced_make() - get what it takes to make a span's tables a map's own
 * @set:	the truth of the map
 * @span:	which span
 * @ptes:	as for tableset_is_own()
 * Return: these tables, to be dropped by displaced_drop(); ERR_PTR(-ENOMEM), ERR_PTR(-EDQUOT).
 */
struct displaced *displaced_make(struct tableset *set, unsigned long span, bool ptes)
{
	struct displaced *made = displaced_alloc(set, GFP_KERNEL_ACCOUNT);
	bool copy_pmds = false, copy_ptes = false;
	pmd_t *pmds, pmd;

	if (!made)
		return ERR_PTR(-ENOMEM);
	rcu_read_lock();
	pmds = tableset_pmds(set, span / GIB_SPANS);
	if (pmds) {
		pmd = READ_ONCE(pmds[span % GIB_SPANS]);
		copy_pmds = needs_copy(virt_to_page(pmds));
		copy_ptes = ptes && pmd_is_table(pmd) && (copy_pmds || needs_copy(pmd_page(pmd)));
	}
	rcu_read_unlock();
	if (copy_pmds)
		made->pmds = table_take(made->source);
	if (copy_ptes)
		made->ptes = table_take(made->source);
	if (!copy_pmds == !made->pmds && !copy_ptes == !made->ptes)
		return made;
	displaced_drop(made);
	return ERR_PTR(source_short(set->source, 0));
}

/* What a PMD table leads to, somebody else has, too; the entries of another one that does. */
static void copy_entry(pmd_t *to, pmd_t pmd, enum morsel_rights rights)
{
	if (pmd_none(pmd))
		return;
	if (pmd_is_leaf(pmd)) {
		if (!morsel_planted(PLANT_LOW_COUNT))
			frame_share(pmd_pfn(pmd));
		*to = pmd_leaf_entry(pmd_pfn(pmd), rights, false);
	} else {
		table_share(pmd_page(pmd));
		*to = pmd;
	}
}

static void copy_pmds(pmd_t *to, pmd_t *from, enum morsel_rights rights)
{
	/* Who ages memory may have taken a leaf out for a moment. */
	spinlock_t *lock = compat_huge_lock(from);
	int i;

	spin_lock(lock);
	for (i = 0; i < GIB_SPANS; i++)
		copy_entry(&to[i], READ_ONCE(from[i]), rights);
	spin_unlock(lock);
}

/* Of all leaves, or of those that are nobody's alone. */
static void copy_ptes(pte_t *to, pte_t *from, enum morsel_rights rights, bool all)
{
	pgprot_t prot = rights_prot(rights, false);
	int i;

	for (i = 0; i < SPAN_PAGES; i++) {
		pte_t pte = READ_ONCE(from[i]);

		if (pte_none(pte) || (pte_is_own(pte) && !all))
			continue;
		frame_share(pte_pfn(pte));
		to[i] = pfn_pte(pte_pfn(pte), prot);
	}
}

/**
 * tableset_own() - see that the tables on the way to a span's leaves are a map's own
 * @set:	the truth of the map, with its sem held for writing, and its gate closed for the GiB
 * @span:	which span
 * @ptes:	as for tableset_is_own()
 * @displaced:	of displaced_make(); gets those that others took the place of, which may be spliced
 *		until they are unspliced, and are dropped then
 * Return: whether they are now; else it is to be begun anew, with other tables.
 */
bool tableset_own(struct tableset *set, unsigned long span, bool ptes, struct displaced *displaced)
{
	pmd_t *pmds = tableset_pmds(set, span / GIB_SPANS), *own, *pmdp;
	struct page *table;

	if (!pmds)
		return true;
	table = virt_to_page(pmds);
	if (table_frozen(table) && !table_thaw(table)) {
		if (!displaced->pmds)
			return false;
		own = page_address(displaced->pmds);
		copy_pmds(own, pmds, set->rights);
		/* Who finds the table finds what is in it. */
		smp_wmb();
		WRITE_ONCE(*find_pud(set, span / GIB_SPANS), __pud(table_entry(own)));
		displaced->pmds = table;
		displaced->changed = true;
		pmds = own;
	}
	pmdp = &pmds[span % GIB_SPANS];
	if (!ptes || !pmd_frozen(*pmdp))
		return true;
	table = pmd_page(*pmdp);
	if (table_thaw(table))
		return true;
	if (!displaced->ptes)
		return false;
	copy_ptes(page_address(displaced->ptes), page_address(table), set->rights, true);
	/* As above. */
	smp_wmb();
	WRITE_ONCE(*pmdp, __pmd(table_entry(page_address(displaced->ptes))));
	displaced->ptes = table;
	displaced->changed = true;
	return true;
}

/* So many leaves are looked at together: each page of a morsel comes by here when it is cloned. */
#define FREEZE_RUN 8

/*
 * Have some leaves be for reading, if all are for writing, and nobody may have a frame of them pinned.  Nobody else changes
 * them, and no processor sees the table, now.  What is the same for all is at hand: frame_page(0), and what a leaf has its
 * frame in.
 */
static bool freeze_run(pte_t *ptes, const struct page *first, pteval_t frame_bits)
{
	pteval_t all = ~0UL;
	int refs = 0, i;

#pragma GCC unroll 8
	for (i = 0; i < FREEZE_RUN; i++)
		all &= native_pte_val(ptes[i]);
	if (!pte_is_own(native_make_pte(all)))
		return false;
#pragma GCC unroll 8
	for (i = 0; i < FREEZE_RUN; i++)
		refs |= frame_refs_at(first, READ_ONCE(ptes[i].pte) & frame_bits);
	if (refs != 1)
		return false;
	/* Each in memory, as they are too many for registers. */
	barrier();
#pragma GCC unroll 8
	for (i = 0; i < FREEZE_RUN; i++)
		ptes[i] = pte_for_reading(ptes[i]);
	return true;
}

/* The same for each by itself; one that is pinned stays as it is, and keeps the table busy. */
static void freeze_each(pte_t *ptes, struct freezing *freezing, bool *busy)
{
	int i;

	for (i = 0; i < FREEZE_RUN; i++) {
		pte_t pte = READ_ONCE(ptes[i]);

		if (!pte_is_own(pte))
			continue;
		if (frame_pinned(pte_pfn(pte), 0)) {
			*busy = true;
			continue;
		}
		WRITE_ONCE(ptes[i], pte_for_reading(pte));
		freezing->changed = true;
	}
}

static void freeze_ptes(pmd_t *pmdp, struct freezing *freezing)
{
	spinlock_t *lock = compat_leaf_lock(pmdp);
	const pteval_t frame_bits = PTE_PFN_MASK;
	const struct page *first = frame_page(0);
	pte_t *ptes = pmd_ptes(*pmdp);
	bool busy = false;
	int i;

	static_assert(!(SPAN_PAGES % FREEZE_RUN));
	spin_lock(lock);
	for (i = 0; i < SPAN_PAGES && !morsel_planted(PLANT_LATER_WRITE); i += FREEZE_RUN) {
		if (IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP) && freeze_run(&ptes[i], first, frame_bits))
			freezing->changed = true;
		else
			freeze_each(&ptes[i], freezing, &busy);
	}
	spin_unlock(lock);
	if (busy)
		freezing->busy = true;
	else if (freezing->last)
		table_freeze(pmd_page(*pmdp));
}

static void freeze_huge(pmd_t *pmdp, pmd_t pmd, struct freezing *freezing)
{
	if (morsel_planted(PLANT_LATER_WRITE))
		return;
	if (frame_pinned(pmd_pfn(pmd), HUGE_ORDER)) {
		freezing->busy = true;
		return;
	}
	WRITE_ONCE(*pmdp, pmd_for_reading(pmd));
	freezing->changed = true;
}

/* So many tables are looked through by one call. */
#define FREEZE_MOST 8

/**
 * tableset_freeze() - have what there is of some spans be for reading only
 * @set:	the truth of a map, with its sem held for writing; nothing of it is spliced
 * @span:	the first span
 * @end:	span after the last, of the same GiB
 * @freezing:	in it, @last: the tables are not to change any more, either; gets whether some has
 *		@changed, and whether something is @busy, and stays as it is: frames that somebody has
 *		pinned, who may be writing to them
 * Return: the span to go on with.
 */
unsigned long tableset_freeze(struct tableset *set, unsigned long span, unsigned long end,
			      struct freezing *freezing)
{
	pmd_t *pmds = tableset_pmds(set, span / GIB_SPANS);
	unsigned int i = span % GIB_SPANS, most = i + end - span, tables = 0;
	spinlock_t *lock;

	if (!pmds || table_frozen(virt_to_page(pmds)))
		return end;
	lock = compat_huge_lock(pmds);
	spin_lock(lock);
	for (; i < most && tables < FREEZE_MOST; i++) {
		pmd_t pmd = READ_ONCE(pmds[i]);

		if (!pmd_is_leaf(pmd))
			tables += pmd_is_table(pmd) && !pmd_frozen(pmd);
		else if (pmd_is_own(pmd))
			freeze_huge(&pmds[i], pmd, freezing);
	}
	spin_unlock(lock);
	end = span - span % GIB_SPANS + i;
	for (i = span % GIB_SPANS; tables; i++) {
		if (!pmd_is_table(pmds[i]) || pmd_frozen(pmds[i]))
			continue;
		freeze_ptes(&pmds[i], freezing);
		tables--;
	}
	return end;
}

/* Has a clone a table of a span in which some leaves are the source's own? */
static int share_busy(struct tableset *clone, unsigned long span, pmd_t pmd)
{
	struct leaves leaves;
	int err = tableset_leaves(clone, span, &leaves);

	if (!err)
		copy_ptes(leaves.ptes, pmd_ptes(pmd), clone->rights, false);
	return err;
}

/* The same of a GiB that has some such spans: all others are shared. */
static int share_spans(struct tableset *clone, unsigned long gib, pmd_t *from)
{
	unsigned long span = gib * GIB_SPANS;
	int err = tableset_prepare(clone, span), i;
	pmd_t *to = tableset_pmds(clone, gib);

	for (i = 0; i < GIB_SPANS && !err; i++, span++) {
		pmd_t pmd = READ_ONCE(from[i]);

		if (pmd_is_table(pmd) && !pmd_frozen(pmd))
			err = share_busy(clone, span, pmd);
		else if (!pmd_is_leaf(pmd) || !pmd_is_own(pmd))
			copy_entry(&to[i], pmd, clone->rights);
	}
	return err;
}

/**
 * tableset_share() - have a clone's tableset show what its source's has of a GiB
 * @set:	the truth of the source, of which tableset_freeze() was called for all spans of the
 *		GiB; with its map's sem held for writing, and its gate closed
 * @clone:	the truth of the clone, which nobody uses yet
 * @gib:	the GiB
 * @busy:	some of that is the source's own still, and is left out
 * Return: 0, -ENOMEM, -EDQUOT.
 */
int tableset_share(struct tableset *set, struct tableset *clone, unsigned long gib, bool busy)
{
	pmd_t *pmds = tableset_pmds(set, gib);
	struct page *table;
	pud_t *puds;

	if (!pmds)
		return 0;
	table = virt_to_page(pmds);
	if (busy)
		return share_spans(clone, gib, pmds);
	puds = tableset_make_puds(clone, gib / TOP_GIBS);
	if (!puds)
		return source_short(clone->source, 0);
	if (!table_frozen(table))
		table_freeze(table);
	table_share(table);
	WRITE_ONCE(puds[gib % TOP_GIBS], __pud(table_entry(pmds)));
	return 0;
}

static bool replace_huge(pmd_t *pmdp, u64 old, pmd_t pmd)
{
	spinlock_t *lock = compat_leaf_lock(pmdp);
	bool same;

	spin_lock(lock);
	same = pmd_is_leaf(*pmdp) && !pmd_is_own(*pmdp) && pmd_pfn(*pmdp) == old;
	if (same)
		WRITE_ONCE(*pmdp, pmd);
	spin_unlock(lock);
	return same;
}

static bool replace_small(pmd_t *pmdp, unsigned long index, u64 old, pte_t pte)
{
	spinlock_t *lock = compat_leaf_lock(pmdp);
	pte_t *ptep = &pmd_ptes(*pmdp)[index % SPAN_PAGES], was;
	bool same;

	spin_lock(lock);
	was = READ_ONCE(*ptep);
	same = !pte_none(was) && !pte_is_own(was) && pte_pfn(was) == old;
	if (same)
		WRITE_ONCE(*ptep, pte);
	spin_unlock(lock);
	return same;
}

/**
 * tableset_replace() - have a leaf that is for reading be another
 * @set:	the truth of a map, with its sem held for writing; the span's tables are its own
 * @index:	a page of the leaf
 * @order:	log2 of its pages
 * @old:	its frame
 * @frame:	what it is to map: another, or the same
 * @own:	nobody else has that
 * Return: whether it was that leaf.
 */
bool tableset_replace(struct tableset *set, unsigned long index, unsigned int order, u64 old,
		      u64 frame, bool own)
{
	pmd_t *pmds = tableset_pmds(set, index / GIB_PAGES), *pmdp;

	if (!pmds)
		return false;
	pmdp = &pmds[index / SPAN_PAGES % GIB_SPANS];
	if (order)
		return replace_huge(pmdp, old, pmd_leaf_entry(frame, set->rights, own));
	return pmd_is_table(*pmdp) &&
	       replace_small(pmdp, index, old, pfn_pte(frame, rights_prot(set->rights, own)));
}

static void count_ptes(struct page *table, struct displaced *displaced)
{
	const pte_t *ptes = page_address(table);
	int i;

	displaced->tables++;
	for (i = 0; i < SPAN_PAGES; i++)
		displaced->small += !pte_none(READ_ONCE(ptes[i]));
}

static void count_pmds(struct page *table, struct displaced *displaced)
{
	const pmd_t *pmds = page_address(table);
	int i;

	displaced->tables++;
	for (i = 0; i < GIB_SPANS; i++) {
		pmd_t pmd = READ_ONCE(pmds[i]);

		if (pmd_is_leaf(pmd))
			displaced->huge++;
		else if (pmd_is_table(pmd))
			count_ptes(pmd_page(pmd), displaced);
	}
}

/**
 * tableset_drop() - take out a table that others have, too, with all that it leads to
 * @set:	the truth of a map, whose gate is closed there
 * @span:	the first span of what is to be dropped
 * @whole:	of all of its GiB; else only of the span
 * @displaced:	empty, gets the table, and how many frames there were
 *
 * Called with the map's sem held for writing.  What is frozen does not change, and what it leads to stays as long
 * as the table does.
 * Return: whether there was such a table.
 */
bool tableset_drop(struct tableset *set, unsigned long span, bool whole,
		   struct displaced *displaced)
{
	pmd_t *pmds = tableset_pmds(set, span / GIB_SPANS), *pmdp;

	if (!pmds || table_frozen(virt_to_page(pmds)) != whole)
		return false;
	pmdp = &pmds[span % GIB_SPANS];
	if (whole) {
		displaced->pmds = virt_to_page(pmds);
		count_pmds(displaced->pmds, displaced);
		WRITE_ONCE(*find_pud(set, span / GIB_SPANS), morsel_no_pud);
	} else if (pmd_frozen(*pmdp)) {
		displaced->ptes = pmd_page(*pmdp);
		count_ptes(displaced->ptes, displaced);
		WRITE_ONCE(*pmdp, __pmd(0));
	}
	atomic_long_sub(displaced->tables, &set->nr_tables);
	return displaced->tables;
}

static void each_pte(const pte_t *ptes, void *context,
		     void (*each)(void *context, unsigned int order, u64 frame))
{
	int i;

	for (i = 0; i < SPAN_PAGES; i++)
		if (!pte_none(ptes[i]))
			each(context, 0, pte_pfn(ptes[i]));
}

static void each_pmd(const pmd_t *pmds, void *context,
		     void (*each)(void *context, unsigned int order, u64 frame))
{
	int i;

	for (i = 0; i < GIB_SPANS; i++) {
		if (pmd_is_leaf(pmds[i]))
			each(context, HUGE_ORDER, pmd_pfn(pmds[i]));
		else if (pmd_is_table(pmds[i]))
			each_pte(pmd_ptes(pmds[i]), context, each);
		cond_resched();
	}
}

/**
 * displaced_each() - go through the frames that dropped tables show
 * @displaced:	of tableset_drop()
 * @context:	for @each
 * @each:	is called for each of them, with log2 of its pages
 */
void displaced_each(const struct displaced *displaced, void *context,
		    void (*each)(void *context, unsigned int order, u64 frame))
{
	if (displaced->ptes)
		each_pte(page_address(displaced->ptes), context, each);
	if (displaced->pmds)
		each_pmd(page_address(displaced->pmds), context, each);
}

/**
 * tableset_each() - the same for those of a GiB
 * @set:	the truth of a map, whose gate is closed
 * @gib:	the GiB
 * @context:	for @each
 * @each:	as above
 */
void tableset_each(const struct tableset *set, unsigned long gib, void *context,
		   void (*each)(void *context, unsigned int order, u64 frame))
{
	const pmd_t *pmds = tableset_pmds(set, gib);

	if (pmds)
		each_pmd(pmds, context, each);
}

/**
 * tableset_split() - have small frames, for writing, take the place of a huge one that is for reading
 * @set:	the truth of a map, with its sem held for writing; the span's tables are its own
 * @first:	the span's first page
 * @old:	the huge frame
 * @table:	an empty table, which is the set's then
 * @frames:	the small ones
 * Return: whether it was that leaf.
 */
bool tableset_split(struct tableset *set, unsigned long first, u64 old, struct page *table,
		    const u64 *frames)
{
	pmd_t *pmds = tableset_pmds(set, first / GIB_PAGES);
	pgprot_t prot = rights_prot(set->rights, true);
	pte_t *ptes = page_address(table);
	bool done;
	int i;

	for (i = 0; i < SPAN_PAGES; i++)
		ptes[i] = pfn_pte(frames[i], prot);
	/* Who finds the table finds what is in it. */
	smp_wmb();
	done = pmds &&
	       replace_huge(&pmds[first / SPAN_PAGES % GIB_SPANS], old, __pmd(table_entry(ptes)));
	if (done)
		atomic_long_inc(&set->nr_tables);
	return done;
}

/* So many frames are given back at once. */
#define GIVE_MOST 64

static void give_ptes(const pte_t *ptes)
{
	u64 frames[GIVE_MOST];
	unsigned int nr = 0, i;

	for (i = 0; i < SPAN_PAGES; i++) {
		if (!pte_none(ptes[i]))
			frames[nr++] = pte_pfn(ptes[i]);
		if (nr == GIVE_MOST || (nr && i == SPAN_PAGES - 1)) {
			source_give(0, nr, frames);
			nr = 0;
		}
	}
}

static void give_huge(pmd_t pmd)
{
	u64 frame = pmd_pfn(pmd);

	source_give(HUGE_ORDER, 1, &frame);
}

static void drop_ptes(struct page *table)
{
	if (!table_unshare(table))
		return;
	give_ptes(page_address(table));
	table_give(table);
}

static void drop_pmds(struct page *table)
{
	pmd_t *pmds = page_address(table);
	int i;

	if (!table_unshare(table))
		return;
	for (i = 0; i < GIB_SPANS; i++) {
		if (pmd_is_leaf(pmds[i]))
			give_huge(pmds[i]);
		else if (pmd_is_table(pmds[i]))
			drop_ptes(pmd_page(pmds[i]));
		cond_resched();
	}
	table_give(table);
}

/**
 * displaced_free() - drop displaced tables that nobody looks at any more
 * @displaced: these
 */
void displaced_free(struct displaced *displaced)
{
	if (displaced->ptes)
		drop_ptes(displaced->ptes);
	if (displaced->pmds)
		drop_pmds(displaced->pmds);
	if (displaced->release)
		displaced->release(displaced->held);
	source_gone(displaced->source, &displaced->outgoing);
	source_unref(displaced->source);
	kfree(displaced);
}

/**
 * tableset_meet() - see that there is room for what another tableset shows
 * @set:	the truth of a map, for as much as that
 * @other:	the other one
 * Return: 0, -ENOMEM, -EDQUOT.
 */
int tableset_meet(struct tableset *set, struct tableset *other)
{
	unsigned long gibs = tableset_gibs(other), gib;

	for (gib = 0; gib < gibs; gib++)
		if (tableset_pmds(other, gib) && !tableset_make_puds(set, gib / TOP_GIBS))
			return source_short(set->source, 0);
	return 0;
}

static bool has_puds(const struct tableset *set, unsigned long gib)
{
	return READ_ONCE(set->root->tops[gib / TOP_GIBS]);
}

/**
 * tableset_exchange() - have two tablesets show what the other one shows
 * @set:	one of a map, with its sem held for writing
 * @other:	that of another, with the same rights, which nobody uses; tableset_meet() was called for both, or, as
 *		@other has nothing, for that: then what has come since stays
 */
void tableset_exchange(struct tableset *set, struct tableset *other)
{
	unsigned long gibs = min(tableset_gibs(set), tableset_gibs(other)), gib;
	long tables = atomic_long_read(&other->nr_tables);
	pud_t *pudp, *to, pud;

	for (gib = 0; gib < gibs; gib++) {
		if (!tableset_pmds(set, gib) && !tableset_pmds(other, gib))
			continue;
		if (!has_puds(set, gib) || !has_puds(other, gib))
			continue;
		pudp = find_pud(set, gib);
		to = find_pud(other, gib);
		pud = *pudp;
		WRITE_ONCE(*pudp, *to);
		WRITE_ONCE(*to, pud);
		if (set->cache) {
			tableset_stale(set, gib);
			tableset_stale(other, gib);
		}
	}
	atomic_long_set(&other->nr_tables, atomic_long_xchg(&set->nr_tables, tables));
	/* The tables have been spliced that it shows now. */
	if (READ_ONCE(set->relied_on))
		WRITE_ONCE(other->relied_on, true);
}

/* Give the frames of a GiB back, and leave the tables that nobody else has. */
static void let_go_gib(pud_t *pudp)
{
	pmd_t *pmds = pud_pgtable(*pudp);
	int i;

	if (!table_unshare(virt_to_page(pmds))) {
		*pudp = morsel_no_pud;
		return;
	}
	for (i = 0; i < GIB_SPANS; i++) {
		if (pmd_is_leaf(pmds[i]))
			give_huge(pmds[i]);
		else if (!pmd_is_table(pmds[i]))
			continue;
		else if (table_unshare(pmd_page(pmds[i])))
			give_ptes(pmd_ptes(pmds[i]));
		else
			pmds[i] = __pmd(0);
		cond_resched();
	}
}

/**
 * tableset_let_go() - give all frames back, and all tables that others have
 * @set: the truth of a map, which nobody uses any more; to be freed
 */
void tableset_let_go(struct tableset *set)
{
	unsigned long gibs = tableset_gibs(set), gib;

	for (gib = 0; gib < gibs; gib++)
		if (tableset_pmds(set, gib))
			let_go_gib(find_pud(set, gib));
}
