/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/client.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MEMORY (8u << 20)
#define DEFAULT_DATAGRAM 1452u
#define MIN_DATAGRAM 512u
#define MAX_DATAGRAM 65507u
#define DEFAULT_LINGER_US 1000u
#define DEFAULT_SILENCE_MS 2000u
#define DEFAULT_SPILL (UINT64_C(1) << 30)
#define GOODBYES 5u

static uint64_t now_of(const struct penstock *p)
{
	return p->transport.ops->mono_us(p->transport.self);
}

static int set_key(struct penstock *p, const struct penstock_key *key, struct error *err)
{
	if (key == NULL)
		return 0;
	if (key->data == NULL || key->len < WIRE_KEY_MIN_BYTES || key->len > WIRE_KEY_MAX_BYTES)
		return error_set(
		    err, -EINVAL, "a key has from %u to %u bytes", WIRE_KEY_MIN_BYTES, WIRE_KEY_MAX_BYTES);
	return wire_mac_create(&p->mac, key->data, key->len, key->id, err);
}

static int set_numbers(struct penstock *p, const struct penstock_options *options, struct error *err)
{
	p->datagram_bytes = options->datagram_bytes != 0 ? options->datagram_bytes : DEFAULT_DATAGRAM;
	if (p->datagram_bytes < MIN_DATAGRAM || p->datagram_bytes > MAX_DATAGRAM)
		return error_set(err, -EINVAL, "datagram_bytes %u is not from %u to %u", p->datagram_bytes,
		    MIN_DATAGRAM, MAX_DATAGRAM);
	p->payload_max = p->datagram_bytes - WIRE_HEADER_BYTES - (p->mac != NULL ? WIRE_TRAILER_BYTES : 0);
	p->payload_limit = p->payload_max;
	p->event_limit = WIRE_MAX_EVENTS;
	p->linger_us = options->linger_us != 0 ? options->linger_us : DEFAULT_LINGER_US;
	p->silence_us =
	    1000 * (uint64_t)(options->silence_ms != 0 ? options->silence_ms : DEFAULT_SILENCE_MS);
	return 0;
}

static int allocate(struct penstock *p, const struct penstock_options *options, struct error *err)
{
	size_t memory = options->memory_bytes != 0 ? options->memory_bytes : DEFAULT_MEMORY, batch;
	int ret = -ENOSPC;

	p->n_batch = (uint32_t)(memory / 16 / p->datagram_bytes);
	if (p->n_batch > CLIENT_MAX_BATCH)
		p->n_batch = CLIENT_MAX_BATCH;
	batch = (size_t)p->n_batch * p->datagram_bytes;
	if (p->n_batch > 0 && memory > batch + sizeof(*p))
		ret = frame_pool_init(
		    &p->pool, memory - batch - sizeof(*p), p->datagram_bytes, CLIENT_MIN_FRAMES);
	if (ret == -ENOSPC)
		return error_set(err, -EINVAL, "memory_bytes %zu is too little for %u datagrams of %u bytes",
		    memory, CLIENT_MIN_FRAMES, p->datagram_bytes);
	p->batch = malloc(batch);
	if (ret != 0 || p->batch == NULL)
		return error_set(err, -ENOMEM, "no memory for %zu bytes of frames", memory);
	p->stage = frame_pool_take(&p->pool);
	p->stats.memory_bytes = frame_pool_bytes(&p->pool) + batch + sizeof(*p);
	return 0;
}

static int open_spill(struct penstock *p, const struct penstock_options *options, struct error *err)
{
	struct spill_options spill = {.path = options->spill_path,
	    .max_bytes = options->spill_bytes != 0 ? options->spill_bytes : DEFAULT_SPILL,
	    .stream = p->stream,
	    .source_id = p->source_id,
	    .max_payload = p->payload_max};
	int ret;

	if (options->spill_path == NULL)
		return 0;
	ret = spill_open(&spill, &p->spill, err);
	if (ret != 0)
		return ret;
	p->stats.events = spill_counts(p->spill)->recovered_events;
	p->stats.spill_torn_bytes = spill_counts(p->spill)->torn_bytes;
	return 0;
}

