// SPDX-License-Identifier: GPL-2.0
/*
 * Sources: of which pools a morsel takes its frames and tables.
 *
 * It begins with one, and goes on to the next nearest when that is full, or where a policy
 * says so: that of the mapping (mbind(2)), else the morsel's own, else that of the task
 * (set_mempolicy(2)).  What policies mean is as the kernel has it.  All nodes are asked for what
 * they have at hand before one has to reclaim.
 */
#include <linux/cpuset.h>
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "morsel_ioctl.h"
#include "pools/frame.h"
#include "pools/payer.h"
#include "pools/pool.h"
#include "pools/source.h"

/**
 * struct wish - which nodes are to be asked for some frames
 * @nodes:	of the policy; NULL: all
 * @how:	ONLY these; these FIRST, and then the others; or SPREAD over these, and then
 *		the others
 * @from:	the nearest ones first, seen from this node
 */
struct wish {
	const nodemask_t *nodes;
	enum { ONLY, FIRST, SPREAD } how;
	int from;
};

/* To be near a node is a policy, too. */
static bool has_nodes(const struct placement *placement)
{
	return placement->nodes || placement->node != MORSEL_ANY;
}

/* Of some nodes, those that the caller may have memory of. */
static int set_nodes(struct source *source, const nodemask_t *nodes)
{
	if (!nodes_subset(*nodes, node_online_map) ||
	    !nodes_intersects(*nodes, node_states[N_MEMORY]))
		return -ENODEV;
	nodes_and(source->nodes[0], *nodes, node_states[N_MEMORY]);
	/* While its cpuset changes, either answer will do. */
	nodes_and(source->nodes[0], source->nodes[0], cpuset_current_mems_allowed);
	return nodes_empty(source->nodes[0]) ? -EACCES : 0;
}

/* Choose the first pool. */
static int begin(struct source *source, const struct placement *placement,
		 const struct payers *payers)
{
	struct frame_pool *pool;

	pool = morsel_pool_choose(placement->pool, placement->node,
				  placement->nodes ? source->nodes : NULL);
	if (IS_ERR(pool)) {
		payers_put(payers);
		return PTR_ERR(pool);
	}
	source->first.account = account_get(pool, payers);
	return source->first.account ? 0 : -ENOMEM;
}

/**
 * source_make() - where a new morsel's frames come from
 * @placement:	what is said of it
 * @payers:	who pays, with references that are taken over, also on failure
 * Return: the source, with the morsel's reference, to be given back by source_close();
 * ERR_PTR() as of morsel_pool_choose(), or of -ENOMEM.
 */
struct source *source_make(const struct placement *placement, const struct payers *payers)
{
	struct source *source = kzalloc(struct_size(source, nodes, has_nodes(placement)),
					GFP_KERNEL_ACCOUNT);
	int err = source ? 0 : -ENOMEM;

	if (!err && placement->nodes)
		err = set_nodes(source, placement->nodes);
	if (err)
		payers_put(payers);
	else
		err = begin(source, placement, payers);
	if (err) {
		kfree(source);
		return ERR_PTR(err);
	}
	refcount_set(&source->refs, 1);
	source->one = placement->pool != MORSEL_ANY;
	source->policy = placement->policy;
	if (!placement->nodes && has_nodes(placement)) {
		source->policy = MORSEL_POLICY_PREFERRED;
		node_set(placement->node, source->nodes[0]);
	}
	return source;
}

/**
 * source_ref() - take a reference that does not count as a morsel on the pools
 * @source: the source
 */
void source_ref(struct source *source)
{
	refcount_inc(&source->refs);
}

/**
 * source_unref() - give back what source_ref() took
 * @source: the source
 */
void source_unref(struct source *source)
{
	struct source_part *part, *next;

	if (!refcount_dec_and_test(&source->refs))
		return;
	for (part = source->more; part; part = next) {
		next = part->next;
		account_unref(part->account);
		kfree(part);
	}
	account_unref(source->first.account);
	kfree(source);
}

/**
 * source_close() - the morsel is gone; its tables may be in use for a while
 * @source: the source
 */
