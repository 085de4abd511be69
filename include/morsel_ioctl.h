/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Morsel: explicit virtual-memory objects - the ioctls of /dev/morsel.
 *
 * Three kinds of descriptor take them:
 *
 *   /dev/morsel          QUERY CREATE OPEN UNLINK LIST NODES LIMIT_* POOL_*
 *   a morsel's own       STAT POPULATE RESERVE PUNCH EXTENTS TUNE SEAL CLONE ROLLBACK DIFF GIVE VIEW RESTRICT
 *   (from CREATE, OPEN)  and what files take: fstat, mmap, read, write, ftruncate, ...
 *   a view's own         STAT POPULATE RESTRICT ACQUIRE RELEASE, fstat, mmap
 *   (from VIEW)
 *
 * Conventions, the same for every call:
 *
 *  - The first field of every struct is its size in bytes, as the caller was
 *    compiled.  A module that knows a longer struct takes what was added since
 *    as zero; one that knows a shorter struct accepts the call as long as the
 *    unknown tail is zero, and otherwise fails with E2BIG.  Results are written
 *    back up to the caller's size.  No struct is shorter than it was in the ABI
 *    that brought its call: less is a mistake, and gets EINVAL.  (Entries of
 *    arrays are another matter: of these the module writes as much as
 *    entry_size says.)
 *  - Unknown flag bits and non-zero reserved fields fail with EINVAL, so that
 *    they can mean something later.
 *  - All layouts are the same for 32-bit and 64-bit programs; pointers travel
 *    as __u64.
 *  - Every call may fail with EFAULT (a pointer is bad), EINVAL (size, flags or
 *    reserved fields are wrong) and ENOTTY (the call is not known, or not for
 *    this kind of descriptor).  What else can happen is listed with each call.
 *  - Lengths and offsets are in bytes.
 */
#ifndef MORSEL_IOCTL_H
#define MORSEL_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The ABI this header describes, and the oldest one whose programs still run on
 * it.
 */
#define MORSEL_ABI_VERSION 2
#define MORSEL_ABI_OLDEST 2

#define MORSEL_DEVICE "/dev/morsel"

#define MORSEL_NAME_MAX 256 /* bytes, with the terminating zero */
#define MORSEL_POOL_NAME_MAX 32 /* bytes, with the terminating zero */

#define MORSEL_ANY 0xffffffffU /* no preference: a pool, a node */

/* Pool kinds. */
#define MORSEL_POOL_DRAM 1 /* borrowed from the kernel, one per NUMA node */

/* Where a morsel's frames are to be, among the pools of nodes; as set_mempolicy(2) has it. */
#define MORSEL_POLICY_NEAR 0 /* near the caller, and going on to the next nearest node */
#define MORSEL_POLICY_BIND 1 /* on these nodes alone */
#define MORSEL_POLICY_PREFERRED 2 /* on these, and going on to the next nearest ones */
#define MORSEL_POLICY_INTERLEAVE 3 /* on these in turn, in equal parts, and then on others */

/* Granularity of allocation. */
#define MORSEL_GRANULE_AUTO 0 /* 2 MiB where size and pool allow, 4 KiB for the rest */
#define MORSEL_GRANULE_4K 12 /* log2 of the frame's size */
#define MORSEL_GRANULE_2M 21 /* a length that is no multiple ends within such a frame */

/**
 * struct morsel_query - what this module is (MORSEL_IOC_QUERY)
 * @size:	sizeof(struct morsel_query)
 * @flags:	in: 0
 * @abi:	out: newest ABI the module speaks
 * @abi_oldest:	out: oldest ABI it still serves
 * @features:	out: MORSEL_FEATURE_* bits
 * @max_length:	out: largest morsel
 * @nr_pools:	out: pools there are
 * @nr_morsels:	out: morsels there are, on all pools
 * @attach_unit: out: offsets and lengths of mappings that are multiples of it attach by
 *		entries of upper tables; what is left at the ends is mapped page by page
 * @splice_unit: out: what one entry of a page table attaches; lengths and
 *		addresses that are multiples of it attach fastest
 * @version:	out: the module's release, for people
 *
 * Errors: only the common ones.
 */
struct morsel_query {
	__u32 size;
	__u32 flags;
	__u32 abi;
	__u32 abi_oldest;
	__u64 features;
	__u64 max_length;
	__u32 nr_pools;
	__u32 nr_morsels;
	__u64 attach_unit;
	__u64 splice_unit;
	char version[32];
};

#define MORSEL_FEATURE_HUGE (1ULL << 0) /* 2 MiB frames */
#define MORSEL_FEATURE_SPLICE_1G (1ULL << 1) /* whole GiBs attach by one entry */
#define MORSEL_FEATURE_SPLICE_2M (1ULL << 2) /* anything else by one entry per 2 MiB */
#define MORSEL_FEATURE_TABLESETS (1ULL << 3) /* each set of rights has its own leaves */
#define MORSEL_FEATURE_LIMITS (1ULL << 4) /* per-user ceilings */
#define MORSEL_FEATURE_TUNE (1ULL << 5) /* MORSEL_IOC_TUNE, and fault_around */
#define MORSEL_FEATURE_RESIZE (1ULL << 6) /* ftruncate(2), writing behind the end, any length */
#define MORSEL_FEATURE_ANY_MAP (1ULL << 7) /* any mapping, also MAP_PRIVATE */
#define MORSEL_FEATURE_SEAL (1ULL << 8) /* MORSEL_IOC_SEAL */
#define MORSEL_FEATURE_MOUNT (1ULL << 9) /* it can be mounted, and names are in a mount */
#define MORSEL_FEATURE_DUMP (1ULL << 10) /* MORSEL_CREATE_DUMP */
#define MORSEL_FEATURE_NODES (1ULL << 11) /* frames of several pools, morsel_create.policy */
#define MORSEL_FEATURE_RESERVE (1ULL << 12) /* MORSEL_IOC_RESERVE, MORSEL_CREATE_RESERVE */

