// SPDX-License-Identifier: LGPL-2.1
/*
 * Giving morsels away, by UNIX sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* What goes along with a descriptor: the same for 32-bit and 64-bit programs. */
struct note {
	char magic[8];
	uint64_t address;
	uint64_t length;
};

static const char magic[8] = "morsel1";

/* As much of it as any sender may send: so none is lost, but all are closed. */
#define DESCRIPTORS_MOST 253

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(DESCRIPTORS_MOST * sizeof(int))];
};

API int morsel_give(int fd)
{
	struct morsel_give args = {.size = sizeof(args), .flags = MORSEL_GIVE_CLOEXEC};
	int err = morsel_call(fd, MORSEL_IOC_GIVE, &args, "give");

	return err ? err : args.fd;
}

/* Have a descriptor's number be another's, which goes. */
static void take_number(int from, int number)
{
	/* Both are open: it can be disturbed alone. */
	while (dup3(from, number, O_CLOEXEC) < 0)
		if (errno != EINTR && errno != EBUSY)
			break;
	close(from);
}

static int send_note(int socket, const struct note *note, int fd)
{
	union control control = {.header = {
					 .cmsg_len = CMSG_LEN(sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS,
				 }};
	struct iovec part = {(void *)note, sizeof(*note)};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(sizeof(int)),
	};
	ssize_t sent;

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	while (part.iov_len) {
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		/* A stream may take a part; the descriptor goes with its first byte. */
		part.iov_base = (char *)part.iov_base + sent;
		part.iov_len -= sent;
		message.msg_control = NULL;
		message.msg_controllen = 0;
	}
	return 0;
}

API int morsel_send(int socket, int fd, void *memory, size_t length)
{
	struct note note = {.address = (uintptr_t)memory, .length = length};
	int given = morsel_give(fd), err;

	if (given < 0)
		return given;
	take_number(given, fd);
	/* Where it was nothing is any more; and it may come back. */
	if (memory)
		munmap(memory, morsel_map_length(length));
	memcpy(note.magic, magic, sizeof(magic));
	err = send_note(socket, &note, fd);
	if (err)
		morsel_say("send: %s; the descriptor is the only one now", strerror(-err));
	else
		close(fd);
	return err;
}

/* The one descriptor that came; all are closed if there is not exactly one.  -1: there was none. */
static int take_descriptor(struct msghdr *message)
{
	int fd = -1, other, count = 0;
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len;
		     at += sizeof(int), count++) {
			memcpy(&other, (char *)header + at, sizeof(other));
			if (count)
				close(other);
			else
				fd = other;
		}
	}
	if (count > 1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Does it have no packets, so that what was sent may come in parts? */
static bool is_stream(int socket)
{
	int type = SOCK_STREAM;
	socklen_t size = sizeof(type);

	getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size);
	return type == SOCK_STREAM;
}

static int receive_note(int socket, struct note *note, int *fd)
{
	union control control;
	struct iovec part = {note, sizeof(*note)};
	struct msghdr message;
	ssize_t got;
	int other;

	*fd = -1;
	while (part.iov_len) {
		message = (struct msghdr){
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		other = take_descriptor(&message);
		/* With the first part of a stream, and with no other. */
		if (*fd < 0 && part.iov_len == sizeof(*note))
			*fd = other;
		else if (other >= 0)
			close(other);
		if (!got)
			return part.iov_len == sizeof(*note) ? -EPIPE : -EBADMSG;
		/* More than this was in one packet, or less. */
		if (message.msg_flags & MSG_TRUNC ||
		    ((size_t)got < part.iov_len && !is_stream(socket)))
			return -EBADMSG;
		part.iov_base = (char *)part.iov_base + got;
		part.iov_len -= got;
	}
	if (*fd < 0 || memcmp(note->magic, magic, sizeof(magic)))
		return -EBADMSG;
	return 0;
}

/* Where the sender had it, if nothing is there, and else elsewhere. */
static int map_received(int fd, const struct note *note, int prot, int flags, void **memory,
			size_t *length)
{
	size_t wanted = note->length, mapped = morsel_map_length(wanted);
	void *place = (void *)(uintptr_t)note->address;

	*length = wanted;
	if (wanted != note->length || mapped < wanted)
		return -EOVERFLOW;
	if (place && (uintptr_t)place == note->address && !(flags & MORSEL_RECEIVE_ANYWHERE)) {
		*memory = mmap(place, mapped, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
		if (*memory == place)
			return 0;
		/* Kernels before 4.17 do not know the flag. */
		if (*memory != MAP_FAILED)
			munmap(*memory, mapped);
	}
	return morsel_map(fd, 0, wanted, prot, 0, memory);
}

API int morsel_receive(int socket, int prot, int flags, void **memory, size_t *length)
{
	struct morsel_info info;
	struct note note;
	int fd, err;

	if (flags & ~MORSEL_RECEIVE_ANYWHERE) {
		morsel_say("receive: flags other than MORSEL_RECEIVE_ANYWHERE");
		return -EINVAL;
	}
	err = receive_note(socket, &note, &fd);
	if (!err && morsel_stat(fd, &info))
		err = -EBADMSG;
	if (err) {
		if (fd >= 0)
			close(fd);
		morsel_say("receive: %s", err == -EBADMSG ? "what came is no morsel that was sent"
							  : strerror(-err));
		return err;
	}
	if (!memory)
		return fd;
	*memory = NULL;
	if (!note.length)
		note.length = info.length;
	/* It is the caller's in any case. */
	if (map_received(fd, &note, prot, flags, memory, length)) {
		*memory = NULL;
		*length = 0;
	}
	return fd;
}
