/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sink of `durability: journal`: the only one that workers hand batches to. It confirms them when the journal's
 * fdatasync has returned. Batches that came while the disk was busy go into the next group together.
 *
 * When the disk is full or fails, nothing is confirmed, submit answers -EAGAIN, and the batches that it has are
 * tried again until they are written: the workers meet back-pressure.
 */
#ifndef PENSTOCK_SINK_JOURNAL_H
#define PENSTOCK_SINK_JOURNAL_H

#include "journal.h"
#include "sink.h"

/* The journal must outlive the sink. Control thread. */
int sink_journal_create(struct journal *journal, uint8_t number, struct sink **out, struct error *err);

#endif
