/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Quarantine: frames that were given back while somebody has a pin.
 */
#ifndef MORSEL_QUARANTINE_H
#define MORSEL_QUARANTINE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct account;
struct frame_pool;

/**
 * struct quarantine - what of a pool's frames is set aside
 * @pages:	how many; counted down only once they are back in the pool and off their
 *		payer's ceiling
 * @reaping:	one at a time takes back what nobody has a pin on any more
 * @lock:	protects @accounts and the queues of these
 * @accounts:	accounts that have some, by their field aside; who does not hold @reaping
 *		only adds to them, at the end
 * @nr_accounts: how many these are
 * @work:	looks each second as long as there are any
 */
struct quarantine {
	atomic_long_t pages;
	struct mutex reaping;
	spinlock_t lock;
	struct list_head accounts;
	unsigned int nr_accounts;
	struct delayed_work work;
};

/**
 * struct frame_queue - frames of one order and one account that are set aside
 * @first:	the first, or NULL
 * @last:	the last
 * @nr:		how many
 *
 * All under the quarantine's lock.
 */
struct frame_queue {
	struct page *first;
	struct page *last;
	unsigned long nr;
};

void quarantine_init(struct quarantine *quarantine);
void quarantine_exit(struct frame_pool *pool);
void quarantine_add(struct account *account, unsigned int order, u64 frame);
void quarantine_reap(struct frame_pool *pool);
void quarantine_try_reap(struct frame_pool *pool);
bool quarantine_reap_account(struct account *account);

#endif /* MORSEL_QUARANTINE_H */
