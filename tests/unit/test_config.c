/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"
#include "config_samples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct config *parse(const char *text)
{
	struct config *config = NULL;
	struct error err = {.text = ""};

	if (config_parse(text, strlen(text), "t.yaml", &config, &err) < 0)
		print_error("%s\n", err.text);
	assert_non_null(config);
	return config;
}

static struct config *load_example(const char *name)
{
	char path[512];
	struct config *config = NULL;
	struct error err = {.text = ""};

	(void)snprintf(path, sizeof(path), "%s/docs/examples/%s", SOURCE_ROOT, name);
	if (config_load(path, &config, &err) < 0)
		print_error("%s\n", err.text);
	assert_non_null(config);
	assert_string_equal(config->path, path);
	return config;
}

static void check_catalog_stream(const struct config_stream *s)
{
	assert_string_equal(s->name, "catalog");
	assert_int_equal(s->udp_port, 9000);
	assert_string_equal(s->identity, "eventId");
	assert_string_equal(s->timestamp_field, "timestamp");
	assert_int_equal(s->timestamp_format, TIMESTAMP_RFC3339);
	assert_int_equal(s->max_past_ms, 7ll * 86400 * 1000);
	assert_int_equal(s->max_future_ms, 300000);
	assert_string_equal(s->partition_key, "productId");
	assert_int_equal(s->unknown_fields, UNKNOWN_KEEP);
	assert_int_equal(s->max_event_bytes, 65536);
	assert_int_equal(s->dedup_mode, DEDUP_DROP);
	assert_int_equal(s->dedup_window_ms, 600000);
	assert_int_equal(s->dedup_budget_bytes, 64u << 20);
	assert_int_equal(s->n_fields, 9);
	assert_string_equal(s->fields[0].name, "eventId");
	assert_int_equal(s->fields[0].format, FORMAT_UUID);
	assert_true(s->fields[0].required);
	assert_int_equal(s->fields[0].line, 29);
	assert_int_equal(s->fields[2].n_enum, 6);
	assert_string_equal(s->fields[2].enum_values[5], "PURCHASE");
	assert_string_equal(s->fields[3].pattern, "^user-[a-z0-9]{1,32}$");
	assert_false(s->fields[3].required);
	assert_true(s->fields[5].has_max_length);
	assert_int_equal(s->fields[5].max_length, 64);
	assert_false(s->fields[5].has_min_length);
	assert_int_equal(s->fields[7].type, FIELD_NUMBER);
	assert_true(s->fields[7].has_min);
	assert_false(s->fields[7].has_max);
	assert_int_equal(s->n_enrich, 3);
	assert_string_equal(s->enrich[2].dimension, "places");
	assert_string_equal(s->enrich[2].key, "location");
	assert_string_equal(s->enrich[2].as, "geo");
	assert_int_equal(s->enrich[2].on_miss, ON_MISS_EMIT);
	assert_string_equal(s->topic_raw, "raw_events_topic");
	assert_string_equal(s->topic_enriched, "enriched_events_topic");
	assert_string_equal(s->topic_dead_letter, "dead_letter_topic_enrichment");
	assert_null(s->lake_partition);
	assert_false(s->snapshot_versions);
}

static void catalog(void **state)
{
	struct config *c = load_example("catalog.yaml");

	(void)state;
	assert_string_equal(c->node, "ingest-1");
	assert_int_equal(c->dataplane.n_lcores, 1);
	assert_int_equal(c->dataplane.lcores[0].id, 1);
	assert_int_equal(c->dataplane.lcores[0].cpu, 1);
	assert_int_equal(c->dataplane.memory_mb, 512);
	assert_int_equal(c->dataplane.hugepages, HUGEPAGES_AUTO);
	assert_int_equal(c->n_sources, 1);
	assert_string_equal(c->sources[0].name, "nic0");
	assert_int_equal(c->sources[0].type, SOURCE_ETHDEV);
	assert_string_equal(c->sources[0].device, "net_af_xdp");
	assert_string_equal(c->sources[0].interface, "pst0");
	assert_int_equal(c->sources[0].queues, 1);
	assert_int_equal(c->n_streams, 1);
	check_catalog_stream(&c->streams[0]);
	assert_int_equal(c->n_dimensions, 3);
	assert_int_equal(config_find_dimension(c, "products"), 0);
	assert_true(c->dimensions[0].required);
	assert_false(c->dimensions[1].required);
	assert_int_equal(config_find_dimension(c, "other"), -1);
	assert_int_equal(config_find_stream(c, "catalog"), 0);
	assert_int_equal(config_find_stream(c, "other"), -1);
	assert_true(c->kafka.enabled && c->kafka.embedded && c->kafka.headers);
	assert_int_equal(c->kafka.record, KAFKA_RECORD_EVENT);
	assert_int_equal(c->kafka.n_properties, 2);
	assert_string_equal(c->kafka.property_keys[1], "linger.ms");
	assert_string_equal(c->kafka.property_values[1], "20");
	assert_true(c->files.enabled);
	assert_string_equal(c->files.directory, "lake");
	assert_int_equal(c->files.rotate_mb, 256);
	assert_int_equal(c->files.rotate_ms, 3600000);
	assert_int_equal(c->files.compression, FILE_COMPRESSION_ZSTD);
	assert_string_equal(c->control.socket, "/run/penstock/control.sock");
	assert_string_equal(c->control.http_host, "127.0.0.1");
	assert_int_equal(c->control.http_port, 9464);
	assert_string_equal(c->control.state_directory, "/var/lib/penstock");
	assert_int_equal(c->control.drain_ms, 30000);
	config_free(c);
}

