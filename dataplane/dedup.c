/* SPDX-License-Identifier: BSD-3-Clause */
#include "dedup.h"
#include "dedup_table.h"
#include "siphash.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>
#include <stdlib.h>
#include <string.h>

/*
 * Why exactly one of several workers that insert the same new key at once is told "new".
 *
 * A mark is a slot in state PENDING or MEMBER. An insertion looks for a live mark, publishes a TENTATIVE slot (once
 * per call, never a second time), looks again, and then decides:
 *   - a live mark with the key: it withdraws; duplicate of that mark;
 *   - a tentative slot with the key at a lower address: it withdraws; duplicate of that one;
 *   - tentative slots with the key at higher addresses: it turns them to COLLIDED and looks again;
 *   - otherwise it turns its own slot to PENDING. If that fails it has been beaten; duplicate of the one who
 * did it.
 *
 * Not two: let A and B both commit. Both published before they looked for the last time, and publishing is a
 * full barrier, so at least one of them, say A, saw the other's slot, which holds the key from its
 * publication on (tentative and pending slots are not moved, a member's moves are covered below). A saw a mark, and
 * withdrew; or a tentative slot at a lower address, and withdrew; or one at a higher address, and beat it, or
 * failed to because B had decided meanwhile, and looked again. In no case did both commit.
 *
 * Not none: whoever is told "duplicate" points to a mark, or to an insertion at a lower address that was
 * undecided at that moment. Addresses do not change during a call and each call publishes once, so the
 * pointers cannot form a circle; they end at a mark or at the lowest, which commits.
 *
 * A worker may be preempted anywhere. Its tentative or collided slot is not free for others, however old its
 * tick: it stays until its owner comes back, so the owner's compare-and-swap cannot meet a reused slot (ABA).
 * Others do not wait for it: insertions of the same key beat it or point to it, other keys take other slots.
 *
 * An undecided insertion counts as simultaneous whatever its tick. It published because it found no live
 * mark, so nobody becomes the duplicate of an expired mark through it, except when workers' clocks differ
 * by a window.
 *
 * A pending mark has one slot from the insertion to its end: movers take members only, and it does not expire.
 * So its owner finds it by looking at eight slots once, and ends it with one compare-and-swap, to MEMBER or to
 * EMPTY; no copy of it can be on its way elsewhere and come to light later. Nobody else changes it, except:
 *   - an eviction, where a bucket holds nothing but pending marks and undecided insertions. Then the owner finds
 *     nothing, or the pending mark of the next event that was taken for new. Confirming that one is right, as the
 *     identity is durable; its own owner finds it confirmed and leaves it. Removing it lets one more copy pass as
 *     new, as an eviction does;
 *   - nothing else.
 * The slot's fp stays while PENDING turns to MEMBER, so a look in that moment sees the one or the other. A look
 * that began before an end may answer by what was there before it.
 *
 * "Pending" is said of an undecided insertion too: it ends as a pending mark, or as the duplicate of one.
 *
 * A look is exact although members move between their two buckets: a mover makes the copy, counts the move in
 * the key's stripe, and removes the original, in this order, and a look that saw the count change starts
 * again. The argument is in dedup_displace.c.
 */

#define TRIES 256u /* lost races of one insertion, each to another worker's progress */
#define SAMPLE_BUCKETS 4096u
#define MIN_BUDGET_BYTES sizeof(struct bucket)
#define MAX_BUDGET_BYTES \
	((uint64_t)1 << 46) /* 2^40 buckets: the hash bits in meta are beyond the bucket index */
#define MIN_WINDOW_MS (1 << TICK_SHIFT)
#define MAX_WINDOW_MS ((int64_t)366 * 24 * 3600 * 1000)

/* Clocks may lag by a window (a replay of older events) and a minute (anything else). */
static uint32_t live_ticks(int64_t window_ms)
{
	return (uint32_t)(2 * (window_ms >> TICK_SHIFT) + (60000 >> TICK_SHIFT));
}

int dedup_create(uint64_t budget_bytes, int64_t window_ms, const uint8_t secret[16], int node,
    enum hugepages mode, struct dedup **out, struct error *err)
{
	struct dedup *dedup;
	int rc;

