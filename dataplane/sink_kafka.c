/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_embedded.h"
#include "kafka_headers.h"
#include "kafka_sink.h"
#include "sink_kafka.h"
#include "timestamp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PURGE_WAIT_NS 2000000000ull
#define FLUSH_SLICE_MS 5

static int kafka_submit(struct sink *sink, struct batch *batch)
{
	struct sink_kafka *kafka = (struct sink_kafka *)sink;
	struct kafka_slot *slot;

	if (kafka->current != NULL || kafka->full || kafka->main.rk == NULL || kafka->main.fatal)
		return -EAGAIN;
	slot = kafka_slot_get(kafka, batch);
	if (slot == NULL)
		return -EAGAIN;
	if (kafka->checkpoint != NULL)
		kafka_checkpoint_batch(kafka->checkpoint, batch);
	kafka->current = slot;
	kafka_produce_current(kafka);
	return 0;
}

static void publish_lane(struct sink_kafka *kafka, uint16_t stream, uint32_t kind, bool *failing)
{
	const struct kafka_lane *lane = &kafka->lane[stream][kind];
	struct kafka_status *status = &kafka->status;
	bool stalled = lane->retry_ns != 0;

	*failing = *failing || stalled;
	atomic_store_explicit(&status->stalled[stream][kind], stalled, memory_order_relaxed);
	atomic_store_explicit(
	    &status->waiting[stream][kind], lane->n_todo + lane->in_flight, memory_order_relaxed);
	atomic_store_explicit(
	    &status->delivered[stream][kind], kafka->delivered[stream][kind], memory_order_relaxed);
}

static void publish_status(struct sink_kafka *kafka)
{
	struct kafka_status *status = &kafka->status;
	bool topics_unknown = false, failing = kafka->failing;

	for (uint16_t stream = 0; stream < kafka->config->n_streams; stream++) {
		topics_unknown = topics_unknown || !kafka_partitions_known(kafka, stream);
		for (uint32_t kind = 0; kind < RECORD_KINDS; kind++)
			publish_lane(kafka, stream, kind, &failing);
	}
	atomic_store_explicit(&status->outstanding, kafka->n_outstanding, memory_order_relaxed);
	atomic_store_explicit(&status->batches, KAFKA_SLOTS - kafka->n_free, memory_order_relaxed);
	atomic_store_explicit(&status->todo, kafka->n_todo, memory_order_relaxed);
	atomic_store_explicit(&status->failing, failing, memory_order_relaxed);
	atomic_store_explicit(&status->full, kafka->full, memory_order_relaxed);
	atomic_store_explicit(
	    &status->no_producer, kafka->main.rk == NULL || kafka->main.fatal, memory_order_relaxed);
	atomic_store_explicit(&status->topics_unknown, topics_unknown, memory_order_relaxed);
}

void sink_kafka_checkpoint(struct sink *sink, struct kafka_checkpoint *checkpoint)
{
	((struct sink_kafka *)sink)->checkpoint = checkpoint;
}

static int kafka_poll(struct sink *sink, int timeout_ms)
{
	struct sink_kafka *kafka = (struct sink_kafka *)sink;
	uint64_t now_ns;
	int confirmed;

	kafka_serve(kafka, &kafka->alone, 0);
	kafka_serve(kafka, &kafka->main, kafka->confirmed > 0 ? 0 : timeout_ms);
	now_ns = clock_mono_ns(&system_clock);
	kafka_producer_revive(kafka, &kafka->main, now_ns);
	kafka_producer_revive(kafka, &kafka->alone, now_ns);
	kafka_partitions_refresh(kafka, now_ns);
	kafka->now_ns = now_ns;
	kafka->full = false;
	if (kafka->n_ungrouped > 0)
		kafka_slots_group(kafka);
	if (kafka_lanes_ready(kafka)) {
		kafka_topics_refresh(kafka);
		kafka_produce_todo(kafka);
	}
	kafka_produce_current(kafka);
	if (kafka->checkpoint != NULL)
		kafka_checkpoint_tick(kafka->checkpoint, now_ns);
	publish_status(kafka);
	confirmed = kafka->confirmed;
	kafka->confirmed = 0;
	return confirmed;
}

