// SPDX-License-Identifier: GPL-2.0
/*
 * doctor: is there a memory cgroup with a limit that the caller may rely on?  It does not hold
 * for morsels.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

/* Where the groups are, and their file that says how much memory they may take. */
static const struct {
	const char *controllers;
	const char *root;
	const char *file;
} hierarchies[] = {
	{"", "/sys/fs/cgroup", "memory.max"},
	{"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
};

/* What the first version of cgroups says where there is none, or more. */
#define NO_LIMIT ((uint64_t)1 << 62)

/* The limit of one group; UINT64_MAX: it has none. */
static uint64_t limit_in(const char *root, const char *group, const char *file)
{
	char path[4096], text[32], *end;
	uint64_t bytes;

	snprintf(path, sizeof(path), "%s%s/%s", root, group, file);
	first_line(path, text, sizeof(text));
	bytes = strtoull(text, &end, 10);
	return end == text || *end || bytes >= NO_LIMIT ? UINT64_MAX : bytes;
}

/* The least limit of a group and those that it is in; @group is left as that of which it is. */
static uint64_t least_limit(const char *root, char *group, const char *file)
{
	uint64_t least = UINT64_MAX, limit;
	size_t length = strlen(group);
	char *at = strdup(group), *slash;

	if (!at)
		return least;
	if (length && at[length - 1] == '/')
		at[length - 1] = 0;
	do {
		limit = limit_in(root, at, file);
		if (limit < least) {
			least = limit;
			strcpy(group, *at ? at : "/");
		}
		slash = strrchr(at, '/');
		if (slash)
			*slash = 0;
	} while (slash);
	free(at);
	return least;
}

/* Of a line of /proc/self/cgroup, "number:controllers:group": what the group may take. */
static void check_group(struct report *report, char *line)
{
	char *controllers = strchr(line, ':'),
	     *group = controllers ? strchr(controllers + 1, ':') : NULL;
	char found[512], size[32];
	uint64_t limit;

	if (!group)
		return;
	controllers++;
	*group++ = 0;
	for (size_t i = 0; i < COUNT(hierarchies); i++) {
		if (strcmp(controllers, hierarchies[i].controllers))
			continue;
		limit = least_limit(hierarchies[i].root, group, hierarchies[i].file);
		if (limit == UINT64_MAX)
			continue;
		format_size(size, sizeof(size), limit);
		snprintf(found, sizeof(found), "%.400s has a limit of %s", group, size);
		note(report, "memory cgroup", found,
		     "morsels do not count against it: morselctl limit set USER SIZE");
	}
}

/**
 * check_cgroup() - is who asks in a memory cgroup with a limit?
 * @report: where to say so
 */
void check_cgroup(struct report *report)
{
	FILE *file = fopen("/proc/self/cgroup", "r");
	char *line = NULL;
	size_t room = 0;

	if (!file)
		return;
	while (getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = 0;
		check_group(report, line);
	}
	free(line);
	fclose(file);
}
