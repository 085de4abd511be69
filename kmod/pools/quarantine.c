// SPDX-License-Identifier: GPL-2.0
/*
 * Quarantine: frames that were given back while somebody has a pin, of pools of any
 * kind.  They stay charged to their payer, and in use as their pool sees it, until the
 * pin is gone.
 *
 * Nobody tells us when that is so: we look where frames are wanted, and each second.
 */
#include <linux/build_bug.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "pools/account.h"
#include "pools/frame.h"
#include "pools/payer.h"
#include "pools/pool.h"
#include "pools/quarantine.h"

/* So many frames are looked at with the lock held. */
#define BATCH 64
/*
 * And so many by who wants some, which takes less than clearing a huge frame: somebody may have
 * pins on a million.  The next looks at others.
 */
#define LOOK_MOST 1024

/*
 * The next frame of a queue.  A device's memory has no list head, but this word, which
 * other memory, being on no list, does not use either.  Not the index: who is about to
 * wait for a futex may be reading it still.
 */
static struct page **next_of(struct page *page)
{
	static_assert(offsetof(struct page, zone_device_data) == offsetof(struct page, lru.prev));

	return (struct page **)&page->zone_device_data;
}

static void queue_add(struct frame_queue *queue, struct page *page)
{
	*next_of(page) = NULL;
	if (queue->first)
		*next_of(queue->last) = page;
	else
		queue->first = page;
	queue->last = page;
	queue->nr++;
}

static struct page *queue_take(struct frame_queue *queue)
{
	struct page *page = queue->first;

	queue->first = *next_of(page);
	*next_of(page) = NULL;
	queue->nr--;
	return page;
}

static struct frame_queue *queue_of(struct account *account, unsigned int order)
{
	return order ? &account->huge : &account->small;
}

static void look_later(struct quarantine *quarantine)
{
	if (!delayed_work_pending(&quarantine->work))
		queue_delayed_work(system_unbound_wq, &quarantine->work, HZ);
}

/**
 * quarantine_add() - set a frame aside that somebody has a pin on
 * @account:	what it was taken for, and stays charged to
 * @order:	log2 of its pages
 * @frame:	the frame
 */
void quarantine_add(struct account *account, unsigned int order, u64 frame)
{
	struct quarantine *quarantine = &account->pool->quarantine;

	atomic_long_add(1UL << order, &quarantine->pages);
	spin_lock(&quarantine->lock);
	queue_add(queue_of(account, order), frame_page(frame));
	if (list_empty(&account->aside)) {
		account_ref(account);
		list_add_tail(&account->aside, &quarantine->accounts);
		quarantine->nr_accounts++;
	}
	spin_unlock(&quarantine->lock);
	look_later(quarantine);
}

/* How frames are looked at, from what costs little to what leaves none. */
enum look { LOOK_BRIEFLY, LOOK_CLOSELY, TAKE_ALL };

/*
 * Of failed memory, a pin may be kept for ever, which is none that counts.  To find that in a
 * huge frame takes a look at each page, which is for who has time.
 */
static bool may_go(struct page *page, unsigned int order, enum look how)
{
	return how == TAKE_ALL || page_ref_count(page) == 1 ||
	       ((!order || how == LOOK_CLOSELY) && frame_bad(page_to_pfn(page), order));
}

/*
 * Look at the first frames of a queue, at most @left of them, and take out those that may
 * go.  Returns how many were looked at.
 */
static unsigned long take_some(struct account *account, unsigned int order, unsigned long left,
			       enum look how, u64 *frames, unsigned int *taken)
{
	struct quarantine *quarantine = &account->pool->quarantine;
	struct frame_queue *queue = queue_of(account, order);
	unsigned long seen;
	struct page *page;

	*taken = 0;
	spin_lock(&quarantine->lock);
	left = min3(left, queue->nr, (unsigned long)BATCH);
	for (seen = 0; seen < left; seen++) {
		page = queue_take(queue);
		if (may_go(page, order, how))
			frames[(*taken)++] = page_to_pfn(page);
		else
			queue_add(queue, page);
	}
	spin_unlock(&quarantine->lock);
	return left;
}

/* Look at no more than @most of a queue's frames; returns how many of these are left. */
static unsigned long reap_queue(struct account *account, unsigned int order, enum look how,
				unsigned long most)
{
	unsigned long left = min(READ_ONCE(queue_of(account, order)->nr), most), seen;
	u64 frames[BATCH] __uninitialized;
	unsigned int taken;

	while (left && (seen = take_some(account, order, left, how, frames, &taken))) {
		left -= seen;
		most -= seen;
		if (taken) {
			account_put_frames(account, order, taken, frames);
			atomic_long_sub((unsigned long)taken << order,
					&account->pool->quarantine.pages);
		}
		cond_resched();
	}
	return most;
}

/*
 * Look at no more than @most frames of an account, and return how many of these are left.  It is
 * one that has some, or the caller's; in the end it may be gone if it is not.
 */
