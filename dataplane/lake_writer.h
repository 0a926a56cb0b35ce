/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lake: the set of files being written. Finds or makes the file of a record, commits all of them
 * together, and closes files that are large enough, old enough, or in the way (at most `max_open` are open:
 * the one not used for longest is closed for the next). The thread that drives the sink, except lake_create.
 */
#ifndef PENSTOCK_LAKE_WRITER_H
#define PENSTOCK_LAKE_WRITER_H

#include "clock.h"
#include "config.h"
#include "error.h"
#include "lake_file.h"

#include <stddef.h>
#include <stdint.h>

#define LAKE_MAX_OPEN 64u

struct lake_options {
	const char *directory;
	const char *node;      /* part of the files' names */
	uint64_t rotate_bytes; /* of the file on disk */
	uint64_t rotate_ns;
	enum file_compression compression;
	uint32_t max_open; /* 1..LAKE_MAX_OPEN */
	const struct clock *clock;
};

/* Where a record belongs. */
struct lake_place {
	const char *stream; /* outlives the lake; compared by address */
	uint8_t kind;       /* enum record_kind */
	int32_t day;
	const char *field; /* NULL: not partitioned further; outlives the lake */
	const char *value; /* of the field */
	uint32_t value_len;
};

struct lake_counts {
	uint64_t made, finished, recovered; /* files */
	uint64_t frames, bytes;             /* written */
	uint32_t open;
};

struct lake;

/* Makes the directory and recovers what an earlier run left in it. */
int lake_create(const struct lake_options *options, struct lake **out, struct error *err);

/* The open file of a place; valid until the next call. Making room may commit and finish another file. */
int lake_find(struct lake *lake, const struct lake_place *place, struct lake_file **out, struct error *err);

/* Everything gathered in any file to disk. On an error the other files are still tried; the first error is
 * returned. */
int lake_commit(struct lake *lake, struct error *err);

/* Finishes files that are too large or too old. Call after lake_commit. */
int lake_rotate(struct lake *lake, struct error *err);

/* Finishes all files, dropping what was not committed. NULL is allowed. */
void lake_destroy(struct lake *lake);

void lake_count(const struct lake *lake, struct lake_counts *out);

#endif
