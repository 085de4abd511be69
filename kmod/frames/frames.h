/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The frame allocator: lock-free, log-free, recoverable.
 *
 * It hands out page frames by number, 0 to nr_frames - 1, and knows of their
 * contents nothing; what they are and where is the pool's.  After LLFree (Wrenger
 * et al., USENIX ATC 2023), which has the same levels; see below for what differs.
 *
 *	bits	a bit for each frame, 1: in use.  Eight words of 64 are a child
 *	child	2 MiB; 16 bits: free frames, whether it is in use as a huge frame, and
 *		the host that has claimed it
 *	tree	8 children, 16 MiB; 32 bits: which children are worth a look, and
 *		the host that has reserved it
 *	slot	one per CPU, in the host's own memory; 64 bits: the child it has
 *		claimed, and how many of its free frames
 *
 * Bits and the huge flag are the truth; all else can be made from them.  Each
 * word changes by one compare-and-swap.  A child's count goes down before bits
 * are taken, and up after bits were given back: it never promises more than
 * there is.
 *
 * What differs from LLFree.  A slot claims the count of a child, not that of a
 * tree, so that to get a frame takes two swaps and to put one does, too.  Trees do
 * not count, but have bits that tell where to look; these may be set in vain, and are
 * set again when what they say may have become true while they were cleared.  A
 * word of bits is taken by one swap, however many of its frames are wanted.  Runs of
 * huge frames are taken two or four at a swap.
 *
 * Calls may be made at once from any number of CPUs and, where the words are in
 * memory that they share, of hosts; except those that say otherwise.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include "platform.h"

#define FRAMES_PER_WORD 64U
#define FRAMES_PER_CHILD 512U
#define WORDS_PER_CHILD (FRAMES_PER_CHILD / FRAMES_PER_WORD)
#define CHILDREN_PER_TREE 8U
#define FRAMES_HUGE_ORDER 9U /* log2 of the frames in a child: 2 MiB */
#define FRAMES_GIB_ORDER 18U /* log2 of the frames in 1 GiB: the largest order */
#define FRAMES_FRAME_SIZE 4096U
#define FRAMES_HOSTS 31U /* hosts are numbered from 1 */

/**
 * struct frames_slot - where a CPU gets its frames; a cache line
 * @claim:	the child that it has claimed; see word.h
 * @hint:	word of that child to look at first
 * @low:	no tree before this one is known to have anything to claim
 * @next:	for orders from 1 on: the child to look at first
 * @next_huge:	for huge frames: the child to look at first
 * @begun:	claims, releases, puts, and gets of certain frames so far,
 * @ended:	and of these, those that are over: meanwhile, a child is claimed that
 *		no slot has, or frames are free that are not counted
 */
struct frames_slot {
	_Alignas(FRAMES_LINE) uint64_t claim;
	uint32_t hint;
	uint32_t low;
	uint32_t next;
	uint32_t next_huge;
	uint32_t begun;
	uint32_t ended;
};

/**
 * struct frames - an allocator, as one host has it
 * @nr_frames:	how many there are
 * @nr_children: the last one may have fewer than 512 frames
 * @nr_trees:	the last one may have fewer than 8 children
 * @nr_slots:	how many CPUs may meet as little as they can
 * @top:	no child from this one on was ever there
 * @host:	this host, 1 to FRAMES_HOSTS
 * @durable:	the words are on a medium: flush them
 * @bits:	8 words per child
 * @children:	one per child, and some that are absent, to make trees complete
 * @trees:	one per tree
 * @slots:	the host's own
 *
 * Fields are set by frames_init() and do not change, but for @top, which
 * frames_add() raises.
 */
struct frames {
	uint64_t nr_frames;
	uint32_t nr_children;
	uint32_t nr_trees;
	uint32_t nr_slots;
	uint32_t top;
	uint32_t host;
	bool durable;
	uint64_t *bits;
	uint16_t *children;
	uint32_t *trees;
	struct frames_slot *slots;
};

/* frames.c: making one. */

