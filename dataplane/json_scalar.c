/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reference: recursive descent, one byte at a time, every rejection named. The first byte in the event
 * that makes it something else than one JSON object decides. What is wrong with valid JSON (a declared field
 * twice, undeclared members that the stream refuses) is remembered and reported only once the rest has proved
 * valid.
 */
#include "json_internal.h"
#include "json_text.h"

#include <string.h>

struct reader {
	const struct schema *schema;
	const char *data;
	uint32_t len;
	uint32_t at;
	uint32_t depth;
	struct json_output *out;
	enum reason late; /* wrong with valid JSON; first one */
	uint32_t late_offset;
	int late_field;
	enum reason reason; /* why parsing stopped */
};

struct string {
	uint32_t start, len; /* the content, without quotes */
	bool escaped;
};

static bool parse_value(struct reader *r, struct value *value);

static bool fail(struct reader *r, enum reason reason, uint32_t offset)
{
	r->reason = reason;
	r->out->error_offset = offset;
	return false;
}

static void fail_late(struct reader *r, enum reason reason, uint32_t offset, int field)
{
	if (r->late != REASON_NONE)
		return;
	r->late = reason;
	r->late_offset = offset;
	r->late_field = field;
}

/* The byte at the read position, or -1 at the end. */
static int peek(const struct reader *r)
{
	return r->at < r->len ? (uint8_t)r->data[r->at] : -1;
}

static void skip_space(struct reader *r)
{
	while (r->at < r->len && json_is_space(r->data[r->at]))
		r->at++;
}

static bool parse_string(struct reader *r, struct string *string)
{
	const char *end = r->data + r->len;

	string->start = ++r->at;
	string->escaped = false;
	for (;;) {
		int c = peek(r);

		if (c < 0)
			return fail(r, REASON_JSON_SYNTAX, r->at);
		if (c == '"')
			break;
		if (c < 0x20)
			return fail(r, REASON_JSON_CONTROL, r->at);
		if (c == '\\') {
			char decoded[JSON_ESCAPE_MAX_OUTPUT];
			uint32_t decoded_len,
			    taken = json_escape(r->data + r->at, end, decoded, &decoded_len);

			if (taken == 0)
				return fail(r, REASON_JSON_ESCAPE, r->at);
			string->escaped = true;
			r->at += taken;
		} else {
			uint32_t n = json_utf8_sequence(r->data + r->at, end);

			if (n == 0)
				return fail(r, REASON_JSON_UTF8, r->at);
			r->at += n;
		}
	}
	string->len = r->at - string->start;
	r->at++;
	return true;
}

static bool digits(struct reader *r)
{
	uint32_t start = r->at;

	while (peek(r) >= '0' && peek(r) <= '9')
		r->at++;
	return r->at > start || fail(r, REASON_JSON_NUMBER, r->at);
}

static bool parse_number(struct reader *r, uint8_t *type)
{
	int c;

	*type = VALUE_INTEGER;
	if (peek(r) == '-')
		r->at++;
	if (peek(r) == '0')
		r->at++;
	else if (!digits(r))
		return false;
	if (peek(r) == '.') {
		*type = VALUE_NUMBER;
		r->at++;
		if (!digits(r))
			return false;
	}
	if (peek(r) == 'e' || peek(r) == 'E') {
		*type = VALUE_NUMBER;
		r->at++;
		if (peek(r) == '+' || peek(r) == '-')
			r->at++;
		if (!digits(r))
			return false;
	}
	/* 01, 1.2.3, 0x1f, 1_000: a number gone wrong rather than a missing comma. */
	c = peek(r);
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
	    c == '+' || c == '-' || c == '_')
		return fail(r, REASON_JSON_NUMBER, r->at);
	return true;
}

static bool parse_literal(struct reader *r, const char *literal)
{
	uint32_t len = (uint32_t)strlen(literal);

	if (r->len - r->at < len || memcmp(r->data + r->at, literal, len) != 0)
		return fail(r, REASON_JSON_SYNTAX, r->at);
	r->at += len;
	return true;
}

static bool parse_array(struct reader *r)
{
	r->at++;
	skip_space(r);
	if (peek(r) == ']') {
		r->at++;
		return true;
	}
	for (;;) {
		int c;

		skip_space(r);
		if (!parse_value(r, NULL))
			return false;
		skip_space(r);
		c = peek(r);
		if (c != ',' && c != ']')
			return fail(r, REASON_JSON_SYNTAX, r->at);
		r->at++;
		if (c == ']')
			return true;
	}
}

/* The field that a key names, or SCHEMA_NO_FIELD. Decodes into the free part of the output's text. */
static int find_field(struct reader *r, const struct string *key)
{
	const char *name = r->data + key->start;
	uint32_t len = key->len;

	if (key->escaped) {
		char *text = r->out->text + r->out->text_used;

		(void)json_unescape(name, len, text, &len);
		name = text;
	}
	return schema_find(r->schema, name, len);
}

