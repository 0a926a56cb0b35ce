/* SPDX-License-Identifier: BSD-3-Clause */
#include "dedup.h"
#include "dedup_table.h" /* to see that members really moved */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SCALE 1
#else
#define SCALE 10
#endif

#define TICK_MS 64
#define T0 1750000000000 /* June 2025, as a wall clock says it */

static const uint8_t secret[16] = "0123456789abcdef";

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* The key of identity `i`, as good as a hash. */
static void make_key(uint64_t i, uint64_t key[2])
{
	key[0] = mix(2 * i);
	key[1] = mix(2 * i + 1);
}

static struct dedup *create(uint64_t slots, int64_t window_ms)
{
	struct dedup *dedup;
	struct error err;

	assert_int_equal(dedup_create(slots * 16, window_ms, secret, -1, HUGEPAGES_OFF, &dedup, &err), 0);
	return dedup;
}

static bool insert(struct dedup *dedup, uint64_t i, int64_t now_ms, uint32_t *evicted)
{
	uint64_t key[2];

	make_key(i, key);
	return dedup_test_and_insert(dedup, key, now_ms, evicted);
}

static bool contains(const struct dedup *dedup, uint64_t i, int64_t now_ms)
{
	uint64_t key[2];

	make_key(i, key);
	return dedup_contains(dedup, key, now_ms);
}

static uint64_t moved(const struct dedup *dedup)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < MOVE_STRIPES; i++)
		sum += atomic_load_explicit(&dedup->moves[i], memory_order_relaxed);
	return sum;
}

static void a_mark_lives_for_the_window(void **state)
{
	const int64_t windows[] = {64, 65, 100, 127, 128, 1000, 4096, 10001};
	/* The last one carries the ticks over 2^32. */
	const int64_t starts[] = {T0, T0 + 1, T0 + 63, 0, -100, ((int64_t)TICK_MS << 32) - 50};

	(void)state;
	for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
			struct dedup *dedup = create(64, windows[w]);
			int64_t start = starts[s];
			uint32_t evicted = 0;

			assert_false(contains(dedup, 1, start));
			assert_false(insert(dedup, 1, start, &evicted));
			for (int64_t age = 0; age < windows[w] + 200; age++) {
				if (age >= windows[w])
					assert_false(contains(dedup, 1, start + age));
				else if (age <= windows[w] - TICK_MS)
					assert_true(contains(dedup, 1, start + age));
			}
			/* A duplicate does not extend it. */
			assert_true(insert(dedup, 1, start + windows[w] - TICK_MS, &evicted));
			assert_false(insert(dedup, 1, start + windows[w], &evicted));
			assert_true(insert(dedup, 1, start + windows[w], &evicted));
			assert_int_equal(evicted, 0);
			dedup_destroy(dedup);
		}
	}
}

/* Workers read their clocks at different moments, and a replay brings older events. */
static void a_lagging_clock_sees_the_mark(void **state)
{
	struct dedup *dedup = create(64, 10000);
	uint32_t evicted = 0;

	(void)state;
	assert_false(insert(dedup, 1, T0, &evicted));
	assert_true(contains(dedup, 1, T0 - 1));
	assert_true(insert(dedup, 1, T0 - 10000, &evicted));
	assert_true(insert(dedup, 1, T0 - 60000, &evicted));
	assert_true(insert(dedup, 1, T0 + 9000, &evicted));
	dedup_destroy(dedup);
}

/* Millions of random operations against a plain array of marks. */
static void answers_equal_the_reference(void **state)
{
	enum { KEYS = 40000, WINDOW = 5000 };
	struct dedup *dedup = create(100000, WINDOW);
	int64_t *mark = malloc(KEYS * sizeof(*mark));
	uint64_t random = 1, duplicates = 0;
	int64_t now = T0;
	uint32_t evicted = 0;

	(void)state;
	assert_non_null(mark);
	for (int i = 0; i < KEYS; i++)
		mark[i] = INT64_MIN / 2;
	for (int op = 0; op < SCALE * 400000; op++) {
		uint64_t i;
		bool expected;

		random = mix(random);
		i = random % KEYS;
		now += (random >> 32) % 8 == 0;
		expected = mark[i] / TICK_MS > (now - WINDOW) / TICK_MS;
		assert_true(!expected || now - mark[i] < WINDOW);
		assert_true(expected || now - mark[i] > WINDOW - TICK_MS);
		if ((random >> 40) % 4 == 0)
			assert_int_equal(contains(dedup, i, now), expected);
		assert_int_equal(insert(dedup, i, now, &evicted), expected);
		if (!expected)
			mark[i] = now;
		duplicates += expected;
	}
	assert_true(duplicates > SCALE * 100000);
	assert_int_equal(evicted, 0);
	free(mark);
	dedup_destroy(dedup);
}

