/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"
#include "kafka_embedded.h"
#include "kafka_partition.h"
#include "kafka_reader.h"
#include "sink_fixture.h"
#include "sink_kafka.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX_EVENTS 40000u
#define PRODUCE_API 0

static void property(struct fixture *fixture, const char *key, const char *value)
{
	size_t i = fixture->config.kafka.n_properties++;

	fixture->config.kafka.property_keys[i] = (char *)(uintptr_t)key;
	fixture->config.kafka.property_values[i] = (char *)(uintptr_t)value;
}

static json_t *describe(struct sink *sink)
{
	json_t *object = json_object();

	sink->ops->describe(sink, object);
	return object;
}

/* With the embedded broker unless there is an address. `brokers` may be NULL. */
static struct sink *start(struct fixture *fixture, char **brokers)
{
	struct sink *sink;
	json_t *object;
	struct error err;

	fixture->config.kafka.enabled = true;
	fixture->config.kafka.embedded = fixture->config.kafka.bootstrap == NULL;
	fixture->config.kafka.headers = true;
	if (sink_kafka_create(&fixture->config, 0, &sink, &err) != 0)
		fail_msg("%s", err.text);
	object = describe(sink);
	if (brokers != NULL)
		*brokers = strdup(json_string_value(json_object_get(object, "brokers")));
	json_decref(object);
	return sink;
}

/* One event in a hundred is a dead letter. */
static void begin(struct fixture *fixture)
{
	fixture_init(fixture, 8);
	fixture->dead_every = 100;
}

static void stop(struct fixture *fixture, struct sink *sink, char *brokers)
{
	sink->ops->close(sink);
	fixture_fini(fixture);
	free(brokers);
}

/* Polls until the sink's last error contains `part`. */
static void wait_for_error(struct sink *sink, const char *part)
{
	uint64_t deadline_ns = clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS;
	bool said = false;

	while (!said) {
		json_t *description;
		const char *error;

		if (clock_mono_ns(&system_clock) > deadline_ns)
			fail_msg("the sink never said \"%s\"", part);
		sink->ops->poll(sink, 1);
		description = describe(sink);
		error = json_string_value(json_object_get(description, "last_error"));
		said = error != NULL && strstr(error, part) != NULL;
		json_decref(description);
	}
}

/* What was read back: how often each event was seen in a topic. */
struct tally {
	uint8_t seen[MAX_EVENTS];
	bool headers, grouped;
	uint32_t padding;
};

static void tally_raw(void *context, const rd_kafka_message_t *message)
{
	struct tally *tally = context;
	char text[64];
	unsigned int n;

	assert_true(message->len < sizeof(text));
	memcpy(text, message->payload, message->len);
	text[message->len] = '\0';
	assert_int_equal(sscanf(text, "{\"n\":%u}", &n), 1);
	assert_true(n < MAX_EVENTS);
	tally->seen[n]++;
}

static void tally_enriched(void *context, const rd_kafka_message_t *message)
{
	struct tally *tally = context;
	unsigned int n;
	char key[32], id[32], start[64];
	int len;

	assert_int_equal(sscanf(message->payload, "{\"n\":%u,", &n), 1);
	assert_true(n < MAX_EVENTS);
	tally->seen[n]++;
	len = snprintf(start, sizeof(start), "{\"n\":%u,\"enrichments\":{\"p\":\"", n);
	assert_memory_equal(message->payload, start, (size_t)len);
	assert_int_equal(message->len, (size_t)len + tally->padding + 3);
	len = snprintf(key, sizeof(key), "key-%u", n % 1000);
	assert_int_equal(message->key_len, len);
	assert_memory_equal(message->key, key, (size_t)len);
	assert_int_equal(message->partition, kafka_partition(key, (size_t)len, 4));
	if (!tally->headers)
		return;
	snprintf(id, sizeof(id), "id-%u", n);
	assert_string_equal(kafka_reader_header(message, "ce_id"), id);
	assert_string_equal(kafka_reader_header(message, "ce_specversion"), "1.0");
	assert_string_equal(kafka_reader_header(message, "ce_type"), "penstock.shop");
	assert_string_equal(kafka_reader_header(message, "ce_source"), "/penstock/node%201/shop");
	if (n == 0 || n == 1)
		assert_string_equal(kafka_reader_header(message, "ce_time"),
		    n == 0 ? "2025-06-17T23:30:05.123Z" : "2025-06-17T23:30:05.124Z");
}

