/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"
#include "json_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum json_isa json_best_isa(void)
{
	if (!__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("sse4.2") ||
	    !__builtin_cpu_supports("popcnt"))
		return JSON_ISA_SCALAR;
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
	    !__builtin_cpu_supports("bmi2"))
		return JSON_ISA_SSE42;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512vbmi2"))
		return JSON_ISA_AVX2;
	return JSON_ISA_AVX512;
}

int json_parser_init(struct json_parser *parser, enum json_isa isa, uint32_t max_event_bytes)
{
	static json_fast_fn *const fast[] = {
	    [JSON_ISA_SCALAR] = NULL,
	    [JSON_ISA_SSE42] = json_fast_sse42,
	    [JSON_ISA_AVX2] = json_fast_avx2,
	    [JSON_ISA_AVX512] = json_fast_avx512,
	};
	size_t words = (size_t)max_event_bytes / 64 + 1;

	*parser =
	    (struct json_parser){.isa = isa, .max_event_bytes = max_event_bytes, .parse_fast = fast[isa]};
	if (max_event_bytes > UINT32_MAX - JSON_INDEX_MARGIN)
		return -EINVAL;
	if (isa == JSON_ISA_SCALAR)
		return 0;
	parser->index_size = max_event_bytes + JSON_INDEX_MARGIN;
	parser->index = calloc(parser->index_size, sizeof(*parser->index));
	parser->backslash = calloc(words, sizeof(*parser->backslash));
	if (parser->index == NULL || parser->backslash == NULL) {
		json_parser_fini(parser);
		return -ENOMEM;
	}
	return 0;
}

void json_parser_fini(struct json_parser *parser)
{
	free(parser->index);
	free(parser->backslash);
	*parser = (struct json_parser){.isa = JSON_ISA_SCALAR};
}

enum reason json_parse(struct json_parser *parser, const struct schema *schema, const char *data,
    uint32_t len, struct json_output *out)
{
	if (len > schema->max_event_bytes) {
		json_output_reset(schema, out);
		out->error_offset = schema->max_event_bytes;
		return REASON_EVENT_TOO_LARGE;
	}
	/* Where a stream's events may be larger than the parser was made for, the reference takes the large
	 * ones. */
	if (parser->parse_fast != NULL && len <= parser->max_event_bytes &&
	    parser->parse_fast(parser, schema, data, len, out)) {
		out->error_offset = 0;
		out->error_field = SCHEMA_NO_FIELD;
		return REASON_NONE;
	}
	return json_parse_scalar(schema, data, len, out);
}

void json_parse_burst(struct json_parser *parser, struct schema *const *schemas, struct burst *burst)
{
	for (uint32_t i = 0; i < burst->n; i++) {
		struct event *event = &burst->event[i];
		struct json_output out;
		enum reason reason;

		if (event->reason != REASON_NONE)
			continue;
		out.values = burst_values(burst, i);
		out.unknown = burst_unknown(burst, i);
		out.text = burst->text + burst->text_used;
		assert(burst->text_size - burst->text_used >= event->len);
		reason = json_parse(parser, schemas[event->stream], event->data, event->len, &out);
		burst->text_used += out.text_used;
		event->n_unknown = out.n_unknown;
		if (reason != REASON_NONE) {
			event_end(event, reason, out.error_field);
			event->reason_offset = out.error_offset;
		}
	}
}
