/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verbs of `penstock`, one table. `--help` and the man page come from it; each verb's own options stand
 * in its own table (args/args.h). A verb gets argv[0] = its last word, or its first one where `whole` is set,
 * and returns the exit status.
 */
#ifndef PENSTOCK_CLI_COMMANDS_H
#define PENSTOCK_CLI_COMMANDS_H

#include <stdbool.h>

struct command {
	const char *words; /* "status", "dim push"; NULL ends the table */
	const char *group; /* heading in the summary */
	const char *summary;
	int (*run)(int argc, char **argv);
	bool whole; /* `run` tells its verbs apart itself */
};

extern const struct command commands[];

int cmd_check(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_drain(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_source_ls(int argc, char **argv);
int cmd_source_add(int argc, char **argv);
int cmd_source_revoke(int argc, char **argv);
int cmd_dim_push(int argc, char **argv);
int cmd_dim_list(int argc, char **argv);
int cmd_dim_rollback(int argc, char **argv);

#endif
