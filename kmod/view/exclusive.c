// SPDX-License-Identifier: GPL-2.0
/*
 * Exclusive views: taking pages from others, by fault or by call, and showing them.
 *
 * Whoever wants a page changes its word, or waits for its turn (line.c); takes the page out of the tables of those
 * who are to lose it, and has them flushed; says so by the word; and shows the page in its own tables.  In between,
 * the word is nobody else's to change.  The rules are those of word.h: a party's lock is held from the look at a
 * word until the page is mapped, and by who takes it out.
 *
 * Locks: the mmap_lock, parties.sem, a party's lock, the map's sem; attached_lock (attach.h) after a party's.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "view/exclusive.h"

/*
 * Who was given a page by a fault is let use it first, which the processor notes in the leaf; but no longer than this does anybody
 * wait for that.
 */
#define UNUSED_MOST (NSEC_PER_MSEC)

/*
 * What others are to lose before it is taken: units, which are pages, or whole spans that have one word.  A
 * unit is its first page, and the lowest bit, which says that it is a span.  And since when it was waited for somebody to use a page, or
 * 0.
 */
struct begun {
	struct take *take;
	struct waiter waiter;
	ktime_t since;
	unsigned int count;
	unsigned int room;
	unsigned long *units;
	unsigned long one;
};

#define UNITS_MOST 512UL

/*
 * Change the word *@at by @change(&copy, ...); *@old is what it was before, or is where the change was refused.  True if
 * it was changed.  In an RCU read section.
 */
