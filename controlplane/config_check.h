/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What holds between the values of a configuration: names that must exist, combinations that cannot work.
 * Runs after every single value has been read. Control thread.
 */
#ifndef PENSTOCK_CONFIG_CHECK_H
#define PENSTOCK_CONFIG_CHECK_H

#include "config.h"
#include "config_reader.h"

/* 0, or -EINVAL with the place and the reason of the first thing that is wrong. */
int config_check(struct reader *reader, const struct config *config);

#endif
