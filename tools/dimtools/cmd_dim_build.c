/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/cmd_dim_build.h"

#include "args/args.h"
#include "clock.h"
#include "dimtools/dim_build.h"
#include "dimtools/row_reader.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define BAR_INTERVAL_NS (SECOND_NS / 10)
#define LINE_INTERVAL_NS (5 * SECOND_NS)
#define BAR_WIDTH 30

struct progress {
	bool tty;
	bool drawn;
	int signals; /* signalfd: an interruption must let dim_build() remove its temporary file */
	uint64_t start_ns, next_ns;
};

static void draw(struct progress *progress, uint64_t now_ns, uint64_t rows, uint64_t bytes, uint64_t total)
{
	double share = total > 0 ? (double)bytes / (double)total : 0;
	double seconds = (double)(now_ns - progress->start_ns) / (double)SECOND_NS;
	int filled = (int)(share * BAR_WIDTH);
	char bar[BAR_WIDTH + 1];

	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	(void)fprintf(stderr, "%s[%s] %3.0f %%  %lu rows  %.0f MB/s%s", progress->tty ? "\r" : "", bar,
	    share * 100, rows, seconds > 0 ? (double)bytes / 1e6 / seconds : 0.0,
	    progress->tty ? "\033[K" : "\n");
	(void)fflush(stderr);
	progress->drawn = true;
}

static int on_progress(void *context, uint64_t rows, uint64_t bytes, uint64_t total)
{
	struct progress *progress = context;
	uint64_t now_ns = clock_mono_ns(&system_clock);
	struct signalfd_siginfo info;

	if (now_ns >= progress->next_ns) {
		draw(progress, now_ns, rows, bytes, total);
		progress->next_ns = now_ns + (progress->tty ? BAR_INTERVAL_NS : LINE_INTERVAL_NS);
	}
	return read(progress->signals, &info, sizeof(info)) == sizeof(info);
}

static int start_progress(struct progress *progress, sigset_t *before, struct error *err)
{
	sigset_t signals;

	progress->tty = isatty(STDERR_FILENO) == 1;
	progress->start_ns = clock_mono_ns(&system_clock);
	progress->next_ns = progress->start_ns + (progress->tty ? 0 : LINE_INTERVAL_NS);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, before);
	progress->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (progress->signals < 0)
		return error_set(err, -errno, "signalfd: %s", strerror(errno));
	return 0;
}

static void end_progress(struct progress *progress, const sigset_t *before)
{
	struct signalfd_siginfo info;

	if (progress->tty && progress->drawn)
		(void)fputs("\r\033[K", stderr);
	if (progress->signals >= 0) {
		/* What came too late to interrupt has nothing left to interrupt. */
		while (read(progress->signals, &info, sizeof(info)) == sizeof(info))
			continue;
		(void)close(progress->signals);
	}
	(void)sigprocmask(SIG_SETMASK, before, NULL);
}

/* Splits "a,b" in place. */
static int split_columns(char *text, const char **columns, size_t *n, struct error *err)
{
	*n = 0;
	while (text != NULL) {
		char *name = strsep(&text, ",");

		if (name[0] == '\0')
			return error_set(err, -EINVAL, "--columns: a name is empty");
		if (*n == ROWS_MAX_COLUMNS)
			return error_set(err, -EINVAL, "--columns: more than %u names", ROWS_MAX_COLUMNS);
		columns[(*n)++] = name;
	}
	return 0;
}

static int choose_format(const char *text, enum dim_format *format, struct error *err)
{
	static const char *const names[] = {"auto", "csv", "jsonl", "json"};

	*format = DIM_FORMAT_AUTO;
	for (unsigned int i = 0; text != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*format = (enum dim_format)i;
			return 0;
		}
	}
	return text == NULL ? 0
	                    : error_set(err, -EINVAL, "--format: \"%s\" is none of csv, jsonl, json", text);
}

/* SOURCE_DATE_EPOCH, as reproducible builds have it, stands for the time of the build. */
static int choose_time(int64_t *built_ms, struct error *err)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	long long seconds;
	char *end;

	*built_ms = clock_wall_ms(&system_clock);
	if (text == NULL)
		return 0;
	errno = 0;
	seconds = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || seconds < 0 || seconds > INT64_C(253402300799))
		return error_set(err, -EINVAL, "SOURCE_DATE_EPOCH=\"%s\" is not a number of seconds", text);
	*built_ms = (int64_t)seconds * 1000;
	return 0;
}

