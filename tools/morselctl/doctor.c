// SPDX-License-Identifier: GPL-2.0
/*
 * doctor: is all there, and what to do where it is not?
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

struct report {
	struct json_object *rows;
	int code;
};

enum verdict { GOOD, NOTE, BAD };

static void say(struct report *report, enum verdict verdict, const char *what, const char *found,
		const char *remedy)
{
	static const char *const verdicts[] = {"ok", "note", "MISSING"};
	struct json_object *row = json_object_new_object();

	row_text(row, "verdict", verdicts[verdict]);
	row_text(row, "check", what);
	row_text(row, "found", found);
	row_text(row, "remedy", remedy);
	json_object_array_add(report->rows, row);
}

/* The first line of a small file, without its end; "" if there is none. */
static const char *first_line(const char *path, char *buffer, size_t room)
{
	FILE *file = fopen(path, "r");

	buffer[0] = 0;
	if (file) {
		if (!fgets(buffer, room, file))
			buffer[0] = 0;
		fclose(file);
	}
	buffer[strcspn(buffer, "\n")] = 0;
	return buffer;
}

static void check_module(struct report *report)
{
	char version[64], taint[64], lockdown[64];

	if (access("/sys/module/morsel", F_OK)) {
		say(report, BAD, "module", "not loaded",
		    "modprobe morsel; if it is not installed: make dkms-install");
		report->code = EXIT_NO_MODULE;
		first_line("/sys/kernel/security/lockdown", lockdown, sizeof(lockdown));
		if (lockdown[0] && !strstr(lockdown, "[none]"))
			say(report, NOTE, "Secure Boot", lockdown,
			    "only signed modules load: mokutil --import /var/lib/dkms/mok.pub, "
			    "then reboot");
		return;
	}
	say(report, GOOD, "module",
	    first_line("/sys/module/morsel/version", version, sizeof(version)), "");
	first_line("/sys/module/morsel/taint", taint, sizeof(taint));
	say(report, strchr(taint, 'E') ? NOTE : GOOD, "signature",
	    strchr(taint, 'E') ? "none" : "signed",
	    strchr(taint, 'E') ? "only matters with Secure Boot" : "");
}

static void check_device(struct report *report)
{
	char found[64] = "";
	struct group *group;
	struct stat st;

	if (stat(MORSEL_DEVICE, &st)) {
		say(report, BAD, "device", strerror(errno),
		    "load the module; without devtmpfs, mknod by hand");
		if (!report->code)
			report->code = EXIT_NO_MODULE;
		return;
	}
	group = getgrgid(st.st_gid);
	snprintf(found, sizeof(found), "mode %04o, group %s", st.st_mode & 07777,
		 group ? group->gr_name : "?");
	if (st.st_mode & 007)
		say(report, BAD, "device", found,
		    "chmod o= " MORSEL_DEVICE ": everybody may use it");
	else if (!group || strcmp(group->gr_name, "morsel"))
		say(report, NOTE, "device", found,
		    "install the udev rule (make install-dist) for the group morsel");
	else
		say(report, GOOD, "device", found, "");
	if (access(MORSEL_DEVICE, R_OK | W_OK)) {
		say(report, BAD, "access", "you may not open it",
		    "adduser USER morsel, then log in again");
		if (!report->code)
			report->code = EXIT_DENIED;
	}
}

static int add_limits(const struct morsel_pool_info *info, void *total)
{
	*(uint64_t *)total += info->limit_bytes;
	return 0;
}

static void check_abi(struct report *report)
{
	struct morsel_query query;
	struct morsel_limit limit;
	char found[96], size[32];
	uint64_t total = 0;
	int device = morsel_device();

	if (device < 0) {
		say(report, BAD, "ABI", strerror(-device),
		    device == -EPROTONOSUPPORT ? "update the older of module and tools"
					       : "see above");
		if (!report->code)
			report->code = EXIT_NO_MODULE;
		return;
	}
	morsel_query(device, &query);
	snprintf(found, sizeof(found), "module %u to %u, tools %u to %u", query.abi_oldest,
		 query.abi, MORSEL_ABI_OLDEST, MORSEL_ABI_VERSION);
	say(report, GOOD, "ABI", found, "");
	morsel_pools(device, add_limits, &total);
	format_size(size, sizeof(size), total);
	snprintf(found, sizeof(found), "%u, together at most %s", query.nr_pools, size);
	say(report, query.nr_pools ? GOOD : BAD, "pools", found,
	    query.nr_pools ? "" : "morselctl pool add NODE SIZE");
	if (!morsel_limit_get(device, getuid(), &limit)) {
		format_size(size, sizeof(size), limit.bytes);
		say(report, GOOD, "your ceiling", limit.bytes == MORSEL_UNLIMITED ? "none" : size,
		    "");
	}
	close(device);
}

static void check_kernel(struct report *report)
{
	struct rlimit limit;
	char text[128], size[32];

	first_line("/sys/devices/system/cpu/vulnerabilities/meltdown", text, sizeof(text));
	say(report, GOOD, "page-table isolation", strstr(text, "PTI") ? "on" : "off", "");
	first_line("/sys/hypervisor/guest_type", text, sizeof(text));
	if (!strcmp(text, "PV"))
		say(report, BAD, "hypervisor", "Xen PV", "use an HVM or PVH guest");
	getrlimit(RLIMIT_AS, &limit);
	format_size(size, sizeof(size), limit.rlim_cur);
	if (limit.rlim_cur != RLIM_INFINITY)
		say(report, NOTE, "address space", size,
		    "ulimit -v unlimited: mappings take whole GiBs of addresses");
	getrlimit(RLIMIT_NOFILE, &limit);
	snprintf(text, sizeof(text), "%ju", (uintmax_t)limit.rlim_cur);
	say(report, GOOD, "open files", text, "");
}

int run_doctor(struct ctl *ctl, int argc, char **argv)
{
	static const struct column columns[] = {
		{"verdict", "", COLUMN_TEXT},
		{"check", "CHECK", COLUMN_TEXT},
		{"found", "FOUND", COLUMN_TEXT},
		{"remedy", "WHAT TO DO", COLUMN_TEXT},
	};
	struct report report = {.rows = json_object_new_array()};

	if (argc != 1)
		return usage(find_verb(argv[0]));
	check_module(&report);
	check_device(&report);
	if (!report.code)
		check_abi(&report);
	check_kernel(&report);
	print_rows(ctl, columns, sizeof(columns) / sizeof(columns[0]), report.rows);
	return report.code;
}
