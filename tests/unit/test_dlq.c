/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"
#include "dlq/cmd_dlq.h"
#include "dlq/dlq_print.h"
#include "dlq/replay_edit.h"
#include "sink_fixture.h"
#include "sink_kafka.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct output {
	int status;
	char *text;   /* standard output */
	char *errors; /* standard error */
};

static char *read_all(FILE *file)
{
	char *text = calloc(1, 1 << 20);

	rewind(file);
	(void)fread(text, 1, (1 << 20) - 1, file);
	fclose(file);
	return text;
}

/* Runs `penstock dlq ...`; the words end with NULL. */
static struct output run(const char *word, ...)
{
	char *argv[32] = {(char *)"dlq"};
	FILE *out = tmpfile(), *errors = tmpfile();
	int argc = 1, saved_out, saved_err;
	struct output output;
	va_list words;

	va_start(words, word);
	for (; word != NULL && argc < 31; word = va_arg(words, const char *))
		argv[argc++] = (char *)(uintptr_t)word;
	va_end(words);
	fflush(NULL);
	saved_out = dup(STDOUT_FILENO);
	saved_err = dup(STDERR_FILENO);
	dup2(fileno(out), STDOUT_FILENO);
	dup2(fileno(errors), STDERR_FILENO);
	output.status = cmd_dlq(argc, argv);
	fflush(NULL);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close(saved_out);
	close(saved_err);
	output.text = read_all(out);
	output.errors = read_all(errors);
	return output;
}

static void done(struct output *output)
{
	free(output->text);
	free(output->errors);
}

/* 40 dead letters of 400 events; one of them turned into bytes that are not UTF-8. */
static void write_dead_letters(struct fixture *fixture, struct sink *sink)
{
	struct batch *batch;

	fixture->dead_every = 10;
	batch = fixture_batch(fixture, 400);
	batch->bytes[batch->events[20].raw] = '\xff';
	batch->bytes[batch->events[20].raw + 1] = '\n';
	batch->events[30].reason = REASON_FIELD_ENUM;
	fixture_submit(sink, batch);
	if (sink->ops->flush(sink, clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS) != 0)
		fail_msg("not flushed");
}

static void check_ls(const struct output *output)
{
	json_t *object = json_loads(output->text, 0, NULL), *group;

	assert_int_equal(output->status, 0);
	assert_non_null(object);
	assert_int_equal(json_integer_value(json_object_get(object, "records")), 40);
	assert_int_equal(json_array_size(json_object_get(object, "groups")), 2);
	group = json_array_get(json_object_get(object, "groups"), 0);
	assert_string_equal(json_string_value(json_object_get(group, "stream")), "shop");
	assert_string_equal(json_string_value(json_object_get(group, "stage")), "parse");
	assert_string_equal(json_string_value(json_object_get(group, "reason")), "json_syntax");
	assert_int_equal(json_integer_value(json_object_get(group, "count")), 39);
	assert_string_equal(json_string_value(json_object_get(group, "first")), "2025-06-17T23:30:05.123Z");
	assert_string_equal(json_string_value(json_object_get(group, "last")), "2025-06-17T23:30:05.123Z");
	group = json_array_get(json_object_get(object, "groups"), 1);
	assert_string_equal(json_string_value(json_object_get(group, "stage")), "validate");
	assert_string_equal(json_string_value(json_object_get(group, "reason")), "field_enum");
	assert_int_equal(json_integer_value(json_object_get(group, "count")), 1);
	json_decref(object);
}

static void check_show(const struct output *output)
{
	char *copy = strdup(output->text), *state;
	unsigned int lines = 0, binary = 0;

	assert_int_equal(output->status, 0);
	for (char *line = strtok_r(copy, "\n", &state); line != NULL; line = strtok_r(NULL, "\n", &state)) {
		json_t *object = json_loads(line, 0, NULL);

		assert_non_null(object);
		lines++;
		assert_string_equal(json_string_value(json_object_get(object, "message")), "expected {");
		assert_string_equal(json_string_value(json_object_get(object, "replays")), "0");
		if (json_object_get(object, "value_base64") != NULL) {
			binary++; /* "\xff\noken 20" */
			assert_string_equal(
			    json_string_value(json_object_get(object, "value_base64")), "/wpva2VuIDIw");
		} else {
			assert_int_equal(
			    strncmp(json_string_value(json_object_get(object, "value")), "broken ", 7), 0);
		}
		json_decref(object);
	}
	assert_int_equal(lines, 39);
	assert_int_equal(binary, 1);
	free(copy);
}

