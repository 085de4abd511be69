// SPDX-License-Identifier: GPL-2.0
/*
 * create, list, show, rm, populate, tune.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl.h"

static const struct column columns[] = {
	{"id", "ID", COLUMN_NUMBER},	     {"name", "NAME", COLUMN_TEXT},
	{"length", "SIZE", COLUMN_BYTES},    {"frames", "FRAMES", COLUMN_BYTES},
	{"huge", "HUGE", COLUMN_BYTES},	     {"tables", "TABLES", COLUMN_BYTES},
	{"granule", "GRANULE", COLUMN_TEXT}, {"attachments", "ATTACHED", COLUMN_NUMBER},
	{"nodes", "NODES", COLUMN_NODES},    {"mode", "MODE", COLUMN_TEXT},
	{"uid", "UID", COLUMN_NUMBER},
};

static const char *granule_name(uint32_t granule)
{
	switch (granule) {
	case MORSEL_GRANULE_4K:
		return "4k";
	case MORSEL_GRANULE_2M:
		return "2m";
	default:
		return "auto";
	}
}

/* A row of morsels; as the libraries' visitors want it. */
int add_morsel(const struct morsel_info *info, void *rows)
{
	struct json_object *row = json_object_new_object();
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", info->mode);
	row_number(row, "id", info->id);
	row_text(row, "name", shown_name(info->name));
	row_number(row, "length", info->length);
	row_number(row, "frames", info->frame_bytes);
	row_number(row, "huge", info->huge_bytes);
	row_number(row, "reserved", info->reserved_bytes);
	row_number(row, "tables", info->table_bytes);
	row_text(row, "granule", granule_name(info->granule));
	row_number(row, "attachments", info->attachments);
	row_number(row, "faults", info->faults);
	row_number(row, "fault_around", info->fault_around);
	row_number(row, "pool", info->pool);
	row_number(row, "node", info->node);
	row_text(row, "mode", mode);
	row_number(row, "uid", info->uid);
	row_number(row, "gid", info->gid);
	json_object_object_add(row, "nodes", json_object_new_array());
	json_object_object_add(row, "named",
			       json_object_new_boolean(info->flags & MORSEL_INFO_NAMED));
	json_object_object_add(row, "other_tablesets",
			       json_object_new_boolean(info->flags & MORSEL_INFO_TABLESETS));
	json_object_array_add(rows, row);
	return 0;
}

/* Rows that something is added to; both come by ascending id, mostly. */
struct at_node {
	struct json_object *rows;
	struct json_object *row;
	size_t next;
	uint64_t id;
};

/* The row of a morsel; NULL: it has none. */
static struct json_object *row_of(struct at_node *at, uint64_t id)
{
	size_t count = json_object_array_length(at->rows);

	for (size_t i = 0; i < count; i++) {
		size_t index = (at->next + i) % count;
		struct json_object *row = json_object_array_get_idx(at->rows, index);

		if (json_object_get_uint64(json_object_object_get(row, "id")) != id)
			continue;
		at->next = index + 1;
		return row;
	}
	return NULL;
}

static int add_node(const struct morsel_node *node, void *context)
{
	struct at_node *at = context;
	struct json_object *entry;

	/* Those of one follow each other. */
	if (at->id != node->id) {
		at->row = row_of(at, node->id);
		at->id = node->id;
	}
	if (!at->row)
		return 0;
	entry = json_object_new_object();
	row_number(entry, "node", node->node);
	row_number(entry, "pool", node->pool);
	row_number(entry, "frames", node->frame_bytes);
	row_number(entry, "huge", node->huge_bytes);
	json_object_array_add(json_object_object_get(at->row, "nodes"), entry);
	return 0;
}

/* What morsels have on each node, to the rows of these. */
int add_nodes(const struct ctl *ctl, struct json_object *rows)
{
	struct at_node at = {.rows = rows};
	int err = morsel_nodes(ctl->device, add_node, &at);

	/* A module that is older knows of one for each. */
	return err == -ENOTTY ? 0 : err;
}

static int print_morsels(const struct ctl *ctl, int code, struct json_object *rows)
{
	int err = code == EXIT_OK ? add_nodes(ctl, rows) : 0;

	if (err)
		code = failed(err, "nodes");
	return print_rows(ctl, code, columns, COUNT(columns), rows);
}

/* The id in "#ID", or 0. */
static uint64_t named_id(const char *name)
{
	char *end;
	uint64_t id;

	if (name[0] != '#' || !isdigit((unsigned char)name[1]))
		return 0;
	id = strtoull(name + 1, &end, 10);
	return *end ? 0 : id;
}

/* By name, or "#ID" for those that have none. */
int open_named(const struct ctl *ctl, const char *name, uint32_t flags)
{
	uint64_t id = named_id(name);

	return id ? morsel_open_id(ctl->device, id, flags) : morsel_open(ctl->device, name, flags);
}

