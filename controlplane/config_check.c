/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_check.h"

#include "config_scalar.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#define BIT(type) (1u << (type))
#define KEY_TYPES (BIT(FIELD_STRING) | BIT(FIELD_INTEGER))

static const struct config_field *find_field(const struct config_stream *stream, const char *name)
{
	for (size_t i = 0; i < stream->n_fields; i++) {
		if (strcmp(stream->fields[i].name, name) == 0)
			return &stream->fields[i];
	}
	return NULL;
}

/* A key whose value must name a declared field of one of the types. */
static int check_field_name(struct reader *reader, const struct config_stream *stream, const char *key,
    char *const *value, unsigned int types, const char *what)
{
	const char *names[CONFIG_MAX_FIELDS], *nearest;
	const struct config_field *field;
	char quoted[SCALAR_QUOTE_BYTES];

	if (*value == NULL)
		return 0;
	field = find_field(stream, *value);
	scalar_quote(*value, quoted);
	if (field != NULL && (BIT(field->type) & types) != 0)
		return 0;
	if (field != NULL)
		return reader_fail_at(
		    reader, value, stream, "%s: the field %s must be %s", key, quoted, what);
	for (size_t i = 0; i < stream->n_fields; i++)
		names[i] = stream->fields[i].name;
	nearest = scalar_nearest(*value, names, stream->n_fields);
	if (nearest != NULL)
		return reader_fail_at(reader, value, stream,
		    "%s: %s is not a declared field, did you mean \"%s\"?", key, quoted, nearest);
	return reader_fail_at(
	    reader, value, stream, "%s: %s is not a declared field of the stream", key, quoted);
}

static int only_for(struct reader *reader, const struct config_field *field, const void *target,
    const char *key, const char *types)
{
	return reader_fail_at(reader, target, field, "%s: only for %s fields", key, types);
}

static int check_field(
    struct reader *reader, const struct config_stream *stream, const struct config_field *field)
{
	bool string = field->type == FIELD_STRING;
	bool number = field->type == FIELD_NUMBER || field->type == FIELD_INTEGER;

	if (!string && field->format != FORMAT_NONE)
		return only_for(reader, field, &field->format, "format", "string");
	if (!string && field->pattern != NULL)
		return only_for(reader, field, &field->pattern, "pattern", "string");
	if (!string && field->n_enum > 0)
		return only_for(reader, field, &field->enum_values, "enum", "string");
	if (!string && field->has_min_length)
		return only_for(reader, field, &field->has_min_length, "min_length", "string");
	if (!string && field->has_max_length)
		return only_for(reader, field, &field->has_max_length, "max_length", "string");
	if (!number && field->has_min)
		return only_for(reader, field, &field->has_min, "min", "number and integer");
	if (!number && field->has_max)
		return only_for(reader, field, &field->has_max, "max", "number and integer");
	if (field->has_min && field->has_max && field->min > field->max)
		return reader_fail_at(reader, &field->has_max, field, "max: smaller than min");
	if (field->has_min_length && field->has_max_length && field->min_length > field->max_length)
		return reader_fail_at(
		    reader, &field->has_max_length, field, "max_length: smaller than min_length");
	if (strcmp(field->name, "enrichments") == 0)
		return reader_fail_at(
		    reader, field, stream, "fields: \"enrichments\" is the member that Penstock adds");
	if (stream->dedup_mode == DEDUP_FLAG && strcmp(field->name, "is_duplicate") == 0)
		return reader_fail_at(reader, field, stream,
		    "fields: \"is_duplicate\" is the member that dedup's mode flag adds");
	return 0;
}

static int check_enrich(struct reader *reader, const struct config *config,
    const struct config_stream *stream, const struct config_enrich *enrich)
{
	const char *names[CONFIG_MAX_DIMENSIONS], *nearest;
	char quoted[SCALAR_QUOTE_BYTES];

	scalar_quote(enrich->dimension, quoted);
	if (config_find_dimension(config, enrich->dimension) < 0) {
		for (size_t i = 0; i < config->n_dimensions; i++)
			names[i] = config->dimensions[i].name;
		nearest = scalar_nearest(enrich->dimension, names, config->n_dimensions);
		if (nearest != NULL)
			return reader_fail_at(reader, &enrich->dimension, enrich,
			    "dimension: %s is not declared under dimensions, did you mean \"%s\"?", quoted,
			    nearest);
		return reader_fail_at(reader, &enrich->dimension, enrich,
		    "dimension: %s is not declared under dimensions", quoted);
	}
	for (const struct config_enrich *other = stream->enrich; other < enrich; other++) {
		if (strcmp(other->as, enrich->as) == 0)
			return reader_fail_at(reader, &enrich->as, enrich,
			    "as: %s is taken by the join on line %d", scalar_quote(enrich->as, quoted),
			    other->line);
	}
	return check_field_name(reader, stream, "key", &enrich->key, KEY_TYPES, "a string or an integer");
}

