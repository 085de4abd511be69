// SPDX-License-Identifier: GPL-2.0
/*
 * What the suites share that look at what the kernel does to memory and processes.
 */
#include "kernel.h"

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/swap.h>

/* Settings of the kernel, which are put back after each test. */

static struct setting {
	char path[128];
	char value[64];
} settings[32];
static unsigned int nr_settings;

/* What is in force: of several words, the one in brackets. */
static void get_setting(const char *path, char *value, size_t size)
{
	const char *text = read_text("%s", path), *chosen = strchr(text, '[');

	if (chosen)
		text = chosen + 1;
	snprintf(value, size, "%.*s", (int)strcspn(text, "]\n"), text);
}

bool try_set_kernel(const char *path, const char *value)
{
	struct setting old;

	snprintf(old.path, sizeof(old.path), "%s", path);
	get_setting(path, old.value, sizeof(old.value));
	if (!write_text(path, value))
		return false;
	if (nr_settings < ARRAY_SIZE(settings))
		settings[nr_settings++] = old;
	return true;
}

void set_kernel(const char *path, const char *value)
{
	if (!try_set_kernel(path, value))
		fail_msg("cannot write %s to %s: %s", value, path, strerror(errno));
}

/* Numbers from /proc and /sys. */

unsigned long number_in(const char *path)
{
	return strtoul(read_text("%s", path), NULL, 0);
}

/* The number after a word at the begin of a line. */
static unsigned long number_after(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (; text && *text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		if (!strncmp(text, word, length))
			return strtoul(text + length, NULL, 0);
	return 0;
}

unsigned long vmstat(const char *word)
{
	return number_after(read_text("/proc/vmstat"), word);
}

unsigned long smaps_kib(const void *address, const char *field)
{
	const char *text = read_text("/proc/self/smaps");

	for (; *text; text = strchr(text, '\n') + 1) {
		unsigned long start, end;

		if (sscanf(text, "%lx-%lx ", &start, &end) == 2 && start <= (uintptr_t)address &&
		    end > (uintptr_t)address)
			return number_after(text, field);
	}
	return 0;
}

/* A morsel that must stay as it is. */

#define MAX_EXTENTS 16384

struct morsel_create populated(uint64_t length, uint32_t granule)
{
	return (struct morsel_create){
		.size = sizeof(struct morsel_create),
		.flags = MORSEL_CREATE_POPULATE,
		.length = length,
		.granule = granule,
		.mode = 0600,
		.pool = pool_info().id,
		.node = MORSEL_ANY,
	};
}

int limit_set(uid_t uid, uint64_t bytes, uint32_t flags)
{
	struct morsel_limit limit = {
		.size = sizeof(limit), .flags = flags, .uid = uid, .bytes = bytes};

	return ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit);
}

struct morsel_limit limit_of(uid_t uid)
{
	struct morsel_limit limit = {.size = sizeof(limit), .uid = uid};

	must(!ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit), "limit of %u: %s", uid, strerror(errno));
	return limit;
}

struct morsel_extent *extents_of(int fd, unsigned int *count)
{
	struct morsel_extent *extents = calloc(MAX_EXTENTS, sizeof(*extents));
	uint64_t cursor = 0;
	int filled;

	*count = 0;
	while ((filled = list_step(fd, MORSEL_IOC_EXTENTS, &cursor, extents + *count,
				   sizeof(*extents), MAX_EXTENTS - *count)) > 0)
		*count += filled;
	assert_int_equal(filled, 0);
	return realloc(extents, (*count + 1) * sizeof(*extents));
}

void keep_morsel_at(struct kept *kept, char *address, uint32_t granule, size_t length,
		    unsigned int seed)
{
	kept->fd = create(length, granule);
	kept->memory = map_at(address, kept->fd, length, RW, 0);
	kept->length = length;
	kept->seed = seed;
	kept->attachments = 1;
	fill_pattern(kept->memory, length, seed);
	kept->extents = extents_of(kept->fd, &kept->count);
	assert_true(kept->extents[0].frame);
}

