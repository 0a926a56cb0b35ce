/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_section.h"

#include "config_scalar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTION_MAX_KEYS 32u /* of any table; checked by a test */

static void *at(void *object, size_t offset)
{
	return (char *)object + offset;
}

static int no_memory(struct reader *reader)
{
	return error_set(reader->err, -ENOMEM, "%.256s:1:1: out of memory", reader->name);
}

static void store_unsigned(void *target, size_t size, uint64_t value)
{
	switch (size) {
	case sizeof(uint8_t):
		*(uint8_t *)target = (uint8_t)value;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)target = (uint16_t)value;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)target = (uint32_t)value;
		break;
	default:
		*(uint64_t *)target = value;
	}
}

static int expected(
    struct reader *reader, const struct config_key *key, const yaml_node_t *node, const char *what)
{
	char found[128];

	return reader_fail(reader, node, "%s: expected %s, found %s", key->name, what,
	    reader_describe(node, found, sizeof(found)));
}

static int check_range(
    struct reader *reader, const struct config_key *key, const yaml_node_t *node, uint64_t value)
{
	const char *unit = key->unit == NULL ? "" : key->unit;

	if (value < key->min)
		return reader_fail(
		    reader, node, "%s: must be at least %" PRIu64 "%s", key->name, key->min, unit);
	if (value > key->max)
		return reader_fail(
		    reader, node, "%s: must be at most %" PRIu64 "%s", key->name, key->max, unit);
	return 0;
}

