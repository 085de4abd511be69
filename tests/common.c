// SPDX-License-Identifier: GPL-2.0
/*
 * What the suites share: the beginning and the end of suites and tests.
 */
#include "common.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

int dev = -1;

static pid_t suite_pid;
static const char *running;
static double test_started;
/* By node, as the module has set them. */
static uint64_t pool_limits[NODES];

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

uint32_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

unsigned int kernel_version(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	return KERNEL(major, minor);
}

bool in_test(void)
{
	return getpid() == suite_pid;
}

void need_failed(const char *file, int line, const char *condition)
{
	dprintf(STDERR_FILENO, "# %s:%d: process %d: not so: %s (errno %s)\n", file, line, getpid(),
		condition, strerrorname_np(errno) ?: "?");
	_exit(1);
}

/* From the environment. */

static unsigned int number_from(const char *variable, unsigned int usual)
{
	const char *text = getenv(variable);

	return text ? (unsigned int)atoi(text) : usual;
}

unsigned int rounds_of(unsigned int full)
{
	unsigned int rounds = (uint64_t)full * number_from("MORSEL_ROUNDS", 5) / 100;

	return rounds ?: 1;
}

/*
 * A test that does not end takes its suite along, and says which it was.
 * MORSEL_TEST_SECONDS: for kernels that are slow.
 */
unsigned int test_seconds(void)
{
	return number_from("MORSEL_TEST_SECONDS", 600);
}

/* So long before the end, one can still say what was waited for. */
#define LAST_SECONDS 20

bool time_is_up(void)
{
	return seconds_now() > test_started + test_seconds() - LAST_SECONDS;
}

static void test_hangs(int signal)
{
	dprintf(STDOUT_FILENO, "not ok - %s %s does not end\n", program_invocation_short_name,
		running);
	_exit(128 + signal);
}

static void watch(void)
{
	signal(SIGALRM, test_hangs);
	alarm(test_seconds());
}

/* The module. */

void load_module(void)
{
	const char *path = getenv("MORSEL_KO");
	int fd;

	if (!access(MORSEL_DEVICE, F_OK))
		return;
	if (!path)
		fail_msg("there is no %s, and MORSEL_KO is not set", MORSEL_DEVICE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		fail_msg("cannot load %s: %s", path, strerror(errno));
	close(fd);
}

int unload_module(void)
{
	return syscall(SYS_delete_module, "morsel", O_NONBLOCK) ? -errno : 0;
}

int suite_begin(void **state)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	suite_pid = getpid();
	test_started = seconds_now();
	load_module();
	return 0;
}

int suite_end(void **state)
{
	unload_module();
	return 0;
}

/* Clearing up. */

static void kill_children(void)
{
	char path[64];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (file)
		fclose(file);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
}

static void close_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int fds[4096];
	unsigned int count = 0;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(dir) && count < ARRAY_SIZE(fds))
			fds[count++] = fd;
	}
	if (dir)
		closedir(dir);
	while (count)
		close(fds[--count]);
}

static void unmap_morsels(void)
{
	unsigned long start, end;
	char line[512];
	bool found;

	do {
		FILE *file = fopen("/proc/self/maps", "re");

		found = false;
		while (file && !found && fgets(line, sizeof(line), file))
			found = strstr(line, "/morsel:") &&
				sscanf(line, "%lx-%lx", &start, &end) == 2;
		if (file)
			fclose(file);
		if (found && munmap((void *)start, end - start))
			found = false;
	} while (found);
}

static void unlink_all(void)
{
	struct morsel_info info[64];
	uint64_t cursor = 0;
	int count, i;

	while ((count = list_step(dev, MORSEL_IOC_LIST, &cursor, info, sizeof(info[0]),
				  ARRAY_SIZE(info))) > 0)
		for (i = 0; i < count; i++)
			if (info[i].flags & MORSEL_INFO_NAMED)
				unlink_morsel(info[i].id, "");
}

