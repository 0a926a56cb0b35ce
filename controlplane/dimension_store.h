/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dimension snapshots of a daemon, on disk and in the engine.
 *
 * Each dimension has a directory <state>/dimensions/<name>/ with files NNNNNNNN-<version>.dim in the order of
 * their arrival and a file `current` that names the active one, so that a restart comes back with the same
 * data. A push verifies and loads the new file before anything else changes; whatever fails leaves the old
 * snapshot in place, on disk and in memory.
 *
 * Control thread only.
 */
#ifndef PENSTOCK_DIMENSION_STORE_H
#define PENSTOCK_DIMENSION_STORE_H

#include "engine.h"

#include <jansson.h>

struct dimension_store;

/* Opens (and creates) <state_directory>/dimensions and publishes every dimension's current snapshot in the
 * engine. A snapshot that cannot be loaded is not fatal: its slot stays empty and dimension_store_list()
 * shows the error. 0, or -errno when the directory cannot be used. */
int dimension_store_open(const char *state_directory, struct engine *engine, int node,
    struct dimension_store **out, struct error *err);
void dimension_store_close(struct dimension_store *store);

/* Loads the file at `path`, moves it into the store and publishes it as dimension `name`. On success *result
 * describes the new snapshot. -ENOENT: no such dimension in the configuration; otherwise as dimension_load().
 * The file at `path` is gone afterwards when the push succeeded, and untouched when it failed. */
int dimension_store_push(
    struct dimension_store *store, const char *name, const char *path, json_t **result, struct error *err);

/* Makes the snapshot that the current one had replaced current again. -ENOENT when there is none. A later push removes the
 * snapshots that were rolled back from: nothing goes back to them. */
int dimension_store_rollback(
    struct dimension_store *store, const char *name, json_t **result, struct error *err);

/* An array with one object for each dimension: name, required, loaded, version, rows, bytes, built_ms, age_s,
 * previous (versions, newest first), error (of the last load that failed at start-up, if any). */
json_t *dimension_store_list(const struct dimension_store *store);

/* The file that a daemon with this state directory would load for a dimension, without opening a store. 0, or
 * -ENOENT when there is none. Any thread. */
int dimension_store_current(const char *state_directory, const char *name, char *path, size_t size);

#endif
