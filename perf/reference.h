/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same work as our stages, done by well-known libraries on the same data in the same process. Each
 * returns nanoseconds per event, or a negative value with the reason in err.
 */
#ifndef PENSTOCK_PERF_REFERENCE_H
#define PENSTOCK_PERF_REFERENCE_H

#include "schema.h"
#include "workload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* simdjson On-Demand: iterates each event's members and takes a view of each declared field. */
double reference_simdjson(
    const struct workload_event *events, uint32_t n, const char *const *names, uint32_t n_names);

#ifdef __cplusplus
}
#endif

/* rte_raw_cksum over each frame, the least that a software check of a frame has to do. */
double reference_checksum(const struct workload *workload);

/* One hs_scan per event for each field with a format or a pattern, each with its own database. */
double reference_hyperscan(
    const struct schema *schema, const struct workload *workload, uint32_t n, struct error *err);

/* rte_hash in lock-free mode with `entries` slots, half full: looks up and adds `n` random 16-byte keys in
 * bursts. */
double reference_rte_hash_dedup(uint32_t entries, uint32_t n, struct error *err);

/* rte_hash_lookup_bulk_data for `joins` tables of `rows` entries each, with keys of 16 bytes, in bursts of
 * 32, and one read of the row that was found. */
double reference_rte_hash_join(const uint32_t *rows, uint32_t joins, uint32_t n, struct error *err);

/* memcpy of `bytes` per event, from the events to a buffer of a batch's size. */
double reference_memcpy(const struct workload *workload, uint64_t bytes);

#endif
