/* SPDX-License-Identifier: BSD-3-Clause */
#include "dedup_testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static void a_pending_mark_waits_for_its_event(void **state)
{
	struct dedup *dedup = create(64, 1000);
	struct dedup_stats stats;
	uint32_t evicted = 0;

	(void)state;
	assert_int_equal(take(dedup, 1, T0, &evicted), DEDUP_NEW);
	assert_int_equal(take(dedup, 1, T0, &evicted), DEDUP_DUPLICATE_PENDING);
	/* However long the sinks are away. */
	assert_int_equal(take(dedup, 1, T0 + 3600000, &evicted), DEDUP_DUPLICATE_PENDING);
	assert_int_equal(seen(dedup, 1, T0 - 3600000), DEDUP_DUPLICATE_PENDING);
	/* The window begins when it is durable. */
	confirm(dedup, 1, T0 + 3600000, &evicted);
	assert_int_equal(take(dedup, 1, T0 + 3600000 + 900, &evicted), DEDUP_DUPLICATE);
	assert_int_equal(take(dedup, 1, T0 + 3600000 + 1000, &evicted), DEDUP_NEW);
	/* A retry of what was given up is new, at once. */
	give_up(dedup, 1);
	dedup_stats(dedup, T0 + 3600000 + 1000, &stats);
	assert_int_equal(stats.entries, 0);
	assert_int_equal(take(dedup, 1, T0 + 3600000 + 1000, &evicted), DEDUP_NEW);
	/* What is durable stays so. */
	confirm(dedup, 1, T0 + 3600000 + 1000, &evicted);
	give_up(dedup, 1);
	assert_int_equal(seen(dedup, 1, T0 + 3600000 + 1001), DEDUP_DUPLICATE);
	give_up(dedup, 2);
	assert_int_equal(seen(dedup, 2, T0), DEDUP_NEW);
	assert_int_equal(evicted, 0);
	dedup_destroy(dedup);
}

/* Eight slots: confirmed marks go first, and a pending one that had to go is confirmed all the same. */
static void pending_marks_are_evicted_last(void **state)
{
	struct dedup *dedup = create(4, 1000);
	uint32_t evicted = 0;

	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(take(dedup, i, T0, &evicted), DEDUP_NEW);
	for (uint64_t i = 100; i < 120; i++)
		assert_false(insert(dedup, i, T0 + 100, &evicted));
	assert_int_equal(evicted, 19);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(seen(dedup, i, T0 + 100), DEDUP_DUPLICATE_PENDING);
	assert_int_equal(take(dedup, 3, T0 + 100, &evicted), DEDUP_NEW);
	assert_int_equal(evicted, 20);
	assert_int_equal(take(dedup, 4, T0 + 200, &evicted), DEDUP_NEW);
	assert_int_equal(evicted, 21);
	confirm(dedup, 4, T0 + 200, &evicted);
	assert_int_equal(evicted, 21);
	for (uint64_t i = 0; i < 4; i++)
		confirm(dedup, i, T0 + 300, &evicted);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(seen(dedup, i, T0 + 300), DEDUP_DUPLICATE);
	assert_int_equal(evicted, 22);
	dedup_destroy(dedup);
}

static bool restore(struct dedup *dedup, uint64_t i, int64_t age_ms, int64_t now_ms, uint32_t *evicted)
{
	uint64_t key[2];

	make_key(i, key);
	return dedup_restore(dedup, key, age_ms, now_ms, evicted);
}

static void a_restored_mark_keeps_its_age(void **state)
{
	const int64_t starts[] = {T0, 100, 0, ((int64_t)TICK_MS << 32) + 50};

	(void)state;
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		struct dedup *dedup = create(64, 1000);
		int64_t now = starts[s]; /* a machine that was booted this moment has a clock below the age */
		uint32_t evicted = 0;

		assert_true(restore(dedup, 1, 0, now, &evicted));
		assert_true(restore(dedup, 2, 500, now, &evicted));
		assert_false(restore(dedup, 2, 0, now, &evicted));
		assert_false(restore(dedup, 3, 1000, now, &evicted));
		assert_false(restore(dedup, 3, INT64_MAX / 2, now, &evicted));
		assert_int_equal(take(dedup, 4, now, &evicted), DEDUP_NEW);
		assert_false(restore(dedup, 4, 0, now, &evicted));
		assert_int_equal(seen(dedup, 1, now), DEDUP_DUPLICATE);
		assert_int_equal(seen(dedup, 2, now), DEDUP_DUPLICATE);
		assert_int_equal(seen(dedup, 3, now), DEDUP_NEW);
		assert_int_equal(seen(dedup, 4, now), DEDUP_DUPLICATE_PENDING);
		assert_int_equal(seen(dedup, 2, now + 500 - TICK_MS), DEDUP_DUPLICATE);
		assert_int_equal(seen(dedup, 2, now + 500), DEDUP_NEW);
		assert_int_equal(seen(dedup, 1, now + 500), DEDUP_DUPLICATE);
		assert_int_equal(evicted, 0);
		dedup_destroy(dedup);
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
		assert_int_equal(dedup_test_and_insert(dedup, key, T0 + bit * 1000, &evicted), DEDUP_NEW);
		assert_int_equal(dedup_look(dedup, other, T0 + bit * 1000), DEDUP_NEW);
		assert_int_equal(dedup_test_and_insert(dedup, other, T0 + bit * 1000, &evicted), DEDUP_NEW);
		dedup_confirm(dedup, key, T0 + bit * 1000, &evicted);
		assert_int_equal(dedup_look(dedup, key, T0 + bit * 1000), DEDUP_DUPLICATE);
		assert_int_equal(dedup_look(dedup, other, T0 + bit * 1000), DEDUP_DUPLICATE_PENDING);
		dedup_remove(dedup, other);
		assert_int_equal(dedup_look(dedup, key, T0 + bit * 1000), DEDUP_DUPLICATE);
		assert_int_equal(dedup_look(dedup, other, T0 + bit * 1000), DEDUP_NEW);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_mark_lives_for_the_window),
	    cmocka_unit_test(a_pending_mark_waits_for_its_event),
	    cmocka_unit_test(pending_marks_are_evicted_last),
	    cmocka_unit_test(a_restored_mark_keeps_its_age),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
