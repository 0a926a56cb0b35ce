/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Enrich: for each live event and each join of its stream, the row of the dimension.
 *
 * Three passes over the burst, so that each memory access has been prefetched before it is used: hash the
 * keys and prefetch the buckets; probe the buckets and prefetch the rows; compare the keys. The burst sees
 * one snapshot of each dimension from its start to its end.
 *
 * Worker only; no allocation, no system call, no wait.
 */
#ifndef PENSTOCK_ENRICH_H
#define PENSTOCK_ENRICH_H

#include "dimension.h"
#include "event.h"

/* One join of one event. */
struct join {
	uint64_t hash;
	const char *json; /* the row's object, or NULL */
	uint32_t json_len;
	uint32_t ref;
	uint8_t wanted; /* the event has the key */
};

struct engine;
struct worker_ledger;

struct enrich {
	const struct dimension *dimensions[CONFIG_MAX_DIMENSIONS]; /* the snapshots of this burst */
	struct join joins[BURST_EVENTS][CONFIG_MAX_ENRICH];
};

/* Takes the current snapshots; they may be used until the worker's next quiescent state. */
void enrich_begin(struct enrich *enrich, const struct engine *engine);

/* First pass: hashes and prefetches. Can run long before enrich_burst(), so that the latency is hidden. */
void enrich_prefetch(struct enrich *enrich, const struct engine *engine, struct burst *burst);

/* The stage: second and third pass; ends events whose miss is to be a dead letter; counts hits and misses. */
void enrich_burst(
    struct enrich *enrich, const struct engine *engine, struct burst *burst, struct worker_ledger *ledger);

#endif
