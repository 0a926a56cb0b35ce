/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/dlq_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#define ANSWER_MS 10000

static void no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level, (void)facility, (void)text;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
	char reason[256];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
		return 0;
	return error_set(err, -EINVAL, "%s: %s", name, reason);
}

/* What the user's properties say about the connection (security, addresses, time-outs) holds for reading as
 * well; librdkafka leaves those of producers aside. */
static int open_consumer(
    const char *brokers, const struct config *config, rd_kafka_t **out, struct error *err)
{
	static const char *const own[][2] = {
	    {"group.id", "penstock-dlq"},
	    {"enable.auto.commit", "false"},
	    {"auto.offset.reset", "earliest"},
	    {"enable.partition.eof", "true"},
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char reason[256];
	int rc = 0;

	for (size_t i = 0; config != NULL && rc == 0 && i < config->kafka.n_properties; i++)
		rc = set(conf, config->kafka.property_keys[i], config->kafka.property_values[i], err);
	for (size_t i = 0; rc == 0 && i < sizeof(own) / sizeof(own[0]); i++)
		rc = set(conf, own[i][0], own[i][1], err);
	if (rc == 0)
		rc = set(conf, "bootstrap.servers", brokers, err);
	rd_kafka_conf_set_log_cb(conf, no_log);
	*out = rc == 0 ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason)) : NULL;
	if (*out == NULL) {
		rd_kafka_conf_destroy(conf);
		return rc != 0 ? rc : error_set(err, -EINVAL, "%s: %s", brokers, reason);
	}
	rd_kafka_poll_set_consumer(*out);
	return 0;
}

/* All partitions from their beginning. Returns how many, or -errno. */
static int assign(rd_kafka_t *rk, const char *brokers, const char *topic, struct error *err)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	const rd_kafka_metadata_t *metadata;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;
	int n = 0;

	if (handle == NULL)
		return error_set(
		    err, -EINVAL, "topic %s: %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
	code = rd_kafka_metadata(rk, 0, handle, &metadata, ANSWER_MS);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		n = error_set(err, -EIO, "%s: %s", brokers, rd_kafka_err2str(code));
		goto out;
	}
	if (metadata->topic_cnt != 1 || metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		code = metadata->topic_cnt == 1 ? metadata->topics[0].err
		                                : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		n = error_set(err, -ENOENT, "%s: topic %s: %s", brokers, topic, rd_kafka_err2str(code));
	} else {
		n = metadata->topics[0].partition_cnt;
		list = rd_kafka_topic_partition_list_new(n);
		for (int i = 0; i < n; i++)
			rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
		code = rd_kafka_assign(rk, list);
		rd_kafka_topic_partition_list_destroy(list);
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			n = error_set(err, -EIO, "%s: topic %s: %s", brokers, topic, rd_kafka_err2str(code));
	}
	rd_kafka_metadata_destroy(metadata);
out:
	rd_kafka_topic_destroy(handle);
	return n;
}

static void take_header(struct dlq_record *record, const struct dlq_text *header)
{
	static const char prefix[] = "penstock.error.";
	const char *name = header->name + sizeof(prefix) - 1;

	if (strncmp(header->name, prefix, sizeof(prefix) - 1) != 0)
		return;
	if (strcmp(name, "stage") == 0)
		record->stage = *header;
	else if (strcmp(name, "reason") == 0)
		record->reason = *header;
	else if (strcmp(name, "message") == 0)
		record->message = *header;
	else if (strcmp(name, "stream") == 0)
		record->stream = *header;
	else if (strcmp(name, "timestamp") == 0)
		record->timestamp = *header;
	else if (strcmp(name, "replays") == 0)
		record->replays = *header;
}

static int give(const rd_kafka_message_t *message, const char *topic, dlq_fn see, void *context)
{
	struct dlq_record record = {
	    .place = topic,
	    .partition = message->partition,
	    .number = message->offset,
	    .key = {.data = message->key, .len = message->key_len},
	    .value = {.data = message->payload, .len = message->len},
	};
	rd_kafka_headers_t *list;
	struct dlq_text *header = record.headers;

	if (rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		for (size_t i = 0; i < DLQ_MAX_HEADERS; i++, header++) {
			const void *data;

			if (rd_kafka_header_get_all(list, i, &header->name, &data, &header->len) !=
			    RD_KAFKA_RESP_ERR_NO_ERROR)
				break;
			header->data = data != NULL ? data : "";
			take_header(&record, header);
			record.n_headers++;
		}
	}
	return see(context, &record);
}

int dlq_read_kafka(const char *brokers, const char *topic, const struct config *config, dlq_fn see,
    void *context, struct error *err)
{
	rd_kafka_t *rk;
	int rc = open_consumer(brokers, config, &rk, err), open;

	if (rc != 0)
		return rc;
	open = assign(rk, brokers, topic, err);
	rc = open < 0 ? open : 0;
	while (rc == 0 && open > 0) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, ANSWER_MS);

		if (message == NULL)
			rc = error_set(err, -ETIMEDOUT, "%s: topic %s: no answer for %d s", brokers, topic,
			    ANSWER_MS / 1000);
		else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			open--;
		else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			rc = error_set(
			    err, -EIO, "%s: topic %s: %s", brokers, topic, rd_kafka_message_errstr(message));
		else if (give(message, topic, see, context) != 0)
			rc = 1;
		if (message != NULL)
			rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return rc;
}
