// SPDX-License-Identifier: GPL-2.0
/*
 * doctor: can the module work on a kernel?  As far as can be told without it; the
 * module's own checks, when it is built and loaded, are in kmod/Kbuild and main.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"

/**
 * struct kernel - the one that is looked at
 * @root:	where its files are: "" or a folder
 * @release:	as uname -r says
 * @running:	it is the one that runs
 * @version:	its version, to be compared
 * @config:	its configuration as text, or NULL
 */
struct kernel {
	const char *root;
	const char *release;
	bool running;
	unsigned int version;
	char *config;
};

#define VERSION(major, minor, patch) ((major) << 16 | (minor) << 8 | (patch))

/* All of a file, or of what a command prints; NULL if that is nothing. */
static char *read_all(FILE *file)
{
	char *text = NULL;
	size_t room = 0;

	if (file && getdelim(&text, &room, 0, file) <= 0) {
		free(text);
		text = NULL;
	}
	return text;
}

__attribute__((format(printf, 2, 3))) static char *read_file(const struct kernel *kernel,
							     const char *format, ...)
{
	char name[256], path[512];
	FILE *file;
	va_list args;
	char *text;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s%s", kernel->root, name);
	file = fopen(path, "r");
	text = read_all(file);
	if (file)
		fclose(file);
	return text;
}

/* Debian, Fedora, what modules are built with, and the kernel itself if it tells. */
static char *read_config(const struct kernel *kernel)
{
	static const char *const places[] = {
		"/boot/config-%s",
		"/lib/modules/%s/config",
		"/lib/modules/%s/build/.config",
	};
	char *config = NULL;
	FILE *pipe;

	for (size_t i = 0; !config && i < COUNT(places); i++)
		config = read_file(kernel, places[i], kernel->release);
	if (!config && kernel->running && !access("/proc/config.gz", R_OK)) {
		pipe = popen("zcat /proc/config.gz", "r");
		config = read_all(pipe);
		if (pipe)
			pclose(pipe);
	}
	return config;
}

/* Is an option on, if as a module?  Only where the configuration is known. */
static bool has(const struct kernel *kernel, const char *option)
{
	char line[96];
	int length = snprintf(line, sizeof(line), "\n%s=y\n", option);

	if (strstr(kernel->config, line))
		return true;
	line[length - 2] = 'm';
	return strstr(kernel->config, line);
}

/* Options that the module cannot do without, or not do with. */
static const struct {
	const char *option;
	bool wanted;
	const char *what;
	const char *remedy;
} options[] = {
	{"CONFIG_X86_64", true, "processor", "morsels are for x86-64 only"},
	{"CONFIG_PREEMPT_RT", false, "real-time kernel",
	 "boot another flavour; on Debian: apt install linux-image-amd64"},
	{"CONFIG_TRANSPARENT_HUGEPAGE", true, "transparent huge pages",
	 "boot a kernel that has them built in; they need not be enabled"},
	{"CONFIG_MMU_NOTIFIER", true, "MMU notifiers",
	 "boot a kernel that has them, as all do that have KVM"},
	{"CONFIG_NLS", true, "UTF-8", "boot a kernel that knows it, as all do that have FAT"},
};

static void check_config(struct report *report, const struct kernel *kernel)
{
	char found[96];

	if (!kernel->config) {
		note(report, "configuration", "not found",
		     "see that it has CONFIG_TRANSPARENT_HUGEPAGE, CONFIG_MMU_NOTIFIER and "
		     "CONFIG_NLS, "
		     "and not CONFIG_PREEMPT_RT");
		return;
	}
	for (size_t i = 0; i < COUNT(options); i++) {
		if (has(kernel, options[i].option) == options[i].wanted)
			continue;
		snprintf(found, sizeof(found), "%s is %s", options[i].option,
			 options[i].wanted ? "not set" : "set");
		problem(report, EXIT_NO_MODULE, options[i].what, found, options[i].remedy);
	}
}

