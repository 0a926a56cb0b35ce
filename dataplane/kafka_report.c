/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_sink.h"

#include <stdarg.h>
#include <stdio.h>

#define EVENTS_PER_POLL 64
#define MESSAGES 256

void kafka_note_error(struct sink_kafka *kafka, const char *fmt, ...)
{
	struct kafka_status *status = &kafka->status;
	va_list args;

	kafka->failing = true;
	pthread_mutex_lock(&status->mutex);
	va_start(args, fmt);
	(void)vsnprintf(status->error, sizeof(status->error), fmt, args);
	va_end(args);
	status->error_ms = clock_wall_ms(&system_clock);
	pthread_mutex_unlock(&status->mutex);
}

static void delivered(struct sink_kafka *kafka, struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	struct batch *batch = slot->batch;
	struct sink_stream_counts *counts = &kafka->sink.ledger.stream[batch->stream];
	uint32_t records = item == KAFKA_GROUP ? slot->groups.group[index].count : 1;

	kafka->failing = false;
	if (!kafka->connected)
		kafka_connection_works(kafka);
	kafka_lane_works(kafka_lane_of(kafka, slot, item, index));
	kafka->delivered[batch->stream][kafka_slot_kind(slot, item, index)] += records;
	counts->records += records;
	if (item == KAFKA_RECORD) {
		counts->bytes += batch->records[index].value_len;
		kafka_slot_confirm(kafka, slot, index);
	} else if (item == KAFKA_TOO_LARGE) {
		counts->bytes += batch->events[index].raw_len;
		kafka_slot_dead_letter_done(kafka, slot, index);
	} else {
		uint32_t first = slot->groups.group[index].first;

		counts->bytes += slot->groups.group[index].len;
		for (uint32_t i = first; i < first + records; i++)
			kafka_slot_confirm(kafka, slot, slot->groups.order[i]);
	}
}

static void again(struct sink_kafka *kafka, struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	uint32_t records = item == KAFKA_GROUP ? slot->groups.group[index].count : 1;

	kafka->sink.ledger.stream[slot->batch->stream].retries += records;
	kafka_slot_todo(kafka, slot, item, index);
}

/* Refused for its size, or for that of the request it travelled in. */
static void too_large(struct sink_kafka *kafka, struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	enum record_kind kind = kafka_slot_kind(slot, item, index);

	kafka->alone.wanted = true;
	if (item == KAFKA_GROUP) {
		const struct kafka_group *group = &slot->groups.group[index];

		for (uint32_t i = group->first; i < group->first + group->count; i++) {
			kafka_bit_set(slot->alone, slot->groups.order[i]);
			again(kafka, slot, KAFKA_RECORD, slot->groups.order[i]);
		}
	} else if (item == KAFKA_RECORD && !kafka_bit(slot->alone, index)) {
		kafka_bit_set(slot->alone, index);
		again(kafka, slot, item, index);
	} else if (kind != RECORD_DEAD_LETTER) {
		kafka_slot_too_large(kafka, slot, index);
	} else {
		kafka_note_error(kafka,
		    "topic %s refuses a dead letter as too large: raise its max.message.bytes",
		    kafka_topic_name(kafka, slot->batch->stream, kind));
		kafka_lane_fails(kafka_lane_of(kafka, slot, item, index), false);
		again(kafka, slot, item, index);
	}
}

void kafka_outcome(
    struct sink_kafka *kafka, struct kafka_producer *producer, void *opaque, rd_kafka_resp_err_t code)
{
	enum kafka_item item;
	uint32_t index;
	struct kafka_slot *slot = kafka_slot_of(kafka, opaque, &item, &index);
	bool unknown = false;

	switch (code) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		delivered(kafka, slot, item, index);
		return;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		too_large(kafka, slot, item, index);
		return;
	case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
	case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
		again(kafka, slot, item, index);
		return;
	case RD_KAFKA_RESP_ERR__FATAL:
		kafka_producer_fatal(kafka, producer);
		again(kafka, slot, item, index);
		return;
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		if (item == KAFKA_GROUP) /* the topic has fewer partitions than it had */
			slot->groups.group[index].partition = RD_KAFKA_PARTITION_UA;
		kafka->partitions_ns = 0;
		unknown = true;
		break;
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		unknown = true;
		break;
	default:
		break;
	}
	kafka_note_error(kafka, "topic %s: %s",
	    kafka_topic_name(kafka, slot->batch->stream, kafka_slot_kind(slot, item, index)),
	    rd_kafka_err2str(code));
	kafka_lane_fails(kafka_lane_of(kafka, slot, item, index), unknown);
	again(kafka, slot, item, index);
}

static void answered(struct sink_kafka *kafka, void *opaque)
{
	enum kafka_item item;
	uint32_t index;
	struct kafka_slot *slot = kafka_slot_of(kafka, opaque, &item, &index);

	kafka_lane_answered(
	    kafka, kafka_lane_of(kafka, slot, item, index), kafka_slot_bytes(slot, item, index));
}

static void serve_reports(struct sink_kafka *kafka, struct kafka_producer *producer, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *messages[MESSAGES];
	size_t n;

	while ((n = rd_kafka_event_message_array(event, messages, MESSAGES)) > 0) {
		producer->in_flight -= n;
		for (size_t i = 0; i < n; i++) {
			if (producer == &kafka->main)
				answered(kafka, messages[i]->_private);
			{
				const rd_kafka_message_t *m = messages[i];

				if (kafka->checkpoint != NULL && m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
					kafka_checkpoint_delivered(kafka->checkpoint,
					    rd_kafka_topic_name(m->rkt), m->partition, m->offset);
				kafka_outcome(kafka, producer, m->_private, m->err);
			}
		}
	}
}

static void serve_error(struct sink_kafka *kafka, struct kafka_producer *producer, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	const char *cause;

	/* It comes behind an error for each broker, and says nothing that those do not. */
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		return;
	kafka_connection_error(kafka, code);
	cause = kafka_connection_cause(kafka, code);
	kafka_note_error(kafka, "%s%s%s", cause != NULL ? cause : "", cause != NULL ? ": " : "",
	    rd_kafka_event_error_string(event));
	if (code == RD_KAFKA_RESP_ERR__FATAL)
		kafka_producer_fatal(kafka, producer);
}

void kafka_serve(struct sink_kafka *kafka, struct kafka_producer *producer, int timeout_ms)
{
	rd_kafka_event_t *event;

	for (int i = 0; i < EVENTS_PER_POLL && producer->rk != NULL; i++) {
		event = rd_kafka_queue_poll(producer->queue, i == 0 ? timeout_ms : 0);
		if (event == NULL)
			break;
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
			serve_reports(kafka, producer, event);
		} else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
			serve_error(kafka, producer, event);
		} else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_STATS && producer == &kafka->main) {
			kafka_connection_statistics(kafka, rd_kafka_event_stats(event));
		}
		rd_kafka_event_destroy(event);
	}
	sink_settle(&kafka->sink);
}
