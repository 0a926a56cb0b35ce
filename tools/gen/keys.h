/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys that events and dimension rows have in common. Row `id` (from 1) has the same key in every seed,
 * so that any events file fits any dimension file that is large enough.
 */
#ifndef PENSTOCK_GEN_KEYS_H
#define PENSTOCK_GEN_KEYS_H

#include <stddef.h>
#include <stdint.h>

#define KEY_MAX 32u /* bytes, with the NUL */
#define KEY_MAX_ID (1ull << 35)

/* Each writes the key and its NUL, and returns its length. id is from 1 to KEY_MAX_ID. */
size_t key_product(char *out, uint64_t id);
size_t key_unknown_product(char *out, uint64_t id); /* in no products dimension */
size_t key_user(char *out, uint64_t id);
size_t key_place(char *out, uint64_t id);

/* Where a place is: ISO country code, from the same table that its key uses. */
const char *key_place_country(uint64_t id);

/* Writes n in decimal, without NUL, and returns the length (at most 20). */
size_t key_decimal(char *out, uint64_t n);

#endif
