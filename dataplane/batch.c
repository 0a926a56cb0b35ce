/* SPDX-License-Identifier: BSD-3-Clause */
#include "batch.h"
#include "hugemem.h"
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <rte_common.h>
#include <stdlib.h>
#include <string.h>

/* The bytes follow their batch, so that the starts of several open batches do not fall into one cache set. */
#define BATCH_STRIDE (RTE_ALIGN_CEIL(sizeof(struct batch), (size_t)RTE_CACHE_LINE_SIZE) + BATCH_BYTES)

_Static_assert(BATCH_EVENTS <= UINT16_MAX + 1, "record.event indexes every event");
_Static_assert(sizeof(struct record) == 20 && sizeof(struct batch_event) == 64, "no surprising padding");

struct batch_pool {
	struct hugemem memory;
	struct rte_ring *home; /* worker: dequeues, sink threads and worker: enqueue */
	uint32_t count;
	_Atomic uint32_t n_idle;           /* worker: rw, others: ro */
	uint32_t held[CONFIG_MAX_STREAMS]; /* worker: batches out, by stream */
	struct batch *
	    idle[]; /* worker: taken from the ring, the one used last on top: its lines may still be cached */
};

void batch_release(struct batch *batch)
{
	int rc;

	if (atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) != 1)
		return;
	rc = rte_ring_enqueue(batch->home, batch);
	assert(rc == 0); /* the ring holds all batches of the pool: only a double release can fill it */
	(void)rc;
}

int batch_pool_create(uint16_t worker, uint32_t count, int node, enum hugepages mode, struct batch_pool **out,
    struct error *err)
{
	struct batch_pool *pool;
	int rc;

	*out = NULL;
	if (count == 0 || count >= RTE_RING_SZ_MASK / 2)
		return error_set(err, -EINVAL, "a pool of %u batches", count);
	pool = calloc(1, sizeof(*pool) + count * sizeof(pool->idle[0]));
	if (pool == NULL)
		return error_set(err, -ENOMEM, "no memory for a pool of batches");
	pool->count = count;
	/* RTS: a sink thread that is preempted in the middle of an enqueue must not make the others wait. */
	pool->home = ring_create(count, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	if (pool->home == NULL) {
		rc = error_set(err, -ENOMEM, "no memory for a ring of %u batches", count);
		goto err;
	}
	rc = hugemem_alloc(count * BATCH_STRIDE, node, mode, &pool->memory, err);
	if (rc != 0) {
		error_prefix(err, rc, "%u batches for worker %u", count, worker);
		goto err;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct batch *batch = (struct batch *)((char *)pool->memory.address + i * BATCH_STRIDE);

		batch->worker = worker;
		batch->home = pool->home;
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
	free(pool->home);
	free(pool);
}

/* Takes in what has come home. Returns how many batches are idle. */
static uint32_t take_in(struct batch_pool *pool)
{
	uint32_t before = atomic_load_explicit(&pool->n_idle, memory_order_relaxed);
	uint32_t n = before + rte_ring_dequeue_burst(
	                          pool->home, (void **)&pool->idle[before], pool->count - before, NULL);

	for (uint32_t i = before; i < n; i++) {
		if (pool->idle[i]->share != BATCH_NO_SHARE)
			pool->held[pool->idle[i]->share]--;
		pool->idle[i]->share = BATCH_NO_SHARE;
	}
	atomic_store_explicit(&pool->n_idle, n, memory_order_relaxed);
	return n;
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
	uint32_t share = pool->count / (2 * n_streams), idle = take_in(pool);
	struct batch *batch;

	if (pool->held[stream] > 0 && pool->held[stream] >= share &&
	    idle <= kept_for_others(pool, stream, n_streams, share))
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
	uint32_t n = take_in(pool);

	if (n == 0)
		return NULL;
	batch = pool->idle[--n];
	atomic_store_explicit(&pool->n_idle, n, memory_order_relaxed);
	/* Behind the releases of all sinks. The ring orders this too, but in a way that TSan cannot follow. */
	(void)atomic_load_explicit(&batch->refs, memory_order_acquire);
	batch->stream = 0;
	batch->n_events = 0;
	batch->n_records = 0;
	batch->used = 0;
	batch->arrival_ms = 0;
	batch->opened_ns = 0;
	batch->completion = NULL;
	atomic_store_explicit(&batch->refs, 0, memory_order_relaxed);
	memset(batch->sink_data, 0, sizeof(batch->sink_data));
	return batch;
}

void batch_put(struct batch_pool *pool, struct batch *batch)
{
	int rc = rte_ring_enqueue(pool->home, batch);

	assert(rc == 0);
	(void)rc;
}

uint32_t batch_pool_free(const struct batch_pool *pool)
{
	return atomic_load_explicit(&pool->n_idle, memory_order_relaxed) + rte_ring_count(pool->home);
}

uint32_t batch_pool_size(const struct batch_pool *pool)
{
	return pool->count;
}
