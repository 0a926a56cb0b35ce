/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_sink.h"

#include <errno.h>
#include <string.h>

/* A Kafka record of many events stays well below what brokers take by default (1 MB). */
#define GROUP_BYTES (128u << 10)

static bool grouped(const struct sink_kafka *kafka)
{
	return kafka->config->kafka.record == KAFKA_RECORD_BATCH;
}

static int gather(struct sink_kafka *kafka, struct kafka_slot *slot, const struct batch *batch)
{
	return kafka_group_batch(
	    kafka->grouping, batch, kafka->partitions[batch->stream], GROUP_BYTES, &slot->groups);
}

enum record_kind kafka_slot_kind(const struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	if (item == KAFKA_TOO_LARGE)
		return RECORD_DEAD_LETTER;
	return item == KAFKA_GROUP ? slot->groups.group[index].kind : slot->batch->records[index].kind;
}

uint64_t kafka_slot_bytes(const struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	if (item == KAFKA_TOO_LARGE)
		return slot->batch->events[index].raw_len;
	return item == KAFKA_GROUP ? slot->groups.group[index].len : slot->batch->records[index].value_len;
}

struct kafka_slot *kafka_slot_get(struct sink_kafka *kafka, struct batch *batch)
{
	struct kafka_slot *slot;

	if (kafka->n_free == 0)
		return NULL;
	slot = &kafka->slots[kafka->free_slots[kafka->n_free - 1]];
	slot->ungrouped = grouped(kafka) && !kafka_partitions_known(kafka, batch->stream);
	slot->groups.n = 0;
	if (grouped(kafka) && !slot->ungrouped && gather(kafka, slot, batch) != 0)
		return NULL;
	kafka->n_ungrouped += slot->ungrouped;
	kafka->n_free--;
	slot->batch = batch;
	slot->cursor = 0;
	slot->next_group = 0;
	slot->outstanding = batch->n_records + 1;
	slot->n_todo = 0;
	memset(slot->todo, 0, sizeof(slot->todo));
	memset(slot->confirmed, 0, sizeof(slot->confirmed));
	memset(slot->alone, 0, sizeof(slot->alone));
	memset(slot->waiting, 0, sizeof(slot->waiting));
	memset(slot->dead, 0, sizeof(slot->dead));
	memset(slot->dead_done, 0, sizeof(slot->dead_done));
	kafka->n_outstanding += batch->n_records;
	batch->sink_data[kafka->sink.number] = slot;
	return slot;
}

static void put_back(struct sink_kafka *kafka, struct kafka_slot *slot)
{
	struct batch *batch = slot->batch;

	if (kafka->current == slot)
		kafka->current = NULL;
	slot->batch = NULL;
	kafka->free_slots[kafka->n_free++] = slot->number;
	batch->sink_data[kafka->sink.number] = NULL;
	batch_release(batch);
}

void kafka_slot_settle(struct sink_kafka *kafka, struct kafka_slot *slot)
{
	if (--slot->outstanding == 0)
		put_back(kafka, slot);
}

void kafka_slot_todo(struct sink_kafka *kafka, struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	if (kafka_bit(slot->todo[item], index))
		return;
	kafka_bit_set(slot->todo[item], index);
	slot->n_todo++;
	kafka->n_todo++;
	kafka_lane_of(kafka, slot, item, index)->n_todo++;
}

void kafka_slot_taken(struct sink_kafka *kafka, struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	kafka_bit_clear(slot->todo[item], index);
	slot->n_todo--;
	kafka->n_todo--;
	kafka_lane_of(kafka, slot, item, index)->n_todo--;
}

void kafka_slots_group(struct sink_kafka *kafka)
{
	for (uint32_t i = 0; i < KAFKA_SLOTS && kafka->n_ungrouped > 0; i++) {
		struct kafka_slot *slot = &kafka->slots[i];

		/* Without memory it stays as it is until the next round. */
		if (slot->batch == NULL || !slot->ungrouped || slot == kafka->current ||
		    !kafka_partitions_known(kafka, slot->batch->stream) ||
		    gather(kafka, slot, slot->batch) != 0)
			continue;
		slot->ungrouped = false;
		kafka->n_ungrouped--;
		for (uint32_t group = 0; group < slot->groups.n; group++)
			kafka_slot_todo(kafka, slot, KAFKA_GROUP, group);
		kafka_slot_settle(kafka, slot);
	}
}

void kafka_slot_confirm(struct sink_kafka *kafka, struct kafka_slot *slot, uint32_t record)
{
	if (kafka_bit(slot->confirmed, record))
		return;
	kafka_bit_set(slot->confirmed, record);
	sink_confirm(&kafka->sink, slot->batch, record);
	kafka->confirmed++;
	kafka->n_outstanding--;
	kafka_slot_settle(kafka, slot);
}

void kafka_slot_too_large(struct sink_kafka *kafka, struct kafka_slot *slot, uint32_t record)
{
	struct batch *batch = slot->batch;
	uint32_t event = batch->records[record].event;

	if (kafka_bit(slot->dead_done, event)) {
		kafka_slot_confirm(kafka, slot, record);
		return;
	}
	kafka_bit_set(slot->waiting, record);
	if (kafka_bit(slot->dead, event))
		return;
	kafka_bit_set(slot->dead, event);
	/* Whoever confirms the event's last record reads these after our own confirmation of this one, which
	 * `pending` orders behind the writes. */
	batch->events[event].dead_letter = 1;
	batch->events[event].reason = REASON_RECORD_TOO_LARGE;
	kafka->sink.ledger.stream[batch->stream].reasons[REASON_RECORD_TOO_LARGE]++;
	kafka_slot_todo(kafka, slot, KAFKA_TOO_LARGE, event);
}

void kafka_slot_dead_letter_done(struct sink_kafka *kafka, struct kafka_slot *slot, uint32_t event)
{
	const struct batch *batch = slot->batch;

	if (kafka_bit(slot->dead_done, event))
		return;
	kafka_bit_set(slot->dead_done, event);
	for (uint32_t i = 0, n = batch->n_records; i < n && slot->batch == batch; i++) {
		if (kafka_bit(slot->waiting, i) && batch->records[i].event == event)
			kafka_slot_confirm(kafka, slot, i);
	}
}

void kafka_slot_give_up(struct sink_kafka *kafka, struct kafka_slot *slot)
{
	for (uint32_t i = 0; i < slot->batch->n_records; i++) {
		if (kafka_bit(slot->confirmed, i))
			continue;
		kafka->n_outstanding--;
		sink_shed_event(&kafka->sink, slot->batch, slot->batch->records[i].event);
	}
	kafka->n_todo -= slot->n_todo;
	kafka->n_ungrouped -= slot->ungrouped;
	put_back(kafka, slot);
}
