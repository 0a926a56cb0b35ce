/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file read from front to back through one window that grows to hold the record at hand, with line numbers.
 *
 * A reader looks at the window, asks for more until it holds a whole record, and consumes that. One thread.
 */
#ifndef PENSTOCK_INPUT_H
#define PENSTOCK_INPUT_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_MAX_RECORD (16u << 20)

struct input {
	const char *path; /* the caller's; for messages */
	int fd;
	uint64_t total;    /* size of the file, 0 where it has none */
	uint64_t consumed; /* bytes */
	uint64_t line;     /* of the first byte in the window, from 1 */
	char *buffer;
	size_t start, end; /* the window: buffer[start..end) */
	size_t size;
	bool eof; /* the window reaches to the end of the file */
};

/* Opens the file; a UTF-8 byte order mark at its start is stepped over. `path` must stay. 0 or -errno. */
int input_open(struct input *input, const char *path, struct error *err);
void input_close(struct input *input);

/* Makes the window longer, or sets eof. Pointers into the window are void afterwards. 0; -E2BIG when it would
 * pass INPUT_MAX_RECORD; or the errno of reading. */
int input_more(struct input *input, struct error *err);

static inline const char *input_window(const struct input *input)
{
	return input->buffer + input->start;
}

static inline size_t input_length(const struct input *input)
{
	return input->end - input->start;
}

/* Takes `n` bytes off the front of the window and counts their lines. */
void input_consume(struct input *input, size_t n);

/* The line of the byte `offset` of the window. */
uint64_t input_line(const struct input *input, size_t offset);

/* Sets "path:LINE: message", where LINE is that of the byte `offset` of the window. Returns `code`. */
int input_error(const struct input *input, size_t offset, struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#endif
