/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"
#include "sink_fixture.h"
#include "sink_thread.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <rte_ring.h>

static struct rte_ring *make_ring(unsigned int size)
{
	struct rte_ring *ring = aligned_alloc(64, ((size_t)rte_ring_get_memsize(size) + 63) & ~(size_t)63);

	assert_non_null(ring);
	assert_int_equal(rte_ring_init(ring, "test", size, RING_F_SP_ENQ | RING_F_SC_DEQ), 0);
	return ring;
}

static uint64_t in_ns(uint64_t ns)
{
	return clock_mono_ns(&system_clock) + ns;
}

static void read_counts(const struct sink_thread *thread, struct sink_stream_counts *counts)
{
	struct sink_ledger ledger;

	published_read(sink_thread_published(thread), &ledger, sizeof(ledger));
	*counts = ledger.stream[0];
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void all_rings_are_served(void **state)
{
	enum { RINGS = 3, BATCHES = 300, EVENTS = 50 };
	struct rte_ring *rings[RINGS];
	struct fixture fixture;
	struct sink_thread *thread;
	struct sink_stream_counts counts;
	struct sink *sink;
	struct error err;
	uint64_t deadline = in_ns(FIXTURE_WAIT_NS), before = 0;

	(void)state;
	fixture_init(&fixture, 8);
	for (int i = 0; i < RINGS; i++)
		rings[i] = make_ring(4);
	assert_int_equal(sink_capture_create(NULL, NULL, 0, &sink, &err), 0);
	assert_int_equal(sink_thread_start(sink, rings, RINGS, NULL, &thread, &err), 0);
	assert_string_equal(sink_thread_type(thread), "capture");
	for (int i = 0; i < BATCHES;) {
		struct batch *batch = fixture_batch(&fixture, EVENTS);

		assert_true(in_ns(0) < deadline);
		if (batch == NULL) {
			pause_a_little();
			continue;
		}
		while (rte_ring_enqueue(rings[i % RINGS], batch) != 0)
			pause_a_little();
		i++;
		read_counts(thread, &counts);
		assert_true(counts.durable >= before && counts.records == 2 * counts.durable);
		before = counts.durable;
	}
	do {
		pause_a_little();
		read_counts(thread, &counts);
		assert_true(in_ns(0) < deadline);
	} while (counts.durable < BATCHES * EVENTS);
	assert_int_equal(counts.durable, BATCHES * EVENTS);
	assert_int_equal(sink_thread_stop(thread, in_ns(FIXTURE_WAIT_NS)), 0);
	sink_thread_destroy(thread);
	for (int i = 0; i < RINGS; i++)
		free(rings[i]);
	fixture_fini(&fixture);
}

static void stop_empties_the_rings(void **state)
{
	struct rte_ring *ring = make_ring(64);
	struct fixture fixture;
	struct sink_thread *thread;
	struct sink_stream_counts counts;
	json_t *description = json_object();
	struct sink *sink;
	struct error err;

	(void)state;
	fixture_init(&fixture, 32);
	assert_int_equal(sink_capture_create(NULL, NULL, 0, &sink, &err), 0);
	for (int i = 0; i < 32; i++)
		assert_int_equal(rte_ring_enqueue(ring, fixture_batch(&fixture, 10)), 0);
	assert_int_equal(sink_thread_start(sink, &ring, 1, NULL, &thread, &err), 0);
	assert_int_equal(sink_thread_stop(thread, in_ns(FIXTURE_WAIT_NS)), 0);
	read_counts(thread, &counts);
	assert_int_equal(counts.durable, 320);
	assert_int_equal(counts.shed, 0);
	sink_thread_describe(thread, description);
	assert_string_equal(json_string_value(json_object_get(description, "state")), "closed");
	json_decref(description);
	sink_thread_destroy(thread);
	sink_thread_destroy(NULL);
	free(ring);
	fixture_fini(&fixture);
}

/* A sink that takes a number of batches, confirms nothing, and is full from then on. */
struct stuck {
	struct sink sink;
	struct batch *taken[8];
	uint32_t n;
	_Atomic uint32_t polls, impatient; /* sink thread: rw, test: ro. impatient: without waiting */
};

static int stuck_submit(struct sink *sink, struct batch *batch)
{
	struct stuck *stuck = (struct stuck *)sink;

	if (stuck->n == 2)
		return -EAGAIN;
	stuck->taken[stuck->n++] = batch;
	return 0;
}

static int stuck_poll(struct sink *sink, int timeout_ms)
{
	struct stuck *stuck = (struct stuck *)sink;

	atomic_fetch_add(&stuck->impatient, timeout_ms == 0);
	atomic_fetch_add(&stuck->polls, 1);
	nanosleep(&(struct timespec){.tv_nsec = timeout_ms * 1000000l}, NULL);
	return 0;
}

static int stuck_flush(struct sink *sink, uint64_t deadline_ns)
{
	(void)deadline_ns;
	return ((struct stuck *)sink)->n > 0 ? -ETIMEDOUT : 0;
}

static void stuck_describe(struct sink *sink, json_t *object)
{
	(void)sink;
	json_object_set_new(object, "state", json_string("stuck"));
}

static void stuck_close(struct sink *sink)
{
	struct stuck *stuck = (struct stuck *)sink;

	for (uint32_t i = 0; i < stuck->n; i++)
		sink_shed_batch(sink, stuck->taken[i]);
	sink_publish(sink);
	free(stuck);
}

static const struct sink_ops stuck_ops = {
    .type = "stuck",
    .submit = stuck_submit,
    .poll = stuck_poll,
    .flush = stuck_flush,
    .describe = stuck_describe,
    .close = stuck_close,
};

static void the_deadline_sheds_what_is_left(void **state)
{
	struct stuck *stuck = calloc(1, sizeof(*stuck));
	struct rte_ring *ring = make_ring(16);
	json_t *description = json_object();
	struct fixture fixture;
	struct sink_thread *thread;
	struct sink_stream_counts counts;
	struct error err;

	(void)state;
	fixture_init(&fixture, 8);
	stuck->sink.ops = &stuck_ops;
	for (int i = 0; i < 8; i++)
		assert_int_equal(rte_ring_enqueue(ring, fixture_batch(&fixture, 10)), 0);
	assert_int_equal(sink_thread_start(&stuck->sink, &ring, 1, NULL, &thread, &err), 0);
	sink_thread_describe(thread, description);
	assert_string_equal(json_string_value(json_object_get(description, "type")), "stuck");
	assert_string_equal(json_string_value(json_object_get(description, "state")), "stuck");
	json_decref(description);
	assert_int_equal(sink_thread_stop(thread, in_ns(20000000)), -ETIMEDOUT);
	assert_int_equal(sink_thread_stop(thread, 0), -ETIMEDOUT);
	read_counts(thread, &counts);
	assert_int_equal(counts.durable, 0);
	assert_int_equal(counts.shed, 80); /* two taken, one refused, the rest still in the ring */
	assert_int_equal(counts.reasons[REASON_SHED_UNDELIVERED], 80);
	sink_thread_destroy(thread);
	free(ring);
	fixture_fini(&fixture);
}

static void idle_threads_wait_in_poll(void **state)
{
	struct stuck *stuck = calloc(1, sizeof(*stuck));
	struct rte_ring *ring = make_ring(16);
	struct sink_thread *thread;
	struct error err;
	uint64_t deadline = in_ns(FIXTURE_WAIT_NS);
	uint32_t polls;

	(void)state;
	stuck->sink.ops = &stuck_ops;
	assert_int_equal(sink_thread_start(&stuck->sink, &ring, 1, NULL, &thread, &err), 0);
	do {
		pause_a_little();
		polls = atomic_load(&stuck->polls);
		assert_true(in_ns(0) < deadline);
	} while (polls < 20);
	assert_int_equal(atomic_load(&stuck->impatient), 0);
	sink_thread_destroy(thread);
	free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_rings_are_served),
	    cmocka_unit_test(stop_empties_the_rings),
	    cmocka_unit_test(the_deadline_sheds_what_is_left),
	    cmocka_unit_test(idle_threads_wait_in_poll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