static void tally_dead(void *context, const rd_kafka_message_t *message)
{
	struct tally *tally = context;
	unsigned int n;
	char text[64];

	assert_true(message->len < sizeof(text));
	memcpy(text, message->payload, message->len);
	text[message->len] = '\0';
	if (sscanf(text, "broken %u", &n) == 1) {
		assert_string_equal(kafka_reader_header(message, "penstock.error.stage"), "parse");
		assert_string_equal(kafka_reader_header(message, "penstock.error.reason"), "json_syntax");
		assert_string_equal(kafka_reader_header(message, "penstock.error.message"), "expected {");
		assert_string_equal(
		    kafka_reader_header(message, "__connect.errors.stage"), "VALUE_CONVERTER");
		assert_string_equal(kafka_reader_header(message, "__connect.errors.exception.class.name"),
		    "penstock.json_syntax");
		assert_string_equal(
		    kafka_reader_header(message, "__connect.errors.exception.message"), "expected {");
	} else {
		assert_int_equal(sscanf(text, "{\"n\":%u}", &n), 1);
		assert_string_equal(kafka_reader_header(message, "penstock.error.stage"), "emit");
		assert_string_equal(
		    kafka_reader_header(message, "penstock.error.reason"), "record_too_large");
	}
	assert_string_equal(kafka_reader_header(message, "penstock.error.stream"), "shop");
	assert_string_equal(
	    kafka_reader_header(message, "penstock.error.timestamp"), "2025-06-17T23:30:05.123Z");
	assert_string_equal(kafka_reader_header(message, "penstock.error.replays"), "0");
	assert_string_equal(kafka_reader_header(message, "__connect.errors.topic"), "raw");
	assert_true(n < MAX_EVENTS);
	tally->seen[n]++;
}

/* A record of several lines. */
static void tally_group(void *context, const rd_kafka_message_t *message)
{
	struct tally *tally = context;
	const char *at = message->payload, *end = at + message->len;
	uint32_t lines = 0;

	assert_true(message->len > 0 && end[-1] != '\n');
	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		unsigned int n;
		char key[32];
		int len;

		if (eol == NULL)
			eol = end;
		assert_int_equal(sscanf(at, "{\"n\":%u", &n), 1);
		assert_true(n < MAX_EVENTS && eol[-1] == '}');
		len = snprintf(key, sizeof(key), "key-%u", n % 1000);
		assert_int_equal(message->partition, kafka_partition(key, (size_t)len, 4));
		tally->seen[n]++;
		lines++;
		at = eol + 1;
	}
	assert_int_equal(strtoul(kafka_reader_header(message, "penstock.count"), NULL, 10), lines);
	assert_string_equal(kafka_reader_header(message, "content-type"), "application/x-ndjson");
	if (tally->headers)
		assert_string_equal(kafka_reader_header(message, "ce_type"), "penstock.shop");
}

/* Every event at least `low` and at most `high` times; only dead letters (dead), or only the others. */
static void check_tally(const struct tally *tally, const struct fixture *fixture, bool dead, uint8_t high)
{
	uint32_t missing = 0;

	for (uint32_t n = 0; n < fixture->next; n++)
		missing +=
		    tally->seen[n] == 0 && dead == (fixture->dead_every > 0 && n % fixture->dead_every == 0);
	if (missing > 0)
		fail_msg("%u events are not there", missing);
	for (uint32_t n = 0; n < fixture->next; n++) {
		bool is_dead = fixture->dead_every > 0 && n % fixture->dead_every == 0;

		if (is_dead != dead)
			assert_int_equal(tally->seen[n], 0);
		else if (tally->seen[n] > high)
			fail_msg("event %u is there %u times", n, tally->seen[n]);
	}
}

static void read_back(struct fixture *fixture, const char *brokers, bool headers, uint8_t high)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	tally->padding = fixture->padding;
	tally->headers = headers;
	kafka_reader_all(brokers, "raw", tally_raw, tally);
	check_tally(tally, fixture, false, high);
	memset(tally->seen, 0, sizeof(tally->seen));
	kafka_reader_all(brokers, "enriched", tally_enriched, tally);
	check_tally(tally, fixture, false, high);
	memset(tally->seen, 0, sizeof(tally->seen));
	kafka_reader_all(brokers, "dead", tally_dead, tally);
	check_tally(tally, fixture, true, high);
	free(tally);
}

