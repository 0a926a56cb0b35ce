/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything that the workers share, built once from a configuration: the compiled streams, the dedup tables,
 * the dimension slots, and the rings that lead to the sinks. The daemon, `penstock explain`, the tests and
 * the benchmark all run the same engine; they differ in the sources and sinks that they plug in.
 *
 * Control thread, except where a function says otherwise. An engine needs no EAL.
 */
#ifndef PENSTOCK_ENGINE_H
#define PENSTOCK_ENGINE_H

#include "batch.h"
#include "clock.h"
#include "completion.h"
#include "config.h"
#include "dedup.h"
#include "delivered_set.h"
#include "dimension.h"
#include "emit.h"
#include "schema.h"
#include "transport.h"
#include "validate.h"

#include <stdatomic.h>
#include <stdbool.h>

#define ENGINE_MAX_WORKERS CONFIG_MAX_LCORES
#define ENGINE_MAX_SINKS 4u

struct rte_rcu_qsbr;
struct rte_ring;

/* A stream as the workers see it. Immutable after engine_create(). */
struct stream {
	const struct config_stream *config;
	struct schema *schema;
	struct validator *validator;
	struct dedup *dedup;                        /* NULL: dedup is off */
	uint16_t join_dimension[CONFIG_MAX_ENRICH]; /* per join, index of its dimension */
	struct emit_plan plan;
};

struct engine_options {
	uint32_t n_workers;
	uint32_t n_sinks;
	uint32_t batches_per_worker;
	int node;           /* NUMA node of the tables, -1: any */
	uint8_t secret[16]; /* of the dedup hash */
	bool restoring;     /* accepts nothing before engine_restored() */
	const struct clock *clock;
};

struct engine {
	const struct config *config;
	const struct clock *clock;
	struct stream streams[CONFIG_MAX_STREAMS];
	struct schema *schemas[CONFIG_MAX_STREAMS];       /* streams[i].schema, as the parser takes them */
	struct validator *validators[CONFIG_MAX_STREAMS]; /* likewise */
	uint16_t n_streams;

	_Atomic(struct dimension *)
	    dimensions[CONFIG_MAX_DIMENSIONS]; /* control: rw, workers: ro under RCU */
	uint16_t n_dimensions;
	_Atomic bool
	    accepting; /* control: rw, workers: ro. False: required dimensions are missing, events are shed */

	bool restoring; /* control: rw; the dedup windows are not complete yet */
	/* Records that a killed predecessor wrote of events whose other record is missing: the rest of such an event is still
	 * wanted. NULL: none. Set before anything is accepted; workers: ro. The engine frees it. */
	struct delivered_set *half_written;
	int64_t half_written_until_ms; /* monotonic: by then its identities are out of every window */
	struct completion *completion; /* of the workers' batches: confirms the marks in the dedup windows */
	struct transport *transport;   /* the sessions of senders who wait for acknowledgements */
	struct rte_rcu_qsbr *rcu;      /* workers report quiescent states, control waits for them */
	uint32_t n_workers, n_sinks;
	struct batch_pool *pools[ENGINE_MAX_WORKERS];
	struct rte_ring *rings[ENGINE_MAX_WORKERS][ENGINE_MAX_SINKS]; /* worker w -> sink s, struct batch * */
	struct published *published[ENGINE_MAX_WORKERS]; /* struct worker_ledger of each worker */
};

/* Compiles the configuration and allocates everything that is bounded at start-up. `config` must outlive the
 * engine. 0 or -errno with the reason. */
int engine_create(const struct config *config, const struct engine_options *options, struct engine **out,
    struct error *err);

/* All workers and sinks must have stopped. Frees the dimensions too. NULL is allowed. */
void engine_destroy(struct engine *engine);

/* Publishes a snapshot in slot `index`, waits until no worker can see the old one, and returns the old one
 * (NULL: none) for the caller to free. Takes ownership of `dimension` (NULL empties the slot). Sets
 * `accepting` as the required dimensions allow. */
struct dimension *engine_publish(struct engine *engine, uint16_t index, struct dimension *dimension);

/* Whether every required dimension is loaded; if not, *missing is the name of the first that is not. */
bool engine_dimensions_ready(const struct engine *engine, const char **missing);

/* The dedup windows hold what they held before the restart: sets `accepting` as the dimensions allow. */
void engine_restored(struct engine *engine);

/* Whether every batch is back in its pool: nothing is in flight. Any thread. */
bool engine_idle(const struct engine *engine);

#endif
