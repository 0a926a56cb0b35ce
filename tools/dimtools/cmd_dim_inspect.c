/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/cmd_dim_inspect.h"

#include "args/args.h"
#include "dimtools/dim_inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int cmd_dim_inspect(int argc, char **argv)
{
	struct arg table[] = {
	    {.name = "key", .metavar = "K", .help = "print the row of this key; exit 1 if there is none"},
	    {.name = "json", .help = "print one JSON object"},
	    {0},
	};
	const struct args args = {
	    .usage = "penstock dim inspect FILE.dim [--key K] [--json]",
	    .about = "Checks a dimension snapshot as the daemon would, and prints what it holds.",
	    .table = table,
	};
	const char *path, *key;
	struct error err;
	int first, end, rc;

	rc = args_parse(&args, argc, argv, &first, &err);
	if (rc == 0 && first == argc)
		rc = error_set(&err, -EINVAL, "which file?");
	/* Options may also stand behind the file's name. */
	if (rc == 0)
		rc = args_parse(&args, argc - first, argv + first, &end, &err);
	if (rc == 0 && first + end < argc)
		rc = error_set(&err, -EINVAL, "one file at a time, not also %s", argv[first + end]);
	if (rc != 0)
		return rc > 0 ? EXIT_OK : args_usage_error("dim inspect", &err);
	path = argv[first];
	key = args_get(&args, "key");
	if (key != NULL)
		rc = dim_inspect_key(path, key, args_get(&args, "json") != NULL, stdout, &err);
	else
		rc = dim_inspect_header(path, args_get(&args, "json") != NULL, stdout, &err);
	if (fflush(stdout) != 0 && rc == 0)
		rc = error_set(&err, -errno, "cannot write: %s", strerror(errno));
	if (rc == 0)
		return EXIT_OK;
	(void)fprintf(stderr, "penstock dim inspect: %s\n", err.text);
	return EXIT_FAILED;
}