static int kafka_flush(struct sink *sink, uint64_t deadline_ns)
{
	struct sink_kafka *kafka = (struct sink_kafka *)sink;

	while (kafka->n_free < KAFKA_SLOTS) {
		if (clock_mono_ns(&system_clock) >= deadline_ns)
			return -ETIMEDOUT;
		/* While in rd_kafka_flush() librdkafka does not linger. */
		if (kafka->main.rk != NULL)
			rd_kafka_flush(kafka->main.rk, FLUSH_SLICE_MS);
		kafka_poll(sink, 1);
	}
	return 0;
}

static const char *state_name(const struct kafka_status *status)
{
	enum kafka_connection connection = atomic_load_explicit(&status->connection, memory_order_relaxed);

	if (atomic_load_explicit(&status->no_producer, memory_order_relaxed))
		return "restarting";
	if (connection != KAFKA_CONNECTED)
		return kafka_connection_name(connection);
	if (atomic_load_explicit(&status->failing, memory_order_relaxed))
		return "failing";
	if (atomic_load_explicit(&status->topics_unknown, memory_order_relaxed))
		return "connecting";
	if (atomic_load_explicit(&status->full, memory_order_relaxed))
		return "full";
	return "ok";
}

static json_t *describe_topics(struct sink_kafka *kafka)
{
	static const char *const outputs[RECORD_KINDS] = {"raw", "enriched", "dead_letter"};
	json_t *topics = json_array();

	for (uint16_t stream = 0; stream < kafka->config->n_streams; stream++) {
		for (uint32_t kind = 0; kind < RECORD_KINDS; kind++) {
			const char *name = kafka_topic_name(kafka, stream, (enum record_kind)kind);

			if (name == NULL)
				continue;
			json_array_append_new(
			    topics, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "topic", name, "stream",
			                kafka->config->streams[stream].name, "output", outputs[kind], "state",
			                atomic_load_explicit(
			                    &kafka->status.stalled[stream][kind], memory_order_relaxed)
			                    ? "failing"
			                    : "ok",
			                "waiting",
			                (json_int_t)atomic_load_explicit(
			                    &kafka->status.waiting[stream][kind], memory_order_relaxed),
			                "delivered",
			                (json_int_t)atomic_load_explicit(
			                    &kafka->status.delivered[stream][kind], memory_order_relaxed)));
		}
	}
	return topics;
}

static void kafka_describe(struct sink *sink, json_t *object)
{
	struct sink_kafka *kafka = (struct sink_kafka *)sink;
	struct kafka_status *status = &kafka->status;
	char time[TIMESTAMP_TEXT_BYTES];

	json_object_set_new(object, "brokers", json_string(kafka->brokers));
	json_object_set_new(object, "embedded", json_boolean(kafka->embedded != NULL));
	json_object_set_new(object, "state", json_string(state_name(status)));
	json_object_set_new(object, "outstanding",
	    json_integer((json_int_t)atomic_load_explicit(&status->outstanding, memory_order_relaxed)));
	json_object_set_new(object, "batches",
	    json_integer((json_int_t)atomic_load_explicit(&status->batches, memory_order_relaxed)));
	json_object_set_new(object, "to_retry",
	    json_integer((json_int_t)atomic_load_explicit(&status->todo, memory_order_relaxed)));
	json_object_set_new(object, "topics", describe_topics(kafka));
	pthread_mutex_lock(&status->mutex);
	if (status->error_ms != 0 && timestamp_write(status->error_ms, time)) {
		json_object_set_new(object, "last_error", json_string(status->error));
		json_object_set_new(object, "last_error_time", json_stringn(time, sizeof(time)));
	}
	pthread_mutex_unlock(&status->mutex);
}

static void destroy(struct sink_kafka *kafka)
{
	kafka_producer_destroy(&kafka->main);
	kafka_producer_destroy(&kafka->alone);
	if (kafka->slots != NULL) {
		for (uint32_t i = 0; i < KAFKA_SLOTS; i++) {
			if (kafka->slots[i].batch != NULL)
				kafka_slot_give_up(kafka, &kafka->slots[i]);
			kafka_groups_free(&kafka->slots[i].groups);
		}
	}
	sink_publish(&kafka->sink);
	kafka_embedded_destroy(kafka->embedded);
	for (uint32_t i = 0; i < CONFIG_MAX_STREAMS; i++)
		kafka_headers_destroy(kafka->headers[i]);
	kafka_grouping_destroy(kafka->grouping);
	pthread_mutex_destroy(&kafka->status.mutex);
	free(kafka->slots);
	free(kafka);
}

