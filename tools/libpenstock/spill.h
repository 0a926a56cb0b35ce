/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The spill file: frames that no appliance would take yet, in order, bounded, each with a checksum. It outlives the
 * process; what is in it and not released is found again at the next opening.
 *
 * A file belongs to one stream and source, and to one process at a time (it is locked). Layout, little-endian: a first
 * block of 4096 bytes (who it belongs to, and in two places taken in turn where the first record is that is not
 * released), then records back to back: u32 magic, u32 bytes that follow the checksum, u64 checksum (SipHash-1-3 of
 * position and bytes), u16 count, u16 payload length, u32 0, count times u64 tag, count times u16 end of event, payload.
 * A record that was done before those in front of it gets another magic, and is stepped over.
 * Released records are punched out of the file where the file system can, and the file is cut when all are.
 *
 * Every call may block on the disk. Written data survives the process at once, the host after spill_sync().
 */
#ifndef LIBPENSTOCK_SPILL_H
#define LIBPENSTOCK_SPILL_H

#include "error.h"
#include "libpenstock/frame_pool.h"

#include <stdbool.h>
#include <stdint.h>

struct spill;

struct spill_options {
	const char *path;
	uint64_t max_bytes; /* of the file's content */
	uint32_t stream;
	uint64_t source_id;
	uint32_t max_payload; /* of a frame of this client; one in the file that is longer is an error */
};

/* Opens or makes the file and reads it through. A last record that a crash has cut is cut off; any other damage is an
 * error (-EBADMSG) that names the place, and leaves the file as it is. -EBUSY if another process has it. */
int spill_open(const struct spill_options *options, struct spill **out, struct error *err);
void spill_close(struct spill *spill);

struct spill_counts {
	uint64_t recovered_events; /* found when it was opened */
	uint64_t unread_frames, unread_events;
	uint64_t used_bytes; /* from the first record that is not released */
	uint64_t torn_bytes;
};
const struct spill_counts *spill_counts(const struct spill *spill);

/* Writes a frame and sets its spill_end. -ENOSPC when the bound (or the disk) is reached; nothing is written then. With
 * `unread` spill_read() will come to it; without, it must be the next one after all that were read. */
int spill_append(struct spill *spill, struct outgoing *frame, bool unread, struct error *err);

/* The next frame that was not read, into `frame`, which copies. 1, 0 if there is none, or -errno. */
int spill_read(struct spill *spill, struct outgoing *frame, struct error *err);

/* Everything before `end`, a frame's spill_end, is not needed any more. Goes only forward. */
void spill_release(struct spill *spill, uint64_t end);

/* The frame whose record of `bytes` ends at `end` is done, though frames before it are not: it is not read again. */
void spill_forget(struct spill *spill, uint64_t end, uint32_t bytes);

/* Size of a frame's record. */
uint32_t spill_record_bytes(const struct outgoing *frame);

int spill_sync(struct spill *spill, struct error *err);

#endif
