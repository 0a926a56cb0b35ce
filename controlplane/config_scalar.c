/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAREST_MAX 32u /* longer names are not compared */

bool scalar_boolean(const char *text, bool *out)
{
	static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False", "FALSE"};

	for (size_t i = 0; i < 3; i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*out = strcmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

/* Digits at the start of the text, without superfluous zeros; *end is what follows. */
static bool leading_unsigned(const char *text, uint64_t *out, const char **end)
{
	uint64_t value = 0;
	const char *p = text;

	for (; isdigit((unsigned char)*p); p++) {
		unsigned int digit = (unsigned int)(*p - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (p == text || (text[0] == '0' && p - text > 1))
		return false;
	*out = value;
	*end = p;
	return true;
}

bool scalar_unsigned(const char *text, uint64_t *out)
{
	const char *end;

	return leading_unsigned(text, out, &end) && *end == '\0';
}

bool scalar_number(const char *text, double *out)
{
	const char *p = text;
	char *end;

	/* The form of a JSON number: strtod() alone would also take "nan", "0x1p3" and the locale's comma. */
	p += *p == '-' || *p == '+';
	if (!isdigit((unsigned char)*p) || (*p == '0' && isdigit((unsigned char)p[1])))
		return false;
	p += strspn(p, "0123456789");
	if (*p == '.') {
		size_t digits = strspn(p + 1, "0123456789");

		if (digits == 0)
			return false;
		p += 1 + digits;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '-' || *p == '+';
		if (!isdigit((unsigned char)*p))
			return false;
		p += strspn(p, "0123456789");
	}
	if (*p != '\0')
		return false;
	*out = strtod(text, &end);
	return *end == '\0' && isfinite(*out);
}

static bool is_integer(const char *text)
{
	text += *text == '-' || *text == '+';
	return isdigit((unsigned char)*text) && !(*text == '0' && text[1] != '\0') &&
	       text[strspn(text, "0123456789")] == '\0';
}

enum scalar_kind scalar_kind(const char *text)
{
	double number;
	bool boolean;

	if (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
	    strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0)
		return SCALAR_NULL;
	if (scalar_boolean(text, &boolean))
		return SCALAR_BOOLEAN;
	if (is_integer(text))
		return SCALAR_INTEGER;
	return scalar_number(text, &number) ? SCALAR_NUMBER : SCALAR_STRING;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static bool with_unit(const char *text, const struct unit *units, size_t n, uint64_t max, uint64_t *out)
{
	uint64_t value;
	const char *end;

	if (!leading_unsigned(text, &value, &end))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(end, units[i].name) == 0) {
			if (value > max / units[i].factor)
				return false;
			*out = value * units[i].factor;
			return true;
		}
	}
	return false;
}

bool scalar_duration(const char *text, int64_t *out_ms)
{
	static const struct unit units[] = {
	    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	uint64_t value;

	if (!with_unit(text, units, sizeof(units) / sizeof(units[0]), INT64_MAX, &value))
		return false;
	*out_ms = (int64_t)value;
	return true;
}

bool scalar_size(const char *text, uint64_t *out_bytes)
{
	static const struct unit units[] = {{"", 1}, {"kB", 1000}, {"MB", 1000000}, {"GB", 1000000000},
	    {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}};

	return with_unit(text, units, sizeof(units) / sizeof(units[0]), UINT64_MAX, out_bytes);
}

/* The variable's name between ${ and }; 0 if what is there is not a name. */
static size_t name_length(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && (isalnum((unsigned char)text[n]) || text[n] == '_'))
		n++;
	return n > 0 && !isdigit((unsigned char)text[0]) ? n : 0;
}

int scalar_expand(const char *text, size_t len, char **out, bool *substituted, struct error *err)
{
	char name[256], *result = NULL;
	size_t size = 0, n;
	FILE *stream;
	int rc = 0;

	*substituted = false;
	*out = NULL;
	stream = open_memstream(&result, &size);
	if (stream == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < len && rc == 0;) {
		const char *value;

		if (len - i >= 3 && memcmp(text + i, "$${", 3) == 0) {
			(void)fputs("${", stream);
			i += 3;
			continue;
		}
		if (len - i < 2 || memcmp(text + i, "${", 2) != 0) {
			(void)fputc(text[i++], stream);
			continue;
		}
		n = name_length(text + i + 2, len - i - 2);
		if (n == 0 || n >= sizeof(name) || i + 2 + n >= len || text[i + 2 + n] != '}') {
			rc = error_set(err, -EINVAL,
			    "\"${\" must be followed by a variable's name and \"}\"; write \"$${\" for the "
			    "characters themselves");
			break;
		}
		memcpy(name, text + i + 2, n);
		name[n] = '\0';
		value = getenv(name);
		if (value == NULL)
			rc = error_set(err, -EINVAL, "the environment has no variable %.64s", name);
		else
			(void)fputs(value, stream);
		*substituted = true;
		i += n + 3;
		if (ftello(stream) > (off_t)SCALAR_MAX_BYTES)
			rc = error_set(err, -EINVAL, "longer than %u bytes", SCALAR_MAX_BYTES);
	}
	if (fclose(stream) != 0 && rc == 0)
		rc = error_set(err, -ENOMEM, "out of memory");
	if (rc == 0 && size > SCALAR_MAX_BYTES)
		rc = error_set(err, -EINVAL, "longer than %u bytes", SCALAR_MAX_BYTES);
	if (rc == 0 && strlen(result) != size)
		rc = error_set(err, -EINVAL, "a NUL character is not allowed");
	if (rc == 0 && !scalar_is_utf8(result, size, &n))
		rc = error_set(err, -EINVAL, "not UTF-8");
	if (rc == 0)
		*out = result;
	else
		free(result);
	return rc;
}

const char *scalar_quote(const char *text, char out[SCALAR_QUOTE_BYTES])
{
	size_t room = SCALAR_QUOTE_BYTES - sizeof("\"...\""), len = strlen(text), n = len < room ? len : room;
	size_t used = 0;

	while (n < len && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	out[used++] = '"';
	for (size_t i = 0; i < n; i++)
		out[used++] = iscntrl((unsigned char)text[i]) ? '?' : text[i];
	if (n < len) {
		memcpy(out + used, "...", 3);
		used += 3;
	}
	out[used++] = '"';
	out[used] = '\0';
	return out;
}

/* Edits (insert, delete, replace, swap neighbours) from a to b, both at most NEAREST_MAX long. */
static unsigned int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned int row[3][NEAREST_MAX + 1];

	for (unsigned int j = 0; j <= b_len; j++)
		row[0][j] = j;
	for (unsigned int i = 1; i <= a_len; i++) {
		unsigned int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[a_len % 3][b_len];
}

const char *scalar_nearest(const char *text, const char *const *known, size_t n)
{
	size_t len = strlen(text);
	unsigned int best = len <= 3 ? 2 : 3; /* at most one or two edits */
	const char *nearest = NULL;

	if (len == 0 || len > NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t known_len = strlen(known[i]);
		unsigned int edits;

		if (known_len > NEAREST_MAX)
			continue;
		edits = distance(text, len, known[i], known_len);
		if (edits < best && edits < known_len) {
			best = edits;
			nearest = known[i];
		}
	}
	return nearest;
}

bool scalar_is_utf8(const char *text, size_t len, size_t *bad)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};

	for (size_t i = 0; i < len;) {
		unsigned char lead = (unsigned char)text[i];
		size_t width = lead < 0x80   ? 1
		               : lead < 0xc0 ? 0
		               : lead < 0xe0 ? 2
		               : lead < 0xf0 ? 3
		               : lead < 0xf8 ? 4
		                             : 0;
		uint32_t code = width == 1 ? lead : width == 0 ? 0 : lead & (0x7fu >> width);

		*bad = i;
		if (width == 0 || width > len - i)
			return false;
		for (size_t j = 1; j < width; j++) {
			unsigned char next = (unsigned char)text[i + j];

			if ((next & 0xc0) != 0x80)
				return false;
			code = code << 6 | (next & 0x3fu);
		}
		if (code < smallest[width] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return false;
		i += width;
	}
	return true;
}
