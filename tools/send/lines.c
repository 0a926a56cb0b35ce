/* SPDX-License-Identifier: BSD-3-Clause */
#include "send/lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void lines_init(struct lines *lines, int fd)
{
	lines->fd = fd;
	lines->at_end = false;
	lines->number = 0;
	lines->start = lines->end = 0;
}

int lines_fill(struct lines *lines, struct error *err)
{
	ssize_t got;

	if (lines->end - lines->start >= LINES_MAX)
		return error_set(err, -EMSGSIZE, "line %llu is longer than %u bytes",
		    (unsigned long long)lines->number + 1, LINES_MAX);
	memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
	lines->end -= lines->start;
	lines->start = 0;
	got = read(lines->fd, lines->buffer + lines->end, sizeof(lines->buffer) - lines->end);
	if (got < 0)
		return error_set(err, -errno, "cannot read: %s", strerror(errno));
	lines->end += (size_t)got;
	lines->at_end = got == 0;
	return 0;
}

bool lines_take(struct lines *lines, const char **line, size_t *len)
{
	for (;;) {
		const char *start = lines->buffer + lines->start;
		size_t rest = lines->end - lines->start;
		const char *newline = memchr(start, '\n', rest);

		if (newline == NULL && (rest == 0 || !lines->at_end))
			return false;
		*line = start;
		*len = newline != NULL ? (size_t)(newline - start) : rest;
		lines->start += *len + (newline != NULL);
		lines->number++;
		if (*len > 0)
			return true;
	}
}

int lines_next(struct lines *lines, const char **line, size_t *len, struct error *err)
{
	while (!lines_take(lines, line, len)) {
		int ret = lines->at_end ? 0 : lines_fill(lines, err);

		if (lines->at_end || ret != 0)
			return ret != 0 ? ret : lines_take(lines, line, len);
	}
	return 1;
}
