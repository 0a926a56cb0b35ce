/* SPDX-License-Identifier: BSD-3-Clause */
#include "emit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_DUPLICATE "\"is_duplicate\":true,"
#define TEXT_ENRICHMENTS "\"enrichments\":{"
#define TEXT_MISSING "\"_missing\":["
#define TEXT_VERSIONS "\"snapshot_versions\":{"
#define TEXT_TIME "\"processing_timestamp\":\""
#define TIME_LEN 24u

/* A JSON string literal of a name. Returns its length, or 0 if it does not fit. */
static uint32_t quote(const char *name, char *to, uint32_t size)
{
	uint32_t n = 0;

	if (size < 3)
		return 0;
	to[n++] = '"';
	for (const char *c = name; *c != '\0'; c++) {
		if (n + 8 > size)
			return 0;
		if (*c == '"' || *c == '\\')
			to[n++] = '\\';
		if ((unsigned char)*c < 0x20)
			n += (uint32_t)snprintf(to + n, 7, "\\u%04x", (unsigned int)*c);
		else
			to[n++] = *c;
	}
	to[n++] = '"';
	return n;
}

int emit_plan_init(struct emit_plan *plan, const struct schema *schema, struct error *err)
{
	const struct config_stream *stream = schema->config;

	memset(plan, 0, sizeof(*plan));
	plan->overhead = sizeof(TEXT_DUPLICATE TEXT_ENRICHMENTS TEXT_MISSING TEXT_VERSIONS TEXT_TIME) +
	                 TIME_LEN + EMIT_MAX_MESSAGE + 16;
	for (size_t j = 0; j < stream->n_enrich; j++) {
		const struct config_enrich *enrich = &stream->enrich[j];
		uint32_t len = quote(enrich->as, plan->join[j].text, sizeof(plan->join[j].text) - 1);

		plan->join[j].dimension_len =
		    quote(enrich->dimension, plan->join[j].dimension, sizeof(plan->join[j].dimension));
		if (len == 0 || plan->join[j].dimension_len == 0)
			return error_set(err, -EINVAL,
			    "line %d: \"as\" and \"dimension\" take at most %u bytes", enrich->line,
			    EMIT_MAX_NAME - 8);
		plan->join[j].text[len++] = ':';
		plan->join[j].len = len;
		/* name, row or name in _missing, name and version in snapshot_versions, separators */
		plan->overhead += len + 2 * plan->join[j].dimension_len + 80;
	}
	plan->records = (uint8_t)((stream->topic_raw != NULL) + (stream->topic_enriched != NULL));
	if (plan->records == 0)
		return error_set(err, -EINVAL,
		    "line %d: stream \"%s\" has neither a raw nor an enriched output", stream->line,
		    stream->name);
	/* A batch that is empty must take any event: emit asks no further. */
	if (emit_bound(plan, schema->max_event_bytes, (uint32_t)stream->n_enrich * DIMENSION_MAX_ROW) >
	    BATCH_BYTES)
		return error_set(err, -EINVAL,
		    "line %d: stream \"%s\": events of %u bytes with %zu joins do not fit a batch of %u "
		    "bytes",
		    stream->line, stream->name, schema->max_event_bytes, stream->n_enrich, BATCH_BYTES);
	plan->lake_partition = SCHEMA_NO_FIELD;
	if (stream->lake_partition != NULL)
		plan->lake_partition = (int16_t)schema_find(
		    schema, stream->lake_partition, (uint32_t)strlen(stream->lake_partition));
	return 0;
}

