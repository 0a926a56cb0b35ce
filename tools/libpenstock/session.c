/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HELLO_US 200000u /* before HELLO is repeated, doubled up to: */
#define HELLO_MAX_US 2000000u
#define AWAY_MIN_US 50000u /* between rounds, doubled up to: */
#define AWAY_MAX_US 2000000u
#define QUIET_MAX_US 250000u  /* between PROBEs while the appliance answers and nothing moves */
#define BLOCKED_MAX_US 50000u /* and when it is credit that is waited for */
#define ACK_DELAY_US 6000u    /* an appliance may gather acknowledgements for 4 ms */
#define MIN_PROBES 3u         /* without an answer, before silence counts */
#define MAX_EPOCH_RAISES 4u

struct wire_header session_header(const struct penstock *p, uint64_t now_us)
{
	return (struct wire_header){.flags = p->mac != NULL ? WIRE_FLAG_MAC : 0,
	    .stream = p->stream,
	    .token = p->session.token,
	    .source_id = p->source_id,
	    .epoch = p->epoch,
	    .base = p->pool.base,
	    .timestamp_us = (uint32_t)now_us};
}

void session_hello(struct penstock *p, uint64_t now_us)
{
	struct wire_header header = session_header(p, now_us);
	struct wire_hello hello = {.nonce = p->nonce};
	uint8_t datagram[WIRE_MAX_CONTROL_BYTES];
	uint64_t wait = (uint64_t)HELLO_US << (p->hellos < 8 ? p->hellos : 8);

	header.token = 0;
	p->hellos++;
	p->stats.hellos++;
	p->timer_us = now_us + (wait < HELLO_MAX_US ? wait : HELLO_MAX_US);
	transmit_control(p, datagram, wire_write_hello(datagram, sizeof(datagram), &header, &hello),
	    sizeof(datagram), now_us);
}

/* A higher epoch, in which frames have new numbers without gaps: an appliance that does not know what is durable
 * elsewhere would wait for the frames in between for ever. */
static void raise_epoch(struct penstock *p, uint64_t at_least)
{
	uint64_t wall_us = p->transport.ops->wall_us(p->transport.self);

	p->epoch = wall_us > p->epoch ? wall_us : p->epoch + 1;
	if (p->epoch < at_least)
		p->epoch = at_least;
	p->session = (struct session){0};
	p->welcomed = false;
	p->nonce = p->transport.ops->random(p->transport.self);
	complete_forget_gaps(p);
	frame_pool_compact(&p->pool);
	p->in_flight = p->resend = 0;
}

/* With a socket of its own for each address, and a higher epoch for each change: what is still under way from
 * before cannot be taken for an answer. */
static int connect_current(struct penstock *p)
{
	int ret;

	if (p->connected == p->current)
		return 0;
	p->connected = p->n_addresses;
	ret = p->transport.ops->connect(p->transport.self, &p->addresses[p->current], &p->error);
	if (ret != 0)
		return ret;
	raise_epoch(p, 0);
	p->connected = p->current;
	rtt_init(&p->rtt);
	return 0;
}

static void ask(struct penstock *p, uint64_t now_us)
{
	p->link = LINK_HELLO;
	p->hellos = p->epoch_raised = 0;
	p->unanswered_us = 0;
	p->loss_us = p->transmit_us = NEVER;
	p->nonce = p->transport.ops->random(p->transport.self);
	session_hello(p, now_us);
}

/* The next address that can be connected to, or the end of the round. */
static void turn_to_next(struct penstock *p, uint64_t now_us)
{
	uint64_t wait = (uint64_t)AWAY_MIN_US << (p->rounds < 6 ? p->rounds : 6);

	for (; p->tried < p->n_addresses; p->tried++) {
		if (connect_current(p) == 0) {
			ask(p, now_us);
			return;
		}
		p->current = (p->current + 1) % p->n_addresses;
	}
	if (wait > AWAY_MAX_US)
		wait = AWAY_MAX_US;
	/* Not all senders at once: half of it is random. */
	wait = wait / 2 + p->transport.ops->random(p->transport.self) % (wait / 2);
	p->link = LINK_AWAY;
	p->away = true;
	p->rounds++;
	p->tried = 0;
	p->unanswered_us = 0;
	p->loss_us = p->transmit_us = NEVER;
	p->timer_us = now_us + wait;
}

void session_leave(struct penstock *p, uint64_t now_us, const char *fmt, ...)
{
	char why[sizeof(p->error.text)];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	error_set(&p->error, 0, "%s: %s", p->addresses[p->current].text, why);
	p->current = (p->current + 1) % p->n_addresses;
	p->tried++;
	turn_to_next(p, now_us);
}

