/* SPDX-License-Identifier: BSD-3-Clause */
#include "siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t load(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

static inline uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline __attribute__((always_inline)) void rounds(struct state *s, int n)
{
	for (int i = 0; i < n; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 = rotate(s->v2, 32);
	}
}

static inline __attribute__((always_inline)) void absorb(struct state *s, uint64_t word, int c)
{
	s->v3 ^= word;
	rounds(s, c);
	s->v0 ^= word;
}

/* The last len % 8 bytes, little-endian, without reading outside data[0..len). */
static inline uint64_t tail(const uint8_t *data, size_t len)
{
	size_t rest = len & 7;
	uint64_t word = 0;
	uint32_t first, last;

	if (rest == 0)
		return 0;
	if (len >= 8)
		return load(data + len - 8) >> (64 - 8 * rest);
	if (rest >= 4) {
		memcpy(&first, data, 4);
		memcpy(&last, data + rest - 4, 4);
		return le32toh(first) | (uint64_t)le32toh(last) << (8 * (rest - 4));
	}
	for (size_t i = 0; i < rest; i++)
		word |= (uint64_t)data[i] << (8 * i);
	return word;
}

static inline __attribute__((always_inline)) void siphash128(
    const uint8_t key[16], const uint8_t *data, size_t len, uint64_t out[2], int c, int d)
{
	uint64_t k0 = load(key), k1 = load(key + 8);
	struct state s = {
	    .v0 = k0 ^ 0x736f6d6570736575, /* "somepseudorandomlygeneratedbytes" */
	    .v1 = k1 ^ 0x646f72616e646f6d ^ 0xee,
	    .v2 = k0 ^ 0x6c7967656e657261,
	    .v3 = k1 ^ 0x7465646279746573,
	};

	for (size_t i = 0; i + 8 <= len; i += 8)
		absorb(&s, load(data + i), c);
	absorb(&s, tail(data, len) | (uint64_t)len << 56, c);
	s.v2 ^= 0xee;
	rounds(&s, d);
	out[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	s.v1 ^= 0xdd;
	rounds(&s, d);
	out[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void siphash13_128(const uint8_t key[16], const void *data, size_t len, uint64_t out[2])
{
	siphash128(key, data, len, out, 1, 3);
}

void siphash24_128(const uint8_t key[16], const void *data, size_t len, uint64_t out[2])
{
	siphash128(key, data, len, out, 2, 4);
}
