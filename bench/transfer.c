// SPDX-License-Identifier: GPL-2.0
/*
 * What it takes to have another process have what one has written, for messages of 4 KiB to 1 GiB: to give
 * a morsel away, beside pipes, process_vm_readv(), and a memfd that both have then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define MOST GIB

enum way { GIVEN, PIPE, SPLICED, READV, PASSED, WAYS, QUIT };

static const char *const names[WAYS] = { "morsel", "pipe", "vmsplice", "process_vm_readv", "memfd" };
static const uint64_t sizes[] = { 4 * KIB, 64 * KIB, MIB, 16 * MIB, 256 * MIB, GIB };

#define SIZES (sizeof(sizes) / sizeof(*sizes))

/* What the receiver is told, and by which it gets descriptors. */
struct note {
	enum way way;
	uint64_t length;
	uint64_t address;
};

/* The other process, and what leads to it. */
static struct {
	pid_t pid;
	int socket;
	int pipe;
} receiver;

static void send_note(int socket, const struct note *note, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec part = { (void *)note, sizeof(*note) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.room);
	}
	if (sendmsg(socket, &message, 0) != sizeof(*note))
		die("cannot send");
}

static int receive_note(int socket, struct note *note)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { note, sizeof(*note) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(socket, &message, 0) != sizeof(*note))
		die("cannot receive");
	if (CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void *map_received(int fd, uint64_t length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		die("cannot map what was received");
	return memory;
}

/* Have what was sent: in memory that is there already, or mapped. */
static void *have(const struct note *note, int from, int fd, char *buffer)
{
	struct iovec here = { buffer, note->length }, there = { (void *)note->address, note->length };
	uint64_t done;
	ssize_t got;

	switch (note->way) {
	case GIVEN:
		return map_received(fd, round_up_to(note->length,
						    note->length < GIB ? HUGE_PAGE : GIB));
	case PASSED:
		return map_received(fd, note->length);
	case READV:
		for (done = 0; done < note->length; done += got) {
			got = process_vm_readv(getppid(), &here, 1, &there, 1, 0);
			if (got <= 0)
				die("cannot read another process's memory");
			here = (struct iovec){ buffer + done + got, note->length - done - got };
			there.iov_base = (void *)(note->address + done + got);
			there.iov_len = here.iov_len;
		}
		return buffer;
	default:
		for (done = 0; done < note->length; done += got) {
			got = read(from, buffer + done, note->length - done);
			if (got <= 0)
				die("cannot read from a pipe");
		}
		return buffer;
	}
}

static _Noreturn void receive_all(int socket, int from)
{
	char *buffer = anonymous(MOST, MADV_NOHUGEPAGE), *memory;
	struct note note;
	int fd;

	touch_memory(buffer, MOST, PAGE);
	if (write(socket, "x", 1) != 1)
		die("cannot begin");
	for (;;) {
		fd = receive_note(socket, &note);
		if (note.way == QUIT)
			_exit(0);
		memory = have(&note, from, fd, buffer);
		if (write(socket, "x", 1) != 1)
			die("cannot answer");
		/* It is what was written. */
		if (*(uint64_t *)memory != note.length)
			die("what was received is not what was sent");
		if (memory != buffer)
			munmap(memory, note.length);
		if (fd >= 0)
			close(fd);
	}
}

static void receiver_begin(void)
{
	int sockets[2], pipes[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) || pipe(pipes))
		die("no socket");
	/* As much as anybody may have in it. */
	fcntl(pipes[1], F_SETPIPE_SZ, MIB);
	receiver.pid = fork();
	if (receiver.pid < 0)
		die("cannot fork");
	if (!receiver.pid) {
		close(sockets[0]);
		close(pipes[1]);
		receive_all(sockets[1], pipes[0]);
	}
	close(sockets[1]);
	close(pipes[0]);
	receiver.socket = sockets[0];
	receiver.pipe = pipes[1];
	if (read(receiver.socket, &byte, 1) != 1)
		die("no receiver");
}

static void receiver_end(void)
{
	send_note(receiver.socket, &(struct note){ .way = QUIT }, -1);
	waitpid(receiver.pid, NULL, 0);
	close(receiver.socket);
	close(receiver.pipe);
}

static int give(int fd)
{
	struct morsel_give args = { .size = sizeof(args) };

	if (ioctl(fd, MORSEL_IOC_GIVE, &args))
		die("cannot give a morsel away");
	return args.fd;
}

