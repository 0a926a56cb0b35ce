/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimension_check.h"

#include <errno.h>

#define AHEAD 32u /* rows between the prefetch of a bucket and its use */

struct pending {
	uint64_t hash;
	uint32_t ref;
};

static int check_bucket(const struct dimension *dimension, uint64_t i, uint64_t *n_entries, struct error *err)
{
	const struct dimension_bucket *bucket = &dimension->buckets[i];
	unsigned int used = 0;

	while (used < 8 && bucket->entry[used].ref != 0) {
		if (bucket->entry[used].tag == 0)
			return error_set(err, -EBADMSG, "bucket %lu: an entry without a tag", i);
		if ((uint64_t)(bucket->entry[used].ref - 1) * 8 >= dimension->rows_bytes)
			return error_set(err, -EBADMSG, "bucket %lu: an entry points behind the rows", i);
		used++;
	}
	for (unsigned int j = used; j < 8; j++)
		if (bucket->entry[j].ref != 0 || bucket->entry[j].tag != 0)
			return error_set(err, -EBADMSG, "bucket %lu: an entry after an empty one", i);
	*n_entries += used;
	return 0;
}

/* The row at `offset` lies within the section and can be spliced into a line of NDJSON. */
static int check_row(const struct dimension *dimension, uint64_t offset, struct error *err)
{
	const struct dimension_row *row = (const struct dimension_row *)(dimension->rows + offset);
	uint64_t left = dimension->rows_bytes - offset;
	const char *json;

	if (left < sizeof(*row))
		return error_set(err, -EBADMSG, "rows: the row at %lu is cut off", offset);
	if (row->reserved != 0 || row->key_len == 0 || row->key_len > DIMENSION_MAX_KEY ||
	    row->json_len < 2 || row->json_len > DIMENSION_MAX_ROW)
		return error_set(err, -EBADMSG, "rows: the row at %lu has impossible lengths", offset);
	if (left - sizeof(*row) < (uint64_t)row->key_len + row->json_len)
		return error_set(err, -EBADMSG, "rows: the row at %lu is cut off", offset);
	json = row->bytes + row->key_len;
	if (json[0] != '{' || json[row->json_len - 1] != '}' || memchr(json, '\n', row->json_len) != NULL)
		return error_set(err, -EBADMSG, "rows: the row at %lu is not a compact JSON object", offset);
	return 0;
}

static bool holds(const struct dimension_bucket *bucket, uint32_t tag, uint32_t ref)
{
	for (unsigned int i = 0; i < 8; i++)
		if (bucket->entry[i].ref == ref)
			return bucket->entry[i].tag == tag;
	return false;
}

static int check_found(const struct dimension *dimension, const struct pending *pending, struct error *err)
{
	const struct dimension_bucket *bucket =
	    &dimension->buckets[dimension_first(pending->hash, dimension->n_buckets)];
	uint32_t tag = dimension_tag(pending->hash);

	if (holds(bucket, tag, pending->ref))
		return 0;
	if (dimension_bucket_full(bucket)) {
		bucket = &dimension->buckets[dimension_second(pending->hash, dimension->n_buckets)];
		if (holds(bucket, tag, pending->ref))
			return 0;
	}
	return error_set(
	    err, -EBADMSG, "rows: no bucket leads to the row at %lu", (uint64_t)(pending->ref - 1) * 8);
}

static int check_rows(const struct dimension *dimension, struct error *err)
{
	struct pending ring[AHEAD];
	uint64_t offset = 0, n_rows = 0;
	uint32_t max_row_bytes = 0;
	int rc;

	while (offset < dimension->rows_bytes) {
		const struct dimension_row *row = (const struct dimension_row *)(dimension->rows + offset);
		struct pending *slot = &ring[n_rows % AHEAD];

		if (dimension->rows_bytes - offset >= 8 && row->key_len == 0 && row->json_len == 0 &&
		    row->reserved == 0) {
			offset += 8; /* filler */
			continue;
		}
		rc = check_row(dimension, offset, err);
		if (rc != 0)
			return rc;
		if (n_rows >= AHEAD) {
			rc = check_found(dimension, slot, err);
			if (rc != 0)
				return rc;
		}
		slot->hash = dimension_hash(dimension, row->bytes, row->key_len);
		slot->ref = (uint32_t)(offset / 8 + 1);
		dimension_prefetch(dimension, slot->hash);
		if (row->json_len > max_row_bytes)
			max_row_bytes = row->json_len;
		n_rows++;
		offset += (sizeof(*row) + row->key_len + row->json_len + 7) & ~UINT64_C(7);
	}
	for (uint64_t i = 0; i < (n_rows < AHEAD ? n_rows : AHEAD); i++) {
		rc = check_found(dimension, &ring[i], err);
		if (rc != 0)
			return rc;
	}
	if (n_rows != dimension->n_rows)
		return error_set(
		    err, -EBADMSG, "rows: there are %lu, the header says %lu", n_rows, dimension->n_rows);
	if (max_row_bytes != dimension->max_row_bytes)
		return error_set(err, -EBADMSG, "rows: the longest has %u bytes, the header says %u",
		    max_row_bytes, dimension->max_row_bytes);
	return 0;
}

int dimension_check(const struct dimension *dimension, struct error *err)
{
	uint64_t n_entries = 0;

	for (uint64_t i = 0; i < dimension->n_buckets; i++) {
		int rc = check_bucket(dimension, i, &n_entries, err);

		if (rc != 0)
			return rc;
	}
	if (n_entries != dimension->n_rows)
		return error_set(
		    err, -EBADMSG, "buckets: %lu entries for %lu rows", n_entries, dimension->n_rows);
	return check_rows(dimension, err);
}
