/* SPDX-License-Identifier: BSD-3-Clause */
#include "dedup_testing.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* Many threads, the same keys, at the same time. */

enum { MAX_THREADS = 8 };

enum order { ORDER_SAME, ORDER_REVERSED, ORDER_ROTATED };

struct torture {
	struct dedup *dedup;
	_Atomic uint32_t waiting, generation; /* of the barrier */
	uint64_t keys;
	bool disjoint; /* every key belongs to one thread */
	int threads, rounds;
	int64_t window_ms;
	_Atomic uint8_t *fresh; /* [keys]: how many were told "new" in this round */
	_Atomic uint64_t evicted;
	uint64_t rounds_exact, rounds_evicting, violations;
};

struct torture_thread {
	struct torture *torture;
	int number;
	pthread_t thread;
};

static uint64_t pick(const struct torture *t, int number, int round, uint64_t i)
{
	if (t->disjoint)
		return i * (uint64_t)t->threads + (uint64_t)number;
	switch ((enum order)((round + (number > 0)) % 3)) {
	case ORDER_SAME:
		return i;
	case ORDER_REVERSED:
		return t->keys - 1 - i;
	case ORDER_ROTATED:
		return (i + (uint64_t)number * t->keys / 3) % t->keys;
	}
	return 0;
}

/* One round's marks have just expired when the next begins. */
static int64_t round_time(const struct torture *t, int round)
{
	return T0 + round * (t->window_ms + 2 * TICK_MS);
}

static void check_round(struct torture *t, uint64_t evicted)
{
	uint64_t none = 0, sum = 0, lost = 0;
	int64_t now;

	if (atomic_load(&t->generation) == 0)
		return; /* the start: nothing has happened yet */
	now = round_time(t, (int)atomic_load(&t->generation) - 1);
	for (uint64_t i = 0; i < t->keys; i++) {
		uint8_t fresh = atomic_exchange_explicit(&t->fresh[i], 0, memory_order_relaxed);

		none += fresh == 0;
		sum += fresh;
		lost += !contains(t->dedup, i, now);
	}
	/* Every key is new for at least one thread, and for a second one only after its mark was evicted. */
	t->violations += none + (sum > t->keys + evicted ? sum - t->keys - evicted : 0);
	t->violations += lost > evicted ? lost - evicted : 0;
	if (evicted == 0)
		t->rounds_exact++;
	else
		t->rounds_evicting++;
}

/* Lets the threads go within nanoseconds of each other, which a barrier of the kernel does not; the last to
 * come checks the round that has just ended. */
static void spin_barrier(struct torture *t)
{
	uint32_t generation = atomic_load(&t->generation);

	if (atomic_fetch_add(&t->waiting, 1) + 1 == (uint32_t)t->threads) {
		check_round(t, atomic_exchange(&t->evicted, 0));
		atomic_store(&t->waiting, 0);
		atomic_fetch_add(&t->generation, 1);
		return;
	}
	for (uint32_t spins = 0; atomic_load(&t->generation) == generation; spins++) {
		if (spins % 1024 == 1023)
			sched_yield();
	}
}

static void *torture_thread(void *arg)
{
	struct torture_thread *self = arg;
	struct torture *t = self->torture;

	spin_barrier(t);
	for (int round = 0; round < t->rounds; round++) {
		int64_t now = round_time(t, round) + self->number * 8; /* clocks differ a little */
		uint32_t evicted = 0;

		for (uint64_t i = 0; i < t->keys / (t->disjoint ? (uint64_t)t->threads : 1); i++) {
			uint64_t key = pick(t, self->number, round, i);

			if (!insert(t->dedup, key, now, &evicted))
				atomic_fetch_add_explicit(&t->fresh[key], 1, memory_order_relaxed);
		}
		atomic_fetch_add_explicit(&t->evicted, evicted, memory_order_relaxed);
		spin_barrier(t);
	}
	return NULL;
}

static struct torture run_rounds(uint64_t slots, uint64_t keys, bool disjoint, int threads, int rounds)
{
	struct torture t = {.dedup = create(slots, 1000),
	    .keys = keys,
	    .disjoint = disjoint,
	    .threads = threads,
	    .rounds = rounds,
	    .window_ms = 1000,
	    .fresh = calloc(keys, 1)};
	struct torture_thread thread[MAX_THREADS];
	struct dedup_stats stats;

