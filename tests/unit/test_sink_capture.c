/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct seen {
	uint32_t records[RECORD_KINDS];
	uint32_t next;
};

static void see(void *context, const struct batch *batch, const struct record *record)
{
	struct seen *seen = context;
	char expected[32];

	seen->records[record->kind]++;
	if (record->kind != RECORD_RAW)
		return;
	while (seen->next % 10 == 0) /* those are dead letters */
		seen->next++;
	snprintf(expected, sizeof(expected), "{\"n\":%u}", seen->next++);
	assert_int_equal(record->value_len, strlen(expected));
	assert_memory_equal(batch->bytes + record->value, expected, record->value_len);
}

static void every_record_is_seen_and_confirmed(void **state)
{
	struct fixture fixture;
	struct seen seen = {0};
	struct sink *sink;
	json_t *description = json_object();
	struct error err;

	(void)state;
	fixture_init(&fixture, 2);
	fixture.dead_every = 10;
	assert_int_equal(sink_capture_create(see, &seen, 0, &sink, &err), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(sink->ops->submit(sink, fixture_batch(&fixture, 1000)), 0);
	assert_int_equal(sink->ops->poll(sink, 1), 5 * 1900);
	assert_int_equal(sink->ops->poll(sink, 1), 0);
	assert_int_equal(seen.records[RECORD_RAW], 4500);
	assert_int_equal(seen.records[RECORD_ENRICHED], 4500);
	assert_int_equal(seen.records[RECORD_DEAD_LETTER], 500);
	assert_int_equal(sink->ledger.stream[0].durable, 4500);
	assert_int_equal(sink->ledger.stream[0].dead_lettered, 500);
	assert_int_equal(sink->ledger.stream[0].records, 9500);
	sink->ops->describe(sink, description);
	assert_int_equal(json_integer_value(json_object_get(description, "records")), 9500);
	json_decref(description);
	assert_int_equal(sink->ops->flush(sink, 0), 0);
	sink->ops->close(sink);
	fixture_fini(&fixture);
}

static void two_sinks_complete_an_event_together(void **state)
{
	struct fixture fixture;
	struct sink *first, *second;
	struct batch *batch;
	struct error err;

	(void)state;
	fixture_init(&fixture, 1);
	fixture.sinks = 2;
	assert_int_equal(sink_capture_create(NULL, NULL, 0, &first, &err), 0);
	assert_int_equal(sink_capture_create(NULL, NULL, 1, &second, &err), 0);
	batch = fixture_batch(&fixture, 100);
	first->ops->submit(first, batch);
	assert_int_equal(first->ledger.stream[0].durable, 0);
	assert_int_equal(batch_pool_free(fixture.pool), 0);
	second->ops->submit(second, batch);
	assert_int_equal(second->ledger.stream[0].durable, 100);

	/* Given up by both, counted by the first. */
	batch = fixture_batch(&fixture, 100);
	sink_shed_batch(first, batch);
	sink_shed_batch(second, batch);
	assert_int_equal(first->ledger.stream[0].shed, 100);
	assert_int_equal(first->ledger.stream[0].reasons[REASON_SHED_UNDELIVERED], 100);
	assert_int_equal(second->ledger.stream[0].shed, 0);

	/* Given up by one, and then no longer completed by the other. */
	batch = fixture_batch(&fixture, 100);
	sink_shed_batch(first, batch);
	second->ops->submit(second, batch);
	assert_int_equal(first->ledger.stream[0].shed, 200);
	assert_int_equal(second->ledger.stream[0].durable, 100);
	first->ops->close(first);
	second->ops->close(second);
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_record_is_seen_and_confirmed),
	    cmocka_unit_test(two_sinks_complete_an_event_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
