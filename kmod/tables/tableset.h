/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tablesets: the tables of a map with one set of rights.
 */
#ifndef MORSEL_TABLESET_H
#define MORSEL_TABLESET_H

#include <linux/atomic.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <linux/workqueue.h>

#include "pools/source.h"
#include "tables/table.h"

/*
 * A span is what one PMD entry maps: 512 pages.  A GiB is what one PMD table
 * maps: 512 spans.
 */
#define SPAN_PAGES PTRS_PER_PTE
#define GIB_SPANS PTRS_PER_PMD
#define GIB_PAGES ((unsigned long)GIB_SPANS * SPAN_PAGES)

/* A top is what one PUD table maps: 512 GiB. */
#define TOP_GIBS ((unsigned long)PTRS_PER_PUD)
#define TOP_PAGES (TOP_GIBS * GIB_PAGES)
#define TOP_SHIFT (PUD_SHIFT + 9)
#define TOP_SIZE (1UL << TOP_SHIFT)
#define TOP_MASK (~(TOP_SIZE - 1))

/* log2 of the pages in a huge frame, and in a GiB */
#define HUGE_ORDER (PMD_SHIFT - PAGE_SHIFT)
#define GIB_ORDER (PUD_SHIFT - PAGE_SHIFT)

/**
 * enum morsel_rights - what a set of tables lets its users do
 * @RIGHTS_RW:	reading and writing
 * @RIGHTS_RO:	reading
 * @RIGHTS_RWX:	reading, writing, executing
 * @RIGHTS_ROX:	reading, executing
 *
 * A right must be true in the leaf: get_user_pages_fast() looks at nothing else
 * for writing, and the kernel takes an upper entry with the no-execute bit for
 * a bad one (pud_bad()).  So each set of rights in use has its own tables.
 */
enum morsel_rights { RIGHTS_RW, RIGHTS_RO, RIGHTS_RWX, RIGHTS_ROX };

static inline bool rights_write(enum morsel_rights rights)
{
	return rights == RIGHTS_RW || rights == RIGHTS_RWX;
}

struct map_viewer;
struct source;

/**
 * struct table_root - the top of a tableset
 * @old:	the one that this took the place of, when the set grew, as somebody may be
 *		looking at that; it goes with the set
 * @gibs:	for how many GiBs it has room
 * @fresh:	a bit per GiB: the set shows all that the map has; NULL where the tables
 *		are the map
 * @tops:	PUD entries per 512 GiB, or NULL; they go from NULL to a table once, by
 *		cmpxchg, and so do the entries from showing nothing to PMD tables.  Those
 *		of the rest, which is not 512 GiB long, follow in place
 */
struct table_root {
	struct table_root *old;
	unsigned long gibs;
	unsigned long *fresh;
	pud_t *tops[];
};

/**
 * struct tableset - the tables of a map with one set of rights
 * @next:	another one of the map
 * @rights:	what the leaves allow
 * @cache:	it shows what another one has
 * @viewer:	for whom, and no more than that one may have; NULL: for all
 * @source:	pages of tables come from there, and are paid for
 * @root:	the newest; replaced with the map's sem held for writing
 * @nr_tables:	pages of tables
 * @outgoing:	of source_outgoing()
 * @dead:	frees it
 * @relied_on:	PTE tables have been spliced by entries that compat_relied_on(); once
 *		true, always
 */
struct tableset {
	struct tableset *next;
	enum morsel_rights rights;
	bool cache;
	const struct map_viewer *viewer;
	struct source *source;
	struct table_root *root;
	atomic_long_t nr_tables;
	struct rounds outgoing;
	struct rcu_work dead;
	bool relied_on;
};

/**
 * struct leaf - what a tableset has for a page
 * @frame:	the frame; the first one of those that a huge leaf maps
 * @order:	log2 of the pages of the leaf, or of the hole as far as that can be told
 *		from one entry: HUGE_ORDER, GIB_ORDER
 * @present:	it is no hole
 * @own:	nobody else has it, so that it may be written
 */
struct leaf {
	u64 frame;
	unsigned int order;
	bool present;
	bool own;
};

/* The frame of one of a leaf's pages. */
static inline u64 leaf_frame(const struct leaf *leaf, unsigned long index)
{
	return leaf->frame + (index & ((1UL << leaf->order) - 1));
}

/* The page behind a leaf, or a hole, that a page is of. */
static inline unsigned long leaf_end(const struct leaf *leaf, unsigned long index)
{
	return (index | ((1UL << leaf->order) - 1)) + 1;
}

/**
 * struct leaves - the small leaves of a span
 * @ptes:	these
 * @prot:	what new ones allow
 */
struct leaves {
	pte_t *ptes;
	pgprot_t prot;
};

/**
 * struct displaced - tables that others took the place of, as several maps have them
 * @list:	for who knows whether they are looked at yet
 * @epoch:	likewise
 * @dead:	drops them
 * @outgoing:	from source_outgoing()
 * @source:	of the map that has them no more
 * @release:	drops what else there is; or NULL
 * @held:	that
 * @at_once:	and there is nothing else, nor who looks at it without locks
 * @pmds:	a PMD table, or NULL
 * @ptes:	a PTE table, or NULL
 * @changed:	some are
 * @small:	of those that nothing took the place of, the frames of 4 KiB, and
 * @huge:	of 2 MiB
 * @tables:	how many of those there were
 * @first:	the first page that they showed
 */
struct displaced {
	struct list_head list;
	unsigned long epoch;
	struct rcu_work dead;
	struct rounds outgoing;
	struct source *source;
	void (*release)(void *held);
	void *held;
	bool at_once;
	struct page *pmds;
	struct page *ptes;
	bool changed;
	unsigned long small;
	unsigned long huge;
	unsigned long tables;
	unsigned long first;
};

