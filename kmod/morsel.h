/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Morsel: what its parts share.
 *
 *	uapi/		/dev/morsel and a morsel's ioctls: what user space calls
 *	object/		morsels: making, finding by id and name, freeing; their descriptors
 *	attach/		mmap: attaching to address spaces, faults, splicing, flushing
 *	map/		which frames a morsel has, in page tables
 *	tables/		pages of tables
 *	pools/		where frames come from, whatever their kind, and who pays
 *	frames/		the allocator of a pool's frames, which takes no lock
 *	compat/		what older kernels lack
 *	debug/		what only debug builds have
 *
 * Lock order, outermost first.  What each lock protects is said beside it.
 *
 *	morsel->punch_lock
 *	  i_mmap_rwsem (the kernel's), and morsel->attached_lock, see below
 *
 *	mm->mmap_lock
 *	  i_mmap_rwsem (the kernel's)	registry lock (names.c)	a fill lock (fill.c)
 *	    splices->lock, see below	  morsel->sem			  morsel->filling
 *					    pool list lock (pool.c)	    a frame's lock,
 *					      list of dram pools	    morsel->sem
 *						a dram pool's growing lock
 *						  giving lock
 *						    a quarantine's reaping lock
 *						      its lock, accounts' lock,
 *						      payers' lock
 *	  morsel->attached_lock
 *	    splices->lock (attach/attach.h)
 *	      mm->page_table_lock, then a PMD table's lock
 *
 * Where the kernel calls us with i_mmap_rwsem held, we take no lock but the
 * attachment's and what follows that.  At the end of an address space it calls us
 * with none, and we take the mmap_lock.  Faults, with that held, wait for a punch
 * to end, which takes no mmap_lock.
 */
#ifndef MORSEL_H
#define MORSEL_H

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rhashtable-types.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

#include "morsel_ioctl.h"
#include "tables/table.h"

/* Largest morsel: half of what a process can address with four levels. */
#define MORSEL_MAX_LENGTH (64ULL << 40)

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

/* log2 of the pages in a huge frame */
#define HUGE_ORDER (PMD_SHIFT - PAGE_SHIFT)

/**
 * enum morsel_rights - the rights that a set of tables gives
 * @RIGHTS_RW:	reading and writing: the truth, which alone owns frames
 * @RIGHTS_RO:	reading
 * @RIGHTS_RWX:	reading, writing, executing
 * @RIGHTS_ROX:	reading, executing
 * @NR_RIGHTS:	how many there are
 *
 * A right must be true in the leaf: get_user_pages_fast() looks at nothing else
 * for writing, and the kernel takes an upper entry with the no-execute bit for
 * a bad one (pud_bad()).  So each set of rights in use has its own tables,
 * twins of the truth, filled from it on demand.
 */
enum morsel_rights { RIGHTS_RW, RIGHTS_RO, RIGHTS_RWX, RIGHTS_ROX, NR_RIGHTS };

static inline enum morsel_rights rights_of(unsigned long vm_flags)
{
	return (vm_flags & VM_WRITE ? 0 : RIGHTS_RO) | (vm_flags & VM_EXEC ? RIGHTS_RWX : 0);
}

struct account;
struct dead_tables;

/**
 * struct morsel - a memory object
 * @inode:	its life: descriptors, mappings and the name hold references
 * @id:		never used twice
 * @pages:	length in pages, rounded up; the length in bytes is @inode's size
 * @granule:	MORSEL_GRANULE_*
 * @fault_around: pages that a fault fills at once, a power of two
 * @account:	where frames and tables come from, and who pays for them
 * @charged:	the payer pays for the morsel itself, too
 * @name:	"" or the name; fixed once created
 * @named:	it is in the directory; under the registry lock
 * @name_node:	in the directory, by @name; under the registry lock
 * @frame_mapping: what its frames say they belong to, so that futexes in them
 *		are the same ones in all processes.  It knows of no VMA: the
 *		kernel must not get from a frame to the tables that map it
 * @dead:	what subtree.c will need to free the tables
 * @tops:	per rights, PUD entries per 512 GiB, or NULL; they go from NULL to
 *		entries once, by cmpxchg, and so do the entries from showing
 *		nothing to PMD tables.  Those of 512 whole GiBs are a table
 * @fresh:	per twin, a bit per GiB: it shows all that the truth has
 * @by_spans:	PTE tables have been spliced by entries that may change while
 *		somebody looks (!COMPAT_PMD_ENTRIES_GO); once true, always
 * @sem:	held for reading to add entries or to use what they map, for
 *		writing to remove them
 * @filling:	held for reading to get frames and add them, for writing to find
 *		out whether there are none
 * @punch_first: first page that is being punched; under @sem, as the next
 * @punch_end:	page after the last, 0: there are none
 * @frames:	frames of 4 KiB in the truth
 * @faults:	faults taken in all attachments
 * @huge:	frames of 2 MiB in the truth
 * @nr_tables:	pages of tables, twins included
 * @punch_lock:	one punch at a time
 * @punched:	who waits for its end
 * @attachments: attachments now
 * @attached_lock: protects @attached and @flush_cpus
 * @attached:	the attachments
 * @flush_cpus:	where those to be flushed are gathered
 */
struct morsel {
	struct inode inode;
	u64 id;
	unsigned long pages;
	u32 granule;
	unsigned int fault_around;
	struct account *account;
	bool charged;
	char name[MORSEL_NAME_MAX];
	bool named;
	struct rhash_head name_node;

	struct address_space frame_mapping;
	struct dead_tables *dead;
	pud_t **tops[NR_RIGHTS];
	unsigned long *fresh[NR_RIGHTS];
	bool by_spans;

	/* What each fault writes to: together, and apart from what it only reads. */
	struct rw_semaphore sem ____cacheline_aligned_in_smp;
	struct rw_semaphore filling;
	unsigned long punch_first;
	unsigned long punch_end;
	atomic_long_t frames;
	atomic64_t faults;

	atomic_long_t huge ____cacheline_aligned_in_smp;
	atomic_long_t nr_tables;
	struct mutex punch_lock;
	wait_queue_head_t punched;
	atomic_t attachments;
	struct mutex attached_lock;
	struct list_head attached;
	cpumask_var_t flush_cpus;
};

static inline struct morsel *to_morsel(const struct inode *inode)
{
	return container_of(inode, struct morsel, inode);
}

static inline struct morsel *file_morsel(const struct file *file)
{
	return to_morsel(file_inode(file));
}

static inline bool morsel_fault_around_valid(u32 bytes)
{
	return is_power_of_2(bytes) && bytes >= PAGE_SIZE && bytes <= PMD_SIZE;
}

static inline unsigned long morsel_gibs(const struct morsel *m)
{
	return DIV_ROUND_UP(m->pages, GIB_PAGES);
}

/* The PUD entries of a top; NULL where there are none yet. */
static inline pud_t *morsel_top(const struct morsel *m, enum morsel_rights rights,
				unsigned long top)
{
	pud_t **tops = READ_ONCE(m->tops[rights]);

	return tops ? READ_ONCE(tops[top]) : NULL;
}

/* The PMD table of a GiB; NULL where there is none yet. */
static inline pmd_t *morsel_pmds(const struct morsel *m, enum morsel_rights rights,
				 unsigned long gib)
{
	pud_t *puds = morsel_top(m, rights, gib / TOP_GIBS), pud;

	if (!puds)
		return NULL;
	pud = READ_ONCE(puds[gib % TOP_GIBS]);
	return pud_shows_nothing(pud) ? NULL : pud_pgtable(pud);
}

/* A twin is asked for in the header's words: any set of tables but the truth. */
static inline bool morsel_has_twin(const struct morsel *m)
{
	return READ_ONCE(m->tops[RIGHTS_RO]) || READ_ONCE(m->tops[RIGHTS_RWX]) ||
	       READ_ONCE(m->tops[RIGHTS_ROX]);
}

#endif /* MORSEL_H */
