/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_headers.h"
#include "kafka_sink.h"

#include <string.h>

#define CHUNK 64u /* records handed to librdkafka in one call */

static void queue_is_full(struct sink_kafka *kafka, void *opaque)
{
	enum kafka_item item;
	uint32_t index;
	struct kafka_slot *slot = kafka_slot_of(kafka, opaque, &item, &index);

	kafka->full = true;
	kafka_slot_todo(kafka, slot, item, index);
}

static void taken(struct sink_kafka *kafka, struct kafka_producer *producer, void *opaque)
{
	enum kafka_item item;
	uint32_t index;
	struct kafka_slot *slot = kafka_slot_of(kafka, opaque, &item, &index);

	producer->in_flight++;
	if (producer == &kafka->main)
		kafka_lane_sent(
		    kafka, kafka_lane_of(kafka, slot, item, index), kafka_slot_bytes(slot, item, index));
}

/* What came of handing over one message. */
static void handed_over(
    struct sink_kafka *kafka, struct kafka_producer *producer, void *opaque, rd_kafka_resp_err_t code)
{
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		taken(kafka, producer, opaque);
	else if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		queue_is_full(kafka, opaque);
	else
		kafka_outcome(kafka, producer, opaque, code);
}

/* One message with headers, which librdkafka takes one by one. */
static void produce_one(struct sink_kafka *kafka, struct kafka_producer *producer, rd_kafka_topic_t *topic,
    int32_t partition, const char *value, size_t value_len, const char *key, size_t key_len,
    rd_kafka_headers_t *headers, void *opaque)
{
	rd_kafka_vu_t field[] = {
	    {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
	    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
	    {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value, value_len}},
	    {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)(key_len > 0 ? key : NULL), key_len}},
	    {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = opaque},
	    {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = 0},
	    {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
	};
	rd_kafka_error_t *error;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

	error = rd_kafka_produceva(
	    producer->rk, field, sizeof(field) / sizeof(field[0]) - (headers == NULL ? 1 : 0));
	if (error != NULL) {
		code = rd_kafka_error_code(error);
		rd_kafka_error_destroy(error);
		if (headers != NULL)
			rd_kafka_headers_destroy(headers);
	}
	handed_over(kafka, producer, opaque, code);
}

static bool has_headers(const struct sink_kafka *kafka, enum record_kind kind)
{
	return kind == RECORD_DEAD_LETTER || (kind == RECORD_ENRICHED && kafka->config->kafka.headers);
}

/* Of a line longer than any event may be the dead letter holds what a message can take: it would be refused
 * for ever, and its batch never be completed. */
static uint32_t dead_letter_len(const struct sink_kafka *kafka, uint32_t value_len, uint32_t key_len)
{
	uint32_t room = kafka->dead_letter_max > key_len ? kafka->dead_letter_max - key_len : 0;

	return value_len < room ? value_len : room;
}

static void produce_record(
    struct sink_kafka *kafka, struct kafka_producer *producer, struct kafka_slot *slot, uint32_t index)
{
	const struct batch *batch = slot->batch;
	const struct record *record = &batch->records[index];
	const struct batch_event *event = &batch->events[record->event];
	void *opaque = kafka_opaque(slot, KAFKA_RECORD, index);
	uint32_t value_len = record->value_len;
	rd_kafka_headers_t *headers = NULL;

	if (record->kind == RECORD_DEAD_LETTER) {
		value_len = dead_letter_len(kafka, record->value_len, record->key_len);
		headers = kafka_headers_dead_letter(kafka->headers[batch->stream], batch, event, value_len);
	} else if (has_headers(kafka, record->kind)) {
		headers = kafka_headers_event(kafka->headers[batch->stream], batch, event);
	}
	if (headers == NULL && has_headers(kafka, record->kind)) {
		kafka_outcome(kafka, producer, opaque, RD_KAFKA_RESP_ERR__FAIL);
		return;
	}
	produce_one(kafka, producer, producer->topic[batch->stream][record->kind], RD_KAFKA_PARTITION_UA,
	    batch->bytes + record->value, value_len, batch->bytes + record->key, record->key_len, headers,
	    opaque);
}

static void produce_group(
    struct sink_kafka *kafka, struct kafka_producer *producer, struct kafka_slot *slot, uint32_t index)
{
	const struct kafka_group *group = &slot->groups.group[index];
	const struct batch *batch = slot->batch;
	void *opaque = kafka_opaque(slot, KAFKA_GROUP, index);
	rd_kafka_headers_t *headers = kafka_headers_group(kafka->headers[batch->stream], group->count,
	    group->kind == RECORD_ENRICHED && kafka->config->kafka.headers);

	if (headers == NULL) {
		kafka_outcome(kafka, producer, opaque, RD_KAFKA_RESP_ERR__FAIL);
		return;
	}
	produce_one(kafka, producer, producer->topic[batch->stream][group->kind], group->partition,
	    group->value, group->len, NULL, 0, headers, opaque);
}

static void produce_too_large(
    struct sink_kafka *kafka, struct kafka_producer *producer, struct kafka_slot *slot, uint32_t index)
{
	const struct batch *batch = slot->batch;
	const struct batch_event *event = &batch->events[index];
	void *opaque = kafka_opaque(slot, KAFKA_TOO_LARGE, index);
	uint32_t value_len = dead_letter_len(kafka, event->raw_len, event->id_len);
	rd_kafka_headers_t *headers =
	    kafka_headers_dead_letter(kafka->headers[batch->stream], batch, event, value_len);

