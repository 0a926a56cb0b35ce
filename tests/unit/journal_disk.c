/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void disk_init(struct disk *disk)
{
	memset(disk, 0, sizeof(*disk));
	disk->space = UINT64_MAX;
}

static void drop(struct disk_file *file)
{
	free(file->now);
	free(file->durable);
	free(file->dirty);
	memset(file, 0, sizeof(*file));
}

void disk_fini(struct disk *disk)
{
	for (size_t i = 0; i < DISK_FILES; i++)
		drop(&disk->files[i]);
}

static int fault(struct disk *disk, enum disk_op op, bool changes)
{
	if (changes)
		disk->ops++;
	if (disk->die_at != 0 && disk->ops >= disk->die_at)
		return -EIO;
	if (disk->fail_once[op] > 0) {
		disk->fail_once[op]--;
		return -disk->fail[op];
	}
	return 0;
}

struct disk_file *disk_find(struct disk *disk, const char *name)
{
	for (size_t i = 0; i < DISK_FILES; i++) {
		if (strcmp(disk->files[i].name, name) == 0 && !disk->files[i].deleted && name[0] != '\0')
			return &disk->files[i];
	}
	return NULL;
}

static void grow(struct disk_file *file, uint64_t room)
{
	room = (room + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
	if (room <= file->room)
		return;
	file->now = realloc(file->now, room);
	file->durable = realloc(file->durable, room);
	file->dirty = realloc(file->dirty, room / DISK_BLOCK);
	assert(file->now != NULL && file->durable != NULL && file->dirty != NULL);
	memset(file->now + file->room, 0, room - file->room);
	memset(file->durable + file->room, 0, room - file->room);
	memset(file->dirty + file->room / DISK_BLOCK, 0, (room - file->room) / DISK_BLOCK);
	file->room = room;
}

static uint64_t taken(const struct disk *disk)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < DISK_FILES; i++)
		bytes += disk->files[i].deleted ? 0 : disk->files[i].size;
	return bytes;
}

static int op_open(void *context, const char *name, bool create, bool write)
{
	struct disk *disk = context;
	struct disk_file *file = disk_find(disk, name);
	int rc = fault(disk, DISK_OPEN, create);

	(void)write;
	if (rc != 0)
		return rc;
	if (create && file != NULL)
		return -EEXIST;
	if (!create && file == NULL)
		return -ENOENT;
	for (size_t i = 0; file == NULL && i < DISK_FILES; i++) {
		if (disk->files[i].name[0] == '\0')
			file = &disk->files[i];
	}
	assert(file != NULL);
	if (create)
		(void)strncpy(file->name, name, sizeof(file->name) - 1);
	return (int)(file - disk->files);
}

static void op_close(void *context, int fd)
{
	(void)context, (void)fd;
}

static ssize_t transfer(
    struct disk *disk, struct disk_file *file, const struct iovec *iov, int n, uint64_t offset, bool write)
{
	size_t left = disk->chunk != 0 ? disk->chunk : SIZE_MAX, done = 0;

	for (int i = 0; i < n && left > 0; i++) {
		size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;

		if (!write && offset + len > file->size)
			len = offset < file->size ? file->size - offset : 0;
		if (len == 0 && !write)
			break;
		if (write && len > 0) {
			grow(file, offset + len);
			memcpy(file->now + offset, iov[i].iov_base, len);
			if (offset + len > file->size)
				file->size = offset + len;
			for (uint64_t b = offset / DISK_BLOCK; b <= (offset + len - 1) / DISK_BLOCK; b++)
				file->dirty[b] = 1;
		} else if (len > 0) {
			memcpy(iov[i].iov_base, file->now + offset, len);
		}
		offset += len;
		done += len;
		left -= len;
	}
	return (ssize_t)done;
}

static ssize_t op_preadv(void *context, int fd, const struct iovec *iov, int n, uint64_t offset)
{
	struct disk *disk = context;
	int rc = fault(disk, DISK_READ, false);

	return rc != 0 ? rc : transfer(disk, &disk->files[fd], iov, n, offset, false);
}

static ssize_t op_pwritev(void *context, int fd, const struct iovec *iov, int n, uint64_t offset)
{
	struct disk *disk = context;
	int rc = fault(disk, DISK_WRITE, true);

	return rc != 0 ? rc : transfer(disk, &disk->files[fd], iov, n, offset, true);
}

static int op_fdatasync(void *context, int fd)
{
	struct disk *disk = context;
	struct disk_file *file = &disk->files[fd];
	bool dead = disk->die_at != 0 && disk->ops + 1 >= disk->die_at;
	int rc = fault(disk, DISK_SYNC, true);

	if (dead)
		return rc;
	for (uint64_t b = 0; b < file->room / DISK_BLOCK; b++) {
		if (file->dirty[b] && rc == 0)
			memcpy(file->durable + b * DISK_BLOCK, file->now + b * DISK_BLOCK, DISK_BLOCK);
		file->dirty[b] = 0;
	}
	file->durable_size = file->size;
	return rc;
}

