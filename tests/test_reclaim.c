// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel does by itself to memory: merging, collapsing and splitting it,
 * swapping it out, moving and sampling it.  It must leave a morsel's frames where
 * they are, and their data as they were.
 */
#include "kernel.h"

#include <sys/prctl.h>
#include <sys/swap.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

static char *anonymous(size_t length)
{
	char *memory = mmap(NULL, length, RW, ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail_msg("mmap of %zu bytes: %s", length, strerror(errno));
	return memory;
}

/* Merging and collapsing. */

#define KSM "/sys/kernel/mm/ksm/"

static void assert_ksm_scans(unsigned int count)
{
	unsigned long before = number_in(KSM "full_scans");

	assert_soon(number_in(KSM "full_scans") >= before + count);
}

/*
 * If a page of the morsels were merged, its frame would be another, or KSM would
 * count more than the one shared page that the two anonymous ones make.
 */
static void ksm_merges_nothing_of_a_morsel(void **state)
{
	struct kept one, two;
	char *control, *equal;
	pid_t pid;

	if (access(KSM "run", F_OK))
		skip_because("no KSM here");
	set_kernel(KSM "sleep_millisecs", "0");
	set_kernel(KSM "pages_to_scan", "20000");
	/* Equal pages: the same seed. */
	keep_morsel(&one, MORSEL_GRANULE_4K, 4 * MIB, 7);
	keep_morsel(&two, MORSEL_GRANULE_4K, 4 * MIB, 7);
	control = anonymous(2 * PAGE);
	fill_pattern(control, PAGE, 8);
	fill_pattern(control + PAGE, PAGE, 8);
	/* Equal to the morsels' first pages. */
	equal = anonymous(PAGE);
	fill_pattern(equal, PAGE, 7);
	assert_done(madvise(control, 2 * PAGE, MADV_MERGEABLE));
	assert_done(madvise(equal, PAGE, MADV_MERGEABLE));
	/* Advice that is not taken is no error. */
	assert_done(madvise(one.memory, one.length, MADV_MERGEABLE));
	assert_done(madvise(two.memory, two.length, MADV_MERGEABLE));
	set_kernel(KSM "run", "1");
	assert_soon(number_in(KSM "pages_shared"));
	assert_ksm_scans(4);
	assert_int_equal(number_in(KSM "pages_shared"), 1);
	assert_int_equal(number_in(KSM "pages_sharing"), 1);
	assert_kept(&one);
	assert_kept(&two);

	/* All of a process at once. */
	pid = spawn();
	if (!pid) {
		unsigned long scans;

		if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0)) {
			need(errno == EINVAL && kernel_version() < KERNEL(6, 4));
			_exit(0);
		}
		scans = number_in(KSM "full_scans") + 4;
		while (number_in(KSM "full_scans") < scans && !time_is_up())
			use_kept(&one);
		need(number_in(KSM "full_scans") >= scans);
		_exit(0);
	}
	assert_child_done(pid);
	assert_kept(&one);
	assert_kept(&two);
	write_text(KSM "run", "2");
	assert_true(has_pattern(control, PAGE, 8));
	assert_kept(&one);
	munmap(control, 2 * PAGE);
	munmap(equal, PAGE);
}

#define THP "/sys/kernel/mm/transparent_hugepage/"

/*
 * If khugepaged took a morsel for ordinary memory, its small frames would become
 * one of 2 MiB: another level, other frame numbers.
 */
