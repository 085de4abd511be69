/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the frame allocator takes from where it runs: types, atomics and the
 * persistence of stores.  The rest of this folder is freestanding C, which the
 * module and the native tests both compile.
 *
 * All stores to words that may lie on a medium go through here.  Who defines
 * FRAMES_WATCH is told of each, and of each flush and fence, instead of having
 * them flushed: that is how power cuts are tested.
 */
#ifndef FRAMES_PLATFORM_H
#define FRAMES_PLATFORM_H

#ifdef __KERNEL__

#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/libnvdimm.h>
#include <linux/processor.h>
#include <linux/string.h>
#include <linux/types.h>

/* Without, arch_wb_cache_pmem() is there, and does nothing. */
#ifndef CONFIG_ARCH_HAS_PMEM_API
#error "morsel: frames of a medium need an architecture that writes cache lines back"
#endif

#define frames_relax() cpu_relax()
#define frames_weight(word) hweight64(word)

#else

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define frames_relax() __builtin_ia32_pause()
#else
#define frames_relax() ((void)0)
#endif

#define frames_weight(word) ((unsigned int)__builtin_popcountll(word))

#ifndef static_assert
#define static_assert _Static_assert
#endif

#endif

#define FRAMES_LINE 64 /* bytes that reach a medium together */

#ifdef FRAMES_WATCH
void frames_watch_store(const void *at, unsigned int size);
void frames_watch_flush(const void *at, size_t size);
void frames_watch_fence(void);
#else
#define frames_watch_store(at, size) ((void)0)
#endif

/* Who defines FRAMES_STEP is asked before each access to a word: others may come between. */
#ifdef FRAMES_STEP
void frames_step(void);
#else
#define frames_step() ((void)0)
#endif

/* Sequentially consistent where that is said; on x86 only the stores differ. */
#define frames_load(at)                                \
	({                                             \
		frames_step();                         \
		__atomic_load_n(at, __ATOMIC_SEQ_CST); \
	})

#define frames_peek(at)                                \
	({                                             \
		frames_step();                         \
		__atomic_load_n(at, __ATOMIC_RELAXED); \
	})

#define frames_store(at, value)                                \
	do {                                                   \
		frames_step();                                 \
		__atomic_store_n(at, value, __ATOMIC_RELEASE); \
		frames_watch_store(at, sizeof(*(at)));         \
	} while (0)

/* True if *@at was *@old and now is @value; else *@old is what it was. */
#define frames_cas(at, old, value)                                                              \
	({                                                                                      \
		bool swapped_;                                                                  \
		frames_step();                                                                  \
		swapped_ = __atomic_compare_exchange_n(at, old, value, false, __ATOMIC_SEQ_CST, \
						       __ATOMIC_SEQ_CST);                       \
		if (swapped_)                                                                   \
			frames_watch_store(at, sizeof(*(at)));                                  \
		swapped_;                                                                       \
	})

/*
 * Write the cache lines of a range back.  What was written before is on the
 * medium once frames_fence() has returned.
 */
static inline void frames_flush(const void *at, size_t size)
{
#if defined(FRAMES_WATCH)
	frames_watch_flush(at, size);
#elif defined(__KERNEL__)
	arch_wb_cache_pmem((void *)at, size);
#elif defined(__x86_64__)
	const char *line = (const char *)((uintptr_t)at & -(uintptr_t)FRAMES_LINE);

	for (; line < (const char *)at + size; line += FRAMES_LINE)
		__builtin_ia32_clflush((const void *)line);
#endif
}

static inline void frames_fence(void)
{
#if defined(FRAMES_WATCH)
	frames_watch_fence();
#elif defined(__KERNEL__)
	/* The flushes before, as seen by the medium. */
	wmb();
#elif defined(__x86_64__)
	__builtin_ia32_sfence();
#endif
}

#endif /* FRAMES_PLATFORM_H */
