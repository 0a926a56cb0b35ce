/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"
#include "lake_reader.h"
#include "sink_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX_EVENTS 100000u

struct tally {
	uint8_t raw[MAX_EVENTS], enriched[MAX_EVENTS], dead[MAX_EVENTS];
	uint32_t padding;
	const char *day; /* part of every path */
};

static struct sink *start(struct fixture *fixture, const char *directory)
{
	struct sink *sink;
	struct error err;

	fixture->config.files.enabled = true;
	fixture->config.files.directory = (char *)(uintptr_t)directory;
	if (fixture->config.files.rotate_mb == 0)
		fixture->config.files.rotate_mb = 256;
	fixture->config.files.rotate_ms = 3600000;
	if (sink_file_create(&fixture->config, 0, &sink, &err) != 0)
		fail_msg("%s", err.text);
	return sink;
}

static json_int_t described(struct sink *sink, const char *name)
{
	json_t *object = json_object();
	json_int_t value;

	sink->ops->describe(sink, object);
	value = json_integer_value(json_object_get(object, name));
	json_decref(object);
	return value;
}

static void tally_line(void *context, const char *path, const char *line, size_t len)
{
	struct tally *tally = context;
	unsigned int n;

	if (tally->day != NULL)
		assert_non_null(strstr(path, tally->day));
	if (strstr(path, "/dead_letter/") != NULL) {
		json_t *object = json_loadb(line, len, 0, NULL);

		assert_non_null(object);
		assert_string_equal(json_string_value(json_object_get(object, "reason")), "json_syntax");
		assert_string_equal(json_string_value(json_object_get(object, "message")), "expected {");
		assert_int_equal(
		    sscanf(json_string_value(json_object_get(object, "value")), "broken %u", &n), 1);
		json_decref(object);
		assert_true(n < MAX_EVENTS);
		tally->dead[n]++;
		return;
	}
	assert_int_equal(sscanf(line, "{\"n\":%u", &n), 1);
	assert_true(n < MAX_EVENTS && line[len - 1] == '}');
	if (strstr(path, "/raw/") != NULL) {
		tally->raw[n]++;
	} else {
		assert_non_null(strstr(path, "/enriched/"));
		assert_true(len > 25 + tally->padding && len < 40 + tally->padding);
		tally->enriched[n]++;
	}
}

/* Events 0..n-1 are there at least once, and at most `high` times; none beyond is, unless `more`. */
static void check_tally(
    const struct fixture *fixture, const struct tally *tally, uint32_t n, uint8_t high, bool more)
{
	for (uint32_t i = 0; i < MAX_EVENTS; i++) {
		bool dead = fixture->dead_every > 0 && i % fixture->dead_every == 0;
		uint8_t low = i < n, top = i < n || more ? high : 0;

		if (dead) {
			assert_in_range(tally->dead[i], low, top);
			assert_int_equal(tally->raw[i] + tally->enriched[i], 0);
		} else {
			assert_in_range(tally->raw[i], low, top);
			assert_in_range(tally->enriched[i], low, top);
			assert_int_equal(tally->dead[i], 0);
		}
	}
}

static unsigned int read_lake(
    struct fixture *fixture, const char *directory, uint32_t n, uint8_t high, const char *day)
{
	struct tally *tally = calloc(1, sizeof(*tally));
	unsigned int files;

	tally->padding = fixture->padding;
	tally->day = day;
	files = lake_reader_all(directory, "", false, tally_line, tally);
	check_tally(fixture, tally, n, high, false);
	free(tally);
	return files;
}

static void write_and_read(enum file_compression compression)
{
	struct fixture fixture = {0};
	char directory[64];
	struct sink *sink;

	fixture_directory(directory);
	fixture_init(&fixture, 8);
	fixture.dead_every = 100;
	fixture.padding = 200;
	fixture.config.files.compression = compression;
	sink = start(&fixture, directory);
	fixture_submit_events(&fixture, sink, 30000, 1000);
	fixture_drain(&fixture, sink);
	assert_int_equal(sink->ledger.stream[0].durable, 29700);
	assert_int_equal(sink->ledger.stream[0].dead_lettered, 300);
	assert_int_equal(sink->ledger.stream[0].records, 59700);
	assert_int_equal(described(sink, "files_open"), 3);
	assert_true(described(sink, "bytes_written") > 0);
	sink->ops->close(sink);
	assert_int_equal(read_lake(&fixture, directory, 30000, 1, "/2025-06-17/"), 3);
	fixture_fini(&fixture);
	fixture_remove(directory);
}

static void contents_are_equal_zstd(void **state)
{
	(void)state;
	write_and_read(FILE_COMPRESSION_ZSTD);
}

static void contents_are_equal_plain(void **state)
{
	(void)state;
	write_and_read(FILE_COMPRESSION_NONE);
}

