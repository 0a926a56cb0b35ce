/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Are the values what the stream declared? Presence, type, range, enum, length, format, pattern, event time.
 *
 * A struct validator is one stream's compiled constraints: built on the control thread, immutable, shared by
 * all workers. Formats are checked by format.c and patterns of the plain kind by pattern.c, which tests hold
 * to the regular expressions' answers; every other pattern lives in one Hyperscan database per stream.
 *
 * The first constraint that fails, in the order of the declaration, names the reason and the field. A null
 * counts as absent, and of an absent field only `required` is asked. Within a field the order is: required,
 * type, enum, min and max, min_length and max_length, format, pattern, and for the stream's timestamp field
 * the event time.
 *
 * Type: `integer` takes a JSON number without fraction and exponent, `number` takes any. Range: an integer
 * that fits 64 bits is compared with the bound exactly, any other number as the nearest double. Length:
 * Unicode code points.
 *
 * Event time: with timestamp format rfc3339 the field is a string (timestamp.h says which); with unix_s and
 * unix_ms it is what its declared type says, a number or a string that holds one. It lies in the years 0000
 * to 9999 and no further from now than max_past and max_future. Without a timestamp field, or where the event
 * leaves it out, the event time is now.
 *
 * Cost: 2 to 8 ns per declared field; 40 to 200 ns for a pattern that needs Hyperscan.
 */
#ifndef PENSTOCK_VALIDATE_H
#define PENSTOCK_VALIDATE_H

#include "event.h"

struct validator;
struct hs_scratch;

/* Compiles a stream's constraints. `schema` must outlive the validator. Returns 0; -ENOMEM; -ENOTSUP where
 * Hyperscan is needed and cannot run; -EINVAL with the line, the field and the reason: a pattern that
 * Hyperscan refuses, or a constraint that the field's type does not have (config_load() has checked those).
 */
int validator_create(const struct schema *schema, struct validator **out, struct error *err);
void validator_destroy(struct validator *validator);

/* Makes *scratch large enough for this validator's database; call for each stream in turn with the same
 * *scratch (initially NULL), one per worker; free with validator_scratch_free(). It stays NULL while no
 * stream needs one. 0 or -ENOMEM. */
int validator_scratch(const struct validator *validator, struct hs_scratch **scratch);
void validator_scratch_free(struct hs_scratch *scratch);

/* The stage: checks every live event. Sets event->time_ms of all events of the burst; of those that have
 * ended, here or before, it is the event time if that was found valid and else burst->now_ms. No allocation,
 * no system call. */
void validate_burst(struct validator *const *validators, struct hs_scratch *scratch, struct burst *burst);

/* Checks one event's values (also used by validate_burst). Strings are valid UTF-8 and numbers are JSON
 * numbers, as the parser leaves them. Returns the reason, and in *field the field that it is about or
 * SCHEMA_NO_FIELD. */
enum reason validate_event(const struct validator *validator, struct hs_scratch *scratch,
    const struct value *values, int64_t now_ms, int64_t *time_ms, int *field);

#endif
