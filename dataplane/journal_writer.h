/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Appends batches to the journal and makes them durable: one pwritev and one fdatasync for a group of them. The
 * bytes of the batches are written from where they are; only the events are copied, into their form on the disk.
 *
 * After any failure the segment is left at its last durable record and the next group goes to a new one: what
 * the kernel still has of the failed write is not trusted, whatever a later fdatasync says.
 *
 * One thread, the journal sink's. Costs a checksum over all bytes (about 10 GB/s) and what the disk takes.
 */
#ifndef PENSTOCK_JOURNAL_WRITER_H
#define PENSTOCK_JOURNAL_WRITER_H

#include "journal.h"

#define JOURNAL_GROUP 64u /* batches in a group, at most */

struct journal_writer;

int journal_writer_create(struct journal *journal, struct journal_writer **out);
void journal_writer_destroy(struct journal_writer *writer);

/* Writes the first of these batches, as many as fit one group, and returns how many are durable now: at least
 * one. -ENOBUFS: journal.max_gb is reached; -ENOSPC: the file system is full; other -errno: the disk fails. Then
 * none of them is durable, err says what failed, and the same batches are to be written again. */
int journal_append(
    struct journal_writer *writer, struct batch *const *batches, uint32_t n, struct error *err);

#endif
