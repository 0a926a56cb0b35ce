/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The outside of a dimension snapshot file: preamble, header and where the sections lie.
 * docs/dimension-format.md is the specification.
 *
 * What dimension_file_open() lets through is a file of this version whose header has the right checksum, is a
 * valid FlatBuffers buffer, and whose sections lie within the file, aligned and apart, with nothing but zeros
 * between them. What is inside the sections is for dimension_check.h. Files are read, never mapped: one that
 * is cut short while it is read gives an error instead of a SIGBUS. Control thread and tools.
 */
#ifndef PENSTOCK_DIMENSION_FILE_H
#define PENSTOCK_DIMENSION_FILE_H

#include "dimension_header.h"
#include "error.h"

#include <assert.h>
#include <stdint.h>

#define DIMENSION_MAGIC "PENSTDIM"
#define DIMENSION_FORMAT_VERSION 1u
#define DIMENSION_SECTION_ALIGN 64u
#define DIMENSION_MAX_GAP 4096u /* zeros between two parts of the file */

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is read and written as it lies in memory");

struct dimension_preamble {
	char magic[8];
	uint32_t format_version;
	uint32_t header_bytes; /* of the FlatBuffers header, which follows */
	uint64_t header_xxh3;
	uint64_t reserved; /* 0 */
};
static_assert(sizeof(struct dimension_preamble) == 32, "the preamble is 32 bytes");

struct dimension_file {
	int fd;
	uint64_t bytes;
	struct dimension_header header;
	struct dimension_section buckets, rows;
};

/* 0; -EBADMSG or -EPROTONOSUPPORT with what is wrong; -ENOMEM; or the errno of opening or reading. The
 * message does not name the file: the caller does. */
int dimension_file_open(const char *path, struct dimension_file *out, struct error *err);

/* Reads a whole section to `to` and checks its checksum. `what` is its name in messages. */
int dimension_file_read(const struct dimension_file *file, const struct dimension_section *section,
    const char *what, void *to, struct error *err);

/* After a successful open, once. */
void dimension_file_close(struct dimension_file *file);

#endif
