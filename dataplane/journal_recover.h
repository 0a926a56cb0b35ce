/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What journal_open() does once it has the lock: reads the checkpoint, checks every segment's header, and finds
 * the end of the log. Only the last segment is read through, at the speed of the disk; the others are verified
 * by their reader. A tail that a crash has torn, which nobody was told is durable, is cut off; whole records
 * behind the last acknowledged one are kept, and made durable now. Control thread.
 */
#ifndef PENSTOCK_JOURNAL_RECOVER_H
#define PENSTOCK_JOURNAL_RECOVER_H

#include "journal.h"

/* 0, or -errno and the name of the file with what is wrong with it; then nothing has been changed but
 * what an earlier run was about to delete. */
int journal_recover(struct journal *journal, struct error *err);

#endif
