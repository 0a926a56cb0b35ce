/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"
#include "cli_commands.h"
#include "cli_status.h"
#include "cli_verb.h"

#include <stdio.h>

int cmd_status(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET, VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock status [options]",
	    "Shows what the daemon knows about itself. The last line is the ledger over all streams: "
	    "received = durable + "
	    "dead-lettered + duplicate + shed + in flight.",
	    table};
	json_t *status;
	struct error err;
	int first, rc = verb_begin(&args, "status", argc, argv, 0, 0, &first);

	if (rc != 0)
		return verb_exit(rc);
	rc = client_json(client_socket(args_get(&args, "socket")), "GET", "/v1/status", NULL, &status, &err);
	if (rc < 0)
		return verb_fail("status", &err);
	if (args_get(&args, "json") != NULL)
		verb_print_json(status);
	else
		status_print(status, stdout);
	json_decref(status);
	return EXIT_OK;
}
