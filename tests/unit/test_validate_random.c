/* SPDX-License-Identifier: BSD-3-Clause */
/* Random declarations and random events: validate.c against a model of it, and against garbage. */
#include "validate_fixture.h"
#include "format.h"

#include <stdio.h>

/* A second opinion on one field, by the plainest means. */
static enum reason model(
    const struct config_field *field, const struct oracle *oracle, const struct value *value)
{
	bool number = value->type == VALUE_INTEGER || value->type == VALUE_NUMBER;
	char text[TEXT_MAX + 1];
	uint32_t points = 0;
	bool found = false;

	if (value->type == VALUE_ABSENT || value->type == VALUE_NULL)
		return field->required ? REASON_FIELD_MISSING : REASON_NONE;
	if ((field->type == FIELD_STRING && value->type != VALUE_STRING) ||
	    (field->type == FIELD_NUMBER && !number) ||
	    (field->type == FIELD_INTEGER && value->type != VALUE_INTEGER) ||
	    (field->type == FIELD_BOOLEAN && value->type != VALUE_TRUE && value->type != VALUE_FALSE) ||
	    (field->type == FIELD_OBJECT && value->type != VALUE_OBJECT) ||
	    (field->type == FIELD_ARRAY && value->type != VALUE_ARRAY))
		return REASON_FIELD_TYPE;
	memcpy(text, value->ptr, value->len);
	text[value->len] = '\0';
	for (size_t i = 0; i < field->n_enum; i++)
		found |=
		    strlen(field->enum_values[i]) == value->len && strcmp(field->enum_values[i], text) == 0;
	if (field->n_enum != 0 && !found)
		return REASON_FIELD_ENUM;
	if (number && ((field->has_min && strtod(text, NULL) < field->min) ||
	                  (field->has_max && strtod(text, NULL) > field->max)))
		return REASON_FIELD_RANGE;
	for (uint32_t i = 0; i < value->len; i++)
		points += (value->ptr[i] & 0xc0) != 0x80;
	if ((field->has_min_length && points < field->min_length) ||
	    (field->has_max_length && points > field->max_length))
		return REASON_FIELD_LENGTH;
	if (field->format != FORMAT_NONE && !format_check(field->format, value->ptr, value->len))
		return REASON_FIELD_FORMAT;
	if (field->pattern != NULL && !oracle_match(oracle, value->ptr, value->len))
		return REASON_FIELD_PATTERN;
	return REASON_NONE;
}

#define RANDOM_FIELDS 3

static void random_field(struct fixture *f, uint64_t *seed, uint32_t i)
{
	static const char *const names[RANDOM_FIELDS] = {"a", "b", "c"};
	static char *values[] = {"red", "green", "blue", "", "1.2.3.4", "a much longer colour than those"};
	static char *const patterns[] = {"^[a-z]{1,8}$", "e", "^(red|green)$", "^.{3}$", "^\\d+$", "n$"};
	struct config_field *field =
	    add(f, names[i], rnd(seed, 2) ? FIELD_STRING : (enum field_type)rnd(seed, 6));

	field->required = rnd(seed, 4) == 0;
	if (field->type == FIELD_NUMBER || field->type == FIELD_INTEGER) {
		field->has_min = rnd(seed, 2);
		field->min = rnd(seed, 2) ? 0 : (double)rnd(seed, 100) / 4 - 20;
		field->has_max = rnd(seed, 2);
		field->max = (double)rnd(seed, 1000) / 8;
	}
	if (field->type != FIELD_STRING)
		return;
	field->enum_values = values;
	field->n_enum = rnd(seed, 3) == 0 ? 1 + rnd(seed, 6) : 0;
	field->has_min_length = rnd(seed, 3) == 0;
	field->min_length = rnd(seed, 5);
	field->has_max_length = rnd(seed, 3) == 0;
	field->max_length = rnd(seed, 12);
	field->format = rnd(seed, 4) == 0 ? (enum field_format)rnd(seed, FORMAT_COUNT) : FORMAT_NONE;
	field->pattern = rnd(seed, 3) == 0 ? patterns[rnd(seed, 6)] : NULL;
}

static struct value random_value(const struct config_field *field, uint64_t *seed)
{
	static const char *const strings[] = {"red", "green", "", "1.2.3.4", "::1",
	    "a much longer colour than those", "\xc3\xa9t\xc3\xa9", "a@b.c", "2025-06-17T23:30:00Z",
	    "2025-06-17", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "123"};
	static const char *const fixed[] = {"", "", "", "", "true", "false", "null", "{}", "[]"};
	static const uint8_t usual[][2] = {
	    [FIELD_STRING] = {VALUE_STRING, VALUE_STRING},
	    [FIELD_NUMBER] = {VALUE_INTEGER, VALUE_NUMBER},
	    [FIELD_INTEGER] = {VALUE_INTEGER, VALUE_INTEGER},
	    [FIELD_BOOLEAN] = {VALUE_TRUE, VALUE_FALSE},
	    [FIELD_OBJECT] = {VALUE_OBJECT, VALUE_OBJECT},
	    [FIELD_ARRAY] = {VALUE_ARRAY, VALUE_ARRAY},
	};
	struct value value = {0};
	struct text t = {0};
	char number[64];

