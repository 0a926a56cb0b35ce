/* SPDX-License-Identifier: BSD-3-Clause */
/* Every way to get the configuration wrong, and the exact words it is refused with. */
#include "config.h"
#include "config_samples.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Lines 1 and 2, the fields on line 3, what is under test from line 4 on. */
#define STREAM(more) "streams:\n  - name: s\n" SAMPLE_FIELDS more SAMPLE_OUTPUT SAMPLE_SINKS
/* One field on line 3, its constraints from column 21 on. */
#define FIELD(constraints) \
	"streams:\n  - name: s\n    fields: {x: {" constraints "}}\n" SAMPLE_OUTPUT SAMPLE_SINKS
/* Lines 1 to 4; the top level goes on at line 5. */
#define TOP(more) "streams:\n  - name: s\n" SAMPLE_FIELDS SAMPLE_OUTPUT more
#define SOURCE(keys) STREAM("    udp_port: 1\n") "sources:\n  - {" keys "}\n"
#define TIMES8(x) x x x x x x x x
#define TIMES64(x) TIMES8(x) TIMES8(x) TIMES8(x) TIMES8(x) TIMES8(x) TIMES8(x) TIMES8(x) TIMES8(x)

struct bad {
	const char *text;
	const char *message; /* after "t.yaml:" */
};

