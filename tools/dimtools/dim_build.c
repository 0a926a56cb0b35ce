/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/dim_build.h"
#include "dimtools/dim_index.h"
#include "dimtools/dim_writer.h"
#include "dimtools/row_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#define PROGRESS_ROWS 4096u
#define MAX_SEEDS 8u

struct build {
	const struct dim_build_options *options;
	struct input input;
	struct row_reader *reader;
	struct dim_writer writer;
	struct dim_index index;
	struct dimension_header header;
	struct dimension_bucket *buckets;
	struct error *err;
};

static const struct {
	const char *suffix;
	enum dim_format format;
} suffixes[] = {
    {".csv", DIM_FORMAT_CSV},
    {".jsonl", DIM_FORMAT_JSONL},
    {".ndjson", DIM_FORMAT_JSONL},
    {".json", DIM_FORMAT_JSON},
};

static int find_format(const struct dim_build_options *options, enum dim_format *format, struct error *err)
{
	size_t len = strlen(options->from);

	*format = options->format;
	if (*format != DIM_FORMAT_AUTO)
		return 0;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i].suffix);

		if (len > n && strcmp(options->from + len - n, suffixes[i].suffix) == 0) {
			*format = suffixes[i].format;
			return 0;
		}
	}
	return error_set(
	    err, -EINVAL, "%s: its name ends in none of .csv, .jsonl, .ndjson, .json", options->from);
}

static int check_columns(const struct dim_build_options *options, struct error *err)
{
	if (options->n_columns > ROWS_MAX_COLUMNS)
		return error_set(err, -EINVAL, "more than %u columns", ROWS_MAX_COLUMNS);
	for (size_t i = 0; i < options->n_columns; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(options->columns[i], options->columns[j]) == 0)
				return error_set(
				    err, -EINVAL, "column \"%s\" is chosen twice", options->columns[i]);
	return 0;
}

static int choose_name(struct build *b)
{
	const struct dim_build_options *options = b->options;
	const char *slash = strrchr(options->output, '/');
	const char *from = options->name != NULL ? options->name
	                   : slash != NULL       ? slash + 1
	                                         : options->output;
	size_t len = strlen(from);

	if (options->name == NULL && len > 4 && strcmp(from + len - 4, ".dim") == 0)
		len -= 4;
	(void)snprintf(b->header.name, sizeof(b->header.name), "%.*s", (int)len, from);
	if (len >= sizeof(b->header.name) || !dimension_name_valid(b->header.name))
		return error_set(b->err, -EINVAL,
		    "\"%.*s\" cannot name a dimension: 1 to 63 of A-Z a-z 0-9 . _ : + - can", (int)len, from);
	return 0;
}

/* The version's length is final from the start, because the header's place is kept by it. */
static int choose_version(struct build *b, uint64_t rows_xxh3)
{
	time_t seconds = (time_t)(b->options->built_ms / 1000);
	struct tm utc;

	if (b->options->version != NULL) {
		if (!dimension_name_valid(b->options->version))
			return error_set(b->err, -EINVAL,
			    "\"%s\" cannot be a version: 1 to 63 of A-Z a-z 0-9 . _ : + - can",
			    b->options->version);
		(void)snprintf(b->header.version, sizeof(b->header.version), "%s", b->options->version);
		return 0;
	}
	if (b->options->built_ms < 0 || gmtime_r(&seconds, &utc) == NULL || utc.tm_year > 9999 - 1900)
		return error_set(b->err, -EINVAL, "the time of the build cannot be written as a version");
	(void)snprintf(b->header.version, sizeof(b->header.version), "%04d%02d%02dT%02d%02d%02dZ-%08x",
	    utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
	    (uint32_t)(rows_xxh3 >> 32));
	return 0;
}

static int open_reader(struct build *b, const struct row_choice *choice)
{
	enum dim_format format;
	int rc = find_format(b->options, &format, b->err);

	if (rc == 0)
		rc = input_open(&b->input, b->options->from, b->err);
	if (rc != 0)
		return rc;
	if (format == DIM_FORMAT_CSV)
		return rows_csv_open(&b->input, choice, &b->reader, b->err);
	return rows_json_open(&b->input, choice, format == DIM_FORMAT_JSON, &b->reader, b->err);
}

static int check_row(const struct build *b, const struct dim_row *row)
{
	const char *path = b->options->from;

	if (row->key_len == 0)
		return error_set(b->err, -EBADMSG, "%s:%lu: the key is empty", path, row->line);
	if (row->key_len > DIMENSION_MAX_KEY)
		return error_set(b->err, -EBADMSG, "%s:%lu: a key of %zu bytes, at most %u are allowed", path,
		    row->line, row->key_len, DIMENSION_MAX_KEY);
	if (row->json_len > DIMENSION_MAX_ROW)
		return error_set(b->err, -EBADMSG,
		    "%s:%lu: a row of %zu bytes of JSON, at most %u are allowed", path, row->line,
		    row->json_len, DIMENSION_MAX_ROW);
	return 0;
}

static int add_row(struct build *b, const struct dim_row *row)
{
	uint32_t ref;
	int rc = check_row(b, row);

	if (rc == 0)
		rc = dim_writer_row(
		    &b->writer, row->key, row->key_len, row->json, row->json_len, &ref, b->err);
	if (rc != 0)
		return rc;
	if (row->json_len > b->header.max_row_bytes)
		b->header.max_row_bytes = (uint32_t)row->json_len;
	rc = dim_index_add(
	    &b->index, XXH3_64bits_withSeed(row->key, row->key_len, b->header.seed), ref, row->line);
	return rc == 0 ? 0 : error_set(b->err, rc, "no memory for %zu rows", b->index.n);
}

