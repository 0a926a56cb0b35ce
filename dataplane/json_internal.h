/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the JSON parser share: the reference and the fast path for each instruction set. Not for
 * other modules.
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

/* The fast path, by instruction set: json_parse() for events of at most parser->max_event_bytes, where it
 * says yes. False: the event has to be refused; *out is then meaningless, and the reference has the word. */
typedef bool json_fast_fn(struct json_parser *parser, const struct schema *schema, const char *data,
    uint32_t len, struct json_output *out);
json_fast_fn json_fast_avx512, json_fast_avx2, json_fast_sse42;

#endif
