/* SPDX-License-Identifier: BSD-3-Clause */
#include "json_index_bits.h"
#include "json_walk.h"

static inline struct classes classify_block(const char *p)
{
	const __m128i space = _mm_setr_epi8(SPACE_BY_NIBBLE), op = _mm_setr_epi8(OP_BY_NIBBLE);
	const __m128i bit5 = _mm_set1_epi8(0x20), last_control = _mm_set1_epi8(0x1f);
	struct classes c = {0};

	for (uint32_t i = 0; i < 64; i += 16) {
		__m128i in = _mm_loadu_si128((const __m128i *)(p + i));

#define MASK(vector) ((uint64_t)(uint32_t)_mm_movemask_epi8(vector) << i)
		c.op |= MASK(_mm_cmpeq_epi8(_mm_or_si128(in, bit5), _mm_shuffle_epi8(op, in)));
		c.space |= MASK(_mm_cmpeq_epi8(in, _mm_shuffle_epi8(space, in)));
		c.quote |= MASK(_mm_cmpeq_epi8(in, _mm_set1_epi8('"')));
		c.backslash |= MASK(_mm_cmpeq_epi8(in, _mm_set1_epi8('\\')));
		c.control |= MASK(_mm_cmpeq_epi8(_mm_min_epu8(in, last_control), in));
		c.high |= MASK(in);
#undef MASK
	}
	return c;
}

static inline uint32_t lowest_bit(uint64_t bits)
{
	return (uint32_t)__builtin_ctzll(bits | UINT64_C(1) << 63);
}

bool json_fast_sse42(struct json_parser *parser, const struct schema *schema, const char *data, uint32_t len,
    struct json_output *out)
{
	return parse_fast(parser, schema, data, len, out);
}
