// SPDX-License-Identifier: GPL-2.0
/*
 * Room in dram pools: what counts against the limit, and what is idle and goes back to the
 * kernel.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "pools/dram/dram.h"

static unsigned int dram_idle_seconds = 5;
module_param(dram_idle_seconds, uint, 0644);
MODULE_PARM_DESC(dram_idle_seconds,
		 "Give memory back to the kernel that was idle for so long (default: 5)");

/* All dram pools, for the shrinker and the worker that gives idle memory back. */
static LIST_HEAD(dram_pools);
static DEFINE_MUTEX(dram_pools_lock);

static struct shrinker *dram_shrinker;
static void dram_tidy(struct work_struct *work);
static DECLARE_DELAYED_WORK(dram_tidy_work, dram_tidy);

/**
 * dram_tidy_later() - see in a second what is idle
 */
void dram_tidy_later(void)
{
	/* Each put comes here. */
	if (!delayed_work_pending(&dram_tidy_work))
		queue_delayed_work(system_unbound_wq, &dram_tidy_work, HZ);
}

/**
 * dram_enlist() - have a pool shrunk and tidied
 * @dram: the pool
 */
void dram_enlist(struct dram_pool *dram)
{
	mutex_lock(&dram_pools_lock);
	list_add(&dram->list, &dram_pools);
	mutex_unlock(&dram_pools_lock);
}

/**
 * dram_unlist() - have it no more, and wait for who is at it
 * @dram: the pool
 */
void dram_unlist(struct dram_pool *dram)
{
	mutex_lock(&dram_pools_lock);
	list_del(&dram->list);
	mutex_unlock(&dram_pools_lock);
}

/* Count up to @pages more, so that there are no more than @limit; returns how many. */
static unsigned long count_up(atomic_long_t *counter, unsigned long limit, unsigned long pages,
			      unsigned long least)
{
	long old = atomic_long_read(counter);
	unsigned long room;

	do {
		room = min(pages, limit - min_t(unsigned long, limit, old));
		if (!room || room < least)
			return 0;
	} while (!atomic_long_try_cmpxchg(counter, &old, old + room));
	return room;
}

/**
 * dram_is_old() - has something been idle for long enough?
 * @walk:	what is looked for
 * @since:	jiffies when it became idle
 * Return: whether.
 */
bool dram_is_old(const struct dram_walk *walk, unsigned long since)
{
	return !time_after(since, walk->before);
}

static void give_some(struct dram_pool *dram, struct dram_allocator *of, struct dram_walk *walk,
		      void (*give)(struct dram_pool *, unsigned int, struct dram_walk *))
{
	unsigned int top = READ_ONCE(of->top), i;

	for (i = 0; i < top && walk->given < walk->wanted && atomic_read(&dram->idle); i++) {
		if (of->cursor >= top)
			of->cursor = 0;
		give(dram, of->cursor++, walk);
		if (!(i % CHUNK_PAGES))
			cond_resched();
	}
}

/* What a processor has claimed may be given back, too, if no frame of it is in use. */
static void drain(struct dram_pool *dram)
{
	get_cpu();
	frames_drain(&dram->small.frames);
	put_cpu();
}

/* Give idle memory back to the kernel. */
static void give_idle(struct dram_pool *dram, struct dram_walk *walk) __must_hold(&dram->giving)
{
	give_some(dram, &dram->small, walk, dram_give_chunk);
	give_some(dram, &dram->huge, walk, dram_give_huge);
}

/* As give_some(), 2 MiB at a time. */
static void give_parts(struct dram_pool *dram, struct dram_allocator *of, struct dram_walk *walk,
		       void (*give)(struct dram_pool *, unsigned int, struct dram_walk *))
{
	struct dram_walk part = {.before = walk->before};

	do {
		part.wanted = min_t(unsigned long, walk->wanted - walk->given, CHUNK_PAGES);
		part.given = 0;
		mutex_lock(&dram->giving);
		give_some(dram, of, &part, give);
		mutex_unlock(&dram->giving);
		walk->given += part.given;
	} while (part.given);
}

/**
 * dram_give_back() - give idle memory back to the kernel, a part at a time: others may need
 * room
 * @dram:	the pool
 * @walk:	how much, and how old
 */
void dram_give_back(struct dram_pool *dram, struct dram_walk *walk)
{
	if (!atomic_read(&dram->idle))
		return;
	drain(dram);
	give_parts(dram, &dram->small, walk, dram_give_chunk);
	give_parts(dram, &dram->huge, walk, dram_give_huge);
}

/**
 * dram_count_idle() - whole 2 MiB that are idle, but for what processors have claimed
 * @dram: the pool
 * Return: pages.
 */
unsigned long dram_count_idle(struct dram_pool *dram)
{
	unsigned int top = READ_ONCE(dram->small.top), i;
	unsigned long pages = 0;

	for (i = 0; i < top; i++) {
		if (frames_child_free(&dram->small.frames, i) == CHUNK_PAGES)
			pages += CHUNK_PAGES;
		cond_resched();
	}
	top = READ_ONCE(dram->huge.top);
	for (i = 0; i < top; i++)
		if (!frames_in_use(&dram->huge.frames, i))
			pages += CHUNK_PAGES;
	return pages;
}

/**
 * dram_is_full() - is there no room, whatever others are about to do?
 * @dram:	the pool
 * @pages:	for so many pages
 * Return: is there none?
 */
