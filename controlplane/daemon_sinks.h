/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's sinks, in either order of things. `durability: kafka`: workers hand batches to Kafka and the files, and an
 * event is durable when all have it. `durability: journal`: workers hand them to the journal only, which makes them durable; its
 * feeder hands them on.
 *
 * Steps of daemon_steps.c and the end of daemon.c. Control thread.
 */
#ifndef PENSTOCK_DAEMON_SINKS_H
#define PENSTOCK_DAEMON_SINKS_H

#include "daemon.h"

/* How many sinks the workers hand batches to. */
uint32_t daemon_engine_sinks(const struct config *config);

int daemon_journal_open(struct daemon *daemon, struct error *err);
void daemon_journal_close(struct daemon *daemon);

int daemon_sinks_start(struct daemon *daemon, struct error *err);
void daemon_sinks_destroy(struct daemon *daemon);

/* When the dedup windows are restored: from here on the journal is delivered. */
int daemon_feeder_start(struct daemon *daemon, struct error *err);

/* Lets the feeder replay what an earlier run left, once it is known what of it is in Kafka already. Every tick. */
int daemon_reconcile_tick(struct daemon *daemon, struct error *err);
void daemon_feeder_stop(struct daemon *daemon);

/* Says once of every damaged place that the log does not know yet. */
void daemon_journal_tick(struct daemon *daemon);

/* Ends all sinks by the deadline (CLOCK_MONOTONIC, ns); the workers have stopped. 0, or -ETIMEDOUT: something was given
 * up and is counted as shed. What is left in the journal is neither, and said in the log. A second call does nothing. */
int daemon_sinks_stop(struct daemon *daemon, uint64_t deadline_ns, struct error *err);

#endif
