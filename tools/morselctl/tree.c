// SPDX-License-Identifier: GPL-2.0
/*
 * tree: draw a morsel's page-table subtree.
 *
 * The extents give the whole shape: per GiB one PMD table or none, in it per
 * 2 MiB a leaf, a PTE table or a hole.  GiBs that follow each other and look the
 * same are drawn as one.
 */
#include <inttypes.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define GIB ((uint64_t)1 << 30)
#define SPAN ((uint64_t)1 << 21)
#define FRAME ((uint64_t)4096)
#define NODES 1024 /* as many as x86 kernels can have */

/**
 * struct gib - what one GiB of a morsel holds, or several
 * @tables:	PMD tables
 * @pte_tables:	PTE tables
 * @leaves:	bytes in leaves of 2 MiB
 * @frames:	bytes in frames of 4 KiB
 * @holes_4k:	bytes that PTE tables lack
 * @holes_2m:	bytes that PMD tables lack
 * @shared:	bytes of frames that other morsels have, too
 * @shared_tables: PMD tables that they have
 * @shared_pte_tables: PTE tables likewise
 * @nodes:	bytes on each NUMA node
 */
struct gib {
	uint64_t tables;
	uint64_t pte_tables;
	uint64_t leaves;
	uint64_t frames;
	uint64_t holes_4k;
	uint64_t holes_2m;
	uint64_t shared;
	uint64_t shared_tables;
	uint64_t shared_pte_tables;
	uint64_t nodes[NODES];
};

/**
 * struct tree - a tree being drawn
 * @ctl:	how
 * @rows:	JSON rows
 * @utf8:	there are characters to draw boxes with
 * @entry:	PUD entry that the extents are at
 * @gib:	what is known of it
 * @first:	first of the entries before it that look the same
 * @count:	how many these are, or 0
 * @run:	how they look
 * @total:	all of the morsel
 * @pte_span:	1 + span of the PTE table counted last
 */
struct tree {
	const struct ctl *ctl;
	struct json_object *rows;
	bool utf8;
	uint64_t entry;
	struct gib gib;
	uint64_t first;
	uint64_t count;
	struct gib run;
	struct gib total;
	uint64_t pte_span;
};

