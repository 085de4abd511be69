// SPDX-License-Identifier: GPL-2.0
/*
 * Tables and JSON, sizes, errors.
 */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

void row_text(struct json_object *row, const char *key, const char *value)
{
	json_object_object_add(row, key, json_object_new_string(value));
}

void row_number(struct json_object *row, const char *key, uint64_t value)
{
	json_object_object_add(row, key, json_object_new_uint64(value));
}

void format_size(char *buffer, size_t room, uint64_t size)
{
	static const char units[] = "BKMGTPE";
	double value = size;
	int unit = 0;

	while (value >= 1024 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	snprintf(buffer, room, value < 10 && unit ? "%.2f%c" : "%.4g%c", value, units[unit]);
}

/* A number with K, M, G, T, KiB, ...: powers of 1024. */
int parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	char *end;
	double value;
	uint64_t scale = 1;

	errno = 0;
	value = strtod(text, &end);
	if (end == text || errno || !(value >= 0))
		return -EINVAL;
	unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
	if (unit) {
		scale = 1ULL << (10 * (unit - units + 1));
		end++;
		if (*end == 'i')
			end++;
	}
	if (*end == 'B')
		end++;
	value *= scale;
	if (*end || value >= 18446744073709551615.0)
		return -EINVAL;
	*size = value;
	return 0;
}

static void cell(const struct ctl *ctl, struct libscols_line *line, size_t at,
		 const struct column *column, struct json_object *value)
{
	char size[32];

	if (column->type == COLUMN_BYTES && !ctl->bytes) {
		format_size(size, sizeof(size), json_object_get_uint64(value));
		scols_line_set_data(line, at, size);
	} else {
		scols_line_set_data(line, at, value ? json_object_get_string(value) : "");
	}
}

/* Print rows, which this takes, as a table, or as a JSON array. */
int print_rows(const struct ctl *ctl, const struct column *columns, size_t count,
	       struct json_object *rows)
{
	struct libscols_table *table;
	struct libscols_line *line;

	if (ctl->json) {
		puts(json_object_to_json_string_ext(rows, JSON_C_TO_STRING_PRETTY |
								  JSON_C_TO_STRING_SPACED |
								  JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(rows);
		return EXIT_OK;
	}
	table = scols_new_table();
	if (!table)
		return failed(-ENOMEM, "printing a table");
	for (size_t i = 0; i < count; i++)
		scols_table_new_column(table, columns[i].title, 0,
				       columns[i].type == COLUMN_TEXT ? 0 : SCOLS_FL_RIGHT);
	for (size_t r = 0; r < json_object_array_length(rows); r++) {
		struct json_object *row = json_object_array_get_idx(rows, r);

		line = scols_table_new_line(table, NULL);
		if (!line)
			break;
		for (size_t i = 0; i < count; i++)
			cell(ctl, line, i, &columns[i],
			     json_object_object_get(row, columns[i].key));
	}
	scols_print_table(table);
	scols_unref_table(table);
	json_object_put(rows);
	return EXIT_OK;
}

int usage(const struct verb *verb)
{
	fprintf(stderr, "Usage: morselctl %s %s\n", verb->name, verb->arguments);
	return EXIT_USAGE;
}

int complain(int code, const char *format, ...)
{
	va_list arguments;

	fputs("morselctl: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return code;
}

/* What each errno means here, and what to do about it. */
static const struct {
	int err;
	int code;
	const char *remedy;
} remedies[] = {
	{ENOENT, EXIT_NOT_FOUND, "there is no such thing, or its mode hides it from you"},
	{EEXIST, EXIT_FAILED, "that exists already; choose another name, or remove it"},
	{EACCES, EXIT_DENIED, "its mode does not let you"},
	{EPERM, EXIT_DENIED, "only its owner, or for pools and limits root, may do that"},
	{ENOMEM, EXIT_FAILED,
	 "the pool is full ('morselctl pool list'); free something or 'morselctl pool resize'"},
	{EDQUOT, EXIT_FAILED,
	 "your ceiling is reached ('morselctl limit show'); free something or ask for more"},
	{EBUSY, EXIT_FAILED, "it is in use; remove its morsels first"},
	{ENODEV, EXIT_NOT_FOUND, "there is no such NUMA node with memory"},
	{EFBIG, EXIT_FAILED, "that is larger than a morsel can be"},
};

int failed(int err, const char *format, ...)
{
	va_list arguments;
	size_t i;

	fputs("morselctl: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	for (i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		if (remedies[i].err != -err)
			continue;
		fprintf(stderr, ": %s: %s\n", strerror(-err), remedies[i].remedy);
		return remedies[i].code;
	}
	fprintf(stderr, ": %s\n", strerror(-err));
	return EXIT_FAILED;
}