	*out = NULL;
	if (window_ms < MIN_WINDOW_MS || window_ms > MAX_WINDOW_MS)
		return error_set(err, -EINVAL,
		    "a dedup window of %" PRId64 " ms: %d ms to 366 days are possible", window_ms,
		    MIN_WINDOW_MS);
	if (budget_bytes < MIN_BUDGET_BYTES || budget_bytes > MAX_BUDGET_BYTES)
		return error_set(err, -EINVAL,
		    "a dedup budget of %" PRIu64 " bytes: %zu bytes to %" PRIu64 " are possible",
		    budget_bytes, MIN_BUDGET_BYTES, MAX_BUDGET_BYTES);
	dedup = aligned_alloc(_Alignof(struct dedup), sizeof(*dedup));
	if (dedup == NULL)
		return error_set(err, -ENOMEM, "no memory for a dedup table");
	memset(dedup, 0, sizeof(*dedup));
	dedup->n_buckets = budget_bytes / sizeof(struct bucket);
	dedup->window_ms = window_ms;
	dedup->live_ticks = live_ticks(window_ms);
	memcpy(dedup->secret, secret, sizeof(dedup->secret));
	atomic_init(&dedup->newest_evicted_ms, INT64_MIN);
	atomic_init(&dedup->search, SEARCH_MAX);
	rc = hugemem_alloc(dedup->n_buckets * sizeof(struct bucket), node, mode, &dedup->memory, err);
	if (rc != 0) {
		dedup_destroy(dedup);
		return error_prefix(err, rc, "dedup table of %" PRIu64 " bytes", budget_bytes);
	}
	dedup->buckets = dedup->memory.address;
	*out = dedup;
	return 0;
}

void dedup_destroy(struct dedup *dedup)
{
	if (dedup == NULL)
		return;
	hugemem_free(&dedup->memory);
	explicit_bzero(dedup->secret, sizeof(dedup->secret));
	free(dedup);
}

void dedup_hash(const struct dedup *dedup, const void *identity, size_t len, uint64_t key[2])
{
	siphash13_128(dedup->secret, identity, len, key);
}

void dedup_hash_refused(const struct dedup *dedup, const void *bytes, size_t len, uint64_t key[2])
{
	siphash13_128(dedup->secret, bytes, len, key);
	/* Another function of the bytes, and as little to be foreseen: both words move the bucket. */
	key[0] ^= UINT64_C(0x5265667573656421);
	key[1] = ~key[1];
}

void dedup_prefetch(const struct dedup *dedup, const uint64_t key[2])
{
	uint64_t first = range(key[0], dedup->n_buckets);

	/* Into L2: for a burst of random lines that is faster than into L1, and other stages may run in
	 * between. */
	rte_prefetch1(&dedup->buckets[first]);
	rte_prefetch1(&dedup->buckets[other_bucket(dedup, first, key[1])]);
}

static inline struct probe probe_make(const struct dedup *dedup, const uint64_t key[2], int64_t now_ms)
{
	uint64_t first = range(key[0], dedup->n_buckets);

	return (struct probe){
	    .bucket = {&dedup->buckets[first], &dedup->buckets[other_bucket(dedup, first, key[1])]},
	    .fp = key[1],
	    .tag = key[0] << 40,
	    .tick = (uint32_t)(now_ms >> TICK_SHIFT),
	    /* A mark is as old as the beginning of its tick, so that it never lives too long. */
	    .oldest = (uint32_t)((now_ms - dedup->window_ms) >> TICK_SHIFT) + 1,
	};
}

/* Bit i: slot i may hold the key. */
static inline uint32_t bucket_matches(const struct bucket *bucket, uint64_t fp)
{
	uint32_t match = 0;

#pragma GCC unroll 4
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		match |= (uint32_t)(atomic_load_explicit(&bucket->slot[i].fp, memory_order_seq_cst) == fp)
		         << i;
	return match;
}

static inline uint32_t probe_matches(const struct probe *probe)
{
	return bucket_matches(probe->bucket[0], probe->fp) | bucket_matches(probe->bucket[1], probe->fp)
	                                                         << BUCKET_SLOTS;
}

static inline struct slot *probe_slot(const struct probe *probe, uint32_t i)
{
	return &probe->bucket[i / BUCKET_SLOTS]->slot[i % BUCKET_SLOTS];
}

static inline uint32_t bucket_free(const struct dedup *dedup, const struct bucket *bucket, uint32_t oldest)
{
	uint32_t free = 0;

#pragma GCC unroll 4
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
		uint64_t meta = atomic_load_explicit(&bucket->slot[i].meta, memory_order_relaxed);

		free |= (uint32_t)meta_free(dedup, meta, oldest) << i;
	}
	return free;
}

