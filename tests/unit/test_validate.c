/* SPDX-License-Identifier: BSD-3-Clause */
#include "validate_fixture.h"

#include <errno.h>
#include <inttypes.h>

/* The first field of the fixture with one value, the others absent. */
static enum reason one(const struct fixture *f, enum value_type type, const char *text)
{
	struct value values[SCHEMA_MAX_FIELDS] = {make(type, text)};
	int64_t time_ms;
	int field;

	return run(f, values, &time_ms, &field);
}

static void catalog_event(void **state)
{
	static const struct {
		int field;
		enum value_type type;
		const char *text;
		enum reason reason;
	} cases[] = {
	    {0, VALUE_ABSENT, "", REASON_FIELD_MISSING},
	    {0, VALUE_NULL, "null", REASON_FIELD_MISSING},
	    {0, VALUE_INTEGER, "5", REASON_FIELD_TYPE},
	    {0, VALUE_STRING, "f47ac10b", REASON_FIELD_FORMAT},
	    {1, VALUE_STRING, "yesterday", REASON_TIMESTAMP_INVALID},
	    {1, VALUE_STRING, "2025-06-10T23:30:05.122Z", REASON_TIMESTAMP_PAST},
	    {1, VALUE_STRING, "2025-06-10T23:30:05.123Z", REASON_NONE},
	    {1, VALUE_STRING, "2025-06-17T23:35:05.124Z", REASON_TIMESTAMP_FUTURE},
	    {1, VALUE_STRING, "2025-06-17T23:35:05.123Z", REASON_NONE},
	    {1, VALUE_INTEGER, "1750203005", REASON_FIELD_TYPE},
	    {2, VALUE_STRING, "PRODUCT_VIEWED", REASON_FIELD_ENUM},
	    {2, VALUE_STRING, "", REASON_FIELD_ENUM},
	    {3, VALUE_STRING, "user-", REASON_FIELD_PATTERN},
	    {3, VALUE_STRING, "user-abc\n", REASON_FIELD_PATTERN},
	    {3, VALUE_NULL, "null", REASON_NONE},
	    {3, VALUE_ABSENT, "", REASON_NONE},
	    {4, VALUE_OBJECT, "{}", REASON_FIELD_TYPE},
	    {5, VALUE_STRING, "0123456789012345678901234567890123456789012345678901234567890123",
	        REASON_NONE},
	    {5, VALUE_STRING, "01234567890123456789012345678901234567890123456789012345678901234",
	        REASON_FIELD_LENGTH},
	    {6, VALUE_INTEGER, "-1", REASON_FIELD_RANGE},
	    {6, VALUE_NUMBER, "-0.01", REASON_FIELD_RANGE},
	    {6, VALUE_NUMBER, "-0.0", REASON_NONE},
	    {6, VALUE_STRING, "19.99", REASON_FIELD_TYPE},
	};
	struct fixture f = {0};

	(void)state;
	set_catalog(&f);
	open_fixture(&f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct value values[SCHEMA_MAX_FIELDS] = {0};
		enum reason reason;
		int64_t time_ms;
		int field;

		set_catalog_values(values);
		values[cases[i].field] = make(cases[i].type, cases[i].text);
		reason = run(&f, values, &time_ms, &field);
		if (reason != cases[i].reason)
			fail_msg(
			    "field %d, \"%s\": %s", cases[i].field, cases[i].text, reason_info(reason)->name);
		assert_int_equal(field, reason == REASON_NONE ? SCHEMA_NO_FIELD : cases[i].field);
		if (cases[i].field != 1)
			assert_true(time_ms == (cases[i].field > 1 ? INT64_C(1750203000000) : NOW_MS));
	}
	close_fixture(&f);
}

