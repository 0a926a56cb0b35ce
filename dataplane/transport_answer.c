/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon sends: acknowledgements, and answers to HELLO and to what is wrong. */
#include "transport_internal.h"

#include "batch.h"
#include "wire_mac.h"

#include <string.h>

uint32_t transport_credit(const struct transport *t, bool accepting)
{
	uint64_t window = t->config->transport.window, least = window;

	if (!accepting || atomic_load_explicit(&t->draining, memory_order_relaxed))
		return 0;
	for (uint32_t w = 0; w < t->n_workers; w++) {
		uint64_t credit = window * batch_pool_free(t->pools[w]) / batch_pool_size(t->pools[w]);

		if (credit < least)
			least = credit;
	}
	return (uint32_t)least;
}

/* `datagram` has room before it for the headers and behind it for the trailer. */
static bool deliver(struct transport_worker *w, struct source *source, const struct reply_headers *reply,
    uint8_t *packet, size_t len, struct wire_mac *mac)
{
	if (len != 0 && mac != NULL)
		len = wire_mac_seal(mac, packet + reply->len, len, WIRE_MAX_CONTROL_BYTES);
	if (len == 0 || source_send(source, packet, reply_finish(reply, packet, (uint32_t)len)) != 0) {
		w->counts->unsent++;
		return false;
	}
	return true;
}

static struct wire_header answer_header(const struct wire_header *asked, uint8_t flags)
{
	return (struct wire_header){
	    .flags = flags,
	    .stream = asked->stream,
	    .token = asked->token,
	    .source_id = asked->source_id,
	    .epoch = asked->epoch,
	    .sequence = asked->sequence,
	    .base = asked->base,
	    .timestamp_us = asked->timestamp_us,
	};
}

void transport_send_error(struct transport_worker *w, const struct asked *asked, enum wire_error_code code,
    const char *text, uint64_t now_ns)
{
	struct wire_header header = answer_header(asked->header, asked->mac != NULL ? WIRE_FLAG_MAC : 0);
	uint32_t room = asked->datagram->len;
	uint8_t packet[ANSWER_BYTES];
	struct reply_headers reply;
	size_t len;

	if (!session_limit_take(&w->errors, TRANSPORT_ERRORS, TRANSPORT_ERRORS / 10, 1, now_ns) ||
	    !reply_init(&reply, asked->packet, asked->datagram)) {
		w->counts->unsent++;
		return;
	}
	/* No larger than what caused it. */
	if (room > WIRE_MAX_CONTROL_BYTES)
		room = WIRE_MAX_CONTROL_BYTES;
	len = wire_write_error(packet + reply.len, room, &header, code, text);
	if (len == 0)
		w->counts->unsent++;
	else if (deliver(w, asked->source, &reply, packet, len, asked->mac))
		w->counts->errors++;
}

void transport_send_welcome(struct transport_worker *w, const struct session *session,
    const struct asked *asked, uint64_t nonce, uint32_t credit)
{
	struct wire_header header = answer_header(asked->header, asked->mac != NULL ? WIRE_FLAG_MAC : 0);
	struct wire_welcome welcome = {
	    .instance = session_table_instance(w->transport->sessions),
	    .nonce = nonce,
	    .credit = credit,
	    .window = (uint16_t)session->frames.window,
	    .max_events = WIRE_MAX_EVENTS,
	    .max_payload = TRANSPORT_MAX_PAYLOAD,
	    .idle_ms = SESSION_IDLE_NS / 1000000,
	};
	uint8_t packet[ANSWER_BYTES];

	header.token = session->token;
	(void)deliver(w, asked->source, &session->reply, packet,
	    wire_write_welcome(packet + session->reply.len, WIRE_MAX_CONTROL_BYTES, &header, &welcome),
	    asked->mac);
}

/* The key that the session's answers are sealed with: its own, or the source's first when that is gone. */
static struct wire_mac *session_mac(const struct transport_worker *w, const struct session *session)
{
	const struct source_entry *entry = source_keys_find(sources_now(w->transport), session->source_id);
	struct wire_mac *mac = source_entry_mac(entry, session->key_id, w->number);

