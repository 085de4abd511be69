/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kinds of memory that processes can share: the morsel, and what the kernel has beside it.
 */
#ifndef PEERS_H
#define PEERS_H

#include "measure.h"

enum { MORSEL, MEMFD, MEMFD_THP, MEMFD_FOLIOS, HUGETLB, HUGETLB_SHARED, KINDS };

/**
 * struct kind - how memory of a kind is had
 * @suffix:	of the rows that have it as the peer
 * @what:	for people
 * @page:	bytes that the first touch of anything takes
 * @make:	makes an object of some length, so many bytes of which will be needed;
 *		false, where the kernel has none
 * @populate:	allocates all of one
 */
struct kind {
	const char *suffix;
	const char *what;
	uint64_t page;
	bool (*make)(struct object *object, uint64_t length, uint64_t bytes);
	void (*populate)(struct object *object);
};

extern const struct kind kinds[KINDS];

void sprinkle(struct object *object);

#endif /* PEERS_H */
