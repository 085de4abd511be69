/* SPDX-License-Identifier: GPL-2.0 */
/*
 * morselctl: what its verbs share.
 *
 *	main.c		the table of verbs, options, help
 *	output.c	tables and JSON, sizes, errors
 *	progress.c	progress of what takes long
 *	object.c	create, list, show, rm, populate
 *	clone.c		clone, snapshot, rollback, diff
 *	copy.c		import, export
 *	tree.c		tree
 *	who.c		who
 *	stat.c		stat
 *	advise.c	advise
 *	forms.c		which forms it may propose, and what they come to
 *	measure.c	what that is computed from
 *	pool.c		pool, limit
 *	doctor.c	doctor
 *	kernel.c	what doctor says of the kernel
 */
#ifndef MORSELCTL_H
#define MORSELCTL_H

#include <json-c/json.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advise.h"
#include "morsel.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Exit codes, as the manual lists them. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_MODULE = 3,
	EXIT_NOT_FOUND = 4,
	EXIT_DENIED = 5,
};

/**
 * struct ctl - one run of the program
 * @device:	/dev/morsel, or -1
 * @json:	print JSON
 * @bytes:	print exact sizes
 * @params:	what create and import were told of the morsel to make, and tune
 * @count:	how often stat is to print, or 0 for without end
 * @interval:	seconds from one line of stat to the next
 * @pattern:	what advise is asked about
 * @kernel:	the release that doctor is to look at, or NULL
 * @root:	where that kernel's files are, or NULL
 */
struct ctl {
	int device;
	bool json;
	bool bytes;
	struct morsel_params params;
	uint32_t count;
	double interval;
	struct pattern pattern;
	const char *kernel;
	const char *root;
};

/* A column of a table: where in a row its value is, and how it is shown. */
struct column {
	const char *key;
	const char *title;
	enum { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_BYTES, COLUMN_TIME, COLUMN_NODES } type;
};

/* output.c */
int print_rows(const struct ctl *ctl, int code, const struct column *columns, size_t count,
	       struct json_object *rows);
void row_text(struct json_object *row, const char *key, const char *value);
const char *shown_name(const char *name);
void row_number(struct json_object *row, const char *key, uint64_t value);
void row_time(struct json_object *row, const char *key, double ns);
int parse_size(const char *text, uint64_t *size);
int parse_number(const char *text, int base, uint32_t most, uint32_t *number);
void format_size(char *buffer, size_t room, uint64_t size);
void format_time(char *buffer, size_t room, double ns);
void size_text(const struct ctl *ctl, char *buffer, size_t room, uint64_t size);
int failed(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int failed_file(int err, const char *path);
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * struct progress - of one thing that takes long
 * @what:	what is done, for people
 * @total:	bytes there are to do; 0: nobody knows
 * @began:	when it began, in seconds
 * @shown:	when it was last shown, or 0
 * @terminal:	somebody looks on
 */
struct progress {
	const char *what;
	uint64_t total;
	double began;
	double shown;
	bool terminal;
};

/* progress.c */
void progress_begin(struct progress *progress, const char *what, uint64_t total);
void progress_show(struct progress *progress, uint64_t done);
void progress_end(struct progress *progress, uint64_t done);
extern volatile sig_atomic_t interrupted;
void catch_interrupts(void);

/* object.c */
int open_named(const struct ctl *ctl, const char *name, uint32_t flags);
int add_morsel(const struct morsel_info *info, void *rows);
int add_nodes(const struct ctl *ctl, struct json_object *rows);
int print_made(const struct ctl *ctl, int fd);
void take_back(const struct ctl *ctl, int fd);

/* The verbs.  Their arguments end with NULL; they return an exit code. */
int run_create(struct ctl *ctl, char **args);
int run_clone(struct ctl *ctl, char **args);
int run_snapshot(struct ctl *ctl, char **args);
int run_rollback(struct ctl *ctl, char **args);
int run_diff(struct ctl *ctl, char **args);
int run_list(struct ctl *ctl, char **args);
int run_show(struct ctl *ctl, char **args);
int run_who(struct ctl *ctl, char **args);
int run_rm(struct ctl *ctl, char **args);
int run_populate(struct ctl *ctl, char **args);
int run_tune(struct ctl *ctl, char **args);
int run_import(struct ctl *ctl, char **args);
int run_export(struct ctl *ctl, char **args);
int run_tree(struct ctl *ctl, char **args);
int run_stat(struct ctl *ctl, char **args);
int run_advise(struct ctl *ctl, char **args);
int run_pool_list(struct ctl *ctl, char **args);
int run_pool_show(struct ctl *ctl, char **args);
int run_pool_add(struct ctl *ctl, char **args);
int run_pool_resize(struct ctl *ctl, char **args);
int run_pool_remove(struct ctl *ctl, char **args);
int run_limit_show(struct ctl *ctl, char **args);
int run_limit_set(struct ctl *ctl, char **args);
int run_doctor(struct ctl *ctl, char **args);
int run_help(struct ctl *ctl, char **args);

#endif /* MORSELCTL_H */