static void khugepaged_collapses_nothing_of_a_morsel(void **state)
{
	char *place = free_place(64 * MIB), *candidate;
	struct kept *kept = &both[0];
	pid_t user;

	if (access(THP "khugepaged/scan_sleep_millisecs", F_OK))
		skip_because("no transparent huge pages here");
	set_kernel(THP "enabled", "always");
	set_kernel(THP "khugepaged/alloc_sleep_millisecs", "0");
	set_kernel(THP "khugepaged/pages_to_scan", "4096");
	set_kernel(THP "khugepaged/scan_sleep_millisecs", "0");
	/* The candidate on one side and the morsel on the other, in one GiB. */
	keep_morsel_at(&both[1], place + 16 * MIB, MORSEL_GRANULE_2M, 4 * MIB, 2);
	keep_morsel_at(kept, place + 8 * MIB, MORSEL_GRANULE_4K, 8 * MIB, 1);
	candidate = mmap(place, 8 * MIB, RW, ANONYMOUS | MAP_FIXED, -1, 0);
	assert_ptr_equal(candidate, place);
	assert_done(madvise(candidate, 8 * MIB, MADV_NOHUGEPAGE));
	fill_pattern(candidate, 8 * MIB, 3);
	/* Shared with a child, it is not collapsed. */
	assert_done(madvise(candidate, 8 * MIB, MADV_DONTFORK));
	assert_done(madvise(candidate, 8 * MIB, MADV_HUGEPAGE));
	assert_done(madvise(kept->memory, kept->length, MADV_HUGEPAGE));
	user = spawn_user(1);
	assert_soon(smaps_kib(candidate, "AnonHugePages:") >= 8 * MIB / KIB);
	assert_killed_while_well(user);
	assert_both_kept();
	/* By order. */
	assert_errno(madvise(kept->memory, kept->length, MADV_COLLAPSE), EINVAL);
	assert_true(has_pattern(candidate, 8 * MIB, 3));
	assert_both_kept();
	munmap(candidate, 8 * MIB);
}

/*
 * Of anonymous memory it makes 4-KiB pages; a morsel's huge frames it must leave whole: fails if an
 * extent becomes small, or is elsewhere.
 */
static void split_huge_pages_leaves_huge_frames_whole(void **state)
{
	static const char *const path = "/sys/kernel/debug/split_huge_pages";
	char text[128], *control;

	if (access(path, F_OK))
		skip_because("no %s", path);
	set_kernel(THP "enabled", "always");
	/* Else what was split is collapsed again. */
	set_kernel(THP "khugepaged/scan_sleep_millisecs", "3600000");
	keep_both();
	assert_int_equal(info_of(both[1].fd).huge_bytes, both[1].length);
	control = mmap(free_place(4 * MIB), 4 * MIB, RW, ANONYMOUS | MAP_FIXED, -1, 0);
	fill_pattern(control, 4 * MIB, 3);
	/* By order: a fault tries no node but its processor's, which may have no memory. */
	assert_soon(!madvise(control, 4 * MIB, MADV_COLLAPSE));
	assert_true(smaps_kib(control, "AnonHugePages:") > 0);

	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", getpid(), (unsigned long)both[1].memory,
		 (unsigned long)(both[1].memory + both[1].length));
	assert_true(write_text(path, text));
	assert_both_kept();
	/* Not while somebody else holds one of its pages. */
	assert_soon(write_text(path, "1") && !smaps_kib(control, "AnonHugePages:"));
	assert_both_kept();
	assert_int_equal(info_of(both[1].fd).huge_bytes, both[1].length);
	assert_true(has_pattern(control, 4 * MIB, 3));
	munmap(control, 4 * MIB);
}

/* A child may have found something wrong; its status is kept. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = {};

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

/* Reclaim and moving. */

/* For each memory cgroup and node: make a new generation, and evict the oldest. */
static void age_and_evict(unsigned int *done)
{
	static const char *const path = "/sys/kernel/debug/lru_gen";
	unsigned long memcg = 0, node = 0, seq, oldest = 0, newest = 0;
	char commands[64][64];
	unsigned int count = 0, i;
	bool first = false;
	const char *text;

	for (text = read_text(path);; text = strchr(text, '\n') + 1) {
		bool generation = *text && sscanf(text, " %lu", &seq) == 1;

		if (generation) {
			if (first)
				oldest = seq;
			first = false;
			newest = seq;
		} else {
			/* The end of a node. */
			if (newest && count + 2 <= ARRAY_SIZE(commands)) {
				snprintf(commands[count++], sizeof(commands[0]),
					 "+ %lu %lu %lu 200 1", memcg, node, newest);
				snprintf(commands[count++], sizeof(commands[0]),
					 "- %lu %lu %lu 200", memcg, node, oldest);
			}
			newest = 0;
			first = true;
			if (sscanf(text, "memcg %lu", &memcg) != 1)
				sscanf(text, " node %lu", &node);
		}
		if (!strchr(text, '\n'))
			break;
	}
	for (i = 0; i < count; i++)
		*done += write_text(path, commands[i]);
}

/*
 * A process's anonymous memory is swapped out and in, with both morsels in the
 * same address space, and everybody's caches go.  If reclaim took a morsel's
 * frames, data or frame numbers would be others.
 */
