// SPDX-License-Identifier: LGPL-2.1
/*
 * Exclusive views.
 */
#include "internal.h"

API int morsel_view(int fd, uint32_t *number)
{
	struct morsel_view args = {.size = sizeof(args), .flags = MORSEL_VIEW_CLOEXEC};
	int err = morsel_call(fd, MORSEL_IOC_VIEW, &args, "view");

	if (err)
		return err;
	if (number)
		*number = args.number;
	return args.fd;
}

API int morsel_view_acquire(int view, uint64_t offset, uint64_t length, uint32_t flags,
			    uint64_t timeout)
{
	struct morsel_acquire args = {
		.size = sizeof(args),
		.flags = flags,
		.offset = offset,
		.length = length,
		.timeout = timeout,
	};

	return morsel_call(view, MORSEL_IOC_ACQUIRE, &args, "acquire");
}

API int morsel_view_release(int view, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct morsel_range args = {
		.size = sizeof(args),
		.flags = flags,
		.offset = offset,
		.length = length,
	};

	return morsel_call(view, MORSEL_IOC_RELEASE, &args, "release");
}

static int restrict_party(int fd, uint32_t number, uint32_t flags, const char *what)
{
	struct morsel_restrict args = {.size = sizeof(args), .flags = flags, .number = number};

	return morsel_call(fd, MORSEL_IOC_RESTRICT, &args, what);
}

API int morsel_view_freeze(int fd, uint32_t number)
{
	return restrict_party(fd, number, MORSEL_RESTRICT_FREEZE, "freeze");
}

API int morsel_view_revoke(int fd, uint32_t number)
{
	return restrict_party(fd, number, MORSEL_RESTRICT_REVOKE, "revoke");
}
