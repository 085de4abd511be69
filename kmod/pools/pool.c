// SPDX-License-Identifier: GPL-2.0
/*
 * Pools, whatever their kind: the list of them, and choosing one.
 */
#include <linux/cpuset.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/string.h>
#include <linux/topology.h>
#include <linux/wait_bit.h>
#include <linux/xarray.h>

#include "pools/account.h"
#include "pools/frame.h"
#include "pools/pool.h"

static const struct pool_ops *const kinds[] = {&morsel_dram_ops};

/*
 * All pools by id, and how many morsels each has; under pools_lock.  Ids start
 * at 1.
 */
static DEFINE_XARRAY_ALLOC1(pools);
static DEFINE_MUTEX(pools_lock);

static unsigned long dram_mib;
module_param(dram_mib, ulong, 0444);
MODULE_PARM_DESC(
	dram_mib,
	"Limit of each node's dram pool at loading, in MiB (default: 7/8 of the node's memory)");

/**
 * frame_pool_init() - what each new pool begins with
 * @pool:	the pool, zeroed
 * @ops:	its kind
 * @node:	NUMA node
 */
void frame_pool_init(struct frame_pool *pool, const struct pool_ops *ops, u32 node)
{
	pool->ops = ops;
	pool->node = node;
	outgoing_init(&pool->outgoing);
	quarantine_init(&pool->quarantine);
}

static void pool_destroy(struct frame_pool *pool)
{
	quarantine_exit(pool);
	accounts_wait(pool);
	pool->ops->destroy(pool);
}

/**
 * frame_pool() - which pool is a frame of?
 * @frame: the frame, which is in use, or a page of a huge one
 * Return: the pool, which stays as long as its frame is in use.
 */
struct frame_pool *frame_pool(u64 frame)
{
	return xa_load(&pools, frame_pool_id(compound_head(frame_page(frame))));
}

/* The pool of some kind on a node, or NULL; with the pool list lock held, as the next. */
static struct frame_pool *pool_on(const struct pool_ops *ops, u32 node)
{
	struct frame_pool *pool;
	unsigned long id;

	xa_for_each(&pools, id, pool)
		if (pool->ops == ops && pool->node == node)
			return pool;
	return NULL;
}

static int pool_add(const struct pool_ops *ops, u32 node, unsigned long limit,
		    struct frame_pool **result)
{
	struct frame_pool *pool;
	int err;

	if (pool_on(ops, node))
		return -EEXIST;
	pool = ops->create(node, limit);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	err = xa_alloc(&pools, &pool->id, pool, XA_LIMIT(1, FRAME_POOL_MAX), GFP_KERNEL);
	if (err) {
		pool_destroy(pool);
		return err;
	}
	*result = pool;
	return 0;
}

/**
 * morsel_pools_init() - make a dram pool for each NUMA node that has memory
 * Return: 0 or a negative errno.
 */
int morsel_pools_init(void)
{
	struct frame_pool *pool;
	int node, err;

	for_each_node_state(node, N_MEMORY) {
		unsigned long limit = NODE_DATA(node)->node_present_pages / 8 * 7;

		if (dram_mib)
			limit = dram_mib << (20 - PAGE_SHIFT);
		limit = max_t(unsigned long, round_down(limit, SPAN_PAGES), SPAN_PAGES);
		err = pool_add(&morsel_dram_ops, node, limit, &pool);
		if (err) {
			morsel_pools_exit();
			return err;
		}
	}
	return 0;
}

/**
 * morsel_pools_exit() - give all memory back; no morsel is left
 */
void morsel_pools_exit(void)
{
	struct frame_pool *pool;
	unsigned long id;

	xa_for_each(&pools, id, pool) {
		xa_erase(&pools, id);
		pool_destroy(pool);
	}
	xa_destroy(&pools);
}

/* May the caller have memory of a node?  While its cpuset changes, either answer will do. */
static bool node_allowed(u32 node)
{
	return node_isset(node, cpuset_current_mems_allowed);
}

/* Of the pools on some nodes, or all, that the caller may have memory of, the nearest with room. */
static struct frame_pool *pool_nearest(u32 node, const nodemask_t *nodes)
{
	struct frame_pool *pool, *best = NULL;
	unsigned long index;
	int best_distance = 0;

	xa_for_each(&pools, index, pool) {
		/* A pool without room comes after all that have some. */
		int distance = node_distance(node, pool->node) +
			       (pool->ops->room(pool) ? 0 : INT_MAX / 2);

		if (nodes && !node_isset(pool->node, *nodes))
			continue;
		if (node_allowed(pool->node) && (!best || distance < best_distance)) {
			best = pool;
			best_distance = distance;
		}
	}
	return best;
}

