/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The producer's properties: Penstock's defaults, the user's on top, and the refusal of those that would take
 * away what the ledger relies on (a delivery report for every record, acknowledged by all replicas, written
 * once). Control thread; also for `penstock check`.
 */
#ifndef PENSTOCK_KAFKA_CONF_H
#define PENSTOCK_KAFKA_CONF_H

#include "config.h"
#include "error.h"

#include <librdkafka/rdkafka.h>

/* A configuration for rd_kafka_new() without bootstrap.servers; free with rd_kafka_conf_destroy(). -EINVAL,
 * with the property's name and librdkafka's reason, when one cannot be. */
int kafka_conf_create(const struct config *config, rd_kafka_conf_t **out, struct error *err);

/* The most bytes of key and value that a dead letter can have beside its headers. */
uint32_t kafka_conf_dead_letter_max(const rd_kafka_conf_t *conf);

/* The numeric value of a property, or `otherwise`. */
long long kafka_conf_number(const rd_kafka_conf_t *conf, const char *name, long long otherwise);

#endif
