/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record: batch. Gathers the raw and the enriched events of a batch into one text per topic and partition,
 * one event per line (LF between lines, none at the end), cut into Kafka records of at most a given size. A
 * record that alone is larger than that is a group of its own. Costs one copy of the values. Sink thread.
 */
#ifndef PENSTOCK_KAFKA_GROUP_H
#define PENSTOCK_KAFKA_GROUP_H

#include "batch.h"

struct kafka_group {
	const char *value;
	uint32_t len;
	uint32_t first, count; /* into kafka_groups.order */
	int32_t partition;     /* -1: of records without a key */
	uint8_t kind;
};

struct kafka_groups {
	uint32_t n;
	struct kafka_group *group; /* BATCH_RECORDS, allocated at the first use, as order */
	uint16_t *order;           /* record indexes, grouped */
	char *text;
	size_t text_size;
};

/* Working memory for grouping, one per sink. */
struct kafka_grouping;
struct kafka_grouping *kafka_grouping_create(void);
void kafka_grouping_destroy(struct kafka_grouping *grouping);

/* Fills `groups` from the batch. `partitions` says how many partitions the topic of each kind has; a kind
 * with 0 has no topic and is left out. Dead letters are never grouped. 0 or -ENOMEM. */
int kafka_group_batch(struct kafka_grouping *grouping, const struct batch *batch,
    const int32_t partitions[RECORD_KINDS], uint32_t max_bytes, struct kafka_groups *groups);

/* Frees what the groups own. */
void kafka_groups_free(struct kafka_groups *groups);

#endif
