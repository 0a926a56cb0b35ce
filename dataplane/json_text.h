/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of JSON strings: escapes and UTF-8.
 *
 * Shared by the reference parser and the fast path. Any thread; no allocation; nothing is read outside the
 * bytes given.
 */
#ifndef PENSTOCK_JSON_TEXT_H
#define PENSTOCK_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#define JSON_ESCAPE_MAX_OUTPUT 4u /* bytes that one escape (or surrogate pair) can decode to */

/* Length of the valid UTF-8 sequence at `p` (1 to 4), or 0 if there is none. p < end. */
uint32_t json_utf8_sequence(const char *p, const char *end);

/* Whether all of it is valid UTF-8. */
bool json_utf8_valid(const char *data, uint32_t len);

/* Decodes the escape at `p`, where a backslash stands; a surrogate pair is one escape. Returns how many bytes
 * it takes (2, 6 or 12), or 0 if it is invalid. Writes what it stands for to out[0..*out_len). */
uint32_t json_escape(const char *p, const char *end, char out[JSON_ESCAPE_MAX_OUTPUT], uint32_t *out_len);

/* Decodes the content of a string. `out` needs room for `len` bytes; NULL only checks. Returns false if an
 * escape is invalid. */
bool json_unescape(const char *text, uint32_t len, char *out, uint32_t *out_len);

#endif
