// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces that have attachments: who else listens to what happens there, and who may be looking
 * at tables that are there no more.
 *
 * Who walks an address space's tables relies on upper ones while the mmap_lock is held, or the lock of the
 * mapping: a fault has a pointer into a PMD table while it sleeps.  So a table that another has taken the
 * place of stays, also once nothing leads to it any more, until each address space that may have had it
 * was seen with these locks held for writing.  That is told as epochs: a table is displaced in one of the
 * morsel, and each attachment says in which its address space was seen last.
 */
#include <linux/file.h>
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "attach/attach.h"

/* All of them; by address space. */
static DEFINE_HASHTABLE(spaces, 10);
static DEFINE_SPINLOCK(spaces_lock);

static struct workqueue_struct *looker;
/* How many there are, and how many of their last works may run yet. */
static atomic_t nr_spaces = ATOMIC_INIT(0);

/* So long tables gather that are displaced: the locks keep others out. */
#define LOOK_AFTER (HZ / 10)
/* So often these may be held by others. */
#define VAIN_MOST 10

/* Have what no attachment's address space can be looking at be dropped; with the morsel's attached_lock. */
static void drop_displaced(struct morsel *m)
{
	struct displaced *displaced, *next;
	unsigned long seen = m->epoch;
	struct attachment *att;

	/* What a morsel was given may be looked at by who had it before. */
	if (list_empty(&m->displaced) || m->elder)
		return;
	list_for_each_entry(att, &m->attached, list)
		seen = min(seen, att->seen);
	list_for_each_entry_safe(displaced, next, &m->displaced, list) {
		if (displaced->epoch > seen)
			break;
		list_del(&displaced->list);
		displaced_drop(displaced);
	}
}

/* The first mapping from an address on where an attachment is, with the mmap_lock held; NULL: there is none. */
static struct vm_area_struct *next_vma(const struct attachment *att, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(att->notifier.mm, addr);

	return vma && vma->vm_start < att->end ? vma : NULL;
}

/* With the mmap_lock held for writing: nobody looks at what was displaced before. */
static void see(struct attachment *att)
{
	struct vm_area_struct *vma;

	/* Nor do faults that hold no more than the mapping's lock. */
	for (vma = next_vma(att, att->start); vma; vma = next_vma(att, vma->vm_end))
		vma_start_write(vma);
	mutex_lock(&att->m->attached_lock);
	att->seen = att->m->epoch;
	drop_displaced(att->m);
	mutex_unlock(&att->m->attached_lock);
}

/* Have an address space be seen in a while; with the spaces' lock. */
static void look_after(struct space *space, unsigned long delay)
{
	if (queue_delayed_work(looker, &space->look, delay))
		space->users++;
}

static void look_later(struct space *space)
{
	spin_lock(&spaces_lock);
	look_after(space, LOOK_AFTER);
	spin_unlock(&spaces_lock);
}

/* Have all be seen now that are to be seen in a while: somebody waits. */
static void look_now(void)
{
	struct space *space;
	int bucket;

	spin_lock(&spaces_lock);
	hash_for_each(spaces, bucket, space, node) {
		if (!delayed_work_pending(&space->look))
			continue;
		WRITE_ONCE(space->vain, VAIN_MOST);
		if (!mod_delayed_work(looker, &space->look, 0))
			space->users++;
	}
	spin_unlock(&spaces_lock);
}

/* khugepaged's flag is set before its reference is taken, without sleeping in between. */
static void find_khugepaged(struct space *space)
{
	if (space->khugepaged || !mm_flags_test(MMF_VM_HUGEPAGE, space->mm))
		return;
	synchronize_rcu_tasks();
	WRITE_ONCE(space->khugepaged, true);
}

