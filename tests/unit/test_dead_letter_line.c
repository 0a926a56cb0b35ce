/* SPDX-License-Identifier: BSD-3-Clause */
#include "dead_letter_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

static char bytes[4096];
static struct batch batch = {.arrival_ms = 1750203005123ll, .bytes = bytes};

/* The line for these bytes, parsed again. */
static json_t *line_of(const char *raw, size_t raw_len, const char *text, enum reason reason)
{
	struct batch_event *event = &batch.events[0];
	size_t max, len;
	json_t *object;
	char *out;

	memcpy(bytes, raw, raw_len);
	event->raw = 0;
	event->raw_len = (uint32_t)raw_len;
	event->message = (uint32_t)raw_len;
	event->message_len = (uint32_t)strlen(text);
	memcpy(bytes + raw_len, text, event->message_len);
	event->reason = (uint8_t)reason;
	max = dead_letter_line_max("sh\"op", event);
	out = malloc(max);
	len = dead_letter_line(out, "sh\"op", &batch, event);
	assert_true(len <= max);
	assert_null(memchr(out, '\n', len));
	object = json_loadb(out, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	free(out);
	return object;
}

static const char *text_of(json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static void members(void **state)
{
	json_t *object = line_of("{\"a\":\"\\u0000\x01\"}\t\\", 18, "expected \"}\"", REASON_JSON_CONTROL);

	(void)state;
	assert_string_equal(text_of(object, "stage"), "parse");
	assert_string_equal(text_of(object, "reason"), "json_control");
	assert_string_equal(text_of(object, "message"), "expected \"}\"");
	assert_string_equal(text_of(object, "stream"), "sh\"op");
	assert_string_equal(text_of(object, "timestamp"), "2025-06-17T23:30:05.123Z");
	assert_int_equal(json_integer_value(json_object_get(object, "replays")), 0);
	assert_int_equal(json_string_length(json_object_get(object, "value")), 18);
	assert_memory_equal(text_of(object, "value"), "{\"a\":\"\\u0000\x01\"}\t\\", 18);
	json_decref(object);
}

static void every_byte_survives(void **state)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char raw[300];

	(void)state;
	for (size_t len = 0; len < sizeof(raw); len++) {
		json_t *object;
		const char *value;
		uint32_t bits = 0;
		size_t got = 0, n_bits = 0;

		for (size_t i = 0; i < len; i++)
			raw[i] = (char)(i * 7 + len);
		object = line_of(raw, len, "", REASON_JSON_UTF8);
		assert_string_equal(text_of(object, "message"), reason_info(REASON_JSON_UTF8)->help);
		value = text_of(object, "value_base64");
		if (value == NULL) {
			assert_int_equal(json_string_length(json_object_get(object, "value")), len);
			assert_memory_equal(text_of(object, "value"), raw, len);
			json_decref(object);
			continue;
		}
		assert_int_equal(strlen(value), (len + 2) / 3 * 4);
		for (; *value != '\0' && *value != '='; value++) {
			bits = bits << 6 | (uint32_t)(strchr(digits, *value) - digits);
			n_bits += 6;
			if (n_bits >= 8) {
				n_bits -= 8;
				assert_int_equal((char)(bits >> n_bits), raw[got++]);
			}
		}
		assert_int_equal(got, len);
		json_decref(object);
	}
}

static void the_bound_holds(void **state)
{
	char raw[1000];

	(void)state;
	memset(raw, 1, sizeof(raw)); /* six bytes each */
	json_decref(line_of(raw, sizeof(raw), "\x01\x01\x01", REASON_JSON_TOO_MANY_FIELDS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(members),
	    cmocka_unit_test(every_byte_survives),
	    cmocka_unit_test(the_bound_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
