/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ways in which the generator breaks an event, each with the reason that the appliance must give for it.
 * Each variant breaks exactly one thing of an otherwise well-formed event, and none puts a newline into it.
 *
 * Values that depend on a stream's declarations (enum, pattern, format, lengths, range, event time) follow
 * the example configurations in docs/examples.
 */
#ifndef PENSTOCK_GEN_MALFORMED_H
#define PENSTOCK_GEN_MALFORMED_H

#include "gen/draft.h"

/* How many variants a stream has. */
uint32_t malformed_variants(enum gen_stream stream);

/* The reason for, and the name of, a variant below malformed_variants(). */
enum reason malformed_reason(enum gen_stream stream, uint32_t variant);
const char *malformed_name(enum gen_stream stream, uint32_t variant);

/* Breaks a well-formed draft and writes it to `out` (GEN_EVENT_MAX bytes). now_ms is the event time that the
 * draft was made for. Returns the length. */
size_t malformed_write(enum gen_stream stream, uint32_t variant, struct draft *draft, int64_t now_ms,
    struct rng *rng, char *out);

#endif
