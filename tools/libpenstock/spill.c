/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/spill.h"

#include "siphash.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTE 4096u                /* of the records */
#define RECORD_MAGIC 0x52534e50u        /* "PNSR" */
#define DEAD_MAGIC 0x44534e50u          /* "PNSD" */
#define PUNCH_BYTES (UINT64_C(1) << 20) /* released, before the file system is told */
#define VERSION 1u

static const char file_magic[8] = "PNSSPILL";
static const uint8_t checksum_key[16] = "penstock spill 1"; /* against accidents, not against people */

struct preamble { /* little-endian, at 0 */
	char magic[8];
	uint32_t version;
	uint32_t stream;
	uint64_t source_id;
	uint64_t checksum; /* of what comes before */
};

struct position {        /* little-endian, at 512 and 1024 */
	uint64_t serial; /* the higher one holds */
	uint64_t head;
	uint64_t checksum;
};

struct record {
	uint32_t magic;
	uint32_t len; /* of what follows the checksum */
	uint64_t checksum;
	uint16_t count;
	uint16_t payload;
	uint32_t zero;
	/* tags, ends, payload */
};

_Static_assert(sizeof(struct preamble) == 32, "as documented");
_Static_assert(sizeof(struct record) == 24, "as documented");

#define RECORD_HEAD offsetof(struct record, count) /* magic, length, checksum */
#define RECORD_MAX (sizeof(struct record) + WIRE_MAX_EVENTS * 10 + UINT16_MAX)

struct spill {
	int fd;
	struct spill_options options;
	char *path;
	struct spill_counts counts;
	uint64_t head, read, tail;
	uint64_t recovered_end; /* records before it were there when it was opened */
	uint64_t serial;
	uint64_t punched;
	uint8_t buffer[RECORD_MAX + 8];
};

static uint64_t checksum(const void *data, size_t len)
{
	uint64_t out[2];

	siphash13_128(checksum_key, data, len, out);
	return htole64(out[0]);
}

/* Of a record at `at`: `bytes` are those after the checksum, and there is room for 8 more behind them. */
static uint64_t record_checksum(uint8_t *bytes, size_t len, uint64_t at)
{
	uint64_t position = htole64(at);

	memcpy(bytes + len, &position, sizeof(position));
	return checksum(bytes, len + sizeof(position));
}

static int failed(const struct spill *spill, const char *what, struct error *err)
{
	int code = errno != 0 ? -errno : -EIO;

	return error_set(err, code, "%s: %s: %s", spill->path, what, strerror(-code));
}