void source_close(struct source *source)
{
	struct source_part *part;

	/* At once: who removes one of them waits for the accounts, which go after that. */
	morsel_pools_lock();
	for_each_source_part(part, source)
		part->account->pool->morsels--;
	morsel_pools_unlock();
	source_unref(source);
}

static struct source_part *part_on(struct source *source, int node)
{
	struct source_part *part;

	for_each_source_part(part, source)
		if (part->account->pool->node == node)
			return part;
	return NULL;
}

/* Go on to the pool of a node, where others may have gone on to meanwhile; NULL: there is none. */
static struct source_part *go_on_to(struct source *source, int node)
{
	struct source_part *made, *part, *last;
	struct frame_pool *pool = morsel_pool_beside(source->first.account->pool, node);

	if (!pool)
		return NULL;
	made = kzalloc(sizeof(*made), GFP_KERNEL_ACCOUNT);
	if (!made) {
		morsel_pool_release(pool);
		return NULL;
	}
	made->account = account_beside(source->first.account, pool);
	if (!made->account) {
		kfree(made);
		return NULL;
	}
	last = READ_ONCE(source->more);
	do {
		part = part_on(source, node);
		made->next = last;
		made->number = last ? last->number + 1 : 1;
	} while (!part && made->number < SOURCE_POOLS_MAX &&
		 !try_cmpxchg(&source->more, &last, made));
	if (!part && made->number < SOURCE_POOLS_MAX)
		return made;
	account_put(made->account);
	kfree(made);
	return part;
}

static struct source_part *part_for(struct source *source, int node)
{
	return part_on(source, node) ?: go_on_to(source, node);
}

/* One that is as another, but for who pays. */
static struct source *copy(const struct source *source)
{
	bool has_nodes = source->policy != MORSEL_POLICY_NEAR;
	struct source *made = kzalloc(struct_size(made, nodes, has_nodes), GFP_KERNEL_ACCOUNT);

	if (!made)
		return NULL;
	refcount_set(&made->refs, 1);
	made->one = source->one;
	made->policy = source->policy;
	if (has_nodes)
		made->nodes[0] = source->nodes[0];
	return made;
}

/**
 * source_clone() - where a clone's frames come from: of the same pools as the source's
 * @source:	of what is cloned
 * @payers:	who pays for the clone, with references that are taken over, also on failure; NULL: who pays for @source
 * Return: as source_make().
 */
struct source *source_clone(struct source *source, const struct payers *payers)
{
	struct account *account = source->first.account;
	struct source *clone = copy(source);

	if (!clone) {
		if (payers)
			payers_put(payers);
		return ERR_PTR(-ENOMEM);
	}
	morsel_pool_hold(account->pool);
	clone->first.account = payers ? account_get(account->pool, payers)
				      : account_beside(account, account->pool);
	if (!clone->first.account) {
		kfree(clone);
		return ERR_PTR(-ENOMEM);
	}
	return clone;
}

/**
 * source_copy_counts() - a clone's map is to have what its source's has
 * @clone:	the clone's source
 * @source:	of source_clone(); no frames come into its map, or leave it
 * @whole:	all of it; else it counts what it is to have
 *
 * So a clone holds all pools that it has frames of.
 * Return: 0; -ENOMEM.
 */
int source_copy_counts(struct source *clone, const struct source *source, bool whole)
{
	const struct source_part *part;
	struct source_part *to;

	/* What it goes on to meanwhile, its map has nothing of. */
	for (part = READ_ONCE(source->more); part; part = part->next) {
		to = part_for(clone, part->account->pool->node);
		if (!to)
			return -ENOMEM;
		if (!whole)
			continue;
		atomic_long_set(&to->small, atomic_long_read(&part->small));
		atomic_long_set(&to->huge, atomic_long_read(&part->huge));
	}
	return 0;
}

/**
 * source_meet() - see that a map may have what another has
 * @source:	the map's source
 * @other:	that of the other one
 * Return: 0; -ENOMEM.
 */
int source_meet(struct source *source, struct source *other)
{
	const struct source_part *part;

	for_each_source_part(part, other)
		if (!part_for(source, part->account->pool->node))
			return -ENOMEM;
	return 0;
}

static atomic_long_t *count_of(struct source_part *part, unsigned int order)
{
	return order ? &part->huge : &part->small;
}

