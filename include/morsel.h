/* SPDX-License-Identifier: LGPL-2.1 */
/*
 * libmorsel: explicit virtual-memory objects, from C and C++.
 *
 * Thin over the ioctls of /dev/morsel (morsel_ioctl.h).  A morsel is a plain
 * file descriptor: read(2), write(2), fstat(2), sendmsg(2) and close(2) work on
 * it.  There is no global state but the log hook; everything may be called from
 * any thread.
 *
 * All functions that can fail return a negative errno.  Those that matter are
 * listed with each; beside them any may return -EBADF, -EFAULT and -ENOTTY where
 * what it is given is not what it should be.  Lengths and offsets are in bytes.
 */
#ifndef MORSEL_H
#define MORSEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "morsel_ioctl.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * morsel_device() - open /dev/morsel
 *
 * Also checks that the module speaks this library's ABI.
 *
 * Return: a descriptor (close-on-exec), to be closed with close(2); -ENOENT or
 * -ENODEV: the module is not loaded; -EACCES: the caller may not use it (group
 * morsel); -EPROTONOSUPPORT: module and library are too far apart.
 */
int morsel_device(void);

/**
 * morsel_query() - what the module is
 * @device:	from morsel_device()
 * @query:	is filled
 * Return: 0 or a negative errno.
 */
int morsel_query(int device, struct morsel_query *query);

struct bitmask;

/**
 * struct morsel_params - how to make a morsel
 * @length:	bytes; ftruncate(2) changes it
 * @name:	NULL or "" for none
 * @granule:	MORSEL_GRANULE_*; 0 chooses
 * @mode:	permission bits; 0 means 0600
 * @pool:	a pool's id; 0 means the nearest that has room
 * @node:	preferred NUMA node plus 1; 0 means the caller's
 * @flags:	MORSEL_CREATE_POPULATE, MORSEL_CREATE_RESERVE, MORSEL_CREATE_SEALABLE,
 *		MORSEL_CREATE_DUMP, MORSEL_CREATE_VIEWS (for morsel_view()), or 0
 * @fault_around: as for morsel_tune(); 0 means as suits the granule
 * @nodes:	libnuma's mask of the nodes that @policy is about (numa(3)), or NULL
 * @policy:	MORSEL_POLICY_*: where its frames are to be; but for MORSEL_POLICY_NEAR, @nodes
 *		has some, and @pool and @node are 0
 * @reserved:	0; later releases may give it a meaning
 *
 * All zero is a good choice, with a length now or by ftruncate(2).
 */
struct morsel_params {
	uint64_t length;
	const char *name;
	uint32_t granule;
	uint32_t mode;
	uint32_t pool;
	uint32_t node;
	uint32_t flags;
	uint32_t fault_around;
	const struct bitmask *nodes;
	uint32_t policy;
	uint32_t reserved[7 - sizeof(void *) / 4];
};

/**
 * morsel_create() - make a morsel
 * @device:	from morsel_device()
 * @params:	how
 *
 * Return: its descriptor, open for reading and writing (close-on-exec); -EEXIST:
 * the name is taken; -EINVAL: a bad name, granule, fault_around or policy; -EFBIG: too
 * long; -ENOENT: no such pool, or none on the nodes; -ENODEV: no such node, or none of them has
 * memory; -EDQUOT: over the caller's
 * ceiling; -ENOMEM: no memory, or with MORSEL_CREATE_POPULATE or MORSEL_CREATE_RESERVE pools
 * without room; -EMFILE, -ENFILE: too many descriptors; -EINTR: a fatal signal while
 * populating; -EACCES, -EROFS: the mount that names are in (man 5 morsel), or the
 * caller's cpuset, does not let the caller.
 */
int morsel_create(int device, const struct morsel_params *params);

