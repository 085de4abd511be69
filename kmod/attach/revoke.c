// SPDX-License-Identifier: GPL-2.0
/*
 * Taking out what is spliced: of an attachment, or of all that a morsel has.
 *
 * An entry that is taken out may be used until it is flushed, and frames below it may
 * be given to somebody else only then.  So who takes out what somebody else has taken
 * out already, but not flushed yet, flushes, too.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "attach/attach.h"
#include "debug/debug.h"
#include "trace.h"

/* Before entries are taken out, with the lock held: others are to know that there may be some. */
static void begin(struct attachment *att)
{
	atomic_inc(&att->flushing);
}

/*
 * After @entries were taken out, with the lock held: is there anything to flush?
 * Somebody else may have taken what was asked for, and not have flushed yet.
 */
static bool must_flush(struct attachment *att, unsigned long start, unsigned long end,
		       unsigned long entries)
{
	if (entries)
		trace_morsel_detach(att->m, start, end, entries);
	if (entries || atomic_read(&att->flushing) > 1)
		return true;
	atomic_dec(&att->flushing);
	return false;
}

/**
 * unsplice_range() - take out what is spliced in a part of an attachment
 * @att:	the attachment, with the splices' lock held; it is let go now and then
 * @start:	first address
 * @end:	address after the last
 * @gone:	see unsplice()
 *
 * What somebody splices meanwhile leads to tables in which nothing is any more of what
 * is to be taken away; and while a notifier is called, nobody does.
 * Return: whether flush_unspliced() is to follow, without the lock.
 */
bool unsplice_range(struct attachment *att, unsigned long start, unsigned long end, bool gone)
{
	unsigned long pos, next, entries = 0;

	start = max(start, att->start);
	end = min(end, att->end);
	if (start >= end)
		return false;
	begin(att);
	for (pos = start; pos < end; pos = next) {
		/* A morsel may have tens of thousands of GiB: not all at once. */
		if (pos > start) {
			spin_unlock(&att->splices.lock);
			spin_lock(&att->splices.lock);
		}
		next = min(end - 1, pos | ~TOP_MASK) + 1;
		entries += unsplice(att, pos, next, gone);
	}
	return must_flush(att, start, end, entries);
}

static void flushed(struct attachment *att)
{
	/* Said after it was done. */
	smp_mb__before_atomic();
	atomic_dec(&att->flushing);
}

/**
 * flush_unspliced() - flush what was taken out
 * @att: the attachment
 *
 * Nobody uses what was spliced any more when it returns.
 */
void flush_unspliced(struct attachment *att)
{
	morsel_flush_mm(att->notifier.mm);
	flushed(att);
}

/**
 * walkers_keep_out() - keep those out that come by way of the file
 * @m: the morsel
 *
 * unmap_mapping_range() and the like come from the file to its mappings, without
 * their mmap_lock, and may be looking at a parked entry.  The kernel frees tables
 * only after it has taken a mapping off the file's list; we clear entries before
 * that, so with the list's lock held.
 *
 * lockdep knows that notifiers are called with that lock held, and would take it
 * for a deadlock that one takes it.  But no notifier that is called so waits for
 * this one.
 */
void walkers_keep_out(struct morsel *m)
{
	lockdep_off();
	i_mmap_lock_write(m->inode.i_mapping);
	lockdep_on();
}

/**
 * walkers_may_come() - end what walkers_keep_out() began
 * @m: the morsel
 */
void walkers_may_come(struct morsel *m)
{
	lockdep_off();
	i_mmap_unlock_write(m->inode.i_mapping);
	lockdep_on();
}

/**
 * unsplice_span() - take out what is spliced at an address
 * @att:	the attachment
 * @addr:	the address
 */
void unsplice_span(struct attachment *att, unsigned long addr)
{
	unsigned long start = addr & PMD_MASK;
	bool flush;

	spin_lock(&att->splices.lock);
	flush = unsplice_range(att, start, start + PMD_SIZE, false);
	spin_unlock(&att->splices.lock);
	if (flush)
		flush_unspliced(att);
}

/**
 * unsplice_gone() - take out what is spliced where nobody can be looking but who comes
 * by way of the file, parked entries, too
 * @att:	the attachment
 * @start:	first address
 * @end:	address after the last; @start: what lies across that address alone
 */