	assert_non_null(t.fresh);
	for (int i = 0; i < threads; i++) {
		thread[i] = (struct torture_thread){.torture = &t, .number = i};
		assert_int_equal(pthread_create(&thread[i].thread, NULL, torture_thread, &thread[i]), 0);
	}
	for (int i = 0; i < threads; i++)
		assert_int_equal(pthread_join(thread[i].thread, NULL), 0);
	/* No slot stays behind in the hands of a worker. */
	dedup_stats(t.dedup, T0 + (rounds + 2) * 2 * t.window_ms, &stats);
	assert_int_equal(stats.entries, 0);
	assert_int_equal(t.violations, 0);
	assert_int_equal(t.rounds_exact + t.rounds_evicting, rounds);
	free((void *)t.fresh);
	return t;
}

static struct torture run_torture(uint64_t slots, uint64_t keys, int threads, int rounds)
{
	return run_rounds(slots, keys, false, threads, rounds);
}

static void one_thread_is_told_new(void **state)
{
	struct torture t;

	(void)state;
	/* One key, so that all threads meet on it. */
	for (int threads = 2; threads <= 4; threads++) {
		t = run_torture(4, 1, threads, SCALE * 2000);
		assert_int_equal(t.rounds_exact, t.rounds);
		dedup_destroy(t.dedup);
	}
	t = run_torture(1024, 500, 4, SCALE * 20);
	assert_int_equal(t.rounds_exact, t.rounds);
	dedup_destroy(t.dedup);
	t = run_torture(100000, 75000, 8, SCALE);
	assert_int_equal(t.rounds_exact, t.rounds);
	assert_true(moved(t.dedup) > 0);
	dedup_destroy(t.dedup);
}

static void one_thread_is_told_new_while_members_move(void **state)
{
	struct torture t;

	(void)state;
	t = run_torture(10000, 9300, 3, SCALE * 10);
	assert_true(t.rounds_exact > 0);
	assert_true(moved(t.dedup) > 1000);
	dedup_destroy(t.dedup);
	/* Tiny ones, full to the brim. */
	t = run_torture(32, 26, 4, SCALE * 1000);
	assert_true(t.rounds_exact > 0);
	assert_true(moved(t.dedup) > 100);
	dedup_destroy(t.dedup);
	for (int threads = 2; threads <= 4; threads++) {
		t = run_torture(8, 6, threads, SCALE * 2000);
		assert_true(t.rounds_exact > 0);
		dedup_destroy(t.dedup);
	}
}

/* Nobody else has the key, so nothing may take it for a duplicate. */
static void neighbours_do_not_disturb(void **state)
{
	const struct {
		uint64_t slots, keys;
	} sizes[] = {{4, 4}, {8, 8}, {8, 24}, {32, 24}, {64, 60}};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int threads = 2; threads <= 4; threads += 2) {
			struct torture t =
			    run_rounds(sizes[i].slots, sizes[i].keys, true, threads, SCALE * 1000);

			dedup_destroy(t.dedup);
		}
	}
}

static void overfull_tables_lose_nothing_to_races(void **state)
{
	struct torture t;

	(void)state;
	t = run_torture(64, 200, 4, SCALE * 200);
	assert_true(t.rounds_evicting > 0);
	dedup_destroy(t.dedup);
	t = run_torture(4, 30, 8, SCALE * 200);
	assert_true(t.rounds_evicting > 0);
	dedup_destroy(t.dedup);
}

/* Looks for old members while new ones push them to and fro. */

struct watch {
	struct dedup *dedup;
	uint64_t keys;
	atomic_bool stop;
	uint64_t looks, misses;
};

static void *watch_thread(void *arg)
{
	struct watch *watch = arg;

	while (!atomic_load(&watch->stop) || watch->looks == 0) {
		for (uint64_t i = 0; i < watch->keys; i++)
			watch->misses += !contains(watch->dedup, i, T0);
		watch->looks++;
	}
	return NULL;
}

static void a_moving_member_is_always_found(void **state)
{
	enum { SLOTS = 2000, OLD = SLOTS / 2, ALL = SLOTS * 92 / 100, ROUNDS = SCALE * 20 };
	uint64_t moves = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct watch watch[2];
		pthread_t thread[2];
		struct dedup *dedup = create(SLOTS, 1000);
		uint32_t evicted = 0;

		for (uint64_t i = 0; i < OLD; i++)
			assert_false(insert(dedup, i, T0, &evicted));
		for (int i = 0; i < 2; i++) {
			watch[i] = (struct watch){.dedup = dedup, .keys = OLD};
			assert_int_equal(pthread_create(&thread[i], NULL, watch_thread, &watch[i]), 0);
		}
		/* Fresh keys every time; those of an old generation expire, the watched ones do not. */
		for (uint64_t generation = 1; generation < 20; generation++) {
			int64_t now = T0 - 1000 + (int64_t)generation * TICK_MS;

			for (uint64_t i = 0; i < (ALL - OLD) / 15; i++)
				assert_false(insert(
				    dedup, generation << 32 | (uint64_t)round << 20 | i, now, &evicted));
		}
		for (int i = 0; i < 2; i++)
			atomic_store(&watch[i].stop, true);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(pthread_join(thread[i], NULL), 0);
			assert_true(watch[i].misses <= evicted * watch[i].looks);
			if (evicted == 0)
				assert_int_equal(watch[i].misses, 0);
		}
		moves += moved(dedup);
		dedup_destroy(dedup);
	}
	assert_true(moves > 0);
}

