/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/cmd_dlq.h"

#include "dlq/dlq_args.h"
#include "dlq/dlq_histogram.h"
#include "dlq/dlq_print.h"
#include "dlq/dlq_replay.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DEFAULT_LIMIT 20u

static int dlq_ls(int argc, char **argv)
{
	struct arg table[] = {DLQ_SOURCE_OPTIONS, {NULL, NULL, NULL, NULL}};
	const struct args args = {
	    .usage = "penstock dlq ls (--from-files DIR | --brokers B --topic T | --config FILE) [--json]",
	    .about =
	        "Counts dead letters by stream, stage and reason, with the time of the first and the last. "
	        "Reads everything there is once; changes nothing.",
	    .table = table,
	};
	struct dlq_histogram *histogram;
	struct error err;
	int rc = dlq_args_begin(&args, "dlq ls", argc, argv, &err);

	if (rc >= 0)
		return rc;
	histogram = dlq_histogram_create();
	if (histogram == NULL) {
		error_set(&err, -ENOMEM, "no memory");
		return dlq_args_fail("dlq ls", &err);
	}
	rc = dlq_args_read(&args, dlq_histogram_add, histogram, &err);
	if (rc == 0) {
		dlq_histogram_sort(histogram);
		rc = dlq_print_histogram(stdout, histogram, args_get(&args, "json") != NULL);
		if (rc != 0)
			error_set(&err, rc, "cannot write the output");
	}
	dlq_histogram_destroy(histogram);
	return rc == 0 ? EXIT_OK : dlq_args_fail("dlq ls", &err);
}

struct show {
	const char *reason; /* NULL: all */
	uint64_t left;
	bool json;
	int rc;
};

static int show_record(void *context, const struct dlq_record *record)
{
	struct show *show = context;

	if (show->reason != NULL &&
	    (record->reason.data == NULL || strlen(show->reason) != record->reason.len ||
	        memcmp(show->reason, record->reason.data, record->reason.len) != 0))
		return 0;
	if (show->left == 0)
		return 1;
	show->rc = dlq_print_record(stdout, record, show->json);
	return show->rc != 0 || --show->left == 0;
}

static int dlq_show(int argc, char **argv)
{
	struct arg table[] = {
	    DLQ_SOURCE_OPTIONS,
	    {"reason", "REASON", "only those with this reason, as 'dlq ls' names it", NULL},
	    {"limit|n", "N", "at most so many (20)", NULL},
	    {NULL, NULL, NULL, NULL},
	};
	const struct args args = {
	    .usage = "penstock dlq show (--from-files DIR | --brokers B --topic T | --config FILE) [options]",
	    .about = "Shows dead letters with their headers and their original bytes. Bytes that are not "
	             "printable "
	             "are escaped; --json has one object per line, and base64 where bytes are not UTF-8.",
	    .table = table,
	};
	struct show show = {.left = DEFAULT_LIMIT};
	struct error err;
	int rc = dlq_args_begin(&args, "dlq show", argc, argv, &err);

	if (rc >= 0)
		return rc;
	if (args_get_u64(&args, "limit", 1, UINT64_MAX, &show.left, &err) != 0)
		return args_usage_error("dlq show", &err);
	show.reason = args_get(&args, "reason");
	show.json = args_get(&args, "json") != NULL;
	rc = dlq_args_read(&args, show_record, &show, &err);
	if (rc >= 0 && show.rc != 0)
		rc = error_set(&err, show.rc, "cannot write the output");
	return rc >= 0 ? EXIT_OK : dlq_args_fail("dlq show", &err);
}

int cmd_dlq(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "ls") == 0)
		return dlq_ls(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "show") == 0)
		return dlq_show(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "replay") == 0)
		return dlq_replay(argc - 1, argv + 1);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		(void)puts("Usage: penstock dlq ls|show|replay [options]\n\n"
		           "  ls     count dead letters by stream, stage and reason\n"
		           "  show   print them\n"
		           "  replay send them again\n\n"
		           "'penstock dlq ls --help' says more.");
		return EXIT_OK;
	}
	(void)fputs("penstock dlq: which of ls, show and replay?\nTry 'penstock dlq --help'.\n", stderr);
	return EXIT_USAGE;
}
