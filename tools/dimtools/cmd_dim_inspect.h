/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verb `penstock dim inspect`. argv[0] is "inspect". Returns the exit status: 0 ok, 1 failed or no such
 * key, 2 usage.
 */
#ifndef PENSTOCK_CMD_DIM_INSPECT_H
#define PENSTOCK_CMD_DIM_INSPECT_H

int cmd_dim_inspect(int argc, char **argv);

#endif
