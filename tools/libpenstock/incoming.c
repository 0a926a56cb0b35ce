/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/client.h"

#include <string.h>

#define MAX_RECEIVES 16u              /* per poll: sending must have its turn */
#define MAX_RTT_US UINT64_C(60000000) /* an echo that is older is none */

static bool ours(const struct penstock *p, const struct wire_header *header)
{
	return header->stream == p->stream && header->source_id == p->source_id && header->epoch == p->epoch;
}

/* The outcomes of a frame's events, by an acknowledgement that calls it durable. */
static void reasons_of(const struct wire_ack *ack, uint64_t sequence, uint8_t reasons[WIRE_MAX_EVENTS])
{
	memset(reasons, 0, WIRE_MAX_EVENTS);
	for (uint32_t i = 0; i < ack->n_exceptions; i++) {
		const struct wire_exception *exception = &ack->exceptions[i];

		if (ack->client_base + exception->offset != sequence)
			continue;
		for (uint64_t events = exception->events; events != 0; events &= events - 1)
			reasons[__builtin_ctzll(events)] = exception->reason;
	}
}

/* What has arrived there, as the last of what was sent. */
static void note_delivered(struct penstock *p, uint64_t sent_us, uint64_t sequence)
{
	struct session *s = &p->session;

	if (sent_us > s->delivered_us || (sent_us == s->delivered_us && sequence > s->delivered_sequence)) {
		s->delivered_us = sent_us;
		s->delivered_sequence = sequence;
	}
}

/* Completes what the acknowledgement calls durable. Returns how many frames that were in flight. */
static uint32_t take_durable(struct penstock *p, uint64_t all_below, uint64_t now_us)
{
	const struct wire_ack *ack = &p->ack;
	uint64_t end = all_below + 64 * (uint64_t)ack->n_words;
	uint8_t reasons[WIRE_MAX_EVENTS];
	uint32_t arrived = 0;

	if (end > p->pool.next)
		end = p->pool.next;
	for (uint64_t sequence = p->pool.base; sequence < end; sequence++) {
		struct slot *slot = frame_pool_slot(&p->pool, sequence);

		if (slot->state == SLOT_DONE ||
		    (sequence >= all_below && !wire_bit(ack->durable, ack->n_words, sequence - all_below)))
			continue;
		if (slot->state == SLOT_SENT) {
			note_delivered(p, slot->sent_us, sequence);
			arrived++;
		}
		reasons_of(ack, sequence, reasons);
		complete_frame(p, sequence, reasons, now_us);
	}
	return arrived;
}

/* By the newest acknowledgement: a frame is received or it is not, and can fall back. Returns how many arrived. */
static uint32_t take_received(struct penstock *p, uint64_t all_below)
{
	const struct wire_ack *ack = &p->ack;
	uint64_t start = p->pool.base > all_below ? p->pool.base : all_below;
	uint32_t arrived = 0;

	for (uint64_t sequence = start; sequence < p->pool.next; sequence++) {
		struct slot *slot = frame_pool_slot(&p->pool, sequence);
		bool received = wire_bit(ack->received, ack->n_words, sequence - all_below);

		if (received && slot->state == SLOT_SENT) {
			note_delivered(p, slot->sent_us, sequence);
			slot->state = SLOT_RECEIVED;
			p->in_flight--;
			arrived++;
		} else if (received && slot->state == SLOT_WAITING) {
			/* Thought lost and only late. */
			slot->state = SLOT_RECEIVED;
			p->resend--;
			if (p->reordering < 8)
				p->reordering++;
		} else if (!received && slot->state == SLOT_RECEIVED) {
			slot->state = SLOT_WAITING;
			p->resend++;
		}
	}
	return arrived;
}

static void take_echo(struct penstock *p, uint32_t timestamp_us, uint32_t delay_us, uint64_t now_us)
{
	uint64_t elapsed = wire_elapsed_us((uint32_t)now_us, timestamp_us);

	if (elapsed > MAX_RTT_US || elapsed > now_us || delay_us > elapsed)
		return;
	rtt_sample(&p->rtt, (uint32_t)(elapsed - delay_us));
	histogram_add(&p->rtt_histogram, (uint32_t)(elapsed - delay_us));
	note_delivered(p, now_us - elapsed, 0);
}

