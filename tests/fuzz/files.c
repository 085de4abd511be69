// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: what files are for.
 */
#include "fuzz.h"

#include <linux/falloc.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

long op_rw(long how)
{
	int fd = any_fd(), flags = chance(2) ? 0 : below(128);
	struct iovec vectors[3] = {};
	loff_t pos = position();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		vectors[i].iov_base = buffer(PAGE);
		vectors[i].iov_len = amount(vectors[i].iov_base);
	}
	if (fd < 0)
		return SKIP;
	note("%s(%d, %p, %zu, %ld)", how % 2 ? "write" : "read", fd, vectors[0].iov_base,
	     vectors[0].iov_len, (long)pos);
	switch (how) {
	case READ:
		return read(fd, vectors[0].iov_base, vectors[0].iov_len);
	case WRITE:
		return write(fd, vectors[0].iov_base, vectors[0].iov_len);
	case PREAD:
		return pread(fd, vectors[0].iov_base, vectors[0].iov_len, pos);
	case PWRITE:
		return pwrite(fd, vectors[0].iov_base, vectors[0].iov_len, pos);
	case PREADV:
		return preadv2(fd, vectors, ARRAY_SIZE(vectors), pos, flags);
	default:
		return pwritev2(fd, vectors, ARRAY_SIZE(vectors), pos, flags);
	}
}

long op_lseek(long unused)
{
	int fd = any_fd(), whence = below(6);
	loff_t pos = position();

	if (fd < 0)
		return SKIP;
	note("lseek(%d, %ld, %d)", fd, (long)pos, whence);
	return lseek(fd, pos, whence);
}

long op_fallocate(long unused)
{
	int fd = any_fd();
	int mode = chance(8) ? (int)interesting()
			     : PICK(0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE);
	loff_t pos = position(), len = chance(16) ? interesting() : 1 + below(PORTION / 2);

	if (fd < 0)
		return SKIP;
	note("fallocate(%d, %#x, %ld, %ld)", fd, mode, (long)pos, (long)len);
	return fallocate(fd, mode, pos, len);
}

long op_meta(long what)
{
	static const int flags[] = {O_APPEND, O_NONBLOCK, O_DIRECT, O_NOATIME, O_ASYNC};
	int fd = what == CHMOD || what == CHOWN ? morsel_fd() : any_fd();
	uint64_t number = interesting(), other = below(2048);
	struct stat stat;

	/* Pipes stay as they are: they must not block. */
	if (fd < 0 || (what == FLAGS && essential[fd]))
		return SKIP;
	note("(%d, %#lx, %#lx)", fd, number, other);
	switch (what) {
	case TRUNCATE:
		return ftruncate(fd, chance(4) ? number : near(PORTION));
	case STAT:
		return chance(2) ? fstat(fd, &stat)
				 : syscall(SYS_statx, fd, "", AT_EMPTY_PATH, (unsigned int)number,
					   buffer(256));
	case CHMOD:
		return fchmod(fd, chance(2) ? 0666 : other);
	case CHOWN:
		return fchown(fd, users[below(ARRAY_SIZE(users))], chance(2) ? GROUP : -1);
	case SYNC:
		return other % 4 == 0	? fsync(fd)
		       : other % 4 == 1 ? fdatasync(fd)
		       : other % 4 == 2 ? sync_file_range(fd, number, number, other % 8)
					: posix_fadvise(fd, number, number, other % 8);
	case FLAGS:
		return fcntl(fd, chance(2) ? F_SETFL : F_ADD_SEALS,
			     flags[other % ARRAY_SIZE(flags)]);
	default:
		return futimens(fd, NULL);
	}
}

long op_splice(long unused)
{
	int fd = morsel_fd(), flags = below(16);
	loff_t pos = position(), *where = chance(4) ? NULL : &pos;
	size_t len = chance(8) ? interesting() : below(16 * PAGE);
	struct iovec vector = {buffer(PAGE), below(16 * PAGE)};
	const struct range *map = &maps[below(MAPS)];

	if (fd < 0)
		return SKIP;
	switch (below(5)) {
	case 0:
	case 1:
		note("splice(%d, %ld, pipe, %zu)", fd, (long)pos, len);
		return splice(fd, where, pipes[1], NULL, len, flags | SPLICE_F_NONBLOCK);
	case 2:
		note("splice(pipe, %d, %ld, %zu)", fd, (long)pos, len);
		return splice(pipes[0], NULL, fd, where, len, flags | SPLICE_F_NONBLOCK);
	case 3:
		/* The pipe pins what it takes. */
		if (map->len)
			vector.iov_base = map->addr + near(map->len);
		note("vmsplice(pipe, %p, %zu)", vector.iov_base, vector.iov_len);
		return vmsplice(pipes[1], &vector, 1, flags | SPLICE_F_NONBLOCK);
	default:
		note("splice(pipe, null)");
		return splice(pipes[0], NULL, null, NULL, MIB, SPLICE_F_NONBLOCK);
	}
}

long op_sendfile(long unused)
{
	int in = chance(4) ? (chance(2) && scratch >= 0 ? scratch : exe) : morsel_fd();
	int out = chance(2) ? morsel_fd() : chance(2) ? pipes[1] : null;
	loff_t pos = position(), to = position();
	size_t len = below(MIB);

	if (in < 0 || out < 0)
		return SKIP;
	note("(%d, %d, %ld, %zu)", out, in, (long)pos, len);
	return chance(4) ? copy_file_range(in, &pos, out, &to, len, 0)
			 : sendfile(out, in, chance(4) ? NULL : &pos, len);
}

long op_dup(long unused)
{
	int fd = morsel_fd();

	if (fd < 0)
		return SKIP;
	note("(%d)", fd);
	return keep_fd(chance(2) ? dup(fd) : fcntl(fd, F_DUPFD_CLOEXEC, (int)below(MAX_FD)));
}

long op_close(long all)
{
	int *place = &fds[below(FDS)], fd;

	if (all && !chance(8))
		return SKIP;
	if (all) {
		/* Those too that nobody told us of. */
		note("(all)");
		for (fd = 0; fd < MAX_FD; fd++)
			close_ours(fd);
		memset(fds, -1, sizeof(fds));
		return 0;
	}
	if (*place < 0)
		return SKIP;
	note("(%d)", *place);
	fd = close(*place);
	*place = -1;
	return fd;
}

union rights {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr header;
};

/* Hand a descriptor to a worker, or take what another has handed to us. */
long op_pass(long send)
{
	int fd = object(), to = sockets[below(workers)][1];
	struct iovec vector = {&(char){0}, 1};
	union rights rights = {};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights),
	};

	if (send && fd < 0)
		return SKIP;
	note("(%d)", fd);
	if (send) {
		rights.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&rights.header), &fd, sizeof(fd));
		return sendmsg(to, &message, MSG_DONTWAIT);
	}
	if (recvmsg(sockets[self][0], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0 ||
	    message.msg_controllen < sizeof(rights.header) || rights.header.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(&rights.header), sizeof(fd));
	return keep_fd(fd);
}
