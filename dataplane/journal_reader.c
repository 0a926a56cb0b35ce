/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_FILES 8u
#define KEPT_HEADERS 256u
#define RESYNC_BYTES (64u << 10) /* looked through at a time */

struct open_file {
	uint64_t number; /* 0: free; segments count from 1 */
	uint64_t used;   /* when last, in lookups */
	uint64_t size;
	int fd;
};

struct kept_header {
	uint64_t segment, offset;
	struct journal_record record;
};

struct journal_reader {
	struct journal *journal;
	uint64_t lookups;
	struct open_file files[OPEN_FILES];
	struct kept_header kept[KEPT_HEADERS];
};

int journal_reader_create(struct journal *journal, struct journal_reader **out)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return -ENOMEM;
	(*out)->journal = journal;
	return 0;
}

static void forget_file(struct journal_reader *reader, struct open_file *file)
{
	const struct journal_io *io = &reader->journal->options.io;

	if (file->number != 0)
		io->close(io->context, file->fd);
	file->number = 0;
}

void journal_reader_destroy(struct journal_reader *reader)
{
	if (reader == NULL)
		return;
	for (size_t i = 0; i < OPEN_FILES; i++)
		forget_file(reader, &reader->files[i]);
	free(reader);
}

void journal_reader_forget(struct journal_reader *reader, uint64_t number)
{
	for (size_t i = 0; i < OPEN_FILES; i++) {
		if (reader->files[i].number < number)
			forget_file(reader, &reader->files[i]);
	}
}

static int get_file(struct journal_reader *reader, uint64_t number, struct open_file **out, struct error *err)
{
	const struct journal_io *io = &reader->journal->options.io;
	struct open_file *oldest = &reader->files[0];
	char name[JOURNAL_NAME_BYTES];
	int64_t size;
	int fd;

	reader->lookups++;
	for (size_t i = 0; i < OPEN_FILES; i++) {
		struct open_file *file = &reader->files[i];

		if (file->number == number) {
			file->used = reader->lookups;
			*out = file;
			return 0;
		}
		if (file->number == 0 || (oldest->number != 0 && file->used < oldest->used))
			oldest = file;
	}
	journal_segment_name(number, name);
	fd = io->open(io->context, name, false, false);
	size = fd < 0 ? fd : io->size(io->context, fd);
	if (size < 0) {
		if (fd >= 0)
			io->close(io->context, fd);
		return error_set(err, (int)size, "%s: %s", name, strerror((int)-size));
	}
	forget_file(reader, oldest);
	*oldest =
	    (struct open_file){.number = number, .used = reader->lookups, .size = (uint64_t)size, .fd = fd};
	*out = oldest;
	return 0;
}

uint64_t journal_resync(const struct journal_io *io, int fd, uint64_t from, uint64_t to, uint64_t least,
    uint64_t seed, struct journal_record *record)
{
	char window[RESYNC_BYTES];
	uint64_t found = to;

	from = journal_align(from, JOURNAL_ALIGN);
	while (from + JOURNAL_ALIGN <= to && found == to) {
		uint64_t len =
		    to - from < RESYNC_BYTES ? (to - from) / JOURNAL_ALIGN * JOURNAL_ALIGN : RESYNC_BYTES;
		struct iovec iov = {window, len};
		int rc = journal_read_all(io, fd, &iov, 1, from);

		if (rc != 0 && len > JOURNAL_BLOCK) { /* block by block */
			len = JOURNAL_BLOCK;
			iov = (struct iovec){window, len};
			rc = journal_read_all(io, fd, &iov, 1, from);
		}
		for (uint64_t at = 0; rc == 0 && at < len && found == to; at += JOURNAL_ALIGN) {
			memcpy(record, window + at, sizeof(*record));
			if (journal_record_valid(record, seed) && record->sequence >= least &&
			    from + at + sizeof(*record) + record->length <= to)
				found = from + at;
		}
		from += len;
	}
	return found;
}

/* The records between the position and a later one are gone. */
static void lose(
    struct journal *journal, const struct journal_position *position, uint64_t sequence, uint64_t event)
{
	struct journal_damage damage = {
	    .segment = position->segment,
	    .offset = position->offset,
	    .records = sequence - position->sequence,
	    .events = event - position->event,
	};

	journal_note_damage(journal, &damage);
}

/* Whether the record at the position is whole, as far as its header goes. */
static int read_header(struct journal_reader *reader, const struct journal_position *position,
    struct journal_record *record, struct error *err)
{
	struct kept_header *kept =
	    &reader->kept[(position->offset / JOURNAL_ALIGN ^ position->segment) % KEPT_HEADERS];
	const struct journal *journal = reader->journal;
	struct iovec iov = {record, sizeof(*record)};
	struct open_file *file;
	int rc;

	if (kept->segment == position->segment && kept->offset == position->offset &&
	    kept->record.sequence == position->sequence) {
		*record = kept->record;
		return 0;
	}
	rc = get_file(reader, position->segment, &file, err);
	if (rc != 0)
		return rc;
	rc = journal_read_all(&journal->options.io, file->fd, &iov, 1, position->offset);
	if (rc == -ENODATA || rc == -EIO)
		return -EBADMSG;
	if (rc != 0)
		return error_set(err, rc, "a segment could not be read: %s", strerror(-rc));
	if (!journal_record_valid(record, journal->seed) || record->sequence != position->sequence ||
	    position->offset + sizeof(*record) + record->length > file->size)
		return -EBADMSG;
	*kept =
	    (struct kept_header){.segment = position->segment, .offset = position->offset, .record = *record};
	return 0;
}

