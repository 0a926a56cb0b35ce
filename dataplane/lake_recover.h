/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Puts the lake in order after a crash: every file that an earlier run left open (".*.open", not locked by
 * anyone) is cut to its last whole zstd frame, or its last whole line, and given its name; one without any is
 * removed. At start-up; reads the files it finds once, at the speed of zstd.
 */
#ifndef PENSTOCK_LAKE_RECOVER_H
#define PENSTOCK_LAKE_RECOVER_H

#include "error.h"

#include <stdint.h>

struct lake_recovered {
	uint32_t files;     /* given their names */
	uint32_t removed;   /* held nothing whole */
	uint64_t cut_bytes; /* torn off the ends */
};

/* A root that does not exist holds nothing. `out` counts up. */
int lake_recover(const char *root, struct lake_recovered *out, struct error *err);

/* Length of the whole frames (or lines, if not `compressed`) at the start of a file. -errno. */
int64_t lake_whole_bytes(int fd, int compressed);

#endif
