// SPDX-License-Identifier: GPL-2.0
/*
 * Debug builds: planted faults, a pattern in free frames, and faults that make no progress.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "debug/debug.h"

/* In no text, and no pointer into anything. */
#define POISON 0x95

static const char *const names[] = {
	[PLANT_NONE] = "",
	[PLANT_USE_AFTER_FREE] = "use-after-free",
	[PLANT_LEAK] = "leak",
	[PLANT_LOCK_ORDER] = "lock-order",
	[PLANT_EARLY_FREE] = "early-free",
	[PLANT_RACE] = "race",
	[PLANT_SLOW_PUT] = "slow-put",
	[PLANT_PUTTING] = "putting",
	[PLANT_NO_NUMBER] = "no-number",
	[PLANT_STUCK] = "stuck",
	[PLANT_LOST_FLUSH] = "lost-flush",
	[PLANT_LOW_COUNT] = "low-count",
	[PLANT_LATER_WRITE] = "later-write",
};

static enum morsel_plant planted;

static int plant_set(const char *value, const struct kernel_param *kp)
{
	int plant = sysfs_match_string(names, value);

	if (plant < 0)
		return plant;
	WRITE_ONCE(planted, plant);
	return 0;
}

static int plant_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", names[READ_ONCE(planted)]);
}

static const struct kernel_param_ops plant_ops = {
	.set = plant_set,
	.get = plant_get,
};
module_param_cb(plant, &plant_ops, NULL, 0600);
MODULE_PARM_DESC(plant, "Fault to plant: use-after-free, leak, lock-order, early-free, race, slow-put, no-number, stuck, lost-flush, low-count, later-write (default: none)");

/* For good: frames that are free then have the pattern, or have none. */
bool morsel_poisons = true;
module_param_named(poison, morsel_poisons, bool, 0444);
MODULE_PARM_DESC(poison, "Fill free frames with a pattern, and look after it (default: on)");

/**
 * morsel_planted() - is a fault asked for, here and now?
 * @plant: which
 * Return: true once; for those that take two, which are a race, always, and for PLANT_STUCK.
 */
bool morsel_planted(enum morsel_plant plant)
{
	if (READ_ONCE(planted) != plant)
		return false;
	return plant == PLANT_RACE || plant == PLANT_STUCK || plant == PLANT_LOST_FLUSH ||
	       plant == PLANT_LATER_WRITE ||
	       cmpxchg(&planted, plant, PLANT_NONE) == plant;
}

/**
 * morsel_slow_put() - be held here, if PLANT_SLOW_PUT is asked for
 */
void morsel_slow_put(void)
{
	if (cmpxchg(&planted, PLANT_SLOW_PUT, PLANT_PUTTING) != PLANT_SLOW_PUT)
		return;
	while (READ_ONCE(planted) == PLANT_PUTTING)
		cpu_relax();
}

/**
 * morsel_poison() - mark a frame that nobody uses any more
 * @frame:	the frame; where somebody has a pin, which is so at the end of a pool, it is
 *		left as it is
 * @order:	log2 of its pages
 */
void morsel_poison(struct page *frame, unsigned int order)
{
	if (morsel_poisons && page_ref_count(frame) == 1)
		memset(page_address(frame), POISON, PAGE_SIZE << order);
}

/**
 * morsel_check_poison() - see that a frame was left alone since morsel_poison()
 * @frame:	the frame
 * @order:	log2 of its pages
 */
void morsel_check_poison(struct page *frame, unsigned int order)
{
	const u8 *base = page_address(frame);
	const u8 *at = morsel_poisons ? memchr_inv(base, POISON, PAGE_SIZE << order) : NULL;

	WARN(at, "morsel: frame %lx was written to while it was free: %02x at byte %zu\n",
	     page_to_pfn(frame), *at, at - base);
}

/* So often may a fault be taken again: for who waits, or for others in between, a few times. */
#define FAULTS_MOST 1000

/* The faults that tasks took last; which task is beside which is for the hash to say. */
static struct last_fault {
	const struct task_struct *task;
	pid_t pid;
	unsigned long addr;
	unsigned long seq;
	unsigned int times;
} last_faults[64];
static DEFINE_SPINLOCK(last_faults_lock);

/**
 * morsel_check_progress() - see that an access is not faulting for ever
 * @addr:	where it faulted
 * @seq:	changes whenever something is taken away from the mapping
 * @answered:	the access was told that it fails
 *
 * If nothing was taken away since, the access that faulted there last should have gone through.
 */
void morsel_check_progress(unsigned long addr, unsigned long seq, bool answered)
{
	struct last_fault *last = &last_faults[hash_ptr(current, 6)];
	unsigned int times = 0;

	spin_lock(&last_faults_lock);
	if (last->task != current || last->pid != current->pid || last->addr != addr || last->seq != seq || answered)
		*last = (struct last_fault){current, current->pid, addr, seq, 0};
	if (!answered)
		times = ++last->times;
	spin_unlock(&last_faults_lock);
	if (WARN(times == FAULTS_MOST, "morsel: an access to %lx faults, and gets no further\n",
		 addr))
		cmpxchg(&planted, PLANT_STUCK, PLANT_NONE);
}
