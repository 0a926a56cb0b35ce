/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a scalar of the configuration says: numbers, durations, sizes, truth values, and ${NAME} from the
 * environment. Works on text alone; places and YAML are config_reader.h's. Any thread; linear in the text.
 */
#ifndef PENSTOCK_CONFIG_SCALAR_H
#define PENSTOCK_CONFIG_SCALAR_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCALAR_MAX_BYTES 65536u /* of an expanded scalar */
#define SCALAR_QUOTE_BYTES 80u  /* of a quoted excerpt */

enum scalar_kind { SCALAR_NULL, SCALAR_BOOLEAN, SCALAR_INTEGER, SCALAR_NUMBER, SCALAR_STRING };

/* What a plain (unquoted) scalar is by YAML 1.2's core schema, decimal numbers only. */
enum scalar_kind scalar_kind(const char *text);

/* Each is true if the whole text is one of those. A duration is a whole number and ms, s, m, h or d; a size
 * is a whole number of bytes, or with kB, MB, GB, KiB, MiB or GiB. */
bool scalar_boolean(const char *text, bool *out);
bool scalar_unsigned(const char *text, uint64_t *out);
bool scalar_number(const char *text, double *out);
bool scalar_duration(const char *text, int64_t *out_ms);
bool scalar_size(const char *text, uint64_t *out_bytes);

/* Replaces ${NAME} by the environment's NAME, and $${ by ${. `*out` is for free(). `*substituted` says
 * whether a NAME was replaced. 0, -ENOMEM, -EINVAL with the reason alone in `err`. */
int scalar_expand(const char *text, size_t len, char **out, bool *substituted, struct error *err);

/* The text in quotes for a message: control characters shown as '?', cut at a character's boundary. Returns
 * `out`. */
const char *scalar_quote(const char *text, char out[SCALAR_QUOTE_BYTES]);

/* The entry of `known` (`n` names) that `text` was probably meant to be, or NULL. */
const char *scalar_nearest(const char *text, const char *const *known, size_t n);

/* Whether `len` bytes are UTF-8 (RFC 3629). If not, *bad is the offset of the first wrong byte. */
bool scalar_is_utf8(const char *text, size_t len, size_t *bad);

#endif