static void detections(void **state)
{
	struct config *c = load_example("detections.yaml");
	const struct config_stream *s = &c->streams[0];

	(void)state;
	assert_string_equal(s->identity, "detection_oid");
	assert_int_equal(s->dedup_mode, DEDUP_FLAG);
	assert_int_equal(s->timestamp_format, TIMESTAMP_UNIX_MS);
	assert_true(s->max_past_ms >= 120000);
	assert_string_equal(s->enrich[0].key, "geographical_location_oid");
	config_free(c);
}

static void shop(void **state)
{
	struct config *c = load_example("shop.yaml");

	(void)state;
	assert_string_equal(c->streams[0].partition_key, "session_id");
	assert_string_equal(c->streams[0].lake_partition, "event_type");
	assert_int_equal(c->streams[0].unknown_fields, UNKNOWN_KEEP);
	assert_int_equal(c->files.rotate_ms, 15 * 60000);
	config_free(c);
}

static void defaults(void **state)
{
	struct config *c = parse("streams:\n  - name: s\n" SAMPLE_FIELDS SAMPLE_OUTPUT SAMPLE_SINKS);
	const struct config_stream *s = &c->streams[0];
	char host[256] = "";

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	assert_string_equal(c->node, host);
	assert_int_equal(s->udp_port, 0);
	assert_null(s->identity);
	assert_null(s->timestamp_field);
	assert_int_equal(s->max_past_ms, -1);
	assert_int_equal(s->max_future_ms, -1);
	assert_int_equal(s->dedup_mode, DEDUP_DROP);
	assert_int_equal(s->dedup_window_ms, 600000);
	assert_int_equal(s->dedup_budget_bytes, 64u << 20);
	assert_int_equal(s->max_event_bytes, 65536);
	assert_null(s->topic_raw);
	assert_int_equal(s->line, 2);
	assert_int_equal(c->dataplane.n_lcores, 1);
	assert_int_equal(c->dataplane.memory_mb, 512);
	assert_false(c->kafka.enabled);
	assert_null(c->control.http_host);
	assert_string_equal(c->control.socket, "/run/penstock/control.sock");
	assert_string_equal(c->control.state_directory, "/var/lib/penstock");
	assert_int_equal(c->control.drain_ms, 30000);
	config_free(c);
}

static void every_other_key(void **state)
{
	struct config *c =
	    parse("dataplane: {lcores: [1, \"2@1\", 3@0], memory_mb: 64, hugepages: required}\n"
	          "sources:\n"
	          "  - {name: a, type: file, path: \"-\", stream: s}\n"
	          "  - {name: b, type: ethdev, device: net_tap0, queues: 2}\n"
	          "streams:\n"
	          "  - name: s\n"
	          "    udp_port: 1\n"
	          "    codec: json\n"
	          "    timestamp: {field: n, format: unix_s, max_future: 500ms}\n"
	          "    max_event_bytes: 128KiB\n"
	          "    snapshot_versions: true\n"
	          "    lake_partition: id\n"
	          "    dedup: {window: 2h, mode: off, budget_mb: 1}\n" SAMPLE_FIELDS SAMPLE_OUTPUT
	          "    enrich: [{dimension: d, key: id, as: x, on_miss: dlq}]\n"
	          "dimensions: {d: {}}\n"
	          "sinks:\n"
	          "  kafka: {bootstrap: \"a:9092,[::1]:9093\", record: batch, headers: none, properties: "
	          "{acks: all}}\n"
	          "  files: {directory: /lake, rotate_mb: 1, rotate: 90s, compression: none}\n"
	          "control: {socket: x.sock, http: \"[::1]:0\", state: /s, drain: 0s}\n");

	(void)state;
	assert_int_equal(c->dataplane.n_lcores, 3);
	assert_int_equal(c->dataplane.lcores[1].id, 2);
	assert_int_equal(c->dataplane.lcores[1].cpu, 1);
	assert_int_equal(c->dataplane.lcores[2].cpu, 0);
	assert_int_equal(c->dataplane.hugepages, HUGEPAGES_REQUIRED);
	assert_int_equal(c->sources[0].type, SOURCE_FILE);
	assert_string_equal(c->sources[0].path, "-");
	assert_int_equal(c->sources[1].queues, 2);
	assert_int_equal(c->streams[0].timestamp_format, TIMESTAMP_UNIX_S);
	assert_int_equal(c->streams[0].max_past_ms, -1);
	assert_int_equal(c->streams[0].max_future_ms, 500);
	assert_int_equal(c->streams[0].max_event_bytes, 131072);
	assert_true(c->streams[0].snapshot_versions);
	assert_int_equal(c->streams[0].dedup_mode, DEDUP_OFF);
	assert_int_equal(c->streams[0].enrich[0].on_miss, ON_MISS_DLQ);
	assert_false(c->kafka.embedded || c->kafka.headers);
	assert_int_equal(c->kafka.record, KAFKA_RECORD_BATCH);
	assert_int_equal(c->files.compression, FILE_COMPRESSION_NONE);
	assert_int_equal(c->files.rotate_ms, 90000);
	assert_string_equal(c->control.http_host, "::1");
	assert_int_equal(c->control.http_port, 0);
	assert_int_equal(c->control.drain_ms, 0);
	config_free(c);
}

