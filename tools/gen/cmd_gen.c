/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/cmd_gen.h"

#include "args/args.h"
#include "gen/gen.h"
#include "gen/pcap.h"
#include "gen/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OUT_BUFFER (1u << 20)
#define MAX_COUNT 1000000000000ull

static FILE *open_out(const char *path, struct error *err)
{
	FILE *file = path == NULL || strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");

	if (file == NULL)
		error_set(err, -errno, "%s: %s", path, strerror(errno));
	else
		setvbuf(file, NULL, _IOFBF, OUT_BUFFER);
	return file;
}

/* Flushes, and closes what is not standard output. */
static int close_out(FILE *file, const char *path, struct error *err)
{
	int code = ferror(file) || fflush(file) != 0 ? -1 : 0;

	if (file != stdout && fclose(file) != 0)
		code = -1;
	if (code != 0)
		return error_set(
		    err, -EIO, "%s: cannot write: %s", path ? path : "standard output", strerror(errno));
	return 0;
}

static int write_expect(const char *path, const struct gen_counts *counts, struct error *err)
{
	FILE *file = open_out(path, err);
	const char *comma = "";

	if (file == NULL)
		return -EIO;
	fprintf(file,
	    "{\"sent\":%" PRIu64 ",\"valid\":%" PRIu64 ",\"duplicate\":%" PRIu64 ",\"malformed\":%" PRIu64
	    ",\"unknown_products\":%" PRIu64 ",\"durable\":%" PRIu64 ",\"dead_lettered\":%" PRIu64
	    ",\"by_reason\":{",
	    counts->sent, counts->valid, counts->duplicate, counts->malformed, counts->unknown_products,
	    counts->durable, counts->malformed);
	for (int i = 0; i < REASON_COUNT; i++) {
		if (counts->by_reason[i] == 0)
			continue;
		fprintf(file, "%s\"%s\":%" PRIu64, comma, reason_info((enum reason)i)->name,
		    counts->by_reason[i]);
		comma = ",";
	}
	fputs("}}\n", file);
	return close_out(file, path, err);
}

static int parse_time(const char *text, int64_t *ms, struct error *err)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (end == NULL || *end != '\0' || timegm(&tm) < 0)
		return error_set(
		    err, -EINVAL, "--start: \"%s\" is not a time such as 2025-06-17T23:30:00Z", text);
	*ms = (int64_t)timegm(&tm) * 1000;
	return 0;
}

struct event_output {
	struct gen_options options;
	const char *out, *expect;
	bool pcap;
	uint64_t port, mtu;
};

static int write_events(const struct event_output *output, struct error *err)
{
	char event[GEN_EVENT_MAX + 1];
	struct pcap *pcap = NULL;
	struct gen *gen = NULL;
	FILE *file = NULL;
	size_t len;
	int ret;

	ret = gen_create(&output->options, &gen, err);
	if (ret != 0)
		return ret;
	file = open_out(output->out, err);
	if (file == NULL) {
		ret = -EIO;
		goto out;
	}
	if (output->pcap) {
		pcap = malloc(sizeof(*pcap));
		if (pcap == NULL) {
			ret = error_set(err, -ENOMEM, "no memory for a frame");
			goto out;
		}
		pcap_init(
		    pcap, file, (uint16_t)output->port, (uint16_t)output->mtu, output->options.start_ms);
	}
	while ((len = gen_next(gen, event)) > 0 && !ferror(file)) {
		if (pcap == NULL) {
			event[len] = '\n';
			fwrite_unlocked(event, len + 1, 1, file);
		} else if (pcap_add(pcap, event, len) != 0) {
			ret = error_set(err, -EMSGSIZE,
			    "event %" PRIu64 " of %zu bytes does not fit an MTU of %" PRIu64,
			    gen_counts(gen)->sent, len, output->mtu);
			goto out;
		}
	}
	if (pcap != NULL)
		pcap_finish(pcap);
	ret = close_out(file, output->out, err);
	file = NULL;
	if (ret == 0 && output->expect != NULL)
		ret = write_expect(output->expect, gen_counts(gen), err);
out:
	if (file != NULL && file != stdout)
		fclose(file);
	free(pcap);
	gen_destroy(gen);
	return ret;
}

