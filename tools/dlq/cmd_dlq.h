/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verbs `penstock dlq ls` and `penstock dlq show`: what is in the dead letters, from the lake's files or
 * from Kafka. argv[0] is "dlq", argv[1] the verb. Returns the exit status: 0 ok, 1 failed, 2 usage.
 */
#ifndef PENSTOCK_CMD_DLQ_H
#define PENSTOCK_CMD_DLQ_H

int cmd_dlq(int argc, char **argv);

#endif