static void check_text(const struct output *output)
{
	assert_int_equal(output->status, 0);
	assert_non_null(strstr(output->text, "value: \\xff\\noken 20\n"));
	assert_non_null(strstr(output->text, "json_syntax\n"));
}

static void from_files(enum file_compression compression)
{
	struct fixture fixture;
	char directory[64];
	struct sink *sink;
	struct output output;
	struct error err;

	fixture_directory(directory);
	fixture_init(&fixture, 2);
	fixture.config.files.directory = directory;
	fixture.config.files.rotate_mb = 1;
	fixture.config.files.rotate_ms = 3600000;
	fixture.config.files.compression = compression;
	assert_int_equal(sink_file_create(&fixture.config, 0, &sink, &err), 0);
	write_dead_letters(&fixture, sink);
	/* Once while the files are being written, once finished. */
	for (int i = 0; i < 2; i++) {
		output = run("ls", "--from-files", directory, "--json", NULL);
		check_ls(&output);
		done(&output);
		output = run("show", "--from-files", directory, "--json", "--reason", "json_syntax",
		    "--limit", "100", NULL);
		check_show(&output);
		done(&output);
		if (i == 0)
			sink->ops->close(sink);
	}
	output = run("show", "--from-files", directory, "--limit", "3", NULL);
	check_text(&output);
	assert_null(strstr(output.text, "broken 30"));
	done(&output);
	output = run("ls", "--from-files", directory, NULL);
	assert_int_equal(output.status, 0);
	assert_non_null(strstr(output.text, "39  shop    parse     json_syntax  2025-06-17T23:30:05.123Z"));
	assert_non_null(strstr(output.text, "40  dead letters\n"));
	done(&output);
	fixture_fini(&fixture);
	fixture_remove(directory);
}

static void from_compressed_files(void **state)
{
	(void)state;
	from_files(FILE_COMPRESSION_ZSTD);
}

static void from_plain_files(void **state)
{
	(void)state;
	from_files(FILE_COMPRESSION_NONE);
}

static void from_kafka(void **state)
{
	struct fixture fixture;
	struct sink *sink;
	struct output output;
	const char *brokers;
	struct error err;

	(void)state;
	fixture_init(&fixture, 2);
	fixture.config.kafka.embedded = true;
	assert_int_equal(sink_kafka_create(&fixture.config, 0, &sink, &err), 0);
	brokers = rd_kafka_mock_cluster_bootstraps(sink_kafka_cluster(sink));
	write_dead_letters(&fixture, sink);
	output = run("ls", "--brokers", brokers, "--topic", "dead", "--json", NULL);
	check_ls(&output);
	done(&output);
	output = run("show", "--brokers", brokers, "--topic", "dead", "--json", "--reason", "json_syntax",
	    "-n", "100", NULL);
	check_show(&output);
	assert_non_null(strstr(output.text, "\"__connect.errors.stage\":\"VALUE_CONVERTER\""));
	done(&output);
	output = run("show", "--brokers", brokers, "--topic", "dead", "--limit", "40", NULL);
	check_text(&output);
	done(&output);
	sink->ops->close(sink);
	fixture_fini(&fixture);
}

/* A socket of ours stands for the appliance; returns it, and where it listens. */
static int listen_at(char address[32])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(address, 32, "127.0.0.1:%u", ntohs(at.sin_port));
	return fd;
}

/* How many lines have come, each with the mark of a first replay and the bytes of a dead letter. */
static uint32_t arrived(int fd)
{
	char text[65536];
	uint32_t lines = 0;
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
		text[n] = '\0';
		for (char *state, *line = strtok_r(text, "\n", &state); line != NULL;
		     line = strtok_r(NULL, "\n", &state)) {
			unsigned int number;

			assert_int_equal(sscanf(line,
			                     "\x1e"
			                     "1\x1e"
			                     "broken %u",
			                     &number),
			    1);
			assert_int_equal(number % 10, 0);
			lines++;
		}
	}
	return lines;
}