static void destroy(struct penstock *p)
{
	spill_close(p->spill);
	wire_mac_destroy(p->mac);
	frame_pool_free(&p->pool);
	free(p->batch);
	p->transport.ops->close(p->transport.self);
	free(p);
}

int client_open(const struct penstock_options *options, struct transport transport, struct penstock **out,
    struct error *err)
{
	struct penstock *p = calloc(1, sizeof(*p));
	int ret = 0;

	*out = NULL;
	if (p == NULL) {
		transport.ops->close(transport.self);
		return error_set(err, -ENOMEM, "no memory for a client");
	}
	p->transport = transport;
	p->on_complete = options->on_complete;
	p->context = options->context;
	p->source_id = options->source_id;
	if (options->stream == NULL || options->stream[0] == '\0')
		ret = error_set(err, -EINVAL, "no stream is named");
	else if (options->n_to == 0 || options->to == NULL)
		ret = error_set(err, -EINVAL, "no appliance is named");
	if (ret != 0)
		goto err;
	p->stream = wire_stream_hash(options->stream, strlen(options->stream));
	for (size_t i = 0; i < options->n_to && ret == 0; i++)
		ret =
		    address_resolve(options->to[i], p->addresses, &p->n_addresses, CLIENT_MAX_ADDRESSES, err);
	p->connected = p->last_session = p->n_addresses;
	if (ret == 0)
		ret = set_key(p, options->key, err);
	if (ret == 0)
		ret = set_numbers(p, options, err);
	if (ret == 0)
		ret = allocate(p, options, err);
	if (ret == 0)
		ret = open_spill(p, options, err);
	if (ret != 0)
		goto err;
	p->reordering = 1;
	p->timer_us = p->loss_us = p->transmit_us = NEVER;
	rtt_init(&p->rtt);
	congestion_init(&p->congestion, options->max_events_per_s, now_of(p));
	*out = p;
	return 0;
err:
	destroy(p);
	return ret;
}

int penstock_open(const struct penstock_options *options, struct penstock **out, char *reason)
{
	struct transport transport;
	struct error err = {""};
	int ret = udp_open(&transport, &err);

	*out = NULL;
	if (ret == 0)
		ret = client_open(options, transport, out, &err);
	if (reason != NULL) {
		size_t len = strnlen(err.text, PENSTOCK_ERROR_BYTES - 1);

		memcpy(reason, err.text, len);
		reason[len] = '\0';
	}
	return ret;
}

static int check_event(struct penstock *p, const struct penstock_event *event)
{
	const char *text = event->data;
	size_t blank = 0;

	if (event->len > p->payload_limit)
		return error_set(&p->error, -EMSGSIZE, "an event of %zu bytes; a frame holds %u", event->len,
		    p->payload_limit);
	while (blank < event->len && (text[blank] == ' ' || text[blank] == '\t' || text[blank] == '\r'))
		blank++;
	if (blank == event->len)
		return error_set(&p->error, -EINVAL, "an event that is empty");
	if (memchr(text, '\n', event->len) != NULL)
		return error_set(&p->error, -EINVAL, "an event with a newline inside");
	return 0;
}

static bool stage_has_room(const struct penstock *p, size_t len, bool borrowed)
{
	const struct outgoing *stage = p->stage;

	return stage->count == 0 || (stage->borrowed == borrowed && stage->count < p->event_limit &&
	                                stage->len + 1 + len <= p->payload_limit);
}

