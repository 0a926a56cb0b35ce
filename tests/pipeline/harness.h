/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine in a test: a configuration given as text, dimensions given as JSON lines, packets from arrays,
 * records caught from the ring, and a clock that stands still. One worker, driven by the test itself.
 */
#ifndef PENSTOCK_TEST_HARNESS_H
#define PENSTOCK_TEST_HARNESS_H

#include "config.h"
#include "engine.h"
#include "worker.h"
#include "sink.h"

#define HARNESS_NOW_MS INT64_C(1750203005123) /* 2025-06-17T23:30:05.123Z */

struct caught {
	enum record_kind kind;
	uint16_t stream;
	uint8_t reason;
	char *value, *key,
	    *message; /* NUL-terminated copies; values of fuzzed events can hold further NULs */
	uint32_t value_len;
};

#define HARNESS_MAX_SENT 256u

/* What the daemon sent through the feed. */
struct sent {
	uint8_t bytes[1536];
	uint32_t len;
};

struct feed {
	struct source source; /* first. Lossless, unless the test says otherwise */
	const struct packet *packets;
	uint32_t n, next;
	struct sent sent[HARNESS_MAX_SENT];
	uint32_t n_sent; /* for the test to set back */
};

struct harness {
	struct manual_clock clock;
	struct config *config;
	struct engine *engine;
	struct worker *worker;
	struct feed feed;
	struct sink sink; /* has counts, and no thread */
	bool refuse;      /* gives up every batch */
	struct caught *caught;
	size_t n_caught, caught_size;
	bool keep; /* keep copies of records; otherwise they are only counted in `records` */
	uint64_t records[RECORD_KINDS];
	char directory[64]; /* for snapshot files */
};

/* Everything asserts: a failure here is a broken test. `edit` may change the configuration before it is used.
 */
void harness_open(struct harness *h, const char *yaml, size_t len, void (*edit)(struct config *));
void harness_close(struct harness *h);

/* Builds a snapshot from JSON lines with the member `key` and publishes it. Returns the old one's version
 * count. */
void harness_dimension(
    struct harness *h, const char *name, const char *version, const char *key, const char *jsonl);

/* Runs packets through, hands all batches over and catches every record. */
void harness_run(struct harness *h, const struct packet *packets, uint32_t n);

/* The first half of harness_run(): the worker takes the packets (none: n is 0), answers what is due, and hands all
 * batches over, which stay where they are. */
void harness_take(struct harness *h, const struct packet *packets, uint32_t n);

/* The second half: catches and confirms (or refuses) every record. */
void harness_deliver(struct harness *h);

/* One payload of NDJSON for a stream. */
void harness_send(struct harness *h, uint16_t stream, const char *text, size_t len);

/* The caught record number `i` of that kind, or NULL. */
const struct caught *harness_record(const struct harness *h, enum record_kind kind, size_t i);
void harness_forget(struct harness *h);

/* The worker's own counts. */
const struct worker_stream_counts *harness_counts(const struct harness *h, uint16_t stream);

/* A whole file, NUL-terminated; the caller frees it. NULL if it cannot be read. */
char *harness_read(const char *path, size_t *len);

#endif
