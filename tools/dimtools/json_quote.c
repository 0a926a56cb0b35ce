/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/json_quote.h"

#include <stdint.h>
#include <string.h>

/* The letter of a two-character escape, or 0. */
static char short_escape(uint8_t byte)
{
	switch (byte) {
	case '"':
	case '\\':
		return (char)byte;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return 0;
	}
}

size_t json_quote(char *out, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char *to = out;

	*to++ = '"';
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)text[i];

		if (byte >= 0x20 && byte != '"' && byte != '\\') {
			*to++ = (char)byte;
			continue;
		}
		*to++ = '\\';
		*to = short_escape(byte);
		if (*to != 0) {
			to++;
			continue;
		}
		memcpy(to, "u00", 3);
		to[3] = hex[byte >> 4];
		to[4] = hex[byte & 15];
		to += 5;
	}
	*to++ = '"';
	return (size_t)(to - out);
}
