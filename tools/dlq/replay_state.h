/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far a replay has come: per partition or file the first record that has not been dealt with, and what the
 * replay was about, in a small JSON file that is replaced as a whole. One thread.
 */
#ifndef PENSTOCK_REPLAY_STATE_H
#define PENSTOCK_REPLAY_STATE_H

#include "dlq/dlq_source.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct replay_state;

/* Reads the file if it is there. `about` names what is replayed; a file of another replay is refused. With a
 * NULL path nothing is read or written. 0 or -errno. */
int replay_state_open(const char *path, const char *about, struct replay_state **out, struct error *err);
void replay_state_close(struct replay_state *state);

/* Whether an earlier run has dealt with the record. */
bool replay_state_done(const struct replay_state *state, const struct dlq_record *record);

/* The record has been looked at; counts with the next replay_state_save(). 0 or -ENOMEM. */
int replay_state_note(struct replay_state *state, const struct dlq_record *record);

/* Makes what has been noted durable. 0 or -errno. */
int replay_state_save(struct replay_state *state, struct error *err);

#endif
