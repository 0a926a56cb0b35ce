/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/json_compact.h"
#include "json_text.h"
#include "number.h"

#include <string.h>

static enum json_compact_result bad(struct json_compact *text, size_t at, const char *reason)
{
	text->at = at;
	text->reason = reason;
	return JSON_COMPACT_BAD;
}

static enum json_compact_result ended(struct json_compact *text)
{
	return text->final ? bad(text, text->len, "the JSON ends too early") : JSON_COMPACT_MORE;
}

void json_compact_space(struct json_compact *text)
{
	while (text->at < text->len) {
		char c = text->in[text->at];

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return;
		text->at++;
	}
}

enum json_compact_result json_compact_peek(struct json_compact *text, char *next)
{
	json_compact_space(text);
	if (text->at == text->len)
		return ended(text);
	*next = text->in[text->at];
	return JSON_COMPACT_OK;
}

static void copy(struct json_compact *text, size_t end)
{
	memcpy(text->out + text->used, text->in + text->at, end - text->at);
	text->used += end - text->at;
	text->at = end;
}

/* The longest escape is a surrogate pair of 12 bytes, the longest character has 4. */
static bool may_be_cut(const struct json_compact *text, size_t at)
{
	return !text->final && text->len - at < 12;
}

enum json_compact_result json_compact_string(struct json_compact *text)
{
	const char *end = text->in + text->len;
	size_t i = text->at + 1;

	for (;;) {
		char decoded[JSON_ESCAPE_MAX_OUTPUT];
		uint32_t decoded_len, n;
		uint8_t c;

		if (i >= text->len)
			return ended(text);
		c = (uint8_t)text->in[i];
		if (c == '"')
			break;
		if (c < 0x20)
			return bad(text, i, "an unescaped control character in a string");
		if ((c == '\\' || c >= 0x80) && may_be_cut(text, i))
			return JSON_COMPACT_MORE;
		if (c == '\\')
			n = json_escape(text->in + i, end, decoded, &decoded_len);
		else
			n = c < 0x80 ? 1 : json_utf8_sequence(text->in + i, end);
		if (n == 0)
			return bad(text, i, c == '\\' ? "an invalid escape in a string" : "not valid UTF-8");
		i += n;
	}
	copy(text, i + 1);
	return JSON_COMPACT_OK;
}

bool json_compact_is_number(const char *text, size_t len, bool integer)
{
	double value;

	if (integer && (memchr(text, '.', len) != NULL || memchr(text, 'e', len) != NULL ||
	                   memchr(text, 'E', len) != NULL))
		return false;
	return len <= UINT32_MAX && number_double(text, (uint32_t)len, &value);
}

/* A number or a literal: all up to the next byte that cannot belong to one. */
static enum json_compact_result copy_word(struct json_compact *text)
{
	static const char *const literals[] = {"true", "false", "null"};
	size_t end = text->at;

	while (end < text->len && text->in[end] != '\0' &&
	       strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", text->in[end]) !=
	           NULL)
		end++;
	if (end == text->len && !text->final)
		return JSON_COMPACT_MORE;
	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
		size_t len = strlen(literals[i]);

		if (end - text->at == len && memcmp(text->in + text->at, literals[i], len) == 0) {
			copy(text, end);
			return JSON_COMPACT_OK;
		}
	}
	if (!json_compact_is_number(text->in + text->at, end - text->at, false))
		return bad(text, text->at, "not a JSON value");
	copy(text, end);
	return JSON_COMPACT_OK;
}

/* Where the walk over a value stands. */
struct walk {
	uint64_t objects; /* bit d: level d + 1 is an object */
	unsigned int depth;
	bool value_next; /* otherwise a value has just ended */
};

static void take(struct json_compact *text)
{
	copy(text, text->at + 1);
}

enum json_compact_result json_compact_name(struct json_compact *text)
{
	enum json_compact_result result;
	char c;

	result = json_compact_peek(text, &c);
	if (result != JSON_COMPACT_OK)
		return result;
	if (c != '"')
		return bad(text, text->at, "a member's name is expected");
	result = json_compact_string(text);
	if (result == JSON_COMPACT_OK)
		result = json_compact_peek(text, &c);
	if (result != JSON_COMPACT_OK)
		return result;
	if (c != ':')
		return bad(text, text->at, "a colon is expected");
	take(text);
	return JSON_COMPACT_OK;
}

static enum json_compact_result open_level(struct json_compact *text, struct walk *walk, bool object)
{
	enum json_compact_result result;
	char c;

	if (walk->depth == JSON_COMPACT_DEPTH)
		return bad(text, text->at, "nested deeper than 64 levels");
	take(text);
	result = json_compact_peek(text, &c);
	if (result != JSON_COMPACT_OK)
		return result;
	if (c == (object ? '}' : ']')) {
		take(text);
		walk->value_next = false;
		return JSON_COMPACT_OK;
	}
	walk->objects = (walk->objects & ~(UINT64_C(1) << walk->depth)) | (uint64_t)object << walk->depth;
	walk->depth++;
	return object ? json_compact_name(text) : JSON_COMPACT_OK;
}

/* What follows a value inside an object or array. */
static enum json_compact_result after_value(struct json_compact *text, struct walk *walk)
{
	bool object = (walk->objects >> (walk->depth - 1) & 1) != 0;
	enum json_compact_result result;
	char c;

	result = json_compact_peek(text, &c);
	if (result != JSON_COMPACT_OK)
		return result;
	if (c == (object ? '}' : ']')) {
		take(text);
		walk->depth--;
		return JSON_COMPACT_OK;
	}
	if (c != ',')
		return bad(text, text->at, object ? "a comma or } is expected" : "a comma or ] is expected");
	take(text);
	walk->value_next = true;
	return object ? json_compact_name(text) : JSON_COMPACT_OK;
}

enum json_compact_result json_compact_value(struct json_compact *text)
{
	struct walk walk = {.value_next = true};
	enum json_compact_result result;
	char c;

	while (walk.value_next || walk.depth > 0) {
		if (!walk.value_next) {
			result = after_value(text, &walk);
			if (result != JSON_COMPACT_OK)
				return result;
			continue;
		}
		result = json_compact_peek(text, &c);
		if (result != JSON_COMPACT_OK)
			return result;
		if (c == '{' || c == '[') {
			result = open_level(text, &walk, c == '{');
		} else {
			result = c == '"' ? json_compact_string(text) : copy_word(text);
			walk.value_next = false;
		}
		if (result != JSON_COMPACT_OK)
			return result;
	}
	return JSON_COMPACT_OK;
}
