/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an allocator must offer to be measured beside ours: a shared object that exports
 *
 *	const struct frames_peer *frames_peer(void);
 *
 * and needs nothing but this header.  Frames are numbers, 0 to so many; there is no memory
 * behind them.  There is one allocator at a time.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

#define PEER_NONE UINT64_MAX

/**
 * struct frames_peer - an allocator
 * @name:	for tables and plots; short
 * @init:	begin, with all frames free, for threads 0 to @threads - 1; 0 if that is done
 * @exit:	end
 * @metadata:	bytes that the allocator needs for all frames
 * @get:	get 1 << @order frames, aligned to that, for a thread; the first, or PEER_NONE
 * @put:	give these back, from any thread; 0 if they were in use
 * @get_batch:	get so many of that order; how many there are.  May be NULL, as may all that
 *		follow: then @get is called so often
 * @put_batch:	give so many back; 0 if all were in use
 * @crash:	begin with the frames in use whose bits are set in @bits, as a crash would leave
 *		it: whatever is made from other things is lost; 0 if that is done
 * @recover:	make it whole
 * @free:	how many frames are free
 */
struct frames_peer {
	const char *name;
	int (*init)(uint64_t frames, uint32_t threads);
	void (*exit)(void);
	uint64_t (*metadata)(void);
	uint64_t (*get)(uint32_t thread, uint32_t order);
	int (*put)(uint32_t thread, uint32_t order, uint64_t frame);
	uint32_t (*get_batch)(uint32_t thread, uint32_t order, uint32_t count, uint64_t *got);
	int (*put_batch)(uint32_t thread, uint32_t order, uint32_t count, const uint64_t *frames);
	int (*crash)(uint64_t frames, const uint64_t *bits);
	void (*recover)(void);
	uint64_t (*free)(void);
};

__attribute__((visibility("default"))) const struct frames_peer *frames_peer(void);

#endif /* PEER_H */