static void nothing_is_confirmed_before_it_is_written(void **state)
{
	struct fixture fixture = {0};
	struct tally *tally = calloc(1, sizeof(*tally));
	char directory[64];
	struct sink *sink;

	(void)state;
	fixture_directory(directory);
	fixture_init(&fixture, 4);
	sink = start(&fixture, directory);
	fixture_submit_events(&fixture, sink, 100, 100);
	assert_int_equal(sink->ledger.stream[0].durable, 0);
	assert_int_equal(lake_reader_all(directory, "", true, tally_line, tally), 2);
	check_tally(&fixture, tally, 0, 0, false);
	assert_int_equal(sink->ops->flush(sink, clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS), 0);
	assert_int_equal(sink->ledger.stream[0].durable, 100);
	lake_reader_all(directory, "", true, tally_line, tally);
	check_tally(&fixture, tally, 100, 1, false);
	/* Given up before a commit: shed, and no trace of a half-written batch as confirmed. */
	fixture_submit_events(&fixture, sink, 50, 50);
	sink->published = published_create(sizeof(struct sink_ledger));
	{
		struct published *published = sink->published;
		struct sink_ledger ledger;

		sink->ops->close(sink);
		published_read(published, &ledger, sizeof(ledger));
		assert_int_equal(ledger.stream[0].durable, 100);
		assert_int_equal(ledger.stream[0].shed, 50);
		published_destroy(published);
	}
	read_lake(&fixture, directory, 100, 1, NULL);
	fixture_fini(&fixture);
	fixture_remove(directory);
	free(tally);
}

/* Writes until it is killed, telling how many events are confirmed. */
static void write_for_ever(const char *directory, _Atomic uint32_t *confirmed)
{
	struct fixture fixture = {0};
	struct sink *sink;

	fixture_init(&fixture, 8);
	fixture.dead_every = 100;
	fixture.padding = 100;
	sink = start(&fixture, directory);
	while (fixture.next < MAX_EVENTS) {
		fixture_submit_events(&fixture, sink, 250, 250);
		sink->ops->poll(sink, 0);
		atomic_store(confirmed,
		    (uint32_t)(sink->ledger.stream[0].durable + sink->ledger.stream[0].dead_lettered));
	}
	pause();
}

static void append_garbage(void *context, const char *path, const char *line, size_t len)
{
	(void)line, (void)len;
	strcpy(context, path);
}

static void a_killed_writer_leaves_readable_files(void **state)
{
	_Atomic uint32_t *confirmed =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t deadline = clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS;
	struct tally *tally = calloc(1, sizeof(*tally));
	struct fixture fixture = {0};
	char directory[64], path[512] = "";
	uint32_t sure;
	struct sink *sink;
	pid_t pid;
	int fd;

	(void)state;
	fixture_directory(directory);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		write_for_ever(directory, confirmed);
		_exit(0);
	}
	while (atomic_load(confirmed) < 5000) {
		assert_true(clock_mono_ns(&system_clock) < deadline);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		usleep(1000);
	}
	/* A second run at the same place leaves the files of the first alone. */
	fixture_init(&fixture, 2);
	sink = start(&fixture, directory);
	assert_int_equal(described(sink, "files_recovered"), 0);
	sink->ops->close(sink);

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sure = atomic_load(confirmed);
	fixture.dead_every = 100;
	tally->padding = 100;
	assert_int_equal(lake_reader_all(directory, "", true, tally_line, tally), 3);
	check_tally(&fixture, tally, sure, 1, true);

	/* What a crash of the machine may do: bytes behind the end that were never written there. */
	lake_reader_all(directory, "/raw/", true, append_garbage, path);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "\x28\xb5\x2f\xfd garbage", 12), 12);
	close(fd);
	sink = start(&fixture, directory);
	assert_int_equal(described(sink, "files_recovered"), 3);
	sink->ops->close(sink);
	memset(tally, 0, offsetof(struct tally, padding));
	assert_int_equal(lake_reader_all(directory, "", true, tally_line, tally), 0);
	assert_int_equal(lake_reader_all(directory, "", false, tally_line, tally), 3);
	check_tally(&fixture, tally, sure, 1, true);
	fixture_fini(&fixture);
	fixture_remove(directory);
	free(tally);
	munmap(confirmed, 4096);
}

static void files_rotate_by_size(void **state)
{
	struct fixture fixture = {0};
	char directory[64];
	struct sink *sink;
	json_int_t finished;

	(void)state;
	fixture_directory(directory);
	fixture_init(&fixture, 8);
	fixture.padding = 400;
	fixture.config.files.rotate_mb = 1;
	fixture.config.files.compression = FILE_COMPRESSION_NONE;
	sink = start(&fixture, directory);
	for (int i = 0; i < 10; i++) {
		fixture_submit_events(&fixture, sink, 2000, 1000);
		assert_int_equal(sink->ops->flush(sink, clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS), 0);
	}
	/* 10 times 0.85 MB of enriched lines: every second commit fills a file, or an earlier one on a slow
	 * machine. */
	finished = described(sink, "files_finished");
	assert_in_range(finished, 5, 8);
	sink->ops->close(sink);
	assert_in_range(read_lake(&fixture, directory, 20000, 1, NULL), finished + 1, finished + 2);
	fixture_fini(&fixture);
	fixture_remove(directory);
}

