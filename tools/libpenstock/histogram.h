/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts of 32-bit numbers in buckets of constant relative width: quantiles to 1/16, in a fixed 4 KB, however many
 * numbers. Adding costs a few instructions; a quantile costs a pass over the buckets.
 */
#ifndef LIBPENSTOCK_HISTOGRAM_H
#define LIBPENSTOCK_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 16u /* buckets per power of two; below this, a bucket per number */
#define HISTOGRAM_BUCKETS (29u * HISTOGRAM_STEPS)

struct histogram {
	uint64_t total;
	uint64_t count[HISTOGRAM_BUCKETS];
};

static inline uint32_t histogram_bucket(uint32_t value)
{
	uint32_t power;

	if (value < HISTOGRAM_STEPS)
		return value;
	power = 31u - (uint32_t)__builtin_clz(value); /* 4..31 */
	return (power - 3) * HISTOGRAM_STEPS + (value >> (power - 4)) % HISTOGRAM_STEPS;
}

/* The middle of a bucket. */
static inline uint32_t histogram_value(uint32_t bucket)
{
	uint32_t power, low, width;

	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	power = bucket / HISTOGRAM_STEPS + 3;
	width = UINT32_C(1) << (power - 4);
	low = (HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << (power - 4);
	return low + width / 2;
}

static inline void histogram_add(struct histogram *h, uint32_t value)
{
	h->count[histogram_bucket(value)]++;
	h->total++;
}

/* The value that a share (0 to 1) of the numbers do not exceed, to a bucket's width; 0 without numbers. */
static inline uint32_t histogram_quantile(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)h->total), seen = 0;

	if (h->total == 0)
		return 0;
	if (wanted >= h->total)
		wanted = h->total - 1;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->count[i];
		if (seen > wanted)
			return histogram_value(i);
	}
	return 0;
}

#endif
