// SPDX-License-Identifier: GPL-2.0
/*
 * Morsel: explicit virtual-memory objects.  Loading and unloading.
 */
#include <linux/module.h>

#include <asm/cpufeature.h>

#include "attach/attach.h"
#include "debug/debug.h"
#include "morsel.h"
#include "map/map.h"
#include "object/object.h"
#include "pools/payer.h"
#include "pools/pool.h"
#include "uapi/uapi.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#if COMPAT_UFFD_WRITES_TABLES
#error "morsel: on this kernel userfaultfd may write into tables of other processes (CVE-2026-68166); use one where that is mended, such as 6.12.105, 7.1.8 or newer"
#endif

static int __init morsel_init(void)
{
	int err;

	/*
	 * Tables are written as the hardware reads them; a paravirtual Xen
	 * guest may not do that.
	 */
	if (boot_cpu_has(X86_FEATURE_XENPV)) {
		pr_err("morsel: does not work in Xen PV guests; use an HVM or PVH guest\n");
		return -EOPNOTSUPP;
	}

	if (compat_counts_entries()) {
		pr_err("morsel: does not work with page_table_check=on, which counts the entries of tables for one address space\n");
		return -EOPNOTSUPP;
	}

	map_fill_init();
	payers_init();
	err = morsel_tables_init();
	if (err)
		return err;
	err = tablesets_init();
	if (err)
		goto out_tables;
	err = spaces_init();
	if (err)
		goto out_tablesets;
	err = morsel_objects_init(&morsel_fops);
	if (err)
		goto out_spaces;
	err = morsel_dram_init();
	if (err)
		goto out_objects;
	err = morsel_pools_init();
	if (err)
		goto out_dram;
	err = morsel_control_init();
	if (err)
		goto out_pools;
	/* Last, as who mounts it may do so at once. */
	err = morsel_mount_init();
	if (err)
		goto out_control;
	morsel_bench_init();
	return 0;

out_control:
	morsel_control_exit();
out_pools:
	morsel_pools_exit();
out_dram:
	morsel_dram_exit();
out_objects:
	morsel_objects_exit();
out_spaces:
	spaces_exit();
out_tablesets:
	tablesets_exit();
out_tables:
	morsel_tables_exit();
	return err;
}

/*
 * The kernel comes here only when no morsel is left: each holds the module, as
 * does each descriptor.
 */
static void __exit morsel_exit(void)
{
	morsel_bench_exit();
	morsel_mount_exit();
	morsel_control_exit();
	morsel_objects_exit();
	spaces_exit();
	tablesets_exit();
	morsel_tables_exit();
	morsel_pools_exit();
	morsel_dram_exit();
	payers_exit();
}

module_init(morsel_init);
module_exit(morsel_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Explicit virtual-memory objects, kept as subtrees of the page tables");
MODULE_VERSION(MORSEL_VERSION);
