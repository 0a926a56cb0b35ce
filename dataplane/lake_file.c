/* SPDX-License-Identifier: BSD-3-Clause */
#include "lake_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#define LEVEL 1 /* the sink thread keeps up with the workers; see docs for what a higher one costs */
#define TEXT_MIN (64u << 10)

struct lake_codec {
	ZSTD_CCtx *context; /* NULL: not compressed */
	char *frame;
	size_t frame_size;
};

int lake_codec_create(enum file_compression compression, struct lake_codec **out, struct error *err)
{
	struct lake_codec *codec = calloc(1, sizeof(*codec));

	*out = NULL;
	if (codec == NULL)
		return error_set(err, -ENOMEM, "files: no memory");
	if (compression == FILE_COMPRESSION_ZSTD) {
		codec->context = ZSTD_createCCtx();
		if (codec->context == NULL ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(codec->context, ZSTD_c_compressionLevel, LEVEL)) ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(codec->context, ZSTD_c_checksumFlag, 1))) {
			lake_codec_destroy(codec);
			return error_set(err, -ENOMEM, "files: no memory for zstd");
		}
	}
	*out = codec;
	return 0;
}

void lake_codec_destroy(struct lake_codec *codec)
{
	if (codec == NULL)
		return;
	ZSTD_freeCCtx(codec->context);
	free(codec->frame);
	free(codec);
}

const char *lake_codec_suffix(const struct lake_codec *codec)
{
	return codec->context != NULL ? ".ndjson.zst" : ".ndjson";
}

/* The bytes to write for a text. */
static int encode(struct lake_codec *codec, const char *text, size_t len, const char **out, size_t *out_len)
{
	size_t bound = ZSTD_compressBound(len), n;

	*out = text;
	*out_len = len;
	if (codec->context == NULL)
		return 0;
	if (codec->frame_size < bound) {
		free(codec->frame);
		codec->frame = malloc(bound);
		codec->frame_size = codec->frame != NULL ? bound : 0;
	}
	if (codec->frame == NULL)
		return -ENOMEM;
	n = ZSTD_compress2(codec->context, codec->frame, codec->frame_size, text, len);
	if (ZSTD_isError(n))
		return -ENOMEM; /* nothing else can go wrong with room for the worst case */
	*out = codec->frame;
	*out_len = n;
	return 0;
}

/* Opens root/path, making what is missing; every new entry is synced, or a crash could lose the whole branch.
 */
static int open_directory(const char *root, const char *path, struct error *err)
{
	const char *rest = path;
	char part[256];
	int rc, fd, below;

	if (mkdir(root, 0755) != 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", root, strerror(errno));
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && *rest != '\0') {
		size_t len = strcspn(rest, "/");
		bool made;

		if (len >= sizeof(part)) {
			errno = ENAMETOOLONG;
			break;
		}
		memcpy(part, rest, len);
		part[len] = '\0';
		made = mkdirat(fd, part, 0755) == 0;
		if ((!made && errno != EEXIST) || (made && fsync(fd) != 0))
			break;
		below = openat(fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below < 0)
			break;
		close(fd);
		fd = below;
		rest += len + (rest[len] == '/');
	}
	if (fd >= 0 && *rest == '\0')
		return fd;
	rc = error_set(err, -errno, "%s/%s: %s", root, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static void open_name(const char *name, char out[sizeof(((struct lake_file *)0)->name) + 8])
{
	sprintf(out, ".%s.open", name);
}

int lake_file_create(
    const char *root, const char *path, const char *name, struct lake_file **out, struct error *err)
{
	char temporary[sizeof(((struct lake_file *)0)->name) + 8];
	struct lake_file *file;
	struct stat st;
	int rc;

	*out = NULL;
	if (strlen(name) >= sizeof(file->name))
		return error_set(err, -ENAMETOOLONG, "%s: the name is too long", name);
	file = calloc(1, sizeof(*file));
	if (file == NULL)
		return error_set(err, -ENOMEM, "files: no memory");
	file->fd = -1;
	strcpy(file->name, name);
	file->directory = open_directory(root, path, err);
	if (file->directory < 0) {
		rc = file->directory;
		goto err;
	}
	open_name(name, temporary);
	file->fd = openat(file->directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file->fd < 0) {
		rc = error_set(err, -errno, "%s/%s/%s: %s", root, path, temporary, strerror(errno));
		goto err;
	}
	/* Another process that recovers this directory may have been quicker, and have removed the file. */
	if (flock(file->fd, LOCK_EX | LOCK_NB) != 0 || fstat(file->fd, &st) != 0 || st.st_nlink == 0) {
		rc = error_set(err, -EEXIST, "%s/%s/%s: taken by another process", root, path, temporary);
		goto err;
	}
	*out = file;
	return 0;
err:
	lake_file_abandon(file);
	return rc;
}

void lake_file_abandon(struct lake_file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
		close(file->fd);
	if (file->directory >= 0)
		close(file->directory);
	free(file->text);
	free(file);
}

char *lake_file_reserve(struct lake_file *file, size_t bytes)
{
	size_t size = file->text_size > 0 ? file->text_size : TEXT_MIN;
	char *text;

	if (bytes <= file->text_size - file->text_used)
		return file->text + file->text_used;
	while (size - file->text_used < bytes)
		size *= 2;
	text = realloc(file->text, size);
	if (text == NULL)
		return NULL;
	file->text = text;
	file->text_size = size;
	return file->text + file->text_used;
}

static int write_all(int fd, const char *data, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

static int cut(struct lake_file *file)
{
	if (!file->torn)
		return 0;
	if (ftruncate(file->fd, file->good) != 0)
		return -errno;
	file->torn = false;
	return 0;
}

int lake_file_commit(struct lake_file *file, struct lake_codec *codec, struct error *err)
{
	const char *data;
	size_t len;
	int rc;

	if (file->text_used == 0)
		return 0;
	rc = encode(codec, file->text, file->text_used, &data, &len);
	if (rc != 0)
		return error_set(err, rc, "%s: no memory to compress", file->name);
	/* All of it again after any failure: once fdatasync() has failed, pages it could not write count as
	 * clean. */
	rc = cut(file);
	file->torn = true;
	if (rc == 0)
		rc = write_all(file->fd, data, len, file->good);
	if (rc == 0 && fdatasync(file->fd) != 0)
		rc = -errno;
	if (rc == 0 && !file->entry_durable && fsync(file->directory) != 0)
		rc = -errno;
	if (rc != 0) {
		cut(file); /* gives the space back; if it fails, the next commit or finish does it */
		return error_set(err, rc, "%s: %s", file->name, strerror(-rc));
	}
	file->entry_durable = true;
	file->torn = false;
	file->good += (off_t)len;
	file->text_used = 0;
	return 0;
}

int lake_rename(int directory, const char *from, const char *to)
{
	if (renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot do both at once. Names are unique to the process. */
	if (faccessat(directory, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(directory, from, directory, to) == 0 ? 0 : -errno;
}

int lake_file_finish(struct lake_file *file, struct error *err)
{
	char temporary[sizeof(file->name) + 8];
	int rc = cut(file);

	open_name(file->name, temporary);
	if (rc == 0 && file->good == 0)
		rc = unlinkat(file->directory, temporary, 0) == 0 ? 0 : -errno;
	else if (rc == 0)
		rc = lake_rename(file->directory, temporary, file->name);
	if (rc != 0)
		return error_set(err, rc, "%s: %s", file->name, strerror(-rc));
	/* If this is not on disk after a crash, the file is found under its old name and recovered. */
	(void)fsync(file->directory);
	lake_file_abandon(file);
	return 0;
}