static void environment(void **state)
{
	struct config *c;

	(void)state;
	assert_int_equal(setenv("PENSTOCK_TEST_PORT", "9123", 1), 0);
	assert_int_equal(setenv("PENSTOCK_TEST_NODE", "77", 1), 0);
	c = parse(
	    "node: ${PENSTOCK_TEST_NODE}\n"
	    "streams:\n"
	    "  - name: s\n"
	    "    udp_port: \"${PENSTOCK_TEST_PORT}\"\n"
	    "    fields: {id: {type: string, pattern: \"$${x}$$ ${PENSTOCK_TEST_NODE}$\"}}\n" SAMPLE_OUTPUT
	        SAMPLE_SINKS);
	assert_string_equal(c->node, "77");
	assert_int_equal(c->streams[0].udp_port, 9123);
	assert_string_equal(c->streams[0].fields[0].pattern, "${x}$$ 77$");
	config_free(c);
}

static void secrets_from_files(void **state)
{
	char directory[] = "/tmp/penstock-config-XXXXXX", path[128], text[1024];
	struct config *c = NULL;
	struct error err;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/secret", directory);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("p${q\nr\r\n", file);
	assert_int_equal(fclose(file), 0);
	(void)snprintf(text, sizeof(text),
	    "streams:\n  - name: s\n" SAMPLE_FIELDS SAMPLE_OUTPUT
	    "sinks: {kafka: {bootstrap: \"a:1\", properties: {sasl.password: {file: secret}, "
	    "ssl.key.password: {file: %s}}}}\n",
	    path);
	(void)snprintf(path, sizeof(path), "%s/t.yaml", directory);
	if (config_parse(text, strlen(text), path, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c->kafka.property_values[0], "p${q\nr");
	assert_string_equal(c->kafka.property_values[1], "p${q\nr");
	config_free(c);
	(void)snprintf(path, sizeof(path), "%s/secret", directory);
	(void)unlink(path);
	(void)rmdir(directory);
}

static void aliases(void **state)
{
	struct config *c = parse("streams:\n"
	                         "  - name: a\n"
	                         "    fields: &f {id: &t {type: string, enum: [x]}, at: *t}\n"
	                         "    output: &o {enriched: e, dead_letter: d}\n"
	                         "  - {name: b, fields: *f, output: *o}\n" SAMPLE_SINKS);

	(void)state;
	assert_int_equal(c->n_streams, 2);
	assert_string_equal(c->streams[1].fields[1].enum_values[0], "x");
	config_free(c);
}

static void files_that_cannot_be_read(void **state)
{
	struct config *c = (struct config *)1;
	struct error err;

	(void)state;
	assert_int_equal(config_load("/nonexistent/p.yaml", &c, &err), -ENOENT);
	assert_null(c);
	assert_string_equal(err.text, "/nonexistent/p.yaml:1:1: cannot open: No such file or directory");
	assert_int_equal(config_load("/tmp", &c, &err), -EISDIR);
	assert_string_equal(err.text, "/tmp:1:1: cannot read: Is a directory");
	config_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(catalog),
	    cmocka_unit_test(detections),
	    cmocka_unit_test(shop),
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(every_other_key),
	    cmocka_unit_test(environment),
	    cmocka_unit_test(secrets_from_files),
	    cmocka_unit_test(aliases),
	    cmocka_unit_test(files_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