/**
 * struct morsel_create - make a morsel (MORSEL_IOC_CREATE)
 * @size:	sizeof(struct morsel_create)
 * @flags:	MORSEL_CREATE_*
 * @length:	0 to morsel_query.max_length, in bytes, and ftruncate(2) changes it; memory is
 *		zero until written
 * @pool:	a pool's id, and all frames are of that pool; or MORSEL_ANY for those of nodes
 * @node:	preferred NUMA node, or MORSEL_ANY for the caller's
 * @granule:	MORSEL_GRANULE_*
 * @mode:	permission bits (0..0777), as chmod(2) takes them; the owner
 *		is the caller (fsuid, fsgid)
 * @fd:		out: descriptor, open for reading and writing
 * @fault_around: as in struct morsel_tune, or 0: as suits the granule
 * @id:		out: the morsel's id, never used twice while the module is loaded
 * @name:	"" for none; else up to 255 bytes of UTF-8, without '/' and
 *		control characters (U+0000 to U+001F, U+007F to U+009F),
 *		not "." nor ".."; a named morsel lives
 *		until it is unlinked and the last descriptor and mapping are
 *		gone, an unnamed one as long as a descriptor or a mapping of
 *		it
 * @policy:	MORSEL_POLICY_*; but for MORSEL_POLICY_NEAR, @pool and @node are MORSEL_ANY
 * @nr_nodes:	how many bits @nodes has, at most 65536; 0 with MORSEL_POLICY_NEAR
 * @nodes:	pointer to an array of __u64: bit N % 64 of word N / 64 is node N, of those that
 *		the policy is about; nodes without memory, and those that the caller's cpuset does
 *		not allow, are left out
 *
 * Names are those of files in the topmost folder of the first file system that is mounted of type
 * "morsel": as long as there is none, in one that the next who mounts gets to see.  Its mode, and
 * its size, bind this call, too.
 *
 * All users and user namespaces share these names, and one series of ids: EEXIST
 * tells of a morsel that the caller may not see, as do gaps in ids, and
 * morsel_query.nr_morsels.  So names are not the place for secrets.
 *
 * With MORSEL_ANY for a pool, the nearest one that has room, and that the caller's cpuset allows,
 * is chosen here, for tables, and as the home of frames where nobody has a policy: when it is full,
 * or has no 2 MiB in one piece where these are wanted, the next nearest one is taken of that the
 * cpuset of who touches the page allows.  A policy that
 * the mapping has (mbind(2)) is obeyed before that of the morsel, and that one before the policy of
 * the task that touches the page (set_mempolicy(2), numactl(8)).  A node as the preferred one is a
 * policy, too.
 *
 * Errors: EEXIST (the name is taken), EINVAL (also: no such granule, a bad name, a
 * fault_around that struct morsel_tune does not allow, no such policy, or it lacks nodes, or has
 * a pool or a node beside them),
 * EFBIG (length over max_length), ENOENT (no such pool, or none on the nodes), ENODEV (no such node,
 * or none of the policy's has memory),
 * EACCES (the caller's cpuset does not allow the node, or that of the pool; or the folder of names
 * does not let the caller make some), EROFS (it is mounted read-only),
 * EDQUOT (over the caller's ceiling), ENOMEM (no memory, or over the size of the mount, or that has
 * as many files as it may; with POPULATE and RESERVE: the pools are too small, nothing is left behind), EMFILE,
 * ENFILE, EINTR (a fatal signal while populating or reserving).
 */
struct morsel_create {
	__u32 size;
	__u32 flags;
	__u64 length;
	__u32 pool;
	__u32 node;
	__u32 granule;
	__u32 mode;
	__s32 fd;
	__u32 fault_around;
	__u64 id;
	char name[MORSEL_NAME_MAX];
	__u32 policy;
	__u32 nr_nodes;
	__u64 nodes;
};

#define MORSEL_CREATE_POPULATE (1U << 0) /* allocate everything now, or fail with ENOMEM */
#define MORSEL_CREATE_CLOEXEC (1U << 1)
#define MORSEL_CREATE_SEALABLE (1U << 2) /* it takes seals; else it begins with MORSEL_SEAL_SEAL */
/*
 * Core dumps have what is shared of it, as /proc/PID/coredump_filter says; holes get memory then.
 * MADV_DONTDUMP takes mappings out again.
 */
#define MORSEL_CREATE_DUMP (1U << 3)
/*
 * All of it is reserved (MORSEL_IOC_RESERVE), and so is what it grows by: ftruncate(2), fallocate(2)
 * and writing behind the end fail with ENOSPC or EDQUOT where there is no memory for that.
 */
#define MORSEL_CREATE_RESERVE (1U << 4)

/*
 * It is seen by exclusive views alone (MORSEL_IOC_VIEW): its own descriptor is for looking after it, and for making
 * these, but not for mmap(2) (ENODEV), read(2) and write(2) (EINVAL), and it is not cloned, rolled back, given away, nor reserved
 * (EOPNOTSUPP; with MORSEL_CREATE_RESERVE EINVAL).
 */
