/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define MAX_LABELS 5u
#define OUTER_LABELS 3u
#define INNER_LABELS 2u

/* A set of objects in the status that share their labels. */
struct group {
	const char *list;  /* dotted path of an array of the status; NULL: the status itself */
	const char *inner; /* a member of each element: an array of objects, or a map from name to number */
	const char *map;   /* the label that takes the map's names; NULL: `inner` is no map */
	struct {
		const char *label, *key;
	} outer[OUTER_LABELS],
	    of_inner[INNER_LABELS]; /* labels from the element, and from the inner object */
};

static const struct group root = {.list = NULL};
static const struct group streams = {.list = "streams", .outer = {{"stream", "name"}}};
static const struct group stream_drops = {
    .list = "streams", .inner = "drops", .map = "reason", .outer = {{"stream", "name"}}};
static const struct group joins = {.list = "streams",
    .inner = "enrich",
    .outer = {{"stream", "name"}},
    .of_inner = {{"dimension", "dimension"}, {"as", "as"}}};
static const struct group sources = {.list = "sources", .outer = {{"source", "name"}, {"worker", "worker"}}};
static const struct group source_steer = {.list = "sources",
    .inner = "steer",
    .map = "verdict",
    .outer = {{"source", "name"}, {"worker", "worker"}}};
static const struct group workers = {.list = "workers", .outer = {{"worker", "worker"}, {"lcore", "lcore"}}};
static const struct group worker_drops = {
    .list = "workers", .inner = "drops", .map = "reason", .outer = {{"worker", "worker"}}};
static const struct group stages = {
    .list = "workers", .inner = "stages", .outer = {{"worker", "worker"}}, .of_inner = {{"stage", "stage"}}};
static const struct group dimensions = {.list = "dimensions", .outer = {{"dimension", "name"}}};
static const struct group sinks = {.list = "sinks", .outer = {{"sink", "type"}}};
static const struct group journal_lanes = {
    .list = "journal.lanes", .outer = {{"sink", "sink"}, {"stream", "stream"}, {"output", "output"}}};
static const struct group alarms = {
    .list = "alarms", .outer = {{"alarm", "name"}, {"stream", "stream"}, {"dimension", "dimension"}}};

struct metric {
	const char *name, *type, *help;
	const struct group *group;
	const char *path;   /* of the value in the (inner) object; NULL: the map's number, or 1 */
	const char *equals; /* the value is 1 if the text at `path` is this, else 0 */
	double scale;       /* 0: as it is */
};

#define COUNTER(name, help, group, path)                       \
	{                                                      \
		name, "counter", help, &(group), path, NULL, 0 \
	}
#define GAUGE(name, help, group, path)                       \
	{                                                    \
		name, "gauge", help, &(group), path, NULL, 0 \
	}
#define SECONDS(name, help, group, path)                        \
	{                                                       \
		name, "gauge", help, &(group), path, NULL, 1e-3 \
	}

