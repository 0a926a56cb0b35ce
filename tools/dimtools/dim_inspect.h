/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks into a snapshot file: what `penstock dim inspect` prints. The file is loaded as the daemon would, so
 * that what is printed has passed every check. One thread.
 */
#ifndef PENSTOCK_DIM_INSPECT_H
#define PENSTOCK_DIM_INSPECT_H

#include "error.h"

#include <stdbool.h>
#include <stdio.h>

/* Prints what the header says, as lines or as one JSON object. 0 or -errno with the reason. */
int dim_inspect_header(const char *path, bool json, FILE *out, struct error *err);

/* Prints the row of a key; with `json` inside an object that also says which snapshot it is from. 0; -ENOENT
 * when there is no such key; or another -errno with the reason. */
int dim_inspect_key(const char *path, const char *key, bool json, FILE *out, struct error *err);

#endif
