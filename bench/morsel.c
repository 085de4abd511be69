// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of the module, for whoever measures morsels.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "measure.h"

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
	object->mapped = round_up_to(length, length < query.splice_unit ? query.attach_unit
								      : query.splice_unit);
	object->flags = 0;
	memory = mmap(NULL, object->mapped, object->prot, MAP_SHARED, object->fd, 0);
	if (memory == MAP_FAILED) {
		object->mapped = round_up_to(length, query.attach_unit);
		memory = mmap(NULL, object->mapped, object->prot, MAP_SHARED, object->fd, 0);
		if (memory == MAP_FAILED)
			die("cannot map a morsel of %" PRIu64 " bytes", length);
	}
	munmap(memory, object->mapped);
}

static int create(uint64_t length, uint32_t granule, uint32_t flags)
{
	struct morsel_create create = {
		.size = sizeof(create),
		.flags = MORSEL_CREATE_CLOEXEC | flags,
		.length = length,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = granule,
		.mode = 0600,
	};

	if (ioctl(device(), MORSEL_IOC_CREATE, &create))
		die("cannot create a morsel of %" PRIu64 " bytes", length);
	return create.fd;
}

/**
 * morsel_create() - make a nameless morsel, and no more
 * @object:	the result, not to be mapped by object_map()
 * @length:	bytes
 * @granule:	MORSEL_GRANULE_*
 */
void morsel_create(struct object *object, uint64_t length, uint32_t granule)
{
	*object = (struct object){
		.what = "morsel",
		.fd = create(length, granule, 0),
		.prot = PROT_READ | PROT_WRITE,
		.morsel = true,
	};
}

/**
 * morsel_make() - make a nameless morsel, to be populated lazily
 * @object:	the result
 * @length:	bytes
 * @granule:	MORSEL_GRANULE_*
 */
void morsel_make(struct object *object, uint64_t length, uint32_t granule)
{
	morsel_create(object, length, granule);
	morsel_fill(object, length);
}

/**
 * morsel_for_views() - make a nameless morsel for exclusive views, with all of its memory
 * @length:	bytes
 * @granule:	MORSEL_GRANULE_*
 * Return: its descriptor.
 */
int morsel_for_views(uint64_t length, uint32_t granule)
{
	return create(length, granule, MORSEL_CREATE_VIEWS | MORSEL_CREATE_POPULATE);
}

/**
 * morsel_view() - see it by an exclusive view
 * @fd: the morsel's descriptor
 * Return: the view's.
 */
int morsel_view(int fd)
{
	struct morsel_view args = { .size = sizeof(args), .flags = MORSEL_VIEW_CLOEXEC };

	if (ioctl(fd, MORSEL_IOC_VIEW, &args))
		die("cannot make a view of a morsel");
	return args.fd;
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
 * morsel_populate_range() - allocate a part of a morsel, in bulk
 * @object:	the morsel
 * @offset:	first byte
 * @length:	how many; 0: to the end
 */
void morsel_populate_range(const struct object *object, uint64_t offset, uint64_t length)
{
	struct morsel_range range = { .size = sizeof(range), .offset = offset, .length = length };

	if (ioctl(object->fd, MORSEL_IOC_POPULATE, &range))
		die("cannot populate a morsel of %" PRIu64 " bytes", object->length);
}

/**
 * morsel_populate() - the same, of all of it
 * @object: the morsel
 */
void morsel_populate(const struct object *object)
{
	morsel_populate_range(object, 0, 0);
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
 * morsel_charged() - what counts for the caller's ceiling
 * Return: bytes: frames, tables, and what the kernel keeps of each morsel.
 */
uint64_t morsel_charged(void)
{
	struct morsel_limit limit = { .size = sizeof(limit) };

	if (ioctl(device(), MORSEL_IOC_LIMIT_GET, &limit))
		die("cannot ask for the ceiling");
	return limit.used;
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