/* A member of the event itself, its key already read. */
static bool parse_event_value(struct reader *r, const struct string *key)
{
	struct json_output *out = r->out;
	uint32_t start = key->start - 1;
	int field = find_field(r, key);
	struct value *value = NULL;

	out->error_field = field;
	if (field != SCHEMA_NO_FIELD) {
		if (out->values[field].type == VALUE_ABSENT)
			value = &out->values[field];
		else
			fail_late(r, REASON_JSON_DUPLICATE_KEY, start, field);
		if (!parse_value(r, value))
			return false;
		out->error_field = SCHEMA_NO_FIELD;
		return true;
	}
	if (!parse_value(r, NULL))
		return false;
	if (r->schema->unknown_fields == UNKNOWN_REJECT)
		fail_late(r, REASON_FIELD_UNKNOWN, start, SCHEMA_NO_FIELD);
	if (r->schema->unknown_fields == UNKNOWN_DROP) {
		if (out->n_unknown >= BURST_MAX_UNKNOWN)
			fail_late(r, REASON_JSON_TOO_MANY_FIELDS, start, SCHEMA_NO_FIELD);
		else
			out->unknown[out->n_unknown] = (struct member){.start = start, .end = r->at};
	}
	if (out->n_unknown < UINT16_MAX)
		out->n_unknown++;
	return true;
}

static bool parse_object(struct reader *r, bool event)
{
	r->at++;
	skip_space(r);
	if (peek(r) == '}') {
		r->at++;
		return true;
	}
	for (;;) {
		struct string key;
		int c;

		skip_space(r);
		if (peek(r) != '"')
			return fail(r, REASON_JSON_SYNTAX, r->at);
		if (!parse_string(r, &key))
			return false;
		skip_space(r);
		if (peek(r) != ':')
			return fail(r, REASON_JSON_SYNTAX, r->at);
		r->at++;
		skip_space(r);
		if (!(event ? parse_event_value(r, &key) : parse_value(r, NULL)))
			return false;
		skip_space(r);
		c = peek(r);
		if (c != ',' && c != '}')
			return fail(r, REASON_JSON_SYNTAX, r->at);
		r->at++;
		if (c == '}')
			return true;
	}
}

static bool parse_nested(struct reader *r, bool event)
{
	bool ok;

	if (r->depth == JSON_MAX_DEPTH)
		return fail(r, REASON_JSON_DEPTH, r->at);
	r->depth++;
	ok = peek(r) == '{' ? parse_object(r, event) : parse_array(r);
	r->depth--;
	return ok;
}

static void store_string(struct reader *r, const struct string *string, struct value *value)
{
	struct json_output *out = r->out;

	*value = (struct value){.ptr = r->data + string->start, .len = string->len, .type = VALUE_STRING};
	if (string->escaped) {
		value->ptr = out->text + out->text_used;
		value->decoded = 1;
		(void)json_unescape(
		    r->data + string->start, string->len, out->text + out->text_used, &value->len);
		out->text_used += value->len;
	}
}

/* Any value; stores it in *value unless that is NULL. */
static bool parse_value(struct reader *r, struct value *value)
{
	uint32_t start = r->at;
	struct string string;
	uint8_t type;
	bool ok;

	switch (peek(r)) {
	case '"':
		if (!parse_string(r, &string))
			return false;
		if (value != NULL)
			store_string(r, &string, value);
		return true;
	case '{':
		type = VALUE_OBJECT;
		ok = parse_nested(r, false);
		break;
	case '[':
		type = VALUE_ARRAY;
		ok = parse_nested(r, false);
		break;
	case 't':
		type = VALUE_TRUE;
		ok = parse_literal(r, "true");
		break;
	case 'f':
		type = VALUE_FALSE;
		ok = parse_literal(r, "false");
		break;
	case 'n':
		type = VALUE_NULL;
		ok = parse_literal(r, "null");
		break;
	case '-':
	case '0' ... '9':
		ok = parse_number(r, &type);
		break;
	case '+':
	case '.':
		return fail(r, REASON_JSON_NUMBER, r->at);
	default:
		return fail(r, REASON_JSON_SYNTAX, r->at);
	}
	if (ok && value != NULL)
		*value = (struct value){.ptr = r->data + start, .len = r->at - start, .type = type};
	return ok;
}

enum reason json_parse_scalar(
    const struct schema *schema, const char *data, uint32_t len, struct json_output *out)
{
	struct reader r = {
	    .schema = schema, .data = data, .len = len, .out = out, .late_field = SCHEMA_NO_FIELD};
	uint32_t start;
	bool object;

	json_output_reset(schema, out);
	skip_space(&r);
	start = r.at;
	object = peek(&r) == '{';
	if (!(object ? parse_nested(&r, true) : parse_value(&r, NULL)))
		return r.reason;
	skip_space(&r);
	if (r.at < len) {
		out->error_offset = r.at;
		return REASON_JSON_TRAILING;
	}
	if (!object) {
		out->error_offset = start;
		return REASON_JSON_NOT_OBJECT;
	}
	out->error_offset = r.late_offset;
	out->error_field = r.late_field;
	return r.late;
}
