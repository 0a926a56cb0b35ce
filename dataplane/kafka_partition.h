/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which partition of a topic a key belongs to: murmur2 as in the Java client's default partitioner and
 * librdkafka's "murmur2_random", which the Kafka sink uses. Any thread; about 1 ns per 4 bytes of key.
 */
#ifndef PENSTOCK_KAFKA_PARTITION_H
#define PENSTOCK_KAFKA_PARTITION_H

#include <stddef.h>
#include <stdint.h>

/* 0..n_partitions-1, or -1 where the key is empty: then the producer picks one. `n_partitions` is above 0. */
int32_t kafka_partition(const void *key, size_t len, int32_t n_partitions);

#endif
