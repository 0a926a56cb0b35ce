/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast the journal writes, how large its groups become, and how fast it is read at a start, set beside plain pwritev and
 * fdatasync of the same bytes in the same directory, taken in turns. Prints one JSON object.
 *
 *     build/perf/journal DIRECTORY [MB]
 *
 * Batches are like those of the chain: events of 245 bytes raw and 620 enriched.
 */
#include "clock.h"
#include "journal_reader.h"
#include "journal_writer.h"
#include "machine.h"
#include "meter.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAW_BYTES 245u
#define ENRICHED_BYTES 620u
#define ROUNDS 3u

static struct config_stream stream = {.name = "bench"};
static const struct config config = {.streams = &stream, .n_streams = 1};

static void fail(const char *what)
{
	(void)fprintf(stderr, "journal: %s\n", what);
	exit(1);
}

static struct batch *make_batch(uint32_t n_events)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	uint64_t noise = 1;

	if (batch == NULL || (batch->bytes = malloc(BATCH_BYTES)) == NULL)
		fail("no memory");
	for (uint32_t i = 0; i < BATCH_BYTES; i++)
		batch->bytes[i] = (char)((noise = noise * 6364136223846793005u + 1442695040888963407u) >> 56);
	for (uint32_t i = 0; i < n_events; i++) {
		uint32_t at = i * (RAW_BYTES + ENRICHED_BYTES);

		batch->events[i] =
		    (struct batch_event){.raw = at, .raw_len = RAW_BYTES, .id = at, .id_len = 36};
		batch->records[2 * i] = (struct record){
		    .value = at, .value_len = RAW_BYTES, .key = at, .key_len = 36, .event = (uint16_t)i};
		batch->records[2 * i + 1] = (struct record){.value = at + RAW_BYTES,
		    .value_len = ENRICHED_BYTES,
		    .key = at,
		    .key_len = 36,
		    .event = (uint16_t)i,
		    .kind = RECORD_ENRICHED};
	}
	batch->n_events = n_events;
	batch->n_records = 2 * n_events;
	batch->used = n_events * (RAW_BYTES + ENRICHED_BYTES);
	return batch;
}

static void open_journal(const char *directory, uint64_t max_bytes, struct journal **out)
{
	struct journal_options options = {
	    .config = &config,
	    .directory = directory,
	    .segment_bytes = 128u << 20,
	    .max_bytes = max_bytes,
	    .clock = &system_clock,
	};
	struct error err;

	if (journal_io_directory(directory, &options.io, &err) != 0 || journal_open(&options, out, &err) != 0)
		fail(err.text);
}

static void empty(struct journal *journal)
{
	const struct journal_io *io = &journal->options.io;
	char name[JOURNAL_NAME_BYTES];

	for (size_t i = 0; i < journal->n_segments; i++) {
		journal_segment_name(journal->segments[i].number, name);
		(void)io->unlink(io->context, name);
	}
	(void)io->unlink(io->context, JOURNAL_CHECKPOINT_NAME);
}

struct result {
	double journal_s, plain_s, recovery_s, read_s;
	uint64_t bytes, groups, events;
};