void unsplice_gone(struct attachment *att, unsigned long start, unsigned long end)
{
	bool flush;

	walkers_keep_out(att->m);
	spin_lock(&att->splices.lock);
	if (start < end) {
		flush = unsplice_range(att, start, end, true);
	} else {
		begin(att);
		flush = must_flush(att, start, end, unsplice_at(att, start));
	}
	spin_unlock(&att->splices.lock);
	walkers_may_come(att->m);
	if (flush)
		flush_unspliced(att);
}

/* Is a mapping that is just being made in the file's list by now? */
static bool vma_linked(const struct vm_area_struct *vma)
{
	/* The list is a tree; a new VMA's node is zero. */
	return READ_ONCE(vma->shared.rb.__rb_parent_color);
}

/*
 * Have all mappings that were just being made come into the file's list, which is
 * the next that mmap() does with them.
 */
static void wait_until_linked(struct morsel *m)
{
	struct attachment *att;
	bool wait;

	for (;;) {
		wait = false;
		mutex_lock(&m->attached_lock);
		list_for_each_entry(att, &m->attached, list) {
			if (att->unlinked)
				att->unlinked = att->made && !vma_linked(att->made);
			wait |= att->unlinked;
		}
		mutex_unlock(&m->attached_lock);
		if (!wait)
			return;
		usleep_range(10, 100);
	}
}

/*
 * Take all that is spliced of a range of a morsel out, of one view, or of all.
 *
 * Finds all attachments, also those of mappings that are just being made, which
 * unmap_mapping_range() does not know yet; when this returns, it does.  Nobody
 * uses what was spliced any more then, but for devices that walk the tables: are there
 * any?  However many address spaces there are, each processor is interrupted once.
 */
static bool unsplice_all_of(struct morsel *m, const struct view *view, loff_t start, loff_t end)
{
	unsigned int spaces = 0;
	bool unlinked = false, devices = false;
	struct attachment *att;

	mutex_lock(&m->attached_lock);
	cpumask_clear(m->flush_cpus);
	list_for_each_entry(att, &m->attached, list) {
		loff_t base = (loff_t)att->pgoff << PAGE_SHIFT;
		loff_t first = max(start, base);
		loff_t last = min_t(loff_t, end, base + (att->end - att->start));

		if (first >= last || (view && att->view != view))
			continue;
		spin_lock(&att->splices.lock);
		att->to_flush = unsplice_range(att, att->start + (first - base),
					       att->start + (last - base), false);
		spin_unlock(&att->splices.lock);
		if (att->to_flush) {
			morsel_flush_add(att->notifier.mm, m->flush_cpus);
			spaces++;
		}
		att->unlinked = att->made && !vma_linked(att->made);
		unlinked |= att->unlinked;
		devices |= compat_devices_walk(att->notifier.mm);
		cond_resched();
	}
	if (!spaces)
		goto out;
	if (!morsel_planted(PLANT_LOST_FLUSH))
		morsel_flush_cpus(m->flush_cpus, spaces);
	list_for_each_entry(att, &m->attached, list) {
		if (att->to_flush)
			flushed(att);
		att->to_flush = false;
	}
out:
	mutex_unlock(&m->attached_lock);
	if (unlinked)
		wait_until_linked(m);
	return devices;
}

static bool unsplice_everywhere(struct morsel *m, loff_t start, loff_t end)
{
	return unsplice_all_of(m, NULL, start, end);
}

/*
 * What is taken away at once lies no farther apart than this, in all mappings together: the kernel
 * looks at each 2 MiB in between, for all who map it, and cannot be stopped.
 */
#define REACH_MOST (1ULL << 40)
/* Where there are some that are not counted, it is so many times less. */
#define PAGED_REACH 64

/* Where the part ends that begins at byte @start. */
static loff_t part_end(struct morsel *m, loff_t start, loff_t end)
{
	u64 reach = REACH_MOST / max(atomic_read(&m->attachments), 1);

	/* Mappings without spans are not counted, nor are private ones. */
	if (READ_ONCE(m->map.paged))
		reach /= PAGED_REACH;
	return min_t(u64, end, round_down(start + max_t(u64, reach, PMD_SIZE), PMD_SIZE));
}

/*
 * Take what was hidden out of all address spaces.  Where nothing was, walking the tables of all who
 * map it is for nothing, but for private copies.
 */
