/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One consumer of the journal: the records of one stream for one sink, and for Kafka of one output, so that a topic that
 * is stalled holds up nothing but itself. A lane reads the journal at a position of its own, fills batches, and
 * hands them over a ring to its sink's thread. `consumed` follows the batches that came back complete, in order.
 *
 * The feeder's thread; see journal_feeder.h.
 */
#ifndef PENSTOCK_JOURNAL_LANE_H
#define PENSTOCK_JOURNAL_LANE_H

#include "journal_reader.h"

#define LANE_FLIGHTS 8u /* batches of a lane with its sink, at most */

struct rte_ring;

/* Whether a record is in its topic already, by what was found at the start. Asked for records of the replay only: those
 * that were in the journal when it was opened. `batch` has the event and the bytes that the record points to; the
 * event's key is there where its flags say EVENT_MARKED. The feeder's thread. */
typedef bool (*journal_skip_fn)(void *context, const struct batch *batch, const struct record *record);

/* A batch with the sink. */
struct flight {
	struct batch *batch;
	struct journal_position after; /* consumed, once this and all before it are complete */
	bool complete;
};

struct lane;

/* What a lane reads with; one for all lanes. */
struct lane_tools {
	struct journal *journal;
	struct journal_reader *reader;
	struct record *records;       /* of one journal record */
	struct journal_event *events; /* likewise */
	struct lane **owner; /* who has a batch, by batch->opened_ns, which only pipelines use otherwise */
	struct batch **idle; /* free batches; a stack */
	uint32_t n_idle;
	journal_skip_fn skip; /* NULL: nothing is */
	void *skip_context;
	_Atomic bool
	    reconciled; /* control: rw, feeder: ro. Until then the replay of such lanes waits for `skip` */
};

struct lane {
	uint16_t stream;
	uint8_t output;  /* enum record_kind, or JOURNAL_ALL_OUTPUTS */
	uint8_t number;  /* in the feeder */
	bool reconciled; /* its sink's records are asked about with `skip` */
	const char *sink;
	struct rte_ring *ring; /* to the sink's thread */
	uint32_t quota;        /* of batches */
	struct journal_position cursor, consumed;
	struct batch *filling;               /* NULL: none */
	struct flight flights[LANE_FLIGHTS]; /* a ring: in the order of the journal */
	uint32_t first, n_flights;
	bool stuck;                  /* its sink has given a batch up: nothing after it counts */
	uint64_t delivered, skipped; /* records */
};

/* Reads on and hands over what there is, as far as batches are free. Returns how many journal records were looked at,
 * or -errno: the journal could not be read now. */
int lane_feed(struct lane *lane, struct lane_tools *tools, struct error *err);

/* A batch of the lane has come back from its sink. */
void lane_return(struct lane *lane, struct lane_tools *tools, struct batch *batch);

/* When the oldest event that is not delivered arrived; 0: nothing is with the sink. */
int64_t lane_oldest_ms(const struct lane *lane);

#endif
