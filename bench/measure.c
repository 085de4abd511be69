// SPDX-License-Identifier: GPL-2.0
/*
 * Measuring mappings.  Everything that is timed runs in a process of its own, forked for the
 * purpose, which maps an object that others populated, and tells what it saw through a pipe.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

/* Processes that a short mapping is measured in. */
#define REPEATS 9

uint64_t measure_settle_ms = 400;

void die(const char *format, ...)
{
	int error = errno;
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t round_up_to(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static int by_value(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* Sorts the values. */
uint64_t median(uint64_t *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_value);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* A line "KEY:  N kB" of a file in /proc, in bytes. */
static uint64_t proc_bytes(const char *path, const char *key)
{
	char line[256];
	uint64_t kib = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		die("%s", path);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			kib = strtoull(line + strlen(key) + 1, NULL, 10);
	fclose(file);
	return kib * KIB;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: cannot write '%s': %s\n", path, text, strerror(errno));
	if (fd >= 0)
		close(fd);
}

uint64_t meminfo_bytes(const char *key)
{
	return proc_bytes("/proc/meminfo", key);
}

static uint64_t own_table_bytes(void)
{
	return proc_bytes("/proc/self/status", "VmPTE");
}

/* PageTables of the whole system; each CPU's own count is summed up first. */
static uint64_t system_table_bytes(void)
{
	write_file("/proc/sys/vm/stat_refresh", "1");
	return meminfo_bytes("PageTables");
}

uint64_t faults_taken(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

uint64_t read_memory(const void *memory, uint64_t length, enum reading reading)
{
	static const uint64_t strides[] = {
		[READ_TABLES] = HUGE_PAGE,
		[READ_PAGES] = PAGE,
		[READ_WORDS] = sizeof(uint64_t),
	};
	const volatile uint64_t *word = memory;
	const volatile uint64_t *end = word + length / sizeof(*word);
	uint64_t sum = 0, stride;

	if (reading == READ_NOTHING)
		return 0;
	if (reading == READ_WORDS) {
		while (word < end)
			sum += *word++;
		return sum;
	}
	stride = strides[reading] / sizeof(*word);
	for (; word < end; word += stride)
		sum += *word;
	return sum;
}

/*
 * The first call of anything in a fresh process pays for cold code and a private copy of the stack:
 * take that before the clock starts.
 */
static void warm_up(void)
{
	void *memory =
		mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	munmap(memory, HUGE_PAGE);
	now_ns();
	faults_taken();
}

/* A part of an object is mapped by its exact length; all of it by its span. */
static uint64_t span_of(const struct object *object, uint64_t length)
{
	return length == object->length ? object->span : length;
}

/* Read, and tell what that took. */
static void look_at(const void *memory, uint64_t length, enum reading reading, struct sight *sight)
{
	uint64_t faults = faults_taken(), start = now_ns();

	sight->sum = read_memory(memory, length, reading);
	sight->read = now_ns() - start;
	sight->read_faults = faults_taken() - faults;
}

static const void *look(const struct object *object, uint64_t length, enum reading reading,
			struct sight *sight)
{
	uint64_t tables = own_table_bytes();
	uint64_t start, mapped, faults;
	const void *memory;

	/*
	 * The caller's memory is the parent's until it is written to: no fault of ours may count.
	 */
	*sight = (struct sight){ 0 };
	warm_up();
	faults = faults_taken();
	start = now_ns();
	memory = mmap(NULL, span_of(object, length), object->prot, MAP_SHARED | object->flags,
		      object->fd, 0);
	mapped = now_ns();
	if (memory == MAP_FAILED)
		die("cannot map %s", object->what);
	sight->map_faults = faults_taken() - faults;
	sight->map = mapped - start;
	look_at(memory, length, reading, sight);
	sight->table_bytes = own_table_bytes() - tables;
	return memory;
}

static void look_away(const struct object *object, const void *memory, uint64_t length,
		      struct sight *sight)
{
	uint64_t start = now_ns();

	if (munmap((void *)memory, span_of(object, length)))
		die("cannot unmap %s", object->what);
	sight->unmap = now_ns() - start;
}

static void send(int fd, const void *data, size_t size)
{
	if (write(fd, data, size) != (ssize_t)size)
		_exit(1);
}

static void receive(int fd, void *data, size_t size)
{
	errno = 0;
	if (read(fd, data, size) != (ssize_t)size)
		die("a measuring process died");
}

static void reap(unsigned int count)
{
	int status;

	while (count--) {
		errno = 0;
		if (wait(&status) < 0 || status)
			die("a measuring process failed with status %d", status);
	}
}

static void stay_on(unsigned int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("sched_setaffinity");
}

/* Have a new process do all that is timed: map, read, unmap. */
static void perform(const struct object *object, uint64_t length, enum reading reading,
		    struct sight *sight)
{
	int result[2];
	pid_t pid;

	if (pipe(result))
		die("pipe");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		const void *memory;

		/* Where the processes before were: caches are per CPU. */
		stay_on(0);
		memory = look(object, length, reading, sight);
		if (reading == READ_PAGES) {
			uint64_t start = now_ns();

			read_memory(memory, length, reading);
			sight->again = now_ns() - start;
		}
		look_away(object, memory, length, sight);
		send(result[1], sight, sizeof(*sight));
		_exit(0);
	}
	close(result[1]);
	receive(result[0], sight, sizeof(*sight));
	close(result[0]);
	reap(1);
}

/**
 * measure_once() - have a new process map, read and unmap an object
 * @object:	the object
 * @length:	how much of it, from its start
 * @reading:	what to read
 * @sight:	what the process saw
 *
 * Others do the same with 2 MiB before, for measure_settle_ms: what ran until then, on the other
 * side of a comparison, has left the caches in a state that would be told as the cost of a mapping
 * of microseconds.  (An emulator's software TLB adapts its size in windows of 100 ms.)
 */
void measure_once(const struct object *object, uint64_t length, enum reading reading,
		  struct sight *sight)
{
	uint64_t until = now_ns() + measure_settle_ms * 1000000;

	do {
		perform(object, HUGE_PAGE, READ_NOTHING, sight);
	} while (now_ns() < until);
	perform(object, length, reading, sight);
}

/**
 * measure_mapping() - have new processes map and unmap an object
 * @object:	the object
 * @length:	how much of it, from its start
 * @sight:	what a process saw
 *
 * A mapping of microseconds is easily disturbed: where one process takes less than 10 ms, it is
 * the median of several.
 */
void measure_mapping(const struct object *object, uint64_t length, struct sight *sight)
{
	uint64_t map[REPEATS], unmap[REPEATS];
	int i;

	measure_once(object, length, READ_NOTHING, sight);
	if (sight->map + sight->unmap > 10 * 1000000)
		return;
	for (i = 0; i < REPEATS; i++) {
		perform(object, length, READ_NOTHING, sight);
		map[i] = sight->map;
		unmap[i] = sight->unmap;
	}
	sight->map = median(map, REPEATS);
	sight->unmap = median(unmap, REPEATS);
}

/*
 * One of many: say that it is there, wait until all are, map what is not inherited and read, tell,
 * and stay until the last has told.
 */
static void stand_in_crowd(const struct object *object, uint64_t length, enum reading reading,
			   const void *inherited, int result, int start, int stop)
{
	struct sight sight = { 0 };
	char byte = 0;

	send(result, &byte, 1);
	if (read(start, &byte, 1))
		_exit(1);
	if (inherited) {
		uint64_t tables = own_table_bytes();

		look_at(inherited, length, reading, &sight);
		sight.table_bytes = own_table_bytes() - tables;
	} else {
		look(object, length, reading, &sight);
	}
	send(result, &sight, sizeof(sight));
	if (read(stop, &byte, 1))
		_exit(1);
	_exit(0);
}

/**
 * measure_many() - have processes map and read an object at once, and count page tables
 * @object:	the object
 * @length:	how much of it, from its start
 * @reading:	what each reads
 * @count:	how many processes
 * @inherited:	where the caller has mapped it, and they find it; or NULL
 * @crowd:	what they take
 */
void measure_many(const struct object *object, uint64_t length, enum reading reading,
		  unsigned int count, const void *inherited, struct crowd *crowd)
{
	int result[2], start[2], stop[2];
	struct morsel_info info;
	struct sight sight;
	uint64_t before, started = now_ns(), forked;
	unsigned int i;
	char byte;

	if (pipe(result) || pipe(start) || pipe(stop))
		die("pipe");
	fflush(stdout);
	for (i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			close(start[1]);
			close(stop[1]);
			stand_in_crowd(object, length, reading, inherited, result[1], start[0],
				       stop[0]);
		}
	}
	close(result[1]);
	for (i = 0; i < count; i++)
		receive(result[0], &byte, 1);
	forked = now_ns() - started;
	before = system_table_bytes();

	*crowd = (struct crowd){ .forked = forked };
	started = now_ns();
	close(start[1]);
	for (i = 0; i < count; i++) {
		receive(result[0], &sight, sizeof(sight));
		crowd->table_bytes += sight.table_bytes;
		crowd->faults += sight.map_faults + sight.read_faults;
	}
	crowd->elapsed = now_ns() - started;
	crowd->system_bytes = (int64_t)(system_table_bytes() - before);
	if (object->morsel) {
		morsel_stat(object, &info);
		crowd->shared_bytes = info.table_bytes;
	}

	close(stop[1]);
	reap(count);
	close(result[0]);
	close(start[0]);
	close(stop[0]);
}

/* What a thread of touch_with() touches: every so many-th piece. */
struct toucher {
	pthread_t thread;
	pthread_barrier_t *start;
	unsigned int cpu;
	unsigned int cpus;
	char *memory;
	uint64_t length;
	uint64_t began;
	uint64_t ended;
};

static void *touch_pieces(void *argument)
{
	struct toucher *toucher = argument;
	uint64_t piece = 64 * PAGE, at, offset;

	stay_on(toucher->cpu);
	pthread_barrier_wait(toucher->start);
	toucher->began = now_ns();
	for (at = toucher->cpu * piece; at < toucher->length; at += toucher->cpus * piece)
		for (offset = at; offset < at + piece; offset += PAGE)
			*(volatile char *)(toucher->memory + offset) = 1;
	toucher->ended = now_ns();
	return NULL;
}

/**
 * touch_with() - have threads on several CPUs write to each page first
 * @cpus:	how many CPUs, at most 8, with a thread on each
 * @memory:	fresh memory
 * @length:	bytes, a multiple of so many times 256 KiB
 * Return: ns from when the first began until the last was done.
 */
uint64_t touch_with(unsigned int cpus, void *memory, uint64_t length)
{
	struct toucher touchers[8];
	uint64_t began = UINT64_MAX, ended = 0;
	pthread_barrier_t barrier;
	unsigned int i;

	if (pthread_barrier_init(&barrier, NULL, cpus))
		die("pthread_barrier_init");
	for (i = 0; i < cpus; i++) {
		touchers[i] = (struct toucher){ .start = &barrier,
						.cpu = i,
						.cpus = cpus,
						.memory = memory,
						.length = length };
		if (pthread_create(&touchers[i].thread, NULL, touch_pieces, &touchers[i]))
			die("pthread_create");
	}
	for (i = 0; i < cpus; i++) {
		pthread_join(touchers[i].thread, NULL);
		began = touchers[i].began < began ? touchers[i].began : began;
		ended = touchers[i].ended > ended ? touchers[i].ended : ended;
	}
	pthread_barrier_destroy(&barrier);
	return ended - began;
}

static int device(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s (is the module loaded?)", MORSEL_DEVICE);
	return fd;
}

/* Whole splice units attach fastest, and a mapping may be longer than its morsel. */
static void morsel_fill(struct object *object, uint64_t length)
{
	struct morsel_query query = { .size = sizeof(query) };
	void *memory;

	if (ioctl(device(), MORSEL_IOC_QUERY, &query))
		die("cannot query the module");
	object->length = length;
	object->span = round_up_to(length, length < query.splice_unit ? query.attach_unit
								      : query.splice_unit);
	object->flags = 0;
	memory = mmap(NULL, object->span, object->prot, MAP_SHARED, object->fd, 0);
	if (memory == MAP_FAILED) {
		object->span = round_up_to(length, query.attach_unit);
		memory = mmap(NULL, object->span, object->prot, MAP_SHARED, object->fd, 0);
		if (memory == MAP_FAILED)
			die("cannot map a morsel of %" PRIu64 " bytes", length);
	}
	munmap(memory, object->span);
}

/**
 * morsel_make() - make a nameless morsel, to be populated lazily
 * @object:	the result
 * @length:	bytes
 * @granule:	MORSEL_GRANULE_*
 */
void morsel_make(struct object *object, uint64_t length, uint32_t granule)
{
	struct morsel_create create = {
		.size = sizeof(create),
		.flags = MORSEL_CREATE_CLOEXEC,
		.length = length,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = granule,
		.mode = 0600,
	};

	if (ioctl(device(), MORSEL_IOC_CREATE, &create))
		die("cannot create a morsel of %" PRIu64 " bytes", length);
	*object = (struct object){
		.what = "morsel", .fd = create.fd, .prot = PROT_READ | PROT_WRITE, .morsel = true
	};
	morsel_fill(object, length);
}

/**
 * morsel_by_name() - open a morsel for reading
 * @object:	the result
 * @name:	its name
 */
void morsel_by_name(struct object *object, const char *name)
{
	struct morsel_open arg = { .size = sizeof(arg),
				   .flags = MORSEL_OPEN_READ_ONLY | MORSEL_OPEN_CLOEXEC };
	struct morsel_info info;

	snprintf(arg.name, sizeof(arg.name), "%s", name);
	if (ioctl(device(), MORSEL_IOC_OPEN, &arg))
		die("cannot open the morsel '%s'", name);
	*object = (struct object){
		.what = "morsel", .fd = arg.fd, .prot = PROT_READ, .morsel = true
	};
	morsel_stat(object, &info);
	morsel_fill(object, info.length);
}

/**
 * morsel_tune() - say how much a first touch fills
 * @object:	the morsel
 * @fault_around: bytes
 */
void morsel_tune(const struct object *object, uint32_t fault_around)
{
	struct morsel_tune tune = { .size = sizeof(tune), .fault_around = fault_around };

	if (ioctl(object->fd, MORSEL_IOC_TUNE, &tune))
		die("cannot tune a morsel");
}

/**
 * morsel_populate() - allocate all of a morsel, in bulk
 * @object: the morsel
 */
void morsel_populate(const struct object *object)
{
	struct morsel_range range = { .size = sizeof(range) };

	if (ioctl(object->fd, MORSEL_IOC_POPULATE, &range))
		die("cannot populate a morsel of %" PRIu64 " bytes", object->length);
}

void morsel_stat(const struct object *object, struct morsel_info *info)
{
	*info = (struct morsel_info){ .size = sizeof(*info) };
	if (ioctl(object->fd, MORSEL_IOC_STAT, info))
		die("cannot stat a morsel");
}

/**
 * morsel_forget() - take a morsel's name away, if there is one of that name
 * @name: the name
 */
void morsel_forget(const char *name)
{
	struct morsel_unlink arg = { .size = sizeof(arg) };

	snprintf(arg.name, sizeof(arg.name), "%s", name);
	if (ioctl(device(), MORSEL_IOC_UNLINK, &arg) && errno != ENOENT)
		die("cannot unlink the morsel '%s'", name);
}

static unsigned int pools(struct morsel_pool_info *infos, unsigned int room)
{
	struct morsel_list list = {
		.size = sizeof(list),
		.entries = (uintptr_t)infos,
		.entry_size = sizeof(*infos),
		.count = room,
	};

	if (ioctl(device(), MORSEL_IOC_POOL_LIST, &list))
		die("cannot list the pools");
	return list.count;
}

static void pool_resize(uint32_t id, uint64_t bytes)
{
	struct morsel_pool pool = { .size = sizeof(pool), .id = id, .limit_bytes = bytes };

	if (ioctl(device(), MORSEL_IOC_POOL_RESIZE, &pool))
		die("cannot resize pool %u to %" PRIu64 " bytes", id, bytes);
}

/**
 * morsel_pools_make_room() - let the first pool hold so much
 * @bytes: at least
 */
void morsel_pools_make_room(uint64_t bytes)
{
	struct morsel_pool_info infos[16];

	if (!pools(infos, 16)) {
		errno = 0;
		die("there is no pool");
	}
	if (infos[0].limit_bytes < bytes)
		pool_resize(infos[0].id, round_up_to(bytes, HUGE_PAGE));
}

/**
 * morsel_pools_drain() - give what the pools keep idle back, so that all kinds of memory start alike
 */
void morsel_pools_drain(void)
{
	struct morsel_pool_info infos[16];
	unsigned int count = pools(infos, 16), i;

	for (i = 0; i < count; i++) {
		pool_resize(infos[i].id, HUGE_PAGE);
		pool_resize(infos[i].id, infos[i].limit_bytes / HUGE_PAGE * HUGE_PAGE);
	}
}

static bool memory_file(struct object *object, const char *what, unsigned int flags,
			uint64_t length)
{
	*object = (struct object){
		.what = what,
		.fd = memfd_create("bench", flags),
		.length = length,
		.span = length,
		.flags = MAP_POPULATE,
		.prot = PROT_READ | PROT_WRITE,
	};
	if (object->fd >= 0 && !ftruncate(object->fd, (off_t)length))
		return true;
	perror(what);
	object_close(object);
	return false;
}

bool memfd_make(struct object *object, uint64_t length)
{
	return memory_file(object, "memfd", MFD_CLOEXEC, length);
}

/**
 * hugetlb_reserve() - set 2 MiB pages aside
 * @bytes:	how much; 0 gives all back
 * Return: whether the kernel found that much.
 */
bool hugetlb_reserve(uint64_t bytes)
{
	uint64_t want = round_up_to(bytes, HUGE_PAGE) / HUGE_PAGE, got = 0;
	char text[32];
	int attempt;
	FILE *file;

	snprintf(text, sizeof(text), "%" PRIu64, want);
	for (attempt = 0; attempt < 2; attempt++) {
		if (attempt) {
			drop_caches();
			write_file("/proc/sys/vm/compact_memory", "1");
		}
		write_file("/proc/sys/vm/nr_hugepages", text);
		file = fopen("/proc/sys/vm/nr_hugepages", "re");
		if (!file || fscanf(file, "%" SCNu64, &got) != 1)
			die("/proc/sys/vm/nr_hugepages");
		fclose(file);
		if (got >= want)
			return true;
	}
	return false;
}

bool hugetlb_make(struct object *object, uint64_t length)
{
	return memory_file(object, "hugetlbfs 2 MiB", MFD_CLOEXEC | MFD_HUGETLB, length);
}

/**
 * populate() - have a process map all of an object with MAP_POPULATE and go away
 * @object: the object
 */
void populate(const struct object *object)
{
	struct object copy = *object;
	struct sight sight;

	copy.flags |= MAP_POPULATE;
	measure_once(&copy, copy.length, READ_NOTHING, &sight);
}

void drop_caches(void)
{
	sync();
	write_file("/proc/sys/vm/drop_caches", "3");
}

void object_close(struct object *object)
{
	if (object->fd >= 0)
		close(object->fd);
	object->fd = -1;
}