/* Fills a table to a load, twice: the second time over what has expired. Returns what had to be evicted. */
static uint32_t fill(double load, uint64_t slots)
{
	struct dedup *dedup = create(slots, 60000);
	uint64_t n = (uint64_t)(load * (double)slots);
	uint32_t total = 0;

	for (int64_t round = 0; round < 2; round++) {
		int64_t now = T0 + round * (60000 + TICK_MS);
		uint64_t missing = 0, first = (uint64_t)round << 32;
		struct dedup_stats stats;
		uint32_t evicted = 0;

		for (uint64_t i = 0; i < n; i++)
			assert_false(insert(dedup, first + i, now, &evicted));
		for (uint64_t i = 0; i < n; i++)
			missing += !contains(dedup, first + i, now);
		assert_int_equal(missing, evicted);
		total += evicted;
		dedup_stats(dedup, now, &stats);
		assert_int_equal(stats.slots, slots);
		assert_int_equal(stats.evicted, total);
		assert_true(stats.load > load - 0.02 && stats.load < load + 0.02);
		assert_int_equal(stats.alarm, evicted != 0);
		assert_int_equal(stats.window_ms, 60000);
		for (uint64_t i = 0; i < n / 8; i++)
			assert_false(contains(dedup, first + n + i, now));
	}
	assert_true(load < 0.75 || moved(dedup) > 0);
	dedup_destroy(dedup);
	return total;
}

static void loads_are_held(void **state)
{
	const uint64_t slots = SCALE * 40000;

	(void)state;
	assert_int_equal(fill(0.50, slots), 0);
	assert_int_equal(fill(0.75, slots), 0);
	assert_int_equal(fill(0.85, slots), 0);
	assert_true(fill(0.95, slots) < slots / 1000);
}

/* Twice as many events per window as there are slots. */
static void too_small_a_budget_is_reported(void **state)
{
	enum { SLOTS = 4096, WINDOW = 10000, PER_MS = 1, STEPS = 60000 };
	struct dedup *dedup = create(SLOTS, WINDOW);
	struct dedup_stats stats;
	uint32_t evicted = 0;
	int64_t now = T0;
	uint64_t n = 0;

	(void)state;
	dedup_stats(dedup, now, &stats);
	assert_false(stats.alarm);
	assert_int_equal(stats.covered_ms, WINDOW);
	for (int step = 0; step < STEPS; step++, now++) {
		for (int i = 0; i < PER_MS; i++)
			assert_false(insert(dedup, n++, now, &evicted));
		if (step % 1000 != 999)
			continue;
		/* Whatever is younger than covered_ms is there. */
		dedup_stats(dedup, now, &stats);
		assert_int_equal(stats.evicted, evicted);
		assert_int_equal(stats.alarm, stats.covered_ms < WINDOW);
		for (int64_t age = 0; age < stats.covered_ms - TICK_MS && age < step; age++) {
			for (int i = 0; i < PER_MS; i++)
				assert_true(contains(dedup, n - 1 - (uint64_t)(age * PER_MS + i), now));
		}
		if (step > WINDOW) {
			assert_true(stats.alarm);
			assert_true(stats.covered_ms > SLOTS / PER_MS / 4);
			assert_true(stats.load > 0.95);
		}
	}
	assert_true(evicted > 0);
	assert_true(evicted < n);
	/* Quiet: the alarm ends within a window, and the marks too. */
	dedup_stats(dedup, now + WINDOW + TICK_MS, &stats);
	assert_false(stats.alarm);
	assert_int_equal(stats.covered_ms, WINDOW);
	assert_int_equal(stats.entries, 0);
	assert_int_equal(stats.evicted, evicted);
	dedup_destroy(dedup);
}

/* One bucket, more keys than slots: every event passes. */
static void a_full_bucket_drops_nothing(void **state)
{
	struct dedup *dedup = create(4, 1000);
	uint32_t evicted = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		assert_false(insert(dedup, i, T0, &evicted));
		assert_true(contains(dedup, i, T0));
	}
	assert_int_equal(evicted, 996);
	dedup_destroy(dedup);
}

static void any_budget_is_used(void **state)
{
	const uint64_t budgets[] = {64, 100, 4096, 65537, 999983, 3 << 20, (uint64_t)13 << 20};

	(void)state;
	for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
		struct dedup *dedup;
		struct dedup_stats stats;
		struct error err;

		assert_int_equal(dedup_create(budgets[i], 1000, secret, 0, HUGEPAGES_AUTO, &dedup, &err), 0);
		dedup_stats(dedup, T0, &stats);
		assert_true(stats.slots * 16 <= budgets[i]);
		assert_true(stats.slots * 16 + 64 > budgets[i]);
		assert_int_equal(stats.entries, 0);
		assert_int_equal((uintptr_t)dedup->buckets % 64, 0);
		assert_int_equal((uintptr_t)dedup % 64, 0);
		dedup_destroy(dedup);
	}
}

