/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's state, shared by its parts, each of which is told the time:
 *
 *   client.c    the public functions
 *   session.c   which appliance is spoken to, HELLO, timers
 *   incoming.c  what appliances answer: WELCOME, ACK, CLOSED, ERROR
 *   transmit.c  what goes out, and when: window, credit, pace, retransmissions
 *   complete.c  events in and out: frames being filled, the spill file, completions
 *
 * Everything an appliance has told is true for one session: a (token, instance) pair. What outlives the session is
 * which frames are durable.
 */
#ifndef LIBPENSTOCK_CLIENT_H
#define LIBPENSTOCK_CLIENT_H

#include "error.h"
#include "libpenstock/address.h"
#include "libpenstock/congestion.h"
#include "libpenstock/frame_pool.h"
#include "libpenstock/histogram.h"
#include "libpenstock/penstock.h"
#include "libpenstock/rtt.h"
#include "libpenstock/spill.h"
#include "libpenstock/transport.h"
#include "wire.h"
#include "wire_mac.h"

#define CLIENT_MAX_ADDRESSES 32u
#define CLIENT_MIN_FRAMES 16u
#define CLIENT_MAX_BATCH 32u /* datagrams per call of the transport */
#define NEVER UINT64_MAX     /* as a time in microseconds */

enum link {
	LINK_IDLE,
	LINK_HELLO, /* asked, not yet answered */
	LINK_OPEN,
	LINK_AWAY, /* every address was tried; waiting for the next round */
	LINK_SUPERSEDED,
};

/* What the appliance at the other end has said; zero without a session. */
struct session {
	uint32_t token;
	uint64_t instance;
	uint32_t window;
	uint64_t credit_end; /* only frames below may be sent */
	uint32_t serial;     /* of the newest acknowledgement */
	bool acked;          /* there was one */
	/* Of all that has arrived there, what was sent last: (time, sequence). */
	uint64_t delivered_us, delivered_sequence;
};

struct penstock {
	struct transport transport;
	struct wire_mac *mac; /* NULL: none */
	penstock_complete_fn *on_complete;
	void *context;
	uint32_t stream;
	uint64_t source_id, epoch;
	uint32_t linger_us;
	uint64_t silence_us;
	uint32_t datagram_bytes;
	uint32_t payload_max;                /* of a frame, by datagram_bytes */
	uint32_t payload_limit, event_limit; /* for new frames: what the appliance takes, too */

	struct address addresses[CLIENT_MAX_ADDRESSES];
	size_t n_addresses, current;
	size_t connected;    /* index of the address that the socket is connected to; n_addresses: none */
	size_t last_session; /* index of the address of the last session; n_addresses: none */
	size_t tried;        /* addresses in this round, without one that acknowledged anything */
	uint32_t rounds;     /* in vain */
	bool away;           /* a whole round was in vain, and nobody has said WELCOME since */

	enum link link;
	struct session session;
	bool welcomed;         /* in this epoch, by the address that is connected */
	uint32_t epoch_raised; /* times, in this attempt */
	uint64_t nonce;
	uint32_t hellos;        /* without an answer */
	uint64_t unanswered_us; /* when the first thing was sent after the last answer; 0: nothing was */
	uint32_t probes;        /* without an answer */
	uint32_t quiet_probes;  /* with answers, but without progress */
	uint64_t timer_us;      /* next HELLO, end of LINK_AWAY, next PROBE or CLOSE; NEVER: none */
	uint64_t loss_us;       /* when a frame will count as lost; NEVER */
	uint64_t transmit_us;   /* when more can be sent; NEVER: not before something is heard */
	bool flushing, closing, close_answered;

	struct frame_pool pool;
	struct outgoing *stage; /* being filled, no sequence yet */
	uint32_t in_flight;     /* slots that are SLOT_SENT */
	uint32_t resend;        /* slots below pool.next that are SLOT_WAITING */
	uint32_t reordering;    /* quarters of a round trip that a late frame is waited for */
	struct rtt rtt;
	struct congestion congestion;
	struct spill *spill; /* NULL: none */
	int spill_failure;   /* of reading back; -errno while it lasts */

	struct penstock_stats stats; /* counters; the rest is filled when asked for */
	struct histogram rtt_histogram, ack_histogram;
	struct error error;
	uint64_t completed; /* events */
	struct wire_ack ack;
	struct received received;
	uint32_t n_batch;
	uint8_t *batch; /* n_batch datagrams, for frames that borrow */
};

/* client.c; for tests too. Takes the transport, also if it fails. */
int client_open(const struct penstock_options *options, struct transport transport, struct penstock **out,
    struct error *err);

/* session.c */
void session_timers(struct penstock *p, uint64_t now_us);
/* Gives the appliance up and turns to the next; the reason becomes the handle's error. */
void session_leave(struct penstock *p, uint64_t now_us, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Asks for a session at the address that is connected. */
void session_hello(struct penstock *p, uint64_t now_us);
/* The answer: a session has begun, or goes on. */
void session_begin(struct penstock *p, const struct wire_frame *frame, uint64_t now_us);
void session_forgotten(struct penstock *p, uint64_t now_us);
void session_stale(struct penstock *p, uint64_t live_epoch, uint64_t now_us);
void session_network_error(struct penstock *p, int code, uint64_t now_us);
/* Something valid was heard from the session. */
void session_heard(struct penstock *p);
/* Sets the timer for the next PROBE, if there is anything to ask for. */
void session_arm_probe(struct penstock *p, uint64_t now_us);
uint64_t session_next_us(const struct penstock *p, uint64_t now_us);
/* Header fields that every frame of ours has in common. */
struct wire_header session_header(const struct penstock *p, uint64_t now_us);

/* incoming.c: receives and acts upon all that is there. */
void incoming_receive(struct penstock *p, uint64_t now_us);

/* transmit.c */
void transmit(struct penstock *p, uint64_t now_us);
/* One datagram outside of window and pace. */
void transmit_control(struct penstock *p, uint8_t *datagram, size_t len, size_t size, uint64_t now_us);
/* Marks as lost what is, by what has arrived. */
void transmit_detect_losses(struct penstock *p, uint64_t now_us);

/* complete.c */
/* Moves the frame that is being filled on: to the ring, or to the spill file. 0; -EAGAIN when neither has room; or the
 * errno of the file. */
int stage_push(struct penstock *p);
/* When the frame that is being filled is to be sent as it is; NEVER: not while things are as they are. */
uint64_t stage_due_us(const struct penstock *p);
/* Reads frames back from the spill file while there is room. */
void spill_refill(struct penstock *p, uint64_t now_us);
/* Ends a frame: its events' outcomes are in `reasons`, wire codes, 0 for durable. */
void complete_frame(
    struct penstock *p, uint64_t sequence, const uint8_t reasons[WIRE_MAX_EVENTS], uint64_t now_us);
/* Moves the base over frames that are done. */
void complete_advance(struct penstock *p);
/* Frames that are done behind one that is not are taken out of the spill file. */
void complete_forget_gaps(struct penstock *p);
/* All that is left, at close. */
void complete_rest(struct penstock *p, uint64_t now_us);
/* Whether anything is queued, in flight or spilled. */
bool complete_pending(const struct penstock *p);

#endif
