/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_model.h"

#include "wire.h"
#include "wire_mac.h"
#include "wire_reason.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WINDOW 512u
#define MAX_DATAGRAM 2048u
#define SEEN 8192u /* (epoch, sequence) pairs whose content is remembered */
#define KEY_ID 7u

enum frame_state { NONE, RECEIVED, DURABLE };

struct frame {
	uint8_t state;
	bool told;                       /* in an acknowledgement, as durable */
	uint8_t reason[WIRE_MAX_EVENTS]; /* wire codes */
	uint16_t count;
	uint32_t id[WIRE_MAX_EVENTS];
};

struct session {
	bool used;
	uint32_t token, address;
	uint64_t epoch, base, client_base, high;
	uint32_t serial, echo;
	uint64_t echo_at;
	bool echo_set, ack_due;
	struct frame frames[MAX_WINDOW];
};

struct server {
	bool up, refuses, outage, no_credit;
	unsigned int drain;
	uint64_t instance;
	struct session live, coming;
};

enum what { TO_SERVER, TO_CLIENT, ACK_DUE, DURABLE_DUE };

struct happening {
	uint64_t at, order;
	enum what what;
	uint32_t server, address; /* address: the client's, one per connect() */
	uint64_t instance;        /* ACK_DUE, DURABLE_DUE */
	uint32_t token;
	uint64_t sequence;
	size_t len;
	uint8_t data[];
};

struct seen {
	uint64_t epoch, sequence, hash;
};

struct model {
	struct model_options options;
	struct wire_mac *mac;
	uint64_t now, random, order, path_free_at, wall_offset;
	struct happening **queue; /* a heap by (at, order) */
	size_t n_queue, room;
	struct server servers[MODEL_SERVERS];
	uint32_t connected, address; /* server; MODEL_SERVERS: none */
	int network_error;
	struct happening *inbox[256];
	uint32_t n_inbox;
	uint64_t client_base, client_epoch;
	struct seen seen[SEEN];
	uint8_t durable[MODEL_MAX_EVENTS], dead[MODEL_MAX_EVENTS];
	uint8_t durable_at[MODEL_SERVERS][MODEL_MAX_EVENTS];
	struct model_counts counts;
	char wrong[256];
};

uint64_t model_random(struct model *m)
{
	uint64_t z = m->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static bool chance(struct model *m, uint32_t per_1000)
{
	return per_1000 > 0 && model_random(m) % 1000 < per_1000;
}

static uint32_t below(struct model *m, uint32_t limit)
{
	return limit > 0 ? (uint32_t)(model_random(m) % limit) : 0;
}

static void __attribute__((format(printf, 2, 3))) wrong(struct model *m, const char *fmt, ...)
{
	va_list args;

	if (m->wrong[0] != '\0')
		return;
	va_start(args, fmt);
	(void)vsnprintf(m->wrong, sizeof(m->wrong), fmt, args);
	va_end(args);
}

/* ---- the queue of what will happen ---- */

static bool before(const struct happening *a, const struct happening *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static struct happening *schedule(struct model *m, uint64_t at, enum what what, const void *data, size_t len)
{
	struct happening *h = calloc(1, sizeof(*h) + len);
	size_t i;

	if (m->n_queue == m->room) {
		m->room = m->room * 2 + 64;
		m->queue = realloc(m->queue, m->room * sizeof(m->queue[0]));
	}
	if (h == NULL || m->queue == NULL)
		abort();
	*h = (struct happening){.at = at, .order = m->order++, .what = what, .len = len};
	if (len > 0)
		memcpy(h->data, data, len);
	for (i = m->n_queue++; i > 0 && before(h, m->queue[(i - 1) / 2]); i = (i - 1) / 2)
		m->queue[i] = m->queue[(i - 1) / 2];
	m->queue[i] = h;
	return h;
}

static struct happening *pop(struct model *m)
{
	struct happening *first = m->queue[0], *last = m->queue[--m->n_queue];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= m->n_queue)
			break;
		if (child + 1 < m->n_queue && before(m->queue[child + 1], m->queue[child]))
			child++;
		if (!before(m->queue[child], last))
			break;
		m->queue[i] = m->queue[child];
		i = child;
	}
	m->queue[i] = last;
	return first;
}

