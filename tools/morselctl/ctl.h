/* SPDX-License-Identifier: GPL-2.0 */
/*
 * morselctl: what its verbs share.
 *
 *	main.c		the table of verbs, options
 *	output.c	tables and JSON, sizes, errors
 *	progress.c	progress of what takes long
 *	object.c	create, list, show, rm, populate, stat
 *	copy.c		import, export
 *	tree.c		tree
 *	pool.c		pool, limit
 *	doctor.c	doctor
 */
#ifndef MORSELCTL_H
#define MORSELCTL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "morsel.h"

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
 */
struct ctl {
	int device;
	bool json;
	bool bytes;
};

/**
 * struct verb - what the program can do
 * @name:	its name
 * @arguments:	for people
 * @help:	one line
 * @run:	does it; @argv[0] is the verb; returns an exit code
 * @no_device:	it works without /dev/morsel
 */
struct verb {
	const char *name;
	const char *arguments;
	const char *help;
	int (*run)(struct ctl *ctl, int argc, char **argv);
	bool no_device;
};

/* A column of a table: where in a row its value is, and how it is shown. */
struct column {
	const char *key;
	const char *title;
	enum { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_BYTES } type;
};

/* output.c */
int print_rows(const struct ctl *ctl, const struct column *columns, size_t count,
	       struct json_object *rows);
void row_text(struct json_object *row, const char *key, const char *value);
void row_number(struct json_object *row, const char *key, uint64_t value);
int parse_size(const char *text, uint64_t *size);
void format_size(char *buffer, size_t room, uint64_t size);
int usage(const struct verb *verb);
int failed(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* progress.c */
struct progress {
	const char *what;
	uint64_t total;
	double began;
	double shown;
	bool terminal;
};

void progress_begin(struct progress *progress, const char *what, uint64_t total);
void progress_show(struct progress *progress, uint64_t done);
void progress_end(struct progress *progress, uint64_t done);
double now(void);
extern volatile int interrupted;
void catch_interrupts(void);

/* object.c */
int open_named(struct ctl *ctl, const char *name, uint32_t flags);
int populate_all(int fd, uint64_t length);
int parse_params(int argc, char **argv, const char *options, struct morsel_params *params);
struct json_object *info_row(const struct morsel_info *info);

/* The verbs. */
int run_create(struct ctl *ctl, int argc, char **argv);
int run_list(struct ctl *ctl, int argc, char **argv);
int run_show(struct ctl *ctl, int argc, char **argv);
int run_rm(struct ctl *ctl, int argc, char **argv);
int run_populate(struct ctl *ctl, int argc, char **argv);
int run_stat(struct ctl *ctl, int argc, char **argv);
int run_import(struct ctl *ctl, int argc, char **argv);
int run_export(struct ctl *ctl, int argc, char **argv);
int run_tree(struct ctl *ctl, int argc, char **argv);
int run_pool(struct ctl *ctl, int argc, char **argv);
int run_limit(struct ctl *ctl, int argc, char **argv);
int run_doctor(struct ctl *ctl, int argc, char **argv);
int run_help(struct ctl *ctl, int argc, char **argv);
const struct verb *find_verb(const char *name);

#endif /* MORSELCTL_H */
