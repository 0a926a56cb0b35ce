/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/dlq_args.h"

#include <errno.h>
#include <stdio.h>

static int check_source(const struct args *args, struct error *err)
{
	int ways = (args_get(args, "from-files") != NULL) + (args_get(args, "brokers") != NULL) +
	           (args_get(args, "config") != NULL);

	if (ways != 1)
		return error_set(
		    err, -EINVAL, "give one of --from-files, --brokers with --topic, and --config");
	if ((args_get(args, "brokers") != NULL) != (args_get(args, "topic") != NULL))
		return error_set(err, -EINVAL, "--brokers and --topic belong together");
	return 0;
}

int dlq_args_read(const struct args *args, dlq_fn see, void *context, struct error *err)
{
	if (args_get(args, "from-files") != NULL)
		return dlq_read_files(args_get(args, "from-files"), see, context, err);
	if (args_get(args, "config") != NULL)
		return dlq_read_config(args_get(args, "config"), see, context, err);
	return dlq_read_kafka(args_get(args, "brokers"), args_get(args, "topic"), NULL, see, context, err);
}

int dlq_args_begin(const struct args *args, const char *verb, int argc, char **argv, struct error *err)
{
	int first, rc = args_parse(args, argc, argv, &first, err);

	if (rc == 1)
		return EXIT_OK;
	if (rc == 0 && first < argc)
		rc = error_set(err, -EINVAL, "unexpected word \"%s\"", argv[first]);
	if (rc == 0)
		rc = check_source(args, err);
	return rc == 0 ? -1 : args_usage_error(verb, err);
}

int dlq_args_fail(const char *verb, const struct error *err)
{
	(void)fprintf(stderr, "penstock %s: %s\n", verb, err->text);
	return EXIT_FAILED;
}