/* Programs are told what was made; people know. */
int print_made(const struct ctl *ctl, int fd)
{
	struct json_object *rows;
	struct morsel_info info;
	int err;

	if (!ctl->json)
		return EXIT_OK;
	err = morsel_stat(fd, &info);
	if (err)
		return failed(err, "stat");
	rows = json_object_new_array();
	add_morsel(&info, rows);
	return print_morsels(ctl, EXIT_OK, rows);
}

/* Leave nothing behind.  By id: the name may be another's by now. */
void take_back(const struct ctl *ctl, int fd)
{
	struct morsel_info info;

	if (!morsel_stat(fd, &info))
		morsel_unlink_id(ctl->device, info.id);
}

/* In steps, so that there is something to show and an interrupt is heard. */
static int populate(struct ctl *ctl, int fd, uint64_t length)
{
	const uint64_t step = 64ULL << 20;
	struct progress progress;
	uint64_t done = 0;
	int err = 0;

	(void)ctl;
	catch_interrupts();
	progress_begin(&progress, "populating", length);
	while (done < length && !err) {
		/* 0 is all that follows. */
		err = interrupted ? -EINTR
				  : morsel_populate(fd, done, length - done > step ? step : 0);
		if (err == -EINTR && !interrupted)
			err = 0;
		else if (!err)
			done += length - done > step ? step : length - done;
		progress_show(&progress, done);
	}
	progress_end(&progress, done);
	return err;
}

int run_create(struct ctl *ctl, char **args)
{
	/* Populated in steps, for the sake of progress. */
	bool wanted = ctl->params.flags & MORSEL_CREATE_POPULATE;
	int fd, err, code;

	ctl->params.flags &= ~MORSEL_CREATE_POPULATE;
	ctl->params.name = args[0];
	if (parse_size(args[1], &ctl->params.length))
		return complain(EXIT_USAGE, "'%s' is no size: a number with K, M, G or T", args[1]);
	fd = morsel_create(ctl->device, &ctl->params);
	if (fd < 0)
		return failed(fd, "create %s", args[0]);
	err = wanted ? populate(ctl, fd, ctl->params.length) : 0;
	if (err) {
		take_back(ctl, fd);
		code = failed(err, "populate %s", args[0]);
	} else {
		code = print_made(ctl, fd);
	}
	close(fd);
	return code;
}

int run_list(struct ctl *ctl, char **args)
{
	struct json_object *rows = json_object_new_array();
	int err = morsel_list(ctl->device, add_morsel, rows);

	(void)args;
	return print_morsels(ctl, err ? failed(err, "list") : EXIT_OK, rows);
}

/* Do something to each of several morsels, and describe them. */
static int for_each(struct ctl *ctl, char **args, uint32_t flags,
		    int (*what)(struct ctl *ctl, int fd, uint64_t length), struct json_object *rows)
{
	struct morsel_info info;
	int fd, err;

	for (; *args; args++) {
		fd = open_named(ctl, *args, flags);
		if (fd < 0)
			return failed(fd, "%s", *args);
		err = morsel_stat(fd, &info);
		if (!err && what) {
			err = what(ctl, fd, info.length);
			if (!err)
				err = morsel_stat(fd, &info);
		}
		close(fd);
		if (err)
			return failed(err, "%s", *args);
		add_morsel(&info, rows);
	}
	return EXIT_OK;
}

int run_show(struct ctl *ctl, char **args)
{
	struct json_object *rows = json_object_new_array();

	return print_morsels(ctl, for_each(ctl, args, MORSEL_OPEN_READ_ONLY, NULL, rows), rows);
}

/* Programs are told what came of it. */
static int change_each(struct ctl *ctl, char **args,
		       int (*what)(struct ctl *ctl, int fd, uint64_t length))
{
	struct json_object *rows = json_object_new_array();
	int code = for_each(ctl, args, 0, what, rows);

	if (ctl->json)
		return print_morsels(ctl, code, rows);
	json_object_put(rows);
	return code;
}

int run_populate(struct ctl *ctl, char **args)
{
	return change_each(ctl, args, populate);
}

static int tune(struct ctl *ctl, int fd, uint64_t length)
{
	(void)length;
	return morsel_tune(fd, ctl->params.fault_around);
}

int run_tune(struct ctl *ctl, char **args)
{
	if (!ctl->params.fault_around)
		return complain(EXIT_USAGE, "tune what? --fault-around SIZE");
	return change_each(ctl, args, tune);
}

int run_rm(struct ctl *ctl, char **args)
{
	int code = EXIT_OK;

	for (; *args; args++) {
		uint64_t id = named_id(*args);
		int err = id ? morsel_unlink_id(ctl->device, id)
			     : morsel_unlink(ctl->device, *args);

		if (err)
			code = failed(err, "rm %s", *args);
	}
	return code;
}
