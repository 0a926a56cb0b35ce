/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"
#include "cli_commands.h"
#include "cli_print.h"
#include "cli_verb.h"
#include "telemetry.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int read_file(const char *path, uint8_t **out, size_t *len, struct error *err)
{
	FILE *file = fopen(path, "re");
	uint8_t *bytes = NULL;
	int rc = 0;

	if (file == NULL)
		return error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	bytes = malloc(TELEMETRY_MAX_BYTES + 1);
	if (bytes == NULL) {
		(void)fclose(file);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*len = fread(bytes, 1, TELEMETRY_MAX_BYTES + 1, file);
	if (ferror(file))
		rc = error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	else if (*len > TELEMETRY_MAX_BYTES)
		rc = error_set(err, -EFBIG, "%s is longer than %u bytes", path, TELEMETRY_MAX_BYTES);
	(void)fclose(file);
	if (rc < 0) {
		free(bytes);
		return rc;
	}
	*out = bytes;
	return 0;
}

static json_t *counters_json(const struct telemetry_counters *counters)
{
	json_t *object = json_object();

	for (size_t i = 0; i < counters->n; i++)
		(void)json_object_set_new(
		    object, counters->items[i].name, json_integer((json_int_t)counters->items[i].value));
	return object;
}

static json_t *streams_json(const struct telemetry *dump)
{
	json_t *list = json_array();

	for (size_t i = 0; i < dump->n_streams; i++) {
		const struct telemetry_stream *s = &dump->streams[i];

		(void)json_array_append_new(
		    list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:o}", "name", s->name,
		              "received", (json_int_t)s->received, "durable", (json_int_t)s->durable,
		              "dead_lettered", (json_int_t)s->dead_lettered, "duplicate",
		              (json_int_t)s->duplicate, "shed", (json_int_t)s->shed, "in_flight",
		              (json_int_t)s->in_flight, "conserved", s->conserved, "counters",
		              counters_json(&s->counters), "reasons", counters_json(&s->reasons)));
	}
	return list;
}

static json_t *workers_json(const struct telemetry *dump)
{
	json_t *list = json_array();

	for (size_t i = 0; i < dump->n_workers; i++) {
		const struct telemetry_worker *w = &dump->workers[i];
		json_t *stages = json_array();

		for (size_t j = 0; j < w->n_stages; j++)
			(void)json_array_append_new(stages,
			    json_pack("{s:s, s:I, s:I}", "stage", w->stages[j].name, "cycles",
			        (json_int_t)w->stages[j].cycles, "events", (json_int_t)w->stages[j].events));
		(void)json_array_append_new(
		    list, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "lcore",
		              (json_int_t)w->lcore, "cpu", (json_int_t)w->cpu, "loops", (json_int_t)w->loops,
		              "busy_loops", (json_int_t)w->busy_loops, "packets", (json_int_t)w->packets,
		              "packet_bytes", (json_int_t)w->packet_bytes, "batches", (json_int_t)w->batches,
		              "stages", stages, "frame_reasons", counters_json(&w->frame_reasons)));
	}
	return list;
}

static json_t *dimensions_json(const struct telemetry *dump)
{
	json_t *list = json_array();

	for (size_t i = 0; i < dump->n_dimensions; i++) {
		const struct telemetry_dimension *d = &dump->dimensions[i];

		(void)json_array_append_new(list,
		    json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I, s:I}", "name", d->name, "version", d->version,
		        "rows", (json_int_t)d->rows, "bytes", (json_int_t)d->bytes, "age_ms",
		        (json_int_t)d->age_ms, "hits", (json_int_t)d->hits, "misses", (json_int_t)d->misses));
	}
	return list;
}

static json_t *sinks_json(const struct telemetry *dump)
{
	json_t *list = json_array();

	for (size_t i = 0; i < dump->n_sinks; i++) {
		const struct telemetry_sink *s = &dump->sinks[i];

		(void)json_array_append_new(
		    list, json_pack("{s:s, s:s?, s:I, s:I, s:I, s:o}", "name", s->name, "state", s->state,
		              "records", (json_int_t)s->records, "bytes", (json_int_t)s->bytes, "retries",
		              (json_int_t)s->retries, "counters", counters_json(&s->counters)));
	}
	return list;
}

static json_t *dedup_json(const struct telemetry *dump)
{
	json_t *list = json_array();

	for (size_t i = 0; i < dump->n_dedup; i++) {
		const struct telemetry_dedup *d = &dump->dedup[i];

		(void)json_array_append_new(
		    list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "stream", d->stream, "slots",
		              (json_int_t)d->slots, "entries", (json_int_t)d->entries, "evicted",
		              (json_int_t)d->evicted, "window_ms", (json_int_t)d->window_ms, "covered_ms",
		              (json_int_t)d->covered_ms, "alarm", d->alarm));
	}
	return list;
}

static json_t *dump_json(const struct telemetry *dump)
{
	return json_pack("{s:s?, s:s?, s:s?, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "host", dump->host,
	    "node", dump->node, "version", dump->version, "time_ms", (json_int_t)dump->time_ms, "uptime_ms",
	    (json_int_t)dump->uptime_ms, "cycles_per_second", (json_int_t)dump->cycles_per_second, "streams",
	    streams_json(dump), "workers", workers_json(dump), "dimensions", dimensions_json(dump), "sinks",
	    sinks_json(dump), "dedup", dedup_json(dump));
}