/* What tableset_freeze() is to do, and did. */
struct freezing {
	bool last;
	bool changed;
	bool busy;
};

static inline bool leaves_hole(const struct leaves *leaves, unsigned long index)
{
	return pte_none(READ_ONCE(leaves->ptes[index % SPAN_PAGES]));
}

/* Add a leaf where there is none; false if somebody else was first. */
static inline bool leaves_add(const struct leaves *leaves, unsigned long index, u64 frame)
{
	pte_t pte = pfn_pte(frame, leaves->prot);

	return !cmpxchg((pteval_t *)&leaves->ptes[index % SPAN_PAGES], 0, pte_val(pte));
}

/* tableset.c */
struct tableset *tableset_make(struct source *source, enum morsel_rights rights, unsigned long gibs,
			       bool cache);
struct table_root *tableset_root_make(struct tableset *set, unsigned long gibs);
void tableset_root_free(struct tableset *set, struct table_root *root);
void tableset_grow(struct tableset *set, struct table_root *root);
pud_t *tableset_make_puds(struct tableset *set, unsigned long top);
pud_t *tableset_puds(const struct tableset *set, unsigned long top);
pmd_t tableset_span(const struct tableset *set, unsigned long span);
struct leaf tableset_look(const struct tableset *set, unsigned long index);
void tableset_pages(const struct tableset *set, unsigned long first, unsigned long end,
		    struct page **pages);
unsigned int tableset_holes(const struct tableset *set, unsigned long first, unsigned long end,
			    bool *empty);
bool tableset_has_ptes(const struct tableset *set, unsigned long span);
int tableset_prepare(struct tableset *set, unsigned long span);
bool tableset_add_huge(struct tableset *set, unsigned long span, u64 frame, bool own);
int tableset_leaves(struct tableset *set, unsigned long span, struct leaves *leaves);
int tableset_copy(struct tableset *set, const struct tableset *from, unsigned long span);
bool tableset_clear(struct tableset *set, unsigned long first, unsigned long end);
int tableset_show(struct tableset *set, const struct tableset *from, unsigned long first,
		  unsigned long end, bool write, bool unused);
bool tableset_protect(struct tableset *set, unsigned long first, unsigned long end);
bool tableset_has_huge(const struct tableset *set, unsigned long span);
bool tableset_used(const struct tableset *set, unsigned long index);
bool tableset_comes_back(const struct tableset *set);
void tableset_stale(struct tableset *set, unsigned long gib);

/* share.c */
struct page *tableset_own_table(const struct tableset *set, unsigned long span, bool ptes);
bool tableset_shared(const struct tableset *set, unsigned long span, bool ptes);
struct page *tableset_frozen(const struct tableset *set, unsigned long span, bool ptes);
bool tableset_is_own(const struct tableset *set, unsigned long span, bool ptes);
struct displaced *displaced_new(struct tableset *set);
struct displaced *displaced_make(struct tableset *set, unsigned long span, bool ptes);
void displaced_each(const struct displaced *displaced, void *context,
		    void (*each)(void *context, unsigned int order, u64 frame));
void tableset_each(const struct tableset *set, unsigned long gib, void *context,
		   void (*each)(void *context, unsigned int order, u64 frame));
void displaced_free(struct displaced *displaced);
bool tableset_own(struct tableset *set, unsigned long span, bool ptes, struct displaced *displaced);
unsigned long tableset_freeze(struct tableset *set, unsigned long span, unsigned long end,
			      struct freezing *freezing);
bool tableset_drop(struct tableset *set, unsigned long span, bool whole,
		   struct displaced *displaced);
int tableset_share(struct tableset *set, struct tableset *clone, unsigned long gib, bool busy);
bool tableset_replace(struct tableset *set, unsigned long index, unsigned int order, u64 old,
		      u64 frame, bool own);
bool tableset_split(struct tableset *set, unsigned long first, u64 old, struct page *table,
		    const u64 *frames);
int tableset_meet(struct tableset *set, struct tableset *other);
void tableset_exchange(struct tableset *set, struct tableset *other);
void tableset_let_go(struct tableset *set);

/* reap.c */
void displaced_drop(struct displaced *displaced);
int tablesets_init(void);
void tablesets_exit(void);
void tableset_free(struct tableset *set);

/*
 * The PMD table of a GiB; NULL where there is none yet.  Another may take its place, but for who has
 * the map's sem, or splices' lock; for others it stays until the end of their RCU read section.
 */
static inline pmd_t *tableset_pmds(const struct tableset *set, unsigned long gib)
{
	const struct table_root *root = READ_ONCE(set->root);
	pud_t *puds = READ_ONCE(root->tops[gib / TOP_GIBS]), pud;

	if (!puds)
		return NULL;
	pud = READ_ONCE(puds[gib % TOP_GIBS]);
	return pud_shows_nothing(pud) ? NULL : pud_pgtable(pud);
}

/* Does a set that is a cache show all that the map has of a GiB?  Without the sem, a hint. */
static inline bool tableset_is_fresh(const struct tableset *set, unsigned long gib)
{
	return test_bit(gib, READ_ONCE(set->root)->fresh);
}

/* For how many GiBs it has room. */
static inline unsigned long tableset_gibs(const struct tableset *set)
{
	return READ_ONCE(set->root)->gibs;
}

static inline bool tableset_has_gib(const struct tableset *set, unsigned long gib)
{
	return tableset_pmds(set, gib);
}

#endif /* MORSEL_TABLESET_H */