#define MORSEL_CREATE_VIEWS (1U << 5)

/**
 * struct morsel_open - open a morsel by name or id (MORSEL_IOC_OPEN)
 * @size:	sizeof(struct morsel_open)
 * @flags:	MORSEL_OPEN_*
 * @id:		in: id to open, or 0 to go by @name; out: id of what was opened
 * @fd:		out: descriptor
 * @reserved:	0
 * @name:	"" where @id is given
 *
 * The morsel's mode and owner decide, as for a file.  A descriptor opened
 * read-only can never be mapped writable.  What is in a mount, but not among the names of
 * CREATE, is opened by its id with CAP_DAC_READ_SEARCH: folders may keep others from it.
 *
 * Errors: ENOENT (no such morsel, or its mode, or that of the folder of names, does not let the
 * caller see it), EACCES (it may be seen, but not opened for writing), EROFS (its file system is
 * mounted read-only), ETXTBSY (it is being run), EMFILE, ENFILE, ENOMEM.
 */
struct morsel_open {
	__u32 size;
	__u32 flags;
	__u64 id;
	__s32 fd;
	__u32 reserved;
	char name[MORSEL_NAME_MAX];
};

#define MORSEL_OPEN_READ_ONLY (1U << 0)
#define MORSEL_OPEN_CLOEXEC (1U << 1)

/**
 * struct morsel_unlink - take a morsel's name away (MORSEL_IOC_UNLINK)
 * @size:	sizeof(struct morsel_unlink)
 * @flags:	0
 * @id:		id, or 0 to go by @name
 * @name:	"" where @id is given
 *
 * As unlink(2): the morsel goes when its last name, descriptor and mapping go.  Where nobody has
 * said otherwise by mount(8), allowed to its owner and to CAP_FOWNER.
 *
 * Errors: ENOENT (no such named morsel, or its mode does not let the caller see
 * it), EPERM (not the caller's), EACCES (the folder does not let the caller), EROFS.
 */
struct morsel_unlink {
	__u32 size;
	__u32 flags;
	__u64 id;
	char name[MORSEL_NAME_MAX];
};

/**
 * struct morsel_info - what a morsel is (entries of MORSEL_IOC_LIST, and
 * MORSEL_IOC_STAT on a morsel's descriptor)
 * @size:	STAT: sizeof(struct morsel_info); in entries of LIST: bytes
 *		that the module filled
 * @flags:	in: 0; out: MORSEL_INFO_*, so clear it before the next call
 * @id:		id
 * @length:	size in bytes
 * @frame_bytes: bytes of frames allocated now
 * @table_bytes: bytes of page tables shared by all attachments, in all tablesets
 * @huge_bytes:	of @frame_bytes, those in 2 MiB frames
 * @faults:	faults taken in all attachments since creation
 * @pool:	pool id, of the one that it began with; MORSEL_IOC_NODES tells of all
 * @node:	NUMA node of the pool
 * @granule:	MORSEL_GRANULE_*
 * @mode:	permission bits
 * @uid:	owner, as the caller's user namespace sees it
 * @gid:	group, likewise
 * @attachments: attachments now, in all processes
 * @fault_around: as in struct morsel_tune
 * @name:	name, or ""; of a file with several links, one of these; names that were not given
 *		by CREATE may be any bytes
 * @reserved_bytes: bytes that are reserved (MORSEL_IOC_RESERVE)
 *
 * Errors of STAT: only the common ones.
 */
struct morsel_info {
	__u32 size;
	__u32 flags;
	__u64 id;
	__u64 length;
	__u64 frame_bytes;
	__u64 table_bytes;
	__u64 huge_bytes;
	__u64 faults;
	__u32 pool;
	__u32 node;
	__u32 granule;
	__u32 mode;
	__u32 uid;
	__u32 gid;
	__u32 attachments;
	__u32 fault_around;
	char name[MORSEL_NAME_MAX];
	__u64 reserved_bytes;
};

#define MORSEL_INFO_NAMED (1U << 0)
#define MORSEL_INFO_TABLESETS (1U << 1) /* it has tables for other rights than read and write */

/**
 * struct morsel_node - what a morsel has on a node (entries of MORSEL_IOC_NODES)
 * @id:		the morsel's
 * @frame_bytes: bytes of frames that it has of the pool
 * @huge_bytes:	of these, those in 2 MiB frames
 * @pool:	pool id
 * @node:	NUMA node of the pool
 */
struct morsel_node {
	__u64 id;
	__u64 frame_bytes;
	__u64 huge_bytes;
	__u32 pool;
	__u32 node;
};

#define MORSEL_NODES_LEAST 64 /* entries that there must be room for: all of one morsel */

/**
 * struct morsel_list - an array read in steps (MORSEL_IOC_LIST, MORSEL_IOC_NODES,
 * MORSEL_IOC_POOL_LIST, MORSEL_IOC_EXTENTS)
 * @size:	sizeof(struct morsel_list)
 * @flags:	0
 * @cursor:	in: 0 to start, then what the call before gave; out: where to
 *		go on.  EXTENTS: an offset in the morsel
 * @entries:	pointer to the array
 * @entry_size:	size of one entry as the caller was compiled
 * @count:	in: entries there is room for (at most 65536 are filled per
 *		call); out: entries filled, 0 at the end
 *
 * LIST fills struct morsel_info for each morsel that its mode lets the caller
 * see (read permission), by ascending id; of one that is being made meanwhile, the id may
 * be below the cursor.  NODES fills struct morsel_node for each of these morsels and each pool that
 * it has frames of; there must be room for MORSEL_NODES_LEAST.  POOL_LIST fills struct
 * morsel_pool_info.  EXTENTS fills struct morsel_extent.
 *
 * Errors: EINVAL (also: NODES, and there is too little room), ENOMEM, EINTR (a fatal signal).
 */
