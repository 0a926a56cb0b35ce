/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decimal text to numbers, exactly: JSON's number grammar (RFC 8259), no locale, no allocation.
 *
 * Any thread. Cost: about 1 ns per digit; number_double() takes the exact short way (Clinger: at most 2^53
 * times or over a power of ten up to 10^22) and else goes through strtod() with a bounded copy, some 100 ns.
 */
#ifndef PENSTOCK_NUMBER_H
#define PENSTOCK_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* The nearest double, as strtod() in the "C" locale rounds; infinite past the largest. False: not a JSON
 * number. */
bool number_double(const char *text, uint32_t len, double *out);

/* The integer text "-?(0|[1-9][0-9]*)". False: not that, or not in int64_t. */
bool number_int64(const char *text, uint32_t len, int64_t *out);

/* floor(value * 10^shift). False: not a JSON number, or the result is not in int64_t. |shift| <= 18. */
bool number_scaled(const char *text, uint32_t len, int shift, int64_t *out);

#endif
