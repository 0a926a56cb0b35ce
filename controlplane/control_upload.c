/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PREFIX ".upload-"

int upload_open(struct upload *upload, const char *directory, uint64_t announced, struct error *err)
{
	struct statvfs disk;
	uint64_t available;

	upload->path[0] = '\0';
	upload->bytes = 0;
	upload->fd = -1;
	if (statvfs(directory, &disk) < 0)
		return error_set(err, -errno, "%.200s: %s", directory, strerror(errno));
	available = (uint64_t)disk.f_bavail * disk.f_frsize;
	upload->limit = available > UPLOAD_RESERVE_BYTES ? available - UPLOAD_RESERVE_BYTES : 0;
	if (announced > upload->limit || upload->limit == 0)
		return error_set(err, -ENOSPC, "%" PRIu64 " bytes do not fit: %.200s has room for %" PRIu64,
		    announced, directory, upload->limit);
	if (snprintf(upload->path, sizeof(upload->path), "%s/" PREFIX "XXXXXX", directory) >=
	    (int)sizeof(upload->path)) {
		upload->path[0] = '\0';
		return error_set(err, -ENAMETOOLONG, "the state directory's path is too long");
	}
	upload->fd = mkostemp(upload->path, O_CLOEXEC);
	if (upload->fd < 0) {
		upload->path[0] = '\0';
		return error_set(err, -errno, "cannot make a file in %.200s: %s", directory, strerror(errno));
	}
	return 0;
}

int upload_write(struct upload *upload, const void *bytes, size_t len, struct error *err)
{
	const char *next = bytes;

	if (len > upload->limit - upload->bytes)
		return error_set(err, -ENOSPC, "the disk has room for %" PRIu64 " bytes only", upload->limit);
	upload->bytes += len;
	while (len > 0) {
		ssize_t n = write(upload->fd, next, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, -errno, "cannot write the upload: %s", strerror(errno));
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

int upload_finish(struct upload *upload, struct error *err)
{
	int rc = fsync(upload->fd) < 0 ? -errno : 0;

	if (close(upload->fd) < 0 && rc == 0)
		rc = -errno;
	upload->fd = -1;
	return rc < 0 ? error_set(err, rc, "cannot write the upload: %s", strerror(-rc)) : 0;
}

void upload_close(struct upload *upload)
{
	if (upload->path[0] == '\0')
		return;
	if (upload->fd >= 0)
		(void)close(upload->fd);
	(void)unlink(upload->path);
	upload->path[0] = '\0';
	upload->fd = -1;
}

void upload_clean(const char *directory)
{
	DIR *dir = opendir(directory);

	if (dir == NULL)
		return;
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (strncmp(entry->d_name, PREFIX, sizeof(PREFIX) - 1) == 0)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
}
