/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module of the tests' own, morsel_notify.ko: it listens to address spaces as drivers do, and
 * holds up who tells it, or RCU.
 */
#ifndef TESTS_NOTIFY_H
#define TESTS_NOTIFY_H

#include "common.h"
#include "kmod/morsel_notify.h"

/* In place of suite_begin and suite_end. */
int notify_begin(void **state);
int notify_end(void **state);
/* A new listener; without the module, the test is skipped. */
int open_listener(void);
/* Have it listen to a range of the caller. */
void listen_to(int listener, const void *memory, size_t length);

#endif /* TESTS_NOTIFY_H */
