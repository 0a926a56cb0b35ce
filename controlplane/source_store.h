/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The senders that are listed by `penstock source`: kept in <state>/sources.json (mode 0600, for it holds the keys) and in
 * force in the engine. A change is on disk before it is in force, and in force when the call returns; what fails changes
 * nothing.
 *
 * Control thread only.
 */
#ifndef PENSTOCK_SOURCE_STORE_H
#define PENSTOCK_SOURCE_STORE_H

#include "engine.h"

#include <jansson.h>

#define SOURCE_STORE_MAX 4096u /* sources, revoked ones included */

struct source_store;

/* Reads the file and publishes its sources. No file: no sources. -EBADMSG: the file is damaged, and nothing is in force:
 * a daemon must not let in whom it cannot check. */
int source_store_open(
    const char *state_directory, struct engine *engine, struct source_store **out, struct error *err);
/* NULL is allowed. */
void source_store_close(struct source_store *store);

/* Lists a source, or changes one that is listed: `request` has "key" (hexadecimal, 16 to 64 bytes) and may have "key_id"
 * (else the next number), "rate" and "burst". A source keeps its two newest keys. *result describes it, without keys.
 * -EINVAL: what is asked for makes no sense; -ENOSPC: too many. */
int source_store_add(
    struct source_store *store, const char *id, const json_t *request, json_t **result, struct error *err);

/* Shuts a source out; it stays listed as revoked until it is added again. -ENOENT: it is not listed. */
int source_store_revoke(struct source_store *store, const char *id, json_t **result, struct error *err);

/* An array: id (as text), revoked, rate, burst, key_ids. */
json_t *source_store_list(const struct source_store *store);

#endif
