/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger: counters that must balance.
 *
 * For every stream: received = durable + dead_lettered + duplicate + shed + in_flight. Workers count what
 * they received, dropped, shed and handed to the sinks; sinks count what became durable. Each thread counts
 * in a private block and publishes a copy under a sequence lock at the end of a burst, so that the control
 * thread always reads a state in which the worker's own sums hold. Sinks are read before workers, so
 * in_flight is never negative.
 *
 * What makes the check more than arithmetic: received is counted where lines are found, handed where records
 * are written, duplicate in dedup, shed where a batch could not be had; and when every batch is back in its
 * pool, in_flight must be zero.
 */
#ifndef PENSTOCK_LEDGER_H
#define PENSTOCK_LEDGER_H

#include "config.h"
#include "reason.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker_stream_counts {
	uint64_t received; /* events found in packets */
	uint64_t received_bytes;
	uint64_t handed;    /* events put into batches, dead letters included */
	uint64_t duplicate; /* dropped as duplicates */
	uint64_t flagged;   /* duplicates passed on with the flag */
	uint64_t shed;
	uint64_t parked;         /* duplicates that wait for their original; goes up and down */
	uint64_t dedup_evicted;  /* live marks overwritten: the budget does not hold the window */
	uint64_t enriched_bytes; /* written as enriched records */
	uint64_t reasons[REASON_COUNT];
	uint64_t hits[CONFIG_MAX_ENRICH];
	uint64_t misses[CONFIG_MAX_ENRICH];
};

/* Stages that are timed, once per burst. */
enum stage {
	STAGE_RX,
	STAGE_FRAME,
	STAGE_PARSE,
	STAGE_VALIDATE,
	STAGE_DEDUP,
	STAGE_ENRICH,
	STAGE_EMIT,
	STAGE_COUNT
};
const char *stage_name(enum stage stage);

/* The event transport's frames, refused ones apart: those are frame_reasons. */
struct transport_counts {
	uint64_t hellos;         /* HELLO frames that were answered with WELCOME */
	uint64_t frames, events; /* DATA frames that were taken, and what they held */
	uint64_t retransmitted;  /* of these, said by the sender to be sent again: the first one was lost */
	uint64_t probes, closes;
	uint64_t acknowledgements;
	uint64_t errors; /* ERROR frames sent */
	uint64_t unsent; /* answers held back by a limit, or not taken by the port */
};

struct worker_counts {
	uint64_t loops, busy_loops; /* of the worker; busy: there was something to do */
	uint64_t packets, packet_bytes;
	uint64_t batches; /* handed to the sinks */
	struct transport_counts transport;
	uint64_t stage_cycles[STAGE_COUNT];
	uint64_t stage_events[STAGE_COUNT];
	uint64_t frame_reasons[REASON_COUNT]; /* frames discarded before they belonged to a stream */
};

struct worker_ledger {
	struct worker_counts worker;
	struct worker_stream_counts stream[CONFIG_MAX_STREAMS];
};

struct sink_stream_counts {
	uint64_t durable, dead_lettered; /* completed here: this sink's confirmation was the last */
	uint64_t shed;                   /* given up at shutdown: never confirmed */
	uint64_t records, bytes;         /* delivered by this sink */
	uint64_t retries;                /* records produced again after an error */
	uint64_t reasons[REASON_COUNT];
};

struct sink_ledger {
	struct sink_stream_counts stream[CONFIG_MAX_STREAMS];
};

/* A copy of a block of uint64_t, readable by other threads while its one writer goes on. */
struct published {
	_Atomic uint32_t sequence; /* writer: rw, others: ro */
	uint32_t words;
	_Atomic uint64_t word[]; /* writer: rw, others: ro */
};

/* 0 or NULL without memory. `bytes` is a multiple of 8. */
struct published *published_create(size_t bytes);
void published_destroy(struct published *published);
/* The writer: makes the block visible. `offset` and `bytes` say which part changed (multiples of 8). */
void published_begin(struct published *published);
void published_write(struct published *published, size_t offset, const void *block, size_t bytes);
void published_end(struct published *published);
/* Any thread: a consistent copy. Waits only while the writer is in the middle of copying. */
void published_read(const struct published *published, void *block, size_t bytes);

/* One stream's line of the ledger, summed over workers and sinks. */
struct ledger_line {
	uint64_t received, durable, dead_lettered, duplicate, shed, in_flight;
	bool conserved;
	struct worker_stream_counts worker;
	struct sink_stream_counts sink;
};

/* Adds up published blocks. `idle`: every batch is back in its pool. Control thread. */
void ledger_sum(const struct worker_ledger *workers, size_t n_workers, const struct sink_ledger *sinks,
    size_t n_sinks, uint16_t stream, bool idle, struct ledger_line *out);

#endif
