/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

int listen_make_directory(const char *path, struct error *err)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	return error_set(err, -errno, "cannot make the directory %.200s: %s", path, strerror(errno));
}

static int make_parent(const char *path, struct error *err)
{
	char copy[PATH_MAX];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	return listen_make_directory(dirname(copy), err);
}

/* Clears the way for bind(): 0 if nothing is there or a stale socket was removed. */
static int remove_stale(const char *path, const struct sockaddr_un *address, struct error *err)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0)
		return errno == ENOENT
		           ? 0
		           : error_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -ENOTSOCK, "%s is there and is not a socket: not touching it", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	(void)close(fd);
	/* EAGAIN: somebody listens, and its queue is full. */
	if (rc == 0 || rc == -EAGAIN)
		return error_set(err, -EADDRINUSE, "another daemon answers at %s", path);
	if (rc != -ECONNREFUSED)
		return error_set(err, rc, "cannot tell whether %s is in use: %s", path, strerror(-rc));
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(err, -errno, "cannot remove the stale socket %s: %s", path, strerror(errno));
	return 0;
}

int listen_unix(const char *path, struct listen_file *file, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	bool bound = false;
	struct stat st;
	int fd, rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(
		    err, -ENAMETOOLONG, "the path of the control socket is too long: %.200s", path);
	(void)strcpy(address.sun_path, path);
	rc = make_parent(path, err);
	if (rc == 0)
		rc = remove_stale(path, &address, err);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	/* Nobody can connect before listen(), so there is no moment with a wider mode. */
	bound = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	if (!bound || chmod(path, 0660) < 0 || lstat(path, &st) < 0 || listen(fd, BACKLOG) < 0) {
		rc = error_set(err, -errno, "cannot listen at %s: %s", path, strerror(errno));
		if (bound)
			(void)unlink(path);
		(void)close(fd);
		return rc;
	}
	file->device = st.st_dev;
	file->inode = st.st_ino;
	return fd;
}

void listen_unlink(const char *path, const struct listen_file *file)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == file->device && st.st_ino == file->inode)
		(void)unlink(path);
}

int listen_tcp(const char *host, uint16_t *port, struct error *err)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
	bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
	struct sockaddr *address = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = is_v4 ? sizeof(v4) : sizeof(v6);
	int fd, rc, on = 1;

	if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
		return error_set(err, -EINVAL, "%.64s is not an IP address", host);
	fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 || bind(fd, address, len) < 0 ||
	    listen(fd, BACKLOG) < 0 || getsockname(fd, address, &len) < 0) {
		rc = error_set(err, -errno, "cannot listen at %s port %u: %s", host, *port, strerror(errno));
		(void)close(fd);
		return rc;
	}
	*port = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
	return fd;
}
