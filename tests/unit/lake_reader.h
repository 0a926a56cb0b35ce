/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads files of the lake back, for tests: decompressed by `zstd -dc`, as a user would. */
#ifndef PENSTOCK_TESTS_LAKE_READER_H
#define PENSTOCK_TESTS_LAKE_READER_H

#include <stdbool.h>
#include <stddef.h>

typedef void (*lake_reader_fn)(void *context, const char *path, const char *line, size_t len);

/* Calls `see` for every line of every file below `root` whose path contains `part`. `open`: of files that are
 * still called ".*.open"; else of the others. Returns how many files there were. A file that zstd cannot
 * read, or that does not end with a line end, fails the test; of open files the rest behind the last line end
 * is left out. */
unsigned int lake_reader_all(
    const char *root, const char *part, bool open, lake_reader_fn see, void *context);

#endif
