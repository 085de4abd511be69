/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making a header's checksum right, for media that are made to be looked at.
 */
#ifndef FRAMES_SIGN_H
#define FRAMES_SIGN_H

#include "frames.h"

/* The header's checksum by its definition, bit by bit. */
static inline uint32_t crc32c(const uint8_t *at, size_t size)
{
	uint32_t crc = ~0U;
	int bit;

	for (; size; size--, at++)
		for (crc ^= *at, bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	return ~crc;
}

static inline void sign(struct frames_header *header)
{
	struct frames_header copy = *header;

	copy.magic = 0;
	copy.checksum = 0;
	header->checksum = crc32c((const uint8_t *)&copy, sizeof(copy));
}

#endif /* FRAMES_SIGN_H */
