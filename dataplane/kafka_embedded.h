/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `bootstrap: embedded`: a Kafka broker inside the process, on loopback, for trying Penstock out and for
 * tests. It is librdkafka's mock cluster: real clients can produce to it and consume from it, but it keeps
 * only about the last 5 MB of each partition, in memory, and knows neither TLS nor SASL. Control thread.
 */
#ifndef PENSTOCK_KAFKA_EMBEDDED_H
#define PENSTOCK_KAFKA_EMBEDDED_H

#include "config.h"
#include "error.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define KAFKA_EMBEDDED_PARTITIONS 4

struct kafka_embedded;

/* Starts it, with all topics of the configuration. */
int kafka_embedded_create(const struct config *config, struct kafka_embedded **out, struct error *err);
void kafka_embedded_destroy(struct kafka_embedded *embedded);
/* Its address, as bootstrap.servers takes it. */
const char *kafka_embedded_address(const struct kafka_embedded *embedded);

/* For tests, to inject errors. */
rd_kafka_mock_cluster_t *kafka_embedded_cluster(const struct kafka_embedded *embedded);

#endif
