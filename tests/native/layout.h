/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the fields of the ABI lie and which numbers its calls have, written
 * down once and for all: version 2.  What is added at the end of a struct changes
 * the size in its calls' numbers, which the module does not look at.
 */
#ifndef TESTS_NATIVE_LAYOUT_H
#define TESTS_NATIVE_LAYOUT_H

/* X(struct, field, offset, bytes) */
#define LAYOUT_FIELDS(X) \
	X(morsel_query, size, 0, 4) \
	X(morsel_query, flags, 4, 4) \
	X(morsel_query, abi, 8, 4) \
	X(morsel_query, abi_oldest, 12, 4) \
	X(morsel_query, features, 16, 8) \
	X(morsel_query, max_length, 24, 8) \
	X(morsel_query, nr_pools, 32, 4) \
	X(morsel_query, nr_morsels, 36, 4) \
	X(morsel_query, attach_unit, 40, 8) \
	X(morsel_query, splice_unit, 48, 8) \
	X(morsel_query, version, 56, 32) \
	X(morsel_create, size, 0, 4) \
	X(morsel_create, flags, 4, 4) \
	X(morsel_create, length, 8, 8) \
	X(morsel_create, pool, 16, 4) \
	X(morsel_create, node, 20, 4) \
	X(morsel_create, granule, 24, 4) \
	X(morsel_create, mode, 28, 4) \
	X(morsel_create, fd, 32, 4) \
	X(morsel_create, fault_around, 36, 4) \
	X(morsel_create, id, 40, 8) \
	X(morsel_create, name, 48, 256) \
	X(morsel_create, policy, 304, 4) \
	X(morsel_create, nr_nodes, 308, 4) \
	X(morsel_create, nodes, 312, 8) \
	X(morsel_open, size, 0, 4) \
	X(morsel_open, flags, 4, 4) \
	X(morsel_open, id, 8, 8) \
	X(morsel_open, fd, 16, 4) \
	X(morsel_open, reserved, 20, 4) \
	X(morsel_open, name, 24, 256) \
	X(morsel_unlink, size, 0, 4) \
	X(morsel_unlink, flags, 4, 4) \
	X(morsel_unlink, id, 8, 8) \
	X(morsel_unlink, name, 16, 256) \
	X(morsel_info, size, 0, 4) \
	X(morsel_info, flags, 4, 4) \
	X(morsel_info, id, 8, 8) \
	X(morsel_info, length, 16, 8) \
	X(morsel_info, frame_bytes, 24, 8) \
	X(morsel_info, table_bytes, 32, 8) \
	X(morsel_info, huge_bytes, 40, 8) \
	X(morsel_info, faults, 48, 8) \
	X(morsel_info, pool, 56, 4) \
	X(morsel_info, node, 60, 4) \
	X(morsel_info, granule, 64, 4) \
	X(morsel_info, mode, 68, 4) \
	X(morsel_info, uid, 72, 4) \
	X(morsel_info, gid, 76, 4) \
	X(morsel_info, attachments, 80, 4) \
	X(morsel_info, fault_around, 84, 4) \
	X(morsel_info, name, 88, 256) \
	X(morsel_info, reserved_bytes, 344, 8) \
	X(morsel_node, id, 0, 8) \
	X(morsel_node, frame_bytes, 8, 8) \
	X(morsel_node, huge_bytes, 16, 8) \
	X(morsel_node, pool, 24, 4) \
	X(morsel_node, node, 28, 4) \
	X(morsel_list, size, 0, 4) \
	X(morsel_list, flags, 4, 4) \
	X(morsel_list, cursor, 8, 8) \
	X(morsel_list, entries, 16, 8) \
	X(morsel_list, entry_size, 24, 4) \
	X(morsel_list, count, 28, 4) \
	X(morsel_extent, offset, 0, 8) \
	X(morsel_extent, length, 8, 8) \
	X(morsel_extent, frame, 16, 8) \
	X(morsel_extent, level, 24, 4) \
	X(morsel_extent, node, 28, 4) \
	X(morsel_extent, shared, 32, 4) \
	X(morsel_extent, reserved, 36, 4) \
	X(morsel_range, size, 0, 4) \
	X(morsel_range, flags, 4, 4) \
	X(morsel_range, offset, 8, 8) \
	X(morsel_range, length, 16, 8) \
	X(morsel_seal, size, 0, 4) \
	X(morsel_seal, flags, 4, 4) \
	X(morsel_seal, seals, 8, 4) \
	X(morsel_seal, reserved, 12, 4) \
	X(morsel_clone, size, 0, 4) \
	X(morsel_clone, flags, 4, 4) \
	X(morsel_clone, fd, 8, 4) \
	X(morsel_clone, mode, 12, 4) \
	X(morsel_clone, id, 16, 8) \
	X(morsel_clone, name, 24, 256) \
	X(morsel_rollback, size, 0, 4) \
	X(morsel_rollback, flags, 4, 4) \
	X(morsel_rollback, from, 8, 4) \
	X(morsel_rollback, reserved, 12, 4) \
	X(morsel_diff, list, 0, 32) \
	X(morsel_diff, other, 32, 4) \
	X(morsel_diff, reserved, 36, 4) \
	X(morsel_difference, offset, 0, 8) \
	X(morsel_difference, length, 8, 8) \
	X(morsel_difference, flags, 16, 4) \
	X(morsel_difference, reserved, 20, 4) \
	X(morsel_tune, size, 0, 4) \
	X(morsel_tune, flags, 4, 4) \
	X(morsel_tune, fault_around, 8, 4) \
	X(morsel_tune, reserved, 12, 4) \
	X(morsel_limit, size, 0, 4) \
	X(morsel_limit, flags, 4, 4) \
	X(morsel_limit, uid, 8, 4) \
	X(morsel_limit, reserved, 12, 4) \
	X(morsel_limit, bytes, 16, 8) \
	X(morsel_limit, used, 24, 8) \
	X(morsel_pool_info, size, 0, 4) \
	X(morsel_pool_info, flags, 4, 4) \
	X(morsel_pool_info, id, 8, 4) \
	X(morsel_pool_info, kind, 12, 4) \
	X(morsel_pool_info, node, 16, 4) \
	X(morsel_pool_info, morsels, 20, 4) \
	X(morsel_pool_info, limit_bytes, 24, 8) \
	X(morsel_pool_info, held_bytes, 32, 8) \
	X(morsel_pool_info, used_bytes, 40, 8) \
	X(morsel_pool_info, free_bytes, 48, 8) \
	X(morsel_pool_info, free_huge_bytes, 56, 8) \
	X(morsel_pool_info, pinned_bytes, 64, 8) \
	X(morsel_pool_info, borrows, 72, 8) \
	X(morsel_pool_info, returns, 80, 8) \
	X(morsel_pool_info, name, 88, 32) \
	X(morsel_pool, size, 0, 4) \
	X(morsel_pool, flags, 4, 4) \
	X(morsel_pool, id, 8, 4) \
	X(morsel_pool, kind, 12, 4) \
	X(morsel_pool, node, 16, 4) \
	X(morsel_pool, reserved, 20, 4) \
	X(morsel_pool, limit_bytes, 24, 8)

