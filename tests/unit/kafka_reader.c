/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define WAIT_MS 20000

static rd_kafka_t *open_consumer(const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char reason[256];
	rd_kafka_t *rk;

	assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, reason, sizeof(reason)), 0);
	assert_int_equal(rd_kafka_conf_set(conf, "group.id", "test", reason, sizeof(reason)), 0);
	assert_int_equal(rd_kafka_conf_set(conf, "enable.auto.commit", "false", reason, sizeof(reason)), 0);
	assert_int_equal(rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", reason, sizeof(reason)), 0);
	assert_int_equal(rd_kafka_conf_set(conf, "enable.partition.eof", "true", reason, sizeof(reason)), 0);
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
	assert_non_null(rk);
	rd_kafka_poll_set_consumer(rk);
	return rk;
}

uint64_t kafka_reader_all(const char *brokers, const char *topic, kafka_reader_fn see, void *context)
{
	rd_kafka_t *rk = open_consumer(brokers);
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	rd_kafka_topic_partition_list_t *list;
	const rd_kafka_metadata_t *metadata;
	uint64_t n = 0;
	int open;

	assert_int_equal(rd_kafka_metadata(rk, 0, handle, &metadata, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
	open = metadata->topics[0].partition_cnt;
	list = rd_kafka_topic_partition_list_new(open);
	for (int i = 0; i < open; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_metadata_destroy(metadata);
	assert_int_equal(rd_kafka_assign(rk, list), RD_KAFKA_RESP_ERR_NO_ERROR);
	rd_kafka_topic_partition_list_destroy(list);
	while (open > 0) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, WAIT_MS);

		assert_non_null(message);
		if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
			open--;
		} else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			n++;
			see(context, message);
		}
		rd_kafka_message_destroy(message);
	}
	rd_kafka_topic_destroy(handle);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return n;
}

const char *kafka_reader_header(const rd_kafka_message_t *message, const char *name)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t size;

	assert_int_equal(rd_kafka_message_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
	if (rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail_msg("no header %s", name);
	assert_int_equal(strlen(value), size); /* librdkafka ends them with NUL */
	return value;
}
