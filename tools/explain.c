/* SPDX-License-Identifier: BSD-3-Clause */
#include "explain.h"

#include "kafka_partition.h"
#include "timestamp.h"

#include <rte_ring.h>
#include <stdio.h>
#include <string.h>

static json_t *text_of(const char *bytes, size_t len)
{
	json_t *text = json_stringn(bytes, len);

	/* Not UTF-8: say so rather than show half of it. */
	return text != NULL ? text : json_sprintf("(%zu bytes that are not UTF-8)", len);
}

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
	    [VALUE_ABSENT] = "absent",
	    [VALUE_STRING] = "string",
	    [VALUE_INTEGER] = "integer",
	    [VALUE_NUMBER] = "number",
	    [VALUE_TRUE] = "boolean",
	    [VALUE_FALSE] = "boolean",
	    [VALUE_NULL] = "null",
	    [VALUE_OBJECT] = "object",
	    [VALUE_ARRAY] = "array",
	};

	return names[type];
}

static json_t *explain_fields(const struct stream *stream, const struct value *values)
{
	json_t *fields = json_array();

	for (uint16_t f = 0; f < stream->schema->n_fields; f++) {
		json_t *field = json_pack(
		    "{s:s, s:s}", "name", stream->schema->fields[f].name, "type", type_name(values[f].type));

		if (values[f].type != VALUE_ABSENT)
			json_object_set_new(field, "value", text_of(values[f].ptr, values[f].len));
		json_array_append_new(fields, field);
	}
	return fields;
}

static json_t *explain_joins(
    const struct engine *engine, const struct stream *stream, const struct join *joins)
{
	json_t *array = json_array();

	for (size_t j = 0; j < stream->config->n_enrich; j++) {
		const struct dimension *d = atomic_load(&engine->dimensions[stream->join_dimension[j]]);
		const char *outcome = "hit";
		json_t *join = json_pack("{s:s, s:s, s:s}", "dimension", stream->config->enrich[j].dimension,
		    "key", stream->config->enrich[j].key, "as", stream->config->enrich[j].as);

		if (!joins[j].wanted)
			outcome = "no key in the event";
		else if (d == NULL)
			outcome = "miss: no snapshot loaded";
		else if (joins[j].json == NULL)
			outcome = "miss";
		else
			json_object_set_new(
			    join, "row", json_loadb(joins[j].json, joins[j].json_len, 0, NULL));
		json_object_set_new(join, "outcome", json_string(outcome));
		if (d != NULL)
			json_object_set_new(join, "version", json_string(d->version));
		json_array_append_new(array, join);
	}
	return array;
}

static const char *topic_of(const struct config_stream *stream, uint8_t kind)
{
	switch ((enum record_kind)kind) {
	case RECORD_RAW:
		return stream->topic_raw;
	case RECORD_ENRICHED:
		return stream->topic_enriched;
	default:
		return stream->topic_dead_letter;
	}
}

static json_t *explain_records(const struct stream *stream, const struct batch *batch, int32_t partitions)
{
	static const char *const kinds[RECORD_KINDS] = {
	    [RECORD_RAW] = "raw", [RECORD_ENRICHED] = "enriched", [RECORD_DEAD_LETTER] = "dead_letter"};
	json_t *array = json_array();

	for (uint32_t r = 0; r < batch->n_records; r++) {
		const struct record *record = &batch->records[r];
		json_t *object = json_pack("{s:s, s:s?}", "kind", kinds[record->kind], "topic",
		    topic_of(stream->config, record->kind));

		if (record->key_len > 0) {
			const char *key = batch->bytes + record->key;

			json_object_set_new(object, "key", text_of(key, record->key_len));
			json_object_set_new(object, "partition",
			    json_integer(kafka_partition(key, record->key_len, partitions)));
		}
		json_object_set_new(
		    object, "value", text_of(batch->bytes + record->value, record->value_len));
		json_array_append_new(array, object);
	}
	return array;
}

/* What became of the event, stage by stage. Stages after the one that ended it were not reached. */
static json_t *explain_stages(const struct event *event, const struct stream *stream)
{
	static const char *const stages[] = {"parse", "validate", "dedup", "enrich", "emit"};
	const struct reason_info *info = reason_info((enum reason)event->reason);
	json_t *array = json_array();
	char message[EMIT_MAX_MESSAGE];

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		bool ended = event->reason != REASON_NONE && strcmp(info->stage, stages[i]) == 0;
		const char *verdict = strcmp(stages[i], "dedup") == 0 && stream->dedup == NULL ? "off" : "ok";

		if (ended) {
			uint32_t len = emit_message(event, stream->schema, message, sizeof(message));

			json_array_append_new(
			    array, json_pack("{s:s, s:s, s:s, s:s%}", "stage", stages[i], "verdict",
			               "refused", "reason", info->name, "message", message, (size_t)len));
			break;
		}
		json_array_append_new(array, json_pack("{s:s, s:s}", "stage", stages[i], "verdict", verdict));
	}
	return array;
}

json_t *explain_event(
    const struct engine *engine, struct worker *worker, uint16_t stream_index, int32_t partitions)
{
	const struct stream *stream = &engine->streams[stream_index];
	const struct burst *burst = worker->pipeline->burst;
	const struct event *event = &burst->event[0];
	struct batch *batch = NULL;
	json_t *out = json_pack("{s:s, s:i}", "stream", stream->config->name, "bytes", (int)event->len);

	json_object_set_new(out, "stages", explain_stages(event, stream));
	if (event->flags & EVENT_PARSED) {
		const struct value *values = burst->values, *identity = NULL;
		char time[TIMESTAMP_TEXT_BYTES];

		json_object_set_new(out, "fields", explain_fields(stream, values));
		json_object_set_new(out, "undeclared_fields", json_integer(event->n_unknown));
		timestamp_write(event->time_ms, time);
		json_object_set_new(out, "event_time", json_stringn(time, 24));
		if (stream->schema->identity != SCHEMA_NO_FIELD)
			identity = &values[stream->schema->identity];
		if (identity != NULL && identity->type != VALUE_ABSENT && identity->type != VALUE_NULL)
			json_object_set_new(out, "identity", text_of(identity->ptr, identity->len));
		else
			json_object_set_new(out, "identity", json_string("(all bytes of the event)"));
		/* The daemon's key is secret and random; this one is the same function under the key of
		 * zeros. */
		json_object_set_new(out, "dedup_key",
		    json_sprintf("%016llx%016llx", (unsigned long long)event->key[0],
		        (unsigned long long)event->key[1]));
	}
	if (event->reason == REASON_NONE || event->reason == REASON_DIMENSION_MISS)
		json_object_set_new(
		    out, "enrich", explain_joins(engine, stream, worker->pipeline->enrich->joins[0]));
	(void)pipeline_hand_over(worker->pipeline, true);
	if (rte_ring_dequeue(engine->rings[0][0], (void **)&batch) == 0) {
		json_object_set_new(out, "records", explain_records(stream, batch, partitions));
		batch_release(batch);
	}
	return out;
}
