/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipeline.h"

#include "fill.h"
#include "timestamp.h"

#include <errno.h>
#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <stdlib.h>
#include <string.h>

/* How long an open batch waits for more events. The fewer batches are free, the longer: sinks that confirm in
 * groups then get fuller batches, instead of all batches being away with a few events in each. */
#define LINGER_NS (2u * 1000 * 1000)

/* How far ahead of its use output is asked for. */
#define PREFETCH_OUTPUT_BYTES 1024u /* a raw event and its enriched record */

static void identify(struct pipeline *p);
static void dedup(struct pipeline *p);
static void emit(struct pipeline *p);

/* Adds the cycles since the last mark to a stage. */
static inline void mark(struct pipeline *p, enum stage stage, uint64_t *since)
{
	uint64_t now = rte_rdtsc();

	p->ledger->worker.stage_cycles[stage] += now - *since;
	*since = now;
}

/* The flow. Each stage works over the whole burst and steps over events that an earlier stage has ended. */
static bool run_burst(struct pipeline *p)
{
	struct engine *engine = p->engine;
	struct burst *burst = p->burst;
	uint64_t at = rte_rdtsc();

	burst->n = 0;
	burst->text_used = 0;
	burst->now_ms = clock_wall_ms(engine->clock);
	p->now_ns = clock_mono_ns(engine->clock);
	burst->mono_ms = (int64_t)(p->now_ns / 1000000);
	/* Before the dimensions are looked up: an event that is accepted finds all that are required. */
	p->accepting = atomic_load_explicit(&engine->accepting, memory_order_acquire);
	enrich_begin(p->enrich, engine);

	if (!fill_burst(p))
		return false;
	mark(p, STAGE_FRAME, &at);
	json_parse_burst(&p->parser, engine->schemas, burst);
	mark(p, STAGE_PARSE, &at);
	identify(p); /* starts the dedup table's memory accesses; validation hides their latency */
	mark(p, STAGE_DEDUP, &at);
	validate_burst(engine->validators, p->scratch, burst);
	mark(p, STAGE_VALIDATE, &at);
	enrich_prefetch(p->enrich, engine, burst);
	mark(p, STAGE_ENRICH, &at);
	dedup(p);
	mark(p, STAGE_DEDUP, &at);
	enrich_burst(p->enrich, engine, burst, p->ledger);
	mark(p, STAGE_ENRICH, &at);
	emit(p);
	mark(p, STAGE_EMIT, &at);

	for (int stage = STAGE_FRAME; stage < STAGE_COUNT; stage++)
		p->ledger->worker.stage_events[stage] += burst->n;
	pipeline_publish(p);
	return true;
}

int pipeline_poll(struct pipeline *p, struct source *source)
{
	struct worker_counts *counts = &p->ledger->worker;
	uint32_t before;

	if (p->source == NULL) {
		uint64_t start = rte_rdtsc();
		int n = source_poll(source, p->packets, SOURCE_BURST);

		if (n <= 0)
			return n;
		counts->stage_cycles[STAGE_RX] += rte_rdtsc() - start;
		counts->packets += (uint32_t)n;
		for (int i = 0; i < n; i++)
			counts->packet_bytes += p->packets[i].len;
		p->source = source;
		p->n_packets = (uint32_t)n;
		p->packet = 0;
		p->cursor = NULL;
	}
	before = p->packet;
	p->stalled = false;
	while (run_burst(p) && p->packet < p->n_packets)
		;
	if (p->packet == p->n_packets) {
		source_release(p->source, p->packets, p->n_packets);
		p->source = NULL;
		counts->stage_events[STAGE_RX] += p->n_packets;
		pipeline_publish(p);
		return (int)(p->n_packets - before) + 1;
	}
	return p->burst->n > 0 ? (int)p->burst->n : 0;
}

/* What makes the event itself: its declared identity, or all of its bytes. */
static void identify(struct pipeline *p)
{
	struct burst *burst = p->burst;

	for (uint32_t i = 0; i < burst->n; i++) {
		struct event *event = &burst->event[i];
		const struct stream *stream = &p->engine->streams[event->stream];
		const struct value *identity = NULL;

		if (event->reason != REASON_NONE)
			continue;
		event->flags |= EVENT_PARSED;
		if (stream->dedup == NULL)
			continue;
		if (stream->schema->identity != SCHEMA_NO_FIELD)
			identity = &burst_values(burst, i)[stream->schema->identity];
		if (identity != NULL && identity->type != VALUE_ABSENT && identity->type != VALUE_NULL)
			dedup_hash(stream->dedup, identity->ptr, identity->len, event->key);
		else
			dedup_hash(stream->dedup, event->data, event->len, event->key);
		dedup_prefetch(stream->dedup, event->key);
	}
}

/* The event ends here; `verdict` is what its sender is told. */
static void drop_duplicate(
    struct pipeline *p, struct event *event, enum dedup_answer answer, enum reason verdict)
{
	struct worker_stream_counts *counts = &p->ledger->stream[event->stream];

