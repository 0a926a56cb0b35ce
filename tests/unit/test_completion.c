/* SPDX-License-Identifier: BSD-3-Clause */
#include "completion.h"
#include "dedup_testing.h"
#include "event.h"
#include "sink_fixture.h"

#include <errno.h>

struct heard {
	uint32_t complete, given_up, calls, largest;
	uint32_t dead_letters, marked;
	uint32_t next_ticket;
	struct dedup *dedup;
};

static void hear_complete(void *context, uint8_t sink, const struct completed *events, uint32_t n)
{
	struct heard *heard = context;

	(void)sink;
	heard->calls++;
	heard->largest = n > heard->largest ? n : heard->largest;
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(events[i].ticket, heard->next_ticket++);
		assert_int_equal(events[i].reason, events[i].dead_letter ? REASON_JSON_SYNTAX : REASON_NONE);
		heard->dead_letters += events[i].dead_letter;
		heard->marked += events[i].marked;
		/* Whoever hears of it finds the mark confirmed. */
		if (events[i].marked)
			assert_int_equal(dedup_look(heard->dedup, events[i].key, T0), DEDUP_DUPLICATE);
	}
	heard->complete += n;
}

static void hear_give_up(void *context, uint8_t sink, const struct completed *event)
{
	struct heard *heard = context;

	(void)sink;
	heard->given_up++;
	if (event->marked)
		assert_int_equal(dedup_look(heard->dedup, event->key, T0), DEDUP_NEW);
}

struct scene {
	struct fixture fixture;
	struct manual_clock clock;
	struct dedup *dedup;
	struct completion *completion;
	struct heard heard;
	struct sink *sinks[2];
	uint32_t next;
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	const struct completion_listener listener = {
	    .complete = hear_complete, .give_up = hear_give_up, .context = &s->heard};
	struct error err;

	assert_non_null(s);
	fixture_init(&s->fixture, 4);
	s->fixture.sinks = 2;
	s->fixture.dead_every = 10;
	manual_clock_init(&s->clock, T0);
	s->clock.mono_ns = (uint64_t)T0 * 1000000;
	s->dedup = s->heard.dedup = create(100000, 60000);
	assert_int_equal(completion_create(&s->dedup, 1, &s->clock.clock, &s->completion, &err), 0);
	assert_int_equal(completion_listen(s->completion, &listener), 0);
	for (uint8_t i = 0; i < 2; i++)
		assert_int_equal(sink_capture_create(NULL, NULL, i, &s->sinks[i], &err), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	for (int i = 0; i < 2; i++)
		s->sinks[i]->ops->close(s->sinks[i]);
	fixture_fini(&s->fixture);
	completion_destroy(s->completion);
	dedup_destroy(s->dedup);
	free(s);
	return 0;
}

/* Numbered events, all but the dead letters marked. */
static struct batch *batch_of(struct scene *s, uint32_t n)
{
	struct batch *batch = fixture_batch(&s->fixture, n);
	uint32_t evicted = 0;

	assert_non_null(batch);
	batch->completion = s->completion;
	for (uint32_t i = 0; i < n; i++) {
		struct batch_event *event = &batch->events[i];

		event->ticket = s->next;
		make_key(s->next++, event->key);
		if (event->dead_letter)
			continue;
		event->flags |= EVENT_MARKED;
		assert_int_equal(dedup_test_and_insert(s->dedup, event->key, T0, &evicted), DEDUP_NEW);
	}
	return batch;
}

static void a_mark_is_confirmed_with_the_last_sink(void **state)
{
	struct scene *s = *state;
	struct batch *batch = batch_of(s, 1000);

	s->sinks[0]->ops->submit(s->sinks[0], batch);
	assert_int_equal(s->heard.complete, 0);
	assert_int_equal(seen(s->dedup, 1, T0), DEDUP_DUPLICATE_PENDING);
	s->sinks[1]->ops->submit(s->sinks[1], batch);
	assert_int_equal(s->heard.complete, 1000);
	assert_int_equal(s->heard.dead_letters, 100);
	assert_int_equal(s->heard.marked, 900);
	assert_int_equal(s->heard.largest, 32);
	assert_int_equal(s->heard.calls, (1000 + 31) / 32);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(seen(s->dedup, i, T0), i % 10 == 0 ? DEDUP_NEW : DEDUP_DUPLICATE);
	assert_int_equal(s->heard.given_up, 0);
}

static void a_failed_event_leaves_no_mark(void **state)
{
	struct scene *s = *state;
	struct batch *batch = batch_of(s, 100);

	s->sinks[0]->ops->submit(s->sinks[0], batch);
	sink_shed_batch(s->sinks[1], batch);
	assert_int_equal(s->heard.given_up, 100);
	assert_int_equal(s->heard.complete, 0);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(seen(s->dedup, i, T0), DEDUP_NEW);

	/* Given up by both, heard once. */
	batch = batch_of(s, 100);
	sink_shed_batch(s->sinks[0], batch);
	sink_shed_batch(s->sinks[1], batch);
	assert_int_equal(s->heard.given_up, 200);
	assert_int_equal(s->heard.complete, 0);
}

/* Batches of different owners in one round. */
static void every_owner_hears_of_its_own(void **state)
{
	struct scene *s = *state;
	struct heard other = {.dedup = s->dedup};
	const struct completion_listener listener = {.complete = hear_complete, .context = &other};
	struct completion *completion;
	struct batch *batch;
	struct error err;

	assert_int_equal(completion_create(&s->dedup, 1, &s->clock.clock, &completion, &err), 0);
	assert_int_equal(completion_listen(completion, &listener), 0);
	batch = batch_of(s, 5);
	for (uint32_t r = 0; r < batch->n_records; r++) {
		(void)batch_confirm(batch, r, &s->sinks[0]->ledger);
		sink_confirm(s->sinks[1], batch, r);
	}
	batch_release(batch);
	batch_release(batch);
	assert_int_equal(s->heard.complete, 0); /* put off */

	other.next_ticket = s->next;
	batch = batch_of(s, 7);
	batch->completion = completion;
	for (uint32_t r = 0; r < batch->n_records; r++) {
		(void)batch_confirm(batch, r, &s->sinks[0]->ledger);
		sink_confirm(s->sinks[1], batch, r);
	}
	batch_release(batch);
	batch_release(batch);
	assert_int_equal(s->heard.complete, 5);
	assert_int_equal(other.complete, 0);
	sink_settle(s->sinks[1]);
	assert_int_equal(other.complete, 7);
	sink_settle(s->sinks[1]);
	assert_int_equal(other.calls, 1);
	completion_destroy(completion);
	for (uint32_t i = 0; i < COMPLETION_MAX_LISTENERS - 1; i++)
		assert_int_equal(completion_listen(s->completion, &listener), 0);
	assert_int_equal(completion_listen(s->completion, &listener), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_mark_is_confirmed_with_the_last_sink, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_failed_event_leaves_no_mark, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_owner_hears_of_its_own, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