static void stage_add(struct penstock *p, const struct penstock_event *event, bool borrowed, uint64_t now_us)
{
	struct outgoing *stage = p->stage;
	size_t start = stage->count == 0 ? 0 : stage->len + 1u;

	if (stage->count == 0) {
		stage->accepted_us = now_us;
		stage->borrowed = borrowed;
	}
	if (borrowed) {
		stage->borrow[stage->count] = event->data;
	} else {
		uint8_t *payload = stage->datagram + WIRE_HEADER_BYTES;

		if (start > 0)
			payload[start - 1] = '\n';
		memcpy(payload + start, event->data, event->len);
	}
	stage->len = (uint16_t)(start + event->len);
	stage->end[stage->count] = stage->len;
	stage->tags[stage->count++] = event->tag;
	p->stats.events++;
}

int penstock_send(struct penstock *p, const struct penstock_event *events, size_t n, unsigned int flags)
{
	bool borrowed = (flags & PENSTOCK_BORROW) != 0;
	uint64_t now_us = now_of(p);
	size_t i;
	int ret = 0;

	if (p->link == LINK_SUPERSEDED)
		return -ESTALE;
	if (p->closing)
		return -ESHUTDOWN;
	if (n > INT_MAX)
		n = INT_MAX;
	for (i = 0; i < n; i++) {
		ret = check_event(p, &events[i]);
		if (ret == 0 && !stage_has_room(p, events[i].len, borrowed))
			ret = stage_push(p);
		if (ret != 0)
			break;
		stage_add(p, &events[i], borrowed, now_us);
	}
	return i > 0 || ret == -EAGAIN ? (int)i : ret;
}

static void step(struct penstock *p)
{
	uint64_t now_us = now_of(p);

	incoming_receive(p, now_us);
	session_timers(p, now_us);
	if (p->spill != NULL && !p->away && p->link == LINK_OPEN)
		spill_refill(p, now_us);
	if (now_us >= stage_due_us(p))
		(void)stage_push(p);
	transmit(p, now_us);
}

int penstock_timeout_ms(const struct penstock *p)
{
	uint64_t now_us = now_of(p), next = session_next_us(p, now_us);

	if (next == NEVER)
		return -1;
	if (next <= now_us)
		return 0;
	next = (next - now_us + 999) / 1000;
	return next < INT_MAX ? (int)next : INT_MAX;
}

/* Waits for what comes first. 0 or -EINTR. */
static int wait_until(struct penstock *p, uint64_t deadline_us)
{
	uint64_t now_us = now_of(p), next = session_next_us(p, now_us);

	if (next > deadline_us)
		next = deadline_us;
	if (next <= now_us)
		return 0;
	return p->transport.ops->wait(p->transport.self, next == NEVER ? NEVER : next - now_us);
}

static uint64_t deadline_of(const struct penstock *p, int timeout_ms)
{
	return timeout_ms < 0 ? NEVER : now_of(p) + 1000 * (uint64_t)timeout_ms;
}

static int outcome_of(const struct penstock *p)
{
	return p->link == LINK_SUPERSEDED ? -ESTALE : p->spill_failure;
}

int penstock_poll(struct penstock *p, int timeout_ms)
{
	uint64_t before = p->completed;
	int ret;

	step(p);
	if (timeout_ms != 0 && p->completed == before && outcome_of(p) == 0) {
		(void)wait_until(p, deadline_of(p, timeout_ms));
		step(p);
	}
	ret = outcome_of(p);
	return ret != 0 ? ret : (int)(p->completed - before);
}

static int flush(struct penstock *p, uint64_t deadline_us)
{
	int ret;

	p->flushing = true;
	for (;;) {
		step(p);
		ret = outcome_of(p);
		if (ret != 0 || !complete_pending(p))
			break;
		ret = now_of(p) >= deadline_us ? -ETIMEDOUT : wait_until(p, deadline_us);
		if (ret != 0)
			break;
	}
	p->flushing = false;
	return ret;
}

int penstock_flush(struct penstock *p, int timeout_ms)
{
	return flush(p, deadline_of(p, timeout_ms));
}

