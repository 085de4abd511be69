// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for tables on their way out.
 */
#include <linux/errno.h>

#include "pools/outgoing.h"

static int wait_for_round(struct outgoing *out, unsigned int round)
{
	atomic_long_t *pending = &out->pending[round];

	return wait_var_event_killable(pending, !atomic_long_read(pending)) ? -EINTR : 0;
}

/**
 * outgoing_wait() - wait until those are freed that are on their way now
 * @out: of whom
 * Return: 0, or -EINTR: a fatal signal.
 */
int outgoing_wait(struct outgoing *out)
{
	unsigned long before = READ_ONCE(out->waits);
	unsigned int round;
	int err = 0;

	if (outgoing_none(out))
		return 0;
	if (mutex_lock_killable(&out->lock))
		return -EINTR;
	/* The first that came to its end may have begun earlier; the second has not. */
	if (out->waits - before < 2) {
		round = out->round;
		/* Who waited before may have been killed. */
		err = wait_for_round(out, !round);
		if (!err) {
			WRITE_ONCE(out->round, !round);
			err = wait_for_round(out, round);
		}
		if (!err)
			WRITE_ONCE(out->waits, out->waits + 1);
	}
	mutex_unlock(&out->lock);
	return err;
}
