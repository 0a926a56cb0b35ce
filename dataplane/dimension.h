/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dimension snapshot: an immutable table from a string key to a JSON object, ready to be spliced into an event.
 *
 * The file format is docs/dimension-format.md: a fixed preamble, a FlatBuffers header (flatbuffers/dimension.fbs)
 * that is opened only through the Verifier, and checksummed sections for buckets and rows. dimension_load() checks
 * all of it, then copies buckets and rows into hugepages of a node.
 *
 * A bucket is one cache line of eight (32-bit tag, 32-bit row reference) pairs; a key lives in its first bucket, or
 * in its second when the first is full. A row is the key's bytes and the JSON text, together on as few lines as
 * possible, and the key is always compared. Lookups go in three steps over a burst, so that each memory access is
 * prefetched before it is needed: dimension_prefetch(), dimension_probe(), dimension_row().
 *
 * Threads: load and free on the control thread; lookups on any number of workers. A worker may use a snapshot
 * between two of its quiescent states only.
 */
#ifndef PENSTOCK_DIMENSION_H
#define PENSTOCK_DIMENSION_H

#include "error.h"
#include "hugemem.h"

#include <stdbool.h>
#include <stdint.h>

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
	uint32_t max_row_bytes;	 /* of JSON, over all rows: bounds what a lookup can add to an event */
	char name[64];
	char version[64];	 /* as the builder named it */
	uint64_t file_bytes;
	int64_t built_ms;	 /* when the file was built, Unix epoch */
	struct hugemem memory;
};

/* Opens, verifies and copies a snapshot file. 0, or -errno with the file and what is wrong with it: -EBADMSG for a
 * damaged file, -EPROTONOSUPPORT for another format version, -ENOMEM, or the errno of reading it. */
int dimension_load(const char *path, int node, enum hugepages mode, struct dimension **out, struct error *err);
void dimension_free(struct dimension *dimension);

/* Hash of a key (XXH3-64 with the snapshot's seed). */
uint64_t dimension_hash(const struct dimension *dimension, const char *key, uint32_t len);

/* Prefetches the first bucket. */
void dimension_prefetch(const struct dimension *dimension, uint64_t hash);

/* Looks for the tag and prefetches the row that will most likely match. Returns that row's ref, or 0 if no bucket
 * holds the tag (a sure miss). */
uint32_t dimension_probe(const struct dimension *dimension, uint64_t hash);

/* The JSON of the key, or NULL. `ref` is what dimension_probe() returned for the same hash. */
const char *dimension_row(const struct dimension *dimension, uint64_t hash, uint32_t ref, const char *key,
    uint32_t len, uint32_t *json_len);

/* All three steps at once, off the hot path. */
const char *dimension_find(const struct dimension *dimension, const char *key, uint32_t len, uint32_t *json_len);

#endif
