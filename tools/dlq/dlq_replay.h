/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verb `penstock dlq replay`: reads dead letters and sends their original bytes to their stream again, in
 * chunks. A chunk is edited, sent and waited for as one, and then its end is written to the state file: a replay
 * that is killed goes on there, and sends at most one chunk twice. Returns the exit status.
 */
#ifndef PENSTOCK_DLQ_REPLAY_H
#define PENSTOCK_DLQ_REPLAY_H

int dlq_replay(int argc, char **argv);

#endif
