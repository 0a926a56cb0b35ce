/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/malformed.h"

#include "gen/events.h"

#include <string.h>

#define DAY_MS 86400000ll

enum how {
	SET,     /* the member gets the value `text` */
	REMOVE,  /* the member goes */
	REPEAT,  /* the member comes twice, the second time named `text` if that is not empty */
	SHIFT,   /* the event time moves by `shift_ms` */
	APPEND,  /* `text` follows the event */
	PREPEND, /* `text` comes before the event */
	WHOLE,   /* `text` instead of the event */
	CUT,     /* the event ends after the first `text` in it */
	TRIM,    /* the event's last byte is missing */
	SWAP,    /* the first byte of the first `text` in the event is replaced by the rest of `with` */
};

/* A field named thus stands for a declared string of the stream, see carriers[]. */
#define CARRIER NULL

struct variant {
	const char *name;
	enum reason reason;
	enum how how;
	const char *field;
	const char *text;
	uint16_t text_len;
	const char *with; /* SWAP */
	int64_t shift_ms; /* SHIFT */
};

#define V(name, reason, how, field, text)                                          \
	{                                                                          \
		name, REASON_##reason, how, field, text, sizeof(text) - 1, NULL, 0 \
	}
#define V_SWAP(name, reason, text, with)                                           \
	{                                                                          \
		name, REASON_##reason, SWAP, NULL, text, sizeof(text) - 1, with, 0 \
	}
#define V_SHIFT(name, reason, field, ms)                             \
	{                                                            \
		name, REASON_##reason, SHIFT, field, "", 0, NULL, ms \
	}

#define X10(text) text text text text text text text text text text
#define DEEP_ARRAY X10("[[[[[[[") X10("]]]]]]]")
#define DEEP_OBJECT X10("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":") "1" X10("}}}}}}}")
#define LONG_65 X10("abcdef") "abcde"

