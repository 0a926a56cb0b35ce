/* SPDX-License-Identifier: BSD-3-Clause */
#include "source_keys.h"

#include "wire_mac.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct source_keys {
	uint32_t n_workers;
	size_t n;
	uint32_t mask;
	uint32_t
	    *place; /* [mask + 1] index + 1 of the entry, by hash of the id and linear probing; 0: free */
	struct source_entry entries[];
};

static uint32_t hash(uint64_t id)
{
	/* The finalizer of MurmurHash3. The table is at most half full and only we fill it. */
	id = (id ^ id >> 33) * UINT64_C(0xff51afd7ed558ccd);
	id = (id ^ id >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (uint32_t)(id ^ id >> 33);
}

const struct source_entry *source_keys_find(const struct source_keys *keys, uint64_t id)
{
	if (keys == NULL)
		return NULL;
	for (uint32_t at = hash(id);; at++) {
		uint32_t place = keys->place[at & keys->mask];

		if (place == 0)
			return NULL;
		if (keys->entries[place - 1].id == id)
			return &keys->entries[place - 1];
	}
}

struct wire_mac *source_entry_mac(const struct source_entry *entry, uint32_t key_id, uint16_t worker)
{
	for (uint32_t k = 0; entry != NULL && k < entry->n_keys; k++)
		if (entry->key_id[k] == key_id)
			return entry->mac[k][worker];
	return NULL;
}

static int add_keys(const struct source_keys *keys, const struct source_spec *spec,
    struct source_entry *entry, struct error *err)
{
	int rc = 0;

	for (uint32_t k = 0; rc == 0 && k < spec->n_keys; k++) {
		const struct source_key *key = &spec->keys[k];

		entry->mac[k] = calloc(keys->n_workers, sizeof(entry->mac[k][0]));
		if (entry->mac[k] == NULL)
			return error_set(err, -ENOMEM, "no memory for keys");
		entry->key_id[k] = key->id;
		entry->n_keys = (uint8_t)(k + 1);
		for (uint32_t w = 0; rc == 0 && w < keys->n_workers; w++)
			rc = wire_mac_create(&entry->mac[k][w], key->bytes, key->len, key->id, err);
	}
	return rc;
}

static int add_entry(struct source_keys *keys, const struct source_spec *spec, struct error *err)
{
	struct source_entry *entry = &keys->entries[keys->n];
	uint32_t at = hash(spec->id);
	int rc;

	if (spec->n_keys > SOURCE_MAX_KEYS)
		return error_set(err, -EINVAL, "source %" PRIu64 ": %u keys, at most %u", spec->id,
		    spec->n_keys, SOURCE_MAX_KEYS);
	if (source_keys_find(keys, spec->id) != NULL)
		return error_set(err, -EINVAL, "source %" PRIu64 " is listed twice", spec->id);
	entry->id = spec->id;
	entry->revoked = spec->revoked;
	entry->rate = spec->rate;
	entry->burst = spec->burst;
	keys->n++;
	rc = add_keys(keys, spec, entry, err);
	if (rc != 0)
		return error_prefix(err, rc, "source %" PRIu64, spec->id);
	while (keys->place[at & keys->mask] != 0)
		at++;
	keys->place[at & keys->mask] = (uint32_t)keys->n;
	return 0;
}

int source_keys_create(const struct source_spec *specs, size_t n, uint32_t n_workers,
    struct source_keys **out, struct error *err)
{
	struct source_keys *keys = calloc(1, sizeof(*keys) + n * sizeof(keys->entries[0]));
	size_t places = 8;
	int rc = -ENOMEM;

	*out = NULL;
	while (places < 2 * n)
		places *= 2;
	if (keys != NULL)
		keys->place = calloc(places, sizeof(keys->place[0]));
	if (keys == NULL || keys->place == NULL) {
		error_set(err, rc, "no memory for %zu sources", n);
		goto err;
	}
	keys->n_workers = n_workers;
	keys->mask = (uint32_t)places - 1;
	for (size_t i = 0; i < n; i++) {
		rc = add_entry(keys, &specs[i], err);
		if (rc != 0)
			goto err;
	}
	*out = keys;
	return 0;
err:
	source_keys_destroy(keys);
	return rc;
}

void source_keys_destroy(struct source_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->n; i++) {
		struct source_entry *entry = &keys->entries[i];

		for (uint32_t k = 0; k < entry->n_keys; k++) {
			for (uint32_t w = 0; w < keys->n_workers; w++)
				wire_mac_destroy(entry->mac[k][w]);
			free(entry->mac[k]);
		}
	}
	free(keys->place);
	free(keys);
}