/* What there is of the first part, which is not counted. */
static long rest_of(struct source *source, unsigned int order, long total)
{
	struct source_part *part;

	for (part = READ_ONCE(source->more); part; part = part->next)
		total -= atomic_long_read(count_of(part, order));
	return total;
}

/**
 * source_exchange_counts() - two maps are given each other's frames
 * @source:	the source of one; no frames come into the maps, or leave them
 * @other:	that of the other; source_meet() was called for both
 * @order:	log2 of a frame's pages
 * @total:	how many frames the one has
 * @other_total: the other
 */
void source_exchange_counts(struct source *source, struct source *other, unsigned int order,
			    atomic_long_t *total, atomic_long_t *other_total)
{
	long rest = rest_of(source, order, atomic_long_read(total)), some, others;
	long other_rest = rest_of(other, order, atomic_long_read(other_total));
	struct source_part *part, *to;

	for_each_source_part(part, source) {
		to = part_on(other, part->account->pool->node);
		/* Of what it went on to since, there is nothing. */
		if (!to)
			continue;
		some = part == &source->first ? rest : atomic_long_read(count_of(part, order));
		others = to == &other->first ? other_rest : atomic_long_read(count_of(to, order));
		if (part != &source->first)
			atomic_long_set(count_of(part, order), others);
		if (to != &other->first)
			atomic_long_set(count_of(to, order), some);
	}
	some = atomic_long_read(total);
	atomic_long_set(total, atomic_long_read(other_total));
	atomic_long_set(other_total, some);
}

/**
 * source_pays() - do those who pay for a source pay for a frame, or a page of a table?
 * @source:	the source
 * @page:	the frame, or page, which nobody else takes over meanwhile
 * Return: whether.
 */
bool source_pays(const struct source *source, struct page *page)
{
	return accounts_agree(source->first.account, frame_account(page));
}

/**
 * source_pay() - have those who pay for a source pay for a frame, or a page of a table, instead of who did
 * @source:	the source, the map of which has it
 * @page:	the frame, or page
 * @order:	log2 of its pages
 */
void source_pay(struct source *source, struct page *page, unsigned int order)
{
	struct source_part *part = part_on(source, frame_account(page)->pool->node);

	if (part)
		account_take_over(part->account, page, order);
}

/* Up to @count frames of a node. */
static unsigned int take_on(struct source *source, int node, unsigned int how, unsigned int order,
			    unsigned int count, u64 *frames)
{
	struct source_part *part = part_for(source, node);

	return part ? account_take(part->account, how, order, count, frames) : 0;
}

/* The next node of some, or of all, that is to be asked; NUMA_NO_NODE: all have been. */
static int next_node_near(const struct source *source, const struct wish *wish,
			  const nodemask_t *nodes, nodemask_t *asked)
{
	int node, best = NUMA_NO_NODE, best_distance = 0;

	for_each_node_state(node, N_MEMORY) {
		int distance = node_distance(wish->from, node);

		if (node_isset(node, *asked) || (nodes && !node_isset(node, *nodes)))
			continue;
		/* Where it began, it may go on, whoever touches it. */
		if (node != source->first.account->pool->node &&
		    !node_isset(node, cpuset_current_mems_allowed))
			continue;
		if (best == NUMA_NO_NODE || distance < best_distance) {
			best = node;
			best_distance = distance;
		}
	}
	if (best != NUMA_NO_NODE)
		node_set(best, *asked);
	return best;
}

/* Of the nearest of some nodes, or of all, that has some. */
static unsigned int take_near(struct source *source, const struct wish *wish,
			      const nodemask_t *nodes, unsigned int how, unsigned int order,
			      unsigned int count, u64 *frames)
{
	nodemask_t asked = NODE_MASK_NONE;
	unsigned int got = 0;
	int node;

	do {
		node = next_node_near(source, wish, nodes, &asked);
		if (node == NUMA_NO_NODE)
			break;
		got = take_on(source, node, how, order, count, frames);
		/* A ceiling is one everywhere. */
	} while (!got && !account_poor(source->first.account, order));
	return got;
}

/*
 * Of each of some nodes in turn, and so in equal parts, whatever the batches are that they are asked
 * for in.
 */
