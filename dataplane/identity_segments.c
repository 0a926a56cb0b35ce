/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity_segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".ids"
#define NAME_LEN (16 + sizeof(SUFFIX) - 1)

void identity_segment_path(
    const struct identity_segments *segments, uint64_t sequence, char path[IDENTITY_PATH_BYTES])
{
	(void)snprintf(path, IDENTITY_PATH_BYTES, "%s/%016" PRIx64 SUFFIX, segments->directory, sequence);
}

static bool parse_name(const char *name, uint64_t *sequence)
{
	char *end;

	if (strlen(name) != NAME_LEN || strcmp(name + 16, SUFFIX) != 0 ||
	    strspn(name, "0123456789abcdef") != 16)
		return false;
	*sequence = strtoull(name, &end, 16);
	return end == name + 16 && *sequence < UINT64_MAX;
}

static int compare(const void *a, const void *b)
{
	const struct identity_segment *x = a, *y = b;

	return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static int list(struct identity_segments *segments, struct error *err)
{
	DIR *directory = opendir(segments->directory);
	struct dirent *entry;
	int ret = 0;

	if (directory == NULL)
		return error_set(err, -errno, "%s: %s", segments->directory, strerror(errno));
	while (ret == 0 && (entry = readdir(directory)) != NULL) {
		struct identity_segment *segment = &segments->list[segments->n];
		struct stat status;
		uint64_t sequence;

		if (!parse_name(entry->d_name, &sequence) ||
		    fstatat(segments->directory_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(status.st_mode))
			continue;
		if (segments->n == IDENTITY_MAX_SEGMENTS - 1) {
			ret = error_set(err, -ENOSPC, "%s: more than %u segments", segments->directory,
			    IDENTITY_MAX_SEGMENTS - 1);
			break;
		}
		*segment = (struct identity_segment){.sequence = sequence, .bytes = (uint64_t)status.st_size};
		segments->bytes += segment->bytes;
		segments->n++;
		if (sequence >= segments->next_sequence)
			segments->next_sequence = sequence + 1;
	}
	closedir(directory);
	qsort(segments->list, segments->n, sizeof(segments->list[0]), compare);
	return ret;
}

int identity_segments_open(const char *directory, struct identity_segments *segments, struct error *err)
{
	int ret;

	memset(segments, 0, sizeof(*segments));
	segments->fd = segments->directory_fd = -1;
	if ((size_t)snprintf(segments->directory, sizeof(segments->directory), "%s", directory) >=
	    sizeof(segments->directory))
		return error_set(err, -ENAMETOOLONG, "%s: path too long", directory);
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", directory, strerror(errno));
	segments->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (segments->directory_fd < 0)
		return error_set(err, -errno, "%s: %s", directory, strerror(errno));
	ret = list(segments, err);
	if (ret != 0)
		identity_segments_close(segments);
	return ret;
}

void identity_segments_close(struct identity_segments *segments)
{
	if (segments->fd >= 0)
		(void)close(segments->fd);
	if (segments->directory_fd >= 0)
		(void)close(segments->directory_fd);
	segments->fd = segments->directory_fd = -1;
}

static int write_all(int fd, const uint8_t *data, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static void drop(struct identity_segments *segments, uint32_t i)
{
	segments->bytes -= segments->list[i].bytes;
	segments->n--;
	memmove(&segments->list[i], &segments->list[i + 1], (segments->n - i) * sizeof(segments->list[0]));
}

int identity_segments_begin(
    struct identity_segments *segments, const void *head, size_t len, int64_t now_ms, struct error *err)
{
	char path[IDENTITY_PATH_BYTES];
	int fd, ret;

	if (segments->n == IDENTITY_MAX_SEGMENTS)
		return error_set(
		    err, -ENOSPC, "%s: %u segments are the most", segments->directory, segments->n);
	identity_segment_path(segments, segments->next_sequence, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	ret = write_all(fd, head, len, 0);
	if (ret == 0 && (fdatasync(fd) != 0 || fsync(segments->directory_fd) != 0))
		ret = -errno;
	if (ret != 0) {
		(void)close(fd);
		(void)unlink(path);
		return error_set(err, ret, "%s: %s", path, strerror(-ret));
	}
	if (segments->fd >= 0)
		(void)close(segments->fd);
	segments->fd = fd;
	segments->list[segments->n++] = (struct identity_segment){
	    .sequence = segments->next_sequence++, .bytes = len, .newest_ms = now_ms};
	segments->bytes += len;
	return 0;
}

int identity_segments_append(
    struct identity_segments *segments, const void *data, size_t len, int64_t now_ms, struct error *err)
{
	struct identity_segment *current = &segments->list[segments->n - 1];
	int ret = write_all(segments->fd, data, len, current->bytes);

	if (ret != 0) {
		char path[IDENTITY_PATH_BYTES];

		identity_segment_path(segments, current->sequence, path);
		return error_set(err, ret, "%s: %s", path, strerror(-ret));
	}
	current->bytes += len;
	current->newest_ms = now_ms;
	segments->bytes += len;
	return 0;
}

void identity_segments_expire(struct identity_segments *segments, int64_t oldest_ms, uint64_t max_bytes)
{
	uint32_t i = 0;

	while (i + 1 < segments->n) {
		const struct identity_segment *segment = &segments->list[i];
		char path[IDENTITY_PATH_BYTES];

		if (segment->keep ||
		    (segment->newest_ms >= oldest_ms && (max_bytes == 0 || segments->bytes <= max_bytes))) {
			i++;
			continue;
		}
		identity_segment_path(segments, segment->sequence, path);
		if (unlink(path) != 0 && errno != ENOENT) {
			i++; /* tried again at the next expiry */
			continue;
		}
		drop(segments, i);
	}
}
