/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites of the words of exclusive views share.
 */
#ifndef WORDS_TEST_H
#define WORDS_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../kmod/view/word.h"
#define SEED_VARIABLE "WORDS_SEED"
#include "../seeded.h"

#endif /* WORDS_TEST_H */
