/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport_internal.h"

#include "completion.h"
#include "ring.h"
#include "wire_mac.h"
#include "wire_reason.h"

#include <errno.h>
#include <rte_branch_prediction.h>
#include <rte_rcu_qsbr.h>
#include <stdlib.h>
#include <string.h>

/* A ticket: the session's index + 1, the frame's slot, the event in it. */
#define TICKET_EVENT_BITS 6u
#define TICKET_SLOT_BITS 11u
#define TICKET_SESSION_SHIFT (TICKET_EVENT_BITS + TICKET_SLOT_BITS)

_Static_assert(WIRE_MAX_EVENTS <= 1u << TICKET_EVENT_BITS && WIRE_MAX_WINDOW <= 1u << TICKET_SLOT_BITS,
    "a ticket names every event");
_Static_assert(2 * SESSION_MAX_SOURCES + 64 < 1u << (32 - TICKET_SESSION_SHIFT), "and every session");

/* ---- events end ---- */

static struct session *holder(struct transport *t, uint32_t ticket, uint32_t *slot)
{
	*slot = ticket >> TICKET_EVENT_BITS & ((1u << TICKET_SLOT_BITS) - 1);
	return session_at(t->sessions, (ticket >> TICKET_SESSION_SHIFT) - 1);
}

void transport_complete(struct transport *t, uint32_t ticket, enum reason reason)
{
	uint32_t event = ticket & ((1u << TICKET_EVENT_BITS) - 1), slot;
	struct session *session;

	if (ticket == 0)
		return;
	session = holder(t, ticket, &slot);
	if (!session_complete(&session->frames, slot, event, wire_reason_code(reason)))
		return;
	transport_want(t, session, SESSION_WANT_DURABLE);
	session_release(&session->frames);
}

void transport_forget(struct transport *t, uint32_t ticket)
{
	struct session *session;
	uint32_t slot;

	if (ticket == 0)
		return;
	session = holder(t, ticket, &slot);
	if (!session_forget(&session->frames, slot))
		return;
	transport_want(t, session, SESSION_WANT_RECEIVED);
	session_release(&session->frames);
}

void transport_completed(void *context, uint8_t sink, const struct completed *events, uint32_t n)
{
	(void)sink;
	for (uint32_t i = 0; i < n; i++)
		transport_complete(context, events[i].ticket,
		    events[i].dead_letter ? (enum reason)events[i].reason : REASON_NONE);
}

void transport_given_up(void *context, uint8_t sink, const struct completed *event)
{
	(void)sink;
	transport_forget(context, event->ticket);
}

/* ---- frames come ---- */

static enum reason refuse(struct transport_worker *w, const struct asked *asked, enum wire_error_code code,
    const char *text, enum reason reason, uint64_t now_ns)
{
	transport_send_error(w, asked, code, text, now_ns);
	return reason;
}

/* Whether the frame is from whom it says it is from. Fills asked->mac. */
static enum reason authenticate(struct transport_worker *w, const struct wire_frame *frame,
    const struct source_entry *entry, struct asked *asked, uint64_t now_ns)
{
	bool required = w->transport->config->transport.authentication_required;
	struct wire_mac *mac;

	if (entry != NULL ? entry->revoked : required)
		return refuse(w, asked, WIRE_ERROR_UNKNOWN_SOURCE,
		    entry != NULL ? "the source is revoked" : "the source is not listed",
		    REASON_FRAME_UNKNOWN_SOURCE, now_ns);
	if (frame->mac == NULL) {
		if (!required)
			return REASON_NONE;
		return refuse(
		    w, asked, WIRE_ERROR_BAD_MAC, "a MAC is required", REASON_FRAME_BAD_MAC, now_ns);
	}
	mac = source_entry_mac(entry, frame->key_id, w->number);
	if (mac == NULL || !wire_mac_verify(mac, frame))
		return refuse(w, asked, WIRE_ERROR_BAD_MAC, mac == NULL ? "unknown key" : "wrong MAC",
		    REASON_FRAME_BAD_MAC, now_ns);
	asked->mac = mac;
	return REASON_NONE;
}