#define word_update(at, old, change, ...)                         \
	({                                                        \
		u64 *at_ = (at), new_;                            \
		bool may_;                                        \
		*(old) = READ_ONCE(*at_);                         \
		do {                                              \
			new_ = *(old);                            \
			may_ = change(&new_, ##__VA_ARGS__);      \
		} while (may_ && !try_cmpxchg(at_, (old), new_)); \
		may_;                                             \
	})

static unsigned long unit_make(unsigned long index, bool whole)
{
	return whole ? round_down(index, SPAN_PAGES) << 1 | 1 : index << 1;
}

static unsigned long unit_first(unsigned long unit)
{
	return unit >> 1;
}

static unsigned long unit_end(unsigned long unit)
{
	return (unit >> 1) + (unit & 1 ? SPAN_PAGES : 1);
}

/* The word of a unit that is nobody else's to change, but to say that somebody waits. */
static u64 *unit_word(struct parties *all, unsigned long unit)
{
	bool whole;

	return word_at(all, unit_first(unit), &whole);
}

/* With the sem held, or where @alone and @next do not matter. */
static struct word_ask ask_of(const struct take *take)
{
	struct party *party = take->party;
	unsigned int number = party->number;
	bool alone = party->all->group[number % WORD_GROUPS] == 1;

	return (struct word_ask){
		.party = number,
		.alone = alone ? word_bit(number) : 0,
		.write = take->write,
		.hold = take->hold,
	};
}

/* Take a unit out of a party's tables, or have it be read there; false: there is nothing to be flushed. */
static bool lose_unit(struct party *party, unsigned long unit, u64 word, bool *huge)
{
	unsigned long first = unit_first(unit), end = unit_end(unit);
	struct map *map = party->all->map;

	if (word_state(word) == WORD_RECALL && word_owner(word) == party->number) {
		map_viewer_protect(map, &party->viewer, first, end, huge);
		return true;
	}
	return map_viewer_clear(map, &party->viewer, first, end, huge);
}

/*
 * Take what is to be lost out of a party's tables, and have it forget that; who takes gives up all that was
 * begun.
 */
static void lose(struct party *party, const struct begun *begun)
{
	bool own = party == begun->take->party;
	unsigned long first = ULONG_MAX, end = 0;
	struct parties *all = party->all;
	bool huge = false;
	unsigned int i;

	mutex_lock(&party->lock);
	for (i = 0; i < begun->count; i++) {
		unsigned long unit = begun->units[i];
		u64 word;

		rcu_read_lock();
		word = READ_ONCE(*unit_word(all, unit));
		rcu_read_unlock();
		if ((!own && !(word_losers(word) & word_bit(party->number))) ||
		    !lose_unit(party, unit, word, &huge))
			continue;
		first = min(first, unit_first(unit));
		end = max(end, unit_end(unit));
	}
	/* Of a huge leaf, all has gone. */
	if (huge && first < end) {
		first = round_down(first, SPAN_PAGES);
		end = round_up(end, SPAN_PAGES);
	}
	/* With the lock: who finds nothing there takes it for flushed. */
	if (first < end)
		all->lost(&party->view, first, end);
	mutex_unlock(&party->lock);
}

static int refusal(const struct party *party, bool write)
{
	return READ_ONCE(party->revoked) || (write && READ_ONCE(party->frozen)) ? -EACCES : 0;
}

static u64 all_losers(const struct begun *begun)
{
	struct parties *all = begun->take->party->all;
	u64 losers = 0;
	unsigned int i;

	rcu_read_lock();
	for (i = 0; i < begun->count; i++)
		losers |= word_losers(READ_ONCE(*unit_word(all, begun->units[i])));
	rcu_read_unlock();
	return losers;
}

/*
 * Have what was begun come to an end: @end makes a word of it.  Who has it for one access is let use it; who holds it has it
 * long enough.
 */
static void end_all(struct begun *begun, bool (*end)(uint64_t *word, const struct word_ask *ask))
{
	struct parties *all = begun->take->party->all;
	struct word_ask ask = ask_of(begun->take);
	ktime_t now = ktime_get();
	unsigned int i;

	for (i = 0; i < begun->count; i++) {
		unsigned long unit = begun->units[i], span = unit_first(unit) / SPAN_PAGES;
		struct split *split;
		bool done;
		u64 old;

		rcu_read_lock();
		done = word_update(unit_word(all, unit), &old, end, &ask);
		split = unit & 1 ? NULL : xa_load(&all->splits, span);
		if (split) {
			assign_bit(unit_first(unit) % SPAN_PAGES, split->fresh, !ask.hold);
			WRITE_ONCE(split->granted, now);
		}
		rcu_read_unlock();
		WARN_ON_ONCE(!done);
		if (word_waited(old))
			line_wake(all, span);
	}
	begun->count = 0;
}

/* Have the others lose what was begun; then the party has it. */
static void settle(struct begun *begun)
{
	struct party *party = begun->take->party, *other;
	struct parties *all = party->all;
	unsigned long number;
	u64 losers;

	if (!begun->count)
		return;
	down_read(&all->sem);
	losers = all_losers(begun);
	xa_for_each(&all->by_number, number, other)
		if (other != party && losers & word_bit(number))
			lose(other, begun);
	up_read(&all->sem);
	end_all(begun, word_end);
}

/*
 * Has somebody else been given a page just now, and not used it yet?  Who has waited for that long enough does not
 * any more.  With the sem held.
 */
static bool is_unused(struct begun *begun, unsigned long index, u64 word)
{
	struct party *asks = begun->take->party;
	struct parties *all = asks->all;
	ktime_t now = ktime_get();
	struct split *split = xa_load(&all->splits, index / SPAN_PAGES);
	unsigned long number;
	struct party *party;

	/* What was had as a whole before, or is held, was not given for one access. */
	if (!split || !test_bit(index % SPAN_PAGES, split->fresh) ||
	    now - READ_ONCE(split->granted) >= UNUSED_MOST ||
	    (begun->since && now - begun->since >= UNUSED_MOST))
		return false;
	xa_for_each(&all->by_number, number, party)
		if (party != asks && word_losers(word) & word_bit(number) &&
		    !READ_ONCE(party->revoked) && !map_viewer_used(&party->viewer, index)) {
			if (!begun->since)
				begun->since = now;
			return true;
		}
	return false;
}

/* As enum word_answer; and: there is to be a word for each page; and: who has it is to use it first. */
enum { ANSWER_SPLIT = WORD_FULL + 1, ANSWER_UNUSED };

/*
 * Ask for a page, of a span of which all is wanted, or a part.  Gets whether it has one word.
 */
static int ask(struct begun *begun, unsigned long index, bool part, bool *whole)
{
	struct take *take = begun->take;
	struct parties *all = take->party->all;
	struct word_ask ask;
	u64 *word, old, new;
	int answer;

	down_read(&all->sem);
	ask = ask_of(take);
	rcu_read_lock();
	for (;;) {
		word = word_at(all, index, whole);
		new = old = READ_ONCE(*word);
		if (*whole && word_state(old) == WORD_SPLIT)
			continue;
		if (word_waited(old))
			ask.next = line_is_next(all, &begun->waiter, index,
						*whole ? round_down(index, SPAN_PAGES) + SPAN_PAGES
						       : index + 1);
		answer = word_want(&new, &ask);
		/* What all have alike stays so; but a part is held, or taken from others, by itself. */
		if (*whole && part && word_may_split(old) &&
		    (answer == WORD_BEGUN || (answer == WORD_TAKEN && take->hold))) {
			answer = ANSWER_SPLIT;
			break;
		}
		/* Who does not wait at all does not for that. */
		if (answer == WORD_BEGUN && !*whole && (take->state || !take->hold) &&
		    is_unused(begun, index, new)) {
			answer = ANSWER_UNUSED;
			break;
		}
		if (new == old || cmpxchg(word, old, new) == old)
			break;
	}
	rcu_read_unlock();
	up_read(&all->sem);
	return answer;
}

/* Have whoever changes the word say so. */
static void say_waiting(struct parties *all, unsigned long index)
{
	bool whole, said = false;
	u64 *word, old;

	rcu_read_lock();
	while (!said) {
		word = word_at(all, index, &whole);
		old = READ_ONCE(*word);
		said = !(whole && word_state(old) == WORD_SPLIT) &&
		       cmpxchg(word, old, old | WORD_WAITED) == old;
	}
	rcu_read_unlock();
}

/* Others are not to wait for what is on its way to who waits. */
static void stand_in_line(struct begun *begun, unsigned long index, unsigned long first,
			  unsigned long end)
{
	struct parties *all = begun->take->party->all;

	settle(begun);
	line_stand(all, &begun->waiter, first, end);
	say_waiting(all, index);
}

static bool stands_for(const struct waiter *waiter, unsigned long first, unsigned long end)
{
	return !list_empty(&waiter->list) && waiter->first == first && waiter->end == end;
}

/*
 * Wait for one's turn, or for what is worth looking at.  The first time, it is only said that somebody waits: the
 * word may have changed before that.
 */
static int wait_in_line(struct begun *begun, unsigned long index, bool whole)
{
	unsigned long first = whole ? round_down(index, SPAN_PAGES) : index;
	unsigned long end = whole ? first + SPAN_PAGES : first + 1;
	int err = 0;

	/* What was begun before it stood there has been settled. */
	if (stands_for(&begun->waiter, first, end))
		err = line_wait(&begun->waiter, begun->take);
	if (!err)
		stand_in_line(begun, index, first, end);
	return err;
}

/* Let who has a page use it, in line.  Nobody tells when that is so. */
static int wait_for_use(struct begun *begun, unsigned long index)
{
	ktime_t deadline = begun->take->deadline;

	stand_in_line(begun, index, index, index + 1);
	usleep_range(20, 50);
	return deadline != KTIME_MAX && ktime_get() >= deadline ? -ETIMEDOUT : 0;
}

/* Take a page, or the span that it is of, if that has one word.  Returns the page after it, or a negative errno. */
static long take_unit(struct begun *begun, unsigned long index, bool part)
{
	struct take *take = begun->take;
	struct parties *all = take->party->all;
	bool whole = false;
	int err = words_make(all, index);

	begun->since = 0;
	while (!err) {
		int answer;

		/* Who is killed, or revoked, need not go on. */
		err = refusal(take->party, take->write);
		if (!err && signal_pending_state(take->state ?: TASK_KILLABLE, current))
			err = -EINTR;
		if (err)
			break;
		answer = ask(begun, index, part, &whole);

		if (answer == WORD_BEGUN)
			begun->units[begun->count++] = unit_make(index, whole);
		if (answer <= WORD_BEGUN)
			break;
		if (answer == ANSWER_SPLIT)
			err = words_split(all, index / SPAN_PAGES);
		else if (answer == WORD_FULL)
			err = -ENOLCK;
		else if (!take->state)
			err = -EBUSY;
		else if (answer == ANSWER_UNUSED)
			err = wait_for_use(begun, index);
		else
			err = wait_in_line(begun, index, whole);
	}
	line_leave(all, &begun->waiter);
	return err ?: (whole ? round_down(index, SPAN_PAGES) + SPAN_PAGES : index + 1);
}

/* All pages of a span, which a party holds alone, have one word again. */
static void fold(struct party *party, unsigned long span)
{
	struct parties *all = party->all;
	unsigned long index = span * SPAN_PAGES, end = index + SPAN_PAGES;
	bool whole, done;
	u64 *word, old;

	for (; index < end; index++) {
		rcu_read_lock();
		word = word_at(all, index, &whole);
		done = !whole && word_update(word, &old, word_fold, party->number);
		rcu_read_unlock();
		/* It has one. */
		if (!done) {
			WARN_ON_ONCE(index % SPAN_PAGES);
			return;
		}
	}
	words_merge(all, span,
		    word_become(WORD_HELD_ONE | WORD_HELD_ALONE, WORD_OWNED, party->number, 0));
}

/* With all that was begun ended: what is held as a whole may have one word. */
static void fold_all(struct take *take, unsigned long first, unsigned long end)
{
	unsigned long span;

	if (!take->hold || !take->write)
		return;
	for (span = DIV_ROUND_UP(first, SPAN_PAGES); span < end / SPAN_PAGES; span++)
		fold(take->party, span);
}

/**
 * party_take() - have pages, taking them from others
 * @take:	who, and how
 * @first:	the first page
 * @end:	page after the last
 *
 * By ascending pages, so that of two who want the same, neither waits for the other one.
 * Return: 0; -EBUSY: it would have to wait; -EINTR, -ETIMEDOUT, -ENOMEM; -EACCES: it may not; -ENOLCK: too many hold it.
 * With an error, it holds none; it may have some.
 */
int party_take(struct take *take, unsigned long first, unsigned long end)
{
	struct begun begun = {.take = take, .room = 1, .units = &begun.one};
	unsigned long pos;
	long next = 0;

	if (end - first > 1) {
		begun.room = min(end - first, UNITS_MOST);
		begun.units = kmalloc_array(begun.room, sizeof(*begun.units), GFP_KERNEL_ACCOUNT);
		if (!begun.units)
			return -ENOMEM;
	}
	waiter_init(&begun.waiter);
	for (pos = first; pos < end; pos = next) {
		unsigned long span = round_down(pos, SPAN_PAGES);

		next = take_unit(&begun, pos, span < first || end - span < SPAN_PAGES);
		if (next < 0)
			break;
		if (begun.count == begun.room)
			settle(&begun);
		cond_resched();
	}
	settle(&begun);
	if (begun.units != &begun.one)
		kfree(begun.units);
	if (next < 0 && take->hold)
		party_unhold(take->party, first, pos);
	if (next < 0)
		return next;
	fold_all(take, first, end);
	return 0;
}

/* Go through the words of a range; what @change makes of each.  Who waits is woken. */
static void each_word(struct party *party, unsigned long first, unsigned long end,
		      bool (*change)(uint64_t *word, struct party *party))
{
	struct parties *all = party->all;
	unsigned long index, next;

	for (index = first; index < end; index = next) {
		u64 *word, old, new;
		bool whole, changed;

		cond_resched();
		next = round_down(index, GIB_PAGES) + GIB_PAGES;
		if (!xa_load(&all->gibs, index / GIB_PAGES))
			continue;
		rcu_read_lock();
		word = word_at(all, index, &whole);
		old = READ_ONCE(*word);
		new = old;
		changed = change(&new, party);
		/* The pages may have got words of their own. */
		changed = changed ? cmpxchg(word, old, new) == old
				  : !(whole && word_state(old) == WORD_SPLIT);
		rcu_read_unlock();
		next = index;
		if (!changed)
			continue;
		if (word_waited(new))
			line_wake(all, index / SPAN_PAGES);
		next = whole ? round_down(index, SPAN_PAGES) + SPAN_PAGES : index + 1;
	}
}

static bool release(uint64_t *word, struct party *party)
{
	return word_release(word);
}

/**
 * party_unhold() - hold pages no more
 * @party:	who does
 * @first:	the first page
 * @end:	page after the last
 */
void party_unhold(struct party *party, unsigned long first, unsigned long end)
{
	each_word(party, first, end, release);
}

/* Have a page go, if the party has it alone; gets where what it was of ends. */
static void begin_yield(struct begun *begun, unsigned long index, unsigned long end,
			unsigned long *next)
{
	struct party *party = begun->take->party;
	u64 *word, old;
	bool whole;

	rcu_read_lock();
	word = word_at(party->all, index, &whole);
	*next = whole ? round_down(index, SPAN_PAGES) + SPAN_PAGES : index + 1;
	/* Of what has one word, a part stays. */
	if ((!whole || (IS_ALIGNED(index, SPAN_PAGES) && *next <= end)) &&
	    word_update(word, &old, word_yield, party->number, false))
		begun->units[begun->count++] = unit_make(index, whole);
	rcu_read_unlock();
}

/**
 * party_yield() - give up what a party has alone, so that nobody has to take it
 * @party:	who does
 * @first:	the first page
 * @end:	page after the last
 *
 * Where there is no memory for that, it keeps it.
 */
void party_yield(struct party *party, unsigned long first, unsigned long end)
{
	struct take take = {.party = party, .write = true};
	struct begun begun = {.take = &take, .room = UNITS_MOST};
	unsigned long index, next;

	begun.units = kmalloc_array(begun.room, sizeof(*begun.units), GFP_KERNEL_ACCOUNT);
	if (!begun.units)
		return;
	waiter_init(&begun.waiter);
	for (index = first; index < end; index = next) {
		next = round_down(index, GIB_PAGES) + GIB_PAGES;
		if (xa_load(&party->all->gibs, index / GIB_PAGES))
			begin_yield(&begun, index, end, &next);
		if (begun.count < begun.room && next < end)
			continue;
		lose(party, &begun);
		end_all(&begun, word_give_up);
		cond_resched();
	}
	kfree(begun.units);
}

/* What a party may do with a page, or the span that it is of; with its lock held. */
static enum word_grant grant_of(struct party *party, unsigned long index, bool *whole)
{
	enum word_grant grant;

	if (party->revoked || !xa_load(&party->all->gibs, index / GIB_PAGES))
		return WORD_NOTHING;
	rcu_read_lock();
	grant = word_grants(READ_ONCE(*word_at(party->all, index, whole)), party->number);
	rcu_read_unlock();
	return party->frozen ? min(grant, WORD_READ) : grant;
}

/* Show a page, or its span, as a party may have it; with its lock held. */
static int show(struct party *party, struct tableset *set, unsigned long index, bool whole,
		enum word_grant grant, bool unused)
{
	struct map *map = party->all->map;
	unsigned long first = whole ? round_down(index, SPAN_PAGES) : index;
	unsigned long end = whole ? first + SPAN_PAGES : first + 1;
	bool write = grant == WORD_WRITE, huge = false;
	int err = map_viewer_show(map, set, first, end, write, unused);

	if (err != -EEXIST)
		return err;
	/* What was shown of the span as a whole goes first, everywhere. */
	first = round_down(index, SPAN_PAGES);
	map_viewer_clear(map, &party->viewer, first, first + SPAN_PAGES, &huge);
	party->all->lost(&party->view, first, first + SPAN_PAGES);
	return map_viewer_show(map, set, index, index + 1, write, unused);
}

/**
 * party_show_all() - show what a party has of a range, wherever it has mapped it
 * @party:	the party
 * @first:	the first page
 * @end:	page after the last
 *
 * What is not shown for want of memory, faults will show.
 */
void party_show_all(struct party *party, unsigned long first, unsigned long end)
{
	enum morsel_rights rights;
	struct tableset *set;
	unsigned long index, next;

	for (index = first; index < end && !fatal_signal_pending(current); index = next) {
		enum word_grant grant;
		bool whole = false;

		mutex_lock(&party->lock);
		grant = grant_of(party, index, &whole);
		for (rights = 0; grant && rights <= RIGHTS_ROX; rights++) {
			set = READ_ONCE(party->viewer.sets[rights]);
			if (set)
				show(party, set, index, whole, grant, false);
		}
		mutex_unlock(&party->lock);
		next = whole ? round_down(index, SPAN_PAGES) + SPAN_PAGES : index + 1;
		cond_resched();
	}
}

/**
 * party_blind() - have a party see nothing, until it asks again
 * @party: the party, with its lock held
 */
void party_blind(struct party *party)
{
	map_viewer_blind(party->all->map, &party->viewer);
	party->all->lost(&party->view, 0, map_pages(party->all->map));
}

static struct tableset *exclusive_tables(const struct view *view, enum morsel_rights rights)
{
	return READ_ONCE(to_party((struct view *)view)->viewer.sets[rights]);
}

/* What it has already, faults show. */
static int exclusive_show(struct view *view, enum morsel_rights rights, unsigned long first,
			  unsigned long end)
{
	struct tableset *set = map_viewer_make(view->map, &to_party(view)->viewer, rights);

	return PTR_ERR_OR_ZERO(set);
}

/* -EBUSY: somebody else has it by now. */
static int show_page(struct party *party, enum morsel_rights rights, unsigned long index,
		     bool write)
{
	struct tableset *set = map_viewer_make(party->all->map, &party->viewer, rights);
	enum word_grant grant;
	bool whole = false;
	int err = -EBUSY;

	if (IS_ERR(set))
		return PTR_ERR(set);
	mutex_lock(&party->lock);
	grant = grant_of(party, index, &whole);
	if (grant >= (write ? WORD_WRITE : WORD_READ))
		err = show(party, set, index, whole, grant, !whole);
	mutex_unlock(&party->lock);
	return err;
}

static int exclusive_fault(struct view *view, enum morsel_rights rights,
			   const struct mempolicy *policy, unsigned long index,
			   enum map_access access)
{
	struct party *party = to_party(view);
	bool write = access != MAP_READ;
	struct take take = {.party = party, .write = write, .deadline = KTIME_MAX};
	int err = refusal(party, write) ?: map_fill(view->map, policy, index) ?: party_take(&take, index, index + 1);

	/* It would wait for itself. */
	if (err == -EBUSY && write && party_only_reads(party, index))
		return -EDEADLK;
	return err ?: show_page(party, rights, index, write);
}

static int exclusive_wait(struct view *view, unsigned long index, bool write, unsigned int state)
{
	struct take take = {
		.party = to_party(view),
		.write = write,
		.state = state,
		.deadline = KTIME_MAX,
	};

	return gate_wait_page(view->map, index) ?: party_take(&take, index, index + 1);
}

static int exclusive_populate(struct view *view, const struct mempolicy *policy,
			      unsigned long first, unsigned long end, unsigned int state)
{
	return map_populate(view->map, policy, first, end, state);
}

/* For debuggers, and who else looks by way of the mapping (morsel_vma_access()): none waits for others. */
static struct page *exclusive_page(struct view *view, unsigned long index, bool write)
{
	struct take take = {.party = to_party(view), .write = write, .deadline = KTIME_MAX};
	int err = party_take(&take, index, index + 1);

	return err ? ERR_PTR(err) : map_page(view->map, index, write);
}

const struct view_ops exclusive_view_ops = {
	.exclusive = true,
	.tables = exclusive_tables,
	.show = exclusive_show,
	.fault = exclusive_fault,
	.wait = exclusive_wait,
	.populate = exclusive_populate,
	.page = exclusive_page,
};
