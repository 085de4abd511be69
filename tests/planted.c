// SPDX-License-Identifier: GPL-2.0
/*
 * planted ROUNDS: goes where the faults are planted that debug builds of the
 * module offer (see kmod/debug/debug.h); qemu/selftest looks whether the kernel
 * notices them.
 */
#include "common.h"

#define LENGTH (2 * HUGE)

static int use_once(void)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);
	unsigned int i;

	for (i = 0; i < 8; i++)
		memory[i * PAGE] = 1;
	/* Detached, spliced again. */
	need(!mprotect(memory, HUGE, PROT_READ));
	need(memory[0] == 1);
	need(!munmap(memory, LENGTH));
	return fd;
}

static void *touch(void *arg)
{
	volatile char *memory = *(char **)arg;
	unsigned int i;

	for (i = 0; i < HUGE / PAGE; i++)
		memory[i * PAGE] = 1;
	return NULL;
}

static pid_t touch_in_child(char *memory)
{
	pid_t pid = spawn();

	if (!pid) {
		memory[0] = 1;
		_exit(0);
	}
	return pid;
}

int main(int argc, char **argv)
{
	int rounds = argc == 2 ? atoi(argv[1]) : 0;
	int kept, fd, i;
	char *halves[2];

	need(rounds > 0);
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	need(dev >= 0);
	/* The next gets what was put back of this one, and what is in use yet. */
	for (i = 0; i < 4; i++) {
		kept = use_once();
		close(use_once());
		close(kept);
	}
	for (i = 0; i < rounds; i++) {
		fd = create(LENGTH, MORSEL_GRANULE_4K);
		halves[0] = map(fd, LENGTH, RW);
		halves[1] = halves[0] + HUGE;
		run_threads(2, touch, halves, sizeof(halves[0]));
		need(!munmap(halves[0], LENGTH));
		close(fd);
	}
	/* Who inherits a mapping is attached when it looks. */
	fd = create(LENGTH, MORSEL_GRANULE_4K);
	halves[0] = map(fd, LENGTH, RW);
	need(!wait_child(touch_in_child(halves[0])));
	return 0;
}
