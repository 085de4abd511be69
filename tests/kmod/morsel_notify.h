/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What morsel_notify.ko and tests/test_notifier.c say to each other.
 */
#ifndef MORSEL_NOTIFY_H
#define MORSEL_NOTIFY_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define NOTIFY_DEVICE "/dev/morsel_notify"

/* What was heard of the range; reading it begins anew. */
struct notify_counts {
	/* invalidate_range_start of an mmu_notifier, its release, and an mmu_interval_notifier. */
	__u32 starts;
	__u32 releases;
	__u32 intervals;
	/* arch_invalidate_secondary_tlbs; before 6.6, invalidate_range. */
	__u32 tlbs;
};

struct notify_range {
	__u64 start;
	__u64 length;
};

/* Listen to what happens to a range of the caller; once for a descriptor. */
#define NOTIFY_WATCH _IOW('N', 1, struct notify_range)
#define NOTIFY_COUNTS _IOR('N', 2, struct notify_counts)
/* Have that address space look as if a device shared it (1), or not any more (0). */
#define NOTIFY_PASID _IO('N', 3)
/* Hold who tells of the range from now on until told otherwise (1), or let them go (0). */
#define NOTIFY_HOLD _IO('N', 4)
/* Wait until somebody is held. */
#define NOTIFY_HELD _IO('N', 5)
/* Have no RCU grace period end from now on (1), or let it (0). */
#define NOTIFY_RCU _IO('N', 6)
/* Have that address space look as if it had one identifier on all processors (1), or not (0). */
#define NOTIFY_ASID _IO('N', 7)

#endif /* MORSEL_NOTIFY_H */
