/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a killed daemon had delivered from its journal without living to say so: found in the output topics, so that the
 * replay leaves it out. Runs beside everything else in a thread of its own, because a journal's daemon is to accept events
 * while Kafka is away; only the replay of the old events to Kafka waits for it.
 *
 * The topics are read from the arrival of the oldest event that the journal still has, by the wall clock, and a margin for
 * clocks that step. Events without a mark in a dedup window cannot be recognised and are delivered again.
 *
 * Control thread; the look-up is for the journal's feeder.
 */
#ifndef PENSTOCK_JOURNAL_RECONCILE_H
#define PENSTOCK_JOURNAL_RECONCILE_H

#include "engine.h"
#include "journal.h"
#include "journal_lane.h"

#include <jansson.h>

struct journal_reconcile;

enum reconcile_state { RECONCILE_READING, RECONCILE_DONE, RECONCILE_FAILED };

/* Starts to read; `*out` is NULL where there is nothing to reconcile: no Kafka, a broker that forgets with the process, or a
 * journal that was empty. 0 or -errno. */
int journal_reconcile_start(
    const struct engine *engine, struct journal *journal, struct journal_reconcile **out, struct error *err);
/* RECONCILE_FAILED: err says why; nothing must be replayed. */
enum reconcile_state journal_reconcile_state(struct journal_reconcile *reconcile, struct error *err);
/* A journal_skip_fn; its context is the struct journal_reconcile, once that is done. */
bool journal_reconcile_delivered(void *context, const struct batch *batch, const struct record *record);

/* How many records were found, and where it stands. The caller owns the reference. */
uint64_t journal_reconcile_found(const struct journal_reconcile *reconcile);
json_t *journal_reconcile_describe(struct journal_reconcile *reconcile);

/* Stops it if it still reads. NULL is allowed. */
void journal_reconcile_close(struct journal_reconcile *reconcile);

#endif
