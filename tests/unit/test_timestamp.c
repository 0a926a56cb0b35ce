/* SPDX-License-Identifier: BSD-3-Clause */
#include "timestamp.h"
#include "random_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static bool read_time(const char *text, int64_t *ms)
{
	struct text t = {0};
	char *copy;
	bool ok;

	put(&t, text);
	copy = exact_copy(&t);
	ok = timestamp_rfc3339(copy, t.len, ms);
	free(copy);
	return ok;
}

static void known_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"1985-04-12T23:20:50.52Z", INT64_C(482196050520)},
	    {"1996-12-19T16:39:57-08:00", INT64_C(851042397000)},
	    {"1990-12-31T23:59:60Z", INT64_C(662688000000)},
	    {"1990-12-31T15:59:60-08:00", INT64_C(662688000000)},
	    {"1937-01-01T12:00:27.87+00:20", INT64_C(-1041337172130)},
	    {"2025-06-17T23:30:05.123Z", INT64_C(1750203005123)},
	    {"2025-06-17t23:30:05.123999999999z", INT64_C(1750203005123)},
	    {"2025-06-18T05:15:05.1+05:45", INT64_C(1750203005100)},
	    {"2024-02-29T00:00:00-00:00", INT64_C(1709164800000)},
	    {"0000-01-01T00:00:00Z", TIMESTAMP_MIN_MS},
	    {"9999-12-31T23:59:59.999Z", TIMESTAMP_MAX_MS},
	    {"1969-12-31T23:59:59.9999Z", -1},
	    {"2015-07-01T05:29:60.5+05:30", INT64_C(1435708800500)},
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!read_time(cases[i].text, &ms) || ms != cases[i].ms)
			fail_msg("%s: %" PRId64, cases[i].text, ms);
	}
}

static void refused_times(void **state)
{
	static const char *const bad[] = {"", "2025-06-17", "2025-06-17T23:30:05", "2025-06-17 23:30:05Z",
	    "2025-06-17T23:30:05.Z", "2025-06-17T23:30:05.12", "2025-06-17T23:30:05+0100",
	    "2025-06-17T23:30:05+24:00", "2025-06-17T23:30:05+01:60", "2025-06-17T24:00:00Z",
	    "2025-06-17T23:60:00Z", "2025-06-17T23:30:61Z", "2025-06-17T23:30:60Z", "2025-06-30T23:58:60Z",
	    "2025-06-29T23:59:60Z", "2025-05-31T23:59:60Z", "2025-06-30T23:59:60+01:00",
	    "2015-07-01T00:06:60+00:07", "2025-13-01T00:00:00Z", "2025-00-01T00:00:00Z",
	    "2025-01-00T00:00:00Z", "2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2025-04-31T00:00:00Z",
	    "2025-06-17T23:30:05Z\n", " 2025-06-17T23:30:05Z", "+2025-06-17T23:30:05Z",
	    "2025-6-17T23:30:05.00Z", "2025-06-17T23:30:05\xc2\xb2Z", "2025-06-17T23:30:0\xffZ",
	    "2025-06\25517T23:30:05Z"};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (read_time(bad[i], &ms))
			fail_msg("%s", bad[i]);
}

/* Every day of the calendar, against the C library. */
static void every_day(void **state)
{
	int64_t day = TIMESTAMP_MIN_MS / 86400000, last = TIMESTAMP_MAX_MS / 86400000;
	char want[64], got[TIMESTAMP_TEXT_BYTES + 1] = "";

	(void)state;
	for (uint32_t step = 0; day <= last; day++, step = (step + 7919) % 86400) {
		time_t seconds = day * 86400 + step;
		int64_t ms = seconds * 1000 + step % 1000, back;
		struct tm tm;

		assert_non_null(gmtime_r(&seconds, &tm));
		(void)snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, step % 1000);
		assert_true(timestamp_write(ms, got));
		assert_string_equal(got, want);
		assert_true(timestamp_date(got, 10));
		assert_true(timestamp_rfc3339(got, TIMESTAMP_TEXT_BYTES, &back));
		assert_true(back == ms);
	}
}

static void every_impossible_date(void **state)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	char text[32];

	(void)state;
	for (int year = 1890; year < 2110; year++) {
		for (int month = 0; month < 100; month++) {
			for (int day = 0; day < 100; day++) {
				bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
				bool valid = month >= 1 && month <= 12 && day >= 1 &&
				             day <= days[month - 1] + (month == 2 && leap);
				int64_t ms;

				(void)snprintf(
				    text, sizeof(text), "%04d-%02d-%02dT00:00:00Z", year, month, day);
				assert_int_equal(timestamp_date(text, 10), valid);
				assert_int_equal(timestamp_rfc3339(text, 20, &ms), valid);
			}
		}
	}
}

static void unix_times(void **state)
{
	int64_t ms;

	(void)state;
	assert_true(timestamp_unix_s("1750203005", 10, &ms) && ms == INT64_C(1750203005000));
	assert_true(timestamp_unix_s("1750203005.1239", 15, &ms) && ms == INT64_C(1750203005123));
	assert_true(timestamp_unix_s("-1", 2, &ms) && ms == -1000);
	assert_true(timestamp_unix_s("1.75e9", 6, &ms) && ms == INT64_C(1750000000000));
	assert_true(timestamp_unix_ms("1750203005123", 13, &ms) && ms == INT64_C(1750203005123));
	assert_true(timestamp_unix_ms("1750203005123.9", 15, &ms) && ms == INT64_C(1750203005123));
	assert_true(timestamp_unix_ms("253402300799999", 15, &ms) && ms == TIMESTAMP_MAX_MS);
	assert_false(timestamp_unix_ms("253402300800000", 15, &ms));
	assert_false(timestamp_unix_s("1750203005123", 13, &ms));
	assert_false(timestamp_unix_s("", 0, &ms));
	assert_false(timestamp_unix_s("1e400", 5, &ms));
	assert_false(timestamp_unix_ms("12:30", 5, &ms));
}

static void writer_refuses_other_years(void **state)
{
	char text[TIMESTAMP_TEXT_BYTES];

	(void)state;
	assert_true(timestamp_write(TIMESTAMP_MIN_MS, text));
	assert_memory_equal(text, "0000-01-01T00:00:00.000Z", sizeof(text));
	assert_true(timestamp_write(TIMESTAMP_MAX_MS, text));
	assert_memory_equal(text, "9999-12-31T23:59:59.999Z", sizeof(text));
	assert_false(timestamp_write(TIMESTAMP_MIN_MS - 1, text));
	assert_false(timestamp_write(TIMESTAMP_MAX_MS + 1, text));
	assert_memory_equal(text, "9999-12-31T23:59:59.999Z", sizeof(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_times),
	    cmocka_unit_test(refused_times),
	    cmocka_unit_test(every_day),
	    cmocka_unit_test(every_impossible_date),
	    cmocka_unit_test(unix_times),
	    cmocka_unit_test(writer_refuses_other_years),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
