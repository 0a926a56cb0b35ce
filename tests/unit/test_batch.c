/* SPDX-License-Identifier: BSD-3-Clause */
#include "batch.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct batch_pool *create(uint16_t worker, uint32_t count)
{
	struct batch_pool *pool;
	struct error err;

	assert_int_equal(batch_pool_create(worker, count, -1, HUGEPAGES_OFF, &pool, &err), 0);
	assert_int_equal(batch_pool_size(pool), count);
	assert_int_equal(batch_pool_free(pool), count);
	return pool;
}

static void a_pool_gives_each_batch_once(void **state)
{
	enum { COUNT = 5 };
	struct batch_pool *pool = create(7, COUNT);
	struct batch *taken[COUNT];

	(void)state;
	for (uint32_t i = 0; i < COUNT; i++) {
		taken[i] = batch_get(pool);
		assert_non_null(taken[i]);
		assert_int_equal(taken[i]->worker, 7);
		assert_int_equal((uintptr_t)taken[i] % 64, 0);
		assert_int_equal(batch_pool_free(pool), COUNT - i - 1);
		/* Whatever is shared between two batches would be overwritten here. */
		memset(taken[i]->bytes, (int)i, BATCH_BYTES);
		memset(taken[i]->records, (int)i, sizeof(taken[i]->records));
		memset(taken[i]->events, (int)i, sizeof(taken[i]->events));
	}
	assert_null(batch_get(pool));
	for (uint32_t i = 0; i < COUNT; i++) {
		assert_int_equal(taken[i]->bytes[0], (char)i);
		assert_int_equal(taken[i]->bytes[BATCH_BYTES - 1], (char)i);
		assert_int_equal(taken[i]->records[BATCH_RECORDS - 1].reserved, i);
		assert_int_equal(taken[i]->events[BATCH_EVENTS - 1].flags, i);
		batch_put(pool, taken[i]);
	}
	assert_int_equal(batch_pool_free(pool), COUNT);
	batch_pool_destroy(pool);
}

static void a_used_batch_comes_back_empty(void **state)
{
	struct batch_pool *pool = create(0, 1);
	struct batch *batch = batch_get(pool);
	char *bytes = batch->bytes;

	(void)state;
	batch->stream = 3;
	batch->n_events = 4;
	batch->n_records = 5;
	batch->used = 6;
	batch->arrival_ms = 7;
	batch->opened_ns = 8;
	batch->sink_data[3] = batch;
	atomic_store(&batch->refs, 2);
	batch_release(batch);
	assert_int_equal(batch_pool_free(pool), 0);
	assert_null(batch_get(pool));
	batch_release(batch);
	assert_int_equal(batch_pool_free(pool), 1);
	assert_ptr_equal(batch_get(pool), batch);
	assert_int_equal(batch->stream, 0);
	assert_int_equal(batch->n_events, 0);
	assert_int_equal(batch->n_records, 0);
	assert_int_equal(batch->used, 0);
	assert_int_equal(batch->arrival_ms, 0);
	assert_int_equal(batch->opened_ns, 0);
	assert_null(batch->sink_data[3]);
	assert_int_equal(atomic_load(&batch->refs), 0);
	assert_ptr_equal(batch->bytes, bytes);
	batch_put(pool, batch);
	batch_pool_destroy(pool);
}

/* Two sinks, events of one and of two records: an event completes with the last of its confirmations. */
static void confirmations_complete_events(void **state)
{
	struct batch_pool *pool = create(0, 1);
	struct sink_ledger *ledger = calloc(1, sizeof(*ledger));
	struct batch *batch = batch_get(pool);

	(void)state;
	assert_non_null(ledger);
	batch->stream = 2;
	batch->n_events = 2;
	batch->n_records = 3;
	batch->records[0] = (struct record){.event = 0, .kind = RECORD_RAW};
	batch->records[1] = (struct record){.event = 0, .kind = RECORD_ENRICHED};
	batch->records[2] = (struct record){.event = 1, .kind = RECORD_DEAD_LETTER};
	batch->events[0] = (struct batch_event){.dead_letter = 0};
	batch->events[1] = (struct batch_event){.dead_letter = 1};
	atomic_store(&batch->events[0].pending, 4);
	atomic_store(&batch->events[1].pending, 2);
	assert_false(batch_confirm(batch, 0, ledger));
	assert_false(batch_confirm(batch, 2, ledger));
	assert_false(batch_confirm(batch, 1, ledger));
	assert_false(batch_confirm(batch, 1, ledger));
	assert_int_equal(ledger->stream[2].durable + ledger->stream[2].dead_lettered, 0);
	assert_true(batch_confirm(batch, 0, ledger));
	assert_true(batch_confirm(batch, 2, ledger));
	assert_int_equal(ledger->stream[2].durable, 1);
	assert_int_equal(ledger->stream[2].dead_lettered, 1);
	batch_put(pool, batch);
	batch_pool_destroy(pool);
	free(ledger);
}