static void first_failure_counts(void **state)
{
	struct value values[SCHEMA_MAX_FIELDS] = {0};
	struct fixture f = {0};
	int64_t time_ms;
	int field;

	(void)state;
	set_catalog(&f);
	open_fixture(&f);
	set_catalog_values(values);
	values[6] = make(VALUE_INTEGER, "-1");
	assert_int_equal(run(&f, values, &time_ms, &field), REASON_FIELD_RANGE);
	values[3] = make(VALUE_STRING, "x");
	assert_int_equal(run(&f, values, &time_ms, &field), REASON_FIELD_PATTERN);
	values[1] = make(VALUE_STRING, "x");
	assert_int_equal(run(&f, values, &time_ms, &field), REASON_TIMESTAMP_INVALID);
	assert_int_equal(field, 1);
	close_fixture(&f);
}

/* Every constraint on one field: each fails before those behind it are asked. */
static void order_within_a_field(void **state)
{
	static char *values[] = {
	    "not-a-host-", "2025-06-17T23:30:00Z", "waytoolong", "-", "x.y", "2025-06-17"};
	struct fixture f = {0};
	struct config_field *field = add(&f, "all", FIELD_STRING);

	(void)state;
	field->required = true;
	field->enum_values = values;
	field->n_enum = 6;
	field->has_max_length = true;
	field->max_length = 10;
	field->has_min_length = true;
	field->min_length = 1;
	field->format = FORMAT_HOSTNAME;
	field->pattern = "^[^x]*$";
	f.stream.timestamp_field = "all";
	f.stream.max_past_ms = f.stream.max_future_ms = -1;
	open_fixture(&f);
	assert_int_equal(one(&f, VALUE_ABSENT, ""), REASON_FIELD_MISSING);
	assert_int_equal(one(&f, VALUE_TRUE, "true"), REASON_FIELD_TYPE);
	assert_int_equal(one(&f, VALUE_STRING, "else, far too long"), REASON_FIELD_ENUM);
	assert_int_equal(one(&f, VALUE_STRING, "not-a-host-"), REASON_FIELD_LENGTH);
	assert_int_equal(one(&f, VALUE_STRING, "-"), REASON_FIELD_FORMAT);
	assert_int_equal(one(&f, VALUE_STRING, "x.y"), REASON_FIELD_PATTERN);
	assert_int_equal(one(&f, VALUE_STRING, "2025-06-17"), REASON_TIMESTAMP_INVALID);
	close_fixture(&f);
}

static void types(void **state)
{
	static const char *const texts[] = {"", "a", "1", "1.5", "true", "false", "null", "{}", "[]"};
	static const uint16_t accepted[] = {
	    [FIELD_STRING] = 1 << VALUE_STRING,
	    [FIELD_NUMBER] = 1 << VALUE_INTEGER | 1 << VALUE_NUMBER,
	    [FIELD_INTEGER] = 1 << VALUE_INTEGER,
	    [FIELD_BOOLEAN] = 1 << VALUE_TRUE | 1 << VALUE_FALSE,
	    [FIELD_OBJECT] = 1 << VALUE_OBJECT,
	    [FIELD_ARRAY] = 1 << VALUE_ARRAY,
	};

	(void)state;
	for (int type = FIELD_STRING; type <= FIELD_ARRAY; type++) {
		for (int required = 0; required < 2; required++) {
			struct fixture f = {0};

			add(&f, "x", (enum field_type)type)->required = required;
			open_fixture(&f);
			for (int value = VALUE_ABSENT; value <= VALUE_ARRAY; value++) {
				enum reason want =
				    accepted[type] >> value & 1 ? REASON_NONE : REASON_FIELD_TYPE;

				if (value == VALUE_ABSENT || value == VALUE_NULL)
					want = required ? REASON_FIELD_MISSING : REASON_NONE;
				assert_int_equal(one(&f, (enum value_type)value, texts[value]), want);
			}
			close_fixture(&f);
		}
	}
}

