/* SPDX-License-Identifier: LGPL-2.1 */
/*
 * What the files of libmorsel share.
 */
#ifndef MORSEL_INTERNAL_H
#define MORSEL_INTERNAL_H

#include "morsel.h"

#define API __attribute__((visibility("default")))

/* A line for the log hook. */
__attribute__((format(printf, 1, 2))) void morsel_say(const char *format, ...);

/* An ioctl: 0, or the negative errno, of which the log is told. */
int morsel_call(int fd, unsigned long number, void *argument, const char *what);

#endif /* MORSEL_INTERNAL_H */
