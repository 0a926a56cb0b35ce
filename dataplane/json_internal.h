/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the JSON parser share: the reference, the indexers and the walker. Not for other modules.
 */
#ifndef PENSTOCK_JSON_INTERNAL_H
#define PENSTOCK_JSON_INTERNAL_H

#include "json.h"

/* Entries past the last token that an indexer may overwrite. */
#define JSON_INDEX_MARGIN 64u

static inline bool json_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline void json_output_reset(const struct schema *schema, struct json_output *out)
{
	for (uint32_t i = 0; i < schema->n_fields; i++)
		out->values[i] = (struct value){.type = VALUE_ABSENT};
	out->text_used = 0;
	out->n_unknown = 0;
	out->error_offset = 0;
	out->error_field = SCHEMA_NO_FIELD;
}

/* The reference parser: json_parse() without the size limit. */
enum reason json_parse_scalar(
    const struct schema *schema, const char *data, uint32_t len, struct json_output *out);

/* The tokens of one event, found by an indexer: every structural character and every quote outside strings,
 * and the first byte of every other run of bytes outside strings that is not white space. Every opening quote
 * is followed by its closing quote, nothing inside a string is a token, and strings hold no control
 * characters. */
struct json_index {
	uint32_t *token;     /* offsets in the event; room for len + JSON_INDEX_MARGIN */
	uint64_t *backslash; /* bit i of word w: a backslash at 64 * w + i; room for len / 64 + 1 words */
	uint32_t n;
	bool has_backslash;
	bool has_non_ascii; /* outside strings or inside */
};

/* Fills *index. False: the event is not valid JSON. */
typedef bool json_index_fn(const char *data, uint32_t len, struct json_index *index);
json_index_fn json_index_avx512, json_index_avx2, json_index_sse42;

/* Parses an event by its index. False: it has to be refused, or is beyond what this path decides; *out is
 * then meaningless, and the reference has the word. */
bool json_walk(const struct schema *schema, const char *data, uint32_t len, const struct json_index *index,
    struct json_output *out);

#endif
