/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/draft.h"

#include "gen/keys.h"

#include <assert.h>
#include <string.h>

void draft_clear(struct draft *draft)
{
	draft->n = 0;
	draft->used = 0;
}

static char *reserve(struct draft *draft, struct draft_field *field, size_t len)
{
	assert(draft->used + len <= sizeof(draft->text));
	field->start = (uint16_t)draft->used;
	field->len = (uint16_t)len;
	draft->used += (uint32_t)len;
	return draft->text + field->start;
}

static struct draft_field *append(struct draft *draft, const char *name)
{
	struct draft_field *field = &draft->field[draft->n++];

	assert(draft->n <= DRAFT_FIELDS);
	field->name = name;
	field->name_len = (uint16_t)strlen(name);
	return field;
}

void draft_json(struct draft *draft, const char *name, const char *json, size_t len)
{
	memcpy(reserve(draft, append(draft, name), len), json, len);
}

void draft_string(struct draft *draft, const char *name, const char *value, size_t len)
{
	char *text = reserve(draft, append(draft, name), len + 2);

	text[0] = '"';
	memcpy(text + 1, value, len);
	text[len + 1] = '"';
}

void draft_integer(struct draft *draft, const char *name, uint64_t value)
{
	char text[20];

	draft_json(draft, name, text, key_decimal(text, value));
}

void draft_cents(struct draft *draft, const char *name, uint64_t cents)
{
	char text[24];
	size_t len = key_decimal(text, cents / 100);

	text[len++] = '.';
	text[len++] = (char)('0' + cents / 10 % 10);
	text[len++] = (char)('0' + cents % 10);
	draft_json(draft, name, text, len);
}

struct draft_field *draft_find(struct draft *draft, const char *name)
{
	for (uint32_t i = 0; i < draft->n; i++)
		if (strcmp(draft->field[i].name, name) == 0)
			return &draft->field[i];
	return NULL;
}

void draft_set(struct draft *draft, const char *name, const char *json, size_t len)
{
	struct draft_field *field = draft_find(draft, name);

	if (field == NULL)
		draft_json(draft, name, json, len);
	else
		memcpy(reserve(draft, field, len), json, len);
}

void draft_remove(struct draft *draft, const char *name)
{
	struct draft_field *field = draft_find(draft, name);

	if (field == NULL)
		return;
	draft->n--;
	memmove(field, field + 1, (size_t)(draft->field + draft->n - field) * sizeof(*field));
}

void draft_shuffle(struct draft *draft, struct rng *rng)
{
	for (uint32_t i = draft->n; i > 1; i--) {
		uint32_t j = (uint32_t)rng_below(rng, i);
		struct draft_field other = draft->field[j];

		draft->field[j] = draft->field[i - 1];
		draft->field[i - 1] = other;
	}
}

static char *pad(char *out, struct rng *rng)
{
	for (uint64_t n = rng_below(rng, 4); n > 0; n--)
		*out++ = "  \t\r"[rng_below(rng, 4)];
	return out;
}

static char *gap(char *out, enum draft_layout layout, struct rng *rng)
{
	if (layout == DRAFT_SPACED)
		*out++ = ' ';
	return layout == DRAFT_PADDED ? pad(out, rng) : out;
}

size_t draft_write(const struct draft *draft, enum draft_layout layout, struct rng *rng, char *out)
{
	char *at = out;

	if (layout == DRAFT_PADDED)
		at = pad(at, rng);
	*at++ = '{';
	for (uint32_t i = 0; i < draft->n; i++) {
		const struct draft_field *field = &draft->field[i];

		/* 13: three gaps of at most 3 bytes, two quotes, colon and comma; 8: what follows the last
		 * member. */
		assert((size_t)(at - out) + field->name_len + field->len + 13 + 8 <= GEN_EVENT_MAX);
		if (i > 0) {
			*at++ = ',';
			at = gap(at, layout, rng);
		}
		*at++ = '"';
		memcpy(at, field->name, field->name_len);
		at += field->name_len;
		*at++ = '"';
		if (layout == DRAFT_PADDED)
			at = pad(at, rng);
		*at++ = ':';
		at = gap(at, layout, rng);
		memcpy(at, draft->text + field->start, field->len);
		at += field->len;
	}
	if (layout == DRAFT_PADDED)
		at = pad(at, rng);
	*at++ = '}';
	if (layout == DRAFT_PADDED)
		at = pad(at, rng);
	return (size_t)(at - out);
}
