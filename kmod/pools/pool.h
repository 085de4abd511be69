/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pools: where frames and tables come from, whatever their kind.
 */
#ifndef MORSEL_POOL_H
#define MORSEL_POOL_H

#include <linux/mm_types.h>
#include <linux/nodemask.h>

#include "morsel.h"
#include "pools/outgoing.h"
#include "pools/quarantine.h"

struct frame_pool;

/*
 * How frames are taken: small ones not only of what is at hand, but by reclaiming memory, too; and not cleared,
 * as all of it will be overwritten before anybody sees it.
 */
#define TAKE_HARD (1U << 0)
#define TAKE_AS_IS (1U << 1)

/**
 * struct pool_ops - what a kind of pool does
 * @kind:	MORSEL_POOL_*
 * @name:	of the kind; a pool is called by it and its node: "dram0"
 * @create:	make a pool of at most @limit pages on @node; or ERR_PTR
 * @destroy:	give everything back; nothing is in use, but frames may be
 *		pinned still
 * @get:	take up to @count frames of 1 << @order pages, @how: TAKE_HARD, TAKE_AS_IS;
 *		returns how many.  May sleep.  A frame has one reference,
 *		which is the pool's; a frame of more than one page is a
 *		compound page
 * @put:	take back frames that no address space can reach any more, and
 *		that nobody else holds, unless @destroy comes next
 * @get_table:	a page to be a table, cleared; or NULL
 * @put_table:	take a table back once no walker can be in it any more (an
 *		RCU grace period after the last attachment went)
 * @resize:	change the limit to @limit pages
 * @limit:	pages that it may hold
 * @room:	pages that may yet be used
 * @stat:	fill the figures that the kind knows
 */
struct pool_ops {
	u32 kind;
	const char *name;
	struct frame_pool *(*create)(u32 node, unsigned long limit);
	void (*destroy)(struct frame_pool *pool);
	unsigned int (*get)(struct frame_pool *pool, unsigned int how, unsigned int order,
			    unsigned int count, u64 *frames);
	void (*put)(struct frame_pool *pool, unsigned int order, unsigned int count,
		    const u64 *frames);
	struct page *(*get_table)(struct frame_pool *pool);
	void (*put_table)(struct frame_pool *pool, struct page *table);
	void (*resize)(struct frame_pool *pool, unsigned long limit);
	unsigned long (*limit)(const struct frame_pool *pool);
	unsigned long (*room)(struct frame_pool *pool);
	void (*stat)(struct frame_pool *pool, struct morsel_pool_info *info);
};

/**
 * struct frame_pool - what pools of all kinds have
 * @ops:	its kind
 * @id:		its id
 * @node:	NUMA node
 * @morsels:	morsels on it; under the pool list lock
 * @accounts:	what payers have of it (account.c), and who asks for its figures
 * @outgoing:	tables of it that are in use until they are freed
 * @quarantine:	frames that wait until nobody has a pin on them
 */
struct frame_pool {
	const struct pool_ops *ops;
	u32 id;
	u32 node;
	unsigned int morsels;
	atomic_t accounts;
	struct outgoing outgoing;
	struct quarantine quarantine;
};

/* Pages that are set aside; the pool's kind counts them as in use. */
static inline unsigned long pool_pinned(const struct frame_pool *pool)
{
	return atomic_long_read(&pool->quarantine.pages);
}

extern const struct pool_ops morsel_dram_ops;

int morsel_pools_init(void);
void morsel_pools_exit(void);
void frame_pool_init(struct frame_pool *pool, const struct pool_ops *ops, u32 node);
struct frame_pool *morsel_pool_choose(u32 id, u32 node, const nodemask_t *nodes);
struct frame_pool *morsel_pool_beside(const struct frame_pool *pool, u32 node);
void morsel_pool_hold(struct frame_pool *pool);
bool morsel_pool_there(u32 id);
void morsel_pools_room(u32 id, const nodemask_t *nodes, unsigned long *limit, unsigned long *room);
void morsel_pool_release(struct frame_pool *pool);
void morsel_pools_lock(void);
void morsel_pools_unlock(void);
unsigned int morsel_pool_count(void);
int morsel_pool_next(u32 *id, struct morsel_pool_info *info);
int morsel_pool_stat(struct morsel_pool_info *info);
int morsel_pool_add(struct morsel_pool *args, struct frame_pool **pool);
void morsel_pool_added(struct frame_pool *pool, bool told);
int morsel_pool_resize(u32 id, u64 limit_bytes);
int morsel_pool_remove(u32 id);

void *morsel_lines_alloc(size_t size, int node);
int morsel_dram_init(void);
void morsel_dram_exit(void);

#endif /* MORSEL_POOL_H */
