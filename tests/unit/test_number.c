/* SPDX-License-Identifier: BSD-3-Clause */
#include "number.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static double as_double(const char *text)
{
	double value = NAN;

	assert_true(number_double(text, (uint32_t)strlen(text), &value));
	return value;
}

static void grammar(void **state)
{
	static const char *const bad[] = {"", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e3",
	    "1.5.2", "0x10", " 1", "1 ", "1e5.0", "NaN", "Infinity", "1,5", "--1", "00", "1e--2"};
	static const char *const good[] = {
	    "0", "-0", "0.0", "1", "-1.50", "1e5", "1E+05", "0e0", "123456789012345678901"};
	int64_t integer;
	double value;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t len = (uint32_t)strlen(bad[i]);

		assert_false(number_double(bad[i], len, &value));
		assert_false(number_scaled(bad[i], len, 0, &integer));
		assert_false(number_int64(bad[i], len, &integer));
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(number_double(good[i], (uint32_t)strlen(good[i]), &value));
}

static void integers(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} cases[] = {
	    {"0", true, 0},
	    {"-0", true, 0},
	    {"9223372036854775807", true, INT64_MAX},
	    {"-9223372036854775808", true, INT64_MIN},
	    {"9223372036854775808", false, 0},
	    {"-9223372036854775809", false, 0},
	    {"99999999999999999999", false, 0},
	    {"9007199254740993", true, INT64_C(9007199254740993)},
	    {"1.0", false, 0},
	    {"1e2", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 0;

		assert_int_equal(
		    number_int64(cases[i].text, (uint32_t)strlen(cases[i].text), &value), cases[i].ok);
		if (cases[i].ok)
			assert_true(value == cases[i].value);
	}
}

static void scaled(void **state)
{
	static const struct {
		const char *text;
		int shift;
		bool ok;
		int64_t value;
	} cases[] = {
	    {"1750203000", 3, true, INT64_C(1750203000000)},
	    {"1750203000.1239", 3, true, INT64_C(1750203000123)},
	    {"1.7502030001239e9", 3, true, INT64_C(1750203000123)},
	    {"-0.0001", 3, true, -1},
	    {"-1.5", 3, true, -1500},
	    {"-1.5", 0, true, -2},
	    {"1.5", 0, true, 1},
	    {"0e999999999999999999999", 3, true, 0},
	    {"1e-999999999999999999999", 3, true, 0},
	    {"-1e-999999999999999999999", 3, true, -1},
	    {"1e999999999999999999999", 3, false, 0},
	    {"9223372036854775.807", 3, true, INT64_MAX},
	    {"9223372036854775.808", 3, false, 0},
	    {"9223372036854775.8079999", 3, true, INT64_MAX},
	    {"-9223372036854775.808", 3, true, INT64_MIN},
	    {"-9223372036854775.80800001", 3, false, 0},
	    {"12345678901234567890e-10", 3, true, INT64_C(1234567890123)},
	    {"1000000000000000000000000e-20", 0, true, 10000},
	    {"99999999999999999999", 0, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 0;
		bool ok =
		    number_scaled(cases[i].text, (uint32_t)strlen(cases[i].text), cases[i].shift, &value);

		if (ok != cases[i].ok || (ok && value != cases[i].value))
			fail_msg("%s shifted by %d: %s %" PRId64, cases[i].text, cases[i].shift,
			    ok ? "yes" : "no", value);
	}
}

static void hard_roundings(void **state)
{
	char text[4096];
	double value;
	int len;

	(void)state;
	assert_true(as_double("9007199254740993") == 9007199254740992.0);
	assert_true(as_double("1e23") == 1e23);
	assert_true(as_double("1.7976931348623157e308") == 1.7976931348623157e308);
	assert_true(isinf(as_double("1e309")));
	assert_true(as_double("-1e400") < -1e308);
	assert_true(as_double("4.9406564584124654e-324") == 4.9406564584124654e-324);
	assert_true(as_double("1e-400") == 0);
	/* Half way between two doubles, then one digit 3,000 places on that decides upwards. */
	len = snprintf(text, sizeof(text), "9007199254740993.%03000d1", 0);
	assert_true(number_double(text, (uint32_t)len, &value));
	assert_true(value == 9007199254740994.0);
	/* Many zeros before the digits, with an exponent that undoes them. */
	len = snprintf(text, sizeof(text), "0.%03000d12345678901234567890123e3023", 0);
	assert_true(number_double(text, (uint32_t)len, &value));
	assert_true(value == 12345678901234567890123.0);
}

static void equals_strtod(void **state)
{
	char text[128];

	(void)state;
	srandom(7);
	for (int i = 0; i < 300000; i++) {
		int n = 0, whole = (int)(random() % 25), part = (int)(random() % 30);

		if (random() % 2)
			text[n++] = '-';
		text[n++] = (char)('0' + random() % 10);
		if (text[n - 1] != '0')
			for (int k = 0; k < whole; k++)
				text[n++] = (char)('0' + random() % 10);
		if (random() % 2) {
			text[n++] = '.';
			for (int k = 0; k <= part; k++)
				text[n++] = (char)(random() % 3 ? '0' + random() % 10 : '0');
		}
		if (random() % 2)
			n += sprintf(text + n, "e%ld", random() % 700 - 350);
		text[n] = '\0';
		if (as_double(text) != strtod(text, NULL))
			fail_msg("%s", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(grammar),
	    cmocka_unit_test(integers),
	    cmocka_unit_test(scaled),
	    cmocka_unit_test(hard_roundings),
	    cmocka_unit_test(equals_strtod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