static void space_look(struct work_struct *work)
{
	struct space *space = container_of(to_delayed_work(work), struct space, look);
	struct attachment *att;

	find_khugepaged(space);
	/* One that is ending closes its mappings, and is done with then. */
	if (mmget_not_zero(space->mm)) {
		unsigned int vain = READ_ONCE(space->vain);

		/* Who uses it much is not disturbed at once. */
		if (rwsem_is_locked(&space->mm->mmap_lock) && vain < VAIN_MOST) {
			WRITE_ONCE(space->vain, vain + 1);
			look_later(space);
		} else {
			WRITE_ONCE(space->vain, 0);
			mmap_write_lock(space->mm);
			list_for_each_entry(att, &space->attachments, in_space)
				see(att);
			mmap_write_unlock(space->mm);
		}
		mmput(space->mm);
	}
	space_put(space);
}

/**
 * space_displaced() - tables of a morsel are to be dropped once nobody looks at them
 * @m:		the morsel
 * @displaced:	these, which nothing leads to any more
 */
void space_displaced(struct morsel *m, struct displaced *displaced)
{
	struct attachment *att;

	mutex_lock(&m->attached_lock);
	displaced->epoch = ++m->epoch;
	list_add_tail(&displaced->list, &m->displaced);
	list_for_each_entry(att, &m->attached, list)
		look_later(att->space);
	drop_displaced(m);
	mutex_unlock(&m->attached_lock);
}

static void release_file(void *file)
{
	fput(file);
}

/**
 * space_displaced_file() - the same of all that another morsel has, which was this one's
 * @m:		the morsel
 * @file:	a file of the other one, with a reference that is taken over
 */
void space_displaced_file(struct morsel *m, struct file *file)
{
	struct displaced *displaced = displaced_new(m->map.truth);

	displaced->release = release_file;
	displaced->held = file;
	space_displaced(m, displaced);
}

/**
 * space_succeeded() - all that a morsel had is another's, whose elder it is until nobody can be looking at that any more
 * @m:		the morsel
 * @heir:	the other one, with a reference
 * @release:	gives that back, and calls space_elder_gone() before
 */
void space_succeeded(struct morsel *m, struct morsel *heir, void (*release)(void *heir))
{
	struct displaced *displaced = displaced_new(m->map.truth);

	displaced->release = release;
	displaced->held = heir;
	/* Nothing goes: who looks without locks finds what the heir has, or had, and gives back itself. */
	displaced->at_once = true;
	space_displaced(m, displaced);
}

/**
 * space_elder_gone() - nobody can be looking at what a morsel has by way of who had it before
 * @heir: the morsel
 */
void space_elder_gone(struct morsel *heir)
{
	mutex_lock(&heir->attached_lock);
	WRITE_ONCE(heir->elder, false);
	drop_displaced(heir);
	mutex_unlock(&heir->attached_lock);
	wake_up_var(&heir->elder);
}

/**
 * spaces_wait_elder() - wait until nobody can be looking at what a morsel was given by way of who had it before
 * @m: the morsel
 *
 * Who does might take a leaf that has come to be for reading for one that is to be for writing.
 * Return: 0; -EINTR: a fatal signal.
 */
int spaces_wait_elder(struct morsel *m)
{
	if (!READ_ONCE(m->elder))
		return 0;
	look_now();
	return wait_var_event_killable(&m->elder, !READ_ONCE(m->elder)) ? -EINTR : 0;
}

static struct space *space_find(struct mm_struct *mm)
{
	struct space *space;

	hash_for_each_possible(spaces, space, node, (unsigned long)mm)
		if (space->mm == mm)
			return space;
	return NULL;
}

/**
 * space_get() - the space of an address space that is about to have an attachment more
 * @mm: the address space
 * Return: the space, to be given back by space_put(); NULL without memory.
 */
struct space *space_get(struct mm_struct *mm)
{
	struct space *made = kzalloc(sizeof(*made), GFP_KERNEL_ACCOUNT), *space;

