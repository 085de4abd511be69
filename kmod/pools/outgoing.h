/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables on their way out: they are in use, and charged, until a grace period has passed.
 *
 * They are freed in any order, so that to count them is not enough for who waits for those
 * that there are now, and not for those that follow, of which there may be no end.  They belong
 * to one of two rounds, as with SRCU: who waits has what follows belong to the other one.
 */
#ifndef MORSEL_OUTGOING_H
#define MORSEL_OUTGOING_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/wait_bit.h>

/**
 * struct outgoing - tablesets on their way out, of a pool or of a payer
 * @pending:	how many there are, of each round
 * @round:	which one what begins belongs to; changed under @lock
 * @waits:	how many waits have come to their end; likewise
 * @ended:	how many have been freed
 * @lock:	held by who waits
 */
struct outgoing {
	atomic_long_t pending[2];
	unsigned int round;
	unsigned long waits;
	atomic_long_t ended;
	struct mutex lock;
};

static inline void outgoing_init(struct outgoing *out)
{
	mutex_init(&out->lock);
}

/* Returns the round, for outgoing_end(). */
static inline unsigned int outgoing_begin(struct outgoing *out)
{
	unsigned int round = READ_ONCE(out->round);

	atomic_long_inc(&out->pending[round]);
	return round;
}

static inline void outgoing_end(struct outgoing *out, unsigned int round)
{
	/* What was given back is seen by who sees that none is left, and that one has ended. */
	atomic_long_inc(&out->ended);
	if (atomic_long_dec_and_test(&out->pending[round]))
		wake_up_var(&out->pending[round]);
}

/* Is none on its way now?  If none has @ended since that was read, none was in between. */
static inline bool outgoing_none(const struct outgoing *out)
{
	return !atomic_long_read(&out->pending[0]) && !atomic_long_read(&out->pending[1]);
}

/* outgoing.c */
int outgoing_wait(struct outgoing *out);

#endif /* MORSEL_OUTGOING_H */