static void unmap_hidden(struct morsel *m, struct hidden *hidden, loff_t start)
{
	/* Of what a page has in part, that was cleared. */
	loff_t first = round_up(hidden->first, PAGE_SIZE), last = hidden->last;

	if (first < last) {
		unsplice_everywhere(m, first, last);
		view_wait_mappers(&m->plain, hidden);
	}
	if (hidden->cows && READ_ONCE(m->map.paged)) {
		first = round_up(start, PAGE_SIZE);
		last = hidden->pos;
	}
	if (first < last)
		unmap_mapping_range(m->inode.i_mapping, first, last - first, hidden->cows);
}

/* Close a part that can be taken out then. */
static int close_part(struct view *view, struct hidden *hidden, loff_t start, loff_t end)
{
	int err = view_own_range(view, start, end) ?: view_close(view, hidden, start, end);

	while (!err && !view_is_own_range(view, start, end)) {
		view_open(view, hidden);
		err = view_own_range(view, start, end) ?: view_close(view, hidden, start, end);
	}
	return err;
}

/* As morsel_revoke(); what @hidden has for it and for @act is filled. */
static int revoke(struct morsel *m, struct hidden *hidden, loff_t start, loff_t end,
		  void (*act)(struct view *view, struct hidden *hidden))
{
	struct view *view = &m->plain;
	loff_t part;
	int err = 0;

	/* Nothing is behind the end: so tables that clones share go as a whole. */
	if (view_shares(view) && end >= (loff_t)m->map.tail << PAGE_SHIFT)
		end = round_up(end, PUD_SIZE);
	for (; start < end && !err; start = hidden->pos) {
		part = part_end(m, start, end);
		err = close_part(view, hidden, start, part);
		if (err)
			break;
		view->ops->hide(view, hidden);
		unmap_hidden(m, hidden, start);
		act(view, hidden);
		view_open(view, hidden);
		if (fatal_signal_pending(current))
			err = -EINTR;
	}
	return err;
}

/**
 * morsel_revoke() - take a range away from all who map it, and do something with it
 * @m:		the morsel
 * @start:	first byte
 * @end:	byte after the last
 * @act:	what, with what nobody can reach any more; it may be called several times,
 *		each time for what was hidden since, and leaves @hidden->frames empty
 *
 * The gate is closed, so that nothing new comes; the view hides what there is; every
 * address space drops its entries, and its translations, and unmap_mapping_range() tells
 * secondary MMUs; then it is acted on, and the gate is opened.  Who is about to
 * fill the range again waits until then.  A part after the other, so that nobody waits for more
 * than one.
 * Return: 0; -EINTR: a fatal signal came in, and it is done for a part of the range; where clones share
 * some: -ENOMEM, -EDQUOT, -EIO (memory has failed of which some is to stay).
 */
int morsel_revoke(struct morsel *m, loff_t start, loff_t end,
		  void (*act)(struct view *view, struct hidden *hidden))
{
	struct hidden hidden = {};

	return revoke(m, &hidden, start, end, act);
}

/**
 * morsel_truncate() - discard what is behind the end
 * @m:		the morsel, with the inode's lock held for writing
 * @start:	first byte
 * @end:	byte after the last
 *
 * Private mappings lose their copies, too, as of other files.
 * Return: 0; as morsel_revoke(), and it is done for a part of the range.
 */
int morsel_truncate(struct morsel *m, loff_t start, loff_t end)
{
	loff_t next = min(end, round_up(start, PMD_SIZE));
	struct hidden hidden = {.cows = true};
	int err = 0;

	/* What lies across the end may take memory where clones share it: that last. */
	if (view_shares(&m->plain)) {
		err = revoke(m, &hidden, next, end, view_discard);
		end = next;
	}
	return err ?: revoke(m, &hidden, start, end, view_discard);
}

/**
 * morsel_cut() - have nobody see pages of a huge frame from one on
 * @m:		the morsel, which ends there; with the inode's lock held for writing, so that nobody
 *		else takes frames away
 * @index:	that page, not the first of its span
 *
 * Its first pages are copied to small frames.  Where there is no memory for these, or somebody has
 * the frame pinned, it stays as it is.
 * Return: 0, also where there is no huge frame; -EBUSY (it is pinned), -ENOMEM, -EDQUOT, -EINTR (a
 * fatal signal).
 */
