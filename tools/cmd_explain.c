/* SPDX-License-Identifier: BSD-3-Clause */
#include "cmd_explain.h"

#include "config.h"
#include "dimension_store.h"
#include "engine.h"
#include "kafka_partition.h"
#include "timestamp.h"
#include "worker.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_EVENT_TEXT (1u << 20)
#define DEDUP_BYTES (1u << 20)

static const char usage[] = "usage: penstock explain --config F [--stream NAME] [--dimension "
                            "NAME=FILE.dim]... [--partitions N] [--json] < event\n"
                            "\n"
                            "Reads one event from standard input and shows what each stage makes of it, "
                            "offline, with the daemon's own code.\n"
                            "\n"
                            "  --config F               the configuration\n"
                            "  --stream NAME            the stream (default: the only one)\n"
                            "  --dimension NAME=FILE    use this snapshot; without it, the one that the "
                            "state directory holds, if any\n"
                            "  --partitions N           partitions of the output topics (default 4)\n"
                            "  --json                   print one JSON object\n";

struct options {
	const char *config, *stream;
	const char *dimensions[CONFIG_MAX_DIMENSIONS]; /* NAME=FILE */
	size_t n_dimensions;
	int32_t partitions;
	bool json;
};

static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"stream", required_argument, NULL, 's'},
	    {"dimension", required_argument, NULL, 'd'},
	    {"partitions", required_argument, NULL, 'p'},
	    {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	char *end;
	int c;

	*o = (struct options){.partitions = 4};
	optind = 1;
	while ((c = getopt_long(argc, argv, "c:s:d:p:jh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 's':
			o->stream = optarg;
			break;
		case 'd':
			if (o->n_dimensions == CONFIG_MAX_DIMENSIONS || strchr(optarg, '=') == NULL) {
				(void)fprintf(stderr,
				    "penstock explain: --dimension takes NAME=FILE, at most %d times\n",
				    CONFIG_MAX_DIMENSIONS);
				return 2;
			}
			o->dimensions[o->n_dimensions++] = optarg;
			break;
		case 'p':
			o->partitions = (int32_t)strtol(optarg, &end, 10);
			if (*end != '\0' || o->partitions < 1) {
				(void)fprintf(
				    stderr, "penstock explain: --partitions takes a number above 0\n");
				return 2;
			}
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return -1;
		default:
			(void)fputs(usage, stderr);
			return 2;
		}
	}
	if (o->config == NULL || optind != argc) {
		(void)fputs(usage, stderr);
		return 2;
	}
	return 0;
}

/* Everything from standard input, without the line end. NULL when it is empty or too long. */
static char *read_event(uint32_t *len)
{
	char *text = malloc(MAX_EVENT_TEXT + 1);
	size_t n;

	if (text == NULL)
		return NULL;
	n = fread(text, 1, MAX_EVENT_TEXT + 1, stdin);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n == 0 || n > MAX_EVENT_TEXT) {
		(void)fprintf(stderr, "penstock explain: standard input %s\n",
		    n == 0 ? "holds no event" : "is longer than 1 MiB");
		free(text);
		return NULL;
	}
	if (memchr(text, '\n', n) != NULL) {
		(void)fprintf(stderr,
		    "penstock explain: standard input holds more than one line: explain takes one event\n");
		free(text);
		return NULL;
	}
	*len = (uint32_t)n;
	return text;
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

static json_t *text_of(const char *bytes, size_t len)
{
	json_t *text = json_stringn(bytes, len);

	/* Not UTF-8: say so rather than show half of it. */
	return text != NULL ? text : json_sprintf("(%zu bytes that are not UTF-8)", len);
}

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
	    [VALUE_ABSENT] = "absent",
	    [VALUE_STRING] = "string",
	    [VALUE_INTEGER] = "integer",
	    [VALUE_NUMBER] = "number",
	    [VALUE_TRUE] = "boolean",
	    [VALUE_FALSE] = "boolean",
	    [VALUE_NULL] = "null",
	    [VALUE_OBJECT] = "object",
	    [VALUE_ARRAY] = "array",
	};

	return names[type];
}

