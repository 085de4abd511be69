// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: address spaces.
 */
#include "fuzz.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* Where a mapping may be asked to go: 16 GiB that all of them fight for. */
static char *some_place(void)
{
	char *place = (char *)ARENA + GIB * below(16);

	switch (below(8)) {
	case 0:
		return place + PAGE * below(1024);
	case 1:
	case 2:
	case 3:
		return place + HUGE * below(512);
	default:
		return place;
	}
}

/* A mapping, or part of it, or of what is around it; false: there is none. */
static bool some_range(struct range *range)
{
	const struct range *map = &maps[focus >= 0 ? (uint64_t)focus : below(MAPS)];

	*range = *map;
	if (chance(16)) {
		*range = (struct range){buffer(PAGE), interesting()};
		if ((uintptr_t)range->addr < PAGE)
			range->len %= MIB;
		/* The kernel refuses these; buffers it would not. */
		return (uintptr_t)range->addr < PAGE || (uintptr_t)range->addr >= USER_END ||
		       ours(range->addr, range->len);
	}
	if (!map->len)
		return false;
	switch (below(8)) {
	case 0:
	case 1:
		range->addr += near(map->len) & ~(HUGE - 1);
		range->len = HUGE * (1 + below(4));
		break;
	case 2:
		range->addr += near(map->len) & ~(PAGE - 1);
		range->len = PAGE * (1 + below(1024));
		break;
	case 3:
		range->addr += near(map->len);
		range->len = 1 + below(HUGE);
		break;
	case 4:
		range->addr -= HUGE * below(3);
		range->len += HUGE * below(6);
		break;
	}
	return ours(range->addr, range->len);
}

void keep_map(char *addr, size_t len)
{
	struct range *place = &maps[focus >= 0 ? (uint64_t)focus : below(MAPS)];

	/* Unless it is the new mapping that is there now. */
	if (place->len && (place->addr >= addr + len || place->addr + place->len <= addr) &&
	    ours(place->addr, place->len))
		munmap(place->addr, place->len);
	*place = (struct range){addr, len};
}

/* What is wholly in there is gone. */
static void forget_maps(const struct range *range)
{
	unsigned int i;

	for (i = 0; i < MAPS; i++)
		if (maps[i].addr >= range->addr &&
		    maps[i].addr + maps[i].len <= range->addr + range->len)
			maps[i].len = 0;
}

long op_mmap(long unused)
{
	int prot = chance(2) ? PROT_READ | PROT_WRITE : below(8), fd = any_fd();
	int flags = PICK(MAP_SHARED, MAP_SHARED, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_PRIVATE);
	size_t len = chance(4)	 ? some_length()
		     : chance(4) ? 2 * GIB
		     : chance(4) ? PAGE * (1 + below(1024))
				 : HUGE * (1 + below(8));
	uint64_t offset = !chance(4)  ? 0
			  : chance(8) ? interesting() & ~(PAGE - 1)
			  : chance(4) ? GIB * below(4)
			  : chance(2) ? PAGE * below(1024)
				      : HUGE * below(8);
	char *addr = chance(3) ? NULL : some_place();

	if (fd < 0)
		return SKIP;
	if (chance(8))
		flags |= PICK(MAP_NORESERVE, MAP_LOCKED, MAP_SYNC, MAP_HUGETLB, MAP_32BIT,
			      MAP_STACK | MAP_GROWSDOWN, MAP_FIXED_NOREPLACE);
	if (addr && chance(2) && ours(addr, len))
		flags |= MAP_FIXED;
	if (chance(8))
		flags |= MAP_POPULATE;
	/*
	 * What root has at address 0 the kernel must not be told to protect: it begins to tell the
	 * notifiers, and never ends (kmod/PATHS.md).
	 */
	if (!addr)
		flags &= ~MAP_FIXED_NOREPLACE;
	if (flags & (MAP_POPULATE | MAP_LOCKED) && len > PORTION)
		len = PORTION;
	note("(%p, %#zx, %d, %#x, %d, %#lx)", addr, len, prot, flags, fd, offset);
	addr = mmap(addr, len, prot, flags, fd, offset);
	if (addr == MAP_FAILED)
		return -1;
	keep_map(addr, len);
	return 0;
}

