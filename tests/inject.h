/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Having allocations fail, and copies from and to user memory, of this thread and with the module
 * among their callers.
 */
#ifndef TESTS_INJECT_H
#define TESTS_INJECT_H

#include "common.h"

/* Was the kernel built for it? */
bool can_inject(void);
void injection_begin(void);
/* Of the calling thread, which is another one than began. */
void injection_is_here(void);
void injection_end(void);
/*
 * What the kernel itself does when it cannot make a cache for us is not clean:
 * it says so in the log, and loses the name.
 */
void spare_cache_creation(void);

/* The @nth allocation from now on fails; 0: none. */
void arm(unsigned int nth);
/* Stop; true if an allocation failed since arm(). */
bool disarm(void);
/* Have every page fail that the process asks for, or, again, none. */
void fail_all_pages(bool fail);

#endif /* TESTS_INJECT_H */
