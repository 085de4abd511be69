// SPDX-License-Identifier: GPL-2.0
/*
 * advise: what the parts that forms are made of take on this machine, measured by one process that is
 * each of the parties.
 *
 * Each is measured of one unit, and of as many as the pattern has, but for what would take noticeable
 * time or memory.  What is mapped has a page in each GiB, as what else is inside makes no difference, but for
 * frames of 4 KiB, of which who is the first to map them for reading has tables made.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define PAGE 4096ULL
#define GIB (1ULL << 30)
#define RW (PROT_READ | PROT_WRITE)
/* The median of so many counts, and one before them does not. */
#define RUNS 5
/* As much is filled, written and copied at most, and so many GiB are mapped. */
#define AREA (2ULL << 20)
#define GIBS_MOST 64

/**
 * struct lab - where it is measured
 * @device:	from morsel_device()
 * @length:	of morsels that pages are written of: the pattern's size, within AREA, as those that
 *		are shorter than 2 MiB have other frames
 */
struct lab {
	int device;
	uint64_t length;
};

/**
 * struct mapping - a morsel, or a view of one, that is mapped
 * @fd:		its descriptor
 * @memory:	where it is
 * @length:	how much
 */
struct mapping {
	int fd;
	char *memory;
	size_t length;
};

/* A touch that finds no memory. */
static sigjmp_buf no_memory;

