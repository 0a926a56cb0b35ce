/* SPDX-License-Identifier: BSD-3-Clause */
/* The journal on a disk that does everything a disk may do: what was acknowledged is there, once and in order. */
#include "clock.h"
#include "journal.h"
#include "journal_disk.h"
#include "journal_reader.h"
#include "journal_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define STREAMS 2u

static struct config_stream streams[STREAMS] = {{.name = "clicks"}, {.name = "orders"}};
static const struct config config = {.streams = streams, .n_streams = STREAMS};

struct fixture {
	struct disk disk;
	struct journal *journal;
	struct journal_writer *writer;
	struct error err;
	struct batch *batch;
	uint64_t acknowledged; /* records */
	struct manual_clock clock;
};

static int open_journal(struct fixture *f)
{
	struct journal_options options = {
	    .config = &config,
	    .io = disk_io(&f->disk),
	    .directory = "disk",
	    .segment_bytes = JOURNAL_SEGMENT_MIN,
	    .max_bytes = 4 * JOURNAL_SEGMENT_MIN,
	    .clock = &f->clock.clock,
	};
	int rc = journal_open(&options, &f->journal, &f->err);

	if (rc == 0)
		assert_int_equal(journal_writer_create(f->journal, &f->writer), 0);
	return rc;
}

static void close_journal(struct fixture *f)
{
	journal_writer_destroy(f->writer);
	journal_close(f->journal);
	f->writer = NULL;
	f->journal = NULL;
}

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	disk_init(&f->disk);
	manual_clock_init(&f->clock, 1000);
	f->batch = calloc(1, sizeof(*f->batch));
	assert_non_null(f->batch);
	f->batch->bytes = calloc(1, BATCH_BYTES);
	assert_non_null(f->batch->bytes);
}

static void teardown(struct fixture *f)
{
	close_journal(f);
	disk_fini(&f->disk);
	free(f->batch->bytes);
	free(f->batch);
}

/* Record number `sequence` is always the same: two events, of `size` bytes together. */
static struct batch *fill(struct fixture *f, uint64_t sequence, uint32_t size)
{
	struct batch *batch = f->batch;

	batch->stream = (uint16_t)(sequence % STREAMS);
	batch->arrival_ms = (int64_t)sequence;
	batch->n_events = 2;
	batch->n_records = 3;
	batch->used = size;
	for (uint32_t i = 0; i < size; i++)
		batch->bytes[i] = (char)(sequence * 31 + i);
	for (uint32_t i = 0; i < 2; i++)
		batch->events[i] =
		    (struct batch_event){.raw = i, .raw_len = size / 2, .time_ms = (int64_t)sequence};
	batch->events[1].dead_letter = 1;
	batch->events[1].reason = REASON_JSON_UTF8;
	for (uint32_t i = 0; i < 3; i++)
		batch->records[i] =
		    (struct record){.value = i, .value_len = size / 2, .event = i == 2, .kind = (uint8_t)i};
	return batch;
}

static int append(struct fixture *f, uint32_t size)
{
	struct batch *batch = fill(f, f->acknowledged, size);
	int rc = journal_append(f->writer, &batch, 1, &f->err);

	if (rc > 0)
		f->acknowledged += (uint64_t)rc;
	return rc;
}

struct seen {
	uint64_t records, events, first, last;
	bool gaps;
};

/* Reads everything and compares it with what fill() makes. */
static struct seen read_all(struct fixture *f, struct journal_position from)
{
	struct record *records = malloc(BATCH_RECORDS * sizeof(*records));
	struct journal_event *events = malloc(BATCH_EVENTS * sizeof(*events));
	char *bytes = malloc(BATCH_BYTES);
	struct journal_reader *reader;
	struct journal_record record;
	struct seen seen = {0};
	int rc;

	assert_int_equal(journal_reader_create(f->journal, &reader), 0);
	while ((rc = journal_next(reader, &from, &record, &f->err)) == 1) {
		int payload = journal_payload(reader, &from, &record, records, events, bytes, &f->err);

		if (payload == 0) {
			const struct batch *wanted = fill(f, record.sequence, record.used);

			assert_int_equal(record.stream, wanted->stream);
			assert_int_equal(record.n_records, 3);
			assert_memory_equal(bytes, wanted->bytes, record.used);
			assert_memory_equal(records, wanted->records, 3 * sizeof(*records));
			assert_int_equal(events[1].reason, REASON_JSON_UTF8);
			assert_int_equal(events[1].dead_letter, 1);
			assert_int_equal(events[0].time_ms, (int64_t)record.sequence);
			if (seen.records == 0)
				seen.first = record.sequence;
			else if (record.sequence != seen.last + 1)
				seen.gaps = true;
			seen.last = record.sequence;
			seen.records++;
			seen.events += record.n_events;
		} else {
			assert_int_equal(payload, -EBADMSG);
		}
		journal_skip(&from, &record);
	}
	assert_int_equal(rc, 0);
	journal_reader_destroy(reader);
	free(records);
	free(events);
	free(bytes);
	return seen;
}