/* Nothing of the session before holds any more, but for what is durable. Returns whether there are gaps: frames that are
 * durable behind one that is not. */
static bool reset_slots(struct penstock *p)
{
	bool gaps = false;

	for (uint64_t sequence = p->pool.base; sequence < p->pool.tail; sequence++) {
		struct slot *slot = frame_pool_slot(&p->pool, sequence);

		if (slot->state == SLOT_DONE)
			gaps = true;
		else
			slot->state = SLOT_WAITING;
	}
	p->pool.next = p->pool.base;
	p->in_flight = p->resend = 0;
	return gaps;
}

/* Whether every frame that has a sequence fits what the appliance takes. */
static bool fits(const struct penstock *p, const struct wire_welcome *welcome)
{
	if (welcome->max_payload >= p->payload_max && welcome->max_events >= WIRE_MAX_EVENTS)
		return true;
	for (uint64_t sequence = p->pool.base; sequence < p->pool.tail; sequence++) {
		const struct slot *slot = frame_pool_slot(&p->pool, sequence);

		if (slot->state != SLOT_DONE &&
		    (slot->frame->len > welcome->max_payload || slot->frame->count > welcome->max_events))
			return false;
	}
	return p->stage->len <= welcome->max_payload && p->stage->count <= welcome->max_events;
}

void session_begin(struct penstock *p, const struct wire_frame *frame, uint64_t now_us)
{
	struct wire_welcome welcome;
	bool same;

	wire_read_welcome(frame, &welcome);
	if (p->link != LINK_HELLO || welcome.nonce != p->nonce || welcome.window == 0 ||
	    welcome.max_events == 0 || welcome.max_payload == 0) {
		p->stats.not_understood++;
		return;
	}
	if (!fits(p, &welcome)) {
		session_leave(p, now_us,
		    "takes frames of %u bytes and %u events; larger ones are queued here",
		    welcome.max_payload, welcome.max_events);
		return;
	}
	same = p->session.token == frame->header.token && p->session.instance == welcome.instance;
	if (!same && reset_slots(p)) {
		raise_epoch(p, 0);
		session_hello(p, now_us);
		return;
	}
	p->link = LINK_OPEN;
	p->away = false;
	p->welcomed = true;
	p->unanswered_us = 0;
	p->probes = p->quiet_probes = 0;
	p->payload_limit = welcome.max_payload < p->payload_max ? welcome.max_payload : p->payload_max;
	p->event_limit = welcome.max_events < WIRE_MAX_EVENTS ? welcome.max_events : WIRE_MAX_EVENTS;
	if (!same) {
		p->session = (struct session){.token = frame->header.token, .instance = welcome.instance};
		congestion_restart(&p->congestion, welcome.window, now_us);
		p->reordering = 1;
		p->stats.sessions++;
		p->stats.failovers += p->last_session != p->n_addresses && p->last_session != p->current;
		p->last_session = p->current;
	}
	p->session.window = welcome.window;
	p->session.credit_end = p->pool.base + welcome.credit;
	p->loss_us = NEVER;
	p->transmit_us = 0;
	session_arm_probe(p, now_us);
}

/* The appliance knows a session of ours with a later epoch. If it has welcomed this one before, the other one is newer:
 * somebody else's. If not, the other one is older whatever the clocks said, as epochs are ours alone. */
void session_stale(struct penstock *p, uint64_t live_epoch, uint64_t now_us)
{
	if (live_epoch < p->epoch || live_epoch >= UINT64_MAX - 1)
		return;
	if (p->welcomed) {
		if (live_epoch == p->epoch)
			return;
		p->link = LINK_SUPERSEDED;
		p->timer_us = p->loss_us = p->transmit_us = NEVER;
		error_set(&p->error, -ESTALE, "%s: another sender has taken over this stream and source",
		    p->addresses[p->current].text);
		return;
	}
	if (p->link != LINK_HELLO)
		return;
	if (p->epoch_raised++ == MAX_EPOCH_RAISES) {
		session_leave(p, now_us, "calls every epoch stale");
		return;
	}
	raise_epoch(p, live_epoch + 1);
	session_hello(p, now_us);
}

/* The appliance has no such session, perhaps because it has started again. */
void session_forgotten(struct penstock *p, uint64_t now_us)
{
	raise_epoch(p, 0);
	ask(p, now_us);
}

void session_network_error(struct penstock *p, int code, uint64_t now_us)
{
	if (p->link != LINK_HELLO && p->link != LINK_OPEN)
		return;
	if (code == -EMSGSIZE)
		session_leave(p, now_us, "the path takes no datagrams of %u bytes", p->datagram_bytes);
	else if (code == -ECONNREFUSED)
		session_leave(p, now_us, "nobody listens");
	else {
		p->connected = p->n_addresses; /* a socket that is good for nothing any more */
		session_leave(p, now_us, "%s", strerror(-code));
	}
}

