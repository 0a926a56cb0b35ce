/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/dim_index.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_MOVES 4096u
#define AHEAD 16u /* entries between a prefetch and its use */

/* While rows are being placed an entry's ref is the row's number in the index plus one, because to move a row
 * its hash is needed; resolve() replaces it by the row's ref at the end. */
struct placement {
	const struct dim_index *index;
	struct dimension_bucket *buckets;
	uint64_t n_buckets;
	uint64_t random; /* the same walk in every run */
	dim_index_same_key *same_key;
	void *context;
};

int dim_index_add(struct dim_index *index, uint64_t hash, uint32_t ref, uint64_t line)
{
	if (index->n >= UINT32_MAX - 1)
		return -EFBIG;
	if (index->n == index->capacity) {
		size_t capacity = index->capacity == 0 ? 4096 : index->capacity * 2;
		struct dim_index_entry *larger = realloc(index->entries, capacity * sizeof(*larger));

		if (larger == NULL)
			return -ENOMEM;
		index->entries = larger;
		index->capacity = capacity;
	}
	index->entries[index->n++] = (struct dim_index_entry){
	    .hash = hash, .ref = ref, .line = line < UINT32_MAX ? (uint32_t)line : UINT32_MAX};
	return 0;
}

void dim_index_free(struct dim_index *index)
{
	free(index->entries);
	*index = (struct dim_index){0};
}

uint64_t dim_index_buckets(size_t n)
{
	return n == 0 ? 1 : (n + 3) / 4;
}

static struct dimension_bucket *first_bucket(const struct placement *p, uint64_t hash)
{
	return &p->buckets[dimension_first(hash, p->n_buckets)];
}

static struct dimension_bucket *second_bucket(const struct placement *p, uint64_t hash)
{
	return &p->buckets[dimension_second(hash, p->n_buckets)];
}

/* 1 if row i's key is in the bucket already. */
static int find_duplicate(
    const struct placement *p, const struct dimension_bucket *bucket, size_t i, size_t duplicate[2])
{
	const struct dim_index_entry *entry = &p->index->entries[i];
	uint32_t match = dimension_match(bucket, dimension_tag(entry->hash));

	for (; match != 0; match &= match - 1) {
		size_t other = bucket->entry[__builtin_ctz(match)].ref - 1;
		int same;

		if (p->index->entries[other].hash != entry->hash)
			continue;
		same = p->same_key(p->context, p->index->entries[other].ref, entry->ref);
		if (same > 0) {
			duplicate[0] = other;
			duplicate[1] = i;
		}
		if (same != 0)
			return same;
	}
	return 0;
}

static bool put(struct dimension_bucket *bucket, uint32_t tag, uint32_t ref)
{
	for (unsigned int i = 0; i < 8; i++) {
		if (bucket->entry[i].ref == 0) {
			bucket->entry[i] = (struct dimension_entry){tag, ref};
			return true;
		}
	}
	return false;
}

/* Both buckets of the row are full: takes another's place, which goes to its other bucket, and so on. Every
 * bucket on the way is full and stays so. A row on its way out of its second bucket finds its first full,
 * because that is why it had left. */
static int move_others(struct placement *p, struct dimension_bucket *bucket, uint32_t ref)
{
	for (unsigned int moves = 0; moves < MAX_MOVES; moves++) {
		struct dimension_entry *victim;
		uint64_t hash = p->index->entries[ref - 1].hash;
		struct dimension_entry moved;

		p->random = p->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		victim = &bucket->entry[p->random >> 61];
		moved = *victim;
		*victim = (struct dimension_entry){dimension_tag(hash), ref};
		ref = moved.ref;
		hash = p->index->entries[ref - 1].hash;
		bucket = bucket == first_bucket(p, hash) ? second_bucket(p, hash) : first_bucket(p, hash);
		if (put(bucket, moved.tag, ref))
			return 0;
	}
	return -ENOSPC;
}

static int place(struct placement *p, size_t i, size_t duplicate[2])
{
	uint64_t hash = p->index->entries[i].hash;
	uint32_t tag = dimension_tag(hash), ref = (uint32_t)i + 1;
	struct dimension_bucket *bucket = first_bucket(p, hash);
	int rc = find_duplicate(p, bucket, i, duplicate);

	if (rc != 0)
		return rc < 0 ? rc : -EEXIST;
	if (put(bucket, tag, ref))
		return 0;
	bucket = second_bucket(p, hash);
	rc = find_duplicate(p, bucket, i, duplicate);
	if (rc != 0)
		return rc < 0 ? rc : -EEXIST;
	if (put(bucket, tag, ref))
		return 0;
	return move_others(p, first_bucket(p, hash), ref);
}

static void resolve(struct placement *p)
{
	for (uint64_t i = 0; i < p->n_buckets; i++) {
		const struct dimension_bucket *ahead =
		    &p->buckets[i + AHEAD / 4 < p->n_buckets ? i + AHEAD / 4 : i];

		for (unsigned int j = 0; j < 8 && ahead->entry[j].ref != 0 && ahead != &p->buckets[i]; j++)
			__builtin_prefetch(&p->index->entries[ahead->entry[j].ref - 1]);
		for (unsigned int j = 0; j < 8 && p->buckets[i].entry[j].ref != 0; j++)
			p->buckets[i].entry[j].ref = p->index->entries[p->buckets[i].entry[j].ref - 1].ref;
	}
}

int dim_index_place(const struct dim_index *index, struct dimension_bucket *buckets, uint64_t n_buckets,
    dim_index_same_key *same_key, void *context, size_t duplicate[2])
{
	struct placement p = {.index = index,
	    .buckets = buckets,
	    .n_buckets = n_buckets,
	    .same_key = same_key,
	    .context = context};

	for (size_t i = 0; i < index->n; i++) {
		int rc;

		if (i + AHEAD < index->n)
			__builtin_prefetch(first_bucket(&p, index->entries[i + AHEAD].hash));
		rc = place(&p, i, duplicate);
		if (rc != 0)
			return rc;
	}
	resolve(&p);
	return 0;
}