static void check_ledger(const struct fixture *fixture, const struct sink *sink)
{
	const struct sink_stream_counts *counts = &sink->ledger.stream[0];
	uint32_t dead =
	    fixture->dead_every > 0 ? (fixture->next + fixture->dead_every - 1) / fixture->dead_every : 0;

	assert_int_equal(counts->durable, fixture->next - dead);
	assert_int_equal(counts->dead_lettered, dead);
	assert_int_equal(counts->records, 2 * (fixture->next - dead) + dead);
	assert_int_equal(counts->shed, 0);
}

/* Waits until the sink has confirmed everything, and reads it back: each event at least once, at most `high` times. */
static void check_all_arrive(struct fixture *fixture, struct sink *sink, const char *brokers, uint8_t high)
{
	fixture_drain(fixture, sink);
	check_ledger(fixture, sink);
	read_back(fixture, brokers, true, high);
}

static void records_arrive_as_they_are(void **state)
{
	struct fixture fixture = {0};
	struct sink *sink;
	char *brokers;
	json_t *description;

	(void)state;
	begin(&fixture);
	sink = start(&fixture, &brokers);
	fixture_submit_events(&fixture, sink, 20000, 1500);
	check_all_arrive(&fixture, sink, brokers, 1);
	assert_int_equal(sink->ledger.stream[0].retries, 0);
	description = describe(sink);
	assert_string_equal(json_string_value(json_object_get(description, "state")), "ok");
	assert_int_equal(json_integer_value(json_object_get(description, "outstanding")), 0);
	assert_int_equal(json_integer_value(json_object_get(
	                     json_array_get(json_object_get(description, "topics"), 1), "delivered")),
	    19800);
	json_decref(description);
	stop(&fixture, sink, brokers);
}

static void batch_records_hold_many_events(void **state)
{
	struct fixture fixture = {0};
	struct tally *tally = calloc(1, sizeof(*tally));
	struct sink *sink;
	char *brokers;
	uint64_t records;

	(void)state;
	begin(&fixture);
	fixture.padding = 300;
	fixture.config.kafka.record = KAFKA_RECORD_BATCH;
	sink = start(&fixture, &brokers);
	fixture_submit_events(&fixture, sink, 20000, 2000);
	fixture_drain(&fixture, sink);
	check_ledger(&fixture, sink);
	tally->headers = true;
	records = kafka_reader_all(brokers, "enriched", tally_group, tally);
	check_tally(tally, &fixture, false, 1);
	assert_int_equal(records, 4 * (20000 / 2000) * 2); /* 165 KB for each partition, cut at 128 KB */
	tally->headers = false;
	memset(tally->seen, 0, sizeof(tally->seen));
	assert_int_equal(kafka_reader_all(brokers, "raw", tally_group, tally), 4 * (20000 / 2000));
	check_tally(tally, &fixture, false, 1);
	memset(tally->seen, 0, sizeof(tally->seen));
	kafka_reader_all(brokers, "dead", tally_dead, tally);
	check_tally(tally, &fixture, true, 1);
	stop(&fixture, sink, brokers);
	free(tally);
}

/* Errors of the broker, again and again, while events flow; then the broker goes away for a while. */
static void broker_errors_lose_nothing(void **state)
{
	static const rd_kafka_resp_err_t errors[] = {
	    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
	    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
	    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
	    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
	    RD_KAFKA_RESP_ERR__TRANSPORT,
	    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS,
	    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
	    RD_KAFKA_RESP_ERR_UNKNOWN,
	};
	struct fixture fixture = {0};
	struct sink *sink;
	char *brokers;

	(void)state;
	begin(&fixture);
	property(&fixture, "retry.backoff.ms", "10");
	/* A broker takes a batch only behind the one before it, and librdkafka relies on that: it counts what
	 * is still unanswered as written once a later batch is. This broker takes any, so there must not be
	 * two. */
	property(&fixture, "max.in.flight", "1");
	sink = start(&fixture, &brokers);
	for (int i = 0; i < 40; i++) {
		rd_kafka_mock_push_request_errors(sink_kafka_cluster(sink), PRODUCE_API, 1,
		    errors[(size_t)i % (sizeof(errors) / sizeof(errors[0]))]);
		if (i == 20) /* the pool holds what is submitted while the broker is away */
			fixture_drain(&fixture, sink);
		fixture_submit_events(&fixture, sink, 500, 250);
		if (i == 20)
			rd_kafka_mock_broker_set_down(sink_kafka_cluster(sink), 1);
		if (i == 23) {
			json_t *description;

			for (int j = 0; j < 50; j++)
				sink->ops->poll(sink, 1);
			assert_true(sink->ledger.stream[0].durable < fixture.next - fixture.next / 100);
			description = describe(sink);
			assert_true(json_integer_value(json_object_get(description, "outstanding")) > 0);
			json_decref(description);
			rd_kafka_mock_broker_set_up(sink_kafka_cluster(sink), 1);
		}
	}
	/* An answer that says "failed" may follow a write. */
	check_all_arrive(&fixture, sink, brokers, 20);
	assert_true(sink->ledger.stream[0].retries > 0);
	stop(&fixture, sink, brokers);
}

