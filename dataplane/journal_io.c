/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "lock"

struct directory {
	int fd;
	int lock_fd; /* -1: not locked */
};

static int dir_open(void *context, const char *name, bool create, bool write)
{
	struct directory *directory = context;
	int flags = O_CLOEXEC | (write ? O_RDWR : O_RDONLY) | (create ? O_CREAT | O_EXCL : 0);
	int fd = openat(directory->fd, name, flags, 0640);

	return fd < 0 ? -errno : fd;
}

static void dir_close(void *context, int fd)
{
	(void)context;
	(void)close(fd);
}

static ssize_t dir_preadv(void *context, int fd, const struct iovec *iov, int n, uint64_t offset)
{
	ssize_t done = preadv(fd, iov, n, (off_t)offset);

	(void)context;
	return done < 0 ? -errno : done;
}

static ssize_t dir_pwritev(void *context, int fd, const struct iovec *iov, int n, uint64_t offset)
{
	ssize_t done = pwritev(fd, iov, n, (off_t)offset);

	(void)context;
	return done < 0 ? -errno : done;
}

static int dir_fdatasync(void *context, int fd)
{
	(void)context;
	return fdatasync(fd) == 0 ? 0 : -errno;
}

/* Not posix_fallocate(): where the file system cannot preallocate, glibc would write every block. */
static int dir_allocate(void *context, int fd, uint64_t bytes)
{
	(void)context;
	return fallocate(fd, 0, 0, (off_t)bytes) == 0 ? 0 : -errno;
}

static int dir_truncate(void *context, int fd, uint64_t bytes)
{
	(void)context;
	return ftruncate(fd, (off_t)bytes) == 0 ? 0 : -errno;
}

static int64_t dir_size(void *context, int fd)
{
	struct stat status;

	(void)context;
	return fstat(fd, &status) == 0 ? (int64_t)status.st_size : -errno;
}

static int dir_unlink(void *context, const char *name)
{
	struct directory *directory = context;

	return unlinkat(directory->fd, name, 0) == 0 ? 0 : -errno;
}

static int dir_sync(void *context)
{
	struct directory *directory = context;

	return fsync(directory->fd) == 0 ? 0 : -errno;
}

static int dir_list(void *context, int (*each)(void *argument, const char *name), void *argument)
{
	struct directory *directory = context;
	int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (stream == NULL) {
		rc = -errno;
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	errno = 0;
	while (rc == 0 && (entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = each(argument, entry->d_name);
		errno = 0;
	}
	if (rc == 0 && errno != 0)
		rc = -errno;
	(void)closedir(stream);
	return rc;
}

static int dir_lock(void *context)
{
	struct directory *directory = context;
	int fd = openat(directory->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int rc = errno == EWOULDBLOCK ? -EBUSY : -errno;

		(void)close(fd);
		return rc;
	}
	directory->lock_fd = fd;
	return 0;
}

static void dir_release(void *context)
{
	struct directory *directory = context;

	if (directory->lock_fd >= 0)
		(void)close(directory->lock_fd);
	(void)close(directory->fd);
	free(directory);
}

int journal_io_directory(const char *path, struct journal_io *out, struct error *err)
{
	struct directory *directory = calloc(1, sizeof(*directory));
	int rc;

	if (directory == NULL)
		return error_set(err, -ENOMEM, "no memory");
	if (mkdir(path, 0750) != 0 && errno != EEXIST) {
		rc = error_set(err, -errno, "%s: %s", path, strerror(errno));
		goto err;
	}
	directory->lock_fd = -1;
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory->fd < 0) {
		rc = error_set(err, -errno, "%s: %s", path, strerror(errno));
		goto err;
	}
	*out = (struct journal_io){
	    .open = dir_open,
	    .close = dir_close,
	    .preadv = dir_preadv,
	    .pwritev = dir_pwritev,
	    .fdatasync = dir_fdatasync,
	    .allocate = dir_allocate,
	    .truncate = dir_truncate,
	    .size = dir_size,
	    .unlink = dir_unlink,
	    .sync_directory = dir_sync,
	    .list = dir_list,
	    .lock = dir_lock,
	    .release = dir_release,
	    .context = directory,
	};
	return 0;
err:
	free(directory);
	return rc;
}

/* Takes `done` bytes off the front. */
static void advance(struct iovec **iov, int *n, size_t done)
{
	while (*n > 0 && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (*n > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

static int transfer(ssize_t (*move)(void *, int, const struct iovec *, int, uint64_t), void *context, int fd,
    struct iovec *iov, int n, uint64_t offset, int at_end)
{
	advance(&iov, &n, 0);
	while (n > 0) {
		ssize_t done = move(context, fd, iov, n < IOV_MAX ? n : IOV_MAX, offset);

		if (done == -EINTR)
			continue;
		if (done < 0)
			return (int)done;
		if (done == 0)
			return at_end;
		offset += (uint64_t)done;
		advance(&iov, &n, (size_t)done);
	}
	return 0;
}

int journal_read_all(const struct journal_io *io, int fd, struct iovec *iov, int n, uint64_t offset)
{
	return transfer(io->preadv, io->context, fd, iov, n, offset, -ENODATA);
}

int journal_write_all(const struct journal_io *io, int fd, struct iovec *iov, int n, uint64_t offset)
{
	return transfer(io->pwritev, io->context, fd, iov, n, offset, -ENOSPC);
}
