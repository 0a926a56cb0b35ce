/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads topics back, for tests of what was produced. */
#ifndef PENSTOCK_TESTS_KAFKA_READER_H
#define PENSTOCK_TESTS_KAFKA_READER_H

#include <librdkafka/rdkafka.h>

typedef void (*kafka_reader_fn)(void *context, const rd_kafka_message_t *message);

/* Calls `see` for every record that is in the topic now, partition by partition. Returns how many. */
uint64_t kafka_reader_all(const char *brokers, const char *topic, kafka_reader_fn see, void *context);

/* The value of a header, which must be there, as a string. Valid as long as the message. */
const char *kafka_reader_header(const rd_kafka_message_t *message, const char *name);

#endif
