/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_recover.h"

#include "journal_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct found {
	uint64_t *numbers;
	size_t n, max;
	char foreign[256]; /* "": none */
};

/* The last segment while it is read through. */
struct scan {
	struct journal *journal;
	int fd;
	uint64_t size;
	struct journal_position at;
	struct record *records;
	struct journal_event *events;
	char *bytes;
};

static int look(void *argument, const char *name)
{
	struct found *found = argument;
	uint64_t number;

	if (name[0] == '.' || strcmp(name, "lock") == 0 || strcmp(name, JOURNAL_CHECKPOINT_NAME) == 0 ||
	    strcmp(name, "lost+found") == 0)
		return 0;
	if (!journal_segment_number(name, &number) || number == 0) {
		(void)snprintf(found->foreign, sizeof(found->foreign), "%s", name);
		return -EBADMSG;
	}
	if (found->n == found->max) {
		size_t max = found->max == 0 ? 64 : 2 * found->max;
		uint64_t *more = realloc(found->numbers, max * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		found->numbers = more;
		found->max = max;
	}
	found->numbers[found->n++] = number;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int list(struct journal *journal, struct found *found, struct error *err)
{
	const struct journal_io *io = &journal->options.io;
	int rc = io->list(io->context, look, found);

	if (rc != 0 && found->foreign[0] != '\0')
		return error_set(err, rc,
		    "\"%s\" is not a file of a journal: the directory must be the journal's own",
		    found->foreign);
	if (rc != 0)
		return error_set(err, rc, "%s", strerror(-rc));
	if (found->n > 0)
		qsort(found->numbers, found->n, sizeof(found->numbers[0]), by_number);
	return 0;
}

static int missing(uint64_t number, struct error *err)
{
	char name[JOURNAL_NAME_BYTES];

	journal_segment_name(number, name);
	return error_set(err, -ENOENT,
	    "%s is missing: it holds events that were acknowledged and are not delivered", name);
}

/* ---- headers ---- */

/* Either copy. 0, or the first copy's fault. */
static int read_header(
    struct journal *journal, int fd, struct journal_segment_header *header, struct error *err)
{
	struct journal_segment_header *copy = malloc(sizeof(*copy));
	struct error second;
	int verdict[2];

	if (copy == NULL)
		return error_set(err, -ENOMEM, "no memory");
	for (int i = 0; i < 2; i++) {
		struct iovec iov = {copy, sizeof(*copy)};
		int rc =
		    journal_read_all(&journal->options.io, fd, &iov, 1, (uint64_t)i * JOURNAL_HEADER_COPY);

		if (rc == -ENODATA || rc == -EIO)
			verdict[i] = error_set(i == 0 ? err : &second, -EBADMSG, "the header is damaged");
		else if (rc != 0)
			verdict[i] = error_set(i == 0 ? err : &second, rc, "%s", strerror(-rc));
		else
			verdict[i] = journal_segment_check(copy, i == 0 ? err : &second);
		if (verdict[i] == 0) {
			*header = *copy;
			break;
		}
	}
	free(copy);
	return verdict[0] == 0 || verdict[1] == 0 ? 0 : verdict[0];
}

/* Opens a segment and says whether it belongs here. */
static int open_segment(struct journal *journal, uint64_t number, bool write,
    struct journal_segment_header *header, int *fd, struct error *err)
{
	const struct journal_io *io = &journal->options.io;
	char name[JOURNAL_NAME_BYTES];
	int rc;

	journal_segment_name(number, name);
	*fd = io->open(io->context, name, false, write);
	if (*fd < 0)
		return error_set(err, *fd, "%s: %s", name, strerror(-*fd));
	rc = read_header(journal, *fd, header, err);
	if (rc == 0 && memcmp(header->id, journal->id, sizeof(journal->id)) != 0)
		rc = error_set(err, -EBADMSG, "belongs to another journal");
	if (rc == 0 && header->number != number)
		rc = error_set(err, -EBADMSG, "is segment %" PRIu64 " under another name", header->number);
	if (rc != 0)
		error_prefix(err, rc, "%s", name);
	return rc;
}

static int add_segment(
    struct journal *journal, const struct journal_segment_header *header, uint64_t bytes, struct error *err)
{
	struct journal_segment segment = {
	    .number = header->number,
	    .first_sequence = header->first_sequence,
	    .first_event = header->first_event,
	    .bytes = bytes,
	};
	const struct journal_segment *before =
	    journal->n_segments > 0 ? &journal->segments[journal->n_segments - 1] : NULL;
	char name[JOURNAL_NAME_BYTES];
	int rc;

	journal_segment_name(header->number, name);
	if (before != NULL &&
	    (before->first_sequence > segment.first_sequence || before->first_event > segment.first_event))
		return error_set(err, -EBADMSG, "%s: begins before the segment before it", name);
	rc = journal_names_read(header, journal->options.config, &segment.names, err);
	if (rc != 0)
		return error_prefix(err, rc, "%s", name);
	rc = journal_segment_add(journal, &segment);
	return rc == 0 ? 0 : error_set(err, rc, "no memory");
}

/* ---- the last segment ---- */

/* Whether the record at the offset is whole. */
static bool whole(const struct scan *scan, uint64_t offset, struct journal_record *record)
{
	const struct journal *journal = scan->journal;
	struct iovec head = {record, sizeof(*record)};
	struct iovec payload[3];

	if (offset + sizeof(*record) > scan->size ||
	    journal_read_all(&journal->options.io, scan->fd, &head, 1, offset) != 0 ||
	    !journal_record_valid(record, journal->seed) ||
	    offset + sizeof(*record) + record->length > scan->size)
		return false;
	payload[0] = (struct iovec){scan->records, record->n_records * sizeof(struct record)};
	payload[1] = (struct iovec){scan->events, record->n_events * sizeof(struct journal_event)};
	payload[2] = (struct iovec){scan->bytes, record->used};
	return journal_read_all(&journal->options.io, scan->fd, payload, 3, offset + sizeof(*record)) == 0 &&
	       journal_payload_sum(record, scan->records, scan->events, scan->bytes, journal->seed) ==
	           record->payload_checksum;
}

/* Looks at everything behind a record that is not whole: whether something says that it had been durable, and
 * where the next whole record is. */
static bool attested(const struct scan *scan, uint64_t *next_offset, struct journal_record *next)
{
	const struct journal *journal = scan->journal;
	bool proof = journal->checkpoint->synced.sequence > scan->at.sequence;
	uint64_t offset = scan->at.offset;
	struct journal_record record;

	*next_offset = scan->size;
	for (;;) {
		offset = journal_resync(&journal->options.io, scan->fd, offset + JOURNAL_ALIGN, scan->size,
		    scan->at.sequence + 1, journal->seed, &record);
		if (offset >= scan->size)
			return proof;
		proof = proof || record.sequence - record.unsynced > scan->at.sequence;
		if (*next_offset == scan->size && whole(scan, offset, &record)) {
			*next_offset = offset;
			*next = record;
		}
		if (proof && *next_offset < scan->size)
			return true;
	}
}

/* Bytes between the end and the last one that is not zero. */
static uint64_t torn_bytes(const struct scan *scan)
{
	const struct journal_io *io = &scan->journal->options.io;
	uint64_t torn = 0;

	for (uint64_t from = scan->at.offset; from < scan->size;) {
		uint64_t len = scan->size - from < BATCH_BYTES ? scan->size - from : BATCH_BYTES;
		struct iovec iov = {scan->bytes, len};

		if (journal_read_all(io, scan->fd, &iov, 1, from) == 0) {
			for (uint64_t i = len; i > 0; i--) {
				if (scan->bytes[i - 1] != 0) {
					torn = from + i - scan->at.offset;
					break;
				}
			}
		}
		from += len;
	}
	return torn;
}

/* Walks to the end of the log. Damage of what was acknowledged stays in the file, for the reader to report. */
static bool walk(struct scan *scan)
{
	struct journal_record record, next = {0};
	bool rotted = false;
	uint64_t offset;

	for (;;) {
		if (whole(scan, scan->at.offset, &record) && record.sequence == scan->at.sequence) {
			journal_skip(&scan->at, &record);
			continue;
		}
		if (!attested(scan, &offset, &next))
			return rotted;
		rotted = true;
		if (offset == scan->size)
			return true;
		scan->at.offset = offset;
		scan->at.sequence = next.sequence;
		scan->at.event = next.first_event;
	}
}

/* Finds the end in the last segment of the table, and cuts off what is behind it. */
static int find_end(struct journal *journal, int fd, uint64_t size, struct error *err)
{
	const struct journal_io *io = &journal->options.io;
	struct journal_segment *segment = &journal->segments[journal->n_segments - 1];
	const struct journal_position *synced = &journal->checkpoint->synced;
	struct scan scan = {
	    .journal = journal,
	    .fd = fd,
	    .size = size,
	    .at = {segment->number, JOURNAL_HEADER_BYTES, segment->first_sequence, segment->first_event},
	    .records = malloc(BATCH_RECORDS * sizeof(struct record)),
	    .events = malloc(BATCH_EVENTS * sizeof(struct journal_event)),
	    .bytes = malloc(BATCH_BYTES),
	};
	char name[JOURNAL_NAME_BYTES];
	bool rotted;
	int rc = 0;

	journal_segment_name(segment->number, name);
	if (scan.records == NULL || scan.events == NULL || scan.bytes == NULL) {
		rc = error_set(err, -ENOMEM, "no memory");
		goto out;
	}
	rotted = walk(&scan);
	journal->torn_bytes = rotted ? 0 : torn_bytes(&scan);
	if (synced->sequence > scan.at.sequence) {
		scan.at.sequence = synced->sequence;
		scan.at.event = synced->event;
	}
	journal->end = scan.at;
	if (scan.at.sequence == segment->first_sequence) {
		/* Nothing in it was ever acknowledged: its number is used again. */
		rc = io->unlink(io->context, name);
		journal_segment_forget(journal, segment->number);
	} else {
		if (!rotted) {
			rc = io->truncate(io->context, fd, journal_align(scan.at.offset, JOURNAL_BLOCK));
			segment->bytes = journal_align(scan.at.offset, JOURNAL_BLOCK);
		}
		/* A killed process leaves whole records in memory only; from here on they count as durable. */
		if (rc == 0)
			rc = io->fdatasync(io->context, fd);
	}
	if (rc != 0)
		error_set(err, rc, "%s: %s", name, strerror(-rc));
out:
	free(scan.records);
	free(scan.events);
	free(scan.bytes);
	return rc;
}

/* ---- the whole ---- */

static int read_checkpoint(
    struct journal *journal, const struct found *found, bool *is_new, struct error *err)
{
	const struct journal_io *io = &journal->options.io;
	int rc = journal_checkpoint_read(io, journal->checkpoint, err);

	*is_new = rc == -ENOENT || (rc == -ENODATA && found->n == 0);
	if (*is_new && rc == -ENODATA) /* a crash in the middle of making it */
		rc = io->unlink(io->context, JOURNAL_CHECKPOINT_NAME);
	else if (*is_new)
		rc = 0;
	if (rc != 0)
		return rc;
	if (*is_new) {
		memset(journal->checkpoint, 0, sizeof(*journal->checkpoint));
		journal->checkpoint->first_segment = found->n > 0 ? found->numbers[0] : 1;
		if (getrandom(journal->id, sizeof(journal->id), 0) != (ssize_t)sizeof(journal->id))
			return error_set(err, -errno, "getrandom: %s", strerror(errno));
		return 0;
	}
	memcpy(journal->id, journal->checkpoint->id, sizeof(journal->id));
	journal->checkpoint_fd = io->open(io->context, JOURNAL_CHECKPOINT_NAME, false, true);
	if (journal->checkpoint_fd < 0)
		return error_set(err, journal->checkpoint_fd, JOURNAL_CHECKPOINT_NAME ": %s",
		    strerror(-journal->checkpoint_fd));
	return 0;
}

/* Without a checkpoint the first segment says whose journal it is: everything is delivered again. */
static int adopt(struct journal *journal, uint64_t number, struct error *err)
{
	const struct journal_io *io = &journal->options.io;
	struct journal_segment_header *header = calloc(1, sizeof(*header));
	char name[JOURNAL_NAME_BYTES];
	int fd, rc;

	if (header == NULL)
		return error_set(err, -ENOMEM, "no memory");
	journal_segment_name(number, name);
	fd = io->open(io->context, name, false, false);
	rc = fd < 0 ? error_set(err, fd, "%s", strerror(-fd)) : read_header(journal, fd, header, err);
	if (rc == 0)
		memcpy(journal->id, header->id, sizeof(journal->id));
	else if (rc == -ENODATA)
		rc = 0; /* an empty one: dealt with as the last */
	if (fd >= 0)
		io->close(io->context, fd);
	free(header);
	return rc == 0 ? 0 : error_prefix(err, rc, "%s", name);
}

/* The oldest position that a consumer is at; the first segment if there is none. */
static struct journal_position oldest(const struct journal_checkpoint *checkpoint)
{
	struct journal_position first = {0};

	for (uint32_t i = 0; i < checkpoint->n_marks; i++) {
		if (i == 0 || checkpoint->marks[i].position.sequence < first.sequence)
			first = checkpoint->marks[i].position;
	}
	return first;
}

/* Deletes what an earlier run had freed, and checks that nothing is missing. */
static int check_numbers(struct journal *journal, struct found *found, struct error *err)
{
	const struct journal_checkpoint *checkpoint = journal->checkpoint;
	const struct journal_io *io = &journal->options.io;
	uint64_t first = checkpoint->first_segment;
	char name[JOURNAL_NAME_BYTES];
	size_t freed = 0;

	while (freed < found->n && found->numbers[freed] < first) {
		int rc;

		journal_segment_name(found->numbers[freed], name);
		rc = io->unlink(io->context, name);
		if (rc != 0)
			return error_set(err, rc, "%s: %s", name, strerror(-rc));
		freed++;
	}
	found->n -= freed;
	if (found->n > 0)
		memmove(found->numbers, found->numbers + freed, found->n * sizeof(found->numbers[0]));
	if (found->n == 0)
		return checkpoint->synced.segment > 0 ? missing(checkpoint->synced.segment, err) : 0;
	if (found->numbers[0] != first)
		return missing(first, err);
	for (size_t i = 1; i < found->n; i++) {
		if (found->numbers[i] != found->numbers[i - 1] + 1)
			return missing(found->numbers[i - 1] + 1, err);
	}
	if (found->numbers[found->n - 1] < checkpoint->synced.segment)
		return missing(found->numbers[found->n - 1] + 1, err);
	return 0;
}

/* Whether the copy of a header could be one that was never written to its end. */
static bool unwritten(struct journal *journal, int fd, uint64_t offset)
{
	char magic[8];
	struct iovec iov = {magic, sizeof(magic)};
	static const char none[8];

	return journal_read_all(&journal->options.io, fd, &iov, 1, offset) == -ENODATA ||
	       memcmp(magic, none, sizeof(magic)) == 0 || memcmp(magic, JOURNAL_MAGIC, sizeof(magic)) == 0;
}

/* Whether a last segment without a header was being made when the daemon died: nothing is in it. */
static bool unborn(struct journal *journal, int fd, uint64_t number)
{
	const struct journal_io *io = &journal->options.io;
	struct journal_record record;
	int64_t size = io->size(io->context, fd);

	return number > journal->checkpoint->synced.segment && size >= 0 && unwritten(journal, fd, 0) &&
	       unwritten(journal, fd, JOURNAL_HEADER_COPY) &&
	       journal_resync(io, fd, JOURNAL_HEADER_BYTES, (uint64_t)size, 0, journal->seed, &record) >=
	           (uint64_t)size;
}

static int read_segment(struct journal *journal, uint64_t number, bool last, struct error *err)
{
	const struct journal_io *io = &journal->options.io;
	struct journal_segment_header *header = calloc(1, sizeof(*header));
	char name[JOURNAL_NAME_BYTES];
	int64_t size = 0;
	int fd = -1, rc;

	if (header == NULL)
		return error_set(err, -ENOMEM, "no memory");
	journal_segment_name(number, name);
	rc = open_segment(journal, number, last, header, &fd, err);
	if (last && fd >= 0 && (rc == -ENODATA || rc == -EBADMSG) && unborn(journal, fd, number) &&
	    journal_segment_check(header, NULL) != 0) {
		rc = io->unlink(io->context, name);
		if (rc != 0)
			error_set(err, rc, "%s: %s", name, strerror(-rc));
		journal->next_number = number;
		goto out;
	}
	if (rc != 0)
		goto out;
	size = io->size(io->context, fd);
	if (size < 0) {
		rc = error_set(err, (int)size, "%s: %s", name, strerror((int)-size));
		goto out;
	}
	rc = add_segment(journal, header, (uint64_t)size, err);
out:
	if (fd >= 0)
		io->close(io->context, fd);
	free(header);
	return rc;
}

static int end_in_last(struct journal *journal, struct error *err)
{
	const struct journal_io *io = &journal->options.io;
	const struct journal_segment *segment = &journal->segments[journal->n_segments - 1];
	char name[JOURNAL_NAME_BYTES];
	int fd, rc;

	journal_segment_name(segment->number, name);
	fd = io->open(io->context, name, false, true);
	if (fd < 0)
		return error_set(err, fd, "%s: %s", name, strerror(-fd));
	rc = find_end(journal, fd, segment->bytes, err);
	io->close(io->context, fd);
	return rc;
}

int journal_recover(struct journal *journal, struct error *err)
{
	const struct journal_io *io = &journal->options.io;
	struct journal_checkpoint *checkpoint = journal->checkpoint;
	struct found found = {0};
	bool is_new;
	int rc = list(journal, &found, err);

	if (rc == 0)
		rc = read_checkpoint(journal, &found, &is_new, err);
	if (rc == 0 && is_new && found.n > 0)
		rc = adopt(journal, found.numbers[0], err);
	if (rc == 0)
		rc = check_numbers(journal, &found, err);
	if (rc != 0)
		goto out;
	journal->seed = journal_seed(journal->id);
	journal->next_number = 1;
	for (size_t i = 0; rc == 0 && i < found.n; i++)
		rc = read_segment(journal, found.numbers[i], i + 1 == found.n, err);
	if (rc != 0)
		goto out;
	journal->end = (struct journal_position){.segment = journal->next_number,
	    .offset = JOURNAL_HEADER_BYTES,
	    .sequence = checkpoint->synced.sequence,
	    .event = checkpoint->synced.event};
	if (journal->n_segments > 0)
		rc = end_in_last(journal, err);
	if (rc != 0)
		goto out;
	for (uint32_t i = 0; i < checkpoint->n_marks; i++) {
		if (checkpoint->marks[i].position.sequence > journal->end.sequence) {
			rc = error_set(err, -ENOENT,
			    "the checkpoint is at record %" PRIu64 ", but the segments end at %" PRIu64,
			    checkpoint->marks[i].position.sequence, journal->end.sequence);
			goto out;
		}
	}
	if (checkpoint->n_marks > 0)
		journal->start = oldest(checkpoint);
	else if (journal->n_segments > 0)
		journal->start = (struct journal_position){journal->segments[0].number, JOURNAL_HEADER_BYTES,
		    journal->segments[0].first_sequence, journal->segments[0].first_event};
	else
		journal->start = journal->end;
	journal->opened_end = journal->end;
	if (is_new) {
		memcpy(checkpoint->id, journal->id, sizeof(journal->id));
		rc = journal_checkpoint_create(io, checkpoint, &journal->checkpoint_fd, err);
	}
out:
	free(found.numbers);
	return rc;
}
