/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_SIZE (1u << 20)

static uint64_t count_lines(const char *bytes, size_t n)
{
	const char *end = bytes + n;
	uint64_t lines = 0;

	while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
		lines++;
		bytes++;
	}
	return lines;
}

int input_open(struct input *input, const char *path, struct error *err)
{
	struct stat st;
	int rc;

	memset(input, 0, sizeof(*input));
	input->path = path;
	input->line = 1;
	input->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (input->fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(input->fd, &st) != 0) {
		rc = error_set(err, -errno, "%s: %s", path, strerror(errno));
		goto err;
	}
	input->total = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	(void)posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	input->size = FIRST_SIZE;
	input->buffer = malloc(input->size);
	if (input->buffer == NULL) {
		rc = error_set(err, -ENOMEM, "%s: no memory", path);
		goto err;
	}
	while (!input->eof && input_length(input) < 3) {
		rc = input_more(input, err);
		if (rc != 0)
			goto err;
	}
	if (input_length(input) >= 3 && memcmp(input_window(input), "\xef\xbb\xbf", 3) == 0)
		input_consume(input, 3);
	return 0;
err:
	input_close(input);
	return rc;
}

void input_close(struct input *input)
{
	if (input->fd >= 0)
		(void)close(input->fd);
	free(input->buffer);
	input->fd = -1;
	input->buffer = NULL;
}

static int make_room(struct input *input, struct error *err)
{
	char *larger;

	if (input->start > 0) {
		memmove(input->buffer, input_window(input), input_length(input));
		input->end -= input->start;
		input->start = 0;
	}
	if (input->end < input->size)
		return 0;
	if (input->size >= INPUT_MAX_RECORD)
		return input_error(input, 0, err, -E2BIG, "a record of more than %u bytes", INPUT_MAX_RECORD);
	larger = realloc(input->buffer, input->size * 2);
	if (larger == NULL)
		return error_set(err, -ENOMEM, "%s: no memory", input->path);
	input->buffer = larger;
	input->size *= 2;
	return 0;
}

int input_more(struct input *input, struct error *err)
{
	ssize_t n;
	int rc = make_room(input, err);

	if (rc != 0)
		return rc;
	do
		n = read(input->fd, input->buffer + input->end, input->size - input->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set(err, -errno, "%s: cannot read: %s", input->path, strerror(errno));
	if (n == 0)
		input->eof = true;
	input->end += (size_t)n;
	return 0;
}

void input_consume(struct input *input, size_t n)
{
	input->line += count_lines(input_window(input), n);
	input->start += n;
	input->consumed += n;
}

uint64_t input_line(const struct input *input, size_t offset)
{
	return input->line + count_lines(input_window(input), offset);
}

int input_error(const struct input *input, size_t offset, struct error *err, int code, const char *fmt, ...)
{
	char reason[384];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	return error_set(err, code, "%s:%lu: %s", input->path, input_line(input, offset), reason);
}
