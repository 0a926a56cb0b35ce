/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity_secret.h"

#include "siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "PNSKSEC" /* and the NUL */

/* As on disk. */
struct secret_file {
	char magic[8];
	uint8_t secret[16];
	uint64_t id;
};
_Static_assert(sizeof(struct secret_file) == 32, "no padding");

uint64_t identity_secret_id(const uint8_t secret[16])
{
	uint64_t out[2];

	siphash24_128(secret, "penstock identities", 19, out);
	return out[0];
}

/* Under another name first: half a secret must never be found. */
static int save(const char *directory, const char *path, const uint8_t secret[16], struct error *err)
{
	struct secret_file file = {.magic = MAGIC, .id = identity_secret_id(secret)};
	char partial[PATH_MAX + 8];
	int fd, dir = -1, ret = 0;

	memcpy(file.secret, secret, sizeof(file.secret));
	(void)snprintf(partial, sizeof(partial), "%s.new", path);
	fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || fchmod(fd, 0600) != 0 || write(fd, &file, sizeof(file)) != (ssize_t)sizeof(file) ||
	    fsync(fd) != 0 || rename(partial, path) != 0)
		ret = error_set(err, errno != 0 ? -errno : -EIO, "%s: %s", partial, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	if (ret == 0) {
		dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0 || fsync(dir) != 0)
			ret = error_set(err, -errno, "%s: %s", directory, strerror(errno));
	}
	if (dir >= 0)
		(void)close(dir);
	explicit_bzero(&file, sizeof(file));
	return ret;
}

int identity_secret_load(const char *directory, uint8_t secret[16], bool *fresh, struct error *err)
{
	struct secret_file file;
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	*fresh = false;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, IDENTITY_SECRET_FILE) >= sizeof(path))
		return error_set(err, -ENAMETOOLONG, "%s: path too long", directory);
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", directory, strerror(errno));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (getrandom(secret, 16, 0) != 16)
			return error_set(err, -errno, "getrandom: %s", strerror(errno));
		*fresh = true;
		return save(directory, path, secret, err);
	}
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	n = read(fd, &file, sizeof(file));
	(void)close(fd);
	if (n != (ssize_t)sizeof(file) || memcmp(file.magic, MAGIC, sizeof(file.magic)) != 0 ||
	    file.id != identity_secret_id(file.secret))
		return error_set(err, -EBADMSG,
		    "%s: not as it was written; remove it to start with an empty dedup window", path);
	memcpy(secret, file.secret, sizeof(file.secret));
	explicit_bzero(&file, sizeof(file));
	return 0;
}