static void one_stream_leaves_the_others_their_share(void **state)
{
	enum { COUNT = 16, STREAMS = 2, SHARE = COUNT / (2 * STREAMS) };
	struct batch_pool *pool = create(0, COUNT);
	struct batch *taken[COUNT], *other[COUNT];
	uint32_t n = 0, n_other = 0;

	(void)state;
	while ((taken[n] = batch_get_for(pool, 1, STREAMS)) != NULL)
		assert_int_equal(taken[n++]->stream, 1);
	assert_int_equal(n, COUNT - SHARE);
	while ((other[n_other] = batch_get_for(pool, 0, STREAMS)) != NULL)
		n_other++;
	assert_int_equal(n_other, SHARE);
	assert_null(batch_get_for(pool, 1, STREAMS));
	/* Each gets again what it gives back; what the first gives back goes to the second as well. */
	batch_put(pool, other[--n_other]);
	other[n_other++] = batch_get_for(pool, 0, STREAMS);
	assert_non_null(other[n_other - 1]);
	for (uint32_t i = 0; i < 8; i++)
		batch_put(pool, taken[--n]);
	for (uint32_t i = 0; i < 6; i++) {
		other[n_other] = batch_get_for(pool, 0, STREAMS);
		assert_non_null(other[n_other++]);
	}
	while (n > 0)
		batch_put(pool, taken[--n]);
	while (n_other > 0)
		batch_put(pool, other[--n_other]);
	/* Alone, a stream gets all. */
	while (n < COUNT && (taken[n] = batch_get_for(pool, 0, 1)) != NULL)
		n++;
	assert_int_equal(n, COUNT);
	while (n > 0)
		batch_put(pool, taken[--n]);
	batch_pool_destroy(pool);
}

static void a_pool_without_batches_is_refused(void **state)
{
	struct batch_pool *pool;
	struct error err;

	(void)state;
	assert_int_equal(batch_pool_create(0, 0, -1, HUGEPAGES_OFF, &pool, &err), -EINVAL);
	assert_null(pool);
	assert_int_equal(batch_pool_create(0, 1u << 26, -1, HUGEPAGES_OFF, &pool, &err), -ENOMEM);
	assert_null(pool);
	assert_non_null(strstr(err.text, "67108864 batches for worker 0: "));
	batch_pool_destroy(NULL);
}

enum { SINKS = 3, ROUNDS = 20000, POOL = 4 };

/* A mailbox of one batch per sink thread; the main thread is the worker. */
struct mailbox {
	_Atomic(struct batch *) batch; /* worker: sets, sink: clears */
	atomic_bool stop;
	struct sink_ledger *ledger;
};

static void *sink_thread(void *arg)
{
	struct mailbox *mailbox = arg;

	for (;;) {
		struct batch *batch = atomic_load_explicit(&mailbox->batch, memory_order_acquire);

		if (batch == NULL) {
			if (atomic_load(&mailbox->stop))
				return NULL;
			sched_yield();
			continue;
		}
		atomic_store_explicit(&mailbox->batch, NULL, memory_order_release);
		for (uint32_t i = 0; i < batch->n_records; i++)
			(void)batch_confirm(batch, i, mailbox->ledger);
		batch_release(batch);
	}
}

/* Batches circulate between a worker and three releasing threads; none is lost, none is given out twice. */
static void batches_come_home_from_many_threads(void **state)
{
	struct batch_pool *pool = create(0, POOL);
	struct mailbox mailbox[SINKS] = {0};
	pthread_t thread[SINKS];
	uint64_t events = 0, durable = 0;

	(void)state;
	for (int i = 0; i < SINKS; i++) {
		mailbox[i].ledger = calloc(1, sizeof(*mailbox[i].ledger));
		assert_non_null(mailbox[i].ledger);
		assert_int_equal(pthread_create(&thread[i], NULL, sink_thread, &mailbox[i]), 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		struct batch *batch = batch_get(pool);

		while (batch == NULL) {
			sched_yield();
			batch = batch_get(pool);
		}
		assert_int_equal(atomic_load(&batch->refs), 0);
		batch->n_events = batch->n_records = 1 + (uint32_t)round % 4;
		for (uint32_t i = 0; i < batch->n_events; i++) {
			batch->records[i].event = (uint16_t)i;
			batch->events[i].dead_letter = 0;
			atomic_store_explicit(&batch->events[i].pending, SINKS, memory_order_relaxed);
		}
		events += batch->n_events;
		atomic_store_explicit(&batch->refs, SINKS, memory_order_relaxed);
		for (int i = 0; i < SINKS; i++) {
			while (atomic_load_explicit(&mailbox[i].batch, memory_order_acquire) != NULL)
				sched_yield();
			atomic_store_explicit(&mailbox[i].batch, batch, memory_order_release);
		}
	}
	for (int i = 0; i < SINKS; i++) {
		while (atomic_load(&mailbox[i].batch) != NULL)
			sched_yield();
		atomic_store(&mailbox[i].stop, true);
	}
	for (int i = 0; i < SINKS; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		durable += mailbox[i].ledger->stream[0].durable;
		free(mailbox[i].ledger);
	}
	assert_int_equal(durable, events);
	assert_int_equal(batch_pool_free(pool), POOL);
	batch_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_pool_gives_each_batch_once),
	    cmocka_unit_test(a_used_batch_comes_back_empty),
	    cmocka_unit_test(confirmations_complete_events),
	    cmocka_unit_test(one_stream_leaves_the_others_their_share),
	    cmocka_unit_test(a_pool_without_batches_is_refused),
	    cmocka_unit_test(batches_come_home_from_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