	value.type = rnd(seed, 10) ? usual[field->type][rnd(seed, 2)] : (uint8_t)rnd(seed, VALUE_ARRAY + 1);
	switch (value.type) {
	case VALUE_STRING:
		put(&t, strings[rnd(seed, 12)]);
		if (rnd(seed, 3) == 0 && (t.len == 0 || (t.bytes[0] & 0x80) == 0))
			mutate(&t, seed, "abcdefrgn.0123:-@T");
		break;
	case VALUE_INTEGER:
		(void)snprintf(number, sizeof(number), "%d", (int)rnd(seed, 300) - 100);
		put(&t, rnd(seed, 20) ? number : "123456789012345678901234567890");
		break;
	case VALUE_NUMBER:
		(void)snprintf(number, sizeof(number), "%.3f", ((int)rnd(seed, 3000) - 1000) / 8.0);
		put(&t, rnd(seed, 20) ? number : "-1.5e300");
		break;
	default:
		put(&t, fixed[value.type]);
	}
	value.ptr = exact_copy(&t);
	value.len = t.len;
	return value;
}

/* One burst of random events, each also by itself. */
static void random_burst(struct fixture *f, const struct oracle *oracles, uint64_t *seed, uint32_t *counts)
{
	static struct burst burst;

	burst.n = 1 + rnd(seed, BURST_EVENTS);
	burst.now_ms = NOW_MS;
	for (uint32_t e = 0; e < burst.n; e++) {
		burst.event[e] = (struct event){.reason_field = SCHEMA_NO_FIELD};
		for (uint32_t i = 0; i < RANDOM_FIELDS; i++)
			burst_values(&burst, e)[i] = random_value(&f->fields[i], seed);
	}
	validate_burst(&f->validator, f->scratch, &burst);
	for (uint32_t e = 0; e < burst.n; e++) {
		struct value *values = burst_values(&burst, e);
		enum reason want = REASON_NONE;
		int want_field = SCHEMA_NO_FIELD, field;
		int64_t time_ms;

		for (uint32_t i = 0; i < RANDOM_FIELDS && want == REASON_NONE; i++) {
			want = model(&f->fields[i], &oracles[i], &values[i]);
			want_field = want != REASON_NONE ? (int)i : SCHEMA_NO_FIELD;
		}
		assert_int_equal(burst.event[e].reason, want);
		assert_int_equal(burst.event[e].reason_field, want_field);
		assert_true(burst.event[e].time_ms == NOW_MS);
		assert_int_equal(run(f, values, &time_ms, &field), want);
		assert_int_equal(field, want_field);
		assert_true(time_ms == NOW_MS);
		counts[want]++;
		for (uint32_t i = 0; i < RANDOM_FIELDS; i++)
			free((char *)values[i].ptr);
	}
}

static void random_events(void **state)
{
	enum { SCHEMAS = 1000, BURSTS = 6 };
	uint32_t counts[REASON_COUNT] = {0};
	uint64_t seed = 17;

	(void)state;
	for (int s = 0; s < SCHEMAS; s++) {
		struct oracle oracles[RANDOM_FIELDS] = {0};
		struct fixture f = {0};

		for (uint32_t i = 0; i < RANDOM_FIELDS; i++) {
			random_field(&f, &seed, i);
			if (f.fields[i].pattern != NULL)
				oracle_open(&oracles[i], f.fields[i].pattern, 0);
		}
		open_fixture(&f);
		for (int b = 0; b < BURSTS; b++)
			random_burst(&f, oracles, &seed, counts);
		close_fixture(&f);
		for (uint32_t i = 0; i < RANDOM_FIELDS; i++) {
			if (oracles[i].set != NULL)
				oracle_close(&oracles[i]);
		}
	}
	for (int reason = REASON_FIELD_MISSING; reason <= REASON_FIELD_PATTERN; reason++)
		assert_true(counts[reason] > 100);
	assert_true(counts[REASON_NONE] > 100);
}

/* What the parser would never hand over: any bytes with any type. No crash, and a reason of this stage. */
static void any_bytes(void **state)
{
	struct fixture f = {0};
	uint64_t seed = 23;

	(void)state;
	set_catalog(&f);
	add(&f, "word", FIELD_STRING)->pattern = "needle|[^a]p+";
	add(&f, "host", FIELD_STRING)->format = FORMAT_IP;
	open_fixture(&f);
	for (int e = 0; e < 100000; e++) {
		struct value values[SCHEMA_MAX_FIELDS] = {0};
		int64_t time_ms;
		enum reason reason;
		int field;

		set_catalog_values(values);
		for (uint32_t i = 0; i < f.stream.n_fields; i++) {
			struct text t = {0};

			if (i < 7) {
				memcpy(t.bytes, values[i].ptr, values[i].len);
				t.len = values[i].len;
			}
			if (rnd(&seed, 4) == 0) {
				values[i].type = (uint8_t)rnd(&seed, VALUE_ARRAY + 1);
				t.len = rnd(&seed, 80);
			}
			if (rnd(&seed, 8) == 0)
				for (uint32_t k = 0; k < t.len; k++)
					t.bytes[k] = (char)rnd(&seed, 256);
			values[i].ptr = exact_copy(&t);
			values[i].len = t.len;
		}
		reason = run(&f, values, &time_ms, &field);
		assert_in_range(reason, REASON_NONE, REASON_COUNT - 1);
		if (reason == REASON_NONE) {
			assert_int_equal(field, SCHEMA_NO_FIELD);
		} else {
			assert_string_equal(reason_info(reason)->stage, "validate");
			assert_in_range(field, 0, f.stream.n_fields - 1);
		}
		for (uint32_t i = 0; i < f.stream.n_fields; i++)
			free((char *)values[i].ptr);
	}
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_events),
	    cmocka_unit_test(any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
