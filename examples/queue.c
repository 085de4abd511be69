// SPDX-License-Identifier: LGPL-2.1
/*
 * A message queue of morsels: two processes pass messages of 1 MiB back and forth, without a copy, and
 * without a message that both could write to at the same time.
 *
 *	queue [MESSAGES [ROUNDS]]
 */
#include <morsel.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES ((size_t)1 << 20)

/**
 * struct message - what is passed
 * @fd:		its morsel
 * @bytes:	where that is mapped
 */
struct message {
	int fd;
	unsigned char *bytes;
};

static _Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "queue: %s: %s\n", what, strerror(-err));
	exit(EXIT_FAILURE);
}

static void make(int device, struct message *message)
{
	const struct morsel_params params = {.length = MESSAGE_BYTES};
	void *memory;
	int err;

	message->fd = morsel_create(device, &params);
	if (message->fd < 0)
		die("cannot make a message", message->fd);
	err = morsel_map(message->fd, 0, 0, PROT_READ | PROT_WRITE, 0, &memory);
	if (err)
		die("cannot map a message", err);
	message->bytes = memory;
}

/* From here on, the message is the other's. */
static void push(int queue, struct message *message)
{
	int err = morsel_send(queue, message->fd, message->bytes, MESSAGE_BYTES);

	if (err)
		die("cannot send", err);
}

/* 0: there are no more. */
static int pop(int queue, struct message *message)
{
	size_t length;
	void *memory;

	message->fd = morsel_receive(queue, PROT_READ | PROT_WRITE, 0, &memory, &length);
	if (message->fd == -EPIPE)
		return 0;
	if (message->fd < 0)
		die("cannot receive", message->fd);
	if (!memory || length != MESSAGE_BYTES)
		die("cannot map what came", -EINVAL);
	message->bytes = memory;
	return 1;
}

static void drop(struct message *message)
{
	morsel_unmap(message->bytes, MESSAGE_BYTES);
	close(message->fd);
}

/* What each side does with a message: all that the other wrote is there, and is written anew. */
static void work(const struct message *message, unsigned char was)
{
	for (size_t at = 0; at < MESSAGE_BYTES; at++)
		if (message->bytes[at] != was)
			die("a message is not what was sent", -EIO);
	memset(message->bytes, was + 1, MESSAGE_BYTES);
}

static _Noreturn void answer(int queue)
{
	struct message message;

	while (pop(queue, &message)) {
		work(&message, message.bytes[0]);
		push(queue, &message);
	}
	_exit(EXIT_SUCCESS);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	unsigned int messages = argc > 1 ? atoi(argv[1]) : 4,
		     rounds = argc > 2 ? atoi(argv[2]) : 100;
	struct message message;
	int ends[2], device, status;
	double start, took;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		die("no socket", -errno);
	pid = fork();
	if (pid < 0)
		die("cannot fork", -errno);
	if (!pid) {
		close(ends[0]);
		answer(ends[1]);
	}
	close(ends[1]);
	device = morsel_device();
	if (device < 0)
		die(MORSEL_DEVICE, device);
	start = seconds();
	for (unsigned int i = 0; i < messages; i++) {
		make(device, &message);
		push(ends[0], &message);
	}
	for (unsigned int left = messages * rounds; left; left--) {
		if (!pop(ends[0], &message))
			die("the other side has gone", -EPIPE);
		work(&message, message.bytes[0]);
		/* Each comes back, so that nobody sends to who has gone. */
		if (left > messages)
			push(ends[0], &message);
		else
			drop(&message);
	}
	took = seconds() - start;
	printf("%u messages of 1 MiB went there and back %u times: %.0f in a second\n", messages,
	       rounds, 2.0 * messages * rounds / took);
	close(ends[0]);
	if (waitpid(pid, &status, 0) != pid || status)
		die("the other side failed", -ECHILD);
	return EXIT_SUCCESS;
}
