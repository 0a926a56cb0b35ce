/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int directory_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = fsync(fd) != 0 ? -errno : 0;
	(void)close(fd);
	return ret;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) != 0 ? -errno : 0;
}

int file_replace(
    const char *directory, const char *name, const char *text, size_t len, mode_t mode, struct error *err)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	int fd, ret;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s/.%s", directory, name) >= sizeof(temporary))
		return error_set(err, -ENAMETOOLONG, "%.256s: path too long", directory);
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	/* What a crash has left may be anybody's to read. */
	if (unlink(temporary) != 0 && errno != ENOENT)
		return error_set(err, -errno, "%.256s: %s", temporary, strerror(errno));
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return error_set(err, -errno, "%.256s: %s", temporary, strerror(errno));
	ret = write_all(fd, text, len);
	(void)close(fd);
	if (ret == 0 && rename(temporary, path) != 0)
		ret = -errno;
	if (ret != 0)
		(void)unlink(temporary);
	else
		ret = directory_sync(directory);
	return ret == 0 ? 0 : error_set(err, ret, "%.256s: %s", path, strerror(-ret));
}