/* ---- the network ---- */

static void put_on_path(
    struct model *m, enum what what, uint32_t server, uint32_t address, const uint8_t *data, size_t len)
{
	const struct model_faults *faults = &m->options.faults;
	uint64_t at = m->now + m->options.delay_us;
	uint32_t copies = 1 + chance(m, faults->repeat);

	m->counts.datagrams++;
	if (what == TO_SERVER && m->options.rate > 0) {
		uint64_t each = 1000000 / m->options.rate;

		if (m->path_free_at < m->now)
			m->path_free_at = m->now;
		if (m->path_free_at - m->now > m->options.queue * each) {
			m->counts.dropped++;
			return;
		}
		m->path_free_at += each;
		at = m->path_free_at + m->options.delay_us;
	}
	if (chance(m, faults->loss)) {
		m->counts.lost++;
		return;
	}
	while (copies-- > 0) {
		struct happening *h = schedule(m, at + below(m, faults->jitter_us + 1), what, data, len);

		h->server = server;
		h->address = address;
		if (chance(m, faults->damage)) {
			h->data[below(m, (uint32_t)len)] ^= (uint8_t)(1 + below(m, 255));
			m->counts.damaged++;
		}
	}
}

static void answer(struct model *m, uint32_t server, uint32_t address, uint8_t *data, size_t len, size_t size)
{
	if (m->mac != NULL)
		len = wire_mac_seal(m->mac, data, len, size);
	put_on_path(m, TO_CLIENT, server, address, data, len);
}

/* ---- an appliance ---- */

const char *model_reason(uint32_t id)
{
	return id % 17 == 3 ? "field_type" : id % 29 == 5 ? "json_syntax" : "";
}

static uint8_t reason_code(uint32_t id)
{
	const char *name = model_reason(id);

	return name[0] == '\0'  ? 0
	       : name[0] == 'f' ? wire_reason_code(REASON_FIELD_TYPE)
	                        : wire_reason_code(REASON_JSON_SYNTAX);
}

static struct wire_header answer_to(const struct model *m, const struct wire_header *header)
{
	struct wire_header out = *header;

	out.flags = m->mac != NULL ? WIRE_FLAG_MAC : 0;
	out.count = 0;
	return out;
}

static void say_error(struct model *m, uint32_t server, uint32_t address, const struct wire_header *header,
    enum wire_error_code code, uint64_t epoch)
{
	struct wire_header out = answer_to(m, header);
	uint8_t data[MAX_DATAGRAM];

	out.epoch = epoch;
	answer(m, server, address, data, wire_write_error(data, 256, &out, code, "as the test wants it"),
	    sizeof(data));
}

static uint32_t credit(const struct model *m, const struct server *server)
{
	return server->no_credit ? 0 : m->options.window;
}

static void begin_session(
    struct model *m, struct session *s, uint32_t address, const struct wire_header *header)
{
	*s = (struct session){.used = true,
	    .token = (uint32_t)model_random(m) | 1,
	    .address = address,
	    .epoch = header->epoch,
	    .base = header->base,
	    .client_base = header->base,
	    .high = header->base};
}

