/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration as plain data: what the YAML says, checked, with defaults filled in.
 *
 * Made by config_load() on the control thread, immutable afterwards, read by anyone. All strings are owned by
 * the struct config. Every key, its type, default and meaning stand in one table in config_keys.c, from which
 * the parser works and docs/configuration.md is generated.
 */
#ifndef PENSTOCK_CONFIG_H
#define PENSTOCK_CONFIG_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_MAX_FIELDS 64 /* declared fields of one stream */
#define CONFIG_MAX_ENRICH 8  /* joins of one stream */
#define CONFIG_MAX_STREAMS 32
#define CONFIG_MAX_SOURCES 16
#define CONFIG_MAX_DIMENSIONS 32
#define CONFIG_MAX_LCORES 64
#define CONFIG_MAX_PROPERTIES 64

enum field_type { FIELD_STRING, FIELD_NUMBER, FIELD_INTEGER, FIELD_BOOLEAN, FIELD_OBJECT, FIELD_ARRAY };

/* String formats that can be declared; FORMAT_NONE where there is none. */
enum field_format {
	FORMAT_NONE,
	FORMAT_UUID,     /* RFC 9562 text form, either case */
	FORMAT_RFC3339,  /* RFC 3339 date-time */
	FORMAT_DATE,     /* RFC 3339 full-date */
	FORMAT_IPV4,     /* dotted quad without leading zeros */
	FORMAT_IPV6,     /* RFC 4291 text form, without zone */
	FORMAT_IP,       /* either */
	FORMAT_EMAIL,    /* addr-spec, the HTML living standard's practical form */
	FORMAT_HOSTNAME, /* RFC 1123 */
	FORMAT_COUNT
};

struct config_field {
	char *name;
	enum field_type type;
	enum field_format format;
	bool required;
	char *pattern;      /* NULL: none. A regular expression as Hyperscan reads it, searched for */
	char **enum_values; /* strings only */
	size_t n_enum;
	bool has_min, has_max;
	double min, max; /* numbers and integers, inclusive */
	bool has_min_length, has_max_length;
	uint32_t min_length, max_length; /* strings, in Unicode code points */
	int line;                        /* where in the file, for messages */
};

enum on_miss { ON_MISS_EMIT, ON_MISS_DLQ };

struct config_enrich {
	char *dimension; /* names an entry of config.dimensions */
	char *key;       /* names a declared string or integer field */
	char *as;        /* member name under "enrichments" */
	enum on_miss on_miss;
	int line;
};

enum timestamp_format { TIMESTAMP_RFC3339, TIMESTAMP_UNIX_S, TIMESTAMP_UNIX_MS };
enum unknown_fields { UNKNOWN_KEEP, UNKNOWN_DROP, UNKNOWN_REJECT };
enum dedup_mode { DEDUP_DROP, DEDUP_FLAG, DEDUP_OFF };

struct config_stream {
	char *name;
	uint16_t udp_port;     /* 0: none; only file and memory sources feed it */
	char *identity;        /* NULL: a hash of the event's bytes */
	char *timestamp_field; /* NULL: the stream has no event time */
	enum timestamp_format timestamp_format;
	int64_t max_past_ms, max_future_ms; /* -1: not checked */
	char *partition_key;                /* NULL: the identity, or none */
	enum unknown_fields unknown_fields;
	uint32_t max_event_bytes;
	struct config_field *fields;
	size_t n_fields;
	enum dedup_mode dedup_mode;
	int64_t dedup_window_ms;
	uint64_t dedup_budget_bytes;
	struct config_enrich *enrich;
	size_t n_enrich;
	bool snapshot_versions; /* adds "snapshot_versions" to the enrichments */
	char *topic_raw, *topic_enriched,
	    *topic_dead_letter; /* NULL: that output is off; dead_letter is mandatory */
	char *lake_partition;   /* NULL, or a declared field by which file output is partitioned further */
	int line;
};

enum source_type { SOURCE_ETHDEV, SOURCE_FILE };

struct config_source {
	char *name;
	enum source_type type;
	char *device;    /* ethdev: "net_af_xdp", a PCI address, or a DPDK vdev string */
	char *interface; /* ethdev over AF_XDP: the kernel's name */
	uint16_t queues;
	char *path;   /* file: "-" is standard input */
	char *stream; /* file: names a stream */
	int line;
};

struct config_dimension {
	char *name;
	bool required;
	int line;
};

enum durability { DURABILITY_KAFKA, DURABILITY_JOURNAL };
enum hugepages { HUGEPAGES_AUTO, HUGEPAGES_REQUIRED, HUGEPAGES_OFF };
enum kafka_record { KAFKA_RECORD_EVENT, KAFKA_RECORD_BATCH };
enum file_compression { FILE_COMPRESSION_ZSTD, FILE_COMPRESSION_NONE };

struct config_lcore {
	unsigned int id;  /* DPDK lcore id */
	unsigned int cpu; /* kernel CPU it is pinned to; `lcores: [1, "2@1"]` puts two workers on CPU 1 */
};

struct config {
	char *path; /* the file, for messages */
	char *node;
	struct {
		struct config_lcore lcores[CONFIG_MAX_LCORES];
		size_t n_lcores;
		uint32_t memory_mb;
		enum hugepages hugepages;
	} dataplane;
	struct config_source *sources;
	size_t n_sources;
	struct config_stream *streams;
	size_t n_streams;
	struct config_dimension *dimensions;
	size_t n_dimensions;
	enum durability durability; /* when an event is acknowledged */
	struct {
		bool given; /* the section is there */
		char *directory;
		uint32_t segment_mb, max_gb;
	} journal;
	struct {
		bool enabled;
		char *bootstrap;
		bool embedded; /* bootstrap is "embedded" */
		enum kafka_record record;
		bool headers; /* CloudEvents headers on enriched records */
		char *property_keys[CONFIG_MAX_PROPERTIES];
		char *property_values[CONFIG_MAX_PROPERTIES];
		size_t n_properties;
	} kafka;
	struct {
		bool enabled;
		char *directory;
		uint32_t rotate_mb;
		int64_t rotate_ms;
		enum file_compression compression;
	} files;
	struct {
		bool authentication_required;
		uint16_t window; /* frames of one session */
		uint32_t max_sources;
		uint64_t rate, burst; /* events per second of one source, and events; 0: not limited */
	} transport;
	struct {
		char *socket;    /* path of the Unix socket */
		char *http_host; /* loopback address for /metrics; NULL: off */
		uint16_t http_port;
		char *state_directory; /* dimension snapshots live here across restarts */
		int64_t drain_ms;      /* how long SIGTERM waits for the sinks */
	} control;
};

/* Reads and checks a YAML file. On success *out owns everything; free with config_free(). On failure returns
 * -EINVAL (or the errno of opening the file), *out is NULL, and err says "file:line:column: reason". */
int config_load(const char *path, struct config **out, struct error *err);

/* The same from memory; `name` stands for the file in messages. `text` need not end in NUL. */
int config_parse(const char *text, size_t len, const char *name, struct config **out, struct error *err);

/* NULL is allowed. */
void config_free(struct config *config);

/* Index of a stream or dimension by name, or -1. */
int config_find_stream(const struct config *config, const char *name);
int config_find_dimension(const struct config *config, const char *name);

/* Writes docs/configuration.md's tables of keys as Markdown. */
void config_write_reference(FILE *out);

#endif
