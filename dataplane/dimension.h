/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dimension snapshot: an immutable table from a string key to a JSON object, ready to be spliced into an
 * event.
 *
 * The file format is docs/dimension-format.md: a fixed preamble, a FlatBuffers header
 * (flatbuffers/dimension.fbs) that is opened only through the Verifier, and checksummed sections for buckets
 * and rows. dimension_load() checks all of it, then copies buckets and rows into hugepages of a node.
 *
 * A bucket is one cache line of eight (32-bit tag, 32-bit row reference) pairs; a key lives in its first
 * bucket, or in its second when the first is full. A row is the key's bytes and the JSON text, together on as
 * few lines as possible, and the key is always compared. Lookups go in three steps over a burst, so that each
 * memory access is prefetched before it is needed: dimension_prefetch(), dimension_probe(), dimension_row().
 *
 * Threads: load and free on the control thread; lookups on any number of workers. A worker may use a snapshot
 * between two of its quiescent states only.
 */
#ifndef PENSTOCK_DIMENSION_H
#define PENSTOCK_DIMENSION_H

#include "error.h"
#include "hugemem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define DIMENSION_MAX_KEY 1024u
#define DIMENSION_MAX_ROW 65535u /* bytes of JSON */

struct dimension_row {
	uint32_t json_len;
	uint16_t key_len;
	uint16_t reserved;
	char bytes[]; /* key, then JSON */
};

struct dimension_entry {
	uint32_t tag;
	uint32_t ref; /* row offset in units of 8 bytes, plus one; 0: empty */
};

struct dimension_bucket {
	struct dimension_entry entry[8];
};
_Static_assert(sizeof(struct dimension_bucket) == 64, "one bucket, one cache line");

struct dimension {
	const struct dimension_bucket *buckets;
	const uint8_t *rows;
	uint64_t n_buckets;
	uint64_t n_rows;
	uint64_t seed;
	uint32_t max_row_bytes; /* of JSON, over all rows: bounds what a lookup can add to an event */
	char name[64];
	char version[64]; /* as the builder named it */
	uint64_t file_bytes;
	int64_t built_ms; /* when the file was built, Unix epoch */
	uint64_t rows_bytes;
	uint32_t prefetch_lines; /* cache lines of a row worth prefetching */
	struct hugemem memory;
};

/* Opens, verifies and copies a snapshot file. 0, or -errno with the file and what is wrong with it: -EBADMSG
 * for a damaged file, -EPROTONOSUPPORT for another format version, -ENOMEM, or the errno of reading it. */
int dimension_load(
    const char *path, int node, enum hugepages mode, struct dimension **out, struct error *err);
void dimension_free(struct dimension *dimension);

/* Hash of a key (XXH3-64 with the snapshot's seed). */
uint64_t dimension_hash(const struct dimension *dimension, const char *key, uint32_t len);

/* Where a hash belongs. The tag is never 0, so that an empty entry matches nothing. */
static inline uint32_t dimension_tag(uint64_t hash)
{
	uint32_t tag = (uint32_t)hash;

	return tag + (tag == 0);
}

static inline uint64_t dimension_first(uint64_t hash, uint64_t n_buckets)
{
	return (uint64_t)(((unsigned __int128)hash * n_buckets) >> 64);
}

static inline uint64_t dimension_second(uint64_t hash, uint64_t n_buckets)
{
	return dimension_first(hash * UINT64_C(0x9e3779b97f4a7c15), n_buckets);
}

/* Entries fill a bucket from the front. */
static inline bool dimension_bucket_full(const struct dimension_bucket *bucket)
{
	return bucket->entry[7].ref != 0;
}