static const struct bad bad_files[] = {
    {"", "1:1: the file is empty"},
    {"# nothing\n", "1:1: the file is empty"},
    {"- a\n", "1:1: expected a mapping of sections at the top"},
    {"streams: [\n", "2:1: did not find expected node content while parsing a flow node"},
    {"a: b: c\n", "1:5: mapping values are not allowed in this context"},
    {"\tx: 1\n", "1:1: found character that cannot start any token while scanning for the next token"},
    {"node: *x\n", "1:7: found undefined alias"},
    {"node: \"\xff\"\n", "1:8: not UTF-8: byte 0xff"},
    {"\xc3\xa4: \xc3\n", "1:4: not UTF-8: byte 0xc3"},
    {"node: a\x01\n", "1:8: control characters are not allowed"},
    {"node: \"a\\0b\"\n", "1:7: node: a NUL character is not allowed"},
    {"\"node\\0b\": a\n", "1:1: a NUL character is not allowed in a key"},
    {STREAM("") "---\n" STREAM(""), "6:1: a second document: the configuration is one document"},
    {"nodes: a\n", "1:1: unknown key \"nodes\", did you mean \"node\"?"},
    {"xyzzy: a\n", "1:1: unknown key \"xyzzy\", expected one of: node, dataplane, sources, streams, "
                   "dimensions, sinks, durability, journal, transport, control"},
    {"node: a\nnode: b\n", "2:1: duplicate key \"node\", first on line 1"},
    {"[a]: b\n", "1:1: a key must be a string"},
    {"<<: {node: a}\n", "1:1: merge keys (<<) are not supported: write the keys out, or use an alias"},
    {"node: !!int \"3\"\n", "1:7: node: tags such as \"!\" are not supported"},
    {"node: 17\n", "1:7: node: expected a string, found an integer: write \"17\" in quotes"},
    {"node: true\n", "1:7: node: expected a string, found a boolean: write \"true\" in quotes"},
    {"node:\nstreams: []\n", "1:6: node: expected a string, found nothing"},
    {"node: \"\"\n", "1:7: node: must not be empty"},
    {"node: [a]\n", "1:7: node: expected one value, found a list"},
    {"node: a b\n", "1:7: node: a node's name is 1 to 253 letters, digits, \".\", \"_\" and \"-\""},
    {"node: ${PENSTOCK_NOT_SET}\n", "1:7: node: the environment has no variable PENSTOCK_NOT_SET"},
    {"node: ${\n",
        "1:7: node: \"${\" must be followed by a variable's name and \"}\"; write \"$${\" for the characters "
        "themselves"},
    {"node: ${1A}\n",
        "1:7: node: \"${\" must be followed by a variable's name and \"}\"; write \"$${\" for the "
        "characters themselves"},
    {"node: {file: /nonexistent}\n", "1:14: file: cannot open \"/nonexistent\": No such file or directory"},
    {"node: {file: /dev}\n", "1:14: file: \"/dev\" is not a regular file"},
    {"node: {file: \"\"}\n", "1:14: file: expected a path, found nothing"},
    {"node: {path: x}\n", "1:7: node: expected one value, found a mapping"},

    {"dataplane: 3\n", "1:12: dataplane: expected a mapping, found the integer 3"},
    {"dataplane: {lcores: 1}\n", "1:21: lcores: expected a list, found the integer 1"},
    {"dataplane: {lcores: []}\n", "1:21: lcores: expected 1 to 64 entries, found 0"},
    {"dataplane: {lcores: [1, 1]}\n", "1:25: lcores: lcore 1 stands there twice"},
    {"dataplane: {lcores: [1, \"1@0\"]}\n", "1:25: lcores: lcore 1 stands there twice"},
    {"dataplane: {lcores: [one]}\n",
        "1:22: lcores: expected a number from 0 to 127 or \"lcore@cpu\", found \"one\""},
    {"dataplane: {lcores: [128]}\n",
        "1:22: lcores: expected a number from 0 to 127 or \"lcore@cpu\", found \"128\""},
    {"dataplane: {lcores: [\"1@\"]}\n",
        "1:22: lcores: expected a number from 0 to 127 or \"lcore@cpu\", found \"1@\""},
    {"dataplane: {memory_mb: 63}\n", "1:24: memory_mb: must be at least 64 MB"},
    {"dataplane: {memory_mb: 99999999999999999999999}\n", "1:24: memory_mb: must be at most 1048576 MB"},
    {"dataplane: {memory_mb: -1}\n", "1:24: memory_mb: must not have a sign"},
    {"dataplane: {memory_mb: 1.5}\n", "1:24: memory_mb: expected an integer, found the number 1.5"},
    {"dataplane: {memory_mb: \"512\"}\n", "1:24: memory_mb: expected an integer, found the string \"512\""},
    {"dataplane: {memory_mb: 0512}\n", "1:24: memory_mb: expected an integer, found the string \"0512\""},
    {"dataplane: {hugepages: of}\n", "1:24: hugepages: unknown value \"of\", did you mean \"off\"?"},
    {"dataplane: {hugepages: yes}\n", "1:24: hugepages: unknown value \"yes\", expected auto, required, off"},

    {"streams: {}\n", "1:10: streams: expected a list, found a mapping"},
    {"streams: []\n", "1:10: streams: must not be empty"},
    {"streams: [a]\n", "1:11: streams: expected a mapping, found the string \"a\""},
    {"streams:\n" TIMES64("  - {}\n"), "2:3: streams: at most 32 entries, found 64"},
    {"streams: [{}]\n", "1:11: \"name\" is missing"},
    {"node: a\n", "1:1: \"streams\" is missing"},
    {"streams: [{name: -a}]\n",
        "1:18: name: a name is 1 to 63 letters, digits, \"_\" and \"-\", and starts with a "
        "letter or digit"},
    {"streams: [{name: a/b}]\n",
        "1:18: name: a name is 1 to 63 letters, digits, \"_\" and \"-\", and starts with a "
        "letter or digit"},
    {"streams:\n  - name: s\n    fields: {x: {type: string}}\n", "2:5: \"output\" is missing"},
    {STREAM("    udp_prot: 1\n"), "4:5: unknown key \"udp_prot\", did you mean \"udp_port\"?"},
    {STREAM("    udp_port: 0\n"), "4:15: udp_port: must be at least 1"},
    {STREAM("    udp_port: 65536\n"), "4:15: udp_port: must be at most 65535"},
    {STREAM("    udp_port: [1]\n"), "4:15: udp_port: expected one value, found a list"},
    {STREAM("    codec: flatbuffers\n"), "4:12: codec: flatbuffers is not available yet, use json"},
    {STREAM("    codec: avro\n"), "4:12: codec: unknown value \"avro\", expected json"},
    {STREAM("    identity: ID\n"), "4:15: identity: \"ID\" is not a declared field of the stream"},
    {STREAM("    identity: idd\n"), "4:15: identity: \"idd\" is not a declared field, did you mean \"id\"?"},
    {STREAM("    identity: o\n"), "4:15: identity: the field \"o\" must be a string or an integer"},
    {STREAM("    partition_key: x\n"), "4:20: partition_key: \"x\" is not a declared field of the stream"},
    {STREAM("    partition_key: o\n"), "4:20: partition_key: the field \"o\" must be a string or an integer"},
    {STREAM("    lake_partition: kind\n"),
        "4:21: lake_partition: \"kind\" is not a declared field of the stream"},
    {STREAM("    timestamp: {format: rfc3339}\n"), "4:16: \"field\" is missing"},
    {STREAM("    timestamp: {field: n}\n"),
        "4:24: field: the field \"n\" must be a string for the format rfc3339"},
    {STREAM("    timestamp: {field: at, format: unix_ms}\n"),
        "4:24: field: the field \"at\" must be an integer for the formats unix_s and unix_ms"},
    {STREAM("    timestamp: {field: when}\n"), "4:24: field: \"when\" is not a declared field of the stream"},
    {STREAM("    timestamp: {field: at, format: iso}\n"),
        "4:36: format: unknown value \"iso\", expected rfc3339, unix_s, unix_ms"},
    {STREAM("    timestamp: {field: at, max_past: 7}\n"),
        "4:38: max_past: expected a duration such as 500ms, 30s, 10m, 2h or 7d, found \"7\""},
    {STREAM("    timestamp: {field: at, max_past: -1d}\n"),
        "4:38: max_past: expected a duration such as 500ms, 30s, 10m, 2h or 7d, found \"-1d\""},
    {STREAM("    timestamp: {field: at, max_past: 9223372036854775807d}\n"),
        "4:38: max_past: expected a duration such as 500ms, 30s, 10m, 2h or 7d, found "
        "\"9223372036854775807d\""},
    {STREAM("    unknown_fields: remove\n"),
        "4:21: unknown_fields: unknown value \"remove\", expected keep, drop, reject"},
    {STREAM("    max_event_bytes: 1MiB\n"), "4:22: max_event_bytes: must be at most 262144 bytes"},
    {STREAM("    max_event_bytes: 8 bytes\n"),
        "4:22: max_event_bytes: expected a size such as 65536, 64KiB or 1MB, found \"8 bytes\""},
    {STREAM("    snapshot_versions: 1\n"),
        "4:24: snapshot_versions: expected true or false, found the integer 1"},
    {STREAM("    dedup: {budget_mb: 0}\n"), "4:24: budget_mb: must be at least 1 MB"},
    {STREAM("    dedup: {window: 99ms}\n"), "4:21: window: must be at least 100 ms"},
    {STREAM("    dedup: {window: 31d}\n"), "4:21: window: must be at most 2592000000 ms"},
    {STREAM("    dedup: {mode: mark}\n"), "4:19: mode: unknown value \"mark\", expected drop, flag, off"},
    {STREAM("    enrich: [{dimension: d, key: id, as: x, on_miss: park}]\n"),
        "4:54: on_miss: park is not available yet, use emit or dlq"},
    {STREAM("    enrich: [{dimension: d, key: id, as: x}]\n"),
        "4:26: dimension: \"d\" is not declared under dimensions"},
    {STREAM("    enrich: [{dimension: user, key: id, as: x}]\n") "dimensions: {users: {}}\n",
        "4:26: dimension: \"user\" is not declared under dimensions, did you mean \"users\"?"},
    {STREAM("    enrich: [{dimension: d, key: k, as: x}]\n") "dimensions: {d: {}}\n",
        "4:34: key: \"k\" is not a declared field of the stream"},
    {STREAM("    enrich: [{dimension: d, key: o, as: x}]\n") "dimensions: {d: {}}\n",
        "4:34: key: the field \"o\" must be a string or an integer"},
    {STREAM("    enrich: [{dimension: d, key: id, as: x}, {dimension: d, key: at, as: x}]\n") "dimensions: "
                                                                                              "{d: {}}\n",
        "4:74: as: \"x\" is taken by the join on line 4"},
    {STREAM("    enrich: [{dimension: d, key: id, as: processing_timestamp}]\n") "dimensions: {d: {}}\n",
        "4:42: as: that member is written by Penstock itself"},
    {STREAM("    enrich: [{dimension: d, key: id, as: 'a\"b'}]\n") "dimensions: {d: {}}\n",
        "4:42: as: a member's name is 1 to 64 bytes without quotes, backslashes and control characters"},
    {STREAM("    enrich: [" TIMES64("{dimension: d, key: id, as: x},") "]\n"),
        "4:13: enrich: at most 8 entries, found 64"},
    {STREAM("") "dimensions: {a/b: {}}\n",
        "6:14: dimensions: a name is 1 to 63 letters, digits, \"_\" and \"-\", and "
        "starts with a letter or digit"},
    {STREAM("") "dimensions: {d: }\n", "6:17: dimensions: expected a mapping, found nothing"},
    {STREAM("") "dimensions: {d: {required: maybe}}\n",
        "6:28: required: expected true or false, found the string \"maybe\""},
    {STREAM("    udp_port: 7\n    udp_port: 8\n"), "5:5: duplicate key \"udp_port\", first on line 4"},

    {FIELD("required: true"), "3:17: \"type\" is missing"},
    {FIELD("type: text"),
        "3:24: type: unknown value \"text\", expected string, number, integer, boolean, object, array"},
    {FIELD("type: strng"), "3:24: type: unknown value \"strng\", did you mean \"string\"?"},
    {FIELD("type: string, format: guid"), "3:40: format: unknown value \"guid\", did you mean \"uuid\"?"},
    {FIELD("type: integer, format: uuid"), "3:41: format: only for string fields"},
    {FIELD("type: integer, pattern: x"), "3:42: pattern: only for string fields"},
    {FIELD("type: integer, enum: [x]"), "3:39: enum: only for string fields"},
    {FIELD("type: integer, max_length: 3"), "3:45: max_length: only for string fields"},
    {FIELD("type: boolean, min_length: 3"), "3:45: min_length: only for string fields"},
    {FIELD("type: string, min: 3"), "3:37: min: only for number and integer fields"},
    {FIELD("type: array, max: 3"), "3:36: max: only for number and integer fields"},
    {FIELD("type: number, min: 2, max: 1.5"), "3:45: max: smaller than min"},
    {FIELD("type: number, min: low"), "3:37: min: expected a number, found the string \"low\""},
    {FIELD("type: number, min: 1e999"), "3:37: min: expected a number, found the string \"1e999\""},
    {FIELD("type: string, min_length: 2, max_length: 1"), "3:59: max_length: smaller than min_length"},
    {FIELD("type: string, enum: []"), "3:38: enum: expected 1 to 1024 entries, found 0"},
    {FIELD("type: string, enum: x"), "3:38: enum: expected a list, found the string \"x\""},
    {FIELD("type: string, enum: [a, b, a]"), "3:45: enum: \"a\" stands there twice"},
    {FIELD("type: string, enum: [a, 1]"),
        "3:42: enum: expected a string, found an integer: write \"1\" in quotes"},
    {"streams:\n  - name: s\n    fields: {}\n" SAMPLE_OUTPUT SAMPLE_SINKS, "3:13: fields: must not be empty"},
    {"streams:\n  - name: s\n    fields: {x: {type: string}, x: {type: string}}\n" SAMPLE_OUTPUT SAMPLE_SINKS,
        "3:33: duplicate key \"x\", first on line 3"},
    {"streams:\n  - name: s\n    fields: {\"\": {type: string}}\n" SAMPLE_OUTPUT SAMPLE_SINKS,
        "3:14: fields: a name must not be empty"},
    {"streams:\n  - name: s\n    fields: {enrichments: {type: object}}\n" SAMPLE_OUTPUT SAMPLE_SINKS,
        "3:14: fields: \"enrichments\" is the member that Penstock adds"},
    {"streams:\n  - name: s\n    fields: {is_duplicate: {type: boolean}}\n    dedup: {mode: "
     "flag}\n" SAMPLE_OUTPUT SAMPLE_SINKS,
        "3:14: fields: \"is_duplicate\" is the member that dedup's mode flag adds"},

    {"streams:\n  - name: s\n" SAMPLE_FIELDS "    output: {raw: r, enriched: e}\n" SAMPLE_SINKS,
        "4:13: \"dead_letter\" is missing"},
    {"streams:\n  - name: s\n" SAMPLE_FIELDS "    output: {dead_letter: d}\n" SAMPLE_SINKS,
        "4:27: output: at least one of raw and enriched is needed"},
    {"streams:\n  - name: s\n" SAMPLE_FIELDS "    output: {enriched: t, dead_letter: t}\n" SAMPLE_SINKS,
        "4:40: dead_letter: the same topic as enriched"},
    {"streams:\n  - name: s\n" SAMPLE_FIELDS "    output: {raw: a/b, dead_letter: t}\n" SAMPLE_SINKS,
        "4:19: raw: a topic's name is 1 to 249 letters, digits, \".\", \"_\" and \"-\""},
    {"streams:\n  - name: s\n" SAMPLE_FIELDS "    output: {raw: .., dead_letter: t}\n" SAMPLE_SINKS,
        "4:19: raw: a topic's name is 1 to 249 letters, digits, \".\", \"_\" and \"-\""},
    {STREAM("") "sources: 1\n", "6:10: sources: expected a list, found the integer 1"},
    {"streams:\n  - &s\n    name: s\n" SAMPLE_FIELDS SAMPLE_OUTPUT "  - *s\n" SAMPLE_SINKS,
        "3:11: name: \"s\" is taken by the stream on line 2"},
    {"streams:\n  - {name: a, udp_port: 7, fields: {x: {type: string}}, output: {raw: r, dead_letter: d}}\n"
     "  - {name: b, udp_port: 7, fields: {x: {type: string}}, output: {raw: r, dead_letter: "
     "d}}\n" SAMPLE_SINKS,
        "3:25: udp_port: 7 is taken by the stream \"a\""},

    {TOP(""), "1:1: \"sinks\" is missing"},
    {TOP("sinks: {}\n"), "5:8: sinks: at least one of kafka and files is needed"},
    {TOP("sinks: {files: {directory: x}}\ndurability: disk\n"),
        "6:13: durability: unknown value \"disk\", expected kafka, journal"},
    {TOP("sinks: {files: {directory: x}}\njournal: {directory: y}\n"),
        "6:22: journal: only with durability: journal"},
    {TOP("sinks: {files: {directory: x}}\ndurability: journal\njournal: {segment_mb: 1024, max_gb: 1}\n"),
        "7:37: journal.max_gb: 1 GB hold fewer than two segments of 1024 MB"},
    {TOP("sinks: {files: {directory: x}}\ndurability: journal\njournal: {segment_mb: 2}\n"),
        "7:23: segment_mb: must be at least 4 MB"},
    {TOP("sinks: {s3: {}}\n"), "5:9: unknown key \"s3\", expected one of: kafka, files"},
    {TOP("sinks: {files: {}}\n"), "5:16: \"directory\" is missing"},
    {TOP("sinks: {files: {directory: x, rotate_mb: 0}}\n"), "5:42: rotate_mb: must be at least 1 MB"},
    {TOP("sinks: {files: {directory: x, rotate: 1ms}}\n"), "5:39: rotate: must be at least 1000 ms"},
    {TOP("sinks: {files: {directory: x, compression: gzip}}\n"),
        "5:44: compression: unknown value \"gzip\", expected zstd, none"},
    {TOP("sinks: {kafka: {}}\n"), "5:16: \"bootstrap\" is missing"},
    {TOP("sinks: {kafka: {bootstrap: localhost}}\n"),
        "5:28: bootstrap: expected \"embedded\" or host:port,host:port"},
    {TOP("sinks: {kafka: {bootstrap: \"a:1,\"}}\n"),
        "5:28: bootstrap: expected \"embedded\" or host:port,host:port"},
    {TOP("sinks: {kafka: {bootstrap: \"a:0\"}}\n"),
        "5:28: bootstrap: expected \"embedded\" or host:port,host:port"},
    {TOP("sinks: {kafka: {bootstrap: \"a:b\"}}\n"),
        "5:28: bootstrap: expected \"embedded\" or host:port,host:port"},
    {TOP("sinks: {kafka: {bootstrap: embedded, headers: yes}}\n"),
        "5:47: headers: unknown value \"yes\", expected cloudevents, none"},
    {TOP("sinks: {kafka: {bootstrap: embedded, properties: [a]}}\n"),
        "5:50: properties: expected a mapping, found a list"},
    {TOP("sinks: {kafka: {bootstrap: embedded, properties: {no.such: 1}}}\n"),
        "5:60: properties: No such configuration property: \"no.such\""},
    {TOP("sinks: {kafka: {bootstrap: embedded, properties: {compression.type: brotli}}}\n"),
        "5:69: properties: Invalid value \"brotli\" for configuration property \"compression.codec\""},
    {TOP("sinks: {kafka: {bootstrap: embedded, properties: {bootstrap.servers: x}}}\n"),
        "5:51: bootstrap.servers: use sinks.kafka.bootstrap"},
    {TOP("sinks: {kafka: {bootstrap: embedded, properties: {plugin.library.paths: x}}}\n"),
        "5:51: plugin.library.paths: plugins are not supported"},
    {TOP("    lake_partition: id\nsinks: {kafka: {bootstrap: embedded}}\n"),
        "5:21: lake_partition: divides file output, but there is no sinks.files"},

    {STREAM("") "control: {http: 0.0.0.0:9464}\n",
        "6:17: http: \"0.0.0.0\" is not a loopback address: it must be in 127.0.0.0/8, or [::1]"},
    {STREAM("") "control: {http: \"[::]:9464\"}\n",
        "6:17: http: \"::\" is not a loopback address: it must be in 127.0.0.0/8, or [::1]"},
    {STREAM("") "control: {http: 9464}\n",
        "6:17: http: expected \"off\" or a loopback address and port such as 127.0.0.1:9464"},
    {STREAM("") "control: {http: 127.0.0.1:70000}\n",
        "6:17: http: expected \"off\" or a loopback address and port such as 127.0.0.1:9464"},
    {STREAM("") "control: {drain: 2d}\n", "6:18: drain: must be at most 86400000 ms"},
    {STREAM("") "control: {socket: /" TIMES64("xx") "}\n",
        "6:19: socket: the path of a Unix socket is at most 107 bytes long"},

    {SOURCE("type: file"), "8:5: \"name\" is missing"},
    {SOURCE("name: a, type: tcp"), "8:21: type: unknown value \"tcp\", expected ethdev, file"},
    {SOURCE("name: a, type: ethdev"), "8:12: \"device\" is missing: a source of type ethdev needs it"},
    {SOURCE("name: a, type: ethdev, device: net_af_xdp"),
        "8:12: \"interface\" is missing: net_af_xdp needs it"},
    {SOURCE("name: a, type: ethdev, device: net_tap0, interface: eth0"),
        "8:58: interface: not for a device other than net_af_xdp"},
    {SOURCE("name: a, type: ethdev, device: net_af_xdp, interface: much_too_long_name"),
        "8:60: interface: an interface's name is 1 to 15 bytes long"},
    {SOURCE("name: a, type: ethdev, device: net_tap0, path: x"),
        "8:53: path: not for a source of type ethdev"},
    {SOURCE("name: a, type: ethdev, device: net_tap0, stream: s"),
        "8:55: stream: not for a source of type ethdev"},
    {SOURCE("name: a, type: ethdev, device: net_tap0, queues: 65"), "8:55: queues: must be at most 64"},
    {SOURCE("name: a, type: file, stream: s"), "8:12: \"path\" is missing: a source of type file needs it"},
    {SOURCE("name: a, type: file, path: x"), "8:12: \"stream\" is missing: a source of type file needs it"},
    {SOURCE("name: a, type: file, path: x, stream: t"), "8:44: stream: \"t\" is not declared under streams"},
    {SOURCE("name: a, type: file, path: x, stream: s, queues: 2"),
        "8:55: queues: a source of type file has one"},
    {SOURCE("name: a, type: file, path: x, stream: s, device: d"),
        "8:55: device: not for a source of type file"},
    {SOURCE("name: a, type: file, path: x, stream: s, interface: i"),
        "8:58: interface: not for a source of type file"},
    {SOURCE("name: a, type: file, path: x, stream: s}\n  - {name: a, type: file, path: y, stream: s"),
        "9:12: name: \"a\" is taken by the source on line 8"},
    {SOURCE("name: a, type: file, path: x, stream: s}\n  - {name: b, type: file, path: x, stream: s"),
        "9:33: path: taken by the source \"a\""},
    {SOURCE("name: a, type: ethdev, device: net_tap0}\n  - {name: b, type: ethdev, device: net_tap0"),
        "9:37: device: taken by the source \"a\""},
    {SOURCE("name: a, type: ethdev, device: net_af_xdp, interface: e}\n"
            "  - {name: b, type: ethdev, device: net_af_xdp, interface: e"),
        "9:60: interface: taken by the source \"a\""},
    {STREAM("") "sources: [{name: a, type: ethdev, device: net_tap0}]\n",
        "6:27: type: no stream has a udp_port, so nothing could arrive from a port"},
};

