/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far the output topics are covered by the identity log: for each partition an offset below which every record of
 * this daemon belongs to an event whose identity is in the log. After a restart only what lies behind is read.
 *
 * A record is delivered before its event is complete, so the offsets of delivery reports alone would promise too much.
 * Batches are therefore counted by epoch: the offsets are noted, the epoch ends, and the checkpoint is made when every
 * event of every batch that the sink took up to then is complete.
 *
 * Threads: the Kafka sink's for batch, delivered and tick; the listener's functions on any sink thread; seed before the
 * first batch; finish after the sink threads have stopped.
 * Cost: an addition per delivery report; one atomic subtraction per group of completions.
 */
#ifndef PENSTOCK_KAFKA_CHECKPOINT_H
#define PENSTOCK_KAFKA_CHECKPOINT_H

#include "completion.h"
#include "error.h"

#include <stdint.h>

struct batch;
struct kafka_checkpoint;

/* Takes a checkpoint's text. */
typedef void (*kafka_checkpoint_fn)(void *context, const char *text, size_t len);

int kafka_checkpoint_create(
    kafka_checkpoint_fn emit, void *context, struct kafka_checkpoint **out, struct error *err);
void kafka_checkpoint_destroy(struct kafka_checkpoint *checkpoint);

/* Must come behind the identity log's among the listeners. */
struct completion_listener kafka_checkpoint_listener(struct kafka_checkpoint *checkpoint);

/* The next offset of a partition that nothing was delivered to yet. Before kafka_checkpoint_ready(). 0 or -ENOMEM. */
int kafka_checkpoint_seed(
    struct kafka_checkpoint *checkpoint, const char *topic, int32_t partition, int64_t next);
/* All is seeded: checkpoints are made from here on, the first one at once. `cluster` names the brokers' cluster, so that
 * nobody takes the offsets of one for those of another; where it has no name there are no checkpoints. */
void kafka_checkpoint_ready(struct kafka_checkpoint *checkpoint, const char *cluster);

/* The sink takes a batch. */
void kafka_checkpoint_batch(struct kafka_checkpoint *checkpoint, struct batch *batch);
/* A record is at this offset. */
void kafka_checkpoint_delivered(
    struct kafka_checkpoint *checkpoint, const char *topic, int32_t partition, int64_t offset);
/* From time to time. */
void kafka_checkpoint_tick(struct kafka_checkpoint *checkpoint, uint64_t now_ns);

/* The last one. It says that the end was an orderly one, if nothing was given up. */
void kafka_checkpoint_finish(struct kafka_checkpoint *checkpoint);

/* ---- reading one ---- */

struct kafka_checkpoint_entry {
	char topic[256];
	int32_t partition;
	int64_t next;
};

/* The head of a checkpoint: the cluster (at most 255 bytes) and whether it was made by an orderly end. Returns where
 * the entries begin, NULL if this is no checkpoint. */
const char *kafka_checkpoint_head(const char *text, char cluster[256], bool *clean);
/* Reads one entry and moves on. False: there are no more. */
bool kafka_checkpoint_next(const char **at, struct kafka_checkpoint_entry *out);

#endif