/* All or an error. */
static int write_at(struct spill *spill, const void *data, size_t len, uint64_t at, struct error *err)
{
	const uint8_t *from = data;

	while (len > 0) {
		ssize_t n = pwrite(spill->fd, from, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ENOSPC : errno;
			return failed(spill, "cannot write", err);
		}
		from += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Returns how many bytes were there, or -errno. */
static ssize_t read_at(struct spill *spill, void *data, size_t len, uint64_t at, struct error *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(spill->fd, (uint8_t *)data + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(spill, "cannot read", err);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int write_position(struct spill *spill, struct error *err)
{
	struct position position = {.serial = htole64(++spill->serial), .head = htole64(spill->head)};

	position.checksum = checksum(&position, offsetof(struct position, checksum));
	return write_at(spill, &position, sizeof(position), spill->serial % 2 ? 512 : 1024, err);
}

/* In one write: what is cut short is no file yet, or one that is refused. */
static int make(struct spill *spill, struct error *err)
{
	struct preamble preamble = {.version = htole32(VERSION),
	    .stream = htole32(spill->options.stream),
	    .source_id = htole64(spill->options.source_id)};
	struct position position = {.serial = htole64(1), .head = htole64(FIRST_BYTE)};

	memcpy(preamble.magic, file_magic, sizeof(preamble.magic));
	preamble.checksum = checksum(&preamble, offsetof(struct preamble, checksum));
	position.checksum = checksum(&position, offsetof(struct position, checksum));
	memset(spill->buffer, 0, FIRST_BYTE);
	memcpy(spill->buffer, &preamble, sizeof(preamble));
	memcpy(spill->buffer + 512, &position, sizeof(position));
	spill->serial = 1;
	spill->head = spill->tail = FIRST_BYTE;
	return write_at(spill, spill->buffer, FIRST_BYTE, 0, err);
}

static int read_preamble(struct spill *spill, struct error *err)
{
	struct preamble preamble;
	ssize_t n = read_at(spill, &preamble, sizeof(preamble), 0, err);

	if (n < 0)
		return (int)n;
	if (n != sizeof(preamble) || memcmp(preamble.magic, file_magic, sizeof(file_magic)) != 0)
		return error_set(err, -EBADMSG, "%s: is not a spill file of libpenstock", spill->path);
	if (preamble.checksum != checksum(&preamble, offsetof(struct preamble, checksum)))
		return error_set(err, -EBADMSG, "%s: the first bytes are damaged", spill->path);
	if (le32toh(preamble.version) != VERSION)
		return error_set(err, -EBADMSG, "%s: version %u; this library reads %u", spill->path,
		    le32toh(preamble.version), VERSION);
	if (le32toh(preamble.stream) != spill->options.stream ||
	    le64toh(preamble.source_id) != spill->options.source_id)
		return error_set(err, -EBADMSG,
		    "%s: holds events of another stream or source (source %" PRIu64 ")", spill->path,
		    le64toh(preamble.source_id));
	return 0;
}

static int read_position(struct spill *spill, struct error *err)
{
	for (uint64_t at = 512; at <= 1024; at += 512) {
		struct position position;
		ssize_t n = read_at(spill, &position, sizeof(position), at, err);

		if (n < 0)
			return (int)n;
		if (n != sizeof(position) ||
		    position.checksum != checksum(&position, offsetof(struct position, checksum)) ||
		    le64toh(position.head) < FIRST_BYTE || le64toh(position.serial) <= spill->serial)
			continue;
		spill->serial = le64toh(position.serial);
		spill->head = le64toh(position.head);
	}
	if (spill->head == 0)
		return error_set(err, -EBADMSG, "%s: does not say where its first event is", spill->path);
	return 0;
}

/* Reads the record at `at` into the buffer and checks it. 1; 2 if it is to be stepped over; 0 if it is cut or not right; or -errno. *len is the whole
 * record's as far as that is known, otherwise 0. */
static int read_record(struct spill *spill, uint64_t at, size_t *len, struct error *err)
{
	struct record *record = (struct record *)spill->buffer;
	uint8_t *body = spill->buffer + RECORD_HEAD;
	ssize_t n = read_at(spill, spill->buffer, sizeof(*record), at, err);
	size_t body_len, ends;
	uint32_t count, payload;

	*len = 0;
	if (n < (ssize_t)sizeof(*record) ||
	    (le32toh(record->magic) != RECORD_MAGIC && le32toh(record->magic) != DEAD_MAGIC))
		return n < 0 ? (int)n : 0;
	count = le16toh(record->count);
	payload = le16toh(record->payload);
	body_len = le32toh(record->len);
	if (count < 1 || count > WIRE_MAX_EVENTS || payload < count || record->zero != 0 ||
	    body_len != sizeof(*record) - RECORD_HEAD + count * 10 + payload)
		return 0;
	*len = RECORD_HEAD + body_len;
	n = read_at(spill, body, body_len, at + RECORD_HEAD, err);
	if (n < (ssize_t)body_len)
		return n < 0 ? (int)n : 0;
	if (record->checksum != record_checksum(body, body_len, at))
		return 0;
	ends = sizeof(*record) + count * 8;
	for (uint32_t i = 0, last = 0; i < count; i++) {
		uint16_t end;

		memcpy(&end, spill->buffer + ends + i * 2, sizeof(end));
		if (le16toh(end) <= last || le16toh(end) > payload)
			return 0;
		last = le16toh(end) + 1u;
	}
	return le32toh(record->magic) == RECORD_MAGIC ? 1 : 2;
}

/* Reads all records from the head. Only the last one may be torn: it was being written when the process ended. */
static int scan(struct spill *spill, uint64_t size, struct error *err)
{
	const struct record *record = (const struct record *)spill->buffer;
	uint64_t at = spill->head;
	size_t len;

	while (at < size) {
		int ret = read_record(spill, at, &len, err);

		if (ret < 0)
			return ret;
		if (ret == 0 && len != 0 && at + len < size)
			return error_set(
			    err, -EBADMSG, "%s: the record at byte %" PRIu64 " is damaged", spill->path, at);
		if (ret == 0 && len == 0 && size - at > sizeof(spill->buffer))
			return error_set(err, -EBADMSG, "%s: no record at byte %" PRIu64, spill->path, at);
		if (ret == 0)
			break;
		if (le16toh(record->payload) > spill->options.max_payload)
			return error_set(err, -EMSGSIZE,
			    "%s: holds frames of %u bytes; datagram_bytes only has room for %u", spill->path,
			    le16toh(record->payload), spill->options.max_payload);
		if (ret == 1) {
			spill->counts.unread_frames++;
			spill->counts.unread_events += le16toh(record->count);
		}
		at += len;
	}
	spill->counts.torn_bytes = at < size ? size - at : 0;
	spill->tail = at;
	return at < size && ftruncate(spill->fd, (off_t)at) != 0 ? failed(spill, "cannot cut", err) : 0;
}

static int load(struct spill *spill, struct error *err)
{
	struct stat status;
	int ret;

	if (flock(spill->fd, LOCK_EX | LOCK_NB) != 0)
		return error_set(err, -EBUSY, "%s: is in use by another process", spill->path);
	if (fstat(spill->fd, &status) != 0)
		return failed(spill, "cannot look at it", err);
	if (!S_ISREG(status.st_mode))
		return error_set(err, -EBADMSG, "%s: is not a file", spill->path);
	if (status.st_size == 0)
		return make(spill, err);
	ret = read_preamble(spill, err);
	if (ret == 0)
		ret = read_position(spill, err);
	if (ret != 0)
		return ret;
	if (spill->head > (uint64_t)status.st_size) { /* emptied and cut, and not yet written down */
		spill->head = spill->tail = FIRST_BYTE;
		return write_position(spill, err);
	}
	return scan(spill, (uint64_t)status.st_size, err);
}

int spill_open(const struct spill_options *options, struct spill **out, struct error *err)
{
	struct spill *spill = calloc(1, sizeof(*spill));
	int ret;

	*out = NULL;
	if (spill == NULL)
		return error_set(err, -ENOMEM, "no memory for the spill file");
	spill->options = *options;
	spill->path = strdup(options->path);
	if (spill->path == NULL) {
		free(spill);
		return error_set(err, -ENOMEM, "no memory for the spill file");
	}
	spill->fd = open(spill->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (spill->fd < 0) {
		ret = failed(spill, "cannot open", err);
		goto err;
	}
	ret = load(spill, err);
	if (ret != 0)
		goto err;
	spill->read = spill->punched = spill->head;
	spill->recovered_end = spill->tail;
	spill->counts.recovered_events = spill->counts.unread_events;
	spill->counts.used_bytes = spill->tail - spill->head;
	*out = spill;
	return 0;
err:
	spill_close(spill);
	return ret;
}

void spill_close(struct spill *spill)
{
	if (spill == NULL)
		return;
	if (spill->fd >= 0)
		(void)close(spill->fd);
	free(spill->path);
	free(spill);
}

const struct spill_counts *spill_counts(const struct spill *spill)
{
	return &spill->counts;
}

uint32_t spill_record_bytes(const struct outgoing *frame)
{
	return (uint32_t)sizeof(struct record) + frame->count * 10u + frame->len;
}

/* An error costs a duplicate at the next run, no more. */
void spill_forget(struct spill *spill, uint64_t end, uint32_t bytes)
{
	uint32_t magic = htole32(DEAD_MAGIC);

	if (end - bytes >= spill->head)
		(void)write_at(spill, &magic, sizeof(magic), end - bytes, NULL);
}

int spill_append(struct spill *spill, struct outgoing *frame, bool unread, struct error *err)
{
	size_t len = spill_record_bytes(frame);
	struct record record = {.magic = htole32(RECORD_MAGIC),
	    .len = htole32((uint32_t)(len - RECORD_HEAD)),
	    .count = htole16(frame->count),
	    .payload = htole16(frame->len)};
	uint8_t *at = spill->buffer + sizeof(record);
	int ret;

	if (FIRST_BYTE + spill->counts.used_bytes + len > spill->options.max_bytes)
		return error_set(
		    err, -ENOSPC, "%s: is full (%" PRIu64 " bytes)", spill->path, spill->options.max_bytes);
	for (uint32_t i = 0; i < frame->count; i++, at += 8) {
		uint64_t tag = htole64(frame->tags[i]);

		memcpy(at, &tag, sizeof(tag));
	}
	for (uint32_t i = 0; i < frame->count; i++, at += 2) {
		uint16_t end = htole16(frame->end[i]);

		memcpy(at, &end, sizeof(end));
	}
	for (uint32_t i = 0; i < frame->count; i++) {
		memcpy(at, outgoing_event(frame, i), outgoing_event_len(frame, i));
		at += outgoing_event_len(frame, i);
		if (i + 1u < frame->count)
			*at++ = '\n';
	}
	memcpy(spill->buffer, &record, sizeof(record));
	record.checksum = record_checksum(spill->buffer + RECORD_HEAD, len - RECORD_HEAD, spill->tail);
	memcpy(spill->buffer, &record, RECORD_HEAD);
	ret = write_at(spill, spill->buffer, len, spill->tail, err);
	if (ret != 0) {
		/* Half a record would be taken for damage if others followed. */
		if (ftruncate(spill->fd, (off_t)spill->tail) != 0)
			return failed(spill, "cannot cut", err);
		return ret;
	}
	spill->tail += len;
	spill->counts.used_bytes += len;
	frame->spill_end = spill->tail;
	if (unread) {
		spill->counts.unread_frames++;
		spill->counts.unread_events += frame->count;
	} else {
		spill->read = spill->tail;
	}
	return 0;
}

int spill_read(struct spill *spill, struct outgoing *frame, struct error *err)
{
	const struct record *record = (const struct record *)spill->buffer;
	const uint8_t *at = spill->buffer + sizeof(*record);
	size_t len;
	int ret;

	do {
		if (spill->read == spill->tail)
			return 0;
		ret = read_record(spill, spill->read, &len, err);
		if (ret == 2)
			spill->read += len;
	} while (ret == 2);
	if (ret < 0)
		return ret;
	if (ret == 0)
		return error_set(
		    err, -EBADMSG, "%s: the record at byte %" PRIu64 " is damaged", spill->path, spill->read);
	frame->count = le16toh(record->count);
	frame->len = le16toh(record->payload);
	frame->borrowed = false;
	for (uint32_t i = 0; i < frame->count; i++, at += 8) {
		memcpy(&frame->tags[i], at, sizeof(frame->tags[i]));
		frame->tags[i] = le64toh(frame->tags[i]);
	}
	for (uint32_t i = 0; i < frame->count; i++, at += 2) {
		memcpy(&frame->end[i], at, sizeof(frame->end[i]));
		frame->end[i] = le16toh(frame->end[i]);
	}
	memcpy(frame->datagram + WIRE_HEADER_BYTES, at, frame->len);
	frame->recovered = spill->read < spill->recovered_end;
	spill->read += len;
	frame->spill_end = spill->read;
	spill->counts.unread_frames--;
	spill->counts.unread_events -= frame->count;
	return 1;
}

/* An error here costs disk space or, after a crash, duplicates; the events themselves are safe. */
void spill_release(struct spill *spill, uint64_t end)
{
	if (end <= spill->head)
		return;
	spill->head = end;
	if (spill->head == spill->tail) {
		if (ftruncate(spill->fd, FIRST_BYTE) == 0)
			spill->head = spill->read = spill->tail = spill->punched = FIRST_BYTE;
		spill->recovered_end = 0;
	} else if (spill->head - spill->punched >= PUNCH_BYTES) {
		uint64_t to = spill->head & ~UINT64_C(4095);

		(void)fallocate(spill->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FIRST_BYTE,
		    (off_t)(to - FIRST_BYTE));
		spill->punched = to;
	}
	spill->counts.used_bytes = spill->tail - spill->head;
	(void)write_position(spill, NULL);
}

int spill_sync(struct spill *spill, struct error *err)
{
	return fdatasync(spill->fd) == 0 ? 0 : failed(spill, "cannot sync", err);
}
