// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel has, as its headers tell: probe compiles each part by itself,
 * and where that works it defines COMPAT_HAVE_ and the part's name in features.h.
 *
 * Distributions bring changes to older kernels than the one that had them first,
 * so no version tells of these.  The comments name that one all the same.
 */
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/userfaultfd_k.h>

/* 6.16: what the constructors of tables are made of, which name no address space. */
#ifdef TEST_PAGETABLE_CTOR
bool test(struct ptdesc *ptdesc);
bool test(struct ptdesc *ptdesc)
{
	ptdesc_pmd_pts_init(ptdesc);
	__pagetable_ctor(ptdesc);
	pagetable_dtor(ptdesc);
	return pmd_ptlock_init(ptdesc);
}
#endif

/* 6.6 */
#ifdef TEST_PAGETABLE_PMD_CTOR
bool test(struct ptdesc *ptdesc);
bool test(struct ptdesc *ptdesc)
{
	pagetable_pmd_dtor(ptdesc);
	return pagetable_pmd_ctor(ptdesc);
}
#endif

/* 6.4: faults go without the mmap_lock. */
#ifdef TEST_VMA_START_WRITE
void test(struct vm_area_struct *vma);
void test(struct vm_area_struct *vma)
{
	vma_start_write(vma);
}
#endif

/* 6.18: there may be more flags than bits of a word. */
#ifdef TEST_MM_FLAGS_TEST
bool test(const struct mm_struct *mm);
bool test(const struct mm_struct *mm)
{
	return mm_flags_test(MMF_VM_HUGEPAGE, mm);
}
#endif

/* 6.3 */
#ifdef TEST_VM_FLAGS_SET
void test(struct vm_area_struct *vma);
void test(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_PFNMAP);
	vm_flags_clear(vma, VM_PFNMAP);
}
#endif

/* Until 6.6: huge faults are told the level, and not the order. */
#ifdef TEST_PAGE_ENTRY_SIZE
bool test(enum page_entry_size size);
bool test(enum page_entry_size size)
{
	return size == PE_SIZE_PMD;
}
#endif

/* Until 6.11; from then on there is a function, in a header, that counts the mappings of all pages of a folio. */
#ifdef TEST_PAGE_MAPCOUNT
int test(struct page *page);
int test(struct page *page)
{
	return page_mapcount(page);
}
#endif

/* 7.1 */
#ifdef TEST_ZAP_SPECIAL_VMA_RANGE
void test(struct vm_area_struct *vma);
void test(struct vm_area_struct *vma)
{
	zap_special_vma_range(vma, 0, PAGE_SIZE);
}
#endif

/* 6.4 */
#ifdef TEST_MM_VALID_PASID
bool test(struct mm_struct *mm);
bool test(struct mm_struct *mm)
{
	return mm_valid_pasid(mm);
}
#endif

/* 6.6: devices are told when the TLB is flushed, and not by every notifier. */
#ifdef TEST_ARCH_INVALIDATE_SECONDARY_TLBS
size_t test(void);
size_t test(void)
{
	return offsetof(struct mmu_notifier_ops, arch_invalidate_secondary_tlbs);
}
#endif

/* 6.15: address spaces that run on many processors have one identifier on all of them. */
#ifdef TEST_GLOBAL_ASID
bool test(struct mm_struct *mm);
bool test(struct mm_struct *mm)
{
	/* As the kernel itself reads it. */
	return smp_load_acquire(&mm->context.global_asid);
}
#endif

/* 6.10, with the address space as an argument, */
#ifdef TEST_MM_GET_UNMAPPED_AREA_OF
unsigned long test(struct mm_struct *mm, struct file *file);
unsigned long test(struct mm_struct *mm, struct file *file)
{
	return mm_get_unmapped_area(mm, file, 0, PAGE_SIZE, 0, 0);
}
#endif

/* and without, 7.1. */
#ifdef TEST_MM_GET_UNMAPPED_AREA
unsigned long test(struct file *file);
unsigned long test(struct file *file)
{
	return mm_get_unmapped_area(file, 0, PAGE_SIZE, 0, 0);
}
#endif

/* 6.5 */
#ifdef TEST_COPY_SPLICE_READ
void *test(void);
void *test(void)
{
	return copy_splice_read;
}
#endif

/* 6.3: mount idmappings were user namespaces. */
#ifdef TEST_MNT_IDMAP
struct mnt_idmap *test(void);
struct mnt_idmap *test(void)
{
	return &nop_mnt_idmap;
}
#endif

/* 6.6 */
#ifdef TEST_FC_EXCLUSIVE
bool test(struct fs_context *fc);
bool test(struct fs_context *fc)
{
	return fc->exclusive;
}
#endif

/* 6.6 */
#ifdef TEST_FILLATTR_MASK
void test(struct inode *inode, struct kstat *stat);
void test(struct inode *inode, struct kstat *stat)
{
	generic_fillattr(NULL, STATX_BASIC_STATS, inode, stat);
}
#endif

/* 6.6 */
#ifdef TEST_SIMPLE_INODE_INIT_TS
void test(struct inode *inode);
void test(struct inode *inode)
{
	simple_inode_init_ts(inode);
}
#endif

/* 7.0 */
#ifdef TEST_D_MAKE_PERSISTENT
void test(struct dentry *dentry, struct inode *inode);
void test(struct dentry *dentry, struct inode *inode)
{
	d_make_persistent(dentry, inode);
}
#endif

/* 6.19 */
#ifdef TEST_INODE_STATE
unsigned int test(struct inode *inode);
unsigned int test(struct inode *inode)
{
	inode_state_set(inode, I_LINKABLE);
	return inode_state_read(inode);
}
#endif

/* 6.3 */
#ifdef TEST_FILELOCK_H
#include <linux/filelock.h>
#endif

/* 6.17 */
#ifdef TEST_S_D_FLAGS
void test(struct super_block *sb);
void test(struct super_block *sb)
{
	sb->s_d_flags |= DCACHE_DONTCACHE;
}
#endif

/* Until 7.2. */
#ifdef TEST_CREATE_EXCL
void test(const struct inode_operations *ops);
void test(const struct inode_operations *ops)
{
	ops->create(NULL, NULL, NULL, 0, true);
}
#endif

/* 6.15 */
#ifdef TEST_MKDIR_DENTRY
void test(const struct inode_operations *ops);
void test(const struct inode_operations *ops)
{
	BUILD_BUG_ON(!__same_type(ops->mkdir(NULL, NULL, NULL, 0), struct dentry *));
}
#endif

/* 6.14: it was named after the array. */
#ifdef TEST_ALLOC_PAGES_BULK
unsigned long test(struct page **pages);
unsigned long test(struct page **pages)
{
	return alloc_pages_bulk(GFP_KERNEL, 1, pages);
}
#endif

/* 6.7: the kernel allocates shrinkers. */
#ifdef TEST_SHRINKER_ALLOC
void test(void);
void test(void)
{
	shrinker_register(shrinker_alloc(0, "test"));
}
#endif

/*
 * 7.2, and 6.12.105, 7.1.8 and others (CVE-2026-68166): userfaultfd leaves special
 * mappings alone, even where it only write-protects them.  It can be seen until
 * the function moves out of the header; see COMPAT_UFFD_WRITES_TABLES.
 */
#ifdef TEST_UFFD_LEAVES_SPECIAL
void test(void);
void test(void)
{
	static const struct vm_area_struct special = {.vm_flags = VM_MIXEDMAP};

	BUILD_BUG_ON(vma_can_userfault((struct vm_area_struct *)&special, VM_UFFD_WP, true));
}
#endif