static json_t *explain_fields(const struct stream *stream, const struct value *values)
{
	json_t *fields = json_array();

	for (uint16_t f = 0; f < stream->schema->n_fields; f++) {
		json_t *field = json_pack(
		    "{s:s, s:s}", "name", stream->schema->fields[f].name, "type", type_name(values[f].type));

		if (values[f].type != VALUE_ABSENT)
			json_object_set_new(field, "value", text_of(values[f].ptr, values[f].len));
		json_array_append_new(fields, field);
	}
	return fields;
}

static json_t *explain_joins(
    const struct engine *engine, const struct stream *stream, const struct join *joins)
{
	json_t *array = json_array();

	for (size_t j = 0; j < stream->config->n_enrich; j++) {
		const struct dimension *d = atomic_load(&engine->dimensions[stream->join_dimension[j]]);
		const char *outcome = "hit";
		json_t *join = json_pack("{s:s, s:s, s:s}", "dimension", stream->config->enrich[j].dimension,
		    "key", stream->config->enrich[j].key, "as", stream->config->enrich[j].as);

		if (!joins[j].wanted)
			outcome = "no key in the event";
		else if (d == NULL)
			outcome = "miss: no snapshot loaded";
		else if (joins[j].json == NULL)
			outcome = "miss";
		else
			json_object_set_new(
			    join, "row", json_loadb(joins[j].json, joins[j].json_len, 0, NULL));
		json_object_set_new(join, "outcome", json_string(outcome));
		if (d != NULL)
			json_object_set_new(join, "version", json_string(d->version));
		json_array_append_new(array, join);
	}
	return array;
}

static const char *topic_of(const struct config_stream *stream, uint8_t kind)
{
	switch ((enum record_kind)kind) {
	case RECORD_RAW:
		return stream->topic_raw;
	case RECORD_ENRICHED:
		return stream->topic_enriched;
	default:
		return stream->topic_dead_letter;
	}
}

static json_t *explain_records(const struct stream *stream, const struct batch *batch, int32_t partitions)
{
	static const char *const kinds[RECORD_KINDS] = {
	    [RECORD_RAW] = "raw", [RECORD_ENRICHED] = "enriched", [RECORD_DEAD_LETTER] = "dead_letter"};
	json_t *array = json_array();

	for (uint32_t r = 0; r < batch->n_records; r++) {
		const struct record *record = &batch->records[r];
		json_t *object = json_pack("{s:s, s:s?}", "kind", kinds[record->kind], "topic",
		    topic_of(stream->config, record->kind));

		if (record->key_len > 0) {
			const char *key = batch->bytes + record->key;

			json_object_set_new(object, "key", text_of(key, record->key_len));
			json_object_set_new(object, "partition",
			    json_integer(kafka_partition(key, record->key_len, partitions)));
		}
		json_object_set_new(
		    object, "value", text_of(batch->bytes + record->value, record->value_len));
		json_array_append_new(array, object);
	}
	return array;
}

/* What became of the event, stage by stage. Stages after the one that ended it were not reached. */
static json_t *explain_stages(const struct event *event, const struct stream *stream)
{
	static const char *const stages[] = {"parse", "validate", "dedup", "enrich", "emit"};
	const struct reason_info *info = reason_info((enum reason)event->reason);
	json_t *array = json_array();
	char message[EMIT_MAX_MESSAGE];

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		bool ended = event->reason != REASON_NONE && strcmp(info->stage, stages[i]) == 0;
		const char *verdict = strcmp(stages[i], "dedup") == 0 && stream->dedup == NULL ? "off" : "ok";

		if (ended) {
			uint32_t len = emit_message(event, stream->schema, message, sizeof(message));

			json_array_append_new(
			    array, json_pack("{s:s, s:s, s:s, s:s%}", "stage", stages[i], "verdict",
			               "refused", "reason", info->name, "message", message, (size_t)len));
			break;
		}
		json_array_append_new(array, json_pack("{s:s, s:s}", "stage", stages[i], "verdict", verdict));
	}
	return array;
}