/**
 * frames_words_size() - memory for the words of all levels but the slots
 * @nr_frames: how many frames
 * Return: bytes, a multiple of 64; 0 if there are too many frames (2^40).
 */
size_t frames_words_size(uint64_t nr_frames);

/**
 * frames_init() - set up a host's view of an allocator
 * @f:		to be filled
 * @nr_frames:	how many frames
 * @words:	frames_words_size() bytes, aligned to 64; not touched here
 * @slots:	@nr_slots of them; are cleared
 * @nr_slots:	at least 1
 * @host:	1 to FRAMES_HOSTS; no other live host may have the same number
 * Return: 0, or -EINVAL for a number out of its range.
 */
int frames_init(struct frames *f, uint64_t nr_frames, void *words, struct frames_slot *slots,
		uint32_t nr_slots, uint32_t host);

/**
 * frames_clear() - give all words their first value; nobody else is at them
 * @f:		the allocator
 * @there:	all frames are there, and free; or none is, see frames_add()
 */
void frames_clear(struct frames *f, bool there);

/* frames.c: getting and putting. */

/**
 * frames_get() - get frames
 * @f:		the allocator
 * @slot:	the caller's CPU; any number will do, but CPUs that share one meet
 * @order:	log2 of the frames in each, 0 to FRAMES_GIB_ORDER; aligned to that
 * @count:	how many of these
 * @got:	is filled with the first frame of each
 *
 * On a medium, what is returned is marked as in use durably.
 *
 * Return: how many there are; fewer than @count when there are no more.  What
 * somebody else is about to take, put or claim may count as in use for that long.
 */
uint32_t frames_get(struct frames *f, uint32_t slot, uint32_t order, uint32_t count, uint64_t *got);

/**
 * frames_try() - get single frames, without waiting for anybody
 * @f:		the allocator
 * @slot:	the caller's CPU
 * @count:	how many; fewer may be got though there are more
 * @got:	is filled with them
 * @none:	is set to true if nothing was got, and nothing was free at some moment of
 *		the call; otherwise, to ask again may be worth it
 *
 * Who must be quick, as with preemption off, asks this way, and has others run before
 * it asks again: somebody may be about to put frames, or to claim them.
 *
 * Return: how many there are.
 */
uint32_t frames_try(struct frames *f, uint32_t slot, uint32_t count, uint64_t *got, bool *none);

/**
 * frames_get_near() - get frames, from one of several allocators
 * @nodes:	allocators, the preferred first, the others by distance
 * @nr_nodes:	how many
 * @slot:	as for frames_get(), as are the next two
 * @order:	log2
 * @count:	how many
 * @got:	is filled with the first frame of each
 * @from:	is filled with the index in @nodes of each
 * Return: how many there are.
 */
uint32_t frames_get_near(struct frames *const *nodes, uint32_t nr_nodes, uint32_t slot,
			 uint32_t order, uint32_t count, uint64_t *got, uint32_t *from);

/**
 * frames_get_at() - get certain frames
 * @f:		the allocator
 * @frame:	the first, a multiple of 1 << @order
 * @order:	log2 of how many
 * Return: 0;
 * -EINVAL: no such frames, or not for this order;
 * -EBUSY: some are in use, or promised to somebody who is about to take them.
 */
int frames_get_at(struct frames *f, uint64_t frame, uint32_t order);

/**
 * frames_put() - give frames back
 * @f:		the allocator
 * @slot:	the caller's CPU
 * @order:	log2 of the frames in each.  Frames of order 8 and below, and of
 *		order 9 and above, may be put in smaller pieces than they were got
 * @count:	how many of these
 * @frames:	the first frame of each; putting is quickest where neighbours
 *		follow each other
 *
 * On a medium, a frame that was put may be found in use after a crash; and is
 * free again after frames_recover(), for which the caller must have made
 * durable, before this call, that it has it no more.
 *
 * Return: 0; or that of the first bad one, where the others are put all the same:
 * -EINVAL: no such frames;
 * -ENOENT: they are not in use, or not as frames of this order.
 */
int frames_put(struct frames *f, uint32_t slot, uint32_t order, uint32_t count,
	       const uint64_t *frames);

