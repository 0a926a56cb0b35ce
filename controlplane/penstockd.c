/* SPDX-License-Identifier: BSD-3-Clause */
/* The appliance: reads its configuration, starts, serves, drains. */
#include "daemon.h"

#include "log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: penstockd --config F [--once] [--no-hugepages]\n"
    "\n"
    "Runs the appliance that F describes. Logs one line \"ready\" when it accepts events; SIGTERM and SIGINT "
    "drain: stop\n"
    "receiving, finish, flush, exit 0.\n"
    "\n"
    "  --config F   the configuration, YAML (penstock check F says whether it is right)\n"
    "  --once       drain and exit at the end of the input; all sources must be files\n"
    "  --no-hugepages\n"
    "               no hugepages for packets, where the configuration says auto\n"
    "  --version    print the version\n"
    "  --help       print this\n"
    "\n"
    "exit status: 0 drained, 1 failed (the reason is the last line), 2 usage\n";

/* -1: go on; otherwise the exit status. */
static int read_options(int argc, char **argv, struct daemon_options *options)
{
	static const struct option longs[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"once", no_argument, NULL, 'o'},
	    {"no-hugepages", no_argument, NULL, 'n'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config_path = optarg;
			break;
		case 'o':
			options->once = true;
			break;
		case 'n':
			options->no_hugepages = true;
			break;
		case 'V':
			(void)puts("penstockd " PENSTOCK_VERSION);
			return 0;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			(void)fputs(usage, stderr);
			return 2;
		}
	}
	if (options->config_path == NULL || optind != argc) {
		(void)fputs(usage, stderr);
		return 2;
	}
	return -1;
}

/* The EAL starts once per process. What is open is closed by exec; the process keeps its number. */
static int restart_without_hugepages(int argc, char **argv)
{
	char **more = calloc((size_t)argc + 2, sizeof(*more));

	log_line(LOG_WARNING, "others took the hugepages during the start: starting again without");
	if (more != NULL) {
		memcpy(more, argv, (size_t)argc * sizeof(*more));
		more[argc] = (char[]){"--no-hugepages"};
		(void)execv("/proc/self/exe", more);
	}
	log_line(LOG_ERROR, "cannot start again: %s", strerror(errno));
	free(more);
	return 1;
}

int main(int argc, char **argv)
{
	struct daemon_options options = {0};
	struct daemon *daemon = NULL;
	struct error err = {{0}};
	int ret = read_options(argc, argv, &options);

	if (ret >= 0)
		return ret;
	ret = daemon_start(&options, &daemon, &err);
	if (ret == -ERESTART && !options.no_hugepages)
		return restart_without_hugepages(argc, argv);
	if (ret == 0)
		ret = daemon_run(daemon, &err);
	daemon_destroy(daemon);
	if (ret != 0)
		log_line(LOG_ERROR, "%s", err.text);
	return ret == 0 ? 0 : 1;
}
