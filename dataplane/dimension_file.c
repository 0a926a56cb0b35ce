/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimension_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define READ_MAX (1u << 30) /* one call to pread() */

static int read_at(int fd, void *to, uint64_t bytes, uint64_t offset, struct error *err)
{
	uint8_t *next = to;

	while (bytes > 0) {
		ssize_t n = pread(fd, next, bytes < READ_MAX ? bytes : READ_MAX, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, -errno, "cannot read: %s", strerror(errno));
		if (n == 0)
			return error_set(err, -EBADMSG, "the file ends at byte %lu", offset);
		next += n;
		bytes -= (uint64_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int check_preamble(const struct dimension_preamble *preamble, uint64_t file_bytes, struct error *err)
{
	if (memcmp(preamble->magic, DIMENSION_MAGIC, sizeof(preamble->magic)) != 0)
		return error_set(
		    err, -EBADMSG, "not a dimension snapshot (no \"%s\" at its start)", DIMENSION_MAGIC);
	if (preamble->format_version != DIMENSION_FORMAT_VERSION)
		return error_set(err, -EPROTONOSUPPORT, "format version %u, this program reads version %u",
		    preamble->format_version, DIMENSION_FORMAT_VERSION);
	if (preamble->reserved != 0)
		return error_set(err, -EBADMSG, "preamble: the reserved bytes are not zero");
	if (preamble->header_bytes == 0 || preamble->header_bytes > DIMENSION_HEADER_MAX_BYTES)
		return error_set(err, -EBADMSG,
		    "preamble: a header of %u bytes, between 1 and %u are allowed", preamble->header_bytes,
		    DIMENSION_HEADER_MAX_BYTES);
	if (file_bytes - sizeof(*preamble) < preamble->header_bytes)
		return error_set(err, -EBADMSG, "truncated: %lu bytes cannot hold a header of %u bytes",
		    file_bytes, preamble->header_bytes);
	return 0;
}

static int read_header(
    struct dimension_file *file, const struct dimension_preamble *preamble, struct error *err)
{
	void *bytes = malloc(preamble->header_bytes);
	int rc;

	if (bytes == NULL)
		return error_set(err, -ENOMEM, "no memory for the header");
	rc = read_at(file->fd, bytes, preamble->header_bytes, sizeof(*preamble), err);
	if (rc != 0)
		goto out;
	if (XXH3_64bits(bytes, preamble->header_bytes) != preamble->header_xxh3) {
		rc = error_set(err, -EBADMSG, "header: wrong checksum");
		goto out;
	}
	rc = dimension_header_decode(bytes, preamble->header_bytes, &file->header, err);
out:
	free(bytes);
	return rc;
}

static int check_gap(const struct dimension_file *file, uint64_t from, uint64_t to, struct error *err)
{
	char zeros[DIMENSION_MAX_GAP];
	int rc;

	if (to - from > sizeof(zeros))
		return error_set(err, -EBADMSG, "%lu unused bytes at %lu, at most %zu are allowed", to - from,
		    from, sizeof(zeros));
	rc = read_at(file->fd, zeros, to - from, from, err);
	if (rc != 0)
		return rc;
	for (uint64_t i = 0; i < to - from; i++)
		if (zeros[i] != 0)
			return error_set(err, -EBADMSG, "the unused byte at %lu is not zero", from + i);
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct dimension_section *left = a, *right = b;

	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static int check_bounds(
    const struct dimension_file *file, const struct dimension_section *section, struct error *err)
{
	if (section->offset % DIMENSION_SECTION_ALIGN != 0)
		return error_set(err, -EBADMSG, "section %u: offset %lu is not a multiple of %u",
		    section->kind, section->offset, DIMENSION_SECTION_ALIGN);
	if (section->offset > file->bytes || section->length > file->bytes - section->offset)
		return error_set(err, -EBADMSG,
		    "truncated: section %u of %lu bytes at %lu does not fit in %lu bytes", section->kind,
		    section->length, section->offset, file->bytes);
	return 0;
}

/* Every byte of the file belongs to exactly one part, or is zero. */
static int check_layout(struct dimension_file *file, uint64_t header_end, struct error *err)
{
	struct dimension_section *section = file->header.sections;
	uint64_t end = header_end;
	int rc;

	for (size_t i = 0; i < file->header.n_sections; i++) {
		rc = check_bounds(file, &section[i], err);
		if (rc != 0)
			return rc;
	}
	qsort(section, file->header.n_sections, sizeof(*section), by_offset);
	for (size_t i = 0; i < file->header.n_sections; i++) {
		if (section[i].offset < end)
			return error_set(err, -EBADMSG, "section %u at %lu overlaps what ends at %lu",
			    section[i].kind, section[i].offset, end);
		rc = check_gap(file, end, section[i].offset, err);
		if (rc != 0)
			return rc;
		end = section[i].offset + section[i].length;
	}
	if (end != file->bytes)
		return error_set(err, -EBADMSG, "%lu bytes after the last section", file->bytes - end);
	return 0;
}

static int find_section(const struct dimension_file *file, enum dimension_section_kind kind, const char *what,
    struct dimension_section *out, struct error *err)
{
	unsigned int found = 0;

	for (size_t i = 0; i < file->header.n_sections; i++) {
		if (file->header.sections[i].kind == kind) {
			*out = file->header.sections[i];
			found++;
		}
	}
	if (found != 1)
		return error_set(err, -EBADMSG, "%u sections of %s, there must be one", found, what);
	return 0;
}

int dimension_file_open(const char *path, struct dimension_file *out, struct error *err)
{
	struct dimension_preamble preamble;
	struct stat st;
	int rc;

	memset(out, 0, sizeof(*out));
	/* Opening a FIFO must not wait for its other end. */
	out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (out->fd < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	if (fstat(out->fd, &st) != 0) {
		rc = error_set(err, -errno, "%s", strerror(errno));
		goto err;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = error_set(err, -EBADMSG, "not a regular file");
		goto err;
	}
	out->bytes = (uint64_t)st.st_size;
	if (out->bytes < sizeof(preamble)) {
		rc = error_set(err, -EBADMSG, "not a dimension snapshot (only %lu bytes)", out->bytes);
		goto err;
	}
	rc = read_at(out->fd, &preamble, sizeof(preamble), 0, err);
	if (rc == 0)
		rc = check_preamble(&preamble, out->bytes, err);
	if (rc == 0)
		rc = read_header(out, &preamble, err);
	if (rc == 0)
		rc = check_layout(out, sizeof(preamble) + preamble.header_bytes, err);
	if (rc == 0)
		rc = find_section(out, DIMENSION_SECTION_BUCKETS, "buckets", &out->buckets, err);
	if (rc == 0)
		rc = find_section(out, DIMENSION_SECTION_ROWS, "rows", &out->rows, err);
	if (rc == 0)
		return 0;
err:
	dimension_file_close(out);
	return rc;
}

int dimension_file_read(const struct dimension_file *file, const struct dimension_section *section,
    const char *what, void *to, struct error *err)
{
	int rc = read_at(file->fd, to, section->length, section->offset, err);

	if (rc != 0)
		return error_prefix(err, rc, "%s", what);
	if (XXH3_64bits(to, section->length) != section->xxh3)
		return error_set(err, -EBADMSG, "%s: wrong checksum", what);
	return 0;
}

void dimension_file_close(struct dimension_file *file)
{
	dimension_header_free(&file->header);
	if (file->fd >= 0)
		(void)close(file->fd);
	file->fd = -1;
}
