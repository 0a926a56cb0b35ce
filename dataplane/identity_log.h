/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The identity log: the dedup windows on disk, so that they survive restarts.
 *
 * Sink threads append the identity of every event that has become durable to a bounded buffer of their own
 * (identity_log_listener(): a listener of the completion); a thread writes them out every few milliseconds, as segments
 * of checksummed blocks (identity_file.h) in one directory, and removes segments whose identities have expired. Nobody
 * waits for it: when the disk is full or fails, the buffers fill, and what finds no room is counted as lost.
 *
 * The log may therefore end before the last durable event. What it lacks is found in the output topics: a checkpoint
 * in the log says from where on. Behind a loss no checkpoint is written until the lost identities would have expired,
 * so that a restart still finds them, by reading more of the topics.
 *
 * create, start, destroy: control thread. restore: one thread, before start. The listener: sink threads. checkpoint
 * and status: any thread.
 * Cost: 24 bytes of a buffer per event on the sink thread; 16 bytes on disk.
 */
#ifndef PENSTOCK_IDENTITY_LOG_H
#define PENSTOCK_IDENTITY_LOG_H

#include "clock.h"
#include "completion.h"
#include "config.h"
#include "dedup.h"
#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct identity_log;

struct identity_stream {
	struct dedup *dedup; /* NULL: dedup is off, nothing is logged */
	uint64_t id;         /* identity_stream_id() */
	int64_t window_ms;
};

struct identity_log_options {
	const char *directory; /* made if it is not there; its parent is */
	struct identity_stream streams[CONFIG_MAX_STREAMS];
	uint32_t n_streams;
	uint8_t secret[16];
	uint32_t n_sinks;
	uint64_t max_bytes; /* on disk; the oldest segments go first. 0: no bound but the windows */
	const struct clock *clock;
};

/* What a restart found. */
struct identity_restored {
	uint32_t segments; /* read */
	uint32_t refused;  /* foreign, of another version, damaged: not read */
	uint64_t bytes;    /* read */
	uint64_t marks;    /* put into the windows */
	uint64_t expired;  /* too old for their window */
	uint64_t unknown;  /* of streams that are not configured any more, or otherwise */
	uint64_t damaged;  /* bytes of rot that were skipped */
	uint64_t torn;     /* bytes behind the last whole block of a segment: what a crash leaves */
	uint32_t evicted;  /* live marks that had to go: the budget does not hold the window */
	char refusal[256]; /* which file was refused last, and why */
	char *checkpoint;  /* the last one, NUL-terminated; NULL: none. The caller frees it. */
	bool empty;        /* there was no segment at all: nothing ran here before */
};

/* How far restoring is; readable by any thread meanwhile. */
struct identity_progress {
	_Atomic uint64_t bytes, total_bytes, marks; /* restoring thread: rw, others: ro */
};

struct identity_log_status {
	uint64_t marks; /* written since start */
	uint64_t lost;  /* found no room in a buffer, or were in a write that the disk lost */
	uint64_t bytes; /* on disk now */
	uint32_t segments;
	int64_t loss_ms;  /* wall clock of the last loss; 0: none */
	bool covered;     /* every loss has expired: checkpoints are written again */
	bool failing;     /* the last write did not succeed */
	int64_t error_ms; /* wall clock of the last error; 0: none */
	char error[256];
	int64_t checkpoint_ms; /* wall clock of the last checkpoint; 0: none since start */
};

int identity_log_create(
    const struct identity_log_options *options, struct identity_log **out, struct error *err);

/* Reads every segment and marks what is still inside its window. Files that cannot be used are stepped over and
 * counted; only a directory that cannot be read is an error. */
int identity_log_restore(struct identity_log *log, struct identity_progress *progress,
    struct identity_restored *out, struct error *err);

/* Begins a segment and starts the thread. */
int identity_log_start(struct identity_log *log, struct error *err);

/* For completion_listen(). May be used before identity_log_start(), as far as the buffers reach. */
struct completion_listener identity_log_listener(struct identity_log *log);

/* An identity that the log lacks, of an event that became durable age_ms ago. The restoring thread, after start; waits
 * for room in its buffer, at most until the log fails: -ENOSPC. */
int identity_log_add(struct identity_log *log, uint16_t stream, const uint64_t key[2], int64_t age_ms);

/* Everything that the output topics hold up to here is in the log, or will be when this is written: behind all that
 * has been appended so far. Takes a copy; a newer one replaces one that is not written yet. */
void identity_log_checkpoint(struct identity_log *log, const char *text, size_t len);

void identity_log_status(struct identity_log *log, struct identity_log_status *out);

/* Writes what is in the buffers, and stops. NULL is allowed. */
void identity_log_destroy(struct identity_log *log);

#endif