static enum reason take_hello(struct transport_worker *w, const struct wire_frame *frame,
    const struct asked *asked, uint64_t now_ns, bool accepting)
{
	const struct wire_header *header = &frame->header;
	struct transport *t = w->transport;
	struct session_offer offer = {
	    .source_id = header->source_id,
	    .epoch = header->epoch,
	    .base = header->base,
	    .stream_hash = header->stream,
	    .key_id = frame->key_id,
	    .stream = asked->datagram->stream,
	    .home = w->number,
	    .mac = frame->mac != NULL,
	    .source = asked->source,
	};
	struct session *session;
	struct wire_hello hello;
	uint64_t epoch = 0;
	int rc;

	if (!session_limit_take(&w->hellos, TRANSPORT_HELLOS, TRANSPORT_HELLOS / 10, 1, now_ns))
		return REASON_FRAME_BUSY;
	if (!accepting)
		return refuse(w, asked, WIRE_ERROR_NOT_READY, "events are not accepted yet",
		    REASON_FRAME_NOT_READY, now_ns);
	if (!reply_init(&offer.reply, asked->packet, asked->datagram))
		return REASON_FRAME_NO_WAY_BACK;
	rc = session_offer(t->sessions, &offer, now_ns, &session, &epoch);
	if (rc == -ESTALE) {
		struct wire_header live = *header;
		struct asked about = *asked;

		live.epoch = epoch;
		about.header = &live;
		return refuse(w, &about, WIRE_ERROR_STALE_EPOCH, "a newer session is live",
		    REASON_FRAME_STALE_EPOCH, now_ns);
	}
	if (rc == -ENOSPC)
		return refuse(w, asked, WIRE_ERROR_TOO_MANY_SOURCES, "transport.max_sources are connected",
		    REASON_FRAME_TOO_MANY_SOURCES, now_ns);
	if (rc != 0)
		return REASON_FRAME_BUSY;
	w->counts->hellos++;
	wire_read_hello(frame, &hello);
	transport_send_welcome(w, session, asked, hello.nonce, transport_credit(t, accepting));
	return REASON_NONE;
}

/* The session that the frame belongs to, which is live from here on. NULL and *why: there is none. */
static struct session *join(struct transport_worker *w, const struct wire_frame *frame,
    const struct asked *asked, uint64_t now_ns, enum reason *why)
{
	const struct wire_header *header = &frame->header;
	struct session *session = session_find(w->transport->sessions, header->token);
	int rc = -ENOENT;

	if (likely(session != NULL && session->source_id == header->source_id &&
	           session->epoch == header->epoch && session->stream == asked->datagram->stream)) {
		/* A session that began with MACs goes on with them. */
		if (session->mac && frame->mac == NULL) {
			*why = refuse(w, asked, WIRE_ERROR_BAD_MAC, "the session has MACs",
			    REASON_FRAME_BAD_MAC, now_ns);
			return NULL;
		}
		rc = session_prove(w->transport->sessions, session);
	}
	if (likely(rc == 0)) {
		atomic_store_explicit(&session->heard_ns, now_ns, memory_order_relaxed);
		atomic_store_explicit(&session->heard,
		    (uint64_t)header->timestamp_us << 32 | (uint32_t)(now_ns / 1000), memory_order_relaxed);
		return session;
	}
	if (rc == -EBUSY)
		*why = REASON_FRAME_BUSY;
	else if (rc == -ENOSPC)
		*why = refuse(w, asked, WIRE_ERROR_TOO_MANY_SOURCES, "transport.max_sources are connected",
		    REASON_FRAME_TOO_MANY_SOURCES, now_ns);
	else
		*why = refuse(w, asked, WIRE_ERROR_UNKNOWN_SESSION, "say HELLO again",
		    REASON_FRAME_UNKNOWN_SESSION, now_ns);
	return NULL;
}

static enum reason take_data(struct transport_worker *w, struct session *session,
    const struct wire_frame *frame, const struct asked *asked, uint64_t now_ns, bool accepting)
{
	const struct wire_header *header = &frame->header;

	if (unlikely(header->length > TRANSPORT_MAX_PAYLOAD))
		return refuse(w, asked, WIRE_ERROR_TOO_LARGE, "larger than WELCOME said",
		    REASON_FRAME_TOO_LARGE, now_ns);
	if (unlikely(!accepting))
		return refuse(w, asked, WIRE_ERROR_NOT_READY, "events are not accepted yet",
		    REASON_FRAME_NOT_READY, now_ns);
	switch (session_peek(&session->frames, header->sequence, header->base)) {
	case SESSION_NEW:
		return REASON_NONE;
	case SESSION_REPEATED:
		session_sender_base(&session->frames, header->base);
		transport_want(w->transport, session, SESSION_WANT_RECEIVED);
		return REASON_FRAME_REPEATED;
	case SESSION_OUTSIDE:
		break;
	}
	transport_want(w->transport, session, SESSION_WANT_RECEIVED);
	return REASON_FRAME_WINDOW;
}