struct morsel_list {
	__u32 size;
	__u32 flags;
	__u64 cursor;
	__u64 entries;
	__u32 entry_size;
	__u32 count;
};

/**
 * struct morsel_extent - where a part of a morsel lies (MORSEL_IOC_EXTENTS on a
 * morsel's descriptor)
 * @offset:	first byte
 * @length:	bytes; what follows each other in the morsel, at one level and on one
 *		node, is one extent.  With CAP_SYS_ADMIN, frames also follow each other in
 *		memory
 * @frame:	number of the first frame (physical address / 4096); 0
 *		without CAP_SYS_ADMIN
 * @level:	MORSEL_LEVEL_*: what the extent is
 * @node:	NUMA node of the frames, MORSEL_ANY for a hole
 * @shared:	MORSEL_SHARED_*: what of it other morsels have, too, as one is a clone of the other
 * @reserved:	0
 *
 * Holes are extents too: HOLE_4K is a hole below a table of 4 KiB entries,
 * HOLE_2M one in a table of 2 MiB entries, HOLE_1G one that has no table at
 * all.  So the extents give the whole shape of the subtree.
 */
struct morsel_extent {
	__u64 offset;
	__u64 length;
	__u64 frame;
	__u32 level;
	__u32 node;
	__u32 shared;
	__u32 reserved;
};

#define MORSEL_SHARED_FRAMES (1U << 0)
#define MORSEL_SHARED_PTES (1U << 1) /* the table of 4 KiB entries */
#define MORSEL_SHARED_PMDS (1U << 2) /* the table of 2 MiB entries, and so all below it */

#define MORSEL_LEVEL_4K 1 /* frames of 4 KiB */
#define MORSEL_LEVEL_2M 2 /* frames of 2 MiB: leaves in a PMD table */
#define MORSEL_LEVEL_HOLE_4K 3
#define MORSEL_LEVEL_HOLE_2M 4
#define MORSEL_LEVEL_HOLE_1G 5

/**
 * struct morsel_range - a part of a morsel (MORSEL_IOC_POPULATE, MORSEL_IOC_RESERVE,
 * MORSEL_IOC_PUNCH on a morsel's descriptor)
 * @size:	sizeof(struct morsel_range)
 * @flags:	0; RESERVE: MORSEL_RESERVE_RELEASE or 0
 * @offset:	multiple of 4096
 * @length:	multiple of 4096, or up to the morsel's end; 0 means up to
 *		the morsel's end
 *
 * POPULATE allocates and clears all frames of the range that are not there yet,
 * in bulk.  On failure, what was populated stays.
 * Errors: EBADF (the descriptor is read-only), ERANGE (beyond the morsel's
 * end), ENOMEM (the pool is full), EDQUOT (over the owner's ceiling), EINTR (a
 * signal came in; call again to go on).
 *
 * RESERVE populates the range, and promises that it keeps what it has, and the tables that show it:
 * to touch it does not get SIGBUS for want of memory in pools and below ceilings, whatever others
 * take.  It counts against pools
 * and ceiling from then on.  Punching clears it; its frames go when it is cut off (ftruncate(2)), or
 * released and then punched.  Mapping it, and mprotect(2), may fail with ENOMEM, as tables for the
 * rights are made then.  Memory that fails is another matter, and so is what a private mapping copies.
 * MORSEL_RESERVE_RELEASE takes the promise back, and of the whole morsel that of
 * MORSEL_CREATE_RESERVE, too.
 * Errors: EBADF, ERANGE, ENOMEM, EDQUOT, EINTR, as above; what was populated and reserved by then
 * stays so.
 *
 * PUNCH frees the frames that lie wholly within the range and clears what else
 * is in it (parts of a 2 MiB frame, and what is reserved, but for memory that has failed); it reads as
 * zero afterwards. A frame that
 * is pinned (O_DIRECT, RDMA) is given back when the pin is gone, and counts
 * against the owner's ceiling until then.
 * Errors: EBADF, ERANGE, as above; EPERM (it is sealed against writing); EINTR (a fatal signal:
 * what is freed by then stays so).
 */
struct morsel_range {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 length;
};

#define MORSEL_RESERVE_RELEASE (1U << 0)

/**
 * struct morsel_tune - how a morsel behaves (MORSEL_IOC_TUNE on a morsel's
 * descriptor)
 * @size:	sizeof(struct morsel_tune)
 * @flags:	0
 * @fault_around: bytes, a power of two from 4096 to 2 MiB: what the first touch
 *		of a page allocates at once, where it gets frames of 4 KiB. All
 *		that is missing of the aligned block of this size around the
 *		page is filled, as far as pool and ceiling give it
 * @reserved:	0
 *
 * A block that is larger costs fewer faults where neighbours are touched too,
 * and memory where they are not; pages that were punched come back with it. A
 * new morsel has 4096 with MORSEL_GRANULE_4K, and 65536 with
 * MORSEL_GRANULE_AUTO, for where that gets no 2 MiB.
 *
 * Errors: EBADF (the descriptor is read-only).
 */
