/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What attachments are made of, and what the files of this folder do for each other.
 */
#ifndef MORSEL_ATTACH_H
#define MORSEL_ATTACH_H

#include <linux/mmu_notifier.h>
#include <linux/path.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "morsel.h"

/**
 * struct attached_top - what is spliced into 512 GiB of addresses
 * @whole:	the P4D entry is ours; under the splices' lock, as all here,
 *		but is_spliced() looks without
 * @parked:	the P4D entry is parked
 * @kept:	the private PUD table whose place that took, or NULL.  Another
 *		thread's fault may still stand in it
 */
struct attached_top {
	bool whole;
	bool parked;
	struct page *kept;
};

/**
 * struct attached_gib - what a GiB of addresses needs that is not spliced as a
 * whole, or was not free
 * @kept:	if the PUD entry is ours, or parked, the private PMD table whose
 *		place that took, or NULL, as in struct attached_top
 * @entries:	else the PMD entries that are ours; under the splices' lock,
 *		but is_spliced() looks without
 * @parked:	the PMD entries that are parked
 * @paged:	spans where a table of the address space's own was found, which mremap() has
 *		put there: they are mapped page by page from then on, and nothing is spliced
 *		over them
 */
struct attached_gib {
	struct page *kept;
	DECLARE_BITMAP(entries, PTRS_PER_PMD);
	DECLARE_BITMAP(parked, PTRS_PER_PMD);
	DECLARE_BITMAP(paged, PTRS_PER_PMD);
};

/**
 * struct splices - what stands in an address space's tables
 * @lock:	protects all below, and orders splicing against the notifier
 * @first_gib:	address / 1 GiB of the first bit of the next two
 * @nr_gibs:	how many bits: those of the mapping in which the morsel may come to have pages
 * @whole:	PUD entries that are ours
 * @parked:	PUD entries that are parked
 * @gibs:	struct attached_gib by address / 1 GiB, where there is one
 * @first_top:	address / 512 GiB of the first of @tops
 * @nr_tops:	how many lie wholly in these
 * @tops:	these
 */
struct splices {
	spinlock_t lock;
	unsigned long first_gib;
	unsigned long nr_gibs;
	unsigned long *whole;
	unsigned long *parked;
	struct xarray gibs;
	unsigned long first_top;
	unsigned long nr_tops;
	struct attached_top *tops;
};

/**
 * struct space - an address space that has attachments
 * @node:	among all; under the spaces' lock (space.c), as @users and @listening
 * @mm:		the address space, with a reference
 * @attachments: its attachments; under its mmap_lock
 * @look:	sees that nobody looks at what was displaced
 * @vain:	how often that was in vain, one after the other
 * @khugepaged: khugepaged has a reference to it; once true, always
 * @users:	attachments that it has, or is about to have
 * @listening:	those of which the notifiers are sure to be there
 */
struct space {
	struct hlist_node node;
	struct mm_struct *mm;
	struct list_head attachments;
	struct delayed_work look;
	unsigned int vain;
	bool khugepaged;
	unsigned int users;
	unsigned int listening;
};

/**
 * struct attachment - a morsel in an address space
 * @space:	the address space, of which this is one
 * @notifier:	tells of what is about to happen to the range
 * @list:	in the morsel's @attached, under its @attached_lock
 * @in_space:	in the space's @attachments
 * @seen:	nobody looks at what the morsel displaced up to this epoch; under that lock
 * @asks:	its mappings ask before they write what of it may be shared (cow.c), or nobody will write by them;
 *		likewise
 * @m:		the morsel; the file of the VMAs holds it
 * @view:	how its holder sees it
 * @start:	first address
 * @end:	address after the last
 * @pgoff:	page of the morsel at @start
 * @vmas:	VMAs that share this attachment: more than one after a split
 * @devices:	devices walk the address space's tables, too; under the splices'
 *		lock
 * @flushing:	who takes entries out, until that is flushed; raised under that lock
 * @to_flush:	one of them is morsel_revoke()'s; under the morsel's
 *		@attached_lock, as the next two
 * @made:	the VMA that mmap() made it for, as long as that lives; else NULL
 * @unlinked:	that was not in the file's list when it was detached last
 * @populate:	it was made with MAP_POPULATE
 * @ending:	the address space is at its end, and flushed by the kernel before
 *		its mappings are closed
 * @splices:	what stands in the address space's tables
 */
