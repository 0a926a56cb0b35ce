/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fixed set of strings, for the values of an enum: one hash of the first and last eight bytes and the
 * length, and for strings of up to 16 bytes no other comparison.
 *
 * Made on the control thread, immutable afterwards. Cost of a look-up: 2 to 4 ns.
 */
#ifndef PENSTOCK_TEXTSET_H
#define PENSTOCK_TEXTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TEXTSET_MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)

/* What tells strings of up to 16 bytes apart: every byte is in head or tail. */
struct textset_key {
	uint64_t head, tail;
	uint32_t len;
};

struct textset_slot {
	struct textset_key key;
	const char *text; /* NULL: empty */
};

struct textset {
	struct textset_slot *slots; /* a power of two of them, at most half full */
	uint32_t mask;
	uint64_t multiplier;
};

/* The strings must outlive the set. 0 or -ENOMEM. */
int textset_create(char *const *texts, size_t n, struct textset *out);

/* A zeroed set is allowed. */
void textset_destroy(struct textset *set);

static inline struct textset_key textset_key(const char *text, uint32_t len)
{
	struct textset_key key = {.len = len};
	uint32_t first, last;

	if (len >= 8) {
		memcpy(&key.head, text, 8);
		memcpy(&key.tail, text + len - 8, 8);
	} else if (len >= 4) {
		memcpy(&first, text, 4);
		memcpy(&last, text + len - 4, 4);
		key.head = first | (uint64_t)last << 32;
	} else if (len > 0) {
		key.head = (uint8_t)text[0] | (uint32_t)(uint8_t)text[len / 2] << 8 |
		           (uint32_t)(uint8_t)text[len - 1] << 16;
	}
	return key;
}

static inline uint32_t textset_hash(const struct textset *set, const struct textset_key *key)
{
	uint64_t hash = (key->head ^ key->tail << 1 ^ key->tail >> 63 ^ key->len) * set->multiplier;

	return (uint32_t)(hash >> 32) & set->mask;
}

/* Whether the set holds the text. The set is not empty. */
static inline bool textset_has(const struct textset *set, const char *text, uint32_t len)
{
	struct textset_key key = textset_key(text, len);

	for (uint32_t at = textset_hash(set, &key);; at = (at + 1) & set->mask) {
		const struct textset_slot *slot = &set->slots[at];

		if (slot->text == NULL)
			return false;
		if (slot->key.head == key.head && slot->key.tail == key.tail && slot->key.len == len &&
		    (len <= 16 || memcmp(slot->text + 8, text + 8, len - 16) == 0))
			return true;
	}
}

#endif