/* What librdkafka still holds is taken back, and what it delivers meanwhile still counts. */
static void kafka_close(struct sink *sink)
{
	struct sink_kafka *kafka = (struct sink_kafka *)sink;
	struct kafka_producer *const producers[] = {&kafka->main, &kafka->alone};
	uint64_t deadline_ns = clock_mono_ns(&system_clock) + PURGE_WAIT_NS;

	if (sink == NULL)
		return;
	for (size_t i = 0; i < 2; i++) {
		if (producers[i]->rk != NULL)
			rd_kafka_purge(producers[i]->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
			                                     RD_KAFKA_PURGE_F_NON_BLOCKING);
	}
	for (size_t i = 0; i < 2; i++) {
		while (producers[i]->in_flight > 0 && clock_mono_ns(&system_clock) < deadline_ns)
			kafka_serve(kafka, producers[i], FLUSH_SLICE_MS);
	}
	destroy(kafka);
}

static const struct sink_ops kafka_ops = {
    .type = "kafka",
    .submit = kafka_submit,
    .poll = kafka_poll,
    .flush = kafka_flush,
    .describe = kafka_describe,
    .close = kafka_close,
};

static int connect_brokers(struct sink_kafka *kafka, struct error *err)
{
	int rc;

	if (kafka->config->kafka.embedded) {
		rc = kafka_embedded_create(kafka->config, &kafka->embedded, err);
		if (rc != 0)
			return rc;
		kafka->brokers = kafka_embedded_address(kafka->embedded);
	} else {
		kafka->brokers = kafka->config->kafka.bootstrap;
	}
	kafka->main.wanted = true;
	kafka->alone.alone = true;
	return kafka_producer_create(kafka, &kafka->main, err);
}

int sink_kafka_create(const struct config *config, uint8_t number, struct sink **out, struct error *err)
{
	struct sink_kafka *kafka = calloc(1, sizeof(*kafka));
	int rc = -ENOMEM;

	*out = NULL;
	if (kafka == NULL)
		return error_set(err, rc, "sinks.kafka: no memory");
	kafka->sink.ops = &kafka_ops;
	kafka->sink.number = number;
	kafka->config = config;
	kafka_lanes_create(kafka);
	pthread_mutex_init(&kafka->status.mutex, NULL);
	kafka->slots = calloc(KAFKA_SLOTS, sizeof(kafka->slots[0]));
	kafka->grouping = kafka_grouping_create();
	if (kafka->slots == NULL || kafka->grouping == NULL) {
		error_set(err, rc, "sinks.kafka: no memory");
		goto err;
	}
	for (uint32_t i = 0; i < KAFKA_SLOTS; i++) {
		kafka->slots[i].number = i;
		kafka->free_slots[i] = KAFKA_SLOTS - 1 - i;
	}
	kafka->n_free = KAFKA_SLOTS;
	for (size_t i = 0; i < config->n_streams; i++) {
		kafka->headers[i] = kafka_headers_create(config, &config->streams[i]);
		if (kafka->headers[i] == NULL) {
			error_set(err, rc, "sinks.kafka: no memory");
			goto err;
		}
	}
	rc = connect_brokers(kafka, err);
	if (rc != 0)
		goto err;
	*out = &kafka->sink;
	return 0;
err:
	destroy(kafka);
	return rc;
}

rd_kafka_mock_cluster_t *sink_kafka_cluster(struct sink *sink)
{
	struct sink_kafka *kafka = (struct sink_kafka *)sink;

	return kafka->embedded != NULL ? kafka_embedded_cluster(kafka->embedded) : NULL;
}

rd_kafka_t *sink_kafka_handle(struct sink *sink)
{
	return ((struct sink_kafka *)sink)->main.rk;
}
