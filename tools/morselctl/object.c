// SPDX-License-Identifier: GPL-2.0
/*
 * create, list, show, rm, populate, stat.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ctl.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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

static const struct column columns[] = {
	{"id", "ID", COLUMN_NUMBER},	     {"name", "NAME", COLUMN_TEXT},
	{"length", "SIZE", COLUMN_BYTES},    {"frames", "FRAMES", COLUMN_BYTES},
	{"huge", "HUGE", COLUMN_BYTES},	     {"tables", "TABLES", COLUMN_BYTES},
	{"granule", "GRANULE", COLUMN_TEXT}, {"attachments", "ATTACHED", COLUMN_NUMBER},
	{"pool", "POOL", COLUMN_NUMBER},     {"mode", "MODE", COLUMN_TEXT},
	{"uid", "UID", COLUMN_NUMBER},
};

struct json_object *info_row(const struct morsel_info *info)
{
	struct json_object *row = json_object_new_object();
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", info->mode);
	row_number(row, "id", info->id);
	row_text(row, "name", info->name);
	row_number(row, "length", info->length);
	row_number(row, "frames", info->frame_bytes);
	row_number(row, "huge", info->huge_bytes);
	row_number(row, "tables", info->table_bytes);
	row_text(row, "granule", granule_name(info->granule));
	row_number(row, "attachments", info->attachments);
	row_number(row, "faults", info->faults);
	row_number(row, "pool", info->pool);
	row_number(row, "node", info->node);
	row_text(row, "mode", mode);
	row_number(row, "uid", info->uid);
	row_number(row, "gid", info->gid);
	json_object_object_add(row, "read_only_twin",
			       json_object_new_boolean(info->flags & MORSEL_INFO_TWIN));
	return row;
}

/* By name, or "#ID" for those that have none. */
int open_named(struct ctl *ctl, const char *name, uint32_t flags)
{
	if (name[0] == '#' && isdigit((unsigned char)name[1]))
		return morsel_open_id(ctl->device, strtoull(name + 1, NULL, 10), flags);
	return morsel_open(ctl->device, name, flags);
}

/* In steps, so that there is something to show and an interrupt is heard. */
int populate_all(int fd, uint64_t length)
{
	const uint64_t step = 64ULL << 20;
	struct progress progress;
	uint64_t done = 0;
	int err = 0;

	catch_interrupts();
	progress_begin(&progress, "populating", length);
	while (done < length) {
		err = morsel_populate(fd, done, length - done > step ? step : 0);
		if (err == -EINTR && !interrupted) {
			err = 0;
			continue;
		}
		if (err)
			break;
		done += length - done > step ? step : length - done;
		progress_show(&progress, done);
	}
	progress_end(&progress, done);
	return err;
}

static int parse_granule(const char *text, uint32_t *granule)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_AUTO, MORSEL_GRANULE_4K,
					    MORSEL_GRANULE_2M};

	for (size_t i = 0; i < COUNT(granules); i++) {
		if (strcasecmp(text, granule_name(granules[i])))
			continue;
		*granule = granules[i];
		return 0;
	}
	return -EINVAL;
}

/* The options that create and import have in common; returns an exit code. */
int parse_params(int argc, char **argv, const char *options, struct morsel_params *params)
{
	const struct verb *verb = find_verb(argv[0]);
	int option;

	while ((option = getopt(argc, argv, options)) != -1) {
		switch (option) {
		case 'g':
			if (parse_granule(optarg, &params->granule))
				return complain(EXIT_USAGE, "'%s' is no granule: auto, 4k or 2m",
						optarg);
			break;
		case 'm':
			params->mode = strtoul(optarg, NULL, 8);
			break;
		case 'p':
			params->pool = strtoul(optarg, NULL, 10);
			break;
		case 'n':
			params->node = strtoul(optarg, NULL, 10) + 1;
			break;
		case 'N':
			params->name = optarg;
			break;
		case 'P':
			params->flags |= MORSEL_CREATE_POPULATE;
			break;
		default:
			return usage(verb);
		}
	}
	return EXIT_OK;
}

int run_create(struct ctl *ctl, int argc, char **argv)
{
	struct morsel_params params = {0};
	bool populate;
	int code, fd, err;

	code = parse_params(argc, argv, "g:m:p:n:P", &params);
	if (code)
		return code;
	if (argc - optind != 2)
		return usage(find_verb(argv[0]));
	params.name = argv[optind];
	if (parse_size(argv[optind + 1], &params.length))
		return complain(EXIT_USAGE, "'%s' is no size: a number with K, M, G or T",
				argv[optind + 1]);

	/* Populated in steps, for the sake of progress; what fails leaves nothing behind. */
	populate = params.flags & MORSEL_CREATE_POPULATE;
	params.flags = 0;
	fd = morsel_create(ctl->device, &params);
	if (fd < 0)
		return failed(fd, "create %s", params.name);
	err = populate ? populate_all(fd, params.length) : 0;
	close(fd);
	if (err) {
		morsel_unlink(ctl->device, params.name);
		return failed(err, "populate %s", params.name);
	}
	return EXIT_OK;
}

