/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The string formats that a field can declare: for each an exact check by hand, and beside it the regular
 * expression that says the same. The check is what runs; a test holds it to the expression, as Hyperscan
 * reads it.
 *
 * Any thread; no state, no allocation. Cost: uuid 4 ns, rfc3339 8, date 5, ipv4 11; ipv6, hostname and email
 * 15 to 25 at common lengths.
 */
#ifndef PENSTOCK_FORMAT_H
#define PENSTOCK_FORMAT_H

#include "config.h"

struct format_info {
	const char *regex;
	uint32_t max_bytes; /* a bound that the expression cannot say; 0: none */
};

/* `format` is one of enum field_format, not FORMAT_NONE. */
const struct format_info *format_info(enum field_format format);

/* FORMAT_NONE: true. */
bool format_check(enum field_format format, const char *text, uint32_t len);

/* One by one, for callers that know which. */
bool format_uuid(const char *text, uint32_t len);
bool format_ipv4(const char *text, uint32_t len);
bool format_ipv6(const char *text, uint32_t len);
bool format_hostname(const char *text, uint32_t len);
bool format_email(const char *text, uint32_t len);

#endif