struct attachment {
	struct space *space;
	struct mmu_interval_notifier notifier;
	struct list_head list;
	struct list_head in_space;
	unsigned long seen;
	enum map_shares asks;
	struct morsel *m;
	struct view *view;
	unsigned long start;
	unsigned long end;
	unsigned long pgoff;
	refcount_t vmas;
	bool devices;
	atomic_t flushing;
	bool to_flush;
	struct vm_area_struct *made;
	bool unlinked;
	bool populate;
	bool ending;
	struct splices splices;
};

/**
 * struct personal - what a morsel has that is the clone behind private mappings
 * @mm:		the address space that they are in, and no other has any
 * @vmas:	how many VMAs these are
 * @clone:	makes another one of it, for a child; ERR_PTR()
 * @file:	is what they map, and holds the morsel; given up with the last of them
 * @path:	what was mapped, as which they are shown; held, as for any file
 * @parent:	at fork it was made as a clone of this one, which has it as @heir; or NULL
 * @heir:	the clone that a child gets, or got last; these four under the heirs' lock (private.c)
 */
struct personal {
	struct mm_struct *mm;
	unsigned long vmas;
	struct morsel *(*clone)(struct morsel *m, struct mm_struct *mm);
	struct file *file;
	struct path path;
	struct morsel *parent;
	struct morsel *heir;
};

static inline unsigned long page_at(const struct vm_area_struct *vma, unsigned long addr)
{
	return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

/*
 * Do addresses of a mapping agree with the morsel's spans, so that those that it covers can be
 * spliced?
 */
static inline bool is_congruent(const struct vm_area_struct *vma)
{
	return !(((vma->vm_start >> PAGE_SHIFT) - vma->vm_pgoff) % SPAN_PAGES);
}

/* Is an address in such a span?  Else it is at the mapping's edge. */
static inline bool in_span(const struct vm_area_struct *vma, unsigned long addr)
{
	return is_congruent(vma) && (addr & PMD_MASK) >= vma->vm_start &&
	       (addr | ~PMD_MASK) < vma->vm_end;
}

/* Has a mapping any such span? */
static inline bool has_spans(const struct vm_area_struct *vma)
{
	return is_congruent(vma) &&
	       (vma->vm_start + PMD_SIZE - 1) >> PMD_SHIFT < vma->vm_end >> PMD_SHIFT;
}

/* Has it nothing else? */
static inline bool is_of_spans(const struct vm_area_struct *vma)
{
	return IS_ALIGNED(vma->vm_start | vma->vm_end, PMD_SIZE) &&
	       IS_ALIGNED(vma->vm_pgoff, SPAN_PAGES);
}

/* Does a mapping still have the place for which the attachment was allocated? */
static inline bool attachment_fits(const struct attachment *att, const struct vm_area_struct *vma)
{
	return att->start == vma->vm_start && att->end == vma->vm_end &&
	       att->pgoff == vma->vm_pgoff;
}

/* vma.c */
extern const struct vm_operations_struct morsel_vm_ops;
extern const struct vm_operations_struct morsel_huge_cow_vm_ops;
extern const struct vm_operations_struct morsel_cow_vm_ops;
extern const struct vm_operations_struct morsel_private_vm_ops;

int morsel_mmap(struct file *file, struct vm_area_struct *vma);
unsigned long morsel_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				       unsigned long pgoff, unsigned long flags);

/* fault.c */
vm_fault_t morsel_fault(struct vm_fault *vmf);
vm_fault_t morsel_private_fault(struct vm_fault *vmf);
void tell_of_writing(const struct vm_fault *vmf);

