/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the journal asks of a directory and its files, as a function table: tests put a disk behind it that
 * fails, fills up, writes half and forgets what was not synced. All functions return -errno on failure.
 */
#ifndef PENSTOCK_JOURNAL_IO_H
#define PENSTOCK_JOURNAL_IO_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct journal_io {
	/* A descriptor. `create`: it must not exist. Without `write`, for reading only. */
	int (*open)(void *context, const char *name, bool create, bool write);
	void (*close)(void *context, int fd);
	ssize_t (*preadv)(void *context, int fd, const struct iovec *iov, int n, uint64_t offset);
	ssize_t (*pwritev)(void *context, int fd, const struct iovec *iov, int n, uint64_t offset);
	int (*fdatasync)(void *context, int fd);
	int (*allocate)(void *context, int fd, uint64_t bytes); /* from 0; the file becomes that long */
	int (*truncate)(void *context, int fd, uint64_t bytes);
	int64_t (*size)(void *context, int fd);
	int (*unlink)(void *context, const char *name);
	int (*sync_directory)(void *context);
	/* Calls `each` for every name but "." and ".."; ends early with its result if that is not 0. */
	int (*list)(void *context, int (*each)(void *argument, const char *name), void *argument);
	/* The writer that is allowed: -EBUSY if there is another process. Held until release. */
	int (*lock)(void *context);
	void (*release)(void *context); /* frees the context */
	void *context;
};

/* A directory of the file system, made if it does not exist (its parent must). 0 or -errno with the reason. */
int journal_io_directory(const char *path, struct journal_io *out, struct error *err);

/* Reads or writes all of it, however the kernel cuts it up; `iov` is used up. Reading past the end is
 * -ENODATA. */
int journal_read_all(const struct journal_io *io, int fd, struct iovec *iov, int n, uint64_t offset);
int journal_write_all(const struct journal_io *io, int fd, struct iovec *iov, int n, uint64_t offset);

#endif
