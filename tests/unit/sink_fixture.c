/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink_fixture.h"

#include "clock.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define TIME_MS 1750203005123ll /* 2025-06-17T23:30:05.123Z */

void fixture_init(struct fixture *fixture, uint32_t n_batches)
{
	struct error err;

	memset(fixture, 0, sizeof(*fixture));
	fixture->stream = (struct config_stream){
	    .name = (char *)"shop",
	    .max_event_bytes = 65536,
	    .topic_raw = (char *)"raw",
	    .topic_enriched = (char *)"enriched",
	    .topic_dead_letter = (char *)"dead",
	};
	fixture->config.node = (char *)"node 1";
	fixture->config.streams = &fixture->stream;
	fixture->config.n_streams = 1;
	fixture->n_batches = n_batches;
	fixture->sinks = 1;
	if (batch_pool_create(0, n_batches, -1, HUGEPAGES_OFF, &fixture->pool, &err) != 0)
		fail_msg("%s", err.text);
}

void fixture_fini(struct fixture *fixture)
{
	assert_int_equal(batch_pool_free(fixture->pool), fixture->n_batches);
	batch_pool_destroy(fixture->pool);
}

static uint32_t put(struct batch *batch, const char *text, uint32_t *len)
{
	uint32_t at = batch->used;

	*len = (uint32_t)strlen(text);
	assert_true(at + *len <= BATCH_BYTES);
	memcpy(batch->bytes + at, text, *len);
	batch->used += *len;
	return at;
}

static void add_record(struct batch *batch, enum record_kind kind, const char *value, const char *key)
{
	struct record *record = &batch->records[batch->n_records++];

	memset(record, 0, sizeof(*record));
	record->event = (uint16_t)batch->n_events;
	record->kind = (uint8_t)kind;
	record->value = put(batch, value, &record->value_len);
	if (key != NULL)
		record->key = put(batch, key, &record->key_len);
}

static void add_event(struct fixture *fixture, struct batch *batch, uint32_t n)
{
	struct batch_event *event = &batch->events[batch->n_events];
	bool dead = fixture->dead_every > 0 && n % fixture->dead_every == 0;
	char *padding = malloc(fixture->padding + 1), *enriched, text[64], key[32];
	uint32_t first = batch->n_records;

	memset(event, 0, sizeof(*event));
	event->time_ms = TIME_MS + n;
	memset(padding, 'x', fixture->padding);
	padding[fixture->padding] = '\0';
	if (dead) {
		snprintf(text, sizeof(text), "broken %u", n);
		add_record(batch, RECORD_DEAD_LETTER, text, NULL);
		event->dead_letter = 1;
		event->reason = REASON_JSON_SYNTAX;
		event->message = put(batch, "expected {", &event->message_len);
	} else {
		snprintf(text, sizeof(text), "{\"n\":%u}", n);
		snprintf(key, sizeof(key), "key-%u", n % 1000);
		assert_true(asprintf(&enriched, "{\"n\":%u,\"enrichments\":{\"p\":\"%s\"}}", n, padding) > 0);
		add_record(batch, RECORD_RAW, text, key);
		add_record(batch, RECORD_ENRICHED, enriched, key);
		free(enriched);
		snprintf(text, sizeof(text), "id-%u", n);
		event->id = put(batch, text, &event->id_len);
	}
	event->raw = batch->records[first].value;
	event->raw_len = batch->records[first].value_len;
	atomic_store(&event->pending, (uint8_t)((batch->n_records - first) * fixture->sinks));
	batch->n_events++;
	free(padding);
}

struct batch *fixture_batch(struct fixture *fixture, uint32_t n_events)
{
	struct batch *batch = batch_get(fixture->pool);

	if (batch == NULL)
		return NULL;
	assert_true(n_events <= BATCH_EVENTS);
	batch->arrival_ms = TIME_MS;
	for (uint32_t i = 0; i < n_events; i++)
		add_event(fixture, batch, fixture->next++);
	atomic_store(&batch->refs, fixture->sinks);
	return batch;
}

/* One more round of waiting for a sink, until patience ends. */
static void wait_a_round(struct sink *sink, uint64_t deadline_ns)
{
	json_t *description;

	sink->ops->poll(sink, 1);
	if (clock_mono_ns(&system_clock) < deadline_ns)
		return;
	description = json_object();
	sink->ops->describe(sink, description);
	fail_msg("the sink makes no progress: %s", json_dumps(description, 0));
}

void fixture_submit(struct sink *sink, struct batch *batch)
{
	uint64_t deadline_ns = clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS;

	while (sink->ops->submit(sink, batch) != 0)
		wait_a_round(sink, deadline_ns);
}

void fixture_submit_events(struct fixture *fixture, struct sink *sink, uint32_t n, uint32_t per_batch)
{
	uint64_t deadline_ns = clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS;

	while (n > 0) {
		uint32_t now = n < per_batch ? n : per_batch;
		struct batch *batch = fixture_batch(fixture, now);

		if (batch == NULL) {
			wait_a_round(sink, deadline_ns);
			continue;
		}
		fixture_submit(sink, batch);
		n -= now;
	}
}

void fixture_drain(struct fixture *fixture, struct sink *sink)
{
	uint64_t deadline_ns = clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS;

	while (batch_pool_free(fixture->pool) < fixture->n_batches)
		wait_a_round(sink, deadline_ns);
}

void fixture_directory(char path[64])
{
	const char *parent = getenv("TMPDIR");

	assert_true(snprintf(path, 64, "%s/penstock-test-XXXXXX", parent != NULL ? parent : "/tmp") < 64);
	assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void fixture_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
