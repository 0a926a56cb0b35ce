/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the output topics hold behind the last checkpoint: events that were written, and perhaps acknowledged, but whose
 * identities the daemon did not live to log. They are read back before the first event is accepted, so that none of
 * them is written again.
 *
 * The identity of a record is computed by the stream's own schema: from the enriched topic, or the raw one where there
 * is no enriched, and from the dead letters. A reader without a group: nothing
 * is committed, and nobody is rebalanced.
 *
 * Requests of a killed predecessor may still be on their way to the brokers. After an end that was not orderly the
 * watermarks have to stand still for a moment before they are believed; what a broker appends later than that is not
 * seen.
 *
 * One thread. Waits for the brokers for as long as it takes, or until `stop` is set.
 */
#ifndef PENSTOCK_KAFKA_TAIL_H
#define PENSTOCK_KAFKA_TAIL_H

#include "engine.h"
#include "kafka_checkpoint.h"

#include <jansson.h>
#include <pthread.h>

enum kafka_tail_stage { KAFKA_TAIL_WAITING, KAFKA_TAIL_SETTLING, KAFKA_TAIL_READING, KAFKA_TAIL_DONE };

/* Readable by any thread meanwhile. */
struct kafka_tail_progress {
	_Atomic int stage;                          /* enum kafka_tail_stage; tail's thread: rw, others: ro */
	_Atomic uint64_t records, to_read, skipped; /* likewise. skipped: no identity could be computed */
	_Atomic bool stop;                          /* anybody: sets */
	pthread_mutex_t mutex;                      /* of the text */
	char waiting_for[256];                      /* why it waits */
};

struct kafka_tail_options {
	const struct engine *engine;
	const char *checkpoint; /* NULL: none */
	bool fresh;             /* nothing ran here before: nothing is read */
	int64_t since_ms;       /* not 0: no checkpoint, read from this wall-clock time on */
	bool every_output; /* raw and enriched records, not only what tells whether an event is durable */
	struct kafka_checkpoint
	    *seeds;    /* gets where each partition was read to; NULL: nobody wants to know */
	char *cluster; /* gets the cluster's name, at most 255 bytes; "": it has none. NULL likewise */
	/* An identity that is in Kafka. 0 or -errno. */
	int (*found)(
	    void *context, uint16_t stream, enum record_kind kind, const uint64_t key[2], int64_t age_ms);
	void *context;
};

/* 0; -ECANCELED: stopped; -errno with the reason. */
int kafka_tail_read(
    const struct kafka_tail_options *options, struct kafka_tail_progress *progress, struct error *err);

/* Adds where it stands to an object, which it makes if `object` is NULL, and returns it. Any thread. */
json_t *kafka_tail_describe(struct kafka_tail_progress *progress, json_t *object);

/* The bytes of the event that this enriched record was made of, where nothing was dropped: without what was spliced in.
 * Returns their length in `to`, which has room for value_len + 1; 0: this is no enriched record. */
uint32_t kafka_tail_original(const char *value, uint32_t value_len, char *to);

#endif
