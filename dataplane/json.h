/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON events by a schema-compiled single pass.
 *
 * json_parse() accepts exactly RFC 8259, with these decisions on top: the event is one object; a declared field
 * occurs at most once; strings are valid UTF-8 and escaped surrogates come in pairs; at most 64 levels of
 * nesting; nothing but white space after the object, and no byte order mark before it. Key comparison is on decoded
 * bytes; members that the schema does not declare may repeat.
 *
 * Of several things that are wrong, the first byte that makes the event something else than one JSON object decides.
 * Only an event that is one can be refused for what its members are (a declared field twice, an undeclared member
 * where the stream rejects them, too many where it drops them); of these, too, the first counts.
 *
 * Two implementations give identical answers. The fast one builds a bitmap of structural characters with SIMD
 * (AVX-512, AVX2 or SSE4.2, chosen at run time by json_parser_init()) and walks it; it only ever says yes. Where
 * it would say no, the scalar reference runs and names the reason and the offset, so that there is one source of
 * truth for every rejection. tests/fuzz/fuzz_json.c holds them to each other and to jansson.
 *
 * Thread: any, each with its own struct json_parser. No allocation, no system call. Cost: see perf/.
 */
#ifndef PENSTOCK_JSON_H
#define PENSTOCK_JSON_H

#include "event.h"

#define JSON_MAX_DEPTH 64u

enum json_isa { JSON_ISA_SCALAR, JSON_ISA_SSE42, JSON_ISA_AVX2, JSON_ISA_AVX512 };

struct json_output;

struct json_parser {
	enum json_isa isa;
	uint32_t max_event_bytes;
	uint32_t *index;     /* positions of structural characters, for one event */
	uint32_t index_size; /* entries: max_event_bytes + a margin */
	uint64_t *backslash; /* bitmap of the event's backslashes */
	bool (*parse_fast)(struct json_parser *parser, const struct schema *schema, const char *data,
	    uint32_t len, struct json_output *out); /* NULL: scalar */
};

/* Where the answer goes. The caller owns all memory. */
struct json_output {
	struct value *
	    values; /* schema->n_fields entries, all written; on failure, those that were complete before it */
	struct member
	    *unknown; /* at least BURST_MAX_UNKNOWN entries; used when the schema drops unknown fields */
	char *text;   /* room for decoded strings: at least the event's length */
	uint32_t text_used;    /* out: how much of it was taken */
	uint16_t n_unknown;    /* out: undeclared members (counted in every mode, saturating) */
	uint32_t error_offset; /* out, on failure */
	int error_field;       /* out, on failure: the declared field at fault, or SCHEMA_NO_FIELD */
};

/* The best ISA that this CPU can run. */
enum json_isa json_best_isa(void);

/* Prepares a parser for events of at most max_event_bytes (the answers for larger ones are the same, but slow). `isa`
 * must be runnable here. 0, -ENOMEM, or -EINVAL for a size near 4 GiB. */
int json_parser_init(struct json_parser *parser, enum json_isa isa, uint32_t max_event_bytes);
void json_parser_fini(struct json_parser *parser);

/* Parses one event of `len` bytes, white space around it included; reads nothing outside data[0..len). Returns
 * REASON_NONE, or why not: a parse reason, or REASON_FIELD_UNKNOWN where the schema rejects undeclared fields. */
enum reason json_parse(struct json_parser *parser, const struct schema *schema, const char *data,
    uint32_t len, struct json_output *out);

/* The stage: parses every live event of the burst by schemas[event->stream]. What is left of the burst's text must
 * have room for each event's length in turn. */
void json_parse_burst(struct json_parser *parser, struct schema *const *schemas, struct burst *burst);

#endif
