// SPDX-License-Identifier: GPL-2.0
/*
 * For tests alone: listens to an address space as a driver does whose device has
 * page tables, or a TLB, of its own, and counts what it hears.
 *
 * A descriptor listens to the process that asked for it, also if that ends; what
 * it counted may be read by others that have the descriptor.
 */
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/nmi.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "morsel_notify.h"

/**
 * struct watch - what listens
 * @notifier:	to everything in the address space
 * @tlb_notifier: to flushes; one notifier may not do both
 * @interval:	to the range alone
 * @mm:		the address space; the notifiers hold it
 * @start:	first address of the range
 * @end:	address after the last
 * @setup:	one ioctl at a time
 * @lock:	protects @counts
 * @counts:	since they were read last
 * @pasid:	@mm has been given one
 * @hold:	who tells of the range is to wait
 * @held:	how many do
 * @changed:	one of these two was
 * @reader:	keeps RCU from getting on; it is on the last processor
 */
struct watch {
	struct mmu_notifier notifier;
	struct mmu_notifier tlb_notifier;
	struct mmu_interval_notifier interval;
	struct mm_struct *mm;
	unsigned long start;
	unsigned long end;
	struct mutex setup;
	spinlock_t lock;
	struct notify_counts counts;
	bool pasid;
	bool hold;
	atomic_t held;
	wait_queue_head_t changed;
	struct task_struct *reader;
};

static void count(struct watch *w, __u32 *counter, unsigned long start, unsigned long end)
{
	if (start >= w->end || end <= w->start)
		return;
	spin_lock(&w->lock);
	(*counter)++;
	spin_unlock(&w->lock);
}

static int heard_start(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct watch *w = container_of(notifier, struct watch, notifier);

	count(w, &w->counts.starts, range->start, range->end);
	if (range->start >= w->end || range->end <= w->start ||
	    !mmu_notifier_range_blockable(range))
		return 0;
	atomic_inc(&w->held);
	wake_up_all(&w->changed);
	wait_event(w->changed, !READ_ONCE(w->hold));
	atomic_dec(&w->held);
	return 0;
}

static void heard_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct watch *w = container_of(notifier, struct watch, notifier);

	count(w, &w->counts.releases, 0, ULONG_MAX);
}

/* Called with the locks of tables held. */
static void heard_tlb(struct mmu_notifier *notifier, struct mm_struct *mm, unsigned long start,
		      unsigned long end)
{
	struct watch *w = container_of(notifier, struct watch, tlb_notifier);

	count(w, &w->counts.tlbs, start, end);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = heard_start,
	.release = heard_release,
};

static const struct mmu_notifier_ops tlb_notifier_ops = {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	.arch_invalidate_secondary_tlbs = heard_tlb,
#else
	.invalidate_range = heard_tlb,
#endif
};

static bool heard_interval(struct mmu_interval_notifier *interval,
			   const struct mmu_notifier_range *range, unsigned long seq)
{
	struct watch *w = container_of(interval, struct watch, interval);

	spin_lock(&w->lock);
	mmu_interval_set_seq(interval, seq);
	w->counts.intervals++;
	spin_unlock(&w->lock);
	return true;
}

static const struct mmu_interval_notifier_ops interval_ops = {
	.invalidate = heard_interval,
};

static int watch_range(struct watch *w, void __user *from)
{
	struct mm_struct *mm = current->mm;
	struct notify_range range;
	int err;

	if (copy_from_user(&range, from, sizeof(range)))
		return -EFAULT;
	if (w->mm)
		return -EBUSY;
	w->start = range.start;
	w->end = range.start + range.length;
	w->notifier.ops = &notifier_ops;
	w->tlb_notifier.ops = &tlb_notifier_ops;
	err = mmu_notifier_register(&w->notifier, mm);
	if (err)
		return err;
	err = mmu_notifier_register(&w->tlb_notifier, mm);
	if (err)
		goto no_tlb_notifier;
	err = mmu_interval_notifier_insert(&w->interval, mm, w->start, range.length, &interval_ops);
	if (err)
		goto no_interval;
	w->mm = mm;
	return 0;

no_interval:
	mmu_notifier_unregister(&w->tlb_notifier, mm);
no_tlb_notifier:
	mmu_notifier_unregister(&w->notifier, mm);
	return err;
}

static int read_counts(struct watch *w, void __user *to)
{
	struct notify_counts counts;

	spin_lock(&w->lock);
	counts = w->counts;
	memset(&w->counts, 0, sizeof(w->counts));
	spin_unlock(&w->lock);
	return copy_to_user(to, &counts, sizeof(counts)) ? -EFAULT : 0;
}

/*
 * No device uses the number, and it is not the allocator's: it must be gone when
 * the kernel frees what an address space has.  The notifiers keep that from
 * happening.
 */
#ifndef CONFIG_IOMMU_SVA
static int set_pasid(struct mm_struct *mm)
{
	return -EOPNOTSUPP;
}

