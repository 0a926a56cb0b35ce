/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walker: one pass over the index of an event, guided by the schema. Compiled for each instruction set,
 * like the indexer.
 *
 * Why it never reads past the event or the index: it makes sure that the last token is a closing brace, and
 * puts the event's first byte, the opening one, behind it. Every step consumes a token that the grammar
 * allows, so the last one is consumed as a closing brace; what must follow that, inside or outside, can never
 * be an opening brace. For the same reason a byte can be read after any number or literal.
 */
#ifndef PENSTOCK_JSON_WALK_H
#define PENSTOCK_JSON_WALK_H

#include "json_index.h"
#include "json_text.h"

#include <string.h>

struct walker {
	const struct schema *schema;
	const char *data;
	uint32_t len;
	const uint64_t *backslash; /* NULL: there is none */
	struct json_output *out;
};

/* Whether a backslash lies in data[start..end). `escapes`: there are some in the event; a constant wherever
 * it matters. */
static inline __attribute__((always_inline)) bool has_backslash(
    const struct walker *w, bool escapes, uint32_t start, uint32_t end)
{
	uint32_t first = start / 64, last = end / 64;
	uint64_t bits;

	if (!escapes)
		return false;
	bits = w->backslash[first] & ~UINT64_C(0) << start % 64;
	for (uint32_t i = first; i < last; i++) {
		if (bits != 0)
			return true;
		bits = w->backslash[i + 1];
	}
	return (bits & ~(~UINT64_C(0) << end % 64)) != 0;
}

static inline uint64_t load_head(const struct walker *w, uint32_t at)
{
	uint64_t head = 0;
	uint32_t rest = w->len - at;

	if (__builtin_expect(rest >= 8, 1))
		memcpy(&head, w->data + at, 8);
	else
		memcpy(&head, w->data + at, rest);
	return head;
}

/* The field that a key with escapes names. False: an escape is invalid. */
static bool find_escaped_field(const struct walker *w, uint32_t start, uint32_t len, int *field)
{
	char *text = w->out->text + w->out->text_used;

	if (!json_unescape(w->data + start, len, text, &len))
		return false;
	*field = schema_find(w->schema, text, len);
	return true;
}

static inline bool is_digit(char c)
{
	return (uint8_t)(c - '0') < 10;
}

/* The end of the number at p, or NULL. The closing brace behind it ends every loop. */
static inline const char *number_end(const char *p, uint8_t *type)
{
	*type = VALUE_INTEGER;
	p += *p == '-';
	if (*p == '0') {
		p++;
	} else {
		if (!is_digit(*p))
			return NULL;
		while (is_digit(*p))
			p++;
	}
	if (*p == '.') {
		*type = VALUE_NUMBER;
		p++;
		if (!is_digit(*p))
			return NULL;
		while (is_digit(*p))
			p++;
	}
	if ((*p | 0x20) == 'e') {
		*type = VALUE_NUMBER;
		p++;
		p += *p == '+' || *p == '-';
		if (!is_digit(*p))
			return NULL;
		while (is_digit(*p))
			p++;
	}
	return p;
}

static inline bool same(const char *p, const char *word)
{
	uint32_t a, b;

	memcpy(&a, p, 4);
	memcpy(&b, word, 4);
	return a == b;
}

/* The number or literal whose token is at `start`; 0, or its end. `next` is where the next token is: a run of
 * bytes is one token, so that anything but `next` and white space at the end means that the run goes on. */
static uint32_t scalar_end(const struct walker *w, uint32_t start, uint32_t next, uint8_t *type)
{
	const char *p = w->data + start, *end;

	switch (*p) {
	case '-':
	case '0' ... '9':
		end = number_end(p, type);
		if (end == NULL)
			return 0;
		break;
	case 't':
		*type = VALUE_TRUE;
		end = p + 4;
		if (next - start < 4 || !same(p, "true"))
			return 0;
		break;
	case 'f':
		*type = VALUE_FALSE;
		end = p + 5;
		if (next - start < 5 || !same(p + 1, "alse"))
			return 0;
		break;
	case 'n':
		*type = VALUE_NULL;
		end = p + 4;
		if (next - start < 4 || !same(p, "null"))
			return 0;
		break;
	default:
		return 0;
	}
	if (end != w->data + next && !json_is_space(*end))
		return 0;
	return (uint32_t)(end - w->data);
}

