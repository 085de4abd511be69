// SPDX-License-Identifier: GPL-2.0
/*
 * pool, limit: for admins.
 */
#include <pwd.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct column pool_columns[] = {
	{"id", "ID", COLUMN_NUMBER},
	{"name", "NAME", COLUMN_TEXT},
	{"node", "NODE", COLUMN_NUMBER},
	{"morsels", "MORSELS", COLUMN_NUMBER},
	{"limit", "LIMIT", COLUMN_BYTES},
	{"held", "HELD", COLUMN_BYTES},
	{"used", "USED", COLUMN_BYTES},
	{"free", "FREE", COLUMN_BYTES},
	{"free_huge", "WHOLE 2M", COLUMN_BYTES},
	{"pinned", "PINNED", COLUMN_BYTES},
};

static int add_row(const struct morsel_pool_info *info, void *rows)
{
	struct json_object *row = json_object_new_object();

	row_number(row, "id", info->id);
	row_text(row, "name", info->name);
	row_text(row, "kind", info->kind == MORSEL_POOL_DRAM ? "dram" : "unknown");
	row_number(row, "node", info->node);
	row_number(row, "morsels", info->morsels);
	row_number(row, "limit", info->limit_bytes);
	row_number(row, "held", info->held_bytes);
	row_number(row, "used", info->used_bytes);
	row_number(row, "free", info->free_bytes);
	row_number(row, "free_huge", info->free_huge_bytes);
	row_number(row, "pinned", info->pinned_bytes);
	row_number(row, "borrows", info->borrows);
	row_number(row, "returns", info->returns);
	json_object_array_add(rows, row);
	return 0;
}

static int parse_number(const char *text, uint32_t *number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (end == text || *end || errno || value > UINT32_MAX)
		return complain(EXIT_USAGE, "'%s' is no number", text);
	*number = value;
	return EXIT_OK;
}

static int parse_limit(const char *text, uint64_t *limit)
{
	if (parse_size(text, limit) || !*limit || *limit % (2 << 20))
		return complain(EXIT_USAGE, "'%s' is no pool's size: a multiple of 2M", text);
	return EXIT_OK;
}

static int pool_list(struct ctl *ctl)
{
	struct json_object *rows = json_object_new_array();
	int err = morsel_pools(ctl->device, add_row, rows);

	return err ? failed(err, "pool list")
		   : print_rows(ctl, pool_columns, COUNT(pool_columns), rows);
}

static int pool_show(struct ctl *ctl, const char *text)
{
	struct json_object *rows = json_object_new_array();
	struct morsel_pool_info info;
	uint32_t id;
	int code, err;

	code = parse_number(text, &id);
	if (code)
		return code;
	err = morsel_pool_stat(ctl->device, id, &info);
	if (err)
		return failed(err, "pool %u", id);
	add_row(&info, rows);
	return print_rows(ctl, pool_columns, COUNT(pool_columns), rows);
}

static int pool_add(struct ctl *ctl, const char *node_text, const char *size_text)
{
	uint32_t node, id;
	uint64_t limit;
	int code, err;

	code = parse_number(node_text, &node);
	if (!code)
		code = parse_limit(size_text, &limit);
	if (code)
		return code;
	err = morsel_pool_add(ctl->device, MORSEL_POOL_DRAM, node, limit, &id);
	if (err)
		return failed(err, "pool add on node %u", node);
	printf("%u\n", id);
	return EXIT_OK;
}

static int pool_resize(struct ctl *ctl, const char *id_text, const char *size_text)
{
	uint64_t limit;
	uint32_t id;
	int code, err;

	code = parse_number(id_text, &id);
	if (!code)
		code = parse_limit(size_text, &limit);
	if (code)
		return code;
	err = morsel_pool_resize(ctl->device, id, limit);
	return err ? failed(err, "pool resize %u", id) : EXIT_OK;
}

static int pool_remove(struct ctl *ctl, const char *text)
{
	uint32_t id;
	int code, err;

	code = parse_number(text, &id);
	if (code)
		return code;
	err = morsel_pool_remove(ctl->device, id);
	return err ? failed(err, "pool remove %u", id) : EXIT_OK;
}

int run_pool(struct ctl *ctl, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "list";

	if (argc <= 2 && !strcmp(what, "list"))
		return pool_list(ctl);
	if (argc == 3 && !strcmp(what, "show"))
		return pool_show(ctl, argv[2]);
	if (argc == 4 && !strcmp(what, "add"))
		return pool_add(ctl, argv[2], argv[3]);
	if (argc == 4 && !strcmp(what, "resize"))
		return pool_resize(ctl, argv[2], argv[3]);
	if (argc == 3 && !strcmp(what, "remove"))
		return pool_remove(ctl, argv[2]);
	return usage(find_verb(argv[0]));
}

static int parse_user(const char *text, uid_t *uid)
{
	struct passwd *user;
	uint32_t number;

	if (isdigit((unsigned char)text[0])) {
		if (parse_number(text, &number))
			return EXIT_USAGE;
		*uid = number;
		return EXIT_OK;
	}
	user = getpwnam(text);
	if (!user)
		return complain(EXIT_NOT_FOUND, "there is no user '%s'", text);
	*uid = user->pw_uid;
	return EXIT_OK;
}

static int limit_show(struct ctl *ctl, uid_t uid)
{
	static const struct column columns[] = {
		{"uid", "UID", COLUMN_NUMBER},
		{"limit_text", "LIMIT", COLUMN_TEXT},
		{"used", "USED", COLUMN_BYTES},
	};
	struct json_object *rows = json_object_new_array(), *row = json_object_new_object();
	struct morsel_limit limit;
	char text[32] = "none";
	int err;

	err = morsel_limit_get(ctl->device, uid, &limit);
	if (err)
		return failed(err, "limit of user %u", uid);
	row_number(row, "uid", uid);
	if (limit.bytes != MORSEL_UNLIMITED) {
		row_number(row, "limit", limit.bytes);
		if (ctl->bytes)
			snprintf(text, sizeof(text), "%llu", limit.bytes);
		else
			format_size(text, sizeof(text), limit.bytes);
	} else {
		json_object_object_add(row, "limit", NULL);
	}
	if (!ctl->json)
		row_text(row, "limit_text", text);
	json_object_object_add(row, "own",
			       json_object_new_boolean(!(limit.flags & MORSEL_LIMIT_DEFAULT)));
	row_number(row, "used", limit.used);
	json_object_array_add(rows, row);
	return print_rows(ctl, columns, COUNT(columns), rows);
}

int run_limit(struct ctl *ctl, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "show";
	uint64_t bytes = MORSEL_UNLIMITED;
	uid_t uid = getuid();
	int code, err;

	if (argc > 2) {
		code = parse_user(argv[2], &uid);
		if (code)
			return code;
	}
	if (argc <= 3 && !strcmp(what, "show"))
		return limit_show(ctl, uid);
	if (argc != 4 || strcmp(what, "set"))
		return usage(find_verb(argv[0]));
	if (strcmp(argv[3], "none") && strcmp(argv[3], "default") && parse_size(argv[3], &bytes))
		return complain(EXIT_USAGE, "'%s' is no size, nor 'none' nor 'default'", argv[3]);
	err = morsel_limit_set(ctl->device, uid, bytes,
			       strcmp(argv[3], "default") ? 0 : MORSEL_LIMIT_DEFAULT);
	return err ? failed(err, "limit of user %u", uid) : EXIT_OK;
}