/**
 * morsel_pool_choose() - find the pool for a new morsel, and count the morsel on it
 * @id:		a pool's id, or MORSEL_ANY for the nearest that has room
 * @node:	preferred node, or MORSEL_ANY for the caller's
 * @nodes:	on one of these; NULL: on any
 * Return: the pool, to be released with morsel_pool_release();
 * ERR_PTR(-ENOENT): no such pool; ERR_PTR(-ENODEV): no such node, or none with memory;
 * ERR_PTR(-EACCES): the caller's cpuset does not allow the node, or the pool's.
 */
struct frame_pool *morsel_pool_choose(u32 id, u32 node, const nodemask_t *nodes)
{
	struct frame_pool *pool;

	if (node == MORSEL_ANY)
		node = numa_mem_id();
	else if (node >= MAX_NUMNODES || !node_online(node))
		return ERR_PTR(-ENODEV);
	else if (node_state(node, N_MEMORY) && !node_allowed(node))
		return ERR_PTR(-EACCES);

	mutex_lock(&pools_lock);
	pool = id == MORSEL_ANY ? pool_nearest(node, nodes) : xa_load(&pools, id);
	if (!pool)
		pool = ERR_PTR(-ENOENT);
	else if (!node_allowed(pool->node))
		pool = ERR_PTR(-EACCES);
	else
		pool->morsels++;
	mutex_unlock(&pools_lock);
	return pool;
}

/**
 * morsel_pool_beside() - find the pool of another node, and count a morsel on it
 * @pool:	one of the same kind
 * @node:	the node
 * Return: the pool, to be released with morsel_pool_release(); NULL: there is none.
 */
struct frame_pool *morsel_pool_beside(const struct frame_pool *pool, u32 node)
{
	struct frame_pool *other;

	mutex_lock(&pools_lock);
	other = pool_on(pool->ops, node);
	if (other)
		other->morsels++;
	mutex_unlock(&pools_lock);
	return other;
}

/**
 * morsel_pool_hold() - count one more morsel on a pool
 * @pool: the pool, on which one is already
 */
void morsel_pool_hold(struct frame_pool *pool)
{
	mutex_lock(&pools_lock);
	pool->morsels++;
	mutex_unlock(&pools_lock);
}

/**
 * morsel_pool_there() - is there a pool?
 * @id: its id
 * Return: whether there was just now.
 */
bool morsel_pool_there(u32 id)
{
	return xa_load(&pools, id);
}

/**
 * morsel_pools_room() - what pools may hold
 * @id:		one, or MORSEL_ANY for all
 * @nodes:	on these; NULL: on any
 * @limit:	gets how many pages that is
 * @room:	gets how many of these are still to be had
 */
void morsel_pools_room(u32 id, const nodemask_t *nodes, unsigned long *limit, unsigned long *room)
{
	struct frame_pool *pool;
	unsigned long index;

	*limit = 0;
	*room = 0;
	mutex_lock(&pools_lock);
	xa_for_each(&pools, index, pool) {
		if ((id != MORSEL_ANY && id != index) || (nodes && !node_isset(pool->node, *nodes)))
			continue;
		*limit += pool->ops->limit(pool);
		*room += pool->ops->room(pool);
	}
	mutex_unlock(&pools_lock);
}

/**
 * morsel_pool_release() - a morsel on the pool is gone
 * @pool: the pool
 */
void morsel_pool_release(struct frame_pool *pool)
{
	mutex_lock(&pools_lock);
	pool->morsels--;
	mutex_unlock(&pools_lock);
}

/**
 * morsel_pools_lock() - have no pool come or go, and none be counted on but by the caller
 */
void morsel_pools_lock(void)
{
	mutex_lock(&pools_lock);
}

/**
 * morsel_pools_unlock() - end that
 */
void morsel_pools_unlock(void)
{
	mutex_unlock(&pools_lock);
}

/**
 * morsel_pool_count() - how many pools there are
 * Return: the number.
 */
unsigned int morsel_pool_count(void)
{
	struct frame_pool *pool;
	unsigned int count = 0;
	unsigned long id;

	mutex_lock(&pools_lock);
	xa_for_each(&pools, id, pool)
		count++;
	mutex_unlock(&pools_lock);
	return count;
}

static void pool_describe(struct frame_pool *pool, struct morsel_pool_info *info)
{
	*info = (struct morsel_pool_info){
		.size = sizeof(*info),
		.id = pool->id,
		.kind = pool->ops->kind,
		.node = pool->node,
		.morsels = READ_ONCE(pool->morsels),
	};
	snprintf(info->name, sizeof(info->name), "%s%u", pool->ops->name, pool->node);
	pool->ops->stat(pool, info);
}

/* Let go of a pool that figures were asked of. */
static void pool_unask(struct frame_pool *pool)
{
	/* Of the pool, which may go now, nothing is looked at but the address. */
	if (atomic_dec_and_test(&pool->accounts))
		wake_up_var(&pool->accounts);
}

