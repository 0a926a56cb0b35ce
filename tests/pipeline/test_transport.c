/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event transport through the whole chain: frames in, records and acknowledgements out, with a clock and a sink that
 * the test turns by hand.
 */
#include "harness.h"

#include "wire.h"
#include "wire_mac.h"
#include "wire_reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SOURCE UINT64_C(77)
#define EPOCH UINT64_C(1000)
#define MS UINT64_C(1000000)

static const char yaml[] = "node: test\n"
                           "streams:\n"
                           "  - name: clicks\n"
                           "    udp_port: 9000\n"
                           "    identity: id\n"
                           "    fields: {id: {type: string, required: true}}\n"
                           "    dedup: {window: 10m, mode: drop, budget_mb: 1}\n"
                           "    output: {raw: r, enriched: e, dead_letter: d}\n"
                           "transport: {window: 128, max_sources: 2}\n"
                           "sinks: {files: {directory: /tmp/unused}}\n";

/* One sender and the daemon. */
struct link {
	struct harness h;
	struct wire_header header; /* of the sender's next frame */
	struct wire_mac *mac;
	uint8_t datagram[2048];
	struct wire_frame answer;
	struct wire_ack ack;
};

static void open_with(struct link *l, const char *text, void (*edit)(struct config *))
{
	memset(l, 0, sizeof(*l));
	harness_open(&l->h, text, strlen(text), edit);
	l->h.feed.source.lossless = false;
	l->header = (struct wire_header){
	    .stream = wire_stream_hash("clicks", 6),
	    .source_id = SOURCE,
	    .epoch = EPOCH,
	    .timestamp_us = 5,
	};
}

static void open_link(struct link *l)
{
	open_with(l, yaml, NULL);
}

static void close_link(struct link *l)
{
	wire_mac_destroy(l->mac);
	harness_close(&l->h);
}

static void put(struct link *l, size_t len)
{
	struct packet packet = {.kind = PACKET_PAYLOAD, .data = (const char *)l->datagram};

	assert_true(len > 0);
	if (l->mac != NULL)
		len = wire_mac_seal(l->mac, l->datagram, len, sizeof(l->datagram));
	packet.len = (uint32_t)len;
	l->h.feed.n_sent = 0;
	harness_take(&l->h, &packet, 1);
}

static void later(struct link *l, uint64_t ns)
{
	l->h.clock.mono_ns += ns;
	l->h.feed.n_sent = 0;
	harness_take(&l->h, NULL, 0);
}

/* The type of the answer number `i`, which is then in l->answer (and l->ack); 0: there is none. */
static unsigned int answer(struct link *l, uint32_t i)
{
	enum wire_fault fault;

	if (i >= l->h.feed.n_sent)
		return 0;
	assert_int_equal(
	    wire_parse(l->h.feed.sent[i].bytes, l->h.feed.sent[i].len, &l->answer, &fault), WIRE_FRAME);
	if (l->mac != NULL && l->answer.mac != NULL)
		assert_true(wire_mac_verify(l->mac, &l->answer));
	if (l->answer.header.type == WIRE_ACK)
		wire_read_ack(&l->answer, &l->ack);
	return l->answer.header.type;
}

static unsigned int error_code(struct link *l)
{
	return answer(l, 0) == WIRE_ERROR ? l->answer.header.count : 0;
}

static uint8_t flags(const struct link *l)
{
	return l->mac != NULL ? WIRE_FLAG_MAC : 0;
}

static void send_hello(struct link *l, uint64_t base)
{
	struct wire_header header = l->header;

	header.token = 0;
	header.base = base;
	header.flags = flags(l);
	put(l,
	    wire_write_hello(l->datagram, sizeof(l->datagram), &header, &(struct wire_hello){.nonce = 42}));
}

static struct wire_welcome hello(struct link *l, uint64_t base)
{
	struct wire_welcome welcome;

	send_hello(l, base);
	assert_int_equal(answer(l, 0), WIRE_WELCOME);
	wire_read_welcome(&l->answer, &welcome);
	assert_int_equal(welcome.nonce, 42);
	assert_true(l->answer.header.token != 0);
	l->header.token = l->answer.header.token;
	return welcome;
}