static void refused_with_place_and_reason(void **state)
{
	char expected[600];
	struct config *c;
	struct error err;
	int failures = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		const struct bad *bad = &bad_files[i];

		c = (struct config *)1;
		err.text[0] = '\0';
		(void)snprintf(expected, sizeof(expected), "t.yaml:%s", bad->message);
		if (config_parse(bad->text, strlen(bad->text), "t.yaml", &c, &err) != -EINVAL || c != NULL ||
		    strcmp(err.text, expected) != 0) {
			print_error("%s\n  expected: %s\n  got:      %s\n", bad->text, expected, err.text);
			failures++;
		}
	}
	assert_int_equal(failures, 0);
}

static void every_table_default_is_readable(void **state)
{
	/* Absent keys take the table's defaults through the same code as values of a file. */
	static const char text[] = "streams:\n  - name: s\n" SAMPLE_FIELDS SAMPLE_OUTPUT
	                           "sinks: {kafka: {bootstrap: embedded}, files: {directory: x}}\n"
	                           "sources: [{name: f, type: file, path: x, stream: s}]\n"
	                           "dimensions: {d: {}}\n";
	struct config *c;
	struct error err = {.text = ""};

	(void)state;
	assert_int_equal(config_parse(text, sizeof(text) - 1, "t.yaml", &c, &err), 0);
	config_free(c);
}

