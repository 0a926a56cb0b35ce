/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct telemetry_counter reasons[] = {{"json_syntax", 7}, {"field_missing", 5}};
static const struct telemetry_counter bytes[] = {{"received_bytes", 1u << 20}};
static const struct telemetry_counter frames[] = {{"frame_not_ip", 2}};
static const struct telemetry_stream streams[] = {
    {"catalog", 100, 80, 12, 5, 1, 2, true, {bytes, 1}, {reasons, 2}},
    {"detections", 1, 0, 0, 0, 0, 0, false, {NULL, 0}, {NULL, 0}},
};
static const struct telemetry_stage stages[] = {{"parse", 1000, 64}, {"enrich", 2000, 63}};
static const struct telemetry_worker workers[] = {{3, 1, 10, 9, 8, 700, 6, stages, 2, {frames, 1}}};
static const struct telemetry_dimension dimensions[] = {
    {"users", "20250617T233000Z-01234567", 10000000, UINT64_C(5) << 32, -1, 42, 43},
    {"places", NULL, 0, 0, 0, 0, 9},
};
static const struct telemetry_sink sinks[] = {{"kafka", "up", 80, 4096, 3, {NULL, 0}}};
static const struct telemetry_dedup dedup[] = {{"catalog", 1u << 24, 1u << 20, 4, 600000, 590000, true}};

static struct telemetry sample(void)
{
	return (struct telemetry){
	    .host = "host-a",
	    .node = "ingest-1",
	    .version = "0.1.0",
	    .time_ms = 1750203005123,
	    .uptime_ms = 60000,
	    .cycles_per_second = 3900000000,
	    .streams = streams,
	    .n_streams = 2,
	    .workers = workers,
	    .n_workers = 1,
	    .dimensions = dimensions,
	    .n_dimensions = 2,
	    .sinks = sinks,
	    .n_sinks = 1,
	    .dedup = dedup,
	    .n_dedup = 1,
	    .status_json = "{\"streams\":[]}",
	};
}

static void what_goes_in_comes_out(void **state)
{
	const struct telemetry in = sample();
	struct telemetry *out;
	struct error err;
	uint8_t *buffer;
	size_t len;

	(void)state;
	assert_int_equal(telemetry_encode(&in, &buffer, &len), 0);
	assert_int_equal(telemetry_decode(buffer, len, &out, &err), 0);
	memset(buffer, 0xff, len); /* what came out does not refer to it */
	free(buffer);

	assert_string_equal(out->host, "host-a");
	assert_string_equal(out->node, "ingest-1");
	assert_string_equal(out->version, "0.1.0");
	assert_int_equal(out->time_ms, 1750203005123);
	assert_int_equal(out->uptime_ms, 60000);
	assert_int_equal(out->cycles_per_second, 3900000000);
	assert_string_equal(out->status_json, in.status_json);

	assert_int_equal(out->n_streams, 2);
	assert_string_equal(out->streams[0].name, "catalog");
	assert_int_equal(out->streams[0].received, 100);
	assert_int_equal(out->streams[0].durable, 80);
	assert_int_equal(out->streams[0].dead_lettered, 12);
	assert_int_equal(out->streams[0].duplicate, 5);
	assert_int_equal(out->streams[0].shed, 1);
	assert_int_equal(out->streams[0].in_flight, 2);
	assert_true(out->streams[0].conserved);
	assert_int_equal(out->streams[0].counters.n, 1);
	assert_int_equal(out->streams[0].counters.items[0].value, 1u << 20);
	assert_int_equal(out->streams[0].reasons.n, 2);
	assert_string_equal(out->streams[0].reasons.items[1].name, "field_missing");
	assert_int_equal(out->streams[0].reasons.items[1].value, 5);
	assert_false(out->streams[1].conserved);
	assert_int_equal(out->streams[1].reasons.n, 0);
	assert_null(out->streams[1].reasons.items);

	assert_int_equal(out->n_workers, 1);
	assert_int_equal(out->workers[0].lcore, 3);
	assert_int_equal(out->workers[0].cpu, 1);
	assert_int_equal(out->workers[0].loops, 10);
	assert_int_equal(out->workers[0].busy_loops, 9);
	assert_int_equal(out->workers[0].packets, 8);
	assert_int_equal(out->workers[0].packet_bytes, 700);
	assert_int_equal(out->workers[0].batches, 6);
	assert_int_equal(out->workers[0].n_stages, 2);
	assert_string_equal(out->workers[0].stages[1].name, "enrich");
	assert_int_equal(out->workers[0].stages[1].cycles, 2000);
	assert_int_equal(out->workers[0].stages[1].events, 63);
	assert_string_equal(out->workers[0].frame_reasons.items[0].name, "frame_not_ip");

	assert_int_equal(out->n_dimensions, 2);
	assert_string_equal(out->dimensions[0].version, "20250617T233000Z-01234567");
	assert_int_equal(out->dimensions[0].rows, 10000000);
	assert_true(out->dimensions[0].bytes == UINT64_C(5) << 32);
	assert_int_equal(out->dimensions[0].age_ms, -1);
	assert_int_equal(out->dimensions[0].hits, 42);
	assert_null(out->dimensions[1].version);
	assert_int_equal(out->dimensions[1].misses, 9);

	assert_int_equal(out->n_sinks, 1);
	assert_string_equal(out->sinks[0].state, "up");
	assert_int_equal(out->sinks[0].retries, 3);
	assert_int_equal(out->n_dedup, 1);
	assert_string_equal(out->dedup[0].stream, "catalog");
	assert_int_equal(out->dedup[0].evicted, 4);
	assert_int_equal(out->dedup[0].window_ms, 600000);
	assert_int_equal(out->dedup[0].covered_ms, 590000);
	assert_true(out->dedup[0].alarm);
	telemetry_free(out);
}

