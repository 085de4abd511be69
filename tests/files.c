// SPDX-License-Identifier: GPL-2.0
/*
 * What the suites share: files of the kernel, and what they say.
 */
#include "common.h"

const char *read_text(const char *path, ...)
{
	static char text[1 << 17];
	char full[256];
	ssize_t got;
	size_t length = 0;
	va_list args;
	int fd;

	va_start(args, path);
	vsnprintf(full, sizeof(full), path, args);
	va_end(args);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += got;
	if (fd >= 0)
		close(fd);
	text[length] = 0;
	return text;
}

unsigned long kib_of(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		if (!strncmp(text, name, length) && text[length] == ':')
			return strtoul(text + length + 1, NULL, 10);
	fail_msg("there is no %s", name);
	return 0;
}

bool cpu_has(const char *flag)
{
	const char *flags = strstr(read_text("/proc/cpuinfo"), "\nflags"), *found;
	size_t length = strlen(flag);

	for (found = flags; found && (found = strstr(found, flag)); found += length)
		if (found[-1] == ' ' && strchr(" \n", found[length]))
			return true;
	return false;
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t length = strlen(text);
	bool done = fd >= 0 && write(fd, text, length) == length;

	if (fd >= 0)
		close(fd);
	return done;
}

const char *maps_line(pid_t pid, const void *address)
{
	unsigned long at = (uintptr_t)address, start, end;
	const char *text = pid ? read_text("/proc/%d/maps", pid) : read_text("/proc/self/maps");
	static char line[512];

	for (; *text; text = strchr(text, '\n') + 1) {
		if (sscanf(text, "%lx-%lx", &start, &end) != 2 || at < start || at >= end)
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
		return line;
	}
	return "";
}

int scratch_file(size_t length)
{
	const char *folder = getenv("MORSEL_SCRATCH") ?: "/scratch";
	int fd = open(folder, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

	if (fd >= 0 && ftruncate(fd, length)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool trace_set(const char *event, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), TRACING "events/morsel/%s/enable", event);
	return write_text(path, value);
}

static void forget_trace(void)
{
	int fd = open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	must(fd >= 0, "cannot empty the trace: %s", strerror(errno));
	close(fd);
}

void trace_begin(const char *event)
{
	if (!trace_set(event, "1") || !write_text(TRACING "tracing_on", "1"))
		skip_because("this kernel has no tracing");
	forget_trace();
}

unsigned int traced(const char *event, const char *number, unsigned long *sum)
{
	FILE *trace = fopen(TRACING "trace", "re");
	unsigned int count = 0;
	char line[512], *at;

	assert_non_null(trace);
	*sum = 0;
	while (fgets(line, sizeof(line), trace)) {
		at = strstr(line, event);
		if (!at || at[strlen(event)] != ':')
			continue;
		at = strstr(at, number);
		assert_true(at && at[strlen(number)] == '=');
		*sum += strtoul(at + strlen(number) + 1, NULL, 10);
		count++;
	}
	fclose(trace);
	forget_trace();
	return count;
}

void trace_end(const char *event)
{
	trace_set(event, "0");
}

unsigned int traced_lines(const char *text)
{
	FILE *trace = fopen(TRACING "trace", "re");
	unsigned int count = 0;
	char line[512];

	must(trace, "cannot read the trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), trace))
		count += *line != '#' && strstr(line, text);
	fclose(trace);
	forget_trace();
	return count;
}