/**
 * morsel_open() - open a morsel by name
 * @device:	from morsel_device()
 * @name:	its name
 * @flags:	MORSEL_OPEN_READ_ONLY or 0
 *
 * Return: a descriptor (close-on-exec); -ENOENT: no such morsel, or its mode
 * does not let the caller see it; -EACCES: it may be seen, but not written;
 * -EINVAL: that can be no name; -EROFS: the mount that it is in is read-only;
 * -ETXTBSY: it is being run; -EMFILE, -ENFILE, -ENOMEM.
 */
int morsel_open(int device, const char *name, uint32_t flags);

/**
 * morsel_open_id() - open a morsel by id
 * @device:	from morsel_device()
 * @id:		its id
 * @flags:	MORSEL_OPEN_READ_ONLY or 0
 *
 * Return: as morsel_open().
 */
int morsel_open_id(int device, uint64_t id, uint32_t flags);

/**
 * morsel_unlink() - take a morsel's name away
 * @device:	from morsel_device()
 * @name:	its name
 *
 * It goes when its last descriptor and mapping go.
 *
 * Return: 0; -ENOENT: no such named morsel, or its mode does not let the caller
 * see it; -EPERM: it is somebody else's; -EACCES, -EROFS: the mount that names are
 * in does not let the caller; -EINVAL: that can be no name.
 */
int morsel_unlink(int device, const char *name);

/**
 * morsel_unlink_id() - take a morsel's name away, by its id
 * @device:	from morsel_device()
 * @id:		its id
 *
 * For a morsel of one's own, whose name may be another's by now.
 *
 * Return: as morsel_unlink().
 */
int morsel_unlink_id(int device, uint64_t id);

/**
 * morsel_list() - call a function for each morsel that the caller may see
 * @device:	from morsel_device()
 * @visit:	called by ascending id; a value other than 0 ends the list
 * @context:	passed on
 * Return: 0, what @visit returned, or a negative errno.
 */
int morsel_list(int device, int (*visit)(const struct morsel_info *info, void *context),
		void *context);

/**
 * morsel_nodes() - call a function for each morsel that the caller may see and each pool that it has
 * frames of
 * @device:	from morsel_device()
 * @visit:	called by ascending id; a value other than 0 ends the list
 * @context:	passed on
 * Return: 0, what @visit returned, or a negative errno; -ENOTTY: the module is older than this call.
 */
int morsel_nodes(int device, int (*visit)(const struct morsel_node *node, void *context),
		 void *context);

/**
 * morsel_stat() - describe a morsel
 * @fd:		its descriptor
 * @info:	is filled
 * Return: 0 or a negative errno.
 */
int morsel_stat(int fd, struct morsel_info *info);

/**
 * morsel_populate() - allocate what a range lacks, in bulk
 * @fd:		its descriptor, open for writing
 * @offset:	multiple of 4096
 * @length:	multiple of 4096, or up to the morsel's end; 0 for all that
 *		follows
 *
 * What is there already stays; on failure, so does what was populated.
 *
 * Return: 0; -EBADF: the descriptor is read-only; -EINVAL: no multiples;
 * -ERANGE: beyond the end; -ENOMEM: the pool is full; -EDQUOT: over the owner's
 * ceiling; -EINTR: a signal came in, call again to go on.
 */
int morsel_populate(int fd, uint64_t offset, uint64_t length);

/**
 * morsel_reserve() - have a range keep its memory, so that to touch it never fails for want of some
 * @fd:		its descriptor, open for writing
 * @offset:	as for morsel_populate(), as is the next
 * @length:	bytes
 *
 * It is populated now, and counts from then on.  Punching clears it; it is freed when it is cut off,
 * or released and punched.  mmap(2) and mprotect(2) of it fail with ENOMEM where they would need
 * memory for tables that there is not.
 *
 * Return: as morsel_populate(); what was populated and reserved by then stays so; -ENOTTY: the
 * module is older than this call.
 */
int morsel_reserve(int fd, uint64_t offset, uint64_t length);

