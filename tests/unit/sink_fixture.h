/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of sinks share: a configuration with one stream, batches full of numbered events, a sink
 * driven by the test itself, and a check that every event was completed exactly once.
 */
#ifndef PENSTOCK_TESTS_SINK_FIXTURE_H
#define PENSTOCK_TESTS_SINK_FIXTURE_H

#include "batch.h"
#include "config.h"
#include "sink.h"

#define FIXTURE_WAIT_NS 60000000000ull /* patience before a test fails */

struct fixture {
	struct config config;
	struct config_stream stream;
	struct batch_pool *pool;
	uint32_t n_batches;
	uint32_t next;       /* number of the next event */
	uint32_t dead_every; /* every n-th event is a dead letter; 0: none */
	uint32_t padding;    /* bytes added to each enriched value */
	uint32_t sinks;      /* confirmations per record */
};

/* A stream "shop" with topics "raw", "enriched" and "dead"; nothing else is enabled. */
void fixture_init(struct fixture *fixture, uint32_t n_batches);
/* Checks that every batch came back. */
void fixture_fini(struct fixture *fixture);

/* A batch of `n_events` numbered events, waiting for nothing; NULL: none is free. Event i has the raw value
 * {"n":i}, the enriched value {"n":i,"enrichments":{...}}, the key "key-<i % 1000>", the identity "id-<i>"; a
 * dead letter has the value "broken <i>", no key, and the reason json_syntax. */
struct batch *fixture_batch(struct fixture *fixture, uint32_t n_events);

/* Submits and polls until the sink has taken the batch. */
void fixture_submit(struct sink *sink, struct batch *batch);
/* The same for `n` new events in batches of at most `per_batch`. */
void fixture_submit_events(struct fixture *fixture, struct sink *sink, uint32_t n, uint32_t per_batch);
/* Polls until every batch is back in the pool, or fails the test. */
void fixture_drain(struct fixture *fixture, struct sink *sink);

/* An empty directory in TMPDIR or /tmp, to be removed with fixture_remove(). */
void fixture_directory(char path[64]);
void fixture_remove(const char *path);

#endif