/* What is wrong in any stream. */
static const struct variant common[] = {
    V("utf8_stray_continuation", JSON_UTF8, SET, CARRIER, "\"a\x80z\""),
    V("utf8_overlong", JSON_UTF8, SET, CARRIER, "\"\xc0\xaf\""),
    V("utf8_overlong_3", JSON_UTF8, SET, CARRIER, "\"\xe0\x80\xaf\""),
    V("utf8_surrogate", JSON_UTF8, SET, CARRIER, "\"\xed\xa0\x80\""),
    V("utf8_above_10ffff", JSON_UTF8, SET, CARRIER, "\"\xf4\x90\x80\x80\""),
    V("utf8_cut", JSON_UTF8, SET, CARRIER, "\"\xe2\x82\""),
    V("utf8_latin1", JSON_UTF8, SET, CARRIER, "\"caf\xe9\""),
    V("utf8_ff", JSON_UTF8, SET, CARRIER, "\"\xff\xfe\""),
    V("control_tab", JSON_CONTROL, SET, CARRIER, "\"a\tz\""),
    V("control_nul", JSON_CONTROL, SET, CARRIER, "\"a\0z\""),
    V("control_escape", JSON_CONTROL, SET, CARRIER, "\"\x1b[1m\""),
    V("control_return", JSON_CONTROL, SET, CARRIER, "\"a\r\""),
    V("escape_unknown", JSON_ESCAPE, SET, CARRIER, "\"a\\qz\""),
    V("escape_hex_short", JSON_ESCAPE, SET, CARRIER, "\"\\u12\""),
    V("escape_hex_bad", JSON_ESCAPE, SET, CARRIER, "\"\\u12G4\""),
    V("escape_octal", JSON_ESCAPE, SET, CARRIER, "\"\\033\""),
    V("surrogate_high_alone", JSON_ESCAPE, SET, CARRIER, "\"\\ud83d\""),
    V("surrogate_low_alone", JSON_ESCAPE, SET, CARRIER, "\"\\ude00z\""),
    V("surrogate_high_high", JSON_ESCAPE, SET, CARRIER, "\"\\ud83d\\ud83d\""),
    V("surrogate_high_text", JSON_ESCAPE, SET, CARRIER, "\"\\ud83dabcdef\""),
    V("number_leading_zero", JSON_NUMBER, SET, CARRIER, "01"),
    V("number_minus_zero_one", JSON_NUMBER, SET, CARRIER, "-01"),
    V("number_minus", JSON_NUMBER, SET, CARRIER, "-"),
    V("number_point_end", JSON_NUMBER, SET, CARRIER, "1."),
    V("number_exponent_end", JSON_NUMBER, SET, CARRIER, "1e"),
    V("number_exponent_sign_end", JSON_NUMBER, SET, CARRIER, "1e+"),
    V("literal_nan", JSON_SYNTAX, SET, CARRIER, "NaN"),
    V("literal_true_upper", JSON_SYNTAX, SET, CARRIER, "True"),
    V("literal_cut", JSON_SYNTAX, SET, CARRIER, "nul"),
    V("literal_undefined", JSON_SYNTAX, SET, CARRIER, "undefined"),
    V("quotes_single", JSON_SYNTAX, SET, CARRIER, "'text'"),
    V("value_absent", JSON_SYNTAX, SET, CARRIER, ""),
    V("array_open", JSON_SYNTAX, SET, CARRIER, "[1,2"),
    V("array_comma_end", JSON_SYNTAX, SET, CARRIER, "[1,]"),
    V("array_comma_missing", JSON_SYNTAX, SET, CARRIER, "[1 2]"),
    V("array_closed_by_brace", JSON_SYNTAX, SET, CARRIER, "[1}"),
    V("object_key_bare", JSON_SYNTAX, SET, CARRIER, "{a:1}"),
    V("object_colon_missing", JSON_SYNTAX, SET, CARRIER, "{\"a\" 1}"),
    V("object_comma_end", JSON_SYNTAX, SET, CARRIER, "{\"a\":1,}"),
    V("comment", JSON_SYNTAX, SET, CARRIER, "/* none */1"),
    V("depth_arrays", JSON_DEPTH, SET, CARRIER, DEEP_ARRAY),
    V("depth_objects", JSON_DEPTH, SET, CARRIER, DEEP_OBJECT),
    V("key_twice", JSON_DUPLICATE_KEY, REPEAT, CARRIER, ""),
    V("trailing_brace", JSON_TRAILING, APPEND, NULL, "}"),
    V("trailing_comma", JSON_TRAILING, APPEND, NULL, ","),
    V("trailing_text", JSON_TRAILING, APPEND, NULL, " x"),
    V("trailing_object", JSON_TRAILING, APPEND, NULL, "{}"),
    V("trailing_nul", JSON_TRAILING, APPEND, NULL, "\0"),
    V("not_object_array", JSON_NOT_OBJECT, WHOLE, NULL, "[{\"a\":1}]"),
    V("not_object_string", JSON_NOT_OBJECT, WHOLE, NULL, "\"{}\""),
    V("not_object_number", JSON_NOT_OBJECT, WHOLE, NULL, "42"),
    V("not_object_null", JSON_NOT_OBJECT, WHOLE, NULL, "null"),
    V("not_json", JSON_SYNTAX, WHOLE, NULL, "GET / HTTP/1.1"),
    V("not_json_binary", JSON_SYNTAX, WHOLE, NULL, "\x16\x03\x01\x02"),
    V("brace_alone", JSON_SYNTAX, WHOLE, NULL, "{"),
    V("empty_object", FIELD_MISSING, WHOLE, NULL, "{}"),
    V("byte_order_mark", JSON_SYNTAX, PREPEND, NULL, "\xef\xbb\xbf"),
    V("cut_in_key", JSON_SYNTAX, CUT, NULL, "\""),
    V("cut_brace", JSON_SYNTAX, TRIM, NULL, ""),
    V("cut_after_colon", JSON_SYNTAX, CUT, NULL, ":"),
    V("cut_after_comma", JSON_SYNTAX, CUT, NULL, ","),
    V_SWAP("comma_missing", JSON_SYNTAX, ",\"", " "),
    V_SWAP("colon_missing", JSON_SYNTAX, ":", ","),
    V_SWAP("comma_twice", JSON_SYNTAX, ",\"", ",,"),
    V_SWAP("key_unquoted", JSON_SYNTAX, "\"", ""),
};