long op_touch(long unused)
{
	long i, count = 1 + below(16), touched = 0;
	bool writing = chance(2);
	struct range range;
	char byte = 'f';

	if (!some_range(&range))
		return SKIP;
	note("(%p, %#zx, %ld times, %s)", range.addr, range.len, count, writing ? "write" : "read");
	for (i = 0; i < count; i++) {
		char *at = range.addr + near(range.len);

		if (ours(at, 1))
			touched += writing ? copy(at, &byte, 1) : copy(&byte, at, 1);
	}
	return touched ?: -1;
}

/* Whole pages at once, from one mapping to another. */
long op_copy(long unused)
{
	size_t len = below(4 * PAGE);
	struct range to, source;

	if (!some_range(&to) || !some_range(&source) || !ours(to.addr, len) ||
	    !ours(source.addr, len))
		return SKIP;
	note("(%p, %p, %zu)", to.addr, source.addr, len);
	return copy(to.addr, source.addr, len) ? 0 : -1;
}

long op_munmap(long unused)
{
	struct range range;

	if (!some_range(&range))
		return SKIP;
	note("(%p, %#zx)", range.addr, range.len);
	if (munmap(range.addr, range.len))
		return -1;
	forget_maps(&range);
	return 0;
}

long op_mremap(long unused)
{
	int flags = chance(8) ? below(16) : MREMAP_MAYMOVE | (chance(2) ? MREMAP_FIXED : 0);
	char *to = some_place(), *result;
	struct range range;
	size_t len;

	if (!some_range(&range))
		return SKIP;
	if (chance(8))
		flags |= MREMAP_DONTUNMAP;
	if (chance(16))
		range.len = 0;
	len = chance(2)	  ? range.len
	      : chance(8) ? interesting()
	      : chance(2) ? range.len / 2 & ~(HUGE - 1)
			  : range.len + HUGE * below(8);
	if (flags & MREMAP_FIXED && !ours(to, len))
		return SKIP;
	note("(%p, %#zx, %#zx, %#x, %p)", range.addr, range.len, len, flags, to);
	result = mremap(range.addr, range.len, len, flags, to);
	if (result == MAP_FAILED)
		return -1;
	if (result != range.addr)
		forget_maps(&range);
	keep_map(result, len);
	return 0;
}

long op_mprotect(long unused)
{
	int prot = chance(2) ? PROT_READ | PROT_WRITE : below(chance(8) ? 16 : 8);
	int key = chance(4) ? pkey : chance(16) ? (int)below(20) : -1;
	struct range range;

	if (!some_range(&range))
		return SKIP;
	note("(%p, %#zx, %#x, key %d)", range.addr, range.len, prot, key);
	return key == -1 ? mprotect(range.addr, range.len, prot)
			 : syscall(SYS_pkey_mprotect, range.addr, range.len, prot, key);
}

long op_madvise(long unused)
{
	/* 100 and 101 break memory, and are left out; 102 and 103 are guard pages. */
	int advice = chance(16) ? PICK(102, 103, 104, -1) : (int)below(27);
	struct range range;

	if (!some_range(&range))
		return SKIP;
	if ((advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) && range.len > PORTION)
		range.len = PORTION;
	note("(%p, %#zx, %d)", range.addr, range.len, advice);
	return madvise(range.addr, range.len, advice);
}

