// SPDX-License-Identifier: GPL-2.0
/*
 * doctor: is all there, and what to do where it is not?
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

/* Less free memory than this in huge frames is worth a note. */
#define FEW_HUGE_BYTES ((uint64_t)64 << 20)

static void add(struct report *report, const char *verdict, const char *what, const char *found,
		const char *remedy)
{
	struct json_object *row = json_object_new_object();

	row_text(row, "verdict", verdict);
	row_text(row, "check", what);
	row_text(row, "found", found);
	row_text(row, "remedy", remedy);
	json_object_array_add(report->rows, row);
}

void good(struct report *report, const char *what, const char *found)
{
	add(report, "ok", what, found, "");
}

void note(struct report *report, const char *what, const char *found, const char *remedy)
{
	add(report, "note", what, found, remedy);
}

void problem(struct report *report, int code, const char *what, const char *found,
	     const char *remedy)
{
	add(report, "PROBLEM", what, found, remedy);
	if (report->code == EXIT_OK)
		report->code = code;
}

/* The first line of a small file, without its end; "" if there is none. */
const char *first_line(const char *path, char *buffer, size_t room)
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

/* With Secure Boot the kernel is locked down, and loads signed modules only. */
static void check_signature(struct report *report, bool loaded)
{
	char lockdown[64], taint[64];
	bool locked, unsigned_module;

	first_line("/sys/kernel/security/lockdown", lockdown, sizeof(lockdown));
	locked = lockdown[0] && !strstr(lockdown, "[none]");
	first_line("/sys/module/morsel/taint", taint, sizeof(taint));
	unsigned_module = strchr(taint, 'E');

	if (loaded && !unsigned_module)
		good(report, "signature", "signed");
	else if (loaded)
		note(report, "signature", "none",
		     "fine without Secure Boot; to sign with it see the README");
	if (!locked)
		good(report, "lockdown", lockdown[0] ? lockdown : "none");
	else if (loaded)
		good(report, "lockdown", lockdown);
	else
		note(report, "lockdown", lockdown,
		     "only signed modules load: mokutil --import /var/lib/dkms/mok.pub, then "
		     "reboot");
}

/* What the file says that modprobe would load; false if there is none. */
static bool on_disk(const char *field, char *buffer, size_t room)
{
	char command[96];
	FILE *pipe;

	/* Not everybody has /sbin among the places of programs. */
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin:/sbin modinfo -F %s morsel 2>/dev/null", field);
	buffer[0] = 0;
	pipe = popen(command, "r");
	if (pipe) {
		if (!fgets(buffer, room, pipe))
			buffer[0] = 0;
		pclose(pipe);
	}
	buffer[strcspn(buffer, "\n")] = 0;
	return buffer[0];
}

/* An update does not change what is loaded, nor does loading change what the next boot finds. */
static void check_installed(struct report *report)
{
	char there[64], here[64], version[64];

	if (!on_disk("srcversion", there, sizeof(there))) {
		note(report, "installed", "none for this kernel",
		     "it is gone after a reboot: make dkms-install");
		return;
	}
	on_disk("version", version, sizeof(version));
	first_line("/sys/module/morsel/srcversion", here, sizeof(here));
	if (!strcmp(here, there))
		good(report, "installed", version);
	else
		note(report, "installed", version,
		     "another one is loaded; when no morsel is needed any more: rmmod morsel; modprobe morsel");
}

/* @refused: who asks may not open the device, and opening it is what loads the module. */
static void check_module(struct report *report, bool refused)
{
	bool loaded = !access("/sys/module/morsel", F_OK);
	char version[64];

	if (loaded) {
		good(report, "module",
		     first_line("/sys/module/morsel/version", version, sizeof(version)));
		check_installed(report);
	} else if (refused) {
		note(report, "module", "not loaded",
		     "whoever may open " MORSEL_DEVICE " loads it by that");
	} else {
		problem(report, EXIT_NO_MODULE, "module", "not loaded",
			"modprobe morsel; if it is not installed: make dkms-install");
	}
	check_signature(report, loaded);
}

