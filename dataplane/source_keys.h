/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The senders that are known by id: their keys, their limits, and who is shut out. An immutable table: made by the control
 * thread from a list, published to the workers by pointer exchange, freed after a grace period. OpenSSL's state for every
 * key is made here, once per worker, so that checking a frame sets up nothing.
 *
 * source_keys_find() and the MACs of a worker's number: that worker. Everything else: control thread.
 */
#ifndef PENSTOCK_SOURCE_KEYS_H
#define PENSTOCK_SOURCE_KEYS_H

#include "error.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_MAX_KEYS 2u /* two are valid while one follows the other */

struct wire_mac;

struct source_key {
	uint32_t id;
	uint8_t len;
	uint8_t bytes[WIRE_KEY_MAX_BYTES];
};

/* What is known of one sender. */
struct source_spec {
	uint64_t id;
	bool revoked;
	uint64_t rate, burst; /* events per second, and events; 0: as by default */
	uint8_t n_keys;
	struct source_key keys[SOURCE_MAX_KEYS];
};

struct source_entry {
	uint64_t id;
	bool revoked;
	uint64_t rate, burst;
	uint8_t n_keys;
	uint32_t key_id[SOURCE_MAX_KEYS];
	struct wire_mac **mac[SOURCE_MAX_KEYS]; /* one per worker */
};

struct source_keys;

/* 0, -ENOMEM, or -EINVAL for a key that is too short or too long, or an id that is there twice. */
int source_keys_create(const struct source_spec *specs, size_t n, uint32_t n_workers,
    struct source_keys **out, struct error *err);
/* NULL is allowed. */
void source_keys_destroy(struct source_keys *keys);

/* NULL: not listed. */
const struct source_entry *source_keys_find(const struct source_keys *keys, uint64_t id);

/* The worker's MAC of that key; NULL: the source has no such key. */
struct wire_mac *source_entry_mac(const struct source_entry *entry, uint32_t key_id, uint16_t worker);

#endif