static void reclaim_beside_morsels(bool generations)
{
	atomic_uint *rounds = shared_page(), *enough = rounds + 1;
	unsigned long swapped;
	unsigned int aged = 0;
	pid_t pid;

	make_cgroup();
	swap_on(64 * MIB);
	keep_both();
	swapped = vmstat("pswpout ");
	pid = spawn();
	if (!pid) {
		const size_t length = 4 * MIB;
		char *hog = mmap(NULL, length, RW, ANONYMOUS, -1, 0);
		unsigned int seed = 0;

		join_cgroup();
		need(hog != MAP_FAILED);
		need(!madvise(hog, length, MADV_NOHUGEPAGE));
		while (!*enough) {
			fill_pattern(hog, length, ++seed);
			++*rounds;
			use_kept(&both[0]);
			use_kept(&both[1]);
			need(has_pattern(hog, length, seed));
		}
		_exit(0);
	}
	while ((*rounds < rounds_of(100) || vmstat("pswpout ") == swapped ||
		(generations && !aged)) && !has_ended(pid)) {
		if (generations)
			age_and_evict(&aged);
		write_text(CGROUP "/memory.reclaim", "2M");
		write_text(CGROUPS "/memory.reclaim", "1M");
		write_text("/proc/sys/vm/drop_caches", "3");
		sleep_ms(10);
	}
	*enough = 1;
	assert_child_done(pid);
	assert_both_kept();
	munmap(rounds, PAGE);
}

static void generations_of_the_lru_leave_frames_alone(void **state)
{
	if (access("/sys/kernel/mm/lru_gen/enabled", F_OK))
		skip_because("no multi-generational LRU here");
	set_kernel("/sys/kernel/mm/lru_gen/enabled", "y");
	reclaim_beside_morsels(true);
}

static void classic_reclaim_leaves_frames_alone(void **state)
{
	if (!access("/sys/kernel/mm/lru_gen/enabled", F_OK))
		set_kernel("/sys/kernel/mm/lru_gen/enabled", "n");
	reclaim_beside_morsels(false);
}

/*
 * swapoff looks through all address spaces for what is swapped; a morsel's
 * tables in one of them must be passed by.  If it took one for its own, data or
 * frame numbers would be others.
 */
static void swapoff_passes_morsels_by(void **state)
{
	const size_t length = 8 * MIB;
	char *swapped = anonymous(length);
	unsigned int round;
	pid_t user;

	make_cgroup();
	keep_both();
	assert_done(madvise(swapped, length, MADV_NOHUGEPAGE));
	user = spawn_user(1);
	for (round = 0; round < 3; round++) {
		swap_on(32 * MIB);
		fill_pattern(swapped, length, round);
		do
			assert_done(madvise(swapped, length, MADV_PAGEOUT));
		while (!smaps_kib(swapped, "Swap:"));
		assert_done(swapoff(SWAP_FILE));
		assert_int_equal(smaps_kib(swapped, "Swap:"), 0);
		assert_true(has_pattern(swapped, length, round));
		assert_both_kept();
	}
	assert_killed_while_well(user);
	munmap(swapped, length);
}

/* If compaction moved a frame, its number would be another. */
static void compaction_moves_no_frame(void **state)
{
	const size_t length = 64 * MIB;
	char *holes = anonymous(length);
	unsigned long before;
	unsigned int i;
	pid_t user;

	if (access("/proc/sys/vm/compact_memory", F_OK))
		skip_because("no compaction here");
	/* Something to compact. */
	assert_done(madvise(holes, length, MADV_NOHUGEPAGE));
	memset(holes, 1, length);
	keep_both();
	user = spawn_user(1);
	before = vmstat("compact_migrate_scanned ");
	for (i = 0; i < 4 || vmstat("compact_migrate_scanned ") == before; i++) {
		size_t at;

		for (at = i % 2 * PAGE; at < length; at += 8 * PAGE) {
			if (i % 4 < 2)
				assert_done(madvise(holes + at, PAGE, MADV_DONTNEED));
			else
				holes[at] = 1;
		}
		assert_true(write_text("/proc/sys/vm/compact_memory", "1"));
	}
	assert_killed_while_well(user);
	assert_both_kept();
	munmap(holes, length);
}