/* Everything is durable; the session can be forgotten over there. Worth a few tries, not more. */
static void goodbye(struct penstock *p, uint64_t deadline_us)
{
	p->probes = 0;
	p->timer_us = 0;
	while (
	    p->link == LINK_OPEN && !p->close_answered && p->probes < GOODBYES && now_of(p) < deadline_us) {
		step(p);
		if (!p->close_answered && wait_until(p, deadline_us) != 0)
			break;
	}
}

int penstock_close(struct penstock *p, int timeout_ms)
{
	uint64_t deadline_us;
	int ret;

	if (p == NULL)
		return 0;
	deadline_us = deadline_of(p, timeout_ms);
	p->closing = true;
	ret = flush(p, deadline_us);
	if (ret == 0)
		goodbye(p, deadline_us);
	else
		complete_rest(p, now_of(p));
	destroy(p);
	return ret;
}

int penstock_fd(const struct penstock *p)
{
	return p->transport.ops->fd(p->transport.self);
}

void penstock_get_stats(const struct penstock *p, struct penstock_stats *out)
{
	static const enum penstock_state states[] = {
	    [LINK_IDLE] = PENSTOCK_IDLE,
	    [LINK_HELLO] = PENSTOCK_CONNECTING,
	    [LINK_OPEN] = PENSTOCK_CONNECTED,
	    [LINK_AWAY] = PENSTOCK_AWAY,
	    [LINK_SUPERSEDED] = PENSTOCK_SUPERSEDED,
	};
	uint64_t ahead = p->session.credit_end - p->pool.base;

	*out = p->stats;
	out->state = p->away && p->link == LINK_HELLO ? PENSTOCK_AWAY : states[p->link];
	memcpy(out->appliance, p->addresses[p->current].text, sizeof(out->appliance));
	out->pending = p->stats.events - p->completed;
	out->rtt_us = p->rtt.srtt_us;
	out->rtt_min_us = p->rtt.min_us;
	out->rtt_p50_us = histogram_quantile(&p->rtt_histogram, 0.5);
	out->rtt_p99_us = histogram_quantile(&p->rtt_histogram, 0.99);
	out->ack_p50_us = histogram_quantile(&p->ack_histogram, 0.5);
	out->ack_p99_us = histogram_quantile(&p->ack_histogram, 0.99);
	out->ack_p999_us = histogram_quantile(&p->ack_histogram, 0.999);
	out->window = (uint32_t)p->congestion.window;
	out->credit = p->session.credit_end <= p->pool.base ? 0
	              : ahead < UINT32_MAX                  ? (uint32_t)ahead
	                                                    : UINT32_MAX;
	if (p->spill != NULL)
		out->spill_used_bytes = spill_counts(p->spill)->used_bytes;
}

const char *penstock_error(const struct penstock *p)
{
	return p->error.text;
}

const char *penstock_outcome_name(enum penstock_outcome outcome)
{
	static const char *const names[] = {
	    [PENSTOCK_DURABLE] = "durable",
	    [PENSTOCK_DUPLICATE] = "duplicate",
	    [PENSTOCK_REJECTED] = "rejected",
	    [PENSTOCK_SPILLED] = "spilled",
	    [PENSTOCK_UNKNOWN] = "unknown",
	};

	return (size_t)outcome < sizeof(names) / sizeof(names[0]) ? names[outcome] : "";
}

const char *penstock_state_name(enum penstock_state state)
{
	static const char *const names[] = {
	    [PENSTOCK_IDLE] = "idle",
	    [PENSTOCK_CONNECTING] = "connecting",
	    [PENSTOCK_CONNECTED] = "connected",
	    [PENSTOCK_AWAY] = "away",
	    [PENSTOCK_SUPERSEDED] = "superseded",
	};

	return (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state] : "";
}

const char *penstock_version(void)
{
	return PENSTOCK_VERSION;
}