static unsigned long reap_account(struct account *account, enum look how, unsigned long most)
{
	struct quarantine *quarantine = &account->pool->quarantine;
	unsigned long half = (most + 1) / 2;
	bool done;

	most -= half - reap_queue(account, 0, how, half);
	most = reap_queue(account, HUGE_ORDER, how, most);
	spin_lock(&quarantine->lock);
	done = !list_empty(&account->aside) && !account->small.nr && !account->huge.nr;
	if (done) {
		list_del_init(&account->aside);
		quarantine->nr_accounts--;
	}
	spin_unlock(&quarantine->lock);
	if (done)
		account_unref(account);
	return most;
}

/* The account that was looked at the longest time ago; it is the last one then. */
static struct account *next_account(struct quarantine *quarantine)
{
	struct account *account;

	spin_lock(&quarantine->lock);
	account = list_first_entry_or_null(&quarantine->accounts, struct account, aside);
	if (account)
		list_move_tail(&account->aside, &quarantine->accounts);
	spin_unlock(&quarantine->lock);
	return account;
}

/* Look at some frames of accounts that have some. */
static void reap_some(struct quarantine *quarantine) __must_hold(&quarantine->reaping)
{
	unsigned int left = READ_ONCE(quarantine->nr_accounts);
	unsigned long most = LOOK_MOST;
	struct account *account;

	while (most && left-- && (account = next_account(quarantine)))
		most = reap_account(account, LOOK_BRIEFLY, most);
}

/**
 * quarantine_reap() - have a pool get back what nobody has a pin on any more: not all, if that
 * is much
 * @pool: the pool
 */
void quarantine_reap(struct frame_pool *pool)
{
	if (!atomic_long_read(&pool->quarantine.pages))
		return;
	mutex_lock(&pool->quarantine.reaping);
	reap_some(&pool->quarantine);
	mutex_unlock(&pool->quarantine.reaping);
}

/**
 * quarantine_try_reap() - as quarantine_reap(), unless somebody is at it
 * @pool: the pool
 */
void quarantine_try_reap(struct frame_pool *pool)
{
	if (!atomic_long_read(&pool->quarantine.pages) || !mutex_trylock(&pool->quarantine.reaping))
		return;
	reap_some(&pool->quarantine);
	mutex_unlock(&pool->quarantine.reaping);
}

/**
 * quarantine_reap_account() - the same for the frames of one account
 * @account: the account, which the caller has a reference to
 * Return: has it any?
 */
bool quarantine_reap_account(struct account *account)
{
	struct quarantine *quarantine = &account->pool->quarantine;

	/*
	 * It is among them until all that was taken out has been given back; who moves it in
	 * the list meanwhile does not make it look alone.
	 */
	if (data_race(list_empty(&account->aside)))
		return false;
	mutex_lock(&quarantine->reaping);
	reap_account(account, LOOK_BRIEFLY, LOOK_MOST);
	mutex_unlock(&quarantine->reaping);
	return true;
}

/* Look at all frames of a queue, a part at a time: others want to look, too. */
static void reap_whole_queue(struct account *account, unsigned int order, enum look how)
{
	struct quarantine *quarantine = &account->pool->quarantine;
	unsigned long left = READ_ONCE(queue_of(account, order)->nr), some;

	for (; left; left -= some) {
		some = min_t(unsigned long, left, LOOK_MOST);
		mutex_lock(&quarantine->reaping);
		reap_queue(account, order, how, some);
		mutex_unlock(&quarantine->reaping);
	}
}

static void reap_whole(struct account *account, enum look how)
{
	struct quarantine *quarantine = &account->pool->quarantine;

	reap_whole_queue(account, 0, how);
	reap_whole_queue(account, HUGE_ORDER, how);
	/* It may have none any more. */
	mutex_lock(&quarantine->reaping);
	reap_account(account, how, 0);
	mutex_unlock(&quarantine->reaping);
}

/* Look at all that is there. */
static void reap_all(struct quarantine *quarantine, enum look how)
{
	unsigned int left = READ_ONCE(quarantine->nr_accounts);
	struct account *account;

	while (left--) {
		mutex_lock(&quarantine->reaping);
		account = next_account(quarantine);
		if (account)
			account_ref(account);
		mutex_unlock(&quarantine->reaping);
		if (!account)
			return;
		reap_whole(account, how);
		account_unref(account);
	}
}

static void quarantine_work(struct work_struct *work)
{
	struct quarantine *quarantine = container_of(to_delayed_work(work), struct quarantine,
						     work);

	reap_all(quarantine, LOOK_CLOSELY);
	if (atomic_long_read(&quarantine->pages))
		look_later(quarantine);
}

/**
 * quarantine_init() - begin with none set aside
 * @quarantine: of a new pool
 */
void quarantine_init(struct quarantine *quarantine)
{
	atomic_long_set(&quarantine->pages, 0);
	mutex_init(&quarantine->reaping);
	spin_lock_init(&quarantine->lock);
	INIT_LIST_HEAD(&quarantine->accounts);
	INIT_DELAYED_WORK(&quarantine->work, quarantine_work);
}

/**
 * quarantine_exit() - have a pool get back all that is set aside, pinned or not
 * @pool: the pool, which no morsel is on any more
 */
void quarantine_exit(struct frame_pool *pool)
{
	cancel_delayed_work_sync(&pool->quarantine.work);
	while (atomic_long_read(&pool->quarantine.pages))
		reap_all(&pool->quarantine, TAKE_ALL);
}
