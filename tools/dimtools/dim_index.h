/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where each row goes in the buckets of a snapshot: 16 bytes per row in memory, whatever the rows hold.
 *
 * Rows are placed in their order: into the first bucket, else into the second, else by moving others to their
 * second bucket. A bucket that is full stays full, which is what lets a lookup skip the second bucket when
 * the first has room. The result depends on the rows, their order and the seed alone. One thread.
 */
#ifndef PENSTOCK_DIM_INDEX_H
#define PENSTOCK_DIM_INDEX_H

#include "dimension.h"
#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct dim_index_entry {
	uint64_t hash;
	uint32_t ref;  /* as in struct dimension_entry */
	uint32_t line; /* of the input, saturating: for messages */
};

struct dim_index {
	struct dim_index_entry *entries;
	size_t n, capacity;
};

/* Says whether the rows at two refs have the same key: 1, 0 or -errno. */
typedef int dim_index_same_key(void *context, uint32_t a, uint32_t b);

/* 0, -ENOMEM, or -EFBIG past 2^32 - 2 rows. */
int dim_index_add(struct dim_index *index, uint64_t hash, uint32_t ref, uint64_t line);
void dim_index_free(struct dim_index *index);

/* How many buckets n rows get: at most half of the entries are used. */
uint64_t dim_index_buckets(size_t n);

/* Fills buckets[0..n_buckets), which must be zeroed and hold room for all. 0; -ENOSPC when a row found no
 * place (try another seed); -EEXIST when a key occurs twice, with duplicate[0] and [1] the entries concerned,
 * the earlier first; or what same_key returned. same_key is asked only about equal hashes. */
int dim_index_place(const struct dim_index *index, struct dimension_bucket *buckets, uint64_t n_buckets,
    dim_index_same_key *same_key, void *context, size_t duplicate[2]);

#endif
