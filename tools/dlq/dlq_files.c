/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/dlq_source.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <zstd.h>

#define CHUNK (128u << 10)
#define LINE_MAX_BYTES (64u << 20)

struct reader {
	dlq_fn see;
	void *context;
	const char *path;
	bool growing;   /* still being written: its end may be torn */
	int64_t number; /* of the line */
	char *line;     /* what has come of a line so far */
	size_t used, size;
	char in[CHUNK], out[CHUNK];
};

static struct dlq_text text_of(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return (struct dlq_text){.data = json_string_value(value), .len = json_string_length(value)};
}

/* Decodes base64 without line breaks; NULL if it is none. */
static char *decode(const struct dlq_text *text, size_t *len)
{
	char *out = malloc(text->len + 4);
	int n = -1;

	if (out != NULL && text->len % 4 == 0 && text->len < INT32_MAX)
		n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text->data, (int)text->len);
	if (n < 0) {
		free(out);
		return NULL;
	}
	*len = (size_t)n; /* with a NUL for each "=" */
	for (size_t i = text->len; i > 0 && text->data[i - 1] == '=' && *len > 0; i--)
		(*len)--;
	return out;
}

static int see_line(struct reader *reader, const char *line, size_t len, struct error *err)
{
	json_t *object = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
	struct dlq_record record = {
	    .stage = text_of(object, "stage"),
	    .reason = text_of(object, "reason"),
	    .message = text_of(object, "message"),
	    .stream = text_of(object, "stream"),
	    .timestamp = text_of(object, "timestamp"),
	    .value = text_of(object, "value"),
	    .place = reader->path,
	    .partition = -1,
	    .number = ++reader->number,
	};
	struct dlq_text base64 = text_of(object, "value_base64");
	char replays[24], *decoded = NULL;
	int rc = 0;

	snprintf(replays, sizeof(replays), "%" JSON_INTEGER_FORMAT,
	    json_integer_value(json_object_get(object, "replays")));
	record.replays = (struct dlq_text){.data = replays, .len = strlen(replays)};
	if (base64.data != NULL) {
		decoded = decode(&base64, &record.value.len);
		record.value.data = decoded;
	}
	if (record.value.data == NULL || record.reason.data == NULL)
		rc = error_set(
		    err, -EBADMSG, "%s:%lld: not a dead letter", reader->path, (long long)reader->number);
	else if (reader->see(reader->context, &record) != 0)
		rc = 1;
	free(decoded);
	json_decref(object);
	return rc;
}

/* Takes decompressed text; gives whole lines on. */
static int feed(struct reader *reader, const char *text, size_t len, struct error *err)
{
	int rc = 0;

	while (rc == 0 && len > 0) {
		const char *eol = memchr(text, '\n', len);
		size_t part = eol != NULL ? (size_t)(eol - text) : len;

		if (reader->used + part > reader->size) {
			size_t size = 2 * (reader->used + part);
			char *line = size <= 2 * LINE_MAX_BYTES ? realloc(reader->line, size) : NULL;

			if (line == NULL)
				return error_set(err, -ENOMEM, "%s:%lld: the line is too long", reader->path,
				    (long long)reader->number + 1);
			reader->line = line;
			reader->size = size;
		}
		if (part > 0)
			memcpy(reader->line + reader->used, text, part);
		reader->used += part;
		if (eol != NULL) {
			rc = see_line(reader, reader->line, reader->used, err);
			reader->used = 0;
			part++;
		}
		text += part;
		len -= part;
	}
	return rc;
}

static int damaged(const struct reader *reader, const char *why, struct error *err)
{
	if (reader->growing)
		return 0;
	return error_set(
	    err, -EBADMSG, "%s: damaged behind line %lld: %s", reader->path, (long long)reader->number, why);
}

static int decompress(struct reader *reader, ZSTD_DCtx *context, size_t n, size_t *pending, struct error *err)
{
	ZSTD_inBuffer input = {reader->in, n, 0};
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		ZSTD_outBuffer output = {reader->out, CHUNK, 0};

		*pending = ZSTD_decompressStream(context, &output, &input);
		if (ZSTD_isError(*pending)) {
			rc = damaged(reader, ZSTD_getErrorName(*pending), err);
			*pending = 0;
			return rc != 0 ? rc : 2;
		}
		rc = feed(reader, reader->out, output.pos, err);
		more = input.pos < input.size || (*pending != 0 && output.pos == output.size);
	}
	return rc;
}

static int read_file(struct reader *reader, struct error *err)
{
	bool zstd = strstr(strrchr(reader->path, '/'), ".zst") != NULL;
	ZSTD_DCtx *context = zstd ? ZSTD_createDCtx() : NULL;
	int fd = open(reader->path, O_RDONLY | O_CLOEXEC), rc = 0;
	size_t pending = 0;
	ssize_t n = 0;

	if (fd < 0 || (zstd && context == NULL)) {
		rc = error_set(err, fd < 0 ? -errno : -ENOMEM, "%s: %s", reader->path, strerror(errno));
		goto out;
	}
	reader->number = 0;
	reader->used = 0;
	while (rc == 0 && (n = read(fd, reader->in, CHUNK)) > 0)
		rc = zstd ? decompress(reader, context, (size_t)n, &pending, err)
		          : feed(reader, reader->in, (size_t)n, err);
	if (rc == 0 && n < 0)
		rc = error_set(err, -errno, "%s: %s", reader->path, strerror(errno));
	else if (rc == 0 && (pending != 0 || reader->used > 0))
		rc = damaged(reader, "the end is missing", err);
out:
	ZSTD_freeDCtx(context);
	if (fd >= 0)
		close(fd);
	return rc == 2 ? 0 : rc; /* 2: the torn end of a file that is being written */
}

static bool is_ours(const FTSENT *entry)
{
	return entry->fts_info == FTS_F && strstr(entry->fts_path, "/dead_letter/") != NULL &&
	       strstr(entry->fts_name, ".ndjson") != NULL;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int dlq_read_files(const char *directory, dlq_fn see, void *context, struct error *err)
{
	char *roots[] = {(char *)(uintptr_t)directory, NULL};
	struct reader *reader = calloc(1, sizeof(*reader));
	struct stat st;
	FTSENT *entry;
	FTS *tree;
	int rc = 0;

	if (stat(directory, &st) != 0 || !S_ISDIR(st.st_mode)) {
		free(reader);
		return error_set(err, -ENOENT, "%s: not a directory", directory);
	}
	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	if (reader == NULL || tree == NULL) {
		rc = error_set(err, -ENOMEM, "%s: no memory", directory);
		goto out;
	}
	reader->see = see;
	reader->context = context;
	while (rc == 0 && (entry = fts_read(tree)) != NULL) {
		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
			rc = error_set(
			    err, -entry->fts_errno, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
		if (rc != 0 || !is_ours(entry))
			continue;
		reader->path = entry->fts_path;
		reader->growing = entry->fts_name[0] == '.';
		rc = read_file(reader, err);
	}
out:
	if (tree != NULL)
		fts_close(tree);
	if (reader != NULL)
		free(reader->line);
	free(reader);
	return rc;
}
