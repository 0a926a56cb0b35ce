/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_table.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static struct session_table *make(uint32_t max_sources, uint32_t window)
{
	struct session_table *table;
	struct error err;

	assert_int_equal(session_table_create(max_sources, window, &table, &err), 0);
	return table;
}

static int offer(
    struct session_table *table, uint64_t source, uint64_t epoch, uint64_t now_ns, struct session **out)
{
	struct session_offer o = {.source_id = source, .epoch = epoch, .stream = 1};
	uint64_t live;

	return session_offer(table, &o, now_ns, out, &live);
}

static void impossible_sizes_are_refused(void **state)
{
	static const uint32_t sizes[][2] = {
	    {0, 64}, {SESSION_MAX_SOURCES + 1, 64}, {1, 0}, {1, WIRE_MAX_WINDOW + 1}};
	struct session_table *table;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(session_table_create(sizes[i][0], sizes[i][1], &table, &err), -EINVAL);
}

/* Offers that nobody takes up push out each other, and no live session. */
static void offers_are_bounded(void **state)
{
	struct session_table *table = make(4, 8);
	struct session *live, *session;
	uint32_t full = 0;

	(void)state;
	assert_int_equal(offer(table, 7, 1, SECOND, &live), 0);
	assert_int_equal(session_prove(table, live), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		int rc = offer(table, 7, 2 + i, SECOND + i, &session);

		assert_true(rc == 0 || rc == -ENOSPC);
		full += rc != 0;
		assert_ptr_equal(session_find(table, live->token), live);
	}
	assert_true(full > 0);
	/* They lapse, and there is room again. */
	for (int i = 0; i < 4; i++)
		session_table_tick(table, NULL, 2 * SECOND + SESSION_OFFER_NS);
	assert_ptr_equal(session_find(table, live->token), live);
	for (uint64_t source = 8; source < 11; source++) {
		assert_int_equal(offer(table, source, 1, 10 * SECOND, &session), 0);
		assert_int_equal(session_prove(table, session), 0);
	}
	assert_int_equal(offer(table, 11, 1, 10 * SECOND, &session), -ENOSPC);
	assert_int_equal(session_table_live(table), 4);
	session_table_destroy(table);
}

static void a_session_stays_while_a_frame_is_under_way(void **state)
{
	struct session_table *table = make(1, 8);
	struct session *first, *second;
	uint64_t now = SECOND;

	(void)state;
	assert_int_equal(offer(table, 7, 1, now, &first), 0);
	assert_int_equal(session_prove(table, first), 0);
	assert_int_equal(session_claim(&first->frames, 0, 0, 1), SESSION_NEW);
	now += SESSION_IDLE_NS + SECOND;
	for (int i = 0; i < 8; i++)
		session_table_tick(table, NULL, now);
	assert_int_equal(session_table_live(table), 0);
	assert_int_not_equal(atomic_load(&first->state), SESSION_FREE);
	assert_int_equal(offer(table, 7, 1, now, &second), 0);
	assert_ptr_not_equal(first, second);
	assert_true(session_complete(&first->frames, 0, 0, 0));
	atomic_store(&first->wanted, SESSION_WANT_DURABLE);
	session_release(&first->frames);
	session_table_tick(table, NULL, now);
	assert_int_not_equal(atomic_load(&first->state), SESSION_FREE);
	atomic_store(&first->wanted, 0);
	session_table_tick(table, NULL, now);
	assert_int_equal(atomic_load(&first->state), SESSION_FREE);
	session_table_destroy(table);
}

static void buckets_outlive_sessions(void **state)
{
	struct session_table *table = make(1, 8);
	struct session *session;
	uint64_t now = SECOND;

	(void)state;
	for (uint64_t epoch = 1; epoch < 5; epoch++) {
		assert_int_equal(offer(table, 7, epoch, now, &session), 0);
		assert_int_equal(session_limit_take(session->limit, 10, 100, 64, now), epoch == 1);
		assert_int_equal(session_limit_take(session->limit, 10, 100, 10, now), epoch < 4);
	}
	/* One second is ten events. */
	assert_int_equal(session_limit_take(session->limit, 10, 100, 17, now + SECOND), false);
	assert_int_equal(session_limit_take(session->limit, 10, 100, 16, now + SECOND), true);
	session_table_destroy(table);
}

/* ---- threads: sessions come and go under workers that use them ---- */

#define WORKERS 2u
#define ROUNDS 3000u
#define HELD 16u

