/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All sessions of the daemon: found by token, made by HELLO, ended by a newer one, by CLOSE or by silence.
 *
 *     free ── HELLO ─► offered ── first frame with its token ─► live ── replaced, closed, silent ─► retired ─► free
 *                         └── silent, or another offer takes over ────────────────────────────────────┘
 *
 * A session is one sender's (source id) for one stream. Tables are fixed at start-up. Finding by token needs no lock;
 * what makes or ends sessions takes a flag and, if another thread has it, gives up (-EBUSY): the sender repeats itself.
 * Retired sessions are freed by the control thread once no worker can see them and all their events are complete.
 */
#ifndef PENSTOCK_SESSION_TABLE_H
#define PENSTOCK_SESSION_TABLE_H

#include "error.h"
#include "reply.h"
#include "session.h"

struct rte_rcu_qsbr;
struct source;

#define SESSION_OFFER_NS (5ull * 1000000000)  /* so long may the first frame take */
#define SESSION_IDLE_NS (60ull * 1000000000)  /* a live session may be silent for so long */
#define SESSION_CLOSED_NS (5ull * 1000000000) /* a closed one is remembered, so that CLOSE can be repeated */
#define SESSION_MAX_SOURCES 4096u
#define SESSION_MAX_OFFERS 4u /* of one source and stream at once */

enum session_state {
	SESSION_FREE,
	SESSION_OFFERED,
	SESSION_LIVE,
	SESSION_RETIRED,  /* nobody finds it any more */
	SESSION_FINISHED, /* and nothing of it is under way */
};

/* What the home worker has to send. */
enum session_want {
	SESSION_WANT_RECEIVED = 1, /* ACK, soon: frames have come */
	SESSION_WANT_DURABLE = 2,  /* ACK: frames are durable */
	SESSION_WANT_ANSWER = 4,   /* ACK, now: PROBE */
	SESSION_WANT_SLOW = 8,     /* the next ACK says SLOW_DOWN */
	SESSION_WANT_CLOSED = 16,  /* CLOSED, once all is durable */
};

/* A source's token bucket, as the time at which it would be full again. */
struct session_limit {
	uint64_t source_id;
	uint32_t sessions;        /* under the flag */
	_Atomic uint64_t full_ns; /* workers: rw */
};

struct session {
	struct session_frames frames;
	/* constant from offer to free */
	uint64_t source_id, epoch;
	uint32_t token, stream_hash, key_id;
	uint16_t stream, home; /* home: the worker that answers */
	bool mac;              /* frames of this session carry MACs, and so do answers */
	struct source *source; /* the queue on which HELLO came */
	struct reply_headers reply;
	struct session_limit *limit;

	_Atomic uint8_t state; /* enum session_state; under the flag: rw, workers: ro */
	_Atomic uint32_t
	    wanted; /* enum session_want; workers, sinks: set; home: clears. Not 0: in home's ring */
	_Atomic uint64_t heard_ns; /* workers: rw. When a frame came last */
	_Atomic uint64_t heard;    /* workers: rw. Its timestamp << 32 | our clock in us */
	_Atomic uint64_t closing;  /* workers: rw. Sequence of CLOSE, plus 1; 0: not closing */
	_Atomic bool closed;       /* home: rw, control: ro. CLOSED has been sent */

	/* home worker */
	uint32_t serial;
	uint64_t acknowledged_head; /* frames.head at the last acknowledgement */
	uint64_t acknowledged_ns;

	uint64_t grace; /* control: RCU token */
	bool in_grace;  /* control */
};

struct session_table;

/* `max_sources` live sessions, with windows of `window` frames. */
int session_table_create(
    uint32_t max_sources, uint32_t window, struct session_table **out, struct error *err);
void session_table_destroy(struct session_table *table);

/* Random, one per table. */
uint64_t session_table_instance(const struct session_table *table);

uint32_t session_table_size(const struct session_table *table);
uint32_t session_table_live(const struct session_table *table);

/* By index, below the size; and back. Any thread. */
struct session *session_at(struct session_table *table, uint32_t index);
uint32_t session_index(const struct session_table *table, const struct session *session);

/* The session with this token, or NULL. Worker, until its next quiescent state. */
struct session *session_find(struct session_table *table, uint32_t token);

struct session_offer {
	uint64_t source_id, epoch, base;
	uint32_t stream_hash, key_id;
	uint16_t stream, home;
	bool mac;
	struct source *source;
	struct reply_headers reply;
};

/* HELLO: the session that it has already, or a new offer. 0; -EBUSY; -ESTALE with the live epoch in *epoch; -ENOSPC: too
 * many sources. Worker. */
int session_offer(struct session_table *table, const struct session_offer *offer, uint64_t now_ns,
    struct session **out, uint64_t *epoch);

/* The first frame with the token of an offer: it becomes the live one. 0, -EBUSY, -ENOSPC, or -ENOENT when it is no
 * longer to be had. A live session is 0. Worker. */
int session_prove(struct session_table *table, struct session *session);

/* Ends what has been silent for too long and frees what is finished. `rcu` NULL: there are no workers. Control thread,
 * every 50 ms or so; never waits. */
void session_table_tick(struct session_table *table, struct rte_rcu_qsbr *rcu, uint64_t now_ns);

/* Takes `events` from the bucket of `rate` events per second that holds `burst`. False: it does not hold so many. */
bool session_limit_take(
    struct session_limit *limit, uint64_t rate, uint64_t burst, uint32_t events, uint64_t now_ns);

#endif
