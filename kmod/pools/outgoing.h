/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables on their way out: they are in use, and charged, until a grace period has passed.
 */
#ifndef MORSEL_OUTGOING_H
#define MORSEL_OUTGOING_H

#include <linux/atomic.h>
#include <linux/wait_bit.h>

/**
 * struct outgoing - tablesets on their way out, of a pool or of a payer
 * @begun:	how many ever were
 * @done:	how many of these have been freed
 */
struct outgoing {
	atomic_long_t begun;
	atomic_long_t done;
};

static inline void outgoing_begin(struct outgoing *out)
{
	atomic_long_inc(&out->begun);
}

static inline void outgoing_end(struct outgoing *out)
{
	/* What was given back is seen by who sees this, */
	smp_mb__before_atomic();
	atomic_long_inc(&out->done);
	/* and this by who is not seen to wait; pairs with wait_var_event_killable(). */
	smp_mb__after_atomic();
	wake_up_var(out);
}

/* Are there any? */
static inline bool outgoing_any(struct outgoing *out)
{
	return atomic_long_read(&out->done) != atomic_long_read(&out->begun);
}

/*
 * Wait until as many are freed as were on their way just now; these are not waited for
 * that follow, of which there may be no end.  0, or -EINTR: a fatal signal.
 */
static inline int outgoing_wait(struct outgoing *out)
{
	long begun = atomic_long_read(&out->begun);

	return wait_var_event_killable(out, atomic_long_read(&out->done) - begun >= 0) ? -EINTR : 0;
}

#endif /* MORSEL_OUTGOING_H */