static void too_long(void **state)
{
	size_t len = (1u << 20) + 1;
	char *text = malloc(len);
	struct config *c;
	struct error err;

	(void)state;
	assert_non_null(text);
	memset(text, '#', len);
	assert_int_equal(config_parse(text, len, "t.yaml", &c, &err), -EINVAL);
	assert_string_equal(err.text, "t.yaml:1:1: longer than 1048576 bytes");
	assert_int_equal(config_parse(text, len - 1, "t.yaml", &c, &err), -EINVAL);
	assert_string_equal(err.text, "t.yaml:1:1: the file is empty");
	free(text);
}

static void deep_nesting_and_cycles(void **state)
{
	static const char cycle[] = "streams: &s [*s]\n";
	size_t n = 200000;
	char *text = malloc(n);
	struct config *c;
	struct error err;

	(void)state;
	assert_non_null(text);
	memset(text, '[', n);
	assert_int_equal(config_parse(text, n, "t.yaml", &c, &err), -EINVAL);
	assert_string_equal(err.text, "t.yaml:1:17: nested deeper than 16 levels");
	for (size_t i = 0; i + 2 <= n; i += 2)
		memcpy(text + i, "- ", 2);
	assert_int_equal(config_parse(text, n, "t.yaml", &c, &err), -EINVAL);
	assert_string_equal(err.text, "t.yaml:1:33: nested deeper than 16 levels");
	free(text);
	assert_int_equal(config_parse(cycle, sizeof(cycle) - 1, "t.yaml", &c, &err), -EINVAL);
	assert_string_equal(err.text, "t.yaml:1:10: streams: expected a mapping, found a list");
}