struct morsel_tune {
	__u32 size;
	__u32 flags;
	__u32 fault_around;
	__u32 reserved;
};

/**
 * struct morsel_seal - what is not done to a morsel any more (MORSEL_IOC_SEAL on a morsel's
 * descriptor)
 * @size:	sizeof(struct morsel_seal)
 * @flags:	0
 * @seals:	in: MORSEL_SEAL_* to add, or 0; out: all that it has.  They are those of
 *		F_ADD_SEALS in fcntl(2), with the same meaning
 * @reserved:	0
 *
 * No seal is ever taken away.  Calls that a seal forbids fail with EPERM.
 *
 * Errors: EPERM (the descriptor is read-only; or MORSEL_SEAL_SEAL is set, as of all morsels that
 * were created without MORSEL_CREATE_SEALABLE), EBUSY (MORSEL_SEAL_WRITE: it is mapped shared and
 * writable, or somebody pins memory of it), EINTR (a fatal signal).
 */
struct morsel_seal {
	__u32 size;
	__u32 flags;
	__u32 seals;
	__u32 reserved;
};

#define MORSEL_SEAL_SEAL 0x0001U /* no further seals */
#define MORSEL_SEAL_SHRINK 0x0002U /* it does not become shorter */
#define MORSEL_SEAL_GROW 0x0004U /* nor longer */
#define MORSEL_SEAL_WRITE 0x0008U /* it is not written, nor punched */
#define MORSEL_SEAL_FUTURE_WRITE 0x0010U /* but by mappings that there are already */
#define MORSEL_SEALS 0x001fU /* all of these */

/**
 * struct morsel_clone - make a morsel with the contents that another has (MORSEL_IOC_CLONE on that one's
 * descriptor)
 * @size:	sizeof(struct morsel_clone)
 * @flags:	MORSEL_CLONE_*
 * @fd:		out: descriptor of the clone, open for reading and writing; of a snapshot, for reading
 * @mode:	permission bits, as in struct morsel_create
 * @id:		out: the clone's id
 * @name:	as in struct morsel_create; "" for none
 *
 * The clone has what the morsel had at one instant: what is written by any way in the order A, B is never
 * seen there as B without A.  Both share memory and page tables until one of them is written, and then
 * have copies of the pages that are (or, of frames of 2 MiB, of these).  A frame that is pinned (O_DIRECT, RDMA)
 * is copied at once, and so is what is reserved, as that is to be written without taking memory.  Everything else about
 * the clone is its own: size, seals, mode, owner, reservations; clones can be cloned, and go in any order.
 *
 * A clone has the granule, the pools and the policy of its source.
 *
 * Errors: as of MORSEL_IOC_CREATE, but for those of what it does not take; EBADF (the descriptor is not for reading, or
 * not for writing, and it is not sealed against that); EIO (pinned memory has failed).
 */
struct morsel_clone {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 mode;
	__u64 id;
	char name[MORSEL_NAME_MAX];
};

#define MORSEL_CLONE_SNAPSHOT (1U << 0) /* it has all seals: nobody ever writes to it */
#define MORSEL_CLONE_CLOEXEC (1U << 1)
#define MORSEL_CLONE_SEALABLE (1U << 2) /* as MORSEL_CREATE_SEALABLE */

/**
 * struct morsel_rollback - have a morsel be as another is (MORSEL_IOC_ROLLBACK on its descriptor)
 * @size:	sizeof(struct morsel_rollback)
 * @flags:	0
 * @from:	descriptor of the other one, most often a snapshot of the morsel
 * @reserved:	0
 *
 * Contents and size are those of the other one, at one instant, for all who have the morsel, also by mappings; what it
 * had is gone.  All else stays as it was.  No memory is copied, as with MORSEL_IOC_CLONE.
 *
 * Errors: EBADF (a descriptor that is for reading only; @from is none of a morsel, or cannot be cloned by its
 * descriptor); EINVAL (it has another granule); EPERM (seals); EBUSY (some of it is reserved); and those of
 * MORSEL_IOC_CLONE: then nothing has changed.
 */
struct morsel_rollback {
	__u32 size;
	__u32 flags;
	__s32 from;
	__u32 reserved;
};

/**
 * struct morsel_diff - in which parts a morsel differs from another (MORSEL_IOC_DIFF on its descriptor)
 * @list:	as of MORSEL_IOC_EXTENTS; filled with struct morsel_difference
 * @other:	descriptor of the other one
 * @reserved:	0
 *
 * Told by memory, not by bytes: what a morsel and a clone of it share is no difference, what was written since is
 * one, also if it is the same again.  What changes meanwhile is told as it is at some moment.
 *
 * Errors: EBADF (@other is none of a morsel), EINVAL, EINTR (a fatal signal).
 */
struct morsel_diff {
	struct morsel_list list;
	__s32 other;
	__u32 reserved;
};

/**
 * struct morsel_difference - a part in which two morsels differ
 * @offset:	first byte
 * @length:	bytes
 * @flags:	MORSEL_DIFF_HERE: there is memory of the morsel's own; MORSEL_DIFF_THERE: of the other one's
 * @reserved:	0
 */
struct morsel_difference {
	__u64 offset;
	__u64 length;
	__u32 flags;
	__u32 reserved;
};