/* Checks the object or array whose opening token is *token, at nesting level 2; returns the token after it,
 * or NULL. */
static const uint32_t *skip_nested(const struct walker *w, const uint32_t *token, uint32_t *end)
{
	const char *data = w->data;
	uint64_t objects =
	    1; /* bit 0: the innermost level is an object; the others above it; the event's own is in there */
	uint32_t depth = 1;
	uint8_t type;
	char c;

value:
	c = data[*token];
	switch (c) {
	case '{':
	case '[':
		if (depth == JSON_MAX_DEPTH)
			return NULL;
		depth++;
		objects = objects << 1 | (c == '{');
		token++;
		if (data[*token] == (c == '{' ? '}' : ']'))
			goto close;
		if (c == '{')
			goto key;
		goto value;
	case '"':
		if (has_backslash(w, w->backslash != NULL, token[0], token[1]) &&
		    !json_unescape(data + token[0] + 1, token[1] - token[0] - 1, NULL, NULL))
			return NULL;
		token += 2;
		break;
	default:
		if (scalar_end(w, token[0], token[1], &type) == 0)
			return NULL;
		token++;
	}
after_value:
	c = data[*token];
	if (c == ',') {
		token++;
		if (objects & 1)
			goto key;
		goto value;
	}
	if (c != (objects & 1 ? '}' : ']'))
		return NULL;
close:
	*end = *token + 1;
	token++;
	objects >>= 1;
	depth--;
	if (depth > 1)
		goto after_value;
	return token;
key:
	if (data[token[0]] != '"' || data[token[2]] != ':')
		return NULL;
	if (has_backslash(w, w->backslash != NULL, token[0], token[1]) &&
	    !json_unescape(data + token[0] + 1, token[1] - token[0] - 1, NULL, NULL))
		return NULL;
	token += 3;
	goto value;
}

static bool record_unknown(const struct walker *w, uint32_t start, uint32_t end)
{
	struct json_output *out = w->out;

	if (w->schema->unknown_fields == UNKNOWN_REJECT)
		return false;
	if (w->schema->unknown_fields == UNKNOWN_DROP) {
		if (out->n_unknown >= BURST_MAX_UNKNOWN)
			return false;
		out->unknown[out->n_unknown] = (struct member){.start = start, .end = end};
	}
	if (out->n_unknown < UINT16_MAX)
		out->n_unknown++;
	return true;
}

/* In two stores. */
static inline void store_value(struct value *value, const char *ptr, uint32_t len, uint8_t type)
{
	uint64_t rest = len | (uint64_t)type << 32;

	_Static_assert(
	    offsetof(struct value, type) == offsetof(struct value, len) + 4, "the type follows the length");
	value->ptr = ptr;
	memcpy((char *)value + offsetof(struct value, len), &rest, 8);
}

static bool store_escaped(const struct walker *w, uint32_t start, uint32_t len, struct value *value)
{
	struct json_output *out = w->out;
	char *text = out->text + out->text_used;

	if (!json_unescape(w->data + start, len, text, &len))
		return false;
	*value = (struct value){.ptr = text, .len = len, .type = VALUE_STRING, .decoded = 1};
	out->text_used += len;
	return true;
}

/* The key whose quotes are token[0] and token[1]. False: an escape in it is invalid. */
static inline __attribute__((always_inline)) bool find_field(
    const struct walker *w, bool escapes, const uint32_t *token, int *field)
{
	uint32_t start = token[0] + 1, len = token[1] - start;
	struct schema_key key;

	if (has_backslash(w, escapes, start, token[1]))
		return find_escaped_field(w, start, len, field);
	key = schema_key_loaded(load_head(w, start), w->data + start, len);
	*field = schema_find_key(w->schema, &key, w->data + start);
	return true;
}

