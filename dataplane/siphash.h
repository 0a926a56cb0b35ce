/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash with 128 bits of output: a keyed hash that nobody can steer without the key.
 *
 * Written from J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012), and the
 * 128-bit output that the authors added later. SipHash-c-d does c rounds per 8 bytes and d rounds per 64 bits
 * of output: 1-3 serves hash tables, 2-4 is the authors' choice as a MAC.
 *
 * Any thread; no state, no allocation. Cost of 1-3: about (len / 8 + 7) rounds of some five cycles;
 * independent calls overlap in the pipeline, so a loop over a burst runs at less.
 */
#ifndef PENSTOCK_SIPHASH_H
#define PENSTOCK_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* out[0] is the first 8 bytes of the authors' output string read as a little-endian integer, out[1] the
 * last 8. */
void siphash13_128(const uint8_t key[16], const void *data, size_t len, uint64_t out[2]);
void siphash24_128(const uint8_t key[16], const void *data, size_t len, uint64_t out[2]);

#endif
