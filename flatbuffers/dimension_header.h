/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The FlatBuffers header of a dimension snapshot (dimension.fbs) as plain C.
 *
 * Any thread; control path only. Decoding goes through flatbuffers::Verifier and checks every string; where
 * the sections lie is for dimension_file.h to check.
 */
#ifndef PENSTOCK_DIMENSION_HEADER_H
#define PENSTOCK_DIMENSION_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "error.h"

#define DIMENSION_HEADER_MAX_BYTES (1u << 20)
#define DIMENSION_MAX_COLUMNS 1024u
#define DIMENSION_MAX_SECTIONS 16u
#define DIMENSION_NAME_SIZE 64u /* of name and version, with the NUL */

enum dimension_section_kind { DIMENSION_SECTION_BUCKETS = 1, DIMENSION_SECTION_ROWS = 2 };

struct dimension_section {
	uint16_t kind; /* enum dimension_section_kind; others are from later versions */
	uint64_t offset;
	uint64_t length;
	uint64_t xxh3;
};

struct dimension_header {
	char name[DIMENSION_NAME_SIZE];
	char version[DIMENSION_NAME_SIZE];
	char tool_version[DIMENSION_NAME_SIZE];
	char *key_column;
	char **columns; /* n_columns = 0: rows hold whatever members they came with */
	size_t n_columns;
	uint64_t n_rows;
	uint64_t n_buckets;
	uint64_t seed;
	uint32_t max_row_bytes;
	int64_t built_ms;
	struct dimension_section sections[DIMENSION_MAX_SECTIONS];
	size_t n_sections;
};

/* Whether `text` can be a name or version: 1 to 63 of A-Z a-z 0-9 . _ : + - (so that it needs no escape in
 * JSON, in a metric's label or in a path). */
bool dimension_name_valid(const char *text);

/* Reads a header. On success the struct owns its strings: dimension_header_free(). 0, -EBADMSG with the
 * reason, or -ENOMEM; on failure there is nothing to free. */
int dimension_header_decode(const void *bytes, size_t len, struct dimension_header *out, struct error *err);

/* Writes a header; *out is for free(). Two headers whose strings have the same lengths encode to the same
 * length. 0 or -ENOMEM. */
int dimension_header_encode(const struct dimension_header *header, uint8_t **out, size_t *len);

/* A zeroed struct is allowed. */
void dimension_header_free(struct dimension_header *header);

#ifdef __cplusplus
}
#endif

#endif