/* What is wrong by the declarations of docs/examples/catalog.yaml. */
static const struct variant catalog[] = {
    V("missing_id", FIELD_MISSING, REMOVE, "eventId", ""),
    V("missing_time", FIELD_MISSING, REMOVE, "timestamp", ""),
    V("missing_type", FIELD_MISSING, REMOVE, "eventType", ""),
    V("null_id", FIELD_MISSING, SET, "eventId", "null"),
    V("null_type", FIELD_MISSING, SET, "eventType", "null"),
    V("type_id_boolean", FIELD_TYPE, SET, "eventId", "true"),
    V("type_time_number", FIELD_TYPE, SET, "timestamp", "1750203000"),
    V("type_user_object", FIELD_TYPE, SET, "userId", "{\"id\":\"user-1\"}"),
    V("type_product_array", FIELD_TYPE, SET, "productId", "[\"prod-1\"]"),
    V("type_price_string", FIELD_TYPE, SET, "price", "\"19.99\""),
    V("type_location_number", FIELD_TYPE, SET, "location", "7"),
    V("enum_other", FIELD_ENUM, SET, "eventType", "\"PRODUCT_VIEWED\""),
    V("enum_lower", FIELD_ENUM, SET, "eventType", "\"product_view\""),
    V("enum_empty", FIELD_ENUM, SET, "eventType", "\"\""),
    V("uuid_digit", FIELD_FORMAT, SET, "eventId", "\"123e4567-e89b-42d3-a456-42661417400g\""),
    V("uuid_short", FIELD_FORMAT, SET, "eventId", "\"123e4567-e89b-42d3-a456-42661417400\""),
    V("uuid_without_dashes", FIELD_FORMAT, SET, "eventId", "\"123e4567e89b42d3a456426614174000\""),
    V("uuid_braces", FIELD_FORMAT, SET, "eventId", "\"{123e4567-e89b-42d3-a456-426614174000}\""),
    V("uuid_empty", FIELD_FORMAT, SET, "eventId", "\"\""),
    V("pattern_user_prefix", FIELD_PATTERN, SET, "userId", "\"usr-abc\""),
    V("pattern_user_space", FIELD_PATTERN, SET, "userId", "\"user-abc \""),
    V("pattern_product_upper", FIELD_PATTERN, SET, "productId", "\"prod-ABC\""),
    V("pattern_product_long", FIELD_PATTERN, SET, "productId", "\"prod-0123456789abcdefghijklmnopqrstuvw\""),
    V("pattern_product_empty", FIELD_PATTERN, SET, "productId", "\"prod-\""),
    V("length_session", FIELD_LENGTH, SET, "sessionId", "\"" LONG_65 "\""),
    V("length_location", FIELD_LENGTH, SET, "location", "\"Llanfairpwllgwyngyllgogerychwyrndrobwll\""),
    V("range_price", FIELD_RANGE, SET, "price", "-0.01"),
    V("time_words", TIMESTAMP_INVALID, SET, "timestamp", "\"yesterday\""),
    V("time_month_13", TIMESTAMP_INVALID, SET, "timestamp", "\"2025-13-01T00:00:00Z\""),
    V("time_february_30", TIMESTAMP_INVALID, SET, "timestamp", "\"2025-02-30T00:00:00Z\""),
    V("time_without_zone", TIMESTAMP_INVALID, SET, "timestamp", "\"2025-06-17T23:30:00\""),
    V("time_hour_24", TIMESTAMP_INVALID, SET, "timestamp", "\"2025-06-17T24:00:00Z\""),
    V("time_epoch", TIMESTAMP_PAST, SET, "timestamp", "\"1970-01-01T00:00:00Z\""),
    V_SHIFT("time_old", TIMESTAMP_PAST, "timestamp", -30 * DAY_MS),
    V_SHIFT("time_ahead", TIMESTAMP_FUTURE, "timestamp", 2 * DAY_MS),
    V_SHIFT("time_far_ahead", TIMESTAMP_FUTURE, "timestamp", 3650 * DAY_MS),
    V("key_twice_escaped", JSON_DUPLICATE_KEY, REPEAT, "eventId", "event\\u0049d"),
    V("utf8_unknown_field", JSON_UTF8, SET, "note", "{\"a\":[\"\xc3(\"]}"),
    V("control_unknown_field", JSON_CONTROL, SET, "note", "[\"\x01\"]"),
    V("surrogate_unknown_field", JSON_ESCAPE, SET, "note", "{\"\\udc00\":1}"),
    V("number_unknown_field", JSON_NUMBER, SET, "note", "{\"n\":[-00]}"),
};

static const struct variant detections[] = {
    V("missing_id", FIELD_MISSING, REMOVE, "detection_oid", ""),
    V("null_id", FIELD_MISSING, SET, "detection_oid", "null"),
    V("missing_time", FIELD_MISSING, REMOVE, "timestamp_detected", ""),
    V("type_id_object", FIELD_TYPE, SET, "detection_oid", "{}"),
    V("type_location_array", FIELD_TYPE, SET, "geographical_location_oid", "[1]"),
    V("type_item_number", FIELD_TYPE, SET, "item_name", "7"),
    V_SHIFT("time_old", TIMESTAMP_PAST, "timestamp_detected", -30 * DAY_MS),
    V_SHIFT("time_ahead", TIMESTAMP_FUTURE, "timestamp_detected", 2 * DAY_MS),
};