/**
 * morsel_release() - end what morsel_reserve(), or MORSEL_CREATE_RESERVE, promised
 * @fd:		its descriptor, open for writing
 * @offset:	as for morsel_reserve(), as is the next
 * @length:	bytes; of the whole morsel, what it grows by is not reserved any more, either
 *
 * Its memory stays until it is punched.
 *
 * Return: 0; -EBADF, -EINVAL, -ERANGE, -ENOTTY, as above; -ENOMEM, and nothing has changed.
 */
int morsel_release(int fd, uint64_t offset, uint64_t length);

/**
 * morsel_punch() - free a range; it reads as zero afterwards
 * @fd:		its descriptor, open for writing
 * @offset:	multiple of 4096
 * @length:	multiple of 4096, or up to the morsel's end; 0 for all that
 *		follows
 *
 * Return: 0; -EBADF: the descriptor is read-only; -EINVAL: no multiples;
 * -ERANGE: beyond the end.
 */
int morsel_punch(int fd, uint64_t offset, uint64_t length);

/**
 * morsel_tune() - say how much the first touch of a page allocates
 * @fd:		its descriptor, open for writing
 * @fault_around: bytes, a power of two from 4096 to 2 MiB
 *
 * Where a morsel gets frames of 4 KiB, all that is missing of the aligned block
 * of this size around the page comes at once.  More costs fewer faults where
 * neighbours are touched too, and memory where they are not.
 *
 * Return: 0; -EBADF: the descriptor is read-only; -EINVAL: no such size.
 */
int morsel_tune(int fd, uint32_t fault_around);

/**
 * morsel_clone() - make a morsel with the contents that another has now
 * @fd:		that one's descriptor
 * @name:	NULL or "" for none
 * @mode:	permission bits; 0 means 0600
 * @flags:	MORSEL_CLONE_SNAPSHOT (nobody ever writes to it), MORSEL_CLONE_SEALABLE, or 0
 *
 * No memory is copied: both share it until one of them writes.
 *
 * Return: the clone's descriptor (close-on-exec), a snapshot's for reading only; -EBADF: @fd is not for reading, or not for
 * writing, and the morsel is not sealed against that; -EEXIST: the name is
 * taken; -EACCES, -EROFS: names cannot be made; -EINVAL: a bad name or mode; -EDQUOT: over the caller's
 * ceiling; -ENOMEM; -EMFILE, -ENFILE; -EINTR: a fatal signal; -EIO: memory that is pinned has failed;
 * -ENOTTY: the module is older than this call.
 */
int morsel_clone(int fd, const char *name, uint32_t mode, uint32_t flags);

/**
 * morsel_rollback() - have a morsel be as another is, at one instant, for all who have it
 * @fd:		its descriptor
 * @from:	that of the other one, most often a snapshot of it
 *
 * Return: 0; -EBADF: @fd is for reading only, or @from cannot be cloned, or is none of a morsel; -EINVAL: they have other granules; -EPERM:
 * seals; -EBUSY: some of it is reserved; -ENOMEM, -EDQUOT; -EINTR: a fatal signal; -EIO: memory that is pinned
 * has failed.
 */
int morsel_rollback(int fd, int from);

/**
 * morsel_diff() - call a function for each part in which a morsel differs from another
 * @fd:		its descriptor
 * @other:	that of the other one
 * @visit:	called by ascending offset; a value other than 0 ends the walk
 * @context:	passed on
 *
 * By memory, not by bytes: what both share is no difference.
 *
 * Return: 0, what @visit returned, -EBADF: one is none of a morsel, or another negative errno.
 */
int morsel_diff(int fd, int other,
		int (*visit)(const struct morsel_difference *part, void *context), void *context);

/**
 * morsel_give() - take a morsel from all who have it
 * @fd:		its descriptor, open for writing
 *
 * All descriptors of it become stale (ESTALE), @fd, too, and mappings show nothing (SIGBUS), in one step; the one that is
 * returned has it alone.  It takes as long for much memory as for little.
 *
 * Return: that descriptor (close-on-exec); -EBADF: @fd is not for reading and writing; -EPERM: it is sealed against
 * shrinking or writing; -EMLINK: it has several names; -EBUSY: something is mounted over its name; -ESTALE: somebody else was first; -EMFILE, -ENFILE, -ENOMEM,
 * -EDQUOT, -EINTR (a fatal signal), -ENOTTY (the module is older than this call): nothing has changed.
 */
