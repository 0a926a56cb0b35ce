/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request body that becomes a file: bounded by the free space of the disk, removed unless somebody takes
 * it. Control thread; writes block on the disk, never on the client.
 */
#ifndef PENSTOCK_CONTROL_UPLOAD_H
#define PENSTOCK_CONTROL_UPLOAD_H

#include "error.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define UPLOAD_RESERVE_BYTES (64u << 20) /* of the disk that an upload leaves free */

struct upload {
	int fd;
	char path[PATH_MAX];
	uint64_t bytes, limit;
};

/* Starts a file in `directory`. `announced` is the body's length, 0 if the client did not say. 0; -ENOSPC
 * when that cannot fit; other errnos. */
int upload_open(struct upload *upload, const char *directory, uint64_t announced, struct error *err);

/* Appends. 0, -ENOSPC past the limit, or the errno of writing. */
int upload_write(struct upload *upload, const void *bytes, size_t len, struct error *err);

/* Closes the file for writing; upload->path can be opened now. 0 or the errno of fsync() and close(). */
int upload_finish(struct upload *upload, struct error *err);

/* Removes the file if it is still there. A zeroed or finished upload is allowed. */
void upload_close(struct upload *upload);

/* Removes what a crash has left in the directory. */
void upload_clean(const char *directory);

#endif