/* cow.c */
bool cow_is_due(const struct vm_area_struct *vma);
enum map_shares cow_asks(const struct vm_area_struct *vma);
bool cow_is_due_for_pages(const struct vm_area_struct *vma);
void cow_begin(struct vm_area_struct *vma, bool pages);
vm_fault_t morsel_page_mkwrite(struct vm_fault *vmf);
vm_fault_t morsel_huge_write(struct vm_fault *vmf, bool pmd);

/* private.c */
void private_begin(struct vm_area_struct *vma, struct morsel *clone);
int private_open(struct vm_area_struct *vma);
void private_close(struct vm_area_struct *vma);

/* edge.c */
vm_fault_t edge_fault(struct vm_fault *vmf, struct view *view);

/* attachment.c */
struct attachment *attachment_create(struct morsel *m, struct vm_area_struct *vma, bool made);
int attachment_add(struct attachment *att, struct vm_area_struct *vma, bool made);
void attachment_destroy(struct attachment *att);

/* space.c */
int spaces_init(void);
void spaces_exit(void);
void space_asks(struct attachment *att, const struct vm_area_struct *vma);
int spaces_ask(struct morsel *m);
int spaces_ask_below(struct morsel *m);
void spaces_unasked(struct morsel *m);
void space_displaced(struct morsel *m, struct displaced *displaced);
void space_displaced_file(struct morsel *m, struct file *file);
struct space *space_get(struct mm_struct *mm);
void space_put(struct space *space);
void space_add(struct attachment *att);
void space_remove(struct attachment *att);
bool nobody_else_listens(const struct attachment *att);

/* revoke.c */
int morsel_revoke(struct morsel *m, loff_t start, loff_t end,
		  void (*act)(struct view *view, struct hidden *hidden));
int morsel_truncate(struct morsel *m, loff_t start, loff_t end);
int morsel_cut(struct morsel *m, unsigned long index);
int morsel_share(struct morsel *m, struct map *clone, const struct gibs *gibs);
int morsel_exchange(struct morsel *m, struct map *other);
int morsel_hand_over(struct morsel *m, struct morsel *heir);
void space_succeeded(struct morsel *m, struct morsel *heir, void (*release)(void *heir));
void space_elder_gone(struct morsel *heir);
int spaces_wait_elder(struct morsel *m);
extern const struct map_reach morsel_map_reach;
void morsel_lost(struct view *view, unsigned long first, unsigned long end);
bool unsplice_range(struct attachment *att, unsigned long start, unsigned long end, bool gone);
void unsplice_span(struct attachment *att, unsigned long addr);
void unsplice_gone(struct attachment *att, unsigned long start, unsigned long end);
void flush_unspliced(struct attachment *att);
void walkers_keep_out(struct morsel *m);
void walkers_may_come(struct morsel *m);

/* splice.c */
struct attachment *attachment_alloc(struct morsel *m, struct vm_area_struct *vma);
void attachment_free(struct attachment *att);
bool splices_tops(void);
bool is_spliced(struct attachment *att, unsigned long addr);
bool is_huge_leaf(const struct vm_fault *vmf);
int splice_around(struct attachment *att, struct vm_area_struct *vma, unsigned long addr,
		  unsigned long seq);
void splice_all(struct attachment *att, struct vm_area_struct *vma);
unsigned long unsplice(struct attachment *att, unsigned long start, unsigned long end, bool gone);
bool may_cross(const struct attachment *att, unsigned long addr);
unsigned long unsplice_at(struct attachment *att, unsigned long addr);

/* tlb.c */
void morsel_forget_here(unsigned long addr);
void morsel_flush_mm(struct mm_struct *mm);
void morsel_flush_add(struct mm_struct *mm, struct cpumask *cpus);
void morsel_flush_cpus(const struct cpumask *cpus, unsigned int spaces);
void morsel_flush_page(const struct cpumask *cpus, unsigned int spaces, unsigned long addr);

#endif /* MORSEL_ATTACH_H */
