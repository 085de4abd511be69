/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What only debug builds have (make MORSEL_DEBUG=1): frames are filled with a
 * pattern while they are free; faults can be planted, to see that the test lanes
 * notice them; and the allocator can be measured beside the kernel's.
 */
#ifndef MORSEL_DEBUG_H
#define MORSEL_DEBUG_H

#include <linux/mm_types.h>

/**
 * enum morsel_plant - faults that the module's parameter plant asks for
 * @PLANT_NONE:		none
 * @PLANT_USE_AFTER_FREE: an attachment is read after it was freed
 * @PLANT_LEAK:		a small frame that is put back is lost
 * @PLANT_LOCK_ORDER:	an attachment's lock is taken inside the address space's
 * @PLANT_EARLY_FREE:	a frame goes back to the pool while a morsel maps it
 * @PLANT_RACE:		faults are counted as if one task took them all
 * @PLANT_SLOW_PUT:	who puts frames next is held in the middle of it, which makes this
 * @PLANT_PUTTING:	until somebody finds none and is not sure, or nothing is planted any
 *			more
 * @PLANT_NO_NUMBER:	a dram pool has no number left for what it is to borrow
 * @PLANT_LOST_FLUSH:	what is taken out of all address spaces is not flushed
 * @PLANT_LOW_COUNT:	a frame that clones share counts one of them too few
 * @PLANT_LATER_WRITE:	what is cloned stays for writing, so that clones see it
 * @PLANT_STUCK:	who is not attached is not attached by its faults either, until that is
 *			noticed
 */
enum morsel_plant {
	PLANT_NONE,
	PLANT_USE_AFTER_FREE,
	PLANT_LEAK,
	PLANT_LOCK_ORDER,
	PLANT_EARLY_FREE,
	PLANT_RACE,
	PLANT_SLOW_PUT,
	PLANT_PUTTING,
	PLANT_NO_NUMBER,
	PLANT_STUCK,
	PLANT_LOST_FLUSH,
	PLANT_LOW_COUNT,
	PLANT_LATER_WRITE,
};

#ifdef MORSEL_DEBUG
/* Is what costs time to find out looked after? */
#define MORSEL_CHECKS true

/* debug.c */
extern bool morsel_poisons;

bool morsel_planted(enum morsel_plant plant);
void morsel_slow_put(void);
void morsel_poison(struct page *frame, unsigned int order);
void morsel_check_poison(struct page *frame, unsigned int order);
void morsel_check_progress(unsigned long addr, unsigned long seq, bool answered);

/* bench.c */
void morsel_bench_init(void);
void morsel_bench_exit(void);
#else
#define MORSEL_CHECKS false

static inline bool morsel_planted(enum morsel_plant plant)
{
	return false;
}

static inline void morsel_slow_put(void)
{
}

static inline void morsel_poison(struct page *frame, unsigned int order)
{
}

static inline void morsel_check_poison(struct page *frame, unsigned int order)
{
}

static inline void morsel_check_progress(unsigned long addr, unsigned long seq, bool answered)
{
}

static inline void morsel_bench_init(void)
{
}

static inline void morsel_bench_exit(void)
{
}
#endif

#endif /* MORSEL_DEBUG_H */
