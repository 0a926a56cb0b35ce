/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Points in time as text, and as milliseconds since the Unix epoch.
 *
 * RFC 3339 date-time by its ABNF: "T" and "Z" in either case, no blank for the "T", any number of digits in
 * the fraction (cut to milliseconds, towards the past), offsets up to 23:59, years 0000 to 9999 of the
 * proleptic Gregorian calendar. Second 60 is taken only where RFC 3339 section 5.7 has leap seconds: at
 * 23:59:60 UTC on 30 June and on 31 December, in any zone whose offset is whole quarters of an hour, as every
 * zone's has been since leap seconds exist. It counts as the first second after (POSIX time has no other
 * place for it).
 *
 * Any thread; no state. Cost: a handful of nanoseconds to read, about ten to write.
 */
#ifndef PENSTOCK_TIMESTAMP_H
#define PENSTOCK_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#define TIMESTAMP_TEXT_BYTES 24u                  /* "2025-06-17T23:30:05.123Z", no NUL */
#define TIMESTAMP_MIN_MS INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define TIMESTAMP_MAX_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

/* RFC 3339 date-time. False: not that. An offset can put *ms up to a day outside MIN..MAX. */
bool timestamp_rfc3339(const char *text, uint32_t len, int64_t *ms);

/* Seconds or milliseconds since the epoch as a JSON number; what is finer than a millisecond is cut towards
 * the past. False: not a number, or outside MIN..MAX. */
bool timestamp_unix_s(const char *text, uint32_t len, int64_t *ms);
bool timestamp_unix_ms(const char *text, uint32_t len, int64_t *ms);

/* RFC 3339 full-date, "2025-06-17". */
bool timestamp_date(const char *text, uint32_t len);

/* Writes TIMESTAMP_TEXT_BYTES bytes. False, and nothing written: outside MIN..MAX. */
bool timestamp_write(int64_t ms, char *out);

#endif