static int check_output(struct reader *reader, const struct config_stream *stream)
{
	static const char *const keys[] = {"raw", "enriched", "dead_letter"};
	char *const *topics[] = {&stream->topic_raw, &stream->topic_enriched, &stream->topic_dead_letter};

	if (stream->topic_raw == NULL && stream->topic_enriched == NULL)
		return reader_fail_at(reader, &stream->topic_dead_letter, stream,
		    "output: at least one of raw and enriched is needed");
	for (size_t i = 1; i < 3; i++) {
		for (size_t j = 0; j < i; j++) {
			if (*topics[i] != NULL && *topics[j] != NULL && strcmp(*topics[i], *topics[j]) == 0)
				return reader_fail_at(
				    reader, topics[i], stream, "%s: the same topic as %s", keys[i], keys[j]);
		}
	}
	return 0;
}

static int check_stream(
    struct reader *reader, const struct config *config, const struct config_stream *stream)
{
	bool text_time = stream->timestamp_format == TIMESTAMP_RFC3339;
	int rc = 0;

	for (const struct config_stream *other = config->streams; other < stream; other++) {
		if (strcmp(other->name, stream->name) == 0)
			return reader_fail_at(reader, &stream->name, stream,
			    "name: \"%s\" is taken by the stream on line %d", stream->name, other->line);
		if (stream->udp_port != 0 && other->udp_port == stream->udp_port)
			return reader_fail_at(reader, &stream->udp_port, stream,
			    "udp_port: %u is taken by the stream \"%s\"", stream->udp_port, other->name);
	}
	for (size_t i = 0; rc == 0 && i < stream->n_fields; i++)
		rc = check_field(reader, stream, &stream->fields[i]);
	if (rc == 0)
		rc = check_field_name(
		    reader, stream, "identity", &stream->identity, KEY_TYPES, "a string or an integer");
	if (rc == 0)
		rc = check_field_name(reader, stream, "field", &stream->timestamp_field,
		    text_time ? BIT(FIELD_STRING) : BIT(FIELD_INTEGER),
		    text_time ? "a string for the format rfc3339"
		              : "an integer for the formats unix_s and unix_ms");
	if (rc == 0)
		rc = check_field_name(reader, stream, "partition_key", &stream->partition_key, KEY_TYPES,
		    "a string or an integer");
	if (rc == 0)
		rc = check_field_name(reader, stream, "lake_partition", &stream->lake_partition, KEY_TYPES,
		    "a string or an integer");
	for (size_t i = 0; rc == 0 && i < stream->n_enrich; i++)
		rc = check_enrich(reader, config, stream, &stream->enrich[i]);
	if (rc == 0 && stream->lake_partition != NULL && !config->files.enabled)
		rc = reader_fail_at(reader, &stream->lake_partition, stream,
		    "lake_partition: divides file output, but there is no sinks.files");
	return rc < 0 ? rc : check_output(reader, stream);
}

static int not_with(struct reader *reader, const struct config_source *source, char *const *value,
    const char *key, const char *with)
{
	return *value == NULL ? 0 : reader_fail_at(reader, value, source, "%s: not for %s", key, with);
}

static int needed(struct reader *reader, const struct config_source *source, const char *value,
    const char *key, const char *with)
{
	return value != NULL
	           ? 0
	           : reader_fail_at(reader, source, NULL, "\"%s\" is missing: %s needs it", key, with);
}

static int check_ethdev(
    struct reader *reader, const struct config *config, const struct config_source *source)
{
	static const char ethdev[] = "a source of type ethdev";
	bool xdp, reachable = false;
	int rc;

	rc = not_with(reader, source, &source->path, "path", ethdev);
	if (rc == 0)
		rc = not_with(reader, source, &source->stream, "stream", ethdev);
	if (rc == 0)
		rc = needed(reader, source, source->device, "device", ethdev);
	if (rc < 0)
		return rc;
	xdp = strcmp(source->device, "net_af_xdp") == 0;
	rc =
	    xdp ? needed(reader, source, source->interface, "interface", "net_af_xdp")
	        : not_with(reader, source, &source->interface, "interface", "a device other than net_af_xdp");
	if (rc < 0)
		return rc;
	for (const struct config_source *other = config->sources; other < source; other++) {
		if (other->type == SOURCE_ETHDEV && strcmp(other->device, source->device) == 0 &&
		    (!xdp || strcmp(other->interface, source->interface) == 0))
			return reader_fail_at(reader, xdp ? &source->interface : &source->device, source,
			    "%s: taken by the source \"%s\"", xdp ? "interface" : "device", other->name);
	}
	for (size_t i = 0; i < config->n_streams; i++)
		reachable = reachable || config->streams[i].udp_port != 0;
	return reachable ? 0
	                 : reader_fail_at(reader, &source->type, source,
	                       "type: no stream has a udp_port, so nothing could arrive from a port");
}

