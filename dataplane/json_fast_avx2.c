/* SPDX-License-Identifier: BSD-3-Clause */
#include "json_index_bits.h"
#include "json_walk.h"

static inline uint64_t mask(__m256i low, __m256i high)
{
	return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

static inline uint64_t equal(const __m256i in[2], char c)
{
	const __m256i all = _mm256_set1_epi8(c);

	return mask(_mm256_cmpeq_epi8(in[0], all), _mm256_cmpeq_epi8(in[1], all));
}

static inline struct classes classify_block(const char *p)
{
	const __m256i space = _mm256_broadcastsi128_si256(_mm_setr_epi8(SPACE_BY_NIBBLE));
	const __m256i op = _mm256_broadcastsi128_si256(_mm_setr_epi8(OP_BY_NIBBLE));
	const __m256i bit5 = _mm256_set1_epi8(0x20), last_control = _mm256_set1_epi8(0x1f);
	const __m256i in[2] = {
	    _mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1)};

	return (struct classes){
	    .op = mask(_mm256_cmpeq_epi8(_mm256_or_si256(in[0], bit5), _mm256_shuffle_epi8(op, in[0])),
	        _mm256_cmpeq_epi8(_mm256_or_si256(in[1], bit5), _mm256_shuffle_epi8(op, in[1]))),
	    .space = mask(_mm256_cmpeq_epi8(in[0], _mm256_shuffle_epi8(space, in[0])),
	        _mm256_cmpeq_epi8(in[1], _mm256_shuffle_epi8(space, in[1]))),
	    .quote = equal(in, '"'),
	    .backslash = equal(in, '\\'),
	    .control = mask(_mm256_cmpeq_epi8(_mm256_min_epu8(in[0], last_control), in[0]),
	        _mm256_cmpeq_epi8(_mm256_min_epu8(in[1], last_control), in[1])),
	    .high = mask(in[0], in[1]),
	};
}

static inline uint32_t lowest_bit(uint64_t bits)
{
	return (uint32_t)_tzcnt_u64(bits);
}

bool json_fast_avx2(struct json_parser *parser, const struct schema *schema, const char *data, uint32_t len,
    struct json_output *out)
{
	return parse_fast(parser, schema, data, len, out);
}