static void moving_there_and_back_is_the_identity(void **state)
{
	struct dedup *dedup = create(4 * 1237, 1000);

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t bucket = mix(i) % dedup->n_buckets, fp = mix(i << 20),
		         other = other_bucket(dedup, bucket, fp);

		assert_true(other < dedup->n_buckets);
		assert_int_equal(other_bucket(dedup, other, fp), bucket);
	}
	dedup_destroy(dedup);
}

/* Identities that share their buckets and all but one bit of the rest are different ones. */
static void every_bit_of_the_hash_counts(void **state)
{
	struct dedup *dedup = create(4 * 64, 1000);
	uint32_t evicted = 0;
	uint64_t key[2];

	(void)state;
	for (int bit = 0; bit < 24 + 64; bit++) {
		uint64_t other[2];

		make_key(1000 + (uint64_t)bit, key);
		memcpy(other, key, sizeof(other));
		other[bit / 24 > 0] ^= (uint64_t)1 << (bit < 24 ? bit : bit - 24);
		assert_false(dedup_test_and_insert(dedup, key, T0 + bit * 1000, &evicted));
		assert_false(dedup_contains(dedup, other, T0 + bit * 1000));
		assert_false(dedup_test_and_insert(dedup, other, T0 + bit * 1000, &evicted));
		assert_true(dedup_contains(dedup, key, T0 + bit * 1000));
		assert_true(dedup_contains(dedup, other, T0 + bit * 1000));
	}
	dedup_destroy(dedup);
}

static void secrets_make_different_hashes(void **state)
{
	uint8_t other_secret[16] = "0123456789abcdeg";
	struct dedup *dedup = create(64, 1000), *same = create(64, 1000), *other;
	uint64_t a[2], b[2], c[2], d[2];
	struct error err;

	(void)state;
	assert_int_equal(dedup_create(1024, 1000, other_secret, -1, HUGEPAGES_OFF, &other, &err), 0);
	dedup_hash(dedup, "event-1", 7, a);
	dedup_hash(same, "event-1", 7, b);
	dedup_hash(other, "event-1", 7, c);
	dedup_hash(dedup, "event-2", 7, d);
	assert_memory_equal(a, b, sizeof(a));
	assert_true(a[0] != c[0] && a[1] != c[1]);
	assert_true(a[0] != d[0] && a[1] != d[1]);
	dedup_prefetch(dedup, a);
	dedup_destroy(dedup);
	dedup_destroy(same);
	dedup_destroy(other);
}

static void impossible_tables_are_refused(void **state)
{
	struct dedup *dedup;
	struct error err;

	(void)state;
	assert_int_equal(dedup_create(63, 1000, secret, -1, HUGEPAGES_OFF, &dedup, &err), -EINVAL);
	assert_null(dedup);
	assert_int_equal(dedup_create(UINT64_MAX, 1000, secret, -1, HUGEPAGES_OFF, &dedup, &err), -EINVAL);
	assert_int_equal(dedup_create(1024, 63, secret, -1, HUGEPAGES_OFF, &dedup, &err), -EINVAL);
	assert_non_null(strstr(err.text, "a dedup window of 63 ms"));
	assert_int_equal(dedup_create(1024, INT64_MAX, secret, -1, HUGEPAGES_OFF, &dedup, &err), -EINVAL);
	assert_int_equal(
	    dedup_create((uint64_t)1 << 46, 1000, secret, -1, HUGEPAGES_REQUIRED, &dedup, &err), -ENOMEM);
	assert_non_null(strstr(err.text, "hugepages of 2 MB are needed"));
	assert_null(dedup);
	dedup_destroy(NULL);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_mark_lives_for_the_window),
	    cmocka_unit_test(a_lagging_clock_sees_the_mark),
	    cmocka_unit_test(answers_equal_the_reference),
	    cmocka_unit_test(loads_are_held),
	    cmocka_unit_test(too_small_a_budget_is_reported),
	    cmocka_unit_test(a_full_bucket_drops_nothing),
	    cmocka_unit_test(any_budget_is_used),
	    cmocka_unit_test(moving_there_and_back_is_the_identity),
	    cmocka_unit_test(every_bit_of_the_hash_counts),
	    cmocka_unit_test(secrets_make_different_hashes),
	    cmocka_unit_test(impossible_tables_are_refused),
	    cmocka_unit_test(one_thread_is_told_new),
	    cmocka_unit_test(one_thread_is_told_new_while_members_move),
	    cmocka_unit_test(neighbours_do_not_disturb),
	    cmocka_unit_test(overfull_tables_lose_nothing_to_races),
	    cmocka_unit_test(a_moving_member_is_always_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
