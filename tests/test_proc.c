// SPDX-License-Identifier: GPL-2.0
/*
 * What others see of a morsel's mapping: /proc, debuggers, other processes, and
 * who wants to handle the faults of another.
 */
#include "common.h"
#include "newer.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LENGTH SCENE_LENGTH

static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};

/* pagemap, clear_refs */

static uint64_t pagemap_of(const void *address)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	assert_int_equal(
		pread(pagemap, &entry, sizeof(entry), (uintptr_t)address / PAGE * sizeof(entry)),
		sizeof(entry));
	close(pagemap);
	return entry;
}

#define SOFT_DIRTY (1ULL << 55)

static void clear_refs(pid_t pid, char what)
{
	char path[64], text[2] = {what};

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", pid);
	assert_true(write_text(path, text));
}

/*
 * Fails if a right or a frame of others went with the bits, or if what was detached for it is not
 * spliced again by the first fault in each GiB.
 */
static void clear_refs_leaves_others_alone(void **state)
{
	unsigned int i;
	char what;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct scene scene;
		uint64_t faults;

		scene_begin(&scene, granules[i]);
		for (what = '1'; what <= '5'; what++) {
			faults = info_of(scene.fd).faults;
			clear_refs(getpid(), what);
			assert_scene_intact(&scene, 1);
			assert_true(scene_reads(scene.memory));
			scene.memory[PAGE / 2] ^= 1;
			scene.memory[GIB + PAGE / 2] ^= 1;
			assert_int_equal(info_of(scene.fd).faults - faults, what == '4' ? 2 : 0);
			scene.memory[PAGE / 2] ^= 1;
			scene.memory[GIB + PAGE / 2] ^= 1;
			clear_refs(scene.witness, what);
			assert_scene_intact(&scene, 1);
			assert_scene_intact(&scene, 1);
			assert_true(scene_reads(scene.memory));
		}
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/*
 * Who tracks what is written by it gets no answer: all is, until it asks; then nothing is.  Fails
 * if a leaf has the bit.
 */
static void soft_dirty_bits_tell_nothing(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct scene scene;

		scene_begin(&scene, granules[i]);
		assert_true(pagemap_of(scene.memory) & SOFT_DIRTY);
		assert_true(pagemap_of(scene.memory + GIB) & SOFT_DIRTY);
		clear_refs(getpid(), '4');
		scene.memory[PAGE - 1]++;
		scene.memory[GIB + PAGE - 1]++;
		assert_false(pagemap_of(scene.memory) & SOFT_DIRTY);
		assert_false(pagemap_of(scene.memory + GIB) & SOFT_DIRTY);
		scene.memory[PAGE - 1]--;
		assert_scene_intact(&scene, 1);
		assert_done(munmap(scene.memory, LENGTH));
	}
}

static long scan(int pagemap, char *memory, uint64_t flags, struct region *regions,
		 unsigned int room)
{
	struct scan args = {
		.size = sizeof(args),
		.flags = flags,
		.start = (uintptr_t)memory,
		.end = (uintptr_t)memory + LENGTH,
		.vec = (uintptr_t)regions,
		.vec_len = room,
		.category_mask = IS_PRESENT,
		.return_mask = IS_PRESENT | IS_FILE | IS_HUGE,
	};

	return ioctl(pagemap, SCAN, &args);
}

static int open_pagemap_to_scan(void)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	assert_true(pagemap >= 0);
	if (ioctl(pagemap, SCAN, NULL) && errno == ENOTTY) {
		close(pagemap);
		return -1;
	}
	return pagemap;
}

