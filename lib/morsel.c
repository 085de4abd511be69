// SPDX-License-Identifier: LGPL-2.1
/*
 * libmorsel: the ioctls of /dev/morsel as functions.
 */
#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* Old and new programs share a library: what it reads of them keeps its size. */
_Static_assert(sizeof(struct morsel_params) == 64 + sizeof(void *), "struct morsel_params is ABI");

#define ATTACH_UNIT ((size_t)2 << 20)
#define SPLICE_UNIT ((size_t)1 << 30)

/* Entries fetched at a time: few calls, little stack. */
#define BATCH MORSEL_NODES_LEAST

/* As many bits as a mask of nodes may have. */
#define MAX_NODES 65536

static void (*log_hook)(const char *line, void *context);
static void *log_context;

void morsel_say(const char *format, ...)
{
	char line[256];
	va_list arguments;

	if (!log_hook)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	log_hook(line, log_context);
}

int morsel_call(int fd, unsigned long number, void *argument, const char *what)
{
	int err;

	if (ioctl(fd, number, argument) >= 0)
		return 0;
	err = errno;
	morsel_say("%s: %s", what, strerror(err));
	return -err;
}

static int copy_name(char *to, const char *name)
{
	if (!name)
		return 0;
	if (strlen(name) >= MORSEL_NAME_MAX) {
		morsel_say("name too long: at most %d bytes", MORSEL_NAME_MAX - 1);
		return -EINVAL;
	}
	strcpy(to, name);
	return 0;
}

static const char *device_remedy(int err)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return "; load the module: modprobe morsel";
	case EACCES:
		return "; it is for members of the group morsel";
	default:
		return "";
	}
}

API int morsel_device(void)
{
	struct morsel_query query;
	int fd, err;

	fd = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		err = errno;
		morsel_say("%s: %s%s", MORSEL_DEVICE, strerror(err), device_remedy(err));
		return -err;
	}
	err = morsel_query(fd, &query);
	if (!err && (query.abi < MORSEL_ABI_OLDEST || query.abi_oldest > MORSEL_ABI_VERSION)) {
		morsel_say("the module (%s) speaks ABI %u to %u, this library %u to %u: update the "
			   "older",
			   query.version, query.abi_oldest, query.abi, MORSEL_ABI_OLDEST,
			   MORSEL_ABI_VERSION);
		err = -EPROTONOSUPPORT;
	}
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

API int morsel_query(int device, struct morsel_query *query)
{
	memset(query, 0, sizeof(*query));
	query->size = sizeof(*query);
	return morsel_call(device, MORSEL_IOC_QUERY, query, "query");
}

/* Words of libnuma's masks are longs, which follow each other in memory as the bits do. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "masks of longs are not those of __u64");

API int morsel_create(int device, const struct morsel_params *params)
{
	uint64_t nodes[MAX_NODES / 64] = {0};
	struct morsel_create args = {
		.size = sizeof(args),
		.flags = params->flags | MORSEL_CREATE_CLOEXEC,
		.length = params->length,
		.pool = params->pool ? params->pool : MORSEL_ANY,
		.node = params->node ? params->node - 1 : MORSEL_ANY,
		.granule = params->granule,
		.mode = params->mode ? params->mode : 0600,
		.fault_around = params->fault_around,
		.policy = params->policy,
	};
	int err;

	if (params->nodes) {
		if (params->nodes->size > MAX_NODES) {
			morsel_say("create: a mask of more than %d nodes", MAX_NODES);
			return -EINVAL;
		}
		memcpy(nodes, params->nodes->maskp, (params->nodes->size + 7) / 8);
		args.nr_nodes = params->nodes->size;
		args.nodes = (uintptr_t)nodes;
	}
	for (size_t i = 0; i < sizeof(params->reserved) / sizeof(params->reserved[0]); i++) {
		if (params->reserved[i]) {
			morsel_say("create: a parameter that this release (%s) does not know",
				   morsel_version());
			return -EINVAL;
		}
	}
	err = copy_name(args.name, params->name);
	if (!err)
		err = morsel_call(device, MORSEL_IOC_CREATE, &args, "create");
	return err ? err : args.fd;
}

API int morsel_clone(int fd, const char *name, uint32_t mode, uint32_t flags)
{
	struct morsel_clone args = {
		.size = sizeof(args),
		.flags = flags | MORSEL_CLONE_CLOEXEC,
		.mode = mode ? mode : 0600,
	};
	int err = copy_name(args.name, name);

	if (!err)
		err = morsel_call(fd, MORSEL_IOC_CLONE, &args, "clone");
	return err ? err : args.fd;
}

API int morsel_rollback(int fd, int from)
{
	struct morsel_rollback args = {.size = sizeof(args), .from = from};

	return morsel_call(fd, MORSEL_IOC_ROLLBACK, &args, "rollback");
}

static int open_by(int device, uint64_t id, const char *name, uint32_t flags)
{
	struct morsel_open args = {
		.size = sizeof(args),
		.flags = flags | MORSEL_OPEN_CLOEXEC,
		.id = id,
	};
	int err;

	err = copy_name(args.name, name);
	if (!err)
		err = morsel_call(device, MORSEL_IOC_OPEN, &args, "open");
	return err ? err : args.fd;
}

API int morsel_open(int device, const char *name, uint32_t flags)
{
	return open_by(device, 0, name, flags);
}

API int morsel_open_id(int device, uint64_t id, uint32_t flags)
{
	return open_by(device, id, NULL, flags);
}

static int unlink_by(int device, uint64_t id, const char *name)
{
	struct morsel_unlink args = {.size = sizeof(args), .id = id};
	int err;

	err = copy_name(args.name, name);
	return err ? err : morsel_call(device, MORSEL_IOC_UNLINK, &args, "unlink");
}

API int morsel_unlink(int device, const char *name)
{
	return unlink_by(device, 0, name);
}

API int morsel_unlink_id(int device, uint64_t id)
{
	return unlink_by(device, id, NULL);
}

/* Fetch an array in steps, and call @visit, which takes entries of its own type, for each. */
#define WALK(fd, number, type, what, visit, context)                      \
	({                                                                \
		type entries[BATCH];                                      \
		struct morsel_list list = {                               \
			.size = sizeof(list),                             \
			.entries = (uintptr_t)entries,                    \
			.entry_size = sizeof(entries[0]),                 \
		};                                                        \
		int err;                                                  \
		do {                                                      \
			list.count = BATCH;                               \
			err = morsel_call(fd, number, &list, what);       \
			for (uint32_t i = 0; i < list.count && !err; i++) \
				err = visit(&entries[i], context);        \
		} while (!err && list.count);                             \
		err;                                                      \
	})