/* The broker refuses requests for their size: the records go again one by one, and none is a dead letter. */
static void a_request_too_large_is_taken_apart(void **state)
{
	struct fixture fixture = {0};
	struct sink *sink;
	char *brokers;

	(void)state;
	begin(&fixture);
	sink = start(&fixture, &brokers);
	/* Nothing is outstanding when the error is set: a request of many records meets it. */
	for (int i = 0; i < 4; i++) {
		rd_kafka_mock_push_request_errors(
		    sink_kafka_cluster(sink), PRODUCE_API, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
		fixture_submit_events(&fixture, sink, 1000, 1000);
		fixture_drain(&fixture, sink);
	}
	check_all_arrive(&fixture, sink, brokers, 1);
	assert_true(sink->ledger.stream[0].retries > 0);
	assert_int_equal(sink->ledger.stream[0].reasons[REASON_RECORD_TOO_LARGE], 0);
	stop(&fixture, sink, brokers);
}

static void a_record_too_large_becomes_a_dead_letter(struct fixture *fixture)
{
	struct tally *tally = calloc(1, sizeof(*tally));
	struct sink *sink;
	char *brokers;

	/* Small events, then some whose enriched form librdkafka refuses at message.max.bytes. */
	property(fixture, "message.max.bytes", "80000");
	sink = start(fixture, &brokers);
	fixture_submit_events(fixture, sink, 100, 100);
	fixture->padding = 90000;
	fixture_submit_events(fixture, sink, 20, 20);
	fixture_drain(fixture, sink);
	assert_int_equal(sink->ledger.stream[0].durable, 100);
	assert_int_equal(sink->ledger.stream[0].dead_lettered, 20);
	assert_int_equal(sink->ledger.stream[0].reasons[REASON_RECORD_TOO_LARGE], 20);
	assert_int_equal(kafka_reader_all(brokers, "dead", tally_dead, tally), 20);
	for (uint32_t n = 0; n < 120; n++)
		assert_int_equal(tally->seen[n], n >= 100);
	stop(fixture, sink, brokers);
	free(tally);
}

static void too_large_events(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	fixture_init(&fixture, 8);
	a_record_too_large_becomes_a_dead_letter(&fixture);
}

static void too_large_events_in_batch_records(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	fixture_init(&fixture, 8);
	fixture.config.kafka.record = KAFKA_RECORD_BATCH;
	a_record_too_large_becomes_a_dead_letter(&fixture);
}

static void see_cut(void *context, const rd_kafka_message_t *message)
{
	uint32_t *seen = context;

	assert_string_equal(kafka_reader_header(message, "penstock.error.length"), "1048576");
	assert_in_range(message->len, 900000, 999999);
	for (size_t i = 0; i < message->len; i++)
		assert_int_equal(((const char *)message->payload)[i], 'x');
	++*seen;
}

/* A line that is longer than any message may be does not hold up its batch. */
static void a_dead_letter_too_large_is_cut(void **state)
{
	struct fixture fixture = {0};
	uint32_t len = 1 << 20, seen = 0;
	struct batch *batch;
	struct sink *sink;
	char *brokers;

	(void)state;
	fixture_init(&fixture, 8);
	fixture.dead_every = 1;
	sink = start(&fixture, &brokers);
	batch = fixture_batch(&fixture, 1);
	memset(batch->bytes + batch->used, 'x', len);
	batch->records[0].value = batch->events[0].raw = batch->used;
	batch->records[0].value_len = batch->events[0].raw_len = len;
	batch->used += len;
	fixture_submit(sink, batch);
	fixture_drain(&fixture, sink);
	assert_int_equal(sink->ledger.stream[0].dead_lettered, 1);
	assert_int_equal(kafka_reader_all(brokers, "dead", see_cut, &seen), 1);
	assert_int_equal(seen, 1);
	stop(&fixture, sink, brokers);
}

static void a_fatal_error_makes_a_new_producer(void **state)
{
	struct fixture fixture = {0};
	struct sink *sink;
	char *brokers;

	(void)state;
	begin(&fixture);
	sink = start(&fixture, &brokers);
	fixture_submit_events(&fixture, sink, 4000, 1000);
	rd_kafka_test_fatal_error(
	    sink_kafka_handle(sink), RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "test");
	fixture_submit_events(&fixture, sink, 4000, 1000);
	fixture_drain(&fixture, sink);
	check_ledger(&fixture, sink);
	read_back(&fixture, brokers, true, 2);
	stop(&fixture, sink, brokers);
}

/* What librdkafka has no room for waits here. */
static void a_full_queue_is_waited_for(void **state)
{
	struct fixture fixture = {0};
	struct sink *sink;
	char *brokers;

	(void)state;
	begin(&fixture);
	property(&fixture, "queue.buffering.max.messages", "700");
	sink = start(&fixture, &brokers);
	rd_kafka_mock_broker_set_down(sink_kafka_cluster(sink), 1);
	fixture_submit_events(&fixture, sink, 3000, 1000);
	assert_in_range(rd_kafka_outq_len(sink_kafka_handle(sink)), 350, 700);
	rd_kafka_mock_broker_set_up(sink_kafka_cluster(sink), 1);
	fixture_submit_events(&fixture, sink, 4000, 500);
	fixture_drain(&fixture, sink);
	check_ledger(&fixture, sink);
	read_back(&fixture, brokers, true, 1);
	stop(&fixture, sink, brokers);
}

/* A broker of the test's own, which does not know the topic before the producer asks for the first time. */
static struct kafka_embedded *broker_without(struct fixture *fixture, const char *topic)
{
	struct kafka_embedded *embedded;
	struct error err;

	property(fixture, "topic.metadata.propagation.max.ms", "0");
	assert_int_equal(kafka_embedded_create(&fixture->config, &embedded, &err), 0);
	rd_kafka_mock_topic_set_error(
	    kafka_embedded_cluster(embedded), topic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	fixture->config.kafka.bootstrap = (char *)(uintptr_t)kafka_embedded_address(embedded);
	return embedded;
}

/* A topic's part of the description. */
static json_int_t topic_number(struct sink *sink, const char *topic, const char *name, const char *state)
{
	json_t *description = describe(sink), *item;
	json_int_t number = -1;
	size_t i;

	json_array_foreach(json_object_get(description, "topics"), i, item)
	{
		if (strcmp(json_string_value(json_object_get(item, "topic")), topic) != 0)
			continue;
		number = json_integer_value(json_object_get(item, name));
		if (state != NULL)
			assert_string_equal(json_string_value(json_object_get(item, "state")), state);
	}
	json_decref(description);
	return number;
}

/* The other topics of the stream get theirs, beyond what librdkafka's queue holds for the one that is missing. */
static void a_missing_topic_stops_no_other(void **state)
{
	uint64_t deadline_ns = clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS;
	struct fixture fixture = {0};
	struct kafka_embedded *embedded;
	struct sink *sink;
	char *brokers;

	(void)state;
	begin(&fixture);
	property(&fixture, "queue.buffering.max.messages", "2000");
	embedded = broker_without(&fixture, "raw");
	sink = start(&fixture, &brokers);
	fixture_submit_events(&fixture, sink, 8000, 1000);
	wait_for_error(sink, "topic raw");
	while (topic_number(sink, "enriched", "delivered", NULL) < 7920 ||
	       topic_number(sink, "dead", "delivered", NULL) < 80) {
		if (clock_mono_ns(&system_clock) > deadline_ns)
			fail_msg("%lld enriched records are delivered",
			    (long long)topic_number(sink, "enriched", "delivered", NULL));
		sink->ops->poll(sink, 1);
	}
	assert_int_equal(topic_number(sink, "enriched", "waiting", "ok"), 0);
	assert_int_equal(topic_number(sink, "raw", "waiting", "failing"), 7920);
	assert_int_equal(sink->ledger.stream[0].durable, 0);
	assert_int_equal(sink->ledger.stream[0].dead_lettered, 80);
	/* Tried now and then, and not all of it. */
	assert_true(sink->ledger.stream[0].retries < 4 * 8000);
	rd_kafka_mock_topic_set_error(kafka_embedded_cluster(embedded), "raw", RD_KAFKA_RESP_ERR_NO_ERROR);
	fixture_drain(&fixture, sink);
	check_ledger(&fixture, sink);
	assert_int_equal(topic_number(sink, "raw", "waiting", "ok"), 0);
	read_back(&fixture, brokers, true, 1);
	stop(&fixture, sink, brokers);
	kafka_embedded_destroy(embedded);
}

/* Nobody listens at the address: nothing is confirmed, and close counts it all as shed, once per event. */
static void no_broker_confirms_nothing(void **state)
{
	struct fixture fixture = {0};
	struct sink_ledger ledger;
	struct sink *sink;

	(void)state;
	fixture_init(&fixture, 8);
	fixture.config.kafka.bootstrap = (char *)"127.0.0.1:1";
	sink = start(&fixture, NULL);
	sink->published = published_create(sizeof(ledger));
	fixture_submit_events(&fixture, sink, 3000, 1000);
	wait_for_error(sink, "");
	assert_int_equal(sink->ops->flush(sink, 0), -ETIMEDOUT);
	published_read(sink->published, &ledger, sizeof(ledger));
	assert_int_equal(sink->ledger.stream[0].durable, 0);
	{
		struct published *published = sink->published;

		sink->ops->close(sink);
		published_read(published, &ledger, sizeof(ledger));
		published_destroy(published);
	}
	assert_int_equal(ledger.stream[0].durable, 0);
	assert_int_equal(ledger.stream[0].shed, 3000);
	assert_int_equal(ledger.stream[0].reasons[REASON_SHED_UNDELIVERED], 3000);
	fixture_fini(&fixture);
}

/* A topic that is unknown at first: said so, tried again, delivered once it is there. */
static void an_unknown_topic_is_waited_for(void **state)
{
	struct fixture fixture = {0};
	struct kafka_embedded *embedded;
	struct sink *sink;
	char *brokers;

	(void)state;
	fixture_init(&fixture, 8);
	embedded = broker_without(&fixture, "enriched");
	sink = start(&fixture, &brokers);
	fixture_submit_events(&fixture, sink, 1000, 1000);
	wait_for_error(sink, "topic enriched");
	assert_int_equal(sink->ledger.stream[0].durable, 0);
	rd_kafka_mock_topic_set_error(
	    kafka_embedded_cluster(embedded), "enriched", RD_KAFKA_RESP_ERR_NO_ERROR);
	check_all_arrive(&fixture, sink, brokers, 1);
	stop(&fixture, sink, brokers);
	kafka_embedded_destroy(embedded);
}

static void bad_properties_are_refused(void **state)
{
	struct fixture fixture = {0};
	struct sink *sink;
	struct error err;

	(void)state;
	fixture_init(&fixture, 1);
	fixture.config.kafka.embedded = true;
	property(&fixture, "compression.type", "zip");
	assert_int_equal(sink_kafka_create(&fixture.config, 0, &sink, &err), -EINVAL);
	assert_null(sink);
	assert_non_null(strstr(err.text, "compression"));
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(records_arrive_as_they_are),
	    cmocka_unit_test(batch_records_hold_many_events),
	    cmocka_unit_test(broker_errors_lose_nothing),
	    cmocka_unit_test(a_request_too_large_is_taken_apart),
	    cmocka_unit_test(too_large_events),
	    cmocka_unit_test(too_large_events_in_batch_records),
	    cmocka_unit_test(a_dead_letter_too_large_is_cut),
	    cmocka_unit_test(a_fatal_error_makes_a_new_producer),
	    cmocka_unit_test(a_full_queue_is_waited_for),
	    cmocka_unit_test(a_missing_topic_stops_no_other),
	    cmocka_unit_test(no_broker_confirms_nothing),
	    cmocka_unit_test(an_unknown_topic_is_waited_for),
	    cmocka_unit_test(bad_properties_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
