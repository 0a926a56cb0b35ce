/* SPDX-License-Identifier: BSD-3-Clause */
#include "enrich.h"

#include "engine.h"
#include "ledger.h"

void enrich_begin(struct enrich *enrich, const struct engine *engine)
{
	for (uint16_t i = 0; i < engine->n_dimensions; i++)
		enrich->dimensions[i] = atomic_load_explicit(&engine->dimensions[i], memory_order_acquire);
}

/* An integer's literal text is its key, as a string's content is. */
static bool is_key(const struct value *value)
{
	return (value->type == VALUE_STRING || value->type == VALUE_INTEGER) &&
	       value->len <= DIMENSION_MAX_KEY;
}

void enrich_prefetch(struct enrich *enrich, const struct engine *engine, struct burst *burst)
{
	for (uint32_t i = 0; i < burst->n; i++) {
		const struct event *event = &burst->event[i];
		const struct stream *stream = &engine->streams[event->stream];
		const struct value *values = burst_values(burst, i);

		if (event->reason != REASON_NONE)
			continue;
		for (size_t j = 0; j < stream->config->n_enrich; j++) {
			const struct dimension *dimension = enrich->dimensions[stream->join_dimension[j]];
			const struct value *key = &values[stream->schema->enrich_key[j]];
			struct join *join = &enrich->joins[i][j];

			join->json = NULL;
			join->ref = 0;
			join->wanted = key->type != VALUE_ABSENT && key->type != VALUE_NULL;
			if (dimension == NULL || !is_key(key))
				continue;
			join->hash = dimension_hash(dimension, key->ptr, key->len);
			dimension_prefetch(dimension, join->hash);
		}
	}
}

static void probe(struct enrich *enrich, const struct engine *engine, struct burst *burst)
{
	for (uint32_t i = 0; i < burst->n; i++) {
		const struct event *event = &burst->event[i];
		const struct stream *stream = &engine->streams[event->stream];
		const struct value *values = burst_values(burst, i);

		if (event->reason != REASON_NONE)
			continue;
		for (size_t j = 0; j < stream->config->n_enrich; j++) {
			const struct dimension *dimension = enrich->dimensions[stream->join_dimension[j]];
			struct join *join = &enrich->joins[i][j];

			if (dimension != NULL && is_key(&values[stream->schema->enrich_key[j]]))
				join->ref = dimension_probe(dimension, join->hash);
		}
	}
}

void enrich_burst(
    struct enrich *enrich, const struct engine *engine, struct burst *burst, struct worker_ledger *ledger)
{
	probe(enrich, engine, burst);
	for (uint32_t i = 0; i < burst->n; i++) {
		struct event *event = &burst->event[i];
		const struct stream *stream = &engine->streams[event->stream];
		const struct value *values = burst_values(burst, i);
		struct worker_stream_counts *counts = &ledger->stream[event->stream];

		if (event->reason != REASON_NONE)
			continue;
		for (size_t j = 0; j < stream->config->n_enrich; j++) {
			const struct dimension *dimension = enrich->dimensions[stream->join_dimension[j]];
			const struct value *key = &values[stream->schema->enrich_key[j]];
			struct join *join = &enrich->joins[i][j];

			if (!join->wanted)
				continue;
			if (join->ref != 0)
				join->json = dimension_row(
				    dimension, join->hash, join->ref, key->ptr, key->len, &join->json_len);
			if (join->json != NULL) {
				counts->hits[j]++;
				continue;
			}
			counts->misses[j]++;
			event->missing |= 1u << j;
			if (stream->config->enrich[j].on_miss == ON_MISS_DLQ && event->reason == REASON_NONE)
				event_end(event, REASON_DIMENSION_MISS, (int)j);
		}
	}
}