	if (!made)
		return NULL;
	spin_lock(&spaces_lock);
	space = space_find(mm);
	if (!space) {
		space = made;
		made = NULL;
		mmgrab(mm);
		space->mm = mm;
		INIT_LIST_HEAD(&space->attachments);
		INIT_DELAYED_WORK(&space->look, space_look);
		hash_add(spaces, &space->node, (unsigned long)mm);
		atomic_inc(&nr_spaces);
		/* It takes a while to know (find_khugepaged()). */
		if (mm_flags_test(MMF_VM_HUGEPAGE, mm))
			look_after(space, 0);
	}
	space->users++;
	spin_unlock(&spaces_lock);
	kfree(made);
	return space;
}

/**
 * space_put() - give back what space_get() returned
 * @space: the space
 */
void space_put(struct space *space)
{
	spin_lock(&spaces_lock);
	if (--space->users)
		space = NULL;
	else
		hash_del(&space->node);
	spin_unlock(&spaces_lock);
	if (!space)
		return;
	mmdrop(space->mm);
	kfree(space);
	if (atomic_dec_and_test(&nr_spaces))
		wake_up_var(&nr_spaces);
}

/**
 * space_add() - an attachment has its notifier
 * @att: the attachment; with the mmap_lock held for writing
 */
void space_add(struct attachment *att)
{
	struct space *space = att->space;

	mutex_lock(&att->m->attached_lock);
	list_add(&att->list, &att->m->attached);
	att->seen = att->m->epoch;
	mutex_unlock(&att->m->attached_lock);
	list_add(&att->in_space, &space->attachments);
	spin_lock(&spaces_lock);
	WRITE_ONCE(space->listening, space->listening + 1);
	spin_unlock(&spaces_lock);
}

/**
 * space_remove() - an attachment is about to have its notifier no more
 * @att: the attachment; nobody uses the address space, or with the mmap_lock held for writing
 */
void space_remove(struct attachment *att)
{
	struct space *space = att->space;

	spin_lock(&spaces_lock);
	WRITE_ONCE(space->listening, space->listening - 1);
	spin_unlock(&spaces_lock);
	list_del(&att->in_space);
	mutex_lock(&att->m->attached_lock);
	list_del(&att->list);
	drop_displaced(att->m);
	mutex_unlock(&att->m->attached_lock);
}

/**
 * space_asks() - a mapping may be attached that asks before it is written, or will not be
 * @att:	its attachment
 * @vma:	the mapping, with the mmap_lock held for writing
 */
void space_asks(struct attachment *att, const struct vm_area_struct *vma)
{
	enum map_shares asks = cow_asks(vma);

	if (!asks)
		return;
	mutex_lock(&att->m->attached_lock);
	att->asks = asks;
	mutex_unlock(&att->m->attached_lock);
}

/**
 * spaces_unasked() - a morsel shares nothing any more: mappings may come not to ask, or do so already
 * @m: the morsel, with the inode's lock held for writing
 */
void spaces_unasked(struct morsel *m)
{
	struct attachment *att;

	mutex_lock(&m->attached_lock);
	list_for_each_entry(att, &m->attached, list)
		att->asks = SHARES_NONE;
	mutex_unlock(&m->attached_lock);
}

/* The space of an attachment of which the mappings may not ask yet, with a reference; NULL: there is none. */
static struct space *next_silent(struct morsel *m)
{
	struct space *space = NULL;
	struct attachment *att;

	mutex_lock(&m->attached_lock);
	list_for_each_entry(att, &m->attached, list) {
		if (att->asks >= view_shares(&m->plain))
			continue;
		space = att->space;
		spin_lock(&spaces_lock);
		space->users++;
		spin_unlock(&spaces_lock);
		break;
	}
	mutex_unlock(&m->attached_lock);
	return space;
}

/* Of an address space that has no users any more, nobody is in a fault, nor will be. */
static void asked(struct morsel *m, const struct space *space, enum map_shares shares)
{
	struct attachment *att;

	mutex_lock(&m->attached_lock);
	list_for_each_entry(att, &m->attached, list)
		if (att->space == space)
			att->asks = shares;
	mutex_unlock(&m->attached_lock);
}

