/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole chain over memory sources: what each policy does to the records and to the ledger. */
#include "harness.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD                                                             \
	"node: t\ndataplane: {lcores: [1]}\n"                            \
	"sources: [{name: s, type: file, path: /dev/null, stream: a}]\n" \
	"sinks: {files: {directory: lake}}\n"                            \
	"dimensions: {products: {required: false}, users: {required: false}}\n"
#define OUTPUT "    output: {raw: r, enriched: e, dead_letter: d}\n"
#define FIELDS                                       \
	"    fields:\n"                              \
	"      id: {type: string, required: true}\n" \
	"      productId: {type: string}\n"          \
	"      userId: {type: string}\n"             \
	"      n: {type: integer, min: 0}\n"
#define STREAM(more) HEAD "streams:\n  - name: a\n    identity: id\n" FIELDS OUTPUT more
#define JOINS                                                                         \
	"    enrich:\n"                                                               \
	"      - {dimension: products, key: productId, as: product, on_miss: emit}\n" \
	"      - {dimension: users, key: userId, as: user, on_miss: dlq}\n"
#define PRODUCTS "{\"productId\":\"p1\",\"name\":\"Shirt \\u00e9\",\"tags\":[1,2]}\n"
#define USERS "{\"userId\":\"u1\",\"country\":\"USA\"}\n"
#define TAIL "\"processing_timestamp\":\"2025-06-17T23:30:05.123Z\"}}"

static void open_text(struct harness *h, const char *yaml)
{
	harness_open(h, yaml, strlen(yaml), NULL);
}

static void send_text(struct harness *h, const char *text)
{
	harness_send(h, 0, text, strlen(text));
}

static const char *enriched(const struct harness *h, size_t i)
{
	const struct caught *record = harness_record(h, RECORD_ENRICHED, i);

	assert_non_null(record);
	return record->value;
}

static void assert_balanced(const struct harness *h)
{
	const struct worker_stream_counts *c = harness_counts(h, 0);

	assert_int_equal(c->received, c->handed + c->duplicate + c->shed);
}

static void bytes_are_kept_as_they_came(void **state)
{
	static const char event[] = "{ \"n\" : 1 ,\t\"id\":\"x\\u0041\", \"extra\":{\"a\":[ 1,2 ]} }";
	struct harness h;

	(void)state;
	open_text(&h, STREAM(""));
	harness_send(&h, 0, event, sizeof(event) - 1);
	assert_string_equal(harness_record(&h, RECORD_RAW, 0)->value, event);
	assert_string_equal(enriched(&h, 0),
	    "{ \"n\" : 1 ,\t\"id\":\"x\\u0041\", \"extra\":{\"a\":[ 1,2 ]},\"enrichments\":{" TAIL);
	/* Without a partition key the identity is the key, decoded. */
	assert_string_equal(harness_record(&h, RECORD_ENRICHED, 0)->key, "xA");
	assert_balanced(&h);
	harness_close(&h);
}

static void joins_hit_miss_and_absent(void **state)
{
	struct harness h;

	(void)state;
	open_text(&h, STREAM(JOINS "    snapshot_versions: true\n"));
	harness_dimension(&h, "products", "v1", "productId", PRODUCTS);
	harness_dimension(&h, "users", "v9", "userId", USERS);
	send_text(&h, "{\"id\":\"1\",\"productId\":\"p1\",\"userId\":\"u1\"}\n"
	              "{\"id\":\"2\",\"productId\":\"p2\",\"userId\":\"u1\"}\n"
	              "{\"id\":\"3\",\"productId\":\"p1\",\"userId\":\"nobody\"}\n"
	              "{\"id\":\"4\"}\n");
	assert_string_equal(enriched(&h, 0),
	    "{\"id\":\"1\",\"productId\":\"p1\",\"userId\":\"u1\",\"enrichments\":{\"product\":{\"name\":"
	    "\"Shirt \\u00e9\",\"tags\":[1,2]},"
	    "\"user\":{\"country\":\"USA\"},\"snapshot_versions\":{\"products\":\"v1\",\"users\":\"v9\"}"
	    "," TAIL);
	assert_string_equal(enriched(&h, 1),
	    "{\"id\":\"2\",\"productId\":\"p2\",\"userId\":\"u1\",\"enrichments\":{\"user\":{\"country\":"
	    "\"USA\"},\"_missing\":[\"products\"],"
	    "\"snapshot_versions\":{\"products\":\"v1\",\"users\":\"v9\"}," TAIL);
	assert_string_equal(enriched(&h, 2), "{\"id\":\"4\",\"enrichments\":{" TAIL);
	assert_int_equal(harness_record(&h, RECORD_DEAD_LETTER, 0)->reason, REASON_DIMENSION_MISS);
	assert_string_equal(harness_record(&h, RECORD_DEAD_LETTER, 0)->message,
	    "dimension \"users\": no row for the event's \"userId\"");
	assert_int_equal(harness_counts(&h, 0)->hits[0], 2);
	assert_int_equal(harness_counts(&h, 0)->misses[0], 1);
	assert_int_equal(harness_counts(&h, 0)->hits[1], 2);
	assert_int_equal(harness_counts(&h, 0)->misses[1], 1);
	assert_balanced(&h);
	harness_close(&h);
}