/* xorshift64*: the same mutations on every run. */
static uint32_t draw(uint64_t *seed, size_t below)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)(((*seed * 0x2545f4914f6cdd1dull) >> 33) % below);
}

static size_t mutate(uint64_t *seed, char *text, size_t len, size_t room)
{
	static const char bytes[] = "{}[]:,-#&*!|>'\"%@`\n \t\\0123x$~\x01\xc3\xff\0";
	static const char *const pieces[] = {"${", "${HOME}", "{file: /etc/hostname}", "null", "&a", "*a",
	    "<<: ", "---\n", "...\n", "!!int ", "99999999999999999999", "-1", "1e309", "\"\\0\"", "  ",
	    "streams:\n", "- {}\n"};
	size_t at, n, piece_len;

	for (uint32_t k = 1 + draw(seed, 4); k > 0 && len > 2; k--) {
		at = draw(seed, len);
		n = 1 + draw(seed, 24);
		if (n > len - at)
			n = len - at;
		switch (draw(seed, 5)) {
		case 0:
			text[at] = bytes[draw(seed, sizeof(bytes) - 1)];
			break;
		case 1: /* cut out */
			memmove(text + at, text + at + n, len - at - n);
			len -= n;
			break;
		case 2: /* say twice */
			if (len + n <= room) {
				memmove(text + at + n, text + at, len - at);
				len += n;
			}
			break;
		case 3: {
			const char *piece = pieces[draw(seed, sizeof(pieces) / sizeof(pieces[0]))];

			piece_len = strlen(piece);
			if (len + piece_len <= room) {
				memmove(text + at + piece_len, text + at, len - at);
				memcpy(text + at, piece, piece_len);
				len += piece_len;
			}
			break;
		}
		default: /* cut off */
			if (draw(seed, 8) == 0)
				len = at;
		}
	}
	return len;
}

