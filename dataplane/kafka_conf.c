/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A dead letter is the event's bytes, a key and about a dozen headers. */
#define DEAD_LETTER_OVERHEAD 8192u

static const char *const defaults[][2] = {
    {"enable.idempotence", "true"}, {"acks", "all"},
    {"message.timeout.ms", "0"}, /* librdkafka never gives up by itself */
    {"partitioner", "murmur2_random"}, {"queue.buffering.max.messages", "1000000"},
    {"queue.buffering.max.kbytes", "2097151"}, {"linger.ms", "5"},
    {"reconnect.backoff.max.ms", "3000"}, /* a cause that is mended is soon found to be */
    {"statistics.interval.ms", "1000"},   /* they say which brokers are connected */
};

/* Properties that cannot be given, or only with these values, as librdkafka writes them. */
static const struct {
	const char *name;
	const char *allowed[2]; /* none: never */
	const char *why;
} restricted[] = {
    {"bootstrap.servers", {NULL}, "give the brokers as sinks.kafka.bootstrap"},
    {"metadata.broker.list", {NULL}, "give the brokers as sinks.kafka.bootstrap"},
    {"enable.idempotence", {"true"}, "without it a retry writes an event twice"},
    {"acks", {"-1"}, "a record is durable once all in-sync replicas have it"},
    {"request.required.acks", {"-1"}, "a record is durable once all in-sync replicas have it"},
    {"delivery.report.only.error", {"false"}, "every record's delivery is counted"},
    {"partitioner", {"murmur2", "murmur2_random"}, "keys go where the Java client would put them"},
    {"transactional.id", {NULL}, "transactions are not used"},
    {"test.mock.num.brokers", {NULL}, "use bootstrap: embedded"},
    {"statistics.interval.ms", {"1000"}, "the state in the status comes from them"},
    {"log.queue", {"false"}, "nothing reads that queue"},
};

static int check_restricted(const rd_kafka_conf_t *conf, const char *name, struct error *err)
{
	char value[128] = "";
	size_t size = sizeof(value);

	for (size_t i = 0; i < sizeof(restricted) / sizeof(restricted[0]); i++) {
		if (strcmp(restricted[i].name, name) != 0)
			continue;
		rd_kafka_conf_get(conf, name, value, &size);
		for (size_t j = 0; j < 2 && restricted[i].allowed[j] != NULL; j++) {
			if (strcmp(restricted[i].allowed[j], value) == 0)
				return 0;
		}
		return error_set(err, -EINVAL, "sinks.kafka.properties: %s: %s cannot be set: %s", name,
		    restricted[i].allowed[0] == NULL ? "this" : value, restricted[i].why);
	}
	return 0;
}

/* Secrets are properties too: librdkafka's own message is given only where it does not repeat the value. */
static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
	char reason[400];

	switch (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason))) {
	case RD_KAFKA_CONF_OK:
		return 0;
	case RD_KAFKA_CONF_UNKNOWN:
		return error_set(err, -EINVAL, "sinks.kafka.properties: %s: %s", name, reason);
	default:
		if (strstr(name, "password") != NULL || strstr(name, "secret") != NULL)
			return error_set(err, -EINVAL, "sinks.kafka.properties: %s: invalid value", name);
		return error_set(err, -EINVAL, "sinks.kafka.properties: %s: %s", name, reason);
	}
}

static void no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level, (void)facility, (void)text; /* errors arrive as events */
}

static long long message_max(const rd_kafka_conf_t *conf)
{
	return kafka_conf_number(conf, "message.max.bytes", 1000000);
}

uint32_t kafka_conf_dead_letter_max(const rd_kafka_conf_t *conf)
{
	long long limit = message_max(conf) - DEAD_LETTER_OVERHEAD;

	return limit > 0 ? (uint32_t)limit : 0;
}

/* A dead letter must always fit, or its batch could never be completed. */
static int check_sizes(const struct config *config, const rd_kafka_conf_t *conf, struct error *err)
{
	long long limit = message_max(conf);

	for (size_t i = 0; i < config->n_streams; i++) {
		const struct config_stream *stream = &config->streams[i];

		if ((long long)stream->max_event_bytes + DEAD_LETTER_OVERHEAD > limit)
			return error_set(err, -EINVAL,
			    "sinks.kafka.properties: message.max.bytes: %lld is too small for events of "
			    "stream %s: "
			    "max_event_bytes is %u, and a dead letter needs up to %u bytes more",
			    limit, stream->name, stream->max_event_bytes, DEAD_LETTER_OVERHEAD);
	}
	return 0;
}

long long kafka_conf_number(const rd_kafka_conf_t *conf, const char *name, long long otherwise)
{
	char text[64], *end;
	size_t size = sizeof(text);
	long long value;

	if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK)
		return otherwise;
	value = strtoll(text, &end, 10);
	return end == text ? otherwise : value;
}

int kafka_conf_create(const struct config *config, rd_kafka_conf_t **out, struct error *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char client_id[128];
	bool debug = false;
	int rc = 0;

	*out = NULL;
	for (size_t i = 0; rc == 0 && i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		rc = set(conf, defaults[i][0], defaults[i][1], err);
	}
	snprintf(client_id, sizeof(client_id), "penstock-%s", config->node != NULL ? config->node : "");
	if (rc == 0)
		rc = set(conf, "client.id", client_id, err);
	for (size_t i = 0; rc == 0 && i < config->kafka.n_properties; i++) {
		const char *name = config->kafka.property_keys[i], *value = config->kafka.property_values[i];

		rc = set(conf, name, value, err);
		if (rc == 0)
			rc = check_restricted(conf, name, err);
		debug = debug || strcmp(name, "debug") == 0;
	}
	if (rc == 0)
		rc = check_sizes(config, conf, err);
	if (rc != 0) {
		rd_kafka_conf_destroy(conf);
		return rc;
	}
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
	if (!debug) /* who asks for librdkafka's debug contexts gets its log on standard error */
		rd_kafka_conf_set_log_cb(conf, no_log);
	*out = conf;
	return 0;
}
