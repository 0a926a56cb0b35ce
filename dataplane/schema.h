/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream's shape, compiled from its configuration: what the parser, the validator and the emitter need,
 * laid out for the hot path.
 *
 * Built once by schema_create() on the control thread, immutable afterwards, shared by all workers.
 */
#ifndef PENSTOCK_SCHEMA_H
#define PENSTOCK_SCHEMA_H

#include "config.h"
#include "error.h"

#include <stdint.h>

#define SCHEMA_MAX_FIELDS CONFIG_MAX_FIELDS
#define SCHEMA_NO_FIELD (-1)

struct schema_field {
	const char *name;
	uint32_t name_len;
	enum field_type type;
	const struct config_field *config; /* constraints; owned by the configuration */
};

struct schema {
	const struct config_stream *config; /* must outlive the schema */
	uint16_t n_fields;
	enum unknown_fields unknown_fields;
	uint32_t max_event_bytes;
	int16_t identity;      /* index of a field, or SCHEMA_NO_FIELD */
	int16_t timestamp;     /* likewise */
	int16_t partition_key; /* likewise */
	int16_t enrich_key[CONFIG_MAX_ENRICH]; /* per join, index of the key's field */
	uint64_t required;     /* bit i: field i is required */
	struct schema_field fields[SCHEMA_MAX_FIELDS];
	/* Field lookup by name: a collision-free table found at creation. See schema_find(). */
	uint32_t hash_seed;
	uint32_t hash_mask;
	uint8_t *hash_table; /* field index + 1; 0 is empty */
};

/* Compiles one stream. `stream` must stay alive. Returns 0; -ENOMEM; -EINVAL with the reason when names cannot
 * be resolved (config_load() has checked them, so this is a second line of defence). */
int schema_create(const struct config_stream *stream, struct schema **out, struct error *err);

/* NULL is allowed. */
void schema_destroy(struct schema *schema);

/* The index of the declared field with that name (decoded bytes, not NUL-terminated), or SCHEMA_NO_FIELD.
 * Any thread; one hash of at most 8 bytes, one compare. */
int schema_find(const struct schema *schema, const char *name, uint32_t len);

#endif
