/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_group.h"

#include "kafka_partition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kafka_grouping {
	uint32_t bucket[BATCH_RECORDS]; /* of each record: kind and partition */
	uint32_t *start;                /* where each bucket begins in the order; one more at the end */
	size_t n_start;
};

struct kafka_grouping *kafka_grouping_create(void)
{
	return calloc(1, sizeof(struct kafka_grouping));
}

void kafka_grouping_destroy(struct kafka_grouping *grouping)
{
	if (grouping == NULL)
		return;
	free(grouping->start);
	free(grouping);
}

void kafka_groups_free(struct kafka_groups *groups)
{
	free(groups->group);
	free(groups->order);
	free(groups->text);
	memset(groups, 0, sizeof(*groups));
}

static int make_room(
    struct kafka_grouping *grouping, size_t n_buckets, size_t text, struct kafka_groups *groups)
{
	if (groups->group == NULL)
		groups->group = malloc(BATCH_RECORDS * sizeof(groups->group[0]));
	if (groups->order == NULL)
		groups->order = malloc(BATCH_RECORDS * sizeof(groups->order[0]));
	if (groups->text_size < text) {
		free(groups->text);
		groups->text = malloc(text);
		groups->text_size = groups->text != NULL ? text : 0;
	}
	if (grouping->n_start < n_buckets + 1) {
		free(grouping->start);
		grouping->start = malloc((n_buckets + 1) * sizeof(grouping->start[0]));
		grouping->n_start = grouping->start != NULL ? n_buckets + 1 : 0;
	}
	if (groups->group == NULL || groups->order == NULL || groups->text_size < text ||
	    grouping->start == NULL)
		return -ENOMEM;
	return 0;
}

/* Appends the records order[first..end) to the text, starting a new group where one would become too long. */
static char *write_groups(const struct batch *batch, uint8_t kind, int32_t partition, uint32_t first,
    uint32_t end, uint32_t max_bytes, struct kafka_groups *groups, char *text)
{
	struct kafka_group *group = NULL;

	for (uint32_t i = first; i < end; i++) {
		const struct record *record = &batch->records[groups->order[i]];

		if (group != NULL && group->len + 1 + record->value_len > max_bytes)
			group = NULL;
		if (group == NULL) {
			group = &groups->group[groups->n++];
			*group = (struct kafka_group){
			    .value = text, .first = i, .kind = kind, .partition = partition};
		} else {
			*text++ = '\n';
			group->len++;
		}
		memcpy(text, batch->bytes + record->value, record->value_len);
		text += record->value_len;
		group->len += record->value_len;
		group->count++;
	}
	return text;
}

int kafka_group_batch(struct kafka_grouping *grouping, const struct batch *batch,
    const int32_t partitions[RECORD_KINDS], uint32_t max_bytes, struct kafka_groups *groups)
{
	/* Per kind one bucket for records without a key, then one per partition. */
	uint32_t base[RECORD_KINDS], n_buckets = 0;
	size_t text_bytes = 0;
	char *text;

	for (uint32_t kind = 0; kind < RECORD_KINDS; kind++) {
		base[kind] = n_buckets;
		if (kind != RECORD_DEAD_LETTER && partitions[kind] > 0)
			n_buckets += 1 + (uint32_t)partitions[kind];
	}
	for (uint32_t i = 0; i < batch->n_records; i++)
		text_bytes += batch->records[i].value_len + 1u;
	groups->n = 0;
	if (n_buckets == 0)
		return 0;
	if (make_room(grouping, n_buckets, text_bytes, groups) != 0)
		return -ENOMEM;

	/* A counting sort: sizes, then starts, then places. */
	memset(grouping->start, 0, (n_buckets + 1) * sizeof(grouping->start[0]));
	for (uint32_t i = 0; i < batch->n_records; i++) {
		const struct record *record = &batch->records[i];

		grouping->bucket[i] = UINT32_MAX;
		if (record->kind == RECORD_DEAD_LETTER || partitions[record->kind] <= 0)
			continue;
		grouping->bucket[i] =
		    base[record->kind] + (uint32_t)(kafka_partition(batch->bytes + record->key,
		                                        record->key_len, partitions[record->kind]) +
		                                    1);
		grouping->start[grouping->bucket[i] + 1]++;
	}
	for (uint32_t b = 0; b < n_buckets; b++)
		grouping->start[b + 1] += grouping->start[b];
	for (uint32_t i = 0; i < batch->n_records; i++) {
		if (grouping->bucket[i] != UINT32_MAX)
			groups->order[grouping->start[grouping->bucket[i]]++] = (uint16_t)i;
	}

	/* Each bucket's start has moved to its end. */
	text = groups->text;
	for (uint32_t b = 0, first = 0; b < n_buckets; first = grouping->start[b++]) {
		uint8_t kind = b >= base[RECORD_ENRICHED] ? RECORD_ENRICHED : RECORD_RAW;

		text = write_groups(batch, kind, (int32_t)(b - base[kind]) - 1, first, grouping->start[b],
		    max_bytes, groups, text);
	}
	return 0;
}
