/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access to the inside of a Kafka sink, for tests that inject errors. The thread that drives the sink.
 */
#ifndef PENSTOCK_SINK_KAFKA_H
#define PENSTOCK_SINK_KAFKA_H

#include "sink.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/* The broker inside; NULL where the brokers are the user's. */
rd_kafka_mock_cluster_t *sink_kafka_cluster(struct sink *sink);
/* The producer; another one after a fatal error, NULL while there is none. */
rd_kafka_t *sink_kafka_handle(struct sink *sink);

/* Keeps the checkpoint up to date. Before the sink's thread is started; it must outlive the sink. */
struct kafka_checkpoint;
void sink_kafka_checkpoint(struct sink *sink, struct kafka_checkpoint *checkpoint);

#endif
