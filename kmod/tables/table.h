/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of page-table entries, and those without any, which are shared by all.
 */
#ifndef MORSEL_TABLE_H
#define MORSEL_TABLE_H

#include <linux/mm_types.h>
#include <linux/pgtable.h>

struct source;

/*
 * Tables that show nothing.  A PUD table has no empty entries: generic code would
 * put tables of its own there, and the table may be in several address spaces.
 * Each entry that has no PMD table of a morsel points to the empty one.
 */
extern struct page *morsel_no_puds;
extern struct page *morsel_no_pmds;
extern struct page *morsel_no_ptes;
/* A PUD entry below which nothing is. */
extern pud_t morsel_no_pud;

/* What an upper entry is to hold that points to a table; the same at each level. */
static inline unsigned long table_entry(const void *table)
{
	return __pa(table) | _PAGE_TABLE;
}

/*
 * How many maps have a table that does not change any more, as clones share it; 0: it is one map's, and
 * may change.  Where nobody else has it, nobody gets it but from who has.
 */
static inline atomic_long_t *table_owners(struct page *table)
{
	static_assert(sizeof_field(struct folio, index) == sizeof(atomic_long_t));

	return (atomic_long_t *)&((struct folio *)table)->index;
}

static inline bool table_frozen(struct page *table)
{
	return atomic_long_read(table_owners(table));
}

/* It changes no more. */
static inline void table_freeze(struct page *table)
{
	atomic_long_set(table_owners(table), 1);
}

/* It may change again, if nobody else has it. */
static inline bool table_thaw(struct page *table)
{
	return atomic_long_cmpxchg(table_owners(table), 1, 0) == 1;
}

/* Somebody else has it, too. */
static inline void table_share(struct page *table)
{
	atomic_long_inc(table_owners(table));
}

/* Somebody has it no more; was that the last one? */
static inline bool table_unshare(struct page *table)
{
	return !table_frozen(table) || atomic_long_dec_and_test(table_owners(table));
}

static inline bool pud_shows_nothing(pud_t pud)
{
	return pud_val(pud) == pud_val(morsel_no_pud);
}

int morsel_tables_init(void);
void morsel_tables_exit(void);
struct page *table_take(struct source *source);
void table_give(struct page *table);
void morsel_puds_clear(pud_t *puds, unsigned int count);

#endif /* MORSEL_TABLE_H */