struct torture {
	struct session_table *table;
	struct rte_rcu_qsbr *rcu;
	_Atomic uint64_t now_ns, epoch, wrong, frames;
	_Atomic uint32_t running;
};

struct worker {
	struct torture *torture;
	unsigned int number;
};

/* A frame that this worker completes later, many quiescent states from now. */
struct held {
	struct session *session;
	uint32_t token, slot;
};

static void finish(struct torture *t, struct held *held)
{
	if (held->session == NULL)
		return;
	/* Nobody else is in its place. */
	if (held->session->token != held->token)
		atomic_fetch_add(&t->wrong, 1);
	if (!session_complete(&held->session->frames, held->slot, 0, 0))
		atomic_fetch_add(&t->wrong, 1);
	session_release(&held->session->frames);
	held->session = NULL;
}

static void *use_sessions(void *context)
{
	struct worker *w = context;
	struct torture *t = w->torture;
	struct held held[HELD] = {{0}};
	uint32_t tokens[8] = {0}, seed = w->number + 1;

	rte_rcu_qsbr_thread_register(t->rcu, w->number);
	rte_rcu_qsbr_thread_online(t->rcu, w->number);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t now = atomic_load(&t->now_ns), source = (seed = seed * 1664525 + 1013904223) >> 29;
		struct session *session = session_find(t->table, tokens[source]);
		struct held *mine = &held[round % HELD];

		finish(t, mine);
		if (session == NULL &&
		    offer(t->table, source, atomic_fetch_add(&t->epoch, 1), now, &session) == 0)
			tokens[source] = session->token;
		if (session != NULL && session_prove(t->table, session) == 0) {
			uint64_t head = atomic_load(&session->frames.head);

			atomic_store(&session->heard_ns, now);
			if (session_claim(&session->frames, head, atomic_load(&session->frames.sender_base),
			        1) == SESSION_NEW) {
				*mine = (struct held){
				    session, tokens[source], (uint32_t)(head % session->frames.window)};
				atomic_fetch_add(&t->frames, 1);
			}
		}
		rte_rcu_qsbr_quiescent(t->rcu, w->number);
		if (round % 16 == 0)
			sched_yield();
	}
	for (uint32_t i = 0; i < HELD; i++)
		finish(t, &held[i]);
	rte_rcu_qsbr_thread_offline(t->rcu, w->number);
	rte_rcu_qsbr_thread_unregister(t->rcu, w->number);
	atomic_fetch_sub(&t->running, 1);
	return NULL;
}

static void nobody_meets_a_stranger(void **state)
{
	struct torture t = {.now_ns = SECOND, .epoch = 1, .running = WORKERS};
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS];
	uint64_t freed = 0;

	(void)state;
	t.table = make(4, 64);
	t.rcu =
	    aligned_alloc(RTE_CACHE_LINE_SIZE, (rte_rcu_qsbr_get_memsize(WORKERS) + RTE_CACHE_LINE_SIZE - 1) &
	                                           ~(size_t)(RTE_CACHE_LINE_SIZE - 1));
	assert_non_null(t.rcu);
	assert_int_equal(rte_rcu_qsbr_init(t.rcu, WORKERS), 0);
	for (unsigned int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){&t, i};
		assert_int_equal(pthread_create(&threads[i], NULL, use_sessions, &workers[i]), 0);
	}
	while (atomic_load(&t.running) > 0) {
		uint64_t now = atomic_fetch_add(&t.now_ns, 2 * SECOND);

		session_table_tick(t.table, t.rcu, now);
		sched_yield();
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < 8; i++)
		session_table_tick(t.table, t.rcu, atomic_load(&t.now_ns) + 2 * SESSION_IDLE_NS);
	assert_int_equal(t.wrong, 0);
	assert_true(t.frames > 0);
	for (uint32_t i = 0; i < session_table_size(t.table); i++)
		freed += atomic_load(&session_at(t.table, i)->state) == SESSION_FREE;
	assert_int_equal(freed, session_table_size(t.table));
	assert_int_equal(session_table_live(t.table), 0);
	session_table_destroy(t.table);
	free(t.rcu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(impossible_sizes_are_refused),
	    cmocka_unit_test(offers_are_bounded),
	    cmocka_unit_test(a_session_stays_while_a_frame_is_under_way),
	    cmocka_unit_test(buckets_outlive_sessions),
	    cmocka_unit_test(nobody_meets_a_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