static void check_version(struct report *report, const struct kernel *kernel)
{
	if (!kernel->version)
		note(report, "kernel", kernel->release, "morsels take 6.1 or newer");
	else if (kernel->version < VERSION(6, 1, 0))
		problem(report, EXIT_NO_MODULE, "kernel", kernel->release,
			"too old: boot 6.1 or newer");
	else
		good(report, "kernel", kernel->release);
}

/*
 * The module is not built where it sees that userfaultfd may write into its tables;
 * versions do not tell whether a distribution has mended it.
 */
static void check_userfaultfd(struct report *report, const struct kernel *kernel)
{
	unsigned int version = kernel->version;
	char *header;
	bool mended;

	if (version < VERSION(6, 7, 0) || version >= VERSION(7, 1, 8) ||
	    (version >= VERSION(6, 12, 105) && version < VERSION(6, 13, 0)) ||
	    (kernel->config && !has(kernel, "CONFIG_PTE_MARKER_UFFD_WP")))
		return;
	/* Debian has it apart from what is specific to a flavour. */
	header = read_file(kernel, "/lib/modules/%s/build/include/linux/userfaultfd_k.h",
			   kernel->release);
	if (!header)
		header = read_file(kernel, "/lib/modules/%s/source/include/linux/userfaultfd_k.h",
				   kernel->release);
	mended = header && strstr(header, "VM_SPECIAL");
	if (mended)
		good(report, "userfaultfd", "leaves morsels alone");
	else if (header)
		problem(report, EXIT_NO_MODULE, "userfaultfd", "not mended (CVE-2026-68166)",
			"update the kernel: 6.12.105, 7.1.8 or newer");
	else
		note(report, "userfaultfd", "maybe not mended (CVE-2026-68166)",
		     "if the module says so when it is built, update the kernel");
	free(header);
}

/* As kstrtobool() has it; the last one counts. */
static bool checks_tables(const char *line)
{
	bool on = false;

	while (line && (line = strstr(line, "page_table_check="))) {
		line += strlen("page_table_check=");
		on = strspn(line, "yYtT1") || !strncasecmp(line, "on", 2);
	}
	return on;
}

/* What it was booted with. */
static void check_boot(struct report *report, const struct kernel *kernel)
{
	char *line = read_file(kernel, "/proc/cmdline"),
	     *guest = read_file(kernel, "/sys/hypervisor/guest_type");
	bool checks = kernel->config && has(kernel, "CONFIG_PAGE_TABLE_CHECK") &&
		      (has(kernel, "CONFIG_PAGE_TABLE_CHECK_ENFORCED") || checks_tables(line));

	if (guest && !strcmp(guest, "PV\n"))
		problem(report, EXIT_NO_MODULE, "hypervisor", "Xen PV", "use an HVM or PVH guest");
	/* As compat_counts_entries() has it. */
	if (checks && kernel->version >= VERSION(6, 13, 0))
		problem(report, EXIT_NO_MODULE, "page_table_check", "on",
			"it would miss what the module does: boot without page_table_check=on");
	free(line);
	free(guest);
}

static unsigned int parse_version(const char *release)
{
	unsigned int major = 0, minor = 0, patch = 0;

	if (sscanf(release, "%u.%u.%u", &major, &minor, &patch) < 2)
		return 0;
	return VERSION(major, minor, patch < 255 ? patch : 255);
}

/**
 * check_kernel() - say of a kernel what keeps the module from working on it
 * @report:	where to
 * @root:	where its files are, or NULL: here
 * @release:	which one, or NULL: the one that runs
 */
void check_kernel(struct report *report, const char *root, const char *release)
{
	struct kernel kernel = {.root = root ? root : "", .release = release};
	struct utsname name;

	uname(&name);
	if (!release)
		kernel.release = name.release;
	kernel.running = !root && !strcmp(kernel.release, name.release);
	kernel.version = parse_version(kernel.release);
	kernel.config = read_config(&kernel);
	check_version(report, &kernel);
	check_config(report, &kernel);
	check_userfaultfd(report, &kernel);
	if (kernel.running || root)
		check_boot(report, &kernel);
	free(kernel.config);
}