static inline char *put(char *to, const char *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

#define PUT_LITERAL(to, text) put((to), (text), sizeof(text) - 1)

/* Where an undeclared member starts and ends when it is cut out together with one of the commas beside it. */
static uint32_t after_comma(const struct event *event, uint32_t at)
{
	while (at < event->len && event->data[at] != ',' && event->data[at] != '}')
		at++;
	return at < event->len && event->data[at] == ',' ? at + 1 : at;
}

static char *trim(const char *start, char *end)
{
	while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	return end;
}

/* The event without its undeclared members and without its closing brace. */
static char *put_declared(char *to, const struct event *event, const struct emit_context *context)
{
	char *const start = to;
	uint32_t at = 0;

	for (uint32_t i = 0; i < event->n_unknown; i++) {
		const struct member *member = &context->unknown[i];

		to = put(to, event->data + at, member->start - at);
		at = after_comma(event, member->end);
	}
	if (at < event->len - 1)
		to = put(to, event->data + at, event->len - 1 - at);
	/* A member that was the last leaves the comma before it. */
	to = trim(start, to);
	return to > start && to[-1] == ',' ? trim(start, to - 1) : to;
}

static char *put_enrichments(char *to, const struct event *event, const struct emit_context *context)
{
	const struct config_stream *stream = context->schema->config;

	to = PUT_LITERAL(to, TEXT_ENRICHMENTS);
	for (size_t j = 0; j < stream->n_enrich; j++) {
		const struct join *join = &context->joins[j];

		if (!join->wanted || join->json == NULL)
			continue;
		to = put(to, context->plan->join[j].text, context->plan->join[j].len);
		to = put(to, join->json, join->json_len);
		*to++ = ',';
	}
	if (event->missing != 0) {
		to = PUT_LITERAL(to, TEXT_MISSING);
		for (size_t j = 0; j < stream->n_enrich; j++) {
			if ((event->missing & (1u << j)) == 0)
				continue;
			to = put(to, context->plan->join[j].dimension, context->plan->join[j].dimension_len);
			*to++ = ',';
		}
		to[-1] = ']';
		*to++ = ',';
	}
	if (stream->snapshot_versions) {
		char *const open = to;
		bool any = false;

		to = PUT_LITERAL(to, TEXT_VERSIONS);
		for (size_t j = 0; j < stream->n_enrich; j++) {
			const struct dimension *dimension = context->dimensions[j];

			if (dimension == NULL || !context->joins[j].wanted)
				continue;
			to = put(to, context->plan->join[j].dimension, context->plan->join[j].dimension_len);
			*to++ = ':';
			*to++ = '"';
			to = put(to, dimension->version, strlen(dimension->version));
			*to++ = '"';
			*to++ = ',';
			any = true;
		}
		if (any) {
			to[-1] = '}';
			*to++ = ',';
		} else {
			to = open;
		}
	}
	to = PUT_LITERAL(to, TEXT_TIME);
	to = put(to, context->now, TIME_LEN);
	return PUT_LITERAL(to, "\"}}");
}

static char *put_enriched(char *to, const struct event *event, const struct emit_context *context)
{
	if (context->schema->unknown_fields == UNKNOWN_DROP && event->n_unknown > 0) {
		to = put_declared(to, event, context);
	} else {
		/* The raw bytes up to the closing brace, without the white space before it. */
		to = trim(to, put(to, event->data, event->len - 1));
	}
	if (to[-1] != '{')
		*to++ = ',';
	if (event->flags & EVENT_DUPLICATE)
		to = PUT_LITERAL(to, TEXT_DUPLICATE);
	return put_enrichments(to, event, context);
}

/* Where a value's text is in the batch: inside the copy of the raw event, or appended if it had escapes. */
static void place_value(struct batch *batch, const struct event *event, const struct batch_event *placed,
    const struct value *value, uint32_t *offset, uint32_t *len)
{
	*len = 0;
	*offset = 0;
	if (value->type == VALUE_ABSENT || value->type == VALUE_NULL)
		return;
	*len = value->len;
	if (!value->decoded) {
		*offset = placed->raw + (uint32_t)(value->ptr - event->data);
		return;
	}
	*offset = batch->used;
	memcpy(batch->bytes + batch->used, value->ptr, value->len);
	batch->used += value->len;
}

static void add_record(struct batch *batch, enum record_kind kind, uint32_t value, uint32_t value_len,
    uint32_t key, uint32_t key_len)
{
	batch->records[batch->n_records++] = (struct record){
	    .value = value,
	    .value_len = value_len,
	    .key = key,
	    .key_len = key_len,
	    .event = (uint16_t)batch->n_events,
	    .kind = (uint8_t)kind,
	};
}

uint32_t emit_message(const struct event *event, const struct schema *schema, char *to, uint32_t size)
{
	const struct reason_info *info = reason_info((enum reason)event->reason);
	int field = event->reason_field;
	int n;

	if (event->reason == REASON_DIMENSION_MISS && field >= 0)
		n = snprintf(to, size, "dimension \"%s\": no row for the event's \"%s\"",
		    schema->config->enrich[field].dimension, schema->config->enrich[field].key);
	else if (info->class == REASON_CLASS_DEAD_LETTER && field >= 0 && field < schema->n_fields)
		n = snprintf(to, size, "field \"%s\": %s", schema->fields[field].name, info->help);
	else if ((event->flags & EVENT_PARSED) == 0)
		n = snprintf(to, size, "at byte %u: %s", event->reason_offset, info->help);
	else
		n = snprintf(to, size, "%s", info->help);
	if (n < 0)
		return 0;
	return (uint32_t)n < size ? (uint32_t)n : size - 1;
}

static void emit_dead_letter(struct batch *batch, struct batch_event *placed, const struct event *event,
    const struct emit_context *context)
{
	placed->dead_letter = 1;
	placed->reason = event->reason;
	placed->message = batch->used;
	placed->message_len =
	    emit_message(event, context->schema, batch->bytes + batch->used, EMIT_MAX_MESSAGE);
	batch->used += placed->message_len;
	add_record(batch, RECORD_DEAD_LETTER, placed->raw, placed->raw_len, placed->id, placed->id_len);
	atomic_init(&placed->pending, context->n_sinks);
}

uint32_t emit_event(struct batch *batch, struct event *event, const struct emit_context *context)
{
	const struct schema *schema = context->schema;
	const struct emit_plan *plan = context->plan;
	struct batch_event *placed = &batch->events[batch->n_events];
	uint32_t enriched = 0, key, key_len;

	*placed = (struct batch_event){
	    .flags = event->flags,
	    .raw = batch->used,
	    .raw_len = event->len,
	    .time_ms = event->time_ms,
	    .ticket = event->ticket,
	    .key = {event->key[0], event->key[1]},
	};
	memcpy(batch->bytes + batch->used, event->data, event->len);
	batch->used += event->len;
	if ((event->flags & EVENT_PARSED) && schema->identity != SCHEMA_NO_FIELD)
		place_value(
		    batch, event, placed, &context->values[schema->identity], &placed->id, &placed->id_len);

	if (event->reason == REASON_NONE) {
		char *const start = batch->bytes + batch->used;

		enriched = (uint32_t)(put_enriched(start, event, context) - start);
		if (enriched > EMIT_MAX_RECORD || event->len > EMIT_MAX_RECORD)
			event_end(event, REASON_RECORD_TOO_LARGE, SCHEMA_NO_FIELD);
	}
	if (event->reason != REASON_NONE) {
		emit_dead_letter(batch, placed, event, context);
		batch->n_events++;
		return 0;
	}

	uint32_t value = batch->used;

	batch->used += enriched;
	if (plan->lake_partition != SCHEMA_NO_FIELD)
		place_value(batch, event, placed, &context->values[plan->lake_partition], &placed->partition,
		    &placed->partition_len);
	key = placed->id;
	key_len = placed->id_len;
	if (schema->partition_key != SCHEMA_NO_FIELD)
		place_value(batch, event, placed, &context->values[schema->partition_key], &key, &key_len);
	if (schema->config->topic_raw != NULL && (context->present & 1u << RECORD_RAW) == 0)
		add_record(batch, RECORD_RAW, placed->raw, placed->raw_len, key, key_len);
	if (schema->config->topic_enriched != NULL && (context->present & 1u << RECORD_ENRICHED) == 0)
		add_record(batch, RECORD_ENRICHED, value, enriched, key, key_len);
	atomic_init(&placed->pending,
	    (uint8_t)(context->n_sinks * (plan->records - (uint32_t)(context->present != 0))));
	batch->n_events++;
	return enriched;
}