/* Send what is in memory, or in an object. */
static void send_it(const struct note *note, const struct object *object, char *memory)
{
	struct iovec part = { memory, note->length };
	uint64_t done;
	ssize_t sent;
	int fd = object ? object->fd : -1;

	if (note->way == GIVEN)
		fd = give(object->fd);
	send_note(receiver.socket, note, fd);
	if (note->way == GIVEN)
		close(fd);
	if (note->way != PIPE && note->way != SPLICED)
		return;
	for (done = 0; done < note->length; done += sent) {
		if (note->way == PIPE)
			sent = write(receiver.pipe, memory + done, note->length - done);
		else
			sent = vmsplice(receiver.pipe, &part, 1, 0);
		if (sent <= 0)
			die("cannot write to a pipe");
		part.iov_base = memory + done + sent;
		part.iov_len = note->length - done - sent;
	}
}

/* Until the other process says that it has it. */
static uint64_t time_sending(enum way way, uint64_t length, const struct object *object,
			     char *memory)
{
	struct note note = { .way = way, .length = length, .address = (uintptr_t)memory };
	uint64_t start, taken;
	char byte;

	*(uint64_t *)memory = length;
	start = now_ns();
	send_it(&note, object, memory);
	if (read(receiver.socket, &byte, 1) != 1)
		die("no answer");
	taken = now_ns() - start;
	return taken;
}

static void make(enum way way, uint64_t length, struct object *object)
{
	if (way == GIVEN) {
		morsel_make(object, length, MORSEL_GRANULE_AUTO);
		return;
	}
	*object = (struct object){ .what = "memfd",
				   .fd = memfd_create("message", MFD_CLOEXEC),
				   .length = length,
				   .mapped = length,
				   .prot = PROT_READ | PROT_WRITE };
	if (object->fd < 0 || ftruncate(object->fd, length))
		die("cannot make a memfd");
}

/* Of a new object each time, all of which was written. */
static uint64_t time_object(enum way way, uint64_t length)
{
	struct object object;
	uint64_t taken;
	char *memory;

	make(way, length, &object);
	memory = object_map(&object, length);
	touch_memory(memory, length, PAGE);
	taken = time_sending(way, length, &object, memory);
	munmap(memory, object.mapped);
	object_close(&object);
	return taken;
}

static void print_found(const double found[SIZES][WAYS])
{
	unsigned int size;
	int way;

	for (size = 0; size < SIZES; size++) {
		printf("# %llu KiB sent, %s:", sizes[size] / KIB,
		       instructions ? "instructions" : "us");
		for (way = 0; way < WAYS; way++)
			printf("%s %s %.0f", way ? "," : "", names[way], found[size][way]);
		printf("\n");
	}
	for (way = PIPE; way < WAYS; way++) {
		for (size = 0; size < SIZES && found[size][GIVEN] >= found[size][way]; size++)
			;
		if (size < SIZES)
			say("from %llu KiB on, of these sizes, giving is faster than %s",
			    sizes[size] / KIB, names[way]);
		else
			say("giving is faster than %s at none of these sizes", names[way]);
	}
}

/*
 * send_1g_pipe, send_1g_vm_readv; and send_1g_vmsplice, which a receiver may see being written to later, and
 * send_1g_memfd, which both have: what gives the receiver less.
 */
void bench_transfer(void)
{
	static const char *const rows[WAYS] = { NULL, "send_1g_pipe", "send_1g_vmsplice",
						"send_1g_vm_readv", "send_1g_memfd" };
	uint64_t found[WAYS][RUNS_MAX];
	double medians[SIZES][WAYS];
	unsigned int runs = runs_of(5), run, size;
	char *memory;
	int way;

	morsel_pools_make_room(MOST + 64 * MIB);
	memory = anonymous(MOST, MADV_NOHUGEPAGE);
	touch_memory(memory, MOST, PAGE);
	receiver_begin();
	for (size = 0; size < SIZES; size++) {
		for (run = 0; run < runs; run++) {
			for (way = 0; way < WAYS; way++)
				found[way][run] =
					way == GIVEN || way == PASSED
						? time_object(way, sizes[size])
						: time_sending(way, sizes[size], NULL, memory);
		}
		for (way = 0; way < WAYS; way++)
			medians[size][way] = (double)median(found[way], runs) /
					     (instructions ? 1 : 1000);
	}
	receiver_end();
	munmap(memory, MOST);
	print_found(medians);
	for (way = PIPE; way < WAYS; way++)
		report_time(rows[way], found[GIVEN], found[way], names[way], runs);
	morsel_pools_drain();
}
