/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the dedup table share: keys, a table, and one call per question. */
#ifndef PENSTOCK_DEDUP_TESTING_H
#define PENSTOCK_DEDUP_TESTING_H

#include "dedup.h"
#include "dedup_table.h" /* to see that members really moved */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SCALE 1
#else
#define SCALE 10
#endif

#define TICK_MS 64
#define T0 1750000000000 /* June 2025, as a wall clock says it */

static const uint8_t secret[16] = "0123456789abcdef";

static inline uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* The key of identity `i`, as good as a hash. */
static inline void make_key(uint64_t i, uint64_t key[2])
{
	key[0] = mix(2 * i);
	key[1] = mix(2 * i + 1);
}

static inline struct dedup *create(uint64_t slots, int64_t window_ms)
{
	struct dedup *dedup;
	struct error err;

	assert_int_equal(dedup_create(slots * 16, window_ms, secret, -1, HUGEPAGES_OFF, &dedup, &err), 0);
	return dedup;
}

static inline enum dedup_answer take(struct dedup *dedup, uint64_t i, int64_t now_ms, uint32_t *evicted)
{
	uint64_t key[2];

	make_key(i, key);
	return dedup_test_and_insert(dedup, key, now_ms, evicted);
}

static inline void confirm(struct dedup *dedup, uint64_t i, int64_t now_ms, uint32_t *evicted)
{
	uint64_t key[2];

	make_key(i, key);
	dedup_confirm(dedup, key, now_ms, evicted);
}

static inline void give_up(struct dedup *dedup, uint64_t i)
{
	uint64_t key[2];

	make_key(i, key);
	dedup_remove(dedup, key);
}

/* An event that is durable at once. True: a duplicate. */
static inline bool insert(struct dedup *dedup, uint64_t i, int64_t now_ms, uint32_t *evicted)
{
	if (take(dedup, i, now_ms, evicted) != DEDUP_NEW)
		return true;
	confirm(dedup, i, now_ms, evicted);
	return false;
}

static inline enum dedup_answer seen(const struct dedup *dedup, uint64_t i, int64_t now_ms)
{
	uint64_t key[2];

	make_key(i, key);
	return dedup_look(dedup, key, now_ms);
}

static inline bool contains(const struct dedup *dedup, uint64_t i, int64_t now_ms)
{
	return seen(dedup, i, now_ms) != DEDUP_NEW;
}

static inline uint64_t moved(const struct dedup *dedup)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < MOVE_STRIPES; i++)
		sum += atomic_load_explicit(&dedup->moves[i], memory_order_relaxed);
	return sum;
}

#endif
