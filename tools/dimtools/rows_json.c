/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/json_compact.h"
#include "dimtools/row_reader.h"
#include "json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct span {
	const char *text;
	size_t len;
};

struct json_member {
	struct span raw;   /* "name":value, compact */
	struct span name;  /* decoded, without quotes */
	struct span value; /* compact */
};

enum array_state { ARRAY_START, ARRAY_INSIDE, ARRAY_ENDED };

struct json_reader {
	struct row_reader base;
	const struct row_choice *choice;
	enum array_state state;
	size_t taken; /* bytes of the record that was given out last */
	size_t object_at;
	struct json_compact text;
	char *compact; /* where text.out points */
	size_t compact_size;
	char *decoded; /* names and keys with escapes */
	size_t decoded_size, decoded_used;
	char *json;
	size_t json_size;
	struct json_member members[ROWS_MAX_COLUMNS];
	size_t n_members;
};

static enum json_compact_result bad(struct json_compact *text, const char *reason)
{
	text->reason = reason;
	return JSON_COMPACT_BAD;
}

/* The string's content, decoded; a view where there is nothing to decode. */
static struct span decode(struct json_reader *reader, struct span string)
{
	struct span content = {string.text + 1, string.len - 2};
	char *to = reader->decoded + reader->decoded_used;
	uint32_t len;

	if (memchr(content.text, '\\', content.len) == NULL)
		return content;
	(void)json_unescape(content.text, (uint32_t)content.len, to, &len); /* checked before */
	reader->decoded_used += len;
	return (struct span){to, len};
}

static bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

static enum json_compact_result parse_member(struct json_reader *reader)
{
	struct json_compact *text = &reader->text;
	struct json_member *member = &reader->members[reader->n_members];
	size_t start = text->used, value;
	enum json_compact_result result;

	if (reader->n_members == ROWS_MAX_COLUMNS)
		return bad(text, "more than 1024 members");
	result = json_compact_name(text);
	if (result != JSON_COMPACT_OK)
		return result;
	value = text->used;
	result = json_compact_value(text);
	if (result != JSON_COMPACT_OK)
		return result;
	member->raw = (struct span){text->out + start, text->used - start};
	member->value = (struct span){text->out + value, text->used - value};
	member->name = decode(reader, (struct span){text->out + start, value - 1 - start});
	for (size_t i = 0; i < reader->n_members; i++)
		if (span_equal(reader->members[i].name, member->name))
			return bad(text, "a member occurs twice");
	reader->n_members++;
	return JSON_COMPACT_OK;
}

/* The record at text->at. */
static enum json_compact_result parse_object(struct json_reader *reader)
{
	struct json_compact *text = &reader->text;
	enum json_compact_result result;
	char c;

	reader->n_members = 0;
	reader->decoded_used = 0;
	result = json_compact_peek(text, &c);
	if (result != JSON_COMPACT_OK)
		return result;
	if (c != '{')
		return bad(text, "a JSON object is expected");
	reader->object_at = text->at++;
	result = json_compact_peek(text, &c);
	if (result == JSON_COMPACT_OK && c == '}') {
		text->at++;
		return JSON_COMPACT_OK;
	}
	for (;;) {
		if (result == JSON_COMPACT_OK)
			result = parse_member(reader);
		if (result == JSON_COMPACT_OK)
			result = json_compact_peek(text, &c);
		if (result != JSON_COMPACT_OK)
			return result;
		if (c != ',' && c != '}')
			return bad(text, "a comma or } is expected");
		text->at++;
		if (c == '}')
			return JSON_COMPACT_OK;
	}
}

static const struct json_member *find_member(const struct json_reader *reader, const char *name)
{
	struct span wanted = {name, strlen(name)};

	for (size_t i = 0; i < reader->n_members; i++)
		if (span_equal(reader->members[i].name, wanted))
			return &reader->members[i];
	return NULL;
}

static int take_key(
    struct json_reader *reader, const struct json_member **member, struct dim_row *row, struct error *err)
{
	const char *name = reader->choice->key;
	struct span key;

	*member = find_member(reader, name);
	if (*member == NULL)
		return input_error(
		    reader->base.input, reader->object_at, err, -EBADMSG, "no member \"%s\"", name);
	key = (*member)->value;
	if (key.text[0] == '"')
		key = decode(reader, key);
	else if (!json_compact_is_number(key.text, key.len, true))
		return input_error(reader->base.input, reader->object_at, err, -EBADMSG,
		    "\"%s\" is neither a string nor an integer", name);
	row->key = key.text;
	row->key_len = key.len;
	return 0;
}

static void append(struct json_reader *reader, struct dim_row *row, const struct json_member *member)
{
	if (row->json_len > 1)
		reader->json[row->json_len++] = ',';
	memcpy(reader->json + row->json_len, member->raw.text, member->raw.len);
	row->json_len += member->raw.len;
}

static int make_row(struct json_reader *reader, struct dim_row *row, struct error *err)
{
	const struct row_choice *choice = reader->choice;
	const struct json_member *key;
	int rc = take_key(reader, &key, row, err);

	if (rc == 0)
		rc = rows_reserve(
		    &reader->json, &reader->json_size, reader->text.used + reader->n_members + 2, err);
	if (rc != 0)
		return rc;
	row->json_len = 0;
	reader->json[row->json_len++] = '{';
	for (size_t i = 0; i < choice->n_columns; i++) {
		const struct json_member *member = find_member(reader, choice->columns[i]);

		if (member != NULL)
			append(reader, row, member);
	}
	for (size_t i = 0; choice->n_columns == 0 && i < reader->n_members; i++)
		if (&reader->members[i] != key)
			append(reader, row, &reader->members[i]);
	reader->json[row->json_len++] = '}';
	row->json = reader->json;
	row->line = input_line(reader->base.input, reader->object_at);
	return 0;
}