static int build(struct dim_build_options *options, bool json)
{
	struct dim_build_result result;
	struct progress progress = {.signals = -1};
	struct error err;
	sigset_t before;
	double seconds;
	int rc = start_progress(&progress, &before, &err);

	options->progress = on_progress;
	options->progress_context = &progress;
	options->result = &result;
	if (rc == 0)
		rc = dim_build(options, &err);
	seconds = (double)(clock_mono_ns(&system_clock) - progress.start_ns) / (double)SECOND_NS;
	end_progress(&progress, &before);
	if (rc != 0) {
		(void)fprintf(stderr, "penstock dim build: %s\n", err.text);
		return rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	if (json)
		printf("{\"name\":\"%s\",\"version\":\"%s\",\"rows\":%lu,\"bytes\":%lu,\"max_row_bytes\":%u,"
		       "\"seconds\":%.3f}\n",
		    result.name, result.version, result.n_rows, result.file_bytes, result.max_row_bytes,
		    seconds);
	else
		printf("%s: dimension %s, version %s, %lu rows, %lu bytes, in %.1f s\n", options->output,
		    result.name, result.version, result.n_rows, result.file_bytes, seconds);
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

static int read_options(const struct args *args, struct dim_build_options *options, struct error *err)
{
	int rc = choose_format(args_get(args, "format"), &options->format, err);

	if (rc == 0)
		rc = choose_time(&options->built_ms, err);
	options->from = args_get(args, "from");
	options->key = args_get(args, "key");
	options->output = args_get(args, "output");
	options->name = args_get(args, "name");
	options->version = args_get(args, "version");
	if (rc == 0 && options->from == NULL)
		rc = error_set(err, -EINVAL, "--from is missing");
	if (rc == 0 && options->key == NULL)
		rc = error_set(err, -EINVAL, "--key is missing");
	if (rc == 0 && options->output == NULL)
		rc = error_set(err, -EINVAL, "-o is missing");
	return rc;
}

static int run(const struct args *args, int argc, char **argv)
{
	const char *columns[ROWS_MAX_COLUMNS];
	struct dim_build_options options = {.columns = columns};
	char *column_text = NULL;
	struct error err;
	int first, rc, status;

	rc = args_parse(args, argc, argv, &first, &err);
	if (rc > 0)
		return EXIT_OK;
	if (rc == 0 && first < argc)
		rc = error_set(&err, -EINVAL, "unexpected word %s", argv[first]);
	if (rc == 0)
		rc = read_options(args, &options, &err);
	if (rc == 0 && args_get(args, "columns") != NULL) {
		column_text = strdup(args_get(args, "columns"));
		if (column_text == NULL)
			return EXIT_FAILED;
		rc = split_columns(column_text, columns, &options.n_columns, &err);
	}
	status =
	    rc != 0 ? args_usage_error("dim build", &err) : build(&options, args_get(args, "json") != NULL);
	free(column_text);
	return status;
}

int cmd_dim_build(int argc, char **argv)
{
	struct arg table[] = {
	    {.name = "from",
	        .metavar = "FILE",
	        .help = "rows: .csv, .jsonl (or .ndjson), or .json with one array"},
	    {.name = "format",
	        .metavar = "NAME",
	        .help = "csv, jsonl or json, where the file's name does not say"},
	    {.name = "key", .metavar = "COLUMN", .help = "the column or member that is looked up"},
	    {.name = "columns",
	        .metavar = "A,B",
	        .help = "what the rows hold, in this order (default: all but the key)"},
	    {.name = "name",
	        .metavar = "NAME",
	        .help = "of the dimension (default: the output's name without .dim)"},
	    {.name = "version",
	        .metavar = "V",
	        .help = "of the snapshot (default: time of the build and a hash)"},
	    {.name = "output", .metavar = "FILE.dim", .help = "where to write the snapshot; also -o"},
	    {.name = "json", .help = "print the outcome as one JSON object"},
	    {0},
	};
	const struct args args = {
	    .usage = "penstock dim build --from FILE --key COLUMN [options] -o FILE.dim",
	    .about = "Builds a dimension snapshot. A CSV column is of strings unless its name in the header "
	             "says otherwise:\n"
	             "price:number, stock:integer, is_registered:boolean, tags:json. Empty cells of such a "
	             "column leave the\n"
	             "member out. JSON values are kept byte for byte. Nothing is written unless every row is "
	             "good.",
	    .table = table,
	};
	char output_option[] = "--output";
	char **words = calloc((size_t)argc + 1, sizeof(*words));
	int status;

	if (words == NULL)
		return EXIT_FAILED;
	for (int i = 0; i < argc; i++)
		words[i] = strcmp(argv[i], "-o") == 0 ? output_option : argv[i];
	status = run(&args, argc, words);
	free(words);
	return status;
}
