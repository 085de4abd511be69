// SPDX-License-Identifier: GPL-2.0
/*
 * Having allocations fail.
 */
#include "inject.h"

#define DEBUG "/sys/kernel/debug/"
/* Where modules are on x86-64: above the kernel. */
#define MODULES_START "0xffffffffa0000000"
#define MODULES_END "0xfffffffffeffffff"

/* The thread's own counter; kept open, so that setting it allocates nothing. */
static int fail_nth = -1;

static const char *const kinds[] = {"failslab", "fail_page_alloc", "fail_usercopy"};

void injection_begin(void)
{
	static const struct {
		const char *file, *value;
	} settings[] = {
		{"require-start", MODULES_START},
		{"require-end", MODULES_END},
		{"stacktrace-depth", "32"},
		/* No report in the log, which would fail the run. */
		{"verbose", "0"},
		/* Those that may sleep, too: most of them. */
		{"ignore-gfp-wait", "N"},
		{"ignore-gfp-highmem", "N"},
		{"min-order", "0"},
	};
	unsigned int i, j;
	char path[128];

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (j = 0; j < ARRAY_SIZE(settings); j++) {
			snprintf(path, sizeof(path), DEBUG "%s/%s", kinds[i], settings[j].file);
			/* Not every kind has every setting. */
			if (!access(path, F_OK) && !write_text(path, settings[j].value))
				fail_msg("cannot write %s", path);
		}
	}
	injection_is_here();
}

void injection_is_here(void)
{
	if (fail_nth >= 0)
		close(fail_nth);
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	must(fail_nth >= 0, "/proc/thread-self/fail-nth: %s", strerror(errno));
}

void arm(unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	must(pwrite(fail_nth, text, length, 0) == length, "/proc/thread-self/fail-nth: %s",
	     strerror(errno));
}

bool disarm(void)
{
	char text[16] = "";

	must(pread(fail_nth, text, sizeof(text) - 1, 0) > 0, "/proc/thread-self/fail-nth: %s",
	     strerror(errno));
	arm(0);
	return !atoi(text);
}

void fail_all_pages(bool fail)
{
	/* Armed last, as setting it up takes memory, too. */
	if (!fail)
		assert_true(write_text("/proc/self/make-it-fail", "0"));
	assert_true(write_text(DEBUG "fail_page_alloc/task-filter", fail ? "Y" : "N"));
	assert_true(write_text(DEBUG "fail_page_alloc/times", fail ? "-1" : "1"));
	assert_true(write_text(DEBUG "fail_page_alloc/probability", fail ? "100" : "0"));
	if (fail)
		assert_true(write_text("/proc/self/make-it-fail", "1"));
}

void injection_end(void)
{
	close(fail_nth);
	fail_nth = -1;
}

void spare_cache_creation(void)
{
	static const char symbol[] = " __kmem_cache_create_args\n";
	unsigned long start = 0;
	char line[256], text[32];
	FILE *symbols = fopen("/proc/kallsyms", "re");
	unsigned int i;

	while (symbols && fgets(line, sizeof(line), symbols))
		if (strstr(line, symbol))
			start = strtoul(line, NULL, 16);
	if (symbols)
		fclose(symbols);
	assert_int_not_equal(start, 0);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(line, sizeof(line), DEBUG "%s/reject-start", kinds[i]);
		snprintf(text, sizeof(text), "%#lx", start);
		assert_true(write_text(line, text));
		snprintf(line, sizeof(line), DEBUG "%s/reject-end", kinds[i]);
		snprintf(text, sizeof(text), "%#lx", start + PAGE);
		assert_true(write_text(line, text));
	}
}

bool can_inject(void)
{
	return !access(DEBUG "failslab/require-start", F_OK);
}
