/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A batch carries finished records of one stream from a worker to the sinks, and the confirmations back.
 *
 * The worker fills a batch with events (each with one or two records: raw and enriched, or one dead letter)
 * and hands it to every sink. Each sink delivers every record of the batch and calls batch_confirm() for each
 * record that is durable there; an event is complete when all sinks have confirmed all its records, whatever
 * happens to its neighbours. A sink calls batch_release() once it will not touch the batch again; after the
 * last release the batch goes back to its worker. Batches are allocated once, at start-up; a worker that
 * finds none free has met back-pressure.
 *
 * All bytes that records point to are inside `bytes`. Nothing in a batch changes after the hand-over except
 * the atomics.
 */
#ifndef PENSTOCK_BATCH_H
#define PENSTOCK_BATCH_H

#include "ledger.h"
#include "reason.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BATCH_EVENTS 2048u
#define BATCH_RECORDS (2u * BATCH_EVENTS)
#define BATCH_BYTES (2u << 20)

#define BATCH_NO_SHARE UINT16_MAX

struct completion;

enum record_kind { RECORD_RAW, RECORD_ENRICHED, RECORD_DEAD_LETTER, RECORD_KINDS };

/* One Kafka record, or one line of a file. Offsets are into batch->bytes. */
struct record {
	uint32_t value, value_len;
	uint32_t key, key_len; /* partition key; key_len 0: none */
	uint16_t event;        /* index into batch->events */
	uint8_t kind;          /* enum record_kind */
	uint8_t reserved;
};

struct batch_event {
	_Atomic uint8_t pending; /* confirmations still to come; worker: initialises, sinks: decrement */
	uint8_t dead_letter;     /* counts as dead-lettered, not as durable */
	uint8_t reason;          /* enum reason, for dead letters */
	uint8_t flags;           /* enum event_flag */
	uint32_t raw, raw_len;   /* the original bytes, always there */
	uint32_t id, id_len;     /* the identity as text; id_len 0: none */
	uint32_t message, message_len;     /* dead letters: what is wrong, for people */
	uint32_t partition, partition_len; /* value of the stream's lake_partition field; len 0: none */
	uint32_t ticket;                   /* of the sender who waits for it; 0: nobody does */
	int64_t time_ms;                   /* event time */
	uint64_t key[2];                   /* keyed hash of the identity, where flags say EVENT_MARKED */
};

struct batch {
	uint16_t worker;
	uint16_t stream;
	uint16_t share; /* worker: the stream in whose share of the pool it counts, or BATCH_NO_SHARE */
	uint32_t n_events, n_records, used;
	uint32_t epoch; /* of kafka_checkpoint.h; Kafka sink thread: writes, before its first confirmation */
	int64_t arrival_ms;            /* wall clock of the first event's burst */
	uint64_t opened_ns;            /* monotonic, for the linger */
	_Atomic uint32_t refs;         /* sinks that may still touch it */
	struct batch_home *home;       /* where the last release puts it */
	struct batch *next;            /* while it is there */
	char *bytes;                   /* BATCH_BYTES */
	struct completion *completion; /* who hears of complete events (completion.h); NULL: nobody */
	struct record records[BATCH_RECORDS];
	struct batch_event events[BATCH_EVENTS];
	void *sink_data[4]; /* one word per sink, index = sink's number; that sink alone uses it */
};

/* For sinks through sink_confirm(). Says that one record of the batch is durable at one sink. Completes the event in `ledger`, which belongs to
 * the calling sink thread, when it was the last. Returns true if the event is now complete. */
static inline bool batch_confirm(struct batch *batch, uint32_t record, struct sink_ledger *ledger)
{
	struct batch_event *event = &batch->events[batch->records[record].event];

	if (atomic_fetch_sub_explicit(&event->pending, 1, memory_order_acq_rel) != 1)
		return false;
	if (event->dead_letter)
		ledger->stream[batch->stream].dead_lettered++;
	else
		ledger->stream[batch->stream].durable++;
	return true;
}

/* Where batches come back to. Whoever releases one pushes it, the owner takes all at once: so nobody waits for anybody, and no
 * pointer is ever compared that could have come round meanwhile (ABA). Zero is empty. */
struct batch_home {
	_Atomic(struct batch *)
	    last;           /* came back last; the others follow by `next`. Everyone: push, owner: takes */
	_Atomic uint32_t n; /* of the batches here and with the owner. Everyone: adds, owner: subtracts */
};

/* The owner: all that has come back, the last one first, linked by `next`; NULL: nothing has. */
static inline struct batch *batch_home_take(struct batch_home *home)
{
	return atomic_exchange_explicit(&home->last, NULL, memory_order_acquire);
}

/* The calling sink is done with the batch. Any sink thread. */
void batch_release(struct batch *batch);

/* `count` batches for one worker, and their home. Memory from hugemem. */
struct batch_pool;
int batch_pool_create(uint16_t worker, uint32_t count, int node, enum hugepages mode, struct batch_pool **out,
    struct error *err);
void batch_pool_destroy(struct batch_pool *pool);

/* Worker only. An empty batch, the one that came back last, or NULL: all of them are with the sinks. */
struct batch *batch_get(struct batch_pool *pool);

/* Worker only. The same for one of `n_streams` streams. Half of the pool is for whoever comes, the other half in
 * equal shares for each, so that a stream whose outputs stand still does not take all. */
struct batch *batch_get_for(struct batch_pool *pool, uint16_t stream, uint32_t n_streams);

/* Worker only: an unused batch back. */
void batch_put(struct batch_pool *pool, struct batch *batch);

/* How many batches are free now, and how many there are. Any thread. */
uint32_t batch_pool_free(const struct batch_pool *pool);
uint32_t batch_pool_size(const struct batch_pool *pool);

#endif
