// SPDX-License-Identifier: GPL-2.0
/*
 * Part of every suite: MORSEL_TEST=PATTERN in the environment runs those tests
 * alone whose names match, as a shell matches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void filter_tests(void)
{
	const char *pattern = getenv("MORSEL_TEST");

	if (pattern)
		cmocka_set_test_filter(pattern);
}
