// SPDX-License-Identifier: GPL-2.0
/*
 * What the suites share: the ioctls, and mapping.
 */
#include "common.h"

int create_with(struct morsel_create *args)
{
	return ioctl(dev, MORSEL_IOC_CREATE, args) ? -1 : args->fd;
}

int open_with(uint64_t id, const char *name, uint32_t flags)
{
	struct morsel_open args = {.size = sizeof(args), .id = id, .flags = flags};

	memcpy(args.name, name, strnlen(name, sizeof(args.name)));
	return ioctl(dev, MORSEL_IOC_OPEN, &args) ? -1 : args.fd;
}

int unlink_morsel(uint64_t id, const char *name)
{
	struct morsel_unlink args = {.size = sizeof(args), .id = id};

	memcpy(args.name, name, strnlen(name, sizeof(args.name)));
	return ioctl(dev, MORSEL_IOC_UNLINK, &args);
}

int punch(int fd, uint64_t offset, uint64_t length)
{
	struct morsel_range range = {.size = sizeof(range), .offset = offset, .length = length};

	return ioctl(fd, MORSEL_IOC_PUNCH, &range);
}

int populate(int fd, uint64_t offset, uint64_t length)
{
	struct morsel_range range = {.size = sizeof(range), .offset = offset, .length = length};

	return ioctl(fd, MORSEL_IOC_POPULATE, &range);
}

int list_step(int fd, unsigned long call, uint64_t *cursor, void *entries, uint32_t entry_size,
	      uint32_t count)
{
	struct morsel_list list = {
		.size = sizeof(list),
		.cursor = *cursor,
		.entries = (uintptr_t)entries,
		.entry_size = entry_size,
		.count = count,
	};

	if (ioctl(fd, call, &list))
		return -1;
	*cursor = list.cursor;
	return list.count;
}

static int create_or_fail(struct morsel_create *args)
{
	int fd = create_with(args);

	must(fd >= 0, "cannot create a morsel of %llu bytes: %s", args->length, strerror(errno));
	return fd;
}

int clone_with(int fd, uint32_t flags, const char *name)
{
	struct morsel_clone args = {.size = sizeof(args), .flags = flags, .mode = 0600};

	strcpy(args.name, name);
	return ioctl(fd, MORSEL_IOC_CLONE, &args) ? -1 : args.fd;
}

int give(int fd)
{
	struct morsel_give args = {.size = sizeof(args)};

	return ioctl(fd, MORSEL_IOC_GIVE, &args) ? -1 : args.fd;
}

int clone_of(int fd)
{
	int clone = clone_with(fd, 0, "");

	must(clone >= 0, "cannot clone a morsel: %s", strerror(errno));
	return clone;
}

int create(uint64_t length, uint32_t granule)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = length,
		.granule = granule,
		.mode = 0600,
		.pool = pool_info().id,
		.node = MORSEL_ANY,
	};

	return create_or_fail(&args);
}

int create_named(const char *name, uint64_t length, uint32_t mode)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = length,
		.granule = MORSEL_GRANULE_AUTO,
		.mode = mode,
		.pool = pool_info().id,
		.node = MORSEL_ANY,
	};

	memcpy(args.name, name, strnlen(name, sizeof(args.name)));
	return create_or_fail(&args);
}

struct morsel_info info_of(int fd)
{
	struct morsel_info info = {.size = sizeof(info)};

	must(!ioctl(fd, MORSEL_IOC_STAT, &info), "STAT: %s", strerror(errno));
	return info;
}

uint64_t id_of(int fd)
{
	return info_of(fd).id;
}

struct morsel_query query(void)
{
	struct morsel_query args = {.size = sizeof(args)};

	must(!ioctl(dev, MORSEL_IOC_QUERY, &args), "QUERY: %s", strerror(errno));
	return args;
}

bool pool_first(struct morsel_pool_info *info)
{
	uint64_t cursor = 0;

	return list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(*info), 1) == 1;
}

struct morsel_pool_info pool_info(void)
{
	struct morsel_pool_info info = {};

	must(pool_first(&info), "there is no pool: %s", strerror(errno));
	return info;
}

unsigned int all_pools(struct morsel_pool_info *info)
{
	uint64_t cursor = 0;
	int count = list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(*info), NODES);

	must(count >= 0, "POOL_LIST: %s", strerror(errno));
	return count;
}

bool pool_on(unsigned int node, struct morsel_pool_info *info)
{
	struct morsel_pool_info all[NODES];
	unsigned int count = all_pools(all), i;

	for (i = 0; i < count; i++) {
		*info = all[i];
		if (info->node == node)
			return true;
	}
	return false;
}

static int resize(uint32_t id, uint64_t bytes)
{
	struct morsel_pool pool = {.size = sizeof(pool), .id = id, .limit_bytes = bytes};

	return ioctl(dev, MORSEL_IOC_POOL_RESIZE, &pool);
}

int resize_pool(uint64_t bytes)
{
	return resize(pool_info().id, bytes);
}

int resize_pool_on(unsigned int node, uint64_t bytes)
{
	struct morsel_pool_info info;

	must(pool_on(node, &info), "node %u has no pool", node);
	return resize(info.id, bytes);
}

struct morsel_info *list_all(unsigned int *count)
{
	unsigned int room = 256;
	struct morsel_info *all = malloc(room * sizeof(*all));
	uint64_t cursor = 0;
	int filled;

	*count = 0;
	while ((filled = list_step(dev, MORSEL_IOC_LIST, &cursor, all + *count, sizeof(*all),
				   room - *count)) > 0) {
		*count += filled;
		if (*count == room)
			all = realloc(all, (room *= 2) * sizeof(*all));
	}
	must(!filled, "LIST: %s", strerror(errno));
	return all;
}

unsigned int count_morsels(void)
{
	unsigned int count;

	free(list_all(&count));
	return count;
}

void *map_at(void *address, int fd, uint64_t length, int prot, uint64_t offset)
{
	void *memory = mmap(address, length, prot, MAP_SHARED | (address ? MAP_FIXED : 0), fd,
			    offset);

	must(memory != MAP_FAILED, "mmap of %llu bytes: %s", (unsigned long long)length,
	     strerror(errno));
	return memory;
}

void *map(int fd, uint64_t length, int prot)
{
	return map_at(NULL, fd, length, prot, 0);
}

int reopen(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	if (again < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return again;
}

int reopen_read_only(int fd)
{
	return reopen(fd, O_RDONLY);
}

void *free_place(size_t length)
{
	static char *beside[2];
	char *place = mmap(NULL, length + 2 * GIB, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned = (char *)(((uintptr_t)place + PAGE + GIB - 1) & ~(GIB - 1));

	munmap(place, length + 2 * GIB);
	/*
	 * Where addresses happen to be the first of their 512 GiB, the process has no tables for them
	 * yet.  With a page on either side it has.
	 */
	for (int i = 0; i < 2; i++) {
		if (beside[i])
			munmap(beside[i], PAGE);
		beside[i] = mmap(i ? aligned + (length + PAGE - 1) / PAGE * PAGE : aligned - PAGE,
				 PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		need(beside[i] != MAP_FAILED);
		*beside[i] = 1;
	}
	return aligned;
}
