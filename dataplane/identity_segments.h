/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of the identity log: which there are, the one that is written, and when each may go. Private to
 * identity_log.c and identity_restore.c; the restoring thread has it first, then the log's own thread.
 */
#ifndef PENSTOCK_IDENTITY_SEGMENTS_H
#define PENSTOCK_IDENTITY_SEGMENTS_H

#include "error.h"
#include "identity_file.h"

#include <limits.h>

#define IDENTITY_SEGMENT_BYTES (64u << 20) /* a segment ends behind the block that passes this */
#define IDENTITY_MAX_SEGMENTS 4096u
#define IDENTITY_PATH_BYTES (PATH_MAX + 32u)

struct identity_segment {
	uint64_t sequence;
	uint64_t bytes;
	int64_t newest_ms; /* monotonic clock of its last mark, as far as that is known */
	bool keep;         /* not ours to remove: foreign, or of another version */
};

struct identity_segments {
	char directory[PATH_MAX];
	int directory_fd, fd; /* fd: the one that is written, the last of the list; -1: none */
	struct identity_segment list[IDENTITY_MAX_SEGMENTS]; /* ascending by sequence */
	uint32_t n;
	uint64_t next_sequence;
	uint64_t bytes; /* of all */
};

/* Makes the directory if need be and lists what is there. */
int identity_segments_open(const char *directory, struct identity_segments *segments, struct error *err);
void identity_segments_close(struct identity_segments *segments);

void identity_segment_path(
    const struct identity_segments *segments, uint64_t sequence, char path[IDENTITY_PATH_BYTES]);

/* Ends the current segment and begins one with these bytes. On failure the current one stays. */
int identity_segments_begin(
    struct identity_segments *segments, const void *head, size_t len, int64_t now_ms, struct error *err);

/* Appends to the current one, all of it or nothing that counts: a second attempt writes over a part. */
int identity_segments_append(
    struct identity_segments *segments, const void *data, size_t len, int64_t now_ms, struct error *err);

/* Removes segments with no mark younger than `oldest_ms`, and the oldest ones beyond max_bytes (0: no bound). */
void identity_segments_expire(struct identity_segments *segments, int64_t oldest_ms, uint64_t max_bytes);

#endif
