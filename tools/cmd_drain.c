/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"
#include "cli_commands.h"
#include "cli_print.h"
#include "cli_verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define POLL_NS 100000000L

/* Until nobody answers any more. The last thing the daemon said stays in *last. */
static int wait_for_end(const char *socket, uint64_t seconds, json_t **last, struct error *err)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	struct timespec start, now;
	json_t *status;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		int rc = client_json(socket, "GET", "/v1/status", NULL, &status, err);

		if (rc == -ENOTCONN)
			return 0;
		if (rc == 0) {
			json_decref(*last);
			*last = status;
		}
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= (time_t)seconds)
			return error_set(err, -ETIMEDOUT, "still running after %" PRIu64 " s", seconds);
		(void)nanosleep(&pause, NULL);
	}
}

static void report(const json_t *last)
{
	json_t *stream;
	size_t i;

	json_array_foreach(json_object_get(last, "streams"), i, stream)
	{
		char text[PRINT_NUMBER_SIZE];

		(void)printf("%s: %s in flight when last seen\n", member_text(stream, "name"),
		    print_count(text, member_integer(stream, "in_flight")));
	}
	(void)puts("stopped");
}

int cmd_drain(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET, {"wait", NULL, "return when the daemon has stopped", NULL},
	    {"timeout", "S", "with --wait: give up after S seconds (default 60)", NULL}, VERB_OPTION_JSON,
	    VERB_OPTION_END};
	struct args args = {"penstock drain [options]",
	    "Stops the daemon without losing anything. It stops receiving, finishes and stores what is in "
	    "flight, and exits.",
	    table};
	json_t *answer = NULL, *last = NULL;
	uint64_t timeout = 60;
	struct error err;
	const char *socket;
	int first, rc = verb_begin(&args, "drain", argc, argv, 0, 0, &first);

	if (rc != 0)
		return verb_exit(rc);
	if (args_get_u64(&args, "timeout", 1, 86400, &timeout, &err) < 0)
		return args_usage_error("drain", &err);
	socket = client_socket(args_get(&args, "socket"));
	rc = client_json(socket, "POST", "/v1/drain", NULL, &answer, &err);
	if (rc == 0 && args_get(&args, "wait") != NULL)
		rc = wait_for_end(socket, timeout, &last, &err);
	if (rc == 0 && args_get(&args, "json") != NULL)
		verb_print_json(last != NULL ? last : answer);
	else if (rc == 0 && args_get(&args, "wait") != NULL)
		report(last);
	else if (rc == 0)
		(void)puts("draining");
	json_decref(answer);
	json_decref(last);
	return rc < 0 ? verb_fail("drain", &err) : EXIT_OK;
}
