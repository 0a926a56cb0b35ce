/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory of the journal as an attacker, or a bad disk, would have it: opened, read to its end, written to, and opened
 * again. The first byte says what the rest is:
 *
 *   0  records, behind a good header
 *   1  the same, after the checksums of whatever begins like a record are made right again
 *   2  a whole segment
 *   3  a checkpoint, beside a good segment
 *
 * Whatever comes in, it is refused with a reason, or every record that comes out has all its offsets inside it, in the
 * order of the sequence, and ends.
 */
#include "../unit/journal_disk.h"
#include "clock.h"
#include "journal_reader.h"
#include "journal_writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "0000000000000001.segment"
#define RECORD_MAGIC "PNRC"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool fuzz_report(uint64_t inputs);

static struct config_stream streams[] = {{.name = "clicks"}, {.name = "orders"}};
static const struct config config = {.streams = streams, .n_streams = 2};
static struct {
	uint64_t refused, read, records, lost;
} counts;

/* The buffers of a reader, and a batch to write. */
static struct {
	struct record records[BATCH_RECORDS];
	struct journal_event events[BATCH_EVENTS];
	char bytes[BATCH_BYTES];
	struct batch batch;
} space;

static void write_file(struct disk *disk, const char *name, uint64_t offset, const void *bytes, size_t size)
{
	const struct journal_io io = disk_io(disk);
	int fd = io.open(disk, name, disk_find(disk, name) == NULL, true);
	struct iovec iov = {(void *)(uintptr_t)bytes, size};

	assert(fd >= 0 && journal_write_all(&io, fd, &iov, 1, offset) == 0);
}

static uint64_t good_header(struct disk *disk)
{
	static struct journal_segment_header header[2];

	memset(header, 0, sizeof(header));
	memcpy(header[0].id, "a fuzzer's id...", JOURNAL_ID_BYTES);
	header[0].number = 1;
	header[0].bytes = JOURNAL_SEGMENT_MIN;
	assert(journal_segment_seal(&header[0], &config) == 0);
	header[1] = header[0];
	write_file(disk, NAME, 0, header, sizeof(header));
	return journal_seed(header[0].id);
}

/* Makes the checksums of what begins like a record right. */
static void repair(char *bytes, size_t size, uint64_t seed)
{
	for (size_t at = 0; at + sizeof(struct journal_record) <= size; at += JOURNAL_ALIGN) {
		struct journal_record record;
		size_t records, events;

		memcpy(&record, bytes + at, sizeof(record));
		if (memcmp(&record.magic, RECORD_MAGIC, 4) != 0)
			continue;
		records = record.n_records * sizeof(struct record);
		events = record.n_events * sizeof(struct journal_event);
		if (record.n_events > BATCH_EVENTS || record.n_records > BATCH_RECORDS ||
		    record.used > BATCH_BYTES || at + sizeof(record) + records + events + record.used > size)
			continue;
		record.length = (uint32_t)(records + events) + record.used;
		memcpy(space.records, bytes + at + sizeof(record), records);
		memcpy(space.events, bytes + at + sizeof(record) + records, events);
		record.payload_checksum = journal_payload_sum(&record, space.records, space.events,
		    bytes + at + sizeof(record) + records + events, seed);
		journal_record_seal(&record, seed);
		memcpy(bytes + at, &record, sizeof(record));
	}
}

static int open_journal(struct disk *disk, struct journal **out)
{
	struct journal_options options = {
	    .config = &config,
	    .io = disk_io(disk),
	    .directory = "disk",
	    .segment_bytes = JOURNAL_SEGMENT_MIN,
	    .max_bytes = 64 * JOURNAL_SEGMENT_MIN,
	    .clock = &system_clock,
	};
	struct error err = {{0}};
	int rc = journal_open(&options, out, &err);

	assert(rc == 0 || (rc < 0 && strncmp(err.text, "disk: ", 6) == 0));
	return rc;
}