enum reason transport_arrive(struct transport_worker *w, struct source *source, const struct packet *packet,
    const struct frame *datagram, uint64_t now_ns, bool accepting, struct arrival *out)
{
	struct asked asked = {.source = source, .packet = packet, .datagram = datagram};
	struct transport *t = w->transport;
	const struct wire_header *header = &out->frame.header;
	const struct source_entry *entry;
	enum wire_fault fault;
	enum reason reason;
	struct session *session;

	out->session = NULL;
	out->source = source;
	out->packet = packet;
	out->datagram = datagram;
	asked.header = header;
	if (unlikely(wire_parse((const uint8_t *)datagram->payload, datagram->len, &out->frame, &fault) !=
	             WIRE_FRAME)) {
		if (fault == WIRE_FAULT_VERSION)
			return refuse(w, &asked, WIRE_ERROR_VERSION, "version 1 is spoken here",
			    REASON_FRAME_VERSION, now_ns);
		return refuse(
		    w, &asked, WIRE_ERROR_MALFORMED, wire_fault_text(fault), REASON_FRAME_MALFORMED, now_ns);
	}
	/* What only the daemon sends is not answered, or two daemons could talk for ever. */
	if (unlikely(header->type != WIRE_HELLO && header->type != WIRE_DATA && header->type != WIRE_PROBE &&
	             header->type != WIRE_CLOSE))
		return REASON_FRAME_MALFORMED;
	if (unlikely(header->stream != t->stream_hash[datagram->stream]))
		return refuse(w, &asked, WIRE_ERROR_UNKNOWN_STREAM, "another stream is on this port",
		    REASON_FRAME_WRONG_STREAM, now_ns);
	entry = source_keys_find(sources_now(t), header->source_id);
	reason = authenticate(w, &out->frame, entry, &asked, now_ns);
	if (unlikely(reason != REASON_NONE))
		return reason;
	if (unlikely(atomic_load_explicit(&t->draining, memory_order_relaxed)) &&
	    (header->type == WIRE_HELLO || header->type == WIRE_DATA))
		return refuse(
		    w, &asked, WIRE_ERROR_DRAINING, "go to another appliance", REASON_FRAME_DRAINING, now_ns);
	if (header->type == WIRE_HELLO)
		return take_hello(w, &out->frame, &asked, now_ns, accepting);
	session = join(w, &out->frame, &asked, now_ns, &reason);
	if (unlikely(session == NULL))
		return reason;
	if (likely(header->type == WIRE_DATA)) {
		reason = take_data(w, session, &out->frame, &asked, now_ns, accepting);
		if (reason == REASON_NONE)
			out->session = session;
		return reason;
	}
	session_sender_base(&session->frames, header->base);
	if (header->type == WIRE_PROBE) {
		w->counts->probes++;
		transport_want(t, session, SESSION_WANT_ANSWER);
	} else {
		w->counts->closes++;
		atomic_store_explicit(&session->closing, header->sequence + 1, memory_order_relaxed);
		transport_want(t, session, SESSION_WANT_CLOSED);
	}
	return REASON_NONE;
}

/* Above the source's rate? */
static bool too_fast(
    struct transport_worker *w, const struct session *session, uint32_t events, uint64_t now_ns)
{
	const struct config *config = w->transport->config;
	const struct source_entry *entry = source_keys_find(sources_now(w->transport), session->source_id);
	uint64_t rate = config->transport.rate, burst = config->transport.burst;

	if (entry != NULL && entry->rate != 0) {
		rate = entry->rate;
		burst = entry->burst;
	}
	if (rate == 0)
		return false;
	if (burst < WIRE_MAX_EVENTS)
		burst = burst == 0 && rate > WIRE_MAX_EVENTS ? rate : WIRE_MAX_EVENTS;
	return !session_limit_take(session->limit, rate, burst, events, now_ns);
}

enum reason transport_accept(
    struct transport_worker *w, struct arrival *arrival, enum reason why_not, uint64_t now_ns)
{
	const struct wire_header *header = &arrival->frame.header;
	struct session *session = arrival->session;
	struct asked asked = {
	    .source = arrival->source,
	    .packet = arrival->packet,
	    .datagram = arrival->datagram,
	    .header = header,
	};
	struct session_frames *frames = &session->frames;

