/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_sink.h"

struct kafka_lane *kafka_lane_of(
    struct sink_kafka *kafka, const struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	return &kafka->lane[slot->batch->stream][kafka_slot_kind(slot, item, index)];
}

void kafka_lanes_create(struct sink_kafka *kafka)
{
	for (uint16_t stream = 0; stream < kafka->config->n_streams; stream++) {
		for (uint32_t kind = 0; kind < RECORD_KINDS; kind++) {
			kafka_lane_works(&kafka->lane[stream][kind]);
			kafka->n_lanes += kafka_topic_name(kafka, stream, (enum record_kind)kind) != NULL;
		}
	}
}

bool kafka_lane_open(const struct sink_kafka *kafka, const struct kafka_lane *lane)
{
	uint64_t messages = kafka->queue_messages / 2, bytes = kafka->queue_bytes / 2;

	if (kafka->now_ns < lane->retry_ns)
		return false;
	return (kafka->main.in_flight < messages && kafka->in_flight_bytes < bytes) ||
	       (lane->in_flight < messages / kafka->n_lanes &&
	           lane->in_flight_bytes < bytes / kafka->n_lanes);
}

bool kafka_lanes_ready(const struct sink_kafka *kafka)
{
	for (uint16_t stream = 0; kafka->n_todo > 0 && stream < kafka->config->n_streams; stream++) {
		for (uint32_t kind = 0; kind < RECORD_KINDS; kind++) {
			const struct kafka_lane *lane = &kafka->lane[stream][kind];

			if (lane->n_todo > 0 && kafka_lane_open(kafka, lane))
				return true;
		}
	}
	return false;
}

void kafka_lane_sent(struct sink_kafka *kafka, struct kafka_lane *lane, uint64_t bytes)
{
	lane->in_flight++;
	lane->in_flight_bytes += bytes;
	kafka->in_flight_bytes += bytes;
}

void kafka_lane_answered(struct sink_kafka *kafka, struct kafka_lane *lane, uint64_t bytes)
{
	lane->in_flight--;
	lane->in_flight_bytes -= bytes;
	kafka->in_flight_bytes -= bytes;
}

void kafka_lane_works(struct kafka_lane *lane)
{
	lane->retry_ns = 0;
	lane->backoff_ns = KAFKA_BACKOFF_MIN_NS;
}

void kafka_lane_fails(struct kafka_lane *lane, bool unknown)
{
	uint64_t now_ns = clock_mono_ns(&system_clock);

	lane->unknown = lane->unknown || unknown;
	if (lane->retry_ns > now_ns)
		return;
	lane->retry_ns = now_ns + lane->backoff_ns;
	lane->backoff_ns *= 2;
	if (lane->backoff_ns > KAFKA_BACKOFF_MAX_NS)
		lane->backoff_ns = KAFKA_BACKOFF_MAX_NS;
}
