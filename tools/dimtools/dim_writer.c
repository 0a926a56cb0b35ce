/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/dim_writer.h"
#include "dimension_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE (1u << 20)

static int write_at(
    const struct dim_writer *writer, const void *bytes, uint64_t n, uint64_t offset, struct error *err)
{
	const uint8_t *next = bytes;

	while (n > 0) {
		ssize_t written = pwrite(writer->fd, next, n < (1u << 30) ? n : 1u << 30, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_set(
			    err, -errno, "%s: cannot write: %s", writer->temporary, strerror(errno));
		next += written;
		offset += (uint64_t)written;
		n -= (uint64_t)written;
	}
	return 0;
}

static int open_temporary(struct dim_writer *writer, const char *path, struct error *err)
{
	for (unsigned int attempt = 0; attempt < 100; attempt++) {
		free(writer->temporary);
		if (asprintf(&writer->temporary, "%s.tmp-%ld-%u", path, (long)getpid(), attempt) < 0) {
			writer->temporary = NULL;
			return error_set(err, -ENOMEM, "no memory");
		}
		writer->fd = open(writer->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (writer->fd >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	error_set(err, -errno, "%s: %s", writer->temporary, strerror(errno));
	free(writer->temporary); /* not ours to remove */
	writer->temporary = NULL;
	return -errno;
}

static int header_room(const struct dimension_header *header, uint64_t *bytes, struct error *err)
{
	struct dimension_header full = *header;
	uint8_t *encoded;
	size_t len;

	full.n_sections = 2;
	if (dimension_header_encode(&full, &encoded, &len) != 0)
		return error_set(err, -ENOMEM, "no memory for the header");
	free(encoded);
	*bytes = (sizeof(struct dimension_preamble) + len + DIMENSION_SECTION_ALIGN - 1) &
	         ~(uint64_t)(DIMENSION_SECTION_ALIGN - 1);
	if (len > DIMENSION_HEADER_MAX_BYTES)
		return error_set(
		    err, -EINVAL, "the column names take %zu bytes, too many for the header", len);
	return 0;
}

int dim_writer_open(
    struct dim_writer *writer, const char *path, const struct dimension_header *header, struct error *err)
{
	int rc;

	memset(writer, 0, sizeof(*writer));
	writer->fd = -1;
	rc = header_room(header, &writer->rows_offset, err);
	if (rc != 0)
		return rc;
	writer->path = strdup(path);
	writer->buffer = malloc(BUFFER_SIZE);
	writer->rows_hash = XXH3_createState();
	if (writer->path == NULL || writer->buffer == NULL || writer->rows_hash == NULL)
		rc = error_set(err, -ENOMEM, "no memory");
	else
		rc = open_temporary(writer, path, err);
	if (rc != 0) {
		dim_writer_close(writer);
		return rc;
	}
	XXH3_64bits_reset(writer->rows_hash);
	return 0;
}

static int flush(struct dim_writer *writer, struct error *err)
{
	int rc = write_at(writer, writer->buffer, writer->buffered,
	    writer->rows_offset + writer->rows_bytes - writer->buffered, err);

	if (rc == 0)
		XXH3_64bits_update(writer->rows_hash, writer->buffer, writer->buffered);
	writer->buffered = 0;
	return rc;
}

int dim_writer_row(struct dim_writer *writer, const char *key, size_t key_len, const char *json,
    size_t json_len, uint32_t *ref, struct error *err)
{
	const struct dimension_row row = {.json_len = (uint32_t)json_len, .key_len = (uint16_t)key_len};
	size_t length = sizeof(row) + key_len + json_len;
	size_t size = (length + 7) & ~(size_t)7;
	size_t in_line = writer->rows_bytes % 64;
	size_t filler = (in_line + size + 63) / 64 > (size + 63) / 64 ? 64 - in_line : 0;
	uint8_t *to;
	int rc;

	if ((writer->rows_bytes + filler) / 8 >= UINT32_MAX - 1)
		return error_set(err, -EFBIG, "the rows take more than 32 GiB");
	if (writer->buffered + filler + size > BUFFER_SIZE) {
		rc = flush(writer, err);
		if (rc != 0)
			return rc;
	}
	to = writer->buffer + writer->buffered;
	memset(to, 0, filler);
	to += filler;
	memcpy(to, &row, sizeof(row));
	memcpy(to + sizeof(row), key, key_len);
	memcpy(to + sizeof(row) + key_len, json, json_len);
	memset(to + length, 0, size - length);
	*ref = (uint32_t)((writer->rows_bytes + filler) / 8 + 1);
	writer->buffered += filler + size;
	writer->rows_bytes += filler + size;
	return 0;
}

int dim_writer_end_rows(struct dim_writer *writer, uint64_t *xxh3, struct error *err)
{
	int rc = flush(writer, err);

	*xxh3 = XXH3_64bits_digest(writer->rows_hash);
	return rc;
}

int dim_writer_key(const struct dim_writer *writer, uint32_t ref, char *key, uint32_t *len, struct error *err)
{
	off_t offset = (off_t)(writer->rows_offset + (uint64_t)(ref - 1) * 8);
	struct dimension_row row;

	if (pread(writer->fd, &row, sizeof(row), offset) != sizeof(row) || row.key_len > DIMENSION_MAX_KEY ||
	    pread(writer->fd, key, row.key_len, offset + (off_t)sizeof(row)) != row.key_len)
		return error_set(err, -EIO, "%s: cannot read a row back", writer->temporary);
	*len = row.key_len;
	return 0;
}

/* The rename itself must survive a crash. */
static int sync_directory(const char *path, struct error *err)
{
	char *copy = strdup(path);
	int fd, rc = 0;

	if (copy == NULL)
		return error_set(err, -ENOMEM, "no memory");
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		rc = error_set(err, -errno, "%s: cannot sync its directory: %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	free(copy);
	return rc;
}

static int write_front(
    const struct dim_writer *writer, const struct dimension_header *header, struct error *err)
{
	struct dimension_preamble preamble = {.format_version = DIMENSION_FORMAT_VERSION};
	uint8_t *encoded;
	size_t len;
	int rc;

	if (dimension_header_encode(header, &encoded, &len) != 0)
		return error_set(err, -ENOMEM, "no memory for the header");
	memcpy(preamble.magic, DIMENSION_MAGIC, sizeof(preamble.magic));
	preamble.header_bytes = (uint32_t)len;
	preamble.header_xxh3 = XXH3_64bits(encoded, len);
	rc = write_at(writer, &preamble, sizeof(preamble), 0, err);
	if (rc == 0)
		rc = write_at(writer, encoded, len, sizeof(preamble), err);
	free(encoded);
	return rc;
}

int dim_writer_commit(struct dim_writer *writer, struct dimension_header *header,
    const struct dimension_bucket *buckets, uint64_t rows_xxh3, uint64_t *file_bytes, struct error *err)
{
	uint64_t bytes = header->n_buckets * sizeof(*buckets);
	uint64_t offset = (writer->rows_offset + writer->rows_bytes + DIMENSION_SECTION_ALIGN - 1) &
	                  ~(uint64_t)(DIMENSION_SECTION_ALIGN - 1);
	int rc;

	header->sections[0] = (struct dimension_section){
	    DIMENSION_SECTION_ROWS, writer->rows_offset, writer->rows_bytes, rows_xxh3};
	header->sections[1] =
	    (struct dimension_section){DIMENSION_SECTION_BUCKETS, offset, bytes, XXH3_64bits(buckets, bytes)};
	header->n_sections = 2;
	*file_bytes = offset + bytes;
	rc = write_at(writer, buckets, bytes, offset, err);
	if (rc == 0)
		rc = write_front(writer, header, err);
	if (rc != 0)
		return rc;
	if (fsync(writer->fd) != 0)
		return error_set(err, -errno, "%s: cannot sync: %s", writer->temporary, strerror(errno));
	if (rename(writer->temporary, writer->path) != 0)
		return error_set(err, -errno, "%s: cannot rename: %s", writer->path, strerror(errno));
	free(writer->temporary);
	writer->temporary = NULL;
	return sync_directory(writer->path, err);
}

void dim_writer_close(struct dim_writer *writer)
{
	if (writer->temporary != NULL)
		(void)unlink(writer->temporary);
	if (writer->path != NULL && writer->fd >= 0)
		(void)close(writer->fd);
	free(writer->temporary);
	free(writer->path);
	free(writer->buffer);
	XXH3_freeState(writer->rows_hash);
	*writer = (struct dim_writer){.fd = -1};
}
