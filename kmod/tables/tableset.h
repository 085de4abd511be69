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
 */
struct leaf {
	u64 frame;
	unsigned int order;
	bool present;
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
pud_t *tableset_puds(const struct tableset *set, unsigned long top);
pmd_t tableset_span(const struct tableset *set, unsigned long span);
struct leaf tableset_look(const struct tableset *set, unsigned long index);
void tableset_pages(const struct tableset *set, unsigned long first, unsigned long end,
		    struct page **pages);
unsigned int tableset_holes(const struct tableset *set, unsigned long first, unsigned long end,
			    bool *empty);
bool tableset_has_ptes(const struct tableset *set, unsigned long span);
int tableset_prepare(struct tableset *set, unsigned long span);
bool tableset_add_huge(struct tableset *set, unsigned long span, u64 frame);
int tableset_leaves(struct tableset *set, unsigned long span, struct leaves *leaves);
int tableset_copy(struct tableset *set, const struct tableset *from, unsigned long span);
bool tableset_clear(struct tableset *set, unsigned long first, unsigned long end);
bool tableset_comes_back(const struct tableset *set);
void tableset_stale(struct tableset *set, unsigned long gib);

/* reap.c */
int tablesets_init(void);
void tablesets_exit(void);
void tableset_free(struct tableset *set);

/* The PMD table of a GiB; NULL where there is none yet. */
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
