/* SPDX-License-Identifier: BSD-3-Clause */
#include "source_store.h"

#include "config_scalar.h"
#include "file_replace.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT_VERSION 1
#define MAX_RATE UINT64_C(1000000000)

struct source_store {
	struct engine *engine;
	char directory[PATH_MAX - 32], path[PATH_MAX];
	struct source_spec *specs; /* [SOURCE_STORE_MAX] */
	size_t n;
};

/* ---- JSON ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_key(const json_t *text, struct source_key *key, struct error *err)
{
	const char *hex = json_string_value(text);
	size_t len = hex == NULL ? 0 : strlen(hex);

	if (len % 2 != 0 || len < 2 * WIRE_KEY_MIN_BYTES || len > 2 * WIRE_KEY_MAX_BYTES)
		return error_set(err, -EINVAL, "key: %u to %u bytes in hexadecimal digits are needed",
		    WIRE_KEY_MIN_BYTES, WIRE_KEY_MAX_BYTES);
	key->len = (uint8_t)(len / 2);
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return error_set(err, -EINVAL, "key: not hexadecimal");
		key->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* A number of the object, which is left alone where it says nothing. */
static int read_number(
    const json_t *object, const char *name, uint64_t min, uint64_t max, uint64_t *out, struct error *err)
{
	const json_t *value = json_object_get(object, name);
	json_int_t number = json_integer_value(value);

	if (value == NULL)
		return 0;
	if (!json_is_integer(value) || number < 0 || (uint64_t)number < min || (uint64_t)number > max)
		return error_set(
		    err, -EINVAL, "%s: an integer of %" PRIu64 " to %" PRIu64 " is needed", name, min, max);
	*out = (uint64_t)number;
	return 0;
}

static int read_id(const char *text, uint64_t *id, struct error *err)
{
	if (text == NULL || !scalar_unsigned(text, id))
		return error_set(err, -EINVAL, "\"%.64s\" is not a source's id: a number is needed",
		    text == NULL ? "" : text);
	return 0;
}

static int read_spec(const json_t *object, struct source_spec *spec, struct error *err)
{
	int rc = read_id(json_string_value(json_object_get(object, "id")), &spec->id, err);
	json_t *key;
	size_t i;

	spec->revoked = json_is_true(json_object_get(object, "revoked"));
	if (rc == 0)
		rc = read_number(object, "rate", 0, MAX_RATE, &spec->rate, err);
	if (rc == 0)
		rc = read_number(object, "burst", 0, MAX_RATE, &spec->burst, err);
	json_array_foreach(json_object_get(object, "keys"), i, key)
	{
		uint64_t id = 0;

		if (rc == 0 && i == SOURCE_MAX_KEYS)
			rc = error_set(err, -EINVAL, "more than %u keys", SOURCE_MAX_KEYS);
		if (rc == 0)
			rc = read_number(key, "id", 0, UINT32_MAX, &id, err);
		if (rc == 0)
			rc = read_key(json_object_get(key, "key"), &spec->keys[i], err);
		if (rc != 0)
			break;
		spec->keys[i].id = (uint32_t)id;
		spec->n_keys = (uint8_t)(i + 1);
	}
	return rc == 0 ? 0 : error_prefix(err, -EBADMSG, "source %" PRIu64, spec->id);
}