static void on_hello(struct model *m, uint32_t at, uint32_t address, const struct wire_frame *frame)
{
	const struct wire_header *header = &frame->header;
	struct server *server = &m->servers[at];
	struct session *s;
	struct wire_hello hello;
	struct wire_header out = answer_to(m, header);
	struct wire_welcome welcome;
	uint8_t data[MAX_DATAGRAM];

	if (server->drain != 0) {
		say_error(m, at, address, header, server->drain, header->epoch);
		return;
	}
	if (server->live.used && header->epoch < server->live.epoch) {
		say_error(m, at, address, header, WIRE_ERROR_STALE_EPOCH, server->live.epoch);
		return;
	}
	if (server->live.used && server->live.epoch == header->epoch && server->live.address == address) {
		s = &server->live;
	} else {
		s = &server->coming;
		if (!s->used || s->epoch != header->epoch || s->address != address)
			begin_session(m, s, address, header);
	}
	wire_read_hello(frame, &hello);
	welcome = (struct wire_welcome){.instance = server->instance,
	    .nonce = hello.nonce,
	    .credit = credit(m, server),
	    .window = (uint16_t)m->options.window,
	    .max_events = WIRE_MAX_EVENTS,
	    .max_payload = m->options.max_payload,
	    .idle_ms = 60000};
	out.token = s->token;
	answer(m, at, address, data, wire_write_welcome(data, sizeof(data), &out, &welcome), sizeof(data));
}

static struct frame *frame_of(const struct session *s, uint64_t sequence)
{
	return (struct frame *)&s->frames[sequence % MAX_WINDOW];
}

/* A frame's exceptions, one for each reason. Returns how many; `out` may be NULL. */
static uint32_t exceptions_of(const struct frame *frame, uint64_t offset, struct wire_exception *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < frame->count; i++) {
		uint64_t events = 0;

		for (uint32_t k = 0; k < frame->count && frame->reason[i] != 0; k++) {
			if (frame->reason[k] != frame->reason[i])
				continue;
			if (k < i) /* counted already */
				break;
			events |= UINT64_C(1) << k;
		}
		if (events == 0)
			continue;
		if (out != NULL)
			out[n] = (struct wire_exception){
			    .offset = (uint16_t)offset, .reason = frame->reason[i], .events = events};
		n++;
	}
	return n;
}

static void say_ack(struct model *m, uint32_t at, struct session *s)
{
	struct server *server = &m->servers[at];
	struct wire_header out = {.stream = 0};
	struct wire_ack ack = {.instance = server->instance,
	    .client_base = s->client_base,
	    .serial = ++s->serial,
	    .credit = credit(m, server)};
	uint8_t data[MAX_DATAGRAM];
	uint32_t room;
	bool all = true;

	s->ack_due = false;
	while (s->base < s->high && frame_of(s, s->base)->state == DURABLE)
		s->base++;
	out.flags = (uint8_t)((m->mac != NULL ? WIRE_FLAG_MAC : 0) |
	                      (chance(m, m->options.faults.slow_down) ? WIRE_FLAG_SLOW_DOWN : 0));
	out.stream = wire_stream_hash("test", 4);
	out.token = s->token;
	out.source_id = 42;
	out.epoch = s->epoch;
	out.sequence = s->high;
	out.timestamp_us = s->echo;
	ack.delay_us = (uint32_t)(m->now - s->echo_at);
	out.base = s->client_base;
	/* Bitmaps from where the exceptions stop to fit, and as many words as the rest needs. */
	room = wire_ack_room(m->options.window / 64 + 2);
	for (uint64_t sequence = s->client_base; sequence < s->high; sequence++) {
		const struct frame *frame = frame_of(s, sequence);
		uint32_t n = frame->state == DURABLE ? exceptions_of(frame, 0, NULL) : 0;
		bool told = frame->state == DURABLE && ack.n_exceptions + n <= room;

		if (told) {
			frame_of(s, sequence)->told = true;
			exceptions_of(frame, sequence - s->client_base, &ack.exceptions[ack.n_exceptions]);
			ack.n_exceptions = (uint16_t)(ack.n_exceptions + n);
		}
		if (told && all) {
			out.base = sequence + 1;
			continue;
		}
		all = false;
		if (frame->state != NONE) {
			uint64_t offset = sequence - out.base;

			if (told)
				ack.durable[offset / 64] |= UINT64_C(1) << (offset % 64);
			else
				ack.received[offset / 64] |= UINT64_C(1) << (offset % 64);
			ack.n_words = (uint16_t)(offset / 64 + 1);
		}
	}
	answer(m, at, s->address, data, wire_write_ack(data, sizeof(data), &out, &ack), sizeof(data));
}