/* Marking all pages idle must not reach a morsel's leaves. */
static void idle_page_tracking_does_no_harm(void **state)
{
	static const char *const path = "/sys/kernel/mm/page_idle/bitmap";
	uint64_t all = ~0ULL;
	off_t at;
	int fd;

	if (access(path, F_OK))
		skip_because("no %s: CONFIG_IDLE_PAGE_TRACKING is not set", path);
	keep_both();
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (at = 0; pwrite(fd, &all, sizeof(all), at) == sizeof(all); at += sizeof(all))
		;
	assert_both_kept();
}

#define DAMON "/sys/kernel/mm/damon/admin/kdamonds"

static void set_damon(const char *name, const char *value)
{
	char path[192];

	snprintf(path, sizeof(path), DAMON "/%s", name);
	if (!write_text(path, value))
		fail_msg("cannot write %s to %s: %s", value, path, strerror(errno));
}

static void add_damon_scheme(unsigned int number, const char *action)
{
	static const char *const limits[][2] = {
		{"sz/min", "0"},	  {"sz/max", "18446744073709551615"},
		{"nr_accesses/min", "0"}, {"nr_accesses/max", "4294967295"},
		{"age/min", "0"},	  {"age/max", "4294967295"},
	};
	char name[128];
	unsigned int i;

	snprintf(name, sizeof(name), "0/contexts/0/schemes/%u/action", number);
	set_damon(name, action);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		snprintf(name, sizeof(name), "0/contexts/0/schemes/%u/access_pattern/%s", number,
			 limits[i][0]);
		set_damon(name, limits[i][1]);
	}
}

static bool damon_tried(unsigned int number, unsigned int count)
{
	char path[192];

	snprintf(path, sizeof(path), DAMON "/0/contexts/0/schemes/%u/stats/nr_tried", number);
	return write_text(DAMON "/0/state", "update_schemes_stats") && number_in(path) >= count;
}

/*
 * DAMON clears accessed bits of the target's leaves and asks for cold memory to
 * go: if its schemes reached a morsel, frames or data would be others.
 */
static void damon_pages_nothing_of_a_morsel_out(void **state)
{
	char text[32];
	pid_t user;

	if (access(DAMON "/nr_kdamonds", F_OK))
		skip_because("no DAMON by sysfs here");
	/* Only one may be at work. */
	try_set_kernel("/sys/module/damon_stat/parameters/enabled", "N");
	keep_both();
	user = spawn_user(1);
	set_damon("nr_kdamonds", "1");
	set_damon("0/contexts/nr_contexts", "1");
	set_damon("0/contexts/0/operations", "vaddr");
	set_damon("0/contexts/0/monitoring_attrs/intervals/sample_us", "5000");
	set_damon("0/contexts/0/monitoring_attrs/intervals/aggr_us", "20000");
	set_damon("0/contexts/0/monitoring_attrs/intervals/update_us", "100000");
	set_damon("0/contexts/0/targets/nr_targets", "1");
	snprintf(text, sizeof(text), "%d", user);
	set_damon("0/contexts/0/targets/0/pid_target", text);
	set_damon("0/contexts/0/schemes/nr_schemes", "2");
	add_damon_scheme(0, "pageout");
	add_damon_scheme(1, "cold");
	set_damon("0/state", "on");
	assert_soon(damon_tried(0, 200));
	assert_soon(damon_tried(1, 200));
	set_damon("0/state", "off");
	set_damon("nr_kdamonds", "0");
	assert_killed_while_well(user);
	assert_both_kept();
}

/* NUMA. */

#define BALANCING "/sys/kernel/debug/sched/numa_balancing/"

static char *balanced;
static atomic_uint *balanced_enough;

/* On a CPU of one node, then of the other. */
static void *use_all(void *arg)
{
	size_t i;

	while (!*balanced_enough) {
		use_kept(&both[0]);
		use_kept(&both[1]);
		for (i = 0; i < 32 * MIB; i += PAGE)
			atomic_fetch_add((_Atomic uint64_t *)(balanced + i), 1);
	}
	return NULL;
}

/*
 * Balancing makes entries inaccessible so as to see who uses them, and moves
 * pages to there: done to a morsel, its frame numbers would change, or other
 * processes would meet entries that they do not expect.
 */