	if (unlikely(why_not == REASON_FRAME_MALFORMED)) {
		if (session->mac)
			asked.mac =
			    source_entry_mac(source_keys_find(sources_now(w->transport), session->source_id),
			        session->key_id, w->number);
		return refuse(w, &asked, WIRE_ERROR_MALFORMED, "the payload does not hold `count` lines",
		    why_not, now_ns);
	}
	if (unlikely(why_not != REASON_NONE)) {
		transport_want(w->transport, session, SESSION_WANT_RECEIVED);
		return why_not;
	}
	if (unlikely(too_fast(w, session, header->count, now_ns))) {
		transport_want(w->transport, session, SESSION_WANT_SLOW);
		return REASON_FRAME_RATE;
	}
	switch (session_claim(frames, header->sequence, header->base, header->count)) {
	case SESSION_NEW:
		break;
	case SESSION_REPEATED:
		return REASON_FRAME_REPEATED;
	case SESSION_OUTSIDE:
		return REASON_FRAME_WINDOW;
	}
	arrival->ticket = (session_index(w->transport->sessions, session) + 1) << TICKET_SESSION_SHIFT |
	                  (uint32_t)(header->sequence % frames->window) << TICKET_EVENT_BITS;
	w->counts->frames++;
	w->counts->events += header->count;
	w->counts->retransmitted += (header->flags & WIRE_FLAG_RETRANSMIT) != 0;
	transport_want(w->transport, session, SESSION_WANT_RECEIVED);
	return REASON_NONE;
}

/* ---- control ---- */

int transport_create(const struct transport_options *options, struct transport **out, struct error *err)
{
	const struct config *config = options->config;
	struct transport *t = calloc(1, sizeof(*t) + options->n_workers * sizeof(t->workers[0]));
	uint32_t n_sessions;
	int rc;

	*out = NULL;
	if (t == NULL)
		return error_set(err, -ENOMEM, "no memory for the event transport");
	t->config = config;
	t->rcu = options->rcu;
	t->pools = options->pools;
	t->n_workers = options->n_workers;
	for (size_t s = 0; s < config->n_streams; s++)
		t->stream_hash[s] =
		    wire_stream_hash(config->streams[s].name, strlen(config->streams[s].name));
	rc = session_table_create(config->transport.max_sources, config->transport.window, &t->sessions, err);
	if (rc != 0)
		goto err;
	n_sessions = session_table_size(t->sessions);
	for (uint32_t i = 0; i < t->n_workers; i++) {
		struct transport_worker *w = &t->workers[i];

		w->transport = t;
		w->number = (uint16_t)i;
		/* RTS: a thread that is preempted in the middle of an enqueue must not make the others wait. */
		w->ring = ring_create(n_sessions, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
		w->waiting = calloc(n_sessions, sizeof(w->waiting[0]));
		if (w->ring == NULL || w->waiting == NULL) {
			rc = error_set(err, -ENOMEM, "no memory for %u sessions", n_sessions);
			goto err;
		}
	}
	*out = t;
	return 0;
err:
	transport_destroy(t);
	return rc;
}

void transport_destroy(struct transport *t)
{
	if (t == NULL)
		return;
	for (uint32_t i = 0; i < t->n_workers; i++) {
		free(t->workers[i].ring);
		free(t->workers[i].waiting);
	}
	source_keys_destroy(atomic_load(&t->sources));
	session_table_destroy(t->sessions);
	free(t);
}

void transport_publish(struct transport *t, struct source_keys *keys)
{
	struct source_keys *old = atomic_exchange_explicit(&t->sources, keys, memory_order_acq_rel);

	if (old != NULL)
		rte_rcu_qsbr_synchronize(t->rcu, RTE_QSBR_THRID_INVALID);
	source_keys_destroy(old);
}

void transport_drain(struct transport *t)
{
	atomic_store_explicit(&t->draining, true, memory_order_relaxed);
}

void transport_tick(struct transport *t, uint64_t now_ns)
{
	session_table_tick(t->sessions, t->rcu, now_ns);
}

struct session_table *transport_sessions(struct transport *t)
{
	return t->sessions;
}

bool transport_in_use(const struct transport *t)
{
	return session_table_live(t->sessions) > 0;
}

struct transport_worker *transport_worker(
    struct transport *t, uint16_t worker, struct transport_counts *counts)
{
	t->workers[worker].counts = counts;
	return &t->workers[worker];
}