static json_t *explain(struct engine *engine, struct worker *worker, uint16_t index, const struct options *o)
{
	const struct stream *stream = &engine->streams[index];
	const struct burst *burst = worker->pipeline->burst;
	const struct event *event = &burst->event[0];
	struct batch *batch = NULL;
	json_t *out = json_pack("{s:s, s:i}", "stream", stream->config->name, "bytes", (int)event->len);

	json_object_set_new(out, "stages", explain_stages(event, stream));
	if (event->flags & EVENT_PARSED) {
		const struct value *values = burst->values, *identity = NULL;
		char time[TIMESTAMP_TEXT_BYTES];

		json_object_set_new(out, "fields", explain_fields(stream, values));
		json_object_set_new(out, "undeclared_fields", json_integer(event->n_unknown));
		timestamp_write(event->time_ms, time);
		json_object_set_new(out, "event_time", json_stringn(time, 24));
		if (stream->schema->identity != SCHEMA_NO_FIELD)
			identity = &values[stream->schema->identity];
		if (identity != NULL && identity->type != VALUE_ABSENT && identity->type != VALUE_NULL)
			json_object_set_new(out, "identity", text_of(identity->ptr, identity->len));
		else
			json_object_set_new(out, "identity", json_string("(all bytes of the event)"));
		/* The daemon's key is secret and random; this one is the same function under the key of
		 * zeros. */
		json_object_set_new(out, "dedup_key",
		    json_sprintf("%016llx%016llx", (unsigned long long)event->key[0],
		        (unsigned long long)event->key[1]));
	}
	if (event->reason == REASON_NONE || event->reason == REASON_DIMENSION_MISS)
		json_object_set_new(
		    out, "enrich", explain_joins(engine, stream, worker->pipeline->enrich->joins[0]));
	(void)pipeline_hand_over(worker->pipeline, true);
	if (rte_ring_dequeue(engine->rings[0][0], (void **)&batch) == 0) {
		json_object_set_new(out, "records", explain_records(stream, batch, o->partitions));
		batch_release(batch);
	}
	return out;
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

int cmd_explain(int argc, char **argv)
{
	struct engine_options options = {
	    .n_workers = 1, .n_sinks = 1, .batches_per_worker = 2, .node = -1, .clock = &system_clock};
	struct config *config = NULL;
	struct engine *engine = NULL;
	struct worker *worker = NULL;
	struct source *source = NULL;
	struct packet packet = {.kind = PACKET_PAYLOAD};
	struct error err = {{0}};
	struct options o;
	char *text = NULL;
	json_t *out;
	int code = 1, index, ret;

	ret = read_options(argc, argv, &o);
	if (ret != 0)
		return ret < 0 ? 0 : ret;
	ret = config_load(o.config, &config, &err);
	if (ret != 0)
		goto out;
	index = find_stream(config, o.stream, &err);
	if (index < 0) {
		ret = index;
		goto out;
	}
	/* One event needs neither hugepages nor a large window. */
	config->dataplane.hugepages = HUGEPAGES_OFF;
	for (size_t s = 0; s < config->n_streams; s++)
		config->streams[s].dedup_budget_bytes = DEDUP_BYTES;
	text = read_event(&packet.len);
	if (text == NULL)
		goto out;
	packet.data = text;
	packet.stream = (uint16_t)index;
	ret = engine_create(config, &options, &engine, &err);
	if (ret == 0)
		ret = load_dimensions(engine, &o, &err);
	if (ret == 0)
		ret = source_memory_create("stdin", &packet, 1, 1, true, &source, &err);
	if (ret == 0)
		ret = worker_create(engine, 0, &worker, &err);
	if (ret != 0)
		goto out;
	atomic_store(&engine->accepting, true);
	rte_rcu_qsbr_thread_register(engine->rcu, 0);
	(void)worker_add_source(worker, source);
	(void)worker_round(worker);
	if (worker->pipeline->burst->n == 0) {
		(void)error_set(&err, -EINVAL, "standard input holds no event");
		ret = -EINVAL;
		goto out;
	}
	out = explain(engine, worker, (uint16_t)index, &o);
	if (o.json) {
		(void)json_dumpf(out, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	} else {
		print_human(out);
	}
	json_decref(out);
	code = 0;
out:
	if (ret != 0 && code != 0)
		(void)fprintf(stderr, "penstock explain: %s\n", err.text);
	worker_destroy(worker);
	source_destroy(source);
	engine_destroy(engine);
	config_free(config);
	free(text);
	return code;
}