static void ack_later(struct model *m, uint32_t at, struct session *s)
{
	struct happening *h;

	if (s->ack_due)
		return;
	s->ack_due = true;
	h = schedule(m, m->now + below(m, 1000), ACK_DUE, NULL, 0);
	h->server = at;
	h->instance = m->servers[at].instance;
	h->token = s->token;
}

static struct session *session_of(struct model *m, uint32_t at, uint32_t token)
{
	struct server *server = &m->servers[at];

	if (server->live.used && server->live.token == token)
		return &server->live;
	if (server->coming.used && server->coming.token == token)
		return &server->coming;
	return NULL;
}

static uint64_t hash_of(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
	return hash;
}

/* Looked at when it leaves the client, so that neither loss nor damage hides anything. */
static void judge_data(struct model *m, const struct wire_frame *frame)
{
	const struct wire_header *header = &frame->header;
	struct seen *seen = &m->seen[header->sequence % SEEN];
	uint64_t hash = hash_of(frame->payload, header->length);
	bool again = seen->epoch == header->epoch && seen->sequence == header->sequence && seen->hash != 0;

	m->counts.data_frames++;
	m->counts.repeats += again;
	if (header->sequence < header->base || header->sequence >= header->base + m->options.window)
		wrong(m, "sequence %llu, base %llu: outside of the window",
		    (unsigned long long)header->sequence, (unsigned long long)header->base);
	if (again && seen->hash != hash)
		wrong(m, "sequence %llu was sent with two contents", (unsigned long long)header->sequence);
	if (again != ((header->flags & WIRE_FLAG_RETRANSMIT) != 0))
		wrong(m, "sequence %llu: the flag RETRANSMIT is wrong", (unsigned long long)header->sequence);
	if (header->length > m->options.max_payload)
		wrong(m, "a payload of %u bytes", header->length);
	*seen = (struct seen){header->epoch, header->sequence, hash};
}

static void judge(struct model *m, const uint8_t *data, size_t len)
{
	struct wire_frame frame;
	enum wire_fault fault;

	if (wire_parse(data, len, &frame, &fault) != WIRE_FRAME) {
		wrong(m, "sent what is no frame: %s", wire_fault_text(fault));
		return;
	}
	if (m->mac != NULL && !wire_mac_verify(m->mac, &frame))
		wrong(m, "sent a frame with a wrong MAC");
	if (frame.header.epoch < m->client_epoch)
		wrong(m, "the epoch went back");
	if (frame.header.base < m->client_base)
		wrong(m, "the base went back");
	m->client_epoch = frame.header.epoch;
	m->client_base = frame.header.base;
	if (frame.header.type == WIRE_DATA)
		judge_data(m, &frame);
	m->counts.closes += frame.header.type == WIRE_CLOSE;
}

static void read_ids(struct model *m, struct frame *to, const struct wire_frame *frame)
{
	const char *at = (const char *)frame->payload, *end = at + frame->header.length;

	to->count = 0;
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		unsigned int id;
		char text[32] = "";

		if (line_end == NULL)
			line_end = end;
		memcpy(text, at, (size_t)(line_end - at) < 31 ? (size_t)(line_end - at) : 31);
		if (sscanf(text, "{\"id\":%u,", &id) != 1 || id >= MODEL_MAX_EVENTS ||
		    to->count == WIRE_MAX_EVENTS) {
			wrong(m, "not an event of the test: %s", text);
			return;
		}
		to->id[to->count++] = id;
		at = line_end + 1;
	}
	if (to->count != frame->header.count)
		wrong(m, "%u events in a frame that says %u", to->count, frame->header.count);
}

