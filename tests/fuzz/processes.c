// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: processes and threads.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <sys/prctl.h>
#include <time.h>

long op_fork(long unused)
{
	static char *const command[] = {"true", NULL};
	unsigned int end = below(4), patience = below(3000);
	uint64_t lane = rnd(), i, count = below(5);
	struct timespec pause = {.tv_nsec = patience * 1000};
	pid_t pid;

	note("%" PRIu64 " operations", count);
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		in_child = true;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		cover_begin(&covers[1]);
		for (i = 0; i < count; i++)
			do_op(lane + i);
		if (end == 0)
			execv("/bin/true", command);
		if (end == 1)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	if (end == 2) {
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	cover_drain(&covers[1]);
	/* What it held by views that are ours, too, is held yet if it was killed. */
	let_all_go();
	return 0;
}

static struct helper {
	uint64_t seed;
	struct range range;
	atomic_bool stop;
} helper;

static void *help(void *unused)
{
	char byte = 't', *at;
	int i;

	cover_begin(&covers[2]);
	rng = helper.seed;
	for (i = 0; i < 2000 && !helper.stop; i++) {
		at = helper.range.addr + near(helper.range.len);
		if (chance(2))
			copy(at, &byte, 1);
		else
			copy(&byte, at, 1);
	}
	return NULL;
}

/* A thread touches a mapping while it is taken away, moved and protected. */
long op_thread(long unused)
{
	static long (*const disturb[])(long) = {op_munmap, op_mremap, op_mprotect,   op_madvise,
						op_mmap,   op_touch,  op_process_vm, op_direct};
	/* Nothing is to be mapped that is not in the table. */
	static _Alignas(64) char stack[256 << 10];
	int i, count = 1 + below(6), place = below(MAPS);
	pthread_attr_t attr;
	pthread_t thread;
	long result;

	if (!maps[place].len || !ours(maps[place].addr, maps[place].len))
		return SKIP;
	note("%p, %d operations", maps[place].addr, count);
	helper.seed = rnd();
	helper.range = maps[place];
	helper.stop = false;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, sizeof(stack));
	result = pthread_create(&thread, &attr, help, NULL);
	if (!result) {
		focus = place;
		for (i = 0; i < count; i++)
			disturb[below(ARRAY_SIZE(disturb))](0);
		focus = -1;
		helper.stop = true;
		pthread_join(thread, NULL);
		cover_drain(&covers[2]);
	}
	pthread_attr_destroy(&attr);
	return result ? -1 : 0;
}

/* With all that there is, which the kernel is to clear up. */
long op_die(long unused)
{
	static char *const command[] = {"true", NULL};

	if (!chance(2))
		return SKIP;
	note("()");
	switch (below(3)) {
	case 0:
		execv("/bin/true", command);
		__attribute__((fallthrough));
	case 1:
		_exit(0);
	default:
		return kill(getpid(), SIGKILL);
	}
}
