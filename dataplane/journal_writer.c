/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PIECES 5u /* of a record: header, records, events, bytes, padding */

struct journal_writer {
	struct journal *journal;
	int fd;          /* -1: no segment is open */
	uint64_t number; /* of the open segment */
	uint64_t offset; /* where the next group begins */
	uint64_t bytes;  /* of the segment */
	bool used;       /* something in it is durable */
	bool failed;     /* the last group was not written */
	uint64_t sequence, event;
	struct journal_segment_header *header; /* two copies */
	struct journal_record records[JOURNAL_GROUP];
	struct iovec iov[JOURNAL_GROUP * PIECES];
	struct journal_event *events; /* of a whole group */
	size_t max_events;
};

static const char zeros[JOURNAL_BLOCK];

int journal_writer_create(struct journal *journal, struct journal_writer **out)
{
	struct journal_writer *writer = calloc(1, sizeof(*writer));
	struct journal_position end = journal_end(journal);

	*out = NULL;
	if (writer == NULL)
		return -ENOMEM;
	writer->journal = journal;
	writer->fd = -1;
	writer->sequence = end.sequence;
	writer->event = end.event;
	writer->max_events = (size_t)JOURNAL_GROUP * BATCH_EVENTS;
	writer->header = calloc(2, sizeof(*writer->header));
	writer->events = calloc(writer->max_events, sizeof(*writer->events));
	if (writer->header == NULL || writer->events == NULL) {
		journal_writer_destroy(writer);
		return -ENOMEM;
	}
	*out = writer;
	return 0;
}

static void close_segment(struct journal_writer *writer)
{
	const struct journal_io *io = &writer->journal->options.io;

	if (writer->fd >= 0)
		io->close(io->context, writer->fd);
	writer->fd = -1;
}

void journal_writer_destroy(struct journal_writer *writer)
{
	if (writer == NULL)
		return;
	close_segment(writer);
	free(writer->header);
	free(writer->events);
	free(writer);
}

static int fill_header(struct journal_writer *writer, uint64_t number)
{
	struct journal *journal = writer->journal;
	struct journal_segment_header *header = writer->header;
	int rc;

	memset(header, 0, sizeof(*header));
	memcpy(header->id, journal->id, sizeof(header->id));
	header->number = number;
	header->first_sequence = writer->sequence;
	header->first_event = writer->event;
	header->bytes = journal->options.segment_bytes;
	header->created_ms = clock_wall_ms(journal->options.clock);
	rc = journal_segment_seal(header, journal->options.config);
	header[1] = header[0];
	return rc;
}

/* A new, preallocated segment whose header is on the disk. */
static int open_segment(struct journal_writer *writer, struct error *err)
{
	struct journal *journal = writer->journal;
	const struct journal_io *io = &journal->options.io;
	struct iovec iov = {writer->header, JOURNAL_HEADER_BYTES};
	struct journal_segment segment;
	char name[JOURNAL_NAME_BYTES];
	uint64_t bytes = journal_bytes(journal);
	uint64_t number;
	int rc;

	pthread_mutex_lock(&journal->mutex);
	number = journal->next_number;
	pthread_mutex_unlock(&journal->mutex);
	journal_segment_name(number, name);
	if (bytes + journal->options.segment_bytes > journal->options.max_bytes)
		return error_set(err, -ENOBUFS,
		    "the journal is full: %" PRIu64
		    " MB of journal.max_gb are taken by what is not delivered",
		    bytes >> 20);
	rc = fill_header(writer, number);
	if (rc != 0)
		return error_set(err, rc, "%s: the names of the streams do not fit the header", name);
	/* Left by a failure that could not even delete it. */
	rc = io->unlink(io->context, name);
	if (rc != 0 && rc != -ENOENT)
		return error_set(err, rc, "%s: %s", name, strerror(-rc));
	writer->fd = io->open(io->context, name, true, true);
	if (writer->fd < 0)
		return error_set(err, writer->fd, "%s: %s", name, strerror(-writer->fd));
	rc = io->allocate(io->context, writer->fd, journal->options.segment_bytes);
	if (rc == 0)
		rc = journal_write_all(io, writer->fd, &iov, 1, 0);
	if (rc == 0)
		rc = io->fdatasync(io->context, writer->fd);
	if (rc == 0)
		rc = io->sync_directory(io->context);
	if (rc != 0) {
		error_set(err, rc, "%s: %s", name,
		    rc == -EOPNOTSUPP ? "the file system cannot preallocate" : strerror(-rc));
		goto err;
	}
	segment = (struct journal_segment){.number = number,
	    .first_sequence = writer->sequence,
	    .first_event = writer->event,
	    .bytes = journal->options.segment_bytes};
	rc = journal_names_read(writer->header, journal->options.config, &segment.names, err);
	if (rc == 0) {
		rc = journal_segment_add(journal, &segment);
		if (rc != 0)
			error_set(err, rc, "%s: no memory", name);
	}
	if (rc != 0)
		goto err;
	writer->number = number;
	writer->offset = JOURNAL_HEADER_BYTES;
	writer->bytes = segment.bytes;
	writer->used = false;
	return 0;
err:
	close_segment(writer);
	(void)io->unlink(io->context, name);
	return rc;
}

/* Leaves a segment whose last write has failed. If nothing in it is durable, its number is used again. */
static void give_up_segment(struct journal_writer *writer)
{
	const struct journal_io *io = &writer->journal->options.io;
	char name[JOURNAL_NAME_BYTES];

	close_segment(writer);
	writer->failed = true;
	if (writer->used)
		return;
	journal_segment_forget(writer->journal, writer->number);
	journal_segment_name(writer->number, name);
	(void)io->unlink(io->context, name);
}

