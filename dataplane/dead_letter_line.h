/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dead letter as one line of NDJSON, for files: {"stage","reason","message","stream","timestamp","replays"}
 * and the original bytes as "value" where they are valid UTF-8, else as "value_base64". Sink thread; copies,
 * no allocation.
 */
#ifndef PENSTOCK_DEAD_LETTER_LINE_H
#define PENSTOCK_DEAD_LETTER_LINE_H

#include "batch.h"

#include <stddef.h>

/* An upper bound of what dead_letter_line() writes. */
size_t dead_letter_line_max(const char *stream, const struct batch_event *event);

/* Writes the line without a line end; returns its length. */
size_t dead_letter_line(
    char *out, const char *stream, const struct batch *batch, const struct batch_event *event);

#endif
