/* SPDX-License-Identifier: BSD-3-Clause */
#include "textset.h"

#include <errno.h>
#include <stdlib.h>

#define TRIES 64u

/* Fills the slots. Returns how many strings do not stand where their hash says. */
static uint32_t fill(struct textset *set, char *const *texts, size_t n)
{
	uint32_t displaced = 0;

	memset(set->slots, 0, ((size_t)set->mask + 1) * sizeof(*set->slots));
	for (size_t i = 0; i < n; i++) {
		uint32_t len = (uint32_t)strlen(texts[i]), at;
		struct textset_key key = textset_key(texts[i], len);

		if (i > 0 && textset_has(set, texts[i], len))
			continue;
		at = textset_hash(set, &key);
		displaced += set->slots[at].text != NULL;
		while (set->slots[at].text != NULL)
			at = (at + 1) & set->mask;
		set->slots[at] = (struct textset_slot){.key = key, .text = texts[i]};
	}
	return displaced;
}

int textset_create(char *const *texts, size_t n, struct textset *out)
{
	uint64_t multiplier = TEXTSET_MULTIPLIER, best = multiplier;
	uint32_t size = 4, least = UINT32_MAX;

	while (size < 2 * n + 1)
		size *= 2;
	*out = (struct textset){.mask = size - 1};
	out->slots = calloc(size, sizeof(*out->slots));
	if (out->slots == NULL)
		return -ENOMEM;
	/* A multiplier without collisions if one turns up, else the one with the fewest. */
	for (uint32_t i = 0; i < TRIES && least > 0; i++) {
		uint32_t displaced;

		out->multiplier = multiplier;
		displaced = fill(out, texts, n);
		if (displaced < least) {
			least = displaced;
			best = multiplier;
		}
		multiplier = multiplier * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963406);
	}
	out->multiplier = best;
	(void)fill(out, texts, n);
	return 0;
}

void textset_destroy(struct textset *set)
{
	free(set->slots);
	*set = (struct textset){0};
}
