/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of a file, in place: no copy per line. A last line without a newline counts; empty lines are stepped
 * over.
 */
#ifndef PENSTOCK_SEND_LINES_H
#define PENSTOCK_SEND_LINES_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_BUFFER (1u << 20)
#define LINES_MAX (LINES_BUFFER / 2) /* the longest line that can be read */

struct lines {
	int fd;
	bool at_end;
	uint64_t number; /* of the line last returned, from 1 */
	size_t start, end;
	char buffer[LINES_BUFFER];
};

void lines_init(struct lines *lines, int fd);

/* The next line, without its newline, valid until the next call. Returns 1, 0 at the end, or -errno: of
 * reading, or -EMSGSIZE for a line longer than LINES_MAX; -EINTR when a signal came while waiting. */
int lines_next(struct lines *lines, const char **line, size_t *len, struct error *err);

/* The two halves of it, for who has to wait for more than the file: the next line of what has been read, if there is a
 * whole one; and one read(), after which lines returned before are not valid any more and `at_end` says whether there is
 * more to come. */
bool lines_take(struct lines *lines, const char **line, size_t *len);
int lines_fill(struct lines *lines, struct error *err);

#endif