static void on_data(struct model *m, uint32_t at, struct session *s, const struct wire_frame *frame)
{
	const struct wire_header *header = &frame->header;
	struct happening *h;
	struct frame *to;

	if (header->sequence < s->base || header->sequence >= s->base + m->options.window ||
	    header->sequence >= header->base + m->options.window ||
	    header->sequence >= s->client_base + MAX_WINDOW)
		return;
	/* Slots above `high` hold what another lap left. */
	for (; s->high <= header->sequence; s->high++)
		*frame_of(s, s->high) = (struct frame){0};
	to = frame_of(s, header->sequence);
	if (to->state != NONE)
		return;
	*to = (struct frame){.state = RECEIVED};
	read_ids(m, to, frame);
	h = schedule(m, m->now + 1 + below(m, m->options.durable_us), DURABLE_DUE, NULL, 0);
	h->server = at;
	h->instance = m->servers[at].instance;
	h->token = s->token;
	h->sequence = header->sequence;
}

static void make_durable(struct model *m, uint32_t at, struct frame *frame, uint32_t events)
{
	for (uint32_t i = 0; i < events; i++) {
		uint32_t id = frame->id[i];

		frame->reason[i] = reason_code(id);
		if (frame->reason[i] != 0) {
			m->dead[id] = 1;
		} else if (m->durable_at[at][id]) {
			frame->reason[i] = wire_reason_code(REASON_DUPLICATE);
		} else {
			m->durable_at[at][id] = 1;
			m->durable[id] = 1;
		}
	}
}

static void on_durable(struct model *m, const struct happening *h)
{
	struct server *server = &m->servers[h->server];
	struct session *s = session_of(m, h->server, h->token);
	struct frame *frame;

	if (!server->up || server->instance != h->instance || s == NULL)
		return;
	if (server->outage) {
		struct happening *later = schedule(m, m->now + 5000, DURABLE_DUE, NULL, 0);

		later->server = h->server;
		later->instance = h->instance;
		later->token = h->token;
		later->sequence = h->sequence;
		return;
	}
	frame = frame_of(s, h->sequence);
	if (h->sequence < s->base || h->sequence >= s->high || frame->state != RECEIVED)
		return;
	if (chance(m, m->options.faults.forget)) {
		/* Some of it may have come through all the same. */
		make_durable(m, h->server, frame, below(m, frame->count + 1u));
		frame->state = NONE;
		memset(frame->reason, 0, sizeof(frame->reason));
	} else {
		make_durable(m, h->server, frame, frame->count);
		frame->state = DURABLE;
	}
	ack_later(m, h->server, s);
}

static void to_server(struct model *m, const struct happening *h)
{
	struct server *server = &m->servers[h->server];
	const struct wire_header *header;
	struct wire_frame frame;
	enum wire_fault fault;
	struct session *s;

	if (!server->up) {
		if (server->refuses && h->address == m->address)
			m->network_error = -ECONNREFUSED;
		return;
	}
	if (wire_parse(h->data, h->len, &frame, &fault) != WIRE_FRAME)
		return;
	header = &frame.header;
	if (m->mac != NULL && !wire_mac_verify(m->mac, &frame)) {
		say_error(m, h->server, h->address, header, WIRE_ERROR_BAD_MAC, header->epoch);
		return;
	}
	if (header->type == WIRE_HELLO) {
		on_hello(m, h->server, h->address, &frame);
		return;
	}
	s = session_of(m, h->server, header->token);
	if (s == NULL || s->address != h->address) {
		say_error(m, h->server, h->address, header, WIRE_ERROR_UNKNOWN_SESSION, header->epoch);
		return;
	}
	if (server->drain != 0) {
		say_error(m, h->server, h->address, header, server->drain, header->epoch);
		return;
	}
	if (s == &server->coming) {
		server->live = server->coming;
		server->coming.used = false;
		s = &server->live;
	}
	if (header->type == WIRE_CLOSE && s->base >= header->sequence) {
		struct wire_header out = answer_to(m, header);
		uint8_t data[MAX_DATAGRAM];

		answer(m, h->server, h->address, data, wire_write_bare(data, sizeof(data), &out, WIRE_CLOSED),
		    sizeof(data));
		server->live.used = false;
		return;
	}
	s->echo = header->timestamp_us;
	s->echo_at = m->now;
	for (uint64_t sequence = s->client_base; sequence < header->base; sequence++)
		if (sequence >= s->high || !frame_of(s, sequence)->told) {
			wrong(m, "base %llu, but %llu was never called durable",
			    (unsigned long long)header->base, (unsigned long long)sequence);
			return;
		}
	if (header->base > s->client_base)
		s->client_base = header->base;
	if (header->type == WIRE_DATA) {
		on_data(m, h->server, s, &frame);
		ack_later(m, h->server, s);
	} else {
		say_ack(m, h->server, s);
	}
}