static void reset_limits(void)
{
	static const uid_t users[] = {0, TESTER, OTHER};
	struct morsel_pool_info info[NODES];
	unsigned int count, i;

	for (i = 0; i < ARRAY_SIZE(users); i++) {
		struct morsel_limit limit = {
			.size = sizeof(limit), .flags = MORSEL_LIMIT_DEFAULT, .uid = users[i]};

		ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit);
	}
	for (count = all_pools(info), i = 0; i < count; i++)
		if (info[i].node < NODES && pool_limits[info[i].node] &&
		    info[i].limit_bytes != pool_limits[info[i].node])
			resize_pool_on(info[i].node, pool_limits[info[i].node]);
}

/* NULL if nothing is in use, else what is. */
static const char *leftovers(void)
{
	static char text[256];
	struct morsel_pool_info info[16];
	uint64_t cursor = 0;
	unsigned int morsels = query().nr_morsels;
	int count, i;

	if (morsels) {
		snprintf(text, sizeof(text), "%u morsels are left", morsels);
		return text;
	}
	count = list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(info[0]),
			  ARRAY_SIZE(info));
	for (i = 0; i < count; i++) {
		if (!info[i].used_bytes && !info[i].pinned_bytes && !info[i].morsels)
			continue;
		snprintf(text, sizeof(text), "pool %s: %llu bytes in use, %llu pinned, %u morsels",
			 info[i].name, info[i].used_bytes, info[i].pinned_bytes, info[i].morsels);
		return text;
	}
	return NULL;
}

/* What is freed by a worker goes a while later, and @known does not go at all. */
static const char *leftovers_after_a_while(const char *known)
{
	const char *left;

	while ((left = leftovers()) && strcmp(left, known) && !time_is_up())
		sleep_ms(20);
	return left;
}

static void clear_up(void)
{
	kill_children();
	close_descriptors();
	unmap_morsels();
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return;
	unlink_all();
	reset_limits();
}

int test_begin(void **state)
{
	struct morsel_pool_info pools[NODES];
	cpu_set_t everywhere;
	unsigned int count, i;
	char text[128];
	int length, fd;

	running = *state;
	test_started = seconds_now();
	if (access(MORSEL_DEVICE, F_OK))
		load_module();
	clear_up();
	if (dev < 0) {
		print_error("# cannot open %s: %s\n", MORSEL_DEVICE, strerror(errno));
		return -1;
	}
	for (count = all_pools(pools), i = 0; i < count; i++)
		if (pools[i].node < NODES && !pool_limits[pools[i].node])
			pool_limits[pools[i].node] = pools[i].limit_bytes;
	/* Which test a report of the kernel belongs to. */
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	length = snprintf(text, sizeof(text), "morsel-test: %s %s\n", program_invocation_short_name,
			  (const char *)*state);
	if (fd >= 0) {
		if (write(fd, text, length) < 0)
			print_error("# /dev/kmsg: %s\n", strerror(errno));
		close(fd);
	}
	/* Wherever the last test pinned itself to. */
	memset(&everywhere, 0xff, sizeof(everywhere));
	sched_setaffinity(0, sizeof(everywhere), &everywhere);
	watch();
	return 0;
}

static int nothing_is_left(void)
{
	static char known[256];
	const char *left;

	if (access(MORSEL_DEVICE, F_OK))
		return 0;
	clear_up();
	left = dev < 0 ? "the device is gone" : leftovers_after_a_while(known);
	close(dev);
	dev = -1;
	/* What one test leaked is not held against the next. */
	if (!left || !strcmp(left, known))
		return 0;
	print_error("# after the test: %s\n", left);
	snprintf(known, sizeof(known), "%s", left);
	return -1;
}

int test_end(void **state)
{
	int result;

	/* A child that lost its way. */
	if (!in_test())
		_exit(1);
	alarm(0);
	result = nothing_is_left();
	return result;
}

void module_unloads(void **state)
{
	int err;

	if (query().nr_morsels || leftovers())
		fail_msg("%s", leftovers());
	close(dev);
	dev = -1;
	/* Descriptors passed over sockets are closed by a worker. */
	while ((err = unload_module()) && !time_is_up())
		sleep_ms(20);
	if (err)
		fail_msg("delete_module: %s", strerror(-err));
	assert_int_equal(access(MORSEL_DEVICE, F_OK), -1);
}