static unsigned int take_spread(struct source *source, const struct wish *wish, unsigned int how,
				unsigned int order, unsigned int count, u64 *frames)
{
	unsigned int turn = atomic_fetch_add(count, &source->turns[!!order]), left, skip, got = 0;
	nodemask_t nodes;
	int node;

	/* It may change while it is looked at, as cpusets do. */
	nodes_and(nodes, *wish->nodes, cpuset_current_mems_allowed);
	left = nodes_weight(nodes);
	if (!left)
		return 0;
	node = first_node(nodes);
	for (skip = turn % left; skip; skip--)
		node = next_node_in(node, nodes);
	for (; left && got < count; left--, node = next_node_in(node, nodes))
		got += take_on(source, node, how, order, DIV_ROUND_UP(count - got, left),
			       frames + got);
	return got;
}

static unsigned int take_as_wished(struct source *source, const struct wish *wish, unsigned int how,
				   unsigned int order, unsigned int count, u64 *frames)
{
	unsigned int got = 0;

	if (wish->how == SPREAD)
		got = take_spread(source, wish, how, order, count, frames);
	else if (wish->nodes)
		got = take_near(source, wish, wish->nodes, how, order, count, frames);
	if (!got && (wish->how != ONLY || !wish->nodes))
		got = take_near(source, wish, NULL, how, order, count, frames);
	return got;
}

/* What a policy of the kernel's wishes; false: nothing. */
static bool policy_wishes(const struct mempolicy *policy, struct wish *wish)
{
#ifdef CONFIG_NUMA
	if (!policy || policy->mode == MPOL_DEFAULT)
		return false;
	wish->from = policy->home_node == NUMA_NO_NODE ? numa_mem_id() : policy->home_node;
	wish->nodes = nodes_empty(policy->nodes) ? NULL : &policy->nodes;
	switch (policy->mode) {
	case MPOL_BIND:
		wish->how = ONLY;
		/* As the kernel has it, of who touches what others have bound. */
		if (wish->nodes && !nodes_intersects(*wish->nodes, cpuset_current_mems_allowed))
			wish->nodes = NULL;
		return true;
	case MPOL_LOCAL:
		wish->nodes = NULL;
		fallthrough;
	case MPOL_PREFERRED:
	case MPOL_PREFERRED_MANY:
		wish->how = FIRST;
		return true;
	default:
		/* Interleaving, in equal parts also where weights are given. */
		wish->how = wish->nodes ? SPREAD : FIRST;
		return true;
	}
#else
	return false;
#endif
}

static const struct mempolicy *task_policy(void)
{
#ifdef CONFIG_NUMA
	return current->mempolicy;
#else
	return NULL;
#endif
}

/* What the morsel's own policy wishes; false: nothing. */
static bool source_wishes(const struct source *source, struct wish *wish)
{
	wish->from = source->first.account->pool->node;
	wish->nodes = source->policy == MORSEL_POLICY_NEAR ? NULL : source->nodes;
	switch (source->policy) {
	case MORSEL_POLICY_BIND:
		wish->how = ONLY;
		return true;
	case MORSEL_POLICY_INTERLEAVE:
		wish->how = SPREAD;
		return true;
	case MORSEL_POLICY_PREFERRED:
		wish->how = FIRST;
		return true;
	default:
		wish->how = FIRST;
		return false;
	}
}

/* Never of another pool than the first: it is to be so, or there is no other node. */
static bool source_alone(const struct source *source)
{
	return source->one || nr_online_nodes == 1;
}

static unsigned int take(struct source *source, const struct mempolicy *policy, unsigned int how,
			 unsigned int order, unsigned int count, u64 *frames)
{
	struct wish wish;
	unsigned int got;

	if (source_alone(source))
		return account_take(source->first.account, how | TAKE_HARD, order, count, frames);
	/* Where nobody wishes anything, it is as the source has it all the same. */
	if (!policy_wishes(policy, &wish) && !source_wishes(source, &wish))
		policy_wishes(task_policy(), &wish);
	got = take_as_wished(source, &wish, how, order, count, frames);
	/* Huge ones are never tried hard for. */
	if (got || order || account_poor(source->first.account, order))
		return got;
	return take_as_wished(source, &wish, how | TAKE_HARD, order, count, frames);
}

