/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small file replaced as a whole: after a crash it holds the old text or the new one, and once the call has returned, the
 * new one. Control thread; waits for the disk.
 */
#ifndef PENSTOCK_FILE_REPLACE_H
#define PENSTOCK_FILE_REPLACE_H

#include "error.h"

#include <stddef.h>
#include <sys/types.h>

/* Writes `text` to <directory>/<name>, by way of <directory>/.<name>. 0 or -errno; the old file is there then. */
int file_replace(
    const char *directory, const char *name, const char *text, size_t len, mode_t mode, struct error *err);

/* Makes what was done to the names in a directory outlive a crash. 0 or -errno. */
int directory_sync(const char *path);

#endif