API int morsel_list(int device, int (*visit)(const struct morsel_info *info, void *context),
		    void *context)
{
	return WALK(device, MORSEL_IOC_LIST, struct morsel_info, "list", visit, context);
}

API int morsel_nodes(int device, int (*visit)(const struct morsel_node *node, void *context),
		     void *context)
{
	return WALK(device, MORSEL_IOC_NODES, struct morsel_node, "nodes", visit, context);
}

API int morsel_extents(int fd, int (*visit)(const struct morsel_extent *extent, void *context),
		       void *context)
{
	return WALK(fd, MORSEL_IOC_EXTENTS, struct morsel_extent, "extents", visit, context);
}

API int morsel_diff(int fd, int other,
		    int (*visit)(const struct morsel_difference *part, void *context),
		    void *context)
{
	struct morsel_difference parts[BATCH];
	struct morsel_diff args = {
		.list =
			{
				.size = sizeof(args),
				.entries = (uintptr_t)parts,
				.entry_size = sizeof(parts[0]),
			},
		.other = other,
	};
	int err;

	do {
		args.list.count = BATCH;
		err = morsel_call(fd, MORSEL_IOC_DIFF, &args, "diff");
		for (uint32_t i = 0; i < args.list.count && !err; i++)
			err = visit(&parts[i], context);
	} while (!err && args.list.count);
	return err;
}

API int morsel_pools(int device, int (*visit)(const struct morsel_pool_info *info, void *context),
		     void *context)
{
	return WALK(device, MORSEL_IOC_POOL_LIST, struct morsel_pool_info, "pool list", visit,
		    context);
}

API int morsel_tune(int fd, uint32_t fault_around)
{
	struct morsel_tune args = {.size = sizeof(args), .fault_around = fault_around};

	return morsel_call(fd, MORSEL_IOC_TUNE, &args, "tune");
}

API int morsel_seal(int fd, uint32_t seals)
{
	struct morsel_seal args = {.size = sizeof(args), .seals = seals};
	int err = morsel_call(fd, MORSEL_IOC_SEAL, &args, "seal");

	return err ?: (int)args.seals;
}

API int morsel_stat(int fd, struct morsel_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return morsel_call(fd, MORSEL_IOC_STAT, info, "stat");
}

API int morsel_populate(int fd, uint64_t offset, uint64_t length)
{
	struct morsel_range args = {.size = sizeof(args), .offset = offset, .length = length};

	return morsel_call(fd, MORSEL_IOC_POPULATE, &args, "populate");
}

static int reserve(int fd, uint64_t offset, uint64_t length, uint32_t flags, const char *what)
{
	struct morsel_range args = {
		.size = sizeof(args),
		.flags = flags,
		.offset = offset,
		.length = length,
	};

	return morsel_call(fd, MORSEL_IOC_RESERVE, &args, what);
}

API int morsel_reserve(int fd, uint64_t offset, uint64_t length)
{
	return reserve(fd, offset, length, 0, "reserve");
}

API int morsel_release(int fd, uint64_t offset, uint64_t length)
{
	return reserve(fd, offset, length, MORSEL_RESERVE_RELEASE, "release");
}

API int morsel_punch(int fd, uint64_t offset, uint64_t length)
{
	struct morsel_range args = {.size = sizeof(args), .offset = offset, .length = length};

	return morsel_call(fd, MORSEL_IOC_PUNCH, &args, "punch");
}

