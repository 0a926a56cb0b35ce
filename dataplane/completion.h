/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What follows when an event is complete: every sink has confirmed every record of it, or it has been given up.
 *
 * A batch carries a pointer to the completion that its owner wants (batch.h); sinks report through sink_confirm() and
 * sink_shed_event() (sink.h). The workers' batches use the one made here: it ends the event's mark in the dedup
 * window, in groups, so that the table's cache misses overlap, and then calls whoever else needs to know, in the order
 * in which they were added.
 *
 * Threads: create, add and destroy on the control thread while no sink runs; everything else on the sink threads, each
 * of which has a buffer of its own by its sink's number. No allocation, no lock, no system call.
 * Cost: about one cache miss per event, most of it hidden.
 */
#ifndef PENSTOCK_COMPLETION_H
#define PENSTOCK_COMPLETION_H

#include "clock.h"
#include "config.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct completion;
struct dedup;

struct completion_ops {
	/* An event of the batch is durable, or its dead letter is. May be put off until flush. */
	void (*complete)(
	    struct completion *completion, uint8_t sink, const struct batch *batch, uint32_t event);
	/* An event will not be delivered; once per event, however many sinks give it up. */
	void (*give_up)(
	    struct completion *completion, uint8_t sink, const struct batch *batch, uint32_t event);
	/* Nothing more is to come from this sink for the moment. */
	void (*flush)(struct completion *completion, uint8_t sink);
};

struct completion {
	const struct completion_ops *ops;
};

/* What the listeners of completion_create() get of an event. */
struct completed {
	uint64_t key[2]; /* keyed hash of the identity; meaningful where `marked` */
	uint32_t ticket; /* of the sender who waits for it; 0: nobody does */
	uint32_t epoch;  /* the batch's */
	uint16_t stream;
	uint8_t reason; /* enum reason, for dead letters */
	bool dead_letter;
	bool marked; /* it owned the mark of its identity */
};

struct completion_listener {
	/* Durable from here on; their marks are confirmed. NULL: not interested. */
	void (*complete)(void *context, uint8_t sink, const struct completed *events, uint32_t n);
	/* Given up; its mark is gone. NULL: not interested. */
	void (*give_up)(void *context, uint8_t sink, const struct completed *event);
	void *context;
};

#define COMPLETION_MAX_LISTENERS 4u

/* `dedup` has one entry per stream, NULL where a stream has no window; the array is copied. */
int completion_create(struct dedup *const *dedup, uint32_t n_streams, const struct clock *clock,
    struct completion **out, struct error *err);
/* 0 or -ENOSPC. */
int completion_listen(struct completion *completion, const struct completion_listener *listener);
/* NULL is allowed. */
void completion_destroy(struct completion *completion);

#endif