static void on_no_memory(int number)
{
	(void)number;
	siglongjmp(no_memory, 1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

/* No more than a store: what is read first is taken for reading. */
static void write_each(char *memory, uint64_t count, uint64_t stride)
{
	for (uint64_t i = 0; i < count; i++)
		*(volatile char *)(memory + i * stride) = 1;
}

static void read_each(const char *memory, uint64_t count, uint64_t stride)
{
	for (uint64_t i = 0; i < count; i++)
		(void)*(const volatile char *)(memory + i * stride);
}

/* Takes the descriptor, and closes it when that fails. */
static int map(struct mapping *mapping, int fd, uint64_t length, int prot)
{
	void *memory;
	int err;

	if (fd < 0)
		return fd;
	err = morsel_map(fd, 0, length, prot, 0, &memory);
	if (err) {
		close(fd);
		return err;
	}
	*mapping = (struct mapping){.fd = fd, .memory = memory, .length = length};
	return 0;
}

static void drop(const struct mapping *mapping)
{
	morsel_unmap(mapping->memory, mapping->length);
	close(mapping->fd);
}

static int make(struct mapping *mapping, const struct lab *lab, struct morsel_params params)
{
	return map(mapping, morsel_create(lab->device, &params), params.length, RW);
}

/* With a page in each GiB. */
static int make_sparse(struct mapping *mapping, const struct lab *lab, uint64_t gibs)
{
	int err = make(mapping, lab,
		       (struct morsel_params){
			       .length = gibs * GIB,
			       .granule = MORSEL_GRANULE_4K,
			       .fault_around = PAGE,
		       });

	if (!err)
		write_each(mapping->memory, gibs, GIB);
	return err;
}

static int time_fill(const struct lab *lab, uint64_t pages, double *taken)
{
	struct mapping morsel;
	int err = make(&morsel, lab, (struct morsel_params){.length = lab->length});

	if (err)
		return err;
	*taken = now();
	write_each(morsel.memory, pages, PAGE);
	*taken = now() - *taken;
	drop(&morsel);
	return 0;
}

/* For another party; a negative errno. */
static int again(int fd)
{
	int other = dup(fd);

	return other < 0 ? -errno : other;
}

/* By another party, which reads what is there; it takes the descriptor. */
static int time_mapping(int fd, uint64_t gibs, int prot, double *taken)
{
	struct mapping other;
	int err;

	*taken = now();
	err = map(&other, fd, gibs * GIB, prot);
	if (err)
		return err;
	read_each(other.memory, gibs, GIB);
	*taken = now() - *taken;
	drop(&other);
	return 0;
}

static int time_map_read_first(const struct lab *lab, uint64_t gibs, double *taken)
{
	struct mapping morsel;
	int err = make_sparse(&morsel, lab, gibs);

	if (err)
		return err;
	err = time_mapping(again(morsel.fd), gibs, PROT_READ, taken);
	drop(&morsel);
	return err;
}

/* While another party has it mapped so. */
static int time_map_next(const struct lab *lab, uint64_t gibs, int prot, double *taken)
{
	struct mapping morsel, other;
	int err = make_sparse(&morsel, lab, gibs);

	if (err)
		return err;
	err = map(&other, again(morsel.fd), gibs * GIB, prot);
	if (!err) {
		read_each(other.memory, gibs, GIB);
		err = time_mapping(again(morsel.fd), gibs, prot, taken);
		drop(&other);
	}
	drop(&morsel);
	return err;
}

static int time_map(const struct lab *lab, uint64_t gibs, double *taken)
{
	return time_map_next(lab, gibs, RW, taken);
}

static int time_map_read(const struct lab *lab, uint64_t gibs, double *taken)
{
	return time_map_next(lab, gibs, PROT_READ, taken);
}

static int time_clone(const struct lab *lab, uint64_t gibs, double *taken)
{
	struct mapping morsel, clone;
	int err = make_sparse(&morsel, lab, gibs);

	if (err)
		return err;
	*taken = now();
	err = map(&clone, morsel_clone(morsel.fd, NULL, 0, 0), gibs * GIB, RW);
	if (!err) {
		read_each(clone.memory, gibs, GIB);
		*taken = now() - *taken;
		drop(&clone);
	}
	drop(&morsel);
	return err;
}

static int time_copy_page(const struct lab *lab, uint64_t pages, double *taken)
{
	struct mapping morsel, clone;
	int err = make(&morsel, lab,
		       (struct morsel_params){
			       .length = lab->length,
			       .flags = MORSEL_CREATE_POPULATE,
		       });

	if (err)
		return err;
	err = map(&clone, morsel_clone(morsel.fd, NULL, 0, 0), lab->length, RW);
	if (!err) {
		read_each(clone.memory, pages, PAGE);
		*taken = now();
		write_each(clone.memory, pages, PAGE);
		*taken = now() - *taken;
		drop(&clone);
	}
	drop(&morsel);
	return err;
}

static int time_view(const struct lab *lab, uint64_t gibs, double *taken)
{
	const struct morsel_params params = {.length = gibs * GIB, .flags = MORSEL_CREATE_VIEWS};
	int fd = morsel_create(lab->device, &params), err;
	struct mapping view;

	if (fd < 0)
		return fd;
	*taken = now();
	err = map(&view, morsel_view(fd, NULL), params.length, RW);
	*taken = now() - *taken;
	if (!err)
		drop(&view);
	close(fd);
	return err;
}

static int make_views(struct mapping views[2], const struct lab *lab)
{
	const struct morsel_params params = {
		.length = lab->length,
		.flags = MORSEL_CREATE_VIEWS | MORSEL_CREATE_POPULATE,
	};
	int fd = morsel_create(lab->device, &params), err;

	if (fd < 0)
		return fd;
	err = map(&views[0], morsel_view(fd, NULL), params.length, RW);
	if (!err) {
		err = map(&views[1], morsel_view(fd, NULL), params.length, RW);
		if (err)
			drop(&views[0]);
	}
	close(fd);
	return err;
}

/* After each page went to and fro, so that all tables are there. */
static int time_take(const struct lab *lab, uint64_t pages, bool write, double *taken)
{
	struct mapping views[2];
	int err = make_views(views, lab);

	if (err)
		return err;
	for (int turn = 0; turn < 4; turn++)
		write_each(views[turn % 2].memory, pages, PAGE);
	*taken = now();
	if (write)
		write_each(views[0].memory, pages, PAGE);
	else
		read_each(views[0].memory, pages, PAGE);
	*taken = now() - *taken;
	drop(&views[0]);
	drop(&views[1]);
	return 0;
}

static int time_take_write(const struct lab *lab, uint64_t pages, double *taken)
{
	return time_take(lab, pages, true, taken);
}

static int time_take_read(const struct lab *lab, uint64_t pages, double *taken)
{
	return time_take(lab, pages, false, taken);
}

static int hold(const struct mapping *view, uint64_t pages, uint32_t flags)
{
	int err = morsel_view_acquire(view->fd, 0, pages * PAGE, flags, MORSEL_NO_TIMEOUT);

	if (err)
		return err;
	if (flags & MORSEL_ACQUIRE_WRITE)
		write_each(view->memory, 1, PAGE);
	else
		read_each(view->memory, 1, PAGE);
	return morsel_view_release(view->fd, 0, pages * PAGE, 0);
}

/* After it went to and fro, too. */
static int time_hold(const struct lab *lab, uint64_t pages, uint32_t flags, double *taken)
{
	struct mapping views[2];
	int err = make_views(views, lab);

	if (err)
		return err;
	for (int turn = 0; turn < 4 && !err; turn++)
		err = hold(&views[turn % 2], pages, MORSEL_ACQUIRE_WRITE);
	*taken = now();
	if (!err)
		err = hold(&views[0], pages, flags);
	*taken = now() - *taken;
	drop(&views[0]);
	drop(&views[1]);
	return err;
}

static int time_hold_write(const struct lab *lab, uint64_t pages, double *taken)
{
	return time_hold(lab, pages, MORSEL_ACQUIRE_WRITE, taken);
}

static int time_hold_read(const struct lab *lab, uint64_t pages, double *taken)
{
	return time_hold(lab, pages, 0, taken);
}

/* What the giver had mapped of what could not be sent goes with the process. */
static int give(struct mapping *morsel, const int sockets[2])
{
	int err = morsel_send(sockets[0], morsel->fd, morsel->memory, morsel->length);
	void *memory;

	if (err)
		return err;
	morsel->fd = morsel_receive(sockets[1], RW, 0, &memory, &morsel->length);
	if (morsel->fd < 0)
		return morsel->fd;
	morsel->memory = memory;
	if (memory)
		return 0;
	close(morsel->fd);
	return -ENOMEM;
}

static int time_give(const struct lab *lab, uint64_t gibs, double *taken)
{
	struct mapping morsel;
	int sockets[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	err = make_sparse(&morsel, lab, gibs);
	*taken = now();
	if (!err)
		err = give(&morsel, sockets);
	if (!err) {
		read_each(morsel.memory, gibs, GIB);
		*taken = now() - *taken;
		drop(&morsel);
	}
	close(sockets[0]);
	close(sockets[1]);
	return err;
}

/* As much at once as there is room for, so that nobody waits. */
static int copy(const int pipes[2], const char *from, char *to, size_t length)
{
	size_t room = fcntl(pipes[1], F_GETPIPE_SZ), done = 0;

	while (done < length) {
		ssize_t sent = write(pipes[1], from + done,
				     length - done < room ? length - done : room);

		if (sent < 0)
			return -errno;
		while (sent > 0) {
			ssize_t got = read(pipes[0], to + done, sent);

			if (got < 0)
				return -errno;
			sent -= got;
			done += got;
		}
	}
	return 0;
}

static int time_pipe(const struct lab *lab, uint64_t pages, double *taken)
{
	char *from = malloc(pages * PAGE), *to = malloc(pages * PAGE);
	int pipes[2], err = -ENOMEM;

	(void)lab;
	if (from && to && pipe2(pipes, O_CLOEXEC)) {
		err = -errno;
	} else if (from && to) {
		memset(from, 1, pages * PAGE);
		memset(to, 2, pages * PAGE);
		*taken = now();
		err = copy(pipes, from, to, pages * PAGE);
		*taken = now() - *taken;
		close(pipes[0]);
		close(pipes[1]);
	}
	free(from);
	free(to);
	return err;
}

/* Each run makes all that it needs, and leaves nothing. */
static const struct {
	const char *name;
	enum unit unit;
	int (*time)(const struct lab *lab, uint64_t count, double *taken);
} parts[COSTS] = {
	[COST_FILL] = {"write pages that are new", UNIT_PAGE, time_fill},
	[COST_MAP] = {"map", UNIT_GIB, time_map},
	[COST_MAP_READ_FIRST] = {"map for reading, the first", UNIT_GIB, time_map_read_first},
	[COST_MAP_READ] = {"map for reading, the next", UNIT_GIB, time_map_read},
	[COST_CLONE] = {"clone and map", UNIT_GIB, time_clone},
	[COST_COPY_PAGE] = {"write pages of a clone", UNIT_PAGE, time_copy_page},
	[COST_VIEW] = {"make a view and map it", UNIT_GIB, time_view},
	[COST_TAKE_WRITE] = {"take by faults, to write", UNIT_PAGE, time_take_write},
	[COST_TAKE_READ] = {"take by faults, to read", UNIT_PAGE, time_take_read},
	[COST_HOLD_WRITE] = {"acquire to write, release", UNIT_PAGE, time_hold_write},
	[COST_HOLD_READ] = {"acquire to read, release", UNIT_PAGE, time_hold_read},
	[COST_HOLD_ALL] = {"acquire all of it to read", UNIT_PAGE, time_hold_read},
	[COST_GIVE] = {"send, receive and map", UNIT_GIB, time_give},
	[COST_PIPE] = {"copy by a pipe", UNIT_PAGE, time_pipe},
};

const char *cost_name(enum cost cost)
{
	return parts[cost].name;
}

enum unit cost_unit(enum cost cost)
{
	return parts[cost].unit;
}

/* How many of it the pattern has. */
static uint64_t count_of(enum cost cost, const struct pattern *pattern)
{
	uint64_t most = parts[cost].unit == UNIT_GIB ? GIBS_MOST : AREA / PAGE, count;
	uint64_t bytes = pattern->size;

	switch (cost) {
	case COST_COPY_PAGE:
		bytes = copied_by_each(pattern);
		break;
	case COST_TAKE_WRITE:
	case COST_TAKE_READ:
	case COST_HOLD_WRITE:
	case COST_HOLD_READ:
		bytes = pattern->write;
		break;
	default:
		break;
	}
	count = units(bytes, parts[cost].unit);
	if (count > most)
		return most;
	return count ? count : 1;
}

/* What each run took, in ns. */
struct runs {
	double one[RUNS];
	double all[RUNS];
};

static int run_all(const struct lab *lab, const struct cost_found *costs, struct runs *runs,
		   int run)
{
	int err = 0;

	for (int cost = 0; cost < COSTS && !err; cost++) {
		err = interrupted ? -EINTR : parts[cost].time(lab, 1, &runs[cost].one[run]);
		if (!err && costs[cost].count > 1)
			err = parts[cost].time(lab, costs[cost].count, &runs[cost].all[run]);
	}
	return err;
}

static int by_value(const void *one, const void *other)
{
	double values[] = {*(const double *)one, *(const double *)other};

	return values[0] < values[1] ? -1 : values[0] > values[1];
}

static double median(double taken[RUNS])
{
	qsort(taken, RUNS, sizeof(*taken), by_value);
	return taken[RUNS / 2];
}

/* In turns, so that what else the machine does meets all of them. */
static int measure_all(const struct lab *lab, const struct pattern *pattern,
		       struct cost_found costs[COSTS])
{
	struct runs runs[COSTS];
	int err;

	for (int cost = 0; cost < COSTS; cost++)
		costs[cost].count = count_of(cost, pattern);
	err = run_all(lab, costs, runs, 0);
	for (int run = 0; run < RUNS && !err; run++)
		err = run_all(lab, costs, runs, run);
	if (err)
		return err;
	for (int cost = 0; cost < COSTS; cost++) {
		costs[cost].one = median(runs[cost].one);
		costs[cost].all = costs[cost].count > 1 ? median(runs[cost].all) : costs[cost].one;
	}
	return 0;
}

/*
 * No run takes as much as this: where there is not so much, an error says why, and no signal.  And it
 * takes a process its first mapping of a morsel for the kernel to know that it has some.
 */
static int begin(struct mapping *kept, const struct lab *lab)
{
	const struct morsel_params params = {
		.length = 8 * AREA,
		.flags = MORSEL_CREATE_POPULATE,
	};
	int err = make(kept, lab, params);

	if (err)
		return err;
	err = morsel_punch(kept->fd, 0, 0);
	if (err)
		drop(kept);
	return err;
}

/**
 * measure() - what each part takes
 * @device:	from morsel_device()
 * @pattern:	how much of it there is
 * @costs:	are filled
 *
 * What it makes has no names, and so goes with the process, however that ends.
 *
 * Return: 0, or a negative errno.
 */
int measure(int device, const struct pattern *pattern, struct cost_found costs[COSTS])
{
	const struct lab lab = {
		.device = device,
		.length = pattern->size < AREA ? units(pattern->size, UNIT_PAGE) * PAGE : AREA,
	};
	struct sigaction action = {.sa_handler = on_no_memory}, before;
	struct mapping kept;
	int err = begin(&kept, &lab);

	if (err)
		return err;
	sigaction(SIGBUS, &action, &before);
	/* Somebody else has it meanwhile. */
	if (sigsetjmp(no_memory, 1))
		return -ENOMEM;
	err = measure_all(&lab, pattern, costs);
	sigaction(SIGBUS, &before, NULL);
	drop(&kept);
	return err;
}
