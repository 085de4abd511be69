// SPDX-License-Identifier: GPL-2.0
/*
 * Who waits for pages stands in line: nobody gets what somebody waits for that came earlier.  So none starves
 * while others pass a page to and fro.
 *
 * Each changes the word itself, as its turn has come: whoever has changed one for which somebody waits (WORD_WAITED) wakes
 * all who wait for something of the span.
 */
#include <linux/sched/signal.h>

#include "view/exclusive.h"

/**
 * waiter_init() - begin not to stand in line
 * @waiter: who
 */
void waiter_init(struct waiter *waiter)
{
	INIT_LIST_HEAD(&waiter->list);
	init_completion(&waiter->woken);
}

/**
 * line_stand() - stand in line, or, in the same place, for something else
 * @all:	of which morsel
 * @waiter:	who
 * @first:	the first page
 * @end:	page after the last, of the same span
 */
void line_stand(struct parties *all, struct waiter *waiter, unsigned long first, unsigned long end)
{
	spin_lock(&all->line_lock);
	waiter->first = first;
	waiter->end = end;
	if (list_empty(&waiter->list))
		list_add_tail(&waiter->list, &all->line);
	/* From here on, it is told. */
	reinit_completion(&waiter->woken);
	spin_unlock(&all->line_lock);
}

static bool waits_for(const struct waiter *waiter, unsigned long first, unsigned long end)
{
	return waiter->first < end && first < waiter->end;
}

/**
 * line_is_next() - does nobody stand in line before somebody, for the same?
 * @all:	of which morsel
 * @waiter:	who, whether it stands there or not
 * @first:	for what: the first page
 * @end:	page after the last
 * Return: whether.
 */
bool line_is_next(struct parties *all, const struct waiter *waiter, unsigned long first,
		  unsigned long end)
{
	const struct waiter *other;
	bool next = true;

	spin_lock(&all->line_lock);
	list_for_each_entry(other, &all->line, list) {
		if (other == waiter)
			break;
		next = !waits_for(other, first, end);
		if (!next)
			break;
	}
	spin_unlock(&all->line_lock);
	return next;
}

/* Who waits for any of some pages; with the lock held. */
static void wake(struct parties *all, unsigned long first, unsigned long end)
{
	struct waiter *waiter;

	list_for_each_entry(waiter, &all->line, list)
		if (waits_for(waiter, first, end))
			complete(&waiter->woken);
}

static void wake_span(struct parties *all, unsigned long span)
{
	wake(all, span * SPAN_PAGES, (span + 1) * SPAN_PAGES);
}

/**
 * line_leave() - do not stand in line any more
 * @all:	of which morsel
 * @waiter:	who, if it did
 */
void line_leave(struct parties *all, struct waiter *waiter)
{
	struct waiter *other;
	bool others = false;

	if (list_empty(&waiter->list))
		return;
	spin_lock(&all->line_lock);
	list_del_init(&waiter->list);
	list_for_each_entry(other, &all->line, list)
		others |= waits_for(other, waiter->first, waiter->end);
	/* Who comes from here on says so itself. */
	if (!others)
		words_unwaited(all, waiter->first, waiter->end);
	wake_span(all, waiter->first / SPAN_PAGES);
	spin_unlock(&all->line_lock);
}

/**
 * line_wait() - wait until it is worth looking
 * @waiter:	who stands in line
 * @take:	how long
 * Return: 0; -EINTR: a signal; -ETIMEDOUT.
 */
int line_wait(struct waiter *waiter, const struct take *take)
{
	long left = MAX_SCHEDULE_TIMEOUT;

	if (take->deadline != KTIME_MAX) {
		s64 ns = ktime_to_ns(ktime_sub(take->deadline, ktime_get()));

		if (ns <= 0)
			return -ETIMEDOUT;
		left = nsecs_to_jiffies64(ns) + 1;
	}
	if (take->state == TASK_INTERRUPTIBLE)
		left = wait_for_completion_interruptible_timeout(&waiter->woken, left);
	else
		left = wait_for_completion_killable_timeout(&waiter->woken, left);
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

/**
 * line_wake() - a word has changed for which somebody waits
 * @all:	of which morsel
 * @span:	of something of this span
 */
void line_wake(struct parties *all, unsigned long span)
{
	spin_lock(&all->line_lock);
	wake_span(all, span);
	spin_unlock(&all->line_lock);
}

/**
 * line_wake_all() - something has changed that all may wait for
 * @all: of which morsel
 */
void line_wake_all(struct parties *all)
{
	spin_lock(&all->line_lock);
	wake(all, 0, ULONG_MAX);
	spin_unlock(&all->line_lock);
}