static void what_is_written_is_read(void **state)
{
	struct fixture f;
	struct seen seen;

	(void)state;
	setup(&f);
	assert_int_equal(open_journal(&f), 0);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(append(&f, i % 7 == 0 ? 1500000 : 100 + i), 1);
	assert_true(f.journal->n_segments >= 3);
	seen = read_all(&f, f.journal->start);
	assert_int_equal(seen.records, 40);
	close_journal(&f);

	/* Again after a clean end, and the numbers go on. */
	assert_int_equal(open_journal(&f), 0);
	assert_int_equal(append(&f, 5), 1);
	seen = read_all(&f, f.journal->start);
	assert_int_equal(seen.records, 41);
	assert_int_equal(seen.last, 40);
	assert_int_equal(f.journal->n_damage, 0);
	teardown(&f);
}

/* Several batches in one group, cut up by the disk; the group ends at the end of a segment. */
static void groups_and_short_writes(void **state)
{
	struct batch *batches[20];
	struct fixture f;
	uint32_t done = 0;

	(void)state;
	setup(&f);
	f.disk.chunk = 777;
	assert_int_equal(open_journal(&f), 0);
	for (uint32_t i = 0; i < 20; i++) {
		fill(&f, i, i % 5 == 4 ? 1700000 : 3000);
		batches[i] = f.batch;
		f.batch = calloc(1, sizeof(*f.batch));
		f.batch->bytes = calloc(1, BATCH_BYTES);
	}
	while (done < 20) {
		int n = journal_append(f.writer, batches + done, 20 - done, &f.err);

		assert_true(n > 0);
		done += (uint32_t)n;
	}
	assert_true(f.journal->counts.groups < 20);
	assert_int_equal(read_all(&f, f.journal->start).records, 20);
	for (uint32_t i = 0; i < 20; i++) {
		free(batches[i]->bytes);
		free(batches[i]);
	}
	teardown(&f);
}

/* What a daemon does: groups of various sizes, over several segments, a checkpoint, freed segments. Ends when the
 * disk dies. */
static void live(struct fixture *f)
{
	static const uint32_t sizes[] = {100, 9000, 2000000, 50, 70000, 1900000, 3, 20000, 400};

	if (open_journal(f) != 0)
		return;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (append(f, sizes[i]) != 1 && append(f, sizes[i]) != 1)
			return;
		if (i == 3) {
			f->journal->checkpoint->synced = journal_end(f->journal);
			if (journal_checkpoint_write(&f->journal->options.io, f->journal->checkpoint_fd,
			        f->journal->checkpoint, &f->err) != 0)
				return;
		}
	}
}

static void check_survivors(struct fixture *f)
{
	struct seen seen;
	uint64_t more = f->acknowledged;

	close_journal(f);
	if (open_journal(f) != 0) {
		print_error("%s\n", f->err.text);
		fail();
	}
	seen = read_all(f, f->journal->start);
	assert_false(seen.gaps);
	assert_int_equal(f->journal->n_damage, 0);
	assert_true(seen.records >= f->acknowledged); /* a record more may be there: it was being written */
	assert_true(seen.records <= f->acknowledged + 1);
	assert_true(seen.records == 0 || seen.first == 0);

	/* It goes on from there, and a second crash right afterwards changes nothing. */
	f->acknowledged = seen.records;
	assert_int_equal(append(f, 1234), 1);
	assert_int_equal(read_all(f, f->journal->start).records, seen.records + 1);
	(void)more;
}

