/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts of the indexer for instruction sets without masked loads and compression.
 */
#ifndef PENSTOCK_JSON_INDEX_BITS_H
#define PENSTOCK_JSON_INDEX_BITS_H

#include "json_index_block.h"

#include <string.h>

static inline struct classes classify_tail(const char *p, uint32_t n)
{
	char block[64] __attribute__((aligned(64)));

	memset(block, ' ', sizeof(block));
	memcpy(block, p, n);
	return classify(block);
}

/* In rounds of eight whether they are needed or not: how many bits are set is hard to predict. */
static inline uint32_t *emit(uint32_t *to, uint32_t base, uint64_t bits)
{
	uint32_t n = (uint32_t)__builtin_popcountll(bits), done = 0;

	do {
		for (uint32_t i = 0; i < 8; i++) {
			to[done + i] = base + (uint32_t)__builtin_ctzll(bits | UINT64_C(1) << 63);
			bits &= bits - 1;
		}
		done += 8;
	} while (done < n);
	return to + n;
}

#endif
