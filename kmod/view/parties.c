// SPDX-License-Identifier: GPL-2.0
/*
 * Parties: they come and go, hold what they asked for by call, and are told what they may not.
 */
#include <linux/err.h>
#include <linux/slab.h>

#include "view/exclusive.h"

/**
 * struct held - what a party holds
 * @list:	in party.held
 * @first:	the first page
 * @end:	page after the last
 * @write:	to write it
 * @taking:	it does not yet
 */
struct held {
	struct list_head list;
	unsigned long first;
	unsigned long end;
	bool write;
	bool taking;
};

/**
 * parties_make() - begin to have exclusive views of a morsel
 * @map:	what there is to see
 * @lost:	as struct parties has it
 * Return: none yet; NULL without memory.
 */
struct parties *parties_make(struct map *map, void (*lost)(struct view *view, unsigned long first,
							   unsigned long end))
{
	struct parties *all = kzalloc(sizeof(*all), GFP_KERNEL_ACCOUNT);

	if (!all)
		return NULL;
	all->map = map;
	all->lost = lost;
	init_rwsem(&all->sem);
	xa_init_flags(&all->by_number, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&all->gibs, XA_FLAGS_ACCOUNT);
	xa_init_flags(&all->splits, XA_FLAGS_ACCOUNT);
	spin_lock_init(&all->line_lock);
	INIT_LIST_HEAD(&all->line);
	return all;
}

/**
 * parties_free() - end that
 * @all: of which morsel; no party is left.  NULL: nothing is done
 */
void parties_free(struct parties *all)
{
	if (!all)
		return;
	words_free(all);
	xa_destroy(&all->by_number);
	kfree(all);
}

/**
 * party_make() - a party more
 * @all: of which morsel
 * Return: the party, with nothing; ERR_PTR(-ENOMEM); ERR_PTR(-EMFILE): there are too many.
 *
 * Whoever had the number before has gone, and what is said to be had by that number, nobody has: so it may as well be this
 * one's.
 */
struct party *party_make(struct parties *all)
{
	struct party *party = kzalloc(sizeof(*party), GFP_KERNEL_ACCOUNT);
	int err;

	if (!party)
		return ERR_PTR(-ENOMEM);
	party->view = (struct view){&exclusive_view_ops, all->map};
	party->all = all;
	mutex_init(&party->lock);
	INIT_LIST_HEAD(&party->held);
	down_write(&all->sem);
	err = xa_alloc_cyclic(&all->by_number, &party->number, party, XA_LIMIT(1, WORD_PARTIES),
			      &all->last, GFP_KERNEL_ACCOUNT);
	if (err >= 0)
		all->group[party->number % WORD_GROUPS]++;
	up_write(&all->sem);
	if (err >= 0)
		return party;
	kfree(party);
	return ERR_PTR(err == -EBUSY ? -EMFILE : err);
}

static void drop_held(struct party *party, struct held *held)
{
	party_unhold(party, held->first, held->end);
	kfree(held);
}

/* Hold nothing any more. */
static void drop_all_held(struct party *party)
{
	struct held *held, *next;
	LIST_HEAD(dropped);

	mutex_lock(&party->lock);
	list_for_each_entry_safe(held, next, &party->held, list)
		if (!held->taking)
			list_move(&held->list, &dropped);
	mutex_unlock(&party->lock);
	list_for_each_entry_safe(held, next, &dropped, list)
		drop_held(party, held);
}

/**
 * party_gone() - a party is no more: what it had is anybody's at once
 * @party: the party, which nobody uses, nor has anything of it mapped
 */
void party_gone(struct party *party)
{
	struct parties *all = party->all;

	drop_all_held(party);
	down_write(&all->sem);
	xa_erase(&all->by_number, party->number);
	all->group[party->number % WORD_GROUPS]--;
	up_write(&all->sem);
	map_viewer_gone(all->map, &party->viewer);
	kfree(party);
}

/**
 * party_revoke() - a party may do less from now on
 * @all:	of which morsel
 * @number:	which party
 * @freeze:	it may read still
 *
 * What it has mapped shows nothing any more, or, by faults, what is to be read; and it holds nothing.
 * Return: 0; -ENOENT: there is none of this number; -EBUSY: it is to be frozen, and holds something.
 */