API size_t morsel_map_length(size_t length)
{
	size_t unit = length >= SPLICE_UNIT ? SPLICE_UNIT : ATTACH_UNIT;

	return (length + unit - 1) & ~(unit - 1);
}

/* What is left of a morsel after an offset. */
static int length_after(int fd, uint64_t offset, size_t *length)
{
	struct stat st;
	int err;

	if (fstat(fd, &st)) {
		err = errno;
		morsel_say("map: %s", strerror(err));
		return -err;
	}
	if (offset >= (uint64_t)st.st_size) {
		morsel_say("map: the morsel ends at %ju, before the offset", (uintmax_t)st.st_size);
		return -EINVAL;
	}
	*length = st.st_size - offset;
	return *length == st.st_size - offset ? 0 : -EOVERFLOW;
}

/*
 * MAP_POPULATE does not tell when there is no memory.  Who may not allocate maps what there is, and
 * learns of the rest by a signal, as ever.
 */
static int fill(int fd, uint64_t offset, size_t length)
{
	struct stat st;
	uint64_t end;
	int err;

	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return 0;
	if (fstat(fd, &st)) {
		err = errno;
		morsel_say("map: %s", strerror(err));
		return -err;
	}
	end = st.st_size;
	if (offset >= end)
		return 0;
	if (length < end - offset)
		end = offset + ((length + 4095) & ~(size_t)4095);
	/* In pieces, so that who has signals all the time comes to an end. */
	for (; offset < end; offset += SPLICE_UNIT) {
		do
			err = morsel_populate(fd, offset,
					      end - offset > SPLICE_UNIT ? SPLICE_UNIT
									 : end - offset);
		while (err == -EINTR);
		if (err)
			return err;
	}
	return 0;
}

API int morsel_map(int fd, uint64_t offset, size_t length, int prot, int flags, void **address)
{
	size_t mapped;
	void *found;
	int err;

	if (flags & ~MAP_POPULATE) {
		morsel_say("map: flags other than MAP_POPULATE");
		return -EINVAL;
	}
	err = length ? 0 : length_after(fd, offset, &length);
	if (err)
		return err;
	mapped = morsel_map_length(length);
	if (mapped < length)
		return -EOVERFLOW;
	err = flags & MAP_POPULATE ? fill(fd, offset, length) : 0;
	if (err)
		return err;
	found = mmap(NULL, mapped, prot, MAP_SHARED | flags, fd, offset);
	if (found == MAP_FAILED) {
		err = errno;
		morsel_say("map: %s%s", strerror(err),
			   err == EINVAL ? "; offsets are multiples of 4096" : "");
		return -err;
	}
	*address = found;
	return 0;
}

API int morsel_unmap(void *address, size_t length)
{
	int err;

	if (!munmap(address, morsel_map_length(length)))
		return 0;
	err = errno;
	morsel_say("unmap: %s", strerror(err));
	return -err;
}

API int morsel_pool_stat(int device, uint32_t id, struct morsel_pool_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->id = id;
	return morsel_call(device, MORSEL_IOC_POOL_STAT, info, "pool stat");
}

API int morsel_pool_add(int device, uint32_t kind, uint32_t node, uint64_t limit, uint32_t *id)
{
	struct morsel_pool args = {
		.size = sizeof(args),
		.kind = kind,
		.node = node,
		.limit_bytes = limit,
	};
	int err = morsel_call(device, MORSEL_IOC_POOL_ADD, &args, "pool add");

	if (!err && id)
		*id = args.id;
	return err;
}

API int morsel_pool_resize(int device, uint32_t id, uint64_t limit)
{
	struct morsel_pool args = {.size = sizeof(args), .id = id, .limit_bytes = limit};

	return morsel_call(device, MORSEL_IOC_POOL_RESIZE, &args, "pool resize");
}

API int morsel_pool_remove(int device, uint32_t id)
{
	struct morsel_pool args = {.size = sizeof(args), .id = id};

	return morsel_call(device, MORSEL_IOC_POOL_REMOVE, &args, "pool remove");
}

API int morsel_limit_get(int device, uid_t uid, struct morsel_limit *limit)
{
	memset(limit, 0, sizeof(*limit));
	limit->size = sizeof(*limit);
	limit->uid = uid;
	return morsel_call(device, MORSEL_IOC_LIMIT_GET, limit, "limit get");
}

API int morsel_limit_set(int device, uid_t uid, uint64_t bytes, uint32_t flags)
{
	struct morsel_limit args = {
		.size = sizeof(args),
		.flags = flags,
		.uid = uid,
		.bytes = bytes,
	};

	return morsel_call(device, MORSEL_IOC_LIMIT_SET, &args, "limit set");
}

API void morsel_set_log(void (*log)(const char *line, void *context), void *context)
{
	log_hook = log;
	log_context = context;
}

API const char *morsel_version(void)
{
	return LIBMORSEL_VERSION;
}
