/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The indexer, written once for every instruction set: json_index_<isa>.c includes this after defining how
 * its ISA classifies 64 bytes, and gets index_event().
 *
 * It needs from the includer:
 *   struct classes classify(const char *p)                 the 64 bytes at p
 *   struct classes classify_tail(const char *p, uint32_t n)   n < 64 bytes at p, as if white space followed
 *   uint32_t *emit(uint32_t *to, uint32_t base, uint64_t bits)  base + the position of each bit; returns the
 * end; may scribble over JSON_INDEX_MARGIN entries past it
 */
#ifndef PENSTOCK_JSON_INDEX_H
#define PENSTOCK_JSON_INDEX_H

#include "json_internal.h"

#include <immintrin.h>

/* The tokens of one event: every structural character and every quote outside strings, and the first byte of
 * every other run of bytes outside strings that is not white space. Every opening quote is followed by its
 * closing quote, nothing inside a string is a token, and strings hold no control characters. */
struct json_index {
	uint32_t *token;     /* offsets in the event; room for len + JSON_INDEX_MARGIN */
	uint64_t *backslash; /* bit i of word w: a backslash at 64 * w + i; room for len / 64 + 1 words */
	uint32_t n;
	bool has_backslash;
	bool has_non_ascii; /* outside strings or inside */
};

/* Bit i: byte i of a block is ... */
struct classes {
	uint64_t op; /* one of {}[]:, or a control character: the walker looks again */
	uint64_t space;
	uint64_t quote;
	uint64_t backslash;
	uint64_t control; /* below 0x20 */
	uint64_t high;    /* not ASCII */
};

/* What one block hands to the next. */
struct carry {
	uint64_t in_string; /* all ones: the block starts inside a string */
	uint64_t scalar;    /* 1: the last byte belonged to a number, literal, or nonsense */
	uint64_t escape;    /* 1: the first byte is escaped */
};

static inline struct classes classify(const char *p, uint32_t n);
static inline uint32_t *emit(uint32_t *to, uint32_t base, uint64_t bits);

/* Takes the quotes that a backslash escapes out of `quote`. Backslashes are rare: one step for each that
 * escapes. */
static __attribute__((noinline, cold)) uint64_t drop_escaped(
    uint64_t quote, uint64_t backslash, uint64_t *escape)
{
	uint64_t escaped = *escape;

	backslash &= ~escaped;
	*escape = 0;
	while (backslash != 0) {
		uint64_t bit = backslash & -backslash;

		if (bit >> 63)
			*escape = 1;
		escaped |= bit << 1;
		backslash &= ~(bit | bit << 1);
	}
	return quote & ~escaped;
}

/* Bit i of the result: parity of bits 0..i. */
static inline uint64_t prefix_xor(uint64_t bits)
{
	__m128i product =
	    _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8((char)0xff), 0);

	return (uint64_t)_mm_cvtsi128_si64(product);
}

/* The tokens of a block. Adds control characters inside strings to *bad. */
static inline uint64_t block_tokens(const struct classes *c, struct carry *carry, uint64_t *bad)
{
	uint64_t quote = c->quote, in_string, scalar, starts;

	if (__builtin_expect((c->backslash | carry->escape) != 0, 0))
		quote = drop_escaped(quote, c->backslash, &carry->escape);
	in_string =
	    prefix_xor(quote) ^ carry->in_string; /* with the opening quote, without the closing one */
	carry->in_string = (uint64_t)((int64_t)in_string >> 63);
	*bad |= c->control & in_string;
	scalar = ~(in_string | quote | c->op | c->space);
	starts = scalar & ~(scalar << 1 | carry->scalar);
	carry->scalar = scalar >> 63;
	return (c->op & ~in_string) | quote | starts;
}

/* Fills *index. False: the event is not valid JSON. */
static inline bool index_event(const char *data, uint32_t len, struct json_index *index)
{
	uint64_t bad = 0, high = 0, backslash = 0, *words = index->backslash;
	uint32_t *to = index->token;
	struct carry carry = {0};

	for (uint32_t base = 0; base < len; base += 64) {
		struct classes c = classify(data + base, len - base);

		high |= c.high;
		backslash |= c.backslash;
		*words++ = c.backslash;
		to = emit(to, base, block_tokens(&c, &carry, &bad));
	}
	index->n = (uint32_t)(to - index->token);
	index->has_backslash = backslash != 0;
	index->has_non_ascii = high != 0;
	return (bad | carry.in_string) == 0;
}

/* For shuffles by the low four bits: the white space character, and the structural character with bit 5 set,
 * that have these low bits. Bytes from 0x80 up shuffle in a zero. */
#define SPACE_BY_NIBBLE ' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0
#define OP_BY_NIBBLE 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0

#endif
