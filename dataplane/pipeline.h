/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker's pass from packets to records: pipeline_poll() takes a burst of packets from a source and
 * carries its events through every stage. pipeline.c is the place to start reading.
 *
 * A pipeline belongs to one worker; create and destroy on the control thread.
 */
#ifndef PENSTOCK_PIPELINE_H
#define PENSTOCK_PIPELINE_H

#include "engine.h"
#include "enrich.h"
#include "frame.h"
#include "json.h"
#include "parked.h"
#include "source.h"

struct pipeline {
	struct engine *engine;
	uint16_t worker;

	/* packets taken and not yet finished with */
	struct source *source;
	struct packet packets[SOURCE_BURST];
	uint32_t n_packets, packet; /* packet: the one being split */
	const char *cursor, *end;   /* rest of that packet's payload; NULL: not yet looked at */
	uint16_t packet_stream;
	bool packet_had_event;
	uint32_t
	    ticket; /* of the next event of that packet, if its sender waits for an acknowledgement; or 0 */
	bool accepting; /* for the whole burst */
	bool stalled;   /* a lossless source's event found no batch; tried again at the next poll */

	uint64_t now_ns; /* the burst's monotonic clock */
	struct burst *burst;
	struct enrich *enrich;
	struct json_parser parser;
	struct hs_scratch *scratch;
	struct frame_ports *ports;
	struct transport_worker *transport;
	struct parked *parked;

	struct batch *open[CONFIG_MAX_STREAMS];     /* being filled; NULL: none */
	uint32_t planned_bytes[CONFIG_MAX_STREAMS]; /* what this burst may add to it, at most */
	uint32_t planned_events[CONFIG_MAX_STREAMS];
	uint32_t row_bytes[CONFIG_MAX_STREAMS]; /* what the joins can add to one event, at most */

	struct worker_ledger *ledger;
	uint64_t touched; /* streams whose counts changed since they were published */
};

int pipeline_create(struct engine *engine, uint16_t worker, struct pipeline **out, struct error *err);

/* Open batches must have been handed over (pipeline_hand_over) or the sinks must be gone. NULL is allowed. */
void pipeline_destroy(struct pipeline *pipeline);

/* Takes packets from `source` if none are pending, and runs one burst of events through the stages. Returns
 * the number of packets and events that moved (0: nothing to do), -ENODATA when the source is at its end and
 * nothing of it is pending, or the source's error. Reports no quiescent state: the caller does, after each
 * call. */
int pipeline_poll(struct pipeline *pipeline, struct source *source);

/* Whether packets of a source are pending, so that the next poll must be for the same one. */
static inline bool pipeline_pending(const struct pipeline *pipeline)
{
	return pipeline->source != NULL;
}

/* Hands open batches that are older than the linger (or all of them) to the sinks. Returns how many. */
uint32_t pipeline_hand_over(struct pipeline *pipeline, bool all);

/* Settles what waits for originals and sends the acknowledgements that are due. Returns how much there was to do. */
uint32_t pipeline_answer(struct pipeline *pipeline);

/* Whether pipeline_answer() has something to wait for. */
static inline bool pipeline_waiting(const struct pipeline *pipeline)
{
	return transport_pending(pipeline->transport) || parked_any(pipeline->parked);
}

/* The end of the above: what still waits is given up. */
void pipeline_forget(struct pipeline *pipeline);

/* Makes the ledger visible to other threads. Called at the end of each burst; call it once more when idle. */
void pipeline_publish(struct pipeline *pipeline);

#endif
