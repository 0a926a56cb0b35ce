/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes a snapshot file: rows first, while they come; then the buckets; then, at the front, the header.
 *
 * The file grows under a temporary name beside its final one. dim_writer_commit() makes it durable and gives
 * it its name; before that, dim_writer_close() leaves nothing behind. One thread.
 */
#ifndef PENSTOCK_DIM_WRITER_H
#define PENSTOCK_DIM_WRITER_H

#include "dimension.h"
#include "dimension_header.h"
#include "error.h"

#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

struct dim_writer {
	int fd;
	char *path;      /* final */
	char *temporary; /* NULL once there is nothing to remove */
	uint64_t rows_offset, rows_bytes;
	XXH3_state_t *rows_hash;
	uint8_t *buffer; /* tail of the rows section that is not written yet */
	size_t buffered;
};

/* Starts a file. `header` has all its strings at their final lengths, so that its place can be kept. 0 or
 * -errno. */
int dim_writer_open(
    struct dim_writer *writer, const char *path, const struct dimension_header *header, struct error *err);

/* Appends a row, filling up to the next cache line where that saves one; *ref says where it is. Lengths are
 * within DIMENSION_MAX_KEY and DIMENSION_MAX_ROW. 0, -EFBIG when refs run out, or the errno of writing. */
int dim_writer_row(struct dim_writer *writer, const char *key, size_t key_len, const char *json,
    size_t json_len, uint32_t *ref, struct error *err);

/* After the last row: flushes, so that dim_writer_key() works. *xxh3 is the checksum of the rows. */
int dim_writer_end_rows(struct dim_writer *writer, uint64_t *xxh3, struct error *err);

/* Reads back the key of a row; `key` has room for DIMENSION_MAX_KEY bytes. */
int dim_writer_key(
    const struct dim_writer *writer, uint32_t ref, char *key, uint32_t *len, struct error *err);

/* Writes buckets, header and preamble, syncs and renames. Fills header->sections and *file_bytes. */
int dim_writer_commit(struct dim_writer *writer, struct dimension_header *header,
    const struct dimension_bucket *buckets, uint64_t rows_xxh3, uint64_t *file_bytes, struct error *err);

/* A zeroed struct is allowed. */
void dim_writer_close(struct dim_writer *writer);

#endif
