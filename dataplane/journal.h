/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal: a segmented log of batches on the local disk, one directory per daemon (journal_format.h says
 * what is in it). One writer (journal_writer.h, the journal sink's thread) appends and makes durable; one
 * reader thread (journal_reader.h, the feeder's) follows and frees. This module holds what they share: the
 * table of segments, the end of what is durable, the state, and what was found damaged.
 *
 * open and close: control thread, before and after the others. Everything else: any thread; one mutex, taken
 * a few times per group of batches and never per event.
 */
#ifndef PENSTOCK_JOURNAL_H
#define PENSTOCK_JOURNAL_H

#include "clock.h"
#include "journal_checkpoint.h"
#include "journal_format.h"
#include "journal_io.h"

#include <jansson.h>
#include <pthread.h>

#define JOURNAL_SEGMENT_MIN (UINT64_C(4) << 20) /* the largest record fits */
#define JOURNAL_DAMAGES 16u                     /* that are remembered one by one */

enum journal_state {
	JOURNAL_OK,
	JOURNAL_FULL,     /* as large as journal.max_gb allows */
	JOURNAL_NO_SPACE, /* the file system is full */
	JOURNAL_FAILING,  /* an input/output error; being tried again */
	JOURNAL_STATES
};

struct journal_segment {
	uint64_t number, first_sequence, first_event;
	uint64_t bytes; /* on the disk */
	struct journal_names names;
};

struct journal_damage {
	uint64_t segment, offset; /* where */
	uint64_t records, events; /* lost there */
};

struct journal_counts {
	uint64_t groups, records, events, bytes; /* made durable since the start */
	uint64_t rewrites;                       /* groups written again after a failure */
	uint64_t largest_group;                  /* records */
	uint64_t sync_ns;                        /* spent in fdatasync */
};

struct journal_options {
	const struct config *config; /* stream names; outlives the journal */
	struct journal_io io;        /* the journal owns it, also when open fails */
	const char *directory;       /* for messages; outlives the journal */
	uint64_t segment_bytes;      /* a multiple of JOURNAL_BLOCK, at least JOURNAL_SEGMENT_MIN */
	uint64_t max_bytes;          /* at least two segments */
	const struct clock *clock;
};

struct journal {
	struct journal_options options;
	uint8_t id[JOURNAL_ID_BYTES];
	uint64_t seed;
	struct journal_checkpoint *checkpoint; /* as found; then the feeder's */
	int checkpoint_fd;                     /* the feeder's */
	struct journal_position start;      /* of the oldest event that may not be delivered, when opened */
	struct journal_position opened_end; /* the end when opened: what is before it is replay */
	uint64_t torn_bytes;                /* behind the last whole record, cut off when opened */

	pthread_mutex_t mutex;            /* of all below */
	struct journal_segment *segments; /* oldest first, numbers without gaps */
	size_t n_segments, max_segments;
	uint64_t next_number;
	struct journal_position end; /* everything before it is on the disk */
	enum journal_state state;
	char error[512];
	int64_t error_ms; /* 0: never */
	struct journal_counts counts;
	struct journal_damage damage[JOURNAL_DAMAGES];
	uint64_t n_damage, lost_records, lost_events;
};

/* Takes the lock, reads the checkpoint, checks the segments and finds the end. Refuses with the name of the
 * file and the reason: -EBUSY another process has the directory; -EBADMSG a foreign or damaged file;
 * -EPROTONOSUPPORT another version; -ENOENT a segment is missing, or the configuration lacks a stream. */
int journal_open(const struct journal_options *options, struct journal **out, struct error *err);

/* NULL is allowed. Writes nothing: the feeder has written the last checkpoint. */
void journal_close(struct journal *journal);

/* The end of what is durable. */
struct journal_position journal_end(struct journal *journal);

/* The segment of that number, and whether there is a next one, which then begins with *next_sequence and
 * *next_event. False: there is no such segment. */
bool journal_find(struct journal *journal, uint64_t number, struct journal_segment *out, bool *has_next,
    struct journal_segment *next);

/* Bytes of all segments. */
uint64_t journal_bytes(struct journal *journal);

/* The writer: a segment has been made durable, or given up without a durable record. -ENOMEM. */
int journal_segment_add(struct journal *journal, const struct journal_segment *segment);
void journal_segment_forget(struct journal *journal, uint64_t number);

/* The feeder: deletes the segments below that number. 0, or the first error; the rest stays for a later try. */
int journal_free_before(struct journal *journal, uint64_t number);

/* What `status` shows, and since when; `err` may be NULL for JOURNAL_OK. */
void journal_set_state(struct journal *journal, enum journal_state state, const struct error *err);

/* Counts a damaged place once, however many readers find it. */
void journal_note_damage(struct journal *journal, const struct journal_damage *damage);

/* Fills in what the journal knows about itself. */
void journal_describe(struct journal *journal, json_t *object);

/* Whether anything is damaged that was not yet told: fills `text` (a line that names file and offset) for the
 * damage number *told and counts *told up. */
bool journal_damage_text(struct journal *journal, uint64_t *told, char *text, size_t size);

#endif