#define MORSEL_DIFF_HERE (1U << 0)
#define MORSEL_DIFF_THERE (1U << 1)

/**
 * struct morsel_give - take a morsel from all who have it, and get the only descriptor (MORSEL_IOC_GIVE on its
 * descriptor)
 * @size:	sizeof(struct morsel_give)
 * @flags:	MORSEL_GIVE_CLOEXEC
 * @fd:		out: the descriptor, open for reading and writing
 * @reserved:	0
 *
 * In one step, all other descriptors become stale, that of the call, too: what they are asked for fails with ESTALE, but
 * closing; and mappings show nothing any more (SIGBUS).  Contents, id, name, owner, mode, seals and what is reserved are those of the
 * new descriptor, which is most often sent to somebody (SCM_RIGHTS): it alone has the morsel, and when it is closed, also on the way,
 * that is gone, if it has no name.  Who pays for it stays who did.
 *
 * Takes as long for much memory as for little, but for what was mapped page by page, where each is looked at.  What a device or the kernel has pinned stays pinned; and who may open the
 * morsel by its name or id may do so still.
 *
 * Errors: EBADF (the descriptor is not for reading and writing); EPERM (it is sealed against shrinking or writing, so others rely on its
 * contents); EMLINK (it has several names); EBUSY (something is mounted over its name); ESTALE (somebody else was first); and EMFILE, ENFILE, ENOMEM, EDQUOT,
 * EINTR (a fatal signal): then nothing has changed.
 */
struct morsel_give {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
};

#define MORSEL_GIVE_CLOEXEC (1U << 0)

/**
 * struct morsel_view - see a morsel by an exclusive view (MORSEL_IOC_VIEW on the descriptor of one that was made with
 * MORSEL_CREATE_VIEWS)
 * @size:	sizeof(struct morsel_view)
 * @flags:	MORSEL_VIEW_CLOEXEC
 * @fd:		out: a descriptor for the view, for reading and writing as that of the call is
 * @number:	out: by which it is told from others of the morsel
 *
 * Who has the descriptor, or has mapped the view by it, is one party.  A page is one party's alone, which may write it, or is read
 * by any number.  To read or write it by way of a mapping takes it from others, once who was given it last has used it; who
 * wants a page that others hold (MORSEL_IOC_ACQUIRE) waits for it.  Nobody who waits is passed by.
 *
 * Mappings are shared, of whole 2 MiB each (address, offset and length: else EINVAL), and are not moved (mremap(2)).  The party
 * is no more once its last descriptor and mapping are gone; what it had is free then.  It is parties that agree so: whoever may
 * open the morsel may make views, hold pages, or, to write it, punch and restrict.  What is pinned (O_DIRECT, RDMA) is read and written by who
 * pinned it until that ends, whoever has the page by then.
 *
 * Errors: EBADF (the descriptor is not for reading); EOPNOTSUPP (the morsel was not made for it); EMFILE (2047 have views), ENFILE, ENOMEM.
 */
struct morsel_view {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 number;
};

#define MORSEL_VIEW_CLOEXEC (1U << 0)

/**
 * struct morsel_acquire - have a part of a morsel, and hold it (MORSEL_IOC_ACQUIRE on a view's descriptor)
 * @size:	sizeof(struct morsel_acquire)
 * @flags:	MORSEL_ACQUIRE_WRITE: alone, to be written; else to be read, by any number
 * @offset:	its first byte, a multiple of 4096
 * @length:	how many, likewise, and not 0
 * @timeout:	in nanoseconds; 0: it does not wait (EBUSY); MORSEL_NO_TIMEOUT
 *
 * From then on nobody takes it away, until it is released, or the party is no more: who wants it waits.  What
 * there is of it is mapped where the view is, so that using it takes no faults.  For all of 2 MiB that are aligned so, it takes as long
 * as for a page.  It is taken by ascending offsets; who acquires several parts does so in the same order as others, or with a time-out.
 *
 * Errors: EBADF (to be written, and the descriptor is for reading); EDEADLK (the party holds some of it already);
 * EBUSY; ETIMEDOUT; EINTR (a signal); EACCES (the view was frozen, or revoked); ERANGE (it is behind the end); ENOLCK (255 hold some of
 * it); ENOMEM.
 */
struct morsel_acquire {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 length;
	__u64 timeout;
};

#define MORSEL_ACQUIRE_WRITE (1U << 0)
#define MORSEL_NO_TIMEOUT 0xffffffffffffffffULL

/*
 * MORSEL_IOC_RELEASE on a view's descriptor: struct morsel_range says where; what was acquired there, and lies there wholly, is
 * held no more.  It stays the party's until somebody takes it; or, with MORSEL_RELEASE_GIVE_UP, is nobody's.
 *
 * Errors: EINVAL, also if nothing is held there, or something in part.
 */
#define MORSEL_RELEASE_GIVE_UP (1U << 0)

/**
 * struct morsel_restrict - have a party do less from now on (MORSEL_IOC_RESTRICT on the descriptor of the morsel, or of the view)
 * @size:	sizeof(struct morsel_restrict)
 * @flags:	MORSEL_RESTRICT_FREEZE: it never writes any more; MORSEL_RESTRICT_REVOKE: nor does it read, and holds nothing
 * @number:	which; 0: that of the view's descriptor
 * @reserved:	0
 *
 * What it has mapped, and may not any more, is SIGBUS to it.
 *
 * Errors: EBADF (the descriptor is not for writing); ENOENT (there is no such view); EBUSY (to be frozen, and it holds something);
 * EOPNOTSUPP (the morsel was not made for views).
 */
