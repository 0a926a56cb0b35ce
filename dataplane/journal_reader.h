/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the journal from any position: header by header, then the payload where it is wanted. Never goes past
 * what is durable. Damage in the middle is stepped over to the next whole record, and noted in the journal with
 * its place and what was lost there; nothing else is skipped.
 *
 * One thread. Several positions may be read in turn: files stay open and headers are kept, so that readers close
 * to each other cost one system call per record and not one each.
 */
#ifndef PENSTOCK_JOURNAL_READER_H
#define PENSTOCK_JOURNAL_READER_H

#include "journal.h"

struct journal_reader;

int journal_reader_create(struct journal *journal, struct journal_reader **out);
void journal_reader_destroy(struct journal_reader *reader);

/* Closes what it has open of segments below that number, so that deleting them frees their space. */
void journal_reader_forget(struct journal_reader *reader, uint64_t number);

/* Finds the record at *position, moving it over the end of a segment and over damage first. 1: there is one, in
 * `record`, whose stream is translated to its index in the configuration; 0: everything durable has been read; -errno: it could not be read now, try again. */
int journal_next(struct journal_reader *reader, struct journal_position *position,
    struct journal_record *record, struct error *err);

/* The payload of the record that journal_next() has found at `position`, with reasons translated into the program's
 * numbers: records[BATCH_RECORDS], events[BATCH_EVENTS], record->used bytes. 0; -EBADMSG: it is
 * damaged, and noted: go on with journal_skip(); -errno: try again. */
int journal_payload(struct journal_reader *reader, const struct journal_position *position,
    const struct journal_record *record, struct record *records, struct journal_event *events, char *bytes,
    struct error *err);

/* Moves the position behind the record. */
static inline void journal_skip(struct journal_position *position, const struct journal_record *record)
{
	position->offset = journal_after(record, position->offset);
	position->sequence++;
	position->event += record->n_events;
}

/* Calls `each` for every event of every record from a position to the end of what is durable now; damage is stepped
 * over and noted. What it is for: whoever keeps a dedup window over restarts learns which events are durable that its
 * own log may lack, before anything is accepted. Before the feeder starts. 0 or -errno. */
typedef void (*journal_event_fn)(
    void *context, const struct journal_record *record, const struct journal_event *event);
int journal_each_event(struct journal *journal, struct journal_position from, journal_event_fn each,
    void *context, struct error *err);

/* Looks for a whole record header in [from, to) of an open segment whose sequence is at least `least`. Returns
 * its offset, or `to`. What cannot be read counts as damaged. */
uint64_t journal_resync(const struct journal_io *io, int fd, uint64_t from, uint64_t to, uint64_t least,
    uint64_t seed, struct journal_record *record);

#endif
