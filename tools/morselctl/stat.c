// SPDX-License-Identifier: GPL-2.0
/*
 * stat: what is in use, as it changes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "ctl.h"

#define LINES_PER_TITLE 20

/**
 * struct totals - of all pools, and of the morsels the caller may see
 * @pools:	the pools' fields, added up
 * @attachments: attachments of the morsels
 * @faults:	faults taken in them
 */
struct totals {
	struct morsel_pool_info pools;
	uint64_t attachments;
	uint64_t faults;
};

static int add_pool(const struct morsel_pool_info *info, void *context)
{
	struct morsel_pool_info *pools = &((struct totals *)context)->pools;

	pools->morsels += info->morsels;
	pools->held_bytes += info->held_bytes;
	pools->used_bytes += info->used_bytes;
	pools->free_bytes += info->free_bytes;
	pools->pinned_bytes += info->pinned_bytes;
	pools->borrows += info->borrows;
	pools->returns += info->returns;
	return 0;
}

static int add_info(const struct morsel_info *info, void *context)
{
	struct totals *totals = context;

	totals->attachments += info->attachments;
	totals->faults += info->faults;
	return 0;
}

static int fetch(int device, struct totals *totals)
{
	int err;

	*totals = (struct totals){0};
	err = morsel_pools(device, add_pool, totals);
	return err ? err : morsel_list(device, add_info, totals);
}

static void print_json(const struct totals *totals, bool first)
{
	struct json_object *row = json_object_new_object();

	row_number(row, "morsels", totals->pools.morsels);
	row_number(row, "attachments", totals->attachments);
	row_number(row, "held", totals->pools.held_bytes);
	row_number(row, "used", totals->pools.used_bytes);
	row_number(row, "free", totals->pools.free_bytes);
	row_number(row, "pinned", totals->pools.pinned_bytes);
	row_number(row, "faults", totals->faults);
	row_number(row, "borrows", totals->pools.borrows);
	row_number(row, "returns", totals->pools.returns);
	printf("%s%s", first ? "[\n  " : ",\n  ",
	       json_object_to_json_string_ext(row, JSON_C_TO_STRING_SPACED));
	json_object_put(row);
}

/* Sums of what is there may shrink, when morsels go. */
static double rate(const struct ctl *ctl, uint64_t last, uint64_t this)
{
	return this > last ? (this - last) / ctl->interval : 0;
}

static void print_line(const struct ctl *ctl, const struct totals *last,
		       const struct totals *totals)
{
	const uint64_t sizes[] = {totals->pools.held_bytes, totals->pools.used_bytes,
				  totals->pools.free_bytes, totals->pools.pinned_bytes};
	char size[32];

	printf("%8u %8" PRIu64, totals->pools.morsels, totals->attachments);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		size_text(ctl, size, sizeof(size), sizes[i]);
		printf(" %*s", ctl->bytes ? 14 : 8, size);
	}
	printf(" %9.0f %9.0f %9.0f\n", rate(ctl, last->faults, totals->faults),
	       rate(ctl, last->pools.borrows, totals->pools.borrows),
	       rate(ctl, last->pools.returns, totals->pools.returns));
}

static void print_titles(const struct ctl *ctl)
{
	int width = ctl->bytes ? 14 : 8;

	printf("%8s %8s %*s %*s %*s %*s %9s %9s %9s\n", "morsels", "attached", width, "held", width,
	       "used", width, "free", width, "pinned", "faults/s", "borrow/s", "return/s");
}

static void wait_for(double seconds)
{
	struct timespec time = {.tv_sec = seconds};

	time.tv_nsec = (seconds - time.tv_sec) * 1e9;
	nanosleep(&time, NULL);
}

/* Like vmstat: a line each second, rates since the line before. */
int run_stat(struct ctl *ctl, char **args)
{
	struct totals last, totals;
	int code = EXIT_OK, err;
	uint32_t round = 0;

	(void)args;
	catch_interrupts();
	do {
		if (round)
			wait_for(ctl->interval);
		if (interrupted)
			break;
		err = fetch(ctl->device, &totals);
		if (err) {
			code = failed(err, "stat");
			break;
		}
		if (!round)
			last = totals;
		if (ctl->json) {
			print_json(&totals, !round);
		} else {
			if (round % LINES_PER_TITLE == 0)
				print_titles(ctl);
			print_line(ctl, &last, &totals);
		}
		fflush(stdout);
		last = totals;
	} while (++round != ctl->count);
	if (ctl->json)
		puts(round ? "\n]" : "[]");
	return code;
}
