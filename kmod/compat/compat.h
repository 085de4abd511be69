/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that Morsel builds on, and nothing else.
 *
 * The code is written for the newest kernel; this header, included before every
 * file by Kbuild, gives older ones what they lack.  What these have is tried out
 * (tests.c); a version is asked for only where kernels behave differently without
 * looking so.  No other file may ask for either.
 */
#ifndef MORSEL_COMPAT_H
#define MORSEL_COMPAT_H

#include <linux/khugepaged.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page_table_check.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/version.h>
#include <linux/vmstat.h>

#include "features.h"

/* Leases were in fs.h before 6.3. */
#ifdef COMPAT_HAVE_FILELOCK_H
#include <linux/filelock.h>
#endif

/*
 * Page-table pages.  The kernel's own constructors name init_mm, which is not
 * exported, from 6.16 on; what they are made of is there for modules on every
 * kernel.
 */
#if defined(COMPAT_HAVE_PAGETABLE_CTOR)
static inline bool compat_table_ctor(struct page *page)
{
	struct ptdesc *ptdesc = page_ptdesc(page);

	if (!pmd_ptlock_init(ptdesc))
		return false;
	ptdesc_pmd_pts_init(ptdesc);
	__pagetable_ctor(ptdesc);
	return true;
}

static inline void compat_table_dtor(struct page *page)
{
	pagetable_dtor(page_ptdesc(page));
}
#elif defined(COMPAT_HAVE_PAGETABLE_PMD_CTOR)
static inline bool compat_table_ctor(struct page *page)
{
	return pagetable_pmd_ctor(page_ptdesc(page));
}

static inline void compat_table_dtor(struct page *page)
{
	pagetable_pmd_dtor(page_ptdesc(page));
}
#else
static inline bool compat_table_ctor(struct page *page)
{
	return pgtable_pmd_page_ctor(page);
}

static inline void compat_table_dtor(struct page *page)
{
	pgtable_pmd_page_dtor(page);
}
#endif

/* Do PMD tables have locks of their own?  Not on kernels built for fewer than 4 processors. */
#ifdef USE_SPLIT_PMD_PTLOCKS
#define COMPAT_PMD_TABLE_LOCKS USE_SPLIT_PMD_PTLOCKS
#else
#define COMPAT_PMD_TABLE_LOCKS IS_ENABLED(CONFIG_SPLIT_PMD_PTLOCKS)
#endif

/*
 * From 6.5 on, who looks at a PTE table is ready for its PMD entry to have gone;
 * and from 6.14 on, the kernel frees PTE tables that it finds without entries.
 * That is true of the kernel as a whole, and of no function that could be tried.
 */
/*
 * dup_mmap() takes the file that it finds after it has called open: from 6.9 on, and in what of 6.1 was looked at.  Stable
 * kernels in between may have it or not.
 */
#define COMPAT_OPEN_GIVES_FILE                                                                     \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0) ||                                          \
	 (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 192) &&                                       \
	  LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)))

#define COMPAT_PMD_ENTRIES_GO (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0))

/*
 * May somebody rely on a PMD entry after it was taken out, as it pointed to a table?
 * Then it is parked.
 */
static inline bool compat_relied_on(pmd_t pmd)
{
	return !COMPAT_PMD_ENTRIES_GO && !(pmd_val(pmd) & _PAGE_PSE);
}

/*
 * The lock under which generic code relies on the leaf, or the leaves, that a PMD
 * entry of a shared table leads to.  Where tables have no lock of their own, that code
 * takes the address space's, of which there are many, and this is none.
 */
static inline spinlock_t *compat_leaf_lock(pmd_t *pmdp)
{
	static DEFINE_SPINLOCK(none);

	if (!COMPAT_PMD_TABLE_LOCKS)
		return &none;
	return pmd_val(*pmdp) & _PAGE_PSE ? pmd_lockptr(NULL, pmdp) : pte_lockptr(NULL, pmdp);
}

/* The same, of all huge leaves of a PMD table. */
static inline spinlock_t *compat_huge_lock(pmd_t *pmds)
{
	static DEFINE_SPINLOCK(none);

	return COMPAT_PMD_TABLE_LOCKS ? pmd_lockptr(NULL, pmds) : &none;
}

/*
 * May who saw a small leaf before it was taken out write it again, as generic code takes
 * another lock than compat_leaf_lock()?  Where tables have none of their own; and on old
 * kernels, where the PMD entry changes between its look at the table and its look for
 * the lock: @relied_on: such entries have pointed to the table.
 */
static inline bool compat_leaves_come_back(bool relied_on)
{
	return !COMPAT_PMD_TABLE_LOCKS || (!COMPAT_PMD_ENTRIES_GO && relied_on);
}

/* Faults do not go without the mmap_lock before 6.4. */
#ifndef COMPAT_HAVE_VMA_START_WRITE
static inline void vma_start_write(struct vm_area_struct *vma)
{
}
#endif