static void every_crash_keeps_what_was_acknowledged(void **state)
{
	uint64_t ops, cuts = 0;
	struct fixture f;

	(void)state;
	setup(&f);
	live(&f);
	assert_int_equal(f.acknowledged, 9);
	ops = f.disk.ops;
	teardown(&f);
	for (uint64_t at = 1; at <= ops; at++) {
		struct disk before;
		uint64_t patterns[40] = {0, UINT64_MAX, UINT64_MAX >> 1, 1ull << 63};
		uint32_t n = 4, dirty;

		setup(&f);
		f.disk.die_at = at;
		live(&f);
		close_journal(&f);
		disk_copy(&before, &f.disk);
		dirty = disk_dirty(&before);
		/* Few blocks: every subset. Many: every prefix of the first ones, every one left out, and some. */
		if (dirty > 0 && dirty <= 5) {
			for (uint64_t bits = 1; bits + 1 < 1ull << dirty; bits++)
				patterns[n++] = bits | (bits & 1) << 63;
		} else if (dirty > 5) {
			for (uint32_t i = 0; i < 10; i++) {
				patterns[n++] = (1ull << (i * 6 + 1)) - 1;
				patterns[n++] = ~(1ull << (i * 6));
				patterns[n++] = (at * 10 + i + 1) * 0x9e3779b97f4a7c15ull;
			}
		}
		disk_fini(&f.disk);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t acknowledged = f.acknowledged;

			disk_copy(&f.disk, &before);
			disk_crash(&f.disk, patterns[i]);
			check_survivors(&f);
			close_journal(&f);
			disk_fini(&f.disk);
			f.acknowledged = acknowledged;
			cuts++;
		}
		disk_copy(&f.disk, &before); /* kill -9: the kernel still writes everything */
		disk_kill(&f.disk);
		check_survivors(&f);
		disk_fini(&before);
		teardown(&f);
	}
	print_message(
	    "%llu power cuts at %llu operations\n", (unsigned long long)cuts, (unsigned long long)ops);
}

/* A record that was not acknowledged never counts as damage; one that was always does, with file and offset. */
static void rot_is_named_and_the_rest_delivered(void **state)
{
	struct fixture f;

	(void)state;
	for (int close_first = 0; close_first < 2; close_first++) {
		uint64_t told = 0, end;
		struct disk_file *file;
		char text[256];

		setup(&f);
		assert_int_equal(open_journal(&f), 0);
		for (uint32_t i = 0; i < 6; i++)
			assert_int_equal(append(&f, 5000), 1);
		end = journal_end(f.journal).offset;
		file = disk_find(&f.disk, "0000000000000001.segment");
		assert_non_null(file);
		if (close_first)
			close_journal(&f);
		/* The third record's payload, and then the header of the fourth. */
		file->now[JOURNAL_HEADER_BYTES + 2 * 8192 + 1000] ^= 4;
		file->now[JOURNAL_HEADER_BYTES + 3 * 8192 + 9] ^= 4;
		assert_int_equal(end, JOURNAL_HEADER_BYTES + 6 * 8192);
		if (close_first)
			assert_int_equal(open_journal(&f), 0);
		assert_int_equal(read_all(&f, f.journal->start).records, 4);
		assert_int_equal(f.journal->lost_records, 2);
		assert_int_equal(f.journal->lost_events, 4);
		assert_true(journal_damage_text(f.journal, &told, text, sizeof(text)));
		assert_string_equal(text,
		    "0000000000000001.segment: damaged at byte 49152: 1 records with 2 events are lost");
		/* A second reader finds the same places: they are counted once. */
		(void)read_all(&f, f.journal->start);
		assert_int_equal(f.journal->lost_records, 2);
		teardown(&f);
	}
}

/* The last record was acknowledged, as the checkpoint knows, and has rotted. */
static void rot_at_the_end_is_known_by_the_checkpoint(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_int_equal(open_journal(&f), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(append(&f, 5000), 1);
	f.journal->checkpoint->synced = journal_end(f.journal);
	assert_int_equal(journal_checkpoint_write(
	                     &f.journal->options.io, f.journal->checkpoint_fd, f.journal->checkpoint, &f.err),
	    0);
	close_journal(&f);
	disk_find(&f.disk, "0000000000000001.segment")->now[JOURNAL_HEADER_BYTES + 2 * 8192 + 1000] ^= 4;
	assert_int_equal(open_journal(&f), 0);
	assert_int_equal(f.journal->end.sequence, 3);
	f.acknowledged = 3;
	assert_int_equal(append(&f, 100), 1);
	assert_int_equal(read_all(&f, f.journal->start).records, 3);
	assert_int_equal(f.journal->lost_records, 1);
	teardown(&f);
}

/* The kernel drops what it could not sync and says that all is well the next time: it is written again. */
static void a_failed_sync_is_not_trusted(void **state)
{
	static const enum disk_op ops[] = {DISK_SYNC, DISK_WRITE};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		setup(&f);
		assert_int_equal(open_journal(&f), 0);
		assert_int_equal(append(&f, 5000), 1);
		f.disk.fail[ops[i]] = EIO;
		f.disk.fail_once[ops[i]] = 1;
		assert_int_equal(append(&f, 6000), -EIO);
		assert_string_equal(f.err.text, "0000000000000001.segment: Input/output error");
		/* The new segment fails as well, twice, then the disk is back. */
		f.disk.fail_once[DISK_SYNC] = 2;
		f.disk.fail[DISK_SYNC] = EIO;
		assert_int_equal(append(&f, 6000), -EIO);
		assert_int_equal(append(&f, 6000), -EIO);
		assert_int_equal(append(&f, 6000), 1);
		assert_int_equal(f.journal->counts.rewrites, 1);
		assert_int_equal(journal_end(f.journal).segment, 2);
		assert_int_equal(append(&f, 7000), 1);
		close_journal(&f);
		disk_crash(&f.disk, 0);
		assert_int_equal(open_journal(&f), 0);
		assert_int_equal(read_all(&f, f.journal->start).records, 3);
		assert_int_equal(f.journal->n_damage, 0);
		teardown(&f);
	}
}