static void happen(struct model *m, struct happening *h)
{
	struct session *s;

	m->now = h->at;
	switch (h->what) {
	case TO_SERVER:
		to_server(m, h);
		break;
	case TO_CLIENT:
		if (h->address == m->address && m->connected < MODEL_SERVERS &&
		    m->n_inbox < sizeof(m->inbox) / sizeof(m->inbox[0])) {
			m->inbox[m->n_inbox++] = h;
			return;
		}
		break;
	case ACK_DUE:
		s = session_of(m, h->server, h->token);
		if (m->servers[h->server].up && m->servers[h->server].instance == h->instance && s != NULL &&
		    s->ack_due)
			say_ack(m, h->server, s);
		break;
	case DURABLE_DUE:
		on_durable(m, h);
		break;
	}
	free(h);
}

void model_advance(struct model *m, uint64_t us)
{
	uint64_t until = m->now + us;

	while (m->n_queue > 0 && m->queue[0]->at <= until)
		happen(m, pop(m));
	m->now = until;
}

/* ---- the client's transport ---- */

static uint64_t transport_mono_us(void *self)
{
	return ((struct model *)self)->now;
}

static uint64_t transport_wall_us(void *self)
{
	struct model *m = self;

	return m->now + m->wall_offset;
}

static uint64_t transport_random(void *self)
{
	return model_random(self);
}

static void transport_disconnect(void *self)
{
	struct model *m = self;

	m->connected = MODEL_SERVERS;
	for (uint32_t i = 0; i < m->n_inbox; i++)
		free(m->inbox[i]);
	m->n_inbox = 0;
	m->network_error = 0;
}

static int transport_connect(void *self, const struct address *to, struct error *err)
{
	struct model *m = self;
	uint32_t port = ntohs(((const struct sockaddr_in *)&to->to)->sin_port);

	transport_disconnect(m);
	if (port < 1 || port > m->options.n_servers)
		return error_set(err, -ENETUNREACH, "no such server");
	m->connected = port - 1;
	m->address++;
	return 0;
}

static int transport_send(void *self, const struct iovec *datagrams, unsigned int n)
{
	struct model *m = self;
	int error = m->network_error;

	m->network_error = 0;
	if (error != 0)
		return error;
	if (m->connected >= MODEL_SERVERS)
		return -ENOTCONN;
	if (chance(m, m->options.faults.socket_full)) {
		n = below(m, n);
		if (n == 0)
			return -EAGAIN;
	}
	for (unsigned int i = 0; i < n; i++) {
		judge(m, datagrams[i].iov_base, datagrams[i].iov_len);
		put_on_path(
		    m, TO_SERVER, m->connected, m->address, datagrams[i].iov_base, datagrams[i].iov_len);
	}
	return (int)n;
}

static int transport_receive(void *self, struct received *received)
{
	struct model *m = self;
	uint32_t n = m->n_inbox < TRANSPORT_RECEIVE ? m->n_inbox : TRANSPORT_RECEIVE;
	int error = m->network_error;

	m->network_error = 0;
	if (error != 0)
		return error;
	for (uint32_t i = 0; i < n; i++) {
		received->len[i] = m->inbox[i]->len;
		memcpy(received->data[i], m->inbox[i]->data, m->inbox[i]->len);
		free(m->inbox[i]);
	}
	m->n_inbox -= n;
	memmove(m->inbox, m->inbox + n, m->n_inbox * sizeof(m->inbox[0]));
	return (int)n;
}

