/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verb `penstock send`: NDJSON from a file or standard input, as plain datagrams. argv[0] is "send".
 * Returns the exit status: 0 ok, 1 failed or interrupted, 2 usage.
 */
#ifndef PENSTOCK_CMD_SEND_H
#define PENSTOCK_CMD_SEND_H

int cmd_send(int argc, char **argv);

#endif
