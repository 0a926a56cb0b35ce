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

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SCHEMA_MAX_FIELDS CONFIG_MAX_FIELDS
#define SCHEMA_NO_FIELD (-1)

struct schema_field {
	const char *name;
	uint32_t name_len;
	enum field_type type;
	const struct config_field *config; /* constraints; owned by the configuration */
};

/* A name as the lookup sees it: its first 8 bytes (zeros after a shorter name), its last 8 bytes (zero where it has
 * no more than 8), its length. Names of up to 16 bytes are equal when their keys are. */
struct schema_key {
	uint64_t head;
	uint64_t tail;
	uint32_t len;
};

/* An entry of the lookup table. */
struct schema_entry {
	struct schema_key key; /* len UINT32_MAX: empty; no event's key is that long */
	int32_t field;
	uint32_t reserved;
};
_Static_assert(sizeof(struct schema_entry) == 32, "two entries in a cache line, and a shift to find one");

struct schema {
	const struct config_stream *config; /* must outlive the schema */
	uint16_t n_fields;
	enum unknown_fields unknown_fields;
	uint32_t max_event_bytes;
	int16_t identity;                      /* index of a field, or SCHEMA_NO_FIELD */
	int16_t timestamp;                     /* likewise */
	int16_t partition_key;                 /* likewise */
	int16_t enrich_key[CONFIG_MAX_ENRICH]; /* per join, index of the key's field */
	uint64_t required;                     /* bit i: field i is required */
	struct schema_field fields[SCHEMA_MAX_FIELDS];
	/* Field lookup by name: a collision-free table, its multipliers found by trial. See schema_find(). */
	uint64_t hash_multiplier[2];
	uint32_t hash_shift;
	bool hash_middle; /* names longer than 16 bytes differ only in the middle, so it is hashed as well */
	struct schema_entry *hash_table;
};

/* Compiles one stream. `stream` must stay alive. Returns 0; -ENOMEM; -EINVAL with the reason when names cannot
 * be resolved (config_load() has checked them, so this is a second line of defence). */
int schema_create(const struct config_stream *stream, struct schema **out, struct error *err);

/* NULL is allowed. */
void schema_destroy(struct schema *schema);

/* What schema_slot() adds for names that only their middle tells apart. */
uint64_t schema_hash_middle(const struct schema *schema, uint64_t hash, const char *name, uint32_t len);

/* The key of a name of which the caller has already loaded the first 8 bytes; what lies past `len` is ignored. */
static inline struct schema_key schema_key_loaded(uint64_t head, const char *name, uint32_t len)
{
	struct schema_key key = {.head = head, .len = len};

	if (len > 8)
		memcpy(&key.tail, name + len - 8, 8);
	else if (len < 8)
		key.head &= (UINT64_C(1) << (8 * len)) - 1;
	return key;
}

/* The table's slot of a name. */
static inline uint32_t schema_slot(
    const struct schema *schema, const struct schema_key *key, const char *name)
{
	uint64_t hash =
	    key->head * schema->hash_multiplier[0] + (key->tail ^ key->len) * schema->hash_multiplier[1];

	if (__builtin_expect(schema->hash_middle, 0) && key->len > 16)
		hash = schema_hash_middle(schema, hash, name, key->len);
	return (uint32_t)(hash >> schema->hash_shift);
}

/* The field with that key, or SCHEMA_NO_FIELD; `name` is what the key was made of. Any thread; two multiplications
 * and one cache line, and a memcmp() for names longer than 16 bytes. */
static inline int schema_find_key(const struct schema *schema, const struct schema_key *key, const char *name)
{
	const struct schema_entry *entry = &schema->hash_table[schema_slot(schema, key, name)];
	uint64_t difference =
	    (entry->key.head ^ key->head) | (entry->key.tail ^ key->tail) | (entry->key.len ^ key->len);

	if (difference != 0)
		return SCHEMA_NO_FIELD;
	if (key->len > 16 && memcmp(schema->fields[entry->field].name + 8, name + 8, key->len - 16) != 0)
		return SCHEMA_NO_FIELD;
	return entry->field;
}

/* The index of the declared field with that name (decoded bytes, not NUL-terminated), or SCHEMA_NO_FIELD. Reads
 * nothing outside name[0..len). Any thread. */
int schema_find(const struct schema *schema, const char *name, uint32_t len);

#endif