struct morsel_restrict {
	__u32 size;
	__u32 flags;
	__u32 number;
	__u32 reserved;
};

#define MORSEL_RESTRICT_FREEZE (1U << 0)
#define MORSEL_RESTRICT_REVOKE (1U << 1)

/**
 * struct morsel_limit - a user's ceiling (MORSEL_IOC_LIMIT_GET,
 * MORSEL_IOC_LIMIT_SET)
 * @size:	sizeof(struct morsel_limit)
 * @flags:	SET: MORSEL_LIMIT_DEFAULT takes an own ceiling back; GET:
 *		out: MORSEL_LIMIT_DEFAULT where the user has none of its own
 * @uid:	the user
 * @reserved:	0
 * @bytes:	frames and tables that the morsels may take which this user made, or
 *		somebody in a user namespace that this user owns, and what the kernel
 *		keeps of each: a page, and for each set of rights that it is mapped with
 *		a page, more of morsels above 1 TiB; MORSEL_UNLIMITED for no ceiling
 * @used:	out: what they take now, with what they have freed but somebody
 *		still pins (O_DIRECT, RDMA, vmsplice); clear @flags before the next
 *		call
 *
 * Users without a ceiling of their own get the module parameter user_limit; uid
 * 0 has none unless it is given one.  SET needs CAP_SYS_ADMIN; a ceiling below
 * what is used now stops further growth only.
 *
 * Errors: EPERM (SET without CAP_SYS_ADMIN; GET of another user without it), ENOMEM,
 * EINTR (GET: a fatal signal).
 */
struct morsel_limit {
	__u32 size;
	__u32 flags;
	__u32 uid;
	__u32 reserved;
	__u64 bytes;
	__u64 used;
};

#define MORSEL_LIMIT_DEFAULT (1U << 0)
#define MORSEL_UNLIMITED 0xffffffffffffffffULL

/**
 * struct morsel_pool_info - what a pool is (MORSEL_IOC_POOL_STAT, entries of
 * MORSEL_IOC_POOL_LIST)
 * @size:	STAT: sizeof(struct morsel_pool_info); in entries of LIST:
 *		bytes that the module filled
 * @flags:	0
 * @id:		STAT: in: the pool
 * @kind:	MORSEL_POOL_*
 * @node:	NUMA node
 * @morsels:	morsels on it
 * @limit_bytes: what it may hold at most
 * @held_bytes:	what it has borrowed from the kernel now: used + free + pinned
 * @used_bytes:	frames and tables of morsels
 * @free_bytes:	borrowed, not in use
 * @free_huge_bytes: of @free_bytes, whole 2 MiB frames
 * @pinned_bytes: freed by their morsel, but still pinned by somebody
 *		(O_DIRECT, RDMA)
 * @borrows:	chunks borrowed from the kernel since the pool was made
 * @returns:	chunks given back
 * @name:	for people: "dram0"
 *
 * Errors of POOL_STAT: ENOENT, EINTR (a fatal signal).
 */
struct morsel_pool_info {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 kind;
	__u32 node;
	__u32 morsels;
	__u64 limit_bytes;
	__u64 held_bytes;
	__u64 used_bytes;
	__u64 free_bytes;
	__u64 free_huge_bytes;
	__u64 pinned_bytes;
	__u64 borrows;
	__u64 returns;
	char name[MORSEL_POOL_NAME_MAX];
};

/**
 * struct morsel_pool - make, resize or remove a pool (MORSEL_IOC_POOL_ADD,
 * MORSEL_IOC_POOL_RESIZE, MORSEL_IOC_POOL_REMOVE)
 * @size:	sizeof(struct morsel_pool)
 * @flags:	0
 * @id:		ADD: out; RESIZE, REMOVE: in
 * @kind:	ADD: MORSEL_POOL_DRAM; else 0
 * @node:	ADD: NUMA node; else 0
 * @reserved:	0
 * @limit_bytes: ADD, RESIZE: what the pool may hold, a multiple of 2 MiB; REMOVE: 0
 *
 * A dram pool has room for the memory that its node has when it is added (or
 * the module is loaded): memory that is plugged in later may be lent to it only as far as
 * that room goes, whatever its limit.  To have all of it used, remove the pool, which takes
 * that no morsel is on it, and add it again.
 *
 * All need CAP_SYS_ADMIN.  RESIZE below what is in use is allowed: nothing more
 * is handed out until enough has been freed.  An ADD that cannot write the id back
 * (EFAULT) leaves no pool, unless others have made morsels on it by then.
 *
 * Errors: EPERM, ENOENT (no such pool), ENODEV (no such node), EEXIST (the node
 * has its pool already), EBUSY (REMOVE: morsels are on it, or frames of it are
 * pinned), ENOMEM, EOPNOTSUPP (a kind this module does not have).
 */
struct morsel_pool {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 kind;
	__u32 node;
	__u32 reserved;
	__u64 limit_bytes;
};

#define MORSEL_IOC_MAGIC 0xE5