static int op_allocate(void *context, int fd, uint64_t bytes)
{
	struct disk *disk = context;
	struct disk_file *file = &disk->files[fd];
	int rc = fault(disk, DISK_ALLOCATE, true);

	if (rc != 0)
		return rc;
	if (taken(disk) + bytes > disk->space)
		return -ENOSPC;
	grow(file, bytes);
	file->size = bytes;
	return 0;
}

static int op_truncate(void *context, int fd, uint64_t bytes)
{
	struct disk *disk = context;
	struct disk_file *file = &disk->files[fd];
	int rc = fault(disk, DISK_ALLOCATE, true);

	if (rc != 0)
		return rc;
	grow(file, bytes);
	memset(file->now + bytes, 0, file->room - bytes);
	file->size = bytes;
	return 0;
}

static int64_t op_size(void *context, int fd)
{
	struct disk *disk = context;

	return (int64_t)disk->files[fd].size;
}

static int op_unlink(void *context, const char *name)
{
	struct disk *disk = context;
	struct disk_file *file = disk_find(disk, name);
	int rc = fault(disk, DISK_UNLINK, true);

	if (rc != 0)
		return rc;
	if (file == NULL)
		return -ENOENT;
	if (file->durable_name)
		file->deleted = true;
	else
		drop(file);
	return 0;
}

static int op_sync_directory(void *context)
{
	struct disk *disk = context;
	int rc = fault(disk, DISK_SYNC, true);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < DISK_FILES; i++) {
		if (disk->files[i].deleted)
			drop(&disk->files[i]);
		else if (disk->files[i].name[0] != '\0')
			disk->files[i].durable_name = true;
	}
	return 0;
}

static int op_list(void *context, int (*each)(void *argument, const char *name), void *argument)
{
	struct disk *disk = context;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < DISK_FILES; i++) {
		if (disk->files[i].name[0] != '\0' && !disk->files[i].deleted)
			rc = each(argument, disk->files[i].name);
	}
	return rc;
}

static int op_lock(void *context)
{
	struct disk *disk = context;

	if (disk->locked)
		return -EBUSY;
	disk->locked = true;
	return 0;
}

static void op_release(void *context)
{
	struct disk *disk = context;

	disk->locked = false;
}

struct journal_io disk_io(struct disk *disk)
{
	return (struct journal_io){
	    .open = op_open,
	    .close = op_close,
	    .preadv = op_preadv,
	    .pwritev = op_pwritev,
	    .fdatasync = op_fdatasync,
	    .allocate = op_allocate,
	    .truncate = op_truncate,
	    .size = op_size,
	    .unlink = op_unlink,
	    .sync_directory = op_sync_directory,
	    .list = op_list,
	    .lock = op_lock,
	    .release = op_release,
	    .context = disk,
	};
}

uint32_t disk_dirty(const struct disk *disk)
{
	uint32_t n = 0;

	for (size_t i = 0; i < DISK_FILES; i++)
		for (uint64_t b = 0; b < disk->files[i].room / DISK_BLOCK; b++)
			n += disk->files[i].dirty[b];
	return n;
}

static void forget_faults(struct disk *disk)
{
	disk->die_at = 0;
	disk->locked = false;
	memset(disk->fail_once, 0, sizeof(disk->fail_once));
}

void disk_crash(struct disk *disk, uint64_t keep)
{
	uint32_t n = 0;

	for (size_t i = 0; i < DISK_FILES; i++) {
		struct disk_file *file = &disk->files[i];

		if (file->name[0] == '\0')
			continue;
		/* A deletion that was not synced happened, or did not. */
		if ((!file->durable_name || file->deleted) && (keep >> 63) == (file->deleted ? 1u : 0u)) {
			drop(file);
			continue;
		}
		for (uint64_t b = 0; b < file->room / DISK_BLOCK; b++) {
			if (!file->dirty[b])
				continue;
			if (keep >> n++ % 64 & 1)
				memcpy(
				    file->durable + b * DISK_BLOCK, file->now + b * DISK_BLOCK, DISK_BLOCK);
			file->dirty[b] = 0;
		}
		/* ext4 keeps the length with the data; a cut that was not synced may be undone. */
		if (file->durable_size < file->size || (keep >> 63) == 0)
			file->durable_size =
			    file->durable_size > file->size ? file->durable_size : file->size;
		else
			file->durable_size = file->size;
		if (file->room > 0)
			memcpy(file->now, file->durable, file->room);
		file->size = file->durable_size;
		file->durable_name = true;
		file->deleted = false;
	}
	forget_faults(disk);
}

void disk_kill(struct disk *disk)
{
	forget_faults(disk);
}

void disk_copy(struct disk *to, const struct disk *from)
{
	*to = *from;
	for (size_t i = 0; i < DISK_FILES; i++) {
		const struct disk_file *file = &from->files[i];

		if (file->room == 0)
			continue;
		to->files[i].now = malloc(file->room);
		to->files[i].durable = malloc(file->room);
		to->files[i].dirty = malloc(file->room / DISK_BLOCK);
		assert(
		    to->files[i].now != NULL && to->files[i].durable != NULL && to->files[i].dirty != NULL);
		memcpy(to->files[i].now, file->now, file->room);
		memcpy(to->files[i].durable, file->durable, file->room);
		memcpy(to->files[i].dirty, file->dirty, file->room / DISK_BLOCK);
	}
}
