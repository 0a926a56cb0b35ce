/* SPDX-License-Identifier: BSD-3-Clause */
#include "cmd_explain.h"

#include "cli_verb.h"
#include "config.h"
#include "dimension_store.h"
#include "engine.h"
#include "explain.h"
#include "worker.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <rte_rcu_qsbr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EVENT_TEXT (1u << 20)
#define DEDUP_BYTES (1u << 20)

struct options {
	const char *config, *stream;
	const char *dimensions[CONFIG_MAX_DIMENSIONS]; /* NAME=FILE */
	size_t n_dimensions;
	uint64_t partitions;
	bool json;
};

static int read_options(const struct args *args, char **argv, int first, struct options *o, struct error *err)
{
	const char *dimension;
	int at = 1;

	*o = (struct options){.config = args_get(args, "config"),
	    .stream = args_get(args, "stream"),
	    .partitions = 4,
	    .json = args_get(args, "json") != NULL};
	if (o->config == NULL)
		return error_set(err, -EINVAL, "--config FILE is needed");
	while ((dimension = args_next(args, "dimension", argv, first, &at)) != NULL) {
		if (o->n_dimensions == CONFIG_MAX_DIMENSIONS || strchr(dimension, '=') == NULL)
			return error_set(err, -EINVAL, "--dimension takes NAME=FILE, at most %d times",
			    CONFIG_MAX_DIMENSIONS);
		o->dimensions[o->n_dimensions++] = dimension;
	}
	return args_get_u64(args, "partitions", 1, INT32_MAX, &o->partitions, err);
}

/* The one line of standard input, without its end. */
static int read_event(char **out, uint32_t *len, struct error *err)
{
	char *text = malloc(MAX_EVENT_TEXT + 1);
	const char *wrong = NULL;
	size_t n;

	if (text == NULL)
		return error_set(err, -ENOMEM, "no memory for the event");
	n = fread(text, 1, MAX_EVENT_TEXT + 1, stdin);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n == 0)
		wrong = "holds no event";
	else if (n > MAX_EVENT_TEXT)
		wrong = "is longer than 1 MiB";
	else if (memchr(text, '\n', n) != NULL)
		wrong = "holds more than one line: explain takes one event";
	if (wrong != NULL) {
		free(text);
		return error_set(err, -EINVAL, "standard input %s", wrong);
	}
	*out = text;
	*len = (uint32_t)n;
	return 0;
}

static int load_dimensions(struct engine *engine, const struct options *o, struct error *err)
{
	const struct config *config = engine->config;

	for (size_t i = 0; i < o->n_dimensions; i++) {
		const char *equals = strchr(o->dimensions[i], '=');
		char name[128];

		(void)snprintf(
		    name, sizeof(name), "%.*s", (int)(equals - o->dimensions[i]), o->dimensions[i]);
		if (config_find_dimension(config, name) < 0)
			return error_set(
			    err, -ENOENT, "--dimension %s: the configuration has no such dimension", name);
	}
	for (uint16_t d = 0; d < engine->n_dimensions; d++) {
		const char *name = config->dimensions[d].name;
		size_t name_len = strlen(name);
		struct dimension *dimension;
		char stored[PATH_MAX];
		const char *path = NULL;
		int ret;

		for (size_t i = 0; i < o->n_dimensions; i++)
			if (strncmp(o->dimensions[i], name, name_len) == 0 &&
			    o->dimensions[i][name_len] == '=')
				path = o->dimensions[i] + name_len + 1;
		if (path == NULL && dimension_store_current(
		                        config->control.state_directory, name, stored, sizeof(stored)) == 0)
			path = stored;
		if (path == NULL)
			continue;
		ret = dimension_load(path, -1, HUGEPAGES_OFF, &dimension, err);
		if (ret != 0)
			return ret;
		(void)engine_publish(engine, d, dimension);
	}
	return 0;
}

