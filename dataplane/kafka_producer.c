/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_conf.h"
#include "kafka_sink.h"

#include <errno.h>
#include <string.h>

#define REMAKE_NS 1000000000ull
#define PURGE_AGAIN_NS 200000000ull
#define METADATA_MS 100
#define PARTITIONS_KNOWN_NS 30000000000ull /* between two looks at topics whose partitions are known */
#define PARTITIONS_UNKNOWN_NS 500000000ull

const char *kafka_topic_name(const struct sink_kafka *kafka, uint16_t stream, enum record_kind kind)
{
	const struct config_stream *s = &kafka->config->streams[stream];

	return kind == RECORD_RAW        ? s->topic_raw
	       : kind == RECORD_ENRICHED ? s->topic_enriched
	                                 : s->topic_dead_letter;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
	char reason[256];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
		return 0;
	return error_set(err, -EINVAL, "sinks.kafka: %s", reason);
}

static int make_topics(struct sink_kafka *kafka, struct kafka_producer *producer, struct error *err)
{
	for (uint16_t stream = 0; stream < kafka->config->n_streams; stream++) {
		for (uint32_t kind = 0; kind < RECORD_KINDS; kind++) {
			const char *name = kafka_topic_name(kafka, stream, (enum record_kind)kind);
			rd_kafka_topic_t *topic;

			if (name == NULL)
				continue;
			topic = rd_kafka_topic_new(producer->rk, name, NULL);
			if (topic == NULL)
				return error_set(err, -EINVAL, "sinks.kafka: topic %s: %s", name,
				    rd_kafka_err2str(rd_kafka_last_error()));
			producer->topic[stream][kind] = topic;
		}
	}
	return 0;
}

int kafka_producer_create(struct sink_kafka *kafka, struct kafka_producer *producer, struct error *err)
{
	rd_kafka_conf_t *conf;
	char reason[256];
	int rc = kafka_conf_create(kafka->config, &conf, err);

	if (rc != 0)
		return rc;
	kafka->dead_letter_max = kafka_conf_dead_letter_max(conf);
	kafka->queue_messages = (uint64_t)kafka_conf_number(conf, "queue.buffering.max.messages", 100000);
	if (kafka->queue_messages == 0) /* has no limit */
		kafka->queue_messages = UINT64_MAX;
	kafka->queue_bytes = 1024 * (uint64_t)kafka_conf_number(conf, "queue.buffering.max.kbytes", 1048576);
	rc = set(conf, "bootstrap.servers", kafka->brokers, err);
	if (rc == 0 && producer->alone) {
		rc = set(conf, "batch.num.messages", "1", err);
		if (rc == 0)
			rc = set(conf, "linger.ms", "0", err);
	}
	if (rc != 0) {
		rd_kafka_conf_destroy(conf);
		return rc;
	}
	kafka->old_scram = kafka_connection_old_scram(conf);
	rd_kafka_conf_set_opaque(conf, kafka);
	if (rd_kafka_conf_set_ssl_cert_verify_cb(conf, kafka_connection_certificate) != RD_KAFKA_CONF_OK) {
		rd_kafka_conf_destroy(conf);
		return error_set(err, -ENOTSUP, "sinks.kafka: this librdkafka has no TLS");
	}
	producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (producer->rk == NULL) {
		rd_kafka_conf_destroy(conf);
		return error_set(err, -EINVAL, "sinks.kafka: %s", reason);
	}
	producer->queue = rd_kafka_queue_get_main(producer->rk);
	producer->in_flight = 0;
	producer->fatal = false;
	rc = make_topics(kafka, producer, err);
	if (rc != 0)
		kafka_producer_destroy(producer);
	return rc;
}

void kafka_producer_destroy(struct kafka_producer *producer)
{
	for (uint32_t stream = 0; stream < CONFIG_MAX_STREAMS; stream++) {
		for (uint32_t kind = 0; kind < RECORD_KINDS; kind++) {
			if (producer->topic[stream][kind] != NULL)
				rd_kafka_topic_destroy(producer->topic[stream][kind]);
			producer->topic[stream][kind] = NULL;
		}
	}
	if (producer->queue != NULL)
		rd_kafka_queue_destroy(producer->queue);
	if (producer->rk != NULL)
		rd_kafka_destroy(producer->rk);
	producer->queue = NULL;
	producer->rk = NULL;
	producer->in_flight = 0;
	producer->fatal = false;
}