/**
 * frames_put_begin() - put frames in two steps: they are about to be put
 * @f:		the allocator
 * @slot:	the caller's CPU
 *
 * From here on to frames_put_end(), which must follow soon, nobody is told that it is
 * sure that there are none.  Who counts what is in use, too, does so in between.
 */
void frames_put_begin(struct frames *f, uint32_t slot);

/**
 * frames_put_end() - give frames back, after frames_put_begin()
 * @f:		the allocator
 * @slot:	as for frames_put_begin(); the others as for frames_put()
 * @order:	log2 of the frames in each
 * @count:	how many of these
 * @frames:	the first frame of each
 * Return: as frames_put().
 */
int frames_put_end(struct frames *f, uint32_t slot, uint32_t order, uint32_t count,
		   const uint64_t *frames);

/**
 * frames_drain() - have all slots of this host give back what they claimed
 * @f: the allocator
 *
 * A child that a slot has claimed is not whole, even if all its frames are free.
 */
void frames_drain(struct frames *f);

/* frames.c: children that come and go, while others get and put. */

/**
 * frames_add() - a child's frames are there now, and free
 * @f:		the allocator
 * @child:	one that is absent; nobody else adds or removes it now
 * @nr:		how many frames it has, from its first on: 1 to 512.  What is
 *		missing is as if it were in use
 * Return: 0; -EINVAL: no such child, or @nr; -EEXIST: it is there.
 */
int frames_add(struct frames *f, uint32_t child, uint32_t nr);

/**
 * frames_remove() - take a child away if all its frames are free
 * @f:		the allocator
 * @child:	which
 * @nr:		how many frames it has; less, down to none, if the caller knows that the
 *		others are in use for good
 * Return: 0; -EINVAL: no such child; -EBUSY: frames are in use or claimed, or
 * it is absent.
 */
int frames_remove(struct frames *f, uint32_t child, uint32_t nr);

/**
 * frames_child_free() - how many frames of a child are free
 * @f:		the allocator
 * @child:	which
 * Return: the number; 0 if it is absent or claimed.
 */
uint32_t frames_child_free(const struct frames *f, uint32_t child);

/* hosts.c */

/**
 * frames_take_back() - end what a dead host has reserved and claimed
 * @f:		the allocator, on another host
 * @host:	the dead one, which must have been fenced: it never stores again.  Its
 *		number may be used again when no call for it is under way
 *
 * May be cut short at any point, and be called again, by several at once.  Frames that
 * the dead host was about to get or put stay in use; the owner of the words
 * finds these by frames_recover().  Until then, children that were taken back
 * serve for small frames only.
 *
 * Return: how many trees and children were taken back; -EINVAL: no such host,
 * or it is this one.
 */
int64_t frames_take_back(struct frames *f, uint32_t host);

/* inspect.c */

/**
 * struct frames_stat - what frames_stat() finds
 * @frames:	that are there
 * @free:	of them, those that are not in use
 * @huge_free:	children that could be had as huge frames
 * @huge_used:	children in use as huge frames
 * @absent:	children that are not there
 * @claimed:	children that a slot has claimed
 * @runs:	by order up to 10, how many aligned runs are free that are no part of a larger
 *		one
 *
 * Fragmentation is the share of the free frames that are not in whole children:
 * 1 - 512 * @huge_free / @free.
 */
struct frames_stat {
	uint64_t frames;
	uint64_t free;
	uint64_t huge_free;
	uint64_t huge_used;
	uint64_t absent;
	uint64_t claimed;
	uint64_t runs[11];
};

/**
 * frames_stat() - count; exactly, if nobody gets or puts meanwhile
 * @f:		the allocator
 * @stat:	is filled
 */
void frames_stat(const struct frames *f, struct frames_stat *stat);

/**
 * frames_next() - the next frame that is in use
 * @f:		the allocator
 * @frame:	where to begin; is set to the frame that was found
 * @order:	is set to 0 or, for a huge frame, 9
 * Return: true if there is one.
 *
 *	for (at = 0; frames_next(f, &at, &order); at += 1UL << order)
 */