/* Points the scanner at the first `len` bytes of the window. */
static int start_scan(struct json_reader *reader, size_t len, bool final, struct error *err)
{
	int rc = rows_reserve(&reader->compact, &reader->compact_size, len, err);

	if (rc == 0)
		rc = rows_reserve(&reader->decoded, &reader->decoded_size, len, err);
	if (rc != 0)
		return rc;
	reader->text = (struct json_compact){
	    .in = input_window(reader->base.input), .len = len, .final = final, .out = reader->compact};
	return 0;
}

static int scan_error(const struct json_reader *reader, struct error *err)
{
	return input_error(reader->base.input, reader->text.at, err, -EBADMSG, "%s", reader->text.reason);
}

/* The length of the line at the window's start, without its line feed; *taken counts that too. */
static int read_line(struct input *input, size_t *len, size_t *taken, struct error *err)
{
	for (;;) {
		const char *end = memchr(input_window(input), '\n', input_length(input));
		int rc;

		if (end != NULL || input->eof) {
			*len = end != NULL ? (size_t)(end - input_window(input)) : input_length(input);
			*taken = *len + (end != NULL);
			return 0;
		}
		rc = input_more(input, err);
		if (rc != 0)
			return rc;
	}
}

static int lines_next(struct row_reader *base, struct dim_row *row, struct error *err)
{
	struct json_reader *reader = (struct json_reader *)base;
	size_t len;
	int rc;

	for (;;) {
		input_consume(base->input, reader->taken);
		reader->taken = 0;
		rc = read_line(base->input, &len, &reader->taken, err);
		if (rc == 0)
			rc = start_scan(reader, len, true, err);
		if (rc != 0)
			return rc;
		if (reader->taken == 0)
			return 0;
		json_compact_space(&reader->text);
		if (reader->text.at < len)
			break;
	}
	if (parse_object(reader) != JSON_COMPACT_OK)
		return scan_error(reader, err);
	json_compact_space(&reader->text);
	if (reader->text.at < len)
		return input_error(base->input, 0, err, -EBADMSG, "something follows the object on its line");
	rc = make_row(reader, row, err);
	return rc == 0 ? 1 : rc;
}

/* The next element, or the end of the array. Changes the state only when it is JSON_COMPACT_OK. */
static enum json_compact_result parse_element(struct json_reader *reader)
{
	struct json_compact *text = &reader->text;
	enum array_state state = reader->state;
	enum json_compact_result result;
	char c;

	result = json_compact_peek(text, &c);
	if (result == JSON_COMPACT_OK && state == ARRAY_START) {
		if (c != '[')
			return bad(text, "a JSON array is expected");
		text->at++;
		result = json_compact_peek(text, &c);
	}
	if (result != JSON_COMPACT_OK)
		return result;
	if (c == ']') {
		text->at++;
		json_compact_space(text);
		if (text->at < text->len)
			return bad(text, "something follows the array");
		if (!text->final)
			return JSON_COMPACT_MORE;
		reader->state = ARRAY_ENDED;
		return JSON_COMPACT_OK;
	}
	if (state == ARRAY_INSIDE) {
		if (c != ',')
			return bad(text, "a comma or ] is expected");
		text->at++;
	}
	result = parse_object(reader);
	if (result == JSON_COMPACT_OK)
		reader->state = ARRAY_INSIDE;
	return result;
}

static int array_next(struct row_reader *base, struct dim_row *row, struct error *err)
{
	struct json_reader *reader = (struct json_reader *)base;
	enum json_compact_result result;
	int rc;

	if (reader->state == ARRAY_ENDED)
		return 0;
	input_consume(base->input, reader->taken);
	reader->taken = 0;
	for (;;) {
		rc = start_scan(reader, input_length(base->input), base->input->eof, err);
		if (rc != 0)
			return rc;
		result = parse_element(reader);
		if (result == JSON_COMPACT_BAD)
			return scan_error(reader, err);
		if (result == JSON_COMPACT_OK)
			break;
		rc = input_more(base->input, err);
		if (rc != 0)
			return rc;
	}
	if (reader->state == ARRAY_ENDED)
		return 0;
	reader->taken = reader->text.at;
	rc = make_row(reader, row, err);
	return rc == 0 ? 1 : rc;
}

static void json_close(struct row_reader *base)
{
	struct json_reader *reader = (struct json_reader *)base;

	free(reader->compact);
	free(reader->decoded);
	free(reader->json);
	free(reader);
}

int rows_json_open(struct input *input, const struct row_choice *choice, bool array, struct row_reader **out,
    struct error *err)
{
	struct json_reader *reader = calloc(1, sizeof(*reader));

	*out = NULL;
	if (reader == NULL)
		return error_set(err, -ENOMEM, "no memory for a JSON reader");
	reader->base.next = array ? array_next : lines_next;
	reader->base.close = json_close;
	reader->base.input = input;
	reader->choice = choice;
	if (rows_set_columns(&reader->base, choice->columns, choice->n_columns) != 0) {
		rows_close(&reader->base);
		return error_set(err, -ENOMEM, "no memory for a JSON reader");
	}
	*out = &reader->base;
	return 0;
}
