/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel has that some headers do not have yet: PAGEMAP_SCAN and PROCMAP_QUERY of
 * linux/fs.h, and parts of linux/userfaultfd.h.
 */
#ifndef TESTS_NEWER_H
#define TESTS_NEWER_H

#include <linux/userfaultfd.h>
#include <stdint.h>

struct region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

struct scan {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN _IOWR('f', 16, struct scan)
#define SCAN_WRITE_PROTECT 1
#define SCAN_CHECK_ASYNC 2
#define IS_FILE (1 << 2)
#define IS_PRESENT (1 << 3)
#define IS_HUGE (1 << 6)

struct map_query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start;
	uint64_t vma_end;
	uint64_t vma_flags;
	uint64_t vma_page_size;
	uint64_t vma_offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t vma_name_size;
	uint32_t build_id_size;
	uint64_t vma_name_addr;
	uint64_t build_id_addr;
};

#define MAP_QUERY _IOWR('f', 17, struct map_query)
#define QUERY_SHARED 0x08

struct move {
	uint64_t dst;
	uint64_t src;
	uint64_t len;
	uint64_t mode;
	int64_t move;
};

#define MOVE _IOWR(UFFDIO, 0x05, struct move)
#define FEATURE_WP_UNPOPULATED (1 << 13)
#define FEATURE_WP_ASYNC (1 << 15)
#define FEATURE_MOVE (1 << 16)

#endif /* TESTS_NEWER_H */
