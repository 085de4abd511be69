// SPDX-License-Identifier: GPL-2.0
/*
 * Tables and JSON, sizes, errors.
 */
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "ctl.h"

void row_text(struct json_object *row, const char *key, const char *value)
{
	json_object_object_add(row, key, json_object_new_string(value));
}

/*
 * Names of files in a mount may be any bytes, and a terminal obeys some: what is no character to be
 * seen becomes '?', whatever the user's locale.
 */
const char *shown_name(const char *name)
{
	static char shown[MORSEL_NAME_MAX];
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", 0);
	locale_t before = utf8 ? uselocale(utf8) : 0;
	size_t left = strlen(name), bytes;
	char *to = shown;
	wchar_t c;

	for (; left; name += bytes, left -= bytes) {
		mbstate_t state = {0};

		bytes = mbrtowc(&c, name, left, &state);
		if (bytes > left || !iswprint(c)) {
			if (bytes > left)
				bytes = 1;
			*to++ = '?';
		} else {
			to = mempcpy(to, name, bytes);
		}
	}
	*to = 0;
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
	return shown;
}

void row_number(struct json_object *row, const char *key, uint64_t value)
{
	json_object_object_add(row, key, json_object_new_uint64(value));
}

/* In whole ns. */
void row_time(struct json_object *row, const char *key, double ns)
{
	row_number(row, key, ns < UINT64_MAX ? (uint64_t)(ns + 0.5) : UINT64_MAX);
}

void format_time(char *buffer, size_t room, double ns)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	size_t unit = 0;

	while (ns >= 1000 && unit < COUNT(units) - 1) {
		ns /= 1000;
		unit++;
	}
	snprintf(buffer, room, "%.*f %s",
		 !unit || ns >= 100 ? 0
		 : ns < 10	    ? 2
				    : 1,
		 ns, units[unit]);
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

/* A size as the user wants it. */
void size_text(const struct ctl *ctl, char *buffer, size_t room, uint64_t size)
{
	if (ctl->bytes)
		snprintf(buffer, room, "%" PRIu64, size);
	else
		format_size(buffer, room, size);
}

/* What follows the digits of a size: K, M, G, KiB, ... or nothing; 0 if it is none of these. */
static uint64_t parse_unit(const char *text)
{
	static const char units[] = "KMGTPE";
	const char *unit = *text ? strchr(units, *text >= 'a' ? *text - 'a' + 'A' : *text) : NULL;
	uint64_t scale = 1;

	if (unit) {
		scale = 1ULL << (10 * (unit - units + 1));
		text++;
		text += *text == 'i';
	}
	text += *text == 'B';
	return *text ? 0 : scale;
}

/* A number with a unit, all powers of 1024.  Whole numbers are exact. */
int parse_size(const char *text, uint64_t *size)
{
	uint64_t whole, scale;
	double fraction = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	whole = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end == '.')
		fraction = strtod(end, &end);
	scale = parse_unit(end);
	if (!scale || whole > UINT64_MAX / scale)
		return -EINVAL;
	*size = whole * scale + (uint64_t)(fraction * scale);
	return *size < whole * scale ? -EINVAL : 0;
}

/* Returns an exit code. */
int parse_number(const char *text, int base, uint32_t most, uint32_t *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, base);
	if (*text < '0' || *text > '9' || *end || errno || value > most)
		return complain(EXIT_USAGE,
				base == 8 ? "'%s' is no octal number up to %o"
					  : "'%s' is no number up to %u",
				text, most);
	*number = value;
	return EXIT_OK;
}

/* What there is on each node: "0:1.5G 1:512M". */
static void nodes_text(const struct ctl *ctl, char *buffer, size_t room, struct json_object *nodes)
{
	size_t length = 0;

	buffer[0] = 0;
	for (size_t i = 0; i < json_object_array_length(nodes) && length < room; i++) {
		struct json_object *node = json_object_array_get_idx(nodes, i);
		char size[32];

		size_text(ctl, size, sizeof(size),
			  json_object_get_uint64(json_object_object_get(node, "frames")));
		length += snprintf(buffer + length, room - length, "%s%" PRIu64 ":%s", i ? " " : "",
				   json_object_get_uint64(json_object_object_get(node, "node")),
				   size);
	}
}

static void cell(const struct ctl *ctl, struct libscols_line *line, size_t at,
		 const struct column *column, struct json_object *value)
{
	char size[32], nodes[1024];

	if (column->type == COLUMN_NODES && value) {
		nodes_text(ctl, nodes, sizeof(nodes), value);
		scols_line_set_data(line, at, nodes);
	} else if (column->type == COLUMN_BYTES && value) {
		size_text(ctl, size, sizeof(size), json_object_get_uint64(value));
		scols_line_set_data(line, at, size);
	} else if (column->type == COLUMN_TIME && value) {
		format_time(size, sizeof(size), json_object_get_double(value));
		scols_line_set_data(line, at, size);
	} else {
		scols_line_set_data(line, at, value ? json_object_get_string(value) : "");
	}
}