/* Any JSON as lines of "path  value": the dump has no order that a table would show better. */
static void flatten(struct print_table *table, const char *path, const json_t *value)
{
	const char *key;
	char inner[256];
	json_t *item;
	size_t i;

	if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, item)
		{
			(void)snprintf(inner, sizeof(inner), "%s%s%s", path, path[0] == '\0' ? "" : ".", key);
			flatten(table, inner, item);
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, item)
		{
			const json_t *name = json_object_get(item, "name");

			name = name == NULL ? json_object_get(item, "stage") : name;
			name = name == NULL ? json_object_get(item, "stream") : name;
			if (json_is_string(name))
				(void)snprintf(inner, sizeof(inner), "%s[%s]", path, json_string_value(name));
			else
				(void)snprintf(inner, sizeof(inner), "%s[%zu]", path, i);
			flatten(table, inner, item);
		}
	} else {
		table_text(table, path);
		if (json_is_integer(value))
			table_count(table, json_integer_value(value));
		else if (json_is_string(value))
			table_text(table, json_string_value(value));
		else
			table_text(table, json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
	}
}

static int print_dump(const char *path, bool as_json, struct error *err)
{
	struct telemetry *dump;
	struct print_table table;
	json_t *document;
	uint8_t *bytes = NULL;
	size_t len = 0;
	int rc;

	rc = read_file(path, &bytes, &len, err);
	if (rc < 0)
		return rc;
	rc = telemetry_decode(bytes, len, &dump, err);
	free(bytes);
	if (rc < 0)
		return error_prefix(err, rc, "%s", path);
	document = dump_json(dump);
	if (as_json) {
		verb_print_json(document);
	} else {
		char time[TIMESTAMP_TEXT_BYTES];

		table_init(&table, "WHAT|>VALUE");
		if (timestamp_write(dump->time_ms, time)) {
			(void)json_object_del(document, "time_ms");
			table_text(&table, "time");
			table_format(&table, "%.*s", (int)sizeof(time), time);
		}
		flatten(&table, "", document);
		table_print(&table, stdout);
	}
	json_decref(document);
	telemetry_free(dump);
	return 0;
}

/* A dump appears under its name only when it is complete. */
static int write_file(const char *path, const void *bytes, size_t len, struct error *err)
{
	char temporary[4096];
	FILE *file;
	int rc = 0;

	if (strcmp(path, "-") == 0)
		return fwrite(bytes, 1, len, stdout) == len
		           ? 0
		           : error_set(err, -EIO, "cannot write to standard output");
	if (snprintf(temporary, sizeof(temporary), "%s.part", path) >= (int)sizeof(temporary))
		return error_set(err, -ENAMETOOLONG, "the path is too long");
	file = fopen(temporary, "we");
	if (file == NULL)
		return error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
	if (fwrite(bytes, 1, len, file) != len)
		rc = -EIO;
	if (fclose(file) != 0 || (rc == 0 && rename(temporary, path) < 0))
		rc = -errno;
	if (rc < 0) {
		(void)unlink(temporary);
		return error_set(err, rc, "cannot write %s: %s", path, strerror(-rc));
	}
	return 0;
}

static int save_dump(const char *socket, const char *path, struct error *err)
{
	char name[64], *bytes;
	struct tm utc;
	time_t now = time(NULL);
	size_t len;
	int rc;

	rc = client_request(socket, "GET", "/v1/dump", NULL, &bytes, &len, err);
	if (rc < 0)
		return rc;
	if (path == NULL) {
		(void)strftime(name, sizeof(name), "penstock-%Y%m%dT%H%M%SZ.pstel", gmtime_r(&now, &utc));
		path = name;
	}
	rc = write_file(path, bytes, len, err);
	free(bytes);
	if (rc == 0 && strcmp(path, "-") != 0)
		(void)printf("%s: %zu bytes\n", path, len);
	return rc;
}

int cmd_dump(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET,
	    {"output|o", "FILE", "where to write (default: penstock-TIME.pstel; - is standard output)", NULL},
	    {"read", "FILE", "print a dump instead", NULL}, VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock dump [options]",
	    "Writes the daemon's counters at one moment to a file, or prints such a file. The file is a "
	    "FlatBuffer "
	    "(flatbuffers/telemetry.fbs), to be sent along with a question or kept for later.",
	    table};
	struct error err;
	const char *read;
	int first, rc = verb_begin(&args, "dump", argc, argv, 0, 0, &first);

	if (rc != 0)
		return verb_exit(rc);
	read = args_get(&args, "read");
	if (read != NULL && args_get(&args, "output") != NULL) {
		(void)error_set(&err, -EINVAL, "--read and --output exclude each other");
		return args_usage_error("dump", &err);
	}
	if (read == NULL && args_get(&args, "json") != NULL) {
		(void)error_set(&err, -EINVAL, "--json goes with --read");
		return args_usage_error("dump", &err);
	}
	rc = read != NULL
	         ? print_dump(read, args_get(&args, "json") != NULL, &err)
	         : save_dump(client_socket(args_get(&args, "socket")), args_get(&args, "output"), &err);
	return rc < 0 ? verb_fail("dump", &err) : EXIT_OK;
}
