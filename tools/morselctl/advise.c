// SPDX-License-Identifier: GPL-2.0
/*
 * advise: which form is the cheapest in which parties have memory together.
 */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"

/* What is written in a round, where nobody says. */
#define WRITE_BYTES (64ULL << 10)
/* More than a program has addresses. */
#define SIZE_MOST (128ULL << 40)

static const struct column form_columns[] = {
	{"form", "FORM", COLUMN_TEXT},	    {"isolation", "ISOLATION", COLUMN_TEXT},
	{"setup_ns", "SETUP", COLUMN_TIME}, {"round_ns", "ROUND", COLUMN_TIME},
	{"total_ns", "TOTAL", COLUMN_TIME}, {"why_not", "WHY NOT", COLUMN_TEXT},
};

static const struct column cost_columns[] = {
	{"cost", "MEASURED", COLUMN_TEXT}, {"one", "OF", COLUMN_BYTES},
	{"one_ns", "TIME", COLUMN_TIME},   {"all", "OF", COLUMN_BYTES},
	{"all_ns", "TIME", COLUMN_TIME},
};

/* Returns an exit code. */
static int complete(struct pattern *pattern)
{
	uint64_t parties = (uint64_t)pattern->readers + pattern->writers;

	if (pattern->size > SIZE_MOST)
		return complain(EXIT_USAGE, "no program has addresses for more than 128T: "
					    "give a smaller --size");
	if (!pattern->write)
		pattern->write = pattern->size < WRITE_BYTES ? pattern->size : WRITE_BYTES;
	if (pattern->write > pattern->size)
		return complain(EXIT_USAGE,
				"more is written than there is: give a smaller --write, "
				"or a larger --size");
	if (parties < 2)
		return complain(EXIT_USAGE, "it takes two to have something together: give more "
					    "--readers or --writers");
	if (!pattern->rounds)
		return complain(EXIT_USAGE, "'0' is no number of rounds; where nothing is ever "
					    "written, give --writers 0");
	return EXIT_OK;
}

static struct json_object *costs_found(const struct cost_found costs[COSTS])
{
	static const uint64_t sizes[] = {
		[UNIT_PAGE] = 4096,
		[UNIT_GIB] = 1 << 30,
	};
	struct json_object *rows = json_object_new_array();

	for (int cost = 0; cost < COSTS; cost++) {
		struct json_object *row = json_object_new_object();
		uint64_t unit = sizes[cost_unit(cost)];

		row_text(row, "cost", cost_name(cost));
		row_number(row, "one", unit);
		row_time(row, "one_ns", costs[cost].one);
		row_number(row, "all", unit * costs[cost].count);
		row_time(row, "all_ns", costs[cost].all);
		json_object_array_add(rows, row);
	}
	return rows;
}

static struct json_object *forms_weighed(const struct pattern *pattern,
					 const struct cost_found costs[COSTS])
{
	struct json_object *rows = json_object_new_array();

	for (int form = 0; form < FORMS; form++) {
		const struct price price = form_price(form, pattern, costs);
		const char *why_not = form_why_not(form, pattern);
		struct json_object *row = json_object_new_object();

		row_text(row, "form", form_name(form));
		row_text(row, "isolation", form_isolation(form));
		json_object_object_add(row, "allowed", json_object_new_boolean(!why_not));
		row_text(row, "why_not", why_not ? why_not : "");
		row_time(row, "setup_ns", price.setup);
		row_time(row, "round_ns", price.round);
		row_time(row, "total_ns", price.total);
		json_object_array_add(rows, row);
	}
	return rows;
}

static int print_for_programs(const struct ctl *ctl, const struct cost_found costs[COSTS])
{
	const struct pattern *pattern = &ctl->pattern;
	struct json_object *rows = json_object_new_array(), *row = json_object_new_object();

	row_number(row, "size", pattern->size);
	row_number(row, "readers", pattern->readers);
	row_number(row, "writers", pattern->writers);
	row_number(row, "write", pattern->write);
	row_number(row, "rounds", pattern->rounds);
	row_text(row, "trust", trust_names[pattern->trust]);
	json_object_object_add(row, "costs", costs_found(costs));
	json_object_object_add(row, "forms", forms_weighed(pattern, costs));
	row_text(row, "proposal", form_name(cheapest(pattern, costs)));
	json_object_array_add(rows, row);
	return print_rows(ctl, EXIT_OK, NULL, 0, rows);
}

static int print_for_people(const struct ctl *ctl, const struct cost_found costs[COSTS])
{
	const struct pattern *pattern = &ctl->pattern;
	enum form best = cheapest(pattern, costs);
	char size[32], write[32], total[32];
	int code;

	size_text(ctl, size, sizeof(size), pattern->size);
	size_text(ctl, write, sizeof(write), pattern->write);
	printf("%s, readers: %" PRIu32 ", writers: %" PRIu32 ", trust: %s, rounds: %" PRIu32, size,
	       pattern->readers, pattern->writers, trust_names[pattern->trust], pattern->rounds);
	printf(pattern->writers ? ", in each of which %s are written\n\n" : "\n\n", write);
	code = print_rows(ctl, EXIT_OK, form_columns, COUNT(form_columns),
			  forms_weighed(pattern, costs));
	if (code != EXIT_OK)
		return code;
	putchar('\n');
	code = print_rows(ctl, EXIT_OK, cost_columns, COUNT(cost_columns), costs_found(costs));
	if (code != EXIT_OK)
		return code;
	format_time(total, sizeof(total), form_price(best, pattern, costs).total);
	printf("\nproposal: %s, %s in all\n", form_name(best), total);
	return EXIT_OK;
}

int run_advise(struct ctl *ctl, char **args)
{
	struct cost_found costs[COSTS];
	int code = complete(&ctl->pattern), err;

	(void)args;
	if (code != EXIT_OK)
		return code;
	catch_interrupts();
	err = measure(ctl->device, &ctl->pattern, costs);
	if (err)
		return failed(err, "measuring");
	return ctl->json ? print_for_programs(ctl, costs) : print_for_people(ctl, costs);
}
