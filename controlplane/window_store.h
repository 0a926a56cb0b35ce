/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dedup windows across restarts: what the identity log of the last run says is marked again, and what the output
 * topics hold behind its last checkpoint, on a thread of its own, before the first event is accepted; from then on the
 * log follows what becomes durable.
 *
 * An embedded broker forgets its records with the process; an event that is forgotten must not stay a duplicate, so
 * then there is no log, and every start begins with empty windows.
 *
 * Control thread.
 */
#ifndef PENSTOCK_WINDOW_STORE_H
#define PENSTOCK_WINDOW_STORE_H

#include "engine.h"
#include "journal.h"

#include <jansson.h>

struct window_store;

enum window_state { WINDOW_RESTORING, WINDOW_READY, WINDOW_FAILED };

/* Opens the log in the state directory and listens to the engine's completions: no sink may run yet. `secret` is the
 * one that the engine hashes with. With a journal (NULL: none), its events that are not delivered yet are marked too: a crash can
 * leave them out of the log. */
int window_store_open(const struct config *config, struct engine *engine, struct journal *journal,
    const uint8_t secret[16], bool secret_is_new, struct window_store **out, struct error *err);

/* Starts to restore. The engine accepts nothing until engine_restored(). */
int window_store_start(struct window_store *store, struct error *err);

/* What the Kafka sink keeps up to date (sink_kafka_checkpoint()); NULL: nothing. */
struct kafka_checkpoint *window_store_checkpoint(struct window_store *store);

/* WINDOW_FAILED: err says why, and nothing must be accepted. */
enum window_state window_store_state(struct window_store *store, struct error *err);

/* What there is to say about the past, in one line, once it is restored. */
void window_store_summary(struct window_store *store, char *line, size_t size);

/* For `penstock status`; adds to the alarms. The caller owns the reference. */
json_t *window_store_describe(struct window_store *store, json_t *alarms);

/* The sinks have stopped. Waits for the last identities to be written. NULL is allowed. */
void window_store_close(struct window_store *store);

#endif