static void full_means_wait(void **state)
{
	struct fixture f;
	int rc = 1;

	(void)state;
	setup(&f);
	f.disk.space = 2 * JOURNAL_SEGMENT_MIN + JOURNAL_CHECKPOINT_SLOTS * JOURNAL_CHECKPOINT_SLOT;
	assert_int_equal(open_journal(&f), 0);
	while (rc == 1)
		rc = append(&f, 1900000);
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(f.acknowledged, 4);
	assert_int_equal(append(&f, 1900000), -ENOSPC);
	f.disk.space = UINT64_MAX;
	while (append(&f, 1900000) == 1)
		;
	assert_int_equal(append(&f, 1900000), -ENOBUFS); /* four segments are the limit */
	assert_int_equal(f.acknowledged, 8);
	assert_int_equal(journal_free_before(f.journal, 3), 0);
	assert_int_equal(append(&f, 1900000), 1);
	assert_int_equal(f.journal->n_segments, 3);
	assert_null(disk_find(&f.disk, "0000000000000002.segment"));
	teardown(&f);
}

/* ---- refusals ---- */

static void refused(struct fixture *f, int rc, const char *text)
{
	assert_int_equal(open_journal(f), rc);
	if (strstr(f->err.text, text) == NULL)
		print_error("\"%s\" is not in \"%s\"\n", text, f->err.text);
	assert_non_null(strstr(f->err.text, text));
	assert_null(f->journal);
}

