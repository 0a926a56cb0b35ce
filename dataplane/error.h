/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What went wrong, in words, for whoever has to act on it.
 *
 * Functions return 0 or -errno and, where a person will read the outcome, also fill a struct error with one
 * line that names the place and the cause. Any thread; no allocation.
 */
#ifndef PENSTOCK_ERROR_H
#define PENSTOCK_ERROR_H

struct error {
	char text[512];
};

/* Writes a message, cut to what fits. `err` may be NULL. Returns `code` so that a caller can
 * `return error_set(err, -EINVAL, "...")`. */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that is there. Returns `code`. */
int error_prefix(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
