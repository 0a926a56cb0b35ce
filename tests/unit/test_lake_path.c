/* SPDX-License-Identifier: BSD-3-Clause */
#include "lake_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void names_are_harmless(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *name;
	} known[] = {
	    {"page_view-2.1", 13, "page_view-2.1"},
	    {"", 0, LAKE_NO_VALUE},
	    {LAKE_NO_VALUE, 26, "%5F_HIVE_DEFAULT_PARTITION__"},
	    {".", 1, "%2E"},
	    {"..", 2, "%2E."},
	    {"../../etc/passwd", 16, "%2E.%2F..%2Fetc%2Fpasswd"},
	    {"a=b c%", 6, "a%3Db%20c%25"},
	    {"a\0b\n", 4, "a%00b%0A"},
	    {"\xc3\xa9", 2, "%C3%A9"},
	};
	char name[LAKE_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		lake_encode(known[i].text, known[i].len, name);
		assert_string_equal(name, known[i].name);
	}
}

static void long_names_stay_apart(void **state)
{
	char text[600], name[LAKE_NAME_SIZE], other[LAKE_NAME_SIZE];

	(void)state;
	for (size_t len = 1; len < sizeof(text); len++) {
		for (int byte = 0; byte < 2; byte++) {
			memset(text, byte == 0 ? 'x' : '/', len);
			lake_encode(text, len, name);
			assert_true(strlen(name) <= LAKE_NAME_MAX);
			text[len - 1] = 'y';
			lake_encode(text, len, other);
			assert_string_not_equal(name, other);
		}
	}
}

static void paths(void **state)
{
	char path[LAKE_PATH_SIZE], field[300], value[300];

	(void)state;
	lake_path(path, "shop", 1, 20256, NULL, NULL, 0);
	assert_string_equal(path, "shop/enriched/2025-06-17");
	lake_path(path, "shop", 0, 0, "event_type", "view", 4);
	assert_string_equal(path, "shop/raw/1970-01-01/event_type=view");
	lake_path(path, "shop", 2, 0, "event_type", NULL, 0);
	assert_string_equal(path, "shop/dead_letter/1970-01-01/event_type=" LAKE_NO_VALUE);
	memset(field, 'f', sizeof(field) - 1);
	field[sizeof(field) - 1] = '\0';
	memset(value, '/', sizeof(value));
	lake_path(path, field, 0, 2932896, field, value, sizeof(value));
	for (char *part = strtok(path, "/"); part != NULL; part = strtok(NULL, "/"))
		assert_true(strlen(part) <= 255);
}

static void days(void **state)
{
	(void)state;
	assert_int_equal(lake_day(1750203005123ll, 0), 20256);
	assert_int_equal(lake_day(86399999, 0), 0);
	assert_int_equal(lake_day(86400000, 0), 1);
	assert_int_equal(lake_day(-1, 86400000), 1);
	assert_int_equal(lake_day(INT64_MAX, 86400000), 1);
	assert_int_equal(lake_day(INT64_MIN, INT64_MIN), 0);
	assert_int_equal(lake_day(253402300799999ll, 0), 2932896);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_harmless),
	    cmocka_unit_test(long_names_stay_apart),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
