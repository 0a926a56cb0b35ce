/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where in the lake a record goes: <stream>/{raw,enriched,dead_letter}/<YYYY-MM-DD>[/<field>=<value>],
 * relative to the lake's directory. Names that come from events are percent-encoded, so that no value can
 * leave its place. Any thread.
 */
#ifndef PENSTOCK_LAKE_PATH_H
#define PENSTOCK_LAKE_PATH_H

#include <stddef.h>
#include <stdint.h>

#define LAKE_NAME_MAX 200u /* of one encoded name; longer ones end with a hash of the whole */
#define LAKE_NAME_SIZE (LAKE_NAME_MAX + 1u)
#define LAKE_PATH_SIZE 1024u

/* The directory name of records whose event lacks the partition field, as Hive has it. */
#define LAKE_NO_VALUE "__HIVE_DEFAULT_PARTITION__"

extern const char *const lake_outputs[]; /* by enum record_kind */

/* Writes a name of 1 to LAKE_NAME_MAX characters out of [A-Za-z0-9._-] and %XX, never "." or "..", and a NUL.
 * An empty text gives LAKE_NO_VALUE. Different texts give different names. */
void lake_encode(const char *text, size_t len, char name[LAKE_NAME_SIZE]);

/* `day` counts from 1970-01-01. `field` NULL: not partitioned further. */
void lake_path(char path[LAKE_PATH_SIZE], const char *stream, uint8_t kind, int32_t day, const char *field,
    const char *value, size_t value_len);

/* The day of an event: that of its time, or of its arrival where the time is not within years 1970 to 9999.
 */
int32_t lake_day(int64_t time_ms, int64_t arrival_ms);

#endif
