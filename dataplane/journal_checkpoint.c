/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC "PNSKCKPT"

static uint64_t sum(const struct journal_checkpoint *checkpoint)
{
	const size_t at = offsetof(struct journal_checkpoint, checksum);
	const uint64_t zero = 0;
	XXH3_state_t state;

	XXH3_INITSTATE(&state);
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, checkpoint, at);
	XXH3_64bits_update(&state, &zero, sizeof(zero));
	XXH3_64bits_update(
	    &state, (const char *)checkpoint + at + sizeof(zero), sizeof(*checkpoint) - at - sizeof(zero));
	return XXH3_64bits_digest(&state);
}

static bool terminated(const struct journal_mark *mark)
{
	return memchr(mark->stream, '\0', sizeof(mark->stream)) != NULL &&
	       memchr(mark->sink, '\0', sizeof(mark->sink)) != NULL;
}

/* 0, -ENODATA: zeros, -EBADMSG, -EPROTONOSUPPORT. */
static int check(const struct journal_checkpoint *slot)
{
	const char *bytes = (const char *)slot;

	if (bytes[0] == '\0' && memcmp(bytes, bytes + 1, sizeof(*slot) - 1) == 0)
		return -ENODATA;
	if (memcmp(slot->magic, MAGIC, sizeof(slot->magic)) != 0)
		return -EBADMSG;
	if (slot->version != JOURNAL_VERSION)
		return -EPROTONOSUPPORT;
	if (slot->checksum != sum(slot) || slot->n_marks > JOURNAL_MARKS || slot->slot > 1)
		return -EBADMSG;
	for (uint32_t i = 0; i < slot->n_marks; i++) {
		if (!terminated(&slot->marks[i]))
			return -EBADMSG;
	}
	return 0;
}

int journal_checkpoint_read(const struct journal_io *io, struct journal_checkpoint *out, struct error *err)
{
	struct journal_checkpoint *slot = malloc(sizeof(*slot));
	int fd, verdict[JOURNAL_CHECKPOINT_SLOTS], found = -1, rc;

	if (slot == NULL)
		return error_set(err, -ENOMEM, JOURNAL_CHECKPOINT_NAME ": no memory");
	fd = io->open(io->context, JOURNAL_CHECKPOINT_NAME, false, false);
	if (fd < 0) {
		rc = error_set(err, fd, JOURNAL_CHECKPOINT_NAME ": %s", strerror(-fd));
		goto out;
	}
	for (int i = 0; i < (int)JOURNAL_CHECKPOINT_SLOTS; i++) {
		struct iovec iov = {slot, sizeof(*slot)};

		rc = journal_read_all(io, fd, &iov, 1, (uint64_t)i * JOURNAL_CHECKPOINT_SLOT);
		if (rc != 0 && rc != -ENODATA && rc != -EIO) {
			error_set(err, rc, JOURNAL_CHECKPOINT_NAME ": %s", strerror(-rc));
			goto out;
		}
		verdict[i] = rc == -EIO ? -EBADMSG : rc != 0 ? rc : check(slot);
		if (verdict[i] == 0 && (found < 0 || slot->generation > out->generation)) {
			found = i;
			*out = *slot;
		}
	}
	rc = 0;
	if (found >= 0)
		goto out;
	if (verdict[0] == -EPROTONOSUPPORT || verdict[1] == -EPROTONOSUPPORT)
		rc = error_set(err, -EPROTONOSUPPORT,
		    JOURNAL_CHECKPOINT_NAME ": written in another version of the journal's format than %u",
		    JOURNAL_VERSION);
	else if (verdict[0] == -ENODATA && verdict[1] == -ENODATA)
		rc = error_set(err, -ENODATA, JOURNAL_CHECKPOINT_NAME ": empty");
	else
		rc = error_set(
		    err, -EBADMSG, JOURNAL_CHECKPOINT_NAME ": damaged: no whole checkpoint is in it");
out:
	if (fd >= 0)
		io->close(io->context, fd);
	free(slot);
	return rc;
}

static int write_slot(const struct journal_io *io, int fd, struct journal_checkpoint *checkpoint,
    uint64_t slot, bool sync, struct error *err)
{
	struct iovec iov = {checkpoint, sizeof(*checkpoint)};
	int rc;

	memcpy(checkpoint->magic, MAGIC, sizeof(checkpoint->magic));
	checkpoint->version = JOURNAL_VERSION;
	checkpoint->generation++;
	checkpoint->checksum = sum(checkpoint);
	rc = journal_write_all(io, fd, &iov, 1, slot * JOURNAL_CHECKPOINT_SLOT);
	if (rc == 0 && sync)
		rc = io->fdatasync(io->context, fd);
	return rc == 0 ? 0 : error_set(err, rc, JOURNAL_CHECKPOINT_NAME ": %s", strerror(-rc));
}

int journal_checkpoint_note(
    const struct journal_io *io, int fd, struct journal_checkpoint *checkpoint, struct error *err)
{
	return write_slot(io, fd, checkpoint, 2, false, err);
}

int journal_checkpoint_write(
    const struct journal_io *io, int fd, struct journal_checkpoint *checkpoint, struct error *err)
{
	uint64_t newest = checkpoint->slot;
	int rc;

	checkpoint->slot = 1 - newest;
	rc = write_slot(io, fd, checkpoint, checkpoint->slot, true, err);
	if (rc != 0)
		checkpoint->slot = newest;
	return rc;
}

int journal_checkpoint_create(
    const struct journal_io *io, struct journal_checkpoint *checkpoint, int *fd, struct error *err)
{
	int rc;

	*fd = io->open(io->context, JOURNAL_CHECKPOINT_NAME, true, true);
	if (*fd < 0)
		return error_set(err, *fd, JOURNAL_CHECKPOINT_NAME ": %s", strerror(-*fd));
	rc = io->allocate(io->context, *fd, JOURNAL_CHECKPOINT_SLOTS * JOURNAL_CHECKPOINT_SLOT);
	if (rc == 0)
		rc = journal_checkpoint_write(io, *fd, checkpoint, err);
	else
		error_set(err, rc, JOURNAL_CHECKPOINT_NAME ": %s", strerror(-rc));
	if (rc == 0) {
		rc = io->sync_directory(io->context);
		if (rc != 0)
			error_set(err, rc, "the directory could not be synced: %s", strerror(-rc));
	}
	if (rc != 0) {
		io->close(io->context, *fd);
		(void)io->unlink(io->context, JOURNAL_CHECKPOINT_NAME);
		*fd = -1;
	}
	return rc;
}
