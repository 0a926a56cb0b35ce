/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verbs `penstock dlq ls`, `show` and `replay`: what is in the dead letters, from the lake's files or from
 * Kafka, and the way back. argv[0] is "dlq", argv[1] the verb. Returns the exit status: 0 ok, 1 failed, 2 usage.
 */
#ifndef PENSTOCK_CMD_DLQ_H
#define PENSTOCK_CMD_DLQ_H

int cmd_dlq(int argc, char **argv);

#endif
