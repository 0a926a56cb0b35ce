/* SPDX-License-Identifier: BSD-3-Clause */
#include "delivered_set.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_SLOTS 1024u

struct entry {
	uint64_t key[2]; /* both 0: free */
};

struct delivered_set {
	struct entry *entries;
	uint64_t n_slots; /* a power of two */
	uint64_t n;
};

struct delivered_set *delivered_set_create(void)
{
	struct delivered_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->n_slots = FIRST_SLOTS;
	set->entries = calloc(set->n_slots, sizeof(*set->entries));
	if (set->entries == NULL) {
		free(set);
		return NULL;
	}
	return set;
}

void delivered_set_destroy(struct delivered_set *set)
{
	if (set == NULL)
		return;
	free(set->entries);
	free(set);
}

/* Stream and output go into the key, so that each of an event's records is known by itself. */
static struct entry entry_of(uint16_t stream, enum record_kind kind, const uint64_t key[2])
{
	struct entry entry = {{key[0] ^ ((uint64_t)stream << 2 | (uint64_t)kind), key[1]}};

	if (entry.key[0] == 0 && entry.key[1] == 0)
		entry.key[0] = 1;
	return entry;
}

/* Where the entry is, or the free slot where it belongs. */
static struct entry *find(struct entry *entries, uint64_t n_slots, const struct entry *wanted)
{
	for (uint64_t i = wanted->key[1];; i++) {
		struct entry *at = &entries[i & (n_slots - 1)];

		if ((at->key[0] == wanted->key[0] && at->key[1] == wanted->key[1]) ||
		    (at->key[0] == 0 && at->key[1] == 0))
			return at;
	}
}

static int grow(struct delivered_set *set)
{
	uint64_t n_slots = 2 * set->n_slots;
	struct entry *entries = calloc(n_slots, sizeof(*entries));

	if (entries == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < set->n_slots; i++)
		if (set->entries[i].key[0] != 0 || set->entries[i].key[1] != 0)
			*find(entries, n_slots, &set->entries[i]) = set->entries[i];
	free(set->entries);
	set->entries = entries;
	set->n_slots = n_slots;
	return 0;
}

int delivered_set_add(
    struct delivered_set *set, uint16_t stream, enum record_kind kind, const uint64_t key[2])
{
	struct entry entry = entry_of(stream, kind, key), *at;

	if (2 * (set->n + 1) > set->n_slots && grow(set) != 0)
		return -ENOMEM;
	at = find(set->entries, set->n_slots, &entry);
	if (at->key[0] == 0 && at->key[1] == 0)
		set->n++;
	*at = entry;
	return 0;
}

bool delivered_set_has(
    const struct delivered_set *set, uint16_t stream, enum record_kind kind, const uint64_t key[2])
{
	struct entry entry = entry_of(stream, kind, key);
	const struct entry *at = find(set->entries, set->n_slots, &entry);

	return at->key[0] != 0 || at->key[1] != 0;
}

uint64_t delivered_set_size(const struct delivered_set *set)
{
	return set->n;
}
