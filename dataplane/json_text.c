/* SPDX-License-Identifier: BSD-3-Clause */
#include "json_text.h"

#include <string.h>

static bool continues(const char *p, const char *end)
{
	return p < end && ((uint8_t)*p & 0xc0) == 0x80;
}

uint32_t json_utf8_sequence(const char *p, const char *end)
{
	uint8_t first = (uint8_t)p[0], low = 0x80, high = 0xbf;
	uint32_t len;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return continues(p + 1, end) ? 2 : 0;
	/* The second byte's range shuts out overlong forms, surrogates and what lies past U+10FFFF. */
	if (first >= 0xe0 && first <= 0xef) {
		len = 3;
		low = first == 0xe0 ? 0xa0 : 0x80;
		high = first == 0xed ? 0x9f : 0xbf;
	} else if (first >= 0xf0 && first <= 0xf4) {
		len = 4;
		low = first == 0xf0 ? 0x90 : 0x80;
		high = first == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (p + 1 >= end || (uint8_t)p[1] < low || (uint8_t)p[1] > high)
		return 0;
	for (uint32_t i = 2; i < len; i++) {
		if (!continues(p + i, end))
			return 0;
	}
	return len;
}

bool json_utf8_valid(const char *data, uint32_t len)
{
	const char *p = data, *end = data + len;

	while (p < end) {
		uint64_t word;
		uint32_t n;

		if (end - p >= 8) {
			memcpy(&word, p, 8);
			word &= UINT64_C(0x8080808080808080);
			if (word == 0) {
				p += 8;
				continue;
			}
			p += __builtin_ctzll(word) / 8;
		}
		n = json_utf8_sequence(p, end);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The code unit of the \uXXXX at `p`, or -1. */
static int32_t code_unit(const char *p, const char *end)
{
	int32_t unit = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static uint32_t encode_utf8(uint32_t code_point, char *out)
{
	if (code_point < 0x80) {
		out[0] = (char)code_point;
		return 1;
	}
	if (code_point < 0x800) {
		out[0] = (char)(0xc0 | code_point >> 6);
		out[1] = (char)(0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000) {
		out[0] = (char)(0xe0 | code_point >> 12);
		out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code_point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code_point >> 18);
	out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code_point & 0x3f));
	return 4;
}

uint32_t json_escape(const char *p, const char *end, char out[JSON_ESCAPE_MAX_OUTPUT], uint32_t *out_len)
{
	static const char simple[256] = {['"'] = '"',
	    ['\\'] = '\\',
	    ['/'] = '/',
	    ['b'] = '\b',
	    ['f'] = '\f',
	    ['n'] = '\n',
	    ['r'] = '\r',
	    ['t'] = '\t'};
	int32_t high, low;

	if (end - p < 2)
		return 0;
	if (p[1] != 'u') {
		out[0] = simple[(uint8_t)p[1]];
		*out_len = 1;
		return out[0] != 0 ? 2 : 0;
	}
	high = code_unit(p, end);
	if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
		return 0;
	if (high < 0xd800 || high > 0xdbff) {
		*out_len = encode_utf8((uint32_t)high, out);
		return 6;
	}
	low = code_unit(p + 6, end);
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*out_len = encode_utf8(0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00), out);
	return 12;
}

/* Copies up to the first backslash or the end; returns how many bytes. `to` may be NULL. Eight at a time:
 * plain runs are short. Behind what it copies it may scribble, but only where the text still to come would
 * go. */
static size_t copy_plain(const char *p, const char *end, char *to)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7, pattern = ones * '\\';
	const char *start = p;

	while (end - p >= 8) {
		uint64_t word, hits;

		memcpy(&word, p, 8);
		if (to != NULL)
			memcpy(to + (p - start), &word, 8);
		/* The lowest bit that is set marks the first backslash; those above it may be borrows. */
		hits = ((word ^ pattern) - ones) & ~(word ^ pattern) & highs;
		if (hits != 0)
			return (size_t)(p - start) + (size_t)__builtin_ctzll(hits) / 8;
		p += 8;
	}
	for (; p < end && *p != '\\'; p++) {
		if (to != NULL)
			to[p - start] = *p;
	}
	return (size_t)(p - start);
}

bool json_unescape(const char *text, uint32_t len, char *out, uint32_t *out_len)
{
	const char *p = text, *end = text + len;
	char *to = out;

	for (;;) {
		size_t plain = copy_plain(p, end, to);
		char decoded[JSON_ESCAPE_MAX_OUTPUT];
		uint32_t n = 0, taken;

		p += plain;
		if (p < end) {
			taken = json_escape(p, end, decoded, &n);
			if (taken == 0)
				return false;
			p += taken;
		}
		if (out != NULL) {
			to += plain;
			memcpy(to, decoded, n);
			to += n;
		}
		if (p == end)
			break;
	}
	if (out != NULL)
		*out_len = (uint32_t)(to - out);
	return true;
}
