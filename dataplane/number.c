/* SPDX-License-Identifier: BSD-3-Clause */
#include "number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A double is decided by at most 767 significant digits and whether anything follows them. */
#define SIGNIFICANT_DIGITS 800
#define MANTISSA_DIGITS 19 /* fit in 64 bits */

/* value = mantissa * 10^exponent, plus less than one unit of the mantissa if `inexact`. */
struct decimal {
	uint64_t mantissa;
	int64_t exponent;
	bool negative;
	bool inexact;    /* a digit other than 0 did not fit */
	bool dropped;    /* some digit did not fit */
	uint32_t digits; /* offset of the first character after the sign */
	uint32_t end;    /* offset of the exponent part, or the length */
};

static inline bool is_digit(char c)
{
	return (unsigned char)(c - '0') <= 9;
}

/* The exponent part "[eE][+-]?[0-9]+". It saturates far beyond any length that text can have. */
static bool parse_exponent(const char *text, uint32_t len, uint32_t at, int64_t *out)
{
	const int64_t limit = INT64_C(1000000000000000);
	bool negative = false;
	int64_t exponent = 0;

	at++;
	if (at < len && (text[at] == '+' || text[at] == '-'))
		negative = text[at++] == '-';
	if (at == len)
		return false;
	for (; at < len; at++) {
		if (!is_digit(text[at]))
			return false;
		if (exponent < limit)
			exponent = exponent * 10 + (text[at] - '0');
	}
	*out = negative ? -exponent : exponent;
	return true;
}

static bool parse(const char *text, uint32_t len, struct decimal *d)
{
	uint32_t at = 0, n = 0;
	int64_t explicit = 0;
	bool fraction = false;

	*d = (struct decimal){0};
	if (at < len && text[at] == '-') {
		d->negative = true;
		at++;
	}
	d->digits = at;
	if (at == len || !is_digit(text[at]))
		return false;
	if (text[at] == '0' && at + 1 < len && is_digit(text[at + 1]))
		return false;
	for (; at < len; at++) {
		char c = text[at];

		if (is_digit(c)) {
			if (n < MANTISSA_DIGITS) {
				d->mantissa = d->mantissa * 10 + (uint64_t)(c - '0');
				n += d->mantissa != 0;
				d->exponent -= fraction;
			} else {
				d->dropped = true;
				d->inexact |= c != '0';
				d->exponent += !fraction;
			}
		} else if (c == '.' && !fraction) {
			fraction = true;
			if (at + 1 == len || !is_digit(text[at + 1]))
				return false;
		} else {
			break;
		}
	}
	d->end = at;
	if (at == len)
		return true;
	if ((text[at] | 0x20) != 'e' || !parse_exponent(text, len, at, &explicit))
		return false;
	d->exponent += explicit;
	return true;
}

/* strtod() on the significant digits as an integer with an exponent: without a point there is no locale in
 * it. */
static double slow_double(const char *text, const struct decimal *d)
{
	char copy[SIGNIFICANT_DIGITS + 32];
	int64_t exponent = d->exponent;
	bool rest = false;
	uint32_t n = 0;

	/* d->exponent belongs to the first 19 significant digits. */
	for (uint32_t i = d->digits; i < d->end; i++) {
		if (text[i] == '.' || (n == 0 && text[i] == '0'))
			continue;
		if (n < SIGNIFICANT_DIGITS) {
			copy[n++] = text[i];
			exponent -= n > MANTISSA_DIGITS;
		} else {
			rest |= text[i] != '0';
		}
	}
	if (rest) {
		copy[n++] = '1';
		exponent--;
	}
	if (exponent > 100000)
		exponent = 100000;
	if (exponent < -100000)
		exponent = -100000;
	(void)snprintf(copy + n, sizeof(copy) - n, "e%" PRId64, exponent);
	return strtod(copy, NULL);
}

bool number_double(const char *text, uint32_t len, double *out)
{
	static const double power[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
	    1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	struct decimal d;
	double value;

	if (!parse(text, len, &d))
		return false;
	if (d.mantissa == 0)
		value = 0;
	else if (d.mantissa <= UINT64_C(1) << 53 && d.exponent >= -22 && d.exponent <= 22)
		value = d.exponent < 0 ? (double)d.mantissa / power[-d.exponent]
		                       : (double)d.mantissa * power[d.exponent];
	else
		value = slow_double(text, &d);
	*out = d.negative ? -value : value;
	return true;
}

static bool apply_sign(uint64_t magnitude, bool negative, int64_t *out)
{
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

bool number_int64(const char *text, uint32_t len, int64_t *out)
{
	bool negative = len > 0 && text[0] == '-';
	uint32_t at = negative;
	uint64_t value = 0;

	/* 19 digits cannot overflow 64 bits. */
	if (at == len || len - at > 19 || (text[at] == '0' && len - at > 1))
		return false;
	for (; at < len; at++) {
		if (!is_digit(text[at]))
			return false;
		value = value * 10 + (uint64_t)(text[at] - '0');
	}
	return apply_sign(value, negative, out);
}

bool number_scaled(const char *text, uint32_t len, int shift, int64_t *out)
{
	struct decimal d;
	uint64_t value;
	bool rest;

	if (!parse(text, len, &d))
		return false;
	value = d.mantissa;
	rest = d.inexact;
	d.exponent += shift;
	if (value != 0 && d.exponent > 0) {
		if (d.dropped || d.exponent > 18)
			return false;
		for (; d.exponent > 0; d.exponent--)
			if (__builtin_mul_overflow(value, 10, &value))
				return false;
	}
	for (; value != 0 && d.exponent < 0; d.exponent++) {
		rest |= value % 10 != 0;
		value /= 10;
	}
	/* Down to the integer below, on both sides of zero. A magnitude of 10^19 at most cannot wrap. */
	return apply_sign(value + (d.negative && rest), d.negative, out);
}
