// SPDX-License-Identifier: GPL-2.0
/*
 * Loading morsel_notify.ko for a suite, and listening by it.
 */
#include "notify.h"

#include <libgen.h>
#include <sys/syscall.h>

static bool loaded;

int notify_begin(void **state)
{
	char path[256];
	int fd;

	suite_begin(state);
	snprintf(path, sizeof(path), "%s", getenv("MORSEL_KO") ?: "");
	snprintf(path, sizeof(path), "%s/morsel_notify.ko", strdupa(dirname(path)));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	loaded = fd >= 0 && !syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	return 0;
}

int notify_end(void **state)
{
	if (loaded)
		syscall(SYS_delete_module, "morsel_notify", O_NONBLOCK);
	return suite_end(state);
}

int open_listener(void)
{
	int listener;

	if (!loaded)
		skip_because("there is no morsel_notify.ko");
	listener = open(NOTIFY_DEVICE, O_RDWR | O_CLOEXEC);
	assert_done(listener);
	return listener;
}

void listen_to(int listener, const void *memory, size_t length)
{
	struct notify_range range = {.start = (uintptr_t)memory, .length = length};

	must(!ioctl(listener, NOTIFY_WATCH, &range), "cannot listen: %s", strerror(errno));
}
