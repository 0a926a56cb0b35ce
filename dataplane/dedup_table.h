/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a dedup table, shared by dedup.c (the protocol) and dedup_displace.c (making room). Private
 * to them.
 *
 * A slot changes only by a 16-byte compare-and-swap. It is read as two 8-byte loads, which may belong to two
 * different contents; who acts on what was read either compares-and-swaps it (a torn value fails) or reads
 * `meta` again behind `fp` (slot_read()).
 */
#ifndef PENSTOCK_DEDUP_TABLE_H
#define PENSTOCK_DEDUP_TABLE_H

#include "hugemem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUCKET_SLOTS 4u
#define TICK_SHIFT 6 /* a tick is 64 ms: 32 bits of them last 8.7 years */
#define MOVE_STRIPES 1024u
#define SEARCH_MIN 8u /* buckets looked at to make room: at least where the candidates could go */
#define SEARCH_MAX 128u

enum slot_state {
	SLOT_EMPTY = 0,
	SLOT_TENTATIVE = 1, /* an insertion that is not decided; belongs to the worker that put it there */
	SLOT_COLLIDED = 2,  /* the same, beaten by another worker's insertion of the same key */
	SLOT_MEMBER = 3,    /* a durable event's mark */
	SLOT_PENDING = 4,   /* the mark of an event that is not durable yet: neither moves nor expires */
};

/* meta: 24 bits of the hash | 8 bits of enum slot_state | 32 bits of tick. */
struct entry {
	uint64_t fp, meta;
};

struct slot {
	_Alignas(16) _Atomic uint64_t fp; /* workers: rw, control: ro */
	_Atomic uint64_t meta;            /* workers: rw, control: ro */
};
_Static_assert(sizeof(struct slot) == 16 && _Alignof(struct slot) == 16, "one compare-and-swap, one slot");

struct bucket {
	_Alignas(64) struct slot slot[BUCKET_SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "one cache line, one bucket");

struct dedup {
	struct bucket *buckets;
	uint64_t n_buckets;
	int64_t window_ms;
	uint32_t live_ticks; /* ticks from the oldest live one to the newest that is believed */
	uint8_t secret[16];
	struct hugemem memory;
	_Alignas(64) _Atomic uint64_t evicted; /* workers: rw, control: ro */
	_Atomic int64_t
	    newest_evicted_ms;   /* workers: rw, control: ro; no mark younger than this was evicted */
	_Atomic uint32_t search; /* workers: rw; buckets looked at to make room */
	/* workers: rw. Counts the moves of entries whose fp falls into the stripe, each between the
	 * appearance of the copy and the disappearance of the original. */
	_Alignas(64) _Atomic uint32_t moves[MOVE_STRIPES];
};

/* A key's place, and the time it is looked at. */
struct probe {
	struct bucket *bucket[2];
	uint64_t fp;
	uint64_t tag;    /* as in meta, the other bits 0 */
	uint32_t tick;   /* now */
	uint32_t oldest; /* the first tick that is still inside the window */
};

static inline enum slot_state meta_state(uint64_t meta)
{
	return (enum slot_state)(meta >> 32 & 0xff);
}

static inline uint64_t meta_make(uint64_t tag, enum slot_state state, uint32_t tick)
{
	return tag | (uint64_t)state << 32 | tick;
}

/* A member outside the window. Ticks count modulo 2^32; one that is ahead of this worker's clock is live.
 * These two have no branches, which nobody could predict. */
static inline bool meta_expired(const struct dedup *dedup, uint64_t meta, uint32_t oldest)
{
	return (int)(meta_state(meta) == SLOT_MEMBER) & (int)((uint32_t)meta - oldest >= dedup->live_ticks);
}

/* May be overwritten by anybody. */
static inline bool meta_free(const struct dedup *dedup, uint64_t meta, uint32_t oldest)
{
	return (int)(meta_state(meta) == SLOT_EMPTY) | (int)meta_expired(dedup, meta, oldest);
}

/* Maps a 64-bit hash to [0, n) without a division. */
static inline uint64_t range(uint64_t hash, uint64_t n)
{
	return (uint64_t)((unsigned __int128)hash * n >> 64);
}

/* The other bucket of an entry, from what its slot holds: the two indexes add up to range(fp) modulo n, so
 * this is its own inverse for any n. */
static inline uint64_t other_bucket(const struct dedup *dedup, uint64_t bucket, uint64_t fp)
{
	uint64_t sum = range(fp, dedup->n_buckets);

	return sum >= bucket ? sum - bucket : sum + dedup->n_buckets - bucket;
}

static inline uint32_t move_stripe(uint64_t fp)
{
	return (uint32_t)(fp % MOVE_STRIPES);
}

/* Possibly torn: only as the expectation of a compare-and-swap. */
static inline struct entry slot_peek(const struct slot *slot)
{
	struct entry entry;

	entry.meta = atomic_load_explicit(&slot->meta, memory_order_seq_cst);
	entry.fp = atomic_load_explicit(&slot->fp, memory_order_seq_cst);
	return entry;
}

/* The content of one moment. To be deceived, `meta` must leave and come back between three loads with the
 * same hash bits, state and tick. */
static inline struct entry slot_read(const struct slot *slot)
{
	struct entry entry = slot_peek(slot);
	uint64_t meta = atomic_load_explicit(&slot->meta, memory_order_seq_cst);

	while (meta != entry.meta) {
		entry = slot_peek(slot);
		meta = atomic_load_explicit(&slot->meta, memory_order_seq_cst);
	}
	return entry;
}

#ifndef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16
#error "cmpxchg16b is needed: build for x86-64-v2 or newer"
#endif

/* The __sync form, because gcc calls a library for the __atomic one. Both compilers show it to TSan. */
static inline bool slot_cas(struct slot *slot, struct entry expected, struct entry desired)
{
	unsigned __int128 from = (unsigned __int128)expected.meta << 64 | expected.fp;
	unsigned __int128 to = (unsigned __int128)desired.meta << 64 | desired.fp;

	return __sync_bool_compare_and_swap((unsigned __int128 *)slot, from, to);
}

/* dedup_displace.c. Makes room in one of the two buckets by moving members to their other buckets, and puts
 * `mine` there. 0: *out is its slot; -ENOSPC: nothing can move; -EAGAIN: another worker came between, look
 * again. */
int dedup_displace(struct dedup *dedup, const struct probe *probe, struct entry mine, struct slot **out);

#endif
