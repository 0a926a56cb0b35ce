/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One file of the lake. Lines are gathered in memory; commit writes them as one zstd frame (with a checksum)
 * behind the last one and waits for the disk. So the file is a sequence of whole frames, and each a sequence
 * of whole lines, whenever one looks; what a failed or interrupted commit left behind is written over or cut
 * off.
 *
 * While it grows the file is called ".<name>.open" and locked (flock): that tells files in use from those
 * that a crash has left. finish gives it its name. The thread that drives the sink.
 */
#ifndef PENSTOCK_LAKE_FILE_H
#define PENSTOCK_LAKE_FILE_H

#include "config.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lake_file {
	int directory, fd;
	bool torn;          /* there may be bytes behind `good` */
	bool entry_durable; /* the directory has been synced since the file was made */
	off_t good;         /* end of the last frame that is on disk */
	char *text;         /* lines waiting for a commit */
	size_t text_used, text_size;
	char name[128];
};

/* Compression state and output, shared by files that commit one after the other. */
struct lake_codec;
int lake_codec_create(enum file_compression compression, struct lake_codec **out, struct error *err);
void lake_codec_destroy(struct lake_codec *codec);
const char *lake_codec_suffix(const struct lake_codec *codec); /* ".ndjson.zst" or ".ndjson" */

/* Makes <root>/<path>/.<name>.open, and the directories to it. -EEXIST: there is such a file. */
int lake_file_create(
    const char *root, const char *path, const char *name, struct lake_file **out, struct error *err);

/* Room for `bytes` more of text; the caller writes them there and adds what it used to text_used. NULL: no
 * memory. */
char *lake_file_reserve(struct lake_file *file, size_t bytes);

/* Everything gathered is on disk afterwards (0), or still gathered (-errno). Nothing gathered: does nothing.
 */
int lake_file_commit(struct lake_file *file, struct lake_codec *codec, struct error *err);

/* Cuts off what is torn, gives the file its name (or removes it, empty) and frees it; what was not committed
 * is dropped. -errno: the file is as before, still open. */
int lake_file_finish(struct lake_file *file, struct error *err);

/* Closes and frees it as it is: the next start recovers it. NULL is allowed. */
void lake_file_abandon(struct lake_file *file);

/* Renames without ever replacing another file. 0 or -errno. */
int lake_rename(int directory, const char *from, const char *to);

#endif
