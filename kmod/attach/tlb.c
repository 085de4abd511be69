// SPDX-License-Identifier: GPL-2.0
/*
 * Flushing an address space's translations.
 *
 * The kernel's own functions for it are not exported.  What they rest on is:
 * each mm has a generation that every flush raises, and a CPU that switches to
 * an mm flushes when the generation it saw last is not the current one.  So
 * raising the generation reaches every CPU that ran the mm earlier, and an
 * interrupt every CPU that runs it now.
 */
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/smp.h>

#include <asm/cpufeature.h>
#include <asm/invpcid.h>
#include <asm/mmu_context.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>

#include "attach/attach.h"
#include "trace.h"

static void write_cr4(unsigned long cr4)
{
	asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

static void flush_here(void *unused)
{
	unsigned long flags, cr4;

	if (boot_cpu_has(X86_FEATURE_INVPCID)) {
		invpcid_flush_all();
		return;
	}

	/*
	 * Without INVPCID: changing CR4.PGE flushes everything, under all
	 * process-context identifiers.
	 */
	local_irq_save(flags);
	cr4 = __read_cr4();
	write_cr4(cr4 ^ X86_CR4_PGE);
	write_cr4(cr4);
	local_irq_restore(flags);
}

/**
 * morsel_forget_here() - have this CPU look for an address anew
 * @addr: of the current address space
 *
 * With the translation go the upper entries that it was found by, or was not (Intel SDM
 * vol. 3, INVLPG; AMD APM vol. 2, 5.5).  Where the kernel has page tables of its own, that goes
 * for what was found by these; processors that need them, Intel's, forget what they report
 * by themselves.
 */
void morsel_forget_here(unsigned long addr)
{
	asm volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

/*
 * Whoever switches to the address space from here on sees what was changed in
 * its tables before; returned are the CPUs that may use it now.
 */
static const struct cpumask *raise_generation(struct mm_struct *mm)
{
	/*
	 * Pairs with the reading of the generation in switch_mm_irqs_off(): the
	 * new entries are seen before the new generation.
	 */
	smp_mb__before_atomic();
	atomic64_inc(&mm->context.tlb_gen);
	/*
	 * And the new generation before the mask: a CPU that sets its bit later sees it.  So
	 * with the identifier: who has used it for an old entry had it before.
	 */
	smp_mb__after_atomic();

	return compat_global_asid(mm) ? cpu_online_mask : mm_cpumask(mm);
}

/**
 * morsel_flush_mm() - flush all translations of an address space on all CPUs
 * @mm: the address space; its tables have been changed already
 *
 * When it returns, no CPU uses a translation, or an upper entry, read before
 * the call, and no get_user_pages_fast() that began before it is still walking.
 * May be called under spinlocks, with interrupts on.
 */
void morsel_flush_mm(struct mm_struct *mm)
{
	morsel_flush_cpus(raise_generation(mm), 1);
}

/**
 * morsel_flush_add() - as morsel_flush_mm(), for one of several address spaces
 * @mm:		the address space
 * @cpus:	gets the CPUs that morsel_flush_cpus() is to flush on
 */
void morsel_flush_add(struct mm_struct *mm, struct cpumask *cpus)
{
	cpumask_or(cpus, cpus, raise_generation(mm));
}

/**
 * morsel_flush_cpus() - flush what was added; each CPU is interrupted once
 * @cpus:	from morsel_flush_add()
 * @spaces:	how many address spaces that was called for
 */
void morsel_flush_cpus(const struct cpumask *cpus, unsigned int spaces)
{
	on_each_cpu_mask(cpus, flush_here, NULL, true);
	trace_morsel_flush(spaces);
}

/**
 * morsel_flush_page() - as morsel_flush_cpus(), where only one page of an address space has changed
 * @cpus:	from morsel_flush_add()
 * @spaces:	how many address spaces that was called for
 * @addr:	where it is in the last
 *
 * Where that one is in use here and nowhere else, as with programs of one thread, no more than the page is
 * flushed.  But where the kernel has page tables of its own, a translation of the others would stay.
 */
void morsel_flush_page(const struct cpumask *cpus, unsigned int spaces, unsigned long addr)
{
	int cpu = get_cpu();
	bool here = spaces == 1 && cpumask_equal(cpus, cpumask_of(cpu)) &&
		    !boot_cpu_has(X86_FEATURE_PTI);

	if (here)
		morsel_forget_here(addr);
	put_cpu();
	if (!here)
		morsel_flush_cpus(cpus, spaces);
}