#define REPLAY(brokers, reason, from, address, path)                                                   \
	run("replay", "--brokers", brokers, "--topic", "dead", "--stream", "shop", "--reason", reason, \
	    "--from", from, "--appliance", address, "--state", path, "--plain", "--rate", "100000", NULL)

static void replay_from_kafka(void **state)
{
	char directory[] = "/tmp/pst-replay-XXXXXX", path[64], address[32];
	struct fixture fixture;
	struct sink *sink;
	struct output output;
	const char *brokers;
	struct error err;
	int fd = listen_at(address);

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state", directory);
	fixture_init(&fixture, 2);
	fixture.config.kafka.embedded = true;
	assert_int_equal(sink_kafka_create(&fixture.config, 0, &sink, &err), 0);
	brokers = rd_kafka_mock_cluster_bootstraps(sink_kafka_cluster(sink));
	write_dead_letters(&fixture, sink);

	output = REPLAY(brokers, "json_syntax", "2025-06-18T00:00:00Z", address, path);
	assert_int_equal(output.status, 0);
	assert_non_null(strstr(output.text, "matched=0 sent=0"));
	done(&output);
	output = REPLAY(brokers, "json_syntax", "2025-06-17T00:00:00Z", address, path);
	assert_int_equal(output.status, 1); /* that state is of another replay */
	assert_non_null(strstr(output.errors, "of another replay"));
	done(&output);
	assert_int_equal(unlink(path), 0);

	/* One of them holds a line break, which no line can. */
	output = REPLAY(brokers, "json_syntax", "2025-06-17T00:00:00Z", address, path);
	assert_int_equal(output.status, 0);
	assert_non_null(strstr(output.text, "matched=39 sent=38"));
	assert_non_null(strstr(output.text, "too_long=1"));
	assert_non_null(strstr(output.errors, "line break"));
	done(&output);
	assert_int_equal(arrived(fd), 38);
	output = REPLAY(brokers, "json_syntax", "2025-06-17T00:00:00Z", address, path);
	assert_non_null(strstr(output.text, "matched=0 sent=0"));
	done(&output);

	/* Nobody is there. */
	assert_int_equal(unlink(path), 0);
	close(fd);
	output = REPLAY(brokers, "json_syntax", "2025-06-17T00:00:00Z", address, path);
	assert_int_equal(output.status, 1);
	assert_int_not_equal(access(path, F_OK), 0);
	done(&output);
	assert_int_equal(rmdir(directory), 0);
	sink->ops->close(sink);
	fixture_fini(&fixture);
}

static void edits(void **state)
{
	struct replay_line lines[] = {{strdup("a"), 1}, {strdup("b"), 1}};
	struct error err;

	(void)state;
	assert_int_equal(replay_edit("sed s/a/long/", lines, 2, &err), 0);
	assert_int_equal(lines[0].len, 4);
	assert_memory_equal(lines[0].data, "long", 4);
	assert_memory_equal(lines[1].data, "b", 1);
	assert_int_equal(replay_edit("cat; echo", lines, 2, &err), -EBADMSG);
	assert_int_equal(replay_edit("cat; exit 9", lines, 2, &err), -ECHILD);
	assert_int_equal(replay_edit("kill -9 $$", lines, 2, &err), -ECHILD);
	assert_int_equal(replay_edit(":", lines, 2, &err), -EBADMSG);
	assert_memory_equal(lines[0].data, "long", 4);
	assert_int_equal(replay_edit("sed s/.*//", lines, 2, &err), 0);
	assert_int_equal(lines[0].len + lines[1].len, 0);
	free(lines[0].data);
	free(lines[1].data);
}