int party_revoke(struct parties *all, unsigned int number, bool freeze)
{
	struct party *party;
	int err = 0;

	down_read(&all->sem);
	party = xa_load(&all->by_number, number);
	if (!party) {
		err = -ENOENT;
		goto out;
	}
	mutex_lock(&party->lock);
	if (freeze && !list_empty(&party->held)) {
		err = -EBUSY;
	} else {
		WRITE_ONCE(party->frozen, true);
		WRITE_ONCE(party->revoked, party->revoked || !freeze);
		party_blind(party);
	}
	mutex_unlock(&party->lock);
	if (!err && !freeze)
		drop_all_held(party);
	/* It may be waiting, too. */
	if (!err)
		line_wake_all(all);
out:
	up_read(&all->sem);
	return err;
}

/**
 * party_only_reads() - does a party hold a page to read?
 * @party:	the party
 * @index:	the page
 *
 * Then it would wait for itself to write it.
 * Return: whether.
 */
bool party_only_reads(struct party *party, unsigned long index)
{
	struct held *held;
	bool reads = false;

	mutex_lock(&party->lock);
	list_for_each_entry(held, &party->held, list)
		reads |= !held->write && held->first <= index && index < held->end;
	mutex_unlock(&party->lock);
	return reads;
}

/* Say what is about to be held: nobody holds a page twice. */
static struct held *begin(struct take *take, unsigned long first, unsigned long end)
{
	struct held *made = kmalloc(sizeof(*made), GFP_KERNEL_ACCOUNT), *held;
	struct party *party = take->party;
	int err = 0;

	if (!made)
		return ERR_PTR(-ENOMEM);
	*made = (struct held){.first = first, .end = end, .write = take->write, .taking = true};
	mutex_lock(&party->lock);
	list_for_each_entry(held, &party->held, list)
		if (held->first < end && first < held->end)
			err = -EDEADLK;
	if (!err)
		list_add(&made->list, &party->held);
	mutex_unlock(&party->lock);
	if (!err)
		return made;
	kfree(made);
	return ERR_PTR(err);
}

/**
 * party_acquire() - have pages, and hold them
 * @take:	who, and how
 * @first:	the first page
 * @end:	page after the last
 *
 * What is there of them is shown at once, where the party has it mapped.
 * Return: as party_take(); -EDEADLK: it holds some of them; -EACCES: it may not.
 */
int party_acquire(struct take *take, unsigned long first, unsigned long end)
{
	struct held *held = begin(take, first, end);
	struct party *party = take->party;
	int err;

	if (IS_ERR(held))
		return PTR_ERR(held);
	err = party_take(take, first, end);
	mutex_lock(&party->lock);
	held->taking = false;
	if (!err && party->revoked) {
		party_unhold(party, first, end);
		err = -EACCES;
	}
	if (err)
		list_del(&held->list);
	mutex_unlock(&party->lock);
	if (err)
		kfree(held);
	else
		party_show_all(party, first, end);
	return err;
}

/**
 * party_release() - do not hold any more what was acquired
 * @party:	who
 * @first:	the first page of a range in which all that is,
 * @end:	and the page after the last
 * @give_up:	it needs it no more: others need not take it
 * Return: 0; -EINVAL: it holds nothing there, or what it holds is there in part.
 */
int party_release(struct party *party, unsigned long first, unsigned long end, bool give_up)
{
	struct held *held, *next;
	LIST_HEAD(dropped);
	bool partly = false;

	mutex_lock(&party->lock);
	list_for_each_entry(held, &party->held, list)
		partly |= held->first < end && first < held->end &&
			  (held->first < first || end < held->end || held->taking);
	list_for_each_entry_safe(held, next, &party->held, list)
		if (!partly && first <= held->first && held->end <= end)
			list_move(&held->list, &dropped);
	mutex_unlock(&party->lock);
	if (list_empty(&dropped))
		return -EINVAL;
	list_for_each_entry_safe(held, next, &dropped, list) {
		first = held->first;
		end = held->end;
		drop_held(party, held);
		if (give_up)
			party_yield(party, first, end);
	}
	return 0;
}
