// SPDX-License-Identifier: GPL-2.0
/*
 * libmorsel where there is no module: what it exports, how one links to it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "morsel.h"

#define MIB (1UL << 20)
#define GIB (1UL << 30)

static int run(const char *format, ...)
{
	char command[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

static void lengths_of_mappings_are_rounded_up(void **state)
{
	assert_int_equal(morsel_map_length(1), 2 * MIB);
	assert_int_equal(morsel_map_length(2 * MIB), 2 * MIB);
	assert_int_equal(morsel_map_length(2 * MIB + 1), 4 * MIB);
	assert_int_equal(morsel_map_length(GIB), GIB);
	assert_int_equal(morsel_map_length(GIB + 1), 2 * GIB);
	assert_int_equal(morsel_map_length(7 * GIB - 1), 7 * GIB);
}

static void no_module_is_an_error(void **state)
{
	int fd;

	if (!access(MORSEL_DEVICE, F_OK)) {
		print_message("# the module is loaded here\n");
		skip();
	}
	fd = morsel_device();
	assert_true(fd == -ENOENT || fd == -ENODEV);
}

static void the_release_is_said(void **state)
{
	int major, minor, patch;

	assert_int_equal(sscanf(morsel_version(), "%d.%d.%d", &major, &minor, &patch), 3);
}

static void only_what_the_map_lists_is_exported(void **state)
{
	assert_int_equal(run("make -s -C %s/lib OUT=%s abi-check", TOP, OUT), 0);
}

/* By name and soname, so that a later release with another ABI can stand beside it. */
static void it_has_a_soname(void **state)
{
	assert_int_equal(run("readelf -d %s/lib/libmorsel.so | grep -q 'soname.*libmorsel.so.[0-9]'",
			     OUT), 0);
}

static const char program[] = "#include <morsel.h>\\n"
			      "int main(void) { return morsel_map_length(1) != 2 << 20; }\\n";

static void programs_link_to_it(void **state)
{
	static const char *const ways[] = {
		"cc -x c - -o $d/p -L%2$s/lib -lmorsel && LD_LIBRARY_PATH=%2$s/lib $d/p",
		"cc -x c - -x none -o $d/p %2$s/lib/libmorsel.a && $d/p",
		"c++ -x c++ - -o $d/p -L%2$s/lib -lmorsel && LD_LIBRARY_PATH=%2$s/lib $d/p",
	};
	unsigned int i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		char format[512];

		snprintf(format, sizeof(format),
			 "d=$(mktemp -d); printf '%%3$s' | CPATH=%%1$s/include %s; "
			 "s=$?; rm -r $d; exit $s", ways[i]);
		if (run(format, TOP, OUT, program))
			fail_msg("%s", ways[i]);
	}
}

static void pkg_config_knows_it(void **state)
{
	if (run("command -v pkg-config >/dev/null")) {
		print_message("# there is no pkg-config\n");
		skip();
	}
	assert_int_equal(run("PKG_CONFIG_PATH=%s/lib pkg-config --validate libmorsel", OUT), 0);
	assert_int_equal(run("PKG_CONFIG_PATH=%s/lib pkg-config --libs libmorsel | "
			     "grep -q -e -lmorsel", OUT), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_of_mappings_are_rounded_up),
		cmocka_unit_test(no_module_is_an_error),
		cmocka_unit_test(the_release_is_said),
		cmocka_unit_test(only_what_the_map_lists_is_exported),
		cmocka_unit_test(it_has_a_soname),
		cmocka_unit_test(programs_link_to_it),
		cmocka_unit_test(pkg_config_knows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
