/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Emit: the event's bytes and what the joins found become records in the stream's open batch.
 *
 * The enriched record is the event as it came, spliced: its closing brace gives way to
 *     ,"is_duplicate":true,"enrichments":{"as":{row},…,"_missing":[…],"snapshot_versions":{…},"processing_timestamp":"…"}}
 * where the second and later parts are there only when they apply. Nothing is re-serialised.
 *
 * Worker only; no allocation, no system call. The caller has made room: emit_bound() says how much.
 */
#ifndef PENSTOCK_EMIT_H
#define PENSTOCK_EMIT_H

#include "batch.h"
#include "enrich.h"
#include "event.h"

#define EMIT_MAX_NAME 128u                 /* a join's `as` or a dimension's name, escaped */
#define EMIT_MAX_MESSAGE 256u              /* a dead letter's message */
#define EMIT_MAX_RECORD (1000000u - 4096u) /* Kafka's default message.max.bytes, less headers and framing */

/* A stream's constant text, made once. */
struct emit_plan {
	struct {
		char text[EMIT_MAX_NAME + 4]; /* `"as":` */
		uint32_t len;
		char dimension[EMIT_MAX_NAME + 4]; /* `"name"`, of the dimension */
		uint32_t dimension_len;
	} join[CONFIG_MAX_ENRICH];
	uint32_t overhead;      /* bytes that an event's records need at most beyond its own and its rows' */
	uint8_t records;        /* per event that is not a dead letter: 1 or 2 */
	int16_t lake_partition; /* field by which files are partitioned, or SCHEMA_NO_FIELD */
};

/* 0; -EINVAL when a name is too long, or the largest event with the largest rows would not fit a batch. */
int emit_plan_init(struct emit_plan *plan, const struct schema *schema, struct error *err);

/* The most bytes of a batch that an event of `len` bytes can take, if its rows are `row_bytes` together. */
static inline uint32_t emit_bound(const struct emit_plan *plan, uint32_t len, uint32_t row_bytes)
{
	/* the raw copy, the enriched copy, and decoded identity, key and partition */
	return 5 * len + row_bytes + plan->overhead;
}

struct emit_context {
	const struct schema *schema;
	const struct emit_plan *plan;
	const struct join *joins; /* of this event */
	const struct value *values;
	const struct member *unknown;
	const struct dimension *const *dimensions; /* per join: the snapshot that the burst uses, or NULL */
	const char *now;                           /* the burst's time as RFC 3339, 24 bytes */
	int64_t now_ms;
	uint8_t n_sinks;
	uint8_t present; /* bit k: the record of enum record_kind k was written by an earlier run; not both */
};

/* Writes one event's records; a dead letter when event->reason says so, and when the record would be too
 * large (then sets the reason). Returns the bytes of the enriched record, 0 for dead letters. */
uint32_t emit_event(struct batch *batch, struct event *event, const struct emit_context *context);

/* What a dead letter's message says: the reason's help and where in the event. Returns the length written. */
uint32_t emit_message(const struct event *event, const struct schema *schema, char *to, uint32_t size);

#endif