static void duplicates_are_dropped_within_the_window(void **state)
{
	struct harness h;

	(void)state;
	open_text(&h, STREAM("    dedup: {window: 10m, mode: drop, budget_mb: 1}\n"));
	send_text(&h, "{\"id\":\"1\"}\n{\"id\":\"1\",\"n\":2}\n{\"id\":\"2\"}\n");
	assert_int_equal(harness_counts(&h, 0)->duplicate, 1);
	/* The wall clock may step; the window does not follow it. */
	h.clock.wall_ms += 3600 * 1000;
	h.clock.mono_ns += UINT64_C(9) * 60 * 1000000000;
	send_text(&h, "{\"id\":\"1\"}");
	assert_int_equal(harness_counts(&h, 0)->duplicate, 2);
	h.clock.wall_ms -= 7200 * 1000;
	h.clock.mono_ns += UINT64_C(61) * 1000000000;
	send_text(&h, "{\"id\":\"1\"}");
	assert_int_equal(harness_counts(&h, 0)->duplicate, 2);
	assert_int_equal(h.records[RECORD_ENRICHED], 3);
	assert_balanced(&h);
	harness_close(&h);
}

static void a_retry_of_what_was_not_delivered_is_new(void **state)
{
	struct harness h;

	(void)state;
	open_text(&h, STREAM("    dedup: {window: 10m, mode: drop, budget_mb: 1}\n"));
	h.refuse = true;
	send_text(&h, "{\"id\":\"1\"}\n{\"id\":\"1\"}\n{\"id\":\"2\"}\n");
	assert_int_equal(harness_counts(&h, 0)->duplicate, 1);
	assert_int_equal(h.sink.ledger.stream[0].shed, 2);
	h.refuse = false;
	send_text(&h, "{\"id\":\"1\"}\n{\"id\":\"1\"}\n{\"id\":\"2\"}\n");
	assert_int_equal(harness_counts(&h, 0)->duplicate, 2);
	assert_int_equal(h.records[RECORD_ENRICHED], 2);
	assert_int_equal(h.sink.ledger.stream[0].durable, 2);
	harness_close(&h);
}

/* Without an identity the event's bytes take its place; null is none, as it is for a required field. */
static void events_without_an_identity_are_told_apart(void **state)
{
	static const char yaml[] = HEAD "streams:\n  - name: a\n    identity: id\n"
	                                "    fields: {id: {type: string}, n: {type: integer}}\n" OUTPUT
	                                "    dedup: {window: 10m, mode: drop, budget_mb: 1}\n";
	struct harness h;

	(void)state;
	open_text(&h, yaml);
	send_text(&h, "{\"n\":1}\n{\"n\":2}\n{\"id\":null,\"n\":1}\n{\"id\":null,\"n\":2}\n");
	assert_int_equal(harness_counts(&h, 0)->duplicate, 0);
	send_text(&h, "{\"n\":1}\n{\"id\":null,\"n\":2}\n{\"id\":\"null\"}\n");
	assert_int_equal(harness_counts(&h, 0)->duplicate, 2);
	assert_int_equal(h.records[RECORD_ENRICHED], 5);
	assert_balanced(&h);
	harness_close(&h);
}

