/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verb `penstock gen`. argv[0] is "gen". Returns the exit status: 0 ok, 1 failed, 2 usage.
 */
#ifndef PENSTOCK_CMD_GEN_H
#define PENSTOCK_CMD_GEN_H

int cmd_gen(int argc, char **argv);

#endif