/* Describe a pool, which is kept with the pool list lock held, without that. */
static int pool_ask(struct frame_pool *pool, struct morsel_pool_info *info)
{
	int err;

	atomic_inc(&pool->accounts);
	mutex_unlock(&pools_lock);
	/* Tables of morsels that are gone are in use until they are freed. */
	err = outgoing_wait(&pool->outgoing);
	if (!err)
		pool_describe(pool, info);
	pool_unask(pool);
	return err;
}

/**
 * morsel_pool_next() - describe the pool that comes after one
 * @id:		of the one before, or 0; becomes the pool's
 * @info:	is filled
 * Return: 0; -ENOENT: there are no more; -EINTR: a fatal signal.
 */
int morsel_pool_next(u32 *id, struct morsel_pool_info *info)
{
	unsigned long index = *id;
	struct frame_pool *pool;

	mutex_lock(&pools_lock);
	pool = xa_find_after(&pools, &index, ULONG_MAX, XA_PRESENT);
	*id = index;
	if (pool)
		return pool_ask(pool, info);
	mutex_unlock(&pools_lock);
	return -ENOENT;
}

/**
 * morsel_pool_stat() - MORSEL_IOC_POOL_STAT
 * @info: holds the pool's id; is filled
 * Return: 0, -ENOENT or -EINTR (a fatal signal).
 */
int morsel_pool_stat(struct morsel_pool_info *info)
{
	struct frame_pool *pool;

	mutex_lock(&pools_lock);
	pool = xa_load(&pools, info->id);
	if (pool)
		return pool_ask(pool, info);
	mutex_unlock(&pools_lock);
	return -ENOENT;
}

static int limit_pages(u64 bytes, unsigned long *pages)
{
	if (!bytes || !IS_ALIGNED(bytes, PMD_SIZE) || bytes > MORSEL_MAX_LENGTH)
		return -EINVAL;
	*pages = bytes >> PAGE_SHIFT;
	return 0;
}

/**
 * morsel_pool_add() - MORSEL_IOC_POOL_ADD
 * @args:	kind, node and limit; the id is filled in
 * @pool:	becomes the pool
 * Return: 0, and morsel_pool_added() is to follow, or a negative errno as morsel_ioctl.h
 * lists it.
 */
int morsel_pool_add(struct morsel_pool *args, struct frame_pool **pool)
{
	unsigned long limit;
	int i, err;

	err = limit_pages(args->limit_bytes, &limit);
	if (err)
		return err;
	if (args->node >= MAX_NUMNODES || !node_state(args->node, N_MEMORY))
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i]->kind == args->kind)
			break;
	if (i == ARRAY_SIZE(kinds))
		return -EOPNOTSUPP;

	mutex_lock(&pools_lock);
	err = pool_add(kinds[i], args->node, limit, pool);
	if (!err) {
		args->id = (*pool)->id;
		/* As if a morsel were on it: until the caller knows of it, nobody removes it. */
		(*pool)->morsels++;
	}
	mutex_unlock(&pools_lock);
	return err;
}

/* Remove a pool, with the pool list lock held, unless it is in use. */
static int remove_locked(struct frame_pool *pool)
{
	struct morsel_pool_info info;

	pool_describe(pool, &info);
	if (pool->morsels || info.used_bytes || info.pinned_bytes)
		return -EBUSY;
	xa_erase(&pools, pool->id);
	pool_destroy(pool);
	return 0;
}

/**
 * morsel_pool_added() - after morsel_pool_add()
 * @pool: the pool
 * @told: the caller knows of it; else it goes again, unless somebody has found it and
 *	  made a morsel on it
 */
void morsel_pool_added(struct frame_pool *pool, bool told)
{
	mutex_lock(&pools_lock);
	pool->morsels--;
	if (!told)
		remove_locked(pool);
	mutex_unlock(&pools_lock);
}

/**
 * morsel_pool_resize() - MORSEL_IOC_POOL_RESIZE
 * @id:		the pool
 * @bytes:	its new limit
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
int morsel_pool_resize(u32 id, u64 bytes)
{
	struct frame_pool *pool;
	unsigned long limit;
	int err;

	err = limit_pages(bytes, &limit);
	if (err)
		return err;
	mutex_lock(&pools_lock);
	pool = xa_load(&pools, id);
	if (pool)
		pool->ops->resize(pool, limit);
	mutex_unlock(&pools_lock);
	return pool ? 0 : -ENOENT;
}

/**
 * morsel_pool_remove() - MORSEL_IOC_POOL_REMOVE
 * @id: the pool
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
int morsel_pool_remove(u32 id)
{
	struct morsel_pool_info info = {.id = id};
	struct frame_pool *pool;
	int err;

	/* Waits for tables of morsels that are gone. */
	err = morsel_pool_stat(&info);
	if (err)
		return err;
	mutex_lock(&pools_lock);
	pool = xa_load(&pools, id);
	err = pool ? remove_locked(pool) : -ENOENT;
	mutex_unlock(&pools_lock);
	return err;
}
