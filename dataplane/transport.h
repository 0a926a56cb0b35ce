/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's side of the event transport (docs/protocol.md): recognises frames among the datagrams, answers those that
 * ask something, hands DATA frames to the pipeline, and acknowledges what has become durable.
 *
 * A DATA frame passes transport_arrive(), which checks everything that can be checked without its events; the pipeline
 * then looks whether they all have room; transport_accept() takes the frame or refuses it. Each event of an accepted frame
 * has a ticket, a number that goes with it into the batch, and ends in exactly one transport_complete() or
 * transport_forget(), from whatever thread ends the event.
 *
 * Threads: transport_arrive/accept/answer by the worker; complete and forget by any; create, publish, tick and destroy by
 * the control thread. No locks, no allocation, no waiting. Nothing is sent but to a peer that has sent us a frame, and no
 * more than it has sent.
 * Cost: about 60 ns per DATA frame and one atomic decrement per event; with a MAC the hash of the frame on top.
 */
#ifndef PENSTOCK_TRANSPORT_H
#define PENSTOCK_TRANSPORT_H

#include "config.h"
#include "ledger.h"
#include "session_table.h"
#include "source.h"
#include "source_keys.h"

#define TRANSPORT_MAX_PAYLOAD 3300u              /* what fits the receive buffers of every port */
#define TRANSPORT_ACK_NS (1000u * 1000)          /* an ACK for durable frames at most so often */
#define TRANSPORT_RECEIVED_NS (4u * 1000 * 1000) /* and for frames that are only received */
#define TRANSPORT_ACK_FRAMES 32u                 /* but always after so many frames */
#define TRANSPORT_ERRORS 1000u                   /* ERROR frames per second and worker */
#define TRANSPORT_HELLOS 10000u                  /* HELLO frames looked at per second and worker */

struct batch_pool;
struct completed;
struct transport;
struct transport_worker;

struct transport_options {
	const struct config *config;
	uint32_t n_workers;
	struct batch_pool *const *pools; /* one per worker, whose free share is the credit; must outlive */
	struct rte_rcu_qsbr *rcu;        /* of the workers; must outlive */
};

int transport_create(const struct transport_options *options, struct transport **out, struct error *err);
/* NULL is allowed. */
void transport_destroy(struct transport *transport);

/* Puts another table of sources in force, waits until no worker uses the old one, and frees that. Takes ownership. */
void transport_publish(struct transport *transport, struct source_keys *keys);

/* From now on HELLO and DATA are answered with "draining". */
void transport_drain(struct transport *transport);

/* Expires and frees sessions; every 50 ms or so. */
void transport_tick(struct transport *transport, uint64_t now_ns);

struct session_table *transport_sessions(struct transport *transport);

/* Whether any session is live, so that fire and forget must leave room to those who wait for acknowledgements. Any
 * thread. */
bool transport_in_use(const struct transport *transport);

/* The worker's own part. `counts` is where it counts. */
struct transport_worker *transport_worker(
    struct transport *transport, uint16_t worker, struct transport_counts *counts);

/* A DATA frame between arrive and accept. */
struct arrival {
	struct session *session; /* NULL: nothing for the pipeline */
	struct wire_frame frame;
	struct source *source;
	const struct packet *packet;
	const struct frame *datagram;
	uint32_t ticket; /* of event 0; those of the others follow it. Set by transport_accept() */
};

/* Whether a payload is a frame, well-formed or not. */
static inline bool transport_is_frame(const char *payload, uint32_t len)
{
	return len >= 4 && __builtin_memcmp(payload, WIRE_MAGIC, 4) == 0;
}

/* Looks at a datagram that starts like a frame. REASON_NONE with out->session: a DATA frame that may be accepted;
 * without: it has been dealt with. Otherwise why it was refused. */
enum reason transport_arrive(struct transport_worker *worker, struct source *source,
    const struct packet *packet, const struct frame *datagram, uint64_t now_ns, bool accepting,
    struct arrival *out);

/* Takes the frame, or refuses it for the reason that the pipeline gives or one of its own. */
enum reason transport_accept(
    struct transport_worker *worker, struct arrival *arrival, enum reason why_not, uint64_t now_ns);

/* Whether transport_answer() has something to look at. */
bool transport_pending(const struct transport_worker *worker);

/* Sends the acknowledgements that are due. `accepting` false: with no credit. Returns how many. */
uint32_t transport_answer(struct transport_worker *worker, uint64_t now_ns, bool accepting);

/* An event has ended: REASON_NONE, or why it is not an enriched record. Any thread; ticket 0 is nobody's. */
void transport_complete(struct transport *transport, uint32_t ticket, enum reason reason);

/* An event will not end: its frame has to come again. Any thread. */
void transport_forget(struct transport *transport, uint32_t ticket);

/* The same for a struct completion_listener, whose context is the transport. Sink threads. */
void transport_completed(void *transport, uint8_t sink, const struct completed *events, uint32_t n);
void transport_given_up(void *transport, uint8_t sink, const struct completed *event);

#endif