static int print_table(const struct ctl *ctl, const struct column *columns, size_t count,
		       struct json_object *rows)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		return failed(-ENOMEM, "printing a table");
	for (size_t i = 0; i < count; i++)
		scols_table_new_column(table, columns[i].title, 0,
				       columns[i].type == COLUMN_TEXT ||
						       columns[i].type == COLUMN_NODES
					       ? 0
					       : SCOLS_FL_RIGHT);
	for (size_t r = 0; r < json_object_array_length(rows); r++) {
		struct json_object *row = json_object_array_get_idx(rows, r);
		struct libscols_line *line = scols_table_new_line(table, NULL);

		for (size_t i = 0; i < count && line; i++)
			cell(ctl, line, i, &columns[i],
			     json_object_object_get(row, columns[i].key));
	}
	scols_print_table(table);
	scols_unref_table(table);
	return EXIT_OK;
}

/*
 * Print rows, which this takes, as a table, or as a JSON array; nothing if what gathered them failed
 * with @code.
 */
int print_rows(const struct ctl *ctl, int code, const struct column *columns, size_t count,
	       struct json_object *rows)
{
	if (code == EXIT_OK && ctl->json)
		puts(json_object_to_json_string_ext(rows, JSON_C_TO_STRING_PRETTY |
								  JSON_C_TO_STRING_SPACED |
								  JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (code == EXIT_OK)
		code = print_table(ctl, columns, count, rows);
	json_object_put(rows);
	return code;
}

static void print_error(const char *format, va_list arguments, const char *why)
{
	fputs("morselctl: ", stderr);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "%s%s\n", why ? ": " : "", why ? why : "");
}

int complain(int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_error(format, arguments, NULL);
	va_end(arguments);
	return code;
}

/* What each errno means of morsels and pools, and what to do about it. */
static const struct {
	int err;
	int code;
	const char *why;
} reasons[] = {
	{ENOENT, EXIT_NOT_FOUND,
	 "there is none, or you may not see it; 'morselctl list' and 'morselctl pool list' show "
	 "what there is"},
	{ENODEV, EXIT_NOT_FOUND,
	 "there is no such NUMA node with memory; see /sys/devices/system/node"},
	{EACCES, EXIT_DENIED,
	 "its mode, or that of the mount that names are in, does not let you; ask its owner "
	 "('morselctl show')"},
	{EROFS, EXIT_DENIED, "the mount that names are in is read-only"},
	{EPERM, EXIT_DENIED,
	 "it is sealed, as snapshots are, or only its owner may do that; pools and ceilings are "
	 "for "
	 "root"},
	{EEXIST, EXIT_FAILED, "there is one already; choose another, or remove that one first"},
	{EINVAL, EXIT_FAILED,
	 "not possible; a name has at most 255 bytes of UTF-8, no slash and no control "
	 "character, a size is at least 1, and a multiple of 2M with --granule 2m"},
	{EFBIG, EXIT_FAILED, "larger than a morsel can be"},
	{ENOMEM, EXIT_FAILED,
	 "there is not enough memory; see 'morselctl pool list', free something, or give the pool "
	 "more with 'morselctl pool resize'"},
	{ENOSPC, EXIT_FAILED,
	 "the pool, or the mount that names are in, is full; see 'morselctl pool list' and df, "
	 "free "
	 "something, or give more with 'morselctl pool resize' or 'mount -o remount,size='"},
	{EDQUOT, EXIT_FAILED,
	 "the owner's ceiling is reached; see 'morselctl limit show', free something, or ask root "
	 "for 'morselctl limit set'"},
	{EBUSY, EXIT_FAILED,
	 "in use; remove its morsels first, and wait for input and output to end"},
	{EINTR, EXIT_FAILED, "interrupted"},
};

int failed(int err, const char *format, ...)
{
	const char *why = strerror(-err);
	int code = EXIT_FAILED;
	va_list arguments;

	for (size_t i = 0; i < COUNT(reasons); i++) {
		if (reasons[i].err != -err)
			continue;
		why = reasons[i].why;
		code = reasons[i].code;
	}
	va_start(arguments, format);
	print_error(format, arguments, why);
	va_end(arguments);
	return code;
}

/* The same for files, which the kernel's words suit. */
int failed_file(int err, const char *path)
{
	return complain(err == -ENOENT			  ? EXIT_NOT_FOUND
			: err == -EACCES || err == -EPERM ? EXIT_DENIED
							  : EXIT_FAILED,
			"%s: %s", path, strerror(-err));
}