static void duplicates_are_flagged(void **state)
{
	struct harness h;

	(void)state;
	open_text(&h, STREAM("    dedup: {window: 10m, mode: flag, budget_mb: 1}\n"));
	send_text(&h, "{\"id\":\"1\"}\n{\"id\":\"1\"}\n");
	assert_string_equal(enriched(&h, 0), "{\"id\":\"1\",\"enrichments\":{" TAIL);
	assert_string_equal(enriched(&h, 1), "{\"id\":\"1\",\"is_duplicate\":true,\"enrichments\":{" TAIL);
	assert_int_equal(harness_counts(&h, 0)->flagged, 1);
	assert_int_equal(harness_counts(&h, 0)->duplicate, 0);
	assert_balanced(&h);
	harness_close(&h);
}

/* A malformed event must not leave a mark that would swallow its corrected successor. */
static void a_refused_event_leaves_no_mark(void **state)
{
	struct harness h;

	(void)state;
	open_text(&h, STREAM("    dedup: {window: 10m, mode: drop, budget_mb: 1}\n"));
	send_text(&h, "{\"id\":\"1\",\"n\":-1}\n{\"id\":\"1\",\"n\":1}\n");
	assert_int_equal(harness_record(&h, RECORD_DEAD_LETTER, 0)->reason, REASON_FIELD_RANGE);
	assert_int_equal(h.records[RECORD_ENRICHED], 1);
	harness_close(&h);
}

