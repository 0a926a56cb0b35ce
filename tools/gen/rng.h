/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers as a function of (seed, index): splitmix64. Every event and every row has a generator of its
 * own, so that any of them can be made again without those before it. Not for secrets.
 */
#ifndef PENSTOCK_GEN_RNG_H
#define PENSTOCK_GEN_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* `purpose` keeps uses of the same (seed, index) apart. */
static inline struct rng rng_at(uint64_t seed, uint64_t index, uint64_t purpose)
{
	return (struct rng){rng_mix(rng_mix(seed + 0x9e3779b97f4a7c15u * (purpose + 1)) + index)};
}

static inline uint64_t rng_next(struct rng *rng)
{
	rng->state += 0x9e3779b97f4a7c15u;
	return rng_mix(rng->state);
}

/* From 0 to n - 1; n > 0. The bias is below n / 2^64. */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)rng_next(rng) * n) >> 64);
}

/* From 0 to below 1. */
static inline double rng_unit(struct rng *rng)
{
	return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

static inline bool rng_chance(struct rng *rng, double probability)
{
	return rng_unit(rng) < probability;
}

#endif
