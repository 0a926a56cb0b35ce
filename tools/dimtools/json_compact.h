/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON values copied byte for byte, without the white space between their parts, and checked on the way: RFC
 * 8259, valid UTF-8, surrogates in pairs, at most JSON_COMPACT_DEPTH levels.
 *
 * A scanner can run out of input that is still to come (JSON_COMPACT_MORE); the caller then starts the record
 * over with a longer window. One thread per scanner.
 */
#ifndef PENSTOCK_JSON_COMPACT_H
#define PENSTOCK_JSON_COMPACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_COMPACT_DEPTH 64u

enum json_compact_result { JSON_COMPACT_OK, JSON_COMPACT_MORE, JSON_COMPACT_BAD };

struct json_compact {
	const char *in;
	size_t len;
	bool final; /* nothing follows in[0..len) */
	size_t at;  /* next byte to read */
	char *out;  /* room for `len` bytes beyond what the caller adds */
	size_t used;
	const char *reason; /* why it is JSON_COMPACT_BAD, at in[at] */
};

/* Steps over white space. */
void json_compact_space(struct json_compact *text);

/* After white space: the next byte, or why there is none. */
enum json_compact_result json_compact_peek(struct json_compact *text, char *next);

/* Copies a string, from quote to quote. */
enum json_compact_result json_compact_string(struct json_compact *text);

/* After white space: copies a member's name, from quote to quote, and its colon. */
enum json_compact_result json_compact_name(struct json_compact *text);

/* Copies any value. */
enum json_compact_result json_compact_value(struct json_compact *text);

/* Whether all of text[0..len) is one number as RFC 8259 has it. `integer`: without fraction and exponent. */
bool json_compact_is_number(const char *text, size_t len, bool integer);

#endif