int morsel_cut(struct morsel *m, unsigned long index)
{
	loff_t start = (loff_t)round_down(index, SPAN_PAGES) << PAGE_SHIFT;
	struct hidden hidden = {.keep = index};
	int err;

	if (!view_cut_begin(&m->plain, index))
		return 0;
	err = revoke(m, &hidden, start, start + PMD_SIZE, view_cut);
	view_cut_end(&m->plain);
	return hidden.err ?: err;
}

static struct morsel *map_morsel(struct map *map)
{
	return container_of(map, struct morsel, map);
}

/* As struct map_reach has it, as the next. */
static void reach_unsplice(struct map *map, unsigned long first, unsigned long end)
{
	struct morsel *m = map_morsel(map);
	loff_t start = (loff_t)first << PAGE_SHIFT, stop = (loff_t)end << PAGE_SHIFT;

	/* Devices are told by what the kernel does about it. */
	if (unsplice_everywhere(m, start, stop))
		unmap_mapping_range(m->inode.i_mapping, start, stop - start, 0);
}

/*
 * Flush a page everywhere, or for all who have it by one view, of which the leaf has changed in tables that stay; false: somebody who is not
 * reached so may have it, and it is not done.
 */
static bool flush_page(struct morsel *m, const struct view *view, unsigned long index)
{
	unsigned long addr = 0;
	unsigned int spaces = 0;
	struct attachment *att;
	bool all = !READ_ONCE(m->map.paged);

	mutex_lock(&m->attached_lock);
	cpumask_clear(m->flush_cpus);
	list_for_each_entry(att, &m->attached, list) {
		if (index < att->pgoff ||
		    index - att->pgoff >= (att->end - att->start) >> PAGE_SHIFT ||
		    (view && att->view != view))
			continue;
		all = all && nobody_else_listens(att);
		if (!all)
			break;
		addr = att->start + ((index - att->pgoff) << PAGE_SHIFT);
		morsel_flush_add(att->notifier.mm, m->flush_cpus);
		spaces++;
		cond_resched();
	}
	if (all && spaces)
		morsel_flush_page(m->flush_cpus, spaces, addr);
	mutex_unlock(&m->attached_lock);
	return all;
}

/* Is all that anybody has of a morsel spliced, or got anew by who looks at what is? */
static bool nobody_keeps(struct morsel *m)
{
	bool nobody = !READ_ONCE(m->map.paged);
	struct attachment *att;

	mutex_lock(&m->attached_lock);
	list_for_each_entry(att, &m->attached, list) {
		nobody = nobody && nobody_else_listens(att);
		if (!nobody)
			break;
		cond_resched();
	}
	mutex_unlock(&m->attached_lock);
	return nobody;
}

static void reach_changed(struct map *map, unsigned long first, unsigned int order)
{
	struct morsel *m = map_morsel(map);

	/* Of huge leaves address spaces have copies. */
	if (!order && flush_page(m, NULL, first))
		return;
	unsplice_everywhere(m, (loff_t)first << PAGE_SHIFT,
			    (loff_t)(first + (1UL << order)) << PAGE_SHIFT);
	if (nobody_keeps(m))
		return;
	unmap_mapping_range(m->inode.i_mapping, (loff_t)first << PAGE_SHIFT, PAGE_SIZE << order, 0);
}

/**
 * morsel_lost() - have the address spaces of a view forget what its tables do not show any more
 * @view:	the view
 * @first:	the first page
 * @end:	page after the last
 */
void morsel_lost(struct view *view, unsigned long first, unsigned long end)
{
	struct morsel *m = map_morsel(view->map);
	loff_t start = (loff_t)first << PAGE_SHIFT, stop = (loff_t)end << PAGE_SHIFT;

	if (end - first == 1 && flush_page(m, view, first))
		return;
	unsplice_all_of(m, view, start, stop);
	if (!nobody_keeps(m))
		unmap_mapping_range(m->inode.i_mapping, start, stop - start, 0);
}

static void reach_displaced(struct map *map, struct displaced *displaced)
{
	space_displaced(map_morsel(map), displaced);
}

const struct map_reach morsel_map_reach = {
	.displaced = reach_displaced,
	.unsplice = reach_unsplice,
	.changed = reach_changed,
};