bool dram_is_full(struct dram_pool *dram, unsigned long pages)
{
	if (atomic_long_read(&dram->used) + pages <= READ_ONCE(dram->limit))
		return false;
	if (!pool_pinned(&dram->pool))
		return true;
	quarantine_reap(&dram->pool);
	return atomic_long_read(&dram->used) + pages > READ_ONCE(dram->limit);
}

/**
 * dram_may_be_alone() - have nobody else borrow, after there was no room
 * @dram: the pool
 * Return: true, and what nobody has a pin on any more has come back, once more; with a fatal
 * signal, false.
 */
bool dram_may_be_alone(struct dram_pool *dram)
{
	quarantine_reap(&dram->pool);
	return !down_write_killable(&dram->growing);
}

/**
 * dram_reserve() - make room under the limit, by giving back what is idle
 * @dram:	the pool
 * @pages:	for so many
 * @least:	or at least for so many
 * Return: how many there is room for, which are counted as held.
 */
unsigned long dram_reserve(struct dram_pool *dram, unsigned long pages, unsigned long least)
{
	unsigned long limit = READ_ONCE(dram->limit);
	unsigned long room = count_up(&dram->held, limit, pages, pages);
	struct dram_walk walk;

	if (room || mutex_lock_killable(&dram->giving))
		return room;
	/* Others may be quicker to take the room that we make. */
	do {
		walk = (struct dram_walk){.before = jiffies};
		walk.wanted = atomic_long_read(&dram->held) + pages;
		walk.wanted -= min(walk.wanted, limit);
		if (walk.wanted && atomic_read(&dram->idle)) {
			drain(dram);
			give_idle(dram, &walk);
		}
		room = count_up(&dram->held, limit, pages, pages);
	} while (!room && walk.given);
	if (!room)
		room = count_up(&dram->held, limit, pages, least);
	mutex_unlock(&dram->giving);
	return room;
}

/**
 * dram_charge() - count pages that were got as used
 * @dram:	the pool
 * @pages:	how many were got
 * @least:	do it for at least so many
 * Return: how many are counted; the others are to be put.  What is free in the pool is not
 * handed out where the limit was lowered below it.
 */
unsigned long dram_charge(struct dram_pool *dram, unsigned long pages, unsigned long least)
{
	unsigned long limit = READ_ONCE(dram->limit);
	unsigned long room = count_up(&dram->used, limit, pages, least);

	if (room || !pool_pinned(&dram->pool))
		return room;
	quarantine_reap(&dram->pool);
	return count_up(&dram->used, limit, pages, least);
}

static unsigned long dram_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct dram_pool *dram;
	unsigned long count = 0;

	if (!mutex_trylock(&dram_pools_lock))
		return 0;
	list_for_each_entry(dram, &dram_pools, list)
		/* Who takes may have counted down before who puts has counted up. */
		count += max(atomic_read(&dram->idle), 0) * (unsigned long)CHUNK_PAGES;
	mutex_unlock(&dram_pools_lock);
	return count ?: SHRINK_EMPTY;
}

static unsigned long dram_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct dram_walk walk = {.before = jiffies, .wanted = sc->nr_to_scan};
	struct dram_pool *dram;

	if (!mutex_trylock(&dram_pools_lock))
		return SHRINK_STOP;
	list_for_each_entry(dram, &dram_pools, list) {
		/* Who holds these is at it, or may be waiting for memory itself. */
		quarantine_try_reap(&dram->pool);
		if (!atomic_read(&dram->idle) || !mutex_trylock(&dram->giving))
			continue;
		drain(dram);
		give_idle(dram, &walk);
		mutex_unlock(&dram->giving);
	}
	mutex_unlock(&dram_pools_lock);
	sc->nr_scanned = max(sc->nr_scanned, walk.given);
	return walk.given ?: SHRINK_STOP;
}

/*
 * Give back what has been idle for long; run each second as long as there is
 * anything idle.
 */
static void dram_tidy(struct work_struct *work)
{
	struct dram_walk walk = {
		.before = jiffies - READ_ONCE(dram_idle_seconds) * HZ,
		.wanted = ULONG_MAX,
	};
	struct dram_pool *dram;
	bool idle = false;

	mutex_lock(&dram_pools_lock);
	list_for_each_entry(dram, &dram_pools, list) {
		dram_give_back(dram, &walk);
		idle |= atomic_read(&dram->idle);
	}
	mutex_unlock(&dram_pools_lock);
	if (idle)
		dram_tidy_later();
}

/**
 * morsel_dram_init() - what all dram pools share: the shrinker
 * Return: 0 or a negative errno.
 */
int morsel_dram_init(void)
{
	int err;

	dram_shrinker = compat_shrinker_alloc("morsel-dram");
	if (!dram_shrinker)
		return -ENOMEM;
	dram_shrinker->count_objects = dram_shrink_count;
	dram_shrinker->scan_objects = dram_shrink_scan;
	dram_shrinker->batch = CHUNK_PAGES;
	err = compat_shrinker_register(dram_shrinker, "morsel-dram");
	if (err)
		kfree(dram_shrinker);
	return err;
}

/**
 * morsel_dram_exit() - no shrinking and tidying from here on; no pool is left
 */
void morsel_dram_exit(void)
{
	shrinker_free(dram_shrinker);
	cancel_delayed_work_sync(&dram_tidy_work);
}
