/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES (256u * 1024)
#define LINE_MAX_BYTES (1024u * 1024)

/*
 * One buffer: [0, used) holds what was read, [start, used) what was not handed out yet, and that begins at
 * the start of a line. A poll hands out the complete lines of it as one packet; the beginning of a line that
 * is left moves to the front before the next read.
 */
struct source_file {
	struct source source;
	int fd;
	bool own_fd, waits; /* waits: a read could block (pipe, terminal, socket) */
	bool end;           /* the input gave its last byte */
	bool held;          /* the packet of the last poll was not released yet */
	bool skipping;      /* inside a line whose first LINE_MAX_BYTES are handed out */
	int broken;         /* -errno of a read that failed for good */
	uint16_t stream;
	uint32_t start, used;
	uint32_t scanned;                        /* no newline in [start, scanned) */
	_Atomic uint64_t packets, bytes, errors; /* worker: rw, control: ro */
	char *buffer;
};

static void count(_Atomic uint64_t *counter, uint64_t add)
{
	atomic_store_explicit(
	    counter, atomic_load_explicit(counter, memory_order_relaxed) + add, memory_order_relaxed);
}

/* Drops the rest of a line that was cut. */
static void skip(struct source_file *file)
{
	const char *newline = memchr(file->buffer + file->start, '\n', file->used - file->start);

	file->start = newline == NULL ? file->used : (uint32_t)(newline - file->buffer) + 1;
	file->scanned = file->start;
	file->skipping = newline == NULL && !file->end;
}

/* Reads one block behind what is there. Returns the bytes read, 0 where none are to be had now, or -errno. */
static int fill(struct source_file *file)
{
	ssize_t n;

	if (file->start > 0) {
		memmove(file->buffer, file->buffer + file->start, file->used - file->start);
		file->used -= file->start;
		file->scanned -= file->start;
		file->start = 0;
	}
	if (file->waits) {
		struct pollfd pollfd = {.fd = file->fd, .events = POLLIN};

		if (poll(&pollfd, 1, 0) <= 0)
			return 0;
	}
	n = read(file->fd, file->buffer + file->used, BLOCK_BYTES);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	file->end = n == 0;
	file->used += (uint32_t)n;
	return (int)n;
}

/* Length of the packet that can be handed out now, or 0. */
static uint32_t complete(struct source_file *file)
{
	uint32_t pending = file->used - file->start;
	const char *first, *last;
	uint32_t line;

	first = memchr(file->buffer + file->scanned, '\n', file->used - file->scanned);
	line = first == NULL ? pending : (uint32_t)(first - file->buffer) - file->start;
	/* Only the first line can be too long: those behind it came within one block. */
	if (line > LINE_MAX_BYTES) {
		count(&file->errors, 1);
		file->skipping = true;
		return LINE_MAX_BYTES;
	}
	if (file->end)
		return pending;
	if (first == NULL) {
		file->scanned = file->used;
		return 0;
	}
	last = memrchr(first, '\n', (size_t)(file->buffer + file->used - first));
	return (uint32_t)(last - file->buffer) + 1 - file->start;
}

static int file_poll(struct source *source, struct packet *packets, uint32_t max)
{
	struct source_file *file = (struct source_file *)source;
	uint32_t len;
	int rc;

	if (file->broken != 0)
		return file->broken;
	if (file->held || max == 0)
		return 0;
	if (file->skipping)
		skip(file);
	len = complete(file);
	if (len == 0 && !file->end) {
		rc = fill(file);
		if (rc < 0) {
			file->broken = rc;
			return error_set(&source->error, rc, "%s: read: %s", source->name, strerror(-rc));
		}
		if (file->skipping)
			skip(file);
		len = complete(file);
	}
	if (len == 0)
		return file->end ? -ENODATA : 0;
	packets[0] = (struct packet){
	    .data = file->buffer + file->start,
	    .len = len,
	    .stream = file->stream,
	    .kind = PACKET_PAYLOAD,
	    .owner = file,
	};
	file->held = true;
	file->start += len;
	file->scanned = file->start;
	count(&file->packets, 1);
	count(&file->bytes, len);
	return 1;
}

static void file_release(struct source *source, struct packet *packets, uint32_t n)
{
	(void)packets;
	if (n > 0)
		((struct source_file *)source)->held = false;
}

static void file_stats(struct source *source, struct source_stats *out)
{
	struct source_file *file = (struct source_file *)source;

	*out = (struct source_stats){
	    .packets = atomic_load_explicit(&file->packets, memory_order_relaxed),
	    .bytes = atomic_load_explicit(&file->bytes, memory_order_relaxed),
	    .errors = atomic_load_explicit(&file->errors, memory_order_relaxed),
	};
}

static void file_destroy(struct source *source)
{
	struct source_file *file = (struct source_file *)source;

	if (file->own_fd)
		(void)close(file->fd);
	free(file->buffer);
	free(file);
}

static const struct source_ops file_ops = {
    .type = "file",
    .poll = file_poll,
    .release = file_release,
    .stats = file_stats,
    .destroy = file_destroy,
};

int source_file_create(
    const char *name, const char *path, uint16_t stream, struct source **out, struct error *err)
{
	struct source_file *file;
	struct stat st;
	int rc;

	*out = NULL;
	file = calloc(1, sizeof(*file));
	if (file == NULL)
		return error_set(err, -ENOMEM, "source %s: out of memory", name);
	file->source.ops = &file_ops;
	file->source.lossless = true;
	(void)snprintf(file->source.name, sizeof(file->source.name), "%s", name);
	file->stream = stream;
	file->fd = STDIN_FILENO;
	if (strcmp(path, "-") != 0) {
		/* A FIFO without a writer must not hold up the start. */
		file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		file->own_fd = file->fd >= 0;
	}
	if (file->fd < 0 || fstat(file->fd, &st) < 0) {
		rc = error_set(err, -errno, "source %s: %s: %s", name, path, strerror(errno));
		goto err;
	}
	if (S_ISDIR(st.st_mode)) {
		rc = error_set(err, -EISDIR, "source %s: %s: is a directory", name, path);
		goto err;
	}
	file->waits = !S_ISREG(st.st_mode);
	file->buffer = malloc(LINE_MAX_BYTES + BLOCK_BYTES);
	if (file->buffer == NULL) {
		rc = error_set(err, -ENOMEM, "source %s: out of memory", name);
		goto err;
	}
	*out = &file->source;
	return 0;
err:
	file_destroy(&file->source);
	return rc;
}
