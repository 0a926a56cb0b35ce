/* SPDX-License-Identifier: BSD-3-Clause */
#include "batch.h"
#include "hugemem.h"

#include <errno.h>
#include <rte_common.h>
#include <stdlib.h>
#include <string.h>

/* The bytes follow their batch, so that the starts of several open batches do not fall into one cache set. */
#define BATCH_STRIDE (RTE_ALIGN_CEIL(sizeof(struct batch), (size_t)RTE_CACHE_LINE_SIZE) + BATCH_BYTES)

#define MAX_BATCHES (1u << 30)

_Static_assert(BATCH_EVENTS <= UINT16_MAX + 1, "record.event indexes every event");
_Static_assert(sizeof(struct record) == 20 && sizeof(struct batch_event) == 64, "no surprising padding");

struct batch_pool {
	struct hugemem memory;
	struct batch_home home;
	uint32_t count;
	struct batch
	    *idle; /* worker: taken from home, the one used last first: its lines may still be cached */
	uint32_t held[CONFIG_MAX_STREAMS]; /* worker: batches out, by stream */
};

static void come_home(struct batch *batch)
{
	struct batch_home *home = batch->home;
	struct batch *last = atomic_load_explicit(&home->last, memory_order_relaxed);

	/* Counted before the owner can take it, so that it never subtracts what has not been added. */
	atomic_fetch_add_explicit(&home->n, 1, memory_order_relaxed);
	do {
		batch->next = last;
	} while (!atomic_compare_exchange_weak_explicit(
	    &home->last, &last, batch, memory_order_release, memory_order_relaxed));
}

void batch_release(struct batch *batch)
{
	if (atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) == 1)
		come_home(batch);
}

int batch_pool_create(uint16_t worker, uint32_t count, int node, enum hugepages mode, struct batch_pool **out,
    struct error *err)
{
	struct batch_pool *pool;
	int rc;

	*out = NULL;
	if (count == 0 || count > MAX_BATCHES)
		return error_set(err, -EINVAL, "a pool of %u batches", count);
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return error_set(err, -ENOMEM, "no memory for a pool of batches");
	pool->count = count;
	rc = hugemem_alloc(count * BATCH_STRIDE, node, mode, &pool->memory, err);
	if (rc != 0) {
		error_prefix(err, rc, "%u batches for worker %u", count, worker);
		goto err;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct batch *batch = (struct batch *)((char *)pool->memory.address + i * BATCH_STRIDE);

		batch->worker = worker;
		batch->home = &pool->home;
		batch->share = BATCH_NO_SHARE;
		batch->bytes = (char *)batch + BATCH_STRIDE - BATCH_BYTES;
		batch_put(pool, batch);
	}
	*out = pool;
	return 0;

err:
	batch_pool_destroy(pool);
	return rc;
}

void batch_pool_destroy(struct batch_pool *pool)
{
	if (pool == NULL)
		return;
	hugemem_free(&pool->memory);
	free(pool);
}

static void take_in(struct batch_pool *pool)
{
	struct batch *batch = batch_home_take(&pool->home), *const first = batch;

	for (; batch != NULL; batch = batch->next) {
		if (batch->share != BATCH_NO_SHARE)
			pool->held[batch->share]--;
		batch->share = BATCH_NO_SHARE;
		if (batch->next == NULL) {
			batch->next = pool->idle;
			pool->idle = first;
			return;
		}
	}
}

/* How many batches the other streams still have to get to have their share. */
static uint32_t kept_for_others(
    const struct batch_pool *pool, uint16_t stream, uint32_t n_streams, uint32_t share)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n_streams; i++)
		kept += i != stream && pool->held[i] < share ? share - pool->held[i] : 0;
	return kept;
}

struct batch *batch_get_for(struct batch_pool *pool, uint16_t stream, uint32_t n_streams)
{
	uint32_t share = pool->count / (2 * n_streams);
	struct batch *batch;

	take_in(pool);
	if (pool->held[stream] > 0 && pool->held[stream] >= share &&
	    batch_pool_free(pool) <= kept_for_others(pool, stream, n_streams, share))
		return NULL;
	batch = batch_get(pool);
	if (batch == NULL)
		return NULL;
	batch->stream = batch->share = stream;
	pool->held[stream]++;
	return batch;
}

struct batch *batch_get(struct batch_pool *pool)
{
	struct batch *batch;

	take_in(pool);
	batch = pool->idle;
	if (batch == NULL)
		return NULL;
	pool->idle = batch->next;
	atomic_fetch_sub_explicit(&pool->home.n, 1, memory_order_relaxed);
	batch->stream = 0;
	batch->n_events = 0;
	batch->n_records = 0;
	batch->used = 0;
	batch->arrival_ms = 0;
	batch->opened_ns = 0;
	batch->completion = NULL;
	batch->epoch = 0;
	atomic_store_explicit(&batch->refs, 0, memory_order_relaxed);
	memset(batch->sink_data, 0, sizeof(batch->sink_data));
	return batch;
}

void batch_put(struct batch_pool *pool, struct batch *batch)
{
	(void)pool;
	come_home(batch);
}

uint32_t batch_pool_free(const struct batch_pool *pool)
{
	return atomic_load_explicit(&pool->home.n, memory_order_relaxed);
}

uint32_t batch_pool_size(const struct batch_pool *pool)
{
	return pool->count;
}
