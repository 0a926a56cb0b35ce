/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_commands.h"
#include "cli_verb.h"

#include <stdio.h>

int cmd_version(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock version [options]", "Prints the version of this program.", table};
	int first, rc = verb_begin(&args, "version", argc, argv, 0, 0, &first);

	if (rc != 0)
		return verb_exit(rc);
	if (args_get(&args, "json") != NULL)
		(void)printf("{\"version\":\"%s\"}\n", PENSTOCK_VERSION);
	else
		(void)printf("penstock %s\n", PENSTOCK_VERSION);
	return EXIT_OK;
}