/* Take GiBs of a morsel out of all address spaces, where nobody gets them back; -EINTR: a fatal signal. */
static int unmap_gibs(struct morsel *m, const struct gibs *gibs)
{
	unsigned long end = min(gibs->end, DIV_ROUND_UP(map_pages(&m->map), GIB_PAGES)), gib;

	unsplice_everywhere(m, (loff_t)gibs->first << PUD_SHIFT,
			    min_t(loff_t, (loff_t)gibs->end << PUD_SHIFT, MORSEL_MAX_LENGTH));
	if (nobody_keeps(m))
		return 0;
	for (gib = gibs->first; gib < end && !fatal_signal_pending(current); gib++)
		if (view_has_gib(&m->plain, gib))
			unmap_mapping_range(m->inode.i_mapping, (loff_t)gib << PUD_SHIFT, PUD_SIZE,
					    0);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Do something with GiBs of a morsel's map and another one, at one instant; below the mmap_lock, or not. */
static int at_once(struct morsel *m, struct map *other, const struct gibs *gibs,
		   int (*act)(struct view *view, struct map *other, const struct gibs *gibs),
		   enum share_wait wait)
{
	struct view *view = &m->plain;
	/* Of a clone that is being made, nothing. */
	enum map_shares least = other->shares;
	struct closed range;
	int err;

	while ((err = view_share_begin(view, &range, least, wait)) == -EAGAIN) {
		view_share_prepare(view, least);
		err = wait == SHARE_RESTS ? spaces_ask(m) : spaces_ask_below(m);
		if (err)
			return err;
	}
	if (err)
		return err;
	err = unmap_gibs(m, gibs) ?: act(view, other, gibs);
	/* Once more, what was about to be mapped one by one, if it is another by now. */
	if (!err && act == view_exchange && READ_ONCE(m->map.paged))
		unmap_mapping_range(m->inode.i_mapping, 0, 0, 0);
	view_share_end(view, &range);
	return err;
}

static const struct gibs all_gibs = {.end = MORSEL_MAX_LENGTH >> PUD_SHIFT};

/**
 * morsel_share() - have a clone show what a morsel has at one instant
 * @m:		the morsel, with the inode's lock held for writing
 * @clone:	the clone's map, which nobody uses yet
 * @gibs:	of these GiBs, with the caller's mmap_lock held for writing; NULL: of all, without
 *
 * Nobody has anything of it spliced, nor mapped, nor begins to write, from before the first page is looked
 * at until after the last.  Mappings get all of it back by faults.
 * Return: as map_share(): with an error, the clone's map is to be freed; -EBUSY: as of map_share_begin() and
 * spaces_ask_below().
 */
int morsel_share(struct morsel *m, struct map *clone, const struct gibs *gibs)
{
	if (!gibs)
		return at_once(m, clone, &all_gibs, view_share, SHARE_RESTS);
	/* At fork, only faults of the same address space can be in the way, and none waits for its lock. */
	return at_once(m, clone, gibs, view_share, m->personal ? SHARE_WAITS : SHARE_TRIES);
}

/**
 * morsel_exchange() - have a morsel be what another is, at one instant
 * @m:		the morsel, with the inode's lock held for writing
 * @other:	the other one's map, as map_exchange() has it
 *
 * Mappings show that by faults.
 * Return: as map_exchange(); -EINTR (a fatal signal), and nothing has changed.
 */
int morsel_exchange(struct morsel *m, struct map *other)
{
	return at_once(m, other, &all_gibs, view_exchange, SHARE_RESTS);
}

/**
 * morsel_hand_over() - give another morsel all that a morsel has, at one instant
 * @m:		the morsel, with the inode's lock held for writing
 * @heir:	the other one, which has an elder, and as map_meet_heir() has it
 *
 * Nobody who has the morsel mapped or open sees anything of it any more: it has no length, and was given away.
 * Return: as map_meet_heir(); -EINTR (a fatal signal), and nothing has changed.
 */
int morsel_hand_over(struct morsel *m, struct morsel *heir)
{
	struct view *view = &m->plain;
	struct closed range;
	int err = view_still_begin(view, &range, SHARE_WAITS);

	if (err)
		return err;
	err = unmap_gibs(m, &all_gibs) ?: view_meet_heir(view, &heir->map);
	if (!err) {
		/* First: who has found nothing there, with the map's sem, sees this, and takes it for no hole. */
		WRITE_ONCE(m->given, true);
		i_size_write(&m->inode, 0);
		view_hand_over(view, &heir->map);
		/* As when it is exchanged. */
		if (READ_ONCE(m->map.paged))
			unmap_mapping_range(m->inode.i_mapping, 0, 0, 0);
	}
	view_share_end(view, &range);
	return err;
}