/* X(call, number) */
#define LAYOUT_CALLS(X) \
	X(MORSEL_IOC_QUERY, 0xc058e500) \
	X(MORSEL_IOC_CREATE, 0xc140e501) \
	X(MORSEL_IOC_OPEN, 0xc118e502) \
	X(MORSEL_IOC_UNLINK, 0x4110e503) \
	X(MORSEL_IOC_LIST, 0xc020e504) \
	X(MORSEL_IOC_LIMIT_GET, 0xc020e505) \
	X(MORSEL_IOC_LIMIT_SET, 0x4020e506) \
	X(MORSEL_IOC_NODES, 0xc020e507) \
	X(MORSEL_IOC_POOL_LIST, 0xc020e510) \
	X(MORSEL_IOC_POOL_STAT, 0xc078e511) \
	X(MORSEL_IOC_POOL_ADD, 0xc020e512) \
	X(MORSEL_IOC_POOL_RESIZE, 0x4020e513) \
	X(MORSEL_IOC_POOL_REMOVE, 0x4020e514) \
	X(MORSEL_IOC_STAT, 0xc160e520) \
	X(MORSEL_IOC_POPULATE, 0x4018e521) \
	X(MORSEL_IOC_PUNCH, 0x4018e522) \
	X(MORSEL_IOC_EXTENTS, 0xc020e523) \
	X(MORSEL_IOC_TUNE, 0x4010e524) \
	X(MORSEL_IOC_SEAL, 0xc010e525) \
	X(MORSEL_IOC_RESERVE, 0x4018e526) \
	X(MORSEL_IOC_CLONE, 0xc118e527) \
	X(MORSEL_IOC_ROLLBACK, 0x4010e528) \
	X(MORSEL_IOC_DIFF, 0xc028e529)

#endif /* TESTS_NATIVE_LAYOUT_H */