/* The value whose first token is *token. Stores it unless `value` is NULL. Returns the token after it, or
 * NULL. */
static inline __attribute__((always_inline)) const uint32_t *walk_value(
    const struct walker *w, bool escapes, const uint32_t *token, struct value *value, uint32_t *end)
{
	uint32_t start = *token;
	char c = w->data[start];
	uint8_t type;

	if (c == '"') {
		uint32_t len = token[1] - ++start;

		*end = token[1] + 1;
		token += 2;
		if (has_backslash(w, escapes, start, start + len)) {
			if (value == NULL ? !json_unescape(w->data + start, len, NULL, NULL)
			                  : !store_escaped(w, start, len, value))
				return NULL;
			return token;
		}
		if (value != NULL)
			store_value(value, w->data + start, len, VALUE_STRING);
		return token;
	}
	if (c == '{' || c == '[') {
		type = c == '{' ? VALUE_OBJECT : VALUE_ARRAY;
		token = skip_nested(w, token, end);
		if (token == NULL)
			return NULL;
	} else {
		*end = scalar_end(w, start, token[1], &type);
		if (*end == 0)
			return NULL;
		token++;
	}
	if (value != NULL)
		store_value(value, w->data + start, *end - start, type);
	return token;
}

/* The members of the event, from the first key's token to the last closing brace. The fields found go to
 * *seen. */
static inline __attribute__((always_inline)) bool walk_members(
    const struct walker *w, bool escapes, const uint32_t *token, const uint32_t *last, uint64_t *seen)
{
	const char *data = w->data;
	uint64_t found = 0;

	for (;;) {
		uint32_t start = token[0], end;
		int field;
		char c;

		if (data[start] != '"' || data[token[2]] != ':' || !find_field(w, escapes, token, &field))
			return false;
		if (field != SCHEMA_NO_FIELD) {
			uint64_t bit = UINT64_C(1) << field;

			if (found & bit)
				return false;
			found |= bit;
			token = walk_value(w, escapes, token + 3, &w->out->values[field], &end);
			if (token == NULL)
				return false;
		} else {
			token = walk_value(w, escapes, token + 3, NULL, &end);
			if (token == NULL || !record_unknown(w, start, end))
				return false;
		}
		c = data[*token];
		if (c != ',')
			break;
		token++;
	}
	*seen = found;
	return token == last;
}

/* Parses an event by its index. False: it has to be refused; *out is then meaningless, and the reference has
 * the word. */
static inline bool walk_event(const struct schema *schema, const char *data, uint32_t len,
    const struct json_index *index, struct json_output *out)
{
	const uint32_t *token = index->token, *last = token + index->n - 1;
	uint64_t seen = 0, absent;
	const struct walker w = {.schema = schema,
	    .data = data,
	    .len = len,
	    .backslash = index->has_backslash ? index->backslash : NULL,
	    .out = out};

	out->text_used = 0;
	out->n_unknown = 0;
	if (index->n < 2 || data[token[0]] != '{' || data[*last] != '}')
		return false;
	if (index->has_non_ascii && !json_utf8_valid(data, len))
		return false;
	index->token[index->n] = token[0];
	token++;
	if (token != last) {
		/* Twice, so that the common case does not ask for each string. */
		if (!(index->has_backslash ? walk_members(&w, true, token, last, &seen)
		                           : walk_members(&w, false, token, last, &seen)))
			return false;
	}
	absent = ~seen & (schema->n_fields < 64 ? (UINT64_C(1) << schema->n_fields) - 1 : ~UINT64_C(0));
	for (; absent != 0; absent &= absent - 1)
		out->values[__builtin_ctzll(absent)] = (struct value){.type = VALUE_ABSENT};
	return true;
}

static inline bool parse_fast(struct json_parser *parser, const struct schema *schema, const char *data,
    uint32_t len, struct json_output *out)
{
	struct json_index index = {.token = parser->index, .backslash = parser->backslash};

	return index_event(data, len, &index) && walk_event(schema, data, len, &index, out);
}

#endif