static int read_event_options(const struct args *args, struct event_output *output, struct error *err)
{
	struct gen_options *options = &output->options;
	const char *stream = args_get(args, "stream"), *format = args_get(args, "format");
	const char *start = args_get(args, "start");
	int number = gen_stream_by_name(stream != NULL ? stream : "catalog");

	gen_defaults(options);
	if (number < 0)
		return error_set(err, -EINVAL, "--stream: \"%s\" is not catalog, detections or shop", stream);
	options->stream = (enum gen_stream)number;
	if (format != NULL && strcmp(format, "ndjson") != 0 && strcmp(format, "pcap") != 0)
		return error_set(err, -EINVAL, "--format: \"%s\" is not ndjson or pcap", format);
	output->pcap = format != NULL && strcmp(format, "pcap") == 0;
	output->out = args_get(args, "out");
	output->expect = args_get(args, "expect");
	output->port = 9000;
	output->mtu = 1500;
	if (args_get_u64(args, "count", 0, MAX_COUNT, &options->count, err) != 0 ||
	    args_get_u64(args, "seed", 0, UINT64_MAX, &options->seed, err) != 0 ||
	    args_get_share(args, "duplicates", &options->duplicates, err) != 0 ||
	    args_get_share(args, "malformed", &options->malformed, err) != 0 ||
	    args_get_share(args, "unknown-products", &options->unknown_products, err) != 0 ||
	    args_get_u64(args, "products", 1, 1u << 31, &options->products, err) != 0 ||
	    args_get_u64(args, "users", 1, 1u << 31, &options->users, err) != 0 ||
	    args_get_u64(args, "places", 1, 1u << 31, &options->places, err) != 0 ||
	    args_get_double(args, "zipf", 0, 10, &options->zipf, err) != 0 ||
	    args_get_u64(args, "event-rate", 1, 1000000000, &options->event_rate, err) != 0 ||
	    args_get_u64(args, "port", 1, UINT16_MAX, &output->port, err) != 0 ||
	    args_get_u64(args, "mtu", 576, 9000, &output->mtu, err) != 0)
		return -EINVAL;
	if (start != NULL)
		return parse_time(start, &options->start_ms, err);
	options->start_ms =
	    (int64_t)time(NULL) * 1000 - (int64_t)(options->count / options->event_rate * 1000);
	return 0;
}

static int gen_events(int argc, char **argv)
{
	struct arg table[] = {
	    {"stream", "NAME", "catalog (default), detections or shop", NULL},
	    {"count", "N", "how many events (default 1000000)", NULL},
	    {"seed", "N", "the same seed and options make the same bytes (default 1)", NULL},
	    {"duplicates", "SHARE", "such as 3%: repeat an earlier event's bytes", NULL},
	    {"malformed", "SHARE", "such as 1%: break the event, in many ways", NULL},
	    {"unknown-products", "SHARE", "such as 2%: a product in no dimension (catalog)", NULL},
	    {"products", "N", "rows of the products dimension (default 100000)", NULL},
	    {"users", "N", "rows of the users dimension (default 1000000)", NULL},
	    {"places", "N", "rows of places or locations (default 1000)", NULL},
	    {"zipf", "S", "exponent of the keys' Zipf distribution (default 1.1)", NULL},
	    {"start", "TIME", "event time of the first event (default: so that the last is now)", NULL},
	    {"event-rate", "N", "events per second of event time (default 100000)", NULL},
	    {"out", "FILE", "where to write, - is standard output (default)", NULL},
	    {"format", "FORMAT", "ndjson (default) or pcap", NULL},
	    {"port", "N", "pcap: destination UDP port (default 9000)", NULL},
	    {"mtu", "BYTES", "pcap: size of an IP packet (default 1500)", NULL},
	    {"expect", "FILE", "write what the appliance must count, as JSON", NULL},
	    {NULL, NULL, NULL, NULL},
	};
	struct args args = {"penstock gen events [options]",
	    "Makes events like a producer's, one per line, with a known share of trouble.", table};
	struct event_output output;
	struct error err;
	int ret;

	ret = args_parse_only(&args, argc, argv, &err);
	if (ret > 0)
		return EXIT_OK;
	if (ret == 0)
		ret = read_event_options(&args, &output, &err);
	if (ret != 0)
		return args_usage_error("gen events", &err);
	ret = write_events(&output, &err);
	if (ret == -EINVAL)
		return args_usage_error("gen events", &err);
	if (ret != 0)
		fprintf(stderr, "penstock gen events: %s\n", err.text);
	return ret == 0 ? EXIT_OK : EXIT_FAILED;
}