	event_end(event, REASON_DUPLICATE, SCHEMA_NO_FIELD);
	/* The sender may only be told once the original is durable. */
	if (event->ticket != 0 && answer == DEDUP_DUPLICATE_PENDING) {
		parked_add(p->parked, event, verdict);
		return;
	}
	transport_complete(p->engine->transport, event->ticket, verdict);
	counts->duplicate++;
	counts->reasons[REASON_DUPLICATE]++;
}

/* An event that was refused, of a frame: which comes again when the daemon dies between the dead letter and its
 * acknowledgement. The dead letter is then there already, and the sender is told the same again. */
static void dedup_refused(struct pipeline *p, struct event *event)
{
	struct dedup *dedup = p->engine->streams[event->stream].dedup;
	enum reason why = (enum reason)event->reason;
	/* With its mark, which stands before it: a replay that fails is another failure. */
	uint32_t mark =
	    replay_mark_len(event->flags >> EVENT_REPLAYS_SHIFT, (event->flags & EVENT_OWN_MARK) != 0);
	uint32_t evicted = 0;
	enum dedup_answer answer;

	dedup_hash_refused(dedup, event->data - mark, event->len + mark, event->key);
	answer = dedup_test_and_insert(dedup, event->key, p->burst->mono_ms, &evicted);
	p->ledger->stream[event->stream].dedup_evicted += evicted;
	if (answer == DEDUP_NEW)
		event->flags |= EVENT_MARKED;
	else
		drop_duplicate(p, event, answer, why);
}

static void dedup(struct pipeline *p)
{
	struct burst *burst = p->burst;

	for (uint32_t i = 0; i < burst->n; i++) {
		struct event *event = &burst->event[i];
		const struct stream *stream = &p->engine->streams[event->stream];
		struct worker_stream_counts *counts = &p->ledger->stream[event->stream];
		uint32_t evicted = 0;
		enum dedup_answer answer;

		if (stream->dedup == NULL)
			continue;
		if (unlikely(event->reason != REASON_NONE)) {
			if (event->ticket != 0)
				dedup_refused(p, event);
			continue;
		}
		answer = dedup_test_and_insert(stream->dedup, event->key, burst->mono_ms, &evicted);
		counts->dedup_evicted += evicted;
		if (likely(answer == DEDUP_NEW)) {
			event->flags |= EVENT_MARKED;
			continue;
		}
		if (unlikely(event->flags & EVENT_OWN_MARK))
			continue;
		if (stream->config->dedup_mode == DEDUP_FLAG) {
			event->flags |= EVENT_DUPLICATE;
			counts->flagged++;
			continue;
		}
		drop_duplicate(p, event, answer, REASON_DUPLICATE);
	}
}