static int report(const struct build *b)
{
	const struct dim_build_options *options = b->options;

	if (options->progress == NULL)
		return 0;
	if (options->progress(options->progress_context, b->index.n, b->input.consumed, b->input.total) != 0)
		return error_set(b->err, -ECANCELED, "interrupted");
	return 0;
}

static int read_rows(struct build *b)
{
	struct dim_row row;
	int rc;

	while ((rc = b->reader->next(b->reader, &row, b->err)) > 0) {
		rc = add_row(b, &row);
		if (rc == 0 && b->index.n % PROGRESS_ROWS == 0)
			rc = report(b);
		if (rc != 0)
			return rc;
	}
	return rc == 0 ? report(b) : rc;
}

static int same_key(void *context, uint32_t a, uint32_t b)
{
	const struct build *build = context;
	char key_a[DIMENSION_MAX_KEY], key_b[DIMENSION_MAX_KEY];
	uint32_t len_a, len_b;
	int rc = dim_writer_key(&build->writer, a, key_a, &len_a, build->err);

	if (rc == 0)
		rc = dim_writer_key(&build->writer, b, key_b, &len_b, build->err);
	if (rc != 0)
		return rc;
	return len_a == len_b && memcmp(key_a, key_b, len_a) == 0;
}

static int duplicate_error(struct build *b, const size_t duplicate[2])
{
	const struct dim_index_entry *first = &b->index.entries[duplicate[0]];
	const struct dim_index_entry *again = &b->index.entries[duplicate[1]];
	char key[DIMENSION_MAX_KEY];
	uint32_t len;
	int rc = dim_writer_key(&b->writer, again->ref, key, &len, b->err);

	if (rc != 0)
		return rc;
	return error_set(b->err, -EBADMSG, "%s:%u: the key \"%.*s\" is there already, from line %u",
	    b->options->from, again->line, (int)(len < 80 ? len : 80), key, first->line);
}

/* Another seed: all keys are read back and hashed anew. */
static int rehash(struct build *b)
{
	char key[DIMENSION_MAX_KEY];
	uint32_t len;

	for (size_t i = 0; i < b->index.n; i++) {
		int rc = dim_writer_key(&b->writer, b->index.entries[i].ref, key, &len, b->err);

		if (rc != 0)
			return rc;
		b->index.entries[i].hash = XXH3_64bits_withSeed(key, len, b->header.seed);
	}
	return 0;
}

static int fill_buckets(struct build *b)
{
	size_t duplicate[2] = {0, 0}, bytes;
	int rc;

	b->header.n_rows = b->index.n;
	b->header.n_buckets = dim_index_buckets(b->index.n);
	bytes = b->header.n_buckets * sizeof(*b->buckets);
	b->buckets = aligned_alloc(64, bytes);
	if (b->buckets == NULL)
		return error_set(b->err, -ENOMEM, "no memory for %lu buckets", b->header.n_buckets);
	for (unsigned int attempt = 1;; attempt++) {
		memset(b->buckets, 0, bytes);
		rc = dim_index_place(&b->index, b->buckets, b->header.n_buckets, same_key, b, duplicate);
		if (rc == -EEXIST)
			return duplicate_error(b, duplicate);
		if (rc != -ENOSPC)
			return rc;
		if (attempt == MAX_SEEDS)
			return error_set(b->err, rc, "%s: no place for some keys with %u different seeds",
			    b->options->from, MAX_SEEDS);
		b->header.seed++;
		rc = rehash(b);
		if (rc != 0)
			return rc;
	}
}

static int run(struct build *b, const struct row_choice *choice)
{
	struct dimension_header *header = &b->header;
	uint64_t rows_xxh3, file_bytes;
	int rc = check_columns(b->options, b->err);

	if (rc == 0)
		rc = choose_name(b);
	if (rc == 0)
		rc = choose_version(b, 0);
	if (rc == 0)
		rc = open_reader(b, choice);
	if (rc != 0)
		return rc;
	header->seed = UINT64_C(0x70656e73746f636b);
	header->built_ms = b->options->built_ms;
	(void)snprintf(header->tool_version, sizeof(header->tool_version), "%s", PENSTOCK_VERSION);
	header->key_column = (char *)(uintptr_t)b->options->key;
	header->columns = b->reader->columns;
	header->n_columns = b->reader->n_columns;
	rc = dim_writer_open(&b->writer, b->options->output, header, b->err);
	if (rc == 0)
		rc = read_rows(b);
	if (rc == 0)
		rc = dim_writer_end_rows(&b->writer, &rows_xxh3, b->err);
	if (rc == 0)
		rc = fill_buckets(b);
	if (rc == 0)
		rc = report(b);
	if (rc == 0)
		rc = choose_version(b, rows_xxh3);
	if (rc == 0)
		rc = dim_writer_commit(&b->writer, header, b->buckets, rows_xxh3, &file_bytes, b->err);
	if (rc == 0 && b->options->result != NULL) {
		struct dim_build_result *result = b->options->result;

		*result = (struct dim_build_result){.n_rows = header->n_rows,
		    .file_bytes = file_bytes,
		    .max_row_bytes = header->max_row_bytes};
		memcpy(result->name, header->name, sizeof(result->name));
		memcpy(result->version, header->version, sizeof(result->version));
	}
	return rc;
}

int dim_build(const struct dim_build_options *options, struct error *err)
{
	const struct row_choice choice = {
	    .key = options->key, .columns = options->columns, .n_columns = options->n_columns};
	struct build b = {.options = options, .input = {.fd = -1}, .err = err};
	int rc = run(&b, &choice);

	free(b.buckets);
	dim_index_free(&b.index);
	dim_writer_close(&b.writer);
	rows_close(b.reader);
	input_close(&b.input);
	return rc;
}
