/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text as a JSON string. Any thread.
 */
#ifndef PENSTOCK_JSON_QUOTE_H
#define PENSTOCK_JSON_QUOTE_H

#include <stddef.h>

/* Writes valid UTF-8 as a JSON string with its quotes; `out` has room for 6 * len + 2 bytes. Returns how
 * many. */
size_t json_quote(char *out, const char *text, size_t len);

#endif