static void send_lines(struct link *l, uint64_t sequence, uint64_t base, const char *lines, uint16_t count)
{
	struct wire_header header = l->header;

	header.sequence = sequence;
	header.base = base;
	header.flags = flags(l);
	put(l, wire_write_data(
	           l->datagram, sizeof(l->datagram), &header, lines, (uint32_t)strlen(lines), count));
}

static void send_bare(struct link *l, uint64_t sequence, uint64_t base, enum wire_type type)
{
	struct wire_header header = l->header;

	header.sequence = sequence;
	header.base = base;
	header.flags = flags(l);
	put(l, wire_write_bare(l->datagram, sizeof(l->datagram), &header, type));
}

/* A frame of one event with an identity of its own. */
static void send_event(struct link *l, uint64_t sequence, uint64_t base)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "{\"id\":\"%llu\"}\n", (unsigned long long)sequence);
	send_lines(l, sequence, base, line, 1);
}

/* Asks, and expects an ACK. */
static void probe(struct link *l, uint64_t head, uint64_t base)
{
	send_bare(l, head, base, WIRE_PROBE);
	assert_int_equal(answer(l, 0), WIRE_ACK);
}

static uint64_t refused(const struct link *l, enum reason reason)
{
	return l->h.worker->pipeline->ledger->worker.frame_reasons[reason];
}

static void assert_conserved(struct link *l)
{
	struct ledger_line line;

	ledger_sum(l->h.worker->pipeline->ledger, 1, &l->h.sink.ledger, 1, 0, true, &line);
	assert_true(line.conserved);
	assert_int_equal(line.in_flight, 0);
}

