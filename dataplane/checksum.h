/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words, over several pieces of memory.
 *
 * Any thread; no allocation. About 0.035 ns per byte, plus 3 ns.
 */
#ifndef PENSTOCK_CHECKSUM_H
#define PENSTOCK_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds `len` bytes at any alignment to a partial sum, which begins at 0. An odd `len` is padded with a zero
 * byte, so only the last piece may be odd. Words are taken in the machine's byte order, as the sum allows; a
 * 16-bit value to be added by hand must be in network byte order. Reads nothing outside data[0..len). */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len);

/* Folds a partial sum to 16 bits. Over data that holds its own checksum the answer is 0xffff when it is
 * right; to make a checksum, sum with a zero in its place, invert, and store without swapping. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#endif
