/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of ASCII bytes, tested sixteen bytes at a time.
 *
 * A byte is a member if bit (byte >> 4) is set in low[byte & 15]; two table look-ups by shuffle do that for a
 * whole vector (SSSE3), and no byte above 0x7f is ever a member. Nothing outside text[0..len) is read: short
 * ends are loaded in overlapping pieces. Any thread. Cost: 3 to 5 ns for up to 16 bytes.
 */
#ifndef PENSTOCK_BYTECLASS_H
#define PENSTOCK_BYTECLASS_H

#include <smmintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct byteclass {
	uint8_t low[16];
};

static inline void byteclass_add(struct byteclass *class, uint8_t first, uint8_t last)
{
	for (uint32_t c = first; c <= last && c < 128; c++)
		class->low[c & 15] |= (uint8_t)(1u << (c >> 4));
}

static inline bool byteclass_has(const struct byteclass *class, uint8_t c)
{
	return c < 128 && (class->low[c & 15] >> (c >> 4) & 1);
}

/* 0xff for each byte of `v` that is not a member. */
static inline __m128i byteclass_misses(const struct byteclass *class, __m128i v)
{
	const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
	__m128i low = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)class->low), v);
	__m128i high = _mm_shuffle_epi8(bits, _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15)));

	return _mm_cmpeq_epi8(_mm_and_si128(low, high), _mm_setzero_si128());
}

static inline uint32_t byteclass_mask(const struct byteclass *class, __m128i v)
{
	return (uint32_t)_mm_movemask_epi8(byteclass_misses(class, v));
}

/* The offset of the `i`th of four pieces of four bytes that cover 4 to 16 bytes. */
static inline uint32_t byteclass_piece(uint32_t i, uint32_t len)
{
	return 4 * i < len - 4 ? 4 * i : len - 4;
}

/* 1 to 16 bytes as one vector, without branches on the length but for very short texts: lengths of
 * identifiers vary, and a mispredicted branch costs more than the rest of the check. Byte k of piece i is
 * text[byteclass_piece() + k]; of texts shorter than 4, bytes 0, len / 2 and len - 1. */
static inline __m128i byteclass_load_short(const char *text, uint32_t len)
{
	uint32_t piece[4];

	if (len < 4)
		return _mm_cvtsi32_si128(
		    (uint8_t)text[0] | (uint8_t)text[len / 2] << 8 | (uint8_t)text[len - 1] << 16);
	for (uint32_t i = 0; i < 4; i++)
		memcpy(&piece[i], text + byteclass_piece(i, len), 4);
	return _mm_set_epi32((int)piece[3], (int)piece[2], (int)piece[1], (int)piece[0]);
}

/* Bit i: text[i] is not a member, for i < len <= 16. */
static inline uint32_t byteclass_mask_short(const struct byteclass *class, const char *text, uint32_t len)
{
	uint32_t mask, all = 0;

	if (len == 0)
		return 0;
	mask = byteclass_mask(class, byteclass_load_short(text, len));
	if (len < 4)
		return (mask & 1) | (mask >> 1 & 1) << (len / 2) | (mask >> 2 & 1) << (len - 1);
	for (uint32_t i = 0; i < 4; i++)
		all |= (mask >> 4 * i & 15) << byteclass_piece(i, len);
	return all;
}

/* How many bytes at the start are members. */
static inline uint32_t byteclass_run(const struct byteclass *class, const char *text, uint32_t len)
{
	uint32_t at = 0, mask;

	for (; len - at >= 16; at += 16) {
		mask = byteclass_mask(class, _mm_loadu_si128((const __m128i *)(text + at)));
		if (mask != 0)
			return at + (uint32_t)__builtin_ctz(mask);
	}
	mask = byteclass_mask_short(class, text + at, len - at);
	return mask != 0 ? at + (uint32_t)__builtin_ctz(mask) : len;
}

/* Whether all bytes are members. */
static inline bool byteclass_all(const struct byteclass *class, const char *text, uint32_t len)
{
	__m128i misses;

	if (len == 0)
		return true;
	if (len <= 16) {
		misses = byteclass_misses(class, byteclass_load_short(text, len));
		return len < 4 ? (_mm_cvtsi128_si32(misses) & 0xffffff) == 0
		               : _mm_testz_si128(misses, misses);
	}
	misses = byteclass_misses(class, _mm_loadu_si128((const __m128i *)(text + len - 16)));
	for (uint32_t at = 0; at + 16 < len; at += 16)
		misses = _mm_or_si128(
		    misses, byteclass_misses(class, _mm_loadu_si128((const __m128i *)(text + at))));
	return _mm_testz_si128(misses, misses);
}

#endif