/* With the mmap_lock held for writing. */
static void ask(struct attachment *att)
{
	struct vm_area_struct *vma;

	for (vma = next_vma(att, att->start); vma; vma = next_vma(att, vma->vm_end)) {
		if (vma->vm_private_data != att || !cow_is_due(vma))
			continue;
		/* Nor is anybody in a fault who has found that it does not ask. */
		vma_start_write(vma);
		cow_begin(vma, false);
	}
}

/* Have all mappings of a morsel in a space ask, with its mmap_lock held for writing. */
static void ask_space(struct morsel *m, struct space *space)
{
	enum map_shares shares = view_shares(&m->plain);
	struct attachment *att;

	list_for_each_entry(att, &space->attachments, in_space)
		if (att->m == m)
			ask(att);
	asked(m, space, shares);
}

/**
 * spaces_ask() - have all mappings of a morsel that are attached ask before they are written
 * @m: the morsel, for which map_share_prepare() was called
 *
 * Who is in a fault, and has found that a mapping does not ask, might have a leaf be for writing that has become one
 * for reading meanwhile.  With no locks held that others wait for.
 * Return: 0; -EINTR: a fatal signal.
 */
int spaces_ask(struct morsel *m)
{
	struct space *space;
	int err = 0;

	while (!err && (space = next_silent(m))) {
		if (fatal_signal_pending(current)) {
			space_put(space);
			return -EINTR;
		}
		if (mmget_not_zero(space->mm)) {
			err = mmap_write_lock_killable(space->mm);
			if (!err) {
				ask_space(m, space);
				mmap_write_unlock(space->mm);
			}
			mmput(space->mm);
		} else {
			asked(m, space, view_shares(&m->plain));
		}
		space_put(space);
	}
	return err;
}

/**
 * spaces_ask_below() - spaces_ask() for a clone behind private mappings, at fork
 * @m: the morsel
 *
 * With the mmap_lock of the only address space that it is in, the caller's, held for writing.
 * Return: 0; -EBUSY: it is no such clone, and there are mappings that do not ask.
 */
int spaces_ask_below(struct morsel *m)
{
	struct space *space;
	int err = 0;

	while (!err && (space = next_silent(m))) {
		if (m->personal)
			ask_space(m, space);
		else
			err = -EBUSY;
		space_put(space);
	}
	return err;
}

/* The references to an address space that are known: its users', ours, and khugepaged's. */
static int known(struct space *space)
{
	if (!READ_ONCE(space->khugepaged) && mm_flags_test(MMF_VM_HUGEPAGE, space->mm))
		look_later(space);
	return 2 + READ_ONCE(space->khugepaged);
}

/**
 * nobody_else_listens() - are MMU notifiers of an address space those of attachments alone?
 * @att: an attachment
 *
 * Each notifier has a reference to the address space, as have we, its users together, khugepaged, and for
 * a while processors that ran it.  So this may be said to be false where it is true, but not the other way.
 * Return: whether: who has something of its pages by looking at its tables (KVM), and is not known here,
 * begins to look after this.
 */
bool nobody_else_listens(const struct attachment *att)
{
	struct mm_struct *mm = att->notifier.mm;
	int others = known(att->space), count;

	/* What has changed before; pairs with who takes a reference, and looks then. */
	smp_mb();
	count = atomic_read(&mm->mm_count);
	/* At the end, khugepaged goes first: it had not when there were users still. */
	smp_rmb();
	return atomic_read(&mm->mm_users) && count == others + READ_ONCE(att->space->listening) &&
	       !compat_devices_walk(mm);
}

/**
 * spaces_init() - what all of them share
 * Return: 0 or -ENOMEM.
 */
int spaces_init(void)
{
	looker = alloc_workqueue("morsel-space", WQ_UNBOUND, 0);
	return looker ? 0 : -ENOMEM;
}

/**
 * spaces_exit() - no attachment is left
 */
void spaces_exit(void)
{
	/* Some may be about to be looked at. */
	wait_var_event(&nr_spaces, !atomic_read(&nr_spaces));
	destroy_workqueue(looker);
}
