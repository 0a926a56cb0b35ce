/* SPDX-License-Identifier: BSD-3-Clause */
#include "lake_writer.h"

#include "lake_path.h"
#include "lake_recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#define NODE_CHARS 64 /* of the node's name that go into file names */

struct lake_entry {
	struct lake_file *file; /* NULL: free */
	const char *stream;
	uint64_t value_hash[2]; /* 128 bits stand for the value */
	int32_t day;
	uint8_t kind;
	uint64_t used;      /* lake.uses at the last use */
	uint64_t opened_ns; /* monotonic */
};

struct lake {
	struct lake_options options;
	char node[NODE_CHARS + 1];
	struct lake_codec *codec;
	uint64_t uses;
	uint64_t sequence; /* of file names */
	struct lake_counts counts;
	struct lake_entry entry[LAKE_MAX_OPEN];
};

/* The lake's own directory, with its parents; found out now rather than with the first event. */
static int make_root(const char *directory, struct error *err)
{
	char path[LAKE_PATH_SIZE];

	if (snprintf(path, sizeof(path), "%s/", directory) >= (int)sizeof(path))
		return error_set(err, -ENAMETOOLONG, "%s: the name is too long", directory);
	for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return error_set(err, -errno, "%s: %s", path, strerror(errno));
		*at = '/';
	}
	if (access(path, R_OK | W_OK | X_OK) != 0) /* the slash at the end: ENOTDIR for a file */
		return error_set(err, -errno, "%s: %s", directory, strerror(errno));
	return 0;
}

int lake_create(const struct lake_options *options, struct lake **out, struct error *err)
{
	struct lake_recovered recovered = {0};
	struct lake *lake = calloc(1, sizeof(*lake));
	char node[LAKE_NAME_SIZE];
	int rc = -ENOMEM;

	*out = NULL;
	if (lake == NULL)
		return error_set(err, rc, "files: no memory");
	lake->options = *options;
	lake_encode(options->node != NULL ? options->node : "",
	    options->node != NULL ? strlen(options->node) : 0, node);
	snprintf(lake->node, sizeof(lake->node), "%.*s", NODE_CHARS, node);
	rc = lake_codec_create(options->compression, &lake->codec, err);
	if (rc == 0)
		rc = make_root(options->directory, err);
	if (rc == 0)
		rc = lake_recover(options->directory, &recovered, err);
	if (rc != 0) {
		lake_destroy(lake);
		return rc;
	}
	lake->counts.recovered = recovered.files;
	*out = lake;
	return 0;
}

static int commit_entry(struct lake *lake, struct lake_entry *entry, struct error *err)
{
	off_t before = entry->file->good;
	int rc = lake_file_commit(entry->file, lake->codec, err);

	if (rc == 0 && entry->file->good > before) {
		lake->counts.frames++;
		lake->counts.bytes += (uint64_t)(entry->file->good - before);
	}
	return rc;
}

static int finish_entry(struct lake *lake, struct lake_entry *entry, struct error *err)
{
	int rc = commit_entry(lake, entry, err);

	if (rc == 0)
		rc = lake_file_finish(entry->file, err);
	if (rc != 0)
		return rc;
	entry->file = NULL;
	lake->counts.finished++;
	lake->counts.open--;
	return 0;
}

static int open_entry(
    struct lake *lake, const struct lake_place *place, struct lake_entry *entry, struct error *err)
{
	char path[LAKE_PATH_SIZE], name[128];
	int rc;

	lake_path(path, place->stream, place->kind, place->day, place->field, place->value, place->value_len);
	snprintf(name, sizeof(name), "%s-%lld-%d-%llu%s", lake->node,
	    (long long)clock_wall_ms(lake->options.clock), (int)getpid(),
	    (unsigned long long)lake->sequence++, lake_codec_suffix(lake->codec));
	rc = lake_file_create(lake->options.directory, path, name, &entry->file, err);
	if (rc != 0)
		return rc;
	entry->opened_ns = clock_mono_ns(lake->options.clock);
	lake->counts.made++;
	lake->counts.open++;
	return 0;
}

int lake_find(struct lake *lake, const struct lake_place *place, struct lake_file **out, struct error *err)
{
	struct lake_entry *oldest = NULL, *room = NULL;
	XXH128_hash_t hash = {0, 0};
	int rc;

	if (place->field != NULL)
		hash = XXH3_128bits(place->value, place->value_len);
	for (uint32_t i = 0; i < lake->options.max_open; i++) {
		struct lake_entry *entry = &lake->entry[i];

		if (entry->file == NULL) {
			room = entry;
			continue;
		}
		if (entry->stream == place->stream && entry->kind == place->kind &&
		    entry->day == place->day && entry->value_hash[0] == hash.low64 &&
		    entry->value_hash[1] == hash.high64) {
			entry->used = ++lake->uses;
			*out = entry->file;
			return 0;
		}
		if (oldest == NULL || entry->used < oldest->used)
			oldest = entry;
	}
	if (room == NULL) {
		rc = finish_entry(lake, oldest, err);
		if (rc != 0)
			return rc;
		room = oldest;
	}
	rc = open_entry(lake, place, room, err);
	if (rc != 0)
		return rc;
	room->stream = place->stream;
	room->kind = place->kind;
	room->day = place->day;
	room->value_hash[0] = hash.low64;
	room->value_hash[1] = hash.high64;
	room->used = ++lake->uses;
	*out = room->file;
	return 0;
}

int lake_commit(struct lake *lake, struct error *err)
{
	int first = 0;

	for (uint32_t i = 0; i < lake->options.max_open; i++) {
		int rc;

		if (lake->entry[i].file == NULL)
			continue;
		rc = commit_entry(lake, &lake->entry[i], first == 0 ? err : NULL);
		if (first == 0)
			first = rc;
	}
	return first;
}

int lake_rotate(struct lake *lake, struct error *err)
{
	uint64_t now_ns = clock_mono_ns(lake->options.clock);
	int first = 0;

	for (uint32_t i = 0; i < lake->options.max_open; i++) {
		struct lake_entry *entry = &lake->entry[i];
		int rc;

		if (entry->file == NULL || ((uint64_t)entry->file->good < lake->options.rotate_bytes &&
		                               now_ns - entry->opened_ns < lake->options.rotate_ns))
			continue;
		rc = finish_entry(lake, entry, first == 0 ? err : NULL);
		if (first == 0)
			first = rc;
	}
	return first;
}

void lake_destroy(struct lake *lake)
{
	if (lake == NULL)
		return;
	for (uint32_t i = 0; i < LAKE_MAX_OPEN; i++) {
		if (lake->entry[i].file == NULL)
			continue;
		if (lake_file_finish(lake->entry[i].file, NULL) != 0)
			lake_file_abandon(lake->entry[i].file);
	}
	lake_codec_destroy(lake->codec);
	free(lake);
}

void lake_count(const struct lake *lake, struct lake_counts *out)
{
	*out = lake->counts;
}
