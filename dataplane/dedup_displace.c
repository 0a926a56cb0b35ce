/* SPDX-License-Identifier: BSD-3-Clause */
#include "dedup_table.h"

#include <errno.h>
#include <rte_prefetch.h>

#define NO_PARENT UINT8_MAX

/* A member that could move: `slot` of bucket `home` to some slot of bucket `target`. */
struct step {
	struct slot *slot;
	struct entry entry;
	uint64_t home, target;
	uint8_t parent; /* index of the step that would take this one's place */
};
_Static_assert(SEARCH_MAX < NO_PARENT, "steps are numbered in a byte");
_Static_assert(
    SEARCH_MAX % SEARCH_MIN == 0 && (SEARCH_MAX & (SEARCH_MAX - 1)) == 0, "doubling ends at SEARCH_MAX");

/* What is known of a search, breadth first. */
struct search {
	uint32_t n, limit;
	struct step step[SEARCH_MAX];
};

static void add_steps(const struct dedup *dedup, struct search *search, struct bucket *bucket, uint8_t parent)
{
	for (uint32_t i = 0; i < BUCKET_SLOTS && search->n < search->limit; i++) {
		struct step *step = &search->step[search->n];

		step->slot = &bucket->slot[i];
		step->entry = slot_read(step->slot); /* what gets copied must be one content */
		if (meta_state(step->entry.meta) != SLOT_MEMBER)
			continue;
		step->home = (uint64_t)(bucket - dedup->buckets);
		step->target = other_bucket(dedup, step->home, step->entry.fp);
		step->parent = parent;
		/* Not in place, and not straight back. */
		if (step->target == step->home ||
		    (parent != NO_PARENT && step->target == search->step[parent].home))
			continue;
		rte_prefetch0(&dedup->buckets[step->target]);
		search->n++;
	}
}

/*
 * Moves along the path that ends with `last`, from the free end backwards: each member is copied into the
 * place that has become available, announced, and then overwritten by the one before it; `mine` overwrites
 * the first.
 *
 * Nothing is lost when another worker interferes. A step adds one copy of a member and then removes one, its
 * original, or, when the original has gone, the copy. Equal copies are interchangeable, so at every moment
 * there is one, plus one for each addition that is not yet followed by its removal, until the mark expires or
 * is evicted. (A copy that can no longer be removed stays until it expires.)
 *
 * Nor does it escape a look, which spans two reads of the stripe. Where no move is announced between them,
 * the steps that remove a copy in that time, say p of them, had made their additions before it; 1 + p copies
 * were there at its beginning, and so one of them is there all the time.
 */
static int move(struct dedup *dedup, struct search *search, uint8_t last, struct slot *to, struct entry free,
    struct entry mine, struct slot **out)
{
	uint8_t at = last;

	if (!slot_cas(to, free, search->step[at].entry))
		return -EAGAIN;
	for (;;) {
		struct step *step = &search->step[at];
		struct entry next = step->parent == NO_PARENT ? mine : search->step[step->parent].entry;

		atomic_fetch_add(&dedup->moves[move_stripe(step->entry.fp)], 1);
		if (!slot_cas(step->slot, step->entry, next)) {
			(void)slot_cas(to, step->entry, (struct entry){0});
			return -EAGAIN;
		}
		if (step->parent == NO_PARENT) {
			*out = step->slot;
			return 0;
		}
		to = step->slot;
		at = step->parent;
	}
}

int dedup_displace(struct dedup *dedup, const struct probe *probe, struct entry mine, struct slot **out)
{
	uint32_t limit = atomic_load_explicit(&dedup->search, memory_order_relaxed);
	struct search search;

	search.n = 0;
	search.limit = limit;
	add_steps(dedup, &search, probe->bucket[0], NO_PARENT);
	if (probe->bucket[1] != probe->bucket[0])
		add_steps(dedup, &search, probe->bucket[1], NO_PARENT);
	for (uint32_t i = 0; i < search.n; i++) {
		struct bucket *bucket = &dedup->buckets[search.step[i].target];

		for (uint32_t k = 0; k < BUCKET_SLOTS; k++) {
			struct entry free = slot_peek(&bucket->slot[k]);

			if (!meta_free(dedup, free.meta, probe->oldest))
				continue;
			if (limit < SEARCH_MAX)
				atomic_store_explicit(&dedup->search, 2 * limit, memory_order_relaxed);
			return move(dedup, &search, (uint8_t)i, &bucket->slot[k], free, mine, out);
		}
		add_steps(dedup, &search, bucket, (uint8_t)i);
	}
	/* In a table that is really full a long search is wasted on every insertion. */
	if (limit > SEARCH_MIN)
		atomic_store_explicit(&dedup->search, limit / 2, memory_order_relaxed);
	return -ENOSPC;
}
