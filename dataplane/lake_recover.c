/* SPDX-License-Identifier: BSD-3-Clause */
#include "lake_recover.h"

#include "lake_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#define MAX_DEPTH 4 /* <stream>/<output>/<date>/<field>=<value> */
#define CHUNK (256u << 10)
#define SUFFIX ".open"

static int64_t whole_lines(int fd, char *in)
{
	int64_t at = 0, whole = 0;
	ssize_t n;

	while ((n = pread(fd, in, CHUNK, at)) > 0) {
		char *eol = memrchr(in, '\n', (size_t)n);

		if (eol != NULL)
			whole = at + (eol - in) + 1;
		at += n;
	}
	return n < 0 ? -errno : whole;
}

/* Decompresses everything, so that the checksums are looked at too. */
static int64_t whole_frames(int fd, char *in, char *out, ZSTD_DCtx *context)
{
	int64_t at = 0, whole = 0;
	ssize_t n;

	while ((n = pread(fd, in, CHUNK, at)) > 0) {
		ZSTD_inBuffer input = {in, (size_t)n, 0};
		bool more = true; /* input to read, or output that did not fit */

		while (more) {
			ZSTD_outBuffer output = {out, CHUNK, 0};
			size_t rc = ZSTD_decompressStream(context, &output, &input);

			if (ZSTD_isError(rc))
				return whole;
			if (rc == 0)
				whole = at + (int64_t)input.pos;
			more = input.pos < input.size || (rc != 0 && output.pos == output.size);
		}
		at += n;
	}
	return n < 0 ? -errno : whole;
}

int64_t lake_whole_bytes(int fd, int compressed)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	char *buffer = malloc(2 * CHUNK);
	int64_t rc = -ENOMEM;

	if (context != NULL && buffer != NULL)
		rc = compressed ? whole_frames(fd, buffer, buffer + CHUNK, context) : whole_lines(fd, buffer);
	ZSTD_freeDCtx(context);
	free(buffer);
	return rc;
}

static int ends_with(const char *text, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && memcmp(text + len - n, end, n) == 0;
}

/* `name` is ".<final>.open". */
static int recover_file(int directory, const char *name, struct lake_recovered *out)
{
	char final[256];
	size_t len = strlen(name) - 1 - strlen(SUFFIX);
	struct stat st;
	int64_t whole;
	int rc = 0, fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		goto out; /* somebody is writing it, or it is not ours */
	memcpy(final, name + 1, len);
	final[len] = '\0';
	whole = lake_whole_bytes(fd, ends_with(final, len, ".zst"));
	if (whole < 0) {
		rc = (int)whole;
		goto out;
	}
	if (whole == 0) {
		rc = unlinkat(directory, name, 0) == 0 ? 0 : -errno;
		out->removed += rc == 0;
	} else {
		if (whole < st.st_size && (ftruncate(fd, whole) != 0 || fsync(fd) != 0)) {
			rc = -errno;
			goto out;
		}
		rc = lake_rename(directory, name, final);
		out->files += rc == 0;
	}
	if (rc == 0)
		out->cut_bytes += (uint64_t)(st.st_size - whole);
	fsync(directory);
out:
	close(fd);
	return rc;
}

static int recover_directory(
    int parent, const char *name, int depth, struct lake_recovered *out, struct error *err)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth > 0 ? O_NOFOLLOW : 0));
	struct dirent *entry;
	DIR *dir;
	int rc = 0;

	if (fd < 0 && (errno == ENOENT || (depth > 0 && (errno == ENOTDIR || errno == ELOOP))))
		return 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		rc = error_set(err, -errno, "%s: %s", name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_name[0] == '.' && len > 1 + strlen(SUFFIX) &&
		    ends_with(entry->d_name, len, SUFFIX)) {
			rc = recover_file(fd, entry->d_name, out);
			if (rc != 0)
				error_set(err, rc, "%s: %s", entry->d_name, strerror(-rc));
		} else if (entry->d_name[0] != '.' && depth < MAX_DEPTH &&
		           (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)) {
			rc = recover_directory(fd, entry->d_name, depth + 1, out, err);
		}
	}
	closedir(dir);
	return rc;
}

int lake_recover(const char *root, struct lake_recovered *out, struct error *err)
{
	int rc = recover_directory(AT_FDCWD, root, 0, out, err);

	return rc == 0 ? 0 : error_prefix(err, rc, "%s: recovery", root);
}
