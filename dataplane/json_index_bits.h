/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts of the indexer for instruction sets without masked loads and compression.
 */
#ifndef PENSTOCK_JSON_INDEX_BITS_H
#define PENSTOCK_JSON_INDEX_BITS_H

#include "json_index.h"

#include <string.h>

/* The 64 bytes at p. */
static inline struct classes classify_block(const char *p);

static inline struct classes classify(const char *p, uint32_t n)
{
	char block[64] __attribute__((aligned(64)));

	if (n >= 64)
		return classify_block(p);
	memset(block, ' ', sizeof(block));
	memcpy(block, p, n);
	return classify_block(block);
}

/* The place of the lowest bit that is set; any number where none is. */
static inline uint32_t lowest_bit(uint64_t bits);

/* In rounds of eight whether they are needed or not: how many bits are set is hard to predict. */
static inline uint32_t *emit(uint32_t *to, uint32_t base, uint64_t bits)
{
	uint32_t n = (uint32_t)__builtin_popcountll(bits), done = 0;

	do {
#pragma GCC unroll 8
		for (uint32_t i = 0; i < 8; i++) {
			to[done + i] = base + lowest_bit(bits);
			bits &= bits - 1;
		}
		done += 8;
	} while (done < n);
	return to + n;
}

#endif