bool frames_next(const struct frames *f, uint64_t *frame, uint32_t *order);

/**
 * frames_in_use() - is a frame in use?
 * @f:		the allocator
 * @frame:	which
 * Return: true if it is, by itself or within a huge frame.
 */
bool frames_in_use(const struct frames *f, uint64_t frame);

/**
 * frames_validate() - see that the words agree; nobody gets or puts meanwhile
 * @f:		the allocator; all that is claimed must be this host's
 * @where:	is set to the child or tree of the first fault, if not NULL
 * Return: NULL, or what the first fault is.
 */
const char *frames_validate(const struct frames *f, uint32_t *where);

/* medium.c */

/* "morselfr", read as a number */
#define FRAMES_MAGIC 0x72666c6573726f6dULL
#define FRAMES_VERSION 1U

/**
 * struct frames_header - what a medium begins with; a cache line
 * @magic:	FRAMES_MAGIC; written last, when all else is on the medium
 * @version:	FRAMES_VERSION
 * @checksum:	CRC-32C of the whole line, this field and @magic taken as 0
 * @uuid:	of the medium
 * @size:	bytes of the medium that are in use
 * @words:	offset of the words, bytes
 * @first:	offset of the first frame, bytes, a multiple of 2 MiB
 * @nr_frames:	how many frames
 *
 * Little endian.
 */
struct frames_header {
	uint64_t magic;
	uint32_t version;
	uint32_t checksum;
	uint8_t uuid[16];
	uint64_t size;
	uint64_t words;
	uint64_t first;
	uint64_t nr_frames;
};

static_assert(sizeof(struct frames_header) == FRAMES_LINE, "the header is one line");

/**
 * frames_format() - make a medium; whatever it held is lost
 * @medium:	its memory, aligned to 4 KiB
 * @size:	its bytes
 * @uuid:	its name to be
 *
 * The header goes first and comes last: a crash leaves the old medium, none, or the
 * new one.
 *
 * Return: 0; -ENOSPC: it is too small for even one huge frame.
 */
int frames_format(void *medium, uint64_t size, const uint8_t uuid[16]);

/**
 * frames_check() - look at a medium's header, which may be anything
 * @medium:	its memory, at least 64 bytes
 * @size:	its bytes
 * @header:	is filled with a copy, which is all that may be used later
 * Return: 0;
 * -ENODATA: there is no medium (no magic number);
 * -EBADMSG: the checksum is wrong;
 * -EPROTONOSUPPORT: of a later version;
 * -EINVAL: what it says of itself cannot be, or not in so many bytes.
 */
int frames_check(const void *medium, uint64_t size, struct frames_header *header);

/**
 * frames_kept_size() - memory for what frames_keep() remembers
 * @f: the allocator
 * Return: bytes.
 */
size_t frames_kept_size(const struct frames *f);

/**
 * frames_keep() - before frames_recover(): a frame has an owner
 * @f:		the allocator; nobody else is at its words, as in the next
 * @kept:	frames_kept_size() bytes, zero at first, aligned to 8
 * @frame:	the first frame
 * @order:	log2 of how many: up to 8, or 9 and above for what was got as such
 * Return: 0;
 * -EINVAL: no such frames;
 * -ENOENT: they were not in use;
 * -EEXIST: they have an owner already.
 */
int frames_keep(const struct frames *f, void *kept, uint64_t frame, uint32_t order);

/**
 * frames_recover() - after a crash: make counts of bits, end all claims
 * @f:		the allocator, of a medium that frames_check() found good
 * @kept:	what frames_keep() was told; frames that have no owner are given
 *		back.  NULL: all frames that are in use stay so
 * Return: how many frames were given back.
 *
 * One pass.  May be cut short at any point by the next crash, and done again.  After a
 * power cut @kept is needed: without, what was put shortly before may be in
 * use, and a child that was a huge frame shortly before may count as one.
 */
uint64_t frames_recover(struct frames *f, const void *kept);

#endif /* FRAMES_H */