/* Three segments; everything is acknowledged and a checkpoint says so. */
static void three_segments(struct fixture *f)
{
	setup(f);
	assert_int_equal(open_journal(f), 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(append(f, 1900000), 1);
	f->journal->checkpoint->synced = journal_end(f->journal);
	assert_int_equal(journal_checkpoint_write(&f->journal->options.io, f->journal->checkpoint_fd,
	                     f->journal->checkpoint, &f->err),
	    0);
	close_journal(f);
}

static void rename_file(struct disk *disk, const char *from, const char *to)
{
	struct disk_file *file = disk_find(disk, from);

	assert_non_null(file);
	memset(file->name, 0, sizeof(file->name));
	(void)strncpy(file->name, to, sizeof(file->name) - 1);
}

static void what_does_not_belong_is_refused(void **state)
{
	struct journal_segment_header *header;
	struct disk_file *file;
	struct fixture f;
	uint8_t other[16];

	(void)state;
	three_segments(&f);
	f.disk.locked = true;
	refused(&f, -EBUSY, "disk: in use by another penstockd");

	for (uint64_t i = 1; i <= 3; i++) {
		char name[JOURNAL_NAME_BYTES];

		journal_segment_name(i, name);
		f.disk.locked = false;
		rename_file(&f.disk, name, ".away");
		refused(&f, -ENOENT, name);
		f.disk.locked = false;
		rename_file(&f.disk, ".away", name);
	}
	file = disk_find(&f.disk, "0000000000000002.segment");
	header = (struct journal_segment_header *)file->now;
	memcpy(other, header->id, sizeof(other));
	header[0].version = header[1].version = 2;
	f.disk.locked = false;
	refused(&f, -EPROTONOSUPPORT, "0000000000000002.segment: written in version 2");
	header[0].version = header[1].version = JOURNAL_VERSION;
	for (int i = 0; i < 2; i++) {
		header[i].id[3] ^= 1;
		assert_int_equal(journal_segment_seal(&header[i], &config), 0);
	}
	f.disk.locked = false;
	refused(&f, -EBADMSG, "0000000000000002.segment: belongs to another journal");
	for (int i = 0; i < 2; i++) {
		memcpy(header[i].id, other, sizeof(other));
		header[i].number = 7;
		assert_int_equal(journal_segment_seal(&header[i], &config), 0);
	}
	f.disk.locked = false;
	refused(&f, -EBADMSG, "0000000000000002.segment: is segment 7 under another name");
	for (int i = 0; i < 2; i++) {
		header[i].number = 2;
		assert_int_equal(journal_segment_seal(&header[i], &config), 0);
	}
	/* One copy of the header is enough. */
	memset(&header[0], 0x5a, 5000);
	f.disk.locked = false;
	assert_int_equal(open_journal(&f), 0);
	assert_int_equal(read_all(&f, f.journal->start).records, 6);
	close_journal(&f);
	memset(&header[1], 0x5a, 5000);
	refused(&f, -EBADMSG, "0000000000000002.segment: not a segment of a journal");

	assert_true(disk_io(&f.disk).open(&f.disk, "notes.txt", true, true) >= 0);
	f.disk.locked = false;
	refused(&f, -EBADMSG, "\"notes.txt\" is not a file of a journal");
	f.disk.locked = false;
	teardown(&f);
}

static void the_checkpoint_is_checked(void **state)
{
	struct disk_file *file;
	struct fixture f;

	(void)state;
	three_segments(&f);
	file = disk_find(&f.disk, "checkpoint");
	file->now[100] ^= 1; /* one slot: the other one still stands */
	assert_int_equal(open_journal(&f), 0);
	close_journal(&f);
	file->now[JOURNAL_CHECKPOINT_SLOT + 100] ^= 1;
	refused(&f, -EBADMSG, "disk: checkpoint: damaged");
	file->now[100] ^= 1;
	file->now[8] = 9;
	f.disk.locked = false;
	refused(&f, -EPROTONOSUPPORT, "disk: checkpoint: written in another version");
	/* Without one everything is delivered again. */
	rename_file(&f.disk, "checkpoint", ".away");
	f.disk.locked = false;
	assert_int_equal(open_journal(&f), 0);
	assert_int_equal(read_all(&f, f.journal->start).records, 6);
	teardown(&f);
}

static void streams_are_found_by_name(void **state)
{
	struct fixture f;
	struct config_stream swapped[STREAMS] = {{.name = "orders"}, {.name = "clicks"}};
	struct config changed = {.streams = swapped, .n_streams = STREAMS};
	struct journal_position at;
	struct journal_reader *reader;
	struct journal_record record;
	struct journal_options options;
	struct record *records = malloc(BATCH_RECORDS * sizeof(*records));
	struct journal_event *events = malloc(BATCH_EVENTS * sizeof(*events));

	(void)state;
	setup(&f);
	assert_int_equal(open_journal(&f), 0);
	assert_int_equal(append(&f, 10), 1);
	options = f.journal->options;
	close_journal(&f);
	options.io = disk_io(&f.disk);
	options.config = &changed;
	assert_int_equal(journal_open(&options, &f.journal, &f.err), 0);
	assert_int_equal(journal_reader_create(f.journal, &reader), 0);
	at = f.journal->start;
	assert_int_equal(journal_next(reader, &at, &record, &f.err), 1);
	assert_int_equal(journal_payload(reader, &at, &record, records, events, f.batch->bytes, &f.err), 0);
	assert_int_equal(record.stream, 1);
	journal_reader_destroy(reader);
	journal_close(f.journal);
	f.journal = NULL;
	changed.n_streams = 1;
	assert_int_equal(journal_open(&options, &f.journal, &f.err), -ENOENT);
	assert_non_null(
	    strstr(f.err.text, "the stream \"clicks\", which the configuration does not declare"));
	free(records);
	free(events);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(groups_and_short_writes),
	    cmocka_unit_test(rot_is_named_and_the_rest_delivered),
	    cmocka_unit_test(rot_at_the_end_is_known_by_the_checkpoint),
	    cmocka_unit_test(a_failed_sync_is_not_trusted),
	    cmocka_unit_test(full_means_wait),
	    cmocka_unit_test(what_does_not_belong_is_refused),
	    cmocka_unit_test(the_checkpoint_is_checked),
	    cmocka_unit_test(streams_are_found_by_name),
	    cmocka_unit_test(every_crash_keeps_what_was_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
