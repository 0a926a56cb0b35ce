/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verb `penstock dim build`. argv[0] is "build". Returns the exit status: 0 ok, 1 failed or interrupted,
 * 2 usage.
 */
#ifndef PENSTOCK_CMD_DIM_BUILD_H
#define PENSTOCK_CMD_DIM_BUILD_H

int cmd_dim_build(int argc, char **argv);

#endif
