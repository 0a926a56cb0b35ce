/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_dump.h"

#include "telemetry.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Everything that is allocated for one dump. */
struct arena {
	void **blocks;
	size_t n, size;
	bool failed;
};

/* A zeroed array; NULL for none, and after a failure. */
static void *arena_array(struct arena *arena, size_t n, size_t size)
{
	void *block;

	if (n == 0 || arena->failed)
		return NULL;
	if (arena->n == arena->size) {
		size_t more = arena->size == 0 ? 32 : 2 * arena->size;
		void **blocks = reallocarray(arena->blocks, more, sizeof(*blocks));

		if (blocks == NULL) {
			arena->failed = true;
			return NULL;
		}
		arena->blocks = blocks;
		arena->size = more;
	}
	block = calloc(n, size);
	if (block == NULL) {
		arena->failed = true;
		return NULL;
	}
	arena->blocks[arena->n++] = block;
	return block;
}

static void arena_free(struct arena *arena)
{
	for (size_t i = 0; i < arena->n; i++)
		free(arena->blocks[i]);
	free(arena->blocks);
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* All whole numbers of an object but those in `except`, a NULL-terminated list. */
static struct telemetry_counters counters(
    struct arena *arena, const json_t *object, const char *const *except)
{
	struct telemetry_counter *items = arena_array(arena, json_object_size(object), sizeof(*items));
	struct telemetry_counters out = {.items = items};
	const char *name;
	json_t *value;

	if (items == NULL)
		return out;
	json_object_foreach((json_t *)object, name, value)
	{
		const char *const *e = except;

		while (*e != NULL && strcmp(*e, name) != 0)
			e++;
		if (*e == NULL && json_is_integer(value))
			items[out.n++] = (struct telemetry_counter){
			    .name = name, .value = (uint64_t)json_integer_value(value)};
	}
	return out;
}

static void add_streams(struct arena *arena, const json_t *list, struct telemetry *dump)
{
	static const char *const known[] = {
	    "received", "durable", "dead_lettered", "duplicate", "shed", "in_flight", "udp_port", NULL};
	static const char *const nothing[] = {NULL};
	struct telemetry_stream *streams = arena_array(arena, json_array_size(list), sizeof(*streams));
	struct telemetry_dedup *dedup = arena_array(arena, json_array_size(list), sizeof(*dedup));
	json_t *item;
	size_t i;

	if (streams == NULL || dedup == NULL)
		return;
	json_array_foreach(list, i, item)
	{
		const json_t *window = json_object_get(item, "dedup");

		streams[i] = (struct telemetry_stream){.name = text(item, "name"),
		    .received = number(item, "received"),
		    .durable = number(item, "durable"),
		    .dead_lettered = number(item, "dead_lettered"),
		    .duplicate = number(item, "duplicate"),
		    .shed = number(item, "shed"),
		    .in_flight = number(item, "in_flight"),
		    .conserved = json_is_true(json_object_get(item, "conserved")),
		    .counters = counters(arena, item, known),
		    .reasons = counters(arena, json_object_get(item, "drops"), nothing)};
		if (!json_is_object(window))
			continue;
		dedup[dump->n_dedup++] = (struct telemetry_dedup){.stream = text(item, "name"),
		    .slots = number(window, "slots"),
		    .entries = number(window, "entries"),
		    .evicted = number(window, "evicted"),
		    .window_ms = (int64_t)number(window, "window_ms"),
		    .covered_ms = (int64_t)number(window, "covered_ms"),
		    .alarm = json_is_true(json_object_get(window, "alarm"))};
	}
	dump->streams = streams;
	dump->n_streams = json_array_size(list);
	dump->dedup = dedup;
}

static void add_workers(struct arena *arena, const json_t *list, struct telemetry *dump)
{
	struct telemetry_worker *workers = arena_array(arena, json_array_size(list), sizeof(*workers));
	static const char *const nothing[] = {NULL};
	json_t *item, *stage;
	size_t i, j;

	if (workers == NULL)
		return;
	json_array_foreach(list, i, item)
	{
		const json_t *stage_list = json_object_get(item, "stages");
		struct telemetry_stage *stages =
		    arena_array(arena, json_array_size(stage_list), sizeof(*stages));

		workers[i] = (struct telemetry_worker){.lcore = (uint32_t)number(item, "lcore"),
		    .cpu = (uint32_t)number(item, "cpu"),
		    .loops = number(item, "loops"),
		    .busy_loops = number(item, "busy_loops"),
		    .packets = number(item, "packets"),
		    .packet_bytes = number(item, "packet_bytes"),
		    .batches = number(item, "batches"),
		    .stages = stages,
		    .frame_reasons = counters(arena, json_object_get(item, "drops"), nothing)};
		if (stages == NULL)
			continue;
		json_array_foreach(stage_list, j, stage)
		{
			double ns = json_number_value(json_object_get(stage, "ns_per_event"));

			stages[j] = (struct telemetry_stage){.name = text(stage, "stage"),
			    .cycles = number(stage, "cycles"),
			    .events = number(stage, "events")};
			/* The status gives both units of the same time. */
			if (dump->cycles_per_second == 0 && ns > 0 && stages[j].events > 0)
				dump->cycles_per_second = (uint64_t)((double)stages[j].cycles /
				                                     (double)stages[j].events / ns * 1e9);
		}
		workers[i].n_stages = json_array_size(stage_list);
	}
	dump->workers = workers;
	dump->n_workers = json_array_size(list);
}

static void add_dimensions(struct arena *arena, const json_t *list, struct telemetry *dump)
{
	struct telemetry_dimension *dimensions =
	    arena_array(arena, json_array_size(list), sizeof(*dimensions));
	json_t *item;
	size_t i;

	if (dimensions == NULL)
		return;
	json_array_foreach(list, i, item) dimensions[i] =
	    (struct telemetry_dimension){.name = text(item, "name"),
	        .version = json_is_true(json_object_get(item, "loaded")) ? text(item, "version") : NULL,
	        .rows = number(item, "rows"),
	        .bytes = number(item, "bytes"),
	        .age_ms = (int64_t)(json_number_value(json_object_get(item, "age_s")) * 1000),
	        .hits = number(item, "hits"),
	        .misses = number(item, "misses")};
	dump->dimensions = dimensions;
	dump->n_dimensions = json_array_size(list);
}

static void add_sinks(struct arena *arena, const json_t *list, struct telemetry *dump)
{
	static const char *const known[] = {"records", "bytes", "retries", NULL};
	struct telemetry_sink *sinks = arena_array(arena, json_array_size(list), sizeof(*sinks));
	json_t *item;
	size_t i;

	if (sinks == NULL)
		return;
	json_array_foreach(list, i, item) sinks[i] = (struct telemetry_sink){.name = text(item, "type"),
	    .state = text(item, "state"),
	    .records = number(item, "records"),
	    .bytes = number(item, "bytes"),
	    .retries = number(item, "retries"),
	    .counters = counters(arena, item, known)};
	dump->sinks = sinks;
	dump->n_sinks = json_array_size(list);
}

int control_dump(const json_t *status, uint8_t **out, size_t *len, struct error *err)
{
	char host[256] = "", *document = json_dumps(status, JSON_COMPACT);
	struct telemetry dump = {0};
	struct arena arena = {0};
	struct timespec now;
	int rc;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gethostname(host, sizeof(host) - 1);
	dump.host = host;
	dump.node = text(status, "node");
	dump.version = text(status, "version");
	dump.time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	dump.uptime_ms = (int64_t)(json_number_value(json_object_get(status, "uptime_s")) * 1000);
	dump.status_json = document;
	add_streams(&arena, json_object_get(status, "streams"), &dump);
	add_workers(&arena, json_object_get(status, "workers"), &dump);
	add_dimensions(&arena, json_object_get(status, "dimensions"), &dump);
	add_sinks(&arena, json_object_get(status, "sinks"), &dump);
	rc = arena.failed || document == NULL ? -ENOMEM : telemetry_encode(&dump, out, len);
	arena_free(&arena);
	free(document);
	return rc < 0 ? error_set(err, rc, "cannot make the dump: %s", strerror(-rc)) : 0;
}