/* Steps over damage inside a segment: to the next whole record, or to `sequence`, which is where the segment's
 * records end. */
static int step_over(struct journal_reader *reader, struct journal_position *position, uint64_t sequence,
    uint64_t event, struct error *err)
{
	struct journal *journal = reader->journal;
	struct journal_record record;
	struct open_file *file;
	uint64_t offset;
	int rc = get_file(reader, position->segment, &file, err);

	if (rc != 0)
		return rc;
	offset = journal_resync(&journal->options.io, file->fd, position->offset + JOURNAL_ALIGN, file->size,
	    position->sequence + 1, journal->seed, &record);
	if (offset < file->size && record.sequence < sequence && record.first_event >= position->event) {
		sequence = record.sequence;
		event = record.first_event;
	}
	lose(journal, position, sequence, event);
	position->offset = offset;
	position->sequence = sequence;
	position->event = event;
	return 0;
}

int journal_next(struct journal_reader *reader, struct journal_position *position,
    struct journal_record *record, struct error *err)
{
	struct journal *journal = reader->journal;

	for (;;) {
		struct journal_position end = journal_end(journal);
		struct journal_segment segment, next;
		bool has_next;
		int rc;

		if (position->sequence >= end.sequence)
			return 0;
		if (!journal_find(journal, position->segment, &segment, &has_next, &next))
			return error_set(err, -ENOENT, "segment %llu of the journal is gone",
			    (unsigned long long)position->segment);
		if (has_next && position->sequence >= next.first_sequence) {
			*position = (struct journal_position){.segment = next.number,
			    .offset = JOURNAL_HEADER_BYTES,
			    .sequence = position->sequence,
			    .event = position->event};
			continue;
		}
		/* A segment that could not be opened at the start has left a gap. */
		if (position->sequence < segment.first_sequence) {
			lose(journal, position, segment.first_sequence, segment.first_event);
			position->sequence = segment.first_sequence;
			position->event = segment.first_event;
		}
		rc = read_header(reader, position, record, err);
		if (rc == 0 && record->stream < segment.names.n_streams) {
			record->stream = segment.names.stream[record->stream];
			return 1;
		}
		if (rc == 0)
			rc = -EBADMSG;
		if (rc != -EBADMSG)
			return rc;
		if (has_next)
			rc = step_over(reader, position, next.first_sequence, next.first_event, err);
		else
			rc = step_over(reader, position, end.sequence, end.event, err);
		if (rc != 0)
			return rc;
	}
}

int journal_payload(struct journal_reader *reader, const struct journal_position *position,
    const struct journal_record *record, struct record *records, struct journal_event *events, char *bytes,
    struct error *err)
{
	struct journal *journal = reader->journal;
	struct iovec iov[] = {
	    {records, record->n_records * sizeof(*records)},
	    {events, record->n_events * sizeof(*events)},
	    {bytes, record->used},
	};
	struct journal_segment segment, next;
	struct open_file *file;
	bool has_next;
	int rc = get_file(reader, position->segment, &file, err);

	if (rc != 0)
		return rc;
	if (!journal_find(journal, position->segment, &segment, &has_next, &next))
		return error_set(err, -ENOENT, "segment %llu of the journal is gone",
		    (unsigned long long)position->segment);
	rc = journal_read_all(&journal->options.io, file->fd, iov, 3, position->offset + sizeof(*record));
	if (rc != 0 && rc != -EIO && rc != -ENODATA)
		return error_set(err, rc, "a segment could not be read: %s", strerror(-rc));
	if (rc != 0 ||
	    journal_payload_sum(record, records, events, bytes, journal->seed) != record->payload_checksum ||
	    !journal_payload_sound(record, records, events, segment.names.n_reasons)) {
		lose(journal, position, position->sequence + 1, position->event + record->n_events);
		return error_set(err, -EBADMSG, "a record of the journal is damaged");
	}
	for (uint32_t i = 0; i < record->n_events; i++)
		events[i].reason = segment.names.reason[events[i].reason];
	return 0;
}

int journal_each_event(struct journal *journal, struct journal_position from, journal_event_fn each,
    void *context, struct error *err)
{
	struct record *records = malloc(BATCH_RECORDS * sizeof(*records));
	struct journal_event *events = malloc(BATCH_EVENTS * sizeof(*events));
	char *bytes = malloc(BATCH_BYTES);
	struct journal_reader *reader = NULL;
	struct journal_record record;
	int rc = -ENOMEM;

	if (records == NULL || events == NULL || bytes == NULL ||
	    journal_reader_create(journal, &reader) != 0) {
		error_set(err, rc, "no memory to read the journal");
		goto out;
	}
	while ((rc = journal_next(reader, &from, &record, err)) == 1) {
		rc = journal_payload(reader, &from, &record, records, events, bytes, err);
		if (rc != 0 && rc != -EBADMSG)
			break;
		for (uint32_t i = 0; rc == 0 && i < record.n_events; i++)
			each(context, &record, &events[i]);
		journal_skip(&from, &record);
	}
out:
	journal_reader_destroy(reader);
	free(records);
	free(events);
	free(bytes);
	return rc;
}