static int transport_wait(void *self, uint64_t us)
{
	struct model *m = self;
	uint64_t until = m->now + us;

	while (m->n_inbox == 0 && m->network_error == 0 && m->n_queue > 0 && m->queue[0]->at <= until)
		happen(m, pop(m));
	if (m->n_inbox == 0 && m->network_error == 0)
		m->now = until;
	return 0;
}

static int transport_fd(void *self)
{
	(void)self;
	return -1;
}

static void transport_close(void *self)
{
	transport_disconnect(self);
}

struct transport model_transport(struct model *m)
{
	static const struct transport_ops ops = {
	    .mono_us = transport_mono_us,
	    .wall_us = transport_wall_us,
	    .random = transport_random,
	    .connect = transport_connect,
	    .disconnect = transport_disconnect,
	    .send = transport_send,
	    .receive = transport_receive,
	    .wait = transport_wait,
	    .fd = transport_fd,
	    .close = transport_close,
	};

	/* The next client is another process: what it calls a sequence has nothing to do with the one before. */
	m->client_base = m->client_epoch = 0;
	m->wall_offset += 1000;
	return (struct transport){.ops = &ops, .self = m};
}

/* ---- for the test ---- */

struct model *model_create(const struct model_options *options)
{
	struct model *m = calloc(1, sizeof(*m));

	if (m == NULL || options->n_servers > MODEL_SERVERS || options->window > MAX_WINDOW)
		abort();
	m->options = *options;
	m->random = options->seed;
	m->now = 1000000;
	m->wall_offset = UINT64_C(1760000000000000);
	m->connected = MODEL_SERVERS;
	if (options->key != NULL &&
	    wire_mac_create(&m->mac, options->key, options->key_len, KEY_ID, NULL) != 0)
		abort();
	for (uint32_t i = 0; i < options->n_servers; i++)
		model_start(m, i);
	return m;
}

void model_destroy(struct model *m)
{
	transport_disconnect(m);
	for (size_t i = 0; i < m->n_queue; i++)
		free(m->queue[i]);
	free(m->queue);
	wire_mac_destroy(m->mac);
	free(m);
}

uint64_t model_now_us(const struct model *m)
{
	return m->now;
}

void model_set_faults(struct model *m, const struct model_faults *faults)
{
	m->options.faults = *faults;
}

/* What was in memory may have been on its way to where it is durable. */
void model_crash(struct model *m, uint32_t server, bool refuses)
{
	struct server *s = &m->servers[server];

	for (uint64_t sequence = s->live.base; s->live.used && sequence < s->live.high; sequence++) {
		struct frame *frame = frame_of(&s->live, sequence);

		if (frame->state == RECEIVED && chance(m, 300))
			make_durable(m, server, frame, below(m, frame->count + 1u));
	}
	s->up = s->live.used = s->coming.used = false;
	s->refuses = refuses;
}

void model_start(struct model *m, uint32_t server)
{
	m->servers[server] = (struct server){.up = true, .instance = model_random(m)};
}

void model_expire(struct model *m, uint32_t server)
{
	m->servers[server].live.used = m->servers[server].coming.used = false;
}

void model_drain(struct model *m, uint32_t server, unsigned int error_code)
{
	m->servers[server].drain = error_code;
}

void model_outage(struct model *m, uint32_t server, bool on)
{
	m->servers[server].outage = on;
}

void model_no_credit(struct model *m, uint32_t server, bool on)
{
	m->servers[server].no_credit = on;
}

void model_occupy(struct model *m, uint32_t server, uint64_t epoch)
{
	m->servers[server].live = (struct session){
	    .used = true, .epoch = epoch, .token = (uint32_t)model_random(m) | 1, .address = UINT32_MAX};
}

uint32_t model_durable(const struct model *m, uint32_t id)
{
	return m->durable[id];
}

uint32_t model_dead(const struct model *m, uint32_t id)
{
	return m->dead[id];
}

const char *model_wrong(const struct model *m)
{
	return m->wrong[0] != '\0' ? m->wrong : NULL;
}

const struct model_counts *model_counts(const struct model *m)
{
	return &m->counts;
}