/* The same number of bytes and of syncs, from one buffer into preallocated files of the same size. */
static double plain(const char *directory, uint64_t bytes, uint64_t groups)
{
	uint64_t group = (bytes / groups + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK, at = 0,
	         started;
	char *buffer = malloc(group), path[4096];
	int fd = -1;

	if (buffer == NULL)
		fail("no memory");
	memset(buffer, 0x5a, group);
	(void)snprintf(path, sizeof(path), "%s/plain", directory);
	started = meter_now_ns();
	for (uint64_t g = 0; g < groups; g++, at += group) {
		struct iovec iov = {buffer, group};

		if (fd < 0 || at + group > 128u << 20) {
			if (fd >= 0)
				(void)close(fd);
			(void)unlink(path);
			fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
			if (fd < 0 || fallocate(fd, 0, 0, 128 << 20) != 0)
				fail(strerror(errno));
			at = 0;
		}
		if (pwritev(fd, &iov, 1, (off_t)at) != (ssize_t)group || fdatasync(fd) != 0)
			fail(strerror(errno));
	}
	started = meter_now_ns() - started;
	(void)close(fd);
	(void)unlink(path);
	free(buffer);
	return (double)started / 1e9;
}

static void count(void *context, const struct journal_record *record, const struct journal_event *event)
{
	(void)record, (void)event;
	++*(uint64_t *)context;
}

/* Groups of `per_group` batches of `n_events` until `bytes` are written. */
static void measure(
    const char *directory, uint32_t per_group, uint32_t n_events, uint64_t bytes, struct result *r)
{
	struct batch *batch = make_batch(n_events), *group[JOURNAL_GROUP];
	struct journal_writer *writer;
	struct journal *journal;
	struct error err;
	uint64_t started, events = 0;

	for (uint32_t i = 0; i < per_group; i++)
		group[i] = batch;
	open_journal(directory, 2 * bytes + (1u << 30), &journal);
	if (journal_writer_create(journal, &writer) != 0)
		fail("no memory");
	started = meter_now_ns();
	while (journal->counts.bytes < bytes) {
		for (uint32_t done = 0; done < per_group;) {
			int n = journal_append(writer, group, per_group - done, &err);

			if (n < 0)
				fail(err.text);
			done += (uint32_t)n;
		}
	}
	r->journal_s += (double)(meter_now_ns() - started) / 1e9;
	r->bytes += journal->counts.bytes;
	r->groups += journal->counts.groups;
	r->events += journal->counts.events;
	r->plain_s += plain(directory, journal->counts.bytes, journal->counts.groups);
	journal_writer_destroy(writer);
	journal_close(journal);

	started = meter_now_ns();
	open_journal(directory, 2 * bytes + (1u << 30), &journal);
	r->recovery_s += (double)(meter_now_ns() - started) / 1e9;
	started = meter_now_ns();
	if (journal_each_event(journal, journal->start, count, &events, &err) != 0)
		fail(err.text);
	r->read_s += (double)(meter_now_ns() - started) / 1e9;
	empty(journal);
	journal_close(journal);
	free(batch->bytes);
	free(batch);
}

int main(int argc, char **argv)
{
	static const struct {
		uint32_t per_group, n_events;
	} shapes[] = {{1, 10}, {1, 200}, {1, BATCH_EVENTS}, {16, 200}, {16, BATCH_EVENTS}};
	uint64_t bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1024) << 20;
	json_t *rows = json_array(), *out;
	struct machine machine;

	if (argc < 2 || bytes == 0) {
		(void)fprintf(stderr, "usage: journal DIRECTORY [MB]\n");
		return 2;
	}
	machine_read(&machine);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		/* Small groups are limited by the sync: fewer bytes say as much. */
		uint64_t some = bytes / (shapes[i].per_group * shapes[i].n_events < 1000 ? 16 : 1);
		struct result r = {0};

		for (uint32_t round = 0; round < ROUNDS; round++)
			measure(argv[1], shapes[i].per_group,
			    shapes[i].n_events < 2000 ? shapes[i].n_events : 2000, some, &r);
		json_array_append_new(
		    rows, json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "batches_per_group",
		              (int)shapes[i].per_group, "events_per_batch", (int)shapes[i].n_events,
		              "mb_per_group", (double)r.bytes / (double)r.groups / 1e6, "mb_per_s",
		              (double)r.bytes / r.journal_s / 1e6, "events_per_s",
		              (double)r.events / r.journal_s, "plain_mb_per_s",
		              (double)r.bytes / r.plain_s / 1e6, "ratio", r.plain_s / r.journal_s, "open_s",
		              r.recovery_s / ROUNDS, "read_s_per_gb", r.read_s / ((double)r.bytes / 1e9)));
	}
	out = json_pack("{s:s, s:i, s:f, s:o}", "cpu", machine.cpu, "cpus", (int)machine.n_cpus, "load",
	    machine.load, "journal", rows);
	(void)json_dumpf(out, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(4));
	(void)putchar('\n');
	json_decref(out);
	return 0;
}