int morsel_give(int fd);

/**
 * morsel_send() - give a morsel to who reads from a UNIX socket
 * @socket:	the socket, of any type
 * @fd:		the morsel's descriptor, open for writing
 * @memory:	where the caller has it mapped from its beginning by morsel_map(), or NULL; it is unmapped
 * @length:	as given to that
 *
 * The caller has nothing of it any more, nor has anybody else.  When sending fails, @fd is the only descriptor
 * that has it, and it is mapped nowhere.
 *
 * Return: 0, and @fd is closed; what morsel_give() returns, and nothing has changed; and then what sendmsg(2) says,
 * as -EPIPE, -EAGAIN, -ENOTSOCK.
 */
int morsel_send(int socket, int fd, void *memory, size_t length);

/**
 * morsel_receive() - take what morsel_send() sends
 * @socket:	a UNIX socket
 * @prot:	PROT_* of mmap(2)
 * @flags:	0, or MORSEL_RECEIVE_ANYWHERE: the sender does not say where it is mapped
 * @memory:	gets where it is mapped: at the sender's address, if nothing is there; NULL: it could not be mapped
 *		(morsel_map() says why); for morsel_unmap().  Or NULL: do not
 * @length:	gets the length, for that; not used where @memory is NULL
 *
 * Return: the morsel's descriptor (close-on-exec); -EPIPE: the other end is closed; -EBADMSG: what came is
 * something else, and was dropped; -EAGAIN; -EINVAL: another flag.
 */
int morsel_receive(int socket, int prot, int flags, void **memory, size_t *length);

#define MORSEL_RECEIVE_ANYWHERE 1

/**
 * morsel_view() - see a morsel by an exclusive view
 * @fd:		the descriptor of one that was made with MORSEL_CREATE_VIEWS
 * @number:	if not NULL, is set to the number by which the view is told from others, from 1 on
 *
 * Who has the view's descriptor, or has mapped it, is one party.  A page is one party's alone, which may write it, or
 * is read by any number; to read or write it by way of a mapping takes it from others.  morsel_map(), without
 * MAP_POPULATE, and morsel_stat() take the descriptor.
 *
 * Return: the view's descriptor (close-on-exec), for reading and writing as @fd is; -EOPNOTSUPP: the morsel was not made
 * for that; -EBADF: @fd is not for reading; -EMFILE: too many descriptors, or 2047 have views; -ENFILE, -ENOMEM;
 * -ENOTTY: the module is older than this call.
 */
int morsel_view(int fd, uint32_t *number);

/**
 * morsel_view_acquire() - have a part of a morsel, and hold it
 * @view:	from morsel_view()
 * @offset:	multiple of 4096
 * @length:	likewise, and not 0
 * @flags:	MORSEL_ACQUIRE_WRITE: alone, to be written; or 0: to be read, by any number
 * @timeout:	nanoseconds that it may wait; 0: it does not; MORSEL_NO_TIMEOUT
 *
 * Nobody takes it away until it is released, or the party is no more: who wants it waits.  What is there is mapped,
 * and takes no faults.  Several parts are acquired in the same order by all, or with a time-out.
 *
 * Return: 0; -EBUSY: others hold some of it, and @timeout is 0; -ETIMEDOUT; -EINTR: a signal; -EDEADLK: the party holds
 * some of it already; -EACCES: the view was frozen, or revoked; -EBADF: MORSEL_ACQUIRE_WRITE, and @view is for
 * reading only; -EINVAL: no multiples, or another flag; -ERANGE: beyond the end; -ENOLCK: 255 hold some of it;
 * -ENOMEM.  With an error, it holds nothing that it did not.
 */
