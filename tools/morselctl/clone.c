// SPDX-License-Identifier: GPL-2.0
/*
 * clone, snapshot, rollback, diff.
 */
#include <errno.h>
#include <unistd.h>

#include "ctl.h"

/* For writing where that may be, as cloning takes that, but of what is sealed. */
static int open_source(const struct ctl *ctl, const char *name)
{
	int fd = open_named(ctl, name, 0);

	return fd == -EACCES ? open_named(ctl, name, MORSEL_OPEN_READ_ONLY) : fd;
}

static int clone(struct ctl *ctl, char **args, uint32_t flags, const char *what)
{
	int fd = open_source(ctl, args[0]), made, code;

	if (fd < 0)
		return failed(fd, "%s", args[0]);
	made = morsel_clone(fd, args[1], ctl->params.mode, flags);
	close(fd);
	if (made < 0)
		return failed(made, "%s %s", what, args[1]);
	code = print_made(ctl, made);
	close(made);
	return code;
}

int run_clone(struct ctl *ctl, char **args)
{
	return clone(ctl, args, 0, "clone");
}

int run_snapshot(struct ctl *ctl, char **args)
{
	return clone(ctl, args, MORSEL_CLONE_SNAPSHOT, "snapshot");
}

int run_rollback(struct ctl *ctl, char **args)
{
	int fd = open_named(ctl, args[0], 0), from, err;

	if (fd < 0)
		return failed(fd, "%s", args[0]);
	from = open_source(ctl, args[1]);
	err = from < 0 ? from : morsel_rollback(fd, from);
	if (from >= 0)
		close(from);
	close(fd);
	return err ? failed(err, "rollback %s to %s", args[0], args[1]) : EXIT_OK;
}

static const struct column columns[] = {
	{"offset", "OFFSET", COLUMN_BYTES},
	{"length", "LENGTH", COLUMN_BYTES},
	{"what", "WHAT", COLUMN_TEXT},
};

/* As of the second morsel, which is most often the later one. */
static const char *what_of(uint32_t flags)
{
	switch (flags) {
	case MORSEL_DIFF_HERE:
		return "gone";
	case MORSEL_DIFF_THERE:
		return "new";
	default:
		return "changed";
	}
}

static int add_part(const struct morsel_difference *part, void *rows)
{
	struct json_object *row = json_object_new_object();

	row_number(row, "offset", part->offset);
	row_number(row, "length", part->length);
	row_text(row, "what", what_of(part->flags));
	json_object_array_add(rows, row);
	return interrupted ? -EINTR : 0;
}

int run_diff(struct ctl *ctl, char **args)
{
	struct json_object *rows = json_object_new_array();
	int fd = open_named(ctl, args[0], MORSEL_OPEN_READ_ONLY), other, err, code;

	if (fd < 0)
		return print_rows(ctl, failed(fd, "%s", args[0]), columns, COUNT(columns), rows);
	other = open_named(ctl, args[1], MORSEL_OPEN_READ_ONLY);
	catch_interrupts();
	if (other < 0) {
		code = failed(other, "%s", args[1]);
	} else {
		err = morsel_diff(fd, other, add_part, rows);
		code = err ? failed(err, "diff %s %s", args[0], args[1]) : EXIT_OK;
		close(other);
	}
	close(fd);
	return print_rows(ctl, code, columns, COUNT(columns), rows);
}