static int add_row(const struct morsel_info *info, void *rows)
{
	json_object_array_add(rows, info_row(info));
	return 0;
}

int run_list(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *rows = json_object_new_array();
	int err;

	if (argc != 1)
		return usage(find_verb(argv[0]));
	err = morsel_list(ctl->device, add_row, rows);
	if (err)
		return failed(err, "list");
	return print_rows(ctl, columns, COUNT(columns), rows);
}

int run_show(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *rows = json_object_new_array();
	struct morsel_info info;
	int fd, err;

	if (argc < 2)
		return usage(find_verb(argv[0]));
	for (int i = 1; i < argc; i++) {
		fd = open_named(ctl, argv[i], MORSEL_OPEN_READ_ONLY);
		if (fd < 0)
			return failed(fd, "%s", argv[i]);
		err = morsel_stat(fd, &info);
		close(fd);
		if (err)
			return failed(err, "%s", argv[i]);
		json_object_array_add(rows, info_row(&info));
	}
	return print_rows(ctl, columns, COUNT(columns), rows);
}

int run_rm(struct ctl *ctl, int argc, char **argv)
{
	int code = EXIT_OK;

	if (argc < 2)
		return usage(find_verb(argv[0]));
	for (int i = 1; i < argc; i++) {
		int err = morsel_unlink(ctl->device, argv[i]);

		if (err)
			code = failed(err, "rm %s", argv[i]);
	}
	return code;
}

int run_populate(struct ctl *ctl, int argc, char **argv)
{
	struct morsel_info info;
	int fd, err;

	if (argc < 2)
		return usage(find_verb(argv[0]));
	for (int i = 1; i < argc; i++) {
		fd = open_named(ctl, argv[i], 0);
		if (fd < 0)
			return failed(fd, "%s", argv[i]);
		err = morsel_stat(fd, &info);
		if (!err)
			err = populate_all(fd, info.length);
		close(fd);
		if (err)
			return failed(err, "populate %s", argv[i]);
	}
	return EXIT_OK;
}

struct totals {
	uint64_t used, free, pinned, held;
	uint64_t borrows, returns;
	uint64_t morsels;
};

static int add_pool(const struct morsel_pool_info *info, void *context)
{
	struct totals *totals = context;

	totals->used += info->used_bytes;
	totals->free += info->free_bytes;
	totals->pinned += info->pinned_bytes;
	totals->held += info->held_bytes;
	totals->borrows += info->borrows;
	totals->returns += info->returns;
	totals->morsels += info->morsels;
	return 0;
}

static int add_faults(const struct morsel_info *info, void *context)
{
	*(uint64_t *)context += info->faults;
	return 0;
}

/* Like vmstat: a line each second, rates since the line before. */
int run_stat(struct ctl *ctl, int argc, char **argv)
{
	uint64_t faults, last_faults = 0;
	struct totals totals, last = {0};
	double interval = 1;
	long count = -1;
	int option, err;

	while ((option = getopt(argc, argv, "c:i:")) != -1) {
		if (option == 'c')
			count = strtol(optarg, NULL, 10);
		else if (option == 'i')
			interval = strtod(optarg, NULL);
		else
			return usage(find_verb(argv[0]));
	}
	if (optind != argc || interval <= 0 || !count)
		return usage(find_verb(argv[0]));

	catch_interrupts();
	if (ctl->json)
		puts("[");
	for (long round = 0; (count < 0 || round < count) && !interrupted; round++) {
		char used[32], idle[32], pinned[32];

		if (round)
			usleep(interval * 1e6);
		totals = (struct totals){0};
		faults = 0;
		err = morsel_pools(ctl->device, add_pool, &totals);
		if (!err)
			err = morsel_list(ctl->device, add_faults, &faults);
		if (err)
			return failed(err, "stat");
		if (ctl->json) {
			printf("%s{\"morsels\": %ju, \"used\": %ju, \"free\": %ju, \"pinned\": "
			       "%ju, \"faults\": %ju, \"borrows\": %ju, \"returns\": %ju}\n",
			       round ? ", " : "  ", (uintmax_t)totals.morsels,
			       (uintmax_t)totals.used, (uintmax_t)totals.free,
			       (uintmax_t)totals.pinned, (uintmax_t)faults,
			       (uintmax_t)totals.borrows, (uintmax_t)totals.returns);
		} else {
			if (round % 20 == 0)
				printf("%8s %8s %8s %8s %9s %9s %9s\n", "morsels", "used", "free",
				       "pinned", "faults/s", "borrow/s", "return/s");
			format_size(used, sizeof(used), totals.used);
			format_size(idle, sizeof(idle), totals.free);
			format_size(pinned, sizeof(pinned), totals.pinned);
			printf("%8ju %8s %8s %8s %9.0f %9.0f %9.0f\n", (uintmax_t)totals.morsels,
			       used, idle, pinned,
			       round && faults > last_faults ? (faults - last_faults) / interval
							     : 0,
			       round ? (totals.borrows - last.borrows) / interval : 0,
			       round ? (totals.returns - last.returns) / interval : 0);
		}
		fflush(stdout);
		last = totals;
		last_faults = faults;
	}
	if (ctl->json)
		puts("]");
	return EXIT_OK;
}
