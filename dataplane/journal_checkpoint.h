/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal's checkpoint: how far each consumer has come, in the file `checkpoint` beside the segments. Two
 * slots are written in turn, each with a generation and a checksum, and synced; a write that a crash has torn leaves
 * the other slot. A third one is written more often and not synced: it outlives the process, if not the machine, and
 * is checked like the others. Costs one pwrite of 16 KB, and one fdatasync where it is synced.
 *
 * A mark belongs to a consumer: the records of one stream (by name) for one sink (by type) and one output of it
 * (enum record_kind, or JOURNAL_ALL_OUTPUTS). Control thread at open, then the feeder's thread.
 */
#ifndef PENSTOCK_JOURNAL_CHECKPOINT_H
#define PENSTOCK_JOURNAL_CHECKPOINT_H

#include "journal_format.h"
#include "journal_io.h"

#define JOURNAL_CHECKPOINT_NAME "checkpoint"
#define JOURNAL_CHECKPOINT_SLOT 16384u
#define JOURNAL_CHECKPOINT_SLOTS 3u
#define JOURNAL_MARKS (4u * CONFIG_MAX_STREAMS)
#define JOURNAL_ALL_OUTPUTS 255u

/* A place between two records: `sequence` is the record that begins at `offset` of `segment`, or would; `event`
 * is how many events came before it. */
struct journal_position {
	uint64_t segment, offset, sequence, event;
};

struct journal_mark {
	char stream[64]; /* NUL-terminated */
	char sink[8];    /* likewise */
	uint8_t output;
	uint8_t reserved[7];
	struct journal_position position; /* everything before it is delivered */
};

struct journal_checkpoint {
	char magic[8]; /* "PNSKCKPT" */
	uint32_t version;
	uint32_t n_marks;
	uint8_t id[JOURNAL_ID_BYTES];
	uint64_t generation;
	uint64_t checksum;      /* of the whole struct with this field 0 */
	uint64_t slot;          /* 0 or 1: the newest one that was synced */
	uint64_t first_segment; /* earlier ones are freed: they may still be there, and are not needed */
	struct journal_position synced; /* the journal was durable at least up to here */
	struct journal_mark marks[JOURNAL_MARKS];
};
_Static_assert(sizeof(struct journal_checkpoint) <= JOURNAL_CHECKPOINT_SLOT, "fits its slot");

/* The newest whole slot. 0; -ENOENT there is no file; -ENODATA it is empty; -EBADMSG no slot is whole;
 * -EPROTONOSUPPORT another version. */
int journal_checkpoint_read(const struct journal_io *io, struct journal_checkpoint *out, struct error *err);

/* A new file with the checkpoint in it, made durable; *fd is for writing on. */
int journal_checkpoint_create(
    const struct journal_io *io, struct journal_checkpoint *checkpoint, int *fd, struct error *err);

/* Writes the next generation to the third slot. */
int journal_checkpoint_note(
    const struct journal_io *io, int fd, struct journal_checkpoint *checkpoint, struct error *err);

/* Writes the next generation and makes it durable. After a failure the same slot is written again: the other
 * one stays whole. */
int journal_checkpoint_write(
    const struct journal_io *io, int fd, struct journal_checkpoint *checkpoint, struct error *err);

#endif