static void check_device(struct report *report)
{
	char found[96];
	struct group *group;
	struct stat st;

	if (stat(MORSEL_DEVICE, &st)) {
		problem(report, EXIT_NO_MODULE, "device", strerror(errno),
			"load the module; in a container, pass " MORSEL_DEVICE " in");
		return;
	}
	group = getgrgid(st.st_gid);
	snprintf(found, sizeof(found), "mode %04o, group %s", st.st_mode & 07777,
		 group ? group->gr_name : "unknown");
	if (st.st_mode & 007)
		problem(report, EXIT_FAILED, "device", found,
			"everybody may use it: chmod o= " MORSEL_DEVICE);
	else if (!group || strcmp(group->gr_name, "morsel"))
		note(report, "device", found,
		     "only root may use it; install the udev rule: make install-dist");
	else
		good(report, "device", found);
	if (access(MORSEL_DEVICE, R_OK | W_OK))
		problem(report, EXIT_DENIED, "access", "you may not open it",
			"adduser USER morsel, then log in again");
}

static int add_pool(const struct morsel_pool_info *info, void *context)
{
	struct morsel_pool_info *sum = context;

	sum->limit_bytes += info->limit_bytes;
	sum->used_bytes += info->used_bytes;
	return 0;
}

static void check_pools(struct report *report, int device, const struct morsel_query *query)
{
	struct morsel_pool_info sum = {0};
	char found[96], limit[32], used[32];

	morsel_pools(device, add_pool, &sum);
	format_size(limit, sizeof(limit), sum.limit_bytes);
	format_size(used, sizeof(used), sum.used_bytes);
	snprintf(found, sizeof(found), "%u, %s of %s in use", query->nr_pools, used, limit);
	if (!query->nr_pools)
		problem(report, EXIT_FAILED, "pools", found, "morselctl pool add NODE SIZE");
	else if (sum.used_bytes >= sum.limit_bytes)
		note(report, "pools", found, "remove morsels, or morselctl pool resize POOL SIZE");
	else
		good(report, "pools", found);
}

static void check_ceiling(struct report *report, int device)
{
	char found[96] = "none", limit[32], used[32];
	struct morsel_limit ceiling;

	if (morsel_limit_get(device, geteuid(), &ceiling))
		return;
	format_size(limit, sizeof(limit), ceiling.bytes);
	format_size(used, sizeof(used), ceiling.used);
	if (ceiling.bytes != MORSEL_UNLIMITED)
		snprintf(found, sizeof(found), "%s of %s in use", used, limit);
	if (ceiling.used >= ceiling.bytes)
		note(report, "your ceiling", found,
		     "remove morsels, or ask root for morselctl limit set");
	else
		good(report, "your ceiling", found);
}

static void check_abi(struct report *report)
{
	struct morsel_query query = {0};
	char found[96];
	int device = morsel_device();
	int err = device < 0 ? device : morsel_query(device, &query);

	if (err) {
		problem(report, EXIT_NO_MODULE, "ABI", strerror(-err),
			err == -EPROTONOSUPPORT
				? "update the older of module and tools"
				: "reload the module: rmmod morsel; modprobe morsel");
	} else {
		snprintf(found, sizeof(found), "module %u to %u, tools %u to %u", query.abi_oldest,
			 query.abi, (unsigned int)MORSEL_ABI_OLDEST,
			 (unsigned int)MORSEL_ABI_VERSION);
		good(report, "ABI", found);
		check_pools(report, device, &query);
		check_ceiling(report, device);
	}
	if (device >= 0)
		close(device);
}