/**
 * source_take() - get frames for a morsel, cleared
 * @source:	the source
 * @policy:	of the mapping, or NULL; it stays meanwhile
 * @order:	log2 of a frame's pages
 * @count:	how many frames
 * @frames:	where to put them
 * Return: how many there are; source_short() says why there is none.
 */
unsigned int source_take(struct source *source, const struct mempolicy *policy, unsigned int order,
			 unsigned int count, u64 *frames)
{
	return take(source, policy, 0, order, count, frames);
}

/**
 * source_take_as_is() - the same of one frame, with whatever is in it, to be overwritten as a whole
 * @source:	as above, as are the next two
 * @policy:	of the mapping, or NULL
 * @order:	log2 of the frame's pages
 * @frame:	gets it
 * Return: whether there is one.
 */
bool source_take_as_is(struct source *source, const struct mempolicy *policy, unsigned int order,
		       u64 *frame)
{
	return take(source, policy, TAKE_AS_IS, order, 1, frame);
}

/* The part that has a frame. */
static struct source_part *part_of(struct source *source, u64 frame)
{
	struct frame_pool *pool = frame_pool(frame);
	struct source_part *part;

	for_each_source_part(part, source)
		if (part->account->pool == pool)
			break;
	return part;
}

/* How many frames, from the first one on, are of its part? */
static unsigned int of_one_part(struct source *source, struct source_part **part,
				unsigned int count, const u64 *frames)
{
	unsigned int nr = 1;

	*part = &source->first;
	if (!READ_ONCE(source->more))
		return count;
	*part = part_of(source, *frames);
	while (nr < count && frame_pool(frames[nr]) == (*part)->account->pool)
		nr++;
	return nr;
}

/*
 * A frame is nobody's any more.  Under its lock, since who has that may rely on the mapping, and on
 * the map then; who looks without it does so under RCU.
 */
static void disclaim(u64 frame)
{
	struct folio *folio = page_folio(frame_page(frame));

	folio_lock(folio);
	WRITE_ONCE(folio->mapping, NULL);
	folio_unlock(folio);
	cond_resched();
}

/**
 * source_give() - give frames back, which no address space can reach any more
 * @order:	log2 of a frame's pages
 * @count:	how many
 * @frames:	these
 *
 * Those that somebody else has, too, stay.
 */
void source_give(unsigned int order, unsigned int count, const u64 *frames)
{
	struct account *account = NULL, *other;
	unsigned int first = 0, i;

	for (i = 0; i < count; i++) {
		other = frame_unshare(frames[i]) ? frame_account(frame_page(frames[i])) : NULL;
		if (other)
			disclaim(frames[i]);
		if (other == account)
			continue;
		if (account)
			account_give(account, order, i - first, frames + first);
		account = other;
		first = i;
	}
	if (account)
		account_give(account, order, count - first, frames + first);
}

/**
 * source_count() - frames have come into the map, or left it
 * @source:	what they were taken of
 * @order:	log2 of a frame's pages
 * @count:	how many
 * @frames:	these
 * @come:	they have come
 */
void source_count(struct source *source, unsigned int order, unsigned int count, const u64 *frames,
		  bool come)
{
	struct source_part *part;
	unsigned int done, some;

	if (!READ_ONCE(source->more))
		return;
	for (done = 0; done < count; done += some) {
		some = of_one_part(source, &part, count - done, frames + done);
		if (part != &source->first)
			atomic_long_add(come ? some : -(long)some,
					order ? &part->huge : &part->small);
	}
}

/* A page for a table of another pool than the first, the nearest that has one. */
static struct page *take_table_beside(struct source *source)
{
	nodemask_t asked = NODE_MASK_NONE;
	struct page *table = NULL;
	struct source_part *part;
	struct wish wish;
	int node;

	source_wishes(source, &wish);
	node_set(wish.from, asked);
	do {
		node = next_node_near(source, &wish, wish.how == ONLY ? wish.nodes : NULL, &asked);
		if (node == NUMA_NO_NODE)
			break;
		part = part_for(source, node);
		table = part ? account_take_table(part->account) : NULL;
	} while (!table);
	return table;
}

