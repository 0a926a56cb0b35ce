/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Are the values what the stream declared? Presence, type, range, enum, length, format, pattern, event time.
 *
 * A struct validator is one stream's compiled constraints: built on the control thread, immutable, shared by all
 * workers. Formats and patterns live in one Hyperscan database per stream. A format with an exact check in
 * format.c, and a pattern of the plain kind that pattern.c can run itself, take that faster path; tests hold
 * those answers to the regular expression's. A null counts as absent.
 *
 * The first constraint that fails, in the order of the declaration, names the reason and the field.
 */
#ifndef PENSTOCK_VALIDATE_H
#define PENSTOCK_VALIDATE_H

#include "event.h"

struct validator;
struct hs_scratch;

/* Compiles a stream's constraints. `schema` must outlive the validator. Returns 0, -ENOMEM, or -EINVAL with the
 * line and the reason of the pattern that Hyperscan refuses. */
int validator_create(const struct schema *schema, struct validator **out, struct error *err);
void validator_destroy(struct validator *validator);

/* Makes *scratch large enough for this validator's database; call for each stream in turn with the same
 * *scratch (initially NULL), one per worker; free with validator_scratch_free(). 0 or -ENOMEM. */
int validator_scratch(const struct validator *validator, struct hs_scratch **scratch);
void validator_scratch_free(struct hs_scratch *scratch);

/* The stage: checks every live event; sets event->time_ms. No allocation, no system call. */
void validate_burst(struct validator *const *validators, struct hs_scratch *scratch, struct burst *burst);

/* Checks one event's values (also used by validate_burst). Returns the reason, and the field in *field. */
enum reason validate_event(const struct validator *validator, struct hs_scratch *scratch,
    const struct value *values, int64_t now_ms, int64_t *time_ms, int *field);

#endif