void session_heard(struct penstock *p)
{
	p->unanswered_us = 0;
	p->probes = 0;
	p->tried = 0;
	p->rounds = 0;
}

void session_arm_probe(struct penstock *p, uint64_t now_us)
{
	uint64_t wait, max;

	if (p->pool.base == p->pool.tail) { /* nothing to ask for */
		p->timer_us = NEVER;
		p->unanswered_us = 0;
		return;
	}
	if (p->probes > 0) {
		wait = rtt_timeout_us(&p->rtt, p->probes);
	} else if (p->in_flight > 0) {
		wait = p->rtt.srtt_us > 0 ? 2 * (uint64_t)p->rtt.srtt_us + ACK_DELAY_US : p->rtt.rto_us;
		if (wait > p->rtt.rto_us)
			wait = p->rtt.rto_us;
	} else {
		wait = (uint64_t)p->rtt.rto_us << (p->quiet_probes < 8 ? p->quiet_probes : 8);
		max = p->pool.next < p->pool.tail || p->resend > 0 ? BLOCKED_MAX_US : QUIET_MAX_US;
		if (wait > max)
			wait = p->rtt.rto_us > max ? p->rtt.rto_us : max;
	}
	p->timer_us = now_us + wait;
}

static void probe(struct penstock *p, uint64_t now_us)
{
	struct wire_header header = session_header(p, now_us);
	uint8_t datagram[WIRE_MAX_CONTROL_BYTES];

	header.sequence = p->pool.next;
	p->probes++;
	p->quiet_probes++;
	p->stats.probes++;
	if (p->probes == 2) /* the first is sent early */
		congestion_silence(&p->congestion, now_us);
	transmit_control(p, datagram, wire_write_bare(datagram, sizeof(datagram), &header, WIRE_PROBE),
	    sizeof(datagram), now_us);
	if (p->link == LINK_OPEN)
		session_arm_probe(p, now_us);
}

static void say_goodbye(struct penstock *p, uint64_t now_us)
{
	struct wire_header header = session_header(p, now_us);
	uint8_t datagram[WIRE_MAX_CONTROL_BYTES];

	header.sequence = header.base;
	p->probes++;
	p->timer_us = now_us + rtt_timeout_us(&p->rtt, p->probes - 1);
	transmit_control(p, datagram, wire_write_bare(datagram, sizeof(datagram), &header, WIRE_CLOSE),
	    sizeof(datagram), now_us);
}

static bool silent(const struct penstock *p, uint64_t now_us)
{
	return p->unanswered_us != 0 && now_us - p->unanswered_us >= p->silence_us;
}

void session_timers(struct penstock *p, uint64_t now_us)
{
	switch (p->link) {
	case LINK_IDLE:
		if (complete_pending(p))
			turn_to_next(p, now_us);
		break;
	case LINK_HELLO:
		if (silent(p, now_us))
			session_leave(
			    p, now_us, "no answer for %llu ms", (unsigned long long)p->silence_us / 1000);
		else if (now_us >= p->timer_us)
			session_hello(p, now_us);
		break;
	case LINK_OPEN:
		if (now_us >= p->loss_us)
			transmit_detect_losses(p, now_us);
		if (silent(p, now_us) && p->probes >= MIN_PROBES)
			session_leave(
			    p, now_us, "silent for %llu ms", (unsigned long long)p->silence_us / 1000);
		else if (now_us >= p->timer_us && !complete_pending(p) && p->closing)
			say_goodbye(p, now_us);
		else if (now_us >= p->timer_us)
			probe(p, now_us);
		break;
	case LINK_AWAY:
		if (now_us >= p->timer_us)
			turn_to_next(p, now_us);
		break;
	case LINK_SUPERSEDED:
		break;
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t session_next_us(const struct penstock *p, uint64_t now_us)
{
	uint64_t next = NEVER;

	switch (p->link) {
	case LINK_IDLE:
		return complete_pending(p) ? now_us : NEVER;
	case LINK_HELLO:
		next = p->timer_us;
		if (p->unanswered_us != 0)
			next = earlier(next, p->unanswered_us + p->silence_us);
		return next;
	case LINK_OPEN:
		next = earlier(p->timer_us, earlier(p->loss_us, p->transmit_us));
		if (p->unanswered_us != 0 && p->probes >= MIN_PROBES)
			next = earlier(next, p->unanswered_us + p->silence_us);
		return earlier(next, stage_due_us(p));
	case LINK_AWAY:
		return p->timer_us;
	case LINK_SUPERSEDED:
		break;
	}
	return NEVER;
}