void keep_morsel(struct kept *kept, uint32_t granule, size_t length, unsigned int seed)
{
	keep_morsel_at(kept, free_place(length), granule, length, seed);
}

void assert_kept(const struct kept *kept)
{
	unsigned int count, i;
	struct morsel_extent *extents = extents_of(kept->fd, &count);
	pid_t pid;

	assert_int_equal(count, kept->count);
	for (i = 0; i < count; i++) {
		assert_int_equal(extents[i].offset, kept->extents[i].offset);
		assert_int_equal(extents[i].length, kept->extents[i].length);
		assert_int_equal(extents[i].frame, kept->extents[i].frame);
		assert_int_equal(extents[i].level, kept->extents[i].level);
	}
	free(extents);
	assert_true(has_pattern(kept->memory, kept->length, kept->seed));
	pid = spawn();
	if (!pid) {
		need(has_pattern(kept->memory, kept->length, kept->seed));
		need(has_pattern(map(kept->fd, kept->length, PROT_READ), kept->length, kept->seed));
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(info_of(kept->fd).attachments, kept->attachments);
}

const uint32_t both_granules[2] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

struct kept both[2];

void keep_both(void)
{
	keep_morsel(&both[0], both_granules[0], 4 * MIB, 1);
	keep_morsel(&both[1], both_granules[1], 8 * MIB, 2);
}

void assert_both_kept(void)
{
	assert_kept(&both[0]);
	assert_kept(&both[1]);
}

void use_kept(const struct kept *kept)
{
	uint64_t *words = (uint64_t *)kept->memory;
	size_t i;

	need(has_pattern(kept->memory, kept->length, kept->seed));
	for (i = 0; i < kept->length / sizeof(*words); i += PAGE / sizeof(*words))
		atomic_fetch_add((_Atomic uint64_t *)&words[i], 0);
}

/* How often the user on each CPU has used both. */
static atomic_uint *user_turns;

pid_t spawn_user(unsigned int cpu)
{
	pid_t pid;

	if (!user_turns)
		user_turns = shared_page();
	pid = spawn();
	if (pid) {
		both[0].attachments++;
		both[1].attachments++;
		return pid;
	}
	pin_to_cpu(cpu);
	for (;;) {
		use_kept(&both[0]);
		use_kept(&both[1]);
		user_turns[cpu]++;
	}
}

void assert_user_goes_on(unsigned int cpu)
{
	unsigned int before = user_turns[cpu];

	/* One turn may have begun before. */
	assert_soon(user_turns[cpu] - before > 1);
}

void assert_killed_while_well(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_child_killed(pid, SIGKILL);
	both[0].attachments--;
	both[1].attachments--;
}

void *shared_page(void)
{
	void *page = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	return page;
}

/* A memory cgroup. */

static bool cgroups_mounted;

static void make_cgroup_with(const char *controller)
{
	char text[32];

	if (access(CGROUPS "/cgroup.controllers", F_OK)) {
		if (mount("cgroup2", CGROUPS, "cgroup2", 0, NULL))
			skip_because("no cgroup2: %s", strerror(errno));
		cgroups_mounted = true;
	}
	snprintf(text, sizeof(text), "+%s", controller);
	if (!write_text(CGROUPS "/cgroup.subtree_control", text))
		skip_because("no %s cgroups: %s", controller, strerror(errno));
	assert_done(mkdir(CGROUP, 0755));
}

void make_cgroup(void)
{
	make_cgroup_with("memory");
}

void make_cpuset(const char *mems)
{
	make_cgroup_with("cpuset");
	if (!write_text(CGROUP "/cpuset.mems", mems))
		fail_msg("cannot have memory of node %s: %s", mems, strerror(errno));
}

unsigned long cgroup_event(const char *word)
{
	return number_after(read_text(CGROUP "/memory.events"), word);
}

static void remove_cgroup(void)
{
	write_text(CGROUP "/cgroup.kill", "1");
	while (rmdir(CGROUP) && errno == EBUSY && !time_is_up())
		sleep_ms(10);
	if (cgroups_mounted && !umount2(CGROUPS, MNT_DETACH))
		cgroups_mounted = false;
}

void join_cgroup(void)
{
	need(write_text(CGROUP "/cgroup.procs", "0"));
}

/* A swap file. */

void swap_on(size_t length)
{
	uint32_t header[PAGE / sizeof(uint32_t)] = {};
	int fd = open(SWAP_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		skip_because("no file system for swap: %s", strerror(errno));
	assert_int_equal(posix_fallocate(fd, 0, length), 0);
	header[256] = 1; /* version */
	header[257] = length / PAGE - 1; /* last page */
	memcpy((char *)header + PAGE - 10, "SWAPSPACE2", 10);
	assert_int_equal(pwrite(fd, header, PAGE, 0), PAGE);
	assert_done(fsync(fd));
	close(fd);
	if (swapon(SWAP_FILE, 0))
		skip_because("swapon: %s", strerror(errno));
}

/* The end of a test. */

static const char *to_unlink[4];
static unsigned int nr_to_unlink;

static void write_map(pid_t pid, const char *name)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	snprintf(text, sizeof(text), "0 %d 1000\n", SUBORDINATE);
	assert_true(write_text(path, text));
}

pid_t spawn_in_user_namespace(uid_t uid)
{
	int go[2], ready[2];
	char byte;
	pid_t pid;

	assert_done(pipe(go));
	assert_done(pipe(ready));
	pid = spawn();
	if (!pid) {
		become(TESTER);
		/* Whose the files of /proc are by which it is mapped. */
		need(!unshare(CLONE_NEWUSER));
		need(write(ready[1], "", 1) == 1);
		need(read(go[0], &byte, 1) == 1);
		need(!setresgid(uid, uid, uid));
		need(!setresuid(uid, uid, uid));
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	} else {
		assert_int_equal(read(ready[0], &byte, 1), 1);
		write_map(pid, "uid_map");
		write_map(pid, "gid_map");
		assert_int_equal(write(go[1], "", 1), 1);
	}
	close(go[0]);
	close(go[1]);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

#define CALLS "morsel_test/calls"

static void count_no_calls(void)
{
	write_text(TRACING "events/" CALLS "/enable", "0");
	write_text(TRACING "kprobe_events", "-:" CALLS);
}

static void count_calls(const char *function, pid_t of)
{
	char probe[128], filter[64];

	snprintf(probe, sizeof(probe), "p:" CALLS " %s", function);
	snprintf(filter, sizeof(filter), "common_pid == %d", of);
	if (access(TRACING "kprobe_events", F_OK))
		skip_because("this kernel has no probes");
	if (!write_text(TRACING "kprobe_events", probe))
		fail_msg("there is no %s: %s", function, strerror(errno));
	assert_true(write_text(TRACING "events/" CALLS "/filter", filter));
	assert_true(write_text(TRACING "events/" CALLS "/enable", "1"));
	assert_true(write_text(TRACING "tracing_on", "1"));
	traced_lines("calls");
}

unsigned int calls_of(const char *function, void (*act)(void *of), void *of)
{
	unsigned int count;
	int status;
	pid_t pid;

	pid = spawn();
	if (!pid) {
		raise(SIGSTOP);
		act(of);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	count_calls(function, pid);
	kill(pid, SIGCONT);
	assert_child_done(pid);
	count = traced_lines(" calls: ");
	count_no_calls();
	return count;
}

void unlink_at_end(const char *path)
{
	assert_true(nr_to_unlink < ARRAY_SIZE(to_unlink));
	to_unlink[nr_to_unlink++] = path;
}

int kernel_end(void **state)
{
	count_no_calls();
	swapoff(SWAP_FILE);
	unlink(SWAP_FILE);
	while (nr_to_unlink)
		unlink(to_unlink[--nr_to_unlink]);
	remove_cgroup();
	while (nr_settings) {
		struct setting *old = &settings[--nr_settings];

		if (!write_text(old->path, old->value))
			print_message("# cannot write %s back to %s: %s\n", old->value, old->path,
				      strerror(errno));
	}
	return test_end(state);
}
