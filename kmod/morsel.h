/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Morsel: what its parts share.
 *
 *	uapi/		/dev/morsel and a morsel's ioctls: what user space calls
 *	object/		morsels: making, finding by id and name, freeing; their descriptors
 *	attach/		mmap: attaching to address spaces, faults, splicing, flushing
 *	view/		how the holder of a descriptor sees a morsel
 *	map/		which frames a morsel has
 *	tables/		pages of tables
 *	pools/		where frames come from, whatever their kind, and who pays
 *	frames/		the allocator of a pool's frames, which takes no lock
 *	compat/		what older kernels lack
 *	debug/		what only debug builds have
 *
 * Lock order, outermost first.  What each lock protects is said beside it.
 *
 *	a folder's i_rwsem (the kernel's): names
 *	  the inode's i_rwsem: its size
 *	    a range that is closed, or the mmap_lock, see both below
 *
 *	a range that is closed at a map's gate
 *	  i_mmap_rwsem (the kernel's), and morsel->attached_lock, see below
 *	  map->sem
 *	    gate->lock
 *	  a frame's lock (who has one waits at no gate), a quarantine's reaping lock
 *	    map->sem
 *
 *	mm->mmap_lock
 *	  i_mmap_rwsem (the kernel's)	registry lock (names.c)	a fill lock (fill.c)
 *	    splices->lock, see below	  map->sem			  map->filling
 *					    pool list lock (pool.c)	    a frame's lock,
 *					      list of dram pools	    map->sem
 *						a dram pool's growing lock
 *						  giving lock
 *						    a quarantine's reaping lock
 *						      its lock, accounts' lock,
 *						      payers' lock
 *	  morsel->attached_lock
 *	    splices->lock (attach/attach.h)
 *	      mm->page_table_lock, then a PMD table's lock
 *
 * While the map's sem is held for reading, edges take the locks of the address space's own tables.
 *
 * With the mmap_lock held for writing, a clone may be made of what is mapped privately: then others' i_rwsem and mmap_locks
 * are tried alone.  The heirs' lock (attach/private.c) is taken last.
 *
 * The lock of holds (holds.c) is taken last, with or without the registry lock.
 *
 * Where the kernel calls us with i_mmap_rwsem held, we take no lock but the
 * attachment's and what follows that.  At the end of an address space it calls us
 * with none, and we take the mmap_lock.  Faults let go of that before they wait for a closed
 * range to be opened, but for those that may not; who has closed one takes no mmap_lock.  Waiting
 * for tables on their way out (outgoing->lock) is done with no lock held.
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
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "morsel_ioctl.h"
#include "map/map.h"
#include "view/view.h"

/* Largest morsel: half of what a process can address with four levels. */
#define MORSEL_MAX_LENGTH (64ULL << 40)
#define MORSEL_MAX_PAGES ((unsigned long)(MORSEL_MAX_LENGTH >> PAGE_SHIFT))

struct parties;
struct personal;

/**
 * struct morsel - a memory object
 * @inode:	its life: descriptors, mappings and names hold references; its size is
 *		the length in bytes
 * @id:		never used twice
 * @dump:	its shared mappings are in core dumps
 * @reserves:	all of it is reserved, also as it grows; under the inode's lock
 * @created:	CREATE gave it a name; never changes
 * @left:	and where names are, it lost its last one
 * @named:	and it has one yet: it holds the file system that it is in; under the inode's lock
 * @given:	another has taken its place (move/transfer.c): it has nothing, and nobody gets anything by it any more; under
 *		the inode's lock
 * @elder:	another had what it has, and may be looked at still; under attached_lock (attach/space.c)
 * @personal:	it is the clone behind private mappings, has no id, and nobody opens it; or NULL (attach/attach.h)
 * @parties:	it is seen by exclusive views, and nobody has it otherwise; or NULL.  Never changes (view/exclusive.h)
 * @plain:	what everybody sees of it; read by each fault, so not beside what these write
 * @map:	which frames it has
 * @faults:	faults taken in all attachments
 * @attachments: attachments now
 * @populating:	the task that asked last for a place with MAP_POPULATE; a hint for its mmap(),
 *		and never followed
 * @in_vain:	the task that waited, or tried, for memory in a fault that it takes again; a hint,
 *		as the next, and never followed
 * @in_vain_at:	its address
 * @seals:	MORSEL_SEAL_*; set with the inode's lock held for writing, and never taken away
 * @finish:	gives back what is behind the end, where who shrank it was killed
 * @attached_lock: protects @attached and what follows
 * @attached:	the attachments
 * @displaced:	tables that may be looked at still, and were displaced one after the other
 * @epoch:	in which the last of these was
 * @flush_cpus:	where those to be flushed are gathered
 */
struct morsel {
	struct inode inode;
	u64 id;
	bool dump;
	bool reserves;
	bool created;
	bool left;
	bool named;
	bool given;
	bool elder;
	struct personal *personal;
	struct parties *parties;
	struct view plain;
	struct map map;
	atomic64_t faults;
	atomic_t attachments;
	struct task_struct *populating;
	struct task_struct *in_vain;
	unsigned long in_vain_at;
	u32 seals;
	struct work_struct finish;
	struct mutex attached_lock;
	struct list_head attached;
	struct list_head displaced;
	unsigned long epoch;
	cpumask_var_t flush_cpus;
};

#define MORSEL_SEALS_WRITE (MORSEL_SEAL_WRITE | MORSEL_SEAL_FUTURE_WRITE)

/* Is one of these seals set? */
static inline bool is_sealed(const struct morsel *m, u32 seals)
{
	return READ_ONCE(m->seals) & seals;
}

/* Was it given away?  Who asks under the inode's lock knows. */
static inline bool is_given(const struct morsel *m)
{
	return READ_ONCE(m->given);
}

static inline struct morsel *to_morsel(const struct inode *inode)
{
	return container_of(inode, struct morsel, inode);
}

static inline struct morsel *file_morsel(const struct file *file)
{
	return to_morsel(file_inode(file));
}

/* How the holder of a descriptor sees the morsel. */
static inline struct view *file_view(const struct file *file)
{
	return file->private_data;
}

#endif /* MORSEL_H */