static const struct metric metrics[] = {
    {"penstock_ready", "gauge", "1 while events are accepted", &root, "state", "ready", 0},
    GAUGE("penstock_conserved", "1 while the ledger of every stream balances", root, "conserved"),
    GAUGE("penstock_uptime_seconds", "Since the daemon started", root, "uptime_s"),
    GAUGE("penstock_resident_memory_bytes", "Resident memory of the process", root, "memory.rss_bytes"),
    GAUGE("penstock_packet_buffers", "Packet buffers there are", root, "memory.mbufs_size"),
    GAUGE("penstock_packet_buffers_free", "Packet buffers that are free", root, "memory.mbufs_free"),

    COUNTER("penstock_events_received_total", "Events found in packets", streams, "received"),
    COUNTER("penstock_events_durable_total", "Events that every sink, or the journal, has confirmed", streams,
        "durable"),
    COUNTER("penstock_events_dead_lettered_total", "Events that are durable as dead letters", streams,
        "dead_lettered"),
    COUNTER("penstock_events_duplicate_total", "Events dropped as duplicates", streams, "duplicate"),
    COUNTER("penstock_events_shed_total", "Events given up under load or at shutdown", streams, "shed"),
    COUNTER("penstock_events_flagged_total", "Duplicates passed on with the flag", streams, "flagged"),
    GAUGE("penstock_events_in_flight", "Events received and not yet settled", streams, "in_flight"),
    GAUGE("penstock_stream_conserved", "1 while the stream's ledger balances", streams, "conserved"),
    COUNTER("penstock_received_bytes_total", "Bytes of the events received", streams, "received_bytes"),
    COUNTER("penstock_enriched_bytes_total", "Bytes written as enriched records", streams, "enriched_bytes"),
    COUNTER("penstock_event_drops_total", "Events that did not become enriched records, by reason",
        stream_drops, NULL),
    GAUGE("penstock_dedup_slots", "Capacity of the dedup window", streams, "dedup.slots"),
    GAUGE("penstock_dedup_entries", "Live entries of the dedup window, estimated", streams, "dedup.entries"),
    SECONDS("penstock_dedup_window_seconds", "The window as configured", streams, "dedup.window_ms"),
    SECONDS("penstock_dedup_covered_seconds", "The window that the budget really holds", streams,
        "dedup.covered_ms"),
    COUNTER("penstock_dedup_evicted_total", "Live entries that had to go: the budget is too small", streams,
        "dedup.evicted"),
    COUNTER("penstock_join_hits_total", "Events joined with a row", joins, "hits"),
    COUNTER("penstock_join_misses_total", "Events for whose key there was no row", joins, "misses"),

    COUNTER("penstock_source_packets_total", "Packets taken from the source", sources, "packets"),
    COUNTER("penstock_source_bytes_total", "Bytes taken from the source", sources, "bytes"),
    COUNTER("penstock_source_missed_total", "Packets the device dropped before they were seen", sources,
        "missed"),
    COUNTER("penstock_source_errors_total", "Receive errors of the device", sources, "errors"),
    COUNTER("penstock_source_recoveries_total", "Receive stalls noticed and mended", sources, "recoveries"),
    COUNTER(
        "penstock_steer_packets_total", "Packets seen by the XDP program, by verdict", source_steer, NULL),

    GAUGE("penstock_transport_sessions", "Senders that are connected", root, "transport.sessions"),
    COUNTER("penstock_transport_frames_total", "DATA frames taken", root, "transport.frames"),
    COUNTER("penstock_transport_events_total", "Events in DATA frames taken", root, "transport.events"),
    COUNTER("penstock_transport_retransmitted_total",
        "Of the DATA frames taken, those that had been sent before: the first was lost", root,
        "transport.retransmitted"),
    COUNTER("penstock_transport_hellos_total", "HELLO frames that were answered", root, "transport.hellos"),
    COUNTER("penstock_transport_probes_total", "PROBE frames", root, "transport.probes"),
    COUNTER("penstock_transport_closes_total", "CLOSE frames", root, "transport.closes"),
    COUNTER(
        "penstock_transport_acknowledgements_total", "ACK frames sent", root, "transport.acknowledgements"),
    COUNTER("penstock_transport_errors_total", "ERROR frames sent", root, "transport.errors"),
    COUNTER("penstock_transport_unsent_total", "Answers that a limit held back or the port did not take",
        root, "transport.unsent"),
    GAUGE("penstock_transport_parked", "Duplicates that wait for their original", root, "transport.parked"),

    COUNTER("penstock_worker_loops_total", "Rounds of the worker's loop", workers, "loops"),
    COUNTER("penstock_worker_busy_loops_total", "Rounds with something to do", workers, "busy_loops"),
    COUNTER("penstock_worker_packets_total", "Packets worked on", workers, "packets"),
    COUNTER("penstock_worker_batches_total", "Batches handed to the sinks", workers, "batches"),
    COUNTER("penstock_frame_drops_total", "Frames discarded, by reason", worker_drops, NULL),
    GAUGE("penstock_worker_batches", "Batches there are", workers, "batches_size"),
    GAUGE("penstock_worker_batches_free", "Batches that are free", workers, "batches_free"),
    COUNTER("penstock_stage_events_total", "Events through a stage", stages, "events"),
    COUNTER("penstock_stage_cycles_total", "CPU cycles spent in a stage", stages, "cycles"),

    GAUGE("penstock_dimension_loaded", "1 if a snapshot is loaded", dimensions, "loaded"),
    GAUGE("penstock_dimension_required", "1 if nothing is accepted without it", dimensions, "required"),
    GAUGE("penstock_dimension_rows", "Rows of the snapshot", dimensions, "rows"),
    GAUGE("penstock_dimension_bytes", "Bytes of the snapshot", dimensions, "bytes"),
    SECONDS(
        "penstock_dimension_built_timestamp_seconds", "When the snapshot was built", dimensions, "built_ms"),
    GAUGE("penstock_dimension_age_seconds", "Since the snapshot was built", dimensions, "age_s"),
    COUNTER("penstock_dimension_hits_total", "Lookups that found a row", dimensions, "hits"),
    COUNTER("penstock_dimension_misses_total", "Lookups that found none", dimensions, "misses"),

    COUNTER("penstock_sink_records_total", "Records delivered by the sink", sinks, "records"),
    COUNTER("penstock_sink_bytes_total", "Bytes delivered by the sink", sinks, "bytes"),
    COUNTER("penstock_sink_retries_total", "Records sent again after an error", sinks, "retries"),

    {"penstock_journal_ok", "gauge", "1 while the journal takes events", &root, "journal.state", "ok", 0},
    GAUGE("penstock_journal_segments", "Files of the journal", root, "journal.segments"),
    GAUGE("penstock_journal_bytes", "Bytes that the journal takes on disk", root, "journal.bytes"),
    GAUGE("penstock_journal_max_bytes", "Bytes that the journal may take", root, "journal.max_bytes"),
    GAUGE("penstock_journal_backlog_events", "Events from the oldest one that some sink lacks to the newest",
        root, "journal.backlog_events"),
    SECONDS("penstock_journal_backlog_age_seconds", "Since the oldest event that some sink lacks arrived",
        root, "journal.backlog_age_ms"),
    COUNTER("penstock_journal_events_total", "Events made durable in the journal", root,
        "journal.events_written"),
    COUNTER(
        "penstock_journal_bytes_total", "Bytes made durable in the journal", root, "journal.bytes_written"),
    COUNTER("penstock_journal_groups_total", "Writes to the journal, each synced", root, "journal.groups"),
    COUNTER("penstock_journal_rewrites_total", "Writes that were done again after a failure", root,
        "journal.rewrites"),
    COUNTER("penstock_journal_lost_events_total", "Events lost to damage of the journal's files", root,
        "journal.lost_events"),
    GAUGE("penstock_journal_behind_events", "Events that the consumer has not come past yet", journal_lanes,
        "behind_events"),
    COUNTER("penstock_journal_delivered_records_total", "Records delivered from the journal", journal_lanes,
        "delivered"),
    COUNTER("penstock_journal_skipped_records_total",
        "Records of a replay that were in Kafka already and not sent again", journal_lanes, "skipped"),

    GAUGE("penstock_alarm", "1 for every alarm that stands", alarms, NULL),
};

