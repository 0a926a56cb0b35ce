/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dedup window: which identities were made durable within the last `window`, or are on their way.
 *
 * A cuckoo table of 64-byte buckets of four 16-byte slots; every identity has two buckets. One table per stream,
 * shared by all workers without locks: a slot changes only by a 16-byte compare-and-swap, and an insertion goes
 * through a tentative state that settles two workers inserting the same identity at once (exactly one of them is
 * told "new"). A slot holds 88 bits of a keyed hash beyond the bucket index, so two different identities are
 * taken for one with odds below 8 * 2^-88 per event; the key is random and secret.
 *
 * A mark begins as pending: its event is in flight. Whoever is told DEDUP_NEW owns it and must end it, once:
 * dedup_confirm() when the event is durable, dedup_remove() when its delivery has failed for good. Until then it
 * does not expire, however long the sinks are away; the window counts from the confirmation.
 *
 * Confirmed entries expire where they are met; there is no sweep. When both buckets and the displacement path are full
 * of live entries the oldest confirmed one is overwritten, or a pending one if there is no other: the event passes as
 * new (never a wrong drop), the window is then shorter than configured, and dedup_stats() says so.
 *
 * Time is kept in ticks of 64 ms. A confirmed mark lives at most window_ms and at least window_ms less one tick, by the
 * clock of whoever asks; one that is ahead of that clock, by up to a window and a minute, is live.
 *
 * Threads: everything between create and destroy from any thread at any time.
 * Cost: two prefetched cache lines per event and two locked instructions per new one, one more to confirm it. No
 * allocation, no system call.
 */
#ifndef PENSTOCK_DEDUP_H
#define PENSTOCK_DEDUP_H

#include "event.h"
#include "hugemem.h"

struct dedup;

struct dedup_stats {
	uint64_t slots;    /* capacity */
	uint64_t entries;  /* live entries, estimated from a sample of buckets */
	double load;       /* entries / slots */
	uint64_t evicted;  /* live entries overwritten since start: the budget cannot hold the window */
	int64_t window_ms; /* as configured */
	int64_t
	    covered_ms; /* every identity marked within so many ms before now still is: window_ms, or the age
				   * of the youngest mark that was evicted; one window after the last eviction
				   * it is window_ms again */
	bool alarm;     /* covered_ms < window_ms */
};

/* A table of at most budget_bytes. `secret` is 16 random bytes. Time is in milliseconds on any clock that does not
 * go backwards (the caller passes one clock consistently). 0, -ENOMEM, or -EINVAL for a budget below 64 bytes or a
 * window outside 64 ms to 366 days. All of the budget is used, to the last 64 bytes; hugepages round the mapping up. */
int dedup_create(uint64_t budget_bytes, int64_t window_ms, const uint8_t secret[16], int node,
    enum hugepages mode, struct dedup **out, struct error *err);
void dedup_destroy(struct dedup *dedup);

/* The keyed 128-bit hash of an identity: SipHash-1-3-128. */
void dedup_hash(const struct dedup *dedup, const void *identity, size_t len, uint64_t key[2]);

/* The same for an event that was refused, by all of its bytes; never the key of an identity of that text. */
void dedup_hash_refused(const struct dedup *dedup, const void *bytes, size_t len, uint64_t key[2]);

/* Starts the memory accesses for a key. Issue for the whole burst before the first dedup_test_and_insert(). */
void dedup_prefetch(const struct dedup *dedup, const uint64_t key[2]);

enum dedup_answer {
	DEDUP_NEW,               /* not marked */
	DEDUP_DUPLICATE,         /* marked, and durable */
	DEDUP_DUPLICATE_PENDING, /* marked by an event that is still in flight */
};

/* Whether the key is marked. DEDUP_NEW: it was not, and is now, as pending; the caller owns the mark. A duplicate
 * does not extend the mark's life. *evicted is incremented if a live entry had to go. */
enum dedup_answer dedup_test_and_insert(
    struct dedup *dedup, const uint64_t key[2], int64_t now_ms, uint32_t *evicted);

/* The owner's event is durable: its mark counts from now_ms. Where the pending mark had to go meanwhile, a confirmed
 * one is inserted. */
void dedup_confirm(struct dedup *dedup, const uint64_t key[2], int64_t now_ms, uint32_t *evicted);

/* The owner's event will not be delivered: takes its pending mark away, so that a retry is new. */
void dedup_remove(struct dedup *dedup, const uint64_t key[2]);

/* Inserts a confirmed mark that is age_ms old at now_ms, unless it is marked already or outside the window. True: it
 * was inserted. */
bool dedup_restore(
    struct dedup *dedup, const uint64_t key[2], int64_t age_ms, int64_t now_ms, uint32_t *evicted);

/* Whether the key is marked now, without marking it (for duplicates that wait for their original, and `explain`). */
enum dedup_answer dedup_look(const struct dedup *dedup, const uint64_t key[2], int64_t now_ms);

void dedup_stats(const struct dedup *dedup, int64_t now_ms, struct dedup_stats *out);

#endif
