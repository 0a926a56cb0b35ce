/* SPDX-License-Identifier: BSD-3-Clause */
/* Random and mutated strings, and one regular expression through Hyperscan, for tests that hold a fast check
 * to it. */
#ifndef PENSTOCK_TEST_RANDOM_TEXT_H
#define PENSTOCK_TEST_RANDOM_TEXT_H

#include "regex_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TEXT_MAX 600u

struct text {
	uint32_t len;
	char bytes[TEXT_MAX];
};

/* xorshift64*: the same numbers in every run. */
static inline uint32_t rnd(uint64_t *state, uint32_t below)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * UINT64_C(2685821657736338717) >> 32) % below;
}

static inline char pick(uint64_t *state, const char *alphabet)
{
	return alphabet[rnd(state, (uint32_t)strlen(alphabet))];
}

static inline void put(struct text *t, const char *bytes)
{
	uint32_t n = (uint32_t)strlen(bytes);

	if (t->len + n > TEXT_MAX)
		n = TEXT_MAX - t->len;
	memcpy(t->bytes + t->len, bytes, n);
	t->len += n;
}

static inline void put_some(struct text *t, uint64_t *state, const char *alphabet, uint32_t n)
{
	for (; n > 0 && t->len < TEXT_MAX; n--)
		t->bytes[t->len++] = pick(state, alphabet);
}

/* One small change: a byte replaced, inserted or removed, a piece doubled, the end cut off or a newline
 * added. The result is valid UTF-8 if the input and the alphabet are ASCII. */
static inline void mutate(struct text *t, uint64_t *state, const char *alphabet)
{
	uint32_t at = t->len != 0 ? rnd(state, t->len) : 0, n;

	switch (rnd(state, 7)) {
	case 0:
	case 1:
		if (t->len != 0)
			t->bytes[at] = pick(state, alphabet);
		break;
	case 2:
		if (t->len < TEXT_MAX) {
			memmove(t->bytes + at + 1, t->bytes + at, t->len - at);
			t->bytes[at] = pick(state, alphabet);
			t->len++;
		}
		break;
	case 3:
		if (t->len != 0)
			memmove(t->bytes + at, t->bytes + at + 1, --t->len - at);
		break;
	case 4:
		n = t->len != 0 ? rnd(state, t->len - at) : 0;
		if (t->len + n <= TEXT_MAX) {
			memmove(t->bytes + at + n, t->bytes + at, t->len - at);
			t->len += n;
		}
		break;
	case 5:
		t->len = at;
		break;
	default:
		put(t, rnd(state, 4) ? (char[]){pick(state, alphabet), '\0'} : "\n");
	}
}

/* A copy of exactly that size, so that a sanitizer sees a read past the end. Free it. */
static inline char *exact_copy(const struct text *t)
{
	char *copy = malloc(t->len != 0 ? t->len : 1);

	assert_non_null(copy);
	memcpy(copy, t->bytes, t->len);
	return copy;
}

struct oracle {
	struct regex_set *set;
	struct hs_scratch *scratch;
};

static inline void oracle_open(struct oracle *o, const char *regex, uint32_t max_bytes)
{
	struct regex r = {regex, max_bytes};
	struct error err;
	size_t bad;

	o->scratch = NULL;
	if (regex_set_create(&r, 1, &o->set, &bad, &err) != 0)
		fail_msg("%s: %s", regex, err.text);
	assert_int_equal(regex_set_scratch(o->set, &o->scratch), 0);
}

static inline bool oracle_match(const struct oracle *o, const char *text, uint32_t len)
{
	return regex_set_match(o->set, o->scratch, 0, text, len);
}

static inline void oracle_close(struct oracle *o)
{
	regex_set_scratch_free(o->scratch);
	regex_set_destroy(o->set);
}

#endif