struct label {
	const char *name;
	char value[256];
};

struct sample {
	const struct metric *metric;
	struct label labels[MAX_LABELS];
	size_t n_labels;
	bool whole; /* the value is `integer` */
	json_int_t integer;
	double number;
};

typedef void (*sample_fn)(void *context, const struct sample *sample);

static void add_label(struct sample *sample, const char *name, const json_t *value)
{
	struct label *label = &sample->labels[sample->n_labels];

	if (name == NULL || value == NULL || sample->n_labels == MAX_LABELS)
		return;
	if (json_is_string(value))
		(void)snprintf(label->value, sizeof(label->value), "%s", json_string_value(value));
	else if (json_is_integer(value))
		(void)snprintf(
		    label->value, sizeof(label->value), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		return;
	label->name = name;
	sample->n_labels++;
}

/* The member at a dotted path. */
static const json_t *find_path(const json_t *object, const char *path)
{
	char part[64];

	while (object != NULL) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(part))
			return NULL;
		memcpy(part, path, len);
		part[len] = '\0';
		object = json_object_get(object, part);
		if (path[len] == '\0')
			return object;
		path += len + 1;
	}
	return NULL;
}

/* False where the status says nothing that is a number. */
static bool set_value(struct sample *sample, const json_t *value)
{
	const struct metric *metric = sample->metric;

	sample->whole = true;
	if (metric->equals != NULL) {
		sample->integer =
		    json_is_string(value) && strcmp(json_string_value(value), metric->equals) == 0;
		return json_is_string(value);
	}
	if (json_is_boolean(value)) {
		sample->integer = json_is_true(value);
		return true;
	}
	if (!json_is_number(value))
		return false;
	sample->whole = json_is_integer(value) && metric->scale == 0;
	sample->integer = json_integer_value(value);
	sample->number = json_number_value(value) * (metric->scale == 0 ? 1 : metric->scale);
	return true;
}

static void give(const struct sample *base, const json_t *value, sample_fn fn, void *context)
{
	struct sample sample = *base;

	if (set_value(&sample, value))
		fn(context, &sample);
}

static void give_inner(const struct sample *base, const json_t *inner, sample_fn fn, void *context)
{
	const struct group *group = base->metric->group;
	json_t *item;
	const char *name;
	size_t i;

	if (group->map != NULL) {
		json_object_foreach((json_t *)inner, name, item)
		{
			struct sample sample = *base;
			struct label *label = &sample.labels[sample.n_labels++];

			label->name = group->map;
			(void)snprintf(label->value, sizeof(label->value), "%s", name);
			give(&sample, item, fn, context);
		}
		return;
	}
	json_array_foreach(inner, i, item)
	{
		struct sample sample = *base;

		for (size_t j = 0; j < INNER_LABELS; j++)
			add_label(&sample, group->of_inner[j].label,
			    group->of_inner[j].label == NULL ? NULL
			                                     : json_object_get(item, group->of_inner[j].key));
		give(&sample, find_path(item, base->metric->path), fn, context);
	}
}