__attribute__((format(printf, 4, 5))) static void draw(const struct tree *tree, const char *indent,
						       bool last, const char *format, ...)
{
	va_list arguments;

	printf("%s%s ", indent, tree->utf8 ? (last ? "└─" : "├─") : (last ? "`-" : "|-"));
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

/* What children of a node are indented by. */
static const char *below(const struct tree *tree, bool last)
{
	return last ? "   " : tree->utf8 ? "│  " : "|  ";
}

static void draw_part(const struct tree *tree, const char *indent, bool last, const char *what,
		      uint64_t bytes, uint64_t unit)
{
	char size[32];

	size_text(tree->ctl, size, sizeof(size), bytes);
	draw(tree, indent, last, "%s: %" PRIu64 " (%s)", what, (bytes + unit - 1) / unit, size);
}

/* What clones, or what it is one of, have too. */
static void draw_shared(const struct tree *tree, const char *indent)
{
	const struct gib *run = &tree->run;
	char size[32];

	size_text(tree->ctl, size, sizeof(size), run->shared);
	draw(tree, indent, true,
	     "shared: frames: %s; PMD tables: %" PRIu64 ", PTE tables: %" PRIu64, size,
	     run->shared_tables, run->shared_pte_tables);
}

static void draw_tables(const struct tree *tree, bool last)
{
	const struct gib *run = &tree->run;
	const char *indent = below(tree, last);
	bool last_pte = !run->holes_2m && !run->shared;
	char deeper[32];

	if (run->leaves)
		draw_part(tree, indent, !run->pte_tables && last_pte, "2 MiB leaves", run->leaves,
			  SPAN);
	if (run->pte_tables) {
		draw(tree, indent, last_pte, "PTE tables: %" PRIu64, run->pte_tables);
		snprintf(deeper, sizeof(deeper), "%s%s", indent, below(tree, last_pte));
		if (run->frames)
			draw_part(tree, deeper, !run->holes_4k, "4 KiB frames", run->frames, FRAME);
		if (run->holes_4k)
			draw_part(tree, deeper, true, "4 KiB holes", run->holes_4k, FRAME);
	}
	if (run->holes_2m)
		draw_part(tree, indent, !run->shared, "2 MiB holes", run->holes_2m, SPAN);
	if (run->shared)
		draw_shared(tree, indent);
}

static void draw_run(const struct tree *tree, bool last)
{
	char entries[64];

	if (tree->count == 1)
		snprintf(entries, sizeof(entries), "PUD entry %" PRIu64, tree->first);
	else
		snprintf(entries, sizeof(entries), "PUD entries %" PRIu64 "-%" PRIu64, tree->first,
			 tree->first + tree->count - 1);
	if (!tree->run.tables) {
		draw(tree, "", last, "%s: no table", entries);
		return;
	}
	draw(tree, "", last, "%s: PMD table%s", entries, tree->count == 1 ? "" : "s, each with");
	draw_tables(tree, last);
}

static void add_rows(const struct tree *tree)
{
	const struct gib *run = &tree->run;
	/* Holes without a table may be millions. */
	uint64_t step = run->tables ? 1 : tree->count;

	for (uint64_t i = 0; i < tree->count; i += step) {
		struct json_object *row = json_object_new_object();
		struct json_object *nodes = json_object_new_array();

		row_number(row, "offset", (tree->first + i) * GIB);
		row_number(row, "entries", step);
		row_number(row, "pmd_tables", run->tables);
		row_number(row, "pte_tables", run->pte_tables);
		row_number(row, "leaves_2m", run->leaves / SPAN);
		row_number(row, "frames_4k", run->frames / FRAME);
		row_number(row, "holes_4k", (run->holes_4k + FRAME - 1) / FRAME);
		row_number(row, "holes_2m", (run->holes_2m + SPAN - 1) / SPAN);
		row_number(row, "shared_bytes", run->shared);
		row_number(row, "shared_pmd_tables", run->shared_tables);
		row_number(row, "shared_pte_tables", run->shared_pte_tables);
		for (unsigned int node = 0; node < NODES; node++) {
			struct json_object *on;

			if (!run->nodes[node])
				continue;
			on = json_object_new_object();
			row_number(on, "node", node);
			row_number(on, "bytes", run->nodes[node]);
			json_object_array_add(nodes, on);
		}
		json_object_object_add(row, "nodes", nodes);
		json_object_array_add(tree->rows, row);
	}
}

static void end_run(struct tree *tree, bool last)
{
	if (!tree->count)
		return;
	if (tree->ctl->json)
		add_rows(tree);
	else
		draw_run(tree, last);
	tree->count = 0;
}

static void end_gib(struct tree *tree)
{
	uint64_t *total = (uint64_t *)&tree->total;
	const uint64_t *fields = (const uint64_t *)&tree->gib;

	for (size_t i = 0; i < sizeof(tree->gib) / sizeof(*fields); i++)
		total[i] += fields[i];
	if (tree->count && memcmp(&tree->run, &tree->gib, sizeof(tree->run)))
		end_run(tree, false);
	if (!tree->count) {
		tree->first = tree->entry;
		tree->run = tree->gib;
	}
	tree->count++;
	memset(&tree->gib, 0, sizeof(tree->gib));
}

/* A part of an extent that lies in one GiB. */
static void add_part(struct tree *tree, const struct morsel_extent *extent, uint64_t offset,
		     uint64_t length)
{
	struct gib *gib = &tree->gib;

	if (offset / GIB != tree->entry) {
		end_gib(tree);
		tree->entry = offset / GIB;
	}
	if (extent->node < NODES)
		gib->nodes[extent->node] += length;
	gib->tables = extent->level != MORSEL_LEVEL_HOLE_1G;
	gib->shared_tables = !!(extent->shared & MORSEL_SHARED_PMDS);
	if (extent->shared & MORSEL_SHARED_FRAMES)
		gib->shared += length;
	switch (extent->level) {
	case MORSEL_LEVEL_HOLE_1G:
		return;
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
	/* Each span that has 4 KiB entries has a PTE table; extents may share one. */
	for (uint64_t span = offset / SPAN; span <= (offset + length - 1) / SPAN; span++) {
		if (span + 1 == tree->pte_span)
			continue;
		gib->pte_tables++;
		gib->shared_pte_tables += !!(extent->shared & MORSEL_SHARED_PTES);
		tree->pte_span = span + 1;
	}
}

static int visit(const struct morsel_extent *extent, void *tree)
{
	uint64_t offset = extent->offset, end = extent->offset + extent->length, next;

	for (; offset < end; offset = next) {
		next = (offset / GIB + 1) * GIB;
		if (next > end)
			next = end;
		add_part(tree, extent, offset, next - offset);
	}
	return 0;
}

static void print_total(const struct tree *tree, const struct morsel_info *info)
{
	const struct gib *total = &tree->total;
	char size[32], tables[32];

	size_text(tree->ctl, size, sizeof(size), total->leaves + total->frames);
	size_text(tree->ctl, tables, sizeof(tables), info->table_bytes);
	printf("frames: %s; 2 MiB leaves: %" PRIu64 ", 4 KiB frames: %" PRIu64 "\n", size,
	       total->leaves / SPAN, total->frames / FRAME);
	printf("tables: %s; PMD tables: %" PRIu64 ", PTE tables: %" PRIu64 "%s\n", tables,
	       total->tables, total->pte_tables,
	       info->flags & MORSEL_INFO_TABLESETS ? ", and tablesets for other rights" : "");
	if (total->shared) {
		size_text(tree->ctl, size, sizeof(size), total->shared);
		printf("shared: frames: %s; PMD tables: %" PRIu64 ", PTE tables: %" PRIu64 "\n",
		       size, total->shared_tables, total->shared_pte_tables);
	}
	for (unsigned int node = 0; node < NODES; node++) {
		if (!total->nodes[node])
			continue;
		size_text(tree->ctl, size, sizeof(size), total->nodes[node]);
		printf("node %u: %s\n", node, size);
	}
}

int run_tree(struct ctl *ctl, char **args)
{
	struct tree tree = {
		.ctl = ctl,
		.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
	};
	struct morsel_info info;
	char size[32];
	int fd, err;

	fd = open_named(ctl, args[0], MORSEL_OPEN_READ_ONLY);
	err = fd < 0 ? fd : morsel_stat(fd, &info);
	if (err)
		return failed(err, "%s", args[0]);
	if (!ctl->json) {
		size_text(ctl, size, sizeof(size), info.length);
		printf("%s: %s\n", info.name[0] ? shown_name(info.name) : args[0], size);
	}
	tree.rows = json_object_new_array();
	err = morsel_extents(fd, visit, &tree);
	close(fd);
	if (!err) {
		end_gib(&tree);
		end_run(&tree, true);
		if (ctl->json)
			return print_rows(ctl, EXIT_OK, NULL, 0, tree.rows);
		print_total(&tree, &info);
	}
	json_object_put(tree.rows);
	return err ? failed(err, "tree %s", args[0]) : EXIT_OK;
}