/* Reads all of it; touches every byte that a record points to. Returns how many records came. */
static uint64_t read_all(struct journal *journal)
{
	struct journal_position at = journal->start;
	struct journal_reader *reader;
	struct journal_record record;
	struct error err = {{0}};
	uint64_t n = 0, last = 0;
	volatile char sum = 0;
	int rc;

	assert(journal_reader_create(journal, &reader) == 0);
	while ((rc = journal_next(reader, &at, &record, &err)) == 1) {
		assert(record.stream < config.n_streams && (n == 0 || record.sequence > last));
		last = record.sequence;
		rc = journal_payload(reader, &at, &record, space.records, space.events, space.bytes, &err);
		assert(rc == 0 || rc == -EBADMSG);
		for (uint32_t i = 0; rc == 0 && i < record.n_records; i++) {
			const struct record *r = &space.records[i];

			assert(r->event < record.n_events && r->kind < RECORD_KINDS);
			for (uint32_t b = 0; b < r->value_len; b += 64)
				sum = (char)(sum + space.bytes[r->value + b]);
		}
		for (uint32_t i = 0; rc == 0 && i < record.n_events; i++)
			assert(space.events[i].reason < REASON_COUNT &&
			       space.events[i].raw + space.events[i].raw_len <= record.used);
		n += rc == 0;
		journal_skip(&at, &record);
	}
	/* A checkpoint can name a place that no segment has. */
	assert(rc == 0 || (rc == -ENOENT && err.text[0] != '\0'));
	journal_reader_destroy(reader);
	return n;
}

static void use(struct disk *disk, bool write)
{
	struct batch *batch = &space.batch;
	struct journal_writer *writer;
	struct journal *journal;
	struct error err;
	uint64_t n;

	if (open_journal(disk, &journal) != 0) {
		counts.refused++;
		return;
	}
	n = read_all(journal);
	counts.read++;
	counts.records += n;
	counts.lost += journal->lost_records;
	if (!write) {
		journal_close(journal);
		return;
	}
	batch->bytes = space.bytes;
	batch->n_events = 1;
	batch->used = 10;
	batch->events[0] = (struct batch_event){.raw_len = 10};
	assert(journal_writer_create(journal, &writer) == 0);
	assert(journal_append(writer, &batch, 1, &err) == 1);
	journal_writer_destroy(writer);
	journal_close(journal);
	disk_kill(disk);
	/* A journal that was opened and written to is opened again, and what came before still comes. */
	assert(open_journal(disk, &journal) == 0);
	assert(read_all(journal) >= n);
	journal_close(journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct disk disk;
	uint64_t seed;
	char *copy;

	disk_init(&disk);
	if (size == 0) {
		counts.refused++;
		return 0;
	}
	switch (data[0] % 4) {
	case 0:
		(void)good_header(&disk);
		write_file(&disk, NAME, JOURNAL_HEADER_BYTES, data + 1, size - 1);
		break;
	case 1:
		seed = good_header(&disk);
		copy = malloc(size);
		assert(copy != NULL);
		memcpy(copy, data + 1, size - 1);
		repair(copy, size - 1, seed);
		write_file(&disk, NAME, JOURNAL_HEADER_BYTES, copy, size - 1);
		free(copy);
		break;
	case 2:
		write_file(&disk, NAME, 0, data + 1, size - 1);
		break;
	default:
		(void)good_header(&disk);
		write_file(&disk, JOURNAL_CHECKPOINT_NAME, 0, data + 1, size - 1);
		break;
	}
	/* Writing costs a whole segment of memory: not every time. */
	use(&disk, (data[size / 2] + size) % 64 == 0);
	disk_fini(&disk);
	return 0;
}

bool fuzz_report(uint64_t inputs)
{
	printf("%" PRIu64 " refused, %" PRIu64 " read: %" PRIu64 " records, %" PRIu64 " lost\n",
	    counts.refused, counts.read, counts.records, counts.lost);
	return counts.refused + counts.read == inputs;
}