/* Stores wait for the lines that they write to: those of the next event are asked for while this one is written. */
static inline void prefetch_output(const struct batch *batch)
{
	const char *next = batch->bytes + batch->used + PREFETCH_OUTPUT_BYTES;

	for (uint32_t at = 0; at < PREFETCH_OUTPUT_BYTES; at += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch(next + at, 1);
}

/* What of the event is in its topics already: a daemon that is killed between the two records of an event leaves one of them
 * alone, and the sender sends the event again. */
static uint8_t present_records(const struct pipeline *p, const struct event *event)
{
	const struct engine *engine = p->engine;
	uint8_t present = 0;

	if ((event->flags & EVENT_MARKED) == 0 || p->burst->mono_ms >= engine->half_written_until_ms)
		return 0;
	for (uint32_t kind = RECORD_RAW; kind < RECORD_DEAD_LETTER; kind++)
		if (delivered_set_has(
		        engine->half_written, event->stream, (enum record_kind)kind, event->key))
			present |= (uint8_t)(1u << kind);
	return present == (1u << RECORD_RAW | 1u << RECORD_ENRICHED) ? 0 : present;
}

static void emit(struct pipeline *p)
{
	struct burst *burst = p->burst;
	char now[TIMESTAMP_TEXT_BYTES];

	(void)timestamp_write(burst->now_ms, now); /* the system clock is within its range */
	for (uint32_t i = 0; i < burst->n; i++) {
		struct event *event = &burst->event[i];
		const struct stream *stream = &p->engine->streams[event->stream];
		struct worker_stream_counts *counts = &p->ledger->stream[event->stream];
		const struct dimension *dimensions[CONFIG_MAX_ENRICH];

		if (event->reason == REASON_DUPLICATE)
			continue;
		for (size_t j = 0; j < stream->config->n_enrich; j++)
			dimensions[j] = p->enrich->dimensions[stream->join_dimension[j]];
		prefetch_output(p->open[event->stream]);
		counts->enriched_bytes += emit_event(p->open[event->stream], event,
		    &(struct emit_context){
		        .schema = stream->schema,
		        .plan = &stream->plan,
		        .joins = p->enrich->joins[i],
		        .values = burst_values(burst, i),
		        .unknown = burst_unknown(burst, i),
		        .dimensions = dimensions,
		        .now = now,
		        .now_ms = burst->now_ms,
		        .n_sinks = (uint8_t)p->engine->n_sinks,
		        .present = unlikely(p->engine->half_written != NULL) ? present_records(p, event) : 0,
		    });
		counts->handed++;
		if (event->reason != REASON_NONE)
			counts->reasons[event->reason]++;
	}
}

uint32_t pipeline_hand_over(struct pipeline *p, bool all)
{
	const struct batch_pool *pool = p->engine->pools[p->worker];
	uint64_t linger_ns = (uint64_t)LINGER_NS * batch_pool_size(pool) / (batch_pool_free(pool) + 1);
	uint64_t now_ns = clock_mono_ns(p->engine->clock);
	uint32_t n = 0;

	for (uint16_t s = 0; s < p->engine->n_streams; s++) {
		if (p->open[s] == NULL || (!all && now_ns - p->open[s]->opened_ns < linger_ns))
			continue;
		n += p->open[s]->n_events > 0;
		fill_hand_over(p, s);
	}
	if (n > 0)
		pipeline_publish(p);
	return n;
}

uint32_t pipeline_answer(struct pipeline *p)
{
	uint64_t now_ns;
	uint32_t n;

	if (likely(!pipeline_waiting(p)))
		return 0;
	now_ns = clock_mono_ns(p->engine->clock);
	n = parked_check(p->parked, now_ns, &p->touched);
	n += transport_answer(
	    p->transport, now_ns, atomic_load_explicit(&p->engine->accepting, memory_order_acquire));
	if (n > 0)
		pipeline_publish(p);
	return n;
}

void pipeline_forget(struct pipeline *p)
{
	parked_forget(p->parked, &p->touched);
	pipeline_publish(p);
}

void pipeline_publish(struct pipeline *p)
{
	struct published *published = p->engine->published[p->worker];

	published_begin(published);
	published_write(published, 0, &p->ledger->worker, sizeof(p->ledger->worker));
	for (uint16_t s = 0; s < p->engine->n_streams; s++)
		if (p->touched & (UINT64_C(1) << s))
			published_write(published, offsetof(struct worker_ledger, stream[s]),
			    &p->ledger->stream[s], sizeof(p->ledger->stream[s]));
	published_end(published);
	p->touched = 0;
}

int pipeline_create(struct engine *engine, uint16_t worker, struct pipeline **out, struct error *err)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	uint32_t largest = 0;
	int ret = -ENOMEM;

	*out = NULL;
	if (p == NULL)
		goto err;
	p->engine = engine;
	p->worker = worker;
	p->ports = malloc(sizeof(*p->ports));
	if (p->ports == NULL)
		goto err;
	frame_ports_init(p->ports);
	for (uint16_t s = 0; s < engine->n_streams; s++) {
		if (engine->schemas[s]->max_event_bytes > largest)
			largest = engine->schemas[s]->max_event_bytes;
		ret = validator_scratch(engine->validators[s], &p->scratch);
		if (ret == 0 && engine->streams[s].config->udp_port != 0)
			ret = frame_ports_add(p->ports, engine->streams[s].config->udp_port, s, err);
		if (ret != 0)
			goto err;
	}
	ret = -ENOMEM;
	p->burst = calloc(1, sizeof(*p->burst));
	p->enrich = calloc(1, sizeof(*p->enrich));
	p->ledger = calloc(1, sizeof(*p->ledger));
	if (p->burst == NULL || p->enrich == NULL || p->ledger == NULL)
		goto err;
	p->transport = transport_worker(engine->transport, worker, &p->ledger->worker.transport);
	ret = parked_create(engine, p->ledger, &p->parked);
	if (ret != 0)
		goto err;
	ret = -ENOMEM;
	p->burst->unknown = calloc((size_t)BURST_EVENTS * BURST_MAX_UNKNOWN, sizeof(struct member));
	/* A burst ends early rather than run out of text; the largest line that a source hands out always
	 * fits. */
	p->burst->text_size = BATCH_BYTES;
	p->burst->text = malloc(p->burst->text_size);
	if (p->burst->unknown == NULL || p->burst->text == NULL)
		goto err;
	ret = json_parser_init(&p->parser, json_best_isa(), largest);
	if (ret != 0)
		goto err;
	*out = p;
	return 0;
err:
	pipeline_destroy(p);
	return error_set(err, ret, "worker %u: %s", worker, strerror(-ret));
}

void pipeline_destroy(struct pipeline *p)
{
	if (p == NULL)
		return;
	for (uint16_t s = 0; s < p->engine->n_streams; s++)
		if (p->open[s] != NULL)
			batch_put(p->engine->pools[p->worker], p->open[s]);
	json_parser_fini(&p->parser);
	parked_destroy(p->parked);
	free(p->ports);
	validator_scratch_free(p->scratch);
	if (p->burst != NULL) {
		free(p->burst->text);
		free(p->burst->unknown);
	}
	free(p->burst);
	free(p->enrich);
	free(p->ledger);
	free(p);
}
