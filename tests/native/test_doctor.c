// SPDX-License-Identifier: GPL-2.0
/*
 * What morselctl doctor says of kernels: of a system in a folder, made for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define MORSELCTL "LD_LIBRARY_PATH=" OUT "/lib " OUT "/bin/morselctl "
/* As the manual lists them. */
#define FINE 0
#define NO_MODULE 3

/* Configurations begin with one. */
#define COMMENT "# Automatically generated file; DO NOT EDIT.\n"
#define GOOD_CONFIG                                      \
	"CONFIG_X86_64=y\n"                              \
	"# CONFIG_PREEMPT_RT is not set\n"               \
	"CONFIG_TRANSPARENT_HUGEPAGE=y\n"                \
	"CONFIG_MMU_NOTIFIER=y\n"                        \
	"CONFIG_NLS=y\n"                                 \
	"CONFIG_PTE_MARKER_UFFD_WP=y\n"

static char root[64];
static char output[8192];

static int new_root(void **state)
{
	strcpy(root, "/tmp/morsel-doctor.XXXXXX");
	return !mkdtemp(root);
}

static int remove_root(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* A file of the system; its folder, too. */
static void put(const char *name, const char *text)
{
	char path[256], command[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	snprintf(command, sizeof(command), "mkdir -p $(dirname %s)", path);
	assert_int_equal(system(command), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void put_config(const char *release, const char *config)
{
	char name[128], text[1024];

	snprintf(name, sizeof(name), "boot/config-%s", release);
	snprintf(text, sizeof(text), COMMENT "%s", config);
	put(name, text);
}

/* The exit code, and what it says in output. */
static int doctor(const char *release)
{
	char command[512];
	FILE *pipe;

	snprintf(command, sizeof(command), MORSELCTL "--json doctor -r %s -k %s 2>&1", root,
		 release);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	output[fread(output, 1, sizeof(output) - 1, pipe)] = 0;
	return WEXITSTATUS(pclose(pipe));
}

/* It is a problem, and of what kind. */
static void assert_problem(const char *release, const char *what)
{
	int code = doctor(release);

	if (code != NO_MODULE || !strstr(output, "PROBLEM") || !strstr(output, what))
		fail_msg("%s: exit code %d, and no word of %s:\n%s", release, code, what, output);
}

/* Nothing is wrong, and nothing unknown. */
static void assert_fine(const char *release)
{
	int code = doctor(release);

	if (code != FINE || strstr(output, "PROBLEM") || strstr(output, "note"))
		fail_msg("%s: exit code %d:\n%s", release, code, output);
}

static void kernels_that_do_are_fine(void **state)
{
	static const char *const releases[] = {
		"6.1.0-56-cloud-amd64", "6.12.118+deb13-amd64", "7.2.13+deb14-amd64", "7.3.4+deb13-amd64",
	};

	for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
		put_config(releases[i], GOOD_CONFIG);
		assert_fine(releases[i]);
	}
}

static void a_kernel_may_be_too_old(void **state)
{
	put_config("5.15.0-91-generic", GOOD_CONFIG);
	assert_problem("5.15.0-91-generic", "too old");
	put_config("6.0.19", GOOD_CONFIG);
	assert_problem("6.0.19", "too old");
}

static void options_are_looked_at(void **state)
{
	put_config("7.2.1-a", "CONFIG_X86_64=y\nCONFIG_PREEMPT_RT=y\nCONFIG_TRANSPARENT_HUGEPAGE=y\n"
			      "CONFIG_MMU_NOTIFIER=y\n");
	assert_problem("7.2.1-a", "real-time");
	put_config("7.2.1-b", "CONFIG_X86_64=y\nCONFIG_MMU_NOTIFIER=y\n"
			      "CONFIG_TRANSPARENT_HUGEPAGE_ALWAYS=y\n");
	assert_problem("7.2.1-b", "transparent huge pages");
	put_config("7.2.1-c", "CONFIG_X86_64=y\nCONFIG_TRANSPARENT_HUGEPAGE=y\n");
	assert_problem("7.2.1-c", "MMU notifiers");
	put_config("7.2.1-d", "CONFIG_ARM64=y\nCONFIG_TRANSPARENT_HUGEPAGE=y\nCONFIG_MMU_NOTIFIER=y\n");
	assert_problem("7.2.1-d", "x86-64 only");
	put_config("7.2.1-e", "CONFIG_X86_64=y\nCONFIG_TRANSPARENT_HUGEPAGE=y\nCONFIG_MMU_NOTIFIER=y\n"
			      "# CONFIG_NLS is not set\n");
	assert_problem("7.2.1-e", "UTF-8");
}

static void the_configuration_has_several_places(void **state)
{
	put("lib/modules/7.2.1-a/config", COMMENT GOOD_CONFIG);
	assert_fine("7.2.1-a");
	put("lib/modules/7.2.1-b/build/.config", COMMENT GOOD_CONFIG);
	assert_fine("7.2.1-b");
	assert_int_equal(doctor("7.2.1-nowhere"), FINE);
	assert_non_null(strstr(output, "not found"));
}

static void userfaultfd_is_looked_at(void **state)
{
	put_config("6.8.0-31-generic", GOOD_CONFIG);
	assert_int_equal(doctor("6.8.0-31-generic"), FINE);
	assert_non_null(strstr(output, "CVE-2026-68166"));
	put("lib/modules/6.8.0-31-generic/build/include/linux/userfaultfd_k.h",
	    "if (vma->vm_flags & VM_DROPPABLE)\n");
	assert_problem("6.8.0-31-generic", "CVE-2026-68166");
	put("lib/modules/6.8.0-31-generic/build/include/linux/userfaultfd_k.h",
	    "if (vma->vm_flags & VM_SPECIAL)\n");
	assert_fine("6.8.0-31-generic");

	put_config("6.12.104", GOOD_CONFIG);
	assert_int_equal(doctor("6.12.104"), FINE);
	assert_non_null(strstr(output, "CVE-2026-68166"));
	put_config("6.12.105", GOOD_CONFIG);
	assert_fine("6.12.105");
	put_config("6.8.1", "CONFIG_X86_64=y\nCONFIG_TRANSPARENT_HUGEPAGE=y\nCONFIG_MMU_NOTIFIER=y\n"
			    "CONFIG_NLS=m\n");
	assert_fine("6.8.1");
}

static void what_it_was_booted_with_counts(void **state)
{
	put_config("7.2.1", GOOD_CONFIG "CONFIG_PAGE_TABLE_CHECK=y\n");
	put_config("6.12.118", GOOD_CONFIG "CONFIG_PAGE_TABLE_CHECK=y\n");
	put("proc/cmdline", "root=/dev/sda1 quiet\n");
	assert_fine("7.2.1");
	put("proc/cmdline", "root=/dev/sda1 page_table_check=on\n");
	assert_problem("7.2.1", "page_table_check");
	put("proc/cmdline", "page_table_check=0 page_table_check=1 quiet\n");
	assert_problem("7.2.1", "page_table_check");
	put("proc/cmdline", "page_table_check=1 page_table_check=off quiet\n");
	assert_fine("7.2.1");
	put("proc/cmdline", "page_table_check=y\n");
	assert_problem("7.2.1", "page_table_check");
	assert_fine("6.12.118");
	put("sys/hypervisor/guest_type", "HVM\n");
	assert_fine("6.12.118");
	put("sys/hypervisor/guest_type", "PV\n");
	assert_problem("6.12.118", "Xen PV");
}

#define DOCTOR_TEST(function) cmocka_unit_test_setup_teardown(function, new_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DOCTOR_TEST(kernels_that_do_are_fine),
		DOCTOR_TEST(a_kernel_may_be_too_old),
		DOCTOR_TEST(options_are_looked_at),
		DOCTOR_TEST(the_configuration_has_several_places),
		DOCTOR_TEST(userfaultfd_is_looked_at),
		DOCTOR_TEST(what_it_was_booted_with_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