/* Fails if it shows what is not there, or not all. */
static void pagemap_scan_agrees_with_extents(void **state)
{
	int pagemap = open_pagemap_to_scan();
	unsigned int i, j;

	if (pagemap < 0)
		skip_because("this kernel has no PAGEMAP_SCAN");
	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct region regions[16] = {};
		struct scene scene;
		uint64_t at, total = 0;
		long count;

		scene_begin(&scene, granules[i]);
		count = scan(pagemap, scene.memory, 0, regions, ARRAY_SIZE(regions));
		assert_true(count > 0);
		for (j = 0; j < count; j++) {
			assert_int_equal(regions[j].categories,
					 IS_PRESENT | IS_FILE | (i ? IS_HUGE : 0));
			for (at = regions[j].start; at < regions[j].end; at += PAGE)
				assert_int_not_equal(
					frame_at(scene.fd, at - (uintptr_t)scene.memory), 0);
			total += regions[j].end - regions[j].start;
		}
		assert_int_equal(total, scene.frame_bytes);
		assert_scene_intact(&scene, 1);
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/* Fails if a scan took the right to write out of tables that all share. */
static void pagemap_scan_protects_nothing(void **state)
{
	int pagemap = open_pagemap_to_scan();
	unsigned int i;

	if (pagemap < 0)
		skip_because("this kernel has no PAGEMAP_SCAN");
	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct region regions[16] = {};
		struct scene scene;
		uint64_t faults;

		scene_begin(&scene, granules[i]);
		assert_errno(scan(pagemap, scene.memory, SCAN_WRITE_PROTECT | SCAN_CHECK_ASYNC,
				  regions, ARRAY_SIZE(regions)),
			     EPERM);
		assert_scene_intact(&scene, 1);
		scene.memory[PAGE - 1]++;
		scene.memory[PAGE - 1]--;
		/* Without the check, what cannot be protected is left out. */
		assert_int_equal(scan(pagemap, scene.memory, SCAN_WRITE_PROTECT, regions,
				      ARRAY_SIZE(regions)),
				 0);
		faults = info_of(scene.fd).faults;
		assert_scene_intact(&scene, 1);
		assert_int_equal(info_of(scene.fd).faults, faults);
		assert_true(scene_reads(scene.memory));
		scene.memory[GIB + HUGE - 1]++;
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/* maps, smaps, numa_maps */

/* Fails, or does worse, if the kernel looks for a build id where no page cache is. */
static void a_query_of_maps_tells_the_name(void **state)
{
	char name[64], id[64], *memory;
	struct map_query query;
	int maps, fd;

	fd = create_named("asked", LENGTH, 0600);
	memory = map_at(NULL, fd, GIB, RW, 4 * HUGE);
	/* What a build id is looked for in. */
	assert_int_equal(pwrite(fd, "\177ELF\2\1\1", 7, 0), 7);
	memcpy(memory, "\177ELF\2\1\1", 7);
	maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	query = (struct map_query){
		.size = sizeof(query),
		.query_addr = (uintptr_t)memory + HUGE,
		.vma_name_addr = (uintptr_t)name,
		.vma_name_size = sizeof(name),
	};
	if (ioctl(maps, MAP_QUERY, &query) && errno == ENOTTY)
		skip_because("this kernel has no PROCMAP_QUERY");
	assert_int_equal(query.vma_start, (uintptr_t)memory);
	assert_int_equal(query.vma_end, (uintptr_t)memory + GIB);
	assert_int_equal(query.vma_offset, 4 * HUGE);
	assert_int_equal(query.vma_page_size, PAGE);
	assert_int_equal(query.vma_flags & QUERY_SHARED, QUERY_SHARED);
	assert_string_equal(name, "/morsel:/asked");
	query.vma_name_size = 0;
	query.vma_name_addr = 0;
	query.build_id_size = sizeof(id);
	query.build_id_addr = (uintptr_t)id;
	assert_done(ioctl(maps, MAP_QUERY, &query));
	assert_int_equal(query.build_id_size, 0);
	assert_int_equal(memory[1], 'E');
	assert_int_equal(info_of(fd).attachments, 1);
}

/* What smaps says of the mapping at @memory, from the line after the address to its flags. */
static const char *smaps_of(const char *memory)
{
	static char entry[4096];
	const char *text, *end;
	char start[32];

	snprintf(start, sizeof(start), "%lx-", (unsigned long)memory);
	text = strstr(read_text("/proc/self/smaps"), start);
	assert_non_null(text);
	text = strchr(text, '\n') + 1;
	end = strstr(text, "VmFlags:");
	assert_non_null(end);
	snprintf(entry, sizeof(entry), "%.*s", (int)(end - text + strcspn(end, "\n")), text);
	return entry;
}

/*
 * All of what is spliced is resident, and is said to be each process's own, since no page knows
 * who maps it: the sum over all processes is too large.  Fails if that changes without a word.
 */
static void smaps_counts_what_is_spliced_as_private(void **state)
{
	static const char *const zero[] = {"Shared_Clean",  "Shared_Dirty",   "Anonymous",
					   "AnonHugePages", "ShmemPmdMapped", "Swap",
					   "Locked",	    "THPeligible"};
	static const char *const flags[] = {"rd", "wr", "sh", "mr", "mw", "me",
					    "ms", "de", "wf", "dd", "mm"};
	static const char *const no_flags[] = {"io", "pf", "lo", "dc", "ht", "mg", "um", "uw"};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		unsigned long spliced;
		const char *said, *list;
		struct scene scene;
		char flag[8];

		scene_begin(&scene, granules[i]);
		spliced = scene.frame_bytes / KIB;
		said = smaps_of(scene.memory);
		assert_int_equal(kib_of(said, "Size"), LENGTH / KIB);
		assert_int_equal(kib_of(said, "Rss"), spliced);
		assert_int_equal(kib_of(said, "Pss"), spliced);
		assert_int_equal(kib_of(said, "Private_Clean") + kib_of(said, "Private_Dirty"),
				 spliced);
		assert_int_equal(kib_of(said, "FilePmdMapped"), i ? spliced : 0);
		assert_int_equal(kib_of(said, "KernelPageSize"), PAGE / KIB);
		for (j = 0; j < ARRAY_SIZE(zero); j++)
			if (kib_of(said, zero[j]))
				fail_msg("%s is %lu", zero[j], kib_of(said, zero[j]));
		list = strstr(said, "VmFlags:");
		for (j = 0; j < ARRAY_SIZE(flags); j++) {
			snprintf(flag, sizeof(flag), " %s ", flags[j]);
			if (!strstr(list, flag))
				fail_msg("no %s in %s", flags[j], list);
		}
		for (j = 0; j < ARRAY_SIZE(no_flags); j++) {
			snprintf(flag, sizeof(flag), " %s ", no_flags[j]);
			if (strstr(list, flag))
				fail_msg("%s in %s", no_flags[j], list);
		}
		assert_done(madvise(scene.memory, LENGTH, MADV_DONTNEED));
		assert_int_equal(kib_of(smaps_of(scene.memory), "Rss"), 0);
		assert_true(scene_reads(scene.memory));
		assert_int_equal(kib_of(smaps_of(scene.memory), "Rss"), spliced);
		assert_scene_intact(&scene, 1);
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/*
 * The pool's memory is no process's resident memory; the sum that smaps makes has it all the same.
 * Fails if a touch counts for the process, or not for smaps.
 */
static void rss_has_nothing_of_a_morsel(void **state)
{
	int fd = create(64 * MIB, MORSEL_GRANULE_4K);
	char *memory = map(fd, 64 * MIB, RW);
	unsigned long rss, rollup;

	rss = kib_of(read_text("/proc/self/status"), "VmRSS");
	rollup = kib_of(read_text("/proc/self/smaps_rollup"), "Rss");
	memset(memory, 1, 64 * MIB);
	assert_true(kib_of(read_text("/proc/self/status"), "VmRSS") < rss + 8 * MIB / KIB);
	assert_true(kib_of(read_text("/proc/self/smaps_rollup"), "Rss") >= rollup + 56 * MIB / KIB);
	assert_true(kib_of(read_text("/proc/self/status"), "VmSize") >= 64 * MIB / KIB);
}

/* Fails if a page is not counted, or as another node's than the pool's. */
static void numa_maps_counts_pages_by_node(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct scene scene;
		char expected[64], start[32], *line;

		scene_begin(&scene, granules[i]);
		snprintf(start, sizeof(start), "%lx ", (unsigned long)scene.memory);
		line = strstr(read_text("/proc/self/numa_maps"), start);
		assert_non_null(line);
		line[strcspn(line, "\n")] = 0;
		snprintf(expected, sizeof(expected), " N%u=%llu ", info_of(scene.fd).node,
			 (unsigned long long)(scene.frame_bytes / PAGE));
		if (!strstr(line, expected) || !strstr(line, "file=/morsel:") ||
		    !strstr(line, "kernelpagesize_kB=4"))
			fail_msg("no%sin %s", expected, line);
		assert_scene_intact(&scene, 1);
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/* map_files */

/* Fails if what is opened there is another file, or does not hold the module. */
static void map_files_opens_the_morsel(void **state)
{
	int fd = create_named("found", LENGTH, 0600), found;
	char *memory = map(fd, LENGTH, RW), path[128], byte;
	uint64_t id = id_of(fd);
	pid_t pid;

	fill_pattern(memory, PAGE, 1);
	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", getpid(), (unsigned long)memory,
		 (unsigned long)memory + LENGTH);
	pid = spawn();
	if (!pid) {
		become(TESTER);
		need(open(path, O_RDWR) < 0);
		need(errno == EPERM || errno == EACCES);
		_exit(0);
	}
	assert_child_done(pid);
	found = open(path, O_RDWR | O_CLOEXEC);
	assert_true(found >= 0);
	assert_done(munmap(memory, LENGTH));
	assert_done(unlink_morsel(0, "found"));
	close(fd);
	/* It is all that holds the morsel, and the module. */
	assert_int_equal(count_morsels(), 1);
	close(dev);
	assert_int_not_equal(unload_module(), 0);
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	assert_int_equal(id_of(found), id);
	memory = map(found, LENGTH, RW);
	assert_true(has_pattern(memory, PAGE, 1));
	assert_int_equal(pread(found, &byte, 1, 1), 1);
	assert_int_equal(byte, memory[1]);
	assert_done(munmap(memory, LENGTH));
	close(found);
	assert_int_equal(count_morsels(), 0);
}

/* Other processes. */

/* A child that waits, with mappings of a scene: the first writable, the second not, one of neither. */
struct mappings {
	pid_t pid;
	char *writable;
	char *readable;
	char *hidden;
};

static void mappings_begin(struct mappings *mappings, struct scene *scene, bool traced)
{
	int status;

	mappings->writable = free_place(8 * GIB);
	mappings->readable = mappings->writable + 2 * GIB;
	mappings->hidden = mappings->writable + 4 * GIB;
	mappings->pid = spawn();
	if (!mappings->pid) {
		munmap(scene->memory, LENGTH);
		map_at(mappings->writable, scene->fd, LENGTH, RW, 0);
		map_at(mappings->readable, scene->fd, LENGTH, PROT_READ, 0);
		map_at(mappings->hidden, scene->fd, LENGTH, PROT_NONE, 0);
		need(scene_reads(mappings->readable));
		if (traced)
			need(!ptrace(PTRACE_TRACEME, 0, 0, 0));
		raise(SIGSTOP);
		need(scene_reads(mappings->writable));
		_exit(0);
	}
	assert_int_equal(waitpid(mappings->pid, &status, WUNTRACED), mappings->pid);
	assert_true(WIFSTOPPED(status));
}

static ssize_t copy_to(pid_t pid, char *text, char *address, size_t length)
{
	struct iovec local = {text, length}, remote = {address, length};

	return process_vm_writev(pid, &local, 1, &remote, 1, 0);
}

static ssize_t copy_from(pid_t pid, char *text, char *address, size_t length)
{
	struct iovec local = {text, length}, remote = {address, length};

	return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

/* Fails if another process's rights are gone round, or if a hole is not what it is. */
static void process_vm_calls_keep_the_rights(void **state)
{
	static char text[2 * PAGE], before[2 * PAGE];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct scene scene;
		struct mappings mappings;

		scene_begin(&scene, granules[i]);
		mappings_begin(&mappings, &scene, false);
		for (j = 0; j < SCENE_PLACES; j++) {
			uint64_t at = scene_places[j];

			memcpy(before, scene.memory + at, PAGE / 2);
			assert_int_equal(
				copy_from(mappings.pid, text, mappings.readable + at, PAGE / 2),
				PAGE / 2);
			assert_memory_equal(text, before, PAGE / 2);
			memset(text, 0x77, sizeof(text));
			assert_errno(copy_to(mappings.pid, text, mappings.readable + at, PAGE / 2),
				     EFAULT);
			assert_errno(copy_to(mappings.pid, text, mappings.hidden + at, PAGE / 2),
				     EFAULT);
			assert_errno(copy_from(mappings.pid, text, mappings.hidden + at, PAGE / 2),
				     EFAULT);
			assert_memory_equal(scene.memory + at, before, PAGE / 2);
			assert_int_equal(
				copy_to(mappings.pid, text, mappings.writable + at, PAGE / 2),
				PAGE / 2);
			assert_memory_equal(scene.memory + at, text, PAGE / 2);
			assert_int_equal(
				copy_to(mappings.pid, before, mappings.writable + at, PAGE / 2),
				PAGE / 2);
		}
		assert_scene_intact(&scene, 4);
		/* Beyond the end of what is mapped: in part. */
		assert_int_equal(
			copy_from(mappings.pid, text, mappings.writable + LENGTH - PAGE, 2 * PAGE),
			PAGE);
		assert_true(is_zero(text, PAGE));
		kill(mappings.pid, SIGCONT);
		assert_child_done(mappings.pid);
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/* Fails if a debugger writes where the program may not: there is no copy for it to write to. */
static void ptrace_does_not_write_read_only_memory(void **state)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct scene scene;
		struct mappings mappings;

		scene_begin(&scene, granules[i]);
		mappings_begin(&mappings, &scene, true);
		for (j = 0; j < SCENE_PLACES; j++) {
			uint64_t at = scene_places[j];
			long word = *(long *)(scene.memory + at);

			assert_errno(ptrace(PTRACE_POKEDATA, mappings.pid, mappings.readable + at,
					    ~word),
				     EIO);
			assert_errno(
				ptrace(PTRACE_POKEDATA, mappings.pid, mappings.hidden + at, ~word),
				EIO);
			errno = 0;
			assert_int_equal(
				ptrace(PTRACE_PEEKDATA, mappings.pid, mappings.readable + at, NULL),
				word);
			assert_int_equal(errno, 0);
			/* What the program may not read, a debugger may, as with any memory. */
			assert_int_equal(
				ptrace(PTRACE_PEEKDATA, mappings.pid, mappings.hidden + at, NULL),
				word);
			assert_int_equal(errno, 0);
			assert_int_equal(*(long *)(scene.memory + at), word);
			assert_done(ptrace(PTRACE_POKEDATA, mappings.pid, mappings.writable + at,
					   ~word));
			assert_int_equal(*(long *)(scene.memory + at), ~word);
			assert_done(ptrace(PTRACE_POKEDATA, mappings.pid, mappings.writable + at,
					   word));
		}
		assert_scene_intact(&scene, 4);
		assert_done(ptrace(PTRACE_CONT, mappings.pid, NULL, NULL));
		assert_child_done(mappings.pid);
		assert_done(munmap(scene.memory, LENGTH));
	}
}

/* userfaultfd */

/* A descriptor with some features; -1: the kernel does not have them. */
static int user_faults(uint64_t features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	if (!ioctl(fd, UFFDIO_API, &api))
		return fd;
	close(fd);
	return -1;
}

static int user_register(int faults, void *memory, size_t length, uint64_t mode)
{
	struct uffdio_register args = {
		.range = {(uintptr_t)memory, length},
		.mode = mode,
	};

	return ioctl(faults, UFFDIO_REGISTER, &args);
}

/* Fails if the kernel may put marks into our tables, above all where all of them are shared. */
static void userfaultfd_is_refused(void **state)
{
	static const uint64_t features[] = {
		0,
		UFFD_FEATURE_PAGEFAULT_FLAG_WP,
		UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_MISSING_SHMEM,
		FEATURE_WP_UNPOPULATED,
		FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED,
	};
	unsigned int i, j, tried = 0;
	struct scene scene;
	char *reader, *forever, *edge;
	uint64_t mode;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		scene_begin(&scene, granules[i]);
		reader = map(scene.fd, LENGTH, PROT_READ);
		forever = map(reopen_read_only(scene.fd), LENGTH, PROT_READ);
		/* A page in a table of the process's own. */
		edge = map_at(NULL, scene.fd, 4 * PAGE, RW, 0);
		assert_int_equal(probe_read(edge, NULL), 0);
		for (j = 0; j < ARRAY_SIZE(features); j++) {
			int faults = user_faults(features[j]);

			if (faults < 0)
				continue;
			tried++;
			for (mode = 1; mode <= 7; mode++) {
				assert_errno(user_register(faults, scene.memory, LENGTH, mode),
					     EINVAL);
				assert_errno(user_register(faults, scene.memory + HUGE, HUGE, mode),
					     EINVAL);
				assert_errno(user_register(faults, reader, LENGTH, mode), EINVAL);
				assert_errno(user_register(faults, forever, LENGTH, mode), EINVAL);
				assert_errno(user_register(faults, edge, 4 * PAGE, mode), EINVAL);
			}
			close(faults);
			assert_true(scene_reads(scene.memory));
			assert_true(scene_reads(reader));
			assert_true(scene_reads(forever));
			assert_scene_intact(&scene, 3);
		}
		assert_done(munmap(scene.memory, LENGTH));
		assert_done(munmap(reader, LENGTH));
		assert_done(munmap(forever, LENGTH));
		assert_done(munmap(edge, 4 * PAGE));
	}
	if (!tried)
		skip_because("userfaultfd: %s", strerror(errno));
}

/* Fails if a page of the morsel went, or one of ordinary memory came into it. */
static void userfaultfd_moves_nothing_in_or_out(void **state)
{
	int faults = user_faults(FEATURE_MOVE);
	bool moves = faults >= 0;
	struct uffdio_copy copy;
	struct scene scene;
	struct move move;
	char *anonymous, *mappings[2];
	unsigned int i;
	pid_t pid;

	if (!moves)
		faults = user_faults(0);
	if (faults < 0)
		skip_because("userfaultfd: %s", strerror(errno));
	scene_begin(&scene, MORSEL_GRANULE_4K);
	anonymous = mmap(NULL, 4 * HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_done(user_register(faults, anonymous, 2 * HUGE, UFFDIO_REGISTER_MODE_MISSING));
	fill_pattern(anonymous + 2 * HUGE, PAGE, 7);

	/* A mapping that can never be written is a private one to the kernel, in part. */
	mappings[0] = scene.memory;
	mappings[1] = map(reopen_read_only(scene.fd), LENGTH, PROT_READ);
	for (i = 0; i < ARRAY_SIZE(mappings); i++) {
		/* Into a hole, and where something is. */
		for (size_t at = 0; at <= 8 * MIB; at += 8 * MIB) {
			struct uffdio_zeropage zero = {
				.range = {(uintptr_t)mappings[i] + at, PAGE}};

			copy = (struct uffdio_copy){
				.dst = (uintptr_t)mappings[i] + at,
				.src = (uintptr_t)anonymous + 2 * HUGE,
				.len = PAGE,
			};
			assert_errno(ioctl(faults, UFFDIO_COPY, &copy), ENOENT);
			assert_errno(ioctl(faults, UFFDIO_ZEROPAGE, &zero), ENOENT);
			move = (struct move){.dst = copy.dst, .src = copy.src, .len = PAGE};
			if (moves)
				assert_errno(ioctl(faults, MOVE, &move), EINVAL);
		}
		/* Out of it. */
		move = (struct move){
			.dst = (uintptr_t)anonymous,
			.src = (uintptr_t)mappings[i],
			.len = PAGE,
		};
		if (moves)
			assert_errno(ioctl(faults, MOVE, &move), EINVAL);
		assert_true(scene_reads(mappings[i]));
		pid = spawn();
		if (!pid) {
			need(scene_reads(mappings[i]));
			_exit(0);
		}
		assert_child_done(pid);
	}
	/* A copy is the caller's reading. */
	copy = (struct uffdio_copy){
		.dst = (uintptr_t)anonymous,
		.src = (uintptr_t)scene.memory,
		.len = PAGE,
	};
	assert_done(ioctl(faults, UFFDIO_COPY, &copy));
	assert_memory_equal(anonymous, scene.memory, PAGE / 2);
	assert_true(has_pattern(anonymous + 2 * HUGE, PAGE, 7));
	assert_true(scene_reads(scene.memory));
	assert_scene_intact(&scene, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clear_refs_leaves_others_alone),
		TEST(soft_dirty_bits_tell_nothing),
		TEST(pagemap_scan_agrees_with_extents),
		TEST(pagemap_scan_protects_nothing),
		TEST(a_query_of_maps_tells_the_name),
		TEST(smaps_counts_what_is_spliced_as_private),
		TEST(rss_has_nothing_of_a_morsel),
		TEST(numa_maps_counts_pages_by_node),
		TEST(map_files_opens_the_morsel),
		TEST(process_vm_calls_keep_the_rights),
		TEST(ptrace_does_not_write_read_only_memory),
		TEST(userfaultfd_is_refused),
		TEST(userfaultfd_moves_nothing_in_or_out),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
