// SPDX-License-Identifier: GPL-2.0
/*
 * Where the words of a morsel's pages are.
 *
 * A span has one for all its pages, as long as they are had by the same; when somebody takes a part of it
 * from others, each page gets one of its own, until somebody takes them all.  So 1 GiB that is taken as a whole has
 * 512 words.  Who reads and changes them is in an RCU read section; who has found that the span's is not WORD_SPLIT,
 * or is, finds out by the change itself if that is not so any more: the words of pages that have one again are left as
 * WORD_INVAL, by which nobody gets anything.
 */
#include <linux/delay.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "view/exclusive.h"

/**
 * words_make() - see that a span has a word
 * @all:	of which morsel
 * @index:	a page of it
 * Return: 0 or -ENOMEM.
 */
int words_make(struct parties *all, unsigned long index)
{
	u64 *words;
	int err;

	if (xa_load(&all->gibs, index / GIB_PAGES))
		return 0;
	words = kcalloc(GIB_SPANS, sizeof(*words), GFP_KERNEL_ACCOUNT);
	if (!words)
		return -ENOMEM;
	err = xa_insert(&all->gibs, index / GIB_PAGES, words, GFP_KERNEL_ACCOUNT);
	if (err)
		kfree(words);
	return err == -EBUSY ? 0 : err;
}

/**
 * word_at() - the word of a page
 * @all:	of which morsel; words_make() was called
 * @index:	the page
 * @whole:	gets whether it is that of the whole span
 * Return: the word, in an RCU read section.
 */
u64 *word_at(struct parties *all, unsigned long index, bool *whole)
{
	u64 *gib = xa_load(&all->gibs, index / GIB_PAGES);
	u64 *span = &gib[index / SPAN_PAGES % GIB_SPANS];
	struct split *split;

	for (;;) {
		split = xa_load(&all->splits, index / SPAN_PAGES);
		/* What is not said yet, or no more, is none.  Pairs with words_split(), which says so after it is there. */
		smp_rmb();
		*whole = word_state(READ_ONCE(*span)) != WORD_SPLIT;
		if (*whole)
			return span;
		/* Once more: what was there before and after is what the span's word is about. */
		smp_rmb();
		if (split && xa_load(&all->splits, index / SPAN_PAGES) == split)
			return &split->words[index % SPAN_PAGES];
	}
}

/**
 * words_unwaited() - nobody waits any more
 * @all:	of which morsel, with the line's lock held
 * @first:	for the first page
 * @end:	page after the last
 */
void words_unwaited(struct parties *all, unsigned long first, unsigned long end)
{
	unsigned long index;
	bool whole = false;
	u64 *word, old;

	rcu_read_lock();
	for (index = first; index < end && !whole; index++) {
		word = word_at(all, index, &whole);
		old = READ_ONCE(*word);
		while (word_waited(old) && !try_cmpxchg(word, &old, old & ~WORD_WAITED))
			;
	}
	rcu_read_unlock();
}

static struct split *split_alloc(void)
{
	struct split *split = kzalloc(sizeof(*split), GFP_KERNEL_ACCOUNT);

	if (!split)
		return NULL;
	split->words = kmalloc_array(SPAN_PAGES, sizeof(*split->words), GFP_KERNEL_ACCOUNT);
	if (split->words)
		return split;
	kfree(split);
	return NULL;
}

static void split_free(struct rcu_head *rcu)
{
	struct split *split = container_of(rcu, struct split, rcu);

	kfree(split->words);
	kfree(split);
}

/**
 * words_split() - give each page of a span a word of its own
 * @all:	of which morsel
 * @span:	the span, if it has one word that is not on its way; who holds it holds each of its pages then
 * Return: 0, also if nothing was done; -ENOMEM.
 */
int words_split(struct parties *all, unsigned long span)
{
	struct split *split = split_alloc();
	u64 *word, old;
	bool whole;
	int err;

	if (!split)
		return -ENOMEM;
	/* Until the span's word says so, nobody looks for it. */
	err = xa_insert(&all->splits, span, split, GFP_KERNEL_ACCOUNT);
	if (err) {
		split_free(&split->rcu);
		if (err != -EBUSY)
			return err;
		/* Somebody else is at it. */
		usleep_range(10, 50);
		return 0;
	}
	rcu_read_lock();
	word = word_at(all, span * SPAN_PAGES, &whole);
	old = READ_ONCE(*word);
	memset64(split->words, old, SPAN_PAGES);
	if (!whole || !word_may_split(old) ||
	    cmpxchg_release(word, old, word_become(0, WORD_SPLIT, 0, 0)) != old) {
		xa_erase(&all->splits, span);
		rcu_read_unlock();
		call_rcu(&split->rcu, split_free);
		return 0;
	}
	rcu_read_unlock();
	if (word_waited(old))
		line_wake(all, span);
	return 0;
}

/**
 * words_merge() - give all pages of a span one word again
 * @all:	of which morsel
 * @span:	the span; those of its pages are WORD_INVAL, and the caller's to change
 * @word:	what it is to be
 */
void words_merge(struct parties *all, unsigned long span, u64 word)
{
	u64 *words = xa_load(&all->gibs, span / GIB_SPANS);
	struct split *split = xa_load(&all->splits, span);

	/* After what was done to the words of its pages; pairs with who changes it. */
	smp_store_release(&words[span % GIB_SPANS], word);
	/* Who waits for some of them is told below, and says so by the new one. */
	xa_erase(&all->splits, span);
	call_rcu(&split->rcu, split_free);
	line_wake(all, span);
}

/**
 * words_free() - free all words
 * @all: of which morsel; nobody looks at them any more
 */
void words_free(struct parties *all)
{
	struct split *split;
	unsigned long index;
	u64 *words;

	xa_for_each(&all->splits, index, split)
		split_free(&split->rcu);
	xa_destroy(&all->splits);
	xa_for_each(&all->gibs, index, words)
		kfree(words);
	xa_destroy(&all->gibs);
}