static void ranges(void **state)
{
	static const struct {
		double min, max; /* NAN: none */
		const char *text;
		bool inside;
	} cases[] = {
	    {-9007199254740992.0, 9007199254740992.0, "9007199254740992", true},
	    {-9007199254740992.0, 9007199254740992.0, "9007199254740993", false},
	    {-9007199254740992.0, 9007199254740992.0, "-9007199254740993", false},
	    {-9007199254740992.0, 9007199254740992.0, "9007199254740993.0", true}, /* as a double */
	    {0, 9223372036854775808.0, "9223372036854775807", true},
	    {0, 9223372036854775808.0, "9223372036854775808", true},
	    {0, 9223372036854775808.0, "9223372036854780000", false},
	    {-9223372036854775808.0, 0, "-9223372036854775808", true},
	    {9223372036854775808.0, 1e300, "9223372036854775807", false},
	    {9223372036854775808.0, 1e300, "9223372036854775808", true},
	    {-1e300, -1e200, "-9223372036854775808", false},
	    {-1e300, -1e200, "-1e250", true},
	    {0.1, 0.3, "0.1", true},
	    {0.1, 0.3, "0.3", true},
	    {0.1, 0.3, "0.30000000000000004", false},
	    {0.1, 0.3, "0", false},
	    {-0.5, 0.5, "0", true},
	    {-0.5, 0.5, "-0", true},
	    {0.2, 0.8, "0", false},
	    {0.2, 0.8, "1", false},
	    {1, 2, "1e0", true},
	    {1, 2, "20e-1", true},
	    {1, 2, "2.0000001", false},
	    {1, 2, "1e400", false},
	    {1, 2, "99999999999999999999999999", false},
	    {-5, -1, "-3", true},
	    {-5, -1, "3", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool integer = strpbrk(cases[i].text, ".e") == NULL;
		struct fixture f = {0};
		struct config_field *field = add(&f, "x", FIELD_NUMBER);
		enum reason reason;

		field->has_min = field->has_max = true;
		field->min = cases[i].min;
		field->max = cases[i].max;
		open_fixture(&f);
		reason = one(&f, integer ? VALUE_INTEGER : VALUE_NUMBER, cases[i].text);
		if (reason != (cases[i].inside ? REASON_NONE : REASON_FIELD_RANGE))
			fail_msg("%s in %.17g..%.17g: %s", cases[i].text, cases[i].min, cases[i].max,
			    reason_info(reason)->name);
		close_fixture(&f);
	}
}

static void lengths_are_code_points(void **state)
{
	static const char *const units[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

	(void)state;
	for (uint32_t min = 0; min <= 6; min++) {
		for (uint32_t max = min; max <= 9; max++) {
			struct fixture f = {0};
			struct config_field *field = add(&f, "x", FIELD_STRING);

			field->has_min_length = field->has_max_length = true;
			field->min_length = min;
			field->max_length = max;
			open_fixture(&f);
			for (uint32_t i = 0; i < 4 * 12; i++) {
				struct text t = {0};

				for (uint32_t k = 0; k < i / 4; k++)
					put(&t, units[(i + k / 2) % 4]);
				t.bytes[t.len] = '\0';
				assert_int_equal(one(&f, VALUE_STRING, t.bytes),
				    i / 4 >= min && i / 4 <= max ? REASON_NONE : REASON_FIELD_LENGTH);
			}
			close_fixture(&f);
		}
	}
}

static void event_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
		enum timestamp_format format;
		enum field_type declared;
		enum value_type type;
		enum reason reason;
	} cases[] = {
	    {"2025-06-18T01:30:00.5+02:00", INT64_C(1750203000500), TIMESTAMP_RFC3339, FIELD_STRING,
	        VALUE_STRING, REASON_NONE},
	    {"0000-01-01T00:00:00+00:01", NOW_MS, TIMESTAMP_RFC3339, FIELD_STRING, VALUE_STRING,
	        REASON_TIMESTAMP_INVALID},
	    {"9999-12-31T23:59:60Z", NOW_MS, TIMESTAMP_RFC3339, FIELD_STRING, VALUE_STRING,
	        REASON_TIMESTAMP_INVALID},
	    {"null", NOW_MS, TIMESTAMP_RFC3339, FIELD_STRING, VALUE_NULL, REASON_NONE},
	    {"", NOW_MS, TIMESTAMP_RFC3339, FIELD_STRING, VALUE_ABSENT, REASON_NONE},
	    {"1750203000", INT64_C(1750203000000), TIMESTAMP_UNIX_S, FIELD_INTEGER, VALUE_INTEGER,
	        REASON_NONE},
	    {"1750203000.5", NOW_MS, TIMESTAMP_UNIX_S, FIELD_INTEGER, VALUE_NUMBER, REASON_FIELD_TYPE},
	    {"1750203000", NOW_MS, TIMESTAMP_UNIX_S, FIELD_INTEGER, VALUE_STRING, REASON_FIELD_TYPE},
	    {"1750203000.5", INT64_C(1750203000500), TIMESTAMP_UNIX_S, FIELD_NUMBER, VALUE_NUMBER,
	        REASON_NONE},
	    {"1750203000", INT64_C(1750203000000), TIMESTAMP_UNIX_S, FIELD_NUMBER, VALUE_INTEGER,
	        REASON_NONE},
	    {"1750203000.25", INT64_C(1750203000250), TIMESTAMP_UNIX_S, FIELD_STRING, VALUE_STRING,
	        REASON_NONE},
	    {" 1750203000", NOW_MS, TIMESTAMP_UNIX_S, FIELD_STRING, VALUE_STRING, REASON_TIMESTAMP_INVALID},
	    {"", NOW_MS, TIMESTAMP_UNIX_S, FIELD_STRING, VALUE_STRING, REASON_TIMESTAMP_INVALID},
	    {"1750203000", NOW_MS, TIMESTAMP_UNIX_S, FIELD_STRING, VALUE_INTEGER, REASON_FIELD_TYPE},
	    {"1750203000000", NOW_MS, TIMESTAMP_UNIX_S, FIELD_INTEGER, VALUE_INTEGER,
	        REASON_TIMESTAMP_INVALID},
	    {"1750203000500", INT64_C(1750203000500), TIMESTAMP_UNIX_MS, FIELD_INTEGER, VALUE_INTEGER,
	        REASON_NONE},
	    {"1750203000500", INT64_C(1750203000500), TIMESTAMP_UNIX_MS, FIELD_STRING, VALUE_STRING,
	        REASON_NONE},
	    {"-1", -1, TIMESTAMP_UNIX_MS, FIELD_INTEGER, VALUE_INTEGER, REASON_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct value value = make(cases[i].type, cases[i].text);
		struct fixture f = {0};
		enum reason reason;
		int64_t ms;
		int field;

		add(&f, "t", cases[i].declared);
		f.stream.timestamp_field = "t";
		f.stream.timestamp_format = cases[i].format;
		f.stream.max_past_ms = f.stream.max_future_ms = -1;
		open_fixture(&f);
		reason = run(&f, &value, &ms, &field);
		if (reason != cases[i].reason || ms != cases[i].ms)
			fail_msg("case %zu: %s, %" PRId64, i, reason_info(reason)->name, ms);
		close_fixture(&f);
	}
}

static void refused_configurations(void **state)
{
	struct error err;

	(void)state;
	for (int i = 0; i < 6; i++) {
		static const char *const messages[] = {
		    "line 12: field \"b\": pattern: Missing close parenthesis",
		    "line 11: field \"a\": enum, length, format and pattern are for strings",
		    "line 12: field \"b\": min and max are for numbers",
		    "line 11: field \"a\": the timestamp must be a string",
		    "line 12: field \"b\": the timestamp must be a string",
		    "line 11: field \"a\": min and max must be numbers",
		};
		struct fixture f = {0};
		struct config_field *a = add(&f, "a", FIELD_INTEGER), *b = add(&f, "b", FIELD_STRING);

		switch (i) {
		case 0:
			b->pattern = "(abc";
			add(&f, "c", FIELD_STRING)->pattern = "fi+ne";
			break;
		case 1:
			a->format = FORMAT_UUID;
			break;
		case 2:
			b->has_min = true;
			break;
		case 3:
			f.stream.timestamp_field = "a";
			break;
		case 4:
			b->type = FIELD_BOOLEAN;
			f.stream.timestamp_field = "b";
			f.stream.timestamp_format = TIMESTAMP_UNIX_S;
			break;
		default:
			a->has_max = true;
			a->max = __builtin_nan("");
		}
		assert_int_equal(try_open(&f, &err), -EINVAL);
		assert_null(f.validator);
		if (strncmp(err.text, messages[i], strlen(messages[i])) != 0)
			fail_msg("%s", err.text);
		schema_destroy(f.schema);
	}
	validator_destroy(NULL);
}

/* Two streams, one scratch; events that have ended are left alone. */
static void bursts(void **state)
{
	static struct burst burst;
	struct fixture catalog = {0}, loose = {0};
	struct validator *validators[2];
	struct hs_scratch *scratch = NULL;

	(void)state;
	set_catalog(&catalog);
	add(&loose, "word", FIELD_STRING)->pattern = "needle|pin";
	open_fixture(&catalog);
	assert_null(catalog.scratch);
	open_fixture(&loose);
	validators[0] = catalog.validator;
	validators[1] = loose.validator;
	for (int i = 0; i < 2; i++)
		assert_int_equal(validator_scratch(validators[i], &scratch), 0);
	assert_non_null(scratch);

	burst.n = BURST_EVENTS;
	burst.now_ms = NOW_MS;
	for (uint32_t i = 0; i < BURST_EVENTS; i++) {
		struct event *event = &burst.event[i];

		event->stream = i % 2;
		event->time_ms = 77;
		event->reason = i % 8 == 7 ? REASON_JSON_SYNTAX : REASON_NONE;
		event->reason_field = SCHEMA_NO_FIELD;
		if (i % 2 == 0)
			set_catalog_values(burst_values(&burst, i));
		else
			burst_values(&burst, i)[0] =
			    make(VALUE_STRING, i % 4 == 1 ? "a needle in" : "a haystack");
		if (i % 8 == 2)
			burst_values(&burst, i)[2] = make(VALUE_STRING, "OTHER");
	}
	validate_burst(validators, scratch, &burst);
	for (uint32_t i = 0; i < BURST_EVENTS; i++) {
		static const enum reason want[] = {REASON_NONE, REASON_NONE, REASON_FIELD_ENUM,
		    REASON_FIELD_PATTERN, REASON_NONE, REASON_NONE, REASON_NONE, REASON_JSON_SYNTAX};
		static const int field[] = {-1, -1, 2, 0, -1, -1, -1, -1};
		const struct event *event = &burst.event[i];

		assert_int_equal(event->reason, want[i % 8]);
		assert_int_equal(event->reason_field, field[i % 8]);
		assert_true(event->time_ms == (i % 2 == 0 ? INT64_C(1750203000000) : NOW_MS));
	}
	validator_scratch_free(scratch);
	close_fixture(&catalog);
	close_fixture(&loose);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(catalog_event),
	    cmocka_unit_test(first_failure_counts),
	    cmocka_unit_test(order_within_a_field),
	    cmocka_unit_test(types),
	    cmocka_unit_test(ranges),
	    cmocka_unit_test(lengths_are_code_points),
	    cmocka_unit_test(event_times),
	    cmocka_unit_test(refused_configurations),
	    cmocka_unit_test(bursts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
