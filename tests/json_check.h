/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of the JSON parser: an output with its own memory, and whether two outputs of the same bytes say
 * the same.
 */
#ifndef PENSTOCK_TESTS_JSON_CHECK_H
#define PENSTOCK_TESTS_JSON_CHECK_H

#include "json.h"

#include <stdlib.h>
#include <string.h>

struct json_check {
	struct json_output out;
	enum reason reason;
	struct value values[SCHEMA_MAX_FIELDS];
	struct member unknown[BURST_MAX_UNKNOWN];
};

/* Parses into *check; its text is allocated with exactly `len` bytes. Free with json_check_fini(). */
static inline void json_check_parse(struct json_check *check, struct json_parser *parser,
    const struct schema *schema, const char *data, uint32_t len)
{
	memset(check->values, 0xa5, sizeof(check->values));
	check->out = (struct json_output){
	    .values = check->values, .unknown = check->unknown, .text = malloc(len > 0 ? len : 1)};
	if (check->out.text == NULL)
		abort();
	check->reason = json_parse(parser, schema, data, len, &check->out);
}

/* Whether the fast path of the parser says yes by itself. It must wherever the reference does: a fast path
 * that sends valid events to the reference gives right answers too. */
static inline bool json_check_fast(
    struct json_parser *parser, const struct schema *schema, const char *data, uint32_t len)
{
	struct value values[SCHEMA_MAX_FIELDS];
	struct member unknown[BURST_MAX_UNKNOWN];
	struct json_output out = {.values = values, .unknown = unknown, .text = malloc(len > 0 ? len : 1)};
	bool yes;

	if (out.text == NULL)
		abort();
	yes = parser->parse_fast(parser, schema, data, len, &out);
	free(out.text);
	return yes;
}

static inline void json_check_fini(struct json_check *check)
{
	free(check->out.text);
}

static inline bool json_check_same_value(
    const struct json_check *a, const struct json_check *b, uint32_t field)
{
	const struct value *va = &a->values[field], *vb = &b->values[field];

	if (va->type != vb->type)
		return false;
	if (va->type == VALUE_ABSENT)
		return true;
	if (va->len != vb->len || va->decoded != vb->decoded)
		return false;
	/* Decoded text lies in each output's own memory, in the same place there; all else in the event. */
	if (va->decoded)
		return va->ptr - a->out.text == vb->ptr - b->out.text &&
		       memcmp(va->ptr, vb->ptr, va->len) == 0;
	return va->ptr == vb->ptr;
}

/* NULL, or the name of what differs. */
static inline const char *json_check_difference(
    const struct schema *schema, const struct json_check *a, const struct json_check *b)
{
	uint32_t recorded = a->out.n_unknown < BURST_MAX_UNKNOWN ? a->out.n_unknown : BURST_MAX_UNKNOWN;

	if (a->reason != b->reason)
		return "reason";
	if (a->out.error_offset != b->out.error_offset)
		return "error_offset";
	if (a->out.error_field != b->out.error_field)
		return "error_field";
	if (a->out.text_used != b->out.text_used)
		return "text_used";
	if (a->out.n_unknown != b->out.n_unknown)
		return "n_unknown";
	if (schema->unknown_fields == UNKNOWN_DROP &&
	    memcmp(a->unknown, b->unknown, recorded * sizeof(a->unknown[0])) != 0)
		return "unknown";
	for (uint16_t i = 0; i < schema->n_fields; i++) {
		if (!json_check_same_value(a, b, i))
			return schema->fields[i].name;
	}
	return NULL;
}

#endif