	return mac == NULL && entry != NULL && entry->n_keys > 0 ? entry->mac[0][w->number] : mac;
}

static void answer(
    struct transport_worker *w, struct session *session, uint32_t wanted, uint64_t now_ns, bool accepting)
{
	uint64_t heard = atomic_load_explicit(&session->heard, memory_order_relaxed);
	uint64_t closing = atomic_load_explicit(&session->closing, memory_order_relaxed);
	struct wire_header header = {
	    .stream = session->stream_hash,
	    .token = session->token,
	    .source_id = session->source_id,
	    .epoch = session->epoch,
	    .timestamp_us = (uint32_t)(heard >> 32),
	};
	struct wire_ack ack = {
	    .instance = session_table_instance(w->transport->sessions),
	    .serial = ++session->serial,
	    .credit = transport_credit(w->transport, accepting),
	    .delay_us = (uint32_t)(now_ns / 1000) - (uint32_t)heard,
	};
	uint8_t packet[ANSWER_BYTES], *datagram = packet + session->reply.len;
	struct wire_mac *mac = NULL;
	size_t len;

	/* A session that was replaced has nobody to hear it. */
	if (atomic_load_explicit(&session->state, memory_order_relaxed) > SESSION_LIVE)
		return;
	session->acknowledged_ns = now_ns;
	session->acknowledged_head = atomic_load_explicit(&session->frames.head, memory_order_relaxed);
	if (session->mac) {
		mac = session_mac(w, session);
		if (mac == NULL) { /* revoked */
			w->counts->unsent++;
			return;
		}
		header.flags |= WIRE_FLAG_MAC;
	}
	if (closing != 0 && session_advance(&session->frames) >= closing - 1) {
		header.base = header.sequence = closing - 1;
		len = wire_write_bare(datagram, WIRE_MAX_CONTROL_BYTES, &header, WIRE_CLOSED);
		if (deliver(w, session->source, &session->reply, packet, len, mac))
			atomic_store_explicit(&session->closed, true, memory_order_relaxed);
		return;
	}
	if ((wanted & SESSION_WANT_SLOW) != 0)
		header.flags |= WIRE_FLAG_SLOW_DOWN;
	session_acknowledge(&session->frames, &header, &ack);
	len = wire_write_ack(datagram, WIRE_MAX_CONTROL_BYTES, &header, &ack);
	if (deliver(w, session->source, &session->reply, packet, len, mac))
		w->counts->acknowledgements++;
}

static bool due(const struct session *session, uint32_t wanted, uint64_t now_ns)
{
	uint64_t since = now_ns - session->acknowledged_ns;

	if ((wanted & (SESSION_WANT_ANSWER | SESSION_WANT_CLOSED)) != 0 ||
	    atomic_load_explicit(&session->frames.head, memory_order_relaxed) - session->acknowledged_head >=
	        TRANSPORT_ACK_FRAMES)
		return true;
	return since >= ((wanted & (SESSION_WANT_DURABLE | SESSION_WANT_SLOW)) != 0 ? TRANSPORT_ACK_NS
	                                                                            : TRANSPORT_RECEIVED_NS);
}

bool transport_pending(const struct transport_worker *w)
{
	return w->n_waiting > 0 || !rte_ring_empty(w->ring);
}

uint32_t transport_answer(struct transport_worker *w, uint64_t now_ns, bool accepting)
{
	uint32_t n = 0, size = session_table_size(w->transport->sessions);

	w->n_waiting +=
	    rte_ring_sc_dequeue_burst(w->ring, (void **)&w->waiting[w->n_waiting], size - w->n_waiting, NULL);
	for (uint32_t i = 0; i < w->n_waiting;) {
		struct session *session = w->waiting[i];
		uint32_t wanted = atomic_load_explicit(&session->wanted, memory_order_acquire);

		if (!due(session, wanted, now_ns)) {
			i++;
			continue;
		}
		/* First out of the list, then not wanted: whoever wants it now puts it into the ring again. */
		w->waiting[i] = w->waiting[--w->n_waiting];
		wanted = atomic_exchange_explicit(&session->wanted, 0, memory_order_seq_cst);
		answer(w, session, wanted, now_ns, accepting);
		n++;
	}
	return n;
}