/* Flags of a VMA became read-only in 6.3. */
#ifndef COMPAT_HAVE_MM_FLAGS_TEST
#define mm_flags_test(flag, mm) test_bit(flag, &(mm)->flags)
#endif

#ifndef COMPAT_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/*
 * Zapping had another name before 7.1, and was for mappings of the kind that has
 * no pages.
 */
#ifndef COMPAT_HAVE_ZAP_SPECIAL_VMA_RANGE
static inline void zap_special_vma_range(struct vm_area_struct *vma, unsigned long address,
					 unsigned long size)
{
	vm_flags_set(vma, VM_PFNMAP);
	zap_vma_ptes(vma, address, size);
	vm_flags_clear(vma, VM_PFNMAP);
}
#endif

/* Faults of huge leaves are told the size, which has been an order since 6.6: is it that of a PMD entry? */
#ifndef COMPAT_HAVE_PAGE_ENTRY_SIZE
#define COMPAT_HUGE_FAULT(operation, function)                                \
	static vm_fault_t operation(struct vm_fault *vmf, unsigned int order) \
	{                                                                     \
		return function(vmf, order == PMD_ORDER);                     \
	}
#else
#define COMPAT_HUGE_FAULT(operation, function)                                       \
	static vm_fault_t operation(struct vm_fault *vmf, enum page_entry_size size) \
	{                                                                            \
		return function(vmf, size == PE_SIZE_PMD);                           \
	}
#endif

/* How often pages of a frame are mapped, one by one. */
static inline unsigned int compat_mappings(struct page *page, unsigned int order)
{
#ifdef COMPAT_HAVE_PAGE_MAPCOUNT
	unsigned int mappings = 0, i;

	for (i = 0; i < 1U << order; i++)
		mappings += page_mapcount(page + i);
	return mappings;
#else
	return folio_mapcount(page_folio(page));
#endif
}

/* Do devices walk the address space's tables? */
static inline bool compat_devices_walk(struct mm_struct *mm)
{
#if defined(COMPAT_HAVE_MM_VALID_PASID)
	return mm_valid_pasid(mm);
#elif defined(CONFIG_IOMMU_SVA)
	return pasid_valid(mm->pasid);
#else
	return false;
#endif
}

/* Before 6.6, the notifiers told them whenever anybody was told. */
#ifdef COMPAT_HAVE_ARCH_INVALIDATE_SECONDARY_TLBS
#define COMPAT_DEVICES_HEAR_OF_FLUSHES_ALONE 1
#else
#define COMPAT_DEVICES_HEAR_OF_FLUSHES_ALONE 0
#endif

/*
 * The search for an address range has had three names; 7.1 took its mm argument
 * away.
 */
#if defined(COMPAT_HAVE_MM_GET_UNMAPPED_AREA)
#define compat_get_unmapped_area(file, addr, len, pgoff, flags) \
	mm_get_unmapped_area(file, addr, len, pgoff, flags)
#elif defined(COMPAT_HAVE_MM_GET_UNMAPPED_AREA_OF)
#define compat_get_unmapped_area(file, addr, len, pgoff, flags) \
	mm_get_unmapped_area(current->mm, file, addr, len, pgoff, flags)
#else
#define compat_get_unmapped_area(file, addr, len, pgoff, flags) \
	current->mm->get_unmapped_area(file, addr, len, pgoff, flags)
#endif

/* splice() out of a file without a page cache. */
#ifndef COMPAT_HAVE_COPY_SPLICE_READ
#define copy_splice_read generic_file_splice_read
#endif

/* Mount idmappings were user namespaces before 6.3. */
#ifndef COMPAT_HAVE_MNT_IDMAP
#define mnt_idmap user_namespace
#define nop_mnt_idmap init_user_ns
#endif

#ifdef COMPAT_HAVE_FILLATTR_MASK
#define compat_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, mask, inode, stat)
#else
#define compat_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, inode, stat)
#endif

/* Is a file system to be mounted only if it is new?  Nobody could say so before 6.6. */
#ifdef COMPAT_HAVE_FC_EXCLUSIVE
#define compat_wants_new(fc) ((fc)->exclusive)
#else
#define compat_wants_new(fc) ((void)(fc), false)
#endif

#ifndef COMPAT_HAVE_SIMPLE_INODE_INIT_TS
static inline void simple_inode_init_ts(struct inode *inode)
{
	inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
}
#endif

/* A folder has changed; times of inodes were fields before 6.6. */
static inline void compat_touch_dir(struct inode *dir)
{
#ifdef COMPAT_HAVE_SIMPLE_INODE_INIT_TS
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
#else
	dir->i_mtime = dir->i_ctime = current_time(dir);
#endif
}

/* What an inode's state is was a number before 6.19. */
#ifndef COMPAT_HAVE_INODE_STATE
static inline unsigned int inode_state_read(struct inode *inode)
{
	return inode->i_state;
}

static inline void inode_state_set(struct inode *inode, unsigned int flags)
{
	WRITE_ONCE(inode->i_state, inode->i_state | flags);
}
#endif