static void print_human(const json_t *out)
{
	json_t *item;
	size_t i;

	(void)printf("stream      %s\n", json_string_value(json_object_get(out, "stream")));
	(void)printf("bytes       %lld\n", (long long)json_integer_value(json_object_get(out, "bytes")));
	json_array_foreach(json_object_get(out, "fields"), i, item)(void) printf("%-11s %-16s %-8s %s\n",
	    i == 0 ? "fields" : "", json_string_value(json_object_get(item, "name")),
	    json_string_value(json_object_get(item, "type")),
	    json_object_get(item, "value") ? json_string_value(json_object_get(item, "value")) : "");
	if (json_object_get(out, "identity") != NULL) {
		(void)printf("undeclared  %lld\n",
		    (long long)json_integer_value(json_object_get(out, "undeclared_fields")));
		(void)printf("event time  %s\n", json_string_value(json_object_get(out, "event_time")));
		(void)printf("identity    %s\n", json_string_value(json_object_get(out, "identity")));
		(void)printf("dedup key   %s\n", json_string_value(json_object_get(out, "dedup_key")));
	}
	json_array_foreach(json_object_get(out, "stages"), i, item)
	{
		const char *message = json_string_value(json_object_get(item, "message"));

		(void)printf("%-11s %s", json_string_value(json_object_get(item, "stage")),
		    json_string_value(json_object_get(item, "verdict")));
		if (message != NULL)
			(void)printf(
			    ": %s (%s)", json_string_value(json_object_get(item, "reason")), message);
		(void)putchar('\n');
	}
	json_array_foreach(json_object_get(out, "enrich"), i, item)
	{
		char *row = json_dumps(json_object_get(item, "row"), JSON_COMPACT);

		(void)printf("join        %s by %s: %s%s%s\n",
		    json_string_value(json_object_get(item, "dimension")),
		    json_string_value(json_object_get(item, "key")),
		    json_string_value(json_object_get(item, "outcome")), row != NULL ? " " : "",
		    row != NULL ? row : "");
		free(row);
	}
	json_array_foreach(json_object_get(out, "records"), i, item)
	{
		const char *key = json_string_value(json_object_get(item, "key"));

		(void)printf("record      %s to %s", json_string_value(json_object_get(item, "kind")),
		    json_string_value(json_object_get(item, "topic")));
		if (key != NULL)
			(void)printf(", key %s, partition %lld", key,
			    (long long)json_integer_value(json_object_get(item, "partition")));
		(void)printf("\n%s\n", json_string_value(json_object_get(item, "value")));
	}
}

/* The one stream, or the one that was named. */
static int find_stream(const struct config *config, const char *name, struct error *err)
{
	int index;

	if (name == NULL && config->n_streams == 1)
		return 0;
	if (name == NULL)
		return error_set(err, -EINVAL, "%s has %zu streams: say which with --stream", config->path,
		    config->n_streams);
	index = config_find_stream(config, name);
	if (index < 0)
		return error_set(err, -EINVAL, "%s has no stream \"%s\"", config->path, name);
	return index;
}

static int explain(const struct options *o, struct error *err)
{
	struct engine_options options = {
	    .n_workers = 1, .n_sinks = 1, .batches_per_worker = 2, .node = -1, .clock = &system_clock};
	struct config *config = NULL;
	struct engine *engine = NULL;
	struct worker *worker = NULL;
	struct source *source = NULL;
	struct packet packet = {.kind = PACKET_PAYLOAD};
	char *text = NULL;
	json_t *out;
	int index = 0, ret;

	ret = config_load(o->config, &config, err);
	if (ret == 0)
		ret = index = find_stream(config, o->stream, err);
	if (ret < 0)
		goto out;
	/* One event needs neither hugepages nor a large window. */
	config->dataplane.hugepages = HUGEPAGES_OFF;
	for (size_t s = 0; s < config->n_streams; s++)
		config->streams[s].dedup_budget_bytes = DEDUP_BYTES;
	ret = read_event(&text, &packet.len, err);
	packet.data = text;
	packet.stream = (uint16_t)index;
	if (ret == 0)
		ret = engine_create(config, &options, &engine, err);
	if (ret == 0)
		ret = load_dimensions(engine, o, err);
	if (ret == 0)
		ret = source_memory_create("stdin", &packet, 1, 1, true, &source, err);
	if (ret == 0)
		ret = worker_create(engine, 0, &worker, err);
	if (ret != 0)
		goto out;
	atomic_store(&engine->accepting, true);
	rte_rcu_qsbr_thread_register(engine->rcu, 0);
	(void)worker_add_source(worker, source);
	(void)worker_round(worker);
	if (worker->pipeline->burst->n == 0) {
		ret = error_set(err, -EINVAL, "standard input holds no event");
		goto out;
	}
	out = explain_event(engine, worker, (uint16_t)index, (int32_t)o->partitions);
	if (o->json)
		verb_print_json(out);
	else
		print_human(out);
	json_decref(out);
out:
	worker_destroy(worker);
	source_destroy(source);
	engine_destroy(engine);
	config_free(config);
	free(text);
	return ret;
}

int cmd_explain(int argc, char **argv)
{
	struct arg table[] = {{"config", "FILE", "the configuration", NULL},
	    {"stream", "NAME", "the stream (default: the only one)", NULL},
	    {"dimension", "NAME=FILE...",
	        "use this snapshot; without it, the one that the state directory holds, if any", NULL},
	    {"partitions", "N", "partitions of the output topics (default 4)", NULL}, VERB_OPTION_JSON,
	    VERB_OPTION_END};
	struct args args = {"penstock explain --config FILE [options] < EVENT",
	    "Shows what each stage makes of one event. Reads the event from standard input and works "
	    "offline, with the "
	    "daemon's own code.",
	    table};
	struct options options;
	struct error err;
	int first, rc = verb_begin(&args, "explain", argc, argv, 0, 0, &first);

	if (rc != 0)
		return verb_exit(rc);
	if (read_options(&args, argv, first, &options, &err) < 0)
		return args_usage_error("explain", &err);
	return explain(&options, &err) < 0 ? verb_fail("explain", &err) : EXIT_OK;
}
