/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire_reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "wire.h"

/* What has been released. Rows are added here when codes are added, and never changed. */
static const struct {
	uint8_t code;
	const char *name;
} released[] = {
    {1, "duplicate"},
    {2, "json_syntax"},
    {3, "json_utf8"},
    {4, "json_control"},
    {5, "json_escape"},
    {6, "json_number"},
    {7, "json_depth"},
    {8, "json_trailing"},
    {9, "json_not_object"},
    {10, "json_duplicate_key"},
    {11, "json_too_many_fields"},
    {12, "event_too_large"},
    {13, "field_missing"},
    {14, "field_type"},
    {15, "field_enum"},
    {16, "field_range"},
    {17, "field_length"},
    {18, "field_format"},
    {19, "field_pattern"},
    {20, "field_unknown"},
    {21, "timestamp_invalid"},
    {22, "timestamp_past"},
    {23, "timestamp_future"},
    {24, "dimension_miss"},
    {25, "record_too_large"},
};
#define N_RELEASED (sizeof(released) / sizeof(released[0]))

static void released_codes_are_frozen(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_RELEASED; i++) {
		enum reason reason = wire_reason(released[i].code);

		assert_string_equal(reason_info(reason)->name, released[i].name);
		assert_int_equal(wire_reason_code(reason), released[i].code);
	}
}

/* A reason that can end an acknowledged event must have a code, or the sender could not be told. */
static void every_such_reason_has_a_frozen_code(void **state)
{
	(void)state;
	for (int r = 0; r < REASON_COUNT; r++) {
		const struct reason_info *info = reason_info((enum reason)r);
		bool acknowledged =
		         info->class == REASON_CLASS_DEAD_LETTER || info->class == REASON_CLASS_DUPLICATE,
		     frozen = false;
		uint8_t code = wire_reason_code((enum reason)r);

		for (size_t i = 0; i < N_RELEASED; i++)
			frozen =
			    frozen || (released[i].code == code && strcmp(released[i].name, info->name) == 0);
		if (acknowledged != (code != 0) || acknowledged != frozen)
			fail_msg("%s has the code %u: append it to wire_reason.h and to this test",
			    info->name, code);
	}
}

static void other_codes_are_unknown(void **state)
{
	(void)state;
	assert_int_equal(wire_reason(0), REASON_NONE);
	for (unsigned int code = N_RELEASED + 1; code <= UINT8_MAX; code++)
		assert_int_equal(wire_reason((uint8_t)code), REASON_NONE);
	assert_int_equal(wire_reason_code(REASON_COUNT), 0);
	assert_int_equal(wire_reason_code(REASON_NONE), 0);
}

/* The numbers of frames, flags and errors, as in docs/protocol.md. */
static void numbers_are_frozen(void **state)
{
	static const char *const errors[] = {"none", "version", "unknown_stream", "bad_mac", "too_large",
	    "unknown_session", "stale_epoch", "malformed", "unknown_source", "draining", "not_ready",
	    "too_many_sources"};

	(void)state;
	for (unsigned int code = 0; code < sizeof(errors) / sizeof(errors[0]); code++)
		assert_string_equal(wire_error_name(code), errors[code]);
	assert_int_equal(WIRE_HELLO, 1);
	assert_int_equal(WIRE_WELCOME, 2);
	assert_int_equal(WIRE_DATA, 3);
	assert_int_equal(WIRE_ACK, 4);
	assert_int_equal(WIRE_PROBE, 5);
	assert_int_equal(WIRE_CLOSE, 6);
	assert_int_equal(WIRE_CLOSED, 7);
	assert_int_equal(WIRE_ERROR, 8);
	assert_int_equal(WIRE_FLAG_MAC, 1);
	assert_int_equal(WIRE_FLAG_SLOW_DOWN, 2);
	assert_int_equal(WIRE_FLAG_RETRANSMIT, 4);
	assert_int_equal(WIRE_CODEC_NDJSON, 1);
	assert_int_equal(WIRE_MAX_WINDOW, 2048);
	assert_int_equal(WIRE_MAX_CONTROL_PAYLOAD, 1156);
	assert_int_equal(WIRE_MAX_EXCEPTIONS, 93);
	assert_int_equal(WIRE_MIN_EXCEPTIONS, 51);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(released_codes_are_frozen),
	    cmocka_unit_test(every_such_reason_has_a_frozen_code),
	    cmocka_unit_test(other_codes_are_unknown),
	    cmocka_unit_test(numbers_are_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
