/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exclusive views: many readers or one writer per page, and each party has tables of its own.
 */
#ifndef MORSEL_EXCLUSIVE_H
#define MORSEL_EXCLUSIVE_H

#include <linux/completion.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "view/view.h"
#include "view/word.h"

/**
 * struct split - the words of a span's pages, where each has its own
 * @words:	these
 * @fresh:	a bit per page: it was given to somebody by a fault, and to nobody since
 * @granted:	when one of them was
 * @rcu:	frees it
 */
struct split {
	u64 *words;
	DECLARE_BITMAP(fresh, SPAN_PAGES);
	ktime_t granted;
	struct rcu_head rcu;
};

/**
 * struct parties - the exclusive views of a morsel, and who of them has what
 * @map:	what there is to see
 * @lost:	has a party's address spaces forget the pages from @first to before @end, which its tables do not show
 *		any more
 * @sem:	held for writing while a party comes or goes; for reading by who takes something from others
 * @by_number:	the parties
 * @last:	the number that was given last
 * @group:	how many there are of each group (word.h)
 * @gibs:	by GiB, the words of its spans, where anybody has had something of it
 * @splits:	by span, those of its pages, where the span's is WORD_SPLIT
 * @line_lock:	protects the next
 * @line:	who waits for pages, in the order in which they came
 */
struct parties {
	struct map *map;
	void (*lost)(struct view *view, unsigned long first, unsigned long end);
	struct rw_semaphore sem;
	struct xarray by_number;
	u32 last;
	unsigned int group[WORD_GROUPS];
	struct xarray gibs;
	struct xarray splits;
	spinlock_t line_lock;
	struct list_head line;
};

/**
 * struct party - an exclusive view
 * @view:	as which descriptors and attachments have it
 * @all:	all of the morsel
 * @number:	which of these
 * @lock:	held by who shows it pages, from the look at their words on, and by who takes pages out of its tables;
 *		protects what follows
 * @viewer:	its tables
 * @frozen:	it never writes any more; once true, always
 * @revoked:	nor does it read
 * @held:	struct held: what it has by call, and nobody takes away
 */
struct party {
	struct view view;
	struct parties *all;
	unsigned int number;
	struct mutex lock;
	struct map_viewer viewer;
	bool frozen;
	bool revoked;
	struct list_head held;
};

/**
 * struct take - a party wants something
 * @party:	the party
 * @write:	to write it; else to read
 * @hold:	and to hold it
 * @state:	TASK_RUNNING: without waiting; else which signals end that
 * @deadline:	when waiting ends; KTIME_MAX: never
 */
struct take {
	struct party *party;
	bool write;
	bool hold;
	unsigned int state;
	ktime_t deadline;
};

/**
 * struct waiter - who stands in line
 * @list:	in parties.line, or empty
 * @first:	for what: from this page
 * @end:	to before this one, of the same span
 * @woken:	it is worth looking
 */
struct waiter {
	struct list_head list;
	unsigned long first;
	unsigned long end;
	struct completion woken;
};

static inline struct party *to_party(struct view *view)
{
	return container_of(view, struct party, view);
}

/* line.c */
void waiter_init(struct waiter *waiter);
void line_stand(struct parties *all, struct waiter *waiter, unsigned long first, unsigned long end);
bool line_is_next(struct parties *all, const struct waiter *waiter, unsigned long first,
		  unsigned long end);
void line_wake_all(struct parties *all);
void line_leave(struct parties *all, struct waiter *waiter);
int line_wait(struct waiter *waiter, const struct take *take);
void line_wake(struct parties *all, unsigned long span);

/* words.c */
int words_make(struct parties *all, unsigned long index);
u64 *word_at(struct parties *all, unsigned long index, bool *whole);
void words_unwaited(struct parties *all, unsigned long first, unsigned long end);
int words_split(struct parties *all, unsigned long span);
void words_merge(struct parties *all, unsigned long span, u64 word);
void words_free(struct parties *all);

/* parties.c */
struct parties *parties_make(struct map *map, void (*lost)(struct view *view, unsigned long first,
							   unsigned long end));
void parties_free(struct parties *all);
struct party *party_make(struct parties *all);
void party_gone(struct party *party);
int party_revoke(struct parties *all, unsigned int number, bool freeze);
bool party_only_reads(struct party *party, unsigned long index);
int party_acquire(struct take *take, unsigned long first, unsigned long end);
int party_release(struct party *party, unsigned long first, unsigned long end, bool give_up);

/* exclusive.c */
extern const struct view_ops exclusive_view_ops;
int party_take(struct take *take, unsigned long first, unsigned long end);
void party_unhold(struct party *party, unsigned long first, unsigned long end);
void party_yield(struct party *party, unsigned long first, unsigned long end);
void party_show_all(struct party *party, unsigned long first, unsigned long end);
void party_blind(struct party *party);

#endif /* MORSEL_EXCLUSIVE_H */