/* On /dev/morsel. */
#define MORSEL_IOC_QUERY _IOWR(MORSEL_IOC_MAGIC, 0x00, struct morsel_query)
#define MORSEL_IOC_CREATE _IOWR(MORSEL_IOC_MAGIC, 0x01, struct morsel_create)
#define MORSEL_IOC_OPEN _IOWR(MORSEL_IOC_MAGIC, 0x02, struct morsel_open)
#define MORSEL_IOC_UNLINK _IOW(MORSEL_IOC_MAGIC, 0x03, struct morsel_unlink)
#define MORSEL_IOC_LIST _IOWR(MORSEL_IOC_MAGIC, 0x04, struct morsel_list)
#define MORSEL_IOC_LIMIT_GET _IOWR(MORSEL_IOC_MAGIC, 0x05, struct morsel_limit)
#define MORSEL_IOC_LIMIT_SET _IOW(MORSEL_IOC_MAGIC, 0x06, struct morsel_limit)
#define MORSEL_IOC_NODES _IOWR(MORSEL_IOC_MAGIC, 0x07, struct morsel_list)
#define MORSEL_IOC_POOL_LIST _IOWR(MORSEL_IOC_MAGIC, 0x10, struct morsel_list)
#define MORSEL_IOC_POOL_STAT _IOWR(MORSEL_IOC_MAGIC, 0x11, struct morsel_pool_info)
#define MORSEL_IOC_POOL_ADD _IOWR(MORSEL_IOC_MAGIC, 0x12, struct morsel_pool)
#define MORSEL_IOC_POOL_RESIZE _IOW(MORSEL_IOC_MAGIC, 0x13, struct morsel_pool)
#define MORSEL_IOC_POOL_REMOVE _IOW(MORSEL_IOC_MAGIC, 0x14, struct morsel_pool)

/* On a morsel's descriptor. */
#define MORSEL_IOC_STAT _IOWR(MORSEL_IOC_MAGIC, 0x20, struct morsel_info)
#define MORSEL_IOC_POPULATE _IOW(MORSEL_IOC_MAGIC, 0x21, struct morsel_range)
#define MORSEL_IOC_PUNCH _IOW(MORSEL_IOC_MAGIC, 0x22, struct morsel_range)
#define MORSEL_IOC_EXTENTS _IOWR(MORSEL_IOC_MAGIC, 0x23, struct morsel_list)
#define MORSEL_IOC_TUNE _IOW(MORSEL_IOC_MAGIC, 0x24, struct morsel_tune)
#define MORSEL_IOC_SEAL _IOWR(MORSEL_IOC_MAGIC, 0x25, struct morsel_seal)
#define MORSEL_IOC_RESERVE _IOW(MORSEL_IOC_MAGIC, 0x26, struct morsel_range)
#define MORSEL_IOC_CLONE _IOWR(MORSEL_IOC_MAGIC, 0x27, struct morsel_clone)
#define MORSEL_IOC_ROLLBACK _IOW(MORSEL_IOC_MAGIC, 0x28, struct morsel_rollback)
#define MORSEL_IOC_DIFF _IOWR(MORSEL_IOC_MAGIC, 0x29, struct morsel_diff)
#define MORSEL_IOC_GIVE _IOWR(MORSEL_IOC_MAGIC, 0x2a, struct morsel_give)
#define MORSEL_IOC_VIEW _IOWR(MORSEL_IOC_MAGIC, 0x2b, struct morsel_view)
#define MORSEL_IOC_RESTRICT _IOW(MORSEL_IOC_MAGIC, 0x2c, struct morsel_restrict)

/* On a view's descriptor, beside STAT and RESTRICT. */
#define MORSEL_IOC_ACQUIRE _IOW(MORSEL_IOC_MAGIC, 0x30, struct morsel_acquire)
#define MORSEL_IOC_RELEASE _IOW(MORSEL_IOC_MAGIC, 0x31, struct morsel_range)

/* The layout is ABI: a compiler that disagrees must not get past here. */
#ifdef __cplusplus
#define MORSEL_ASSERT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type)
#else
#define MORSEL_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#endif
MORSEL_ASSERT_SIZE(struct morsel_query, 88);
MORSEL_ASSERT_SIZE(struct morsel_create, 320);
MORSEL_ASSERT_SIZE(struct morsel_open, 280);
MORSEL_ASSERT_SIZE(struct morsel_unlink, 272);
MORSEL_ASSERT_SIZE(struct morsel_info, 352);
MORSEL_ASSERT_SIZE(struct morsel_node, 32);
MORSEL_ASSERT_SIZE(struct morsel_list, 32);
MORSEL_ASSERT_SIZE(struct morsel_extent, 40);
MORSEL_ASSERT_SIZE(struct morsel_range, 24);
MORSEL_ASSERT_SIZE(struct morsel_tune, 16);
MORSEL_ASSERT_SIZE(struct morsel_seal, 16);
MORSEL_ASSERT_SIZE(struct morsel_clone, 280);
MORSEL_ASSERT_SIZE(struct morsel_rollback, 16);
MORSEL_ASSERT_SIZE(struct morsel_diff, 40);
MORSEL_ASSERT_SIZE(struct morsel_difference, 24);
MORSEL_ASSERT_SIZE(struct morsel_give, 16);
MORSEL_ASSERT_SIZE(struct morsel_view, 16);
MORSEL_ASSERT_SIZE(struct morsel_acquire, 32);
MORSEL_ASSERT_SIZE(struct morsel_restrict, 16);
MORSEL_ASSERT_SIZE(struct morsel_limit, 32);
MORSEL_ASSERT_SIZE(struct morsel_pool_info, 120);
MORSEL_ASSERT_SIZE(struct morsel_pool, 32);

#ifdef __cplusplus
}
#endif

#endif /* MORSEL_IOCTL_H */
