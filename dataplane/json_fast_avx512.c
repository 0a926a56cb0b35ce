/* SPDX-License-Identifier: BSD-3-Clause */
#include "json_index.h"
#include "json_walk.h"

static inline struct classes classify_vector(__m512i in)
{
	const __m512i space = _mm512_broadcast_i32x4(_mm_setr_epi8(SPACE_BY_NIBBLE));
	const __m512i op = _mm512_broadcast_i32x4(_mm_setr_epi8(OP_BY_NIBBLE));

	return (struct classes){
	    .op = _mm512_cmpeq_epi8_mask(
	        _mm512_or_si512(in, _mm512_set1_epi8(0x20)), _mm512_shuffle_epi8(op, in)),
	    .space = _mm512_cmpeq_epi8_mask(in, _mm512_shuffle_epi8(space, in)),
	    .quote = _mm512_cmpeq_epi8_mask(in, _mm512_set1_epi8('"')),
	    .backslash = _mm512_cmpeq_epi8_mask(in, _mm512_set1_epi8('\\')),
	    .control = _mm512_cmplt_epu8_mask(in, _mm512_set1_epi8(0x20)),
	    .high = _mm512_movepi8_mask(in),
	};
}

static inline struct classes classify(const char *p, uint32_t n)
{
	/* Lanes that are masked out are not read. */
	__mmask64 lanes = n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;

	return classify_vector(_mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), lanes, p));
}

static inline void store_positions(uint32_t *to, __m512i base, __m128i positions)
{
	_mm512_storeu_si512(to, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(positions)));
}

static inline uint32_t *emit(uint32_t *to, uint32_t base, uint64_t bits)
{
	static const uint8_t iota[64]
	    __attribute__((aligned(64))) = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
	        19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41,
	        42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
	__m512i positions = _mm512_maskz_compress_epi8(bits, _mm512_load_si512(iota));
	__m512i bases = _mm512_set1_epi32((int)base);
	uint32_t n = (uint32_t)__builtin_popcountll(bits);

	store_positions(to, bases, _mm512_castsi512_si128(positions));
	store_positions(to + 16, bases, _mm512_extracti32x4_epi32(positions, 1));
	if (__builtin_expect(n > 32, 0)) {
		store_positions(to + 32, bases, _mm512_extracti32x4_epi32(positions, 2));
		store_positions(to + 48, bases, _mm512_extracti32x4_epi32(positions, 3));
	}
	return to + n;
}

bool json_fast_avx512(struct json_parser *parser, const struct schema *schema, const char *data, uint32_t len,
    struct json_output *out)
{
	return parse_fast(parser, schema, data, len, out);
}