/* Events that fail half of the time, and their retries, on many threads; other members make way for them. */

struct retries {
	struct dedup *dedup;
	uint64_t keys;
	_Atomic uint8_t *owners, *confirmed;
	_Atomic uint64_t confirmations, removals, pending, violations;
	_Atomic uint32_t evicted;
	int rounds;
};

struct retrier {
	struct retries *retries;
	uint64_t random;
	pthread_t thread;
};

static void *retry_thread(void *arg)
{
	struct retrier *self = arg;
	struct retries *r = self->retries;
	uint32_t evicted = 0;

	for (int round = 0; round < r->rounds; round++) {
		uint64_t i = (self->random = mix(self->random)) % r->keys;
		uint8_t was_confirmed = atomic_load(&r->confirmed[i]);

		switch (take(r->dedup, i, T0, &evicted)) {
		case DEDUP_NEW:
			if (was_confirmed == 2 || atomic_fetch_add(&r->owners[i], 1) != 0)
				atomic_fetch_add(&r->violations, 1);
			for (uint64_t spins = self->random >> 32 & 0xff; spins > 0; spins--)
				atomic_signal_fence(memory_order_seq_cst);
			atomic_fetch_sub(&r->owners[i], 1);
			if (self->random >> 60 != 0) {
				give_up(r->dedup, i);
				atomic_fetch_add(&r->removals, 1);
				break;
			}
			atomic_store(&r->confirmed[i], 1); /* on the way */
			confirm(r->dedup, i, T0, &evicted);
			atomic_store(&r->confirmed[i], 2);
			atomic_fetch_add(&r->confirmations, 1);
			break;
		case DEDUP_DUPLICATE:
			if (atomic_load(&r->confirmed[i]) == 0)
				atomic_fetch_add(&r->violations, 1);
			break;
		case DEDUP_DUPLICATE_PENDING:
			if (was_confirmed == 2)
				atomic_fetch_add(&r->violations, 1);
			atomic_fetch_add(&r->pending, 1);
			break;
		}
	}
	atomic_fetch_add(&r->evicted, evicted);
	return NULL;
}

static void a_mark_follows_its_event(void **state)
{
	enum { THREADS = 4 };
	const struct {
		uint64_t slots, keys, old;
	} sizes[] = {{64, 2, 0}, {128, 16, 90}, {4096, 300, 3500}};

	(void)state;
	for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		struct retries r = {
		    .dedup = create(sizes[n].slots, 1000), .keys = sizes[n].keys, .rounds = SCALE * 20000};
		struct retrier retrier[THREADS];
		uint32_t evicted = 0;

		r.owners = calloc(r.keys, 1);
		r.confirmed = calloc(r.keys, 1);
		assert_non_null(r.owners);
		assert_non_null(r.confirmed);
		for (uint64_t i = 0; i < sizes[n].old; i++)
			assert_false(insert(r.dedup, 1000000 + i, T0, &evicted));
		assert_int_equal(evicted, 0);
		for (int i = 0; i < THREADS; i++) {
			retrier[i] = (struct retrier){.retries = &r, .random = (uint64_t)i + 1};
			assert_int_equal(
			    pthread_create(&retrier[i].thread, NULL, retry_thread, &retrier[i]), 0);
		}
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(retrier[i].thread, NULL), 0);
		assert_int_equal(atomic_load(&r.evicted), 0);
		assert_int_equal(atomic_load(&r.violations), 0);
		assert_true(atomic_load(&r.removals) > r.keys);
		assert_int_equal(atomic_load(&r.confirmations), r.keys);
		for (uint64_t i = 0; i < r.keys; i++)
			assert_int_equal(seen(r.dedup, i, T0), DEDUP_DUPLICATE);
		for (uint64_t i = 0; i < sizes[n].old; i++)
			assert_int_equal(seen(r.dedup, 1000000 + i, T0), DEDUP_DUPLICATE);
		free((void *)r.owners);
		free((void *)r.confirmed);
		dedup_destroy(r.dedup);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_thread_is_told_new),
	    cmocka_unit_test(one_thread_is_told_new_while_members_move),
	    cmocka_unit_test(neighbours_do_not_disturb),
	    cmocka_unit_test(overfull_tables_lose_nothing_to_races),
	    cmocka_unit_test(a_moving_member_is_always_found),
	    cmocka_unit_test(a_mark_follows_its_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