static void unknown_fields_are_dropped(void **state)
{
	static const char *const cases[][2] = {
	    {"{\"id\":\"1\",\"x\":1}", "{\"id\":\"1\""},
	    {"{\"x\":{\"y\":[1,{\"z\":\"}\"}]},\"id\":\"2\"}", "{\"id\":\"2\""},
	    {"{ \"x\" : 1 , \"id\" : \"3\" , \"y\" : \"a,b\" }", "{  \"id\" : \"3\""},
	    {"{\"a\":1,\"b\":2,\"id\":\"4\",\"c\":3,\"n\":5,\"d\":4}", "{\"id\":\"4\",\"n\":5"},
	};
	struct harness h;

	(void)state;
	open_text(&h, STREAM("    unknown_fields: drop\n"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[256];

		(void)snprintf(expected, sizeof(expected), "%s,\"enrichments\":{%s", cases[i][1], TAIL);
		send_text(&h, cases[i][0]);
		assert_string_equal(enriched(&h, i), expected);
		assert_string_equal(harness_record(&h, RECORD_RAW, i)->value, cases[i][0]);
	}
	harness_close(&h);
}

static void dead_letters_keep_the_original_bytes(void **state)
{
	struct harness h;

	(void)state;
	open_text(&h, STREAM(""));
	send_text(&h, "  {\"id\":}  \r\n\n{\"id\":\"1\",\"n\":\"x\"}\n{\"n\":1}\n[1]");
	assert_string_equal(harness_record(&h, RECORD_DEAD_LETTER, 0)->value, "{\"id\":}");
	assert_int_equal(harness_record(&h, RECORD_DEAD_LETTER, 0)->reason, REASON_JSON_SYNTAX);
	assert_int_equal(harness_record(&h, RECORD_DEAD_LETTER, 1)->reason, REASON_FIELD_TYPE);
	assert_string_equal(harness_record(&h, RECORD_DEAD_LETTER, 1)->message,
	    "field \"n\": a field has another JSON type than declared");
	assert_int_equal(harness_record(&h, RECORD_DEAD_LETTER, 2)->reason, REASON_FIELD_MISSING);
	assert_int_equal(harness_record(&h, RECORD_DEAD_LETTER, 3)->reason, REASON_JSON_NOT_OBJECT);
	assert_int_equal(harness_counts(&h, 0)->received, 4);
	assert_int_equal(harness_counts(&h, 0)->handed, 4);
	harness_close(&h);
}

static void small_events(struct config *config)
{
	config->streams[0].max_event_bytes = 64;
}

static void large_events_are_refused_whole(void **state)
{
	char event[4096];
	struct harness h;
	const char *yaml = STREAM("");

	(void)state;
	harness_open(&h, yaml, strlen(yaml), small_events);
	(void)snprintf(event, sizeof(event), "{\"id\":\"%0*d\"}", 3000, 0);
	send_text(&h, event);
	assert_int_equal(harness_record(&h, RECORD_DEAD_LETTER, 0)->reason, REASON_EVENT_TOO_LARGE);
	assert_string_equal(harness_record(&h, RECORD_DEAD_LETTER, 0)->value, event);
	harness_close(&h);
}

/* With every batch away, a port's events are shed by name and a file's wait. */
static void back_pressure(void **state)
{
	struct harness h;
	struct batch *taken[4];
	struct packet packet = {.kind = PACKET_PAYLOAD, .data = "{\"id\":\"1\"}\n{\"id\":\"2\"}", .len = 21};

	(void)state;
	open_text(&h, STREAM(""));
	for (size_t i = 0; i < 4; i++) {
		taken[i] = batch_get(h.engine->pools[0]);
		assert_non_null(taken[i]);
	}
	h.feed.packets = &packet;
	h.feed.n = 1;
	h.feed.next = 0;
	assert_false(worker_round(h.worker));
	assert_true(pipeline_pending(h.worker->pipeline));
	assert_int_equal(harness_counts(&h, 0)->received, 0);

	/* The file goes on where it was once a batch is free. */
	batch_put(h.engine->pools[0], taken[0]);
	assert_true(worker_round(h.worker));
	assert_int_equal(harness_counts(&h, 0)->received, 2);
	assert_int_equal(harness_counts(&h, 0)->handed, 2);
	(void)pipeline_hand_over(h.worker->pipeline, true);

	h.feed.source.lossless = false;
	h.feed.next = 0;
	assert_true(worker_round(h.worker));
	assert_false(pipeline_pending(h.worker->pipeline));
	assert_int_equal(harness_counts(&h, 0)->shed, 2);
	assert_int_equal(harness_counts(&h, 0)->reasons[REASON_SHED_SINK_FULL], 2);
	assert_balanced(&h);
	for (size_t i = 1; i < 4; i++)
		batch_put(h.engine->pools[0], taken[i]);
	harness_run(&h, &packet, 0);
	harness_close(&h);
}

static void nothing_is_accepted_before_required_dimensions(void **state)
{
	static const char yaml[] =
	    "node: t\ndataplane: {lcores: [1]}\nsources: [{name: s, type: file, path: /dev/null, stream: "
	    "a}]\n"
	    "sinks: {files: {directory: lake}}\ndimensions: {products: {required: true}}\nstreams:\n  - "
	    "name: a\n" FIELDS OUTPUT
	    "    enrich: [{dimension: products, key: productId, as: product, on_miss: emit}]\n";
	struct packet packet = {.kind = PACKET_PAYLOAD, .data = "{\"id\":\"1\"}", .len = 10};
	struct harness h;

	(void)state;
	open_text(&h, yaml);
	h.feed.source.lossless = false;
	harness_run(&h, &packet, 1);
	assert_int_equal(harness_counts(&h, 0)->reasons[REASON_SHED_NOT_READY], 1);
	harness_dimension(&h, "products", "v1", "productId", PRODUCTS);
	harness_run(&h, &packet, 1);
	assert_int_equal(h.records[RECORD_ENRICHED], 1);
	assert_balanced(&h);
	harness_close(&h);
}

/* Many more events than a batch holds, in odd-sized packets: nothing is lost at any border. */
static void borders(void **state)
{
	enum { EVENTS = 10000, PACKETS = 100 };
	struct packet packets[PACKETS];
	char *text = malloc(EVENTS * 64);
	struct harness h;
	size_t used = 0;

	(void)state;
	assert_non_null(text);
	open_text(&h, STREAM("    dedup: {window: 10m, mode: drop, budget_mb: 1}\n"));
	for (size_t p = 0; p < PACKETS; p++) {
		size_t start = used;

		for (size_t i = 0; i < EVENTS / PACKETS; i++)
			used +=
			    (size_t)sprintf(text + used, "{\"id\":\"%zu\"}\n", p * (EVENTS / PACKETS) + i);
		packets[p] = (struct packet){
		    .kind = PACKET_PAYLOAD, .data = text + start, .len = (uint32_t)(used - start)};
	}
	harness_run(&h, packets, PACKETS);
	assert_int_equal(h.records[RECORD_ENRICHED], EVENTS);
	for (size_t i = 0; i < EVENTS; i += 997) {
		char expected[64];

		(void)snprintf(expected, sizeof(expected), "{\"id\":\"%zu\"}", i);
		assert_string_equal(harness_record(&h, RECORD_RAW, i)->value, expected);
	}
	harness_run(&h, packets, PACKETS);
	assert_int_equal(harness_counts(&h, 0)->duplicate, EVENTS);
	assert_balanced(&h);
	harness_close(&h);
	free(text);
}

#define LARGEST_EVENT 262144u
#define LARGEST_ROW 65000u

/* As many bytes as an event can take: eight long rows, and a long identity with an escape that is also the
 * partition key and the lake's. catch_batches() sees whether a batch has taken more than it can. */
static void the_largest_events_fit(void **state)
{
	static const char head[] =
	    "node: t\ndataplane: {lcores: [1]}\n"
	    "sources: [{name: s, type: file, path: /dev/null, stream: a}]\n"
	    "sinks: {files: {directory: lake}}\ndimensions: {products: {required: false}}\n"
	    "streams:\n  - name: a\n    identity: id\n    partition_key: id\n"
	    "    max_event_bytes: 262144\n    lake_partition: id\n    dedup: {mode: off}\n"
	    "    fields: {id: {type: string}, p: {type: string}}\n" OUTPUT "    enrich:\n";
	static const char tail[] = "\",\"p\":\"1\"}\n";
	char *event = malloc(LARGEST_EVENT + 2), *row = malloc(LARGEST_ROW + 32), yaml[2048];
	struct packet packets[16];
	struct harness h;
	int len;

	(void)state;
	len = snprintf(yaml, sizeof(yaml), "%s", head);
	for (int j = 0; j < CONFIG_MAX_ENRICH; j++)
		len += snprintf(yaml + len, sizeof(yaml) - (size_t)len,
		    "      - {dimension: products, key: p, as: row%d, on_miss: emit}\n", j);
	memset(event, 'x', LARGEST_EVENT);
	memcpy(event, "{\"id\":\"\\n", 9);
	strcpy(event + LARGEST_EVENT + 1 - (sizeof(tail) - 1), tail);
	len = sprintf(row, "{\"p\":\"1\",\"v\":\"");
	memset(row + len, 'y', LARGEST_ROW);
	strcpy(row + len + LARGEST_ROW, "\"}\n");
	for (size_t i = 0; i < 16; i++)
		packets[i] = (struct packet){.kind = PACKET_PAYLOAD, .data = event, .len = LARGEST_EVENT + 1};
	open_text(&h, yaml);
	harness_dimension(&h, "products", "v1", "p", row);
	harness_run(&h, packets, 16);
	assert_int_equal(h.records[RECORD_ENRICHED], 16);
	assert_true(harness_record(&h, RECORD_ENRICHED, 0)->value_len > LARGEST_EVENT + 8 * LARGEST_ROW);
	assert_int_equal(
	    strlen(harness_record(&h, RECORD_ENRICHED, 0)->key), LARGEST_EVENT - 7 - sizeof(tail) + 1);
	assert_balanced(&h);
	harness_close(&h);
	free(event);
	free(row);
}

/* What the configuration allows fits; should it ever allow more, the daemon does not start. */
static void events_beyond_a_batch_are_refused(void **state)
{
	struct config_stream stream = {
	    .name = (char *)"a", .line = 7, .topic_raw = (char *)"r", .max_event_bytes = BATCH_BYTES / 4};
	struct schema *schema;
	struct emit_plan plan;
	struct error err;

	(void)state;
	assert_int_equal(schema_create(&stream, &schema, &err), 0);
	assert_int_equal(emit_plan_init(&plan, schema, &err), -EINVAL);
	assert_non_null(strstr(err.text, "line 7: stream \"a\": events of 524288 bytes"));
	schema_destroy(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_are_kept_as_they_came),
	    cmocka_unit_test(joins_hit_miss_and_absent),
	    cmocka_unit_test(duplicates_are_dropped_within_the_window),
	    cmocka_unit_test(a_retry_of_what_was_not_delivered_is_new),
	    cmocka_unit_test(events_without_an_identity_are_told_apart),
	    cmocka_unit_test(duplicates_are_flagged),
	    cmocka_unit_test(a_refused_event_leaves_no_mark),
	    cmocka_unit_test(unknown_fields_are_dropped),
	    cmocka_unit_test(dead_letters_keep_the_original_bytes),
	    cmocka_unit_test(large_events_are_refused_whole),
	    cmocka_unit_test(the_largest_events_fit),
	    cmocka_unit_test(events_beyond_a_batch_are_refused),
	    cmocka_unit_test(back_pressure),
	    cmocka_unit_test(nothing_is_accepted_before_required_dimensions),
	    cmocka_unit_test(borders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
