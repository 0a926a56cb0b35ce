/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A telemetry dump (telemetry.fbs) as plain C: the daemon's counters at one moment.
 *
 * The same struct goes in and comes out. To encode, point the arrays at whatever the caller owns; strings may
 * be NULL where the schema does not require them, and are then left out. What telemetry_decode() gives out
 * owns itself. Any thread; control path only.
 */
#ifndef PENSTOCK_TELEMETRY_H
#define PENSTOCK_TELEMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "error.h"

#define TELEMETRY_MAX_BYTES (64u << 20)

struct telemetry_counter {
	const char *name;
	uint64_t value;
};

struct telemetry_counters {
	const struct telemetry_counter *items;
	size_t n;
};

struct telemetry_stream {
	const char *name;
	uint64_t received, durable, dead_lettered, duplicate, shed, in_flight;
	bool conserved;
	struct telemetry_counters counters; /* whatever else is counted per stream */
	struct telemetry_counters reasons;  /* by reason name */
};

struct telemetry_stage {
	const char *name;
	uint64_t cycles;
	uint64_t events;
};

struct telemetry_worker {
	uint32_t lcore, cpu;
	uint64_t loops, busy_loops, packets, packet_bytes, batches;
	const struct telemetry_stage *stages;
	size_t n_stages;
	struct telemetry_counters frame_reasons;
};

struct telemetry_dimension {
	const char *name;
	const char *version; /* NULL: nothing is loaded */
	uint64_t rows, bytes;
	int64_t age_ms; /* since it was published */
	uint64_t hits, misses;
};

struct telemetry_sink {
	const char *name;
	const char *state;
	uint64_t records, bytes, retries;
	struct telemetry_counters counters;
};

struct telemetry_dedup {
	const char *stream;
	uint64_t slots, entries, evicted;
	int64_t window_ms, covered_ms;
	bool alarm;
};

struct telemetry {
	const char *host, *node, *version;
	int64_t time_ms; /* Unix epoch */
	int64_t uptime_ms;
	uint64_t cycles_per_second; /* turns the stages' cycles into time */
	const struct telemetry_stream *streams;
	size_t n_streams;
	const struct telemetry_worker *workers;
	size_t n_workers;
	const struct telemetry_dimension *dimensions;
	size_t n_dimensions;
	const struct telemetry_sink *sinks;
	size_t n_sinks;
	const struct telemetry_dedup *dedup;
	size_t n_dedup;
	const char *status_json; /* the status document of the same moment */
};

/* Writes a dump; *out is for free(). 0, -ENOMEM, -EINVAL when a required name is NULL, or -EMSGSIZE when the
 * dump would be larger than TELEMETRY_MAX_BYTES. */
int telemetry_encode(const struct telemetry *telemetry, uint8_t **out, size_t *len);

/* Verifies and reads a dump; `bytes` is not referred to afterwards. Free *out with telemetry_free(). 0,
 * -EBADMSG with the reason, or -ENOMEM. */
int telemetry_decode(const uint8_t *bytes, size_t len, struct telemetry **out, struct error *err);

/* Only for what telemetry_decode() gave out; NULL is allowed. */
void telemetry_free(struct telemetry *telemetry);

#ifdef __cplusplus
}
#endif

#endif
