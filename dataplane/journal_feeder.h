/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What brings the journal's events to Kafka and the files: one thread that reads the journal, mostly from the page
 * cache right behind the writer, and hands batches to the sinks' threads as a worker would. It keeps the checkpoint of what
 * is delivered, at most every 200 ms, and deletes the segments that nobody needs any more. An outage of a sink
 * only makes the backlog grow.
 *
 * Each sink has its own lanes (journal_lane.h), so a slow one does not hold up another. A batch that a sink gives up at
 * a shutdown stays in the journal.
 *
 * Order of calls, on the control thread: create; start each sink's thread on journal_feeder_rings(); start; to end:
 * pause, stop the sinks' threads, stop, destroy. describe, backlog and idle: any thread in between.
 */
#ifndef PENSTOCK_JOURNAL_FEEDER_H
#define PENSTOCK_JOURNAL_FEEDER_H

#include "journal_lane.h"

#include <jansson.h>
#include <sched.h>

#define FEEDER_SINKS 2u

struct journal_feeder;

struct journal_feeder_sink {
	const char *type; /* names the marks in the checkpoint; at most 7 bytes */
	bool per_output;  /* a lane for each output of a stream; otherwise one for all of them */
	bool reconciled;  /* see journal_skip_fn */
};

/* Allocates batches and lanes; positions come from the checkpoint, or are the oldest one for a sink that is not in it.
 */
int journal_feeder_create(struct journal *journal, const struct journal_feeder_sink *sinks, uint32_t n_sinks,
    struct journal_feeder **out, struct error *err);

/* The rings of one sink, for sink_thread_start(). Returns how many; the array belongs to the feeder. */
size_t journal_feeder_rings(struct journal_feeder *feeder, uint32_t sink, struct rte_ring *const **rings);

/* Which records of the replay are in Kafka already (NULL: none is known to be). Until then, once, the replay to such sinks waits;
 * everything else goes on. Control thread. */
void journal_feeder_reconcile(struct journal_feeder *feeder, journal_skip_fn skip, void *context);

int journal_feeder_start(struct journal_feeder *feeder, const cpu_set_t *cpus, struct error *err);

/* Events that are not delivered everywhere: those from the oldest one that some sink lacks to the end. */
uint64_t journal_feeder_backlog(struct journal_feeder *feeder);

/* Whether everything durable is delivered and nothing is with a sink. */
bool journal_feeder_idle(struct journal_feeder *feeder);

/* Whether nothing is with a sink. */
bool journal_feeder_quiet(struct journal_feeder *feeder);

/* Hands nothing over any more; returns when that holds. */
void journal_feeder_pause(struct journal_feeder *feeder);

/* Takes back what the sinks have released, writes the last checkpoint, joins the thread. 0 or the checkpoint's error. */
int journal_feeder_stop(struct journal_feeder *feeder, struct error *err);

/* Stops it if it still runs. NULL is allowed. */
void journal_feeder_destroy(struct journal_feeder *feeder);

/* backlog, age of the oldest event, and each lane. */
void journal_feeder_describe(struct journal_feeder *feeder, json_t *object);

#endif
