/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dedup window: which identities were seen within the last `window`.
 *
 * A cuckoo table of 64-byte buckets of four 16-byte slots; every identity has two buckets. One table per stream,
 * shared by all workers without locks: a slot changes only by a 16-byte compare-and-swap, and an insertion goes
 * through a tentative state that settles two workers inserting the same identity at once (exactly one of them is
 * told "new"). A slot holds 88 bits of a keyed hash beyond the bucket index, so two different identities are
 * taken for one with odds below 8 * 2^-88 per event; the key is random and secret.
 *
 * Entries expire where they are met; there is no sweep and there are no deletes. When both buckets and the
 * displacement path are full of live entries the oldest is overwritten: the event passes as new (never a wrong
 * drop), the window is then shorter than configured, and dedup_stats() says so.
 *
 * Time is kept in ticks of 64 ms. A mark lives at most window_ms and at least window_ms less one tick, by the clock of
 * whoever asks; one that is ahead of that clock, by up to a window and a minute, is live.
 *
 * Threads: dedup_stats() from the control thread at any time; everything between create and destroy from workers.
 * Cost: two prefetched cache lines per event and two locked instructions per new one. No allocation, no system call.
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

/* Starts the memory accesses for a key. Issue for the whole burst before the first dedup_test_and_insert(). */
void dedup_prefetch(const struct dedup *dedup, const uint64_t key[2]);

/* True if the key was seen less than window_ms before now_ms. Otherwise marks it and returns false. A duplicate
 * does not extend the mark's life. *evicted is incremented if a live entry had to go. */
bool dedup_test_and_insert(struct dedup *dedup, const uint64_t key[2], int64_t now_ms, uint32_t *evicted);

/* Whether the key is marked now, without marking it (for `penstock explain` and tests). */
bool dedup_contains(const struct dedup *dedup, const uint64_t key[2], int64_t now_ms);

void dedup_stats(const struct dedup *dedup, int64_t now_ms, struct dedup_stats *out);

#endif
