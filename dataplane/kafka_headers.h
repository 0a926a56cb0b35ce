/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Headers of Kafka records: CloudEvents 1.0 (Kafka protocol binding) on enriched records, and on dead letters
 * what went wrong, in Penstock's names and in those that Kafka Connect's tools read. Sink thread.
 */
#ifndef PENSTOCK_KAFKA_HEADERS_H
#define PENSTOCK_KAFKA_HEADERS_H

#include "batch.h"

#include <librdkafka/rdkafka.h>

/* What is the same for all records of a stream: immutable, one per stream. */
struct kafka_headers;
struct kafka_headers *kafka_headers_create(const struct config *config, const struct config_stream *stream);
void kafka_headers_destroy(struct kafka_headers *headers);

/* New header lists; the caller hands them to librdkafka or destroys them. NULL: no memory. */
rd_kafka_headers_t *kafka_headers_event(
    const struct kafka_headers *headers, const struct batch *batch, const struct batch_event *event);
/* For a record of `count` events. `cloud`: with the CloudEvents headers that hold for all of them. */
rd_kafka_headers_t *kafka_headers_group(const struct kafka_headers *headers, uint32_t count, bool cloud);
/* `value_len` is less than the event's where the rest was cut off: penstock.error.length says then how long
 * it was. */
rd_kafka_headers_t *kafka_headers_dead_letter(const struct kafka_headers *headers, const struct batch *batch,
    const struct batch_event *event, uint32_t value_len);

#endif
