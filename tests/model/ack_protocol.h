/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The acknowledgement protocol of docs/protocol.md as a finite model: one or two senders, a daemon with a dedup window
 * and one sink, and a network.
 *
 * The network holds a few messages; each may be delivered, delivered again, overtaken by any other, or lost. The daemon
 * may crash at any step and starts again at once, with the window restored; it may forget a session; a write may fail.
 * A sender may start anew, with a higher epoch and other events. Faults have budgets. What a sink has written is in the
 * output for good; the daemon learns of it in a later step, and may crash in between.
 *
 * Simplified: the nonce is left out (a sender believes any WELCOME of its epoch), serial numbers are kept as ranks,
 * credit is nothing or everything, retransmission is possible at any time instead of after a time-out.
 */
#ifndef PENSTOCK_ACK_PROTOCOL_H
#define PENSTOCK_ACK_PROTOCOL_H

#include "explore.h"

#define MODEL_SENDERS 2
#define MODEL_EPOCHS 2
#define MODEL_FRAMES 3
#define MODEL_FRAME_EVENTS 2
#define MODEL_EVENTS 5
#define MODEL_MESSAGES 4

/* Rules that can be broken on purpose: what the checker must catch. */
enum model_mutation {
	MUTATION_NONE,
	MUTATION_ACK_ON_RECEIVE,
	MUTATION_DUPLICATE_AT_ONCE,
	MUTATION_FAILURE_KEEPS_MARK,
	MUTATION_MARK_BEFORE_DURABLE,
	MUTATION_WINDOW_NOT_RESTORED,
	MUTATION_UNCONFIRMED_NOT_RESTORED,
	MUTATION_LATE_WRITE,
	MUTATION_UNCERTAIN_FAILURE,
	MUTATION_DEAD_LETTER_NOT_IN_WINDOW,
	MUTATION_EXCEPTIONS_CUT,
	MUTATION_EXCEPTIONS_ONCE,
	MUTATION_DAEMON_IGNORES_TOKEN,
	MUTATION_SENDER_IGNORES_TOKEN,
	MUTATION_PARTIAL_FRAME,
	MUTATION_PARKED_FOR_EVER,
	MUTATION_BASE_NOT_BELIEVED,
	MUTATION_RECEIVED_FOR_EVER,
	MUTATION_NO_PROBE,
	MUTATION_NO_ERROR,
	MUTATION_COUNT
};

struct model_scenario {
	const char *name, *what;
	uint8_t n_senders, window;
	uint8_t n_frames[MODEL_SENDERS][MODEL_EPOCHS];
	/* Events of each frame, as numbers from 1; 0: none. */
	uint8_t events[MODEL_SENDERS][MODEL_EPOCHS][MODEL_FRAMES][MODEL_FRAME_EVENTS];
	uint8_t dead_letters;                           /* bit e - 1: event e is invalid */
	uint8_t messages;                               /* that the network holds */
	uint8_t exceptions;                             /* frames whose exceptions fit one acknowledgement */
	uint8_t crashes, failures, forgotten, restarts; /* budgets */
	bool credit;                                    /* the daemon may take credit away */
};

struct model_context {
	const struct model_scenario *scenario;
	enum model_mutation mutation;
};

/* The context is a struct model_context. */
extern const struct explore_model ack_protocol;

#endif