/* What holds the key besides `own`. */
struct sighting {
	bool member;        /* live */
	bool pending;       /* an event in flight */
	bool before;        /* an undecided insertion at a lower address */
	struct slot *after; /* one at a higher address, or NULL */
	struct entry after_is;
};

static void sight(const struct dedup *dedup, const struct probe *probe, struct slot *slot,
    const struct slot *own, struct sighting *out)
{
	struct entry entry = slot_read(slot);

	if (slot == own || entry.fp != probe->fp || entry.meta >> 40 != probe->tag >> 40)
		return;
	switch (meta_state(entry.meta)) {
	case SLOT_MEMBER:
		out->member |= !meta_expired(dedup, entry.meta, probe->oldest);
		return;
	case SLOT_PENDING:
		out->pending = true;
		return;
	case SLOT_TENTATIVE:
		if (slot < own) {
			out->before = true;
		} else {
			out->after = slot;
			out->after_is = entry;
		}
		return;
	case SLOT_EMPTY:
	case SLOT_COLLIDED:
		return;
	}
}

/* Looks at the slots of `match` (bits 0-3 in the first bucket, 4-7 in the second) more closely, and again
 * from the beginning where a member may have moved meanwhile. */
static __attribute__((noinline)) struct sighting look_closely(const struct dedup *dedup,
    const struct probe *probe, const struct slot *own, uint32_t match, uint32_t moves)
{
	const _Atomic uint32_t *stripe = &dedup->moves[move_stripe(probe->fp)];

	for (;;) {
		struct sighting sighting = {0};
		uint32_t now;

		for (; match != 0; match &= match - 1) {
			uint32_t i = (uint32_t)__builtin_ctz(match);

			sight(dedup, probe, probe_slot(probe, i), own, &sighting);
		}
		now = atomic_load_explicit(stripe, memory_order_seq_cst);
		if (now == moves || sighting.member || sighting.pending)
			return sighting;
		moves = now;
		match = probe_matches(probe);
	}
}

/* Everything that holds the key, except the slot `own` that this call has published (NULL: none yet). */
static inline struct sighting look(
    const struct dedup *dedup, const struct probe *probe, const struct slot *own)
{
	const _Atomic uint32_t *stripe = &dedup->moves[move_stripe(probe->fp)];
	uint32_t moves = atomic_load_explicit(stripe, memory_order_seq_cst);
	uint32_t match = probe_matches(probe);

	/* Its own slot matches always. */
	if (likely(__builtin_popcount(match) == (own != NULL) &&
	           atomic_load_explicit(stripe, memory_order_seq_cst) == moves))
		return (struct sighting){0};
	return look_closely(dedup, probe, own, match, moves);
}

/* Notes that the mark of `tick` has gone before its time. */
static void note_eviction(struct dedup *dedup, uint32_t tick, int64_t now_ms, uint32_t *evicted)
{
	int64_t now_tick = now_ms >> TICK_SHIFT;
	int64_t mark_tick = now_tick + (int32_t)(tick - (uint32_t)now_tick);
	int64_t end_ms = mark_tick * (1 << TICK_SHIFT) + (1 << TICK_SHIFT) - 1;
	int64_t newest = atomic_load_explicit(&dedup->newest_evicted_ms, memory_order_relaxed);

	while (newest < end_ms && !atomic_compare_exchange_weak_explicit(&dedup->newest_evicted_ms, &newest,
	                              end_ms, memory_order_relaxed, memory_order_relaxed))
		;
	atomic_fetch_add_explicit(&dedup->evicted, 1, memory_order_relaxed);
	++*evicted;
}

/* Overwrites the oldest member of the two buckets, or the oldest pending mark if there is no member. NULL: it has
 * just changed, or all slots hold undecided insertions. */
static struct slot *evict(
    struct dedup *dedup, const struct probe *probe, struct entry mine, int64_t now_ms, uint32_t *evicted)
{
	struct slot *oldest = NULL;
	struct entry victim = {0};