static void on_ack(struct penstock *p, const struct wire_frame *frame, uint64_t now_us)
{
	const struct wire_header *header = &frame->header;
	uint32_t in_flight = p->in_flight, arrived;
	uint64_t credit_end, done = p->completed;

	wire_read_ack(frame, &p->ack);
	if (p->ack.instance != p->session.instance || header->sequence > p->pool.next) {
		/* Of no session that we know: what it says cannot be about our frames. */
		p->stats.not_understood++;
		return;
	}
	session_heard(p);
	arrived = take_durable(p, header->base, now_us);
	if (!p->session.acked || wire_serial_after(p->ack.serial, p->session.serial)) {
		p->session.acked = true;
		p->session.serial = p->ack.serial;
		arrived += take_received(p, header->base);
		credit_end = header->base + p->ack.credit;
		if (credit_end != p->session.credit_end || arrived > 0)
			p->quiet_probes = 0;
		p->session.credit_end = credit_end;
		take_echo(p, header->timestamp_us, p->ack.delay_us, now_us);
		if ((header->flags & WIRE_FLAG_SLOW_DOWN) != 0) {
			p->stats.slow_down++;
			congestion_lost(&p->congestion, p->session.delivered_us, now_us);
		}
	}
	if (p->completed != done)
		p->quiet_probes = 0;
	complete_advance(p);
	congestion_delivered(&p->congestion, arrived, 2 * in_flight >= p->congestion.window);
	transmit_detect_losses(p, now_us);
	p->transmit_us = 0;
	session_arm_probe(p, now_us);
}

static void on_error(struct penstock *p, const struct wire_frame *frame, uint64_t now_us)
{
	char text[PENSTOCK_ERROR_BYTES];
	unsigned int code = wire_read_error(frame, text, sizeof(text));
	const struct wire_header *header = &frame->header;
	bool open = p->link == LINK_OPEN;

	if (p->link != LINK_HELLO && !open)
		return;
	/* An answer to a frame of another session, or to one that was damaged on the way. */
	if (header->token != (open ? p->session.token : 0) ||
	    (code != WIRE_ERROR_STALE_EPOCH && code != WIRE_ERROR_VERSION && header->epoch != p->epoch))
		return;
	switch (code) {
	case WIRE_ERROR_UNKNOWN_SESSION:
		if (open && p->closing && !complete_pending(p)) {
			p->close_answered = true;
		} else if (open) {
			session_forgotten(p, now_us);
		}
		break;
	case WIRE_ERROR_STALE_EPOCH:
		session_stale(p, header->epoch, now_us);
		break;
	case WIRE_ERROR_DRAINING:
	case WIRE_ERROR_NOT_READY:
	case WIRE_ERROR_UNKNOWN_SOURCE:
	case WIRE_ERROR_TOO_MANY_SOURCES:
		session_leave(p, now_us, "%s: %s", wire_error_name(code), text);
		break;
	default:
		/* In a session it may be one damaged frame, which goes again. */
		if (open)
			error_set(&p->error, 0, "%s: %s: %s", p->addresses[p->current].text,
			    wire_error_name(code), text);
		else
			session_leave(p, now_us, "%s: %s", wire_error_name(code), text);
	}
}

/* An answer without our MAC has no consequence; but where the keys are wrong, it is what says so. */
static bool authentic(struct penstock *p, const struct wire_frame *frame)
{
	char text[PENSTOCK_ERROR_BYTES];

	if (p->mac == NULL || wire_mac_verify(p->mac, frame))
		return true;
	if (frame->header.type == WIRE_ERROR && frame->mac == NULL && p->link == LINK_HELLO) {
		unsigned int code = wire_read_error(frame, text, sizeof(text));

		error_set(&p->error, 0, "%s: %s: %s (not authenticated: perhaps not from there)",
		    p->addresses[p->current].text, wire_error_name(code), text);
	}
	return false;
}

static void take(struct penstock *p, const uint8_t *datagram, size_t len, uint64_t now_us)
{
	struct wire_frame frame;
	enum wire_fault fault;

	p->stats.datagrams_received++;
	if (wire_parse(datagram, len, &frame, &fault) != WIRE_FRAME || !authentic(p, &frame)) {
		p->stats.not_understood++;
		return;
	}
	if (frame.header.type == WIRE_ERROR) {
		/* Who does not speak our version cannot repeat the rest of the header. */
		if (frame.header.count == WIRE_ERROR_VERSION ||
		    (frame.header.stream == p->stream && frame.header.source_id == p->source_id))
			on_error(p, &frame, now_us);
		return;
	}
	if (!ours(p, &frame.header)) {
		p->stats.not_understood++;
		return;
	}
	if (frame.header.type == WIRE_WELCOME) {
		session_begin(p, &frame, now_us);
	} else if (p->link == LINK_OPEN && frame.header.token == p->session.token) {
		if (frame.header.type == WIRE_ACK)
			on_ack(p, &frame, now_us);
		else if (frame.header.type == WIRE_CLOSED && p->closing && !complete_pending(p))
			p->close_answered = true;
	}
}

void incoming_receive(struct penstock *p, uint64_t now_us)
{
	for (uint32_t i = 0; i < MAX_RECEIVES; i++) {
		int n = p->transport.ops->receive(p->transport.self, &p->received);

		if (n < 0)
			session_network_error(p, n, now_us);
		for (int k = 0; k < n; k++)
			take(p, p->received.data[k], p->received.len[k], now_us);
		if (n < (int)TRANSPORT_RECEIVE)
			return;
	}
}
