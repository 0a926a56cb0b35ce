/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a dimension snapshot: whether buckets and rows fit each other, so that no lookup can ever
 * leave them.
 *
 * Walks the rows once and looks each of them up. As every row must be found under its own ref, and there are
 * as many entries as rows, every ref is the start of a row. Works on the copy that lookups will use, so the
 * file may change meanwhile. Control thread and tools; about 20 ns per row.
 */
#ifndef PENSTOCK_DIMENSION_CHECK_H
#define PENSTOCK_DIMENSION_CHECK_H

#include "dimension.h"

/* `dimension` has buckets, rows, counts, seed, rows_bytes and max_row_bytes set. 0 or -EBADMSG with the
 * reason. */
int dimension_check(const struct dimension *dimension, struct error *err);

#endif
