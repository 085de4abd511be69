// SPDX-License-Identifier: GPL-2.0
/*
 * tree: draw a morsel's page-table subtree.
 *
 * The extents give the whole shape: per GiB one PMD table or none, in it per
 * 2 MiB a leaf, a PTE table or a hole.  Neighbours of the same kind are drawn
 * as one line.
 */
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define GIB (1ULL << 30)
#define SLOT (1ULL << 21)
#define NODES 64

/* What is known of one GiB. */
struct gib {
	bool table;
	uint64_t leaves; /* bytes */
	uint64_t frames; /* bytes of 4 KiB frames */
	uint64_t holes_4k; /* bytes */
	uint64_t holes_2m; /* bytes */
	unsigned int pte_tables;
};

struct tree {
	struct gib gib;
	uint64_t gib_start;
	uint64_t last_pte_slot;
	struct json_object *rows;
	const char *branch;
	const char *leaf;
	bool json;
	bool bytes;
	uint64_t node_bytes[NODES];
	uint64_t run_start; /* of GiBs without tables */
	bool in_run;
	struct gib total;
	uint64_t gibs;
	uint64_t pmd_tables;
};

static void size_text(const struct tree *tree, char *buffer, size_t room, uint64_t size)
{
	if (tree->bytes)
		snprintf(buffer, room, "%ju", (uintmax_t)size);
	else
		format_size(buffer, room, size);
}

static void end_run(struct tree *tree, uint64_t end)
{
	if (!tree->in_run)
		return;
	tree->in_run = false;
	if (!tree->json)
		printf("%s PUD entries %ju-%ju: no table yet\n", tree->branch,
		       (uintmax_t)(tree->run_start / GIB), (uintmax_t)((end - 1) / GIB));
}

static void part(const struct tree *tree, const char *what, uint64_t bytes, uint64_t unit)
{
	char size[32];

	if (!bytes)
		return;
	size_text(tree, size, sizeof(size), bytes);
	printf("%s %-16s %9ju  %8s\n", tree->leaf, what, (uintmax_t)(bytes / unit), size);
}

static void end_gib(struct tree *tree)
{
	struct gib *gib = &tree->gib;
	struct json_object *row;

	if (!gib->table)
		return;
	end_run(tree, tree->gib_start);
	if (tree->json) {
		row = json_object_new_object();
		row_number(row, "offset", tree->gib_start);
		row_number(row, "leaves_2m", gib->leaves / SLOT);
		row_number(row, "pte_tables", gib->pte_tables);
		row_number(row, "frames_4k", gib->frames / 4096);
		row_number(row, "holes_4k", gib->holes_4k / 4096);
		row_number(row, "holes_2m", gib->holes_2m / SLOT);
		json_object_array_add(tree->rows, row);
	} else {
		printf("%s PUD entry %ju: PMD table\n", tree->branch,
		       (uintmax_t)(tree->gib_start / GIB));
		part(tree, "2 MiB leaves", gib->leaves, SLOT);
		part(tree, "PTE tables", (uint64_t)gib->pte_tables * 4096, 4096);
		part(tree, "4 KiB frames", gib->frames, 4096);
		part(tree, "4 KiB holes", gib->holes_4k, 4096);
		part(tree, "2 MiB holes", gib->holes_2m, SLOT);
	}
	tree->pmd_tables++;
	tree->total.leaves += gib->leaves;
	tree->total.frames += gib->frames;
	tree->total.pte_tables += gib->pte_tables;
	memset(gib, 0, sizeof(*gib));
}

/* A part of an extent that lies in one GiB. */
static void add(struct tree *tree, const struct morsel_extent *extent, uint64_t offset,
		uint64_t length)
{
	struct gib *gib = &tree->gib;
	uint64_t start = offset & ~(GIB - 1);

	if (start != tree->gib_start) {
		end_gib(tree);
		tree->gib_start = start;
	}
	if (extent->level == MORSEL_LEVEL_HOLE_1G) {
		if (!tree->in_run)
			tree->run_start = start;
		tree->in_run = true;
		return;
	}
	gib->table = true;
	if (extent->node < NODES)
		tree->node_bytes[extent->node] += length;
	switch (extent->level) {
	case MORSEL_LEVEL_2M:
		gib->leaves += length;
		return;
	case MORSEL_LEVEL_HOLE_2M:
		gib->holes_2m += length;
		return;
	case MORSEL_LEVEL_4K:
		gib->frames += length;
		break;
	default:
		gib->holes_4k += length;
	}
	/* Every slot that has 4 KiB entries has a PTE table; an extent may span several. */
	for (uint64_t slot = offset / SLOT; slot <= (offset + length - 1) / SLOT; slot++) {
		if (slot + 1 != tree->last_pte_slot)
			gib->pte_tables++;
		tree->last_pte_slot = slot + 1;
	}
}

static int visit(const struct morsel_extent *extent, void *context)
{
	uint64_t offset = extent->offset, end = extent->offset + extent->length, next;

	for (; offset < end; offset = next) {
		next = (offset & ~(GIB - 1)) + GIB;
		if (next > end)
			next = end;
		add(context, extent, offset, next - offset);
	}
	return 0;
}

int run_tree(struct ctl *ctl, int argc, char **argv)
{
	bool utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	struct tree tree = {
		.branch = utf8 ? "├─" : "|-",
		.leaf = utf8 ? "│  ├─" : "|  |-",
		.json = ctl->json,
		.bytes = ctl->bytes,
		.gib_start = UINT64_MAX,
	};
	struct morsel_info info;
	char size[32], tables[32];
	int fd, err;

	if (argc != 2)
		return usage(find_verb(argv[0]));
	fd = open_named(ctl, argv[1], MORSEL_OPEN_READ_ONLY);
	if (fd < 0)
		return failed(fd, "%s", argv[1]);
	err = morsel_stat(fd, &info);
	if (!err && !ctl->json) {
		size_text(&tree, size, sizeof(size), info.length);
		printf("%s: %s\n", info.name[0] ? info.name : argv[1], size);
	}
	tree.rows = json_object_new_array();
	if (!err)
		err = morsel_extents(fd, visit, &tree);
	close(fd);
	if (err)
		return failed(err, "tree %s", argv[1]);
	end_gib(&tree);
	end_run(&tree, info.length);
	if (ctl->json)
		return print_rows(ctl, NULL, 0, tree.rows);
	json_object_put(tree.rows);

	size_text(&tree, size, sizeof(size), tree.total.leaves + tree.total.frames);
	size_text(&tree, tables, sizeof(tables), info.table_bytes);
	printf("%s %s in %ju leaves of 2 MiB and %ju frames of 4 KiB; %s of tables: %ju PMD, %u "
	       "PTE%s\n",
	       utf8 ? "└─" : "`-", size, (uintmax_t)(tree.total.leaves / SLOT),
	       (uintmax_t)(tree.total.frames / 4096), tables, (uintmax_t)tree.pmd_tables,
	       tree.total.pte_tables,
	       info.flags & MORSEL_INFO_TWIN ? ", and read-only or executable twins" : "");
	for (unsigned int node = 0; node < NODES; node++) {
		if (!tree.node_bytes[node])
			continue;
		size_text(&tree, size, sizeof(size), tree.node_bytes[node]);
		printf("   node %u: %s\n", node, size);
	}
	return EXIT_OK;
}
