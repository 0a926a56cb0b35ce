/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/dim_inspect.h"
#include "dimtools/json_quote.h"

#include "dimension.h"
#include "dimension_file.h"
#include "json_text.h"
#include "timestamp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUILT_SIZE 32u

static int load(const char *path, struct dimension **out, struct error *err)
{
	return dimension_load(path, -1, HUGEPAGES_OFF, out, err);
}

static int print_quoted(FILE *out, const char *text, struct error *err)
{
	size_t len = strlen(text), n;
	char *quoted = malloc(len * 6 + 2);

	if (quoted == NULL)
		return error_set(err, -ENOMEM, "no memory");
	n = json_quote(quoted, text, len);
	(void)fwrite(quoted, 1, n, out);
	free(quoted);
	return 0;
}

static void built_text(int64_t built_ms, char out[BUILT_SIZE])
{
	memset(out, 0, BUILT_SIZE);
	if (!timestamp_write(built_ms, out))
		(void)snprintf(out, BUILT_SIZE, "%ld", built_ms);
}

/* Names come from the file: a terminal must not obey them, and JSON must stay JSON. */
static int print_name(FILE *out, const char *text, struct error *err)
{
	if (!json_utf8_valid(text, (uint32_t)strlen(text)))
		return error_set(err, -EBADMSG, "a column's name is not valid UTF-8");
	return print_quoted(out, text, err);
}

static int print_columns(const struct dimension_header *header, FILE *out, struct error *err)
{
	for (size_t i = 0; i < header->n_columns; i++) {
		int rc;

		(void)fputs(i > 0 ? "," : "", out);
		rc = print_name(out, header->columns[i], err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int print_json(
    const struct dimension_header *header, const struct dimension *dimension, FILE *out, struct error *err)
{
	char built[BUILT_SIZE];
	int rc;

	built_text(header->built_ms, built);
	(void)fprintf(out, "{\"name\":\"%s\",\"version\":\"%s\",\"key\":", header->name, header->version);
	rc = print_name(out, header->key_column, err);
	if (rc != 0)
		return rc;
	(void)fputs(",\"columns\":[", out);
	rc = print_columns(header, out, err);
	if (rc != 0)
		return rc;
	(void)fprintf(out,
	    "],\"rows\":%lu,\"bytes\":%lu,\"row_section_bytes\":%lu,\"buckets\":%lu,\"load\":%.4f,"
	    "\"max_row_bytes\":%u,\"seed\":\"%016lx\",\"built\":\"%s\",\"tool_version\":\"%s\"}\n",
	    header->n_rows, dimension->file_bytes, dimension->rows_bytes, header->n_buckets,
	    (double)header->n_rows / (double)(header->n_buckets * 8), header->max_row_bytes, header->seed,
	    built, header->tool_version);
	return 0;
}

static int print_text(
    const struct dimension_header *header, const struct dimension *dimension, FILE *out, struct error *err)
{
	char built[BUILT_SIZE];
	int rc;

	built_text(header->built_ms, built);
	(void)fprintf(out,
	    "name           %s\nversion        %s\nbuilt          %s by penstock %s\nkey            ",
	    header->name, header->version, built, header->tool_version);
	rc = print_name(out, header->key_column, err);
	if (rc != 0)
		return rc;
	(void)fputs("\ncolumns        ", out);
	if (header->n_columns == 0)
		(void)fputs("all members of each row but the key", out);
	rc = print_columns(header, out, err);
	if (rc != 0)
		return rc;
	(void)fprintf(out,
	    "\nrows           %lu\nlongest row    %u bytes of JSON\nfile           %lu bytes\n"
	    "buckets        %lu, %.1f %% of their entries used\n",
	    header->n_rows, header->max_row_bytes, dimension->file_bytes, header->n_buckets,
	    100.0 * (double)header->n_rows / (double)(header->n_buckets * 8));
	return 0;
}

int dim_inspect_header(const char *path, bool json, FILE *out, struct error *err)
{
	struct dimension *dimension;
	struct dimension_file file;
	int rc = load(path, &dimension, err);

	if (rc != 0)
		return rc;
	rc = dimension_file_open(path, &file, err);
	if (rc == 0) {
		rc = json ? print_json(&file.header, dimension, out, err)
		          : print_text(&file.header, dimension, out, err);
		dimension_file_close(&file);
	}
	dimension_free(dimension);
	return rc == 0 ? 0 : error_prefix(err, rc, "%s", path);
}

int dim_inspect_key(const char *path, const char *key, bool json, FILE *out, struct error *err)
{
	struct dimension *dimension;
	const char *row = NULL;
	uint32_t len = 0;
	int rc;

	if (!json_utf8_valid(key, (uint32_t)strlen(key)))
		return error_set(err, -EINVAL, "the key is not valid UTF-8");
	rc = load(path, &dimension, err);
	if (rc != 0)
		return rc;
	row = dimension_find(dimension, key, (uint32_t)strlen(key), &len);
	if (json) {
		(void)fprintf(
		    out, "{\"name\":\"%s\",\"version\":\"%s\",\"key\":", dimension->name, dimension->version);
		rc = print_quoted(out, key, err);
		(void)fprintf(
		    out, ",\"row\":%.*s}\n", row != NULL ? (int)len : 4, row != NULL ? row : "null");
	} else if (row != NULL) {
		(void)fprintf(out, "%.*s\n", (int)len, row);
	}
	if (rc == 0 && row == NULL)
		rc =
		    error_set(err, -ENOENT, "%s: no key \"%s\" among %lu rows", path, key, dimension->n_rows);
	dimension_free(dimension);
	return rc;
}
