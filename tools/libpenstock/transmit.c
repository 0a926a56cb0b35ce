/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/client.h"

#include <errno.h>

#define SOCKET_FULL_US 500u
#define MIN_REORDERING_US 1000u /* queues of an appliance are not in step */

/* Marks the time from which an answer is waited for. */
static void note_sent(struct penstock *p, uint64_t now_us)
{
	if (p->unanswered_us == 0)
		p->unanswered_us = now_us;
}

void transmit_control(struct penstock *p, uint8_t *datagram, size_t len, size_t size, uint64_t now_us)
{
	struct iovec part;
	int ret;

	if (p->mac != NULL)
		len = wire_mac_seal(p->mac, datagram, len, size);
	if (len == 0) {
		error_set(&p->error, -EIO, "the MAC of a frame could not be computed");
		return;
	}
	part = (struct iovec){datagram, len};
	note_sent(p, now_us);
	ret = p->transport.ops->send(p->transport.self, &part, 1);
	if (ret > 0)
		p->stats.bytes_sent += len;
	else if (ret < 0 && ret != -EAGAIN) /* a full socket is like a loss: the timer repeats it */
		session_network_error(p, ret, now_us);
}

void transmit_detect_losses(struct penstock *p, uint64_t now_us)
{
	uint64_t reordering = (uint64_t)p->rtt.min_us * p->reordering / 4, wait;

	if (reordering < MIN_REORDERING_US)
		reordering = MIN_REORDERING_US;
	wait = p->rtt.srtt_us + reordering;
	p->loss_us = NEVER;
	for (uint64_t sequence = p->pool.base; sequence < p->pool.next; sequence++) {
		struct slot *slot = frame_pool_slot(&p->pool, sequence);

		if (slot->state != SLOT_SENT || slot->sent_us > p->session.delivered_us ||
		    (slot->sent_us == p->session.delivered_us && sequence >= p->session.delivered_sequence))
			continue;
		if (now_us < slot->sent_us + wait) {
			if (slot->sent_us + wait < p->loss_us)
				p->loss_us = slot->sent_us + wait;
			continue;
		}
		slot->state = SLOT_WAITING;
		p->in_flight--;
		p->resend++;
		p->stats.lost++;
		p->transmit_us = 0;
		congestion_lost(&p->congestion, slot->sent_us, now_us);
	}
}

/* What goes next, and where the search goes on. */
struct cursor {
	uint64_t again; /* below pool.next: what is to be sent again */
	uint32_t left;  /* of it */
	uint64_t next;
};

/* The next frame to be sent, by order alone; UINT64_MAX: none. */
static uint64_t pick(const struct penstock *p, struct cursor *at)
{
	while (at->left > 0 && at->again < p->pool.next) {
		uint64_t sequence = at->again++;

		if (frame_pool_slot(&p->pool, sequence)->state == SLOT_WAITING) {
			at->left--;
			return sequence;
		}
	}
	while (at->next < p->pool.tail) {
		uint64_t sequence = at->next++;

		if (frame_pool_slot(&p->pool, sequence)->state == SLOT_WAITING)
			return sequence;
	}
	return UINT64_MAX;
}

static struct iovec build(struct penstock *p, uint64_t sequence, uint32_t place, uint64_t now_us)
{
	const struct slot *slot = frame_pool_slot(&p->pool, sequence);
	struct wire_header header = session_header(p, now_us);
	struct outgoing *frame = slot->frame;
	uint8_t *datagram = frame->datagram;
	size_t len;

	if (frame->borrowed) {
		datagram = p->batch + (size_t)place * p->datagram_bytes;
		outgoing_gather(frame, datagram);
	}
	header.sequence = sequence;
	if (slot->sent_in_epoch)
		header.flags |= WIRE_FLAG_RETRANSMIT;
	len = wire_write_data(
	    datagram, p->datagram_bytes, &header, datagram + WIRE_HEADER_BYTES, frame->len, frame->count);
	if (p->mac != NULL)
		len = wire_mac_seal(p->mac, datagram, len, p->datagram_bytes);
	return (struct iovec){datagram, len};
}

static void mark_sent(struct penstock *p, uint64_t sequence, size_t bytes, uint64_t now_us)
{
	struct slot *slot = frame_pool_slot(&p->pool, sequence);

	if (sequence < p->pool.next)
		p->resend--;
	else
		p->pool.next = sequence + 1;
	slot->state = SLOT_SENT;
	slot->sent_us = now_us;
	slot->sent_in_epoch = true;
	p->in_flight++;
	if (slot->frame->sent)
		p->stats.retransmits++;
	else
		p->stats.frames++;
	slot->frame->sent = true;
	p->stats.bytes_sent += bytes;
}

/* One call of the transport. True if there may be more to send. */
static bool send_batch(struct penstock *p, uint64_t now_us)
{
	struct cursor at = {.again = p->pool.base, .left = p->resend, .next = p->pool.next};
	uint64_t sequences[CLIENT_MAX_BATCH], limit = p->pool.base + p->session.window;
	struct iovec parts[CLIENT_MAX_BATCH];
	uint32_t n = 0;
	int sent;

	if (limit > p->session.credit_end)
		limit = p->session.credit_end;
	p->transmit_us = NEVER;
	while (n < p->n_batch && p->in_flight + n < p->congestion.window) {
		uint64_t sequence = pick(p, &at);

		if (sequence >= limit) /* or there is none */
			break;
		if (!congestion_paced(&p->congestion)) {
			p->transmit_us = congestion_next_us(&p->congestion, now_us);
			break;
		}
		parts[n] = build(p, sequence, n, now_us);
		if (parts[n].iov_len == 0) {
			error_set(&p->error, -EIO, "the MAC of a frame could not be computed");
			break;
		}
		congestion_sent(&p->congestion, frame_pool_slot(&p->pool, sequence)->frame->count);
		sequences[n++] = sequence;
	}
	if (n == 0)
		return false;
	note_sent(p, now_us);
	sent = p->transport.ops->send(p->transport.self, parts, n);
	for (int i = 0; i < sent; i++)
		mark_sent(p, sequences[i], parts[i].iov_len, now_us);
	if (sent < 0 && sent != -EAGAIN) {
		session_network_error(p, sent, now_us);
		return false;
	}
	if (sent < (int)n) {
		p->transmit_us = now_us + SOCKET_FULL_US;
		return false;
	}
	return n == p->n_batch;
}

void transmit(struct penstock *p, uint64_t now_us)
{
	bool idle = p->in_flight == 0;

	if (p->link != LINK_OPEN)
		return;
	congestion_refill(&p->congestion, p->rtt.srtt_us, now_us);
	while (send_batch(p, now_us))
		;
	if (p->link != LINK_OPEN)
		return;
	/* The first frames after a pause start the clock; and so does something that may not go yet. */
	if ((idle && p->in_flight > 0) || (p->timer_us == NEVER && p->pool.base < p->pool.tail))
		session_arm_probe(p, now_us);
}