static void write_file(const char *directory, const char *name, const char *text)
{
	char path[256];
	FILE *out;

	snprintf(path, sizeof(path), "%s/s", directory);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/s/dead_letter", directory);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/s/dead_letter/%s", directory, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void damage_is_named(void **state)
{
	static const char good[] = "{\"reason\":\"json_utf8\",\"value\":\"x\"}\n";
	static const struct {
		const char *name, *text, *says;
	} damaged[] = {
	    {"a.ndjson", "{\"reason\":\"r\",\"value\":\"x\"}\n{\"reason\"",
	        "a.ndjson: damaged behind line 1"},
	    {"a.ndjson", "{}\n", "a.ndjson:1: not a dead letter"},
	    {"a.ndjson", "no JSON\n", "a.ndjson:1: not a dead letter"},
	    {"a.ndjson", "{\"reason\":\"r\",\"value_base64\":\"x\"}\n", "a.ndjson:1: not a dead letter"},
	    {"a.ndjson.zst", "not zstd at all", "a.ndjson.zst: damaged behind line 0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		char directory[64];
		struct output output;

		fixture_directory(directory);
		write_file(directory, damaged[i].name, damaged[i].text);
		output = run("ls", "--from-files", directory, NULL);
		assert_int_equal(output.status, 1);
		if (strstr(output.errors, damaged[i].says) == NULL)
			fail_msg("%s", output.errors);
		done(&output);
		fixture_remove(directory);
	}
	/* The torn end of a file that is being written is no damage. */
	{
		char directory[64], text[256];
		struct output output;

		fixture_directory(directory);
		snprintf(text, sizeof(text), "%s{\"reason", good);
		write_file(directory, ".b.ndjson.open", text);
		output = run("ls", "--from-files", directory, "--json", NULL);
		assert_int_equal(output.status, 0);
		assert_non_null(strstr(output.text, "\"records\":1,"));
		done(&output);
		fixture_remove(directory);
	}
}

static void usage(void **state)
{
	static const char *const wrong[][6] = {
	    {NULL},
	    {"frob"},
	    {"ls"},
	    {"ls", "--brokers", "b:1"},
	    {"ls", "--topic", "t", "--from-files", "d"},
	    {"ls", "--config", "c", "--from-files", "d"},
	    {"ls", "--from-files", "d", "word"},
	    {"show", "--from-files", "d", "--limit", "0"},
	    {"show", "--from-files", "d", "--frob"},
	    {"replay", "--from-files", "d", "--reason", "json_syntax"},
	    {"replay", "--from-files", "d", "--reason=r", "--from=yesterday", "--dry-run"},
	    {"replay", "--from-files=d", "--reason=r", "--from=2025-06-17T00:00:00Z", "--stream=s"},
	    {"replay", "--from-files=d", "--reason=r", "--from=2025-06-17T00:00:00Z", "--dry-run",
	        "--max-replays=16"},
	};
	struct output output;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		output =
		    run(wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3], wrong[i][4], wrong[i][5], NULL);
		assert_int_equal(output.status, 2);
		assert_non_null(strstr(output.errors, "penstock dlq"));
		done(&output);
	}
	output = run("ls", "--help", NULL);
	assert_int_equal(output.status, 0);
	assert_non_null(strstr(output.text, "--from-files"));
	done(&output);
	output = run("ls", "--from-files", "/no/such/directory", NULL);
	assert_int_equal(output.status, 1);
	assert_non_null(strstr(output.errors, "/no/such/directory"));
	done(&output);
	output = run("ls", "--config", "/no/such/file", NULL);
	assert_int_equal(output.status, 1);
	assert_non_null(strstr(output.errors, "/no/such/file"));
	done(&output);
}

static void bytes_are_escaped(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} known[] = {
	    {"plain \"text\"", 12, "plain \"text\""},
	    {"a\tb\r\n\\", 6, "a\\tb\\r\\n\\\\"},
	    {"\x1b[2J\0\x7f", 6, "\\x1b[2J\\x00\\x7f"},
	    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
	    {"\xc2\x9b"
	     "31m",
	        5, "\\xc2\\x9b31m"},
	    {"\xff\xc3", 2, "\\xff\\xc3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char *text;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		dlq_print_bytes(out, known[i].in, known[i].len);
		fclose(out);
		assert_string_equal(text, known[i].out);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(from_compressed_files),
	    cmocka_unit_test(from_plain_files),
	    cmocka_unit_test(from_kafka),
	    cmocka_unit_test(replay_from_kafka),
	    cmocka_unit_test(edits),
	    cmocka_unit_test(damage_is_named),
	    cmocka_unit_test(usage),
	    cmocka_unit_test(bytes_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
