/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What well-known libraries need for the core of each stage's work, in the same process on the same machine.
 * Each function says what it does and what our stage does beyond it; returns nanoseconds per event, or a
 * negative value with the reason in err. Needs hugemem and, for rte_hash, the EAL.
 */
#ifndef PENSTOCK_PERF_REFERENCE_H
#define PENSTOCK_PERF_REFERENCE_H

#include "schema.h"
#include "workload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* simdjson On-Demand: iterates each event's members, finds each declared field by its name, and takes a view
 * of its value. It does not check values that nobody asks for, UTF-8 excepted; our parser does. */
double reference_simdjson(
    const struct workload_event *events, uint32_t n, const char *const *names, uint32_t n_names);

#ifdef __cplusplus
}
#endif

/* rte_raw_cksum over each frame, the least that a software check of a frame has to do. Ours checks lengths
 * and both checksums, finds the stream, and splits the lines. */
double reference_checksum(const struct workload *workload);

/* One hs_scan for each field with a format or a pattern, each with its own database. Ours checks presence,
 * types, enumerations, lengths, ranges and the time stamp as well. */
double reference_hyperscan(
    const struct schema *schema, const struct workload *workload, uint32_t n, struct error *err);

/* rte_hash in lock-free mode with `entries` slots, half full: looks up in bulk, then adds, `n` random 16-byte
 * keys, its own hash (jhash) included. Ours hashes a uuid of 36 bytes with a keyed hash; it also lets marks
 * expire. */
double reference_rte_hash_dedup(uint32_t entries, uint32_t n, struct error *err);

/* rte_hash_lookup_bulk_data with random keys of 16 bytes, jhash included, and one read of the row,
 * prefetched: `n` times in a table of each size; the sum by how many lookups an event takes. Ours compares
 * the key in the row. */
struct reference_join {
	uint32_t rows;
	double per_event;
};
double reference_rte_hash_join(
    const struct reference_join *joins, uint32_t n_joins, uint32_t n, struct error *err);

/* memcpy of `bytes` per event, from the events to as many batches' bytes in turn as the chain goes through.
 * Ours gathers them from the event, the rows and constant text, and writes what describes the records. */
double reference_memcpy(const struct workload *workload, uint64_t bytes, uint32_t buffers);

#endif