static void clear_pasid(struct mm_struct *mm)
{
}
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
static int set_pasid(struct mm_struct *mm)
{
	struct iommu_mm_data *data;

	if (mm_valid_pasid(mm))
		return -EBUSY;
	data = kzalloc(sizeof(*data), GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	data->pasid = 1;
	INIT_LIST_HEAD(&data->sva_domains);
	/* As the kernel does: whoever sees it sees what is in it. */
	smp_store_release(&mm->iommu_mm, data);
	return 0;
}

static void clear_pasid(struct mm_struct *mm)
{
	struct iommu_mm_data *data = mm->iommu_mm;

	WRITE_ONCE(mm->iommu_mm, NULL);
	/* Who reads it, upon a fault, does so with interrupts off. */
	synchronize_rcu();
	kfree(data);
}
#else
static int set_pasid(struct mm_struct *mm)
{
	if (pasid_valid(mm->pasid))
		return -EBUSY;
	mm_pasid_set(mm, 1);
	return 0;
}

static void clear_pasid(struct mm_struct *mm)
{
	mm_pasid_set(mm, INVALID_IOASID);
}
#endif

static int change_pasid(struct watch *w, bool on)
{
	int err = 0;

	if (!w->mm || w->pasid == on)
		return -EINVAL;
	if (on)
		err = set_pasid(w->mm);
	else
		clear_pasid(w->mm);
	if (!err)
		w->pasid = on;
	return err;
}

/*
 * Processors without INVLPGB have no such identifiers, and the kernel looks at none there: the
 * number says something to who asks for nothing else.
 */
static int set_asid(struct watch *w, bool on)
{
#ifdef CONFIG_BROADCAST_TLB_FLUSH
	if (!w->mm || boot_cpu_has(X86_FEATURE_INVLPGB))
		return -EINVAL;
	smp_store_release(&w->mm->context.global_asid, on ? 1 : 0);
	return 0;
#else
	return -EOPNOTSUPP;
#endif
}

static int hold(struct watch *w, bool on)
{
	WRITE_ONCE(w->hold, on);
	wake_up_all(&w->changed);
	return 0;
}

static int wait_until_held(struct watch *w)
{
	return wait_event_interruptible(w->changed, READ_ONCE(w->hold) && atomic_read(&w->held));
}

static int read_rcu(void *unused)
{
	rcu_read_lock();
	while (!kthread_should_stop()) {
		touch_softlockup_watchdog();
		cpu_relax();
	}
	rcu_read_unlock();
	return 0;
}

static int hold_rcu(struct watch *w, bool on)
{
	struct task_struct *reader;

	if (on == !!w->reader)
		return -EINVAL;
	if (!on) {
		kthread_stop(w->reader);
		w->reader = NULL;
		return 0;
	}
	reader = kthread_create(read_rcu, NULL, "morsel_rcu");
	if (IS_ERR(reader))
		return PTR_ERR(reader);
	kthread_bind(reader, cpumask_last(cpu_online_mask));
	wake_up_process(reader);
	w->reader = reader;
	return 0;
}

static long notify_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct watch *w = file->private_data;
	long err;

	mutex_lock(&w->setup);
	switch (cmd) {
	case NOTIFY_WATCH:
		err = watch_range(w, (void __user *)arg);
		break;
	case NOTIFY_COUNTS:
		err = read_counts(w, (void __user *)arg);
		break;
	case NOTIFY_PASID:
		err = change_pasid(w, arg);
		break;
	case NOTIFY_ASID:
		err = set_asid(w, arg);
		break;
	case NOTIFY_HOLD:
		err = hold(w, arg);
		break;
	case NOTIFY_RCU:
		err = hold_rcu(w, arg);
		break;
	case NOTIFY_HELD:
		err = wait_until_held(w);
		break;
	default:
		err = -ENOTTY;
	}
	mutex_unlock(&w->setup);
	return err;
}

static int notify_open(struct inode *inode, struct file *file)
{
	struct watch *w = kzalloc(sizeof(*w), GFP_KERNEL);

	if (!w)
		return -ENOMEM;
	mutex_init(&w->setup);
	spin_lock_init(&w->lock);
	init_waitqueue_head(&w->changed);
	file->private_data = w;
	return 0;
}

static int notify_release(struct inode *inode, struct file *file)
{
	struct watch *w = file->private_data;

	hold(w, false);
	if (w->reader)
		hold_rcu(w, false);
	if (w->pasid)
		clear_pasid(w->mm);
	if (w->mm)
		set_asid(w, false);
	if (w->mm) {
		mmu_interval_notifier_remove(&w->interval);
		mmu_notifier_unregister(&w->tlb_notifier, w->mm);
		mmu_notifier_unregister(&w->notifier, w->mm);
	}
	kfree(w);
	return 0;
}

static const struct file_operations notify_fops = {
	.owner = THIS_MODULE,
	.open = notify_open,
	.release = notify_release,
	.unlocked_ioctl = notify_ioctl,
};

static struct miscdevice notify_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "morsel_notify",
	.fops = &notify_fops,
	.mode = 0600,
};
module_misc_device(notify_device);

MODULE_DESCRIPTION("Counts MMU notifications for Morsel's tests");
MODULE_LICENSE("GPL");