static uint64_t record_bytes(const struct batch *batch)
{
	return sizeof(struct journal_record) + batch->n_records * sizeof(struct record) +
	       batch->n_events * sizeof(struct journal_event) + batch->used;
}

/* Which kinds of records the batch has. */
static uint16_t kinds(const struct batch *batch)
{
	uint16_t flags = 0;

	for (uint32_t i = 0; i < batch->n_records; i++)
		flags |= (uint16_t)JOURNAL_HAS(batch->records[i].kind);
	return flags;
}

static void copy_events(const struct batch *batch, struct journal_event *to)
{
	for (uint32_t i = 0; i < batch->n_events; i++) {
		const struct batch_event *from = &batch->events[i];

		to[i] = (struct journal_event){
		    .key = {from->key[0], from->key[1]},
		    .time_ms = from->time_ms,
		    .raw = from->raw,
		    .raw_len = from->raw_len,
		    .id = from->id,
		    .id_len = from->id_len,
		    .message = from->message,
		    .message_len = from->message_len,
		    .partition = from->partition,
		    .partition_len = from->partition_len,
		    .dead_letter = from->dead_letter,
		    .reason = from->reason,
		    .flags = from->flags,
		};
	}
}

/* Describes the batch, to be written at `at`. Returns where it ends. */
static uint64_t add_record(struct journal_writer *writer, struct batch *batch, uint32_t i, bool last,
    uint64_t at, int *n_iov, struct journal_event *events)
{
	struct journal_record *record = &writer->records[i];
	struct iovec *iov = &writer->iov[*n_iov];
	uint64_t seed = writer->journal->seed, end;

	*record = (struct journal_record){
	    .length = (uint32_t)(record_bytes(batch) - sizeof(*record)),
	    .sequence = writer->sequence + i,
	    .first_event = i == 0 ? writer->event : record[-1].first_event + record[-1].n_events,
	    .arrival_ms = batch->arrival_ms,
	    .stream = batch->stream,
	    .flags = (uint16_t)(kinds(batch) | (last ? JOURNAL_LAST : 0)),
	    .n_events = (uint16_t)batch->n_events,
	    .n_records = (uint16_t)batch->n_records,
	    .used = batch->used,
	    .unsynced = i,
	};
	copy_events(batch, events);
	record->payload_checksum = journal_payload_sum(record, batch->records, events, batch->bytes, seed);
	journal_record_seal(record, seed);
	end = journal_after(record, at);
	iov[0] = (struct iovec){record, sizeof(*record)};
	iov[1] = (struct iovec){batch->records, batch->n_records * sizeof(struct record)};
	iov[2] = (struct iovec){events, batch->n_events * sizeof(struct journal_event)};
	iov[3] = (struct iovec){batch->bytes, batch->used};
	iov[4] = (struct iovec){(void *)(uintptr_t)zeros, end - at - sizeof(*record) - record->length};
	*n_iov += (int)PIECES;
	return end;
}

/* How many of the batches fit the rest of the segment. */
static uint32_t fitting(const struct journal_writer *writer, struct batch *const *batches, uint32_t n)
{
	uint64_t at = writer->offset;
	uint32_t fit = 0;

	while (fit < n && fit < JOURNAL_GROUP) {
		at = journal_align(at + record_bytes(batches[fit]), JOURNAL_ALIGN);
		if (journal_align(at, JOURNAL_BLOCK) > writer->bytes)
			break;
		fit++;
	}
	return fit;
}

static int write_group(
    struct journal_writer *writer, struct batch *const *batches, uint32_t n, struct error *err)
{
	struct journal *journal = writer->journal;
	const struct journal_io *io = &journal->options.io;
	struct journal_event *events = writer->events;
	uint64_t at = writer->offset, events_before = writer->event, started;
	char name[JOURNAL_NAME_BYTES];
	const struct journal_record *last;
	int n_iov = 0, rc;

	for (uint32_t i = 0; i < n; i++) {
		at = add_record(writer, batches[i], i, i + 1 == n, at, &n_iov, events);
		events += batches[i]->n_events;
	}
	rc = journal_write_all(io, writer->fd, writer->iov, n_iov, writer->offset);
	started = clock_mono_ns(journal->options.clock);
	if (rc == 0)
		rc = io->fdatasync(io->context, writer->fd);
	if (rc != 0) {
		journal_segment_name(writer->number, name);
		error_set(err, rc, "%s: %s", name, strerror(-rc));
		give_up_segment(writer);
		return rc;
	}
	last = &writer->records[n - 1];
	writer->used = true;
	writer->sequence += n;
	writer->event = last->first_event + last->n_events;

	pthread_mutex_lock(&journal->mutex);
	journal->end = (struct journal_position){writer->number, at, writer->sequence, writer->event};
	journal->counts.groups++;
	journal->counts.records += n;
	journal->counts.events += writer->event - events_before;
	journal->counts.bytes += at - writer->offset;
	journal->counts.rewrites += writer->failed;
	journal->counts.sync_ns += clock_mono_ns(journal->options.clock) - started;
	if (n > journal->counts.largest_group)
		journal->counts.largest_group = n;
	pthread_mutex_unlock(&journal->mutex);
	writer->offset = at;
	writer->failed = false;
	return (int)n;
}

int journal_append(struct journal_writer *writer, struct batch *const *batches, uint32_t n, struct error *err)
{
	uint32_t fit = 0;

	if (writer->fd >= 0) {
		fit = fitting(writer, batches, n);
		if (fit == 0)
			close_segment(writer);
	}
	if (writer->fd < 0) {
		int rc = open_segment(writer, err);

		if (rc != 0)
			return rc;
		fit = fitting(writer, batches, n); /* the largest record fits any segment */
	}
	return write_group(writer, batches, fit, err);
}