static int check_file(struct reader *reader, const struct config *config, const struct config_source *source)
{
	static const char file[] = "a source of type file";
	char quoted[SCALAR_QUOTE_BYTES];
	int rc;

	rc = not_with(reader, source, &source->device, "device", file);
	if (rc == 0)
		rc = not_with(reader, source, &source->interface, "interface", file);
	if (rc == 0 && source->queues != 1)
		rc = reader_fail_at(reader, &source->queues, source, "queues: a source of type file has one");
	if (rc == 0)
		rc = needed(reader, source, source->path, "path", file);
	if (rc == 0)
		rc = needed(reader, source, source->stream, "stream", file);
	if (rc == 0 && config_find_stream(config, source->stream) < 0)
		rc = reader_fail_at(reader, &source->stream, source,
		    "stream: %s is not declared under streams", scalar_quote(source->stream, quoted));
	for (const struct config_source *other = config->sources; rc == 0 && other < source; other++) {
		if (other->type == SOURCE_FILE && strcmp(other->path, source->path) == 0)
			rc = reader_fail_at(
			    reader, &source->path, source, "path: taken by the source \"%s\"", other->name);
	}
	return rc;
}

static int check_source(
    struct reader *reader, const struct config *config, const struct config_source *source)
{
	for (const struct config_source *other = config->sources; other < source; other++) {
		if (strcmp(other->name, source->name) == 0)
			return reader_fail_at(reader, &source->name, source,
			    "name: \"%s\" is taken by the source on line %d", source->name, other->line);
	}
	return source->type == SOURCE_ETHDEV ? check_ethdev(reader, config, source)
	                                     : check_file(reader, config, source);
}

/* librdkafka knows its properties; those that the sink sets itself are not for the file. */
static int check_properties(struct reader *reader, const struct config *config)
{
	static const char *const ours[][2] = {
	    {"bootstrap.servers", "use sinks.kafka.bootstrap"},
	    {"metadata.broker.list", "use sinks.kafka.bootstrap"},
	    {"plugin.library.paths", "plugins are not supported"},
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < config->kafka.n_properties; i++) {
		const char *name = config->kafka.property_keys[i];

		for (size_t j = 0; rc == 0 && j < sizeof(ours) / sizeof(ours[0]); j++) {
			if (strcmp(name, ours[j][0]) == 0)
				rc = reader_fail_at(reader, &config->kafka.property_keys[i], NULL, "%s: %s",
				    name, ours[j][1]);
		}
		if (rc == 0 && rd_kafka_conf_set(conf, name, config->kafka.property_values[i], why,
		                   sizeof(why)) != RD_KAFKA_CONF_OK)
			rc = reader_fail_at(
			    reader, &config->kafka.property_values[i], NULL, "properties: %s", why);
	}
	rd_kafka_conf_destroy(conf);
	return rc;
}

static int check_journal(struct reader *reader, const struct config *config)
{
	if (config->durability != DURABILITY_JOURNAL)
		return config->journal.given ? reader_fail_at(reader, &config->journal.directory, config,
		                                   "journal: only with durability: journal")
		                             : 0;
	if (((uint64_t)config->journal.max_gb << 10) < 2 * (uint64_t)config->journal.segment_mb)
		return reader_fail_at(reader, &config->journal.max_gb, config,
		    "journal.max_gb: %u GB hold fewer than two segments of %u MB", config->journal.max_gb,
		    config->journal.segment_mb);
	return 0;
}

int config_check(struct reader *reader, const struct config *config)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < config->n_streams; i++)
		rc = check_stream(reader, config, &config->streams[i]);
	for (size_t i = 0; rc == 0 && i < config->n_sources; i++)
		rc = check_source(reader, config, &config->sources[i]);
	if (rc == 0 && !config->kafka.enabled && !config->files.enabled)
		rc = reader_fail_at(reader, &config->kafka.enabled, config,
		    "sinks: at least one of kafka and files is needed");
	if (rc == 0)
		rc = check_journal(reader, config);
	return rc < 0 ? rc : check_properties(reader, config);
}