/* What holds dentries of file systems without a disk has had names of its own since 7.0. */
#ifndef COMPAT_HAVE_D_MAKE_PERSISTENT
static inline void d_make_persistent(struct dentry *dentry, struct inode *inode)
{
	d_instantiate(dentry, inode);
	dget(dentry);
}

/* The same for one that has its inode. */
static inline void compat_keep_dentry(struct dentry *dentry)
{
	dget(dentry);
}
#else
#define kill_litter_super kill_anon_super

static inline void compat_keep_dentry(struct dentry *dentry)
{
	spin_lock(&dentry->d_lock);
	dentry->d_flags |= DCACHE_PERSISTENT;
	dget_dlock(dentry);
	spin_unlock(&dentry->d_lock);
}
#endif

/* That a name is not there is not remembered: a flag of all dentries since 6.17. */
static inline void compat_forget_negatives(struct super_block *sb)
{
#ifdef COMPAT_HAVE_S_D_FLAGS
	sb->s_d_flags |= DCACHE_DONTCACHE;
#else
	sb->s_d_op = &simple_dentry_operations;
#endif
}

/* The list of an inode's dentries has had a name since 7.0. */
#ifndef for_each_alias
#define for_each_alias(dentry, inode) hlist_for_each_entry(dentry, &(inode)->i_dentry, d_u.d_alias)
#endif

/* An inode's operation that makes a file was told whether it must be new, before 7.3. */
#ifdef COMPAT_HAVE_CREATE_EXCL
#define COMPAT_CREATE(operation, function)                                                      \
	static int operation(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, \
			     umode_t mode, bool excl)                                           \
	{                                                                                       \
		return function(idmap, dir, dentry, mode);                                      \
	}
#else
#define COMPAT_CREATE(operation, function)                                                      \
	static int operation(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, \
			     umode_t mode)                                                      \
	{                                                                                       \
		return function(idmap, dir, dentry, mode);                                      \
	}
#endif

/* Making a folder returns its dentry, or NULL for the one given, from 6.15 on. */
#ifdef COMPAT_HAVE_MKDIR_DENTRY
#define compat_mkdir_t struct dentry *
#define compat_mkdir_error(err) ERR_PTR(err)
#else
#define compat_mkdir_t int
#define compat_mkdir_error(err) (err)
#endif

/* Getting many pages at once was named after the array before 6.14. */
#ifndef COMPAT_HAVE_ALLOC_PAGES_BULK
#define alloc_pages_bulk(gfp, count, pages) alloc_pages_bulk_array(gfp, count, pages)
#endif

/* A shrinker is allocated by the kernel from 6.7 on. */
#ifndef COMPAT_HAVE_SHRINKER_ALLOC
#include <linux/slab.h>

static inline struct shrinker *compat_shrinker_alloc(const char *name)
{
	return kzalloc(sizeof(struct shrinker), GFP_KERNEL);
}

static inline int compat_shrinker_register(struct shrinker *shrinker, const char *name)
{
	shrinker->seeks = DEFAULT_SEEKS;
	return register_shrinker(shrinker, "%s", name);
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}
#else
static inline struct shrinker *compat_shrinker_alloc(const char *name)
{
	return shrinker_alloc(0, "%s", name);
}

static inline int compat_shrinker_register(struct shrinker *shrinker, const char *name)
{
	shrinker_register(shrinker);
	return 0;
}
#endif

/*
 * Processors that broadcast TLB flushes (AMD, from 6.15) translate address spaces that run on
 * many of them with an identifier that the generation of an mm does not reach.
 */
static inline bool compat_global_asid(struct mm_struct *mm)
{
#ifdef COMPAT_HAVE_GLOBAL_ASID
	/* As mm_global_asid(), which is not for modules. */
	return smp_load_acquire(&mm->context.global_asid);
#elif defined(X86_FEATURE_INVLPGB)
	return boot_cpu_has(X86_FEATURE_INVLPGB);
#else
	return false;
#endif
}

/*
 * Does the kernel count what is written to tables, and would it miss us?  On
 * some kernel after 6.12, MADV_COLD began to take huge leaves out by functions
 * that count.  No header tells.
 */
static inline bool compat_counts_entries(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0) && defined(CONFIG_PAGE_TABLE_CHECK)
	return !static_branch_likely(&page_table_check_disabled);
#else
	return false;
#endif
}

/*
 * May userfaultfd write into tables of ours?  From 6.7 on it write-protects
 * mappings of any kind, and makes tables for that where it finds none, which would
 * be below the table that all parked entries share.  Mended for special mappings
 * in 7.2 and in stable kernels of summer 2026 (CVE-2026-68166).
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0) || !defined(CONFIG_PTE_MARKER_UFFD_WP) || \
	defined(COMPAT_HAVE_UFFD_LEAVES_SPECIAL) || LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 8)
#define COMPAT_UFFD_WRITES_TABLES 0
#else
#define COMPAT_UFFD_WRITES_TABLES 1
#endif

#endif /* MORSEL_COMPAT_H */