static void nothing_is_a_dump_too(void **state)
{
	const struct telemetry in = {0};
	struct telemetry *out;
	uint8_t *buffer;
	size_t len;

	(void)state;
	assert_int_equal(telemetry_encode(&in, &buffer, &len), 0);
	assert_int_equal(telemetry_decode(buffer, len, &out, NULL), 0);
	assert_null(out->host);
	assert_int_equal(out->n_streams, 0);
	telemetry_free(out);
	telemetry_free(NULL);
	free(buffer);
}

static void names_are_required(void **state)
{
	const struct telemetry_sink nameless = {.state = "up"};
	struct telemetry in = sample();
	uint8_t *buffer;
	size_t len;

	(void)state;
	in.sinks = &nameless;
	assert_int_equal(telemetry_encode(&in, &buffer, &len), -EINVAL);
}

/* Every byte of the answer is read, so that a sanitizer sees what points outside. */
static size_t touch(const struct telemetry *t)
{
	size_t sum = t->status_json != NULL ? strlen(t->status_json) : 0;

	for (size_t i = 0; i < t->n_streams; i++) {
		sum += strlen(t->streams[i].name);
		for (size_t j = 0; j < t->streams[i].reasons.n; j++)
			sum += strlen(t->streams[i].reasons.items[j].name);
	}
	for (size_t i = 0; i < t->n_workers; i++)
		for (size_t j = 0; j < t->workers[i].n_stages; j++)
			sum += strlen(t->workers[i].stages[j].name);
	for (size_t i = 0; i < t->n_dimensions; i++)
		sum += strlen(t->dimensions[i].name);
	for (size_t i = 0; i < t->n_sinks; i++)
		sum += strlen(t->sinks[i].name);
	for (size_t i = 0; i < t->n_dedup; i++)
		sum += strlen(t->dedup[i].stream);
	return sum;
}

static void damage_is_refused_or_harmless(void **state)
{
	const struct telemetry in = sample();
	struct telemetry *out;
	unsigned int refused = 0;
	uint64_t random = 1;
	struct error err;
	uint8_t *buffer, *copy;
	size_t len;

	(void)state;
	assert_int_equal(telemetry_encode(&in, &buffer, &len), 0);
	for (size_t cut = 0; cut < len; cut++) {
		copy = malloc(cut + 1);
		memcpy(copy, buffer, cut);
		if (telemetry_decode(copy, cut, &out, &err) == 0)
			(void)touch(out);
		telemetry_free(out);
		free(copy);
	}
	for (int round = 0; round < 20000; round++) {
		copy = malloc(len);
		memcpy(copy, buffer, len);
		for (int i = 0; i < 3; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			copy[(random >> 33) % len] = (uint8_t)(random >> 20);
		}
		if (telemetry_decode(copy, len, &out, &err) == 0) {
			(void)touch(out);
		} else {
			assert_non_null(strstr(err.text, "telemetry"));
			refused++;
		}
		telemetry_free(out);
		free(copy);
	}
	assert_in_range(refused, 1, 19999);
	assert_int_equal(telemetry_decode((const uint8_t *)"", 0, &out, &err), -EBADMSG);
	free(buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_goes_in_comes_out),
	    cmocka_unit_test(nothing_is_a_dump_too),
	    cmocka_unit_test(names_are_required),
	    cmocka_unit_test(damage_is_refused_or_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
