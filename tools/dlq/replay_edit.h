/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a command of the user's over lines: all of them on its standard input, as many on its standard output. One
 * thread; waits for the command.
 */
#ifndef PENSTOCK_REPLAY_EDIT_H
#define PENSTOCK_REPLAY_EDIT_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct replay_line {
	char *data; /* allocated */
	size_t len;
};

/* Replaces each line by what `command`, run by sh -c, writes for it. 0; or -errno, with the lines as they were: it
 * failed, or did not write exactly one line for each. */
int replay_edit(const char *command, struct replay_line *lines, uint32_t n, struct error *err);

#endif