/**
 * source_take_table() - get a page for a table, of the first pool or the next nearest
 * @source: the source
 * Return: the page, with no entries, or NULL; source_short() says why.
 */
struct page *source_take_table(struct source *source)
{
	struct page *table = account_take_table(source->first.account);

	if (table || source_alone(source) || account_poor(source->first.account, 0))
		return table;
	return take_table_beside(source);
}

/**
 * source_room() - what a morsel can come to have
 * @source:	its source
 * @limit:	gets how many pages the pools may hold, or who pays may have
 * @room:	gets how many of these are still to be had
 */
void source_room(const struct source *source, unsigned long *limit, unsigned long *room)
{
	const struct account *account = source->first.account;

	morsel_pools_room(source->one ? account->pool->id : MORSEL_ANY,
			  source->policy == MORSEL_POLICY_BIND ? source->nodes : NULL, limit, room);
	account_clamp(account, limit, room);
}

/**
 * source_lacks() - would there not be some pages?
 * @source:	the source
 * @pages:	how many
 * Return: 0: as far as can be told, there are; -ENOMEM, -EDQUOT: why not.
 */
int source_lacks(struct source *source, unsigned long pages)
{
	unsigned long limit, room;
	struct source_part *part;

	source_room(source, &limit, &room);
	if (room >= pages)
		return 0;
	/* What nobody has a pin on any more is free. */
	for_each_source_part(part, source)
		quarantine_reap(part->account->pool);
	source_room(source, &limit, &room);
	return room < pages ? account_over(source->first.account, pages) : 0;
}

/**
 * source_outgoing() - a tableset is on its way out
 * @source:	the source, of which the set has a reference
 * @rounds:	is filled, for source_gone()
 */
void source_outgoing(struct source *source, struct rounds *rounds)
{
	struct source_part *part = READ_ONCE(source->more);

	rounds->payers = account_outgoing(source->first.account);
	rounds->parts = part ? part->number + 1 : 1;
	rounds->pools = 0;
	for (; part; part = part->next)
		rounds->pools |= (u64)outgoing_begin(&part->account->pool->outgoing)
				 << part->number;
}

/**
 * source_gone() - it has been freed
 * @source:	the source, of which there is a reference still
 * @rounds:	what source_outgoing() said
 */
void source_gone(struct source *source, const struct rounds *rounds)
{
	struct source_part *part;

	for (part = READ_ONCE(source->more); part; part = part->next)
		if (part->number < rounds->parts)
			outgoing_end(&part->account->pool->outgoing,
				     rounds->pools >> part->number & 1);
	account_gone(source->first.account, rounds->payers);
}

/**
 * source_ended() - how many tablesets have been freed whose end may have made room
 * @source: the source
 * Return: a number for source_waits().
 */
unsigned long source_ended(struct source *source)
{
	struct source_part *part;
	unsigned long ended = 0;

	for_each_source_part(part, source)
		ended += account_ended(part->account);
	return ended;
}

/**
 * source_waits() - may waiting, or trying again, help after there was no frame or table?
 * @source:	the source
 * @err:	why there was none
 * @ended:	source_ended() before it was asked for
 * Return: whether; not if none was on its way all the time.
 */
bool source_waits(struct source *source, int err, unsigned long ended)
{
	struct source_part *part;

	if (err != -EDQUOT && err != -ENOMEM)
		return false;
	for_each_source_part(part, source)
		if (account_awaits(part->account, err))
			return true;
	return source_ended(source) != ended;
}

/**
 * source_wait() - wait for what may make room
 * @source:	the source
 * @err:	why there was no frame or table
 *
 * Takes a grace period, and the time that it takes to free others' tables: so not with locks
 * held that others wait for.
 * Return: true: it is worth trying again, but not waiting again: what there was to wait for
 * is over, if it was not before; false: it is about something else, or a fatal signal is there.
 */
bool source_wait(struct source *source, int err)
{
	struct source_part *part;

	if (err != -EDQUOT && err != -ENOMEM)
		return false;
	/* Who pays is the same for all. */
	if (account_wait(source->first.account, err))
		return false;
	for (part = READ_ONCE(source->more); part && err == -ENOMEM; part = part->next)
		if (outgoing_wait(&part->account->pool->outgoing))
			return false;
	return true;
}
