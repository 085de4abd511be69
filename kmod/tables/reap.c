// SPDX-License-Identifier: GPL-2.0
/*
 * Tables on their way out: a lockless walker may be in them until a grace period
 * has passed.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "pools/source.h"
#include "tables/leaf.h"
#include "tables/tableset.h"

static struct workqueue_struct *reaper;

static void reap_pmds(pmd_t *pmds)
{
	int i;

	for (i = 0; i < GIB_SPANS; i++) {
		if (pmd_none(pmds[i]))
			continue;
		/* The truth's have been given back; the others' map what is not theirs. */
		if (!pmd_is_leaf(pmds[i]))
			table_give(pmd_page(pmds[i]));
	}
	table_give(virt_to_page(pmds));
}

static void reap_puds(pud_t *puds, unsigned int entries)
{
	unsigned int i;

	for (i = 0; i < entries; i++) {
		if (pud_shows_nothing(puds[i]))
			continue;
		reap_pmds(pud_pgtable(puds[i]));
		cond_resched();
	}
}

static void reap(struct work_struct *work)
{
	struct tableset *set = container_of(to_rcu_work(work), struct tableset, dead);
	struct table_root *root = set->root, *old;
	unsigned long whole = root->gibs / TOP_GIBS, rest = root->gibs % TOP_GIBS, top;

	for (top = 0; top < whole; top++) {
		if (!root->tops[top])
			continue;
		reap_puds(root->tops[top], TOP_GIBS);
		table_give(virt_to_page(root->tops[top]));
	}
	if (rest)
		reap_puds(root->tops[whole], rest);
	for (; root; root = old) {
		old = root->old;
		tableset_root_free(set, root);
	}
	source_gone(set->source, &set->outgoing);
	source_unref(set->source);
	kfree(set);
}

/**
 * tableset_free() - give a tableset back after a grace period
 * @set: the set, which nothing has spliced any more
 */
void tableset_free(struct tableset *set)
{
	source_outgoing(set->source, &set->outgoing);
	INIT_RCU_WORK(&set->dead, reap);
	queue_rcu_work(reaper, &set->dead);
}

static void drop(struct work_struct *work)
{
	displaced_free(container_of(to_rcu_work(work), struct displaced, dead));
}

/**
 * displaced_drop() - drop displaced tables, which nothing has spliced any more, after a grace period
 * @displaced: these, or what needs none
 */
void displaced_drop(struct displaced *displaced)
{
	source_outgoing(displaced->source, &displaced->outgoing);
	INIT_RCU_WORK(&displaced->dead, drop);
	if (displaced->at_once)
		queue_work(reaper, &displaced->dead.work);
	else
		queue_rcu_work(reaper, &displaced->dead);
}

/**
 * tablesets_init() - what all tablesets share
 * Return: 0 or -ENOMEM.
 */
int tablesets_init(void)
{
	/* It frees memory, so it is not to wait for some. */
	reaper = alloc_workqueue("morsel", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return reaper ? 0 : -ENOMEM;
}

/**
 * tablesets_exit() - none is left
 */
void tablesets_exit(void)
{
	/* Those that wait for a grace period are queued after it. */
	rcu_barrier();
	destroy_workqueue(reaper);
}