static void give_element(const struct metric *metric, const json_t *element, sample_fn fn, void *context)
{
	const struct group *group = metric->group;
	struct sample sample = {.metric = metric};

	for (size_t j = 0; j < OUTER_LABELS; j++)
		add_label(&sample, group->outer[j].label,
		    group->outer[j].label == NULL ? NULL : json_object_get(element, group->outer[j].key));
	if (group->inner != NULL)
		give_inner(&sample, json_object_get(element, group->inner), fn, context);
	else if (metric->path != NULL)
		give(&sample, find_path(element, metric->path), fn, context);
	else
		give(&sample, json_true(), fn, context);
}

static void each_sample(const struct metric *metric, const json_t *status, sample_fn fn, void *context)
{
	json_t *element;
	size_t i;

	if (metric->group->list == NULL) {
		give_element(metric, status, fn, context);
		return;
	}
	json_array_foreach((json_t *)find_path(status, metric->group->list), i, element)
	    give_element(metric, element, fn, context);
}

struct writer {
	FILE *out;
	const struct metric *announced; /* HELP and TYPE are written */
};

static void write_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			(void)fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			(void)fprintf(out, "\\%c", *text);
		else
			(void)fputc(*text, out);
	}
}

static void write_sample(void *context, const struct sample *sample)
{
	struct writer *writer = context;
	const struct metric *metric = sample->metric;

	if (writer->announced != metric) {
		writer->announced = metric;
		(void)fprintf(writer->out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
		    metric->name, metric->type);
	}
	(void)fputs(metric->name, writer->out);
	for (size_t i = 0; i < sample->n_labels; i++) {
		(void)fprintf(writer->out, "%c%s=\"", i == 0 ? '{' : ',', sample->labels[i].name);
		write_escaped(writer->out, sample->labels[i].value);
		(void)fputc('"', writer->out);
	}
	if (sample->n_labels > 0)
		(void)fputc('}', writer->out);
	if (sample->whole)
		(void)fprintf(writer->out, " %" JSON_INTEGER_FORMAT "\n", sample->integer);
	else
		(void)fprintf(writer->out, " %.17g\n", sample->number);
}

void metrics_write(const json_t *status, FILE *out)
{
	struct writer writer = {.out = out};
	const char *node = json_string_value(json_object_get(status, "node"));
	const char *version = json_string_value(json_object_get(status, "version"));

	(void)fputs("# HELP penstock_info Version and name of this node\n# TYPE penstock_info gauge\n"
	            "penstock_info{node=\"",
	    out);
	write_escaped(out, node == NULL ? "" : node);
	(void)fputs("\",version=\"", out);
	write_escaped(out, version == NULL ? "" : version);
	(void)fputs("\"} 1\n", out);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		each_sample(&metrics[i], status, write_sample, &writer);
}

static void append_sample(void *context, const struct sample *sample)
{
	json_t *labels = json_object();

	for (size_t i = 0; i < sample->n_labels; i++)
		(void)json_object_set_new(
		    labels, sample->labels[i].name, json_string(sample->labels[i].value));
	(void)json_array_append_new(
	    context, json_pack("{s:s, s:o, s:o}", "name", sample->metric->name, "labels", labels, "value",
	                 sample->whole ? json_integer(sample->integer) : json_real(sample->number)));
}

json_t *metrics_json(const json_t *status)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]) && list != NULL; i++)
		each_sample(&metrics[i], status, append_sample, list);
	return json_pack("{s:o}", "stats", list);
}

void metrics_write_reference(FILE *out)
{
	(void)fputs("| metric | type | labels | meaning |\n|---|---|---|---|\n"
	            "| `penstock_info` | gauge | node, version | Version and name of this node |\n",
	    out);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		const struct group *group = metrics[i].group;
		const char *labels[] = {group->outer[0].label, group->outer[1].label,
		    group->of_inner[0].label, group->of_inner[1].label, group->map};
		bool first = true;

		(void)fprintf(out, "| `%s` | %s | ", metrics[i].name, metrics[i].type);
		for (size_t j = 0; j < sizeof(labels) / sizeof(labels[0]); j++) {
			if (labels[j] == NULL)
				continue;
			(void)fprintf(out, "%s%s", first ? "" : ", ", labels[j]);
			first = false;
		}
		(void)fprintf(out, " | %s |\n", metrics[i].help);
	}
}
