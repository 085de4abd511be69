/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The demo's model: weights that anybody can compute again.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

/*
 * Where the header's metadata has the sum of a tensor's 64-bit words, in hexadecimal: "sum64.NAME".
 */
#define MODEL_SUM_KEY "sum64."

/* Four weights: BF16 numbers of either sign from 1/128 to 1/32, pseudo-random. */
static inline uint64_t model_word(uint64_t tensor, uint64_t index)
{
	uint64_t x = ((tensor << 40) + index + 1) * 0x9e3779b97f4a7c15ULL;

	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	return (x & 0x80ff80ff80ff80ffULL) | 0x3c003c003c003c00ULL;
}

#endif /* MODEL_H */
