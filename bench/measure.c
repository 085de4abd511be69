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

/* Of all processors, in ticks. */
static unsigned long long idle_ticks(void)
{
	unsigned long long idle;
	FILE *file = fopen("/proc/stat", "r");

	if (!file || fscanf(file, "cpu %*u %*u %*u %llu", &idle) != 1)
		die("cannot read /proc/stat");
	fclose(file);
	return idle;
}

bool wait_until_idle(void)
{
	long enough = sysconf(_SC_CLK_TCK) * sysconf(_SC_NPROCESSORS_ONLN) * 98 / 100;
	unsigned long long before;
	int tries;

	for (tries = 0; tries < 30; tries++) {
		before = idle_ticks();
		sleep(1);
		if (idle_ticks() - before >= (unsigned long long)enough)
			return true;
	}
	return false;
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

void write_file(const char *path, const char *text)
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

uint64_t own_table_bytes(void)
{
	return proc_bytes("/proc/self/status", "VmPTE");
}

uint64_t table_bytes_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return proc_bytes(path, "VmPTE");
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
		[READ_GIBS] = GIB,
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

/**
 * touch_memory() - write a byte at each @stride
 * Return: how many ns that took.
 */
uint64_t touch_memory(char *memory, uint64_t length, uint64_t stride)
{
	uint64_t start = now_ns(), offset;

	for (offset = 0; offset < length; offset += stride)
		*(volatile char *)(memory + offset) = 1;
	return now_ns() - start;
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

/* A part of an object is mapped by its exact length; all of it with what follows. */
static uint64_t mapped_length(const struct object *object, uint64_t length)
{
	return length == object->length ? object->mapped : length;
}

/*
 * Where object_map_at() is to map so much of an object; NULL: where the kernel wants it.  That is
 * another's question than what mapping costs, so it is asked before the clock starts.
 */
static void *place_for(const struct object *object, uint64_t length)
{
	uint64_t room = mapped_length(object, length) + object->align + object->apart;
	void *memory;

	if (!object->align)
		return NULL;
	memory = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		die("no room for %s", object->what);
	munmap(memory, room);
	return (char *)round_up_to((uintptr_t)memory, object->align) + object->apart;
}

static void *object_map_at(const struct object *object, uint64_t length, void *place)
{
	void *memory = mmap(place, mapped_length(object, length), object->prot,
			    MAP_SHARED | object->flags | (place ? MAP_FIXED_NOREPLACE : 0),
			    object->fd, 0);

	if (memory == MAP_FAILED)
		die("cannot map %s", object->what);
	read_memory(memory, length, object->first);
	return memory;
}

/**
 * object_map() - map an object as its kind is mapped best
 * @object:	the object
 * @length:	how much of it, from its start
 */
void *object_map(const struct object *object, uint64_t length)
{
	return object_map_at(object, length, place_for(object, length));
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
	void *place;

	/*
	 * The caller's memory is the parent's until it is written to: no fault of ours may count.
	 */
	*sight = (struct sight){ 0 };
	place = place_for(object, length);
	warm_up();
	faults = faults_taken();
	start = now_ns();
	memory = object_map_at(object, length, place);
	mapped = now_ns();
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

	if (munmap((void *)memory, mapped_length(object, length)))
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

void stay_on(unsigned int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("sched_setaffinity");
}

/* What a new process does, and tells of. */
typedef void action(const struct object *object, uint64_t length, enum reading reading,
		    struct sight *sight);

static void map_and_unmap(const struct object *object, uint64_t length, enum reading reading,
			  struct sight *sight)
{
	const void *memory = look(object, length, reading, sight);

	if (reading == READ_PAGES) {
		uint64_t start = now_ns();

		read_memory(memory, length, reading);
		sight->again = now_ns() - start;
	}
	look_away(object, memory, length, sight);
}

static void map_and_fork(const struct object *object, uint64_t length, enum reading reading,
			 struct sight *sight)
{
	const void *memory = look(object, length, READ_TABLES, sight);
	uint64_t start, end;
	int result[2];
	pid_t pid;

	if (pipe(result))
		die("pipe");
	start = now_ns();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		read_memory(memory, length, reading);
		end = now_ns();
		send(result[1], &end, sizeof(end));
		_exit(0);
	}
	receive(result[0], &end, sizeof(end));
	reap(1);
	sight->fork = end - start;
}

/* Have a new process do all that is timed. */
static void perform(action *act, const struct object *object, uint64_t length,
		    enum reading reading, struct sight *sight)
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
		/* Where the processes before were: caches are per CPU. */
		stay_on(0);
		act(object, length, reading, sight);
		send(result[1], sight, sizeof(*sight));
		_exit(0);
	}
	close(result[1]);
	receive(result[0], sight, sizeof(*sight));
	close(result[0]);
	reap(1);
}

/*
 * What ran until now, on the other side of a comparison, has left the caches in a state that would
 * be told as the cost of a mapping of microseconds: have others map 2 MiB for measure_settle_ms.
 * (An emulator's software TLB adapts its size in windows of 100 ms.)
 */
static void settle(const struct object *object)
{
	uint64_t until = now_ns() + measure_settle_ms * 1000000;
	struct sight sight;

	do {
		perform(map_and_unmap, object, HUGE_PAGE, READ_NOTHING, &sight);
	} while (now_ns() < until);
}

/**
 * measure_once() - have a new process map, read and unmap an object
 * @object:	the object
 * @length:	how much of it, from its start
 * @reading:	what to read
 * @sight:	what the process saw
 */
void measure_once(const struct object *object, uint64_t length, enum reading reading,
		  struct sight *sight)
{
	settle(object);
	perform(map_and_unmap, object, length, reading, sight);
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
		perform(map_and_unmap, object, length, READ_NOTHING, sight);
		map[i] = sight->map;
		unmap[i] = sight->unmap;
	}
	sight->map = median(map, REPEATS);
	sight->unmap = median(unmap, REPEATS);
}

/**
 * measure_fork() - have a new process map an object and fork, and its child use all of it
 * @object:	the object
 * @sight:	what the process saw
 */
void measure_fork(const struct object *object, struct sight *sight)
{
	uint64_t forks[REPEATS];
	int i;

	for (i = 0; i < REPEATS; i++) {
		perform(map_and_fork, object, object->length, READ_TABLES, sight);
		forks[i] = sight->fork;
		if (sight->map + sight->fork > 100 * 1000000)
			return;
	}
	sight->fork = median(forks, REPEATS);
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
	crowd->shared_bytes = object->held_bytes;
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
	uint64_t piece = 64 * PAGE, at;

	stay_on(toucher->cpu);
	pthread_barrier_wait(toucher->start);
	toucher->began = now_ns();
	for (at = toucher->cpu * piece; at < toucher->length; at += toucher->cpus * piece)
		touch_memory(toucher->memory + at, piece, PAGE);
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

char *anonymous(uint64_t length, int advice)
{
	char *place = mmap(NULL, length + HUGE_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *memory;

	if (place == MAP_FAILED)
		die("no memory");
	memory = (char *)round_up_to((uintptr_t)place, HUGE_PAGE);
	if (madvise(memory, length, advice))
		die("madvise");
	return memory;
}