static bool has_place(const char *text)
{
	unsigned int line, column;
	int used = 0;

	return sscanf(text, "t.yaml:%u:%u: %n", &line, &column, &used) == 2 && used > 0 && line > 0 &&
	       column > 0 && text[used] != '\0';
}

static size_t read_example(const char *name, char *text, size_t size)
{
	char path[512];
	FILE *file;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/docs/examples/%s", SOURCE_ROOT, name);
	file = fopen(path, "re");
	assert_non_null(file);
	len = fread(text, 1, size, file);
	assert_int_equal(fclose(file), 0);
	assert_in_range(len, 500, size - 1);
	return len;
}

static size_t noise(uint64_t *seed, char *text)
{
	size_t len = draw(seed, 300);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)draw(seed, 256);
	return len;
}

/* Every eighth is noise, the others are changed examples. */
static void bad_inputs(void **state)
{
	static const char *const examples[] = {"catalog.yaml", "detections.yaml", "shop.yaml"};
	static char original[3][16384], text[32768];
	uint64_t seed = 0x9e3779b97f4a7c15ull;
	unsigned int accepted = 0, refused = 0;
	size_t lens[3];

	(void)state;
	for (size_t e = 0; e < 3; e++)
		lens[e] = read_example(examples[e], original[e], sizeof(original[e]));
	for (unsigned int i = 0; i < BAD_INPUTS; i++) {
		struct config *c = NULL;
		struct error err = {.text = ""};
		size_t n;
		int rc;

		if (i % 8 == 7) {
			n = noise(&seed, text);
		} else {
			memcpy(text, original[i % 3], lens[i % 3]);
			n = mutate(&seed, text, lens[i % 3], sizeof(text));
		}
		rc = config_parse(text, n, "t.yaml", &c, &err);
		if (rc == 0 && c != NULL)
			accepted++;
		else if (rc == -EINVAL && c == NULL && has_place(err.text))
			refused++;
		else
			fail_msg("input %u: %d, %s", i, rc, err.text);
		config_free(c);
	}
	(void)printf("configurations: %u, accepted %u, refused %u\n", BAD_INPUTS, accepted, refused);
	assert_int_equal(accepted + refused, BAD_INPUTS);
	/* Comments and names leave room for harmless mutations, but most are not. */
	assert_in_range(accepted, 100, BAD_INPUTS * 9 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refused_with_place_and_reason),
	    cmocka_unit_test(every_table_default_is_readable),
	    cmocka_unit_test(too_long),
	    cmocka_unit_test(deep_nesting_and_cycles),
	    cmocka_unit_test(bad_inputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