static const struct variant shop[] = {
    V("missing_id", FIELD_MISSING, REMOVE, "event_id", ""),
    V("missing_type", FIELD_MISSING, REMOVE, "event_type", ""),
    V("missing_time", FIELD_MISSING, REMOVE, "timestamp", ""),
    V("type_id_number", FIELD_TYPE, SET, "event_id", "12"),
    V("type_user_array", FIELD_TYPE, SET, "user_id", "[]"),
    V("type_session_boolean", FIELD_TYPE, SET, "session_id", "false"),
    V("time_words", TIMESTAMP_INVALID, SET, "timestamp", "\"yesterday\""),
    V_SHIFT("time_old", TIMESTAMP_PAST, "timestamp", -30 * DAY_MS),
    V_SHIFT("time_ahead", TIMESTAMP_FUTURE, "timestamp", 2 * DAY_MS),
};

#define ROWS(table) (uint32_t)(sizeof(table) / sizeof((table)[0]))

static const struct {
	const struct variant *rows;
	uint32_t n;
	const char *carrier; /* a declared, optional or required string without further demands */
} own[] = {
    [GEN_CATALOG] = {catalog, ROWS(catalog), "platform"},
    [GEN_DETECTIONS] = {detections, ROWS(detections), "item_name"},
    [GEN_SHOP] = {shop, ROWS(shop), "device"},
};

static const struct variant *get(enum gen_stream stream, uint32_t variant)
{
	return variant < ROWS(common) ? &common[variant] : &own[stream].rows[variant - ROWS(common)];
}

uint32_t malformed_variants(enum gen_stream stream)
{
	return ROWS(common) + own[stream].n;
}

enum reason malformed_reason(enum gen_stream stream, uint32_t variant)
{
	return get(stream, variant)->reason;
}

const char *malformed_name(enum gen_stream stream, uint32_t variant)
{
	return get(stream, variant)->name;
}

static void shift_time(struct draft *draft, const char *field, int64_t ms)
{
	const struct draft_field *old = draft_find(draft, field);
	char text[26] = "\"";
	size_t len;

	if (draft->text[old->start] == '"') {
		len = 1 + event_time_text(text + 1, ms);
		text[len++] = '"';
		draft_set(draft, field, text, len);
	} else {
		draft_remove(draft, field);
		draft_integer(draft, field, (uint64_t)ms);
	}
}

static void repeat(struct draft *draft, const char *field, const char *name)
{
	const struct draft_field *first = draft_find(draft, field);

	if (first == NULL) {
		draft_json(draft, field, "\"x\"", 3);
		first = draft_find(draft, field);
	}
	draft_json(draft, name[0] != '\0' ? name : field, draft->text + first->start, first->len);
}

/* Replaces out[at] by `with`. */
static size_t swap_byte(char *out, size_t len, size_t at, const char *with)
{
	size_t with_len = strlen(with);

	memmove(out + at + with_len, out + at + 1, len - at - 1);
	memcpy(out + at, with, with_len);
	return len - 1 + with_len;
}

size_t malformed_write(
    enum gen_stream stream, uint32_t number, struct draft *draft, int64_t now_ms, struct rng *rng, char *out)
{
	const struct variant *variant = get(stream, number);
	const char *field = variant->field != CARRIER ? variant->field : own[stream].carrier;
	const char *found;
	size_t len;

	switch (variant->how) {
	case SET:
		draft_set(draft, field, variant->text, variant->text_len);
		break;
	case REMOVE:
		draft_remove(draft, field);
		break;
	case REPEAT:
		repeat(draft, field, variant->text);
		break;
	case SHIFT:
		shift_time(draft, field, now_ms + variant->shift_ms);
		break;
	default:
		break;
	}
	len = draft_write(draft, DRAFT_COMPACT, rng, out);

	/* CUT and SWAP look for punctuation that every event has. */
	found = memmem(out, len, variant->text, variant->text_len);
	switch (variant->how) {
	case APPEND:
		memcpy(out + len, variant->text, variant->text_len);
		return len + variant->text_len;
	case PREPEND:
		memmove(out + variant->text_len, out, len);
		memcpy(out, variant->text, variant->text_len);
		return len + variant->text_len;
	case WHOLE:
		memcpy(out, variant->text, variant->text_len);
		return variant->text_len;
	case CUT:
		return (size_t)(found - out) + variant->text_len;
	case TRIM:
		return len - 1;
	case SWAP:
		return swap_byte(out, len, (size_t)(found - out), variant->with);
	default:
		return len;
	}
}