int morsel_view_acquire(int view, uint64_t offset, uint64_t length, uint32_t flags,
			uint64_t timeout);

/**
 * morsel_view_release() - hold no more what was acquired
 * @view:	from morsel_view()
 * @offset:	multiple of 4096
 * @length:	likewise; all that was acquired within is released
 * @flags:	0: it stays the party's until somebody takes it; MORSEL_RELEASE_GIVE_UP: it is nobody's, so that
 *		nobody has to
 *
 * Return: 0; -EINVAL: no multiples, another flag, or the party holds nothing there, or something in part.
 */
int morsel_view_release(int view, uint64_t offset, uint64_t length, uint32_t flags);

/**
 * morsel_view_freeze() - have a party never write any more
 * @fd:		a descriptor of the morsel, open for writing, or the view's own
 * @number:	the view's, from morsel_view(); with its own descriptor, 0
 *
 * To write what it has mapped is SIGBUS to it.
 *
 * Return: 0; -EBUSY: it holds something; -ENOENT: there is no such view; -EBADF: @fd is for reading only; -EINVAL: another's
 * number, with a view's descriptor; -EOPNOTSUPP: the morsel was not made for views.
 */
int morsel_view_freeze(int fd, uint32_t number);

/**
 * morsel_view_revoke() - have a party neither read nor write any more, and hold nothing
 * @fd:		as for morsel_view_freeze(), as is the next
 * @number:	the view's
 *
 * Return: as that, but for -EBUSY.
 */
int morsel_view_revoke(int fd, uint32_t number);

/**
 * morsel_seal() - have some things not be done to a morsel any more
 * @fd:		its descriptor
 * @seals:	MORSEL_SEAL_* to add, or 0
 *
 * Return: all that it has; -EPERM: the descriptor is read-only, or the morsel takes no seals (it
 * was created without MORSEL_CREATE_SEALABLE, or has MORSEL_SEAL_SEAL); -EBUSY:
 * MORSEL_SEAL_WRITE, and it is mapped shared and writable, or pinned; -EINVAL: no such seal;
 * -ENOTTY: the module is older than this call.
 */
int morsel_seal(int fd, uint32_t seals);

/**
 * morsel_extents() - call a function for each extent of a morsel
 * @fd:		its descriptor
 * @visit:	called by ascending offset; a value other than 0 ends the walk
 * @context:	passed on
 * Return: 0, what @visit returned, or a negative errno.
 */
int morsel_extents(int fd, int (*visit)(const struct morsel_extent *extent, void *context),
		   void *context);

/**
 * morsel_map() - attach a morsel
 * @fd:		its descriptor
 * @offset:	multiple of 4096; what is no multiple of 2 MiB is mapped page by page at both
 *		ends
 * @length:	bytes, or 0 for all that follows
 * @prot:	PROT_* of mmap(2)
 * @flags:	0, or MAP_POPULATE: allocate what is not there yet, or with a read-only
 *		descriptor what that may be, and attach all of it; or fail
 * @address:	where it is
 *
 * Takes addresses for @length rounded up: to whole GiBs from one GiB on, so
 * that each is one entry of the page table, else to 2 MiB.  Access beyond the
 * morsel's end gets SIGBUS, as does a first access that finds no memory.
 *
 * Return: 0; -EINVAL: @offset is no multiple of 4096, @length is 0 and nothing
 * follows, or another flag; -EACCES: PROT_WRITE with a read-only descriptor;
 * -EOVERFLOW: more than the program has addresses; -ENOMEM: no addresses left, or
 * with MAP_POPULATE, no memory, and nothing is mapped; -EDQUOT: with that, over the owner's
 * ceiling; else as mmap(2).
 */
int morsel_map(int fd, uint64_t offset, size_t length, int prot, int flags, void **address);

/**
 * morsel_unmap() - detach what morsel_map() attached
 * @address:	from morsel_map()
 * @length:	as given to morsel_map(); where that was 0, the morsel's length
 *		less the offset
 *
 * Return: 0; -EINVAL: that was not mapped so.
 */
