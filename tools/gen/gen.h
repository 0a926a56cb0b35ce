/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator: events that look like a producer's, with a known share of duplicates, malformed events and
 * unknown keys, and a count of what a correct appliance must make of them.
 *
 * Event i is a function of (options, i) alone. A duplicate is therefore made by making an earlier event
 * again; nothing is remembered, and memory is constant. Cost: about 0.5 us per event. One thread per struct
 * gen.
 */
#ifndef PENSTOCK_GEN_H
#define PENSTOCK_GEN_H

#include "error.h"
#include "reason.h"

#include <stddef.h>
#include <stdint.h>

#define GEN_EVENT_MAX 2048u            /* bytes of one event, at most */
#define GEN_DUPLICATE_DISTANCE 100000u /* a duplicate is at most so many events behind its original */

enum gen_stream { GEN_CATALOG, GEN_DETECTIONS, GEN_SHOP, GEN_STREAMS };

struct gen_options {
	enum gen_stream stream;
	uint64_t seed;
	uint64_t count;
	double duplicates, malformed, unknown_products; /* shares, 0 to 1; duplicates + malformed <= 1 */
	uint64_t products, users, places;               /* rows of the dimensions */
	double zipf;                                    /* exponent of the keys' distribution */
	int64_t start_ms;                               /* event time of the first event, Unix epoch */
	uint64_t event_rate;                            /* events per second of event time */
};

/* What the appliance must count: sent = valid + duplicate + malformed. */
struct gen_counts {
	uint64_t sent;
	uint64_t valid; /* well-formed, seen for the first time */
	uint64_t duplicate;
	uint64_t malformed;        /* ends as a dead letter */
	uint64_t durable;          /* valid, and the duplicates too where the stream flags them */
	uint64_t unknown_products; /* of the durable ones */
	uint64_t by_reason[REASON_COUNT];
};

struct gen;

/* The defaults: catalog, seed 1, 1,000,000 events, nothing wrong with them, 100k products, 1M users, 1000
 * places, s = 1.1, 100k events/s, ending now. */
void gen_defaults(struct gen_options *options);

/* "catalog" and so on. -1: no such stream. */
int gen_stream_by_name(const char *name);
const char *gen_stream_name(enum gen_stream stream);

/* 0, -ENOMEM, or -EINVAL with the option that makes no sense. */
int gen_create(const struct gen_options *options, struct gen **out, struct error *err);
void gen_destroy(struct gen *gen);

/* Writes the next event, without a newline, to `out` (GEN_EVENT_MAX bytes). Returns its length, or 0 at the
 * end. */
size_t gen_next(struct gen *gen, char *out);

/* The counts up to now. */
const struct gen_counts *gen_counts(const struct gen *gen);

#endif