static int gen_dimension(int argc, char **argv)
{
	struct arg table[] = {
	    {"name", "NAME", "products, users, places or locations", NULL},
	    {"rows", "N", "how many rows", NULL},
	    {"seed", "N", "the same seed makes the same bytes (default 1)", NULL},
	    {"out", "FILE", "F.csv or F.jsonl; without it JSON lines on standard output", NULL},
	    {NULL, NULL, NULL, NULL},
	};
	struct args args = {"penstock gen dimension --name NAME --rows N [options]",
	    "Makes the rows that the events of `penstock gen events` join, for `penstock dim build`.\n"
	    "Keys: product_id, user_id, place_id, location_oid.",
	    table};
	uint64_t rows = 0, seed = 1;
	const char *name, *out, *end;
	struct error err;
	int ret, number = -1;
	FILE *file;

	ret = args_parse_only(&args, argc, argv, &err);
	if (ret > 0)
		return EXIT_OK;
	name = args_get(&args, "name");
	out = args_get(&args, "out");
	end = out != NULL ? strrchr(out, '.') : NULL;
	if (ret == 0 && (name == NULL || args_get(&args, "rows") == NULL))
		ret = error_set(&err, -EINVAL, "--name and --rows are needed");
	else if (ret == 0 && (number = gen_dimension_by_name(name)) < 0)
		ret = error_set(
		    &err, -EINVAL, "--name: \"%s\" is not products, users, places or locations", name);
	else if (ret == 0 && out != NULL && strcmp(out, "-") != 0 &&
	         (end == NULL || (strcmp(end, ".csv") != 0 && strcmp(end, ".jsonl") != 0)))
		ret = error_set(&err, -EINVAL, "--out: \"%s\" ends neither in .csv nor in .jsonl", out);
	if (ret == 0)
		ret = args_get_u64(&args, "rows", 1, 1u << 31, &rows, &err);
	if (ret == 0)
		ret = args_get_u64(&args, "seed", 0, UINT64_MAX, &seed, &err);
	if (ret != 0)
		return args_usage_error("gen dimension", &err);

	file = open_out(out, &err);
	if (file != NULL) {
		gen_rows_write(
		    (enum gen_dimension)number, seed, rows, end != NULL && strcmp(end, ".csv") == 0, file);
		if (close_out(file, out, &err) == 0)
			return EXIT_OK;
	}
	fprintf(stderr, "penstock gen dimension: %s\n", err.text);
	return EXIT_FAILED;
}

int cmd_gen(int argc, char **argv)
{
	struct error err;

	if (argc > 1 && strcmp(argv[1], "events") == 0)
		return gen_events(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "dimension") == 0)
		return gen_dimension(argc - 1, argv + 1);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		printf("Usage: penstock gen events|dimension [options]\n\n"
		       "Makes input for trying out and testing: events, and the dimensions they join.\n"
		       "See 'penstock gen events --help' and 'penstock gen dimension --help'.\n");
		return EXIT_OK;
	}
	error_set(&err, -EINVAL, "say what to make: events or dimension");
	return args_usage_error("gen", &err);
}