int morsel_unmap(void *address, size_t length);

/**
 * morsel_map_length() - the bytes of addresses that morsel_map() takes for a length
 * @length:	bytes
 *
 * Return: bytes; less than @length where there are not that many.
 */
size_t morsel_map_length(size_t length);

/**
 * morsel_pools() - call a function for each pool
 * @device:	from morsel_device()
 * @visit:	called by ascending id; a value other than 0 ends the list
 * @context:	passed on
 * Return: 0, what @visit returned, or a negative errno.
 */
int morsel_pools(int device, int (*visit)(const struct morsel_pool_info *info, void *context),
		 void *context);

/**
 * morsel_pool_stat() - describe a pool
 * @device:	from morsel_device()
 * @id:		the pool
 * @info:	is filled
 * Return: 0; -ENOENT: no such pool.
 */
int morsel_pool_stat(int device, uint32_t id, struct morsel_pool_info *info);

/**
 * morsel_pool_add() - make a pool (CAP_SYS_ADMIN)
 * @device:	from morsel_device()
 * @kind:	MORSEL_POOL_*
 * @node:	NUMA node
 * @limit:	bytes it may hold, a multiple of 2 MiB
 * @id:		if not NULL, is set to its id
 *
 * Return: 0; -EPERM; -EINVAL: @limit is 0 or no multiple; -ENODEV: no such node;
 * -EEXIST: the node has its pool already; -EOPNOTSUPP: the module has no such
 * kind; -ENOMEM.
 */
int morsel_pool_add(int device, uint32_t kind, uint32_t node, uint64_t limit, uint32_t *id);

/**
 * morsel_pool_resize() - change a pool's limit (CAP_SYS_ADMIN)
 * @device:	from morsel_device()
 * @id:		the pool
 * @limit:	bytes it may hold, a multiple of 2 MiB; if that is less than is
 *		in use, nothing more is handed out until enough was freed
 *
 * Return: 0; -EPERM; -ENOENT: no such pool; -EINVAL: @limit is no multiple.
 */
int morsel_pool_resize(int device, uint32_t id, uint64_t limit);

/**
 * morsel_pool_remove() - remove a pool that is not in use (CAP_SYS_ADMIN)
 * @device:	from morsel_device()
 * @id:		the pool
 *
 * Return: 0; -EPERM; -ENOENT: no such pool; -EBUSY: morsels are on it, or frames
 * of it are pinned.
 */
int morsel_pool_remove(int device, uint32_t id);

/**
 * morsel_limit_get() - a user's ceiling, and what counts against it
 * @device:	from morsel_device()
 * @uid:	the user
 * @limit:	is filled
 * Return: 0; -EPERM: another's, without CAP_SYS_ADMIN; -ENOMEM.
 */
int morsel_limit_get(int device, uid_t uid, struct morsel_limit *limit);

/**
 * morsel_limit_set() - give a user a ceiling of their own (CAP_SYS_ADMIN)
 * @device:	from morsel_device()
 * @uid:	the user
 * @bytes:	the ceiling, MORSEL_UNLIMITED for none
 * @flags:	0, or MORSEL_LIMIT_DEFAULT to take an own ceiling back
 *
 * A ceiling below what is used stops further growth only.
 *
 * Return: 0; -EPERM; -EINVAL; -ENOMEM.
 */
int morsel_limit_set(int device, uid_t uid, uint64_t bytes, uint32_t flags);

/**
 * morsel_set_log() - be told why a call failed, in words
 * @log:	called with a line of text without its end, or NULL (the default)
 * @context:	passed on
 *
 * Set it before other threads use the library.
 */
void morsel_set_log(void (*log)(const char *line, void *context), void *context);

/**
 * morsel_version() - the library's release, and the commit it was built from
 * Return: a string like "0.1.0+g0123abc".
 */
const char *morsel_version(void);

#ifdef __cplusplus
}
#endif

#endif /* MORSEL_H */
