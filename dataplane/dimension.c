/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimension.h"
#include "dimension_check.h"
#include "dimension_file.h"

#include <errno.h>
#include <stdlib.h>

/* The hash of a short key is a dozen instructions: worth having without a call through the library's table.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Rows are mostly read as a whole, but a prefetch per line of a long one would crowd out other rows. */
#define MAX_PREFETCH_LINES 4u

_Static_assert(DIMENSION_NAME_SIZE == sizeof(((struct dimension *)0)->name), "names fit");

static int check_counts(const struct dimension_file *file, struct error *err)
{
	const struct dimension_header *header = &file->header;

	if (header->n_buckets == 0 || header->n_buckets > UINT32_MAX ||
	    header->n_buckets * sizeof(struct dimension_bucket) != file->buckets.length)
		return error_set(err, -EBADMSG, "buckets: %lu bytes for %lu buckets", file->buckets.length,
		    header->n_buckets);
	if (header->n_rows > header->n_buckets * 8)
		return error_set(err, -EBADMSG, "buckets: too few for %lu rows", header->n_rows);
	if (file->rows.length % 8 != 0 || file->rows.length / 8 > UINT32_MAX - 1)
		return error_set(
		    err, -EBADMSG, "rows: a section of %lu bytes is impossible", file->rows.length);
	return 0;
}

static uint32_t prefetch_lines(uint64_t rows_bytes, uint64_t n_rows)
{
	uint64_t lines = n_rows == 0 ? 1 : (rows_bytes / n_rows + 63) / 64;

	return lines < 1 ? 1 : lines > MAX_PREFETCH_LINES ? MAX_PREFETCH_LINES : (uint32_t)lines;
}

static int copy_in(const struct dimension_file *file, int node, enum hugepages mode,
    struct dimension *dimension, struct error *err)
{
	const struct dimension_header *header = &file->header;
	uint8_t *memory;
	int rc;

	rc = hugemem_alloc(file->buckets.length + file->rows.length, node, mode, &dimension->memory, err);
	if (rc != 0)
		return rc;
	memory = dimension->memory.address;
	rc = dimension_file_read(file, &file->buckets, "buckets", memory, err);
	if (rc == 0)
		rc = dimension_file_read(file, &file->rows, "rows", memory + file->buckets.length, err);
	if (rc != 0)
		return rc;
	dimension->buckets = (const struct dimension_bucket *)memory;
	dimension->rows = memory + file->buckets.length;
	dimension->rows_bytes = file->rows.length;
	dimension->n_buckets = header->n_buckets;
	dimension->n_rows = header->n_rows;
	dimension->seed = header->seed;
	dimension->max_row_bytes = header->max_row_bytes;
	dimension->prefetch_lines = prefetch_lines(file->rows.length, header->n_rows);
	dimension->file_bytes = file->bytes;
	dimension->built_ms = header->built_ms;
	memcpy(dimension->name, header->name, sizeof(dimension->name));
	memcpy(dimension->version, header->version, sizeof(dimension->version));
	return dimension_check(dimension, err);
}

int dimension_load(const char *path, int node, enum hugepages mode, struct dimension **out, struct error *err)
{
	struct dimension *dimension = NULL;
	struct dimension_file file;
	int rc;

	*out = NULL;
	rc = dimension_file_open(path, &file, err);
	if (rc != 0)
		return error_prefix(err, rc, "%s", path);
	rc = check_counts(&file, err);
	if (rc != 0)
		goto out;
	dimension = calloc(1, sizeof(*dimension));
	if (dimension == NULL) {
		rc = error_set(err, -ENOMEM, "no memory");
		goto out;
	}
	rc = copy_in(&file, node, mode, dimension, err);
out:
	dimension_file_close(&file);
	if (rc != 0) {
		dimension_free(dimension);
		return error_prefix(err, rc, "%s", path);
	}
	*out = dimension;
	return 0;
}

void dimension_free(struct dimension *dimension)
{
	if (dimension == NULL)
		return;
	hugemem_free(&dimension->memory);
	free(dimension);
}

uint64_t dimension_hash(const struct dimension *dimension, const char *key, uint32_t len)
{
	return XXH3_64bits_withSeed(key, len, dimension->seed);
}

static const char *search_bucket(const struct dimension *dimension, const struct dimension_bucket *bucket,
    uint64_t hash, const char *key, uint32_t len, uint32_t *json_len)
{
	uint32_t match = dimension_match(bucket, dimension_tag(hash));

	while (match != 0) {
		const struct dimension_row *row =
		    dimension_row_at(dimension, bucket->entry[__builtin_ctz(match)].ref);

		if (row->key_len == len && memcmp(row->bytes, key, len) == 0) {
			*json_len = row->json_len;
			return row->bytes + len;
		}
		match &= match - 1;
	}
	return NULL;
}

const char *dimension_row_other(
    const struct dimension *dimension, uint64_t hash, const char *key, uint32_t len, uint32_t *json_len)
{
	const struct dimension_bucket *bucket =
	    &dimension->buckets[dimension_first(hash, dimension->n_buckets)];
	const char *json = search_bucket(dimension, bucket, hash, key, len, json_len);

	if (json != NULL || !dimension_bucket_full(bucket))
		return json;
	bucket = &dimension->buckets[dimension_second(hash, dimension->n_buckets)];
	return search_bucket(dimension, bucket, hash, key, len, json_len);
}

const char *dimension_find(
    const struct dimension *dimension, const char *key, uint32_t len, uint32_t *json_len)
{
	uint64_t hash = dimension_hash(dimension, key, len);

	return dimension_row(dimension, hash, dimension_probe(dimension, hash), key, len, json_len);
}
