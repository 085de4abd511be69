// SPDX-License-Identifier: GPL-2.0
/*
 * The public headers: their layout is ABI, and everybody's compiler takes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "morsel_ioctl.h"
#include "native/layout.h"

#define FIELD(type, field, offset, bytes)                                                          \
	{                                                                                          \
		#type, #field, offsetof(struct type, field), sizeof(((struct type *)0)->field),    \
			offset, bytes                                                              \
	},
#define CALL(call, number) {#call, call, number},

static void fields_lie_where_they_did(void **state)
{
	static const struct {
		const char *type;
		const char *field;
		size_t offset;
		size_t size;
		size_t want_offset;
		size_t want_size;
	} fields[] = {LAYOUT_FIELDS(FIELD)};
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].offset != fields[i].want_offset ||
		    fields[i].size != fields[i].want_size)
			fail_msg("%s.%s is at %zu, %zu bytes", fields[i].type, fields[i].field,
				 fields[i].offset, fields[i].size);
}

static void calls_have_the_numbers_they_had(void **state)
{
	static const struct {
		const char *name;
		unsigned long number;
		unsigned long want;
	} calls[] = {LAYOUT_CALLS(CALL)};
	size_t i, j;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].number != calls[i].want)
			fail_msg("%s is %#lx", calls[i].name, calls[i].number);
		for (j = 0; j < i; j++)
			assert_int_not_equal(calls[i].number & 0xff, calls[j].number & 0xff);
	}
}

static void no_struct_has_holes(void **state)
{
	static const struct {
		size_t end;
		size_t offset;
	} fields[] = {
#define PLACE(type, field, offset, bytes) {(offset) + (bytes), offset},
		LAYOUT_FIELDS(PLACE)
	};
	size_t i;

	/* A field begins where the one before ends, or is the first of its struct. */
	for (i = 1; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].offset)
			assert_int_equal(fields[i].offset, fields[i - 1].end);
}

/* Have a compiler look at a text. */
static int compile(const char *compiler, const char *text)
{
	char command[1024];
	FILE *pipe;
	int status;

	snprintf(command, sizeof(command), "command -v %.*s >/dev/null",
		 (int)strcspn(compiler, " "), compiler);
	if (system(command)) {
		print_message("# there is no %s\n", compiler);
		return -1;
	}
	snprintf(command, sizeof(command), "%s -fsyntax-only -Wall -Wextra -Werror -I%s/include -",
		 compiler, TOP);
	pipe = popen(command, "w");
	assert_non_null(pipe);
	fputs(text, pipe);
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void assert_compiles(const char *compiler, const char *text)
{
	int status = compile(compiler, text);

	if (status < 0)
		skip();
	if (status)
		fail_msg("%s does not take it", compiler);
}

static const char *all_headers(void)
{
	if (access(TOP "/include/morsel.h", R_OK))
		return "#include <morsel_ioctl.h>\nint main(void) { return 0; }\n";
	return "#include <morsel.h>\n#include <morsel_ioctl.h>\nint main(void) { return 0; }\n";
}

static void the_same_in_32_bits(void **state)
{
	/* The compiler's own directory of this machine's headers serves both. */
	assert_compiles("gcc -m32 -std=c11 -x c -I" TOP "/tests -I/usr/include/x86_64-linux-gnu",
			"#include <stddef.h>\n"
			"#include <morsel_ioctl.h>\n"
			"#include <native/layout.h>\n"
			"#define FIELD(type, field, offset, bytes) \\\n"
			"	_Static_assert(offsetof(struct type, field) == (offset) && \\\n"
			"		sizeof(((struct type *)0)->field) == (bytes), #type \".\" #field);\n"
			"#define CALL(call, number) _Static_assert(call == (number), #call);\n"
			"LAYOUT_FIELDS(FIELD)\n"
			"LAYOUT_CALLS(CALL)\n"
			"_Static_assert(sizeof(void *) == 4, \"32 bits\");\n");
}

static void c11_takes_the_headers(void **state)
{
	assert_compiles("gcc -std=c11 -pedantic-errors -x c", all_headers());
}

static void c17_takes_the_headers(void **state)
{
	assert_compiles("gcc -std=c17 -Wstrict-prototypes -x c", all_headers());
	assert_compiles("gcc -std=c17 -Wpadded -x c", "#include <morsel_ioctl.h>\n");
}

static void cxx_takes_the_headers(void **state)
{
	assert_compiles("g++ -std=c++17 -pedantic-errors -x c++", all_headers());
}

static void cxx20_takes_the_headers(void **state)
{
	assert_compiles("g++ -std=c++20 -pedantic-errors -Wold-style-cast -x c++", all_headers());
}

static void clang_takes_the_headers(void **state)
{
	assert_compiles("clang -std=c11 -Wpedantic -x c", all_headers());
}

static void a_wrong_header_is_noticed(void **state)
{
	/* That the tests above can fail. */
	assert_int_equal(compile("gcc -std=c11 -x c", "#include <morsel_ioctl.h>\n"
						      "MORSEL_ASSERT_SIZE(struct morsel_query, 1);\n"),
			 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_lie_where_they_did),
		cmocka_unit_test(calls_have_the_numbers_they_had),
		cmocka_unit_test(no_struct_has_holes),
		cmocka_unit_test(the_same_in_32_bits),
		cmocka_unit_test(c11_takes_the_headers),
		cmocka_unit_test(c17_takes_the_headers),
		cmocka_unit_test(cxx_takes_the_headers),
		cmocka_unit_test(cxx20_takes_the_headers),
		cmocka_unit_test(clang_takes_the_headers),
		cmocka_unit_test(a_wrong_header_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
