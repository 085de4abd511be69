// SPDX-License-Identifier: GPL-2.0
/*
 * pool, limit: for admins.
 */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

static const struct column pool_columns[] = {
	{"id", "ID", COLUMN_NUMBER},	       {"name", "NAME", COLUMN_TEXT},
	{"kind", "KIND", COLUMN_TEXT},	       {"node", "NODE", COLUMN_NUMBER},
	{"morsels", "MORSELS", COLUMN_NUMBER}, {"limit", "LIMIT", COLUMN_BYTES},
	{"held", "HELD", COLUMN_BYTES},	       {"used", "USED", COLUMN_BYTES},
	{"free", "FREE", COLUMN_BYTES},	       {"free_huge", "WHOLE 2M", COLUMN_BYTES},
	{"pinned", "PINNED", COLUMN_BYTES},
};

static int add_pool(const struct morsel_pool_info *info, void *rows)
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

static int print_pools(const struct ctl *ctl, int code, struct json_object *rows)
{
	return print_rows(ctl, code, pool_columns, COUNT(pool_columns), rows);
}

/* What a pool is called on the command line. */
struct wanted {
	const char *name;
	uint32_t id;
};

static int match_name(const struct morsel_pool_info *info, void *context)
{
	struct wanted *wanted = context;

	if (strcmp(info->name, wanted->name))
		return 0;
	wanted->id = info->id;
	return 1;
}

/* By id, or by name; returns an exit code. */
static int find_pool(const struct ctl *ctl, const char *text, uint32_t *id)
{
	struct wanted wanted = {.name = text};
	int err;

	if (isdigit((unsigned char)text[0]))
		return parse_number(text, 10, UINT32_MAX, id);
	err = morsel_pools(ctl->device, match_name, &wanted);
	if (err <= 0)
		return failed(err ? err : -ENOENT, "pool %s", text);
	*id = wanted.id;
	return EXIT_OK;
}

static int add_pool_id(const struct ctl *ctl, uint32_t id, struct json_object *rows)
{
	struct morsel_pool_info info;
	int err = morsel_pool_stat(ctl->device, id, &info);

	return err ? failed(err, "pool %u", id) : add_pool(&info, rows);
}

/* Programs are told what became of a pool; people know. */
static int print_changed(const struct ctl *ctl, uint32_t id)
{
	struct json_object *rows;

	if (!ctl->json)
		return EXIT_OK;
	rows = json_object_new_array();
	return print_pools(ctl, add_pool_id(ctl, id, rows), rows);
}

static int parse_limit(const char *text, uint64_t *limit)
{
	if (parse_size(text, limit) || !*limit || *limit % (2 << 20))
		return complain(EXIT_USAGE, "'%s' is no pool's size: a multiple of 2M", text);
	return EXIT_OK;
}

int run_pool_list(struct ctl *ctl, char **args)
{
	struct json_object *rows = json_object_new_array();
	int err = morsel_pools(ctl->device, add_pool, rows);

	(void)args;
	return print_pools(ctl, err ? failed(err, "pool list") : EXIT_OK, rows);
}

int run_pool_show(struct ctl *ctl, char **args)
{
	struct json_object *rows = json_object_new_array();
	int code = EXIT_OK;
	uint32_t id;

	for (; *args && code == EXIT_OK; args++) {
		code = find_pool(ctl, *args, &id);
		if (code == EXIT_OK)
			code = add_pool_id(ctl, id, rows);
	}
	return print_pools(ctl, code, rows);
}

int run_pool_add(struct ctl *ctl, char **args)
{
	uint32_t node, id;
	uint64_t limit;
	int code, err;

	code = parse_number(args[0], 10, UINT32_MAX, &node);
	if (code == EXIT_OK)
		code = parse_limit(args[1], &limit);
	if (code)
		return code;
	err = morsel_pool_add(ctl->device, MORSEL_POOL_DRAM, node, limit, &id);
	if (err)
		return failed(err, "pool on node %u", node);
	if (!ctl->json)
		printf("%u\n", id);
	return print_changed(ctl, id);
}

int run_pool_resize(struct ctl *ctl, char **args)
{
	uint64_t limit;
	uint32_t id;
	int code, err;

	code = parse_limit(args[1], &limit);
	if (code == EXIT_OK)
		code = find_pool(ctl, args[0], &id);
	if (code)
		return code;
	err = morsel_pool_resize(ctl->device, id, limit);
	return err ? failed(err, "pool %s", args[0]) : print_changed(ctl, id);
}

int run_pool_remove(struct ctl *ctl, char **args)
{
	uint32_t id;
	int code, err;

	code = find_pool(ctl, args[0], &id);
	if (code)
		return code;
	err = morsel_pool_remove(ctl->device, id);
	return err ? failed(err, "pool %s", args[0]) : EXIT_OK;
}

static int parse_user(const char *text, uid_t *uid)
{
	struct passwd *user;

	if (isdigit((unsigned char)text[0]))
		return parse_number(text, 10, UINT32_MAX - 1, uid);
	user = getpwnam(text);
	if (!user)
		return complain(EXIT_NOT_FOUND, "there is no user '%s'", text);
	*uid = user->pw_uid;
	return EXIT_OK;
}

static int print_limit(const struct ctl *ctl, uid_t uid)
{
	static const struct column columns[] = {
		{"uid", "UID", COLUMN_NUMBER},
		{"text", "CEILING", COLUMN_TEXT},
		{"used", "USED", COLUMN_BYTES},
	};
	struct json_object *rows, *row;
	struct morsel_limit limit;
	char text[64] = "none", size[32];
	int err;

	err = morsel_limit_get(ctl->device, uid, &limit);
	if (err)
		return failed(err, "ceiling of user %u", uid);
	row = json_object_new_object();
	row_number(row, "uid", uid);
	if (limit.bytes == MORSEL_UNLIMITED) {
		json_object_object_add(row, "limit", NULL);
	} else {
		row_number(row, "limit", limit.bytes);
		size_text(ctl, size, sizeof(size), limit.bytes);
		snprintf(text, sizeof(text), "%s%s", size,
			 limit.flags & MORSEL_LIMIT_DEFAULT ? " (default)" : "");
	}
	if (!ctl->json)
		row_text(row, "text", text);
	json_object_object_add(row, "own",
			       json_object_new_boolean(!(limit.flags & MORSEL_LIMIT_DEFAULT)));
	row_number(row, "used", limit.used);
	rows = json_object_new_array();
	json_object_array_add(rows, row);
	return print_rows(ctl, EXIT_OK, columns, COUNT(columns), rows);
}

int run_limit_show(struct ctl *ctl, char **args)
{
	uid_t uid = getuid();
	int code = args[0] ? parse_user(args[0], &uid) : EXIT_OK;

	return code ? code : print_limit(ctl, uid);
}

int run_limit_set(struct ctl *ctl, char **args)
{
	bool by_default = !strcmp(args[1], "default");
	uint64_t bytes = MORSEL_UNLIMITED;
	uid_t uid;
	int err;

	if (!by_default && strcmp(args[1], "none") && parse_size(args[1], &bytes))
		return complain(EXIT_USAGE, "'%s' is no size, nor 'none' nor 'default'", args[1]);
	err = parse_user(args[0], &uid);
	if (err)
		return err;
	err = morsel_limit_set(ctl->device, uid, bytes, by_default ? MORSEL_LIMIT_DEFAULT : 0);
	if (err)
		return failed(err, "ceiling of user %s", args[0]);
	return ctl->json ? print_limit(ctl, uid) : EXIT_OK;
}
