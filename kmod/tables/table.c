// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of page-table entries: making and freeing them, and those without entries.
 */
#include <linux/mm.h>
#include <linux/string.h>

#include "pools/source.h"
#include "tables/table.h"

struct page *morsel_no_puds;
struct page *morsel_no_pmds;
struct page *morsel_no_ptes;
pud_t morsel_no_pud;

/**
 * table_take() - get a page of tables
 * @source:	from where, and who pays
 * Return: the page, without entries, or NULL.
 */
struct page *table_take(struct source *source)
{
	struct page *table = source_take_table(source);

	if (table && !compat_table_ctor(table)) {
		account_give_table(table);
		return NULL;
	}
	if (table)
		atomic_long_set(table_owners(table), 0);
	return table;
}

/**
 * table_give() - give a page of tables back that no walker can be in any more
 * @table: the page
 */
void table_give(struct page *table)
{
	compat_table_dtor(table);
	account_give_table(table);
}

/* A table that belongs to no morsel. */
static struct page *table_make(void)
{
	struct page *table = alloc_page(GFP_KERNEL | __GFP_ZERO);

	if (table && !compat_table_ctor(table)) {
		__free_page(table);
		return NULL;
	}
	return table;
}

static void table_free(struct page *table)
{
	if (!table)
		return;
	compat_table_dtor(table);
	__free_page(table);
}

/**
 * morsel_puds_clear() - have PUD entries show nothing
 * @puds:	the first one
 * @count:	how many
 */
void morsel_puds_clear(pud_t *puds, unsigned int count)
{
	memset64((u64 *)puds, pud_val(morsel_no_pud), count);
}

/**
 * morsel_tables_init() - make the tables that show nothing
 * Return: 0 or -ENOMEM.
 */
int morsel_tables_init(void)
{
	morsel_no_puds = table_make();
	morsel_no_pmds = table_make();
	morsel_no_ptes = table_make();
	if (morsel_no_puds && morsel_no_pmds && morsel_no_ptes) {
		morsel_no_pud = __pud(table_entry(page_address(morsel_no_pmds)));
		morsel_puds_clear(page_address(morsel_no_puds), PTRS_PER_PUD);
		return 0;
	}
	table_free(morsel_no_puds);
	table_free(morsel_no_pmds);
	table_free(morsel_no_ptes);
	return -ENOMEM;
}

/* A table that was shared by all: somebody may have taken it for one of their own. */
static void free_unchanged(struct page *table, unsigned long entry)
{
	unsigned long *entries = page_address(table);
	int i;

	for (i = 0; i < PTRS_PER_PTE && entries[i] == entry; i++)
		;
	WARN(i < PTRS_PER_PTE, "morsel: something was written to a table that is shared by all\n");
	table_free(table);
}

/**
 * morsel_tables_exit() - nobody uses a table any more
 */
void morsel_tables_exit(void)
{
	/* A walker without locks may have seen an entry that was parked. */
	synchronize_rcu();
	free_unchanged(morsel_no_puds, pud_val(morsel_no_pud));
	free_unchanged(morsel_no_pmds, 0);
	free_unchanged(morsel_no_ptes, 0);
}