static void open_files_are_bounded(void **state)
{
	struct fixture fixture = {0};
	char directory[64];
	struct sink *sink;

	(void)state;
	fixture_directory(directory);
	fixture_init(&fixture, 4);
	fixture.stream.lake_partition = (char *)"category";
	sink = start(&fixture, directory);
	for (int round = 0; round < 2; round++) {
		struct batch *batch = fixture_batch(&fixture, 80);

		for (uint32_t i = 0; i < batch->n_events; i++) {
			const struct record *record = &batch->records[2 * i];

			batch->events[i].partition = i % 10 == 0 ? 0 : record->key;
			batch->events[i].partition_len = i % 10 == 0 ? 0 : record->key_len;
		}
		fixture_submit(sink, batch);
		assert_int_equal(sink->ops->flush(sink, clock_mono_ns(&system_clock) + FIXTURE_WAIT_NS), 0);
		assert_true(described(sink, "files_open") <= 64);
	}
	assert_int_equal(sink->ledger.stream[0].durable, 160);
	sink->ops->close(sink);
	assert_true(read_lake(&fixture, directory, 160, 1, "/2025-06-17/category=") >= 2 * (144 + 1));
	assert_true(lake_reader_all(directory, "/category=__HIVE_DEFAULT_PARTITION__/", false, tally_line,
	                &(struct tally){0}) > 0);
	fixture_fini(&fixture);
	fixture_remove(directory);
}

/* Runs in a child that has a mount namespace of its own. Returns what the child exits with. */
static int fill_a_disk(const char *directory)
{
	struct fixture fixture = {0};
	struct sink *sink;
	uint64_t before;
	uint32_t at_limit;

	fixture_init(&fixture, 8);
	fixture.dead_every = 100;
	fixture.padding = 1000;
	fixture.config.files.compression = FILE_COMPRESSION_NONE;
	if (mount("tmpfs", directory, "tmpfs", 0, "size=4m") != 0)
		return 77;
	sink = start(&fixture, directory);
	/* 4 MB hold about 3,800 events of 1 KB. */
	while (fixture.next < 20000) {
		json_t *object = json_object();
		struct batch *batch;
		bool failing;

		sink->ops->describe(sink, object);
		failing = strcmp(json_string_value(json_object_get(object, "state")), "failing") == 0;
		json_decref(object);
		if (failing)
			break;
		batch = fixture_batch(&fixture, 250);
		if (batch != NULL)
			fixture_submit(sink, batch);
		sink->ops->poll(sink, 1);
	}
	at_limit = fixture.next;
	if (at_limit >= 20000)
		return 1;
	before = sink->ledger.stream[0].durable;
	for (int i = 0; i < 300; i++)
		sink->ops->poll(sink, 1);
	if (sink->ledger.stream[0].durable != before || before >= at_limit)
		return 2;
	/* Every file ends with whole lines although the disk is full. */
	{
		struct tally *tally = calloc(1, sizeof(*tally));

		tally->padding = 1000;
		lake_reader_all(directory, "", true, tally_line, tally);
		for (uint32_t i = 0; i < before; i++) {
			if (i % 100 != 0 && (tally->raw[i] != 1 || tally->enriched[i] != 1))
				return 3;
		}
		free(tally);
	}
	if (mount("tmpfs", directory, "tmpfs", MS_REMOUNT, "size=64m") != 0)
		return 77;
	fixture_drain(&fixture, sink);
	fixture_submit_events(&fixture, sink, 1000, 250);
	fixture_drain(&fixture, sink);
	if (sink->ledger.stream[0].durable + sink->ledger.stream[0].dead_lettered != fixture.next)
		return 4;
	sink->ops->close(sink);
	read_lake(&fixture, directory, fixture.next, 1, NULL);
	fixture_fini(&fixture);
	return 0;
}

static void a_full_disk_is_back_pressure(void **state)
{
	char directory[64];
	int status;
	pid_t pid;

	(void)state;
	fixture_directory(directory);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			_exit(77);
		_exit(fill_a_disk(directory));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	fixture_remove(directory);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: no mount namespace of its own\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_bad_directory_is_refused(void **state)
{
	struct fixture fixture = {0};
	char directory[64], path[80];
	struct sink *sink;
	struct error err;
	int fd;

	(void)state;
	fixture_directory(directory);
	fixture_init(&fixture, 1);
	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	fixture.config.files.directory = path;
	assert_int_equal(sink_file_create(&fixture.config, 0, &sink, &err), -ENOTDIR);
	assert_null(sink);
	assert_non_null(strstr(err.text, path));
	fixture_fini(&fixture);
	fixture_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(contents_are_equal_zstd),
	    cmocka_unit_test(contents_are_equal_plain),
	    cmocka_unit_test(nothing_is_confirmed_before_it_is_written),
	    cmocka_unit_test(a_killed_writer_leaves_readable_files),
	    cmocka_unit_test(files_rotate_by_size),
	    cmocka_unit_test(open_files_are_bounded),
	    cmocka_unit_test(a_full_disk_is_back_pressure),
	    cmocka_unit_test(a_bad_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