	if (headers == NULL) {
		kafka_outcome(kafka, producer, opaque, RD_KAFKA_RESP_ERR__FAIL);
		return;
	}
	produce_one(kafka, producer, producer->topic[batch->stream][RECORD_DEAD_LETTER],
	    RD_KAFKA_PARTITION_UA, batch->bytes + event->raw, value_len, batch->bytes + event->id,
	    event->id_len, headers, opaque);
}

/* Messages without headers, collected for one call. */
struct chunk {
	rd_kafka_topic_t *topic;
	int n;
	rd_kafka_message_t message[CHUNK];
};

static void produce_chunk(struct sink_kafka *kafka, struct chunk *chunk)
{
	if (chunk->n == 0)
		return;
	rd_kafka_produce_batch(chunk->topic, RD_KAFKA_PARTITION_UA, 0, chunk->message, chunk->n);
	for (int i = 0; i < chunk->n; i++)
		handed_over(kafka, &kafka->main, chunk->message[i]._private, chunk->message[i].err);
	chunk->n = 0;
}

static void collect(struct chunk *chunk, struct kafka_slot *slot, uint32_t index)
{
	const struct record *record = &slot->batch->records[index];
	char *bytes = slot->batch->bytes;

	chunk->message[chunk->n++] = (rd_kafka_message_t){
	    .payload = bytes + record->value,
	    .len = record->value_len,
	    .key = record->key_len > 0 ? bytes + record->key : NULL,
	    .key_len = record->key_len,
	    ._private = kafka_opaque(slot, KAFKA_RECORD, index),
	};
}

/* Up to CHUNK records from the slot's cursor on. */
static void produce_records(struct sink_kafka *kafka, struct kafka_slot *slot)
{
	const struct batch *batch = slot->batch;
	struct chunk chunks[RECORD_KINDS];
	bool batched = kafka->config->kafka.record == KAFKA_RECORD_BATCH;
	uint32_t end = slot->cursor + CHUNK < batch->n_records ? slot->cursor + CHUNK : batch->n_records;

	for (uint32_t kind = 0; kind < RECORD_KINDS; kind++) {
		chunks[kind].topic = kafka->main.topic[batch->stream][kind];
		chunks[kind].n = 0;
	}
	for (uint32_t i = slot->cursor; i < end; i++) {
		enum record_kind kind = batch->records[i].kind;

		if (chunks[kind].topic == NULL)
			kafka_slot_confirm(kafka, slot, i); /* not wanted in Kafka */
		else if (batched && kind != RECORD_DEAD_LETTER)
			continue; /* in a group */
		else if (!kafka_lane_open(kafka, &kafka->lane[batch->stream][kind]))
			kafka_slot_todo(kafka, slot, KAFKA_RECORD, i);
		else if (has_headers(kafka, kind))
			produce_record(kafka, &kafka->main, slot, i);
		else
			collect(&chunks[kind], slot, i);
	}
	for (uint32_t kind = 0; kind < RECORD_KINDS; kind++)
		produce_chunk(kafka, &chunks[kind]);
	slot->cursor = end;
}

void kafka_produce_current(struct sink_kafka *kafka)
{
	struct kafka_slot *slot = kafka->current;

	if (slot == NULL || kafka->main.rk == NULL)
		return;
	for (; slot->next_group < slot->groups.n && !kafka->full && !kafka->main.fatal; slot->next_group++) {
		if (kafka_lane_open(kafka, kafka_lane_of(kafka, slot, KAFKA_GROUP, slot->next_group)))
			produce_group(kafka, &kafka->main, slot, slot->next_group);
		else
			kafka_slot_todo(kafka, slot, KAFKA_GROUP, slot->next_group);
	}
	while (slot->cursor < slot->batch->n_records && !kafka->full && !kafka->main.fatal)
		produce_records(kafka, slot);
	if (slot->cursor < slot->batch->n_records || slot->next_group < slot->groups.n)
		return;
	kafka->current = NULL;
	if (!slot->ungrouped)
		kafka_slot_settle(kafka, slot);
}

/* Takes the item off the slot's todo and produces it. */
static void produce_item(
    struct sink_kafka *kafka, struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	struct kafka_producer *producer = &kafka->main;

	if (item == KAFKA_TOO_LARGE || (item == KAFKA_RECORD && kafka_bit(slot->alone, index)))
		producer = &kafka->alone;
	if (producer->rk == NULL || producer->fatal ||
	    !kafka_lane_open(kafka, kafka_lane_of(kafka, slot, item, index)))
		return; /* stays where it is */
	kafka_slot_taken(kafka, slot, item, index);
	if (item == KAFKA_RECORD)
		produce_record(kafka, producer, slot, index);
	else if (item == KAFKA_GROUP)
		produce_group(kafka, producer, slot, index);
	else
		produce_too_large(kafka, producer, slot, index);
}

static void produce_slot_todo(struct sink_kafka *kafka, struct kafka_slot *slot)
{
	const struct batch *batch = slot->batch;

	for (uint32_t item = 0; item < KAFKA_ITEMS; item++) {
		for (uint32_t word = 0; word < KAFKA_WORDS; word++) {
			uint64_t bits = slot->todo[item][word];

			for (; bits != 0 && !kafka->full; bits &= bits - 1) {
				uint32_t bit = (uint32_t)__builtin_ctzll(bits);

				produce_item(kafka, slot, (enum kafka_item)item, word * 64 + bit);
				if (slot->batch != batch)
					return;
			}
		}
	}
}

void kafka_produce_todo(struct sink_kafka *kafka)
{
	for (uint32_t i = 0; i < KAFKA_SLOTS && kafka->n_todo > 0 && !kafka->full; i++) {
		if (kafka->slots[i].batch != NULL && kafka->slots[i].n_todo > 0)
			produce_slot_todo(kafka, &kafka->slots[i]);
	}
}
