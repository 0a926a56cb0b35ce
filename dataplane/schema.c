/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_MAX_BITS 16u
#define HASH_TRIES 4096u /* multipliers tried for each table size */

static uint64_t load_head(const char *name, uint32_t len)
{
	uint64_t head = 0;

	memcpy(&head, name, len < 8 ? len : 8);
	return head;
}

static struct schema_key make_key(const char *name, uint32_t len)
{
	return schema_key_loaded(load_head(name, len), name, len);
}

uint64_t schema_hash_middle(const struct schema *schema, uint64_t hash, const char *name, uint32_t len)
{
	uint64_t word;

	for (uint32_t at = 8; at < len - 8; at += 8) {
		/* The last word may reach into the tail: never past the name. */
		memcpy(&word, name + at, 8);
		hash = (hash ^ (hash >> 29) ^ word) * schema->hash_multiplier[0];
	}
	return hash;
}

int schema_find(const struct schema *schema, const char *name, uint32_t len)
{
	struct schema_key key = make_key(name, len);

	return schema_find_key(schema, &key, name);
}

/* splitmix64: well spread numbers from a counter, the same on every host. */
static uint64_t next_multiplier(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) | 1;
}

static struct schema_key field_key(const struct schema *schema, uint16_t field)
{
	return make_key(schema->fields[field].name, schema->fields[field].name_len);
}

static bool fill_table(struct schema *schema, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		schema->hash_table[i] = (struct schema_entry){.key.len = UINT32_MAX};
	for (uint16_t i = 0; i < schema->n_fields; i++) {
		struct schema_key key = field_key(schema, i);
		struct schema_entry *entry =
		    &schema->hash_table[schema_slot(schema, &key, schema->fields[i].name)];

		if (entry->key.len != UINT32_MAX)
			return false;
		*entry = (struct schema_entry){.key = key, .field = i};
	}
	return true;
}

static bool middle_needed(const struct schema *schema)
{
	for (uint16_t i = 0; i < schema->n_fields; i++) {
		for (uint16_t j = 0; j < i; j++) {
			struct schema_key a = field_key(schema, i), b = field_key(schema, j);

			if (a.len == b.len && a.head == b.head && a.tail == b.tail)
				return true;
		}
	}
	return false;
}

static int build_table(struct schema *schema, struct error *err)
{
	uint64_t state = 0;
	uint32_t bits = 2;

	schema->hash_middle = middle_needed(schema);
	while ((1u << bits) < 2u * schema->n_fields)
		bits++;
	for (; bits <= HASH_MAX_BITS; bits++) {
		struct schema_entry *table = realloc(schema->hash_table, sizeof(*table) << bits);

		if (table == NULL)
			return error_set(err, -ENOMEM, "no memory for the field table");
		schema->hash_table = table;
		schema->hash_shift = 64 - bits;
		for (uint32_t i = 0; i < HASH_TRIES; i++) {
			schema->hash_multiplier[0] = next_multiplier(&state);
			schema->hash_multiplier[1] = next_multiplier(&state);
			if (fill_table(schema, 1u << bits))
				return 0;
		}
	}
	return error_set(err, -EINVAL, "no collision-free table for these field names");
}

/* Resolves a reference to a field; a NULL name resolves to SCHEMA_NO_FIELD. */
static int resolve(
    const struct schema *schema, const char *what, const char *name, int16_t *out, struct error *err)
{
	size_t len;

	*out = SCHEMA_NO_FIELD;
	if (name == NULL)
		return 0;
	len = strlen(name);
	if (len <= UINT32_MAX)
		*out = (int16_t)schema_find(schema, name, (uint32_t)len);
	if (*out == SCHEMA_NO_FIELD)
		return error_set(err, -EINVAL, "%s: \"%s\" is not a declared field", what, name);
	return 0;
}

static int add_fields(struct schema *schema, const struct config_stream *stream, struct error *err)
{
	if (stream->n_fields > SCHEMA_MAX_FIELDS)
		return error_set(err, -EINVAL, "%zu fields are declared; the limit is %u", stream->n_fields,
		    SCHEMA_MAX_FIELDS);
	schema->n_fields = (uint16_t)stream->n_fields;
	for (uint16_t i = 0; i < schema->n_fields; i++) {
		const struct config_field *config = &stream->fields[i];
		struct schema_field *field = &schema->fields[i];
		size_t len = strlen(config->name);

		/* A name longer than any event can hold would never match: refuse it here rather than cut it.
		 */
		if (len > stream->max_event_bytes)
			return error_set(err, -EINVAL,
			    "field \"%.32s...\": the name is longer than max_event_bytes", config->name);
		field->name = config->name;
		field->name_len = (uint32_t)len;
		field->type = config->type;
		field->config = config;
		if (config->required)
			schema->required |= UINT64_C(1) << i;
		for (uint16_t j = 0; j < i; j++) {
			if (strcmp(schema->fields[j].name, config->name) == 0)
				return error_set(
				    err, -EINVAL, "field \"%s\" is declared twice", config->name);
		}
	}
	return 0;
}

static int resolve_names(struct schema *schema, const struct config_stream *stream, struct error *err)
{
	int rc;

	if ((rc = resolve(schema, "identity", stream->identity, &schema->identity, err)) != 0 ||
	    (rc = resolve(schema, "timestamp", stream->timestamp_field, &schema->timestamp, err)) != 0 ||
	    (rc = resolve(schema, "partition_key", stream->partition_key, &schema->partition_key, err)) != 0)
		return rc;
	if (stream->n_enrich > CONFIG_MAX_ENRICH)
		return error_set(err, -EINVAL, "%zu joins are declared; the limit is %u", stream->n_enrich,
		    CONFIG_MAX_ENRICH);
	for (size_t i = 0; i < CONFIG_MAX_ENRICH; i++)
		schema->enrich_key[i] = SCHEMA_NO_FIELD;
	for (size_t i = 0; i < stream->n_enrich; i++) {
		const struct config_enrich *enrich = &stream->enrich[i];

		if (enrich->key == NULL)
			return error_set(err, -EINVAL, "enrich with %s: no key", enrich->dimension);
		if ((rc = resolve(schema, "enrich key", enrich->key, &schema->enrich_key[i], err)) != 0)
			return rc;
	}
	return 0;
}

int schema_create(const struct config_stream *stream, struct schema **out, struct error *err)
{
	struct schema *schema;
	int rc;

	*out = NULL;
	schema = calloc(1, sizeof(*schema));
	if (schema == NULL)
		return error_set(err, -ENOMEM, "no memory for the schema of stream %s", stream->name);
	schema->config = stream;
	schema->unknown_fields = stream->unknown_fields;
	schema->max_event_bytes = stream->max_event_bytes;
	if ((rc = add_fields(schema, stream, err)) != 0 || (rc = build_table(schema, err)) != 0 ||
	    (rc = resolve_names(schema, stream, err)) != 0) {
		error_prefix(err, rc, "stream %s", stream->name);
		goto err;
	}
	*out = schema;
	return 0;
err:
	schema_destroy(schema);
	return rc;
}

void schema_destroy(struct schema *schema)
{
	if (schema == NULL)
		return;
	free(schema->hash_table);
	free(schema);
}
