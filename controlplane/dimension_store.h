/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dimension snapshots of a daemon, on disk and in the engine.
 *
 * Each dimension has a directory <state>/dimensions/<name>/ with files NNNNNNNN-<version>.dim in the order of
 * their arrival and a file `current` that names the active one, so that a restart comes back with the same
 * data. A push verifies and loads the new file before anything else changes; whatever fails leaves the old
 * snapshot in place, on disk and in memory.
 *
 * Control thread only, but for dimension_change_load().
 */
#ifndef PENSTOCK_DIMENSION_STORE_H
#define PENSTOCK_DIMENSION_STORE_H

#include "engine.h"

#include <jansson.h>
#include <limits.h>

struct dimension_store;

/* Opens (and creates) <state_directory>/dimensions and publishes every dimension's current snapshot in the
 * engine. A snapshot that cannot be loaded is not fatal: its slot stays empty and dimension_store_list()
 * shows the error. 0, or -errno when the directory cannot be used. */
int dimension_store_open(const char *state_directory, struct engine *engine, int node,
    struct dimension_store **out, struct error *err);
void dimension_store_close(struct dimension_store *store);

#define DIMENSION_VERSION_SIZE 64u
#define DIMENSION_FILE_SIZE 128u

/* A push or a rollback on its way. */
struct dimension_change {
	uint16_t index; /* of the dimension */
	const char *name, *directory;
	bool rollback;
	unsigned int number;                  /* of the snapshot in the directory */
	char version[DIMENSION_VERSION_SIZE]; /* of a push, as part of a file's name */
	char file[DIMENSION_FILE_SIZE];       /* of a push, in the directory */
	char path[PATH_MAX];                  /* what is loaded */
	int node;
	enum hugepages hugepages;
	struct dimension *dimension; /* loaded and not published */
};

/* Begins to make the file at `path` the snapshot of dimension `name`, or, with NULL, the snapshot that the
 * current one had replaced. -ENOENT: no such dimension in the configuration, or nothing to go back to. The
 * store must not begin another change before this one is freed. */
int dimension_store_begin(struct dimension_store *store, const char *name, const char *path,
    struct dimension_change **out, struct error *err);

/* Reads and verifies the file, moves it into the directory if it is a pushed one, and makes it current there,
 * which takes seconds if it is large. As dimension_load(); on failure a pushed file is untouched, on success
 * dimension_store_commit() must follow. Any thread: touches the change and the disk. */
int dimension_change_load(struct dimension_change *change, struct error *err);

/* Publishes what was loaded; *result describes it. A push after a rollback removes the snapshots that were
 * rolled back from: nothing goes back to them. */
void dimension_store_commit(struct dimension_store *store, struct dimension_change *change, json_t **result);

/* Ends a change, committed or not. NULL is allowed. */
void dimension_change_free(struct dimension_change *change);

/* An array with one object for each dimension: name, required, loaded, version, rows, bytes, built_ms, age_s,
 * previous (versions, newest first), error (of the last load that failed at start-up, if any). */
json_t *dimension_store_list(const struct dimension_store *store);

/* The file that a daemon with this state directory would load for a dimension, without opening a store. 0, or
 * -ENOENT when there is none. Any thread. */
int dimension_store_current(const char *state_directory, const char *name, char *path, size_t size);

#endif
