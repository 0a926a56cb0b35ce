/* SPDX-License-Identifier: BSD-3-Clause */
/* What transport.c (frames in) and transport_answer.c (frames out) share. */
#ifndef PENSTOCK_TRANSPORT_INTERNAL_H
#define PENSTOCK_TRANSPORT_INTERNAL_H

#include "transport.h"

#include <rte_ring.h>

#define ANSWER_BYTES (REPLY_MAX_HEADERS + WIRE_MAX_CONTROL_BYTES)

struct transport_worker {
	struct transport *transport;
	uint16_t number;
	struct transport_counts *counts;
	struct rte_ring
	    *ring; /* sessions whose `wanted` became other than 0. Everyone: puts, this worker: takes */
	struct session **waiting; /* taken from the ring, their acknowledgement is not due */
	uint32_t n_waiting;
	struct session_limit errors, hellos;
};

struct transport {
	const struct config *config;
	struct rte_rcu_qsbr *rcu;
	struct batch_pool *const *pools;
	struct session_table *sessions;
	_Atomic(struct source_keys *) sources; /* control: rw, workers: ro under RCU */
	_Atomic bool draining;                 /* control: rw, workers: ro */
	uint32_t stream_hash[CONFIG_MAX_STREAMS];
	uint32_t n_workers;
	struct transport_worker workers[];
};

static inline const struct source_keys *sources_now(const struct transport *t)
{
	return atomic_load_explicit(&t->sources, memory_order_acquire);
}

/* Asks the session's home worker for an answer. Any thread. */
static inline void transport_want(struct transport *t, struct session *session, enum session_want what)
{
	/* What is wanted already will be answered with what the caller has done before: the home worker takes the
	 * wish away first and looks then. */
	if ((atomic_load_explicit(&session->wanted, memory_order_seq_cst) & what) != 0)
		return;
	if (atomic_fetch_or_explicit(&session->wanted, what, memory_order_acq_rel) == 0)
		/* The ring holds all sessions, and each is in it once at most. */
		(void)rte_ring_enqueue(t->workers[session->home].ring, session);
}

/* 0 while nothing would be accepted. */
uint32_t transport_credit(const struct transport *t, bool accepting);

/* What an answer goes by when there is no session. */
struct asked {
	struct source *source;
	const struct packet *packet;
	const struct frame *datagram;
	const struct wire_header *header;
	struct wire_mac *mac; /* NULL: the answer carries none */
};

void transport_send_error(struct transport_worker *w, const struct asked *asked, enum wire_error_code code,
    const char *text, uint64_t now_ns);

void transport_send_welcome(struct transport_worker *w, const struct session *session,
    const struct asked *asked, uint64_t nonce, uint32_t credit);

#endif
