/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Builds a dimension snapshot from a file of rows: what `penstock dim build` does.
 *
 * One pass over the input; in memory there are 16 bytes per row, 64 per four rows at the end, and the longest
 * record. The same input, options and built_ms give the same file, byte for byte. One thread.
 */
#ifndef PENSTOCK_DIM_BUILD_H
#define PENSTOCK_DIM_BUILD_H

#include "dimension.h"
#include "error.h"

#include <stddef.h>
#include <stdint.h>

enum dim_format {
	DIM_FORMAT_AUTO, /* by the file's suffix: .csv, .jsonl, .ndjson, .json */
	DIM_FORMAT_CSV,
	DIM_FORMAT_JSONL,
	DIM_FORMAT_JSON
};

struct dim_build_result {
	uint64_t n_rows;
	uint64_t file_bytes;
	uint32_t max_row_bytes;
	char name[64];
	char version[64];
};

struct dim_build_options {
	const char *from;
	enum dim_format format;
	const char *output;
	const char *key;            /* column or member that is looked up */
	const char *const *columns; /* members of the rows; n_columns = 0: all but the key */
	size_t n_columns;
	const char *name;    /* NULL: the output's file name without its suffix */
	const char *version; /* NULL: the time of the build and a hash of the rows */
	int64_t built_ms;    /* now, Unix epoch */
	/* NULL, or called every few thousand rows. Other than 0 ends the build with -ECANCELED. */
	int (*progress)(void *context, uint64_t rows, uint64_t bytes, uint64_t total_bytes);
	void *progress_context;
	struct dim_build_result *result; /* out; may be NULL */
};

/* 0, or -errno with "file:line: reason" where the input is at fault (-EBADMSG), and nothing left behind: a
 * file that was at `output` before is still there. -EINVAL for impossible options. */
int dim_build(const struct dim_build_options *options, struct error *err);

#endif