static void purge(struct kafka_producer *producer)
{
	rd_kafka_purge(
	    producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

void kafka_producer_fatal(struct sink_kafka *kafka, struct kafka_producer *producer)
{
	char reason[256] = "";

	if (producer->fatal)
		return;
	rd_kafka_fatal_error(producer->rk, reason, sizeof(reason));
	kafka_note_error(kafka, "fatal error, the producer is made anew: %s", reason);
	producer->fatal = true;
	producer->retry_ns = clock_mono_ns(&system_clock) + PURGE_AGAIN_NS;
	purge(producer);
}

void kafka_producer_revive(struct sink_kafka *kafka, struct kafka_producer *producer, uint64_t now_ns)
{
	struct error err;

	if (producer->fatal && producer->in_flight == 0) {
		kafka_producer_destroy(producer);
		producer->retry_ns = 0;
	} else if (producer->fatal && now_ns >= producer->retry_ns) {
		purge(producer);
		producer->retry_ns = now_ns + PURGE_AGAIN_NS;
	}
	if (!producer->wanted || producer->rk != NULL || now_ns < producer->retry_ns)
		return;
	if (kafka_producer_create(kafka, producer, &err) != 0) {
		kafka_note_error(kafka, "%s", err.text);
		producer->retry_ns = now_ns + REMAKE_NS;
	}
}

bool kafka_partitions_known(const struct sink_kafka *kafka, uint16_t stream)
{
	if (kafka->config->kafka.record != KAFKA_RECORD_BATCH)
		return true;
	for (uint32_t kind = 0; kind < RECORD_DEAD_LETTER; kind++) {
		if (kafka->main.topic[stream][kind] != NULL && kafka->partitions[stream][kind] == 0)
			return false;
	}
	return true;
}

/* 0: unknown. */
static int32_t count_partitions(rd_kafka_t *rk, rd_kafka_topic_t *topic, rd_kafka_resp_err_t *code)
{
	const rd_kafka_metadata_t *metadata;
	int32_t n = 0;

	*code = rd_kafka_metadata(rk, 0, topic, &metadata, METADATA_MS);
	if (*code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	if (metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
		n = metadata->topics[0].partition_cnt;
	else if (metadata->topic_cnt == 1)
		*code = metadata->topics[0].err;
	rd_kafka_metadata_destroy(metadata);
	return n;
}

void kafka_partitions_refresh(struct sink_kafka *kafka, uint64_t now_ns)
{
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	bool all = true;

	if (kafka->config->kafka.record != KAFKA_RECORD_BATCH || now_ns < kafka->partitions_ns ||
	    kafka->main.rk == NULL)
		return;
	for (uint16_t stream = 0; stream < kafka->config->n_streams; stream++) {
		for (uint32_t kind = 0; kind < RECORD_DEAD_LETTER; kind++) {
			rd_kafka_topic_t *topic = kafka->main.topic[stream][kind];
			int32_t n;

			if (topic == NULL)
				continue;
			n = code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT
			        ? 0 /* one wait is enough */
			        : count_partitions(kafka->main.rk, topic, &code);
			if (n > 0)
				kafka->partitions[stream][kind] = n;
			else if (code != RD_KAFKA_RESP_ERR_NO_ERROR && kafka->partitions[stream][kind] == 0)
				kafka_note_error(kafka, "partitions of topic %s: %s",
				    kafka_topic_name(kafka, stream, (enum record_kind)kind),
				    rd_kafka_err2str(code));
			all = all && n > 0;
		}
	}
	kafka->partitions_ns =
	    clock_mono_ns(&system_clock) + (all ? PARTITIONS_KNOWN_NS : PARTITIONS_UNKNOWN_NS);
}

void kafka_topics_refresh(struct sink_kafka *kafka)
{
	rd_kafka_t *const handles[] = {kafka->main.rk, kafka->alone.rk};
	const rd_kafka_metadata_t *metadata;
	bool unknown = false;

	for (uint16_t stream = 0; stream < kafka->config->n_streams; stream++) {
		for (uint32_t kind = 0; kind < RECORD_KINDS; kind++) {
			struct kafka_lane *lane = &kafka->lane[stream][kind];

			if (lane->n_todo == 0 || !lane->unknown || kafka->now_ns < lane->retry_ns)
				continue;
			lane->unknown = false;
			unknown = true;
		}
	}
	for (size_t i = 0; i < 2 && unknown; i++) {
		if (handles[i] != NULL && rd_kafka_metadata(handles[i], 0, NULL, &metadata, METADATA_MS) ==
		                              RD_KAFKA_RESP_ERR_NO_ERROR)
			rd_kafka_metadata_destroy(metadata);
	}
}