static void numa_balancing_moves_no_frame(void **state)
{
	unsigned long before;
	char unused[4];
	pid_t pid;

	if (access("/sys/devices/system/node/node1", F_OK))
		skip_because("one NUMA node only");
	if (!try_set_kernel("/proc/sys/kernel/numa_balancing", "1"))
		skip_because("no NUMA balancing here");
	set_kernel(BALANCING "scan_delay_ms", "0");
	set_kernel(BALANCING "scan_period_min_ms", "1");
	set_kernel(BALANCING "scan_period_max_ms", "10");
	set_kernel(BALANCING "scan_size_mb", "1024");
	keep_both();
	balanced_enough = shared_page();
	before = vmstat("numa_hint_faults ");
	pid = spawn();
	if (!pid) {
		balanced = mmap(NULL, 32 * MIB, RW, ANONYMOUS, -1, 0);
		need(balanced != MAP_FAILED);
		need(!madvise(balanced, 32 * MIB, MADV_NOHUGEPAGE));
		run_threads(ARRAY_SIZE(unused), use_all, unused, 1);
		_exit(0);
	}
	assert_soon(vmstat("numa_hint_faults ") >= before + 1000 || has_ended(pid));
	*balanced_enough = 1;
	assert_child_done(pid);
	assert_both_kept();
	munmap(balanced_enough, PAGE);
}

/* The pool of a node; false: it has none. */
/* The node of a new morsel, or -1 and errno. */
static int node_of_new(uint32_t pool, uint32_t node)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = HUGE,
		.mode = 0600,
		.pool = pool,
		.node = node,
	};

	return create_with(&args) < 0 ? -1 : (int)info_of(args.fd).node;
}

static bool not_allowed(uint32_t pool, uint32_t node)
{
	return node_of_new(pool, node) == -1 && errno == EACCES;
}

/* Fails if who may have memory of one node makes morsels of another's. */
static void a_cpuset_bounds_where_morsels_are_made(void **state)
{
	struct morsel_pool_info pools[2];
	uint32_t ids[2], node;
	char mems[2] = "0";
	pid_t pid;

	if (!pool_on(0, &pools[0]) || !pool_on(1, &pools[1]))
		skip_because("one NUMA node only");
	ids[0] = pools[0].id;
	ids[1] = pools[1].id;
	make_cpuset(mems);
	for (node = 0; node < 2; node++) {
		mems[0] = (char)('0' + node);
		assert_true(write_text(CGROUP "/cpuset.mems", mems));
		pid = spawn();
		if (!pid) {
			join_cgroup();
			need(node_of_new(MORSEL_ANY, MORSEL_ANY) == (int)node);
			need(node_of_new(MORSEL_ANY, node) == (int)node);
			need(node_of_new(ids[node], MORSEL_ANY) == (int)node);
			need(not_allowed(MORSEL_ANY, !node));
			need(not_allowed(ids[!node], MORSEL_ANY));
			need(not_allowed(ids[!node], node));
			_exit(0);
		}
		assert_child_done(pid);
	}
	/* Who may have all is asked for nothing. */
	assert_int_equal(node_of_new(ids[1], 0), 1);
}

#define CACHE "/sys/kernel/slab/morsel/"

/*
 * Nothing shrinks them, so who asks for memory is not to count on them: fails if they are told to
 * be reclaimable.
 */
static void inodes_are_no_reclaimable_memory(void **state)
{
	if (access(CACHE, F_OK))
		skip_because("this kernel tells nothing of its caches");
	assert_true(number_in(CACHE "object_size") > 0);
	assert_int_equal(number_in(CACHE "reclaim_account"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(ksm_merges_nothing_of_a_morsel),
		KERNEL_TEST(khugepaged_collapses_nothing_of_a_morsel),
		KERNEL_TEST(split_huge_pages_leaves_huge_frames_whole),
		KERNEL_TEST(generations_of_the_lru_leave_frames_alone),
		KERNEL_TEST(classic_reclaim_leaves_frames_alone),
		KERNEL_TEST(swapoff_passes_morsels_by),
		KERNEL_TEST(compaction_moves_no_frame),
		KERNEL_TEST(idle_page_tracking_does_no_harm),
		KERNEL_TEST(damon_pages_nothing_of_a_morsel_out),
		KERNEL_TEST(numa_balancing_moves_no_frame),
		KERNEL_TEST(a_cpuset_bounds_where_morsels_are_made),
		TEST(inodes_are_no_reclaimable_memory),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