/* Bytes of free memory in pieces of at least 2 MiB; false if the kernel does not tell. */
static bool free_huge_bytes(uint64_t *bytes)
{
	FILE *file = fopen("/proc/buddyinfo", "r");
	char text[512];

	*bytes = 0;
	if (!file)
		return false;
	while (fgets(text, sizeof(text), file)) {
		const char *zone = strstr(text, "zone");
		char *at;
		int skip;

		if (!zone || sscanf(zone, "zone %*s%n", &skip))
			continue;
		at = text + (zone - text) + skip;
		for (unsigned int order = 0; order < 20; order++) {
			char *end;
			uint64_t count = strtoull(at, &end, 10);

			if (end == at)
				break;
			if (order >= 9)
				*bytes += count << (order + 12);
			at = end;
		}
	}
	fclose(file);
	return true;
}

static void check_huge(struct report *report)
{
	char found[96], size[32];
	uint64_t bytes;

	if (!free_huge_bytes(&bytes))
		return;
	format_size(size, sizeof(size), bytes);
	snprintf(found, sizeof(found), "%s of memory free in pieces of 2 MiB", size);
	if (bytes < FEW_HUGE_BYTES)
		note(report, "huge frames", found,
		     "morsels get frames of 4 KiB; echo 1 >/proc/sys/vm/compact_memory");
	else
		good(report, "huge frames", found);
}

/* Is the processor's flag @flag set?  Older kernels tell of isolation there only. */
static bool has_cpu_flag(const char *flag)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char *line = NULL;
	bool found = false;
	size_t room = 0;

	if (!file)
		return false;
	while (!found && getline(&line, &room, file) > 0)
		found = !strncmp(line, "flags", 5) && strstr(line, flag);
	free(line);
	fclose(file);
	return found;
}

static void check_isolation(struct report *report)
{
	char text[128];

	first_line("/sys/devices/system/cpu/vulnerabilities/meltdown", text, sizeof(text));
	good(report, "page-table isolation",
	     strstr(text, "PTI") || has_cpu_flag(" pti ") ? "on; morsels work with it" : "off");
}

static void check_limits(struct report *report)
{
	struct rlimit limit;
	char text[64];

	if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY) {
		format_size(text, sizeof(text), limit.rlim_cur);
		note(report, "address space", text,
		     "mappings take whole GiBs of addresses: ulimit -v unlimited");
	} else {
		good(report, "address space", "unlimited");
	}
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)limit.rlim_cur);
	if (limit.rlim_cur < 1024)
		note(report, "open files", text, "each morsel in use is one: ulimit -n 4096");
	else
		good(report, "open files", text);
}

/*
 * Who has a morsel, or a KVM guest, and changes what may be done with a mapping at address 0, hangs in
 * the kernel, and cannot be killed: kmod/PATHS.md.
 */
static void check_lowest_address(struct report *report)
{
	char text[64];

	first_line("/proc/sys/vm/mmap_min_addr", text, sizeof(text));
	if (!strcmp(text, "0"))
		note(report, "lowest address", "0, for all users",
		     "who maps that can hang for ever: sysctl vm.mmap_min_addr=65536");
	else if (*text)
		good(report, "lowest address", text);
}

/* All that is about this machine as it runs. */
static void check_machine(struct report *report)
{
	bool refused;
	int device;

	/* Where the module is installed, this loads it. */
	device = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	refused = device < 0 && errno == EACCES;
	if (device >= 0)
		close(device);
	check_module(report, refused);
	check_device(report);
	if (report->code == EXIT_OK || report->code == EXIT_FAILED)
		check_abi(report);
	check_huge(report);
	check_isolation(report);
	check_limits(report);
	check_lowest_address(report);
	check_cgroup(report);
}

int run_doctor(struct ctl *ctl, char **args)
{
	static const struct column columns[] = {
		{"verdict", "", COLUMN_TEXT},
		{"check", "CHECK", COLUMN_TEXT},
		{"found", "FOUND", COLUMN_TEXT},
		{"remedy", "WHAT TO DO", COLUMN_TEXT},
	};
	struct report report = {.rows = json_object_new_array()};
	int code;

	(void)args;
	check_kernel(&report, ctl->root, ctl->kernel);
	if (!ctl->root && !ctl->kernel)
		check_machine(&report);
	code = print_rows(ctl, EXIT_OK, columns, COUNT(columns), report.rows);
	return code ? code : report.code;
}