static json_t *key_json(const struct source_key *key)
{
	char hex[2 * WIRE_KEY_MAX_BYTES + 1];

	for (size_t i = 0; i < key->len; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", key->bytes[i]);
	return json_pack("{s:I, s:s}", "id", (json_int_t)key->id, "key", hex);
}

static json_t *spec_json(const struct source_spec *spec, bool with_keys)
{
	json_t *keys = json_array();
	char id[24];

	(void)snprintf(id, sizeof(id), "%" PRIu64, spec->id);
	for (uint32_t k = 0; k < spec->n_keys; k++)
		json_array_append_new(
		    keys, with_keys ? key_json(&spec->keys[k]) : json_integer(spec->keys[k].id));
	return json_pack("{s:s, s:b, s:I, s:I, s:o}", "id", id, "revoked", spec->revoked, "rate",
	    (json_int_t)spec->rate, "burst", (json_int_t)spec->burst, with_keys ? "keys" : "key_ids", keys);
}

/* ---- disk ---- */

static int save(
    const struct source_store *store, const struct source_spec *specs, size_t n, struct error *err)
{
	json_t *list = json_array(),
	       *root = json_pack("{s:i, s:o}", "version", FORMAT_VERSION, "sources", list);
	char *text;
	int rc;

	for (size_t i = 0; i < n && list != NULL; i++)
		json_array_append_new(list, spec_json(&specs[i], true));
	text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	json_decref(root);
	if (text == NULL)
		return error_set(err, -ENOMEM, "no memory for sources");
	rc = file_replace(store->directory, "sources.json", text, strlen(text), 0600, err);
	explicit_bzero(text, strlen(text));
	free(text);
	return rc;
}

static int load(struct source_store *store, struct error *err)
{
	json_t *root, *object;
	json_error_t why;
	int rc = 0;
	size_t i;

	if (access(store->path, F_OK) != 0 && errno == ENOENT)
		return 0;
	root = json_load_file(store->path, JSON_REJECT_DUPLICATES, &why);
	if (root == NULL)
		return error_set(err, -EBADMSG, "%.256s:%d: %s", store->path, why.line, why.text);
	if (json_integer_value(json_object_get(root, "version")) != FORMAT_VERSION)
		rc = error_set(err, -EBADMSG, "not of format version %d", FORMAT_VERSION);
	if (rc == 0 && json_array_size(json_object_get(root, "sources")) > SOURCE_STORE_MAX)
		rc = error_set(err, -EBADMSG, "more than %u sources", SOURCE_STORE_MAX);
	json_array_foreach(json_object_get(root, "sources"), i, object)
	{
		if (rc != 0)
			break;
		rc = read_spec(object, &store->specs[i], err);
		store->n = i + 1;
	}
	json_decref(root);
	return rc == 0 ? 0 : error_prefix(err, rc, "%.256s", store->path);
}

/* ---- in force ---- */

static int compile(const struct source_store *store, const struct source_spec *specs, size_t n,
    struct source_keys **keys, struct error *err)
{
	return source_keys_create(specs, n, store->engine->n_workers, keys, err);
}

/* No key stays behind in memory that is used for something else. */
static void discard(struct source_spec *specs)
{
	if (specs != NULL)
		explicit_bzero(specs, SOURCE_STORE_MAX * sizeof(specs[0]));
	free(specs);
}

/* Puts the changed list on disk and in force. `specs` has room for n entries and becomes the store's. */
static int change(struct source_store *store, struct source_spec *specs, size_t n, struct error *err)
{
	struct source_keys *keys;
	int rc = compile(store, specs, n, &keys, err);

	if (rc != 0)
		return rc;
	rc = save(store, specs, n, err);
	if (rc != 0) {
		source_keys_destroy(keys);
		return rc;
	}
	transport_publish(store->engine->transport, keys);
	discard(store->specs);
	store->specs = specs;
	store->n = n;
	return 0;
}

int source_store_open(
    const char *state_directory, struct engine *engine, struct source_store **out, struct error *err)
{
	struct source_store *store = calloc(1, sizeof(*store));
	struct source_keys *keys;
	int rc;

	*out = NULL;
	if (store != NULL)
		store->specs = calloc(SOURCE_STORE_MAX, sizeof(store->specs[0]));
	if (store == NULL || store->specs == NULL) {
		free(store);
		return error_set(err, -ENOMEM, "no memory for sources");
	}
	store->engine = engine;
	if ((size_t)snprintf(store->directory, sizeof(store->directory), "%s", state_directory) >=
	    sizeof(store->directory)) {
		rc = error_set(err, -ENAMETOOLONG, "%.256s: path too long", state_directory);
		goto err;
	}
	(void)snprintf(store->path, sizeof(store->path), "%s/sources.json", store->directory);
	rc = load(store, err);
	if (rc == 0)
		rc = compile(store, store->specs, store->n, &keys, err);
	if (rc != 0)
		goto err;
	transport_publish(engine->transport, keys);
	*out = store;
	return 0;
err:
	source_store_close(store);
	return rc;
}

void source_store_close(struct source_store *store)
{
	if (store == NULL)
		return;
	discard(store->specs);
	free(store);
}

static struct source_spec *find(struct source_spec *specs, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (specs[i].id == id)
			return &specs[i];
	return NULL;
}

/* A copy of the list to be changed, and the entry of a source in it, or NULL. */
static int begin_change(const struct source_store *store, const char *id, uint64_t *number,
    struct source_spec **specs, struct source_spec **spec, struct error *err)
{
	int rc = read_id(id, number, err);

	*specs = NULL;
	if (rc != 0)
		return rc;
	*specs = calloc(SOURCE_STORE_MAX, sizeof((*specs)[0]));
	if (*specs == NULL)
		return error_set(err, -ENOMEM, "no memory for sources");
	memcpy(*specs, store->specs, store->n * sizeof((*specs)[0]));
	*spec = find(*specs, store->n, *number);
	return 0;
}

/* Adds a key behind the others; of more than there may be the oldest goes. */
static int add_key(struct source_spec *spec, const json_t *request, struct error *err)
{
	struct source_key key = {.id = 1};
	uint64_t id;
	int rc;

	for (uint32_t k = 0; k < spec->n_keys; k++)
		if (spec->keys[k].id >= key.id)
			key.id = spec->keys[k].id + 1;
	id = key.id;
	rc = read_number(request, "key_id", 0, UINT32_MAX, &id, err);
	key.id = (uint32_t)id;
	if (rc == 0)
		rc = read_key(json_object_get(request, "key"), &key, err);
	for (uint32_t k = 0; rc == 0 && k < spec->n_keys; k++)
		if (spec->keys[k].id == key.id)
			rc = error_set(
			    err, -EINVAL, "source %" PRIu64 " has a key %u already", spec->id, key.id);
	if (rc != 0)
		return rc;
	if (spec->n_keys == SOURCE_MAX_KEYS) {
		memmove(&spec->keys[0], &spec->keys[1], (SOURCE_MAX_KEYS - 1) * sizeof(spec->keys[0]));
		spec->n_keys--;
	}
	spec->keys[spec->n_keys++] = key;
	return 0;
}

int source_store_add(
    struct source_store *store, const char *id, const json_t *request, json_t **result, struct error *err)
{
	struct source_spec *specs, *spec;
	size_t n = store->n;
	uint64_t number;
	int rc = begin_change(store, id, &number, &specs, &spec, err);

	if (rc != 0)
		return rc;
	if (spec == NULL && n == SOURCE_STORE_MAX) {
		rc = error_set(err, -ENOSPC, "%u sources are listed: no more fit", SOURCE_STORE_MAX);
		goto out;
	}
	if (spec == NULL)
		spec = &specs[n++];
	/* Keys from before it was revoked are not to be trusted. */
	if (spec->revoked)
		*spec = (struct source_spec){0};
	spec->id = number;
	rc = read_number(request, "rate", 0, MAX_RATE, &spec->rate, err);
	if (rc == 0)
		rc = read_number(request, "burst", 0, MAX_RATE, &spec->burst, err);
	if (rc == 0 && (spec->n_keys == 0 || json_object_get(request, "key") != NULL))
		rc = add_key(spec, request, err);
	if (rc == 0)
		rc = change(store, specs, n, err);
	if (rc != 0)
		goto out;
	*result = spec_json(spec, false);
	return 0;
out:
	discard(specs);
	return rc;
}

int source_store_revoke(struct source_store *store, const char *id, json_t **result, struct error *err)
{
	struct source_spec *specs, *spec;
	uint64_t number;
	int rc = begin_change(store, id, &number, &specs, &spec, err);

	if (rc != 0)
		return rc;
	if (spec == NULL) {
		rc = error_set(err, -ENOENT, "source %" PRIu64 " is not listed", number);
		goto out;
	}
	spec->revoked = true;
	spec->n_keys = 0;
	rc = change(store, specs, store->n, err);
	if (rc != 0)
		goto out;
	*result = spec_json(spec, false);
	return 0;
out:
	discard(specs);
	return rc;
}

json_t *source_store_list(const struct source_store *store)
{
	json_t *list = json_array();

	for (size_t i = 0; i < store->n; i++)
		json_array_append_new(list, spec_json(&store->specs[i], false));
	return list;
}