long op_process_vm(long unused)
{
	pid_t pid = chance(4) ? getpid() : shared->seats[below(workers)].pid;
	struct iovec local = {buffer(PAGE), below(MIB)}, remote;
	struct range range;
	bool out = chance(2);

	/* All have the same layout, so what is ours here is the other's there. */
	if (!some_range(&range) || !pid || !ours(range.addr, MIB))
		return SKIP;
	remote = (struct iovec){range.addr, below(MIB)};
	note("process_vm_%s(%d, %p, %p, %zu)", out ? "writev" : "readv", pid, local.iov_base,
	     remote.iov_base, remote.iov_len);
	return out ? process_vm_writev(pid, &local, 1, &remote, 1, 0)
		   : process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

long op_memory(long what)
{
	unsigned long nodes = 1 + below(3);
	struct range range;

	if (!some_range(&range))
		return SKIP;
	if (what == LOCK && range.len > PORTION)
		range.len = PORTION;
	if (what == INCORE && range.len > GIB)
		range.len = GIB;
	note("(%p, %#zx)", range.addr, range.len);
	switch (what) {
	case LOCK:
		return chance(2) ? mlock(range.addr, range.len)
				 : mlock2(range.addr, range.len, MLOCK_ONFAULT);
	case UNLOCK:
		return munlock(range.addr, range.len);
	case INCORE:
		return mincore(range.addr, range.len, (unsigned char *)buffer(range.len / PAGE));
	case FLUSH:
		return msync(range.addr, range.len, below(8));
	default:
		return syscall(SYS_mbind, range.addr, range.len, below(6), &nodes, 64, below(8));
	}
}

/* For what this process touches from here on. */
long op_policy(long unused)
{
	unsigned long nodes = 1 + below(3);
	int mode = chance(2) ? 0 : (int)below(7);

	note("(%d, %#lx)", mode, nodes);
	return syscall(SYS_set_mempolicy, mode, mode ? &nodes : NULL, mode ? 64 : 0);
}

/* Storage that reads and writes memory itself. */
long op_direct(long unused)
{
	loff_t pos = below(SCRATCH_LENGTH) & ~511UL;
	size_t len = (chance(4) ? below(64 * PAGE) : below(4 * PAGE)) & ~511UL;
	bool out = chance(2);
	struct range range;
	char *at;

	if (!some_range(&range) || scratch < 0)
		return SKIP;
	at = range.addr + (near(range.len) & ~(chance(4) ? 0UL : 511UL));
	if (!ours(at, len))
		return SKIP;
	if (pos + len > SCRATCH_LENGTH)
		pos = 0;
	note("%s(%p, %zu, %ld)", out ? "pwrite" : "pread", at, len, (long)pos);
	return out ? pwrite(scratch, at, len, pos) : pread(scratch, at, len, pos);
}

/* What the kernel shows of a process, and lets itself be told through files. */
long op_proc(long unused)
{
	static const char *const files[] = {"maps",	  "smaps",   "smaps_rollup",
					    "numa_maps",  "pagemap", "mem",
					    "clear_refs", "fdinfo",  "fd"};
	const char *name = files[below(ARRAY_SIZE(files))];
	bool writing = chance(2);
	size_t len = below(8 * PAGE);
	struct range range;
	long result;
	char path[64];
	int fd, all;

	if (!some_range(&range))
		range = (struct range){};
	all = morsel_fd();
	snprintf(path, sizeof(path), name[0] == 'f' ? "/proc/self/%s/%d" : "/proc/self/%s", name,
		 all);
	note("%s %p", path, range.addr);
	if (!strcmp(name, "fd"))
		return readlink(path, buffers.normal.addr, PAGE);
	/* Memory is only to be written where it is ours. */
	writing = !strcmp(name, "clear_refs") ||
		  (!strcmp(name, "mem") && writing && ours(range.addr, len));
	fd = open(path, (writing ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!strcmp(name, "clear_refs"))
		result = write(fd, PICK("1", "2", "3", "4"), 1);
	else if (!strcmp(name, "mem"))
		result = writing ? pwrite(fd, buffers.normal.addr, len, (uintptr_t)range.addr)
				 : pread(fd, buffers.normal.addr, len, (uintptr_t)range.addr);
	else if (!strcmp(name, "pagemap"))
		result = pread(fd, buffers.normal.addr, len & ~7UL,
			       (uintptr_t)range.addr / PAGE * 8);
	else
		while ((result = read(fd, buffers.normal.addr, 16 * PAGE)) > 0)
			;
	close(fd);
	return result;
}

/* Memory runs short: the pools give back what they keep for later. */
long op_shrink(long unused)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	long result;

	note("()");
	if (fd < 0)
		return -1;
	result = write(fd, "2", 1);
	close(fd);
	return result;
}