	for (uint32_t i = 0; i < 2 * BUCKET_SLOTS; i++) {
		struct slot *slot = probe_slot(probe, i);
		struct entry entry = slot_peek(slot);
		bool older = (int32_t)((uint32_t)entry.meta - (uint32_t)victim.meta) < 0;

		if (meta_state(entry.meta) != SLOT_MEMBER && meta_state(entry.meta) != SLOT_PENDING)
			continue;
		/* A member goes before any pending mark. */
		if (oldest != NULL && meta_state(entry.meta) != meta_state(victim.meta))
			older = meta_state(entry.meta) == SLOT_MEMBER;
		if (oldest == NULL || older) {
			oldest = slot;
			victim = entry;
		}
	}
	if (oldest == NULL || !slot_cas(oldest, victim, mine))
		return NULL;
	note_eviction(dedup, (uint32_t)victim.meta, now_ms, evicted);
	return oldest;
}

/* Puts `mine` into one of the two buckets. NULL: lost a race, look again. */
static inline struct slot *publish(
    struct dedup *dedup, const struct probe *probe, struct entry mine, int64_t now_ms, uint32_t *evicted)
{
	uint32_t free[2] = {bucket_free(dedup, probe->bucket[0], probe->oldest),
	    bucket_free(dedup, probe->bucket[1], probe->oldest)};
	/* The emptier bucket, so that both rarely fill up. */
	int choice = __builtin_popcount(free[1]) > __builtin_popcount(free[0]);
	struct slot *slot;
	struct entry content;
	int rc;

	if (free[choice] != 0) {
		slot = &probe->bucket[choice]->slot[__builtin_ctz(free[choice])];
		content = slot_peek(slot);
		return meta_free(dedup, content.meta, probe->oldest) && slot_cas(slot, content, mine) ? slot
		                                                                                      : NULL;
	}
	rc = dedup_displace(dedup, probe, mine, &slot);
	if (rc == -ENOSPC)
		return evict(dedup, probe, mine, now_ms, evicted);
	return rc == 0 ? slot : NULL;
}

static inline enum dedup_answer sighting_answer(const struct sighting *sighting)
{
	if (sighting->member)
		return DEDUP_DUPLICATE;
	return sighting->pending ? DEDUP_DUPLICATE_PENDING : DEDUP_NEW;
}

/* Decides a published insertion. */
static inline enum dedup_answer settle(
    struct dedup *dedup, const struct probe *probe, struct slot *own, struct entry mine)
{
	struct entry decided = {mine.fp, meta_make(probe->tag, SLOT_PENDING, probe->tick)};
	struct entry collided = {mine.fp, meta_make(probe->tag, SLOT_COLLIDED, probe->tick)};
	struct sighting other = look(dedup, probe, own);

	while (sighting_answer(&other) == DEDUP_NEW && !other.before && other.after != NULL) {
		struct entry beaten = other.after_is;

		beaten.meta = meta_make(probe->tag, SLOT_COLLIDED, (uint32_t)beaten.meta);
		(void)slot_cas(other.after, other.after_is, beaten);
		other = look(dedup, probe, own);
	}
	if (sighting_answer(&other) == DEDUP_NEW && !other.before && slot_cas(own, mine, decided))
		return DEDUP_NEW;
	/* The slot is ours, tentative or collided, until we empty it. */
	if (!slot_cas(own, mine, (struct entry){0}))
		(void)slot_cas(own, collided, (struct entry){0});
	return other.member ? DEDUP_DUPLICATE : DEDUP_DUPLICATE_PENDING;
}

enum dedup_answer dedup_test_and_insert(
    struct dedup *dedup, const uint64_t key[2], int64_t now_ms, uint32_t *evicted)
{
	struct probe probe = probe_make(dedup, key, now_ms);
	struct entry mine = {probe.fp, meta_make(probe.tag, SLOT_TENTATIVE, probe.tick)};

	for (uint32_t i = 0; i < TRIES; i++) {
		struct sighting sighting = look(dedup, &probe, NULL);
		struct slot *own;

		if (sighting_answer(&sighting) != DEDUP_NEW)
			return sighting_answer(&sighting);
		own = publish(dedup, &probe, mine, now_ms, evicted);
		if (own != NULL)
			return settle(dedup, &probe, own, mine);
	}
	/* Every slot is in the hands of other workers. The event passes unmarked, which is as good as
	 * evicted. */
	note_eviction(dedup, probe.tick, now_ms, evicted);
	return DEDUP_NEW;
}