/* Bit i: entry i has the tag. */
static inline uint32_t dimension_match(const struct dimension_bucket *bucket, uint32_t tag)
{
#ifdef __SSE2__
	const __m128i *pair = (const __m128i *)bucket;
	const __m128i wanted = _mm_set1_epi32((int)tag);
	__m128 a = _mm_castsi128_ps(_mm_load_si128(&pair[0])), b = _mm_castsi128_ps(_mm_load_si128(&pair[1]));
	__m128 c = _mm_castsi128_ps(_mm_load_si128(&pair[2])), d = _mm_castsi128_ps(_mm_load_si128(&pair[3]));
	__m128i low = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
	__m128i high = _mm_castps_si128(_mm_shuffle_ps(c, d, _MM_SHUFFLE(2, 0, 2, 0)));
	__m128i words = _mm_packs_epi32(_mm_cmpeq_epi32(low, wanted), _mm_cmpeq_epi32(high, wanted));

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128()));
#else
	uint32_t match = 0;

	for (uint32_t i = 0; i < 8; i++)
		match |= (uint32_t)(bucket->entry[i].tag == tag) << i;
	return match;
#endif
}

/* Prefetches the first bucket. Into L2, like the rows: a burst of joins is more than L1 holds. */
static inline void dimension_prefetch(const struct dimension *dimension, uint64_t hash)
{
	__builtin_prefetch(&dimension->buckets[dimension_first(hash, dimension->n_buckets)], 0, 2);
}

static inline const struct dimension_row *dimension_row_at(const struct dimension *dimension, uint32_t ref)
{
	return (const struct dimension_row *)(dimension->rows + (uint64_t)(ref - 1) * 8);
}

/* Looks for the tag and prefetches the row that will most likely match. Returns that row's ref, or 0 if no
 * bucket holds the tag (a sure miss). */
static inline uint32_t dimension_probe(const struct dimension *dimension, uint64_t hash)
{
	const struct dimension_bucket *bucket =
	    &dimension->buckets[dimension_first(hash, dimension->n_buckets)];
	uint32_t tag = dimension_tag(hash);
	uint32_t match = dimension_match(bucket, tag);
	uint32_t ref;

	if (match == 0) {
		if (!dimension_bucket_full(bucket))
			return 0;
		bucket = &dimension->buckets[dimension_second(hash, dimension->n_buckets)];
		match = dimension_match(bucket, tag);
		if (match == 0)
			return 0;
	}
	ref = bucket->entry[__builtin_ctz(match)].ref;
	for (uint32_t line = 0; line < dimension->prefetch_lines; line++)
		__builtin_prefetch(
		    (const uint8_t *)dimension_row_at(dimension, ref) + (size_t)line * 64, 0, 2);
	return ref;
}

/* Keys are short: two overlapping loads settle most of them without a call. */
static inline bool dimension_key_equal(const char *a, const char *b, uint32_t len)
{
	uint64_t a_start, a_end, b_start, b_end;

	if (len < 8 || len > 16)
		return memcmp(a, b, len) == 0;
	memcpy(&a_start, a, 8);
	memcpy(&b_start, b, 8);
	memcpy(&a_end, a + len - 8, 8);
	memcpy(&b_end, b + len - 8, 8);
	return ((a_start ^ b_start) | (a_end ^ b_end)) == 0;
}

/* What dimension_row() does when the likely row has another key: looks at every row with the tag. */
const char *dimension_row_other(
    const struct dimension *dimension, uint64_t hash, const char *key, uint32_t len, uint32_t *json_len);

/* The JSON of the key, or NULL. `ref` is what dimension_probe() returned for the same hash. */
static inline const char *dimension_row(const struct dimension *dimension, uint64_t hash, uint32_t ref,
    const char *key, uint32_t len, uint32_t *json_len)
{
	const struct dimension_row *row;

	if (ref == 0)
		return NULL;
	row = dimension_row_at(dimension, ref);
	if (row->key_len != len || !dimension_key_equal(row->bytes, key, len))
		return dimension_row_other(dimension, hash, key, len, json_len);
	*json_len = row->json_len;
	return row->bytes + len;
}

/* All three steps at once, off the hot path. */
const char *dimension_find(
    const struct dimension *dimension, const char *key, uint32_t len, uint32_t *json_len);

#endif
