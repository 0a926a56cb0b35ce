/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where finished records go. A sink is a function table driven by one thread of its own (sink_thread.c): it
 * takes batches, makes their records durable, confirms each of them and releases the batch (batch.h).
 */
#ifndef PENSTOCK_SINK_H
#define PENSTOCK_SINK_H

#include "batch.h"
#include "completion.h"
#include "error.h"

#include <jansson.h>

#define SINK_MAX 4u

struct sink;

struct sink_ops {
	const char *type; /* "kafka", "files", "capture" */
	/* Takes the batch; every record in it will be confirmed (or the batch given up in close), then the
	 * batch released, now or later. -EAGAIN: full, and the batch is untouched; the caller offers it again
	 * after a poll. */
	int (*submit)(struct sink *sink, struct batch *batch);
	/* Makes progress, confirms, releases. Waits at most timeout_ms if there is nothing to do. Returns how
	 * many confirmations it made. */
	int (*poll)(struct sink *sink, int timeout_ms);
	/* Pushes everything out, until nothing is outstanding or the deadline (CLOCK_MONOTONIC, ns) has
	 * passed. 0, or -ETIMEDOUT with records outstanding. */
	int (*flush)(struct sink *sink, uint64_t deadline_ns);
	/* Adds the sink's own state to a JSON object for `penstock status`: addresses, errors, files. Any
	 * thread. */
	void (*describe)(struct sink *sink, json_t *object);
	/* Gives up what is outstanding: counts events that are not complete as shed (REASON_SHED_UNDELIVERED,
	 * once per event) in the ledger, publishes it, releases all batches, frees the sink (not what
	 * `published` points to). */
	void (*close)(struct sink *sink);
};

struct sink {
	const struct sink_ops *ops;
	uint8_t number;                /* 0..SINK_MAX-1, index into batch->sink_data */
	struct sink_ledger ledger;     /* sink thread: rw */
	struct completion *completion; /* sink thread: has something to flush; NULL: none has */
	struct published
	    *published; /* sink thread: rw, control: ro. A copy of ledger; NULL or sink_thread.c's */
};

/* Set in batch_event.pending once an event has been given up, so that several sinks count it once. The
 * counter below it never reaches this bit: two records for each of SINK_MAX sinks. */
#define SINK_GIVEN_UP 0x80u

/* One record of the batch is durable here. Sink thread; sink_settle() follows before it waits for anything. */
static inline void sink_confirm(struct sink *sink, struct batch *batch, uint32_t record)
{
	struct completion *completion = batch->completion;

	if (!batch_confirm(batch, record, &sink->ledger) || completion == NULL)
		return;
	if (sink->completion != completion && sink->completion != NULL)
		sink->completion->ops->flush(sink->completion, sink->number);
	sink->completion = completion;
	completion->ops->complete(completion, sink->number, batch, batch->records[record].event);
}

/* No confirmation follows for the moment. Sink thread. */
static inline void sink_settle(struct sink *sink)
{
	struct completion *completion = sink->completion;

	sink->completion = NULL;
	if (completion != NULL)
		completion->ops->flush(completion, sink->number);
}

/* For close: a record of this event will never be confirmed here. Counts the event as shed unless another
 * sink has done so. Sink thread. */
void sink_shed_event(struct sink *sink, struct batch *batch, uint32_t event);

/* Gives up a batch that no sink_ops.submit has taken, and releases it. Sink thread. */
void sink_shed_batch(struct sink *sink, struct batch *batch);

/* Publishes the whole ledger, if there is anywhere to publish it; every close ends with it. Sink thread. */
void sink_publish(struct sink *sink);

/* Kafka by librdkafka (sink_kafka.c); files by zstd (sink_file.c). `config` must outlive the sink. Control
 * thread. */
int sink_kafka_create(const struct config *config, uint8_t number, struct sink **out, struct error *err);
int sink_file_create(const struct config *config, uint8_t number, struct sink **out, struct error *err);

/* For tests, `explain` and benchmarks: calls `record` for each record, on the sink thread, then confirms it.
 * With a NULL callback it only confirms. */
typedef void (*sink_capture_fn)(void *context, const struct batch *batch, const struct record *record);
int sink_capture_create(
    sink_capture_fn record, void *context, uint8_t number, struct sink **out, struct error *err);

#endif