static int read_choice(struct reader *reader, const struct config_key *key, const yaml_node_t *node,
    const char *text, void *object)
{
	const char *names[16], *nearest;
	char list[256] = "", quoted[SCALAR_QUOTE_BYTES];
	size_t n = 0, used = 0;

	for (const struct key_choice *c = key->choices; c->name != NULL; c++) {
		if (strcmp(c->name, text) == 0) {
			if (c->refused != NULL)
				return reader_fail(reader, node, "%s: %s", key->name, c->refused);
			if (key->offset != KEYS_NOWHERE)
				store_unsigned(at(object, key->offset), key->size, (uint64_t)c->value);
			return 0;
		}
		if (c->refused != NULL)
			continue;
		used +=
		    (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", n == 0 ? "" : ", ", c->name);
		names[n++] = c->name;
	}
	nearest = scalar_nearest(text, names, n);
	if (nearest != NULL)
		return reader_fail(reader, node, "%s: unknown value %s, did you mean \"%s\"?", key->name,
		    scalar_quote(text, quoted), nearest);
	return reader_fail(
	    reader, node, "%s: unknown value %s, expected %s", key->name, scalar_quote(text, quoted), list);
}

/* A string: refused where YAML would read the plain text as something else. Takes `text` over. */
static int take_string(struct reader *reader, const struct config_key *key, const yaml_node_t *node,
    char *text, bool is_string, char **target)
{
	static const char *const kinds[] = {"null", "a boolean", "an integer", "a number", ""};
	enum scalar_kind kind = is_string ? SCALAR_STRING : scalar_kind(text);
	const char *why = NULL;
	int rc = 0;

	if (kind == SCALAR_NULL)
		rc = reader_fail(reader, node, "%s: expected a string, found nothing", key->name);
	else if (kind != SCALAR_STRING)
		rc = reader_fail(reader, node, "%s: expected a string, found %s: write \"%.40s\" in quotes",
		    key->name, kinds[kind], text);
	else if (text[0] == '\0')
		rc = reader_fail(reader, node, "%s: must not be empty", key->name);
	else if (key->refuse != NULL)
		why = key->refuse(text);
	if (why != NULL)
		rc = reader_fail(reader, node, "%s: %s", key->name, why);
	if (rc < 0) {
		free(text);
		return rc;
	}
	free(*target);
	*target = text;
	return 0;
}

static int read_unsigned(struct reader *reader, const struct config_key *key, const yaml_node_t *node,
    const char *text, bool plain, void *object)
{
	uint64_t value;
	int rc;

	if (!plain || scalar_kind(text) != SCALAR_INTEGER)
		return expected(reader, key, node, "an integer");
	if (text[0] == '-' || text[0] == '+')
		return reader_fail(reader, node, "%s: must not have a sign", key->name);
	if (!scalar_unsigned(text, &value))
		value = UINT64_MAX;
	rc = check_range(reader, key, node, value);
	if (rc == 0)
		store_unsigned(
		    at(object, key->offset), key->size, value * (key->scale == 0 ? 1 : key->scale));
	return rc;
}

static int read_duration(struct reader *reader, const struct config_key *key, const yaml_node_t *node,
    const char *text, void *object)
{
	int64_t ms;
	char quoted[SCALAR_QUOTE_BYTES];
	int rc;

	if (!scalar_duration(text, &ms))
		return reader_fail(reader, node,
		    "%s: expected a duration such as 500ms, 30s, 10m, 2h or 7d, found %s", key->name,
		    scalar_quote(text, quoted));
	rc = check_range(reader, key, node, (uint64_t)ms);
	if (rc == 0)
		*(int64_t *)at(object, key->offset) = ms;
	return rc;
}

static int read_size(struct reader *reader, const struct config_key *key, const yaml_node_t *node,
    const char *text, void *object)
{
	uint64_t bytes;
	char quoted[SCALAR_QUOTE_BYTES];
	int rc;

	if (!scalar_size(text, &bytes))
		return reader_fail(reader, node, "%s: expected a size such as 65536, 64KiB or 1MB, found %s",
		    key->name, scalar_quote(text, quoted));
	rc = check_range(reader, key, node, bytes);
	if (rc == 0)
		store_unsigned(at(object, key->offset), key->size, bytes);
	return rc;
}

/* Kinds whose value is one scalar other than a string; `text` is what it says. */
static int read_value(struct reader *reader, const struct config_key *key, const yaml_node_t *node,
    const char *text, bool plain, void *object)
{
	switch (key->kind) {
	case KEY_BOOLEAN:
		if (!plain || !scalar_boolean(text, at(object, key->offset)))
			return expected(reader, key, node, "true or false");
		return 0;
	case KEY_UNSIGNED:
		return read_unsigned(reader, key, node, text, plain, object);
	case KEY_SIZE:
		return read_size(reader, key, node, text, object);
	case KEY_NUMBER:
		if (!plain || !scalar_number(text, at(object, key->offset)))
			return expected(reader, key, node, "a number");
		return 0;
	case KEY_DURATION:
		return read_duration(reader, key, node, text, object);
	default:
		return read_choice(reader, key, node, text, object);
	}
}

static int read_scalar(struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object)
{
	bool quoted, substituted = false;
	char *text;
	int rc;

	rc = reader_text(reader, node, key->name, key->kind == KEY_STRING, &text, &quoted, &substituted);
	if (rc < 0)
		return rc;
	if (key->kind == KEY_STRING)
		return take_string(reader, key, node, text, quoted || substituted, at(object, key->offset));
	rc = read_value(reader, key, node, text, !quoted || substituted, object);
	free(text);
	return rc;
}

static int read_strings(
    struct reader *reader, const struct config_key *key, const yaml_node_t *node, void *object)
{
	size_t *count = at(object, key->count), n;
	char ***target = at(object, key->offset);

	if (node->type != YAML_SEQUENCE_NODE)
		return expected(reader, key, node, "a list");
	n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (n < key->min || n > key->max)
		return reader_fail(reader, node, "%s: expected %" PRIu64 " to %" PRIu64 " entries, found %zu",
		    key->name, key->min, key->max, n);
	*target = calloc(n, sizeof(char *));
	if (*target == NULL)
		return no_memory(reader);
	*count = n;
	for (size_t i = 0; i < n; i++) {
		yaml_node_t *item = reader_node(reader, node->data.sequence.items.start[i]);
		bool quoted, substituted = false;
		char *text, shown[SCALAR_QUOTE_BYTES];
		int rc;

		rc = reader_text(reader, item, key->name, true, &text, &quoted, &substituted);
		if (rc == 0)
			rc = take_string(reader, key, item, text, quoted || substituted, &(*target)[i]);
		for (size_t j = 0; rc == 0 && j < i; j++) {
			if (strcmp((*target)[i], (*target)[j]) == 0)
				rc = reader_fail(reader, item, "%s: %s stands there twice", key->name,
				    scalar_quote((*target)[i], shown));
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

int section_key(
    struct reader *reader, const yaml_node_t *mapping, const yaml_node_pair_t *pair, const char **out)
{
	const yaml_node_t *node = reader_node(reader, pair->key);
	const char *text = (const char *)node->data.scalar.value;
	char quoted[SCALAR_QUOTE_BYTES];

	if (node->type != YAML_SCALAR_NODE)
		return reader_fail(reader, node, "a key must be a string");
	if (strlen(text) != node->data.scalar.length)
		return reader_fail(reader, node, "a NUL character is not allowed in a key");
	if (strcmp(text, "<<") == 0)
		return reader_fail(
		    reader, node, "merge keys (<<) are not supported: write the keys out, or use an alias");
	for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < pair; p++) {
		const yaml_node_t *earlier = reader_node(reader, p->key);

		if (earlier->type == YAML_SCALAR_NODE &&
		    strcmp((const char *)earlier->data.scalar.value, text) == 0)
			return reader_fail(reader, node, "duplicate key %s, first on line %zu",
			    scalar_quote(text, quoted), earlier->start_mark.line + 1);
	}
	*out = text;
	return 0;
}

/* How many entries a list or map has, after checking the node's type and the bounds. */
static int count_entries(
    struct reader *reader, const struct config_key *key, const yaml_node_t *node, size_t *out)
{
	if (key->kind == KEY_LIST) {
		if (node->type != YAML_SEQUENCE_NODE)
			return expected(reader, key, node, "a list");
		*out = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	} else {
		if (node->type != YAML_MAPPING_NODE)
			return expected(reader, key, node, "a mapping");
		*out = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	}
	if (*out < key->min)
		return reader_fail(reader, node, "%s: must not be empty", key->name);
	if (*out > key->max)
		return reader_fail(
		    reader, node, "%s: at most %" PRIu64 " entries, found %zu", key->name, key->max, *out);
	return 0;
}

/* The name of a map's entry goes to the entry's first member. */
static int read_name(struct reader *reader, const struct config_key *key, const yaml_node_t *mapping,
    const yaml_node_pair_t *pair, void *entry)
{
	const yaml_node_t *node = reader_node(reader, pair->key);
	const char *text, *why;
	int rc;

	rc = section_key(reader, mapping, pair, &text);
	if (rc < 0)
		return rc;
	why = text[0] == '\0' ? "a name must not be empty" : key->refuse == NULL ? NULL : key->refuse(text);
	if (why != NULL)
		return reader_fail(reader, node, "%s: %s", key->name, why);
	*(char **)entry = strdup(text);
	if (*(char **)entry == NULL)
		return no_memory(reader);
	return reader_remember(reader, entry, node);
}

static int read_entries(
    struct reader *reader, const struct config_key *key, const yaml_node_t *node, void *object)
{
	const struct config_section *section = key->section;
	size_t n = 0;
	char *entries;
	int rc;

	rc = count_entries(reader, key, node, &n);
	if (rc < 0 || n == 0)
		return rc;
	entries = calloc(n, section->size);
	if (entries == NULL)
		return no_memory(reader);
	*(void **)at(object, key->offset) = entries;
	*(size_t *)at(object, key->count) = n;
	for (size_t i = 0; i < n; i++) {
		void *entry = entries + i * section->size;
		const yaml_node_t *value, *place;

		if (key->kind == KEY_LIST) {
			value = place = reader_node(reader, node->data.sequence.items.start[i]);
		} else {
			const yaml_node_pair_t *pair = &node->data.mapping.pairs.start[i];

			rc = read_name(reader, key, node, pair, entry);
			if (rc < 0)
				return rc;
			value = reader_node(reader, pair->value);
			place = reader_node(reader, pair->key);
		}
		if (value->type != YAML_MAPPING_NODE)
			return expected(reader, key, value, "a mapping");
		if (section->line != 0)
			*(int *)at(entry, section->line) = (int)place->start_mark.line + 1;
		if (key->kind == KEY_LIST) {
			rc = reader_remember(reader, entry, place);
			if (rc < 0)
				return rc;
		}
		rc = section_read(reader, section, value, entry);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_key(struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object)
{
	int rc;

	if (key->offset != KEYS_NOWHERE && !(key->kind == KEY_SECTION && key->offset == 0)) {
		rc = reader_remember(reader, at(object, key->offset), node);
		if (rc < 0)
			return rc;
	}
	if (key->has != 0) {
		*(bool *)at(object, key->has) = true;
		rc = reader_remember(reader, at(object, key->has), node);
		if (rc < 0)
			return rc;
	}
	switch (key->kind) {
	case KEY_STRINGS:
		return read_strings(reader, key, node, object);
	case KEY_LIST:
	case KEY_MAP:
		return read_entries(reader, key, node, object);
	case KEY_SECTION:
		if (node->type != YAML_MAPPING_NODE)
			return expected(reader, key, node, "a mapping");
		return section_read(reader, key->section, node, object);
	case KEY_CUSTOM:
		return key->read(reader, key, node, object);
	default:
		return read_scalar(reader, key, node, object);
	}
}

static int fill_presets(struct reader *reader, const struct config_section *section, void *object);

/* What an absent key means. */
static int fill_preset(struct reader *reader, const struct config_key *key, void *object)
{
	/* A preset is a constant of the table: read_value() cannot fail on it, a test reads them all. */
	yaml_node_t nowhere = {.type = YAML_SCALAR_NODE};
	char **string;

	if (key->kind == KEY_SECTION)
		return fill_presets(reader, key->section, object);
	if (key->kind == KEY_CUSTOM)
		return key->read(reader, key, NULL, object);
	if (key->kind == KEY_DURATION && key->preset == NULL)
		*(int64_t *)at(object, key->offset) = -1;
	if (key->preset == NULL)
		return 0;
	if (key->kind != KEY_STRING)
		return read_value(reader, key, &nowhere, key->preset, true, object);
	string = at(object, key->offset);
	*string = strdup(key->preset);
	return *string == NULL ? no_memory(reader) : 0;
}

static int fill_presets(struct reader *reader, const struct config_section *section, void *object)
{
	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		int rc = fill_preset(reader, key, object);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int unknown_key(struct reader *reader, const struct config_section *section, const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value, *names[SECTION_MAX_KEYS], *nearest;
	char list[320] = "", quoted[SCALAR_QUOTE_BYTES];
	size_t n = 0, used = 0;

	for (; section->keys[n].name != NULL && n < SECTION_MAX_KEYS; n++) {
		names[n] = section->keys[n].name;
		used +=
		    (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", n == 0 ? "" : ", ", names[n]);
	}
	nearest = scalar_nearest(text, names, n);
	scalar_quote(text, quoted);
	if (nearest != NULL)
		return reader_fail(reader, node, "unknown key %s, did you mean \"%s\"?", quoted, nearest);
	return reader_fail(reader, node, "unknown key %s, expected one of: %s", quoted, list);
}

int section_read(
    struct reader *reader, const struct config_section *section, const yaml_node_t *node, void *object)
{
	bool given[SECTION_MAX_KEYS] = {false};
	int rc;

	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const struct config_key *key = section->keys;
		const char *name;

		rc = section_key(reader, node, pair, &name);
		if (rc < 0)
			return rc;
		while (key->name != NULL && strcmp(key->name, name) != 0)
			key++;
		if (key->name == NULL)
			return unknown_key(reader, section, reader_node(reader, pair->key));
		given[key - section->keys] = true;
		rc = read_key(reader, key, reader_node(reader, pair->value), object);
		if (rc < 0)
			return rc;
	}
	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		if (given[key - section->keys])
			continue;
		if (key->required)
			return reader_fail(reader, node, "\"%s\" is missing", key->name);
		rc = fill_preset(reader, key, object);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void section_free(const struct config_section *section, void *object)
{
	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		size_t n = key->count == 0 ? 0 : *(size_t *)at(object, key->count);
		void **target;

		if (key->kind == KEY_SECTION)
			section_free(key->section, object);
		if (key->offset == KEYS_NOWHERE)
			continue;
		target = at(object, key->offset);
		if (key->kind == KEY_STRINGS) {
			for (size_t i = 0; i < n; i++)
				free(((char **)*target)[i]);
		}
		if (key->kind == KEY_MAP) {
			for (size_t i = 0; i < n; i++)
				free(*(char **)((char *)*target + i * key->section->size));
		}
		if (key->kind == KEY_LIST || key->kind == KEY_MAP) {
			for (size_t i = 0; i < n; i++)
				section_free(key->section, (char *)*target + i * key->section->size);
		}
		if (key->kind == KEY_STRING || key->kind == KEY_STRINGS || key->kind == KEY_LIST ||
		    key->kind == KEY_MAP)
			free(*target);
	}
}