static void durable_frames_are_acknowledged_and_not_before(void **state)
{
	struct link l;

	(void)state;
	open_link(&l);
	assert_int_equal(hello(&l, 0).window, 128);
	send_lines(&l, 0, 0, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n", 2);
	later(&l, 10 * MS);
	assert_int_equal(answer(&l, 0), WIRE_ACK);
	assert_int_equal(l.answer.header.base, 0);
	assert_int_equal(l.answer.header.sequence, 1);
	assert_int_equal(l.answer.header.timestamp_us, 5);
	assert_true(wire_bit(l.ack.received, l.ack.n_words, 0));
	assert_false(wire_bit(l.ack.durable, l.ack.n_words, 0));
	harness_deliver(&l.h);
	later(&l, 10 * MS);
	assert_int_equal(answer(&l, 0), WIRE_ACK);
	assert_int_equal(l.answer.header.base, 1);
	assert_int_equal(l.answer.header.sequence, 1);
	assert_int_equal(l.ack.n_exceptions, 0);
	assert_int_equal(l.h.records[RECORD_ENRICHED], 2);
	later(&l, 10 * MS);
	assert_int_equal(answer(&l, 0), 0);
	assert_conserved(&l);
	close_link(&l);
}

static void frames_may_come_in_any_order_and_twice(void **state)
{
	struct link l;

	(void)state;
	open_link(&l);
	(void)hello(&l, 100);
	send_event(&l, 102, 100);
	send_event(&l, 101, 100);
	send_event(&l, 102, 100);
	assert_int_equal(refused(&l, REASON_FRAME_REPEATED), 1);
	harness_deliver(&l.h);
	probe(&l, 103, 100);
	assert_int_equal(l.answer.header.base, 100);
	assert_int_equal(l.answer.header.sequence, 103);
	assert_int_equal(l.ack.durable[0], 6);
	send_event(&l, 100, 100);
	harness_deliver(&l.h);
	probe(&l, 103, 100);
	assert_int_equal(l.answer.header.base, 103);
	send_event(&l, 101, 101);
	assert_int_equal(refused(&l, REASON_FRAME_REPEATED), 2);
	assert_int_equal(harness_counts(&l.h, 0)->received, 3);
	assert_conserved(&l);
	close_link(&l);
}

static void exceptions_are_repeated_until_the_sender_knows(void **state)
{
	static const char lines[] = "{\"id\":\"a\"}\nnonsense\n{\"id\":\"a\"}\n{}\n";
	struct link l;

	(void)state;
	open_link(&l);
	(void)hello(&l, 7);
	send_lines(&l, 7, 7, lines, 4);
	/* The third waits for the first. */
	assert_int_equal(harness_counts(&l.h, 0)->parked, 1);
	harness_deliver(&l.h);
	later(&l, MS);
	assert_int_equal(harness_counts(&l.h, 0)->parked, 0);
	assert_int_equal(harness_counts(&l.h, 0)->duplicate, 1);
	for (int i = 0; i < 2; i++) {
		probe(&l, 8, 7);
		assert_int_equal(l.answer.header.base, 8);
		assert_int_equal(l.ack.client_base, 7);
		assert_int_equal(l.ack.n_exceptions, 3);
		assert_int_equal(wire_reason(l.ack.exceptions[0].reason), REASON_JSON_SYNTAX);
		assert_int_equal(l.ack.exceptions[0].events, 2);
		assert_int_equal(wire_reason(l.ack.exceptions[1].reason), REASON_DUPLICATE);
		assert_int_equal(l.ack.exceptions[1].events, 4);
		assert_int_equal(wire_reason(l.ack.exceptions[2].reason), REASON_FIELD_MISSING);
		assert_int_equal(l.ack.exceptions[2].events, 8);
	}
	probe(&l, 8, 8);
	assert_int_equal(l.ack.n_exceptions, 0);
	assert_int_equal(l.h.records[RECORD_DEAD_LETTER], 2);
	assert_conserved(&l);
	close_link(&l);
}

/* A frame comes again in a later session, because its acknowledgement was lost with the daemon or the sender: its dead
 * letters are not written twice, and the sender is told the same as before. */
static void dead_letters_are_made_once(void **state)
{
	static const char lines[] = "nonsense\n{}\n{\"id\":\"nonsense\"}\n";
	struct link l;

	(void)state;
	open_link(&l);
	(void)hello(&l, 0);
	send_lines(&l, 0, 0, lines, 3);
	l.header.source_id++;
	(void)hello(&l, 0);
	send_lines(&l, 0, 0, lines, 3);
	assert_int_equal(harness_counts(&l.h, 0)->parked, 3);
	probe(&l, 1, 0);
	assert_int_equal(l.answer.header.base, 0);
	harness_deliver(&l.h);
	later(&l, MS);
	l.header.epoch++;
	(void)hello(&l, 0);
	send_lines(&l, 0, 0, lines, 3);
	probe(&l, 1, 0);
	assert_int_equal(l.answer.header.base, 1);
	assert_int_equal(l.ack.n_exceptions, 3);
	assert_int_equal(wire_reason(l.ack.exceptions[0].reason), REASON_JSON_SYNTAX);
	assert_int_equal(wire_reason(l.ack.exceptions[1].reason), REASON_FIELD_MISSING);
	assert_int_equal(wire_reason(l.ack.exceptions[2].reason), REASON_DUPLICATE);
	assert_int_equal(l.h.records[RECORD_DEAD_LETTER], 2);
	assert_int_equal(l.h.records[RECORD_ENRICHED], 1);
	assert_int_equal(harness_counts(&l.h, 0)->duplicate, 6);
	assert_conserved(&l);
	/* Fire and forget is what it was. */
	harness_send(&l.h, 0, "nonsense\n", 9);
	assert_int_equal(l.h.records[RECORD_DEAD_LETTER], 3);
	close_link(&l);
}

/* A killed predecessor wrote one of the two records of an event: the retry brings the other one. */
static void half_written_events_are_completed(void **state)
{
	struct link l;
	struct engine *engine;
	uint64_t key[2];

	(void)state;
	open_link(&l);
	engine = l.h.engine;
	engine->half_written = delivered_set_create();
	assert_non_null(engine->half_written);
	dedup_hash(engine->streams[0].dedup, "a", 1, key);
	assert_int_equal(delivered_set_add(engine->half_written, 0, RECORD_ENRICHED, key), 0);
	dedup_hash(engine->streams[0].dedup, "b", 1, key);
	assert_int_equal(delivered_set_add(engine->half_written, 0, RECORD_RAW, key), 0);
	engine->half_written_until_ms = (int64_t)(l.h.clock.mono_ns / MS) + 1000;
	(void)hello(&l, 0);
	send_lines(&l, 0, 0, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n{\"id\":\"a\"}\n", 4);
	harness_deliver(&l.h);
	later(&l, MS);
	probe(&l, 1, 0);
	assert_int_equal(l.answer.header.base, 1);
	assert_int_equal(l.ack.n_exceptions, 1);
	assert_int_equal(l.h.records[RECORD_RAW], 2);
	assert_int_equal(l.h.records[RECORD_ENRICHED], 2);
	assert_conserved(&l);
	close_link(&l);
}

static void what_the_sink_gives_up_comes_again(void **state)
{
	struct link l;

	(void)state;
	open_link(&l);
	(void)hello(&l, 0);
	send_lines(&l, 0, 0, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"a\"}\n", 3);
	l.h.refuse = true;
	harness_deliver(&l.h);
	l.h.refuse = false;
	later(&l, 10 * MS);
	assert_int_equal(harness_counts(&l.h, 0)->reasons[REASON_SHED_FORGOTTEN], 1);
	assert_int_equal(answer(&l, 0), WIRE_ACK);
	assert_int_equal(l.answer.header.base, 0);
	assert_false(wire_bit(l.ack.received, l.ack.n_words, 0));
	send_lines(&l, 0, 0, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"a\"}\n", 3);
	harness_deliver(&l.h);
	later(&l, 10 * MS);
	probe(&l, 1, 0);
	assert_int_equal(l.answer.header.base, 1);
	assert_int_equal(l.ack.n_exceptions, 1);
	assert_int_equal(l.h.records[RECORD_ENRICHED], 2);
	assert_conserved(&l);
	close_link(&l);
}

static void a_frame_is_taken_whole_or_not_at_all(void **state)
{
	static const char *const bad[] = {"{\"id\":\"a\"}\n", " \n{\"id\":\"a\"}\n\n",
	    "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n", "{\"id\":\"a\"}\n  \n"};
	struct link l;

	(void)state;
	open_link(&l);
	(void)hello(&l, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		send_lines(&l, 0, 0, bad[i], 2);
		assert_int_equal(error_code(&l), WIRE_ERROR_MALFORMED);
	}
	assert_int_equal(refused(&l, REASON_FRAME_MALFORMED), 4);
	assert_int_equal(harness_counts(&l.h, 0)->received, 0);
	/* All four batches are away: no room, no credit, and nothing lost. */
	for (uint64_t i = 0; i < 4; i++)
		send_event(&l, i, 0);
	send_event(&l, 4, 0);
	assert_int_equal(refused(&l, REASON_FRAME_NO_ROOM), 1);
	probe(&l, 5, 0);
	assert_int_equal(l.ack.credit, 0);
	assert_int_equal(l.answer.header.sequence, 4);
	harness_deliver(&l.h);
	send_event(&l, 4, 0);
	harness_deliver(&l.h);
	probe(&l, 5, 0);
	assert_int_equal(l.ack.credit, 128);
	assert_int_equal(l.answer.header.base, 5);
	assert_conserved(&l);
	close_link(&l);
}

static void fire_and_forget_leaves_the_last_batches(void **state)
{
	static const char plain[] = "{\"id\":\"plain\"}\n";
	struct packet packet = {.kind = PACKET_PAYLOAD, .data = plain, .len = sizeof(plain) - 1};
	struct link l;

	(void)state;
	open_link(&l);
	(void)hello(&l, 0);
	for (uint64_t i = 0; i < 3; i++)
		send_event(&l, i, 0);
	harness_take(&l.h, &packet, 1);
	assert_int_equal(harness_counts(&l.h, 0)->reasons[REASON_SHED_SINK_FULL], 1);
	send_event(&l, 3, 0);
	assert_int_equal(refused(&l, REASON_FRAME_NO_ROOM), 0);
	harness_deliver(&l.h);
	assert_int_equal(l.h.records[RECORD_ENRICHED], 4);
	harness_take(&l.h, &packet, 1);
	harness_deliver(&l.h);
	assert_int_equal(l.h.records[RECORD_ENRICHED], 5);
	assert_conserved(&l);
	close_link(&l);
}

static void the_window_holds(void **state)
{
	struct link l;

	(void)state;
	open_link(&l);
	(void)hello(&l, 10);
	send_event(&l, 10 + 128, 10);
	send_event(&l, 9, 9);
	assert_int_equal(refused(&l, REASON_FRAME_WINDOW), 1);
	assert_int_equal(refused(&l, REASON_FRAME_REPEATED), 1);
	send_event(&l, 10 + 127, 10);
	send_event(&l, 10, 10);
	harness_deliver(&l.h);
	/* Durable is not enough: the sender must have heard it. */
	send_event(&l, 10 + 128, 10);
	assert_int_equal(refused(&l, REASON_FRAME_WINDOW), 2);
	probe(&l, 138, 10);
	assert_int_equal(l.answer.header.base, 11);
	send_event(&l, 10 + 128, 11);
	assert_int_equal(refused(&l, REASON_FRAME_WINDOW), 2);
	harness_deliver(&l.h);
	assert_conserved(&l);
	close_link(&l);
}

static void sessions_begin_and_are_replaced(void **state)
{
	struct link l;
	uint32_t token;

	(void)state;
	open_link(&l);
	(void)hello(&l, 0);
	token = l.header.token;
	(void)hello(&l, 0);
	assert_int_equal(l.header.token, token);
	send_event(&l, 0, 0);
	harness_deliver(&l.h);
	/* An older run of the sender is told so. */
	l.header.epoch = EPOCH - 1;
	send_hello(&l, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_STALE_EPOCH);
	assert_int_equal(l.answer.header.epoch, EPOCH);
	/* A newer one gets another token; the old session lives until that is used. */
	l.header.epoch = EPOCH + 1;
	(void)hello(&l, 5);
	assert_int_not_equal(l.header.token, token);
	l.header.epoch = EPOCH;
	l.header.token ^= token;
	token ^= l.header.token;
	l.header.token ^= token; /* exchanged */
	send_event(&l, 1, 0);
	assert_int_equal(refused(&l, REASON_FRAME_UNKNOWN_SESSION), 0);
	l.header.epoch = EPOCH + 1;
	send_event(&l, 5, 5); /* with the old token */
	assert_int_equal(error_code(&l), WIRE_ERROR_UNKNOWN_SESSION);
	l.header.token = token;
	send_event(&l, 5, 5);
	assert_int_equal(transport_in_use(l.h.engine->transport), true);
	assert_int_equal(session_table_live(transport_sessions(l.h.engine->transport)), 1);
	harness_deliver(&l.h);
	probe(&l, 6, 5);
	assert_int_equal(l.answer.header.base, 6);
	/* Two sources are allowed. */
	l.header.source_id++;
	(void)hello(&l, 0);
	send_event(&l, 0, 0);
	l.header.source_id++;
	send_hello(&l, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_TOO_MANY_SOURCES);
	harness_deliver(&l.h);
	/* Silence ends both, and their places can be had again. */
	l.h.clock.mono_ns += SESSION_IDLE_NS + MS;
	for (int i = 0; i < 4; i++)
		transport_tick(l.h.engine->transport, l.h.clock.mono_ns);
	assert_false(transport_in_use(l.h.engine->transport));
	(void)hello(&l, 0);
	send_event(&l, 0, 0);
	harness_deliver(&l.h);
	probe(&l, 1, 0);
	assert_int_equal(l.answer.header.base, 1);
	assert_int_equal(l.ack.n_exceptions, 1); /* a duplicate of the event number 0 before */
	assert_conserved(&l);
	close_link(&l);
}

static void close_ends_a_session(void **state)
{
	struct link l;

	(void)state;
	open_link(&l);
	(void)hello(&l, 0);
	send_event(&l, 0, 0);
	harness_deliver(&l.h);
	send_bare(&l, 1, 1, WIRE_CLOSE);
	assert_int_equal(answer(&l, 0), WIRE_CLOSED);
	assert_int_equal(l.answer.header.base, 1);
	send_bare(&l, 1, 1, WIRE_CLOSE);
	assert_int_equal(answer(&l, 0), WIRE_CLOSED);
	l.h.clock.mono_ns += SESSION_CLOSED_NS + MS;
	transport_tick(l.h.engine->transport, l.h.clock.mono_ns);
	send_bare(&l, 1, 1, WIRE_CLOSE);
	assert_int_equal(error_code(&l), WIRE_ERROR_UNKNOWN_SESSION);
	close_link(&l);
}

static void limit_rate(struct config *config)
{
	config->transport.rate = 1000;
	config->transport.burst = 64;
}

static void a_source_is_held_to_its_rate(void **state)
{
	struct link l;

	(void)state;
	open_with(&l, yaml, limit_rate);
	(void)hello(&l, 0);
	for (uint64_t i = 0; i < 100; i++) {
		send_event(&l, i, 0);
		harness_deliver(&l.h);
	}
	assert_int_equal(refused(&l, REASON_FRAME_RATE), 36);
	later(&l, 10 * MS);
	assert_int_equal(answer(&l, 0), WIRE_ACK);
	assert_int_equal(l.answer.header.flags & WIRE_FLAG_SLOW_DOWN, WIRE_FLAG_SLOW_DOWN);
	/* Ten milliseconds are ten events. A new session is no new bucket. */
	l.header.epoch++;
	(void)hello(&l, 64);
	for (uint64_t i = 64; i < 80; i++) {
		send_event(&l, i, 64);
		harness_deliver(&l.h);
	}
	assert_int_equal(refused(&l, REASON_FRAME_RATE), 36 + 6);
	assert_int_equal(harness_counts(&l.h, 0)->received, 74);
	assert_conserved(&l);
	close_link(&l);
}

static void require_mac(struct config *config)
{
	config->transport.authentication_required = true;
}

static void publish(struct link *l, const struct source_spec *specs, size_t n)
{
	struct source_keys *keys;
	struct error err;

	assert_int_equal(source_keys_create(specs, n, 1, &keys, &err), 0);
	transport_publish(l->h.engine->transport, keys);
}

static void macs_keep_strangers_out(void **state)
{
	struct source_spec spec = {
	    .id = SOURCE, .n_keys = 1, .keys = {{.id = 3, .len = 16, .bytes = "sixteen bytes ok"}}};
	uint8_t replay[2048];
	size_t replay_len;
	struct link l;

	(void)state;
	open_with(&l, yaml, require_mac);
	send_hello(&l, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_UNKNOWN_SOURCE);
	publish(&l, &spec, 1);
	send_hello(&l, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_BAD_MAC);
	assert_int_equal(wire_mac_create(&l.mac, (const uint8_t *)"another key, 16+", 16, 3, NULL), 0);
	send_hello(&l, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_BAD_MAC);
	wire_mac_destroy(l.mac);
	assert_int_equal(wire_mac_create(&l.mac, spec.keys[0].bytes, 16, 3, NULL), 0);
	(void)hello(&l, 0);
	assert_non_null(l.answer.mac);
	send_event(&l, 0, 0);
	memcpy(replay, l.datagram, sizeof(replay));
	harness_deliver(&l.h);
	probe(&l, 1, 0);
	assert_non_null(l.answer.mac);
	assert_int_equal(l.answer.header.base, 1);
	/* What was recorded is worth nothing in this session nor in the next. */
	replay_len = WIRE_HEADER_BYTES + (size_t)(replay[54] | replay[55] << 8) + WIRE_TRAILER_BYTES;
	for (int i = 0; i < 2; i++) {
		struct packet packet = {
		    .kind = PACKET_PAYLOAD, .data = (const char *)replay, .len = (uint32_t)replay_len};

		harness_take(&l.h, &packet, 1);
		assert_int_equal(harness_counts(&l.h, 0)->received, 1);
		l.header.epoch++;
		(void)hello(&l, 0);
		send_bare(&l, 0, 0, WIRE_PROBE);
	}
	assert_int_equal(refused(&l, REASON_FRAME_REPEATED), 1);
	assert_int_equal(refused(&l, REASON_FRAME_UNKNOWN_SESSION), 1);
	/* A second key, then the first is taken away, then the source. */
	spec.n_keys = 2;
	spec.keys[1] = (struct source_key){.id = 4, .len = 16, .bytes = "the key thereafter"};
	publish(&l, &spec, 1);
	probe(&l, 0, 0);
	spec.keys[0] = spec.keys[1];
	spec.n_keys = 1;
	publish(&l, &spec, 1);
	send_event(&l, 0, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_BAD_MAC);
	wire_mac_destroy(l.mac);
	assert_int_equal(wire_mac_create(&l.mac, spec.keys[0].bytes, 16, 4, NULL), 0);
	probe(&l, 0, 0);
	spec.revoked = true;
	publish(&l, &spec, 1);
	send_event(&l, 0, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_UNKNOWN_SOURCE);
	close_link(&l);
}

static void what_is_wrong_is_said(void **state)
{
	struct link l;

	(void)state;
	open_link(&l);
	send_event(&l, 0, 0);
	assert_int_equal(refused(&l, REASON_FRAME_MALFORMED), 1); /* no token */
	l.header.token = 12345;
	send_event(&l, 0, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_UNKNOWN_SESSION);
	assert_int_equal(l.answer.header.source_id, SOURCE);
	l.header.stream++;
	send_event(&l, 0, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_UNKNOWN_STREAM);
	l.header.stream--;
	/* The daemon's own frames are not answered. */
	send_bare(&l, 0, 0, WIRE_CLOSED);
	assert_int_equal(l.h.feed.n_sent, 0);
	(void)wire_write_bare(l.datagram, sizeof(l.datagram), &l.header, WIRE_PROBE);
	l.datagram[4] = 9;
	put(&l, WIRE_HEADER_BYTES);
	assert_int_equal(error_code(&l), WIRE_ERROR_VERSION);
	/* Never more than what caused it, and not without end. */
	put(&l, 10);
	assert_int_equal(l.h.feed.n_sent, 0);
	for (int i = 0; i < 300; i++) {
		send_event(&l, 0, 0);
		assert_true(l.h.feed.n_sent == 0 || l.h.feed.sent[0].len <= WIRE_HEADER_BYTES + 11);
	}
	assert_true(l.h.worker->pipeline->ledger->worker.transport.errors < 200);
	(void)hello(&l, 0);
	transport_drain(l.h.engine->transport);
	l.h.clock.mono_ns += 1000 * MS;
	send_event(&l, 0, 0);
	assert_int_equal(error_code(&l), WIRE_ERROR_DRAINING);
	close_link(&l);
}

#define NOISE_FRAMES 100000u
#define NOISE_ROUND 64u

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A frame as a sender might send it, sometimes one that it had no reason to send. */
static size_t random_frame(struct link *l, uint64_t *rng, uint64_t sequence, uint8_t *out, size_t size)
{
	struct wire_header header = l->header;
	char lines[512];
	uint32_t len = 0, count = 1 + (uint32_t)(next(rng) % 4);

	header.sequence = header.base = sequence;
	switch (next(rng) % 16) {
	case 0:
		header.token = 0;
		header.sequence = 0;
		header.epoch += next(rng) % 3 - 1;
		return wire_write_hello(out, size, &header, &(struct wire_hello){.nonce = *rng});
	case 1:
		return wire_write_bare(out, size, &header, WIRE_PROBE);
	case 2:
		return wire_write_bare(out, size, &header, next(rng) % 64 == 0 ? WIRE_CLOSE : WIRE_CLOSED);
	default:
		header.base -= next(rng) % 100;
		for (uint32_t i = 0; i < count; i++)
			len += (uint32_t)snprintf(lines + len, sizeof(lines) - len, "{\"id\":\"%u\"}\n",
			    (unsigned int)(next(rng) % 100000));
		return wire_write_data(out, size, &header, lines, len, (uint16_t)count);
	}
}

static void mutate(uint64_t *rng, uint8_t *bytes, size_t len)
{
	for (uint64_t changes = next(rng) % 6; changes > 0; changes--) {
		size_t at = next(rng) % (next(rng) % 2 == 0 ? len : WIRE_HEADER_BYTES);

		bytes[at] = (uint8_t)(next(rng) % 2 == 0 ? next(rng) : bytes[at] ^ 1u << next(rng) % 8);
	}
}

static void noise_is_accounted_for(void **state)
{
	static uint8_t frames[NOISE_ROUND][1024];
	uint64_t rng = 20251120, sequence = 1000, plain = 0, sum;
	const struct transport_counts *counts;
	const struct worker_counts *w;
	struct link l;

	(void)state;
	open_link(&l);
	l.h.keep = false;
	(void)hello(&l, sequence);
	w = &l.h.worker->pipeline->ledger->worker;
	counts = &w->transport;
	for (uint32_t done = 0; done < NOISE_FRAMES; done += NOISE_ROUND) {
		struct packet packets[NOISE_ROUND];

		for (uint32_t i = 0; i < NOISE_ROUND; i++) {
			size_t len = random_frame(&l, &rng, sequence + i / 2, frames[i], sizeof(frames[i]));

			assert_true(len > 0);
			if (next(&rng) % 2 == 0)
				mutate(&rng, frames[i], len);
			if (next(&rng) % 32 == 0)
				len = 1 + next(&rng) % len;
			plain += len < 4 || memcmp(frames[i], WIRE_MAGIC, 4) != 0;
			packets[i] = (struct packet){
			    .kind = PACKET_PAYLOAD, .data = (const char *)frames[i], .len = (uint32_t)len};
		}
		l.h.feed.n_sent = 0;
		harness_take(&l.h, packets, NOISE_ROUND);
		l.h.refuse = next(&rng) % 16 == 0;
		harness_deliver(&l.h);
		l.h.refuse = false;
		l.h.clock.mono_ns += 5 * MS;
		harness_take(&l.h, NULL, 0);
		transport_tick(l.h.engine->transport, l.h.clock.mono_ns);
		sequence += next(&rng) % 40;
		/* Once in a while the sender begins anew. */
		if (done % (8 * NOISE_ROUND) == 0) {
			l.header.epoch += 3;
			sequence += 1000;
			send_hello(&l, sequence);
			if (answer(&l, 0) == WIRE_WELCOME)
				l.header.token = l.answer.header.token;
		}
	}
	sum = counts->frames + counts->hellos + counts->probes + counts->closes + plain -
	      refused(&l, REASON_FRAME_EMPTY);
	for (int r = 0; r < REASON_COUNT; r++)
		sum += w->frame_reasons[r];
	assert_int_equal(w->packets, sum);
	print_message("taken %llu, hellos %llu, acknowledgements %llu, malformed %llu\n",
	    (unsigned long long)counts->frames, (unsigned long long)counts->hellos,
	    (unsigned long long)counts->acknowledgements,
	    (unsigned long long)refused(&l, REASON_FRAME_MALFORMED));
	assert_true(counts->frames > 10000 && counts->hellos > 100 && counts->acknowledgements > 1000);
	assert_true(refused(&l, REASON_FRAME_MALFORMED) > 1000);
	later(&l, 10 * MS);
	assert_conserved(&l);
	/* It goes on as if nothing had been. */
	l.h.clock.mono_ns += 120000 * MS;
	transport_tick(l.h.engine->transport, l.h.clock.mono_ns);
	l.header.epoch = UINT64_MAX;
	(void)hello(&l, 0);
	send_lines(&l, 0, 0, "{\"id\":\"last\"}\n", 1);
	harness_deliver(&l.h);
	probe(&l, 1, 0);
	assert_int_equal(l.answer.header.base, 1);
	assert_int_equal(l.ack.n_exceptions, 0);
	close_link(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(durable_frames_are_acknowledged_and_not_before),
	    cmocka_unit_test(frames_may_come_in_any_order_and_twice),
	    cmocka_unit_test(exceptions_are_repeated_until_the_sender_knows),
	    cmocka_unit_test(dead_letters_are_made_once),
	    cmocka_unit_test(half_written_events_are_completed),
	    cmocka_unit_test(what_the_sink_gives_up_comes_again),
	    cmocka_unit_test(a_frame_is_taken_whole_or_not_at_all),
	    cmocka_unit_test(fire_and_forget_leaves_the_last_batches),
	    cmocka_unit_test(the_window_holds),
	    cmocka_unit_test(sessions_begin_and_are_replaced),
	    cmocka_unit_test(close_ends_a_session),
	    cmocka_unit_test(a_source_is_held_to_its_rate),
	    cmocka_unit_test(macs_keep_strangers_out),
	    cmocka_unit_test(what_is_wrong_is_said),
	    cmocka_unit_test(noise_is_accounted_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