/* Ends a pending mark of the key, if there is one. */
static bool end_pending(const struct probe *probe, struct entry with)
{
	for (;;) {
		uint32_t match = probe_matches(probe);
		bool changed = false;

		for (; match != 0; match &= match - 1) {
			struct slot *slot = probe_slot(probe, (uint32_t)__builtin_ctz(match));
			struct entry entry = slot_read(slot);

			if (entry.fp != probe->fp || entry.meta >> 40 != probe->tag >> 40 ||
			    meta_state(entry.meta) != SLOT_PENDING)
				continue;
			if (slot_cas(slot, entry, with))
				return true;
			changed = true; /* evicted this moment; perhaps it is pending elsewhere by now */
		}
		if (!changed)
			return false;
	}
}

/* A confirmed mark, without the protocol above: a second copy of it says nothing else than the first. */
static bool insert_member(
    struct dedup *dedup, const struct probe *probe, uint32_t tick, int64_t now_ms, uint32_t *evicted)
{
	struct entry member = {probe->fp, meta_make(probe->tag, SLOT_MEMBER, tick)};

	for (uint32_t i = 0; i < TRIES; i++) {
		struct sighting sighting = look(dedup, probe, NULL);

		if (sighting_answer(&sighting) != DEDUP_NEW)
			return false;
		if (publish(dedup, probe, member, now_ms, evicted) != NULL)
			return true;
	}
	note_eviction(dedup, tick, now_ms, evicted);
	return false;
}

void dedup_confirm(struct dedup *dedup, const uint64_t key[2], int64_t now_ms, uint32_t *evicted)
{
	struct probe probe = probe_make(dedup, key, now_ms);
	struct entry member = {probe.fp, meta_make(probe.tag, SLOT_MEMBER, probe.tick)};

	if (unlikely(!end_pending(&probe, member)))
		(void)insert_member(dedup, &probe, probe.tick, now_ms, evicted);
}

void dedup_remove(struct dedup *dedup, const uint64_t key[2])
{
	struct probe probe = probe_make(dedup, key, 0);

	(void)end_pending(&probe, (struct entry){0});
}

bool dedup_restore(
    struct dedup *dedup, const uint64_t key[2], int64_t age_ms, int64_t now_ms, uint32_t *evicted)
{
	struct probe probe = probe_make(dedup, key, now_ms);
	uint32_t tick = (uint32_t)((now_ms - age_ms) >> TICK_SHIFT);

	if (age_ms >= dedup->window_ms || tick - probe.oldest >= dedup->live_ticks)
		return false;
	return insert_member(dedup, &probe, tick, now_ms, evicted);
}

enum dedup_answer dedup_look(const struct dedup *dedup, const uint64_t key[2], int64_t now_ms)
{
	struct probe probe = probe_make(dedup, key, now_ms);
	struct sighting sighting = look(dedup, &probe, NULL);

	return sighting_answer(&sighting);
}

void dedup_stats(const struct dedup *dedup, int64_t now_ms, struct dedup_stats *out)
{
	uint64_t sample = dedup->n_buckets < SAMPLE_BUCKETS ? dedup->n_buckets : SAMPLE_BUCKETS;
	int64_t newest_evicted_ms = atomic_load_explicit(&dedup->newest_evicted_ms, memory_order_relaxed);
	uint32_t oldest = (uint32_t)((now_ms - dedup->window_ms) >> TICK_SHIFT) + 1;
	uint64_t live = 0;

	/* Buckets are chosen by hash, so evenly spaced ones are a fair sample. */
	for (uint64_t i = 0; i < sample; i++) {
		const struct bucket *bucket =
		    &dedup->buckets[(uint64_t)((unsigned __int128)i * dedup->n_buckets / sample)];

		live += BUCKET_SLOTS - (uint32_t)__builtin_popcount(bucket_free(dedup, bucket, oldest));
	}
	out->slots = dedup->n_buckets * BUCKET_SLOTS;
	out->load = (double)live / (double)(sample * BUCKET_SLOTS);
	out->entries = (uint64_t)(out->load * (double)out->slots + 0.5);
	out->evicted = atomic_load_explicit(&dedup->evicted, memory_order_relaxed);
	out->window_ms = dedup->window_ms;
	out->covered_ms = dedup->window_ms;
	if (newest_evicted_ms > now_ms - dedup->window_ms)
		out->covered_ms = now_ms > newest_evicted_ms ? now_ms - newest_evicted_ms : 0;
	out->alarm = out->covered_ms < out->window_ms;
}
