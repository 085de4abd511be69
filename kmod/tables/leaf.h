/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entries of tables.
 *
 * Leaves are written without the kernel's set_pte_at() and friends: these
 * account for mappings of a page in one address space, and a shared table
 * belongs to none.
 */
#ifndef MORSEL_LEAF_H
#define MORSEL_LEAF_H

#include <linux/mm.h>
#include <linux/pgtable.h>

#include "tables/tableset.h"

/* What a leaf allows, of a frame that nobody else has (@own), or that only is to be read. */
static inline pgprot_t rights_prot(enum morsel_rights rights, bool own)
{
	bool write = own && rights_write(rights);
	bool exec = rights == RIGHTS_RWX || rights == RIGHTS_ROX;
	pgprot_t prot = vm_get_page_prot(VM_SHARED | VM_READ | (write ? VM_WRITE : 0) |
					 (exec ? VM_EXEC : 0));

	/*
	 * Dirty from the start, so that no processor has to write to a shared
	 * table; never dirty and read-only, which means shadow stack.
	 */
	return write ? __pgprot(pgprot_val(prot) | _PAGE_DIRTY) : prot;
}

static inline pmd_t pmd_leaf_entry(u64 frame, enum morsel_rights rights, bool own)
{
	return pmd_mkhuge(pfn_pmd(frame, rights_prot(rights, own)));
}

/*
 * Entries are words as the hardware reads them, and not as a hypervisor would have them, where the module does
 * not load: who clones looks at each.
 */

/* Is a leaf of the truth one that nobody else has?  It may be invalid for a moment. */
static inline bool pmd_is_own(pmd_t pmd)
{
	return native_pmd_val(pmd) & _PAGE_RW;
}

static inline bool pte_is_own(pte_t pte)
{
	return native_pte_val(pte) & _PAGE_RW;
}

/* A leaf as it is, but for reading. */
static inline pmd_t pmd_for_reading(pmd_t pmd)
{
	return native_make_pmd(native_pmd_val(pmd) & ~(pmdval_t)(_PAGE_RW | _PAGE_DIRTY));
}

static inline pte_t pte_for_reading(pte_t pte)
{
	return native_make_pte(native_pte_val(pte) & ~(pteval_t)(_PAGE_RW | _PAGE_DIRTY));
}

static inline bool pmd_is_leaf(pmd_t pmd)
{
	return native_pmd_val(pmd) & _PAGE_PSE;
}

static inline pte_t *pmd_ptes(pmd_t pmd)
{
	return (pte_t *)pmd_page_vaddr(pmd);
}

/* Add an entry where there is none; false if somebody else was first. */
static inline bool pmd_add(pmd_t *pmdp, pmd_t pmd)
{
	return !cmpxchg((pmdval_t *)pmdp, 0, pmd_val(pmd));
}

#endif /* MORSEL_LEAF_H */
