/* SPDX-License-Identifier: BSD-3-Clause */
/* `penstock explain`: one event through the daemon's own stages, offline, with every verdict on the way. */
#ifndef PENSTOCK_CMD_EXPLAIN_H
#define PENSTOCK_CMD_EXPLAIN_H

/* argv[0] is "explain". Returns the exit code: 0 printed, 1 failed, 2 usage. */
int cmd_explain(int argc, char **argv);

#endif
